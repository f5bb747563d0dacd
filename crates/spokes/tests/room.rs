//! A spoke has no room for new blogs: it says so, leads on, and takes them again with room. A blog that many
//! read gets more copies, and they go again.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use common::{
    author::{Author, Signed, article, draft, now, picture, put},
    demo::Demo,
    desk::{Visitor, assert_says},
    http::{self, Reply},
    wait_for,
};
use serde_json::json;
use spokes::wire::EntryWire;
use spokes_log::{chain::Chain, draft::Says, seal::RawSignature};

/// All that the full spoke may use.
const CEILING: u64 = 64 << 20;
/// Below this it takes no new blogs, and below an eighth of it nothing.
const FLOOR: u64 = 16 << 20;
/// What lies beside its data: with it there is less than the floor, but more than an eighth.
const HELD: u64 = 52 << 20;
/// With this there is less than an eighth.
const NOTHING: u64 = CEILING - (1 << 20);
/// A spoke measures each five seconds, and says what has changed once a minute at most.
const SAID_WAIT: Duration = Duration::from_secs(90);
/// A change of set: closed, sealed, taken in, opened, said.
const GROWN_WAIT: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_secs(20);

/// A demo whose first spoke may use little.
struct Small {
    demo: Demo,
    ballast: PathBuf,
}

impl Small {
    fn start(spokes: u8) -> Self {
        let demo = Demo::start_with(spokes, &["--empty"]);
        let data = demo.node("a").data;
        let config = data.join("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        let lines = text.lines().map(|line| match line.split(' ').next() {
            Some("disk_floor") => format!("disk_floor = \"{FLOOR}\"\n"),
            Some("disk_ceiling") => format!("disk_ceiling = \"{CEILING}\"\n"),
            _ => format!("{line}\n"),
        });
        fs::write(&config, lines.collect::<String>()).unwrap();
        demo.kill("a");
        demo.restart("a");
        let ballast = data.join("ballast");
        Self { demo, ballast }
    }

    /// Something else lies on its disk: a file of so many bytes, of which none is written.
    fn lay(&self, bytes: u64) {
        let file = fs::File::create(&self.ballast).unwrap();
        file.set_len(bytes).unwrap();
        // What a spoke uses is counted again soon, not with each request.
        thread::sleep(Duration::from_secs(1));
    }

    fn takes(&self) -> String {
        let status = self.demo.api("a", "status").json();
        status["takes"].as_str().unwrap().to_owned()
    }

    fn wait_until_said(&self, takes: &str) {
        wait_for(takes, SAID_WAIT, || {
            let log = records(&self.demo);
            let last = log.iter().rfind(|text| text.contains("\nKind: load\n"))?;
            (last.contains(&format!("\nTakes: {takes}")) && self.takes() == takes).then_some(())
        });
    }
}

/// The texts of all requests that the registry took.
fn records(demo: &Demo) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        let path = format!("/api/v1/registry/log?after={}", texts.len());
        let page = http::get(demo.council(), "council", &path).json();
        let records = page["records"].as_array().unwrap().clone();
        if records.is_empty() {
            return texts;
        }
        let text = |record: &serde_json::Value| {
            record["request"]["signed"]["text"]
                .as_str()
                .map(str::to_owned)
        };
        texts.extend(records.iter().filter_map(text));
    }
}

/// It says what happened, what is safe, what to do, and who has room.
fn leads_on(reply: &Reply) -> String {
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (507, "no-room"),
        "{}",
        reply.text()
    );
    for words in [
        "no room for another blog",
        "was not asked for",
        "is safe",
        "Send it to",
    ] {
        assert!(reply.detail().contains(words), "{}", reply.detail());
    }
    let other = reply.json()["others"][0]["label"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(other == "b" || other == "c", "{other}");
    let link = reply.header("link").unwrap();
    assert!(
        link.contains(&format!("//{other}.spoke.blogs.localhost")),
        "{link}"
    );
    other
}

/// The address of the button that leads on, with all that was typed.
fn way_on(page: &Reply) -> (String, String) {
    let text = page.text().replace("&amp;", "&");
    let (_, rest) = text
        .split_once("class=\"button main\" href=\"http://")
        .unwrap_or_else(|| panic!("{text}"));
    let address = rest.split('"').next().unwrap();
    let (host, path) = address.split_once('/').unwrap();
    (host.to_owned(), format!("/{path}"))
}

