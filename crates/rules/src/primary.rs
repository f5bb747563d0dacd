//! The primary: which entries it admits, and when they are safe (SPEC entry 8, SPEC receipt 3).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::fmt;

use spokes_log::{
    blog::{Blog, Found},
    chain::Chain,
    entry::Entry,
    fault::Fault,
    name::{EntryId, Fingerprint, Slug},
    time::Time,
};

use crate::{
    node::Label,
    receipt::{Held, Receipt, Tip},
    registry::Set,
};

/// How far ahead of a node's clock an entry may be signed (SPEC entry 8).
pub const AHEAD_SECONDS_MAX: i64 = 5 * 60;
/// Children of one parent: honest forks have two or three (SPEC entry 8).
pub const CHILDREN_MAX: usize = 8;
/// Receipts kept of one spoke for one epoch: one for each branch.
const RECEIPTS_PER_SPOKE_MAX: usize = 64;

/// Why a valid entry is not admitted here and now; the author's tool can mend most.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The entry is not valid.
    Invalid(Fault),
    /// The log has gone on: sign again behind this head.
    Stale {
        /// The head to follow.
        head: Tip,
    },
    /// Another article has the slug: name it with `Replaces`, or choose another.
    SlugTaken {
        /// The slug.
        slug: Slug,
        /// Its current version.
        by: EntryId,
    },
    /// The entry is signed ahead of our clock.
    Future {
        /// What it says.
        signed: Time,
        /// What our clock says.
        ours: Time,
    },
    /// The key was ended by a `keys` entry that the registry took.
    EndedKey(Fingerprint),
    /// The parent has as many children as are kept.
    TooManyBranches(EntryId),
    /// The words were taken back.
    Erased(EntryId),
    /// This spoke has started and not heard yet for whom it accepts entries.
    NotReady,
    /// Many entries that came before are still being written.
    StillWriting,
    /// The blog has had its entries for today.
    TooManyToday {
        /// The network's limit.
        limit: u64,
    },
    /// The blog has its bytes.
    BlogFull {
        /// The network's limit.
        bytes: u64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(fault) => fault.fmt(f),
            Self::Stale { head } => write!(
                f,
                "the blog has gone on to entry {}; sign again behind {}",
                head.sequence, head.id
            ),
            Self::SlugTaken { slug, by } => write!(
                f,
                "an article has the address \"{slug}\" already; edit that one (Replaces: {by}) or \
                 choose another slug"
            ),
            Self::Future { signed, ours } => write!(
                f,
                "the entry is signed at {signed}, here it is {ours}; set the clock and sign again"
            ),
            Self::EndedKey(key) => {
                write!(
                    f,
                    "the key {key} was ended by its blog; sign with one that is left"
                )
            }
            Self::TooManyBranches(id) => write!(
                f,
                "{id} has {CHILDREN_MAX} branches already; publish behind one of the heads"
            ),
            Self::Erased(id) => write!(f, "the words of {id} were taken back; nothing was kept"),
            Self::NotReady => write!(
                f,
                "this server has just started and waits for the council; the entry is safe with \
                 you, send it again in a moment"
            ),
            Self::StillWriting => write!(
                f,
                "this server is still writing what came before; the entry is safe with you, send \
                 it again in a moment"
            ),
            Self::TooManyToday { limit } => write!(
                f,
                "this blog has had {limit} entries today, the network's limit; the entry is safe \
                 with you, send it again tomorrow"
            ),
            Self::BlogFull { bytes } => write!(
                f,
                "this blog has reached {bytes} bytes, the network's limit; ask the organizers for \
                 more, the entry is safe with you"
            ),
        }
    }
}

impl core::error::Error for Refusal {}

