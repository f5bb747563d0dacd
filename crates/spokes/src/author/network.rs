//! The way to a network: whom to ask for what, and what silence and refusals mean (SPEC http).

use std::{
    collections::BTreeMap,
    error::Error as _,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::{
    Client, Method, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HOST, HeaderMap, LOCATION, RETRY_AFTER},
    redirect::Policy,
};
use serde::{Serialize, de::DeserializeOwned};
use spokes_log::name::{BlogName, Hash};
use spokes_rules::node::Label;
use tokio::time::{sleep, timeout};

use crate::{
    author::stop::Stop,
    shown::steers,
    wire::{NetworkWire, Problem},
};

/// A machine that does not take a connection within three seconds is off, or behind a wall.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// A primary answers an entry within 5 seconds (SPEC http 2.5), a slow line needs some more.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// An answer that is only read, or to an entry, begins within this: a machine that hangs takes
/// connections and says nothing, and there are others to ask.
const BEGIN_WAIT: Duration = Duration::from_secs(8);
/// 32 MiB over a line of 2 Mbit/s take a little over two minutes.
const TRANSFER_WAIT: Duration = Duration::from_secs(180);
/// What goes out and is judged within [`ANSWER_WAIT`]; a batch of entries is more.
const QUICK_BYTES_MAX: usize = 256 * 1024;
/// What is only read is asked for again after these pauses: a spoke that restarts, a lost packet.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];
/// An apex to a spoke to its own name: more hops are a circle.
const REDIRECTS_MAX: usize = 5;
/// A page of entries: 500 of some 100 KiB.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A network that has said who it is.
pub(crate) struct Network {
    way: Way,
    domain: String,
    id: Hash,
    base: Url,
}

/// The addresses of hosts, those first that were not silent.
#[derive(Clone, Debug, Default)]
struct Addresses {
    /// How often nobody answered for a host.
    silences: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Addresses {
    fn was_silent(&self, host: &str) {
        let mut silences = self.silences.lock().unwrap_or_else(PoisonError::into_inner);
        *silences.entry(host.to_owned()).or_default() += 1;
    }
}

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let silences = self.silences.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = silences.get(&host).copied().unwrap_or(0);
        drop(silences);
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            let mut found: Vec<SocketAddr> = found.collect();
            // Systems put the same one first each time, and it takes connections even where it hangs.
            let first = turn % found.len().max(1);
            found.rotate_left(first);
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// How requests travel.
struct Way {
    client: Client,
    addresses: Addresses,
    /// Where all requests go, whatever their host: a gateway, or one spoke.
    pinned: Option<String>,
    /// Whether the spoke is to answer from what it holds itself (SPEC http 3.6).
    hop: bool,
}

/// Whose answer is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To<'a> {
    /// Any node of the network.
    Apex,
    /// A blog's readers' side.
    Blog(&'a BlogName),
    /// A blog's primary.
    Edit(&'a BlogName),
    /// One spoke by its label.
    Spoke(&'a str),
}

/// Why there is no good answer.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// Nobody took the request or answered it; with a sentence. It may have been done.
    Silent(String),
    /// A node says no.
    No(Box<Refusal>),
    /// The answer is not what SPEC http says; with a sentence.
    Strange(String),
}

/// A node's no.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) problem: Problem,
    /// Seconds after which it wants to be asked again.
    pub(crate) retry_after: Option<u64>,
}

/// A whole answer.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// One request, sendable more than once.
struct Ask<'a> {
    method: Method,
    path: &'a str,
    json: Option<Vec<u8>>,
    bytes: Option<Vec<u8>>,
    refused_by: Option<&'a str>,
    /// How long until the answer begins.
    begins: Duration,
    /// How long until all of it is here.
    wait: Duration,
    bytes_max: usize,
}

impl<'a> Ask<'a> {
    fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            path,
            json: None,
            bytes: None,
            refused_by: None,
            begins: BEGIN_WAIT,
            wait: ANSWER_WAIT,
            bytes_max: ANSWER_BYTES_MAX,
        }
    }
}

