//! What the gateway itself says: what happened, what is safe, what to do.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, RETRY_AFTER,
};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use maud::{DOCTYPE, PreEscaped, html};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    render::direction,
    web::words::{Counted, GatewaySentences, Tongue, Words, counted, fill, fill_markup},
};

/// As long as an unsigned answer of the zone may live: by then a spoke has been found.
const RETRY_AFTER_SECONDS: u16 = 10;

/// What the page of a notice looks like, as far as it can without the spokes' sheet, for there may be
/// no spoke to fetch it from.
const STYLE: &str = include_str!("notice.css");

/// Allows that style and nothing else (CSP level 3, section 6.7.3.3).
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    HeaderValue::from_str(&format!("default-src 'none'; style-src 'sha256-{hash}'"))
        .expect("a hash in base64 is fit for a header")
});

/// Finds a notice's sentences in the table of a tongue.
type Said = fn(&GatewaySentences) -> &[&'static str; 4];

/// A page of the gateway's own, in place of a spoke's answer.
pub(crate) struct Notice {
    status: StatusCode,
    said: Said,
    /// What fills the places of the sentences; a number is counted in the reader's tongue.
    name: String,
    domain: String,
    asked: u64,
}

impl Notice {
    fn new(status: StatusCode, said: Said) -> Self {
        Self {
            status,
            said,
            name: String::new(),
            domain: String::new(),
            asked: 0,
        }
    }

    fn named(status: StatusCode, said: Said, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::new(status, said)
        }
    }

    pub(crate) fn no_such_name(name: &str) -> Self {
        Self::named(StatusCode::NOT_FOUND, |s| &s.no_such_name, name)
    }

    pub(crate) fn foreign(name: &str, domain: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            ..Self::named(StatusCode::NOT_FOUND, |s| &s.foreign, name)
        }
    }

    pub(crate) fn no_address(name: &str) -> Self {
        Self::named(StatusCode::SERVICE_UNAVAILABLE, |s| &s.no_address, name)
    }

    pub(crate) fn dns_silent(name: &str) -> Self {
        Self::named(StatusCode::BAD_GATEWAY, |s| &s.dns_silent, name)
    }

    pub(crate) fn nobody_answered(name: &str, asked: usize) -> Self {
        Self {
            asked: asked as u64,
            ..Self::named(StatusCode::BAD_GATEWAY, |s| &s.nobody_answered, name)
        }
    }

    pub(crate) fn outcome_unknown(name: &str) -> Self {
        Self::named(StatusCode::BAD_GATEWAY, |s| &s.outcome_unknown, name)
    }

    pub(crate) fn unreadable_host() -> Self {
        Self::new(StatusCode::BAD_REQUEST, |s| &s.unreadable_host)
    }

    pub(crate) fn method_unknown() -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, |s| &s.method_unknown)
    }

    pub(crate) fn going_round() -> Self {
        Self::new(StatusCode::LOOP_DETECTED, |s| &s.going_round)
    }

    /// For a person as a page; for a program, which says so or asks the API, as a problem
    /// (RFC 9457). `domain` is the network's, `front` where the link to its front page leads.
    pub(crate) fn answer(&self, form: Form, domain: &str, front: &str) -> Response<Full<Bytes>> {
        let (kind, text) = match form {
            Form::Page(tongue) => ("text/html; charset=utf-8", self.page(tongue, domain, front)),
            Form::Problem => ("application/problem+json", self.problem()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
        // Protocol §6: the API is for any Origin, its failures too.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        }
        response
    }

    fn page(&self, tongue: Tongue, domain: &str, front: &str) -> String {
        let home = html! { bdi { (domain) } };
        let name = html! { bdi { (self.name) } };
        let places = [
            ("name", name),
            ("domain", home.clone()),
            ("spokes", html! { (self.spokes(tongue)) }),
        ];
        let [title, sentences @ ..] = (self.said)(GatewaySentences::of(tongue));
        let to_front = fill_markup(Words::of(tongue).to_front, &[("network", home.clone())]);
        html! {
            (DOCTYPE)
            html lang=(tongue.tag()) dir=(direction(tongue.tag()).as_str()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header { p { a href=(front) { (home) } } }
                    main {
                        h1 { (title) }
                        @for sentence in sentences { p { (fill_markup(sentence, &places)) } }
                        p { a href=(front) { (to_front) } }
                    }
                }
            }
        }
        .into_string()
    }

    /// In English, as all that programs read.
    fn problem(&self) -> String {
        let spokes = self.spokes(Tongue::English);
        let places = [
            ("name", self.name.as_str()),
            ("domain", &self.domain),
            ("spokes", &spokes),
        ];
        let [title, happened, safe, todo] =
            (self.said)(GatewaySentences::of(Tongue::English)).map(|text| fill(text, &places));
        json!({
            "type": "about:blank",
            "status": self.status.as_u16(),
            "title": title,
            "detail": format!("{happened} {safe} {todo}"),
        })
        .to_string()
    }

    fn spokes(&self, tongue: Tongue) -> String {
        counted(tongue, Counted::of(tongue).asked, self.asked)
    }
}

