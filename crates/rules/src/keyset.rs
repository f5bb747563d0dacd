//! The zone's keys, as organizers sign them, offline and for a long time ahead (SPEC dns 6).
//!
//! Each node of the council has a key that signs the zone, and each organizer may have one that signs these keys. What
//! an organizer signs is the set of all keys, again and again for weeks that follow one another: so its key is needed
//! once in many months. The signatures are public: whoever steals a node's key can show it, to whom he cuts off, until
//! the last of these weeks is over.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::ToString as _,
    vec::Vec,
};
use core::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use spokes_log::{
    text::{Headers, Malformed, Value},
    time::Time,
};

use crate::{
    dnssec::{Cover, Signs, ZoneKey, ZoneSignature},
    node::Label,
    receipt::filled,
};

/// Organizers' keys of one set: those of two organizers, and their next ones.
pub const TOP_KEYS_MAX: usize = 4;
/// Nodes' keys of one set: that of each node that may sit, and its next one.
pub(crate) const NODE_KEYS_MAX: usize = 14;
/// Windows of one set: two years of weeks.
pub const WINDOWS_MAX: usize = 104;
/// Seconds for which the keys may be remembered, where an organizer wants nothing else.
pub const KEYS_TTL: u32 = 3_600;
/// The least: below it resolvers ask for the keys with every other question.
pub const KEYS_TTL_MIN: u32 = 30;
/// The most: each change of keys waits for twice as long.
pub const KEYS_TTL_MAX: u32 = 24 * 60 * 60;
/// From how long before now on a window is the better one: clocks of resolvers differ.
const WINDOW_AGE: i64 = 60 * 60;

/// The types that organizers' keys sign.
pub const DNSKEY: u16 = 48;
/// What the parent's zone is to say of the keys, as DS has it (RFC 7344).
pub const CDS: u16 = 59;
/// The same as keys.
pub const CDNSKEY: u16 = 60;

const WEEK: i64 = 7 * 24 * 60 * 60;

/// Signs bytes with an organizer's key; none where it cannot.
pub type Signer<'a> = &'a mut dyn FnMut(&[u8]) -> Option<ZoneSignature>;

/// An organizer's key in a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TopKey {
    /// The key.
    pub key: ZoneKey,
    /// Whether the parent's zone is to name it.
    pub stays: bool,
}

/// A node's key in a set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeZoneKey {
    /// Whose.
    pub node: Label,
    /// The key.
    pub key: ZoneKey,
    /// Whether it is to sign. One that rests is still shown, for the sake of what was signed by it.
    pub signs: bool,
}

/// For how long a signature of an organizer counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// From when on.
    pub from: Time,
    /// Until when.
    pub until: Time,
    /// The number of the key that signs.
    pub tag: u16,
    /// Over DNSKEY, CDS and CDNSKEY.
    pub signatures: [ZoneSignature; 3],
}

/// All keys of the zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeySet {
    /// Seconds for which the keys may be remembered.
    pub ttl: u32,
    /// Organizers' keys.
    pub top: Vec<TopKey>,
    /// Nodes' keys.
    pub nodes: Vec<NodeZoneKey>,
    /// Signatures, the first to begin first.
    pub windows: Vec<Window>,
}

impl KeySet {
    /// The data of the records of one of the three types.
    pub fn data(&self, rtype: u16, apex: &[u8]) -> Vec<Vec<u8>> {
        let stay = self.top.iter().filter(|top| top.stays);
        match rtype {
            CDS => stay.map(|top| top.key.ds(apex)).collect(),
            CDNSKEY => stay.map(|top| top.key.dnskey(Signs::Keys)).collect(),
            _ => {
                let top = self.top.iter().map(|top| top.key.dnskey(Signs::Keys));
                let nodes = self.nodes.iter().map(|node| node.key.dnskey(Signs::Zone));
                top.chain(nodes).collect()
            }
        }
    }

