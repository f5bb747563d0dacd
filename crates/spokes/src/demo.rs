//! A whole network on one machine: real processes, the ordinary doors, and a gateway that stands in
//! for the reader's resolver.

mod seed;

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde::Serialize;
use spokes_rules::{
    node::Label,
    request::{Address, Domain, Operator, Policy, Wish},
};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    client::{Ask, Client, Reply},
    clock,
    config::{self, Ceiling, CouncilConfig, Floor, SpokeConfig},
    council::{self, Beginning, Stand, bind},
    gateway::{Gateway, Settings},
    join::{self, Wanted},
    outage::Outage,
    wire::{NetworkWire, places::CouncilStatusWire},
};

/// How long a node may take to answer after its start.
const START_WAIT: Duration = Duration::from_secs(20);
/// How often a starting node is asked.
const START_PAUSE: Duration = Duration::from_millis(25);
/// How long nodes have to end when the demo does.
const END_WAIT: Duration = Duration::from_secs(3);
/// How often the demo looks for orders and for nodes that died.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long `demo restart` waits for the running demo.
const ORDER_WAIT: Duration = Duration::from_secs(25);
/// Spokes of one demo: the last number of their addresses.
pub const SPOKES_MAX: u8 = 200;

/// What a demo is asked to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where everything is kept.
    pub dir: PathBuf,
    /// How many council nodes.
    pub council: u8,
    /// How many spokes.
    pub spokes: u8,
    /// Replicas of each blog, and what readers bring; the limits of what people send are out of the way.
    pub policy: Policy,
    /// The network's domain.
    pub domain: Domain,
    /// The HTTP port of all nodes.
    pub port: u16,
    /// The DNS port of the council.
    pub dns_port: u16,
    /// Whether the sample blogs are left out.
    pub empty: bool,
}

/// `DIR/network.json` (the contract's names).
#[derive(Debug, Serialize)]
struct NetworkFile {
    domain: String,
    network: String,
    gateway: String,
    council: Vec<CouncilFile>,
    spokes: Vec<SpokeFile>,
}

#[derive(Debug, Serialize)]
struct CouncilFile {
    label: String,
    pid: u32,
    dns: String,
    api: String,
    data: PathBuf,
}

#[derive(Debug, Serialize)]
struct SpokeFile {
    label: String,
    pid: u32,
    http: String,
    operator: String,
    data: PathBuf,
}

/// A node and how to start it.
#[derive(Debug)]
struct Node {
    label: String,
    dir: PathBuf,
    command: &'static [&'static str],
    address: SocketAddr,
    child: Option<Child>,
}

/// A demo that runs.
#[derive(Debug)]
struct Demo {
    plan: Plan,
    dir: PathBuf,
    nodes: Vec<Node>,
    operators: BTreeMap<String, String>,
    network: String,
    client: Client,
    /// Held as long as the demo lives: one demo for one directory.
    _lock: fs::File,
}

/// Runs a network until it is told to end.
///
/// # Errors
/// When a port is taken, a directory is in use, or a node does not start.
pub async fn run(plan: Plan, say: &mut dyn FnMut(&str)) -> Result<(), Outage> {
    let dir = config::make_dir(&plan.dir)?;
    let lock = lock(&dir)?;
    remove_stale(&dir)?;
    let gateway_at = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), plan.port);
    let listener = bind(gateway_at).await?;
    let mut demo = Demo {
        dir,
        nodes: Vec::new(),
        operators: BTreeMap::new(),
        network: String::new(),
        client: Client::new()?,
        _lock: lock,
        plan,
    };
    let (end, ended) = watch::channel(false);
    let outcome = demo.start(listener, ended, say).await;
    let outcome = match outcome {
        Ok(()) => demo.attend(say).await,
        Err(outage) => Err(outage),
    };
    end.send_replace(true);
    demo.end().await;
    outcome
}

