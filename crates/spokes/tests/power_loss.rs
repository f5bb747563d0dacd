//! The power goes, at any instant and on any server: what was promised before is on the disk.
//!
//! A network of real processes works under `strace`. From what it asked of the system a model of its
//! disks is built, which keeps what was synced and, of the rest, whatever chance keeps. At random
//! points the disk is looked at: with SQLite, and with the program itself.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use common::{
    Random,
    author::{Author, Signed, article, draft, now, picture, put},
    demo::{answers, program},
    disk::{self, Deaf, Disk, Fate, Image},
    http,
    recorded::{COUNCIL, Process, Recorded, SPOKES, data},
    setting,
    trace::Trace,
    wait_for,
};
use rusqlite::Connection;
use spokes_log::{
    draft::{Article, Claim, Says},
    name::{BlogName, EntryId, Hash},
};

/// At so many points the disks are looked at.
const POINTS: usize = 200;
/// At so many of them by the program itself.
const STARTS: usize = 12;
/// One spoke is killed when it has written and begins its nth sync of entries.
const KILLED: &str = "inject=fsync,fdatasync:signal=SIGKILL:when=14";
/// Losses that a failed test names.
const TOLD: usize = 12;
const AUTHORS: [&str; 3] = ["maria", "nadia", "olga"];
/// How long an author goes on sending one entry.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// What the authors know of an entry that was called safe.
struct Known {
    signed: Signed,
    blog: String,
    /// The spoke that takes her entries.
    primary: String,
    media: Vec<(Hash, Vec<u8>)>,
    erases: Vec<EntryId>,
}

type Story = BTreeMap<String, Known>;

// ---- the story -------------------------------------------------------------------------------------

/// An author at work, through whichever spoke answers.
struct Pen {
    author: Author,
    spokes: Vec<SocketAddr>,
    random: Random,
    network: String,
    primary: String,
    known: Vec<Known>,
}

impl Pen {
    fn any(&mut self) -> SocketAddr {
        self.spokes[self.random.below(self.spokes.len())]
    }

    /// Sends until it is safe; brings the media when they are asked for.
    fn deliver(&mut self, signed: Signed, media: Vec<(Hash, Vec<u8>)>, erases: Vec<EntryId>) {
        let until = Instant::now() + PATIENCE;
        loop {
            let to = self.any();
            let reply = self.author.send(to, &signed).unwrap_or_default();
            match reply.status {
                201 => break,
                202 if !reply.json()["missing_media"].is_null() => {
                    for (hash, bytes) in &media {
                        put(to, &self.author.name, *hash, bytes);
                    }
                }
                0 | 202 | 502 | 503 | 504 => thread::sleep(PAUSE),
                status => panic!("{status} {}", reply.text()),
            }
            assert!(Instant::now() < until, "not safe in time: {}", reply.text());
        }
        self.author.parent = Some(signed.place());
        let blog = self.author.name.clone();
        let primary = self.primary.clone();
        self.known.push(Known {
            signed,
            blog,
            primary,
            media,
            erases,
        });
    }

    fn say(&mut self, says: Says, body: &str, media: Vec<(Hash, Vec<u8>)>) -> EntryId {
        let erases = match &says {
            Says::Erase { erases } => erases.clone(),
            _ => Vec::new(),
        };
        let signed = self.author.sign(&draft(says, body));
        let id = signed.id();
        self.deliver(signed, media, erases);
        id
    }

