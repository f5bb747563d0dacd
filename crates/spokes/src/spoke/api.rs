//! Which request goes where, and the answers for programs (SPEC http).

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use spokes_log::name::{BlogId, BlogName, EntryId, Fingerprint, Hash};
use spokes_rules::{
    node::Label,
    receipt::{Receipt, Tip},
    registry::{self, BlogRecord, Standing},
    replica::Event,
};

use super::{
    Spoke,
    finished::secure,
    offers::ANSWERED,
    submit::{STANDS_IN_FOR, invalid, no_such_blog, not_here},
};
use crate::{
    clock,
    council::{network_wire, unavailable},
    http::{self as web, Response},
    outage::Outage,
    store::Row,
    web::desk::DESK,
    wire::{
        self, BlogWire, EntryWire, FeedWire, ForcedWire, HeadWire, HeadsWire, MemberWire,
        ReceiptsWire, SignedWire, TipWire,
    },
};

/// How long a puller may wait for news: below what proxies cut off.
const WAIT_MAX: Duration = Duration::from_secs(50);
/// Entries of one page of the feed.
const PAGE_MAX: usize = 1_000;
/// Blogs that one feed may be asked for.
const BLOGS_MAX: usize = 1_000;
/// The last position that the store can be asked for.
const POSITION_MAX: u64 = i64::MAX as u64;
/// What begins the paths of the writing desk.
const DESK_BELOW: &str = "/_/desk/";
/// Bytes of a message with receipts.
const RECEIPTS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Whose pages a host name asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// The network's own.
    Apex,
    /// A blog's.
    Blog(BlogName),
}

