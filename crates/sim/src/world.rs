//! A whole run: the council, the spokes and the authors, the weather over them, and the verdict.

use spokes_rules::{health::Says, node::Label, registry::Registry};

use crate::{
    chance::Chance,
    council::Council,
    device::{self, Device},
    founding,
    hub::{Clock, Event, Hub, MINUTE, Millis, SECOND, Told},
    message::Node,
    plan::Plan,
    plant::Plant,
    spoke::Spoke,
    watch,
};

/// How long after the weather has cleared everything must be in order (promise 8): a silent member
/// keeps its place for an hour, a set waits an hour for seals, and one may follow the other.
const HEAL: Millis = 150 * MINUTE;
/// How often it is asked whether all is in order.
const ASK: Millis = 5 * SECOND;

/// What came out of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The promise that was broken, if any.
    pub broken: Option<String>,
    /// The same for two runs of one seed.
    pub hash: u64,
    /// How long the run was, in virtual milliseconds.
    pub lasted: Millis,
    /// Texts that their authors count as safe.
    pub safe: usize,
    /// Records of the registry.
    pub records: u64,
    /// What happened, if it was to be traced.
    pub trace: Vec<String>,
}

/// Runs one seed to its end.
pub fn run(seed: u64, plant: Option<Plant>, told: Told) -> Outcome {
    World::new(seed, plant, told).run()
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) council: Council,
    pub(crate) spokes: Vec<Spoke>,
    pub(crate) operators: Vec<usize>,
    pub(crate) devices: Vec<Device>,
}

impl World {
    fn new(seed: u64, plant: Option<Plant>, told: Told) -> Self {
        let mut chance = Chance::new(seed);
        let plan = Plan::new(&mut chance);
        let mut hub = Hub::new(chance, plan.air, plant, told);
        hub.note(Node::Council, format_args!("{plan:?}"));
        let council = Council::found(&plan);
        let network = council.registry().network();
        hub.truth.check_registry(council.registry());
        let mut spokes: Vec<Spoke> = Vec::new();
        for number in 0..plan.spokes() {
            let skew = device::skew(&mut hub);
            let drift = plan.drift.filter(|(spoke, _)| *spoke == number);
            let drift = drift.map_or(0, |(_, drift)| drift);
            let clock = Clock { skew, drift };
            let mut spoke = Spoke::new(number, network, clock, plan.patience);
            if number < plan.founders {
                spoke.join();
                spoke.start(&mut hub);
            }
            spokes.push(spoke);
        }
        let mut devices: Vec<Device> = Vec::new();
        for (author, (count, _)) in plan.authors.iter().enumerate() {
            let first = Device::first(&mut hub, &plan, author, devices.len(), network);
            for n in 1..*count {
                let another = first.another(&mut hub, devices.len() + n);
                devices.push(another);
            }
            let at = devices.len() + 1 - count;
            devices.insert(at, first);
        }
        hub.later(SECOND, Event::Tick(Node::Council, 0));
        for number in 0..devices.len() {
            let begins = hub.chance.between(SECOND, 30 * SECOND);
            hub.later(begins, Event::Tick(Node::Device(number), 0));
        }
        let eyes = (0..spokes.len()).map(Node::Spoke).chain([Node::Council]);
        for node in eyes {
            let begins = hub.chance.below(watch::LOOK);
            hub.later(begins, Event::Look(node));
        }
        for (at, fault) in &plan.faults {
            hub.later(*at, Event::Begins(*fault));
        }
        hub.later(plan.weather, Event::Clears);
        Self {
            hub,
            council,
            spokes,
            operators: plan.operators,
            devices,
        }
    }

    /// The spoke with this label.
    pub(crate) fn spoke(&self, label: &Label) -> Option<&Spoke> {
        self.spokes.get(founding::spoke_of(label)?)
    }

    pub(crate) fn is_alive(&self, label: &Label) -> bool {
        self.spoke(label).is_some_and(|spoke| !spoke.is_dead())
    }

