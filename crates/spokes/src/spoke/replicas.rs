//! The replicas in memory, and how each comes there from the disk.
//!
//! A large blog takes long to read. Each has a place of its own, so that nobody waits for it but who
//! wants it, and who waits leaves his thread to others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use spokes_log::{
    blog::Blog,
    chain::Chain,
    entry::Entry,
    fault::Fault,
    name::{BlogId, Hash},
};
use spokes_rules::{
    registry::BlogRecord,
    replica::{Event, Replica},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
    task::block_in_place,
};

use super::Spoke;
use crate::{
    clock,
    outage::Outage,
    store::{Row, Strand},
};

/// Rows that are recalled while the next ones are read.
const RECALLED_AT_ONCE: usize = 1_000;
/// Rows for which no other core is woken: that costs as much as to read them.
const FEW: usize = 32;

/// Readers of one blog's pages who are served at a time: each may take a thread while he waits for its
/// replica, and the others wait without one.
const READERS_MAX: usize = 16;
/// The same of all blogs: far below the threads that the runtime has for waiting (512).
const ALL_READERS_MAX: usize = 128;

/// A replica in memory, and its writes.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) replica: Arc<Mutex<Replica>>,
    pub(super) writes: Strand,
}

/// Where the replicas are, by blog.
#[derive(Debug)]
pub(super) struct Replicas {
    slots: Mutex<BTreeMap<BlogId, Arc<Slot>>>,
    readers: Semaphore,
}

impl Default for Replicas {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
            readers: Semaphore::new(ALL_READERS_MAX),
        }
    }
}

/// Leave to ask for a blog as a reader of its pages.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    _of_blog: Option<OwnedSemaphorePermit>,
    _of_all: Option<SemaphorePermit<'a>>,
}

/// The place of one replica. Locked in this order, each for a moment but `reading`.
#[derive(Debug, Default)]
struct Slot {
    /// Readers of pages stand in a queue that takes no threads: they are strangers, and many.
    queue: tokio::sync::Mutex<()>,
    /// Held as long as the disk is read.
    reading: Mutex<()>,
    held: Mutex<Option<Held>>,
    readers: Readers,
    /// Requests of readers since they were counted last.
    served: AtomicU64,
}

/// The places of one blog's readers.
#[derive(Debug)]
struct Readers(Arc<Semaphore>);

impl Default for Readers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READERS_MAX)))
    }
}

impl Replicas {
    /// Waits, without a thread, until a reader of this blog may ask for its replica.
    pub(super) async fn reader(&self, blog: BlogId) -> Reader<'_> {
        let of_blog = Arc::clone(&self.open(blog).readers.0);
        // Nobody closes them.
        Reader {
            _of_blog: of_blog.acquire_owned().await.ok(),
            _of_all: self.readers.acquire().await.ok(),
        }
    }

    fn slot(&self, blog: BlogId) -> Option<Arc<Slot>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(&blog).cloned()
    }

    fn open(&self, blog: BlogId) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(blog).or_default())
    }

    /// Counts a request for a blog that is held here.
    pub(super) fn count(&self, blog: BlogId) {
        self.open(blog).served.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests there were for each blog since this was asked last, where there were any.
    pub(super) fn served(&self) -> BTreeMap<BlogId, u64> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let served = slots.iter();
        let served = served.map(|(blog, slot)| (*blog, slot.served.swap(0, Ordering::Relaxed)));
        served.filter(|(_, served)| *served > 0).collect()
    }

    /// The blogs whose replicas are in memory, or were once asked for.
    pub(super) fn blogs(&self) -> Vec<BlogId> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.keys().copied().collect()
    }

    /// Whether this blog was asked for.
    pub(super) fn knows(&self, blog: BlogId) -> bool {
        self.slot(blog).is_some()
    }

    /// This replica, if it is in memory.
    pub(super) fn kept(&self, blog: BlogId) -> Option<Held> {
        self.slot(blog)?.kept()
    }

    /// Whether this replica is in memory.
    pub(super) fn has(&self, blog: BlogId) -> bool {
        self.kept(blog).is_some()
    }

    /// Does something to what the disk holds of a blog. Nobody has it in memory meanwhile, and who wants it reads
    /// it anew, as a copy of which nothing is known.
    pub(super) fn with_none_in_memory<T>(&self, blog: BlogId, act: impl FnOnce() -> T) -> T {
        let slot = self.open(blog);
        let _reading = lock_for_long(&slot.reading);
        let held = slot
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(held) = held {
            held.writes
                .fail(Outage::new("This copy of the blog is not kept any more"));
            // Who works on it ends first, and what he wants written is not.
            drop(lock_for_long(&held.replica));
        }
        block_in_place(act)
    }

    /// Whether this replica was in memory since the start: then something may have been written.
    pub(super) fn was_read(&self, blog: BlogId) -> bool {
        let was_read = |slot: Arc<Slot>| {
            let held = slot.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.is_some()
        };
        self.slot(blog).is_some_and(was_read)
    }
}

