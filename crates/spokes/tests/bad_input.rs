//! Whatever a client sends: the right status, a sentence that says what to do, and no harm done.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use common::{
    author::{Author, Signed, article, draft, now, picture, put, random_key},
    demo::Demo,
    http::{self, Reply},
};
use serde_json::json;
use spokes_log::{
    draft::{Medium, Says},
    name::Hash,
};

/// Maria's blog on `a`, with one post, and the tools to spoil another.
struct Desk {
    demo: Demo,
    maria: Author,
    first: Signed,
}

impl Desk {
    fn to(&self) -> SocketAddr {
        self.demo.address("a")
    }

    fn send(&self, body: &str) -> Reply {
        http::post(self.to(), "/api/v1/blogs/maria/entries", body).unwrap()
    }

    /// A good next entry, not sent.
    fn next(&mut self, slug: &str) -> Signed {
        self.maria
            .sign(&draft(Says::Post(article(slug)), "Some words."))
    }

    /// The text of a good next entry, changed, then signed.
    fn changed(&mut self, from: &str, to: &str) -> String {
        let text = self.next("changed").entry.text().to_owned();
        assert!(text.contains(from), "{from} is not in {text}");
        let text = text.replace(from, to);
        // The hash is made anew, so that the change itself is what is refused.
        let (skeleton, content) = text.split_once("\n\n").unwrap();
        let (lines, _) = skeleton.rsplit_once('\n').unwrap();
        let (hash, bytes) = (Hash::of(content.as_bytes()), content.len());
        let text = format!("{lines}\nContent: {hash} {bytes}\n\n{content}");
        self.maria.wire_of(&text, now())
    }
}

/// The answer is this refusal, in a sentence; nothing of ours shows through.
fn refused(what: &str, reply: &Reply, status: u16, kind: &str) {
    let told = (reply.status, reply.kind());
    assert_eq!(told, (status, kind.to_owned()), "{what}: {}", reply.text());
    let detail = reply.detail();
    let sentence = detail.len() > 15 && detail.contains(' ');
    let inside = [
        "Error(", "Some(", "None", "panicked", "src/", "::", "struct ", "Wire", "u64", "usize",
    ];
    let bare = inside.iter().all(|word| !detail.contains(word));
    assert!(
        sentence && bare,
        "{what}: \"{detail}\" says nothing to a person"
    );
    eprintln!("{status} {kind:12} {what}: {detail}");
}

#[test]
fn wrong_requests_get_a_sentence_and_do_no_harm() {
    let demo = Demo::start();
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let first = maria.post(&demo, "a", "first", "The first words.");
    let mut desk = Desk { demo, maria, first };
    wrong_signatures(&mut desk);
    wrong_texts(&mut desk);
    wrong_places(&mut desk);
    wrong_media(&mut desk);
    wrong_names(&mut desk);
    wrong_requests(&desk);
    odd_paths(&desk);
    odd_hosts(&desk);
    odd_connections(&desk);
    desk.maria
        .post(&desk.demo, "b", "after-all", "It works as before.");
    Author::with_blog(&desk.demo, "nadia", "c");
    desk.demo.assert_no_panic();
}

fn wrong_signatures(desk: &mut Desk) {
    let good = desk.next("signed");
    let own = std::mem::replace(&mut desk.maria.key, random_key("Mallory <m@example.org>"));
    let forged = desk.maria.wire_of(good.entry.text(), now());
    refused("another key", &desk.send(&forged), 422, "invalid");
    let named = desk.next("named");
    refused("another author", &desk.send(&named.json), 422, "invalid");
    desk.maria.key = own;
    let other = good.json.replace("Some words.", "Other word.");
    refused("other bytes", &desk.send(&other), 422, "invalid");
    let unsigned = json!({ "text": good.entry.text(), "signatures": [] }).to_string();
    refused("no signature", &desk.send(&unsigned), 422, "invalid");
    let noise = json!({ "text": good.entry.text(), "signatures": ["wsBzBAEBCAAn"] }).to_string();
    refused("a torn signature", &desk.send(&noise), 422, "invalid");
    let late = desk
        .maria
        .wire_of(good.entry.text(), now() + 2 * 24 * 3_600);
    refused("signed two days late", &desk.send(&late), 422, "invalid");
    let skeleton = good.entry.erased();
    let bare = json!({ "text": skeleton.text(), "signatures": [] }).to_string();
    let reply = desk.send(&bare);
    assert!(
        matches!(reply.status, 410 | 422),
        "a bare skeleton: {}",
        reply.text()
    );
}