impl Network {
    /// Asks who is there. `url` is the apex, a gateway or one spoke.
    pub(crate) async fn open(url: &str) -> Result<Self, Stop> {
        let (way, base) = Way::to(url, false)?;
        let network: NetworkWire = match way.get(&base, None, "/api/v1/network").await {
            Ok(network) => network,
            Err(trouble @ Trouble::Silent(_)) => {
                return Err(Stop::Unreached(format!(
                    "{}; read nothing and changed nothing. Any other server of the network does as well: say the same \
                     with --network http://ITS-ADDRESS, or try again later",
                    trouble.sentence()
                )));
            }
            Err(trouble) => return Err(trouble.into_stop("read nothing and changed nothing")),
        };
        let strange = |why: &str| Stop::Refused(format!("{url} is no spokes network: {why}"));
        let id = Hash::parse(&network.network).map_err(|why| strange(&format!("its id {why}")))?;
        let public = Url::parse(&network.base_url)
            .map_err(|why| strange(&format!("its base_url is unreadable ({why})")))?;
        if way.pinned.is_none() {
            check_scheme(&public)?;
        }
        Ok(Self {
            way,
            domain: network.domain,
            id,
            base: public,
        })
    }

    /// The same network, all of it asked of the one spoke at `url`, which is not to ask others.
    pub(crate) fn at_spoke(&self, url: &Url) -> Result<Self, Stop> {
        let (mut way, _) = Way::to(url.as_str(), true)?;
        way.pinned = Some(authority(url));
        Ok(Self {
            way,
            domain: self.domain.clone(),
            id: self.id,
            base: self.base.clone(),
        })
    }

    /// The network's id.
    pub(crate) fn id(&self) -> Hash {
        self.id
    }

    /// The network's domain.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// Where people find a blog.
    pub(crate) fn address_of(&self, name: &BlogName) -> String {
        format!("{}://{}/", self.base.scheme(), self.host(To::Blog(name)))
    }

    /// The host that a request names, with the port of the base URL where that has one.
    fn host(&self, to: To<'_>) -> String {
        let domain = &self.domain;
        let name = match to {
            To::Apex => domain.clone(),
            To::Blog(name) => format!("{name}.{domain}"),
            To::Edit(name) => format!("edit.{name}.{domain}"),
            To::Spoke(label) => format!("{label}.spoke.{domain}"),
        };
        match self.base.port() {
            Some(port) => format!("{name}:{port}"),
            None => name,
        }
    }

    /// Reads a JSON answer; asks again a little when nobody answers.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        to: To<'_>,
        path: &str,
    ) -> Result<T, Trouble> {
        let answer = self.patiently(to, &Ask::get(path)).await?;
        read(&answer)
    }

    /// Reads bytes, of which there may be at most `bytes_max`.
    pub(crate) async fn get_bytes(
        &self,
        to: To<'_>,
        path: &str,
        bytes_max: usize,
    ) -> Result<Vec<u8>, Trouble> {
        let ask = Ask {
            wait: TRANSFER_WAIT,
            bytes_max,
            ..Ask::get(path)
        };
        let answer = self.patiently(to, &ask).await?;
        Ok(answer.body)
    }

    /// Sends JSON once; a header names whoever refused it before (SPEC http 2.5).
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        to: To<'_>,
        path: &str,
        body: &impl Serialize,
        refused_by: Option<&str>,
    ) -> Result<T, Trouble> {
        let json = serde_json::to_vec(body)
            .map_err(|why| Trouble::Strange(format!("the request is no JSON: {why}")))?;
        let large = json.len() > QUICK_BYTES_MAX;
        let wait = if large { TRANSFER_WAIT } else { ANSWER_WAIT };
        // Whoever is asked for a name asks the council, which may be choosing a leader.
        let is_quick = !large && !matches!(to, To::Apex);
        let ask = Ask {
            method: Method::POST,
            json: Some(json),
            refused_by,
            begins: if is_quick { BEGIN_WAIT } else { wait },
            wait,
            ..Ask::get(path)
        };
        read(&self.once(to, &ask).await?)
    }

    /// Sends bytes once.
    pub(crate) async fn put(
        &self,
        to: To<'_>,
        path: &str,
        bytes: Vec<u8>,
        refused_by: Option<&str>,
    ) -> Result<(), Trouble> {
        let ask = Ask {
            method: Method::PUT,
            bytes: Some(bytes),
            refused_by,
            begins: TRANSFER_WAIT,
            wait: TRANSFER_WAIT,
            ..Ask::get(path)
        };
        self.once(to, &ask).await.map(|_| ())
    }

    async fn patiently(&self, to: To<'_>, ask: &Ask<'_>) -> Result<Answer, Trouble> {
        for pause in RETRY_PAUSES {
            let began = Instant::now();
            match self.once(to, ask).await {
                // One machine that hangs, or is off, is so a second later; others have the blog as well.
                Err(silent @ Trouble::Silent(_))
                    if matches!(to, To::Edit(_)) && began.elapsed() >= CONNECT_WAIT =>
                {
                    return Err(silent);
                }
                Err(Trouble::Silent(_)) => sleep(pause).await,
                answer => return answer,
            }
        }
        self.once(to, ask).await
    }

    async fn once(&self, to: To<'_>, ask: &Ask<'_>) -> Result<Answer, Trouble> {
        let mut url = format!("{}://{}{}", self.base.scheme(), self.host(to), ask.path);
        for _ in 0..=REDIRECTS_MAX {
            let target =
                Url::parse(&url).map_err(|why| Trouble::Strange(format!("{url}: {why}")))?;
            let answer = self
                .way
                .send(&target, Some(&authority(&target)), ask)
                .await?;
            let location = answer.headers.get(LOCATION).and_then(|l| l.to_str().ok());
            match (answer.status, location) {
                (301 | 302 | 307 | 308, Some(location)) => {
                    url = self.redirected(&target, location)?;
                }
                _ => return answer.judged(&target),
            }
        }
        Err(Trouble::Strange(format!("{url} redirects in a circle")))
    }

    /// Where a redirect leads, as long as it stays within the network.
    fn redirected(&self, from: &Url, location: &str) -> Result<String, Trouble> {
        let strange =
            || Trouble::Strange(format!("{from} redirects out of the network: {location}"));
        let to = from.join(location).map_err(|_| strange())?;
        let host = to.host_str().ok_or_else(strange)?;
        let ours = host == self.domain
            || host
                .strip_suffix(&self.domain)
                .is_some_and(|rest| rest.ends_with('.'))
            || self.way.pinned.as_deref() == Some(&authority(&to));
        if ours { Ok(to.into()) } else { Err(strange()) }
    }
}

