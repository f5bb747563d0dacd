//! Circles: who gathers from whom, so that every spoke can show what all of them have and none has more to do because
//! the network grows (SPEC circle).
//!
//! Spokes stand on a ring, each at a place that it did not choose. Neighbours make circles, neighbouring circles make
//! larger ones, up to a few that fit the inner circle. Each circle has two aggregators of different operators. All of
//! it is a pure function of the roster, so that anybody can recompute it and nobody can be steered into a circle.
//!
//! Where a circle ends is decided by the places alone, as files are cut where their content says so (content-defined
//! chunking): one spoke that comes or goes moves the ends near it, and a few steps on all is as before.

mod duty;

use alloc::{collections::BTreeSet, vec::Vec};
use core::ops::Range;

use spokes_log::name::Hash;

pub use duty::{Duties, Group, Question, Reach};

use crate::{address::Operator, node::Label};

/// Members of a circle at most: the essay's number.
pub const MEMBERS_MAX: usize = 10;
/// The smallest number of members that a network may set: circles are as large as that or half of it.
pub const MEMBERS_LEAST: usize = 3;
/// Aggregators of a circle.
pub const AGGREGATORS: usize = 2;
/// Nodes of the inner circle: fewer could not outvote one that lies, and more hold everything once more.
pub const INNER: Range<usize> = 3..10;

/// A spoke that is let in.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its label.
    pub label: &'a Label,
    /// Who runs it.
    pub operator: &'a Operator,
    /// Its place on the ring.
    pub lot: Hash,
    /// Whether it can be counted on now. Whoever cannot stays in its circle and has no duty.
    pub is_well: bool,
}

/// A circle of spokes, or of circles.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Circle {
    /// Its spokes, as places on the ring.
    spokes: Range<usize>,
    /// The spokes that gather for it: two of different operators wherever there are such.
    pub aggregators: Vec<Label>,
}

/// The circles of a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Circles {
    ring: Vec<Label>,
    /// Circles of spokes, circles of these, and so on.
    levels: Vec<Vec<Circle>>,
    /// Those that hold everything.
    pub inner: Vec<Label>,
}

impl Circles {
    /// The circles of these spokes, of at most so many members each.
    pub fn of(roster: &[Member<'_>], members_max: usize) -> Self {
        let members_max = members_max.max(MEMBERS_LEAST);
        let mut ring = roster.to_vec();
        ring.sort_by_key(|member| (member.lot, member.label));
        let mut roles = Roles::new(&ring);
        let inner = roles.inner();
        let mut levels: Vec<Vec<Circle>> = Vec::new();
        // What is put into circles next: where each begins, and behind the last the end.
        let mut starts: Vec<usize> = (0..=ring.len()).collect();
        while starts.len() > 1 {
            let lots: Vec<Hash> = starts[..starts.len() - 1]
                .iter()
                .map(|at| ring[*at].lot)
                .collect();
            let ends = cut(&lots, levels.len(), members_max);
            starts = core::iter::once(0)
                .chain(ends.iter().map(|end| starts[*end]))
                .collect();
            let circles = starts.windows(2).map(|ends| {
                let spokes = ends[0]..ends[1];
                Circle {
                    aggregators: roles.aggregators(spokes.clone()),
                    spokes,
                }
            });
            levels.push(circles.collect());
            if ends.len() <= members_max {
                break;
            }
        }
        Self {
            ring: ring.iter().map(|member| member.label.clone()).collect(),
            levels,
            inner,
        }
    }

    /// How many levels there are below the inner circle.
    pub fn depth(&self) -> usize {
        self.levels.len()
    }

    /// The circles of a level, those of spokes being the first.
    pub fn level(&self, level: usize) -> &[Circle] {
        self.levels.get(level).map_or(&[], Vec::as_slice)
    }

    /// The spokes of a circle.
    pub fn spokes(&self, circle: &Circle) -> &[Label] {
        self.ring.get(circle.spokes.clone()).unwrap_or_default()
    }

    /// The circles in which a spoke is, the smallest first; none where it is not on the roster.
    pub fn around(&self, label: &Label) -> Vec<&Circle> {
        let Some(at) = self.ring.iter().position(|other| other == label) else {
            return Vec::new();
        };
        let levels = self.levels.iter();
        let around = levels.filter_map(|level| {
            let next = level.partition_point(|circle| circle.spokes.end <= at);
            level.get(next)
        });
        around.collect()
    }

    /// The circles of the level below that a circle is made of; none in one of spokes.
    pub fn within(&self, level: usize, circle: &Circle) -> &[Circle] {
        let Some(below) = level.checked_sub(1) else {
            return &[];
        };
        let below = self.level(below);
        let from = below.partition_point(|inner| inner.spokes.start < circle.spokes.start);
        let to = below.partition_point(|inner| inner.spokes.start < circle.spokes.end);
        &below[from..to]
    }
}

/// Behind how many each circle ends. Each has from half of `members_max`, rounded up, to that many, but where there are
/// fewer in all.
fn cut(lots: &[Hash], level: usize, members_max: usize) -> Vec<usize> {
    let members_min = members_max.div_ceil(2);
    let level = u8::try_from(level).unwrap_or(u8::MAX);
    let edge = |at: usize| Hash::of(&[&[level], &lots[at].as_bytes()[..]].concat());
    let (mut ends, mut at) = (Vec::new(), 0);
    while lots.len() - at > members_max {
        let most = (at + members_max).min(lots.len() - members_min);
        // It ends before the member that likes best to begin one: whoever comes from elsewhere to one of these places
        // mostly finds the same.
        let end = (at + members_min..=most).min_by_key(|end| edge(*end));
        at = end.unwrap_or(most);
        ends.push(at);
    }
    if lots.len() > at {
        ends.push(lots.len());
    }
    ends
}

/// Who has a duty already.
struct Roles<'a> {
    ring: &'a [Member<'a>],
    taken: BTreeSet<usize>,
}

