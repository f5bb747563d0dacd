//! One blog on one spoke: what it takes in, what it signs, and when it must not (SPEC receipt).
//!
//! A state machine: [`Replica::handle`] is told what happened and when, [`Replica::poll_effect`] says
//! what to do. It never waits and never reads storage. The hands and the simulator drive the same one.

mod said;
mod settle;
mod wait;

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    vec::Vec,
};

use spokes_log::{
    blog::Blog,
    chain::{Appended, Chain},
    entry::Entry,
    name::{BlogId, EntryId, Fingerprint, Hash},
    ring::VerifiedEntry,
    time::Time,
};

use crate::{
    node::{Label, NodeSecret, Signed},
    primary::{self, AHEAD_SECONDS_MAX, Brings, RECEIPTS_PER_SPOKE_MAX, Receipts, Refusal, Room},
    receipt::{Held, Receipt, Seal, Tip},
    registry::{Closing, FORCE_SECONDS, Set},
};
use settle::Settling;

pub use said::{Answer, Effect, Event, Standing, Ticket};
pub use settle::{SETTLE_PATIENCE_SECONDS, STILL_SECONDS_MAX, has_stood_still};

/// How long a member goes on issuing receipts without having heard from the council: well below the
/// hour after which the registry may open a set with fewer seals (SPEC receipt 4).
pub const COUNCIL_SILENCE_SECONDS_MAX: i64 = 40 * 60;

/// How far a clock may be set back without the council being heard again: further, and the time above would
/// begin anew.
const CLOCK_BACK_SECONDS_MAX: i64 = 60;

/// How long a started member waits for all whose tips it should know before it goes on with one
/// less: about as long as a server beside it takes to boot. Longer, and one silent member would keep
/// every author of its blogs waiting whenever another restarts (SPEC receipt 4.2).
pub const COMPARE_PATIENCE_SECONDS: i64 = 60;

/// Entries that wait until those before them are durable, or the next set is open: an author sends one after the
/// other.
const BEHIND_MAX: usize = 32;

/// Whether this copy may have forgotten what it signed: its disk may be an old one.
#[derive(Debug)]
enum Comparison {
    /// It may.
    Wanted {
        /// Since when others are asked.
        since: Option<Time>,
        /// The durable tips that they named.
        answers: BTreeMap<Label, Vec<Tip>>,
    },
    /// It holds what enough others hold.
    Done,
}

/// One blog on one spoke.
#[derive(Debug)]
pub struct Replica {
    network: Hash,
    me: Label,
    secret: Arc<NodeSecret>,
    chain: Chain,
    fold: Blog,
    set: Option<Set>,
    closing: Option<Closing>,
    ended: BTreeSet<Fingerprint>,
    keys_at: EntryId,
    room: Option<Room>,
    /// The highest epoch that a durable or coming seal of ours closes.
    sealed: u64,
    heard: Option<Time>,
    /// The last epoch whose opening this copy was compared with.
    settled: u64,
    settling: Option<Settling>,
    comparison: Comparison,
    patience_seconds: Option<i64>,
    /// What is being written, with the entries that it erases. Nobody sees it before it is durable.
    storing: BTreeMap<EntryId, (VerifiedEntry, Vec<EntryId>)>,
    /// Entries by ended keys that came before the `keys` entry that ended them, or else go with it.
    provisional: BTreeSet<EntryId>,
    /// All durable entries without durable children. Only what becomes durable changes them.
    tips: Vec<Tip>,
    receipts: Receipts,
    waiting: Vec<(Ticket, EntryId)>,
    /// Submitted while others were being written: admission judges by what readers see.
    behind: VecDeque<(Ticket, VerifiedEntry, bool)>,
    cover: BTreeSet<Tip>,
    effects: VecDeque<Effect>,
}

