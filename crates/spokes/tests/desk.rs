//! Strangers at the writing desk: forms from other pages, other people's drafts, and words that would
//! like to run.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    thread,
    time::{Duration, Instant},
};

use common::{
    author::{Author, article, draft, random_key},
    demo::Demo,
    gpg::Gpg,
    http::{Reply, raw},
    wait_for,
};
use spokes_log::draft::{Grant, Role, Says};

/// What hostile authors write into every field of a form.
const VECTORS: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "' onfocus=alert(1) autofocus='",
    "javascript:alert(1)",
    "{{7*7}}<svg/onload=alert(1)>",
];

const URLENCODED: &str = "application/x-www-form-urlencoded";
/// One red pixel.
const PNG: &[u8] = &[
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0x0D, 0x49, 0x48, 0x44, 0x52, 0, 0, 0,
    1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xDE, 0, 0, 0, 0x0C, 0x49, 0x44, 0x41, 0x54,
    0x78, 0x9C, 0x63, 0xF8, 0xCF, 0xC0, 0, 0, 3, 1, 1, 0, 0xC9, 0xFE, 0x92, 0xEF, 0, 0, 0, 0, 0x49,
    0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
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
        self.send(method, path, &origin, URLENCODED, body.as_bytes())
    }

    fn send(&self, method: &str, path: &str, origin: &str, kind: &str, body: &[u8]) -> Reply {
        let head = format!(
            "{method} /_/desk{path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n{origin}Connection: close\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.host(),
            self.cookie,
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        raw(self.demo.address("a"), &request).unwrap()
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
        let reply = self.try_to_sign_in(&self.answer(), &self.gpg.public_key(), "");
        self.is_signed_in(&reply);
    }

    fn try_to_sign_in(&self, answer: &str, key: &str, blog: &str) -> Reply {
        self.post(
            "/sign-in",
            &[("answer", answer), ("key", key), ("blog", blog)],
        )
    }

    fn is_signed_in(&mut self, reply: &Reply) {
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

    /// Signed in with the key of somebody who has a blog.
    fn with_blog(demo: &'a Demo, author: &mut Author) -> Self {
        let mut visitor = Self::new(demo);
        let answer = author.clearsign(&visitor.get("/sign-in.txt").text());
        let key = author.key.certificate().armored();
        let reply = visitor.try_to_sign_in(&answer, &key, "");
        visitor.is_signed_in(&reply);
        visitor
    }

    /// Presses a button of the form in which one writes; gives the name of the draft.
    fn write(&self, button: &str, fields: &[(&str, &str)]) -> (Reply, String) {
        let key = self.form_key();
        let mut form = vec![("form", key.as_str()), ("do", button)];
        form.extend(fields);
        let reply = self.post("/write", &form);
        let id = draft_of(&reply);
        (reply, id)
    }

    /// The same with a picture that was chosen.
    fn write_with(&self, button: &str, fields: &[(&str, &str)], picture: &[u8]) -> Reply {
        let key = self.form_key();
        let mut form = vec![("form", key.as_str()), ("do", button)];
        form.extend(fields);
        let part = |name: &str| format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"");
        let mut body = Vec::new();
        for (name, value) in form {
            body.extend(format!("{}\r\n\r\n{value}\r\n", part(name)).bytes());
        }
        let head = format!("{}; filename=\"a.png\"\r\n\r\n", part("picture"));
        body.extend(head.bytes());
        body.extend([picture, b"\r\n--X--\r\n"].concat());
        self.send(
            "POST",
            "/write",
            "",
            "multipart/form-data; boundary=X",
            &body,
        )
    }

    fn publish(&self, draft: &str, answer: &str) -> Reply {
        let key = self.form_key();
        let form = [("form", key.as_str()), ("draft", draft), ("answer", answer)];
        self.post("/sign", &form)
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

    foreign_pages_send_nothing(&maria, &eves, &draft);
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
    guests_have_little_room(&maria);
    demo.assert_no_panic();
}

/// A page of somebody else sends a form in her name: another origin, or no key.
fn foreign_pages_send_nothing(maria: &Visitor<'_>, eves: &str, draft: &str) {
    let key = maria.form_key();
    let form = [
        ("form", key.as_str()),
        ("draft", draft),
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
    for wrong in ["", eves] {
        let form = [
            ("form", wrong),
            ("draft", draft),
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
}

fn guests_have_little_room(maria: &Visitor<'_>) {
    let key = maria.form_key();
    let more = [("form", key.as_str()), ("body", "More"), ("do", "save")];
    let statuses: Vec<u16> = (0..3).map(|_| maria.post("/write", &more).status).collect();
    assert_eq!(statuses, [303, 303, 413]);
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
    Author::with_blog(&demo, "maria", "c");
    let to = desk(&format!("maria.{domain}"))
        .header("location")
        .map(str::to_owned);
    assert!(
        to.as_deref().is_some_and(|to| to.contains("://c.spoke.")),
        "{to:?}"
    );
}

/// Nobody was signed in, and a sentence says why and what to do; what was pasted stays.
#[track_caller]
fn assert_refused(reply: &Reply, status: u16, answer: &str, sentences: &[&str]) {
    let page = reply.text();
    assert_eq!(reply.status, status, "{page}");
    assert!(reply.header("set-cookie").is_none());
    for sentence in sentences {
        assert!(page.contains(sentence), "\"{sentence}\" is not in {page}");
    }
    let nonce = answer.lines().find(|line| line.starts_with("Nonce: "));
    assert!(page.contains(nonce.unwrap()), "what was pasted is lost");
}

#[test]
fn a_key_that_its_blog_has_ended_signs_nobody_in() {
    let demo = Demo::start();
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let mut desk = Visitor::new(&demo);
    let challenge = |desk: &Visitor<'_>| desk.get("/sign-in.txt").text();
    let answer = maria.clearsign(&challenge(&desk));
    let reply = desk.try_to_sign_in(&answer, &maria.key.certificate().armored(), "");
    desk.is_signed_in(&reply);
    assert_eq!(desk.get("/write?blog=maria").status, 200);
    maria.post(&demo, "a", "before", "By her first key.");
    let behind = maria.parent.clone();

    // She adds another key, and ends the one that may be stolen.
    let next = random_key("Maria <maria@example.org>");
    let grant = Grant {
        fingerprint: next.certificate().fingerprint().clone(),
        role: Role::Own,
    };
    let ends = vec![maria.key.certificate().fingerprint().clone()];
    let armor = next.certificate().armored().trim().to_owned();
    let keys = |certificates, ends| Says::Keys {
        certificates,
        ends,
        recovery: None,
    };
    maria.say(&demo, "a", &draft(keys(vec![grant], vec![]), &armor));
    let mut thief = Author {
        key: std::mem::replace(&mut maria.key, next),
        name: "maria".to_owned(),
        parent: behind,
    };
    maria.say(&demo, "a", &draft(keys(vec![], ends), ""));

    let signed_out = || (!desk.get("/write").text().contains("Sign out")).then_some(());
    wait_for(
        "the registry ends her session",
        Duration::from_secs(10),
        signed_out,
    );
    let stolen = thief.key.certificate().armored();
    for (key, blog) in [(stolen.as_str(), ""), ("", "maria"), (&stolen, "maria")] {
        let answer = thief.clearsign(&challenge(&desk));
        let reply = desk.try_to_sign_in(&answer, key, blog);
        let sentences = ["That key has ended", "Sign in with one of those"];
        assert_refused(&reply, 403, &answer, &sentences);
    }
    let answer = maria.clearsign(&challenge(&desk));
    let reply = desk.try_to_sign_in(&answer, "", "maria");
    desk.is_signed_in(&reply);
    assert_eq!(desk.get("/write?blog=maria").status, 200);

    // Nor does it write on a branch of its own. What it wrote in its time stands.
    let theft = thief.sign(&draft(Says::Post(article("theft")), "Not hers."));
    let reply = thief.send(demo.address("a"), &theft).unwrap();
    assert!(
        reply.status >= 400 && reply.detail().contains("ended"),
        "{}",
        reply.text()
    );
    maria.post(&demo, "a", "after", "By her next key.");
    for label in demo.members("maria") {
        for (path, status) in [("/before", 200), ("/after", 200), ("/theft", 404)] {
            wait_for("each member has it", Duration::from_secs(10), || {
                (demo.http(&label, "maria", path).status == status).then_some(())
            });
        }
    }
    demo.assert_no_panic();
}

#[test]
fn a_key_that_gpg_revoked_signs_nobody_in_whoever_shows_an_older_one() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Visitor::new(&demo);
    maria.sign_in();
    let old = maria.gpg.public_key();
    let answers: Vec<String> = (0..4).map(|_| maria.answer()).collect();
    maria.gpg.revoke();
    let revoked = maria.gpg.public_key();
    let sentences = ["cannot be used", "it is revoked", "or use another key"];
    let reply = maria.try_to_sign_in(&answers[0], &revoked, "");
    assert_refused(&reply, 422, &answers[0], &sentences);
    assert!(!maria.get("/write").text().contains("Sign out"));
    // A thief has the key as it was.
    let reply = maria.try_to_sign_in(&answers[1], &old, "");
    assert_refused(&reply, 422, &answers[1], &sentences);
    let sentences = ["not good", "it is revoked", "a key that is good today"];
    let reply = maria.try_to_sign_in(&answers[2], "", "");
    assert_refused(&reply, 403, &answers[2], &sentences);

    // One that was never shown here before it was revoked.
    let nadia = Visitor::new(&demo);
    let answer = nadia.answer();
    nadia.gpg.revoke();
    let reply = nadia.try_to_sign_in(&answer, &nadia.gpg.public_key(), "");
    let sentences = ["cannot be used", "it is revoked", "or use another key"];
    assert_refused(&reply, 422, &answer, &sentences);
    demo.assert_no_panic();
}

#[test]
fn the_seventeenth_at_the_desk_comes_again_and_loses_nothing() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Visitor::new(&demo);
    maria.sign_in();
    let (key, eve) = (maria.form_key(), Visitor::new(&demo));
    let public = eve.gpg.public_key();
    let answers: Vec<String> = (0..16).map(|_| eve.answer()).collect();
    // The disk is slow: sixteen stand at the desk, and wait to be written down.
    let file = demo.node("a").data.join("desk.db");
    let slow = rusqlite::Connection::open(file).unwrap();
    slow.execute_batch("BEGIN IMMEDIATE").unwrap();
    let sign_in = |answer| eve.try_to_sign_in(answer, &public, "");
    thread::scope(|scope| {
        let sixteen: Vec<_> = answers
            .iter()
            .map(|answer| scope.spawn(|| sign_in(answer)))
            .collect();
        thread::sleep(Duration::from_millis(500));
        let began = Instant::now();
        let form = [
            ("form", key.as_str()),
            ("title", "Our meeting"),
            ("body", "We were nine people."),
            ("do", "save"),
        ];
        let reply = maria.post("/write", &form);
        let page = reply.text();
        assert_eq!(reply.status, 503, "{page}");
        assert_eq!(reply.header("retry-after"), Some("5"));
        for words in [
            "The desk is busy",
            "send it again",
            "Our meeting",
            "We were nine people.",
        ] {
            assert!(page.contains(words), "\"{words}\" is not in {page}");
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        slow.execute_batch("ROLLBACK").unwrap();
        for one in sixteen {
            let reply = one.join().unwrap();
            assert!([303, 503].contains(&reply.status), "{}", reply.text());
        }
        assert_eq!(maria.post("/write", &form).status, 303, "it goes on");
    });
    demo.assert_no_panic();
}

/// The draft to which an answer leads.
fn draft_of(reply: &Reply) -> String {
    let to = reply.header("location").unwrap_or_default();
    let id = to.split("draft=").nth(1).unwrap_or_default();
    id.split('&').next().unwrap_or_default().to_owned()
}

/// The sentences stand on the page.
#[track_caller]
fn assert_says(page: &Reply, status: u16, sentences: &[&str]) {
    let text = page.text();
    assert_eq!(page.status, status, "{text}");
    for sentence in sentences {
        assert!(text.contains(sentence), "\"{sentence}\" is not in {text}");
    }
}

#[test]
fn an_older_file_publishes_nothing_and_takes_no_draft_along() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let desk = Visitor::with_blog(&demo, &mut maria);
    let text = |draft: &str| desk.get(&format!("/text/{draft}.txt"));
    let file = |reply: &Reply| {
        let said = reply.header("content-disposition").unwrap().to_owned();
        said.split('"').nth(1).unwrap().to_owned()
    };
    let typed = |title, body| [("blog", "maria"), ("title", title), ("body", body)];
    let (_, first) = desk.write("sign", &typed("Our meeting/it's & $HOME", "We were nine."));
    let first_text = text(&first);
    let old = maria.clearsign(&first_text.text());
    let published = desk.publish(&first, &old);
    let to = published.header("location").unwrap();
    let page = desk.get(to.strip_prefix("/_/desk").unwrap());
    assert_says(&page, 200, &["/_/desk/write?blog=maria&amp;edit=sha256-"]);
    let (_, second) = desk.write("sign", &typed("The dog", "It barked at us."));
    let second_text = text(&second);
    // Each text has a file of its own, in words that a shell leaves alone.
    let names = [file(&first_text), file(&second_text)];
    assert!(names[0].starts_with("maria-our-meeting"), "{names:?}");
    for name in &names {
        let plain = name.strip_suffix(".txt").unwrap();
        assert!(
            plain
                .bytes()
                .all(|b| b == b'-' || b.is_ascii_alphanumeric())
        );
        assert!(name.len() <= 60, "{name}");
    }
    let sign = desk.get(&format!("/sign?draft={second}")).text();
    assert!(sign.contains(&format!(" {}</code>", names[1])), "{sign}");

    // She signs the first file again: it is published, as every reader knows, and her words are not.
    let refused = desk.publish(&second, &old);
    let sentences = [
        "You signed another text",
        "Our meeting/it's &amp; $HOME",
        "Nothing was published, and your draft is kept",
        &names[1],
        "(1)",
    ];
    assert_says(&refused, 409, &sentences);
    let kept = desk.get(&format!("/write?draft={second}"));
    assert_says(&kept, 200, &["It barked at us."]);

    // Nor does the text of a draft that was changed since stand for what it says now.
    let before = maria.clearsign(&second_text.text());
    let mut changed = typed("The dog", "It sang to us.").to_vec();
    changed.push(("draft", &second));
    desk.write("save", &changed);
    let sentences = [
        "changed meanwhile",
        "Nothing was published",
        "It sang to us.",
    ];
    assert_says(&desk.publish(&second, &before), 409, &sentences);
    desk.write("sign", &changed);
    let other = text(&second);
    assert_ne!(file(&other), names[1]);
    assert_says(
        &desk.publish(&second, &before),
        409,
        &["You signed another text"],
    );
    let signed = maria.clearsign(&other.text());
    assert_eq!(desk.publish(&second, &signed).status, 303);
    assert_eq!(desk.get(&format!("/write?draft={second}")).status, 404);
    let post = wait_for("the post is there", Duration::from_secs(10), || {
        let reply = demo.http("a", "maria", "/the-dog");
        (reply.status == 200).then(|| reply.text())
    });
    assert!(post.contains("It sang to us."), "{post}");
    demo.assert_no_panic();
}

#[test]
fn an_older_file_asks_for_no_other_name() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Visitor::new(&demo);
    maria.sign_in();
    let key = maria.form_key();
    let ask = |name| {
        let form = [("form", key.as_str()), ("name", name), ("language", "en")];
        let page = maria.post("/blog", &form).text();
        let (_, rest) = page.split_once("/asked/").unwrap();
        let id = rest.split('.').next().unwrap().to_owned();
        let text = maria.get(&format!("/asked/{id}.txt")).text();
        (id, maria.gpg.clearsign(&text))
    };
    let (_, old) = ask("mistyped");
    let (id, right) = ask("maria");
    let send = |answer: &str| {
        let form = [
            ("form", key.as_str()),
            ("name", "maria"),
            ("language", "en"),
            ("id", &id),
            ("answer", answer),
        ];
        maria.post("/blog/sign", &form)
    };
    let sentences = [
        "You signed another text",
        "mistyped",
        "Nothing was asked for",
    ];
    assert_says(&send(&old), 409, &sentences);
    assert_eq!(send(&right).status, 303);
    demo.assert_no_panic();
}

#[test]
fn a_chosen_picture_comes_along_whichever_button_is_pressed() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let desk = Visitor::with_blog(&demo, &mut maria);
    for button in ["save", "preview", "sign", "picture", "leave"] {
        let desk = match button {
            "leave" => Visitor::with_blog(&demo, &mut maria),
            _ => Visitor {
                demo: &demo,
                gpg: Gpg::new("Nobody <n@example.org>"),
                cookie: desk.cookie.clone(),
            },
        };
        let title = format!("By {button}");
        let typed = [
            ("blog", "maria"),
            ("title", title.as_str()),
            ("body", "A day."),
            ("alt", "Nine people"),
        ];
        let reply = desk.write_with(button, &typed, PNG);
        assert_eq!(reply.status, 303, "{button}: {}", reply.text());
    }
    let home = desk.get("");
    let drafts: Vec<String> = home
        .text()
        .split("/write?draft=")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(drafts.len(), 5);
    for draft in drafts {
        let kept = desk.get(&format!("/write?draft={draft}"));
        assert_says(&kept, 200, &["A day.", "![Nine people](/media/sha256-"]);
    }

    // A file that is no picture, or an address that is none: what it shows is kept, and the words.
    let alt = "id=\"alt\" name=\"alt\" value=\"Nine people\"";
    let typed = [
        ("blog", "maria"),
        ("title", "T"),
        ("body", "Words"),
        ("alt", "Nine people"),
    ];
    for button in ["picture", "save", "sign"] {
        let reply = desk.write_with(button, &typed, b"no picture");
        let sentences = ["PNG, JPEG, GIF or WebP", "Your draft is kept", "Words", alt];
        assert_says(&reply, 422, &sentences);
        assert!(
            !reply.text().contains("AVIF"),
            "one list of kinds on one page"
        );
        // What is kept can be read in the other tongue.
        assert!(reply.text().contains("&amp;ui=ar"), "{}", reply.text());
    }
    let mut bad = typed.to_vec();
    bad.push(("slug", "a b"));
    assert_says(&desk.write("sign", &bad).0, 422, &["Words", alt]);
    let reply = desk.write_with("sign", &bad, PNG);
    assert_says(
        &reply,
        422,
        &["![Nine people](/media/sha256-", "value=\"Nine people\""],
    );
    // Where nothing is kept, nothing says so.
    let long = "x".repeat(spokes_log::draft::BODY_BYTES_MAX + 1);
    let (reply, _) = desk.write("save", &[("blog", "maria"), ("body", &long)]);
    assert_says(&reply, 413, &["not kept so"]);
    assert!(!reply.text().contains("Your draft is kept"));
    demo.assert_no_panic();
}

