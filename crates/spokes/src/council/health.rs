//! Who is well, as the council's leader hears it: reports of observers, kept until they suffice for a record
//! (SPEC registry 3.17, 3.18).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use spokes_log::time::Time;
use spokes_rules::{
    health::{PROBE_SECONDS, REPORT_SECONDS_MAX, Report, Says},
    node::{Label, Signed},
    registry::Registry,
    request::{Ask, Request as Wanted, Wish},
};

use super::{Council, Unsequenced};
use crate::{
    clock,
    http::{self as web, Response},
    observe::Station,
    outage::Outage,
    wire::{RequestWire, StatementsWire},
};

/// For how long a report counts here: three times as long as an observer waits before it says the same again.
/// Longer, and misses of several observers at different times would add up to a death.
const HEARD_FOR: Duration = Duration::from_secs(15);
/// Spokes that the council looks at because of doubts: two rounds of [`observe`](crate::observe) at a time, so that
/// three looks are done within 15 seconds although nobody answers.
const DOUBTED_MAX: usize = 128;
/// How often a node asks the leader which spokes are in doubt: as often as it looks.
const DOUBTED_EVERY: Duration = Duration::from_secs(PROBE_SECONDS);

/// The newest report of each observer about each spoke. It has as many as the registry names observers.
#[derive(Debug, Default)]
pub(super) struct Reports(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_spoke: BTreeMap<Label, BTreeMap<Label, (Report, Signed, Instant)>>,
    /// Spokes about which a record is being made.
    under_way: BTreeSet<Label>,
}

impl Kept {
    /// What was said of a spoke a moment ago.
    fn fresh(&self, of: &Label, says: Says) -> impl Iterator<Item = &(Report, Signed, Instant)> {
        let about = self.by_spoke.get(of).into_iter().flatten();
        let about = about.map(|(_, kept)| kept);
        about.filter(move |(report, _, heard)| report.says == says && heard.elapsed() <= HEARD_FOR)
    }
}

/// What the registry does not say of a spoke, and might.
fn other(registry: &Registry, of: &Label) -> Option<Says> {
    Some(match registry.health_of(of)?.down {
        None => Says::Silent,
        Some(_) => Says::Answers,
    })
}

impl Reports {
    /// Keeps a report if whoever signed it watches that spoke; about which spoke it is. Signatures are asked
    /// last, since strangers may send what they like.
    fn keep(
        &self,
        registry: &Registry,
        now: Time,
        report: Report,
        signed: Signed,
    ) -> Option<Label> {
        let health = registry.health_of(&report.of)?;
        let fits = report.network == registry.network()
            && report.time > health.changed
            && now.since(report.time).abs() <= REPORT_SECONDS_MAX;
        let observer = (report.observer.clone(), signed.key);
        if !fits || !registry.may_report(&observer, &report.of) {
            return None;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let about = kept.by_spoke.entry(report.of.clone()).or_default();
        let known = about.get(&report.observer);
        if known.is_some_and(|(known, ..)| known.time >= report.time) || !signed.is_good() {
            return None;
        }
        about.retain(|label, (report, signed, _)| {
            registry.may_report(&(label.clone(), signed.key), &report.of)
        });
        let of = report.of.clone();
        about.insert(report.observer.clone(), (report, signed, Instant::now()));
        Some(of)
    }

    /// What the registry should say of a spoke now and does not, with the reports that prove it.
    fn suffice(&self, registry: &Registry, now: Time, of: &Label) -> Option<(Says, Vec<Signed>)> {
        let says = other(registry, of)?;
        let rests_until = registry.health_of(of)?.rests_until();
        if rests_until.is_some_and(|until| until > now) {
            return None;
        }
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut proof: Vec<Signed> = kept.fresh(of, says).map(|kept| kept.1.clone()).collect();
        let suffices = |proof: &[Signed]| registry.agreed(now, of, says, proof).is_ok();
        if proof.is_empty() || suffices(&proof) {
            return (!proof.is_empty()).then_some((says, proof));
        }
        for (observer, _) in registry.observers(of) {
            let silent = kept.fresh(&observer, Says::Silent);
            let by_council =
                silent.filter(|(_, signed, _)| registry.seats().node(signed.key).is_some());
            proof.extend(by_council.map(|kept| kept.1.clone()));
        }
        suffices(&proof).then_some((says, proof))
    }

    /// The spokes of which somebody says what the registry does not, and those who watch them: of many that fall
    /// together most watch one another, and cannot say so.
    fn doubted(&self, registry: &Registry) -> BTreeSet<Label> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut doubted = BTreeSet::new();
        for of in kept.by_spoke.keys() {
            let says = other(registry, of);
            let is_spoke = registry.spoke(of).is_some();
            if !is_spoke || says.is_none_or(|says| kept.fresh(of, says).next().is_none()) {
                continue;
            }
            let observers = registry.observers(of).into_iter().map(|(label, _)| label);
            let spokes = observers.filter(|label| registry.spoke(label).is_some());
            doubted.extend(spokes.chain([of.clone()]));
            if doubted.len() >= DOUBTED_MAX {
                break;
            }
        }
        doubted
    }

