//! The archive: every entry of the network, without media, on each spoke of the inner circle (SPEC circle 6).
//!
//! A spoke says to each of them that its feed has news; they pull that feed as secondaries do. So an entry goes to
//! nine others at most, however many spokes there are, and nobody stands in between who could lose or hide it.

mod answer;
mod copies;
mod indexing;
mod news;

pub(super) use self::answer::{FOUND_MAX, PAGES_MAX, Wanted};

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use spokes_log::{
    name::{BlogId, Hash},
    ring::VerifiedEntry,
    seal::SealedEntry,
};
use spokes_rules::{health::Takes, node::Label, receipt::Tip, registry};
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::{JoinSet, block_in_place},
};

use self::copies::{Copies, Copy};
use super::{
    Spoke,
    pull::{Holder, PAGE, on_all_cores, parse_all, without_erase},
};
use crate::{
    client::Ask,
    index::Index,
    outage::Outage,
    store::{Store, Write},
    wire::{FeedWire, HeadsWire, TipWire},
};

/// Spokes that are read from at a time: judging what they send keeps the cores busy.
const AT_ONCE: usize = 8;
/// How often a spoke is asked for news of which it said nothing.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// Spokes that are asked so in a second, at most: beyond that each waits longer for its turn.
const ASKED_PER_SECOND: u32 = 20;
/// How often heads are compared beside the feed: what a feed did not bring comes so.
const COMPARE_EVERY: Duration = Duration::from_secs(600);
/// The first pause after a spoke could not be read; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// The longest: what happened while a spoke was silent comes so soon after it is back.
const PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// How long an archive is kept up, and then removed, where the inner circle is another by now: a spoke that was silent
/// for some minutes takes its place again.
const KEEP: Duration = Duration::from_secs(3_600);
/// How often it is looked who is to be asked.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Searches that are answered at a time: more than cores serve nobody faster.
const SEARCHES_MAX: usize = 4;

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
    searches: Semaphore,
}

/// An open archive.
#[derive(Debug)]
pub(super) struct Kept {
    store: Store,
    index: Index,
    /// Up to where the index went when it was opened.
    indexed: u64,
    copies: Copies,
}

/// How one spoke is followed.
#[derive(Debug)]
struct Follows {
    cursor: Option<String>,
    is_asked: bool,
    asked: Instant,
    compared: Instant,
    not_before: Instant,
    pause: Duration,
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
            searches: Semaphore::new(SEARCHES_MAX),
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

