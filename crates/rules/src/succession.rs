//! Succession: which set a blog should have next (SPEC registry 3.28).
//!
//! One function answers for a dead primary, a dead secondary, a spoke that is emptied, a blog that moves, and
//! one that gets more or fewer replicas. It looks at what is, and names the next step only: so whatever is
//! under way can be left at any moment, and is gone on with.

use alloc::{collections::BTreeSet, vec::Vec};

use spokes_log::name::BlogId;

use crate::{
    node::Label,
    placement::{self, Candidate},
    request::{MEMBERS_MAX, Operator},
};

/// How a member of a set is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It serves and takes entries.
    Well,
    /// It does, and is to be emptied.
    Leaving,
    /// It cannot, but may come back soon.
    Ailing,
    /// It does not come back, or not soon.
    Gone,
}

/// A member of the open set.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// Its label.
    pub label: &'a Label,
    /// Who runs it.
    pub operator: &'a Operator,
    /// How it is.
    pub state: State,
    /// Whether it has all that was safe when it came.
    pub holds: bool,
}

/// All that succession looks at.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// The blog.
    pub blog: BlogId,
    /// The open set, its primary first.
    pub members: Vec<Member<'a>>,
    /// The spoke that author or organizer want as primary, if it is well.
    pub home: Option<&'a Label>,
    /// How many replicas the blog should have.
    pub replicas: usize,
    /// The spokes that may be given blogs.
    pub candidates: &'a [Candidate<'a>],
}

impl Member<'_> {
    fn serves(&self) -> bool {
        matches!(self.state, State::Well | State::Leaving)
    }

    /// Whether it counts on in sets to come.
    fn stays(&self) -> bool {
        matches!(self.state, State::Well | State::Ailing)
    }
}

/// The members that the set should have next, its primary first; none when it is as it should be, or as long
/// as nothing can be done.
pub fn next(situation: &Situation<'_>) -> Option<Vec<Label>> {
    let primary = primary(situation)?;
    let wanted = situation.replicas.clamp(1, MEMBERS_MAX);
    let mut next: Vec<&Label> = alloc::vec![primary];
    let others = situation.members.iter().filter(|m| m.state != State::Gone);
    next.extend(others.map(|m| m.label).filter(|label| *label != primary));
    let new = newcomers(situation, wanted);
    let holders = |next: &[&Label]| {
        let well = situation.members.iter();
        let well = well.filter(|m| m.state == State::Well && m.holds);
        well.filter(|m| next.contains(&m.label)).count()
    };
    // Nobody goes before those that are to stay hold the blog.
    let reachable = wanted.min(operators(situation));
    if holders(&next) >= reachable {
        let leaving = |label: &Label| {
            let mut members = situation.members.iter();
            members.any(|m| m.label == label && m.state == State::Leaving)
        };
        next.retain(|label| *label == primary || !leaving(label));
        drop_surplus(situation, &mut next, wanted);
    }
    next.extend(new);
    next.truncate(MEMBERS_MAX);
    shrink_to_majority(situation, &mut next);
    let same = next.len() == situation.members.len()
        && next
            .iter()
            .zip(&situation.members)
            .all(|(a, b)| **a == *b.label);
    // The order of secondaries means nothing: to change it alone would be a change of epoch for nothing.
    let set = |labels: &[&Label]| labels.iter().map(|l| (*l).clone()).collect::<BTreeSet<_>>();
    let before: Vec<&Label> = situation.members.iter().map(|m| m.label).collect();
    let reordered = next.first() == before.first() && set(&next) == set(&before);
    (!same && !reordered).then(|| next.into_iter().cloned().collect())
}

/// Who should accept entries: never one that lacks what was safe, as long as there is one that has it.
fn primary<'a>(situation: &Situation<'a>) -> Option<&'a Label> {
    let find = |fits: &dyn Fn(&Member<'a>) -> bool| {
        let mut members = situation.members.iter();
        members.find(|m| fits(m)).map(|m| m.label)
    };
    let home = find(&|m| Some(m.label) == situation.home && m.state == State::Well && m.holds);
    let present = situation.members.first()?;
    let stays = || (present.state == State::Well).then_some(present.label);
    home.or_else(stays)
        .or_else(|| find(&|m| m.state == State::Well && m.holds))
        .or_else(|| find(&|m| m.serves() && m.holds))
        // Nobody who holds it is there: wait for the primary as long as it may come back.
        .or_else(|| (present.state != State::Gone).then_some(present.label))
        .or_else(|| find(&Member::serves))
}

