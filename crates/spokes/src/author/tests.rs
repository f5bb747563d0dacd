//! Stories of an author and a network, good and bad.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command as Process,
};

use clap::Parser;
use spokes_log::{
    draft::{Article, Says},
    entry::Entry,
    name::{Slug, Tags},
    secret::SecretKey,
};

use crate::author::{
    Author, Captured, Console, fakes::Fake, now, run_in, session::draft, signer::Surroundings,
};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    author: Author,
}

/// Maria, her key, her files and her network.
struct Maria {
    fake: Fake,
    dir: tempfile::TempDir,
    key: Vec<String>,
    gnupg_home: Option<PathBuf>,
}

impl Maria {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let key = SecretKey::generate("Maria <maria@example.org>", now() - 3600).expect("a key");
        let file = dir.path().join("key.asc");
        fs::write(&file, key.armored()).expect("written");
        Self {
            fake: Fake::start().await,
            key: vec!["--key-file".to_owned(), file.display().to_string()],
            dir,
            gnupg_home: None,
        }
    }

    async fn with_blog() -> Self {
        let maria = Self::new().await;
        let (code, _) = maria.run("create maria --title Maria KEY", &[]).await;
        assert_eq!(code, 0);
        maria
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    /// Runs a command line; `KEY` stands for her key, `DIR/` for her folder.
    async fn run(&self, line: &str, answers: &[bool]) -> (u8, Captured) {
        self.run_from("state", line, answers).await
    }

    /// The same from another of her machines.
    async fn run_from(&self, state: &str, line: &str, answers: &[bool]) -> (u8, Captured) {
        let mut args = vec!["blog".to_owned()];
        for word in line.split(' ') {
            match word {
                "KEY" => args.extend(self.key.iter().cloned()),
                word => args.push(word.replace("DIR", &self.dir.path().display().to_string())),
            }
        }
        args.extend(["--network".to_owned(), self.fake.url.clone()]);
        let line = Line::try_parse_from(&args).expect("a command line");
        let surroundings = Surroundings {
            state_home: self.path(state),
            key_password: None,
            gnupg_home: self.gnupg_home.clone(),
        };
        let (console, captured) = Console::captured(answers);
        let code = run_in(&line.author, &surroundings, &console).await;
        (code, captured)
    }

    #[track_caller]
    fn outbox(&self) -> usize {
        let mut count = 0;
        let blogs = fs::read_dir(self.path("state/spokes")).expect("a network");
        for network in blogs.flatten() {
            for blog in fs::read_dir(network.path().join("blogs"))
                .expect("blogs")
                .flatten()
            {
                count += fs::read_dir(blog.path().join("outbox"))
                    .expect("an outbox")
                    .count();
            }
        }
        count
    }

    /// Somebody else of hers publishes straight at the primary.
    fn elsewhere(&self, slug: &str, body: &str) {
        let bytes = fs::read(self.path("key.asc")).expect("her key");
        let mut key = SecretKey::parse(&bytes, None, None, now()).expect("her key");
        let article = Article {
            date: now(),
            slug: Slug::parse(slug).expect("a slug"),
            title: None,
            language: None,
            tags: Tags::default(),
            aliases: vec![],
            replaces: None,
            media: vec![],
        };
        let draft = draft(Says::Post(article), body.to_owned()).expect("a draft");
        let mut nodes = self.fake.nodes();
        let blog = nodes.blogs.get_mut("maria").expect("her blog");
        let (parent, id) = blog.copy.head().expect("a head");
        let authors = vec![key.certificate().fingerprint().clone()];
        let entry = Entry::new(&draft, Some((parent, id)), authors, now()).expect("sound");
        let signature = key.sign(entry.text(), now()).expect("signed");
        let place = blog.copy.chain.place(&entry).expect("fits");
        let sealed = place
            .seal(entry, &[signature])
            .expect("valid")
            .sealed()
            .clone();
        blog.take(sealed);
    }
}

#[track_caller]
fn check(run: (u8, Captured), code: u8, words: &[&str]) {
    let all = format!("{}{}", run.1.facts(), run.1.words());
    assert_eq!(run.0, code, "{all}");
    for word in words {
        assert!(all.contains(word), "{word:?} is not in:\n{all}");
    }
}

#[tokio::test]
async fn maria_gets_her_blog() {
    let maria = Maria::new().await;
    let line = "create maria --title Maria KEY";
    check(
        maria.run(line, &[false]).await,
        1,
        &["nothing was signed", "maria@example.org"],
    );
    check(
        maria.run(line, &[true]).await,
        0,
        &["pending", "is yours", "http://maria.blogs.local"],
    );
    check(maria.run(line, &[]).await, 1, &["taken"]);
    check(maria.run("create xn--bad KEY", &[]).await, 2, &["hyphens"]);
    check(maria.run("create joan", &[]).await, 2, &["--key"]);
    check(
        maria.run("status maria", &[]).await,
        0,
        &["safe, held by 3 of 3", "outbox   empty"],
    );
    check(
        maria.run("keys maria", &[]).await,
        0,
        &["own", "maria@example.org"],
    );
}

