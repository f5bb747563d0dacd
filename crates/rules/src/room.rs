//! Room: what a spoke still takes, how much it has to do, and who has room instead (SPEC registry 3.19).
//!
//! Each step down has a mark, and the step up another one above it: a spoke says seldom how it is.

use alloc::{format, vec::Vec};

use spokes_log::{name::Hash, time::Time};

use crate::{
    health::{LOAD_SECONDS, Load, Takes},
    node::Label,
    registry::{Registry, Spoke},
};

/// Bytes that a spoke keeps free for what it holds, where nobody says otherwise: a few of its largest blogs.
const FLOOR_BYTES: u64 = 1 << 30;
/// On a large disk more, a twentieth of it: what it holds grows as well.
const FLOOR_SHARE: u64 = 20;
/// But no more than this: nobody donates a disk to have it lie empty.
const FLOOR_BYTES_MAX: u64 = 10 << 30;
/// And on a small disk no more than a tenth of it.
const FLOOR_SHARE_MAX: u64 = 10;
/// Of what is kept free, a spoke keeps this part for itself: registry, seals, the database's own work.
const STOP_SHARE: u64 = 8;
/// How far above the floor new blogs are taken again, in parts of it: one blog more must not close it again.
const FLOOR_BAND: u64 = 4;
/// Thousandths of what a spoke can do from which on it does little, more, much, all that it can.
const EDGES: [u64; 3] = [250, 500, 800];
/// How far a share must fall below an edge before the step goes down.
const EDGE_BAND: u64 = 100;
/// So many floors free count as all that a disk can do: then new blogs go elsewhere first.
const NEAR_FLOORS: u128 = 2;
/// One measurement counts for so many parts: with one each five seconds a burst of a minute is half seen.
const SMOOTHED_OVER: u64 = 12;

/// How a disk is, or the part of it that a spoke may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disk {
    /// All its bytes.
    pub size: u64,
    /// Those that may still be used.
    pub free: u64,
}

impl Disk {
    /// The same disk for a spoke that uses so much and may use no more than that.
    #[must_use]
    pub fn with_ceiling(self, ceiling: u64, used: u64) -> Self {
        Self {
            size: self.size.min(ceiling),
            free: self.free.min(ceiling.saturating_sub(used)),
        }
    }
}

/// From which bytes on less is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marks {
    /// Below, no new blogs.
    floor: u64,
    /// Below, nothing.
    stop: u64,
}

impl Marks {
    /// The marks of a disk of this size, where its operator says this floor, or none.
    pub fn of(size: u64, floor: Option<u64>) -> Self {
        let usual = (size / FLOOR_SHARE)
            .clamp(FLOOR_BYTES, FLOOR_BYTES_MAX)
            .min(size / FLOOR_SHARE_MAX);
        let floor = floor.unwrap_or(usual);
        let stop = floor / STOP_SHARE;
        Self { floor, stop }
    }

    /// Below so much no new blogs are taken.
    pub fn floor(self) -> u64 {
        self.floor
    }

    /// What a spoke takes with so much free that took this much before.
    fn takes(self, before: Takes, free: u64) -> Takes {
        let stays_shut = before == Takes::Nothing && free < self.stop.saturating_mul(2);
        let above = self.floor.saturating_add(self.floor / FLOOR_BAND);
        let stays_held = before != Takes::New && free < above;
        match free {
            free if free < self.stop || stays_shut => Takes::Nothing,
            free if free < self.floor || stays_held => Takes::Held,
            _ => Takes::New,
        }
    }
}

/// The step that follows from a share, in thousandths, behind another one.
fn step(before: Load, share: u64) -> Load {
    let reached = |band| EDGES.iter().filter(|edge| share + band >= **edge).count();
    let steps = |count: usize| Load::new(u8::try_from(count + 1).unwrap_or(4));
    let (low, high) = (steps(reached(0)), steps(reached(EDGE_BAND)));
    // Up at the edge, down only well below it.
    before.clamp(low.unwrap_or(Load::LOW), high.unwrap_or(Load::FULL))
}

/// How a spoke is, and what it says of that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gauge {
    takes: Takes,
    /// How full its disk is.
    stored: Load,
    /// How busy it is.
    busy: Load,
    /// The same in thousandths, smoothed, times [`SMOOTHED_OVER`].
    busy_sum: u64,
    /// Since when it is otherwise than the registry says.
    differs: Option<Time>,
}

