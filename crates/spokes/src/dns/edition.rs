//! One version of the zone after the other: changes come in batches, each with a serial, and a whole version can be
//! read while the next ones are published.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use domain::base::iana::Rtype;
use parking_lot::{RwLock, RwLockWriteGuard};
use spokes_rules::zone::Node;
use tokio::sync::watch;

use crate::dns::encode::{BadNode, WireName, WireSets};
use crate::dns::history::{Difference, History, Since, is_soa};
use crate::dns::seal::Whole;
use crate::dns::sheets::Sheets;
use crate::dns::signing::{Draft, Written};
use crate::dns::zone::{Change, SHARDS, SharedZone, Zone};

/// Names that are published under one lock: a spoke may have 100,000 of them, and readers who ask for others do not
/// wait for all.
const PUBLISHED_AT_ONCE: usize = 500;
/// Bytes of old records that are kept for one copy that is being read: who takes longer begins again.
const COPY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The zone, and how it came to be what it is.
#[derive(Clone, Debug)]
pub struct Editions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    zone: SharedZone,
    /// Held as long as a batch is being published: in between, answers are of the one or the other version.
    state: Mutex<State>,
    serial: watch::Sender<Option<u32>>,
}

#[derive(Debug, Default)]
struct State {
    /// None as long as it is not known what led to this version.
    history: Option<History>,
    copies: Vec<Weak<Copy>>,
}

impl Editions {
    /// Begins with a zone that answers nothing.
    ///
    /// # Errors
    /// When its apex is no name.
    pub fn new(apex: &str) -> Result<Self, BadNode> {
        Ok(Self(Arc::new(Inner {
            zone: Arc::new(RwLock::new(Zone::new(apex)?)),
            state: Mutex::default(),
            serial: watch::channel(None).0,
        })))
    }

    /// The zone, for answers.
    pub fn zone(&self) -> SharedZone {
        Arc::clone(&self.0.zone)
    }

