//! Looking after sets: the leader proposes what follows from the registry, and opens what is covered
//! (SPEC registry 3.8, 3.9, 3.28).
//!
//! It keeps nothing that the registry does not have: whoever leads next goes on where this one stopped.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use spokes_log::{name::BlogId, time::Time};
use spokes_rules::{
    health::Takes,
    node::{Label, Signed},
    receipt::{Held, Seal, Tip},
    registry::{BlogRecord, FORCE_SECONDS, Registry, Set, Spoke},
    request::{Ask, Request as Wanted, Wish},
};
use tokio::{task::JoinSet, time::Instant};

use super::{Council, Unsequenced};
use crate::{
    clock,
    http::{self as web, Response},
    wire::{RequestWire, SignedWire, StatementsWire},
};

/// How often all that is not as it should be is looked at, changed or not: what is wrong for an hour is noticed
/// by the time alone.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How often it is asked whether this node leads now, and whether what had to wait can begin.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The pause between two rounds: many records make one round.
const ROUND_PAUSE: Duration = Duration::from_millis(20);
/// Sets that change at a time because something moves: each keeps its author waiting for a moment. A dead
/// primary's blogs do not wait for one another.
const CHANGING_MAX: usize = 32;
/// Blogs that one spoke takes in at a time: its readers need its disk and line, too. With batches of what it
/// says that it holds, this makes several blogs a second.
const FILLING_MAX: usize = 16;
/// Blogs of one change of set: its record is judged in one go.
const GROUP_MAX: usize = 256;
/// Blogs in a row whose newcomers have enough to do, after which one looks again later.
const BUSY_IN_A_ROW_MAX: usize = 64;
/// Changes proposed at once.
const AT_ONCE_MAX: usize = 32;
/// For how long a set that could open waits for whoever catches up with one more seal. Its coming members leave a
/// seal out that they cannot have after 20 seconds (`spoke::change`), and their clocks may be ahead by a few.
const CATCHING_UP_SECONDS: i64 = 15;
/// Statements of one answer to a spoke: well below a megabyte.
const KEPT_MAX: usize = 1_000;

/// What a spoke wants to know of sets that change.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptWanted {
    /// Those of one blog.
    blog: Option<String>,
    /// Those of blogs where this spoke is a member, before or after.
    spoke: Option<String>,
    /// Only blogs behind this one.
    after: Option<String>,
}

/// A change of set that follows from the registry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Step {
    epoch: u64,
    members: Vec<Label>,
}

/// Which steps may be taken now.
#[derive(Debug, Default)]
struct Plan {
    /// Where no entry can be accepted, and those who hold the blog go on: all at once.
    urgent: BTreeMap<Step, Vec<BlogId>>,
    /// Where none can be accepted, and somebody new comes, too: who comes depends on who came before.
    pressing: Vec<BlogId>,
    /// Where a spoke must take in the blog, or it is only better so: a few at a time.
    paced: Vec<BlogId>,
}

