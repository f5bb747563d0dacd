//! Authors' keys by name: `OPENPGPKEY` records of the council, found by `dig`, by `gpg --import`, and by gpg's own way of
//! looking in DNS (SPEC dns 7).
//!
//! gpg asks the resolver of the system at port 53, so the story happens in a network of its own where the system has one
//! to give; elsewhere all of it happens but that.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use common::{
    demo::{Demo, free_ports, program},
    gpg::Gpg,
    run, wait_for,
};
use spokes_log::name::BlogName;
use spokes_rules::{openpgpkey, request::Domain};

/// Tells this program, started once more, that it is inside.
const INSIDE: &str = "SPOKES_KEYS_INSIDE";
const COUNCIL: [&str; 3] = ["127.0.1.1", "127.0.1.2", "127.0.1.3"];
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn readers_find_an_authors_key_by_the_name_of_her_blog() {
    let inside = env::var_os(INSIDE).is_some();
    match apart("readers_find_an_authors_key_by_the_name_of_her_blog") {
        Some(way) if !inside => {
            let (code, said) = run(
                "unshare",
                &way.iter().map(String::as_str).collect::<Vec<_>>(),
            );
            eprintln!("{said}");
            assert_eq!(code, 0, "its words are above");
        }
        _ => story(inside),
    }
}

/// The words with which this test runs once more in a network of its own; none where there is none to be had.
fn apart(test: &str) -> Option<Vec<String>> {
    let apart = [
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ];
    for user in [&[][..], &["--user", "--map-root-user"]] {
        let way = [user, &apart].concat();
        let (code, said) = run(
            "unshare",
            &[&way[..], &["ip", "link", "set", "lo", "up"]].concat(),
        );
        if code != 0 {
            eprintln!("unshare {user:?}: {}", said.trim());
            continue;
        }
        let again = env::current_exe().unwrap();
        let again = [
            "env",
            &format!("{INSIDE}=1"),
            again.to_str().unwrap(),
            test,
            "--exact",
            "--nocapture",
        ]
        .map(str::to_owned);
        return Some(way.into_iter().map(str::to_owned).chain(again).collect());
    }
    eprintln!("skipped: gpg's own way; no network namespace can be made here");
    None
}

fn story(inside: bool) {
    let home = tempfile::tempdir().unwrap();
    let (port, dns_port) = if inside {
        assert_eq!(run("ip", &["link", "set", "lo", "up"]).0, 0);
        be_resolved(home.path());
        (8_080, 53)
    } else {
        free_ports()
    };
    let demo = Demo::start_in(&home.path().join("demo"), port, dns_port, 3, &["--empty"]);

    let maria = Gpg::new("Maria <maria@blogs.localhost>");
    let joan = Gpg::new("Joan <joan@example.org>");
    // Larger than what goes over UDP.
    let rosa = Gpg::with("Rosa <ROSA@Blogs.localhost>", "rsa4096");
    for (name, gpg) in [("maria", &maria), ("joan", &joan), ("rosa", &rosa)] {
        blog(&demo, gpg, &["create", name, "--key", &gpg.fingerprint]);
    }
    is_found(&demo, "maria", Some(&maria));
    is_found(&demo, "rosa", Some(&rosa));
    is_found(&demo, "joan", None);
    is_found(&demo, "nobody", None);
    large_keys_come_over_tcp(&demo);
    if inside {
        gpg_looks_in_dns(&maria, "maria");
        gpg_looks_in_dns(&rosa, "rosa");
    }

    // Her key gets the name of her blog later.
    joan.add_user_id("Joan <joan@blogs.localhost>");
    let file = home.path().join("joan.asc");
    fs::write(&file, joan.public_key()).unwrap();
    let file = file.to_str().unwrap();
    let add = [
        "keys",
        "joan",
        "add",
        file,
        "--role",
        "own",
        "--uid",
        "joan@blogs.localhost",
    ];
    blog(
        &demo,
        &joan,
        &[&add[..], &["--key", &joan.fingerprint]].concat(),
    );
    is_found(&demo, "joan", Some(&joan));

    // Another key takes over; then it is the one, or there is none.
    let (phone, pen) = (Gpg::new("maria@blogs.localhost"), Gpg::new("A pen name"));
    hands_over(&demo, home.path(), "maria", &maria, &phone);
    is_found(&demo, "maria", Some(&phone));
    hands_over(&demo, home.path(), "maria", &phone, &pen);
    is_found(&demo, "maria", None);

    // What a node has kept for its next start is the same.
    demo.restart("council2");
    is_found(&demo, "rosa", Some(&rosa));
    is_found(&demo, "joan", Some(&joan));
    is_found(&demo, "maria", None);
    demo.assert_no_panic();
}

/// Has the system ask the council.
fn be_resolved(home: &Path) {
    let file = home.join("resolv.conf");
    fs::write(&file, format!("nameserver {}\n", COUNCIL[0])).unwrap();
    let place = fs::canonicalize("/etc/resolv.conf").unwrap();
    let (file, place) = (file.to_str().unwrap(), place.to_str().unwrap());
    let (code, said) = run("mount", &["--bind", file, place]);
    assert_eq!(code, 0, "{said}");
}

