//! Planted bugs: what the simulator must find to be worth its time.
//!
//! Each is a mistake of the hands or of the council around the rules, never a hole in the rules.

use core::fmt;

use crate::{hub::Told, world};

/// In so many seeds each bug must be found.
pub const TRIES: u64 = 1_000;

/// A bug that the simulator plays on request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Plant {
    /// The hands say that an entry is durable when it is written, before the sync has ended.
    ReceiptBeforeFsync,
    /// A restarted spoke forgets its seals and believes its old copy of the registry.
    ReceiptOfSealedEpoch,
    /// The council opens a set without the newest tips of one member that has sealed.
    PromotionSkipsSealedEntry,
    /// A client signs anew after a time-out instead of sending the same bytes again.
    RepostDoubles,
    /// A restarted spoke says that it compared its tips before it has.
    SealBeforeCompare,
    /// A restarted spoke compares its tips with so many members only as make a majority with it,
    /// which may be just those that never held what its old disk has lost.
    ComparesWithFew,
    /// A client counts receipts of an epoch that is not open yet.
    CountsNextEpoch,
    /// A new leader of the council begins without the last record.
    CouncilForgets,
    /// A replica takes in one child of a parent only.
    PullsOneBranch,
    /// A client that signs again does not say instead of what.
    ForgetsInsteadOf,
    /// Receipts are sent once, whether they arrive or not.
    ReceiptsSentOnce,
    /// The council takes a member's seal of an older epoch for one of the open epoch.
    AcceptsOldEpoch,
    /// Observers say after one miss that a spoke is silent, and after one answer that it is back.
    Flaps,
    /// A set is named whose primary is new and holds nothing yet.
    PromotesWithoutBase,
    /// The council opens a set with one seal, and makes up the others.
    OpensWithTooFewSeals,
}

impl Plant {
    /// All of them, in the order in which they stand here.
    pub fn all() -> &'static [Self] {
        <Self as clap::ValueEnum>::value_variants()
    }

    /// The promise that it breaks (see `truth`): a run that breaks another has not found it.
    pub fn breaks(self) -> &'static str {
        match self {
            Self::PromotionSkipsSealedEntry
            | Self::SealBeforeCompare
            | Self::ComparesWithFew
            | Self::CountsNextEpoch
            | Self::AcceptsOldEpoch
            | Self::OpensWithTooFewSeals => "promise 1:",
            Self::RepostDoubles | Self::ForgetsInsteadOf => "promise 2:",
            Self::ReceiptBeforeFsync | Self::ReceiptOfSealedEpoch => "promise 4:",
            Self::CouncilForgets => "promise 5:",
            Self::PullsOneBranch | Self::ReceiptsSentOnce => "promise 8:",
            Self::Flaps => "promise 9:",
            Self::PromotesWithoutBase => "promise 10:",
        }
    }

    /// Plays a seed with this bug in it; gives the broken promise, if it is the one that the bug breaks.
    pub fn found_by(self, seed: u64) -> Option<String> {
        let broken = world::run(seed, Some(self), Told::Nothing).broken;
        broken.filter(|broken| broken.starts_with(self.breaks()))
    }
}

impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
