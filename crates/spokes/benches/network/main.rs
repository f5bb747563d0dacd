//! What a network does on this machine, beside a floor or a peer measured in the same run.
//!
//!     cargo bench -p spokes --bench network [-- NAME]      NAME: verify publish catch-up page render start memory
//!                                                            council names wiped dns archive
//!     cargo bench -p spokes --bench network -- dns 100000 1000000     so many blogs each
//!                                                            (with `signed` behind it also signed)
//!
//! Prints one line for each figure; `docs/benchmarks.md` keeps them with machine and date. Only the
//! ratios last: whatever else the machine does slows both sides.

#![allow(clippy::print_stdout, reason = "figures are what this program prints")]

mod archive;
mod council;
mod desk;
mod dns;
mod dns_served;
mod load;
mod million;
#[path = "../../tests/common/name_server.rs"]
#[expect(
    clippy::unwrap_used,
    dead_code,
    reason = "the tests have it too, and use more of it"
)]
mod name_server;
mod render;
mod wiped;
#[path = "../../tests/common/zone_keys.rs"]
#[expect(clippy::unwrap_used, reason = "the tests have it too")]
mod zone_keys;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use desk::{Author, Demo, Served, resident, words};
use spokes_log::{chain::Chain, seal::SealedEntry};

/// Entries whose signatures are checked in one round.
const VERIFIED: usize = 4_000;
/// Rounds of each measurement; the median counts.
const ROUNDS: usize = 3;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    if wanted.first().is_some_and(|word| word == dns_served::WORD) {
        return dns_served::Order::read(&wanted)?.serve();
    }
    let asks = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if asks("verify") {
        verify()?;
    }
    if asks("publish") {
        runtime.block_on(publish())?;
    }
    if asks("catch-up") {
        runtime.block_on(catch_up())?;
    }
    if asks("page") {
        runtime.block_on(load::page())?;
    }
    if asks("render") {
        render::render()?;
    }
    if asks("start") {
        for posts in [10_000, 100_000] {
            runtime.block_on(start(posts))?;
        }
    }
    if asks("memory") {
        runtime.block_on(memory())?;
    }
    if asks("council") {
        runtime.block_on(council::council())?;
    }
    if asks("names") {
        runtime.block_on(million::million())?;
    }
    if asks("wiped") {
        runtime.block_on(wiped::wiped())?;
    }
    if asks("archive") {
        let posts = wanted.iter().find_map(|word| word.parse().ok());
        runtime.block_on(archive::archive(posts.unwrap_or(200_000)))?;
    }
    if asks("dns") {
        let numbers: Vec<u64> = wanted.iter().filter_map(|word| word.parse().ok()).collect();
        dns::dns(&numbers, wanted.iter().any(|word| word == "signed"))?;
    }
    Ok(())
}

/// The program that is measured. A copy may be named, so that a build beside it does not swap it.
fn program() -> String {
    std::env::var("SPOKES_TEST_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_spokes").to_owned())
}

fn print(name: &str, figure: &str) {
    println!("{name:<58} {figure}");
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

// ---- signatures ----

/// Checks of kept entries on one core: a certificate seen before, a new one each time, and the bare
/// Ed25519 check that both contain.
fn verify() -> Result<(), Failed> {
    let long = Kept::new(Author::sealed)?;
    let short = Kept::new(Author::sealed_short)?;
    let firsts: Vec<SealedEntry> = (0..200)
        .map(|n| Ok(Author::new(&format!("cold{n}"))?.first))
        .collect::<Result<_, Failed>>()?;
    let mut rates = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        rates[0].push(raw_checks());
        rates[1].push(long.judge()?);
        rates[2].push(short.judge()?);
        let began = Instant::now();
        for first in &firsts {
            Chain::new(first.entry().id()).accept(first.clone())?;
        }
        rates[3].push(firsts.len() as f64 / began.elapsed().as_secs_f64());
    }
    let [raw, long, short, cold] = rates.map(median);
    print(
        "raw Ed25519 check of a digest, one core",
        &format!("{raw:.0}/s"),
    );
    for (what, rate) in [
        (
            "kept entry of 12 KB parsed, judged, appended, one core",
            long,
        ),
        ("the same, 2 KB", short),
        ("first entry with a certificate not seen before", cold),
    ] {
        print(what, &format!("{rate:.0}/s = {:.2} x raw", rate / raw));
    }
    Ok(())
}

