//! Somebody edits a secondary's disk, while it runs and while it does not. No reader ever gets it.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{fs, path::Path, time::Duration};

use common::{
    author::{Author, Signed, article, draft, picture, put},
    demo::Demo,
    run, wait_for,
};
use rusqlite::{Connection, params};
use spokes_log::{draft::Says, name::Hash};

/// Every minute the whole store is read through; then it takes a few requests.
const MENDED_WITHIN: Duration = Duration::from_secs(80);
const POSTS: usize = 4;

/// Maria's blog, its secondary with the loose screws, and what is right.
struct Story {
    demo: Demo,
    label: String,
    posts: Vec<Signed>,
    picture: Hash,
    /// A good entry, but of another blog.
    stranger: (String, String, Vec<u8>),
}

type Blow = fn(&Connection, &Story);

const BLOWS: &[(&str, Blow)] = &[
    ("text changed", |db, story| {
        let sql = "UPDATE entry SET text = replace(text, 'harmless', 'forgery!') WHERE id = ?1";
        db.execute(sql, [id(story, 1)]).unwrap();
    }),
    ("row removed", |db, story| {
        db.execute("DELETE FROM entry WHERE id = ?1", [id(story, 1)])
            .unwrap();
    }),
    ("two rows swapped", |db, story| {
        let sql = "UPDATE entry SET (text, signatures) = (SELECT text, signatures FROM entry AS o \
                   WHERE o.id = CASE entry.id WHEN ?1 THEN ?2 ELSE ?1 END) WHERE id IN (?1, ?2)";
        db.execute(sql, [id(story, 1), id(story, 2)]).unwrap();
    }),
    ("another blog's entry under our id", |db, story| {
        let (_, text, signatures) = &story.stranger;
        let sql = "UPDATE entry SET text = ?2, signatures = ?3 WHERE id = ?1";
        db.execute(sql, params![id(story, 1), text, signatures])
            .unwrap();
    }),
    ("another blog's entry under its own id", |db, story| {
        let (stranger, text, signatures) = &story.stranger;
        let sql = "UPDATE OR REPLACE entry SET id = ?2, text = ?3, signatures = ?4 WHERE id = ?1";
        db.execute(sql, params![id(story, 1), stranger, text, signatures])
            .unwrap();
    }),
    ("signature changed", |db, story| {
        let sql = "SELECT signatures FROM entry WHERE id = ?1";
        let mut bytes: Vec<u8> = db.query_row(sql, [id(story, 1)], |row| row.get(0)).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let sql = "UPDATE entry SET signatures = ?2 WHERE id = ?1";
        db.execute(sql, params![id(story, 1), bytes]).unwrap();
    }),
    ("words cut off, as if erased", |db, story| {
        let sql = "UPDATE entry SET signatures = x'', \
                   text = substr(text, 1, instr(text, char(10, 10)) - 1) WHERE id = ?1";
        db.execute(sql, [id(story, 1)]).unwrap();
    }),
    ("filed under another blog", |db, story| {
        let sql = "UPDATE entry SET blog = ?2 WHERE id = ?1";
        db.execute(sql, params![id(story, 1), Hash::of(b"nothing").to_string()])
            .unwrap();
    }),
    ("blob edited", |_, story| {
        let path = story.data().join("media").join(story.picture.path());
        fs::write(path, b"\x89PNG forgery!").unwrap();
    }),
];

fn id(story: &Story, post: usize) -> String {
    story.posts[post].id().to_string()
}

impl Story {
    fn begin() -> Self {
        let demo = Demo::start();
        let mut maria = Author::with_blog(&demo, "maria", "a");
        let label = demo.members("maria")[1].clone();
        let (bytes, medium) = picture("harmless");
        let hash = medium.hash;
        let mut posts: Vec<Signed> = Vec::new();
        for n in 0..POSTS {
            let mut post = article(&format!("post-{n}"));
            post.media.extend((n == 1).then(|| medium.clone()));
            let says = draft(Says::Post(post), &format!("Post {n} is harmless."));
            let signed = maria.sign(&says);
            if maria.send(demo.address("a"), &signed).unwrap().status == 202 && n == 1 {
                assert_eq!(put(demo.address("a"), "maria", hash, &bytes).status, 201);
            }
            wait_for("a post is safe", Duration::from_secs(10), || {
                (maria.send(demo.address("a"), &signed)?.status == 201).then_some(())
            });
            maria.parent = Some(signed.place());
            posts.push(signed);
        }
        let stranger = stranger(&demo);
        let story = Self {
            demo,
            label,
            posts,
            picture: hash,
            stranger,
        };
        wait_for("the secondary has all", Duration::from_secs(10), || {
            story.is_whole().then_some(())
        });
        story
    }

    fn data(&self) -> std::path::PathBuf {
        self.demo.node(&self.label).data
    }

    fn strike(&self, blow: Blow) {
        let db = Connection::open(self.data().join("spoke.db")).unwrap();
        db.busy_timeout(Duration::from_secs(5)).unwrap();
        blow(&db, self);
    }

