//! What a replica is told, and what it says.

use alloc::{collections::BTreeSet, vec::Vec};

use spokes_log::{
    name::{EntryId, Fingerprint},
    ring::VerifiedEntry,
    time::Time,
};

use crate::{
    node::{Label, Signed},
    primary::Refusal,
    receipt::{Receipt, Seal, Tip},
    registry::{Closing, Set},
    request::Policy,
};

/// Whom to answer; the hands know who it is.
pub type Ticket = u64;

/// What happened.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "events live for a moment, and most of them bring an entry"
)]
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
        /// What the open set was opened with; empty for a blog's first set.
        covered: BTreeSet<Tip>,
    },
    /// What the network grants this blog, which got its name then. Until this is told, nothing is
    /// limited.
    Limits {
        /// The network's policy.
        policy: Policy,
        /// When the blog got its name.
        since: Time,
    },
    /// The council's leader was heard at this time, and what it said about the set was told before:
    /// a copy of the registry from one's own disk is not the council.
    CouncilHeard(Time),
    /// This spoke has stood still for so long that its primaries may be others by now: what it heard
    /// before counts no more (SPEC receipt 4.7).
    StoodStill,
    /// Another spoke named its durable tips, since this one has started.
    Tips {
        /// Who.
        of: Label,
        /// All its entries without children.
        tips: Vec<Tip>,
    },
    /// A member names its durable tips, as its copy stands after the opening of this epoch.
    Vouched {
        /// Who.
        by: Label,
        /// The epoch in which it has settled.
        epoch: u64,
        /// Entries that it holds.
        tips: Vec<Tip>,
    },
    /// Our disk can have forgotten nothing of this blog: it got its name since our start.
    NothingForgotten,
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
    /// Entries came from another replica, parents first; their blobs are here.
    Pulled(Vec<VerifiedEntry>),
    /// The author brings back entries from her own copy, parents first; their blobs are here.
    Restored(Vec<VerifiedEntry>),
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
    /// Forget the words of these entries, together with what was to be stored just before.
    Erase(Vec<EntryId>),
    /// Remove these entries and all that follows them, and begin anew with what is left: keys that
    /// had ended signed them behind the blog's back.
    CutOff(BTreeSet<EntryId>),
    /// The copy has settled in the open epoch: remember that.
    Settled(u64),
    /// The copy has settled in the open epoch without these entries: keep them apart as offers, together
    /// with that epoch, and begin anew with what is left.
    Offer(u64, BTreeSet<EntryId>),
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