#[tokio::test]
async fn an_unanswered_claim_goes_on() {
    let maria = Maria::new().await;
    maria.fake.nodes().busy = 1;
    check(
        maria.run("create maria KEY", &[]).await,
        1,
        &["the same command goes on"],
    );
    assert_eq!(maria.outbox(), 1);
    maria.fake.nodes().swallowed = 1;
    check(
        maria.run("create maria KEY", &[]).await,
        0,
        &["going on", "is yours"],
    );
    assert_eq!(maria.outbox(), 0);
}

#[tokio::test]
async fn files_become_posts_once() {
    let maria = Maria::with_blog().await;
    maria.write(
        "hello.md",
        "---\ntitle: Hello\ntags: a, b\n---\nSome words  \nhere.\n",
    );
    maria.write("draft.md", "---\ndraft: true\n---\nNo.");
    maria.write("bad.md", "Beep \u{7}");
    let line = "publish DIR/hello.md DIR/draft.md --blog maria KEY";
    check(
        maria.run(line, &[]).await,
        0,
        &["safe on 3 of 3", "/hello", "as a draft"],
    );
    check(maria.run(line, &[]).await, 0, &["unchanged"]);
    let line = "publish DIR/bad.md DIR/hello.md --blog maria KEY";
    check(
        maria.run(line, &[]).await,
        1,
        &["U+0007", "unchanged", "1 of 2"],
    );
    maria.write("hello.md", "---\ntitle: Hello again\n---\nOther words.\n");
    let line = "publish DIR/hello.md --blog maria KEY";
    check(
        maria.run(line, &[false]).await,
        1,
        &["Replace it?", "left as it is"],
    );
    check(maria.run(line, &[true]).await, 0, &["safe on"]);
    maria.write("new.md", "New.");
    check(
        maria.run("edit DIR/new.md --blog maria KEY", &[]).await,
        1,
        &["no article has"],
    );
    let (code, captured) = maria.run("status maria --json", &[]).await;
    assert_eq!(code, 0);
    let facts: serde_json::Value = serde_json::from_str(&captured.facts()).expect("JSON");
    assert_eq!(facts["entries"], 3);
    assert_eq!(facts["heads"][0]["safe"], true);
}

#[tokio::test]
async fn what_is_not_yet_safe_is_resumed() {
    let maria = Maria::with_blog().await;
    maria.write("one.md", "Some words.");
    maria.write("two.md", "More words.");
    maria.fake.nodes().signing = 1;
    let line = "publish DIR/one.md --blog maria KEY";
    let words = ["accepted, not yet safe: held by 1 of 3, 2 needed; it stays in your outbox"];
    check(maria.run(line, &[]).await, 1, &words);
    assert_eq!(maria.outbox(), 1);
    check(maria.run(line, &[]).await, 1, &words);
    check(
        maria.run("status maria", &[]).await,
        0,
        &["not yet safe", "one.md"],
    );
    maria.fake.nodes().signing = 2;
    // A receipt for the second covers the first.
    check(
        maria.run("publish DIR/two.md --blog maria KEY", &[]).await,
        0,
        &["safe on 2 of 3"],
    );
    assert_eq!(maria.outbox(), 0);
    assert_eq!(maria.fake.nodes().blogs["maria"].copy.chain.len(), 3);
}

#[tokio::test]
async fn a_killed_process_loses_nothing() {
    let maria = Maria::with_blog().await;
    maria.write("one.md", "Some words.");
    for host in ["edit.maria", "beta.spoke", "gamma.spoke"] {
        maria.fake.nodes().silent.insert(host.to_owned());
    }
    let line = "publish DIR/one.md --blog maria KEY";
    check(maria.run(line, &[]).await, 1, &["waiting in your outbox"]);
    assert_eq!(maria.outbox(), 1);
    maria.fake.nodes().silent.clear();
    // Taken, but the answer got lost: the same bytes go out again.
    maria.fake.nodes().swallowed = 3;
    check(maria.run(line, &[]).await, 1, &["waiting in your outbox"]);
    check(maria.run(line, &[]).await, 0, &["safe on 3 of 3"]);
    assert_eq!(maria.outbox(), 0);
    assert_eq!(maria.fake.nodes().blogs["maria"].copy.chain.len(), 2);
}

