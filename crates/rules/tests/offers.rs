//! Sets open and close, members sleep and come back, in any order: what was safe stays, and what was
//! accepted is in the blog or is offered (SPEC receipt 6).

#[path = "../../log/tests/common/mod.rs"]
mod desk;
#[path = "common/scene.rs"]
#[expect(dead_code, reason = "the stories of other files use the rest")]
mod scene;

use std::collections::{BTreeMap, BTreeSet};

use desk::{Author, same_key};
use proptest::prelude::*;
use scene::{Scene, label, set, tip};
use spokes_log::{name::EntryId, seal::SealedEntry};
use spokes_rules::{
    primary::{Offered, judge_offers},
    receipt::{Seal, Tip},
    registry::{Closing, Set},
    replica::{Event, Replica},
};

const SPOKES: [&str; 3] = ["a", "b", "c"];
/// The sets that the council may choose.
const SETS: [&str; 6] = ["a,b,c", "b,c,a", "c,a,b", "b,c", "a,c", "b"];

/// One thing that happens; numbers choose among those whom it can happen to.
#[derive(Clone, Debug)]
enum Step {
    Writes(usize),
    Stores(usize),
    Pulls(usize, usize),
    Receipts(usize, usize),
    Learns(usize),
    Sleeps(usize),
    Restarts(usize),
    Closes(usize),
    Covers(usize),
    Opens,
    Offers(usize),
    Waits,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..SPOKES.len();
    let step = prop_oneof![
        4 => who.clone().prop_map(Step::Writes),
        6 => who.clone().prop_map(Step::Stores),
        4 => (who.clone(), who.clone()).prop_map(|(x, y)| Step::Pulls(x, y)),
        3 => (who.clone(), who.clone()).prop_map(|(x, y)| Step::Receipts(x, y)),
        5 => who.clone().prop_map(Step::Learns),
        1 => who.clone().prop_map(Step::Sleeps),
        1 => who.clone().prop_map(Step::Restarts),
        2 => (0..SETS.len()).prop_map(Step::Closes),
        4 => who.clone().prop_map(Step::Covers),
        3 => Just(Step::Opens),
        1 => who.prop_map(Step::Offers),
        1 => Just(Step::Waits),
    ];
    prop::collection::vec(step, 20..90)
}

