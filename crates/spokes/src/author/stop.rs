//! How a command ends when it does not do what it was asked.

use std::{fmt, path::Path};

/// Why a command stops; the exit code follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The command line makes no sense: exit code 2.
    Usage(String),
    /// Somebody, or the matter itself, says no: exit code 1.
    Refused(String),
    /// Something did not answer, which may change: exit code 1.
    Unreached(String),
}

impl Stop {
    /// A file that cannot be read or written.
    pub(crate) fn disk(path: &Path, why: impl fmt::Display) -> Self {
        Self::Refused(format!("{}: {why}", path.display()))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) | Self::Refused(why) | Self::Unreached(why) => f.write_str(why),
        }
    }
}