#[test]
fn who_signs_out_while_she_writes_finds_her_words_again() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Visitor::new(&demo);
    maria.sign_in();
    let page = maria.get("/write").text();
    let button = "<button form=\"writing\" name=\"do\" value=\"leave\"";
    assert!(
        page.contains(button) && page.contains("id=\"writing\""),
        "{page}"
    );
    assert!(!page.contains("/sign-out"), "no other way out of this page");
    assert!(page.contains("YYYY-MM-DD"), "{page}");
    let (reply, _) = maria.write("leave", &[("title", "Half a"), ("body", "sentence")]);
    assert_eq!(reply.header("location"), Some("/_/desk?said=out"));
    assert_eq!(reply.header("clear-site-data"), Some("\"cache\""));
    let out = maria.get("?said=out");
    assert_says(&out, 200, &["Saved drafts wait here until you come back."]);
    maria.sign_in();
    let home = maria.get("").text();
    let (_, rest) = home.split_once("/write?draft=").unwrap();
    let draft = rest.split('"').next().unwrap();
    assert_says(
        &maria.get(&format!("/write?draft={draft}")),
        200,
        &["Half a", "sentence"],
    );

    // An empty form leaves nothing behind, whichever button is pressed.
    for button in ["sign", "save", "preview"] {
        let (reply, _) = maria.write(button, &[("title", " "), ("language", "en")]);
        assert_says(&reply, 422, &["nothing to keep yet"]);
        assert!(!reply.text().contains("draft is kept"), "{}", reply.text());
    }
    assert_eq!(maria.get("").text().matches("/write?draft=").count(), 1);
    assert_eq!(maria.write("leave", &[("body", "\n")]).0.status, 303);
    maria.sign_in();
    assert_eq!(maria.get("").text().matches("/write?draft=").count(), 1);

    // One click deletes nothing.
    let page = maria.get(&format!("/write?draft={draft}")).text();
    let (_, rest) = page
        .split_once("<summary>Delete this draft</summary>")
        .unwrap();
    let folded = rest.split("</details>").next().unwrap();
    assert!(folded.contains("Delete it for good"), "{folded}");
    assert_eq!(page.matches("/_/desk/delete").count(), 1);
    demo.assert_no_panic();
}

