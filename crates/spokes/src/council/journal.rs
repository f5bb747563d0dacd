//! The council's journal: what a node must never forget, in one file that only grows.
//!
//! Entries of the log, the votes that this node gave, and the place up to which a node that lost its disk
//! is being filled again. What is written together is one block with its length and a checksum, synced
//! before it counts; a block that a loss of power has torn is cut off at the next start, and so was never
//! acknowledged. Damage with a whole block behind it is another thing: that block was written after the
//! damaged one had been synced, so entries are missing that others rely on, and the node refuses to start.
//!
//! Nothing is ever taken out: entries that Raft takes back are only marked as such, and there are no
//! snapshots, since the whole log is what the registry is (WHY.md).

use std::{
    fmt, fs::File, io, ops::Range, os::unix::fs::FileExt as _, path::Path, sync::Arc,
    time::Duration,
};

use crate::{config, outage::Outage};

/// The first bytes of a journal.
const HEADER: &[u8] = b"Spokes-Journal: 1\n";
/// The first bytes of a block, by which the next one is found behind a damaged one.
const MARK: [u8; 4] = [0xc5, b'S', b'J', 0x0a];
/// Mark, length, checksum.
const BLOCK_HEAD: usize = 4 + 4 + 4;
/// Kind, length.
const FRAME_HEAD: usize = 1 + 4;
/// Bytes of one frame: several of the longest requests (32 MiB each) at once.
pub(super) const FRAME_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes from which on a block ends: it is read whole at a start.
const BLOCK_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of a block: one frame may come on top.
const BLOCK_BYTES_MAX: usize = BLOCK_BYTES + FRAME_HEAD + FRAME_BYTES_MAX;
/// Bytes read at a time at a start.
const SCAN_BYTES: usize = 1024 * 1024;

/// Where a journal lies; tests put a disk there that loses power.
pub(super) trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Bytes there.
    fn size(&self) -> io::Result<u64>;
    /// Fills all of `bytes` from a place.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()>;
    /// Writes all of `bytes` at a place.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Cuts off what is behind a place.
    fn cut(&self, at: u64) -> io::Result<()>;
    /// Returns when all that was written and cut is durable.
    fn sync(&self) -> io::Result<()>;
    /// How long a disk in memory pretends to take. On a real one, which says nothing, a thread of its own
    /// waits: then the order of things is not the seed's.
    fn pretends(&self) -> Option<Duration> {
        None
    }
}

impl Disk for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(bytes, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn cut(&self, at: u64) -> io::Result<()> {
        self.set_len(at)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// What is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Frame {
    /// The entry behind the last one.
    Entry(Vec<u8>),
    /// Entries from this index on are taken back.
    TakeBack(u64),
    /// The vote that counts from now on.
    Vote(Vec<u8>),
    /// This node lost what it had, and votes for nobody until it holds so many entries.
    Filling(u64),
}

impl Frame {
    fn kind(&self) -> u8 {
        match self {
            Self::Entry(_) => b'e',
            Self::TakeBack(_) => b't',
            Self::Vote(_) => b'v',
            Self::Filling(_) => b'f',
        }
    }

    /// Adds the frame to a block.
    fn put(&self, block: &mut Vec<u8>) -> io::Result<()> {
        let number;
        let body: &[u8] = match self {
            Self::Entry(body) | Self::Vote(body) => body,
            Self::TakeBack(index) | Self::Filling(index) => {
                number = index.to_le_bytes();
                &number
            }
        };
        if body.len() > FRAME_BYTES_MAX {
            return Err(io::Error::other(format!(
                "{} bytes at once are too many for the journal; it takes {FRAME_BYTES_MAX}",
                body.len()
            )));
        }
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        block.push(self.kind());
        block.extend(length.to_le_bytes());
        block.extend_from_slice(body);
        Ok(())
    }
}

/// A number of four bytes, the lowest first.
fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |n, byte| n << 8 | u32::from(*byte))
}

fn checksum(block: &[u8]) -> u32 {
    crc32fast::hash(block)
}

/// Where an entry's bytes are.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: u64,
    bytes: u32,
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal<D: Disk = File> {
    disk: Arc<D>,
    /// Where the next frame goes.
    end: u64,
    entries: Vec<Place>,
    vote: Option<Vec<u8>>,
    filling: Option<u64>,
    /// After a write that failed nobody knows what is on the disk: nothing more is promised.
    failed: Option<String>,
    /// Bytes that were cut off at the start.
    torn: u64,
    /// What keeps other processes away from the directory, as long as this one may write.
    lock: Option<File>,
}

