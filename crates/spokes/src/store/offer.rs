//! Entries that stand outside the log until their author says what shall become of them, and the epoch in
//! which each copy has settled (SPEC receipt 6).

use rusqlite::{Connection, OptionalExtension as _, params};
use spokes_log::{
    name::{BlogId, EntryId, Hash},
    seal::SealedEntry,
};

use super::{Store, leftover, pack, sketch, unpack};
use crate::outage::Outage;

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS offer (
    id         TEXT PRIMARY KEY,
    blog       TEXT NOT NULL,
    sequence   INTEGER NOT NULL,
    text       TEXT NOT NULL,                     -- canonical, verbatim
    signatures BLOB NOT NULL,
    giver      TEXT NOT NULL                      -- the spoke that gave it; empty where it was in our log
) STRICT;
CREATE INDEX IF NOT EXISTS offer_of_blog ON offer (blog, sequence);
CREATE TABLE IF NOT EXISTS settled (
    blog   TEXT PRIMARY KEY,
    epoch  INTEGER NOT NULL,
    member INTEGER NOT NULL                       -- 0 when the set of that epoch is one of others
) STRICT;
";

/// An entry outside the log.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The entry, as its author signed it.
    pub sealed: SealedEntry,
    /// The spoke that gave it; empty where it was in our own log.
    pub giver: String,
}

/// What happens to offers.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one lives for a moment, on its way to the disk"
)]
pub enum Apart {
    /// Entries of a blog leave its log, since its copy has settled in this epoch without them; and
    /// whether this spoke is in that epoch's set.
    Set(BlogId, u64, bool, Vec<EntryId>),
    /// Another spoke gives one back.
    Keep(Offer),
    /// They are none any more.
    Forget(Vec<EntryId>),
}

/// Makes room in a file that has none.
pub(super) fn prepare(c: &Connection) -> Result<(), rusqlite::Error> {
    c.execute_batch(CREATE)
}

pub(super) fn apply(c: &Connection, apart: &Apart) -> Result<(), rusqlite::Error> {
    match apart {
        Apart::Set(blog, epoch, member, ids) => set_apart(c, *blog, *epoch, *member, ids),
        Apart::Keep(offer) => keep(c, offer),
        Apart::Forget(ids) => forget(c, ids),
    }
}

/// Moves entries out of the log, as they are, and remembers the epoch that was opened without them.
fn set_apart(
    c: &Connection,
    blog: BlogId,
    epoch: u64,
    member: bool,
    ids: &[EntryId],
) -> Result<(), rusqlite::Error> {
    let sql = "INSERT OR REPLACE INTO offer (id, blog, sequence, text, signatures, giver) \
               SELECT id, blog, sequence, text, signatures, '' FROM entry WHERE id = ?1 AND blog = ?2";
    for entry in ids {
        let (id, blog) = (entry.to_string(), blog.to_string());
        c.prepare_cached(sql)?.execute([&id, &blog])?;
        sketch::forget(c, *entry)?;
        c.prepare_cached("DELETE FROM entry WHERE id = ?1 AND blog = ?2")?
            .execute([&id, &blog])?;
    }
    let sql = "INSERT INTO settled (blog, epoch, member) VALUES (?1, ?2, ?3) \
               ON CONFLICT (blog) DO UPDATE SET epoch = excluded.epoch, member = excluded.member";
    c.prepare_cached(sql)?
        .execute(params![blog.to_string(), epoch, member])?;
    if member {
        leftover::over(c, blog)?;
    }
    Ok(())
}

/// Keeps what another spoke gave.
fn keep(c: &Connection, offer: &Offer) -> Result<(), rusqlite::Error> {
    let entry = offer.sealed.entry();
    let sql = "INSERT OR IGNORE INTO offer (id, blog, sequence, text, signatures, giver) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    c.prepare_cached(sql)?.execute(params![
        entry.id().to_string(),
        entry.blog().to_string(),
        entry.skeleton().sequence,
        entry.text(),
        pack(&offer.sealed),
        offer.giver
    ])?;
    Ok(())
}

/// Forgets offers whose author has answered, or that are in the log.
fn forget(c: &Connection, ids: &[EntryId]) -> Result<(), rusqlite::Error> {
    for id in ids {
        c.prepare_cached("DELETE FROM offer WHERE id = ?1")?
            .execute([id.to_string()])?;
    }
    Ok(())
}