#[test]
fn who_comes_to_the_desk_for_the_first_time_is_told_what_to_do() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Visitor::new(&demo);
    let eve = Visitor::new(&demo);
    let page = maria.get("").text();
    let (_, rest) = page.split_once("/_/desk/sign-in-").unwrap();
    let file = format!("sign-in-{}", rest.split('"').next().unwrap());
    assert!(
        page.contains(&format!("gpg --clearsign {file}</code>")),
        "{page}"
    );
    let saved = maria.get(&format!("/{file}"));
    assert!(saved.text().contains("Nonce: "), "{}", saved.text());
    let named = saved.header("content-disposition").unwrap();
    assert!(named.contains(&format!("\"{file}\"")), "{named}");
    assert!(
        !maria.get("").text().contains(&file),
        "each page has its own"
    );
    // The command names one key.
    assert!(page.contains("--export you@example.org"), "{page}");
    let answer = maria.answer();
    let refused = |key: &str, blog: &str| maria.try_to_sign_in(&answer, key, blog);

    let ring = eve.gpg.import(&maria.gpg.public_key());
    let sentences = ["several keys", "--export you@example.org", "?ui=ar"];
    assert_refused(&refused(&ring, ""), 422, &answer, &sentences);

    let secret = maria.gpg.secret_key();
    let reply = refused(&secret, "");
    let sentences = [
        "your secret key",
        "gone over the line",
        "known to others",
        "?ui=ar",
    ];
    assert_refused(&reply, 422, &answer, &sentences);
    assert!(!reply.text().contains("PRIVATE KEY BLOCK"), "it comes back");
    let reply = maria.try_to_sign_in(&secret, "", "");
    assert_says(&reply, 422, &["your secret key"]);
    assert!(!reply.text().contains("PRIVATE KEY BLOCK"), "it comes back");

    let reply = refused(&maria.gpg.public_key(), "only-wanted");
    let sentences = ["no blog of that name", "after signing in"];
    assert_refused(&reply, 404, &answer, &sentences);
    let reply = refused(&maria.gpg.public_key(), "");
    maria.is_signed_in(&reply);
    let again = maria.try_to_sign_in(&answer, "", "");
    let sentences = ["Perhaps you pasted an older sign-in file", "(1)"];
    assert_refused(&again, 403, &answer, &sentences);

    let key = maria.form_key();
    let ask = [
        ("form", key.as_str()),
        ("name", "a"),
        ("title", "Our & house"),
        ("language", "en"),
    ];
    let page = maria.post("/blog", &ask);
    let other = "/_/desk/blog?name=a&amp;title=Our+%26+house&amp;language=en&amp;uid=&amp;ui=ar";
    assert_says(&page, 422, &["That name does not work", other]);
    assert!(!page.text().contains("drafts are kept"), "{}", page.text());
    let page = maria.get("/blog?name=a&title=Our+%26+house&ui=ar");
    assert_says(&page, 200, &["value=\"Our &amp; house\""]);
    demo.assert_no_panic();
}
