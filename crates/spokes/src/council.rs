//! A council node: it takes part in ordering requests, keeps the registry, and publishes the zone.
//!
//! Any node takes requests; the one that leads puts them in order. What was agreed on is in the journal
//! of a majority before it is answered; the registry is folded from it, and so can be thrown away.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::name::BlogId;
use spokes_rules::{
    dnssec::ZoneKey,
    health::{REPORT_SECONDS_MAX, Report},
    node::{Label, NodeKey, NodeSecret, Signed},
    receipt::{Held, Receipt, Seal},
    registry::{Refusal, Registry},
    request::Ask,
    zone,
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use crate::{
    clock,
    config::{self, CouncilConfig},
    dns::{cookie::CookieSecret, serve::Server, signed::Keys},
    http::{self as web, Guest, Response},
    observe::observe,
    outage::Outage,
    turns::Turns,
    wire::{
        self, CouncilWire, LogWire, NetworkWire, Problem, RequestWire, StatementsWire, TakenWire,
    },
};

mod anew;
mod book;
mod condition;
mod door;
mod elsewhere;
mod found;
#[cfg(test)]
mod harness;
mod health;
mod journal;
mod keys;
mod mirrors;
mod order;
mod part;
mod peers;
mod places;
mod press;
mod publication;
mod raft;
mod rates;
mod recovery;
mod seats;
mod sets;
mod sheaf;
mod ways;

use anew::Anew;
use book::Book;
pub use door::{Door, Whose};
pub use elsewhere::ask_elsewhere;
pub use found::{Beginning, Stand, init, invite, organize, stand};
pub use mirrors::{SharedKey, mirror_keys};
use order::Order;
use raft::LogStore;
use rates::{Asker, Rates};
pub use recovery::{Copied, Ready, Recovered, Recovery, backup, check};
use ways::Ways;

/// Questions for statements that are on their way to the leader at once: an eighth of the places it has for peers.
const ASKING_MAX: usize = 8;
/// How often the zone is looked after.
const ZONE_EVERY: Duration = Duration::from_millis(200);
/// How long a follower may wait for the next record.
const WAIT_MAX: Duration = Duration::from_secs(50);
/// Bytes of one request: the longest proof that the registry takes.
const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Statements of one spoke kept about one blog while its set changes: a seal, and a receipt for each
/// branch that a seal can name.
const STATEMENTS_PER_SPOKE_MAX: usize = 128;
/// Bytes of one message with statements: a seal names all tips of a blog.
const STATEMENTS_BYTES_MAX: usize = 1024 * 1024;
/// Statements of one message: as many as a spoke sends. To check them takes some ten milliseconds.
const STATEMENTS_MAX: usize = 200;
/// Messages of one address that wait to be checked: a spoke that tells of a report, of a set and of another one.
const STATEMENTS_WAIT_MAX: usize = 8;
/// How long they wait; whoever sent them sends them again.
const STATEMENTS_WAIT: Duration = Duration::from_secs(8);

/// A running council node.
#[derive(Debug)]
pub struct Council {
    dir: PathBuf,
    config: CouncilConfig,
    secret: NodeSecret,
    zone_key: ZoneKey,
    book: Arc<Book>,
    /// What this node shares with mirrors.
    keys: Keys,
    order: Order,
    /// Seals and receipts of sets that are changing, until they open.
    statements: Mutex<BTreeMap<BlogId, Vec<Signed>>>,
    /// What observers say of spokes.
    reports: health::Reports,
    /// Who brings statements takes turns, guest by guest: to check them takes a core for a while.
    checking: Arc<Turns>,
    /// Who asks the leader through this node takes turns.
    asking: Semaphore,
    /// Spokes of which somebody says what the registry does not.
    doubted: Mutex<BTreeSet<Label>>,
    /// How many requests came of late, and from whom.
    rates: Mutex<Rates>,
}

impl Council {
    /// Opens the node that `spokes council init` or `join` made.
    ///
    /// # Errors
    /// When files are missing, damaged, or of a newer program.
    pub async fn open(dir: &Path) -> Result<Arc<Self>, Outage> {
        let config = CouncilConfig::load(dir)?;
        let secret = config::secret_key(&dir.join("node.key"))?;
        let zone_secret = keys::zone_secret(dir)?;
        let journal = found::open_journal(dir, &secret)?;
        if journal.torn() > 0 {
            tracing::warn!(
                bytes = journal.torn(),
                "a write that was never acknowledged was torn and is cut off"
            );
        }
        let book = Arc::new(found::open_book(dir, &journal, &secret)?);
        let keys::Ahead { nodes, recoveries } = keys::read_ahead(&journal, &book)?;
        let is_empty = journal.len() == 0 || journal.filling().is_some();
        let anew = Anew::open(dir, secret.key(), is_empty, |text| {
            anew::has(&book, text) || recoveries.iter().any(|ahead| ahead == text)
        })?;
        let known = keys::known_keys(dir, &config)?;
        let ways = Ways::new(secret.clone(), Arc::clone(&book), known, anew, nodes);
        let store = LogStore::new(journal);
        let (zone_key, at) = (zone_secret.key(), dir.to_owned());
        let begun = Order::begin(&secret, ways, at, Arc::clone(&book), store, zone_secret);
        let order = begun.await?;
        if order.has_no_vote() {
            tracing::warn!(
                label = config.label,
                "this node holds nothing, or not yet all, and votes for nobody; the council fills it as soon \
                 as an organizer has said \"spokes council seat {0}\", or \"spokes council refill {0}\" if \
                 it held something before",
                config.label
            );
        }
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            config,
            secret,
            zone_key,
            book,
            keys: Keys::default(),
            order,
            statements: Mutex::default(),
            reports: health::Reports::default(),
            checking: Turns::new(1, STATEMENTS_WAIT, STATEMENTS_WAIT_MAX),
            asking: Semaphore::new(ASKING_MAX),
            doubted: Mutex::default(),
            rates: Mutex::default(),
        }))
    }

    /// Serves registry and DNS until `shutdown`.
    ///
    /// # Errors
    /// When a port is taken.
    pub async fn serve(self: Arc<Self>, shutdown: watch::Receiver<bool>) -> Result<(), Outage> {
        let taken = |e: std::io::Error| Outage::new(e.to_string());
        let editions = self.book.publication().editions().clone();
        let dns = Server::bind(self.config.dns, editions, self.keys.clone()).map_err(taken)?;
        let cookies = CookieSecret::of_node(&self.secret.seed());
        let dns = dns.with_door(cookies, self.config.dns_rate);
        let api = bind(self.config.api).await?;
        let peers_at = bind(self.config.peer()).await?;
        tracing::info!(
            api = %self.config.api, dns = %self.config.dns, peer = %self.config.peer(),
            "the council node answers"
        );
        let ended = |mut shutdown: watch::Receiver<bool>| async move {
            // An error means that whoever could say so is gone: the same.
            drop(shutdown.wait_for(|ended| *ended).await);
        };
        let node = Arc::clone(&self);
        let handler = move |request| {
            let node = Arc::clone(&node);
            async move { node.answer(request).await }
        };
        let node = Arc::clone(&self);
        let hosts = node.order.hosts();
        let known = move |key| node.order.knows(key);
        let node = Arc::clone(&self);
        let peers_handler = move |peer, request| {
            let node = Arc::clone(&node);
            async move { node.answer_peer(peer, request).await }
        };
        let peers = peers::serve(
            peers_at,
            &self.secret,
            (Arc::new(known), hosts),
            peers_handler,
            ended(shutdown.clone()),
        );
        let served = async {
            let (.., peers) = tokio::join!(
                dns.run(ended(shutdown.clone())),
                web::serve(api, handler, ended(shutdown.clone())),
                peers,
            );
            peers
        };
        let served = tokio::select! {
            served = served => served,
            () = self.look_after_zone() => Ok(()),
            observed = self.observe() => observed,
            () = self.look_after_doubts() => Ok(()),
            () = self.look_after_sets() => Ok(()),
            () = self.look_after_mirrors() => Ok(()),
            () = self.watch_mirrors() => Ok(()),
            () = self.look_after_seat() => Ok(()),
            told = self.look_after_founding() => told,
        };
        self.order.end().await;
        if let Err(outage) = self.book.keep(true) {
            tracing::warn!(%outage, "the next start takes longer");
        }
        served
    }

    /// Watches spokes, where there are too few to watch one another.
    async fn observe(self: &Arc<Self>) -> Result<(), Outage> {
        let me = Label::parse(&self.config.label).map_err(Outage::new)?;
        observe(Arc::clone(self), me, Arc::new(self.secret.clone())).await
    }

    /// Publishes the zone as soon as all is here, and keeps what there is for the next start.
    async fn look_after_zone(&self) {
        let (mut kept, mut tried) = (Vec::new(), None);
        loop {
            tokio::time::sleep(ZONE_EVERY).await;
            if self.book.publication().is_hidden() && self.order.is_whole() {
                let revealed = tokio::task::block_in_place(|| self.book.reveal());
                match revealed {
                    Ok(true) => {
                        tracing::info!("this node holds all there is; it votes, and answers DNS")
                    }
                    Ok(false) => {}
                    Err(outage) => tracing::error!(%outage, "the zone cannot be published"),
                }
            }
            let sitting = |registry: &Registry| {
                let sitting = registry.seats().sitting();
                let keys = sitting.map(|(node, ..)| node.key).collect::<Vec<_>>();
                (registry.network(), keys)
            };
            let minute = zone::minute(clock::now());
            // Where they could not be kept, it is tried again with the next slate.
            if !self.book.publication().is_hidden()
                && let Some((network, keys)) =
                    self.book.ask(sitting).filter(|(_, keys)| *keys != kept)
                && tried != Some(minute)
            {
                let keep = || keys::keep_keys(&self.dir, network, &keys);
                match tokio::task::block_in_place(keep) {
                    Ok(()) => kept = keys,
                    Err(outage) => {
                        tracing::warn!(%outage, "the council's keys cannot be kept");
                        tried = Some(minute);
                    }
                }
            }
            let book = Arc::clone(&self.book);
            let kept = tokio::task::spawn_blocking(move || book.keep(false)).await;
            if let Ok(Err(outage)) = kept {
                tracing::warn!(%outage, "the next start takes longer");
            }
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response {
        let path = request.uri().path().to_owned();
        let method = request.method().clone();
        match (&method, path.as_str()) {
            (&Method::GET, "/healthz") => return self.health(),
            (&Method::POST, "/api/v1/registry/founded-anew") => return self.hear(request).await,
            _ => {}
        }
        if let Some(stands_down) = self.stood_down() {
            return stands_down;
        }
        match (&method, path.as_str()) {
            (&Method::GET, "/api/v1/network") => self.network(&request),
            (&Method::GET, "/api/v1/registry/log") => self.log(&request).await,
            (&Method::POST, "/api/v1/registry/requests") => self.requests(request).await,
            (&Method::POST, "/api/v1/registry/statements") => self.statements(request).await,
            (&Method::GET, "/api/v1/registry/statements") => self.statements_for(&request).await,
            (&Method::GET, "/api/v1/registry/status") => self.status().await,
            (&Method::GET, "/api/v1/registry/zone-keys") => self.zone_keys(),
            (&Method::GET, "/api/v1/registry/spokes") => self.spokes(),
            (&Method::GET, "/api/v1/registry/blogs") => self.blogs(&request),
            _ => web::refuse(
                StatusCode::NOT_FOUND,
                "no-such-path",
                "This is a council node; it has no pages. Ask a spoke.",
            ),
        }
    }

    /// Answers another node of the council.
    async fn answer_peer(self: Arc<Self>, peer: NodeKey, request: Request<Incoming>) -> Response {
        let path = request.uri().path().to_owned();
        if path == "/statements" {
            let wire: StatementsWire = match peers::read(request).await {
                Ok(wire) => wire,
                Err(refusal) => return refusal,
            };
            return self.keep_statements(wire).await;
        }
        if path == "/kept" {
            return match peers::read(request).await {
                Ok(wanted) => web::json(StatusCode::OK, &self.kept(&wanted)),
                Err(refusal) => refusal,
            };
        }
        if path == ways::KEYS {
            return match peers::read(request).await {
                Ok(wire) => self.hear_keys(&wire),
                Err(refusal) => refusal,
            };
        }
        if path == mirrors::MIRROR_KEY {
            return match peers::read::<String>(request).await {
                Ok(mirror) => self.answer_mirror_key(&mirror),
                Err(refusal) => refusal,
            };
        }
        if path == "/doubted" {
            return self.answer_doubted();
        }
        let answer = self.order.answer(peer, &path, request).await;
        let none = || {
            web::refuse(
                StatusCode::NOT_FOUND,
                "no-such-path",
                "No council node asks this.",
            )
        };
        answer.unwrap_or_else(none)
    }

    /// The log behind a place; waits for news when there is none.
    async fn log(&self, request: &Request<Incoming>) -> Response {
        let query = web::query(request);
        let number = |name: &str| {
            query
                .get(name)
                .and_then(|v| v.parse::<u64>().ok())
                .unwrap_or(0)
        };
        // Behind the last place that the log can be asked for there is nothing.
        let after = number("after").min(i64::MAX as u64);
        let wait = Duration::from_secs(number("wait")).min(WAIT_MAX);
        let mut grown = self.book.grown();
        if !wait.is_zero() && *grown.borrow() <= after {
            let _seat = match web::wait_for_news(request) {
                Ok(seat) => seat,
                Err(full) => return full.answer(),
            };
            // Either way the log is answered as it is then.
            drop(tokio::time::timeout(wait, grown.wait_for(|records| *records > after)).await);
        }
        // Before the page is read: what is confirmed later is not in it, perhaps.
        let confirmed = number("confirm") == 1 && self.order.is_confirmed().await;
        match self.book.page(after) {
            Ok(page) => web::json(StatusCode::OK, &LogWire { confirmed, ..page }),
            Err(outage) => unavailable(&outage),
        }
    }

    async fn requests(self: Arc<Self>, request: Request<Incoming>) -> Response {
        let from = Guest::of(&request).address();
        let body = match web::body(request, REQUEST_BYTES_MAX).await {
            Ok(body) => body,
            Err(response) => return response,
        };
        let mut read = Arc::clone(&self).read(from, body.clone()).await;
        let is_strange =
            matches!(&read, Err(Unsequenced::Refused(why)) if **why == Refusal::NotAdmitted);
        if is_strange && !self.order.leads() {
            // This node may lag, and not know the spoke yet.
            read = if self.order.is_confirmed().await {
                Arc::clone(&self).read(from, body).await
            } else {
                Err(order::nobody_leads())
            };
        }
        let sequenced = match read {
            Ok(Read::New(request)) => self.order.sequence(request).await,
            Ok(Read::Again(taken)) => Ok(taken),
            Err(why) => Err(why),
        };
        match sequenced {
            Ok(taken) => web::json(StatusCode::OK, &taken),
            Err(why) => why.answer(),
        }
    }

    /// As below. Reading checks signatures: not on the event loop.
    async fn read(self: Arc<Self>, from: IpAddr, body: Bytes) -> Result<Read, Unsequenced> {
        let read = tokio::task::spawn_blocking(move || self.read_here(from, &body)).await;
        read.unwrap_or_else(|error| Err(Unsequenced::Outage(Outage::new(error.to_string()))))
    }

    /// Whether this many requests may come from there now, then the request itself.
    fn read_here(&self, from: IpAddr, body: &[u8]) -> Result<Read, Unsequenced> {
        let wire = wire::read::<RequestWire>(body).map_err(Unsequenced::Malformed)?;
        // Anybody can repeat what stands in the log: it is not booked on whoever signed it.
        if let Some(taken) = self.book.answered(&wire.signed.text) {
            return Ok(Read::Again(taken));
        }
        let signed = wire.signed.signed();
        let signed = signed.map_err(|why| Unsequenced::Malformed(why.to_owned()))?;
        // What a node has signed for somebody else, as spokes do for each reader, is not booked on it either.
        let is_asked = Ask::parse(signed.text.as_bytes()).is_ok();
        let known = is_asked && self.is_known(signed.key) && signed.is_good();
        let asker = match known {
            true => Asker::Node(signed.key),
            false => Asker::Stranger(from),
        };
        let taken = {
            let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
            rates.take(asker, Instant::now())
        };
        if let Err((limit, whose)) = taken {
            return Err(Unsequenced::TooMany(limit, whose));
        }
        // Proofs take long to judge: of strangers none is asked for.
        let proves = !wire.proof.is_empty() || !wire.statements.is_empty();
        if proves && !known {
            return Err(Unsequenced::Refused(Box::new(Refusal::NotAdmitted)));
        }
        Ok(Read::New(wire))
    }

    /// Whether this is the key of a spoke that is admitted or a member of a set still, a council node, or an organizer.
    fn is_known(&self, key: NodeKey) -> bool {
        let known = self.book.ask(|registry| {
            let mut spokes = registry.spokes();
            spokes.any(|(label, spoke)| spoke.key == key && registry.is_watched(label))
                || registry.seats().node(key).is_some()
                || registry.founding().organizers.contains(&key)
        });
        known == Some(true)
    }

    /// Takes seals and receipts of a changing set, and opens it as soon as they suffice.
    async fn statements(self: Arc<Self>, request: Request<Incoming>) -> Response {
        let from = Guest::of(&request).address();
        let body = match web::body(request, STATEMENTS_BYTES_MAX).await {
            Ok(body) => body,
            Err(response) => return response,
        };
        let wire: StatementsWire = match wire::read(&body) {
            Ok(wire) => wire,
            Err(why) => {
                let why = format!("The statements are not in their form: {why}. Nothing was kept.");
                return web::refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why);
            }
        };
        if wire.statements.len() > STATEMENTS_MAX {
            let why = format!(
                "A message holds {STATEMENTS_MAX} statements at most. Nothing was kept; send fewer at once."
            );
            return web::refuse(StatusCode::PAYLOAD_TOO_LARGE, "too-large", why);
        }
        let node = Arc::clone(&self);
        let wire = {
            let Some(_turn) = self.checking.take(from).await else {
                let why = "Very many tell this node something at once. Nothing was kept; send it again in a moment, or \
                           to another node.";
                return web::refuse(StatusCode::SERVICE_UNAVAILABLE, "busy", why);
            };
            let checked =
                tokio::task::spawn_blocking(move || node.is_said_by_nodes(&wire).then_some(wire));
            checked.await.unwrap_or_default()
        };
        let Some(wire) = wire else {
            return web::refuse(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "A statement is not signed by a node of this network. Nothing was kept.",
            );
        };
        match self.order.leads_or_tells(&wire).await {
            Ok(true) => self.keep_statements(wire).await,
            Ok(false) => web::json(StatusCode::OK, &serde_json::json!({})),
            Err(why) => why.answer(),
        }
    }

    /// Whether all of it comes from nodes and is for the council: strangers may send what they like, also what nodes
    /// have signed for the log or for readers, so at the first one that is something else nothing more is checked, and
    /// nobody else is troubled.
    fn is_said_by_nodes(&self, wire: &StatementsWire) -> bool {
        let is_for_us = |text: &[u8]| {
            Report::parse(text).is_ok() || Seal::parse(text).is_ok() || Held::parse(text).is_ok()
        };
        let is_good = |signed: Signed| {
            is_for_us(signed.text.as_bytes()) && self.is_known(signed.key) && signed.is_good()
        };
        let mut statements = wire.statements.iter();
        statements.all(|wire| wire.signed().is_ok_and(is_good))
    }

    /// Keeps statements as the leader does, and opens what they suffice for.
    async fn keep_statements(self: Arc<Self>, wire: StatementsWire) -> Response {
        let signed = wire.statements.iter().filter_map(|wire| wire.signed().ok());
        let signed: Vec<Signed> = signed.collect();
        let node = Arc::clone(&self);
        let task = tokio::task::spawn_blocking(move || node.take_statements(signed));
        let taken = match task.await {
            Ok(taken) => taken,
            Err(error) => return unavailable(&Outage::new(error.to_string())),
        };
        self.judge_health(taken.spokes).await;
        self.try_open(taken.blogs).await;
        match (taken.full, taken.off) {
            (None, None) => web::json(StatusCode::OK, &serde_json::json!({})),
            (Some(full), _) => web::refuse(StatusCode::TOO_MANY_REQUESTS, "quota", full),
            (None, Some(off)) => web::refuse(
                StatusCode::UNPROCESSABLE_ENTITY,
                CLOCK,
                format!(
                    "A report is {} seconds {} this council node's clock; up to {REPORT_SECONDS_MAX} count. It was \
                     not kept, and nothing else is the matter. Set the clock that is wrong, by NTP.",
                    off.abs(),
                    if off > 0 { "behind" } else { "ahead of" },
                ),
            ),
        }
    }

    /// Keeps statements.
    fn take_statements(&self, signed: Vec<Signed>) -> Taken {
        let mut taken = Taken::default();
        for statement in signed {
            if let Ok(report) = Report::parse(statement.text.as_bytes()) {
                let key = statement.key;
                let off = clock::now().since(report.time);
                if off.abs() > REPORT_SECONDS_MAX {
                    taken.off = Some(off);
                    continue;
                }
                if let Some(of) = self.take_report(report, statement) {
                    taken.spokes.insert(of);
                    let sits = |registry: &Registry| registry.seats().node(key).is_some();
                    taken.by_council |= self.book.ask(sits).unwrap_or_default();
                }
                continue;
            }
            let Some(blog) = self.blog_of(&statement) else {
                continue;
            };
            let mut kept = self
                .statements
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let kept = kept.entry(blog).or_default();
            if kept.contains(&statement) {
                continue;
            }
            let of_spoke = kept.iter().filter(|other| other.key == statement.key);
            if of_spoke.count() == STATEMENTS_PER_SPOKE_MAX {
                taken.full = Some(format!(
                    "{STATEMENTS_PER_SPOKE_MAX} statements of this spoke about {blog} are kept, the limit. \
                     This one was not kept; the set opens with those that are."
                ));
                continue;
            }
            kept.push(statement);
            taken.blogs.insert(blog);
        }
        // What the council finds of one spoke may decide about another that this one watches.
        if taken.by_council {
            taken.spokes.extend(self.doubted_here());
        }
        taken
    }

    /// The blog that a seal or receipt is about, if its set is changing and whoever signed it has a say:
    /// a member of the old set by its seal, one of the new set by its receipt. Signatures are asked
    /// last, since strangers may send what they like.
    fn blog_of(&self, signed: &Signed) -> Option<BlogId> {
        self.book.ask(|registry| about(registry, signed)).flatten()
    }
}

