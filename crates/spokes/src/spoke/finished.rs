//! Pages and articles made once and kept, and how they are sent.

use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use spokes_log::name::{EntryId, Hash};

use crate::http::{self as web, Response};

/// The types of what people read.
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
/// Bytes of rendered articles kept in memory; beyond it the cache begins anew.
const RENDERED_BYTES_MAX: usize = 24 * 1024 * 1024;
/// Bytes of finished pages kept in memory, both plain and compressed.
const FINISHED_BYTES_MAX: usize = 24 * 1024 * 1024;
/// Below this many bytes compression costs more than it saves.
const GZIP_BYTES_MIN: usize = 1_000;
/// What pages may load: nothing but our own style and media.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Articles rendered once for each version, and pages finished once for each state.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    articles: Mutex<(usize, BTreeMap<EntryId, Arc<Rendering>>)>,
    finished: Mutex<(usize, BTreeMap<String, Arc<Finished>>)>,
}

#[derive(Debug)]
pub(super) struct Rendering {
    pub(super) html: String,
    pub(super) excerpt: String,
}

/// A page ready to be sent.
#[derive(Debug)]
pub(super) struct Finished {
    stamp: u64,
    etag: HeaderValue,
    kind: &'static str,
    plain: Bytes,
    gzip: Option<Bytes>,
}

impl Finished {
    fn bytes(&self) -> usize {
        self.plain.len() + self.gzip.as_ref().map_or(0, Bytes::len)
    }
}

impl Rendered {
    /// Forgets words that were taken back.
    pub(super) fn forget(&self, ids: &[EntryId]) {
        let mut articles = self.articles.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().for_each(|id| {
            articles.1.remove(id);
        });
        *self.finished.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }

    /// An article rendered before.
    pub(super) fn rendering(&self, id: EntryId) -> Option<Arc<Rendering>> {
        let articles = self.articles.lock().unwrap_or_else(PoisonError::into_inner);
        articles.1.get(&id).map(Arc::clone)
    }

    /// Keeps a rendered article within the budget.
    pub(super) fn keep(&self, id: EntryId, rendering: &Arc<Rendering>) {
        let bytes = rendering.html.len() + rendering.excerpt.len();
        let mut articles = self.articles.lock().unwrap_or_else(PoisonError::into_inner);
        if articles.0 + bytes > RENDERED_BYTES_MAX {
            *articles = Default::default();
        }
        articles.0 += bytes;
        articles.1.insert(id, Arc::clone(rendering));
    }

    /// A page finished before, if it is still as it was.
    pub(super) fn finished(&self, key: &str, stamp: u64) -> Option<Arc<Finished>> {
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished
            .1
            .get(key)
            .filter(|page| page.stamp == stamp)
            .map(Arc::clone)
    }

    /// Compresses a page and keeps it within the budget.
    pub(super) fn finish(
        &self,
        key: String,
        stamp: u64,
        kind: &'static str,
        body: String,
    ) -> Arc<Finished> {
        let gzip = (body.len() >= GZIP_BYTES_MIN).then(|| gzip(body.as_bytes()));
        let hash = Hash::of(body.as_bytes()).path();
        let etag = HeaderValue::from_str(&format!("\"{}\"", &hash[7..39]));
        let page = Arc::new(Finished {
            stamp,
            etag: etag.unwrap_or(HeaderValue::from_static("\"\"")),
            kind,
            plain: body.into(),
            gzip: gzip.map(Into::into),
        });
        // The key counts, too: strangers choose it.
        let bytes = page.bytes() + key.len();
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        if finished.0 + bytes > FINISHED_BYTES_MAX {
            *finished = Default::default();
        }
        finished.0 += bytes;
        let known = key.len();
        if let Some(old) = finished.1.insert(key, Arc::clone(&page)) {
            finished.0 -= old.bytes() + known;
        }
        page
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// Sends a finished page, compressed where the reader takes it, or says that it has it already.
pub(super) fn send(request: &Request<Incoming>, page: &Finished) -> Response {
    let asks = |name, what: &str| {
        let value = request.headers().get(name).and_then(|v| v.to_str().ok());
        value.is_some_and(|value| value.contains(what))
    };
    let etag = page.etag.to_str().unwrap_or_default();
    if asks(header::IF_NONE_MATCH, etag) {
        let mut response = web::answer(StatusCode::NOT_MODIFIED, page.kind, Bytes::new());
        response
            .headers_mut()
            .insert(header::ETAG, page.etag.clone());
        return response;
    }
    let gzip = page
        .gzip
        .as_ref()
        .filter(|_| asks(header::ACCEPT_ENCODING, "gzip"));
    let body = gzip.unwrap_or(&page.plain).clone();
    let mut response = web::answer(StatusCode::OK, page.kind, body);
    secure(&mut response);
    let headers = response.headers_mut();
    headers.insert(header::ETAG, page.etag.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if gzip.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

pub(super) fn secure(response: &mut Response) {
    let headers = response.headers_mut();
    let leads_away = |to: &HeaderValue| {
        let to = to.to_str().unwrap_or_default();
        !to.starts_with('/') || to.starts_with("//")
    };
    if headers.get(header::LOCATION).is_some_and(leads_away) {
        headers.remove(header::LOCATION);
    }
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
}

pub(super) fn redirect(to: &str) -> Response {
    let mut response = web::answer(StatusCode::MOVED_PERMANENTLY, PLAIN, format!("{to}\n"));
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

/// A medium by what it is, not by what anybody says; nothing in it can run.
pub(super) fn medium(bytes: Vec<u8>) -> Response {
    let kind = crate::blobs::sniff(&bytes);
    let mut response = web::answer(
        StatusCode::OK,
        kind.unwrap_or("application/octet-stream"),
        bytes,
    );
    let headers = response.headers_mut();
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, forever);
    let nothing =
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
    headers.insert(header::CONTENT_SECURITY_POLICY, nothing);
    if !kind.is_some_and(|k| k.starts_with("image/") && k != "image/svg+xml") {
        let download = HeaderValue::from_static("attachment");
        headers.insert(header::CONTENT_DISPOSITION, download);
    }
    response
}
