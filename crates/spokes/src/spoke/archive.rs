//! The archive: every entry of the network, without media, on each spoke of the inner circle (SPEC circle 6).
//!
//! A spoke says to each of them that its feed has news; they pull that feed as secondaries do. So an entry goes to
//! nine others at most, however many spokes there are, and nobody stands in between who could lose or hide it.

mod answer;
mod copies;
mod indexing;
mod news;
mod reading;

pub(super) use self::answer::{DEPTH, FOUND_MAX, PAGES_MAX, Wanted};

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use spokes_log::name::BlogId;
use spokes_rules::{health::Takes, node::Label};
use tokio::{
    sync::{Notify, watch},
    task::{JoinSet, block_in_place},
};

pub(super) use self::reading::From;
use self::{copies::Copies, reading::Read};
use super::Spoke;
use crate::{index::Index, outage::Outage, store::Store, turns::Turns};

/// Spokes that are read from at a time: judging what they send keeps the cores busy.
const AT_ONCE: usize = 8;
/// How many of these may be such that could not be read the last time: however many are silent, the others have places.
const FAILING_AT_ONCE: usize = 2;
/// How often a spoke is asked for news of which it said nothing.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// Spokes that are asked so in a second, at most: beyond that each waits longer for its turn.
const ASKED_PER_SECOND: u32 = 20;
/// How often heads are compared beside the feed: what a feed did not bring comes so.
const COMPARE_EVERY: Duration = Duration::from_secs(600);
/// How long a spoke that was read is left alone, whatever is said of it: anybody can say that it has news.
const REST: Duration = Duration::from_millis(100);
/// The first pause after a spoke, or a blog there, could not be read; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// The longest: what happened while a spoke was silent comes so soon after it is back.
const PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// How long one spoke may be read before it is the others' turn: it goes on from there when its own comes again.
const TURN_MAX: Duration = Duration::from_secs(120);
/// How long an archive is kept up, and then removed, where the inner circle is another by now: a spoke that was silent
/// for some minutes takes its place again.
const KEEP: Duration = Duration::from_secs(3_600);
/// How often it is looked who is to be asked.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Searches of other spokes that are answered at a time: more than cores serve nobody faster.
const SEARCHES_MAX: usize = 4;
/// How long one waits for those before it: whoever asks has asked another one by then.
const SEARCH_WAIT: Duration = Duration::from_secs(1);
/// Searches of one spoke that wait.
const SEARCHES_OF_ONE: usize = 16;

/// The archive of this spoke, if it has one.
#[derive(Debug)]
pub(super) struct Archive {
    dir: PathBuf,
    open: Mutex<Option<Arc<Kept>>>,
    /// Spokes that said that they have news.
    told: Mutex<BTreeSet<Label>>,
    /// Blogs whose sets have changed.
    moved: Mutex<BTreeSet<BlogId>>,
    wake: Notify,
    /// Grows with each news of this spoke's own blogs, for the inner circle.
    own_news: watch::Sender<u64>,
    searches: Arc<Turns>,
    /// Whether the index was found damaged while it was open.
    is_damaged: AtomicBool,
}

/// An open archive.
#[derive(Debug)]
pub(super) struct Kept {
    store: Store,
    index: Index,
    /// Up to where of the store the index goes.
    indexed: AtomicU64,
    /// Whether everybody was read who can be, and all of it is in the index.
    is_filled: AtomicBool,
    copies: Copies,
    /// Blogs of which a row was found lost or altered.
    doubted: Mutex<BTreeSet<BlogId>>,
}

/// How one spoke is followed.
#[derive(Debug)]
struct Follows {
    cursor: Option<String>,
    /// Blogs that it came to be the primary of, or that could not be read.
    pending: BTreeSet<BlogId>,
    is_asked: bool,
    asked: Instant,
    /// When heads were compared last.
    compared: Option<Instant>,
    not_before: Instant,
    pause: Duration,
    fails: bool,
}

