//! Saying what is held: a member that came to a blog's set, or was silent, has all of it again and keeps up
//! (SPEC registry 3.26). Before it has said so no reader is sent to it, and it never becomes primary.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use spokes_log::name::{BlogId, Hash};
use spokes_rules::{
    node::Label,
    receipt::Tip,
    registry::{self, BlogRecord},
    replica::Event,
    request::{HOLDS_MAX, Wish},
};
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
    time::Instant,
};

use super::Spoke;
use crate::{
    client::{Ask, Reply},
    clock,
    wire::{HeadsWire, TipWire},
};

/// How often a spoke says what it holds now: one request for many blogs.
const SAY_EVERY: Duration = Duration::from_secs(2);
/// After which pause a blog is looked at again that could not be had, or of which the council did not hear.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Blogs that are taken in at a time: readers need disk and line, too.
const TAKING_IN_MAX: usize = 4;
/// Blogs that are asked about and not taken in yet: what was said of them is not old when their turn comes.
const UNDER_WAY_MAX: usize = 64;
/// Blogs about which a peer is asked at once: their ids fit an address line.
const ASKED_AT_ONCE: usize = 50;

/// Blogs whose set has just changed: their feeds come from another spoke now, and what that one took over from
/// the last primary is in none.
#[derive(Debug, Default)]
pub(super) struct Reopened {
    blogs: Mutex<BTreeSet<BlogId>>,
    news: Notify,
}

impl Reopened {
    pub(super) fn note(&self, blog: BlogId) {
        self.blogs().insert(blog);
        self.news.notify_one();
    }

