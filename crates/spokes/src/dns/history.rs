//! What changed from one version of the zone to the next, on disk, so that a mirror that was away gets that and not
//! all (RFC 1995).
//!
//! Two files: when the newer one is full it becomes the older one, and what was that goes. They can be lost: then
//! mirrors get the whole zone once. So nothing is synced, and what is torn is cut off.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::base::iana::Rtype;

use crate::dns::encode::{WireName, WireSets};
use crate::dns::seal::Whole;
use crate::dns::zone::Change;

/// Bytes kept in both files: the changes of days, and less than a mirror would take up otherwise.
pub(crate) const HISTORY_BYTES: u64 = 64 * 1024 * 1024;
/// Length, checksum, the serials before and after, bytes of what went.
const FRAME_HEAD: usize = 5 * 4;
/// The newer file, and the older one.
const FILES: [&str; 2] = ["zone.history", "zone.history.old"];

/// Records that went and records that came, the SOA first in both.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    gone: Vec<u8>,
    come: Vec<u8>,
}

impl Difference {
    /// Notes what a name answers now and did not, and the other way around.
    pub(crate) fn note(&mut self, change: &Change, apex: &WireName) {
        let records = |sets: &[u8]| -> BTreeSet<Vec<u8>> {
            let whole = Whole::new(&change.name, WireSets::of(sets), apex);
            whole.records().into_iter().collect()
        };
        let (before, after) = (records(&change.before), records(&change.after));
        let lists = [
            (&mut self.gone, before.difference(&after)),
            (&mut self.come, after.difference(&before)),
        ];
        for (list, bodies) in lists {
            let (soa, others): (Vec<_>, Vec<_>) = bodies.partition(|body| is_soa(body));
            for body in soa.into_iter().chain(others) {
                put(list, &change.name, body);
            }
        }
    }
}

/// Whether a record without its owner is the start of authority.
pub(crate) fn is_soa(body: &[u8]) -> bool {
    body.starts_with(&Rtype::SOA.to_int().to_be_bytes())
}

/// Adds a record to a list.
fn put(list: &mut Vec<u8>, name: &[u8], body: &[u8]) {
    list.push(u8::try_from(name.len()).expect("a name has 255 bytes at most"));
    list.extend_from_slice(name);
    let length = u32::try_from(body.len()).expect("data of a record has 65,535 bytes at most");
    list.extend_from_slice(&length.to_be_bytes());
    list.extend_from_slice(body);
}

/// The records of a list: owner without the apex, and the rest.
pub(crate) fn records(mut list: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (length, rest) = list.split_first()?;
        let (name, rest) = rest.split_at_checked((*length).into())?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (body, rest) = rest.split_at_checked(length)?;
        list = rest;
        Some((name, body))
    })
}

/// Where a difference stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    from: u32,
    to: u32,
    /// Behind its head.
    at: u64,
    gone: u32,
    bytes: u32,
}

/// One file.
#[derive(Debug)]
struct Volume {
    file: Arc<File>,
    frames: Vec<Frame>,
    end: u64,
}

impl Volume {
    /// Opens a file, or begins it; what is torn at its end does not count.
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let (mut frames, mut end, size) = (Vec::<Frame>::new(), 0, file.metadata()?.len());
        while let Some((frame, next)) = read_frame(&file, end, size)? {
            if frames.last().is_some_and(|last| last.to != frame.from) {
                break;
            }
            frames.push(frame);
            end = next;
        }
        file.set_len(end)?;
        let file = Arc::new(file);
        Ok(Self { file, frames, end })
    }

    fn cut_behind(&mut self, serial: u32) -> io::Result<()> {
        while self.frames.last().is_some_and(|last| last.to != serial) {
            let last = self.frames.pop().expect("there is one");
            self.end = last.at - FRAME_HEAD as u64;
        }
        if self.frames.is_empty() {
            self.end = 0;
        }
        self.file.set_len(self.end)
    }
}

fn read_frame(file: &File, at: u64, size: u64) -> io::Result<Option<(Frame, u64)>> {
    let behind = at + FRAME_HEAD as u64;
    if behind > size {
        return Ok(None);
    }
    let mut head = [0; FRAME_HEAD];
    file.read_exact_at(&mut head, at)?;
    let number = |n: usize| {
        let bytes = head[4 * n..4 * n + 4].try_into().expect("four bytes");
        u32::from_be_bytes(bytes)
    };
    let (bytes, checksum, gone) = (number(0), number(1), number(4));
    let next = behind + u64::from(bytes);
    if next > size || u64::from(bytes) > HISTORY_BYTES || gone > bytes {
        return Ok(None);
    }
    let mut body = vec![0; bytes as usize];
    file.read_exact_at(&mut body, behind)?;
    if checksum_of(&head[8..], &body) != checksum {
        return Ok(None);
    }
    let frame = Frame {
        from: number(2),
        to: number(3),
        at: behind,
        gone,
        bytes,
    };
    Ok(Some((frame, next)))
}

