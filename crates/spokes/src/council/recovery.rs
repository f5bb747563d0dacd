//! Backups, and a council that is founded anew on one of them or on one node.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use openraft::{CommittedLeaderId, Entry, LogId, Vote, entry::EntryPayload};
use spokes_log::time::Time;
use spokes_rules::{
    node::{NodeSecret, Signed},
    registry::Registry,
    request::{Ask, CouncilNode, Domain, Request as Wanted, Wish},
};
use tempfile::TempPath;
use tokio::time::timeout;

use super::{
    anew,
    found::{Stand, alone, fold, lock, open_locked},
    journal::{Frame, Journal},
    raft::{Batch, Filled, NodeId, Types, pack, unpack},
};
use crate::{
    client::{self, Client},
    clock,
    config::{self, CouncilConfig},
    dns::limit::ANSWERS_PER_SECOND,
    outage::Outage,
    wire::{RequestWire, places::CouncilStatusWire},
};

/// How far a council that is founded anew leaves the terms behind that anybody may have voted in: an
/// election takes a second, and these are eleven days of them.
const TERMS_APART: u64 = 1_000_000;
/// How long others may take to say that the council goes on: a majority has to answer the one that is asked.
const SAID_WAIT: Duration = Duration::from_secs(3);

/// A copy of a journal, and what it adds up to.
#[derive(Debug)]
pub struct Copied {
    journal: Journal<File>,
    /// Goes when it is dropped.
    part: TempPath,
    /// The registry.
    pub registry: Registry,
    /// Bytes at its end that are no whole entry, and were left out: somebody was writing it when it was copied, or the
    /// copy is not whole.
    pub torn: u64,
}

impl Copied {
    /// Copies a journal that somebody may be writing into a directory, and never touches it.
    ///
    /// # Errors
    /// When it holds nothing or not yet all, is damaged, or a disk fails.
    fn of(from: &Path, dir: &Path) -> Result<Self, Outage> {
        let writing = |e: std::io::Error| Outage::file("writing in", dir, &e);
        let mut original = File::open(from).map_err(|e| Outage::file("copying", from, &e))?;
        let mut part = tempfile::Builder::new();
        part.prefix("registry.journal.").suffix(".part");
        let part = part.tempfile_in(dir).map_err(writing)?;
        std::io::copy(&mut original, &mut part.as_file()).map_err(writing)?;
        let (file, part) = part.into_parts();
        let journal = Journal::on(file).map_err(|e| {
            Outage::new(format!(
                "{} cannot be used: {e}. Nothing was changed. Take another copy: any node's registry.journal is one",
                from.display()
            ))
        })?;
        let registry = fold(&journal)?.filter(|_| journal.filling().is_none());
        let registry = registry.ok_or_else(|| {
            Outage::new(format!(
                "{} holds nothing of a registry, or not yet all. Nothing was changed. Take another copy: any node's \
                 registry.journal is one",
                from.display()
            ))
        })?;
        let torn = journal.torn();
        Ok(Self {
            journal,
            part,
            registry,
            torn,
        })
    }

    /// Puts the copy in its place.
    fn keep(self, to: &Path) -> Result<(Journal<File>, Registry), Outage> {
        let failed = |e: std::io::Error| Outage::file("writing", to, &e);
        self.part.persist(to).map_err(|e| failed(e.error))?;
        config::sync_dir(above(to)).map_err(failed)?;
        Ok((self.journal, self.registry))
    }
}

fn above(path: &Path) -> &Path {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    above.unwrap_or(Path::new("."))
}

/// Copies the journal of a node, which may be running, and checks that the copy adds up to a registry.
///
/// # Errors
/// When the node holds nothing or not yet all, the journal is damaged, or a disk fails.
pub fn backup(dir: &Path, to: &Path) -> Result<Registry, Outage> {
    let copied = Copied::of(&dir.join("registry.journal"), above(to))?;
    Ok(copied.keep(to)?.1)
}

/// Looks whether a backup could be used. It stays as it is, and no council hears of it.
///
/// # Errors
/// When it holds nothing or not all, is damaged, or there is no room for a copy.
pub fn check(file: &Path) -> Result<Copied, Outage> {
    Copied::of(file, &std::env::temp_dir())
}

/// How a council is founded anew.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The directory of the node.
    pub dir: PathBuf,
    /// An organizer's key.
    pub organizer: PathBuf,
    /// A backup to begin with, where the node holds nothing.
    pub from: Option<PathBuf>,
    /// What the node will be, where its directory was lost, too.
    pub node: Option<Stand>,
}

