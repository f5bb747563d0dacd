//! Entries that await their media, and which media are listed.

use spokes_log::{
    entry::Entry,
    name::{BlogId, Hash},
    seal::SealedEntry,
};

use super::{Store, unpack};
use crate::outage::Outage;

impl Store {
    /// Entries of a blog whose media are awaited.
    ///
    /// # Errors
    /// When the database fails.
    pub fn staged(&self, blog: BlogId) -> Result<Vec<SealedEntry>, Outage> {
        self.read(|connection| {
            let sql = "SELECT text, signatures FROM staged WHERE blog = ?1 ORDER BY since";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([blog.to_string()], |row| {
                let (text, signatures): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
                Ok(SealedEntry::parse(text.as_bytes(), &unpack(&signatures)).ok())
            })?;
            Ok(rows
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect())
        })
    }

    /// Whether an entry that is here or staged lists a medium. To speak of it in words is not enough.
    ///
    /// # Errors
    /// When the database fails.
    pub fn lists(&self, hash: Hash) -> Result<bool, Outage> {
        self.read(|connection| {
            let sql = "SELECT text FROM entry WHERE instr(text, ?1) > 0 \
                       UNION ALL SELECT text FROM staged WHERE instr(text, ?1) > 0 \
                       UNION ALL SELECT text FROM offer WHERE instr(text, ?1) > 0";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([hash.to_string()])?;
            while let Some(row) = rows.next()? {
                let text: String = row.get(0)?;
                let entry = Entry::parse(text.as_bytes()).ok();
                let article = entry.as_ref().and_then(|e| e.draft()?.article());
                if article.is_some_and(|article| article.media.iter().any(|m| m.hash == hash)) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}