impl Journal<File> {
    /// Keeps a lock for as long as this journal is open.
    pub(super) fn keep(mut self, lock: File) -> Self {
        self.lock = Some(lock);
        self
    }

    /// Opens a journal, or begins one. What is torn at its end is cut off: nobody else may be writing it.
    ///
    /// # Errors
    /// When it is damaged before its end, of a newer program, or the disk fails.
    pub(super) fn open(path: &Path) -> Result<Self, Outage> {
        let opened = || {
            let is_new = !path.exists();
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            let journal = Self::on(file)?;
            if is_new {
                config::sync_dir(path.parent().unwrap_or(Path::new(".")))?;
            }
            Ok(journal)
        };
        opened().map_err(|e: io::Error| match e.kind() {
            io::ErrorKind::InvalidData => Outage::new(format!(
                "{} cannot be used: {e}. Entries that others rely on are missing, so nothing was served. Empty this \
                 node and have an organizer say \"spokes council refill\", or bring the file back from a backup",
                path.display()
            )),
            _ => Outage::file("opening", path, &e),
        })
    }
}

impl<D: Disk> Journal<D> {
    /// Reads what is on a disk.
    ///
    /// # Errors
    /// As above.
    pub(super) fn on(disk: D) -> io::Result<Self> {
        let mut journal = Self {
            disk: Arc::new(disk),
            end: HEADER.len() as u64,
            entries: Vec::new(),
            vote: None,
            filling: None,
            failed: None,
            torn: 0,
            lock: None,
        };
        let size = journal.disk.size()?;
        if size < journal.end {
            // Not even its first line had become durable.
            journal.disk.cut(0)?;
            journal.disk.write_at(HEADER, 0)?;
            journal.disk.sync()?;
            return Ok(journal);
        }
        let mut header = [0; HEADER.len()];
        journal.disk.read_at(&mut header, 0)?;
        if header != HEADER {
            return Err(io::Error::other(
                "this is no journal that this program reads; nothing was touched. Start the newer program, \
                 or bring the file back from a backup",
            ));
        }
        journal.scan(size)?;
        Ok(journal)
    }

