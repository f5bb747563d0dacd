//! Group F offers a server: invited, joined, admitted, used. And a network of one server.

#![allow(clippy::unwrap_used, reason = "a story that breaks off says where")]

mod common;

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use common::{
    author::Author,
    demo::{Demo, program},
    run, wait_for,
};

/// A spoke that the test itself started.
struct Sixth(Child);

impl Drop for Sixth {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn spokes(arguments: &[&str]) -> (i32, String) {
    run(&program(), arguments)
}

#[test]
fn a_sixth_spoke_comes_in_by_the_ordinary_door() {
    let demo = Demo::start();
    let council = demo.node("council1").data;
    let council = council.to_str().unwrap();
    let (code, invite) = spokes(&["council", "invite", "--dir", council, "--expires", "1h"]);
    assert_eq!(code, 0, "{invite}");
    let invite = invite.trim();
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("sixth");
    let dir = dir.to_str().unwrap();
    let listen = format!("127.0.2.6:{}", demo.port);
    let join = [
        "join",
        invite,
        "--dir",
        dir,
        "--label",
        "f",
        "--operator",
        "Group F",
        "--listen",
    ];
    let (code, said) = spokes(&[&join[..], &[&listen]].concat());
    assert_eq!(code, 0, "{said}");
    nobody_leads_inside(council);
    // The token is good once.
    let other = home.path().join("seventh");
    let again = [
        "join",
        invite,
        "--dir",
        other.to_str().unwrap(),
        "--label",
        "g",
        "--listen",
    ];
    let (code, said) = spokes(&[&again[..], &["127.0.2.7:9999"]].concat());
    assert_eq!(code, 1, "{said}");
    let log = std::fs::File::create(demo.dir.join("logs/f.log")).unwrap();
    let sixth = Command::new(program())
        .args(["serve", "--dir", dir])
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let _sixth = Sixth(sixth);
    wait_for("the sixth answers", Duration::from_secs(10), || {
        common::demo::answers(demo.address("f")).then_some(())
    });

    not_yet_used(&demo);
    let (code, said) = spokes(&["council", "admit", "f", "--dir", council]);
    assert_eq!(code, 0, "{said}");
    used(&demo);
    let (code, said) = spokes(&["council", "admit", "nobody", "--dir", council]);
    assert!(code == 1 && said.contains("nobody"), "{said}");
    demo.assert_no_panic();
}

/// An address that would have other spokes ask machines that nobody may ask for them.
fn nobody_leads_inside(council: &str) {
    for address in [
        "169.254.169.254:80",
        "0.0.0.0:80",
        "255.255.255.255:80",
        "224.0.0.1:80",
        "[fe80::1]:80",
    ] {
        let (_, invite) = spokes(&["council", "invite", "--dir", council]);
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("inside");
        let join = [
            "join",
            invite.trim(),
            "--dir",
            dir.to_str().unwrap(),
            "--label",
            "inside",
        ];
        let more = ["--listen", "127.0.2.9:9999", "--address", address];
        let (code, said) = spokes(&[&join[..], &more].concat());
        assert!(
            code == 1 && said.contains("join with one"),
            "{address}: {said}"
        );
    }
}

fn in_apex(demo: &Demo) -> bool {
    demo.dig(&["+short", "blogs.localhost", "A"])
        .contains("127.0.2.6")
}

fn not_yet_used(demo: &Demo) {
    assert!(
        !in_apex(demo),
        "it is not in the apex before it is admitted"
    );
    for n in 0..10 {
        let name = format!("before{n}");
        Author::with_blog(demo, &name, "a");
        assert!(!demo.members(&name).contains(&"f".to_owned()), "{name}");
    }
    // Nor may it bring claims.
    let mut sly = Author::new("sly");
    let reply = sly.create(demo, "f");
    assert!(
        matches!(reply.status, 409 | 503),
        "{} {}",
        reply.status,
        reply.text()
    );
    assert!(!reply.detail().is_empty());
}

fn used(demo: &Demo) {
    wait_for("it is in the apex", Duration::from_secs(5), || {
        in_apex(demo).then_some(())
    });
    let mut author = wait_for("it is told so", Duration::from_secs(10), || {
        let mut author = Author::new("after");
        (author.create(demo, "f").status == 201).then_some(author)
    });
    assert_eq!(demo.members("after")[0], "f");
    author.post(demo, "f", "hello", "From a new server.");
    let given = (0..10).filter(|n| {
        let name = format!("given{n}");
        Author::with_blog(demo, &name, "a");
        demo.members(&name).contains(&"f".to_owned())
    });
    assert!(given.count() > 0, "the emptiest spoke is given copies");
}

#[test]
fn a_network_of_one_server_works_and_says_so() {
    let demo = Demo::start_with(1, &["--empty"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    maria.post(&demo, "a", "alone", "On one server.");
    let blog = demo.api("a", "blogs/maria").json();
    let shortfall = blog["shortfall"].as_str().unwrap_or_default();
    assert!(shortfall.contains("one server"), "{blog}");
    let page = demo.http("a", "maria", "/alone").text();
    assert!(page.contains("one server"), "the page says so: {page}");
    let resolved = demo.dig(&["+short", "maria.blogs.localhost", "A"]);
    assert_eq!(
        resolved.trim(),
        "127.0.2.1",
        "with no secondary the primary serves readers"
    );
    demo.assert_no_panic();
}
