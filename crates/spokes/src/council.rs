//! A council node: it orders requests, keeps the registry's log, and publishes the zone.
//!
//! One node for now. A record is durable before it is answered; the registry's state is folded from
//! the log at every start, and so can be thrown away.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use rusqlite::{Connection, OptionalExtension as _, params};
use spokes_log::{name::BlogId, time::Time};
use spokes_rules::{
    node::{Label, NodeKey, NodeSecret, Signed},
    receipt::{Receipt, Seal},
    registry::{Record, Refusal, Registry, Touched, Verdict},
    request::{Address, Ask, CouncilNode, Domain, Founding, Policy, Request as Wanted, Wish},
    zone,
};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    clock,
    config::{self, CouncilConfig},
    dns::{
        serve::Server,
        zone::{SharedZone, Zone},
    },
    http::{self as web, Response},
    outage::Outage,
    wire::{
        self, CouncilWire, LogWire, NetworkWire, RecordWire, RequestWire, SignedWire,
        StatementsWire, TakenWire,
    },
};

mod rates;

use rates::Rates;

/// Records of one answer: a page that verifies in well under a second.
const PAGE_RECORDS: u64 = 500;
/// How long a follower may wait for the next record.
const WAIT_MAX: Duration = Duration::from_secs(50);
/// Bytes of one request: the longest proof that the registry takes.
const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Statements of one spoke kept about one blog while its set changes: a seal, and a receipt for each
/// branch that a seal can name.
const STATEMENTS_PER_SPOKE_MAX: usize = 128;
/// Bytes of one message with statements: a seal names all tips of a blog.
const STATEMENTS_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of records in one answer: far below what a follower reads (the largest record fits, alone).
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The schema that this program writes.
const SCHEMA: i64 = 1;

/// A running council node.
#[derive(Debug)]
pub struct Council {
    config: CouncilConfig,
    secret: NodeSecret,
    registry: RwLock<Registry>,
    log: Mutex<Connection>,
    zone: SharedZone,
    grown: watch::Sender<u64>,
    /// Seals and receipts of sets that are changing, until they open.
    statements: Mutex<BTreeMap<BlogId, Vec<Signed>>>,
    /// How many requests came of late, and from whom.
    rates: Mutex<Rates>,
}

/// What a council begins with.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// The network's domain.
    pub domain: Domain,
    /// Where the registry answers.
    pub api: std::net::SocketAddr,
    /// Where DNS answers.
    pub dns: std::net::SocketAddr,
    /// Where people reach the front page.
    pub base_url: String,
    /// The network's limits.
    pub policy: Policy,
}

/// Founds a network: keys, registry and config file in an empty directory.
///
/// # Errors
/// When there is a network already, or the disk fails.
pub fn init(dir: &Path, beginning: Beginning) -> Result<Registry, Outage> {
    let dir = config::make_dir(dir)?;
    if dir.join("config.toml").exists() {
        return Err(Outage::new(format!(
            "{} holds a network already; nothing was changed. Serve it with \"spokes council serve \
             --dir\", or choose another directory",
            dir.display()
        )));
    }
    let secret = config::secret_key(&dir.join("node.key"))?;
    let organizer = config::secret_key(&dir.join("organizer.key"))?;
    let label = Label::parse("council1").map_err(Outage::new)?;
    let node = CouncilNode {
        label: label.clone(),
        key: secret.key(),
        api: Address(beginning.api),
        dns: Address(beginning.dns),
    };
    let founding = Founding {
        domain: beginning.domain,
        council: vec![node],
        organizers: vec![organizer.key()],
        policy: beginning.policy,
    };
    let now = clock::now();
    let ask = Ask {
        network: None,
        time: now,
        what: Wish::Found(founding),
    };
    let record = Record {
        index: 0,
        previous: spokes_log::name::Hash::of(b""),
        time: now,
        request: Wanted::plain(Signed::new(&organizer, &ask)),
    };
    let registry = Registry::found(&record).map_err(|why| Outage::new(why.to_string()))?;
    let log = open_log(&dir.join("registry.db"))?;
    keep(&log, &record)?;
    let config = CouncilConfig {
        layout: config::LAYOUT,
        label: label.to_string(),
        api: beginning.api,
        dns: beginning.dns,
        base_url: beginning.base_url,
    };
    config.save(&dir)?;
    Ok(registry)
}

