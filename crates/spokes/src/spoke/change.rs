//! A blog's set changes: its old members seal, its coming members take in what was sealed, and say so
//! (SPEC receipt 3.4).
//!
//! Whoever leads the council keeps what was said in memory alone: what another one lacks who leads now is said
//! again.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use spokes_log::name::BlogId;
use spokes_rules::{
    node::{Label, Signed},
    receipt::{Held, Receipt, Seal, Tip},
    registry::{BlogRecord, FORCE_SECONDS, Registry},
    replica::Event,
};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

use super::Spoke;
use crate::{
    client::{Ask, Reply},
    clock,
    wire::{SignedWire, StatementsWire},
};

/// How often the council is asked for the seals of sets that have just begun to change: their authors wait.
const SEALS_SOON: Duration = Duration::from_millis(60);
/// For how many questions.
const SOON_TURNS: u32 = 20;
/// How often it is asked behind that.
const SEALS_EVERY: Duration = Duration::from_millis(500);
/// How long seals of all who are there are waited for, before what there is is covered: for the case that no
/// others come and the set is opened without them.
const SEALS_WAIT_SECONDS: i64 = 20;
/// How long a member that answers is asked for what it alone has sealed, before its seal is left out like that of
/// one that is silent: a good one has given it by then, unless its line is so slow that its readers notice. Authors
/// wait meanwhile.
const CATCHING_UP_SECONDS: i64 = 20;
/// Blogs that are caught up with at a time.
const CATCHING_UP_MAX: usize = 8;
/// Statements of one answer from which on there may be more of them.
const MANY: usize = 1_000;

/// After which time the council is told again what it does not have: before, it is on its way, perhaps.
const SAY_AGAIN: Duration = Duration::from_secs(2);
/// The same, as the registry counts.
const SAY_AGAIN_SECONDS: i64 = 2;
/// Statements of one message: they are short, and a message with them may have a mebibyte.
const TOLD_AT_ONCE: usize = 200;
/// The pause before a silent council is told again.
const COUNCIL_PAUSE: Duration = Duration::from_millis(300);
/// How often: then it is asked what it has, and told what it lacks.
const COUNCIL_TRIES: usize = 20;

/// Messages that go to another node as well, at once: more wait for the next turn.
pub(super) const TOLD_BESIDE_MAX: usize = 4;
/// How long another node is waited for, and what it keeps: a healthy one needs some milliseconds.
const BESIDE_WAIT: Duration = Duration::from_millis(500);

/// Statements on their way to the council: what comes up meanwhile goes in the next message.
#[derive(Debug, Default)]
pub(super) struct Telling {
    statements: Mutex<Vec<Signed>>,
    news: Notify,
}

/// What the council keeps about a blog whose set changes.
#[derive(Debug, Default)]
struct Kept {
    statements: Vec<Signed>,
}

impl Spoke {
    /// Has the council told a seal or a receipt.
    pub(super) fn tell_council(&self, signed: Signed) {
        let mut statements = self
            .telling
            .statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !statements.contains(&signed) {
            statements.push(signed);
        }
        self.telling.news.notify_one();
    }

