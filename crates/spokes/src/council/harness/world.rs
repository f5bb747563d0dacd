//! A council in one process: its nodes with their disks, and the air between them.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use openraft::{
    LogId, ServerState,
    error::{Fatal, InstallSnapshotError, NetworkError, RPCError, RaftError, Unreachable},
    network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest,
        InstallSnapshotResponse, VoteRequest, VoteResponse,
    },
};
use tokio::sync::watch;

use super::super::{
    found,
    journal::{Journal, testing::FaultyDisk},
    part::{self, HEARTBEAT, Heard, Metrics, Mute, Part},
    raft::{Batch, Filled, LogStore, NodeId, Types},
};
use super::{
    runtime::{Chance, Life},
    truth::{Tally, Truth, node_id},
};
use crate::{
    outage::Outage,
    wire::{RequestWire, SignedWire},
};

/// A bug that must be found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Plant {
    /// The journal says that an entry is durable before it is.
    AcknowledgesBeforeSync,
    /// A node that lost everything votes.
    EmptyVotes,
    /// A leader counts on an empty node as if it held what it once confirmed.
    EmptyConfirms,
}

/// A node and what it stands on.
pub(super) struct Node {
    pub(super) disk: FaultyDisk,
    pub(super) tally: Arc<Tally>,
    pub(super) life: Option<Life>,
    pub(super) part: Option<Part<FaultyDisk>>,
}

/// How messages travel.
pub(super) struct Air {
    pub(super) chance: Chance,
    /// Milliseconds of one way.
    pub(super) takes: Range<u64>,
    /// Of a hundred messages and answers so many are lost.
    pub(super) loses: u64,
    /// Of a hundred so many arrive twice.
    pub(super) repeats: u64,
    /// Ways, from and to, on which nothing goes.
    pub(super) cut: BTreeSet<(usize, usize)>,
}

pub(super) struct World {
    pub(super) truth: Arc<Truth>,
    pub(super) plant: Option<Plant>,
    nodes: Mutex<Vec<Node>>,
    air: Mutex<Air>,
}

/// A request that says this.
pub(super) fn request(text: &str) -> RequestWire {
    RequestWire {
        signed: SignedWire {
            text: text.to_owned(),
            key: String::new(),
            signature: String::new(),
        },
        proof: Vec::new(),
        statements: Vec::new(),
        word: None,
    }
}

impl World {
    /// So many nodes, the first of which has founded a council of the first `seats` of them.
    pub(super) fn new(
        nodes: usize,
        seats: usize,
        air: Air,
        disk_takes: Duration,
        plant: Option<Plant>,
        truth: Arc<Truth>,
    ) -> Arc<Self> {
        let node = |number| {
            let disk = FaultyDisk::default();
            disk.pretend(disk_takes);
            Node {
                disk,
                tally: Arc::new(Tally::new(number, Arc::clone(&truth), disk_takes)),
                life: None,
                part: None,
            }
        };
        let nodes: Vec<_> = (0..nodes).map(node).collect();
        let mut journal = Journal::on(nodes[0].disk.clone()).unwrap();
        let seated = (0..seats).map(|n| (String::new(), request(&format!("seat {n}"))));
        found::begin(&mut journal, node_id(0), seated.collect()).unwrap();
        if plant == Some(Plant::AcknowledgesBeforeSync) {
            nodes.iter().for_each(|node| node.disk.sync_late());
        }
        Arc::new(Self {
            truth,
            plant,
            nodes: Mutex::new(nodes),
            air: Mutex::new(air),
        })
    }

