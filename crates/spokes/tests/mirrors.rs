//! Stock name servers copy the zone: BIND, Knot and NSD as Debian ships them, with what `spokes council mirror keys`
//! prints (SPEC dns 5).

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use common::{
    Random,
    author::Author,
    demo::{Demo, free_ports, program},
    http,
    name_server::{NameServer, Way, dig, records_in, serial_in},
    relay::Relay,
    run, wait_for,
};
use spokes::dns::{
    edition::Editions,
    notify::notify,
    serve::Server,
    signed::{Keys, MirrorKey},
    zone::Zone,
};
use spokes_rules::zone::{Data, Node, RrSet, Soa};

const PATIENCE: Duration = Duration::from_secs(30);
const APEX: &str = "blogs.localhost";

fn council(demo: &Demo, arguments: &[&str]) -> String {
    let dir = demo.node("council1").data;
    let all = [&["council"], arguments, &["--dir", dir.to_str().unwrap()]].concat();
    let (code, said) = run(&program(), &all);
    assert_eq!(code, 0, "{all:?}: {said}");
    said
}

/// Where a mirror answers: on the port of the council's DNS, as all do where that is 53.
fn address(label: &str) -> &'static str {
    match label {
        // It listens on addresses that an interface has, and on no others.
        "bind" => "127.0.0.1",
        "knot" => "127.0.1.52",
        _ => "127.0.1.53",
    }
}

/// Lets a mirror in; what it is to have in its configuration.
fn let_in(demo: &Demo, label: &str, program: &str) -> String {
    let at = format!("{}:{}", address(label), demo.dns_port);
    let said = council(demo, &["mirror", "add", label, "--at", &at]);
    let named = format!("blogs.localhost.      NS    {label}.ns.blogs.localhost.");
    assert!(said.contains(&named) && said.contains("--dir"), "{said}");
    wait_for("all nodes say their secrets", PATIENCE, || {
        let dir = demo.node("council1").data;
        let words = ["mirror", "keys", label, "--for", program];
        let at = ["--dir", dir.to_str().unwrap()];
        let (code, keys) = run(&self::program(), &[&["council"], &words[..], &at].concat());
        let nodes = ["council1", "council2", "council3"];
        let all = nodes
            .iter()
            .all(|node| keys.contains(&format!("{label}.{node}.blogs.localhost")));
        assert!(all || code != 0, "who does not get all is told: {keys}");
        all.then_some(keys)
    })
}

/// Starts a name server with this zone in its configuration.
fn begin(port: u16, label: &'static str, zone: &str, home: &Path) -> NameServer {
    let at = SocketAddr::new(address(label).parse().unwrap(), port);
    let way = Way {
        at,
        zone,
        workers: 1,
        under: &[],
        hands_on: true,
    };
    NameServer::begin(label, &way, home)
}

fn follows(mirror: &NameServer, demo: &Demo) {
    let what = format!("{} has the version of the council", mirror.label);
    wait_for(&what, PATIENCE, || {
        let here = mirror.serial(APEX);
        (here.is_some() && here == serial_of(demo, 1)).then_some(())
    });
}

fn serial_of(demo: &Demo, node: u8) -> Option<u32> {
    let said = dig(node_at(demo, node), &["+tries=1", "+short", APEX, "SOA"]);
    serial_in(&said)
}

fn node_at(demo: &Demo, node: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 1, node], demo.dns_port))
}

/// All records as a node of the council hands them on.
fn records_of(demo: &Demo, node: u8, keys: &str) -> BTreeSet<String> {
    let key = key_in(keys, node);
    let asked = ["-y", &key, "+noall", "+answer", APEX, "AXFR"];
    records_in(&dig(node_at(demo, node), &asked))
}

/// The secret with one node, as `dig -y` takes it, out of what is printed for BIND.
fn key_in(keys: &str, node: u8) -> String {
    let line = keys
        .lines()
        .find(|line| line.starts_with("key") && line.contains(&format!("council{node}.")));
    let words: Vec<&str> = line.unwrap().split('"').collect();
    format!("hmac-sha256:{}:{}", words[1], words[3])
}

