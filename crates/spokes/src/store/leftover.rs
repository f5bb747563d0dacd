//! Copies that other spokes hold by now: since when, and taking them away (SPEC receipt 9).

use rusqlite::{Connection, OptionalExtension as _, params};
use spokes_log::{
    name::{BlogId, EntryId, Hash},
    time::Time,
};

use super::{Row, Store, row_of, sketch};
use crate::outage::Outage;

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS leftover (
    blog  TEXT PRIMARY KEY,
    since INTEGER NOT NULL                        -- seconds since 1970; when it was first seen to be others'
) STRICT;
";

/// What happens to a copy that others hold.
#[derive(Debug)]
pub enum Leftover {
    /// It is seen for the first time.
    Since(BlogId, Time),
    /// It is this spoke's again, or is no more.
    Over(BlogId),
    /// These of its entries go, words and skeletons.
    Remove(Vec<EntryId>),
}

/// Makes room in a file that has none.
pub(super) fn prepare(c: &Connection) -> Result<(), rusqlite::Error> {
    c.execute_batch(CREATE)
}

pub(super) fn apply(c: &Connection, leftover: &Leftover) -> Result<(), rusqlite::Error> {
    match leftover {
        Leftover::Since(blog, since) => {
            let sql = "INSERT OR IGNORE INTO leftover (blog, since) VALUES (?1, ?2)";
            let row = params![blog.to_string(), since.as_unix()];
            c.prepare_cached(sql)?.execute(row)?;
        }
        Leftover::Over(blog) => over(c, *blog)?,
        Leftover::Remove(ids) => {
            for id in ids {
                sketch::forget(c, *id)?;
                c.prepare_cached("DELETE FROM entry WHERE id = ?1")?
                    .execute([id.to_string()])?;
            }
        }
    }
    Ok(())
}

pub(super) fn over(c: &Connection, blog: BlogId) -> Result<(), rusqlite::Error> {
    let mut statement = c.prepare_cached("DELETE FROM leftover WHERE blog = ?1")?;
    statement.execute([blog.to_string()]).map(drop)
}

impl Store {
    /// The blogs of which there are entries, and that others held alone when their copy here settled last.
    ///
    /// # Errors
    /// When the database fails.
    pub fn leftovers(&self) -> Result<Vec<BlogId>, Outage> {
        self.read(|connection| {
            let sql = "SELECT blog FROM settled WHERE member = 0 \
                       AND EXISTS (SELECT 1 FROM entry WHERE entry.blog = settled.blog)";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            let ids = rows.collect::<Result<Vec<_>, _>>()?;
            Ok(ids.iter().filter_map(|id| Hash::parse(id).ok()).collect())
        })
    }

    /// Since when a copy is known to be others'.
    ///
    /// # Errors
    /// When the database fails.
    pub fn left_since(&self, blog: BlogId) -> Result<Option<Time>, Outage> {
        self.read(|connection| {
            let sql = "SELECT since FROM leftover WHERE blog = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let since = statement.query_row([blog.to_string()], |row| row.get(0));
            Ok(since.optional()?.map(Time::from_unix))
        })
    }

    /// The newest rows of a blog: what is left without them is a copy that was not read to its end.
    ///
    /// # Errors
    /// When the database fails.
    pub fn newest_rows(&self, blog: BlogId, limit: usize) -> Result<Vec<Row>, Outage> {
        self.read(|connection| {
            let sql = "SELECT position, blog, id, text, signatures FROM entry WHERE blog = ?1 \
                       ORDER BY position DESC LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![blog.to_string(), limit], row_of)?;
            rows.collect()
        })
    }
}
