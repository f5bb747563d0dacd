//! Who asks whom: the latest posts go up through the circles and down again (SPEC circle 4).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use spokes_log::name::Hash;

use super::{Circle, Circles};
use crate::node::Label;

/// What a list of the latest posts covers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reach {
    /// The blogs whose primary a spoke is.
    Own,
    /// The spokes of the circles of this level for which it gathers.
    Below(usize),
    /// The whole network.
    All,
}

/// A question that a spoke asks again and again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Question {
    /// Whom.
    pub whom: Label,
    /// For which of its lists.
    pub reach: Reach,
}

/// Those who should all say the same, or all that there is of one part: what one of them has left out another one has.
pub type Group = Vec<Question>;

/// Whom a spoke asks for the latest posts (SPEC circle 4).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Duties {
    /// For each level at which it gathers, the groups below it.
    pub below: BTreeMap<usize, Vec<Group>>,
    /// Whom it asks for what all have; none where it is of the inner circle and gathers that itself.
    pub above: Option<Group>,
    /// One of the inner circle whom it asks for the same now and then, so that those of its circle together can hide
    /// nothing from it; none where it asks the inner circle anyway.
    pub witness: Option<Question>,
    /// Of the inner circle: the groups of the whole network.
    pub inner: Vec<Group>,
}

impl Duties {
    /// All questions.
    pub fn questions(&self) -> BTreeSet<&Question> {
        let below = self.below.values().flatten();
        below
            .chain(&self.above)
            .chain(&self.inner)
            .flatten()
            .chain(&self.witness)
            .collect()
    }
}

/// Spokes whom a spoke asks for what all have, beyond its own circle's aggregators.
const INNER_ASKED: usize = 2;

impl Circles {
    /// Whom a spoke asks, where it hears nothing from those who are `silent`: it takes their circles as its own, and
    /// turns to those above them, until the registry has others in their place.
    pub fn duties(&self, me: &Label, silent: &dyn Fn(&Label) -> bool) -> Duties {
        let mut below: BTreeMap<usize, Vec<Group>> = BTreeMap::new();
        let mut highest = None;
        for (level, circles) in self.levels.iter().enumerate() {
            for circle in circles {
                if circle.aggregators.contains(me) {
                    highest = Some((level, circle));
                    let groups = below.entry(level).or_default();
                    groups.extend(self.parts(level, circle, me, silent));
                }
            }
        }
        let is_inner = self.inner.contains(me);
        let mut inner = Vec::new();
        if let Some(top) = self.levels.len().checked_sub(1).filter(|_| is_inner) {
            let circles = self.level(top).iter();
            inner.extend(circles.flat_map(|circle| self.gathered(top, circle, me, silent)));
        }
        let above = (!is_inner).then(|| self.above(me, highest, silent));
        let asks_inner = |above: &Group| above.iter().any(|q| self.inner.contains(&q.whom));
        let without = above.as_ref().filter(|above| !asks_inner(above));
        let witness = without.and_then(|_| self.inner_for(me, silent).into_iter().next());
        Duties {
            below,
            witness: witness.map(all_of),
            above,
            inner,
        }
    }

    /// The parts of a circle, each with whom to ask for it.
    fn parts(
        &self,
        level: usize,
        circle: &Circle,
        me: &Label,
        silent: &dyn Fn(&Label) -> bool,
    ) -> Vec<Group> {
        let Some(below) = level.checked_sub(1) else {
            let others = self.spokes(circle).iter().filter(|label| *label != me);
            let own = |whom: &Label| {
                let (whom, reach) = (whom.clone(), Reach::Own);
                Vec::from([Question { whom, reach }])
            };
            return others.map(own).collect();
        };
        let within = self.within(level, circle).iter();
        within
            .flat_map(|circle| self.gathered(below, circle, me, silent))
            .collect()
    }

    /// Whom to ask for what a circle's aggregators gather: them, and its parts, where they are silent.
    fn gathered(
        &self,
        level: usize,
        circle: &Circle,
        me: &Label,
        silent: &dyn Fn(&Label) -> bool,
    ) -> Vec<Group> {
        if circle.aggregators.contains(me) {
            // It has that itself.
            return Vec::new();
        }
        let questions = circle.aggregators.iter().map(|whom| Question {
            whom: whom.clone(),
            reach: Reach::Below(level),
        });
        let mut groups = Vec::from([questions.collect::<Group>()]);
        if circle.aggregators.iter().all(silent) {
            groups.extend(self.parts(level, circle, me, silent));
        }
        groups
    }

    /// Whom to ask for what all have: the aggregators of the circle around, and where all of these are silent, those
    /// of the next one as well, and two of the inner circle at last.
    fn above(
        &self,
        me: &Label,
        highest: Option<(usize, &Circle)>,
        silent: &dyn Fn(&Label) -> bool,
    ) -> Group {
        let at = match highest {
            Some((_, circle)) => Some(circle.spokes.start),
            None => self.ring.iter().position(|label| label == me),
        };
        let mut asked = Group::new();
        let from = highest.map_or(0, |(level, _)| level + 1);
        for level in self.levels.iter().skip(from) {
            let around =
                level.partition_point(|circle| at.is_some_and(|at| circle.spokes.end <= at));
            let around = level
                .get(around)
                .map_or(&[][..], |circle| &circle.aggregators);
            // Whoever is not on the roster yet asks those of the first circle: somebody must tell it.
            asked.extend(around.iter().filter(|label| *label != me).map(all_of));
            if asked.iter().any(|question| !silent(&question.whom)) {
                return asked;
            }
        }
        asked.extend(
            self.inner_for(me, silent)
                .into_iter()
                .take(INNER_ASKED)
                .map(all_of),
        );
        asked
    }

