//! How a council begins, grows and is founded anew: directories, keys, and an organizer's words.

use std::{fs::File, net::SocketAddr, path::Path};

use openraft::{CommittedLeaderId, Entry, LogId, Membership, Vote, entry::EntryPayload};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use spokes_log::{name::Hash, time::Time};
use spokes_rules::{
    node::{Label, NodeSecret, Signed},
    registry::{Record, Registry},
    request::{Address, Ask, CouncilNode, Domain, Founding, Policy, Request as Wanted, Wish},
};

use super::{
    book::{self, Book},
    journal::{Disk, Frame, Journal},
    raft::{Batch, Filled, Ledger as _, NodeId, Types, pack, unpack},
};
use crate::{
    client::{self, Client},
    clock,
    config::{self, CouncilConfig},
    dns::limit::ANSWERS_PER_SECOND,
    join::{self, Invite},
    outage::Outage,
    wire::{NetworkWire, RequestWire, TakenWire},
};

/// The term in which a council begins.
const FIRST_TERM: u64 = 1;
/// Entries of a council that has just begun: its members, and the founding.
const FIRST_ENTRIES: u64 = 2;
/// Entries that an index may lack at a start while this node goes on answering DNS. A loss of power takes some
/// hundred; more are lacking where the index is being made anew, and names that are given would seem to be free.
const LACKING_MAX: u64 = 10_000;

/// What a council begins with.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// The network's domain.
    pub domain: Domain,
    /// Where the registry answers.
    pub api: SocketAddr,
    /// Where DNS answers.
    pub dns: SocketAddr,
    /// Where the other nodes of the council will reach this one.
    pub peer: SocketAddr,
    /// Where people reach the front page.
    pub base_url: String,
    /// The network's limits.
    pub policy: Policy,
}

/// Founds a network: keys, registry and config file in an empty directory.
///
/// # Errors
/// When there is a network already, or the disk fails.
pub fn init(dir: &Path, beginning: Beginning) -> Result<Registry, Outage> {
    let dir = config::make_dir(dir)?;
    let _lock = lock(&dir)?;
    if dir.join("config.toml").exists() {
        return Err(Outage::new(format!(
            "{} holds a network already; nothing was changed. Serve it with \"spokes council serve \
             --dir\", or choose another directory",
            dir.display()
        )));
    }
    let secret = config::secret_key(&dir.join("node.key"))?;
    let organizer = config::secret_key(&dir.join("organizer.key"))?;
    let label = Label::parse("council1").map_err(Outage::new)?;
    let node = CouncilNode {
        label: label.clone(),
        key: secret.key(),
        api: Address(beginning.api),
        dns: Address(beginning.dns),
        peer: Address(beginning.peer),
    };
    let founding = Founding {
        domain: beginning.domain,
        council: vec![node],
        organizers: vec![organizer.key()],
        policy: beginning.policy,
    };
    let now = clock::now();
    let ask = Ask {
        network: None,
        time: now,
        what: Wish::Found(founding),
    };
    let request = Wanted::plain(Signed::new(&organizer, &ask));
    let wire = RequestWire::from(&request);
    let record = Record {
        index: 0,
        previous: Hash::of(b""),
        time: now,
        request,
    };
    let registry = Registry::found(&record).map_err(|why| Outage::new(why.to_string()))?;
    let mut journal = Journal::open(&dir.join("registry.journal"))?;
    let me = NodeId::of(secret.key());
    begin(&mut journal, me, vec![(now.to_string(), wire)])?;
    let config = CouncilConfig {
        layout: config::LAYOUT,
        label: label.to_string(),
        api: beginning.api,
        dns: beginning.dns,
        dns_rate: ANSWERS_PER_SECOND,
        peer: Some(beginning.peer),
        network: Some(registry.network().to_string()),
        council_keys: vec![secret.key().to_string()],
        base_url: beginning.base_url,
    };
    config.save(&dir)?;
    Ok(registry)
}

