//! What the council's leader decides: who is well, which sets change, and when they open.
//!
//! It chooses nothing itself. What observers report becomes `down` and `up`, what the registry says
//! should be next becomes `close`, what members have signed becomes `open`, and what nobody signs
//! within the hour is forced.

use std::{collections::BTreeSet, sync::Arc};

use spokes_log::name::BlogId;
use spokes_rules::{
    health::{Report, Says},
    node::{Label, Signed},
    receipt::Seal,
    registry::{BlogRecord, FORCE_SECONDS, Refusal, Registry},
    request::Wish,
};

use crate::{
    council::{Council, tips_of},
    founding,
    hub::{Hub, Millis},
    message::Node,
    plant::Plant,
    watch,
};

/// How long a report counts here: who still thinks so says it again sooner, and what somebody thought
/// a minute ago says nothing of now.
const REPORT: Millis = 3 * watch::SAY_AGAIN;

impl Council {
    /// The spokes that each of the council's nodes watches.
    pub fn watched(&self, now: Millis) -> Vec<Vec<Label>> {
        let doubted = self.doubted(now);
        let keys = self.eyes.iter().map(|(_, secret, _)| secret.key());
        let watched = keys.map(|key| {
            let mut watched = doubted.clone();
            watched.extend(self.watching.by(key).iter().cloned());
            watched.into_iter().collect()
        });
        watched.collect()
    }

    /// Those of whom somebody says what the registry does not, and those who watch them.
    fn doubted(&self, now: Millis) -> BTreeSet<Label> {
        let mut doubted = BTreeSet::new();
        for (of, reports) in &self.soft.reports {
            let Some(says) = self.other(of) else { continue };
            if reports
                .values()
                .any(|(said, at, _)| *said == says && now < at + REPORT)
            {
                let observers = self.registry.observers(of).into_iter();
                let spokes = observers.filter(|(label, _)| self.registry.spoke(label).is_some());
                doubted.extend(spokes.map(|(label, _)| label));
                doubted.insert(of.clone());
            }
        }
        doubted
    }

    /// What the registry does not say of a spoke, and might.
    fn other(&self, of: &Label) -> Option<Says> {
        Some(match self.registry.spoke(of)?.health.down {
            None => Says::Silent,
            Some(_) => Says::Answers,
        })
    }

    /// One of the council's nodes has looked at the spokes that it watches.
    pub fn looked(&mut self, hub: &mut Hub, node: usize, saw: &[(Label, Says)]) {
        let registry = Arc::clone(&self.registry);
        let (label, secret, eyes) = &mut self.eyes[node];
        let mut reports = Vec::new();
        for (of, says) in eyes.look(hub, &registry, saw) {
            let (network, now) = (registry.network(), hub.clock(0));
            reports.push(watch::report(network, (label, secret), now, of, says));
        }
        if self.leader {
            for report in reports {
                self.take_report(hub, report);
            }
        }
    }

    pub(crate) fn take_report(&mut self, hub: &mut Hub, signed: Signed) {
        let Ok(report) = Report::parse(signed.text.as_bytes()) else {
            return;
        };
        hub.note(
            Node::Council,
            format_args!(
                "hears from {}: {} {}",
                report.observer, report.of, report.says
            ),
        );
        let reports = self.soft.reports.entry(report.of.clone()).or_default();
        reports.insert(report.observer, (report.says, hub.now, signed));
        self.judge_health(hub, &report.of);
    }

    /// Puts what observers say of a spoke to the registry, where it is something new.
    fn judge_health(&mut self, hub: &mut Hub, label: &Label) {
        let Some(says) = self.other(label) else {
            return;
        };
        let now = hub.now;
        let fresh = |of: &Label, says: Says| {
            let reports = self.soft.reports.get(of).into_iter().flatten();
            let agree =
                reports.filter(move |(_, (said, at, _))| *said == says && now < at + REPORT);
            let signed = agree.map(|(_, (.., signed))| signed.clone());
            signed.collect::<Vec<Signed>>()
        };
        let mut agree = fresh(label, says);
        if agree.is_empty() {
            return;
        }
        for (observer, _) in self.registry.observers(label) {
            let silent = fresh(&observer, Says::Silent).into_iter();
            agree.extend(silent.filter(|s| self.registry.seats().node(s.key).is_some()));
        }
        let agreed = self.registry.agreed(hub.clock(0), label, says, &agree);
        if agreed.is_err() {
            return;
        }
        let label = label.clone();
        let wish = match says {
            Says::Silent => Wish::Down {
                label: label.clone(),
            },
            Says::Answers => Wish::Up {
                label: label.clone(),
            },
        };
        let request = self.request(hub, wish, agree);
        match self.propose(hub, &request) {
            Ok(_) => {
                self.soft.reports.remove(&label);
                self.change_sets(hub, Some(&label));
            }
            Err(refusal) => hub.note(Node::Council, format_args!("may not: {refusal}")),
        }
    }

