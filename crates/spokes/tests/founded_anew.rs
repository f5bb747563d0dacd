//! Keys of the council change: the founder goes, disks are lost, the council is founded anew. Invitations hold,
//! empty nodes are filled, spokes follow, and of two councils the older one stands down.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{fs, net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use common::{
    demo::{free_ports, program},
    http,
    recorded::Process,
    run, wait_for,
};

/// How long something may take that goes by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// A network of a test's own, node by node.
struct Town {
    home: tempfile::TempDir,
    port: u16,
    dns_port: u16,
}

/// A node and its process, which ends with it.
struct Node {
    label: String,
    number: u8,
    dir: PathBuf,
    api: SocketAddr,
    process: Option<Process>,
}

fn say(arguments: &[&str]) -> String {
    let (code, said) = run(&program(), arguments);
    assert_eq!(code, 0, "{arguments:?}: {said}");
    said
}

impl Node {
    fn dir(&self) -> &str {
        self.dir.to_str().unwrap()
    }

    fn begin(&mut self, arguments: &[&str]) {
        let mut serve = Command::new(program());
        serve.args(arguments);
        serve.args(["serve", "--until-stdin-closes", "--dir", self.dir()]);
        self.process = Some(Process::begin(&mut serve, &self.dir.with_extension("log")));
    }

    fn serve(&mut self) {
        self.begin(&["council"]);
        wait_for("a node answers", PATIENCE, || self.health());
    }

    fn stop(&mut self) {
        let ended = self.process.take().unwrap().end();
        assert!(ended.success(), "{ended}");
    }

    fn health(&self) -> Option<(u16, String)> {
        let asked = http::request(self.api, "GET", "node", "/healthz", &[], b"")?;
        Some((asked.status, asked.text()))
    }

    fn is_whole(&self) -> Option<()> {
        self.health().filter(|(status, _)| *status == 200).map(drop)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.with_extension("log")).unwrap_or_default()
    }

    /// Takes everything from it but node.key and config.toml.
    fn empty(&self) {
        for file in fs::read_dir(&self.dir).unwrap() {
            let path = file.unwrap().path();
            if !path.ends_with("node.key") && !path.ends_with("config.toml") {
                fs::remove_file(path).unwrap();
            }
        }
    }

    fn organize(&self, arguments: &[&str]) -> String {
        say(&[&["council"], arguments, &["--dir", self.dir()]].concat())
    }

    fn invite(&self) -> String {
        self.organize(&["invite"]).trim().to_owned()
    }

    /// An invitation, if the council takes it.
    fn invites(&self) -> (i32, String) {
        run(&program(), &["council", "invite", "--dir", self.dir()])
    }

    fn status(&self) -> (i32, String) {
        let asked = ["council", "status", "--dir", self.dir()];
        run(&program(), &asked)
    }

    fn key_of(&self) -> PathBuf {
        self.dir.join("organizer.key")
    }
}

impl Town {
    fn new() -> Self {
        let (port, dns_port) = free_ports();
        Self {
            home: tempfile::tempdir().unwrap(),
            port,
            dns_port,
        }
    }

    fn node(&self, folder: &str, label: &str, number: u8) -> Node {
        Node {
            label: label.to_owned(),
            number,
            dir: self.home.path().join(folder),
            api: SocketAddr::from(([127, 0, 1, number], self.port)),
            process: None,
        }
    }

    fn dns(&self, number: u8) -> String {
        format!("127.0.1.{number}:{}", self.dns_port)
    }

    /// Founds it with `council1`, which serves then.
    fn found(&self) -> Node {
        let mut node = self.node("council1", "council1", 1);
        let (api, dns) = (node.api.to_string(), self.dns(1));
        let init = ["council", "init", "blogs.localhost", "--dir", node.dir()];
        say(&[&init[..], &["--api", &api, "--dns", &dns]].concat());
        node.serve();
        node
    }

    /// A node asks for a seat, and serves.
    fn asks(&self, label: &str, number: u8, invite: &str) -> Node {
        let mut node = self.node(label, label, number);
        let (api, dns) = (node.api.to_string(), self.dns(number));
        let join = ["council", "join", invite, "--label", label];
        let at = ["--dir", node.dir(), "--api", &api, "--dns", &dns];
        say(&[&join[..], &at].concat());
        node.serve();
        node
    }