    /// A name of her own, then everything that an author does.
    fn write(mut self) -> Vec<Known> {
        let name = self.author.name.clone();
        let first = self.author.first(&self.network, &name, now() + 3_600);
        self.deliver(first, Vec::new(), Vec::new());
        let (to, path) = (self.any(), format!("/api/v1/blogs/{name}"));
        let blog = http::get(to, &to.to_string(), &path).json();
        blog["primary"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.primary);
        let short = self.say(Says::Post(article("short")), "A few words.", Vec::new());
        let long = "Many words.\n".repeat(1_500);
        self.say(Says::Post(article("long")), long.trim_end(), Vec::new());
        let secret = self.with_picture("secret", 1);
        for n in 0..4 {
            self.with_picture(&format!("album-{n}"), 1 + n % 3);
            self.say(
                Says::Page(article(&format!("page-{n}"))),
                "A page.",
                Vec::new(),
            );
        }
        let edit = Article {
            replaces: Some(short),
            ..article("short")
        };
        self.say(Says::Post(edit), "Other words.", Vec::new());
        self.say(
            Says::Erase {
                erases: vec![secret],
            },
            "",
            Vec::new(),
        );
        for n in 0..6 {
            self.say(
                Says::Post(article(&format!("post-{n}"))),
                "Words.\n".repeat(n * 90 + 1).trim_end(),
                Vec::new(),
            );
        }
        let claim = Claim {
            name: BlogName::parse(&format!("{name}2")).unwrap(),
            network: Hash::parse(&self.network).unwrap(),
            not_after: now() + 3_600,
        };
        self.say(
            Says::Claim {
                claim,
                releases: None,
            },
            "",
            Vec::new(),
        );
        self.say(Says::Post(article("last")), "The last words.", Vec::new());
        self.known
    }

    fn with_picture(&mut self, slug: &str, pictures: usize) -> EntryId {
        let mut post = article(slug);
        let mut media = Vec::new();
        for n in 0..pictures {
            let word = format!("{slug} {n} of {} ", self.author.name).repeat(300 * (n + 1));
            let (bytes, medium) = picture(&word);
            media.push((medium.hash, bytes));
            post.media.push(medium);
        }
        self.say(Says::Post(post), "With pictures.", media)
    }
}

/// Authors write, through a spoke that dies at one of its syncs and comes back.
fn play(network: &mut Recorded, seed: usize) -> Story {
    let spokes: Vec<SocketAddr> = SPOKES.map(|label| network.nodes[label].address).into();
    let id = network.network.clone();
    let pens = AUTHORS.iter().enumerate().map(|(n, name)| Pen {
        author: Author::new(name),
        spokes: spokes.clone(),
        random: Random::new((seed + n) as u64 * 7_919),
        network: id.clone(),
        primary: String::new(),
        known: Vec::new(),
    });
    let pens: Vec<Pen> = pens.collect();
    let known = thread::scope(|scope| {
        let writing: Vec<_> = pens
            .into_iter()
            .map(|pen| scope.spawn(|| pen.write()))
            .collect();
        network.ended("c");
        network.serve("c", None);
        let written = writing
            .into_iter()
            .flat_map(|author| author.join().unwrap());
        written.collect::<Vec<Known>>()
    });
    known
        .into_iter()
        .map(|known| (known.signed.id().to_string(), known))
        .collect()
}

// ---- what was promised -----------------------------------------------------------------------------

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum What {
    /// A spoke signed that it holds this entry and all before it.
    Held(String),
    /// A spoke said that it keeps this entry aside until its media come.
    Staged(String),
    /// The council gave out the record of this place.
    Record(u64),
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
    if label == COUNCIL {
        for behind in text.split("\"index\":").skip(1) {
            let digits = behind.split(|c: char| !c.is_ascii_digit()).next().unwrap();
            found.push(What::Record(digits.parse().unwrap()));
        }
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
    address: SocketAddr,
    root: std::path::PathBuf,
    trace: Trace,
    promises: Vec<Promise>,
}

/// What of the promises is not kept by the disk in this folder.
fn losses(witness: &Witness, promised: &[&What], folder: &Path, story: &Story) -> Vec<String> {
    let node = data(folder);
    let mut lost = Vec::new();
    for what in promised {
        if let What::File(name) = what {
            let right = std::fs::read(data(&witness.root).join(name)).unwrap();
            if std::fs::read(node.join(name)).ok() != Some(right) {
                lost.push(format!("{name} is not what it was"));
            }
        }
    }
    let file = if witness.label == COUNCIL {
        "registry.db"
    } else {
        "spoke.db"
    };
    let in_database = |what: &&What| !matches!(what, What::File(_));
    if !promised.iter().any(|what| in_database(what)) {
        return lost;
    }
    match rows(&node.join(file), witness.label == COUNCIL) {
        Ok(rows) if witness.label == COUNCIL => lost.extend(records_lost(&rows, promised)),
        Ok(rows) => lost.extend(entries_lost(&rows, promised, &node, story)),
        Err(error) => lost.push(format!("{file}: {error}")),
    }
    lost
}

#[derive(Debug)]
struct Rows {
    /// Texts by their ids.
    entries: BTreeMap<String, String>,
    staged: BTreeSet<String>,
    records: BTreeSet<u64>,
}

fn rows(path: &Path, council: bool) -> Result<Rows, rusqlite::Error> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let db = Connection::open_with_flags(path, flags)?;
    let whole: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    assert_eq!(whole, "ok", "{}", path.display());
    let mut records = db.prepare("SELECT place FROM record")?;
    let records = records
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let (mut entries, mut staged) = (BTreeMap::new(), BTreeSet::new());
    if !council {
        let mut statement = db.prepare("SELECT id, text FROM entry")?;
        let pairs = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        entries = pairs.collect::<Result<_, _>>()?;
        let mut statement = db.prepare("SELECT id FROM staged")?;
        staged = statement
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
    }
    Ok(Rows {
        entries,
        staged,
        records,
    })
}

