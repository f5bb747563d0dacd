//! The seals that this spoke has given, kept for ever: none is given twice (SPEC receipt 3).

use rusqlite::{OptionalExtension as _, params};
use spokes_log::name::BlogId;

use super::Store;
use crate::outage::Outage;

impl Store {
    /// The highest epoch of a blog that a durable seal closes.
    ///
    /// # Errors
    /// When the database fails.
    pub fn sealed(&self, blog: BlogId) -> Result<u64, Outage> {
        self.read(|connection| {
            let sql = "SELECT coalesce(max(epoch), 0) FROM seal WHERE blog = ?1";
            connection.query_row(sql, [blog.to_string()], |row| row.get(0))
        })
    }

    /// The seal of a blog's epoch, if one is durable.
    ///
    /// # Errors
    /// When the database fails.
    pub fn seal(&self, blog: BlogId, epoch: u64) -> Result<Option<String>, Outage> {
        self.read(|connection| {
            let sql = "SELECT text FROM seal WHERE blog = ?1 AND epoch = ?2";
            let of = params![blog.to_string(), epoch];
            connection.query_row(sql, of, |row| row.get(0)).optional()
        })
    }
}