/// Entries of one author in the form in which nodes keep them.
struct Kept {
    first: SealedEntry,
    entries: Vec<(String, Vec<Vec<u8>>)>,
}

impl Kept {
    fn new(seal: fn(&mut Author, usize) -> Result<SealedEntry, Failed>) -> Result<Self, Failed> {
        let mut author = Author::new("bench")?;
        let mut entries = Vec::new();
        for number in 0..VERIFIED {
            let sealed = seal(&mut author, number)?;
            let packets = sealed.signatures().iter().map(|s| s.packet().to_vec());
            entries.push((sealed.entry().text().to_owned(), packets.collect()));
        }
        let first = author.first;
        Ok(Self { first, entries })
    }

    /// Entries a second.
    fn judge(&self) -> Result<f64, Failed> {
        let mut chain = Chain::new(self.first.entry().id());
        chain.accept(self.first.clone())?;
        let began = Instant::now();
        for (text, packets) in &self.entries {
            chain.accept(SealedEntry::parse(text.as_bytes(), packets)?)?;
        }
        Ok(self.entries.len() as f64 / began.elapsed().as_secs_f64())
    }
}

/// The same on two cores at once: they may share more than the machine says.
fn raw_checks_on_both() -> f64 {
    let other = std::thread::spawn(raw_checks);
    let here = raw_checks();
    here + other.join().unwrap_or(here)
}

fn raw_checks() -> f64 {
    use ed25519_dalek::{Signer as _, SigningKey, Verifier as _};
    let key = SigningKey::from_bytes(&[7; 32]);
    let digests: Vec<[u8; 64]> = (0..VERIFIED)
        .map(|n| {
            let mut digest = [0; 64];
            digest[..8].copy_from_slice(&n.to_le_bytes());
            digest
        })
        .collect();
    let signed: Vec<_> = digests
        .iter()
        .map(|digest| (digest, key.sign(digest)))
        .collect();
    let verifier = key.verifying_key();
    let began = Instant::now();
    let good = signed
        .iter()
        .filter(|(d, s)| verifier.verify(*d, s).is_ok())
        .count();
    assert_eq!(good, VERIFIED);
    VERIFIED as f64 / began.elapsed().as_secs_f64()
}

// ---- writing ----

/// Posts through the API until accepted (one replica) and until safe (three), with 1 and 8 authors,
/// beside one-post commits of SQLite on the same disk.
async fn publish() -> Result<(), Failed> {
    for (replicas, word) in [(1_u8, "accepted, 1 replica"), (3, "safe, 2 of 3 replicas")] {
        let demo = Demo::start(replicas, replicas)?;
        for authors in [1_usize, 8] {
            let (mut rates, mut floors, mut times) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..ROUNDS {
                let (rate, mut took) = demo.write_for(authors, round).await?;
                rates.push(rate);
                times.append(&mut took);
                floors.push(sqlite_floor(&demo.dir)?);
            }
            times.sort_by(f64::total_cmp);
            let at = |p: f64| times[((times.len() - 1) as f64 * p) as usize];
            let (rate, floor) = (median(rates), median(floors));
            print(
                &format!("published until {word}, {authors} connections"),
                &format!(
                    "{rate:.0}/s = {:.2} x SQLite's {floor:.0}/s; p50 {:.1} ms, p99 {:.1} ms",
                    rate / floor,
                    at(0.5),
                    at(0.99)
                ),
            );
        }
    }
    Ok(())
}

