//! News of a blog's keys, brought to the registry: from then on a key that has ended is ended on every
//! branch of the blog, and at every desk (SPEC registry 3.7).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use spokes_log::{
    chain::Chain,
    draft::Kind,
    name::{BlogId, EntryId, Fingerprint},
    ring::Ring,
    seal::SealedEntry,
    time::Time,
};
use spokes_rules::{
    openpgpkey,
    registry::Registry,
    request::{PROOF_ENTRIES_MAX, Wish},
};

use super::Spoke;
use crate::{client::Reply, clock};

/// How often a primary looks for news of keys: whoever ended a stolen one should not wait.
const KEYS_EVERY: Duration = Duration::from_secs(1);
/// How long it waits before it asks a silent council again: each time the whole way is read and checked.
const SILENCE_PAUSE: Duration = Duration::from_secs(10);
/// The same where the council has heard enough, perhaps for this day (SPEC registry 3.7).
const QUOTA_PAUSE: Duration = Duration::from_secs(600);

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
        let mut paused: BTreeMap<BlogId, Instant> = BTreeMap::new();
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
            paused.retain(|_, until| *until > Instant::now());
            for blog in news.into_iter().filter(|blog| mine.contains(blog)) {
                let pause = match paused.get(&blog) {
                    Some(until) => Some(*until),
                    None => self
                        .bring_keys(blog)
                        .await
                        .map(|wait| Instant::now() + wait),
                };
                if let Some(until) = pause {
                    paused.insert(blog, until);
                    self.keys_changed(blog);
                }
            }
            looked = mine;
        }
    }

    /// Brings the last entry about a blog's keys; after what pause again, if it was not taken.
    async fn bring_keys(self: &Arc<Self>, blog: BlogId) -> Option<Duration> {
        let known = self.ask(|registry| Known::of(registry, blog)).flatten()?;
        let way = self.with(blog, |replica| {
            let chain = replica.chain();
            let head = replica.durable_tips().last()?.id;
            let way = way_to_keys(chain, head)?;
            let last = *way.last()?;
            let lacks = known.lacks(last, chain.link(last)?.signed, chain.ring(head)?);
            lacks.then_some(way)
        });
        let way = way.flatten()?;
        let entry = way.last().copied().unwrap_or(blog);
        if way.len() > PROOF_ENTRIES_MAX {
            tracing::error!(%blog, %entry, "too many entries lie before this one: the registry does not \
                            hear of its keys");
            return None;
        }
        let Some(proof) = self.proof_of(blog, &way).await else {
            return Some(SILENCE_PAUSE);
        };
        // The entry's own time, so that a repeat is the same request and gets the first answer.
        let time = proof.last()?.entry().skeleton().signed;
        match self
            .ask_council(Wish::Keys { blog, entry }, time, proof)
            .await
        {
            Ok(Reply::Good(..)) => None,
            Ok(Reply::Refused(problem)) => {
                tracing::warn!(%blog, %entry, why = problem.detail, "the registry takes no keys");
                pause_after(problem.status)
            }
            Err(outage) => {
                tracing::debug!(%blog, %outage, "the registry was not told of keys yet");
                Some(SILENCE_PAUSE)
            }
        }
    }

    /// These entries as a proof: those that say who may sign, and of all others what connects them.
    pub(super) async fn proof_of(
        self: &Arc<Self>,
        blog: BlogId,
        way: &[EntryId],
    ) -> Option<Vec<SealedEntry>> {
        let mut proof = Vec::with_capacity(way.len());
        for id in way {
            let sealed = self.sound_entry(blog, *id).await?;
            let is_read = sealed.entry().skeleton().kind.needs_own();
            proof.push(if is_read { sealed } else { sealed.erased() });
        }
        Some(proof)
    }
}

/// What the registry knows of a blog's keys.
struct Known {
    at: EntryId,
    author: Fingerprint,
    ended: BTreeSet<Fingerprint>,
    mailbox: String,
    shown: Option<Box<[u8]>>,
}

impl Known {
    fn of(registry: &Registry, id: BlogId) -> Option<Self> {
        let blog = registry.blog(id)?;
        Some(Self {
            at: blog.keys_at,
            author: blog.author.clone(),
            ended: blog.ended.clone(),
            mailbox: openpgpkey::mailbox(&blog.name, &registry.founding().domain),
            shown: registry.openpgpkey(id).map(Into::into),
        })
    }

    /// Whether the registry needs to hear of the keys behind this entry: which have ended, and which one is in DNS.
    /// Others it can do without, and it keeps for ever what is brought.
    fn lacks(&self, entry: EntryId, signed: Time, ring: &Ring) -> bool {
        let at = clock::now().max(signed);
        let shown = || openpgpkey::certificate(ring, &self.author, &self.ended, &self.mailbox, at);
        self.at != entry && (!ring.ended().is_subset(&self.ended) || shown() != self.shown)
    }
}

/// After what pause a refused request is sent again; never where it would be refused again.
fn pause_after(status: u16) -> Option<Duration> {
    match status {
        429 => Some(QUOTA_PAUSE),
        503 => Some(SILENCE_PAUSE),
        _ => None,
    }
}

/// From entry 0 to the last entry about keys behind which this head stands; none where there is none.
pub(super) fn way_to_keys(chain: &Chain, head: EntryId) -> Option<Vec<EntryId>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_council_that_has_heard_enough_is_left_alone_for_long() {
        assert_eq!(pause_after(429), Some(QUOTA_PAUSE));
        assert_eq!(pause_after(503), Some(SILENCE_PAUSE));
        assert_eq!(pause_after(409), None, "it will not change its mind");
    }
}
