//! What `dig` and `nsupdate` hear from the council (SPEC dns).

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use common::{
    author::Author,
    demo::{Demo, program},
    run, wait_for,
};

/// How long a change may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn names_lead_where_the_table_says() {
    let demo = Demo::start();
    let _maria = Author::with_blog(&demo, "maria", "c");
    for transport in ["+notcp", "+tcp"] {
        the_table(&demo, transport);
        what_is_not_there(&demo, transport);
    }
    answers_rotate(&demo);
    updates_are_refused(&demo);
    organizers_say_who_may_issue_certificates(&demo);
    odd_packets_do_no_harm(&demo);
    demo.assert_no_panic();
}

fn the_table(demo: &Demo, transport: &str) {
    let short = |name: &str, kind: &str| -> BTreeSet<String> {
        let said = demo.dig(&["+short", transport, name, kind]);
        said.lines().map(str::to_owned).collect()
    };
    let set =
        |ips: &[&str]| -> BTreeSet<String> { ips.iter().map(|ip| (*ip).to_owned()).collect() };
    let address = |label: &String| demo.address(label).ip().to_string();
    let members = demo.members("maria");

    let all = [
        "127.0.2.1",
        "127.0.2.2",
        "127.0.2.3",
        "127.0.2.4",
        "127.0.2.5",
    ];
    assert_eq!(short("blogs.localhost", "A"), set(&all));
    assert_eq!(
        short("BLOGS.localhost", "A"),
        set(&all),
        "case does not matter"
    );
    let servers = [1, 2, 3].map(|number| format!("ns{number}.blogs.localhost."));
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    assert_eq!(short("blogs.localhost", "NS"), set(&servers));
    for (number, server) in (1..).zip(servers) {
        assert_eq!(short(server, "A"), set(&[&format!("127.0.1.{number}")]));
    }
    let soa = demo.dig(&["+short", transport, "blogs.localhost", "SOA"]);
    assert!(
        soa.starts_with("ns1.blogs.localhost. hostmaster.blogs.localhost. "),
        "{soa}"
    );
    assert!(
        soa.trim().ends_with(" 604800 10"),
        "expire 7 days, minimum 10 s: {soa}"
    );
    assert_eq!(short("d.spoke.blogs.localhost", "A"), set(&["127.0.2.4"]));
    let readers: BTreeSet<String> = members[1..].iter().map(address).collect();
    assert_eq!(short("maria.blogs.localhost", "A"), readers);
    assert_eq!(
        short("edit.maria.blogs.localhost", "A"),
        set(&["127.0.2.3"])
    );
    let text = demo.dig(&["+short", transport, "_blog.maria.blogs.localhost", "TXT"]);
    let blog = demo.api("a", "blogs/maria").json();
    let expected = format!(
        "\"v=1 blog={} author={} epoch=1 primary=c\"",
        blog["blog"].as_str().unwrap(),
        blog["author"].as_str().unwrap()
    );
    assert_eq!(text.trim(), expected);
    let full = demo.dig(&[transport, "maria.blogs.localhost", "A"]);
    assert!(full.contains("flags: qr aa"), "{full}");
    assert!(
        full.contains("\t30\tIN\tA\t") || full.contains(" 30\tIN\tA\t"),
        "TTL 30: {full}"
    );
}

fn what_is_not_there(demo: &Demo, transport: &str) {
    let status = |name: &str, kind: &str, word: &str, answers: usize| {
        let said = demo.dig(&[transport, name, kind]);
        assert!(
            said.contains(&format!("status: {word}")),
            "{name} {kind}: {said}"
        );
        assert!(
            said.contains(&format!("ANSWER: {answers}")),
            "{name} {kind}: {said}"
        );
    };
    status("nobody.blogs.localhost", "A", "NXDOMAIN", 0);
    status("deep.maria.blogs.localhost", "A", "NXDOMAIN", 0);
    status("maria.blogs.localhost", "AAAA", "NOERROR", 0);
    status("maria.blogs.localhost", "MX", "NOERROR", 0);
    // A name with names below it is there, without data (RFC 8020).
    status("spoke.blogs.localhost", "A", "NOERROR", 0);
    status("www.example.com", "A", "REFUSED", 0);
    status("localhost", "A", "REFUSED", 0);
    let transfer = demo.dig(&["blogs.localhost", "AXFR"]);
    assert!(
        transfer.contains("Transfer failed") || transfer.contains("REFUSED"),
        "{transfer}"
    );
    let negative = demo.dig(&[transport, "nobody.blogs.localhost", "A"]);
    assert!(negative.contains("SOA\tns1.blogs.localhost."), "{negative}");
}

