//! A blog's set changes: its coming members take in what the old ones have sealed, and say so
//! (SPEC receipt 3.4).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use spokes_log::name::BlogId;
use spokes_rules::{
    node::Label,
    receipt::{Seal, Tip},
    registry::{BlogRecord, Registry},
    replica::Event,
};

use super::Spoke;
use crate::{
    client::{Ask, Reply},
    clock,
    wire::StatementsWire,
};

/// How often the council is asked for the seals of a set that changes: a few times within a reader's
/// patience, since meanwhile nothing new is safe.
const SEALS_EVERY: Duration = Duration::from_millis(500);

impl Spoke {
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
                // Settled or not: what it has sealed has to be had.
                let caught_up = self.catch_up(address, blog, tips).await;
                if let Err(outage) = caught_up {
                    tracing::debug!(%label, %blog, %outage, "a seal was not caught up with");
                }
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
