//! A network on machines of its own, founded, joined and served by the ordinary commands; and what may
//! happen to its nodes.

use std::{
    fs::{self, File},
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    common::{
        demo::program,
        http::{self, Reply},
        wait_for,
    },
    world::{Cut, Machine, World},
};

/// A node begins within a second; beside a compiler it takes longer.
const START_WAIT: Duration = Duration::from_secs(40);
/// A member of the council may be choosing its leader when it is asked.
const COMMAND_TRIES: usize = 5;
/// HTTP and DNS are where they are in the world.
const HTTP: u16 = 80;
const DNS: u16 = 53;
/// The system asks no more (resolv.conf).
const RESOLVERS_MAX: usize = 3;
/// Below every disk of a test, the small one too.
const DISK_FLOOR: &str = "8MiB";
/// What fills a disk, at a time.
const PAGE: [u8; 4_096] = [1; 4_096];
pub(crate) const DOMAIN: &str = "blogs.test";

/// What a network is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) council: u8,
    /// The number of spokes of each operator.
    pub(crate) operators: Vec<u8>,
    pub(crate) replicas: u8,
    /// Kibibytes of the disk of one spoke, by its label.
    pub(crate) small_disk: Option<(&'static str, usize)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            council: 3,
            operators: vec![1, 1, 1, 1, 1, 2],
            replicas: 3,
            small_disk: None,
        }
    }
}

/// A node, on a machine of its own.
pub(crate) struct Node {
    pub(crate) label: String,
    pub(crate) operator: String,
    pub(crate) machine: Machine,
    pub(crate) dir: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Node {
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.machine.ip), HTTP)
    }

    pub(crate) fn dns(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.machine.ip), DNS)
    }

    pub(crate) fn is_council(&self) -> bool {
        self.operator.is_empty()
    }

    pub(crate) fn api(&self, path: &str) -> Option<Reply> {
        let host = self.address().to_string();
        let path = format!("/api/v1/{path}");
        http::request(self.address(), "GET", &host, &path, &[], b"")
    }
}

/// The network.
pub(crate) struct Network {
    pub(crate) world: World,
    pub(crate) home: PathBuf,
    pub(crate) id: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) replicas: u8,
}

impl Network {
    /// Founds it and lets everybody in; returns when all know it.
    pub(crate) fn found(home: &Path, plan: &Plan) -> Self {
        let began = Instant::now();
        let nodes = nodes(home, plan);
        let machines = nodes.iter().map(|node| node.machine.clone()).collect();
        let mut network = Self {
            world: World::new(machines),
            home: home.to_owned(),
            id: String::new(),
            nodes,
            replicas: plan.replicas,
        };
        let wired = began.elapsed();
        if let Some((label, kibibytes)) = plan.small_disk {
            let dir = &network.node(label).dir;
            fs::create_dir(dir).unwrap();
            let mut mount = Command::new("mount");
            let size = format!("size={kibibytes}k,mode=755");
            let mount = mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(dir);
            assert!(mount.status().unwrap().success());
        }
        for node in &network.nodes {
            network.bring(node);
        }
        network.be_resolved();
        for node in network.council() {
            wait_for(&format!("{} is filled", node.label), START_WAIT, || {
                let reply = http::request(node.address(), "GET", "x", "/healthz", &[], b"");
                (reply?.status == 200).then_some(())
            });
        }
        for node in network.spokes() {
            wait_for(&format!("{} is admitted", node.label), START_WAIT, || {
                let status = node.api("status")?.json();
                (status["standing"] == "admitted").then_some(())
            });
        }
        let facts = network.nodes[0].api("network").unwrap().json();
        facts["network"]
            .as_str()
            .unwrap()
            .clone_into(&mut network.id);
        eprintln!(
            "a network of {} council nodes and {} spokes after {:.1} s ({:.1} s for its machines)",
            plan.council,
            network.spokes().count(),
            began.elapsed().as_secs_f32(),
            wired.as_secs_f32()
        );
        network
    }

    /// Has the system of whoever runs here ask the council's servers for names.
    fn be_resolved(&self) {
        let lines = self.names().into_iter().take(RESOLVERS_MAX);
        let lines: String = lines
            .map(|server| format!("nameserver {}\n", server.ip()))
            .collect();
        let file = self.home.join("resolv.conf");
        fs::write(&file, lines).unwrap();
        let place = fs::canonicalize("/etc/resolv.conf");
        let mount = |place| {
            Command::new("mount")
                .arg("--bind")
                .arg(&file)
                .arg(place)
                .status()
        };
        // Where it leads to a folder that is not there in this world, no name is found.
        assert!(place.is_ok_and(|place| mount(place).unwrap().success()));
    }

    /// One more node comes in through the ordinary door.
    fn bring(&self, node: &Node) {
        let (label, dir) = (node.label.as_str(), node.dir.to_str().unwrap());
        let founder = self.nodes[0].dir.to_str().unwrap();
        let (at, dns) = (node.address().to_string(), node.dns().to_string());
        let council = ["--dir", dir, "--api", &at, "--dns", &dns];
        if node.dir.as_path() == self.nodes[0].dir {
            let replicas = self.replicas.to_string();
            let init = ["council", "init", DOMAIN, "--replicas", &replicas];
            self.say(&[&init[..], &council].concat());
            self.start(node);
            return;
        }
        let invite = self.say(&["council", "invite", "--dir", founder]);
        let invite = invite.trim();
        let word = if node.is_council() {
            let join = ["council", "join", invite, "--label", label];
            self.say(&[&join[..], &council].concat());
            "seat"
        } else {
            let who = ["--label", label, "--operator", &node.operator];
            let who = [&who[..], &["--disk-floor", DISK_FLOOR]].concat();
            let join = ["join", invite, "--dir", dir, "--listen", &at];
            self.say(&[&join[..], &who].concat());
            "admit"
        };
        self.start(node);
        self.say(&["council", word, label, "--dir", founder]);
    }

