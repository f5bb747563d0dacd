//! What the author's machine remembers: what it knows of each blog, the receipts it was given, and
//! the outbox, where every signed entry waits on disk before it first goes out.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use spokes_log::{
    draft::Says,
    name::{BlogId, BlogName, EntryId, Fingerprint, Hash},
    seal::SealedEntry,
};
use spokes_rules::node::Signed;
use tokio::time::sleep;

use crate::{
    author::{console::Console, stop::Stop},
    wire::{EntryWire, SignedWire},
};

/// How often a command looks whether another one has finished with the blog.
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// Everything remembered about one network.
pub(crate) struct Home {
    dir: PathBuf,
}

impl Home {
    /// The folder of a network below the user's state folder (XDG base directories).
    pub(crate) fn open(state_home: &Path, network: Hash) -> Result<Self, Stop> {
        let dir = state_home.join("spokes").join(hex(network));
        fs::create_dir_all(dir.join("blogs")).map_err(|why| Stop::disk(&dir, why))?;
        Ok(Self { dir })
    }

    /// What is remembered about a blog, kept from other processes as long as it is held.
    pub(crate) async fn shelf(&self, blog: BlogId, console: &Console) -> Result<Shelf, Stop> {
        let dir = self.dir.join("blogs").join(hex(blog));
        for part in ["outbox", "media", "receipts", "refused"] {
            let part = dir.join(part);
            fs::create_dir_all(&part).map_err(|why| Stop::disk(&part, why))?;
        }
        let lock = lock(&dir.join("lock"), console).await?;
        Ok(Shelf { dir, _lock: lock })
    }

    /// Keeps two `create` apart.
    pub(crate) async fn lock(&self, console: &Console) -> Result<File, Stop> {
        lock(&self.dir.join("lock"), console).await
    }

    /// An entry 0 that this author signed for this name and that still waits for an answer.
    pub(crate) fn waiting_claims(
        &self,
        name: &BlogName,
        author: &Fingerprint,
    ) -> Result<Vec<SealedEntry>, Stop> {
        let blogs = self.dir.join("blogs");
        let mut claims = Vec::new();
        for blog in list(&blogs)? {
            for waiting in read_outbox(&blog.join("outbox"))? {
                let entry = waiting.sealed.entry();
                let Some(Says::Blog {
                    claim: Some(claim),
                    certificate,
                    ..
                }) = entry.draft().map(|draft| &draft.says)
                else {
                    continue;
                };
                if claim.name == *name && certificate == author {
                    claims.push(waiting.sealed);
                }
            }
        }
        Ok(claims)
    }
}

async fn lock(path: &Path, console: &Console) -> Result<File, Stop> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|why| Stop::disk(path, why))?;
    let mut told = false;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        if !told {
            console.say("another spokes command works on this blog; waiting until it has finished");
            told = true;
        }
        sleep(LOCK_PAUSE).await;
    }
    Ok(file)
}

/// What is remembered about one blog. The lock is free again when this is dropped.
pub(crate) struct Shelf {
    dir: PathBuf,
    _lock: File,
}

/// A signed entry on its way.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// The entry.
    pub(crate) sealed: SealedEntry,
    /// Whether some server may have seen it.
    pub(crate) sent: bool,
    /// The file that it was made from, for reports.
    pub(crate) source: Option<String>,
    /// Entries that this one was signed in place of, so that a crash leaves no pair.
    pub(crate) stands_for: Vec<EntryId>,
}

#[derive(Serialize, Deserialize)]
struct WaitingFile {
    entry: EntryWire,
    sent: bool,
    source: Option<String>,
    stands_for: Vec<String>,
}

/// What is remembered of a blog's log.
#[derive(Serialize, Deserialize, Default)]
pub(crate) struct CopyFile {
    pub(crate) cursor: Option<String>,
    pub(crate) entries: Vec<EntryWire>,
}

