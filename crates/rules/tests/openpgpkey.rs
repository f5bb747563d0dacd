//! Stories about keys by name: which certificate DNS has for a blog's mailbox, and since when (SPEC dns 7).

mod common;

use common::{
    Town,
    desk::{
        Author, START,
        pgp::{self, BORN, DAY, builder, make, revoke},
    },
};
use expect_test::{Expect, expect};
use sequoia_openpgp::{
    Cert,
    packet::{
        UserID,
        signature::subpacket::{NotationDataFlags, SubpacketTag},
    },
    serialize::SerializeInto as _,
    types::ReasonForRevocation,
};
use spokes_log::{
    draft::{Grant, Role, Says},
    key::Certificate,
    secret::SecretKey,
};
use spokes_rules::{
    openpgpkey::{OPENPGPKEY, OPENPGPKEY_BYTES_MAX, owner},
    request::{Domain, Request, Wish},
    zone::{self, Data, Version},
};

/// The mailbox of the blog `maria`, and so what the author is called who may have it.
const MARIA: &str = "maria@blogs.example.org";
/// Another key of hers.
const PHONE: &str = "Maria@Blogs.example.org";
const CLAIM: &str = "claim maria for maria@blogs.example.org at a";

/// As a key that shows its last user id.
fn secret(cert: &Cert) -> SecretKey {
    let user_id = cert.userids().map(|id| id.userid().to_string()).last();
    let bytes = cert.as_tsk().to_vec().expect("serialized");
    SecretKey::parse(&bytes, None, user_id.as_deref(), START).expect("a key")
}

/// Whose keys the zone has, each below its blog's name; `known` are the authors that there are.
fn keys(town: &mut Town, known: &[&str]) -> String {
    let prints: Vec<_> = known
        .iter()
        .map(|author| {
            (
                *author,
                town.author(author).key.certificate().fingerprint().clone(),
            )
        })
        .collect();
    let domain = Domain::parse("blogs.example.org").expect("a domain");
    let version = Version::first(&town.registry, zone::minute(town.now));
    let blogs = town.registry.blogs().map(|(_, blog)| &blog.name);
    let blogs: Vec<_> = blogs
        .map(|name| (owner(name, &domain), name.clone()))
        .collect();
    let mut lines = Vec::new();
    for (at, node) in zone::project(&town.registry, version) {
        if !at.contains("_openpgpkey") {
            continue;
        }
        let blog = blogs.iter().find(|(owner, _)| *owner == Some(at.clone()));
        let [set] = node.as_slice() else {
            panic!("{at} has one set")
        };
        let [
            Data::Other {
                rtype: OPENPGPKEY,
                data,
            },
        ] = set.data.as_slice()
        else {
            panic!("{at} has one record")
        };
        let certificate = Certificate::news(data, None).expect("it can be read");
        let whose = prints
            .iter()
            .find(|(_, print)| print == certificate.fingerprint());
        let (_, blog) = blog.expect("it is a blog's");
        lines.push(format!(
            "{blog} {} for {} s\n",
            whose.expect("somebody's").0,
            set.ttl
        ));
    }
    lines.concat()
}

#[track_caller]
fn check(story: &str, expected: &Expect) {
    let mut town = Town::with_spokes();
    let told = town.tell(story);
    let keys = keys(&mut town, &[MARIA, PHONE, "maria", "rosa"]);
    expected.assert_eq(&format!("{told}{keys}"));
}

/// A keys entry of hers that brings this certificate as an own one, and the registry hears of it.
fn brings(town: &mut Town, author: &str, armored: &str) -> String {
    let certificate = Certificate::parse(armored).expect("a certificate");
    let says = Says::Keys {
        certificates: vec![Grant {
            fingerprint: certificate.fingerprint().clone(),
            role: Role::Own,
        }],
        ends: vec![],
        recovery: None,
    };
    let author = town.author(author);
    let entry = author.say(says, armored).expect("an own key brings keys");
    let (blog, proof) = (author.first.entry().id(), author.entries.clone());
    let request = Request {
        proof,
        ..town.plain("a", Wish::Keys { blog, entry })
    };
    town.ask(request)
}