/// What was asked of the registry.
enum Read {
    New(RequestWire),
    /// It is in the log already, and got this.
    Again(TakenWire),
}

/// What statements that were kept are about.
#[derive(Debug, Default)]
struct Taken {
    blogs: BTreeSet<BlogId>,
    spokes: BTreeSet<Label>,
    /// How many seconds behind this node's clock a report was that is too far from it.
    off: Option<i64>,
    /// Whether a node of the council has reported.
    by_council: bool,
    /// Why not all of them were kept.
    full: Option<String>,
}

/// The blog that a statement is about (see [`Council::blog_of`]).
fn about(registry: &Registry, signed: &Signed) -> Option<BlogId> {
    let (label, _) = registry.spokes().find(|(_, s)| s.key == signed.key)?;
    if let Ok(seal) = Seal::parse(signed.text.as_bytes()) {
        let blog = registry.blog(seal.blog)?;
        let fits = blog.closing.is_some()
            && seal.network == registry.network()
            && seal.epoch == blog.set.epoch
            && seal.spoke == *label
            && blog.set.has(label);
        return (fits && signed.is_good()).then_some(seal.blog);
    }
    let held = Receipt::check(signed.clone()).ok()?.held;
    let next = &registry.blog(held.blog)?.closing.as_ref()?.next;
    let fits = held.network == registry.network()
        && held.epoch == next.epoch
        && held.spoke == *label
        && next.has(label);
    fits.then_some(held.blog)
}

