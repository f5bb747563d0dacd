//! A spoke: it holds replicas of blogs, follows the registry, pulls from its peers, and serves.
//!
//! What it decides stands in [`spokes_rules`]; here its effects are carried out.

mod about;
mod anew;
mod api;
mod archive;
mod awake;
mod barred;
mod change;
mod desk;
mod feeds;
mod finished;
mod follow;
mod former;
mod front;
mod glance;
mod headlines;
mod health;
mod holds;
mod home;
mod keys;
mod latest;
mod leftover;
mod lists;
mod looks;
mod media;
mod mend;
mod missing;
mod offers;
mod pages;
mod pull;
mod readers;
mod renders;
mod replicas;
mod restore;
mod room;
mod search;
mod settle;
mod shelf;
mod sketch;
mod submit;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use spokes_log::{
    draft::{Kind, Medium},
    name::{BlogId, Hash},
    seal::SealedEntry,
    time::Time,
};
use spokes_rules::{
    node::{Label, NodeSecret},
    receipt::Receipt,
    registry::Registry,
    replica::{Answer, Effect, Event, Replica, Ticket},
};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

use crate::{
    blobs::Blobs,
    client::{self, Client},
    clock,
    config::{self, SpokeConfig},
    council::bind,
    desk::Desk,
    http as web,
    outage::Outage,
    store::{Store, Strand, Write},
    wire::ReceiptsWire,
};

/// Receipts on their way to peers: what does not fit is said again with the next entry.
const RECEIPTS_WAITING_MAX: usize = 10_000;
/// Receipts of one message.
const RECEIPTS_PER_MESSAGE: usize = 500;
/// How long a receipt that nobody waits for gathers others: a page that counts copies is right soon
/// enough, and a hundred posts cost one message.
const RECEIPTS_GATHER: Duration = Duration::from_millis(100);
/// Media of other servers' blogs fetched for readers at a time: four of the largest are 128 MiB.
const MEDIA_RELAYS_MAX: usize = 4;

/// A running spoke.
#[derive(Debug)]
pub struct Spoke {
    config: SpokeConfig,
    me: Label,
    network: Hash,
    secret: Arc<NodeSecret>,
    client: Client,
    store: Store,
    blobs: Blobs,
    /// What authors write in their browsers and have not signed.
    desk: Desk,
    /// Names that are asked for through the desk, and whether the council was silent.
    claiming: Mutex<BTreeMap<String, bool>>,
    /// Who is served at the desk, and whose key is read, at a time.
    desk_turns: Arc<crate::turns::Turns>,
    desk_keys: Semaphore,
    /// None until the first record has come.
    registry: RwLock<Option<Registry>>,
    /// Grows with each record taken.
    followed: watch::Sender<u64>,
    /// When the council was heard last, since the start.
    heard: RwLock<Option<Time>>,
    /// The node of the council that answered last.
    good_council: Mutex<Option<SocketAddr>>,
    /// How often another node was told, and how many may be told beside the first at once.
    told_in_turn: AtomicUsize,
    told_beside: Arc<Semaphore>,
    /// A node that shows another log, and those that were left alone for it, until when and where they part.
    suspect: Mutex<Option<SocketAddr>>,
    shunned: Mutex<BTreeMap<SocketAddr, (Instant, usize)>>,
    /// Told when the council has more than the node that is followed.
    hurry: Notify,
    /// When the council was asked last how long its log is, and everything up to there is here.
    looked: tokio::sync::Mutex<Option<Instant>>,
    /// How many records the council had when this spoke had started.
    records_at_start: OnceLock<u64>,
    started: Time,
    awake: awake::Awake,
    /// Copies that a set was opened without, so far.
    unsettled: settle::Unsettled,
    offers: offers::Offers,
    /// New with every start, so that a cursor of an older disk is seen as one (SPEC feed).
    instance: String,
    replicas: replicas::Replicas,
    /// Blogs whose set has changed.
    reopened: holds::Reopened,
    /// What the council is to hear of sets that change.
    telling: change::Telling,
    /// Of blogs that are being read.
    sketches: Mutex<BTreeMap<BlogId, Arc<sketch::Sketch>>>,
    /// Blogs for which this spoke took entries in place of their primary, and when last.
    stood_in: Mutex<BTreeMap<BlogId, Instant>>,
    /// Blogs of which the disk can have forgotten nothing: they got their names since the start.
    settled: Mutex<BTreeSet<BlogId>>,
    tickets: Mutex<BTreeMap<Ticket, Waiting>>,
    next_ticket: AtomicU64,
    /// Blogs whose keys the registry may not know.
    keys_news: Mutex<BTreeSet<BlogId>>,
    receipts_out: mpsc::Sender<(Label, Parcel)>,
    /// Places to fetch media for readers of blogs that are not here: each takes memory.
    media_relays: Semaphore,
    latest: latest::Latest,
    archive: archive::Archive,
    rendered: finished::Rendered,
    looks: looks::Looks,
    room: room::Room,
    counts: readers::Counts,
    renders: renders::Renders,
    searches: Arc<crate::turns::Turns>,
    /// Who searches what is here, at a time.
    reading_search: Semaphore,
    feeds: Arc<crate::turns::Turns>,
    homes: Arc<crate::turns::Turns>,
    mended: AtomicU64,
    /// How many receipts for pages may still be signed.
    receipts_left: health::Receipts,
    /// How long copies stay that others hold.
    keep_seconds: i64,
}

