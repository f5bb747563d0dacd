//! The latest posts of the whole network are on every spoke's front page, through circles of several levels, whoever
//! dies in them; and whoever lies in them is passed by and named.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use common::{
    Random,
    author::{Author, Signed, article, draft, now},
    demo::Demo,
    http,
    rogue::{Rogue, StandIn},
    setting, wait_for,
};
use serde_json::{Value, json};
use spokes_log::draft::Says;

/// Longer than news takes through all levels of a busy machine; what it takes is printed, and measured elsewhere.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than it takes to find out that both who gather for a circle lie, and to go round them.
const PATIENCE_WITH_LIARS: Duration = Duration::from_secs(40);

/// The entries that a spoke's front page shows, newest first.
fn front(demo: &Demo, label: &str) -> Vec<String> {
    let reply = http::get(demo.address(label), &demo.domain, "/api/v1/latest");
    if reply.status != 200 {
        return Vec::new();
    }
    let headlines = reply.json()["headlines"].as_array().unwrap().clone();
    let entry = |headline: &Value| headline["entry"].as_str().unwrap().to_owned();
    headlines.iter().map(entry).collect()
}

/// The members of a blog's set, as this spoke knows them.
fn members(demo: &Demo, label: &str, blog: &str) -> Vec<String> {
    let wire = demo.api(label, &format!("blogs/{blog}")).json();
    let members = wire["members"].as_array().unwrap().iter();
    members
        .map(|member| member["label"].as_str().unwrap().to_owned())
        .collect()
}

fn status(demo: &Demo, label: &str) -> Value {
    demo.api(label, "status").json()
}

fn labels(value: &Value) -> Vec<String> {
    let labels = value.as_array().unwrap().iter();
    labels
        .map(|label| label.as_str().unwrap().to_owned())
        .collect()
}

/// What a spoke knows of the circles once it knows all spokes.
fn circles(demo: &Demo, label: &str, levels: u64) -> Value {
    wait_for("the circles are known", PATIENCE, || {
        let circles = status(demo, label)["circles"].clone();
        (circles["levels"] == levels).then_some(circles)
    })
}

/// How long it takes until all of these spokes show a post.
fn spread(demo: &Demo, spokes: &[String], post: &Signed) -> Vec<Duration> {
    spread_within(PATIENCE, demo, spokes, post)
}

fn spread_within(
    patience: Duration,
    demo: &Demo,
    spokes: &[String],
    post: &Signed,
) -> Vec<Duration> {
    let (began, id) = (Instant::now(), post.id().to_string());
    let mut waiting: BTreeSet<&String> = spokes.iter().collect();
    let mut took = Vec::new();
    wait_for("every front page shows it", patience, || {
        waiting.retain(|label| {
            let is_there = front(demo, label).contains(&id);
            if is_there {
                took.push(began.elapsed());
            }
            !is_there
        });
        waiting.is_empty().then_some(())
    });
    took
}

#[expect(clippy::print_stdout, reason = "figures for whoever runs this by hand")]
fn told(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    println!(
        "{what}: p50 {:?}, p99 {:?}, longest {:?}",
        at(50),
        at(99),
        at(100)
    );
}

/// An article of this moment.
fn fresh(slug: &str) -> Says {
    let mut article = article(slug);
    article.date = now();
    Says::Post(article)
}

/// How long it takes until whoever looks for a word finds a post by it, from all of these spokes.
fn found(demo: &Demo, spokes: &[String], word: &str, post: &Signed) -> Vec<Duration> {
    let (began, id) = (Instant::now(), post.id().to_string());
    let mut waiting: BTreeSet<&String> = spokes.iter().collect();
    let mut took = Vec::new();
    let path = format!("/api/v1/search?q={word}");
    wait_for("it is found everywhere", PATIENCE, || {
        waiting.retain(|label| {
            let reply = http::get(demo.address(label), &demo.domain, &path);
            let is_there = reply.status == 200 && reply.json()["hits"][0]["entry"] == id.as_str();
            if is_there {
                took.push(began.elapsed());
            }
            !is_there
        });
        waiting.is_empty().then_some(())
    });
    took
}

