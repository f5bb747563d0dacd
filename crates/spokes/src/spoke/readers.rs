//! Counting readers: how many requests there are for each blog here, and what its primary makes of that.
//!
//! A number for each blog and no more: nobody's address, nobody's page.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use spokes_log::{name::BlogId, time::Time};
use spokes_rules::{
    demand::{RATES_MAX, Rate, Rates, Readers, smoothed, worth_telling},
    node::{Label, Signed},
    registry::Registry,
    request::Wish,
};

use super::Spoke;
use crate::{
    client::{Ask, Reply},
    clock,
    wire::{ReceiptsWire, SignedWire},
};

/// How often a member tells a high rate again: thrice while it counts.
const TELL_EVERY: Duration = Duration::from_secs(15);
/// How often the primary looks for blogs that have more replicas than usual and nobody says why.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What is known here of readers.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When requests were counted last.
    counted: Option<Instant>,
    told: Option<Instant>,
    looked: Option<Instant>,
    /// Requests a minute for blogs that have any.
    rates: BTreeMap<BlogId, u64>,
    /// Of blogs whose primary this spoke is.
    readers: BTreeMap<BlogId, Readers>,
}

impl Counts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is time again.
fn is_time(last: &mut Option<Instant>, now: Instant, every: Duration) -> bool {
    let is_time = last.is_none_or(|last| now.duration_since(last) >= every);
    if is_time {
        *last = Some(now);
    }
    is_time
}

impl State {
    /// Takes in what was served since the last time.
    fn count(&mut self, now: Instant, served: &BTreeMap<BlogId, u64>) {
        let since = self.counted.replace(now);
        let Some(since) = since else { return };
        let millis = u64::try_from(now.duration_since(since).as_millis()).unwrap_or(u64::MAX);
        let counted = self.rates.keys().chain(served.keys()).copied();
        let rate = |blog: BlogId| {
            let before = self.rates.get(&blog).copied().unwrap_or_default();
            let served = served.get(&blog).copied().unwrap_or_default();
            (blog, smoothed(before, served, millis))
        };
        let rates: BTreeMap<_, _> = counted.map(rate).filter(|(_, rate)| *rate > 0).collect();
        self.rates = rates;
    }

    /// What this spoke tells the primaries of blogs whose secondary it is.
    fn to_tell(&self, registry: &Registry, me: &Label) -> BTreeMap<Label, Vec<Rate>> {
        let least = worth_telling(&registry.founding().policy);
        let mut told: BTreeMap<Label, Vec<Rate>> = BTreeMap::new();
        for (&blog, &per_minute) in self.rates.iter().filter(|(_, rate)| **rate >= least) {
            let Some(record) = registry.blog(blog).filter(|b| b.set.has(me)) else {
                continue;
            };
            let rates = told.entry(record.set.primary().clone()).or_default();
            if rates.len() < RATES_MAX {
                rates.push(Rate { blog, per_minute });
            }
        }
        told.remove(me);
        told
    }

    /// What the registry should hear of blogs whose primary this spoke is.
    fn wishes(&mut self, now: Time, registry: &Registry, me: &Label, look: bool) -> Vec<Wish> {
        let is_mine = |blog: &BlogId| {
            let record = registry.blog(*blog);
            record.is_some_and(|record| record.set.primary() == me)
        };
        let policy = &registry.founding().policy;
        let own = self.rates.iter().filter(|(blog, _)| is_mine(blog));
        for (blog, rate) in own {
            let readers = self.readers.entry(*blog).or_default();
            readers.hear(now, me.clone(), *rate);
        }
        if look {
            let placed = registry.placed_on(me).filter(is_mine);
            let has_more = |id: &BlogId| registry.blog(*id).is_some_and(|b| b.demand.more > 0);
            for blog in placed.filter(has_more) {
                self.readers.entry(blog).or_default();
            }
        }
        let mut wishes = Vec::new();
        self.readers.retain(|id, readers| {
            let Some(blog) = registry.blog(*id).filter(|b| b.set.primary() == me) else {
                return false;
            };
            let wants = readers.wants(now, blog, policy);
            // More than there are servers of others would be a wish for nothing.
            let may_grow = || {
                let operator = |label: &Label| registry.spoke(label).map(|s| &s.operator);
                let taken: Vec<_> = blog.set.members.iter().filter_map(operator).collect();
                let candidates = registry.candidates();
                candidates.iter().any(|c| !taken.contains(&c.operator))
            };
            let wants = wants.filter(|more| *more < blog.demand.more || may_grow());
            wishes.extend(wants.map(|more| Wish::Demand { blog: *id, more }));
            !readers.is_empty() || blog.demand.more > 0
        });
        wishes
    }
}

