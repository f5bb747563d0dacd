//! The order of requests: one queue on the leader, batches through Raft, and everything that other nodes
//! of the council send.

use std::{
    collections::BTreeMap,
    fs::File,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use openraft::{
    error::{
        ClientWriteError, InstallSnapshotError, NetworkError, RPCError, RaftError, Unreachable,
    },
    network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest,
        InstallSnapshotResponse, VoteRequest, VoteResponse,
    },
};
use serde::{Deserialize, Serialize};
use spokes_rules::node::{NodeKey, NodeSecret};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Unsequenced,
    book::Book,
    part::{self, AGAIN, BATCH_MAX, Metrics, Mute, Part},
    peers::{self, Line, Silence},
    raft::{Batch, Filled, LogStore, NodeId, Raft, Types},
};
use crate::{
    clock, http as web,
    outage::Outage,
    wire::{Problem, RequestWire, StatementsWire, TakenWire},
};

/// Bytes of a batch, one long request apart: several fit a message between nodes.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Requests that wait for a batch; behind it whoever asks is told to come again.
const QUEUE_MAX: usize = 4_096;
/// How long a request waits for its order, an election included: then its fate is unknown, and the same
/// request may be sent again.
const ORDER_WAIT: Duration = Duration::from_secs(8);
/// How long a node waits for a leader to whom it can pass a request: an election takes about two seconds.
const LEADER_WAIT: Duration = Duration::from_secs(5);
/// How long a node that lags waits for what the leader has, before it says that it is not sure.
const CONFIRM_WAIT: Duration = Duration::from_secs(2);
/// A request on its way into a batch.
struct Asked {
    request: Arc<RequestWire>,
    bytes: usize,
    answer: oneshot::Sender<Result<TakenWire, Unsequenced>>,
}

/// Entries, and up to how many of them the other is being filled, if it has no vote yet.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct AppendWire {
    filling: Option<u64>,
    entries: AppendEntriesRequest<Types>,
}

/// What every part of the order shares.
#[derive(Debug)]
struct Shared {
    secret: NodeSecret,
    book: Arc<Book>,
    lines: Mutex<BTreeMap<NodeId, Line>>,
    metrics: OnceLock<watch::Receiver<Metrics>>,
}

/// The council's order, as this node takes part in it.
#[derive(Clone)]
pub(super) struct Order {
    shared: Arc<Shared>,
    part: Part<File>,
    queue: mpsc::Sender<Asked>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order")
            .field("me", &self.me())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Where another node of the council is reached.
    fn peer(&self, node: NodeId) -> Option<std::net::SocketAddr> {
        let found = |r: &spokes_rules::registry::Registry| {
            let seat = r.seats().all().iter().find(|s| s.node.key == node.key());
            seat.map(|seat| seat.node.peer.0)
        };
        self.book.ask(found).flatten()
    }

    fn line(&self, node: NodeId) -> Result<Line, Outage> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(&node) {
            return Ok(line.clone());
        }
        let line = Line::new(&self.secret, node.key())?;
        lines.insert(node, line.clone());
        Ok(line)
    }

    async fn post<B: Serialize + Sync, T: serde::de::DeserializeOwned>(
        &self,
        to: NodeId,
        path: &str,
        message: &B,
        wait: Duration,
    ) -> Result<Result<T, Problem>, Silence> {
        let before = |outage| Silence {
            outage,
            sent: false,
        };
        let address = self.peer(to);
        let address = address.ok_or_else(|| before(Outage::new(format!("{to} has no address"))))?;
        let line = self.line(to).map_err(before)?;
        line.post(address, path, message, wait).await
    }

    /// Up to how many entries a node without a vote is to be filled.
    fn filling(&self, node: NodeId) -> Option<u64> {
        part::filling(&self.metrics.get()?.borrow(), node)
    }
}

/// The way to one node, as Raft knows it.
pub(super) struct Way {
    shared: Arc<Shared>,
    to: NodeId,
}

pub(super) struct Ways(Arc<Shared>);

impl RaftNetworkFactory<Types> for Ways {
    type Network = Way;