    /// Does what is to be done now.
    pub(crate) fn lead(&mut self, hub: &mut Hub) {
        let waiting: Vec<Label> = self.soft.reports.keys().cloned().collect();
        for label in waiting {
            self.judge_health(hub, &label);
        }
        self.change_sets(hub, None);
        let registry = Arc::clone(&self.registry);
        for (id, blog) in registry.blogs().filter(|(_, b)| b.closing.is_some()) {
            self.choose_seals(hub, id, blog);
            self.try_open(hub, id);
        }
    }

    /// Begins each change of a set that follows from the registry; of one spoke's blogs, or of all.
    pub(crate) fn change_sets(&mut self, hub: &mut Hub, of: Option<&Label>) {
        let registry = Arc::clone(&self.registry);
        let candidates = registry.candidates();
        let blogs: Vec<BlogId> = match of {
            Some(label) => registry.placed_on(label).collect(),
            None => registry.blogs().map(|(id, _)| id).collect(),
        };
        for id in blogs {
            let Some(members) = registry.next_set(hub.clock(0), id, &candidates) else {
                continue;
            };
            let epoch = registry.blog(id).map_or(0, |blog| blog.set.epoch);
            let wish = Wish::Close {
                blogs: vec![id],
                epoch,
                members,
            };
            let request = self.request(hub, wish, Vec::new());
            if let Err(refusal) = self.propose(hub, &request) {
                hub.note(Node::Council, format_args!("may not close: {refusal}"));
            }
        }
    }

    pub(crate) fn take_seal(&mut self, hub: &mut Hub, signed: Signed) {
        let Ok(seal) = Seal::parse(signed.text.as_bytes()) else {
            return;
        };
        let registry = Arc::clone(&self.registry);
        let Some(blog) = registry.blog(seal.blog) else {
            return;
        };
        if blog.closing.is_none() || blog.set.epoch != seal.epoch || !blog.set.has(&seal.spoke) {
            return;
        }
        let key = (seal.blog, seal.epoch);
        let seals = self.soft.seals.entry(key).or_default();
        seals.insert(seal.spoke, signed);
        self.choose_seals(hub, seal.blog, blog);
    }

    /// How many seals are waited for: as many as meet every majority, until the hour is over.
    fn seals_needed(hub: &Hub, blog: &BlogRecord) -> usize {
        let since = blog.closing.as_ref().map(|closing| closing.since);
        let waited = since.map_or(0, |since| hub.clock(0).since(since));
        match waited >= FORCE_SECONDS {
            true => 1,
            false if hub.has(Plant::OpensWithTooFewSeals) => 1,
            false => blog.set.seals_needed(),
        }
    }

    /// Shows the seals that are to be covered, once there are enough: all that came by then. Others
    /// when a member whose seal was shown has fallen silent, since what only it holds nobody can
    /// cover: any so many seals name all that is safe.
    fn choose_seals(&mut self, hub: &mut Hub, id: BlogId, blog: &BlogRecord) {
        let key = (id, blog.set.epoch);
        if hub.has(Plant::AcceptsOldEpoch) {
            self.renew_old_seals(id, blog);
        }
        let Some(seals) = self.soft.seals.get(&key) else {
            return;
        };
        let needed = Self::seals_needed(hub, blog);
        let well = |label: &Label| is_well(&self.registry, label);
        let shown = self.soft.shown.get(&key);
        let is_good = |shown: &Vec<Signed>| {
            let by = shown
                .iter()
                .filter_map(|s| Seal::parse(s.text.as_bytes()).ok());
            shown.len() >= needed && by.map(|seal| seal.spoke).all(|label| well(&label))
        };
        if shown.is_some_and(is_good) {
            return;
        }
        let of_well = seals.iter().filter(|(label, _)| well(label));
        let of_well: Vec<Signed> = of_well.map(|(_, signed)| signed.clone()).collect();
        if of_well.len() >= needed {
            self.show(hub, key, of_well);
        } else if shown.is_none() && seals.len() >= needed {
            let all = seals.values().cloned().collect();
            self.show(hub, key, all);
        }
    }

