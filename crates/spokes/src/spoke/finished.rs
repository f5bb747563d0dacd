//! Pages and articles made once and kept, and how they are sent.

use std::{
    io::{Read as _, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use spokes_log::name::{EntryId, Hash};

use super::shelf::Shelf;
use crate::http::{self as web, Response};

/// The types of what people read.
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
/// Bytes of rendered articles kept in memory: a thousand of 2,000 words halfway through. Finished pages
/// are kept beside them, and one that is read no more is rendered again in a millisecond.
const RENDERED_BYTES_MAX: usize = 12 * 1024 * 1024;
/// Bytes of excerpts kept in memory: those of ten thousand posts, which the indexes of 1,000 blogs show.
const EXCERPTS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of finished pages kept in memory, compressed: three thousand of 2,000 words.
const FINISHED_BYTES_MAX: usize = 12 * 1024 * 1024;
/// Below this many bytes compression costs more than it saves.
const GZIP_BYTES_MIN: usize = 1_000;
/// What pages may load: nothing but our own style and media.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Articles rendered once for each version, and pages finished once for each state.
#[derive(Debug)]
pub(super) struct Rendered {
    articles: Mutex<Shelf<EntryId, Arc<Rendering>>>,
    excerpts: Mutex<Shelf<EntryId, Arc<str>>>,
    finished: Mutex<Shelf<String, Arc<Finished>>>,
}

impl Default for Rendered {
    fn default() -> Self {
        Self {
            articles: Mutex::new(Shelf::new(RENDERED_BYTES_MAX)),
            excerpts: Mutex::new(Shelf::new(EXCERPTS_BYTES_MAX)),
            finished: Mutex::new(Shelf::new(FINISHED_BYTES_MAX)),
        }
    }
}

#[derive(Debug)]
pub(super) struct Rendering {
    pub(super) html: String,
    pub(super) excerpt: String,
}

/// What a page depends on beside its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Varies {
    /// On nothing that a browser says of itself.
    No,
    /// On the languages that it asks for.
    ByLanguage,
}

/// A page ready to be sent.
#[derive(Debug)]
pub(super) struct Finished {
    stamp: u64,
    kind: &'static str,
    varies: Varies,
    hash: String,
    body: Body,
}

/// The one form in which a page is kept. A browser takes it compressed; for a program that does not, it
/// is made plain each time, which costs less than to keep both.
#[derive(Debug)]
enum Body {
    Plain(Bytes),
    Gzip { bytes: Bytes, plain_bytes: usize },
}

impl Finished {
    pub(super) fn new(stamp: u64, kind: &'static str, varies: Varies, body: String) -> Self {
        let hash = Hash::of(body.as_bytes()).path();
        let plain_bytes = body.len();
        Self {
            stamp,
            kind,
            varies,
            hash: hash[7..39].to_owned(),
            body: if plain_bytes >= GZIP_BYTES_MIN {
                let bytes = gzip(body.as_bytes()).into();
                Body::Gzip { bytes, plain_bytes }
            } else {
                Body::Plain(body.into())
            },
        }
    }

    /// The compressed form, if it has one.
    fn gzip(&self) -> Option<Bytes> {
        match &self.body {
            Body::Plain(_) => None,
            Body::Gzip { bytes, .. } => Some(bytes.clone()),
        }
    }

    fn plain(&self) -> Bytes {
        match &self.body {
            Body::Plain(bytes) => bytes.clone(),
            Body::Gzip { bytes, plain_bytes } => gunzip(bytes, *plain_bytes).into(),
        }
    }

    /// Each form has a strong tag of its own (RFC 9110 section 8.8.3.3).
    fn etag(&self, is_gzip: bool) -> HeaderValue {
        let suffix = if is_gzip { "-gz" } else { "" };
        let etag = HeaderValue::from_str(&format!("\"{}{suffix}\"", self.hash));
        etag.unwrap_or(HeaderValue::from_static("\"\""))
    }

    fn bytes(&self) -> usize {
        let (Body::Plain(bytes) | Body::Gzip { bytes, .. }) = &self.body;
        bytes.len() + self.hash.len()
    }
}

impl Rendered {
    /// Forgets words that were taken back.
    pub(super) fn forget(&self, ids: &[EntryId]) {
        let mut articles = self.articles.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().for_each(|id| articles.remove(id));
        let mut excerpts = self.excerpts.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().for_each(|id| excerpts.remove(id));
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.clear();
    }

    /// An article rendered before.
    pub(super) fn rendering(&self, id: EntryId) -> Option<Arc<Rendering>> {
        let mut articles = self.articles.lock().unwrap_or_else(PoisonError::into_inner);
        articles.get(&id)
    }

    /// Keeps a rendered article within the budget.
    pub(super) fn keep(&self, id: EntryId, rendering: &Arc<Rendering>) {
        let bytes = rendering.html.len() + rendering.excerpt.len();
        let mut articles = self.articles.lock().unwrap_or_else(PoisonError::into_inner);
        articles.put(id, bytes, Arc::clone(rendering));
    }

    /// The excerpt of an article that was made before.
    pub(super) fn excerpt(&self, id: EntryId) -> Option<Arc<str>> {
        let mut excerpts = self.excerpts.lock().unwrap_or_else(PoisonError::into_inner);
        excerpts.get(&id)
    }

    /// Keeps an excerpt within the budget.
    pub(super) fn keep_excerpt(&self, id: EntryId, excerpt: &Arc<str>) {
        // The id counts, too: an article of one word has a short excerpt.
        let bytes = excerpt.len() + size_of::<EntryId>();
        let mut excerpts = self.excerpts.lock().unwrap_or_else(PoisonError::into_inner);
        excerpts.put(id, bytes, Arc::clone(excerpt));
    }

    /// A page finished before, if it is still as it was.
    pub(super) fn finished(&self, key: &str, stamp: u64) -> Option<Arc<Finished>> {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.get(key).filter(|page| page.stamp == stamp)
    }

    /// Compresses a page and keeps it within the budget.
    pub(super) fn finish(&self, key: String, page: Finished) -> Arc<Finished> {
        let page = Arc::new(page);
        // The key counts, too: strangers choose it.
        let bytes = page.bytes() + key.len();
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.put(key, bytes, Arc::clone(&page));
        page
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

fn gunzip(bytes: &[u8], plain_bytes: usize) -> Vec<u8> {
    let mut plain = Vec::with_capacity(plain_bytes);
    let read = flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain);
    read.expect("what was compressed here is whole");
    plain
}

/// Sends a finished page, compressed where the reader takes it, or says that it has it already.
pub(super) fn send(request: &Request<Incoming>, page: &Finished) -> Response {
    answer(request.headers(), page)
}

fn answer(asked: &HeaderMap, page: &Finished) -> Response {
    let gzip = page.gzip().filter(|_| takes_gzip(asked));
    let is_gzip = gzip.is_some();
    let etag = page.etag(is_gzip);
    let mut response = if has_already(asked, &etag) {
        web::answer(StatusCode::NOT_MODIFIED, page.kind, Bytes::new())
    } else {
        let bytes = gzip.unwrap_or_else(|| page.plain());
        web::answer(StatusCode::OK, page.kind, bytes)
    };
    secure(&mut response);
    let vary = match page.varies {
        Varies::No => "accept-encoding",
        Varies::ByLanguage => "accept-encoding, accept-language",
    };
    let is_new = response.status() == StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static(vary));
    if is_gzip && is_new {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Whether `If-None-Match` names this tag (RFC 9110 section 13.1.2: weakly compared).
fn has_already(asked: &HeaderMap, etag: &HeaderValue) -> bool {
    let etag = etag.to_str().unwrap_or_default();
    let names = |value: &HeaderValue| {
        let value = value.to_str().unwrap_or_default();
        // Our tags hold no comma, so a piece of another one's is none of ours.
        let mut tags = value.split(',').map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    };
    asked.get_all(header::IF_NONE_MATCH).iter().any(names)
}

/// Whether gzip is acceptable (RFC 9110 section 12.5.3): named, or by `*`, and not with a quality of 0.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let (mut named, mut any) = (None, None);
    for value in asked.get_all(header::ACCEPT_ENCODING) {
        for coding in value.to_str().unwrap_or_default().split(',') {
            let mut parts = coding.split(';');
            let name = parts.next().unwrap_or_default().trim();
            let refused = parts.any(|part| {
                let quality = part.trim().strip_prefix("q=").map(str::trim);
                quality.is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0))
            });
            if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
                named = Some(!refused);
            } else if name == "*" {
                any = Some(!refused);
            }
        }
    }
    named.or(any).unwrap_or(false)
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

