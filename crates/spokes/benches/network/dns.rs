//! Our name server beside Knot and NSD, with one zone and one load, in turns; and how soon a change is seen.
//!
//! `dnsperf` asks, from the second core where a server has the first to itself. The processor's time for each answer is
//! the fair figure: `dnsperf` may be slower than a server, and on both cores it takes its share of them.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    Failed, ROUNDS,
    desk::{cpu_seconds, free_port, resident},
    dns_served::{APEX, FIRST_SERIAL, KEY_NAME, MIRROR, Order, SECRET_IN_BASE64},
    median,
    name_server::{NameServer, Way},
    print,
};

/// Where no number is said.
const BLOGS: u64 = 100_000;
const SPOKES: u64 = 50;
/// Lines that `dnsperf` goes through again and again.
const QUESTIONS: usize = 200_000;
/// Seconds of each load, if `SPOKES_BENCH_SECONDS` says nothing else.
const SECONDS: u64 = 4;
/// Questions a second at which the time of each answer is taken: a tenth of what the peers can do.
const CALM: u64 = 20_000;
/// Answers that are looked at before each load.
const SAMPLE: u64 = 300;
/// Changes whose way is timed.
const CHANGES: usize = 20;
/// The longest that anything may take to come about: others read a million names in a quarter of a minute.
const PATIENCE: Duration = Duration::from_secs(300);
const OURS: &str = "ours";
const SERVERS: [&str; 3] = [OURS, "knot", "nsd"];

/// The measurement with each of these numbers of blogs, and with a signed zone too where that is wanted.
pub(crate) fn dns(numbers: &[u64], signed: bool) -> Result<(), Failed> {
    if Command::new("dnsperf").arg("-h").output().is_err() {
        print(
            "DNS",
            "left out: needs dnsperf (apt-get install dnsperf knot nsd bind9)",
        );
        return Ok(());
    }
    let numbers = if numbers.is_empty() {
        &[BLOGS]
    } else {
        numbers
    };
    for blogs in numbers {
        measure(*blogs, false)?;
        if signed {
            measure(*blogs, true)?;
        }
    }
    Ok(())
}

fn measure(blogs: u64, is_signed: bool) -> Result<(), Failed> {
    let bench = Bench::begin(blogs, is_signed)?;
    let what = bench.what();
    let rounds = std::env::var("SPOKES_BENCH_ROUNDS").ok();
    let rounds = rounds.map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    for (workers, pinned) in [(1_u8, true), (2, false)] {
        let mut loads: BTreeMap<&str, Vec<Load>> = BTreeMap::new();
        for round in 1..=rounds {
            for label in SERVERS {
                eprintln!("{what}, {workers} at work, round {round} of {rounds}: {label}");
                let load = bench.round(label, workers, pinned)?;
                loads.entry(label).or_default().push(load);
            }
        }
        let loads = loads.into_iter();
        let loads: BTreeMap<_, _> = loads
            .map(|(label, loads)| (label, Load::median(&loads)))
            .collect();
        let cores = if pinned { "one core" } else { "both cores" };
        tell(&format!("{what}, {cores}"), &loads);
    }
    bench.changes()
}

/// What one server did.
#[derive(Clone, Copy)]
struct Load {
    /// Answers a second.
    rate: f64,
    /// Microseconds of the processor for each.
    cpu: f64,
    /// Milliseconds at a calm pace.
    p50: f64,
    p99: f64,
    /// Megabytes: all pages, and with those that are shared counted once.
    resident: f64,
    own: f64,
    /// Seconds from the start to the right answer for the last name.
    start: f64,
    /// Of a hundred questions under load, how many had no answer.
    lost: f64,
}

impl Load {
    fn median(rounds: &[Self]) -> Self {
        let of = |get: fn(&Self) -> f64| median(rounds.iter().map(get).collect());
        Self {
            rate: of(|l| l.rate),
            cpu: of(|l| l.cpu),
            p50: of(|l| l.p50),
            p99: of(|l| l.p99),
            resident: of(|l| l.resident),
            own: of(|l| l.own),
            start: of(|l| l.start),
            lost: of(|l| l.lost),
        }
    }
}