fn open_log(path: &Path) -> Result<Connection, Outage> {
    config::sync_database(path)?;
    let log = Connection::open(path)?;
    log.busy_timeout(Duration::from_secs(5))?;
    log.pragma_update(None, "journal_mode", "WAL")?;
    log.pragma_update(None, "synchronous", "FULL")?;
    let found: i64 = log.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > SCHEMA {
        return Err(Outage::new(format!(
            "{} was written by a newer program (schema {found}, this one reads {SCHEMA}); nothing \
             was touched, start the newer program",
            path.display()
        )));
    }
    if found == 0 {
        log.execute_batch(&format!(
            "BEGIN;
             CREATE TABLE record (place INTEGER PRIMARY KEY, request TEXT NOT NULL, \
                                  json TEXT NOT NULL) STRICT;
             PRAGMA user_version = {SCHEMA};
             COMMIT;"
        ))?;
    }
    Ok(log)
}

fn keep(log: &Connection, record: &Record) -> Result<(), Outage> {
    let json =
        serde_json::to_string(&RecordWire::from(record)).map_err(|e| Outage::new(e.to_string()))?;
    let text = &record.request.signed.text;
    let sql = "INSERT INTO record (place, request, json) VALUES (?1, ?2, ?3)";
    log.prepare_cached(sql)?
        .execute(params![record.index, text, json])?;
    Ok(())
}

/// Folds the whole log; each record is judged again.
fn replay(log: &Connection) -> Result<Registry, Outage> {
    let mut statement = log.prepare("SELECT json FROM record ORDER BY place")?;
    let mut rows = statement.query([])?;
    let mut registry: Option<Registry> = None;
    while let Some(row) = rows.next()? {
        let json: String = row.get(0)?;
        let record = serde_json::from_str::<RecordWire>(&json)
            .map_err(|e| e.to_string())
            .and_then(|wire| wire.record())
            .map_err(damaged)?;
        match &mut registry {
            None => registry = Some(Registry::found(&record).map_err(|e| damaged(e.to_string()))?),
            Some(registry) => {
                registry.take(&record).map_err(|e| damaged(e.to_string()))?;
            }
        }
    }
    registry.ok_or_else(|| damaged("it is empty".to_owned()))
}

fn damaged(why: String) -> Outage {
    Outage::new(format!(
        "the registry's log does not add up ({why}); nothing was served. Bring registry.db back from \
         a backup"
    ))
}

impl Council {
    /// Opens the node that `spokes council init` made.
    ///
    /// # Errors
    /// When files are missing, damaged, or of a newer program.
    pub fn open(dir: &Path) -> Result<Arc<Self>, Outage> {
        let config = CouncilConfig::load(dir)?;
        let secret = config::secret_key(&dir.join("node.key"))?;
        let log = open_log(&dir.join("registry.db"))?;
        let registry = replay(&log)?;
        let domain = registry.founding().domain.as_str();
        let mut zone = Zone::new(domain).map_err(|e| Outage::new(e.to_string()))?;
        for (owner, node) in zone::project(&registry, zone::minute(clock::now())) {
            zone.set(&owner, node)
                .map_err(|e| Outage::new(e.to_string()))?;
        }
        let (grown, _) = watch::channel(registry.head().records);
        Ok(Arc::new(Self {
            config,
            secret,
            registry: RwLock::new(registry),
            log: Mutex::new(log),
            zone: Arc::new(RwLock::new(zone)),
            grown,
            statements: Mutex::default(),
            rates: Mutex::default(),
        }))
    }

    /// Serves registry and DNS until `shutdown`.
    ///
    /// # Errors
    /// When a port is taken.
    pub async fn serve(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) -> Result<(), Outage> {
        let taken = |e: std::io::Error| Outage::new(e.to_string());
        let dns = Server::bind(self.config.dns, Arc::clone(&self.zone))
            .await
            .map_err(taken)?;
        let api = bind(self.config.api).await?;
        tracing::info!(api = %self.config.api, dns = %self.config.dns, "the council node answers");
        let ended = |mut shutdown: watch::Receiver<bool>| async move {
            // An error means that whoever could say so is gone: the same.
            drop(shutdown.wait_for(|ended| *ended).await);
        };
        let node = Arc::clone(&self);
        let handler = move |request| {
            let node = Arc::clone(&node);
            async move { node.answer(request).await }
        };
        let minutes = self.turn_slates();
        tokio::select! {
            () = async {
                tokio::join!(
                    dns.run(ended(shutdown.clone())),
                    web::serve(api, handler, ended(shutdown.clone())),
                );
            } => {}
            () = async { tokio::join!(minutes, ended(shutdown.clone())).1 } => {}
        }
        drop(shutdown.wait_for(|ended| *ended).await);
        Ok(())
    }