    /// Tells the council what it is to hear, one message after the other.
    pub(super) async fn tell_all_to_council(self: Arc<Self>) {
        loop {
            self.telling.news.notified().await;
            let statements = {
                let mut waiting = self
                    .telling
                    .statements
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *waiting)
            };
            for some in statements.chunks(TOLD_AT_ONCE) {
                self.tell_some(some).await;
            }
        }
    }

    async fn tell_some(&self, statements: &[Signed]) {
        let body: Vec<SignedWire> = statements.iter().map(SignedWire::from).collect();
        let body = StatementsWire { statements: body };
        self.tell_beside(&body);
        for turn in 0..COUNCIL_TRIES {
            let nodes = self.council();
            let to = Ask::new(nodes[turn % nodes.len()], "/api/v1/registry/statements");
            let told = self.client.post::<_, serde_json::Value>(to, &body).await;
            match told {
                Ok(Reply::Good(..)) => return,
                // It has enough of them, or cannot read them: it would say so again.
                Ok(Reply::Refused(problem)) if problem.status != 503 => return,
                _ => tokio::time::sleep(COUNCIL_PAUSE).await,
            }
        }
    }

    /// Tells another node the same, each time another, and does not wait: one that keeps to itself what it hears
    /// would stop all that is to follow.
    pub(super) fn tell_beside(&self, statements: &StatementsWire) {
        let permit = Arc::clone(&self.told_beside).try_acquire_owned();
        let (Some(node), Ok(permit)) = (self.another_of_council(), permit) else {
            return;
        };
        let (client, statements) = (self.client.clone(), statements.clone());
        tokio::spawn(async move {
            let to = Ask::new(node, "/api/v1/registry/statements");
            let told = client.post::<_, serde_json::Value>(to, &statements).await;
            if let Err(outage) = told {
                tracing::trace!(%node, %outage, "another council node was not told");
            }
            drop(permit);
        });
    }

    /// Seals and covers, again and again, as long as sets change that this spoke is in or will be in.
    pub(super) async fn change_sets(self: Arc<Self>) {
        let mut followed = self.followed.subscribe();
        let mut after: Option<BlogId> = None;
        let (mut before, mut turns) = (BTreeMap::new(), 0);
        let (mut said, covering) = (Instant::now(), Covering::new());
        loop {
            let changing = self.changing();
            if changing.is_empty() {
                if followed.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let epochs = changing.iter().map(|(id, blog)| (*id, blog.set.epoch));
            let epochs: BTreeMap<BlogId, u64> = epochs.collect();
            let is_new = epochs.iter().any(|known| !before.contains_key(known.0));
            turns = if is_new { 0 } else { turns + 1 };
            before = epochs;
            if let Some((kept, last)) = self.kept_by_council(after).await {
                if said.elapsed() >= SAY_AGAIN {
                    said = Instant::now();
                    self.say_again(&changing, &kept, after, last);
                }
                after = last;
                self.cover_all(&changing, kept, &covering);
            }
            let soon = turns < SOON_TURNS;
            tokio::time::sleep(if soon { SEALS_SOON } else { SEALS_EVERY }).await;
        }
    }

    /// The blogs whose sets change and concern this spoke.
    fn changing(&self) -> BTreeMap<BlogId, BlogRecord> {
        let changing = self.ask(|registry| {
            let placed = registry.placed_on(&self.me);
            let blogs = placed.filter_map(|id| Some((id, registry.blog(id)?)));
            let changing = blogs.filter(|(_, blog)| blog.closing.is_some());
            changing.map(|(id, blog)| (id, blog.clone())).collect()
        });
        changing.unwrap_or_default()
    }

    /// What the council's leader keeps of blogs behind this one, and behind which one to go on.
    async fn kept_by_council(
        &self,
        after: Option<BlogId>,
    ) -> Option<(BTreeMap<BlogId, Kept>, Option<BlogId>)> {
        let behind = after.map(|after| format!("&after={after}"));
        let path = format!(
            "/api/v1/registry/statements?spoke={}{}",
            self.me,
            behind.unwrap_or_default()
        );
        let beside = async {
            let node = self.another_of_council()?;
            let asked = self.statements_of(node, &path);
            tokio::time::timeout(BESIDE_WAIT, asked).await.ok()?
        };
        let first = async {
            for node in self.council() {
                if let Some(said) = self.statements_of(node, &path).await {
                    return Some(said);
                }
            }
            None
        };
        let (first, beside) = tokio::join!(first, beside);
        let answers: Vec<_> = [first, beside].into_iter().flatten().collect();
        // What lies behind the end of one answer is for the next question.
        let last = answers.iter().filter_map(|(_, last)| *last).min();
        let mut kept: BTreeMap<BlogId, Kept> = BTreeMap::new();
        for (blog, signed) in answers.iter().flat_map(|(said, _)| said) {
            let kept = &mut kept.entry(*blog).or_default().statements;
            if !kept.contains(signed) {
                kept.push(signed.clone());
            }
        }
        if let Some(last) = last {
            kept.retain(|blog, _| *blog <= last);
        }
        (!answers.is_empty()).then_some((kept, last))
    }

    /// What a node says that the leader keeps, and the last blog if there may be more behind it.
    async fn statements_of(
        &self,
        node: SocketAddr,
        path: &str,
    ) -> Option<(Vec<(BlogId, Signed)>, Option<BlogId>)> {
        let said = self.client.get::<StatementsWire>(Ask::new(node, path));
        let Ok(Reply::Good(said, _)) = said.await else {
            return None;
        };
        let many = said.statements.len() >= MANY;
        let read = |wire: &SignedWire| {
            let signed = wire.signed().ok()?;
            Some((blog_of(&signed)?, signed))
        };
        let said: Vec<_> = said.statements.iter().filter_map(read).collect();
        let last = said.iter().map(|(blog, _)| *blog).max();
        Some((said, last.filter(|_| many)))
    }

    /// Says again what this spoke has said of these blogs and the council does not have.
    fn say_again(
        self: &Arc<Self>,
        changing: &BTreeMap<BlogId, BlogRecord>,
        kept: &BTreeMap<BlogId, Kept>,
        after: Option<BlogId>,
        up_to: Option<BlogId>,
    ) {
        let now = clock::now();
        for (blog, record) in changing {
            // What one answer leaves out is not missing.
            let is_left_out = after.is_some_and(|after| *blog <= after)
                || up_to.is_some_and(|up_to| *blog > up_to);
            let since = record.closing.as_ref().map(|closing| closing.since);
            let is_young = since.is_none_or(|since| now.since(since) < SAY_AGAIN_SECONDS);
            if is_left_out || is_young {
                continue;
            }
            let mine = |signed: &&Signed| signed.key == self.secret.key();
            let known: Vec<&Signed> = kept
                .get(blog)
                .map(|kept| kept.statements.iter().filter(mine).collect())
                .unwrap_or_default();
            let lacks = |said: &Signed| !known.contains(&said);
            let seal = record
                .set
                .has(&self.me)
                .then(|| self.store.seal(*blog, record.set.epoch));
            let seal = seal.and_then(Result::ok).flatten();
            let seal = seal.and_then(|text| Seal::parse(text.as_bytes()).ok());
            let seal = seal.map(|seal| Signed::new(&self.secret, &seal));
            let receipts = self.with(*blog, |replica| {
                let of_next =
                    |r: &&Receipt| r.held.spoke == self.me && r.held.epoch > record.set.epoch;
                let receipts = replica.receipts().all().filter(of_next);
                receipts.map(|r| r.signed.clone()).collect::<Vec<_>>()
            });
            let said = seal.into_iter().chain(receipts.into_iter().flatten());
            said.filter(lacks).for_each(|said| self.tell_council(said));
        }
    }

    /// Begins to cover what is sealed of blogs whose next set this spoke is in. Nobody waits for one that must be
    /// taken in first.
    fn cover_all(
        self: &Arc<Self>,
        changing: &BTreeMap<BlogId, BlogRecord>,
        kept: BTreeMap<BlogId, Kept>,
        covering: &Covering,
    ) {
        for (blog, kept) in kept {
            let Some(record) = changing.get(&blog) else {
                continue;
            };
            let Some(closing) = record.closing.as_ref().filter(|c| c.next.has(&self.me)) else {
                continue;
            };
            let since = closing.since;
            let waited = clock::now().since(since) >= SEALS_WAIT_SECONDS;
            let seals = self.ask(|registry| seals_of(registry, blog, &kept.statements));
            let seals = seals.flatten().unwrap_or_default();
            let needed = record.set.seals_needed();
            let suffice = seals.len() >= needed;
            if seals.is_empty() || !suffice && !waited || !covering.begins(blog) {
                continue;
            }
            let (spoke, covering) = (Arc::clone(self), covering.clone());
            tokio::spawn(async move {
                if spoke.lacks_any(blog, seals.values().flatten()) {
                    // Nobody closes it.
                    let _place = covering.places.acquire().await;
                    spoke.fetch_sealed(blog, &seals).await;
                }
                let left_out_from = left_out_from(needed, clock::now().since(since));
                let cover = Event::Cover(spoke.can_cover(blog, seals, left_out_from));
                spoke.with(blog, |replica| replica.handle(clock::now(), cover));
                covering.ended(blog);
            });
        }
    }

    /// What is sealed, but for what nobody can have (see `covers`).
    fn can_cover(
        self: &Arc<Self>,
        blog: BlogId,
        seals: BTreeMap<Label, Vec<Tip>>,
        left_out_from: Option<usize>,
    ) -> BTreeSet<Tip> {
        // One that is barred and there gives what it has sealed like any other.
        let is_well = |label: &Label| {
            let answers = |registry: &Registry| {
                let spoke = registry.spoke(label);
                spoke.is_some_and(|spoke| spoke.health.down.is_none())
            };
            self.ask(answers).unwrap_or_default()
        };
        let seals = seals.into_iter().map(|(label, tips)| Sealed {
            is_well: is_well(&label),
            is_here: !self.lacks_any(blog, tips.iter()),
            tips,
        });
        covers(seals.collect(), left_out_from)
    }

    /// Whether any of these entries is not here.
    fn lacks_any<'t>(
        self: &Arc<Self>,
        blog: BlogId,
        mut tips: impl Iterator<Item = &'t Tip>,
    ) -> bool {
        let lacks = self.with(blog, |replica| {
            tips.any(|tip| !replica.chain().contains(tip.id))
        });
        lacks != Some(false)
    }

    async fn fetch_sealed(self: &Arc<Self>, blog: BlogId, seals: &BTreeMap<Label, Vec<Tip>>) {
        for (label, tips) in seals {
            let Some(address) = self.member_address(label) else {
                continue;
            };
            if self.lacks_any(blog, tips.iter()) {
                // Whatever it has besides: what it has sealed has to be had.
                if let Err(outage) = self.catch_up(address, blog, tips).await {
                    tracing::debug!(%label, %blog, %outage, "a seal was not caught up with");
                }
            }
        }
    }
}

