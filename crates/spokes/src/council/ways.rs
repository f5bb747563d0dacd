//! The ways from this node to the others of the council: where each is, how long a message to it may take,
//! and a word in the log when one falls silent or answers again.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use openraft::{
    error::{InstallSnapshotError, RPCError, RaftError, Unreachable},
    network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest,
        InstallSnapshotResponse, VoteRequest, VoteResponse,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use spokes_rules::{
    node::{NodeKey, NodeSecret},
    request::{COUNCIL_MAX, CouncilNode},
};
use tokio::sync::watch;

use super::{
    anew::Anew,
    book::Book,
    part::{self, HEARTBEAT, Heard, Metrics},
    peers::{Line, Silence},
    raft::{Filled, NodeId, Types, size_of},
};
use crate::{outage::Outage, wire::Problem};

/// How long a message without entries may take: several times around the world.
const SHORT_WAIT: Duration = Duration::from_secs(2);
/// Bytes of entries for which a message may take a second longer: a line of 2 Mbit/s.
const BYTES_A_SECOND: u64 = 256 * 1024;
/// The pause before a silent node is tried again.
const AGAIN: Duration = Duration::from_millis(250);

/// The path by which a node that takes no part hears who sits.
pub(super) const KEYS: &str = "/keys";

/// Keys that a node remembers by which it may be filled: the whole council, changed a few times.
const PINNED_MAX: usize = 4 * COUNCIL_MAX;

/// Strangers of whom the log tells: more would be somebody who tries keys.
const STRANGERS_TOLD: usize = 16;

/// Entries, and up to how many of them the other is being filled, if it has no vote yet.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct AppendWire {
    pub(super) filling: Option<u64>,
    pub(super) entries: AppendEntriesRequest<Types>,
}

/// The ways to all other nodes.
#[derive(Debug)]
pub(super) struct Ways {
    secret: NodeSecret,
    book: Arc<Book>,
    /// Keys of the council as this node knew them when it held its registry last, or was told since.
    pinned: Mutex<Vec<NodeKey>>,
    /// What it has heard of a council founded anew.
    anew: Arc<Anew>,
    /// Nodes that stand in the journal and not yet in the registry.
    ahead: Vec<CouncilNode>,
    lines: Mutex<BTreeMap<NodeId, Line>>,
    metrics: OnceLock<watch::Receiver<Metrics>>,
    heard: Heard,
    /// Nodes of which it was said that they take nothing.
    silent: Mutex<BTreeSet<NodeId>>,
    /// Keys of which it was said that they have no seat.
    strangers: Mutex<BTreeSet<NodeId>>,
}

impl Ways {
    pub(super) fn new(
        secret: NodeSecret,
        book: Arc<Book>,
        pinned: Vec<NodeKey>,
        anew: Arc<Anew>,
        ahead: Vec<CouncilNode>,
    ) -> Arc<Self> {
        Arc::new(Self {
            secret,
            book,
            pinned: Mutex::new(pinned),
            anew,
            ahead,
            lines: Mutex::default(),
            metrics: OnceLock::new(),
            heard: Heard::default(),
            silent: Mutex::default(),
            strangers: Mutex::default(),
        })
    }

    /// Gives what Raft says of itself, as soon as it does.
    pub(super) fn watch(&self, metrics: watch::Receiver<Metrics>) {
        // Set once, before anybody asks.
        let _ours = self.metrics.set(metrics);
    }

    /// When the others took something from this node last.
    pub(super) fn heard(&self) -> Heard {
        self.heard.clone()
    }

    /// Whether a node with this key may speak with this one: it sits, or is not out yet. One that has only
    /// asked for a seat must not: it could say that it leads.
    pub(super) fn knows(&self, key: NodeKey) -> bool {
        let sits = self
            .book
            .ask(|registry| registry.seats().node(key).is_some());
        let is_member = || {
            let metrics = self.metrics.get().map(|metrics| metrics.borrow());
            let membership = metrics
                .as_ref()
                .map(|metrics| metrics.membership_config.membership());
            membership.is_some_and(|members| members.get_node(&NodeId::of(key)).is_some())
        };
        let pinned = || self.pinned().contains(&key);
        let known = sits.unwrap_or_else(pinned) || is_member() || self.anew.names(key);
        if !known {
            self.note_stranger(key);
        }
        known
    }

    fn pinned(&self) -> MutexGuard<'_, Vec<NodeKey>> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns of keys by which this node may be filled; whether there was one that it did not know.
    pub(super) fn pin(&self, keys: &[NodeKey]) -> bool {
        pin(&mut self.pinned(), keys)
    }