impl Council {
    /// Closes and opens sets as long as this node leads.
    pub(super) async fn look_after_sets(self: &Arc<Self>) {
        let mut grown = self.book.grown();
        let mut waiting: BTreeSet<BlogId> = BTreeSet::new();
        let (mut led, mut swept, mut looked) = (false, Instant::now(), Instant::now());
        loop {
            // Either way it is looked at what is there then.
            drop(tokio::time::timeout(LOOK_EVERY, grown.changed()).await);
            let changed = self.book.changed();
            if !self.order.leads() {
                (led, waiting) = (false, BTreeSet::new());
                continue;
            }
            let mut blogs = changed.blogs;
            if !led || changed.spokes || swept.elapsed() >= SWEEP_EVERY {
                (led, swept) = (true, Instant::now());
                blogs.extend(self.book.ask(unsettled).unwrap_or_default());
                self.open_by_force().await;
            }
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                blogs.append(&mut waiting);
            }
            if !blogs.is_empty() {
                waiting.append(&mut self.take_steps(&blogs).await);
                tokio::time::sleep(ROUND_PAUSE).await;
            }
        }
    }

    /// Proposes what follows for these blogs; gives back those that must wait.
    async fn take_steps(self: &Arc<Self>, blogs: &BTreeSet<BlogId>) -> BTreeSet<BlogId> {
        let plan = self
            .book
            .ask(|registry| plan(registry, clock::now(), blogs));
        let Some(plan) = plan else {
            return BTreeSet::new();
        };
        let mut left = BTreeSet::new();
        for together in grouped(plan.urgent).chunks(AT_ONCE_MAX) {
            let mut closes = JoinSet::new();
            for (step, blogs) in together.iter().cloned() {
                let node = Arc::clone(self);
                closes.spawn(async move { (node.close(&step, &blogs).await, blogs) });
            }
            for (closed, blogs) in closes.join_all().await {
                left.extend(blogs.into_iter().filter(|_| !closed));
            }
        }
        for blog in plan.pressing {
            let step = self.book.ask(|registry| step(registry, clock::now(), blog));
            if let Some(step) = step.flatten()
                && !self.close(&step, &[blog]).await
            {
                left.insert(blog);
            }
        }
        left.append(&mut self.take_paced(&plan.paced).await);
        left
    }

    /// The same for those that go one after the other: each step is worked out on what the one before has left.
    async fn take_paced(&self, blogs: &[BlogId]) -> BTreeSet<BlogId> {
        let mut left = BTreeSet::new();
        if blogs.is_empty() {
            return left;
        }
        let mut pace = self.book.ask(Pace::of).unwrap_or_default();
        for (at, blog) in blogs.iter().enumerate() {
            if pace.rests() {
                left.extend(&blogs[at..]);
                break;
            }
            let step = self.book.ask(|registry| {
                let step = step(registry, clock::now(), *blog)?;
                let new = newcomers(registry, *blog, &step);
                let may = pace.may(registry, *blog, &new);
                Some((step, new, may))
            });
            let Some((step, new, may)) = step.flatten() else {
                continue;
            };
            if may && self.close(&step, &[*blog]).await {
                pace.note(new);
            } else {
                left.insert(*blog);
            }
        }
        left
    }

    /// Begins a change of set; false where it was not taken, and is to be looked at again.
    async fn close(&self, step: &Step, blogs: &[BlogId]) -> bool {
        let what = Wish::Close {
            blogs: blogs.to_vec(),
            epoch: step.epoch,
            members: step.members.clone(),
        };
        match self.propose(what, Vec::new()).await {
            Ok(()) => {
                let members: Vec<&str> = step.members.iter().map(Label::as_str).collect();
                tracing::info!(
                    blogs = blogs.len(),
                    blog = %blogs[0],
                    epoch = step.epoch,
                    members = members.join(" "),
                    "a set begins to change"
                );
                true
            }
            Err(Unsequenced::Refused(refusal)) => {
                tracing::debug!(%refusal, "something else follows by now");
                false
            }
            Err(why) => {
                tracing::debug!(?why, "a change of set was not taken; it is tried again");
                tokio::time::sleep(LOOK_EVERY).await;
                false
            }
        }
    }

    async fn propose(&self, what: Wish, statements: Vec<Signed>) -> Result<(), Unsequenced> {
        let network = self.book.ask(Registry::network);
        let ask = Ask {
            network,
            time: clock::now(),
            what,
        };
        let request = Wanted {
            statements,
            ..Wanted::plain(Signed::new(&self.secret, &ask))
        };
        let request = RequestWire::from(&request);
        self.order.sequence(request).await.map(drop)
    }

    /// Opens those of these sets whose statements suffice, all in one batch if they are not too many.
    pub(super) async fn try_open(self: &Arc<Self>, blogs: BTreeSet<BlogId>) {
        let mut opens = JoinSet::new();
        for blog in blogs {
            if opens.len() >= AT_ONCE_MAX {
                drop(opens.join_next().await);
            }
            let node = Arc::clone(self);
            opens.spawn(async move { node.open_set(blog, false).await });
        }
        drop(opens.join_all().await);
    }

    async fn open_set(&self, blog: BlogId, forced: bool) {
        let epoch = self.book.ask(|registry| {
            let closing = registry.blog(blog)?.closing.as_ref()?;
            Some(closing.next.epoch)
        });
        let Some(epoch) = epoch.flatten() else {
            return;
        };
        let statements = self.statements_kept().get(&blog).cloned();
        let statements = statements.unwrap_or_default();
        let of_the_well = self
            .book
            .ask(|registry| without_silent_seals(registry, &statements));
        // What only a member has that is silent by now nobody can have: its seal is left out if the others suffice.
        let of_the_well = of_the_well.filter(|chosen| chosen.len() < statements.len());
        let covered = self.book.ask(|registry| {
            without_uncovered_seals(registry, clock::now(), blog, forced, &statements)
        });
        let nobody = BTreeSet::new();
        let choices = [
            Some((statements, nobody.clone())),
            of_the_well.map(|chosen| (chosen, nobody)),
            covered.flatten(),
        ];
        for (statements, left_out) in choices.into_iter().flatten() {
            let what = Wish::Open {
                blog,
                epoch,
                forced,
            };
            match self.propose(what, statements).await {
                Ok(()) => {
                    tracing::info!(%blog, epoch, forced, "a new set is open");
                    say_left_out(blog, &left_out);
                    self.statements_kept().remove(&blog);
                    return;
                }
                Err(Unsequenced::Refused(refusal)) => tracing::debug!(%blog, %refusal, "not yet"),
                Err(why) => {
                    tracing::warn!(?why, "a set was not opened; it is tried again");
                    return;
                }
            }
        }
    }

    /// Opens what has waited for seals as long as it may, with those that there are, and forgets statements
    /// about sets that change no more.
    async fn open_by_force(&self) {
        let now = clock::now();
        let changing = self.book.ask(|registry| {
            let changing = registry.blogs().filter_map(|(id, blog)| {
                let since = blog.closing.as_ref()?.since;
                Some((id, now.since(since) >= FORCE_SECONDS))
            });
            changing.collect::<BTreeMap<BlogId, bool>>()
        });
        let changing = changing.unwrap_or_default();
        self.statements_kept()
            .retain(|id, _| changing.contains_key(id));
        for (blog, forced) in changing {
            let any = self.statements_kept().contains_key(&blog);
            if any {
                // Those that suffice may have come when nothing could be put in order.
                self.open_set(blog, forced).await;
            }
        }
    }

    fn statements_kept(&self) -> MutexGuard<'_, BTreeMap<BlogId, Vec<Signed>>> {
        self.statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// `GET registry/statements` (SPEC http 3.5): the leader has them, any node passes the question on.
    pub(super) async fn statements_for(&self, request: &Request<Incoming>) -> Response {
        let query = web::query(request);
        let wanted = KeptWanted {
            blog: query.get("blog").cloned(),
            spoke: query.get("spoke").cloned(),
            after: query.get("after").cloned(),
        };
        // Whoever asks much waits here, and leaves the leader's places to its peers. Nobody closes it.
        let _turn = self.asking.acquire().await;
        match self.order.ask_leader("/kept", &wanted).await {
            Ok(Some(kept)) => {
                let kept: StatementsWire = kept;
                web::json(StatusCode::OK, &kept)
            }
            Ok(None) => web::json(StatusCode::OK, &self.kept(&wanted)),
            Err(why) => why.answer(),
        }
    }

    /// What is kept about sets that change, as far as it is asked for.
    pub(super) fn kept(&self, wanted: &KeptWanted) -> StatementsWire {
        let id = |text: &Option<String>| BlogId::parse(text.as_deref()?).ok();
        let kept = self.statements_kept();
        let spoke = wanted.spoke.as_deref().and_then(|s| Label::parse(s).ok());
        let (blog, after) = (id(&wanted.blog), id(&wanted.after));
        let concerned = self.book.ask(|registry| {
            let concerns = |id: &BlogId| match &spoke {
                None => blog == Some(*id),
                Some(spoke) => registry.blog(*id).is_some_and(|blog| concerns(blog, spoke)),
            };
            let behind = kept
                .keys()
                .filter(|id| after.is_none_or(|after| **id > after));
            behind.copied().filter(concerns).collect::<Vec<_>>()
        });
        StatementsWire {
            statements: gathered(&kept, concerned.unwrap_or_default()),
        }
    }
}

