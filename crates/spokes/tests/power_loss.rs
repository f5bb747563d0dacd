//! The power goes, at any instant and on any server: what was promised before is on the disk.
//!
//! A network of real processes works under `strace`. From what it asked of the system a model of its
//! disks is built, which keeps what was synced and, of the rest, whatever chance keeps. At random
//! points the disk is looked at: with SQLite, and with the program itself.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

#[path = "power_loss/blackout.rs"]
mod blackout;
mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use common::{
    Random,
    author::{Author, Signed, article, draft, now},
    demo::{answers, program},
    disk::{self, Deaf, Disk, Fate, Image},
    http, journal,
    pens::{Known, Story, play},
    recorded::{COUNCIL, COUNCIL_OF_THREE, Process, Recorded, SPOKES, data, is_council, serving},
    setting,
    trace::{Step, Trace},
    wait_for,
};
use rusqlite::Connection;
use spokes_log::{draft::Says, name::EntryId};

/// At so many points the disks are looked at.
const POINTS: usize = 200;
/// At so many of them by the program itself.
const STARTS: usize = 12;
/// A spoke is killed in the middle of what it writes, after some entries.
const KILLED_WRITING: &str = "inject=pwrite64:signal=SIGKILL:when=150";
/// A spoke is killed when it has written an entry and begins to sync it: behind the syncs of its start.
const KILLED_SYNCING: &str = "inject=fsync,fdatasync:signal=SIGKILL:when=30";
/// What may become of unsynced changes: all are lost, none, and twice as often what chance wants.
const FATES: usize = 4;
/// Losses that a failed test names.
const TOLD: usize = 12;
/// How long a started node and an entry may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Disks that do not hear a sync: of the database, of the folder of media, of the node's own folder.
const DEAF: &[(&str, Deaf)] = &[
    ("journals are never synced", |path| {
        path.to_str().is_some_and(|path| path.ends_with(".journal"))
    }),
    ("databases are never synced", |path| {
        path.to_str().is_some_and(|path| path.contains(".db"))
    }),
    ("names of media are never synced", |path| {
        path.ends_with("media")
    }),
    ("names of databases are never synced", |path| {
        path.ends_with("node")
    }),
];