/// One-post commits of SQLite, WAL, FULL.
fn sqlite_floor(dir: &Path) -> Result<f64, Failed> {
    let path = dir.join("floor.db");
    drop(fs::remove_file(&path));
    let db = rusqlite::Connection::open(&path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch("CREATE TABLE post (id INTEGER PRIMARY KEY, text TEXT)")?;
    let text = words(0);
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < Duration::from_secs(2) {
        db.execute("INSERT INTO post (text) VALUES (?1)", [&text])?;
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

// ---- catching up ----

/// A secondary that lost everything is filled again: every signature checked, every entry stored.
async fn catch_up() -> Result<(), Failed> {
    const POSTS: usize = 50_000;
    let demo = Demo::start(2, 2)?;
    let mut author = Author::new("bench")?;
    let first = demo.claim(&mut author, "bench").await?;
    demo.fill(&mut author, first, "bench", POSTS).await?;
    let limit = raw_checks_on_both();
    let (label, address) = demo.other(first)?;
    demo.until_has(address, POSTS as u64).await?;
    demo.kill(&label)?;
    for file in ["spoke.db", "spoke.db-wal", "spoke.db-shm"] {
        drop(fs::remove_file(
            demo.dir.join(format!("spoke-{label}/{file}")),
        ));
    }
    let began = Instant::now();
    demo.restart(&label)?;
    demo.until_has(address, POSTS as u64).await?;
    let rate = POSTS as f64 / began.elapsed().as_secs_f64();
    print(
        "catch-up of an empty replica, 2 cores, 2 KB posts",
        &format!(
            "{rate:.0} posts/s = {:.2} x {limit:.0} raw checks on both cores",
            rate / limit
        ),
    );
    Ok(())
}

// ---- start and memory ----

/// How long a spoke is left alone until it has drawn its sketches.
const REST: Duration = Duration::from_secs(8);

/// The time from the start of a spoke that was killed to its first page, with so many posts of one
/// blog on disk, and what it holds in memory then: killed as the last post came, and at rest.
async fn start(posts: usize) -> Result<(), Failed> {
    let demo = Demo::start(1, 1)?;
    let mut author = Author::new("bench")?;
    let spoke = demo.claim(&mut author, "bench").await?;
    demo.fill(&mut author, spoke, "bench", posts).await?;
    demo.kill("a")?;
    let dir = demo.dir.join("spoke-a");
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(first_page(&dir, spoke, Duration::ZERO).await?);
    }
    let whole = first_page(&dir, spoke, REST).await?;
    let mut rested = Vec::new();
    for _ in 0..ROUNDS {
        rested.push(first_page(&dir, spoke, Duration::ZERO).await?);
    }
    for (rounds, when) in [(rounds, "as posts came"), (rested, "at rest")] {
        let of = |n: usize| median(rounds.iter().map(|round| round[n]).collect());
        print(
            &format!("start of a spoke with {posts} posts after a kill {when}"),
            &format!(
                "{:.0} ms to answer, {:.0} ms to the first page; {:.0} MB, {:.0} MB with all read",
                of(0),
                of(1),
                of(2),
                whole[3]
            ),
        );
    }
    Ok(())
}

/// Milliseconds until a spoke answers and until its first page, megabytes then and after a while.
async fn first_page(
    dir: &Path,
    spoke: std::net::SocketAddr,
    stays: Duration,
) -> Result<[f64; 4], Failed> {
    let began = Instant::now();
    let served = Served::start(dir)?;
    let http = reqwest::Client::new();
    let health = format!("http://{spoke}/healthz");
    while http.get(&health).send().await.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let answer = began.elapsed().as_secs_f64() * 1_000.0;
    let asked = http.get(format!("http://{spoke}/post-1"));
    let page = asked.header("host", "bench.blogs.localhost").send().await?;
    assert!(page.status().is_success());
    let page = began.elapsed().as_secs_f64() * 1_000.0;
    let pid = u64::from(served.0.id());
    let memory = resident(pid)? as f64;
    tokio::time::sleep(stays).await;
    Ok([answer, page, memory, resident(pid)? as f64])
}

/// What 1,000 blogs of ten posts each cost a spoke, right after they came and after a start at which
/// every blog was read once.
async fn memory() -> Result<(), Failed> {
    const BLOGS: usize = 1_000;
    let demo = Demo::start(1, 1)?;
    let mut author = Author::new("bench")?;
    let mut spoke = None;
    for number in 0..BLOGS {
        let name = format!("m{number}-bench");
        let at = demo.claim(&mut author, &name).await?;
        demo.fill(&mut author, at, &name, 10).await?;
        spoke = Some(at);
    }
    let spoke = spoke.ok_or("no blogs")?;
    let before = resident(demo.pid("a")?)?;
    demo.kill("a")?;
    let served = Served::start(&demo.dir.join("spoke-a"))?;
    let http = reqwest::Client::new();
    while http
        .get(format!("http://{spoke}/healthz"))
        .send()
        .await
        .is_err()
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for number in 0..BLOGS {
        let host = format!("m{number}-bench.blogs.localhost");
        let page = http.get(format!("http://{spoke}/")).header("host", host);
        assert!(page.send().await?.status().is_success());
    }
    let after = resident(u64::from(served.0.id()))?;
    print(
        "memory of a spoke with 1,000 blogs of ten posts",
        &format!("{before} MB; {after} MB after a start and a page of each"),
    );
    Ok(())
}