    fn scan(&mut self, size: u64) -> io::Result<()> {
        let mut window = Window::new(Arc::clone(&self.disk), size);
        while self.end < size {
            let Some(block) = window.block(self.end)? else {
                if let Some(next) = window.next_block(self.end + 1)? {
                    let why = format!(
                        "it is damaged between bytes {} and {next}, and goes on behind",
                        self.end
                    );
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
                self.torn = size - self.end;
                self.disk.cut(self.end)?;
                break;
            };
            self.note(self.end, &block)?;
        }
        // A process that was killed between a write and its sync may have left these in memory alone.
        self.disk.sync()
    }

    /// Takes note of a block that is durable.
    fn note(&mut self, at: u64, block: &[u8]) -> io::Result<()> {
        let mut rest = block;
        let behind = |rest: &[u8]| at + (BLOCK_HEAD + block.len() - rest.len()) as u64;
        while let Some((head, more)) = rest.split_at_checked(FRAME_HEAD) {
            let (kind, length) = (head[0], number(&head[1..]));
            let body = more.split_at_checked(length as usize);
            let (body, more) = body.ok_or(io::ErrorKind::InvalidData)?;
            let index = || {
                let index = u64::from_le_bytes(body.try_into().map_err(io::Error::other)?);
                Ok::<_, io::Error>(index)
            };
            match kind {
                b'e' => self.entries.push(Place {
                    at: behind(rest) + FRAME_HEAD as u64,
                    bytes: length,
                }),
                b't' => self
                    .entries
                    .truncate(usize::try_from(index()?).map_err(io::Error::other)?),
                b'v' => self.vote = Some(body.to_vec()),
                b'f' => self.filling = Some(index()?),
                _ => {
                    return Err(io::Error::other(
                        "the journal holds what this program does not know; start the newer program",
                    ));
                }
            }
            rest = more;
        }
        self.end = at + (BLOCK_HEAD + block.len()) as u64;
        Ok(())
    }

    /// Writes frames; they are durable when this returns.
    ///
    /// # Errors
    /// When the disk fails: from then on every write does.
    pub(super) fn write(&mut self, frames: &[Frame]) -> io::Result<()> {
        let mut block = Vec::new();
        for frame in frames {
            if block.len() > BLOCK_BYTES {
                self.write_block(&block)?;
                block.clear();
            }
            frame.put(&mut block)?;
        }
        self.write_block(&block)
    }

    fn write_block(&mut self, block: &[u8]) -> io::Result<()> {
        if let Some(why) = &self.failed {
            return Err(io::Error::other(why.clone()));
        }
        let length = u32::try_from(block.len()).map_err(io::Error::other)?;
        let head = [MARK, length.to_le_bytes(), checksum(block).to_le_bytes()].concat();
        let written = self
            .disk
            .write_at(&[&head, block].concat(), self.end)
            .and_then(|()| self.disk.sync());
        if let Err(error) = written {
            self.failed = Some(format!(
                "the journal could not be written ({error}); this node takes nothing more until it is \
                 started again. What was acknowledged is safe"
            ));
            return Err(error);
        }
        self.note(self.end, block)
    }

    /// Its disk.
    pub(super) fn disk(&self) -> &D {
        &self.disk
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The vote given last.
    pub(super) fn vote(&self) -> Option<&[u8]> {
        self.vote.as_deref()
    }

    /// Up to how many entries this node is being filled, if it is.
    pub(super) fn filling(&self) -> Option<u64> {
        self.filling.filter(|until| self.len() < *until)
    }

    /// Bytes of a torn write that were cut off at the start.
    pub(super) fn torn(&self) -> u64 {
        self.torn
    }

    /// Entries of a range, as many from the first on as fit into `bytes_max`, at least one.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn read(&self, range: Range<u64>, bytes_max: u64) -> io::Result<Vec<Vec<u8>>> {
        let index = |at: u64| usize::try_from(at.min(self.len())).map_err(io::Error::other);
        let places = self.entries.get(index(range.start)?..index(range.end)?);
        let (mut read, mut sum) = (Vec::new(), 0);
        for place in places.unwrap_or_default() {
            sum += u64::from(place.bytes);
            if sum > bytes_max && !read.is_empty() {
                break;
            }
            let mut body = vec![0; place.bytes as usize];
            self.disk.read_at(&mut body, place.at)?;
            read.push(body);
        }
        Ok(read)
    }
}

/// A piece of the file in memory, so that small blocks cost no read each.
struct Window<D: Disk> {
    disk: Arc<D>,
    size: u64,
    begin: u64,
    bytes: Vec<u8>,
}

impl<D: Disk> Window<D> {
    fn new(disk: Arc<D>, size: u64) -> Self {
        let (begin, bytes) = (0, Vec::new());
        Self {
            disk,
            size,
            begin,
            bytes,
        }
    }

    /// Bytes at a place; none where the file ends before.
    fn at(&mut self, at: u64, bytes: usize) -> io::Result<Option<&[u8]>> {
        let Some(end) = at.checked_add(bytes as u64).filter(|end| *end <= self.size) else {
            return Ok(None);
        };
        if at < self.begin || end > self.begin + self.bytes.len() as u64 {
            let left = usize::try_from(self.size - at).unwrap_or(usize::MAX);
            self.bytes.resize(bytes.max(SCAN_BYTES).min(left), 0);
            self.begin = at;
            self.disk.read_at(&mut self.bytes, at)?;
        }
        let from = usize::try_from(at - self.begin).map_err(io::Error::other)?;
        Ok(self.bytes.get(from..from + bytes))
    }

    /// The block at a place, if a whole one is there.
    fn block(&mut self, at: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(head) = self.at(at, BLOCK_HEAD)? else {
            return Ok(None);
        };
        let (mark, length, sum) = (&head[..4], number(&head[4..8]), number(&head[8..]));
        if mark != MARK || length as usize > BLOCK_BYTES_MAX {
            return Ok(None);
        }
        let block = self.at(at + BLOCK_HEAD as u64, length as usize)?;
        let block = block.filter(|block| checksum(block) == sum);
        Ok(block.map(<[u8]>::to_vec))
    }

    /// Where the next whole block begins.
    fn next_block(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut at = from;
        while at + BLOCK_HEAD as u64 <= self.size {
            let look = usize::try_from(self.size - at)
                .unwrap_or(usize::MAX)
                .min(SCAN_BYTES);
            let Some(bytes) = self.at(at, look)? else {
                return Ok(None);
            };
            let found = bytes.windows(MARK.len()).position(|four| four == MARK);
            let Some(found) = found else {
                // A mark may lie across the end of what was looked at.
                at += (look.max(MARK.len()) - MARK.len() + 1) as u64;
                continue;
            };
            at += found as u64;
            if self.block(at)?.is_some() {
                return Ok(Some(at));
            }
            at += 1;
        }
        Ok(None)
    }
}

#[cfg(test)]
pub(super) mod testing {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// A disk that forgets what was not synced, in pieces of a sector, some of them kept.
    #[derive(Clone, Debug, Default)]
    pub(in super::super) struct FaultyDisk(Arc<Mutex<Platter>>);