    /// Which version there is; none as long as it is not one that can be handed on.
    pub fn serial(&self) -> watch::Receiver<Option<u32>> {
        self.0.serial.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts another zone in its place, of which nobody knows how it came about; with a directory, what is kept
    /// there leads to it. Gives the one that was there. Whoever reads a copy of that begins again.
    pub fn replace(&self, zone: Zone, history: Option<(PathBuf, u32)>) -> Zone {
        let mut state = self.state();
        let before = {
            let place = &mut *self.0.zone.write();
            let copies = state.copies.iter().filter_map(Weak::upgrade);
            copies.for_each(|copy| copy.lose());
            std::mem::replace(place, zone)
        };
        *state = State::default();
        let Some((dir, serial)) = history else {
            self.0.serial.send_replace(None);
            return before;
        };
        match History::open(&dir, serial) {
            Ok(history) => state.history = Some(history),
            Err(cause) => tracing::warn!(
                %cause, "what changed in the zone cannot be kept; mirrors get the whole zone each time"
            ),
        }
        self.0.serial.send_replace(Some(serial));
        before
    }

    /// Publishes what names answer from now on, each once, the apex with the new serial last.
    pub fn publish(&self, serial: u32, names: Vec<(String, Node)>) {
        let zone = self.0.zone.read();
        let encoded = names.iter().filter_map(|(owner, node)| {
            let encoded = zone.encoded(owner, node);
            let note = |error: &_| tracing::error!(owner, %error, "a name cannot be published");
            encoded.inspect_err(note).ok()
        });
        let written = Written(encoded.collect());
        drop(zone);
        self.publish_written(serial, written);
    }

    /// What a version changes in the zone, and what is to be signed for it; see [`Zone::draft`].
    #[must_use]
    pub fn draft(&self, names: Vec<(String, Node)>, renewed: &[Box<[u8]>]) -> Draft {
        let zone = self.0.zone.read();
        zone.draft(names, renewed)
    }

    /// Publishes what was drafted from the version that there is.
    pub fn publish_written(&self, serial: u32, Written(names): Written) {
        let mut state = self.state();
        state.copies.retain(|copy| copy.strong_count() > 0);
        let mut difference = Vec::new();
        let mut zone = self.0.zone.write();
        for names in names.chunks(PUBLISHED_AT_ONCE) {
            // To let go of it is not enough: whoever waits has to wake up, and would find it taken again.
            RwLockWriteGuard::bump(&mut zone);
            for (name, sets) in names {
                if let Some(change) = zone.write(name, sets) {
                    state.note(&zone, &change);
                    difference.push(change);
                }
            }
        }
        drop(zone);
        let before = *self.0.serial.borrow();
        if let (Some(from), Some(history)) = (before, &mut state.history) {
            let apex = self.0.zone.read().apex().clone();
            let mut noted = Difference::default();
            // The apex came last, and goes first: its SOA is what a difference begins with.
            difference
                .iter()
                .rev()
                .for_each(|change| noted.note(change, &apex));
            if let Err(cause) = history.add(from, serial, &noted) {
                tracing::warn!(%cause, "what changed in the zone cannot be kept; mirrors get the whole zone");
            }
        }
        self.0.serial.send_replace(Some(serial));
    }

    /// From now on the order of names is kept, which a signed zone needs.
    pub fn secure(&self) {
        // Nothing changes meanwhile, and a million names are not ordered while answers wait.
        let _state = self.state();
        let order = self.0.zone.read().ordered();
        self.0.zone.write().secure_in(order);
    }

    /// What there is to know about the version that there is now; none where it cannot be handed on.
    ///
    /// It waits for no batch that is being published, and leaves nothing behind, however often it is asked for.
    pub(crate) fn head(&self) -> Option<Head> {
        let can_be_handed_on = self.0.serial.borrow().is_some();
        let zone = self.0.zone.read();
        can_be_handed_on.then(|| Head::of(&zone))?
    }

    /// The version that there is now, to be read while others are published; none where it cannot be handed on.
    ///
    /// As long as it is there, each batch that is published looks whether it is to keep something for it.
    pub(crate) fn copy(&self) -> Option<Arc<Copy>> {
        let mut state = self.state();
        let copy = Arc::new(Copy {
            zone: Arc::clone(&self.0.zone),
            head: self.head()?,
            reading: Mutex::default(),
        });
        // Also what is no longer read takes memory as long as somebody points at it.
        state.copies.retain(|copy| copy.strong_count() > 0);
        state.copies.push(Arc::downgrade(&copy));
        Some(copy)
    }

    /// How many copies are known.
    #[cfg(test)]
    pub(crate) fn copies(&self) -> usize {
        self.state().copies.len()
    }

    /// The apex, and its SOA record without its owner; none as long as there is no version.
    pub(crate) fn soa(&self) -> Option<(WireName, Vec<u8>)> {
        let zone = self.0.zone.read();
        Some((zone.apex().clone(), soa_of(&zone)?))
    }

    /// What led from a version to this one, with the SOA record of this one; none where that is not known.
    pub(crate) fn since(&self, serial: u32) -> Option<(Since, Vec<u8>)> {
        let state = self.state();
        let since = state.history.as_ref()?.since(serial)?;
        let zone = self.0.zone.read();
        Some((since, soa_of(&zone)?))
    }
}

/// The zone's SOA record without its owner.
fn soa_of(zone: &Zone) -> Option<Vec<u8>> {
    let set = zone.of_apex().of_type(Rtype::SOA)?;
    set.records(zone.apex()).pop()
}

impl State {
    fn note(&self, zone: &Zone, change: &Change) {
        for copy in self.copies.iter().filter_map(Weak::upgrade) {
            copy.keep(zone.part_of(&change.name), change);
        }
    }
}

/// A version without its names.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) serial: u32,
    pub(crate) apex: WireName,
    /// Its SOA record without its owner.
    pub(crate) soa: Vec<u8>,
    /// How many names hold records.
    pub(crate) names: usize,
}

/// Where the serial stands in a SOA record, from its end (RFC 1035 section 3.3.13).
const SERIAL_FROM_END: usize = 20;

