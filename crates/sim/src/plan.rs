//! The plan of a run: everything that the seed decides before the first event.

use crate::{
    chance::Chance,
    hub::{MINUTE, Millis, SECOND},
};

/// How many spokes, authors and devices there are, and what weather comes over them.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Spokes, each of another operator.
    pub spokes: usize,
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
    /// A spoke is cut off from all others and from the council; authors reach it.
    Island { spoke: usize, lasts: Millis },
    /// The council has no leader.
    Leaderless { lasts: Millis },
    /// An organizer moves a blog to other spokes.
    Move { blog: u64 },
}

impl Plan {
    /// The plan of this seed.
    pub fn new(chance: &mut Chance) -> Self {
        let spokes = usize::try_from(chance.between(3, 7)).unwrap_or(3);
        let replicas = *chance.pick(&[3, 3, 3, 3, 2, 4, 5]).unwrap_or(&3);
        let same_name = chance.per_mille(300);
        let authors = (0..chance.between(2, 4))
            .map(|n| {
                let devices = if chance.per_mille(300) { 2 } else { 1 };
                (devices, if same_name { 0 } else { n })
            })
            .collect();
        let long = chance.per_mille(40);
        let weather = if long { 75 } else { chance.between(6, 20) } * MINUTE;
        let old_disk = spokes >= 4 && chance.per_mille(300);
        let mut plan = Self {
            spokes,
            replicas,
            authors,
            texts: chance.between(3, 9),
            weather,
            faults: Vec::new(),
            air: Air {
                lost: *chance.pick(&[0, 5, 20, 100]).unwrap_or(&0),
                doubled: *chance.pick(&[0, 5, 50]).unwrap_or(&0),
                slow: *chance.pick(&[0, 10, 100]).unwrap_or(&0),
            },
            patience: !old_disk,
        };
        plan.brew(chance, old_disk);
        if long {
            let lasts = 50 * MINUTE;
            plan.faults.push((5 * MINUTE, Fault::Leaderless { lasts }));
        }
        plan.faults.sort_by_key(|(at, _)| *at);
        plan
    }

    /// Brews the weather.
    fn brew(&mut self, chance: &mut Chance, old_disk: bool) {
        let strength = *chance.pick(&[0, 4, 10, 20]).unwrap_or(&4);
        for _ in 0..strength {
            let at = chance.between(5 * SECOND, self.weather);
            let spoke = chance.index(self.spokes);
            let lasts = match chance.below(3) {
                0 => chance.between(SECOND, 20 * SECOND),
                1 => chance.between(20 * SECOND, 2 * MINUTE),
                _ => chance.between(2 * MINUTE, 6 * MINUTE),
            };
            let fault = match chance.below(10) {
                0..=2 => Fault::Crash { spoke, lasts },
                3 => Fault::Pause { spoke, lasts },
                4 => Fault::DiskFull { spoke, lasts },
                5 => Fault::SlowDisk { spoke, lasts },
                6 => {
                    let to = chance.index(self.spokes + 1);
                    Fault::Cut {
                        from: spoke,
                        to,
                        lasts,
                    }
                }
                7 => Fault::Island { spoke, lasts },
                8 => Fault::Leaderless { lasts: lasts / 2 },
                _ => Fault::Move {
                    blog: chance.bits(),
                },
            };
            self.faults.push((at, fault));
        }
        if chance.per_mille(200) {
            // A set may change before anybody has stored the first entry.
            let at = chance.between(SECOND, 40 * SECOND);
            let (spoke, lasts) = (chance.index(self.spokes), 40 * SECOND);
            self.faults.push((
                at,
                Fault::Move {
                    blog: chance.bits(),
                },
            ));
            self.faults.push((SECOND, Fault::SlowDisk { spoke, lasts }));
        }
        if old_disk {
            let fault = Fault::OldDisk {
                spoke: chance.index(self.spokes),
                items: 1 + chance.index(8),
                lasts: chance.between(SECOND, MINUTE),
            };
            self.faults
                .push((chance.between(2 * MINUTE, self.weather), fault));
        } else if chance.per_mille(400) {
            let spoke = chance.index(self.spokes);
            self.faults
                .push((chance.between(MINUTE, self.weather), Fault::Death { spoke }));
        }
    }
}
