//! The council: three real processes that order requests, beside SQLite and etcd, near and far from each
//! other; who leads when the leader dies; and the start of a node with a million names.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use spokes::{
    client::{Ask, Client, Reply},
    clock,
    config::{self, CouncilConfig},
    council::{self, Stand},
    wire::{NetworkWire, RecordWire, RequestWire, TakenWire},
};
use spokes_log::{name::Hash, time::Time};
use spokes_rules::{
    node::{Label, NodeSecret, Signed},
    registry::Record,
    request::{Address, CouncilNode, Domain, Founding, Policy, Request, Wish},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::{
    Failed, ROUNDS,
    desk::{free_port, resident},
    median, print, sqlite_floor,
};

/// Organizers, each of whom may ask 50 times a second at each node.
const ORGANIZERS: u8 = 25;
/// How long each load lasts.
const LOAD: Duration = Duration::from_secs(4);
/// How often the leader is killed.
const DEATHS: usize = 5;
/// The longest that anything may take to come about.
const PATIENCE: Duration = Duration::from_secs(60);

/// One council node and the processes around it.
pub(crate) struct Node {
    pub(crate) dir: PathBuf,
    pub(crate) api: SocketAddr,
    child: Option<Child>,
}

impl Node {
    pub(crate) fn start(&mut self) -> Result<(), Failed> {
        let mut command = Command::new(crate::program());
        command.args(["council", "serve", "--dir"]).arg(&self.dir);
        let quiet = || fs::File::create(self.dir.join("output")).map(Stdio::from);
        self.child = Some(command.stdout(quiet()?).stderr(quiet()?).spawn()?);
        Ok(())
    }

    pub(crate) fn kill(&mut self) -> Result<(), Failed> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Ends it as an operator does.
    pub(crate) fn stop(&mut self) -> Result<(), Failed> {
        if let Some(mut child) = self.child.take() {
            let pid = child.id().to_string();
            Command::new("kill").arg(pid).status()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Its last words, if it has ended by itself: none, where it said nothing.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let ended = self.child.as_mut()?.try_wait();
        ended.ok().flatten()?;
        let output = fs::read_to_string(self.dir.join("output")).unwrap_or_default();
        Some(output.lines().last().unwrap_or_default().to_owned())
    }

    /// Megabytes that it holds.
    pub(crate) fn memory(&self) -> Result<u64, Failed> {
        let child = self.child.as_ref().ok_or("it does not run")?;
        resident(u64::from(child.id()))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.kill());
    }
}

/// How far apart the council's nodes are: what one way of a message between them takes.
#[derive(Clone, Copy)]
pub(crate) struct Apart(pub(crate) Duration);

impl Apart {
    /// Where others reach what listens here: there, or at a relay that is as slow as the way.
    async fn reached(self, here: SocketAddr) -> Result<SocketAddr, Failed> {
        if self.0.is_zero() {
            return Ok(here);
        }
        let relay = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let at = relay.local_addr()?;
        tokio::spawn(async move {
            while let Ok((near, _)) = relay.accept().await {
                tokio::spawn(async move {
                    // The way there is as long for the first word as for any other.
                    tokio::time::sleep(self.0).await;
                    let Ok(far) = TcpStream::connect(here).await else {
                        return;
                    };
                    drop((near.set_nodelay(true), far.set_nodelay(true)));
                    let ((near_in, near_out), (far_in, far_out)) =
                        (near.into_split(), far.into_split());
                    tokio::spawn(carry(near_in, far_out, self.0));
                    carry(far_in, near_out, self.0).await;
                });
            }
        });
        Ok(at)
    }
}

/// Carries bytes one way, each of which takes as long.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, takes: Duration) {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            let arrives = tokio::time::Instant::now() + takes;
            if sender.send((arrives, bytes[..read].to_vec())).is_err() {
                return;
            }
        }
    });
    while let Some((arrives, bytes)) = receiver.recv().await {
        tokio::time::sleep_until(arrives).await;
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

pub(crate) struct Council {
    pub(crate) nodes: Vec<Node>,
    organizers: Vec<NodeSecret>,
    pub(crate) network: Hash,
    client: Client,
    _temp: tempfile::TempDir,
}

/// An address that nobody has.
pub(crate) fn port() -> Result<SocketAddr, Failed> {
    Ok((Ipv4Addr::LOCALHOST, free_port()?).into())
}

pub(crate) fn asks(key: &NodeSecret, network: Option<Hash>, what: Wish) -> Request {
    let ask = spokes_rules::request::Ask {
        network,
        time: clock::now(),
        what,
    };
    Request::plain(Signed::new(key, &ask))
}

/// Writes the registry of one node as it was kept before there was a journal; the node makes one of it.
pub(crate) fn write_alone(
    dir: &Path,
    time: Time,
    records: impl Iterator<Item = Result<Request, Failed>>,
) -> Result<Hash, Failed> {
    let mut index = rusqlite::Connection::open(dir.join("registry.db"))?;
    index.execute_batch(
        "CREATE TABLE record (place INTEGER PRIMARY KEY, request TEXT NOT NULL, json TEXT NOT NULL) STRICT; \
         PRAGMA user_version = 1;",
    )?;
    let filling = index.transaction()?;
    let (mut previous, mut network) = (Hash::of(b""), None);
    for (place, request) in records.enumerate() {
        let record = Record {
            index: place as u64,
            previous,
            time,
            request: request?,
        };
        previous = record.hash();
        network.get_or_insert(previous);
        let json = serde_json::to_string(&RecordWire::from(&record))?;
        let mut insert = filling.prepare_cached("INSERT INTO record VALUES (?1, ?2, ?3)")?;
        insert.execute((place, &record.request.signed.text, json))?;
    }
    filling.commit()?;
    Ok(network.ok_or("no records")?)
}

impl Council {
    /// The first node, with a founding of its own and whatever else is written behind it.
    async fn of_one(
        apart: Apart,
        write: impl FnOnce(&Path, &NodeSecret, Request) -> Result<Hash, Failed>,
    ) -> Result<Self, Failed> {
        let temp = tempfile::tempdir()?;
        let dir = temp.path().join("council1");
        fs::create_dir(&dir)?;
        let first = config::secret_key(&dir.join("organizer.key"))?;
        let others = (1..ORGANIZERS).map(|n| NodeSecret::from_seed(&[n; 32]));
        let organizers: Vec<_> = std::iter::once(first).chain(others).collect();
        let (api, peer) = (port()?, port()?);
        let reached = apart.reached(peer).await?;
        let (node, founding) = beginning(&dir, api, peer, reached, &organizers)?;
        let network = write(&dir, &organizers[0], founding)?;
        let mut council = Self {
            nodes: vec![node],
            organizers,
            network,
            client: Client::new()?,
            _temp: temp,
        };
        council.nodes[0].start()?;
        council.until_answers(0).await?;
        Ok(council)
    }

    /// A council of three, which begins with what is written for its first node.
    pub(crate) async fn of_three(
        apart: Apart,
        write: impl FnOnce(&Path, &NodeSecret, Request) -> Result<Hash, Failed>,
    ) -> Result<Self, Failed> {
        let mut council = Self::of_one(apart, write).await?;
        let first = council.nodes[0].dir.clone();
        for number in 2..=3 {
            let label = Label::parse(&format!("council{number}"))?;
            let invite = council::invite(&first, clock::now() + 3_600).await?;
            let (api, dns, peer) = (port()?, port()?, port()?);
            let stand = Stand {
                label: label.clone(),
                api,
                dns,
                peer: apart.reached(peer).await?,
            };
            let dir = council._temp.path().join(label.as_str());
            council::stand(&dir, &invite, &stand).await?;
            let mut config = CouncilConfig::load(&dir)?;
            config.peer = Some(peer);
            config.save(&dir)?;
            let child = None;
            let mut node = Node { dir, api, child };
            node.start()?;
            council.nodes.push(node);
            council::organize(&first, Wish::Seat { label }).await?;
        }
        for number in 0..council.nodes.len() {
            council.until_answers(number).await?;
        }
        // Until the last one has its vote.
        tokio::time::sleep(Duration::from_secs(4)).await;
        Ok(council)
    }

    async fn until_answers(&self, number: usize) -> Result<f64, Failed> {
        let began = Instant::now();
        loop {
            let ask = Ask::new(self.nodes[number].api, "/api/v1/network");
            if let Ok(Reply::Good(network, _)) = self.client.get::<NetworkWire>(ask).await
                && !network.network.is_empty()
            {
                return Ok(began.elapsed().as_secs_f64() * 1_000.0);
            }
            if began.elapsed() > PATIENCE * 20 {
                return Err(format!("node {number} does not answer").into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Requests that nobody has sent yet, of all organizers in turn.
    fn requests(&self, many: usize, salt: u64) -> Vec<RequestWire> {
        let one = |number: usize| {
            let token = Hash::of(&[salt.to_le_bytes(), (number as u64).to_le_bytes()].concat());
            let expires = clock::now() + 3_600;
            let organizer = &self.organizers[number % self.organizers.len()];
            let wish = Wish::Invite { token, expires };
            RequestWire::from(&asks(organizer, Some(self.network), wish))
        };
        (0..many).map(one).collect()
    }

    async fn ask(&self, to: SocketAddr, request: &RequestWire) -> bool {
        let ask = Ask::new(to, "/api/v1/registry/requests").waiting(Duration::from_secs(10));
        let sent = self.client.post::<_, TakenWire>(ask, request).await;
        matches!(sent, Ok(Reply::Good(..)))
    }

    /// So many clients write; writes a second and milliseconds of each.
    async fn load(self: &Arc<Self>, clients: usize, salt: u64) -> Result<(f64, Vec<f64>), Failed> {
        let requests = Arc::new(self.requests(12_000, salt));
        let next = Arc::new(AtomicUsize::new(0));
        let began = Instant::now();
        let tasks: Vec<_> = (0..clients)
            .map(|client| {
                let (council, requests, next) =
                    (Arc::clone(self), Arc::clone(&requests), Arc::clone(&next));
                tokio::spawn(async move {
                    let mut took = Vec::new();
                    while began.elapsed() < LOAD {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(request) = requests.get(number) else {
                            break;
                        };
                        let node = (client + number) % council.nodes.len();
                        let asked = Instant::now();
                        if council.ask(council.nodes[node].api, request).await {
                            took.push(asked.elapsed().as_secs_f64() * 1_000.0);
                        } else {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                    took
                })
            })
            .collect();
        let mut took = Vec::new();
        for task in tasks {
            took.append(&mut task.await?);
        }
        Ok((took.len() as f64 / began.elapsed().as_secs_f64(), took))
    }
}

/// The first node, not started, and the request that founds its network.
pub(crate) fn beginning(
    dir: &Path,
    api: SocketAddr,
    peer: SocketAddr,
    reached: SocketAddr,
    organizers: &[NodeSecret],
) -> Result<(Node, Request), Failed> {
    let secret = config::secret_key(&dir.join("node.key"))?;
    let dns = port()?;
    let config = CouncilConfig {
        layout: config::LAYOUT,
        label: "council1".into(),
        api,
        dns,
        dns_rate: 0,
        peer: Some(peer),
        network: None,
        council_keys: vec![secret.key().to_string()],
        base_url: "http://blogs.example".into(),
    };
    config.save(dir)?;
    let founding = Founding {
        domain: Domain::parse("blogs.example")?,
        council: vec![CouncilNode {
            label: Label::parse("council1")?,
            key: secret.key(),
            api: Address(api),
            dns: Address(dns),
            peer: Address(reached),
        }],
        organizers: organizers.iter().map(NodeSecret::key).collect(),
        policy: Policy {
            blogs_per_spoke_day: 10_000_000,
            ..Policy::default()
        },
    };
    let node = Node {
        dir: dir.to_owned(),
        api,
        child: None,
    };
    Ok((node, asks(&organizers[0], None, Wish::Found(founding))))
}

/// Percentile of milliseconds.
fn at(took: &mut [f64], part: f64) -> f64 {
    took.sort_by(f64::total_cmp);
    let last = took.len().saturating_sub(1) as f64;
    took.get((last * part) as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// Registry writes on three nodes beside SQLite and etcd, and the death of the leader: all on loopback, and
/// with a journey between the nodes.
pub(crate) async fn council() -> Result<(), Failed> {
    measure("3 nodes on loopback", Apart(Duration::ZERO)).await?;
    for there_and_back in [150, 300] {
        let what = format!("3 nodes, {there_and_back} ms there and back");
        measure(&what, Apart(Duration::from_millis(there_and_back / 2))).await?;
    }
    Ok(())
}

async fn measure(what: &str, apart: Apart) -> Result<(), Failed> {
    let founding_alone = |dir: &Path, _: &NodeSecret, founding| {
        write_alone(dir, clock::now(), std::iter::once(Ok(founding)))
    };
    let council = Council::of_three(apart, founding_alone).await?;
    let mut council = Arc::new(council);
    let etcd = Etcd::start(apart).await;
    if let Err(why) = &etcd {
        print(
            "etcd",
            &format!("left out: {why} (apt-get install etcd-server)"),
        );
    }
    for clients in [1_usize, 8, 64] {
        let (mut rates, mut theirs, mut floors) = (Vec::new(), Vec::new(), Vec::new());
        let (mut took, mut took_etcd) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let salt = (clients * 10 + round) as u64;
            let (rate, mut all) = council.load(clients, salt).await?;
            rates.push(rate);
            took.append(&mut all);
            floors.push(sqlite_floor(&council.nodes[0].dir)?);
            if let Ok(etcd) = &etcd {
                let (rate, mut all) = etcd.load(clients).await?;
                theirs.push(rate);
                took_etcd.append(&mut all);
            }
        }
        let (rate, floor) = (median(rates), median(floors));
        let mut said = format!(
            "{rate:.0}/s, p50 {:.1} ms, p99 {:.1} ms; {:.2} x SQLite's {floor:.0}/s",
            at(&mut took, 0.5),
            at(&mut took, 0.99),
            rate / floor
        );
        if !theirs.is_empty() {
            let theirs = median(theirs);
            said += &format!(
                "; {:.2} x etcd's {theirs:.0}/s, p50 {:.1} ms, p99 {:.1} ms",
                rate / theirs,
                at(&mut took_etcd, 0.5),
                at(&mut took_etcd, 0.99)
            );
        }
        print(
            &format!("registry writes, {what}, {clients} clients"),
            &said,
        );
    }
    drop(etcd);
    let council = Arc::get_mut(&mut council).ok_or("still in use")?;
    leader_change(what, council).await
}

/// Each node is killed once in each round; the longest time without a write is the one when it led.
async fn leader_change(what: &str, council: &mut Council) -> Result<(), Failed> {
    let mut gaps = Vec::new();
    for round in 0..DEATHS {
        let mut longest: f64 = 0.0;
        for victim in 0..council.nodes.len() {
            let salt = 10_000 + (round * 10 + victim) as u64;
            longest = longest.max(gap(council, victim, salt).await?);
            council.nodes[victim].start()?;
            council.until_answers(victim).await?;
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        gaps.push(longest);
    }
    let most = gaps.iter().copied().fold(0.0, f64::max);
    print(
        &format!("no write while the leader changes, {what}, {DEATHS} deaths"),
        &format!("median {:.2} s, longest {most:.2} s", median(gaps)),
    );
    Ok(())
}

/// Seconds without a write when a node is killed.
async fn gap(council: &mut Council, victim: usize, salt: u64) -> Result<f64, Failed> {
    let requests = council.requests(4_000, salt);
    let living: Vec<SocketAddr> = (0..council.nodes.len())
        .filter(|number| *number != victim)
        .map(|number| council.nodes[number].api)
        .collect();
    let over = AtomicBool::new(false);
    let client = &council.client;
    let mut victim = council.nodes[victim]
        .child
        .take()
        .ok_or("it does not run")?;
    let writes = |turn: usize| {
        let (living, requests, over) = (&living, &requests, &over);
        async move {
            let mut taken = Vec::new();
            for request in requests.iter().skip(turn).step_by(4) {
                let path = "/api/v1/registry/requests";
                // The same request until it is decided, as a patient client does.
                for to in living.iter().cycle() {
                    let ask = Ask::new(*to, path).waiting(Duration::from_secs(10));
                    if over.load(Ordering::Relaxed) {
                        return taken;
                    }
                    let sent = client.post::<_, TakenWire>(ask, request).await;
                    if matches!(sent, Ok(Reply::Good(..))) {
                        taken.push(Instant::now());
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            taken
        }
    };
    let kills = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let killed = victim.kill().and_then(|()| victim.wait());
        tokio::time::sleep(Duration::from_secs(8)).await;
        over.store(true, Ordering::Relaxed);
        killed
    };
    let (one, two, three, four, killed) =
        tokio::join!(writes(0), writes(1), writes(2), writes(3), kills);
    killed?;
    let mut taken = [one, two, three, four].concat();
    taken.sort();
    let gaps = taken.windows(2).map(|two| (two[1] - two[0]).as_secs_f64());
    Ok(gaps.fold(0.0, f64::max))
}

// ---- etcd ----

struct Etcd {
    children: Vec<Child>,
    clients: Vec<SocketAddr>,
    http: reqwest::Client,
    _temp: tempfile::TempDir,
}

impl Etcd {
    async fn start(apart: Apart) -> Result<Self, Failed> {
        Command::new("etcd").arg("--version").output()?;
        let temp = tempfile::tempdir()?;
        let (mut ports, mut all) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let (peer, client) = (port()?, port()?);
            let reached = apart.reached(peer).await?;
            all.push(format!("e{number}=http://{reached}"));
            ports.push((peer, reached, client));
        }
        let mut etcd = Self {
            children: Vec::new(),
            clients: ports.iter().map(|(.., client)| *client).collect(),
            http: reqwest::Client::builder().no_proxy().build()?,
            _temp: temp,
        };
        for (number, (peer, reached, client)) in ports.iter().enumerate() {
            let url = |at: &SocketAddr| format!("http://{at}");
            let dir = etcd._temp.path().join(format!("e{number}"));
            let mut command = Command::new("etcd");
            command.args(["--name", &format!("e{number}"), "--log-level", "error"]);
            command.arg("--data-dir").arg(dir);
            command.args(["--listen-peer-urls", &url(peer)]);
            command.args(["--initial-advertise-peer-urls", &url(reached)]);
            command.args(["--listen-client-urls", &url(client)]);
            command.args(["--advertise-client-urls", &url(client)]);
            command.args(["--initial-cluster", &all.join(",")]);
            // Nearly as long as ours wait for a leader.
            command.args(["--heartbeat-interval", "150", "--election-timeout", "1500"]);
            let child = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            etcd.children.push(child);
        }
        let until = Instant::now() + PATIENCE;
        while !etcd.put(0, "first").await {
            if Instant::now() > until {
                return Err("etcd does not start".into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(etcd)
    }

    async fn put(&self, node: usize, key: &str) -> bool {
        let url = format!(
            "http://{}/v3/kv/put",
            self.clients[node % self.clients.len()]
        );
        // About as long as one of our requests: base64 of 400 bytes.
        let body = serde_json::json!({"key": hex(key), "value": "c3Bv".repeat(133)});
        let sent = self.http.post(url).json(&body).send().await;
        sent.is_ok_and(|answer| answer.status().is_success())
    }

    async fn load(&self, clients: usize) -> Result<(f64, Vec<f64>), Failed> {
        let began = Instant::now();
        let tasks = (0..clients).map(|client| async move {
            let mut took = Vec::new();
            let mut number = client;
            while began.elapsed() < LOAD {
                let asked = Instant::now();
                if self.put(number, &format!("{client}-{number}")).await {
                    took.push(asked.elapsed().as_secs_f64() * 1_000.0);
                }
                number += 1;
            }
            took
        });
        let took = futures_util::future::join_all(tasks).await.concat();
        Ok((took.len() as f64 / began.elapsed().as_secs_f64(), took))
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A key that is base64 as it is: hex digits, four at a time.
fn hex(key: &str) -> String {
    let mut hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    hex.extend(std::iter::repeat_n('0', (4 - hex.len() % 4) % 4));
    hex
}