impl Archive {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.join("archive"),
            open: Mutex::default(),
            told: Mutex::default(),
            moved: Mutex::default(),
            wake: Notify::new(),
            own_news: watch::channel(0).0,
            searches: Turns::new(SEARCHES_MAX, SEARCH_WAIT, SEARCHES_OF_ONE),
            is_damaged: AtomicBool::new(false),
        }
    }

    /// The archive, where this spoke keeps one.
    pub(super) fn kept(&self) -> Option<Arc<Kept>> {
        lock(&self.open).clone()
    }

    /// Notes that the sets of these blogs may have changed: other spokes have their news from now on.
    pub(super) fn moved(&self, blogs: &[BlogId]) {
        if lock(&self.open).is_some() {
            lock(&self.moved).extend(blogs);
            self.wake.notify_one();
        }
    }

    /// Closes the archive, whose index is made again when it is opened next.
    fn close_damaged(&self) {
        self.is_damaged.store(true, Ordering::Relaxed);
        *lock(&self.open) = None;
        self.wake.notify_one();
    }

    fn open(&self) -> Result<Arc<Kept>, Outage> {
        let doing = |error| Outage::file("making", &self.dir, &error);
        fs::create_dir_all(&self.dir).map_err(doing)?;
        if self.is_damaged.load(Ordering::Relaxed) {
            Index::remove(&self.dir.join("index"))?;
            self.is_damaged.store(false, Ordering::Relaxed);
        }
        let store = Store::open(&self.dir.join("archive.db"))?;
        let newest = *store.newest().borrow();
        let (index, indexed) = Index::open(&self.dir.join("index"), newest)?;
        let kept = Arc::new(Kept {
            store,
            index,
            indexed: AtomicU64::new(indexed),
            is_filled: AtomicBool::new(false),
            copies: Copies::default(),
            doubted: Mutex::default(),
        });
        *lock(&self.open) = Some(Arc::clone(&kept));
        Ok(kept)
    }

    fn remove(&self) {
        *lock(&self.open) = None;
        match fs::remove_dir_all(&self.dir) {
            Ok(()) => tracing::info!("the archive is kept by others now, and was removed here"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::error!(%error, "the archive cannot be removed"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    /// Whether it has what there is: before that it would hide what it has not read yet.
    pub(super) fn is_filled(&self) -> bool {
        self.is_filled.load(Ordering::Relaxed)
    }

    /// What `GET status` says of it.
    pub(super) fn facts(&self) -> serde_json::Value {
        serde_json::json!({
            "posts": self.index.posts(),
            "is_filled": self.is_filled(),
            "behind": self.store.newest().borrow().saturating_sub(self.indexed.load(Ordering::Relaxed)),
        })
    }

    /// Looks whether it is filled by now.
    fn look_whether_filled(&self, follows: &BTreeMap<Label, Follows>, now: Instant) {
        let was_read = |follows: &Follows| {
            let takes_long = now.duration_since(follows.asked) > TURN_MAX;
            follows.compared.is_some() || follows.fails || takes_long
        };
        let newest = *self.store.newest().borrow();
        let has_all = self.indexed.load(Ordering::Relaxed) >= newest;
        if !self.is_filled() && has_all && !follows.is_empty() && follows.values().all(was_read) {
            tracing::info!(
                posts = self.index.posts(),
                "the archive is filled, and answers searches"
            );
            self.is_filled.store(true, Ordering::Relaxed);
        }
    }
}

impl Follows {
    fn new(now: Instant) -> Self {
        Self {
            cursor: None,
            pending: BTreeSet::new(),
            is_asked: false,
            asked: now,
            compared: None,
            not_before: now,
            pause: PAUSE_FIRST,
            fails: false,
        }
    }

    /// Whether it is to be asked now.
    fn is_due(&self, now: Instant, told: bool, every: Duration) -> bool {
        let waits = self.cursor.is_none() || !self.pending.is_empty();
        let wants = waits || told || now.duration_since(self.asked) >= every;
        !self.is_asked && now >= self.not_before && wants
    }

    /// What is to be read.
    fn begin(&mut self, now: Instant) -> Read {
        (self.is_asked, self.asked) = (true, now);
        let is_old = |at: Instant| now.duration_since(at) >= COMPARE_EVERY;
        Read {
            cursor: self
                .cursor
                .take()
                .filter(|_| !self.compared.is_none_or(is_old)),
            pending: std::mem::take(&mut self.pending),
            has_compared: false,
        }
    }

    /// Takes in how far it was read.
    fn end(&mut self, now: Instant, read: Read, outcome: Result<(), Outage>, of: &Label) {
        self.is_asked = false;
        self.cursor = read.cursor;
        self.pending.extend(read.pending);
        if read.has_compared {
            self.compared = Some(now);
        }
        self.fails = outcome.is_err();
        if let Err(outage) = outcome {
            tracing::debug!(%of, %outage, "the archive could not read there");
        }
        if self.fails || !self.pending.is_empty() {
            self.not_before = now + self.pause;
            self.pause = (self.pause * 2).min(PAUSE_LONGEST);
        } else {
            self.not_before = now + REST;
            self.pause = PAUSE_FIRST;
        }
    }
}

/// A spoke that was read, how far, and what came of it.
type Done = (Label, Read, Result<(), Outage>);

impl Spoke {
    /// Keeps the archive, as long as this spoke is of the inner circle.
    pub(super) async fn keep_archive(self: Arc<Self>) {
        let mut follows: BTreeMap<Label, Follows> = BTreeMap::new();
        let mut under_way: JoinSet<Done> = JoinSet::new();
        let mut indexing: JoinSet<()> = JoinSet::new();
        let mut left: Option<Instant> = None;
        loop {
            let now = Instant::now();
            let is_inner = self.latest.circled().circles.inner.contains(&self.me);
            left = if is_inner { None } else { left.or(Some(now)) };
            if left.is_some_and(|left| now.duration_since(left) > KEEP) {
                follows.clear();
                block_in_place(|| self.archive.remove());
            }
            match self.open_archive(is_inner, &mut indexing) {
                Ok(Some(kept)) => {
                    self.ask_who_has_news(&kept, &mut follows, &mut under_way);
                    kept.look_whether_filled(&follows, now);
                }
                Ok(None) => {}
                Err(outage) => {
                    tracing::error!(%outage, "the archive cannot be opened");
                    tokio::time::sleep(PAUSE_LONGEST).await;
                }
            }
            tokio::select! {
                () = self.archive.wake.notified() => {}
                Some(done) = under_way.join_next(), if !under_way.is_empty() => {
                    if let Ok((label, read, outcome)) = done
                        && let Some(follows) = follows.get_mut(&label)
                    {
                        follows.end(Instant::now(), read, outcome, &label);
                    }
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// The archive where there is to be one: begun in the inner circle, and kept up for a while behind that.
    fn open_archive(
        self: &Arc<Self>,
        is_inner: bool,
        indexing: &mut JoinSet<()>,
    ) -> Result<Option<Arc<Kept>>, Outage> {
        if let Some(kept) = self.archive.kept() {
            return Ok(Some(kept));
        }
        if !is_inner && !self.archive.dir.exists() {
            return Ok(None);
        }
        let kept = block_in_place(|| self.archive.open())?;
        tracing::info!("this spoke keeps the archive of the network");
        // The one before it ends with its archive.
        indexing.spawn(Arc::clone(self).index_all(Arc::downgrade(&kept)));
        Ok(Some(kept))
    }

    /// Begins to ask whoever has news, or was not asked for long.
    fn ask_who_has_news(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        follows: &mut BTreeMap<Label, Follows>,
        under_way: &mut JoinSet<Done>,
    ) {
        let now = Instant::now();
        let spokes = self.ask(|registry| {
            let spokes = registry.admitted();
            spokes
                .map(|(label, _)| label.clone())
                .collect::<BTreeSet<Label>>()
        });
        let spokes = spokes.unwrap_or_default();
        follows.retain(|label, _| spokes.contains(label));
        for label in &spokes {
            follows
                .entry(label.clone())
                .or_insert_with(|| Follows::new(now));
        }
        let mut moved = std::mem::take(&mut *lock(&self.archive.moved));
        moved.extend(lock(&kept.doubted).iter());
        for blog in moved {
            let primary = self.ask(|r| r.blog(blog).map(|blog| blog.set.primary().clone()));
            if let Some(follows) = primary.flatten().and_then(|label| follows.get_mut(&label)) {
                follows.pending.insert(blog);
            }
        }
        if self.room.takes() == Takes::Nothing {
            return;
        }
        let many = u32::try_from(spokes.len()).unwrap_or(u32::MAX);
        let every = ASK_EVERY.max(Duration::from_secs(1) * many / ASKED_PER_SECOND);
        let mut told = lock(&self.archive.told);
        told.retain(|label| spokes.contains(label));
        let mut failing = follows.values().filter(|f| f.is_asked && f.fails).count();
        // Whoever was asked longest ago comes first, so that nobody who is named all the time keeps others out.
        let mut due: Vec<(&Label, &mut Follows)> = follows.iter_mut().collect();
        due.retain(|(label, follows)| follows.is_due(now, told.contains(*label), every));
        due.sort_by_key(|(_, follows)| follows.asked);
        for (label, follows) in due {
            if under_way.len() >= AT_ONCE {
                break;
            }
            let Some(address) = self.address(label) else {
                continue;
            };
            if follows.fails {
                if failing >= FAILING_AT_ONCE {
                    continue;
                }
                failing += 1;
            }
            told.remove(label);
            let (spoke, kept) = (Arc::clone(self), Arc::clone(kept));
            let (label, mut read) = (label.clone(), follows.begin(now));
            under_way.spawn(async move {
                let of = label.clone();
                // Apart, so that whatever happens to it is said of this spoke; it ends with this.
                let mut reading = JoinSet::new();
                reading.spawn(async move {
                    let outcome = spoke.read_news(&kept, &label, address, &mut read);
                    let outcome = tokio::time::timeout(TURN_MAX, outcome).await;
                    let too_long = || Err(Outage::new("it is another spoke's turn"));
                    (read, outcome.unwrap_or_else(|_| too_long()))
                });
                let (read, outcome) = match reading.join_next().await {
                    Some(Ok(done)) => done,
                    Some(Err(error)) => (Read::default(), Err(Outage::new(error.to_string()))),
                    None => (Read::default(), Ok(())),
                };
                (of, read, outcome)
            });
        }
    }
}
