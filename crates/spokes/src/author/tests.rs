//! Stories of an author and a network, good and bad.

mod keeping;
mod merging;

use std::{fs, path::PathBuf};

use clap::{CommandFactory as _, Parser};
use spokes_log::{
    blog::Found,
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
        let (console, captured) = Console::captured(answers);
        // Where nobody can be asked the command line says yes.
        let line = match answers {
            [] => format!("{line} --yes"),
            _ => line.to_owned(),
        };
        (self.run_at(&console, state, &line).await, captured)
    }

    /// The same with a pipe in the place of somebody who types.
    async fn run_piped(&self, line: &str, input: &'static str) -> (u8, Captured) {
        let (console, captured) = Console::captured_with_pipe(input);
        (self.run_at(&console, "state", line).await, captured)
    }

    async fn run_at(&self, console: &Console, state: &str, line: &str) -> u8 {
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
        run_in(&line.author, &surroundings, console).await
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

    /// Her machine loses what it knew of the log, but not its receipts.
    fn forget_log(&self) {
        for network in fs::read_dir(self.path("state/spokes"))
            .expect("a network")
            .flatten()
        {
            for blog in fs::read_dir(network.path().join("blogs"))
                .expect("blogs")
                .flatten()
            {
                fs::remove_file(blog.path().join("log.json")).expect("a log");
            }
        }
    }

    /// Somebody else of hers publishes straight at the primary.
    fn elsewhere(&self, slug: &str, body: &str) {
        let bytes = fs::read(self.path("key.asc")).expect("her key");
        let mut key = SecretKey::parse(&bytes, None, None, now()).expect("her key");
        let slug = Slug::parse(slug).expect("a slug");
        let mut nodes = self.fake.nodes();
        let blog = nodes.blogs.get_mut("maria").expect("her blog");
        let replaces = match blog.copy.blog.find(&slug) {
            Some(Found::Post(post)) => Some(post.current()),
            _ => None,
        };
        let article = Article {
            date: now(),
            slug,
            title: None,
            language: None,
            tags: Tags::default(),
            aliases: vec![],
            replaces,
            media: vec![],
        };
        let draft = draft(Says::Post(article), body.to_owned()).expect("a draft");
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

#[test]
fn every_command_explains_itself() {
    Line::command().debug_assert();
    let mut line = Line::command();
    line.build();
    let mut names = Vec::new();
    for command in line
        .get_subcommands_mut()
        .filter(|c| c.get_name() != "help")
    {
        let help = command.render_long_help().to_string();
        assert!(help.contains("spokes blog "), "{help}");
        assert!(
            help.contains("--json") && help.contains("--network"),
            "{help}"
        );
        names.push(command.get_name().to_owned());
    }
    let expected =
        "create publish edit erase import export restore verify status home settle offers keys";
    assert_eq!(names.join(" "), expected);
}

#[tokio::test]
async fn a_no_out_of_a_pipe_stops_what_is_for_ever() {
    let maria = Maria::new().await;
    let create = "create maria --title Maria KEY";
    check(
        maria.run_piped(create, "n\n").await,
        1,
        &["nothing was signed, nothing was sent"],
    );
    assert!(maria.fake.nodes().blogs.is_empty(), "nothing was sent");
    check(
        maria.run_piped(create, "").await,
        1,
        &["nothing was published", "with --yes"],
    );
    assert!(maria.fake.nodes().blogs.is_empty(), "nothing was sent");
    check(maria.run_piped(create, "y\n").await, 0, &["maria is yours"]);
    maria.write("one.md", "Some words.");
    let publish = "publish DIR/one.md --blog maria KEY";
    check(maria.run_piped(publish, "n\n").await, 0, &["safe on"]);
    maria.write("one.md", "Other words.");
    check(
        maria.run_piped(publish, "n\n").await,
        1,
        &["was left as it is"],
    );
    check(
        maria.run_piped(publish, "").await,
        1,
        &["was left as it is", "with --yes"],
    );
    let unasked = format!("{publish} --yes");
    check(
        maria.run_piped(&unasked, "").await,
        0,
        &["this replaces it"],
    );
}

#[tokio::test]
async fn what_is_mistyped_is_told_in_plain_words() {
    let maria = Maria::with_blog().await;
    for (target, said) in [
        (
            "/no/such/folder",
            "/no/such/folder: there is no such folder",
        ),
        ("./nosuch", "there is no such folder"),
        ("DIR/key.asc", "is a file"),
    ] {
        let (code, captured) = maria.run(&format!("verify {target}"), &[]).await;
        check((code, captured), 1, &[said]);
    }
    for (network, said) in [
        (
            "blogs.example.org",
            "it begins with http://, such as http://blogs.example.org",
        ),
        ("http://", "--network http:// is no address: "),
    ] {
        let args = ["blog", "status", "maria", "--network", network];
        let line = Line::try_parse_from(args).expect("a command line");
        let surroundings = Surroundings {
            state_home: maria.path("state"),
            key_password: None,
            gnupg_home: None,
        };
        let (console, captured) = Console::captured(&[]);
        let code = run_in(&line.author, &surroundings, &console).await;
        check((code, captured), 2, &[said]);
    }
    maria.write("empty.md", "\n \n");
    maria.write("bare.md", "---\ntags: a\n---\n");
    maria.write("one.md", "Some words.");
    let line = "publish DIR/empty.md DIR/bare.md DIR/one.md DIR/gone.md --blog maria KEY";
    let (code, captured) = maria.run(line, &[]).await;
    let facts = captured.facts();
    let wordless = "refused: it has neither a title nor words";
    assert_eq!(facts.matches(wordless).count(), 2, "{facts}");
    assert!(!facts.contains("os error"), "{facts}");
    check(
        (code, captured),
        1,
        &["gone.md: refused: No such file", "3 of 4 are not done"],
    );
    let entries = maria.fake.nodes().blogs["maria"].copy.chain.len();
    assert_eq!(entries, 2, "the first entry, and one.md");
}

#[tokio::test]
async fn a_reserved_name_is_told_before_anything_is_asked() {
    let maria = Maria::new().await;
    let (code, captured) = maria.run("create www KEY", &[]).await;
    assert_eq!(
        (code, captured.facts().as_str()),
        (1, ""),
        "nothing is pending"
    );
    check(
        (code, captured),
        1,
        &["\"www\" is reserved", "nothing was sent"],
    );
    assert_eq!(maria.fake.nodes().asked, Vec::<String>::new());
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
        &["safe, held by 3 of 3", "outbox    empty"],
    );
    check(
        maria.run("keys maria", &[]).await,
        0,
        &["own", "maria@example.org"],
    );
}

#[tokio::test]
async fn a_claim_goes_on_to_a_server_with_room() {
    let maria = Maria::new().await;
    maria.fake.nodes().full = ["", "beta.spoke"].map(str::to_owned).into();
    let line = "create maria --title Maria KEY";
    let words = [
        "it has no room; going on to \"beta\"",
        "\"gamma\"",
        "maria is yours",
    ];
    check(maria.run(line, &[true]).await, 0, &words);
    // Nobody has any: it ends, and what was signed is kept.
    let full = ["", "beta.spoke", "gamma.spoke"].map(str::to_owned);
    maria.fake.nodes().full = full.into();
    let line = "create joan --title Joan KEY";
    let words = ["it has no room", "the same command goes on"];
    check(maria.run(line, &[true]).await, 1, &words);
}

#[tokio::test]
async fn an_unanswered_claim_goes_on() {
    let maria = Maria::new().await;
    maria.fake.nodes().busy = 3;
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
async fn a_server_steers_nobodys_terminal() {
    let maria = Maria::with_blog().await;
    maria.fake.nodes().woven = "\u{1b}]0;pwned\u{7}\u{1b}[2J\u{9b}31m\u{202e}".to_owned();
    maria.fake.nodes().busy = 3;
    let line = "create joan --title Joan KEY";
    let (_, refused) = maria.run(line, &[true]).await;
    let said = refused.facts() + &refused.words();
    assert!(said.contains("busy]0;pwned[2J31m, ask again"), "{said:?}");
    let (_, status) = maria.run("status maria", &[]).await;
    assert!(status.facts().contains("Group B\u{fffd}]0;pwned"));
    let (_, json) = maria.run("status maria --json", &[]).await;
    for captured in [refused, status, json] {
        let said = captured.facts() + &captured.words();
        let steers = |c: char| c != '\n' && c != '\t' && (c.is_control() || c == '\u{202e}');
        assert!(!said.contains(steers), "{said:?}");
    }
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
    for host in ["edit.maria", "alpha.spoke", "beta.spoke", "gamma.spoke"] {
        maria.fake.nodes().silent.insert(host.to_owned());
    }
    let line = "publish DIR/one.md --blog maria KEY";
    check(maria.run(line, &[]).await, 1, &["waiting in your outbox"]);
    assert_eq!(maria.outbox(), 1);
    maria.fake.nodes().silent.clear();
    // Taken, but the answer got lost: the same bytes go out again.
    maria.fake.nodes().swallowed = 4;
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
        &["from where its readers read it", "safe on 3 of 3"],
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
    for host in ["edit.maria", "alpha.spoke", "beta.spoke", "gamma.spoke"] {
        maria.fake.nodes().silent.insert(host.to_owned());
    }
    let both = "publish DIR/one.md --blog maria KEY";
    check(maria.run(both, &[]).await, 1, &["waiting"]);
    maria.fake.nodes().silent.clear();
    maria.elsewhere("other", "Words from the telephone.");
    check(
        maria.run(both, &[false]).await,
        1,
        &["its last entry is now 1. Sign yours again", "waiting"],
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
async fn an_edit_from_another_device_is_not_replaced_unseen() {
    let maria = Maria::with_blog().await;
    let line = "publish DIR/one.md --blog maria KEY";
    maria.write("one.md", "Some words.");
    check(maria.run(line, &[]).await, 0, &["safe on 3 of 3"]);
    maria.write("one.md", "Some words, mended.");
    for host in ["edit.maria", "alpha.spoke", "beta.spoke", "gamma.spoke"] {
        maria.fake.nodes().silent.insert(host.to_owned());
    }
    check(maria.run(line, &[]).await, 1, &["waiting"]);
    maria.fake.nodes().silent.clear();
    maria.elsewhere("one", "Mended on the telephone.");
    let told = ["\"one\" was edited on another device", "entry 2"];
    check(maria.run(line, &[false]).await, 1, &told);
    check(
        maria.run(line, &[true]).await,
        0,
        &["safe on 3 of 3", told[0]],
    );
    assert_eq!(maria.outbox(), 0);
}

#[tokio::test]
async fn accepted_entries_that_were_lost_are_signed_again_in_order() {
    let maria = Maria::with_blog().await;
    maria.fake.nodes().signing = 1;
    for (file, text) in [
        ("one", "First."),
        ("two", "Second."),
        ("one", "First, mended."),
    ] {
        maria.write(&format!("{file}.md"), text);
        let line = format!("publish DIR/{file}.md --blog maria KEY");
        check(maria.run(&line, &[]).await, 1, &["not yet safe"]);
    }
    assert_eq!(maria.outbox(), 3);
    {
        let mut nodes = maria.fake.nodes();
        nodes.signing = 3;
        let blog = nodes.blogs.get_mut("maria").expect("her blog");
        let first = blog.copy.in_order()[0].clone();
        *blog = crate::author::fakes::Log::new(first.entry().id());
        blog.take(first);
    }
    maria.elsewhere("other", "Words from the telephone.");
    let line = "publish DIR/one.md DIR/two.md --blog maria KEY";
    check(maria.run(line, &[]).await, 0, &["safe on 3 of 3"]);
    assert_eq!(maria.outbox(), 0);
    let nodes = maria.fake.nodes();
    let copy = &nodes.blogs["maria"].copy;
    assert_eq!((copy.chain.len(), copy.chain.heads().len()), (5, 1));
    assert!(copy.blog.clashes().is_empty());
    let one = copy
        .blog
        .posts()
        .into_iter()
        .find(|p| p.article.slug.as_str() == "one");
    let one = one.expect("an article");
    assert_eq!(
        (one.versions.len(), copy.body(one.current())),
        (2, "First, mended.")
    );
    let instead = copy
        .in_order()
        .iter()
        .filter(|s| {
            s.entry()
                .draft()
                .is_some_and(|draft| draft.instead_of.len() == 1)
        })
        .count();
    assert_eq!(instead, 3, "each may have been seen");
}

#[tokio::test]
async fn a_slug_taken_meanwhile_is_told() {
    let maria = Maria::with_blog().await;
    maria.write("one.md", "Some words.");
    for host in ["edit.maria", "alpha.spoke", "beta.spoke", "gamma.spoke"] {
        maria.fake.nodes().silent.insert(host.to_owned());
    }
    let line = "publish DIR/one.md --blog maria KEY";
    check(maria.run(line, &[]).await, 1, &["waiting"]);
    maria.fake.nodes().silent.clear();
    maria.elsewhere("one", "Words from the telephone.");
    check(maria.run("status maria", &[]).await, 0, &["outbox    "]);
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
    for words in ["cannot be reached", "with --network http://ITS-ADDRESS"] {
        assert!(captured.words().contains(words), "{}", captured.words());
    }
    check(
        maria.run("status nobody", &[]).await,
        1,
        &["has no blog \"nobody\""],
    );
}