fn all_front_pages_are_the_same(demo: &Demo) {
    let all = demo.labels();
    let first = wait_for("all show the same", PATIENCE, || {
        let first = front(demo, &all[0]);
        let same = all.iter().all(|label| front(demo, label) == first);
        same.then_some(first)
    });
    assert_eq!(first.len(), 20);
}

/// All front pages are the same, and nobody says anything of others.
fn all_show_the_same(demo: &Demo) {
    all_front_pages_are_the_same(demo);
    for label in &demo.labels() {
        let noticed = status(demo, label)["noticed"].clone();
        assert_eq!(
            noticed,
            json!([]),
            "{label} accuses somebody though nobody lied"
        );
    }
}

#[test]
fn a_post_is_on_every_front_page_whoever_dies_in_the_circles() {
    let demo = Demo::start_with(30, &["--empty", "--circle", "3"]);
    let all = demo.labels();
    let known = circles(&demo, &all[0], 3);
    let mut authors: Vec<Author> = (0..6)
        .map(|n| Author::with_blog(&demo, &format!("author{n}"), &all[n * 5]))
        .collect();
    let mut turn = 0;
    let mut say =
        |demo: &Demo, authors: &mut Vec<Author>, living: &[String], rounds: usize, what: &str| {
            let (mut took, mut took_search) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                // One whose posts become safe although some are dead.
                let author = loop {
                    turn += 1;
                    let author = turn % authors.len();
                    let members = members(demo, &living[0], &authors[author].name);
                    let there = members.iter().filter(|label| living.contains(label));
                    if 2 * there.count() > members.len() {
                        break author;
                    }
                };
                let word = format!("word{turn}");
                let post = draft(fresh(&format!("post-{turn}")), &format!("A {word}."));
                let post = authors[author].publish(demo, living, post);
                took.extend(spread(demo, living, &post));
                took_search.extend(found(demo, living, &word, &post));
            }
            told(what, took);
            told(&format!("{what}, found behind that"), took_search);
        };
    let rounds = setting("SPOKES_CIRCLES_POSTS", 6);
    say(&demo, &mut authors, &all, rounds, "all well");

    // One of the inner circle, and one that gathers for the first spoke.
    let gathering = labels(&known["aggregators"]);
    let inner = labels(&known["inner"]);
    let dead = [inner[0].clone(), gathering[0].clone()];
    dead.iter().for_each(|label| demo.kill(label));
    let living = |dead: &[String]| -> Vec<String> {
        all.iter()
            .filter(|label| !dead.contains(label))
            .cloned()
            .collect()
    };
    say(
        &demo,
        &mut authors,
        &living(&dead),
        rounds,
        "an aggregator and an inner node dead",
    );

    // Both that gather for one circle: others take it in their place.
    let dead = [&dead[..], &gathering[1..]].concat();
    dead.iter().skip(2).for_each(|label| demo.kill(label));
    say(
        &demo,
        &mut authors,
        &living(&dead),
        rounds,
        "both aggregators of a circle dead",
    );

    for label in &dead {
        demo.restart(label);
    }
    say(&demo, &mut authors, &all, rounds, "all back");
    all_show_the_same(&demo);
    demo.assert_no_panic();
}

