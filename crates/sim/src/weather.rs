//! What each fault does to the world, and what it must leave whole.

use crate::{
    disk::Item,
    founding,
    hub::{Clock, Event, SECOND, Way},
    message::Node,
    plan::Fault,
    world::World,
};

/// When something is tried again that the council could not take.
const AGAIN: u64 = 5 * SECOND;
/// In so long a spoke is brought back from a copy of its disk.
const RESTORED: u64 = 20 * SECOND;
/// By how many seconds a clock may be wrong after the weather: the council refuses what is signed five
/// minutes ahead and reports that are two minutes old, and says so, and the owner sets the clock.
const SKEW_LEFT: i64 = 60;

impl World {
    pub(crate) fn begin(&mut self, fault: Fault) {
        if self.hub.clear {
            return;
        }
        self.hub
            .story(Node::Council, format_args!("weather: {fault:?}"));
        if let Some(spoke) = ailing(fault) {
            self.hub.truth.ails(spoke, self.hub.now);
        }
        match fault {
            Fault::Crash { spoke, .. } => self.spokes[spoke].stop(&mut self.hub, false, None),
            Fault::OldDisk { spoke, items, .. } => {
                let items = self.may_forget(spoke, items);
                self.spokes[spoke].stop(&mut self.hub, false, Some(items));
            }
            Fault::Death { spoke } => self.kill(spoke),
            Fault::Pause { spoke, lasts } => {
                self.spokes[spoke].paused_until = self.hub.now + lasts;
            }
            Fault::DiskFull { spoke, .. } => self.spokes[spoke].fill_disk(&mut self.hub),
            Fault::SlowDisk { spoke, .. } => self.spokes[spoke].slow_disk = true,
            Fault::Clock { spoke, seconds, .. } => self.spokes[spoke].clock.skew += seconds,
            Fault::Cut { .. } | Fault::Mute { .. } | Fault::Deaf { .. } | Fault::Island { .. } => {
                if let Some(way) = self.way(fault) {
                    self.hub.cut(way);
                }
            }
            Fault::Leaderless { .. } => self.council.lose_leader(&mut self.hub),
            Fault::Move { blog } => self.council.move_blog(&mut self.hub, blog),
            Fault::Joins { spoke } => self.let_in(spoke),
            Fault::Evicted { spoke } if self.may_die(spoke) => {
                self.council.evict(&mut self.hub, spoke);
            }
            Fault::Evicted { .. } => {}
            Fault::Shuffle { blog } => self.council.shuffle(&mut self.hub, blog),
            Fault::Replicas { blog } => self.council.set_replicas(&mut self.hub, blog),
            Fault::Drain { spoke } => self.council.drain(&mut self.hub, spoke),
            Fault::Leave { spoke } => self.spokes[spoke].leaving = true,
            Fault::Ruin { blog } => self.ruin(blog),
            Fault::Rift {
                blog,
                items,
                before,
                lasts,
            } => self.rift(blog, items, before, lasts),
        }
        if let Some(lasts) = fault.lasts() {
            self.hub.later(lasts, Event::Ends(fault));
        }
    }

    fn kill(&mut self, spoke: usize) {
        if self.may_die(spoke) {
            self.hub.truth.ails(spoke, self.hub.now);
            self.spokes[spoke].stop(&mut self.hub, true, None);
        }
    }

    pub(crate) fn end(&mut self, fault: Fault) {
        if let Some(spoke) = ailing(fault) {
            self.hub.truth.recovers(spoke, self.hub.now);
        }
        let way = self.way(fault);
        let hub = &mut self.hub;
        match fault {
            Fault::Crash { spoke, .. } | Fault::OldDisk { spoke, .. } => {
                self.spokes[spoke].start(hub)
            }
            Fault::DiskFull { spoke, .. } => self.spokes[spoke].disk.full = false,
            Fault::SlowDisk { spoke, .. } => self.spokes[spoke].slow_disk = false,
            Fault::Clock { spoke, seconds, .. } if !hub.clear => {
                self.spokes[spoke].clock.skew -= seconds;
            }
            Fault::Cut { .. } | Fault::Mute { .. } | Fault::Deaf { .. } | Fault::Island { .. } => {
                if let Some(way) = way.filter(|_| !hub.clear) {
                    hub.mend(way);
                }
            }
            Fault::Leaderless { .. } => self.council.elect(hub),
            Fault::Death { .. }
            | Fault::Pause { .. }
            | Fault::Move { .. }
            | Fault::Clock { .. }
            | Fault::Joins { .. }
            | Fault::Evicted { .. }
            | Fault::Shuffle { .. }
            | Fault::Replicas { .. }
            | Fault::Drain { .. }
            | Fault::Leave { .. }
            | Fault::Rift { .. }
            | Fault::Ruin { .. } => {}
        }
    }

    /// The way that a partition cuts.
    fn way(&self, fault: Fault) -> Option<Way> {
        let node = |n| match n {
            n if n == self.spokes.len() => Node::Council,
            n => Node::Spoke(n),
        };
        match fault {
            Fault::Cut { from, to, .. } => Some(Way::From(node(from), node(to))),
            Fault::Mute { spoke, .. } => Some(Way::Out(node(spoke))),
            Fault::Deaf { spoke, .. } => Some(Way::In(node(spoke))),
            Fault::Island { spoke, .. } => Some(Way::Island(node(spoke))),
            _ => None,
        }
    }