fn blog(demo: &Demo, gpg: &Gpg, arguments: &[&str]) {
    let output = Command::new(program())
        .arg("blog")
        .args(arguments)
        .arg("--yes")
        .env("SPOKES_NETWORK", format!("http://127.0.0.1:{}", demo.port))
        .env("XDG_STATE_HOME", gpg.home().join("state"))
        .env("GNUPGHOME", gpg.home())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
}

/// One key takes another in, which ends it.
fn hands_over(demo: &Demo, home: &Path, name: &str, from: &Gpg, to: &Gpg) {
    let file = home.join("other.asc");
    fs::write(&file, to.public_key()).unwrap();
    let file = file.to_str().unwrap();
    let add = [
        "keys",
        name,
        "add",
        file,
        "--role",
        "own",
        "--key",
        &from.fingerprint,
    ];
    blog(demo, from, &add);
    blog(
        demo,
        to,
        &[
            "keys",
            name,
            "end",
            &from.fingerprint,
            "--key",
            &to.fingerprint,
        ],
    );
}

fn owner(name: &str) -> String {
    let domain = Domain::parse("blogs.localhost").unwrap();
    openpgpkey::owner(&BlogName::parse(name).unwrap(), &domain).unwrap()
}

/// What a server says, record for record.
fn ask(demo: &Demo, server: &str, name: &str, more: &[&str]) -> String {
    let owner = owner(name);
    demo.dig_at(server, &[&[&owner, "OPENPGPKEY"], more].concat())
}

/// The certificates that a server has for a mailbox: the binary form of each.
fn found(demo: &Demo, server: &str, name: &str) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    let said = ask(demo, server, name, &["+short", "+tcp"]);
    let records = said.lines().filter(|line| !line.trim().is_empty());
    let bytes = |record: &str| {
        let joined: String = record.split_whitespace().collect();
        base64::engine::general_purpose::STANDARD
            .decode(joined)
            .unwrap()
    };
    records.map(bytes).collect()
}

/// All nodes of the council have the same certificate for a blog's mailbox, and it is this person's; or none.
#[track_caller]
fn is_found(demo: &Demo, name: &str, whose: Option<&Gpg>) {
    let imported = wait_for(&format!("{name}: what should be found"), PATIENCE, || {
        let all = COUNCIL.map(|server| found(demo, server, name));
        let print = all[0].first().map(|bytes| fingerprint(bytes));
        let is_so = all[1..].iter().all(|other| *other == all[0])
            && all[0].len() <= 1
            && print.as_ref() == whose.map(|gpg| &gpg.fingerprint);
        is_so.then_some(print)
    });
    if imported.is_none() {
        let said = ask(demo, COUNCIL[0], name, &[]);
        assert!(said.contains("status: NXDOMAIN"), "{said}");
    }
}

/// `gpg --import` of these bytes: whose key is in the ring then.
fn fingerprint(bytes: &[u8]) -> String {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("key");
    fs::write(&file, bytes).unwrap();
    let (dir, file) = (home.path().to_str().unwrap(), file.to_str().unwrap());
    let options = ["--batch", "--no-autostart", "--homedir", dir];
    let (code, said) = run("gpg", &[&options[..], &["--import", file]].concat());
    assert_eq!(code, 0, "{said}");
    let listed = run(
        "gpg",
        &[&options[..], &["--with-colons", "--list-keys"]].concat(),
    )
    .1;
    let line = listed.lines().find(|line| line.starts_with("fpr")).unwrap();
    line.split(':').nth(9).unwrap().to_owned()
}

fn large_keys_come_over_tcp(demo: &Demo) {
    let cut = ask(demo, COUNCIL[0], "rosa", &["+notcp", "+ignore"]);
    assert!(
        cut.contains("flags: qr aa tc") && cut.contains("ANSWER: 0"),
        "{cut}"
    );
    let whole = ask(demo, COUNCIL[0], "rosa", &[]);
    assert!(whole.contains("Truncated, retrying in TCP"), "{whole}");
    assert!(
        whole.contains("ANSWER: 1") && whole.replace('\t', " ").contains(" 30 IN OPENPGPKEY "),
        "{whole}"
    );
    let small = ask(demo, COUNCIL[0], "maria", &["+notcp", "+ignore"]);
    assert!(
        small.contains("flags: qr aa;") || small.contains("flags: qr aa "),
        "{small}"
    );
    assert!(small.contains("ANSWER: 1"), "{small}");
}

/// `gpg --locate-keys` by somebody who knows nothing but the address.
fn gpg_looks_in_dns(whose: &Gpg, name: &str) {
    let reader = tempfile::tempdir().unwrap();
    let dir = reader.path().to_str().unwrap();
    let address = format!("{name}@blogs.localhost");
    let locate = ["--auto-key-locate", "clear,dane", "--locate-keys", &address];
    let (code, said) = run(
        "gpg",
        &[&["--batch", "--homedir", dir][..], &locate].concat(),
    );
    drop(run("gpgconf", &["--homedir", dir, "--kill", "all"]));
    assert!(code == 0 && said.contains(&whose.fingerprint), "{said}");
    eprintln!("gpg --auto-key-locate dane found {}", whose.fingerprint);
}