#[test]
fn whoever_has_the_mailbox_of_her_blog_in_her_key_is_found_by_it() {
    check(
        CLAIM,
        &expect![[r#"
        claim maria for maria@blogs.example.org at a: record 10 NewBlog
        maria maria@blogs.example.org for 30 s
    "#]],
    );
    check(
        "claim maria for maria at a",
        &expect![[r#"
        claim maria for maria at a: record 10 NewBlog
    "#]],
    );
    check(
        "claim maria for rosa@blogs.example.org at a",
        &expect![[r#"
            claim maria for rosa@blogs.example.org at a: record 10 NewBlog
        "#]],
    );
}

#[test]
fn a_key_that_has_ended_is_not_found_any_more() {
    check(
        &format!("{CLAIM} | keys {MARIA} hands to {PHONE} at a"),
        &expect![[r#"
            claim maria for maria@blogs.example.org at a: record 10 NewBlog
            keys maria@blogs.example.org hands to Maria@Blogs.example.org at a: record 11 Keys
            maria Maria@Blogs.example.org for 30 s
        "#]],
    );
    check(
        &format!("{CLAIM} | keys {MARIA} hands to rosa at a"),
        &expect![[r#"
            claim maria for maria@blogs.example.org at a: record 10 NewBlog
            keys maria@blogs.example.org hands to rosa at a: record 11 Keys
        "#]],
    );
    // Both are hers: the one that claimed the name stays.
    check(
        &format!("{CLAIM} | keys {MARIA} ends {PHONE} at a"),
        &expect![[r#"
            claim maria for maria@blogs.example.org at a: record 10 NewBlog
            keys maria@blogs.example.org ends Maria@Blogs.example.org at a: record 11 Keys
            maria maria@blogs.example.org for 30 s
        "#]],
    );
}

#[test]
fn who_may_only_write_is_not_the_author() {
    let mut town = Town::with_spokes();
    town.tell("claim maria for joan at a");
    let other = common::desk::key(MARIA);
    let grant = Author::grant(&other, Role::Write);
    let says = Says::Keys {
        certificates: vec![grant],
        ends: vec![],
        recovery: None,
    };
    let author = town.author("joan");
    let entry = author
        .say(says, &other.certificate().armored())
        .expect("valid");
    let (blog, proof) = (author.first.entry().id(), author.entries.clone());
    let request = Request {
        proof,
        ..town.plain("a", Wish::Keys { blog, entry })
    };
    expect!["record 11 Keys"].assert_eq(&town.ask(request));
    assert_eq!(keys(&mut town, &[]), "");
}

#[test]
fn a_newer_form_of_a_key_brings_the_mailbox_or_takes_it() {
    let cert = make(builder());
    let mut town = Town::with_spokes();
    town.welcome("joan", secret(&cert));
    town.tell("claim maria for joan at a");
    assert_eq!(keys(&mut town, &["joan"]), "");

    let user_id = UserID::from(format!("Joan <{MARIA}>"));
    let bound = user_id
        .bind(&mut pgp::primary(&cert), &cert, pgp::binding(2))
        .expect("bound");
    let named = pgp::insert(cert.clone(), [user_id.into(), bound.into()]);
    brings(&mut town, "joan", &pgp::armor(&named));
    assert_eq!(keys(&mut town, &["joan"]), "maria joan for 30 s\n");

    // Something else: the same key stays.
    brings(
        &mut town,
        "joan",
        &common::desk::key("Rosa <rosa@example.org>")
            .certificate()
            .armored(),
    );
    assert_eq!(keys(&mut town, &["joan"]), "maria joan for 30 s\n");

    let revoked = revoke(named, 90, ReasonForRevocation::KeyCompromised);
    let other = secret(&make(builder().add_userid("Second")));
    brings(&mut town, "joan", &other.certificate().armored());
    town.author("joan").key = other;
    brings(&mut town, "joan", &pgp::armor(&revoked));
    assert_eq!(keys(&mut town, &["joan"]), "");
}

#[test]
fn a_key_is_found_though_the_registrys_clock_is_behind() {
    let mut town = Town::with_spokes();
    let early = SecretKey::generate(MARIA, START).expect("made");
    town.welcome("early", early);
    town.now = START - 200;
    town.tell("claim maria for early at a");
    assert_eq!(keys(&mut town, &["early"]), "maria early for 30 s\n");
}

#[test]
fn a_certificate_over_the_limit_is_not_in_dns() {
    let fat = |bytes: usize| {
        let cert = make(builder());
        let user_id = UserID::from(MARIA);
        let mut bound = pgp::binding(1);
        let mut left = bytes;
        while left > 0 {
            let some = left.min(2_000);
            bound = bound
                .add_notation(
                    "n@example.org",
                    vec![b'x'; some],
                    NotationDataFlags::empty(),
                    false,
                )
                .expect("room");
            left -= some;
        }
        assert!(
            bound
                .hashed_area()
                .subpackets(SubpacketTag::NotationData)
                .next()
                .is_some()
        );
        let bound = user_id
            .bind(&mut pgp::primary(&cert), &cert, bound)
            .expect("bound");
        pgp::insert(cert, [user_id.into(), bound.into()])
    };
    let shown = |cert: &Cert| {
        let mut town = Town::with_spokes();
        town.welcome("fat", secret(cert));
        town.tell("claim maria for fat at a");
        let found = town.registry.openpgpkeys().next();
        found.map(|id| town.registry.openpgpkey(id).expect("it has one").len())
    };
    let size = |cert: &Cert| {
        let certificate = pgp::certificate(cert).expect("it fits an entry");
        certificate
            .for_mailbox(MARIA, BORN + 2 * DAY)
            .expect("hers")
            .len()
    };
    let slack = OPENPGPKEY_BYTES_MAX - size(&fat(7_000));
    let (fits, over) = (fat(7_000 + slack - 40), fat(7_000 + slack + 40));
    assert!(size(&fits) <= OPENPGPKEY_BYTES_MAX && size(&over) > OPENPGPKEY_BYTES_MAX);
    assert_eq!(shown(&fits), Some(size(&fits)));
    assert_eq!(shown(&over), None);
}
