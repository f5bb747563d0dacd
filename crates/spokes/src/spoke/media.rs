//! Taking in media: only what an entry lists, only what it says.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::{
    draft::{MEDIUM_BYTES_MAX, Medium},
    fault::Fault,
    name::{BlogId, BlogName, EntryId, Hash},
    seal::SealedEntry,
};
use spokes_rules::replica::Event;

use super::{
    Spoke,
    submit::{invalid, no_such_blog, not_here},
};
use crate::{
    blobs, clock,
    council::unavailable,
    http::{self as web, Response},
    store::{Write, stopped},
};

impl Spoke {
    /// `PUT blogs/NAME/media/sha256-HEX` (SPEC http 2.6).
    pub(super) async fn put_medium(
        self: Arc<Self>,
        name: &BlogName,
        hash: Hash,
        request: Request<Incoming>,
    ) -> Response {
        let hopped = request.headers().contains_key("spokes-hop");
        let max = usize::try_from(MEDIUM_BYTES_MAX).unwrap_or(usize::MAX);
        match web::body(request, max).await {
            Ok(body) => self.take_medium(name, hash, body, hopped).await,
            Err(response) => response,
        }
    }

    /// Takes in a medium, or passes it on to who does.
    pub(super) async fn take_medium(
        self: Arc<Self>,
        name: &BlogName,
        hash: Hash,
        body: Bytes,
        hopped: bool,
    ) -> Response {
        let (blog, record) = match self.look_up(name).await {
            Ok(known) => known,
            Err(unknown) => return no_such_blog(name, unknown),
        };
        if !record.restoring().has(&self.me) {
            if hopped {
                return not_here(name);
            }
            let path = format!("/api/v1/blogs/{name}/media/{}", hash.path());
            let relayed = self
                .relay(record.restoring().primary(), http::Method::PUT, &path, body)
                .await;
            return relayed.unwrap_or_else(|outage| unavailable(&outage));
        }
        self.ready(blog).await;
        if self.blobs.get(hash).is_some() {
            return web::json(StatusCode::OK, &serde_json::json!({ "status": "known" }));
        }
        let Some(medium) = self.listed(blog, hash) else {
            return web::refuse(
                StatusCode::NOT_FOUND,
                "unlisted",
                format!("No entry of \"{name}\" lists {hash}. Send the entry that lists it first."),
            );
        };
        if let Err(why) = check_medium(&medium, hash, &body) {
            return invalid(&why);
        }
        if let Some(full) = self.takes_nothing() {
            return full;
        }
        let kept = tokio::task::block_in_place(|| self.blobs.put(hash, &body));
        if let Err(outage) = kept {
            return unavailable(&outage);
        }
        self.unstage(blog).await;
        web::json(
            StatusCode::CREATED,
            &serde_json::json!({ "status": "kept" }),
        )
    }

    /// The line that lists a medium, in a staged entry or in one that is here.
    fn listed(self: &Arc<Self>, blog: BlogId, hash: Hash) -> Option<Medium> {
        let in_entry = |sealed: &SealedEntry| {
            let article = sealed.entry().draft()?.article()?;
            article
                .media
                .iter()
                .find(|medium| medium.hash == hash)
                .cloned()
        };
        let staged = self.store.staged(blog).unwrap_or_default();
        if let Some(medium) = staged.iter().find_map(in_entry) {
            return Some(medium);
        }
        self.with(blog, |replica| replica.fold().medium(hash).cloned())
            .flatten()
    }

    /// The media that some entries list, as long as their words are here.
    pub(super) fn media_of(&self, ids: &[EntryId]) -> Vec<Hash> {
        let listed = |id: &EntryId| -> Option<Vec<Hash>> {
            let sealed = self.store.entry(*id).ok().flatten()?.sealed()?;
            let article = sealed.entry().draft()?.article()?;
            Some(article.media.iter().map(|medium| medium.hash).collect())
        };
        ids.iter().filter_map(listed).flatten().collect()
    }

    /// Removes media of entries that were erased durably, unless another entry lists them: one of any
    /// blog, since a blob is kept once for all.
    pub(super) async fn remove_media(&self, media: Vec<Hash>) {
        for hash in media {
            let removed = tokio::task::block_in_place(|| {
                self.blobs.remove_unless(hash, || {
                    // Entries that were accepted while the blob was here may wait to be written.
                    let queued = self.store.write(Write::Entries(Vec::new()));
                    queued.blocking_recv().unwrap_or_else(|_| Err(stopped()))?;
                    self.store.lists(hash)
                })
            });
            if let Err(outage) = removed {
                tracing::error!(%hash, %outage, "an erased blob stays for now");
            }
        }
    }

    /// Submits staged entries whose media are all here now; whoever sent them asks again.
    async fn unstage(self: &Arc<Self>, blog: BlogId) {
        for sealed in self.store.staged(blog).unwrap_or_default() {
            let id = sealed.entry().id();
            let Some(place) = self.with(blog, |r| r.chain().place(sealed.entry())) else {
                return;
            };
            let verified = place.and_then(|place| place.verify(sealed));
            let done = match verified {
                Ok(entry) if self.missing_media(entry.entry()).is_empty() => {
                    let event = Event::Submitted {
                        ticket: 0,
                        entry,
                        refused_elsewhere: false,
                    };
                    self.with(blog, |replica| replica.handle(clock::now(), event));
                    true
                }
                // More media are awaited, or the entries before it.
                Ok(_) | Err(Fault::MissingParent(_)) => false,
                // It fits no more; its author is told when she sends it again.
                Err(_) => true,
            };
            if done {
                drop(self.store.write(Write::Unstage(id)));
            }
        }
    }
}

fn check_medium(medium: &Medium, hash: Hash, bytes: &[u8]) -> Result<(), String> {
    if Hash::of(bytes) != hash {
        return Err("the bytes do not have this hash; send the file unchanged".to_owned());
    }
    if bytes.len() as u64 != medium.bytes {
        return Err(format!(
            "the entry says {} bytes, these are {}",
            medium.bytes,
            bytes.len()
        ));
    }
    let said = medium.kind.as_str();
    match blobs::sniff(bytes) {
        Some(seen) if seen != said && is_shown(said) => Err(format!(
            "the entry says {said}, but the bytes are {seen}; sign what it is"
        )),
        None if is_shown(said) => Err(format!(
            "the entry says {said}, but the bytes are not; sign what it is"
        )),
        _ => Ok(()),
    }
}

/// Whether browsers show this kind inside a page.
fn is_shown(kind: &str) -> bool {
    ["image/", "audio/", "video/"]
        .iter()
        .any(|shown| kind.starts_with(shown))
}
