//! One request to the spokes that can answer it: in order, each at most once, and never twice to
//! two of them when it could be done twice.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{Either, Empty};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};

/// Spokes and gateway are near each other; what does not take a connection within a second is
/// off, or behind something that swallows our packets.
const CONNECT_WAIT: Duration = Duration::from_secs(1);

/// A page comes in milliseconds; a reader who waits longer than this has gone.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// A long poll lasts up to 60 seconds (protocol §7, `wait=`); some for the way. Requests that
/// change something wait as long, for their outcome is worth knowing.
const LONG_ANSWER_WAIT: Duration = Duration::from_secs(65);

/// The head of an answer. Ours stay below 4 KiB; four times that for what comes later.
const ANSWER_HEAD_BYTES_MAX: usize = 16 * 1_024;

/// Read at a time from a spoke: a head, or a piece of a body on its way.
const BUFFER_BYTES_MAX: usize = 64 * 1_024;

/// As many as browsers open to one host, for a handful of browsers.
const KEPT_PER_ADDRESS_MAX: usize = 32;

/// With [`CONNECTIONS_MAX`](crate::gateway::CONNECTIONS_MAX) readers and one connection to a spoke
/// for each, this stays below the usual 1,024 open files.
const KEPT_MAX: usize = 128;

/// Shorter than the half minute after which servers close a quiet connection, so that we seldom
/// send into one that is just being closed.
const KEPT_SPAN: Duration = Duration::from_secs(15);

/// How long a spoke that took a request may think before it counts as silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) answer: Duration,
    pub(crate) long_answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: ANSWER_WAIT,
            long_answer: LONG_ANSWER_WAIT,
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No spoke took the request, or it was one that changes nothing.
    NobodyAnswered,
    /// A spoke took the request, which may change something, and did not answer.
    OutcomeUnknown,
}

/// Connections to spokes, those at rest kept for the next request.
pub(crate) struct Upstreams {
    patience: Patience,
    kept: Arc<Mutex<Kept>>,
}

impl Upstreams {
    pub(crate) fn new(patience: Patience) -> Self {
        Self {
            patience,
            kept: Arc::default(),
        }
    }

    /// The first answer that one of the spokes gives, whatever its status: nothing in DNS would
    /// skip a spoke that answers 503 either.
    ///
    /// `head` is ready to be sent, its target in origin form.
    pub(crate) async fn fetch(
        &self,
        addresses: &[SocketAddr],
        head: Parts,
        body: Incoming,
    ) -> Result<Response<Incoming>, Failure> {
        // RFC 9110 §9.2.1: safe methods. One with a body is rare and would have to be buffered.
        let repeatable = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS)
            && body.is_end_stream();
        if repeatable {
            self.fetch_repeatable(addresses, &head).await
        } else {
            self.fetch_once(addresses, head, body).await
        }
    }

    async fn fetch_repeatable(
        &self,
        addresses: &[SocketAddr],
        head: &Parts,
    ) -> Result<Response<Incoming>, Failure> {
        let wait = if waits_long(head) {
            self.patience.long_answer
        } else {
            self.patience.answer
        };
        let request = || Request::from_parts(head.clone(), Either::Left(Empty::<Bytes>::new()));
        for &to in addresses {
            if let Some(link) = self.take_kept(to) {
                match self.send(link, request(), wait, &Progress::now()).await {
                    Ok(response) => return Ok(response),
                    Err(Fault::Silent) => {
                        tracing::debug!(%to, "spoke passed over: silent");
                        continue;
                    }
                    // RFC 9112 §9.3.1: a kept connection may end at any time, which says nothing
                    // against the spoke; it gets its turn on a new one.
                    Err(Fault::Unsent(_) | Fault::Lost) => {}
                }
            }
            let link = match connect(to).await {
                Ok(link) => link,
                Err(error) => {
                    tracing::debug!(%to, %error, "spoke passed over: no connection");
                    continue;
                }
            };
            match self.send(link, request(), wait, &Progress::now()).await {
                Ok(response) => return Ok(response),
                Err(fault) => tracing::debug!(%to, fault = fault.word(), "spoke passed over"),
            }
        }
        Err(Failure::NobodyAnswered)
    }

    /// Goes on to the next spoke only while not one byte was sent: then the body is unread too,
    /// and none of it need be buffered for another try.
    async fn fetch_once(
        &self,
        addresses: &[SocketAddr],
        head: Parts,
        body: Incoming,
    ) -> Result<Response<Incoming>, Failure> {
        let progress = Progress::now();
        let body = Watched {
            body,
            progress: progress.clone(),
        };
        let mut request = Request::from_parts(head, Either::Right(body));
        for &to in addresses {
            // A new connection each: one that was kept may be closing just now, and then nobody
            // could say whether the request was taken.
            let link = match connect(to).await {
                Ok(link) => link,
                Err(error) => {
                    tracing::debug!(%to, %error, "spoke passed over: no connection");
                    continue;
                }
            };
            progress.mark();
            match self
                .send(link, request, self.patience.long_answer, &progress)
                .await
            {
                Ok(response) => return Ok(response),
                Err(Fault::Unsent(unsent)) => request = *unsent,
                Err(fault) => {
                    tracing::warn!(%to, fault = fault.word(), "outcome of a request unknown");
                    return Err(Failure::OutcomeUnknown);
                }
            }
        }
        Err(Failure::NobodyAnswered)
    }

    async fn send(
        &self,
        mut link: Link,
        request: Request<Outgoing>,
        wait: Duration,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Fault> {
        let mut answer = Box::pin(link.sender.try_send_request(request));
        let response = loop {
            let last = progress.last();
            tokio::select! {
                answer = &mut answer => match answer {
                    Ok(response) => break response,
                    Err(mut error) => return Err(match error.take_message() {
                        Some(unsent) => Fault::Unsent(Box::new(unsent)),
                        None => Fault::Lost,
                    }),
                },
                () = sleep_until((last + wait).into()) => {
                    // A long upload moves on as we wait.
                    if progress.last() == last {
                        return Err(Fault::Silent);
                    }
                }
            }
        };
        drop(answer);
        let kept = Arc::clone(&self.kept);
        tokio::spawn(async move {
            // Ready again once the reader has taken the whole body.
            if link.sender.ready().await.is_ok() {
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .keep(Instant::now(), link);
            }
        });
        Ok(response)
    }

    fn take_kept(&self, to: SocketAddr) -> Option<Link> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(Instant::now(), to)
    }
}