/// What is kept about these blogs, up to the first behind which it is enough: who asks goes on behind that.
fn gathered(kept: &BTreeMap<BlogId, Vec<Signed>>, blogs: Vec<BlogId>) -> Vec<SignedWire> {
    let mut statements: Vec<SignedWire> = Vec::new();
    for id in blogs {
        if statements.len() >= KEPT_MAX {
            break;
        }
        statements.extend(kept.get(&id).into_iter().flatten().map(SignedWire::from));
    }
    statements
}

/// The blogs that take one step, in groups that are not too large.
fn grouped(steps: BTreeMap<Step, Vec<BlogId>>) -> Vec<(Step, Vec<BlogId>)> {
    let groups = steps.into_iter().flat_map(|(step, blogs)| {
        let groups = blogs.chunks(GROUP_MAX);
        let groups = groups.map(|group| (step.clone(), group.to_vec()));
        groups.collect::<Vec<_>>()
    });
    groups.collect()
}

/// All but the seals of members that are silent.
fn without_silent_seals(registry: &Registry, statements: &[Signed]) -> Vec<Signed> {
    let is_silent = |signed: &&Signed| {
        let seal = Seal::parse(signed.text.as_bytes());
        let spoke = seal.ok().and_then(|seal| registry.spoke(&seal.spoke));
        spoke.is_some_and(|spoke| !spoke.is_well())
    };
    let statements = statements.iter();
    statements.filter(|s| !is_silent(s)).cloned().collect()
}