    /// Rows and blob are what the author signed.
    fn is_whole(&self) -> bool {
        let db = Connection::open(self.data().join("spoke.db")).unwrap();
        let blob = self.data().join("media").join(self.picture.path());
        let blob_is_whole = fs::read(blob).is_ok_and(|bytes| Hash::of(&bytes) == self.picture);
        let row_is_whole = |post: &Signed| {
            let sql = "SELECT text, blog FROM entry WHERE id = ?1";
            let row = db.query_row(sql, [post.id().to_string()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            });
            row.is_ok_and(|(text, blog)| {
                text == post.entry.text() && blog == post.entry.blog().to_string()
            })
        };
        blob_is_whole && self.posts.iter().all(row_is_whole)
    }

    /// Whatever this secondary serves is what the primary serves; it may also say that it cannot.
    fn nothing_altered_is_served(&self, blow: &str) {
        let (text, entry) = (
            "/post-1.txt",
            format!("/_/entry/{}", self.posts[1].id().path()),
        );
        let media = format!("/media/{}", self.picture.path());
        for path in [
            text,
            "/post-1.asc",
            "/post-1.txt.asc",
            &entry,
            &media,
            "/post-2.txt",
        ] {
            let (ours, right) = (self.get(path), self.demo.http("a", "maria", path));
            assert_eq!(right.status, 200, "{path}");
            let same = ours.status == 200 && ours.body == right.body;
            let honest = ours.status == 404 || ours.status == 503;
            assert!(
                same || honest,
                "{blow}: {path} {} {}",
                ours.status,
                ours.text()
            );
        }
        for path in [
            "/post-1",
            "/",
            "/feed.atom",
            "/feed.json",
            "/archive",
            "/post-2",
        ] {
            assert!(
                !self.get(path).text().contains("forgery!"),
                "{blow}: {path}"
            );
        }
        let right = self.demo.api("a", "blogs/maria/entries").json()["entries"].clone();
        let id = self.posts[1].id().path();
        let wire = self.demo.api(&self.label, &format!("entries/{id}"));
        assert!(
            wire.status == 404 || right.as_array().unwrap().contains(&wire.json()),
            "{blow}"
        );
        let page = self.demo.api(&self.label, "blogs/maria/entries").json();
        for entry in page["entries"].as_array().unwrap() {
            assert!(
                right.as_array().unwrap().contains(entry),
                "{blow}: the API serves {entry}"
            );
        }
    }

    fn get(&self, path: &str) -> common::http::Reply {
        self.demo.http(&self.label, "maria", path)
    }

    fn mended(&self) -> u64 {
        self.demo.api(&self.label, "status").json()["mended"]
            .as_u64()
            .unwrap()
    }

    fn mends_itself(&self, blow: &str, at_least: u64) {
        let began = std::time::Instant::now();
        wait_for(&format!("{blow}: mended"), MENDED_WITHIN, || {
            self.is_whole().then_some(())
        });
        let page = || {
            self.get("/post-1")
                .text()
                .contains("harmless")
                .then_some(())
        };
        wait_for(
            &format!("{blow}: the post is read again"),
            MENDED_WITHIN,
            page,
        );
        assert!(
            self.mended() >= at_least,
            "{blow}: it does not say that it was mended"
        );
        eprintln!("{blow}: whole again after {:?}", began.elapsed());
    }
}

/// A post of another blog by another author, as a row.
fn stranger(demo: &Demo) -> (String, String, Vec<u8>) {
    let mut nadia = Author::with_blog(demo, "nadia", "a");
    let signed = nadia.post(demo, "a", "post-1", "This is a forgery!");
    let db = Connection::open(demo.node("a").data.join("spoke.db")).unwrap();
    let sql = "SELECT id, text, signatures FROM entry WHERE id = ?1";
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    db.query_row(sql, [signed.id().to_string()], columns)
        .unwrap()
}

#[test]
fn a_running_spoke_notices_and_mends() {
    let story = Story::begin();
    for (name, blow) in BLOWS {
        let before = story.mended();
        story.strike(*blow);
        story.nothing_altered_is_served(name);
        story.mends_itself(name, before + 1);
        story.nothing_altered_is_served(name);
    }
    // Nobody asks for this one: it is mended all the same.
    story.strike(|db, story| {
        db.execute("DELETE FROM entry WHERE id = ?1", [id(story, 3)])
            .unwrap();
    });
    story.mends_itself("a row that nobody reads", 1);
    let log = story.demo.log(&story.label);
    assert!(
        log.contains("mended") && log.contains("altered"),
        "the log says so"
    );
    story.demo.assert_no_panic();
}

#[test]
fn a_spoke_that_was_altered_asleep_mends_when_it_wakes() {
    let story = Story::begin();
    for (name, blow) in BLOWS {
        story.demo.kill(&story.label);
        story.strike(*blow);
        story.demo.restart(&story.label);
        story.nothing_altered_is_served(name);
        story.mends_itself(name, 1);
        story.nothing_altered_is_served(name);
    }
    story.demo.assert_no_panic();
}

