//! The order of requests: one queue on the leader, batches through Raft, and everything that other nodes
//! of the council send.

use std::{
    collections::BTreeMap,
    fs::File,
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use openraft::{
    error::{ClientWriteError, RaftError},
    raft::VoteRequest,
};
use spokes_rules::{
    node::{NodeKey, NodeSecret, Signed},
    registry::Registry,
    request::Ask,
};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

mod refusals;
mod rounds;

pub(super) use refusals::nobody_leads;
use refusals::{
    LEADS_NO_MORE, NOT_LEADER, fate, leads_no_more, mute, not_its_own, not_leader, stands_down,
    unknown_fate,
};
use rounds::Rounds;

use super::{
    Unsequenced,
    anew::Anew,
    book::Book,
    part::{BATCH_MAX, HEARTBEAT, LEASE, Metrics, Part},
    peers::{self, Silence},
    press::{self, Press, Turns},
    publication,
    raft::{Batch, Filled, LogStore, NodeId, Raft, size_of_request},
    seats,
    ways::{AppendWire, Factory, KEYS, Ways},
};
use crate::{
    clock,
    dns::signer::ZoneSecret,
    http as web,
    outage::Outage,
    wire::{Problem, RequestWire, StatementsWire, TakenWire, anew::KeysWire},
};

/// Bytes of a batch, one long request apart: several fit a message between nodes.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Requests that wait for a batch; behind it whoever asks is told to come again.
const QUEUE_MAX: usize = 4_096;
/// How long a request waits for its order, an election included: then its fate is unknown, and the same
/// request may be sent again.
const ORDER_WAIT: Duration = Duration::from_secs(8);
/// How long a node goes on looking for a leader: an election takes about two seconds.
const LEADER_WAIT: Duration = Duration::from_secs(4);
/// How long it looks when it has looked in vain before.
const LEADER_WAIT_AGAIN: Duration = Duration::from_millis(500);
/// A leader who was silent for so long, or whom no majority has answered for so long, is none: by then another
/// could have been chosen.
const LEADER_SILENCE: Duration = Duration::from_secs(2);
/// How long a majority may take to confirm what there is, and a node that lags to get it: several times
/// around the world.
const CONFIRM_WAIT: Duration = Duration::from_secs(2);
/// How often the leader looks whether the council is as the registry says.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often the others look whether the leader is there.
const WATCH_EVERY: Duration = Duration::from_millis(100);
/// How long a program that is there may take to let itself be called.
const CALL_WAIT: Duration = Duration::from_millis(300);
/// The second who sees that the leader is gone lets the first go ahead by a vote's journey.
const STAGGER: Duration = Duration::from_millis(200);
/// The pause before a request is brought to a leader again.
const AGAIN: Duration = Duration::from_millis(50);
/// Bytes that stay free on the disk, so that votes and what was proposed find room.
const FREE_BYTES: u64 = 1024 * 1024;
/// What a leader's disk must have room for: the usual request. One that has not lets another node lead.
const ROOM_TO_LEAD: u64 = 256 * 1024;
/// For how long it says nothing: longer than the others wait before they choose.
const ASIDE: Duration = Duration::from_secs(5);
/// How long it leads on where nobody else does, before it tries again.
const ASIDE_AGAIN: Duration = Duration::from_secs(60);
/// How often a leader looks whether it has.
const ROOM_EVERY: Duration = Duration::from_secs(1);
/// How often a request is written: the journal, the index and its log.
const WRITTEN_TIMES: u64 = 4;

/// A request on its way into a batch.
struct Asked {
    request: Arc<RequestWire>,
    bytes: usize,
    answer: oneshot::Sender<Result<TakenWire, Unsequenced>>,
}

/// The council's order, as this node takes part in it.
#[derive(Clone)]
pub(super) struct Order {
    me: NodeId,
    book: Arc<Book>,
    ways: Arc<Ways>,
    part: Part<File>,
    queue: mpsc::Sender<Asked>,
    moments: Arc<Moments>,
    press: Press,
}

/// What this node remembers of when.
#[derive(Debug)]
struct Moments {
    /// When a leader sent something last.
    heard: Mutex<Instant>,
    /// When there was a leader last with a majority behind it.
    led: Mutex<Instant>,
    /// Rounds in which a majority confirms what there is: as the leader, and as anybody.
    leading: Rounds,
    asking: Rounds,
    /// The last entry when this node had got all.
    filled: OnceLock<Option<u64>>,
    /// Whether it says nothing as a leader, so that another one leads.
    is_silent: AtomicBool,
    /// Of which leader it was said that it holds something else.
    apart: Mutex<Option<NodeId>>,
}

fn now_in(moment: &Mutex<Instant>) {
    *moment.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
}

fn since(moment: &Mutex<Instant>) -> Duration {
    moment
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .elapsed()
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order")
            .field("me", &self.me)
            .finish_non_exhaustive()
    }
}