async fn connect(to: SocketAddr) -> io::Result<Link> {
    let stream = timeout(CONNECT_WAIT, TcpStream::connect(to)).await??;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::Builder::new()
        .max_header_size(ANSWER_HEAD_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%to, %error, "connection to a spoke broke");
        }
    });
    Ok(Link { to, sender })
}

/// Whether the request asks to be held until there is something to say.
fn waits_long(head: &Parts) -> bool {
    let query = head.uri.query().unwrap_or_default();
    query.split('&').any(|pair| pair.starts_with("wait="))
}

/// What became of a request that has no answer.
enum Fault {
    /// Not one byte of it was sent.
    Unsent(Box<Request<Outgoing>>),
    /// The connection ended, or what came is not HTTP.
    Lost,
    Silent,
}

impl Fault {
    fn word(&self) -> &'static str {
        match self {
            Self::Unsent(_) => "closed at once",
            Self::Lost => "broke off",
            Self::Silent => "silent",
        }
    }
}

type Outgoing = Either<Empty<Bytes>, Watched>;

/// A body on its way to a spoke, which notes each step.
struct Watched {
    body: Incoming,
    progress: Progress,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.progress.mark();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// When a request last moved.
#[derive(Clone)]
struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn mark(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to a spoke, at rest.
struct Link {
    to: SocketAddr,
    sender: SendRequest<Outgoing>,
}

/// Connections at rest, the last used taken first so that the others can age.
#[derive(Default)]
struct Kept {
    links: HashMap<SocketAddr, Vec<(Instant, Link)>>,
}

impl Kept {
    fn take(&mut self, now: Instant, to: SocketAddr) -> Option<Link> {
        self.drop_old(now);
        self.links.get_mut(&to)?.pop().map(|(_, link)| link)
    }

    fn keep(&mut self, now: Instant, link: Link) {
        self.drop_old(now);
        if self.links.values().map(Vec::len).sum::<usize>() >= KEPT_MAX {
            return;
        }
        let beside = self.links.entry(link.to).or_default();
        if beside.len() < KEPT_PER_ADDRESS_MAX {
            beside.push((now, link));
        }
    }

    fn drop_old(&mut self, now: Instant) {
        self.links.retain(|_, links| {
            links.retain(|(since, link)| *since + KEPT_SPAN > now && link.sender.is_ready());
            !links.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::fakes::answer_forever;
    use tokio::net::TcpListener;

    async fn link() -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        tokio::spawn(answer_forever(listener, "HTTP/1.1 204 No Content\r\n\r\n"));
        let mut link = connect(to).await.unwrap();
        link.sender.ready().await.unwrap();
        link
    }

    #[tokio::test]
    async fn kept_connections_age_and_are_bounded() {
        let mut kept = Kept::default();
        let now = Instant::now();
        let first = link().await;
        let to = first.to;
        kept.keep(now, first);
        assert!(kept.take(now + KEPT_SPAN, to).is_none(), "too old");

        for _ in 0..=KEPT_PER_ADDRESS_MAX {
            let mut link = link().await;
            link.to = to;
            kept.keep(now, link);
        }
        assert_eq!(kept.links[&to].len(), KEPT_PER_ADDRESS_MAX);
        for port in 1..=u16::try_from(KEPT_MAX).unwrap() {
            let mut link = link().await;
            link.to = ([127, 0, 0, 9], port).into();
            kept.keep(now, link);
        }
        assert_eq!(kept.links.values().map(Vec::len).sum::<usize>(), KEPT_MAX);
    }

    #[tokio::test]
    async fn a_request_that_was_not_sent_comes_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = connect(listener.local_addr().unwrap()).await.unwrap();
        drop(listener.accept().await.unwrap());
        while !link.sender.is_closed() {
            tokio::task::yield_now().await;
        }
        let upstreams = Upstreams::new(Patience::default());
        let request = Request::post("/x")
            .body(Either::Left(Empty::new()))
            .unwrap();
        match upstreams
            .send(link, request, ANSWER_WAIT, &Progress::now())
            .await
        {
            Err(Fault::Unsent(unsent)) => assert_eq!(unsent.uri(), "/x"),
            Err(fault) => panic!("{}", fault.word()),
            Ok(answer) => panic!("{answer:?}"),
        }
    }

    #[test]
    fn only_a_query_for_it_waits_long() {
        for (uri, expected) in [
            ("/api/v1/feed?after=x&wait=30", true),
            ("/api/v1/feed?wait=30", true),
            ("/search?q=wait", false),
            ("/search?q=await=1", false),
            ("/wait=1", false),
        ] {
            let head = Request::builder().uri(uri).body(()).unwrap().into_parts().0;
            assert_eq!(waits_long(&head), expected, "{uri}");
        }
    }
}