    /// What this node has heard of a council founded anew.
    pub(super) fn anew(&self) -> &Arc<Anew> {
        &self.anew
    }

    /// Whether a node was said to take nothing.
    pub(super) fn is_silent(&self, node: NodeId) -> bool {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.contains(&node)
    }

    /// Says once that somebody wanted to speak as a node of the council.
    fn note_stranger(&self, key: NodeKey) {
        let mut strangers = self
            .strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if strangers.len() < STRANGERS_TOLD && strangers.insert(NodeId::of(key)) {
            tracing::warn!(
                %key,
                "a node with a key that has no seat, as far as is known here, wanted to speak as the council does, \
                 and was not listened to. If this node is empty, it hears of the council's new keys within seconds \
                 from a node that it knows, or by an organizer's word; if it stays empty, add that key to \
                 council.keys"
            );
        }
    }

    /// Another node of the council.
    fn node(&self, id: NodeId) -> Option<CouncilNode> {
        let seated = self.book.ask(|registry| {
            let mut seats = registry.seats().all().iter();
            let seat = seats.find(|seat| seat.node.key == id.key());
            seat.map(|seat| seat.node.clone())
        });
        let mut ahead = self.ahead.iter().rev();
        seated
            .flatten()
            .or_else(|| ahead.find(|node| node.key == id.key()).cloned())
    }

    /// Where another node of the council is reached.
    pub(super) fn peer(&self, id: NodeId) -> Option<SocketAddr> {
        self.node(id).map(|node| node.peer.0)
    }

    /// From where nodes of the council are to be expected.
    pub(super) fn hosts(&self) -> Vec<IpAddr> {
        let seated = self.book.ask(|registry| {
            let seats = registry.seats().all().iter();
            seats.map(|seat| seat.node.peer.0.ip()).collect::<Vec<_>>()
        });
        let ahead = self.ahead.iter().map(|node| node.peer.0.ip());
        seated.into_iter().flatten().chain(ahead).collect()
    }

    /// What a node is called.
    pub(super) fn label(&self, id: NodeId) -> String {
        self.node(id)
            .map_or_else(|| id.to_string(), |node| node.label.to_string())
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

    /// Sends a message and reads the answer.
    ///
    /// # Errors
    /// When the node is silent; what it refuses is its [`Problem`].
    pub(super) async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        to: NodeId,
        path: &str,
        message: &B,
        wait: Duration,
    ) -> Result<Result<T, Problem>, Silence> {
        self.post_noting(to, path, message, wait, &AtomicBool::default())
            .await
    }

    /// As [`Ways::post`]; from when on the message may have arrived is noted, for whoever does not wait for the answer.
    pub(super) async fn post_noting<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        to: NodeId,
        path: &str,
        message: &B,
        wait: Duration,
        sent: &AtomicBool,
    ) -> Result<Result<T, Problem>, Silence> {
        let address = self.peer(to);
        let unknown = || Silence::before(Outage::new(format!("{to} has no address")));
        let address = address.ok_or_else(unknown)?;
        let line = self.line(to).map_err(Silence::before)?;
        let answer = line.post(address, path, message, wait, sent).await;
        if path == "/append" {
            self.heard.note(to, matches!(answer, Ok(Ok(_))));
        }
        match &answer {
            Err(silence) => self.note(to, Some(&silence.outage.to_string())),
            // What is brought to those that take no part says nothing of whether they do.
            _ if path == KEYS => {}
            // Any other message may be refused without meaning.
            Ok(Err(problem)) if path == "/append" => self.note(to, Some(&problem.detail)),
            Ok(_) => self.note(to, None),
        }
        answer
    }

    /// Says once that a node takes nothing, and once that it does again.
    fn note(&self, node: NodeId, why: Option<&str>) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        match why {
            Some(why) if silent.insert(node) => {
                tracing::warn!(node = self.label(node), why, "a council node takes nothing");
            }
            None if silent.remove(&node) => {
                tracing::info!(node = self.label(node), "a council node takes part again");
            }
            _ => {}
        }
    }

    /// Up to how many entries a node without a vote is to be filled.
    fn filling(&self, node: NodeId) -> Option<u64> {
        part::filling(&self.metrics.get()?.borrow(), node)
    }
}

fn pin(pinned: &mut Vec<NodeKey>, keys: &[NodeKey]) -> bool {
    let new = keys.iter().filter(|key| !pinned.contains(key));
    let new: Vec<NodeKey> = new.copied().collect();
    pinned.extend(&new);
    // The first ones are the oldest.
    let more = pinned.len().saturating_sub(PINNED_MAX);
    pinned.drain(..more);
    !new.is_empty()
}

