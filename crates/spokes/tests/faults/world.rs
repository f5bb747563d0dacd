//! A world of its own for each story: machines with addresses of their own, on one wire, and a list of
//! processes and mounts of which nothing is left when the story is over, however it ends.

use std::{
    env, fs,
    io::Read as _,
    net::{Ipv4Addr, UdpSocket},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use crate::common::{LOOK_EVERY, run};

/// Tells this program, started once more, that it is inside, and where its files go.
const INSIDE: &str = "SPOKES_FAULTS_INSIDE";
/// Which of the stories of a test it is.
const STORY: &str = "SPOKES_FAULTS_STORY";
/// What a story hands out.
pub(crate) const WRITTEN: &str = "written.json";
/// What the folders of stories are called, before the number of their process.
const FOLDER: &str = "spokes-faults-";
/// Held by a process as long as its folder is in use.
const LOCK: &str = "lock";
/// Where the observers live: the wire itself.
const HERE: &str = "br0";
/// A card that nobody has: what is sent to it is heard by nobody, and nobody is told.
const NOBODY: &str = "02:00:00:00:00:00";
/// Where a message of [`World::reaches`] goes; nobody listens, so it is counted.
const SILENT_PORT: u16 = 7_777;
/// How long such a message may take.
const MESSAGE_WAIT: Duration = Duration::from_millis(500);

/// Where the files of a story go and which it is, for whoever is inside already.
pub(crate) fn inside() -> Option<(PathBuf, String)> {
    let home = PathBuf::from(env::var_os(INSIDE)?);
    end_with_whoever_started_us();
    Some((home, env::var(STORY).unwrap_or_default()))
}

/// Runs a test once more, in namespaces of its own, and gives what the story wrote down there. Says why,
/// and runs nothing, where the system has none to give.
pub(crate) fn apart(test: &str, story: &str, most: Duration) -> Option<String> {
    let way = match way() {
        Ok(way) => way,
        Err(why) => {
            eprintln!("skipped: no network namespaces can be made here ({why})");
            return None;
        }
    };
    remove_leftovers();
    let home = Home::new(story);
    let mut inside = Command::new("unshare")
        .args(way)
        .args(["--kill-child", "--mount-proc"])
        .arg(env::current_exe().unwrap())
        .args([test, "--exact", "--include-ignored", "--nocapture"])
        .env(INSIDE, &home.path)
        .env(STORY, story)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + most;
    let status = loop {
        if let Some(status) = inside.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > until {
            drop(inside.kill());
            drop(inside.wait());
            break None;
        }
        thread::sleep(LOOK_EVERY);
    };
    match status {
        Some(status) => assert!(status.success(), "{story}: {status}; its words are above"),
        None => panic!("{story}: not over within {most:?}"),
    }
    Some(fs::read_to_string(home.path.join(WRITTEN)).unwrap_or_default())
}

/// The words of `unshare` that work here.
fn way() -> Result<Vec<&'static str>, String> {
    let apart = ["--net", "--mount", "--pid", "--fork"];
    let mut why = String::new();
    for user in [&[][..], &["--user", "--map-root-user"]] {
        let way = [user, &apart].concat();
        let trial = [&way[..], &["ip", "link", "add", HERE, "type", "bridge"]].concat();
        let (code, said) = run("unshare", &trial);
        if code == 0 {
            return Ok(way);
        }
        why = said.trim().replace('\n', "; ");
    }
    Err(why)
}

/// The first process of a namespace takes all others with it.
fn end_with_whoever_started_us() {
    thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(3);
    });
}

/// The folder of one story, removed with it unless somebody wants to look into it.
struct Home {
    path: PathBuf,
    kept: bool,
    _lock: Option<fs::File>,
}

