//! Questions at random: of names that are there, of others, and in all forms in which a question can come.

use std::fmt::{self, Write as _};

use crate::{
    common::Random,
    made_up::{APEX, MadeUp},
};

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const SOA: u16 = 6;
pub(crate) const OPT: u16 = 41;
pub(crate) const RRSIG: u16 = 46;
pub(crate) const TKEY: u16 = 249;
pub(crate) const TSIG: u16 = 250;
pub(crate) const IXFR: u16 = 251;
pub(crate) const AXFR: u16 = 252;
pub(crate) const MAILB: u16 = 253;
pub(crate) const MAILA: u16 = 254;
pub(crate) const ANY: u16 = 255;
pub(crate) const IN: u16 = 1;
pub(crate) const CLASS_ANY: u16 = 255;
/// What the zone has.
const SERVED: [u16; 7] = [A, NS, SOA, 16, 28, 61, 257];
/// What others have, signed ones too: CNAME, NULL, PTR, MX, SRV, DNAME, DS, RRSIG, NSEC, DNSKEY, NSEC3, NSEC3PARAM,
/// TLSA, CDS, CDNSKEY, CSYNC, ZONEMD, SVCB, HTTPS, SPF.
const KNOWN: [u16; 20] = [
    5, 10, 12, 15, 33, 39, 43, 46, 47, 48, 50, 51, 52, 59, 60, 62, 63, 64, 65, 99,
];
/// Types that are asked for and that no record has, and others of which no answer is made.
const META: [u16; 9] = [0, OPT, 128, TKEY, TSIG, IXFR, AXFR, MAILB, MAILA];

/// CS, CH, HS, NONE, ANY, and those that are none.
const CLASSES: [u16; 7] = [0, 2, 3, 4, 254, CLASS_ANY, 4_711];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// RFC 6891 section 6.1.
#[derive(Clone, Debug)]
pub(crate) struct Edns {
    pub(crate) bytes: u16,
    pub(crate) version: u8,
    /// DO is the highest; the others mean nothing yet.
    pub(crate) flags: u16,
    pub(crate) options: Vec<(u16, Vec<u8>)>,
}

/// What is wrong or unusual with a message beside its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    BytesBehind,
    TwoOpts,
    OptOfAName,
    AnswerInIt,
    RecordBehind,
    /// Another opcode than QUERY.
    Opcode(u8),
    /// These bits, which only answers have: AA, TC, RA, Z.
    Bits(u16),
}

#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) number: usize,
    /// RD, AD, CD.
    flags: u16,
    /// As it travels.
    pub(crate) name: Vec<u8>,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    pub(crate) edns: Option<Edns>,
    pub(crate) transport: Transport,
    pub(crate) oddity: Option<Oddity>,
}

impl Question {
    pub(crate) fn new(number: usize, dice: &mut Random, zone: &MadeUp, owners: &[&str]) -> Self {
        let transports = [Transport::Udp, Transport::Tcp];
        let mut question = Self {
            number,
            flags: [0, 0x0100, 0x0010, 0x0020, 0x0130][dice.below(5)],
            name: name(dice, owners),
            rtype: rtype(dice),
            class: IN,
            edns: (dice.below(4) > 0).then(|| edns(dice)),
            transport: transports[usize::from(dice.below(7) == 0)],
            oddity: None,
        };
        // Half of the questions are ones that have an answer, or else nearly none had.
        if dice.below(2) == 0 {
            let owner = owners[dice.below(owners.len())];
            let types = zone.types(owner);
            question.name = mixed(dice, wire(owner));
            question.rtype = types[dice.below(types.len())];
        }
        if dice.below(10) == 0 {
            question.be_unusual(dice);
        }
        question
    }

    /// In one respect, so that it is known which rule is meant for it.
    fn be_unusual(&mut self, dice: &mut Random) {
        self.rtype = SERVED[dice.below(SERVED.len())];
        match dice.below(4) {
            0 => self.class = CLASSES[dice.below(CLASSES.len())],
            1 => self.rtype = META[dice.below(META.len())],
            2 => self.oddity = Some(oddity(dice)),
            _ => {
                let version = [1, 2, 255][dice.below(3)];
                self.edns = Some(Edns {
                    version,
                    ..edns(dice)
                });
            }
        }
    }

    pub(crate) fn id(&self) -> u16 {
        u16::try_from(self.number % 65_536).unwrap()
    }

    pub(crate) fn by_stream(&self) -> Self {
        let transport = Transport::Tcp;
        Self {
            transport,
            ..self.clone()
        }
    }

    /// The same question for one type, through a stream.
    pub(crate) fn for_type(&self, rtype: u16) -> Self {
        let again = self.by_stream();
        Self { rtype, ..again }
    }

    /// Whether none of the rules is meant for it that let an answer be another one.
    pub(crate) fn is_usual(&self) -> bool {
        let is_usual_type = !META.contains(&self.rtype) && self.rtype != ANY;
        let version = self.edns.as_ref().map_or(0, |edns| edns.version);
        is_usual_type && self.class == IN && self.oddity.is_none() && version == 0
    }

