//! The zone: what each name below the network's domain answers (SPEC dns).
//!
//! A pure projection of the registry: any node computes the same records. It is published in versions. Which records
//! of the log one covers, and of which minute its slate is, the council agrees on as on everything else: so a version
//! is the same wherever it is asked for, and mirrors may go from one server to the next.

use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use spokes_log::{
    name::{BlogId, Hash},
    time::Time,
};

use crate::{
    caa::Caa,
    dnssec,
    health::Takes,
    keyset::{CDNSKEY, CDS, DNSKEY, KEYS_TTL_MIN},
    node::Label,
    openpgpkey::{self, OPENPGPKEY},
    registry::{BlogRecord, Registry, Spoke, Touched},
};

/// Seconds for which what moves may be remembered: a reader of a dead spoke waits no longer.
const TTL_MOVING: u32 = 30;
/// Seconds for which the names of servers may be remembered.
const TTL_SERVERS: u32 = 3_600;
/// Seconds for which an author's key may be remembered: no longer than any key of the zone, which has signed it (SPEC dns
/// 6.4), however short that is. It does not follow theirs, since nothing touches it when that changes.
const TTL_KEY: u32 = KEYS_TTL_MIN;
/// Seconds for which "there is no such name" may be remembered: names are asked for just before they
/// are claimed.
const TTL_NEGATIVE: u32 = 10;
/// Seconds that a mirror goes on without hearing from the council.
const EXPIRE: u32 = 7 * 24 * 60 * 60;
/// Spokes that the apex names at once: more do not fit an answer of 512 bytes with IPv6.
const SLATE_MAX: usize = 8;
/// Spokes that take new blogs, from which on those that take none are left out: newcomers come by the apex,
/// and one server alone would be too few for readers.
const SLATE_FEW: usize = 2;
/// The slate changes once a minute, so that all spokes get their share of newcomers.
const SLATE_SECONDS: i64 = 60;

/// That an authority which does not know a tag must refuse (RFC 8659 section 4.1.1).
const CAA_CRITICAL: u8 = 128;
/// The type of signatures (RFC 4034 section 3).
const RRSIG: u16 = 46;

/// What a council that is founded anew skips: it does not know how many versions came behind what it has, and mirrors
/// take none that is older than theirs. More than 20 a second for a month, and far below the half of all numbers that
/// counts as newer (RFC 1982).
const SERIALS_SKIPPED: u32 = 1 << 26;

/// Which zone it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number (RFC 1982).
    pub serial: u32,
    /// The minute of its slate (see [`minute`]).
    pub minute: i64,
}

impl Version {
    /// The first one. Before versions were agreed on, a serial was the number of records and of minutes.
    pub fn first(registry: &Registry, minute: i64) -> Self {
        let minutes = u64::try_from(minute - self::minute(registry.founded())).unwrap_or(0);
        let counted = registry.head().records + minutes;
        let serial = u32::try_from(counted & u64::from(u32::MAX)).unwrap_or(0);
        Self { serial, minute }.next(minute)
    }

    /// The one behind this.
    #[must_use]
    pub fn next(self, minute: i64) -> Self {
        // Some programs take 0 for "none".
        let serial = self.serial.wrapping_add(1).max(1);
        Self { serial, minute }
    }

    /// What the next one has to be newer than, where the council is founded anew.
    #[must_use]
    pub fn skip(self) -> Self {
        let serial = self.serial.wrapping_add(SERIALS_SKIPPED);
        Self { serial, ..self }
    }
}

/// What records have touched since a version.
#[derive(Clone, Debug, Default)]
pub struct Stale {
    blogs: BTreeSet<BlogId>,
    /// Whose keys are others.
    keys: BTreeSet<BlogId>,
    /// With all blogs that they hold.
    spokes: BTreeSet<Label>,
    mirrors: BTreeSet<Label>,
    council: bool,
}

impl Stale {
    /// Notes what a record has touched.
    pub fn note(&mut self, touched: &Touched) {
        match touched {
            Touched::Nothing | Touched::Load(_) => {}
            Touched::Blog(id) | Touched::NewBlog(id) => drop(self.blogs.insert(*id)),
            Touched::Blogs(ids) => self.blogs.extend(ids),
            Touched::Keys(id) => drop(self.keys.insert(*id)),
            Touched::Spoke(label) | Touched::Spokes(label) => {
                self.spokes.insert(label.clone());
            }
            Touched::Council => self.council = true,
            Touched::Mirror(label) => drop(self.mirrors.insert(label.clone())),
        }
    }

