//! Media by their hashes: one file each below `DIR/media/`, written once, checked when read.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use spokes_log::name::Hash;

use crate::{config::sync_dir, outage::Outage};

/// How the names of files begin that are not whole yet.
const PART: &str = ".part-";

/// A folder of blobs.
#[derive(Clone, Debug)]
pub struct Blobs {
    folder: PathBuf,
    /// Held by whoever changes names in the folder.
    turn: Arc<Mutex<()>>,
    /// The blob whose name is changing: seen, perhaps, but not durable, or about to go.
    changing: Arc<Mutex<Option<Hash>>>,
}

impl Blobs {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(folder: &Path) -> Result<Self, Outage> {
        fs::create_dir_all(folder).map_err(|e| Outage::file("making", folder, &e))?;
        // What was under way when a process was killed will never be whole.
        for left in fs::read_dir(folder).into_iter().flatten().flatten() {
            if left
                .file_name()
                .as_encoded_bytes()
                .starts_with(PART.as_bytes())
            {
                drop(fs::remove_file(left.path()));
            }
        }
        // Its own name, and those that a process left which was killed before it could sync them:
        // from here on what is seen is durable.
        let above = folder.parent().unwrap_or(folder);
        for dir in [folder, above] {
            sync_dir(dir).map_err(|e| Outage::file("syncing", dir, &e))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            turn: Arc::default(),
            changing: Arc::default(),
        })
    }

    /// Where a blob stands.
    pub fn path(&self, hash: Hash) -> PathBuf {
        self.folder.join(hash.path())
    }

    /// Whether a blob is here durably, by its name alone.
    pub fn has(&self, hash: Hash) -> bool {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        *changing != Some(hash) && self.path(hash).is_file()
    }

    /// Keeps a blob durably. Its hash must have been checked.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn put(&self, hash: Hash, bytes: &[u8]) -> Result<(), Outage> {
        assert!(Hash::of(bytes) == hash, "only what has its hash is kept");
        let path = self.path(hash);
        let failed = |e: &std::io::Error| Outage::file("writing", &path, e);
        let part = tempfile::Builder::new()
            .prefix(PART)
            .tempfile_in(&self.folder);
        let mut part = part.map_err(|e| failed(&e))?;
        part.write_all(bytes)
            .and_then(|()| part.as_file().sync_all())
            .map_err(|e| failed(&e))?;
        self.change(hash, || {
            part.persist(&path).map_err(|e| failed(&e.error))?;
            sync_dir(&self.folder).map_err(|e| {
                // Nobody may find what is not durable.
                drop(fs::remove_file(&path));
                failed(&e)
            })
        })
    }

    /// Changes a name in the folder; meanwhile the blob counts as not here.
    fn change(&self, hash: Hash, act: impl FnOnce() -> Result<(), Outage>) -> Result<(), Outage> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let say = |changing| {
            *self.changing.lock().unwrap_or_else(PoisonError::into_inner) = changing;
        };
        say(Some(hash));
        let outcome = act();
        say(None);
        outcome
    }

    /// How long a blob is, without reading it.
    pub fn size(&self, hash: Hash) -> Option<usize> {
        let bytes = fs::metadata(self.path(hash)).ok()?.len();
        usize::try_from(bytes).ok()
    }

    /// Reads a blob; none when it is not here or not what its name says.
    ///
    /// An altered one is removed, so that it is fetched again from another replica.
    pub fn get(&self, hash: Hash) -> Option<Vec<u8>> {
        let path = self.path(hash);
        let bytes = fs::read(&path).ok()?;
        if Hash::of(&bytes) == hash {
            return Some(bytes);
        }
        tracing::warn!(%hash, "a blob was altered on disk; it is fetched again");
        if let Err(error) = fs::remove_file(&path) {
            tracing::error!(%hash, %error, "the altered blob could not be removed");
        }
        None
    }

    /// Removes a blob, unless an entry lists it. Whoever looks for it meanwhile brings it again.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove_unless(
        &self,
        hash: Hash,
        is_listed: impl FnOnce() -> Result<bool, Outage>,
    ) -> Result<(), Outage> {
        self.change(hash, || {
            if is_listed()? {
                return Ok(());
            }
            match fs::remove_file(self.path(hash)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    Err(Outage::file("removing", &self.path(hash), &e))
                }
                _ => Ok(()),
            }
        })
    }
}

/// What bytes are, by how they begin: never what a stranger says they are.
///
/// `None` for what no browser is asked to show.
pub fn sniff(bytes: &[u8]) -> Option<&'static str> {
    let at = |from: usize, what: &[u8]| bytes.get(from..from + what.len()) == Some(what);
    let kind = match bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xFF, 0xD8, 0xFF, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', ..] if at(8, b"WEBP") => "image/webp",
        _ if at(4, b"ftypavif") => "image/avif",
        [b'%', b'P', b'D', b'F', ..] => "application/pdf",
        [b'I', b'D', b'3', ..] | [0xFF, 0xFB, ..] => "audio/mpeg",
        [b'O', b'g', b'g', b'S', ..] => "audio/ogg",
        _ if at(4, b"ftyp") => "video/mp4",
        [0x1A, 0x45, 0xDF, 0xA3, ..] => "video/webm",
        _ if is_svg(bytes) => "image/svg+xml",
        _ => return None,
    };
    Some(kind)
}

/// An SVG is text whose first element is `svg`.
fn is_svg(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4_096)];
    let Ok(text) =
        std::str::from_utf8(head).or_else(|e| std::str::from_utf8(&head[..e.valid_up_to()]))
    else {
        return false;
    };
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while rest.starts_with("<?") || rest.starts_with("<!") {
        let end = if rest.starts_with("<!--") { "-->" } else { ">" };
        let Some((_, behind)) = rest.split_once(end) else {
            return false;
        };
        rest = behind.trim_start();
    }
    rest.starts_with("<svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn altered_blobs_are_never_given_out() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&dir.path().join("media")).unwrap();
        let hash = Hash::of(b"picture");
        blobs.put(hash, b"picture").unwrap();
        assert_eq!(blobs.get(hash).as_deref(), Some(b"picture".as_slice()));
        fs::write(blobs.path(hash), b"forgery").unwrap();
        assert_eq!(blobs.get(hash), None);
        assert!(!blobs.has(hash));
    }

    #[test]
    fn a_blob_whose_name_changes_counts_as_not_here() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&dir.path().join("media")).unwrap();
        let hash = Hash::of(b"picture");
        blobs.put(hash, b"picture").unwrap();
        let seen = |listed: bool| {
            blobs.remove_unless(hash, || {
                assert!(!blobs.has(hash), "it is about to go");
                Ok(listed)
            })
        };
        seen(true).unwrap();
        assert!(blobs.has(hash), "somebody lists it");
        seen(false).unwrap();
        assert!(!blobs.has(hash));
    }

    #[test]
    fn parts_do_not_outlive_a_start() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("media");
        let hash = Hash::of(b"picture");
        Blobs::open(&folder).unwrap().put(hash, b"picture").unwrap();
        fs::write(folder.join(format!("{PART}x")), b"pict").unwrap();
        assert!(Blobs::open(&folder).unwrap().has(hash));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn kinds_are_seen_not_believed() {
        assert_eq!(sniff(b"\x89PNG\r\n"), Some("image/png"));
        assert_eq!(
            sniff(b"<?xml version=\"1.0\"?>\n<!-- x -->\n<svg xmlns"),
            Some("image/svg+xml")
        );
        assert_eq!(sniff(b"<html><svg"), None);
        assert_eq!(sniff(b""), None);
    }
}