fn wrong_texts(desk: &mut Desk) {
    let changes = [
        ("a blank at a line's end", "Some words.", "Some words. "),
        ("an empty line at the end", "Some words.", "Some words.\n"),
        ("a carriage return", "Some words.", "Some\r\nwords."),
        ("a NUL", "Some words.", "Some\u{0}words."),
        ("a byte order mark", "Some words.", "\u{feff}Some words."),
        ("lines in another order", "Date: ", "Slug: x\nDate: "),
        (
            "a line twice",
            "Slug: changed",
            "Slug: changed\nSlug: changed",
        ),
        ("a leading zero", "Sequence: ", "Sequence: 0"),
        ("a lower-case fingerprint", "Author: ", "Author: a"),
        ("another first line", "Spokes-Entry: 1", "Spokes-Sign-In: 1"),
        ("a bad slug", "Slug: changed", "Slug: ../changed"),
        ("a system slug", "Slug: changed", "Slug: feed.atom"),
        (
            "an override in a title",
            "Title: About",
            "Title: \u{202e}About",
        ),
    ];
    for (what, from, to) in changes {
        let body = desk.changed(from, to);
        refused(what, &desk.send(&body), 422, "invalid");
    }
    let large = "x".repeat(2 * 1024 * 1024);
    let body = json!({ "text": large, "signatures": [] }).to_string();
    let reply = desk.send(&body);
    assert!(
        matches!(reply.status, 413 | 422),
        "two MiB: {}",
        reply.text()
    );
    assert!(!reply.detail().is_empty());
    for garbage in [
        "",
        "{",
        "[]",
        "null",
        "{\"text\":7}",
        "\u{1}\u{2}",
        "-----BEGIN PGP SIGNED MESSAGE-----",
    ] {
        refused("garbage", &desk.send(garbage), 422, "invalid");
    }
    // A certificate that others have flooded with their signatures, as it comes from a key server.
    let flood = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n".to_owned() + &"mDMEZ\n".repeat(10 << 17);
    let body = json!({ "text": flood, "signatures": [] }).to_string();
    refused("ten MB", &desk.send(&body), 413, "too-large");
    let deep = "[".repeat(100_000);
    refused("deep JSON", &desk.send(&deep), 422, "invalid");
}

fn wrong_places(desk: &mut Desk) {
    let body = desk.changed("Sequence: 2", "Sequence: 3");
    refused("a gap", &desk.send(&body), 422, "invalid");
    let before = desk.first.entry.skeleton().previous.unwrap().to_string();
    let body = desk.changed(
        &desk.first.id().to_string(),
        &Hash::of(b"nobody").to_string(),
    );
    refused("an unknown parent", &desk.send(&body), 409, "missing");
    let body = desk
        .changed(&desk.first.id().to_string(), &before)
        .replace("Sequence: 2", "Sequence: 1");
    let reply = desk.send(&body);
    assert!(
        matches!(reply.kind().as_str(), "stale" | "invalid"),
        "{}",
        reply.text()
    );
    let other = desk
        .changed("Blog: sha256:", "Blog: sha256:f")
        .replace("Blog: sha256:ff", "Blog: sha256:f");
    assert_eq!(desk.send(&other).status, 422);
    let slug = desk.next("first");
    refused(
        "a slug that is taken",
        &desk.send(&slug.json),
        409,
        "slug-taken",
    );
    let parent = desk.maria.parent.clone();
    let says = draft(Says::Post(article("future")), "From the future.");
    let future = desk.maria.sign_at(&says, parent.as_ref(), now() + 3_600);
    refused(
        "signed an hour ahead",
        &desk.send(&future.json),
        409,
        "refused",
    );
    let stale = desk.first.clone();
    assert_eq!(
        desk.send(&stale.json).status,
        201,
        "a known entry answers like a new one"
    );
}