/// All but the seals that nobody can catch up with, and whose these are: a majority of the coming set covers what
/// the others have sealed, and does not cover them as well. None where nothing is to be left out, or the others are
/// too few: so many as are needed name all that is safe (SPEC receipt 3.5), and no member can hold up the rest by
/// sealing what nobody has.
fn without_uncovered_seals(
    registry: &Registry,
    now: Time,
    blog: BlogId,
    forced: bool,
    statements: &[Signed],
) -> Option<(Vec<Signed>, BTreeSet<Label>)> {
    let record = registry.blog(blog)?;
    let closing = record.closing.as_ref()?;
    if now.since(closing.since) < CATCHING_UP_SECONDS {
        return None;
    }
    let seals = seals_covered(&record.set, &closing.next, statements);
    let majority = closing.next.majority();
    // Which ones are covered together depends on where one begins.
    let choices = (0..seals.len()).map(|first| covered_together(&seals, first, majority));
    let chosen = choices.max_by_key(BTreeMap::len)?;
    let needed = if forced { 1 } else { record.set.seals_needed() };
    if chosen.len() < needed || chosen.len() == seals.len() {
        return None;
    }
    let is_left_out = |at: usize| {
        let is_seal = seals.iter().any(|seal| seal.at == at);
        is_seal && !chosen.values().any(|chosen| *chosen == at)
    };
    let stay = statements.iter().enumerate();
    let stay = stay.filter(|(at, _)| !is_left_out(*at));
    let whose = seals.iter().map(|seal| seal.by.clone());
    let whose = whose.filter(|label| !chosen.contains_key(label));
    Some((stay.map(|(_, s)| s.clone()).collect(), whose.collect()))
}