    /// The same, and it gets its seat.
    fn comes(&self, label: &str, number: u8, by: &Node) -> Node {
        let node = self.asks(label, number, &by.invite());
        by.organize(&["seat", label]);
        wait_for("it is filled and votes", PATIENCE, || node.is_whole());
        node
    }

    /// Three nodes, all whole.
    fn three(&self) -> [Node; 3] {
        let first = self.found();
        let [second, third] = [2, 3].map(|n| self.comes(&format!("council{n}"), n, &first));
        [first, second, third]
    }

    /// A spoke comes in and serves.
    fn spoke(&self, label: &str, number: u8, by: &Node) -> Node {
        let mut node = self.node(label, label, number);
        node.api = SocketAddr::from(([127, 0, 2, number], self.port));
        let (listen, invite) = (node.api.to_string(), by.invite());
        let join = ["join", &invite, "--dir", node.dir(), "--label", label];
        say(&[&join[..], &["--operator", label, "--listen", &listen]].concat());
        by.organize(&["admit", label]);
        node.begin(&[]);
        wait_for("a spoke answers", PATIENCE, || node.health());
        node
    }

    /// Founds the council anew with `council1` in a new folder; what was said of it.
    fn recovers(&self, number: u8, backup: &str, key: &str) -> (Node, String) {
        let anew = self.node("anew", "council1", number);
        let (api, dns) = (anew.api.to_string(), self.dns(number));
        let recover = ["council", "recover", "--dir", anew.dir(), "--from", backup];
        let node = ["--organizer", key, "--label", "council1"];
        let said = say(&[&recover[..], &node, &["--api", &api, "--dns", &dns]].concat());
        fs::copy(key, anew.key_of()).unwrap();
        (anew, said)
    }

    /// The same, and it serves.
    fn recover(&self, number: u8, backup: &str, key: &str) -> Node {
        let mut anew = self.recovers(number, backup, key).0;
        anew.serve();
        wait_for("it leads alone", PATIENCE, || anew.is_whole());
        anew
    }

    /// A backup of a node, and the organizer's key.
    fn keeps(&self, node: &Node, first: &Node) -> (String, String) {
        let at = |name: &str| self.home.path().join(name).to_str().unwrap().to_owned();
        let (backup, key) = (at("registry.backup"), at("stick.key"));
        node.organize(&["backup", "--to", &backup]);
        fs::copy(first.key_of(), &key).unwrap();
        (backup, key)
    }

    fn dig(&self, number: u8) -> String {
        let (at, port) = (format!("@127.0.1.{number}"), self.dns_port.to_string());
        let asked = ["-p", &port, "+tries=1", "+time=2", "blogs.localhost", "SOA"];
        run("dig", &[&[at.as_str()], &asked[..]].concat()).1
    }
}

/// How many records of the registry a spoke has.
fn records(node: &Node) -> u64 {
    let status = http::get(node.api, "node", "/api/v1/status").json();
    status["registry_records"].as_u64().unwrap()
}

/// How many a council node has.
fn records_in_all(node: &Node) -> u64 {
    let page = http::get(node.api, "node", "/api/v1/registry/log?after=0").json();
    page["records_in_all"].as_u64().unwrap()
}

#[test]
fn invitations_hold_after_the_founder_has_lost_its_seat() {
    let town = Town::new();
    let mut first = town.found();
    let old = first.invite();
    let second = town.comes("council2", 2, &first);
    fs::copy(first.key_of(), second.key_of()).unwrap();
    // Any node writes invitations, not the first one alone.
    let third = town.comes("council3", 3, &second);
    second.organize(&["unseat", "council1"]);
    wait_for("they go on without it", PATIENCE, || {
        let said = third.status().1;
        (said.contains("council2 leads") || said.contains("council3 leads")).then_some(())
    });
    first.stop();
    let _fourth = town.comes("council4", 4, &second);
    let spoke = town.spoke("oak", 1, &second);
    wait_for("it follows", PATIENCE, || {
        (records(&spoke) == records_in_all(&second)).then_some(())
    });
    // Whoever answers in the place of the one that wrote an invitation is not believed.
    let other = Town::new();
    let stranger = other.found();
    for (at, why) in [
        (stranger.api, "another network"),
        (second.api, "another node"),
    ] {
        let invite = old.replacen(&first.api.to_string(), &at.to_string(), 1);
        let dir = town.home.path().join("led-astray");
        let to = ["--dir", dir.to_str().unwrap(), "--label", "astray"];
        let more = ["--listen", "127.0.2.9:9999"];
        let (code, said) = run(&program(), &[&["join", &invite], &to[..], &more].concat());
        let told = said.contains("nothing was sent to it");
        assert!(code != 0 && told, "{why}: {said}");
    }
}

