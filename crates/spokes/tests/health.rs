//! Who serves no page leaves DNS within seconds and comes back after a rest; nobody else is sent away.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{author::Author, demo::Demo, http, wait_for};
use serde_json::{Value, json};
use spokes::{config, wire};
use spokes_log::{
    name::{Hash, Salt},
    text::Value as _,
    time::Time,
};
use spokes_rules::{
    health::{REST_SECONDS, Report, Says, Served},
    node::{Label, NodeKey, Signed},
};

/// From a death to its record: three misses, three seconds apart, the last of which may take two. A busy machine
/// gets half as much again.
const FALL_MAX: Duration = Duration::from_secs(17);
/// From a record to DNS, which takes milliseconds: the rest is for `dig` on a busy machine.
const PUBLISH_MAX: Duration = Duration::from_secs(3);
/// How long nothing must follow where nothing should: longer than a fall.
const NOTHING: Duration = Duration::from_secs(11);

/// When the council wrote this of a spoke, as a number of its log; none if it did not.
fn place(demo: &Demo, kind: &str, label: &str) -> Option<usize> {
    let to = demo.council();
    let page = http::get(to, &to.to_string(), "/api/v1/registry/log?after=0").json();
    let records = page["records"].as_array().unwrap().clone();
    assert_eq!(
        page["records_in_all"],
        records.len(),
        "one page has them all"
    );
    let is_it = |record: &Value| {
        let text = record["request"]["signed"]["text"].as_str().unwrap();
        let mut lines = text.lines();
        lines.any(|line| line == format!("Kind: {kind}"))
            && text.lines().any(|line| line == format!("Label: {label}"))
    };
    records.iter().rposition(is_it)
}

/// Waits for a spoke's fall, which began then; how long it took.
fn falls(demo: &Demo, label: &str, began: Instant) -> Duration {
    wait_for(&format!("{label} falls"), FALL_MAX, || {
        place(demo, "down", label)
    });
    began.elapsed()
}

fn nobody_fell(demo: &Demo, why: &str) {
    thread::sleep(NOTHING);
    for label in demo.labels() {
        assert_eq!(place(demo, "down", &label), None, "{label} fell: {why}");
    }
}

fn resolve(demo: &Demo, name: &str) -> Vec<String> {
    let said = demo.dig(&["+short", name, "A"]);
    let mut found: Vec<String> = said.lines().map(str::to_owned).collect();
    found.sort();
    found
}

/// What answers in place of a spoke that was killed.
struct Impostor {
    at: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Impostor {
    /// Answers so what it is asked; with nothing it hangs.
    fn of(
        demo: &Demo,
        label: &str,
        answer: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static,
    ) -> Self {
        let at = demo.address(label);
        demo.kill(label);
        let listener = TcpListener::bind(at).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        thread::spawn(move || {
            let mut hanging = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let mut head = [0; 4_096];
                let length = stream.read(&mut head).unwrap_or(0);
                match answer(&String::from_utf8_lossy(&head[..length])) {
                    // Whoever asked may be gone.
                    Some(answer) => drop(stream.write_all(&answer)),
                    None => hanging.push(stream),
                }
            }
        });
        Self { at, over }
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.at));
    }
}

/// The front page of a spoke for whoever asks with a nonce.
fn with_nonce(demo: &Demo, label: &str, nonce: &str) -> http::Reply {
    let (at, host) = (demo.address(label), demo.domain.clone());
    let asked = [("Spokes-Nonce", nonce), ("Accept-Encoding", "gzip")];
    http::request(at, "GET", &host, "/", &asked, b"").unwrap()
}

/// An answer in the words of HTTP.
fn as_bytes(reply: &http::Reply) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {} OK\r\n", reply.status);
    for (name, value) in &reply.headers {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    [answer.as_bytes(), b"\r\n", &reply.body].concat()
}

