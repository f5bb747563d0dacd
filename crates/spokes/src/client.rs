//! HTTP from one node to another: short waits, bounded answers, sentences for what fails.

use std::{net::SocketAddr, time::Duration};

use http::StatusCode;
use serde::{Serialize, de::DeserializeOwned};
use spokes_log::name::Salt;
use spokes_rules::node::Signed;

use crate::{
    outage::Outage,
    shown::steers,
    wire::{Problem, signed_of_a_header},
};

/// By this header a page is asked for with a receipt, and by that one the receipt comes (SPEC receipt 8).
pub const NONCE: &str = "spokes-nonce";
/// See [`NONCE`].
pub const SERVED: &str = "spokes-served";
/// By this one a spoke says that it gives offers (SPEC receipt 6.7).
pub const GIVING: &str = "spokes-giving";

/// How long a node waits for a connection: longer than a bad line, shorter than a reader.
const CONNECT_WAIT: Duration = Duration::from_secs(2);
/// How long it waits for an answer, beside what it asked the other to wait.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Bytes of one answer: a page of the feed and a medium fit, a flood does not.
const ANSWER_BYTES_MAX: usize = 48 * 1024 * 1024;

/// Bytes of a page that is looked at: those of a front page, compressed, are a hundredth of it.
const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// Characters of another node's sentence.
const DETAIL_CHARS_MAX: usize = 1_000;

/// Asks other nodes.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
}

/// What another node answered.
#[derive(Debug)]
pub enum Reply<T> {
    /// What was asked for, and the status.
    Good(T, StatusCode),
    /// A refusal.
    Refused(Problem),
}

impl<T> Reply<T> {
    /// The answer, or the refusal as an outage.
    ///
    /// # Errors
    /// When it was refused.
    pub fn good(self) -> Result<T, Outage> {
        match self {
            Self::Good(answer, _) => Ok(answer),
            Self::Refused(problem) => Err(Outage::new(problem.detail)),
        }
    }
}

/// A page as a reader gets it.
#[derive(Debug)]
pub struct Page {
    /// Its status.
    pub status: StatusCode,
    /// What the spoke signed for whoever asks, if it did (SPEC receipt 8).
    pub served: Option<Signed>,
    /// The bytes as they were sent.
    pub body: Vec<u8>,
}

/// That an answer is another node's, passed on.
#[derive(Clone, Copy, Debug)]
pub struct Relayed;

/// A request to be sent.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Where the node answers.
    pub to: SocketAddr,
    /// Path and query.
    pub path: &'a str,
    /// How long the other is asked to wait before it answers.
    pub wait: Duration,
    /// Whether the request was passed on by a spoke already.
    pub hop: bool,
    /// Bytes that the answer may have.
    pub most: usize,
}

impl<'a> Ask<'a> {
    /// An ordinary request.
    pub fn new(to: SocketAddr, path: &'a str) -> Self {
        Self {
            to,
            path,
            wait: Duration::ZERO,
            hop: false,
            most: ANSWER_BYTES_MAX,
        }
    }

    /// One whose answer is shorter than a page of the feed may be.
    #[must_use]
    pub fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// One that lets the other wait for news.
    #[must_use]
    pub fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }
}

impl Client {
    /// A client with its pool of connections.
    ///
    /// # Errors
    /// When the library cannot start.
    pub fn new() -> Result<Self, Outage> {
        Self::build(reqwest::Client::builder())
    }

    /// One that connects anew each time, as a reader does who comes for the first time.
    ///
    /// # Errors
    /// When the library cannot start.
    pub fn without_pool() -> Result<Self, Outage> {
        Self::build(reqwest::Client::builder().pool_max_idle_per_host(0))
    }

