//! Taking in a log that its author brings back (SPEC http 2.8).

use std::{collections::BTreeSet, sync::Arc};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use rayon::iter::{IndexedParallelIterator as _, IntoParallelIterator as _, ParallelIterator as _};
use spokes_log::{
    fault::Fault,
    name::{BlogId, BlogName, EntryId, Hash},
    ring::VerifiedEntry,
    seal::SealedEntry,
};
use spokes_rules::{
    primary::{Brings, Refusal},
    replica::Event,
};

use super::{
    Spoke,
    submit::{BATCH_BYTES_MAX, fault_response, invalid, no_such_blog, not_here, sealed},
};
use crate::{
    clock,
    council::unavailable,
    http::{self as web, Response},
    outage::Outage,
    store::Write,
    wire::{self, EntriesWire, RestoredWire},
};

/// Branches that a restored log may leave: as many as a seal names (SPEC receipt 2.1).
const HEADS_MAX: usize = 64;

impl Spoke {
    /// `POST blogs/NAME/restore` (SPEC http 2.8).
    pub(super) async fn restore(
        self: Arc<Self>,
        name: &BlogName,
        request: Request<Incoming>,
    ) -> Response {
        let hopped = request.headers().contains_key("spokes-hop");
        let body = match web::body(request, BATCH_BYTES_MAX).await {
            Ok(body) => body,
            Err(response) => return response,
        };
        let (blog, record) = match self.look_up(name).await {
            Ok(known) => known,
            Err(unknown) => return no_such_blog(name, unknown),
        };
        if !record.restoring().has(&self.me) {
            if hopped {
                return not_here(name);
            }
            let path = format!("/api/v1/blogs/{name}/restore");
            let relayed = self
                .relay(
                    record.restoring().primary(),
                    http::Method::POST,
                    &path,
                    body,
                )
                .await;
            return relayed.unwrap_or_else(|outage| unavailable(&outage));
        }
        self.ready(blog).await;
        // What would be taken in now might be set apart in a moment.
        if self.with(blog, |replica| replica.is_settled()) == Some(false) {
            return self.refused(blog, &Refusal::NotReady);
        }
        let entries = wire::read::<EntriesWire>(&body).and_then(|wire| sealed(&wire.entries));
        let entries = match entries {
            Ok(entries) => entries,
            Err(why) => return invalid(&why),
        };
        if let Some(refusal) = self.cannot_restore(blog, &entries) {
            return refusal;
        }
        let mut restored = RestoredWire::default();
        // What is held is held whole: media first, and for that it must be known who lists them.
        let judged = match tokio::task::block_in_place(|| self.judge_new(blog, &entries)) {
            Ok(judged) => judged,
            Err(fault) => return fault_response(&fault),
        };
        for verified in &judged {
            let missing = self.stage_lacking(verified);
            restored
                .missing_media
                .extend(missing.iter().map(Hash::to_string));
        }
        if !restored.missing_media.is_empty() {
            return match self.store.written(Write::Entries(Vec::new())).await {
                Ok(()) => web::json(StatusCode::ACCEPTED, &restored),
                Err(outage) => unavailable(&outage),
            };
        }
        let taken: Vec<EntryId> = entries.iter().map(|sealed| sealed.entry().id()).collect();
        let restored = match self.take_restored(blog, judged, entries) {
            Ok(restored) => restored,
            Err(fault) => return fault_response(&fault),
        };
        if !restored.missing_media.is_empty() {
            return web::json(StatusCode::ACCEPTED, &restored);
        }
        match self.all_kept(&taken).await {
            Ok(()) => web::json(StatusCode::OK, &restored),
            Err(outage) => unavailable(&outage),
        }
    }

    /// Why nothing of a batch can be taken, before its signatures are judged.
    fn cannot_restore(self: &Arc<Self>, blog: BlogId, entries: &[SealedEntry]) -> Option<Response> {
        if let Some(full) = self.takes_nothing() {
            return Some(full);
        }
        if self.first_unvouched(blog, entries) < entries.len() {
            return Some(invalid(
                "an entry has lost its words, and no erase that took them is among these",
            ));
        }
        if let Err(refusal) = self.room_for(blog, Brings::Restored, entries) {
            return Some(self.refused(blog, &refusal));
        }
        (self.heads_with(blog, entries) > HEADS_MAX).then(|| {
            invalid(&format!(
                "with these the blog would have more than {HEADS_MAX} branches, more than anybody \
                 writes and a set can seal"
            ))
        })
    }