impl Way {
    fn to(url: &str, hop: bool) -> Result<(Self, Url), Stop> {
        let wrong = |why: &str| Stop::Usage(format!("--network {url} is no address: {why}"));
        if !url.contains("://") {
            let why = format!("it begins with http://, such as http://{url}");
            return Err(wrong(&why));
        }
        let url = Url::parse(url).map_err(|why| wrong(&why.to_string()))?;
        check_scheme(&url)?;
        let host = url.host_str().ok_or_else(|| wrong("it names no host"))?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        // RFC 6761 section 6.3: names below .localhost are this machine, whatever a resolver says.
        let pinned = if host.ends_with(".localhost") {
            Some(format!(
                "127.0.0.1:{}",
                url.port_or_known_default().unwrap_or(80)
            ))
        } else if host == "localhost" || bare.parse::<IpAddr>().is_ok() {
            Some(authority(&url))
        } else {
            None
        };
        let addresses = Addresses::default();
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .dns_resolver(Arc::new(addresses.clone()))
            .connect_timeout(CONNECT_WAIT);
        if pinned.is_some() {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|why| Stop::Refused(format!("no HTTP client could be made: {why}")))?;
        let way = Self {
            client,
            addresses,
            pinned,
            hop,
        };
        Ok((way, url))
    }

    /// Reads what is below a URL, before the network's own names are known.
    async fn get<T: DeserializeOwned>(
        &self,
        base: &Url,
        host: Option<&str>,
        path: &str,
    ) -> Result<T, Trouble> {
        let target = base
            .join(path)
            .map_err(|why| Trouble::Strange(format!("{base}: {why}")))?;
        let named = base.host_str().is_some_and(|h| h.ends_with(".localhost"));
        let own = authority(base);
        let host = host.or(named.then_some(own.as_str()));
        for pause in RETRY_PAUSES {
            match self.send(&target, host, &Ask::get(path)).await {
                Err(Trouble::Silent(_)) => sleep(pause).await,
                answer => return read(&answer?.judged(&target)?),
            }
        }
        let answer = self.send(&target, host, &Ask::get(path)).await?;
        read(&answer.judged(&target)?)
    }

    async fn send(
        &self,
        target: &Url,
        host: Option<&str>,
        ask: &Ask<'_>,
    ) -> Result<Answer, Trouble> {
        let mut url = target.to_string();
        if let Some(pinned) = &self.pinned {
            let query = target.query().map(|query| format!("?{query}"));
            let rest = format!("{}{}", target.path(), query.unwrap_or_default());
            url = format!("http://{pinned}{rest}");
        }
        let mut request = self.client.request(ask.method.clone(), url);
        if let (Some(host), Some(_)) = (host, &self.pinned) {
            request = request.header(HOST, host);
        }
        if self.hop {
            request = request.header("Spokes-Hop", "1");
        }
        if let Some(label) = ask.refused_by {
            request = request.header("Spokes-Refused-By", label);
        }
        request = request.header("Accept", "application/json, application/problem+json, */*");
        if let Some(json) = &ask.json {
            request = request
                .header("Content-Type", "application/json")
                .body(json.clone());
        }
        if let Some(bytes) = &ask.bytes {
            request = request.body(bytes.clone());
        }
        let name = host.unwrap_or_else(|| target.authority());
        let lost = match timeout(ask.wait, take(request, ask)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(lost)) => lost,
            Err(_) => Lost::Late(ask.wait),
        };
        let why = match lost {
            Lost::TooLarge => {
                let most = ask.bytes_max;
                let why = format!("{name} answered with more than {most} bytes");
                return Err(Trouble::Strange(why));
            }
            Lost::Late(wait) => {
                format!("{name} did not answer within {} seconds", wait.as_secs())
            }
            Lost::Wire(why) => sentence(name, &why),
        };
        self.addresses
            .was_silent(target.host_str().unwrap_or_default());
        Err(Trouble::Silent(why))
    }
}

