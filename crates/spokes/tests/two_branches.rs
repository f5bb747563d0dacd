//! Maria has two devices and one of them is behind: nothing is lost, and she can tidy up.

#![allow(clippy::unwrap_used, reason = "a story that breaks off says where")]

mod common;

use std::time::Duration;

use common::{
    author::{Author, Signed, article, draft},
    demo::Demo,
    http::{self, Reply},
    wait_for,
};
use serde_json::Value;
use spokes_log::draft::Says;

const AGREE_WITHIN: Duration = Duration::from_secs(45);

#[test]
fn branches_are_kept_shown_and_dissolved() {
    let demo = Demo::start();
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let members = demo.members("maria");
    maria.post(&demo, "a", "one", "The first.");
    let fork = maria.parent.clone();

    // The phone posts; the laptop has not heard of it and is told the head.
    let phone = maria.post(&demo, "a", "phone", "From the phone.");
    let laptop = draft(Says::Post(article("laptop")), "From the laptop.");
    let behind = maria.sign_behind(&laptop, fork.as_ref());
    let reply = maria.send(demo.address("a"), &behind).unwrap();
    assert_eq!((reply.status, reply.kind().as_str()), (409, "stale"));
    let head = reply.json()["head"].clone();
    assert_eq!(
        (head["id"].as_str(), head["sequence"].as_u64()),
        (Some(&*phone.id().to_string()), Some(2))
    );
    assert!(head["signed"].is_string());

    // The primary is silent; another member knows its head and says so, too.
    let fork = maria.parent.clone();
    let left = maria.sign_behind(
        &draft(Says::Post(article("left")), "One way."),
        fork.as_ref(),
    );
    let right = maria.sign_behind(
        &draft(Says::Post(article("right")), "Another way."),
        fork.as_ref(),
    );
    assert_eq!(maria.send(demo.address("a"), &left).unwrap().status, 201);
    wait_for("the member has it", AGREE_WITHIN, || {
        let tips = heads(&demo, &members[1]);
        tips.iter()
            .any(|tip| tip["id"] == left.id().to_string())
            .then_some(())
    });
    demo.pause("a");
    let brought = bring(&demo, &members[1], &right);
    assert_eq!(
        (brought.status, brought.kind().as_str()),
        (409, "stale"),
        "{}",
        brought.text()
    );
    demo.resume("a");

    let third = two_heads(&demo, &mut maria, &members);
    dissolve(&demo, &mut maria, &members, &third);
    demo.assert_no_panic();
}

/// `POST` to a member that is not the primary.
fn bring(demo: &Demo, label: &str, signed: &Signed) -> Reply {
    let to = demo.address(label);
    let more = [("Spokes-Refused-By", "a")];
    let path = "/api/v1/blogs/maria/entries";
    http::request(
        to,
        "POST",
        &to.to_string(),
        path,
        &more,
        signed.json.as_bytes(),
    )
    .unwrap()
}

fn heads(demo: &Demo, label: &str) -> Vec<Value> {
    let head = demo.api(label, "blogs/maria/head").json();
    head["heads"].as_array().cloned().unwrap_or_default()
}

/// The primary is killed with a post that nobody else has; meanwhile another member takes one.
fn two_heads(demo: &Demo, maria: &mut Author, members: &[String]) -> [Signed; 2] {
    let head = demo.api("a", "blogs/maria/head").json()["head"].clone();
    maria.parent = Some(maria.head(demo, "a", &head));
    let fork = maria.parent.clone();
    let mut says = |slug: &str| {
        let says = draft(Says::Post(article(slug)), &format!("Words of {slug}."));
        maria.sign_behind(&says, fork.as_ref())
    };
    let (here, there) = (says("here"), says("there"));
    wait_for("all members have the fork", AGREE_WITHIN, || {
        let at = |label: &String| heads(demo, label).iter().any(|tip| tip["id"] == head["id"]);
        members.iter().all(at).then_some(())
    });
    // The secondaries are down, so that only the primary has the one …
    members[1..].iter().for_each(|label| demo.kill(label));
    let accepted = maria.send(demo.address("a"), &here).unwrap();
    assert_eq!(
        (accepted.status, &accepted.json()["status"]),
        (202, &"accepted".into())
    );
    // … and it is dead before they are back, and one of them takes the other.
    demo.kill("a");
    members[1..].iter().for_each(|label| demo.restart(label));
    let taken = bring(demo, &members[1], &there);
    assert!(matches!(taken.status, 201 | 202), "{}", taken.text());
    demo.restart("a");
    let expected = [here.id().to_string(), there.id().to_string()];
    wait_for("both branches are everywhere", AGREE_WITHIN, || {
        let both = |label: &String| {
            let heads = heads(demo, label);
            heads.len() == 2
                && expected
                    .iter()
                    .all(|id| heads.iter().any(|tip| tip["id"] == **id))
        };
        members.iter().all(both).then_some(())
    });
    for label in members {
        assert_eq!(demo.http(label, "maria", "/here").status, 200);
        assert_eq!(demo.http(label, "maria", "/there").status, 200);
    }
    [here, there]
}

/// One entry behind one branch, instead of the other.
fn dissolve(demo: &Demo, maria: &mut Author, members: &[String], branches: &[Signed; 2]) {
    let mut says = draft(Says::Post(article("both")), "All of it.");
    says.instead_of.push(branches[1].id());
    maria.parent = Some(branches[0].place());
    maria.say(demo, "a", &says);
    wait_for("replicas agree", AGREE_WITHIN, || {
        let hidden = |label: &String| {
            demo.http(label, "maria", "/there").status == 404
                && demo.http(label, "maria", "/both").status == 200
                && demo.http(label, "maria", "/here").status == 200
        };
        members.iter().all(hidden).then_some(())
    });
    let archive = |label: &String| demo.http(label, "maria", "/feed.json").body;
    assert!(
        members
            .iter()
            .all(|label| archive(label) == archive(&members[0]))
    );
}
