//! Checking what is served, and mending what was altered, from the other members of the set.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use spokes_log::{
    name::{BlogId, EntryId},
    seal::SealedEntry,
};
use spokes_rules::registry::BlogRecord;

use super::Spoke;
use crate::{
    client::{Ask, Reply},
    store::Write,
    wire::EntryWire,
};

/// How often the whole store is read through; slow enough to cost nothing, fast enough for a day.
const SCRUB_EVERY: Duration = Duration::from_secs(60);
/// The pause after this many rows, so that readers come first.
const SCRUB_ROWS: usize = 200;
const SCRUB_PAUSE: Duration = Duration::from_millis(20);

impl Spoke {
    /// An entry of a blog as it may be served: text, place and signatures checked now.
    ///
    /// What is not right on disk is fetched from the other members and mended first.
    pub(super) async fn sound_entry(
        self: &Arc<Self>,
        blog: BlogId,
        id: EntryId,
    ) -> Option<SealedEntry> {
        let row = self.store.entry(id).ok().flatten();
        let kept = row
            .filter(|row| row.blog == blog.to_string())
            .and_then(|row| row.sealed())
            .filter(|sealed| sealed.entry().id() == id && self.is_sound(blog, sealed));
        match kept {
            Some(sealed) => Some(sealed),
            None => self.mend(blog, id).await,
        }
    }

    /// Whether the entry is one of this blog's and its signatures are good. What the chain knows to
    /// be erased is sound without them, and only then.
    pub(super) fn is_sound(self: &Arc<Self>, blog: BlogId, sealed: &SealedEntry) -> bool {
        let id = sealed.entry().id();
        let place = self.with(blog, |replica| {
            let chain = replica.chain();
            let erased = chain.eraser(id).is_some();
            let here = chain.contains(id) && sealed.entry().is_erased() == erased;
            here.then(|| chain.place(sealed.entry()))
        });
        let Some(Some(Ok(place))) = place else {
            return false;
        };
        place.verify(sealed.clone()).is_ok()
    }

    async fn mend(self: &Arc<Self>, blog: BlogId, id: EntryId) -> Option<SealedEntry> {
        // One that is being written or erased just now is not altered.
        let here = self.with(blog, |replica| {
            let eraser = replica.chain().eraser(id);
            let moving = |id| replica.is_storing(id);
            replica.chain().contains(id) && !moving(id) && !eraser.is_some_and(moving)
        });
        here.filter(|here| *here)?;
        for address in self.other_members(blog) {
            let path = format!("/api/v1/entries/{}", id.path());
            let Ok(Reply::Good(wire, _)) =
                self.client.get::<EntryWire>(Ask::new(address, &path)).await
            else {
                continue;
            };
            let sound = wire
                .sealed()
                .ok()
                .filter(|s| s.entry().id() == id && self.is_sound(blog, s));
            let Some(sealed) = sound else { continue };
            tracing::warn!(%blog, %id, from = %address, "an altered entry was mended");
            self.mended.fetch_add(1, Ordering::Relaxed);
            // Queued under the replica's lock: an erase that comes meanwhile is written behind it.
            let kept = self.with(blog, |replica| {
                let is_taken_back = replica.chain().eraser(id).is_some();
                let stands = sealed.entry().is_erased() == is_taken_back;
                stands.then(|| self.store.write(Write::Mend(sealed.clone())))
            });
            if !matches!(kept.flatten()?.await, Ok(Ok(()))) {
                tracing::error!(%blog, %id, "the mended entry was not kept");
            }
            return Some(sealed);
        }
        tracing::error!(%blog, %id, "an altered entry could not be mended: no other member has it");
        None
    }

    /// Reads the whole store through again and again, and mends what was altered.
    pub(super) async fn scrub(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SCRUB_EVERY).await;
            let blogs: Vec<(BlogId, BlogRecord)> = self
                .ask(|r| r.blogs().map(|(id, blog)| (id, blog.clone())).collect())
                .unwrap_or_default();
            for (blog, record) in blogs {
                if record.set.has(&self.me) {
                    self.scrub_blog(blog).await;
                }
            }
        }
    }

    async fn scrub_blog(self: &Arc<Self>, blog: BlogId) {
        let ids: Vec<EntryId> = self
            .with(blog, |replica| {
                replica.chain().links().map(|(id, _)| id).collect()
            })
            .unwrap_or_default();
        for (count, id) in ids.into_iter().enumerate() {
            if let Some(sealed) = self.sound_entry(blog, id).await {
                self.scrub_media(blog, &sealed).await;
            }
            if count % SCRUB_ROWS == SCRUB_ROWS - 1 {
                tokio::time::sleep(SCRUB_PAUSE).await;
            }
        }
    }

    async fn scrub_media(self: &Arc<Self>, blog: BlogId, sealed: &SealedEntry) {
        let article = sealed.entry().draft().and_then(|draft| draft.article());
        for medium in article.map(|a| a.media.as_slice()).unwrap_or_default() {
            let sound = tokio::task::block_in_place(|| self.blobs.get(medium.hash).is_some());
            if !sound && !self.refetch(blog, medium).await {
                tracing::error!(%blog, hash = %medium.hash, "no other member has a lost blob");
            }
        }
    }
}