fn tell(what: &str, loads: &BTreeMap<&str, Load>) {
    let beside = |get: fn(&Load) -> f64, figures: usize, unit: &str| {
        let ours = get(&loads[OURS]);
        let others = SERVERS[1..].iter().map(|label| {
            let theirs = get(&loads[label]);
            format!("{:.2} x {label}'s {theirs:.figures$}", ours / theirs)
        });
        let others: Vec<String> = others.collect();
        format!("{ours:.figures$}{unit} = {}", others.join(", "))
    };
    print(&format!("{what}: answers"), &beside(|l| l.rate, 0, "/s"));
    print(
        &format!("{what}: CPU for each"),
        &beside(|l| l.cpu, 2, " us"),
    );
    print(
        &format!("{what}: p50 at {CALM}/s"),
        &beside(|l| l.p50, 3, " ms"),
    );
    print(
        &format!("{what}: p99 at {CALM}/s"),
        &beside(|l| l.p99, 3, " ms"),
    );
    let lost = loads
        .iter()
        .map(|(label, load)| format!("{label} {:.2}", load.lost));
    let lost: Vec<String> = lost.collect();
    print(&format!("{what}: lost of a hundred"), &lost.join(", "));
    print(
        &format!("{what}: memory (RSS)"),
        &beside(|l| l.resident, 0, " MB"),
    );
    print(
        &format!("{what}: memory (PSS)"),
        &beside(|l| l.own, 0, " MB"),
    );
    print(
        &format!("{what}: start to the last name"),
        &beside(|l| l.start, 2, " s"),
    );
}

/// A zone and questions on the disk.
struct Bench {
    blogs: u64,
    zone: PathBuf,
    questions: PathBuf,
    /// Questions of [`QUESTIONS`] that have no name.
    missing: usize,
    seconds: u64,
    is_signed: bool,
    temp: tempfile::TempDir,
}

impl Bench {
    fn begin(blogs: u64, is_signed: bool) -> Result<Self, Failed> {
        let seconds = std::env::var("SPOKES_BENCH_SECONDS").ok();
        let seconds = seconds.map_or(Ok(SECONDS), |seconds| seconds.parse())?;
        let temp = tempfile::tempdir()?;
        let (zone, questions) = (temp.path().join("zone"), temp.path().join("questions"));
        write_zone(&zone, blogs)?;
        let missing = write_questions(&questions, blogs)?;
        let bench = Self {
            blogs,
            zone,
            questions,
            missing,
            seconds,
            is_signed,
            temp,
        };
        if is_signed {
            bench.sign()?;
        }
        let megabytes = fs::metadata(bench.zone_of_others())?.len() / 1_000_000;
        eprintln!("{}: {megabytes} MB of text", bench.what());
        Ok(bench)
    }

    fn what(&self) -> String {
        let signed = if self.is_signed { ", signed" } else { "" };
        format!("DNS, {} blogs{signed}", self.blogs)
    }

    /// Others read the signatures from their zone file; ours are beside the zone, as a council keeps them.
    fn zone_of_others(&self) -> PathBuf {
        let signed = self.is_signed.then(|| self.zone.with_extension("signed"));
        signed.unwrap_or_else(|| self.zone.clone())
    }