    /// Takes what suffices for a record, unless one is being made already.
    fn take(&self, registry: &Registry, now: Time, of: &Label) -> Option<(Says, Vec<Signed>)> {
        let suffice = self.suffice(registry, now, of)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.under_way.insert(of.clone()).then_some(suffice)
    }

    fn done(&self, of: &Label) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.under_way.remove(of);
    }
}

/// The spokes that are in doubt.
#[derive(Debug, Serialize, Deserialize)]
struct DoubtedWire {
    spokes: Vec<String>,
}

impl Council {
    /// Keeps a report, if the statement is one that counts; about which spoke it is.
    pub(super) fn take_report(&self, report: Report, signed: Signed) -> Option<Label> {
        let keep = |registry: &Registry| self.reports.keep(registry, clock::now(), report, signed);
        self.book.ask(keep).flatten()
    }

    /// Learns for ever which spokes are in doubt.
    pub(super) async fn look_after_doubts(&self) {
        loop {
            tokio::time::sleep(DOUBTED_EVERY).await;
            let doubted = match self.order.ask_leader("/doubted", &()).await {
                Ok(None) => self.doubted_here(),
                Ok(Some(DoubtedWire { spokes })) => {
                    let spokes = spokes.iter().take(2 * DOUBTED_MAX);
                    spokes
                        .filter_map(|label| Label::parse(label).ok())
                        .collect()
                }
                // Without a leader nothing can be put in order.
                Err(_) => BTreeSet::new(),
            };
            *self.doubted.lock().unwrap_or_else(PoisonError::into_inner) = doubted;
        }
    }

    /// Those that this node hears doubts of, as the leader.
    pub(super) fn doubted_here(&self) -> BTreeSet<Label> {
        let doubted = |registry: &Registry| self.reports.doubted(registry);
        self.book.ask(doubted).unwrap_or_default()
    }

    /// Answers another node that asks which spokes are in doubt.
    pub(super) fn answer_doubted(&self) -> Response {
        let spokes = self.doubted_here().iter().map(Label::to_string).collect();
        web::json(StatusCode::OK, &DoubtedWire { spokes })
    }

    /// Has the registry say what a majority of observers say.
    pub(super) async fn judge_health(&self, spokes: BTreeSet<Label>) {
        join_all(spokes.into_iter().map(|label| self.judge_one(label))).await;
    }

    async fn judge_one(&self, label: Label) {
        let take = |registry: &Registry| {
            let suffice = self.reports.take(registry, clock::now(), &label)?;
            Some((registry.network(), suffice))
        };
        let Some((network, (says, statements))) = self.book.ask(take).flatten() else {
            return;
        };
        let of = label.clone();
        let what = match says {
            Says::Silent => Wish::Down { label: of },
            Says::Answers => Wish::Up { label: of },
        };
        let ask = Ask {
            network: Some(network),
            time: clock::now(),
            what,
        };
        let request = Wanted {
            statements,
            ..Wanted::plain(Signed::new(&self.secret, &ask))
        };
        let sequenced = self.order.sequence(RequestWire::from(&request)).await;
        self.reports.done(&label);
        match sequenced {
            Ok(_) => tracing::info!(spoke = %label, %says, "its observers agree"),
            Err(Unsequenced::Refused(refusal)) => {
                tracing::debug!(spoke = %label, %refusal, "not yet")
            }
            // Its observers say it again.
            Err(why) => tracing::warn!(spoke = %label, ?why, "its health was not noted"),
        }
    }
}

impl Station for Council {
    fn ask<T>(&self, question: impl FnOnce(&Registry) -> T) -> Option<T> {
        self.book.ask(question)
    }

    fn council(&self) -> Vec<SocketAddr> {
        let me = self.secret.key();
        let others = self.book.ask(|registry| {
            let others = registry
                .seats()
                .sitting()
                .filter(|(node, ..)| node.key != me);
            others.map(|(node, ..)| node.api.0).collect()
        });
        others.unwrap_or_default()
    }

    fn doubted(&self) -> BTreeSet<Label> {
        let doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        doubted.clone()
    }

    /// Nobody watches a node of the council: the others notice by its heartbeat.
    fn is_watched_from(&self, _: BTreeSet<IpAddr>) {}