// ---- what was promised -----------------------------------------------------------------------------

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum What {
    /// A spoke signed that it holds this entry and all before it.
    Held(String),
    /// A spoke said that it keeps this entry aside until its media come.
    Staged(String),
    /// A node of the council gave out the record of this place.
    Record(u64),
    /// The council said that it has taken a request as the record of this place.
    Taken(u64),
    /// A file that the network or an operator now relies on.
    File(&'static str),
}

/// A promise, and the step at which its bytes begin to leave.
#[derive(Clone, Debug)]
struct Promise {
    at: usize,
    what: What,
}

fn promises(label: &str, trace: &Trace, story: &Story) -> Vec<Promise> {
    // A spoke that passes on what the primary said promises nothing itself.
    let own = |what: &What| match what {
        What::Staged(id) => story[id].primary == label,
        _ => true,
    };
    let mut found = Vec::new();
    let mut once = BTreeSet::new();
    for (at, bytes) in trace.sent() {
        let text = String::from_utf8_lossy(bytes);
        for what in said(label, &text).into_iter().filter(own) {
            if once.insert(what.clone()) {
                found.push(Promise { at, what });
            }
        }
    }
    found
}

/// What one message promises.
fn said(label: &str, text: &str) -> Vec<What> {
    let mut found = Vec::new();
    if is_council(label) {
        let index = |behind: &str| {
            let digits = behind.split(|c: char| !c.is_ascii_digit()).next();
            digits.unwrap().parse().unwrap()
        };
        let indexes = text.split("\"index\":").skip(1).map(index);
        // Whoever passes an answer of the leader on has the record itself a little later.
        let gives = text.contains("\"records_in_all\":") || text.contains("\"previous\":");
        let what = if gives { What::Record } else { What::Taken };
        found.extend(indexes.map(what));
        if text.contains(" is founded: ") {
            found.push(What::Record(0));
            found.extend(["config.toml", "node.key", "organizer.key"].map(What::File));
        }
        return found;
    }
    for receipt in text.split("Spokes-Held: 1\\n").skip(1) {
        let field = |name: &str| {
            receipt
                .split("\\n")
                .find_map(|line| line.strip_prefix(name))
        };
        if field("Spoke: ") == Some(label) {
            found.push(What::Held(field("Entry: ").unwrap().to_owned()));
        }
    }
    if let Some((_, behind)) = text.split_once("\"status\":\"staged\",\"id\":\"") {
        found.push(What::Staged(behind.split('"').next().unwrap().to_owned()));
    }
    // The registry will know this spoke by its key alone.
    if text.starts_with("POST /api/v1/registry/requests") {
        found.push(What::File("node.key"));
    }
    if text.contains(" asked to join ") {
        found.push(What::File("config.toml"));
    }
    found
}

// ---- looking at a disk -----------------------------------------------------------------------------

/// A node, what it did, and what it promised.
struct Witness {
    label: String,
    /// The texts of the council's records, by their places.
    records: Vec<String>,
    address: SocketAddr,
    root: std::path::PathBuf,
    trace: Trace,
    promises: Vec<Promise>,
}

fn witnesses(network: &mut Recorded, story: &Story) -> Vec<Witness> {
    let log = network.get(COUNCIL, "/api/v1/registry/log?after=0").json();
    let records = log["records"].as_array().unwrap();
    let text = |record: &serde_json::Value| {
        let text = record["request"]["signed"]["text"].as_str();
        text.unwrap().to_owned()
    };
    let records: Vec<String> = records.iter().map(text).collect();
    assert_eq!(
        records.len() as u64,
        log["records_in_all"].as_u64().unwrap()
    );
    let traces = network.end().into_iter();
    let witness = |(label, trace): (String, Trace)| {
        let promises = promises(&label, &trace, story);
        eprintln!(
            "{label}: {} steps, {} promises",
            trace.steps.len(),
            promises.len()
        );
        let node = &network.nodes[&label];
        let (address, root) = (node.address, node.disk.clone());
        Witness {
            label,
            records: records.clone(),
            address,
            root,
            trace,
            promises,
        }
    };
    traces.map(witness).collect()
}

/// A majority of the spokes signed for each entry that an author was told is safe.
fn every_safe_entry_was_promised(witnesses: &[Witness], story: &Story) {
    let mut signed: BTreeMap<String, usize> = BTreeMap::new();
    for witness in witnesses {
        let all: Vec<&What> = witness
            .promises
            .iter()
            .map(|promise| &promise.what)
            .collect();
        for id in ancestors(&all, story) {
            *signed.entry(id).or_default() += 1;
        }
    }
    for id in story.keys() {
        assert!(
            signed.get(id).is_some_and(|by| *by > SPOKES.len() / 2),
            "{id}: {signed:?}"
        );
    }
}

/// A file without the lines that a node keeps current in its config as the council changes.
fn settings(bytes: &[u8]) -> Vec<&[u8]> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let kept = [b"network = ".as_slice(), b"council_keys = "];
    lines
        .filter(|line| !kept.iter().any(|kept| line.starts_with(kept)))
        .collect()
}