    pub(super) fn nodes(&self) -> MutexGuard<'_, Vec<Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn air(&self) -> MutexGuard<'_, Air> {
        self.air.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn part(&self, at: usize) -> Option<Part<FaultyDisk>> {
        self.nodes()[at].part.clone()
    }

    /// The node that says that it leads, the one of the highest term if several do.
    pub(super) fn leader(&self) -> Option<usize> {
        let nodes = self.nodes();
        let leads = nodes.iter().enumerate().filter_map(|(at, node)| {
            let metrics = node.part.as_ref()?.metrics();
            (metrics.state == ServerState::Leader).then_some((metrics.current_term, at))
        });
        leads.max().map(|(_, at)| at)
    }

    /// Starts a node that does not run.
    pub(super) fn start(self: &Arc<Self>, at: usize) {
        let chance = self.air().chance.branch();
        let life = {
            let mut nodes = self.nodes();
            if nodes[at].life.is_some() {
                return;
            }
            let life = Life::new(chance);
            nodes[at].life = Some(life.clone());
            life
        };
        self.truth.tell(|| format!("node {at} starts"));
        let world = Arc::clone(self);
        let lives = life.clone();
        life.spawn(async move {
            let ended = Arc::clone(&world).live(at, &lives).await;
            world.truth.tell(|| format!("node {at} ends: {ended}"));
            let mut nodes = world.nodes();
            if nodes[at].life.as_ref().is_some_and(|life| life.is(&lives)) {
                nodes[at].part = None;
                nodes[at].life = None;
            }
            drop(nodes);
            lives.end();
        });
    }

    /// Lives until Raft ends; why it did.
    async fn live(self: Arc<Self>, at: usize, life: &Life) -> String {
        let (disk, tally) = {
            let nodes = self.nodes();
            (nodes[at].disk.clone(), Arc::clone(&nodes[at].tally))
        };
        let journal = match Journal::on(disk) {
            Ok(journal) => journal,
            Err(error) => {
                let error = error.to_string();
                if error.contains("damaged") {
                    self.truth
                        .breaks(format!("node {at} cannot start: {error}"));
                }
                return error;
            }
        };
        let metrics = Arc::new(OnceLock::new());
        let taken = Heard::default();
        let ways = Ways {
            world: Arc::clone(&self),
            from: at,
            metrics: Arc::clone(&metrics),
            taken: taken.clone(),
        };
        let store = LogStore::new(journal);
        let part = match Part::begin(node_id(at), store, ways, Arc::clone(&tally), taken).await {
            Ok(part) => part,
            Err(outage) => return outage.to_string(),
        };
        let mut seen = part.raft().metrics();
        metrics.set(seen.clone()).unwrap();
        self.nodes()[at].part = Some(part.clone());
        life.spawn(look_after_members(part, tally));
        loop {
            let now = seen.borrow_and_update().clone();
            if let Err(why) = now.running_state {
                if why == Fatal::Panicked {
                    self.truth.breaks(format!("node {at} panicked"));
                }
                return why.to_string();
            }
            if now.state == ServerState::Leader {
                let vote = (now.vote.leader_id.term, now.id);
                self.truth.leads(at, vote, now.last_log_index);
            }
            if seen.changed().await.is_err() {
                return "nobody says how it is".into();
            }
        }
    }

    /// Ends a node's process.
    pub(super) fn kill(&self, at: usize) {
        let mut nodes = self.nodes();
        let node = &mut nodes[at];
        if let Some(life) = node.life.take() {
            life.end();
            self.truth.tell(|| format!("node {at} is killed"));
        }
        node.part = None;
    }

    /// Ends a node and loses what its disks had not synced, sector by sector.
    pub(super) fn lose_power(&self, at: usize, chance: &mut Chance) {
        self.kill(at);
        let nodes = self.nodes();
        self.truth.tell(|| format!("node {at} loses power"));
        nodes[at].disk.lose_power(|| chance.percent(50));
        nodes[at].tally.lose_power(chance);
    }

    /// Takes everything from a node that it holds.
    pub(super) fn wipe(&self, at: usize, disk_takes: Duration) {
        self.kill(at);
        let mut nodes = self.nodes();
        self.truth.tell(|| format!("node {at} is wiped"));
        let disk = FaultyDisk::default();
        disk.pretend(disk_takes);
        if self.plant == Some(Plant::AcknowledgesBeforeSync) {
            disk.sync_late();
        }
        nodes[at].disk = disk;
        nodes[at].tally = Arc::new(Tally::new(at, Arc::clone(&self.truth), disk_takes));
    }

    /// Whether a message arrives, when, and whether it does so twice.
    fn travels(&self, from: usize, to: usize) -> (bool, Duration, bool) {
        let mut air = self.air();
        let (takes, loses, repeats) = (air.takes.clone(), air.loses, air.repeats);
        let takes = air.chance.millis(takes);
        let lost = air.chance.percent(loses) || air.cut.contains(&(from, to));
        let twice = air.chance.percent(repeats);
        (!lost, takes, twice)
    }

    /// Carries a message to a node and its answer back. A connection is to one life of the other side: what
    /// was on its way to it does not reach the next one.
    async fn carry<T, F>(
        &self,
        from: usize,
        to: usize,
        ask: impl Fn(Part<FaultyDisk>) -> F + Send,
    ) -> Result<T, Outage>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let silent = |why: &str| Outage::new(format!("node {to} {why}"));
        let (arrives, takes, _) = self.travels(from, to);
        if !arrives {
            return std::future::pending().await;
        }
        tokio::time::sleep(takes).await;
        let other = || {
            let nodes = self.nodes();
            Some((nodes[to].life.clone()?, nodes[to].part.clone()?))
        };
        let (life, _) = other().ok_or_else(|| silent("does not run"))?;
        let (arrives, takes, twice) = self.travels(from, to);
        if !arrives {
            return std::future::pending().await;
        }
        tokio::time::sleep(takes).await;
        let still = other().filter(|(now, _)| now.is(&life));
        let (_, part) = still.ok_or_else(|| silent("broke off"))?;
        let answer = life.spawn(ask(part.clone()));
        if twice {
            let (late, again) = (takes * 3, ask(part));
            life.spawn(async move {
                tokio::time::sleep(late).await;
                again.await
            });
        }
        let answer = answer.await.map_err(|_| silent("broke off"))?;
        let (arrives, takes, _) = self.travels(to, from);
        if !arrives {
            return std::future::pending().await;
        }
        tokio::time::sleep(takes).await;
        Ok(answer)
    }