/// Nodes and mirrors, record by record.
fn all_have_the_same(demo: &Demo, mirrors: &[NameServer], keys: &str) {
    // A version may come in between: each is compared with what a node has at that moment.
    for node in 2..=3 {
        wait_for("nodes have the same", PATIENCE, || {
            (records_of(demo, node, keys) == records_of(demo, 1, keys)).then_some(())
        });
    }
    for mirror in mirrors {
        wait_for(mirror.label, PATIENCE, || {
            (mirror.records(APEX) == records_of(demo, 1, keys)).then_some(())
        });
    }
}

#[test]
fn stock_servers_copy_the_zone_and_go_on_without_the_council() {
    let demo = Demo::start();
    let home = tempfile::tempdir().unwrap();
    let mut maria = Author::with_blog(&demo, "maria", "c");
    let mut keys = String::new();
    let mirrors = ["bind", "knot", "nsd"].map(|label| {
        let zone = let_in(&demo, label, label);
        if label == "bind" {
            zone.clone_into(&mut keys);
        }
        begin(demo.dns_port, label, &zone, home.path())
    });
    for mirror in &mirrors {
        follows(mirror, &demo);
    }

    // A new name is everywhere, within a second where the machine has nothing else to do.
    let _ash = Author::with_blog(&demo, "ash", "b");
    let began = Instant::now();
    for mirror in &mirrors {
        wait_for(
            &format!("{} answers for the new name", mirror.label),
            PATIENCE,
            || {
                let said = mirror.dig(&["+short", "ash.blogs.localhost"]);
                said.contains("127.0.2.").then_some(())
            },
        );
        eprintln!("{}: {:?}", mirror.label, began.elapsed());
    }

    // Record by record the same, wherever it is asked for.
    let whole = records_of(&demo, 1, &keys);
    assert!(whole.len() > 20, "{whole:#?}");
    all_have_the_same(&demo, &mirrors, &keys);
    wrong_secrets_are_refused(&demo, &keys);
    all_are_listed(&demo);
    no_mirror_is_where_a_node_is(&demo);

    // One node dies; the next carries on.
    demo.kill("council1");
    what_is_missing_is_said_in_the_file(&demo);
    maria.post(&demo, "c", "still-here", "Still here.");
    let _oak = Author::with_blog(&demo, "oak", "b");
    for mirror in &mirrors {
        wait_for(
            &format!("{} carries on with others", mirror.label),
            PATIENCE,
            || {
                let said = mirror.dig(&["+short", "oak.blogs.localhost"]);
                said.contains("127.0.2.").then_some(())
            },
        );
    }
    // The gateway asks every ten seconds who answers for the zone, as resolvers do now and then.
    thread::sleep(Duration::from_secs(12));
    // All are dead; the mirrors answer.
    demo.kill("council2");
    demo.kill("council3");
    for mirror in &mirrors {
        let said = mirror.dig(&["maria.blogs.localhost"]);
        assert!(
            said.contains("flags: qr aa") && said.contains("127.0.2."),
            "{said}"
        );
    }
    // And readers read: the gateway has learned of the mirrors, as resolvers do.
    let host = demo.host("maria");
    wait_for("the gateway asks a mirror", PATIENCE, || {
        let page = http::get(demo.gateway(), &host, "/still-here");
        (page.status == 200 && page.text().contains("Still here.")).then_some(())
    });
    let fresh = http::get(demo.gateway(), &demo.host("oak"), "/");
    assert_eq!(fresh.status, 200, "nobody asked for this name before");
    demo.assert_no_panic();
}

fn all_are_listed(demo: &Demo) {
    wait_for("each is listed with the last version", PATIENCE, || {
        let list = council(demo, &["mirror", "list"]);
        (list
            .matches(", the last one; resolvers are sent to it")
            .count()
            == 3)
            .then_some(())
    });
}

fn no_mirror_is_where_a_node_is(demo: &Demo) {
    let dir = demo.node("council1").data;
    for (at, why) in [
        ("127.0.1.2:53", "council2 of the council answers DNS at"),
        (
            "127.0.1.2",
            "say an IP address and a port, as 192.0.2.53:53",
        ),
    ] {
        let words = [
            "council",
            "mirror",
            "add",
            "ash",
            "--at",
            at,
            "--dir",
            dir.to_str().unwrap(),
        ];
        let (code, said) = run(&program(), &words);
        assert!(code != 0 && said.contains(why), "{said}");
    }
    let status = council(demo, &["status"]);
    assert!(
        status.contains("3 mirrors, all well") && status.contains("DNSSEC: not signed"),
        "{status}"
    );
}

