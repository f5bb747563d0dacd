//! What authors and readers meet with when servers die, hang, or are cut off: a whole network of machines
//! with addresses of their own, met with blows, and watched.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

#[path = "../common/mod.rs"]
mod common;
mod names;
mod network;
mod readers;
mod row;
mod stories;
mod tale;
mod tool;
mod watch;
mod world;
mod writers;

use std::{net::Ipv4Addr, time::Duration};

use common::setting;
use row::{HEAD, Row, line};
use stories::Story;
use world::{Cut, Machine, World, apart, inside};

/// Longer than any story that goes well.
const STORY_MAX: Duration = Duration::from_secs(280);

#[test]
fn cuts_cut_as_they_say() {
    if inside().is_none() {
        apart("cuts_cut_as_they_say", "cuts", Duration::from_secs(60));
        return;
    }
    let machine = |name: &str, last| Machine {
        name: name.to_owned(),
        ip: Ipv4Addr::new(10, 77, 1, last),
    };
    let (oak, elm) = (machine("oak", 1), machine("elm", 2));
    let world = World::new(vec![oak.clone(), elm.clone()]);
    let ways = |world: &World| {
        [world.here(), &elm].map(|other| {
            let out = world.reaches(&oak, other);
            (out, world.reaches(other, &oak))
        })
    };
    assert_eq!(ways(&world), [(true, true); 2]);
    for (cut, way) in [
        (Cut::Both, (false, false)),
        (Cut::Out, (false, true)),
        (Cut::In, (true, false)),
    ] {
        world.cut(&oak, cut);
        assert_eq!(ways(&world), [way; 2], "{cut:?}");
        assert!(world.reaches(world.here(), &elm), "the others are whole");
        world.mend(&oak);
        assert_eq!(ways(&world), [(true, true); 2], "{cut:?}, mended");
    }
}

#[test]
fn authors_and_readers_go_on_when_a_primary_is_killed() {
    once(
        "authors_and_readers_go_on_when_a_primary_is_killed",
        &stories::primary_killed().shortened(),
    );
}

#[test]
fn authors_and_readers_go_on_when_a_primary_hangs() {
    once(
        "authors_and_readers_go_on_when_a_primary_hangs",
        &stories::primary_paused().shortened(),
    );
}

/// Every story, so often as `SPOKES_FAULTS_RUNS` says; those whose name holds `SPOKES_FAULTS_ONLY`.
#[test]
fn every_fault_as_often_as_asked() {
    const TEST: &str = "every_fault_as_often_as_asked";
    if let Some((home, name)) = inside() {
        let all = stories::all();
        let story = all.iter().find(|story| slug(story) == name).unwrap();
        tale::tell(&home, story);
        return;
    }
    let runs = setting("SPOKES_FAULTS_RUNS", 0);
    if runs == 0 {
        eprintln!("skipped: it takes a quarter of an hour; CONTRIBUTING.md says how to run it");
        return;
    }
    let only = std::env::var("SPOKES_FAULTS_ONLY").unwrap_or_default();
    let (mut table, mut broken) = (HEAD.to_owned(), Vec::new());
    for story in stories::all().iter().filter(|s| s.name.contains(&only)) {
        let rows: Vec<Row> = (0..runs)
            .filter_map(|_| apart(TEST, &slug(story), STORY_MAX))
            .map(|row| serde_json::from_str(&row).unwrap())
            .collect();
        if rows.is_empty() {
            return;
        }
        table = format!("{table}\n{}", line(&rows));
        eprintln!("{table}");
        for row in &rows {
            broken.extend(
                row.broken()
                    .into_iter()
                    .map(|why| format!("{}: {why}", row.story)),
            );
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// One story, once, with its promises kept.
fn once(test: &str, story: &Story) {
    if let Some((home, _)) = inside() {
        tale::tell(&home, story);
        return;
    }
    let Some(row) = apart(test, &slug(story), STORY_MAX) else {
        return;
    };
    let row: Row = serde_json::from_str(&row).unwrap();
    eprintln!("{HEAD}\n{}", line(std::slice::from_ref(&row)));
    let broken = row.broken();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn slug(story: &Story) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    story.name.chars().map(letter).collect()
}