/// What a council that was founded anew begins with.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// How many records of the registry.
    pub records: u64,
    /// When the last of them came.
    pub last: Time,
    /// Bytes at the end of what it was founded on that are no whole entry, and were left out.
    pub torn: u64,
    /// The network's domain.
    pub domain: Domain,
    /// The number of its node among all that ever stood, of which its name in DNS is made.
    pub server: u64,
    /// The node that it is founded on.
    pub node: CouncilNode,
    /// The others that sit: they are to be filled.
    pub others: Vec<CouncilNode>,
    /// Whether spokes know where the node is: one of the council answered there before.
    pub is_known: bool,
}

/// A node that the council could be founded anew on; the council knows nothing of it yet.
#[derive(Debug)]
pub struct Ready {
    dir: PathBuf,
    organizer: NodeSecret,
    secret: NodeSecret,
    node: Option<Stand>,
    held: Held,
}

/// What the council would be founded on.
#[derive(Debug)]
enum Held {
    /// What the node has.
    Here(Journal<File>, Registry),
    /// A backup; and the node's lock.
    Backup(Copied, File),
}

impl Ready {
    /// Reads what a node or a backup holds.
    ///
    /// # Errors
    /// When the node runs or holds nothing, its key or the organizer's is missing, or the disk fails.
    pub fn read(recovery: Recovery) -> Result<Self, Outage> {
        let Recovery {
            dir,
            organizer,
            from,
            node,
        } = recovery;
        if !organizer.exists() {
            return Err(Outage::new(format!(
                "{} is not there; say with --organizer where an organizer's key is",
                organizer.display()
            )));
        }
        if node.is_none() && !dir.join("config.toml").exists() {
            return Err(Outage::new(format!(
                "{} has no config.toml, so it is not known which node this is to be; say it with --label, --api and \
                 --dns, all three. Nothing was changed",
                dir.display()
            )));
        }
        let dir = config::make_dir(&dir)?;
        let organizer = config::secret_key(&organizer)?;
        let lock = lock(&dir)?;
        let secret = config::secret_key(&dir.join("node.key"))?;
        let held = match from {
            Some(from) => {
                holds_nothing(&dir)?;
                Held::Backup(Copied::of(&from, &dir)?, lock)
            }
            None => {
                let journal = open_locked(&dir, &secret, lock)?;
                let registry = fold(&journal)?.ok_or_else(|| {
                    Outage::new(
                        "this node holds nothing of a registry; recover on one that does, or say with --from where a \
                         backup is",
                    )
                })?;
                Held::Here(journal, registry)
            }
        };
        Ok(Self {
            dir,
            organizer,
            secret,
            node,
            held,
        })
    }

    fn registry(&self) -> &Registry {
        match &self.held {
            Held::Here(_, registry) => registry,
            Held::Backup(copied, _) => &copied.registry,
        }
    }

    /// What one of the others says of the council, if a majority stands behind it: then it needs no founding.
    pub async fn is_led_without(&self) -> Option<CouncilStatusWire> {
        let client = Client::new().ok()?;
        let registry = self.registry();
        let network = registry.network().to_string();
        let sitting = registry.seats().sitting().map(|(node, ..)| node);
        let others = sitting.filter(|node| node.key != self.secret.key());
        let mut said: FuturesUnordered<_> = others
            .map(|node| {
                let client = &client;
                async move {
                    let ask = client::Ask::new(node.api.0, "/api/v1/registry/status");
                    let said = timeout(SAID_WAIT, client.get::<CouncilStatusWire>(ask)).await;
                    said.ok()?.ok()?.good().ok()
                }
            })
            .collect();
        while let Some(said) = said.next().await {
            let led = said.filter(|said| said.confirmed && said.network == network);
            if led.is_some() {
                return led;
            }
        }
        None
    }

    /// How many records it has.
    pub fn records(&self) -> u64 {
        self.registry().head().records
    }

