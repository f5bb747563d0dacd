//! Pulling: the one way in which entries reach a replica (SPEC feed).
//!
//! Each peer with which this spoke shares a blog is long-polled for the blogs whose primary it is;
//! now and then, and after every start, tips are compared with all members of each set.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use spokes_log::{
    chain::Place,
    draft::{MEDIUM_BYTES_MAX, Medium},
    entry::Entry,
    fault::Fault,
    name::{BlogId, EntryId, Hash},
    ring::VerifiedEntry,
    seal::SealedEntry,
};
use spokes_rules::{
    health::Takes,
    node::Label,
    receipt::Tip,
    replica::{Event, Replica},
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{Spoke, archive};
use crate::{
    client::{Ask, Reply},
    clock,
    outage::Outage,
    store::{Write, stopped},
    wire::{EntryWire, FeedWire, HeadsWire, TipWire},
};

/// How long a peer may wait before it answers that nothing is new.
const WAIT: Duration = Duration::from_secs(20);
/// How often tips are compared beside the feed.
const COMPARE_EVERY: Duration = Duration::from_secs(30);
/// How soon they are compared again where a copy, here or there, had not settled in the open epoch.
const COMPARE_AGAIN: Duration = Duration::from_secs(1);
/// The first pause after a peer was silent; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// The longest pause: a peer that comes back is noticed within it.
const PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// Entries of one page.
pub(super) const PAGE: usize = 500;
/// Pages in a row that brought nothing and came at once, before a peer is asked more seldom.
const USELESS_MAX: u32 = 20;
/// Bytes of entries held back until the `erase` comes that vouches for the first of them.
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Pages on their way to the disk while the next one is judged: one that is written, and one behind it.
const WRITES_AHEAD: usize = 2;
/// Fewer entries than these are judged on the core where they are.
const FEW: usize = 4;
/// Entries fetched one by one, back from an unknown tip, before the whole blog is read.
const STEPS_BACK_MAX: usize = 20;

/// Where what is pulled is kept.
#[derive(Clone, Debug)]
pub(super) enum Holder {
    /// In the replica of a blog whose set this spoke is in.
    Replica,
    /// In the archive, from the blog's primary or from another member.
    Archive(Arc<archive::Kept>, archive::From),
}

/// A page of a feed, read and not judged yet.
struct Page {
    entries: Vec<SealedEntry>,
    more: bool,
    cursor: String,
}

impl Spoke {
    /// Keeps one puller for each peer that shares a blog with this spoke.
    pub(super) async fn pull_all(self: Arc<Self>) {
        let mut followed = self.followed.subscribe();
        let mut pulled: BTreeSet<Label> = BTreeSet::new();
        loop {
            for peer in self.peers() {
                if pulled.insert(peer.clone()) {
                    tokio::spawn(Arc::clone(&self).pull_from(peer));
                }
            }
            if followed.changed().await.is_err() {
                return;
            }
        }
    }

    /// The other members of all sets that this spoke is in or will be in.
    fn peers(&self) -> BTreeSet<Label> {
        let peers = self.ask(|registry| {
            let mut peers = BTreeSet::new();
            for blog in registry
                .placed_on(&self.me)
                .filter_map(|id| registry.blog(id))
            {
                let next = blog.closing.as_ref().filter(|c| c.next.has(&self.me));
                let next = next.into_iter().flat_map(|c| &c.next.members);
                for label in blog.set.members.iter().chain(next) {
                    if *label != self.me && !peers.contains(label) {
                        peers.insert(label.clone());
                    }
                }
            }
            peers
        });
        peers.unwrap_or_default()
    }

    async fn pull_from(self: Arc<Self>, peer: Label) {
        let mut pause = PAUSE_FIRST;
        let mut cursor: Option<String> = None;
        let mut compare_at = Instant::now();
        let mut useless = 0;
        loop {
            let Some(address) = self.member_address(&peer) else {
                tokio::time::sleep(PAUSE_LONGEST).await;
                continue;
            };
            if self.room.takes() == Takes::Nothing {
                tokio::time::sleep(PAUSE_LONGEST).await;
                continue;
            }
            let (began, had_cursor) = (Instant::now(), cursor.is_some());
            match self
                .pull_once(&peer, address, &mut cursor, &mut compare_at)
                .await
            {
                Ok(news) => {
                    if had_cursor {
                        pause = PAUSE_FIRST;
                    }
                    useless = if news || began.elapsed() > PAUSE_FIRST {
                        0
                    } else {
                        useless + 1
                    };
                    if useless > USELESS_MAX {
                        tokio::time::sleep(PAUSE_LONGEST).await;
                    }
                }
                Err(outage) => {
                    tracing::debug!(%peer, %outage, "nothing was pulled");
                    cursor = None;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_LONGEST);
                }
            }
        }
    }

    async fn pull_once(
        self: &Arc<Self>,
        peer: &Label,
        address: SocketAddr,
        cursor: &mut Option<String>,
        compare_at: &mut Instant,
    ) -> Result<bool, Outage> {
        let Some(after) = cursor.clone() else {
            // First the end of the feed, then the tips: what comes between is pulled twice, not never.
            let feed = self
                .feed(address, "/api/v1/feed?limit=0", Duration::ZERO)
                .await?;
            *compare_at = self.compare(peer, address).await?;
            *cursor = feed.map(|feed| feed.cursor);
            return Ok(false);
        };
        let wait = WAIT.min(compare_at.saturating_duration_since(Instant::now()));
        // Whole seconds, and not none of the last one: asked again and again without waiting, a peer
        // brings nothing so often that it is left alone for a while, and authors wait.
        let wait = Duration::from_secs(wait.as_millis().div_ceil(1_000).try_into().unwrap_or(0));
        let path = format!(
            "/api/v1/feed?after={after}&wait={}&limit={PAGE}&replica={}&primary={peer}",
            wait.as_secs(),
            self.me
        );
        let Some(page) = self.feed(address, &path, wait).await? else {
            *cursor = None;
            return Ok(false);
        };
        let before = *self.store.newest().borrow();
        let (held, passed_over) = self.take(peer, address, &page).await?;
        if !held.is_empty() {
            return Err(without_erase(address));
        }
        *cursor = Some(page.cursor);
        if passed_over {
            *compare_at = Instant::now() + COMPARE_AGAIN;
        }
        if Instant::now() > *compare_at {
            *compare_at = self.compare(peer, address).await?;
        }
        Ok(*self.store.newest().borrow() > before)
    }

    /// A page of a peer's feed; none when it does not know the cursor any more.
    pub(super) async fn feed(
        &self,
        address: SocketAddr,
        path: &str,
        wait: Duration,
    ) -> Result<Option<FeedWire>, Outage> {
        match self
            .client
            .get(Ask::new(address, path).waiting(wait))
            .await?
        {
            Reply::Good(page, _) => Ok(Some(page)),
            Reply::Refused(problem) if problem.status == 410 => Ok(None),
            Reply::Refused(problem) => Err(Outage::new(problem.detail)),
        }
    }

    /// Whether what a peer holds of a blog belongs to the epoch that is open here: else its copy, or what
    /// is known here, is of another, and each may hold what the other must not take (SPEC receipt 6.5).
    pub(super) async fn exchanges(self: &Arc<Self>, blog: BlogId, epoch: Option<u64>) -> bool {
        let Some(epoch) = epoch else { return true };
        let open = |replica: &Replica| replica.open_set().map_or(0, |set| set.epoch);
        match self.with(blog, |replica| open(replica)) {
            Some(known) if known < epoch => self.hears_news().await,
            _ => false,
        };
        self.with(blog, |replica| replica.exchanges_with(epoch)) == Some(true)
    }

    /// Compares tips with a peer and pulls what is lacking here; says when to do it again.
    async fn compare(
        self: &Arc<Self>,
        peer: &Label,
        address: SocketAddr,
    ) -> Result<Instant, Outage> {
        let path = format!("/api/v1/heads?replica={}", self.me);
        let heads: HeadsWire = self.client.get(Ask::new(address, &path)).await?.good()?;
        // First what the peer signed, while we were away or before we forgot it at our start: it tells
        // what stands although its key has ended.
        // Of a blog that both hold.
        let _none = self.take_receipts(&heads.receipts);
        let mut again = COMPARE_EVERY;
        for (id, tips) in &heads.blogs {
            let Ok(blog) = Hash::parse(id) else {
                continue;
            };
            if !self.exchanges(blog, heads.epochs.get(id).copied()).await {
                again = COMPARE_AGAIN;
                continue;
            }
            let tips: Vec<Tip> = tips
                .iter()
                .filter_map(|tip: &TipWire| tip.tip().ok())
                .collect();
            let named = Event::Tips {
                of: peer.clone(),
                tips: tips.clone(),
            };
            self.with(blog, |replica| replica.handle(clock::now(), named));
            let held = self.catch_up(address, blog, &tips).await;
            if let Err(outage) = held {
                tracing::debug!(%peer, %blog, %outage, "a blog was not caught up with");
            }
        }
        // One blog that cannot be had must not hold up the others: they go on with the feed, and it is
        // tried again with the next comparison.
        Ok(Instant::now() + again)
    }

    /// Pulls a blog until these tips are in its replica.
    pub(super) async fn catch_up(
        self: &Arc<Self>,
        address: SocketAddr,
        blog: BlogId,
        tips: &[Tip],
    ) -> Result<(), Outage> {
        self.bring_tips(address, blog, tips, &Holder::Replica).await
    }

    /// Pulls a blog until these tips are here.
    pub(super) async fn bring_tips(
        self: &Arc<Self>,
        address: SocketAddr,
        blog: BlogId,
        tips: &[Tip],
        holder: &Holder,
    ) -> Result<(), Outage> {
        let lacks = |tip: &&Tip| !self.holds(holder, blog, tip.id);
        let Some(tip) = tips.iter().find(lacks) else {
            return Ok(());
        };
        tracing::info!(%blog, from = %address, to = tip.sequence, "catching up");
        if self.step_back(address, blog, tip.id, holder).await? && tips.iter().find(lacks).is_none()
        {
            return Ok(());
        }
        self.read_through(address, blog, holder).await
    }

    /// Whether an entry is here; yes where nothing of its blog is to be held.
    fn holds(self: &Arc<Self>, holder: &Holder, blog: BlogId, id: EntryId) -> bool {
        match holder {
            Holder::Replica => self
                .with(blog, |replica| replica.chain().contains(id))
                .unwrap_or(true),
            Holder::Archive(kept, _) => kept.has(blog, id),
        }
    }

    /// Judges a run of one blog's entries, and takes it in where it is to be held.
    async fn take_for(
        self: &Arc<Self>,
        holder: &Holder,
        address: SocketAddr,
        blog: BlogId,
        run: Vec<SealedEntry>,
    ) -> Result<Vec<SealedEntry>, Outage> {
        match holder {
            Holder::Replica => self.take_run(address, blog, run).await,
            Holder::Archive(kept, from) => self.archive_run(kept, *from, address, blog, run).await,
        }
    }

    /// Reads a whole blog from one peer. Each page must bring something of it that the pages before
    /// did not, so that a liar ends where the author's words do.
    ///
    /// While a page is judged the next one is on its way from the peer, and the last ones on their way
    /// to the disk (SPEC feed 5.2): neither cores nor disk nor peer wait for one another.
    pub(super) async fn read_through(
        self: &Arc<Self>,
        address: SocketAddr,
        blog: BlogId,
        holder: &Holder,
    ) -> Result<(), Outage> {
        let mut seen: BTreeSet<EntryId> = BTreeSet::new();
        let mut held: Vec<SealedEntry> = Vec::new();
        let mut coming = Some(Arc::clone(self).page_ahead(address, blog, String::new()));
        let mut on_their_way = VecDeque::new();
        while let Some(page) = coming.take() {
            let page = page
                .await
                .unwrap_or_else(|e| Err(Outage::new(e.to_string())))?;
            if on_their_way.len() == WRITES_AHEAD {
                durable(on_their_way.pop_front()).await?;
            }
            let more = page.more;
            coming = more.then(|| Arc::clone(self).page_ahead(address, blog, page.cursor));
            let mut run = std::mem::take(&mut held);
            run.extend(page.entries);
            run.retain(|sealed| sealed.entry().blog() == blog);
            let mut news = false;
            for sealed in &run {
                news |= seen.insert(sealed.entry().id());
            }
            held = self.take_for(holder, address, blog, run).await?;
            on_their_way.push_back(self.store.write(Write::Entries(Vec::new())));
            let bytes: usize = held.iter().map(|sealed| sealed.entry().text().len()).sum();
            if !more && !held.is_empty() || bytes > HELD_BYTES_MAX {
                return Err(without_erase(address));
            }
            if more && !news {
                return Err(Outage::new(format!("{address} leads in circles")));
            }
        }
        durable(on_their_way.pop_back()).await
    }

    /// Fetches a page of one blog, and reads what is in it.
    fn page_ahead(
        self: Arc<Self>,
        address: SocketAddr,
        blog: BlogId,
        after: String,
    ) -> JoinHandle<Result<Page, Outage>> {
        tokio::spawn(async move {
            let path = format!("/api/v1/feed?blogs={blog}&limit={PAGE}&after={after}");
            let page = self.feed(address, &path, Duration::ZERO).await?;
            let page = page.ok_or_else(|| Outage::new(format!("{address} began anew")))?;
            let entries = parse_all(address, &page.entries)?;
            Ok(Page {
                entries,
                more: page.more,
                cursor: page.cursor,
            })
        })
    }

    /// Pulls one blog from one peer, whatever its tips are; true when it answered.
    pub(super) async fn catch_up_with(self: &Arc<Self>, address: SocketAddr, blog: BlogId) -> bool {
        let path = format!("/api/v1/heads?blogs={blog}");
        let heads = self.client.get::<HeadsWire>(Ask::new(address, &path)).await;
        let Ok(Ok(heads)) = heads.map(Reply::good) else {
            return false;
        };
        let id = blog.to_string();
        if !self.exchanges(blog, heads.epochs.get(&id).copied()).await {
            return true;
        }
        let tips = heads.blogs.get(&id);
        let tips: Vec<Tip> = tips
            .into_iter()
            .flatten()
            .filter_map(|tip| tip.tip().ok())
            .collect();
        self.catch_up(address, blog, &tips).await.is_ok()
    }

    /// Fetches a few entries back from a tip; true when they connected.
    async fn step_back(
        self: &Arc<Self>,
        address: SocketAddr,
        blog: BlogId,
        tip: EntryId,
        holder: &Holder,
    ) -> Result<bool, Outage> {
        let mut run = Vec::new();
        let mut at = tip;
        let mut connected = false;
        for _ in 0..STEPS_BACK_MAX {
            let path = format!("/api/v1/entries/{}", at.path());
            let Reply::Good(wire, _) = self
                .client
                .get::<EntryWire>(Ask::new(address, &path))
                .await?
            else {
                return Ok(false);
            };
            let Some(sealed) = wire.sealed().ok().filter(|s| s.entry().id() == at) else {
                return Ok(false);
            };
            let previous = sealed.entry().skeleton().previous;
            run.push(sealed);
            connected = previous.is_none_or(|id| self.holds(holder, blog, id));
            let Some(previous) = previous.filter(|_| !connected) else {
                break;
            };
            at = previous;
        }
        if !connected {
            return Ok(false);
        }
        run.reverse();
        if !self.take_for(holder, address, blog, run).await?.is_empty() {
            return Ok(false);
        }
        self.store.written(Write::Entries(Vec::new())).await?;
        Ok(self.holds(holder, blog, tip))
    }

    /// Takes entries from a peer, whatever blogs they are of; gives back what cannot be judged yet, and
    /// whether some were passed over.
    async fn take(
        self: &Arc<Self>,
        peer: &Label,
        address: SocketAddr,
        page: &FeedWire,
    ) -> Result<(Vec<SealedEntry>, bool), Outage> {
        let by_blog = by_blog(address, page)?;
        let (mut held, mut passed_over) = (Vec::new(), false);
        for (blog, run) in by_blog {
            let epoch = page.epochs.get(&blog.to_string()).copied();
            if !self.exchanges(blog, epoch).await {
                passed_over = true;
                continue;
            }
            let tips = run.iter().map(|sealed| tip_of(sealed.entry())).collect();
            if let Some(epoch) = epoch {
                let (by, tips) = (peer.clone(), tips);
                let vouched = Event::Vouched { by, epoch, tips };
                self.with(blog, |replica| replica.handle(clock::now(), vouched));
            }
            match self.take_run(address, blog, run).await {
                Ok(waits) => held.extend(waits),
                // As with heads: the others go on.
                Err(outage) => tracing::debug!(%blog, %outage, "entries were not taken in"),
            }
        }
        // Behind everything queued so far: what was taken is durable before more is asked for.
        self.store.written(Write::Entries(Vec::new())).await?;
        Ok((held, passed_over))
    }

    /// Where in a run the first entry stands whose words are gone although neither the run nor what is
    /// here has the `erase` that took them (SPEC entry 7.6); the run's length if none does. Anybody
    /// can make such a skeleton, since it bears no signature.
    pub(super) fn first_unvouched(self: &Arc<Self>, blog: BlogId, run: &[SealedEntry]) -> usize {
        if !run.iter().any(|sealed| sealed.entry().is_erased()) {
            return run.len();
        }
        let Some(mut chain) = self.with(blog, |replica| replica.chain().clone()) else {
            return 0;
        };
        tokio::task::block_in_place(|| {
            for sealed in run {
                if chain.accept(sealed.clone()).is_err() {
                    break;
                }
            }
        });
        let unvouched = |sealed: &SealedEntry| chain.unvouched().contains(&sealed.entry().id());
        run.iter().position(unvouched).unwrap_or(run.len())
    }

    /// Judges a run of one blog's entries on all cores, fetches their media, and takes them in; gives
    /// back what stands behind the first that nothing vouches for yet. What it takes in is queued for
    /// the disk, and the caller waits for that.
    async fn take_run(
        self: &Arc<Self>,
        address: SocketAddr,
        blog: BlogId,
        run: Vec<SealedEntry>,
    ) -> Result<Vec<SealedEntry>, Outage> {
        let known = self.with(blog, |r| {
            let known = |sealed: &SealedEntry| r.chain().contains(sealed.entry().id());
            run.iter().map(known).collect::<Vec<_>>()
        });
        let Some(known) = known else {
            return Ok(Vec::new());
        };
        let pairs = run.into_iter().zip(known);
        let mut run: Vec<SealedEntry> = pairs.filter_map(|(s, k)| (!k).then_some(s)).collect();
        let held = run.split_off(self.first_unvouched(blog, &run));
        while !run.is_empty() {
            let Some((places, fault)) = self.with(blog, |r| r.chain().place_run(&run)) else {
                return Ok(Vec::new());
            };
            if places.is_empty() {
                return Err(does_not_fit(address, fault.as_ref()));
            }
            let rest = run.split_off(places.len());
            let judged = judge(address, places, run)?;
            self.take_judged(address, blog, judged).await?;
            run = rest;
        }
        Ok(held)
    }

    /// Takes in judged entries, all in one write: as many from the first on as have their media.
    async fn take_judged(
        self: &Arc<Self>,
        address: SocketAddr,
        blog: BlogId,
        mut judged: Vec<VerifiedEntry>,
    ) -> Result<(), Outage> {
        let mut fetched = Ok(());
        for (index, entry) in judged.iter().enumerate() {
            fetched = self.fetch_media(address, entry).await;
            if fetched.is_err() {
                judged.truncate(index);
                break;
            }
        }
        self.with(blog, |r| r.handle(clock::now(), Event::Pulled(judged)));
        fetched
    }

    pub(super) async fn fetch_media(
        self: &Arc<Self>,
        address: SocketAddr,
        entry: &VerifiedEntry,
    ) -> Result<(), Outage> {
        let Some(article) = entry.entry().draft().and_then(|draft| draft.article()) else {
            return Ok(());
        };
        for medium in &article.media {
            if !self.blobs.has(medium.hash) {
                self.fetch_medium(address, medium).await?;
            }
        }
        Ok(())
    }

    async fn fetch_medium(&self, address: SocketAddr, medium: &Medium) -> Result<(), Outage> {
        let path = format!("/media/{}", medium.hash.path());
        // Its hash decides, not the length that an entry claims.
        let max = usize::try_from(MEDIUM_BYTES_MAX).unwrap_or(usize::MAX);
        let bytes = self.client.bytes(Ask::new(address, &path), max).await?;
        let bytes =
            bytes.ok_or_else(|| Outage::new(format!("{address} has no {}", medium.hash)))?;
        if Hash::of(&bytes) != medium.hash {
            return Err(Outage::new(format!(
                "{address} sent another medium than {}",
                medium.hash
            )));
        }
        tokio::task::block_in_place(|| self.blobs.put(medium.hash, &bytes))
    }

    /// A medium from whichever member has it: for one that was lost or altered here.
    pub(super) async fn refetch(&self, blog: BlogId, medium: &Medium) -> bool {
        for address in self.other_members(blog) {
            if self.fetch_medium(address, medium).await.is_ok() {
                tracing::warn!(%blog, hash = %medium.hash, "an altered or lost blob was mended");
                self.mended.fetch_add(1, Ordering::Relaxed);
                return true;
            }
        }
        false
    }

    /// Where the other members of a blog's set answer.
    pub(super) fn other_members(&self, blog: BlogId) -> Vec<SocketAddr> {
        let members = self
            .ask(|r| r.blog(blog).map(|b| b.set.members.clone()))
            .flatten();
        let others = members
            .into_iter()
            .flatten()
            .filter(|label| *label != self.me);
        others.filter_map(|label| self.address(&label)).collect()
    }
}