#[test]
fn a_council_on_a_new_disk_invites_and_fills_those_that_are_empty() {
    let town = Town::new();
    let mut three = town.three();
    let spoke = town.spoke("oak", 1, &three[0]);
    let (backup, key) = town.keeps(&three[1], &three[0]);
    three.iter_mut().for_each(Node::stop);
    let anew = town.recover(1, &backup, &key);
    let [_, mut second, mut third] = three;
    for node in [&mut second, &mut third] {
        node.empty();
        node.serve();
    }
    for node in [&second, &third] {
        wait_for("an empty node is filled by itself", PATIENCE, || {
            node.is_whole()
        });
    }
    wait_for("the spoke follows", PATIENCE, || {
        (records(&spoke) == records_in_all(&anew)).then_some(())
    });
    let _fourth = town.comes("council4", 4, &anew);
    let _elm = town.spoke("elm", 2, &anew);
}

/// The keys that signed are lost with their disks: what they have signed last is shown, and the organizer brings in the new
/// one.
#[test]
fn a_signed_zone_is_shown_by_a_council_on_a_new_disk_and_takes_its_key() {
    let town = Town::new();
    let mut first = town.found();
    let (_spoke, zone_key) = (
        town.spoke("oak", 1, &first),
        town.home.path().join("zone.key"),
    );
    let zone_key = ["--key", zone_key.to_str().unwrap()];
    wait_for("the node has said its key", PATIENCE, || {
        let begin = ["council", "dnssec", "begin", "--dir", first.dir()];
        (run(&program(), &[&begin[..], &zone_key].concat()).0 == 0).then_some(())
    });
    wait_for("all is signed", PATIENCE, || {
        let said = first.organize(&["dnssec", "status"]);
        said.contains("Every name is signed").then_some(())
    });
    let (backup, key) = town.keeps(&first, &first);
    let shown = town.dig(1);
    first.stop();
    let anew = town.recover(1, &backup, &key);
    let answer = |said: &str| {
        said.lines()
            .find(|l| l.contains("SOA\tns1"))
            .map(str::to_owned)
    };
    assert!(answer(&shown).is_some(), "{shown}");
    assert_eq!(
        answer(&town.dig(1)),
        answer(&shown),
        "its signature fits no other number"
    );
    let said = anew.organize(&[&["dnssec", "sign"][..], &zone_key].concat());
    assert!(
        said.contains("stays out") && said.contains("--with council1"),
        "{said}"
    );
    let sign = ["dnssec", "sign", "--with", "council1"];
    let said = anew.organize(&[&sign[..], &zone_key].concat());
    assert!(said.contains("A key of council1 is shown"), "{said}");
}

#[test]
fn spokes_that_do_not_know_where_the_council_is_now_say_so() {
    let town = Town::new();
    let mut first = town.found();
    let mut spoke = town.spoke("oak", 1, &first);
    let (backup, key) = town.keeps(&first, &first);
    first.stop();
    let said = town.recovers(4, &backup, &key).1;
    let told = said.contains("spokes do not know it") && said.contains("config.toml");
    assert!(told, "{said}");
    let mut anew = town.node("anew", "council1", 4);
    anew.serve();
    wait_for("the spoke says that it is lost", 2 * PATIENCE, || {
        spoke
            .log()
            .contains("the council is not reached")
            .then_some(())
    });
    spoke.stop();
    let config = spoke.dir.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let old = format!("council = [\"{}\"]", first.api);
    assert!(text.contains(&old), "{text}");
    let new = format!("council = [\"{}\"]", anew.api);
    fs::write(&config, text.replace(&old, &new)).unwrap();
    spoke.begin(&[]);
    wait_for("it follows", PATIENCE, || {
        spoke.health()?;
        (records(&spoke) == records_in_all(&anew)).then_some(())
    });
}

#[test]
fn a_node_is_filled_that_asked_long_before_it_got_its_seat() {
    let town = Town::new();
    let mut first = town.found();
    let late = town.asks("council2", 2, &first.invite());
    let third = town.comes("council3", 3, &first);
    let fourth = town.comes("council4", 4, &first);
    first.stop();
    wait_for("one leads that it does not know", PATIENCE, || {
        let said = third.status().1;
        let led = said.contains("council3 leads") || said.contains("council4 leads");
        led.then_some(())
    });
    fs::copy(first.key_of(), fourth.key_of()).unwrap();
    first.serve();
    fourth.organize(&["seat", "council2"]);
    wait_for("it is filled", PATIENCE, || late.is_whole());
}