impl Slot {
    /// What is here; none as long as it was not read, or after one of its writes failed.
    fn kept(&self) -> Option<Held> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let good = held.as_ref().filter(|held| held.writes.failed().is_none());
        good.cloned()
    }

    /// What is here, or what `read` brings, which is told what was here before a write failed.
    fn get(
        &self,
        read: impl FnOnce(Option<Held>) -> Result<Option<Held>, Outage>,
    ) -> Result<Option<Held>, Outage> {
        if let Some(kept) = self.kept() {
            return Ok(Some(kept));
        }
        let _reading = lock_for_long(&self.reading);
        if let Some(kept) = self.kept() {
            return Ok(Some(kept));
        }
        let held = || self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = held().clone();
        let brought = block_in_place(|| read(failed))?;
        if brought.is_some() {
            held().clone_from(&brought);
        }
        Ok(brought)
    }
}

/// Locks what may be locked for long; the other tasks of this thread go on elsewhere meanwhile.
pub(super) fn lock_for_long<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            block_in_place(|| mutex.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }
}

/// What the registry says of a blog's set.
pub(super) fn set_of(record: BlogRecord) -> Event {
    Event::Set {
        set: record.set,
        closing: record.closing.map(|closing| *closing),
        ended: record.ended,
        keys_at: record.keys_at,
        covered: record.covered,
    }
}

impl Spoke {
    /// Does something with the replica of a blog that this spoke is to hold, then carries out what
    /// follows from it. None when it is not to hold it, or its disk fails.
    pub(super) fn with<T>(
        self: &Arc<Self>,
        blog: BlogId,
        act: impl FnOnce(&mut Replica) -> T,
    ) -> Option<T> {
        let held = match self.replica(blog) {
            Ok(held) => held?,
            Err(outage) => {
                tracing::error!(%blog, %outage, "a replica cannot be read");
                return None;
            }
        };
        // It may be read anew with the lock held, to cut something off.
        let mut replica = lock_for_long(&held.replica);
        self.look_awake();
        let heard = self.heard().map(Event::CouncilHeard);
        replica.handle(clock::now(), heard.unwrap_or(Event::StoodStill));
        let outcome = act(&mut replica);
        self.perform(&held.writes, &mut replica);
        if !replica.is_settled() {
            self.must_settle(blog);
        }
        Some(outcome)
    }

    /// Waits until the replica of a blog is in memory, if this spoke is to hold it.
    pub(super) async fn ready(self: &Arc<Self>, blog: BlogId) {
        if self.replicas.has(blog) || self.record_held(blog).is_none() {
            return;
        }
        let slot = self.replicas.open(blog);
        let _next = slot.queue.lock().await;
        if slot.kept().is_none() {
            let spoke = Arc::clone(self);
            let read = move || spoke.replica(blog).map(drop);
            // Whoever then asks for it says what fails.
            drop(tokio::task::spawn_blocking(read).await);
        }
    }

    /// What the registry says of a blog that this spoke is to hold, now or next, or that it has to give
    /// back.
    fn record_held(&self, blog: BlogId) -> Option<BlogRecord> {
        let held = self.ask(|registry| {
            let record = registry.blog(blog)?;
            let next = record.closing.as_ref();
            let next = next.is_some_and(|c| c.next.has(&self.me));
            let held = record.set.has(&self.me) || next || self.owes(blog);
            held.then(|| record.clone())
        });
        held.flatten()
    }

    /// The replica of a blog, read from disk when it is first asked for, and anew after a write failed.
    fn replica(&self, blog: BlogId) -> Result<Option<Held>, Outage> {
        let slot = match self.replicas.slot(blog) {
            Some(slot) => slot,
            None if self.record_held(blog).is_some() => self.replicas.open(blog),
            None => return Ok(None),
        };
        slot.get(|failed| self.read_replica(blog, failed))
    }