    /// Has our server sign the zone, and takes it from there.
    fn sign(&self) -> Result<(), Failed> {
        let began = Instant::now();
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let _server = self.start_ours(at, free_port()?, 2, &[])?;
        self.until_last(at)?;
        print(
            &format!("{}: signed", self.what()),
            &format!("{:.1} s, the start included", began.elapsed().as_secs_f64()),
        );
        let key = format!("hmac-sha256:{KEY_NAME}:{SECRET_IN_BASE64}");
        let dig = Command::new("dig")
            .args(["@127.0.0.1", "-p", &at.port().to_string(), "-y", &key])
            .args(["+onesoa", APEX, "AXFR"])
            .stdout(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(dig.stdout.ok_or("no output")?);
        let mut file = BufWriter::new(fs::File::create(self.zone_of_others())?);
        for line in said.lines() {
            let line = line?;
            // The signature of the transfer is no record of the zone: its class is ANY.
            if !line.starts_with(';') && line.split_whitespace().nth(2) == Some("IN") {
                writeln!(file, "{line}")?;
            }
        }
        Ok(file.flush()?)
    }

    /// Starts a server, loads it, and ends it.
    fn round(&self, label: &'static str, workers: u8, pinned: bool) -> Result<Load, Failed> {
        let under = |core: &'static str| -> &'static [&'static str] {
            match (pinned, core) {
                (false, _) => &[],
                (true, "0") => &["taskset", "-c", "0"],
                (true, _) => &["taskset", "-c", "1"],
            }
        };
        let began = Instant::now();
        let server = self.start(label, workers, under("0"))?;
        self.until_last(server.at())?;
        let start = began.elapsed().as_secs_f64();
        // What is done once after a start is not to be counted: NSD's and Knot's housekeeping.
        std::thread::sleep(Duration::from_secs(1));
        self.look(server.at())?;
        let family = family(server.pid())?;
        let (resident, own) = memory(&family)?;

        let before = cpu_seconds(&family)?;
        let said = self.dnsperf(server.at(), under("1"), &["-q", "200"])?;
        let spent = cpu_seconds(&family)? - before;
        let (answers, lost) = self.answers(&said)?;
        let rate = figure(&said, "Queries per second:")?;
        let pace = CALM.to_string();
        let said = self.dnsperf(server.at(), under("1"), &["-q", "200", "-Q", &pace, "-v"])?;
        self.answers(&said)?;
        let mut times = times(&said);
        times.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = times.len().saturating_sub(1) as f64 * part;
            times.get(place as usize).copied().ok_or("no times")
        };
        Ok(Load {
            rate,
            cpu: spent * 1_000_000.0 / answers,
            p50: at(0.5)?,
            p99: at(0.99)?,
            resident,
            own,
            start,
            lost,
        })
    }

    fn dnsperf(&self, at: SocketAddr, under: &[&str], more: &[&str]) -> Result<String, Failed> {
        let (seconds, port) = (self.seconds.to_string(), at.port().to_string());
        let mut command = [under, &["dnsperf", "-s", "127.0.0.1", "-c", "8", "-T", "1"]].concat();
        if self.is_signed {
            command.push("-D");
        }
        let output = Command::new(command[0])
            .args(&command[1..])
            // A question that is lost keeps its place of 200 until it is given up.
            .args(["-p", &port, "-l", &seconds, "-t", "1"])
            .args(more)
            .arg("-d")
            .arg(&self.questions)
            .output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// How many answers came, and of a hundred questions how many had none; as many as should be are of names that are
    /// not there.
    fn answers(&self, said: &str) -> Result<(f64, f64), Failed> {
        let (_, counts) = said
            .split_once("Statistics:")
            .ok_or("dnsperf counted nothing")?;
        let sent = figure(counts, "Queries sent:")?;
        let came = figure(counts, "Queries completed:")?;
        let missing = figure(counts, "NXDOMAIN ")?;
        let expected = self.missing as f64 / QUESTIONS as f64;
        let others = ["SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"];
        let is_wrong = others.iter().any(|rcode| counts.contains(rcode));
        // A load may end before all lines were asked.
        if is_wrong || (missing / came - expected).abs() > 0.02 {
            return Err(format!("these are not the answers that were expected:\n{counts}").into());
        }
        Ok((came, 100.0 * (sent - came) / sent))
    }

    fn start(&self, label: &'static str, workers: u8, under: &[&str]) -> Result<Running, Failed> {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        if label == OURS {
            return self.start_ours(at, free_port()?, workers, under);
        }
        let file = self.zone_of_others();
        let file = file.display();
        let zone = match label {
            "knot" => format!("zone:\n  - domain: {APEX}\n    file: {file}\n    zonefile-sync: -1"),
            _ => format!("zone:\n    name: \"{APEX}\"\n    zonefile: \"{file}\""),
        };
        let way = Way {
            at,
            zone: &zone,
            workers,
            under,
            hands_on: false,
        };
        let home = tempfile::tempdir_in(self.temp.path())?;
        let server = NameServer::begin(label, &way, home.path());
        Ok(Running::Other(server, home))
    }