fn checksum_of(head: &[u8], body: &[u8]) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(head);
    checksum.update(body);
    checksum.finalize()
}

/// The differences of late.
#[derive(Debug)]
pub(crate) struct History {
    dir: PathBuf,
    newer: Volume,
    older: Volume,
    bytes_max: u64,
}

impl History {
    /// Opens what is kept in a directory, as far as it leads to the version that the zone has.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn open(dir: &Path, serial: u32) -> io::Result<Self> {
        Self::open_with(dir, serial, HISTORY_BYTES)
    }

    fn open_with(dir: &Path, serial: u32, bytes_max: u64) -> io::Result<Self> {
        let [newer, older] = FILES.map(|name| Volume::open(&dir.join(name)));
        let (mut newer, mut older) = (newer?, older?);
        newer.cut_behind(serial)?;
        let first = newer.frames.first().map_or(serial, |first| first.from);
        older.cut_behind(first)?;
        let dir = dir.to_owned();
        Ok(Self {
            dir,
            newer,
            older,
            bytes_max,
        })
    }

    /// Forgets all: the zone is another one.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        let volumes = [&mut self.newer, &mut self.older];
        for (volume, name) in volumes.into_iter().zip(FILES) {
            let path = self.dir.join(name);
            // Whoever reads it goes on with what it was.
            fs::remove_file(&path)?;
            *volume = Volume::open(&path)?;
        }
        Ok(())
    }

    /// Keeps what led from one version to the next. One that is longer than a file is not kept, and nothing before
    /// it: whoever needs it does better with the whole zone.
    ///
    /// # Errors
    /// When the disk fails; then nothing is kept.
    pub(crate) fn add(&mut self, from: u32, to: u32, difference: &Difference) -> io::Result<()> {
        let added = self.try_add(from, to, difference);
        if added.is_err() {
            self.clear()?;
        }
        added
    }

    fn try_add(&mut self, from: u32, to: u32, difference: &Difference) -> io::Result<()> {
        let bytes = difference.gone.len() + difference.come.len();
        let volume_max = self.bytes_max / 2;
        let follows = self.last().is_none_or(|last| last == from);
        if !follows || (FRAME_HEAD + bytes) as u64 > volume_max {
            return self.clear();
        }
        if self.newer.end + (FRAME_HEAD + bytes) as u64 > volume_max {
            let [newer, older] = FILES.map(|name| self.dir.join(name));
            fs::rename(&newer, older)?;
            self.older = std::mem::replace(&mut self.newer, Volume::open(&newer)?);
        }
        let short = |n: usize| u32::try_from(n).map_err(io::Error::other);
        let (bytes, gone) = (short(bytes)?, short(difference.gone.len())?);
        let body = [&difference.gone[..], &difference.come].concat();
        let head = [from, to, gone].map(u32::to_be_bytes).concat();
        let checksum = checksum_of(&head, &body);
        let frame = [
            &bytes.to_be_bytes()[..],
            &checksum.to_be_bytes(),
            &head,
            &body,
        ];
        let frame = frame.concat();
        self.newer.file.write_all_at(&frame, self.newer.end)?;
        self.newer.frames.push(Frame {
            from,
            to,
            at: self.newer.end + FRAME_HEAD as u64,
            gone,
            bytes,
        });
        self.newer.end += frame.len() as u64;
        Ok(())
    }

    fn last(&self) -> Option<u32> {
        let volumes = [&self.newer, &self.older];
        let mut last = volumes.iter().filter_map(|volume| volume.frames.last());
        last.next().map(|last| last.to)
    }

    /// All that came since a version, if that is known.
    pub(crate) fn since(&self, serial: u32) -> Option<Since> {
        let volumes = [&self.older, &self.newer];
        let frames = volumes.iter().flat_map(|volume| {
            let file = &volume.file;
            volume.frames.iter().map(|frame| (Arc::clone(file), *frame))
        });
        let frames: Vec<_> = frames
            .skip_while(|(_, frame)| frame.from != serial)
            .collect();
        (!frames.is_empty()).then_some(Since(frames))
    }
}

/// Differences that follow one another, to be read one by one: the files stay as long as this does.
#[derive(Debug)]
pub(crate) struct Since(Vec<(Arc<File>, Frame)>);

impl Since {
    /// Bytes in all.
    pub(crate) fn bytes(&self) -> u64 {
        let frames = self.0.iter();
        frames.map(|(_, frame)| u64::from(frame.bytes)).sum()
    }