/// Spokes to be added: the wanted home, and as many as are missing.
fn newcomers<'a>(situation: &Situation<'a>, wanted: usize) -> Vec<&'a Label> {
    let staying: Vec<_> = situation.members.iter().filter(|m| m.stays()).collect();
    let is_member = |label: &Label| situation.members.iter().any(|m| m.label == label);
    let mut new = Vec::new();
    let home = situation.home.filter(|home| !is_member(home));
    let home = home.and_then(|home| situation.candidates.iter().find(|c| c.label == home));
    new.extend(home.map(|home| home.label));
    let missing = wanted.saturating_sub(staying.len() + new.len());
    if missing == 0 {
        return new;
    }
    let taken = |operator: &Operator| {
        let home = home.is_some_and(|home| home.operator == operator);
        home || staying.iter().any(|m| m.operator == operator)
    };
    let free = situation.candidates.iter();
    let free = free.filter(|c| !is_member(c.label) && !taken(c.operator));
    let free: Vec<Candidate<'a>> = free.cloned().collect();
    let placed = placement::place(situation.blog, None, &free, missing);
    let placed = placed.map(|placed| placed.members).unwrap_or_default();
    let label = |placed: &Label| free.iter().find(|c| c.label == placed).map(|c| c.label);
    new.extend(placed.iter().filter_map(label));
    new
}

/// How many different operators there are to hold the blog.
fn operators(situation: &Situation<'_>) -> usize {
    let members = situation.members.iter();
    let members = members
        .filter(|m| m.state == State::Well)
        .map(|m| m.operator);
    let candidates = situation.candidates.iter().map(|c| c.operator);
    let all: BTreeSet<_> = members.chain(candidates).collect();
    all.len()
}

/// Takes out what is more than wanted: the former primary of a blog that has moved, who lacks the blog, who is
/// silent, then the last ones.
fn drop_surplus<'a>(situation: &Situation<'a>, next: &mut Vec<&'a Label>, wanted: usize) {
    let present = situation.members.first().map(|m| m.label);
    // A wanted home that does not hold the blog yet is being filled.
    let filling = situation.home.filter(|home| next.first() != Some(home));
    let count = |next: &[&Label]| next.iter().filter(|l| Some(**l) != filling).count();
    while count(next) > wanted {
        let rank = |label: &Label| {
            let member = situation.members.iter().find(|m| m.label == label);
            let state = member.map_or(State::Gone, |m| m.state);
            let holds = member.is_some_and(|m| m.holds);
            (Some(label) == present, state == State::Ailing, !holds)
        };
        let droppable = next.iter().enumerate().skip(1);
        let droppable = droppable.filter(|(_, label)| Some(**label) != filling);
        let Some((at, _)) = droppable.max_by_key(|(at, label)| (rank(label), *at)) else {
            return;
        };
        next.remove(at);
    }
}

/// A set opens when a majority of it holds all that was sealed: takes out newcomers but one, then silent members,
/// until those that hold it now suffice.
fn shrink_to_majority(situation: &Situation<'_>, next: &mut Vec<&Label>) {
    let member = |label: &Label| situation.members.iter().find(|m| m.label == label);
    let holds = |label: &Label| member(label).is_some_and(|m| m.serves() && m.holds);
    let is_short = |next: &[&Label]| {
        let holders = next.iter().filter(|label| holds(label)).count();
        holders < next.len() / 2 + 1
    };
    let is_new = |label: &Label| member(label).is_none();
    while is_short(next) && next.iter().filter(|label| is_new(label)).count() > 1 {
        next.pop();
    }
    while is_short(next) {
        let ails = |label: &&Label| member(label).is_some_and(|m| m.state == State::Ailing);
        let last = next.iter().skip(1).rposition(|label| ails(label));
        let Some(at) = last else { return };
        next.remove(at + 1);
    }
}