    /// Signs for two weeks from each week on, from a time on, with these keys: each signs what it is given, with its key;
    /// none where one does not.
    pub fn sign(
        &mut self,
        from: Time,
        weeks: i64,
        apex: &[u8],
        signers: &mut [(ZoneKey, Signer<'_>)],
    ) -> Option<()> {
        self.windows.clear();
        for week in 0..weeks {
            let times = (from + week * WEEK, from + (week + 2) * WEEK);
            for (key, sign) in signers.iter_mut() {
                let tag = key.tag(Signs::Keys);
                let mut signature = |rtype| sign(&self.to_sign(rtype, times, tag, apex));
                let signatures = [signature(DNSKEY)?, signature(CDS)?, signature(CDNSKEY)?];
                let (from, until) = times;
                self.windows.push(Window {
                    from,
                    until,
                    tag,
                    signatures,
                });
            }
        }
        self.windows.sort_by_key(|window| (window.from, window.tag));
        Some(())
    }

    /// What a window's signature is over.
    pub fn to_sign(&self, rtype: u16, window: (Time, Time), tag: u16, apex: &[u8]) -> Vec<u8> {
        let data = self.data(rtype, apex);
        self.cover(rtype, window, tag, apex)
            .signed(apex, data.iter().map(Vec::as_slice))
    }

    /// The data of the RRSIG record up to the signature.
    pub fn cover<'a>(
        &self,
        rtype: u16,
        (from, until): (Time, Time),
        tag: u16,
        apex: &'a [u8],
    ) -> Cover<'a> {
        Cover {
            rtype,
            ttl: self.ttl,
            inception: seconds(from),
            expiration: seconds(until),
            tag,
            apex,
        }
    }

    /// The windows that count at a time.
    pub fn at(&self, now: Time) -> impl Iterator<Item = &Window> {
        let windows = self.windows.iter();
        windows.filter(move |window| window.from <= now && now < window.until)
    }

    /// Of each organizer's key the window that is shown at a time: the newest that has counted for an hour, else the
    /// newest that counts.
    pub fn shown(&self, now: Time) -> BTreeMap<u16, &Window> {
        // The first to begin comes first, so the last to be put in is the newest.
        let aged = self
            .at(now)
            .filter(|window| window.from + WINDOW_AGE <= now);
        let mut shown: BTreeMap<u16, &Window> =
            self.at(now).map(|window| (window.tag, window)).collect();
        shown.extend(aged.map(|window| (window.tag, window)));
        shown
    }

    /// Until when there is a window without a break from then on; none where there is none then.
    pub fn covered_from(&self, now: Time) -> Option<Time> {
        let mut end = None;
        for window in &self.windows {
            if window.from <= end.unwrap_or(now) && end.is_none_or(|end| end < window.until) {
                end = Some(window.until);
            }
        }
        end.filter(|end| *end > now)
    }

    /// Says which signature is not good, if one is not.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self, apex: &[u8]) -> Result<(), &'static str> {
        for window in &self.windows {
            let top = self
                .top
                .iter()
                .find(|top| top.key.tag(Signs::Keys) == window.tag);
            let Some(top) = top else {
                return Err("names a key in \"Window\" that is not in the set");
            };
            for (rtype, signature) in [DNSKEY, CDS, CDNSKEY].into_iter().zip(window.signatures) {
                let times = (window.from, window.until);
                let signed = self.to_sign(rtype, times, window.tag, apex);
                if !top.key.has_signed(&signed, signature) {
                    return Err("has a signature that is not good");
                }
            }
        }
        Ok(())
    }

    /// Whether a set may follow this one: a resolver that trusts this one, and the parent's zone, must find a key that
    /// they know.
    pub(crate) fn leads_to(&self, next: &Self) -> bool {
        let known = self.top.iter().filter(|top| top.stays);
        let mut tags = known.filter_map(|top| {
            let stays = next.top.iter().any(|other| other.key == top.key);
            stays.then(|| top.key.tag(Signs::Keys))
        });
        tags.any(|tag| next.windows.iter().any(|window| window.tag == tag))
    }

    /// Reads what [`fmt::Display`] wrote.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn read(text: &str) -> Result<Self, Malformed> {
        Self::parse(&mut Headers::new(text.trim_start(), 1)?)
    }

    pub(crate) fn parse(headers: &mut Headers<'_>) -> Result<Self, Malformed> {
        let line = headers.line();
        let ttl: u64 = headers.required("Ttl")?;
        let ttl = u32::try_from(ttl)
            .ok()
            .filter(|ttl| (KEYS_TTL_MIN..=KEYS_TTL_MAX).contains(ttl));
        let ttl = ttl.ok_or(Malformed::rule(line, "\"Ttl\" is 30 to 86400 seconds"))?;
        let line = headers.line();
        let top: Vec<TopKey> = filled("Top", headers, TOP_KEYS_MAX)?;
        let nodes: Vec<NodeZoneKey> = filled("Key", headers, NODE_KEYS_MAX)?;
        let tags = top.iter().map(|top| top.key.tag(Signs::Keys));
        let tags = tags.chain(nodes.iter().map(|node| node.key.tag(Signs::Zone)));
        // Who validates finds a key by its number; two of one number cost each resolver a try more.
        if tags.collect::<BTreeSet<u16>>().len() < top.len() + nodes.len() {
            let rule = "two keys have one number; one of them must be made anew";
            return Err(Malformed::rule(line, rule));
        }
        let line = headers.line();
        let windows: Vec<Window> = filled("Window", headers, WINDOWS_MAX * TOP_KEYS_MAX)?;
        if !windows.is_sorted_by_key(|window| (window.from, window.tag)) {
            let rule = "windows come in the order of their times and keys";
            return Err(Malformed::rule(line, rule));
        }
        Ok(Self {
            ttl,
            top,
            nodes,
            windows,
        })
    }
}