fn tip_of(entry: &Entry) -> Tip {
    Tip {
        sequence: entry.skeleton().sequence,
        id: entry.id(),
    }
}

fn parse_all(address: SocketAddr, entries: &[EntryWire]) -> Result<Vec<SealedEntry>, Outage> {
    let parsed: Result<Vec<_>, _> = on_all_cores(entries.iter().collect(), EntryWire::sealed);
    parsed.map_err(|e| Outage::new(format!("{address} sent an entry that is none: {e}")))
}

/// The entries of a page, by their blogs.
pub(super) fn by_blog(
    address: SocketAddr,
    page: &FeedWire,
) -> Result<BTreeMap<BlogId, Vec<SealedEntry>>, Outage> {
    let mut by_blog: BTreeMap<BlogId, Vec<SealedEntry>> = BTreeMap::new();
    for sealed in parse_all(address, &page.entries)? {
        let blog = sealed.entry().blog();
        by_blog.entry(blog).or_default().push(sealed);
    }
    Ok(by_blog)
}

/// Judges entries at their places, on all cores.
pub(super) fn judge(
    address: SocketAddr,
    places: Vec<Place>,
    run: Vec<SealedEntry>,
) -> Result<Vec<VerifiedEntry>, Outage> {
    let pairs: Vec<_> = places.into_iter().zip(run).collect();
    let judged: Result<Vec<VerifiedEntry>, _> =
        on_all_cores(pairs, |(place, sealed)| place.verify(sealed));
    judged.map_err(|fault| {
        Outage::new(format!(
            "{address} sent an entry that is not valid: {fault}"
        ))
    })
}

pub(super) fn does_not_fit(address: SocketAddr, fault: Option<&Fault>) -> Outage {
    let fault = fault.map(ToString::to_string).unwrap_or_default();
    Outage::new(format!("{address} sent what does not fit: {fault}"))
}

/// Does the same with many things on all cores, and with few where it is: to wake another core costs
/// as much as to judge an entry.
fn on_all_cores<T: Send, U: Send, E: Send>(
    things: Vec<T>,
    act: impl Fn(T) -> Result<U, E> + Sync + Send,
) -> Result<Vec<U>, E> {
    tokio::task::block_in_place(|| match things.len() {
        0..FEW => things.into_iter().map(act).collect(),
        _ => things.into_par_iter().map(act).collect(),
    })
}

/// Waits until a write is durable, and with it those that were queued before.
async fn durable(written: Option<oneshot::Receiver<Result<(), Outage>>>) -> Result<(), Outage> {
    match written {
        Some(written) => written.await.unwrap_or_else(|_| Err(stopped())),
        None => Ok(()),
    }
}

pub(super) fn without_erase(address: SocketAddr) -> Outage {
    Outage::new(format!(
        "{address} sent an entry without its words, and no erase that took them"
    ))
}