fn wrong_media(desk: &mut Desk) {
    let (bytes, medium) = picture("a");
    let to = desk.to();
    refused(
        "a medium that nobody lists",
        &put(to, "maria", medium.hash, &bytes),
        404,
        "unlisted",
    );
    let script = b"<script>alert(1)</script>".to_vec();
    let lie = Medium {
        hash: Hash::of(&script),
        bytes: script.len() as u64,
        ..medium.clone()
    };
    let short = Medium {
        hash: Hash::of(b"\x89PNG short"),
        bytes: 3,
        ..medium.clone()
    };
    let mut post = article("with-media");
    post.media = vec![medium.clone(), lie.clone(), short.clone()];
    let signed = desk.maria.sign(&draft(Says::Post(post), "Look."));
    let reply = desk.send(&signed.json);
    assert_eq!(
        (reply.status, &reply.json()["status"]),
        (202, &"staged".into()),
        "{}",
        reply.text()
    );
    assert_eq!(reply.json()["missing_media"].as_array().unwrap().len(), 3);
    refused(
        "other bytes",
        &put(to, "maria", medium.hash, b"\x89PNG other"),
        422,
        "invalid",
    );
    refused(
        "a script as a picture",
        &put(to, "maria", lie.hash, &script),
        422,
        "invalid",
    );
    refused(
        "another size",
        &put(to, "maria", short.hash, b"\x89PNG short"),
        422,
        "invalid",
    );
    assert_eq!(put(to, "maria", medium.hash, &bytes).status, 201);
    assert_eq!(put(to, "maria", medium.hash, &bytes).status, 200);
    assert_eq!(
        desk.send(&signed.json).status,
        202,
        "still staged: two are missing"
    );
    refused(
        "nobody's medium",
        &put(to, "nobody", medium.hash, &bytes),
        404,
        "no-such-blog",
    );
    for hash in ["sha256-", "sha256-00", "..%2f..%2fnode.key", "sha256-%00"] {
        let path = format!("/api/v1/blogs/maria/media/{hash}");
        let reply = http::request(to, "PUT", "x", &path, &[], b"x").unwrap();
        refused(hash, &reply, 422, "invalid");
    }
}

fn wrong_names(desk: &mut Desk) {
    let network = desk.demo.network.clone();
    let to = desk.to();
    let claim = |name: &str, network: &str, not_after| {
        let mut sly = Author::new("sly");
        let first = sly.first(network, name, not_after);
        http::post(to, &format!("/api/v1/blogs/{name}/entries"), &first.json).unwrap()
    };
    let soon = now() + 600;
    refused(
        "a taken name",
        &claim("maria", &network, soon),
        409,
        "taken",
    );
    for name in ["www", "admin", "ns1", "edit", "spoke"] {
        refused(name, &claim(name, &network, soon), 409, "taken");
    }
    let expired = claim("expired", &network, now() - 600);
    refused("an expired claim", &expired, 409, "refused");
    let far = claim("far-ahead", &network, now() + 90 * 24 * 3_600);
    refused("a claim for three months", &far, 409, "refused");
    let other = claim("elsewhere", &Hash::of(b"other").to_string(), soon);
    refused("a claim for another network", &other, 409, "refused");
    for name in [
        "ab", "-ab", "ab-", "xn--ab", "A B", "%2e%2e", "maria%00", "ma.ria",
    ] {
        let path = format!("/api/v1/blogs/{}/entries", name.replace(' ', "%20"));
        refused(
            name,
            &http::post(to, &path, "{}").unwrap(),
            404,
            "no-such-blog",
        );
    }
    let free = desk.next("free");
    let reply = http::post(to, "/api/v1/blogs/nobody/entries", &free.json).unwrap();
    refused("a post to a free name", &reply, 404, "no-such-blog");
    for body in ["{}", "[]", "{\"entries\":[],\"entry\":\"x\"}"] {
        let reply = http::post(to, "/api/v1/registry/claims", body).unwrap();
        refused("a claim of nothing", &reply, 422, "invalid");
    }
    let none = json!({ "entries": [], "entry": desk.first.id().to_string() }).to_string();
    let reply = http::post(to, "/api/v1/registry/claims", &none).unwrap();
    refused("a claim without entries", &reply, 422, "invalid");
}