/// Writes the first entries of a council of one.
pub(super) fn begin<D: Disk>(
    journal: &mut Journal<D>,
    me: NodeId,
    requests: Vec<(String, RequestWire)>,
) -> Result<(), Outage> {
    let vote = Vote::new_committed(FIRST_TERM, me);
    let mut frames = vec![Frame::Vote(
        serde_json::to_vec(&vote).map_err(|e| Outage::new(e.to_string()))?,
    )];
    let alone = EntryPayload::Membership(alone(me, Filled(0)));
    let batches = requests.into_iter().map(|(time, request)| {
        let requests = vec![request.into()];
        EntryPayload::Normal(Batch {
            time,
            requests,
            publish: None,
            sheaf: None,
        })
    });
    for (index, payload) in std::iter::once(alone).chain(batches).enumerate() {
        let entry = Entry::<Types> {
            log_id: LogId::new(CommittedLeaderId::new(FIRST_TERM, me), index as u64),
            payload,
        };
        frames.push(Frame::Entry(
            pack(&entry).map_err(|e| Outage::new(e.to_string()))?,
        ));
    }
    journal
        .write(&frames)
        .map_err(|e| Outage::new(e.to_string()))
}

pub(super) fn alone(me: NodeId, filled: Filled) -> Membership<NodeId, Filled> {
    let nodes = std::collections::BTreeMap::from([(me, filled)]);
    Membership::new(vec![std::collections::BTreeSet::from([me])], nodes)
}

/// Keeps all other processes from writing in a node's directory, as long as what this gives is there: two that
/// write one journal destroy what the other one has acknowledged.
pub(super) fn lock(dir: &Path) -> Result<File, Outage> {
    let path = dir.join("node.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| Outage::file("opening", &path, &e))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(Outage::new(format!(
            "a council node runs in {0}, or is being founded or recovered there. Nothing was changed, and what {0} \
             holds is safe. Stop that one first, or name another directory with --dir",
            dir.display()
        ))),
        Err(error) => Err(Outage::file("locking", &path, &error.into())),
    }
}

/// Opens a node's journal, which no other process can open as long as it is open here. That of a council which was
/// one node and had none is made from its registry.
///
/// # Errors
/// When another process has it, it is damaged, or the disk fails.
pub(super) fn open_journal(dir: &Path, secret: &NodeSecret) -> Result<Journal<File>, Outage> {
    open_locked(dir, secret, lock(dir)?)
}

pub(super) fn open_locked(
    dir: &Path,
    secret: &NodeSecret,
    lock: File,
) -> Result<Journal<File>, Outage> {
    let mut journal = Journal::open(&dir.join("registry.journal"))?.keep(lock);
    if journal.len() > 0 {
        return Ok(journal);
    }
    if let Some(records) = book::records_alone(&dir.join("registry.db"))? {
        let requests = records
            .into_iter()
            .map(|record| (record.time, record.request));
        begin(&mut journal, NodeId::of(secret.key()), requests.collect())?;
        tracing::info!("the registry of one node got its journal");
    }
    Ok(journal)
}

/// Opens the registry that the journal adds up to. An index of another journal, which was put aside or brought
/// back from a backup, is thrown away: it is made again from the entries.
///
/// # Errors
/// When it is damaged, or the disk fails.
pub(super) fn open_book(
    dir: &Path,
    journal: &Journal<File>,
    secret: &NodeSecret,
) -> Result<Book, Outage> {
    let path = dir.join("registry.db");
    let hidden = journal.len() == 0 || journal.filling().is_some();
    let failed = |e: std::io::Error| Outage::new(e.to_string());
    let book = Book::open(&path, secret, hidden)?;
    let Some(applied) = book.applied().map_err(failed)?.0 else {
        if journal.len() > FIRST_ENTRIES {
            book.publication().hide()?;
        }
        return Ok(book);
    };
    let at = applied.index;
    let entry = journal.read(at..at + 1, u64::MAX).map_err(failed)?.pop();
    let entry = entry.map(|bytes| unpack(&bytes)).transpose();
    if entry
        .map_err(failed)?
        .is_some_and(|entry| entry.log_id == applied)
    {
        if journal.len() > at + 1 + LACKING_MAX {
            book.publication().hide()?;
        }
        return Ok(book);
    }
    drop(book);
    tracing::warn!("registry.db is not of this registry.journal, and is made again from it");
    for ending in ["", "-wal", "-shm"] {
        let path = dir.join(format!("registry.db{ending}"));
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Outage::file("removing", &path, &e));
            }
            _ => {}
        }
    }
    let book = Book::open(&path, secret, hidden)?;
    book.publication().hide()?;
    Ok(book)
}

