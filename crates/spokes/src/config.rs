//! `DIR/config.toml` and the key files beside it: read once, handed down.

use std::{
    fmt, fs,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use spokes_log::{name::Hash, text::Value as _};
use spokes_rules::{
    leftover::KEEP_SECONDS,
    node::{Label, NodeKey, NodeSecret},
    request::{Address, CouncilNode},
};

use crate::{dns::limit::ANSWERS_PER_SECOND, outage::Outage};

/// The layout of config and data directory that this program writes and reads.
pub const LAYOUT: u32 = 1;

/// A spoke's settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpokeConfig {
    /// The layout of this file and the directory around it.
    pub layout: u32,
    /// What this spoke is called.
    pub label: String,
    /// Where its HTTP listens.
    pub listen: SocketAddr,
    /// The network's id.
    pub network: String,
    /// Where the council's registries answer over HTTP.
    pub council: Vec<SocketAddr>,
    /// The council's keys, pinned when the spoke joined.
    pub council_keys: Vec<String>,
    /// Where people reach the network's front page.
    pub base_url: String,
    /// Free bytes below which it takes no new blogs.
    #[serde(default = "usual_floor")]
    pub disk_floor: String,
    /// Bytes that it may use in all.
    #[serde(default = "no_ceiling")]
    pub disk_ceiling: String,
    /// How long the copy of a blog stays here that other spokes hold by now.
    #[serde(default = "usual_keep")]
    pub keep_left: String,
}

fn usual_floor() -> String {
    Floor::USUAL.to_owned()
}

fn no_ceiling() -> String {
    Ceiling::NONE.to_owned()
}

/// The words of `keep_left` where an operator says nothing.
pub fn usual_keep() -> String {
    format!("{}h", KEEP_SECONDS / 3_600)
}

/// The words of `disk_floor`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Floor(pub Option<u64>);

/// The words of `disk_ceiling`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ceiling(pub Option<u64>);

impl Floor {
    const USUAL: &str = "auto";
    /// All spokes of a demo share one disk, and nobody's blogs depend on them.
    pub const OF_A_DEMO: Self = Self(Some(64 << 20));

    /// Reads a floor.
    ///
    /// # Errors
    /// When it is neither a size nor the usual one.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        size(text, Self::USUAL).map(Self)
    }
}

impl Ceiling {
    const NONE: &str = "none";

    /// Reads a ceiling.
    ///
    /// # Errors
    /// When it is neither a size nor none.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let size = size(text, Self::NONE)?;
        match size {
            Some(0) => Err("leaves no byte; give a size such as 100GiB, or leave it out"),
            size => Ok(Self(size)),
        }
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{bytes}"),
            None => f.write_str(Self::USUAL),
        }
    }
}

impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{bytes}"),
            None => f.write_str(Self::NONE),
        }
    }
}

/// Bytes as people write them: 2GiB, 500 MB, 1073741824; none where there is the word for none.
fn size(text: &str, none: &str) -> Result<Option<u64>, &'static str> {
    const SHAPE: &str = "is not a size such as 2GiB, 500MB or 1073741824";
    let text = text.trim();
    if text == none {
        return Ok(None);
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().map_err(|_| SHAPE)?;
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(SHAPE),
    };
    number.checked_mul(factor).map(Some).ok_or(SHAPE)
}

/// Seconds as people write them: 7d, 24h, 30m, 10s.
///
/// # Errors
/// When it is no such time.
pub fn span(text: &str) -> Result<i64, &'static str> {
    const SHAPE: &str = "is not a time such as 7d, 12h or 30m";
    let unit = text.chars().last().ok_or(SHAPE)?;
    let factor = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        's' => 1,
        _ => return Err(SHAPE),
    };
    let number: i64 = text[..text.len() - 1].parse().map_err(|_| SHAPE)?;
    let seconds = number.checked_mul(factor).filter(|s| *s > 0);
    seconds.ok_or(SHAPE)
}