    /// The most bytes that the answer may have.
    pub(crate) fn bytes_max(&self) -> usize {
        match (self.transport, &self.edns) {
            (Transport::Tcp, _) => 65_535,
            (Transport::Udp, None) => 512,
            (Transport::Udp, Some(edns)) => usize::from(edns.bytes).clamp(512, 1_232),
        }
    }

    /// The message.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let odd = |oddity| self.oddity == Some(oddity);
        let mut flags = self.flags;
        match self.oddity {
            Some(Oddity::Opcode(opcode)) => flags |= u16::from(opcode) << 11,
            Some(Oddity::Bits(bits)) => flags |= bits,
            _ => {}
        }
        let asked = [
            &self.name[..],
            &self.rtype.to_be_bytes(),
            &self.class.to_be_bytes(),
        ]
        .concat();
        let record = [
            &[0xC0, 12][..],
            &[0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1],
        ]
        .concat();
        let mut body = asked;
        let mut counts = [1, 0, 0, 0];
        if odd(Oddity::AnswerInIt) {
            body.extend(&record);
            counts[1] = 1;
        }
        if let Some(edns) = &self.edns {
            let owner = if odd(Oddity::OptOfAName) {
                &[1, b'x', 0][..]
            } else {
                &[0]
            };
            let opt = [owner, &edns.wire()].concat();
            let opts = if odd(Oddity::TwoOpts) { 2 } else { 1 };
            body.extend(opt.repeat(opts));
            counts[3] = u16::try_from(opts).unwrap();
        }
        if odd(Oddity::RecordBehind) {
            body.extend(&record);
            counts[3] += 1;
        }
        if odd(Oddity::BytesBehind) {
            body.extend([0, 1, 2]);
        }
        let head = [self.id(), flags, counts[0], counts[1], counts[2], counts[3]];
        head.into_iter()
            .flat_map(u16::to_be_bytes)
            .chain(body)
            .collect()
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "number {}: {:?} ", self.number, self.transport)?;
        write!(
            f,
            "{} type {} class {}",
            shown(&self.name),
            self.rtype,
            self.class
        )?;
        write!(
            f,
            " flags {:#06x} {:?} {:?}\n  ",
            self.flags, self.edns, self.oddity
        )?;
        self.bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A name as text; bytes that are not printable, and dots in labels, as RFC 1035 section 5.1 writes them.
pub(crate) fn shown(name: &[u8]) -> String {
    let (mut text, mut rest) = (String::new(), name);
    while let Some((&length @ 1.., behind)) = rest.split_first() {
        let (label, behind) = behind.split_at(usize::from(length).min(behind.len()));
        for byte in label {
            match byte {
                b'.' | b'\\' => write!(text, "\\{}", char::from(*byte)).unwrap(),
                33..=126 => text.push(char::from(*byte)),
                other => write!(text, "\\{other:03}").unwrap(),
            }
        }
        text.push('.');
        rest = behind;
    }
    if text.is_empty() {
        ".".to_owned()
    } else {
        text
    }
}

impl Edns {
    /// Behind its owner.
    fn wire(&self) -> Vec<u8> {
        let mut options = Vec::new();
        for (code, data) in &self.options {
            options.extend(code.to_be_bytes());
            options.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            options.extend(data);
        }
        let mut wire = [OPT, self.bytes].map(u16::to_be_bytes).concat();
        wire.extend([0, self.version]);
        wire.extend(self.flags.to_be_bytes());
        wire.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
        wire.extend(options);
        wire
    }
}

/// The labels of a text and the apex.
fn wire(name: &str) -> Vec<u8> {
    let mut labels: Vec<Vec<u8>> = Vec::new();
    labels.extend(
        name.split('.')
            .filter(|l| !l.is_empty())
            .map(|l| l.as_bytes().to_vec()),
    );
    labels.extend(APEX.split('.').map(|l| l.as_bytes().to_vec()));
    of_labels(&labels)
}

/// Labels are left out in front where they are too many.
fn of_labels(labels: &[Vec<u8>]) -> Vec<u8> {
    let mut wire = vec![0];
    for label in labels.iter().rev() {
        let longer = [&[u8::try_from(label.len()).unwrap()][..], label, &wire].concat();
        if longer.len() > 255 {
            break;
        }
        wire = longer;
    }
    wire
}

/// Half of the names with letters of either case: clients hide random bits there.
fn mixed(dice: &mut Random, mut name: Vec<u8>) -> Vec<u8> {
    if dice.below(2) == 0 {
        for byte in &mut name {
            if byte.is_ascii_alphabetic() && dice.below(2) == 0 {
                *byte ^= 0x20;
            }
        }
    }
    name
}

