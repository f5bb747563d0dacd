//! What thousands of spokes cost the council: the reports of their observers, counted, and the time that it
//! takes to judge them by the real rules.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use spokes_rules::{
    health::{Report, Says},
    node::{Label, NodeSecret, Signed},
    registry::{Registry, Verdict},
    request::{Ask, Request, Wish},
};

use crate::{
    chance::Chance,
    founding,
    hub::{Hub, Millis, SECOND, Told},
    plan::{CLEAR, Plan},
    watch::{self, Eyes, Watching},
};

/// How long each weather lasts, in seconds.
const LASTS: u64 = 120;
/// How long a spoke of the churn is away, in seconds: a server that is started anew.
const AWAY: u64 = 40;
/// How old a report may be that the leader counts.
const REPORT: Millis = 3 * watch::SAY_AGAIN;

/// What happens to the spokes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weather {
    /// Nothing.
    Rest,
    /// One in a hundred goes within a minute, each for some while.
    Churn,
    /// One in ten is lost at once.
    Loss,
}

/// What was counted.
#[derive(Clone, Debug)]
pub struct Count {
    /// The weather.
    pub weather: Weather,
    /// Looks of one spoke at another, each second.
    pub looks: u64,
    /// Reports that the council got, and the most in one second.
    pub reports: (u64, u64),
    /// Records of health that it made.
    pub records: u64,
    /// The time that the council's leader took, and the most for one second.
    pub took: (Duration, Duration),
    /// Seconds from the loss of a spoke until the registry said so, at worst.
    pub slowest: u64,
}

/// A network of so many spokes and its council's leader.
#[derive(Debug)]
pub struct Crowd {
    hub: Hub,
    registry: Registry,
    watching: Watching,
    spokes: Vec<(Label, NodeSecret, Eyes)>,
    reports: BTreeMap<Label, BTreeMap<Label, (Says, Millis, Signed)>>,
    /// Since when each lost spoke is gone.
    gone: BTreeMap<Label, Millis>,
}

impl Crowd {
    /// Founds a network of so many spokes, each of another operator.
    pub fn new(spokes: usize) -> Self {
        let mut plan = Plan::new(&mut Chance::new(1));
        (plan.operators, plan.founders) = ((0..spokes).collect(), spokes);
        let (registry, _) = founding::found(&plan);
        let all = (0..spokes).map(|number| {
            let label = founding::label(number);
            let secret = founding::secret_of(&label);
            (label, secret, Eyes::default())
        });
        Self {
            hub: Hub::new(Chance::new(1), CLEAR, None, Told::Nothing),
            watching: Watching::of(&registry),
            registry,
            spokes: all.collect(),
            reports: BTreeMap::new(),
            gone: BTreeMap::new(),
        }
    }

    /// Plays one weather.
    pub fn play(&mut self, weather: Weather) -> Count {
        let mut count = Count {
            weather,
            looks: 0,
            reports: (0, 0),
            records: 0,
            took: (Duration::ZERO, Duration::ZERO),
            slowest: 0,
        };
        let all = self.spokes.len();
        for second in 0..LASTS {
            self.hub.now += SECOND;
            let lost = match weather {
                Weather::Rest => 0,
                // The last of them comes back while there is still time to see it.
                Weather::Churn if second < 60 => {
                    let so_far = |second| all as u64 * second / 6_000;
                    so_far(second + 1) - so_far(second)
                }
                Weather::Loss if second == 0 => all as u64 / 10,
                _ => 0,
            };
            for _ in 0..lost {
                let at = self.hub.chance.index(all);
                self.gone.insert(self.spokes[at].0.clone(), self.hub.now);
            }
            if weather == Weather::Churn {
                let now = self.hub.now;
                self.gone.retain(|_, since| now < *since + AWAY * SECOND);
            }
            self.second(&mut count);
        }
        count.looks /= LASTS;
        count
    }

    /// One second: a third of all observers look, and the leader judges what they say.
    fn second(&mut self, count: &mut Count) {
        let third = (self.hub.now / SECOND) % 3;
        let mut heard = Vec::new();
        for (number, (label, secret, eyes)) in self.spokes.iter_mut().enumerate() {
            if number as u64 % 3 != third || self.gone.contains_key(label) {
                continue;
            }
            let watched = self.watching.by(secret.key());
            count.looks += watched.len() as u64;
            let see = |of: &Label| match self.gone.contains_key(of) {
                true => (of.clone(), Says::Silent),
                false => (of.clone(), Says::Answers),
            };
            let saw: Vec<_> = watched.iter().map(see).collect();
            for (of, says) in eyes.look(&self.hub, &self.registry, &saw) {
                let (network, now) = (self.registry.network(), self.hub.clock(0));
                heard.push(watch::report(network, (label, secret), now, of, says));
            }
        }
        let many = heard.len() as u64;
        count.reports = (count.reports.0 + many, count.reports.1.max(many));
        let began = Instant::now();
        let before = count.records;
        let touched: BTreeSet<Label> = heard.into_iter().filter_map(|r| self.hear(r)).collect();
        for label in touched {
            if self.judge(&label) {
                count.records += 1;
                let since = self.gone.get(&label).map(|since| self.hub.now - since);
                count.slowest = count.slowest.max(since.unwrap_or(0) / SECOND);
            }
        }
        let took = began.elapsed();
        count.took = (count.took.0 + took, count.took.1.max(took));
        if count.records > before {
            // Each spoke does this for itself.
            self.watching = Watching::of(&self.registry);
        }
    }

    fn hear(&mut self, signed: Signed) -> Option<Label> {
        let report = Report::parse(signed.text.as_bytes()).ok()?;
        let about = self.reports.entry(report.of.clone()).or_default();
        about.insert(report.observer, (report.says, self.hub.now, signed));
        Some(report.of)
    }

    /// Whether a record was made of what is said of this spoke.
    fn judge(&mut self, label: &Label) -> bool {
        let down = self.registry.spoke(label).and_then(|s| s.health.down);
        let (says, what) = match down {
            None => (
                Says::Silent,
                Wish::Down {
                    label: label.clone(),
                },
            ),
            Some(_) => (
                Says::Answers,
                Wish::Up {
                    label: label.clone(),
                },
            ),
        };
        let counts =
            |(said, at, _): &&(Says, Millis, Signed)| *said == says && self.hub.now < at + REPORT;
        let about = self.reports.get(label).into_iter().flatten();
        let agree = about.map(|(_, report)| report).filter(counts);
        let statements: Vec<Signed> = agree.map(|(.., signed)| signed.clone()).collect();
        if statements.len() <= self.registry.observers(label).len() / 2 {
            return false;
        }
        let now = self.hub.clock(0);
        let ask = Ask {
            network: Some(self.registry.network()),
            time: now,
            what,
        };
        let signed = Signed::new(&founding::council_secret(0), &ask);
        let request = Request {
            statements,
            ..Request::plain(signed)
        };
        if !matches!(self.registry.judge(now, &request), Ok(Verdict::New)) {
            return false;
        }
        let record = self.registry.next_record(now, request);
        self.reports.remove(label);
        self.registry.take(&record).is_ok()
    }
}