enum Lost {
    Wire(reqwest::Error),
    /// After how long.
    Late(Duration),
    TooLarge,
}

async fn take(request: reqwest::RequestBuilder, ask: &Ask<'_>) -> Result<Answer, Lost> {
    let begun = timeout(ask.begins, request.send()).await;
    let begun = begun.map_err(|_| Lost::Late(ask.begins))?;
    let mut response = begun.map_err(Lost::Wire)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Lost::Wire)? {
        if body.len() + chunk.len() > ask.bytes_max {
            return Err(Lost::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status,
        headers,
        body,
    })
}

impl Answer {
    fn judged(self, target: &Url) -> Result<Self, Trouble> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let mut problem: Problem = serde_json::from_slice(&self.body).unwrap_or_default();
        // They end before a person: one line of a stranger's each.
        for said in [&mut problem.detail, &mut problem.title] {
            said.retain(|c| !c.is_control() && !steers(c));
        }
        if problem.detail.is_empty() {
            problem.detail = match problem.title.as_str() {
                "" => format!("{target} answered {}", self.status),
                title => title.to_owned(),
            };
        }
        // A gateway or proxy that found nobody behind it: the same as silence.
        if matches!(self.status, 502 | 504) {
            return Err(Trouble::Silent(problem.detail));
        }
        let retry_after = self
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        Err(Trouble::No(Box::new(Refusal {
            status: self.status,
            problem,
            retry_after,
        })))
    }
}

impl Trouble {
    /// The sentence for the author.
    pub(crate) fn sentence(&self) -> &str {
        match self {
            Self::Silent(sentence) | Self::Strange(sentence) => sentence,
            Self::No(refusal) => &refusal.problem.detail,
        }
        // Whoever asks goes on behind it; a gateway ends its own with a full stop.
        .trim_end_matches('.')
    }

    /// Whether a node said no with this word.
    pub(crate) fn is(&self, kind: &str) -> bool {
        matches!(self, Self::No(refusal) if refusal.problem.kind == kind)
    }

    /// The servers that have room where this one has none.
    pub(crate) fn others(&self) -> impl Iterator<Item = Label> {
        let others = match self {
            Self::No(refusal) if self.is("no-room") => &*refusal.problem.others,
            _ => &[],
        };
        // They are a stranger's words, and become a host's name.
        others
            .iter()
            .filter_map(|other| Label::parse(&other.label).ok())
    }

    /// The end of a command that cannot go on; `safe` says what has and has not happened.
    pub(crate) fn into_stop(self, safe: &str) -> Stop {
        match self {
            Self::Silent(_) => {
                Stop::Unreached(format!("{}; {safe}, try again later", self.sentence()))
            }
            Self::Strange(_) => Stop::Refused(format!("{}; {safe}", self.sentence())),
            Self::No(refusal) => Stop::Refused(refusal.problem.detail),
        }
    }
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Trouble> {
    serde_json::from_slice(&answer.body)
        .map_err(|why| Trouble::Strange(format!("the node's answer cannot be read: {why}")))
}

fn check_scheme(url: &Url) -> Result<(), Stop> {
    match url.scheme() {
        "http" => Ok(()),
        "https" => Err(Stop::Refused(format!(
            "{url} wants TLS, which this program does not speak yet; every entry is signed, so \
             plain http:// loses privacy on the way but no safety"
        ))),
        other => Err(Stop::Usage(format!(
            "{url} begins with {other}://, not http://"
        ))),
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// What went wrong on the wire, as a person says it.
fn sentence(name: &str, why: &reqwest::Error) -> String {
    let mut cause = why.to_string();
    let mut deeper = why.source();
    while let Some(error) = deeper {
        cause = error.to_string();
        deeper = error.source();
    }
    if why.is_connect() {
        format!("{name} cannot be reached ({cause})")
    } else {
        format!("{name} broke off ({cause})")
    }
}
