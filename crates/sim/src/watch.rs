//! Eyes: how a node watches the spokes that fall to it, and when it says what it sees.
//!
//! A look is not made of messages: whether a page and its fresh receipt would come back in time is
//! asked of the world at once. That costs a large network a tenth of the events.

use std::collections::{BTreeMap, BTreeSet};

use spokes_log::{name::Hash, time::Time};
use spokes_rules::{
    health::{ANSWERS, MISSES, PROBE_SECONDS, Report, Says, Watch},
    node::{Label, NodeKey, NodeSecret, Signed},
    registry::Registry,
};

use crate::{
    founding,
    hub::{Hub, Millis, SECOND},
    message::Node,
    plant::Plant,
};

/// How often spokes are looked at.
pub const LOOK: Millis = PROBE_SECONDS * SECOND;
/// How often a report is said again as long as the registry says something else: the leader may be a
/// new one.
pub const SAY_AGAIN: Millis = 5 * SECOND;

/// Whom each node watches, as one registry has it.
#[derive(Clone, Debug, Default)]
pub struct Watching {
    by_observer: BTreeMap<NodeKey, Vec<Label>>,
}

impl Watching {
    /// Works it out once for all: each node would do so for itself.
    pub fn of(registry: &Registry) -> Self {
        let mut by_observer: BTreeMap<NodeKey, Vec<Label>> = BTreeMap::new();
        for (label, _) in registry.admitted() {
            for (_, key) in registry.observers(label) {
                by_observer.entry(key).or_default().push(label.clone());
            }
        }
        Self { by_observer }
    }

    /// The spokes that this node watches.
    pub fn by(&self, observer: NodeKey) -> &[Label] {
        self.by_observer.get(&observer).map_or(&[], Vec::as_slice)
    }
}

/// What one observer saw and said.
#[derive(Debug, Default)]
pub struct Eyes {
    watches: BTreeMap<Label, Watched>,
    looked: Millis,
}

#[derive(Debug)]
struct Watched {
    watch: Watch,
    /// Looks in a row that agreed with the opinion, up to as many as make sure.
    sure: u32,
    /// What it said last, and when.
    said: Option<(Says, Millis)>,
}

impl Watched {
    /// Who begins to watch takes the registry's word for it, and makes sure.
    fn new(down: bool) -> Self {
        let opinion = if down { Says::Silent } else { Says::Answers };
        let watch = Watch::new(opinion);
        Self {
            watch,
            sure: 0,
            said: None,
        }
    }

    fn look(&mut self, saw: Says, looks: u32) {
        for _ in 0..looks {
            if self.watch.look(saw).is_some() {
                self.sure = ANSWERS;
            }
        }
        self.sure = match saw == self.watch.opinion() {
            true => (self.sure + 1).min(ANSWERS),
            false => 0,
        };
    }
}

impl Eyes {
    /// Takes in one look at each watched spoke; gives what is to be said of some.
    pub fn look(
        &mut self,
        hub: &Hub,
        registry: &Registry,
        saw: &[(Label, Says)],
    ) -> Vec<(Label, Says)> {
        // Who stood still, or is new, knows nothing of the time between.
        let away = hub.now > self.looked + 2 * LOOK;
        self.looked = hub.now;
        let watched: BTreeSet<&Label> = saw.iter().map(|(label, _)| label).collect();
        self.watches.retain(|label, _| watched.contains(label));
        // One miss is enough for the planted eyes.
        let looks = if hub.has(Plant::Flaps) { MISSES } else { 1 };
        let mut reports = Vec::new();
        for (label, saw) in saw {
            let spoke = registry.spoke(label);
            let down = spoke.is_some_and(|spoke| spoke.health.down.is_some());
            if !self.watches.contains_key(label) {
                self.watches.insert(label.clone(), Watched::new(down));
            }
            let Some(watched) = self.watches.get_mut(label) else {
                continue;
            };
            if away {
                watched.watch.was_away();
                watched.sure = 0;
            }
            watched.look(*saw, looks);
            let opinion = watched.watch.opinion();
            let is_news = (opinion == Says::Silent) != down;
            let due = match watched.said {
                None => is_news,
                // What is not so any more is taken back, or it would count with what others say later.
                Some((said, at)) => said != opinion || is_news && hub.now >= at + SAY_AGAIN,
            };
            if due && watched.sure == ANSWERS {
                watched.said = Some((opinion, hub.now));
                reports.push((label.clone(), opinion));
            }
        }
        reports
    }
}

/// Signs what an observer says.
pub fn report(
    network: Hash,
    observer: (&Label, &NodeSecret),
    now: Time,
    of: Label,
    says: Says,
) -> Signed {
    let report = Report {
        network,
        observer: observer.0.clone(),
        of,
        says,
        time: now,
    };
    Signed::new(observer.1, &report)
}

/// How long what happened may still show in what observers say: misses, the way of their reports, and a
/// leader that was missing for a moment.
const SHOWS: Millis = 150 * SECOND;
/// A spoke that was away for less is not seen to miss three looks, the first of which may miss by chance.
const SHORTEST: Millis = (MISSES as Millis - 2) * LOOK - SECOND / 10;
/// The most changes of one spoke's health in ten minutes: it rests one minute after its first fall, and
/// twice as long after each other.
const CHANGES_MAX: usize = 8;

impl Hub {
    /// The registry says that a spoke is silent. Promise 9: none is said to be that was well, unless most
    /// of those who watch it could not see.
    pub fn fell(&mut self, before: &Registry, label: &Label) {
        self.story(Node::Council, format_args!("says that {label} is silent"));
        self.changed(label);
        let Some(spoke) = founding::spoke_of(label) else {
            return;
        };
        let since = self.now.saturating_sub(SHOWS);
        if self.truth.was_away(spoke, self.now, since, SHORTEST) || !self.is_calm() {
            return;
        }
        let observers = before.observers(label);
        let blind = observers.iter().filter(|(observer, _)| {
            let number = founding::spoke_of(observer);
            let away = number.is_some_and(|n| self.truth.was_away(n, self.now, since, 0));
            let (it, other) = (
                Node::Spoke(spoke),
                number.map_or(Node::Council, Node::Spoke),
            );
            away || self.was_cut(it, other, since) || self.was_cut(other, it, since)
        });
        let (blind, all) = (blind.count(), observers.len());
        if blind <= all / 2 {
            self.truth.breaks(format!(
                "promise 9: {label} is said to be silent and was well, {blind} of {all} observers \
                 could not see"
            ));
        }
    }

    /// The registry says that a spoke is back.
    pub fn rose(&mut self, label: &Label) {
        self.story(Node::Council, format_args!("says that {label} is back"));
        self.changed(label);
    }

    fn changed(&mut self, label: &Label) {
        let changes = self.truth.changes_of_health(label, self.now);
        if changes > CHANGES_MAX {
            let what = format!("promise 9: {label} flaps, {changes} changes in ten minutes");
            self.truth.breaks(what);
        }
    }
}