fn wrong_requests(desk: &Desk) {
    let council = desk.demo.council();
    for body in [
        "",
        "{}",
        "[]",
        "{\"signed\":{\"text\":\"\",\"key\":\"\",\"signature\":\"\"}}",
    ] {
        let reply = http::post(council, "/api/v1/registry/requests", body).unwrap();
        refused("no request", &reply, 422, "invalid");
        let reply = http::post(council, "/api/v1/registry/statements", body).unwrap();
        match body {
            "[]" => assert_eq!(reply.status, 200),
            _ => refused("no statements", &reply, 422, "invalid"),
        }
        let reply = http::post(desk.to(), "/api/v1/blogs/maria/restore", body).unwrap();
        refused("nothing to restore", &reply, 422, "invalid");
    }
    let far = u64::MAX.to_string();
    for path in ["registry/log?after=", "registry/log?wait=0&after="] {
        let reply = http::get(council, "x", &format!("/api/v1/{path}{far}"));
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
    let cursor = desk.demo.api("a", "feed?limit=0").json()["cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let instance = cursor.split('-').next().unwrap();
    for after in [
        "x",
        "-",
        "x-1",
        &format!("{instance}-{far}"),
        &format!("{instance}--1"),
    ] {
        for path in ["feed", "blogs/maria/entries"] {
            let reply = desk.demo.api("a", &format!("{path}?after={after}"));
            refused(after, &reply, 410, "cursor");
        }
    }
    for query in [
        format!("page={far}"),
        "page=-1".into(),
        "page=%00".into(),
        "page=1&page=2".into(),
    ] {
        assert_eq!(
            desk.demo.http("a", "maria", &format!("/?{query}")).status,
            200,
            "{query}"
        );
    }
    let empty = desk.demo.api("a", "blogs/maria/entries?limit=0").json();
    assert!(
        !empty["entries"].as_array().unwrap().is_empty(),
        "a page of none would never end"
    );
}

fn odd_paths(desk: &Desk) {
    let secret = std::fs::read_to_string(desk.demo.node("a").data.join("node.key")).unwrap();
    let paths = [
        "/../node.key",
        "/..%2f..%2fnode.key",
        "/media/../node.key",
        "/media/..%2fnode.key",
        "/media/sha256-..%2f..%2fnode.key",
        "/_/entry/..%2f..%2fspoke.db",
        "//etc/passwd",
        "/media/%2e%2e/%2e%2e/spoke.db",
        "/%00",
        "/%ff%fe",
        "/.env",
        "/a/../../node.key",
        "/api/v1/../../node.key",
        "/api/v1/entries/..%2f..",
        "/tags/..",
        "/tags/%2e%2e/feed.atom",
        "/first.asc.asc",
        "/first.txt.txt",
        "/.asc",
        "/.txt.asc",
        "/tags/",
        "/tags//feed.atom",
        "/media/",
        "/_/",
        "/_/entry/",
        "/api/v1/",
        "/api/v1/blogs",
        "/api/v1/blogs//entries",
        "/api/v1/unknown",
        "/.well-known/acme-challenge/x",
        "/metrics",
        "/wp-login.php",
    ];
    for path in paths {
        for host in [desk.demo.host("maria"), desk.demo.domain.clone()] {
            let reply = http::get(desk.to(), &host, path);
            assert!(
                matches!(reply.status, 400 | 404),
                "{host}{path}: {}",
                reply.status
            );
            assert!(!reply.text().contains(secret.trim()), "{path}");
            assert!(
                reply.status == 400 || reply.text().len() > 30,
                "{host}{path} says nothing"
            );
        }
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
        let reply = http::request(desk.to(), method, "x", "/first", &[], b"").unwrap();
        assert_eq!(reply.status, 405, "{method}");
        let reply = http::request(desk.to(), method, "x", "/api/v1/status", &[], b"").unwrap();
        assert!(matches!(reply.status, 404 | 405), "{method}");
    }
}

fn odd_hosts(desk: &Desk) {
    let long = "a.".repeat(2_000);
    let hosts = [
        "",
        "localhost",
        "127.0.0.1",
        "[::1]:80",
        "[",
        "]",
        ":",
        "...",
        "-",
        "blogs.localhost.",
        "MARIA.BLOGS.LOCALHOST",
        "maria.blogs.localhost:99999",
        "edit.maria.blogs.localhost",
        "x.edit.maria.blogs.localhost",
        "maria.blogs.localhost.evil.example",
        "maria.blogs.localhost@x",
        "evil.example",
        "blogs.localhostx",
        "%6d",
        "é.blogs.localhost",
        &long,
        "a b",
        ".blogs.localhost",
    ];
    for host in hosts {
        let reply = http::get(desk.to(), host, "/");
        assert!(
            matches!(reply.status, 200 | 400 | 404),
            "{host}: {}",
            reply.status
        );
        let through = http::get(desk.demo.gateway(), host, "/");
        assert!(
            through.status < 500,
            "{host} through the gateway: {} {}",
            through.status,
            through.text()
        );
    }
    for host in [
        "MARIA.BLOGS.LOCALHOST",
        "maria.blogs.localhost:99999",
        "maria.blogs.localhost.",
    ] {
        let page = http::get(desk.to(), host, "/").text();
        assert!(page.contains("The blog of maria"), "{host}");
    }
    let twice =
        b"GET / HTTP/1.1\r\nHost: blogs.localhost\r\nHost: evil\r\nConnection: close\r\n\r\n";
    assert!(http::raw(desk.to(), twice).is_none_or(|reply| reply.status < 500));
    let hops = [("Spokes-Hop", "1")];
    let reply = http::request(
        desk.demo.address("e"),
        "GET",
        &desk.demo.host("maria"),
        "/",
        &hops,
        b"",
    );
    let reply = reply.unwrap();
    let member = desk.demo.members("maria").contains(&"e".to_owned());
    assert_eq!(reply.status, if member { 200 } else { 421 });
}

fn odd_connections(desk: &Desk) {
    let header = "x".repeat(1024 * 1024);
    let huge = [("X-Huge", header.as_str())];
    let reply = http::request(desk.to(), "GET", "x", "/", &huge, b"");
    assert!(
        reply.is_none_or(|reply| matches!(reply.status, 400 | 431)),
        "a huge header"
    );
    let many: Vec<(String, String)> = (0..2_000).map(|n| (format!("X-{n}"), "y".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let reply = http::request(desk.to(), "GET", "x", "/", &many, b"");
    assert!(
        reply.is_none_or(|reply| matches!(reply.status, 400 | 431)),
        "many headers"
    );
    for bytes in [
        &b"\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        assert!(http::raw(desk.to(), bytes).is_none_or(|reply| reply.status < 500));
    }
    let chunks = b"POST /api/v1/blogs/maria/entries HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\nConnection: close\r\n\r\nffffffffffffffff\r\n";
    assert!(http::raw(desk.to(), chunks).is_none_or(|reply| reply.status < 500));
    let announced = b"PUT /api/v1/blogs/maria/media/sha256-00 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\nx";
    let reply = http::raw(desk.to(), announced);
    assert!(reply.is_none_or(|reply| reply.status < 500));
    slow_bodies(desk);
}

/// Fifty bodies that never come do not hinder the fifty-first reader.
fn slow_bodies(desk: &Desk) {
    let head =
        b"POST /api/v1/blogs/maria/entries HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{";
    let slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(desk.to()).unwrap();
            stream.write_all(head).unwrap();
            stream
        })
        .collect();
    let began = Instant::now();
    assert_eq!(desk.demo.http("a", "maria", "/first").status, 200);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    drop(slow);
}