    fn blogs(&self) -> MutexGuard<'_, BTreeSet<BlogId>> {
        self.blogs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spoke {
    /// Asks a new primary what it has, as soon as it is one.
    pub(super) async fn catch_up_behind_changes(self: Arc<Self>) {
        loop {
            self.reopened.news.notified().await;
            let blogs = std::mem::take(&mut *self.reopened.blogs());
            let mut coming = JoinSet::new();
            for blog in blogs {
                if coming.len() >= TAKING_IN_MAX {
                    drop(coming.join_next().await);
                }
                let primary = self.ask(|r| r.blog(blog).map(|blog| blog.set.primary().clone()));
                let Some(address) = primary.flatten().and_then(|label| self.address(&label)) else {
                    continue;
                };
                let spoke = Arc::clone(&self);
                coming.spawn(async move { spoke.catch_up_with(address, blog).await });
            }
            drop(coming.join_all().await);
        }
    }

    /// Takes in the blogs that this spoke is given, and says that it holds them.
    pub(super) async fn take_in_blogs(self: Arc<Self>) {
        let mut followed = self.followed.subscribe();
        // With the epoch in which that was: another one is another question.
        let mut tried: BTreeMap<BlogId, (u64, Instant)> = BTreeMap::new();
        let (mut coming, places) = (JoinSet::new(), Arc::new(Semaphore::new(TAKING_IN_MAX)));
        let mut under_way: BTreeSet<BlogId> = BTreeSet::new();
        loop {
            followed.mark_unchanged();
            let began = Instant::now();
            let mut lacking = self.lacking();
            tried.retain(|blog, (epoch, at)| {
                let record = lacking.get(blog);
                record.is_some_and(|r| r.set.epoch == *epoch) && at.elapsed() < AGAIN_AFTER
            });
            lacking.retain(|blog, _| !tried.contains_key(blog) && !under_way.contains(blog));
            if lacking.is_empty() && coming.is_empty() {
                let news = followed.changed();
                // Either way it is looked at again.
                if tried.is_empty() {
                    drop(news.await);
                } else {
                    drop(tokio::time::timeout(SAY_EVERY, news).await);
                }
                continue;
            }
            let room = UNDER_WAY_MAX.saturating_sub(under_way.len());
            let some: BTreeMap<_, _> = lacking.into_iter().take(room).collect();
            let mut named = self.named_tips(&some).await;
            for (blog, record) in some {
                under_way.insert(blog);
                let named = named.remove(&blog).unwrap_or_default();
                let (spoke, places) = (Arc::clone(&self), Arc::clone(&places));
                coming.spawn(async move {
                    // Nobody closes it.
                    let _place = places.acquire().await;
                    let held = spoke.take_in_one(blog, &record, named).await;
                    (blog, record.set.epoch, held)
                });
            }
            let mut held = Vec::new();
            let until = began + SAY_EVERY;
            while let Ok(Some(done)) = tokio::time::timeout_at(until, coming.join_next()).await {
                let Ok((blog, epoch, holds)) = done else {
                    continue;
                };
                under_way.remove(&blog);
                tried.insert(blog, (epoch, Instant::now()));
                held.extend(holds.then_some(blog));
            }
            self.say_held(held).await;
            tokio::time::sleep_until(until).await;
        }
    }

    /// The blogs whose set this spoke is in, or will be in, without having said that it holds them.
    fn lacking(&self) -> BTreeMap<BlogId, BlogRecord> {
        let lacking = self.ask(|registry| {
            let lacks = |blog: &BlogRecord| {
                let next = blog.closing.as_ref();
                let comes = next.is_some_and(|closing| closing.next.has(&self.me));
                (blog.set.has(&self.me) || comes) && !registry.holds_blog(blog, &self.me)
            };
            let placed = registry.placed_on(&self.me);
            let blogs = placed.filter_map(|id| Some((id, registry.blog(id)?)));
            let lacking = blogs.filter(|(_, blog)| lacks(blog)).take(HOLDS_MAX);
            lacking.map(|(id, blog)| (id, blog.clone())).collect()
        });
        lacking.unwrap_or_default()
    }

    /// What the other members say that they have of these blogs, each asked once for many.
    async fn named_tips(
        self: &Arc<Self>,
        blogs: &BTreeMap<BlogId, BlogRecord>,
    ) -> BTreeMap<BlogId, Named> {
        let mut by_member: BTreeMap<_, Vec<BlogId>> = BTreeMap::new();
        for (blog, record) in blogs {
            for label in record.set.members.iter().filter(|label| **label != self.me) {
                by_member.entry(label.clone()).or_default().push(*blog);
            }
        }
        let mut named: BTreeMap<BlogId, Named> = BTreeMap::new();
        for (label, blogs) in by_member {
            let Some(address) = self.address(&label) else {
                continue;
            };
            for some in blogs.chunks(ASKED_AT_ONCE) {
                let ids: Vec<String> = some.iter().map(Hash::to_string).collect();
                let path = format!("/api/v1/heads?blogs={}", ids.join(","));
                let heads = self.client.get::<HeadsWire>(Ask::new(address, &path)).await;
                let Ok(Reply::Good(heads, _)) = heads else {
                    // Who is silent for some is silent for all.
                    break;
                };
                let _none = self.take_receipts(&heads.receipts);
                for blog in some {
                    let id = blog.to_string();
                    let Some(tips) = heads.blogs.get(&id) else {
                        continue;
                    };
                    if !self.exchanges(*blog, heads.epochs.get(&id).copied()).await {
                        continue;
                    }
                    let tips = tips.iter().filter_map(|tip: &TipWire| tip.tip().ok());
                    let said = (label.clone(), address, tips.collect());
                    named.entry(*blog).or_default().push(said);
                }
            }
        }
        named
    }

    /// Takes in a blog; whether all is here that its members named.
    async fn take_in_one(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        named: Named,
    ) -> bool {
        self.ready(blog).await;
        // Where its primary answers, that one knows best; else as many as have a say in what was safe.
        let others = record.set.members.iter().filter(|label| **label != self.me);
        let needed = record.set.seals_needed().min(others.count());
        let by_primary = named
            .iter()
            .any(|(label, ..)| label == record.set.primary());
        if named.is_empty() && needed > 0 || named.len() < needed && !by_primary {
            return false;
        }
        let mut wanted: BTreeSet<Tip> = BTreeSet::new();
        for (label, address, tips) in named {
            if let Err(outage) = self.catch_up(address, blog, &tips).await {
                tracing::debug!(%blog, %label, %outage, "a blog was not taken in from there");
            }
            let event = Event::Tips {
                of: label,
                tips: tips.clone(),
            };
            self.with(blog, |replica| replica.handle(clock::now(), event));
            wanted.extend(tips);
        }
        let holds = self.with(blog, |replica| {
            let durable =
                |tip: &Tip| replica.chain().contains(tip.id) && !replica.is_storing(tip.id);
            let is_member = replica.open_set().is_some_and(|set| set.has(&self.me));
            let has_any = !replica.durable_tips().is_empty();
            let is_whole = replica.is_compared() && replica.is_settled();
            is_member && has_any && is_whole && wanted.iter().all(durable)
        });
        holds.unwrap_or(false)
    }

    /// Whether readers get a blog from here: a member that is still taking it in sends them to one that has it,
    /// as long as there is one.
    pub(super) fn serves(&self, record: &BlogRecord) -> bool {
        let serves = self.ask(|registry| {
            let holds = |label: &Label| registry.holds_blog(record, label);
            let serves = |label: &&Label| {
                holds(label) && registry.spoke(label).is_some_and(registry::Spoke::is_well)
            };
            // What it accepted nobody knows better.
            let accepts = record.set.primary() == &self.me;
            let another = || record.set.members.iter().any(|label| serves(&label));
            record.set.has(&self.me) && (accepts || holds(&self.me) || !another())
        });
        serves.unwrap_or(false)
    }

    async fn say_held(self: &Arc<Self>, mut blogs: Vec<BlogId>) {
        // Those that are not in the open set yet will be.
        blogs.retain(|blog| {
            let news = self.ask(|registry| {
                let record = registry.blog(*blog);
                record.is_some_and(|r| r.set.has(&self.me) && !registry.holds_blog(r, &self.me))
            });
            news == Some(true)
        });
        if blogs.is_empty() {
            return;
        }
        let many = blogs.len();
        match self
            .ask_council(
                Wish::Holds {
                    label: self.me.clone(),
                    blogs,
                },
                clock::now(),
                Vec::new(),
            )
            .await
        {
            Ok(Reply::Good(..)) => tracing::info!(blogs = many, "said that these are held here"),
            Ok(Reply::Refused(problem)) => {
                tracing::debug!(
                    why = problem.detail,
                    "the council did not take what is held here"
                );
            }
            Err(outage) => tracing::debug!(%outage, "the council did not hear what is held here"),
        }
    }
}

/// Tips that members named, with who and where they are.
type Named = Vec<(Label, SocketAddr, Vec<Tip>)>;