/// What of the promises is not kept by the disk in this folder.
fn losses(witness: &Witness, promised: &[&What], folder: &Path, story: &Story) -> Vec<String> {
    let node = data(folder);
    let mut lost = Vec::new();
    for what in promised {
        if let What::File(name) = what {
            let right = std::fs::read(data(&witness.root).join(name)).unwrap();
            let held = std::fs::read(node.join(name)).ok();
            let is_whole = held.is_some_and(|held| match is_council(&witness.label) {
                true => settings(&held) == settings(&right),
                false => held == right,
            });
            if !is_whole {
                lost.push(format!("{name} is not what it was"));
            }
        }
    }
    if is_council(&witness.label) {
        let held = journal::requests(&node.join("registry.journal"));
        let missing = |what: &&&What| matches!(what, What::Record(n) if !held.contains(&witness.records[*n as usize]));
        let missing = promised.iter().filter(missing);
        lost.extend(missing.map(|what| format!("{what:?} is not in the journal")));
        return lost;
    }
    let in_database = |what: &&What| !matches!(what, What::File(_));
    if !promised.iter().any(in_database) {
        return lost;
    }
    match rows(&node.join("spoke.db")) {
        Ok(rows) => lost.extend(entries_lost(&rows, promised, &node, story)),
        Err(error) => lost.push(format!("spoke.db: {error}")),
    }
    lost
}

#[derive(Debug)]
struct Rows {
    /// Texts by their ids.
    entries: BTreeMap<String, String>,
    staged: BTreeSet<String>,
}

fn rows(path: &Path) -> Result<Rows, rusqlite::Error> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let db = Connection::open_with_flags(path, flags)?;
    let whole: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if whole != "ok" {
        return Err(rusqlite::Error::InvalidColumnName(whole));
    }
    let mut statement = db.prepare("SELECT id, text FROM entry")?;
    let pairs = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let entries = pairs.collect::<Result<_, _>>()?;
    let mut statement = db.prepare("SELECT id FROM staged")?;
    let staged = statement
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(Rows { entries, staged })
}

/// The entries that receipts speak for: those that they name, and all before them.
fn ancestors(promised: &[&What], story: &Story) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for what in promised {
        let What::Held(id) = what else { continue };
        let mut next = Some(id.clone());
        while let Some(id) = next.filter(|id| all.insert(id.clone())) {
            let previous = story[&id].signed.entry.skeleton().previous;
            next = previous.map(|id| id.to_string());
        }
    }
    all
}

fn entries_lost(rows: &Rows, promised: &[&What], node: &Path, story: &Story) -> Vec<String> {
    let mut lost = Vec::new();
    for what in promised {
        let here = |id: &String| rows.staged.contains(id) || rows.entries.contains_key(id);
        if matches!(what, What::Staged(id) if !here(id)) {
            lost.push(format!("{what:?}"));
        }
    }
    let erasers = rows.entries.keys().filter_map(|id| story.get(id));
    let erased: BTreeSet<String> = erasers
        .flat_map(|known| known.erases.iter().map(EntryId::to_string))
        .collect();
    for id in ancestors(promised, story) {
        let known = &story[&id];
        let text = known.signed.entry.text();
        let skeleton = text
            .split_once("\n\n")
            .map_or(text, |(skeleton, _)| skeleton);
        let right = if erased.contains(&id) { skeleton } else { text };
        match rows.entries.get(&id) {
            None => lost.push(format!("{id} of {} is not there", known.blog)),
            Some(found) if found != right => lost.push(format!("{id} is altered")),
            Some(_) => {}
        }
        let media = known.media.iter().filter(|_| !erased.contains(&id));
        for (hash, bytes) in media {
            let path = node.join("media").join(hash.path());
            if std::fs::read(path).ok().as_ref() != Some(bytes) {
                lost.push(format!("the medium {hash} of {id} is not there"));
            }
        }
    }
    lost
}

// ---- at random points ------------------------------------------------------------------------------

#[derive(Clone, Debug)]
struct Point {
    at: usize,
    /// 0: nothing that was not synced, 1: everything, else by chance.
    fate: usize,
    seed: usize,
}

impl Point {
    fn fate(&self) -> Fate {
        match self.fate {
            0 => Fate::Nothing,
            1 => Fate::Everything,
            _ => Fate::Chance(Random::new(self.seed as u64)),
        }
    }
}

