//! The plan of a run: everything that the seed decides before the first event.

use crate::{
    chance::Chance,
    hub::{MINUTE, Millis, SECOND},
};

/// One run in so many has a large network.
const LARGE_ONE_IN: u64 = 300;
/// The hour after which a set changes without its dead member, and a little more.
const LONG: Millis = 75 * MINUTE;
/// By then most authors have written what they write: who falls behind later lacks nothing.
const WRITING: Millis = 6 * MINUTE;
/// A clock that is wrong by an hour: a time zone taken for another.
const HOUR_SECONDS: i64 = 60 * 60;
/// By how many seconds in a thousand a broken clock runs fast or slow.
const DRIFT_PER_MILLE: u64 = 20;

/// How many spokes, authors and devices there are, and what weather comes over them.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The operator of each spoke, those that join later included.
    pub operators: Vec<usize>,
    /// How many spokes are let in at the founding.
    pub founders: usize,
    /// Replicas that the network wants for each blog.
    pub replicas: u64,
    /// For each author: how many devices, and the number of the name that she wants.
    pub authors: Vec<(usize, u64)>,
    /// Texts that each device writes.
    pub texts: u64,
    /// When the weather clears.
    pub weather: Millis,
    /// The faults, by time.
    pub faults: Vec<(Millis, Fault)>,
    /// How the network treats messages.
    pub air: Air,
    /// A spoke whose clock runs fast or slow, and by how many seconds in a thousand.
    pub drift: Option<(usize, i64)>,
    /// Whether a restarted spoke that waited long for all members that it should compare with goes
    /// on with one less. A set bears one lost copy: a spoke that died or a disk that came back old,
    /// not both, so only in runs without old disks does a spoke go on.
    pub patience: bool,
}

/// How the network treats messages, in thousandths.
#[derive(Clone, Copy, Debug)]
pub struct Air {
    /// Messages lost.
    pub lost: u64,
    /// Messages that arrive twice.
    pub doubled: u64,
    /// Messages that take long, and overtake nobody.
    pub slow: u64,
}

/// The network when the weather is clear.
pub const CLEAR: Air = Air {
    lost: 0,
    doubled: 0,
    slow: 0,
};

/// Something that goes wrong, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the variants' sentences name the fields")]
pub enum Fault {
    /// A spoke loses power and starts again.
    Crash { spoke: usize, lasts: Millis },
    /// A spoke crashes and comes back with a disk that lacks the last items.
    OldDisk {
        spoke: usize,
        items: usize,
        lasts: Millis,
    },
    /// A wall goes through a blog's set: one member is alone behind it and falls behind; after a while
    /// another one crashes, and comes back on that side with a disk that lacks the last items.
    Rift {
        blog: u64,
        items: usize,
        before: Millis,
        lasts: Millis,
    },
    /// A spoke never comes back.
    Death { spoke: usize },
    /// A spoke stands still, as a suspended machine does, and then goes on.
    Pause { spoke: usize, lasts: Millis },
    /// A spoke cannot write.
    DiskFull { spoke: usize, lasts: Millis },
    /// A spoke's syncs take seconds.
    SlowDisk { spoke: usize, lasts: Millis },
    /// Nothing goes from the one to the other; both are numbers of spokes, and the number after the
    /// last is the council.
    Cut {
        from: usize,
        to: usize,
        lasts: Millis,
    },
    /// Nothing that a spoke sends arrives anywhere, though it hears all.
    Mute { spoke: usize, lasts: Millis },
    /// A spoke hears nothing, though all that it sends arrives.
    Deaf { spoke: usize, lasts: Millis },
    /// A spoke is cut off from all others and from the council; authors reach it.
    Island { spoke: usize, lasts: Millis },
    /// A spoke's clock is set wrong, and then right again.
    Clock {
        spoke: usize,
        seconds: i64,
        lasts: Millis,
    },
    /// The council has no leader.
    Leaderless { lasts: Millis },
    /// An organizer wants another primary for a blog.
    Move { blog: u64 },
    /// An organizer names a set herself.
    Shuffle { blog: u64 },
    /// An organizer wants more or fewer copies of a blog.
    Replicas { blog: u64 },
    /// An organizer has a spoke emptied.
    Drain { spoke: usize },
    /// A spoke's operator wants it to leave.
    Leave { spoke: usize },
    /// All but one of a blog's members die at once.
    Ruin { blog: u64 },
    /// A new spoke joins.
    Joins { spoke: usize },
    /// An organizer bars a spoke.
    Evicted { spoke: usize },
}

