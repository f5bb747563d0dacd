//! Sketches of blogs: what their spoke knew of them last, so that it need not read them whole before
//! the first page. A sketch counts only as long as nothing of its blog stands behind it.

use rusqlite::{Connection, OptionalExtension as _, params};
use spokes_log::name::{BlogId, EntryId};

use super::{SCHEMA, Store};
use crate::outage::Outage;

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS sketch (
    blog     TEXT PRIMARY KEY,
    position INTEGER NOT NULL,                    -- of the blog's newest entry when it was made
    bytes    BLOB NOT NULL
) STRICT;
";

/// Makes room for sketches in a file that has none: a new one, or one of the schema before.
pub(super) fn prepare(c: &Connection) -> Result<(), rusqlite::Error> {
    c.execute_batch(CREATE)?;
    let found: i64 = c.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found < SCHEMA {
        c.pragma_update(None, "user_version", SCHEMA)?;
    }
    Ok(())
}

impl Store {
    /// Where a blog's newest entry stands; 0 where there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn newest_of(&self, blog: BlogId) -> Result<u64, Outage> {
        self.read(|connection| {
            let sql = "SELECT coalesce(max(position), 0) FROM entry WHERE blog = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_row([blog.to_string()], |row| row.get(0))
        })
    }

    /// The sketch of a blog, if nothing stands behind it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn sketch(&self, blog: BlogId) -> Result<Option<Vec<u8>>, Outage> {
        self.sketched(blog, "bytes")
    }

    /// Whether there is such a sketch.
    ///
    /// # Errors
    /// When the database fails.
    pub fn has_sketch(&self, blog: BlogId) -> Result<bool, Outage> {
        Ok(self.sketched::<i64>(blog, "1")?.is_some())
    }

    fn sketched<T: rusqlite::types::FromSql>(
        &self,
        blog: BlogId,
        what: &str,
    ) -> Result<Option<T>, Outage> {
        self.read(|connection| {
            let sql = format!(
                "SELECT {what} FROM sketch WHERE blog = ?1 \
                 AND position = (SELECT max(position) FROM entry WHERE blog = ?1)"
            );
            let row = |row: &rusqlite::Row<'_>| row.get(0);
            let found = connection.query_row(&sql, [blog.to_string()], row);
            found.optional()
        })
    }
}

pub(super) fn keep(
    c: &Connection,
    blog: BlogId,
    position: u64,
    bytes: &[u8],
) -> Result<(), rusqlite::Error> {
    let sql = "INSERT OR REPLACE INTO sketch (blog, position, bytes) VALUES (?1, ?2, ?3)";
    let row = params![blog.to_string(), position, bytes];
    c.prepare_cached(sql)?.execute(row).map(drop)
}

/// Takes away the sketch of the blog that an entry is kept under: a row changes in its place, or goes.
pub(super) fn forget(c: &Connection, entry: EntryId) -> Result<(), rusqlite::Error> {
    let sql = "DELETE FROM sketch WHERE blog = (SELECT blog FROM entry WHERE id = ?1)";
    let mut statement = c.prepare_cached(sql)?;
    statement.execute([entry.to_string()]).map(drop)
}

#[cfg(test)]
mod tests {
    use spokes_log::{
        draft::{Draft, Says},
        entry::Entry,
        name::{Fingerprint, Language, Salt},
        seal::SealedEntry,
        time::Time,
    };

    use super::*;
    use crate::store::Write;

    const BLOCK: &str =
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nnone\n-----END PGP PUBLIC KEY BLOCK-----";

    /// A skeleton behind another one: what a store keeps it does not judge.
    fn entry(parent: Option<&SealedEntry>) -> SealedEntry {
        let author = Fingerprint::from_bytes(&[7; 20]).unwrap();
        let draft = Draft {
            salt: Salt::from_bytes([7; 16]),
            says: match parent {
                Some(_) => Says::Erase {
                    erases: vec![spokes_log::name::Hash::of(b"words")],
                },
                None => Says::Blog {
                    title: "A blog".into(),
                    language: Language::parse("en").unwrap(),
                    certificate: author.clone(),
                    claim: None,
                },
            },
            instead_of: vec![],
            extensions: vec![],
            body: match parent {
                Some(_) => String::new(),
                None => BLOCK.to_owned(),
            },
        };
        let parent = parent.map(|p| (p.entry().skeleton(), p.entry().id()));
        let now = Time::from_unix(1_700_000_000);
        let entry = Entry::new(&draft, parent, vec![author], now).unwrap();
        SealedEntry::parse::<Vec<u8>>(entry.erased().text().as_bytes(), &[]).unwrap()
    }

    #[tokio::test]
    async fn a_sketch_counts_until_its_blog_changes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("spoke.db")).unwrap();
        let first = entry(None);
        let second = entry(Some(&first));
        let third = entry(Some(&second));
        let blog = first.entry().id();
        let bytes = || b"sketch".to_vec();
        let has = || store.sketch(blog).unwrap().is_some();
        let write = async |write: Write| store.written(write).await.unwrap();
        write(Write::Sketch(blog, 0, bytes())).await;
        assert!(!has(), "of nothing");
        write(Write::Entries(vec![first, second.clone()])).await;
        let draw = async || {
            let newest = store.newest_of(blog).unwrap();
            write(Write::Sketch(blog, newest, bytes())).await;
            assert!(has() && store.has_sketch(blog).unwrap());
        };
        draw().await;
        write(Write::Entries(vec![third.clone()])).await;
        assert!(!has(), "something stands behind it");
        draw().await;
        write(Write::Mend(second.clone())).await;
        assert!(!has(), "a row was mended");
        draw().await;
        write(Write::Erasing(vec![], vec![second.entry().id()])).await;
        assert!(!has(), "words went");
        write(Write::Sketch(
            blog,
            store.newest_of(blog).unwrap() - 1,
            bytes(),
        ))
        .await;
        write(Write::Remove(third.entry().id())).await;
        assert!(!has(), "what stood behind an old one was removed");
    }
}