    fn read_replica(&self, blog: BlogId, failed: Option<Held>) -> Result<Option<Held>, Outage> {
        // What was compared before a write failed is compared: nothing durable was forgotten. Whoever
        // works on the old one still keeps it; then tips are compared again.
        let compared = failed.is_some_and(|held| {
            let replica = held.replica.try_lock();
            replica.is_ok_and(|replica| replica.is_compared())
        });
        if self.record_held(blog).is_none() {
            return Ok(None);
        }
        let recalled = self.recall(blog)?;
        // A copy that lost something is compared anew, whatever was known of it before.
        let whole = recalled.altered == 0;
        let (sealed, settled) = (self.store.sealed(blog)?, self.store.settled(blog)?);
        let secret = Arc::clone(&self.secret);
        let (chain, fold) = (recalled.chain, recalled.fold);
        let replica = Replica::new(self.network, self.me.clone(), secret, chain, fold, sealed);
        let mut replica = replica.settled_in(settled);
        // Asked only now: who follows the registry waits for what is being read, and tells it what
        // comes later.
        let Some(record) = self.record_held(blog) else {
            return Ok(None);
        };
        let since = record.since;
        if let Some(policy) = self.ask(|registry| registry.founding().policy) {
            replica.handle(clock::now(), Event::Limits { policy, since });
        }
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if whole && (compared || settled.contains(&blog)) {
            replica.handle(clock::now(), Event::NothingForgotten);
        }
        drop(settled);
        replica.handle(clock::now(), set_of(record));
        Ok(Some(Held {
            replica: Arc::new(Mutex::new(replica)),
            writes: Strand::default(),
        }))
    }

    /// Chain and fold from disk. A row that is not what it should be is left out, and what follows
    /// it: the peers have it.
    pub(super) fn recall(&self, blog: BlogId) -> Result<Recalled, Outage> {
        let recalled = self.recall_without(blog, &BTreeSet::new())?;
        let cut_off = recalled.chain.unvouched();
        if cut_off.is_empty() {
            return Ok(recalled);
        }
        // Words are missing and no `erase` took them (SPEC entry 7.6): somebody cut them off here.
        cut_off.iter().for_each(|id| self.altered(&id.to_string()));
        let mut rest = self.recall_without(blog, cut_off)?;
        rest.altered += cut_off.len();
        Ok(rest)
    }

    fn recall_without(&self, blog: BlogId, cut_off: &BTreeSet<Hash>) -> Result<Recalled, Outage> {
        let mut recalled = Recalled {
            chain: Chain::new(blog),
            fold: Blog::default(),
            altered: 0,
        };
        let mut page = self.store.of_blog(blog, 0, RECALLED_AT_ONCE)?;
        let mut waiting = Vec::new();
        loop {
            let (rows, read_to, more) = page;
            let recall = || {
                let (entries, altered) = self.sound_rows(blog, rows, cut_off);
                recalled.altered += altered;
                waiting.append(&mut recalled.take_in(entries));
            };
            if !more {
                recall();
                break;
            }
            // The next rows are read while these are looked at.
            let next = || self.store.of_blog(blog, read_to, RECALLED_AT_ONCE);
            let (next, ()) = rayon::join(next, recall);
            page = next?;
        }
        // Rows that a mended one follows stand before it.
        waiting.sort_by_key(|entry: &Entry| entry.skeleton().sequence);
        let lost = recalled.take_in(waiting).len();
        if lost > 0 {
            tracing::warn!(%blog, waiting = lost, "an entry before these was altered or lost");
            self.mended.fetch_add(1, Ordering::Relaxed);
            recalled.altered += 1;
        }
        Ok(recalled)
    }

    /// The entries in rows of a blog that are what their ids say, and how many rows are not.
    fn sound_rows(
        &self,
        blog: BlogId,
        rows: Vec<Row>,
        cut_off: &BTreeSet<Hash>,
    ) -> (Vec<Entry>, usize) {
        let read = |row: Row| (row.entry(), row.id);
        let read: Vec<_> = match rows.len() {
            0..FEW => rows.into_iter().map(read).collect(),
            _ => rows.into_par_iter().map(read).collect(),
        };
        let mut altered = 0;
        let sound = read.into_iter().filter_map(|(entry, id)| {
            let entry = entry.filter(|entry| entry.blog() == blog);
            if entry.is_none() {
                self.altered(&id);
                altered += 1;
            }
            entry.filter(|entry| !cut_off.contains(&entry.id()))
        });
        let sound = sound.collect();
        (sound, altered)
    }

