//! Copies that a set was opened without: what of them belongs to the new epoch, and what leaves them as
//! offers (SPEC receipt 6).

use std::{
    collections::{BTreeSet, btree_map::BTreeMap},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use spokes_log::{
    draft::Kind,
    name::{BlogId, Hash},
};
use spokes_rules::{
    node::Label,
    receipt::Tip,
    registry::{BlogRecord, Set},
    replica::{Event, Replica},
};
use tokio::{sync::Notify, task::JoinSet};

use super::{Spoke, replicas::lock_for_long};
use crate::{
    client::{Ask, Reply},
    clock,
    outage::Outage,
    store::{Apart, Strand, Write},
    wire::HeadsWire,
};

/// How often an unsettled copy asks: nothing of it is safe meanwhile, and its authors wait.
const SETTLE_EVERY: Duration = Duration::from_millis(300);
/// Copies that settle at a time: a spoke with hundreds of blogs comes back.
const AT_ONCE: usize = 16;

/// The copies that have to settle.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    blogs: Mutex<BTreeSet<BlogId>>,
    /// Those of them whose sets are of other spokes by now.
    left: Mutex<BTreeSet<BlogId>>,
    changed: Notify,
    /// Grows before each move of entries out of the log: who read rows meanwhile reads again.
    moves: AtomicU64,
}

impl Spoke {
    /// Settles what has to settle, for ever.
    pub(super) async fn settle_all(self: Arc<Self>) {
        self.find_copies_left_behind().await;
        loop {
            let blogs = self.unsettled_blogs();
            if blogs.is_empty() {
                self.unsettled.changed.notified().await;
                continue;
            }
            let mut tasks = JoinSet::new();
            for blog in blogs {
                if tasks.len() == AT_ONCE {
                    drop(tasks.join_next().await);
                }
                tasks.spawn(Arc::clone(&self).settle(blog));
            }
            while tasks.join_next().await.is_some() {}
            // Woken too early is woken for another one.
            let woken = self.unsettled.changed.notified();
            drop(tokio::time::timeout(SETTLE_EVERY, woken).await);
        }
    }

    fn unsettled_blogs(&self) -> Vec<BlogId> {
        let blogs = self.unsettled.blogs.lock();
        let blogs = blogs.unwrap_or_else(PoisonError::into_inner);
        blogs.iter().copied().collect()
    }

    /// A copy has to settle.
    pub(super) fn must_settle(&self, blog: BlogId) {
        let blogs = self.unsettled.blogs.lock();
        if blogs.unwrap_or_else(PoisonError::into_inner).insert(blog) {
            self.unsettled.changed.notify_one();
        }
    }

    /// Whether this spoke still has to give back what it holds of a blog that others hold by now.
    pub(super) fn owes(&self, blog: BlogId) -> bool {
        let left = self.unsettled.left.lock();
        left.unwrap_or_else(PoisonError::into_inner).contains(&blog)
    }

    /// What was held here while this spoke was down, and is held by others now.
    async fn find_copies_left_behind(self: &Arc<Self>) {
        let mut followed = self.followed.subscribe();
        drop(followed.wait_for(|records| *records > 0).await);
        match self.store.blogs_to_settle() {
            Ok(blogs) => blogs
                .into_iter()
                .for_each(|blog| self.leave_no_copy_unsettled(blog)),
            Err(outage) => tracing::error!(%outage, "what was left behind here cannot be read"),
        }
    }

    /// Notes a blog that was moved to other spokes, if there is a copy of it here.
    pub(super) fn leave_no_copy_unsettled(&self, blog: BlogId) {
        let away = self.ask(|registry| {
            let record = registry.blog(blog)?;
            let next = record.closing.as_ref();
            let member = record.set.has(&self.me) || next.is_some_and(|c| c.next.has(&self.me));
            // Nobody can have left before the first change; most blogs of a network are such.
            (!member && record.set.epoch > 1).then_some(record.set.epoch)
        });
        let Some(epoch) = away.flatten() else { return };
        let is_old = self
            .store
            .settled(blog)
            .is_ok_and(|settled| settled < epoch);
        let has_copy = self.store.newest_of(blog).is_ok_and(|newest| newest > 0);
        if is_old && has_copy && self.store.was_member(blog).unwrap_or(true) {
            let left = self.unsettled.left.lock();
            left.unwrap_or_else(PoisonError::into_inner).insert(blog);
            self.must_settle(blog);
        }
    }