/// Seconds since 1970 as they travel, modulo 2^32 (RFC 4034 section 3.1.5).
fn seconds(time: Time) -> u32 {
    u32::try_from(time.as_unix().rem_euclid(1 << 32)).unwrap_or(0)
}

impl fmt::Display for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\nTtl: {}", self.ttl)?;
        for top in &self.top {
            write!(f, "\nTop: {top}")?;
        }
        for node in &self.nodes {
            write!(f, "\nKey: {node}")?;
        }
        for window in &self.windows {
            write!(f, "\nWindow: {window}")?;
        }
        Ok(())
    }
}

impl Value for ZoneKey {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let bytes = BASE64.decode(text).ok().and_then(|b| b.try_into().ok());
        let key = bytes.and_then(Self::from_bytes);
        key.ok_or("is not a key of the curve P-256, 64 bytes in base64")
    }
}

impl fmt::Display for ZoneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.bytes()))
    }
}

impl Value for TopKey {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (key, word) = text.split_once(' ').unwrap_or((text, ""));
        let stays = match word {
            "stays" => true,
            "goes" => false,
            _ => return Err("is not a key and \"stays\" or \"goes\""),
        };
        let key = ZoneKey::parse(key)?;
        Ok(Self { key, stays })
    }
}

impl fmt::Display for TopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.stays { "stays" } else { "goes" };
        write!(f, "{} {word}", self.key)
    }
}

impl Value for NodeZoneKey {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "is not a node's label, its key and \"signs\" or \"rests\"";
        let words: Vec<&str> = text.split(' ').collect();
        let [node, key, word] = words[..] else {
            return Err(SHAPE);
        };
        let signs = match word {
            "signs" => true,
            "rests" => false,
            _ => return Err(SHAPE),
        };
        Ok(Self {
            node: Label::parse(node)?,
            key: ZoneKey::parse(key)?,
            signs,
        })
    }
}

impl fmt::Display for NodeZoneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.signs { "signs" } else { "rests" };
        write!(f, "{} {} {word}", self.node, self.key)
    }
}

impl Value for Window {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str =
            "is not two times, a key's number and three signatures of 64 bytes in base64";
        let words: Vec<&str> = text.split(' ').collect();
        let [from, until, tag, dnskey, cds, cdnskey] = words[..] else {
            return Err(SHAPE);
        };
        let signature = |text: &str| {
            let bytes = BASE64.decode(text).ok().and_then(|b| b.try_into().ok());
            bytes.map(ZoneSignature::from_bytes).ok_or(SHAPE)
        };
        let (from, until) = (Time::parse(from)?, Time::parse(until)?);
        if from >= until {
            return Err("ends before it begins");
        }
        let number: u16 = tag.parse().map_err(|_| SHAPE)?;
        // A signed text has one spelling.
        if number.to_string() != tag {
            return Err(SHAPE);
        }
        Ok(Self {
            from,
            until,
            tag: number,
            signatures: [signature(dnskey)?, signature(cds)?, signature(cdnskey)?],
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.from, self.until, self.tag)?;
        let mut signatures = self.signatures.iter();
        signatures.try_for_each(|signature| write!(f, " {}", BASE64.encode(signature.bytes())))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};

    use super::*;
    use spokes_log::text::Headers;

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn key(seed: u8) -> (SigningKey, ZoneKey) {
        let secret = SigningKey::from_slice(&[seed; 32]).unwrap();
        let point = secret.verifying_key().to_encoded_point(false);
        let bytes = point.as_bytes()[1..].try_into().unwrap();
        (secret, ZoneKey::from_bytes(bytes).unwrap())
    }

