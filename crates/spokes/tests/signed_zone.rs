//! A signed zone, judged by the programs that the world judges with: delv, Unbound, ldns-verify-zone.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime},
};

use common::{
    Random,
    author::Author,
    demo::{Demo, free_ports, program},
    http, run,
    stock::{Resolver, delv, dig},
    wait_for, zone_keys,
};
use spokes::dns::{
    edition::Editions,
    serve::Server,
    signed::{Keys, MirrorKey},
    signer::ZoneSecret,
    signing::Stamp,
    zone::Zone,
};
use spokes_rules::{
    dnssec::{Signs, wire},
    zone::{Data, Node, RrSet, Soa},
};

const ZONE: &str = "blogs.example";
const SERVER: &str = "127.0.1.9";
const SECRET: &[u8; 32] = b"a secret that everybody may know";
/// Seconds for which keys may be remembered here, so that what lies behind it comes soon.
const KEYS_TTL: u32 = 2;
const HOUR: u32 = 60 * 60;

fn now() -> u32 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    u32::try_from(since).unwrap()
}

fn secret(seed: u8) -> ZoneSecret {
    ZoneSecret::from_seed(&[seed; 32]).unwrap()
}

/// A zone that this test signs and serves.
struct Press {
    editions: Editions,
    names: BTreeMap<String, Node>,
    serial: u32,
    /// Keys that are shown: organizers' and nodes'.
    top: Vec<u8>,
    nodes: Vec<u8>,
    /// That which signs.
    signs: u8,
    dice: Random,
    port: u16,
    runtime: tokio::runtime::Runtime,
}

impl Press {
    fn begin(dir: &Path) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let editions = Editions::new(ZONE).unwrap();
        let mut zone = Zone::new(ZONE).unwrap();
        zone.secure();
        editions.replace(zone, Some((dir.to_owned(), 1)));
        let keys = Keys::default();
        keys.set([MirrorKey::new("dig", "dig.council1.blogs.example", SECRET).unwrap()]);
        let at = SocketAddr::new(SERVER.parse().unwrap(), free_ports().1);
        let server = Server::bind(at, editions.clone(), keys).unwrap();
        runtime.spawn(server.run(std::future::pending()));
        let mut press = Self {
            editions,
            names: BTreeMap::new(),
            serial: 1,
            top: vec![1],
            nodes: vec![11, 12],
            signs: 11,
            dice: Random::new(7),
            port: at.port(),
            runtime,
        };
        let blogs: Vec<(String, Node)> = (0..60).flat_map(blog).collect();
        press.publish(blogs);
        press
    }

    /// What the keys that organizers hold offline have signed.
    fn keys(&self) -> Node {
        let secrets = |seeds: &[u8]| seeds.iter().map(|seed| secret(*seed)).collect::<Vec<_>>();
        let times = (now() - HOUR, now() + HOUR);
        zone_keys::signed(
            ZONE,
            &secrets(&self.top),
            &secrets(&self.nodes),
            (KEYS_TTL, times),
        )
    }

    fn apex(&self) -> (String, Node) {
        let soa = Soa {
            primary: format!("ns1.{ZONE}"),
            mailbox: format!("hostmaster.{ZONE}"),
            serial: self.serial,
            refresh: 60,
            retry: 30,
            expire: 604_800,
            minimum: 1,
        };
        let caa = Data::Caa {
            flags: 0,
            tag: "issue".to_owned(),
            value: "ca.example".to_owned(),
        };
        let mut apex = vec![
            set(2, vec![Data::Soa(soa)]),
            set(2, vec![Data::Ns(format!("ns1.{ZONE}"))]),
            set(2, vec![Data::A([192, 0, 2, 1].into())]),
            set(2, vec![caa]),
        ];
        apex.extend(self.keys());
        (ZONE.to_owned(), apex)
    }

    /// Publishes, and signs what has to be.
    fn publish(&mut self, mut names: Vec<(String, Node)>) {
        self.names.extend(names.clone());
        self.serial += 1;
        names.push(self.apex());
        self.signed(names, &[]);
    }

    fn signed(&self, names: Vec<(String, Node)>, renewed: &[Box<[u8]>]) {
        let secret = secret(self.signs);
        let stamp = Stamp {
            inception: now() - HOUR,
            expiration: now() + HOUR,
            tag: secret.key().tag(Signs::Zone),
        };
        let draft = self.editions.draft(names, renewed);
        let signatures = draft.sign(&secret, stamp).unwrap();
        let written = draft.signed(stamp, &signatures).unwrap();
        self.editions.publish_written(self.serial, written);
    }

    /// Another key signs all, some names with each version.
    fn sign_anew(&mut self, seed: u8) {
        self.signs = seed;
        let mut last = None;
        loop {
            let zone = self.editions.zone();
            let names = zone.read().names_behind(last.as_deref(), 20);
            let Some(name) = names.last() else { return };
            last = Some(name.clone());
            self.serial += 1;
            self.signed(vec![self.apex()], &names);
        }
    }

    /// A blog comes, goes, or moves.
    fn change(&mut self) {
        let number = self.dice.below(90);
        let mut names = blog(number);
        match self.dice.below(3) {
            0 => names.iter_mut().for_each(|(_, node)| node.clear()),
            1 => names[0].1.clear(),
            _ => {}
        }
        self.publish(names);
    }

    fn transferred(&self, to: &Path) {
        let key =
            "hmac-sha256:dig.council1.blogs.example:YSBzZWNyZXQgdGhhdCBldmVyeWJvZHkgbWF5IGtub3c=";
        let said = dig(SERVER, self.port, &["-y", key, "+onesoa", ZONE, "AXFR"]);
        assert!(said.contains("XFR size"), "{said}");
        // The signature of the transfer is no record of the zone.
        let records = said.lines().filter(|line| line.contains("\tIN\t"));
        fs::write(to, records.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    }
}

