//! From plain records to the bytes that an answer copies.
//!
//! Every answer repeats the question, and every name of the zone ends in the apex. So the owner of
//! a record is always a pointer to the question, at byte 12, and a name inside a record that lies
//! in the zone is its own labels and a pointer to the apex at the question's end. Only that second
//! pointer differs from one question to the next: `WireSet` keeps the places where it stands.
//! This compresses as well as a general compressor would (RFC 1035 section 4.1.4), without a search.

use std::collections::HashSet;
use std::fmt;

use domain::base::iana::{Class, Rtype};

use crate::dns::seal::{MARK, Seal, Signature};
use crate::outage::Outage;
use spokes_rules::zone::{Data, Node, RrSet};

/// A pointer to the question's name, which follows the 12 bytes of the header.
const QUESTION_POINTER: [u8; 2] = [0xC0, 12];

/// Owner, type, class, time to live and length of a record that the question's name owns.
const RECORD_HEAD: usize = 2 + 2 + 2 + 4 + 2;

/// Type, class, time to live and length, which stand before a record's data.
pub(crate) const BODY_HEAD: usize = RECORD_HEAD - QUESTION_POINTER.len();

/// The two highest bits that make two bytes a pointer (RFC 1035 section 4.1.4).
pub(crate) const POINTER: u16 = 0xC000;

/// The longest label, and the longest name as it travels (RFC 1035 section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;
pub(crate) const NAME_BYTES_MAX: usize = 255;

/// What fits a TCP message of 65,535 bytes beside header, the longest question and OPT.
pub(crate) const RRSET_BYTES_MAX: usize = 65_000;

/// The highest time to live that is not read as zero (RFC 2181 section 8).
const TTL_MAX: u32 = (1 << 31) - 1;

/// The longest string inside a TXT record: its length is one byte.
const TXT_STRING_BYTES_MAX: usize = 255;

/// RFC 8659 section 4.1 wants no tag longer than this.
const CAA_TAG_BYTES_MAX: usize = 15;

/// Why a node cannot be served. Whoever made the node has to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadNode {
    /// Not an absolute, lower-case name of letters, digits, hyphen and underscore.
    Name(String),
    /// The owner is not the apex and not below it.
    Outside(String),
    /// A set without records, or with records of more than one type.
    Mixed(String),
    /// Two sets of one type.
    Twice(String),
    /// A start of authority below the apex, or more than one.
    Soa(String),
    /// A server name below the apex would hand that part of the zone to others.
    Delegation(String),
    /// A certificate tag that is not 1-15 letters and digits.
    Tag(String),
    /// A set that no DNS message can carry.
    TooLarge(String),
}

impl fmt::Display for BadNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "\"{name}\" is not a lower-case domain name"),
            Self::Outside(owner) => write!(f, "{owner} lies outside the zone"),
            Self::Mixed(owner) => write!(f, "a set of {owner} is empty or of mixed types"),
            Self::Twice(owner) => write!(f, "{owner} has two sets of one type"),
            Self::Soa(owner) => write!(f, "{owner}: a zone has one SOA record, at its apex"),
            Self::Delegation(owner) => write!(f, "{owner}: NS records stand only at the apex"),
            Self::Tag(tag) => write!(f, "the CAA tag \"{tag}\" is not 1-15 letters and digits"),
            Self::TooLarge(owner) => {
                write!(f, "a set of {owner} is larger than {RRSET_BYTES_MAX} bytes")
            }
        }
    }
}

impl std::error::Error for BadNode {}

impl From<BadNode> for Outage {
    fn from(error: BadNode) -> Self {
        Self::new(error.to_string())
    }
}

/// A name as it travels: labels with their lengths, and the root's zero (RFC 1035 section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WireName(Box<[u8]>);

impl WireName {
    /// Reads an absolute name without its last dot.
    ///
    /// # Errors
    /// [`BadNode::Name`] for an empty or over-long name or label, and for any character but `a-z`,
    /// digits, hyphen and underscore. A `*` is refused with the rest: it would be a wildcard.
    pub(crate) fn parse(text: &str) -> Result<Self, BadNode> {
        let bad = || BadNode::Name(text.to_owned());
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(b);
        let mut name = Vec::with_capacity(text.len() + 2);
        for label in text.as_bytes().split(|byte| *byte == b'.') {
            if !(1..=LABEL_BYTES_MAX).contains(&label.len()) || !label.iter().all(plain) {
                return Err(bad());
            }
            name.push(u8::try_from(label.len()).map_err(|_| bad())?);
            name.extend_from_slice(label);
        }
        name.push(0);
        if name.len() > NAME_BYTES_MAX {
            return Err(bad());
        }
        Ok(Self(name.into()))
    }