/// What a member of the old set has sealed, as it looks from here.
#[derive(Clone, Debug)]
struct Sealed {
    tips: Vec<Tip>,
    is_well: bool,
    /// Whether all of it is here.
    is_here: bool,
}

/// With how many other seals covered one is left out whose member answers, but does not give what it sealed; as
/// long as it may only be slow, none is.
fn left_out_from(needed: usize, waited: i64) -> Option<usize> {
    match waited {
        // By then the council opens with what there is (SPEC receipt 3.7).
        FORCE_SECONDS.. => Some(1),
        CATCHING_UP_SECONDS.. => Some(needed),
        _ => None,
    }
}

/// What to cover: what is sealed, but for what only members have that are silent by now, or that have been asked
/// long enough. Nobody can have that, and the set opens without their seals if the others suffice.
fn covers(seals: Vec<Sealed>, left_out_from: Option<usize>) -> BTreeSet<Tip> {
    let here = seals.iter().filter(|seal| seal.is_here).count();
    let is_over = left_out_from.is_some_and(|enough| here >= enough);
    let seals = seals.into_iter();
    let covered = seals.filter(|seal| seal.is_here || seal.is_well && !is_over);
    covered.flat_map(|seal| seal.tips).collect()
}

/// The blogs that are being covered.
#[derive(Clone, Debug)]
struct Covering {
    blogs: Arc<Mutex<BTreeSet<BlogId>>>,
    places: Arc<Semaphore>,
}