    /// Whether nothing was touched that the zone is made of.
    pub fn is_empty(&self) -> bool {
        let labels = [&self.spokes, &self.mirrors];
        let blogs = [&self.blogs, &self.keys];
        let is_untouched = labels.iter().all(|labels| labels.is_empty());
        blogs.iter().all(|ids| ids.is_empty()) && is_untouched && !self.council
    }

    /// What all that was touched answers now. Authors come first and readers behind them, the apex last, with the new
    /// serial.
    pub fn names(&self, registry: &Registry, version: Version) -> Owned {
        let mut names = Owned::new();
        if self.council {
            names.extend(servers(registry));
        }
        let mirrors = self.mirrors.iter();
        names.extend(mirrors.map(|label| of_mirror(registry, label)));
        let spokes = self.spokes.iter();
        let spokes = spokes.filter_map(|label| Some((label, registry.spoke(label)?)));
        names.extend(spokes.map(|(label, spoke)| of_spoke(registry, label, spoke)));
        let on_spokes = self.spokes.iter();
        let on_spokes = on_spokes.flat_map(|label| registry.placed_on(label));
        let blogs: BTreeSet<BlogId> = on_spokes.chain(self.blogs.iter().copied()).collect();
        let blogs = blogs.into_iter();
        let blogs = blogs.filter_map(|id| Some((id, registry.blog(id)?)));
        names.extend(blogs.flat_map(|(id, blog)| of_blog(registry, id, blog)));
        // A new blog may have a key in DNS; that an older one has none any more, its news of keys tell.
        let new = self.blogs.iter().copied();
        let new = new.filter(|id| registry.openpgpkey(*id).is_some());
        let keys: BTreeSet<BlogId> = new.chain(self.keys.iter().copied()).collect();
        names.extend(keys.into_iter().filter_map(|id| of_key(registry, id)));
        names.push(apex(registry, version));
        names
    }
}

/// The data of one record. Names in it are absolute, lower case and without the last dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// An IPv4 address (RFC 1035 section 3.4.1).
    A(Ipv4Addr),
    /// An IPv6 address (RFC 3596 section 2.2).
    Aaaa(Ipv6Addr),
    /// The name of a server of the zone (RFC 1035 section 3.3.11). Only at the apex.
    Ns(String),
    /// Text of any length; split into strings of 255 bytes when encoded (RFC 1035 section 3.3.14).
    Txt(String),
    /// The start of authority (RFC 1035 section 3.3.13). Only at the apex, and only one.
    Soa(Soa),
    /// Who may issue certificates (RFC 8659 section 4.1).
    Caa {
        /// 128 when an issuer that does not know the tag must refuse, else 0.
        flags: u8,
        /// `issue`, `issuewild`, `iodef` …: letters and digits.
        tag: String,
        /// What the tag says, for example the issuer's domain.
        value: String,
    },
    /// Any other type, of which the data are bytes here: keys and signatures (RFC 3597).
    Other {
        /// The number of the type.
        rtype: u16,
        /// The data, without names that could be compressed.
        data: Vec<u8>,
    },
}

/// The start of authority: whose zone this is, which version, and how long copies live.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Soa {
    /// The name of the primary server.
    pub primary: String,
    /// The mailbox of whoever is responsible, with a dot in place of the `@`.
    pub mailbox: String,
    /// The version of the zone, compared in the arithmetic of RFC 1982.
    pub serial: u32,
    /// Seconds until a secondary looks for a new version.
    pub refresh: u32,
    /// Seconds until a secondary tries again when that failed.
    pub retry: u32,
    /// Seconds after which a secondary that reached nobody stops answering.
    pub expire: u32,
    /// Seconds for which "there is no such name" may be remembered (RFC 2308 section 4).
    pub minimum: u32,
}

/// The records of one name and one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrSet {
    /// Seconds for which the set may be remembered.
    pub ttl: u32,
    /// The records, all of one type.
    pub data: Vec<Data>,
}

/// Everything one name answers: at most one set of each type.
pub type Node = Vec<RrSet>;

/// Records with the absolute names that own them.
pub type Owned = Vec<(String, Node)>;

/// All records of the network in a version, each name once. One after the other: they are millions, and take far more
/// memory than the zone that is made of them.
pub fn project(registry: &Registry, version: Version) -> impl Iterator<Item = (String, Node)> {
    let spokes = registry.spokes();
    let spokes = spokes.map(|(label, spoke)| of_spoke(registry, label, spoke));
    let blogs = registry.blogs();
    let blogs = blogs.flat_map(|(id, blog)| of_blog(registry, id, blog));
    let keys = registry.openpgpkeys();
    let keys = keys.filter_map(|id| of_key(registry, id));
    core::iter::once(apex(registry, version))
        .chain(servers(registry))
        .chain(spokes)
        .chain(blogs)
        .chain(keys)
}