    fn let_in(&mut self, spoke: usize) {
        let operator = self.operators[spoke];
        if self.council.let_in(&mut self.hub, spoke, operator) {
            self.spokes[spoke].join();
            self.spokes[spoke].start(&mut self.hub);
        } else {
            self.hub.later(AGAIN, Event::Begins(Fault::Joins { spoke }));
        }
    }

    /// All but one of a blog's members die at once: with them goes what they alone held. Of each other
    /// blog one member stays, too: where none does, nobody is left to say what there was.
    fn ruin(&mut self, number: u64) {
        let mut members = self.living_members(number);
        let stays = self.hub.chance.index(members.len().max(1));
        if members.len() > 1 {
            members.remove(stays);
            for spoke in members {
                if self.is_last(spoke) {
                    continue;
                }
                self.hub.truth.ails(spoke, self.hub.now);
                self.spokes[spoke].stop(&mut self.hub, true, None);
            }
        }
    }

    /// Cuts one member off from the others of its set, and later gives it the company of one whose
    /// disk is old. Both reach the council, so that nothing but the rules keeps them from signing.
    fn rift(&mut self, number: u64, items: usize, before: u64, lasts: u64) {
        let mut rest = self.living_members(number);
        if rest.len() < 3 {
            return;
        }
        let behind = rest.swap_remove(self.hub.chance.index(rest.len()));
        let old = rest.swap_remove(self.hub.chance.index(rest.len()));
        let down = self.hub.chance.between(SECOND, RESTORED);
        let mut walls = vec![(0, behind, old, before)];
        for other in rest {
            walls.push((0, behind, other, before + lasts));
            walls.push((before, old, other, lasts));
        }
        for (after, one, other, lasts) in walls {
            for (from, to) in [(one, other), (other, one)] {
                let cut = Fault::Cut { from, to, lasts };
                self.hub.later(after, Event::Begins(cut));
            }
        }
        let lost = Fault::OldDisk {
            spoke: old,
            items,
            lasts: down,
        };
        self.hub.later(before, Event::Begins(lost));
    }

    /// The members of one blog's set that are not dead.
    fn living_members(&self, number: u64) -> Vec<usize> {
        let registry = self.council.registry();
        let blogs: Vec<_> = registry.blogs().collect();
        let at = usize::try_from(number % blogs.len().max(1) as u64).unwrap_or(0);
        let members = blogs.get(at).map(|(_, blog)| &blog.set.members);
        let spokes = members.into_iter().flatten().filter_map(founding::spoke_of);
        spokes.filter(|n| !self.spokes[*n].is_dead()).collect()
    }

    /// Whether some blog's set has no other member that lives.
    fn is_last(&self, spoke: usize) -> bool {
        let label = self.spokes[spoke].label();
        self.council.registry().blogs().any(|(_, blog)| {
            let mut others = blog.set.members.iter().filter(|l| *l != label);
            blog.set.has(label) && !others.any(|l| self.is_alive(l))
        })
    }

    /// Whether each set in which this spoke is can change without it: so many members can seal as
    /// meet every majority, and a majority of the set to come can hold what they name.
    fn may_die(&self, spoke: usize) -> bool {
        let label = self.spokes[spoke].label();
        let left = |members: &[spokes_rules::node::Label]| {
            let others = members.iter().filter(|l| *l != label);
            others.filter(|l| self.is_alive(l)).count()
        };
        self.council.registry().blogs().all(|(_, blog)| {
            let next = blog.closing.as_ref().map(|closing| &closing.next);
            let opens = next.is_none_or(|n| !n.has(label) || left(&n.members) >= n.majority());
            let needed = blog.set.seals_needed().max(1);
            opens && (!blog.set.has(label) || left(&blog.set.members) >= needed)
        })
    }

    /// How many of the last items an old disk may lack: up to the newest entry that the other
    /// members could not give back. A set bears one lost copy of what a majority holds; what only
    /// this spoke holds and has signed for is lost with the disk, and no rule can help that.
    fn may_forget(&self, spoke: usize, items: usize) -> usize {
        let registry = self.council.registry();
        let all = self.spokes[spoke].disk().items().iter().rev().take(items);
        let given_back = |item: &&Item| match item {
            Item::Seal(_) => true,
            Item::Entry(blog, entry) => registry.blog(*blog).is_some_and(|blog| {
                let id = entry.entry().id();
                let others =
                    self.spokes.iter().enumerate().filter(|(n, s)| {
                        *n != spoke && blog.set.has(s.label()) && s.disk().holds(id)
                    });
                others.count() + 1 >= blog.set.majority() && blog.set.members.len() > 1
            }),
        };
        all.take_while(given_back).count()
    }

    pub(crate) fn clear(&mut self) {
        let hub = &mut self.hub;
        hub.story(Node::Council, format_args!("the weather clears"));
        hub.clear();
        self.council.elect(hub);
        for spoke in &mut self.spokes {
            spoke.disk.full = false;
            spoke.slow_disk = false;
            let skew = spoke.clock.skew;
            spoke.clock = Clock {
                skew: skew.clamp(-SKEW_LEFT, SKEW_LEFT),
                drift: 0,
            };
            spoke.start(hub);
        }
    }
}

/// Which spoke cannot be reached as long as this lasts, or reaches nobody.
fn ailing(fault: Fault) -> Option<usize> {
    match fault {
        Fault::Crash { spoke, .. }
        | Fault::OldDisk { spoke, .. }
        | Fault::Pause { spoke, .. }
        | Fault::Mute { spoke, .. }
        | Fault::Deaf { spoke, .. }
        | Fault::Island { spoke, .. } => Some(spoke),
        _ => None,
    }
}
