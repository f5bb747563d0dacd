//! One blog on one spoke: what it takes in, what it signs, and when it must not (SPEC receipt).
//!
//! A state machine: [`Replica::handle`] is told what happened and when, [`Replica::poll_effect`] says
//! what to do. It never waits and never reads storage. The hands and the simulator drive the same one.

use alloc::{
    collections::{BTreeSet, VecDeque},
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
    primary::{self, AHEAD_SECONDS_MAX, Brings, Receipts, Refusal, Room},
    receipt::{Held, Receipt, Seal, Tip},
    registry::{Closing, Set},
    request::Policy,
};

/// How long a member goes on issuing receipts without having heard from the council: well below the
/// hour after which the registry may open a set with fewer seals (SPEC receipt 4).
pub const COUNCIL_SILENCE_SECONDS_MAX: i64 = 40 * 60;

/// Whom to answer; the hands know who it is.
pub type Ticket = u64;

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The registry, as far as this spoke knows it, says: this is the open set, this change of it
    /// has begun, these keys have ended.
    Set {
        /// The open set.
        set: Set,
        /// The change that has begun, if any.
        closing: Option<Closing>,
        /// Keys that the registry knows to have ended.
        ended: BTreeSet<Fingerprint>,
        /// The `keys` entry that the registry took last, or entry 0.
        keys_at: EntryId,
    },
    /// What the network grants this blog, which got its name then. Until this is told, nothing is
    /// limited.
    Limits {
        /// The network's policy.
        policy: Policy,
        /// When the blog got its name.
        since: Time,
    },
    /// The council's leader was heard, and what it said about the set was told before: a copy of the
    /// registry from one's own disk is not the council.
    CouncilHeard,
    /// Our tips were compared with those of the set since the start.
    Compared,
    /// An author's tool, or another spoke for it, sends an entry; its blobs are here.
    Submitted {
        /// Whom to answer.
        ticket: Ticket,
        /// The entry.
        entry: VerifiedEntry,
        /// Whether its primary refused it, so that any member may take it.
        refused_elsewhere: bool,
    },
    /// Somebody sends again an entry that is here, and waits until it is safe.
    Waits {
        /// Whom to answer.
        ticket: Ticket,
        /// The entry.
        id: EntryId,
    },
    /// An entry came from another replica; its blobs are here.
    Pulled(VerifiedEntry),
    /// The author brings back an entry from her own copy; its blobs are here.
    Restored(VerifiedEntry),
    /// These entries and their blobs are durable.
    Stored(Vec<EntryId>),
    /// A seal is durable.
    SealStored(Seal),
    /// A good receipt of a spoke of this network came in.
    Receipt(Receipt),
    /// The old members' seals name these tips, to be covered in the next epoch.
    Cover(BTreeSet<Tip>),
    /// Whoever had this ticket waits no more.
    GaveUp(Ticket),
}

/// What to do.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "effects live for a moment, and most of them store an entry"
)]
pub enum Effect {
    /// Make this entry durable, then say [`Event::Stored`]; in the order of these effects.
    Store(VerifiedEntry),
    /// Forget the words of these entries.
    Erase(Vec<EntryId>),
    /// Make this seal durable, then say [`Event::SealStored`].
    StoreSeal(Seal),
    /// Send the seal to the council.
    SendSeal(Signed),
    /// Give this receipt to whoever collects them.
    SendReceipt(Receipt),
    /// Answer.
    Answer(Ticket, Answer),
}

/// What a submitter is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A majority of the set holds it.
    Safe(Vec<Receipt>),
    /// Another spoke accepts entries for this blog.
    Forward(Label),
    /// Not here, not now.
    Refused(Refusal),
}

