//! A council of three with many names, and what becomes of them: two nodes lose all that they had; then all
//! three do, and there is a backup. Real nodes, real spokes, the orders that organizers give; whatever is not as it
//! should be ends it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use spokes::{
    client::{Ask, Client},
    config::{Ceiling, CouncilConfig, Floor},
    council,
    join::{self, Wanted},
    wire::{BlogWire, EntryWire, LogWire, StandingWire},
};
use spokes_rules::{address::Operator, node::Label, request::Wish};

use crate::{
    Failed,
    council::{Apart, Council, Node, port},
    desk::{Author, resident},
    million, print,
};

/// As many names as must survive where `SPOKES_BENCH_NAMES` says nothing.
const NAMES: u64 = 100_000;
/// Names asked for in DNS, spread over all.
const ASKED: u64 = 1_000;
/// The longest that anything may take to come about.
const PATIENCE: Duration = Duration::from_secs(2_000);
/// Long enough for empty nodes to choose a leader, if they could.
const ELECTIONS: Duration = Duration::from_secs(8);

/// The walk, with a word for each step.
pub(crate) async fn wiped() -> Result<(), Failed> {
    let names = million::names(NAMES)?;
    let mut walk = Walk::begin(names).await?;
    walk.maria().await?;
    walk.two_are_wiped().await?;
    walk.all_are_wiped().await
}

/// A spoke, and where it says what happens.
struct Spoke {
    label: String,
    at: SocketAddr,
    said: PathBuf,
    child: Child,
}

impl Drop for Spoke {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How long a registry is, and its last record: whoever agrees on both agrees on all.
type Head = (u64, String);

struct Walk {
    names: u64,
    council: Council,
    spokes: Vec<Spoke>,
    maria: Author,
    client: Client,
    http: reqwest::Client,
    began: Instant,
}

impl Walk {
    /// Three nodes that hold the names, and three spokes that follow them.
    async fn begin(names: u64) -> Result<Self, Failed> {
        let began = Instant::now();
        let council = Council::of_three(Apart(Duration::ZERO), |dir, organizer, founding| {
            million::write(dir, organizer, founding, names)
        })
        .await?;
        let mut walk = Self {
            names,
            council,
            spokes: Vec::new(),
            maria: Author::new("maria")?,
            client: Client::new()?,
            http: reqwest::Client::builder().no_proxy().build()?,
            began,
        };
        walk.same_everywhere().await?;
        walk.tell("names signed, judged by one node, two others filled");
        for number in 1..=3 {
            walk.spoke_joins(number).await?;
        }
        let (records, _) = walk.head(0).await?;
        for spoke in &walk.spokes {
            walk.until(&format!("{} follows", spoke.label), async || {
                Ok(walk.followed(spoke.at).await? >= records)
            })
            .await?;
        }
        walk.tell("three spokes have joined and hold the registry");
        Ok(walk)
    }

    /// Prints how long it took since it told something last.
    fn tell(&mut self, what: &str) {
        let took = self.began.elapsed().as_secs_f64();
        print(
            &format!("{} names: {what}", self.names),
            &format!("{took:.1} s"),
        );
        self.began = Instant::now();
    }

