//! An admitted spoke, and a stranger, do their worst. The others go on, and show nothing of theirs.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{thread, time::Duration};

use common::{
    author::{Author, Signed, article, draft, now, picture, put},
    demo::Demo,
    http,
    rogue::Rogue,
    wait_for,
};
use serde_json::{Value, json};
use spokes::wire::EntryWire;
use spokes_log::{
    chain::Chain,
    draft::{Grant, Role, Says},
    name::Hash,
    seal::RawSignature,
};
use spokes_rules::{
    node::{Label, NodeSecret, Signed as SignedText},
    receipt::{Held, Seal, Tip},
    request::{Ask, Wish},
};

/// Two honest spokes and the rogue: it is in the set of every blog.
fn network() -> (Demo, Rogue, Author) {
    let demo = Demo::start_with(2, &["--empty"]);
    let rogue = Rogue::join(&demo);
    let maria = Author::with_blog(&demo, "maria", "a");
    assert_eq!(demo.members("maria").len(), 3);
    // Who says that it holds nothing keeps no restarted member waiting.
    let blog = demo.api("a", "blogs/maria").json()["blog"].clone();
    let nothing = json!({ "blogs": { blog.as_str().unwrap(): [] }, "receipts": [] });
    let empty = json!({ "cursor": "r-0", "more": false, "entries": [] });
    rogue.says(move |path| match path {
        _ if path.starts_with("/api/v1/heads") => Some(nothing.to_string().into_bytes()),
        _ if path.starts_with("/api/v1/feed") => Some(empty.to_string().into_bytes()),
        _ => None,
    });
    (demo, rogue, maria)
}

/// The author can write, and both honest members have it.
fn goes_on(demo: &Demo, maria: &mut Author, slug: &str) {
    maria.post(demo, "a", slug, "It goes on.");
    for label in ["a", "b"] {
        wait_for("honest members have it", Duration::from_secs(10), || {
            (demo.http(label, "maria", &format!("/{slug}")).status == 200).then_some(())
        });
    }
    demo.assert_no_panic();
}

/// A skeleton that nobody signed: without words it bears no signature.
fn forged_skeleton(maria: &mut Author, behind: &Signed) -> Value {
    let says = draft(Says::Post(article("forged")), "Never signed.");
    let forged = maria.sign_behind(&says, Some(&behind.place()));
    json!({ "text": forged.entry.erased().text(), "signatures": [] })
}

#[test]
fn a_skeleton_that_nobody_signed_is_not_taken_in() {
    let (demo, rogue, mut maria) = network();
    let first = maria.post(&demo, "a", "first", "Mine.");
    let forged = forged_skeleton(&mut maria, &first);

    // A stranger brings it as something to restore.
    for label in ["a", "b"] {
        let body = json!({ "entries": [forged] }).to_string();
        let reply = http::post(demo.address(label), "/api/v1/blogs/maria/restore", &body).unwrap();
        assert_eq!(
            (reply.status, reply.kind().as_str()),
            (422, "invalid"),
            "{}",
            reply.text()
        );
    }
    let blog = demo.api("a", "blogs/maria").json()["blog"]
        .as_str()
        .unwrap()
        .to_owned();
    let text = forged["text"].as_str().unwrap().as_bytes();
    let id = spokes_log::entry::Entry::parse(text)
        .unwrap()
        .id()
        .to_string();

    // A member names it as its tip and serves it in every way.
    let entry = forged.clone();
    rogue.says(move |path| {
        let answer = match path {
            _ if path.starts_with("/api/v1/heads") => {
                json!({ "blogs": { &blog: [{ "sequence": 2, "id": id }] } })
            }
            _ if path.starts_with("/api/v1/entries/") => entry.clone(),
            _ if path.contains("limit=0") => {
                json!({ "cursor": "r-1", "more": false, "entries": [] })
            }
            _ if path.starts_with("/api/v1/feed") => {
                json!({ "cursor": "r-2", "more": false, "entries": [entry] })
            }
            _ => return None,
        };
        Some(answer.to_string().into_bytes())
    });
    wait_for("the lie was heard", Duration::from_secs(20), || {
        let asked = rogue.asked();
        asked
            .iter()
            .any(|path| path.starts_with("/api/v1/feed?blogs"))
            .then_some(())
    });
    thread::sleep(Duration::from_millis(500));
    for label in ["a", "b"] {
        let heads = demo.api(label, "blogs/maria/head").json()["heads"].clone();
        assert_eq!(heads.as_array().unwrap().len(), 1, "{label}: {heads}");
        assert_eq!(heads[0]["id"], first.id().to_string(), "{label}");
    }
    goes_on(&demo, &mut maria, "second");
}

