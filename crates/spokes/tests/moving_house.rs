//! Blogs go elsewhere while their readers read and their authors write: moves, emptied spokes, more and fewer
//! copies. Nothing fails meanwhile, and whoever breaks off only stops watching.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    collections::BTreeSet,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use common::{
    author::{Author, article, draft, now},
    demo::{Demo, program},
    http, run, setting, wait_for,
};
use serde_json::{Value, json};
use spokes_log::{draft::Says, name::Hash};
use spokes_rules::{node::Label, request::Home};

/// How long one change may take on a machine that does other things, too.
const SETTLE: Duration = Duration::from_secs(60);
/// Posts of one command line.
const POSTS: usize = 30;
/// How often each reader reads.
const READS_EVERY: Duration = Duration::from_millis(50);

/// `spokes council …` with an organizer's key.
fn council(demo: &Demo, arguments: &[&str]) -> (i32, String) {
    let dir = demo.dir.join("council1");
    let mut all = vec!["council"];
    all.extend(arguments);
    all.extend(["--dir", dir.to_str().unwrap()]);
    run(&program(), &all)
}

#[track_caller]
fn told(demo: &Demo, arguments: &[&str], says: &str) {
    let (code, said) = council(demo, arguments);
    assert!(
        code == 0 && said.contains(says),
        "{arguments:?}: {code} {said}"
    );
}

