//! Stock name servers copy the zone: BIND, Knot and NSD as Debian ships them, with what `spokes council mirror keys`
//! prints (SPEC dns 5).

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use common::{
    author::Author,
    demo::{Demo, program},
    run, wait_for,
};

const PATIENCE: Duration = Duration::from_secs(30);
/// How long a change may take to a mirror (SPEC dns 5.4), on a machine that does other things.
const CHANGE_MAX: Duration = Duration::from_secs(1);

/// A running name server of somebody else.
struct Mirror {
    label: &'static str,
    port: u16,
    process: Child,
    dir: PathBuf,
}

impl Drop for Mirror {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            println!("--- {}\n{}", self.label, self.said());
        }
    }
}

fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(31_000);
    for _ in 0..1_000 {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        let address = ("127.0.0.1", port);
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

fn council(demo: &Demo, arguments: &[&str]) -> String {
    let dir = demo.node("council1").data;
    let all = [&["council"], arguments, &["--dir", dir.to_str().unwrap()]].concat();
    let (code, said) = run(&program(), &all);
    assert_eq!(code, 0, "{all:?}: {said}");
    said
}

/// Lets a mirror in; what it is to have in its configuration.
fn let_in(demo: &Demo, label: &str, port: u16, program: &str) -> String {
    council(
        demo,
        &["mirror", "add", label, "--at", &format!("127.0.0.1:{port}")],
    );
    wait_for("all nodes say their secrets", PATIENCE, || {
        let keys = council(demo, &["mirror", "keys", label, "--for", program]);
        let nodes = ["council1", "council2", "council3"];
        let all = nodes
            .iter()
            .all(|node| keys.contains(&format!("{label}.{node}.blogs.localhost")));
        all.then_some(keys)
    })
}

/// Starts a name server with this zone in its configuration.
fn begin(label: &'static str, port: u16, zone: &str, home: &Path) -> Mirror {
    let dir = home.join(label);
    fs::create_dir_all(&dir).unwrap();
    let at = dir.to_str().unwrap();
    let (program, arguments, config) = match label {
        "bind" => (
            "named",
            vec!["-g", "-c", "config"],
            format!(
                "options {{ directory \"{at}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
                 pid-file none; session-keyfile none; recursion no; allow-transfer {{ any; }}; \
                 dnssec-validation no; }};\ncontrols {{ }};\n{zone}\n"
            ),
        ),
        "knot" => (
            "knotd",
            vec!["-c", "config"],
            format!(
                "server:\n    listen: 127.0.0.1@{port}\n    rundir: {at}\ndatabase:\n    storage: {at}\nlog:\n  - target: \
                 stderr\n    any: info\nacl:\n  - id: all\n    action: transfer\n{}\n    storage: {at}\n",
                zone.trim_end()
                    .replace("acl: council", "acl: [council, all]")
            ),
        ),
        _ => (
            "nsd",
            vec!["-d", "-c", "config"],
            format!(
                "server:\n    ip-address: 127.0.0.1@{port}\n    username: \"\"\n    zonesdir: \"{at}\"\n    database: \
                 \"\"\n    pidfile: \"{at}/pid\"\n    xfrdfile: \"{at}/xfrd\"\n    xfrdir: \"{at}\"\n    zonelistfile: \
                 \"{at}/list\"\nremote-control:\n    control-enable: no\n{zone}\n    provide-xfr: 127.0.0.1 NOKEY\n"
            ),
        ),
    };
    fs::write(dir.join("config"), config).unwrap();
    let said = fs::File::create(dir.join("said")).unwrap();
    let process = Command::new(program)
        .args(arguments)
        .current_dir(&dir)
        .stdin(Stdio::null())
        .stdout(said.try_clone().unwrap())
        .stderr(said)
        .spawn()
        .unwrap();
    Mirror {
        label,
        port,
        process,
        dir,
    }
}