/// Random instants, every other one where a promise just leaves.
fn points(witness: &Witness, count: usize, random: &mut Random) -> Vec<Point> {
    let mut points: Vec<Point> = (0..count)
        .map(|n| {
            let mut at = random.below(witness.trace.steps.len());
            let next = witness
                .promises
                .iter()
                .map(|promise| promise.at)
                .find(|place| *place > at);
            if n % 2 == 0 {
                at = next.unwrap_or(at);
            }
            let (fate, seed) = (n / 2 % FATES, random.below(1 << 40));
            Point { at, fate, seed }
        })
        .collect();
    points.sort_by_key(|point| point.at);
    points
}

/// The images at some points, and what was promised by then.
fn images<'a>(
    witness: &'a Witness,
    points: &'a [Point],
    deaf: Deaf,
) -> impl Iterator<Item = (&'a Point, Image, Vec<&'a What>)> {
    let mut disk = Disk::new(&witness.root, deaf);
    let mut done = 0;
    points.iter().map(move |point| {
        for step in &witness.trace.steps[done..=point.at] {
            disk.take(&witness.trace, *step);
        }
        done = point.at + 1;
        let by_then = witness
            .promises
            .iter()
            .filter(|promise| promise.at <= point.at);
        let promised = by_then.map(|promise| &promise.what).collect();
        (point, disk.image(&mut point.fate()), promised)
    })
}

/// Looks at the disk of one node at all points; what was lost, and how often.
fn lost_at(witness: &Witness, points: &[Point], deaf: Deaf, story: &Story) -> Vec<String> {
    let mut all = Vec::new();
    for (point, image, promised) in images(witness, points, deaf) {
        let folder = tempfile::tempdir().unwrap();
        disk::write(&image, folder.path());
        let lost = losses(witness, &promised, folder.path(), story);
        let label = &witness.label;
        all.extend(
            lost.iter()
                .map(|what| format!("{label} at {point:?}: {what}")),
        );
    }
    all
}

// ---- by the program itself -------------------------------------------------------------------------

fn begin(witness: &Witness, folder: &Path, said: &Path) -> Process {
    let mut command = Command::new(program());
    let command = command
        .args(serving(&witness.label))
        .arg("--until-stdin-closes");
    Process::begin(command.arg("--dir").arg(data(folder)), said)
}

/// Starts the program on what the power left; it must begin, complain of nothing, and serve.
fn starts(witness: &Witness, image: &Image, promised: &[&What], story: &Story) {
    let folder = tempfile::tempdir().unwrap();
    disk::write(image, folder.path());
    let said = folder.path().join("said.log");
    let process = begin(witness, folder.path(), &said);
    let to = witness.address;
    let label = &witness.label;
    wait_for("it starts on what is left", PATIENCE, || {
        answers(to).then_some(())
    });
    let get = |path: &str| http::get(to, &to.to_string(), path);
    let mut erased = BTreeSet::new();
    for id in ancestors(promised, story) {
        let known = &story[&id];
        erased.extend(known.erases.iter().map(EntryId::to_string));
        let path = format!("/api/v1/entries/{}", known.signed.id().path());
        let reply = get(&path);
        assert_eq!(reply.status, 200, "{label} {id}: {}", reply.text());
    }
    for id in ancestors(promised, story) {
        let known = &story[&id];
        for (hash, bytes) in known.media.iter().filter(|_| !erased.contains(&id)) {
            let reply = get(&format!("/media/{}", hash.path()));
            // An erase that is durable works before anybody was promised it.
            let entry = get(&format!("/api/v1/entries/{}", known.signed.id().path()));
            let is_erased = entry.json()["signatures"].as_array().unwrap().is_empty();
            let mut all = story.values().flat_map(|other| &other.erases);
            if is_erased && all.any(|erased| *erased == known.signed.id()) {
                continue;
            }
            assert!(reply.body == *bytes, "{label} {hash}: {}", reply.status);
        }
    }
    assert!(process.end().success());
    let said = std::fs::read_to_string(said).unwrap();
    for bad in ["ERROR", "altered", "add up", "fits nowhere", "panicked"] {
        assert!(!said.contains(bad), "{label} says \"{bad}\": {said}");
    }
}

