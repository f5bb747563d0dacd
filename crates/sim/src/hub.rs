//! The hub: virtual time, the queue of what comes, the air between nodes, and the trace.

use std::{collections::BTreeMap, fmt};

use spokes_log::time::Time;

use crate::{
    chance::Chance,
    founding,
    keys::Keys,
    message::{Ask, Message, Node},
    plan::{Air, CLEAR, Fault},
    plant::Plant,
    truth::Truth,
};

/// Milliseconds since the run began.
pub type Millis = u64;
/// One second.
pub const SECOND: Millis = 1_000;
/// One minute.
pub const MINUTE: Millis = 60 * SECOND;
/// When every run begins: 2026-11-23T14:05:00Z.
pub const START: Time = Time::from_unix(1_795_442_700);

/// Messages lost or late, in thousandths, that no observer takes for a death.
const CALM_PER_MILLE: u64 = 15;

/// How long losses show in what observers say.
const ROUGH: Millis = 2 * MINUTE;

/// What comes to pass at some time.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message arrives.
    Arrives(Node, Node, Box<Message>),
    /// A node looks around. The number is that of its start: a spoke that crashed does not go on.
    Tick(Node, u64),
    /// A node looks at the spokes that it watches.
    Look(Node),
    /// A sync of a spoke's disk ends.
    Synced(usize, u64),
    /// A fault begins.
    Begins(Fault),
    /// A fault ends.
    Ends(Fault),
    /// The weather clears.
    Clears,
}

/// A way, or all ways of a node, on which nothing goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Way {
    /// From the one to the other, and not back.
    From(Node, Node),
    /// From this node to anybody.
    Out(Node),
    /// From anybody to this node.
    In(Node),
    /// Between this node and all other nodes; authors reach it.
    Island(Node),
}

/// A clock, and how wrong it goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// By so many seconds.
    pub skew: i64,
    /// By so many seconds more in each thousand.
    pub drift: i64,
}

/// How much of what happens is kept to be printed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// What a person reads: the weather, the registry's records, and what became of it.
    Story,
    /// Everything.
    All,
}

/// What all nodes share.
#[derive(Debug)]
pub struct Hub {
    /// The time.
    pub now: Millis,
    /// The seed's numbers.
    pub chance: Chance,
    /// The keys of the authors.
    pub keys: Keys,
    /// What an all-knowing observer remembers.
    pub truth: Truth,
    /// The bug that was planted.
    pub plant: Option<Plant>,
    /// Whether the weather has cleared.
    pub clear: bool,
    queue: BTreeMap<(Millis, u64), Event>,
    queued: u64,
    asked: Ask,
    air: Air,
    /// From when on nothing shows any more of what was lost before.
    calm_from: Millis,
    /// Ways on which nothing goes, and how many faults each is cut by.
    cut: BTreeMap<Way, u32>,
    /// When each way was mended last.
    mended: BTreeMap<Way, Millis>,
    hash: u64,
    told: Told,
    lines: Vec<String>,
}

impl Hub {
    /// The beginning of a run.
    pub fn new(chance: Chance, air: Air, plant: Option<Plant>, told: Told) -> Self {
        Self {
            now: 0,
            chance,
            keys: Keys::new(START),
            truth: Truth::default(),
            plant,
            clear: false,
            queue: BTreeMap::new(),
            queued: 0,
            asked: 0,
            air,
            calm_from: 0,
            cut: BTreeMap::new(),
            mended: BTreeMap::new(),
            // FNV-1a's first value.
            hash: 0xCBF2_9CE4_8422_2325,
            told,
            lines: Vec::new(),
        }
    }