impl Order {
    /// Takes part in the council's order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) async fn begin(
        secret: &NodeSecret,
        ways: Arc<Ways>,
        dir: PathBuf,
        book: Arc<Book>,
        store: LogStore<File>,
        zone_secret: Arc<ZoneSecret>,
    ) -> Result<Self, Outage> {
        let me = NodeId::of(secret.key());
        let factory = Factory(Arc::clone(&ways));
        let heard = ways.heard();
        let part = Part::begin(me, store, factory, Arc::clone(&book), heard).await?;
        ways.watch(part.raft().metrics());
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let moments = Arc::new(Moments {
            heard: Mutex::new(Instant::now()),
            led: Mutex::new(Instant::now()),
            leading: Rounds::default(),
            asking: Rounds::default(),
            filled: OnceLock::new(),
            is_silent: AtomicBool::new(false),
            apart: Mutex::default(),
        });
        let turns = Turns::default();
        let press = Press {
            raft: part.raft().clone(),
            me,
            book: Arc::clone(&book),
            ways: Arc::clone(&ways),
            secret: zone_secret,
            dir: dir.clone(),
            turns: Arc::clone(&turns),
        };
        let order = Self {
            me,
            book,
            ways,
            part,
            queue,
            moments,
            press,
        };
        tokio::spawn(order.clone().look_after_room(dir.clone()));
        tokio::spawn(gather(order.part.raft().clone(), dir, waiting, turns));
        tokio::spawn(order.press.clone().run());
        tokio::spawn(order.clone().look_after_members());
        tokio::spawn(order.clone().watch_the_leader());
        Ok(order)
    }

    /// Ends this node's part.
    pub(super) async fn end(&self) {
        drop(self.part.raft().shutdown().await);
    }

    /// Whether this node has nothing, or not yet all, and so has no vote.
    pub(super) fn has_no_vote(&self) -> bool {
        self.part.has_no_vote()
    }

    /// Whether another node with this key may speak with this one.
    pub(super) fn knows(&self, key: NodeKey) -> bool {
        self.ways.knows(key)
    }

    /// From where nodes of the council are to be expected.
    pub(super) fn hosts(&self) -> Vec<IpAddr> {
        self.ways.hosts()
    }

    /// What this node has heard of a council founded anew.
    pub(super) fn anew(&self) -> &Anew {
        self.ways.anew()
    }

    /// Learns of keys by which this node may be filled; whether there was one that it did not know.
    pub(super) fn pin(&self, keys: &[NodeKey]) -> bool {
        self.ways.pin(keys)
    }

    /// Whether another node was said to take nothing.
    pub(super) fn is_silent(&self, key: NodeKey) -> bool {
        self.ways.is_silent(NodeId::of(key))
    }

    /// Says who sits to a node that may not know it. A silent one is told again.
    pub(super) async fn tell_keys(&self, node: NodeId, keys: &KeysWire, wait: Duration) {
        let told: Result<Result<serde_json::Value, Problem>, Silence> =
            self.ways.post(node, KEYS, keys, wait).await;
        drop(told);
    }

    /// Takes part in elections and leads, or does neither.
    pub(super) fn take_part(&self, takes_part: bool) {
        let config = self.part.raft().runtime_config();
        config.elect(takes_part && !self.has_no_vote());
        config.heartbeat(takes_part);
    }

    /// Whether this node has all that it had when it was filled.
    pub(super) fn is_whole(&self) -> bool {
        if self.has_no_vote() || self.anew().stands_down() {
            return false;
        }
        let metrics = self.part.raft().metrics();
        let metrics = metrics.borrow();
        let mut voters = metrics.membership_config.membership().voter_ids();
        let filled = self.moments.filled.get_or_init(|| metrics.last_log_index);
        metrics.last_applied.map(|id| id.index) >= *filled && voters.any(|id| id == self.me)
    }

    /// Whether there is a leader with a majority behind it, as far as this node can tell.
    fn is_led(&self, metrics: &Metrics) -> bool {
        let Some(leader) = metrics.current_leader else {
            return false;
        };
        if leader != self.me {
            return since(&self.moments.heard) < LEADER_SILENCE;
        }
        let silent = metrics.millis_since_quorum_ack.map(Duration::from_millis);
        silent.is_none_or(|silent| silent < LEADER_SILENCE)
    }

    /// The leader; waits for an election.
    async fn leader(&self) -> Option<NodeId> {
        if self.anew().stands_down() {
            return None;
        }
        let mut metrics = self.part.raft().metrics();
        let wait = LEADER_WAIT.saturating_sub(since(&self.moments.led));
        let found = metrics.wait_for(|metrics| self.is_led(metrics));
        let found = timeout(wait.max(LEADER_WAIT_AGAIN), found).await;
        found.ok()?.ok()?.current_leader
    }

    /// Orders a request, here or at the leader.
    pub(super) async fn sequence(&self, request: RequestWire) -> Result<TakenWire, Unsequenced> {
        let request = Arc::new(request);
        let mut may_be_taken = false;
        let sequenced = async {
            loop {
                let Some(leader) = self.leader().await else {
                    return Err(fate(may_be_taken));
                };
                if leader == self.me {
                    may_be_taken = true;
                    match self.enqueue(Arc::clone(&request)).await {
                        Err(Unsequenced::NotLeader) => {}
                        answer => return answer,
                    }
                } else {
                    match self.pass_on(leader, &request).await {
                        Ok(answer) => return answer,
                        Err(sent) => may_be_taken |= sent,
                    }
                }
                sleep(AGAIN).await;
            }
        };
        let sequenced = timeout(ORDER_WAIT, sequenced).await;
        sequenced.unwrap_or_else(|_| Err(fate(may_be_taken)))
    }

    /// Passes a request to the leader. Where that gives no answer, whether the request may have been taken: to
    /// ask again is harmless, the first answer is given again.
    async fn pass_on(
        &self,
        leader: NodeId,
        request: &RequestWire,
    ) -> Result<Result<TakenWire, Unsequenced>, bool> {
        let mut metrics = self.part.raft().metrics();
        let sent = AtomicBool::default();
        let answer = self
            .ways
            .post_noting(leader, "/request", request, ORDER_WAIT, &sent);
        let answer = tokio::select! {
            answer = answer => answer,
            // A leader who was cut off does not say so; the next one is asked instead.
            _ = metrics.wait_for(|m| m.current_leader != Some(leader)) => {
                return Err(sent.load(Ordering::Relaxed));
            }
        };
        match answer {
            Ok(Ok(taken)) => Ok(Ok(taken)),
            Ok(Err(problem)) if problem.kind == NOT_LEADER => Err(false),
            Ok(Err(problem)) if problem.kind == LEADS_NO_MORE => Err(true),
            Ok(Err(problem)) => Ok(Err(Unsequenced::Problem(Box::new(problem)))),
            Err(silence) => Err(silence.sent),
        }
    }

    async fn enqueue(&self, request: Arc<RequestWire>) -> Result<TakenWire, Unsequenced> {
        // Asked again, it needs no place in the journal: that is kept for ever.
        if let Some(taken) = self.book.answered(&request.signed.text) {
            return Ok(taken);
        }
        self.prejudge(&request)?;
        let (answer, answered) = oneshot::channel();
        let (bytes, is_claim) = (
            size_of_request(&request),
            publication::is_claim(&request.signed.text),
        );
        let asked = Asked {
            request,
            bytes,
            answer,
        };
        if self.queue.try_send(asked).is_err() {
            let full =
                "Very many ask the council at once. Nothing was changed; try again in a moment.";
            let problem = super::problem_of(503, "busy", full);
            return Err(Unsequenced::Problem(Box::new(problem)));
        }
        let answer = answered.await.unwrap_or_else(|_| Err(unknown_fate()));
        if let (true, Ok(taken)) = (is_claim, &answer) {
            self.book.publication().covers(taken.index).await;
        }
        answer
    }

    /// Refuses what the registry as it is now would refuse, so that it does not go into the log.
    fn prejudge(&self, request: &RequestWire) -> Result<(), Unsequenced> {
        let read = request.request().map_err(Unsequenced::Malformed)?;
        let judged = self
            .book
            .ask(|registry| registry.judge(clock::now(), &read));
        if let Some(Err(refusal)) = judged {
            return Err(Unsequenced::Refused(Box::new(refusal)));
        }
        self.no_slip(&read.signed)
    }

    /// Refuses an organizer's word about a seat that would do harm as the council stands now.
    fn no_slip(&self, said: &Signed) -> Result<(), Unsequenced> {
        let ask = Some(&said.text).filter(|text| seats::is_about_seats(text));
        let ask = ask.and_then(|text| Ask::parse(text.as_bytes()).ok());
        let why = ask.and_then(|Ask { what, .. }| {
            let part = &self.part;
            let judge = |registry: &Registry| seats::why_not_now(part, registry, said.key, &what);
            self.book.ask(judge).flatten()
        });
        match why {
            Some(why) => Err(Unsequenced::Problem(Box::new(super::problem_of(
                409, "refused", why,
            )))),
            None => Ok(()),
        }
    }

    /// Passes statements to the leader; true when this node is the leader and is to keep them.
    pub(super) async fn leads_or_tells(
        &self,
        statements: &StatementsWire,
    ) -> Result<bool, Unsequenced> {
        let leader = self.leader().await.ok_or_else(nobody_leads)?;
        if leader == self.me {
            return Ok(true);
        }
        let told = self
            .ways
            .post(leader, "/statements", statements, ORDER_WAIT);
        let told = told
            .await
            .map_err(|silence| Unsequenced::Outage(silence.outage))?;
        let told: Result<serde_json::Value, Problem> = told;
        told.map(|_| false)
            .map_err(|problem| Unsequenced::Problem(Box::new(problem)))
    }

    /// Whether this node leads, as far as it knows.
    pub(super) fn leads(&self) -> bool {
        self.part.raft().metrics().borrow().current_leader == Some(self.me)
    }

    /// What Raft says of itself.
    pub(super) fn metrics(&self) -> Metrics {
        self.part.metrics()
    }

    /// Asks the leader something; none when this node is the leader itself.
    pub(super) async fn ask_leader<B: serde::Serialize + Sync, T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        message: &B,
    ) -> Result<Option<T>, Unsequenced> {
        let leader = self.leader().await.ok_or_else(nobody_leads)?;
        if leader == self.me {
            return Ok(None);
        }
        let said = self.ways.post(leader, path, message, ORDER_WAIT).await;
        let said = said.map_err(|silence| Unsequenced::Outage(silence.outage))?;
        said.map(Some)
            .map_err(|problem| Unsequenced::Problem(Box::new(problem)))
    }

    /// Whether a majority of the council stands behind what this node has, now.
    pub(super) async fn is_confirmed(&self) -> bool {
        let needed = self.moments.asking.ask(async {
            let leader = self.leader().await?;
            if leader == self.me {
                return self.confirmed_here().await;
            }
            let asked = self.ways.post(leader, "/confirm", &(), CONFIRM_WAIT * 2);
            let said: Result<Result<u64, Problem>, Silence> = asked.await;
            said.ok()?.ok()
        });
        let Some(needed) = needed.await else {
            return false;
        };
        // What the leader has is on its way here.
        let mut grown = self.book.grown();
        let here = grown.wait_for(|here| *here >= needed);
        matches!(timeout(CONFIRM_WAIT, here).await, Ok(Ok(_)))
    }

    /// How many records there are at least, as a majority confirms to this node, which leads.
    async fn confirmed_here(&self) -> Option<u64> {
        let round = async {
            // To ask the others is a heartbeat, too.
            if self.moments.is_silent.load(Ordering::Relaxed) || self.anew().stands_down() {
                return None;
            }
            let confirmed = timeout(CONFIRM_WAIT, self.part.raft().ensure_linearizable());
            confirmed.await.ok()?.ok()?;
            self.book.ask(|registry| registry.head().records)
        };
        self.moments.leading.ask(round).await
    }

    /// Answers another node of the council.
    pub(super) async fn answer(
        &self,
        peer: NodeKey,
        path: &str,
        request: Request<Incoming>,
    ) -> Option<web::Response> {
        let answered = match path {
            "/append" => self.append(NodeId::of(peer), request).await,
            "/vote" => self.vote(NodeId::of(peer), request).await,
            "/request" => self.requested(request).await,
            "/confirm" => self.confirm().await,
            press::SIGN => self.sign(request).await,
            _ => return None,
        };
        Some(answered.unwrap_or_else(|refusal| refusal))
    }

    async fn append(
        &self,
        peer: NodeId,
        request: Request<Incoming>,
    ) -> Result<web::Response, web::Response> {
        let AppendWire { filling, entries } = peers::read(request).await?;
        if entries.vote.leader_id.voted_for() != Some(peer) {
            return Err(not_its_own());
        }
        // Of others it would confirm what was given up, too.
        if self.anew().stands_down() && !self.anew().is_founder(peer.key()) {
            return Err(stands_down(self.anew()));
        }
        now_in(&self.moments.heard);
        if self.part.would_take_back(&entries).await.map_err(mute)? {
            return Err(self.apart(peer));
        }
        let appended = self.part.append(filling, entries).await;
        let appended = appended.map_err(mute)?;
        if self.anew().stands_down() {
            self.take_part(false);
        }
        Ok(web::json(StatusCode::OK, &appended))
    }

    async fn vote(
        &self,
        peer: NodeId,
        request: Request<Incoming>,
    ) -> Result<web::Response, web::Response> {
        let vote: VoteRequest<NodeId> = peers::read(request).await?;
        if vote.vote.leader_id.voted_for() != Some(peer) {
            return Err(not_its_own());
        }
        if self.anew().stands_down() {
            return Err(stands_down(self.anew()));
        }
        let voted = self.part.vote(vote).await.map_err(mute)?;
        Ok(web::json(StatusCode::OK, &voted))
    }

    /// A leader's log is another one than what this node has applied already: the council was founded anew
    /// without it.
    fn apart(&self, leader: NodeId) -> web::Response {
        let label = self.ways.label(leader);
        let mut told = self
            .moments
            .apart
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if told.replace(leader) != Some(leader) {
            tracing::error!(
                leader = label,
                "the council goes on without what this node holds: it was founded anew from another node or \
                 a backup. Nothing here was touched. Stop this node, put registry.journal and registry.db of \
                 its directory aside, and start it empty: it is filled then. What only it holds can be looked \
                 up in the file that was put aside"
            );
        }
        web::refuse(
            StatusCode::CONFLICT,
            "apart",
            "This council node holds records that the council founded anew does not have. Nothing was touched; \
             start it empty, and it is filled.",
        )
    }

    async fn requested(&self, request: Request<Incoming>) -> Result<web::Response, web::Response> {
        let request: RequestWire = peers::read(request).await?;
        if self.part.metrics().current_leader != Some(self.me) {
            return Err(not_leader());
        }
        match self.enqueue(Arc::new(request)).await {
            Ok(taken) => Ok(web::json(StatusCode::OK, &taken)),
            Err(Unsequenced::NotLeader) => Err(leads_no_more()),
            Err(why) => Err(why.answer()),
        }
    }

    /// How many records there are at least, as a majority confirms.
    async fn confirm(&self) -> Result<web::Response, web::Response> {
        let records = self.confirmed_here().await;
        Ok(web::json(StatusCode::OK, &records.ok_or_else(not_leader)?))
    }

    /// Signs a version of the zone for the leader.
    async fn sign(&self, request: Request<Incoming>) -> Result<web::Response, web::Response> {
        let terms = peers::read(request).await?;
        let signed = self.press.sign(terms).await;
        let signed = signed.map_err(|why| web::refuse(StatusCode::CONFLICT, "refused", why))?;
        Ok(web::json(StatusCode::OK, &signed))
    }

    /// Makes the council what the registry says it is, one step at a time, as long as this node leads.
    async fn look_after_members(self) {
        loop {
            sleep(LOOK_EVERY).await;
            if self.anew().stands_down() {
                continue;
            }
            let wanted = self.book.ask(|registry| {
                let sitting = registry.seats().sitting();
                sitting
                    .map(|(node, _, filled)| (NodeId::of(node.key), Filled(filled)))
                    .collect::<BTreeMap<_, _>>()
            });
            let Some(wanted) = wanted else { continue };
            // Step after step, as long as there is one.
            while let Some(changed) = self.part.change_towards(&wanted).await {
                if let Err(error) = changed {
                    tracing::warn!(%error, "the council could not change; it is tried again");
                    break;
                }
            }
        }
    }

    /// A leader whose disk is full can put nothing in order: it falls silent, so that the others choose another one.
    /// Not for long: theirs may be full as well, and to confirm what there is takes no room.
    async fn look_after_room(self, dir: PathBuf) {
        loop {
            sleep(ROOM_EVERY).await;
            let metrics = self.part.metrics();
            let has_others = metrics.membership_config.membership().voter_ids().count() > 1;
            if !self.leads() || !has_others || has_room(&dir, ROOM_TO_LEAD).is_ok() {
                continue;
            }
            tracing::error!(
                "the disk is full: this node falls silent so that another one leads; make room on it"
            );
            self.fall_silent(true);
            sleep(ASIDE).await;
            self.fall_silent(false);
            if self.leads() {
                tracing::error!("no other node leads, so this one goes on; it gives no names");
                sleep(ASIDE_AGAIN).await;
            }
        }
    }

    fn fall_silent(&self, is_silent: bool) {
        let beats = !is_silent && !self.anew().stands_down();
        self.part.raft().runtime_config().heartbeat(beats);
        self.moments.is_silent.store(is_silent, Ordering::Relaxed);
    }

    /// Stands for election as soon as the leader is seen to be gone. Raft itself waits longer: it cannot
    /// tell a program that has ended from a line that is slow.
    async fn watch_the_leader(self) {
        let mut followed = None;
        loop {
            sleep(WATCH_EVERY).await;
            if self.anew().stands_down() {
                continue;
            }
            let metrics = self.part.metrics();
            if self.is_led(&metrics) {
                now_in(&self.moments.led);
            }
            if metrics.current_leader.is_some() && metrics.current_leader != followed {
                followed = metrics.current_leader;
                let leader = followed.map(|leader| self.ways.label(leader));
                tracing::info!(leader, term = metrics.current_term, "the council is led");
            }
            let Some(leader) = metrics.current_leader.filter(|leader| *leader != self.me) else {
                continue;
            };
            let voters = metrics.membership_config.membership().voter_ids();
            let rank = voters
                .filter(|id| *id != leader)
                .position(|id| id == self.me);
            let Some(rank) = rank.and_then(|rank| u32::try_from(rank).ok()) else {
                continue;
            };
            // By then nobody is bound to that leader any more.
            let free = LEASE + HEARTBEAT * 2 + STAGGER * rank;
            if since(&self.moments.heard) > free && self.is_gone(leader).await {
                tracing::info!(leader = self.ways.label(leader), "the leader is gone");
                now_in(&self.moments.heard);
                drop(self.part.raft().trigger().elect().await);
            }
        }
    }

    /// Whether no program is where a node should be.
    async fn is_gone(&self, node: NodeId) -> bool {
        let Some(address) = self.ways.peer(node) else {
            return false;
        };
        let called = timeout(CALL_WAIT, TcpStream::connect(address)).await;
        matches!(called, Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused)
    }
}