#[test]
fn who_serves_no_page_leaves_dns_and_comes_back_after_a_rest() {
    let demo = Demo::start_with(7, &["--empty"]);
    let maria = Author::with_blog(&demo, "maria", "a");
    let members = demo.members(&maria.name);
    let (primary, apex) = (&members[0], demo.domain.clone());
    let [blog, edit] = [format!("maria.{apex}"), format!("edit.maria.{apex}")];
    let own = format!("{primary}.spoke.{apex}");
    let ip = demo.address(primary).ip().to_string();
    assert_eq!(resolve(&demo, &edit), std::slice::from_ref(&ip));
    assert_eq!(resolve(&demo, &blog).len(), members.len() - 1);
    assert_eq!(resolve(&demo, &apex).len(), 7);

    let killed = Instant::now();
    demo.kill(primary);
    falls(&demo, primary, killed);
    let down = Instant::now();
    wait_for("it is out of DNS", PUBLISH_MAX, || {
        let names = [&apex, &edit, &blog].map(|name| resolve(&demo, name));
        names
            .iter()
            .flatten()
            .all(|found| *found != ip)
            .then_some(())
    });
    let found = resolve(&demo, &own);
    assert_eq!(found, std::slice::from_ref(&ip), "operators still find it");
    demo.restart(primary);

    // Meanwhile others serve no pages in other ways; one of them none of its blogs.
    let blogless = serves_its_front_alone(&demo, &members[1]);
    let mut others = demo.labels();
    others.retain(|label| label != primary && *label != members[1]);
    let silent = impostors(&demo, &others);
    wait_for("who serves no blog falls", Duration::from_secs(60), || {
        place(&demo, "down", &members[1])
    });
    let up = wait_for("it comes back", Duration::from_secs(90), || {
        place(&demo, "up", primary).map(|_| down.elapsed())
    });
    let rest = Duration::from_secs(REST_SECONDS.unsigned_abs());
    assert!(up + Duration::from_secs(1) > rest, "{up:?}");
    wait_for("it is in DNS again", PUBLISH_MAX, || {
        resolve(&demo, &apex).contains(&ip).then_some(())
    });
    drop((silent, blogless));
    demo.assert_no_panic();
}

/// A spoke that signs as it should, and has nothing but its front page.
fn serves_its_front_alone(demo: &Demo, label: &str) -> Impostor {
    let secret = config::secret_key(&demo.node(label).data.join("node.key")).unwrap();
    let (network, spoke) = (
        Hash::parse(&demo.network).unwrap(),
        Label::parse(label).unwrap(),
    );
    let apex = format!("host: {}\r\n", demo.domain);
    Impostor::of(demo, label, move |asked| {
        let asked = asked.to_ascii_lowercase();
        let is_front = asked.contains(&apex);
        let nonce = asked
            .split("spokes-nonce: ")
            .nth(1)
            .and_then(|rest| rest.get(..32));
        let body = if is_front { "the front" } else { "no" };
        let served = Served {
            network,
            spoke: spoke.clone(),
            nonce: Salt::parse(nonce.unwrap_or_default()).ok()?,
            body: Hash::of(body.as_bytes()),
            time: common::author::now(),
        };
        let receipt = wire::signed_in_a_header(&Signed::new(&secret, &served));
        let status = if is_front { "200 OK" } else { "500 No" };
        let length = body.len();
        let head = format!("Content-Length: {length}\r\nSpokes-Served: {receipt}\r\n");
        Some(format!("HTTP/1.1 {status}\r\n{head}\r\n{body}").into_bytes())
    })
}

/// Has some spokes answer as they should not; all of them fall.
fn impostors(demo: &Demo, labels: &[String]) -> Vec<Impostor> {
    let [stopped, hanging, failing, replaying, ..] = labels else {
        panic!("there are five");
    };
    let began = Instant::now();
    demo.pause(stopped);
    let hangs = Impostor::of(demo, hanging, |_| None);
    for label in [stopped, hanging] {
        falls(demo, label, began);
    }
    let before = with_nonce(demo, replaying, "0123456789abcdef0123456789abcdef");
    assert!(before.header("spokes-served").is_some(), "{before:?}");
    let answer = "HTTP/1.1 500 No\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno";
    let began = Instant::now();
    let fails = Impostor::of(demo, failing, |_| Some(answer.into()));
    let replays = Impostor::of(demo, replaying, move |_| Some(as_bytes(&before)));
    for label in [failing, replaying] {
        falls(demo, label, began);
    }
    vec![hangs, fails, replays]
}

/// What this spoke's key says of another one.
fn report(demo: &Demo, observer: &str, of: &str, says: Says) -> Value {
    report_at(demo, observer, of, says, common::author::now())
}