impl Waiting {
    pub(crate) fn new(sealed: SealedEntry, source: Option<String>) -> Self {
        Self {
            sealed,
            sent: false,
            source,
            stands_for: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> EntryId {
        self.sealed.entry().id()
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sealed.entry().skeleton().sequence
    }

    fn read(path: &Path) -> Result<Self, Stop> {
        let file: WaitingFile = read_json(path)?;
        let damaged = |why: String| {
            Stop::disk(
                path,
                format!("this file of the outbox is damaged ({why}); move it away to go on"),
            )
        };
        let sealed = file
            .entry
            .sealed()
            .map_err(|why| damaged(why.to_string()))?;
        let stands_for = file.stands_for.iter().map(|id| Hash::parse(id));
        Ok(Self {
            sealed,
            sent: file.sent,
            source: file.source,
            stands_for: stands_for
                .collect::<Result<_, _>>()
                .map_err(|why| damaged(why.to_owned()))?,
        })
    }
}

impl Shelf {
    /// What waits, in the order of the log; what was signed again counts no more.
    pub(crate) fn outbox(&self) -> Result<Vec<Waiting>, Stop> {
        let waiting = read_outbox(&self.dir.join("outbox"))?;
        let replaced: Vec<EntryId> = waiting
            .iter()
            .flat_map(|w| w.stands_for.iter().copied())
            .collect();
        let (gone, left): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|w| replaced.contains(&w.id()));
        gone.iter().try_for_each(|w| self.forget(w))?;
        Ok(left)
    }

    /// Puts an entry into the outbox; when this returns it outlives a crash.
    pub(crate) fn keep(&self, waiting: &Waiting) -> Result<(), Stop> {
        let file = WaitingFile {
            entry: (&waiting.sealed).into(),
            sent: waiting.sent,
            source: waiting.source.clone(),
            stands_for: waiting.stands_for.iter().map(Hash::to_string).collect(),
        };
        write_json(&self.dir.join("outbox").join(file_name(waiting)), &file)
    }

    /// Notes that a server may have seen the entry.
    pub(crate) fn sent(&self, waiting: &mut Waiting) -> Result<(), Stop> {
        if waiting.sent {
            return Ok(());
        }
        waiting.sent = true;
        self.keep(waiting)
    }

    /// Takes an entry out of the outbox, if it is still there.
    pub(crate) fn forget(&self, waiting: &Waiting) -> Result<(), Stop> {
        let path = self.dir.join("outbox").join(file_name(waiting));
        match fs::remove_file(&path) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(Stop::disk(&path, why)),
            _ => Ok(()),
        }
    }

    /// Keeps the receipts of a safe entry, then takes it out of the outbox.
    pub(crate) fn safe(&self, waiting: &Waiting, receipts: &[Signed]) -> Result<(), Stop> {
        let wires: Vec<SignedWire> = receipts.iter().map(SignedWire::from).collect();
        write_json(&self.dir.join("receipts").join(file_name(waiting)), &wires)?;
        self.forget(waiting)
    }

    /// Moves an entry that no server takes out of the way. It is not lost.
    pub(crate) fn refuse(&self, waiting: &Waiting) -> Result<(), Stop> {
        let name = file_name(waiting);
        let (from, to) = (
            self.dir.join("outbox").join(&name),
            self.dir.join("refused"),
        );
        fs::rename(&from, to.join(name)).map_err(|why| Stop::disk(&from, why))
    }

    /// Entries that were refused but may have been seen.
    pub(crate) fn refused(&self) -> Result<Vec<Waiting>, Stop> {
        read_outbox(&self.dir.join("refused"))
    }

    /// All receipts ever given for this blog.
    pub(crate) fn receipts(&self) -> Result<Vec<Signed>, Stop> {
        let mut receipts = Vec::new();
        for path in list(&self.dir.join("receipts"))? {
            let wires: Vec<SignedWire> = read_json(&path)?;
            receipts.extend(wires.iter().filter_map(|wire| wire.signed().ok()));
        }
        Ok(receipts)
    }

    /// Keeps a medium until the entry that lists it is safe.
    pub(crate) fn keep_medium(&self, hash: Hash, bytes: &[u8]) -> Result<(), Stop> {
        let path = self.medium_path(hash);
        if path.exists() {
            return Ok(());
        }
        durable(&path, bytes)
    }

    /// A medium that is kept, as far as its bytes are what its name says.
    pub(crate) fn medium(&self, hash: Hash) -> Option<Vec<u8>> {
        fs::read(self.medium_path(hash))
            .ok()
            .filter(|bytes| Hash::of(bytes) == hash)
    }

    fn medium_path(&self, hash: Hash) -> PathBuf {
        self.dir.join("media").join(hash.path())
    }