    /// Gives a command, as an organizer or a donor does; what it answers.
    pub(crate) fn say(&self, arguments: &[&str]) -> String {
        let mut said = String::new();
        for _ in 0..COMMAND_TRIES {
            let output = Command::new(program()).args(arguments).output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            said = format!("{}{error}", String::from_utf8_lossy(&output.stdout));
            if output.status.success() {
                return said;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        panic!("{arguments:?}: {said}");
    }

    /// Starts a node and waits until it answers.
    pub(crate) fn start(&self, node: &Node) {
        self.begin(node);
        wait_for(&format!("{} answers", node.label), START_WAIT, || {
            if let Some(status) = node.child.lock().unwrap().as_mut()?.try_wait().unwrap() {
                panic!("{} ended ({status}): {}", node.label, self.log(node));
            }
            let reply = http::request(node.address(), "GET", "x", "/healthz", &[], b"");
            // A node of the council that has not been filled yet says so.
            let is_new = node.is_council() && self.id.is_empty();
            (reply?.status == 200 || is_new).then_some(())
        });
    }

    /// Starts a node, and does not wait.
    pub(crate) fn begin(&self, node: &Node) {
        let log = self.home.join(format!("{}.log", node.label));
        let log = File::options().create(true).append(true).open(log).unwrap();
        let words: &[&str] = if node.is_council() {
            &["council", "serve"]
        } else {
            &["serve"]
        };
        let mut command = self.world.command(&node.machine, &program());
        let command = command.args(words).arg("--dir").arg(&node.dir);
        let command = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap());
        *node.child.lock().unwrap() = Some(command.stderr(log).spawn().unwrap());
    }

    pub(crate) fn log(&self, node: &Node) -> String {
        let path = self.home.join(format!("{}.log", node.label));
        fs::read_to_string(path).unwrap_or_default()
    }

    pub(crate) fn node(&self, label: &str) -> &Node {
        let found = self.nodes.iter().find(|node| node.label == label);
        found.unwrap_or_else(|| panic!("no node is called {label}"))
    }

    pub(crate) fn spokes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| !node.is_council())
    }

    pub(crate) fn council(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_council())
    }

    pub(crate) fn names(&self) -> Vec<SocketAddr> {
        self.council().map(Node::dns).collect()
    }

    /// What a spoke that answers says of a blog.
    pub(crate) fn blog(&self, name: &str, except: &[String]) -> Value {
        let mut asked = self.spokes().filter(|node| !except.contains(&node.label));
        let found = asked.find_map(|node| {
            let reply = node.api(&format!("blogs/{name}"))?;
            (reply.status == 200).then(|| reply.json())
        });
        found.unwrap_or_default()
    }

    /// The labels of a blog's members, its primary first.
    pub(crate) fn members(&self, name: &str, except: &[String]) -> Vec<String> {
        let blog = self.blog(name, except);
        let members = blog["members"].as_array().cloned().unwrap_or_default();
        let label = |member: &Value| member["label"].as_str().unwrap().to_owned();
        members.iter().map(label).collect()
    }

    /// Nobody panicked.
    pub(crate) fn assert_no_panic(&self) {
        for node in &self.nodes {
            let log = self.log(node);
            let line = log.lines().find(|line| line.contains("panicked"));
            assert_eq!(line, None, "{}", node.label);
        }
    }
}

/// What happens to a node.
impl Network {
    /// SIGKILL.
    pub(crate) fn kill(&self, node: &Node) {
        let mut child = node.child.lock().unwrap().take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn signal(node: &Node, signal: Signal) {
        let child = node.child.lock().unwrap();
        let pid = Pid::from_child(child.as_ref().unwrap());
        kill_process(pid, signal).unwrap();
    }

    /// SIGSTOP: its connections stay open, and nothing moves.
    pub(crate) fn pause(&self, node: &Node) {
        Self::signal(node, Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn resume(&self, node: &Node) {
        Self::signal(node, Signal::CONT);
    }

    pub(crate) fn cut(&self, node: &Node, cut: Cut) {
        self.world.cut(&node.machine, cut);
    }

    pub(crate) fn mend(&self, node: &Node) {
        self.world.mend(&node.machine);
    }

    /// Fills the disk of a node that has a small one.
    pub(crate) fn fill(&self, node: &Node) {
        let path = node.dir.join("ballast");
        let mut ballast = File::create(path).unwrap();
        while ballast.write_all(&PAGE).is_ok() {}
    }

    /// Makes room again.
    pub(crate) fn free(&self, node: &Node) {
        fs::remove_file(node.dir.join("ballast")).unwrap();
    }
}

fn nodes(home: &Path, plan: &Plan) -> Vec<Node> {
    let node = |label: String, operator: String, last: [u8; 2]| Node {
        dir: home.join(&label),
        machine: Machine {
            name: label.clone(),
            ip: Ipv4Addr::new(10, 77, last[0], last[1]),
        },
        label,
        operator,
        child: Mutex::default(),
    };
    let council =
        (1..=plan.council).map(|n| node(format!("council{n}"), String::new(), [10 + n, 1]));
    let mut labels = (b'a'..=b'z').map(|letter| char::from(letter).to_string());
    let mut spokes = Vec::new();
    for (group, count) in (1..).zip(&plan.operators) {
        for number in 1..=*count {
            let label = labels.next().unwrap();
            spokes.push(node(label, format!("Group {group}"), [100 + group, number]));
        }
    }
    council.chain(spokes).collect()
}