#[test]
fn a_spoke_below_its_floor_leads_maria_on_in_one_click() {
    let small = Small::start(3);
    let demo = &small.demo;
    let mut nadia = Author::with_blog(demo, "nadia", "a");
    nadia.post(demo, "a", "early", "Early words.");
    let at_rest = records(demo).len();
    small.lay(HELD);
    let mut maria = Author::new("maria");
    let first = maria.first(&demo.network, "maria", now() + 3_600);
    leads_on(&maria.send(demo.address("a"), &first).unwrap());
    let claim = json!({ "entries": [kept(&first)], "entry": first.id().to_string() }).to_string();
    leads_on(&http::post(demo.address("a"), "/api/v1/registry/claims", &claim).unwrap());
    small.wait_until_said("held");
    let mut said = records(demo).split_off(at_rest);
    said.retain(|text| text.contains("\nKind: load\n"));
    assert_eq!(said.len(), 1, "one record says it: {said:?}");
    let apex = demo.dig(&["+short", "blogs.localhost", "A"]);
    assert!(
        apex.contains("127.0.2.2") && !apex.contains("127.0.2.1"),
        "{apex}"
    );

    // Her blogs there go on.
    nadia.post(demo, "a", "later", "Later words.");
    at_the_desk(demo);

    // What she signed is good at the server that was named.
    let reply = maria.send(demo.address("b"), &first).unwrap();
    assert_eq!(reply.status, 201, "{}", reply.text());
    let members = demo.members("maria");
    assert!(!members.contains(&"a".to_owned()), "{members:?}");

    fs::remove_file(&small.ballast).unwrap();
    small.wait_until_said("new");
    let olga = Author::with_blog(demo, "olga", "a");
    assert_eq!(demo.members(&olga.name)[0], "a");
    demo.assert_no_panic();
}

/// An entry 0 in its kept form.
fn kept(signed: &Signed) -> EntryWire {
    let wire: EntryWire = serde_json::from_value(signed.wire()).unwrap();
    let packets = wire.packets().unwrap();
    let signature = RawSignature::parse_all(&packets[0]).unwrap().remove(0);
    let chain = Chain::new(signed.id());
    let place = chain.place(&signed.entry).unwrap();
    let sealed = place.seal(signed.entry.clone(), &[signature]).unwrap();
    EntryWire::from(sealed.sealed())
}

/// A newcomer meets the sentence before she signs anything, and the button takes along what she typed.
fn at_the_desk(demo: &Demo) {
    let mut visitor = Visitor::new(demo);
    let typed = "/blog?name=maria&title=Tea+%26+so&language=fr";
    let page = visitor.get(typed);
    assert_says(
        &page,
        200,
        &[
            "No room for another blog here",
            "“a” takes no new blogs",
            "Go on at “",
        ],
    );
    assert!(!page.text().contains("you go on with the name"));
    let arabic = visitor.get(&format!("{typed}&ui=ar"));
    assert_says(&arabic, 200, &["لا متسع هنا لمدونة أخرى", "تابع على «"]);
    assert_eq!(way_on(&page).1, way_on(&arabic).1);

    visitor.sign_in();
    let form = visitor.form_key();
    let fields = [
        ("form", form.as_str()),
        ("name", "maria"),
        ("title", "Tea & so"),
        ("language", "fr"),
    ];
    let refused = visitor.post("/blog", &fields);
    assert_says(
        &refused,
        507,
        &["No room for another blog here", "What you typed goes along"],
    );
    let (host, path) = way_on(&refused);
    let other = if host.starts_with("b.spoke.") {
        "b"
    } else {
        "c"
    };
    let visitor = Visitor {
        at: other,
        cookie: String::new(),
        ..visitor
    };
    assert_eq!(format!("{}:{}", visitor.host(), demo.port), host);
    let page = visitor.get(path.strip_prefix("/_/desk").unwrap());
    assert_says(&page, 200, &["go on with the name “maria”"]);
    assert!(!page.text().contains("No room"), "{}", page.text());
    let wants = page.text().replace("&amp;", "&");
    let wants = wants.split_once("name=\"wants\" value=\"").unwrap().1;
    let wants = wants.split('"').next().unwrap();
    let (answer, key) = (visitor.answer(), visitor.gpg.public_key());
    let signed_in = visitor.post(
        "/sign-in",
        &[("answer", &answer), ("key", &key), ("wants", wants)],
    );
    assert_eq!(signed_in.status, 303, "{}", signed_in.text());
    assert_eq!(signed_in.header("location"), Some(path.as_str()));
    let mut visitor = visitor;
    visitor.is_signed_in(&signed_in);
    let form = visitor.get(path.strip_prefix("/_/desk").unwrap()).text();
    for value in ["maria", "Tea &amp; so", "fr"] {
        assert!(
            form.contains(&format!("value=\"{value}\"")),
            "{value}: {form}"
        );
    }
}