fn report_at(demo: &Demo, observer: &str, of: &str, says: Says, time: Time) -> Value {
    let secret = config::secret_key(&demo.node(observer).data.join("node.key")).unwrap();
    let report = Report {
        network: Hash::parse(&demo.network).unwrap(),
        observer: Label::parse(observer).unwrap(),
        of: Label::parse(of).unwrap(),
        says,
        time,
    };
    json!(wire::SignedWire::from(&Signed::new(&secret, &report)))
}

#[test]
fn nobody_falls_without_a_cause() {
    let demo = Demo::start();
    let labels = demo.labels();
    let tell = |observers: &[&str]| {
        let reports = observers
            .iter()
            .map(|who| report(&demo, who, "a", Says::Silent));
        let body = json!(reports.collect::<Vec<_>>()).to_string();
        let told = http::post(demo.council(), "/api/v1/registry/statements", &body);
        assert_eq!(told.unwrap().status, 200);
    };
    // Of its five observers two lie, again and again, and it says so of itself.
    for _ in 0..3 {
        tell(&["b"]);
        tell(&["b", "c", "a", "b", "c"]);
    }
    assert_eq!(
        place(&demo, "down", "a"),
        None,
        "two of five are no majority"
    );

    // Whose clock is wrong hears so: nothing that it reports counts.
    let late = report_at(&demo, "b", "a", Says::Silent, common::author::now() + -125);
    let told = http::post(
        demo.council(),
        "/api/v1/registry/statements",
        &json!([late]).to_string(),
    );
    let told = told.unwrap();
    assert_eq!((told.status, told.kind().as_str()), (422, "clock"));
    assert!(told.detail().contains("by NTP"), "{}", told.detail());

    // The whole machine stands still for a moment, or is started anew.
    for label in &labels {
        demo.pause(label);
    }
    thread::sleep(Duration::from_secs(5));
    for label in &labels {
        demo.resume(label);
    }
    nobody_fell(&demo, "all stood still");
    for label in &labels {
        demo.kill(label);
        demo.restart(label);
    }
    nobody_fell(&demo, "all were started anew");

    // With a third one the liars are a majority. That is what five are for; the others soon say otherwise.
    tell(&["b", "c", "d"]);
    wait_for("three of five are believed", Duration::from_secs(2), || {
        place(&demo, "down", "a")
    });
    demo.assert_no_panic();
}

#[test]
fn a_page_comes_with_a_receipt_for_whoever_wants_one() {
    let demo = Demo::start_with(3, &["--empty"]);
    let maria = Author::with_blog(&demo, "maria", "a");
    let key = |label: &str| {
        let wire = demo.api("a", "blogs/maria").json();
        let members = wire["members"].as_array().unwrap().clone();
        let found = members.iter().find(|m| m["label"] == label).unwrap();
        NodeKey::parse(found["key"].as_str().unwrap()).unwrap()
    };
    let text = "00112233445566778899aabbccddeeff";
    let nonce = Salt::parse(text).unwrap();
    let network = Hash::parse(&demo.network).unwrap();
    for (path, coding) in [("/", "gzip"), ("/", "identity"), ("/no-such-post", "gzip")] {
        let asked = [("Spokes-Nonce", text), ("Accept-Encoding", coding)];
        let host = demo.host(&maria.name);
        let reply = http::request(demo.address("b"), "GET", &host, path, &asked, b"").unwrap();
        let signed = wire::signed_of_a_header(reply.header("spokes-served").unwrap()).unwrap();
        let label = Label::parse("b").unwrap();
        let body = Hash::of(&reply.body);
        assert!(
            Served::is_fresh(&signed, key("b"), network, &label, nonce, body),
            "{path} as {coding}: {signed:?}"
        );
    }
    // Without a nonce, or with one that is none, the page comes as ever.
    for nonce in ["", "00112233445566778899AABBCCDDEEFF", "0011", "x"] {
        let reply = with_nonce(&demo, "b", nonce);
        assert_eq!(reply.status, 200, "{nonce}");
        assert_eq!(reply.header("spokes-served"), None, "{nonce}");
    }
    let plain = demo.http("b", "maria", "/");
    assert_eq!((plain.status, plain.header("spokes-served")), (200, None));
}