#[test]
fn a_node_is_filled_that_knew_one_key_alone_and_not_that_of_the_leader() {
    let town = Town::new();
    let [mut first, mut second, third] = town.three();
    // The leader is one that took its seat after council2 had asked for its own.
    first.stop();
    wait_for("another one leads", PATIENCE, || {
        let said = third.status().1;
        (said.contains("council2 leads") || said.contains("council3 leads")).then_some(())
    });
    second.stop();
    first.serve();
    wait_for("the third one leads", PATIENCE, || {
        third.status().1.contains("council3 leads").then_some(())
    });
    second.empty();
    second.serve();
    fs::copy(first.key_of(), third.key_of()).unwrap();
    wait_for("its silence is noticed", PATIENCE, || {
        let refill = ["council", "refill", "council2", "--dir", third.dir()];
        (run(&program(), &refill).0 == 0).then_some(())
    });
    wait_for("it is filled", PATIENCE, || second.is_whole());
}

#[test]
fn of_two_councils_the_one_that_was_given_up_stands_down() {
    let town = Town::new();
    let mut three = town.three();
    let spoke = town.spoke("oak", 1, &three[0]);
    let (backup, key) = town.keeps(&three[0], &three[0]);
    // What comes behind the backup is what the two councils differ in.
    three[0].invite();
    three.iter_mut().for_each(Node::stop);
    let anew = town.recover(4, &backup, &key);
    // The power comes back where the others were.
    let [_first, mut second, mut third] = three;
    for node in [&mut second, &mut third] {
        node.begin(&["council"]);
    }
    for node in [&second, &third] {
        let said = wait_for("it stands down", PATIENCE, || {
            let health = node.health()?;
            (health.0 == 503 && health.1.contains("founded anew")).then_some(health)
        });
        assert!(said.1.contains(&anew.api.to_string()), "{said:?}");
        assert!(town.dig(node.number).contains("REFUSED"), "{}", node.label);
        let status = node.status();
        assert!(
            status.0 != 0 && status.1.contains("founded anew"),
            "{status:?}"
        );
        assert!(node.log().contains("founded anew"), "{}", node.log());
    }
    // And so it stays when it is started again, before anybody has told it anew.
    second.stop();
    second.begin(&["council"]);
    let said = wait_for("it answers", PATIENCE, || second.health());
    assert!(said.1.contains("founded anew"), "{said:?}");
    // Emptied, they are filled.
    for node in [&mut second, &mut third] {
        node.stop();
        for ending in ["journal", "db", "db-wal", "db-shm", "kept"] {
            drop(fs::remove_file(node.dir.join(format!("registry.{ending}"))));
        }
        node.serve();
    }
    for node in [&second, &third] {
        wait_for("it is filled by the new one", PATIENCE, || node.is_whole());
        assert!(town.dig(node.number).contains("NOERROR"), "{}", node.label);
        // Reports of health go on, so one of them may be on its way to this node.
        wait_for("it has what the new one has", PATIENCE, || {
            (records_in_all(node) == records_in_all(&anew)).then_some(())
        });
    }
    drop(spoke);
}

/// Two nodes of three went on without the first one, which then was founded anew on what it holds. It serves, they
/// do not yet.
fn went_on(town: &Town) -> [Node; 3] {
    let [mut first, mut second, mut third] = town.three();
    let key = first.key_of().to_str().unwrap().to_owned();
    first.stop();
    fs::copy(&key, second.key_of()).unwrap();
    wait_for("an invitation is given", PATIENCE, || {
        (second.invites().0 == 0).then_some(())
    });
    second.stop();
    third.stop();
    let recover = ["council", "recover", "--dir", first.dir()];
    say(&[&recover[..], &["--organizer", &key]].concat());
    first.serve();
    [first, second, third]
}

fn stands_down(node: &Node) -> Option<()> {
    let health = node.health()?;
    (health.0 == 503 && health.1.contains("founded anew")).then_some(())
}

