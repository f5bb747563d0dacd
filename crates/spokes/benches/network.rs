//! What a network does on this machine, beside a floor or a peer measured in the same run.
//!
//!     cargo bench -p spokes --bench network [-- NAME]      NAME: verify publish catch-up page start
//!
//! Prints one line for each figure; `docs/benchmarks.md` keeps them with machine and date. Only the
//! ratios last: whatever else the machine does slows both sides.

#![allow(clippy::print_stdout, reason = "figures are what this program prints")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use spokes::{
    client::{Ask, Client, Reply},
    clock,
    wire::{EntryWire, NetworkWire, StandingWire},
};
use spokes_log::{
    chain::Chain,
    draft::{Article, Claim, Draft, Says},
    entry::{Entry, Skeleton},
    name::{BlogName, EntryId, Hash, Language, Salt, Slug, Tags},
    seal::SealedEntry,
    secret::SecretKey,
};

/// Words of the post that is published and read: 2,000, about 12 KB.
const WORDS: usize = 2_000;
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
        runtime.block_on(page())?;
    }
    if asks("start") {
        runtime.block_on(start())?;
    }
    Ok(())
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
    let mut author = Author::new("bench")?;
    let entries: Vec<SealedEntry> = (0..VERIFIED)
        .map(|n| author.sealed(n))
        .collect::<Result<_, _>>()?;
    let kept: Vec<(String, Vec<Vec<u8>>)> = entries
        .iter()
        .map(|sealed| {
            let packets = sealed
                .signatures()
                .iter()
                .map(|s| s.packet().to_vec())
                .collect();
            (sealed.entry().text().to_owned(), packets)
        })
        .collect();
    let firsts: Vec<SealedEntry> = (0..200)
        .map(|n| Ok(Author::new(&format!("cold{n}"))?.first))
        .collect::<Result<_, Failed>>()?;
    let (mut warm, mut cold, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut chain = Chain::new(author.first.entry().id());
        chain.accept(author.first.clone())?;
        let began = Instant::now();
        for (text, packets) in &kept {
            chain.accept(SealedEntry::parse(text.as_bytes(), packets)?)?;
        }
        warm.push(kept.len() as f64 / began.elapsed().as_secs_f64());
        let began = Instant::now();
        for first in &firsts {
            Chain::new(first.entry().id()).accept(first.clone())?;
        }
        cold.push(firsts.len() as f64 / began.elapsed().as_secs_f64());
        raw.push(raw_checks());
    }
    let (warm, cold, raw) = (median(warm), median(cold), median(raw));
    print(
        "raw Ed25519 check of a digest, one core",
        &format!("{raw:.0}/s"),
    );
    let ratio = warm / raw;
    print(
        "kept entry parsed, judged, appended, one core",
        &format!("{warm:.0}/s = {ratio:.2} x raw"),
    );
    let ratio = cold / raw;
    print(
        "the same, a new certificate each time",
        &format!("{cold:.0}/s = {ratio:.2} x raw"),
    );
    Ok(())
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
    const POSTS: usize = 10_000;
    let mut demo = Demo::start(2, 2)?;
    let mut author = Author::new("bench")?;
    let first = demo.claim(&mut author, "bench").await?;
    let entries: Vec<EntryWire> = (0..POSTS)
        .map(|n| Ok(EntryWire::from(&author.sealed_short(n)?)))
        .collect::<Result<_, Failed>>()?;
    for batch in entries.chunks(500) {
        let body = serde_json::json!({ "entries": batch });
        let path = "/api/v1/blogs/bench/restore";
        let _taken: serde_json::Value = demo
            .client
            .post(Ask::new(first, path), &body)
            .await?
            .good()?;
    }
    let raw = raw_checks();
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
    let limit = raw * 2.0;
    print(
        "catch-up of an empty replica, 2 cores, 2 KB posts",
        &format!(
            "{rate:.0} posts/s = {:.2} x raw checks on both cores",
            rate / limit
        ),
    );
    Ok(())
}