    /// Founds the council anew on what this one node holds, with an organizer's key: it is a council of one
    /// then, until others have been given seats or are filled again. Everything that it holds counts, also
    /// what no majority had confirmed; what only others held is lost unless it is filled in from them.
    ///
    /// # Errors
    /// When the key is no organizer's, or the disk fails.
    pub fn found_anew(self) -> Result<Recovered, Outage> {
        let Self {
            dir,
            organizer,
            secret,
            node,
            held,
        } = self;
        let torn = match &held {
            Held::Here(journal, _) => journal.torn(),
            Held::Backup(copied, _) => copied.torn,
        };
        let (mut journal, registry) = match held {
            Held::Here(journal, registry) => (journal, registry),
            Held::Backup(copied, lock) => {
                let (journal, registry) = copied.keep(&dir.join("registry.journal"))?;
                (journal.keep(lock), registry)
            }
        };
        if let Some(node) = node {
            make_node(&dir, &node, &secret, &registry)?;
        }
        let config = CouncilConfig::load(&dir)?;
        anew::forget(&dir)?;
        let node = config.node(secret.key())?;
        let mut sat = registry.seats().sitting().map(|(other, ..)| other);
        let is_known = sat.any(|other| other.api == node.api);
        let sat = registry.seats().sitting().map(|(other, ..)| other.clone());
        let others: Vec<_> = sat.filter(|other| other.label != node.label).collect();
        let request = recovery_of(&node, &others, &registry, &organizer)?;
        let records = found_anew(&mut journal, &registry, &secret, request)?;
        let seats = registry.seats();
        let mut seat = seats.all().iter();
        let seat = seat.find(|seat| seat.node.label == node.label);
        Ok(Recovered {
            records,
            last: registry.head().time,
            torn,
            domain: registry.founding().domain.clone(),
            server: seat.map_or(seats.all().len() as u64 + 1, |seat| seat.number),
            node,
            others,
            is_known,
        })
    }
}

/// A backup takes the place of nothing.
fn holds_nothing(dir: &Path) -> Result<(), Outage> {
    let to = dir.join("registry.journal");
    if to.exists() && Journal::open(&to)?.len() > 0 {
        return Err(Outage::new(format!(
            "{} holds something; nothing was changed. Put it aside first, or recover without --from",
            to.display()
        )));
    }
    Ok(())
}

/// Makes the key and the config of a node whose directory was lost.
fn make_node(
    dir: &Path,
    node: &Stand,
    secret: &NodeSecret,
    registry: &Registry,
) -> Result<(), Outage> {
    let domain = &registry.founding().domain;
    CouncilConfig {
        layout: config::LAYOUT,
        label: node.label.to_string(),
        api: node.api,
        dns: node.dns,
        dns_rate: ANSWERS_PER_SECOND,
        peer: Some(node.peer),
        network: Some(registry.network().to_string()),
        council_keys: vec![secret.key().to_string()],
        base_url: format!("http://{domain}"),
    }
    .save(dir)
}

/// An organizer's request that founds the council anew: those that sat keep their seats, and are filled again.
fn recovery_of(
    node: &CouncilNode,
    others: &[CouncilNode],
    registry: &Registry,
    organizer: &NodeSecret,
) -> Result<RequestWire, Outage> {
    let council = std::iter::once(node).chain(others).cloned().collect();
    let now = clock::now();
    let ask = Ask {
        network: Some(registry.network()),
        time: now,
        what: Wish::Recover { council },
    };
    let request = Wanted::plain(Signed::new(organizer, &ask));
    registry
        .judge(now, &request)
        .map_err(|why| Outage::new(format!("nothing was changed: {why}")))?;
    Ok(RequestWire::from(&request))
}

/// Writes the entries with which a council of one goes on.
fn found_anew(
    journal: &mut Journal<File>,
    registry: &Registry,
    secret: &NodeSecret,
    request: RequestWire,
) -> Result<u64, Outage> {
    let me = NodeId::of(secret.key());
    let term = last_id(journal)?.map_or(0, |id| id.leader_id.term) + TERMS_APART;
    let vote = Vote::new_committed(term, me);
    let head = registry.head();
    let filled = Filled(head.records);
    let payloads = [
        EntryPayload::Membership(alone(me, filled)),
        EntryPayload::Normal(Batch {
            time: clock::now().max(head.time).to_string(),
            requests: vec![request.into()],
            publish: None,
            sheaf: None,
        }),
    ];
    let failed = |e: serde_json::Error| Outage::new(e.to_string());
    let mut frames = vec![
        Frame::Vote(serde_json::to_vec(&vote).map_err(failed)?),
        Frame::Filling(0),
    ];
    for (index, payload) in (journal.len()..).zip(payloads) {
        let log_id = LogId::new(CommittedLeaderId::new(term, me), index);
        let entry = Entry::<Types> { log_id, payload };
        let bytes = pack(&entry).map_err(|e| Outage::new(e.to_string()))?;
        frames.push(Frame::Entry(bytes));
    }
    journal
        .write(&frames)
        .map_err(|e| Outage::new(e.to_string()))?;
    Ok(head.records)
}

