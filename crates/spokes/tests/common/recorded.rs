//! A small network of real processes whose every call to the system is written down, from the empty
//! disk on: a council and three spokes, founded, joined and served by the ordinary commands.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::Duration,
};

use super::{
    demo::{answers, free_ports, program},
    http, run,
    trace::{self, Trace},
    wait_for,
};

/// A node begins within a second; under strace, beside a compiler, it takes longer.
const START_WAIT: Duration = Duration::from_secs(60);
/// A node ends at once when its standard input does, but for its last words.
const END_WAIT: Duration = Duration::from_secs(20);
pub(crate) const COUNCIL: &str = "council1";
/// The nodes of a council of three.
pub(crate) const COUNCIL_OF_THREE: [&str; 3] = [COUNCIL, "council2", "council3"];
pub(crate) const SPOKES: [&str; 3] = ["a", "b", "c"];
pub(crate) const DOMAIN: &str = "blogs.localhost";

/// A node of the network: its disk, where it answers, and what was written down of it.
pub(crate) struct Node {
    /// The part of the disk that has always been there.
    pub(crate) disk: PathBuf,
    pub(crate) address: SocketAddr,
    traces: Vec<PathBuf>,
    process: Option<Process>,
}

/// A running node. It ends when its standard input does, so it cannot outlive the test.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
}

impl Process {
    pub(crate) fn begin(command: &mut Command, said: &Path) -> Self {
        let said = File::options()
            .create(true)
            .append(true)
            .open(said)
            .unwrap();
        let command = command
            .stdin(Stdio::piped())
            .stdout(said.try_clone().unwrap());
        let mut child = command.stderr(said).spawn().unwrap();
        let input = child.stdin.take();
        Self { child, input }
    }

    /// Tells it to end, and waits until it has.
    pub(crate) fn end(mut self) -> ExitStatus {
        drop(self.input.take());
        self.ended()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait_for("a node ends", END_WAIT, || self.child.try_wait().unwrap())
    }

    /// How it ended, if it has.
    pub(crate) fn poll(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        let until = std::time::Instant::now() + Duration::from_secs(3);
        while matches!(self.child.try_wait(), Ok(None)) && std::time::Instant::now() < until {
            std::thread::sleep(super::LOOK_EVERY);
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether this is a node of the council.
pub(crate) fn is_council(label: &str) -> bool {
    label.starts_with("council")
}

/// How a node is served.
pub(crate) fn serving(label: &str) -> &'static [&'static str] {
    if is_council(label) {
        &["council", "serve"]
    } else {
        &["serve"]
    }
}

/// The folder of a node's data below its disk; two folders that did not exist before.
pub(crate) fn data(disk: &Path) -> PathBuf {
    disk.join("var").join("node")
}

/// The network.
pub(crate) struct Recorded {
    home: tempfile::TempDir,
    pub(crate) network: String,
    pub(crate) nodes: BTreeMap<String, Node>,
}

impl Recorded {
    /// Founds it, lets nodes and spokes in, and waits until they know it. One of them meets with a blow.
    pub(crate) fn begin(council: &[&str], spokes: &[&str], blow: (&str, &str)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (port, dns) = free_ports();
        let mut nodes = BTreeMap::new();
        let numbered = |labels: &[&str], third: u8| {
            let labels = labels.iter().map(|label| (*label).to_owned());
            labels
                .zip((1..).map(move |last| [127, 0, third, last]))
                .collect::<Vec<_>>()
        };
        for (label, ip) in numbered(council, 1).into_iter().chain(numbered(spokes, 2)) {
            let disk = home.path().canonicalize().unwrap().join(&label);
            fs::create_dir(&disk).unwrap();
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), port);
            let (traces, process) = (Vec::new(), None);
            nodes.insert(
                label,
                Node {
                    disk,
                    address,
                    traces,
                    process,
                },
            );
        }
        let mut network = Self {
            home,
            network: String::new(),
            nodes,
        };
        let (api, at) = (network.nodes[COUNCIL].address, format!("127.0.1.1:{dns}"));
        let api_said = api.to_string();
        let init = ["council", "init", DOMAIN, "--api", &api_said, "--dns", &at];
        network.once(COUNCIL, &init);
        network.serve(COUNCIL, None);
        // A node answers before it has the index of its log.
        network.network = wait_for("it tells which network it is", START_WAIT, || {
            let told = http::get(api, &api.to_string(), "/api/v1/network").json();
            told["network"].as_str().map(str::to_owned)
        });
        for label in &council[1..] {
            network.seats(label, dns);
        }
        for label in spokes {
            network.lets_in(label, blow);
        }
        for label in spokes {
            wait_for("a spoke knows that it is admitted", START_WAIT, || {
                let status = network.get(label, "/api/v1/status").json();
                (status["standing"] == "admitted").then_some(())
            });
        }
        network
    }