/// The registry that all entries of a journal add up to, whether a majority had confirmed them or not.
pub(super) fn fold(journal: &Journal<File>) -> Result<Option<Registry>, Outage> {
    let failed = |e: std::io::Error| Outage::new(e.to_string());
    let mut registry: Option<Registry> = None;
    for at in 0..journal.len() {
        let bytes = journal.read(at..at + 1, u64::MAX).map_err(failed)?;
        let entry = bytes.first().map(|bytes| unpack(bytes)).transpose();
        let Some(Entry {
            payload: EntryPayload::Normal(batch),
            ..
        }) = entry.map_err(failed)?
        else {
            continue;
        };
        let time = Time::parse(&batch.time).map_err(Outage::new)?;
        for wire in &batch.requests {
            let Ok(request) = wire.request() else {
                continue;
            };
            match &mut registry {
                None => {
                    let record = Record {
                        index: 0,
                        previous: Hash::of(b""),
                        time,
                        request,
                    };
                    registry = Registry::found(&record).ok();
                }
                Some(registry) => {
                    let record = registry.next_record(time, request);
                    // What was refused, or repeated, is refused again.
                    let _as_before = registry.take(&record);
                }
            }
        }
    }
    Ok(registry)
}

/// What a node that asks for a seat will be.
#[derive(Clone, Debug)]
pub struct Stand {
    /// Its label.
    pub label: Label,
    /// Where its registry answers.
    pub api: SocketAddr,
    /// Where its DNS answers.
    pub dns: SocketAddr,
    /// Where the other nodes reach it.
    pub peer: SocketAddr,
}

/// Makes a node's key, writes its config and asks for a seat on the council.
///
/// # Errors
/// When the council is silent, another one, or refuses.
pub async fn stand(dir: &Path, invite: &Invite, wanted: &Stand) -> Result<(), Outage> {
    let dir = config::make_dir(dir)?;
    let client = Client::new()?;
    let (network, presence) = join::meet(&client, invite).await?;
    let secret = config::secret_key(&dir.join("node.key"))?;
    let ask = Ask {
        network: Some(Hash::parse(&invite.network).map_err(Outage::new)?),
        time: clock::now(),
        what: Wish::Stand {
            node: CouncilNode {
                label: wanted.label.clone(),
                key: secret.key(),
                api: Address(wanted.api),
                dns: Address(wanted.dns),
                peer: Address(wanted.peer),
            },
            token: invite.token.clone(),
        },
    };
    let request = Wanted::plain(Signed::new(&secret, &ask));
    let path = client::Ask::new(invite.council, "/api/v1/registry/requests");
    let _taken: TakenWire = client
        .post(path, &RequestWire::from(&request))
        .await?
        .good()?;
    let keys = presence.council.iter().map(|node| node.key.to_string());
    CouncilConfig {
        layout: config::LAYOUT,
        label: wanted.label.to_string(),
        api: wanted.api,
        dns: wanted.dns,
        dns_rate: ANSWERS_PER_SECOND,
        peer: Some(wanted.peer),
        network: Some(invite.network.clone()),
        council_keys: keys.collect(),
        base_url: network.base_url,
    }
    .save(&dir)
}