/// The number of the minute in which a slate holds.
pub fn minute(now: Time) -> i64 {
    now.as_unix().div_euclid(SLATE_SECONDS)
}

/// The apex: SOA, NS and a slate of spokes.
pub fn apex(registry: &Registry, version: Version) -> (String, Node) {
    let domain = registry.founding().domain.as_str();
    let names: Vec<String> = registry
        .seats()
        .whole()
        .map(|(_, number)| format!("ns{number}.{domain}"))
        .collect();
    let mirrors = registry.mirrors().filter(|(_, mirror)| mirror.is_well());
    let mirrors = mirrors.map(|(label, _)| format!("{label}.ns.{domain}"));
    let soa = Soa {
        primary: names[0].clone(),
        mailbox: format!("hostmaster.{domain}"),
        serial: version.serial,
        refresh: 60,
        retry: 30,
        expire: EXPIRE,
        minimum: TTL_NEGATIVE,
    };
    let ttl = ttl_of_servers(registry);
    let mut node = vec![
        RrSet {
            ttl,
            data: vec![Data::Soa(soa)],
        },
        RrSet {
            ttl,
            data: names.into_iter().chain(mirrors).map(Data::Ns).collect(),
        },
    ];
    node.extend(addresses(
        slate(registry, version.minute)
            .into_iter()
            .map(|spoke| spoke.address.0.ip()),
    ));
    node.extend(certificates(registry));
    node.extend(keys(registry, version));
    (domain.to_string(), node)
}

/// What a key has signed is remembered for no longer than the key: SPEC dns 6.4 counts on it.
fn ttl_of_servers(registry: &Registry) -> u32 {
    let set = registry.zone_keys().signed.as_ref();
    set.map_or(TTL_SERVERS, |set| set.ttl.min(TTL_SERVERS))
}

/// Who may issue certificates for the network's names.
fn certificates(registry: &Registry) -> Option<RrSet> {
    let rule = |rule: &Caa| Data::Caa {
        flags: if rule.critical { CAA_CRITICAL } else { 0 },
        tag: rule.tag.as_str().to_string(),
        value: rule.value().to_string(),
    };
    let data: Vec<_> = registry.caa().iter().map(rule).collect();
    let ttl = ttl_of_servers(registry);
    (!data.is_empty()).then_some(RrSet { ttl, data })
}

/// The zone's keys, and what organizers have signed of them ahead.
fn keys(registry: &Registry, version: Version) -> Node {
    let now = Time::from_unix(version.minute.saturating_mul(SLATE_SECONDS));
    let Some(set) = &registry.zone_keys().signed else {
        return Node::new();
    };
    let newest = set.shown(now);
    let apex = dnssec::wire(registry.founding().domain.as_str());
    let (mut node, mut signatures) = (Node::new(), Vec::new());
    for (at, rtype) in [DNSKEY, CDS, CDNSKEY].into_iter().enumerate() {
        let data = set.data(rtype, &apex).into_iter();
        let data: Vec<_> = data.map(|data| Data::Other { rtype, data }).collect();
        // CDS and CDNSKEY are missing where no key is to stay.
        if data.is_empty() {
            continue;
        }
        node.push(RrSet { ttl: set.ttl, data });
        signatures.extend(newest.values().map(|window| {
            let times = (window.from, window.until);
            let mut data = set.cover(rtype, times, window.tag, &apex).rrsig(&apex);
            data.extend(window.signatures[at].bytes());
            Data::Other { rtype: RRSIG, data }
        }));
    }
    if !signatures.is_empty() {
        node.push(RrSet {
            ttl: set.ttl,
            data: signatures,
        });
    }
    node
}

/// The addresses of the name servers themselves.
pub fn servers(registry: &Registry) -> Owned {
    let domain = registry.founding().domain.as_str();
    let whole: Vec<u64> = registry.seats().whole().map(|(_, number)| number).collect();
    let seats = registry.seats().all().iter();
    let mirrors = registry.mirrors();
    let mirrors = mirrors.map(|(label, _)| of_mirror(registry, label));
    seats
        .map(|seat| {
            let is_named = whole.contains(&seat.number);
            let shown = is_named.then(|| seat.node.dns.0.ip());
            let owner = format!("ns{}.{domain}", seat.number);
            (owner, addresses(shown.into_iter()))
        })
        .chain(mirrors)
        .collect()
}

