//! The HTTP server under every node: bounded connections, heads and bodies, and plain answers.

use std::{collections::BTreeMap, convert::Infallible, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::wire::Problem;

/// Connections at once: readers keep theirs open, and each costs a file.
pub const CONNECTIONS_MAX: usize = 4_000;
/// How long a head may take: a slow line sends one in seconds, an attacker takes minutes.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// How long a body may take.
const BODY_WAIT: Duration = Duration::from_secs(120);
/// How long open connections have to end when the node stops.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A whole answer.
pub type Response = http::Response<Full<Bytes>>;

/// Serves until `shutdown`; each request goes to `handler`.
pub async fn serve<H, F>(listener: TcpListener, handler: H, shutdown: impl Future<Output = ()>)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let tracker = hyper_util::server::graceful::GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let seat = Arc::clone(&seats).acquire_owned();
        let (seat, stream) = tokio::select! {
            () = &mut shutdown => break,
            accepted = async { (seat.await, listener.accept().await) } => accepted,
        };
        let Ok((stream, _)) = stream else {
            // Out of files: those that are open will close.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _not_a_loss = stream.set_nodelay(true);
        let handler = handler.clone();
        let service = service_fn(move |request| {
            let answer = handler(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WAIT)
            .serve_connection(TokioIo::new(stream), service);
        let connection = tracker.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(seat);
        });
    }
    drop(listener);
    drop(tokio::time::timeout(LAST_WORDS, tracker.shutdown()).await);
}

/// Reads a body of at most `max` bytes.
///
/// # Errors
/// The answer to give instead.
pub async fn body(request: Request<Incoming>, max: usize) -> Result<Bytes, Response> {
    let limited = Limited::new(request.into_body(), max).collect();
    match tokio::time::timeout(BODY_WAIT, limited).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(refuse(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("More than {max} bytes were sent. Nothing was kept. Send less."),
        )),
        _ => Err(refuse(
            StatusCode::BAD_REQUEST,
            "broken-off",
            "The request broke off. Nothing was kept. Send it again.",
        )),
    }
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
            .insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
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
    fn quotes_are_undone_and_nothing_panics() {
        assert_eq!(unquote("a%20b+c%2B"), "a b c+");
        assert_eq!(unquote_path("c++/%E0%A4%A8"), "c++/न");
        for odd in ["%", "%2", "%zz", "é%", "%é", "%%41"] {
            let _no_panic = unquote(odd);
        }
    }
}