/// A council node's settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CouncilConfig {
    /// The layout of this file and the directory around it.
    pub layout: u32,
    /// What this node is called.
    pub label: String,
    /// Where its registry listens over HTTP.
    pub api: SocketAddr,
    /// Where its DNS listens, over UDP and TCP.
    pub dns: SocketAddr,
    /// Answers a second that one network of clients gets by datagram; with 0 as many as it likes.
    #[serde(default = "usual_rate")]
    pub dns_rate: u32,
    /// Where the other nodes of the council reach it; one port behind `api` where nothing is said.
    #[serde(default)]
    pub peer: Option<SocketAddr>,
    /// The network's id; those that were made by older programs learn it when they hold the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Keys of the council's nodes, as this one knew them last: by them it is filled if it loses what it holds.
    #[serde(default)]
    pub council_keys: Vec<String>,
    /// Where people reach the network's front page.
    pub base_url: String,
}

fn usual_rate() -> u32 {
    ANSWERS_PER_SECOND
}

const SPOKE_HEAD: &str = "\
# A spoke of a spokescouncil network. Every setting is here; restart the spoke after a change.
#   layout         the form of this file and directory; leave it
#   label          what the spoke is called in the registry
#   listen         where its HTTP answers
#   network        the network's id, pinned when it joined
#   council        where the council's registries answer
#   council_keys   the council's keys, pinned when it joined
#   base_url       where people reach the network's front page
#   disk_floor     free space below which no new blogs are taken, and below an eighth of which nothing is
#                  taken at all: a size such as 2GiB; auto: a twentieth of the disk, at least 1 GiB and
#                  at most 10 GiB, but no more than a tenth of it; 0: never
#   disk_ceiling   space that this spoke may use in all: a size such as 100GiB, or none; with one, the
#                  floor is free space below it
#   keep_left      how long the copy of a blog stays here that other spokes hold by now, and have shown to
#                  hold: a time such as 24h, 7d or 30m
";
const COUNCIL_HEAD: &str = "\
# A council node of a spokescouncil network. Every setting is here; restart the node after a change.
#   layout     the form of this file and directory; leave it
#   label      what the node is called in the registry
#   api        where its registry answers over HTTP
#   dns        where its DNS answers, over UDP and TCP
#   dns_rate   answers by UDP that one network of clients (an IPv4 /24, an IPv6 /56) gets in a second; beyond it is
#              sent on to TCP; 0: as many as it likes
#   peer       where the other nodes of the council reach it
#   network    the network's id; the node keeps it here
#   council_keys  the keys of the council's nodes, by which this one is filled if it loses what it holds; it keeps
#                 them here as they change
#   base_url   where people reach the network's front page
";

impl SpokeConfig {
    /// Reads `DIR/config.toml`.
    ///
    /// # Errors
    /// When it is missing, not in its form, or of a newer program.
    pub fn load(dir: &Path) -> Result<Self, Outage> {
        load(dir, "\"spokes join\" makes it")
    }

    /// Writes `DIR/config.toml`.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn save(&self, dir: &Path) -> Result<(), Outage> {
        save(dir, SPOKE_HEAD, self)
    }

    /// The label, parsed.
    ///
    /// # Errors
    /// When it is none.
    pub fn label(&self) -> Result<Label, Outage> {
        Label::parse(&self.label).map_err(|why| bad("label", why))
    }

    /// The network's id, parsed.
    ///
    /// # Errors
    /// When it is no hash.
    pub fn network(&self) -> Result<Hash, Outage> {
        Hash::parse(&self.network).map_err(|why| bad("network", why))
    }

    /// The council's keys, parsed.
    ///
    /// # Errors
    /// When one is none.
    pub fn council_keys(&self) -> Result<Vec<NodeKey>, Outage> {
        parse_keys(&self.council_keys)
    }

    /// Free bytes below which no new blogs are taken; none where it says nothing.
    ///
    /// # Errors
    /// When it is no size.
    pub fn disk_floor(&self) -> Result<Option<u64>, Outage> {
        let floor = Floor::parse(&self.disk_floor);
        floor
            .map(|floor| floor.0)
            .map_err(|why| bad("disk_floor", why))
    }

    /// Bytes that the spoke may use; none where it may use all there are.
    ///
    /// # Errors
    /// When it is no size.
    pub fn disk_ceiling(&self) -> Result<Option<u64>, Outage> {
        let ceiling = Ceiling::parse(&self.disk_ceiling);
        ceiling
            .map(|ceiling| ceiling.0)
            .map_err(|why| bad("disk_ceiling", why))
    }

    /// Seconds for which the copy of a blog stays that other spokes hold.
    ///
    /// # Errors
    /// When it is no time.
    pub fn keep_left(&self) -> Result<i64, Outage> {
        span(&self.keep_left).map_err(|why| bad("keep_left", why))
    }

    /// One for tests.
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Self {
            layout: LAYOUT,
            label: "oak".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            network: Hash::of(b"network").to_string(),
            council: Vec::new(),
            council_keys: Vec::new(),
            base_url: "http://blogs.localhost:8080".into(),
            disk_floor: usual_floor(),
            disk_ceiling: no_ceiling(),
            keep_left: usual_keep(),
        }
    }
}

