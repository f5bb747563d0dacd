//! How much happens at a time, up to each limit.

use std::net::SocketAddr;

use spokes_log::{
    chain::Chain,
    draft::{Claim, Draft, Says},
    entry::Entry,
    name::{BlogName, Hash, Language, Salt},
    secret::SecretKey,
};
use spokes_rules::{health::Says as Seen, registry::Record};

use super::*;
use crate::{
    author::now,
    observe::testing::{label, let_in, registry, report, secret, take},
};

const HERE: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(
    std::net::Ipv4Addr::LOCALHOST,
    80,
));

/// A network with blogs on `a`, `b` and `c`, and `d` and `e`, which have none.
fn town(blogs: usize) -> (Registry, Vec<BlogId>) {
    let mut town = registry(now(), &["a", "b", "c"].map(|label| (label, HERE)));
    let mut key = SecretKey::generate("Maria", now() - 60).unwrap();
    let ids = (0..blogs).map(|number| claim(&mut town, &mut key, number));
    let ids = ids.collect();
    let_in(&mut town, now(), "d", HERE);
    let_in(&mut town, now(), "e", HERE);
    (town, ids)
}

/// One blog more, brought by `a`.
fn claim(town: &mut Registry, key: &mut SecretKey, number: usize) -> BlogId {
    let certificate = key.certificate().clone();
    let claim = Claim {
        name: BlogName::parse(&format!("maria{number}")).unwrap(),
        network: town.network(),
        not_after: now() + 3_600,
    };
    let draft = Draft {
        salt: Salt::from_bytes([u8::try_from(number).unwrap(); 16]),
        says: Says::Blog {
            title: "Maria".to_owned(),
            language: Language::parse("en").unwrap(),
            certificate: certificate.fingerprint().clone(),
            claim: Some(claim),
        },
        instead_of: Vec::new(),
        extensions: Vec::new(),
        body: certificate.armored().trim().to_owned(),
    };
    let authors = vec![certificate.fingerprint().clone()];
    let entry = Entry::new(&draft, None, authors, now()).unwrap();
    let signature = key.sign(entry.text(), now()).unwrap();
    let blog = entry.id();
    let place = Chain::new(blog).place(&entry).unwrap();
    let sealed = place.seal(entry, &[signature]).unwrap().sealed().clone();
    let ask = Ask {
        network: Some(town.network()),
        time: now(),
        what: Wish::Claim {
            blog,
            entry: blog,
            spoke: Some(label("a")),
        },
    };
    let request = Wanted {
        proof: vec![sealed],
        ..Wanted::plain(Signed::new(&secret("a"), &ask))
    };
    let record: Record = town.next_record(now(), request);
    town.take(&record).unwrap();
    blog
}

/// An organizer prepares a set with `d` for these blogs.
fn close(town: &mut Registry, blogs: &[BlogId]) {
    let what = Wish::Close {
        blogs: blogs.to_vec(),
        epoch: 1,
        members: ["a", "b", "d"].map(label).to_vec(),
    };
    take(town, now(), "organizer", what, vec![]);
}

#[test]
fn so_many_sets_change_at_a_time_and_no_more() {
    let (mut town, blogs) = town(CHANGING_MAX + 1);
    close(&mut town, &blogs[1..CHANGING_MAX]);
    let mut pace = Pace::of(&town);
    assert!(!pace.rests());
    pace.note(Vec::new());
    assert!(pace.rests());
    // Whoever leads next counts the same.
    close(&mut town, &blogs[..1]);
    assert!(Pace::of(&town).rests());
    close(&mut town, &blogs[CHANGING_MAX..]);
    assert!(Pace::of(&town).rests());
}