/// One of three nodes is down.
fn what_is_missing_is_said_in_the_file(demo: &Demo) {
    let dir = demo.node("council2").data;
    let words = [
        "council",
        "mirror",
        "keys",
        "bind",
        "--dir",
        dir.to_str().unwrap(),
    ];
    let (code, said) = run(&program(), &words);
    assert!(
        code != 0 && said.contains("# Missing, it did not say its secret: council1"),
        "{said}"
    );
}

fn wrong_secrets_are_refused(demo: &Demo, keys: &str) {
    let port = demo.dns_port.to_string();
    let key = key_in(keys, 1);
    let (name, _) = key.rsplit_once(':').unwrap();
    let other = format!("{name}:{}", "A".repeat(43) + "=");
    for asked in [
        ["-y", &other],
        ["-y", &key.replace("bind.", "nobody.")],
        ["+tcp", "+nocookie"],
    ] {
        let all = [
            "@127.0.1.1",
            "-p",
            &port,
            asked[0],
            asked[1],
            "blogs.localhost",
            "AXFR",
        ];
        let said = run("dig", &all).1;
        assert!(
            said.contains("Transfer failed") || said.contains("verify"),
            "{said}"
        );
        assert!(!said.contains("maria.blogs.localhost."), "{said}");
    }
}

/// A server of versions that this test makes, as a council node has it, with all three mirrors.
struct Press {
    editions: Editions,
    /// What each name has.
    names: BTreeMap<String, Node>,
    serial: u32,
    dice: Random,
    port: u16,
    runtime: tokio::runtime::Runtime,
}

const SECRET: &[u8; 32] = b"a secret that everybody may know";

impl Press {
    fn begin(dir: &Path) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let editions = Editions::new("blogs.localhost").unwrap();
        let mut zone = Zone::new("blogs.localhost").unwrap();
        zone.set("blogs.localhost", apex(1)).unwrap();
        editions.replace(zone, Some((dir.to_owned(), 1)));
        let keys = Keys::default();
        let labels = ["bind", "knot", "nsd"];
        let shared = labels.map(|label| MirrorKey::new(label, &key_name(label), SECRET).unwrap());
        keys.set(shared.clone());
        let at = SocketAddr::from(([127, 0, 1, 9], free_ports().1));
        let server = Server::bind(at, editions.clone(), keys).unwrap();
        runtime.spawn(server.run(std::future::pending()));
        for (label, key) in labels.into_iter().zip(shared) {
            let mirror = SocketAddr::new(address(label).parse().unwrap(), at.port());
            runtime.spawn(notify(at.ip(), mirror, key, editions.clone()));
        }
        let (names, dice) = (BTreeMap::new(), Random::new(7));
        Self {
            editions,
            names,
            serial: 1,
            dice,
            port: at.port(),
            runtime,
        }
    }

    /// Some names of a few hundred answer something else, or come, or go.
    fn change(&mut self) {
        let mut batch = BTreeMap::new();
        for _ in 0..=self.dice.below(4) {
            let name = format!("name{}.blogs.localhost", self.dice.below(400));
            let name = ["", "edit.", "_blog."][self.dice.below(3)].to_owned() + &name;
            let address = |n: usize| Data::A([192, 0, 2, u8::try_from(n).unwrap()].into());
            let node = match self.dice.below(4) {
                0 => vec![],
                1 => vec![set(vec![Data::Txt(format!("v=1 epoch={}", self.serial))])],
                count => vec![set((0..count)
                    .map(|n| address(n + self.dice.below(200)))
                    .collect())],
            };
            batch.insert(name, node);
        }
        self.publish(batch);
    }

    fn publish(&mut self, batch: BTreeMap<String, Node>) {
        self.serial += 1;
        self.names.extend(batch.clone());
        let apex = ("blogs.localhost".to_owned(), apex(self.serial));
        self.editions
            .publish(self.serial, batch.into_iter().chain([apex]).collect());
    }

    fn mirrors(&self, home: &Path) -> [NameServer; 3] {
        ["bind", "knot", "nsd"]
            .map(|label| begin(self.port, label, &configured(label, self.port), home))
    }

    fn all_follow(&self, mirrors: &[NameServer]) {
        for mirror in mirrors {
            let what = format!("{} has version {}", mirror.label, self.serial);
            wait_for(&what, PATIENCE, || {
                (mirror.serial(APEX) == Some(self.serial)).then_some(())
            });
        }
        let records = self
            .names
            .values()
            .flatten()
            .map(|set| set.data.iter().collect::<HashSet<_>>().len());
        // The SOA stands once in a set of lines, and there are two name servers' records at the apex.
        let records = records.sum::<usize>() + 3;
        let whole = mirrors[0].records(APEX);
        assert_eq!(whole.len(), records);
        for mirror in &mirrors[1..] {
            assert_eq!(mirror.records(APEX), whole, "{}", mirror.label);
        }
    }
}