/// Who reads the notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A person, in the tongue that her browser would rather have.
    Page(Tongue),
    /// A program.
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
            let wish = head.headers.get(ACCEPT_LANGUAGE);
            let wish = wish.and_then(|wish| wish.to_str().ok()).unwrap_or_default();
            Self::Page(Tongue::accepted(wish))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::shell;
    use http::Request;

    const HOME: &str = "blogs.localhost";

    fn page(notice: &Notice, tongue: Tongue) -> String {
        notice.page(tongue, HOME, "//blogs.localhost/")
    }

    #[test]
    fn a_name_is_escaped() {
        let notice = Notice::no_such_name("<script>.blogs.localhost");
        for tongue in Tongue::ALL {
            let page = page(&notice, tongue);
            assert!(page.contains("&lt;script&gt;"), "{page}");
            assert!(!page.contains("<script>"), "{page}");
        }
    }

    #[test]
    fn a_notice_speaks_as_its_reader_does() {
        let notice = Notice::nobody_answered("maria.blogs.localhost", 2);
        let english = page(&notice, Tongue::English);
        assert!(
            english.contains("<html lang=\"en\" dir=\"ltr\">"),
            "{english}"
        );
        assert!(
            english.contains("2 spokes were asked for <bdi>maria.blogs.localhost</bdi>, and none"),
            "{english}"
        );
        let arabic = page(&notice, Tongue::Arabic);
        assert!(
            arabic.contains("<html lang=\"ar\" dir=\"rtl\">"),
            "{arabic}"
        );
        assert!(
            arabic.contains("سُئل خادمان عن <bdi>maria.blogs.localhost</bdi>"),
            "{arabic}"
        );
        assert!(notice.problem().contains("2 spokes were asked for maria."));
    }

    #[test]
    fn the_policy_allows_the_style_of_the_page_and_no_other() {
        let notice = Notice::going_round();
        let page = page(&notice, Tongue::English);
        let (_, rest) = page.split_once("<style>").expect("a style");
        let (style, _) = rest.split_once("</style>").expect("it ends");
        let hash = STANDARD.encode(Sha256::digest(style));
        let answer = notice.answer(Form::Page(Tongue::English), HOME, "//blogs.localhost/");
        let policy = &answer.headers()[CONTENT_SECURITY_POLICY];
        let allowed = format!("default-src 'none'; style-src 'sha256-{hash}'");
        assert_eq!(policy.to_str().unwrap(), allowed);
        assert!(page.len() < 3 * 1024, "{} bytes", page.len());
    }

    #[test]
    fn a_notice_has_the_colors_of_all_pages() {
        for line in STYLE.split(['{', ';', '}']).map(str::trim) {
            if line.starts_with("--") {
                assert!(shell::STYLE.contains(line), "{line}");
            }
        }
        assert!(STYLE.contains("--paper"));
    }

    #[test]
    fn programs_get_a_problem() {
        let form = |uri: &str, accept: &str, language: &str| {
            let request = Request::builder()
                .uri(uri)
                .header(ACCEPT, accept)
                .header(ACCEPT_LANGUAGE, language);
            Form::wanted(&request.body(()).unwrap().into_parts().0)
        };
        let html = "text/html,*/*;q=0.8";
        assert_eq!(form("/", html, "de"), Form::Page(Tongue::English));
        assert_eq!(
            form("/", html, "ar-EG,en;q=0.5"),
            Form::Page(Tongue::Arabic)
        );
        assert_eq!(form("/api/v1/network", "*/*", "ar"), Form::Problem);
        assert_eq!(form("/", "application/json", "ar"), Form::Problem);
    }
}
