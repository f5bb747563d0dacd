//! Our name server in a process of its own, so that it can be measured and bound to a core as others are.
//!
//! It reads the zone from the file that others read, then changes from its standard input, and ends with that.

use std::{
    collections::BTreeMap,
    fs,
    io::BufRead as _,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use spokes::dns::{
    cookie::CookieSecret,
    edition::Editions,
    filling::{Names, Seals, fill},
    notify::notify,
    seals,
    serve::Server,
    signed::{Keys, MirrorKey},
    signer::ZoneSecret,
    signing::{Draft, Stamp},
    zone::Zone,
};
use spokes_rules::{
    dnssec::{Signs, ZoneSignature},
    zone::{Data, Node, RrSet, Soa},
};

use spokes::outage::Outage;

use crate::{Failed, zone_keys};

pub(crate) const APEX: &str = "blogs.example";
/// The one mirror.
pub(crate) const MIRROR: &str = "bind";
pub(crate) const KEY_NAME: &str = "bind.council1.blogs.example";
pub(crate) const SECRET_IN_BASE64: &str = "YSBzZWNyZXQgdGhhdCBldmVyeWJvZHkgbWF5IGtub3c=";
const SECRET: &[u8; 32] = b"a secret that everybody may know";
pub(crate) const FIRST_SERIAL: u32 = 1;

/// What this program does with these words: it is such a server.
pub(crate) struct Order {
    pub(crate) port: u16,
    pub(crate) zone: PathBuf,
    /// Where the mirror listens.
    pub(crate) mirror: u16,
    /// Threads that answer.
    pub(crate) workers: usize,
    /// Whether the zone is signed: with the signatures that are kept beside it as a council's node keeps them; the first
    /// server puts them there.
    pub(crate) is_signed: bool,
}

/// The first word of such a command.
pub(crate) const WORD: &str = "dns-server";

impl Order {
    pub(crate) fn words(&self) -> [String; 6] {
        [
            WORD.to_owned(),
            self.port.to_string(),
            self.zone.display().to_string(),
            self.mirror.to_string(),
            self.workers.to_string(),
            self.is_signed.to_string(),
        ]
    }

    /// # Errors
    /// When these are other words.
    pub(crate) fn read(words: &[String]) -> Result<Self, Failed> {
        let [_, port, zone, mirror, workers, is_signed] = words else {
            return Err("not the words of a server".into());
        };
        Ok(Self {
            port: port.parse()?,
            zone: zone.into(),
            mirror: mirror.parse()?,
            workers: workers.parse()?,
            is_signed: is_signed.parse()?,
        })
    }

    /// Answers until nothing more is said.
    pub(crate) fn serve(&self) -> Result<(), Failed> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(self.workers).enable_all().build()?;
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let signs = self.is_signed.then(Signing::begin).transpose()?;
        let (zone, apex) = match &signs {
            None => read_zone(&self.zone, Node::new(), None)?,
            Some(signs) => signs.all_of(&self.zone)?,
        };
        let editions = Editions::new(APEX)?;
        let history = self.zone.with_extension("history");
        fs::create_dir_all(&history)?;
        editions.replace(zone, Some((history, FIRST_SERIAL)));
        let keys = Keys::default();
        let key = MirrorKey::new(MIRROR, KEY_NAME, SECRET)?;
        keys.set([key.clone()]);
        let server = Server::bind(at(self.port), editions.clone(), keys)?;
        // One client asks all of it, as those of others are told too.
        let server = server.with_door(
            CookieSecret::random().map_err(|error| error.to_string())?,
            0,
        );
        runtime.spawn(server.run(std::future::pending()));
        let told = notify(
            Ipv4Addr::LOCALHOST.into(),
            at(self.mirror),
            key,
            editions.clone(),
        );
        runtime.spawn(told);
        let mut serial = FIRST_SERIAL;
        for line in std::io::stdin().lines() {
            let line = line?;
            let (name, address) = line.split_once(' ').ok_or("no change")?;
            let data = vec![Data::A(address.parse()?)];
            serial += 1;
            let names = [
                (name.to_owned(), vec![RrSet { ttl: 30, data }]),
                (APEX.to_owned(), with_serial(&apex, serial)),
            ];
            match &signs {
                None => editions.publish(serial, names.into()),
                Some(signs) => {
                    let draft = editions.draft(names.into(), &[]);
                    let signatures = signs.sign(&draft)?;
                    editions.publish_written(serial, draft.signed(signs.stamp, &signatures)?);
                }
            }
        }
        Ok(())
    }
}

/// Names that are signed at once, as a council does it that begins to.
const SIGNED_AT_ONCE: usize = 1_000;

/// What signs the zone: one key for the names, and one for the keys.
struct Signing {
    secret: ZoneSecret,
    top: ZoneSecret,
    stamp: Stamp,
}

impl Signing {
    fn begin() -> Result<Self, Failed> {
        let secret = |seed| ZoneSecret::from_seed(&[seed; 32]).ok_or("no key");
        let (secret, top) = (secret(1)?, secret(2)?);
        let stamp = Stamp {
            inception: 1_700_000_000,
            expiration: 3_000_000_000,
            tag: secret.key().tag(Signs::Zone),
        };
        Ok(Self { secret, top, stamp })
    }