    /// Drops media that nothing in the outbox lists any more.
    pub(crate) fn sweep(&self) -> Result<(), Stop> {
        let mut listed = Vec::new();
        for waiting in self.outbox()?.iter().chain(&self.refused()?) {
            let article = waiting
                .sealed
                .entry()
                .draft()
                .and_then(|d| d.article().cloned());
            listed.extend(
                article
                    .into_iter()
                    .flat_map(|a| a.media)
                    .map(|m| m.hash.path()),
            );
        }
        for path in list(&self.dir.join("media"))? {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            if name.is_some_and(|name| !listed.contains(&name)) {
                fs::remove_file(&path).map_err(|why| Stop::disk(&path, why))?;
            }
        }
        Ok(())
    }

    /// The log as it was read last; an unreadable memory is no memory.
    pub(crate) fn copy(&self) -> CopyFile {
        read_json(&self.dir.join("log.json")).unwrap_or_default()
    }

    /// What media became that were brought from elsewhere, by address; an unreadable memory is none.
    pub(crate) fn fetched(&self) -> Vec<(String, Hash)> {
        let read: BTreeMap<String, String> =
            read_json(&self.dir.join("fetched.json")).unwrap_or_default();
        let known = read.into_iter();
        known
            .filter_map(|(address, hash)| Some((address, Hash::parse(&hash).ok()?)))
            .collect()
    }

    /// Remembers what media became.
    pub(crate) fn keep_fetched(&self, became: &BTreeMap<String, Hash>) -> Result<(), Stop> {
        let file: BTreeMap<&String, String> = became
            .iter()
            .map(|(address, hash)| (address, hash.to_string()))
            .collect();
        write_json(&self.dir.join("fetched.json"), &file)
    }

    /// What became of texts that were imported, by where they came from; an unreadable memory is none.
    pub(crate) fn imported(&self) -> Vec<(String, EntryId)> {
        let read: BTreeMap<String, String> =
            read_json(&self.dir.join("imported.json")).unwrap_or_default();
        let known = read.into_iter();
        known
            .filter_map(|(source, id)| Some((source, Hash::parse(&id).ok()?)))
            .collect()
    }

    /// Remembers what became of texts.
    pub(crate) fn keep_imported(&self, became: &BTreeMap<String, EntryId>) -> Result<(), Stop> {
        let file: BTreeMap<&String, String> = became
            .iter()
            .map(|(source, id)| (source, id.to_string()))
            .collect();
        write_json(&self.dir.join("imported.json"), &file)
    }

    /// Remembers the log.
    pub(crate) fn keep_copy(&self, copy: &CopyFile) -> Result<(), Stop> {
        write_json(&self.dir.join("log.json"), copy)
    }

    /// Forgets the whole blog: a claim that was refused.
    pub(crate) fn discard(self) -> Result<(), Stop> {
        fs::remove_dir_all(&self.dir).map_err(|why| Stop::disk(&self.dir, why))
    }
}

fn read_outbox(dir: &Path) -> Result<Vec<Waiting>, Stop> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let paths = list(dir)?;
    let mut waiting = paths
        .iter()
        .map(|path| Waiting::read(path))
        .collect::<Result<Vec<_>, _>>()?;
    waiting.sort_by_key(|w| (w.sequence(), w.id()));
    Ok(waiting)
}