/// Puts requests into batches: what comes while one is on its way goes with the next.
async fn gather(raft: Raft, dir: PathBuf, mut waiting: mpsc::Receiver<Asked>, turns: Turns) {
    let mut left = None;
    loop {
        let first = match left.take() {
            Some(first) => first,
            None => match waiting.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        let (mut bytes, mut batch) = (first.bytes, vec![first]);
        while batch.len() < BATCH_MAX {
            let Ok(next) = waiting.try_recv() else { break };
            bytes += next.bytes;
            if bytes > BATCH_BYTES {
                left = Some(next);
                break;
            }
            batch.push(next);
        }
        let _turn = turns.lock().await;
        // Whoever asked may have gone, having heard that nobody leads.
        batch.retain(|asked| !asked.answer.is_closed());
        if batch.is_empty() {
            continue;
        }
        if let Err(full) = has_room(&dir, bytes as u64) {
            for asked in batch {
                drop(asked.answer.send(Err(Unsequenced::Outage(full.clone()))));
            }
            continue;
        }
        propose(&raft, batch).await;
    }
}

/// Proposes a batch, and answers all who wait for it.
async fn propose(raft: &Raft, batch: Vec<Asked>) {
    let (requests, answers): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|asked| (asked.request, asked.answer))
        .unzip();
    let time = clock::now().to_string();
    // Whoever asked may have gone.
    match raft
        .client_write(Batch {
            time,
            requests,
            publish: None,
            sheaf: None,
        })
        .await
    {
        Ok(said) => {
            for (answer, said) in answers.into_iter().zip(said.data.0) {
                let said = said.map_err(|problem| Unsequenced::Problem(Box::new(problem)));
                drop(answer.send(said));
            }
        }
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
            for answer in answers {
                drop(answer.send(Err(Unsequenced::NotLeader)));
            }
        }
        Err(error) => {
            let outage = Outage::new(format!("this council node has stopped ({error})"));
            for answer in answers {
                drop(answer.send(Err(Unsequenced::Outage(outage.clone()))));
            }
        }
    }
}

/// Whether the disk has room for requests. Afterwards is too late: a node whose journal cannot be written
/// takes no part any more.
pub(super) fn has_room(dir: &std::path::Path, bytes: u64) -> Result<(), Outage> {
    let Ok(disk) = rustix::fs::statvfs(dir) else {
        return Ok(());
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < FREE_BYTES + bytes * WRITTEN_TIMES {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        return Err(Outage::file("writing to", dir, &full));
    }
    Ok(())
}