fn parse_keys(keys: &[String]) -> Result<Vec<NodeKey>, Outage> {
    let keys = keys.iter().map(|key| NodeKey::parse(key));
    keys.collect::<Result<_, _>>()
        .map_err(|why| bad("council_keys", why))
}

impl CouncilConfig {
    /// Reads `DIR/config.toml`.
    ///
    /// # Errors
    /// When it is missing, not in its form, or of a newer program.
    pub fn load(dir: &Path) -> Result<Self, Outage> {
        load(
            dir,
            "If what was in it is lost, \"spokes council recover\" and \"spokes council join\" bring a node \
             back; \"spokes council init\" makes a new network",
        )
    }

    /// Writes `DIR/config.toml`.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn save(&self, dir: &Path) -> Result<(), Outage> {
        save(dir, COUNCIL_HEAD, self)
    }

    /// Where the other nodes of the council reach this one.
    pub fn peer(&self) -> SocketAddr {
        self.peer.unwrap_or_else(|| Address(self.api).next_port().0)
    }

    /// The council's keys, parsed.
    ///
    /// # Errors
    /// When one is none.
    pub fn council_keys(&self) -> Result<Vec<NodeKey>, Outage> {
        parse_keys(&self.council_keys)
    }

    /// This node as the others know it, with this key.
    ///
    /// # Errors
    /// When the label is none.
    pub fn node(&self, key: NodeKey) -> Result<CouncilNode, Outage> {
        Ok(CouncilNode {
            label: Label::parse(&self.label).map_err(|why| bad("label", why))?,
            key,
            api: Address(self.api),
            dns: Address(self.dns),
            peer: Address(self.peer()),
        })
    }

    /// The network's id, parsed; none where it is not known yet.
    ///
    /// # Errors
    /// When it is no hash.
    pub fn network(&self) -> Result<Option<Hash>, Outage> {
        let network = self.network.as_deref().map(Hash::parse).transpose();
        network.map_err(|why| bad("network", why))
    }

    /// Brings network and keys in `DIR/config.toml` up to date; all else in it stays as its operator wrote it. Where
    /// those lines are spelled otherwise than this program does, the file is left alone.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep_known(dir: &Path, network: Hash, keys: &[NodeKey]) -> Result<(), Outage> {
        let path = dir.join("config.toml");
        let text = fs::read_to_string(&path).map_err(|e| Outage::file("reading", &path, &e))?;
        let is_old = |line: &&str| {
            let name = line.split('=').next().unwrap_or_default().trim();
            matches!(name, "network" | "council_keys")
        };
        let quoted: Vec<_> = keys.iter().map(|key| format!("\"{key}\"")).collect();
        let mut next: String = text
            .lines()
            .filter(|line| !is_old(line))
            .flat_map(|line| [line, "\n"])
            .collect();
        next += &format!(
            "network = \"{network}\"\ncouncil_keys = [{}]\n",
            quoted.join(", ")
        );
        if next == text || toml::from_str::<Self>(&next).is_err() {
            return Ok(());
        }
        write_file(&path, next.as_bytes(), 0o644)
    }
}

/// What all layouts have in common.
#[derive(Deserialize)]
struct Layout {
    layout: u32,
}

fn bad(field: &str, why: &str) -> Outage {
    Outage::new(format!(
        "config.toml: \"{field}\" {why}; mend it and start again"
    ))
}