impl Spoke {
    /// Answers one request.
    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response {
        let path = request.uri().path().to_owned();
        if let Some(rest) = path.strip_prefix("/api/v1/") {
            let segments: Vec<String> = rest.split('/').map(web::unquote_path).collect();
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            return self.api(&segments, request).await;
        }
        if path == DESK || path.starts_with(DESK_BELOW) {
            return self.at_desk(request).await;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = web::refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "Pages are read with GET. Nothing was changed.",
            );
            let allow = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(header::ALLOW, allow);
            return response;
        }
        if let Some(picture) = self.desk_medium(&request) {
            return picture;
        }
        let nonce = self.nonce_of(&request);
        let page = Arc::clone(&self).page(request).await;
        match nonce {
            Some(nonce) => self.with_receipt(nonce, page).await,
            None => page,
        }
    }

    /// Whose pages a host asks for; an unknown host answers as the apex (SPEC dns).
    pub(super) fn site(&self, host: &str) -> Site {
        let domain = self
            .ask(|r| r.founding().domain.to_string())
            .unwrap_or_default();
        let below = host
            .strip_suffix(&domain)
            .and_then(|rest| rest.strip_suffix('.'));
        let name = below.map(|below| below.strip_prefix("edit.").unwrap_or(below));
        match name.map(BlogName::parse) {
            Some(Ok(name)) => Site::Blog(name),
            _ => Site::Apex,
        }
    }

    async fn api(self: Arc<Self>, path: &[&str], request: Request<Incoming>) -> Response {
        let method = request.method().clone();
        if method == Method::OPTIONS {
            return preflight();
        }
        match (&method, path) {
            (&Method::GET, ["network"]) => self.network(),
            (&Method::GET, ["status"]) => self.status(),
            (&Method::GET, ["latest"]) => self.latest_answer(&request).await,
            (&Method::POST, ["latest"]) => self.ask_directly(request).await,
            (&Method::GET, ["feed"]) => self.feed_page(&request).await,
            (&Method::POST, ["feed"]) => self.news_told(request).await,
            (&Method::GET, ["search"]) => self.search_answer(&request).await,
            (&Method::GET, ["archive"]) => self.archive_answer(&request).await,
            (&Method::GET, ["heads"]) => self.heads(&request),
            (&Method::GET, ["entries", id]) => self.entry(id, &request),
            (&Method::GET, ["offers"]) => self.left_answer(&request),
            (&Method::POST, ["receipts"]) => self.receipts(request).await,
            (&Method::POST, ["registry", "claims"]) => self.post_claim(request).await,
            (_, ["blogs", name, rest @ ..]) => {
                let Ok(name) = BlogName::parse(name) else {
                    return web::refuse(
                        StatusCode::NOT_FOUND,
                        "no-such-blog",
                        "No blog has such a name.",
                    );
                };
                self.blog_api(&name, rest, request).await
            }
            _ => no_such_path(),
        }
    }

    async fn blog_api(
        self: Arc<Self>,
        name: &BlogName,
        path: &[&str],
        request: Request<Incoming>,
    ) -> Response {
        let method = request.method().clone();
        match (&method, path) {
            (&Method::POST, ["entries"]) => return self.post_entry(name, request).await,
            (&Method::POST, ["home"]) => return self.post_home(name, request).await,
            (&Method::POST, ["offers"]) => return self.post_offers(name, request).await,
            (&Method::POST, ["restore"]) => return self.restore(name, request).await,
            (&Method::PUT, ["media", hash]) => {
                return match Hash::parse_path(hash) {
                    Some(hash) => self.put_medium(name, hash, request).await,
                    None => invalid("the path does not end in sha256- and 64 hex digits"),
                };
            }
            _ => {}
        }
        let (blog, record) = match self.look_up(name).await {
            Ok(known) => known,
            Err(unknown) => return no_such_blog(name, unknown),
        };
        if path.is_empty() && method == Method::GET {
            return web::json(StatusCode::OK, &self.blog_wire(blog, &record));
        }
        if !self.answers(&record, &request) {
            return self.elsewhere(name, &record, &request).await;
        }
        self.ready(blog).await;
        match (&method, path) {
            (&Method::GET, ["head"]) => self.head_answer(blog),
            (&Method::GET, ["entries"]) => self.entries_of(blog, &request),
            (&Method::GET, ["entries", id, "standing"]) => match Hash::parse_path(id) {
                Some(id) => self.standing_now(blog, &record, id, StatusCode::OK),
                None => invalid("the path names no entry"),
            },
            (&Method::GET, ["receipts"]) => self.receipts_of(blog, &record),
            (&Method::GET, ["offers"]) => self.offers_answer(blog),
            _ => no_such_path(),
        }
    }

    /// Passes a request for a blog that is not here on to a spoke that has it, once.
    pub(super) async fn elsewhere(
        &self,
        name: &BlogName,
        record: &BlogRecord,
        request: &Request<Incoming>,
    ) -> Response {
        if request.headers().contains_key("spokes-hop") {
            return not_here(name);
        }
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let host = web::host(request);
        let mut silent = None;
        for label in self.readers_of(record) {
            let Some(address) = self.address(&label) else {
                continue;
            };
            let body = bytes::Bytes::new();
            let method = request.method().clone();
            let relayed = self
                .client
                .relay(address, &host, method, path, body, None)
                .await;
            let Ok(mut response) = relayed else { continue };
            // Its words are the other's, but nothing in them runs, or leads away, under our name.
            secure(&mut response);
            let status = response.status();
            if status != StatusCode::MISDIRECTED_REQUEST
                && status != StatusCode::SERVICE_UNAVAILABLE
            {
                return response;
            }
            silent.get_or_insert(response);
        }
        silent.unwrap_or_else(|| {
            unavailable(&Outage::new(format!(
                "\"{name}\" is held by other servers and none of them answers"
            )))
        })
    }

    /// Whether a request for a blog is answered from here; one that was passed on to here goes no further.
    pub(super) fn answers(&self, record: &BlogRecord, request: &Request<Incoming>) -> bool {
        let is_passed_on = request.headers().contains_key("spokes-hop");
        record.set.has(&self.me) && (is_passed_on || self.serves(record))
    }

    /// The other members of a set, in the order in which readers are sent to them: those that hold the blog,
    /// its primary behind them, and behind it those that are taking it in.
    pub(super) fn readers_of(&self, record: &BlogRecord) -> Vec<Label> {
        let rank = |label: &Label| {
            let known = self.ask(|registry| {
                let is_well = registry.spoke(label).is_some_and(registry::Spoke::is_well);
                (!is_well, !registry.holds_blog(record, label))
            });
            (known.unwrap_or_default(), label == record.set.primary())
        };
        let others = record.set.members.iter().filter(|label| **label != self.me);
        let mut others: Vec<Label> = others.cloned().collect();
        others.sort_by_key(rank);
        others
    }

    /// The blog with this name.
    pub(super) fn named(&self, name: &BlogName) -> Option<(BlogId, BlogRecord)> {
        self.ask(|registry| registry.named(name).map(|(id, blog)| (id, blog.clone())))
            .flatten()
    }

    pub(super) fn blog_wire(&self, blog: BlogId, record: &BlogRecord) -> BlogWire {
        let member = |label: &Label| {
            let spoke = self
                .ask(|registry| registry.spoke(label).cloned())
                .flatten();
            MemberWire {
                label: label.to_string(),
                operator: spoke
                    .as_ref()
                    .map(|s| s.operator.to_string())
                    .unwrap_or_default(),
                address: spoke
                    .as_ref()
                    .map(|s| s.address.to_string())
                    .unwrap_or_default(),
                down_since: spoke
                    .as_ref()
                    .and_then(|s| s.health.down)
                    .map(|down| down.to_string()),
                key: spoke.map(|s| s.key.to_string()).unwrap_or_default(),
            }
        };
        BlogWire {
            waits: self.waited_for(record),
            name: record.name.to_string(),
            blog: blog.to_string(),
            author: record.author.to_string(),
            epoch: record.set.epoch,
            primary: record.set.primary().to_string(),
            members: record.set.members.iter().map(member).collect(),
            shortfall: record.shortfall.map(|shortfall| shortfall.to_string()),
            forced: record.forced.as_ref().map(|forced| ForcedWire {
                since: forced.since.to_string(),
                after: forced.after,
                missing: forced.missing.iter().map(Label::to_string).collect(),
            }),
            keys_at: record.keys_at.to_string(),
            since: record.since.to_string(),
        }
    }

    fn network(&self) -> Response {
        let wire = self.ask(|r| network_wire(r, &self.config.base_url, self.me.as_str()));
        match wire {
            Some(wire) => web::json(StatusCode::OK, &wire),
            None => unavailable(&Outage::new(
                "This spoke has not heard from the council yet",
            )),
        }
    }

    fn status(&self) -> Response {
        let facts = self.ask(|registry| {
            let me = registry.spoke(&self.me);
            let standing = me.map(|me| standing_word(me.standing));
            let silent_since = me.and_then(|me| me.health.down).map(|t| t.to_string());
            let blogs = registry
                .blogs()
                .filter(|(_, b)| b.set.has(&self.me))
                .count();
            (standing, silent_since, blogs, registry.head().records)
        });
        let (standing, silent_since, blogs, records) = facts.unwrap_or_default();
        let circles = self.circle_lines();
        let noticed = self.noticed();
        let noticed = noticed.iter().map(|notice| {
            serde_json::json!({
                "about": notice.about.as_str(),
                "what": notice.what.word(),
                "blog": notice.blog.as_ref().map(ToString::to_string),
                "last": notice.last.to_string(),
                "times": notice.times,
            })
        });
        web::json(
            StatusCode::OK,
            &serde_json::json!({
                "label": self.me.as_str(),
                "standing": standing,
                "silent_since": silent_since,
                "blogs": blogs,
                "entries": self.store.entries().unwrap_or(0),
                "registry_records": records,
                "mended": self.mended.load(std::sync::atomic::Ordering::Relaxed),
                "started": self.started.to_string(),
                "takes": self.room.takes().to_string(),
                "circles": {
                    "levels": circles.levels,
                    "circle": circles.circle,
                    "aggregators": circles.aggregators,
                    "inner": circles.inner,
                },
                "archive": self.archive.kept().map(|kept| kept.facts()),
                "noticed": noticed.collect::<Vec<_>>(),
            }),
        )
    }

    fn head_answer(self: &Arc<Self>, blog: BlogId) -> Response {
        let facts = self.with(blog, |r| (r.durable_tips(), r.durable_len()));
        match (self.head(blog), facts) {
            (Some(head), Some((tips, entries))) => {
                let heads = tips.into_iter().map(TipWire::from).collect();
                web::json(
                    StatusCode::OK,
                    &HeadWire {
                        blog: blog.to_string(),
                        head,
                        heads,
                        entries,
                    },
                )
            }
            _ => web::refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "This blog's first entry has not come here yet. Nothing is lost; ask again in a moment.",
            ),
        }
    }

    /// `GET entries/sha256-HEX`: an entry in its kept form, for peers that mend; with
    /// `?blog=ID&authors=FINGERPRINT,…` also whether it is answered, for those that keep it as an offer.
    fn entry(self: &Arc<Self>, id: &str, request: &Request<Incoming>) -> Response {
        let id = Hash::parse_path(id);
        let row = id.and_then(|id: EntryId| self.store.entry(id).ok().flatten());
        // Not mended here: two altered copies would ask one another for ever.
        let sound = row.and_then(|row| {
            let blog = Hash::parse(&row.blog).ok()?;
            row.sealed().filter(|sealed| self.is_sound(blog, sealed))
        });
        if let Some(sealed) = sound {
            return web::json(StatusCode::OK, &EntryWire::from(&sealed));
        }
        let query = web::query(request);
        let blog = query.get("blog").and_then(|blog| Hash::parse(blog).ok());
        let authors = query.get("authors").map_or("", String::as_str).split(',');
        let authors: Vec<Fingerprint> =
            authors.filter_map(|a| Fingerprint::parse(a).ok()).collect();
        if let (Some(id), Some(blog)) = (id, blog)
            && self.is_answered(blog, id, &authors)
        {
            return web::refuse(
                StatusCode::GONE,
                ANSWERED,
                "This entry is not here, and its author has signed what stands in its place.",
            );
        }
        web::refuse(StatusCode::NOT_FOUND, "unknown", "This entry is not here.")
    }

    /// Entries of one blog for readers, each checked now.
    fn entries_of(self: &Arc<Self>, blog: BlogId, request: &Request<Incoming>) -> Response {
        let query = web::query(request);
        let Some(position) = self.position(query.get("after")) else {
            return stale_cursor();
        };
        // A page of none would never end.
        let limit = limit(&query).max(1);
        match self.store.of_blog(blog, position, limit) {
            Ok((mut rows, read_to, more)) => {
                let sound = |row: &Row| row.sealed().is_some_and(|s| self.is_sound(blog, &s));
                tokio::task::block_in_place(|| rows.retain(sound));
                self.page_of(rows, read_to, more)
            }
            Err(outage) => unavailable(&outage),
        }
    }

    /// `GET feed` (SPEC http 3.1).
    async fn feed_page(self: Arc<Self>, request: &Request<Incoming>) -> Response {
        let query = web::query(request);
        let newest = *self.store.newest().borrow();
        let limit = limit(&query);
        if limit == 0 {
            return self.page_of(Vec::new(), newest, false);
        }
        let Some(position) = self.position(query.get("after")) else {
            return stale_cursor();
        };
        let only: Option<Vec<BlogId>> = query.get("blogs").map(|blogs| {
            blogs
                .split(',')
                .take(BLOGS_MAX)
                .filter_map(|id| Hash::parse(id).ok())
                .collect()
        });
        if let Some([blog]) = only.as_deref() {
            return match self.store.of_blog(*blog, position, limit) {
                Ok((rows, read_to, more)) => self.page_of(rows, read_to, more),
                Err(outage) => unavailable(&outage),
            };
        }
        let seconds = query
            .get("wait")
            .and_then(|wait| wait.parse().ok())
            .unwrap_or(0);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds).min(WAIT_MAX);
        let mut grown = self.store.newest();
        let mut position = position;
        let mut seat = None;
        loop {
            grown.mark_unchanged();
            let moves = self.moves();
            let wanted = self.wanted(&query, only.as_deref());
            let read = tokio::task::block_in_place(|| {
                self.store
                    .after(position, limit, |blog| wanted.contains(blog))
            });
            match read {
                Err(outage) => return unavailable(&outage),
                Ok((rows, read_to, more)) if !rows.is_empty() || more => {
                    let page = self.page_of(rows, read_to, more);
                    // Else rows of one epoch would go out under the name of the next.
                    if self.moves() == moves {
                        return page;
                    }
                }
                Ok((_, read_to, _)) => position = read_to,
            }
            if seat.is_none() && seconds > 0 {
                match web::wait_for_news(request) {
                    Ok(taken) => seat = Some(taken),
                    Err(full) => return full.answer(),
                }
            }
            if tokio::time::timeout_at(deadline, grown.changed())
                .await
                .is_err()
            {
                return self.page_of(Vec::new(), position, false);
            }
        }
    }

    /// The ids of the blogs that a feed is asked for, as the store spells them.
    fn wanted(
        &self,
        query: &std::collections::BTreeMap<String, String>,
        only: Option<&[BlogId]>,
    ) -> BTreeSet<String> {
        let label = |name: &str| query.get(name).and_then(|l| Label::parse(l).ok());
        let (primary, replica) = (label("primary"), label("replica"));
        // Where this spoke stands in for a primary, the others must not wait until tips are compared.
        let stood_in = self.stood_in.lock().unwrap_or_else(PoisonError::into_inner);
        let stands_in = |id: &BlogId| {
            let since = stood_in.get(id);
            since.is_some_and(|since| since.elapsed() < STANDS_IN_FOR)
        };
        let blogs = self.ask(|registry| {
            let fits = |id: &BlogId, blog: &BlogRecord| {
                let next = |l: &Label| blog.closing.as_ref().is_some_and(|c| c.next.has(l));
                only.is_none_or(|only| only.contains(id))
                    && primary.as_ref().is_none_or(|label| {
                        blog.set.primary() == label || *label == self.me && stands_in(id)
                    })
                    && replica
                        .as_ref()
                        .is_none_or(|label| blog.set.has(label) || next(label))
            };
            let named = |id: &BlogId| Some((*id, registry.blog(*id)?));
            let (asked, placed) = (only.map(|ids| ids.iter().filter_map(named)), &replica);
            let fitting: Box<dyn Iterator<Item = (BlogId, &BlogRecord)>> = match (asked, placed) {
                (Some(asked), _) => Box::new(asked),
                (None, Some(label)) => {
                    Box::new(registry.placed_on(label).filter_map(|id| named(&id)))
                }
                (None, None) => Box::new(registry.blogs()),
            };
            let fitting = fitting.filter(|(id, blog)| fits(id, blog));
            fitting.map(|(id, _)| id.to_string()).collect()
        });
        blogs.unwrap_or_default()
    }

    /// The position of a cursor; none when it is of another store instance.
    fn position(&self, cursor: Option<&String>) -> Option<u64> {
        let cursor = cursor.map(String::as_str).unwrap_or_default();
        if cursor.is_empty() {
            return Some(0);
        }
        let (instance, position) = cursor.split_once('-')?;
        let position = position.parse().ok().filter(|at| *at <= POSITION_MAX)?;
        (instance == self.cursor_instance()).then_some(position)
    }

    /// What a cursor counts in: after entries have left the log it is another store, of which whoever reads
    /// compares heads, and whoever keeps a copy reads all.
    fn cursor_instance(&self) -> String {
        match self.moves() {
            0 => self.instance.clone(),
            moves => format!("{}.{moves}", self.instance),
        }
    }

    fn page_of(&self, rows: Vec<Row>, read_to: u64, more: bool) -> Response {
        let epochs = self.epochs_of(rows.iter().map(|row| row.blog.clone()));
        // A row that is not what its id says is left out: the reader finds it at another member.
        let entries = rows.into_iter().filter_map(Row::into_wire).collect();
        let cursor = format!("{}-{read_to}", self.cursor_instance());
        web::json(
            StatusCode::OK,
            &FeedWire {
                cursor,
                more,
                entries,
                epochs,
            },
        )
    }

    /// `GET heads` (SPEC http 3.2).
    fn heads(self: &Arc<Self>, request: &Request<Incoming>) -> Response {
        let query = web::query(request);
        let only: Option<Vec<BlogId>> = query
            .get("blogs")
            .map(|ids| ids.split(',').filter_map(|i| Hash::parse(i).ok()).collect());
        let wanted = self.wanted(&query, only.as_deref());
        let mut wire = HeadsWire::default();
        for id in wanted {
            let Ok(blog) = Hash::parse(&id) else { continue };
            let facts: Option<(Vec<Tip>, Vec<SignedWire>, u64)> = self.with(blog, |replica| {
                let mine = replica.receipts().all().filter(|r| r.held.spoke == self.me);
                let mine = mine.map(|r| SignedWire::from(&r.signed)).collect();
                (replica.durable_tips(), mine, replica.settled_epoch())
            });
            if let Some((tips, mine, epoch)) = facts {
                wire.epochs.insert(id.clone(), epoch);
                wire.blogs
                    .insert(id, tips.into_iter().map(TipWire::from).collect());
                wire.receipts.extend(mine);
            }
        }
        web::json(StatusCode::OK, &wire)
    }

    /// `POST receipts` (SPEC http 3.3).
    async fn receipts(self: Arc<Self>, request: Request<Incoming>) -> Response {
        let body = match web::body(request, RECEIPTS_BYTES_MAX).await {
            Ok(body) => body,
            Err(response) => return response,
        };
        let wire: ReceiptsWire = match wire::read(&body) {
            Ok(wire) => wire,
            Err(why) => return invalid(&why),
        };
        if let Some(rates) = &wire.rates {
            tokio::task::block_in_place(|| self.take_rates(rates));
        }
        // Ten thousand signatures may be among them: not on the event loop.
        let early = tokio::task::block_in_place(|| self.take_receipts(&wire.receipts));
        // A member that heard of a new blog before this spoke says it once, and an author waits for it.
        if !early.is_empty() {
            self.hears_news().await;
            tokio::task::block_in_place(|| early.into_iter().for_each(|r| self.take_receipt(r)));
        }
        web::json(StatusCode::OK, &serde_json::json!({}))
    }

    /// Takes receipts that count: signed by the key of the spoke that they name, for this network. Gives
    /// back those about blogs that are not known here.
    pub(super) fn take_receipts(self: &Arc<Self>, receipts: &[SignedWire]) -> Vec<Receipt> {
        let mut unknown = Vec::new();
        for signed in receipts.iter().filter_map(|wire| wire.signed().ok()) {
            let Ok(receipt) = Receipt::check(signed) else {
                continue;
            };
            let known = self.ask(|registry| {
                let counts = registry.counts(&receipt);
                counts.then(|| registry.blog(receipt.held.blog).is_some())
            });
            match known.flatten() {
                Some(true) => self.take_receipt(receipt),
                Some(false) => unknown.push(receipt),
                None => {}
            }
        }
        unknown
    }

    fn take_receipt(self: &Arc<Self>, receipt: Receipt) {
        let blog = receipt.held.blog;
        self.with(blog, |r| r.handle(clock::now(), Event::Receipt(receipt)));
    }

    fn receipts_of(self: &Arc<Self>, blog: BlogId, record: &BlogRecord) -> Response {
        let receipts = self
            .with(blog, |replica| {
                replica
                    .receipts()
                    .all()
                    .map(|r| SignedWire::from(&r.signed))
                    .collect()
            })
            .unwrap_or_default();
        let members = record.set.members.iter().map(Label::to_string).collect();
        let wire = ReceiptsWire {
            epoch: record.set.epoch,
            members,
            receipts,
            rates: None,
        };
        web::json(StatusCode::OK, &wire)
    }
}

fn standing_word(standing: Standing) -> &'static str {
    match standing {
        Standing::Applied { .. } => "applied",
        Standing::Admitted { .. } => "admitted",
        Standing::Leaving { .. } => "leaving",
        Standing::Evicted { .. } => "evicted",
    }
}

fn limit(query: &std::collections::BTreeMap<String, String>) -> usize {
    query
        .get("limit")
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(PAGE_MAX)
        .min(PAGE_MAX)
}

fn stale_cursor() -> Response {
    web::refuse(
        StatusCode::GONE,
        "cursor",
        "This cursor is of an earlier start of this node. Compare heads and begin without one.",
    )
}

fn no_such_path() -> Response {
    web::refuse(
        StatusCode::NOT_FOUND,
        "no-such-path",
        "There is nothing at this address.",
    )
}

/// Any page may ask, without credentials (SPEC http).
fn preflight() -> Response {
    let mut response = web::json(StatusCode::NO_CONTENT, &serde_json::json!({}));
    let headers = response.headers_mut();
    let any = HeaderValue::from_static("*");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, any);
    let methods = HeaderValue::from_static("GET, POST, PUT");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    response
}