impl Fault {
    /// How long it lasts; none when it is over at once, or never.
    pub fn lasts(self) -> Option<Millis> {
        match self {
            Self::Crash { lasts, .. }
            | Self::OldDisk { lasts, .. }
            | Self::Pause { lasts, .. }
            | Self::DiskFull { lasts, .. }
            | Self::SlowDisk { lasts, .. }
            | Self::Cut { lasts, .. }
            | Self::Mute { lasts, .. }
            | Self::Deaf { lasts, .. }
            | Self::Island { lasts, .. }
            | Self::Clock { lasts, .. }
            | Self::Leaderless { lasts } => Some(lasts),
            Self::Death { .. }
            | Self::Move { .. }
            | Self::Shuffle { .. }
            | Self::Replicas { .. }
            | Self::Drain { .. }
            | Self::Leave { .. }
            | Self::Ruin { .. }
            | Self::Rift { .. }
            | Self::Joins { .. }
            | Self::Evicted { .. } => None,
        }
    }
}

impl Plan {
    /// The plan of this seed.
    pub fn new(chance: &mut Chance) -> Self {
        let large = chance.below(LARGE_ONE_IN) == 0;
        let (founders, later) = if large {
            (chance.between(100, 280), chance.between(0, 20))
        } else {
            let founders = chance.between(3, 12).min(chance.between(3, 12));
            (founders, *chance.pick(&[0, 0, 0, 1, 2]).unwrap_or(&0))
        };
        let shared = chance.per_mille(300);
        let groups = if large { founders / 3 } else { 3 };
        let operators = (0..founders + later).map(|n| match shared {
            true if n >= 3 => chance.below(groups.max(1)),
            _ => n,
        });
        let operators = operators.filter_map(|n| usize::try_from(n).ok()).collect();
        let same_name = chance.per_mille(300);
        let authors = if large {
            chance.between(4, 12)
        } else {
            chance.between(2, 4)
        };
        let authors = (0..authors)
            .map(|n| {
                let devices = if chance.per_mille(300) { 2 } else { 1 };
                (devices, if same_name { 0 } else { n })
            })
            .collect();
        let long = !large && chance.per_mille(40);
        let old_disk = founders >= 4 && chance.per_mille(300);
        let mut plan = Self {
            founders: usize::try_from(founders).unwrap_or(3),
            operators,
            replicas: *chance.pick(&[3, 3, 3, 3, 2, 4, 5]).unwrap_or(&3),
            authors,
            texts: chance.between(3, 9),
            weather: if long {
                LONG
            } else {
                chance.between(6, 20) * MINUTE
            },
            faults: Vec::new(),
            air: Air {
                lost: *chance.pick(&[0, 0, 5, 20, 100]).unwrap_or(&0),
                doubled: *chance.pick(&[0, 5, 50]).unwrap_or(&0),
                slow: *chance.pick(&[0, 0, 10, 100]).unwrap_or(&0),
            },
            drift: None,
            patience: !old_disk,
        };
        plan.brew(chance, large);
        plan.change_members(chance);
        plan.break_disks(chance, old_disk);
        plan.break_clocks(chance);
        plan.break_many(chance);
        if long {
            let lasts = 50 * MINUTE;
            plan.faults.push((5 * MINUTE, Fault::Leaderless { lasts }));
        }
        plan.faults.sort_by_key(|(at, _)| *at);
        plan
    }

    /// All spokes, those that join later included.
    pub fn spokes(&self) -> usize {
        self.operators.len()
    }

    /// Brews the weather.
    fn brew(&mut self, chance: &mut Chance, large: bool) {
        let strength = *chance.pick(&[0, 4, 10, 20, 30]).unwrap_or(&4);
        for _ in 0..if large { strength * 4 } else { strength } {
            let at = chance.between(5 * SECOND, self.weather);
            let spoke = chance.index(self.founders);
            let lasts = match chance.below(3) {
                0 => chance.between(SECOND, 20 * SECOND),
                1 => chance.between(20 * SECOND, 2 * MINUTE),
                _ => chance.between(2 * MINUTE, 6 * MINUTE),
            };
            let blog = chance.bits();
            let fault = match chance.below(14) {
                0..=2 => Fault::Crash { spoke, lasts },
                3 => Fault::Pause { spoke, lasts },
                4 => Fault::DiskFull { spoke, lasts },
                5 => Fault::SlowDisk { spoke, lasts },
                6 => {
                    let to = chance.index(self.founders + 1);
                    let council = to == self.founders;
                    let to = if council { self.spokes() } else { to };
                    match chance.per_mille(500) {
                        true => Fault::Cut {
                            from: spoke,
                            to,
                            lasts,
                        },
                        false => Fault::Cut {
                            from: to,
                            to: spoke,
                            lasts,
                        },
                    }
                }
                7 => Fault::Island { spoke, lasts },
                8 => Fault::Mute { spoke, lasts },
                9 => Fault::Deaf { spoke, lasts },
                10 => Fault::Leaderless { lasts: lasts / 2 },
                11 => Fault::Move { blog },
                12 => Fault::Replicas { blog },
                _ => Fault::Shuffle { blog },
            };
            self.faults.push((at, fault));
        }
    }