    /// The keys, signed by the one that no server holds.
    fn keys(&self) -> Node {
        let (top, nodes) = (
            std::slice::from_ref(&self.top),
            std::slice::from_ref(&self.secret),
        );
        let times = (self.stamp.inception, self.stamp.expiration);
        zone_keys::signed(APEX, top, nodes, (3_600, times))
    }

    fn sign(&self, draft: &Draft) -> Result<Vec<ZoneSignature>, Failed> {
        let signatures = draft.sign(&self.secret, self.stamp);
        Ok(signatures.ok_or("no random numbers")?)
    }

    /// The zone with all its signatures: those that are kept beside it, or new ones, which are kept there; and what its
    /// apex has.
    fn all_of(&self, path: &Path) -> Result<(Zone, Node), Failed> {
        let kept = path.with_extension("db");
        if !kept.exists() {
            let part = path.with_extension("part");
            self.keep_all_of(path, &Connection::open(&part)?)?;
            fs::rename(part, &kept)?;
        }
        let (mut zone, apex) = read_zone(path, self.keys(), Some(&Connection::open(kept)?))?;
        zone.secure();
        Ok((zone, apex))
    }

    fn keep_all_of(&self, path: &Path, index: &Connection) -> Result<(), Failed> {
        let (mut zone, apex) = read_zone(path, self.keys(), None)?;
        zone.secure();
        let editions = Editions::new(APEX)?;
        editions.replace(zone, None);
        let zone = editions.zone();
        index.execute_batch(seals::CREATE)?;
        index.execute_batch("BEGIN")?;
        let mut last: Option<Box<[u8]>> = None;
        loop {
            let names = zone.read().names_behind(last.as_deref(), SIGNED_AT_ONCE);
            let Some(name) = names.last() else { break };
            last = Some(name.clone());
            let draft = editions.draft(vec![(APEX.to_owned(), apex.clone())], &names);
            let signatures = self.sign(&draft)?;
            let written = draft.signed(self.stamp, &signatures)?;
            seals::keep(index, &written)?;
            editions.publish_written(FIRST_SERIAL, written);
        }
        Ok(index.execute_batch("COMMIT")?)
    }
}

fn with_serial(apex: &Node, serial: u32) -> Node {
    let mut apex = apex.clone();
    for data in apex.iter_mut().flat_map(|set| &mut set.data) {
        if let Data::Soa(soa) = data {
            soa.serial = serial;
        }
    }
    apex
}

/// The zone out of a file that this program has written, with signatures that are kept; and what its apex has, with these
/// keys.
fn read_zone(path: &Path, keys: Node, kept: Option<&Connection>) -> Result<(Zone, Node), Failed> {
    let mut apex = Node::new();
    let names = |names: &mut Names<'_>| {
        let said = say_names(path, |owner, mut node| {
            if owner == APEX {
                node.extend(keys.clone());
                apex.clone_from(&node);
            }
            Ok(names.set(owner, &node)?)
        });
        said.map_err(|failed| Outage::new(failed.to_string()))
    };
    let seals = |seals: &mut Seals<'_>| match kept {
        None => Ok(()),
        Some(index) => seals::read(index, seals).map_err(Outage::from),
    };
    let zone = fill(APEX, names, seals)?;
    Ok((zone, apex))
}

fn say_names(
    path: &Path,
    mut say: impl FnMut(&str, Node) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let file = std::io::BufReader::new(fs::File::open(path)?);
    let (mut owner, mut node) = (String::new(), BTreeMap::<String, RrSet>::new());
    let mut finish = |owner: &str, node: &mut BTreeMap<String, RrSet>| {
        let node: Node = std::mem::take(node).into_values().collect();
        if node.is_empty() {
            Ok(())
        } else {
            say(owner, node)
        }
    };
    for line in file.lines() {
        let line = line?;
        let mut words = line.splitn(5, ' ');
        let mut word = || words.next().ok_or("a short line");
        let (name, ttl, _, rtype) = (word()?, word()?.parse()?, word()?, word()?);
        let name = name.trim_end_matches('.');
        if name != owner {
            finish(&owner, &mut node)?;
            name.clone_into(&mut owner);
        }
        let set = node.entry(rtype.to_owned()).or_insert(RrSet {
            ttl,
            data: Vec::new(),
        });
        set.data.push(read_data(rtype, word()?)?);
    }
    finish(&owner, &mut node)
}

fn read_data(rtype: &str, text: &str) -> Result<Data, Failed> {
    let name = |text: &str| text.trim_end_matches('.').to_owned();
    Ok(match rtype {
        "A" => Data::A(text.parse()?),
        "AAAA" => Data::Aaaa(text.parse()?),
        "NS" => Data::Ns(name(text)),
        "TXT" => Data::Txt(text.trim_matches('"').to_owned()),
        "SOA" => {
            let words: Vec<&str> = text.split(' ').collect();
            let [primary, mailbox, numbers @ ..] = &words[..] else {
                return Err("a short SOA record".into());
            };
            let numbers: Vec<u32> = numbers
                .iter()
                .map(|n| n.parse())
                .collect::<Result<_, _>>()?;
            let [serial, refresh, retry, expire, minimum] = numbers[..] else {
                return Err("a short SOA record".into());
            };
            Data::Soa(Soa {
                primary: name(primary),
                mailbox: name(mailbox),
                serial,
                refresh,
                retry,
                expire,
                minimum,
            })
        }
        other => return Err(format!("no type that we write: {other}").into()),
    })
}