    /// Publishes another slate of spokes every minute.
    async fn turn_slates(&self) {
        let mut last = zone::minute(clock::now());
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let minute = zone::minute(clock::now());
            if minute != last {
                last = minute;
                self.publish(&Touched::Nothing);
            }
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response {
        let path = request.uri().path().to_owned();
        let method = request.method().clone();
        match (&method, path.as_str()) {
            (&Method::GET, "/healthz") => web::answer(StatusCode::OK, "text/plain", "ok\n"),
            (&Method::GET, "/api/v1/network") => web::json(StatusCode::OK, &self.network()),
            (&Method::GET, "/api/v1/registry/log") => self.log(&request).await,
            (&Method::POST, "/api/v1/registry/requests") => self.requests(request).await,
            (&Method::POST, "/api/v1/registry/statements") => self.statements(request).await,
            (&Method::GET, "/api/v1/registry/statements") => self.statements_of(&request),
            _ => web::refuse(
                StatusCode::NOT_FOUND,
                "no-such-path",
                "This is a council node; it has no pages. Ask a spoke.",
            ),
        }
    }

    fn network(&self) -> NetworkWire {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        network_wire(&registry, &self.config.base_url, &self.config.label)
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
        let mut grown = self.grown.subscribe();
        if !wait.is_zero() && *grown.borrow() <= after {
            let _seat = match web::wait_for_news(request) {
                Ok(seat) => seat,
                Err(full) => return full.answer(),
            };
            // Either way the log is answered as it is then.
            drop(tokio::time::timeout(wait, grown.wait_for(|records| *records > after)).await);
        }
        match self.page(after) {
            Ok(page) => web::json(StatusCode::OK, &page),
            Err(outage) => unavailable(&outage),
        }
    }

    fn page(&self, after: u64) -> Result<LogWire, Outage> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = "SELECT json FROM record WHERE place >= ?1 ORDER BY place LIMIT ?2";
        let mut statement = log.prepare_cached(sql)?;
        let rows = statement.query_map([after, PAGE_RECORDS], |row| row.get::<_, String>(0))?;
        let (mut records, mut bytes) = (Vec::new(), 0);
        for json in rows {
            let json = json?;
            bytes += json.len();
            if bytes > PAGE_BYTES_MAX && !records.is_empty() {
                break;
            }
            records.push(serde_json::from_str(&json).map_err(|e| damaged(e.to_string()))?);
        }
        Ok(LogWire {
            records,
            records_in_all: *self.grown.borrow(),
        })
    }

