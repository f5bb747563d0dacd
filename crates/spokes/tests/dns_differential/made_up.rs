//! A zone that nobody has, in the shapes of SPEC dns 1.1, made of a seed: the only place that knows what is in it.
//!
//! It is written down twice, for our server as [`Node`]s and for others as a zone file, without the program's own
//! encoder: so a record that is encoded wrongly differs.

use std::{collections::BTreeMap, fmt::Write as _, mem, slice};

use spokes::dns::{edition::Editions, signer::ZoneSecret, signing::Stamp, zone::Zone};
use spokes_rules::{
    dnssec::Signs,
    zone::{Data, Node, RrSet, Soa},
};

use crate::common::{Random, zone_keys};

pub(crate) const APEX: &str = "blogs.example.org";
pub(crate) const SERIAL: u32 = 4_294_967_290;
/// Keys by name (RFC 7929).
const OPENPGPKEY: u16 = 61;
const TTL_MOVING: u32 = 30;
const TTL_SERVERS: u32 = 3_600;

/// Names with what they answer.
pub(crate) struct MadeUp {
    names: BTreeMap<String, Node>,
}

impl MadeUp {
    /// A zone with so many blogs.
    pub(crate) fn new(dice: &mut Random, blogs: usize) -> Self {
        let mut names = BTreeMap::new();
        names.insert(String::new(), apex(dice));
        for number in 1..=3 {
            names.insert(format!("ns{number}"), vec![addresses(dice, number < 3, 1)]);
        }
        for mirror in ["knot", "nsd", "far-away"] {
            names.insert(format!("{mirror}.ns"), either(dice, 1));
        }
        for number in 0..blogs / 10 + 1 {
            names.insert(format!("s{number}.spoke"), either(dice, 1));
        }
        for number in 0..blogs {
            blog(dice, number, &mut names);
        }
        odd_shapes(dice, &mut names);
        names.retain(|_, node| !node.is_empty());
        Self { names }
    }

    /// As our server has it.
    pub(crate) fn zone(&self) -> Zone {
        let mut zone = Zone::new(APEX).unwrap();
        for (name, node) in &self.names {
            zone.set(&absolute(name), node.clone()).unwrap();
        }
        zone
    }

    /// As our server has it, signed.
    pub(crate) fn signed(&self) -> Zone {
        let secret = |seed| ZoneSecret::from_seed(&[seed; 32]).unwrap();
        let (top, node) = (secret(1), secret(2));
        let stamp = Stamp {
            inception: 1_700_000_000,
            expiration: 3_000_000_000,
            tag: node.key().tag(Signs::Zone),
        };
        let editions = Editions::new(APEX).unwrap();
        let mut zone = Zone::new(APEX).unwrap();
        zone.secure();
        editions.replace(zone, None);
        let names = self.names.iter();
        let mut names: Vec<_> = names
            .map(|(name, node)| (absolute(name), node.clone()))
            .collect();
        let times = (stamp.inception, stamp.expiration);
        let keys = zone_keys::signed(APEX, &[top], slice::from_ref(&node), (TTL_SERVERS, times));
        let apex = names.iter_mut().find(|(name, _)| name == APEX).unwrap();
        apex.1.extend(keys);
        let draft = editions.draft(names, &[]);
        let signatures = draft.sign(&node, stamp).unwrap();
        editions.publish_written(SERIAL, draft.signed(stamp, &signatures).unwrap());
        let zone = editions.zone();
        let mut zone = zone.write();
        mem::replace(&mut *zone, Zone::new(APEX).unwrap())
    }

    /// As others read it (RFC 1035 section 5).
    pub(crate) fn file(&self) -> String {
        let mut file = String::new();
        for (name, node) in &self.names {
            for (set, data) in node
                .iter()
                .flat_map(|set| set.data.iter().map(move |d| (set, d)))
            {
                let text = text(data);
                writeln!(file, "{}. {} IN {text}", absolute(name), set.ttl).unwrap();
            }
        }
        file
    }

