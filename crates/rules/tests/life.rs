//! The life and death of spokes, and the moves of blogs, as the registry takes them.

mod common;

use common::Town;
use expect_test::{Expect, expect};

#[track_caller]
fn check(story: &str, expected: &Expect) {
    let mut town = Town::with_spokes();
    let told = town.tell(story);
    expected.assert_eq(&format!("{told}= {}", town.names()));
}

#[test]
fn a_majority_of_observers_says_who_is_silent() {
    check(
        "wait 100 | down b by a | down b by a,a | down b by a,b | down b by a,c | wait 1 | down b by a,council",
        &expect![[r#"
            wait 100: later
            down b by a: 2 observers must say so, 1 do
            down b by a,a: 2 observers must say so, 1 do
            down b by a,b: 2 observers must say so, 1 do
            down b by a,c: record 10 Spoke
            wait 1: later
            down b by a,council: that is so already; nothing was changed
            = "#]],
    );
    check(
        "wait 100 | down b by a,c before 300 | wait 300 | down b by a,c before 200 | down b by a,c | \
         up b by a,c | wait 60 | up b by a,c | up b by a,council | up b by a,c | \
         down b by a,c before 1 | wait 10 | down b by a,c | wait 60 | up b by a,c | wait 60 | up b by a,c",
        &expect![[r#"
            wait 100: later
            down b by a,c before 300: 2 observers must say so, 0 do
            wait 300: later
            down b by a,c before 200: 2 observers must say so, 0 do
            down b by a,c: record 10 Spoke
            up b by a,c: "b" has fallen of late and rests until 2026-11-23T14:12:40Z, so that readers are not sent back and forth
            wait 60: later
            up b by a,c: record 11 Spoke
            up b by a,council: as record 11
            up b by a,c: as record 11
            down b by a,c before 1: 2 observers must say so, 0 do
            wait 10: later
            down b by a,c: record 12 Spoke
            wait 60: later
            up b by a,c: "b" has fallen of late and rests until 2026-11-23T14:14:50Z, so that readers are not sent back and forth
            wait 60: later
            up b by a,c: record 13 Spoke
            = "#]],
    );
}

#[test]
fn the_council_stands_in_for_observers_that_it_finds_silent() {
    check(
        "wait 100 | down b by council,council@c | down b by a,council@c | down b by council,a@c,a@a | \
         down b by council,council@a | down b by council,council@a,council@c before 200 | \
         down b by council,council@a,council@c | wait 100 | down c by a,council@b | \
         up b by council,council@a,council@c",
        &expect![[r#"
            wait 100: later
            down b by council,council@c: 2 observers must say so, 1 do
            down b by a,council@c: 2 observers must say so, 1 do
            down b by council,a@c,a@a: 2 observers must say so, 1 do
            down b by council,council@a: 2 observers must say so, 1 do
            down b by council,council@a,council@c before 200: 2 observers must say so, 0 do
            down b by council,council@a,council@c: record 10 Spoke
            wait 100: later
            down c by a,council@b: 2 observers must say so, 1 do
            up b by council,council@a,council@c: record 11 Spoke
            = "#]],
    );
}

#[test]
fn only_seats_that_are_filled_judge_and_are_named() {
    let comes =
        |n| format!("invite t{n} | stand council-{n} with t{n} | seat council-{n} by organizer");
    let alone = "council,council@a,council@c";
    check(
        &format!(
            "{} | {} | wait 100 | servers | down b by {alone} | seat council-2 by council-3 | \
             seat council-2 by council-2 | wait 1 | seat council-2 by council-2 | seat council-3 by council-3 | \
             servers | wait 60 | up b by {alone} | \
             up b by council,council@a,council@c,council-2@a,council-2@c,council-2 | \
             refill council-3 | servers | wait 1 | seat council-3 by council-3 | servers | \
             wait 1 | recover council-3,council,council-2 | servers | wait 100 | down b by {alone} | \
             down b by council-3,council-3@a,council-3@c | seat council by council | servers | wait 200 | \
             up b by council-3,council-3@a,council-3@c",
            comes(2),
            comes(3)
        ),
        &expect![[r#"
            invite t2: record 10 Nothing
            stand council-2 with t2: record 11 Nothing
            seat council-2 by organizer: record 12 Council
            invite t3: record 13 Nothing
            stand council-3 with t3: record 14 Nothing
            seat council-3 by organizer: record 15 Council
            wait 100: later
            servers: ns1
            down b by council,council@a,council@c: record 16 Spoke
            seat council-2 by council-3: ed25519:py0wJIB0T5P41XvJf43PoiH0ZE1FfnooVJiEMo5T97o= is no organizer's key
            seat council-2 by council-2: record 17 Council
            wait 1: later
            seat council-2 by council-2: that is so already; nothing was changed
            seat council-3 by council-3: record 18 Council
            servers: ns1 ns2 ns3
            wait 60: later
            up b by council,council@a,council@c: 3 observers must say so, 1 do
            up b by council,council@a,council@c,council-2@a,council-2@c,council-2: record 19 Spoke
            refill council-3: record 20 Council
            servers: ns1 ns2
            wait 1: later
            seat council-3 by council-3: record 21 Council
            servers: ns1 ns2 ns3
            wait 1: later
            recover council-3,council,council-2: record 22 Council
            servers: ns3
            wait 100: later
            down b by council,council@a,council@c: 2 observers must say so, 0 do
            down b by council-3,council-3@a,council-3@c: record 23 Spoke
            seat council by council: record 24 Council
            servers: ns1 ns3
            wait 200: later
            up b by council-3,council-3@a,council-3@c: 3 observers must say so, 1 do
            = "#]],
    );
}

#[test]
fn a_dead_primary_is_followed_and_comes_back_as_a_secondary() {
    check(
        "claim maria for maria at a | next maria | wait 100 | down a by b,c | next maria | follow maria | \
         next maria | open maria 2 seals b:1,c:1 held b:1,c:1 | next maria | wait 61 | up a by b,c | \
         next maria | holds maria by a | next maria",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            next maria: as it is
            wait 100: later
            down a by b,c: record 11 Spoke
            next maria: b,a,c
            follow maria: record 12 Blogs
            next maria: as it is
            open maria 2 seals b:1,c:1 held b:1,c:1: record 13 Blog
            next maria: as it is
            wait 61: later
            up a by b,c: record 14 Spoke
            next maria: as it is
            holds maria by a: record 15 Blogs
            next maria: as it is
            = maria epoch 2 on b a c
        "#]],
    );
}

#[test]
fn nobody_of_the_council_chooses_a_set() {
    check(
        "claim maria for maria at a | close maria 1 for b,c,a by council | wait 100 | down a by b,c | \
         close maria 1 for c,b by council | close maria 1 for a,b,c by council | follow maria",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            close maria 1 for b,c,a by council: the new set is not the one that follows from the registry
            wait 100: later
            down a by b,c: record 11 Spoke
            close maria 1 for c,b by council: the new set is not the one that follows from the registry
            close maria 1 for a,b,c by council: the new set is not the one that follows from the registry
            follow maria: record 12 Blogs
            = maria epoch 1 on a b c, closing for 3
        "#]],
    );
}

#[test]
fn a_prepared_set_that_waits_for_a_silent_primary_gives_way_to_none_that_waits_as_well() {
    // Whoever is to take the blog in counts it, so that each time somebody else would have fewer.
    check(
        "claim maria for maria at a | replicas maria 1 | follow maria | open maria 2 seals a:1,b:1 held a:1 | \
         invite d | join d with d | admit d | wait 100 | down a by b,c,d | replicas maria 2 | next maria | \
         follow maria | next maria | down b by c,d,council | next maria | wait 61 | up a by c,d,council | next maria",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            replicas maria 1: record 11 Blog
            follow maria: record 12 Blogs
            open maria 2 seals a:1,b:1 held a:1: record 13 Blog
            invite d: record 14 Nothing
            join d with d: record 15 Spokes
            admit d: record 16 Spokes
            wait 100: later
            down a by b,c,d: record 17 Spoke
            replicas maria 2: record 18 Blog
            next maria: a,b
            follow maria: record 19 Blogs
            next maria: as it is
            down b by c,d,council: record 20 Spoke
            next maria: as it is
            wait 61: later
            up a by c,d,council: record 21 Spoke
            next maria: a,d
            = maria epoch 2 on a, closing for 2
        "#]],
    );
}

#[test]
fn a_spoke_is_emptied_step_by_step() {
    check(
        "claim maria for maria at a | invite d | join d with d | admit d | drain a | drain a | next maria | \
         follow maria | open maria 2 seals a:1,b:1,c:1 held a:1,b:1,c:1 | next maria | holds maria by d | \
         next maria | follow maria | open maria 3 seals a:1,b:1 held b:1,c:1 | next maria",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            invite d: record 11 Nothing
            join d with d: record 12 Spokes
            admit d: record 13 Spokes
            drain a: record 14 Spokes
            drain a: as record 14
            next maria: b,a,c,d
            follow maria: record 15 Blogs
            open maria 2 seals a:1,b:1,c:1 held a:1,b:1,c:1: record 16 Blog
            next maria: as it is
            holds maria by d: record 17 Blogs
            next maria: b,c,d
            follow maria: record 18 Blogs
            open maria 3 seals a:1,b:1 held b:1,c:1: record 19 Blog
            next maria: as it is
            = maria epoch 3 on b c d
        "#]],
    );
    check(
        "leave a | leave a | admit a by b | admit a | evict a | leave a | admit b | \
         wait 1 | admit a | drain a | leave a | drain nobody | admit nobody | \
         claim maria for maria at b | move maria to a | move maria to nobody | \
         invite d | join d with d | drain d | move maria to d",
        &expect![[r#"
            leave a: record 10 Spokes
            leave a: as record 10
            admit a by b: as record 3
            admit a: as record 3
            evict a: record 11 Spokes
            leave a: as record 10
            admit b: as record 6
            wait 1: later
            admit a: "a" was barred by an organizer, for good. Nothing was changed; its blogs go on with other spokes. Its server may ask to join again under another label, with a new invitation and a new, empty directory
            drain a: "a" was barred by an organizer, for good. Nothing was changed; its blogs go on with other spokes. Its server may ask to join again under another label, with a new invitation and a new, empty directory
            leave a: "a" was barred by an organizer, for good. Nothing was changed; its blogs go on with other spokes. Its server may ask to join again under another label, with a new invitation and a new, empty directory
            drain nobody: there is no spoke "nobody"
            admit nobody: there is no spoke "nobody"
            claim maria for maria at b: record 12 NewBlog
            move maria to a: "a" was barred by an organizer, for good. Nothing was changed; its blogs go on with other spokes. Its server may ask to join again under another label, with a new invitation and a new, empty directory
            move maria to nobody: there is no spoke "nobody"
            invite d: record 13 Nothing
            join d with d: record 14 Spokes
            drain d: "d" asked to join and is not let in so far, so it holds no blog. Nothing was changed; an organizer lets it in with "spokes council admit d"
            move maria to d: "d" asked to join and is not let in so far, so it holds no blog. Nothing was changed; an organizer lets it in with "spokes council admit d"
            = maria epoch 1 on b c
        "#]],
    );
}

#[test]
fn an_author_moves_her_blog_once_a_day_and_nobody_else_does() {
    check(
        "claim maria for maria at a | invite d | join d with d | admit d | home maria to d at b signed by rosa | \
         home maria to nowhere at b | home maria to d at b | again | next maria | \
         wait 10 | home maria to b at c | wait 86400 | home maria to b at c | next maria",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            invite d: record 11 Nothing
            join d with d: record 12 Spokes
            admit d: record 13 Spokes
            home maria to d at b signed by rosa: no signature here is by … over exactly these bytes; sign the text again, unchanged
            home maria to nowhere at b: there is no spoke "nowhere"
            home maria to d at b: record 14 Blog
            again: as record 14
            next maria: a,b,c,d
            wait 10: later
            home maria to b at c: the blog was moved by its author within a day; it can be moved again tomorrow
            wait 86400: later
            home maria to b at c: record 15 Blog
            next maria: b,a,c
            = maria epoch 1 on a b c
        "#]],
    );
    check(
        "claim maria for maria at a | move maria to b | next maria | move maria to nowhere | load c 1 nothing | \
         move maria to c | wait 100 | down b by a,c | move maria to b | next maria",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            move maria to b: record 11 Blog
            next maria: b,a,c
            move maria to nowhere: there is no spoke "nowhere"
            load c 1 nothing: record 12 Spoke
            move maria to c: "c" cannot take a blog now: it is silent, leaving, or its disk is full; choose another spoke
            wait 100: later
            down b by a,c: record 13 Spoke
            move maria to b: "b" cannot take a blog now: it is silent, leaving, or its disk is full; choose another spoke
            next maria: as it is
            = maria epoch 1 on a b c
        "#]],
    );
}

#[test]
fn a_blog_has_as_many_replicas_as_organizer_and_readers_want() {
    check(
        "claim maria for maria at a | invite d | join d with d | admit d | demand maria 1 by b | \
         demand maria 5 by a | demand maria 1 by a | next maria | demand maria 0 by a | wait 600 | \
         demand maria 0 by a | next maria | replicas maria 0 | replicas maria 10 | replicas maria 1 | next maria",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            invite d: record 11 Nothing
            join d with d: record 12 Spokes
            admit d: record 13 Spokes
            demand maria 1 by b: "b" is not the blog's primary
            demand maria 5 by a: the new set has at most 4 members more for its readers
            demand maria 1 by a: record 14 Blog
            next maria: a,b,c,d
            demand maria 0 by a: that may change once in 600 seconds; wait
            wait 600: later
            demand maria 0 by a: record 15 Blog
            next maria: as it is
            replicas maria 0: the new set has from 1 to 9 members
            replicas maria 10: the new set has from 1 to 9 members
            replicas maria 1: record 16 Blog
            next maria: a
            = maria epoch 1 on a b c
        "#]],
    );
}

#[test]
fn a_spoke_says_seldom_how_much_it_has_to_do_but_at_once_that_its_disk_is_full() {
    check(
        "claim maria for maria at a | load a 2 new | load a 3 new | load a 3 nothing | next maria | \
         load a 1 new | wait 60 | load a 1 new | next maria",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            load a 2 new: record 11 Load
            load a 3 new: that may change once in 60 seconds; wait
            load a 3 nothing: record 12 Spoke
            next maria: b,a,c
            load a 1 new: that may change once in 60 seconds; wait
            wait 60: later
            load a 1 new: record 13 Spoke
            next maria: as it is
            = maria epoch 1 on a b c
        "#]],
    );
}

#[test]
fn a_set_is_opened_by_force_only_after_an_hour_or_by_an_organizer() {
    check(
        "claim maria for maria at a | wait 100 | down a by b,c | wait 1 | down b by c,council | next maria | \
         follow maria | open maria 2 seals c:1 held c:1 | force maria 2 by council seals c:1 held c:1 | \
         force maria 2 by a seals c:1 held c:1 | wait 3600 | follow maria | force maria 2 by council seals c:1 held c:1 | \
         next maria | whole maria 2 by b | whole maria 2 by c | whole maria 2 by c",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            wait 100: later
            down a by b,c: record 11 Spoke
            wait 1: later
            down b by c,council: record 12 Spoke
            next maria: c,a,b
            follow maria: record 13 Blogs
            open maria 2 seals c:1 held c:1: 2 members must have sealed the old epoch, 1 have
            force maria 2 by council seals c:1 held c:1: the members that are missing may still come back; the council opens the set without them from 2026-11-23T15:06:41Z on, an organizer may before
            force maria 2 by a seals c:1 held c:1: ed25519:6uHIeTtVl8Sz9JDnasMRcsQ5aQ+O4UFCu4UaYfmknw4= is no organizer's key
            wait 3600: later
            follow maria: record 14 Blogs
            force maria 2 by council seals c:1 held c:1: record 15 Blog
            next maria: as it is
            whole maria 2 by b: "b" is not the blog's primary
            whole maria 2 by c: record 16 Blog
            whole maria 2 by c: as record 16
            = maria epoch 2 on c
        "#]],
    );
    check(
        "claim maria for maria at a | wait 100 | down a by b,c | wait 1 | down b by c,council | follow maria | \
         close maria 1 for c | force maria 2 by organizer seals none held none | force maria 2 by organizer seals none held c:1",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            wait 100: later
            down a by b,c: record 11 Spoke
            wait 1: later
            down b by c,council: record 12 Spoke
            follow maria: record 13 Blogs
            close maria 1 for c: record 14 Blogs
            force maria 2 by organizer seals none held none: 1 members of the new set must hold all that was sealed, 0 do
            force maria 2 by organizer seals none held c:1: record 15 Blog
            = maria epoch 2 on c
        "#]],
    );
}

#[test]
fn two_spokes_that_say_the_same_in_one_second_are_both_heard() {
    check(
        "claim maria for maria at a | load a 2 new | load b 2 new | wait 100 | down b by a,c | down c by a,council | \
         wait 61 | up b by a,council | up c by a,b | holds maria by b | holds maria by c | leave b | leave c",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            load a 2 new: record 11 Load
            load b 2 new: record 12 Load
            wait 100: later
            down b by a,c: record 13 Spoke
            down c by a,council: record 14 Spoke
            wait 61: later
            up b by a,council: record 15 Spoke
            up c by a,b: record 16 Spoke
            holds maria by b: record 17 Blogs
            holds maria by c: record 18 Blogs
            leave b: record 19 Spokes
            leave c: record 20 Spokes
            = maria epoch 1 on a b c
        "#]],
    );
}

#[test]
fn a_set_opened_by_force_knows_how_many_copies_would_tell_all_that_was_safe() {
    let enough = |story: &str, expected: u64| {
        let mut town = Town::with_spokes();
        let told = town.tell(story);
        let blog = town.author("maria").first.entry().id();
        let forced = town.registry.blog(blog).unwrap().forced.clone();
        assert_eq!(forced.map(|forced| forced.enough), Some(expected), "{told}");
    };
    let force = "claim maria for maria at a | close maria 1 for c | force maria 2 by organizer";
    // Of three, two meet every majority: the one that sealed is one of them.
    enough(&format!("{force} seals c:1 held c:1"), 1);
    enough(&format!("{force} seals none held c:1"), 2);
    // A second time, while copies of the first are missing: nobody knows which would do, so all are read.
    let again =
        format!("{force} seals c:1 held c:1 | close maria 2 for a | force maria 3 by organizer");
    enough(&format!("{again} seals none held a:1"), 3);
}

#[test]
fn an_organizer_gives_up_who_is_silent_where_the_others_cannot_seal() {
    let lost = |story: &str, expected: &str| {
        let mut town = Town::with_spokes();
        let told = town.tell(&format!("claim maria for maria at a | wait 100 | {story}"));
        let blog = town.author("maria").first.entry().id();
        let closing = town.registry.blog(blog).unwrap().closing.clone().unwrap();
        let lost: Vec<&str> = closing.lost.iter().map(|label| label.as_str()).collect();
        assert_eq!(lost.join(" "), expected, "{told}");
    };
    let both = "down a by b,c | wait 1 | down b by c,council";
    lost(&format!("{both} | close maria 1 for c"), "a b");
    // Who stays is not given up.
    lost(&format!("{both} | close maria 1 for c,b"), "");
    // What follows from the registry gives up nobody: they may come back.
    lost(&format!("{both} | follow maria"), "");
    // The others can seal: nothing may be passed over.
    lost("down a by b,c | close maria 1 for b,c", "");
    // All three answer.
    lost("close maria 1 for c", "");
    // A set that follows takes its place.
    let all = format!("{both} | wait 1 | down c by council");
    lost(
        &format!("{all} | invite d | join d with d | admit d | close maria 1 for d"),
        "a b c",
    );
}

#[test]
fn who_is_barred_is_in_no_set_to_come_and_can_seal_if_it_is_there() {
    check(
        "claim maria for maria at a | wait 100 | down a by b,c | wait 1 | down b by c,council | follow maria | \
         evict a | next maria | follow maria | wait 70 | up a by c | up a by c,council | next maria | follow maria | \
         open maria 2 seals a:1,c:1 held c:1 | wait 10 | down a by c,council",
        &expect![[r#"
            claim maria for maria at a: record 10 NewBlog
            wait 100: later
            down a by b,c: record 11 Spoke
            wait 1: later
            down b by c,council: record 12 Spoke
            follow maria: record 13 Blogs
            evict a: record 14 Spokes
            next maria: c,b
            follow maria: record 15 Blogs
            wait 70: later
            up a by c: 2 observers must say so, 1 do
            up a by c,council: record 16 Spoke
            next maria: c
            follow maria: record 17 Blogs
            open maria 2 seals a:1,c:1 held c:1: record 18 Blog
            wait 10: later
            down a by c,council: that is so already; nothing was changed
            = maria epoch 2 on c
        "#]],
    );
}