    /// Hears from the others what belongs to the open epoch.
    async fn settle(self: Arc<Self>, blog: BlogId) {
        self.ready(blog).await;
        let settles = self.with(blog, |replica| !replica.is_settled());
        let record = self.ask(|registry| registry.blog(blog).cloned()).flatten();
        let (Some(true), Some(record)) = (settles, record) else {
            let blogs = self.unsettled.blogs.lock();
            blogs.unwrap_or_else(PoisonError::into_inner).remove(&blog);
            return;
        };
        // The primary first: what it holds goes on, and nothing more may be needed.
        for label in record.set.members.iter().filter(|label| **label != self.me) {
            if let Some(address) = self.address(label)
                && let Err(outage) = self.settle_with(label, address, blog, &record).await
            {
                tracing::debug!(%label, %blog, %outage, "nothing was heard for settling");
            }
            if self.with(blog, |replica| replica.is_settled()) != Some(false) {
                return;
            }
        }
    }

    async fn settle_with(
        self: &Arc<Self>,
        label: &Label,
        address: SocketAddr,
        blog: BlogId,
        record: &BlogRecord,
    ) -> Result<(), Outage> {
        // What the set was opened with is fetched from whoever has it, settled or not.
        let covered: Vec<Tip> = record.covered.iter().copied().collect();
        self.catch_up(address, blog, &covered).await?;
        let path = format!("/api/v1/heads?blogs={blog}");
        let heads = self.client.get::<HeadsWire>(Ask::new(address, &path));
        let heads = heads.await.and_then(Reply::good)?;
        let id = blog.to_string();
        let (Some(epoch), Some(tips)) = (heads.epochs.get(&id), heads.blogs.get(&id)) else {
            return Ok(());
        };
        if *epoch != record.set.epoch {
            return Ok(());
        }
        let tips: Vec<Tip> = tips.iter().filter_map(|tip| tip.tip().ok()).collect();
        let vouched = Event::Vouched {
            by: label.clone(),
            epoch: *epoch,
            tips: tips.clone(),
        };
        self.with(blog, |replica| replica.handle(clock::now(), vouched));
        self.catch_up(address, blog, &tips).await
    }

    /// Remembers that a copy has settled.
    pub(super) fn has_settled(&self, replica: &Replica, epoch: u64) {
        let blog = replica.blog();
        let member = self.is_in(replica.open_set());
        // Forgotten by a loss of power, it settles once more.
        let _written = self
            .store
            .write(Write::Apart(Apart::Set(blog, epoch, member, Vec::new())));
        self.gave_back(blog);
    }

    fn is_in(&self, set: Option<&Set>) -> bool {
        set.is_some_and(|set| set.has(&self.me))
    }

    fn gave_back(&self, blog: BlogId) {
        let left = self.unsettled.left.lock();
        left.unwrap_or_else(PoisonError::into_inner).remove(&blog);
    }

    /// Takes entries out of the log that a set was opened without, and keeps them as offers.
    pub(super) fn set_apart(
        &self,
        writes: &Strand,
        replica: &mut Replica,
        epoch: u64,
        ids: BTreeSet<Hash>,
    ) {
        let blog = replica.blog();
        let member = self.is_in(replica.open_set());
        tracing::warn!(
            %blog, epoch, entries = ids.len(),
            "entries that were accepted here are not in the epoch that was opened; they are kept and \
             offered to their author"
        );
        let is_of_keys = |id: &&Hash| {
            let link = replica.chain().link(**id);
            link.is_some_and(|link| link.kind == Kind::Keys)
        };
        for id in ids.iter().filter(is_of_keys) {
            tracing::error!(
                %blog, %id,
                "a change of keys that was accepted here is not in force; its author has to repeat it"
            );
        }
        self.unsettled.moves.fetch_add(1, Ordering::AcqRel);
        let apart = Apart::Set(blog, epoch, member, ids.into_iter().collect());
        // Rare, and nothing of this blog may go on before it is done.
        let read = tokio::task::block_in_place(|| {
            let queued = self.store.write(Write::Apart(apart));
            queued
                .blocking_recv()
                .unwrap_or_else(|_| Err(Outage::new("the store has stopped")))?;
            self.recall(blog)
        });
        match read {
            Ok(recalled) => {
                replica.begin_anew(clock::now(), recalled.chain, recalled.fold);
                // Pages that showed them must not be served again.
                self.rendered.forget(&[]);
                self.latest.touch(blog);
                self.gave_back(blog);
                self.offers.changed.notify_one();
            }
            Err(outage) => {
                tracing::error!(%blog, %outage, "entries were not kept apart; it is tried again");
                writes.fail(outage);
            }
        }
    }

    /// The epochs in which copies have settled, for whoever takes entries from them.
    pub(super) fn epochs_of(&self, blogs: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
        let blogs: BTreeSet<String> = blogs.collect();
        let epoch = |id: String| {
            let blog = Hash::parse(&id).ok()?;
            let epoch = match self.replicas.kept(blog) {
                Some(held) => lock_for_long(&held.replica).settled_epoch(),
                None => self.store.settled(blog).ok()?,
            };
            Some((id, epoch))
        };
        blogs.into_iter().filter_map(epoch).collect()
    }

    /// How often entries were moved out of logs.
    pub(super) fn moves(&self) -> u64 {
        self.unsettled.moves.load(Ordering::Acquire)
    }
}
