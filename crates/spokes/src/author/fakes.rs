//! A network in one process, with just enough of SPEC http to write against, good or bad as a test
//! wants it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header::HOST};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::json;
use spokes_log::{
    draft::Says,
    name::{EntryId, Hash},
    seal::SealedEntry,
};
use spokes_rules::{
    node::{Label, NodeSecret, Signed},
    primary::{self, Refusal},
    receipt::{Held, Tip},
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    author::{copy::BlogCopy, now},
    wire::{
        BlogWire, ClaimWire, EntriesWire, EntryWire, FeedWire, HeadTipWire, HeadWire, MemberWire,
        NetworkWire, OtherWire, Problem, ReceiptsWire, RestoredWire, SignedWire, StandingWire,
        TipWire,
    },
};

/// The domain of the network.
pub(crate) const DOMAIN: &str = "blogs.localhost";
const MEMBERS: [&str; 3] = ["alpha", "beta", "gamma"];
const PAGE: usize = 3;

/// The network, reached at its gateway.
pub(crate) struct Fake {
    pub(crate) url: String,
    state: Shared,
    server: JoinHandle<()>,
}

type Shared = Arc<Mutex<Nodes>>;

/// What the nodes hold, and how they behave.
#[derive(Default)]
pub(crate) struct Nodes {
    port: u16,
    pub(crate) blogs: BTreeMap<String, Log>,
    /// How many members sign receipts.
    pub(crate) signing: usize,
    /// Hosts, without the domain, that nobody answers for.
    pub(crate) silent: BTreeSet<String>,
    /// How many entries are taken and then not answered.
    pub(crate) swallowed: usize,
    /// How many entries the primary refuses for no good reason.
    pub(crate) refusing: usize,
    /// A sequence whose words are altered when they are shown.
    pub(crate) altered: Option<u64>,
    /// Entries from this sequence on are not shown.
    pub(crate) shown_below: Option<u64>,
    /// Hosts, without the domain, that have no room for a new blog.
    pub(crate) full: BTreeSet<String>,
    /// How many answers say "busy".
    pub(crate) busy: usize,
    /// What a hostile server weaves into all that it says to people.
    pub(crate) woven: String,
    /// What was asked: method, host without domain, path.
    pub(crate) asked: Vec<String>,
}

/// One blog.
pub(crate) struct Log {
    pub(crate) copy: BlogCopy,
    order: Vec<EntryId>,
    pub(crate) media: BTreeMap<Hash, Vec<u8>>,
    staged: Vec<SealedEntry>,
    /// Of the store: a cursor of another one is worth nothing.
    instance: u64,
}

static INSTANCES: AtomicU64 = AtomicU64::new(0);

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let nodes = Nodes {
            port,
            signing: MEMBERS.len(),
            ..Nodes::default()
        };
        let state: Shared = Arc::new(Mutex::new(nodes));
        let nodes = Arc::clone(&state);
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let nodes = Arc::clone(&nodes);
                let service = service_fn(move |request| answer(Arc::clone(&nodes), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            url: format!("http://127.0.0.1:{port}"),
            state,
            server,
        }
    }

    pub(crate) fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer: status, word, and what goes with it.
type Answer = (StatusCode, String, Vec<u8>);