// ---- reading ----

/// A published page of 2,000 words, gzip, 32 connections, beside nginx with the same bytes.
async fn page() -> Result<(), Failed> {
    let demo = Demo::start(1, 1)?;
    let mut author = Author::new("bench")?;
    let spoke = demo.claim(&mut author, "bench").await?;
    demo.post(&mut author, spoke, "bench", 0).await?;
    let url = format!("http://{spoke}/post-0");
    let host = "bench.blogs.localhost";
    if Command::new("wrk").arg("-v").output().is_err()
        || Command::new("nginx").arg("-v").output().is_err()
    {
        print(
            "page beside nginx",
            "left out: needs wrk and nginx (apt-get install wrk nginx-light)",
        );
        return Ok(());
    }
    let bytes = reqwest::Client::new()
        .get(&url)
        .header("host", host)
        .send()
        .await?
        .bytes()
        .await?;
    let nginx = Nginx::start(&demo.dir, &bytes)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(wrk(&url, host)?);
        theirs.push(wrk(&format!("http://127.0.0.1:{}/post", nginx.port), host)?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    print(
        "published page, gzip, 32 connections",
        &format!("{ours:.0}/s = {:.2} x nginx's {theirs:.0}/s", ours / theirs),
    );
    Ok(())
}

fn wrk(url: &str, host: &str) -> Result<f64, Failed> {
    let output = Command::new("wrk")
        .args(["-t1", "-c32", "-d3s", "-H", "Accept-Encoding: gzip", "-H"])
        .arg(format!("Host: {host}"))
        .arg(url)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said
        .lines()
        .find(|l| l.starts_with("Requests/sec:"))
        .ok_or("wrk said no rate")?;
    Ok(line.split_whitespace().nth(1).ok_or("no rate")?.parse()?)
}

struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(dir: &Path, page: &[u8]) -> Result<Self, Failed> {
        use std::io::Write as _;
        let root = dir.join("nginx");
        fs::create_dir_all(&root)?;
        fs::write(root.join("post"), page)?;
        let gz = flate2::Compression::default();
        let mut gz = flate2::write::GzEncoder::new(fs::File::create(root.join("post.gz"))?, gz);
        gz.write_all(page)?;
        gz.finish()?;
        let port = free_port()?;
        let conf = format!(
            "daemon off; worker_processes 2; pid {0}/pid; error_log {0}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; sendfile on; default_type text/html; keepalive_requests 1000000;\n\
             server {{ listen 127.0.0.1:{port}; root {0}; gzip_static on; }} }}\n",
            root.display()
        );
        fs::write(root.join("nginx.conf"), conf)?;
        let child = Command::new("nginx")
            .arg("-c")
            .arg(root.join("nginx.conf"))
            .spawn()?;
        std::thread::sleep(Duration::from_millis(500));
        Ok(Self { child, port })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(
            Command::new("kill")
                .arg(self.child.id().to_string())
                .status(),
        );
        drop(self.child.wait());
    }
}

fn free_port() -> Result<u16, Failed> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

// ---- start and memory ----