    /// Whether this bug was planted.
    pub fn has(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    /// What a clock shows that goes wrong by so many seconds.
    pub fn clock(&self, skew: i64) -> Time {
        START + (i64::try_from(self.now / SECOND).unwrap_or(0) + skew)
    }

    /// What this clock shows.
    pub fn time(&self, clock: Clock) -> Time {
        let passed = i64::try_from(self.now / SECOND).unwrap_or(0);
        self.clock(clock.skew + passed * clock.drift / 1_000)
    }

    /// A number that no question had before; tickets are such numbers too.
    pub fn ask(&mut self) -> Ask {
        self.asked += 1;
        self.asked
    }

    /// Lets something come to pass later.
    pub fn later(&mut self, after: Millis, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now + after, self.queued), event);
    }

    /// What comes next; time goes on to it.
    pub fn come(&mut self) -> Option<Event> {
        let ((at, _), event) = self.queue.pop_first()?;
        self.now = at;
        Some(event)
    }

    /// Sends a message through the air.
    pub fn send(&mut self, from: Node, to: Node, message: Message) {
        if self.is_cut(from, to) || self.chance.per_mille(self.air.lost) {
            return;
        }
        let copies = if self.chance.per_mille(self.air.doubled) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let slow = self.chance.per_mille(self.air.slow);
            let (least, most) = if slow {
                (SECOND, 20 * SECOND)
            } else {
                (5, 150)
            };
            let delay = self.chance.between(least, most);
            self.later(delay, Event::Arrives(from, to, Box::new(message.clone())));
        }
    }

    /// Whether nothing goes from the one to the other.
    pub fn is_cut(&self, from: Node, to: Node) -> bool {
        if self.cut.is_empty() {
            return false;
        }
        let between_nodes = !matches!((from, to), (Node::Device(_), _) | (_, Node::Device(_)));
        let is_cut = |way: Way| self.cut.contains_key(&way);
        is_cut(Way::From(from, to))
            || is_cut(Way::Out(from))
            || is_cut(Way::In(to))
            || between_nodes && (is_cut(Way::Island(from)) || is_cut(Way::Island(to)))
    }

    /// Cuts a way.
    pub fn cut(&mut self, way: Way) {
        *self.cut.entry(way).or_default() += 1;
    }

    /// Mends a way, where no other fault cuts it, too.
    pub fn mend(&mut self, way: Way) {
        if let Some(faults) = self.cut.get_mut(&way) {
            *faults -= 1;
            if *faults == 0 {
                self.cut.remove(&way);
            }
            self.mended.insert(way, self.now);
        }
    }

    /// Whether something small that goes to and fro would miss its time on this way.
    pub fn misses(&mut self, from: Node, to: Node) -> bool {
        let (lost, slow) = (self.air.lost, self.air.slow);
        self.is_cut(from, to) || lost + slow > 0 && self.chance.per_mille(lost + slow)
    }

    /// Whether the way from the one to the other was cut since then.
    pub fn was_cut(&self, from: Node, to: Node, since: Millis) -> bool {
        let mended = self.mended.get(&Way::From(from, to));
        self.is_cut(from, to) || mended.is_some_and(|at| *at >= since)
    }

    /// Whether so little is lost or late that three losses in a row have another reason.
    pub fn is_calm(&self) -> bool {
        self.air.lost + self.air.slow <= CALM_PER_MILLE && self.now >= self.calm_from
    }

    /// Clears the weather.
    pub fn clear(&mut self) {
        if !self.is_calm() {
            self.calm_from = self.now + ROUGH;
        }
        (self.clear, self.air) = (true, CLEAR);
        for way in std::mem::take(&mut self.cut).into_keys() {
            self.mended.insert(way, self.now);
        }
    }

    /// Notes a line of the trace; its hash is what two runs of one seed have in common.
    pub fn note(&mut self, node: Node, what: fmt::Arguments<'_>) {
        self.line(Told::All, node, what);
    }

    /// Notes a line of the story that a person reads.
    pub fn story(&mut self, node: Node, what: fmt::Arguments<'_>) {
        self.line(Told::Story, node, what);
    }

    fn line(&mut self, least: Told, node: Node, what: fmt::Arguments<'_>) {
        let now = Seconds(self.now);
        let line = match node {
            Node::Council => format!("{now:>9} council  {what}"),
            Node::Spoke(n) => format!("{now:>9} {:<8} {what}", founding::label(n)),
            Node::Device(n) => format!("{now:>9} device {n} {what}"),
        };
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        if self.told >= least {
            self.lines.push(line);
        }
    }

    /// The hash of the trace and of how much happened.
    pub fn hash(&self) -> u64 {
        self.hash ^ self.queued.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    /// What was kept of the trace.
    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

/// Milliseconds, shown as seconds.
struct Seconds(Millis);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / SECOND, self.0 % SECOND);
        f.pad_integral(true, "", &text)
    }
}
