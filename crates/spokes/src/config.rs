//! `DIR/config.toml` and the key files beside it: read once, handed down.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use spokes_log::{name::Hash, text::Value as _};
use spokes_rules::{
    node::{Label, NodeKey, NodeSecret},
    request::Address,
};

use crate::outage::Outage;

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
    /// Where the other nodes of the council reach it; one port behind `api` where nothing is said.
    #[serde(default)]
    pub peer: Option<SocketAddr>,
    /// Keys of the council's nodes, pinned when this one asked for its seat.
    #[serde(default)]
    pub council_keys: Vec<String>,
    /// Where people reach the network's front page.
    pub base_url: String,
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
";
const COUNCIL_HEAD: &str = "\
# A council node of a spokescouncil network. Every setting is here; restart the node after a change.
#   layout     the form of this file and directory; leave it
#   label      what the node is called in the registry
#   api        where its registry answers over HTTP
#   dns        where its DNS answers, over UDP and TCP
#   peer       where the other nodes of the council reach it
#   council_keys  the council's keys, pinned when it asked for its seat
#   base_url   where people reach the network's front page
";

impl SpokeConfig {
    /// Reads `DIR/config.toml`.
    ///
    /// # Errors
    /// When it is missing, not in its form, or of a newer program.
    pub fn load(dir: &Path) -> Result<Self, Outage> {
        load(dir, "spokes join")
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
        load(dir, "spokes council init")
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

fn load<T: for<'a> Deserialize<'a>>(dir: &Path, maker: &str) -> Result<T, Outage> {
    let path = dir.join("config.toml");
    let text = fs::read_to_string(&path).map_err(|error| {
        Outage::new(format!(
            "{} cannot be read ({error}); is the directory right? \"{maker}\" makes it",
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
    file.write_all(bytes)
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
        Err(error) => Err(Outage::file("reading", path, &error)),
    }
}

fn parse_secret(text: &str, path: &Path) -> Result<NodeSecret, Outage> {
    let byte = |n: usize| {
        text.get(2 * n..2 * n + 2)
            .and_then(|d| u8::from_str_radix(d, 16).ok())
    };
    let mut seed = [0; 32];
    for (n, slot) in seed.iter_mut().enumerate() {
        *slot = byte(n).filter(|_| text.len() == 64).ok_or_else(|| {
            Outage::new(format!(
                "{} does not hold a key of 64 hex digits; bring it back from a backup",
                path.display()
            ))
        })?;
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