impl Replica {
    /// A replica as it starts: `chain` and `fold` are what its disk holds, `sealed` the highest epoch
    /// that a durable seal closes, 0 if none does.
    pub fn new(
        network: Hash,
        me: Label,
        secret: Arc<NodeSecret>,
        chain: Chain,
        fold: Blog,
        sealed: u64,
    ) -> Self {
        let mut replica = Self {
            keys_at: chain.blog(),
            network,
            me,
            secret,
            chain,
            fold,
            set: None,
            closing: None,
            ended: BTreeSet::new(),
            room: None,
            sealed,
            heard: None,
            settled: 1,
            settling: None,
            comparison: Comparison::Wanted {
                since: None,
                answers: BTreeMap::new(),
            },
            patience_seconds: Some(COMPARE_PATIENCE_SECONDS),
            storing: BTreeMap::new(),
            provisional: BTreeSet::new(),
            tips: Vec::new(),
            receipts: Receipts::default(),
            waiting: Vec::new(),
            behind: VecDeque::new(),
            cover: BTreeSet::new(),
            effects: VecDeque::new(),
        };
        replica.tips = replica.find_tips();
        replica
    }

    /// Never goes on with one less: for who knows that disks come back old while others are silent.
    #[must_use]
    pub fn without_patience(self) -> Self {
        Self {
            patience_seconds: None,
            ..self
        }
    }

