//! Changes of sets: which follow from the registry, which may begin, and which may be put in force
//! (SPEC registry 3.8, 3.9, 3.28; SPEC receipt 3).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use spokes_log::{name::BlogId, time::Time};

use super::{Change, Registry};
use crate::{
    health::{Load, Takes},
    node::{Label, NodeKey, Signed},
    placement::Candidate,
    receipt::{Receipt, Seal, Tip},
    record::{BlogRecord, Closing, Forced, Set, Spoke, Standing},
    refusal::Refusal,
    request::Request,
    succession::{self, Member, Situation, State},
};

/// How long a silent member keeps its place: shorter, and every long repair of a server would move all it has.
pub const GONE_SECONDS: i64 = 3_600;
/// How long a set waits for seals before it may be opened without them: longer than a member that the council
/// cannot reach goes on issuing receipts (SPEC receipt 4.3).
pub const FORCE_SECONDS: i64 = 3_600;
/// How long somebody's wish for another primary holds.
const HOME_SECONDS: i64 = 24 * 60 * 60;

impl Registry {
    pub(super) fn close(
        &self,
        now: Time,
        key: NodeKey,
        ids: Vec<BlogId>,
        epoch: u64,
        members: Vec<Label>,
    ) -> Result<Change, Refusal> {
        let of_the_council = self.seats.node(key).is_some();
        if !of_the_council {
            self.organizer(key)?;
        }
        let candidates = self.candidates();
        for id in &ids {
            let blog = self.blogs.get(id).ok_or(Refusal::NoSuchBlog(*id))?;
            if blog.set.epoch != epoch {
                return Err(Refusal::OldEpoch {
                    open: blog.set.epoch,
                    named: epoch,
                });
            }
            // What follows from the registry anybody can recompute: no node of the council chooses.
            let follows = self.next_of(now, *id, blog, &candidates);
            if of_the_council && follows.as_ref() != Some(&members) {
                return Err(Refusal::BadSet(
                    "is not the one that follows from the registry",
                ));
            }
        }
        // A set may keep members that are silent or leave; what is new in it must be able to serve.
        for label in &members {
            let spoke = self
                .spokes
                .get(label)
                .ok_or_else(|| Refusal::NoSuchSpoke(label.clone()))?;
            let kept = |id: &BlogId| self.blogs.get(id).is_some_and(|blog| blog.set.has(label));
            if !spoke.is_admitted() && !ids.iter().all(kept) {
                return Err(Refusal::BadSet("names a spoke that is not admitted"));
            }
        }
        Ok(Change::Close(
            ids,
            Set {
                epoch: epoch + 1,
                members,
            },
        ))
    }

    /// Judges whether a closed set may be replaced (SPEC receipt 3): enough old members have sealed,
    /// and a majority of the new ones hold all that any of those had.
    pub(super) fn open(
        &self,
        now: Time,
        request: &Request,
        id: BlogId,
        epoch: u64,
        forced: bool,
    ) -> Result<Change, Refusal> {
        // Its statements prove it, whoever says it. But to check them takes long, and the council's nodes do so anyway.
        let key = request.signed.key;
        if self.seats.node(key).is_none() {
            self.organizer(key)?;
        }
        let blog = self.blogs.get(&id).ok_or(Refusal::NoSuchBlog(id))?;
        let closing = blog.closing.as_ref().ok_or(Refusal::NotClosed(id))?;
        if closing.next.epoch != epoch {
            return Err(Refusal::OldEpoch {
                open: blog.set.epoch,
                named: epoch,
            });
        }
        let seals = self.seals(id, &blog.set, &request.statements);
        let needed = blog.set.seals_needed();
        if forced {
            self.may_force(now, request.signed.key, closing)?;
        } else if seals.len() < needed {
            return Err(Refusal::TooFewSeals {
                needed,
                found: seals.len(),
            });
        }
        let tips: BTreeSet<Tip> = seals.values().flat_map(|seal| seal.tips.clone()).collect();
        let holders = self.covering(id, &closing.next, &tips, &request.statements);
        let (found, needed) = (holders.len(), closing.next.majority());
        if found < needed {
            return Err(Refusal::TooFewReceipts { needed, found });
        }
        let enough = seals.len() >= blog.set.seals_needed();
        let forced = (forced && !enough).then(|| Forced {
            since: now,
            after: tips
                .iter()
                .map(|tip| tip.sequence)
                .max()
                .unwrap_or_default(),
            missing: blog
                .set
                .members
                .iter()
                .filter(|member| !seals.contains_key(*member))
                .cloned()
                .collect(),
            // Counted when it is taken.
            enough: 0,
        });
        Ok(Change::Open {
            id,
            covered: tips,
            holders,
            forced,
        })
    }