    async fn requests(self: Arc<Self>, request: Request<Incoming>) -> Response {
        let body = match web::body(request, REQUEST_BYTES_MAX).await {
            Ok(body) => body,
            Err(response) => return response,
        };
        // Reading and judgment check signatures and the write waits for the disk: not on the event loop.
        let node = Arc::clone(&self);
        let taken = tokio::task::spawn_blocking(move || node.judge(&body)).await;
        match taken {
            Ok(Ok(taken)) => web::json(StatusCode::OK, &taken),
            Ok(Err(Unsequenced::Refused(refusal))) => refused(&refusal),
            Ok(Err(Unsequenced::Outage(outage))) => unavailable(&outage),
            Ok(Err(Unsequenced::Malformed(why))) => {
                let why = format!("The request is not in its form: {why}. Nothing was changed.");
                web::refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why)
            }
            Ok(Err(Unsequenced::TooMany(limit, whose))) => {
                let why = format!(
                    "The council takes {limit} requests a second from {whose}, and has taken them. \
                     Nothing was changed; try again in a moment."
                );
                web::refuse(StatusCode::TOO_MANY_REQUESTS, "quota", why)
            }
            Err(error) => unavailable(&Outage::new(error.to_string())),
        }
    }

    /// Whether this many requests may come from there now, then the request itself.
    fn judge(&self, body: &[u8]) -> Result<TakenWire, Unsequenced> {
        let wire = wire::read::<RequestWire>(body).map_err(Unsequenced::Malformed)?;
        let signed = wire.signed.signed();
        let signed = signed.map_err(|why| Unsequenced::Malformed(why.to_owned()))?;
        let known = self.is_known(signed.key) && signed.is_good();
        let asker = known.then_some(signed.key);
        let taken = {
            let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
            rates.take(asker, Instant::now())
        };
        if let Err(limit) = taken {
            let whose = if known {
                "one node"
            } else {
                "all unknown keys"
            };
            return Err(Unsequenced::TooMany(limit, whose));
        }
        // Proofs take long to judge: of strangers none is asked for.
        let proves = !wire.proof.is_empty() || !wire.statements.is_empty();
        if proves && !known {
            return Err(Unsequenced::Refused(Refusal::NotAdmitted));
        }
        self.sequence(wire.request().map_err(Unsequenced::Malformed)?)
    }

    /// Whether this is the key of an admitted spoke, a council node, or an organizer.
    fn is_known(&self, key: NodeKey) -> bool {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        registry.admitted().any(|(_, spoke)| spoke.key == key)
            || registry.council_node(key).is_some()
            || registry.founding().organizers.contains(&key)
    }

    /// Judges a request, makes its record durable, and only then lets it count.
    fn sequence(&self, wanted: Wanted) -> Result<TakenWire, Unsequenced> {
        // The log's lock orders requests; readers of the registry wait only for the last step.
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        let record = {
            let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
            match registry.judge(now, &wanted).map_err(Unsequenced::Refused)? {
                Verdict::Repeat(index) => return first_answer(&log, index),
                Verdict::New => registry.next_record(now, wanted),
            }
        };
        keep(&log, &record).map_err(Unsequenced::Outage)?;
        let touched = {
            let mut registry = self
                .registry
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            registry.take(&record).map_err(Unsequenced::Refused)?
        };
        self.publish(&touched);
        self.grown.send_replace(record.index + 1);
        Ok(TakenWire {
            index: record.index,
            time: record.time.to_string(),
        })
    }

    /// Brings the zone up to date before anybody is answered.
    fn publish(&self, touched: &Touched) {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        let minute = zone::minute(clock::now());
        let mut owned = match touched {
            Touched::Nothing => Vec::new(),
            Touched::Blog(id) | Touched::NewBlog(id) => names_of(&registry, *id),
            Touched::Blogs(ids) => ids.iter().flat_map(|id| names_of(&registry, *id)).collect(),
            Touched::Spokes => zone::project(&registry, minute),
        };
        owned.push(zone::apex(&registry, minute));
        drop(registry);
        let mut zone = self.zone.write().unwrap_or_else(PoisonError::into_inner);
        for (owner, node) in owned {
            if let Err(error) = zone.set(&owner, node) {
                tracing::error!(%owner, %error, "a name cannot be published");
            }
        }
    }

    /// Takes seals and receipts of a changing set, and opens it as soon as they suffice.
    async fn statements(self: Arc<Self>, request: Request<Incoming>) -> Response {
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
        let signed = wire.statements.iter().filter_map(|wire| wire.signed().ok());
        let signed: Vec<Signed> = signed.collect();
        let node = Arc::clone(&self);
        let task = tokio::task::spawn_blocking(move || node.take_statements(signed));
        match task.await {
            Ok(Ok(())) => web::json(StatusCode::OK, &serde_json::json!({})),
            Ok(Err(full)) => web::refuse(StatusCode::TOO_MANY_REQUESTS, "quota", full),
            Err(error) => unavailable(&Outage::new(error.to_string())),
        }
    }

    /// Keeps statements; an error says for which there was no room.
    fn take_statements(&self, signed: Vec<Signed>) -> Result<(), String> {
        let mut touched = BTreeSet::new();
        let mut full = Ok(());
        for statement in signed {
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
                full = Err(format!(
                    "{STATEMENTS_PER_SPOKE_MAX} statements of this spoke about {blog} are kept, the limit. \
                     This one was not kept; the set opens with those that are."
                ));
                continue;
            }
            kept.push(statement);
            touched.insert(blog);
        }
        touched.into_iter().for_each(|blog| self.try_open(blog));
        full
    }

    /// The blog that a seal or receipt is about, if its set is changing and whoever signed it has a say:
    /// a member of the old set by its seal, one of the new set by its receipt. Signatures are asked
    /// last, since strangers may send what they like.
    fn blog_of(&self, signed: &Signed) -> Option<BlogId> {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
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

    fn try_open(&self, blog: BlogId) {
        let (network, epoch) = {
            let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
            let Some(closing) = registry.blog(blog).and_then(|b| b.closing.clone()) else {
                return;
            };
            (registry.network(), closing.next.epoch)
        };
        let statements = {
            let kept = self
                .statements
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            kept.get(&blog).cloned().unwrap_or_default()
        };
        let ask = Ask {
            network: Some(network),
            time: clock::now(),
            what: Wish::Open { blog, epoch },
        };
        let signed = Signed::new(&self.secret, &ask);
        match self.sequence(Wanted {
            signed,
            proof: Vec::new(),
            statements,
        }) {
            Ok(_) => {
                tracing::info!(%blog, epoch, "a new set is open");
                self.statements
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&blog);
            }
            Err(Unsequenced::Refused(refusal)) => tracing::debug!(%blog, %refusal, "not yet"),
            Err(Unsequenced::Outage(outage)) => tracing::error!(%outage, "the log failed"),
            Err(why) => tracing::error!(?why, "our own request was not taken"),
        }
    }

    fn statements_of(&self, request: &Request<Incoming>) -> Response {
        let query = web::query(request);
        let blog = query.get("blog").and_then(|id| BlogId::parse(id).ok());
        let kept = self
            .statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let signed: Vec<SignedWire> = blog
            .and_then(|b| kept.get(&b))
            .into_iter()
            .flatten()
            .map(SignedWire::from)
            .collect();
        web::json(StatusCode::OK, &signed)
    }
}