#[test]
fn a_spoke_takes_in_so_many_blogs_at_a_time_and_no_more() {
    let (mut town, blogs) = town(FILLING_MAX + 2);
    let next = blogs[FILLING_MAX + 1];
    close(&mut town, &blogs[1..FILLING_MAX]);
    let mut pace = Pace::of(&town);
    assert!(pace.may(&town, next, &[label("d")]));
    // One more was asked for since.
    pace.note(vec![label("d")]);
    assert!(!pace.may(&town, next, &[label("d")]));
    assert!(!pace.may(&town, next, &[label("e"), label("d")]));
    assert!(pace.may(&town, next, &[label("e")]));
    // A set that cannot open gives way to another: its author waits.
    assert!(pace.may(&town, blogs[1], &[label("d")]));
    // The registry knows those that others have asked for.
    close(&mut town, &blogs[..1]);
    assert!(!Pace::of(&town).may(&town, next, &[label("d")]));
    // What it has taken in counts no more.
    let what = Wish::Holds {
        label: label("c"),
        blogs: blogs.clone(),
    };
    assert_eq!(filling(&town, &label("d")), FILLING_MAX);
    assert_eq!(filling(&town, &label("c")), 0, "{what:?}");
}

#[test]
fn where_everybody_is_busy_one_looks_again_later() {
    let town = registry(now(), &[("d", HERE)]);
    let (blog, d) = (Hash::of(b"maria"), [label("d")]);
    let mut pace = Pace::of(&town);
    (0..FILLING_MAX).for_each(|_| pace.note(d.to_vec()));
    pace.changing = 0;
    for _ in 1..BUSY_IN_A_ROW_MAX {
        assert!(!pace.may(&town, blog, &d));
    }
    assert!(!pace.rests());
    // One that can be done in between begins the count anew.
    pace.note(Vec::new());
    assert!(!pace.may(&town, blog, &d));
    assert!(!pace.rests());
    for _ in 1..BUSY_IN_A_ROW_MAX {
        assert!(!pace.may(&town, blog, &d));
    }
    assert!(pace.rests());
}

fn ids(many: usize) -> Vec<BlogId> {
    (0..many)
        .map(|n| Hash::of(n.to_string().as_bytes()))
        .collect()
}

#[test]
fn one_record_changes_so_many_sets_and_no_more() {
    let step = |epoch| Step {
        epoch,
        members: vec![label("a")],
    };
    let blogs = ids(GROUP_MAX + 1);
    let steps = BTreeMap::from([(step(1), blogs.clone()), (step(2), ids(GROUP_MAX))]);
    let groups = grouped(steps);
    let sizes: Vec<_> = groups
        .iter()
        .map(|(s, blogs)| (s.epoch, blogs.len()))
        .collect();
    assert_eq!(sizes, [(1, GROUP_MAX), (1, 1), (2, GROUP_MAX)]);
    let all: Vec<BlogId> = groups
        .into_iter()
        .take(2)
        .flat_map(|(_, blogs)| blogs)
        .collect();
    assert_eq!(all, blogs, "each once");
}

#[test]
fn an_answer_holds_so_many_statements_and_ends_with_a_blog() {
    let town = registry(now(), &[]);
    let ask = |number: usize| Ask {
        network: Some(town.network()),
        time: now() + i64::try_from(number).unwrap(),
        what: Wish::Drain { label: label("a") },
    };
    let secret = secret("a");
    let three: Vec<Signed> = (0..3).map(|n| Signed::new(&secret, &ask(n))).collect();
    let blogs = ids(KEPT_MAX / 3 + 2);
    let kept: BTreeMap<_, _> = blogs.iter().map(|blog| (*blog, three.clone())).collect();
    // Whoever asked cannot go on in the middle of a blog.
    assert_eq!(gathered(&kept, blogs.clone()).len(), KEPT_MAX + 2);
    let fewer = blogs[..KEPT_MAX / 3].to_vec();
    assert_eq!(gathered(&kept, fewer).len(), KEPT_MAX - 1);
    assert_eq!(gathered(&kept, vec![Hash::of(b"unknown")]).len(), 0);
}

