//! What is kept of a signed zone in a database, so that a node that starts signs nothing anew: the link and the signatures
//! of each name. What names answer comes from the registry.

use rusqlite::Connection;

use crate::dns::filling::Seals;
use crate::dns::signing::{Written, seal_of};

/// The table.
pub const CREATE: &str = "
CREATE TABLE IF NOT EXISTS signed (
    name    BLOB PRIMARY KEY,               -- without the apex, as it travels
    seal    BLOB NOT NULL                   -- its link and signatures
) STRICT, WITHOUT ROWID;
";

/// Keeps what a version has signed.
///
/// # Errors
/// When the database fails.
pub fn keep(index: &Connection, Written(names): &Written) -> rusqlite::Result<()> {
    let sql = "INSERT INTO signed (name, seal) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET seal = ?2";
    let mut put = index.prepare_cached(sql)?;
    let mut remove = index.prepare_cached("DELETE FROM signed WHERE name = ?1")?;
    for (name, sets) in names {
        if sets.is_empty() {
            remove.execute([&name[..]])?;
        } else {
            put.execute([&name[..], seal_of(sets)])?;
        }
    }
    Ok(())
}

/// Says all that is kept.
///
/// # Errors
/// When the database fails.
pub fn read(index: &Connection, seals: &mut Seals<'_>) -> rusqlite::Result<()> {
    let mut statement = index.prepare("SELECT name, seal FROM signed")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        seals.set(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
    }
    Ok(())
}