fn last_id(journal: &Journal<File>) -> Result<Option<LogId<NodeId>>, Outage> {
    let end = journal.len();
    let failed = |e: std::io::Error| Outage::new(e.to_string());
    let last = journal.read(end.saturating_sub(1)..end, u64::MAX);
    let last = last.map_err(failed)?.pop();
    let last = last.map(|bytes| unpack(&bytes)).transpose();
    Ok(last.map_err(failed)?.map(|entry| entry.log_id))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::council::found::{
        open_journal,
        tests::{add, founded},
    };

    fn sizes(dir: &Path) -> Vec<(String, u64)> {
        let mut sizes: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|file| {
                let file = file.unwrap();
                let name = file.file_name().into_string().unwrap();
                (name, file.metadata().unwrap().len())
            })
            .collect();
        sizes.sort();
        sizes
    }

    #[test]
    fn only_one_process_writes_in_a_nodes_directory_and_backups_are_taken_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let (journal, secret) = founded(path);
        drop(journal);
        let recovery = Recovery {
            dir: path.to_owned(),
            organizer: path.join("organizer.key"),
            from: None,
            node: None,
        };
        let runs = open_journal(path, &secret).unwrap();
        // It is in the middle of a write.
        let file = path.join("registry.journal");
        let mut begun = File::options().append(true).open(&file).unwrap();
        begun.write_all(b"\xc5SJ\n half a block").unwrap();
        let before = sizes(path);
        for said in [
            Ready::read(recovery.clone()).map(drop),
            open_journal(path, &secret).map(drop),
        ] {
            let said = said.unwrap_err().to_string();
            assert!(said.contains("Nothing was changed"), "{said}");
        }
        let kept = tempfile::tempdir().unwrap();
        let to = kept.path().join("registry.journal");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..8).for_each(|_| drop(backup(path, &to).unwrap())));
            }
        });
        assert_eq!(sizes(path), before, "nothing was cut off or added");
        let left = sizes(kept.path());
        assert!(left.len() == 1, "no half of a backup stays: {left:?}");
        drop(runs);
        assert!(Ready::read(recovery).unwrap().found_anew().unwrap().records > 0);
        assert_eq!(open_journal(path, &secret).unwrap().torn(), 0);
    }

    /// What a directory that had nothing says to a backup of these bytes, and what is in it then.
    fn tried(lost: &Path, bytes: &[u8]) -> (Result<Recovered, Outage>, Vec<(String, u64)>) {
        let dir = tempfile::tempdir().unwrap();
        let (backup, anew) = (dir.path().join("a.backup"), dir.path().join("anew"));
        std::fs::write(&backup, bytes).unwrap();
        let home = std::net::SocketAddr::from(([127, 0, 0, 1], 8080));
        let ready = Ready::read(Recovery {
            dir: anew.clone(),
            organizer: lost.join("organizer.key"),
            from: Some(backup.clone()),
            node: Some(Stand {
                label: spokes_rules::node::Label::parse("council9").unwrap(),
                api: home,
                dns: home,
                peer: home,
            }),
        });
        assert_eq!(std::fs::read(&backup).unwrap(), bytes, "it stays as it is");
        let said = match ready {
            Ok(ready) => ready.found_anew(),
            Err(outage) => Err(outage),
        };
        (said, sizes(&anew))
    }

    #[test]
    fn a_backup_that_is_not_whole_is_named_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = founded(dir.path());
        add(&mut journal, 1);
        drop(journal);
        let whole = std::fs::read(dir.path().join("registry.journal")).unwrap();
        let mut flipped = whole.clone();
        flipped[60] ^= 1;
        for (bytes, word) in [
            (&flipped[..], "damaged"),
            (&whole[..40], "holds nothing"),
            (b"", "holds nothing"),
            (
                b"a letter to the organizers, and no registry at all",
                "no journal",
            ),
        ] {
            let (said, left) = tried(dir.path(), bytes);
            let said = said.unwrap_err().to_string();
            assert!(said.contains("a.backup") && said.contains(word), "{said}");
            assert!(said.contains("Nothing was changed"), "{said}");
            let left: Vec<_> = left.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(left, ["node.key", "node.lock"]);
        }
    }

    #[test]
    fn a_backup_that_ends_too_early_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = founded(dir.path());
        drop(journal);
        let whole = std::fs::read(dir.path().join("registry.journal")).unwrap();
        let half = b"\xc5SJ\n half a block";
        for rest in [&[][..], half] {
            let (said, _) = tried(dir.path(), &[&whole, rest].concat());
            let said = said.unwrap();
            assert_eq!((said.records, said.torn), (1, rest.len() as u64));
        }
    }
}