/// The registry of one blog, three spokes, and what is true of them.
struct World {
    scene: Scene,
    open: Set,
    closing: Option<Closing>,
    /// Seals of the open epoch.
    seals: BTreeMap<String, Seal>,
    /// Who said of what, and in which epoch, that it is held.
    said: BTreeSet<(String, u64, EntryId)>,
    sets: BTreeMap<u64, Set>,
    accepted: BTreeSet<EntryId>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            scene: Scene::of(Author::with(same_key("maria"))),
            open: set(1, SETS[0]),
            closing: None,
            seals: BTreeMap::new(),
            said: BTreeSet::new(),
            sets: BTreeMap::new(),
            accepted: BTreeSet::new(),
        };
        world.sets.insert(1, world.open.clone());
        world
    }

    fn replica(&self, spoke: &str) -> &Replica {
        &self.scene.replicas[spoke].0
    }

    fn tell(&mut self, spoke: &str, event: Event) {
        self.scene.tell(spoke, event);
        self.listen(spoke);
    }

    /// Remembers what a spoke has said.
    fn listen(&mut self, spoke: &str) {
        let held = self.scene.replicas[spoke].0.receipts().all();
        let mine = held.filter(|r| r.held.spoke.as_str() == spoke);
        let mine = mine.map(|r| (spoke.to_owned(), r.held.epoch, r.held.tip.id));
        self.said.extend(mine);
    }

    fn happens(&mut self, step: &Step) {
        match *step {
            Step::Writes(at) => self.writes(SPOKES[at]),
            Step::Stores(at) => self.stores(SPOKES[at]),
            Step::Pulls(x, y) => self.pulls(SPOKES[x], SPOKES[y], false),
            Step::Receipts(x, y) => {
                let all = self.replica(SPOKES[y]).receipts().all().cloned();
                let mine: Vec<_> = all.filter(|r| r.held.spoke.as_str() == SPOKES[y]).collect();
                for receipt in mine {
                    self.tell(SPOKES[x], Event::Receipt(receipt));
                }
            }
            Step::Learns(at) => self.learns(SPOKES[at]),
            Step::Sleeps(at) => self.tell(SPOKES[at], Event::StoodStill),
            Step::Restarts(at) => {
                self.scene.step(&format!("restart {}", SPOKES[at]));
                // Its disk is not an old one in this world.
                self.tell(SPOKES[at], Event::NothingForgotten);
            }
            Step::Closes(next) => {
                let next = set(self.open.epoch + 1, SETS[next]);
                let since = self.scene.now;
                self.closing = Some(Closing {
                    next,
                    since,
                    lost: BTreeSet::new(),
                });
            }
            Step::Covers(at) => self.covers(SPOKES[at]),
            Step::Opens => self.opens(),
            Step::Offers(at) => self.offers(SPOKES[at]),
            Step::Waits => self.scene.now = self.scene.now + 20,
        }
    }

    /// The author writes behind the last head that she finds at a spoke, which may not be the primary.
    fn writes(&mut self, spoke: &str) {
        let Some(head) = self.replica(spoke).durable_tips().last().copied() else {
            return;
        };
        let of = |entry: &spokes_log::ring::VerifiedEntry| entry.entry().id() == head.id;
        let parent = self
            .scene
            .entries
            .iter()
            .position(of)
            .expect("she wrote it");
        let number = self.scene.entries.len();
        self.scene
            .write(&format!("post-{number}"), parent, Vec::new(), 1);
        self.scene.tickets += 1;
        let event = Event::Submitted {
            ticket: self.scene.tickets,
            entry: self.scene.entries[number].clone(),
            refused_elsewhere: false,
        };
        self.tell(spoke, event);
    }

    fn stores(&mut self, spoke: &str) {
        let disk = &self.scene.replicas[spoke].1;
        let seal = disk.seal.clone();
        let written = disk.written.iter().map(|entry| entry.entry().id());
        self.accepted.extend(written.collect::<Vec<_>>());
        self.scene.store(spoke);
        self.listen(spoke);
        if let Some(seal) = seal.filter(|seal| seal.epoch == self.open.epoch) {
            self.seals.insert(spoke.to_owned(), seal);
        }
    }

    /// What one lacks it takes from another, as far as both are of one epoch.
    fn pulls(&mut self, to: &str, from: &str, whatever: bool) {
        let epoch = self.replica(from).settled_epoch();
        if to == from || !whatever && !self.replica(to).exchanges_with(epoch) {
            return;
        }
        let tips = self.replica(from).durable_tips();
        let disk = &self.scene.replicas[from].1;
        let run = disk.durable.clone();
        self.tell(to, Event::Pulled(run));
        let by = label(from);
        self.tell(to, Event::Vouched { by, epoch, tips });
    }

    fn learns(&mut self, spoke: &str) {
        self.scene.epoch = self.open.epoch;
        let next = self.closing.as_ref().map(|closing| closing.next.clone());
        let event = self.scene.event(self.open.clone(), next);
        self.tell(spoke, event);
        self.tell(spoke, Event::CouncilHeard(self.scene.now));
    }

    /// The tips in the seals, once there are enough of them.
    fn sealed(&self) -> Option<BTreeSet<Tip>> {
        let tips = self
            .seals
            .values()
            .flat_map(|seal| seal.tips.iter().copied());
        (self.seals.len() >= self.open.seals_needed()).then(|| tips.collect())
    }

    fn covers(&mut self, spoke: &str) {
        let (Some(tips), Some(_)) = (self.sealed(), &self.closing) else {
            return;
        };
        self.learns(spoke);
        for from in self.seals.keys().cloned().collect::<Vec<_>>() {
            if !tips
                .iter()
                .all(|tip| self.replica(spoke).chain().contains(tip.id))
            {
                self.pulls(spoke, &from, true);
            }
        }
        self.tell(spoke, Event::Cover(tips));
        self.stores(spoke);
    }

    fn opens(&mut self) {
        let (Some(tips), Some(closing)) = (self.sealed(), self.closing.clone()) else {
            return;
        };
        let epoch = closing.next.epoch;
        let holds = |member: &&spokes_rules::node::Label| {
            let said = |tip: &Tip| self.said.contains(&(member.to_string(), epoch, tip.id));
            tips.iter().all(said)
        };
        if closing.next.members.iter().filter(holds).count() < closing.next.majority() {
            return;
        }
        let covered: BTreeSet<EntryId> = tips.iter().map(|tip| tip.id).collect();
        for id in self.safe() {
            let chain = &self.scene.author.chain;
            assert!(
                covered.iter().any(|tip| chain.reaches(*tip, id)),
                "what is safe is in all seals"
            );
        }
        self.scene.covered = tips;
        self.open = closing.next;
        self.sets.insert(epoch, self.open.clone());
        self.closing = None;
        self.seals.clear();
    }

    /// Entries of which a majority of a set has said that it holds them, in the epoch of that set.
    fn safe(&self) -> Vec<EntryId> {
        let chain = &self.scene.author.chain;
        let is_safe = |id: &EntryId| {
            self.sets.values().any(|set| {
                let holds = |member: &&spokes_rules::node::Label| {
                    let mut said = self.said.iter();
                    said.any(|(who, epoch, tip)| {
                        who == member.as_str() && *epoch == set.epoch && chain.reaches(*tip, *id)
                    })
                };
                set.members.iter().filter(holds).count() >= set.majority()
            })
        };
        let entries = self.scene.entries.iter().map(|entry| entry.entry().id());
        entries.filter(is_safe).collect()
    }

    /// One gives what it keeps apart to whom it knows as the primary.
    fn offers(&mut self, spoke: &str) {
        let primary = self
            .replica(spoke)
            .open_set()
            .map(|set| set.primary().to_string());
        let Some(primary) = primary else { return };
        let of = self.replica(&primary).open_set();
        let accepts = of.is_some_and(|set| set.primary().as_str() == primary);
        if !accepts || !self.replica(&primary).is_settled() {
            return;
        }
        let offers = &self.scene.replicas[spoke].1.offers;
        let given: Vec<SealedEntry> = offers.iter().map(|offer| offer.sealed().clone()).collect();
        let replica = self.replica(&primary);
        let none = BTreeSet::new();
        let judged = judge_offers(replica.chain().clone(), replica.fold(), &none, given);
        let mut run = Vec::new();
        for (offer, what) in judged {
            match what {
                Offered::Extends => run.push(offer),
                Offered::Kept if primary != spoke => self.keeps(&primary, offer),
                Offered::Here | Offered::Answered | Offered::Kept => {}
            }
        }
        self.tell(&primary, Event::Pulled(run));
        self.stores(&primary);
        // What is durable there is kept apart no more.
        let durable = &self.scene.replicas[&primary].1.durable;
        let durable: BTreeSet<EntryId> = durable.iter().map(|entry| entry.entry().id()).collect();
        for holder in [spoke, &primary] {
            let disk = &mut self.scene.replicas.get_mut(holder).expect("a spoke").1;
            disk.offers
                .retain(|offer| !durable.contains(&offer.entry().id()));
        }
    }

    fn keeps(&mut self, primary: &str, offer: spokes_log::ring::VerifiedEntry) {
        let disk = &mut self.scene.replicas.get_mut(primary).expect("a spoke").1;
        if !disk.offers.iter().any(|kept| tip(kept) == tip(&offer)) {
            disk.offers.push(offer);
        }
    }

    /// The weather clears: all hear and do all there is to do, again and again.
    fn calms(&mut self) {
        self.closing = None;
        for _ in 0..8 {
            for spoke in SPOKES {
                self.learns(spoke);
                self.tell(spoke, Event::NothingForgotten);
                for other in SPOKES {
                    let lacks = |tip: &Tip| !self.replica(spoke).chain().contains(tip.id);
                    if self.scene.covered.iter().any(lacks) {
                        self.pulls(spoke, other, true);
                    }
                    self.pulls(spoke, other, false);
                    self.stores(spoke);
                }
                self.offers(spoke);
            }
            self.scene.now = self.scene.now + 5;
        }
    }

    fn check(&self) {
        let primary = self.open.primary().as_str();
        for member in &self.open.members {
            let replica = self.replica(member.as_str());
            assert!(replica.is_settled(), "{member} has settled");
            for id in self.safe() {
                assert!(replica.chain().contains(id), "{member} has what was safe");
            }
        }
        // Only one accepts in each epoch, and what another had accepted then goes on behind it, or not.
        let heads = self.replica(primary).chain().heads();
        assert!(heads.len() == 1, "readers see no fork that no author made");
        let offered = |id: &EntryId| {
            let mut disks = self.scene.replicas.values().map(|(_, disk)| disk);
            disks.any(|disk| disk.offers.iter().any(|offer| offer.entry().id() == *id))
        };
        for id in &self.accepted {
            let here = self.replica(primary).chain().contains(*id);
            assert!(here || offered(id), "what was accepted is somewhere");
            assert!(!(here && offered(id)), "and not in both");
        }
    }

    /// All that is known, in words.
    fn state(&self) -> String {
        let spokes = SPOKES.map(|spoke| {
            let (replica, disk) = &self.scene.replicas[spoke];
            let offers: Vec<Tip> = disk.offers.iter().map(tip).collect();
            format!("{spoke} {:?} {offers:?}\n", replica.durable_tips())
        });
        spokes.concat()
    }
}

fn live(steps: &[Step]) -> World {
    let mut world = World::new();
    steps.iter().for_each(|step| world.happens(step));
    world.calms();
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_is_lost_and_nothing_stands_in_two_places(steps in steps()) {
        let world = live(&steps);
        world.check();
        prop_assert_eq!(world.state(), live(&steps).state());
    }
}