/// Marks a page that is made for one request: nobody keeps it for another one.
pub(super) fn passing(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-language"));
}

pub(super) fn redirect(to: &str) -> Response {
    let mut response = web::answer(StatusCode::MOVED_PERMANENTLY, PLAIN, format!("{to}\n"));
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

/// To another page of this host, for now.
pub(super) fn found(to: &str) -> Response {
    let mut response = redirect(to);
    *response.status_mut() = StatusCode::FOUND;
    response
}

/// To a page of the network's own host, which is told by our configuration and by nobody else.
pub(super) fn leads_to(address: &str) -> Response {
    let mut response = web::answer(StatusCode::FOUND, PLAIN, format!("{address}\n"));
    secure(&mut response);
    if let Ok(address) = HeaderValue::from_str(address) {
        response.headers_mut().insert(header::LOCATION, address);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn page(letters: usize) -> Finished {
        Finished::new(1, HTML, Varies::No, "a".repeat(letters))
    }

    fn asking(headers: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        let headers = headers.iter();
        headers
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    fn etag(response: &Response) -> String {
        let etag = response.headers()[header::ETAG].to_str();
        etag.expect("a tag").to_owned()
    }

    #[test]
    fn gzip_goes_to_those_who_take_it() {
        for (value, takes) in [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("*", true),
            ("GZIP", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000, br", false),
            ("*;q=0, gzip", true),
            ("gzip;q=0, *", false),
            ("identity", false),
            ("notgzip", false),
            ("", false),
        ] {
            let response = answer(&asking(&[(header::ACCEPT_ENCODING, value)]), &page(2_000));
            let compressed = response.headers().contains_key(header::CONTENT_ENCODING);
            assert_eq!(compressed, takes, "{value}");
        }
        let short = answer(&asking(&[(header::ACCEPT_ENCODING, "gzip")]), &page(100));
        assert!(!short.headers().contains_key(header::CONTENT_ENCODING));
    }

    #[test]
    fn a_page_is_kept_once_and_read_in_both_forms() {
        for letters in [100, 2_000] {
            let page = page(letters);
            assert_eq!(page.plain(), "a".repeat(letters));
            assert!(page.bytes() < 200, "{}", page.bytes());
        }
    }

    #[test]
    fn words_that_were_taken_back_are_kept_nowhere() {
        let (kept, erased) = (Hash::of(b"kept"), Hash::of(b"erased"));
        let rendered = Rendered::default();
        for id in [kept, erased] {
            let (html, excerpt) = ("<p>words</p>".to_owned(), "words".to_owned());
            rendered.keep_excerpt(id, &Arc::from(excerpt.as_str()));
            rendered.keep(id, &Arc::new(Rendering { html, excerpt }));
        }
        rendered.finish("maria/".to_owned(), page(10));
        rendered.forget(&[erased]);
        assert!(rendered.rendering(erased).is_none() && rendered.excerpt(erased).is_none());
        assert!(rendered.finished("maria/", 1).is_none());
        assert!(rendered.rendering(kept).is_some() && rendered.excerpt(kept).is_some());
    }

    #[test]
    fn each_form_has_a_tag_of_its_own() {
        let plain = etag(&answer(&HeaderMap::new(), &page(2_000)));
        let gzip = etag(&answer(
            &asking(&[(header::ACCEPT_ENCODING, "gzip")]),
            &page(2_000),
        ));
        assert_ne!(plain, gzip);
        let other = etag(&answer(&HeaderMap::new(), &page(2_001)));
        assert_ne!(plain, other);
    }

    #[test]
    fn who_has_the_page_hears_so() {
        let tag = etag(&answer(&HeaderMap::new(), &page(2_000)));
        for (value, has) in [
            (tag.clone(), true),
            (format!("W/{tag}"), true),
            (format!("\"other\", {tag}"), true),
            ("*".to_owned(), true),
            ("\"other\"".to_owned(), false),
            (tag.replace('"', ""), false),
            (format!("{}x\"", tag.trim_end_matches('"')), false),
        ] {
            let mut asked = HeaderMap::new();
            asked.insert(header::IF_NONE_MATCH, value.parse().expect("a value"));
            let response = answer(&asked, &page(2_000));
            let status = [StatusCode::OK, StatusCode::NOT_MODIFIED][usize::from(has)];
            assert_eq!(response.status(), status, "{value}");
            assert_eq!(etag(&response), tag);
            // What it has plain it does not have compressed.
            asked.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            let compressed = answer(&asked, &page(2_000));
            assert_eq!(
                compressed.status() == StatusCode::NOT_MODIFIED,
                value == "*"
            );
        }
    }
}
