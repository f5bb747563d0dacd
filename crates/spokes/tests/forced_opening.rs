//! Two of a blog's three servers are gone, with a post that was safe on them alone. An organizer lets the blog go
//! on with the one that is left: its pages say what may be missing, its author writes, and what was missing comes
//! back with a server that held it, or from the author's own program.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::time::{Duration, Instant};

use common::{
    author::{Author, Signed, article, draft, random_key},
    demo::{Demo, program},
    http,
    machines::Machines,
    run, wait_for,
};
use serde_json::Value;
use spokes_log::draft::Says;

const SOON: Duration = Duration::from_secs(20);
/// Who was taken for dead rests for a minute before the council counts on it again.
const RESTED: Duration = Duration::from_secs(150);
/// What a page says where entries may be missing.
const MAY_LACK: &str = "it may lack entries after number 1.";

/// `spokes council …` with an organizer's key.
fn council(demo: &Demo, arguments: &[&str]) -> (i32, String) {
    let dir = demo.dir.join("council1");
    let mut all = vec!["council"];
    all.extend(arguments);
    all.extend(["--dir", dir.to_str().unwrap()]);
    run(&program(), &all)
}

/// Where the council has a blog.
fn place(demo: &Demo, name: &str) -> Value {
    let path = format!("/api/v1/registry/blogs?name={name}");
    wait_for("the council answers", SOON, || {
        let said = http::request(demo.council(), "GET", "council", &path, &[], b"")?;
        (said.status == 200).then(|| said.json()["blogs"][0].clone())
    })
}

/// Waits until the council knows that `a` and `b` are silent, and that `c` is there.
fn two_are_lost(demo: &Demo) {
    wait_for("the council knows who is lost", RESTED, || {
        let to = demo.council();
        let said = http::request(to, "GET", "council", "/api/v1/registry/spokes", &[], b"")?;
        let said = said.json();
        let silent = |label: &str| {
            let mut all = said["spokes"].as_array().unwrap().iter();
            all.any(|spoke| spoke["label"] == label && !spoke["down_since"].is_null())
        };
        (silent("a") && silent("b") && !silent("c")).then_some(())
    });
}

fn page(demo: &Demo, label: &str, name: &str) -> String {
    demo.http(label, name, "/").text()
}

/// How often a post stands on a blog's first page.
fn times(demo: &Demo, label: &str, name: &str, slug: &str) -> usize {
    page(demo, label, name)
        .matches(&format!("href=\"/{slug}\""))
        .count()
}

fn offers(demo: &Demo, label: &str, name: &str) -> usize {
    let said = demo.api(label, &format!("blogs/{name}/offers")).json();
    said["offers"].as_array().map_or(99, Vec::len)
}

/// One blog with a post that all have, and one that is safe without `c`.
fn two_posts(demo: &Demo, name: &str) -> (Author, Signed) {
    let mut author = Author::with_blog(demo, name, "a");
    let one = author.post(demo, "a", "one", "Everybody has it.");
    wait_for("all have it", SOON, || {
        let here = |label: &&str| demo.http(label, name, "/one").status == 200;
        ["a", "b", "c"].iter().all(here).then_some(())
    });
    (author, one)
}

#[test]
fn what_only_lost_servers_had_comes_back_with_them_or_from_the_author() {
    let demo = Demo::start_with(3, &["--empty"]);
    let key = random_key("Maria <maria@example.org>");
    let maria = Machines::new(&demo, &key);
    maria.write("one.md", "---\ntitle: One\n---\nEverybody has it.\n");
    maria.does("laptop", "publish one.md --blog maria KEY");
    let (mut nadia, behind_one) = two_posts(&demo, "nadia");
    let (mut olga, _) = two_posts(&demo, "olga");
    wait_for("all have it", SOON, || {
        (demo.http("c", "maria", "/one").status == 200).then_some(())
    });

    demo.kill("c");
    maria.write("two.md", "---\ntitle: Two\n---\nOnly a and b have it.\n");
    let said = maria.does("laptop", "publish two.md --blog maria KEY");
    assert!(said.contains("safe on 2 of 3"), "{said}");
    nadia.post(&demo, "a", "two", "Only a and b have it.");
    olga.post(&demo, "a", "two", "Only a and b have it.");
    demo.kill("a");
    demo.kill("b");
    // It was started again, and has nobody to compare its copies with.
    demo.restart("c");
    two_are_lost(&demo);
    everybody_says_that_it_waits(&demo, &maria);

    for name in ["maria", "nadia", "olga"] {
        opened(&demo, name);
    }
    // From a machine that has it still, the author's program brings it along.
    maria.write("three.md", "---\ntitle: Three\n---\nWritten since.\n");
    let said = maria.does("laptop", "publish three.md --blog maria KEY");
    assert!(said.contains("on one server"), "{said}");
    assert_eq!(demo.http("c", "maria", "/two").status, 200);
    assert_eq!(demo.http("c", "maria", "/three").status, 200);
    // Nadia goes on from what there is.
    nadia.parent = Some(behind_one.place());
    nadia.post(&demo, "c", "three", "Written since.");
    assert!(page(&demo, "c", "nadia").contains(MAY_LACK));

    come_back(&demo, &mut nadia);
    demo.assert_no_panic();
}

