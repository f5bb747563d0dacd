//! A demo network of a test's own: started on free ports, killed when the test is over.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    http::{self, Reply},
    run, wait_for,
};

/// The brief allows ten; a machine that compiles beside it gets more.
const START_WAIT: Duration = Duration::from_secs(60);

static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

/// The program under test. A copy may be named, so that a build beside the test does not swap it.
pub(crate) fn program() -> String {
    std::env::var("SPOKES_TEST_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_spokes").to_owned())
}

/// Ports that are free on all addresses of a demo: one for HTTP, one for DNS.
pub(crate) fn free_ports() -> (u16, u16) {
    for _ in 0..500 {
        // Below the ports that the system hands out, and spread so that two programs rarely meet, those
        // that were started one after the other least of all.
        let step = NEXT_PORT.fetch_add(20, Ordering::Relaxed);
        let spread = u16::try_from(std::process::id() % 97).unwrap() * 100;
        let port = 20_000 + (spread + step) % 10_000;
        let http = [
            [127, 0, 0, 1],
            [127, 0, 1, 1],
            [127, 0, 1, 2],
            [127, 0, 1, 3],
            [127, 0, 2, 1],
            [127, 0, 2, 6],
        ];
        let free = http
            .iter()
            .all(|ip| TcpListener::bind((Ipv4Addr::from(*ip), port)).is_ok());
        let dns = (Ipv4Addr::new(127, 0, 1, 1), port + 10);
        if free && TcpListener::bind(dns).is_ok() && UdpSocket::bind(dns).is_ok() {
            return (port, port + 10);
        }
    }
    panic!("no port is free");
}

/// One node as `network.json` tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) label: String,
    pub(crate) pid: u32,
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
}

/// A running network.
pub(crate) struct Demo {
    pub(crate) dir: PathBuf,
    pub(crate) port: u16,
    pub(crate) dns_port: u16,
    pub(crate) domain: String,
    pub(crate) network: String,
    pub(crate) process: Child,
    /// From the command to `network.json`.
    pub(crate) started_in: Duration,
    spokes: u8,
    home: Option<tempfile::TempDir>,
}

impl Demo {
    /// Five spokes, no sample blogs.
    pub(crate) fn start() -> Self {
        Self::start_with(5, &["--empty"])
    }

    pub(crate) fn start_with(spokes: u8, more: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (port, dns_port) = free_ports();
        let mut demo = Self::start_in(&home.path().join("demo"), port, dns_port, spokes, more);
        demo.home = Some(home);
        demo
    }

    pub(crate) fn start_in(
        dir: &Path,
        port: u16,
        dns_port: u16,
        spokes: u8,
        more: &[&str],
    ) -> Self {
        let began = Instant::now();
        fs::create_dir_all(dir).unwrap();
        // One that was killed leaves its file; the new one must not be taken for started by it.
        let stale = fs::read(dir.join("network.json")).ok();
        let said = fs::File::create(dir.with_extension("said")).unwrap();
        let process = command(dir, port, dns_port, spokes, more)
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        let mut demo = Self {
            dir: dir.canonicalize().unwrap(),
            port,
            dns_port,
            domain: "blogs.localhost".to_owned(),
            network: String::new(),
            process,
            started_in: Duration::ZERO,
            spokes,
            home: None,
        };
        let file = demo.dir.join("network.json");
        wait_for("the demo writes network.json", START_WAIT, || {
            if let Ok(Some(status)) = demo.process.try_wait() {
                panic!("the demo ended ({status}): {}", demo.said());
            }
            let facts = fs::read(&file).ok();
            (facts.is_some() && facts != stale).then_some(())
        });
        demo.started_in = began.elapsed();
        let facts = demo.facts();
        facts["network"]
            .as_str()
            .unwrap()
            .clone_into(&mut demo.network);
        demo
    }