    /// Lets spokes come and go, and a set change before anybody has stored the first entry.
    fn change_members(&mut self, chance: &mut Chance) {
        for spoke in self.founders..self.spokes() {
            let at = chance.between(SECOND, self.weather);
            self.faults.push((at, Fault::Joins { spoke }));
        }
        if self.founders >= 4 && self.patience && chance.per_mille(150) {
            let spoke = chance.index(self.founders);
            let at = chance.between(MINUTE, self.weather);
            self.faults.push((at, Fault::Evicted { spoke }));
        }
        if self.founders >= 4 && chance.per_mille(200) {
            let spoke = chance.index(self.founders);
            let at = chance.between(MINUTE, self.weather);
            let fault = match chance.per_mille(500) {
                true => Fault::Drain { spoke },
                false => Fault::Leave { spoke },
            };
            self.faults.push((at, fault));
        }
        if chance.per_mille(200) {
            let at = chance.between(SECOND, 40 * SECOND);
            let (spoke, lasts) = (chance.index(self.founders), 40 * SECOND);
            let blog = chance.bits();
            self.faults.push((at, Fault::Shuffle { blog }));
            self.faults.push((SECOND, Fault::SlowDisk { spoke, lasts }));
        }
    }

    /// Brings back a disk as it was, or lets spokes die.
    fn break_disks(&mut self, chance: &mut Chance, old_disk: bool) {
        if old_disk && chance.per_mille(500) {
            let fault = Fault::Rift {
                blog: chance.bits(),
                items: 1 + chance.index(8),
                before: chance.between(10 * SECOND, 2 * MINUTE),
                lasts: chance.between(30 * SECOND, 3 * MINUTE),
            };
            let at = chance.between(MINUTE, self.weather.min(WRITING));
            self.faults.push((at, fault));
        } else if old_disk {
            let fault = Fault::OldDisk {
                spoke: chance.index(self.founders),
                items: 1 + chance.index(8),
                lasts: chance.between(SECOND, MINUTE),
            };
            self.faults
                .push((chance.between(2 * MINUTE, self.weather), fault));
        } else if chance.per_mille(400) {
            for _ in 0..chance.between(1, 3) {
                let spoke = chance.index(self.founders);
                self.faults
                    .push((chance.between(MINUTE, self.weather), Fault::Death { spoke }));
            }
        } else if chance.per_mille(60) {
            let blog = chance.bits();
            self.faults
                .push((chance.between(MINUTE, self.weather), Fault::Ruin { blog }));
        }
    }

    /// Sets a clock wrong by up to an hour, and lets one run fast or slow.
    fn break_clocks(&mut self, chance: &mut Chance) {
        if chance.per_mille(200) {
            let spoke = chance.index(self.founders);
            let (at, lasts) = (
                chance.below(self.weather),
                chance.between(SECOND, 10 * MINUTE),
            );
            let seconds = *chance
                .pick(&[-HOUR_SECONDS, HOUR_SECONDS, -600, 600])
                .unwrap_or(&0);
            let fault = Fault::Clock {
                spoke,
                seconds,
                lasts,
            };
            self.faults.push((at, fault));
        }
        if chance.per_mille(200) {
            let most = i64::try_from(DRIFT_PER_MILLE).unwrap_or(0);
            let drift = i64::try_from(chance.below(2 * DRIFT_PER_MILLE + 1)).unwrap_or(0) - most;
            self.drift = Some((chance.index(self.founders), drift));
        }
    }

    /// Lets something happen to many at once: all spokes of an operator, all that there are, or the
    /// members of half the network in the same seconds.
    fn break_many(&mut self, chance: &mut Chance) {
        let at = chance.between(MINUTE, self.weather);
        let lasts = chance.between(SECOND, 3 * MINUTE);
        let founders = 0..self.founders;
        let struck: Vec<usize> = match chance.below(8) {
            0 => {
                let operator = *chance.pick(&self.operators).unwrap_or(&0);
                founders
                    .filter(|n| self.operators[*n] == operator)
                    .collect()
            }
            1 => founders.collect(),
            2 => founders.filter(|_| chance.per_mille(500)).collect(),
            _ => return,
        };
        let kind = chance.below(4);
        for spoke in struck {
            let at = at + chance.below(2 * SECOND);
            let fault = match kind {
                0 => Fault::Crash { spoke, lasts },
                1 => Fault::Island { spoke, lasts },
                2 => Fault::Pause { spoke, lasts },
                _ => Fault::Crash {
                    spoke,
                    lasts: chance.between(SECOND, lasts),
                },
            };
            self.faults.push((at, fault));
        }
    }
}
