//! One node's part in Raft, whatever carries its messages: when it has a vote, what it takes from a leader,
//! and how the council becomes what the registry says it is.
//!
//! A node that lost its disk forgot what it had acknowledged. So it votes for nobody and confirms nothing
//! until the council has filled it again; nothing else may depend on what carries the messages, since the
//! seeded harness plays this same code.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use openraft::{
    ChangeMembers, RaftMetrics,
    network::RaftNetworkFactory,
    raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse},
};
use tokio::time::Instant;

use super::{
    journal::{Disk, Frame},
    raft::{Filled, Ledger, LogStore, Machine, NodeId, Raft, Types},
};
use crate::outage::Outage;

/// Requests of one batch, and entries of one message: enough to share a journey around the world, few
/// enough that none waits long.
pub(super) const BATCH_MAX: usize = 256;
/// Entries that a node may lack and still be given a vote: it gets them within the next messages.
const LAG_MAX: u64 = 1_000;

/// How far a term may be ahead of one's own: who was away for a century of elections, one a second, is heard, and
/// nobody can lead the council to the end of all numbers in less than as many messages.
const TERMS_AHEAD_MAX: u64 = 1 << 32;

/// The pause between two heartbeats. Raft looks at its clock every one and a half of them.
const HEARTBEAT_MILLIS: u64 = 150;
/// How long one waits for votes: a journey around the world (0.3 s there and back) and a sync. Nobody stands
/// for election before the longer of them has passed without a heartbeat, and his own on top: six are lost.
const ELECTION_MILLIS: std::ops::Range<u64> = 500..900;
/// As long after a heartbeat nobody votes for another leader.
pub(super) const LEASE: Duration = Duration::from_millis(ELECTION_MILLIS.end);
/// The pause between two heartbeats.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(HEARTBEAT_MILLIS);

pub(super) type Metrics = RaftMetrics<NodeId, Filled>;

/// Why a node answers nothing of Raft.
#[derive(Debug)]
pub(super) enum Mute {
    /// It holds nothing yet, or not all.
    Empty,
    /// It cannot go on.
    Broken(Outage),
}

/// Whether elections can have led to a term. The highest number there is would be the last term of all.
///
/// # Errors
/// When it is out of reach.
pub(super) fn believe(term: u64, ours: u64) -> Result<(), Outage> {
    if term.saturating_sub(ours) <= TERMS_AHEAD_MAX {
        return Ok(());
    }
    Err(Outage::new(format!(
        "term {term} is out of reach of any election, {ours} is the term here: a council node lies, or its disk is \
         damaged, and it is not heard"
    )))
}

fn broken(error: &impl fmt::Display) -> Mute {
    Mute::Broken(Outage::new(error.to_string()))
}

/// For how long a node that took something from its leader counts as one that is there, if nothing is heard of it
/// since: several heartbeats.
const HEARD_FOR: Duration = Duration::from_secs(2);

/// When the others took something from this node last, as their leader. A node without anything takes nothing as
/// long as its vote counts, so whoever is heard holds what he acknowledged.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<Mutex<BTreeMap<NodeId, Instant>>>);

impl Heard {
    /// A node has taken something, or has not: it is silent, or holds nothing.
    pub(super) fn note(&self, node: NodeId, took: bool) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if took {
            heard.insert(node, Instant::now());
        } else {
            heard.remove(&node);
        }
    }

    /// Whether one did so a moment ago.
    pub(super) fn is_there(&self, node: NodeId) -> bool {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard
            .get(&node)
            .is_some_and(|heard| heard.elapsed() < HEARD_FOR)
    }
}

/// A node that is to be filled again, since which record, and where the log ended when this was first seen.
type Refill = (NodeId, Filled, u64);

/// This node in the council.
pub(super) struct Part<D: Disk> {
    me: NodeId,
    raft: Raft,
    store: LogStore<D>,
    heard: Heard,
    refill: Arc<Mutex<Option<Refill>>>,
}

impl<D: Disk> Clone for Part<D> {
    fn clone(&self) -> Self {
        Self {
            me: self.me,
            raft: self.raft.clone(),
            store: self.store.clone(),
            heard: self.heard.clone(),
            refill: Arc::clone(&self.refill),
        }
    }
}