/// A seal among statements.
struct SealCovered {
    /// Where it is among them.
    at: usize,
    by: Label,
    /// The coming members that hold all it names.
    holders: BTreeSet<Label>,
}

/// The seals among these statements, and who of the coming set says to hold all that each names.
fn seals_covered(open: &Set, next: &Set, statements: &[Signed]) -> Vec<SealCovered> {
    let mut held: BTreeMap<Label, BTreeSet<Tip>> = BTreeMap::new();
    let receipts = statements.iter().map(|s| Held::parse(s.text.as_bytes()));
    for receipt in receipts.filter_map(Result::ok) {
        if receipt.epoch == next.epoch && next.has(&receipt.spoke) {
            held.entry(receipt.spoke).or_default().insert(receipt.tip);
        }
    }
    let seals = statements.iter().enumerate().filter_map(|(at, signed)| {
        let seal = Seal::parse(signed.text.as_bytes()).ok()?;
        if seal.epoch != open.epoch || !open.has(&seal.spoke) {
            return None;
        }
        let covers = |held: &BTreeSet<Tip>| seal.tips.iter().all(|tip| held.contains(tip));
        let holders = held.iter().filter(|(_, held)| covers(held));
        Some(SealCovered {
            at,
            by: seal.spoke.clone(),
            holders: holders.map(|(label, _)| label.clone()).collect(),
        })
    });
    seals.collect()
}

/// The seals that one majority covers all of, one of each member, beginning with this one: where each is among
/// the statements.
fn covered_together(
    seals: &[SealCovered],
    first: usize,
    majority: usize,
) -> BTreeMap<Label, usize> {
    let mut chosen = BTreeMap::new();
    let mut holders = seals[first].holders.clone();
    for seal in seals[first..].iter().chain(&seals[..first]) {
        let both: BTreeSet<Label> = holders.intersection(&seal.holders).cloned().collect();
        if both.len() >= majority && !chosen.contains_key(&seal.by) {
            holders = both;
            chosen.insert(seal.by.clone(), seal.at);
        }
    }
    chosen
}

/// Tells organizers whose seals named what nobody could get.
fn say_left_out(blog: BlogId, left_out: &BTreeSet<Label>) {
    for label in left_out {
        tracing::warn!(
            %blog,
            %label,
            "a new set was opened without this member's seal: it named entries that nobody could get from it. \
             Nothing that was safe is missing. Where this goes on, ask whoever runs it, or evict it"
        );
    }
}

/// Whether a spoke is in the set of a blog as it is, or will be.
fn concerns(blog: &BlogRecord, spoke: &Label) -> bool {
    let next = blog.closing.as_ref();
    blog.set.has(spoke) || next.is_some_and(|closing| closing.next.has(spoke))
}

/// The blogs for which something may follow without a change: those that change or are wished elsewhere, those
/// with another number of members than they should have, and all on spokes that are not well.
fn unsettled(registry: &Registry) -> BTreeSet<BlogId> {
    let policy = registry.founding().policy.replicas;
    let is_unsettled = |blog: &BlogRecord| {
        let wanted = blog.replicas.unwrap_or(policy) + blog.demand.more;
        blog.closing.is_some() || blog.home.is_some() || blog.set.members.len() as u64 != wanted
    };
    let blogs = registry.blogs().filter(|(_, blog)| is_unsettled(blog));
    let mut unsettled: BTreeSet<BlogId> = blogs.map(|(id, _)| id).collect();
    let is_at_ease =
        |spoke: &Spoke| spoke.is_well() && !spoke.is_leaving() && spoke.takes != Takes::Nothing;
    for (label, _) in registry.spokes().filter(|(_, spoke)| !is_at_ease(spoke)) {
        unsettled.extend(registry.placed_on(label));
    }
    unsettled
}