impl Head {
    fn of(zone: &Zone) -> Option<Self> {
        let soa = soa_of(zone)?;
        // Not that which was announced: while a batch is being published the record is ahead of it.
        let (serial, _) = soa
            .last_chunk::<SERIAL_FROM_END>()?
            .split_first_chunk::<4>()?;
        Some(Self {
            serial: u32::from_be_bytes(*serial),
            apex: zone.apex().clone(),
            soa,
            names: zone.len(),
        })
    }
}

/// One version of the zone, read part by part. What has changed in parts that were not read yet is kept as it was.
#[derive(Debug)]
pub(crate) struct Copy {
    zone: SharedZone,
    head: Head,
    /// Locked behind the zone.
    reading: Mutex<Reading>,
}

/// The sets of names, without the apex.
type Kept = HashMap<Box<[u8]>, Box<[u8]>>;

#[derive(Debug, Default)]
struct Reading {
    /// Parts that were read.
    read: usize,
    /// What names answered that changed since, by their part.
    kept: HashMap<usize, Kept>,
    bytes: usize,
    /// More has changed than is kept.
    is_lost: bool,
}

impl Copy {
    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, part: usize, change: &Change) {
        let mut reading = self.reading();
        if part < reading.read || reading.is_lost {
            return;
        }
        let kept = reading.kept.entry(part).or_default();
        if kept.contains_key(&change.name) {
            return;
        }
        kept.insert(change.name.clone(), change.before.clone());
        reading.bytes += change.name.len() + change.before.len();
        if reading.bytes > COPY_BYTES_MAX {
            reading.is_lost = true;
            reading.kept.clear();
        }
    }

    /// Another zone came in its place.
    fn lose(&self) {
        let mut reading = self.reading();
        reading.is_lost = true;
        reading.kept.clear();
    }

    /// Its SOA record without its owner.
    pub(crate) fn soa(&self) -> &[u8] {
        &self.head.soa
    }

    /// Its apex.
    pub(crate) fn apex(&self) -> &WireName {
        &self.head.apex
    }

    /// How many parts there are.
    pub(crate) const PARTS: usize = SHARDS;

    /// Adds the records of the next part, but for the SOA; false when this version is lost.
    pub(crate) fn read_next(&self, sheets: &mut Sheets) -> bool {
        let zone = self.zone.read();
        let mut reading = self.reading();
        if reading.is_lost {
            return false;
        }
        let part = reading.read;
        let kept = reading.kept.remove(&part).unwrap_or_default();
        for (name, sets) in zone.part(part) {
            if !kept.contains_key(name) {
                self.push(name, sets, sheets);
            }
        }
        for (name, sets) in &kept {
            self.push(name, WireSets::of(sets), sheets);
        }
        reading.read += 1;
        true
    }

    fn push(&self, name: &[u8], sets: WireSets<'_>, sheets: &mut Sheets) {
        let records = Whole::new(name, sets, self.apex()).records();
        let others = records.iter().filter(|body| !is_soa(body));
        others.for_each(|body| sheets.push(name, body));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::atomic::{AtomicBool, Ordering};

    use domain::base::{Message, ParsedRecord};
    use domain::rdata::AllRecordData;
    use proptest::prelude::*;
    use spokes_rules::zone::{Data, RrSet};

    use super::*;
    use crate::dns::history::records;
    use crate::dns::testing::{APEX, addresses, soa};

    fn apex(serial: u32) -> (String, Node) {
        let mut soa = soa();
        soa.serial = serial;
        let soa = RrSet {
            ttl: 3600,
            data: vec![Data::Soa(soa)],
        };
        (APEX.to_owned(), vec![soa])
    }

    /// Records as text, and how often each came.
    type Told = BTreeMap<String, usize>;

    fn told(messages: &[Vec<u8>]) -> Told {
        let mut told = Told::new();
        for message in messages {
            let message = Message::from_octets(message).unwrap();
            for record in message.answer().unwrap() {
                let record: ParsedRecord<'_, _> = record.unwrap();
                let record = record.to_record::<AllRecordData<_, _>>().unwrap().unwrap();
                *told.entry(record.to_string()).or_default() += 1;
            }
        }
        told
    }

    /// All that a version holds, the SOA record aside.
    fn whole(copy: &Copy) -> Told {
        let mut sheets = Sheets::new(1, copy.apex(), Rtype::AXFR);
        for _ in 0..Copy::PARTS {
            assert!(copy.read_next(&mut sheets));
        }
        told(&sheets.end())
    }

    fn begun(dir: &std::path::Path) -> Editions {
        let editions = Editions::new(APEX).unwrap();
        let mut zone = Zone::new(APEX).unwrap();
        let (owner, node) = apex(1);
        zone.set(&owner, node).unwrap();
        editions.replace(zone, Some((dir.to_owned(), 1)));
        editions
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever changes while a version is being read, it is read as it was; and what is kept of the changes leads
        /// from each version to the next.
        #[test]
        fn a_version_is_read_as_it_was_and_changes_lead_on(
            batches in proptest::collection::vec(
                proptest::collection::btree_map(0u8..12, 0u8..4, 0..12),
                1..8,
            ),
            read in proptest::collection::vec(0usize..200, 8),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let editions = begun(dir.path());
            let mut versions = vec![whole(&editions.copy().unwrap())];
            let mut reading = Vec::new();
            for (number, batch) in batches.iter().enumerate() {
                let copy = editions.copy().unwrap();
                let mut sheets = Sheets::new(1, copy.apex(), Rtype::AXFR);
                for _ in 0..read[number] {
                    prop_assert!(copy.read_next(&mut sheets));
                }
                reading.push((copy, sheets, read[number]));
                let serial = u32::try_from(number).unwrap() + 2;
                let names = batch.iter().map(|(name, addrs)| {
                    let list: Vec<u8> = (1..=*addrs).collect();
                    let node = if list.is_empty() { vec![] } else { addresses(&list) };
                    (format!("n{name}.{APEX}"), node)
                });
                editions.publish(serial, names.chain([apex(serial)]).collect());
                versions.push(whole(&editions.copy().unwrap()));
            }
            for (number, (copy, mut sheets, read)) in reading.into_iter().enumerate() {
                for _ in read..Copy::PARTS {
                    prop_assert!(copy.read_next(&mut sheets));
                }
                prop_assert_eq!(&told(&sheets.end()), &versions[number], "version {}", number);
            }
            let first = versions.remove(0);
            let mut here: BTreeSet<String> = first.into_keys().collect();
            let (since, _) = editions.since(1).unwrap();
            for (difference, version) in since.read().zip(&versions) {
                let (gone, come) = difference.unwrap();
                let list = |list: &[u8]| {
                    let mut sheets = Sheets::new(1, editions.copy().unwrap().apex(), Rtype::IXFR);
                    records(list).for_each(|(name, body)| sheets.push(name, body));
                    told(&sheets.end())
                };
                for (record, count) in list(&gone) {
                    prop_assert_eq!(count, 1);
                    prop_assert!(record.contains(" SOA ") || here.remove(&record), "{}", record);
                }
                for (record, count) in list(&come) {
                    prop_assert_eq!(count, 1);
                    prop_assert!(record.contains(" SOA ") || here.insert(record.clone()), "{}", record);
                }
                prop_assert!(here.iter().eq(version.keys()));
                prop_assert!(version.values().all(|count| *count == 1));
            }
        }
    }

    /// Whoever asks while very much changes waits for one piece, and not until all is there.
    #[test]
    fn readers_get_in_between_two_pieces() {
        const PIECES: usize = 100;
        let dir = tempfile::tempdir().unwrap();
        let editions = begun(dir.path());
        let names = (0..PIECES * PUBLISHED_AT_ONCE)
            .map(|n| (format!("n{n}.{APEX}"), addresses(&[1])))
            .chain([apex(2)])
            .collect();
        let (zone, ends) = (editions.zone(), AtomicBool::default());
        let seen = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = BTreeSet::new();
                while !ends.load(Ordering::Relaxed) {
                    seen.insert(zone.read().len());
                }
                seen
            });
            editions.publish(2, names);
            ends.store(true, Ordering::Relaxed);
            reader.join().unwrap()
        });
        let before_and_after = 2;
        assert!(seen.len() > before_and_after, "{seen:?}");
    }

    #[test]
    fn copies_that_nobody_reads_any_more_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let editions = begun(dir.path());
        let read: Vec<_> = (0..3).map(|_| editions.copy().unwrap()).collect();
        for _ in 0..10_000 {
            drop(editions.copy());
        }
        assert!(editions.copies() <= read.len() + 1);
        assert!(editions.state().copies.capacity() < 32);
    }

    #[test]
    fn a_version_whose_zone_has_gone_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let editions = begun(dir.path());
        let copy = editions.copy().unwrap();
        let mut sheets = Sheets::new(1, copy.apex(), Rtype::AXFR);
        assert!(copy.read_next(&mut sheets));
        let shown = editions.replace(Zone::new(APEX).unwrap(), None);
        assert!(!copy.read_next(&mut sheets));
        editions.replace(shown, Some((dir.path().to_owned(), 1)));
        assert!(
            !copy.read_next(&mut sheets),
            "what changed meanwhile was not kept"
        );
        assert!(editions.copy().unwrap().read_next(&mut sheets));
    }

    #[test]
    fn what_there_is_to_know_is_that_of_the_last_version() {
        let dir = tempfile::tempdir().unwrap();
        let editions = begun(dir.path());
        let told = |head: Head| {
            (
                head.serial,
                head.names,
                head.soa == editions.soa().unwrap().1,
            )
        };
        assert_eq!(told(editions.head().unwrap()), (1, 1, true));
        let names = [(format!("n1.{APEX}"), addresses(&[1])), apex(70_000)];
        editions.publish(70_000, names.into());
        assert_eq!(told(editions.head().unwrap()), (70_000, 2, true));
        editions.replace(Zone::new(APEX).unwrap(), None);
        assert!(editions.head().is_none() && editions.copy().is_none());
    }

    #[test]
    fn a_version_that_changes_too_much_while_it_is_read_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let editions = begun(dir.path());
        let long = |n: u32| {
            let text = Data::Txt(n.to_string().repeat(20_000));
            vec![RrSet {
                ttl: 30,
                data: vec![text],
            }]
        };
        let names = |serial: u32| {
            let names = (0..700).map(|n| (format!("n{n}.{APEX}"), long(serial)));
            names.chain([apex(serial)]).collect::<Vec<_>>()
        };
        editions.publish(2, names(2));
        editions.publish(3, names(3));
        let copy = editions.copy().unwrap();
        let mut sheets = Sheets::new(1, copy.apex(), Rtype::AXFR);
        assert!(copy.read_next(&mut sheets));
        // 700 names of 20 KB: 14 MB in each version, so only what each was first is kept.
        (4..9).for_each(|serial| editions.publish(serial, names(serial % 9)));
        assert!(copy.read_next(&mut sheets));
        let more = |serial: u32, from: u32| {
            let names = (from..from + 3_000).map(|n| (format!("n{n}.{APEX}"), long(serial)));
            names.chain([apex(serial)]).collect::<Vec<_>>()
        };
        editions.publish(9, more(1, 1_000));
        let copy = editions.copy().unwrap();
        editions.publish(10, more(2, 1_000));
        let mut sheets = Sheets::new(1, copy.apex(), Rtype::AXFR);
        assert_eq!(
            copy.read_next(&mut sheets),
            3_000 * 20_000 <= COPY_BYTES_MAX
        );
        editions.publish(11, more(2, 5_000));
        let copy = editions.copy().unwrap();
        editions.publish(
            12,
            (1_000..8_000)
                .map(|n| (format!("n{n}.{APEX}"), vec![]))
                .collect(),
        );
        assert!(!copy.read_next(&mut sheets), "120 MB");
    }
}