/// Has the running demo start one of its nodes again, and returns when it answers.
///
/// # Errors
/// When no demo runs in this directory, or the node does not start.
pub async fn restart(dir: &Path, label: &str) -> Result<(), Outage> {
    let not_running = || {
        Outage::new(format!(
            "no demo runs in {}; start it with \"spokes demo --dir {}\"",
            dir.display(),
            dir.display()
        ))
    };
    let dir = dir.canonicalize().map_err(|_| not_running())?;
    if lock(&dir).is_ok() {
        return Err(not_running());
    }
    let label = Label::parse(label).map_err(|why| Outage::new(format!("\"{label}\" {why}")))?;
    if !dir.join("logs").join(format!("{label}.log")).exists() {
        return Err(Outage::new(format!(
            "no node of this demo is called \"{label}\"; {}/network.json lists them all",
            dir.display()
        )));
    }
    let order = order_path(&dir, label.as_str());
    config::make_dir(&dir.join("orders"))?;
    config::write_file(&order, b"restart\n", 0o600)?;
    let until = Instant::now() + ORDER_WAIT;
    while order.exists() {
        if Instant::now() > until {
            drop(fs::remove_file(&order));
            return Err(Outage::new(format!(
                "\"{label}\" did not start; see {}/logs",
                dir.display()
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let answer = order.with_extension("answer");
    let said = fs::read_to_string(&answer).unwrap_or_default();
    drop(fs::remove_file(&answer));
    if said.trim() == "ok" {
        speak(&format!("\"{label}\" was started again, and answers"));
        Ok(())
    } else {
        Err(Outage::new(said.trim().to_owned()))
    }
}

fn order_path(dir: &Path, label: &str) -> PathBuf {
    dir.join("orders").join(format!("{label}.restart"))
}

fn lock(dir: &Path) -> Result<fs::File, Outage> {
    let path = dir.join("demo.lock");
    let file = fs::File::create(&path).map_err(|e| Outage::file("opening", &path, &e))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(
        |_| {
            Outage::new(format!(
                "a demo runs in {} already; open its address, or choose another --dir and --port",
                dir.display()
            ))
        },
    )?;
    Ok(file)
}

fn remove_stale(dir: &Path) -> Result<(), Outage> {
    let path = dir.join("network.json");
    match fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Outage::file("removing", &path, &e))
        }
        _ => Ok(()),
    }
}

impl Demo {
    async fn start(
        &mut self,
        listener: TcpListener,
        mut ended: watch::Receiver<bool>,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Outage> {
        let began = Instant::now();
        self.start_council().await?;
        for number in 1..=self.plan.spokes {
            self.start_spoke(number).await?;
        }
        self.wait_admitted().await?;
        let settings = Settings {
            domain: self.plan.domain.to_string(),
            dns: (1..=self.plan.council).map(|n| self.dns(n)).collect(),
            upstream_port: self.plan.port,
        };
        let gateway = Gateway::new(settings);
        tokio::spawn(gateway.run(listener, async move {
            drop(ended.wait_for(|ended| *ended).await);
        }));
        if !self.plan.empty && !self.dir.join("seeded").exists() {
            self.seed().await?;
        }
        self.write_file()?;
        self.greet(began.elapsed(), say);
        Ok(())
    }

    fn dns(&self, number: u8) -> SocketAddr {
        let address = Ipv4Addr::new(127, 0, 1, number);
        SocketAddr::new(IpAddr::V4(address), self.plan.dns_port)
    }

    fn api(&self, number: u8) -> SocketAddr {
        let address = Ipv4Addr::new(127, 0, 1, number);
        SocketAddr::new(IpAddr::V4(address), self.plan.port)
    }

    fn peer(&self, number: u8) -> SocketAddr {
        Address(self.api(number)).next_port().0
    }

    fn found(&self, dir: &Path) -> Result<(), Outage> {
        let policy = Policy {
            blogs_per_spoke_day: 1_000_000,
            names_per_blog: 3,
            blog_bytes: 1 << 36,
            entries_per_day: 1_000_000,
            ..self.plan.policy
        };
        let base_url = format!("http://{}:{}", self.plan.domain, self.plan.port);
        let beginning = Beginning {
            domain: self.plan.domain.clone(),
            api: self.api(1),
            dns: self.dns(1),
            peer: self.peer(1),
            base_url,
            policy,
        };
        council::init(dir, beginning).map(drop)
    }

    /// Starts the council: the first node founds it, the others come in through the ordinary door.
    async fn start_council(&mut self) -> Result<(), Outage> {
        let mut grown = false;
        for number in 1..=self.plan.council {
            let label = format!("council{number}");
            let dir = self.dir.join(&label);
            let (api, dns) = (self.api(number), self.dns(number));
            let is_new = !dir.join("config.toml").exists();
            grown |= is_new;
            if is_new && number == 1 {
                self.found(&dir)?;
            } else if is_new {
                // The first answers before it has read what it was founded with.
                self.wait_network().await?;
                let expires = clock::now() + 3_600;
                let invite = council::invite(&self.dir.join("council1"), expires).await?;
                let stand = Stand {
                    label: Label::parse(&label).map_err(Outage::new)?,
                    api,
                    dns,
                    peer: self.peer(number),
                };
                council::stand(&dir, &invite, &stand).await?;
            }
            let config = CouncilConfig::load(&dir)?;
            if config.api != api || config.dns != dns {
                return Err(Outage::new(format!(
                    "the network in {} was made for other ports ({}, DNS {}); start it with these, or \
                     choose another --dir",
                    self.dir.display(),
                    config.api.port(),
                    config.dns.port()
                )));
            }
            self.nodes.push(Node {
                label: label.clone(),
                dir,
                command: &["council", "serve"],
                address: api,
                child: None,
            });
            self.launch(self.nodes.len() - 1).await?;
            if is_new && number > 1 {
                let label = Label::parse(&label).map_err(Outage::new)?;
                council::organize(&self.dir.join("council1"), Wish::Seat { label }).await?;
            }
        }
        self.network = self.wait_network().await?;
        if grown {
            for number in 1..=self.plan.council {
                self.wait_whole(number).await?;
            }
        }
        Ok(())
    }

    /// Waits until the first node says which network this is: it holds it back until it has read what it holds.
    async fn wait_network(&self) -> Result<String, Outage> {
        let until = Instant::now() + START_WAIT;
        loop {
            let ask = Ask::new(self.api(1), "/api/v1/network");
            let said: Result<NetworkWire, Outage> = match self.client.get(ask).await {
                Ok(reply) => reply.good(),
                Err(outage) => Err(outage),
            };
            match said {
                Err(_) if Instant::now() < until => tokio::time::sleep(START_PAUSE).await,
                said => return Ok(said?.network),
            }
        }
    }

    /// Waits until a council node has all that there is.
    async fn wait_whole(&self, number: u8) -> Result<(), Outage> {
        let until = Instant::now() + START_WAIT;
        let at = self.api(number);
        while let Err(outage) = self.client.bytes(Ask::new(at, "/healthz"), 100).await {
            if Instant::now() > until {
                let why = format!("\"council{number}\" was not filled: {outage}");
                return Err(Outage::new(why));
            }
            tokio::time::sleep(START_PAUSE).await;
        }
        // It says so itself then, and only from then on DNS names it.
        let status = || async {
            let asked = Ask::new(self.api(1), "/api/v1/registry/status");
            let status = self.client.get::<CouncilStatusWire>(asked).await;
            status?.good()
        };
        let label = format!("council{number}");
        while Instant::now() < until {
            let nodes = status()
                .await
                .map(|status| status.nodes)
                .unwrap_or_default();
            if nodes.iter().any(|n| n.label == label && n.sits == "sits") {
                return Ok(());
            }
            tokio::time::sleep(START_PAUSE).await;
        }
        Err(Outage::new(format!(
            "\"{label}\" was filled, and the registry does not know it"
        )))
    }

    fn council(&self) -> &[Node] {
        &self.nodes[..usize::from(self.plan.council)]
    }

    fn spokes(&self) -> &[Node] {
        &self.nodes[usize::from(self.plan.council)..]
    }

    async fn start_spoke(&mut self, number: u8) -> Result<(), Outage> {
        let label = letter(number);
        let dir = self.dir.join(format!("spoke-{label}"));
        let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 2, number)), self.plan.port);
        let operator = format!("Group {}", label.to_uppercase());
        let council_dir = self.dir.join("council1");
        let joined = dir.join("config.toml").exists();
        if !joined {
            let expires = clock::now() + 3_600;
            let invite = council::invite(&council_dir, expires).await?;
            let wanted = Wanted {
                label: Label::parse(&label).map_err(Outage::new)?,
                operator: Operator::parse(&operator).map_err(Outage::new)?,
                listen,
                address: listen,
                floor: Floor::OF_A_DEMO,
                ceiling: Ceiling(None),
            };
            join::join(&dir, &invite, &wanted).await?;
        }
        let listen = SpokeConfig::load(&dir)?.listen;
        self.operators.insert(label.clone(), operator);
        self.nodes.push(Node {
            label: label.clone(),
            dir,
            command: &["serve"],
            address: listen,
            child: None,
        });
        self.launch(self.nodes.len() - 1).await?;
        if !joined {
            let label = Label::parse(&label).map_err(Outage::new)?;
            council::organize(&council_dir, Wish::Admit { label }).await?;
        }
        Ok(())
    }

    /// Starts a node and waits until it answers.
    async fn launch(&mut self, index: usize) -> Result<(), Outage> {
        let logs = config::make_dir(&self.dir.join("logs"))?;
        let node = &mut self.nodes[index];
        let program = std::env::current_exe()
            .map_err(|e| Outage::new(format!("this program cannot find itself: {e}")))?;
        let path = logs.join(format!("{}.log", node.label));
        let failed = |e: &std::io::Error| Outage::file("opening", &path, e);
        let log = fs::OpenOptions::new().create(true).append(true).open(&path);
        let log = log.map_err(|e| failed(&e))?;
        let child = Command::new(program)
            .args(node.command)
            .arg("--dir")
            .arg(&node.dir)
            // The pipe breaks when the demo ends, however it ends, and with it the node.
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(|e| failed(&e))?)
            .stderr(log)
            .spawn()
            .map_err(|e| Outage::new(format!("\"{}\" cannot be started: {e}", node.label)))?;
        node.child = Some(child);
        let (address, label) = (node.address, node.label.clone());
        let until = Instant::now() + START_WAIT;
        // A node that is empty so far says so: it answers, too.
        while self
            .client
            .get::<serde_json::Value>(Ask::new(address, "/api/v1/network"))
            .await
            .is_err()
        {
            let ended = self.nodes[index]
                .child
                .as_mut()
                .and_then(|c| c.try_wait().ok().flatten());
            if ended.is_some() || Instant::now() > until {
                let said = last_line(&path);
                return Err(Outage::new(format!("\"{label}\" did not start: {said}")));
            }
            tokio::time::sleep(START_PAUSE).await;
        }
        Ok(())
    }

    /// Waits until every spoke has heard that all of them are admitted.
    async fn wait_admitted(&self) -> Result<(), Outage> {
        let until = Instant::now() + START_WAIT;
        for node in self.spokes() {
            loop {
                let status = self
                    .client
                    .get(Ask::new(node.address, "/api/v1/status"))
                    .await;
                let standing = match status {
                    Ok(Reply::Good(status, _)) => {
                        let status: serde_json::Value = status;
                        status["standing"].as_str().unwrap_or_default().to_owned()
                    }
                    _ => String::new(),
                };
                if standing == "admitted" {
                    break;
                }
                if Instant::now() > until {
                    return Err(Outage::new(format!(
                        "\"{}\" was not admitted in time; see {}/logs",
                        node.label,
                        self.dir.display()
                    )));
                }
                tokio::time::sleep(START_PAUSE).await;
            }
        }
        Ok(())
    }

    fn write_file(&self) -> Result<(), Outage> {
        let pid = |node: &Node| node.child.as_ref().map_or(0, Child::id);
        let council = (1..).zip(self.council()).map(|(number, node)| CouncilFile {
            label: node.label.clone(),
            pid: pid(node),
            dns: self.dns(number).to_string(),
            api: format!("http://{}", node.address),
            data: node.dir.clone(),
        });
        let spokes = self.spokes().iter().map(|node| SpokeFile {
            label: node.label.clone(),
            pid: pid(node),
            http: format!("http://{}", node.address),
            operator: self.operators.get(&node.label).cloned().unwrap_or_default(),
            data: node.dir.clone(),
        });
        let file = NetworkFile {
            domain: self.plan.domain.to_string(),
            network: self.network.clone(),
            gateway: format!("http://127.0.0.1:{}", self.plan.port),
            council: council.collect(),
            spokes: spokes.collect(),
        };
        let json = serde_json::to_vec_pretty(&file).map_err(|e| Outage::new(e.to_string()))?;
        config::write_file(&self.dir.join("network.json"), &json, 0o644)
    }

    fn greet(&self, took: Duration, say: &mut dyn FnMut(&str)) {
        let Plan {
            domain,
            port,
            spokes,
            ..
        } = &self.plan;
        let dir = self.dir.display();
        let dns = self.dns(1);
        say(&format!(
            "A network of {spokes} spokes answers after {:.1} s.",
            took.as_secs_f32()
        ));
        say("");
        say(&format!("  front page   http://{domain}:{port}/"));
        if !self.plan.empty {
            say(&format!("  a blog       http://welcome.{domain}:{port}/"));
        }
        say(&format!(
            "  names        dig @{} -p {} {domain}",
            dns.ip(),
            dns.port()
        ));
        say(&format!("  data, logs   {dir}"));
        say("");
        say("Try next, in another terminal:");
        say(&format!("  export SPOKES_NETWORK=http://127.0.0.1:{port}"));
        say("  spokes blog create maria --key FINGERPRINT          (of your gpg key)");
        say("  spokes blog publish first.md --blog maria --key FINGERPRINT");
        say(&format!(
            "  spokes demo restart a --dir {dir}     (after killing it)"
        ));
        say("");
        say("Ctrl-C ends the network; starting again goes on with it.");
    }

    /// Looks for orders and for nodes that died, until the demo is told to end.
    async fn attend(&mut self, say: &mut dyn FnMut(&str)) -> Result<(), Outage> {
        let failed = |e: std::io::Error| Outage::new(format!("signals cannot be awaited: {e}"));
        let kind = tokio::signal::unix::SignalKind::terminate();
        let mut terminate = tokio::signal::unix::signal(kind).map_err(failed)?;
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            for index in 0..self.nodes.len() {
                self.look_after(index, say).await?;
            }
        }
    }

    async fn look_after(&mut self, index: usize, say: &mut dyn FnMut(&str)) -> Result<(), Outage> {
        let node = &mut self.nodes[index];
        if let Some(child) = node.child.as_mut()
            && let Ok(Some(status)) = child.try_wait()
        {
            say(&format!(
                "\"{}\" ended ({status}); the network goes on.",
                node.label
            ));
            node.child = None;
        }
        let order = order_path(&self.dir, &node.label);
        if !order.exists() {
            return Ok(());
        }
        if let Some(mut child) = node.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        let answer = match self.launch(index).await {
            Ok(()) => "ok".to_owned(),
            Err(outage) => outage.to_string(),
        };
        self.write_file()?;
        config::write_file(&order.with_extension("answer"), answer.as_bytes(), 0o600)?;
        fs::remove_file(&order).map_err(|e| Outage::file("removing", &order, &e))
    }

    async fn end(&mut self) {
        for node in &mut self.nodes {
            if let Some(child) = node.child.as_mut() {
                drop(child.stdin.take());
            }
        }
        let until = Instant::now() + END_WAIT;
        for node in &mut self.nodes {
            let Some(child) = node.child.as_mut() else {
                continue;
            };
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < until {
                tokio::time::sleep(START_PAUSE).await;
            }
            drop(child.kill());
            drop(child.wait());
        }
        drop(fs::remove_file(self.dir.join("network.json")));
    }
}

fn letter(number: u8) -> String {
    match number {
        1..=26 => char::from(b'a' + number - 1).to_string(),
        _ => format!("s{number}"),
    }
}

fn last_line(path: &Path) -> String {
    let log = fs::read_to_string(path).unwrap_or_default();
    log.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it said nothing")
        .to_owned()
}

/// Writes what the demo says, at once.
pub fn speak(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reads any more: the network goes on all the same.
    drop(writeln!(out, "{}", crate::shown::shown(line)).and_then(|()| out.flush()));
}