    /// Good seals of this set by its members, one each.
    fn seals(&self, blog: BlogId, set: &Set, statements: &[Signed]) -> BTreeMap<Label, Seal> {
        let good = statements.iter().filter_map(|signed| {
            let seal = Seal::parse(signed.text.as_bytes()).ok()?;
            let fits = seal.network == self.network
                && seal.blog == blog
                && seal.epoch == set.epoch
                && set.has(&seal.spoke)
                && self.spokes.get(&seal.spoke)?.key == signed.key
                && signed.is_good();
            fits.then(|| (seal.spoke.clone(), seal))
        });
        good.collect()
    }

    /// The members of the new set that hold each of these tips in its epoch.
    fn covering(
        &self,
        blog: BlogId,
        next: &Set,
        tips: &BTreeSet<Tip>,
        statements: &[Signed],
    ) -> Vec<Label> {
        let mut held: BTreeMap<Label, BTreeSet<Tip>> = BTreeMap::new();
        for receipt in statements
            .iter()
            .filter_map(|s| Receipt::check(s.clone()).ok())
        {
            let fits = receipt.held.blog == blog
                && receipt.held.epoch == next.epoch
                && next.has(&receipt.held.spoke)
                && self.counts(&receipt);
            if fits {
                held.entry(receipt.held.spoke)
                    .or_default()
                    .insert(receipt.held.tip);
            }
        }
        let covers = held.into_iter().filter(|(_, held)| tips.is_subset(held));
        covers.map(|(label, _)| label).collect()
    }

    /// Who may open a set with fewer seals than are needed, and when.
    fn may_force(&self, now: Time, key: NodeKey, closing: &Closing) -> Result<(), Refusal> {
        if self.organizer(key).is_ok() {
            return Ok(());
        }
        if self.seats.node(key).is_none() {
            return Err(Refusal::NotAnOrganizer(key));
        }
        if now.since(closing.since) < FORCE_SECONDS {
            let from = Time::from_unix(closing.since.as_unix().saturating_add(FORCE_SECONDS));
            return Err(Refusal::TooEarlyToForce(from));
        }
        Ok(())
    }