fn step(registry: &Registry, now: Time, id: BlogId) -> Option<Step> {
    let candidates = registry.candidates();
    Some(Step {
        members: registry.next_set(now, id, &candidates)?,
        epoch: registry.blog(id)?.set.epoch,
    })
}

/// Who would have to take the blog in.
fn newcomers(registry: &Registry, id: BlogId, step: &Step) -> Vec<Label> {
    let has = |label: &&Label| registry.blog(id).is_some_and(|blog| blog.set.has(label));
    step.members.iter().filter(|l| !has(l)).cloned().collect()
}

fn plan(registry: &Registry, now: Time, blogs: &BTreeSet<BlogId>) -> Plan {
    let candidates = registry.candidates();
    let mut plan = Plan::default();
    for id in blogs {
        let Some(blog) = registry.blog(*id) else {
            continue;
        };
        let Some(members) = registry.next_set(now, *id, &candidates) else {
            continue;
        };
        let set = &blog.set;
        let is_known = members.iter().all(|label| set.has(label));
        let accepts = registry
            .spoke(set.primary())
            .is_some_and(|spoke| spoke.is_well());
        match (accepts, is_known) {
            (true, _) => plan.paced.push(*id),
            (false, false) => plan.pressing.push(*id),
            (false, true) => {
                let epoch = set.epoch;
                let step = Step { epoch, members };
                plan.urgent.entry(step).or_default().push(*id);
            }
        }
    }
    plan
}

/// How much is under way.
#[derive(Debug, Default)]
struct Pace {
    /// Sets that change.
    changing: usize,
    /// Blogs that each spoke is taking in, as far as it was asked for.
    filling: BTreeMap<Label, usize>,
    /// Blogs since the last step for whose newcomers there was no room.
    busy_in_a_row: usize,
}

impl Pace {
    fn of(registry: &Registry) -> Self {
        let changing = registry.blogs().filter(|(_, blog)| blog.closing.is_some());
        Self {
            changing: changing.take(CHANGING_MAX).count(),
            filling: BTreeMap::new(),
            busy_in_a_row: 0,
        }
    }

    /// Whether enough is under way, so that one looks again later.
    fn rests(&self) -> bool {
        self.changing >= CHANGING_MAX || self.busy_in_a_row >= BUSY_IN_A_ROW_MAX
    }

    /// Whether a step may be taken now that these spokes must take the blog in for.
    fn may(&mut self, registry: &Registry, id: BlogId, newcomers: &[Label]) -> bool {
        // A set that cannot open gives way to another: nothing is accepted meanwhile.
        let is_stuck = registry.blog(id).is_some_and(|blog| blog.closing.is_some());
        let mut have_room = newcomers.iter().map(|label| {
            let known = self.filling.entry(label.clone());
            *known.or_insert_with(|| filling(registry, label)) < FILLING_MAX
        });
        let may = is_stuck || have_room.all(|has_room| has_room);
        self.busy_in_a_row += usize::from(!may);
        may
    }

    fn note(&mut self, newcomers: Vec<Label>) {
        self.changing += 1;
        self.busy_in_a_row = 0;
        for label in newcomers {
            *self.filling.entry(label).or_default() += 1;
        }
    }
}

/// How many blogs a spoke is taking in.
fn filling(registry: &Registry, label: &Label) -> usize {
    let lacks = |set: &Set, blog: &BlogRecord| set.has(label) && !registry.holds_blog(blog, label);
    let placed = registry.placed_on(label).filter_map(|id| registry.blog(id));
    let lacking = placed.filter(|blog| {
        let next = blog.closing.as_ref().map(|closing| &closing.next);
        lacks(&blog.set, blog) || next.is_some_and(|next| lacks(next, blog))
    });
    lacking.take(FILLING_MAX).count()
}

#[cfg(test)]
mod tests;