    /// Names that hold records, without the apex; that of the apex is empty.
    pub(crate) fn owners(&self) -> Vec<&str> {
        self.names.keys().map(String::as_str).collect()
    }

    /// The types that a name holds.
    pub(crate) fn types(&self, owner: &str) -> Vec<u16> {
        self.names[owner]
            .iter()
            .map(|set| rtype(&set.data[0]))
            .collect()
    }
}

pub(crate) fn absolute(name: &str) -> String {
    if name.is_empty() {
        APEX.to_owned()
    } else {
        format!("{name}.{APEX}")
    }
}

fn set(ttl: u32, data: Vec<Data>) -> RrSet {
    RrSet { ttl, data }
}

fn byte(dice: &mut Random) -> u8 {
    u8::try_from(dice.below(256)).unwrap()
}

fn addresses(dice: &mut Random, is_v4: bool, count: usize) -> RrSet {
    let mut data = Vec::new();
    while data.len() < count {
        let one = if is_v4 {
            Data::A([192, 0, 2, byte(dice)].into())
        } else {
            Data::Aaaa([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(byte(dice))].into())
        };
        // Others drop what stands twice, and say so; ours does too, and has a test of its own.
        if !data.contains(&one) {
            data.push(one);
        }
    }
    set(TTL_MOVING, data)
}

/// A or AAAA, so many.
fn either(dice: &mut Random, count: usize) -> Node {
    let is_v4 = dice.below(3) > 0;
    vec![addresses(dice, is_v4, count)]
}

fn apex(dice: &mut Random) -> Node {
    let soa = Soa {
        primary: absolute("ns1"),
        mailbox: absolute("hostmaster"),
        serial: SERIAL,
        refresh: 60,
        retry: 30,
        expire: 604_800,
        minimum: 10,
    };
    let servers = ["ns1", "ns2", "ns3", "knot.ns", "nsd.ns", "far-away.ns"];
    let mut servers: Vec<Data> = servers.iter().map(|ns| Data::Ns(absolute(ns))).collect();
    servers.push(Data::Ns("ns.example.net".to_owned()));
    let caa = |tag: &str, value: &str| Data::Caa {
        flags: 0,
        tag: tag.to_owned(),
        value: value.to_owned(),
    };
    vec![
        set(TTL_SERVERS, vec![Data::Soa(soa)]),
        set(TTL_SERVERS, servers),
        addresses(dice, true, 8),
        addresses(dice, false, 8),
        set(
            TTL_SERVERS,
            vec![caa("issue", "letsencrypt.org"), caa("issuewild", ";")],
        ),
    ]
}

/// One in eight has no member that is well, so it answers nothing itself; and so on.
fn blog(dice: &mut Random, number: usize, names: &mut BTreeMap<String, Node>) {
    const WORDS: [&str; 6] = ["ada", "maria", "the-oak", "x", "blog", "a1"];
    let name = format!("{}{number}", WORDS[dice.below(WORDS.len())]);
    if dice.below(8) > 0 {
        let (v4, v6) = (dice.below(4), dice.below(3));
        let mut node = Vec::new();
        if v4 > 0 {
            node.push(addresses(dice, true, v4));
        }
        if v6 > 0 {
            node.push(addresses(dice, false, v6));
        }
        names.insert(name.clone(), node);
    }
    if dice.below(10) > 0 {
        names.insert(format!("edit.{name}"), either(dice, 1));
    }
    let hex: String = (0..64)
        .map(|_| char::from(b"0123456789abcdef"[dice.below(16)]))
        .collect();
    let said = format!(
        "v=1 blog=sha256:{hex} author={} epoch={} primary=s1",
        &hex[..40],
        dice.below(99)
    );
    names.insert(
        format!("_blog.{name}"),
        vec![set(TTL_MOVING, vec![Data::Txt(said)])],
    );
    if dice.below(4) == 0 {
        let key = (0..300 + dice.below(1_500)).map(|_| byte(dice)).collect();
        let key = Data::Other {
            rtype: OPENPGPKEY,
            data: key,
        };
        names.insert(
            format!("{}._openpgpkey.{name}", &hex[..56]),
            vec![set(TTL_SERVERS, vec![key])],
        );
    }
}