/// The files of a folder that were written to their end, by name.
fn list(dir: &Path) -> Result<Vec<PathBuf>, Stop> {
    let entries = fs::read_dir(dir).map_err(|why| Stop::disk(dir, why))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|why| Stop::disk(dir, why))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('.') {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn file_name(waiting: &Waiting) -> String {
    format!("{}.json", stem(waiting.sequence(), waiting.id()))
}

/// What the file of an entry is called: its place, then enough of its id.
pub(crate) fn stem(sequence: u64, id: EntryId) -> String {
    format!("{sequence:08}-{}", &hex(id)[..12])
}

fn hex(hash: Hash) -> String {
    hash.path().trim_start_matches("sha256-").to_owned()
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Stop> {
    let bytes = fs::read(path).map_err(|why| Stop::disk(path, why))?;
    serde_json::from_slice(&bytes).map_err(|why| Stop::disk(path, why))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Stop> {
    let bytes = serde_json::to_vec(value).map_err(|why| Stop::disk(path, why))?;
    durable(path, &bytes)
}

/// Writes a file whole or not at all; when this returns it outlives a crash of the machine.
fn durable(path: &Path, bytes: &[u8]) -> Result<(), Stop> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|why: io::Error| Stop::disk(path, why))
}

#[cfg(test)]
mod tests {
    use spokes_log::secret::SecretKey;

    use super::*;
    use crate::author::{chain_for_tests, now};

    struct Desk {
        dir: tempfile::TempDir,
        console: Console,
    }

    impl Desk {
        fn new() -> Self {
            Self {
                dir: tempfile::tempdir().expect("a folder"),
                console: Console::captured(&[]).0,
            }
        }

        /// Every call is another process after a kill -9.
        async fn shelf(&self) -> Shelf {
            let home = Home::open(self.dir.path(), Hash::of(b"network")).expect("a home");
            home.shelf(Hash::of(b"blog"), &self.console)
                .await
                .expect("a shelf")
        }
    }

    fn entries() -> Vec<SealedEntry> {
        let mut key = SecretKey::generate("Maria", now() - 60).expect("a key");
        chain_for_tests(&mut key, &["one", "two", "three"])
    }

    #[tokio::test]
    async fn the_outbox_outlives_a_kill_at_every_step() {
        let (desk, entries) = (Desk::new(), entries());
        let mut waiting = Waiting::new(entries[1].clone(), Some("one.md".to_owned()));
        let shelf = desk.shelf().await;
        assert!(shelf.outbox().expect("read").is_empty());
        // Killed in the middle of writing: a file that was never renamed.
        fs::write(shelf.dir.join("outbox/.new-x"), b"{\"entry\":").expect("written");
        assert!(shelf.outbox().expect("read").is_empty());
        shelf.keep(&waiting).expect("kept");
        drop(shelf);
        let shelf = desk.shelf().await;
        let read = shelf.outbox().expect("read");
        assert_eq!(
            (read.len(), read[0].sent, read[0].id()),
            (1, false, waiting.id())
        );
        shelf.sent(&mut waiting).expect("noted");
        drop(shelf);
        let shelf = desk.shelf().await;
        assert!(shelf.outbox().expect("read")[0].sent);
        // Killed between the receipts and the removal: both are there, and it goes out once more.
        shelf.safe(&waiting, &[]).expect("kept");
        shelf.keep(&waiting).expect("kept");
        shelf.safe(&waiting, &[]).expect("kept");
        assert!(shelf.outbox().expect("read").is_empty());
        assert!(shelf.receipts().expect("read").is_empty());
    }

    #[tokio::test]
    async fn of_two_forms_of_one_text_the_later_stays() {
        let (desk, entries) = (Desk::new(), entries());
        let shelf = desk.shelf().await;
        let old = Waiting::new(entries[1].clone(), None);
        let mut new = Waiting::new(entries[2].clone(), None);
        new.stands_for = vec![old.id()];
        shelf.keep(&old).expect("kept");
        shelf.keep(&new).expect("kept");
        let left: Vec<_> = shelf
            .outbox()
            .expect("read")
            .iter()
            .map(Waiting::id)
            .collect();
        assert_eq!(left, [new.id()]);
        shelf.refuse(&new).expect("moved");
        assert!(shelf.outbox().expect("read").is_empty());
        assert_eq!(shelf.refused().expect("read").len(), 1);
    }

    #[tokio::test]
    async fn a_damaged_file_is_named_and_media_are_swept() {
        let (desk, entries) = (Desk::new(), entries());
        let shelf = desk.shelf().await;
        shelf.keep_medium(Hash::of(b"pic"), b"pic").expect("kept");
        assert_eq!(
            shelf.medium(Hash::of(b"pic")).as_deref(),
            Some(b"pic".as_slice())
        );
        shelf.sweep().expect("swept");
        assert_eq!(shelf.medium(Hash::of(b"pic")), None, "nothing lists it");
        let waiting = Waiting::new(entries[1].clone(), None);
        shelf.keep(&waiting).expect("kept");
        let path = shelf.dir.join("outbox").join(file_name(&waiting));
        let text = fs::read_to_string(&path)
            .expect("there")
            .replace("words of one", "lies");
        fs::write(&path, text).expect("written");
        let why = shelf.outbox().expect_err("damaged").to_string();
        assert!(why.contains("damaged") && why.contains("outbox"), "{why}");
    }

    #[tokio::test]
    async fn two_processes_are_kept_apart() {
        let desk = Desk::new();
        let first = desk.shelf().await;
        let waits = tokio::time::timeout(LOCK_PAUSE * 2, desk.shelf()).await;
        assert!(waits.is_err(), "the second waits");
        drop(first);
        assert!(
            tokio::time::timeout(LOCK_PAUSE * 2, desk.shelf())
                .await
                .is_ok()
        );
    }
}