impl<'a> Roles<'a> {
    fn new(ring: &'a [Member<'a>]) -> Self {
        let taken = BTreeSet::new();
        Self { ring, taken }
    }

    /// Nodes of the inner circle: one for each circle's worth of spokes, as far as there are operators.
    fn inner(&mut self) -> Vec<Label> {
        let wanted = (self.ring.len() / MEMBERS_MAX).clamp(INNER.start, INNER.end - 1);
        self.choose(0..self.ring.len(), wanted, b"inner")
    }

    fn aggregators(&mut self, spokes: Range<usize>) -> Vec<Label> {
        self.choose(spokes, AGGREGATORS, b"aggregator")
    }

    /// So many spokes of different operators, from elsewhere where the circle has too few such, and from the circle again
    /// where there are none; those without a duty first, in an order that nobody chose.
    fn choose(&mut self, among: Range<usize>, wanted: usize, duty: &[u8]) -> Vec<Label> {
        let mut chosen: Vec<usize> = Vec::new();
        let own = self.order(among, duty);
        self.add_others(&mut chosen, &own, wanted);
        if chosen.len() < wanted {
            let all = self.order(0..self.ring.len(), duty);
            self.add_others(&mut chosen, &all, wanted);
        }
        for at in own {
            if chosen.len() < wanted && !chosen.contains(&at) {
                chosen.push(at);
            }
        }
        self.taken.extend(&chosen);
        let labels = chosen.iter().map(|at| self.ring[*at].label.clone());
        labels.collect()
    }

    fn order(&self, among: Range<usize>, duty: &[u8]) -> Vec<usize> {
        let mut order: Vec<usize> = among.filter(|at| self.ring[*at].is_well).collect();
        order.sort_by_cached_key(|at| {
            let lot = [duty, self.ring[*at].lot.as_bytes()].concat();
            (self.taken.contains(at), *Hash::of(&lot).as_bytes())
        });
        order
    }

    fn add_others(&self, chosen: &mut Vec<usize>, order: &[usize], wanted: usize) {
        let operator = |at: &usize| self.ring[*at].operator;
        for at in order {
            if chosen.len() < wanted && !chosen.iter().any(|one| operator(one) == operator(at)) {
                chosen.push(*at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;

    /// Spokes by number, each of one of so many operators.
    pub(super) fn spokes(
        numbers: impl IntoIterator<Item = u32>,
        operators: u32,
    ) -> Vec<(Label, Operator, Hash)> {
        let spoke = |n: u32| {
            let label = Label::parse(&format!("s{n}")).expect("a label");
            let operator = Hash::of(&n.to_be_bytes()).as_bytes()[0];
            let operator = Operator::parse(&format!("o{}", u32::from(operator) % operators));
            let lot = Hash::of(format!("place of {n}").as_bytes());
            (label, operator.expect("an operator"), lot)
        };
        numbers.into_iter().map(spoke).collect()
    }

    pub(super) fn circles(
        spokes: &[(Label, Operator, Hash)],
        silent: &[usize],
        members_max: usize,
    ) -> Circles {
        let members = spokes.iter().enumerate();
        let members = members.map(|(at, (label, operator, lot))| Member {
            label,
            operator,
            lot: *lot,
            is_well: !silent.contains(&at),
        });
        Circles::of(&members.collect::<Vec<_>>(), members_max)
    }

    proptest! {
        /// Circles are as large as they may be, nest, and hold every spoke once on each level; two of different
        /// operators gather for each wherever there are two.
        #[test]
        fn every_spoke_is_in_one_circle_of_each_level(
            count in 0u32..300, members_max in 3usize..12, operators in 1u32..8,
            silent in proptest::collection::vec(0usize..300, 0..100),
        ) {
            let all = spokes(0..count, operators);
            let circles = circles(&all, &silent, members_max);
            let well = |label: &Label| {
                let at = all.iter().position(|(other, ..)| other == label).expect("a spoke");
                (!silent.contains(&at)).then(|| &all[at].1)
            };
            let there: BTreeSet<&Operator> = all.iter().filter_map(|(label, ..)| well(label)).collect();
            let mut of_members = count as usize;
            for level in 0..circles.depth() {
                let of_level = circles.level(level);
                let mut held = Vec::new();
                for circle in of_level {
                    let members = if level == 0 { circle.spokes.len() } else { circles.within(level, circle).len() };
                    prop_assert!(members <= members_max);
                    prop_assert!(members >= members_max.div_ceil(2) || of_level.len() == 1);
                    held.extend(circles.spokes(circle));
                    let gather: Vec<_> = circle.aggregators.iter().map(|label| well(label).expect("one that is well")).collect();
                    if there.len() >= AGGREGATORS && circles.spokes(circle).iter().any(|label| well(label).is_some()) {
                        prop_assert_eq!(gather.iter().collect::<BTreeSet<_>>().len(), AGGREGATORS);
                    }
                }
                held.sort();
                held.dedup();
                prop_assert_eq!(held.len(), count as usize);
                prop_assert!(of_level.len() < of_members || of_members == 1);
                of_members = of_level.len();
            }
            prop_assert!(of_members <= members_max);
            for (label, ..) in &all {
                let around = circles.around(label);
                prop_assert_eq!(around.len(), circles.depth());
                prop_assert!(around.iter().all(|circle| circles.spokes(circle).contains(label)));
            }
            let inner: BTreeSet<_> = circles.inner.iter().filter_map(well).collect();
            prop_assert_eq!(inner.len(), circles.inner.len().min(there.len()));
            prop_assert!(circles.inner.len() < INNER.end);
        }
    }

    /// How many spokes have other companions in their smallest circle.
    fn moved(before: &Circles, after: &Circles) -> usize {
        let companions = |circles: &Circles, label: &Label| -> Vec<Label> {
            let around = circles.around(label);
            around
                .first()
                .map(|circle| circles.spokes(circle).to_vec())
                .unwrap_or_default()
        };
        let moved = before
            .ring
            .iter()
            .filter(|label| companions(before, label) != companions(after, label));
        moved.count()
    }

    #[test]
    fn one_spoke_that_comes_moves_few_others() {
        for (count, members_max) in [(50, 10), (500, 10), (500, 3)] {
            let before = circles(&spokes(0..count, 40), &[], members_max);
            let mut all = Vec::new();
            for new in 0..20 {
                let after = circles(
                    &spokes((0..count).chain([10_000 + new]), 40),
                    &[],
                    members_max,
                );
                all.push(moved(&before, &after));
            }
            all.sort_unstable();
            let mean = all.iter().sum::<usize>() / all.len();
            assert!(
                mean <= 3 * members_max && all[19] <= 10 * members_max,
                "{count}: {all:?}"
            );
        }
    }

    #[test]
    fn whoever_falls_silent_moves_nobody_and_another_takes_its_duty() {
        let all = spokes(0..500, 40);
        let before = circles(&all, &[], MEMBERS_MAX);
        let gone = &before.level(0)[7].aggregators;
        let silent: Vec<usize> = (0..500).filter(|at| gone.contains(&all[*at].0)).collect();
        let after = circles(&all, &silent, MEMBERS_MAX);
        assert_eq!(moved(&before, &after), 0);
        let circle = &after.level(0)[7];
        assert_eq!(circle.aggregators.len(), AGGREGATORS);
        assert!(circle.aggregators.iter().all(|label| !gone.contains(label)));
        let changed = before.level(0).iter().zip(after.level(0));
        assert_eq!(changed.filter(|(one, other)| one != other).count(), 1);
    }

    #[test]
    fn levels_come_and_go_with_the_network() {
        let depth = |count, members_max| circles(&spokes(0..count, 40), &[], members_max).depth();
        let depths = [0, 1, 10, 60, 500, 5_000].map(|count| depth(count, MEMBERS_MAX));
        assert_eq!(depths, [0, 1, 1, 1, 2, 4]);
        assert_eq!(depth(30, 3), 3);
    }

    #[test]
    fn few_have_more_than_one_duty() {
        let all = spokes(0..5_000, 200);
        let circles = circles(&all, &[], MEMBERS_MAX);
        let levels = circles.levels.iter().flatten();
        let duties: Vec<&Label> = levels
            .flat_map(|circle| &circle.aggregators)
            .chain(&circles.inner)
            .collect();
        let who: BTreeSet<&&Label> = duties.iter().collect();
        assert!(
            duties.len() - who.len() < duties.len() / 100,
            "{} {}",
            duties.len(),
            who.len()
        );
        assert_eq!(circles.inner.len(), INNER.end - 1);
    }
}
