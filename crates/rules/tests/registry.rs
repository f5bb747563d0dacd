//! Stories about the registry: how spokes come, names are given and sets change.

mod common;

use common::Town;
use expect_test::{Expect, expect};
use spokes_rules::registry::KEYS_PER_DAY_MAX;

#[track_caller]
fn check(mut town: Town, story: &str, expected: &Expect) {
    let told = town.tell(story);
    expected.assert_eq(&format!("{told}= {}", town.names()));
}

#[test]
fn a_spoke_is_invited_joins_and_is_admitted_once() {
    check(
        Town::found(),
        "join a with t | invite t | join a with t | join b with t | admit a | admit a | wait 1 | admit a | admit b",
        &expect![[r#"
            join a with t: there is no such invitation, or it was used; ask for a new one
            invite t: record 1 Nothing
            join a with t: record 2 Spokes
            join b with t: there is no such invitation, or it was used; ask for a new one
            admit a: record 3 Spokes
            admit a: as record 3
            wait 1: later
            admit a: "a" is let in already; nothing was changed
            admit b: there is no spoke "b"
            = "#]],
    );
    check(
        Town::found(),
        "invite t by stranger | invite t | admit a by stranger | wait 3601 | join a with t",
        &expect![[r#"
            invite t by stranger: ed25519:wIZdkG99wfvJR57A4XH9EgIJtTtg2TvvZaM486Qry9o= is no organizer's key
            invite t: record 1 Nothing
            admit a by stranger: ed25519:wIZdkG99wfvJR57A4XH9EgIJtTtg2TvvZaM486Qry9o= is no organizer's key
            wait 3601: later
            join a with t: the invitation expired at 2026-11-23T15:05:00Z; ask for a new one
            = "#]],
    );
    check(
        Town::with_spokes(),
        "invite t | join a with t keyed d | join council-1 with t | join d with t keyed a",
        &expect![[r#"
            invite t: record 10 Nothing
            join a with t keyed d: a node is called "a" already; choose another label
            join council-1 with t: a node is called "council-1" already; choose another label
            join d with t keyed a: "a" has this key already
            = "#]],
    );
}

#[test]
fn a_repeat_gets_the_first_answer() {
    check(
        Town::found(),
        "invite t | again | wait 9999 | again",
        &expect![[r#"
            invite t: record 1 Nothing
            again: as record 1
            wait 9999: later
            again: as record 1
            = "#]],
    );
    check(
        Town::with_spokes(),
        "claim maria for maria at a | again | claim maria for maria at b",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            again: as record 10
            claim maria for maria at b: this blog has the name "maria" already
            = maria epoch 1 on a b c
        "#]],
    );
}

#[test]
fn a_name_is_given_to_who_comes_first() {
    check(
        Town::with_spokes(),
        "claim maria for maria at a | claim maria for eve at b | claim eve for eve at b",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            claim maria for eve at b: "maria" is taken; choose another name
            claim eve for eve at b: record 11 NewBlog
            = eve epoch 1 on b a c
            maria epoch 1 on a b c
        "#]],
    );
}

#[test]
fn a_claim_says_where_and_until_when() {
    check(
        Town::with_spokes(),
        "claim maria for maria at a until -1 | claim maria for maria at a until 87000 | \
         claim maria for maria at a elsewhere | claim desk for maria at a | claim ns7 for maria at a",
        &expect![[r#"
            claim maria for maria at a until -1: the claim expired at 2026-11-23T14:04:59Z; sign a new one
            claim maria for maria at a until 87000: the claim reaches to 2026-11-24T14:15:00Z; it may reach 24 hours ahead, sign a new one
            claim maria for maria at a elsewhere: the claim is for the network sha256:…; sign one for this network
            claim desk for maria at a: "desk" is reserved; choose another name
            claim ns7 for maria at a: "ns7" is reserved; choose another name
            = "#]],
    );
}

#[test]
fn only_admitted_spokes_bring_claims_and_not_too_many() {
    check(
        Town::with_spokes(),
        "claim maria for maria at stranger | claim one for one at a | claim two for two at a | \
         claim three for three at a | claim three for three at b | wait 86400 | \
         claim four for four at a | evict a | claim five for five at a",
        &expect![[r#"
            claim maria for maria at stranger: this spoke is not admitted; ask an organizer to admit it
            claim one for one at a: record 10 NewBlog
            claim two for two at a: record 11 NewBlog
            claim three for three at a: "a" has brought 2 new blogs today, the network's limit for one spoke; try another spoke, or tomorrow
            claim three for three at b: record 12 NewBlog
            wait 86400: later
            claim four for four at a: record 13 NewBlog
            evict a: record 14 Spokes
            claim five for five at a: "a" was barred by an organizer, for good. Nothing was changed; its blogs go on with other spokes. Its server may ask to join again under another label, with a new invitation and a new, empty directory
            = four epoch 1 on a b c
            one epoch 1 on a b c
            three epoch 1 on b a c
            two epoch 1 on a b c
        "#]],
    );
}

#[test]
fn keys_do_not_fork() {
    check(
        Town::with_spokes(),
        "claim maria for maria at a | keys maria at a | keys maria behind entry-0 at b | \
         keys eve at a",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            keys maria at a: record 11 Keys
            keys maria behind entry-0 at b: the keys entry does not follow sha256:…, the one taken last; read the blog's log, sign again behind it
            keys eve at a: no blog sha256:… is registered here
            = maria epoch 1 on a b c
        "#]],
    );
}

#[test]
fn a_set_changes_with_enough_seals_and_receipts() {
    check(
        Town::with_spokes(),
        "claim maria for maria at a | open maria 2 seals a:1,b:1 held b:1,c:1 | \
         close maria 2 for b,c | close maria 1 for b,d | close maria 1 for b,c by eve | \
         close maria 1 for b,c | open maria 2 seals a:1 held b:1,c:1 | \
         open maria 2 seals a:1,a:0 held b:1,c:1 | open maria 2 seals a:1,d:1 held b:1,c:1 | \
         open maria 2 seals a:1,b:0 held b:1 | open maria 2 seals a:1,b:0 held b:1,c:1 | \
         open maria 2 seals a:1,b:0 held b:1,b:0,c:1,c:0 | close maria 1 for a,b",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            open maria 2 seals a:1,b:1 held b:1,c:1: no change of the set of sha256:… has begun
            close maria 2 for b,c: epoch 1 is open, the request names 2; read and ask again
            close maria 1 for b,d: there is no spoke "d"
            close maria 1 for b,c by eve: ed25519:VloPlVXLT01OBrgREleGXczXXMdRNamxDJpE7KUEE0M= is no organizer's key
            close maria 1 for b,c: record 11 Blogs
            open maria 2 seals a:1 held b:1,c:1: 2 members must have sealed the old epoch, 1 have
            open maria 2 seals a:1,a:0 held b:1,c:1: 2 members must have sealed the old epoch, 1 have
            open maria 2 seals a:1,d:1 held b:1,c:1: 2 members must have sealed the old epoch, 1 have
            open maria 2 seals a:1,b:0 held b:1: 2 members of the new set must hold all that was sealed, 0 do
            open maria 2 seals a:1,b:0 held b:1,c:1: 2 members of the new set must hold all that was sealed, 0 do
            open maria 2 seals a:1,b:0 held b:1,b:0,c:1,c:0: record 12 Blog
            close maria 1 for a,b: epoch 2 is open, the request names 1; read and ask again
            = maria epoch 2 on b c
        "#]],
    );
}

#[test]
fn a_change_that_does_not_end_is_replaced_by_another() {
    check(
        Town::with_spokes(),
        "claim maria for maria at a | close maria 1 for b,c | close maria 1 for a | \
         open maria 2 seals a:1,b:1 held b:1,c:1 | open maria 2 seals a:1,b:1 held a:1",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            close maria 1 for b,c: record 11 Blogs
            close maria 1 for a: record 12 Blogs
            open maria 2 seals a:1,b:1 held b:1,c:1: 1 members of the new set must hold all that was sealed, 0 do
            open maria 2 seals a:1,b:1 held a:1: record 13 Blog
            = maria epoch 2 on a
        "#]],
    );
}

#[test]
fn keys_of_another_branch_than_the_claims_are_not_taken() {
    let mut town = Town::with_spokes();
    let told = town.tell("keys maria at a | claim maria for maria at a behind entry-0");
    expect![[r#"
        keys maria at a: no blog sha256:… is registered here
        claim maria for maria at a behind entry-0: record 10 NewBlog
    "#]]
    .assert_eq(&told);
    let first = town.author("maria").first.entry().id();
    let blog = town.registry.blog(first).expect("the claim was granted");
    assert_eq!(blog.keys_at, first);
}

#[test]
fn blogs_are_found_by_their_author_and_ended_keys_by_themselves() {
    let mut town = Town::with_spokes();
    let told = town.tell(
        "claim maria for maria at a | claim joan for joan at b | claim joan for maria at a | \
         keys maria ends rosa at a | keys joan hands to rosa at b",
    );
    expect![[r#"
        claim maria for maria at a: record 10 NewBlog
        claim joan for joan at b: record 11 NewBlog
        claim joan for maria at a: this blog has the name "maria" already
        keys maria ends rosa at a: record 12 Keys
        keys joan hands to rosa at b: record 13 Keys
    "#]]
    .assert_eq(&told);
    let mut key = |author| town.author(author).key.certificate().fingerprint().clone();
    let (maria, joan, rosa) = (key("maria"), key("joan"), key("rosa"));
    let names = |author| {
        let hers = town.registry.blogs_of(author);
        hers.map(|(_, blog)| blog.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&maria), ["maria"]);
    assert_eq!(names(&joan), ["joan"]);
    assert_eq!(
        names(&rosa),
        [] as [&str; 0],
        "she wrote in a blog that is not hers"
    );
    let ended = [&maria, &joan, &rosa].map(|key| town.registry.has_ended(key));
    // What maria says of rosa's key in her own blog is nobody else's business.
    assert_eq!(ended, [false, true, false]);
}

#[test]
fn of_one_blogs_keys_the_registry_hears_so_often_in_a_day() {
    let mut town = Town::with_spokes();
    town.tell("claim maria for maria at a");
    let told: Vec<String> = (0..=KEYS_PER_DAY_MAX)
        .map(|_| town.tell("keys maria at a"))
        .collect();
    let (last, taken) = told.split_last().expect("some");
    assert!(taken.iter().all(|told| told.contains("record")), "{told:?}");
    assert!(last.contains("8 times today"), "{last}");
    town.tell("wait 86400");
    assert!(town.tell("keys maria at a").contains("record"));
}

#[test]
fn organizers_say_who_may_issue_certificates() {
    check(
        Town::with_spokes(),
        "caa issue_a.test by a | caa issue_a.test by organizer | wait 1 | caa issue_a.test by organizer | wait 1 | \
         caa issue_a.test,issue_; by organizer | wait 1 | caa issue_a.test,issuewild_; by organizer | wait 1 | \
         caa issue_a.test,issue_a.test by organizer | wait 1 | caa by organizer | wait 1 | caa by organizer",
        &expect![[r#"
            caa issue_a.test by a: ed25519:6uHIeTtVl8Sz9JDnasMRcsQ5aQ+O4UFCu4UaYfmknw4= is no organizer's key
            caa issue_a.test by organizer: record 10 Council
            wait 1: later
            caa issue_a.test by organizer: that is so already; nothing was changed
            wait 1: later
            caa issue_a.test,issue_; by organizer: the rules of certificates say with "issue ;" that nobody may issue any, and name somebody who may; leave one of them out
            wait 1: later
            caa issue_a.test,issuewild_; by organizer: record 11 Council
            wait 1: later
            caa issue_a.test,issue_a.test by organizer: line 6: "Rule" stands twice with the same value; change it and sign again
            wait 1: later
            caa by organizer: record 12 Council
            wait 1: later
            caa by organizer: that is so already; nothing was changed
            = "#]],
    );
    let rules: Vec<String> = (0..11).map(|n| format!("issue_a{n}.test")).collect();
    check(
        Town::with_spokes(),
        &format!(
            "caa {} by organizer | caa {} by organizer",
            rules.join(","),
            rules[..10].join(",")
        ),
        &expect![[r#"
            caa issue_a0.test,issue_a1.test,issue_a2.test,issue_a3.test,issue_a4.test,issue_a5.test,issue_a6.test,issue_a7.test,issue_a8.test,issue_a9.test,issue_a10.test by organizer: line 15: "Rule" stands more often than the format allows; change it and sign again
            caa issue_a0.test,issue_a1.test,issue_a2.test,issue_a3.test,issue_a4.test,issue_a5.test,issue_a6.test,issue_a7.test,issue_a8.test,issue_a9.test by organizer: record 10 Council
            = "#]],
    );
}