impl Default for Gauge {
    fn default() -> Self {
        Self {
            takes: Takes::New,
            stored: Load::LOW,
            busy: Load::LOW,
            busy_sum: 0,
            differs: None,
        }
    }
}

impl Gauge {
    /// Goes on, after a start, from what the spoke said last: between two marks that is what holds.
    pub fn recall(&mut self, said: Takes) {
        self.takes = said;
    }

    /// The disk was looked at.
    pub fn sees_disk(&mut self, disk: Disk, marks: Marks) {
        self.takes = marks.takes(self.takes, disk.free);
        // Not by how full it is: on a large disk nine tenths leave room for many blogs.
        let near = u128::from(marks.floor) * NEAR_FLOORS * 1_000 / u128::from(disk.free.max(1));
        self.stored = step(
            self.stored,
            u64::try_from(near).unwrap_or(u64::MAX).min(1_000),
        );
    }

    /// So many thousandths of what the machine can do were done since the last time.
    pub fn sees_work(&mut self, share: u64) {
        self.busy_sum = self.busy_sum - self.busy_sum / SMOOTHED_OVER + share.min(1_000);
        self.busy = step(self.busy, self.busy_sum / SMOOTHED_OVER);
    }

    /// What it takes.
    pub fn takes(&self) -> Takes {
        self.takes
    }

    /// How much it has to do.
    pub fn load(&self) -> Load {
        match self.takes {
            Takes::New => self.stored.max(self.busy),
            Takes::Held | Takes::Nothing => Load::FULL,
        }
    }

    /// What the spoke should say now, seeing what the registry says of it; none when that is right, or soon
    /// may be again.
    pub fn tells(&mut self, now: Time, said: &Spoke) -> Option<(Load, Takes)> {
        let (load, takes) = (self.load(), self.takes);
        if (said.load, said.takes) == (load, takes) {
            self.differs = None;
            return None;
        }
        let since = *self.differs.get_or_insert(now);
        let is_urgent = takes == Takes::Nothing && said.takes != Takes::Nothing;
        let may = said.told.is_none_or(|told| now.since(told) >= LOAD_SECONDS);
        // How busy it is changes by itself; what it takes, people wait for.
        let stands = takes != said.takes || now.since(since) >= LOAD_SECONDS;
        (is_urgent || may && stands).then_some((load, takes))
    }
}

