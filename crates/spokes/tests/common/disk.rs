//! A disk that keeps what it promised and nothing else: a file's bytes after its fsync or fdatasync,
//! a folder's names after the folder's own fsync. Of the rest it may have kept anything when the
//! power goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use super::{
    Random,
    trace::{Call, Step, Trace},
};

/// What a disk keeps or loses as a whole.
const SECTOR: usize = 512;
/// Calls that change a disk in ways that this one does not know.
const UNKNOWN: [&str; 12] = [
    "open",
    "creat",
    "pwritev",
    "pwritev2",
    "truncate",
    "sync_file_range",
    "copy_file_range",
    "sendfile",
    "io_uring_setup",
    "symlink",
    "symlinkat",
    "sendmmsg",
];

type Inode = usize;

/// What becomes of changes that were not yet made durable.
#[derive(Debug)]
pub(crate) enum Fate {
    /// None of them is there.
    Nothing,
    /// All are.
    Everything,
    /// Each is there, or not, or some of its sectors are.
    Chance(Random),
}

impl Fate {
    fn keeps(&mut self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Chance(random) => random.below(2) == 0,
        }
    }

    /// Whether a write that was not lost as a whole is there as a whole.
    fn keeps_whole(&mut self) -> bool {
        match self {
            Self::Chance(random) => random.below(2) == 0,
            _ => true,
        }
    }
}

#[derive(Clone, Debug)]
enum Change {
    Bytes {
        at: usize,
        bytes: Vec<u8>,
    },
    Length(usize),
    /// Names in a folder come and go together in one rename.
    Names {
        gone: Option<OsString>,
        new: Option<(OsString, Inode)>,
    },
}

#[derive(Debug)]
enum Kept {
    File(Vec<u8>),
    Folder(BTreeMap<OsString, Inode>),
}

#[derive(Debug)]
struct Node {
    durable: Kept,
    /// In the order in which they were made.
    pending: Vec<Change>,
    /// How long the file is, and what the folder holds, for those who ask now.
    length: usize,
    names: BTreeMap<OsString, Inode>,
}

/// An open file.
#[derive(Clone, Debug)]
struct Open {
    inode: Inode,
    position: usize,
    append: bool,
}

/// What a disk does not hear: with a deaf ear it loses what it promised, which a test must notice.
pub(crate) type Deaf = fn(&Path) -> bool;

/// The part of a disk below one folder.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    open: BTreeMap<i64, Open>,
    /// By a call that is under way: its file, and how many changes it makes durable.
    syncing: BTreeMap<usize, (Inode, usize)>,
    /// By a call that is under way: the file as its number was understood when it began.
    writing: BTreeMap<usize, Open>,
    deaf: Deaf,
}

/// Folders and files as they are found when the power is back.
pub(crate) type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

impl Disk {
    /// An empty folder that has always been there.
    pub(crate) fn new(root: &Path, deaf: Deaf) -> Self {
        Self {
            root: root.to_owned(),
            nodes: vec![Node::new(Kept::Folder(BTreeMap::new()))],
            open: BTreeMap::new(),
            syncing: BTreeMap::new(),
            writing: BTreeMap::new(),
            deaf,
        }
    }

    /// Takes in one step of a story.
    pub(crate) fn take(&mut self, trace: &Trace, step: Step) {
        match step {
            Step::Starts => {
                self.open.clear();
                self.syncing.clear();
                self.writing.clear();
            }
            Step::Begins(place) => self.begins(place, &trace.calls[place]),
            Step::Ends(place) => self.ends(place, &trace.calls[place]),
        }
    }

    fn begins(&mut self, place: usize, call: &Call) {
        let name = call.name.as_str();
        match name {
            // The number is free as soon as the system hears this.
            "close" => drop(self.open.remove(&call.number(0))),
            "fsync" | "fdatasync" => {
                let Some(open) = self.open.get(&call.number(0)) else {
                    return;
                };
                let inode = open.inode;
                let path = self.path_of(inode);
                if !(self.deaf)(&path.unwrap_or_default()) {
                    let pending = self.nodes[inode].pending.len();
                    self.syncing.insert(place, (inode, pending));
                }
            }
            "write" | "writev" | "pwrite64" | "ftruncate" | "fallocate" => {
                if let Some(open) = self.open.get(&call.number(0)) {
                    self.writing.insert(place, open.clone());
                }
            }
            "mmap" => self.look_at_map(call),
            _ if UNKNOWN.contains(&name) => {
                let here = (0..2).any(|n| self.inside(call.path(n)).is_some());
                assert!(!here, "this disk does not know {name}");
            }
            _ => {}
        }
    }

