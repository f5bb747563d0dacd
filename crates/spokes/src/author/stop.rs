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
        Self::Refused(format!("{}: {}", path.display(), plain(&why.to_string())))
    }
}

/// What a system says, without the number that only programmers look up.
pub(crate) fn plain(why: &str) -> &str {
    match why.split_once(" (os error ") {
        Some((words, number)) if number.ends_with(')') => words,
        _ => why,
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) | Self::Refused(why) | Self::Unreached(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_speaks_in_words() {
        for (errno, words) in [(2, "No such file or directory"), (13, "Permission denied")] {
            let why = std::io::Error::from_raw_os_error(errno);
            let said = Stop::disk(Path::new("a.md"), why).to_string();
            assert_eq!(said, format!("a.md: {words}"));
        }
        assert_eq!(plain("a (os error b) c"), "a (os error b) c");
    }
}