    /// Each difference: what went, and what came (see [`records`]).
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn read(self) -> impl Iterator<Item = io::Result<(Vec<u8>, Vec<u8>)>> {
        self.0.into_iter().map(|(file, frame)| {
            let mut gone = vec![0; frame.bytes as usize];
            file.read_exact_at(&mut gone, frame.at)?;
            let come = gone.split_off(frame.gone as usize);
            Ok((gone, come))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{addresses, soa, zone};
    use spokes_rules::zone::{Data, RrSet};

    fn serial(serial: u32) -> Vec<RrSet> {
        let mut soa = soa();
        soa.serial = serial;
        let data = vec![Data::Soa(soa)];
        vec![RrSet { ttl: 3600, data }]
    }

    /// What leads from one version to the next, where a name changes and the serial.
    fn step(from: u32, last: u8) -> Difference {
        let mut zone = zone();
        zone.set("blogs.example.org", serial(from)).unwrap();
        let mut difference = Difference::default();
        let changes = [
            zone.change("blogs.example.org", &serial(from + 1)),
            zone.change("ada.blogs.example.org", &addresses(&[1, last])),
        ];
        for change in changes {
            difference.note(&change.unwrap().unwrap(), zone.apex());
        }
        difference
    }

    fn told(since: Option<Since>) -> Vec<(usize, usize)> {
        let since = since.into_iter().flat_map(Since::read);
        let count = |list: &[u8]| records(list).count();
        since
            .map(|read| {
                read.map(|(gone, come)| (count(&gone), count(&come)))
                    .unwrap()
            })
            .collect()
    }

    #[test]
    fn only_what_differs_is_kept_and_it_is_there_after_a_start() {
        let dir = tempfile::tempdir().unwrap();
        let mut history = History::open(dir.path(), 7).unwrap();
        assert!(history.since(7).is_none());
        // One address of two goes, of each family, and another one comes; so do two SOA records.
        history.add(7, 8, &step(7, 9)).unwrap();
        history.add(8, 9, &step(8, 3)).unwrap();
        assert_eq!(told(history.since(7)), [(3, 3), (3, 3)]);
        assert_eq!(told(history.since(8)), [(3, 3)]);
        assert!(history.since(9).is_none() && history.since(6).is_none());
        drop(history);

        let history = History::open(dir.path(), 9).unwrap();
        assert_eq!(told(history.since(7)), [(3, 3), (3, 3)]);
        drop(history);
        // The zone is an older one: a loss of power took the end of its index.
        let history = History::open(dir.path(), 8).unwrap();
        assert_eq!(told(history.since(7)), [(3, 3)]);
        drop(history);
        // And nothing leads to a zone of another serial.
        let history = History::open(dir.path(), 20).unwrap();
        assert!(history.since(7).is_none());
    }

    #[test]
    fn a_torn_end_is_cut_off_and_a_flipped_bit_ends_what_counts() {
        for damage in [0, 1] {
            let dir = tempfile::tempdir().unwrap();
            let mut history = History::open(dir.path(), 1).unwrap();
            history.add(1, 2, &step(1, 9)).unwrap();
            history.add(2, 3, &step(2, 9)).unwrap();
            let end = history.newer.end;
            drop(history);
            let path = dir.path().join(FILES[0]);
            let mut bytes = fs::read(&path).unwrap();
            if damage == 0 {
                bytes.truncate(bytes.len() - 1);
            } else {
                bytes[end as usize - 9] ^= 1;
            }
            fs::write(&path, bytes).unwrap();
            let history = History::open(dir.path(), 2).unwrap();
            assert_eq!(told(history.since(1)).len(), 1);
            drop(history);
            let history = History::open(dir.path(), 3).unwrap();
            assert!(history.since(1).is_none(), "the last step is missing");
        }
    }

    #[test]
    fn old_differences_go_and_whoever_reads_them_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let step = |from| step(from, 9);
        let bytes = (step(1).gone.len() + step(1).come.len() + FRAME_HEAD) as u64;
        // Two fit a file.
        let mut history = History::open_with(dir.path(), 1, 2 * (2 * bytes + bytes / 2)).unwrap();
        for from in 1..5 {
            history.add(from, from + 1, &step(from)).unwrap();
        }
        let reading = history.since(1);
        assert_eq!(history.since(1).unwrap().0.len(), 4);
        history.add(5, 6, &step(5)).unwrap();
        assert!(history.since(1).is_none() && history.since(2).is_none());
        assert_eq!(told(history.since(3)).len(), 3);
        history.clear().unwrap();
        assert!(history.since(5).is_none());
        assert_eq!(told(reading).len(), 4);
        // A step that does not follow, and one that is longer than a file, end what was.
        history.add(6, 7, &step(6)).unwrap();
        history.add(8, 9, &step(8)).unwrap();
        assert!(history.since(6).is_none() && history.since(8).is_none());
        history.add(9, 10, &step(9)).unwrap();
        let long = Difference {
            gone: Vec::new(),
            come: vec![0; 4 * bytes as usize],
        };
        history.add(10, 11, &long).unwrap();
        assert!(history.since(9).is_none());
    }
}
