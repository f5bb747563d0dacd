//! A reader's request on its way to a spoke, and the answer on its way back.

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;

use crate::gateway::fetch::{Failure, Upstreams};
use crate::gateway::host::{Asked, Host};
use crate::gateway::names::{Names, Resolved};
use crate::gateway::notice::{Form, Notice};

/// Our name in `Via` (RFC 9110 §7.6.3), by which we know a request that comes back to us.
const VIA_US: &str = "1.1 spokes-gateway";

/// As many as the zone ever answers (protocol §5, the slate): more would only keep a reader waiting
/// where all are silent.
const SPOKES_ASKED_MAX: usize = 8;

/// An answer: a spoke's, streamed, or our own.
pub(crate) type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// The way from readers to spokes.
pub(crate) struct Passage {
    /// In lower case.
    domain: String,
    names: Names,
    upstreams: Upstreams,
}

impl Passage {
    /// Learns for ever who answers for the zone.
    pub(crate) async fn learn_servers(&self) {
        self.names.learn_servers(&self.domain).await;
    }

    pub(crate) fn new(domain: &str, names: Names, upstreams: Upstreams) -> Self {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        Self {
            domain,
            names,
            upstreams,
        }
    }

    /// The answer of the first spoke that gives one, or a notice why there is none.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let host = Host::of(&request, &self.domain);
        let (head, body) = request.into_parts();
        let form = Form::wanted(&head);
        let Ok(host) = host else {
            let front = self.front(None);
            return Notice::unreadable_host()
                .answer(form, &self.domain, &front)
                .map(Either::Right);
        };
        let front = self.front(host.port);
        match self.pass(host, head, body).await {
            Ok(mut response) => {
                remove_hop_by_hop(response.headers_mut());
                *response.version_mut() = Version::HTTP_11;
                response.map(Either::Left)
            }
            Err(notice) => notice.answer(form, &self.domain, &front).map(Either::Right),
        }
    }

    async fn pass(
        &self,
        host: Host,
        head: Parts,
        body: Incoming,
    ) -> Result<Response<Incoming>, Notice> {
        if matches!(head.method, Method::CONNECT | Method::TRACE) {
            return Err(Notice::method_unknown());
        }
        if came_by_us(&head.headers) {
            return Err(Notice::going_round());
        }
        let name = match host.asked {
            Asked::Ours(name) => name,
            Asked::Foreign(name) => return Err(Notice::foreign(&name, &self.domain)),
        };
        let mut addresses = match self.names.resolve(&name).await {
            Resolved::Addresses(addresses) => addresses,
            Resolved::NoSuchName => return Err(Notice::no_such_name(&name)),
            Resolved::NoAddress => return Err(Notice::no_address(&name)),
            Resolved::Silent => return Err(Notice::dns_silent(&name)),
        };
        addresses.truncate(SPOKES_ASKED_MAX);
        let head = onward(head, host.header);
        self.upstreams
            .fetch(&addresses, head, body)
            .await
            .map_err(|failure| match failure {
                Failure::NobodyAnswered => Notice::nobody_answered(&name, addresses.len()),
                Failure::OutcomeUnknown => Notice::outcome_unknown(&name),
            })
    }

    fn front(&self, port: Option<u16>) -> String {
        match port {
            Some(port) => format!("//{}:{port}/", self.domain),
            None => format!("//{}/", self.domain),
        }
    }
}

/// The head as a spoke gets it. Nothing in it tells of the reader: no `X-Forwarded-For`.
fn onward(mut head: Parts, host: HeaderValue) -> Parts {
    remove_hop_by_hop(&mut head.headers);
    // After the removal, for a `Connection` header could have named it.
    head.headers.insert(HOST, host);
    head.headers.append(VIA, HeaderValue::from_static(VIA_US));
    head.version = Version::HTTP_11;
    let path = head.uri.path_and_query().cloned();
    head.uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    head
}

fn came_by_us(headers: &HeaderMap) -> bool {
    let mut passed = headers.get_all(VIA).iter();
    passed.any(|via| via.to_str().is_ok_and(|via| via.contains(VIA_US)))
}

/// RFC 9110 §7.6.1, and `Proxy-Authorization`, which is for the first proxy alone (§11.7.2).
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    // RFC 9112 §6.3: beside a Transfer-Encoding, a Content-Length is a lie to whoever believes it.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    for name in named
        .iter()
        .chain(&[CONNECTION, TE, TRANSFER_ENCODING, UPGRADE])
    {
        headers.remove(name);
    }
    headers.remove(PROXY_AUTHORIZATION);
    for name in ["keep-alive", "proxy-connection"] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &'static str)], expected: &[&str]) {
        let mut head = Request::builder()
            .uri("http://a.example/x%2F?y=%C3")
            .body(());
        for (name, value) in headers {
            head.as_mut()
                .unwrap()
                .headers_mut()
                .append(*name, HeaderValue::from_static(value));
        }
        let head = onward(
            head.unwrap().into_parts().0,
            HeaderValue::from_static("maria.blogs.localhost:8080"),
        );
        let mut kept: Vec<String> = head.headers.keys().map(ToString::to_string).collect();
        kept.sort();
        assert_eq!(kept, expected);
        assert_eq!(head.uri, "/x%2F?y=%C3");
        assert_eq!(head.headers[HOST], "maria.blogs.localhost:8080");
    }

    #[test]
    fn what_is_for_one_hop_goes_no_further() {
        check(
            &[
                ("connection", "keep-alive, X-Mine"),
                ("connection", "host"),
                ("x-mine", "1"),
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "keep-alive"),
                ("proxy-authorization", "Basic eA=="),
                ("te", "trailers"),
                ("upgrade", "websocket"),
                ("accept", "*/*"),
                ("cookie", "a=b"),
            ],
            &["accept", "cookie", "host", "via"],
        );
    }

    #[test]
    fn a_question_to_the_whole_server_stays_one() {
        let request = Request::builder()
            .method(Method::OPTIONS)
            .uri("*")
            .body(())
            .unwrap();
        let head = onward(
            request.into_parts().0,
            HeaderValue::from_static("blogs.localhost"),
        );
        assert_eq!(head.uri, "*");
    }

    #[test]
    fn a_length_beside_an_encoding_is_not_believed() {
        check(
            &[("transfer-encoding", "chunked"), ("content-length", "5")],
            &["host", "via"],
        );
        check(
            &[("content-length", "5")],
            &["content-length", "host", "via"],
        );
    }

    #[test]
    fn a_request_that_comes_back_is_known() {
        let mut headers = HeaderMap::new();
        assert!(!came_by_us(&headers));
        headers.append(VIA, HeaderValue::from_static("1.1 elsewhere"));
        assert!(!came_by_us(&headers));
        headers.append(
            VIA,
            HeaderValue::from_static("1.1 spokes-gateway, 1.1 elsewhere"),
        );
        assert!(came_by_us(&headers));
    }
}
