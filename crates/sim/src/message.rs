//! What nodes and authors' tools say to one another (SPEC http), as values instead of JSON.

use std::{collections::BTreeSet, sync::Arc};

use spokes_log::{
    name::{BlogId, EntryId},
    ring::VerifiedEntry,
};
use spokes_rules::{
    node::{Label, Signed},
    primary::Refusal,
    receipt::{Receipt, Tip},
    registry::{self, Registry},
    request::Request,
};

use crate::watch::Watching;

/// Who sends and who receives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Node {
    /// The council, as one linearizable sequencer.
    Council,
    /// A spoke.
    Spoke(usize),
    /// An author's device.
    Device(usize),
}

/// Finds the answer's question.
pub type Ask = u64;

/// Entries as they travel.
pub type Entries = Vec<Arc<VerifiedEntry>>;

/// What the seals of a closed epoch name, to be covered in the next.
#[derive(Clone, Debug)]
pub struct Cover {
    /// The blog.
    pub blog: BlogId,
    /// The next epoch.
    pub epoch: u64,
    /// All tips of all seals that will be shown.
    pub tips: BTreeSet<Tip>,
}

/// One message.
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "the fields are named as in SPEC http; `ask` finds the answer's question"
)]
pub enum Message {
    /// SPEC http 3.5: the log behind so many records, please; wait if there is nothing.
    RegistryAsk { ask: Ask, after: u64 },
    /// The state after all records, with the proofs of the new ones.
    RegistryAnswer {
        ask: Ask,
        registry: Arc<Registry>,
        watching: Arc<Watching>,
        proofs: Entries,
        covers: Vec<Cover>,
    },
    /// SPEC http 3.5: a request to the registry.
    Request { ask: Ask, request: Arc<Request> },
    /// What became of it.
    RequestAnswer {
        ask: Ask,
        answer: Result<u64, registry::Refusal>,
    },
    /// SPEC http 3.5: a seal.
    Seal(Signed),
    /// SPEC registry 3.17: what an observer says of a spoke.
    Report(Signed),
    /// A receipt of the epoch to come.
    HeldNext(Receipt),
    /// SPEC http 3.1: what the log of this spoke has of these blogs behind a cursor.
    FeedAsk {
        ask: Ask,
        after: Option<usize>,
        blogs: Vec<BlogId>,
    },
    /// Entries, or none with the cursor to go on from when the one that was sent is unknown.
    FeedAnswer {
        ask: Ask,
        after: usize,
        entries: Option<Entries>,
    },
    /// SPEC http 3.2: tips of these blogs, please.
    HeadsAsk { ask: Ask, blogs: Vec<BlogId> },
    /// The durable ones.
    HeadsAnswer {
        ask: Ask,
        heads: Vec<(BlogId, Vec<Tip>)>,
    },
    /// SPEC http 2.4: a whole blog, please.
    EntriesAsk { ask: Ask, blog: BlogId },
    /// All durable entries, and the head to go on from.
    EntriesAnswer {
        ask: Ask,
        blog: BlogId,
        entries: Entries,
        head: Option<EntryId>,
    },
    /// SPEC http 3.3.
    Receipts(Vec<Receipt>),
    /// SPEC http 2.2, with the roster.
    BlogAsk { ask: Ask },
    /// What the spoke knows of the registry.
    BlogAnswer {
        ask: Ask,
        registry: Option<Arc<Registry>>,
    },
    /// SPEC http 2.5.
    Post {
        ask: Ask,
        entry: Arc<VerifiedEntry>,
        refused_elsewhere: bool,
    },
    /// What became of it.
    PostAnswer { ask: Ask, reply: Reply },
    /// SPEC http 2.7: the proof of a claim.
    Claim {
        ask: Ask,
        blog: BlogId,
        entry: EntryId,
        proof: Entries,
    },
    /// What the registry said.
    ClaimAnswer {
        ask: Ask,
        answer: Result<u64, registry::Refusal>,
    },
}

/// What the submitter of an entry is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// 201 or 202: it is durable here, and so far covered by these receipts.
    Held(Vec<Receipt>),
    /// Go to this spoke.
    Forward(Label),
    /// 409, 410 or 422.
    Refused(Refusal),
    /// 421, 503 or 507: not here, not now.
    Busy,
}