fn names_of(registry: &Registry, id: BlogId) -> zone::Owned {
    let blog = registry.blog(id);
    blog.map(|blog| zone::of_blog(registry, id, blog))
        .unwrap_or_default()
}

/// Why a request got no record.
#[derive(Debug)]
enum Unsequenced {
    Refused(Refusal),
    Outage(Outage),
    Malformed(String),
    /// So many may come in a second, from whom.
    TooMany(u32, &'static str),
}

fn first_answer(log: &Connection, index: u64) -> Result<TakenWire, Unsequenced> {
    let sql = "SELECT json FROM record WHERE place = ?1";
    let json: Option<String> = log
        .query_row(sql, [index], |row| row.get(0))
        .optional()
        .map_err(|e| Unsequenced::Outage(e.into()))?;
    let record = json.and_then(|json| serde_json::from_str::<RecordWire>(&json).ok());
    let record =
        record.ok_or_else(|| Unsequenced::Outage(damaged(format!("record {index} is gone"))))?;
    Ok(TakenWire {
        index,
        time: record.time,
    })
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
    ];
    let council = founding.council.iter().map(|node| CouncilWire {
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

pub(crate) fn refused(refusal: &Refusal) -> Response {
    let (status, kind) = match refusal {
        Refusal::NameTaken(_) | Refusal::NameReserved(_) | Refusal::HasName(_) => {
            (StatusCode::CONFLICT, "taken")
        }
        Refusal::QuotaOfSpoke { .. } | Refusal::QuotaOfKeys(_) => {
            (StatusCode::TOO_MANY_REQUESTS, "quota")
        }
        Refusal::NoSpokes => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        Refusal::Text(_) | Refusal::Proof(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        _ => (StatusCode::CONFLICT, "refused"),
    };
    web::refuse(status, kind, refusal.to_string())
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

/// An organizer's request, signed with the key in the council's directory and sent to its node.
///
/// # Errors
/// When the node is silent or refuses.
pub async fn organize(dir: &Path, what: Wish) -> Result<TakenWire, Outage> {
    let config = CouncilConfig::load(dir)?;
    let key: PathBuf = dir.join("organizer.key");
    let organizer = config::secret_key(&key)?;
    let client = crate::client::Client::new()?;
    let network: NetworkWire = client
        .get(crate::client::Ask::new(config.api, "/api/v1/network"))
        .await?
        .good()?;
    let network = spokes_log::name::Hash::parse(&network.network).map_err(Outage::new)?;
    let ask = Ask {
        network: Some(network),
        time: clock::now(),
        what,
    };
    let request = Wanted::plain(Signed::new(&organizer, &ask));
    let to = crate::client::Ask::new(config.api, "/api/v1/registry/requests");
    client.post(to, &RequestWire::from(&request)).await?.good()
}

/// A line that lets one donor's server ask to join.
///
/// # Errors
/// When the council node is silent.
pub async fn invite(dir: &Path, expires: Time) -> Result<crate::join::Invite, Outage> {
    let config = CouncilConfig::load(dir)?;
    let token = config::random_hex::<16>()?;
    let hash = spokes_log::name::Hash::of(token.as_bytes());
    organize(
        dir,
        Wish::Invite {
            token: hash,
            expires,
        },
    )
    .await?;
    let client = crate::client::Client::new()?;
    let network: NetworkWire = client
        .get(crate::client::Ask::new(config.api, "/api/v1/network"))
        .await?
        .good()?;
    Ok(crate::join::Invite {
        council: config.api,
        network: network.network,
        key: network
            .council
            .first()
            .map(|node| node.key.clone())
            .unwrap_or_default(),
        token,
        expires,
    })
}
