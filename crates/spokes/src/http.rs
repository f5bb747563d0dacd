//! The HTTP server under every node: bounded connections, heads and bodies, and plain answers.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

mod patience;
mod share;

use patience::{PACE_SPAN, Patience};
use share::House;
pub use share::{CONNECTIONS_MAX, Guest, NoRoom, Share, What};

use crate::wire::Problem;

/// How long a head may take, and a connection be at rest before it: a slow line sends one in seconds,
/// an attacker takes minutes.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// Bytes of a head, and of what is read of a body at a time: the longest address is nearly as long.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long a body may take: the largest one over a line of 1 Mbit/s.
const BODY_WAIT: Duration = Duration::from_secs(600);
/// A body must bring [`BODY_SPAN_BYTES`] in each such time, or its end: mobile lines do in a second.
const BODY_SPAN: Duration = Duration::from_secs(10);
/// See [`BODY_SPAN`].
const BODY_SPAN_BYTES: usize = 64 * 1024;
/// Answers below this size are not counted: pages are, and they wait in the system's buffers.
const SMALL_ANSWER_BYTES: usize = 64 * 1024;
/// Files that are not for guests: the database and its readers, media, and connections to peers.
const FILES_KEPT: usize = 300;
/// Guests who are told at one time that there is no room; the others hear nothing.
const TURNED_AWAY_MAX: usize = 64;
/// How long a refused request is listened to: who still sends does not hear the refusal.
const REFUSED_WAIT: Duration = Duration::from_secs(1);
/// How long open connections have to end when the node stops.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Seconds after which somebody who was refused for lack of room may try again.
const RETRY_AFTER: &str = "10";

/// A whole answer.
pub type Response = http::Response<Full<Bytes>>;

/// Serves until `shutdown`; each request goes to `handler`.
pub async fn serve<H, F>(listener: TcpListener, handler: H, shutdown: impl Future<Output = ()>)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let connections = connections_max();
    let seats = Arc::new(Semaphore::new(connections));
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let house = Arc::new(House::new(connections));
    let tracker = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let seat = Arc::clone(&seats).acquire_owned();
        let (seat, stream) = tokio::select! {
            () = &mut shutdown => break,
            accepted = async { (seat.await, listener.accept().await) } => accepted,
        };
        let Ok((stream, peer)) = stream else {
            // Out of files: those that are open will close.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let guest = Guest::new(&house, peer.ip());
        let share = match guest.take(What::Connection, 1) {
            Ok(share) => share,
            Err(full) => {
                let told = Arc::clone(&turned_away).try_acquire_owned();
                tokio::spawn(async move {
                    if told.is_ok() {
                        turn_away(stream, full).await;
                    }
                    drop((told, seat));
                });
                continue;
            }
        };
        let connection = attend(stream, guest, handler.clone(), tracker.watcher());
        tokio::spawn(async move {
            connection.await;
            drop((share, seat));
        });
    }
    drop(listener);
    drop(timeout(LAST_WORDS, tracker.shutdown()).await);
}

/// As many connections as the system gives files for, once it was asked for all that it gives.
fn connections_max() -> usize {
    let given = getrlimit(Resource::Nofile);
    let asked = Rlimit {
        current: given.maximum,
        ..given
    };
    // Where it gives no more, there are fewer connections.
    let _perhaps_fewer = setrlimit(Resource::Nofile, asked);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    files.saturating_sub(FILES_KEPT).clamp(1, CONNECTIONS_MAX)
}