/// Why a request got no record.
#[derive(Debug)]
enum Unsequenced {
    Refused(Box<Refusal>),
    Outage(Outage),
    Malformed(String),
    /// So many may come in a second, from whom.
    TooMany(u32, &'static str),
    /// Another node said so.
    Problem(Box<Problem>),
    /// Another node leads; nothing was proposed.
    NotLeader,
}

impl Unsequenced {
    fn answer(self) -> Response {
        match self {
            Self::Refused(refusal) => refused(&refusal),
            Self::Outage(outage) => unavailable(&outage),
            Self::Malformed(why) => {
                let why = format!("The request is not in its form: {why}. Nothing was changed.");
                web::refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why)
            }
            Self::TooMany(limit, whose) => {
                let why = format!(
                    "The council takes {limit} requests a second from {whose}, and has taken them. \
                     Nothing was changed; try again in a moment."
                );
                web::refuse(StatusCode::TOO_MANY_REQUESTS, "quota", why)
            }
            Self::Problem(problem) => web::problem(&problem),
            Self::NotLeader => web::refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "The council is choosing who leads. Nothing was changed; try again in a moment.",
            ),
        }
    }
}

/// The kind of refusal by which an observer hears that its clock, or the council's, is wrong.
pub(crate) const CLOCK: &str = "clock";