    fn show(&mut self, hub: &mut Hub, key: (BlogId, u64), mut shown: Vec<Signed>) {
        if hub.has(Plant::PromotionSkipsSealedEntry) {
            shown = forge(&shown);
        }
        if self.soft.shown.get(&key) != Some(&shown) {
            self.soft.shown.insert(key, shown);
            self.answer_polls(hub, true);
        }
    }

    /// Opens the next set of a blog if seals and receipts suffice.
    pub(crate) fn try_open(&mut self, hub: &mut Hub, id: BlogId) {
        let registry = Arc::clone(&self.registry);
        let Some(blog) = registry.blog(id) else {
            return;
        };
        let Some(closing) = &blog.closing else { return };
        let Some(seals) = self.soft.shown.get(&(id, blog.set.epoch)) else {
            return;
        };
        let epoch = closing.next.epoch;
        let Some(held) = self.soft.held.get(&(id, epoch)) else {
            return;
        };
        let tips = tips_of(seals);
        let holds = |label: &&Label| {
            tips.iter()
                .all(|tip| held.contains_key(&((*label).clone(), *tip)))
        };
        if closing.next.members.iter().filter(holds).count() < closing.next.majority() {
            return;
        }
        let mut statements = seals.clone();
        let forced = statements.len() < blog.set.seals_needed();
        if hub.has(Plant::OpensWithTooFewSeals) && forced {
            statements = self.forge_others(blog, id, seals);
        }
        let forced = statements.len() < blog.set.seals_needed();
        statements.extend(held.values().map(|receipt| receipt.signed.clone()));
        let wish = Wish::Open {
            blog: id,
            epoch,
            forced,
        };
        let request = self.request(hub, wish, statements);
        match self.propose(hub, &request) {
            Ok(_) => self.change_sets(hub, None),
            Err(Refusal::TooSoon(_)) => {}
            Err(refusal) => hub.story(Node::Council, format_args!("may not open: {refusal}")),
        }
    }

    /// The planted council: what members sealed in the epoch before passes for seals of this one.
    fn renew_old_seals(&mut self, id: BlogId, blog: &BlogRecord) {
        let epoch = blog.set.epoch;
        let old = self.soft.seals.get(&(id, epoch - 1)).cloned();
        let renewed = old.into_iter().flatten().filter_map(|(label, signed)| {
            let seal = Seal::parse(signed.text.as_bytes()).ok()?;
            let signed = Signed::new(&founding::secret_of(&label), &Seal { epoch, ..seal });
            blog.set.has(&label).then_some((label, signed))
        });
        let renewed: Vec<_> = renewed.collect();
        let seals = self.soft.seals.entry((id, epoch)).or_default();
        for (label, signed) in renewed {
            seals.entry(label).or_insert(signed);
        }
    }

    /// The planted council: those who have not sealed are made to say what the others said.
    fn forge_others(&self, blog: &BlogRecord, id: BlogId, seals: &[Signed]) -> Vec<Signed> {
        let tips: Vec<_> = tips_of(seals).into_iter().collect();
        let forged = blog.set.members.iter().map(|label| {
            let seal = Seal {
                network: self.registry.network(),
                spoke: label.clone(),
                blog: id,
                epoch: blog.set.epoch,
                tips: tips.clone(),
            };
            Signed::new(&founding::secret_of(label), &seal)
        });
        forged.collect()
    }
}

fn is_well(registry: &Registry, label: &Label) -> bool {
    registry
        .spoke(label)
        .is_some_and(|spoke| spoke.health.down.is_none())
}

/// The planted council: each seal says what the least advanced one does.
fn forge(seals: &[Signed]) -> Vec<Signed> {
    let parse = |s: &Signed| Seal::parse(s.text.as_bytes()).ok();
    let all: Vec<Seal> = seals.iter().filter_map(parse).collect();
    let Some(least) = all.iter().map(|seal| seal.tips.clone()).min() else {
        return seals.to_vec();
    };
    all.into_iter()
        .map(|seal| {
            let secret = founding::secret_of(&seal.spoke);
            let tips = least.clone();
            Signed::new(&secret, &Seal { tips, ..seal })
        })
        .collect()
}
