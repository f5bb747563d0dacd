//! Stories about the zone: each row of the table of names (SPEC dns).

mod common;

use common::Town;
use expect_test::{Expect, expect};
use spokes_rules::zone::{self, Data, Version};

/// Prints what the names answer whose first label is asked for.
#[track_caller]
fn check(story: &str, asked: &str, expected: &Expect) {
    let mut town = Town::with_spokes();
    town.tell(story);
    let version = Version::first(&town.registry, zone::minute(town.now));
    let mut lines = Vec::new();
    for (owner, node) in zone::project(&town.registry, version) {
        if !owner.starts_with(asked) {
            continue;
        }
        lines.push(format!("{owner}\n"));
        for set in node {
            let mut data: Vec<String> = set.data.iter().map(show).collect();
            data.sort();
            lines.push(format!("  {} {}\n", set.ttl, data.join(", ")));
        }
    }
    expected.assert_eq(&lines.concat());
}

fn show(data: &Data) -> String {
    match data {
        Data::Txt(text) => {
            let words = text
                .split(' ')
                .filter(|w| !w.starts_with("blog=") && !w.starts_with("author="));
            format!("{:?}", words.collect::<Vec<_>>().join(" "))
        }
        Data::Soa(soa) => format!("SOA {} {} {}", soa.primary, soa.serial, soa.minimum),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_apex_names_admitted_spokes() {
    check(
        "wait 0",
        "blogs",
        &expect![[r#"
            blogs.example.org
              3600 SOA ns1.blogs.example.org 11 10
              3600 Ns("ns1.blogs.example.org")
              30 A(192.0.2.97), A(192.0.2.98), A(192.0.2.99)
        "#]],
    );
    check(
        "evict a | invite d | join d with d",
        "blogs",
        &expect![[r#"
            blogs.example.org
              3600 SOA ns1.blogs.example.org 14 10
              3600 Ns("ns1.blogs.example.org")
              30 A(192.0.2.98), A(192.0.2.99)
        "#]],
    );
}

#[test]
fn the_apex_leaves_out_who_takes_no_new_blogs_as_long_as_two_do() {
    check(
        "load a 4 held",
        "blogs",
        &expect![[r#"
            blogs.example.org
              3600 SOA ns1.blogs.example.org 12 10
              3600 Ns("ns1.blogs.example.org")
              30 A(192.0.2.98), A(192.0.2.99)
        "#]],
    );
    check(
        "load a 4 held | load b 4 held",
        "blogs",
        &expect![[r#"
            blogs.example.org
              3600 SOA ns1.blogs.example.org 13 10
              3600 Ns("ns1.blogs.example.org")
              30 A(192.0.2.97), A(192.0.2.98), A(192.0.2.99)
        "#]],
    );
}

#[test]
fn the_serial_grows_with_records_and_minutes() {
    check(
        "invite x | wait 120",
        "blogs",
        &expect![[r#"
            blogs.example.org
              3600 SOA ns1.blogs.example.org 14 10
              3600 Ns("ns1.blogs.example.org")
              30 A(192.0.2.97), A(192.0.2.98), A(192.0.2.99)
        "#]],
    );
}

#[test]
fn servers_and_spokes_have_names() {
    check(
        "wait 0",
        "ns",
        &expect![[r#"
        ns1.blogs.example.org
          30 A(192.0.2.69)
    "#]],
    );
    check(
        "evict b",
        "b.spoke",
        &expect![[r#"
        b.spoke.blogs.example.org
    "#]],
    );
    check(
        "wait 0",
        "b.spoke",
        &expect![[r#"
        b.spoke.blogs.example.org
          30 A(192.0.2.98)
    "#]],
    );
}

#[test]
fn readers_go_to_secondaries_and_authors_to_the_primary() {
    check(
        "claim maria for maria at b",
        "maria",
        &expect![[r#"
        maria.blogs.example.org
          30 A(192.0.2.97), A(192.0.2.99)
    "#]],
    );
    check(
        "claim maria for maria at b",
        "edit",
        &expect![[r#"
        edit.maria.blogs.example.org
          30 A(192.0.2.98)
    "#]],
    );
    check(
        "claim maria for maria at b",
        "_blog",
        &expect![[r#"
        _blog.maria.blogs.example.org
          30 "v=1 epoch=1 primary=b"
    "#]],
    );
}

#[test]
fn where_there_is_no_secondary_the_primary_serves_readers() {
    let story = "claim maria for maria at b | close maria 1 for c | \
                 open maria 2 seals a:1,b:1 held c:1";
    check(
        story,
        "maria",
        &expect![[r#"
        maria.blogs.example.org
          30 A(192.0.2.99)
    "#]],
    );
    check(
        story,
        "_blog",
        &expect![[r#"
        _blog.maria.blogs.example.org
          30 "v=1 epoch=2 primary=c"
    "#]],
    );
}

#[test]
fn an_evicted_spoke_is_named_nowhere() {
    let story = "claim maria for maria at b | evict b | evict a";
    check(
        story,
        "maria",
        &expect![[r#"
        maria.blogs.example.org
          30 A(192.0.2.99)
    "#]],
    );
    check(
        story,
        "edit",
        &expect![[r#"
            edit.maria.blogs.example.org
              30 A(192.0.2.99)
        "#]],
    );
}

#[test]
fn mirrors_are_named_as_long_as_they_are_well() {
    let mirrored = "mirror m1 by organizer | mirror m2 by organizer";
    check(
        mirrored,
        "blogs",
        &expect![[r#"
            blogs.example.org
              3600 SOA ns1.blogs.example.org 13 10
              3600 Ns("m1.ns.blogs.example.org"), Ns("m2.ns.blogs.example.org"), Ns("ns1.blogs.example.org")
              30 A(192.0.2.97), A(192.0.2.98), A(192.0.2.99)
        "#]],
    );
    check(
        &format!("{mirrored} | unmirror m1 | wait 1 | down m2 by council"),
        "",
        &expect![[r#"
            blogs.example.org
              3600 SOA ns1.blogs.example.org 15 10
              3600 Ns("ns1.blogs.example.org")
              30 A(192.0.2.97), A(192.0.2.98), A(192.0.2.99)
            ns1.blogs.example.org
              30 A(192.0.2.69)
            m2.ns.blogs.example.org
              30 A(192.0.2.159)
            a.spoke.blogs.example.org
              30 A(192.0.2.97)
            b.spoke.blogs.example.org
              30 A(192.0.2.98)
            c.spoke.blogs.example.org
              30 A(192.0.2.99)
        "#]],
    );
}

#[test]
fn all_servers_compute_the_same() {
    let mut town = Town::with_spokes();
    town.tell("claim maria for maria at a | close maria 1 for b,c");
    let copy = town.registry.clone();
    let version = Version {
        serial: 7,
        minute: 7,
    };
    assert!(zone::project(&town.registry, version).eq(zone::project(&copy, version)));
}

#[test]
fn serials_grow_and_skip_what_is_not_known() {
    let version = |serial| Version { serial, minute: 1 };
    assert_eq!(
        version(7).next(2),
        Version {
            serial: 8,
            minute: 2
        }
    );
    assert_eq!(version(u32::MAX).next(1).serial, 1, "0 is none");
    let skipped = version(u32::MAX - 1).skip().serial;
    let ahead = skipped.wrapping_sub(u32::MAX - 1);
    assert!(ahead > 50_000_000 && ahead < u32::MAX / 2, "{ahead}");
}

#[test]
fn who_may_issue_certificates_stands_at_the_apex() {
    check(
        "caa issue_a.test,issuewild_;,critical_iodef_mailto:m@a.test by organizer",
        "blogs",
        &expect![[r#"
            blogs.example.org
              3600 SOA ns1.blogs.example.org 12 10
              3600 Ns("ns1.blogs.example.org")
              30 A(192.0.2.97), A(192.0.2.98), A(192.0.2.99)
              3600 Caa { flags: 0, tag: "issue", value: "a.test" }, Caa { flags: 0, tag: "issuewild", value: ";" }, Caa { flags: 128, tag: "iodef", value: "mailto:m@a.test" }
        "#]],
    );
    check(
        "caa issue_a.test by organizer | caa by organizer",
        "blogs",
        &expect![[r#"
            blogs.example.org
              3600 SOA ns1.blogs.example.org 13 10
              3600 Ns("ns1.blogs.example.org")
              30 A(192.0.2.97), A(192.0.2.98), A(192.0.2.99)
        "#]],
    );
}