    async fn new_client(&mut self, target: NodeId, _node: &Filled) -> Way {
        Way {
            shared: Arc::clone(&self.0),
            to: target,
        }
    }
}

fn unreachable<E: std::error::Error>(silence: &Silence) -> RPCError<NodeId, Filled, E> {
    RPCError::Unreachable(Unreachable::new(&silence.outage))
}

fn refused<E: std::error::Error>(problem: &Problem) -> RPCError<NodeId, Filled, E> {
    RPCError::Network(NetworkError::new(&Outage::new(problem.detail.clone())))
}

impl RaftNetwork<Types> for Way {
    async fn append_entries(
        &mut self,
        entries: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, RPCError<NodeId, Filled, RaftError<NodeId>>> {
        let wait = part::append_wait(&entries, &option);
        let filling = self.shared.filling(self.to);
        let message = AppendWire { filling, entries };
        let answer = self.shared.post(self.to, "/append", &message, wait).await;
        answer
            .map_err(|e| unreachable(&e))?
            .map_err(|e| refused(&e))
    }

    async fn install_snapshot(
        &mut self,
        _request: InstallSnapshotRequest<Types>,
        _option: RPCOption,
    ) -> Result<
        InstallSnapshotResponse<NodeId>,
        RPCError<NodeId, Filled, RaftError<NodeId, InstallSnapshotError>>,
    > {
        let none = Outage::new("this council makes no snapshots");
        Err(RPCError::Unreachable(Unreachable::new(&none)))
    }

    async fn vote(
        &mut self,
        vote: VoteRequest<NodeId>,
        option: RPCOption,
    ) -> Result<VoteResponse<NodeId>, RPCError<NodeId, Filled, RaftError<NodeId>>> {
        let answer = self.shared.post(self.to, "/vote", &vote, option.hard_ttl());
        answer
            .await
            .map_err(|e| unreachable(&e))?
            .map_err(|e| refused(&e))
    }

    fn backoff(&self) -> Backoff {
        part::backoff()
    }
}

impl Order {
    /// Takes part in the council's order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) async fn begin(
        secret: NodeSecret,
        book: Arc<Book>,
        store: LogStore<File>,
    ) -> Result<Self, Outage> {
        let me = NodeId::of(secret.key());
        let shared = Arc::new(Shared {
            secret,
            book: Arc::clone(&book),
            lines: Mutex::default(),
            metrics: OnceLock::new(),
        });
        let ways = Ways(Arc::clone(&shared));
        let part = Part::begin(me, store, ways, book).await?;
        // Set once, here.
        let _ours = shared.metrics.set(part.raft().metrics());
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let order = Self {
            shared,
            part,
            queue,
        };
        tokio::spawn(gather(order.part.raft().clone(), waiting));
        let (part, wanting) = (order.part.clone(), order.clone());
        tokio::spawn(part.look_after_members(move || wanting.wanted()));
        Ok(order)
    }

    /// Ends this node's part.
    pub(super) async fn end(&self) {
        drop(self.part.raft().shutdown().await);
    }

    /// What Raft says of itself.
    pub(super) fn metrics(&self) -> Metrics {
        self.part.metrics()
    }

    fn me(&self) -> NodeId {
        NodeId::of(self.shared.secret.key())
    }

    /// Whether this node has nothing, or not yet all, and so has no vote.
    pub(super) fn has_no_vote(&self) -> bool {
        self.part.has_no_vote()
    }