    fn start_ours(
        &self,
        at: SocketAddr,
        mirror: u16,
        workers: u8,
        under: &[&str],
    ) -> Result<Running, Failed> {
        let order = Order {
            port: at.port(),
            zone: self.zone.clone(),
            mirror,
            workers: workers.into(),
            is_signed: self.is_signed,
        };
        let this = std::env::current_exe()?.display().to_string();
        let command = [under, &[&this]].concat();
        let child = Command::new(command[0])
            .args(&command[1..])
            .args(order.words())
            .stdin(Stdio::piped())
            .spawn()?;
        Ok(Running::Ours(child, at))
    }

    fn until_last(&self, at: SocketAddr) -> Result<(), Failed> {
        let last = self.blogs - 1;
        until("the last name", || {
            Ok(ask(at, &blog_name(last))?.as_deref() == Some(&blog_addresses(last)[..]))
        })
    }

    /// Looks at some answers.
    fn look(&self, at: SocketAddr) -> Result<(), Failed> {
        for number in 0..SAMPLE {
            let blog = scattered(number) % self.blogs;
            let name = blog_name(blog);
            let edit = &blog_addresses(blog)[..1];
            for (name, expected) in [
                (name.clone(), Some(&blog_addresses(blog)[..])),
                (format!("edit.{name}"), Some(edit)),
                (format!("no-{name}"), Some(&[][..])),
            ] {
                let said = ask(at, &name)?;
                if said.as_deref() != expected {
                    return Err(format!("{name}: {said:?} in place of {expected:?}").into());
                }
            }
        }
        Ok(())
    }

    /// How long it takes from the word to publish something until we answer so, and until a BIND secondary does.
    fn changes(&self) -> Result<(), Failed> {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mirror = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut ours = self.start_ours(at, mirror.port(), 1, &[])?;
        self.until_last(at)?;
        let zone = format!(
            "key \"{KEY_NAME}\" {{ algorithm hmac-sha256; secret \"{SECRET_IN_BASE64}\"; }};\nzone \"{APEX}\" {{ type \
             secondary; file \"zone\"; masterfile-format raw; primaries {{ 127.0.0.1 port {} key \"{KEY_NAME}\"; }}; \
             allow-notify {{ key \"{KEY_NAME}\"; }}; notify no; }};",
            at.port()
        );
        let way = Way {
            at: mirror,
            zone: &zone,
            workers: 1,
            under: &[],
            hands_on: false,
        };
        let home = tempfile::tempdir_in(self.temp.path())?;
        let began = Instant::now();
        let bind = NameServer::begin(MIRROR, &way, home.path());
        until("BIND has the zone", || {
            Ok(bind.serial(APEX) == Some(FIRST_SERIAL))
        })?;
        let blogs = self.blogs;
        print(
            &format!("{}: whole zone at a BIND secondary", self.what()),
            &format!("{:.1} s after its start", began.elapsed().as_secs_f64()),
        );
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for number in 0..CHANGES {
            let address = Ipv4Addr::from([198, 51, 100, u8::try_from(number)?]);
            let name = blog_name(scattered(number as u64) % blogs);
            let began = Instant::now();
            ours.tell(&format!("{name} {address}"))?;
            for (at, times) in [(at, &mut here), (mirror, &mut there)] {
                until("a change is seen", || {
                    Ok(ask(at, &name)? == Some(vec![address]))
                })?;
                times.push(began.elapsed().as_secs_f64() * 1_000.0);
            }
            // NOTIFY goes four times a second at most; each change is to be the first one.
            std::thread::sleep(Duration::from_millis(600));
        }
        for (what, times) in [
            ("visible here", here),
            ("visible at a BIND secondary", there),
        ] {
            let longest = times.iter().copied().fold(0.0, f64::max);
            print(
                &format!("{}: told to publish until {what}", self.what()),
                &format!(
                    "{:.1} ms, longest of {CHANGES} {longest:.1} ms",
                    median(times)
                ),
            );
        }
        Ok(())
    }
}

