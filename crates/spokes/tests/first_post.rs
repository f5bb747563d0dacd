//! Maria's first evening: a blog, a post, a check by gpg, an edit, and words taken back.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{fs, process::Command, time::Duration};

use common::{
    author::{Author, article, draft, picture, put},
    demo::Demo,
    run, wait_for,
};
use spokes_log::{
    chain::Chain,
    draft::Says,
    name::{EntryId, Hash},
    seal::SealedEntry,
};

const SECRET_WORDS: &str = "the letter under the third flowerpot";

#[test]
fn maria_writes_checks_edits_and_takes_back() {
    let demo = Demo::start();
    assert!(
        demo.started_in < Duration::from_secs(30),
        "{:?}",
        demo.started_in
    );
    eprintln!("the demo answered after {:?}", demo.started_in);

    // She asks spoke b for a name; a second after the answer it resolves.
    let mut maria = Author::with_blog(&demo, "maria", "b");
    let resolved = demo.dig(&["+short", "maria.blogs.localhost", "A"]);
    assert!(resolved.contains("127.0.2."), "{resolved}");
    let members = demo.members("maria");
    assert_eq!((members.len(), members[0].as_str()), (3, "b"));

    let first = maria.sign(&draft(Says::Post(article("first")), "Hello, *world*."));
    let reply = maria.send(demo.address("b"), &first).unwrap();
    assert_safe(&demo, &reply.json(), reply.status);
    maria.parent = Some(first.place());
    everywhere_alike(&demo, &members, first.id(), "first");
    gpg_says_good(&demo, &members[1]);
    feeds_are_sound(&demo, &members[2]);
    edit_moves_the_slug(&demo, &mut maria, first.id());
    erased_words_are_gone(&demo, &mut maria, &members);
    demo.assert_no_panic();
}

/// Status 201 with receipts of a majority, each signed by the key that the roster names.
fn assert_safe(demo: &Demo, answer: &serde_json::Value, status: u16) {
    assert_eq!(status, 201, "{answer}");
    let roster = demo.api("a", "blogs/maria").json();
    let good = |receipt: &serde_json::Value| {
        let wire: spokes_rules_receipt::Wire = serde_json::from_value(receipt.clone()).unwrap();
        wire.is_good_for(&roster)
    };
    let receipts = answer["receipts"].as_array().unwrap();
    let good = receipts.iter().filter(|receipt| good(receipt)).count();
    assert!(good >= 2 && good == receipts.len(), "{answer}");
}

/// All replicas give the same bytes of a post in every form.
fn everywhere_alike(demo: &Demo, members: &[String], id: EntryId, slug: &str) {
    let entry = format!("/_/entry/{}", id.path());
    let forms = ["", ".txt", ".asc", ".txt.asc"].map(|form| format!("/{slug}{form}"));
    for path in forms.iter().chain([&entry]) {
        let page_is_ours = path == &forms[0];
        let served: Vec<_> = members
            .iter()
            .map(|label| {
                wait_for(path, Duration::from_secs(5), || {
                    let reply = demo.http(label, "maria", path);
                    (reply.status == 200).then_some(reply.body)
                })
            })
            .collect();
        // The page itself names the spoke that serves it.
        assert!(
            page_is_ours || served.iter().all(|body| *body == served[0]),
            "{path}"
        );
    }
}

/// `curl …/key.asc | gpg --import`, then `curl …/first.asc | gpg --verify`.
fn gpg_says_good(demo: &Demo, label: &str) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let save = |path: &str, name: &str| {
        let file = dir.join(name);
        fs::write(&file, demo.http(label, "maria", path).body).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (key, sealed) = (save("/key.asc", "key.asc"), save("/first.asc", "first.asc"));
    let (text, detached) = (
        save("/first.txt", "text"),
        save("/first.txt.asc", "text.asc"),
    );
    let gpg = |arguments: &[&str]| {
        let output = Command::new("gpg")
            .arg("--homedir")
            .arg(dir)
            .args(["--batch", "--status-fd", "1"])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(gpg(&["--import", &key]).contains("IMPORT_OK"));
    assert!(gpg(&["--verify", &sealed]).contains("GOODSIG"));
    assert!(gpg(&["--verify", &detached, &text]).contains("GOODSIG"));
    let forged = fs::read_to_string(&sealed)
        .unwrap()
        .replace("Hello", "Hallo");
    fs::write(dir.join("forged.asc"), forged).unwrap();
    let forged = dir.join("forged.asc");
    assert!(gpg(&["--verify", forged.to_str().unwrap()]).contains("BADSIG"));
    drop(run(
        "gpgconf",
        &["--homedir", dir.to_str().unwrap(), "--kill", "all"],
    ));
}

fn feeds_are_sound(demo: &Demo, label: &str) {
    let feed: serde_json::Value = demo.http(label, "maria", "/feed.json").json();
    assert_eq!(feed["items"][0]["title"], "About first", "{feed}");
    for path in ["/feed.atom", "/feed.rss"] {
        let reply = demo.http(label, "maria", path);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &reply.body).unwrap();
        let parse = "import sys,xml.dom.minidom as m; m.parse(sys.argv[1])";
        let (code, said) = run("python3", &["-c", parse, file.path().to_str().unwrap()]);
        assert_eq!(code, 0, "{path}: {said}");
        assert!(reply.text().contains("About first"), "{path}");
    }
}