    fn ends(&mut self, place: usize, call: &Call) {
        let result = call.result.unwrap_or(-1);
        let synced = self.syncing.remove(&place);
        let written = self.writing.remove(&place);
        if result < 0 {
            return;
        }
        match call.name.as_str() {
            "openat" => self.opened(call, result),
            "dup" | "dup2" | "dup3" => self.copied(call.number(0), result),
            "fcntl" if call.word(1).starts_with("F_DUPFD") => self.copied(call.number(0), result),
            "lseek" => {
                if let Some(open) = self.open.get_mut(&call.number(0)) {
                    open.position = usize::try_from(result).unwrap();
                }
            }
            "fsync" | "fdatasync" => {
                if let Some((inode, count)) = synced {
                    self.settle(inode, count);
                }
            }
            "write" | "writev" | "pwrite64" => {
                if let Some(open) = written {
                    self.wrote(call, &open, usize::try_from(result).unwrap());
                }
            }
            "ftruncate" => {
                if let Some(open) = written {
                    self.resized(open.inode, usize::try_from(call.number(1)).unwrap());
                }
            }
            "fallocate" => assert!(written.is_none(), "this disk does not know fallocate"),
            "mkdir" => self.made(call.path(0)),
            "mkdirat" => self.made(call.path(0)),
            "rename" | "renameat" | "renameat2" => self.renamed(call.path(0), call.path(1)),
            "unlink" | "unlinkat" | "rmdir" => self.removed(call.path(0)),
            "link" | "linkat" => {
                let inside = self.inside(call.path(1)).is_some();
                assert!(!inside, "this disk does not know links");
            }
            _ => {}
        }
    }

    /// Memory of files is shared for the index of a write-ahead log alone, which is never kept.
    fn look_at_map(&self, call: &Call) {
        let shared = call.word(3).contains("MAP_SHARED") && call.word(2).contains("PROT_WRITE");
        let file = call
            .word(4)
            .parse()
            .ok()
            .and_then(|file: i64| self.open.get(&file));
        if let Some(path) = file
            .filter(|_| shared)
            .and_then(|open| self.path_of(open.inode))
        {
            assert!(
                is_index(&path),
                "{} is written through memory",
                path.display()
            );
        }
    }

    fn opened(&mut self, call: &Call, file: i64) {
        let Some((folder, name)) = self.inside(call.path(0)) else {
            // The root itself, or a file elsewhere, or one that is not of this disk.
            if call.path(0) == self.root {
                self.open.insert(file, Open::at(0));
            } else {
                self.open.remove(&file);
            }
            return;
        };
        let flags = call.word(2);
        let there = self.nodes[folder].names.get(&name).copied();
        let inode = there.unwrap_or_else(|| {
            assert!(
                flags.contains("O_CREAT"),
                "{call:?} opened what is not there"
            );
            let inode = self.add(Kept::File(Vec::new()));
            self.change(
                folder,
                Change::Names {
                    gone: None,
                    new: Some((name, inode)),
                },
            );
            inode
        });
        if flags.contains("O_TRUNC") && self.nodes[inode].length > 0 {
            self.resized(inode, 0);
        }
        let append = flags.contains("O_APPEND");
        self.open.insert(
            file,
            Open {
                inode,
                position: 0,
                append,
            },
        );
    }

    fn copied(&mut self, from: i64, to: i64) {
        // They would share their position, which nobody here relies on.
        match self.open.get(&from).cloned() {
            Some(open) => drop(self.open.insert(to, open)),
            None => drop(self.open.remove(&to)),
        }
    }

    fn wrote(&mut self, call: &Call, open: &Open, count: usize) {
        let at = if call.name == "pwrite64" {
            usize::try_from(call.number(3)).unwrap()
        } else if open.append {
            self.nodes[open.inode].length
        } else {
            open.position
        };
        let bytes = call.string(0)[..count].to_vec();
        let node = &mut self.nodes[open.inode];
        node.length = node.length.max(at + count);
        node.pending.push(Change::Bytes { at, bytes });
        if call.name != "pwrite64"
            && let Some(open) = self.open.get_mut(&call.number(0))
        {
            open.position = at + count;
        }
    }

    fn resized(&mut self, inode: Inode, length: usize) {
        self.nodes[inode].length = length;
        self.nodes[inode].pending.push(Change::Length(length));
    }

    fn made(&mut self, path: &Path) {
        if let Some((folder, name)) = self.inside(path) {
            let inode = self.add(Kept::Folder(BTreeMap::new()));
            self.change(
                folder,
                Change::Names {
                    gone: None,
                    new: Some((name, inode)),
                },
            );
        }
    }

    fn renamed(&mut self, from: &Path, to: &Path) {
        let (Some((folder, gone)), Some((other, name))) = (self.inside(from), self.inside(to))
        else {
            return;
        };
        assert!(folder == other, "this disk renames within a folder");
        let inode = self.nodes[folder].names[&gone];
        let (gone, new) = (Some(gone), Some((name, inode)));
        self.change(folder, Change::Names { gone, new });
    }

