//! A demo of real processes, and an author who writes into it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use spokes::{
    client::{Ask, Client, Reply},
    clock,
    wire::{BlogWire, EntriesWire, EntryWire, NetworkWire, RestoredWire, StandingWire},
};
use spokes_log::{
    chain::Chain,
    draft::{Article, Claim, Draft, Says},
    entry::{Entry, Skeleton},
    name::{BlogName, EntryId, Hash, Language, Salt, Slug, Tags},
    seal::SealedEntry,
    secret::SecretKey,
};

use crate::Failed;

/// Words of the post that is published and read: 2,000, about 12 KB.
const WORDS: usize = 2_000;

pub(crate) struct Demo {
    pub(crate) dir: PathBuf,
    child: Child,
    pub(crate) client: Client,
    file: serde_json::Value,
    _temp: tempfile::TempDir,
}

impl Demo {
    pub(crate) fn start(spokes: u8, replicas: u8) -> Result<Self, Failed> {
        let temp = tempfile::tempdir()?;
        let dir = temp.path().to_owned();
        let child = Command::new(crate::program())
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

    pub(crate) fn spokes(&self) -> Vec<(String, std::net::SocketAddr)> {
        let spokes = self.file["spokes"].as_array().cloned().unwrap_or_default();
        let read = |s: &serde_json::Value| {
            let address = s["http"].as_str()?.strip_prefix("http://")?.parse().ok()?;
            Some((s["label"].as_str()?.to_owned(), address))
        };
        spokes.iter().filter_map(read).collect()
    }

    pub(crate) fn other(
        &self,
        than: std::net::SocketAddr,
    ) -> Result<(String, std::net::SocketAddr), Failed> {
        Ok(self
            .spokes()
            .into_iter()
            .find(|(_, a)| *a != than)
            .ok_or("one spoke alone")?)
    }

    pub(crate) fn pid(&self, label: &str) -> Result<u64, Failed> {
        let file: serde_json::Value =
            serde_json::from_slice(&fs::read(self.dir.join("network.json"))?)?;
        let spokes = file["spokes"].as_array().cloned().unwrap_or_default();
        let spoke = spokes
            .iter()
            .find(|s| s["label"] == label)
            .ok_or("no such spoke")?;
        Ok(spoke["pid"].as_u64().ok_or("no pid")?)
    }

    pub(crate) fn label(&self, spoke: std::net::SocketAddr) -> Result<String, Failed> {
        let found = self.spokes().into_iter().find(|(_, at)| *at == spoke);
        Ok(found.ok_or("no such spoke")?.0)
    }

    /// Writes short posts into a blog, many at once.
    pub(crate) async fn fill(
        &self,
        author: &mut Author,
        spoke: std::net::SocketAddr,
        name: &str,
        posts: usize,
    ) -> Result<(), Failed> {
        let path = format!("/api/v1/blogs/{name}/restore");
        let numbers: Vec<usize> = (0..posts).collect();
        for batch in numbers.chunks(500) {
            let sealed = batch.iter().map(|n| Ok((&author.sealed_short(*n)?).into()));
            let entries = sealed.collect::<Result<Vec<EntryWire>, Failed>>()?;
            let body = EntriesWire { entries };
            let ask = Ask::new(spoke, &path);
            let _taken: RestoredWire = self.client.post(ask, &body).await?.good()?;
        }
        Ok(())
    }

    /// Writes posts with these titles and texts into a blog, many at once.
    pub(crate) async fn fill_with(
        &self,
        author: &mut Author,
        spoke: std::net::SocketAddr,
        name: &str,
        posts: &[(String, String)],
    ) -> Result<(), Failed> {
        let path = format!("/api/v1/blogs/{name}/restore");
        let mut number = 0;
        for batch in posts.chunks(500) {
            let mut entries = Vec::new();
            for (title, body) in batch {
                number += 1;
                let sealed = author.seal_titled(number, title.clone(), body.clone())?;
                entries.push(EntryWire::from(&sealed));
            }
            let ask = Ask::new(spoke, &path);
            let body = EntriesWire { entries };
            let _taken: RestoredWire = self.client.post(ask, &body).await?.good()?;
        }
        Ok(())
    }

    pub(crate) fn kill(&self, label: &str) -> Result<(), Failed> {
        Command::new("kill")
            .args(["-9", &self.pid(label)?.to_string()])
            .status()?;
        // Its port is free once the kernel has buried it.
        let at = self.spokes().into_iter().find(|(l, _)| l == label);
        let at = at.ok_or("no such spoke")?.1;
        while std::net::TcpStream::connect(at).is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    pub(crate) fn restart(&self, label: &str) -> Result<(), Failed> {
        let status = Command::new(crate::program())
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
    pub(crate) async fn until_has(
        &self,
        spoke: std::net::SocketAddr,
        entries: u64,
    ) -> Result<(), Failed> {
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
    pub(crate) async fn claim(
        &self,
        author: &mut Author,
        name: &str,
    ) -> Result<std::net::SocketAddr, Failed> {
        let spoke = self.spokes().first().ok_or("no spokes")?.1;
        let network: NetworkWire = self
            .client
            .get(Ask::new(spoke, "/api/v1/network"))
            .await?
            .good()?;
        author.begin(name, Hash::parse(&network.network)?)?;
        let path = format!("/api/v1/blogs/{name}/entries");
        let wire = EntryWire::from(&author.first);
        // The council takes so many requests of a spoke in a second.
        let granted: BlogWire = loop {
            match self.client.post(Ask::new(spoke, &path), &wire).await? {
                Reply::Refused(problem) if problem.status == 429 => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                answered => break answered.good()?,
            }
        };
        // To the primary, as the author's tool does.
        let primary = self.spokes().into_iter().find(|s| s.0 == granted.primary);
        Ok(primary.ok_or("no such spoke")?.1)
    }

    pub(crate) async fn post(
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
    pub(crate) async fn write_for(
        &self,
        authors: usize,
        round: usize,
    ) -> Result<(f64, Vec<f64>), Failed> {
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

pub(crate) struct Author {
    key: SecretKey,
    pub(crate) first: SealedEntry,
    head: (Skeleton, EntryId),
    chain: Chain,
}

impl Author {
    pub(crate) fn new(name: &str) -> Result<Self, Failed> {
        let key = SecretKey::generate(&format!("{name} <{name}@example.org>"), clock::now() - 60)?;
        let says = Says::Blog {
            title: "A blog".into(),
            language: Language::parse("en")?,
            certificate: key.certificate().fingerprint().clone(),
            claim: None,
        };
        Self::found(key, says)
    }

    pub(crate) fn found(mut key: SecretKey, says: Says) -> Result<Self, Failed> {
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
    pub(crate) fn begin(&mut self, name: &str, network: Hash) -> Result<(), Failed> {
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

    pub(crate) fn sealed(&mut self, number: usize) -> Result<SealedEntry, Failed> {
        self.seal(number, words(number))
    }

    pub(crate) fn sealed_short(&mut self, number: usize) -> Result<SealedEntry, Failed> {
        let body: String = words(number).chars().take(1_800).collect();
        self.seal(number, body.trim().to_owned())
    }

    pub(crate) fn seal(&mut self, number: usize, body: String) -> Result<SealedEntry, Failed> {
        self.seal_titled(number, format!("Post {number}"), body)
    }

    pub(crate) fn seal_titled(
        &mut self,
        number: usize,
        title: String,
        body: String,
    ) -> Result<SealedEntry, Failed> {
        let article = Article {
            date: clock::now(),
            slug: Slug::parse(&format!("post-{number}"))?,
            title: Some(title),
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
pub(crate) fn words(number: usize) -> String {
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

/// A spoke of the demo that this program has started itself.
pub(crate) struct Served(pub(crate) Child);

impl Served {
    pub(crate) fn start(dir: &Path) -> Result<Self, Failed> {
        let child = Command::new(crate::program())
            .args(["serve", "--dir"])
            .arg(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) fn free_port() -> Result<u16, Failed> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

/// User and system time of some processes; the kernel counts it in hundredths of a second.
pub(crate) fn cpu_seconds(pids: &[u64]) -> Result<f64, Failed> {
    let mut ticks = 0.0;
    for pid in pids {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, behind) = stat.rsplit_once(") ").ok_or("no such process")?;
        let fields: Vec<&str> = behind.split(' ').collect();
        ticks += fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    }
    Ok(ticks / 100.0)
}

/// Megabytes of a process.
pub(crate) fn resident(pid: u64) -> Result<u64, Failed> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|l| l.split_whitespace().next());
    Ok(kilobytes.ok_or("no memory")?.parse::<u64>()? / 1_000)
}