    /// Counts an altered row. It stays where it is, and what follows it, too: the entry comes back into
    /// its place from the peers, or from its author.
    fn altered(&self, id: &str) {
        tracing::warn!(id, "an entry was altered on disk; it is fetched again");
        self.mended.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the disk holds of a blog.
pub(super) struct Recalled {
    pub(super) chain: Chain,
    pub(super) fold: Blog,
    /// How many rows were not what they should be.
    altered: usize,
}

impl Recalled {
    /// Takes in entries from disk; those come back that wait for the ones before them.
    fn take_in(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut waiting = Vec::new();
        for entry in entries {
            match self.chain.recall(&entry) {
                Ok(appended) => {
                    self.fold.add(&self.chain, &entry);
                    self.fold.erase(&self.chain, &appended.erased);
                }
                Err(Fault::MissingParent(_)) => waiting.push(entry),
                Err(fault) => {
                    tracing::warn!(id = %entry.id(), %fault, "an entry on disk fits nowhere");
                }
            }
        }
        waiting
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use spokes_rules::node::{Label, NodeSecret};

    use super::*;

    /// Longer than any machine takes for what this is about.
    const PATIENCE: Duration = Duration::from_secs(20);
    /// More than there are threads for tasks.
    const IMPATIENT: usize = 8;

    fn held(blog: BlogId) -> Held {
        let (network, me) = (Hash::of(b"network"), Label::parse("oak").unwrap());
        let secret = Arc::new(NodeSecret::from_seed(&[7; 32]));
        let (chain, fold) = (Chain::new(blog), Blog::default());
        let replica = Replica::new(network, me, secret, chain, fold, 0);
        Held {
            replica: Arc::new(Mutex::new(replica)),
            writes: Strand::default(),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn who_wants_a_small_blog_does_not_wait_for_a_large_one() {
        let (large, small) = (Hash::of(b"large"), Hash::of(b"small"));
        let replicas = Arc::new(Replicas::default());
        let (was_read, wait) = mpsc::channel();
        let wait = Arc::new(Mutex::new(wait));
        // Its first reader goes on when the other blog was read; the others wait for him.
        let readers: Vec<_> = (0..IMPATIENT)
            .map(|_| {
                let (slot, wait) = (replicas.open(large), Arc::clone(&wait));
                tokio::spawn(async move {
                    let read = |_: Option<Held>| {
                        wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                        Ok(Some(held(large)))
                    };
                    let read = slot.get(read).unwrap().unwrap();
                    Arc::as_ptr(&read.replica).addr()
                })
            })
            .collect();
        let slot = replicas.open(small);
        let other = tokio::spawn(async move { slot.get(|_| Ok(Some(held(small)))).map(drop) });
        let other = tokio::time::timeout(PATIENCE / 2, other).await;
        other.expect("the small one waits").unwrap().unwrap();
        was_read.send(()).unwrap();
        let mut places = Vec::new();
        for reader in readers {
            places.push(reader.await.unwrap());
        }
        places.dedup();
        assert_eq!(places.len(), 1, "one reads, and all have the same");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_a_failed_write_left_behind_is_read_anew() {
        let blog = Hash::of(b"blog");
        let replicas = Replicas::default();
        let slot = replicas.open(blog);
        let first = slot.get(|_| Ok(Some(held(blog)))).unwrap().unwrap();
        assert!(replicas.has(blog));
        first.writes.fail(Outage::new("the disk is full"));
        assert!(!replicas.has(blog));
        let read = |failed: Option<Held>| {
            assert!(Arc::ptr_eq(&failed.unwrap().replica, &first.replica));
            Ok(Some(held(blog)))
        };
        let second = slot.get(read).unwrap().unwrap();
        assert!(!Arc::ptr_eq(&second.replica, &first.replica));
        // A read that fails leaves room for the next.
        second.writes.fail(Outage::new("the disk is full"));
        assert!(slot.get(|_| Err(Outage::new("torn"))).is_err());
        assert!(slot.get(|_| Ok(Some(held(blog)))).unwrap().is_some());
    }
}