impl Spoke {
    /// Counts what was served, tells primaries, and asks the council for what readers need.
    pub(super) async fn tell_readers(&self) {
        let (now, instant) = (clock::now(), Instant::now());
        let served = self.replicas.served();
        let planned = self.ask(|registry| {
            let mut state = self.counts.state();
            state.count(instant, &served);
            let look = is_time(&mut state.looked, instant, LOOK_EVERY);
            let wishes = state.wishes(now, registry, &self.me, look);
            let told = state.to_tell(registry, &self.me);
            let tell = !told.is_empty() && is_time(&mut state.told, instant, TELL_EVERY);
            (wishes, if tell { told } else { BTreeMap::new() })
        });
        let (wishes, told) = planned.unwrap_or_default();
        for (primary, rates) in told {
            self.tell_primary(&primary, now, rates).await;
        }
        for wish in wishes {
            tracing::info!(?wish, "readers need another number of replicas");
            match self.ask_council(wish, now, Vec::new()).await {
                Ok(Reply::Good(..)) => {}
                Ok(Reply::Refused(problem)) => {
                    tracing::debug!(problem.detail, "the demand was not taken");
                }
                Err(outage) => tracing::debug!(%outage, "the council did not hear of the demand"),
            }
        }
    }

    async fn tell_primary(&self, primary: &Label, time: Time, rates: Vec<Rate>) {
        let Some(to) = self.address(primary) else {
            return;
        };
        let (network, spoke) = (self.network, self.me.clone());
        let rates = Rates {
            network,
            spoke,
            time,
            rates,
        };
        let body = ReceiptsWire {
            rates: Some(SignedWire::from(&Signed::new(&self.secret, &rates))),
            ..ReceiptsWire::default()
        };
        let ask = Ask::new(to, "/api/v1/receipts");
        let sent = self.client.post::<_, serde_json::Value>(ask, &body).await;
        if let Err(outage) = sent {
            tracing::debug!(%primary, %outage, "what is served here was not told");
        }
    }

    /// Takes in what a member says that it serves.
    pub(super) fn take_rates(&self, wire: &SignedWire) {
        let now = clock::now();
        let Ok(signed) = wire.signed() else { return };
        self.ask(|registry| {
            let rates = match Rates::check(now, registry, &signed) {
                Ok(rates) => rates,
                Err(why) => return tracing::debug!(why, "rates were not believed"),
            };
            let mut state = self.counts.state();
            for Rate { blog, per_minute } in rates.rates {
                let record = registry.blog(blog);
                let is_mine = record.is_some_and(|record| {
                    *record.set.primary() == self.me && record.set.has(&rates.spoke)
                });
                if is_mine {
                    let readers = state.readers.entry(blog).or_default();
                    readers.hear(now, rates.spoke.clone(), per_minute);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use spokes_log::name::Hash;

    use super::*;

    #[test]
    fn what_nobody_reads_any_more_is_forgotten() {
        let (mut state, began) = (State::default(), Instant::now());
        let blog = Hash::of(b"blog");
        let served = BTreeMap::from([(blog, 1_000)]);
        for tick in 0..200_u64 {
            let now = began + Duration::from_secs(tick * 5);
            let served = if tick < 10 {
                served.clone()
            } else {
                BTreeMap::new()
            };
            state.count(now, &served);
            if tick == 9 {
                assert!(state.rates[&blog] > 10_000, "{:?}", state.rates);
            }
        }
        assert!(state.rates.is_empty());
    }
}
