//! Stories about the network's limits for a blog, each reached.

#[path = "../../log/tests/common/mod.rs"]
mod desk;
#[path = "common/scene.rs"]
mod scene;

use expect_test::expect;
use scene::{Scene, check, label};
use spokes_log::time::Time;
use spokes_rules::{
    node::NodeSecret,
    request::{Address, Ask, CouncilNode, Domain, Founding, Policy, Wish},
};

#[test]
fn a_day_has_its_number_of_entries() {
    // What is on disk after a start counts by the day on which it says it was signed.
    check(
        "limit a 1 entries | write one | submit a 1 | store a | write two | submit a 2 | restart a \
         | set a a,b,c | heard a | limit a 1 entries | submit a 2 | wait 86400 | submit a 2",
        &expect![[r#"
            limit a 1 entries: nothing
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            write two: entry 2
            submit a 2: answers: this network takes 1 entries of a blog in a day, and that is reached; they are safe with you, send them again tomorrow
            restart a: starts
            set a a,b,c: nothing
            heard a: nothing
            limit a 1 entries: nothing
            submit a 2: answers: this network takes 1 entries of a blog in a day, and that is reached; they are safe with you, send them again tomorrow
            wait 86400: later
            submit a 2: writes 2
        "#]],
    );
}

#[test]
fn what_must_not_wait_has_room_beside_the_rest() {
    check(
        "limit a 1 entries | write one | submit a 1 | store a | write two | submit a 2 | erase 1 behind 1 \
         | submit a 3 | store a | erase 1 behind 3 | submit a 4",
        &expect![[r#"
            limit a 1 entries: nothing
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            write two: entry 2
            submit a 2: answers: this network takes 1 entries of a blog in a day, and that is reached; they are safe with you, send them again tomorrow
            erase 1 behind 1: entry 3
            submit a 3: writes 2; erases 1
            store a: holds 2 in 1
            erase 1 behind 3: entry 4
            submit a 4: answers: this network takes 2 entries of a blog in a day, and that is reached; they are safe with you, send them again tomorrow
        "#]],
    );
}

#[test]
fn a_blog_has_its_bytes_and_more_each_year() {
    check(
        "limit a 4500 bytes | write one | submit a 1 | store a | write two | submit a 2 | store a | write three \
         | submit a 3 | wait 31536000 | submit a 3",
        &expect![[r#"
            limit a 4500 bytes: nothing
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            write two: entry 2
            submit a 2: writes 2
            store a: holds 2 in 1
            write three: entry 3
            submit a 3: answers: this network keeps 4500 bytes of a blog, and with this there would be more; ask the organizers for more room, what you have is safe with you
            wait 31536000: later
            submit a 3: writes 3
        "#]],
    );
}

#[test]
fn a_restore_is_granted_more_and_not_everything() {
    let mut scene = Scene::new();
    scene.step("limit a 1 entries");
    for n in 1..=20 {
        scene.step(&format!("write r{n}"));
        assert!(scene.step(&format!("restore a {n}")).starts_with("writes"));
    }
    let mut said = String::new();
    for step in [
        "write more",
        "restore a 21",
        "store a",
        "submit a 21",
        "store a",
        "write last",
        "submit a 22",
        "wait 86400",
        "restore a 22",
    ] {
        said.push_str(&format!("{step}: {}\n", scene.step(step)));
    }
    expect![[r#"
        write more: entry 21
        restore a 21: this network takes 20 entries of a blog in a day, and that is reached; they are safe with you, send them again tomorrow
        store a: holds 20 in 1
        submit a 21: writes 21
        store a: holds 21 in 1
        write last: entry 22
        submit a 22: answers: this network takes 1 entries of a blog in a day, and that is reached; they are safe with you, send them again tomorrow
        wait 86400: later
        restore a 22: writes 22
    "#]]
    .assert_eq(&said);
}

#[test]
fn a_limit_that_is_the_usual_one_is_left_out() {
    let node = |port| Address(([192, 0, 2, 1], port).into());
    let key = NodeSecret::from_seed(&[7; 32]).key();
    let ask = |policy| Ask {
        network: None,
        time: Time::from_unix(1_795_442_700),
        what: Wish::Found(Founding {
            domain: Domain::parse("blogs.example.org").expect("a domain"),
            council: vec![CouncilNode {
                label: label("one"),
                key,
                api: node(80),
                dns: node(53),
                peer: node(81),
            }],
            organizers: vec![key],
            policy,
        }),
    };
    let usual = ask(Policy::default());
    let text = usual.to_string();
    assert_eq!(Ask::parse(text.as_bytes()), Ok(usual));
    let other = ask(Policy {
        readers_per_second: 7,
        demand_seconds: 60,
        circle: 3,
        ..Policy::default()
    });
    assert_eq!(Ask::parse(other.to_string().as_bytes()), Ok(other));
    for line in [
        "Readers-Per-Second: 50",
        "Demand-Seconds: 600",
        "Demand-Seconds: 0",
        "Circle: 10",
    ] {
        assert!(
            Ask::parse(format!("{text}\n{line}").as_bytes()).is_err(),
            "{line}"
        );
    }
}
