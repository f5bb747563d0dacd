//! What must hold, as one sees it who sees all nodes at once; and the registry of this harness.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use openraft::{Entry, LogId, entry::EntryPayload};

use super::super::raft::{Answers, Filled, Ledger, Member, NodeId, Types, members};
use super::runtime::Chance;
use crate::wire::TakenWire;

/// Batches that an index without power may have lost: SQLite syncs it now and then.
const INDEX_LOSES: usize = 20;

/// Everything that nodes have agreed on and clients were told.
#[derive(Debug, Default)]
pub(super) struct Truth(Mutex<Facts>);

#[derive(Debug, Default)]
struct Facts {
    /// The log as the first node that applied an entry had it.
    agreed: BTreeMap<u64, (LogId<NodeId>, String)>,
    /// Writes that a client was told of, and under whose vote.
    acknowledged: Vec<(String, LogId<NodeId>, (u64, NodeId))>,
    /// By whose vote, of which term, which node leads.
    leaders: BTreeMap<(u64, NodeId), usize>,
    /// The first promise that was broken.
    broken: Option<String>,
    story: Vec<String>,
    traced: bool,
    sum: u64,
}

impl Truth {
    pub(super) fn new(traced: bool) -> Self {
        let truth = Self::default();
        truth.facts().traced = traced;
        truth
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what happened.
    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        let line = what();
        let mut facts = self.facts();
        for byte in line.bytes() {
            // FNV-1a: two runs that tell the same have the same sum.
            facts.sum = (facts.sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if facts.traced {
            facts.story.push(line);
        }
    }

    /// A promise is broken.
    pub(super) fn breaks(&self, why: String) {
        self.tell(|| format!("BROKEN: {why}"));
        self.facts().broken.get_or_insert(why);
    }

    pub(super) fn broken(&self) -> Option<String> {
        self.facts().broken.clone()
    }

    /// A node applies an entry: all must apply the same there.
    fn applies(&self, node: usize, id: LogId<NodeId>, text: &str) {
        let before = {
            let mut facts = self.facts();
            let agreed = facts.agreed.entry(id.index);
            agreed.or_insert_with(|| (id, text.to_owned())).clone()
        };
        if before != (id, text.to_owned()) {
            self.breaks(format!(
                "node {node} applies {text:?} ({id}) where another applied {:?} ({})",
                before.1, before.0
            ));
        }
    }

    /// A client is told that its write is taken.
    pub(super) fn acknowledges(&self, text: String, id: LogId<NodeId>, under: (u64, NodeId)) {
        self.tell(|| {
            format!(
                "acknowledged {text} at {} of term {}",
                id.index, id.leader_id.term
            )
        });
        self.facts().acknowledged.push((text, id, under));
    }

    /// A node leads by this vote: it must hold all that was acknowledged under lower ones.
    pub(super) fn leads(&self, node: usize, vote: (u64, NodeId), holds: Option<u64>) {
        let missing = {
            let mut facts = self.facts();
            if facts.leaders.insert(vote, node).is_some() {
                return;
            }
            // An entry of one leader may have been confirmed under the next one only.
            let acknowledged = facts.acknowledged.iter();
            let before = acknowledged.filter(|(.., under)| *under < vote);
            before.map(|(_, id, _)| id.index).max()
        };
        self.tell(|| format!("node {node} leads in term {}", vote.0));
        if missing > holds {
            self.breaks(format!(
                "node {node} leads in term {} and holds {holds:?}, though {missing:?} was acknowledged before",
                vote.0
            ));
        }
    }

    /// Everything acknowledged up to a place is in this log, and all there is as it was agreed.
    pub(super) fn holds(&self, node: usize, log: &[Entry<Types>], until: u64) {
        let why = {
            let facts = self.facts();
            let at = |index: u64| log.get(usize::try_from(index).unwrap());
            let text = |index| at(index).map(|entry| (entry.log_id, said(entry)));
            let acknowledged = facts.acknowledged.iter();
            let mut acknowledged = acknowledged.filter(|(_, id, _)| id.index <= until);
            let lost = acknowledged.find_map(|(write, id, _)| {
                (text(id.index) != Some((*id, write.clone())))
                    .then(|| format!("node {node} lost {write:?} ({id})"))
            });
            lost.or_else(|| {
                facts.agreed.range(..=until).find_map(|(index, agreed)| {
                    (text(*index).as_ref() != Some(agreed)).then(|| {
                        format!(
                            "node {node} has {:?} where {agreed:?} was applied",
                            text(*index)
                        )
                    })
                })
            })
        };
        if let Some(why) = why {
            self.breaks(why);
        }
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.facts().acknowledged.len()
    }

    pub(super) fn leaders(&self) -> usize {
        self.facts().leaders.len()
    }

    pub(super) fn sum(&self) -> u64 {
        self.facts().sum
    }

    pub(super) fn story(&self) -> String {
        self.facts().story.join("\n")
    }
}

/// What an entry says, in a line.
pub(super) fn said(entry: &Entry<Types>) -> String {
    match &entry.payload {
        EntryPayload::Blank => String::new(),
        EntryPayload::Membership(members) => format!("members {members:?}"),
        EntryPayload::Normal(batch) => {
            let texts = batch.requests.iter().map(|r| r.signed.text.as_str());
            texts.collect::<Vec<_>>().join(",")
        }
    }
}

/// The registry of one node: it counts records and knows who has a seat.
#[derive(Debug)]
pub(super) struct Tally {
    node: usize,
    truth: Arc<Truth>,
    takes: Duration,
    /// What it was after each batch, the last one last.
    states: Mutex<Vec<State>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    applied: Option<LogId<NodeId>>,
    members: Member,
    records: u64,
    seats: BTreeMap<NodeId, Filled>,
}

impl Tally {
    pub(super) fn new(node: usize, truth: Arc<Truth>, takes: Duration) -> Self {
        Self {
            node,
            truth,
            takes,
            states: Mutex::new(vec![State::default()]),
        }
    }

    fn states(&self) -> MutexGuard<'_, Vec<State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> State {
        self.states().last().cloned().unwrap_or_default()
    }

    /// The members that the registry wants.
    pub(super) fn wanted(&self) -> Option<BTreeMap<NodeId, Filled>> {
        let seats = self.now().seats;
        (!seats.is_empty()).then_some(seats)
    }

    pub(super) fn applied(&self) -> Option<LogId<NodeId>> {
        self.now().applied
    }

    /// Power is gone: the end of the index may be, too, or all of it.
    pub(super) fn lose_power(&self, chance: &mut Chance) {
        let mut states = self.states();
        let lost = if chance.percent(10) {
            states.len()
        } else {
            chance.index(INDEX_LOSES)
        };
        let left = states.len().saturating_sub(lost).max(1);
        states.truncate(left);
    }
}

impl State {
    /// Takes a request, if it is one about seats.
    fn take(&mut self, text: &str) {
        let mut words = text.split(' ');
        let what = words.next().unwrap_or_default();
        let node = words.next().and_then(|number| number.parse().ok());
        let node = node.map(node_id);
        match (what, node) {
            ("seat" | "refill", Some(node)) => {
                self.seats.insert(node, Filled(self.records));
            }
            ("unseat", Some(node)) if self.seats.len() > 1 => {
                self.seats.remove(&node);
            }
            _ => {}
        }
        self.records += 1;
    }
}

/// A node of the harness by its number.
pub(super) fn node_id(number: usize) -> NodeId {
    let bytes = [u8::try_from(number).unwrap() + 1; 32];
    NodeId::of(spokes_rules::node::NodeKey::from_bytes(bytes))
}

impl Ledger for Tally {
    fn applied(&self) -> std::io::Result<(Option<LogId<NodeId>>, Member)> {
        let now = self.now();
        Ok((now.applied, now.members))
    }

    fn apply(&self, entries: Vec<Entry<Types>>) -> std::io::Result<Vec<Answers>> {
        let mut state = self.now();
        let mut answers = Vec::new();
        for entry in &entries {
            let next = state.applied.map_or(0, |id| id.index + 1);
            if entry.log_id.index != next {
                self.truth.breaks(format!(
                    "node {} applies {} where {next} is next",
                    self.node, entry.log_id
                ));
            }
            self.truth.applies(self.node, entry.log_id, &said(entry));
            let mut taken = Vec::new();
            if let EntryPayload::Normal(batch) = &entry.payload {
                for request in &batch.requests {
                    taken.push(Ok(TakenWire {
                        index: state.records,
                        time: String::new(),
                    }));
                    state.take(&request.signed.text);
                }
            }
            answers.push(Answers(taken));
            state.applied = Some(entry.log_id);
            state.members = members(entry).unwrap_or(state.members);
        }
        self.states().push(state);
        Ok(answers)
    }

    fn pretends(&self) -> Option<Duration> {
        Some(self.takes)
    }
}