    /// The bytes, the root's zero included.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// How many bytes of labels stand before `apex` in `name`; `None` when it does not end in it.
///
/// Both are lower case, with the root's zero.
pub(crate) fn bytes_before(name: &[u8], apex: &[u8]) -> Option<usize> {
    let before = name.len().checked_sub(apex.len())?;
    // The same bytes could begin within a label: walk the labels.
    let mut at = 0;
    while at < before {
        at += 1 + usize::from(*name.get(at)?);
    }
    (at == before && &name[before..] == apex).then_some(before)
}

/// The sets of one name, encoded one behind the other: a zone holds millions of names, and each piece of memory costs
/// some of its own.
///
/// A set is four numbers of two bytes (its type, how many records, bytes of its places, bytes of its records), the
/// places, and the records. Behind the last one a signed zone has the name's seal ([`crate::dns::seal`]).
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireSets<'z>(&'z [u8]);

impl<'z> WireSets<'z> {
    /// Sets as [`encode`] gave them.
    pub(crate) fn of(encoded: &'z [u8]) -> Self {
        Self(encoded)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub(crate) fn iter(self) -> impl Iterator<Item = WireSet<'z>> + use<'z> {
        let (mut rest, mut all) = (self.0, self.0);
        std::iter::from_fn(move || {
            if rest.starts_with(&MARK) {
                return None;
            }
            let (rtype, count) = (number(&mut rest)?, number(&mut rest)?);
            let (places, bytes) = (number(&mut rest)?, number(&mut rest)?);
            let (apex_at, more) = rest.split_at_checked(places.into())?;
            let (bytes, more) = more.split_at_checked(bytes.into())?;
            let (whole, _) = all.split_at_checked(all.len() - more.len())?;
            (rest, all) = (more, more);
            Some(WireSet {
                rtype: Rtype::from_int(rtype),
                count,
                bytes,
                apex_at,
                whole,
            })
        })
    }

    /// The sets as they lie here, and behind them the seal, its mark with it; none where nothing is signed.
    pub(crate) fn split(self) -> (&'z [u8], &'z [u8]) {
        let sets = self.iter().map(|set| set.encoded().len());
        self.0.split_at(sets.sum())
    }

    /// What a signed zone has of the name more than these sets.
    pub(crate) fn seal(self) -> Option<Seal<'z>> {
        self.split().1.strip_prefix(&MARK).and_then(Seal::of)
    }

    /// All signatures: those of the seal, and those over an apex's keys, which are among its sets as long as nothing else
    /// of the zone is signed.
    pub(crate) fn signatures(self) -> impl Iterator<Item = Signature> + use<'z> {
        let given = self.of_type(Rtype::RRSIG).into_iter();
        let given = given.flat_map(|set| set.bodies());
        let sealed = self.seal().into_iter().flat_map(Seal::signatures);
        given.filter_map(Signature::read).chain(sealed)
    }

    /// The one of a type, if there is one.
    pub(crate) fn of_type(self, rtype: Rtype) -> Option<WireSet<'z>> {
        self.iter().find(|set| set.rtype == rtype)
    }
}

/// Takes a number of two bytes from the front.
fn number(from: &mut &[u8]) -> Option<u16> {
    let (number, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(u16::from_be_bytes(*number))
}

/// One set of records, encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireSet<'z> {
    rtype: Rtype,
    count: u16,
    /// The records one after the other, each owned by the question's name.
    bytes: &'z [u8],
    /// Where in `bytes` a pointer to the apex stands, two bytes each.
    apex_at: &'z [u8],
    /// All of it, as [`encode`] gave it.
    whole: &'z [u8],
}

impl<'z> WireSet<'z> {
    /// The type of the records.
    pub(crate) fn rtype(&self) -> Rtype {
        self.rtype
    }

