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
    receipt::seals_needed,
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
    /// It is barred and answers: it has no place in sets to come, and can still seal the open one.
    Barred,
}

/// Below so many copies nobody takes leave by himself: the next disk that fails would take the blog along. Whoever
/// wants it all the same bars the spoke, or has the blog have one replica.
pub const COPIES_MIN: usize = 2;

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
    /// Whether it has said so, be it before it last fell.
    pub held: bool,
}

/// All that succession looks at.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// The blog.
    pub blog: BlogId,
    /// The open set, its primary first.
    pub members: Vec<Member<'a>>,
    /// The members of the set that is prepared already; none when nothing changes.
    pub prepared: &'a [Label],
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

    /// Whether it can say what it holds, so that the open set can be left.
    fn seals(&self) -> bool {
        self.serves() || self.state == State::Barred
    }

    fn is_out(&self) -> bool {
        matches!(self.state, State::Gone | State::Barred)
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
    let others = situation.members.iter().filter(|m| !m.is_out());
    next.extend(others.map(|m| m.label).filter(|label| *label != primary));
    let new = newcomers(situation, wanted);
    let holders = |next: &[&Label]| {
        let well = situation.members.iter();
        let well = well.filter(|m| m.state == State::Well && m.holds);
        let well = well.filter(|m| next.contains(&m.label));
        well.map(|m| m.operator).collect::<BTreeSet<_>>().len()
    };
    // Nobody goes before those that are to stay hold the blog.
    let reachable = wanted.min(operators(situation));
    if holders(&next) >= reachable.max(COPIES_MIN.min(wanted)) {
        let leaving = |label: &Label| {
            let mut members = situation.members.iter();
            members.any(|m| m.label == label && m.state == State::Leaving)
        };
        next.retain(|label| *label == primary || !leaving(label));
    }
    if holders(&next) >= reachable {
        drop_doubles(situation, &mut next);
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
        // Where all have fallen, those that are back held it, and cannot hear from a dead primary what they lack;
        // their seals say it.
        .or_else(|| find(&|m| m.state == State::Well && m.held))
        // Nobody who held it is there: wait for the primary as long as it may come back.
        .or_else(|| (!present.is_out()).then_some(present.label))
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
    let home = home.map(|home| home.operator);
    let taken: BTreeSet<_> = staying.iter().map(|m| m.operator).chain(home).collect();
    let mut missing = wanted.saturating_sub(taken.len());
    let free = situation.candidates.iter();
    let free = free.filter(|c| !is_member(c.label) && !taken.contains(c.operator));
    let mut free: Vec<Candidate<'a>> = free.cloned().collect();
    // Who was asked already is asked again: its number of blogs counts this one, and would send it on for ever.
    for label in situation.prepared.iter().take(MEMBERS_MAX) {
        let asked = free.iter().find(|candidate| candidate.label == label);
        if let Some(Candidate {
            label, operator, ..
        }) = asked.cloned().filter(|_| missing > 0)
        {
            new.push(label);
            free.retain(|candidate| candidate.operator != operator);
            missing -= 1;
        }
    }
    if missing == 0 {
        return new;
    }
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

/// Takes out who is of an operator of which another one holds the blog: whoever moved it there wanted that primary,
/// not two copies that go down together.
fn drop_doubles<'a>(situation: &Situation<'a>, next: &mut Vec<&'a Label>) {
    let member = |label: &Label| situation.members.iter().find(|m| m.label == label);
    let holds = |label: &Label| member(label).is_some_and(|m| m.state == State::Well && m.holds);
    let mut at = 1;
    while at < next.len() {
        let label = next[at];
        let operator = member(label).map(|m| m.operator);
        let is_double = next.iter().enumerate().any(|(other_at, other)| {
            let same = other_at != at && member(other).map(|m| m.operator) == operator;
            same && holds(other) && (other_at < at || !holds(label))
        });
        // A wanted home that does not hold the blog yet is being filled.
        if is_double && Some(label) != situation.home {
            next.remove(at);
        } else {
            at += 1;
        }
    }
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
        // Of those that serve and hold it, no more go than leaves as many as are wanted.
        let holds = |label: &Label| {
            let mut members = situation.members.iter();
            members.any(|m| m.label == label && m.state == State::Well && m.holds)
        };
        let spare = next.iter().filter(|label| holds(label)).count() > wanted;
        let droppable = next.iter().enumerate().skip(1);
        let droppable =
            droppable.filter(|(_, label)| Some(**label) != filling && (spare || !holds(label)));
        let Some((at, _)) = droppable.max_by_key(|(at, label)| (rank(label), *at)) else {
            return;
        };
        next.remove(at);
    }
}