    async fn until(
        &self,
        what: &str,
        mut holds: impl AsyncFnMut() -> Result<bool, Failed>,
    ) -> Result<(), Failed> {
        let began = Instant::now();
        // Whoever is starting does not answer yet.
        while !holds().await.unwrap_or(false) {
            if began.elapsed() > PATIENCE {
                return Err(format!("it does not come about that {what}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn node(&self, number: usize) -> &Node {
        &self.council.nodes[number]
    }

    async fn spoke_joins(&mut self, number: u8) -> Result<(), Failed> {
        let first = self.node(0).dir.clone();
        let invite = council::invite(&first, spokes::clock::now() + 3_600).await?;
        let label = Label::parse(&format!("real{number}"))?;
        let dir = first.with_file_name(label.as_str());
        let at = port()?;
        let wanted = Wanted {
            label: label.clone(),
            operator: Operator::parse(&format!("real group {number}"))?,
            listen: at,
            address: at,
            floor: Floor::parse("1MiB")?,
            ceiling: Ceiling::parse("none")?,
        };
        join::join(&dir, &invite, &wanted).await?;
        let said = dir.join("output");
        let child = Command::new(crate::program())
            .args(["serve", "--dir"])
            .arg(&dir)
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said)?)
            .spawn()?;
        council::organize(
            &first,
            Wish::Admit {
                label: label.clone(),
            },
        )
        .await?;
        let label = label.to_string();
        self.spokes.push(Spoke {
            label,
            at,
            said,
            child,
        });
        Ok(())
    }

    async fn followed(&self, spoke: SocketAddr) -> Result<u64, Failed> {
        let ask = Ask::new(spoke, "/api/v1/status");
        let status: serde_json::Value = self.client.get(ask).await?.good()?;
        Ok(status["registry_records"].as_u64().unwrap_or_default())
    }

    /// The end of a node's log.
    async fn head(&self, number: usize) -> Result<Head, Failed> {
        let at = self.node(number).api;
        let log = |after: u64| {
            let client = &self.client;
            async move {
                let path = format!("/api/v1/registry/log?after={after}");
                let log: LogWire = client.get(Ask::new(at, &path)).await?.good()?;
                Ok::<_, Failed>(log)
            }
        };
        let records = log(u64::MAX >> 1).await?.records_in_all;
        let log = log(records).await?;
        let head = log.head.filter(|_| log.records_in_all == records);
        Ok((records, head.ok_or("it grows")?))
    }

    /// What all nodes agree on; each of them answers and votes.
    async fn same_everywhere(&self) -> Result<Head, Failed> {
        for number in 0..3 {
            self.until("a node is filled and votes", async || {
                Ok(self.health(number).await?.0 == 200)
            })
            .await?;
        }
        self.until("all nodes hold the same", async || {
            let head = self.head(0).await?;
            Ok(head == self.head(1).await? && head == self.head(2).await?)
        })
        .await?;
        self.head(0).await
    }

    async fn health(&self, number: usize) -> Result<(u16, String), Failed> {
        let url = format!("http://{}/healthz", self.node(number).api);
        let answer = self.http.get(url).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Whether a node's log goes on from there.
    async fn goes_on_from(&self, number: usize, before: &Head) -> Result<(), Failed> {
        let path = format!("/api/v1/registry/log?after={}", before.0);
        let log: LogWire = (self.client.get(Ask::new(self.node(number).api, &path)))
            .await?
            .good()?;
        let same = match log.records.first() {
            Some(next) => next.index == before.0 && next.previous == before.1,
            None => log.records_in_all == before.0 && log.head.as_ref() == Some(&before.1),
        };
        check(same, "a name that was given is not there any more")
    }

    /// What a node's DNS says of these names.
    fn dig(&self, number: usize, names: &[String]) -> Result<String, Failed> {
        let dns = CouncilConfig::load(&self.node(number).dir)?.dns;
        let file = self.node(0).dir.with_file_name("asked");
        let lines = names
            .iter()
            .map(|name| format!("{name}.blogs.example TXT\n"));
        fs::write(&file, lines.collect::<String>())?;
        let mut dig = Command::new("dig");
        dig.args([&format!("@{}", dns.ip()), "-p", &dns.port().to_string()]);
        // It shares its ports with whoever allows it: at the node's own address it would now and then get that of the
        // node, and read its own question.
        dig.args(["-b", "127.0.0.9"]);
        // A datagram may be lost where all cores are busy.
        dig.args(["+tries=3", "+time=2", "+nocookie", "-f"])
            .arg(file);
        Ok(String::from_utf8(dig.output()?.stdout)?)
    }

    /// Whether a node answers for names spread over all of them.
    fn answers_for_all(&self, number: usize) -> Result<(), Failed> {
        let step = (self.names / ASKED).max(1);
        let asked = (0..self.names).step_by(usize::try_from(step)?);
        let asked: Vec<String> = asked.map(|n| format!("_blog.name{n}")).collect();
        let said = self.dig(number, &asked)?;
        let lacks = asked.iter().filter(|name| {
            let answer = format!("\n{name}.blogs.example.");
            !said.contains(&answer)
        });
        let lacks: Vec<String> = lacks.cloned().collect();
        if lacks.is_empty() {
            return Ok(());
        }
        // What is only late, or was lost on the way, is there when it is asked for again.
        let notes = said
            .lines()
            .filter(|line| line.contains("error") || line.contains("timed out"));
        let notes: Vec<&str> = notes.take(5).collect();
        let again = self.dig(number, &lacks)?;
        let count = lacks.len();
        check(
            false,
            &format!(
                "node {number} lacks {count} of the names in DNS; dig noted {notes:?}, and when asked again:\n{again}"
            ),
        )
    }

    async fn claims(&self, spoke: usize, name: &str) -> Result<Author, Failed> {
        let mut author = Author::new(name)?;
        author.begin(name, self.council.network)?;
        let wire = EntryWire::from(&author.first);
        let path = format!("/api/v1/blogs/{name}/entries");
        let at = self.spokes[spoke].at;
        self.until(&format!("{name} is given"), async || {
            let ask = Ask::new(at, &path).waiting(Duration::from_secs(10));
            let _granted: BlogWire = self.client.post(ask, &wire).await?.good()?;
            Ok(true)
        })
        .await?;
        Ok(author)
    }

    /// Maria has a name, and writes.
    async fn maria(&mut self) -> Result<(), Failed> {
        self.maria = self.claims(0, "maria").await?;
        self.maria_writes(1).await
    }

    /// Until it is safe.
    async fn maria_writes(&mut self, number: usize) -> Result<(), Failed> {
        let wire = EntryWire::from(&self.maria.sealed(number)?);
        self.until("what Maria writes is safe", async || {
            for spoke in &self.spokes {
                let ask = Ask::new(spoke.at, "/api/v1/blogs/maria/entries");
                let ask = ask.waiting(Duration::from_secs(10));
                let sent = self.client.post::<_, StandingWire>(ask, &wire).await;
                if sent?.good().is_ok_and(|standing| standing.status == "safe") {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    fn kill_all(&mut self) -> Result<(), Failed> {
        self.council.nodes.iter_mut().try_for_each(Node::kill)
    }

    fn start_all(&mut self) -> Result<(), Failed> {
        self.council.nodes.iter_mut().try_for_each(Node::start)
    }

    /// Nodes 1 and 2 come back empty, node 3 with everything.
    async fn two_are_wiped(&mut self) -> Result<(), Failed> {
        let before = self.same_everywhere().await?;
        self.began = Instant::now();
        self.kill_all()?;
        wipe(&self.node(0).dir)?;
        wipe(&self.node(1).dir)?;
        self.start_all()?;
        self.until("node 3 has the names", async || {
            Ok(self.head(2).await? == before)
        })
        .await?;
        self.answers_for_all(2)?;
        self.tell("two wiped: the third answers with all of them after");
        tokio::time::sleep(ELECTIONS).await;
        self.goes_on_from(2, &before).await?;
        for number in [0, 1] {
            let (status, said) = self.health(number).await?;
            check(status == 503 && said.contains("refill"), &said)?;
            let output = fs::read_to_string(self.node(number).dir.join("output"))?;
            check(output.contains("votes for nobody"), &output)?;
            let said = self.dig(number, &["_blog.name1".into(), "nobody".into()])?;
            check(said.matches("REFUSED").count() == 2, &said)?;
        }
        self.tell("the empty ones vote for nobody, answer nothing and say so");
        let (dir, key) = (&self.node(2).dir, self.node(0).dir.join("organizer.key"));
        let (dir, key) = (dir.clone(), key.to_string_lossy().into_owned());
        self.council.nodes[2].kill()?;
        order(&["recover", "--organizer", &key, "--dir"], &dir)?;
        self.tell("an organizer's word on the third (its log is judged again)");
        self.council.nodes[2].start()?;
        self.same_everywhere().await?;
        self.tell("the two are refilled, all three vote and hold the same");
        for number in 0..3 {
            self.goes_on_from(number, &before).await?;
            self.answers_for_all(number)?;
        }
        self.claims(1, "afterwards").await?;
        self.council.nodes[2].kill()?;
        self.claims(2, "without-it").await?;
        self.council.nodes[2].start()?;
        self.maria_writes(2).await?;
        self.same_everywhere().await?;
        self.tell("names are given and Maria writes, also without the third");
        Ok(())
    }

    /// Nothing is left but a backup.
    async fn all_are_wiped(&mut self) -> Result<(), Failed> {
        let kept = self.same_everywhere().await?;
        self.began = Instant::now();
        let backup = self.node(0).dir.with_file_name("registry.backup");
        let file = backup.to_string_lossy().into_owned();
        order(&["backup", "--to", &file, "--dir"], &self.node(1).dir)?;
        let megabytes = fs::metadata(&backup)?.len() / 1_000_000;
        self.tell(&format!("a backup of {megabytes} MB, judged"));
        // Later than the backup.
        let later = ["nadia", "thomas"];
        for name in later {
            self.claims(1, name).await?;
        }
        let lost = self.same_everywhere().await?;
        let all: Vec<SocketAddr> = self.spokes.iter().map(|spoke| spoke.at).collect();
        for at in all {
            let holds = async || Ok(self.followed(at).await? >= lost.0);
            self.until("a spoke has the last records", holds).await?;
        }
        self.kill_all()?;
        for node in &self.council.nodes {
            wipe(&node.dir)?;
        }
        self.began = Instant::now();
        order(&["recover", "--from", &file, "--dir"], &self.node(0).dir)?;
        self.tell("recovered from the backup (judged again)");
        self.start_all()?;
        self.until("the first node answers", async || {
            Ok(self.health(0).await?.0 == 200)
        })
        .await?;
        self.answers_for_all(0)?;
        self.tell("the first node answers with all that was in it after");
        self.same_everywhere().await?;
        self.tell("the others are filled, all three vote and hold the same");
        for spoke in &self.spokes {
            self.until("a spoke says what has happened", async || {
                Ok(fs::read_to_string(&spoke.said)?.contains("founded anew"))
            })
            .await?;
        }
        let later = later.map(|name| format!("_blog.{name}"));
        self.until("what came later is brought again", async || {
            let said = self.dig(0, &later)?;
            Ok(said.matches("\"v=1 blog=").count() == later.len())
        })
        .await?;
        self.tell("the spokes follow by themselves, and bring again what was not in it");
        for number in 0..3 {
            self.goes_on_from(number, &kept).await?;
        }
        self.maria_writes(3).await?;
        self.claims(0, "it-goes-on").await?;
        self.same_everywhere().await?;
        for number in 0..3 {
            self.answers_for_all(number)?;
        }
        self.tell("Maria writes, a name is given");
        self.tell_memory()
    }

    fn tell_memory(&self) -> Result<(), Failed> {
        let spokes = self
            .spokes
            .iter()
            .map(|spoke| resident(spoke.child.id().into()));
        print(
            "megabytes of each node and of each spoke",
            &format!(
                "{:?} {:?}",
                (self.council.nodes.iter().map(Node::memory)).collect::<Result<Vec<_>, _>>()?,
                spokes.collect::<Result<Vec<_>, _>>()?
            ),
        );
        Ok(())
    }
}

fn check(holds: bool, why: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(why.into()) }
}

/// Takes from a node all that it knows of the registry.
fn wipe(dir: &Path) -> Result<(), Failed> {
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with("registry.")) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Gives an order as an organizer does.
fn order(words: &[&str], dir: &Path) -> Result<(), Failed> {
    let said = Command::new(crate::program())
        .arg("council")
        .args(words)
        .arg(dir)
        .output()?;
    let why = String::from_utf8_lossy(&said.stderr);
    check(said.status.success(), &format!("{words:?}: {why}"))
}