    /// Two weeks from each week on, signed by both organizers' keys.
    fn set(weeks: i64, apex: &[u8]) -> KeySet {
        let tops = [key(1), key(2)];
        let label = |text| Label::parse(text).unwrap();
        let mut set = KeySet {
            ttl: KEYS_TTL,
            top: vec![
                TopKey {
                    key: tops[0].1,
                    stays: false,
                },
                TopKey {
                    key: tops[1].1,
                    stays: true,
                },
            ],
            nodes: vec![
                NodeZoneKey {
                    node: label("council1"),
                    key: key(3).1,
                    signs: true,
                },
                NodeZoneKey {
                    node: label("council2"),
                    key: key(4).1,
                    signs: false,
                },
            ],
            windows: Vec::new(),
        };
        let [one, other] = &tops;
        let sign = |secret: &SigningKey, bytes: &[u8]| {
            let signature: Signature = secret.sign(bytes);
            Some(ZoneSignature::from_bytes(signature.to_bytes().into()))
        };
        let mut signs = |bytes: &[u8]| sign(&one.0, bytes);
        let mut other_signs = |bytes: &[u8]| sign(&other.0, bytes);
        let signers: &mut [(ZoneKey, Signer<'_>)] =
            &mut [(one.1, &mut signs), (other.1, &mut other_signs)];
        set.sign(NOW, weeks, apex, signers).unwrap();
        set
    }

    #[test]
    fn what_is_printed_is_read_and_its_signatures_are_good() {
        let apex = b"\x05blogs\x07example\0";
        let set = set(3, apex);
        let text = format!("{set}");
        let read = KeySet::parse(&mut Headers::new(text.trim_start(), 1).unwrap()).unwrap();
        assert_eq!(read, set);
        assert_eq!(set.check(apex), Ok(()));
        assert!(set.check(b"\x05other\x07example\0").is_err());
        let mut other = set.clone();
        other.nodes[0].key = key(5).1;
        assert!(other.check(apex).is_err(), "another key than was signed");
        let mut other = set.clone();
        other.top[0].stays = true;
        assert!(
            other.check(apex).is_err(),
            "the parent is to say something else"
        );
        let mut other = set.clone();
        other.ttl += 1;
        assert!(other.check(apex).is_err());
        let mut other = set.clone();
        other.nodes[1].signs = true;
        assert_eq!(
            other.check(apex),
            Ok(()),
            "who signs is no part of what is signed"
        );
        let mut other = set.clone();
        other.windows[2].until = other.windows[2].until + 1;
        assert!(other.check(apex).is_err());
        let mut other = set.clone();
        other.windows[0].tag ^= 1;
        assert!(other.check(apex).is_err());
        assert_eq!(set.data(DNSKEY, apex).len(), 4);
        assert_eq!(set.data(CDS, apex).len(), 1);
    }

    #[test]
    fn bad_sets_are_refused_with_the_rule() {
        let text = format!("{}", set(1, b"\x01a\0"));
        let said = |text: &str| {
            let mut headers = Headers::new(text.trim_start(), 1).unwrap();
            KeySet::parse(&mut headers).unwrap_err().to_string()
        };
        for ttl in ["29", "86401", "4294967326"] {
            let said = said(&text.replace("Ttl: 3600", &format!("Ttl: {ttl}")));
            assert!(said.contains("30 to 86400"), "{said}");
        }
        let twice = format!("Key: council2 {} rests", key(4).1);
        let other = format!("Key: council2 {} rests", key(3).1);
        let said_of = said(&text.replace(&twice, &other));
        assert!(said_of.contains("two keys have one number"), "{said_of}");
        let said = said(&text.replace(" rests", ""));
        assert!(said.contains("\"signs\" or \"rests\""), "{said}");
    }

    #[test]
    fn windows_follow_one_another() {
        let set = set(3, b"\x01a\0");
        let from = |now: Time| set.shown(now).values().map(|window| window.from).min();
        assert_eq!(from(NOW), Some(NOW), "there is no other");
        assert_eq!(from(NOW + WEEK), Some(NOW), "an hour is not over");
        assert_eq!(from(NOW + WEEK + WINDOW_AGE), Some(NOW + WEEK));
        assert_eq!(set.shown(NOW).len(), 2, "one of each key");
        assert_eq!(set.at(NOW + WEEK).count(), 4);
        assert_eq!(set.at(NOW - 1).count(), 0);
        assert_eq!(set.covered_from(NOW), Some(NOW + 4 * WEEK));
        assert_eq!(set.covered_from(NOW + 4 * WEEK), None);
        assert_eq!(set.covered_from(NOW - 1), None);
        let mut broken = set;
        broken.windows.drain(2..5);
        broken.windows.last_mut().unwrap().from = NOW + 3 * WEEK;
        assert_eq!(
            broken.covered_from(NOW),
            Some(NOW + 2 * WEEK),
            "a week is missing"
        );
    }
}