    /// The set as it lies among others.
    pub(crate) fn encoded(&self) -> &'z [u8] {
        self.whole
    }

    /// Each record without its owner, as it lies here: type, class, time to live, length, data. For types in whose data
    /// no name is ever compressed (RFC 4034 sections 3.1.7 and 4.1.1) that is how it travels.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &'z [u8]> + use<'z> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let head = rest.get(..RECORD_HEAD)?;
            let length = u16::from_be_bytes([head[RECORD_HEAD - 2], head[RECORD_HEAD - 1]]);
            let (record, behind) = rest.split_at_checked(RECORD_HEAD + usize::from(length))?;
            rest = behind;
            record.get(QUESTION_POINTER.len()..)
        })
    }

    /// Seconds for which it may be remembered.
    pub(crate) fn ttl(&self) -> Option<u32> {
        let ttl = self.bodies().next()?.get(4..8)?;
        Some(u32::from_be_bytes(ttl.try_into().ok()?))
    }

    /// How many records there are.
    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    /// Appends the records to a message whose question holds the apex at byte `apex`.
    ///
    /// Addresses begin with another one at each `rotation`, so that the first is not always the
    /// same server.
    pub(crate) fn append(&self, out: &mut Vec<u8>, apex: u16, rotation: u64) {
        let count = usize::from(self.count);
        let first = match self.rtype {
            // All records of an address set have one size, so a turn is a cut.
            Rtype::A | Rtype::AAAA => {
                (rotation % u64::from(self.count)) as usize * (self.bytes.len() / count)
            }
            _ => 0,
        };
        let start = out.len();
        out.extend_from_slice(&self.bytes[first..]);
        out.extend_from_slice(&self.bytes[..first]);
        let mut places = self.apex_at;
        while let Some(at) = number(&mut places) {
            let at = start + usize::from(at);
            out[at..at + 2].copy_from_slice(&(POINTER | apex).to_be_bytes());
        }
    }
}

impl WireSet<'_> {
    /// Each record without its owner and without pointers: type, class, time to live, length, data
    /// (RFC 1035 section 3.2.1).
    pub(crate) fn records(&self, apex: &WireName) -> Vec<Vec<u8>> {
        let places = self.apex_at.chunks_exact(2);
        let places = places.map(|at| usize::from(u16::from_be_bytes([at[0], at[1]])));
        let mut places = places.peekable();
        let (mut records, mut at) = (Vec::with_capacity(self.count.into()), 0);
        while let Some(head) = self.bytes.get(at..at + RECORD_HEAD) {
            let length = u16::from_be_bytes([head[RECORD_HEAD - 2], head[RECORD_HEAD - 1]]);
            let (data, end) = (at + RECORD_HEAD, at + RECORD_HEAD + usize::from(length));
            let mut record = head[QUESTION_POINTER.len()..].to_vec();
            let mut from = data;
            while let Some(pointer) = places.next_if(|place| *place < end) {
                record.extend_from_slice(&self.bytes[from..pointer]);
                record.extend_from_slice(apex.as_slice());
                from = pointer + 2;
            }
            record.extend_from_slice(&self.bytes[from..end]);
            let length = u16::try_from(record.len() - BODY_HEAD).expect("two names more fit");
            record[BODY_HEAD - 2..BODY_HEAD].copy_from_slice(&length.to_be_bytes());
            records.push(record);
            at = end;
        }
        records
    }
}

/// Encodes all that `owner` answers.
///
/// # Errors
/// Every [`BadNode`]; nothing is half done.
pub(crate) fn encode(
    owner: &str,
    is_apex: bool,
    apex: &WireName,
    node: &Node,
) -> Result<Vec<u8>, BadNode> {
    let (mut sets, mut rtypes) = (Vec::new(), Vec::with_capacity(node.len()));
    for set in node {
        let (rtype, encoded) = encode_set(owner, is_apex, apex, set)?;
        if rtypes.contains(&rtype) {
            return Err(BadNode::Twice(owner.to_owned()));
        }
        rtypes.push(rtype);
        sets.extend(encoded);
    }
    Ok(sets)
}

/// The zone's start of authority as negative answers carry it, owned by the apex.
///
/// Its time to live is the lower of its own and its minimum (RFC 2308 section 3).
pub(crate) fn encode_denial(soa: WireSet<'_>) -> Option<Vec<u8>> {
    let ttl = denial_ttl(soa)?;
    let mut bytes = soa.bytes.to_vec();
    bytes.get_mut(6..10)?.copy_from_slice(&ttl.to_be_bytes());
    // Here the owner is not the question's name but the apex.
    let places = [&[0, 0], soa.apex_at].concat();
    let lengths = [places.len(), bytes.len()].map(u16::try_from);
    let [Ok(of_places), Ok(of_bytes)] = lengths else {
        return None;
    };
    let head = [Rtype::SOA.to_int(), 1, of_places, of_bytes];
    let mut set: Vec<u8> = head
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect();
    set.extend(places);
    set.extend(bytes);
    Some(set)
}