fn key_name(label: &str) -> String {
    format!("{label}.council1.blogs.localhost")
}

fn set(data: Vec<Data>) -> RrSet {
    RrSet { ttl: 30, data }
}

fn apex(serial: u32) -> Node {
    let soa = Soa {
        primary: "ns1.blogs.localhost".to_owned(),
        mailbox: "hostmaster.blogs.localhost".to_owned(),
        serial,
        refresh: 60,
        retry: 30,
        expire: 604_800,
        minimum: 10,
    };
    let ns = ["ns1", "ns2"].map(|ns| Data::Ns(format!("{ns}.blogs.localhost")));
    vec![set(vec![Data::Soa(soa)]), set(ns.to_vec())]
}

/// As `spokes council mirror keys` prints it, for one node.
fn configured(label: &str, port: u16) -> String {
    let (name, secret) = (
        key_name(label),
        "YSBzZWNyZXQgdGhhdCBldmVyeWJvZHkgbWF5IGtub3c=",
    );
    match label {
        "bind" => format!(
            "key \"{name}\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};\nzone \"blogs.localhost\" {{ type \
             secondary; file \"zone\"; primaries {{ 127.0.1.9 port {port} key \"{name}\"; }}; allow-notify {{ key \
             \"{name}\"; }}; notify no; min-refresh-time 1; min-retry-time 1; }};"
        ),
        "knot" => format!(
            "key:\n  - id: {name}\n    algorithm: hmac-sha256\n    secret: {secret}\nremote:\n  - id: council1\n    \
             address: 127.0.1.9@{port}\n    key: {name}\nacl:\n  - id: council\n    key: [{name}]\n    action: \
             notify\nzone:\n  - domain: blogs.localhost\n    master: [council1]\n    acl: council\n    \
             retry-max-interval: 1"
        ),
        _ => format!(
            "key:\n    name: \"{name}\"\n    algorithm: hmac-sha256\n    secret: \"{secret}\"\nzone:\n    name: \
             \"blogs.localhost\"\n    zonefile: \"zone\"\n    allow-notify: 127.0.1.9 {name}\n    request-xfr: \
             127.0.1.9@{port} {name}\n    max-retry-time: 1"
        ),
    }
}

#[test]
fn ten_thousand_changes_leave_every_mirror_with_the_same_zone() {
    let home = tempfile::tempdir().unwrap();
    let mut press = Press::begin(home.path());
    (0..100).for_each(|_| press.change());
    let mirrors = press.mirrors(home.path());
    press.all_follow(&mirrors);
    // By turns so many that the whole zone is less, and so few that what has changed is.
    for _ in 0..20 {
        for changes in [450, 50] {
            (0..changes).for_each(|_| press.change());
            press.all_follow(&mirrors);
        }
    }
    let said = mirrors[0].said();
    assert!(
        !said.contains("not exact") && !said.contains("failed while receiving"),
        "{said}"
    );
}