#[test]
fn nodes_that_went_on_without_the_recovered_one_stand_down_and_answer_for_nothing() {
    let town = Town::new();
    let [first, mut second, mut third] = went_on(&town);
    let before = fs::read(third.dir.join("registry.journal")).unwrap();
    second.begin(&["council"]);
    third.begin(&["council"]);
    for node in [&second, &third] {
        wait_for("it stands down", PATIENCE, || stands_down(node));
        for path in ["network", "registry/log?after=0", "registry/status"] {
            let said = http::get(node.api, "node", &format!("/api/v1/{path}"));
            let word = (said.status, said.kind());
            assert_eq!(word, (503, "founded-anew".to_owned()), "{path}");
        }
    }
    let said = first.status().1;
    assert!(said.contains("council1 leads"), "{said}");
    assert_eq!(said.matches("stands down").count(), 2, "{said}");
    let after = fs::read(third.dir.join("registry.journal")).unwrap();
    assert!(
        after.starts_with(&before),
        "what only it holds can be looked up"
    );
}

#[test]
fn one_that_stands_down_gives_no_majority_to_an_old_one_that_hears_nothing() {
    let town = Town::new();
    let [_first, mut second, mut third] = went_on(&town);
    // Nobody finds it to tell it.
    let hidden = SocketAddr::from(([127, 0, 1, 2], town.port + 5));
    let config = second.dir.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let [old, new] = [second.api, hidden].map(|api| format!("api = \"{api}\""));
    fs::write(&config, text.replace(&old, &new)).unwrap();
    second.api = hidden;
    second.begin(&["council"]);
    third.begin(&["council"]);
    wait_for("the other one stands down", PATIENCE, || {
        stands_down(&third)
    });
    // Longer than a leader counts whom nobody answers.
    std::thread::sleep(Duration::from_secs(3));
    let (code, said) = second.invites();
    assert!(code != 0 && said.contains("majority"), "{said}");
    assert!(stands_down(&second).is_none(), "it has not heard");
}

/// Record 0 and the last recovery, as a node has them.
fn word_of(node: &Node) -> serde_json::Value {
    let page = http::get(node.api, "node", "/api/v1/registry/log?after=0").json();
    let records = page["records"].as_array().unwrap();
    let is_recovery = |record: &&serde_json::Value| {
        let text = record["request"]["signed"]["text"].as_str().unwrap();
        text.contains("\nKind: recover\n")
    };
    let recovery = records.iter().rev().find(is_recovery).unwrap();
    serde_json::json!({"found": records[0], "recover": recovery["request"]})
}

#[test]
fn of_two_recoveries_the_later_one_counts_whoever_repeats_the_other() {
    let town = Town::new();
    let mut first = town.found();
    let (backup, key) = town.keeps(&first, &first);
    first.stop();
    let mut anew = town.recover(4, &backup, &key);
    let old = word_of(&anew);
    anew.stop();
    fs::rename(&anew.dir, town.home.path().join("given-up")).unwrap();
    let again = town.recover(1, &backup, &key);
    let new = word_of(&again);
    assert_ne!(old, new);
    let tell = |word: &serde_json::Value| {
        let path = "/api/v1/registry/founded-anew";
        http::post(again.api, path, &word.to_string())
            .unwrap()
            .status
    };
    let altered = serde_json::from_str(&new.to_string().replace("council1", "council7")).unwrap();
    let long = serde_json::json!({"found": "x".repeat(64 * 1024)});
    let said = [tell(&old), tell(&new), tell(&altered), tell(&long)];
    assert_eq!(said, [409, 200, 422, 413]);
    // Five seconds after a word it would stand down.
    std::thread::sleep(Duration::from_secs(7));
    assert!(again.is_whole().is_some(), "{:?}", again.health());
}

#[test]
fn a_node_that_held_the_same_takes_part_in_the_council_founded_anew_as_it_is() {
    let town = Town::new();
    let mut first = town.found();
    let mut second = town.comes("council2", 2, &first);
    second.stop();
    first.stop();
    let (dir, key) = (first.dir().to_owned(), first.key_of());
    let organizer = ["--organizer", key.to_str().unwrap()];
    say(&[&["council", "recover", "--dir", &dir], &organizer[..]].concat());
    second.begin(&["council"]);
    first.serve();
    for node in [&first, &second] {
        wait_for("it takes part", PATIENCE, || {
            let said = node.status().1;
            let both = said.matches("up to date").count() == 2;
            (node.is_whole().is_some() && both).then_some(())
        });
    }
    // Five seconds after a word it would stand down.
    std::thread::sleep(Duration::from_secs(7));
    let said = second.log();
    assert!(second.is_whole().is_some(), "{:?}: {said}", second.health());
    assert!(!said.contains("stands down"), "{said}");
}