#[test]
fn an_erased_entry_is_restored_with_its_erase_alone() {
    let (demo, _rogue, mut maria) = network();
    let words = maria.post(&demo, "a", "words", "To be taken back.");
    let erases = vec![words.id()];
    maria.say(&demo, "a", &draft(Says::Erase { erases }, ""));
    // A member that lost everything reads the whole blog anew: skeleton first, erase later.
    demo.kill("b");
    for file in ["spoke.db", "spoke.db-wal", "spoke.db-shm"] {
        drop(std::fs::remove_file(demo.node("b").data.join(file)));
    }
    demo.restart("b");
    wait_for(
        "the emptied member is whole",
        Duration::from_secs(20),
        || {
            let mine = demo.api("a", "blogs/maria/head").json();
            (demo.api("b", "blogs/maria/head").json() == mine).then_some(())
        },
    );
    goes_on(&demo, &mut maria, "after");
}

#[test]
fn nobody_erases_the_picture_of_another_blog() {
    let demo = Demo::start_with(3, &["--empty"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let mut thief = Author::with_blog(&demo, "thief", "a");
    let (bytes, medium) = picture("Maria's");
    let with_picture = |author: &mut Author| {
        let mut album = article("album");
        album.media.push(medium.clone());
        let signed = author.sign(&draft(Says::Post(album), "Look."));
        wait_for("it is safe", Duration::from_secs(20), || {
            let reply = author.send(demo.address("a"), &signed)?;
            if reply.status == 202 {
                put(demo.address("a"), &author.name, medium.hash, &bytes);
            }
            (reply.status == 201).then_some(())
        });
        author.parent = Some(signed.place());
        signed.id()
    };
    with_picture(&mut maria);
    let erases = vec![with_picture(&mut thief)];
    thief.say(&demo, "a", &draft(Says::Erase { erases }, ""));
    let path = format!("/media/{}", medium.hash.path());
    for label in demo.labels() {
        wait_for("the thief's post is gone", Duration::from_secs(10), || {
            (demo.http(&label, "thief", "/album").status == 404).then_some(())
        });
        assert_eq!(demo.http(&label, "maria", &path).body, bytes, "{label}");
        let blob = demo
            .node(&label)
            .data
            .join("media")
            .join(medium.hash.path());
        assert_eq!(std::fs::read(blob).ok(), Some(bytes.clone()), "{label}");
    }
    demo.assert_no_panic();
}

#[test]
fn feeds_that_never_end_are_left_soon() {
    let (demo, rogue, mut maria) = network();
    let first = maria.post(&demo, "a", "first", "Mine.");
    let blog = demo.api("a", "blogs/maria").json()["blog"]
        .as_str()
        .unwrap()
        .to_owned();
    let page = demo.api("a", "blogs/maria/entries").json()["entries"].clone();
    let unknown = Hash::of(b"unknown").to_string();
    let stories: [(&str, Value); 5] = [
        (
            "more of the same",
            json!({ "cursor": "r-1", "more": true, "entries": page }),
        ),
        (
            "more of nothing",
            json!({ "cursor": "r-2", "more": true, "entries": [] }),
        ),
        (
            "garbage",
            json!({ "cursor": "r-3", "more": true, "entries": [{ "text": "x", "signatures": [] }] }),
        ),
        ("no JSON of ours", json!(["r-4"])),
        (
            "a long cursor",
            json!({ "cursor": "c".repeat(100_000), "more": true, "entries": [] }),
        ),
    ];
    for (what, feed) in stories {
        let (blog, unknown) = (blog.clone(), unknown.clone());
        rogue.says(move |path| {
            let answer = if path.starts_with("/api/v1/heads") {
                json!({ "blogs": { &blog: [{ "sequence": 9, "id": unknown }] } })
            } else if path.starts_with("/api/v1/feed") {
                feed.clone()
            } else {
                return None;
            };
            Some(answer.to_string().into_bytes())
        });
        thread::sleep(Duration::from_secs(4));
        let asked = rogue.asked();
        let feeds = asked
            .iter()
            .filter(|path| path.starts_with("/api/v1/feed"))
            .count();
        eprintln!("{what}: asked {} times, {feeds} for feeds", asked.len());
        assert!(
            feeds < 200,
            "{what}: {feeds} pages were pulled in four seconds"
        );
    }
    assert!(
        demo.http("b", "maria", "/first").status == 200 && first.entry.skeleton().sequence == 1
    );
    goes_on(&demo, &mut maria, "second");
}

#[test]
fn receipts_that_should_not_count_do_not() {
    let (demo, rogue, mut maria) = network();
    let first = maria.post(&demo, "a", "first", "Mine.");
    demo.kill("b");
    let next = maria.sign(&draft(Says::Post(article("next")), "Only on a."));
    let held = |spoke: &str, network: &str, epoch: u64, tip: &Signed| Held {
        network: Hash::parse(network).unwrap(),
        spoke: Label::parse(spoke).unwrap(),
        blog: first.entry.blog(),
        epoch,
        tip: Tip {
            sequence: tip.entry.skeleton().sequence,
            id: tip.id(),
        },
        time: now(),
    };
    let other = Hash::of(b"another network").to_string();
    let lies = [
        held("b", &demo.network, 1, &next),
        held("r", &other, 1, &next),
        held("r", &demo.network, 2, &next),
        held("r", &demo.network, 0, &next),
        held("r", &demo.network, 1, &first),
        held("council1", &demo.network, 1, &next),
    ];
    let mut receipts: Vec<Value> = lies.iter().map(|held| rogue.sign(held)).collect();
    // And one whose text was changed after it was signed.
    let mut edited = rogue.sign(&held("r", &other, 1, &next));
    edited["text"] = held("r", &demo.network, 1, &next).to_string().into();
    receipts.push(edited);
    let body = json!({ "receipts": receipts }).to_string();
    assert_eq!(
        http::post(demo.address("a"), "/api/v1/receipts", &body)
            .unwrap()
            .status,
        200
    );
    let reply = maria.send(demo.address("a"), &next).unwrap();
    assert_eq!(
        http::post(demo.address("a"), "/api/v1/receipts", &body)
            .unwrap()
            .status,
        200
    );
    assert_eq!(
        (reply.status, &reply.json()["status"]),
        (202, &"accepted".into())
    );
    let standing = demo.api(
        "a",
        &format!("blogs/maria/entries/{}/standing", next.id().path()),
    );
    assert_eq!(
        standing.json()["receipts"].as_array().unwrap().len(),
        1,
        "{}",
        standing.text()
    );
    demo.restart("b");
    maria.parent = Some(next.place());
    goes_on(&demo, &mut maria, "more");
}

#[test]
fn nobody_speaks_for_blogs_that_are_not_his_on_the_front_page() {
    let (demo, rogue, mut maria) = network();
    maria.post(&demo, "a", "first", "Mine.");
    let blog = demo.api("a", "blogs/maria").json()["blog"].clone();
    rogue.says(move |path| {
        let line = |n: usize| {
            json!({ "number": n, "blog": blog, "entry": Hash::of(b"x").to_string(), "titled_by": blog,
                    "spoken_by": blog, "article": Hash::of(&[u8::try_from(n % 256).unwrap()]).to_string(),
                    "title": "POISON" })
        };
        let latest = json!({ "cursor": "x-5000", "age_seconds": 0, "shown": (0..5_000).collect::<Vec<_>>(),
                             "added": (0..5_000).map(line).collect::<Vec<_>>() });
        path.starts_with("/api/v1/latest").then(|| latest.to_string().into_bytes())
    });
    wait_for("the rogue was asked", Duration::from_secs(10), || {
        (rogue
            .asked()
            .iter()
            .filter(|p| p.contains("latest"))
            .count()
            > 3)
        .then_some(())
    });
    for label in ["a", "b"] {
        let front = http::get(demo.address(label), &demo.domain, "/").text();
        assert!(
            !front.contains("POISON") && front.contains("About first"),
            "{label}"
        );
    }
    goes_on(&demo, &mut maria, "second");
}

/// An entry in the form in which it is kept.
fn kept(chain: &mut Chain, signed: &Signed) -> Value {
    let wire: EntryWire = serde_json::from_value(signed.wire()).unwrap();
    let packets = RawSignature::parse_all(&wire.packets().unwrap()[0]).unwrap();
    let place = chain.place(&signed.entry).unwrap();
    let verified = place.seal(signed.entry.clone(), &packets).unwrap();
    chain.append(&verified).unwrap();
    serde_json::to_value(EntryWire::from(verified.sealed())).unwrap()
}

/// Brings a request to the council.
fn ask_council(demo: &Demo, signed: Value, proof: &[Value]) -> http::Reply {
    let body = json!({ "signed": signed, "proof": proof }).to_string();
    http::post(demo.council(), "/api/v1/registry/requests", &body).unwrap()
}

/// An organizer prepares a blog's second set.
fn close(demo: &Demo, blog: Hash, members: &[&str]) -> http::Reply {
    let hex = std::fs::read_to_string(demo.node("council1").data.join("organizer.key")).unwrap();
    let seed: Vec<u8> = (0..32)
        .map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    let organizer = NodeSecret::from_seed(seed.as_slice().try_into().unwrap());
    let members = members.iter().map(|label| Label::parse(label).unwrap());
    let what = Wish::Close {
        blogs: vec![blog],
        epoch: 1,
        members: members.collect(),
    };
    let signed = SignedText::new(&organizer, &wish(demo, what));
    let signed = serde_json::to_value(spokes::wire::SignedWire::from(&signed)).unwrap();
    ask_council(demo, signed, &[])
}

fn wish(demo: &Demo, what: Wish) -> Ask {
    Ask {
        network: Some(Hash::parse(&demo.network).unwrap()),
        time: now(),
        what,
    }
}

/// A blog whose primary the rogue is; its author, entry 0, and how it is kept.
fn blog_of_rogue(demo: &Demo, rogue: &Rogue) -> (Author, Signed, Value) {
    let mut nadia = Author::new("nadia");
    let first = nadia.first(&demo.network, "nadia", now() + 3_600);
    nadia.parent = Some(first.place());
    let wire = kept(&mut Chain::new(first.id()), &first);
    let (blog, entry) = (first.id(), first.id());
    let spoke = Some(Label::parse("r").unwrap());
    let claim = rogue.sign(&wish(demo, Wish::Claim { blog, entry, spoke }));
    let reply = ask_council(demo, claim, std::slice::from_ref(&wire));
    assert_eq!(reply.status, 200, "{}", reply.text());
    (nadia, first, wire)
}

/// A post and a title by somebody else, in the form in which good ones are kept: on a branch that
/// nobody names she may write.
fn by_mallory(nadia: &mut Author, first: &Signed) -> [(Signed, Value); 2] {
    let mut mallory = Author::new("mallory");
    let mut branch = Chain::new(first.id());
    kept(&mut branch, first);
    let grant = Grant {
        fingerprint: mallory.key.certificate().fingerprint().clone(),
        role: Role::Write,
    };
    let says = Says::Keys {
        certificates: vec![grant],
        ends: vec![],
        recovery: None,
    };
    let armor = mallory.key.certificate().armored().trim().to_owned();
    let grants = nadia.sign_behind(&draft(says, &armor), Some(&first.place()));
    kept(&mut branch, &grants);
    let settings = Says::Settings {
        title: Some("POISON".to_owned()),
        language: None,
        description: None,
    };
    [Says::Post(article("poison")), settings].map(|says| {
        let body = if matches!(says, Says::Post(_)) {
            "POISON"
        } else {
            ""
        };
        let signed = mallory.sign_behind(&draft(says, body), Some(&grants.place()));
        let wire = kept(&mut branch, &signed);
        (signed, wire)
    })
}

#[test]
fn a_primary_can_name_its_authors_words_and_invent_none() {
    let (demo, rogue, mut maria) = network();
    let (mut nadia, first, first_wire) = blog_of_rogue(&demo, &rogue);
    let truth = nadia.sign(&draft(Says::Post(article("truth")), "The truth."));
    let mut chain = Chain::new(first.id());
    kept(&mut chain, &first);
    let truth_wire = kept(&mut chain, &truth);
    let [(posts, posts_wire), (titles, titles_wire)] = by_mallory(&mut nadia, &first);
    let post = draft(Says::Post(article("poison")), "POISON");
    let bare = nadia.sign_behind(&post, Some(&first.place()));
    let erased = json!({ "text": bare.entry.erased().text(), "signatures": [] });
    let entries = [
        (first.id(), first_wire),
        (truth.id(), truth_wire),
        (posts.id(), posts_wire),
        (titles.id(), titles_wire),
        (bare.id(), erased),
    ];
    let line = |number: u64, entry: &Signed, titled_by: &Signed| {
        let (entry, titled_by, blog) = (entry.id(), titled_by.id(), first.id());
        let of = [entry, titled_by, blog];
        let proof = entries.iter().filter(|(id, _)| of.contains(id));
        let proof: Vec<&Value> = proof.map(|(_, wire)| wire).collect();
        json!({ "number": number, "blog": blog.to_string(), "article": entry.to_string(),
                "entry": entry.to_string(), "titled_by": titled_by.to_string(),
                "spoken_by": blog.to_string(), "proof": proof })
    };
    let added = [
        line(1, &posts, &first),
        line(2, &truth, &titles),
        line(3, &bare, &first),
        line(4, &truth, &first),
    ];
    rogue.says(move |path| {
        let latest =
            json!({ "cursor": "x-4", "age_seconds": 0, "shown": [1, 2, 3, 4], "added": added });
        let is_own = path.starts_with("/api/v1/latest?of=own");
        is_own.then(|| latest.to_string().into_bytes())
    });
    let fronts = |word: &str| {
        let front = |label| http::get(demo.address(label), &demo.domain, "/").text();
        ["a", "b"].map(|label| front(label).contains(word))
    };
    wait_for("what she wrote is shown", Duration::from_secs(10), || {
        (fronts("About truth") == [true, true]).then_some(())
    });
    thread::sleep(Duration::from_secs(2));
    assert_eq!(fronts("POISON"), [false, false]);
    assert_eq!(fronts("The blog of nadia"), [true, true]);
    let who_saw = ["a", "b"].into_iter().filter(|label| {
        let noticed = demo.api(label, "status").json()["noticed"].clone();
        let notices = noticed.as_array().unwrap().iter();
        notices
            .clone()
            .any(|n| n["about"] == "r" && n["what"] == "invents")
    });
    assert!(who_saw.count() > 0, "nobody says what the rogue did");
    goes_on(&demo, &mut maria, "second");
}

#[test]
fn of_a_member_few_statements_are_kept() {
    let (demo, rogue, mut maria) = network();
    let first = maria.post(&demo, "a", "first", "Mine.");
    let blog = first.entry.blog();
    let reply = close(&demo, blog, &["a", "r"]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let statement = |sequence: u64| {
        rogue.sign(&Held {
            network: Hash::parse(&demo.network).unwrap(),
            spoke: Label::parse("r").unwrap(),
            blog,
            epoch: 2,
            tip: Tip {
                sequence,
                id: Hash::of(&sequence.to_be_bytes()),
            },
            time: now(),
        })
    };
    let many: Vec<Value> = (0..200).map(statement).collect();
    let body = Value::from(many).to_string();
    let reply = http::post(demo.council(), "/api/v1/registry/statements", &body).unwrap();
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (429, "quota"),
        "{}",
        reply.text()
    );
    assert!(
        reply.detail().contains("128 statements"),
        "{}",
        reply.detail()
    );
    let path = format!("/api/v1/registry/statements?blog={blog}");
    let kept = http::get(demo.council(), "x", &path).json();
    let by_rogue = |signed: &&Value| signed["key"] == rogue.secret.key().to_string();
    let kept = kept.as_array().unwrap().iter().filter(by_rogue).count();
    assert_eq!(kept, 128);
    demo.assert_no_panic();
}

/// A member that answers all who look at it seals an entry that nobody has.
#[test]
fn a_seal_of_what_is_nowhere_does_not_hold_up_a_blog() {
    let (demo, rogue, mut maria) = network();
    rogue.pleases_observers(&demo);
    goes_on(&demo, &mut maria, "before");
    let blog = demo.api("a", "blogs/maria").json()["blog"].clone();
    let blog = Hash::parse(blog.as_str().unwrap()).unwrap();
    let seal = rogue.sign(&Seal {
        network: Hash::parse(&demo.network).unwrap(),
        spoke: Label::parse("r").unwrap(),
        blog,
        epoch: 1,
        tips: vec![Tip {
            sequence: 7,
            id: Hash::of(b"nowhere"),
        }],
    });
    // Its seal is there before the set can open without it.
    demo.pause("b");
    let closed = close(&demo, blog, &["b", "a", "r"]);
    let body = Value::from(vec![seal]).to_string();
    let told = http::post(demo.council(), "/api/v1/registry/statements", &body);
    demo.resume("b");
    assert_eq!(closed.status, 200, "{}", closed.text());
    assert_eq!(told.unwrap().status, 200);
    // Whoever may only be slow has its time.
    thread::sleep(Duration::from_secs(10));
    assert_eq!(demo.api("a", "blogs/maria").json()["epoch"], 1);
    wait_for("the next set is open", Duration::from_secs(40), || {
        (demo.api("a", "blogs/maria").json()["epoch"] == 2).then_some(())
    });
    let said = demo.log("council1");
    assert!(said.contains("without this member's seal"));
    assert!(
        !said.contains("its observers agree"),
        "all who look at it are content"
    );
    goes_on(&demo, &mut maria, "after");
}

#[test]
fn what_is_passed_on_cannot_run_or_lead_away() {
    let demo = Demo::start_with(2, &["--empty", "--replicas", "2"]);
    let rogue = Rogue::join(&demo);
    rogue.says(|_| Some(b"<script>steal()</script>".to_vec()));
    // A blog that the rogue holds and spoke b does not.
    let name = (0..8).map(|n| format!("blog{n}")).find(|name| {
        Author::with_blog(&demo, name, "a");
        demo.members(name) == ["a", "r"]
    });
    let name = name.expect("the emptiest spoke is chosen");
    let page = demo.http("b", &name, "/");
    assert!(
        page.text().contains("steal"),
        "readers are sent to the secondary"
    );
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(
        policy.contains("default-src 'none'"),
        "no script of it runs: {policy}"
    );
    assert_eq!(page.header("location"), None, "and it leads nowhere else");
    let (_, medium) = picture("x");
    let media = demo.http("b", &name, &format!("/media/{}", medium.hash.path()));
    assert!(
        media.status == 404 && !media.text().contains("steal"),
        "media have their hash or are none"
    );
    let relayed = demo.api("b", &format!("blogs/{name}/head"));
    assert!(relayed.status == 200);
    demo.assert_no_panic();
}

/// A claim brings a post with a picture that nobody has: it must not count as held.
#[test]
fn a_claim_makes_no_post_safe_whose_picture_is_nowhere() {
    let demo = Demo::start_with(3, &["--empty"]);
    let mut eve = Author::new("eve");
    let says = Says::Blog {
        title: "Eve".to_owned(),
        language: spokes_log::name::Language::parse("en").unwrap(),
        certificate: eve.key.certificate().fingerprint().clone(),
        claim: None,
    };
    let body = eve.key.certificate().armored().trim().to_owned();
    let first = eve.sign_behind(&draft(says, &body), None);
    let (_bytes, medium) = picture("never sent");
    let post = spokes_log::draft::Article {
        media: vec![medium],
        ..article("bare")
    };
    let post = eve.sign_behind(&draft(Says::Post(post), "Look!"), Some(&first.place()));
    let claim = spokes_log::draft::Claim {
        name: spokes_log::name::BlogName::parse("eve").unwrap(),
        network: Hash::parse(&demo.network).unwrap(),
        not_after: now() + 3_600,
    };
    let releases = None;
    let claim = draft(Says::Claim { claim, releases }, "");
    let claim = eve.sign_behind(&claim, Some(&post.place()));
    let mut chain = Chain::new(first.id());
    let mut kept = |signed: &Signed| {
        let wire: EntryWire = serde_json::from_str(&signed.json).unwrap();
        let packets = wire.packets().unwrap();
        let signature = RawSignature::parse_all(&packets[0]).unwrap();
        let place = chain.place(&signed.entry).unwrap();
        let entry = place.seal(signed.entry.clone(), &signature).unwrap();
        chain.append(&entry).unwrap();
        json!(EntryWire::from(entry.sealed()))
    };
    let proof = [kept(&first), kept(&post), kept(&claim)];
    let body = json!({ "entries": proof, "entry": claim.id().to_string() }).to_string();
    let reply = http::post(demo.address("a"), "/api/v1/registry/claims", &body).unwrap();
    assert_eq!(reply.status, 201, "{}", reply.text());
    thread::sleep(Duration::from_secs(1));
    for label in demo.members("eve") {
        let path = format!("blogs/eve/entries/{}/standing", post.id().path());
        let standing = demo.api(&label, &path);
        assert_eq!(standing.status, 404, "{label}: {}", standing.text());
    }
    demo.assert_no_panic();
}