impl Mirror {
    fn dig(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let all = [
            &["@127.0.0.1", "-p", &port, "+tries=1", "+time=2"],
            arguments,
        ]
        .concat();
        run("dig", &all).1
    }

    fn serial(&self) -> Option<u32> {
        serial_in(&self.dig(&["+short", "blogs.localhost", "SOA"]))
    }

    fn said(&self) -> String {
        fs::read_to_string(self.dir.join("said")).unwrap_or_default()
    }

    fn follows(&self, demo: &Demo) {
        let what = format!("{} has the version of the council", self.label);
        wait_for(&what, PATIENCE, || {
            let here = self.serial();
            (here.is_some() && here == serial_of(demo, 1)).then_some(())
        });
    }

    /// All records, in their canonical order.
    fn records(&self) -> BTreeSet<String> {
        records_in(&self.dig(&["+noall", "+answer", "blogs.localhost", "AXFR"]))
    }
}

fn records_in(said: &str) -> BTreeSet<String> {
    let lines = said
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines
        .filter(|line| !line.is_empty() && !line.starts_with(';'))
        .collect()
}

fn serial_in(said: &str) -> Option<u32> {
    said.split(' ').nth(2)?.parse().ok()
}

fn serial_of(demo: &Demo, node: u8) -> Option<u32> {
    let (at, port) = (format!("@127.0.1.{node}"), demo.dns_port.to_string());
    serial_in(
        &run(
            "dig",
            &[
                &at,
                "-p",
                &port,
                "+tries=1",
                "+short",
                "blogs.localhost",
                "SOA",
            ],
        )
        .1,
    )
}

/// All records as a node of the council hands them on.
fn records_of(demo: &Demo, node: u8, keys: &str) -> BTreeSet<String> {
    let (at, port) = (format!("@127.0.1.{node}"), demo.dns_port.to_string());
    let key = key_in(keys, node);
    let said = run(
        "dig",
        &[
            &at,
            "-p",
            &port,
            "-y",
            &key,
            "+noall",
            "+answer",
            "blogs.localhost",
            "AXFR",
        ],
    );
    records_in(&said.1)
}

/// The secret with one node, as `dig -y` takes it, out of what is printed for BIND.
fn key_in(keys: &str, node: u8) -> String {
    let line = keys
        .lines()
        .find(|line| line.starts_with("key") && line.contains(&format!("council{node}.")));
    let words: Vec<&str> = line.unwrap().split('"').collect();
    format!("hmac-sha256:{}:{}", words[1], words[3])
}

#[test]
fn stock_servers_copy_the_zone_and_go_on_without_the_council() {
    let demo = Demo::start();
    let home = tempfile::tempdir().unwrap();
    let mut maria = Author::with_blog(&demo, "maria", "c");
    let mut keys = String::new();
    let mirrors = ["bind", "knot", "nsd"].map(|label| {
        let port = free_port();
        let zone = let_in(&demo, label, port, label);
        if label == "bind" {
            zone.clone_into(&mut keys);
        }
        begin(label, port, &zone, home.path())
    });
    for mirror in &mirrors {
        mirror.follows(&demo);
    }

    // A new name is everywhere within a second.
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
        println!("{}: {:?}", mirror.label, began.elapsed());
        assert!(
            began.elapsed() < CHANGE_MAX,
            "{}: {}",
            mirror.label,
            mirror.said()
        );
    }

    // Record by record the same, wherever it is asked for.
    let whole = records_of(&demo, 1, &keys);
    assert!(whole.len() > 20, "{whole:#?}");
    for node in 2..=3 {
        assert_eq!(records_of(&demo, node, &keys), whole);
    }
    for mirror in &mirrors {
        assert_eq!(mirror.records(), whole, "{}", mirror.label);
    }
    wrong_secrets_are_refused(&demo, &keys);

    // One node dies; the next carries on.
    demo.kill("council1");
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
    demo.assert_no_panic();
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