    /// `network.json`, read anew.
    pub(crate) fn facts(&self) -> Value {
        let text = fs::read(self.dir.join("network.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// What the demo itself has said.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.dir.with_extension("said")).unwrap_or_default()
    }

    pub(crate) fn labels(&self) -> Vec<String> {
        let facts = self.facts();
        let spokes = facts["spokes"].as_array().unwrap();
        let label = |spoke: &Value| spoke["label"].as_str().unwrap().to_owned();
        spokes.iter().map(label).collect()
    }

    pub(crate) fn node(&self, label: &str) -> Node {
        let facts = self.facts();
        let all = ["spokes", "council"].map(|part| facts[part].as_array().unwrap().clone());
        let found = all.iter().flatten().find(|node| node["label"] == label);
        let found = found.unwrap_or_else(|| panic!("no node is called {label}"));
        let address = found["http"].as_str().or(found["api"].as_str()).unwrap();
        Node {
            label: label.to_owned(),
            pid: u32::try_from(found["pid"].as_u64().unwrap()).unwrap(),
            address: address.strip_prefix("http://").unwrap().parse().unwrap(),
            data: PathBuf::from(found["data"].as_str().unwrap()),
        }
    }

    pub(crate) fn address(&self, label: &str) -> SocketAddr {
        // `a` to `z`, then `s27` and on.
        let number = match *label.as_bytes() {
            [letter] => letter - b'a' + 1,
            _ => label.trim_start_matches('s').parse().unwrap(),
        };
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 2, number)), self.port)
    }

    pub(crate) fn council(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1)), self.port)
    }

    pub(crate) fn gateway(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.port)
    }

    /// The host of a blog.
    pub(crate) fn host(&self, blog: &str) -> String {
        format!("{blog}.{}", self.domain)
    }

    /// Asks one spoke as a reader of a blog would.
    pub(crate) fn http(&self, label: &str, blog: &str, path: &str) -> Reply {
        http::get(self.address(label), &self.host(blog), path)
    }

    /// Asks one spoke's API.
    pub(crate) fn api(&self, label: &str, path: &str) -> Reply {
        let to = self.address(label);
        http::get(to, &to.to_string(), &format!("/api/v1/{path}"))
    }

    /// The labels of a blog's members, its primary first.
    pub(crate) fn members(&self, blog: &str) -> Vec<String> {
        let wire = self.api("a", &format!("blogs/{blog}")).json();
        let members = wire["members"].as_array().unwrap();
        let label = |member: &Value| member["label"].as_str().unwrap().to_owned();
        members.iter().map(label).collect()
    }

    fn signal(&self, label: &str, signal: &str) {
        let pid = self.node(label).pid.to_string();
        let (code, said) = run("kill", &[signal, &pid]);
        assert_eq!(code, 0, "{signal} {label}: {said}");
    }

    /// SIGKILL; returns when it is gone.
    pub(crate) fn kill(&self, label: &str) {
        let node = self.node(label);
        self.signal(label, "-KILL");
        wait_for("a killed node is gone", Duration::from_secs(5), || {
            (!answers(node.address)).then_some(())
        });
    }

    /// SIGSTOP: it stays silent with all its connections open.
    pub(crate) fn pause(&self, label: &str) {
        self.signal(label, "-STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self, label: &str) {
        self.signal(label, "-CONT");
    }

    /// `spokes demo restart LABEL`.
    pub(crate) fn restart(&self, label: &str) {
        let dir = self.dir.to_str().unwrap();
        let (code, said) = run(&program(), &["demo", "restart", label, "--dir", dir]);
        let told = said.contains("was started again");
        assert!(code == 0 && told, "restart {label}: {said}");
    }

    /// What a node has logged.
    pub(crate) fn log(&self, label: &str) -> String {
        let path = self.dir.join("logs").join(format!("{label}.log"));
        fs::read_to_string(path).unwrap_or_default()
    }

    /// Nobody panicked, and nobody died of it.
    pub(crate) fn assert_no_panic(&self) {
        for entry in fs::read_dir(self.dir.join("logs")).unwrap() {
            let path = entry.unwrap().path();
            let log = fs::read_to_string(&path).unwrap();
            let line = log.lines().find(|line| line.contains("panicked"));
            assert_eq!(line, None, "{}", path.display());
        }
    }

    /// Asks the council's DNS.
    pub(crate) fn dig(&self, arguments: &[&str]) -> String {
        self.dig_at("127.0.1.1", arguments)
    }

    /// Asks one of its nodes.
    pub(crate) fn dig_at(&self, server: &str, arguments: &[&str]) -> String {
        let (server, port) = (format!("@{server}"), self.dns_port.to_string());
        let mut all = vec![&server, "-p", &port, "+tries=1", "+time=2"];
        all.extend(arguments);
        run("dig", &all).1
    }

    /// Sends a signal to the demo itself.
    pub(crate) fn end(&mut self, signal: &str) {
        let (code, _) = run("kill", &[signal, &self.process.id().to_string()]);
        assert_eq!(code, 0);
        self.process.wait().unwrap();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell_logs();
        }
        let kill = |pid: u32| drop(run("kill", &["-KILL", &pid.to_string()]));
        let nodes: Vec<Node> = fs::read(self.dir.join("network.json")).map_or(vec![], |_| {
            self.labels().iter().map(|label| self.node(label)).collect()
        });
        drop(self.process.kill());
        drop(self.process.wait());
        // A paused node does not see that the demo is gone.
        for node in nodes.iter().filter(|node| is_ours(node.pid)) {
            kill(node.pid);
        }
    }
}

impl Demo {
    /// The ends of all logs, for whoever looks at a failed test.
    fn tell_logs(&self) {
        let Ok(logs) = fs::read_dir(self.dir.join("logs")) else {
            return;
        };
        for entry in logs.flatten() {
            let log = fs::read_to_string(entry.path()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(12)..].join("\n");
            eprintln!("--- {}\n{end}", entry.path().display());
        }
    }
}

/// The command line of a demo.
pub(crate) fn command(dir: &Path, port: u16, dns_port: u16, spokes: u8, more: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .arg("demo")
        .arg("--dir")
        .arg(dir)
        .args(["--port", &port.to_string()])
        .args(["--dns-port", &dns_port.to_string()])
        .args(["--spokes", &spokes.to_string()])
        .args(more)
        .stdin(Stdio::null());
    command
}

/// Whether anybody listens there.
pub(crate) fn answers(address: SocketAddr) -> bool {
    std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

/// Whether a process runs and is a spoke of this program.
fn is_ours(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.contains("--until-stdin-closes"))
}
