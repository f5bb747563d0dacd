//! A primary sleeps, another takes its place, and it wakes up: it accepts nothing that belongs to the
//! other, and what it had accepted comes back to its author.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use common::{
    author::{Author, Signed, article, draft, now, picture, put, random_key},
    demo::Demo,
    http,
    machines::Machines,
    rogue::StandIn,
    wait_for,
};
use serde_json::{Value, json};
use spokes::{
    client::GIVING,
    config,
    wire::{EntryWire, GIVEN_MAX, signed_in_a_header},
};
use spokes_log::{chain::Chain, draft::Says, name::Hash};
use spokes_rules::{
    giving::Giving,
    node::{Label, NodeSecret, Signed as NodeSigned},
    primary::FORGED_OFFERS_MAX,
    replica::STILL_SECONDS_MAX,
    request::{Ask, Wish},
};

/// A photograph: a marker, what the camera noted, and a scan.
const PHOTO: &[u8] = b"\xFF\xD8\xFF\xE1\x00\x15Exif\0\0her home town\xFF\xDA\x00\x02pixels\xFF\xD9";
const SOON: Duration = Duration::from_secs(20);
/// Who was dead rests for a minute before the council counts on it again.
const FOLLOWED: Duration = Duration::from_secs(150);

/// The council's address, and the organizer who may change sets.
fn organizer(demo: &Demo) -> (SocketAddr, NodeSecret) {
    let council = demo.node("council1");
    let hex = fs::read_to_string(council.data.join("organizer.key")).unwrap();
    let mut seed = [0; 32];
    for (n, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap();
    }
    (council.address, NodeSecret::from_seed(&seed))
}

/// Gives blogs another set, in epoch 2.
fn close(demo: &Demo, blogs: &[Value], members: &[&str]) {
    let (council, secret) = organizer(demo);
    let ids = blogs
        .iter()
        .map(|blog| Hash::parse(blog.as_str().unwrap()).unwrap());
    let ask = Ask {
        network: Some(Hash::parse(&demo.network).unwrap()),
        time: now(),
        what: Wish::Close {
            blogs: ids.collect(),
            epoch: 1,
            members: members
                .iter()
                .map(|label| Label::parse(label).unwrap())
                .collect(),
        },
    };
    let signed = spokes::wire::SignedWire::from(&NodeSigned::new(&secret, &ask));
    let body = json!({ "signed": signed, "proof": [], "statements": [] }).to_string();
    let reply = http::post(council, "/api/v1/registry/requests", &body).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
}

fn opened(demo: &Demo, name: &str, primary: &str, most: Duration) {
    wait_for("the next set is open", most, || {
        let said = demo.api(primary, &format!("blogs/{name}")).json();
        (said["epoch"] == 2 && said["primary"] == primary).then_some(())
    });
}

/// Who follows a silent primary, as the council has it by itself.
fn successor(demo: &Demo, name: &str, of: &str) -> String {
    wait_for("another one is primary", FOLLOWED, || {
        let said = demo.api("b", &format!("blogs/{name}")).json();
        let primary = said["primary"].as_str()?;
        (primary != of).then(|| primary.to_owned())
    })
}

fn id_of(demo: &Demo, name: &str) -> Value {
    id_of_at(demo, "b", name)
}

fn id_of_at(demo: &Demo, label: &str, name: &str) -> Value {
    demo.api(label, &format!("blogs/{name}")).json()["blog"].clone()
}

