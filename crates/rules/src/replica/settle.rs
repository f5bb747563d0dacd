//! What a copy keeps when a set was opened without it, and what a spoke must hear before it accepts
//! (SPEC receipt 4.7 and 6).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use spokes_log::{chain::Link, name::EntryId, time::Time};

use super::{Answer, COMPARE_PATIENCE_SECONDS, Effect, Refusal, Replica, Tip};
use crate::node::Label;

/// How long a spoke may stand still before it asks again whether it is the primary. The council takes
/// twice as long to notice that somebody is silent, so a shorter sleep has missed nothing.
pub const STILL_SECONDS_MAX: i64 = 5;

/// How long a member waits for its new primary to name what it holds: as long as it takes to see that
/// a spoke is dead. What is then cut off too early is an offer for a moment and comes back.
pub const SETTLE_PATIENCE_SECONDS: i64 = 10;

/// Whether whoever stood still for so many seconds must hear the council before it accepts anything.
pub const fn has_stood_still(seconds: i64) -> bool {
    seconds > STILL_SECONDS_MAX
}

/// A set was opened, and it is not known yet what of this copy belongs to it.
#[derive(Debug)]
pub(super) struct Settling {
    /// Since when this is known.
    since: Time,
    /// What the set was opened with.
    covered: BTreeSet<Tip>,
    /// What settled members hold.
    vouched: BTreeMap<Label, BTreeSet<Tip>>,
    /// Whether the rest was handed over to be kept apart.
    parting: bool,
}

impl Replica {
    /// A copy from a disk that says so settled last in this epoch.
    #[must_use]
    pub fn settled_in(self, epoch: u64) -> Self {
        Self {
            settled: epoch,
            ..self
        }
    }

    /// The epoch whose entries this copy holds: others take nothing from it that belongs to another.
    pub fn settled_epoch(&self) -> u64 {
        self.settled
    }

    /// Whether this copy is that of the open set.
    pub fn is_settled(&self) -> bool {
        self.settling.is_none()
    }

    /// Whether a peer whose copy settled in this epoch holds what belongs here.
    pub fn exchanges_with(&self, epoch: u64) -> bool {
        self.set.as_ref().is_some_and(|set| set.epoch == epoch)
    }

    /// Whether this spoke knows that it is not asked as what it was before it slept, started, or a set
    /// was opened.
    pub(super) fn knows_its_place(&self) -> bool {
        self.heard.is_some() && self.settling.is_none()
    }

    /// Whether entries are accepted here at all: by the primary, or by a member in its place.
    pub(super) fn accepts(&self, refused_elsewhere: bool) -> bool {
        let Some(set) = &self.set else { return false };
        *set.primary() == self.me || refused_elsewhere && set.has(&self.me)
    }

    /// An epoch is open; what this copy holds was of an older one.
    pub(super) fn unsettle(&mut self, now: Time, epoch: u64, covered: BTreeSet<Tip>) {
        let known = self.set.as_ref().is_some_and(|set| set.epoch == epoch);
        if epoch <= self.settled || known && self.settling.is_some() {
            return;
        }
        self.settling = Some(Settling {
            since: now,
            covered,
            vouched: BTreeMap::new(),
            parting: false,
        });
    }

    pub(super) fn vouched(&mut self, now: Time, by: &Label, epoch: u64, tips: Vec<Tip>) {
        let is_member = self.set.as_ref().is_some_and(|set| set.has(by));
        let fits = is_member && self.exchanges_with(epoch);
        if let Some(settling) = self.settling.as_mut().filter(|_| fits) {
            settling.vouched.entry(by.clone()).or_default().extend(tips);
            self.settle(now);
        }
    }

    /// Settles in the open epoch, once all that its set was opened with is here, and what its primary
    /// holds by now: the primary decides what goes on behind it. Where the primary is silent, or the
    /// set changes again, it is done without that.
    pub(super) fn settle(&mut self, now: Time) {
        let (Some(settling), Some(set)) = (&self.settling, &self.set) else {
            return;
        };
        let here = |tip: &Tip| self.chain.contains(tip.id) && !self.storing.contains_key(&tip.id);
        if settling.parting || !settling.covered.iter().all(here) {
            return;
        }
        let leads = *set.primary() == self.me;
        let named = settling.vouched.get(set.primary());
        let enough = leads
            || named.is_some_and(|tips| tips.iter().all(here))
            || self.closing.is_some()
            || now.since(settling.since) > SETTLE_PATIENCE_SECONDS;
        // What opened with nothing can have left nothing out.
        if !enough && !settling.covered.is_empty() {
            return;
        }
        let epoch = set.epoch;
        let strays = self.strays(leads);
        if strays.is_empty() {
            self.effects.push_back(Effect::Settled(epoch));
            return self.settled_without(now);
        }
        if let Some(settling) = &mut self.settling {
            settling.parting = true;
        }
        self.effects.push_back(Effect::Offer(epoch, strays));
    }