#[test]
fn a_mirror_that_was_away_for_longer_than_changes_are_kept_gets_the_whole_zone() {
    let home = tempfile::tempdir().unwrap();
    let mut press = Press::begin(home.path());
    press.change();
    let mirrors = press.mirrors(home.path());
    press.all_follow(&mirrors);
    let away = |signal: &str| {
        for mirror in &mirrors {
            run("kill", &[signal, &mirror.process.id().to_string()]);
        }
    };
    away("-STOP");
    // 80 MB of changes, where 64 MiB are kept.
    for n in 0..4_000 {
        let text = format!("{n:05}").repeat(2_000);
        let name = "long.blogs.localhost".to_owned();
        press.publish(BTreeMap::from([(name, vec![set(vec![Data::Txt(text)])])]));
    }
    press.publish(BTreeMap::from([(
        "long.blogs.localhost".to_owned(),
        vec![],
    )]));
    press.change();
    away("-CONT");
    press.all_follow(&mirrors);
    drop(press.runtime);
}

/// Blogs whose records, some 150 KB, are more than what lies on the way of a transfer that is held: 106 KB in the buffers
/// of the node and of the relay.
const BLOGS: usize = 600;
/// Authors who begin their blogs side by side.
const AUTHORS: usize = 4;

/// SPEC dns 5.1: any node serves any mirror, and a mirror asks one after the other.
#[test]
fn a_node_that_dies_in_the_middle_of_a_transfer_is_followed_by_the_next() {
    let demo = Demo::start();
    thread::scope(|scope| {
        for author in 0..AUTHORS {
            let demo = &demo;
            scope.spawn(move || {
                for number in 0..BLOGS / AUTHORS {
                    let through = ["a", "b", "c", "d", "e"][number % 5];
                    Author::with_blog(demo, &format!("blog{author}x{number}"), through);
                }
            });
        }
    });
    // Mirrors reach each node by a relay; until the first one has died they reach no other.
    let relays = [1, 2, 3].map(|node| {
        let here = SocketAddr::from(([127, 0, 1, 100 + node], demo.dns_port));
        Relay::begin(here, node_at(&demo, node), node != 1)
    });
    relays[0].hold(true);
    let home = tempfile::tempdir().unwrap();
    let mut keys = String::new();
    let mirrors = ["bind", "knot", "nsd"].map(|label| {
        let zone = let_in(&demo, label, label);
        if label == "bind" {
            zone.clone_into(&mut keys);
        }
        begin(
            demo.dns_port,
            label,
            &by_relays(&zone, demo.dns_port),
            home.path(),
        )
    });
    wait_for("all three are in the middle of it", PATIENCE, || {
        let held = relays[0].long_ones();
        (held.iter().filter(|carried| carried.is_held).count() == mirrors.len()).then_some(())
    });
    for mirror in &mirrors {
        assert_eq!(mirror.serial(APEX), None, "{} has a zone", mirror.label);
    }

    demo.kill("council1");
    relays[0].hold(false);
    relays[1..].iter().for_each(Relay::open);
    for mirror in &mirrors {
        let what = format!("{} has got the zone from another node", mirror.label);
        wait_for(&what, PATIENCE, || {
            let here = mirror.serial(APEX);
            (here.is_some() && here == serial_of(&demo, 2)).then_some(())
        });
    }
    let cut: Vec<usize> = relays[0]
        .long_ones()
        .iter()
        .map(|carried| carried.bytes)
        .collect();
    let whole = relays[1..].iter().flat_map(Relay::long_ones);
    let whole: Vec<usize> = whole.map(|carried| carried.bytes).collect();
    eprintln!("bytes of the transfers that broke off: {cut:?}; of those behind them: {whole:?}");
    assert!(cut.len() == 3 && whole.len() >= 3);
    assert!(cut.iter().max().unwrap() * 5 / 4 < *whole.iter().min().unwrap());
    let all = records_of(&demo, 2, &keys);
    assert!(all.len() > 4 * BLOGS, "{}", all.len());
    for mirror in &mirrors {
        assert_eq!(mirror.records(APEX), all, "{}", mirror.label);
    }
    demo.assert_no_panic();
}

/// What is printed for a mirror, with relays in place of the nodes that it asks.
fn by_relays(zone: &str, port: u16) -> String {
    let mut zone = zone.to_owned();
    for node in 1..=3 {
        for form in [format!("@{port}"), format!(" port {port}")] {
            let (is, relay) = (
                format!("127.0.1.{node}{form}"),
                format!("127.0.1.10{node}{form}"),
            );
            zone = zone.replace(&is, &relay);
        }
    }
    zone
}
