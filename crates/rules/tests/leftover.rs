//! A spoke is in a blog's set no more. Its copy goes, after a day, when nobody can need it.

mod common;

use std::collections::BTreeSet;

use common::{Town, label};
use spokes_rules::leftover::{HEARD_SECONDS_MAX, KEEP_SECONDS, Leftover, Verdict, Why, judge};

/// What is otherwise than in the usual case: `a` has settled, heard the council just now, and left a day ago.
#[derive(Clone, Copy)]
struct Case {
    since: i64,
    heard: i64,
    has_settled: bool,
    waits: bool,
}

const USUAL: Case = Case {
    since: KEEP_SECONDS,
    heard: 0,
    has_settled: true,
    waits: false,
};

/// Maria's blog goes from `a`, `b` and `c` to `b`, `c` and `d`.
const MOVED: &str = "invite d | join d with d | admit d | claim maria for maria at a | close maria 1 for b,c,d | \
    open maria 2 seals a:1,b:1,c:1 held b:1,c:1,d:1";

/// `a` judges its copy after this story; `shown` are those who have shown that they have it, "nobody asked" if none
/// was.
#[track_caller]
fn check_case(story: &str, case: Case, shown: &str, expected: Verdict) {
    let mut town = Town::with_spokes();
    let told = town.tell(story);
    let blog = town.author("maria").first.entry().id();
    let shown_by: BTreeSet<_> = shown.split_whitespace().map(label).collect();
    let me = label("a");
    let leftover = Leftover {
        me: &me,
        left: town.now + -case.since,
        keep_seconds: KEEP_SECONDS,
        heard: Some(town.now + -case.heard),
        has_settled: case.has_settled,
        waits: case.waits,
        shown: (shown != "nobody asked").then_some(&shown_by),
    };
    let verdict = judge(town.now, &town.registry, blog, &leftover);
    assert_eq!(verdict, expected, "{told}");
}

#[track_caller]
fn check(story: &str, shown: &str, expected: Verdict) {
    check_case(story, USUAL, shown, expected);
}

const fn keep(why: Why) -> Verdict {
    Verdict::Keep(why)
}

#[test]
fn a_copy_goes_that_enough_others_show_to_have() {
    check(MOVED, "nobody asked", Verdict::Ask);
    check(MOVED, "b c", Verdict::Go);
    check(MOVED, "b c d", Verdict::Go);
}

#[test]
fn the_last_copy_never_goes() {
    check(MOVED, "", keep(Why::FewCopies));
    check(MOVED, "b", keep(Why::FewCopies));
    // Whoever has it and is no member may take it away as well.
    check(MOVED, "b a", keep(Why::FewCopies));
    // Who has fallen may have lost it, whatever it said before.
    let fallen = format!("{MOVED} | wait 100 | down b by a,c,d | down c by a,d,council");
    check(&fallen, "nobody asked", keep(Why::FewCopies));
    check(&fallen, "b c d", keep(Why::FewCopies));
    // What is left of a set is not enough, though it is all of it.
    let alone =
        "claim maria for maria at a | close maria 1 for b | open maria 2 seals a:1,b:1 held b:1";
    check(alone, "b", keep(Why::FewCopies));
    // Only where no more is wanted.
    check(&format!("{alone} | replicas maria 1"), "b", Verdict::Go);
    // Newcomers have to take it in first.
    let new = "invite d | join d with d | admit d | invite e | join e with e | admit e | \
        claim maria for maria at a | close maria 1 for b,d,e | open maria 2 seals a:1,b:1 held b:1,d:1";
    check(new, "b e", keep(Why::FewCopies));
    check(new, "b d", Verdict::Go);
}

#[test]
fn a_copy_stays_as_long_as_there_is_doubt() {
    let kept = |case: Case, why: Why| check_case(MOVED, case, "b c d", keep(why));
    let since = KEEP_SECONDS - 1;
    kept(Case { since, ..USUAL }, Why::Early);
    // A clock that was set back.
    kept(
        Case {
            since: -60,
            ..USUAL
        },
        Why::Early,
    );
    let heard = HEARD_SECONDS_MAX + 1;
    kept(Case { heard, ..USUAL }, Why::CouncilSilent);
    kept(Case { heard: -1, ..USUAL }, Why::CouncilSilent);
    let has_settled = false;
    kept(
        Case {
            has_settled,
            ..USUAL
        },
        Why::Unsettled,
    );
    kept(
        Case {
            waits: true,
            ..USUAL
        },
        Why::Waits,
    );
    check("claim maria for maria at a", "b c", keep(Why::Ours));
    check("invite d", "b c", keep(Why::Unknown));
    let again = format!("{MOVED} | close maria 2 for b,c,a");
    check(&again, "b c d", keep(Why::Ours));
    let changes = format!("{MOVED} | close maria 2 for c,b");
    check(&changes, "b c d", keep(Why::Changes));
    // Nobody knows what the missing ones had.
    let forced = "claim maria for maria at a | close maria 1 for b,c | \
        force maria 2 by organizer seals b:1 held b:1,c:1";
    check(forced, "b c", keep(Why::Forced));
    check(
        &format!("{forced} | whole maria 2 by b"),
        "b c",
        Verdict::Go,
    );
}
