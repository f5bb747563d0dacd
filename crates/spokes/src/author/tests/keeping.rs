//! Keeping a blog: taking it along, checking it, mending it, and signing with other keys.

use std::{
    fs,
    path::Path,
    process::Command as Process,
    time::{Duration, Instant},
};

use spokes_log::secret::SecretKey;

use super::{Maria, check};
use crate::author::now;

#[tokio::test]
async fn pictures_go_along_and_words_come_back() {
    let maria = Maria::with_blog().await;
    maria.write("trip/pic.gif", "GIF89a a pict;");
    maria.write(
        "trip/index.md",
        "+++\ntitle = \"A \\\"trip\\\"\"\ndate = 2020-01-02\ntags = [\"a b\"]\naliases = [\"old\"]\n+++\n\
         ![By the sea](pic.gif)\n\nSome words.",
    );
    maria.write(
        "about-me.md",
        "---\npage: true\ntitle: Me\n---\nA page with words.",
    );
    let line = "publish DIR/trip/index.md DIR/about-me.md --blog maria KEY";
    check(maria.run(line, &[]).await, 0, &["/trip", "/about-me"]);
    assert_eq!(maria.fake.nodes().blogs["maria"].media.len(), 1);
    check(
        maria.run("verify maria", &[]).await,
        0,
        &["good: maria, 3 entries (0 erased), 1 media"],
    );

    maria.write("keep/mine.txt", "mine");
    check(
        maria.run("export maria --to DIR/keep", &[]).await,
        1,
        &["something else"],
    );
    check(
        maria.run("export maria --to DIR/out", &[]).await,
        0,
        &["3 entries, 1 media"],
    );
    check(
        maria.run("export maria --to DIR/out", &[]).await,
        0,
        &["3 entries, 1 media"],
    );
    assert!(
        fs::read_to_string(maria.path("out/README.txt"))
            .expect("there")
            .contains("gpg")
    );
    let log = fs::read_dir(maria.path("out/log")).expect("a log").count();
    assert_eq!((log, maria.path("out/keys").exists()), (3, true));
    // What was exported reads back as what is there.
    let line = "publish DIR/out/markdown/trip.md DIR/out/markdown/about-me.md --blog maria KEY";
    let (code, captured) = maria.run(line, &[]).await;
    assert_eq!(
        (code, captured.facts().matches("unchanged").count()),
        (0, 2),
        "{}",
        captured.facts()
    );

    check(
        maria.run("restore DIR/out --as maria-b KEY", &[]).await,
        0,
        &["4 entries", "safe on"],
    );
    assert_eq!(maria.fake.nodes().blogs["maria-b"].media.len(), 1);
    check(
        maria.run("restore DIR/out --as maria KEY", &[]).await,
        0,
        &["3 entries"],
    );
    check(
        maria.run("verify maria-b", &[]).await,
        0,
        &["good: maria-b, 4 entries"],
    );
}

#[tokio::test]
async fn a_restore_of_what_is_there_says_so_at_once() {
    let maria = Maria::with_blog().await;
    maria.write("one.md", "Some words.");
    let line = "publish DIR/one.md --blog maria KEY";
    check(maria.run(line, &[]).await, 0, &[]);
    check(maria.run("export maria --to DIR/out", &[]).await, 0, &[]);
    // The blog goes on; what was exported is there as before.
    maria.write("later.md", "Later words.");
    let line = "publish DIR/later.md --blog maria KEY";
    check(maria.run(line, &[]).await, 0, &["/later"]);
    maria.fake.nodes().asked.clear();
    let began = Instant::now();
    check(
        maria.run("restore DIR/out --as maria KEY", &[]).await,
        0,
        &["is here already: 2 entries, safe on 3 of 3"],
    );
    let asked = maria.fake.nodes().asked.join("\n");
    assert!(
        !asked.contains("/restore"),
        "nothing is sent again: {asked}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "nobody waits for it"
    );
}

#[tokio::test]
async fn an_export_is_checked_without_any_network() {
    let maria = Maria::with_blog().await;
    maria.write("pic.gif", "GIF89a a pict;");
    maria.write("one.md", "![By the sea](pic.gif)\n\nSome words.");
    let line = "publish DIR/one.md --blog maria KEY";
    check(maria.run(line, &[]).await, 0, &[]);
    check(maria.run("export maria --to DIR/out", &[]).await, 0, &[]);
    let readme = fs::read_to_string(maria.path("out/README.txt")).expect("there");
    assert!(readme.contains("spokes blog verify"), "{readme}");
    maria.fake.nodes().asked.clear();
    let good = ["good: the export ", "2 entries, 1 media"];
    check(maria.run("verify DIR/out", &[]).await, 0, &good);
    assert!(maria.fake.nodes().asked.is_empty(), "nobody was asked");
    check(maria.run("verify DIR", &[]).await, 1, &["no export"]);

    let of = |folder: &str, ending: &str| {
        let files = fs::read_dir(maria.path(folder)).expect("a folder");
        let mut paths: Vec<_> = files.flatten().map(|file| file.path()).collect();
        paths.sort();
        paths.retain(|path| path.to_string_lossy().ends_with(ending));
        paths.pop().expect("a file")
    };
    let picture = of("out/media", ".gif");
    fs::write(&picture, "GIF89a a diff;").expect("written");
    check(
        maria.run("verify DIR/out", &[]).await,
        1,
        &["not good", "was changed"],
    );
    fs::write(&picture, "GIF89a a pict;").expect("written");
    let entry = of("out/log", ".asc");
    let text = fs::read_to_string(&entry).expect("there");
    fs::write(&entry, text.replace("Some words", "Sore words")).expect("written");
    check(
        maria.run("verify DIR/out", &[]).await,
        1,
        &["not good", "00000001-"],
    );
}