fn edit_moves_the_slug(demo: &Demo, maria: &mut Author, first: EntryId) {
    let mut edited = article("first-words");
    edited.replaces = Some(first);
    maria.say(
        demo,
        "b",
        &draft(Says::Post(edited), "Hello, world, again."),
    );
    for label in demo.members("maria") {
        let moved = wait_for("the old slug redirects", Duration::from_secs(5), || {
            let reply = demo.http(&label, "maria", "/first");
            (reply.status == 301).then_some(reply)
        });
        assert_eq!(moved.header("location"), Some("/first-words"));
        assert!(
            demo.http(&label, "maria", "/first-words")
                .text()
                .contains("again")
        );
    }
}

/// Words taken back are in no page, no API, no row, no blob; the chain still holds.
fn erased_words_are_gone(demo: &Demo, maria: &mut Author, members: &[String]) {
    let (bytes, medium) = picture(SECRET_WORDS);
    let mut secret = article("secret");
    let media_path = format!("/media/{}", medium.hash.path());
    let hash = medium.hash;
    secret.media.push(medium);
    let says = draft(Says::Post(secret), SECRET_WORDS);
    let staged = maria.sign(&says);
    assert_eq!(maria.send(demo.address("b"), &staged).unwrap().status, 202);
    assert_eq!(put(demo.address("b"), "maria", hash, &bytes).status, 201);
    assert_eq!(maria.send(demo.address("b"), &staged).unwrap().status, 201);
    maria.parent = Some(staged.place());
    for label in members {
        wait_for("the secret is out", Duration::from_secs(5), || {
            let page = demo.http(label, "maria", "/secret");
            page.text().contains(SECRET_WORDS).then_some(())
        });
        assert_eq!(demo.http(label, "maria", &media_path).status, 200);
    }
    let erases = vec![staged.id()];
    maria.say(demo, "b", &draft(Says::Erase { erases }, ""));
    for label in members {
        wait_for("the words are gone", Duration::from_secs(5), || {
            (demo.http(label, "maria", "/secret").status == 404).then_some(())
        });
        gone_from(demo, label, staged.id(), &media_path);
        chain_holds(demo, label);
    }
}

fn gone_from(demo: &Demo, label: &str, id: EntryId, media_path: &str) {
    let entry = format!("/_/entry/{}", id.path());
    for path in [
        "/",
        "/archive",
        "/feed.atom",
        "/feed.json",
        "/secret.asc",
        &entry,
    ] {
        let reply = demo.http(label, "maria", path);
        assert!(!reply.text().contains(SECRET_WORDS), "{label}{path}");
    }
    let skeleton = demo.http(label, "maria", &entry);
    assert_eq!(skeleton.status, 410);
    assert!(
        skeleton.text().starts_with("Spokes-Entry: 1\n"),
        "the skeleton stays"
    );
    let media = || (demo.http(label, "maria", media_path).status == 404).then_some(());
    wait_for("the erased blob is gone", Duration::from_secs(5), media);
    let entries = demo.api(label, "blogs/maria/entries");
    assert!(!entries.text().contains(SECRET_WORDS), "{label}");
    let data = demo.node(label).data;
    let store = rusqlite::Connection::open(data.join("spoke.db")).unwrap();
    let sql = "SELECT count(*) FROM entry WHERE text LIKE ?1";
    let like = format!("%{SECRET_WORDS}%");
    let rows: i64 = store.query_row(sql, [&like], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0, "{label}");
    let in_file = |name: &str| {
        let bytes = fs::read(data.join(name)).unwrap_or_default();
        let found = bytes.windows(SECRET_WORDS.len());
        found
            .filter(|part| *part == SECRET_WORDS.as_bytes())
            .count()
    };
    drop(store);
    let gone = || (in_file("spoke.db") + in_file("spoke.db-wal") == 0).then_some(());
    wait_for(
        "no trace of erased words is left",
        Duration::from_secs(5),
        gone,
    );
}

/// All entries, read through the API as a stranger reads them, make one valid chain.
fn chain_holds(demo: &Demo, label: &str) {
    let page = demo.api(label, "blogs/maria/entries").json();
    let blog = demo.api(label, "blogs/maria").json();
    let mut chain = Chain::new(Hash::parse(blog["blog"].as_str().unwrap()).unwrap());
    for wire in page["entries"].as_array().unwrap() {
        let sealed = sealed(wire);
        chain.accept(sealed).unwrap();
    }
    assert_eq!(chain.len(), 5, "blog, post, edit, secret, erase");
    assert!(chain.unvouched().is_empty());
}

fn sealed(wire: &serde_json::Value) -> SealedEntry {
    let wire: spokes::wire::EntryWire = serde_json::from_value(wire.clone()).unwrap();
    wire.sealed().unwrap()
}

mod spokes_rules_receipt {
    use spokes_rules::receipt::Receipt;

    /// A receipt as a client reads it.
    #[derive(serde::Deserialize)]
    #[serde(transparent)]
    pub(super) struct Wire(spokes::wire::SignedWire);

    impl Wire {
        /// Whether the roster's key for this spoke signed it.
        pub(super) fn is_good_for(&self, blog: &serde_json::Value) -> bool {
            let receipt = Receipt::check(self.0.signed().unwrap()).unwrap();
            let members = blog["members"].as_array().unwrap();
            members.iter().any(|member| {
                member["label"] == receipt.held.spoke.as_str()
                    && member["key"] == receipt.signed.key.to_string()
            }) && blog["blog"] == receipt.held.blog.to_string()
        }
    }
}