// ---- in the record itself --------------------------------------------------------------------------

/// Each receipt leaves after a sync of the log that the entry was written to has returned.
fn syncs_come_first(witness: &Witness, story: &Story) -> usize {
    let mut synced: BTreeSet<&str> = BTreeSet::new();
    let mut written: BTreeSet<&str> = BTreeSet::new();
    let mut syncing: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    let mut logs: BTreeSet<i64> = BTreeSet::new();
    // An entry with media was written before, when it was put aside: its own write cannot be told.
    let plain = |id: &&String| story[*id].media.is_empty();
    let ids: Vec<(&str, &[u8])> = story
        .keys()
        .filter(plain)
        .map(|id| (id.as_str(), id.as_bytes()))
        .collect();
    let mut receipts = 0;
    for (at, step) in witness.trace.steps.iter().enumerate() {
        match *step {
            Step::Starts => logs.clear(),
            Step::Begins(call) => {
                let sync = &witness.trace.calls[call];
                if sync.is_sync() && logs.contains(&sync.number(0)) {
                    syncing.insert(call, written.clone());
                }
            }
            Step::Ends(place) => {
                let call = &witness.trace.calls[place];
                let result = call.result.unwrap_or(-1);
                match call.name.as_str() {
                    "openat" if call.string(0).ends_with(b".db-wal") => drop(logs.insert(result)),
                    "openat" => drop(logs.remove(&result)),
                    "pwrite64" if logs.contains(&call.number(0)) => {
                        let new = ids.iter().filter(|(_, id)| contains(call.string(0), id));
                        written.extend(new.map(|(id, _)| *id));
                    }
                    _ => {}
                }
                if result == 0
                    && let Some(covered) = syncing.remove(&place)
                {
                    synced.extend(covered);
                }
            }
        }
        for promise in witness.promises.iter().filter(|promise| promise.at == at) {
            if let What::Held(id) = &promise.what
                && plain(&id)
            {
                let label = &witness.label;
                assert!(
                    synced.contains(id.as_str()),
                    "{label} signed for {id} before its sync"
                );
                receipts += 1;
            }
        }
    }
    receipts
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    // Names are looked for: few bytes are the first of one.
    let starts = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == what[0]);
    starts
        .into_iter()
        .any(|(at, _)| bytes[at..].starts_with(what))
}

/// What the model says was written is what stands on the real disk.
fn is_true_to_the_disk(witness: &Witness) {
    let at = witness.trace.steps.len() - 1;
    let point = [Point {
        at,
        fate: 1,
        seed: 0,
    }];
    let (_, image, _) = images(witness, &point, |_| false).next().unwrap();
    for (path, bytes) in image
        .iter()
        .filter_map(|(path, bytes)| Some((path, bytes.as_ref()?)))
    {
        let real = std::fs::read(witness.root.join(path)).unwrap_or_default();
        let name = path.display();
        assert!(
            real == *bytes,
            "{} {name} differs from the model",
            witness.label
        );
    }
}

