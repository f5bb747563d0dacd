//! Answering searches of other spokes from the archive.

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::seal::SealedEntry;
use tokio::task::block_in_place;

use super::{Kept, Spoke};
use crate::{
    clock,
    http::{self as web, Guest, Response},
    index::query::Query,
    outage::Outage,
    spoke::headlines::Source,
    wire::search::ArchiveFoundWire,
};

/// Posts of one answer.
pub(in super::super) const FOUND_MAX: usize = 20;
/// Pages of an answer: nobody reads on, and each further one costs all those before it.
pub(in super::super) const PAGES_MAX: usize = 50;
/// Bytes of texts from which on an answer ends.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A question to the archive: what for, which page of it, and whether the newest come first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in super::super) struct Wanted {
    pub(in super::super) line: String,
    pub(in super::super) page: usize,
    pub(in super::super) newest: bool,
}

impl Wanted {
    /// What is asked for by a request; pages beyond the last are the last.
    pub(in super::super) fn of(request: &Request<Incoming>) -> Self {
        let mut asked = web::query(request);
        let page = asked
            .get("page")
            .and_then(|page| page.parse().ok())
            .unwrap_or(1);
        Self {
            newest: asked.get("by").is_some_and(|by| by == "date"),
            line: asked.remove("q").unwrap_or_default().trim().to_owned(),
            page: usize::clamp(page, 1, PAGES_MAX),
        }
    }
}

impl Spoke {
    /// `GET archive` (SPEC http 3.14): what the index has, with the entries that prove it.
    pub(in super::super) async fn archive_answer(
        self: &Arc<Self>,
        request: &Request<Incoming>,
    ) -> Response {
        let Some(kept) = self.archive.kept() else {
            let why = "This spoke keeps no archive; the registry says who does.";
            return web::refuse(StatusCode::MISDIRECTED_REQUEST, "not-inner", why);
        };
        if !kept.is_filled() {
            let why = "This spoke still gathers the archive. Ask another one; the registry says who keeps it.";
            return web::refuse(StatusCode::SERVICE_UNAVAILABLE, "filling", why);
        }
        let Some(_turn) = self
            .archive
            .searches
            .take(Guest::of(request).address())
            .await
        else {
            let why = "Too many searches are under way. Ask another spoke that keeps the archive.";
            return web::refuse(StatusCode::TOO_MANY_REQUESTS, "busy", why);
        };
        let wanted = Wanted::of(request);
        match self.look_in(&kept, &wanted).await {
            Ok(found) => web::json(StatusCode::OK, &found),
            Err(outage) => crate::council::unavailable(&outage),
        }
    }

    /// What the archive here has of it.
    pub(in super::super) async fn look_in(
        &self,
        kept: &Kept,
        wanted: &Wanted,
    ) -> Result<ArchiveFoundWire, Outage> {
        block_in_place(|| {
            let query = Query::parse(&wanted.line);
            let mut wire = ArchiveFoundWire {
                posts: kept.index.posts(),
                ..ArchiveFoundWire::default()
            };
            let blog = match &query.blog {
                None => None,
                Some(name) => match self.named(name) {
                    Some((blog, _)) => Some(blog),
                    None => return Ok(wire),
                },
            };
            if query.is_empty() {
                return Ok(wire);
            }
            let from = (wanted.page - 1) * FOUND_MAX;
            let found =
                kept.index
                    .search(&query, blog, clock::now(), wanted.newest, from, FOUND_MAX)?;
            wire.total = found.total;
            if found.total == 0 {
                wire.meant = kept.index.meant(&query)?;
            }
            let mut bytes = 0;
            for (number, packed) in found.hits.iter().enumerate() {
                let Some(source) = Source::unpacked(packed) else {
                    continue;
                };
                // What was erased just now is in the index still.
                let Some(proof) = kept.proof(&source)? else {
                    continue;
                };
                bytes += proof
                    .iter()
                    .map(|sealed| sealed.entry().text().len())
                    .sum::<usize>();
                wire.hits.push(source.wire(number as u64, &proof));
                if bytes > ANSWER_BYTES_MAX {
                    break;
                }
            }
            Ok(wire)
        })
    }
}

impl Kept {
    /// The entries that prove a headline; none where one of them is not here with its words.
    fn proof(&self, source: &Source) -> Result<Option<Vec<SealedEntry>>, Outage> {
        let mut proof = Vec::new();
        for id in source.entries() {
            let row = self.store.entry(id)?;
            match row.and_then(|row| row.sealed()) {
                Some(sealed) if !sealed.entry().is_erased() => proof.push(sealed),
                _ => return Ok(None),
            }
        }
        Ok(Some(proof))
    }
}
