//! A blog moves to another set: what was safe stays safe, and the author goes on there.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use common::{
    author::{Author, article, draft, now},
    demo::Demo,
    http, wait_for,
};
use serde_json::json;
use spokes_log::{draft::Says, name::Hash};
use spokes_rules::{
    node::{Label, NodeSecret, Signed},
    request::{Ask, Wish},
};

const SETTLE: Duration = Duration::from_secs(20);

/// The council's address, and the organizer who may change sets.
fn organizer(demo: &Demo) -> (SocketAddr, NodeSecret) {
    let council = demo.node("council1");
    let hex = std::fs::read_to_string(council.data.join("organizer.key")).unwrap();
    let mut seed = [0; 32];
    for (n, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap();
    }
    (council.address, NodeSecret::from_seed(&seed))
}

fn close(demo: &Demo, blog: &str, epoch: u64, members: &[String]) {
    let (council, secret) = organizer(demo);
    let members = members.iter().map(|label| Label::parse(label).unwrap());
    let ask = Ask {
        network: Some(Hash::parse(&demo.network).unwrap()),
        time: now(),
        what: Wish::Close {
            blogs: vec![Hash::parse(blog).unwrap()],
            epoch,
            members: members.collect(),
        },
    };
    let signed = spokes::wire::SignedWire::from(&Signed::new(&secret, &ask));
    let body = json!({ "signed": signed, "proof": [], "statements": [] }).to_string();
    let reply = http::post(council, "/api/v1/registry/requests", &body).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[test]
fn a_blog_moves_and_nothing_that_was_safe_is_lost() {
    let demo = Demo::start();
    let mut maria = Author::with_blog(&demo, "maria", "a");
    for n in 0..5 {
        maria.post(&demo, "a", &format!("before-{n}"), "In the first house.");
    }
    let old = demo.members("maria");
    let others: Vec<String> = demo
        .labels()
        .into_iter()
        .filter(|label| !old.contains(label))
        .collect();
    // One member dies without a word; the blog goes to the two that had nothing, and to one of the old.
    demo.kill(&old[0]);
    let next = [others[0].clone(), others[1].clone(), old[1].clone()];
    let blog = demo.api(&old[1], "blogs/maria").json()["blog"].clone();
    close(&demo, blog.as_str().unwrap(), 1, &next);
    for label in &next {
        wait_for("the new set is open", SETTLE, || {
            let said = demo.api(label, "blogs/maria").json();
            (said["epoch"] == 2 && said["primary"] == *next[0]).then_some(())
        });
    }
    maria.post(&demo, &next[0], "after", "In the second house.");
    for label in &next {
        for slug in ["before-0", "before-4", "after"] {
            wait_for("every member has it", SETTLE, || {
                (demo.http(label, "maria", &format!("/{slug}")).status == 200).then_some(())
            });
        }
    }
    // Who comes back hears that it is no member any more, and holds up nobody.
    demo.restart(&old[0]);
    maria.post(&demo, &old[0], "through-the-old", "It passes on.");
    demo.assert_no_panic();
}

#[test]
fn an_author_who_writes_meanwhile_loses_nothing() {
    let demo = Demo::start();
    let labels = demo.labels();
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let blog = demo.api("a", "blogs/maria").json()["blog"].clone();
    let (over, safe) = (AtomicBool::new(false), AtomicUsize::new(0));
    let written = thread::scope(|scope| {
        let (demo, labels, over, safe) = (&demo, &labels, &over, &safe);
        let author = scope.spawn(move || {
            let mut written = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let slug = format!("post-{}", written.len());
                let says = draft(Says::Post(article(&slug)), "While the house moves.");
                maria.publish(demo, labels, says);
                written.push(slug);
                safe.store(written.len(), Ordering::Relaxed);
            }
            written
        });
        let moved = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for epoch in 1..=6 {
                let next: Vec<String> = (0..3)
                    .map(|n| labels[(2 * epoch + n) % labels.len()].clone())
                    .collect();
                close(demo, blog.as_str().unwrap(), epoch as u64, &next);
                wait_for("the next set is open", SETTLE, || {
                    let said = demo.api(&next[0], "blogs/maria").json();
                    (said["epoch"] == epoch as u64 + 1).then_some(())
                });
                // Two moves on top of each other, and then she is waited for.
                if epoch % 2 == 0 {
                    let before = safe.load(Ordering::Relaxed);
                    wait_for("she gets through", SETTLE, || {
                        (safe.load(Ordering::Relaxed) > before).then_some(())
                    });
                }
            }
        }));
        over.store(true, Ordering::Relaxed);
        moved.unwrap();
        author.join().unwrap()
    });
    eprintln!("{} posts through six moves", written.len());
    let members = demo.members("maria");
    for label in &members {
        for slug in &written {
            wait_for("every member has it", SETTLE, || {
                (demo.http(label, "maria", &format!("/{slug}")).status == 200).then_some(())
            });
        }
    }
    demo.assert_no_panic();
}
