//! News of a blog's keys, brought to the registry: from then on a key that has ended is ended on every
//! branch of the blog, and at every desk (SPEC registry 3.7).

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use spokes_log::{
    chain::Chain,
    draft::Kind,
    name::{BlogId, EntryId},
    seal::SealedEntry,
};
use spokes_rules::request::{PROOF_ENTRIES_MAX, Wish};

use super::Spoke;
use crate::client::Reply;

/// How often a primary looks for news of keys: whoever ended a stolen one should not wait.
const KEYS_EVERY: Duration = Duration::from_secs(1);

impl Spoke {
    /// Notes that a blog has a new entry about its keys.
    pub(super) fn keys_changed(&self, blog: BlogId) {
        let mut news = self
            .keys_news
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        news.insert(blog);
    }

    /// Brings what blogs say of their keys, as their primary; after a start everything is looked at once,
    /// since a process may end between the entry and the request.
    pub(super) async fn bring_all_keys(self: Arc<Self>) {
        let mut looked: BTreeSet<BlogId> = BTreeSet::new();
        loop {
            tokio::time::sleep(KEYS_EVERY).await;
            let mine = self.ask(|registry| {
                let mine = registry
                    .blogs()
                    .filter(|(_, blog)| *blog.set.primary() == self.me);
                mine.map(|(id, _)| id).collect::<BTreeSet<_>>()
            });
            let mine = mine.unwrap_or_default();
            let mut news = {
                let news = self.keys_news.lock();
                std::mem::take(&mut *news.unwrap_or_else(PoisonError::into_inner))
            };
            news.extend(mine.difference(&looked));
            for blog in news.into_iter().filter(|blog| mine.contains(blog)) {
                if !self.bring_keys(blog).await {
                    self.keys_changed(blog);
                }
            }
            looked = mine;
        }
    }

    /// Brings the last entry about a blog's keys; whether there is nothing more to bring.
    async fn bring_keys(self: &Arc<Self>, blog: BlogId) -> bool {
        let Some(Some(known)) = self.ask(|registry| registry.blog(blog).map(|blog| blog.keys_at))
        else {
            return true;
        };
        let way = self.with(blog, |replica| {
            let head = replica.durable_tips().last()?.id;
            way_to_keys(replica.chain(), head)
        });
        let Some(way) = way.flatten().filter(|way| way.last() != Some(&known)) else {
            return true;
        };
        let entry = way.last().copied().unwrap_or(blog);
        if way.len() > PROOF_ENTRIES_MAX {
            tracing::error!(%blog, %entry, "too many entries lie before this one: the registry does not \
                            hear of its keys");
            return true;
        }
        let Some(proof) = self.proof_of(blog, &way).await else {
            return false;
        };
        // The entry's own time, so that a repeat is the same request and gets the first answer.
        let Some(time) = proof.last().map(|sealed| sealed.entry().skeleton().signed) else {
            return true;
        };
        match self
            .ask_council(Wish::Keys { blog, entry }, time, proof)
            .await
        {
            Ok(Reply::Good(..)) => true,
            Ok(Reply::Refused(problem)) => {
                tracing::warn!(%blog, %entry, why = problem.detail, "the registry takes no keys");
                !matches!(problem.status, 429 | 503)
            }
            Err(outage) => {
                tracing::debug!(%blog, %outage, "the registry was not told of keys yet");
                false
            }
        }
    }

    /// These entries as a proof: those that say who may sign, and of all others what connects them.
    async fn proof_of(self: &Arc<Self>, blog: BlogId, way: &[EntryId]) -> Option<Vec<SealedEntry>> {
        let mut proof = Vec::with_capacity(way.len());
        for id in way {
            let sealed = self.sound_entry(blog, *id).await?;
            let is_read = sealed.entry().skeleton().kind.needs_own();
            proof.push(if is_read { sealed } else { sealed.erased() });
        }
        Some(proof)
    }
}

/// From entry 0 to the last entry about keys behind which this head stands; none where there is none.
fn way_to_keys(chain: &Chain, head: EntryId) -> Option<Vec<EntryId>> {
    let mut way = Vec::new();
    let mut at = Some(head);
    while let Some((id, link)) = at.and_then(|id| Some((id, chain.link(id)?))) {
        if !way.is_empty() || link.kind == Kind::Keys {
            way.push(id);
        }
        at = link.previous;
    }
    way.reverse();
    (!way.is_empty()).then_some(way)
}