/// The spokes that take new blogs, the best one to send somebody to first: another operator's, since what
/// fills one server of a group soon fills the others; with little to do; and another one each minute.
pub fn with_room<'a>(registry: &'a Registry, now: Time, me: &Label) -> Vec<&'a Label> {
    let mine = registry.spoke(me).map(|spoke| &spoke.operator);
    let takes = |spoke: &Spoke| spoke.is_well() && !spoke.is_leaving() && spoke.takes == Takes::New;
    let others = registry.admitted();
    let others = others.filter(|(label, spoke)| *label != me && takes(spoke));
    let minute = now.as_unix().div_euclid(60);
    let mut others: Vec<_> = others.collect();
    others.sort_by_key(|(label, spoke)| {
        let lot = Hash::of(format!("{minute} {me} {label}").as_bytes());
        (mine == Some(&spoke.operator), spoke.load, *lot.as_bytes())
    });
    others.into_iter().map(|(label, _)| label).collect()
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec};

    use super::*;
    use crate::{
        health::Health,
        node::NodeSecret,
        record::Standing,
        request::{Address, Operator},
    };

    const NOW: Time = Time::from_unix(1_795_442_700);
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    fn spoke(load: Load, takes: Takes, told: Option<Time>) -> Spoke {
        Spoke {
            key: NodeSecret::from_seed(&[7; 32]).key(),
            operator: Operator::parse("x").expect("an operator"),
            address: Address(([192, 0, 2, 1], 80).into()),
            standing: Standing::Admitted { since: NOW },
            lot: Hash::of(b""),
            health: Health::new(NOW),
            fell: 0,
            load,
            takes,
            told,
        }
    }

    #[test]
    fn the_usual_floor_fits_small_and_large_disks() {
        let floor = |size| Marks::of(size, None).floor;
        assert_eq!(floor(6 * MIB), 6 * MIB / 10);
        assert_eq!(floor(10 * GIB), GIB);
        assert_eq!(floor(40 * GIB), 2 * GIB);
        assert_eq!(floor(4_000 * GIB), 10 * GIB);
        assert_eq!(Marks::of(GIB, Some(0)), Marks { floor: 0, stop: 0 });
        assert_eq!(
            Marks::of(GIB, Some(80)),
            Marks {
                floor: 80,
                stop: 10
            }
        );
    }

    #[test]
    fn what_was_shut_opens_only_well_above_its_mark() {
        let marks = Marks::of(10_000, Some(800));
        let mut takes = Takes::New;
        let mut told: Vec<String> = vec![];
        for free in [
            800, 799, 801, 999, 100, 99, 101, 199, 200, 999, 1_000, 50, 1_000,
        ] {
            takes = marks.takes(takes, free);
            told.push(format!("{free} {takes}"));
        }
        let told = told.join(", ");
        let expected = "800 new, 799 held, 801 held, 999 held, 100 held, 99 nothing, 101 nothing, \
                        199 nothing, 200 held, 999 held, 1000 new, 50 nothing, 1000 new";
        assert_eq!(told, expected);
        assert_eq!(Marks::of(10, Some(0)).takes(Takes::New, 0), Takes::New);
    }

    #[test]
    fn a_ceiling_is_a_disk_of_its_own() {
        let disk = Disk {
            size: 100 * GIB,
            free: 80 * GIB,
        };
        let seen = disk.with_ceiling(10 * GIB, 7 * GIB);
        assert_eq!(
            seen,
            Disk {
                size: 10 * GIB,
                free: 3 * GIB
            }
        );
        assert_eq!(disk.with_ceiling(GIB, 2 * GIB).free, 0);
        assert_eq!(Disk { free: MIB, ..disk }.with_ceiling(GIB, 0).free, MIB);
    }

    #[test]
    fn a_step_that_is_on_the_edge_stays() {
        let mut load = Load::LOW;
        let mut steps = Vec::new();
        for share in [
            249, 250, 240, 151, 149, 260, 499, 500, 410, 399, 1_000, 701, 699, 0,
        ] {
            load = step(load, share);
            steps.push(load.step());
        }
        assert_eq!(steps, [1, 2, 2, 2, 1, 2, 2, 3, 3, 2, 4, 4, 3, 1]);
    }

    #[test]
    fn nothing_is_said_at_rest_and_seldom_in_a_storm() {
        let mut gauge = Gauge::default();
        let mut said = spoke(Load::LOW, Takes::New, None);
        let mut records = 0;
        // An hour at rest with bursts of ten seconds, then one that goes up and down each half minute.
        for tick in 0..1_440_i64 {
            let now = Time::from_unix(NOW.as_unix() + tick * 5);
            let is_storm = tick >= 720;
            let busy = if is_storm {
                tick / 6 % 2 == 0
            } else {
                tick % 60 < 2
            };
            gauge.sees_work(if busy { 1_000 } else { 0 });
            gauge.sees_disk(
                Disk {
                    size: GIB,
                    free: 900 * MIB,
                },
                Marks::of(GIB, None),
            );
            if let Some((load, takes)) = gauge.tells(now, &said) {
                said = spoke(load, takes, Some(now));
                records += 1;
                assert!(is_storm, "{tick}");
            }
        }
        assert!((1..=3).contains(&records), "{records}");
    }

    #[test]
    fn what_people_wait_for_is_said_at_once() {
        let marks = Marks::of(10_000, Some(800));
        // Eleven floors are free then, and less than eight were before.
        let two = Load::new(2).expect("a step");
        let mut gauge = Gauge::default();
        let at = |seconds| Time::from_unix(NOW.as_unix() + seconds);
        let disk = |free| Disk { size: 10_000, free };
        gauge.sees_disk(disk(700), marks);
        let held = gauge.tells(NOW, &spoke(Load::LOW, Takes::New, None));
        assert_eq!(held, Some((Load::FULL, Takes::Held)));
        let said = spoke(Load::FULL, Takes::Held, Some(NOW));
        assert_eq!(gauge.tells(at(1), &said), None);
        gauge.sees_disk(disk(50), marks);
        let nothing = gauge.tells(at(2), &said);
        assert_eq!(nothing, Some((Load::FULL, Takes::Nothing)));
        let said = spoke(Load::FULL, Takes::Nothing, Some(at(2)));
        gauge.sees_disk(disk(9_000), marks);
        assert_eq!(gauge.tells(at(10), &said), None, "not within the minute");
        assert_eq!(gauge.tells(at(62), &said), Some((two, Takes::New)));
        // After a start what was said last holds between the marks.
        let mut anew = Gauge::default();
        anew.recall(Takes::Held);
        anew.sees_disk(disk(900), marks);
        assert_eq!(anew.takes(), Takes::Held);
    }
}