impl<D: Disk> Part<D> {
    /// Takes part.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) async fn begin<L: Ledger>(
        me: NodeId,
        store: LogStore<D>,
        ways: impl RaftNetworkFactory<Types>,
        ledger: Arc<L>,
        heard: Heard,
    ) -> Result<Self, Outage> {
        let config = openraft::Config {
            cluster_name: "council".into(),
            heartbeat_interval: HEARTBEAT_MILLIS,
            election_timeout_min: ELECTION_MILLIS.start,
            election_timeout_max: ELECTION_MILLIS.end,
            max_payload_entries: BATCH_MAX as u64,
            snapshot_policy: openraft::SnapshotPolicy::Never,
            // Nobody is ever so far behind that he gets a snapshot.
            replication_lag_threshold: u64::MAX,
            max_in_snapshot_log_to_keep: u64::MAX,
            ..openraft::Config::default()
        };
        let config = config.validate().map_err(|e| Outage::new(e.to_string()))?;
        let votes = !has_no_vote(&store);
        let raft = Raft::new(me, Arc::new(config), ways, store.clone(), Machine(ledger));
        let raft = raft.await.map_err(|e| Outage::new(e.to_string()))?;
        raft.runtime_config().elect(votes);
        Ok(Self {
            me,
            raft,
            store,
            heard,
            refill: Arc::default(),
        })
    }

    /// Raft itself.
    pub(super) fn raft(&self) -> &Raft {
        &self.raft
    }

    /// What Raft says of itself.
    pub(super) fn metrics(&self) -> Metrics {
        self.raft.metrics().borrow().clone()
    }

    /// Whether this node has nothing, or not yet all, and so has no vote.
    pub(super) fn has_no_vote(&self) -> bool {
        has_no_vote(&self.store)
    }

    /// Takes entries of a leader, who says up to how many this node is to be filled if it has no vote there.
    ///
    /// # Errors
    /// When this node is empty and that leader counts on its vote, or it cannot go on.
    pub(super) async fn append(
        &self,
        filling: Option<u64>,
        entries: AppendEntriesRequest<Types>,
    ) -> Result<AppendEntriesResponse<NodeId>, Mute> {
        self.check_term(entries.vote.leader_id().term)?;
        if self.store.is_empty() {
            let until = filling.ok_or(Mute::Empty)?;
            let written = self
                .store
                .with(move |journal| journal.write(&[Frame::Filling(until)]));
            written.await.map_err(|e| broken(&e))?;
        }
        let appended = self.raft.append_entries(entries).await;
        let appended = appended.map_err(|e| broken(&e))?;
        if !self.has_no_vote() {
            self.raft.runtime_config().elect(true);
        }
        Ok(appended)
    }

    /// Whether a leader's log differs from what this node has applied already. That cannot be while a majority
    /// kept what it had: it is the council founded anew, and this node holds what it has given up.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) async fn would_take_back(
        &self,
        entries: &AppendEntriesRequest<Types>,
    ) -> Result<bool, Mute> {
        let applied = self.raft.metrics().borrow().last_applied;
        let Some(applied) = applied else {
            return Ok(false);
        };
        let brought = entries.entries.iter().map(|entry| entry.log_id);
        let mut known = entries.prev_log_id.into_iter().chain(brought);
        // Where logs agree at one place they agree on all before it.
        let Some(said) = known.rfind(|id| id.index <= applied.index) else {
            return Ok(false);
        };
        if said == applied {
            return Ok(false);
        }
        let ours = self.store.id_at(said.index).await.map_err(|e| broken(&e))?;
        Ok(ours != Some(said))
    }

    /// Answers who asks for this node's vote.
    ///
    /// # Errors
    /// When it has none, or cannot go on.
    pub(super) async fn vote(
        &self,
        vote: VoteRequest<NodeId>,
    ) -> Result<VoteResponse<NodeId>, Mute> {
        if self.has_no_vote() {
            return Err(Mute::Empty);
        }
        self.check_term(vote.vote.leader_id().term)?;
        self.raft.vote(vote).await.map_err(|e| broken(&e))
    }

    fn check_term(&self, term: u64) -> Result<(), Mute> {
        let ours = self.metrics().current_term;
        believe(term, ours).map_err(Mute::Broken)
    }

    /// All entries that this node holds.
    #[cfg(test)]
    pub(super) async fn log(&self) -> std::io::Result<Vec<openraft::Entry<Types>>> {
        let read = self.store.with(|journal| {
            let read = journal.read(0..journal.len(), u64::MAX)?;
            read.iter()
                .map(|bytes| super::raft::unpack(bytes))
                .collect()
        });
        read.await
    }

    /// Takes a step towards the members that are wanted; none if another node leads, or there is none to take
    /// now.
    ///
    /// # Errors
    /// When the council could not change; it is tried again.
    pub(super) async fn change_towards(
        &self,
        wanted: &BTreeMap<NodeId, Filled>,
    ) -> Option<Result<(), Outage>> {
        let metrics = self.metrics();
        if metrics.current_leader != Some(self.me) || metrics.running_state.is_err() {
            return None;
        }
        let step = self.next_step(wanted, &metrics)?;
        tracing::info!(?step, "the council changes");
        let changed = self.raft.change_membership(step, false).await;
        Some(changed.map(|_| ()).map_err(|e| Outage::new(e.to_string())))
    }

    /// What to do next so that the members are those that are wanted.
    fn next_step(
        &self,
        wanted: &BTreeMap<NodeId, Filled>,
        metrics: &Metrics,
    ) -> Option<ChangeMembers<NodeId, Filled>> {
        let members = metrics.membership_config.membership();
        if members.get_joint_config().len() > 1 {
            // Whoever led before was in the middle of a change, and majorities of both councils are asked for
            // until it is finished.
            return Some(ChangeMembers::AddVoterIds(BTreeSet::new()));
        }
        // Who has no seat any more, or lost what it had, goes first: others may be waiting for it.
        let gone = members.nodes().find_map(|(id, filled)| {
            let wanted = wanted.get(id);
            if wanted.is_some_and(|wanted| wanted.0 <= filled.0) {
                return None;
            }
            self.goes(*id, wanted.copied(), metrics)
        });
        if gone.is_some() {
            return gone;
        }
        let new = wanted.iter().find(|(id, _)| members.get_node(id).is_none());
        if let Some((id, filled)) = new {
            return Some(ChangeMembers::AddNodes(BTreeMap::from([(*id, *filled)])));
        }
        // A learner that has nearly all becomes a voter.
        let last = metrics.last_log_index?;
        let progress = metrics.replication.as_ref()?;
        let voters: BTreeSet<NodeId> = members.voter_ids().collect();
        let ready = wanted.keys().find(|id| {
            let held = progress.get(id).copied().flatten();
            !voters.contains(id) && held.is_some_and(|held| held.index + LAG_MAX >= last)
        });
        ready.map(|id| ChangeMembers::AddVoterIds(BTreeSet::from([*id])))
    }

    /// How a member goes, or begins anew where it is to be filled again; none as long as that must wait.
    fn goes(
        &self,
        node: NodeId,
        refill: Option<Filled>,
        metrics: &Metrics,
    ) -> Option<ChangeMembers<NodeId, Filled>> {
        let gone = BTreeSet::from([node]);
        if !is_voter(metrics, node) {
            return Some(ChangeMembers::RemoveNodes(gone));
        }
        if let Some(filled) = refill {
            // One that acknowledges what came behind the word lost nothing, whatever the word says: nothing is
            // taken from it.
            if node == self.me || self.holds_what_came(node, filled, metrics) {
                return Some(ChangeMembers::SetNodes(BTreeMap::from([(node, filled)])));
            }
            if self.heard.is_there(node) {
                return None;
            }
        }
        let stays = metrics.membership_config.membership().voter_ids();
        let stays = stays.filter(|voter| *voter != node);
        // Without a majority that answers the council would stand still in the middle of the change.
        self.is_majority_of(stays)
            .then_some(ChangeMembers::RemoveVoters(gone))
    }

    /// Whether a node that is to be filled again has acknowledged more than there was when this was said.
    fn holds_what_came(&self, node: NodeId, filled: Filled, metrics: &Metrics) -> bool {
        let mut refill = self.refill.lock().unwrap_or_else(PoisonError::into_inner);
        let said = match *refill {
            Some((of, since, said)) if (of, since) == (node, filled) => said,
            _ => {
                let said = metrics.last_log_index.unwrap_or_default();
                *refill = Some((node, filled, said));
                said
            }
        };
        let progress = metrics.replication.as_ref();
        let held = progress.and_then(|progress| progress.get(&node).copied().flatten());
        held.is_some_and(|held| held.index >= said)
    }

    /// Whether most of these nodes are there, of which this one may be one.
    pub(super) fn is_majority_of(&self, nodes: impl Iterator<Item = NodeId>) -> bool {
        let (mut all, mut there) = (0, 0);
        for node in nodes {
            all += 1;
            there += usize::from(self.is_there(node));
        }
        there > all / 2
    }

    /// Whether a node is there, as this one sees it as the leader.
    pub(super) fn is_there(&self, node: NodeId) -> bool {
        node == self.me || self.heard.is_there(node)
    }
}