/// An organizer's request, signed with the key in the council's directory and sent to its node.
///
/// # Errors
/// When the node is silent or refuses.
pub async fn organize(dir: &Path, what: Wish) -> Result<TakenWire, Outage> {
    let config = CouncilConfig::load(dir)?;
    let file = dir.join("organizer.key");
    // None is made where there is none: nobody would take its word.
    if !file.exists() {
        return Err(Outage::new(format!(
            "{} is not there, so nobody can sign this here. Nothing was changed. Do it beside a node that has an \
             organizer's key, or put a copy of one there",
            file.display()
        )));
    }
    let organizer = config::secret_key(&file)?;
    let client = Client::new()?;
    let network: NetworkWire = client
        .get(client::Ask::new(config.api, "/api/v1/network"))
        .await?
        .good()?;
    let network = Hash::parse(&network.network).map_err(Outage::new)?;
    let ask = Ask {
        network: Some(network),
        time: clock::now(),
        what,
    };
    let request = Wanted::plain(Signed::new(&organizer, &ask));
    let to = client::Ask::new(config.api, "/api/v1/registry/requests");
    client.post(to, &RequestWire::from(&request)).await?.good()
}

/// A line that lets one donor's server ask to join.
///
/// # Errors
/// When the council node is silent.
pub async fn invite(dir: &Path, expires: Time) -> Result<Invite, Outage> {
    let config = CouncilConfig::load(dir)?;
    let token = config::random_hex::<16>()?;
    let hash = Hash::of(token.as_bytes());
    organize(
        dir,
        Wish::Invite {
            token: hash,
            expires,
        },
    )
    .await?;
    let client = Client::new()?;
    let network: NetworkWire = client
        .get(client::Ask::new(config.api, "/api/v1/network"))
        .await?
        .good()?;
    Ok(Invite {
        council: config.api,
        network: network.network,
        // It is asked who it is: the key of any other node would not do.
        key: config::secret_key(&dir.join("node.key"))?.key().to_string(),
        token,
        expires,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A network of one node that has just been founded.
    pub(in crate::council) fn founded(dir: &Path) -> (Journal<File>, NodeSecret) {
        let at = "127.0.0.1:1".parse().unwrap();
        let beginning = Beginning {
            domain: Domain::parse("blogs.example").unwrap(),
            api: at,
            dns: at,
            peer: at,
            base_url: "http://blogs.example".into(),
            policy: Policy::default(),
        };
        init(dir, beginning).unwrap();
        let secret = config::secret_key(&dir.join("node.key")).unwrap();
        let journal = Journal::open(&dir.join("registry.journal")).unwrap();
        (journal, secret)
    }

    /// Adds entries without a request.
    pub(in crate::council) fn add(journal: &mut Journal<File>, many: u64) {
        let leader = CommittedLeaderId::new(FIRST_TERM, NodeId::default());
        let blank = |index| Entry::<Types> {
            log_id: LogId::new(leader, index),
            payload: EntryPayload::Blank,
        };
        let begin = journal.len();
        let frames = (begin..begin + many).map(|at| Frame::Entry(pack(&blank(at)).unwrap()));
        journal.write(&frames.collect::<Vec<_>>()).unwrap();
    }

    #[test]
    fn as_long_as_an_index_is_made_anew_no_name_seems_free() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, secret) = founded(dir.path());
        let open = |journal: &Journal<File>| open_book(dir.path(), journal, &secret).unwrap();
        assert!(
            !open(&journal).publication().is_hidden(),
            "nobody has a name yet"
        );
        add(&mut journal, 1);
        let book = open(&journal);
        assert!(
            book.publication().is_hidden(),
            "there may be one in what was not read"
        );
        let all = journal.read(0..journal.len(), u64::MAX).unwrap();
        let all = all.iter().map(|bytes| unpack(bytes).unwrap());
        book.apply(all.collect()).unwrap();
        drop(book);
        assert!(
            !open(&journal).publication().is_hidden(),
            "all of it was read"
        );
        add(&mut journal, LACKING_MAX);
        assert!(
            !open(&journal).publication().is_hidden(),
            "power takes as many"
        );
        add(&mut journal, 1);
        assert!(
            open(&journal).publication().is_hidden(),
            "somebody ended it half-way"
        );
    }
}
