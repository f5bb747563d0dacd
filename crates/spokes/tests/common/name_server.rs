//! Name servers of others, as Debian ships them: BIND, Knot and NSD.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

/// A running name server of somebody else.
pub(crate) struct NameServer {
    /// `bind`, `knot` or `nsd`.
    pub(crate) label: &'static str,
    pub(crate) at: SocketAddr,
    pub(crate) process: Child,
    dir: PathBuf,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if thread::panicking() {
            eprintln!("--- {}\n{}", self.label, self.said());
        }
    }
}

/// How a name server is to run.
pub(crate) struct Way<'a> {
    pub(crate) at: SocketAddr,
    /// What stands in its configuration about its zone.
    pub(crate) zone: &'a str,
    /// Threads or processes that answer.
    pub(crate) workers: u8,
    /// What comes before the program: `taskset -c 0`.
    pub(crate) under: &'a [&'a str],
    /// Whether anybody gets the whole zone.
    pub(crate) hands_on: bool,
}

impl NameServer {
    /// Starts one in a folder of its own below `home`.
    pub(crate) fn begin(label: &'static str, way: &Way<'_>, home: &Path) -> Self {
        let dir = home.join(label);
        fs::create_dir_all(&dir).unwrap();
        let (program, config): (&[&str], String) = match label {
            "bind" => (&["named", "-g", "-c", "config"], bind(way, &dir)),
            "knot" => (&["knotd", "-c", "config"], knot(way, &dir)),
            _ => (&["nsd", "-d", "-c", "config"], nsd(way, &dir)),
        };
        fs::write(dir.join("config"), config).unwrap();
        let said = fs::File::create(dir.join("said")).unwrap();
        let line = [way.under, program].concat();
        let process = Command::new(line[0])
            .args(&line[1..])
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap_or_else(|why| panic!("{} is needed: {why}", line[0]));
        Self {
            label,
            at: way.at,
            process,
            dir,
        }
    }

    /// What it has logged.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.dir.join("said")).unwrap_or_default()
    }

    /// What `dig` hears from it.
    pub(crate) fn dig(&self, arguments: &[&str]) -> String {
        let all = [&["+tries=1", "+time=2"], arguments].concat();
        dig(self.at, &all)
    }

    /// The version of the zone that it has.
    pub(crate) fn serial(&self, apex: &str) -> Option<u32> {
        serial_in(&self.dig(&["+short", apex, "SOA"]))
    }

    /// All records, in some order of theirs.
    pub(crate) fn records(&self, apex: &str) -> BTreeSet<String> {
        records_in(&self.dig(&["+noall", "+answer", apex, "AXFR"]))
    }
}

/// What `dig` hears there.
pub(crate) fn dig(at: SocketAddr, arguments: &[&str]) -> String {
    let output = Command::new("dig")
        .args([&format!("@{}", at.ip()), "-p", &at.port().to_string()])
        .args(arguments)
        .output()
        .unwrap_or_else(|why| panic!("dig is needed: {why}"));
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Each record that `dig` has printed, with single spaces.
pub(crate) fn records_in(said: &str) -> BTreeSet<String> {
    let lines = said
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines
        .filter(|line| !line.is_empty() && !line.starts_with(';'))
        .collect()
}

/// The serial of an SOA record that `dig +short` has printed.
pub(crate) fn serial_in(said: &str) -> Option<u32> {
    said.split(' ').nth(2)?.parse().ok()
}

fn bind(way: &Way<'_>, dir: &Path) -> String {
    let (ip, port) = (way.at.ip(), way.at.port());
    let to = if way.hands_on { "any" } else { "none" };
    format!(
        "options {{ directory \"{}\"; listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; pid-file none; \
         session-keyfile none; recursion no; allow-transfer {{ {to}; }}; dnssec-validation no; }};\n\
         controls {{ }};\n{}\n",
        dir.display(),
        way.zone
    )
}

/// What it is asked by the house's tests comes from one address in great numbers: modules that limit that are not
/// loaded. Answers have as many bytes as ours.
fn knot(way: &Way<'_>, dir: &Path) -> String {
    let (ip, port, workers) = (way.at.ip(), way.at.port(), way.workers);
    let dir = dir.display();
    let mut zone = way.zone.trim_end().to_owned();
    if way.hands_on {
        zone = zone.replace("acl: council", "acl: [council, all]");
    }
    format!(
        "server:\n    listen: {ip}@{port}\n    rundir: {dir}\n    udp-workers: {workers}\n    tcp-workers: {workers}\n    \
         background-workers: 1\n    udp-max-payload: 1232\ndatabase:\n    storage: {dir}\nlog:\n  - target: stderr\n    \
         any: info\nacl:\n  - id: all\n    action: transfer\n{zone}\n    storage: {dir}\n"
    )
}

/// Debian's limits the answers to one address to 200 a second, and leaves parts of ANY out, if it is not told otherwise.
fn nsd(way: &Way<'_>, dir: &Path) -> String {
    let (ip, port, workers) = (way.at.ip(), way.at.port(), way.workers);
    let (dir, zone) = (dir.display(), way.zone.trim_end());
    let transfers = if way.hands_on {
        "    provide-xfr: 0.0.0.0/0 NOKEY\n"
    } else {
        ""
    };
    format!(
        "server:\n    server-count: {workers}\n    xfrd-reload-timeout: 0\n    ip-address: {ip}@{port}\n    \
         username: \"\"\n    zonesdir: \"{dir}\"\n    database: \"\"\n    pidfile: \"{dir}/pid\"\n    \
         xfrdfile: \"{dir}/xfrd\"\n    xfrdir: \"{dir}\"\n    zonelistfile: \"{dir}/list\"\n    \
         minimal-responses: yes\n    refuse-any: no\n    ipv4-edns-size: 1232\n    rrl-ratelimit: 0\n    \
         rrl-whitelist-ratelimit: 0\nremote-control:\n    control-enable: no\n{zone}\n{transfers}"
    )
}
