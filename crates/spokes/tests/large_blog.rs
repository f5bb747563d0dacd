//! A blog of a thousand posts on a spoke that is killed: its first pages come from a sketch, and are
//! those that come later.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    thread,
    time::{Duration, Instant},
};

use common::{
    author::{Author, article, draft},
    demo::Demo,
    http, wait_for,
};
use rusqlite::{Connection, params};
use serde_json::json;
use spokes::wire::EntryWire;
use spokes_log::{chain::Chain, draft::Says, name::EntryId};

/// A few more than a spoke begins to sketch from.
const POSTS: usize = 1_020;
/// Entries of one message.
const BATCH: usize = 340;
/// A sketch is drawn a few seconds after a blog has come to rest.
const SOON: Duration = Duration::from_secs(30);

/// How often a reader asks who cannot wait.
const EAGER: Duration = Duration::from_millis(1);

#[test]
fn the_first_pages_after_a_start_are_those_that_come_later() {
    let demo = Demo::start_with(1, &["--empty"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let posts = fill(&demo, &mut maria);
    let settings = Says::Settings {
        title: Some("Long walks".into()),
        language: None,
        description: Some("On foot.".into()),
    };
    maria.say(&demo, "a", &draft(settings, ""));
    let about = Says::Page(article("about-me"));
    maria.say(&demo, "a", &draft(about, "I walk."));
    let mut better = article("better");
    better.replaces = Some(posts[7]);
    maria.say(&demo, "a", &draft(Says::Post(better), "It is better now."));

    let paths = [
        "/",
        "/post-500",
        "/better",
        "/about-me",
        "/post-7",
        "/nowhere",
    ];
    until_sketched(&demo);
    let first = after_a_start(&demo, &paths, || ());
    for (path, ways) in paths.iter().zip(&first) {
        assert!(ways.0 == ways.1, "{path}: {ways:?}");
    }
    assert!(first[0].0.1.contains("Long walks") && first[0].0.1.contains("/about-me"));
    assert_eq!(first[4].0.0, 301);

    nothing_of_it_is_shown_that_its_author_did_not_sign(&demo, &posts);
    what_was_erased_and_what_is_new_shows_at_once(&demo, &mut maria, &posts);
    demo.assert_no_panic();
}

/// Status and text of a page.
type Read = (u16, String);

/// Pages as they are read first after a start, and again when the blog was read.
fn after_a_start(
    demo: &Demo,
    paths: &[&'static str],
    meanwhile: impl FnOnce(),
) -> Vec<(Read, Read)> {
    demo.kill("a");
    meanwhile();
    let (to, host) = (demo.address("a"), demo.host("maria"));
    // Asked again and again from before it answers, each by itself: soon the blog is read.
    let ask = |path: &str| http::request(to, "GET", &host, path, &[], b"");
    let first: Vec<Read> = thread::scope(|scope| {
        let ask = &ask;
        let first = |path: &'static str| {
            scope.spawn(move || {
                let until = Instant::now() + SOON;
                loop {
                    match ask(path) {
                        Some(reply) => break reply,
                        None => assert!(Instant::now() < until, "{path}: no answer"),
                    }
                    thread::sleep(EAGER);
                }
            })
        };
        let readers: Vec<_> = paths.iter().map(|path| first(path)).collect();
        demo.restart("a");
        let replies = readers.into_iter().map(|reader| reader.join().unwrap());
        replies.map(|reply| (reply.status, reply.text())).collect()
    });
    let read = |path: &&'static str| {
        let reply = ask(path).unwrap();
        (reply.status, reply.text())
    };
    // Whoever asks for an archive waits for the blog.
    assert_eq!(demo.http("a", "maria", "/archive").status, 200);
    first.into_iter().zip(paths.iter().map(read)).collect()
}

/// Many posts at once, as an author brings back her own copy.
fn fill(demo: &Demo, maria: &mut Author) -> Vec<EntryId> {
    // Her name is granted a moment before its first entry is durable.
    let first: EntryWire = wait_for("the first entry", SOON, || {
        let page = demo.api("a", "blogs/maria/entries").json();
        serde_json::from_value(page["entries"][0].clone()).ok()
    });
    let first = first.sealed().unwrap();
    let mut chain = Chain::new(first.entry().id());
    chain.accept(first).unwrap();
    let mut entries = Vec::new();
    for number in 0..POSTS {
        let says = Says::Post(article(&format!("post-{number}")));
        let signed = maria.sign(&draft(says, &format!("Post {number} is harmless.")));
        maria.parent = Some(signed.place());
        let at = signed.entry.skeleton().signed;
        let signature = maria.key.sign(signed.entry.text(), at).unwrap();
        let place = chain.place(&signed.entry).unwrap();
        let verified = place.seal(signed.entry, &[signature]).unwrap();
        chain.append(&verified).unwrap();
        entries.push(verified.into_sealed());
    }
    for batch in entries.chunks(BATCH) {
        let entries: Vec<EntryWire> = batch.iter().map(EntryWire::from).collect();
        let body = json!({ "entries": entries }).to_string();
        let reply = http::post(demo.address("a"), "/api/v1/blogs/maria/restore", &body).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    entries.iter().map(|sealed| sealed.entry().id()).collect()
}

fn store(demo: &Demo) -> Connection {
    let path = demo.node("a").data.join("spoke.db");
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(SOON).unwrap();
    connection
}

fn until_sketched(demo: &Demo) {
    let store = store(demo);
    wait_for("a sketch", SOON, || {
        let sql = "SELECT 1 FROM sketch WHERE position = (SELECT max(position) FROM entry)";
        store.query_row(sql, [], |_| Ok(())).ok()
    });
}

/// Somebody edits the disk: a post that a page shows, and then the sketch.
fn nothing_of_it_is_shown_that_its_author_did_not_sign(demo: &Demo, posts: &[EntryId]) {
    let alter = |from: &str, to: &str| {
        let sql = "UPDATE entry SET text = replace(text, ?2, ?3) WHERE id = ?1";
        let id = posts[1_000].to_string();
        let altered = store(demo).execute(sql, params![id, from, to]);
        assert_eq!(altered.unwrap(), 1);
    };
    // The first has other words, the second another's signature.
    let edit = || {
        alter("harmless", "forgery!");
        let sql = "UPDATE entry SET signatures = (SELECT signatures FROM entry WHERE id = ?2) \
                   WHERE id = ?1";
        let ids = [posts[900].to_string(), posts[901].to_string()];
        assert_eq!(store(demo).execute(sql, ids).unwrap(), 1);
    };
    let read = after_a_start(demo, &["/post-1000", "/post-900"], edit);
    for (first, later) in &read {
        assert!(first.0 != 200 && later.0 != 200, "{first:?} {later:?}");
    }
    let spoil = || {
        alter("forgery!", "harmless");
        let sql = "UPDATE sketch SET bytes = CAST(bytes || x'00' AS BLOB)";
        assert_eq!(store(demo).execute(sql, []).unwrap(), 1);
    };
    let read = after_a_start(demo, &["/post-1000", "/"], spoil);
    for (first, later) in &read {
        assert!(first == later && first.0 == 200, "{first:?} {later:?}");
    }
}

fn what_was_erased_and_what_is_new_shows_at_once(
    demo: &Demo,
    maria: &mut Author,
    posts: &[EntryId],
) {
    let erases = vec![posts[1_019]];
    maria.say(demo, "a", &draft(Says::Erase { erases }, ""));
    let gone = "/post-1019";
    // Before it comes to rest.
    let read = after_a_start(demo, &["/", gone], || ());
    assert!(
        !read[0].0.1.contains(gone) && read[1].0.0 == 404,
        "{read:?}"
    );
    until_sketched(demo);
    let read = after_a_start(demo, &["/", gone], || ());
    assert!(
        !read[0].0.1.contains(gone) && read[1].0.0 == 404,
        "{read:?}"
    );

    maria.post(demo, "a", "the-newest", "It is new.");
    let read = after_a_start(demo, &["/", "/the-newest"], || ());
    assert!(
        read[0].0.1.contains("/the-newest") && read[1].0.0 == 200,
        "{read:?}"
    );
}