fn label(dice: &mut Random) -> Vec<u8> {
    const LIKELY: [&str; 12] = [
        "edit",
        "_blog",
        "ns",
        "spoke",
        "*",
        "_openpgpkey",
        "ns1",
        "x",
        "www",
        "blogs",
        "s1",
        "",
    ];
    match dice.below(4) {
        0 => (0..1 + dice.below(63))
            .map(|_| u8::try_from(dice.below(256)).unwrap())
            .collect(),
        1 => (0..1 + dice.below(8))
            .map(|_| b'a' + u8::try_from(dice.below(26)).unwrap())
            .collect(),
        _ => match LIKELY[dice.below(LIKELY.len())] {
            // Bytes that end as the apex does, but within a label.
            "" => [b"x\x05", APEX.as_bytes()].concat(),
            likely => likely.as_bytes().to_vec(),
        },
    }
}

fn name(dice: &mut Random, owners: &[&str]) -> Vec<u8> {
    let owner = owners[dice.below(owners.len())];
    let mut labels: Vec<Vec<u8>> = wire_labels(&wire(owner));
    match dice.below(9) {
        0 => {}
        // Between it and the apex, which may be a name without records; or above the apex.
        1 => drop(labels.drain(..dice.below(labels.len()))),
        2 => drop(labels.drain(..dice.below(labels.len() + 1))),
        // Beside it.
        3 => labels[0] = label(dice),
        // Below it, near or deep.
        4 => labels.insert(0, label(dice)),
        5 => (0..1 + dice.below(40)).for_each(|_| labels.insert(0, label(dice))),
        // Nearly it: one bit is another one, perhaps that between small letters and large ones.
        6 => {
            let at = dice.below(labels.len());
            let byte = dice.below(labels[at].len());
            labels[at][byte] ^= [0x20, 1 << dice.below(8)][dice.below(2)];
        }
        // One byte less, or more.
        7 => {
            let at = dice.below(labels.len());
            if labels[at].len() > 1 && dice.below(2) == 0 {
                labels[at].pop();
            } else if labels[at].len() < 63 {
                labels[at].push(b'0');
            }
        }
        _ => labels = (0..1 + dice.below(3)).map(|_| label(dice)).collect(),
    }
    mixed(dice, of_labels(&labels))
}

fn wire_labels(wire: &[u8]) -> Vec<Vec<u8>> {
    let (mut labels, mut rest) = (Vec::new(), wire);
    while let Some((&length @ 1.., behind)) = rest.split_first() {
        let (label, behind) = behind.split_at(length.into());
        labels.push(label.to_vec());
        rest = behind;
    }
    labels
}

fn rtype(dice: &mut Random) -> u16 {
    match dice.below(20) {
        0..=9 => SERVED[dice.below(SERVED.len())],
        10..=14 => KNOWN[dice.below(KNOWN.len())],
        15 | 16 => ANY,
        17 => META[dice.below(META.len())],
        _ => u16::try_from(dice.below(65_536)).unwrap(),
    }
}

fn edns(dice: &mut Random) -> Edns {
    const BYTES: [u16; 10] = [0, 511, 512, 513, 600, 1_220, 1_232, 1_233, 4_096, 65_535];
    let options = if dice.below(4) == 0 {
        1 + dice.below(3)
    } else {
        0
    };
    Edns {
        bytes: match dice.below(4) {
            // Knot 3.2 takes 1 for the class IN there, and says FORMERR.
            0 => u16::try_from(2 + dice.below(65_534)).unwrap(),
            1 => 1_232,
            _ => BYTES[dice.below(BYTES.len())],
        },
        version: 0,
        flags: [0, 0x8000][dice.below(2)] | [0, 0, 0, 0x4000, 0x0001][dice.below(5)],
        options: (0..options).map(|_| option(dice)).collect(),
    }
}

/// NSID, client subnet, expire, cookies, keepalive, padding, chain, errors, and those that nobody knows.
fn option(dice: &mut Random) -> (u16, Vec<u8>) {
    let bytes = |dice: &mut Random, count: usize| -> Vec<u8> {
        (0..count)
            .map(|_| u8::try_from(dice.below(256)).unwrap())
            .collect()
    };
    match dice.below(9) {
        0 => (3, vec![]),
        1 => (8, vec![0, 1, 24, 0, 192, 0, 2]),
        2 => (9, vec![]),
        3 => (10, bytes(dice, 8)),
        4 => (10, bytes(dice, 24)),
        5 => (11, vec![]),
        6 => (12, vec![0; 31]),
        7 => (15, vec![0, 1]),
        _ => {
            let (code, count) = (65_001 + dice.below(500), dice.below(40));
            (u16::try_from(code).unwrap(), bytes(dice, count))
        }
    }
}

fn oddity(dice: &mut Random) -> Oddity {
    const ODDITIES: [Oddity; 5] = [
        Oddity::BytesBehind,
        Oddity::TwoOpts,
        Oddity::OptOfAName,
        Oddity::AnswerInIt,
        Oddity::RecordBehind,
    ];
    match dice.below(3) {
        0 => Oddity::Opcode(u8::try_from(1 + dice.below(15)).unwrap()),
        1 => Oddity::Bits([0x0400, 0x0200, 0x0080, 0x0040][dice.below(4)]),
        _ => ODDITIES[dice.below(ODDITIES.len())],
    }
}