#[test]
fn the_seal_of_a_silent_member_is_left_out_and_nothing_else() {
    let (mut town, blogs) = town(1);
    let later = now() + 10;
    let seal = |by: &str| {
        let seal = Seal {
            network: town.network(),
            blog: blogs[0],
            spoke: label(by),
            epoch: 1,
            tips: Vec::new(),
        };
        Signed::new(&secret(by), &seal)
    };
    let sealed: Vec<Signed> = ["a", "b", "c"].map(seal).to_vec();
    assert_eq!(without_silent_seals(&town, &sealed), sealed);
    let silent = ["a", "b", "d"].map(|by| report(&town, by, "c", Seen::Silent, later));
    let down = Wish::Down { label: label("c") };
    take(&mut town, later, "council1", down, silent.to_vec());
    assert_eq!(without_silent_seals(&town, &sealed), sealed[..2]);
}

/// Seals of the set `a b c`, each with the entries that it names, and what the coming `a b d` hold of them; then which
/// seals an opening is tried with, and whose are left out.
fn check(seals: &str, held: &str, (forced, waited): (bool, i64), tried: Option<(&str, &str)>) {
    let (mut town, blogs) = town(1);
    close(&mut town, &blogs);
    let (network, blog) = (town.network(), blogs[0]);
    let tip = |name: char| Tip {
        sequence: 7,
        id: Hash::of(name.to_string().as_bytes()),
    };
    let seal = |word: &str| {
        let (by, tips) = word.split_once(':').unwrap();
        let seal = Seal {
            network,
            blog,
            spoke: label(by),
            epoch: 1,
            tips: tips.chars().map(tip).collect(),
        };
        Signed::new(&secret(by), &seal)
    };
    let receipts = held.split_whitespace().flat_map(|word| {
        let (by, tips) = word.split_once(':').unwrap();
        let receipts = tips.chars().map(|name| {
            let held = Held {
                network,
                spoke: label(by),
                blog,
                epoch: 2,
                tip: tip(name),
                time: now(),
            };
            Signed::new(&secret(by), &held)
        });
        receipts.collect::<Vec<_>>()
    });
    let receipts: Vec<Signed> = receipts.collect();
    let all = |seals: &str| {
        let seals = seals.split_whitespace().map(seal);
        seals.chain(receipts.clone()).collect::<Vec<Signed>>()
    };
    let later = now() + waited;
    let found = without_uncovered_seals(&town, later, blog, forced, &all(seals));
    let expected = tried.map(|(stay, whose)| {
        let whose = whose.split_whitespace().map(label);
        (all(stay), whose.collect::<BTreeSet<_>>())
    });
    assert_eq!(found, expected, "{seals} held as {held}");
}

const LONG: (bool, i64) = (false, CATCHING_UP_SECONDS);
const FORCED: (bool, i64) = (true, FORCE_SECONDS);

#[test]
fn a_seal_that_nobody_can_catch_up_with_is_left_out_after_a_while() {
    let (sealed, held) = ("a:x b:1 c:12", "b:12 d:12");
    check(sealed, held, LONG, Some(("b:1 c:12", "a")));
    check(sealed, held, (false, CATCHING_UP_SECONDS - 1), None);
    // Whoever names it may well say that it holds it.
    check(sealed, "a:x b:12 d:12", LONG, Some(("b:1 c:12", "a")));
    // Of one that says two things the one counts that was covered.
    check("a:1 a:x b:1", "b:1 d:1", LONG, Some(("a:1 b:1", "")));
    check(sealed, "b:12x d:12x", LONG, None);
}

#[test]
fn no_fewer_seals_stay_than_are_needed_unless_it_is_forced() {
    check("a:x b:1", "b:1 d:1", LONG, None);
    check("a:x b:1", "b:1 d:1", FORCED, Some(("b:1", "a")));
    check("a:x", "b:1 d:1", FORCED, None);
    // A majority covers nothing yet.
    check("a:x b:1 c:1", "d:1", FORCED, None);
}

#[test]
fn what_stays_is_covered_by_one_majority_wherever_one_begins() {
    // What `a` has sealed it has shown to `b` alone; `b` and `d` cover the others.
    check("a:x b:1 c:1", "a:x1 b:x1 d:1", LONG, None);
    check(
        "a:x b:1 c:2",
        "a:x b:x12 d:12",
        LONG,
        Some(("b:1 c:2", "a")),
    );
}