    /// The entries here that nobody has vouched for, with all that follows them. A primary keeps what
    /// extends a head: of two that follow the same one, the first in the fold's order.
    fn strays(&self, leads: bool) -> BTreeSet<EntryId> {
        let Some(settling) = self.settling.as_ref().filter(|s| !s.covered.is_empty()) else {
            return BTreeSet::new();
        };
        let vouched = settling.vouched.values().flatten();
        let mut standing: BTreeSet<EntryId> = BTreeSet::new();
        let mut followed: BTreeSet<EntryId> = BTreeSet::new();
        for tip in settling.covered.iter().chain(vouched) {
            let mut at = Some(tip.id).filter(|id| self.chain.contains(*id));
            while let Some(id) = at.filter(|id| standing.insert(*id)) {
                at = self.chain.link(id).and_then(|link| link.previous);
                followed.extend(at);
            }
        }
        let mut rest: Vec<(u64, EntryId, &Link)> = self
            .chain
            .links()
            .filter(|(id, _)| !standing.contains(id))
            .map(|(id, link)| (link.sequence, id, link))
            .collect();
        rest.sort_unstable_by_key(|(sequence, id, _)| (*sequence, *id));
        for (_, id, link) in rest {
            let Some(previous) = link.previous.filter(|_| leads) else {
                continue;
            };
            if standing.contains(&previous) && followed.insert(previous) {
                standing.insert(id);
            }
        }
        let all = self.chain.links().map(|(id, _)| id);
        all.filter(|id| !standing.contains(id)).collect()
    }

    /// What was to be kept apart is.
    pub(super) fn part(&mut self, now: Time) {
        if self
            .settling
            .as_ref()
            .is_some_and(|settling| settling.parting)
        {
            self.settled_without(now);
        }
    }

    /// What is here is what belongs to the open epoch.
    fn settled_without(&mut self, now: Time) {
        if self.settling.take().is_none() {
            return;
        }
        if let Some(set) = &self.set {
            self.settled = set.epoch;
        }
        self.seal_if_closed(now);
        self.hold_heads(now);
        self.hold_cover(now);
        self.answer_safe();
        self.go_on(now);
    }

    /// A member that has not settled seals only after a long wait for what the open set was opened
    /// with: with all that it has, since nobody else may have more.
    pub(super) fn waits_to_seal(&self, now: Time) -> bool {
        let recent = |since| now.since(since) <= COMPARE_PATIENCE_SECONDS;
        let settling = self.settling.as_ref();
        settling.is_some_and(|settling| settling.parting || recent(settling.since))
    }

    /// Judges what had to wait, as far as it can be judged now.
    pub(super) fn go_on(&mut self, now: Time) {
        while let Some((_, _, refused_elsewhere)) = self.behind.front() {
            let waits = !self.knows_its_place() || !self.storing.is_empty() || self.is_sealed(now);
            if self.accepts(*refused_elsewhere) && waits {
                return;
            }
            if let Some((ticket, entry, refused_elsewhere)) = self.behind.pop_front() {
                self.submitted(now, ticket, entry, refused_elsewhere);
            }
        }
    }

    /// Whoever waits for an entry that is not here any more, or asks who is no member any more, is
    /// sent to the primary: it has the entry, or decides what becomes of it.
    pub(super) fn pass_on_the_waiting(&mut self) {
        let Some(set) = &self.set else { return };
        let (member, primary) = (set.has(&self.me), set.primary().clone());
        let stays = |id: &EntryId| member && self.chain.contains(*id);
        let (left, gone): (Vec<_>, Vec<_>) = core::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, id)| stays(id));
        self.waiting = left;
        for (ticket, _) in gone {
            let answer = if primary == self.me {
                Answer::Refused(Refusal::NotReady)
            } else {
                Answer::Forward(primary.clone())
            };
            self.answer(ticket, answer);
        }
    }
}