fn records_lost(rows: &Rows, promised: &[&What]) -> Vec<String> {
    let missing = |what: &&&What| matches!(what, What::Record(n) if !rows.records.contains(n));
    promised
        .iter()
        .filter(missing)
        .map(|what| format!("{what:?}"))
        .collect()
}

fn entries_lost(rows: &Rows, promised: &[&What], node: &Path, story: &Story) -> Vec<String> {
    let mut lost = Vec::new();
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for what in promised {
        match what {
            What::Staged(id) if !rows.staged.contains(id) && !rows.entries.contains_key(id) => {
                lost.push(format!("{what:?}"));
            }
            // A receipt speaks for all ancestors.
            What::Held(id) => {
                let mut next = Some(id.clone());
                while let Some(id) = next.filter(|id| wanted.insert(id.clone())) {
                    let known = &story[&id];
                    let previous = known.signed.entry.skeleton().previous;
                    next = previous.map(|id| id.to_string());
                }
            }
            _ => {}
        }
    }
    let erasers = rows.entries.keys().filter_map(|id| story.get(id));
    let erased: BTreeSet<String> = erasers
        .flat_map(|known| known.erases.iter().map(EntryId::to_string))
        .collect();
    for id in wanted {
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
            let (fate, seed) = (n % 8 / 2, random.below(1 << 40));
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

#[test]
fn no_disk_lacks_what_was_promised() {
    let seed = setting("SPOKES_TEST_SEED", 20_261_125);
    eprintln!("seed {seed}, {POINTS} points");
    let began = Instant::now();
    let mut network = Recorded::begin(("c", KILLED));
    let story = play(&mut network, seed);
    let traces = network.end();
    eprintln!(
        "{} entries were safe after {:?}",
        story.len(),
        began.elapsed()
    );
    let witnesses: Vec<Witness> = traces
        .into_iter()
        .map(|(label, trace)| {
            let promises = promises(&label, &trace, &story);
            eprintln!(
                "{label}: {} calls, {} promises",
                trace.calls.len(),
                promises.len()
            );
            let node = &network.nodes[&label];
            let (address, root) = (node.address, node.disk.clone());
            Witness {
                label,
                address,
                root,
                trace,
                promises,
            }
        })
        .collect();
    let mut random = Random::new(seed as u64);
    let each = POINTS / witnesses.len();
    let points: Vec<Vec<Point>> = witnesses
        .iter()
        .map(|witness| points(witness, each, &mut random))
        .collect();
    let mut lost = Vec::new();
    for (witness, points) in witnesses.iter().zip(&points) {
        lost.extend(lost_at(witness, points, |_| false, &story));
    }
    eprintln!("looked at all points after {:?}", began.elapsed());
    let some = lost
        .iter()
        .take(TOLD)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(lost.is_empty(), "{} losses, among them\n{some}", lost.len());
}
