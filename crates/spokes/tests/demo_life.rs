//! A demo begins, ends, goes on, and refuses what it cannot do, always in a sentence.

#![allow(clippy::unwrap_used, reason = "a story that breaks off says where")]

mod common;

use std::{
    fs,
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use common::{
    author::Author,
    demo::{Demo, answers, command, free_ports, program},
    run, wait_for,
};

/// The contract's.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

fn all_gone(demo: &Demo, addresses: &[std::net::SocketAddr]) -> Duration {
    let began = Instant::now();
    wait_for("all nodes are gone", ENDED_WITHIN, || {
        let left = addresses.iter().any(|address| answers(*address));
        let pids = node_processes(&demo.dir);
        (!left && pids == 0).then_some(())
    });
    began.elapsed()
}

/// Processes that serve a directory of this demo.
fn node_processes(dir: &Path) -> usize {
    let lines = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    let dir = dir.to_str().unwrap();
    let ours = lines.filter(|line| line.contains("until-stdin-closes") && line.contains(dir));
    ours.count()
}

fn addresses(demo: &Demo) -> Vec<std::net::SocketAddr> {
    let labels = demo.labels();
    let spokes = labels.iter().map(|label| demo.address(label));
    spokes.chain([demo.council(), demo.gateway()]).collect()
}

#[test]
fn a_demo_ends_with_its_children_and_goes_on_where_it_was() {
    let mut demo = Demo::start_with(3, &["--empty"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    maria.post(&demo, "a", "kept", "These words stay.");
    let network = demo.network.clone();

    let nodes = addresses(&demo);
    demo.end("-TERM");
    eprintln!("after SIGTERM: {:?}", all_gone(&demo, &nodes));
    assert!(
        !demo.dir.join("network.json").exists(),
        "a stale file would mislead"
    );

    let mut demo = again(&demo);
    assert_eq!(demo.network, network, "the same network goes on");
    assert!(
        demo.http("b", "maria", "/kept")
            .text()
            .contains("These words stay")
    );
    maria.post(&demo, "b", "more", "And these come along.");

    let nodes = addresses(&demo);
    demo.end("-KILL");
    eprintln!("after SIGKILL: {:?}", all_gone(&demo, &nodes));
    assert!(
        demo.dir.join("network.json").exists(),
        "nobody was left to remove it"
    );
    let demo = again(&demo);
    assert_eq!(demo.network, network);
    assert!(
        demo.http("c", "maria", "/more")
            .text()
            .contains("come along")
    );
    demo.assert_no_panic();
}

/// The same command once more. A stale `network.json` goes before the new one comes.
fn again(old: &Demo) -> Demo {
    Demo::start_in(&old.dir, old.port, old.dns_port, 3, &["--empty"])
}

#[test]
fn two_demos_do_not_disturb_each_other() {
    let one = Demo::start_with(2, &["--empty", "--replicas", "2"]);
    let two = Demo::start_with(2, &["--empty", "--replicas", "2"]);
    assert_ne!(one.network, two.network);
    let mut maria = Author::with_blog(&one, "maria", "a");
    assert_eq!(two.api("a", "blogs/maria").status, 404);
    drop(two);
    maria.post(&one, "b", "still", "Still here.");

    // A second demo in the same directory is refused while the first runs.
    let (port, dns_port) = free_ports();
    let (code, said) = finish(&one.dir, port, dns_port);
    assert!(code == 1 && said.contains("already"), "{code} {said}");
    let dir = one.dir.to_str().unwrap();
    let began = Instant::now();
    let (code, said) = run(&program(), &["demo", "restart", "nobody", "--dir", dir]);
    assert!(code == 1 && said.contains("nobody"), "{code} {said}");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "an unknown label is refused at once"
    );
    assert_eq!(one.api("a", "blogs/maria").status, 200);
}

/// Runs a demo that is expected to refuse.
fn finish(dir: &Path, port: u16, dns_port: u16) -> (i32, String) {
    let output = command(dir, port, dns_port, 2, &["--empty"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !said.contains("panicked") && !said.contains("backtrace"),
        "{said}"
    );
    (output.status.code().unwrap_or(-1), said)
}

#[test]
fn a_port_in_use_is_a_sentence() {
    let (port, dns_port) = free_ports();
    for taken in [
        ("127.0.0.1", port),
        ("127.0.1.1", port),
        ("127.0.1.1", dns_port),
        ("127.0.2.2", port),
    ] {
        let home = tempfile::tempdir().unwrap();
        let _listener = TcpListener::bind(taken).unwrap();
        let (code, said) = finish(&home.path().join("demo"), port, dns_port);
        assert_eq!(code, 1, "{said}");
        assert!(
            said.contains(&taken.1.to_string()),
            "it names the port: {said}"
        );
        assert!(said.contains("another"), "it says what to do: {said}");
    }
}

#[test]
fn what_a_newer_program_wrote_is_left_alone() {
    let mut demo = Demo::start_with(1, &["--empty"]);
    demo.end("-TERM");
    let spoke = demo.dir.join("spoke-a");
    let serve = |dir: &Path, words: &[&str]| {
        let (code, said) = run(
            &program(),
            &[words, &["--dir", dir.to_str().unwrap()]].concat(),
        );
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("newer program"), "{said}");
    };
    let version = |path: &Path, version: u32| {
        let db = rusqlite::Connection::open(path).unwrap();
        db.pragma_update(None, "user_version", version).unwrap();
    };
    version(&spoke.join("spoke.db"), 99);
    serve(&spoke, &["serve"]);
    version(&spoke.join("spoke.db"), 1);
    let council = demo.dir.join("council1");
    version(&council.join("registry.db"), 99);
    serve(&council, &["council", "serve"]);
    version(&council.join("registry.db"), 1);
    for (dir, words) in [(&spoke, &["serve"][..]), (&council, &["council", "serve"])] {
        let path = dir.join("config.toml");
        let config = fs::read_to_string(&path).unwrap();
        let newer = config.replace("layout = 1", "layout = 99") + "\nfuture_setting = true\n";
        fs::write(&path, newer).unwrap();
        serve(dir, words);
        fs::write(&path, config).unwrap();
    }
}