/// Sends a request to somebody who sleeps, without waiting for the answer.
fn send_to_sleeper(to: SocketAddr, name: &str, signed: &Signed) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    let body = signed.json.as_bytes();
    let head = format!(
        "POST /api/v1/blogs/{name}/entries HTTP/1.1\r\nHost: {to}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

#[test]
fn who_slept_accepts_nothing_that_belongs_to_another() {
    let demo = Demo::start_with(3, &[]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let mut nadia = Author::with_blog(&demo, "nadia", "a");
    let (late, later) = (
        maria.sign(&draft(Says::Post(article("late")), "Sent to who sleeps.")),
        nadia.sign(&draft(Says::Post(article("later")), "As well.")),
    );
    let blogs = [id_of(&demo, "maria"), id_of(&demo, "nadia")];
    demo.pause("a");
    let to_a = demo.address("a");
    // They are the first that it reads when it wakes up.
    let mut answers = [
        send_to_sleeper(to_a, "maria", &late),
        send_to_sleeper(to_a, "nadia", &later),
    ];
    thread::sleep(Duration::from_secs(STILL_SECONDS_MAX.unsigned_abs() + 2));
    close(&demo, &blogs, &["b", "c", "a"]);
    opened(&demo, "maria", "b", SOON);
    opened(&demo, "nadia", "b", SOON);
    // One of the blogs goes on there.
    maria.post(&demo, "b", "meanwhile", "At the new primary.");
    demo.resume("a");
    let said = answers.each_mut().map(|stream| {
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    });
    assert!(
        said[0].starts_with("HTTP/1.1 409") && said[0].contains("stale"),
        "{}",
        said[0]
    );
    assert!(said[1].starts_with("HTTP/1.1 201"), "{}", said[1]);
    assert!(demo.log("a").contains("stood still"), "{}", demo.log("a"));
    for label in ["a", "b", "c"] {
        wait_for("all have the same", SOON, || {
            let here = |blog: &str, path: &str| demo.http(label, blog, path).status;
            (here("nadia", "/later") == 200 && here("maria", "/meanwhile") == 200).then_some(())
        });
        assert_eq!(demo.http(label, "maria", "/late").status, 404);
        assert_eq!(offers(&demo, label, "maria"), 0);
    }
    demo.assert_no_panic();
}

/// How many offers a spoke knows.
fn offers(demo: &Demo, label: &str, name: &str) -> usize {
    let said = demo.api(label, &format!("blogs/{name}/offers")).json();
    said["offers"].as_array().map_or(99, Vec::len)
}

#[test]
fn what_was_accepted_and_not_made_safe_comes_back_to_its_author() {
    let demo = Demo::start_with(3, &[]);
    let key = random_key("Maria <maria@example.org>");
    let desk = Machines::new(&demo, &key);
    assert_eq!(demo.members("maria")[0], "a");
    desk.write("one.md", "---\ntitle: One\n---\nThe first words.\n");
    desk.does("laptop", "publish one.md --blog maria KEY");
    let mut nadia = Author::with_blog(&demo, "nadia", "a");
    nadia.post(&demo, "a", "before", "Before it.");
    for label in ["b", "c"] {
        wait_for("all have both", SOON, || {
            let here = |blog: &str, path: &str| demo.http(label, blog, path).status == 200;
            (here("maria", "/one") && here("nadia", "/before")).then_some(())
        });
    }
    alone(&demo, &desk, &mut nadia);

    // The others come back, and the one that knows more is silent.
    demo.pause("a");
    demo.restart("b");
    demo.restart("c");
    let primary = successor(&demo, "maria", "a");
    successor(&demo, "nadia", "a");
    desk.write("phone.md", "---\ntitle: Phone\n---\nFrom the phone.\n");
    desk.does("phone", "publish phone.md --blog maria KEY");
    demo.resume("a");

    // Nadia's goes on behind a head: nobody had written there. Maria's are offers.
    for label in ["a", "b", "c"] {
        wait_for("it goes on", SOON, || {
            (demo.http(label, "nadia", "/alone").status == 200).then_some(())
        });
    }
    wait_for("they are offered", SOON, || {
        (offers(&demo, &primary, "maria") == 2).then_some(())
    });
    wait_for("it keeps them apart", SOON, || {
        (offers(&demo, "a", "maria") == 2).then_some(())
    });
    wait_for("nothing is offered", SOON, || {
        (offers(&demo, "a", "nadia") == 0).then_some(())
    });
    for label in ["a", "b", "c"] {
        assert_eq!(demo.http(label, "maria", "/two").status, 404, "{label}");
        assert_eq!(demo.http(label, "maria", "/phone").status, 200, "{label}");
    }
    answered(&demo, &primary, &desk);
    demo.assert_no_panic();
}

#[test]
fn nobody_forgets_an_offer_because_its_primary_says_so() {
    let demo = Demo::start_with(3, &["--empty"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    maria.post(&demo, "a", "safe", "All have it.");
    let blog = id_of_at(&demo, "a", "maria");
    ["b", "c"].iter().for_each(|label| demo.kill(label));
    let alone = maria.sign(&draft(Says::Post(article("alone")), "Nobody else has it."));
    let accepted = maria.send(demo.address("a"), &alone).unwrap();
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    demo.pause("a");
    ["b", "c"].iter().for_each(|label| demo.restart(label));
    close(&demo, &[blog], &["b", "c", "a"]);
    // Whoever was away signs nothing for a minute.
    opened(&demo, "maria", "b", FOLLOWED);

    // The new primary says of whatever it is given that it is in the log, and throws it away.
    demo.kill("b");
    let lie = json!({ "done": [alone.id().to_string()] }).to_string();
    let given = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given);
    let liar = StandIn::at(demo.address("b"), move |path| {
        let is_given = path.ends_with("/blogs/maria/offers");
        count.fetch_add(usize::from(is_given), Ordering::Relaxed);
        is_given.then(|| lie.clone().into_bytes())
    });
    demo.resume("a");
    wait_for("it is given", SOON, || {
        (given.load(Ordering::Relaxed) > 0).then_some(())
    });
    // The next primary is given it, too.
    for label in ["a", "c"] {
        wait_for("it goes on", FOLLOWED, || {
            (demo.http(label, "maria", "/alone").status == 200).then_some(())
        });
    }
    drop(liar);
    demo.assert_no_panic();
}

/// Both others are down: the primary accepts, and nobody else has it.
fn alone(demo: &Demo, desk: &Machines, nadia: &mut Author) {
    demo.kill("b");
    demo.kill("c");
    fs::write(desk.dir.path().join("two.jpg"), PHOTO).unwrap();
    desk.write(
        "two.md",
        "---\ntitle: Two\n---\nThe second, with ![a picture](two.jpg).\n",
    );
    let (_, said) = desk.run("laptop", "publish two.md --blog maria KEY");
    assert!(said.contains("accepted, not yet safe"), "{said}");
    // From another machine, which has it from the blog.
    desk.write("three.md", "---\ntitle: Three\n---\nBehind the second.\n");
    let (_, said) = desk.run("tablet", "publish three.md --blog maria KEY");
    assert!(said.contains("accepted, not yet safe"), "{said}");
    let (pixels, medium) = picture("alone");
    let mut alone = article("alone");
    alone.media = vec![medium.clone()];
    let alone = nadia.sign(&draft(Says::Post(alone), "Nobody else has it."));
    let staged = nadia.send(demo.address("a"), &alone).unwrap();
    assert_eq!(staged.json()["status"], "staged", "{}", staged.text());
    put(demo.address("a"), "nadia", medium.hash, &pixels);
    let accepted = nadia.send(demo.address("a"), &alone).unwrap();
    assert_eq!(
        (accepted.status, &accepted.json()["status"]),
        (202, &"accepted".into())
    );
}

/// Maria does what she would do anyway, and decides on the rest.
fn answered(demo: &Demo, primary: &str, desk: &Machines) {
    let offered = demo.api(primary, "blogs/maria/offers").json()["offers"].clone();
    assert_eq!(
        (&offered[0]["giver"], &offered[0]["missing_media"]),
        (&"a".into(), &Value::Null)
    );
    let third = offered[1]["id"].as_str().unwrap().to_owned();
    let status = desk.does("laptop", "status maria");
    assert!(
        status.contains("waits in your outbox") && status.contains("\"Three\""),
        "{status}"
    );

    // The same command again signs it anew, and its offer is gone.
    let said = desk.does("laptop", "publish two.md --blog maria KEY");
    assert!(said.contains("safe on"), "{said}");
    assert_eq!(offers(demo, primary, "maria"), 1);
    // A machine that had read what is not there any more goes on behind what is.
    desk.write(
        "four.md",
        "---\ntitle: Four\n---\nFrom the tablet, later.\n",
    );
    let (_, said) = desk.run("camera", "offers maria");
    assert!(
        said.contains("was accepted by a and is not in the blog")
            && said.contains("Behind the second")
    );
    let said = desk.does("camera", &format!("offers maria --dismiss {third} KEY"));
    assert!(said.contains("safe on"), "{said}");
    assert_eq!(offers(demo, primary, "maria"), 0);
    wait_for("nobody keeps it", SOON, || {
        (offers(demo, "a", "maria") == 0).then_some(())
    });
    // What she dismissed on one machine she does not get back from the outbox of another by chance.
    let said = desk.run("tablet", "publish four.md --blog maria KEY").1;
    assert!(said.contains("Four") || said.contains("four"), "{said}");
    for label in ["a", "b", "c"] {
        wait_for("all agree", SOON, || {
            let here = |path: &str| demo.http(label, "maria", path).status;
            (here("/two") == 200 && here("/four") == 200).then_some(())
        });
    }
}

/// Entries as spokes give them on: their signatures in the one form in which they are kept.
fn kept(demo: &Demo, author: &mut Author, signed: &[Signed]) -> Vec<Value> {
    let blog = signed[0].entry.blog();
    let first = demo.api("a", &format!("entries/{}", blog.path())).text();
    let first = serde_json::from_str::<EntryWire>(&first).unwrap();
    let first = first.sealed().unwrap();
    let mut chain = Chain::new(blog);
    let verified = chain.place(first.entry()).unwrap().verify(first).unwrap();
    chain.append(&verified).unwrap();
    let mut keep = |signed: &Signed| {
        let at = signed.entry.skeleton().signed;
        let signature = author.key.sign(signed.entry.text(), at).unwrap();
        let place = chain.place(&signed.entry).unwrap();
        let verified = place.seal(signed.entry.clone(), &[signature]).unwrap();
        serde_json::to_value(EntryWire::from(verified.sealed())).unwrap()
    };
    signed.iter().map(&mut keep).collect()
}

/// What `a` itself would sign to give these.
fn giving(demo: &Demo, name: &str, body: &str) -> Giving {
    Giving {
        network: Hash::parse(&demo.network).unwrap(),
        spoke: Label::parse("a").unwrap(),
        time: now(),
        blog: Hash::parse(id_of_at(demo, "a", name).as_str().unwrap()).unwrap(),
        body: Hash::of(body.as_bytes()),
    }
}

fn node_key(demo: &Demo) -> NodeSecret {
    config::secret_key(&demo.node("a").data.join("node.key")).unwrap()
}

fn give_by(
    demo: &Demo,
    name: &str,
    body: &str,
    line: Option<(&NodeSecret, &Giving)>,
) -> http::Reply {
    let line = line.map(|(key, giving)| signed_in_a_header(&NodeSigned::new(key, giving)));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(line.as_deref().map(|line| (GIVING, line)));
    let path = format!("/api/v1/blogs/{name}/offers");
    let to = demo.address("a");
    http::request(
        to,
        "POST",
        &to.to_string(),
        &path,
        &headers,
        body.as_bytes(),
    )
    .unwrap()
}

fn give_all(demo: &Demo, name: &str, entries: &[Value]) -> http::Reply {
    let body = json!({ "entries": entries }).to_string();
    let (key, giving) = (node_key(demo), giving(demo, name, &body));
    give_by(demo, name, &body, Some((&key, &giving)))
}

/// Gives entries back to `a`, as a spoke would that had accepted them; how many it keeps for their author then.
fn give(demo: &Demo, name: &str, entries: &[Value]) -> usize {
    let reply = give_all(demo, name, entries);
    assert_eq!(reply.status, 200, "{}", reply.text());
    // What finds no room stays with its giver.
    assert_eq!(reply.json()["done"].as_array().unwrap().len(), 0);
    offers(demo, "a", name)
}

/// Entries beside the head, as somebody had accepted them elsewhere.
fn beside(author: &mut Author, demo: &Demo, many: usize, words: &str) -> Vec<Signed> {
    let first = author.parent.clone();
    author.post(demo, "a", "one", "Everything else stands beside it.");
    let slugs = (0..many).map(|number| format!("beside-{number}"));
    let said = slugs.map(|slug| draft(Says::Post(article(&slug)), words));
    said.map(|said| author.sign_behind(&said, first.as_ref()))
        .collect()
}

#[test]
fn only_a_spoke_gives_offers_and_few_are_tried_that_nobody_signed() {
    let demo = Demo::start_with(1, &["--empty"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let signed = beside(
        &mut maria,
        &demo,
        FORGED_OFFERS_MAX + 1,
        "Accepted elsewhere.",
    );
    let entries = kept(&demo, &mut maria, &signed);
    let body = json!({ "entries": entries }).to_string();
    let (key, good) = (node_key(&demo), giving(&demo, "maria", &body));
    let stranger = NodeSecret::from_seed(&[7; 32]);
    let old = Giving {
        time: now() + -301,
        ..good.clone()
    };
    let elsewhere = Giving {
        blog: Hash::of(b"another blog"),
        ..good.clone()
    };
    let other = Giving {
        body: Hash::of(b"other entries"),
        ..good.clone()
    };
    let lines = [
        (None, "who gives it"),
        (Some((&stranger, &good)), "no spoke of this network"),
        (Some((&key, &old)), "five minutes"),
        (Some((&key, &elsewhere)), "another blog"),
        (Some((&key, &other)), "other entries"),
    ];
    for (line, why) in lines {
        let reply = give_by(&demo, "maria", &body, line);
        assert_eq!(reply.status, 403, "{why}: {}", reply.text());
        assert!(reply.text().contains(why), "{}", reply.text());
        assert_eq!(offers(&demo, "a", "maria"), 0, "{why}");
    }
    // One that was altered on its giver's disk holds up none; behind so many nothing is tried.
    let mut forged: Vec<_> = signed.iter().map(Signed::id).zip(entries.clone()).collect();
    forged.sort_by_key(|(id, _)| *id);
    let mut forged: Vec<Value> = forged.into_iter().map(|(_, entry)| entry).collect();
    let last = forged[FORGED_OFFERS_MAX]["signatures"].clone();
    for entry in &mut forged[..FORGED_OFFERS_MAX] {
        entry["signatures"] = last.clone();
    }
    assert_eq!(give(&demo, "maria", &forged), 0);
    assert_eq!(give(&demo, "maria", &forged[1..]), 1);
    assert_eq!(give(&demo, "maria", &entries), entries.len());
    demo.assert_no_panic();
}

#[test]
fn a_primary_keeps_so_many_offers_of_a_blog_and_so_much_and_no_more() {
    let demo = Demo::start_with(1, &["--empty"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let signed = beside(&mut maria, &demo, 65, "Accepted elsewhere.");
    let many = kept(&demo, &mut maria, &signed);
    assert_eq!(give(&demo, "maria", &many[..63]), 63);
    assert_eq!(give(&demo, "maria", &many), 64);
    assert_eq!(give(&demo, "maria", &many), 64);
    // Of another blog as many again, but not as many bytes.
    let mut nadia = Author::with_blog(&demo, "nadia", "a");
    let signed_large = beside(
        &mut nadia,
        &demo,
        17,
        "words and\n".repeat(100_000).trim_end(),
    );
    let large = kept(&demo, &mut nadia, &signed_large);
    // More than one message takes, by bytes and by number.
    assert_eq!(give_all(&demo, "nadia", &large).status, 413);
    assert_eq!(
        give_all(&demo, "maria", &vec![many[0].clone(); GIVEN_MAX + 1]).status,
        422
    );
    for few in large.chunks(3) {
        give(&demo, "nadia", few);
    }
    assert_eq!(offers(&demo, "a", "nadia"), 16);
    assert_eq!(give(&demo, "nadia", &large[16..]), 16);
    // There is room again when she has answered.
    let offered = demo.api("a", "blogs/maria/offers").json()["offers"].clone();
    let id = Hash::parse(offered[0]["id"].as_str().unwrap()).unwrap();
    let mut answer = draft(Says::Post(article("instead")), "This is enough.");
    answer.instead_of.push(id);
    maria.say(&demo, "a", &answer);
    let pairs = signed
        .iter()
        .zip(&many)
        .filter(|(signed, _)| signed.id() != id);
    let left: Vec<Value> = pairs.map(|(_, kept)| kept.clone()).collect();
    // Its giver gives again and again; what was answered is forgotten meanwhile.
    wait_for("there is room", SOON, || {
        (give(&demo, "maria", &left) == 64).then_some(())
    });
    demo.assert_no_panic();
}