#[tokio::test]
async fn erased_words_are_vouched_for() {
    let maria = Maria::with_blog().await;
    maria.write("one.md", "Some words.");
    maria.write("two.md", "Other words.");
    let line = "publish DIR/one.md DIR/two.md --blog maria KEY";
    check(maria.run(line, &[]).await, 0, &[]);
    maria.write("one.md", "Better words.");
    check(maria.run(line, &[]).await, 0, &["replaces"]);
    check(
        maria.run("erase maria none KEY", &[]).await,
        1,
        &["no article \"none\""],
    );
    check(
        maria.run("erase maria one KEY", &[false]).await,
        1,
        &["nothing was erased"],
    );
    check(
        maria.run("erase maria one KEY", &[true]).await,
        0,
        &["safe on 3 of 3"],
    );
    check(
        maria.run("verify maria", &[]).await,
        0,
        &["5 entries (2 erased)"],
    );
    check(maria.run("export maria --to DIR/out", &[]).await, 0, &[]);
    let names: Vec<String> = fs::read_dir(maria.path("out/log"))
        .expect("a log")
        .flatten()
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        names.iter().filter(|name| name.ends_with(".txt")).count(),
        2
    );
    assert!(!maria.path("out/markdown/one.md").exists());
    check(
        maria.run("restore DIR/out --as again KEY", &[]).await,
        0,
        &["6 entries"],
    );
    check(maria.run("verify again", &[]).await, 0, &["(2 erased)"]);
}

#[tokio::test]
async fn a_lying_spoke_is_named() {
    let maria = Maria::with_blog().await;
    maria.write("one.md", "Some words.");
    maria.write("two.md", "Other words.");
    let line = "publish DIR/one.md DIR/two.md --blog maria KEY";
    check(maria.run(line, &[]).await, 0, &[]);
    maria.fake.nodes().altered = Some(1);
    check(
        maria.run("verify maria", &[]).await,
        1,
        &["not good: entry 1 (sha256:", "changed"],
    );
    let spoke = format!("verify {}/maria", maria.fake.url);
    check(maria.run(&spoke, &[]).await, 1, &["not good: entry 1"]);
    maria.fake.nodes().altered = None;
    check(maria.run(&spoke, &[]).await, 0, &["good"]);
    let port = maria.fake.url.rsplit(':').next().expect("a port");
    let address = format!("verify http://maria.blogs.localhost:{port}/");
    check(maria.run(&address, &[]).await, 0, &["good"]);
    maria.fake.nodes().shown_below = Some(2);
    check(
        maria.run("verify maria", &[]).await,
        1,
        &["entry 2", "missing"],
    );
    // The receipts alone tell it too.
    maria.forget_log();
    let words = ["entry 2", "missing", "signed at"];
    check(maria.run("verify maria", &[]).await, 1, &words);
    let (code, captured) = maria
        .run_from("elsewhere", "verify maria --json", &[])
        .await;
    assert_eq!(code, 0, "another machine cannot know: {}", captured.words());
}

#[tokio::test]
async fn branches_are_shown_and_settled() {
    let maria = Maria::with_blog().await;
    maria.write("one.md", "Some words.");
    let parent = maria.fake.nodes().blogs["maria"].copy.in_order()[0].clone();
    check(
        maria.run("settle maria", &[]).await,
        0,
        &["nothing clashes"],
    );
    check(
        maria.run("publish DIR/one.md --blog maria KEY", &[]).await,
        0,
        &[],
    );
    let first = {
        let mut nodes = maria.fake.nodes();
        let blog = nodes.blogs.get_mut("maria").expect("her blog");
        let mine = blog.copy.in_order()[1].clone();
        *blog = crate::author::fakes::Log::new(parent.entry().id());
        blog.take(parent);
        mine
    };
    maria.elsewhere("one", "Words from the telephone.");
    maria
        .fake
        .nodes()
        .blogs
        .get_mut("maria")
        .expect("her blog")
        .take(first.clone());
    let shown = ["Some words.", "Words from the telephone.", "--keep"];
    check(maria.run("settle maria", &[]).await, 0, &shown);
    let line = format!("settle maria --keep {} KEY", first.entry().id());
    check(maria.run(&line, &[]).await, 0, &["safe on"]);
    let nodes = maria.fake.nodes();
    let blog = &nodes.blogs["maria"].copy.blog;
    assert!(blog.clashes().is_empty());
    assert_eq!(blog.posts().len(), 1);
}

