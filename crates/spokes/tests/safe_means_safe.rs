//! Spokes are killed at random while authors write: what was called safe is there, once, everywhere.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use common::{
    Random,
    author::{Author, article, draft},
    demo::Demo,
    http, setting, wait_for,
};
use spokes_log::{draft::Says, name::EntryId};

const AUTHORS: usize = 4;
/// The authors go on until spokes were killed so often, however fast they write.
const BLOWS_MIN: usize = 12;
/// How long replicas may take to agree after the last blow.
const SETTLE: Duration = Duration::from_secs(45);

/// What one author was told is safe.
struct Story {
    name: String,
    safe: Vec<(EntryId, String)>,
    branched: bool,
}

#[test]
fn what_was_called_safe_is_there_once_and_everywhere() {
    let posts = setting("SPOKES_TEST_POSTS", 150);
    let seed = setting("SPOKES_TEST_SEED", 20_261_123);
    eprintln!("seed {seed}, {posts} posts");
    let demo = Demo::start();
    let (over, blows) = (AtomicBool::new(false), AtomicUsize::new(0));
    let stories = thread::scope(|scope| {
        let blows = &blows;
        let chaos = scope.spawn(|| blow(&demo, seed as u64, &over, blows));
        let authors: Vec<_> = (0..AUTHORS)
            .map(|n| {
                let demo = &demo;
                scope.spawn(move || write(demo, n, posts / AUTHORS, blows))
            })
            .collect();
        // An author who fails must not leave the blows going on for ever.
        let told: Vec<_> = authors.into_iter().map(|a| a.join()).collect();
        over.store(true, Ordering::Relaxed);
        let stories: Vec<Story> = told.into_iter().map(Result::unwrap).collect();
        chaos.join().unwrap();
        stories
    });
    let posts: usize = stories.iter().map(|story| story.safe.len()).sum();
    eprintln!("spokes were killed {blows:?} times beside {posts} posts");
    for story in &stories {
        agree(&demo, story);
    }
    demo.assert_no_panic();
}

#[test]
fn what_another_took_in_place_of_a_silent_primary_is_safe_at_once() {
    let demo = Demo::start();
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let before = maria.post(&demo, "a", "before", "All are there.");
    let members = demo.members("maria");
    let stands_in = demo.address(&members[1]);
    // Safe is what a majority has; she stands in who has it, too.
    let path = format!("entries/{}", before.id().path());
    wait_for("the second member has it", Duration::from_secs(10), || {
        (demo.api(&members[1], &path).status == 200).then_some(())
    });
    demo.kill(&members[0]);
    let signed = maria.sign_behind(
        &draft(Says::Post(article("meanwhile")), "The primary is silent."),
        Some(&before.place()),
    );
    let path = "/api/v1/blogs/maria/entries";
    let host = stands_in.to_string();
    let refused = [("Spokes-Refused-By", members[0].as_str())];
    let body = signed.json.as_bytes();
    let reply = http::request(stands_in, "POST", &host, path, &refused, body).unwrap();
    assert_eq!(reply.status, 201, "{}", reply.text());
}

/// Kills one spoke after another and starts it again.
fn blow(demo: &Demo, seed: u64, over: &AtomicBool, blows: &AtomicUsize) {
    let mut random = Random::new(seed);
    let labels = demo.labels();
    while !over.load(Ordering::Relaxed) {
        let mut pause = |most| thread::sleep(Duration::from_millis(random.below(most) as u64));
        pause(400);
        pause(300);
        let label = &labels[random.below(labels.len())];
        demo.kill(label);
        thread::sleep(Duration::from_millis(random.below(400) as u64));
        demo.restart(label);
        blows.fetch_add(1, Ordering::Relaxed);
    }
}

fn write(demo: &Demo, number: usize, posts: usize, blows: &AtomicUsize) -> Story {
    let name = format!("author{number}");
    let labels = demo.labels();
    let mut author = Author::new(&name);
    created(demo, &mut author, &labels, number);
    let mut story = Story {
        name,
        safe: vec![],
        branched: false,
    };
    for post in 0.. {
        if post >= posts {
            if blows.load(Ordering::Relaxed) >= BLOWS_MIN {
                break;
            }
            // One page of the API must hold them all in the end.
            thread::sleep(Duration::from_millis(50));
        }
        let slug = format!("post-{post}");
        let body = format!("Post {post} of author {number}.");
        let says = draft(Says::Post(article(&slug)), &body);
        let signed = author.publish(demo, &labels[number..], says);
        story.branched |= !signed.entry.draft().unwrap().instead_of.is_empty();
        story.safe.push((signed.id(), slug));
    }
    story
}

/// A claim is repeated with the same bytes until some spoke answers.
fn created(demo: &Demo, author: &mut Author, labels: &[String], number: usize) {
    let name = author.name.clone();
    let first = author.first(&demo.network, &name, common::author::now() + 3_600);
    let mut turn = number;
    let sent = || {
        turn += 1;
        let reply = author.send(demo.address(&labels[turn % labels.len()]), &first);
        (reply.unwrap_or_default().status == 201).then_some(())
    };
    wait_for("a name is granted", Duration::from_secs(60), sent);
    author.parent = Some(first.place());
}

/// All replicas hold the same entries; each safe one once, and each post once.
fn agree(demo: &Demo, story: &Story) {
    let members = demo.members(&story.name);
    let path = format!("blogs/{}/entries", story.name);
    let began = Instant::now();
    let entries = wait_for(&format!("replicas of {} agree", story.name), SETTLE, || {
        let all: Vec<_> = members
            .iter()
            .map(|label| demo.api(label, &path).json()["entries"].clone())
            .collect();
        let whole = all[0]
            .as_array()
            .is_some_and(|a| a.len() > story.safe.len());
        let alike = all.iter().all(|entries| *entries == all[0]);
        if began.elapsed() > SETTLE * 9 / 10 {
            let counts: Vec<_> = all.iter().map(|a| a.as_array().map(Vec::len)).collect();
            eprintln!(
                "{members:?} hold {counts:?} of {}, branched {}",
                story.safe.len(),
                story.branched
            );
        }
        // Branches may come in another order; then the fold is what must agree.
        (whole && (alike || story.branched && began.elapsed() > SETTLE / 2)).then(|| all[0].clone())
    });
    let texts: Vec<&str> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["text"].as_str().unwrap())
        .collect();
    for (id, slug) in &story.safe {
        let of_slug = texts
            .iter()
            .filter(|text| text.contains(&format!("Slug: {slug}\n")))
            .count();
        assert!(
            of_slug == 1 || story.branched,
            "{}/{slug} stands {of_slug} times",
            story.name
        );
        let path = format!("/_/entry/{}", id.path());
        for label in &members {
            let reply = demo.http(label, &story.name, &path);
            assert_eq!(reply.status, 200, "{label} lost {}/{slug}", story.name);
        }
    }
    let listed = members.iter().map(|label| {
        let page = demo.http(label, &story.name, "/sitemap.xml").text();
        page.matches("/post-").count()
    });
    for shown in listed {
        assert_eq!(
            shown,
            story.safe.len(),
            "{}: no post twice, none missing",
            story.name
        );
    }
}