#[test]
fn a_burst_of_posts_while_those_who_gather_die_is_everywhere_once() {
    let demo = Demo::start_with(12, &["--empty", "--circle", "3"]);
    let all = demo.labels();
    let posts = setting("SPOKES_BURST_POSTS", 120);
    let authors = 6;
    let inner = wait_for("the inner circle is known", PATIENCE, || {
        let inner = labels(&status(&demo, &all[0])["circles"]["inner"]);
        (inner.len() == 3).then_some(inner)
    });
    let names: Vec<String> = (0..authors).map(|n| format!("author{n}")).collect();
    let began = Instant::now();
    thread::scope(|scope| {
        let (demo, all) = (&demo, &all);
        let writing: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(n, name)| {
                let mut author = Author::with_blog(demo, name, &all[n]);
                scope.spawn(move || {
                    for number in 0..posts / authors {
                        let post = draft(fresh(&format!("post-{number}")), "A flood of words.");
                        author.publish(demo, all, post);
                    }
                })
            })
            .collect();
        let mut random = Random::new(setting("SPOKES_SEED", 6) as u64);
        while writing.iter().any(|author| !author.is_finished()) {
            // One at a time, so that each set goes on.
            let gathering = labels(&circles(demo, &all[random.below(all.len())], 2)["aggregators"]);
            let chosen = if random.below(3) == 0 {
                &inner
            } else {
                &gathering
            };
            let victim = &chosen[random.below(chosen.len())];
            demo.kill(victim);
            thread::sleep(Duration::from_millis(500 + random.below(1_500) as u64));
            demo.restart(victim);
        }
    });
    told("a burst, in all", vec![began.elapsed()]);
    all_front_pages_are_the_same(&demo);
    for label in &inner {
        let total =
            |line: &str| demo.api(label, &format!("archive?q={line}")).json()["total"].clone();
        wait_for("each post is in the index", PATIENCE, || {
            (total("flood") == posts).then_some(())
        });
        let posts_in_all = demo.api(label, "archive?q=").json()["posts"].clone();
        assert_eq!(posts_in_all, posts, "{label} has some twice");
        for name in &names {
            assert_eq!(
                total(&format!("blog:{name}")),
                posts / authors,
                "{label} {name}"
            );
        }
    }
    demo.assert_no_panic();
}

/// A network in which the rogue gathers for a circle, and an honest spoke of that circle.
fn with_rogue_that_gathers() -> (Demo, Rogue, String) {
    for _ in 0..10 {
        let demo = Demo::start_with(6, &["--empty", "--circle", "3"]);
        let rogue = Rogue::join(&demo);
        rogue.pleases_observers(&demo);
        let all = demo.labels();
        wait_for("the rogue is in a circle", PATIENCE, || {
            let mut known = all
                .iter()
                .map(|label| status(&demo, label)["circles"].clone());
            let is_in = |circles: &Value| labels(&circles["circle"]).contains(&"r".to_owned());
            known.any(|circles| is_in(&circles)).then_some(())
        });
        let gathers = |label: &&String| {
            labels(&status(&demo, label)["circles"]["aggregators"]).contains(&"r".to_owned())
        };
        let beside = all.iter().find(gathers).cloned();
        if let Some(beside) = beside {
            return (demo, rogue, beside);
        }
    }
    panic!("lots never have the rogue gather");
}

/// Whether some honest spoke says this of the rogue.
fn noticed(demo: &Demo, what: &str) -> bool {
    demo.labels().iter().any(|label| {
        let noticed = status(demo, label)["noticed"].clone();
        let mut notices = noticed.as_array().unwrap().iter();
        notices.any(|n| n["about"] == "r" && n["what"] == what)
    })
}

#[test]
fn an_aggregator_that_leaves_out_or_brings_back_is_passed_by_and_named() {
    let (demo, rogue, beside) = with_rogue_that_gathers();
    let all = demo.labels();
    let empty =
        json!({ "cursor": "x-1", "age_seconds": 0, "shown": [], "added": [], "has": false });
    let lie = empty.to_string().into_bytes();
    rogue.says(move |path| path.starts_with("/api/v1/latest?of=").then(|| lie.clone()));
    let mut maria = Author::with_blog(&demo, "maria", &beside);
    let first = maria.publish(&demo, &all, draft(fresh("first"), "Words."));
    told(
        "beside one that leaves all out",
        spread(&demo, &all, &first),
    );
    wait_for("somebody says what it leaves out", PATIENCE, || {
        noticed(&demo, "leaves-out").then_some(())
    });
    let page = all
        .iter()
        .map(|label| http::get(demo.address(label), &demo.domain, "/status").text());
    let said = "left out a post of <bdi>maria</bdi>";
    assert!(
        page.into_iter().any(|page| page.contains(said)),
        "no page says it"
    );

    // What was true once, said again for ever: with all that proves it.
    let path = "/api/v1/latest?of=all";
    let mut old = http::get(demo.address(&all[0]), &demo.domain, path).json();
    assert_eq!(old["added"].as_array().unwrap().len(), 1);
    old["cursor"] = "y-9".into();
    let old = old.to_string().into_bytes();
    rogue.says(move |path| path.starts_with("/api/v1/latest?of=").then(|| old.clone()));
    thread::sleep(Duration::from_secs(3));
    let erases = vec![first.id()];
    let second = maria.publish(&demo, &all, draft(fresh("second"), "Other words."));
    maria.publish(&demo, &all, draft(Says::Erase { erases }, ""));
    let (gone, there) = (first.id().to_string(), second.id().to_string());
    for label in &all {
        wait_for("what she took back is gone", PATIENCE, || {
            let shown = front(&demo, label);
            (!shown.contains(&gone) && shown.contains(&there)).then_some(())
        });
    }
    wait_for("somebody says what it brings back", PATIENCE, || {
        noticed(&demo, "brings-back").then_some(())
    });
    thread::sleep(Duration::from_secs(2));
    for label in &all {
        assert!(
            !front(&demo, label).contains(&gone),
            "{label} shows it again"
        );
    }
    demo.assert_no_panic();
}