/// The way to one node, as Raft knows it.
pub(super) struct Way {
    ways: Arc<Ways>,
    to: NodeId,
}

/// Makes Raft's ways.
pub(super) struct Factory(pub(super) Arc<Ways>);

impl RaftNetworkFactory<Types> for Factory {
    type Network = Way;

    async fn new_client(&mut self, target: NodeId, _node: &Filled) -> Way {
        Way {
            ways: Arc::clone(&self.0),
            to: target,
        }
    }
}

fn unreachable<E: std::error::Error>(outage: &Outage) -> RPCError<NodeId, Filled, E> {
    RPCError::Unreachable(Unreachable::new(outage))
}

/// What was said, for Raft: a node that refuses is tried again after a pause, as a silent one is.
fn said<T>(answer: Result<Result<T, Problem>, Silence>) -> Result<T, Outage> {
    let answer = answer.map_err(|silence| silence.outage)?;
    answer.map_err(|problem| Outage::new(problem.detail))
}

impl Way {
    fn believe(&self, vote: &openraft::Vote<NodeId>) -> Result<(), Outage> {
        let metrics = self.ways.metrics.get();
        let ours = metrics.map_or(0, |metrics| metrics.borrow().current_term);
        part::believe(vote.leader_id().term, ours)
    }

    /// Says again and again that this node leads, while a long message is on its way.
    async fn keep_alive(&self, message: AppendWire) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let answer = self.ways.post(self.to, "/append", &message, SHORT_WAIT);
            let _heard: Result<Result<AppendEntriesResponse<NodeId>, Problem>, Silence> =
                answer.await;
        }
    }
}

impl RaftNetwork<Types> for Way {
    async fn append_entries(
        &mut self,
        entries: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, RPCError<NodeId, Filled, RaftError<NodeId>>> {
        let bytes: u64 = entries.entries.iter().map(size_of).sum();
        let wait = SHORT_WAIT + Duration::from_secs(bytes / BYTES_A_SECOND);
        let filling = self.ways.filling(self.to);
        let meanwhile = AppendWire {
            filling,
            entries: AppendEntriesRequest {
                vote: entries.vote,
                prev_log_id: entries.prev_log_id,
                entries: Vec::new(),
                leader_commit: None,
            },
        };
        let message = AppendWire { filling, entries };
        let answer = self.ways.post(self.to, "/append", &message, wait);
        tokio::select! {
            answer = answer => {
                let answer = said(answer).and_then(|answer| match &answer {
                    AppendEntriesResponse::HigherVote(vote) => self.believe(vote).map(|()| answer),
                    _ => Ok(answer),
                });
                answer.map_err(|outage| unreachable(&outage))
            }
            () = self.keep_alive(meanwhile) => unreachable!("it never ends"),
        }
    }

    async fn install_snapshot(
        &mut self,
        _request: InstallSnapshotRequest<Types>,
        _option: RPCOption,
    ) -> Result<
        InstallSnapshotResponse<NodeId>,
        RPCError<NodeId, Filled, RaftError<NodeId, InstallSnapshotError>>,
    > {
        Err(unreachable(&Outage::new("this council makes no snapshots")))
    }

    async fn vote(
        &mut self,
        vote: VoteRequest<NodeId>,
        _option: RPCOption,
    ) -> Result<VoteResponse<NodeId>, RPCError<NodeId, Filled, RaftError<NodeId>>> {
        let answer = self.ways.post(self.to, "/vote", &vote, SHORT_WAIT).await;
        let answer: Result<VoteResponse<NodeId>, Outage> = said(answer);
        let answer = answer.and_then(|answer| self.believe(&answer.vote).map(|()| answer));
        answer.map_err(|outage| unreachable(&outage))
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(AGAIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_keys_that_a_node_is_told_the_newest_ones_stay() {
        let key = |number: usize| NodeKey::from_bytes([u8::try_from(number).unwrap(); 32]);
        let mut pinned = Vec::new();
        for number in 0..PINNED_MAX {
            assert!(pin(&mut pinned, &[key(number)]));
        }
        assert!(!pin(&mut pinned, &[key(0), key(1)]), "they are known");
        assert!(pin(&mut pinned, &[key(PINNED_MAX), key(0)]));
        assert_eq!(pinned.len(), PINNED_MAX);
        assert!(!pinned.contains(&key(0)) && pinned.contains(&key(PINNED_MAX)));
    }
}