#[test]
fn below_the_second_mark_nothing_is_taken_and_reading_goes_on() {
    let small = Small::start(3);
    let demo = &small.demo;
    let mut nadia = Author::with_blog(demo, "nadia", "a");
    nadia.post(demo, "a", "early", "Early words.");
    assert_eq!(demo.members("nadia")[0], "a");
    let (bytes, medium) = picture("dots");
    let hash = medium.hash;
    let mut album = article("album");
    album.media.push(medium);
    let signed = nadia.sign(&draft(Says::Post(album), "With a picture."));
    assert_eq!(nadia.send(demo.address("a"), &signed).unwrap().status, 202);
    let desk = Visitor::with_blog(demo, &mut nadia);
    small.lay(NOTHING);
    let refused = |reply: &Reply| {
        assert_eq!(
            (reply.status, reply.kind().as_str()),
            (507, "full"),
            "{}",
            reply.text()
        );
        assert!(reply.header("retry-after").is_some());
        for words in ["is full", "not kept", "is safe", "Send it again"] {
            assert!(reply.detail().contains(words), "{}", reply.detail());
        }
    };
    refused(&put(demo.address("a"), "nadia", hash, &bytes));
    let late: Signed = nadia.sign(&draft(Says::Post(article("late")), "Late words."));
    refused(&nadia.send(demo.address("a"), &late).unwrap());
    let typed = [
        ("blog", "nadia"),
        ("title", "A draft"),
        ("body", "Typed words."),
    ];
    let (not_kept, _) = desk.write("save", &typed);
    assert_says(&not_kept, 507, &["no room for drafts", "Typed words."]);
    small.wait_until_said("nothing");
    for path in ["/", "/early", "/early.asc", "/feed.atom"] {
        assert_eq!(demo.http("a", "nadia", path).status, 200, "{path}");
    }
    wait_for("readers are sent to others", WAIT, || {
        let names = demo.dig(&["+short", "nadia.blogs.localhost", "A"]);
        (!names.is_empty() && !names.contains("127.0.2.1")).then_some(())
    });
    fs::remove_file(&small.ballast).unwrap();
    wait_for("it is taken again", WAIT, || {
        let reply = nadia.send(demo.address("a"), &late)?;
        (reply.status == 201).then_some(())
    });
    small.wait_until_said("new");
    demo.assert_no_panic();
}

/// What was asked for the readers of blogs, in order.
fn demands(demo: &Demo) -> Vec<u64> {
    let records = records(demo);
    let demands = records
        .iter()
        .filter(|text| text.contains("\nKind: demand\n"));
    let more = |text: &String| text.rsplit_once("\nMore: ")?.1.trim().parse().ok();
    demands.filter_map(more).collect()
}

#[test]
fn a_blog_that_many_read_gets_more_copies_and_they_go_again() {
    let more = [
        "--empty",
        "--replicas",
        "2",
        "--readers-per-second",
        "2",
        "--demand-seconds",
        "15",
    ];
    let demo = Demo::start_with(4, &more);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    maria.post(&demo, "a", "early", "Early words.");
    let secondary = demo.members("maria")[1].clone();
    // A few readers bring none.
    let until = Instant::now() + Duration::from_secs(12);
    while Instant::now() < until {
        assert_eq!(demo.http(&secondary, "maria", "/early").status, 200);
        thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(demands(&demo), Vec::<u64>::new());
    let until = Instant::now() + WAIT * 2;
    while demands(&demo).is_empty() {
        assert!(Instant::now() < until, "a rush brings no copies");
        for _ in 0..8 {
            assert_eq!(demo.http(&secondary, "maria", "/early").status, 200);
            thread::sleep(Duration::from_millis(100));
        }
    }
    assert!((1..=4).contains(&demands(&demo)[0]), "{:?}", demands(&demo));
    let members = wait_for("others take the blog in", GROWN_WAIT, || {
        let members = demo.members("maria");
        (members.len() > 2).then_some(members)
    });
    wait_for("its name leads to more of them", GROWN_WAIT, || {
        let names = demo.dig(&["+short", "maria.blogs.localhost", "A"]);
        (names.lines().count() > 1).then_some(())
    });
    assert_eq!(members[..2], ["a".to_owned(), secondary]);
    wait_for("they go again", Duration::from_secs(240), || {
        (demands(&demo).last() == Some(&0)).then_some(())
    });
    wait_for("two are left", GROWN_WAIT, || {
        (demo.members("maria").len() == 2).then_some(())
    });
    assert_eq!(demo.http("a", "maria", "/early").status, 200);
    maria.post(&demo, "a", "later", "Later words.");
    let demands = demands(&demo);
    assert!(demands.len() <= 4, "they do not come and go: {demands:?}");
    demo.assert_no_panic();
}