/// Decides whether a new entry that is valid at its place is admitted.
///
/// # Errors
/// Each [`Refusal`]; nothing is kept then.
pub fn admit(
    now: Time,
    chain: &Chain,
    blog: &Blog,
    ended: &BTreeSet<Fingerprint>,
    entry: &Entry,
) -> Result<(), Refusal> {
    let skeleton = entry.skeleton();
    if let Some(key) = skeleton
        .authors
        .iter()
        .find(|author| ended.contains(author))
    {
        return Err(Refusal::EndedKey(key.clone()));
    }
    if skeleton.signed.since(now) > AHEAD_SECONDS_MAX {
        return Err(Refusal::Future {
            signed: skeleton.signed,
            ours: now,
        });
    }
    if chain.eraser(entry.id()).is_some() || entry.is_erased() {
        return Err(Refusal::Erased(entry.id()));
    }
    if let Some(previous) = skeleton
        .previous
        .filter(|previous| !chain.is_head(*previous))
    {
        // A node that lacks the parent is behind; to sign again would fork the blog.
        let missing = Refusal::Invalid(Fault::MissingParent(previous));
        let children = chain.link(previous).ok_or(missing)?.children;
        if children >= CHILDREN_MAX {
            return Err(Refusal::TooManyBranches(previous));
        }
        let head = last_head(chain).ok_or(Refusal::Invalid(Fault::MissingParent(previous)))?;
        return Err(Refusal::Stale { head });
    }
    check_slug(blog, entry)
}

/// The head behind which an author goes on.
pub fn last_head(chain: &Chain) -> Option<Tip> {
    chain.heads().last().map(|(sequence, id)| Tip {
        sequence: *sequence,
        id: *id,
    })
}

fn check_slug(blog: &Blog, entry: &Entry) -> Result<(), Refusal> {
    let Some(draft) = entry.draft() else {
        return Ok(());
    };
    let Some(article) = draft.article() else {
        return Ok(());
    };
    let Some(Found::Post(holder)) = blog.find(&article.slug) else {
        return Ok(());
    };
    let replaces_holder = article
        .replaces
        .and_then(|version| blog.article_of(version))
        .is_some_and(|post| post.first == holder.first);
    // Signed again instead of the version that has the slug: that one leaves the fold.
    let instead = holder
        .versions
        .iter()
        .all(|(_, id)| draft.instead_of.contains(id));
    if replaces_holder || instead {
        return Ok(());
    }
    Err(Refusal::SlugTaken {
        slug: article.slug.clone(),
        by: holder.current(),
    })
}

/// The receipts of one blog: those of the open epoch, and of the next while it is being prepared.
#[derive(Clone, Debug, Default)]
pub struct Receipts {
    by_epoch: BTreeMap<u64, BTreeMap<Label, Vec<Receipt>>>,
}

impl Receipts {
    /// Takes a receipt of the open epoch or the one after it; others are worth nothing.
    pub fn take(&mut self, chain: &Chain, open: u64, receipt: Receipt) {
        let Held {
            epoch, spoke, tip, ..
        } = &receipt.held;
        if *epoch != open && *epoch != open + 1 {
            return;
        }
        let epoch = self.by_epoch.entry(*epoch).or_default();
        let kept = epoch.entry(spoke.clone()).or_default();
        let tip = tip.id;
        // The second half finds the tips that are not here yet.
        let covered = |r: &Receipt| chain.reaches(r.held.tip.id, tip) || r.held.tip.id == tip;
        if kept.iter().any(covered) {
            return;
        }
        kept.retain(|r| !chain.reaches(tip, r.held.tip.id));
        if kept.len() < RECEIPTS_PER_SPOKE_MAX {
            kept.push(receipt);
        }
    }

    /// Forgets receipts of epochs before the open one.
    pub fn forget_before(&mut self, open: u64) {
        self.by_epoch = self.by_epoch.split_off(&open);
    }

    /// One receipt of each member of the set that covers this entry.
    pub fn covering(&self, chain: &Chain, set: &Set, entry: EntryId) -> Vec<Receipt> {
        let Some(by_spoke) = self.by_epoch.get(&set.epoch) else {
            return Vec::new();
        };
        let members = by_spoke.iter().filter(|(label, _)| set.has(label));
        members
            .filter_map(|(_, kept)| kept.iter().find(|r| chain.reaches(r.held.tip.id, entry)))
            .cloned()
            .collect()
    }

    /// Everything kept.
    pub fn all(&self) -> impl Iterator<Item = &Receipt> {
        self.by_epoch.values().flat_map(BTreeMap::values).flatten()
    }
}