fn load<T: for<'a> Deserialize<'a>>(dir: &Path, remedy: &str) -> Result<T, Outage> {
    let path = dir.join("config.toml");
    let text = fs::read_to_string(&path).map_err(|error| {
        Outage::new(format!(
            "{} cannot be read ({error}); is the directory right? {remedy}",
            path.display()
        ))
    })?;
    // First the layout alone: a newer one may hold lines that this program does not know.
    let layout = toml::from_str::<Layout>(&text).map_or(0, |file| file.layout);
    check_layout(layout, dir)?;
    toml::from_str(&text).map_err(|error| {
        Outage::new(format!(
            "{} is not in its form: {}",
            path.display(),
            error.message()
        ))
    })
}

fn check_layout(layout: u32, dir: &Path) -> Result<(), Outage> {
    if layout <= LAYOUT {
        return Ok(());
    }
    Err(Outage::new(format!(
        "{} was written by a newer program (layout {layout}, this one reads {LAYOUT}); nothing was \
         touched, start the newer program",
        dir.display()
    )))
}

fn save<T: Serialize>(dir: &Path, head: &str, config: &T) -> Result<(), Outage> {
    let body = toml::to_string(config).map_err(|e| Outage::new(e.to_string()))?;
    write_file(
        &dir.join("config.toml"),
        format!("{head}\n{body}").as_bytes(),
        0o644,
    )
}

/// Writes a file whole: a reader sees the old one or the new one, also after a loss of power.
///
/// # Errors
/// When the disk fails.
pub fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Outage> {
    write_parts(path, &[bytes], mode)
}

/// The same with several parts, one behind the other: a large one need not be copied first.
///
/// # Errors
/// When the disk fails.
pub fn write_parts(path: &Path, parts: &[&[u8]], mode: u32) -> Result<(), Outage> {
    let failed = |e: &std::io::Error| Outage::file("writing", path, e);
    let part = path.with_extension("part");
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&part)
        .map_err(|e| failed(&e))?;
    let written = parts.iter().try_for_each(|part| file.write_all(part));
    written
        .and_then(|()| file.sync_all())
        .map_err(|e| failed(&e))?;
    fs::rename(&part, path).map_err(|e| failed(&e))?;
    sync_dir(above(path)).map_err(|e| failed(&e))
}

/// Makes names in a directory durable.
///
/// # Errors
/// When the disk fails.
pub fn sync_dir(dir: &Path) -> std::io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

/// Makes durable what a database's last process may have left in the system's memory alone: it was
/// killed between a write and its sync. From here on what is read there is durable.
///
/// # Errors
/// When the disk fails.
pub fn sync_database(path: &Path) -> Result<(), Outage> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    for file in [path, Path::new(&log)] {
        if file.exists() {
            let synced = fs::File::open(file).and_then(|file| file.sync_all());
            synced.map_err(|e| Outage::file("syncing", file, &e))?;
        }
    }
    sync_dir(above(path)).map_err(|e| Outage::file("syncing", above(path), &e))
}

/// A secret key in a file that only its owner reads, made when it is not there.
///
/// # Errors
/// When the file cannot be read or written, or holds something else.
pub fn secret_key(path: &Path) -> Result<NodeSecret, Outage> {
    match fs::read_to_string(path) {
        Ok(text) => parse_secret(text.trim(), path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed)
                .map_err(|e| Outage::new(format!("the system gives no random numbers: {e}")))?;
            let hex: String = seed.iter().map(|b| format!("{b:02x}")).collect();
            write_file(path, format!("{hex}\n").as_bytes(), 0o600)?;
            Ok(NodeSecret::from_seed(&seed))
        }
        // Something else than text.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(no_key(path)),
        Err(error) => Err(Outage::file("reading", path, &error)),
    }
}

fn no_key(path: &Path) -> Outage {
    Outage::new(format!(
        "{} holds no key: a node.key or organizer.key is one line of 64 hex digits, as this program wrote it. Nothing was \
         changed; name the right file, or bring it back from a backup",
        path.display()
    ))
}