    fn removed(&mut self, path: &Path) {
        if let Some((folder, name)) = self.inside(path) {
            self.change(
                folder,
                Change::Names {
                    gone: Some(name),
                    new: None,
                },
            );
        }
    }

    fn change(&mut self, folder: Inode, change: Change) {
        let mut names = std::mem::take(&mut self.nodes[folder].names);
        change.name(&mut names);
        self.nodes[folder].names = names;
        self.nodes[folder].pending.push(change);
    }

    fn add(&mut self, kept: Kept) -> Inode {
        self.nodes.push(Node::new(kept));
        self.nodes.len() - 1
    }

    fn settle(&mut self, inode: Inode, count: usize) {
        let node = &mut self.nodes[inode];
        // Two who sync one file at once may both have counted the same changes.
        let count = count.min(node.pending.len());
        for change in node.pending.drain(..count) {
            node.durable.apply(&change, &mut Fate::Everything);
        }
    }

    /// The folder and the name that a path leads to, if it is on this disk.
    fn inside(&self, path: &Path) -> Option<(Inode, OsString)> {
        let below = path.strip_prefix(&self.root).ok()?;
        let name = below.file_name()?.to_owned();
        let mut folder = 0;
        for step in below.parent()? {
            folder = *self.nodes[folder].names.get(step)?;
        }
        Some((folder, name))
    }

    fn path_of(&self, inode: Inode) -> Option<PathBuf> {
        let mut folders = vec![(0, PathBuf::new())];
        while let Some((folder, path)) = folders.pop() {
            if folder == inode {
                return Some(path);
            }
            let names = self.nodes[folder].names.iter();
            folders.extend(names.map(|(name, inode)| (*inode, path.join(name))));
        }
        None
    }

    /// What is found when the power goes now.
    pub(crate) fn image(&self, fate: &mut Fate) -> Image {
        let mut image = Image::new();
        let mut folders = vec![(0, PathBuf::new())];
        let mut seen = BTreeSet::new();
        while let Some((inode, path)) = folders.pop() {
            match self.nodes[inode].found(fate) {
                Kept::File(bytes) if !is_index(&path) => {
                    image.insert(path, Some(bytes));
                }
                Kept::File(_) => {}
                Kept::Folder(names) => {
                    assert!(seen.insert(inode), "a folder in itself");
                    folders.extend(names.iter().map(|(name, to)| (*to, path.join(name))));
                    image.insert(path, None);
                }
            }
        }
        image
    }
}

/// Puts an image into a folder.
pub(crate) fn write(image: &Image, to: &Path) {
    for (path, bytes) in image {
        let path = to.join(path);
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::create_dir_all(&path).unwrap(),
        }
    }
}

/// The shared memory of a write-ahead log.
fn is_index(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with("-shm"))
}

impl Open {
    fn at(inode: Inode) -> Self {
        Self {
            inode,
            position: 0,
            append: false,
        }
    }
}

impl Node {
    fn new(durable: Kept) -> Self {
        Self {
            durable,
            pending: Vec::new(),
            length: 0,
            names: BTreeMap::new(),
        }
    }

    fn found(&self, fate: &mut Fate) -> Kept {
        let mut found = match &self.durable {
            Kept::File(bytes) => Kept::File(bytes.clone()),
            Kept::Folder(names) => Kept::Folder(names.clone()),
        };
        for change in &self.pending {
            if fate.keeps() {
                found.apply(change, fate);
            }
        }
        found
    }
}

impl Kept {
    fn apply(&mut self, change: &Change, fate: &mut Fate) {
        match (self, change) {
            (Self::Folder(names), change) => change.name(names),
            (Self::File(kept), Change::Length(length)) => kept.resize(*length, 0),
            (Self::File(kept), Change::Bytes { at, bytes }) => {
                let whole = fate.keeps_whole();
                let mut from = 0;
                while from < bytes.len() {
                    // Sectors are counted from where the file begins.
                    let to = bytes.len().min(((at + from) / SECTOR + 1) * SECTOR - at);
                    if whole || fate.keeps() {
                        kept.resize(kept.len().max(at + to), 0);
                        kept[at + from..at + to].copy_from_slice(&bytes[from..to]);
                    }
                    from = to;
                }
            }
            (Self::File(_), Change::Names { .. }) => panic!("a file holds no names"),
        }
    }
}

impl Change {
    fn name(&self, names: &mut BTreeMap<OsString, Inode>) {
        let Self::Names { gone, new } = self else {
            panic!("a folder holds names");
        };
        if let Some(gone) = gone {
            names.remove(gone);
        }
        if let Some((name, inode)) = new {
            names.insert(name.clone(), *inode);
        }
    }
}
