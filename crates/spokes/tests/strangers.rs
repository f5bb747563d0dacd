//! Strangers take what they can get: memory, places, time. Everybody else goes on.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use common::{
    author::{Author, Signed, article, draft, now, picture, put},
    demo::{Demo, free_ports},
    http,
};
use serde_json::{Value, json};
use spokes::{
    council::{self, Beginning},
    wire::{self, EntryWire, SignedWire},
};
use spokes_log::{
    chain::Chain,
    draft::Says,
    entry::Skeleton,
    name::{EntryId, Hash},
    seal::RawSignature,
};
use spokes_rules::{
    node::{Label, NodeSecret, Signed as NodeSigned},
    request::{Ask, Domain, Policy, Wish},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

const MIB: usize = 1024 * 1024;

/// The memory of a node, in bytes.
fn memory(demo: &Demo, label: &str) -> usize {
    let pid = demo.node(label).pid;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: usize = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib * 1024
}

/// A connection from one of many addresses.
async fn stranger(number: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let from = Ipv4Addr::new(127, 0, 3, number);
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    socket.connect(to).await.unwrap()
}

/// All that still comes from the other end, or nothing after a while.
async fn rest(stream: &mut TcpStream, most: Duration) -> Option<String> {
    let mut said = Vec::new();
    let ended = timeout(most, stream.read_to_end(&mut said)).await;
    let _read = ended.ok()?;
    Some(String::from_utf8_lossy(&said).into_owned())
}

fn head(to: SocketAddr, line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: {to}\r\n{more}\r\n")
}

/// The answer is a refusal that says how long to wait, in a sentence.
fn turned_away(said: &str, status: u16, kind: &str) {
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or((said, ""));
    assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{said}");
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    assert_eq!(problem["type"], kind, "{said}");
    assert!(problem["detail"].as_str().unwrap().ends_with('.'), "{said}");
    let wait = head.to_ascii_lowercase().contains("retry-after: 10");
    assert_eq!(wait, matches!(status, 429 | 503), "{said}");
}

/// Sends a part, then a byte now and then; what is answered.
async fn drip(stream: TcpStream, part: Vec<u8>) -> String {
    let (mut answer, mut request) = stream.into_split();
    let drips = async {
        let mut part = &part[..];
        while request.write_all(part).await.is_ok() {
            sleep(Duration::from_millis(500)).await;
            part = b"x";
        }
        std::future::pending().await
    };
    let mut said = Vec::new();
    tokio::select! {
        _ = answer.read_to_end(&mut said) => {}
        () = drips => {}
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_who_drip_take_neither_memory_nor_time() {
    let demo = Demo::start_with(2, &["--empty", "--replicas", "1"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let to = demo.address("a");
    let before = memory(&demo, "a");

    // Two hundred, each with two MiB of a batch of 48, and then a byte now and then; some of them with
    // next to nothing from the beginning.
    let post = "POST /api/v1/blogs/maria/restore";
    let length = format!("Content-Length: {}\r\n", 48 * MIB);
    let mut dripping = Vec::new();
    for number in 0..200 {
        let stream = stranger(number, to).await;
        let bytes = if number % 10 == 0 { 1 } else { 2 * MIB };
        let mut part = head(to, post, &length).into_bytes();
        part.resize(part.len() + bytes, b'x');
        dripping.push(tokio::spawn(drip(stream, part)));
    }
    // One at rest, one who never ends a head, and one who asks and does not fetch.
    let mut resting = stranger(201, to).await;
    let ask = head(to, "GET /api/v1/status", "");
    resting.write_all(ask.as_bytes()).await.unwrap();
    let mut half = stranger(202, to).await;
    half.write_all(&ask.as_bytes()[..20]).await.unwrap();

    sleep(Duration::from_secs(2)).await;
    let grown = memory(&demo, "a").saturating_sub(before);
    eprintln!("with 200 bodies under way: {} MiB more", grown / MIB);
    // The share of bodies, and as much again for what the system and the allocator keep.
    assert!(grown < 192 * MIB, "{} MiB more", grown / MIB);
    let began = Instant::now();
    maria.post(&demo, "a", "meanwhile", "It goes on.");
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(demo.http("a", "maria", "/meanwhile").status, 200);

    let (mut full, mut slow) = (0, 0);
    let until = Instant::now() + Duration::from_secs(12);
    for said in &mut dripping {
        let left = until.saturating_duration_since(Instant::now());
        let Ok(said) = timeout(left, &mut *said).await else {
            continue;
        };
        let said = said.unwrap();
        // Who sends on after the refusal may lose it with the connection.
        if said.contains(" 503 ") {
            turned_away(&said, 503, "busy");
            full += 1;
        } else if !said.is_empty() {
            turned_away(&said, 408, "too-slow");
            slow += 1;
        }
    }
    eprintln!("{full} found no room, {slow} were too slow");
    assert!(full > 40 && slow > 10, "{full} and {slow}");
    for (what, stream) in [("at rest", &mut resting), ("half a head", &mut half)] {
        let ended = rest(stream, Duration::from_secs(5)).await;
        assert!(ended.is_some(), "a connection {what} stays open");
    }
    dripping.iter().for_each(tokio::task::JoinHandle::abort);
    sleep(Duration::from_millis(500)).await;
    let after = memory(&demo, "a").saturating_sub(before);
    eprintln!("afterwards: {} MiB more", after / MIB);
    demo.assert_no_panic();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_who_do_not_fetch_leave_memory_to_others() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let to = demo.address("a");
    let (bytes, medium) = picture(&"x".repeat(16 * MIB));
    let mut post = article("large");
    post.media = vec![medium.clone()];
    let post = maria.sign(&draft(Says::Post(post), "With a picture."));
    assert_eq!(maria.send(to, &post).unwrap().status, 202);
    assert_eq!(put(to, "maria", medium.hash, &bytes).status, 201);
    let before = memory(&demo, "a");

    let path = format!("/media/{}", medium.hash.path());
    let ask = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n",
        demo.host("maria")
    );
    let mut readers = Vec::new();
    for number in 0..40 {
        let mut stream = stranger(number, to).await;
        stream.write_all(ask.as_bytes()).await.unwrap();
        readers.push(stream);
    }
    sleep(Duration::from_secs(2)).await;
    let grown = memory(&demo, "a").saturating_sub(before);
    eprintln!(
        "with 40 answers of 16 MiB not fetched: {} MiB more",
        grown / MIB
    );
    // 256 MiB are counted, from before they are read; the allocator keeps some of what was given back.
    assert!(grown < 320 * MIB, "{} MiB more", grown / MIB);
    let mut refused = 0;
    for stream in &mut readers {
        let mut start = [0; 1_024];
        let read = stream.read(&mut start).await.unwrap();
        let said = String::from_utf8_lossy(&start[..read]).into_owned();
        if said.starts_with("HTTP/1.1 503") {
            turned_away(&said, 503, "busy");
            refused += 1;
        }
    }
    assert!(refused > 10, "{refused} of 40 found no room");
    assert_eq!(demo.http("a", "maria", "/").status, 200);
    drop(readers);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(demo.http("a", "maria", &path).body, bytes);
    demo.assert_no_panic();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_news_leaves_places_to_others() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    for (to, path) in [
        (demo.address("a"), "/api/v1/feed?blogs=x,y&wait=40"),
        (demo.council(), "/api/v1/registry/log?after=999&wait=40"),
    ] {
        let ask = head(to, &format!("GET {path}"), "Connection: close\r\n");
        let mut waiting = JoinSet::new();
        for _ in 0..1_020 {
            let mut stream = stranger(1, to).await;
            stream.write_all(ask.as_bytes()).await.unwrap();
            waiting.spawn(async move { rest(&mut stream, Duration::from_secs(30)).await });
        }
        let first = timeout(Duration::from_secs(10), waiting.join_next()).await;
        let refused = first.expect("some are refused at once").unwrap().unwrap();
        turned_away(&refused.unwrap(), 429, "too-many");
        // Another address finds a place; who does not wait needs none.
        let mut other = stranger(2, to).await;
        other.write_all(ask.as_bytes()).await.unwrap();
        assert_eq!(rest(&mut other, Duration::from_millis(300)).await, None);
        assert_eq!(http::get(to, "x", "/healthz").status, 200);
        maria.post(&demo, "a", &format!("to-{}", to.ip()), "It goes on.");
    }
    Author::with_blog(&demo, "nadia", "a");
    demo.assert_no_panic();
}

/// A network with narrow limits: five entries a day, and a few KiB of a blog.
fn narrow(name: &str) -> Demo {
    let home = tempfile::tempdir().unwrap().keep();
    let (port, dns_port) = free_ports();
    let at = |port: u16| SocketAddr::from(([127, 0, 1, 1], port));
    let beginning = Beginning {
        domain: Domain::parse("blogs.localhost").unwrap(),
        api: at(port),
        dns: at(dns_port),
        peer: at(port + 1),
        base_url: format!("http://blogs.localhost:{port}"),
        policy: Policy {
            replicas: 2,
            blogs_per_spoke_day: 2,
            blog_bytes: 40_000,
            entries_per_day: 5,
            ..Policy::default()
        },
    };
    let dir = home.join(name);
    council::init(&dir.join("council1"), beginning).unwrap();
    Demo::start_in(&dir, port, dns_port, 2, &["--empty"])
}

fn refused(what: &str, reply: &http::Reply, status: u16, kind: &str, limit: &str) {
    let told = (reply.status, reply.kind());
    assert_eq!(told, (status, kind.to_owned()), "{what}: {}", reply.text());
    assert!(reply.detail().contains(limit), "{what}: {}", reply.text());
    assert_eq!(reply.header("retry-after"), Some("10"), "{what}");
    eprintln!("{what}: {}", reply.detail());
}

/// So many further posts in the form in which a copy keeps them.
fn copy(
    demo: &Demo,
    maria: &mut Author,
    mut behind: (Skeleton, EntryId),
    posts: usize,
) -> Vec<Value> {
    let page = demo.api("a", "blogs/maria/entries").json();
    let wires: Vec<EntryWire> = serde_json::from_value(page["entries"].clone()).unwrap();
    let sealed: Vec<_> = wires.iter().map(|wire| wire.sealed().unwrap()).collect();
    let mut chain = Chain::new(sealed[0].entry().blog());
    for sealed in sealed {
        chain.accept(sealed).unwrap();
    }
    let mut batch = Vec::new();
    for n in 0..posts {
        let signed = maria.sign_behind(
            &draft(Says::Post(article(&format!("r{n}"))), ""),
            Some(&behind),
        );
        behind = signed.place();
        let wire: EntryWire = serde_json::from_value(signed.wire()).unwrap();
        let packets = RawSignature::parse_all(&wire.packets().unwrap()[0]).unwrap();
        let place = chain.place(&signed.entry).unwrap();
        let verified = place.seal(signed.entry, &packets).unwrap();
        chain.append(&verified).unwrap();
        batch.push(serde_json::to_value(EntryWire::from(verified.sealed())).unwrap());
    }
    batch
}

#[test]
fn each_limit_of_a_network_is_named_when_it_is_reached() {
    let demo = narrow("narrow");
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let mut nadia = Author::with_blog(&demo, "nadia", "a");
    let reply = Author::new("zoe").create(&demo, "a");
    refused("a third blog", &reply, 429, "quota", "2 new blogs today");

    let mut posts: Vec<Signed> = Vec::new();
    for slug in ["one", "two", "three", "four", "five"] {
        posts.push(maria.post(&demo, "a", slug, "Some words."));
    }
    let sixth = maria.sign(&draft(Says::Post(article("six")), "One too many."));
    let reply = maria.send(demo.address("a"), &sixth).unwrap();
    refused("a sixth entry", &reply, 429, "quota", "5 entries of a blog");
    // Known bytes are no new entry, and words may be taken back.
    assert_eq!(
        maria.send(demo.address("a"), &posts[3]).unwrap().status,
        201
    );
    let erases = vec![posts[0].id()];
    let erase = maria.say(&demo, "a", &draft(Says::Erase { erases }, ""));

    // What is brought back from her own copy is granted more, and not everything.
    let batch = copy(&demo, &mut maria, erase.place(), 101);
    let restore = |entries: &[Value]| {
        let body = json!({ "entries": entries }).to_string();
        http::post(demo.address("a"), "/api/v1/blogs/maria/restore", &body).unwrap()
    };
    let reply = restore(&batch);
    refused(
        "a long restore",
        &reply,
        429,
        "quota",
        "100 entries of a blog",
    );
    let reply = restore(&batch[..60]);
    refused("a large restore", &reply, 507, "full", "40000 bytes");
    let reply = restore(&batch[..10]);
    assert_eq!(
        (reply.status, &reply.json()["taken"]),
        (200, &10.into()),
        "{}",
        reply.text()
    );

    // Media count, those of entries that wait for them included.
    let (bytes, mut medium) = picture("small");
    let mut large = article("large");
    medium.bytes = 50_000;
    large.media = vec![medium.clone()];
    let staged = nadia.sign(&draft(Says::Post(large), "With a picture."));
    let reply = nadia.send(demo.address("a"), &staged).unwrap();
    refused("a large picture", &reply, 507, "full", "40000 bytes");
    let reply = put(demo.address("a"), "nadia", medium.hash, &bytes);
    assert_eq!((reply.status, reply.kind().as_str()), (404, "unlisted"));
    let words = vec!["A line of some words."; 2_000].join("\n");
    let long = nadia.sign(&draft(Says::Post(article("long")), &words));
    let reply = nadia.send(demo.address("a"), &long).unwrap();
    refused("a long post", &reply, 507, "full", "40000 bytes");
    demo.assert_no_panic();
    drop(std::fs::remove_dir_all(demo.dir.parent().unwrap()));
}

#[test]
fn the_council_takes_few_requests_of_unknown_keys_and_no_statements() {
    let demo = Demo::start_with(2, &["--empty"]);
    let maria = Author::with_blog(&demo, "maria", "a");
    let nobody = NodeSecret::from_seed(&[7; 32]);
    let network = Some(Hash::parse(&demo.network).unwrap());
    let wire = |secret: &NodeSecret, text: &dyn std::fmt::Display| {
        let signed = NodeSigned::new(secret, &text);
        serde_json::to_value(SignedWire::from(&signed)).unwrap()
    };
    let blog = maria.parent.as_ref().unwrap().1;
    let ask = |n: i64| Ask {
        network,
        time: now() - n,
        what: Wish::Open {
            blog,
            epoch: 2,
            forced: false,
        },
    };
    let post =
        |path: &str, body: &Value| http::post(demo.council(), path, &body.to_string()).unwrap();
    let mut limited = None;
    for n in 0..60 {
        let body = json!({ "signed": wire(&nobody, &ask(n)) });
        let reply = post("/api/v1/registry/requests", &body);
        match reply.status {
            409 => {}
            429 => limited = Some(reply),
            _ => panic!("{}", reply.text()),
        }
    }
    let reply = limited.expect("sixty requests in a moment are too many");
    refused(
        "unknown keys",
        &reply,
        429,
        "quota",
        "5 requests a second from the unknown keys",
    );
    // A forged key of a spoke is an unknown one; the spoke itself goes on.
    Author::with_blog(&demo, "nadia", "a");

    signs_for_readers(&demo);
    let statements: Vec<Value> = (0..201).map(|n| wire(&nobody, &ask(n))).collect();
    let reply = post("/api/v1/registry/statements", &statements[..].into());
    assert_eq!((reply.status, reply.kind().as_str()), (413, "too-large"));
    let reply = post("/api/v1/registry/statements", &statements[..200].into());
    assert_eq!((reply.status, reply.kind().as_str()), (422, "invalid"));
    assert!(
        reply.detail().contains("not signed by a node"),
        "{}",
        reply.text()
    );
    let path = format!("/api/v1/registry/statements?blog={blog}");
    let kept = http::get(demo.council(), "x", &path).json();
    assert_eq!(kept, json!([]), "strangers' statements are kept");
    let reply = post("/api/v1/registry/statements", &json!({ "x": 1 }));
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (422, "invalid"),
        "{}",
        reply.text()
    );
    demo.assert_no_panic();
}

/// A spoke signs something for each reader. Whoever sends that to the council takes nothing of the spoke's share.
fn signs_for_readers(demo: &Demo) {
    let nonce = [("Spokes-Nonce", "00112233445566778899aabbccddeeff")];
    let page = http::request(
        demo.address("a"),
        "GET",
        &demo.host("nadia"),
        "/",
        &nonce,
        b"",
    );
    let served = page.unwrap();
    let served = wire::signed_of_a_header(served.header("spokes-served").unwrap()).unwrap();
    let served = SignedWire::from(&served);
    let body = json!({ "signed": served }).to_string();
    let statements = json!([served]).to_string();
    for _ in 0..400 {
        let reply = http::post(demo.council(), "/api/v1/registry/requests", &body).unwrap();
        assert!(
            matches!(reply.status, 422 | 429) && !reply.detail().contains("one node"),
            "{}",
            reply.text()
        );
    }
    let reply = http::post(demo.council(), "/api/v1/registry/statements", &statements).unwrap();
    assert_eq!(reply.status, 422, "{}", reply.text());
    Author::with_blog(demo, "thomas", "a");
}

#[test]
fn what_stands_in_the_log_already_is_answered_and_never_kept_again() {
    let demo = Demo::start_with(2, &["--empty"]);
    let journal = demo.node("council1").data.join("registry.journal");
    let size = || std::fs::metadata(&journal).unwrap().len();
    let to = demo.council();
    let log = http::get(to, "x", "/api/v1/registry/log?after=0").json();
    let record = log["records"].as_array().unwrap().last().unwrap().clone();
    let junk = json!({ "key": record["request"]["signed"]["key"], "text": "junk", "signature": record["request"]["signed"]["signature"] });
    let mut again = record["request"].clone();
    again["statements"] = vec![junk.clone(); 1_000].into();
    let (again, was) = (again.to_string(), size());
    // Nobody's places are used up by what anybody can read and send.
    for _ in 0..400 {
        let reply = http::post(to, "/api/v1/registry/requests", &again).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json()["index"], record["index"]);
    }
    assert!(size() - was < 4_096, "{} bytes more", size() - was);
    // A request brings what proves it, and nothing else.
    let secret = spokes::config::secret_key(&demo.node("a").data.join("node.key")).unwrap();
    let ask = Ask {
        network: Some(Hash::parse(&demo.network).unwrap()),
        time: now(),
        what: Wish::Leave {
            label: Label::parse("a").unwrap(),
        },
    };
    let signed = NodeSigned::new(&secret, &ask);
    let signed = serde_json::to_value(SignedWire::from(&signed)).unwrap();
    let body = json!({ "signed": signed, "statements": [signed] }).to_string();
    let reply = http::post(to, "/api/v1/registry/requests", &body).unwrap();
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert!(reply.detail().contains("does not need"), "{}", reply.text());
    demo.assert_no_panic();
}