/// Memory of a spoke, and the time from its start to its first page, with 10,000 posts on disk.
async fn start() -> Result<(), Failed> {
    let mut demo = Demo::start(1, 1)?;
    let mut author = Author::new("bench")?;
    let spoke = demo.claim(&mut author, "bench").await?;
    let entries: Vec<EntryWire> = (0..10_000)
        .map(|n| Ok(EntryWire::from(&author.sealed_short(n)?)))
        .collect::<Result<_, Failed>>()?;
    for batch in entries.chunks(500) {
        let body = serde_json::json!({ "entries": batch });
        let path = "/api/v1/blogs/bench/restore";
        let _taken: serde_json::Value = demo
            .client
            .post(Ask::new(spoke, path), &body)
            .await?
            .good()?;
    }
    demo.kill("a")?;
    let began = Instant::now();
    demo.restart("a")?;
    let up = began.elapsed();
    let url = format!("http://{spoke}/post-1");
    let http = reqwest::Client::new();
    let page = http
        .get(&url)
        .header("host", "bench.blogs.localhost")
        .send()
        .await?;
    assert!(page.status().is_success());
    let first = began.elapsed();
    print(
        "start of a spoke with 10,000 posts, kill to first page",
        &format!(
            "{} ms to answer, {} ms to the page",
            up.as_millis(),
            first.as_millis()
        ),
    );
    let resident = fs::read_to_string(format!("/proc/{}/status", demo.pid("a")?))?;
    let line = resident
        .lines()
        .find(|l| l.starts_with("VmRSS:"))
        .unwrap_or_default()
        .to_owned();
    print(
        "memory of that spoke",
        line.trim_start_matches("VmRSS:").trim(),
    );
    Ok(())
}

// ---- the network and its author ----

struct Demo {
    dir: PathBuf,
    child: Child,
    client: Client,
    file: serde_json::Value,
    _temp: tempfile::TempDir,
}