impl Covering {
    fn new() -> Self {
        Self {
            blogs: Arc::default(),
            places: Arc::new(Semaphore::new(CATCHING_UP_MAX)),
        }
    }

    fn blogs(&self) -> MutexGuard<'_, BTreeSet<BlogId>> {
        self.blogs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begins(&self, blog: BlogId) -> bool {
        self.blogs().insert(blog)
    }

    fn ended(&self, blog: BlogId) {
        self.blogs().remove(&blog);
    }
}

/// Which blog a statement is about.
fn blog_of(signed: &Signed) -> Option<BlogId> {
    let text = signed.text.as_bytes();
    let sealed = Seal::parse(text).map(|seal| seal.blog);
    sealed
        .or_else(|_| Held::parse(text).map(|held| held.blog))
        .ok()
}

/// The tips in the good seals of the open epoch, by member.
fn seals_of(
    registry: &Registry,
    blog: BlogId,
    statements: &[Signed],
) -> Option<BTreeMap<Label, Vec<Tip>>> {
    let set = &registry.blog(blog)?.set;
    let seals = statements.iter().filter_map(|signed| {
        let seal = Seal::parse(signed.text.as_bytes()).ok()?;
        let fits = seal.network == registry.network()
            && (seal.blog, seal.epoch) == (blog, set.epoch)
            && set.has(&seal.spoke)
            && registry.spoke(&seal.spoke)?.key == signed.key
            && signed.is_good();
        fits.then_some((seal.spoke, seal.tips))
    });
    Some(seals.collect())
}

#[cfg(test)]
mod tests {
    use spokes_log::name::Hash;

    use super::*;

    const NEEDED: usize = 2;

    /// Covers seals, each of its own entry, after so many seconds; `here` and `silent` or `well` members that do
    /// not give what they sealed.
    fn check(waited: i64, seals: &str, covered: &str) {
        let tip = |name: &str| Tip {
            sequence: 7,
            id: Hash::of(name.as_bytes()),
        };
        let seals = seals.split(' ').map(|name| Sealed {
            tips: vec![tip(name)],
            is_well: !name.starts_with("silent"),
            is_here: name.starts_with("here"),
        });
        let expected: BTreeSet<Tip> = covered.split_whitespace().map(tip).collect();
        let found = covers(seals.collect(), left_out_from(NEEDED, waited));
        assert_eq!(found, expected, "after {waited} seconds");
    }

    #[test]
    fn a_seal_that_its_member_does_not_give_is_waited_for_and_left_out_then() {
        let last = CATCHING_UP_SECONDS - 1;
        check(last, "well here1 here2", "well here1 here2");
        check(CATCHING_UP_SECONDS, "well here1 here2", "here1 here2");
        check(last, "silent here1 here2", "here1 here2");
    }

    #[test]
    fn where_the_others_are_too_few_it_is_waited_for_until_the_council_forces() {
        let last = FORCE_SECONDS - 1;
        check(last, "well here1", "well here1");
        check(last, "well silent here1", "well here1");
        check(FORCE_SECONDS, "well here1", "here1");
        check(FORCE_SECONDS, "well", "well");
    }
}