/// Seconds for which it may be remembered that something is not there (RFC 2308 section 3, RFC 9077 section 3).
pub(crate) fn denial_ttl(soa: WireSet<'_>) -> Option<u32> {
    let body = soa.bodies().next()?;
    let (ttl, minimum) = (body.get(4..8)?, body.last_chunk::<4>()?);
    let ttl = u32::from_be_bytes(ttl.try_into().ok()?);
    Some(ttl.min(u32::from_be_bytes(*minimum)))
}

fn encode_set(
    owner: &str,
    is_apex: bool,
    apex: &WireName,
    set: &RrSet,
) -> Result<(Rtype, Vec<u8>), BadNode> {
    let rtype = match set.data.first() {
        Some(first) if set.data.iter().all(|data| rtype(data) == rtype(first)) => rtype(first),
        _ => return Err(BadNode::Mixed(owner.to_owned())),
    };
    if rtype == Rtype::NS && !is_apex {
        return Err(BadNode::Delegation(owner.to_owned()));
    }
    if rtype == Rtype::SOA && !(is_apex && set.data.len() == 1) {
        return Err(BadNode::Soa(owner.to_owned()));
    }
    let too_large = || BadNode::TooLarge(owner.to_owned());
    let mut writer = Writer::new(apex);
    let mut count = 0u16;
    let mut seen = HashSet::new();
    for data in &set.data {
        // RFC 2181 section 5: no record twice. Two spokes may well share one address.
        if set.data.len() > 1 && !seen.insert(data) {
            continue;
        }
        writer.record(data, set.ttl)?;
        if writer.bytes.len() > RRSET_BYTES_MAX {
            return Err(too_large());
        }
        count = count.checked_add(1).ok_or_else(too_large)?;
    }
    Ok((rtype, writer.finish(rtype, count)?))
}

fn rtype(data: &Data) -> Rtype {
    match data {
        Data::A(_) => Rtype::A,
        Data::Aaaa(_) => Rtype::AAAA,
        Data::Ns(_) => Rtype::NS,
        Data::Txt(_) => Rtype::TXT,
        Data::Soa(_) => Rtype::SOA,
        Data::Caa { .. } => Rtype::CAA,
        Data::Other { rtype, .. } => Rtype::from_int(*rtype),
    }
}

struct Writer<'a> {
    apex: &'a WireName,
    bytes: Vec<u8>,
    apex_at: Vec<u16>,
}

impl<'a> Writer<'a> {
    fn new(apex: &'a WireName) -> Self {
        Self {
            apex,
            // Some addresses, or what a blog is.
            bytes: Vec::with_capacity(256),
            apex_at: Vec::new(),
        }
    }

    /// As [`WireSets`] says.
    fn finish(self, rtype: Rtype, count: u16) -> Result<Vec<u8>, BadNode> {
        let short = |bytes: usize| {
            u16::try_from(bytes).map_err(|_| BadNode::TooLarge(format!("{rtype} data")))
        };
        let (places, bytes) = (short(2 * self.apex_at.len())?, short(self.bytes.len())?);
        let head = [rtype.to_int(), count, places, bytes];
        let mut set = Vec::with_capacity(8 + usize::from(places) + self.bytes.len());
        for number in head.iter().chain(&self.apex_at) {
            set.extend_from_slice(&number.to_be_bytes());
        }
        set.extend_from_slice(&self.bytes);
        Ok(set)
    }

    /// RFC 1035 section 4.1.3, owned by the question's name.
    fn record(&mut self, data: &Data, ttl: u32) -> Result<(), BadNode> {
        self.bytes.extend_from_slice(&QUESTION_POINTER);
        self.bytes
            .extend_from_slice(&rtype(data).to_int().to_be_bytes());
        self.bytes
            .extend_from_slice(&Class::IN.to_int().to_be_bytes());
        self.bytes
            .extend_from_slice(&ttl.min(TTL_MAX).to_be_bytes());
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.rdata(data)?;
        let length = u16::try_from(self.bytes.len() - start - 2)
            .map_err(|_| BadNode::TooLarge(format!("{} data", rtype(data))))?;
        self.bytes[start..start + 2].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn rdata(&mut self, data: &Data) -> Result<(), BadNode> {
        match data {
            Data::A(address) => self.bytes.extend_from_slice(&address.octets()),
            Data::Aaaa(address) => self.bytes.extend_from_slice(&address.octets()),
            Data::Ns(target) => self.name(target)?,
            Data::Txt(text) => self.text(text),
            Data::Soa(soa) => {
                self.name(&soa.primary)?;
                self.name(&soa.mailbox)?;
                for number in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
                    self.bytes.extend_from_slice(&number.to_be_bytes());
                }
            }
            Data::Other { data, .. } => self.bytes.extend_from_slice(data),
            Data::Caa { flags, tag, value } => {
                let plain = tag.bytes().all(|b| b.is_ascii_alphanumeric());
                let length = u8::try_from(tag.len()).unwrap_or(u8::MAX);
                if !plain || !(1..=CAA_TAG_BYTES_MAX).contains(&usize::from(length)) {
                    return Err(BadNode::Tag(tag.clone()));
                }
                self.bytes.extend_from_slice(&[*flags, length]);
                self.bytes.extend_from_slice(tag.as_bytes());
                self.bytes.extend_from_slice(value.as_bytes());
            }
        }
        Ok(())
    }