/// What no blog has today: the zone's store allows it.
fn odd_shapes(dice: &mut Random, names: &mut BTreeMap<String, Node>) {
    let long = |letter: &str, count| letter.repeat(count);
    names.insert("a.b.c.d.e.deep".to_owned(), either(dice, 2));
    names.insert("d.e.deep".to_owned(), either(dice, 2));
    names.insert(long("l", 63), either(dice, 1));
    // Together with the apex as long as a name may be: 253 letters and dots.
    let longest = [long("a", 63), long("b", 63), long("c", 63), long("d", 43)].join(".");
    assert_eq!(absolute(&longest).len(), 253);
    names.insert(longest, either(dice, 3));
    for (name, bytes) in [
        ("empty", 0),
        ("text255", 255),
        ("text256", 256),
        ("text1100", 1_100),
        ("text9000", 9_000),
    ] {
        let text: String = (0..bytes)
            .map(|_| char::from(32 + byte(dice) % 95))
            .collect();
        names.insert(
            name.to_owned(),
            vec![set(TTL_MOVING, vec![Data::Txt(text)])],
        );
    }
    let texts = (0..20).map(|number| Data::Txt(format!("{number:02} {}", long("t", number * 5))));
    names.insert("texts".to_owned(), vec![set(0, texts.collect())]);
    names.insert(
        "many".to_owned(),
        vec![addresses(dice, true, 70), addresses(dice, false, 40)],
    );
    // Sets whose answers are about as long as a datagram may be: with EDNS and without.
    for bytes in (380..470).chain(1_090..1_190).step_by(3) {
        let data = (0..bytes).map(|_| byte(dice)).collect();
        let data = Data::Other {
            rtype: OPENPGPKEY,
            data,
        };
        names.insert(format!("size{bytes}"), vec![set(TTL_MOVING, vec![data])]);
    }
}

fn rtype(data: &Data) -> u16 {
    match data {
        Data::A(_) => 1,
        Data::Ns(_) => 2,
        Data::Soa(_) => 6,
        Data::Txt(_) => 16,
        Data::Aaaa(_) => 28,
        Data::Caa { .. } => 257,
        Data::Other { rtype, .. } => *rtype,
    }
}

/// The type and the data of a record in a zone file.
fn text(data: &Data) -> String {
    match data {
        Data::A(address) => format!("A {address}"),
        Data::Aaaa(address) => format!("AAAA {address}"),
        Data::Ns(name) => format!("NS {name}."),
        Data::Txt(text) => {
            // Strings of at most 255 bytes, as `Data::Txt` promises.
            let mut strings: Vec<&[u8]> = text.as_bytes().chunks(255).collect();
            if strings.is_empty() {
                strings.push(b"");
            }
            let escaped = |byte: &u8| match byte {
                b'"' | b'\\' => format!("\\{}", char::from(*byte)),
                32..=126 => char::from(*byte).to_string(),
                other => format!("\\{other:03}"),
            };
            let quoted =
                |string: &&[u8]| format!("\"{}\"", string.iter().map(escaped).collect::<String>());
            format!(
                "TXT {}",
                strings.iter().map(quoted).collect::<Vec<_>>().join(" ")
            )
        }
        Data::Soa(soa) => format!(
            "SOA {}. {}. {} {} {} {} {}",
            soa.primary, soa.mailbox, soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum
        ),
        Data::Caa { flags, tag, value } => format!("CAA {flags} {tag} \"{value}\""),
        // RFC 3597 section 5: any type, known to the reader or not.
        Data::Other { rtype, data } => {
            let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("TYPE{rtype} \\# {} {hex}", data.len())
        }
    }
}
