//! Two people want one name at the same instant, through two spokes.

#![allow(clippy::unwrap_used, reason = "a story that breaks off says where")]

mod common;

use std::{
    sync::{Arc, Barrier},
    thread,
};

use common::{
    author::{Author, Signed, draft, now},
    demo::Demo,
    http, setting,
};
use serde_json::json;
use spokes_log::{
    draft::{Claim, Says},
    name::{BlogName, Hash},
};

#[test]
fn of_two_claims_exactly_one_wins() {
    let demo = Demo::start();
    let spokes = demo.labels();
    let (mut maria, mut nadia) = (Author::new("maria"), Author::new("nadia"));
    for turn in 0..setting("SPOKES_TEST_CLAIMS", 100) {
        let name = format!("wanted{turn}");
        (maria.name, nadia.name) = (name.clone(), name.clone());
        let claims = [&mut maria, &mut nadia].map(|a| a.first(&demo.network, &name, now() + 600));
        let through = [&spokes[turn % 5], &spokes[(turn + 1 + turn / 5 % 4) % 5]];
        let addresses = through.map(|label| demo.address(label));
        let replies = at_once(&name, addresses, &claims);
        let mut statuses = replies.clone().map(|(status, _)| status);
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{name}: {replies:?}");

        let winner = usize::from(replies[0].0 != 201);
        let loser = 1 - winner;
        assert!(replies[loser].1.contains("taken"), "{replies:?}");
        // A repeat gets the first answer, through whichever spoke.
        let again = at_once(&name, [addresses[1], addresses[0]], &claims);
        assert_eq!(again[winner].0, 201, "{again:?}");
        assert_ne!(again[loser].0, 201, "{again:?}");
        let held: serde_json::Value = serde_json::from_str(&replies[winner].1).unwrap();
        assert_eq!(
            held["blog"],
            claims[winner].id().to_string(),
            "the answer names the winner"
        );
        if turn % 20 == 0 {
            let loser = [&mut maria, &mut nadia].into_iter().nth(loser).unwrap();
            chooses_another(&demo, loser, &claims[1 - winner], &format!("other{turn}"));
        }
    }
    demo.assert_no_panic();
}

/// Sends both claims at the same instant.
fn at_once(
    name: &str,
    through: [std::net::SocketAddr; 2],
    claims: &[Signed; 2],
) -> [(u16, String); 2] {
    let start = Arc::new(Barrier::new(2));
    let send = |n: usize| {
        let (start, to) = (Arc::clone(&start), through[n]);
        let (path, body) = (
            format!("/api/v1/blogs/{name}/entries"),
            claims[n].json.clone(),
        );
        thread::spawn(move || {
            start.wait();
            let reply = http::post(to, &path, &body).unwrap_or_default();
            (reply.status, reply.text())
        })
    };
    [send(0), send(1)].map(|sent| sent.join().unwrap())
}

/// The loser keeps her blog and claims another name with the next entry (SPEC http 2.7).
fn chooses_another(demo: &Demo, loser: &mut Author, first: &Signed, name: &str) {
    let claim = Claim {
        name: BlogName::parse(name).unwrap(),
        network: Hash::parse(&demo.network).unwrap(),
        not_after: now() + 600,
    };
    let says = Says::Claim {
        claim,
        releases: None,
    };
    let claiming = loser.sign_behind(&draft(says, ""), Some(&first.place()));
    // Kept packets stand in their kept form, which the loser's tool makes as a spoke does.
    let entries = [first, &claiming].map(|signed| kept(signed, first));
    let body = json!({ "entries": entries, "entry": claiming.id().to_string() });
    let reply = http::post(
        demo.address("a"),
        "/api/v1/registry/claims",
        &body.to_string(),
    );
    let reply = reply.unwrap();
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.json()["name"], name);
    assert_eq!(reply.json()["blog"], first.id().to_string());
}

fn kept(signed: &Signed, first: &Signed) -> serde_json::Value {
    use spokes_log::{chain::Chain, seal::RawSignature};
    let wire: spokes::wire::EntryWire = serde_json::from_value(signed.wire()).unwrap();
    let raw = |wire: &spokes::wire::EntryWire| {
        RawSignature::parse_all(&wire.packets().unwrap()[0]).unwrap()
    };
    let mut chain = Chain::new(first.id());
    let zero: spokes::wire::EntryWire = serde_json::from_value(first.wire()).unwrap();
    let place = chain.place(&first.entry).unwrap();
    let sealed = place.seal(first.entry.clone(), &raw(&zero)).unwrap();
    chain.append(&sealed).unwrap();
    let place = chain.place(&signed.entry).unwrap();
    let sealed = place.seal(signed.entry.clone(), &raw(&wire)).unwrap();
    serde_json::to_value(spokes::wire::EntryWire::from(sealed.sealed())).unwrap()
}