    fn build(builder: reqwest::ClientBuilder) -> Result<Self, Outage> {
        let http = builder
            .connect_timeout(CONNECT_WAIT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .map_err(|e| Outage::new(format!("the HTTP client cannot start: {e}")))?;
        Ok(Self { http })
    }

    /// Reads the first page of a host as a reader would, with a nonce. It may be compressed: what was signed
    /// are the bytes as they came.
    ///
    /// # Errors
    /// When the node is silent, too slow, or sends too much.
    pub async fn page(
        &self,
        to: SocketAddr,
        host: &str,
        nonce: Salt,
        wait: Duration,
    ) -> Result<Page, Outage> {
        let request = self
            .http
            .get(format!("http://{to}/"))
            .header(http::header::HOST, host)
            .header(http::header::ACCEPT_ENCODING, "gzip")
            .header(NONCE, nonce.to_string())
            .timeout(wait);
        let response = request.send().await.map_err(|e| silent(to, &e))?;
        let status = response.status();
        let served = response.headers().get(SERVED);
        let served = served.and_then(|line| signed_of_a_header(line.to_str().ok()?));
        Ok(Page {
            status,
            served,
            body: read(response, PAGE_BYTES_MAX).await?,
        })
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// When the node is silent or speaks otherwise.
    pub async fn get<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<Reply<T>, Outage> {
        let request = self.http.get(url(&ask));
        self.send(ask, request).await
    }

    /// Sends JSON, reads JSON.
    ///
    /// # Errors
    /// When the node is silent or speaks otherwise.
    pub async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        ask: Ask<'_>,
        body: &B,
    ) -> Result<Reply<T>, Outage> {
        let request = self.http.post(url(&ask)).json(body);
        self.send(ask, request).await
    }

    /// Sends bytes of JSON, and in a line before them who sends them.
    ///
    /// # Errors
    /// When the node is silent or says nothing that can be read.
    pub async fn post_signed<T: DeserializeOwned>(
        &self,
        ask: Ask<'_>,
        signed: (&'static str, String),
        body: Vec<u8>,
    ) -> Result<Reply<T>, Outage> {
        let json = (http::header::CONTENT_TYPE, "application/json");
        let request = self.http.post(url(&ask)).header(signed.0, signed.1);
        let request = request.header(json.0, json.1).body(body);
        self.send(ask, request).await
    }

    /// Reads bytes; none where the node has none.
    ///
    /// # Errors
    /// When the node is silent, refuses, or sends more than `max`.
    pub async fn bytes(&self, ask: Ask<'_>, max: usize) -> Result<Option<Vec<u8>>, Outage> {
        let silent = |e: &reqwest::Error| silent(ask.to, e);
        let request = self.http.get(url(&ask)).timeout(ANSWER_WAIT + ask.wait);
        let response = request.send().await.map_err(|e| silent(&e))?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => read(response, max).await.map(Some),
            status => Err(Outage::new(format!("{} answered {status}", ask.to))),
        }
    }

    /// Passes a request on, and its answer back as it is.
    ///
    /// # Errors
    /// When the node is silent.
    pub async fn relay(
        &self,
        to: SocketAddr,
        host: &str,
        method: http::Method,
        path: &str,
        body: bytes::Bytes,
        refused_by: Option<&str>,
    ) -> Result<crate::http::Response, Outage> {
        let request = self
            .http
            .request(method, format!("http://{to}{path}"))
            .header(http::header::HOST, host)
            .header("Spokes-Hop", "1")
            .timeout(ANSWER_WAIT)
            .body(body);
        let request = match refused_by {
            Some(label) => request.header("Spokes-Refused-By", label),
            None => request,
        };
        let response = request.send().await.map_err(|e| silent(to, &e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response, ANSWER_BYTES_MAX).await?;
        let mut answer = crate::http::answer(status, "application/octet-stream", body);
        answer.extensions_mut().insert(Relayed);
        let passed = [
            http::header::CONTENT_TYPE,
            http::header::LOCATION,
            http::header::ETAG,
            http::header::CACHE_CONTROL,
            http::header::RETRY_AFTER,
            http::header::ACCESS_CONTROL_ALLOW_ORIGIN,
        ];
        for name in passed {
            if let Some(value) = headers.get(&name) {
                answer.headers_mut().insert(name, value.clone());
            }
        }
        Ok(answer)
    }

    async fn send<T: DeserializeOwned>(
        &self,
        ask: Ask<'_>,
        request: reqwest::RequestBuilder,
    ) -> Result<Reply<T>, Outage> {
        let request = if ask.hop {
            request.header("Spokes-Hop", "1")
        } else {
            request
        };
        let request = request.timeout(ANSWER_WAIT + ask.wait);
        let response = request.send().await.map_err(|e| silent(ask.to, &e))?;
        let status = response.status();
        let body = read(response, ask.most).await?;
        let garbled =
            |e: &serde_json::Error| Outage::new(format!("{} speaks otherwise: {e}", ask.to));
        if status.is_success() {
            let answer = serde_json::from_slice(&body).map_err(|e| garbled(&e))?;
            return Ok(Reply::Good(answer, status));
        }
        let mut problem: Problem = serde_json::from_slice(&body).unwrap_or_else(|_| Problem {
            detail: format!("{} answered {status}", ask.to),
            ..Problem::default()
        });
        problem.status = status.as_u16();
        // It may end in a log or before a person: one line of a stranger's, not a flood.
        problem.detail.retain(|c| !c.is_control() && !steers(c));
        problem.detail = problem.detail.chars().take(DETAIL_CHARS_MAX).collect();
        Ok(Reply::Refused(problem))
    }
}

fn url(ask: &Ask<'_>) -> String {
    format!("http://{}{}", ask.to, ask.path)
}

fn silent(to: SocketAddr, error: &reqwest::Error) -> Outage {
    let why = if error.is_connect() {
        "does not answer"
    } else if error.is_timeout() {
        "took too long"
    } else {
        "broke off"
    };
    Outage::new(format!("{to} {why}"))
}

async fn read(mut response: reqwest::Response, max: usize) -> Result<Vec<u8>, Outage> {
    let announced = response.content_length().unwrap_or(0);
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(max).min(max));
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|e| Outage::new(format!("an answer broke off: {e}")))?
    {
        if body.len() + chunk.len() > max {
            return Err(Outage::new(format!("an answer is larger than {max} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