impl Store {
    /// The offers of a blog, parents first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn offers(&self, blog: BlogId) -> Result<Vec<Offer>, Outage> {
        self.read(|connection| {
            let sql = "SELECT id, text, signatures, giver FROM offer WHERE blog = ?1 \
                       ORDER BY sequence, id";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([blog.to_string()], |row| {
                let (id, text, packed): (String, String, Vec<u8>) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                let sealed = SealedEntry::parse(text.as_bytes(), &unpack(&packed)).ok();
                let sealed = sealed.filter(|sealed| sealed.entry().id().to_string() == id);
                if sealed.is_none() {
                    tracing::warn!(
                        id,
                        "an offer was altered on disk; another spoke may have it"
                    );
                }
                let giver = row.get(3)?;
                Ok(sealed.map(|sealed| Offer { sealed, giver }))
            })?;
            let offers = rows.collect::<Result<Vec<_>, _>>()?;
            Ok(offers.into_iter().flatten().collect())
        })
    }

    /// The blogs of which there are offers.
    ///
    /// # Errors
    /// When the database fails.
    pub fn blogs_with_offers(&self) -> Result<Vec<BlogId>, Outage> {
        self.blogs("SELECT DISTINCT blog FROM offer")
    }

    /// The blogs of which there are entries, but those that others held alone when their copy here
    /// settled last.
    ///
    /// # Errors
    /// When the database fails.
    pub fn blogs_to_settle(&self) -> Result<Vec<BlogId>, Outage> {
        self.blogs(
            "SELECT DISTINCT blog FROM entry \
             WHERE blog NOT IN (SELECT blog FROM settled WHERE member = 0)",
        )
    }

    /// The epoch in which the copy of a blog has settled; the first where nothing is known.
    ///
    /// # Errors
    /// When the database fails.
    pub fn settled(&self, blog: BlogId) -> Result<u64, Outage> {
        self.read(|connection| {
            let sql = "SELECT epoch FROM settled WHERE blog = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let epoch = statement.query_row([blog.to_string()], |row| row.get(0));
            Ok(epoch.optional()?.unwrap_or(1))
        })
    }

    /// Whether this spoke was in the set when the copy of a blog settled last, as far as is known.
    ///
    /// # Errors
    /// When the database fails.
    pub fn was_member(&self, blog: BlogId) -> Result<bool, Outage> {
        self.read(|connection| {
            let sql = "SELECT member FROM settled WHERE blog = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let member = statement.query_row([blog.to_string()], |row| row.get(0));
            Ok(member.optional()?.unwrap_or(true))
        })
    }

    fn blogs(&self, sql: &str) -> Result<Vec<BlogId>, Outage> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            let ids = rows.collect::<Result<Vec<_>, _>>()?;
            Ok(ids.iter().filter_map(|id| Hash::parse(id).ok()).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        author::chain_for_tests,
        store::{Write, connect},
    };

    /// A log of three entries, and the last two of them moved out.
    #[tokio::test]
    async fn what_is_set_apart_is_kept_word_for_word() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spoke.db");
        // The schema of the version before.
        drop(connect(&path, 2, super::super::CREATE).unwrap());
        let store = Store::open(&path).unwrap();
        let now = spokes_log::time::Time::from_unix(1_795_442_700);
        let mut key = spokes_log::secret::SecretKey::generate("Maria", now).unwrap();
        let entries = chain_for_tests(&mut key, &["one", "two"]);
        let blog = entries[0].entry().blog();
        let ids: Vec<EntryId> = entries.iter().map(|s| s.entry().id()).collect();
        store
            .written(Write::Entries(entries.clone()))
            .await
            .unwrap();
        assert_eq!(store.settled(blog).unwrap(), 1);
        assert_eq!(store.blogs_to_settle().unwrap(), [blog]);
        let apart = Write::Apart(Apart::Set(blog, 3, false, ids[1..].to_vec()));
        store.written(apart).await.unwrap();
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.entries().unwrap(), 1);
        assert_eq!(store.settled(blog).unwrap(), 3);
        assert!(store.blogs_to_settle().unwrap().is_empty());
        assert_eq!(store.blogs_with_offers().unwrap(), [blog]);
        let offers = store.offers(blog).unwrap();
        let kept: Vec<_> = offers.iter().map(|offer| offer.sealed.clone()).collect();
        assert_eq!(kept, entries[1..]);
        // What was given by another does not take the place of what was ours.
        let given = Offer {
            giver: "oak".into(),
            ..offers[0].clone()
        };
        store
            .written(Write::Apart(Apart::Keep(given)))
            .await
            .unwrap();
        assert_eq!(store.offers(blog).unwrap()[0].giver, "");
        let answered = Write::Apart(Apart::Forget(ids[1..2].to_vec()));
        store.written(answered).await.unwrap();
        assert_eq!(store.offers(blog).unwrap().len(), 1);
    }
}
