//! What the gateway itself says: what happened, what is safe, what to do.

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    RETRY_AFTER,
};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use maud::{DOCTYPE, html};
use serde_json::json;

/// As long as an unsigned answer of the zone may live: by then a spoke has been found.
const RETRY_AFTER_SECONDS: u16 = 10;

/// A page of the gateway's own, in place of a spoke's answer.
#[derive(Debug)]
pub(crate) struct Notice {
    status: StatusCode,
    title: &'static str,
    happened: String,
    safe: &'static str,
    next: &'static str,
}

impl Notice {
    pub(crate) fn no_such_name(name: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "No such blog",
            happened: format!("This network has nothing called {name}."),
            safe: "All its blogs are where they were.",
            next: "Check the spelling. A blog that was just begun appears within a minute.",
        }
    }

    pub(crate) fn foreign(name: &str, domain: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "Not of this network",
            happened: format!("{name} does not belong to the network {domain}."),
            safe: "Nothing was asked of anybody.",
            next: "Check the address.",
        }
    }

    pub(crate) fn no_address(name: &str) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            title: "No spoke at the moment",
            happened: format!("{name} exists, but no spoke serves it at the moment."),
            safe: "Every post that was safe is safe.",
            next: "The council is finding a spoke for it: try again in a minute.",
        }
    }

    pub(crate) fn dns_silent(name: &str) -> Self {
        Self {
            status: StatusCode::BAD_GATEWAY,
            title: "The council does not answer",
            happened: format!("None of the council's DNS servers could say where {name} is."),
            safe: "The blogs are on their spokes, unharmed, and this request changed nothing.",
            next: "Try again in a minute; if you run this network, see that its council runs.",
        }
    }

    pub(crate) fn nobody_answered(name: &str, asked: usize) -> Self {
        let spokes = if asked == 1 {
            "spoke was"
        } else {
            "spokes were"
        };
        Self {
            status: StatusCode::BAD_GATEWAY,
            title: "No spoke answers",
            happened: format!("{asked} {spokes} asked for {name}, and none answered."),
            safe: "This request changed nothing, and every post that was safe is safe.",
            next: "Start one of the spokes that hold it, or try again in a minute.",
        }
    }

    pub(crate) fn outcome_unknown(name: &str) -> Self {
        Self {
            status: StatusCode::BAD_GATEWAY,
            title: "Sent, but not answered",
            happened: format!("A spoke of {name} took what you sent, and then did not answer."),
            safe: "It was sent to that one spoke and to no other. It may have been done or not.",
            next: "Look whether it was done before you send it again.",
        }
    }

    pub(crate) fn unreadable_host() -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            title: "For whom?",
            happened: "The request names its host twice, or not as a name.".to_owned(),
            safe: "Nothing was asked of anybody.",
            next: "Send one Host header with one name.",
        }
    }

    pub(crate) fn method_unknown() -> Self {
        Self {
            status: StatusCode::NOT_IMPLEMENTED,
            title: "Not done here",
            happened: "This gateway passes on no CONNECT and no TRACE.".to_owned(),
            safe: "Nothing was asked of anybody.",
            next: "Use another method.",
        }
    }

    pub(crate) fn going_round() -> Self {
        Self {
            status: StatusCode::LOOP_DETECTED,
            title: "Going round in a circle",
            happened: "The request came back to the gateway that had sent it on.".to_owned(),
            safe: "It went no further, and changed nothing.",
            next: "If you run this network, see which port its spokes listen on.",
        }
    }

    /// For a person as a page; for a program, which says so or asks the API, as a problem
    /// (RFC 9457). `front` is where the link to the network's front page leads.
    pub(crate) fn answer(&self, form: Form, front: &str) -> Response<Full<Bytes>> {
        let (kind, text) = match form {
            Form::Page => ("text/html; charset=utf-8", self.page(front)),
            Form::Problem => ("application/problem+json", self.problem()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'"),
        );
        // Protocol §6: the API is for any Origin, its failures too.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        }
        response
    }

    fn page(&self, front: &str) -> String {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                }
                body {
                    main {
                        h1 { (self.title) }
                        p { (self.happened) }
                        p { (self.safe) }
                        p { (self.next) }
                        p { a href=(front) { "The network's front page" } }
                    }
                }
            }
        }
        .into_string()
    }

    fn problem(&self) -> String {
        json!({
            "type": "about:blank",
            "status": self.status.as_u16(),
            "title": self.title,
            "detail": format!("{} {} {}", self.happened, self.safe, self.next),
        })
        .to_string()
    }
}

/// Who reads the notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Page,
    Problem,
}

impl Form {
    pub(crate) fn wanted(head: &Parts) -> Self {
        let json = head
            .headers
            .get_all(ACCEPT)
            .iter()
            .any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("json")));
        if json || head.uri.path().starts_with("/api/") {
            Self::Problem
        } else {
            Self::Page
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn a_name_is_escaped() {
        let page = Notice::no_such_name("<script>.blogs.localhost").page("//blogs.localhost/");
        assert!(page.contains("&lt;script&gt;"), "{page}");
        assert!(!page.contains("<script>"), "{page}");
    }

    #[test]
    fn programs_get_a_problem() {
        let form = |uri: &str, accept: &str| {
            let request = Request::builder().uri(uri).header(ACCEPT, accept);
            Form::wanted(&request.body(()).unwrap().into_parts().0)
        };
        assert_eq!(form("/", "text/html,*/*;q=0.8"), Form::Page);
        assert_eq!(form("/api/v1/network", "*/*"), Form::Problem);
        assert_eq!(form("/", "application/json"), Form::Problem);
    }
}
