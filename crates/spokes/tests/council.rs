//! The council of three: any of its nodes dies, and names are given on; two die, and names are kept.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
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
    http,
    recorded::Process,
    run, setting, wait_for,
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
    log_at(demo.node(node).address)
}

fn log_at(to: SocketAddr) -> Vec<String> {
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
    all_whole_of(demo, &nodes().each_ref().map(String::as_str));
}

fn all_whole_of(demo: &Demo, nodes: &[&str]) {
    for node in nodes {
        let to = demo.node(node).address;
        wait_for("a node is filled and votes", PATIENCE, || {
            (http::get(to, node, "/healthz").status == 200).then_some(())
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

/// Who leads, by what the nodes have said of it last.
fn leader(demo: &Demo) -> String {
    let said = nodes().map(|node| demo.log(&node));
    let lines = said.iter().flat_map(|log| log.lines());
    let last = lines
        .filter(|line| line.contains("the council is led"))
        .max();
    let (_, behind) = last.unwrap().split_once("leader=\"").unwrap();
    behind.split('"').next().unwrap().to_owned()
}

/// Claims names through all spokes in turn, from several threads, until it is told to end; when each was given.
fn claim_until(demo: &Demo, at_least: usize, over: &AtomicBool) -> Vec<Instant> {
    let (given, spokes) = (Mutex::new(Vec::new()), demo.labels());
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (given, spokes) = (&given, &spokes);
            scope.spawn(move || {
                for turn in 0.. {
                    if turn >= at_least / CLIENTS && over.load(Ordering::Relaxed) {
                        return;
                    }
                    let name = format!("name{client}-{turn}");
                    let first = Author::new(&name).first(&demo.network, &name, now() + 3_600);
                    let through = &spokes[(client + turn) % spokes.len()];
                    assert_eq!(claim(demo, &name, &first, through), 201);
                    given.lock().unwrap().push(Instant::now());
                }
            });
        }
    });
    given.into_inner().unwrap()
}

/// Each name that was given stands in the log once, though it was asked for again and again.
fn each_once(log: &[String], given: usize) {
    let claims: Vec<_> = log
        .iter()
        .filter(|text| text.contains("\nKind: claim\n"))
        .collect();
    let blogs = claims.iter().map(|text| {
        let blog = text.lines().find(|line| line.starts_with("Blog: "));
        blog.unwrap().to_owned()
    });
    let blogs: BTreeSet<String> = blogs.collect();
    assert_eq!((claims.len(), blogs.len()), (given, given));
}

#[test]
fn names_are_given_on_when_a_leader_dies() {
    let demo = Demo::start_with(3, &["--empty", "--council", "3"]);
    let claims = setting("SPOKES_TEST_COUNCIL_CLAIMS", 100);
    let kills = setting("SPOKES_TEST_COUNCIL_KILLS", 3);
    let over = AtomicBool::new(false);
    let (given, killed) = thread::scope(|scope| {
        let killed = scope.spawn(|| {
            let killed: Vec<Instant> = (0..kills)
                .map(|_| {
                    thread::sleep(Duration::from_secs(1));
                    let leader = leader(&demo);
                    let at = Instant::now();
                    demo.kill(&leader);
                    thread::sleep(GAP_MAX);
                    demo.restart(&leader);
                    at
                })
                .collect();
            over.store(true, Ordering::Relaxed);
            killed
        });
        (claim_until(&demo, claims, &over), killed.join().unwrap())
    });
    let mut longest: Vec<Duration> = killed
        .iter()
        .map(|at| {
            let pairs = given
                .windows(2)
                .filter(|pair| pair[1] > *at && pair[0] < *at + GAP_MAX);
            pairs.map(|pair| pair[1] - pair[0]).max().unwrap()
        })
        .collect();
    longest.sort();
    eprintln!("{} names; the longest gaps {longest:?}", given.len());
    assert!(*longest.last().unwrap() <= GAP_MAX, "{longest:?}");
    each_once(&same_everywhere(&demo), given.len());
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
    // Whoever is left knows what the silent ones are called.
    let dir = demo.node("council3").data.clone();
    let asked = ["council", "status", "--dir", dir.to_str().unwrap()];
    let (code, said) = run(&program(), &asked);
    let silent = |line: &&str| line.contains("council1  ") && line.contains("silent: ");
    assert!(
        code != 0 && said.lines().any(|line| silent(&line)),
        "{said}"
    );
    assert!(said.contains("council recover"), "{said}");
    let key = demo.node("council1").data.join("organizer.key");
    let tell = [
        "--dir",
        dir.to_str().unwrap(),
        "--organizer",
        key.to_str().unwrap(),
    ];
    let (code, said) = run(
        &program(),
        &[&["council", "unseat", "council1"], &tell[..]].concat(),
    );
    let fits = said.contains("majority") && said.contains("council recover");
    assert!(code != 0 && fits, "{said}");
    demo.restart("council1");
    demo.restart("council2");
    assert_eq!(claim(&demo, "nadia", &nadia, "b"), 201);
    let after = same_everywhere(&demo);
    assert!(after.starts_with(&before));
}

/// Takes from a node all that it knows of the registry.
fn wipe(demo: &Demo, node: &str) {
    for ending in ["journal", "db", "db-wal", "db-shm"] {
        let path = demo.node(node).data.join(format!("registry.{ending}"));
        drop(fs::remove_file(path));
    }
}

fn organize(arguments: &[&str]) -> String {
    let (code, said) = run(&program(), &[&["council"], arguments].concat());
    assert_eq!(code, 0, "{arguments:?}: {said}");
    said
}

#[test]
fn empty_nodes_do_not_outvote_the_one_that_has_the_names() {
    let demo = Demo::start_with(3, &["--empty", "--council", "3"]);
    let _maria = Author::with_blog(&demo, "maria", "a");
    let many = setting("SPOKES_TEST_COUNCIL_NAMES", 40);
    let given = claim_until(&demo, many, &AtomicBool::new(true)).len();
    let before = same_everywhere(&demo);
    each_once(&before, given + 1);
    for node in nodes() {
        demo.kill(&node);
    }
    for node in ["council1", "council2"] {
        wipe(&demo, node);
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
    organize(&["recover", "--dir", dir, "--organizer", key]);
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

#[test]
fn a_slip_of_a_tired_organizer_does_not_stop_the_council() {
    let demo = Demo::start_with(3, &["--empty", "--council", "3"]);
    demo.kill("council1");
    let dir = demo.node("council2").data;
    let key = demo.node("council1").data.join("organizer.key");
    let tell = |words: &[&str]| {
        let tell = [
            "--dir",
            dir.to_str().unwrap(),
            "--organizer",
            key.to_str().unwrap(),
        ];
        run(&program(), &[&["council"], words, &tell].concat())
    };
    // The third one is well; without it the second would be alone.
    let refused = [
        (["refill", "council2"], "needs no filling"),
        (["refill", "council3"], "needs no filling"),
        (["seat", "council3"], "needs no filling"),
        (["unseat", "council3"], "council1 is silent"),
        (["unseat", "council2"], "council1 is silent"),
    ];
    // By then the first is not taken for one that is there.
    thread::sleep(GAP_MAX);
    for (words, why) in refused {
        let (code, said) = tell(&words);
        let fits = said.contains(why) && said.contains("Nothing was changed");
        assert!(code != 0 && fits, "{words:?}: {said}");
    }
    let maria = Author::new("maria").first(&demo.network, "maria", now() + 3_600);
    assert_eq!(claim(&demo, "maria", &maria, "a"), 201);
    // Whoever sits beside the dead one is told where else to say it.
    let dead = demo.node("council1").data;
    let dead = dead.to_str().unwrap();
    let others = ["council2", "council3"].map(|node| format!("http://{}", demo.node(node).address));
    for words in [&["spokes"][..], &["unseat", "council1"], &["invite"]] {
        let (code, said) = run(
            &program(),
            &[&["council"], words, &["--dir", dead]].concat(),
        );
        let named = others
            .iter()
            .any(|other| said.contains(&format!("--network {other}")));
        let fits = named && said.contains("nothing was changed");
        assert!(code != 0 && fits, "{words:?}: {said}");
    }
    // What is dead goes.
    let (code, said) = tell(&["unseat", "council1"]);
    assert_eq!(code, 0, "{said}");
    let delegated = [
        "NS    ns2.blogs",
        "NS    ns3.blogs",
        "A     127.0.1.2",
        "A     127.0.1.3",
    ];
    assert!(delegated.iter().all(|line| said.contains(line)), "{said}");
    assert!(!said.contains("ns1."), "{said}");
    let nadia = Author::new("nadia").first(&demo.network, "nadia", now() + 3_600);
    assert_eq!(claim(&demo, "nadia", &nadia, "b"), 201);
    demo.assert_no_panic();
}

#[test]
fn after_a_recovery_the_dead_seats_keep_nobody_from_seeing_who_is_silent() {
    let demo = Demo::start_with(3, &["--empty", "--council", "3"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    for node in nodes() {
        demo.kill(&node);
    }
    let dir = demo.node("council1").data;
    let dir = dir.to_str().unwrap();
    let wrong = demo.node("council1").data.join("registry.journal");
    let recover = [
        "council",
        "recover",
        "--dir",
        dir,
        "--organizer",
        wrong.to_str().unwrap(),
    ];
    let (code, said) = run(&program(), &recover);
    assert!(code != 0 && said.contains("64 hex digits"), "{said}");
    let said = organize(&["recover", "--dir", dir]);
    let ns = |number: u8| format!("blogs.localhost.      NS    ns{number}.blogs.localhost.");
    assert!(said.contains(&ns(1)) && !said.contains(&ns(2)), "{said}");
    demo.restart("council1");
    all_whole_of(&demo, &["council1"]);
    for dead in ["a", "b"] {
        demo.kill(dead);
    }
    for dead in ["a", "b"] {
        wait_for("a dead spoke is out of the names", PATIENCE, || {
            let (_, said) = run(&program(), &["council", "spokes", "--dir", dir]);
            let of = |line: &&str| line.starts_with(&format!("{dead} ("));
            let line = said.lines().find(of).unwrap().to_owned();
            line.contains("silent since").then_some(())
        });
    }
    let (_, said) = run(&program(), &["council", "open", "maria", "--dir", dir]);
    assert!(!said.contains("enough of the servers answer"), "{said}");
    // DNS names the one council node that holds the registry, and the others again when they do.
    let servers = || {
        run(
            "dig",
            &[
                "@127.0.1.1",
                "-p",
                &demo.dns_port.to_string(),
                "+short",
                "NS",
                "blogs.localhost",
            ],
        )
        .1
    };
    assert_eq!(servers().trim(), "ns1.blogs.localhost.");
    for node in ["council2", "council3"] {
        wipe(&demo, node);
        demo.restart(node);
    }
    all_whole(&demo);
    wait_for("all three are named again", PATIENCE, || {
        (servers().lines().count() == 3).then_some(())
    });
    for back in ["a", "b"] {
        demo.restart(back);
    }
    maria.post(&demo, "c", "after", "It goes on.");
    demo.assert_no_panic();
}

/// Whoever looks whether a backup is good, or founds a council anew that is well, is told before anything happens.
fn trying_a_backup_out_stops_nobody(demo: &Demo, backup: &str) {
    let said = organize(&["backup", "--check", backup]);
    assert!(said.contains("holds all"), "{said}");
    let (scratch, key) = (demo.dir.join("scratch"), demo.node("council1").data);
    let key = key.join("organizer.key");
    let founds = ["council", "recover", "--from", backup, "--label", "drill"];
    let at = [
        "--api",
        "127.0.9.9:8080",
        "--dns",
        "127.0.9.9:5300",
        "--dir",
    ];
    let (code, said) = run(
        &program(),
        &[
            &founds[..],
            &at,
            &[scratch.to_str().unwrap()],
            &["--organizer", key.to_str().unwrap()],
        ]
        .concat(),
    );
    assert!(code != 0 && said.contains("the council goes on"), "{said}");
    assert!(!scratch.join("registry.journal").exists());
}

#[test]
fn a_backup_brings_back_what_all_nodes_lost() {
    let demo = Demo::start_with(3, &["--empty", "--council", "3"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let before = same_everywhere(&demo);
    let backup = demo.dir.join("registry.backup");
    let to = backup.to_str().unwrap();
    let dir = demo.node("council2").data;
    let said = organize(&["backup", "--dir", dir.to_str().unwrap(), "--to", to]);
    // A node may have said meanwhile that it is whole.
    let held = said.split(" holds all ").nth(1).unwrap();
    let held: usize = held.split(' ').next().unwrap().parse().unwrap();
    assert!(held >= before.len(), "{said}");
    // These come later, and are in no backup.
    let nadia = Author::new("nadia").first(&demo.network, "nadia", now() + 3_600);
    assert_eq!(claim(&demo, "nadia", &nadia, "b"), 201);
    let third = Author::new("third").first(&demo.network, "third", now() + 3_600);
    assert_eq!(claim(&demo, "third", &third, "c"), 201);
    same_everywhere(&demo);
    trying_a_backup_out_stops_nobody(&demo, to);
    for node in nodes() {
        demo.kill(&node);
        wipe(&demo, &node);
    }
    let dir = demo.node("council1").data;
    organize(&["recover", "--dir", dir.to_str().unwrap(), "--from", to]);
    for node in nodes() {
        demo.restart(&node);
    }
    all_whole(&demo);
    for spoke in ["a", "b", "c"] {
        assert_eq!(demo.http(spoke, "maria", "/").status, 200, "{spoke}");
        wait_for("a spoke says what has happened", PATIENCE, || {
            demo.log(spoke).contains("founded anew").then_some(())
        });
    }
    // The spokes bring again what they had brought: nobody has to ask for her name a second time.
    for name in ["nadia", "third"] {
        wait_for("a name is given again", PATIENCE, || {
            let said = dig(&demo, 1, &format!("{name}.blogs.localhost"));
            said.contains("ANSWER: 2").then_some(())
        });
    }
    let after = same_everywhere(&demo);
    assert!(after.starts_with(&before));
    each_once(&after, 3);
    maria.post(&demo, "b", "after", "It goes on.");
    demo.assert_no_panic();
}

/// A node that comes to a council that runs.
struct Comer {
    dir: PathBuf,
    _process: Process,
}

fn comes(demo: &Demo, by: &Path, number: u8) -> Comer {
    let dir = demo.dir.join(format!("council{number}"));
    let label = format!("council{number}");
    let invite = organize(&["invite", "--dir", by.to_str().unwrap()]);
    let api = format!("127.0.1.{number}:{}", demo.port);
    let dns = format!("127.0.1.{number}:{}", demo.dns_port);
    let at = dir.to_str().unwrap();
    let join = ["join", invite.trim(), "--label", &label, "--dir", at];
    organize(&[&join[..], &["--api", &api, "--dns", &dns]].concat());
    let mut serve = Command::new(program());
    let serve = serve.args(["council", "serve", "--until-stdin-closes", "--dir", at]);
    let process = Process::begin(serve, &demo.dir.join(format!("logs/{label}.log")));
    let status = ["council", "status", "--dir", by.to_str().unwrap()];
    let asks = format!("{label}  {api}  asks for a seat");
    let (_, said) = run(&program(), &status);
    assert!(said.contains(&asks), "{said}");
    let said = organize(&["seat", &label, "--dir", by.to_str().unwrap()]);
    let delegated = format!("ns{number}.blogs.localhost.  A     127.0.1.{number}");
    assert!(said.contains(&delegated), "{said}");
    let to = api.parse().unwrap();
    wait_for("it is filled and votes", PATIENCE, || {
        let health = http::request(to, "GET", &api, "/healthz", &[], b"")?;
        (health.status == 200).then_some(())
    });
    Comer {
        dir,
        _process: process,
    }
}

#[test]
fn a_council_grows_to_five_and_shrinks_to_another_one_while_names_are_given() {
    let demo = Demo::start_with(3, &["--empty", "--council", "1"]);
    let over = AtomicBool::new(false);
    let (given, last) = thread::scope(|scope| {
        let changes = scope.spawn(|| {
            let first = demo.node("council1").data;
            let mut comers: Vec<Comer> = (2..=5).map(|n| comes(&demo, &first, n)).collect();
            // The organizer's key is at another node from now on.
            let by = &comers[3].dir;
            fs::copy(first.join("organizer.key"), by.join("organizer.key")).unwrap();
            let by = by.to_str().unwrap();
            // The one that leads goes first.
            for label in ["council1", "council2", "council3", "council4"] {
                organize(&["unseat", label, "--dir", by]);
                thread::sleep(Duration::from_secs(2));
            }
            demo.kill("council1");
            let last = comers.pop().unwrap();
            drop(comers);
            thread::sleep(Duration::from_secs(1));
            over.store(true, Ordering::Relaxed);
            last
        });
        let given = claim_until(&demo, 40, &over).len();
        (given, changes.join().unwrap())
    });
    let after = Author::new("after").first(&demo.network, "after", now() + 3_600);
    assert_eq!(claim(&demo, "after", &after, "a"), 201);
    let log = log_at(SocketAddr::from(([127, 0, 1, 5], demo.port)));
    each_once(&log, given + 1);
    eprintln!("{given} names");
    demo.assert_no_panic();
    drop(last);
}