    /// Writes through a node, if it leads; where in the log it stands then.
    pub(super) async fn write(&self, at: usize, text: &str) -> Option<LogId<NodeId>> {
        let part = self.part(at)?;
        let batch = Batch {
            time: String::new(),
            requests: vec![Arc::new(request(text))],
            publish: None,
            sheaf: None,
        };
        let said = part.raft().client_write(batch).await;
        let id = said.ok()?.log_id;
        let vote = part.metrics().vote.leader_id;
        let under = (vote.term, vote.voted_for().unwrap_or_default());
        self.truth.acknowledges(text.to_owned(), id, under);
        Some(id)
    }
}

/// How often the leader looks whether the council is as the registry says.
const LOOK_EVERY: Duration = Duration::from_millis(500);

async fn look_after_members(part: Part<FaultyDisk>, tally: Arc<Tally>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(wanted) = tally.wanted() else {
            continue;
        };
        while let Some(Ok(())) = part.change_towards(&wanted).await {}
    }
}

/// How long a message may take, as in `ways`.
const WAIT: Duration = Duration::from_secs(2);
/// The pause before a silent node is tried again.
const AGAIN: Duration = Duration::from_millis(250);

/// As `ways` does it, with the air of this world.
struct Ways {
    world: Arc<World>,
    from: usize,
    metrics: Arc<OnceLock<watch::Receiver<Metrics>>>,
    taken: Heard,
}

struct Way {
    world: Arc<World>,
    from: usize,
    to: NodeId,
    metrics: Arc<OnceLock<watch::Receiver<Metrics>>>,
    taken: Heard,
}

impl RaftNetworkFactory<Types> for Ways {
    type Network = Way;

    async fn new_client(&mut self, target: NodeId, _node: &Filled) -> Way {
        Way {
            world: Arc::clone(&self.world),
            from: self.from,
            to: target,
            metrics: Arc::clone(&self.metrics),
            taken: self.taken.clone(),
        }
    }
}

