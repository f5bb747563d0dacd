//! A blog went to other servers. The one that held it reads no more of it from its own disk, and after a while
//! takes its copy away; when the blog comes back, it takes it in like any other.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{fs, time::Duration};

use common::{
    author::{Author, article, draft, picture, put},
    demo::{Demo, program},
    run, wait_for,
};
use spokes_log::draft::Says;

const SOON: Duration = Duration::from_secs(30);
/// Sets change one after the other, and each newcomer takes the blog in first.
const MOVED: Duration = Duration::from_secs(90);

/// `spokes council …` with an organizer's key.
#[track_caller]
fn council(demo: &Demo, arguments: &[&str]) {
    let dir = demo.dir.join("council1");
    let mut all = vec!["council"];
    all.extend(arguments);
    all.extend(["--dir", dir.to_str().unwrap()]);
    let (code, said) = run(&program(), &all);
    assert_eq!(code, 0, "{arguments:?}: {said}");
}

/// A spoke's operator keeps what others hold for a second only.
fn keeps_nothing(demo: &Demo, label: &str) {
    let path = demo.node(label).data.join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    let changed = text.replace("keep_left = \"24h\"", "keep_left = \"1s\"");
    assert_ne!(changed, text);
    fs::write(&path, changed).unwrap();
    demo.kill(label);
    demo.restart(label);
}

#[test]
fn a_copy_that_others_hold_goes_and_comes_back_with_the_blog() {
    let demo = Demo::start_with(4, &["--empty"]);
    keeps_nothing(&demo, "a");
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let (pixels, medium) = picture("a picture");
    put(demo.address("a"), "maria", medium.hash, &pixels);
    let mut one = article("one");
    one.media = vec![medium.clone()];
    let one = maria.sign(&draft(Says::Post(one), "With a picture."));
    wait_for("the picture is here", SOON, || {
        put(demo.address("a"), "maria", medium.hash, &pixels);
        let said = maria.send(demo.address("a"), &one)?;
        (said.status == 201).then_some(())
    });
    maria.parent = Some(one.place());
    let two = maria.post(&demo, "a", "two", "Its newest post.");
    let has_blob = |label: &str| {
        let media = demo.node(label).data.join("media");
        media.join(medium.hash.path()).exists()
    };
    let has = |label: &str| {
        demo.api(label, &format!("entries/{}", two.id().path()))
            .status
            == 200
    };
    assert!(has("a") && has_blob("a"));

    council(&demo, &["drain", "a"]);
    wait_for("its copy goes", MOVED, || (!has("a")).then_some(()));
    wait_for("its picture goes", SOON, || (!has_blob("a")).then_some(()));
    assert!(
        !demo
            .api("a", &format!("entries/{}", one.id().path()))
            .text()
            .contains("With a picture")
    );
    wait_for("it says so", SOON, || {
        demo.log("a")
            .contains("entries and media of a blog that others hold were removed")
            .then_some(())
    });
    for label in ["b", "c", "d"] {
        assert!(has(label) && has_blob(label), "{label}");
        assert_eq!(demo.http(label, "maria", "/one").status, 200, "{label}");
    }
    // Its readers are led to those that have it.
    assert_eq!(demo.http("a", "maria", "/two").status, 200);
    maria.post(&demo, "b", "three", "Written elsewhere.");

    council(&demo, &["admit", "a"]);
    council(&demo, &["move", "maria", "--to", "a"]);
    wait_for("it has it again", SOON, || {
        (has("a") && has_blob("a")).then_some(())
    });
    maria.post(&demo, "a", "four", "At home again.");
    for path in ["/one", "/two", "/three", "/four"] {
        assert_eq!(demo.http("a", "maria", path).status, 200, "{path}");
    }
    demo.assert_no_panic();
}