fn set(ttl: u32, data: Vec<Data>) -> RrSet {
    RrSet { ttl, data }
}

/// The names of a blog, as the registry has them.
fn blog(number: usize) -> Vec<(String, Node)> {
    let last = u8::try_from(number).unwrap();
    let v6 = |last: u8| Data::Aaaa([0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()].into());
    let text = Data::Txt(format!("v=1 blog=sha256:{number} epoch=1 primary=oak"));
    vec![
        (
            format!("blog{number}.{ZONE}"),
            vec![
                set(
                    2,
                    vec![
                        Data::A([192, 0, 2, last].into()),
                        Data::A([192, 0, 2, last + 1].into()),
                    ],
                ),
                set(2, vec![v6(last)]),
            ],
        ),
        (
            format!("edit.blog{number}.{ZONE}"),
            vec![set(2, vec![v6(last)])],
        ),
        (
            format!("_blog.blog{number}.{ZONE}"),
            vec![set(2, vec![text])],
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Tag and digest of an organizer's key.
fn ds(seed: u8) -> (u16, String) {
    let key = secret(seed).key();
    (key.tag(Signs::Keys), hex(&key.ds(&wire(ZONE))[4..]))
}

fn verify(zone: &Path) {
    let (code, said) = run("ldns-verify-zone", &["-V", "3", zone.to_str().unwrap()]);
    assert!(
        code == 0 && said.contains("is verified and complete"),
        "{said}"
    );
}

/// delv validates what is there, and that other things are not.
fn judged(press: &Press, at: (&str, &Path)) {
    for (rtype, name, expected) in [
        ("A", format!("blog1.{ZONE}"), "; fully validated\n"),
        ("AAAA", format!("edit.blog1.{ZONE}"), "; fully validated\n"),
        ("TXT", format!("_blog.blog1.{ZONE}"), "; fully validated\n"),
        ("SOA", ZONE.to_owned(), "; fully validated\n"),
        ("DNSKEY", ZONE.to_owned(), "; fully validated\n"),
        ("CDS", ZONE.to_owned(), "; fully validated\n"),
        ("CDNSKEY", ZONE.to_owned(), "; fully validated\n"),
        ("CAA", ZONE.to_owned(), "; fully validated\n"),
        (
            "MX",
            format!("blog1.{ZONE}"),
            "; negative response, fully validated\n",
        ),
        (
            "A",
            format!("blog7.{ZONE}"),
            "; negative response, fully validated\n",
        ),
        (
            "CNAME",
            format!("blog1.{ZONE}"),
            "; negative response, fully validated\n",
        ),
        (
            "DNAME",
            ZONE.to_owned(),
            "; negative response, fully validated\n",
        ),
        (
            "A",
            format!("nobody.{ZONE}"),
            "; negative response, fully validated\n",
        ),
        (
            "A",
            format!("a.b.blog1.{ZONE}"),
            "; negative response, fully validated\n",
        ),
        (
            "TXT",
            format!("*.{ZONE}"),
            "; negative response, fully validated\n",
        ),
    ] {
        let said = delv(SERVER, press.port, at, rtype, &name);
        assert!(said.contains(expected), "{rtype} {name}: {said}");
    }
}

#[test]
fn stock_tools_find_nothing_wrong_in_a_signed_zone() {
    let home = tempfile::tempdir().unwrap();
    let mut press = Press::begin(home.path());
    // The name of a blog whose servers are all gone is there only for those below it.
    press.publish(vec![(format!("blog7.{ZONE}"), vec![])]);
    let file = home.path().join("zone");
    press.transferred(&file);
    verify(&file);
    let (tag, digest) = ds(1);
    let trusted = home.path().join("trusted");
    let anchor = format!("trust-anchors {{ \"{ZONE}.\" static-ds {tag} 13 2 \"{digest}\"; }};\n");
    fs::write(&trusted, anchor).unwrap();
    let at = (ZONE, trusted.as_path());
    judged(&press, at);
    // Whoever trusts another key believes nothing of it.
    let (tag, digest) = ds(2);
    let anchor = format!("trust-anchors {{ \"{ZONE}.\" static-ds {tag} 13 2 \"{digest}\"; }};\n");
    fs::write(&trusted, anchor).unwrap();
    let said = delv(SERVER, press.port, at, "A", &format!("blog1.{ZONE}"));
    assert!(said.contains("resolution failed"), "{said}");
    for round in 0..20 {
        (0..20).for_each(|_| press.change());
        if round % 5 == 0 {
            press.transferred(&file);
            verify(&file);
        }
    }
    press.transferred(&file);
    verify(&file);
    drop(press.runtime);
}

/// Asks a resolver for names of all kinds; none may be bogus.
fn ask(resolver: &Resolver, dice: &mut Random) {
    let name = ["", "edit.", "_blog.", "x."][dice.below(4)];
    let name = format!("{name}blog{}.{ZONE}", dice.below(90));
    let rtype = ["A", "AAAA", "TXT", "MX"][dice.below(4)];
    let said = resolver.ask(rtype, &name);
    let is_answer = said.contains("status: NOERROR") || said.contains("status: NXDOMAIN");
    let flags = said
        .lines()
        .find(|line| line.contains("flags:"))
        .unwrap_or_default();
    assert!(is_answer && flags.contains(" ad"), "{rtype} {name}: {said}");
}

#[test]
fn a_validating_resolver_never_doubts_while_names_and_keys_change() {
    let home = tempfile::tempdir().unwrap();
    let mut press = Press::begin(home.path());
    let (tag, digest) = ds(1);
    let servers = [format!("{SERVER}@{}", press.port)];
    let trusted = format!("{ZONE}. DS {tag} 13 2 {digest}");
    let resolver = Resolver::start(home.path(), free_ports().0, ZONE, &servers, &trusted);
    let mut dice = Random::new(3);
    // Keys are remembered for so long at most.
    let wait = Duration::from_secs(u64::from(KEYS_TTL) + 1);
    let go_on = |press: &mut Press, dice: &mut Random| {
        let until = Instant::now() + wait;
        while Instant::now() < until {
            press.change();
            ask(&resolver, dice);
        }
    };
    go_on(&mut press, &mut dice);
    // A node's key that all know by now signs; the other one goes when nobody can need it any more.
    press.sign_anew(12);
    go_on(&mut press, &mut dice);
    press.nodes = vec![12, 13];
    go_on(&mut press, &mut dice);
    press.sign_anew(13);
    go_on(&mut press, &mut dice);
    press.nodes = vec![13];
    press.change();
    go_on(&mut press, &mut dice);
    // An organizer's next key beside that which the resolver trusts.
    press.top = vec![1, 2];
    press.change();
    go_on(&mut press, &mut dice);
    let file = home.path().join("zone");
    press.transferred(&file);
    verify(&file);
    // And as a check of the check: a key that signs though nobody can know it.
    press.signs = 14;
    press.sign_anew(14);
    thread::sleep(Duration::from_secs(3));
    let said = resolver.ask("A", &format!("blog1.{ZONE}"));
    let said = said + &resolver.ask("A", &format!("nobody.{ZONE}"));
    assert!(said.contains("status: SERVFAIL"), "{said}");
}

// ---- a network ----

const PATIENCE: Duration = Duration::from_secs(30);

/// Who leads, as the nodes say.
fn leader(demo: &Demo) -> Option<String> {
    let dir = demo.node("council1").data;
    let (_, said) = run(
        &program(),
        &["council", "status", "--json", "--dir", dir.to_str()?],
    );
    let json: serde_json::Value = serde_json::from_str(&said).ok()?;
    Some(json["leader"].as_str()?.to_owned())
}

fn council(demo: &Demo, arguments: &[&str]) -> String {
    let dir = demo.node("council1").data;
    let all = [
        &["council", "dnssec"],
        arguments,
        &["--dir", dir.to_str().unwrap()],
    ]
    .concat();
    let (code, said) = run(&program(), &all);
    assert_eq!(code, 0, "{all:?}: {said}");
    said
}

/// Waits until all is signed, and says what delv is to trust.
fn all_signed(demo: &Demo) -> String {
    wait_for("every name is signed", PATIENCE, || {
        council(demo, &["status"])
            .contains("Every name is signed")
            .then_some(())
    });
    let said = council(demo, &["status", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    let ds = json["ds"][0].as_str().unwrap();
    let words: Vec<&str> = ds.split(' ').collect();
    format!(
        "trust-anchors {{ \"{}\" static-ds {} 13 2 \"{}\"; }};\n",
        words[0], words[3], words[6]
    )
}

/// What each node that lives says of these is validated.
fn validated(demo: &Demo, trusted: &Path, nodes: &[u8]) {
    for node in nodes {
        for (rtype, name, expected) in [
            ("A", "maria.blogs.localhost", "; fully validated"),
            ("TXT", "_blog.maria.blogs.localhost", "; fully validated"),
            ("SOA", "blogs.localhost", "; fully validated"),
            (
                "A",
                "nobody.blogs.localhost",
                "; negative response, fully validated",
            ),
            (
                "MX",
                "maria.blogs.localhost",
                "; negative response, fully validated",
            ),
        ] {
            let at = format!("127.0.1.{node}");
            let said = delv(
                &at,
                demo.dns_port,
                ("blogs.localhost", trusted),
                rtype,
                name,
            );
            assert!(
                said.contains(expected),
                "council{node} {rtype} {name}: {said}"
            );
        }
    }
}

/// Each node says its key a moment after it is there.
fn begin(demo: &Demo, key: &str) {
    wait_for("all nodes have said their keys", PATIENCE, || {
        let dir = demo.node("council1").data;
        let all = [
            "council",
            "dnssec",
            "begin",
            "--key",
            key,
            "--ttl",
            "30",
            "--dir",
            dir.to_str().unwrap(),
        ];
        let (code, said) = run(&program(), &all);
        assert!(
            code == 0 || said.contains("not every council node has said"),
            "{said}"
        );
        (code == 0).then_some(())
    });
}

/// All nodes die at once, and come back.
fn all_restart(demo: &Demo) {
    for node in ["council1", "council2", "council3"] {
        demo.kill(node);
    }
    for node in ["council1", "council2", "council3"] {
        demo.restart(node);
    }
    for node in [1, 2, 3] {
        wait_for("a node answers", PATIENCE, || {
            let at = format!("127.0.1.{node}");
            let said = dig(&at, demo.dns_port, &["nadia.blogs.localhost", "A"]);
            said.contains("status: NOERROR").then_some(())
        });
    }
}

/// A node whose index is gone makes each version again from its journal, and has the same zone in the end.
fn makes_its_index_again(demo: &Demo) {
    demo.kill("council3");
    let dir = demo.node("council3").data;
    for file in fs::read_dir(&dir).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let is_made = ["registry.db", "registry.kept", "zone.history"];
        if is_made.iter().any(|made| name.starts_with(made)) {
            fs::remove_file(file).unwrap();
        }
    }
    demo.restart("council3");
    let serial = |node: u8| {
        let at = format!("127.0.1.{node}");
        dig(&at, demo.dns_port, &["+short", "blogs.localhost", "SOA"])
    };
    wait_for("it has the zone again", PATIENCE, || {
        let theirs = serial(1);
        (!theirs.is_empty() && serial(3) == theirs).then_some(())
    });
}

/// Said once more, the keys are signed for further weeks; others are none of it.
fn signs_with_its_keys_alone(demo: &Demo, home: &Path, key: &str) {
    let said = council(demo, &["sign", "--key", key, "--weeks", "20"]);
    let is_over =
        said.contains("The keys are signed until") && !said.contains("Say the same again");
    assert!(is_over, "{said}");
    let dir = demo.node("council1").data;
    let other = home.join("other.key");
    fs::write(&other, "11".repeat(32)).unwrap();
    let all_words = [
        "council",
        "dnssec",
        "sign",
        "--key",
        other.to_str().unwrap(),
        "--dir",
        dir.to_str().unwrap(),
    ];
    let (code, said) = run(&program(), &all_words);
    assert!(
        code != 0 && said.contains("none of the zone's keys"),
        "{said}"
    );
}

#[test]
fn a_network_signs_its_zone_and_goes_on_when_nodes_die() {
    let demo = Demo::start_with(3, &["--empty", "--council", "3"]);
    let maria = Author::with_blog(&demo, "maria", "a");
    // She is found by her key, too: a name that is older than the zone's keys.
    let mut rosa = Author {
        key: common::author::random_key("Rosa <rosa@blogs.localhost>"),
        ..Author::new("rosa")
    };
    assert_eq!(rosa.create(&demo, "b").status, 201);
    assert!(council(&demo, &["status"]).contains("not signed"));
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("zone.key");
    let key = key.to_str().unwrap();
    begin(&demo, key);
    let trusted = home.path().join("trusted");
    fs::write(&trusted, all_signed(&demo)).unwrap();
    validated(&demo, &trusted, &[1, 2, 3]);
    // Another name, and then whoever led is dead: the next one signs with its own key.
    let leader = wait_for("somebody leads", PATIENCE, || leader(&demo));
    demo.kill(&leader);
    let left: Vec<u8> = (1..=3)
        .filter(|n| leader != format!("council{n}"))
        .collect();
    let nadia = Author::new("nadia").first(&demo.network, "nadia", common::author::now() + 3_600);
    wait_for("nadia has her name", PATIENCE, || {
        let reply = http::post(
            demo.address("b"),
            "/api/v1/blogs/nadia/entries",
            &nadia.json,
        );
        reply.is_some_and(|reply| reply.status == 201).then_some(())
    });
    for node in &left {
        let at = format!("127.0.1.{node}");
        wait_for("nadia's name is validated", PATIENCE, || {
            let zone = ("blogs.localhost", trusted.as_path());
            let said = delv(
                &at,
                demo.dns_port,
                zone,
                "TXT",
                "_blog.nadia.blogs.localhost",
            );
            said.contains("; fully validated").then_some(())
        });
    }
    validated(&demo, &trusted, &left);
    demo.restart(&leader);
    all_restart(&demo);
    let all = [1, 2, 3];
    validated(&demo, &trusted, &all);
    makes_its_index_again(&demo);
    validated(&demo, &trusted, &all);
    signs_with_its_keys_alone(&demo, home.path(), key);
    all_signed(&demo);
    validated(&demo, &trusted, &all);
    drop(maria);
    demo.assert_no_panic();
}

/// Says one step of a change of keys again and again until it is taken to its end; asks all the time.
fn to_the_end(demo: &Demo, arguments: &[&str], mut go_on: impl FnMut()) -> String {
    let until = Instant::now() + Duration::from_secs(240);
    let dir = demo.node("council1").data;
    let all = [
        &["council", "dnssec"],
        arguments,
        &["--dir", dir.to_str().unwrap()],
    ]
    .concat();
    loop {
        let (code, said) = run(&program(), &all);
        let waits = said.contains("some names are still signed by it");
        assert!(code == 0 || waits, "{said}");
        if code == 0 && !said.contains("Say the same again") {
            assert!(said.contains("The keys are signed until"), "{said}");
            return said;
        }
        assert!(Instant::now() < until);
        for _ in 0..20 {
            go_on();
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// What status says is to be done, with the numbers of keys.
fn due(demo: &Demo) -> String {
    let json: serde_json::Value =
        serde_json::from_str(&council(demo, &["status", "--json"])).unwrap();
    json["due"].to_string()
}

/// A stolen key of a node, that which signs most: it rests at once, and is gone when nobody needs it.
fn a_stolen_key_goes(demo: &Demo, key: &str, ask: &mut dyn FnMut()) {
    let stolen = wait_for("somebody leads", PATIENCE, || leader(demo));
    let said = to_the_end(
        demo,
        &["sign", "--key", key, "--without", &stolen],
        &mut *ask,
    );
    assert!(said.contains(&format!("council unseat {stolen}")), "{said}");
    // Its node says it still, and what is said every quarter does not bring it back.
    let said = council(demo, &["sign", "--key", key]);
    assert!(
        said.contains(&format!("{stolen} has a key that is not in the zone")),
        "{said}"
    );
    let status = council(demo, &["status"]);
    assert!(!status.contains(&format!("{stolen}, key tag")), "{status}");
    assert!(
        status.contains(&format!("sign --with {stolen}")),
        "{status}"
    );
    all_signed(demo);
    let before = due(demo);
    assert!(before.contains(&stolen), "{before}");
    // The node has another key from its next start on.
    demo.kill(&stolen);
    fs::remove_file(demo.node(&stolen).data.join("zone.key")).unwrap();
    demo.restart(&stolen);
    wait_for("it says its new key", PATIENCE, || {
        ask();
        if due(demo) == before {
            return None;
        }
        let said = council(demo, &["sign", "--key", key, "--with", &stolen]);
        said.contains(&format!("A key of {stolen} is shown"))
            .then_some(())
    });
    to_the_end(demo, &["sign", "--key", key], &mut *ask);
}

/// The other key stays as long as resolvers may trust it alone.
fn too_early(demo: &Demo, new: &str) {
    let dir = demo.node("council1").data;
    let finish = [
        "council",
        "dnssec",
        "finish",
        "--key",
        new,
        "--dir",
        dir.to_str().unwrap(),
    ];
    let (code, said) = run(&program(), &finish);
    assert!(
        code != 0 && said.contains("Say the same again after"),
        "{said}"
    );
    let status = council(demo, &["status"]);
    for part in [
        "Not before",
        "may be added beside it",
        "and not before; a day later",
    ] {
        assert!(status.contains(part), "{part}: {status}");
    }
    assert_eq!(
        status.matches("organizer's zone key, key tag").count(),
        2,
        "{status}"
    );
}

#[test]
#[ignore = "waits for what resolvers remember: minutes"]
fn keys_of_nodes_and_organizers_change_under_a_validating_resolver() {
    let demo = Demo::start_with(3, &["--empty", "--council", "3"]);
    let names: Vec<String> = (0..8).map(|n| format!("blog{n}")).collect();
    let authors: Vec<Author> = names
        .iter()
        .map(|name| Author::with_blog(&demo, name, "a"))
        .collect();
    let home = tempfile::tempdir().unwrap();
    let [key, new] =
        ["old.key", "new.key"].map(|name| home.path().join(name).display().to_string());
    thread::sleep(Duration::from_secs(2));
    council(&demo, &["begin", "--key", &key, "--ttl", "30"]);
    all_signed(&demo);
    let anchor = |at: usize| {
        let json: serde_json::Value =
            serde_json::from_str(&council(&demo, &["status", "--json"])).unwrap();
        json["ds"][at].as_str().unwrap().replace(" IN ", " ")
    };
    let servers = [1, 2, 3].map(|node| format!("127.0.1.{node}@{}", demo.dns_port));
    let trusted = anchor(0);
    let zone = "blogs.localhost";
    let resolver = Resolver::start(home.path(), free_ports().0, zone, &servers, &trusted);
    let mut dice = Random::new(5);
    let mut ask = |resolver: &Resolver| {
        let name = format!(
            "{}{}.{zone}",
            ["", "_blog.", "x."][dice.below(3)],
            names[dice.below(8)]
        );
        let said = resolver.ask(["A", "TXT", "MX"][dice.below(3)], &name);
        let flags = said
            .lines()
            .find(|line| line.contains("flags:"))
            .unwrap_or_default();
        assert!(
            !said.contains("SERVFAIL") && flags.contains(" ad"),
            "{name}: {said}"
        );
    };
    a_stolen_key_goes(&demo, &key, &mut || ask(&resolver));
    // The organizer's key: the resolver trusts the old one, another one the new one.
    council(&demo, &["roll", "--key", &key, "--to", &new]);
    too_early(&demo, &new);
    (0..40).for_each(|_| ask(&resolver));
    let other_home = home.path().join("other");
    fs::create_dir(&other_home).unwrap();
    let other = Resolver::start(&other_home, free_ports().0, zone, &servers, &anchor(1));
    (0..40).for_each(|_| ask(&other));
    council(&demo, &["finish", "--key", &new, "--now"]);
    for _ in 0..400 {
        ask(&other);
        thread::sleep(Duration::from_millis(100));
    }
    drop((authors, resolver));
    demo.assert_no_panic();
}
