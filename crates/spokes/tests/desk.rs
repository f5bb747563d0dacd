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
    desk::{Visitor, assert_refused},
    http::Reply,
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