impl Home {
    fn new(test: &str) -> Self {
        if let Some(folder) = env::var_os("SPOKES_FAULTS_KEEP") {
            let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
            let path = PathBuf::from(folder).join(format!("{test}-{}", since.as_secs()));
            fs::create_dir_all(&path).unwrap();
            return Self {
                path,
                kept: true,
                _lock: None,
            };
        }
        let path = env::temp_dir().join(format!("{FOLDER}{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let lock = fs::File::create(path.join(LOCK)).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        Self {
            path,
            kept: false,
            _lock: Some(lock),
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.kept {
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

/// Removes the folders of stories that were killed.
fn remove_leftovers() {
    for entry in fs::read_dir(env::temp_dir()).unwrap().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(FOLDER) {
            continue;
        }
        let Ok(lock) = fs::File::open(entry.path().join(LOCK)) else {
            continue;
        };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

/// A machine on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) ip: Ipv4Addr,
}

/// What does not get through any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Neither way.
    Both,
    /// What the machine says; it hears the others.
    Out,
    /// What the others say; they hear the machine.
    In,
}

/// The wire and the machines on it.
pub(crate) struct World {
    here: Machine,
    machines: Vec<Machine>,
}

impl World {
    /// Only inside [`apart`]: it would change the machine's own network otherwise.
    pub(crate) fn new(machines: Vec<Machine>) -> Self {
        assert!(env::var_os(INSIDE).is_some(), "a world is made inside");
        for (program, arguments) in [
            ("mount", "-t tmpfs none /run"),
            ("mkdir", "/run/netns"),
            ("ip", "link set lo up"),
        ] {
            must(program, arguments);
        }
        let here = Machine {
            name: String::new(),
            ip: Ipv4Addr::new(10, 77, 0, 1),
        };
        let card = card(here.ip);
        ip(&format!("link add {HERE} address {card} type bridge"));
        ip(&format!("addr add {}/16 dev {HERE}", here.ip));
        ip(&format!("link set {HERE} up"));
        let world = Self { here, machines };
        for machine in &world.machines {
            let Machine { name, ip: address } = machine;
            let card = self::card(*address);
            ip(&format!("netns add {name}"));
            ip(&format!(
                "link add to-{name} type veth peer name eth0 address {card} netns {name}"
            ));
            ip(&format!("link set to-{name} master {HERE} up"));
            ip(&format!("-n {name} addr add {address}/16 dev eth0"));
            ip(&format!("-n {name} link set eth0 up"));
            ip(&format!("-n {name} link set lo up"));
        }
        for machine in world.all() {
            world.mend(machine);
        }
        world
    }

    fn all(&self) -> impl Iterator<Item = &Machine> {
        std::iter::once(&self.here).chain(&self.machines)
    }

    /// Where the observers are.
    pub(crate) fn here(&self) -> &Machine {
        &self.here
    }

    /// Cuts a machine off: what is lost is lost in silence, as behind a router that died.
    pub(crate) fn cut(&self, machine: &Machine, cut: Cut) {
        for other in self.all().filter(|other| *other != machine) {
            if cut != Cut::In {
                neighbor(machine, other.ip, NOBODY);
            }
            if cut != Cut::Out {
                neighbor(other, machine.ip, NOBODY);
            }
        }
    }

    /// Lets everything through again.
    pub(crate) fn mend(&self, machine: &Machine) {
        for other in self.all().filter(|other| *other != machine) {
            neighbor(machine, other.ip, &card(other.ip));
            neighbor(other, machine.ip, &card(machine.ip));
        }
    }

    /// Whether a message gets from one machine to another.
    pub(crate) fn reaches(&self, from: &Machine, to: &Machine) -> bool {
        let before = unheard(to);
        if from.name.is_empty() {
            let socket = UdpSocket::bind((from.ip, 0)).unwrap();
            socket.send_to(b"x", (to.ip, SILENT_PORT)).unwrap();
        } else {
            let script = format!("echo x > /dev/udp/{}/{SILENT_PORT}", to.ip);
            let sent = self.command(from, "bash").args(["-c", &script]).output();
            assert!(sent.unwrap().status.success());
        }
        let until = Instant::now() + MESSAGE_WAIT;
        while Instant::now() < until {
            if unheard(to) > before {
                return true;
            }
            thread::sleep(LOOK_EVERY);
        }
        false
    }

    /// The command that runs a program on a machine.
    pub(crate) fn command(&self, machine: &Machine, program: &str) -> Command {
        if machine.name.is_empty() {
            return Command::new(program);
        }
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", machine.name))
            .arg(program);
        command
    }
}

/// How many messages came to a machine for a port at which nobody listens.
fn unheard(machine: &Machine) -> u64 {
    let text = if machine.name.is_empty() {
        fs::read_to_string("/proc/self/net/snmp").unwrap()
    } else {
        let place = format!("--net=/run/netns/{}", machine.name);
        run("nsenter", &[&place, "cat", "/proc/self/net/snmp"]).1
    };
    let mut lines = text.lines().filter(|line| line.starts_with("Udp:"));
    let (names, numbers) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names.split(' ').position(|name| name == "NoPorts").unwrap();
    numbers.split(' ').nth(place).unwrap().parse().unwrap()
}

/// The address of a machine's card.
fn card(ip: Ipv4Addr) -> String {
    let [a, b, c, d] = ip.octets();
    format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// Tells a machine to which card it sends what is for an address. Nobody is asked for it by broadcast, so
/// that a machine that is cut off is silent, and not "unreachable".
fn neighbor(machine: &Machine, to: Ipv4Addr, card: &str) {
    let (at, wire) = match machine.name.as_str() {
        "" => (String::new(), HERE),
        name => (format!("-n {name} "), "eth0"),
    };
    ip(&format!(
        "{at}neigh replace {to} lladdr {card} dev {wire} nud permanent"
    ));
}

fn ip(arguments: &str) {
    must("ip", arguments);
}

fn must(program: &str, arguments: &str) {
    let words: Vec<&str> = arguments.split(' ').collect();
    let (code, said) = run(program, &words);
    assert_eq!(code, 0, "{program} {arguments}: {said}");
}
