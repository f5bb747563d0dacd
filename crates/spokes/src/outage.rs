//! What fails through nobody's fault that a message could mend: disks, sockets, other machines.

use std::{fmt, io, path::Path};

/// Something that time or an operator must mend.
#[derive(Clone, Debug)]
pub struct Outage {
    what: String,
    full: bool,
}

impl Outage {
    /// An outage in a sentence: what happened, what is safe, what to do.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            full: false,
        }
    }

    /// A failed operation on a file.
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        Self {
            what: format!("{doing} {} failed: {error}", path.display()),
            full,
        }
    }

    /// Whether the disk is full: another server may have room.
    pub fn is_full(&self) -> bool {
        self.full
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Outage {}

impl From<rusqlite::Error> for Outage {
    fn from(error: rusqlite::Error) -> Self {
        // The index of the log is memory of a file: without room for it a database cannot be opened.
        let no_index = error
            .sqlite_error()
            .is_some_and(|sqlite| sqlite.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
        let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) || no_index;
        let what = if full {
            format!(
                "the disk is full ({error}); what was acknowledged before is safe. Make room, then try \
                 again"
            )
        } else {
            format!("the database failed: {error}")
        };
        Self { what, full }
    }
}