fn has_no_vote<D: Disk>(store: &LogStore<D>) -> bool {
    store.is_empty() || store.filling().is_some()
}

/// Up to how many entries a node without a vote is to be filled, as its leader sees it.
pub(super) fn filling(metrics: &Metrics, node: NodeId) -> Option<u64> {
    if is_voter(metrics, node) {
        return None;
    }
    // A leader that was cut off may count with a council that is another one by now: it fills nobody.
    let heard = metrics.millis_since_quorum_ack.map(Duration::from_millis);
    if heard.is_some_and(|heard| heard > LEASE) {
        return None;
    }
    metrics.last_log_index.map(|last| last + 1)
}

/// Whether a node has a vote.
pub(super) fn is_voter(metrics: &Metrics, node: NodeId) -> bool {
    let members = metrics.membership_config.membership();
    members.voter_ids().any(|voter| voter == node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_that_no_election_leads_to_is_not_believed() {
        for (term, ours) in [(1, 0), (7, 7), (3, 9), (TERMS_AHEAD_MAX + 5, 5)] {
            assert!(believe(term, ours).is_ok(), "{term} {ours}");
        }
        for (term, ours) in [(TERMS_AHEAD_MAX + 6, 5), (u64::MAX, 0)] {
            let said = believe(term, ours).unwrap_err().to_string();
            assert!(said.contains("is not heard"), "{said}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_is_there_for_a_while_after_it_took_something_and_not_when_it_takes_nothing() {
        let (heard, node) = (Heard::default(), NodeId::default());
        assert!(!heard.is_there(node));
        heard.note(node, true);
        tokio::time::advance(HEARD_FOR - Duration::from_millis(1)).await;
        assert!(heard.is_there(node));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!heard.is_there(node), "it was cut off");
        heard.note(node, true);
        heard.note(node, false);
        assert!(!heard.is_there(node), "it said no");
    }
}
