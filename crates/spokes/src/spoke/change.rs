//! A blog's set changes: its coming members take in what the old ones have sealed, and say so
//! (SPEC receipt 3.4).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
    time::Duration,
};

use spokes_log::name::BlogId;
use spokes_rules::{
    node::{Label, Signed},
    receipt::{Seal, Tip},
    registry::{BlogRecord, Registry},
    replica::Event,
};

use super::Spoke;
use crate::{
    client::{Ask, Reply},
    clock,
    wire::{SignedWire, StatementsWire},
};

/// How often the council is asked for the seals of a set that changes: a few times within a reader's
/// patience, since meanwhile nothing new is safe.
const SEALS_EVERY: Duration = Duration::from_millis(500);

/// How often the council is told again what it was told of such a set: its leader keeps that in memory alone, and
/// may have been followed by another one.
const TELL_AGAIN: Duration = Duration::from_secs(3);
/// Statements about one blog that are told again: a receipt covers those before it on its branch.
const TOLD_MAX: usize = 16;
/// Statements of one message: they are short, and a message with them may have a mebibyte.
const STATEMENTS_AT_ONCE: usize = 100;

impl Spoke {
    /// Tells the council a seal or a receipt, and again until the set is open.
    pub(super) fn tell_council(self: &Arc<Self>, blog: BlogId, signed: Signed) {
        {
            let mut telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
            let told = telling.entry(blog).or_default();
            if told.len() == TOLD_MAX {
                // The seal stays.
                told.remove(1);
            }
            told.push(signed.clone());
        }
        let spoke = Arc::clone(self);
        tokio::spawn(async move { spoke.tell_once(&[signed]).await });
    }

    async fn tell_once(&self, statements: &[Signed]) {
        let body: Vec<SignedWire> = statements.iter().map(SignedWire::from).collect();
        for node in self.council() {
            let ask = Ask::new(node, "/api/v1/registry/statements");
            let told = self.client.post::<_, serde_json::Value>(ask, &body).await;
            if told.and_then(Reply::good).is_ok() {
                return;
            }
        }
    }

    /// Tells the council again what it was told of sets that are not open yet.
    pub(super) async fn tell_again(self: Arc<Self>) {
        loop {
            tokio::time::sleep(TELL_AGAIN).await;
            let waiting = {
                let mut telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
                let changes = |blog: &BlogId| {
                    let blog = |r: &Registry| r.blog(*blog).is_some_and(|b| b.closing.is_some());
                    self.ask(blog) == Some(true)
                };
                telling.retain(|blog, _| changes(blog));
                telling.values().flatten().cloned().collect::<Vec<_>>()
            };
            for some in waiting.chunks(STATEMENTS_AT_ONCE) {
                self.tell_once(some).await;
            }
        }
    }

    /// Covers, again and again, what was sealed of the blogs whose next set this spoke is in.
    pub(super) async fn change_sets(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SEALS_EVERY).await;
            let comes = |blog: &BlogRecord| {
                let next = blog.closing.as_ref().map(|closing| &closing.next);
                next.is_some_and(|next| next.has(&self.me))
            };
            let changing: Option<Vec<BlogId>> = self.ask(|registry| {
                let blogs = registry.blogs().filter(|(_, blog)| comes(blog));
                blogs.map(|(id, _)| id).collect()
            });
            for blog in changing.unwrap_or_default() {
                self.cover(blog).await;
            }
        }
    }

    async fn cover(self: &Arc<Self>, blog: BlogId) {
        let path = format!("/api/v1/registry/statements?blog={blog}");
        let mut statements = None;
        for node in self.council() {
            let said = self.client.get::<StatementsWire>(Ask::new(node, &path));
            if let Ok(Reply::Good(said, _)) = said.await {
                statements = Some(said);
                break;
            }
        }
        let Some(statements) = statements else { return };
        let seals = self.ask(|registry| seals_of(registry, blog, &statements));
        let Some(seals) = seals.flatten() else { return };
        let tips: BTreeSet<Tip> = seals.values().flatten().copied().collect();
        let lacks = |tips: &Vec<Tip>| {
            self.with(blog, |replica| {
                tips.iter().any(|tip| !replica.chain().contains(tip.id))
            })
        };
        for (label, tips) in &seals {
            if lacks(tips) != Some(false)
                && let Some(address) = self.address(label)
            {
                self.catch_up_with(address, blog).await;
            }
        }
        let cover = Event::Cover(tips);
        self.with(blog, |replica| replica.handle(clock::now(), cover));
    }
}

/// The tips in the good seals of the open epoch, by member; none as long as they are too few.
fn seals_of(
    registry: &Registry,
    blog: BlogId,
    statements: &StatementsWire,
) -> Option<BTreeMap<Label, Vec<Tip>>> {
    let set = &registry.blog(blog)?.set;
    let signed = statements.statements.iter();
    let seals = signed.filter_map(|wire| {
        let signed = wire.signed().ok()?;
        let seal = Seal::parse(signed.text.as_bytes()).ok()?;
        let fits = seal.network == registry.network()
            && (seal.blog, seal.epoch) == (blog, set.epoch)
            && set.has(&seal.spoke)
            && registry.spoke(&seal.spoke)?.key == signed.key
            && signed.is_good();
        fits.then_some((seal.spoke, seal.tips))
    });
    let seals: BTreeMap<Label, Vec<Tip>> = seals.collect();
    (seals.len() >= set.seals_needed()).then_some(seals)
}
