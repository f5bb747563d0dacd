//! What is kept of a signed zone in a database, so that a node that starts signs nothing anew: the link and the signatures
//! of each name. What names answer comes from the registry.
//!
//! Nobody checks millions of signatures at a start. So each row has a checksum over its name and itself: what a disk has
//! changed is left out, and the name is signed again.

use rusqlite::Connection;

use crate::dns::filling::Seals;
use crate::dns::seal::MARK;
use crate::dns::signing::{Written, seal_of};

/// The table.
pub const CREATE: &str = "
CREATE TABLE IF NOT EXISTS signed (
    name    BLOB PRIMARY KEY,               -- without the apex, as it travels
    seal    BLOB NOT NULL                   -- its link and signatures, and a checksum
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
            let seal = seal_of(sets);
            put.execute([&name[..], &[seal, &checksum(name, seal)].concat()])?;
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
    let mut damaged = 0_u64;
    while let Some(row) = rows.next()? {
        let (name, row) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
        match whole(name, row) {
            Some(seal) => seals.set(name, seal),
            None => damaged += 1,
        }
    }
    if damaged > 0 {
        tracing::warn!(
            names = damaged,
            "signatures of the zone were damaged on this node's disk; they are left out, and made anew within minutes. \
             Look at the disk"
        );
    }
    Ok(())
}

/// A seal without its checksum; none where the row is not what was kept. Older programs kept rows without one.
fn whole<'r>(name: &[u8], row: &'r [u8]) -> Option<&'r [u8]> {
    if !row.starts_with(&MARK) {
        return Some(row);
    }
    let (seal, sum) = row.split_last_chunk()?;
    (*sum == checksum(name, seal)).then_some(seal)
}

fn checksum(name: &[u8], seal: &[u8]) -> [u8; 4] {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(name);
    checksum.update(seal);
    checksum.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::encode::{BadNode, WireSets};
    use crate::dns::filling::fill;
    use crate::dns::seal::{link, seal};
    use crate::dns::testing::{APEX, addresses};

    #[test]
    fn what_a_disk_has_changed_is_left_out() {
        let index = Connection::open_in_memory().unwrap();
        index.execute_batch(CREATE).unwrap();
        let names = [&b"\x01a"[..], b"\x01b", b"\x01c"];
        let seals = names.map(|name| (name.into(), seal(&link(10, name, b"\0\x01\x40"), [])));
        keep(&index, &Written(seals.into())).unwrap();
        let sealed = || {
            let zone = fill::<BadNode>(
                APEX,
                |all| {
                    let mut owners = ["a", "b", "c"].into_iter();
                    owners.try_for_each(|name| all.set(&format!("{name}.{APEX}"), &addresses(&[1])))
                },
                |all| {
                    read(&index, all).expect("a database");
                    Ok(())
                },
            );
            let zone = zone.unwrap();
            names.map(|name| WireSets::of(zone.at(name).unwrap()).seal().is_some())
        };
        assert_eq!(sealed(), [true; 3]);
        let change = |sql: &str| assert_eq!(index.execute(sql, []).unwrap(), 1, "{sql}");
        // Another name's, and one with a byte more.
        change(
            "UPDATE signed SET seal = (SELECT seal FROM signed WHERE name = x'0162') WHERE name = x'0161'",
        );
        change("UPDATE signed SET seal = CAST(seal || x'00' AS BLOB) WHERE name = x'0163'");
        assert_eq!(sealed(), [false, true, false]);
        change("UPDATE signed SET seal = x'0000' WHERE name = x'0162'");
        assert_eq!(sealed(), [false; 3]);
    }
}