#[tokio::test]
async fn a_silent_or_stubborn_primary_is_passed_by() {
    let maria = Maria::with_blog().await;
    maria.write("one.md", "Some words.");
    maria.write("two.md", "Some words.");
    maria.fake.nodes().silent.insert("edit.maria".to_owned());
    let line = "publish DIR/one.md --blog maria KEY";
    check(
        maria.run(line, &[]).await,
        0,
        &["readers' side", "safe on 3 of 3"],
    );
    maria.fake.nodes().silent.clear();
    maria.fake.nodes().refusing = 1;
    check(
        maria.run("publish DIR/two.md --blog maria KEY", &[]).await,
        0,
        &["safe on 3 of 3"],
    );
    let posts: Vec<String> = maria
        .fake
        .nodes()
        .asked
        .iter()
        .filter(|a| a.contains("POST beta.spoke"))
        .cloned()
        .collect();
    assert_eq!(posts.len(), 2);
}

#[tokio::test]
async fn a_moved_head_is_signed_behind() {
    let maria = Maria::with_blog().await;
    maria.write("one.md", "Some words.");
    maria.write("two.md", "Some words.");
    for host in ["edit.maria", "beta.spoke", "gamma.spoke"] {
        maria.fake.nodes().silent.insert(host.to_owned());
    }
    let both = "publish DIR/one.md --blog maria KEY";
    check(maria.run(both, &[]).await, 1, &["waiting"]);
    maria.fake.nodes().silent.clear();
    maria.elsewhere("other", "Words from the telephone.");
    check(
        maria.run(both, &[false]).await,
        1,
        &["Sign again behind entry 1?", "waiting"],
    );
    check(
        maria.run(both, &[true]).await,
        0,
        &["safe on 3 of 3", "entry 2"],
    );
    assert_eq!(maria.outbox(), 0);
    let nodes = maria.fake.nodes();
    let copy = &nodes.blogs["maria"].copy;
    assert_eq!((copy.chain.len(), copy.chain.heads().len()), (3, 1));
    let last = copy.in_order().into_iter().next_back().expect("entries");
    let instead = &last.entry().draft().expect("words").instead_of;
    assert_eq!(instead.len(), 1, "a server may have seen the first form");
}

#[tokio::test]
async fn a_slug_taken_meanwhile_is_told() {
    let maria = Maria::with_blog().await;
    maria.write("one.md", "Some words.");
    for host in ["edit.maria", "beta.spoke", "gamma.spoke"] {
        maria.fake.nodes().silent.insert(host.to_owned());
    }
    let line = "publish DIR/one.md --blog maria KEY";
    check(maria.run(line, &[]).await, 1, &["waiting"]);
    maria.fake.nodes().silent.clear();
    maria.elsewhere("one", "Words from the telephone.");
    check(maria.run("status maria", &[]).await, 0, &["outbox   "]);
    let run = maria.run(line, &[true, true]).await;
    check(run, 1, &["give this one another slug"]);
    assert_eq!(maria.outbox(), 0, "out of the way, not lost");
    check(maria.run(&format!("{line} --replace"), &[]).await, 0, &[]);
}

#[tokio::test]
async fn a_node_that_lost_entries_gets_them_back() {
    let maria = Maria::with_blog().await;
    maria.write("one.md", "Some words.");
    maria.write("two.md", "Some words.");
    check(
        maria.run("publish DIR/one.md --blog maria KEY", &[]).await,
        0,
        &[],
    );
    {
        let mut nodes = maria.fake.nodes();
        let blog = nodes.blogs.get_mut("maria").expect("her blog");
        let first = blog.copy.in_order()[0].clone();
        *blog = crate::author::fakes::Log::new(first.entry().id());
        blog.take(first);
    }
    check(
        maria.run("publish DIR/two.md --blog maria KEY", &[]).await,
        0,
        &["safe on"],
    );
    assert_eq!(maria.fake.nodes().blogs["maria"].copy.chain.len(), 3);
}

#[tokio::test]
async fn pictures_go_along_and_words_come_back() {
    let maria = Maria::with_blog().await;
    maria.write("trip/pic.gif", "GIF89a a picture");
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
        "5 Markdown files",
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
        captured.facts().matches("unchanged").count(),
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

#[tokio::test]
async fn nobody_there_is_a_sentence() {
    let maria = Maria::new().await;
    let (console, captured) = Console::captured(&[]);
    let args = ["blog", "status", "maria", "--network", "http://127.0.0.1:1"];
    let line = Line::try_parse_from(args).expect("a command line");
    let surroundings = Surroundings {
        state_home: maria.path("state"),
        ..Surroundings::default()
    };
    assert_eq!(run_in(&line.author, &surroundings, &console).await, 1);
    assert!(
        captured.words().contains("cannot be reached"),
        "{}",
        captured.words()
    );
    check(
        maria.run("status nobody", &[]).await,
        1,
        &["has no blog \"nobody\""],
    );
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