/// A server that runs.
enum Running {
    Ours(Child, SocketAddr),
    Other(
        NameServer,
        #[expect(dead_code, reason = "its files are there as long as it")] tempfile::TempDir,
    ),
}

impl Running {
    fn at(&self) -> SocketAddr {
        match self {
            Self::Ours(_, at) => *at,
            Self::Other(server, _) => server.at,
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Ours(child, _) => child.id(),
            Self::Other(server, _) => server.process.id(),
        }
    }

    fn tell(&mut self, line: &str) -> Result<(), Failed> {
        let Self::Ours(child, _) = self else {
            return Err("others are not told".into());
        };
        writeln!(child.stdin.as_mut().ok_or("no input")?, "{line}")?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Ours(child, _) = self {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn until(what: &str, mut done: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    let began = Instant::now();
    while !done()? {
        if began.elapsed() > PATIENCE {
            return Err(format!("{what}: not within {PATIENCE:?}").into());
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok(())
}

/// A process and all that it has begun: NSD answers from children.
fn family(pid: u32) -> Result<Vec<u64>, Failed> {
    let mut family = vec![u64::from(pid)];
    let mut next = 0;
    while let Some(pid) = family.get(next) {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        for child in children.split_whitespace() {
            family.push(child.parse()?);
        }
        next += 1;
    }
    Ok(family)
}

/// Megabytes: all pages of each process, and with those that several share counted once.
fn memory(family: &[u64]) -> Result<(f64, f64), Failed> {
    let (mut all, mut own) = (0.0, 0.0);
    for pid in family {
        all += resident(*pid)? as f64;
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        own += kilobytes.ok_or("no PSS")?.parse::<f64>()? / 1_000.0;
    }
    Ok((all, own))
}

/// A number in what `dnsperf` says.
fn figure(said: &str, words: &str) -> Result<f64, Failed> {
    let behind = said
        .split(words)
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    Ok(behind
        .ok_or_else(|| format!("dnsperf does not say \"{words}\":\n{said}"))?
        .parse()?)
}

/// Milliseconds of each answer: `> NOERROR name type seconds`.
fn times(said: &str) -> Vec<f64> {
    let lines = said.lines().filter(|line| line.starts_with("> "));
    let times = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    times.map(|seconds| seconds * 1_000.0).collect()
}

/// The IPv4 addresses of a name, in order; none where there was no answer in time, or an error.
fn ask(at: SocketAddr, name: &str) -> Result<Option<Vec<Ipv4Addr>>, Failed> {
    use domain::{
        base::{Message, MessageBuilder, Name, Rtype, iana::Rcode},
        rdata::A,
    };
    let mut question = MessageBuilder::new_vec().question();
    question.push((name.parse::<Name<Vec<u8>>>()?, Rtype::A))?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    socket.connect(at)?;
    let mut answer = [0; 1_232];
    let sent = socket
        .send(&question.finish())
        .and_then(|_| socket.recv(&mut answer));
    let Ok(length) = sent else { return Ok(None) };
    let answer = Message::from_slice(&answer[..length])?;
    if !matches!(answer.header().rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) {
        return Ok(None);
    }
    let records = answer.answer()?.limit_to::<A>();
    let addresses = records.map(|record| record.map(|record| record.data().addr()));
    let mut addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    addresses.sort();
    Ok(Some(addresses))
}

/// Numbers that look as if they were chosen at random (the mixer of splitmix64).
fn scattered(number: u64) -> u64 {
    let number = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

fn blog_name(blog: u64) -> String {
    format!("name{blog}.{APEX}")
}

fn spoke_address(spoke: u64) -> Ipv4Addr {
    let spoke = (spoke % SPOKES) as u32;
    Ipv4Addr::from(0xC000_0200 + spoke)
}

/// Of two neighbors, in order.
fn blog_addresses(blog: u64) -> [Ipv4Addr; 2] {
    let spoke = scattered(blog) % (SPOKES - 1);
    [spoke_address(spoke), spoke_address(spoke + 1)]
}

/// In the shapes of SPEC dns 1.1, with addresses of both kinds. All records of a name stand together.
fn write_zone(path: &Path, blogs: u64) -> Result<(), Failed> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    let v6 = |v4: Ipv4Addr| format!("2001:db8::{:x}", v4.octets()[3]);
    writeln!(
        file,
        "{APEX}. 3600 IN SOA ns1.{APEX}. hostmaster.{APEX}. {FIRST_SERIAL} 60 30 604800 10"
    )?;
    for number in 1..=3 {
        writeln!(file, "{APEX}. 3600 IN NS ns{number}.{APEX}.")?;
    }
    for spoke in 0..8 {
        let address = spoke_address(spoke);
        writeln!(file, "{APEX}. 30 IN A {address}")?;
        writeln!(file, "{APEX}. 30 IN AAAA {}", v6(address))?;
    }
    for number in 1..=3 {
        writeln!(file, "ns{number}.{APEX}. 30 IN A 198.51.100.{number}")?;
    }
    for spoke in 0..SPOKES {
        writeln!(
            file,
            "s{spoke}.spoke.{APEX}. 30 IN A {}",
            spoke_address(spoke)
        )?;
    }
    for blog in 0..blogs {
        let (name, addresses) = (blog_name(blog), blog_addresses(blog));
        for address in addresses {
            writeln!(file, "{name}. 30 IN A {address}")?;
            writeln!(file, "{name}. 30 IN AAAA {}", v6(address))?;
        }
        writeln!(file, "edit.{name}. 30 IN A {}", addresses[0])?;
        writeln!(file, "edit.{name}. 30 IN AAAA {}", v6(addresses[0]))?;
        let hash: String = (0..4)
            .map(|n| format!("{:016x}", scattered(blog * 4 + n)))
            .collect();
        writeln!(
            file,
            "_blog.{name}. 30 IN TXT \"v=1 blog=sha256:{hash} author={} epoch=1 primary=s1\"",
            &hash[..40]
        )?;
    }
    Ok(file.flush()?)
}

/// Of twenty questions 13 are for a blog, 4 for `edit.`, one for the apex, and 2 for a name that is not there. Says how
/// many of these last there are.
fn write_questions(path: &Path, blogs: u64) -> Result<usize, Failed> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    let mut missing = 0;
    for number in 0..QUESTIONS {
        let dice = scattered(number as u64 + QUESTIONS as u64);
        let name = blog_name(dice / 64 % blogs);
        let rtype = if dice.is_multiple_of(2) { "A" } else { "AAAA" };
        match number % 20 {
            0..13 => writeln!(file, "{name} {rtype}")?,
            13..17 => writeln!(file, "edit.{name} {rtype}")?,
            17 => writeln!(file, "{APEX} {rtype}")?,
            _ => {
                missing += 1;
                writeln!(file, "x{}-{name} {rtype}", dice % 97)?;
            }
        }
    }
    file.flush()?;
    Ok(missing)
}