/// How far an entry has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is not here.
    Unknown,
    /// It is being written.
    Storing,
    /// It is durable here; these members hold it, and so many are needed.
    Accepted {
        /// One receipt of each.
        receipts: Vec<Receipt>,
        /// A majority of the set.
        needed: usize,
    },
    /// A majority of the set holds it.
    Safe(Vec<Receipt>),
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
    compared: bool,
    storing: BTreeSet<EntryId>,
    receipts: Receipts,
    waiting: Vec<(Ticket, EntryId)>,
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
        Self {
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
            compared: false,
            storing: BTreeSet::new(),
            receipts: Receipts::default(),
            waiting: Vec::new(),
            cover: BTreeSet::new(),
            effects: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Time, event: Event) {
        match event {
            Event::Set {
                set,
                closing,
                ended,
                keys_at,
            } => {
                (self.ended, self.keys_at) = (ended, keys_at);
                self.set(now, set, closing);
            }
            Event::Limits { policy, since } => {
                self.room = Some(Room::new(now, policy, since, &self.chain));
            }
            Event::CouncilHeard => {
                self.heard = Some(now);
                // What was withheld, for silence or for a clock behind, can be said by now.
                self.hold_heads(now);
                self.hold_cover(now);
            }
            Event::Compared => {
                self.compared = true;
                self.seal_if_closed();
                self.hold_heads(now);
                self.hold_cover(now);
            }
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
            Event::Pulled(entry) => self.pulled(entry),
            Event::Restored(entry) => {
                let before = self.chain.len();
                self.pulled(entry);
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
            Event::GaveUp(ticket) => self.waiting.retain(|(t, _)| *t != ticket),
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

    /// What readers see.
    pub fn fold(&self) -> &Blog {
        &self.fold
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
        let mut tips = BTreeSet::new();
        for (_, head) in self.chain.heads() {
            let mut at = Some(head);
            while let Some(id) = at.filter(|id| self.storing.contains(id)) {
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

    /// How far an entry has come.
    pub fn standing(&self, id: EntryId) -> Standing {
        if !self.chain.contains(id) {
            return Standing::Unknown;
        }
        if self.storing.contains(&id) {
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

    fn set(&mut self, now: Time, set: Set, closing: Option<Closing>) {
        if self.closing != closing {
            self.cover.clear();
        }
        self.closing = closing;
        self.receipts.forget_before(set.epoch);
        self.set = Some(set);
        self.seal_if_closed();
        self.hold_heads(now);
        self.answer_safe();
    }

    /// Seals the open epoch once its change has begun (SPEC receipt 3). An old disk must not seal
    /// before its tips were compared: it would hide what it has forgotten. Nor does a member that
    /// holds nothing yet seal: entry 0 comes with the registry, and seals that name nothing would
    /// leave nothing for the next set to cover.
    fn seal_if_closed(&mut self) {
        let (Some(set), Some(_), true) = (&self.set, &self.closing, self.compared) else {
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
        let here = *set.primary() == self.me || refused_elsewhere && set.has(&self.me);
        if !here {
            let primary = set.primary().clone();
            return self.answer(ticket, Answer::Forward(primary));
        }
        let admitted = primary::admit(now, &self.chain, &self.fold, &self.ended, entry.entry());
        let fits = admitted.and_then(|()| self.has_room(now, Brings::New, &[entry.entry()]));
        match fits.and_then(|()| self.take_in(&entry)) {
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
    fn pulled(&mut self, entry: VerifiedEntry) {
        let skeleton = entry.entry().skeleton();
        if self.chain.contains(entry.entry().id()) {
            return;
        }
        // What the key signed before it ended comes before the entry that ended it.
        let ended = self.chain.contains(self.keys_at)
            && skeleton
                .authors
                .iter()
                .any(|author| self.ended.contains(author));
        if ended && !self.is_covered(entry.entry().id()) {
            return;
        }
        // A parent that is not here yet comes first with the next pull.
        let _pulled_again_later = self.take_in(&entry);
    }

    /// Whether a receipt of the open epoch, by a member of its set, names this entry.
    fn is_covered(&self, id: EntryId) -> bool {
        let Some(set) = &self.set else { return false };
        let covers = |receipt: &Receipt| {
            let held = &receipt.held;
            held.tip.id == id && held.epoch == set.epoch && set.has(&held.spoke)
        };
        self.receipts.all().any(covers)
    }

    fn take_in(&mut self, entry: &VerifiedEntry) -> Result<(), Refusal> {
        let Appended { new, erased } = self.chain.append(entry).map_err(Refusal::Invalid)?;
        if !new {
            return Ok(());
        }
        self.fold.add(&self.chain, entry.entry());
        self.storing.insert(entry.entry().id());
        self.effects.push_back(Effect::Store(entry.clone()));
        if !erased.is_empty() {
            self.fold.erase(&self.chain, &erased);
            self.effects.push_back(Effect::Erase(erased));
        }
        Ok(())
    }

    fn stored(&mut self, now: Time, ids: &[EntryId]) {
        ids.iter().for_each(|id| {
            self.storing.remove(id);
        });
        self.seal_if_closed();
        self.hold_heads(now);
        self.hold_cover(now);
        self.answer_safe();
    }

    /// Signs that the durable tips are held, where that may be said.
    fn hold_heads(&mut self, now: Time) {
        let Some(set) = &self.set else { return };
        if !set.has(&self.me) {
            return;
        }
        let epoch = set.epoch;
        for tip in self.durable_tips() {
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
        let durable = |tip: &Tip| self.chain.contains(tip.id) && !self.storing.contains(&tip.id);
        if self.cover.is_empty() || !self.cover.iter().all(durable) {
            return;
        }
        for tip in core::mem::take(&mut self.cover) {
            self.hold(now, epoch, tip);
        }
    }

    fn hold(&mut self, now: Time, epoch: u64, tip: Tip) {
        let silent = |heard: Time| now.since(heard) > COUNCIL_SILENCE_SECONDS_MAX;
        if self.sealed >= epoch || !self.compared || self.heard.is_none_or(silent) {
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