    /// The leader; waits for an election.
    async fn leader(&self) -> Option<NodeId> {
        let mut metrics = self.part.raft().metrics();
        let found = metrics.wait_for(|metrics| metrics.current_leader.is_some());
        let found = tokio::time::timeout(LEADER_WAIT, found).await.ok()?.ok()?;
        found.current_leader
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
                if leader == self.me() {
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
                tokio::time::sleep(AGAIN).await;
            }
        };
        let sequenced = tokio::time::timeout(ORDER_WAIT, sequenced).await;
        sequenced.unwrap_or_else(|_| Err(fate(may_be_taken)))
    }

    /// Passes a request to the leader. Where that gives no answer, whether the request may have been taken: to
    /// ask again is harmless, the first answer is given again.
    async fn pass_on(
        &self,
        leader: NodeId,
        request: &RequestWire,
    ) -> Result<Result<TakenWire, Unsequenced>, bool> {
        let answer = self.shared.post(leader, "/request", request, ORDER_WAIT);
        match answer.await {
            Ok(Ok(taken)) => Ok(Ok(taken)),
            Ok(Err(problem)) if problem.kind == NOT_LEADER => Err(false),
            Ok(Err(problem)) => Ok(Err(Unsequenced::Problem(problem))),
            Err(silence) => Err(silence.sent),
        }
    }

    async fn enqueue(&self, request: Arc<RequestWire>) -> Result<TakenWire, Unsequenced> {
        self.prejudge(&request)?;
        let (answer, answered) = oneshot::channel();
        let bytes = size(&request);
        let asked = Asked {
            request,
            bytes,
            answer,
        };
        if self.queue.try_send(asked).is_err() {
            let full =
                "Very many ask the council at once. Nothing was changed; try again in a moment.";
            let problem = super::problem_of(503, "busy", full);
            return Err(Unsequenced::Problem(problem));
        }
        answered.await.unwrap_or_else(|_| Err(unknown_fate()))
    }

    /// Refuses what the registry as it is now would refuse, so that it does not go into the log.
    fn prejudge(&self, request: &RequestWire) -> Result<(), Unsequenced> {
        let read = request.request().map_err(Unsequenced::Malformed)?;
        let judged = self
            .shared
            .book
            .ask(|registry| registry.judge(clock::now(), &read));
        match judged {
            Some(Err(refusal)) => Err(Unsequenced::Refused(refusal)),
            _ => Ok(()),
        }
    }

    /// Passes statements to the leader; true when this node is the leader and is to keep them.
    pub(super) async fn leads_or_tells(
        &self,
        statements: &StatementsWire,
    ) -> Result<bool, Unsequenced> {
        let leader = self.leader().await.ok_or_else(nobody_leads)?;
        if leader == self.me() {
            return Ok(true);
        }
        let told = self
            .shared
            .post(leader, "/statements", statements, ORDER_WAIT);
        let told = told
            .await
            .map_err(|silence| Unsequenced::Outage(silence.outage))?;
        let told: Result<serde_json::Value, Problem> = told;
        told.map(|_| false).map_err(Unsequenced::Problem)
    }

    /// Whether a majority of the council stands behind what this node has, now.
    pub(super) async fn is_confirmed(&self) -> bool {
        let Some(leader) = self.leader().await else {
            return false;
        };
        if leader == self.me() {
            return self.part.raft().ensure_linearizable().await.is_ok();
        }
        let asked = self.shared.post(leader, "/confirm", &(), LEADER_WAIT);
        let Ok(Ok(needed)): Result<Result<u64, Problem>, Silence> = asked.await else {
            return false;
        };
        // What the leader has is on its way here.
        let mut grown = self.shared.book.grown();
        let here = grown.wait_for(|here| *here >= needed);
        matches!(tokio::time::timeout(CONFIRM_WAIT, here).await, Ok(Ok(_)))
    }

    /// Answers another node of the council.
    pub(super) async fn answer(
        &self,
        path: &str,
        request: Request<Incoming>,
    ) -> Option<web::Response> {
        let answered = match path {
            "/append" => self.append(request).await,
            "/vote" => self.vote(request).await,
            "/request" => self.requested(request).await,
            "/confirm" => self.confirm().await,
            _ => return None,
        };
        Some(answered.unwrap_or_else(|refusal| refusal))
    }

    async fn append(&self, request: Request<Incoming>) -> Result<web::Response, web::Response> {
        let AppendWire { filling, entries } = peers::read(request).await?;
        let appended = self.part.append(filling, entries).await;
        let appended = appended.map_err(mute)?;
        Ok(web::json(StatusCode::OK, &appended))
    }

    async fn vote(&self, request: Request<Incoming>) -> Result<web::Response, web::Response> {
        let vote: VoteRequest<NodeId> = peers::read(request).await?;
        let voted = self.part.vote(vote).await.map_err(mute)?;
        Ok(web::json(StatusCode::OK, &voted))
    }

    async fn requested(&self, request: Request<Incoming>) -> Result<web::Response, web::Response> {
        let request: RequestWire = peers::read(request).await?;
        if self.metrics().current_leader != Some(self.me()) {
            return Err(not_leader());
        }
        let taken = self.enqueue(Arc::new(request)).await;
        Ok(taken.map_or_else(Unsequenced::answer, |taken| {
            web::json(StatusCode::OK, &taken)
        }))
    }

    /// How many records there are at least, as a majority confirms.
    async fn confirm(&self) -> Result<web::Response, web::Response> {
        let confirmed = self.part.raft().ensure_linearizable().await;
        confirmed.map_err(|_| not_leader())?;
        let records = self.shared.book.ask(|registry| registry.head().records);
        Ok(web::json(StatusCode::OK, &records.unwrap_or_default()))
    }

    /// Whether a node with this key may speak with this one.
    pub(super) fn knows(&self, key: NodeKey, pinned: &[NodeKey]) -> bool {
        let known = self.shared.book.ask(|registry| {
            let mut seats = registry.seats().all().iter();
            seats.any(|seat| seat.node.key == key)
        });
        known.unwrap_or_else(|| pinned.contains(&key))
    }

    /// The members that the registry wants.
    fn wanted(&self) -> Option<BTreeMap<NodeId, Filled>> {
        self.shared.book.ask(|registry| {
            let sitting = registry.seats().sitting();
            sitting
                .map(|(node, _, filled)| (NodeId::of(node.key), Filled(filled)))
                .collect()
        })
    }
}