    async fn report(self: Arc<Self>, reports: StatementsWire) -> Result<(), Outage> {
        match self.order.leads_or_tells(&reports).await {
            Ok(true) => {
                self.keep_statements(reports).await;
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(why) => Err(Outage::new(format!("{why:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::observe::testing::{label, registry, report, secret, take};

    const NOW: Time = Time::from_unix(1_795_442_700);

    /// Ash and four that watch it beside the council's one node.
    fn network() -> Registry {
        let address = |last| SocketAddr::from(([127, 0, 2, last], 80));
        let labels = ["ash", "oak", "elm", "fir", "yew"];
        let spokes: Vec<_> = labels.into_iter().zip((1..).map(address)).collect();
        registry(NOW, &spokes)
    }

    fn keep(reports: &Reports, registry: &Registry, now: Time, signed: Signed) -> bool {
        let read = Report::parse(signed.text.as_bytes()).unwrap();
        reports.keep(registry, now, read, signed).is_some()
    }

    #[test]
    fn a_majority_of_observers_brings_a_spoke_down_and_up() {
        let (mut registry, reports, ash) = (network(), Reports::default(), label("ash"));
        let now = NOW + 10;
        let says = |registry: &Registry, by: &str, says, time| {
            keep(
                &reports,
                registry,
                time,
                report(registry, by, "ash", says, time),
            )
        };
        for by in ["oak", "council1"] {
            assert!(says(&registry, by, Says::Silent, now));
            assert_eq!(reports.suffice(&registry, now, &ash), None, "not yet");
        }
        // One that thinks otherwise does not count, and its later word takes the place of the earlier.
        assert!(says(&registry, "elm", Says::Answers, now));
        assert_eq!(reports.suffice(&registry, now, &ash), None);
        assert!(says(&registry, "elm", Says::Silent, now + 1));
        let (what, proof) = reports.take(&registry, now + 1, &ash).unwrap();
        assert_eq!((what, proof.len()), (Says::Silent, 3));
        assert_eq!(reports.take(&registry, now + 1, &ash), None, "under way");
        reports.done(&ash);
        let down = Wish::Down { label: ash.clone() };
        take(&mut registry, now + 1, "council1", down, proof);
        // The same words again are of before the fall, and until its rest is over none suffice.
        assert_eq!(reports.suffice(&registry, now + 2, &ash), None);
        assert!(!says(&registry, "oak", Says::Silent, now + 1));
        for rested in [30, 61] {
            for by in ["oak", "elm", "fir"] {
                assert!(says(&registry, by, Says::Answers, now + rested));
            }
            let up = reports.suffice(&registry, now + rested, &ash);
            assert_eq!(up.is_some(), rested == 61, "{rested}");
        }
    }

    #[test]
    fn where_most_observers_fell_with_it_the_council_looks_itself() {
        let (registry, reports, ash) = (network(), Reports::default(), label("ash"));
        let now = NOW + 10;
        let says = |by: &str, of: &str| {
            let silent = report(&registry, by, of, Says::Silent, now);
            assert!(keep(&reports, &registry, now, silent), "{by} of {of}");
        };
        assert!(reports.doubted(&registry).is_empty());
        says("oak", "ash");
        let doubted: Vec<String> = reports
            .doubted(&registry)
            .iter()
            .map(Label::to_string)
            .collect();
        assert_eq!(doubted, ["ash", "elm", "fir", "oak", "yew"]);
        for (of, enough) in [("ash", false), ("elm", false), ("fir", true)] {
            assert_eq!(reports.suffice(&registry, now, &ash), None, "before {of}");
            says("council1", of);
            let found = reports.suffice(&registry, now, &ash);
            assert_eq!(found.is_some(), enough, "with {of}");
        }
        let (what, proof) = reports.take(&registry, now, &ash).unwrap();
        assert_eq!((what, proof.len()), (Says::Silent, 4));
    }

    #[test]
    fn nobody_but_an_observer_is_heard_and_nobody_twice() {
        let (mut registry, reports) = (network(), Reports::default());
        let now = NOW + 10;
        let oak = |time| report(&registry, "oak", "ash", Says::Silent, time);
        let evil = secret("evil");
        let refused = [
            report(&registry, "ash", "ash", Says::Silent, now),
            report(&registry, "evil", "ash", Says::Silent, now),
            report(&registry, "oak", "nobody", Says::Silent, now),
            // With a key of its own in oak's name, or oak's key without its signature.
            Signed::new(&evil, &oak(now).text),
            Signed {
                key: secret("oak").key(),
                ..Signed::new(&evil, &oak(now).text)
            },
            // From before it was let in, too old, and too far ahead.
            oak(NOW),
            oak(now - REPORT_SECONDS_MAX - 1),
            oak(now + REPORT_SECONDS_MAX + 1),
        ];
        for signed in refused {
            assert!(
                !keep(&reports, &registry, now, signed.clone()),
                "{signed:?}"
            );
        }
        assert!(keep(&reports, &registry, now, oak(now)));
        assert!(!keep(&reports, &registry, now, oak(now)), "a repeat");
        assert!(
            !keep(&reports, &registry, now, oak(now - 1)),
            "an older one"
        );
        for second in 1..200 {
            let later = now + second;
            assert!(keep(&reports, &registry, later, oak(later)));
        }
        let later = now + 300;
        let kept = |reports: &Reports| {
            let kept = reports.0.lock().unwrap();
            let about = kept.by_spoke.values();
            about.map(BTreeMap::len).collect::<Vec<_>>()
        };
        assert_eq!(kept(&reports), [1], "the newest alone");
        // Who watches no more is forgotten with the next report.
        let elm = report(&registry, "elm", "ash", Says::Silent, later);
        let evict = Wish::Evict {
            label: label("oak"),
        };
        take(&mut registry, later, "organizer", evict, vec![]);
        assert!(keep(&reports, &registry, later, elm));
        assert_eq!(kept(&reports), [1]);
    }
}