/// A mirror's name; empty when there is none of that label any more.
fn of_mirror(registry: &Registry, label: &Label) -> (String, Node) {
    let owner = format!("{label}.ns.{}", registry.founding().domain);
    let mirror = registry.mirror(label);
    let shown = mirror.map(|mirror| mirror.address.0.ip());
    (owner, addresses(shown.into_iter()))
}

/// One spoke's own name; empty as long as it is not let in.
pub fn of_spoke(registry: &Registry, label: &Label, spoke: &Spoke) -> (String, Node) {
    let owner = format!("{label}.spoke.{}", registry.founding().domain);
    let shown = spoke.is_admitted().then(|| spoke.address.0.ip());
    (owner, addresses(shown.into_iter()))
}

/// One blog's names: its secondaries for readers, its primary for the author, what it is in TXT.
pub fn of_blog(registry: &Registry, id: BlogId, blog: &BlogRecord) -> Owned {
    let domain = &registry.founding().domain;
    let name = &blog.name;
    let ip = |label: &Label| registry.spoke(label).map(|spoke| spoke.address.0.ip());
    let is_well = |label: &&Label| registry.spoke(label).is_some_and(Spoke::is_well);
    let primary = blog.set.primary();
    let well: Vec<&Label> = blog.set.members.iter().filter(is_well).collect();
    let keeps_up = |label: &&&Label| {
        let takes = registry.spoke(label).map(|spoke| spoke.takes);
        takes != Some(Takes::Nothing) && registry.holds_blog(blog, label)
    };
    // Its secondaries that keep up; else its primary; else whoever of the set is there.
    let mut readers: Vec<&Label> = well.iter().filter(keeps_up).copied().collect();
    if readers.len() > 1 {
        readers.retain(|label| *label != primary);
    }
    if readers.is_empty() {
        readers = well;
    }
    // Authors go to the primary; while that is silent to one that takes entries in its place.
    let accepts = Some(primary).filter(is_well);
    let accepts = accepts.or_else(|| readers.first().copied()).and_then(ip);
    let readers = readers.into_iter().filter_map(ip);
    let text = format!(
        "v=1 blog={id} author={} epoch={} primary={primary}",
        blog.author, blog.set.epoch
    );
    let text = RrSet {
        ttl: TTL_MOVING,
        data: vec![Data::Txt(text)],
    };
    vec![
        (format!("{name}.{domain}"), addresses(readers)),
        (
            format!("edit.{name}.{domain}"),
            addresses(accepts.into_iter()),
        ),
        (format!("_blog.{name}.{domain}"), vec![text]),
    ]
}

/// The key of a blog's author (SPEC dns 7); empty when none says the blog's mailbox.
fn of_key(registry: &Registry, id: BlogId) -> Option<(String, Node)> {
    let name = &registry.blog(id)?.name;
    let owner = openpgpkey::owner(name, &registry.founding().domain)?;
    let data = registry.openpgpkey(id).map(|bytes| Data::Other {
        rtype: OPENPGPKEY,
        data: bytes.to_vec(),
    });
    let set = data.map(|data| RrSet {
        ttl: TTL_KEY,
        data: vec![data],
    });
    Some((owner, set.into_iter().collect()))
}

/// At most [`SLATE_MAX`] spokes that are well and take new blogs, others each minute (SPEC dns 2).
fn slate(registry: &Registry, minute: i64) -> Vec<&Spoke> {
    let well = |spoke: &Spoke| spoke.is_well() && !spoke.is_leaving();
    let mut spokes: Vec<_> = registry.admitted().filter(|(_, s)| well(s)).collect();
    let takes_new = |spoke: &&Spoke| spoke.takes == Takes::New;
    if spokes
        .iter()
        .map(|(_, spoke)| *spoke)
        .filter(takes_new)
        .count()
        >= SLATE_FEW
    {
        spokes.retain(|(_, spoke)| takes_new(spoke));
    }
    if spokes.is_empty() {
        // Whoever is said to be silent may be there all the same.
        spokes = registry.admitted().collect();
    }
    spokes.sort_by_key(|(label, _)| *Hash::of(format!("{minute} {label}").as_bytes()).as_bytes());
    spokes
        .into_iter()
        .take(SLATE_MAX)
        .map(|(_, spoke)| spoke)
        .collect()
}

fn addresses(ips: impl Iterator<Item = IpAddr>) -> Node {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for ip in ips {
        match ip {
            IpAddr::V4(ip) => v4.push(Data::A(ip)),
            IpAddr::V6(ip) => v6.push(Data::Aaaa(ip)),
        }
    }
    [v4, v6]
        .into_iter()
        .filter(|data| !data.is_empty())
        .map(|data| RrSet {
            ttl: TTL_MOVING,
            data,
        })
        .collect()
}