async fn answer(
    state: Shared,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let (method, uri, headers) = (head.method, head.uri, head.headers);
    let body = body.collect().await?.to_bytes();
    let mut nodes = state.lock().unwrap_or_else(PoisonError::into_inner);
    let host = headers
        .get(HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default();
    let name = name
        .strip_suffix(DOMAIN)
        .unwrap_or_default()
        .trim_end_matches('.')
        .to_owned();
    nodes.asked.push(format!("{method} {name} {}", uri.path()));
    let (status, kind, bytes) = if nodes.silent.contains(&name) {
        problem(StatusCode::BAD_GATEWAY, "silent", "no spoke answers")
    } else if nodes.full.contains(&name) && method == Method::POST {
        no_room()
    } else {
        nodes.route(&method, &name, &uri, &headers, &body)
    };
    let mut response = Response::new(Full::new(Bytes::from(bytes)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("content-type", kind.parse().expect("a type"));
    Ok(response)
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let bytes = serde_json::to_vec(value).expect("JSON");
    (status, "application/json".to_owned(), bytes)
}

fn problem(status: StatusCode, kind: &str, detail: &str) -> Answer {
    let problem = Problem {
        kind: kind.to_owned(),
        detail: detail.to_owned(),
        ..Problem::default()
    };
    json(status, &problem)
}

/// Each names the same others, itself among them.
fn no_room() -> Answer {
    let other = |label: &&str| OtherWire {
        label: (*label).to_owned(),
        url: String::new(),
    };
    let problem = Problem {
        kind: "no-room".to_owned(),
        detail: "it has no room. Nothing was changed. Ask another.".to_owned(),
        others: MEMBERS[1..].iter().map(other).collect(),
        ..Problem::default()
    };
    json(StatusCode::INSUFFICIENT_STORAGE, &problem)
}

fn secret(index: usize) -> NodeSecret {
    NodeSecret::from_seed(&[u8::try_from(index).expect("few") + 1; 32])
}

fn network_id() -> Hash {
    Hash::of(b"a network for tests")
}

impl Nodes {
    fn route(
        &mut self,
        method: &Method,
        host: &str,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Answer {
        let path = uri
            .path()
            .trim_start_matches("/api/v1/")
            .trim_start_matches('/');
        let parts: Vec<&str> = path.split('/').collect();
        let passed_by = headers.contains_key("Spokes-Refused-By");
        match (method.as_str(), parts.as_slice()) {
            ("GET", ["network"]) => self.network(),
            ("GET", ["blogs", name]) => self.blog(name),
            ("GET", ["blogs", name, "head"]) => self.with(name, Self::head),
            ("GET", ["blogs", name, "entries"]) => self.entries(name, uri.query()),
            ("GET", ["blogs", name, "receipts"]) => self.receipts(name),
            ("POST", ["blogs", name, "entries"]) => {
                let wire = serde_json::from_slice(body).expect("an entry");
                self.post(name, &wire, passed_by)
            }
            ("PUT", ["blogs", name, "media", hash]) => self.put(name, hash, body),
            ("POST", ["blogs", name, "restore"]) => {
                let wire = serde_json::from_slice(body).expect("entries");
                self.restore(name, &wire)
            }
            ("POST", ["registry", "claims"]) => {
                self.claim(&serde_json::from_slice(body).expect("a claim"))
            }
            ("GET", ["media", hash]) => {
                let hash = Hash::parse_path(hash).expect("a hash");
                let bytes = self.blogs.get(host).and_then(|blog| blog.media.get(&hash));
                match bytes {
                    Some(bytes) => (StatusCode::OK, "image/gif".to_owned(), bytes.clone()),
                    None => problem(StatusCode::NOT_FOUND, "no-such-medium", "not here"),
                }
            }
            _ => problem(StatusCode::NOT_FOUND, "no-such-path", uri.path()),
        }
    }

    fn network(&self) -> Answer {
        let wire = NetworkWire {
            domain: DOMAIN.to_owned(),
            network: network_id().to_string(),
            base_url: format!("http://{DOMAIN}:{}", self.port),
            time: now().to_string(),
            node: MEMBERS[0].to_owned(),
            council: Vec::new(),
            policy: BTreeMap::new(),
            signed: None,
        };
        json(StatusCode::OK, &wire)
    }

    fn with(&self, name: &str, then: fn(&Self, &Log) -> Answer) -> Answer {
        match self.blogs.get(name) {
            Some(blog) => then(self, blog),
            None => problem(
                StatusCode::NOT_FOUND,
                "no-such-blog",
                "there is no such blog",
            ),
        }
    }

    fn blog(&self, name: &str) -> Answer {
        let Some(blog) = self.blogs.get(name) else {
            return self.with(name, Self::head);
        };
        let id = blog.copy.chain.blog();
        let member = |label: &&str| MemberWire {
            label: (*label).to_owned(),
            operator: format!("Group B{}", self.woven),
            address: format!("127.0.0.1:{}", self.port),
            key: MEMBERS
                .iter()
                .position(|member| member == label)
                .map(|index| secret(index).key().to_string())
                .unwrap_or_default(),
            down_since: None,
        };
        let link = blog.copy.chain.link(id).expect("entry 0");
        let wire = BlogWire {
            name: name.to_owned(),
            blog: id.to_string(),
            author: link.authors[0].to_string(),
            epoch: 1,
            primary: MEMBERS[0].to_owned(),
            members: MEMBERS.iter().map(member).collect(),
            shortfall: None,
            forced: None,
            waits: Vec::new(),
            keys_at: id.to_string(),
            since: now().to_string(),
        };
        json(StatusCode::OK, &wire)
    }

    fn head(&self, blog: &Log) -> Answer {
        let heads: Vec<TipWire> = blog
            .copy
            .chain
            .heads()
            .into_iter()
            .filter(|(sequence, _)| self.shown_below.is_none_or(|below| *sequence < below))
            .map(|(sequence, id)| Tip { sequence, id }.into())
            .collect();
        let wire = HeadWire {
            blog: blog.copy.chain.blog().to_string(),
            head: head_tip(&blog.copy),
            heads,
            entries: blog.copy.chain.len(),
        };
        json(StatusCode::OK, &wire)
    }

    fn entries(&self, name: &str, query: Option<&str>) -> Answer {
        let Some(blog) = self.blogs.get(name) else {
            return self.with(name, Self::head);
        };
        let after = query.and_then(|q| q.split('&').find_map(|p| p.strip_prefix("after=")));
        let after = match after.and_then(|after| after.split_once('-')) {
            Some((instance, _)) if instance != blog.instance.to_string() => {
                return problem(StatusCode::GONE, "cursor", "begin without a cursor");
            }
            Some((_, after)) => after.parse().expect("our cursor"),
            None => 0,
        };
        let mut page = Vec::new();
        for id in blog.order.iter().skip(after).take(PAGE) {
            let sealed = blog.copy.entry(*id).expect("held");
            let sequence = sealed.entry().skeleton().sequence;
            let mut wire = EntryWire::from(sealed);
            if self.altered == Some(sequence) {
                wire.text = wire.text.replace("words", "other words");
            }
            if self.shown_below.is_none_or(|below| sequence < below) {
                page.push(wire);
            }
        }
        let end = (after + PAGE).min(blog.order.len());
        let wire = FeedWire {
            cursor: format!("{}-{end}", blog.instance),
            more: end < blog.order.len(),
            entries: page,
            epochs: BTreeMap::new(),
        };
        json(StatusCode::OK, &wire)
    }

    fn post(&mut self, name: &str, wire: &EntryWire, passed_by: bool) -> Answer {
        if self.busy > 0 {
            self.busy -= 1;
            let said = format!("busy{}, ask again", self.woven);
            return problem(StatusCode::SERVICE_UNAVAILABLE, "busy", &said);
        }
        if self.refusing > 0 && !passed_by {
            self.refusing -= 1;
            return problem(
                StatusCode::CONFLICT,
                "refused",
                "the primary does not like it",
            );
        }
        let sealed = wire.sealed().expect("in its kept form");
        let id = sealed.entry().id();
        if let (None, Some(Says::Blog { .. })) = (
            self.blogs.get(name),
            sealed.entry().draft().map(|d| &d.says),
        ) {
            let mut log = Log::new(id);
            log.take(sealed);
            self.blogs.insert(name.to_owned(), log);
            if self.swallowed > 0 {
                self.swallowed -= 1;
                return problem(StatusCode::BAD_GATEWAY, "silent", "sent, but not answered");
            }
            let (_, kind, bytes) = self.blog(name);
            return (StatusCode::CREATED, kind, bytes);
        }
        let Some(blog) = self.blogs.get_mut(name) else {
            return self.with(name, Self::head);
        };
        if sealed.entry().blog() != blog.copy.chain.blog() {
            return problem(StatusCode::CONFLICT, "taken", "the name is taken");
        }
        if !blog.copy.chain.contains(id) {
            if let Some(answer) = blog.admit(&sealed) {
                return answer;
            }
            blog.take(sealed);
        }
        if self.swallowed > 0 {
            self.swallowed -= 1;
            return problem(StatusCode::BAD_GATEWAY, "silent", "sent, but not answered");
        }
        self.standing(name, id, StatusCode::CREATED)
    }

    fn standing(&self, name: &str, id: EntryId, status: StatusCode) -> Answer {
        let Some(blog) = self.blogs.get(name) else {
            return self.with(name, Self::head);
        };
        let link = blog.copy.chain.link(id).expect("held");
        let tip = Tip {
            sequence: link.sequence,
            id,
        };
        let receipts = self.signed(&blog.copy, tip);
        let needed = MEMBERS.len() / 2 + 1;
        let safe = receipts.len() >= needed;
        let wire = StandingWire {
            status: if safe { "safe" } else { "accepted" }.to_owned(),
            id: id.to_string(),
            receipts,
            needed,
            members: MEMBERS.len(),
            missing_media: Vec::new(),
        };
        json(if safe { status } else { StatusCode::ACCEPTED }, &wire)
    }

    fn signed(&self, copy: &BlogCopy, tip: Tip) -> Vec<SignedWire> {
        let receipt = |(index, label): (usize, &&str)| {
            let held = Held {
                network: network_id(),
                spoke: Label::parse(label).expect("a label"),
                blog: copy.chain.blog(),
                epoch: 1,
                tip,
                time: now(),
            };
            SignedWire::from(&Signed::new(&secret(index), &held))
        };
        MEMBERS
            .iter()
            .enumerate()
            .take(self.signing)
            .map(receipt)
            .collect()
    }

    fn receipts(&self, name: &str) -> Answer {
        let Some(blog) = self.blogs.get(name) else {
            return self.with(name, Self::head);
        };
        let (sequence, id) = *blog.copy.chain.heads().last().expect("a head");
        let wire = ReceiptsWire {
            epoch: 1,
            members: MEMBERS.iter().map(|label| (*label).to_owned()).collect(),
            receipts: self.signed(&blog.copy, Tip { sequence, id }),
            rates: None,
        };
        json(StatusCode::OK, &wire)
    }

    fn put(&mut self, name: &str, hash: &str, body: &[u8]) -> Answer {
        let hash = Hash::parse_path(hash).expect("a hash");
        let Some(blog) = self.blogs.get_mut(name) else {
            return self.with(name, Self::head);
        };
        let lists = |sealed: &SealedEntry| lists(sealed, hash);
        if !blog.staged.iter().any(lists) && !blog.copy.in_order().into_iter().any(lists) {
            return problem(StatusCode::NOT_FOUND, "unlisted", "no entry lists it");
        }
        assert_eq!(Hash::of(body), hash, "the bytes are what the name says");
        blog.media.insert(hash, body.to_vec());
        json(StatusCode::CREATED, &json!({}))
    }

    fn restore(&mut self, name: &str, wire: &EntriesWire) -> Answer {
        let Some(blog) = self.blogs.get_mut(name) else {
            return self.with(name, Self::head);
        };
        let mut restored = RestoredWire::default();
        for entry in &wire.entries {
            let sealed = entry.sealed().expect("in its kept form");
            let missing = blog.missing(&sealed);
            if !missing.is_empty() {
                blog.staged.push(sealed);
            }
            restored.missing_media.extend(missing);
        }
        if !restored.missing_media.is_empty() {
            return json(StatusCode::ACCEPTED, &restored);
        }
        for entry in &wire.entries {
            let sealed = entry.sealed().expect("in its kept form");
            if blog.copy.chain.contains(sealed.entry().id()) {
                restored.known += 1;
            } else {
                restored.taken += 1;
                blog.take(sealed);
            }
        }
        json(StatusCode::OK, &restored)
    }

    fn claim(&mut self, wire: &ClaimWire) -> Answer {
        let claim = wire.entries.iter().map(|e| e.sealed().expect("kept form"));
        let proof: Vec<SealedEntry> = claim.collect();
        let mut chain = spokes_log::chain::Chain::skeletal(proof[0].entry().blog());
        for sealed in &proof {
            chain.accept(sealed.clone()).expect("the proof holds");
        }
        let last = proof.last().expect("a claim").entry();
        assert_eq!(last.id().to_string(), wire.entry);
        let Some(Says::Claim { claim, .. }) = last.draft().map(|draft| &draft.says) else {
            return problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "no claim");
        };
        assert_eq!(claim.network, network_id());
        let name = claim.name.as_str().to_owned();
        if self.blogs.contains_key(&name) {
            return problem(StatusCode::CONFLICT, "taken", "the name is taken");
        }
        let mut blog = Log::new(chain.blog());
        blog.take(proof[0].clone());
        self.blogs.insert(name.clone(), blog);
        let (_, kind, bytes) = self.blog(&name);
        (StatusCode::CREATED, kind, bytes)
    }
}

fn lists(sealed: &SealedEntry, hash: Hash) -> bool {
    let article = sealed.entry().draft().and_then(|draft| draft.article());
    article.is_some_and(|article| article.media.iter().any(|medium| medium.hash == hash))
}

fn head_tip(copy: &BlogCopy) -> HeadTipWire {
    let (skeleton, id) = copy.head().expect("a head");
    HeadTipWire {
        sequence: skeleton.sequence,
        id: id.to_string(),
        signed: skeleton.signed.to_string(),
    }
}

impl Log {
    pub(crate) fn new(id: EntryId) -> Self {
        Self {
            copy: BlogCopy::new(id),
            order: Vec::new(),
            media: BTreeMap::new(),
            staged: Vec::new(),
            instance: INSTANCES.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub(crate) fn take(&mut self, sealed: SealedEntry) {
        let id = sealed.entry().id();
        self.copy.take(sealed).expect("valid");
        self.order.push(id);
    }

    fn missing(&self, sealed: &SealedEntry) -> Vec<String> {
        let article = sealed.entry().draft().and_then(|draft| draft.article());
        article
            .iter()
            .flat_map(|article| &article.media)
            .filter(|medium| !self.media.contains_key(&medium.hash))
            .map(|medium| medium.hash.to_string())
            .collect()
    }

    /// Why an entry is not taken, if it is not.
    fn admit(&mut self, sealed: &SealedEntry) -> Option<Answer> {
        let entry = sealed.entry();
        let previous = entry.skeleton().previous;
        if let Some(previous) = previous.filter(|previous| !self.copy.chain.contains(*previous)) {
            let problem = Problem {
                kind: "missing".to_owned(),
                missing: Some(previous.to_string()),
                detail: "send its parent first".to_owned(),
                ..Problem::default()
            };
            return Some(json(StatusCode::CONFLICT, &problem));
        }
        let ended = BTreeSet::new();
        let refusal = if previous.is_some() {
            primary::admit(now(), &self.copy.chain, &self.copy.blog, &ended, entry).err()
        } else {
            None
        };
        match refusal {
            None => {}
            Some(Refusal::Stale { .. }) => {
                let problem = Problem {
                    kind: "stale".to_owned(),
                    head: Some(head_tip(&self.copy)),
                    detail: "the blog has gone on".to_owned(),
                    ..Problem::default()
                };
                return Some(json(StatusCode::CONFLICT, &problem));
            }
            Some(why @ Refusal::SlugTaken { .. }) => {
                return Some(problem(
                    StatusCode::CONFLICT,
                    "slug-taken",
                    &why.to_string(),
                ));
            }
            Some(why) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return Some(problem(status, "invalid", &why.to_string()));
            }
        }
        let missing = self.missing(sealed);
        if missing.is_empty() {
            return None;
        }
        self.staged.push(sealed.clone());
        let wire = StandingWire {
            status: "staged".to_owned(),
            id: entry.id().to_string(),
            receipts: Vec::new(),
            needed: MEMBERS.len() / 2 + 1,
            members: MEMBERS.len(),
            missing_media: missing,
        };
        Some(json(StatusCode::ACCEPTED, &wire))
    }
}
