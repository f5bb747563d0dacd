//! Strangers at the writing desk: forms from other pages, other people's drafts, and words that would
//! like to run.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use common::{
    demo::Demo,
    gpg::Gpg,
    http::{Reply, raw},
};

/// What hostile authors write into every field of a form.
const VECTORS: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "' onfocus=alert(1) autofocus='",
    "javascript:alert(1)",
    "{{7*7}}<svg/onload=alert(1)>",
];

/// Somebody with a key at spoke a's desk.
struct Visitor<'a> {
    demo: &'a Demo,
    gpg: Gpg,
    cookie: String,
}

impl<'a> Visitor<'a> {
    fn new(demo: &'a Demo) -> Self {
        Self {
            demo,
            gpg: Gpg::new("Somebody <s@example.org>"),
            cookie: String::new(),
        }
    }

    fn host(&self) -> String {
        format!("a.spoke{}", self.demo.host("").trim_end_matches('.'))
    }

    fn ask(&self, method: &str, path: &str, origin: Option<&str>, form: &[(&str, &str)]) -> Reply {
        let mut body = ammonia::url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let body = body.finish();
        let origin = origin
            .map(|origin| format!("Origin: {origin}\r\n"))
            .unwrap_or_default();
        let head = format!(
            "{method} /_/desk{path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n{origin}Connection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.host(),
            self.cookie,
            body.len()
        );
        raw(self.demo.address("a"), head.as_bytes()).unwrap()
    }

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, None, &[])
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        self.ask("POST", path, None, form)
    }

    fn answer(&self) -> String {
        self.gpg.clearsign(&self.get("/sign-in.txt").text())
    }

    fn sign_in(&mut self) {
        let reply = self.post(
            "/sign-in",
            &[("answer", &self.answer()), ("key", &self.gpg.public_key())],
        );
        assert_eq!(reply.status, 303, "{}", reply.text());
        let cookie = reply.header("set-cookie").unwrap();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
            "{cookie}"
        );
        assert!(!cookie.contains("Domain"), "{cookie}");
        cookie
            .split(';')
            .next()
            .unwrap()
            .clone_into(&mut self.cookie);
    }

    /// What forms of this session bring.
    fn form_key(&self) -> String {
        let page = self.get("/write").text();
        let (_, rest) = page.split_once("name=\"form\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

#[test]
fn nobody_writes_for_others_or_reads_their_drafts() {
    let demo = Demo::start();
    let (mut maria, mut eve) = (Visitor::new(&demo), Visitor::new(&demo));
    maria.sign_in();
    eve.sign_in();
    let key = maria.form_key();
    let kept = maria.post(
        "/write",
        &[
            ("form", &key),
            ("title", "Mine"),
            ("body", "Private words"),
            ("do", "save"),
        ],
    );
    assert_eq!(kept.status, 303, "{}", kept.text());
    let draft = kept
        .header("location")
        .unwrap()
        .split("draft=")
        .nth(1)
        .unwrap();
    let draft = draft.split('&').next().unwrap().to_owned();
    for path in [
        format!("/write?draft={draft}"),
        format!("/sign?draft={draft}"),
        format!("/text/{draft}.txt"),
    ] {
        let reply = eve.get(&path);
        assert!(
            !reply.text().contains("Private words"),
            "{path}: {}",
            reply.text()
        );
    }
    let eves = eve.form_key();
    let over = [
        ("form", eves.as_str()),
        ("draft", &draft),
        ("body", "Eve was here"),
        ("do", "save"),
    ];
    let refused = eve.post("/write", &over);
    assert_eq!(refused.status, 404, "{}", refused.text());
    assert!(
        refused.text().contains("Eve was here"),
        "what was typed is not lost"
    );
    eve.post("/delete", &[("form", &eves), ("draft", &draft)]);
    assert!(
        maria
            .get(&format!("/write?draft={draft}"))
            .text()
            .contains("Private words")
    );

    // A page of somebody else sends a form in her name: another origin, or no key.
    let form = [
        ("form", key.as_str()),
        ("draft", &draft),
        ("body", "Not hers"),
        ("do", "save"),
    ];
    for origin in [
        "http://evil.example",
        "null",
        "http://b.spoke.blogs.localhost",
    ] {
        let reply = maria.ask("POST", "/write", Some(origin), &form);
        assert_eq!(reply.status, 403, "{origin}: {}", reply.text());
    }
    for wrong in ["", eves.as_str()] {
        let form = [
            ("form", wrong),
            ("draft", &draft),
            ("body", "Not hers"),
            ("do", "save"),
        ];
        assert_eq!(maria.post("/write", &form).status, 403);
    }
    assert!(
        maria
            .get(&format!("/write?draft={draft}"))
            .text()
            .contains("Private words")
    );
    // An answer that Eve got Maria to sign for Eve's own name is Maria's, not Eve's.
    let answer = maria.answer();
    let stolen = eve.post(
        "/sign-in",
        &[("answer", &answer), ("key", &eve.gpg.public_key())],
    );
    assert_ne!(
        stolen.header("set-cookie").map(str::to_owned),
        Some(eve.cookie.clone())
    );
    // Too many drafts of somebody without a blog.
    let more = [("form", key.as_str()), ("body", "More"), ("do", "save")];
    let statuses: Vec<u16> = (0..3).map(|_| maria.post("/write", &more).status).collect();
    assert_eq!(statuses, [303, 303, 413]);
    demo.assert_no_panic();
}

#[test]
fn hostile_words_in_forms_stay_words() {
    let demo = Demo::start();
    let mut eve = Visitor::new(&demo);
    eve.sign_in();
    let key = eve.form_key();
    for vector in VECTORS {
        let fields = [
            "title", "body", "slug", "tags", "language", "date", "name", "uid", "blog", "key",
            "answer",
        ];
        let mut form = vec![("form", key.as_str()), ("do", "sign")];
        form.extend(fields.map(|field| (field, vector)));
        let quoted: String =
            ammonia::url::form_urlencoded::byte_serialize(vector.as_bytes()).collect();
        let nowhere = format!("/{quoted}");
        for path in [
            "/write",
            "/blog",
            "/blog/sign",
            "/sign",
            "/sign-in",
            "/delete",
            &nowhere,
        ] {
            let page = eve.post(path, &form);
            assert_harmless(vector, &page);
        }
        let query = format!("/find?name={quoted}&ui={quoted}");
        assert_harmless(vector, &eve.get(&query));
    }
    let secret = eve.post(
        "/sign-in",
        &[
            ("answer", &eve.answer()),
            ("key", "-----BEGIN PGP PRIVATE KEY BLOCK-----"),
        ],
    );
    assert!(secret.header("set-cookie").is_none());
    demo.assert_no_panic();
}

fn assert_harmless(vector: &str, page: &Reply) {
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(
        page.status == 303 || policy.contains("default-src 'none'"),
        "{vector}: {policy}"
    );
    let text = page.text();
    for tag in [
        "<script",
        "<img src=x",
        "<svg",
        "\" onfocus",
        "href=\"javascript",
    ] {
        assert!(!text.contains(tag), "{tag} in {text}");
    }
}

#[test]
fn the_desk_is_found_from_everywhere() {
    let demo = Demo::start();
    let desk = |host: &str| common::http::get(demo.address("b"), host, "/_/desk");
    let domain = demo.host("");
    let domain = domain.trim_start_matches('.');
    let port = demo.address("b").port();
    for host in [domain, "localhost", "127.0.2.2"] {
        let to = desk(host).header("location").map(str::to_owned);
        assert!(
            to.is_some_and(|to| to.ends_with("/_/desk") && to.contains("://b.spoke.")),
            "{host}"
        );
    }
    assert_eq!(desk(&format!("b.spoke.{domain}:{port}")).status, 200);
    assert_eq!(desk(&format!("a.spoke.{domain}")).status, 421);
    common::author::Author::with_blog(&demo, "maria", "c");
    let to = desk(&format!("maria.{domain}"))
        .header("location")
        .map(str::to_owned);
    assert!(
        to.as_deref().is_some_and(|to| to.contains("://c.spoke.")),
        "{to:?}"
    );
}
