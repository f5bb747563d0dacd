//! Stories about replicas: what they take in, what they sign, and when they must not.

#[path = "../../log/tests/common/mod.rs"]
mod desk;
#[path = "common/scene.rs"]
mod scene;

use expect_test::expect;
use scene::{Scene, check};
use spokes_log::draft::Role;
use spokes_rules::replica::{STILL_SECONDS_MAX, has_stood_still};

#[test]
fn an_entry_is_written_held_and_safe() {
    check(
        "write one | submit a 1 | store a | pull b 1 | store b | receipts b to a | submit a 1",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            pull b 1: writes 1
            store b: holds 1 in 1
            receipts b to a: answers: safe on 2
            submit a 1: answers: safe on 2
        "#]],
    );
}

#[test]
fn a_secondary_passes_on_unless_the_primary_refused() {
    check(
        "write one | submit b 1 | bring b 1 | submit b 1 | store b | receipts a to b",
        &expect![[r#"
            write one: entry 1
            submit b 1: answers: ask a
            bring b 1: writes 1
            submit b 1: nothing
            store b: holds 1 in 1
            receipts a to b: nothing
        "#]],
    );
}

#[test]
fn a_stale_entry_is_answered_with_the_head() {
    check(
        "write one | submit a 1 | store a | write two behind 0 | submit a 2 | \
         write two behind 1 instead-of 2 | submit a 3 | pull a 2 | store a",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            write two behind 0: entry 2
            submit a 2: answers: the blog has gone on to entry 1; sign again behind sha256:…
            write two behind 1 instead-of 2: entry 3
            submit a 3: writes 2
            pull a 2: writes 1
            store a: holds 1 in 1; holds 2 in 1
        "#]],
    );
}

#[test]
fn a_missing_parent_is_asked_for() {
    check(
        "write one | write two | submit a 2 | submit a 1 | store a | submit a 2",
        &expect![[r#"
            write one: entry 1
            write two: entry 2
            submit a 2: answers: the entry before this one, sha256:… is not here; send that one first
            submit a 1: writes 1
            store a: holds 1 in 1
            submit a 2: writes 2
        "#]],
    );
}

#[test]
fn a_slug_has_one_article() {
    check(
        "write one | submit a 1 | store a | write one | submit a 2 | write one behind 0 | \
         write one behind 1 instead-of 3 | submit a 4",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            write one: entry 2
            submit a 2: answers: an article has the address "one" already; edit that one (Replaces: sha256:… or choose another slug
            write one behind 0: entry 3
            write one behind 1 instead-of 3: entry 4
            submit a 4: answers: an article has the address "one" already; edit that one (Replaces: sha256:… or choose another slug
        "#]],
    );
}

#[test]
fn an_entry_from_ahead_waits() {
    check(
        "write one ahead 900 | submit a 1 | pull b 1 | store b | heard b | wait 600 | heard b | \
         submit a 1",
        &expect![[r#"
            write one ahead 900: entry 1
            submit a 1: answers: the entry is signed at 2026-11-23T14:20:00Z, here it is 2026-11-23T14:06:00Z; set the clock and sign again
            pull b 1: writes 1
            store b: nothing
            heard b: nothing
            wait 600: later
            heard b: holds 1 in 1
            submit a 1: writes 1
        "#]],
    );
}

#[test]
fn a_sealed_epoch_has_no_receipts_any_more() {
    check(
        "write one | submit a 1 | store a | close b a,b,c for b,c | pull b 1 | store b | \
         restart b | close b a,b,c for b,c | compare b | heard b | cover b 1 | open 2 | set b b,c",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            close b a,b,c for b,c: writes its seal of 1 with [0]
            pull b 1: writes 1
            store b: sends its seal
            restart b: starts
            close b a,b,c for b,c: nothing
            compare b: nothing
            heard b: nothing
            cover b 1: holds 1 in 2
            open 2: open
            set b b,c: settles in 2
        "#]],
    );
}

#[test]
fn a_seal_names_what_is_durable_only() {
    check(
        "write one | submit a 1 | close a a,b,c for b,c | store a",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            close a a,b,c for b,c: writes its seal of 1 with [0]
            store a: sends its seal
        "#]],
    );
}

#[test]
fn a_started_replica_compares_before_it_signs_or_seals() {
    check(
        "write one | pull b 1 | store b | restart b | submit b 1 | write two | submit b 2 | \
         set b a,b,c | heard b | close b a,b,c for b,c | compare b | store b",
        &expect![[r#"
            write one: entry 1
            pull b 1: writes 1
            store b: holds 1 in 1
            restart b: starts
            submit b 1: nothing
            write two: entry 2
            submit b 2: answers: this server has just started, or stood still, and waits for the council; the entry is safe with you, send it again in a moment
            set b a,b,c: nothing
            heard b: nothing
            close b a,b,c for b,c: nothing
            compare b: writes its seal of 1 with [1]
            store b: sends its seal
        "#]],
    );
}

#[test]
fn a_started_member_compares_with_so_many_as_can_seal_without_it() {
    // What `a` names has to be durable first; one other of three is not enough.
    check(
        "write one | pull a 1 | store a | restart b | heard b | set b a,b,c | compare b with a | \
         compare b with c | pull b 1 | store b",
        &expect![[r#"
            write one: entry 1
            pull a 1: writes 1
            store a: holds 1 in 1
            restart b: starts
            heard b: nothing
            set b a,b,c: nothing
            compare b with a: nothing
            compare b with c: nothing
            pull b 1: writes 1
            store b: holds 1 in 1
        "#]],
    );
    // Where one is gone for good, a long wait does instead.
    check(
        "write one | restart b | set b a,b,c | heard b | compare b with c | wait 60 | heard b | \
         wait 1 | heard b",
        &expect![[r#"
            write one: entry 1
            restart b: starts
            set b a,b,c: nothing
            heard b: nothing
            compare b with c: nothing
            wait 60: later
            heard b: nothing
            wait 1: later
            heard b: holds 0 in 1
        "#]],
    );
    // What was said before the council was heard counts as soon as it is.
    check(
        "restart b | set b a,b,c | compare b with a | compare b with c | heard b",
        &expect![[r#"
            restart b: starts
            set b a,b,c: nothing
            compare b with a: nothing
            compare b with c: nothing
            heard b: holds 0 in 1
        "#]],
    );
}

#[test]
fn who_started_waits_for_nobody_whom_an_organizer_has_given_up() {
    // The council alone leaves out whoever is silent just now.
    check(
        "restart c | set c a,b,c | heard c | close c a,b,c for c | organizer closes c a,b,c for c | store c",
        &expect![[r#"
            restart c: starts
            set c a,b,c: nothing
            heard c: nothing
            close c a,b,c for c: nothing
            organizer closes c a,b,c for c: writes its seal of 1 with [0]
            store c: sends its seal
        "#]],
    );
    // Who stays is asked.
    check(
        "restart c | set c a,b,c | heard c | organizer closes c a,b,c for c,b | compare c with b",
        &expect![[r#"
            restart c: starts
            set c a,b,c: nothing
            heard c: nothing
            organizer closes c a,b,c for c,b: nothing
            compare c with b: writes its seal of 1 with [0]
        "#]],
    );
}

#[test]
fn a_blog_whose_servers_are_all_gone_begins_anew_with_what_its_author_brings() {
    // As long as somebody may seal, nothing is said of what was not sealed.
    check(
        "write one | restart c | set c a,b | heard c | restore c 1 | store c | close c a,b for c | \
         organizer closes c a,b for c,b | organizer closes c a,b for c | write two | restore c 2 | store c | \
         open 2 | set c c",
        &expect![[r#"
            write one: entry 1
            restart c: starts
            set c a,b: nothing
            heard c: nothing
            restore c 1: writes 1
            store c: nothing
            close c a,b for c: nothing
            organizer closes c a,b for c,b: nothing
            organizer closes c a,b for c: holds 1 in 2
            write two: entry 2
            restore c 2: writes 2
            store c: holds 2 in 2
            open 2: open
            set c c: settles in 2
        "#]],
    );
}

#[test]
fn an_entry_behind_one_that_is_being_written_waits_for_it() {
    check(
        "write one | submit a 1 | write two behind 0 | submit a 2 | write three behind 1 | \
         submit a 3 | store a | store a",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            write two behind 0: entry 2
            submit a 2: nothing
            write three behind 1: entry 3
            submit a 3: nothing
            store a: holds 1 in 1; answers: the blog has gone on to entry 1; sign again behind sha256:…; writes 2
            store a: holds 2 in 1
        "#]],
    );
    let mut scene = Scene::new();
    scene.step("write one");
    scene.step("submit a 1");
    assert_eq!(
        scene.replicas["a"].0.fold().posts().len(),
        0,
        "nobody sees it yet"
    );
    for n in 2..40 {
        scene.step(&format!("write text-{n} behind 0"));
        let said = scene.step(&format!("submit a {n}"));
        let full = said.contains("still writing");
        assert_eq!(full, n >= 34, "{n}: {said}");
    }
    scene.step("store a");
    assert_eq!(scene.replicas["a"].0.fold().posts().len(), 1);
}

#[test]
fn an_ended_key_reaches_nothing_behind_its_end() {
    // Entry 3 is by the key that entry 2 ended, on another branch, and came first.
    let story = "write one | write two | write stray behind 0 | end key | keys at 2 | restart b | \
                 set b a,b,c | heard b | pull b 3 | store b | pull b 1 | pull b 2 | store b | \
                 compare b with a | compare b with c";
    check(
        story,
        &expect![[r#"
        write one: entry 1
        write two: entry 2
        write stray behind 0: entry 3
        end key: ended
        keys at 2: taken
        restart b: starts
        set b a,b,c: nothing
        heard b: nothing
        pull b 3: writes 1
        store b: nothing
        pull b 1: writes 1
        pull b 2: writes 2
        store b: nothing
        compare b with a: nothing
        compare b with c: cuts off 1
    "#]],
    );
    // A receipt of the open epoch keeps it.
    let covered = "write zero | write one behind 0 | write two behind 2 | pull c 1 | store c | \
                   end key | keys at 3 | restart b | set b a,b,c | heard b | pull b 1 | store b | \
                   pull b 2 | pull b 3 | store b | receipts c to b | compare b with a | \
                   compare b with c";
    check(
        covered,
        &expect![[r#"
        write zero: entry 1
        write one behind 0: entry 2
        write two behind 2: entry 3
        pull c 1: writes 1
        store c: holds 1 in 1
        end key: ended
        keys at 3: taken
        restart b: starts
        set b a,b,c: nothing
        heard b: nothing
        pull b 1: writes 1
        store b: nothing
        pull b 2: writes 1
        pull b 3: writes 2
        store b: nothing
        receipts c to b: nothing
        compare b with a: nothing
        compare b with c: holds 1 in 1; holds 2 in 1
    "#]],
    );
}

#[test]
fn nobody_covers_what_is_not_durable() {
    check(
        "write one | close c a,b,c for b,c | store c | cover c 1 | pull c 1 | cover c 1 | store c",
        &expect![[r#"
            write one: entry 1
            close c a,b,c for b,c: writes its seal of 1 with [0]
            store c: sends its seal
            cover c 1: nothing
            pull c 1: writes 1
            cover c 1: nothing
            store c: holds 1 in 2
        "#]],
    );
}

#[test]
fn a_silent_council_stops_the_receipts() {
    check(
        "wait 2400 | write one | submit a 1 | store a | wait 1 | write two | submit a 2 | store a | \
         heard a 2401 ago | heard a",
        &expect![[r#"
            wait 2400: later
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            wait 1: later
            write two: entry 2
            submit a 2: writes 2
            store a: nothing
            heard a 2401 ago: nothing
            heard a: holds 2 in 1
        "#]],
    );
    // A clock that is set back does not make it a longer time.
    check(
        "wait -60 | write one | submit a 1 | store a | wait -1 | write two | submit a 2 | store a | heard a",
        &expect![[r#"
            wait -60: later
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            wait -1: later
            write two: entry 2
            submit a 2: writes 2
            store a: nothing
            heard a: holds 2 in 1
        "#]],
    );
}

#[test]
fn an_ended_key_is_refused_and_pulled_only_when_covered() {
    check(
        "write one | pull c 1 | store c | end key | set a a,b,c | set b a,b,c | submit a 1 | \
         pull b 1 | receipts c to b | pull b 1 | store b",
        &expect![[r#"
            write one: entry 1
            pull c 1: writes 1
            store c: holds 1 in 1
            end key: ended
            set a a,b,c: nothing
            set b a,b,c: nothing
            submit a 1: answers: the key … was ended by its blog; sign with one that is left
            pull b 1: nothing
            receipts c to b: nothing
            pull b 1: writes 1
            store b: holds 1 in 1
        "#]],
    );
}

#[test]
fn more_branches_than_are_admitted_are_pulled() {
    let mut scene = Scene::new();
    for n in 0..10 {
        scene.step(&format!("write text-{n} behind 0"));
        scene.step(&format!("pull b {}", n + 1));
    }
    scene.step("store b");
    assert_eq!(scene.replicas["b"].0.durable_tips().len(), 10);
    // A node that admits has them too, and takes no more.
    scene.step("write more behind 0");
    let said = scene.step("bring b 11");
    assert!(said.contains("has 8 branches already"), "{said}");
}

#[test]
fn copies_of_one_receipt_fill_no_room() {
    let mut scene = Scene::new();
    scene.step("write one");
    scene.step("write two behind 0");
    for story in ["pull b 1", "store b"] {
        scene.step(story);
    }
    // The primary lacks the entry, and hears again and again that another has it.
    for _ in 0..100 {
        scene.step("receipts b to a");
    }
    let kept = scene.replicas["a"].0.receipts().all();
    assert_eq!(kept.filter(|r| r.held.spoke.as_str() == "b").count(), 1);
}

#[test]
fn what_the_own_disk_says_is_not_the_council() {
    check(
        "write one | restart b | set b a,b,c | compare b | pull b 1 | store b | heard b",
        &expect![[r#"
            write one: entry 1
            restart b: starts
            set b a,b,c: nothing
            compare b: nothing
            pull b 1: writes 1
            store b: nothing
            heard b: holds 1 in 1
        "#]],
    );
}

/// A second key is needed to say that the first one ended; here only that it can be granted.
#[test]
fn keys_entries_pass_like_any_other() {
    let mut scene = Scene::new();
    let rosa = desk::key("Rosa <rosa@example.org>");
    scene
        .author
        .add_key(&rosa, Role::Write)
        .expect("an own key brings keys");
    let sealed = scene.author.entries.last().expect("there").clone();
    let place = scene.replicas["a"].0.chain().place(sealed.entry());
    let entry = place.and_then(|place| place.verify(sealed)).expect("valid");
    scene.entries.push(entry);
    assert_eq!(scene.step("submit a 1"), "writes 1");
    assert_eq!(scene.step("store a"), "holds 1 in 1");
}

#[test]
fn who_stood_still_accepts_nothing_before_the_council_was_heard() {
    assert!(!has_stood_still(STILL_SECONDS_MAX));
    assert!(has_stood_still(STILL_SECONDS_MAX + 1));
    // It is the primary still.
    check(
        "sleep a | write one | submit a 1 | heard a | store a",
        &expect![[r#"
            sleep a: nothing
            write one: entry 1
            submit a 1: nothing
            heard a: writes 1
            store a: holds 1 in 1
        "#]],
    );
    // Another is by now.
    check(
        "sleep a | write one | submit a 1 | open 2 with 0 | set a b,c | heard a",
        &expect![[r#"
            sleep a: nothing
            write one: entry 1
            submit a 1: nothing
            open 2 with 0: open
            set a b,c: answers: ask b
            heard a: nothing
        "#]],
    );
}

#[test]
fn what_a_set_was_opened_without_becomes_an_offer() {
    // `a` accepted 1 and nobody else has it; the next set goes on with 2.
    check(
        "write one | submit a 1 | store a | write two behind 0 | open 2 with 0 | set b b,c | \
         submit b 2 | store b | set a b,c,a | vouch c to a | vouch b to a | pull a 2 | store a | \
         offers a | offer a to b",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            write two behind 0: entry 2
            open 2 with 0: open
            set b b,c: settles in 2; holds 0 in 2
            submit b 2: writes 1
            store b: holds 1 in 2
            set a b,c,a: nothing
            vouch c to a: nothing
            vouch b to a: nothing
            pull a 2: writes 1
            store a: settles and offers [1]; holds 1 in 2; answers: ask b
            offers a: [1]
            offer a to b: kept
        "#]],
    );
    // Where nothing else came, it goes on with that.
    check(
        "write one | submit a 1 | store a | open 2 with 0 | set b b,c,a | set a b,c,a | \
         vouch b to a | offer a to b | store b",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            open 2 with 0: open
            set b b,c,a: settles in 2; holds 0 in 2
            set a b,c,a: nothing
            vouch b to a: settles and offers [1]; holds 0 in 2; answers: ask b
            offer a to b: writes 1
            store b: holds 1 in 2
        "#]],
    );
    // An author who signed it again has answered.
    check(
        "write one | submit a 1 | store a | write two behind 0 | open 2 with 0 | set b b,c,a | \
         submit b 2 | store b | set a b,c,a | vouch b to a | pull a 2 | store a | \
         offer a to b | write one behind 2 instead-of 1 | submit b 3 | store b | offer a to b",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            write two behind 0: entry 2
            open 2 with 0: open
            set b b,c,a: settles in 2; holds 0 in 2
            submit b 2: writes 1
            store b: holds 1 in 2
            set a b,c,a: nothing
            vouch b to a: nothing
            pull a 2: writes 1
            store a: settles and offers [1]; holds 1 in 2; answers: ask b
            offer a to b: kept
            write one behind 2 instead-of 1: entry 3
            submit b 3: writes 2
            store b: holds 2 in 2
            offer a to b: answered
        "#]],
    );
}

#[test]
fn who_waits_for_what_became_an_offer_is_sent_to_the_primary() {
    check(
        "write one | submit a 1 | store a | open 2 with 0 | set b b,c,a | set a b,c,a | \
         vouch b to a",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            open 2 with 0: open
            set b b,c,a: settles in 2; holds 0 in 2
            set a b,c,a: nothing
            vouch b to a: settles and offers [1]; holds 0 in 2; answers: ask b
        "#]],
    );
}

#[test]
fn a_new_primary_keeps_what_extends_a_head() {
    // Of two that follow the same entry, one does.
    check(
        "write one | pull b 1 | store b | write two behind 0 | pull b 2 | store b | \
         open 2 with 0 | set b b,c | offers b",
        &expect![[r#"
            write one: entry 1
            pull b 1: writes 1
            store b: holds 1 in 1
            write two behind 0: entry 2
            pull b 2: writes 1
            store b: holds 1 in 1
            open 2 with 0: open
            set b b,c: settles and offers [1]; holds 1 in 2
            offers b: [1]
        "#]],
    );
    // A member keeps what its new primary has as well.
    check(
        "write one | pull b 1 | store b | pull c 1 | store c | open 2 with 0 | set b b,c | \
         set c b,c | vouch b to c | offers c",
        &expect![[r#"
            write one: entry 1
            pull b 1: writes 1
            store b: holds 1 in 1
            pull c 1: writes 1
            store c: holds 1 in 1
            open 2 with 0: open
            set b b,c: settles in 2; holds 1 in 2
            set c b,c: nothing
            vouch b to c: settles in 2; holds 1 in 2
            offers c: []
        "#]],
    );
}

#[test]
fn a_member_waits_for_its_primary_and_not_for_ever() {
    check(
        "write one | pull c 1 | store c | open 2 with 0 | set c b,c | wait 10 | heard c | wait 1 | \
         heard c",
        &expect![[r#"
            write one: entry 1
            pull c 1: writes 1
            store c: holds 1 in 1
            open 2 with 0: open
            set c b,c: nothing
            wait 10: later
            heard c: nothing
            wait 1: later
            heard c: settles and offers [1]; holds 0 in 2
        "#]],
    );
    // A set that changes again needs its seal now.
    check(
        "write one | pull c 1 | store c | open 2 with 0 | set c b,c | close c b,c for c",
        &expect![[r#"
            write one: entry 1
            pull c 1: writes 1
            store c: holds 1 in 1
            open 2 with 0: open
            set c b,c: nothing
            close c b,c for c: settles and offers [1]; writes its seal of 2 with [0]
        "#]],
    );
    // What the set was opened with has to be here first.
    check(
        "write one | open 2 with 1 | set c b,c | vouch b to c | wait 11 | heard c | \
         close c b,c for c | wait 50 | heard c | pull c 1 | store c",
        &expect![[r#"
            write one: entry 1
            open 2 with 1: open
            set c b,c: nothing
            vouch b to c: nothing
            wait 11: later
            heard c: nothing
            close c b,c for c: nothing
            wait 50: later
            heard c: writes its seal of 2 with [0]
            pull c 1: writes 1
            store c: settles in 2; sends its seal
        "#]],
    );
}

#[test]
fn a_copy_that_settled_is_settled_after_a_start() {
    check(
        "write one | open 2 with 0 | set b b,c | set c b,c | vouch b to c | pull c 1 | store c | restart c | \
         set c b,c | heard c | compare c | offers c",
        &expect![[r#"
            write one: entry 1
            open 2 with 0: open
            set b b,c: settles in 2; holds 0 in 2
            set c b,c: nothing
            vouch b to c: settles in 2; holds 0 in 2
            pull c 1: writes 1
            store c: holds 1 in 2
            restart c: starts
            set c b,c: nothing
            heard c: nothing
            compare c: holds 1 in 2
            offers c: []
        "#]],
    );
}