    fn run(mut self) -> Outcome {
        let (mut cleared_at, mut ask_at) = (None, 0);
        while let Some(event) = self.hub.come() {
            self.step(event);
            if self.hub.truth.shaken {
                let registry = self.council.registry();
                self.hub.truth.check_safe(registry, &self.spokes);
            }
            if self.hub.truth.broken.is_some() {
                break;
            }
            if !self.hub.clear || self.hub.now < ask_at {
                continue;
            }
            ask_at = self.hub.now + ASK;
            let since = *cleared_at.get_or_insert(self.hub.now);
            let complaint = self.complaint();
            if complaint.is_none() {
                self.check_end();
                break;
            }
            if self.hub.now > since + HEAL {
                let complaint = complaint.unwrap_or_default();
                self.hub.truth.breaks(format!("promise 8: {complaint}"));
                break;
            }
        }
        Outcome {
            broken: self.hub.truth.broken.clone(),
            hash: self.hub.hash(),
            lasted: self.hub.now,
            safe: self.hub.truth.safe.len(),
            records: self.council.registry().head().records,
            trace: self.hub.take_lines(),
        }
    }

    fn step(&mut self, event: Event) {
        if let Event::Arrives(_, Node::Spoke(n), _)
        | Event::Tick(Node::Spoke(n), _)
        | Event::Look(Node::Spoke(n))
        | Event::Synced(n, _) = &event
        {
            let until = self.spokes[*n].paused_until;
            if self.hub.now < until {
                return self.hub.later(until - self.hub.now, event);
            }
        }
        let hub = &mut self.hub;
        match event {
            Event::Arrives(from, Node::Council, message) => {
                self.council.receive(hub, from, *message);
            }
            Event::Arrives(from, Node::Spoke(n), message) => {
                self.spokes[n].receive(hub, from, *message);
            }
            Event::Arrives(_, Node::Device(n), message) => self.devices[n].receive(hub, *message),
            Event::Tick(Node::Council, _) => self.council.tick(hub),
            Event::Tick(Node::Spoke(n), start) => self.spokes[n].tick(hub, start),
            Event::Tick(Node::Device(n), _) => self.devices[n].tick(hub),
            Event::Look(node) => self.look(node),
            Event::Synced(n, start) => self.spokes[n].synced(hub, start),
            Event::Begins(fault) => self.begin(fault),
            Event::Ends(fault) => self.end(fault),
            Event::Clears => self.clear(),
        }
    }

    /// A node looks at the spokes that it watches.
    fn look(&mut self, node: Node) {
        self.hub.later(watch::LOOK, Event::Look(node));
        if let Node::Spoke(n) = node {
            let saw = self.see(node, self.spokes[n].watched());
            return self.spokes[n].looked(&mut self.hub, &saw);
        }
        for (eyes, watched) in self.council.watched(self.hub.now).into_iter().enumerate() {
            let saw = self.see(node, watched);
            self.council.looked(&mut self.hub, eyes, &saw);
        }
    }

    fn see(&mut self, node: Node, watched: Vec<Label>) -> Vec<(Label, Says)> {
        let see = |label| match self.answers(node, &label) {
            true => (label, Says::Answers),
            false => (label, Says::Silent),
        };
        watched.into_iter().map(see).collect()
    }

    /// Whether a spoke answers in time with a page and a receipt that it has just signed.
    fn answers(&mut self, asks: Node, label: &Label) -> bool {
        let Some(spoke) = founding::spoke_of(label).and_then(|n| self.spokes.get(n)) else {
            return false;
        };
        let there = spoke.is_up() && self.hub.now >= spoke.paused_until;
        let node = spoke.node();
        there && !self.hub.misses(asks, node) && !self.hub.misses(node, asks)
    }

    fn check_end(&mut self) {
        let devices: Vec<_> = self.devices.iter().map(|d| (d.blog(), 0)).collect();
        let registry = self.council.registry();
        self.hub.truth.check_end(registry, &self.spokes, &devices);
        // Whoever follows the log computes the same registry.
        let log = self.council.log();
        let mut followed = Registry::found(&log[0]).ok();
        for record in &log[1..] {
            followed = followed.and_then(|mut r| r.take(record).ok().map(|_| r));
        }
        let acknowledged = &self.council.acknowledged;
        let lost = acknowledged.iter().find(|(index, id)| {
            let at = usize::try_from(*index).ok().and_then(|at| log.get(at));
            at.is_none_or(|record| record.request.id() != *id)
        });
        if let Some((index, _)) = lost {
            let what = format!("promise 5: what was acknowledged as record {index} is lost");
            self.hub.truth.breaks(what);
        }
        let same = followed.is_some_and(|followed| {
            followed.head() == registry.head() && followed.blogs().eq(registry.blogs())
        });
        if !same {
            self.hub
                .truth
                .breaks("promise 5: the log adds up to another registry".into());
        }
    }
}