#[test]
fn a_post_that_both_aggregators_leave_out_goes_to_the_inner_circle_itself() {
    let demo = Demo::start_with(8, &["--empty", "--circle", "4", "--replicas", "1"]);
    let all = demo.labels();
    let known = circles(&demo, &all[0], 1);
    wait_for("all know all", PATIENCE, || {
        let same = |label: &String| status(&demo, label)["circles"]["inner"] == known["inner"];
        all.iter().all(same).then_some(())
    });
    let inner = labels(&known["inner"]);
    // One whose circle two others gather, both of them outside of the inner circle.
    let found = all.iter().find_map(|label| {
        let gathering = labels(&status(&demo, label)["circles"]["aggregators"]);
        let others = gathering.iter().all(|g| g != label && !inner.contains(g));
        (others && gathering.len() == 2).then(|| (label.clone(), gathering))
    });
    let (spoke, gathering) =
        found.unwrap_or_else(|| panic!("nobody has others that gather: {known}"));
    let mut maria = Author::with_blog(&demo, "maria", &spoke);
    let empty =
        json!({ "cursor": "x-1", "age_seconds": 0, "shown": [], "added": [], "has": false });
    let lie = empty.to_string().into_bytes();
    let _liars: Vec<StandIn> = gathering
        .iter()
        .map(|label| {
            let lie = lie.clone();
            let says = move |path: &str| path.starts_with("/api/v1/latest").then(|| lie.clone());
            StandIn::in_place_of(&demo, label, says)
        })
        .collect();
    let post = maria.publish(
        &demo,
        std::slice::from_ref(&spoke),
        draft(fresh("first"), "Words."),
    );
    let living: Vec<String> = all
        .iter()
        .filter(|label| !gathering.contains(label))
        .cloned()
        .collect();
    let took = spread_within(PATIENCE_WITH_LIARS, &demo, &living, &post);
    told("though both leave it out", took);
    wait_for("both are named", PATIENCE_WITH_LIARS, || {
        let all = living
            .iter()
            .map(|label| status(&demo, label)["noticed"].clone());
        let all: Vec<Value> = all
            .flat_map(|noticed| noticed.as_array().unwrap().clone())
            .collect();
        let named = |label: &String| {
            let mut all = all.iter();
            all.any(|n| n["about"] == label.as_str() && n["what"] == "leaves-out")
        };
        gathering.iter().all(named).then_some(())
    });
    for label in &living {
        let noticed = status(&demo, label)["noticed"].clone();
        for notice in noticed.as_array().unwrap() {
            let about = notice["about"].as_str().unwrap().to_owned();
            assert!(
                gathering.contains(&about),
                "{label} says of an honest one: {notice}"
            );
        }
    }
    // Nobody took them for dead.
    let page = http::get(demo.address(&spoke), &demo.domain, "/status").text();
    assert!(
        !page.contains("silent since"),
        "they were found out in another way"
    );
    demo.assert_no_panic();
}