/// The number of a node of this harness.
pub(super) fn number(id: NodeId) -> usize {
    usize::from(id.key().bytes()[0]) - 1
}

type Failed<E> = RPCError<NodeId, Filled, E>;

#[expect(clippy::result_large_err, reason = "it is openraft's own error")]
fn heard<T, E: std::error::Error>(answer: Result<Result<T, Mute>, Outage>) -> Result<T, Failed<E>> {
    let network = |outage| RPCError::Network(NetworkError::new(&outage));
    match answer {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Mute::Empty)) => Err(network(Outage::new("holds nothing"))),
        Ok(Err(Mute::Broken(outage))) => Err(network(outage)),
        Err(outage) => Err(RPCError::Unreachable(Unreachable::new(&outage))),
    }
}

impl Way {
    async fn append(
        &self,
        filling: Option<u64>,
        entries: &AppendEntriesRequest<Types>,
    ) -> Result<Result<AppendEntriesResponse<NodeId>, Mute>, Outage> {
        let ask = |part: Part<FaultyDisk>| {
            let entries = entries.clone();
            async move {
                // `order` leaves a council alone that was founded anew; nothing is founded anew here.
                if part.would_take_back(&entries).await? {
                    let why = "a leader takes back what is applied here";
                    return Err(Mute::Broken(Outage::new(why)));
                }
                part.append(filling, entries).await
            }
        };
        let carried = self.world.carry(self.from, number(self.to), ask);
        let carried = tokio::time::timeout(WAIT, carried).await;
        let answer = carried.unwrap_or_else(|_| Err(Outage::new("took too long")));
        self.taken.note(self.to, matches!(&answer, Ok(Ok(_))));
        answer
    }
}

impl RaftNetwork<Types> for Way {
    async fn append_entries(
        &mut self,
        entries: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, Failed<RaftError<NodeId>>> {
        let metrics = self.metrics.get().map(|seen| seen.borrow().clone());
        let mut filling = metrics.and_then(|metrics| part::filling(&metrics, self.to));
        if self.world.plant == Some(Plant::EmptyConfirms) {
            filling = filling.or(Some(0));
        }
        let meanwhile = AppendEntriesRequest {
            vote: entries.vote,
            prev_log_id: entries.prev_log_id,
            entries: Vec::new(),
            leader_commit: None,
        };
        let keeps_alive = async {
            loop {
                tokio::time::sleep(HEARTBEAT).await;
                drop(self.append(filling, &meanwhile).await);
            }
        };
        tokio::select! {
            biased;
            answer = self.append(filling, &entries) => heard(answer),
            () = keeps_alive => unreachable!("it never ends"),
        }
    }

    async fn install_snapshot(
        &mut self,
        _request: InstallSnapshotRequest<Types>,
        _option: RPCOption,
    ) -> Result<InstallSnapshotResponse<NodeId>, Failed<RaftError<NodeId, InstallSnapshotError>>>
    {
        Err(RPCError::Unreachable(Unreachable::new(&Outage::new(
            "no snapshots",
        ))))
    }

    async fn vote(
        &mut self,
        vote: VoteRequest<NodeId>,
        _option: RPCOption,
    ) -> Result<VoteResponse<NodeId>, Failed<RaftError<NodeId>>> {
        let planted = self.world.plant == Some(Plant::EmptyVotes);
        let ask = |part: Part<FaultyDisk>| {
            let vote = vote.clone();
            async move {
                if planted {
                    let voted = part.raft().vote(vote).await;
                    return voted.map_err(|e| Mute::Broken(Outage::new(e.to_string())));
                }
                part.vote(vote).await
            }
        };
        let carried = self.world.carry(self.from, number(self.to), ask);
        let carried = tokio::time::timeout(WAIT, carried).await;
        heard(carried.unwrap_or_else(|_| Err(Outage::new("took too long"))))
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(AGAIN))
    }
}