    /// Those who keep the archive of the network, in the order in which a spoke asks them: itself, where it is one of
    /// them, and each other one's turn by lot, the silent ones last.
    pub fn archives(&self, me: &Label, silent: &dyn Fn(&Label) -> bool) -> Vec<&Label> {
        let mine = self.inner.iter().filter(|label| *label == me);
        mine.chain(self.inner_for(me, silent)).collect()
    }

    /// The inner circle in the order in which a spoke turns to it: each to others first, so that none of them has all to
    /// serve.
    fn inner_for(&self, me: &Label, silent: &dyn Fn(&Label) -> bool) -> Vec<&Label> {
        let mut order: Vec<&Label> = self.inner.iter().filter(|label| *label != me).collect();
        order.sort_by_cached_key(|label| {
            let both = [me.as_str(), label.as_str()].join(" ");
            (silent(label), *Hash::of(both.as_bytes()).as_bytes())
        });
        order
    }
}

/// The question to this spoke for what all have.
fn all_of(whom: &Label) -> Question {
    Question {
        whom: whom.clone(),
        reach: Reach::All,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            AGGREGATORS, MEMBERS_MAX,
            tests::{circles, spokes},
        },
        *,
    };
    use crate::address::Operator;

    /// A spoke asks so many of the inner circle now and then, beside those of its circle.
    const WITNESSES: usize = 1;

    /// What spokes say after so many rounds in which each asks whom it has to ask: of whom each knows something.
    fn spread(
        all: &[(Label, Operator, Hash)],
        members_max: usize,
        dead: &[Label],
    ) -> (usize, BTreeMap<Label, usize>) {
        let circles = circles(all, &[], members_max);
        let silent = |label: &Label| dead.contains(label);
        let living: Vec<&Label> = all
            .iter()
            .map(|(label, ..)| label)
            .filter(|l| !silent(l))
            .collect();
        let duties: BTreeMap<&Label, Duties> = living
            .iter()
            .map(|l| (*l, circles.duties(l, &silent)))
            .collect();
        let mut said: BTreeMap<(Label, Reach), BTreeSet<Label>> = BTreeMap::new();
        for rounds in 1.. {
            let mut next = BTreeMap::new();
            for (label, duties) in &duties {
                let hear = |groups: &mut dyn Iterator<Item = &Question>| -> BTreeSet<Label> {
                    let heard = groups.filter(|question| !silent(&question.whom));
                    let heard = heard.filter_map(|q| said.get(&(q.whom.clone(), q.reach)));
                    heard.flatten().cloned().chain([(*label).clone()]).collect()
                };
                next.insert(
                    ((*label).clone(), Reach::Own),
                    hear(&mut core::iter::empty()),
                );
                let mut gathered = BTreeSet::new();
                for (level, groups) in &duties.below {
                    gathered.append(&mut hear(&mut groups.iter().flatten()));
                    next.insert(((*label).clone(), Reach::Below(*level)), gathered.clone());
                }
                gathered.append(&mut hear(
                    &mut duties
                        .inner
                        .iter()
                        .flatten()
                        .chain(duties.above.iter().flatten()),
                ));
                next.insert(((*label).clone(), Reach::All), gathered);
            }
            if next == said || rounds > 50 {
                let whole = living
                    .iter()
                    .map(|l| ((*l).clone(), said[&((*l).clone(), Reach::All)].len()));
                return (rounds, whole.collect());
            }
            said = next;
        }
        unreachable!("rounds have no end")
    }

    #[test]
    fn what_one_spoke_has_comes_to_all_and_so_it_does_when_aggregators_are_silent() {
        for (count, members_max, most) in [
            (1, 10, 2),
            (2, 10, 3),
            (5, 10, 5),
            (30, 3, 10),
            (200, 10, 8),
        ] {
            let all = spokes(0..count, 40);
            let (rounds, known) = spread(&all, members_max, &[]);
            let want = usize::try_from(count).unwrap();
            assert!(
                known.values().all(|known| *known == want),
                "{count}: {known:?}"
            );
            assert!(rounds <= most, "{count}: {rounds} rounds");
        }
        // Both aggregators of a circle, of one around it, and an inner node beside them.
        let all = spokes(0..200, 40);
        let circles = circles(&all, &[], MEMBERS_MAX);
        let both = |level: usize| circles.level(level)[1].aggregators.clone();
        for dead in [
            both(0),
            both(1),
            [both(0), both(1), circles.inner[..2].to_vec()].concat(),
        ] {
            let (_, known) = spread(&all, MEMBERS_MAX, &dead);
            assert!(
                known.values().all(|known| *known == 200 - dead.len()),
                "{dead:?} {known:?}"
            );
        }
    }

    #[test]
    fn nobody_asks_many_however_large_the_network() {
        for count in [50, 500, 5_000] {
            let all = spokes(0..count, 200);
            let circles = circles(&all, &[], MEMBERS_MAX);
            let asked = all.iter().map(|(label, ..)| {
                let duties = circles.duties(label, &|_| false);
                (circles.inner.contains(label), duties.questions().len())
            });
            let asked: Vec<_> = asked.collect();
            let most = |inner| {
                asked
                    .iter()
                    .filter(|(is, _)| *is == inner)
                    .map(|(_, n)| *n)
                    .max()
            };
            assert!(
                most(false) <= Some(MEMBERS_MAX * AGGREGATORS + INNER_ASKED + WITNESSES),
                "{count}: {:?}",
                most(false)
            );
            assert!(
                most(true) <= Some(2 * MEMBERS_MAX * AGGREGATORS),
                "{count}: {:?}",
                most(true)
            );
        }
    }
}