    /// Says something as an organizer.
    fn organizes(&self, arguments: &[&str]) -> String {
        let council = data(&self.nodes[COUNCIL].disk);
        let dir = ["--dir", council.to_str().unwrap()];
        let (code, said) = run(&program(), &[&["council"], arguments, &dir].concat());
        assert_eq!(code, 0, "{said}");
        said
    }

    /// Gives a node a seat, and waits until it votes.
    fn seats(&mut self, label: &str, dns: u16) {
        let invite = self.organizes(&["invite"]);
        let api = self.nodes[label].address;
        let (api, dns) = (api.to_string(), format!("{}:{dns}", api.ip()));
        let join = ["council", "join", invite.trim(), "--label", label];
        self.once(
            label,
            &[&join[..], &["--api", &api, "--dns", &dns]].concat(),
        );
        self.serve(label, None);
        self.organizes(&["seat", label]);
        wait_for("a node of the council votes", START_WAIT, || {
            (self.get(label, "/healthz").status == 200).then_some(())
        });
    }

    fn lets_in(&mut self, label: &str, blow: (&str, &str)) {
        let invite = self.organizes(&["invite"]);
        let listen = self.nodes[label].address.to_string();
        let operator = format!("Group {}", label.to_uppercase());
        let join = [
            "join",
            invite.trim(),
            "--label",
            label,
            "--operator",
            &operator,
        ];
        self.once(label, &[&join[..], &["--listen", &listen]].concat());
        self.serve(label, Some(blow.1).filter(|_| blow.0 == label));
        self.organizes(&["admit", label]);
    }

    pub(crate) fn get(&self, label: &str, path: &str) -> http::Reply {
        let to = self.nodes[label].address;
        http::request(to, "GET", &to.to_string(), path, &[], b"").unwrap_or_default()
    }

    /// What a node has said.
    pub(crate) fn said(&self, label: &str) -> PathBuf {
        self.home.path().join(format!("{label}.log"))
    }

    fn recorded(&mut self, label: &str, arguments: &[&str], blow: Option<&str>) -> Process {
        let said = self.said(label);
        let node = self.nodes.get_mut(label).unwrap();
        let trace = self
            .home
            .path()
            .join(format!("{label}-{}.trace", node.traces.len()));
        let strace = trace::arguments(&trace, blow);
        node.traces.push(trace);
        let mut command = Command::new("strace");
        let command = command.args(strace).arg(program()).args(arguments);
        Process::begin(command.arg("--dir").arg(data(&node.disk)), &said)
    }

    /// Runs a command that ends by itself.
    fn once(&mut self, label: &str, arguments: &[&str]) {
        let mut process = self.recorded(label, arguments, None);
        let status = process.ended();
        let said = fs::read_to_string(self.said(label)).unwrap();
        assert!(status.success(), "{arguments:?}: {said}");
    }

    /// Starts a node, and waits until it answers.
    pub(crate) fn serve(&mut self, label: &str, blow: Option<&str>) {
        let arguments = [serving(label), &["--until-stdin-closes"]].concat();
        let process = self.recorded(label, &arguments, blow);
        let address = self.nodes[label].address;
        self.nodes.get_mut(label).unwrap().process = Some(process);
        wait_for("a recorded node answers", START_WAIT, || {
            answers(address).then_some(())
        });
    }

    /// Waits until a node has ended by itself.
    pub(crate) fn ended(&mut self, label: &str) -> ExitStatus {
        let mut process = self.nodes.get_mut(label).unwrap().process.take().unwrap();
        process.ended()
    }

    /// Ends all nodes; what each of them did.
    pub(crate) fn end(&mut self) -> BTreeMap<String, Trace> {
        for node in self.nodes.values_mut() {
            node.process.take().map(Process::end);
        }
        let read = |node: &Node| {
            let mut trace = Trace::default();
            node.traces.iter().for_each(|file| trace.read(file));
            trace
        };
        let nodes = self.nodes.iter();
        nodes
            .map(|(label, node)| (label.clone(), read(node)))
            .collect()
    }
}