    #[derive(Debug, Default)]
    struct Platter {
        durable: Vec<u8>,
        seen: Vec<u8>,
        /// Writes and syncs until the disk fails; none: never.
        left: Option<u32>,
        /// Planted: a sync returns before anything is durable, which it is only at the next one.
        syncs_late: bool,
        /// What was written when the last sync returned, where it is late.
        late: Vec<u8>,
        /// How long an access takes, if this disk is part of a seeded run.
        pretends: Option<Duration>,
    }

    const SECTOR: usize = 512;

    impl FaultyDisk {
        /// Fails after so many operations.
        pub(in super::super) fn fail_after(&self, operations: u32) {
            self.platter().left = Some(operations);
        }

        /// Takes so long for each access from now on, without a thread of its own.
        pub(in super::super) fn pretend(&self, takes: Duration) {
            self.platter().pretends = Some(takes);
        }

        /// Plants a bug: what is acknowledged is durable only at the sync after it.
        pub(in super::super) fn sync_late(&self) {
            let mut platter = self.platter();
            platter.syncs_late = true;
            platter.late = platter.durable.clone();
        }

        /// Works again: there is room, or the cable is in its place.
        pub(in super::super) fn mend(&self) {
            self.platter().left = None;
        }

        /// Loses power; `kept` says of each sector that was not synced whether it had been written.
        pub(in super::super) fn lose_power(&self, mut kept: impl FnMut() -> bool) {
            let mut platter = self.platter();
            let mut left = platter.durable.clone();
            // The file's length is a sector of its own: with it new sectors appear, empty at first.
            if kept() {
                left.resize(platter.seen.len(), 0);
            }
            for at in (0..left.len().min(platter.seen.len())).step_by(SECTOR) {
                let end = (at + SECTOR).min(left.len()).min(platter.seen.len());
                if kept() {
                    left[at..end].copy_from_slice(&platter.seen[at..end]);
                }
            }
            platter.durable.clone_from(&left);
            platter.late.clone_from(&left);
            platter.seen = left;
            platter.left = None;
        }

        /// Changes a byte that was durable.
        pub(in super::super) fn rot(&self, at: usize) {
            let mut platter = self.platter();
            platter.seen[at] ^= 1;
            platter.durable = platter.seen.clone();
        }

        fn platter(&self) -> std::sync::MutexGuard<'_, Platter> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Platter {
        fn work(&mut self) -> io::Result<()> {
            match &mut self.left {
                Some(0) => Err(io::Error::other("the disk has failed")),
                Some(left) => {
                    *left -= 1;
                    Ok(())
                }
                None => Ok(()),
            }
        }
    }

    impl Disk for FaultyDisk {
        fn size(&self) -> io::Result<u64> {
            Ok(self.platter().seen.len() as u64)
        }

        fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
            let at = usize::try_from(at).unwrap();
            let platter = self.platter();
            let read = platter.seen.get(at..at + bytes.len());
            bytes.copy_from_slice(read.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }

        fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
            let at = usize::try_from(at).unwrap();
            let mut platter = self.platter();
            let failed = platter.work();
            // A write that fails has written something all the same.
            let written = if failed.is_err() {
                bytes.len() / 2
            } else {
                bytes.len()
            };
            if platter.seen.len() < at + written {
                platter.seen.resize(at + written, 0);
            }
            platter.seen[at..at + written].copy_from_slice(&bytes[..written]);
            failed
        }

        fn cut(&self, at: u64) -> io::Result<()> {
            let mut platter = self.platter();
            platter.work()?;
            platter.seen.truncate(usize::try_from(at).unwrap());
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            let mut platter = self.platter();
            platter.work()?;
            let seen = platter.seen.clone();
            platter.durable = if platter.syncs_late {
                std::mem::replace(&mut platter.late, seen)
            } else {
                seen
            };
            Ok(())
        }