    /// How many entries without children there would be with these.
    fn heads_with(self: &Arc<Self>, blog: BlogId, entries: &[SealedEntry]) -> usize {
        let heads = self.with(blog, |replica| {
            let heads = replica.chain().heads().into_iter().map(|(_, id)| id);
            let mut heads: BTreeSet<EntryId> = heads.collect();
            let new = entries.iter().map(SealedEntry::entry);
            let new: Vec<_> = new.filter(|e| !replica.chain().contains(e.id())).collect();
            heads.extend(new.iter().map(|entry| entry.id()));
            for parent in new.iter().filter_map(|entry| entry.skeleton().previous) {
                heads.remove(&parent);
            }
            heads.len()
        });
        heads.unwrap_or(0)
    }

    /// Takes in what was judged, in one write, and what could not be judged before that was here.
    fn take_restored(
        self: &Arc<Self>,
        blog: BlogId,
        judged: Vec<VerifiedEntry>,
        entries: Vec<SealedEntry>,
    ) -> Result<RestoredWire, Fault> {
        let mut restored = RestoredWire::default();
        let mut fresh: BTreeSet<EntryId> = judged.iter().map(|v| v.entry().id()).collect();
        self.with(blog, |r| r.handle(clock::now(), Event::Restored(judged)));
        for sealed in entries {
            if fresh.remove(&sealed.entry().id()) {
                restored.taken += 1;
                continue;
            }
            // Known, or behind a `keys` entry, whose certificates count only now.
            match self.restore_one(blog, sealed)? {
                One::Known => restored.known += 1,
                One::Taken => restored.taken += 1,
                One::Staged(missing) => {
                    let missing = missing.iter().map(Hash::to_string);
                    restored.missing_media.extend(missing);
                    break;
                }
            }
        }
        Ok(restored)
    }

    /// Waits until what was handed to the store is durable, and sees that it is.
    async fn all_kept(&self, ids: &[EntryId]) -> Result<(), Outage> {
        self.store.written(Write::Entries(Vec::new())).await?;
        for id in ids {
            if self.store.entry(*id)?.is_none() {
                return Err(Outage::new("not all entries could be kept here"));
            }
        }
        Ok(())
    }

    /// Judges those entries of a batch that are new here, as far as one can before they are taken in.
    fn judge_new(
        self: &Arc<Self>,
        blog: BlogId,
        entries: &[SealedEntry],
    ) -> Result<Vec<VerifiedEntry>, Fault> {
        let judged = self.with(blog, |replica| {
            let known = |s: &&SealedEntry| replica.chain().contains(s.entry().id());
            let new: Vec<SealedEntry> = entries.iter().filter(|s| !known(s)).cloned().collect();
            let (places, fault) = replica.chain().place_run(&new);
            (new, places, fault)
        });
        let Some((new, places, fault)) = judged else {
            return Ok(Vec::new());
        };
        if let Some(fault) = fault {
            return Err(fault);
        }
        let pairs = places.into_par_iter().zip(new);
        let judged: Vec<_> = pairs.map(|(place, s)| place.verify(s)).collect();
        judged.into_iter().collect()
    }

    /// The media that an entry lists and that are not here; it is staged until they are.
    fn stage_lacking(&self, verified: &VerifiedEntry) -> Vec<Hash> {
        let missing = self.missing_media(verified.entry());
        if !missing.is_empty() {
            let (sealed, now) = (verified.sealed().clone(), clock::now().as_unix());
            drop(self.store.write(Write::Stage(sealed, now)));
        }
        missing
    }

    fn restore_one(self: &Arc<Self>, blog: BlogId, sealed: SealedEntry) -> Result<One, Fault> {
        let id = sealed.entry().id();
        let place = self.with(blog, |replica| {
            let chain = replica.chain();
            (!chain.contains(id)).then(|| chain.place(sealed.entry()))
        });
        let Some(place) = place.flatten() else {
            return Ok(One::Known);
        };
        let verified = place.and_then(|place| place.verify(sealed))?;
        let missing = self.stage_lacking(&verified);
        if !missing.is_empty() {
            return Ok(One::Staged(missing));
        }
        self.with(blog, |r| {
            r.handle(clock::now(), Event::Restored(vec![verified]))
        });
        Ok(One::Taken)
    }
}

/// What came of one entry.
enum One {
    Known,
    Taken,
    /// It waits for these media.
    Staged(Vec<Hash>),
}