#[test]
fn an_older_disk_catches_up_before_it_signs() {
    let demo = Demo::start();
    let mut maria = Author::with_blog(&demo, "maria", "a");
    maria.post(&demo, "a", "early", "Early words.");
    let label = demo.members("maria")[1].clone();
    let data = demo.node(&label).data;
    let older = data.with_extension("older");
    demo.kill(&label);
    copy(&data, &older);
    demo.restart(&label);
    let late = maria.post(&demo, "a", "late", "Late words.");
    demo.kill(&label);
    fs::remove_dir_all(&data).unwrap();
    copy(&older, &data);
    demo.restart(&label);
    wait_for("the late post is back", Duration::from_secs(20), || {
        let page = demo.http(&label, "maria", "/late");
        (page.status == 200 && page.text().contains("Late words")).then_some(())
    });
    let path = format!("/_/entry/{}", late.id().path());
    let same = demo.http(&label, "maria", &path).body == demo.http("a", "maria", &path).body;
    assert!(same);
    assert!(
        demo.log(&label).contains("catching up"),
        "{}",
        demo.log(&label)
    );
    maria.post(&demo, &label, "later", "It goes on.");
    demo.assert_no_panic();
}

fn copy(from: &Path, to: &Path) {
    let (code, said) = run("cp", &["-a", from.to_str().unwrap(), to.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
}

/// Posts of a blog as one member lists and serves them, parents first.
fn is_all_there(demo: &Demo, label: &str, posts: &[Signed]) -> bool {
    let page = demo.api(label, "blogs/maria/entries").json();
    let entries = page["entries"].as_array().cloned().unwrap_or_default();
    let texts: Vec<&str> = entries.iter().filter_map(|e| e["text"].as_str()).collect();
    let sequences: Vec<String> = (0..=posts.len())
        .map(|n| format!("\nSequence: {n}\n"))
        .collect();
    texts.len() == sequences.len()
        && texts
            .iter()
            .zip(&sequences)
            .all(|(text, at)| text.contains(at.as_str()))
        && (0..posts.len()).all(|n| demo.http(label, "maria", &format!("/post-{n}")).status == 200)
}

fn posted(demo: &Demo) -> (Author, Vec<Signed>) {
    let mut maria = Author::with_blog(demo, "maria", "a");
    let posts = (0..6).map(|n| maria.post(demo, "a", &format!("post-{n}"), "harmless"));
    let posts = posts.collect();
    (maria, posts)
}

#[test]
fn what_was_mended_on_every_member_outlives_a_restart_of_all() {
    let demo = Demo::start_with(3, &["--empty"]);
    let (_maria, posts) = posted(&demo);
    let members = demo.members("maria");
    let blows: [&str; 2] = [
        "UPDATE entry SET text = replace(text, 'harmless', 'forgery!') WHERE id = ?1",
        "DELETE FROM entry WHERE id = ?1",
    ];
    for blow in blows {
        for label in &members {
            let db = Connection::open(demo.node(label).data.join("spoke.db")).unwrap();
            db.execute(blow, [posts[1].id().to_string()]).unwrap();
            drop(db);
            let right = || {
                let text = demo.http(label, "maria", "/post-1.txt");
                text.text().contains("harmless").then_some(())
            };
            wait_for("it is mended", MENDED_WITHIN, right);
            assert!(is_all_there(&demo, label, &posts), "{label} after {blow}");
        }
        // One is altered once more while nobody looks, and finds out when it starts.
        members.iter().for_each(|label| demo.kill(label));
        let db = Connection::open(demo.node(&members[2]).data.join("spoke.db")).unwrap();
        db.execute(blow, [posts[1].id().to_string()]).unwrap();
        drop(db);
        members.iter().for_each(|label| demo.restart(label));
        for label in &members {
            wait_for("all is there again", Duration::from_secs(20), || {
                is_all_there(&demo, label, &posts).then_some(())
            });
        }
    }
    demo.assert_no_panic();
}

#[test]
fn a_lone_spoke_keeps_what_follows_an_altered_entry() {
    let demo = Demo::start_with(1, &["--empty"]);
    let (maria, posts) = posted(&demo);
    demo.kill("a");
    let db = Connection::open(demo.node("a").data.join("spoke.db")).unwrap();
    let sql = "UPDATE entry SET text = replace(text, 'harmless', 'forgery!') WHERE id = ?1";
    db.execute(sql, [posts[1].id().to_string()]).unwrap();
    demo.restart("a");
    assert_ne!(demo.http("a", "maria", "/post-1").status, 200);
    let rows = || -> i64 {
        let sql = "SELECT count(*) FROM entry";
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(rows(), 7, "nothing is thrown away");
    // Her tool brings the one that is missing, and those that follow.
    for signed in &posts[1..] {
        assert_eq!(maria.send(demo.address("a"), signed).unwrap().status, 201);
    }
    assert!(is_all_there(&demo, "a", &posts));
    demo.kill("a");
    demo.restart("a");
    assert!(is_all_there(&demo, "a", &posts));
    demo.assert_no_panic();
}