/// Answers one guest until the connection ends.
async fn attend<H, F>(stream: TcpStream, guest: Guest, handler: H, watcher: Watcher)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let _not_a_loss = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(guest.clone());
        let (answer, guest) = (handler(request), guest.clone());
        async move { Ok::<_, Infallible>(counted(answer.await, &guest)) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Patience::new(stream, PACE_SPAN)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Tells a guest for whom there is no connection why, without reading what it asks.
async fn turn_away(mut stream: TcpStream, full: NoRoom) {
    let (parts, body) = full.answer().into_parts();
    let status = parts.status;
    let Ok(body) = body.collect().await.map(Collected::to_bytes);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nRetry-After: {RETRY_AFTER}\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let talk = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.shutdown().await?;
        let mut heard = [0; 4_096];
        while stream.read(&mut heard).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // Whoever does not listen has gone.
    drop(timeout(REFUSED_WAIT, talk).await);
}

/// An answer on its way, counted as long as it is in memory.
struct Sending {
    body: Full<Bytes>,
    share: Option<Share>,
}

/// The bytes of an answer with the share that they take.
struct Held {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn counted(mut response: Response, guest: &Guest) -> http::Response<Sending> {
    let bytes = response.body().size_hint().lower();
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let held = response.extensions_mut().remove::<Room>();
    let share = match held.and_then(|room| room.take()) {
        Some(mut share) => share
            .grow(bytes.saturating_sub(share.amount()))
            .map(|()| Some(share)),
        None if bytes > SMALL_ANSWER_BYTES => guest.take(What::Answer, bytes).map(Some),
        None => Ok(None),
    };
    match share {
        Ok(share) => response.map(|body| Sending { body, share }),
        Err(full) => full.answer().map(|body| Sending { body, share: None }),
    }
}

/// Room for an answer, taken before it is read from disk: else many would be read at once, and only
/// then be refused.
#[derive(Clone, Debug)]
pub struct Room(Arc<Mutex<Option<Share>>>);

impl Room {
    fn take(&self) -> Option<Share> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The answer for which the room is.
    pub fn is_for(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        // The bytes take the share along: they stay in memory when this body is done.
        let Some(share) = self.share.take() else {
            return frame;
        };
        let held = |bytes| {
            let _share = share;
            Bytes::from_owner(Held { bytes, _share })
        };
        frame.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(held))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body with the share that it takes.
struct Received {
    bytes: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body of at most `max` bytes. It counts as its sender's until the bytes are dropped.
///
/// # Errors
/// The answer to give instead.
pub async fn body(request: Request<Incoming>, max: usize) -> Result<Bytes, Response> {
    let guest = Guest::of(&request);
    let mut body = request.into_body();
    match collect(&guest, &mut body, max).await {
        Ok(received) => Ok(Bytes::from_owner(received)),
        Err(refusal) => {
            // Listened to for a moment more, or the refusal is lost with the connection.
            let ends = async { while let Some(Ok(_)) = body.frame().await {} };
            drop(timeout(REFUSED_WAIT, ends).await);
            Err(refusal)
        }
    }
}

async fn collect<B>(guest: &Guest, body: &mut B, max: usize) -> Result<Received, Response>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > max as u64 {
        return Err(too_large(max));
    }
    let mut share = guest.take(What::Body, 0).map_err(NoRoom::answer)?;
    let mut bytes = Vec::new();
    let until = Instant::now() + BODY_WAIT;
    let (mut span_ends, mut in_span) = (Instant::now() + BODY_SPAN, 0);
    loop {
        let frame = timeout_at(span_ends.min(until), body.frame()).await;
        let data = match frame {
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(broken_off()),
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Err(_) => Bytes::new(),
        };
        if data.len() > max - bytes.len() {
            return Err(too_large(max));
        }
        share.grow(data.len()).map_err(NoRoom::answer)?;
        bytes.extend_from_slice(&data);
        in_span += data.len();
        let now = Instant::now();
        if now >= until || now >= span_ends && in_span < BODY_SPAN_BYTES {
            return Err(too_slow());
        }
        if now >= span_ends {
            (span_ends, in_span) = (now + BODY_SPAN, 0);
        }
    }
    let _share = share;
    Ok(Received { bytes, _share })
}

fn too_large(max: usize) -> Response {
    refuse(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        format!("More than {max} bytes were sent. Nothing was kept. Send less."),
    )
}

fn too_slow() -> Response {
    refuse(
        StatusCode::REQUEST_TIMEOUT,
        "too-slow",
        format!(
            "The request came slower than {} KiB in {} seconds. Nothing was kept. Send it again, over a \
             better line or in smaller parts.",
            BODY_SPAN_BYTES / 1024,
            BODY_SPAN.as_secs()
        ),
    )
}

fn broken_off() -> Response {
    refuse(
        StatusCode::BAD_REQUEST,
        "broken-off",
        "The request broke off. Nothing was kept. Send it again.",
    )
}

/// Room for an answer of this length, to be taken before it is read from disk.
///
/// # Errors
/// When there is none.
pub fn room_for_answer<B>(request: &Request<B>, bytes: usize) -> Result<Room, NoRoom> {
    let share = Guest::of(request).take(What::Answer, bytes)?;
    Ok(Room(Arc::new(Mutex::new(Some(share)))))
}

/// A place among those who wait for news, for as long as it is held.
///
/// # Errors
/// When too many wait.
pub fn wait_for_news<B>(request: &Request<B>) -> Result<Share, NoRoom> {
    Guest::of(request).take(What::Waiting, 1)
}

/// An answer with a body.
pub fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// An answer for programs, from any page (SPEC http: any Origin, no credentials).
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    json_as(status, "application/json", value)
}

/// A refusal in a word and a sentence.
pub fn refuse(status: StatusCode, kind: &str, detail: impl Into<String>) -> Response {
    problem(&Problem {
        kind: kind.into(),
        title: kind.replace('-', " "),
        status: status.as_u16(),
        detail: detail.into(),
        ..Problem::default()
    })
}

/// A refusal with what a program needs to go on (RFC 9457).
pub fn problem(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = json_as(status, "application/problem+json", problem);
    if matches!(problem.status, 429 | 503 | 507) {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    }
    response
}

fn json_as<T: Serialize>(status: StatusCode, kind: &'static str, value: &T) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut response = answer(status, kind, body);
    let any = HeaderValue::from_static("*");
    response
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}

/// The query's fields; the last of a name counts.
pub fn query(request: &Request<Incoming>) -> BTreeMap<String, String> {
    let query = request.uri().query().unwrap_or_default();
    query
        .split('&')
        .filter_map(|field| field.split_once('='))
        .map(|(name, value)| (unquote(name), unquote(value)))
        .collect()
}

/// Undoes percent-encoding; what is not UTF-8 becomes the replacement character.
pub fn unquote(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(hex.unwrap_or(if bytes[at] == b'+' { b' ' } else { bytes[at] }));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Undoes percent-encoding in a path, where a plus is a plus.
pub fn unquote_path(text: &str) -> String {
    unquote(&text.replace('+', "%2B"))
}

/// The host that was asked for: lower case, without port and final dot.
pub fn host(request: &Request<Incoming>) -> String {
    let header = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = header.or_else(|| request.uri().host()).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_held_from_before_an_answer_is_read_until_it_is_sent() {
        let house = Arc::new(House::default());
        let guest = Guest::new(&house, [192, 0, 2, 1].into());
        let mut request = Request::new(());
        request.extensions_mut().insert(guest.clone());
        // One alone gets half: while that is read there is nothing left for it.
        let half = 128 * 1024 * 1024;
        let room = room_for_answer(&request, half).expect("half is free");
        assert!(room_for_answer(&request, SMALL_ANSWER_BYTES).is_err());
        let body = vec![0; SMALL_ANSWER_BYTES + 1];
        let response = room.is_for(answer(StatusCode::OK, "image/png", body));
        let sent = counted(response, &guest);
        assert_eq!(sent.status(), StatusCode::OK, "it is not counted twice");
        assert!(room_for_answer(&request, SMALL_ANSWER_BYTES).is_err());
        drop(sent);
        assert!(room_for_answer(&request, half).is_ok(), "it was given back");
        // What turned out longer than was thought needs room for the rest.
        let room = room_for_answer(&request, 1).expect("free");
        let _others = guest.take(What::Answer, half - 1).expect("the rest");
        let body = vec![0; SMALL_ANSWER_BYTES + 1];
        let refused = counted(room.is_for(answer(StatusCode::OK, "a/b", body)), &guest);
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    }

    #[test]
    fn quotes_are_undone_and_nothing_panics() {
        assert_eq!(unquote("a%20b+c%2B"), "a b c+");
        assert_eq!(unquote_path("c++/%E0%A4%A8"), "c++/न");
        for odd in ["%", "%2", "%zz", "é%", "%é", "%%41"] {
            let _no_panic = unquote(odd);
        }
    }
}