/// The same, begun and not waited for.
fn begin(demo: &Demo, arguments: &[&str]) -> Child {
    let mut command = Command::new(program());
    command
        .arg("council")
        .args(arguments)
        .arg("--dir")
        .arg(demo.dir.join("council1"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

/// What the registry says of blogs, as the first council node that answers knows it.
fn blogs(demo: &Demo, query: &str) -> Vec<Value> {
    let facts = demo.facts();
    let nodes = facts["council"].as_array().unwrap();
    let asked = nodes.iter().find_map(|node| {
        let to = node["api"]
            .as_str()?
            .strip_prefix("http://")?
            .parse()
            .ok()?;
        let path = format!("/api/v1/registry/blogs?{query}");
        let reply = http::request(to, "GET", "council", &path, &[], b"")?;
        (reply.status == 200).then(|| reply.json())
    });
    asked.map_or(vec![], |said| said["blogs"].as_array().unwrap().clone())
}

fn place(demo: &Demo, name: &str) -> Value {
    wait_for("the council says where a blog is", SETTLE, || {
        blogs(demo, &format!("name={name}")).pop()
    })
}

fn labels(place: &Value, of: &str) -> BTreeSet<String> {
    let labels = place[of].as_array().unwrap().iter();
    labels
        .map(|label| label.as_str().unwrap().to_owned())
        .collect()
}

fn members(place: &Value) -> BTreeSet<String> {
    let mut members = labels(place, "secondaries");
    members.insert(place["primary"].as_str().unwrap().to_owned());
    members
}

/// Readers of a blog at every spoke and through the gateway, one who writes, and one who counts copies.
struct Street<'a> {
    demo: &'a Demo,
    name: &'a str,
    over: AtomicBool,
    reads: AtomicUsize,
    /// How many must hold the blog at any time.
    copies: usize,
}

impl<'a> Street<'a> {
    fn new(demo: &'a Demo, name: &'a str, copies: usize) -> Self {
        Self {
            demo,
            name,
            over: AtomicBool::new(false),
            reads: AtomicUsize::new(0),
            copies,
        }
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// Reads the first post, of which every answer must be the whole.
    fn read(&self, whence: &str, read: impl Fn() -> http::Reply) {
        while self.goes_on() {
            let began = Instant::now();
            let reply = read();
            let whole = reply.text().contains("The first words.");
            assert!(
                reply.status == 200 && whole,
                "{whence}: {} {}",
                reply.status,
                reply.text()
            );
            self.reads.fetch_add(1, Ordering::Relaxed);
            thread::sleep(READS_EVERY.saturating_sub(began.elapsed()));
        }
    }

    fn write(&self, author: &mut Author, through: &[String]) -> (Vec<String>, Duration) {
        let (mut written, mut longest) = (Vec::new(), Duration::ZERO);
        while self.goes_on() {
            let began = Instant::now();
            let slug = format!("post-{}", written.len());
            author.publish(
                self.demo,
                through,
                draft(Says::Post(article(&slug)), "On the way."),
            );
            longest = longest.max(began.elapsed());
            written.push(slug);
        }
        (written, longest)
    }

    fn count_copies(&self) {
        while self.goes_on() {
            let held = labels(&place(self.demo, self.name), "held_by").len();
            assert!(held >= self.copies, "only {held} held it for a while");
            thread::sleep(READS_EVERY);
        }
    }

    /// Does something while they all go on; the slugs that were written.
    fn while_life_goes_on(&self, author: &mut Author, act: impl FnOnce()) -> Vec<String> {
        let through = self.demo.labels();
        let gateway = self.demo.gateway();
        thread::scope(|scope| {
            let mut all = Vec::new();
            for label in &through {
                let read = move || self.demo.http(label, self.name, "/first");
                all.push(scope.spawn(move || self.read(label, read)));
            }
            let read = move || http::get(gateway, &self.demo.host(self.name), "/first");
            all.push(scope.spawn(move || self.read("the gateway", read)));
            all.push(scope.spawn(|| self.count_copies()));
            let writer = scope.spawn(|| self.write(author, &through));
            let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
            // Whoever reads from a former member reads on.
            thread::sleep(Duration::from_millis(500));
            self.over.store(true, Ordering::Relaxed);
            acted.unwrap();
            all.into_iter().for_each(|reader| reader.join().unwrap());
            let (written, longest) = writer.join().unwrap();
            eprintln!(
                "{}: {} reads, {} posts, the longest took {longest:?}",
                self.name,
                self.reads.load(Ordering::Relaxed),
                written.len()
            );
            written
        })
    }
}

/// Every member has each post, and once.
fn assert_whole(demo: &Demo, name: &str, written: &[String]) {
    for label in members(&place(demo, name)) {
        for slug in written {
            wait_for("every member has it", SETTLE, || {
                (demo.http(&label, name, &format!("/{slug}")).status == 200).then_some(())
            });
        }
        let head = demo.api(&label, &format!("blogs/{name}/head")).json();
        assert_eq!(
            head["heads"].as_array().unwrap().len(),
            1,
            "{label}: {head}"
        );
        // Entry 0 and the first post come before them.
        assert_eq!(head["entries"], written.len() + 2, "{label}: {head}");
    }
}

fn with_first_post(demo: &Demo, name: &str, through: &str) -> Author {
    let mut author = Author::with_blog(demo, name, through);
    author.post(demo, through, "first", "The first words.");
    // Safe is what a majority holds; the last one follows.
    for label in members(&place(demo, name)) {
        wait_for("every member has it", SETTLE, || {
            (demo.http(&label, name, "/first").status == 200).then_some(())
        });
    }
    author
}

#[test]
fn a_blog_moves_under_the_eyes_of_its_readers() {
    let demo = Demo::start();
    let mut maria = with_first_post(&demo, "maria", "a");
    let street = Street::new(&demo, "maria", 3);
    let strangers = || {
        let members = members(&place(&demo, "maria"));
        let labels = demo.labels().into_iter();
        labels
            .filter(|label| !members.contains(label))
            .collect::<Vec<_>>()
    };
    let written = street.while_life_goes_on(&mut maria, || {
        for turn in 0..4 {
            // To one who has nothing of it, and to one who holds it already.
            let now = place(&demo, "maria");
            let to = match turn % 2 {
                0 => strangers().remove(0),
                _ => labels(&now, "secondaries").pop_first().unwrap(),
            };
            let began = Instant::now();
            told(
                &demo,
                &["move", "maria", "--to", &to],
                &format!("is on {to} now"),
            );
            eprintln!("moved to {to} in {:?}", began.elapsed());
            assert_eq!(place(&demo, "maria")["primary"], *to);
            wait_for("the set is full again", SETTLE, || {
                (labels(&place(&demo, "maria"), "held_by").len() == 3).then_some(())
            });
        }
    });
    assert!(written.len() > 4, "she got through");
    assert_whole(&demo, "maria", &written);
    // The same again is done already.
    let at = place(&demo, "maria")["primary"]
        .as_str()
        .unwrap()
        .to_owned();
    told(&demo, &["move", "maria", "--to", &at], "now");
    demo.assert_no_panic();
}

#[test]
fn copies_come_and_go_as_an_organizer_says() {
    let demo = Demo::start();
    let mut maria = with_first_post(&demo, "maria", "a");
    let street = Street::new(&demo, "maria", 2);
    let written = street.while_life_goes_on(&mut maria, || {
        for replicas in ["2", "4", "2"] {
            told(&demo, &["replicas", "maria", replicas], "servers hold");
            let place = place(&demo, "maria");
            assert_eq!(members(&place).len().to_string(), replicas, "{place}");
        }
    });
    assert_whole(&demo, "maria", &written);
    demo.assert_no_panic();
}

/// A spoke with many blogs is emptied; whoever watches is killed half-way, and so is who leads the council.
fn a_spoke_is_emptied(many: usize) {
    let demo = Demo::start();
    let mut maria = with_first_post(&demo, "maria", "a");
    let began = Instant::now();
    for n in 0..many - 1 {
        // Each spoke brings so many a day.
        let through = &demo.labels()[n % 5];
        Author::with_blog(&demo, &format!("blog-{n}"), through);
    }
    eprintln!("{many} blogs made in {:?}", began.elapsed());
    let on_a = blogs(&demo, "spoke=a&limit=1000").len();
    let street = Street::new(&demo, "maria", 3);
    let written = street.while_life_goes_on(&mut maria, || {
        let began = Instant::now();
        let mut watching = begin(&demo, &["drain", "a"]);
        wait_for("half of it is gone", SETTLE * 10, || {
            (blogs(&demo, "spoke=a&limit=1000").len() <= on_a / 2).then_some(())
        });
        watching.kill().unwrap();
        watching.wait().unwrap();
        let (_, status) = council(&demo, &["status", "--json"]);
        let status: Value = serde_json::from_str(&status).unwrap();
        let leader = status["leader"].as_str().unwrap().to_owned();
        demo.kill(&leader);
        let left = blogs(&demo, "spoke=a&limit=1000").len();
        eprintln!("{leader} led and is dead; {left} of {on_a} blogs are left");
        // The organizer's directory may be the dead one's; the key is there all the same.
        let key = demo.dir.join("council1").join("organizer.key");
        let (network, key) = (format!("http://{}", demo.gateway()), key.to_str().unwrap());
        let line = [
            "council",
            "drain",
            "a",
            "--network",
            &network,
            "--organizer",
            key,
        ];
        let (code, said) = run(&program(), &line);
        assert!(code == 0 && said.contains("no blog any more"), "{said}");
        eprintln!("emptied of {on_a} blogs in {:?}", began.elapsed());
        demo.restart(&leader);
    });
    // The node that was dead has to hear of it.
    wait_for("all know that it is empty", SETTLE, || {
        blogs(&demo, "spoke=a").is_empty().then_some(())
    });
    for blog in blogs(&demo, "limit=1000") {
        assert_eq!(members(&blog).len(), 3, "{blog}");
        assert_eq!(labels(&blog, "held_by").len(), 3, "{blog}");
        let name = blog["name"].as_str().unwrap();
        let read = http::get(demo.gateway(), &demo.host(name), "/");
        assert_eq!(read.status, 200, "{name}");
    }
    assert_whole(&demo, "maria", &written);
    demo.assert_no_panic();
}

#[test]
fn a_spoke_that_is_barred_leaves_its_places_to_others() {
    let demo = Demo::start();
    let mut maria = with_first_post(&demo, "maria", "a");
    let secondary = labels(&place(&demo, "maria"), "secondaries")
        .pop_first()
        .unwrap();
    let full = |without: &str| {
        wait_for("the set is full again", SETTLE, || {
            let place = place(&demo, "maria");
            let is_full =
                labels(&place, "held_by").len() == 3 && !members(&place).contains(without);
            is_full.then_some(())
        });
    };
    for barred in [secondary.as_str(), "a"] {
        let began = Instant::now();
        told(&demo, &["evict", barred], "barred");
        full(barred);
        wait_for("its own log says so", SETTLE, || {
            demo.log(barred)
                .contains("has barred this spoke, for good")
                .then_some(())
        });
        let dir = demo.node("council1").data;
        let dir = dir.to_str().unwrap();
        // What an organizer has said in the same second counts as said already: the demo has admitted it.
        thread::sleep(Duration::from_secs(1));
        for words in [&["admit", barred][..], &["move", "maria", "--to", barred]] {
            let (code, said) = run(&program(), &[&["council"], words, &["--dir", dir]].concat());
            let says = said.contains("barred by an organizer, for good");
            assert!(code != 0 && says, "{words:?}: {said}");
        }
        // Who holds nothing has nothing to hand over, and is asked for in vain.
        for words in [&["drain", barred][..], &["blogs", "--spoke", barred]] {
            let (code, said) = run(&program(), &[&["council"], words, &["--dir", dir]].concat());
            let fits = said.contains("is barred and has no place in any blog");
            assert!(code == 0 && fits, "{words:?}: {said}");
        }
        let (_, said) = run(&program(), &["council", "spokes", "--dir", dir]);
        let line = said
            .lines()
            .find(|line| line.starts_with(&format!("{barred} (")));
        let line = line.unwrap();
        assert!(
            line.contains("evicted") && line.contains("is given no blogs"),
            "{line}"
        );
        eprintln!("{barred} barred, full again after {:?}", began.elapsed());
        maria.publish(
            &demo,
            &[place(&demo, "maria")["primary"]
                .as_str()
                .unwrap()
                .to_owned()],
            draft(
                Says::Post(article(&format!("without-{barred}"))),
                "It goes on.",
            ),
        );
    }
    demo.assert_no_panic();
}

#[test]
fn a_donor_takes_leave() {
    let demo = Demo::start();
    let mut maria = with_first_post(&demo, "maria", "a");
    let street = Street::new(&demo, "maria", 3);
    let written = street.while_life_goes_on(&mut maria, || {
        let dir = demo.node("a").data;
        let line = ["leave", "--dir", dir.to_str().unwrap()];
        let (code, said) = run(&program(), &line);
        assert!(code == 0 && said.contains("no blog any more"), "{said}");
    });
    assert_whole(&demo, "maria", &written);
    demo.kill("a");
    let read = http::get(demo.gateway(), &demo.host("maria"), "/first");
    assert_eq!(read.status, 200);
    demo.assert_no_panic();
}

#[test]
fn nobody_drains_a_blog_down_to_one_server() {
    let demo = Demo::start_with(3, &["--empty"]);
    let mut maria = with_first_post(&demo, "maria", "a");
    with_first_post(&demo, "nadia", "b");
    let (code, said) = council(&demo, &["drain", "c"]);
    for words in [
        "c hands over what it holds (2 blogs)",
        "2 blogs will be on 2 servers, not 3: there are too few spokes of other operators.",
        "c holds no blog any more: it may be stopped",
        "2 blogs are on 2 servers now, not 3: there are too few spokes of other operators.",
    ] {
        assert!(code == 0 && said.contains(words), "{words}: {code} {said}");
    }
    // The last two stay.
    let dir = demo.node("b").data;
    let leave = || run(&program(), &["leave", "--dir", dir.to_str().unwrap()]);
    for (code, said) in [council(&demo, &["drain", "b"]), leave()] {
        for words in [
            "2 blogs stay on b, since without it each would be on one server alone: maria and nadia.",
            "Keep b running",
            "spokes council evict b",
        ] {
            assert!(code == 1 && said.contains(words), "{words}: {code} {said}");
        }
        assert!(!said.contains("may be stopped"), "{said}");
    }
    assert_eq!(blogs(&demo, "spoke=b").len(), 2);
    maria.publish(
        &demo,
        &["a".to_owned()],
        draft(Says::Post(article("both")), "On two."),
    );
    assert_eq!(labels(&place(&demo, "maria"), "held_by").len(), 2);
    // With another one there it goes by itself.
    told(&demo, &["admit", "c"], "DNS names it now");
    told(&demo, &["drain", "b"], "b holds no blog any more");
    assert_eq!(
        members(&place(&demo, "maria")),
        BTreeSet::from(["a".into(), "c".into()])
    );
    // An organizer may want it all the same.
    told(&demo, &["evict", "c"], "2 blogs will be on 1 server, not 3");
    wait_for("it is on one", SETTLE, || {
        (members(&place(&demo, "maria")) == BTreeSet::from(["a".into()])).then_some(())
    });
    let about = wait_for("its page says so", SETTLE, || {
        let about = demo.http("a", "maria", "/about").text();
        about
            .contains("on one server, the only one of this blog")
            .then_some(about)
    });
    assert!(
        !about.contains("no single one of them can lose it"),
        "{about}"
    );
    demo.assert_no_panic();
}

#[test]
fn a_silent_spoke_hands_over_nothing_and_says_so() {
    let demo = Demo::start_with(3, &["--empty"]);
    with_first_post(&demo, "maria", "a");
    told(&demo, &["drain", "c"], "it may be stopped");
    demo.kill("c");
    told(
        &demo,
        &["admit", "c"],
        "c is admitted, and does not answer at",
    );
    // With both its servers dead the blog stays where it was.
    demo.kill("a");
    demo.kill("b");
    let (code, said) = wait_for("the council knows", SETTLE, || {
        let (code, said) = council(&demo, &["drain", "b"]);
        (code == 1 && said.contains("silent")).then_some((code, said))
    });
    for words in [
        "b is silent since",
        "cannot hand over anything",
        "spokes council evict b",
    ] {
        assert!(said.contains(words), "{words}: {code} {said}");
    }
    demo.assert_no_panic();
}

#[test]
fn an_author_moves_her_blog_home() {
    let demo = Demo::start();
    let home = tempfile::tempdir().unwrap();
    let mut maria = with_first_post(&demo, "maria", "a");
    let key = home.path().join("maria.key");
    std::fs::write(&key, maria.key.armored()).unwrap();
    let other = common::author::random_key("Eve <eve@example.org>");
    let stolen = home.path().join("eve.key");
    std::fs::write(&stolen, other.armored()).unwrap();
    let network = format!("http://{}", demo.gateway());
    let blog = |arguments: &[&str], key: &std::path::Path| {
        let output = Command::new(program())
            .arg("blog")
            .args(arguments)
            .args(["--network", &network, "--key-file", key.to_str().unwrap()])
            .arg("--yes")
            .env("XDG_STATE_HOME", home.path())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    };
    let at = members(&place(&demo, "maria"));
    let to = demo
        .labels()
        .into_iter()
        .find(|label| !at.contains(label))
        .unwrap();
    let (code, said) = blog(&["home", "maria", "--to", &to], &stolen);
    assert_eq!(code, 1, "it is not Eve's to move: {said}");
    let street = Street::new(&demo, "maria", 3);
    let written = street.while_life_goes_on(&mut maria, || {
        let (code, said) = blog(&["home", "maria", "--to", &to], &key);
        assert!(
            code == 0 && said.contains(&format!("is on {to} now")),
            "{code} {said}"
        );
    });
    assert_whole(&demo, "maria", &written);
    // Her program goes on writing while the house moves on.
    let files = (0..POSTS).map(|n| {
        let file = home.path().join(format!("settled-{n}.md"));
        let words = format!("---\ntitle: Settled {n}\n---\nIn the new house.\n");
        std::fs::write(&file, words).unwrap();
        file.to_str().unwrap().to_owned()
    });
    let files: Vec<String> = files.collect();
    let mut line = vec!["publish", "--blog", "maria"];
    line.extend(files.iter().map(String::as_str));
    thread::scope(|scope| {
        let published = scope.spawn(|| blog(&line, &key));
        let mut moves = 0;
        while !published.is_finished() {
            let to = labels(&place(&demo, "maria"), "secondaries").pop_last();
            let Some(to) = to else { continue };
            told(&demo, &["move", "maria", "--to", &to], "now");
            moves += 1;
        }
        let (code, said) = published.join().unwrap();
        let safe = said.matches("safe on").count();
        assert!(code == 0 && safe == POSTS, "{code} {said}");
        eprintln!("{POSTS} posts of her program through {moves} moves");
    });
    let back = at.first().unwrap();
    let (code, said) = blog(&["home", "maria", "--to", back], &key);
    assert!(code == 1, "once a day: {said}");
    demo.assert_no_panic();
}

#[test]
fn a_word_that_is_not_hers_is_refused_without_the_council() {
    let demo = Demo::start_with(1, &["--empty"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let mut eve = Author::new("eve");
    let home = Home {
        network: Hash::parse(&demo.network).unwrap(),
        time: now(),
        blog: maria.parent.as_ref().unwrap().1,
        spoke: Label::parse("a").unwrap(),
    };
    // Nobody of it answers: whatever is refused, the spoke has judged itself.
    for node in demo.facts()["council"].as_array().unwrap() {
        demo.kill(node["label"].as_str().unwrap());
    }
    let asked = |text: &str, signature: &str| {
        let body = json!({ "text": text, "signature": signature }).to_string();
        let path = "/api/v1/blogs/maria/home";
        let reply = http::post(demo.address("a"), path, &body).unwrap();
        (reply.status, reply.text())
    };
    let signed = |author: &mut Author, text: &str| {
        let signature = author.key.sign(text, home.time).unwrap();
        signature.to_base64().unwrap()
    };
    let text = home.to_string();
    let (status, said) = asked(&text, "bm9uc2Vuc2U=");
    assert_eq!(status, 409, "nonsense: {said}");
    let (status, said) = asked(&text, &signed(&mut eve, &text));
    assert_eq!(status, 422, "Eve's: {said}");
    let nowhere = Home {
        spoke: Label::parse("nowhere").unwrap(),
        ..home.clone()
    };
    let elsewhere = Home {
        network: Hash::of(b"another network"),
        ..home.clone()
    };
    for text in [nowhere, elsewhere].map(|home| home.to_string()) {
        let (status, said) = asked(&text, &signed(&mut maria, &text));
        assert_eq!(status, 409, "{said}");
    }
    let (status, said) = asked(&text, &signed(&mut maria, &text));
    assert_eq!(status, 503, "only hers goes on to the council: {said}");
    demo.assert_no_panic();
}

#[test]
fn a_spoke_is_emptied_although_watcher_and_leader_die() {
    a_spoke_is_emptied(setting("SPOKES_DRAIN_BLOGS", 60));
}

#[test]
#[ignore = "makes 834 blogs, which takes minutes"]
fn a_spoke_with_five_hundred_blogs_is_emptied() {
    // Three copies of each, on five spokes.
    a_spoke_is_emptied(834);
}