/// A set opens when a majority of it holds all that was sealed: takes out newcomers but one, then silent members,
/// until those that hold it now suffice. Who is silent keeps its place where the open set cannot be sealed without
/// it: the change has to wait for it anyway, and whoever else fell then would take along what was safe.
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
    let sealing = situation.members.iter().filter(|m| m.seals()).count();
    if sealing < seals_needed(situation.members.len()) {
        return;
    }
    let ails = |label: &Label| member(label).is_some_and(|m| m.state == State::Ailing);
    let mut fewer = next.clone();
    while is_short(&fewer) {
        let last = fewer.iter().skip(1).rposition(|label| ails(label));
        // Without the silent ones there are too few as well: then they may keep their places.
        let Some(at) = last else { return };
        fewer.remove(at + 1);
    }
    *next = fewer;
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec};

    use proptest::prelude::*;
    use spokes_log::name::Hash;

    use super::*;

    /// A spoke, and how it is.
    #[derive(Clone, Debug)]
    struct Spot {
        label: Label,
        operator: Operator,
        state: State,
        holds: bool,
        held: bool,
    }

    fn spot(word: &str) -> Spot {
        let name = word.trim_end_matches(['?', '!', '^', '>', '-', '~', '*']);
        let state = match word.chars().find(|c| "?!^>".contains(*c)) {
            Some('?') => State::Ailing,
            Some('!') => State::Gone,
            Some('^') => State::Barred,
            Some('>') => State::Leaving,
            _ => State::Well,
        };
        // "a/x" is a spoke of operator x; "a" one of its own.
        let (label, operator) = name.split_once('/').unwrap_or((name, name));
        Spot {
            label: Label::parse(label).expect("a label"),
            operator: Operator::parse(operator).expect("an operator"),
            state,
            holds: !word.ends_with(['-', '~']),
            held: word.ends_with('~'),
        }
    }

    fn step(
        members: &[Spot],
        spare: &[Spot],
        prepared: &[Label],
        home: Option<&Label>,
        replicas: usize,
    ) -> Option<Vec<Label>> {
        let candidates: Vec<Candidate<'_>> = spare
            .iter()
            .map(|s| Candidate {
                label: &s.label,
                operator: &s.operator,
                blogs: 0,
                is_full: false,
            })
            .collect();
        let members = members.iter().map(|m| Member {
            label: &m.label,
            operator: &m.operator,
            state: m.state,
            holds: m.holds,
            held: m.holds || m.held,
        });
        next(&Situation {
            blog: Hash::of(b"maria"),
            members: members.collect(),
            prepared,
            home,
            replicas,
            candidates: &candidates,
        })
    }

    /// "a b? c | d e @d =3": the set of `a`, `b`, which is ailing, and `c`; `d` and `e` may be given it, `d` is
    /// wanted as primary, and three replicas are. `!` is gone, `^` barred and there, `>` leaving, `-` lacks the blog, `~` held it before it fell,
    /// `*` is to get it already.
    #[track_caller]
    fn check(story: &str, expected: &str) {
        let (members, rest) = story.split_once('|').unwrap_or((story, ""));
        let members: Vec<Spot> = members.split_whitespace().map(spot).collect();
        let words = || rest.split_whitespace();
        let spare = words().filter(|word| !word.starts_with(['@', '=']));
        let prepared = words().filter_map(|word| word.strip_suffix('*'));
        let prepared: Vec<Label> = prepared.map(|word| spot(word).label).collect();
        let spare: Vec<Spot> = spare.map(spot).collect();
        let home = words().find_map(|word| word.strip_prefix('@'));
        let home = home.map(|home| Label::parse(home).expect("a label"));
        let replicas = words().find_map(|word| word.strip_prefix('='));
        let replicas = replicas.map_or(3, |n| n.parse().expect("a number"));
        let said = match step(&members, &spare, &prepared, home.as_ref(), replicas) {
            None => String::from("as it is"),
            Some(next) => {
                let labels: Vec<&str> = next.iter().map(Label::as_str).collect();
                labels.join(" ")
            }
        };
        assert_eq!(said, expected, "{story}");
    }

    #[test]
    fn a_dead_primary_gives_way_at_once_and_keeps_its_place_for_an_hour() {
        check("a b c | d", "as it is");
        check("a? b c | d", "b a c");
        check("a? b- c | d", "c a b");
        check("b c a? | d", "as it is");
        check("b c a! | d", "b c d");
        check("a! b c |", "b c");
        // Nobody else has it: its readers wait for it, and nobody writes behind it.
        check("a? b- c- | d", "as it is");
        check("a? b~ c~ | d", "b a c");
        check("a? b~ c | d", "c a b");
        check("a b~ c~ | d", "as it is");
    }

    #[test]
    fn a_set_that_could_not_open_becomes_smaller_first() {
        check("a? b | c =2", "b");
        check("a b? | c =2", "a");
        check("b | c =2", "b c");
        // Two seals are needed, so whoever comes back is in it.
        check("a? b? c | d e", "c a b");
        check("a b? c? | d e", "as it is");
        check("a b c? d? | =4", "a b c");
        // They do not come back: who is left and a new one wait for the hour of a forced opening.
        check("a! b? c | d e", "c b e");
        check("a! b! c | d e", "c e");
        check("c | d e", "c e");
        check("c e | d", "c e d");
        // Who is barred and there can seal: one that is left goes on by itself then.
        check("a^ b? c |", "c");
        check("a! b? c |", "c b");
        check("a^ b c | d", "b c d");
        check("a^ b- | d", "b d");
    }

    #[test]
    fn who_leaves_goes_last() {
        check("a> b c | d", "b a c d");
        check("b c a> d- | ", "as it is");
        check("b c a> d | ", "b c d");
        check("a b> c | d", "a b c d");
        // Nobody takes its place: it goes all the same, as long as the others are as many as can be.
        check("a> b c |", "b c");
        check("a> |", "as it is");
        check("a> | b", "a b");
        check("a> b- |", "as it is");
    }

    #[test]
    fn nobody_leaves_a_blog_on_one_server_alone() {
        check("a> b |", "b a");
        check("b a> |", "as it is");
        check("b a> c> |", "as it is");
        check("b a> | d", "b a d");
        check("b a> d |", "b d");
        // Of one operator there are no two copies that count.
        check("b/x a/y> | d/x", "as it is");
        // It was to have one, or is no spoke of this network any more.
        check("a> b | =1", "b");
        check("b a! |", "b");
    }

    #[test]
    fn a_blog_moves_when_its_new_home_holds_it() {
        check("a b c | d @d", "a b c d");
        check("a b c d- | @d", "as it is");
        check("a b c d | @d", "d b c");
        check("a b c | @b", "b a c");
        // Of one operator no two copies are left when all is done.
        check("a/x b c | d/x e @d", "a b c d");
        check("d/x a/x b c | e", "d b c");
        check("a b d/x c/x | e", "a b d");
        // The one it is to move to died meanwhile: registry::sets leaves the wish out then.
        check("a b c d? | e", "a b c");
    }

    #[test]
    fn there_are_as_many_as_are_wanted_of_different_operators() {
        check("a b c | d e =4", "a b c e");
        check("a b c d | =3", "a b c");
        check("a b c- d | =3", "a b d");
        check("a b? c d | =3", "a c d");
        check("a/x b/y | c/x d/y", "as it is");
        check("a/x b/y | c/z d/y", "a b c");
        check("a b c | d e f g h i j k =20", "a b c g i");
        // Who is asked already is asked again, whoever has fewer blogs by now.
        check("a b | d e", "a b e");
        check("a b | d* e", "a b d");
    }

    fn spots() -> impl Strategy<Value = Vec<Spot>> {
        let state = prop_oneof![
            5 => Just(State::Well),
            1 => Just(State::Leaving),
            1 => Just(State::Ailing),
            1 => Just(State::Gone),
        ];
        let spot = (0u8..7, state, any::<bool>());
        proptest::collection::vec(spot, 1..6).prop_map(|spots| {
            let spots = spots.into_iter().enumerate();
            let spots = spots.map(|(n, (operator, state, holds))| Spot {
                label: Label::parse(&format!("s{n}")).expect("a label"),
                operator: Operator::parse(&format!("o{operator}")).expect("an operator"),
                state,
                holds,
                held: holds,
            });
            spots.collect()
        })
    }

    proptest! {
        /// What keeps posts: the next primary holds the blog if anybody who serves does, nobody is in it twice,
        /// nobody new comes in place of one that alone holds it.
        #[test]
        fn no_step_loses_the_blog(
            members in spots(), spare in 0usize..4, wanted in 1usize..6, home in 0usize..8
        ) {
            let spare: Vec<Spot> = (0..spare).map(|n| spot(&format!("c{n}"))).collect();
            let home = members.get(home).filter(|m| m.state == State::Well).map(|m| &m.label);
            let Some(next) = step(&members, &spare, &[], home, wanted) else { return Ok(()) };
            let find = |label: &Label| members.iter().find(|m| m.label == *label);
            let serves = |m: &Spot| matches!(m.state, State::Well | State::Leaving);
            let mut once = next.clone();
            once.sort();
            once.dedup();
            prop_assert_eq!(once.len(), next.len());
            if members.iter().any(|m| serves(m) && m.holds) {
                let holds = find(&next[0]).is_some_and(|m| m.holds || m.state == State::Well && m.label == members[0].label);
                prop_assert!(holds, "{:?}", next);
            }
            let held = |labels: &[Label]| {
                let held = labels.iter().filter_map(find).filter(|m| serves(m) && m.holds);
                held.count()
            };
            let before: Vec<Label> = members.iter().map(|m| m.label.clone()).collect();
            prop_assert!(held(&next) >= held(&before).min(1));
        }

        /// Whoever takes step after step comes to an end, with everybody well and nobody leaving in the set.
        #[test]
        fn the_steps_come_to_an_end(members in spots(), wanted in 1usize..6) {
            let spare: Vec<Spot> = (0..6).map(|n| spot(&format!("c{n}"))).collect();
            let mut members = members;
            if !members.iter().any(|m| m.state == State::Well && m.holds) {
                return Ok(());
            }
            for _ in 0..40 {
                let Some(next) = step(&members, &spare, &[], None, wanted) else {
                    // Time goes by: members get what they lack, and the silent ones stay away.
                    if members.iter().any(|m| m.state == State::Well && !m.holds) {
                        members.iter_mut().for_each(|m| m.holds = true);
                        continue;
                    }
                    if members.iter().any(|m| m.state == State::Ailing) {
                        members.iter_mut().filter(|m| m.state == State::Ailing).for_each(|m| m.state = State::Gone);
                        continue;
                    }
                    let settled = members.iter().all(|m| m.state == State::Well);
                    prop_assert!(settled, "{members:?}");
                    return Ok(());
                };
                // Whoever is in the set gets the blog; who ails is gone in the end.
                members = next.iter().map(|label| {
                    let was = members.iter().chain(&spare).find(|m| m.label == *label);
                    let mut now = was.expect("a member or a candidate").clone();
                    now.holds |= matches!(now.state, State::Well | State::Leaving);
                    now
                }).collect();
            }
            prop_assert!(false, "no end: {members:?}");
        }
    }

    #[test]
    fn nobody_is_asked_for_more_members_than_a_set_may_have() {
        let spare: Vec<Spot> = (0..20).map(|n| spot(&format!("c{n}"))).collect();
        let mut members = vec![spot("a")];
        while let Some(next) = step(&members, &spare, &[], None, 100) {
            assert!(next.len() <= MEMBERS_MAX);
            members = next.iter().map(|label| spot(label.as_str())).collect();
        }
        assert_eq!(members.len(), MEMBERS_MAX);
    }
}