impl Demo {
    fn start(spokes: u8, replicas: u8) -> Result<Self, Failed> {
        let temp = tempfile::tempdir()?;
        let dir = temp.path().to_owned();
        let child = Command::new(env!("CARGO_BIN_EXE_spokes"))
            .args(["demo", "--empty", "--dir"])
            .arg(&dir)
            .args([
                "--port",
                &free_port()?.to_string(),
                "--dns-port",
                &free_port()?.to_string(),
            ])
            .args([
                "--spokes",
                &spokes.to_string(),
                "--replicas",
                &replicas.to_string(),
            ])
            .stdout(Stdio::null())
            .spawn()?;
        let until = Instant::now() + Duration::from_secs(20);
        let path = dir.join("network.json");
        while !path.exists() {
            if Instant::now() > until {
                return Err("the demo did not start".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let file = serde_json::from_slice(&fs::read(path)?)?;
        Ok(Self {
            dir,
            child,
            client: Client::new()?,
            file,
            _temp: temp,
        })
    }

    fn spokes(&self) -> Vec<(String, std::net::SocketAddr)> {
        let spokes = self.file["spokes"].as_array().cloned().unwrap_or_default();
        let read = |s: &serde_json::Value| {
            let address = s["http"].as_str()?.strip_prefix("http://")?.parse().ok()?;
            Some((s["label"].as_str()?.to_owned(), address))
        };
        spokes.iter().filter_map(read).collect()
    }

    fn other(&self, than: std::net::SocketAddr) -> Result<(String, std::net::SocketAddr), Failed> {
        Ok(self
            .spokes()
            .into_iter()
            .find(|(_, a)| *a != than)
            .ok_or("one spoke alone")?)
    }

    fn pid(&self, label: &str) -> Result<u64, Failed> {
        let file: serde_json::Value =
            serde_json::from_slice(&fs::read(self.dir.join("network.json"))?)?;
        let spokes = file["spokes"].as_array().cloned().unwrap_or_default();
        let spoke = spokes
            .iter()
            .find(|s| s["label"] == label)
            .ok_or("no such spoke")?;
        Ok(spoke["pid"].as_u64().ok_or("no pid")?)
    }

    fn kill(&mut self, label: &str) -> Result<(), Failed> {
        Command::new("kill")
            .args(["-9", &self.pid(label)?.to_string()])
            .status()?;
        Ok(())
    }

    fn restart(&mut self, label: &str) -> Result<(), Failed> {
        let status = Command::new(env!("CARGO_BIN_EXE_spokes"))
            .args(["demo", "restart", label, "--dir"])
            .arg(&self.dir)
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err("the spoke did not start".into())
        }
    }

    /// Waits until a spoke holds so many entries.
    async fn until_has(&self, spoke: std::net::SocketAddr, entries: u64) -> Result<(), Failed> {
        let until = Instant::now() + Duration::from_secs(120);
        while Instant::now() < until {
            let status = self.client.get(Ask::new(spoke, "/api/v1/status")).await;
            if let Ok(Reply::Good(status, _)) = status {
                let status: serde_json::Value = status;
                if status["entries"].as_u64().is_some_and(|n| n >= entries) {
                    return Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err("the spoke did not catch up".into())
    }

    /// Claims a name for the author; her primary's address.
    async fn claim(&self, author: &mut Author, name: &str) -> Result<std::net::SocketAddr, Failed> {
        let spoke = self.spokes().first().ok_or("no spokes")?.1;
        let network: NetworkWire = self
            .client
            .get(Ask::new(spoke, "/api/v1/network"))
            .await?
            .good()?;
        author.begin(name, Hash::parse(&network.network)?)?;
        let path = format!("/api/v1/blogs/{name}/entries");
        let wire = EntryWire::from(&author.first);
        let _granted: serde_json::Value = self
            .client
            .post(Ask::new(spoke, &path), &wire)
            .await?
            .good()?;
        Ok(spoke)
    }

    async fn post(
        &self,
        author: &mut Author,
        spoke: std::net::SocketAddr,
        name: &str,
        number: usize,
    ) -> Result<(), Failed> {
        let wire = EntryWire::from(&author.sealed(number)?);
        let path = format!("/api/v1/blogs/{name}/entries");
        let ask = Ask::new(spoke, &path).waiting(Duration::from_secs(10));
        let standing: StandingWire = self.client.post(ask, &wire).await?.good()?;
        if standing.status == "safe" {
            Ok(())
        } else {
            Err("not safe in time".into())
        }
    }

    /// So many authors write for three seconds; posts a second, and milliseconds of each.
    async fn write_for(&self, authors: usize, round: usize) -> Result<(f64, Vec<f64>), Failed> {
        let mut ready = Vec::new();
        for number in 0..authors {
            let name = format!("w{authors}-{round}-{number}");
            let mut author = Author::new(&name)?;
            let spoke = self.claim(&mut author, &name).await?;
            // Signed beforehand: the author's own machine is not what is measured.
            let wires: Vec<EntryWire> = (0..3_000)
                .map(|n| Ok(EntryWire::from(&author.sealed(n)?)))
                .collect::<Result<_, Failed>>()?;
            ready.push((format!("/api/v1/blogs/{name}/entries"), spoke, wires));
        }
        let began = Instant::now();
        let tasks: Vec<_> = ready
            .into_iter()
            .map(|(path, spoke, wires)| {
                let client = self.client.clone();
                tokio::spawn(async move {
                    let mut took = Vec::new();
                    for wire in wires {
                        if began.elapsed() > Duration::from_secs(3) {
                            break;
                        }
                        let asked = Instant::now();
                        let ask = Ask::new(spoke, &path).waiting(Duration::from_secs(10));
                        let sent = client.post::<_, StandingWire>(ask, &wire).await;
                        if !matches!(sent, Ok(Reply::Good(s, _)) if s.status == "safe") {
                            break;
                        }
                        took.push(asked.elapsed().as_secs_f64() * 1_000.0);
                    }
                    took
                })
            })
            .collect();
        let mut took = Vec::new();
        for task in tasks {
            took.append(&mut task.await?);
        }
        let rate = took.len() as f64 / began.elapsed().as_secs_f64();
        Ok((rate, took))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(
            Command::new("kill")
                .arg(self.child.id().to_string())
                .status(),
        );
        drop(self.child.wait());
    }
}

struct Author {
    key: SecretKey,
    first: SealedEntry,
    head: (Skeleton, EntryId),
    chain: Chain,
}

impl Author {
    fn new(name: &str) -> Result<Self, Failed> {
        let key = SecretKey::generate(&format!("{name} <{name}@example.org>"), clock::now() - 60)?;
        let says = Says::Blog {
            title: "A blog".into(),
            language: Language::parse("en")?,
            certificate: key.certificate().fingerprint().clone(),
            claim: None,
        };
        Self::found(key, says)
    }

    fn found(mut key: SecretKey, says: Says) -> Result<Self, Failed> {
        let body = key.certificate().armored();
        let draft = draft(0, says, body);
        let authors = vec![key.certificate().fingerprint().clone()];
        let now = clock::now();
        let entry = Entry::new(&draft, None, authors, now)?;
        let mut chain = Chain::new(entry.id());
        let signature = key.sign(entry.text(), now)?;
        let verified = chain.place(&entry)?.seal(entry, &[signature])?;
        chain.append(&verified)?;
        let first = verified.sealed().clone();
        let head = (first.entry().skeleton().clone(), first.entry().id());
        Ok(Self {
            key,
            first,
            head,
            chain,
        })
    }

    /// Begins anew with a claim to a name.
    fn begin(&mut self, name: &str, network: Hash) -> Result<(), Failed> {
        let key = SecretKey::generate(&format!("{name} <{name}@example.org>"), clock::now() - 60)?;
        let name = BlogName::parse(name)?;
        let says = Says::Blog {
            title: "A blog".into(),
            language: Language::parse("en")?,
            certificate: key.certificate().fingerprint().clone(),
            claim: Some(Claim {
                name,
                network,
                not_after: clock::now() + 3_600,
            }),
        };
        *self = Self::found(key, says)?;
        Ok(())
    }

    fn sealed(&mut self, number: usize) -> Result<SealedEntry, Failed> {
        self.seal(number, words(number))
    }

    fn sealed_short(&mut self, number: usize) -> Result<SealedEntry, Failed> {
        let body: String = words(number).chars().take(1_800).collect();
        self.seal(number, body.trim().to_owned())
    }

    fn seal(&mut self, number: usize, body: String) -> Result<SealedEntry, Failed> {
        let article = Article {
            date: clock::now(),
            slug: Slug::parse(&format!("post-{number}"))?,
            title: Some(format!("Post {number}")),
            language: None,
            tags: Tags::default(),
            aliases: vec![],
            replaces: None,
            media: vec![],
        };
        let draft = draft(number, Says::Post(article), body);
        let authors = vec![self.key.certificate().fingerprint().clone()];
        let now = clock::now();
        let entry = Entry::new(&draft, Some((&self.head.0, self.head.1)), authors, now)?;
        let signature = self.key.sign(entry.text(), now)?;
        let verified = self.chain.place(&entry)?.seal(entry, &[signature])?;
        self.chain.append(&verified)?;
        let sealed = verified.sealed().clone();
        self.head = (sealed.entry().skeleton().clone(), sealed.entry().id());
        Ok(sealed)
    }
}

fn draft(number: usize, says: Says, body: String) -> Draft {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&number.to_le_bytes());
    Draft {
        salt: Salt::from_bytes(salt),
        says,
        instead_of: vec![],
        extensions: vec![],
        body,
    }
}

/// Words without meaning, other ones for each number, in paragraphs of 80.
fn words(number: usize) -> String {
    const STEMS: [&str; 8] = [
        "spoke", "council", "letter", "garden", "river", "signal", "winter", "bread",
    ];
    let mut state = number as u64 + 1;
    let mut body = String::new();
    for at in 0..WORDS {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let stem = STEMS[(state >> 33) as usize % STEMS.len()];
        body.push_str(stem);
        body.push_str(if at % 80 == 79 { ".\n\n" } else { " " });
    }
    let lines: Vec<&str> = body.trim().lines().map(str::trim_end).collect();
    lines.join("\n")
}
