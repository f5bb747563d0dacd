//! Answering searches of other spokes from the archive.

use std::sync::Arc;

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::seal::SealedEntry;
use tokio::task::block_in_place;

use super::{Kept, Spoke};
use crate::{
    clock,
    http::{self as web, Guest, Response},
    index::query::{QUERY_CHARS_MAX, Query},
    outage::Outage,
    shown::steers,
    spoke::headlines::Source,
    wire::{HeadlineWire, search::ArchiveFoundWire},
};

/// Posts of one answer.
pub(in super::super) const FOUND_MAX: usize = 20;
/// Pages that can be read: archives are put together as far as that, so that no page repeats or loses what another one
/// has. Whoever looks further says more of what for.
pub(in super::super) const PAGES_MAX: usize = 10;
/// Posts that can be read.
pub(in super::super) const DEPTH: usize = PAGES_MAX * FOUND_MAX;
/// Posts before and behind a page that come with it: two archives do not put all in the same places.
const AROUND: usize = 5;
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
            line: shown(asked.remove("q").unwrap_or_default().trim()),
            page: usize::clamp(page, 1, PAGES_MAX),
        }
    }
}

/// A line as it is looked for and shown again: one character more than counts says that it was longer.
fn shown(line: &str) -> String {
    let letters = line.chars().filter(|c| !c.is_control() && !steers(*c));
    letters.take(QUERY_CHARS_MAX + 1).collect()
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
        let proving = web::query(request).remove("prove");
        let answer = match proving {
            Some(packed) => block_in_place(|| kept.prove(&packed)),
            None => self.look_in(&kept, &Wanted::of(request)),
        };
        match answer {
            Ok(found) => web::json(StatusCode::OK, &found),
            Err(outage) => crate::council::unavailable(&outage),
        }
    }

    /// What the archive here has of it.
    pub(in super::super) fn look_in(
        &self,
        kept: &Kept,
        wanted: &Wanted,
    ) -> Result<ArchiveFoundWire, Outage> {
        // The engine trusts the files of its index, and panics where the disk altered them.
        let looked = catch_unwind(AssertUnwindSafe(|| self.look(kept, wanted)));
        looked.unwrap_or_else(|_| {
            self.archive.close_damaged();
            let why = "the index is damaged, and is made again; ask another spoke";
            Err(Outage::new(why))
        })
    }

    fn look(&self, kept: &Kept, wanted: &Wanted) -> Result<ArchiveFoundWire, Outage> {
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
            let (now, newest) = (clock::now(), wanted.newest);
            let found = kept.index.search(&query, blog, now, newest, DEPTH)?;
            wire.total = found.total;
            if found.total == 0 {
                wire.meant = kept.index.meant(&query)?;
            }
            wire.order = found
                .hits
                .iter()
                .map(|packed| BASE64.encode(packed))
                .collect();
            let first = ((wanted.page - 1) * FOUND_MAX).saturating_sub(AROUND);
            let page = found.hits.iter().enumerate().skip(first);
            wire.hits = kept.proved(page.take(FOUND_MAX + 2 * AROUND))?;
            Ok(wire)
        })
    }
}

impl Kept {
    /// What proves these, packed and with commas between them.
    pub(in super::super) fn prove(&self, packed: &str) -> Result<ArchiveFoundWire, Outage> {
        let packed = packed.split(',').take(FOUND_MAX);
        let packed: Vec<Vec<u8>> = packed.filter_map(|one| BASE64.decode(one).ok()).collect();
        Ok(ArchiveFoundWire {
            hits: self.proved(packed.iter().enumerate())?,
            ..ArchiveFoundWire::default()
        })
    }

    /// Posts with the entries that prove them, as many as there is room for in an answer.
    fn proved<'a>(
        &self,
        packed: impl Iterator<Item = (usize, &'a Vec<u8>)>,
    ) -> Result<Vec<HeadlineWire>, Outage> {
        let (mut hits, mut bytes) = (Vec::new(), 0);
        for (number, packed) in packed {
            let Some(source) = Source::unpacked(packed) else {
                continue;
            };
            // What was erased just now is in the index still.
            let Some(proof) = self.proof(&source)? else {
                continue;
            };
            let texts = proof.iter().map(|sealed| sealed.entry().text().len());
            bytes += texts.sum::<usize>();
            hits.push(source.wire(number as u64, &proof));
            if bytes > ANSWER_BYTES_MAX {
                break;
            }
        }
        Ok(hits)
    }

    /// The entries that prove a headline; none where one of them is not here with its words.
    fn proof(&self, source: &Source) -> Result<Option<Vec<SealedEntry>>, Outage> {
        let mut proof = Vec::new();
        for id in source.entries() {
            let row = self.store.entry(id)?;
            match row.and_then(|row| row.sealed()) {
                Some(sealed) if !sealed.entry().is_erased() => proof.push(sealed),
                Some(_) => return Ok(None),
                None => {
                    self.doubt(source.blog);
                    return Ok(None);
                }
            }
        }
        Ok(Some(proof))
    }
}