fn parse_secret(text: &str, path: &Path) -> Result<NodeSecret, Outage> {
    let byte = |n: usize| {
        text.get(2 * n..2 * n + 2)
            .and_then(|d| u8::from_str_radix(d, 16).ok())
    };
    let mut seed = [0; 32];
    for (n, slot) in seed.iter_mut().enumerate() {
        *slot = byte(n)
            .filter(|_| text.len() == 64)
            .ok_or_else(|| no_key(path))?;
    }
    Ok(NodeSecret::from_seed(&seed))
}

/// Random bytes as hex, for tokens.
///
/// # Errors
/// When the system gives none.
pub fn random_hex<const N: usize>() -> Result<String, Outage> {
    let bytes = random_bytes::<N>()?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// Random bytes.
///
/// # Errors
/// When the system gives none.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], Outage> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| Outage::new(format!("the system gives no random numbers: {e}")))?;
    Ok(bytes)
}

/// Makes a directory that only its owner enters, and that a loss of power does not take away.
///
/// # Errors
/// When the disk fails.
pub fn make_dir(dir: &Path) -> Result<PathBuf, Outage> {
    let is_new = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
    let new: Vec<&Path> = dir.ancestors().take_while(is_new).collect();
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(dir);
    made.map_err(|e| Outage::file("making", dir, &e))?;
    // All that is kept in a new directory is as durable as its name in the one above.
    for dir in new {
        sync_dir(above(dir)).map_err(|e| Outage::file("making", dir, &e))?;
    }
    dir.canonicalize()
        .map_err(|e| Outage::file("finding", dir, &e))
}

/// The directory that holds a path's name.
fn above(path: &Path) -> &Path {
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("2GiB", 2 << 30),
            ("500 MB", 500_000_000),
            ("0", 0),
            (" 7B ", 7),
        ] {
            assert_eq!(Floor::parse(text), Ok(Floor(Some(bytes))), "{text}");
        }
        assert_eq!(Floor::parse("auto"), Ok(Floor(None)));
        assert_eq!(Ceiling::parse("none"), Ok(Ceiling(None)));
        for bad in [
            "",
            "GiB",
            "2gb",
            "-1",
            "1.5GiB",
            "99999999999TiB",
            "none",
            "2 GiB!",
        ] {
            assert!(Floor::parse(bad).is_err(), "{bad}");
        }
        assert!(Ceiling::parse("0").is_err() && Ceiling::parse("auto").is_err());
        let (floor, ceiling) = (Floor(Some(9)), Ceiling(Some(9)));
        assert_eq!(Floor::parse(&floor.to_string()), Ok(floor));
        assert_eq!(Ceiling::parse(&ceiling.to_string()), Ok(ceiling));
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("7d", 604_800),
            ("24h", 86_400),
            ("30m", 1_800),
            ("10s", 10),
        ] {
            assert_eq!(span(text), Ok(seconds), "{text}");
        }
        for bad in [
            "",
            "h",
            "0h",
            "-1h",
            "24",
            "1.5h",
            "24 h",
            "9223372036854775807d",
        ] {
            assert!(span(bad).is_err(), "{bad}");
        }
        assert_eq!(SpokeConfig::example().keep_left().unwrap(), KEEP_SECONDS);
    }

    #[test]
    fn a_config_from_before_has_the_usual_room() {
        let dir = tempfile::tempdir().unwrap();
        let example = SpokeConfig::example();
        example.save(dir.path()).unwrap();
        let path = dir.path().join("config.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\ndisk_floor = \"auto\""), "{text}");
        let is_older = |line: &&str| !line.starts_with("disk_") && !line.starts_with("keep_");
        let older: Vec<&str> = text.lines().filter(is_older).collect();
        fs::write(&path, older.join("\n")).unwrap();
        let read = SpokeConfig::load(dir.path()).unwrap();
        assert_eq!(read.disk_floor().unwrap(), None);
        assert_eq!(read.disk_ceiling().unwrap(), None);
        assert_eq!(read.keep_left().unwrap(), KEEP_SECONDS);
        let wrong = SpokeConfig {
            disk_floor: "much".into(),
            ..example
        };
        let said = wrong.disk_floor().unwrap_err().to_string();
        assert!(said.contains("\"disk_floor\" is not a size"), "{said}");
    }
}