    /// The spokes that may be given blogs.
    pub fn candidates(&self) -> Vec<Candidate<'_>> {
        let may = self.admitted().filter(|(_, spoke)| {
            spoke.is_well() && !spoke.is_leaving() && spoke.takes == Takes::New
        });
        may.map(|(label, spoke)| Candidate {
            label,
            operator: &spoke.operator,
            blogs: self.blogs_on(label),
            is_full: spoke.load == Load::FULL,
        })
        .collect()
    }

    /// The members that a blog's set should have next, its primary first; none when it is as it should be, or
    /// is on its way there (SPEC registry 3.28).
    pub fn next_set(
        &self,
        now: Time,
        id: BlogId,
        candidates: &[Candidate<'_>],
    ) -> Option<Vec<Label>> {
        self.next_of(now, id, self.blogs.get(&id)?, candidates)
    }

    fn next_of(
        &self,
        now: Time,
        id: BlogId,
        blog: &BlogRecord,
        candidates: &[Candidate<'_>],
    ) -> Option<Vec<Label>> {
        let situation = self.situation(now, id, blog, candidates);
        let next = succession::next(&situation);
        let Some(closing) = &blog.closing else {
            return next;
        };
        if self.can_open(now, &closing.next.members) {
            return None;
        }
        // Who is barred can put nothing in force: a set that counts on it is planned anew, whether the other one can
        // open now or not.
        let is_in = |label: &Label| self.spokes.get(label).is_some_and(Spoke::is_admitted);
        let is_sound = |members: &[Label]| members.iter().all(is_in);
        if let Some(next) = &next
            && is_sound(next)
            && !is_sound(&closing.next.members)
        {
            return Some(next.clone());
        }
        // What was sealed stays sealed: a set that cannot open gives way to one that can, be it the old one again.
        // One that cannot either is no better, and there would be another one each time: who was asked last to take
        // the blog in counts it, and has one more than the others.
        let next = next.unwrap_or_else(|| blog.set.members.clone());
        self.can_open(now, &next).then_some(next)
    }

    /// Whether members who serve now suffice to put a set in force.
    fn can_open(&self, now: Time, members: &[Label]) -> bool {
        let serves =
            |label: &&Label| matches!(self.state(now, label), State::Well | State::Leaving);
        let serving = members.iter().filter(serves).count();
        members.first().is_some_and(|primary| serves(&primary)) && serving > members.len() / 2
    }

    fn state(&self, now: Time, label: &Label) -> State {
        let Some(spoke) = self.spokes.get(label) else {
            return State::Gone;
        };
        if !spoke.is_admitted() {
            return match spoke.health.down {
                None => State::Barred,
                Some(_) => State::Gone,
            };
        }
        let full = (spoke.takes == Takes::Nothing)
            .then_some(spoke.told)
            .flatten();
        let ails = [spoke.health.down, full].into_iter().flatten().min();
        match (ails, spoke.standing) {
            (Some(since), _) if now.since(since) >= GONE_SECONDS => State::Gone,
            (Some(_), _) => State::Ailing,
            (None, Standing::Leaving { .. }) => State::Leaving,
            (None, _) => State::Well,
        }
    }

    fn situation<'a>(
        &'a self,
        now: Time,
        id: BlogId,
        blog: &'a BlogRecord,
        candidates: &'a [Candidate<'a>],
    ) -> Situation<'a> {
        let members = blog.set.members.iter().filter_map(|label| {
            Some(Member {
                label,
                operator: &self.spokes.get(label)?.operator,
                state: self.state(now, label),
                holds: self.holds_blog(blog, label),
                held: blog.holders.contains_key(label),
            })
        });
        let home = blog.home.as_ref().filter(|home| {
            now.since(home.since) < HOME_SECONDS && self.state(now, &home.to) == State::Well
        });
        let replicas = blog.replicas.unwrap_or(self.founding.policy.replicas);
        let replicas = replicas.saturating_add(blog.demand.more);
        Situation {
            blog: id,
            members: members.collect(),
            prepared: blog
                .closing
                .as_ref()
                .map_or(&[], |closing| &closing.next.members),
            home: home.map(|home| &home.to),
            replicas: usize::try_from(replicas).unwrap_or(usize::MAX),
            candidates,
        }
    }

    /// The members that a blog waits for: they are silent, and the others too few to seal its set without them
    /// (SPEC receipt 3.5), until they come back or an organizer lets it go on without them. None where nothing has to
    /// be waited for.
    pub fn waits_for<'a>(&self, blog: &'a BlogRecord) -> Vec<&'a Label> {
        let can_seal = |label: &&Label| {
            let spoke = self.spokes.get(*label);
            spoke.is_some_and(|spoke| spoke.health.down.is_none())
        };
        let silent: Vec<&Label> = blog.set.members.iter().filter(|l| !can_seal(l)).collect();
        match blog.set.members.len() - silent.len() < blog.set.seals_needed() {
            true => silent,
            false => Vec::new(),
        }
    }

    /// How many blogs a spoke holds, or is being given.
    pub fn blogs_on(&self, label: &Label) -> usize {
        self.placed.get(label).map_or(0, BTreeSet::len)
    }

    /// The blogs that a spoke holds, or is being given.
    pub fn placed_on(&self, label: &Label) -> impl Iterator<Item = BlogId> + '_ {
        self.placed.get(label).into_iter().flatten().copied()
    }
}