/// Who waits for an answer about an entry of a blog.
type Waiting = (BlogId, oneshot::Sender<Result<Answer, Outage>>);

impl Spoke {
    /// Opens the spoke that `spokes join` made.
    ///
    /// # Errors
    /// When files are missing, damaged, or of a newer program.
    pub fn open(dir: &Path) -> Result<(Arc<Self>, Courier), Outage> {
        let config = SpokeConfig::load(dir)?;
        let (receipts_out, queue) = mpsc::channel(RECEIPTS_WAITING_MAX);
        let spoke = Arc::new(Self {
            me: config.label()?,
            network: config.network()?,
            secret: Arc::new(config::secret_key(&dir.join("node.key"))?),
            client: Client::new()?,
            store: Store::open(&dir.join("spoke.db"))?,
            blobs: Blobs::open(&dir.join("media"))?,
            desk: Desk::open(&dir.join("desk.db"))?,
            claiming: Mutex::default(),
            desk_turns: desk::turns(),
            desk_keys: Semaphore::new(1),
            registry: RwLock::new(None),
            followed: watch::channel(0).0,
            heard: RwLock::new(None),
            good_council: Mutex::default(),
            told_in_turn: AtomicUsize::default(),
            told_beside: Arc::new(Semaphore::new(change::TOLD_BESIDE_MAX)),
            suspect: Mutex::default(),
            shunned: Mutex::default(),
            hurry: Notify::new(),
            looked: tokio::sync::Mutex::default(),
            records_at_start: OnceLock::new(),
            started: clock::now(),
            awake: awake::Awake::new(),
            unsettled: settle::Unsettled::default(),
            offers: offers::Offers::default(),
            instance: config::random_hex::<8>()?,
            replicas: replicas::Replicas::default(),
            reopened: holds::Reopened::default(),
            telling: change::Telling::default(),
            sketches: Mutex::default(),
            stood_in: Mutex::default(),
            settled: Mutex::default(),
            tickets: Mutex::default(),
            next_ticket: AtomicU64::new(1),
            keys_news: Mutex::default(),
            receipts_out,
            media_relays: Semaphore::new(MEDIA_RELAYS_MAX),
            latest: latest::Latest::new(),
            archive: archive::Archive::new(dir),
            rendered: finished::Rendered::default(),
            looks: looks::Looks::default(),
            room: room::Room::new(dir, &config)?,
            counts: readers::Counts::default(),
            renders: renders::Renders::default(),
            searches: search::turns(),
            reading_search: Semaphore::new(1),
            feeds: feeds::turns(),
            homes: home::turns(),
            mended: AtomicU64::new(0),
            receipts_left: health::Receipts::default(),
            keep_seconds: config.keep_left()?,
            config,
        });
        spoke.remember()?;
        Ok((spoke, Courier(queue)))
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// When its port is taken.
    pub async fn serve(
        self: Arc<Self>,
        courier: Courier,
        mut shutdown: watch::Receiver<bool>,
    ) -> Result<(), Outage> {
        let listener = bind(self.config.listen).await?;
        tracing::info!(label = %self.me, listen = %self.config.listen, "the spoke answers");
        let tasks = [
            tokio::spawn(Arc::clone(&self).follow()),
            tokio::spawn(Arc::clone(&self).pull_all()),
            tokio::spawn(Arc::clone(&self).carry(courier)),
            tokio::spawn(Arc::clone(&self).watch_latest()),
            tokio::spawn(Arc::clone(&self).keep_archive()),
            tokio::spawn(Arc::clone(&self).tell_archives()),
            tokio::spawn(Arc::clone(&self).scrub()),
            tokio::spawn(Arc::clone(&self).sketch_all()),
            tokio::spawn(Arc::clone(&self).change_sets()),
            tokio::spawn(Arc::clone(&self).tell_all_to_council()),
            tokio::spawn(Arc::clone(&self).compare_council()),
            tokio::spawn(Arc::clone(&self).take_in_blogs()),
            tokio::spawn(Arc::clone(&self).catch_up_behind_changes()),
            tokio::spawn(Arc::clone(&self).bring_all_keys()),
            tokio::spawn(Arc::clone(&self).stay_awake()),
            tokio::spawn(Arc::clone(&self).settle_all()),
            tokio::spawn(Arc::clone(&self).give_all_back()),
            tokio::spawn(Arc::clone(&self).read_missing()),
            tokio::spawn(Arc::clone(&self).remove_leftovers()),
            tokio::spawn(Arc::clone(&self).observe()),
            tokio::spawn(Arc::clone(&self).watch_room()),
            tokio::spawn(Arc::clone(&self).look_whether_barred()),
        ];
        let spoke = Arc::clone(&self);
        let handler = move |request| Arc::clone(&spoke).answer(request);
        let ended = async move {
            // An error means that whoever could say so is gone: the same.
            drop(shutdown.wait_for(|ended| *ended).await);
        };
        web::serve(listener, handler, ended).await;
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        Ok(())
    }

    /// Reads from the registry; none as long as nothing of it has come.
    fn ask<T>(&self, question: impl FnOnce(&Registry) -> T) -> Option<T> {
        self.registry
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(question)
    }

    /// Where a peer answers.
    fn address(&self, label: &Label) -> Option<SocketAddr> {
        self.ask(|r| {
            r.spoke(label)
                .filter(|s| s.is_admitted())
                .map(|s| s.address.0)
        })
        .flatten()
    }

    /// Where a member of an open set answers, be it barred by now: what it holds may be safe nowhere else.
    fn member_address(&self, label: &Label) -> Option<SocketAddr> {
        let of = |registry: &Registry| {
            let member = registry.spoke(label).filter(|_| registry.is_watched(label));
            member.map(|spoke| spoke.address.0)
        };
        self.ask(of).flatten()
    }

    /// Carries out what the rules decided. Called with the replica locked, so that the order of
    /// writes is the order of decisions.
    fn perform(self: &Arc<Self>, writes: &Strand, replica: &mut Replica) {
        let blog = replica.blog();
        let mut entries = Vec::new();
        while let Some(effect) = replica.poll_effect() {
            match effect {
                Effect::Store(entry) => entries.push(entry.into_sealed()),
                Effect::Erase(ids) => {
                    self.store_entries(blog, writes, std::mem::take(&mut entries), ids);
                }
                Effect::CutOff(ids) => {
                    self.store_entries(blog, writes, std::mem::take(&mut entries), Vec::new());
                    self.cut_off(replica, ids);
                }
                Effect::Settled(epoch) => self.has_settled(replica, epoch),
                Effect::Offer(epoch, ids) => {
                    self.store_entries(blog, writes, std::mem::take(&mut entries), Vec::new());
                    self.set_apart(writes, replica, epoch, ids);
                }
                Effect::StoreSeal(seal) => {
                    let write = Write::Seal(blog, seal.epoch, seal.to_string());
                    let durable = self.store.write(write);
                    let spoke = Arc::clone(self);
                    tokio::spawn(async move {
                        if matches!(durable.await, Ok(Ok(()))) {
                            spoke.with(blog, |r| r.handle(clock::now(), Event::SealStored(seal)));
                        }
                    });
                }
                Effect::SendSeal(signed) => self.tell_council(signed),
                Effect::SendReceipt(receipt) => self.send_receipt(replica, &receipt),
                Effect::Answer(ticket, answer) => {
                    let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some((_, waiting)) = tickets.remove(&ticket) {
                        // Whoever asked may have gone.
                        drop(waiting.send(Ok(answer)));
                    }
                }
            }
        }
        self.store_entries(blog, writes, entries, Vec::new());
    }

    /// Makes entries durable, and takes away the words of those that they erase.
    fn store_entries(
        self: &Arc<Self>,
        blog: BlogId,
        writes: &Strand,
        entries: Vec<SealedEntry>,
        erased: Vec<Hash>,
    ) {
        if entries.is_empty() && erased.is_empty() {
            return;
        }
        let ids: Vec<_> = entries.iter().map(|sealed| sealed.entry().id()).collect();
        let listed: Vec<(Hash, Medium)> = entries.iter().flat_map(media_in).collect();
        let kinds = entries.iter().map(|sealed| &sealed.entry().skeleton().kind);
        let has_keys = kinds.into_iter().any(|kind| *kind == Kind::Keys);
        let (write, media) = if erased.is_empty() {
            (Write::Entries(entries), Vec::new())
        } else {
            self.rendered.forget(&erased);
            let media = self.media_of(&erased);
            (Write::Erasing(entries, erased), media)
        };
        let durable = self.store.write_on(writes, write);
        let (spoke, writes) = (Arc::clone(self), writes.clone());
        let (before, done) = writes.turn();
        tokio::spawn(async move {
            let durable = durable.await;
            // In the order of the writes: a receipt for an entry speaks for those before it.
            if let Some(before) = before {
                drop(before.await);
            }
            let _done_at_the_end = done;
            match durable {
                Ok(Ok(())) => {
                    spoke.remove_media(media).await;
                    // From here on nobody removes what these list. Before, somebody may have.
                    if let Some(id) = spoke.lacks_media(blog, &listed).await {
                        return spoke.take_back(blog, &writes, &ids, id).await;
                    }
                    spoke.with(blog, |r| r.handle(clock::now(), Event::Stored(ids)));
                    spoke.latest.touch(blog);
                    if has_keys {
                        spoke.keys_changed(blog);
                    }
                }
                Ok(Err(outage)) => spoke.fall_back(blog, &outage),
                Err(_) => spoke.fall_back(blog, &Outage::new("the store has stopped")),
            }
        });
    }

    /// The first of these entries of which a medium is nowhere to be had: it must not count as held.
    async fn lacks_media(
        self: &Arc<Self>,
        blog: BlogId,
        listed: &[(Hash, Medium)],
    ) -> Option<Hash> {
        for (entry, medium) in listed {
            if !self.blobs.has(medium.hash) && !self.refetch(blog, medium).await {
                let erased = self.with(blog, |r| r.chain().eraser(*entry).is_some());
                if erased != Some(true) {
                    return Some(*entry);
                }
            }
        }
        None
    }

    /// Takes entries out again, from this one on, whose media went while they were being written. They
    /// come again from the peers, or from their author, who is told.
    async fn take_back(&self, blog: BlogId, writes: &Strand, ids: &[Hash], from: Hash) {
        for id in ids.iter().skip_while(|id| **id != from) {
            drop(self.store.write(Write::Remove(*id)));
        }
        let outage = Outage::new("A medium of the entry went while it was being written");
        // Whatever comes of it, the replica is read anew.
        drop(self.store.written(Write::Entries(Vec::new())).await);
        writes.fail(outage.clone());
        self.fall_back(blog, &outage);
    }

    /// A write failed: what is in memory is ahead of the disk and is read anew when it is next asked
    /// for; whoever waits is told.
    fn fall_back(&self, blog: BlogId, outage: &Outage) {
        tracing::error!(%blog, %outage, "entries were not kept; the replica is read anew");
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = tickets.extract_if(.., |_, (waiting_for, _)| *waiting_for == blog);
        for (_, (_, waiting)) in waiting {
            // Whoever asked may have gone.
            drop(waiting.send(Err(outage.clone())));
        }
    }

    /// Removes entries that keys signed which had ended, and reads anew what is left; the other
    /// members have what was removed with them and stands.
    fn cut_off(&self, replica: &mut Replica, ids: BTreeSet<Hash>) {
        let blog = replica.blog();
        for id in &ids {
            tracing::warn!(%blog, %id, "an entry by a key that had ended is removed");
            drop(self.store.write(Write::Remove(*id)));
        }
        // Rare, and nothing of this blog may go on before it is done.
        let read = tokio::task::block_in_place(|| {
            let queued = self.store.write(Write::Entries(Vec::new()));
            queued
                .blocking_recv()
                .unwrap_or_else(|_| Err(Outage::new("the store has stopped")))?;
            self.recall(blog)
        });
        match read {
            Ok(recalled) => {
                replica.begin_anew(clock::now(), recalled.chain, recalled.fold);
                // Pages that showed them must not be served again.
                self.rendered.forget(&[]);
            }
            Err(outage) => tracing::error!(%blog, %outage, "a replica cannot be read"),
        }
    }

    /// Gives a receipt to the other members, and to the council while the set changes.
    fn send_receipt(self: &Arc<Self>, replica: &Replica, receipt: &Receipt) {
        let Some(set) = replica.open_set() else {
            return;
        };
        for label in set.members.iter().filter(|label| **label != self.me) {
            let parcel = Parcel {
                receipt: receipt.clone(),
                // An author waits for it there; the others only want to know.
                urgent: label == set.primary(),
            };
            // A full queue loses nothing for good: the next receipt covers this one.
            drop(self.receipts_out.try_send((label.clone(), parcel)));
        }
        if receipt.held.epoch > set.epoch {
            self.tell_council(receipt.signed.clone());
        }
    }

    /// Hands receipts to those who bring them, one for each peer.
    async fn carry(self: Arc<Self>, mut courier: Courier) {
        let mut ways: BTreeMap<Label, mpsc::Sender<Parcel>> = BTreeMap::new();
        while let Some((label, parcel)) = courier.0.recv().await {
            let way = ways.entry(label).or_insert_with_key(|label| {
                let (way, queue) = mpsc::channel(RECEIPTS_WAITING_MAX);
                tokio::spawn(Arc::clone(&self).carry_to(label.clone(), queue));
                way
            });
            // As above: the next receipt covers this one.
            drop(way.try_send(parcel));
        }
    }

    /// Brings receipts to one peer, one message after the other: what comes up meanwhile goes in the
    /// next, so that many authors share a message as they share a sync.
    async fn carry_to(self: Arc<Self>, label: Label, mut queue: mpsc::Receiver<Parcel>) {
        while let Some(first) = queue.recv().await {
            let (mut urgent, mut batch) = (first.urgent, vec![first.receipt]);
            let until = tokio::time::Instant::now() + RECEIPTS_GATHER;
            while batch.len() < RECEIPTS_PER_MESSAGE {
                let next = match queue.try_recv() {
                    Ok(next) => Some(next),
                    Err(_) if urgent => None,
                    Err(_) => {
                        let next = tokio::time::timeout_at(until, queue.recv()).await;
                        next.ok().flatten()
                    }
                };
                let Some(next) = next else { break };
                urgent |= next.urgent;
                batch.push(next.receipt);
            }
            let Some(to) = self.address(&label) else {
                continue;
            };
            let receipts = self.newest(batch);
            let body = ReceiptsWire {
                receipts: receipts.iter().map(|r| (&r.signed).into()).collect(),
                ..ReceiptsWire::default()
            };
            let ask = client::Ask::new(to, "/api/v1/receipts");
            let sent = self.client.post::<_, serde_json::Value>(ask, &body).await;
            if let Err(outage) = sent {
                tracing::debug!(%label, %outage, "receipts were not delivered");
            }
        }
    }

    /// Of receipts of ours, in the order in which they were signed, those that no later one covers.
    fn newest(self: &Arc<Self>, receipts: Vec<Receipt>) -> Vec<Receipt> {
        let mut by_blog: BTreeMap<(BlogId, u64), Vec<Receipt>> = BTreeMap::new();
        for receipt in receipts {
            let of = (receipt.held.blog, receipt.held.epoch);
            by_blog.entry(of).or_default().push(receipt);
        }
        let mut newest = Vec::new();
        for ((blog, _), mut receipts) in by_blog {
            if let Some(last) = receipts.pop() {
                let tip = last.held.tip.id;
                if !receipts.is_empty() {
                    self.with(blog, |replica| {
                        let covered = |r: &Receipt| replica.chain().reaches(tip, r.held.tip.id);
                        receipts.retain(|receipt| !covered(receipt));
                    });
                }
                newest.append(&mut receipts);
                newest.push(last);
            }
        }
        newest
    }

    fn ticket(&self, blog: BlogId) -> (Ticket, oneshot::Receiver<Result<Answer, Outage>>) {
        let ticket = self.next_ticket.fetch_add(1, Ordering::Relaxed);
        let (answer, waiting) = oneshot::channel();
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.insert(ticket, (blog, answer));
        (ticket, waiting)
    }
}

/// The media that an entry lists, each with the entry's id.
fn media_in(sealed: &SealedEntry) -> Vec<(Hash, Medium)> {
    let id = sealed.entry().id();
    let article = sealed.entry().draft().and_then(|draft| draft.article());
    let media = article.into_iter().flat_map(|article| &article.media);
    media.map(|medium| (id, medium.clone())).collect()
}

/// The receipts on their way out.
#[derive(Debug)]
pub struct Courier(mpsc::Receiver<(Label, Parcel)>);

/// A receipt on its way to one peer.
#[derive(Debug)]
struct Parcel {
    receipt: Receipt,
    urgent: bool,
}
