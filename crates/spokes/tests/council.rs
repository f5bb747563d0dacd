//! The council of three: any of its nodes dies, and names are given on; two die, and names are kept.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{
    author::{Author, Signed, now},
    demo::{Demo, program},
    http, run, setting, wait_for,
};
use serde_json::Value;

/// The longest that nobody gets a name while the council chooses another leader.
const GAP_MAX: Duration = Duration::from_secs(3);
/// How long one goes on asking.
const PATIENCE: Duration = Duration::from_secs(30);
const CLIENTS: usize = 4;

fn nodes() -> [String; 3] {
    [1, 2, 3].map(|number| format!("council{number}"))
}

/// The registry as one node has it: texts of requests, in their order.
fn log(demo: &Demo, node: &str) -> Vec<String> {
    let to = demo.node(node).address;
    let (mut texts, mut after) = (Vec::new(), 0);
    loop {
        let path = format!("/api/v1/registry/log?after={after}");
        let page: Value = http::get(to, &to.to_string(), &path).json();
        let records = page["records"].as_array().unwrap();
        let text = |record: &Value| {
            record["request"]["signed"]["text"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        texts.extend(records.iter().map(text));
        after = texts.len();
        if after as u64 >= page["records_in_all"].as_u64().unwrap() {
            return texts;
        }
    }
}

fn same_everywhere(demo: &Demo) -> Vec<String> {
    wait_for("all nodes hold the same", PATIENCE, || {
        let logs = nodes().map(|node| log(demo, &node));
        (logs[0] == logs[1] && logs[1] == logs[2]).then(|| logs[0].clone())
    })
}

/// What one node's DNS says of a name.
fn dig(demo: &Demo, number: u8, name: &str) -> String {
    let (at, port) = (format!("@127.0.1.{number}"), demo.dns_port.to_string());
    run("dig", &[&at, "-p", &port, "+tries=1", "+time=2", name]).1
}

/// Waits until all nodes have all and vote.
fn all_whole(demo: &Demo) {
    for node in nodes() {
        let to = demo.node(&node).address;
        wait_for("a node is filled and votes", PATIENCE, || {
            (http::get(to, &node, "/healthz").status == 200).then_some(())
        });
    }
}

/// Sends a claim until it is decided.
fn claim(demo: &Demo, name: &str, first: &Signed, through: &str) -> u16 {
    let path = format!("/api/v1/blogs/{name}/entries");
    let until = Instant::now() + PATIENCE;
    loop {
        let reply = http::post(demo.address(through), &path, &first.json).unwrap_or_default();
        // The same request again gets the first answer.
        if matches!(reply.status, 200..=202) {
            return reply.status;
        }
        assert_ne!(reply.status, 409, "{name}: {}", reply.text());
        assert!(
            Instant::now() < until,
            "{name}: {} {}",
            reply.status,
            reply.text()
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn names_are_given_on_when_a_leader_dies() {
    let demo = Demo::start_with(3, &["--empty", "--council", "3"]);
    let spokes = demo.labels();
    let claims = setting("SPOKES_TEST_COUNCIL_CLAIMS", 100);
    let (given, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (demo, spokes, given) = (&demo, &spokes, &given);
            scope.spawn(move || {
                for turn in 0..claims / CLIENTS {
                    let name = format!("name{client}-{turn}");
                    let first = Author::new(&name).first(&demo.network, &name, now() + 3_600);
                    let through = &spokes[(client + turn) % spokes.len()];
                    let status = claim(demo, &name, &first, through);
                    assert_eq!(status, 201);
                    given.lock().unwrap().push(Instant::now());
                }
            });
        }
        scope.spawn(|| {
            for node in nodes() {
                wait_for("some names", PATIENCE, || {
                    (given.lock().unwrap().len() > 10).then_some(())
                });
                demo.kill(&node);
                thread::sleep(Duration::from_secs(4));
                demo.restart(&node);
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
    });
    over.store(true, Ordering::Relaxed);
    let given = given.into_inner().unwrap();
    let gaps = given.windows(2).map(|pair| pair[1] - pair[0]);
    let longest = gaps.max().unwrap();
    eprintln!("{} names; the longest gap {longest:?}", given.len());
    assert!(longest <= GAP_MAX, "{longest:?}");
    let log = same_everywhere(&demo);
    // Each was given once, though it was asked for again and again.
    let claims = log.iter().filter(|text| text.contains("\nKind: claim\n"));
    assert_eq!(claims.count(), given.len());
    demo.assert_no_panic();
}

#[test]
fn two_dead_of_three_keep_what_there_is() {
    let demo = Demo::start_with(3, &["--empty", "--council", "3"]);
    let _maria = Author::with_blog(&demo, "maria", "a");
    let before = same_everywhere(&demo);
    demo.kill("council1");
    demo.kill("council2");
    let said = dig(&demo, 3, "maria.blogs.localhost");
    assert!(said.contains("ANSWER: 2"), "{said}");
    assert_eq!(demo.http("b", "maria", "/").status, 200);
    // Whoever wants a name is told, and nothing is taken.
    let nadia = Author::new("nadia").first(&demo.network, "nadia", now() + 3_600);
    let reply = http::post(
        demo.address("b"),
        "/api/v1/blogs/nadia/entries",
        &nadia.json,
    )
    .unwrap();
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(reply.text().contains("majority"), "{}", reply.text());
    demo.restart("council1");
    demo.restart("council2");
    assert_eq!(claim(&demo, "nadia", &nadia, "b"), 201);
    let after = same_everywhere(&demo);
    assert!(after.starts_with(&before));
}

#[test]
fn empty_nodes_do_not_outvote_the_one_that_has_the_names() {
    let demo = Demo::start_with(3, &["--empty", "--council", "3"]);
    let _maria = Author::with_blog(&demo, "maria", "a");
    let before = same_everywhere(&demo);
    for node in nodes() {
        demo.kill(&node);
    }
    for node in ["council1", "council2"] {
        for file in [
            "registry.journal",
            "registry.db",
            "registry.db-wal",
            "registry.db-shm",
        ] {
            let path = demo.node(node).data.join(file);
            drop(fs::remove_file(path));
        }
    }
    for node in nodes() {
        demo.restart(&node);
    }
    thread::sleep(Duration::from_secs(5));
    assert!(
        log(&demo, "council3").starts_with(&before),
        "its names are there"
    );
    for (number, node) in (1..).zip(["council1", "council2"]) {
        assert!(demo.log(node).contains("votes for nobody"));
        let health = http::get(demo.node(node).address, node, "/healthz");
        let told = (health.status, health.text());
        assert!(told.0 == 503 && told.1.contains("refill"), "{told:?}");
        // What it does not know may be there all the same.
        for name in ["maria.blogs.localhost", "nobody.blogs.localhost"] {
            assert!(dig(&demo, number, name).contains("REFUSED"));
        }
    }
    assert!(dig(&demo, 3, "maria.blogs.localhost").contains("NOERROR"));
    // An organizer's word, on the one that has everything.
    let dir = demo.node("council3").data;
    let key = demo.node("council1").data.join("organizer.key");
    demo.kill("council3");
    let (dir, key) = (dir.to_str().unwrap(), key.to_str().unwrap());
    let (code, said) = run(
        &program(),
        &["council", "recover", "--dir", dir, "--organizer", key],
    );
    assert_eq!(code, 0, "{said}");
    demo.restart("council3");
    all_whole(&demo);
    let after = same_everywhere(&demo);
    assert!(after.starts_with(&before));
    let nadia = Author::new("nadia").first(&demo.network, "nadia", now() + 3_600);
    assert_eq!(claim(&demo, "nadia", &nadia, "b"), 201);
    demo.kill("council3");
    // The others can go on without it.
    let third = Author::new("third").first(&demo.network, "third", now() + 3_600);
    assert_eq!(claim(&demo, "third", &third, "b"), 201);
}