fn size(request: &RequestWire) -> usize {
    let entries = request.proof.iter().map(|entry| entry.text.len());
    let statements = request.statements.iter().map(|signed| signed.text.len());
    request.signed.text.len() + entries.chain(statements).sum::<usize>()
}

/// Puts requests into batches: what comes while one is on its way goes with the next.
async fn gather(raft: Raft, mut waiting: mpsc::Receiver<Asked>) {
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
        let (requests, answers): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|asked| (asked.request, asked.answer))
            .unzip();
        let proposal = Batch {
            time: clock::now().to_string(),
            requests,
        };
        let said = raft.client_write(proposal).await;
        // Whoever asked may have gone.
        match said {
            Ok(said) => {
                for (answer, said) in answers.into_iter().zip(said.data.0) {
                    drop(answer.send(said.map_err(Unsequenced::Problem)));
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
}

/// The word by which a node says that another leads.
const NOT_LEADER: &str = "not-leader";

fn not_leader() -> web::Response {
    web::refuse(
        StatusCode::CONFLICT,
        NOT_LEADER,
        "Another council node leads. Nothing was changed.",
    )
}

fn empty() -> web::Response {
    web::refuse(
        StatusCode::CONFLICT,
        "empty",
        "This council node holds nothing yet, or not all, and votes for nobody.",
    )
}

fn mute(why: Mute) -> web::Response {
    match why {
        Mute::Empty => empty(),
        Mute::Broken(outage) => {
            let why = format!("This council node cannot go on: {outage}");
            web::refuse(StatusCode::SERVICE_UNAVAILABLE, "broken", why)
        }
    }
}

fn nobody_leads() -> Unsequenced {
    let why = "Fewer than a majority of the council's nodes can be reached, so nothing can be registered or \
               changed now. What was registered is safe, and blogs go on. Try again later.";
    Unsequenced::Problem(super::problem_of(503, "no-majority", why))
}

/// Why a request got no answer in time.
fn fate(may_be_taken: bool) -> Unsequenced {
    if may_be_taken {
        unknown_fate()
    } else {
        nobody_leads()
    }
}

fn unknown_fate() -> Unsequenced {
    let why = "The council took too long, and it is not known whether the request was taken. What was \
               registered before is safe. Send the same request again: it gets the answer of the first.";
    Unsequenced::Problem(super::problem_of(503, "busy", why))
}