    /// Names may be compressed here: NS and SOA are of RFC 1035 (RFC 3597 section 4).
    fn name(&mut self, text: &str) -> Result<(), BadNode> {
        let name = WireName::parse(text)?;
        let Some(before) = bytes_before(name.as_slice(), self.apex.as_slice()) else {
            self.bytes.extend_from_slice(name.as_slice());
            return Ok(());
        };
        self.bytes.extend_from_slice(&name.as_slice()[..before]);
        let at = u16::try_from(self.bytes.len()).map_err(|_| BadNode::TooLarge(text.to_owned()))?;
        self.apex_at.push(at);
        self.bytes.extend_from_slice(&POINTER.to_be_bytes());
        Ok(())
    }

    fn text(&mut self, text: &str) {
        // An empty text is one empty string: a TXT record holds at least one.
        let whole = if text.is_empty() { &[&[][..]][..] } else { &[] };
        for string in text
            .as_bytes()
            .chunks(TXT_STRING_BYTES_MAX)
            .chain(whole.iter().copied())
        {
            let length = u8::try_from(string.len()).expect("chunks of 255 bytes at most");
            self.bytes.push(length);
            self.bytes.extend_from_slice(string);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(name: &str) -> Vec<u8> {
        WireName::parse(name).unwrap().as_slice().to_vec()
    }

    #[test]
    fn a_name_ends_in_the_apex_only_where_a_label_begins() {
        let apex = wire("b.example");
        assert_eq!(bytes_before(&wire("b.example"), &apex), Some(0));
        assert_eq!(bytes_before(&wire("a.b.example"), &apex), Some(2));
        assert_eq!(bytes_before(&wire("ab.example"), &apex), None);
        assert_eq!(bytes_before(&wire("example"), &apex), None);
        // The apex's bytes, its lengths included, at the end of one long label.
        let inside = [&[12, b'a'][..], &apex[..]].concat();
        assert!(inside.ends_with(&apex));
        assert_eq!(bytes_before(&inside, &apex), None);
        assert_eq!(bytes_before(&[40, 1, 2], &[2]), None);
        assert_eq!(bytes_before(&[], &apex), None);
    }

    #[test]
    fn text_is_split_in_strings_of_255_bytes() {
        let check = |text: &str, lengths: &[u8]| {
            let apex = WireName::parse("example").unwrap();
            let mut writer = Writer::new(&apex);
            writer.text(text);
            let mut rest = &writer.bytes[..];
            let mut joined = Vec::new();
            for length in lengths {
                assert_eq!(rest[0], *length);
                let (string, after) = rest[1..].split_at(usize::from(*length));
                joined.extend_from_slice(string);
                rest = after;
            }
            assert!(rest.is_empty());
            assert_eq!(joined, text.as_bytes());
        };
        check("", &[0]);
        check("maria", &[5]);
        check(&"x".repeat(255), &[255]);
        check(&"x".repeat(256), &[255, 1]);
        // Split between bytes, not letters: who reads joins the strings before decoding them.
        check(&"ö".repeat(255), &[255, 255]);
    }

    #[test]
    fn names_of_the_zone_take_two_bytes_for_the_apex() {
        let apex = WireName::parse("blogs.example.org").unwrap();
        let data = ["ns1.blogs.example.org", "ns.example.net"].map(|n| Data::Ns(n.to_owned()));
        let set = encode_set(
            "blogs.example.org",
            true,
            &apex,
            &RrSet {
                ttl: 1,
                data: data.into(),
            },
        );
        let mut out = Vec::new();
        let (_, encoded) = set.unwrap();
        let set = WireSets::of(&encoded).iter().next().unwrap();
        set.append(&mut out, 0x0123, 0);
        assert_eq!(out[12..18], [3, b'n', b's', b'1', 0xC1, 0x23]);
        assert_eq!(out.len(), 18 + 12 + wire("ns.example.net").len());
    }
}