/// As long as nobody can go on without an organizer's word, whoever asks hears so, and at once.
fn everybody_says_that_it_waits(demo: &Demo, maria: &Machines) {
    let told = |arguments: &[&str], ends: i32, words: &[&str]| {
        let began = Instant::now();
        let (code, said) = council(demo, arguments);
        let all = words.iter().all(|words| said.contains(words));
        assert!(code == ends && all, "{arguments:?}: {code} {said}");
        assert!(began.elapsed() < SOON, "{arguments:?} took long");
        said
    };
    let waits = "waits: a and b are gone; \"spokes council open olga\"";
    told(&["blogs"], 0, &[waits]);
    let listed = told(&["blogs", "--waiting"], 0, &[waits]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let open = "\"maria\" waits: a and b are gone, and nobody goes on by himself before an hour is over. Start what \
                can be started, or see what can be done: \"spokes council open maria\". Nothing was changed";
    told(&["move", "maria", "--to", "c"], 1, &[open]);
    told(&["replicas", "maria", "4"], 1, &[open]);
    let began = Instant::now();
    let (done, said) = maria.run("laptop", "home maria --to c KEY");
    let waits = "\"maria\" waits for a and b";
    assert!(
        !done && said.contains(waits) && began.elapsed() < SOON,
        "{said}"
    );
    let (_, said) = maria.run("laptop", "status maria");
    for words in ["a of ", ", silent since ", waits, "an hour", "organizer"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let about = demo.http("c", "maria", "/about").text();
    let about = about.replace("<bdi>", "").replace("</bdi>", "");
    assert!(!about.contains("is not safe yet"), "{about}");
    for words in [
        "no answer from a and b, and the others are too few",
        "until an organizer of",
        ". There is no answer from a and b: what the author writes now has to wait.",
    ] {
        assert!(about.contains(words), "{words}: {about}");
    }
}

#[test]
fn a_barred_server_that_comes_back_says_what_it_holds() {
    let demo = Demo::start_with(3, &["--empty"]);
    let (mut maria, _) = two_posts(&demo, "maria");
    demo.kill("c");
    maria.post(&demo, "a", "two", "Only a and b have it.");
    demo.kill("a");
    demo.kill("b");
    demo.restart("c");
    two_are_lost(&demo);
    let (code, said) = council(&demo, &["evict", "a"]);
    for words in [
        "a is barred",
        "For 1 blog nothing happens by itself",
        "spokes council open maria",
    ] {
        assert!(code == 0 && said.contains(words), "{words}: {said}");
    }
    demo.restart("a");
    // Two of three seals are there: nothing that was safe is missing, and nobody has to force anything.
    wait_for("it goes on without it", RESTED, || {
        let place = place(&demo, "maria");
        let goes_on = place["primary"] == "c" && place["next"].is_null() && place["epoch"] != 1;
        (goes_on && place["missing"].as_array().unwrap().is_empty()).then_some(())
    });
    assert_eq!(demo.http("c", "maria", "/two").status, 200);
    assert!(!page(&demo, "c", "maria").contains("it may lack entries"));
    demo.assert_no_panic();
}

/// An organizer hears what may be lost, says that he knows, and the blog goes on with one server.
fn opened(demo: &Demo, name: &str) {
    assert!(!page(demo, "c", name).contains(MAY_LACK));
    let (code, said) = council(demo, &["open", name]);
    let told = said.contains("has lost a (silent since")
        && said.contains("What only a or b may have will be missing")
        && said.contains("--may-fork");
    assert!(code != 0 && told, "{said}");
    assert_eq!(place(demo, name)["epoch"], 1, "nothing was changed");

    let (code, said) = council(demo, &["open", name, "--may-fork"]);
    let told = said.contains("is open on c, and its author can write. It is there up to entry 1;");
    assert!(code == 0 && told, "{said}");
    wait_for("its page says so", SOON, || {
        page(demo, "c", name).contains(MAY_LACK).then_some(())
    });
    assert_eq!(demo.http("c", name, "/one").status, 200);
    assert_eq!(demo.http("c", name, "/two").status, 404);
}

/// First one of them comes back, then the other.
fn come_back(demo: &Demo, nadia: &mut Author) {
    demo.restart("a");
    // Nobody wrote behind it: it goes on where it was.
    wait_for("it is back", SOON, || {
        (demo.http("c", "olga", "/two").status == 200).then_some(())
    });
    // Nadia wrote something else there, and is asked.
    wait_for("it is offered", SOON, || {
        (offers(demo, "c", "nadia") == 1).then_some(())
    });
    assert_eq!(demo.http("c", "nadia", "/two").status, 404);
    // What was safe was on two of the three: with this one all of it is known. The other one is gone for good.
    for name in ["maria", "nadia", "olga"] {
        wait_for("all was read", SOON, || {
            (!page(demo, "c", name).contains(MAY_LACK)).then_some(())
        });
        assert_eq!(place(demo, name)["missing"].as_array().unwrap().len(), 0);
    }
    let offered = demo.api("c", "blogs/nadia/offers").json()["offers"][0].clone();
    let id = spokes_log::name::Hash::parse(offered["id"].as_str().unwrap()).unwrap();
    let mut again = draft(Says::Post(article("two")), "Only a and b had it.");
    again.instead_of.push(id);
    nadia.say(demo, "c", &again);
    // That one comes back after all.
    demo.restart("b");
    for name in ["maria", "nadia", "olga"] {
        wait_for("three hold it again", RESTED, || {
            let held = place(demo, name)["held_by"].as_array().unwrap().len();
            (held == 3).then_some(())
        });
        for label in ["a", "b", "c"] {
            wait_for("all have the same, once", SOON, || {
                let once = |slug: &str| times(demo, label, name, slug) == 1;
                (once("one") && once("two")).then_some(())
            });
            assert_eq!(offers(demo, label, name), 0, "{label} {name}");
        }
    }
}

#[test]
fn a_blog_whose_servers_are_all_gone_begins_anew_with_what_its_author_brings() {
    let demo = Demo::start_with(4, &["--empty"]);
    let key = random_key("Maria <maria@example.org>");
    let maria = Machines::new(&demo, &key);
    maria.write("one.md", "---\ntitle: One\n---\nShe has it.\n");
    maria.does("laptop", "publish one.md --blog maria KEY");
    maria.does("laptop", "export maria --to copy");
    let members = demo.members("maria");
    let spare = ["a", "b", "c", "d"]
        .into_iter()
        .find(|l| members.iter().all(|m| m != l))
        .unwrap();
    for label in &members {
        demo.kill(label);
    }
    wait_for("the council knows that all are lost", RESTED, || {
        let (code, said) = council(&demo, &["open", "maria"]);
        let told = said.contains("None of the servers of \"maria\" answers")
            && said.contains(&format!("begin anew on {spare}"))
            && said.contains("spokes blog restore FOLDER --as maria");
        (code != 0 && told).then_some(())
    });
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| council(&demo, &["open", "maria", "--may-fork"]));
        wait_for("it is prepared", SOON, || {
            (place(&demo, "maria")["next"] == serde_json::json!([spare])).then_some(())
        });
        // It is safe as soon as the set is open.
        wait_for("she brings it", RESTED, || {
            let (done, said) = maria.run("laptop", "restore copy --as maria KEY");
            (done && said.contains("on one server")).then_some(())
        });
        let (code, said) = opening.join().unwrap();
        let told = said.contains(&format!("is open on {spare}, and its author can write."));
        assert!(code == 0 && told, "{said}");
    });
    assert_eq!(demo.http(spare, "maria", "/one").status, 200);
    maria.write("two.md", "---\ntitle: Two\n---\nWritten since.\n");
    let said = maria.does("laptop", "publish two.md --blog maria KEY");
    assert!(said.contains("on one server"), "{said}");
    assert_eq!(times(&demo, spare, "maria", "one"), 1);
    assert!(page(&demo, spare, "maria").contains("it may lack entries after number"));
    demo.assert_no_panic();
}