fn holds_nothing() -> Response {
    web::refuse(
        StatusCode::SERVICE_UNAVAILABLE,
        "empty",
        "This council node holds nothing yet. Ask another one; an organizer can have this one filled.",
    )
}

fn problem_of(status: u16, kind: &str, detail: impl Into<String>) -> Problem {
    Problem {
        kind: kind.into(),
        title: kind.replace('-', " "),
        status,
        detail: detail.into(),
        ..Problem::default()
    }
}

/// Which status and word a refusal of the registry has.
fn kind_of(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::NameTaken(_) | Refusal::NameReserved(_) | Refusal::HasName(_) => {
            (StatusCode::CONFLICT, "taken")
        }
        Refusal::QuotaOfSpoke { .. } | Refusal::QuotaOfKeys(_) => {
            (StatusCode::TOO_MANY_REQUESTS, "quota")
        }
        Refusal::NoSpokes => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        Refusal::Text(_) | Refusal::Proof(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        _ => (StatusCode::CONFLICT, "refused"),
    }
}

pub(crate) fn refused(refusal: &Refusal) -> Response {
    let (status, kind) = kind_of(refusal);
    web::refuse(status, kind, refusal.to_string())
}

/// `GET network` (SPEC http 2.1), of any node that follows the registry.
pub fn network_wire(registry: &Registry, base_url: &str, node: &str) -> NetworkWire {
    let founding = registry.founding();
    let policy = &founding.policy;
    let limits = [
        ("replicas", policy.replicas),
        ("blogs_per_spoke_day", policy.blogs_per_spoke_day),
        ("names_per_blog", policy.names_per_blog),
        ("blog_bytes", policy.blog_bytes),
        ("entries_per_day", policy.entries_per_day),
        ("readers_per_second", policy.readers_per_second),
        ("demand_seconds", policy.demand_seconds),
        ("circle", policy.circle),
    ];
    let council = registry.seats().sitting().map(|(node, ..)| CouncilWire {
        label: node.label.to_string(),
        key: node.key.to_string(),
        api: node.api.to_string(),
        dns: node.dns.to_string(),
    });
    NetworkWire {
        domain: founding.domain.to_string(),
        network: registry.network().to_string(),
        base_url: base_url.to_owned(),
        time: clock::now().to_string(),
        node: node.to_owned(),
        council: council.collect(),
        policy: limits.map(|(name, limit)| (name.to_owned(), limit)).into(),
        signed: None,
    }
}

/// Binds a port, or says in a sentence why not.
///
/// # Errors
/// When it is taken or not ours to bind.
pub async fn bind(address: std::net::SocketAddr) -> Result<TcpListener, Outage> {
    TcpListener::bind(address).await.map_err(|error| {
        Outage::new(format!(
            "{address} cannot be bound ({error}); is another program on that port? Stop it, or \
             choose another port"
        ))
    })
}

/// Says that time or an operator must mend something.
pub fn unavailable(outage: &Outage) -> Response {
    tracing::error!(%outage, "a request failed");
    if outage.is_full() {
        return web::refuse(
            StatusCode::INSUFFICIENT_STORAGE,
            "full",
            "The disk of this server is full, and what you sent was not kept. What was acknowledged \
             before is safe. Send it again when there is room, or to another server.",
        );
    }
    let why = format!("{outage}. What was acknowledged before is safe; try again in a moment.");
    web::refuse(StatusCode::SERVICE_UNAVAILABLE, "busy", why)
}