    /// Goes on from what the disk holds after [`Effect::CutOff`] or [`Effect::Offer`].
    pub fn begin_anew(&mut self, now: Time, chain: Chain, fold: Blog) {
        (self.chain, self.fold) = (chain, fold);
        self.storing.clear();
        self.provisional.retain(|id| self.chain.contains(*id));
        self.tips = self.find_tips();
        self.part(now);
        self.pass_on_the_waiting();
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Time, event: Event) {
        match event {
            Event::Set {
                set,
                closing,
                ended,
                keys_at,
                covered,
            } => {
                (self.ended, self.keys_at) = (ended, keys_at);
                self.set(now, set, closing, covered);
            }
            Event::Limits { policy, since } => {
                self.room = Some(Room::new(now, policy, since, &self.chain));
            }
            Event::CouncilHeard(at) => {
                self.heard = Some(at);
                self.settle(now);
                self.compare(now);
                self.seal_if_closed(now);
                // What was withheld, for silence or for a clock behind, can be said by now.
                self.hold_heads(now);
                self.hold_cover(now);
                self.go_on(now);
            }
            Event::StoodStill => self.heard = None,
            Event::Vouched { by, epoch, tips } => self.vouched(now, &by, epoch, tips),
            Event::Tips { of, tips } => {
                let is_member = self.set.as_ref().is_some_and(|set| set.has(&of));
                if let Comparison::Wanted { answers, .. } = &mut self.comparison
                    && is_member
                {
                    answers.insert(of, tips);
                }
                self.compare(now);
            }
            Event::NothingForgotten => self.compared(now),
            Event::Submitted {
                ticket,
                entry,
                refused_elsewhere,
            } => {
                self.submitted(now, ticket, entry, refused_elsewhere);
            }
            Event::Waits { ticket, id } => {
                self.waiting.push((ticket, id));
                self.answer_safe();
            }
            Event::Pulled(run) => self.pulled(&run),
            Event::Restored(run) => {
                let before = self.chain.len();
                self.pulled(&run);
                self.count(now, Brings::Restored, self.chain.len() - before);
            }
            Event::Stored(ids) => self.stored(now, &ids),
            Event::SealStored(seal) => {
                let signed = Signed::new(&self.secret, &seal);
                self.effects.push_back(Effect::SendSeal(signed));
            }
            Event::Receipt(receipt) => {
                self.keep(receipt);
                self.answer_safe();
            }
            Event::Cover(tips) => {
                self.cover = tips;
                self.hold_cover(now);
            }
            Event::GaveUp(ticket) => {
                self.waiting.retain(|(t, _)| *t != ticket);
                self.behind.retain(|(t, ..)| *t != ticket);
            }
        }
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The blog.
    pub fn blog(&self) -> BlogId {
        self.chain.blog()
    }

    /// The chain, entries that are being written included.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// What readers see: what is durable here.
    pub fn fold(&self) -> &Blog {
        &self.fold
    }

    /// Whether this copy is known to have forgotten nothing.
    pub fn is_compared(&self) -> bool {
        matches!(self.comparison, Comparison::Done)
    }

    /// The open set, once the registry has named one.
    pub fn open_set(&self) -> Option<&Set> {
        self.set.as_ref()
    }

    /// The receipts at hand.
    pub fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// Whether the network's limits have room for these entries, none of which is here yet.
    ///
    /// # Errors
    /// A refusal that names the limit.
    pub fn has_room(&self, now: Time, brings: Brings, entries: &[&Entry]) -> Result<(), Refusal> {
        match &self.room {
            Some(room) => room.judge(now, &self.chain, &self.fold, brings, entries),
            None => Ok(()),
        }
    }

    /// All durable entries without durable children, in the order of the fold.
    pub fn durable_tips(&self) -> Vec<Tip> {
        self.tips.clone()
    }

    fn find_tips(&self) -> Vec<Tip> {
        let mut tips = BTreeSet::new();
        for (_, head) in self.chain.heads() {
            let mut at = Some(head);
            while let Some(id) = at.filter(|id| self.storing.contains_key(id)) {
                at = self.chain.link(id).and_then(|link| link.previous);
            }
            if let Some(link) = at.and_then(|id| self.chain.link(id).map(|link| (id, link))) {
                tips.insert(Tip {
                    sequence: link.1.sequence,
                    id: link.0,
                });
            }
        }
        // Where a branch is being written, its durable part may be an ancestor of another tip.
        let all: Vec<Tip> = tips.iter().copied().collect();
        let below = |tip: &Tip| {
            all.iter()
                .any(|other| other != tip && self.chain.reaches(other.id, tip.id))
        };
        all.iter().filter(|tip| !below(tip)).copied().collect()
    }

    /// How many entries are durable here: what readers see depends on no others.
    pub fn durable_len(&self) -> usize {
        self.chain.len() - self.storing.len()
    }

    /// Whether this entry is being written.
    pub fn is_storing(&self, id: EntryId) -> bool {
        self.storing.contains_key(&id)
    }

    /// How far an entry has come.
    pub fn standing(&self, id: EntryId) -> Standing {
        if !self.chain.contains(id) {
            return Standing::Unknown;
        }
        if self.storing.contains_key(&id) {
            return Standing::Storing;
        }
        let Some(set) = &self.set else {
            return Standing::Accepted {
                receipts: Vec::new(),
                needed: 1,
            };
        };
        let receipts = self.receipts.covering(&self.chain, set, id);
        if receipts.len() >= set.majority() {
            Standing::Safe(receipts)
        } else {
            Standing::Accepted {
                receipts,
                needed: set.majority(),
            }
        }
    }

    fn set(&mut self, now: Time, set: Set, closing: Option<Closing>, covered: BTreeSet<Tip>) {
        if self.closing != closing {
            self.cover.clear();
        }
        self.closing = closing;
        self.receipts.forget_before(set.epoch);
        self.unsettle(now, set.epoch, covered);
        self.set = Some(set);
        // With more keys ended, or another `keys` entry to wait for, what is here may not stand.
        if !self.chain.contains(self.keys_at) {
            let by_ended = self
                .chain
                .links()
                .filter(|(_, l)| self.is_ended(&l.authors));
            self.provisional = by_ended.map(|(id, _)| id).collect();
        }
        self.settle(now);
        self.compare(now);
        self.seal_if_closed(now);
        self.hold_heads(now);
        self.answer_safe();
        self.pass_on_the_waiting();
        self.go_on(now);
    }

    /// Is done once so many others as can seal without us have named their tips, and all of those
    /// are durable here: if our disk is old, each entry that we made safe is among them.
    fn compare(&mut self, now: Time) {
        let Comparison::Wanted { since, answers } = &mut self.comparison else {
            return;
        };
        let began = *since.get_or_insert(now);
        // Whose copy of the registry is old asks the wrong spokes.
        let (Some(set), Some(_)) = (&self.set, self.heard) else {
            return;
        };
        let others = set.members.iter().filter(|label| **label != self.me);
        let mut needed = set.seals_needed().min(others.clone().count());
        if self
            .patience_seconds
            .is_some_and(|patience| now.since(began) > patience)
        {
            needed = needed.min(set.seals_needed() - 1);
        }
        // Whom an organizer has given up is not waited for.
        if let Some(closing) = &self.closing {
            let stay = others
                .clone()
                .filter(|label| !closing.lost.contains(*label));
            needed = needed.min(stay.count());
        }
        // Where most of a set is gone for good, who is left seals what it has: the set is forced then.
        let since = self.closing.as_ref().map(|closing| closing.since);
        if since.is_some_and(|since| now.since(since) >= FORCE_SECONDS) {
            needed = 0;
        }
        let durable =
            |tip: &Tip| self.chain.contains(tip.id) && !self.storing.contains_key(&tip.id);
        let whole = others.filter(|label| {
            answers
                .get(*label)
                .is_some_and(|tips| tips.iter().all(durable))
        });
        if whole.count() >= needed {
            self.compared(now);
        }
    }

    fn compared(&mut self, now: Time) {
        self.comparison = Comparison::Done;
        self.seal_if_closed(now);
        self.hold_heads(now);
        self.hold_cover(now);
    }

    /// Seals the open epoch once its change has begun (SPEC receipt 3). An old disk must not seal
    /// before its tips were compared: it would hide what it has forgotten. Nor does a member that
    /// holds nothing yet seal: entry 0 comes with the registry, and seals that name nothing would
    /// leave nothing for the next set to cover.
    fn seal_if_closed(&mut self, now: Time) {
        if self.waits_to_seal(now) {
            return;
        }
        let (Some(set), Some(_), true) = (&self.set, &self.closing, self.is_compared()) else {
            return;
        };
        let tips = self.durable_tips();
        if !set.has(&self.me) || self.sealed >= set.epoch || tips.is_empty() {
            return;
        }
        // From here on no receipt of this epoch is issued, whatever happens to the write.
        self.sealed = set.epoch;
        let seal = Seal {
            network: self.network,
            spoke: self.me.clone(),
            blog: self.chain.blog(),
            epoch: set.epoch,
            tips,
        };
        self.effects.push_back(Effect::StoreSeal(seal));
    }

    fn submitted(
        &mut self,
        now: Time,
        ticket: Ticket,
        entry: VerifiedEntry,
        refused_elsewhere: bool,
    ) {
        let id = entry.entry().id();
        if self.chain.contains(id) && self.chain.eraser(id).is_none() {
            self.waiting.push((ticket, id));
            return self.answer_safe();
        }
        let Some(set) = &self.set else {
            return self.answer(ticket, Answer::Refused(Refusal::NotReady));
        };
        if !self.accepts(refused_elsewhere) {
            let primary = set.primary().clone();
            return self.answer(ticket, Answer::Forward(primary));
        }
        let ready = self.knows_its_place();
        // What was accepted behind a seal would stand beside what the next set goes on with.
        if !ready || !self.storing.is_empty() || self.is_sealed(now) {
            if self.behind.len() == BEHIND_MAX {
                let full = if ready {
                    Refusal::StillWriting
                } else {
                    Refusal::NotReady
                };
                return self.answer(ticket, Answer::Refused(full));
            }
            return self.behind.push_back((ticket, entry, refused_elsewhere));
        }
        let admitted = primary::admit(now, &self.chain, &self.fold, &self.ended, entry.entry());
        let fits = admitted.and_then(|()| self.has_room(now, Brings::New, &[entry.entry()]));
        match fits.and_then(|()| self.take_in(entry)) {
            Ok(()) => {
                self.count(now, Brings::New, 1);
                self.waiting.push((ticket, id));
            }
            Err(refusal) => self.answer(ticket, Answer::Refused(refusal)),
        }
    }

    fn count(&mut self, now: Time, brings: Brings, entries: usize) {
        if let Some(room) = &mut self.room {
            room.count(now, brings, entries as u64);
        }
    }

    /// Replicas judge validity only, and ended keys (SPEC entry 8).
    fn pulled(&mut self, run: &[VerifiedEntry]) {
        for (at, entry) in run.iter().enumerate() {
            let (id, authors) = (entry.entry().id(), &entry.entry().skeleton().authors);
            if self.chain.contains(id) {
                continue;
            }
            if self.is_ended(authors) {
                // What the key signed before it ended comes before the entry that ended it.
                if !self.chain.contains(self.keys_at) {
                    self.provisional.insert(id);
                } else if !self.is_covered(&run[at..]) {
                    continue;
                }
            }
            // A parent that is not here yet comes first with the next pull.
            let _pulled_again_later = self.take_in(entry.clone());
        }
    }

    fn is_ended(&self, authors: &[Fingerprint]) -> bool {
        authors.iter().any(|author| self.ended.contains(author))
    }

    /// Whether a receipt of the open epoch, by a member of its set, names the first entry of a run
    /// or one behind it.
    fn is_covered(&self, run: &[VerifiedEntry]) -> bool {
        let mut line = BTreeSet::new();
        for entry in run.iter().map(VerifiedEntry::entry) {
            let previous = entry.skeleton().previous;
            if line.is_empty() || previous.is_some_and(|previous| line.contains(&previous)) {
                line.insert(entry.id());
            }
        }
        self.open_receipts()
            .any(|receipt| line.contains(&receipt.held.tip.id))
    }

    /// The receipts of the open epoch by members of its set.
    fn open_receipts(&self) -> impl Iterator<Item = &Receipt> {
        let set = self.set.as_ref();
        let counts = move |receipt: &&Receipt| {
            let held = &receipt.held;
            set.is_some_and(|set| held.epoch == set.epoch && set.has(&held.spoke))
        };
        self.receipts.all().filter(counts)
    }

    /// Judges what ended keys signed, once the `keys` entry that ended them is here and the others
    /// have said what they hold: before that entry it stands, and where a receipt of the open epoch
    /// covers it. A stolen key that has ended reaches nothing else (SPEC entry 8).
    fn judge_provisional(&mut self) {
        let here = self.chain.contains(self.keys_at) && !self.storing.contains_key(&self.keys_at);
        if self.provisional.is_empty() || !here || !self.is_compared() {
            return;
        }
        let tips = self.open_receipts().map(|receipt| receipt.held.tip.id);
        let mut standing: BTreeSet<EntryId> = BTreeSet::new();
        for tip in tips.chain([self.keys_at]) {
            let mut at = Some(tip).filter(|id| self.chain.contains(*id));
            while let Some(id) = at.filter(|id| standing.insert(*id)) {
                at = self.chain.link(id).and_then(|link| link.previous);
            }
        }
        // What does not stand stays provisional, and nothing is signed, until it is gone.
        self.provisional.retain(|id| !standing.contains(id));
        if !self.provisional.is_empty() {
            let strays = self.provisional.clone();
            self.effects.push_back(Effect::CutOff(strays));
        }
    }

    fn take_in(&mut self, entry: VerifiedEntry) -> Result<(), Refusal> {
        let Appended { new, erased } = self.chain.append(&entry).map_err(Refusal::Invalid)?;
        if !new {
            return Ok(());
        }
        let id = entry.entry().id();
        self.effects.push_back(Effect::Store(entry.clone()));
        if !erased.is_empty() {
            self.effects.push_back(Effect::Erase(erased.clone()));
        }
        self.storing.insert(id, (entry, erased));
        Ok(())
    }

    fn stored(&mut self, now: Time, ids: &[EntryId]) {
        for id in ids {
            let Some((entry, erased)) = self.storing.remove(id) else {
                continue;
            };
            self.fold.add(&self.chain, entry.entry());
            self.fold.erase(&self.chain, &erased);
        }
        self.tips = self.find_tips();
        self.settle(now);
        self.compare(now);
        self.seal_if_closed(now);
        self.hold_heads(now);
        self.hold_cover(now);
        self.answer_safe();
        self.go_on(now);
    }

    /// Signs that the durable tips are held, where that may be said.
    fn hold_heads(&mut self, now: Time) {
        self.judge_provisional();
        let Some(set) = &self.set else { return };
        if !set.has(&self.me) {
            return;
        }
        let epoch = set.epoch;
        // More than are kept would be signed again each time.
        let passed_over = self.tips.len().saturating_sub(RECEIPTS_PER_SPOKE_MAX);
        let newest = self.tips[passed_over..].to_vec();
        for tip in newest {
            self.hold(now, epoch, tip);
        }
    }

    /// Signs for the next epoch that what the old members sealed is held here.
    fn hold_cover(&mut self, now: Time) {
        let Some(closing) = &self.closing else { return };
        if !closing.next.has(&self.me) {
            return;
        }
        let epoch = closing.next.epoch;
        let durable =
            |tip: &Tip| self.chain.contains(tip.id) && !self.storing.contains_key(&tip.id);
        // Where nobody goes on who could seal, what its author has brought is all there is.
        let anew = self
            .set
            .as_ref()
            .is_some_and(|set| closing.begins_anew(set));
        if anew && self.cover.is_empty() {
            let passed_over = self.tips.len().saturating_sub(RECEIPTS_PER_SPOKE_MAX);
            self.cover = self.tips[passed_over..].iter().copied().collect();
        }
        if self.cover.is_empty() || !self.cover.iter().all(durable) {
            return;
        }
        for tip in core::mem::take(&mut self.cover) {
            self.hold(now, epoch, tip);
        }
    }

    fn hold(&mut self, now: Time, epoch: u64, tip: Tip) {
        let fresh = -CLOCK_BACK_SECONDS_MAX..=COUNCIL_SILENCE_SECONDS_MAX;
        let silent = |heard: Time| !fresh.contains(&now.since(heard));
        if self.sealed >= epoch || !self.is_compared() || self.heard.is_none_or(silent) {
            return;
        }
        // What others may not have in the open epoch is not said to be held in it.
        if self.settling.is_some() && self.set.as_ref().is_some_and(|set| set.epoch == epoch) {
            return;
        }
        // What is signed counts as covered: first it must be known what ended keys may have signed.
        if !self.chain.contains(self.keys_at) || !self.provisional.is_empty() {
            return;
        }
        let ahead = self
            .chain
            .link(tip.id)
            .is_none_or(|l| l.signed.since(now) > AHEAD_SECONDS_MAX);
        if ahead || !self.chain.unvouched().is_empty() {
            return;
        }
        let said = |r: &Receipt| {
            r.held.spoke == self.me && r.held.epoch == epoch && r.held.tip.id == tip.id
        };
        if self.receipts.all().any(said) {
            return;
        }
        let (network, spoke, blog) = (self.network, self.me.clone(), self.chain.blog());
        let held = Held {
            network,
            spoke,
            blog,
            epoch,
            tip,
            time: now,
        };
        let receipt = Receipt {
            signed: Signed::new(&self.secret, &held),
            held,
        };
        self.keep(receipt.clone());
        self.effects.push_back(Effect::SendReceipt(receipt));
    }

    /// Keeps a receipt of a member; what other spokes say of this blog is worth nothing.
    fn keep(&mut self, receipt: Receipt) {
        let next = self.closing.as_ref().map(|closing| &closing.next);
        let is_member = |set: &Set| set.has(&receipt.held.spoke);
        if let Some(set) = &self.set
            && (is_member(set) || next.is_some_and(is_member))
        {
            self.receipts.take(&self.chain, set.epoch, receipt);
        }
    }

    fn answer_safe(&mut self) {
        let (mut safe, mut left) = (Vec::new(), Vec::new());
        for (ticket, id) in core::mem::take(&mut self.waiting) {
            match self.standing(id) {
                Standing::Safe(receipts) => safe.push((ticket, receipts)),
                _ => left.push((ticket, id)),
            }
        }
        self.waiting = left;
        for (ticket, receipts) in safe {
            self.answer(ticket, Answer::Safe(receipts));
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.effects.push_back(Effect::Answer(ticket, answer));
    }
}
