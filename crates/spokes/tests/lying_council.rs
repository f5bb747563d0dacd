//! One node of the council lies to spokes: what most of the others have counts.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{thread, time::Duration};

use common::{
    author::{Author, now},
    demo::Demo,
    http,
    rogue::StandIn,
    wait_for,
};
use spokes::{
    config,
    wire::{LogWire, RecordWire},
};
use spokes_log::name::Hash;
use spokes_rules::{
    health::{Load, Takes},
    node::{Label, Signed},
    registry::{Record, Registry},
    request::{Ask, Request, Wish},
};

/// The council is compared every ten seconds, one other node at a time.
const SETTLE: Duration = Duration::from_secs(60);

/// The whole log of a council node.
fn log(demo: &Demo, node: &str) -> Vec<Record> {
    let address = demo.node(node).address;
    let said = http::get(
        address,
        &address.to_string(),
        "/api/v1/registry/log?after=0",
    );
    let log: LogWire = serde_json::from_value(said.json()).unwrap();
    let records: Vec<_> = log.records.iter().map(|r| r.record().unwrap()).collect();
    assert_eq!(records.len() as u64, log.records_in_all);
    records
}

/// The log with one record more that nobody ordered; a spoke has signed it.
fn with_one_more(demo: &Demo, mut records: Vec<Record>) -> Vec<Record> {
    let mut registry = Registry::found(&records[0]).unwrap();
    for record in &records[1..] {
        registry.take(record).unwrap();
    }
    let key = config::secret_key(&demo.node("a").data.join("node.key")).unwrap();
    let ask = Ask {
        network: Some(Hash::parse(&demo.network).unwrap()),
        time: now(),
        what: Wish::Load {
            label: Label::parse("a").unwrap(),
            load: Load::FULL,
            takes: Takes::Held,
        },
    };
    let record = Record {
        index: registry.head().records,
        previous: registry.head().hash,
        time: now(),
        request: Request {
            signed: Signed::new(&key, &ask),
            proof: Vec::new(),
            statements: Vec::new(),
            word: None,
        },
    };
    registry.take(&record).unwrap();
    records.push(record);
    records
}

/// Answers as a council node would that has this log, and all others behind it.
fn shows(records: &[Record], path: &str) -> Option<Vec<u8>> {
    let after = path.strip_prefix("/api/v1/registry/log?after=")?;
    let after: usize = after.split('&').next()?.parse().unwrap_or(usize::MAX);
    let rest = records.get(after..).unwrap_or_default();
    if rest.is_empty() {
        // As one who waits for news, for a while.
        thread::sleep(Duration::from_millis(200));
    }
    let log = LogWire {
        records: rest.iter().map(RecordWire::from).collect(),
        records_in_all: records.len() as u64,
        confirmed: true,
        head: records.last().map(|record| record.hash().to_string()),
    };
    serde_json::to_vec(&log).ok()
}

#[test]
fn a_record_that_one_node_invents_stops_no_spoke() {
    let demo = Demo::start_with(3, &["--empty", "--council", "3"]);
    let _maria = Author::with_blog(&demo, "maria", "a");
    // Each node says its key of the zone by itself; what the liar invents is the next record behind that.
    let true_log = wait_for("all nodes have said their keys", SETTLE, || {
        let log = log(&demo, "council2");
        let text = |record: &&Record| record.request.signed.text.contains("\nKind: zone-key\n");
        (log.iter().filter(text).count() == 3).then_some(log)
    });
    let records = with_one_more(&demo, true_log.clone());
    let many = records.len() as u64;
    let liar = demo.node("council1").address;
    demo.kill("council1");
    // The others are slow for a moment, and whoever answers is followed.
    demo.pause("council2");
    demo.pause("council3");
    let told = records.clone();
    let _liar = StandIn::at(liar, move |path| shows(&told, path));
    let followed = |label: &str| demo.api(label, "status").json()["registry_records"].as_u64();
    for label in demo.labels() {
        wait_for("a spoke believes it", SETTLE, || {
            (followed(&label) == Some(many)).then_some(())
        });
    }
    demo.resume("council2");
    demo.resume("council3");

    // A name is given meanwhile; the liar goes on. Every spoke comes to know the name.
    let nadia = Author::new("nadia").first(&demo.network, "nadia", now() + 3_600);
    wait_for("a name is given", SETTLE, || {
        let claimed = http::post(
            demo.address("b"),
            "/api/v1/blogs/nadia/entries",
            &nadia.json,
        );
        claimed
            .is_some_and(|reply| reply.status == 201)
            .then_some(())
    });
    for label in demo.labels() {
        wait_for("it is known everywhere", SETTLE, || {
            (demo.api(&label, "blogs/nadia").status == 200).then_some(())
        });
        let said = demo.log(&label);
        assert!(said.contains("one council node showed records"), "{said}");
        // What is said of it is said once.
        assert!(said.matches("parts from this spoke").count() <= 1, "{said}");
    }
    assert!(log(&demo, "council2").starts_with(&true_log));
    demo.assert_no_panic();
}
