//! Leftovers: the copy of a blog at a spoke that is in its set no more, and when it may go (SPEC receipt 9).

use alloc::collections::BTreeSet;

use spokes_log::{name::BlogId, time::Time};

use crate::{node::Label, registry::Registry};

/// How long a copy is kept that others hold: a day in which somebody may notice that the change was a mistake.
pub const KEEP_SECONDS: i64 = 24 * 60 * 60;
/// How old what is known of the registry may be: a follower hears from it every 20 seconds.
pub const HEARD_SECONDS_MAX: i64 = 60;
/// Copies at others without which none is given up, unless the blog is to have one alone: a set of one may be
/// what is left of a larger one.
pub const COPIES_MIN: usize = 2;

/// What a spoke knows of a copy that it has.
#[derive(Clone, Copy, Debug)]
pub struct Leftover<'a> {
    /// The spoke.
    pub me: &'a Label,
    /// Since when it knows that the blog is others'.
    pub left: Time,
    /// How long it keeps such a copy.
    pub keep_seconds: i64,
    /// When the council was heard last.
    pub heard: Option<Time>,
    /// Whether it is known which of its entries the others have.
    pub has_settled: bool,
    /// Whether anything waits here for the blog or its author: offers, or entries whose media are to come.
    pub waits: bool,
    /// Who has just shown to have all of its entries, if somebody was asked.
    pub shown: Option<&'a BTreeSet<Label>>,
}

/// What is to become of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It stays.
    Keep(Why),
    /// It may go if enough members show to have what it has.
    Ask,
    /// It goes.
    Go,
}

/// Why a copy stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The registry knows no such blog.
    Unknown,
    /// The spoke is in its set, or will be.
    Ours,
    /// The set changes.
    Changes,
    /// The set was opened without knowing all that was safe.
    Forced,
    /// The council was not heard just now.
    CouncilSilent,
    /// It is not known which entries the others have.
    Unsettled,
    /// Something waits here.
    Waits,
    /// It is too early.
    Early,
    /// Too few others have it.
    FewCopies,
}

/// Whether a copy may go that this spoke need not hold.
pub fn judge(now: Time, registry: &Registry, id: BlogId, leftover: &Leftover<'_>) -> Verdict {
    let Some(blog) = registry.blog(id) else {
        return Verdict::Keep(Why::Unknown);
    };
    let heard = |heard: Time| (0..=HEARD_SECONDS_MAX).contains(&now.since(heard));
    let next = blog.closing.as_ref().map(|closing| &closing.next);
    let ours = blog.set.has(leftover.me) || next.is_some_and(|next| next.has(leftover.me));
    let reasons = [
        (ours, Why::Ours),
        (next.is_some(), Why::Changes),
        (blog.forced.is_some(), Why::Forced),
        (!leftover.heard.is_some_and(heard), Why::CouncilSilent),
        (!leftover.has_settled, Why::Unsettled),
        (leftover.waits, Why::Waits),
        (now.since(leftover.left) < leftover.keep_seconds, Why::Early),
    ];
    if let Some((_, why)) = reasons.into_iter().find(|(keeps, _)| *keeps) {
        return Verdict::Keep(why);
    }
    let wanted = blog.replicas.unwrap_or(registry.founding().policy.replicas);
    let least = if wanted == 1 { 1 } else { COPIES_MIN };
    let needed = blog.set.majority().max(least);
    let holds = |label: &&Label| {
        let is_well = registry.spoke(label).is_some_and(|spoke| spoke.is_well());
        is_well && registry.holds_blog(blog, label)
    };
    let holders = || blog.set.members.iter().filter(holds);
    if holders().count() < needed {
        return Verdict::Keep(Why::FewCopies);
    }
    match leftover.shown {
        None => Verdict::Ask,
        // What was said once may have been lost since.
        Some(shown) if holders().filter(|label| shown.contains(*label)).count() < needed => {
            Verdict::Keep(Why::FewCopies)
        }
        Some(_) => Verdict::Go,
    }
}