        fn pretends(&self) -> Option<Duration> {
            self.platter().pretends
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{testing::FaultyDisk, *};

    fn all<D: Disk>(journal: &Journal<D>) -> Vec<Vec<u8>> {
        journal.read(0..journal.len(), u64::MAX).unwrap()
    }

    fn entry(bytes: usize) -> Frame {
        Frame::Entry(vec![bytes as u8; bytes])
    }

    #[test]
    fn what_was_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.journal");
        let mut journal = Journal::open(&path).unwrap();
        journal
            .write(&[entry(3), entry(0), Frame::Vote(b"one".to_vec())])
            .unwrap();
        journal
            .write(&[Frame::TakeBack(1), entry(2_000_000), Frame::Filling(3)])
            .unwrap();
        let again = Journal::open(&path).unwrap();
        assert_eq!(all(&again), [vec![3; 3], vec![128; 2_000_000]]);
        assert_eq!(all(&again), all(&journal));
        assert_eq!(again.vote(), Some(&b"one"[..]));
        assert_eq!((again.filling(), again.torn()), (Some(3), 0));
        assert_eq!(
            again.read(0..9, 2).unwrap().len(),
            1,
            "one at least, however long"
        );
    }

    #[test]
    fn a_node_that_is_filled_is_filling_no_more() {
        let mut journal = Journal::on(FaultyDisk::default()).unwrap();
        journal.write(&[Frame::Filling(2), entry(1)]).unwrap();
        assert_eq!(journal.filling(), Some(2));
        journal.write(&[entry(1)]).unwrap();
        assert_eq!(journal.filling(), None);
    }

    #[test]
    fn damage_before_the_end_is_told_and_touches_nothing() {
        let disk = FaultyDisk::default();
        let mut journal = Journal::on(disk.clone()).unwrap();
        (0..3).for_each(|_| journal.write(&[entry(3_000_000)]).unwrap());
        let size = disk.size().unwrap();
        disk.rot(3_500_000);
        let why = Journal::on(disk.clone()).unwrap_err().to_string();
        assert!(
            why.contains("damaged between bytes 3000035 and 6000052"),
            "{why}"
        );
        assert_eq!(disk.size().unwrap(), size);
    }

    #[test]
    fn after_a_write_that_failed_nothing_is_promised() {
        let disk = FaultyDisk::default();
        let mut journal = Journal::on(disk.clone()).unwrap();
        journal.write(&[entry(1)]).unwrap();
        disk.fail_after(1);
        assert!(journal.write(&[entry(2)]).is_err(), "the sync fails");
        disk.lose_power(|| true);
        assert!(
            journal.write(&[entry(3)]).is_err(),
            "though the disk works again"
        );
        assert!(Journal::on(disk).unwrap().len() >= 1);
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_it_is_written() {
        let disk = FaultyDisk::default();
        let mut journal = Journal::on(disk.clone()).unwrap();
        let size = disk.size().unwrap();
        assert!(journal.write(&[entry(FRAME_BYTES_MAX + 1)]).is_err());
        assert_eq!(disk.size().unwrap(), size);
        assert!(journal.write(&[entry(1)]).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Power goes at any moment, with any of the sectors written that were not synced: what was
        /// acknowledged is there, in order, and behind it at most what was being written.
        #[test]
        fn what_was_acknowledged_outlives_a_loss_of_power(
            writes in prop::collection::vec(prop::collection::vec(0_usize..2_000, 1..4), 1..8),
            fails in 0_u32..20,
            kept in prop::collection::vec(any::<bool>(), 64),
        ) {
            let disk = FaultyDisk::default();
            let mut journal = Journal::on(disk.clone()).unwrap();
            disk.fail_after(fails);
            let (mut acknowledged, mut tried) = (Vec::new(), Vec::new());
            for sizes in &writes {
                let frames: Vec<Frame> = sizes.iter().map(|size| entry(*size)).collect();
                tried = acknowledged.clone();
                tried.extend(sizes.iter().map(|size| vec![*size as u8; *size]));
                if journal.write(&frames).is_err() {
                    break;
                }
                acknowledged.clone_from(&tried);
            }
            let mut kept = kept.into_iter().cycle();
            disk.lose_power(|| kept.next().unwrap_or_default());
            let found = all(&Journal::on(disk.clone()).unwrap());
            prop_assert!(found.starts_with(&acknowledged));
            prop_assert!(tried.starts_with(&found));
            // And it goes on from there.
            let mut journal = Journal::on(disk).unwrap();
            journal.write(&[entry(7)]).unwrap();
            prop_assert_eq!(all(&journal).len(), found.len() + 1);
        }
    }
}