    fn open(&self) -> Result<Arc<Kept>, Outage> {
        let mut open = lock(&self.open);
        if let Some(kept) = &*open {
            return Ok(Arc::clone(kept));
        }
        let doing = |error| Outage::file("making", &self.dir, &error);
        fs::create_dir_all(&self.dir).map_err(doing)?;
        let store = Store::open(&self.dir.join("archive.db"))?;
        let newest = *store.newest().borrow();
        let (index, indexed) = Index::open(&self.dir.join("index"), newest)?;
        let kept = Arc::new(Kept {
            store,
            index,
            indexed,
            copies: Copies::default(),
        });
        *open = Some(Arc::clone(&kept));
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Follows {
    fn new(now: Instant) -> Self {
        Self {
            cursor: None,
            is_asked: false,
            asked: now,
            compared: now,
            not_before: now,
            pause: PAUSE_FIRST,
        }
    }

    /// Whether it is to be asked now.
    fn is_due(&self, now: Instant, told: bool, every: Duration) -> bool {
        let wants = self.cursor.is_none() || told || now.duration_since(self.asked) >= every;
        !self.is_asked && now >= self.not_before && wants
    }

    fn answered(&mut self, now: Instant, answer: Result<String, Outage>, of: &Label) {
        self.is_asked = false;
        match answer {
            Ok(cursor) => {
                if self.cursor.is_none() {
                    self.compared = now;
                }
                self.cursor =
                    Some(cursor).filter(|_| now.duration_since(self.compared) < COMPARE_EVERY);
                self.pause = PAUSE_FIRST;
            }
            Err(outage) => {
                tracing::debug!(%of, %outage, "the archive could not read there");
                self.cursor = None;
                self.not_before = now + self.pause;
                self.pause = (self.pause * 2).min(PAUSE_LONGEST);
            }
        }
    }
}

impl Spoke {
    /// Keeps the archive, as long as this spoke is of the inner circle.
    pub(super) async fn keep_archive(self: Arc<Self>) {
        let mut follows: BTreeMap<Label, Follows> = BTreeMap::new();
        let mut under_way = JoinSet::new();
        let mut left: Option<Instant> = None;
        loop {
            let now = Instant::now();
            let is_inner = self.latest.circled().circles.inner.contains(&self.me);
            left = if is_inner { None } else { left.or(Some(now)) };
            if left.is_some_and(|left| now.duration_since(left) > KEEP) {
                follows.clear();
                block_in_place(|| self.archive.remove());
            }
            match self.open_archive(is_inner) {
                Ok(Some(kept)) => self.ask_who_has_news(&kept, &mut follows, &mut under_way),
                Ok(None) => {}
                Err(outage) => {
                    tracing::error!(%outage, "the archive cannot be opened");
                    tokio::time::sleep(PAUSE_LONGEST).await;
                }
            }
            tokio::select! {
                () = self.archive.wake.notified() => {}
                Some(done) = under_way.join_next(), if !under_way.is_empty() => {
                    let (label, answer): (Label, Result<String, Outage>) = match done {
                        Ok(done) => done,
                        Err(_) => continue,
                    };
                    if let Some(follows) = follows.get_mut(&label) {
                        follows.answered(Instant::now(), answer, &label);
                    }
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// The archive where there is to be one: begun in the inner circle, and kept up for a while behind that.
    fn open_archive(self: &Arc<Self>, is_inner: bool) -> Result<Option<Arc<Kept>>, Outage> {
        if let Some(kept) = self.archive.kept() {
            return Ok(Some(kept));
        }
        if !is_inner && !self.archive.dir.exists() {
            return Ok(None);
        }
        let kept = block_in_place(|| self.archive.open())?;
        tracing::info!("this spoke keeps the archive of the network");
        tokio::spawn(Arc::clone(self).index_all(Arc::downgrade(&kept)));
        Ok(Some(kept))
    }

    /// Begins to ask whoever has news, or was not asked for long.
    fn ask_who_has_news(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        follows: &mut BTreeMap<Label, Follows>,
        under_way: &mut JoinSet<(Label, Result<String, Outage>)>,
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
        for blog in std::mem::take(&mut *lock(&self.archive.moved)) {
            let primary = self.ask(|r| r.blog(blog).map(|blog| blog.set.primary().clone()));
            if let Some(follows) = primary.flatten().and_then(|label| follows.get_mut(&label)) {
                follows.cursor = None;
            }
        }
        if self.room.takes() == Takes::Nothing {
            return;
        }
        let many = u32::try_from(spokes.len()).unwrap_or(u32::MAX);
        let every = ASK_EVERY.max(Duration::from_secs(1) * many / ASKED_PER_SECOND);
        let mut told = lock(&self.archive.told);
        told.retain(|label| spokes.contains(label));
        for (label, follows) in follows {
            if under_way.len() >= AT_ONCE {
                break;
            }
            if !follows.is_due(now, told.contains(label), every) {
                continue;
            }
            let Some(address) = self.address(label) else {
                continue;
            };
            told.remove(label);
            (follows.is_asked, follows.asked) = (true, now);
            let (spoke, kept) = (Arc::clone(self), Arc::clone(kept));
            let (label, cursor) = (label.clone(), follows.cursor.clone());
            under_way.spawn(async move {
                let answer = spoke.read_news(&kept, &label, address, cursor).await;
                (label, answer)
            });
        }
    }

    /// Reads what a spoke has of the blogs whose primary it is; gives where to go on.
    async fn read_news(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        label: &Label,
        address: SocketAddr,
        cursor: Option<String>,
    ) -> Result<String, Outage> {
        let began_anew = || Outage::new(format!("{address} began anew"));
        let Some(mut after) = cursor else {
            // First the end of the feed, then the heads: what comes between is read twice, not never.
            let end = self
                .feed(address, "/api/v1/feed?limit=0", Duration::ZERO)
                .await?;
            self.compare_archive(kept, label, address).await?;
            return Ok(end.ok_or_else(began_anew)?.cursor);
        };
        loop {
            let path = format!("/api/v1/feed?after={after}&limit={PAGE}&primary={label}");
            let page = self.feed(address, &path, Duration::ZERO).await?;
            let page = page.ok_or_else(began_anew)?;
            self.archive_page(kept, label, address, &page).await?;
            let is_further = page.cursor != after;
            after = page.cursor;
            if !page.more || !is_further {
                return Ok(after);
            }
        }
    }

    /// Whether this spoke is to be heard about a blog: only a member of its set has its entries.
    async fn may_bring(self: &Arc<Self>, label: &Label, blog: BlogId) -> bool {
        let is_member =
            |registry: &registry::Registry| registry.blog(blog).map(|blog| blog.set.has(label));
        if let Some(is_member) = self.ask(is_member).flatten() {
            return is_member;
        }
        self.hears_news().await;
        self.ask(is_member).flatten() == Some(true)
    }

    /// Compares a spoke's heads with what is here, and reads what is not.
    async fn compare_archive(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        label: &Label,
        address: SocketAddr,
    ) -> Result<(), Outage> {
        let path = format!("/api/v1/heads?primary={label}");
        let heads: HeadsWire = self.client.get(Ask::new(address, &path)).await?.good()?;
        let holder = Holder::Archive(Arc::clone(kept));
        for (id, tips) in &heads.blogs {
            let Ok(blog) = Hash::parse(id) else { continue };
            let tips: Vec<Tip> = tips
                .iter()
                .filter_map(|tip: &TipWire| tip.tip().ok())
                .collect();
            if !self.may_bring(label, blog).await {
                continue;
            }
            if let Err(outage) = self.bring_tips(address, blog, &tips, &holder).await {
                tracing::debug!(%label, %blog, %outage, "a blog was not read into the archive");
            }
        }
        Ok(())
    }

    async fn archive_page(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        label: &Label,
        address: SocketAddr,
        page: &FeedWire,
    ) -> Result<(), Outage> {
        let mut by_blog: BTreeMap<BlogId, Vec<SealedEntry>> = BTreeMap::new();
        for sealed in parse_all(address, &page.entries)? {
            by_blog
                .entry(sealed.entry().blog())
                .or_default()
                .push(sealed);
        }
        for (blog, run) in by_blog {
            if !self.may_bring(label, blog).await {
                continue;
            }
            let taken = self.archive_run(kept, address, blog, run).await;
            let taken = taken.and_then(|held| match held.is_empty() {
                true => Ok(()),
                false => Err(without_erase(address)),
            });
            if let Err(outage) = taken {
                tracing::debug!(%label, %blog, %outage, "the blog is read from its beginning");
                // One blog that cannot be had must not hold up the others; it is tried again when heads are compared.
                let holder = Holder::Archive(Arc::clone(kept));
                if let Err(outage) = self.read_through(address, blog, &holder).await {
                    tracing::debug!(%label, %blog, %outage, "a blog was not read into the archive");
                }
            }
        }
        Ok(())
    }

    /// Judges a run of one blog's entries on all cores, and keeps what is valid; gives back what stands behind the first
    /// whose words are gone and for which nothing vouches yet.
    pub(super) async fn archive_run(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        address: SocketAddr,
        blog: BlogId,
        run: Vec<SealedEntry>,
    ) -> Result<Vec<SealedEntry>, Outage> {
        let slot = kept.copies.slot(blog);
        let mut place = slot.lock().await;
        let outcome = self.archive_in(kept, &mut place, address, blog, run).await;
        if outcome.is_err() {
            // What was appended and not written must not be taken for kept.
            *place = None;
        }
        slot.note(&place);
        drop(place);
        kept.copies.trim();
        outcome
    }

    async fn archive_in(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        place: &mut Option<Copy>,
        address: SocketAddr,
        blog: BlogId,
        mut run: Vec<SealedEntry>,
    ) -> Result<Vec<SealedEntry>, Outage> {
        let copy = block_in_place(|| kept.copy_in(place, blog))?;
        run.retain(|sealed| !copy.has(sealed));
        let held = run.split_off(block_in_place(|| copy.first_unvouched(&run)));
        while !run.is_empty() {
            let (places, fault) = copy.chain.place_run(&run);
            if places.is_empty() {
                let fault = fault.map(|f| f.to_string()).unwrap_or_default();
                return Err(Outage::new(format!(
                    "{address} sent what does not fit: {fault}"
                )));
            }
            let rest = run.split_off(places.len());
            let pairs: Vec<_> = places.into_iter().zip(run).collect();
            let judged: Result<Vec<VerifiedEntry>, _> =
                on_all_cores(pairs, |(place, sealed)| place.verify(sealed));
            let judged = judged.map_err(|fault| {
                Outage::new(format!(
                    "{address} sent an entry that is not valid: {fault}"
                ))
            })?;
            let (mut entries, mut erased) = (Vec::new(), Vec::new());
            for verified in judged {
                erased.extend(copy.append(&verified)?);
                entries.push(verified.into_sealed());
            }
            // Words that are erased by what comes with them are not written at all.
            kept.store.written(Write::Erasing(entries, erased)).await?;
            run = rest;
        }
        if copy.is_damaged() {
            // What came back stands in its place by now: it is read anew when it is wanted.
            *place = None;
        }
        Ok(held)
    }
}