#[tokio::test]
async fn a_tree_is_imported_in_the_order_of_its_dates() {
    let maria = Maria::with_blog().await;
    maria.write("site/_index.md", "+++\ntitle = \"Section\"\n+++\n");
    maria.write("site/2021-01-01-later.md", "Later words.");
    maria.write("site/2020-01-01-sooner.md", "![gone](gone.png)");
    maria.write("site/en/guide.md", "Words.");
    maria.write("site/de/guide.md", "---\nlang: de\n---\nWorte.");
    maria.write("site/.hidden/secret.md", "No.");
    maria.write("site/bad.md", "+++\nnever ends");
    maria.write("site/data.csv", "1,2");
    let line = "import DIR/site --blog maria KEY";
    let words = [
        "6 Markdown files",
        "section",
        "gone.png",
        "bad.md: refused",
        "/en/guide",
        "/guide",
    ];
    check(maria.run(line, &[]).await, 1, &words);
    {
        let nodes = maria.fake.nodes();
        let order: Vec<String> = nodes.blogs["maria"]
            .copy
            .in_order()
            .iter()
            .filter_map(|sealed| Some(sealed.entry().draft()?.article()?.slug.to_string()))
            .collect();
        assert_eq!(order, ["guide", "en/guide", "sooner", "later"]);
    }
    let (_, captured) = maria.run(line, &[]).await;
    assert_eq!(
        captured.facts().matches(": unchanged: ").count(),
        4,
        "{}",
        captured.facts()
    );
    check(
        maria
            .run("import DIR/site/data.csv.xml --blog maria KEY", &[])
            .await,
        1,
        &[],
    );
}

#[tokio::test]
async fn another_key_may_write_and_end() {
    let maria = Maria::with_blog().await;
    let joan = SecretKey::generate("Joan <joan@example.org>", now() - 3600).expect("a key");
    maria.write("joan.asc", joan.certificate().armored());
    maria.write("joan-secret.asc", joan.armored());
    maria.write("one.md", "Joan's words.");
    let publish = "publish DIR/one.md --blog maria --key-file DIR/joan-secret.asc";
    check(
        maria.run(publish, &[]).await,
        1,
        &["not a key of this blog"],
    );
    let add = "keys maria add DIR/joan.asc --role write KEY";
    check(
        maria.run(add, &[]).await,
        0,
        &["safe on", "joan@example.org"],
    );
    check(maria.run(publish, &[]).await, 0, &["safe on"]);
    let end = format!("keys maria end {} KEY", joan.certificate().fingerprint());
    check(maria.run(&end, &[]).await, 0, &["safe on"]);
    check(maria.run("keys maria", &[]).await, 0, &["ended"]);
    maria.write("one.md", "More of Joan's words.");
    check(maria.run(publish, &[]).await, 1, &["ended"]);
}

/// `gpg` with a home of its own.
fn gpg(home: &Path, args: &[&str]) -> Option<String> {
    let output = Process::new("gpg")
        .env("GNUPGHOME", home)
        .args(["--batch", "--pinentry-mode", "loopback", "--passphrase", ""])
        .args(args)
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn her_own_gpg_signs() {
    let mut maria = Maria::new().await;
    // A socket's path has at most 107 bytes, so the home has a short one.
    let home = tempfile::Builder::new()
        .prefix("g")
        .tempdir_in("/tmp")
        .expect("a folder");
    let made = [
        "--quick-gen-key",
        "Maria <maria@example.org>",
        "ed25519",
        "sign",
        "never",
    ];
    if gpg(home.path(), &made).is_none() {
        eprintln!("skipped: no gpg here that makes keys");
        return;
    }
    maria.gnupg_home = Some(home.path().to_owned());
    maria.key = vec!["--key".to_owned(), "maria@example.org".to_owned()];
    maria.write("one.md", "- Some words.\n\nFrom gpg.");
    check(
        maria.run("create maria KEY", &[]).await,
        0,
        &["is yours", "maria@example.org"],
    );
    check(
        maria.run("publish DIR/one.md --blog maria KEY", &[]).await,
        0,
        &["safe on 3 of 3"],
    );
    check(maria.run("export maria --to DIR/out", &[]).await, 0, &[]);
    for file in fs::read_dir(maria.path("out/log"))
        .expect("a log")
        .flatten()
    {
        let path = file.path().display().to_string();
        assert!(gpg(home.path(), &["--verify", &path]).is_some(), "{path}");
    }
    maria.key[1] = "nobody@example.org".to_owned();
    let line = "publish DIR/one.md --blog maria KEY";
    check(
        maria.run(line, &[]).await,
        1,
        &["no secret key for \"nobody@example.org\""],
    );
    Process::new("gpgconf")
        .env("GNUPGHOME", home.path())
        .args(["--kill", "all"])
        .status()
        .ok();
}