#[test]
fn no_disk_lacks_what_was_promised() {
    let seed = setting("SPOKES_TEST_SEED", 20_261_125);
    eprintln!("seed {seed}, {POINTS} points");
    let began = Instant::now();
    let mut network = Recorded::begin(&COUNCIL_OF_THREE, &SPOKES, ("c", KILLED_WRITING));
    let story = play(&mut network, "c", seed);
    let witnesses = witnesses(&mut network, &story);
    eprintln!(
        "{} entries were safe after {:?}",
        story.len(),
        began.elapsed()
    );
    every_safe_entry_was_promised(&witnesses, &story);
    witnesses.iter().for_each(is_true_to_the_disk);
    for witness in witnesses
        .iter()
        .filter(|witness| !is_council(&witness.label))
    {
        let receipts = syncs_come_first(witness, &story);
        assert!(receipts > 0, "{} signed nothing", witness.label);
    }
    let mut random = Random::new(seed as u64);
    let each = POINTS / witnesses.len();
    let points: Vec<Vec<Point>> = witnesses
        .iter()
        .map(|witness| points(witness, each, &mut random))
        .collect();
    let look = |deaf: Deaf, fates: usize| -> Vec<String> {
        let all = witnesses.iter().zip(&points).flat_map(|(witness, points)| {
            let some = points.iter().filter(|point| point.fate < fates);
            lost_at(witness, &some.cloned().collect::<Vec<_>>(), deaf, &story)
        });
        all.collect()
    };
    let lost = look(|_| false, FATES);
    let some = lost
        .iter()
        .take(TOLD)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(lost.is_empty(), "{} losses, among them\n{some}", lost.len());
    eprintln!("looked at all points after {:?}", began.elapsed());
    // The same story on disks that forget to sync: this test would see it.
    for (what, deaf) in DEAF {
        let lost = look(*deaf, 1);
        eprintln!("{what}: {} losses", lost.len());
        assert!(!lost.is_empty(), "{what}: nobody noticed");
    }
    blackout::all_lose_power_at_once(&witnesses, &mut random);
    let mut started = 0;
    let pairs = witnesses.iter().zip(&points);
    // A node of the council alone knows of nothing that it is agreed on.
    for (witness, points) in pairs.filter(|(witness, _)| !is_council(&witness.label)) {
        let every = each / (STARTS / witnesses.len());
        let images = images(witness, points, |_| false);
        let some = images.enumerate().filter(|(n, _)| n % every == every - 1);
        for (_, (_, image, promised)) in some.filter(|(_, (.., promised))| !promised.is_empty()) {
            starts(witness, &image, &promised, &story);
            started += 1;
        }
    }
    assert!(started >= STARTS / 2, "it was started {started} times only");
    eprintln!("{started} started; done after {:?}", began.elapsed());
}

#[test]
fn a_spoke_killed_before_a_sync_makes_up_for_it() {
    let mut network = Recorded::begin(&[COUNCIL], &SPOKES[..1], ("a", KILLED_SYNCING));
    let to = network.nodes["a"].address;
    let mut author = Author::new("maria");
    let mut known = Vec::new();
    let mut say = |author: &mut Author, signed: Signed| {
        let safe = author
            .send(to, &signed)
            .is_some_and(|reply| reply.status == 201);
        author.parent = Some(signed.place());
        let (blog, primary) = ("maria".to_owned(), "a".to_owned());
        let (media, erases) = (Vec::new(), Vec::new());
        known.push(Known {
            signed,
            blog,
            primary,
            media,
            erases,
        });
        safe
    };
    let first = author.first(&network.network, "maria", now() + 3_600);
    assert!(say(&mut author, first));
    let last = (0..100).find_map(|n| {
        let post = author.sign(&draft(Says::Post(article(&format!("post-{n}"))), "Words."));
        (!say(&mut author, post.clone())).then_some(post)
    });
    network.ended("a");
    network.serve("a", None);
    // It was written, but not synced. The spoke finds it, and says that it is safe.
    let last = last.unwrap();
    let id = last.id().to_string();
    wait_for("it is safe", PATIENCE, || {
        (author.send(to, &last)?.status == 201).then_some(())
    });
    let story: Story = known
        .into_iter()
        .map(|known| (known.signed.id().to_string(), known))
        .collect();
    let witnesses = witnesses(&mut network, &story);
    let spoke = witnesses
        .iter()
        .find(|witness| witness.label == "a")
        .unwrap();
    let promise = spoke
        .promises
        .iter()
        .find(|promise| promise.what == What::Held(id.clone()));
    let at = promise.unwrap().at;
    let point = Point {
        at,
        fate: 0,
        seed: 0,
    };
    let lost = lost_at(spoke, &[point], |_| false, &story);
    assert!(lost.is_empty(), "{lost:?}");
}