/// Each secondary and each spoke of the apex comes first now and then.
fn answers_rotate(demo: &Demo) {
    for (name, at_least) in [("blogs.localhost", 3), ("maria.blogs.localhost", 2)] {
        let first = |_| {
            let said = demo.dig(&["+short", name, "A"]);
            said.lines().next().unwrap_or_default().to_owned()
        };
        let seen: BTreeSet<String> = (0..20).map(first).collect();
        assert!(
            seen.len() >= at_least,
            "{name}: only {seen:?} came first in 20 answers"
        );
    }
}

fn updates_are_refused(demo: &Demo) {
    let mut update = Command::new("nsupdate")
        .arg("-t2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let orders = format!(
        "server 127.0.1.1 {}\nzone blogs.localhost\nupdate add evil.blogs.localhost 30 A 127.9.9.9\nsend\n",
        demo.dns_port
    );
    update
        .stdin
        .take()
        .unwrap()
        .write_all(orders.as_bytes())
        .unwrap();
    let said = update.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("REFUSED"), "{said}");
    let still = demo.dig(&["evil.blogs.localhost", "A"]);
    assert!(still.contains("NXDOMAIN"), "{still}");
}

/// `spokes council caa`: what authorities hear who ask before they issue a certificate (RFC 8659).
fn organizers_say_who_may_issue_certificates(demo: &Demo) {
    let dir = demo.node("council1").data;
    let council = |arguments: &[&str]| {
        let at = ["--dir", dir.to_str().unwrap()];
        run(&program(), &[&["council"], arguments, &at].concat())
    };
    let heard = |expected: &[&str]| {
        let expected: BTreeSet<_> = expected.iter().map(|rule| (*rule).to_owned()).collect();
        for server in ["127.0.1.1", "127.0.1.2", "127.0.1.3"] {
            wait_for(&format!("{server} says {expected:?}"), PATIENCE, || {
                let said = demo.dig_at(server, &["+short", "blogs.localhost", "CAA"]);
                let said: BTreeSet<_> = said.lines().map(str::to_owned).collect();
                (said == expected).then_some(())
            });
        }
    };
    heard(&[]);
    let set = [
        "caa",
        "set",
        "--issue",
        "letsencrypt.org; validationmethods=http-01",
        "--issue",
        "ca.example.net",
    ];
    let more = ["--issuewild", ";", "--iodef", "mailto:security@example.org"];
    let (code, said) = council(&[&set[..], &more].concat());
    assert_eq!(code, 0, "{said}");
    let wild = "0 issuewild \";\"";
    heard(&[
        "0 issue \"letsencrypt.org; validationmethods=http-01\"",
        "0 issue \"ca.example.net\"",
        wild,
        "0 iodef \"mailto:security@example.org\"",
    ]);
    let (code, said) = council(&["status"]);
    let line = "  CAA  issue letsencrypt.org; validationmethods=http-01\n";
    assert!(code == 0 && said.contains(line), "{said}");

    what_is_no_rule_is_told_so(&council);
    let (code, said) = council(&["caa", "set", "--issue", "letsencrypt.org", "--critical"]);
    assert_eq!(code, 0, "{said}");
    heard(&["128 issue \"letsencrypt.org\""]);
    // A node reads it from its disk again.
    demo.restart("council2");
    heard(&["128 issue \"letsencrypt.org\""]);
    let (code, said) = council(&["caa", "clear"]);
    assert_eq!(code, 0, "{said}");
    heard(&[]);
}

fn what_is_no_rule_is_told_so(council: &dyn Fn(&[&str]) -> (i32, String)) {
    for (wrong, why) in [
        (
            &["--issue", "Let's Encrypt"][..],
            "such as letsencrypt.org, in lower case",
        ),
        (
            &["--iodef", "security@example.org"],
            "such as mailto:security@example.org",
        ),
        (&[], "required arguments were not provided"),
        (
            &["--issue", "a.test", "--issue", ";"],
            "nobody may issue any, and name somebody who may",
        ),
        (&["--issue", "a.test", "--issue", "a.test"], "stands twice"),
        (
            &[["--issue", "a.test"]; 11].concat(),
            "11 rules were given, the most there can be are 10",
        ),
    ] {
        let (code, said) = council(&[&["caa", "set"], wrong].concat());
        assert!(code != 0 && said.contains(why), "{wrong:?}: {said}");
    }
}

/// Truncated, looping and empty packets: the server goes on.
fn odd_packets_do_no_harm(demo: &Demo) {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut random = common::Random::new(7);
    let looping = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01";
    for turn in 0..2_000 {
        let mut packet = looping.to_vec();
        for _ in 0..random.below(6) {
            let at = random.below(packet.len());
            packet[at] = u8::try_from(random.below(256)).unwrap();
        }
        packet.truncate(random.below(packet.len() + 1) + usize::from(turn % 2 == 0));
        socket
            .send_to(&packet, ("127.0.1.1", demo.dns_port))
            .unwrap();
    }
    let said = demo.dig(&["+short", "edit.maria.blogs.localhost", "A"]);
    assert_eq!(said.trim(), "127.0.2.3");
}
