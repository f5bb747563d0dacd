//! What a version changes in a signed zone, and what is to be signed for it.
//!
//! A draft is a pure function of the zone and of what names are to answer: any node computes the same one, and the
//! same list of what is to be signed. So one node signs, and the others need nothing but the signatures, in the order
//! of that list. What did not change keeps its signature.
//!
//! Names that hold records are a chain (NSEC, RFC 4034 section 4): each says which one comes next, and which types it
//! has itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use domain::base::iana::{Class, Rtype};
use rayon::prelude::*;
use spokes_rules::dnssec::{Cover, ZoneKey, ZoneSignature, nsec};
use spokes_rules::zone::Node;

use crate::dns::encode::{WireName, WireSet, WireSets, denial_ttl, encode_bodies};
use crate::dns::order::{Changed, Key};
use crate::dns::signer::{ZoneSecret, is_by};
use crate::dns::zone::Zone;

/// Type, class, time to live and length, which stand before a record's data.
const BODY_HEAD: usize = 2 + 2 + 4 + 2;
/// Where in a record without its owner the signature says until when it counts, and whose it is (RFC 4034 section 3.1).
const EXPIRATION: Range<usize> = BODY_HEAD + 8..BODY_HEAD + 12;
const INCEPTION: Range<usize> = BODY_HEAD + 12..BODY_HEAD + 16;
const TAG: Range<usize> = BODY_HEAD + 16..BODY_HEAD + 18;

/// What all signatures of one draft have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// From when on they count, seconds since 1970 modulo 2^32.
    pub inception: u32,
    /// Until when.
    pub expiration: u32,
    /// The number of the key.
    pub tag: u16,
}

/// What names are to answer, and what is to be signed before they do.
#[derive(Debug)]
pub struct Draft {
    apex: WireName,
    names: Vec<Drafted>,
}

/// A name, without the apex.
#[derive(Debug)]
struct Drafted {
    name: Box<[u8]>,
    /// Its sets, without signatures.
    sets: Vec<u8>,
    signatures: Vec<Held>,
}

#[derive(Debug)]
enum Held {
    /// A record without its owner: the set is what it was.
    Known(Vec<u8>),
    /// The set of this type is to be signed.
    Due(Rtype),
}

/// What names answer with a version: each without the apex, and its encoded sets; the apex last.
#[derive(Debug)]
pub struct Written(pub(crate) Vec<(Box<[u8]>, Vec<u8>)>);

/// The signatures do not fit the draft: others were computed elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// How many there are.
    pub given: usize,
    /// How many were to be signed.
    pub due: usize,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { given, due } = self;
        write!(
            f,
            "{given} signatures came where {due} sets are to be signed"
        )
    }
}

impl std::error::Error for Unfit {}

impl Zone {
    /// What changes when these names answer so from now on, and what is to be signed for it; `renewed` names, without
    /// the apex, are signed again in any case. What cannot be served stays as it is.
    ///
    /// In a zone that is not signed nothing is to be signed. Names come out as they were given, behind them those whose
    /// link changes, and the apex last: it has the new serial.
    #[must_use]
    pub fn draft(&self, names: Vec<(String, Node)>, renewed: &[Box<[u8]>]) -> Draft {
        let mut plain = Plain::default();
        for (owner, node) in names {
            match self.encoded(&owner, &node) {
                Ok((name, sets)) => plain.note(&name, sets),
                Err(error) => tracing::error!(%owner, %error, "a name cannot be published"),
            }
        }
        let mut names = match self.order() {
            None => plain.unsigned(),
            Some(order) => self.chained(&plain, renewed, Changed::new(order)),
        };
        if let Some(at) = names.iter().position(|drafted| drafted.name.is_empty()) {
            let apex = names.remove(at);
            names.push(apex);
        }
        Draft {
            apex: self.apex().clone(),
            names,
        }
    }

    fn chained(
        &self,
        plain: &Plain,
        renewed: &[Box<[u8]>],
        mut chain: Changed<'_>,
    ) -> Vec<Drafted> {
        for (key, sets) in plain.all() {
            let held = self.at(&key.name()).is_some_and(|sets| !sets.is_empty());
            if held == sets.is_empty() {
                chain.note(key.clone(), !sets.is_empty());
            }
        }
        let renewed: BTreeSet<Key> = renewed.iter().map(|name| Key::of(name)).collect();
        let mut others = chain.touched();
        others.extend(&renewed);
        others.retain(|key| plain.of(key).is_none());
        let ttl = self.ttl_of_denials(plain);
        let keys = plain.all().map(|(key, _)| key).chain(others);
        let drafted = keys.filter_map(|key| {
            let name = key.name();
            let before = WireSets::of(self.at(&name).unwrap_or_default());
            let sets = plain.of(key);
            let after = sets.map_or(before, WireSets::of);
            if after.is_empty() {
                let name = name.into();
                return sets.map(|_| Drafted::new(name, Vec::new()));
            }
            let next = chain.after(key).unwrap_or(key).name();
            let next = [&next, self.apex().as_slice()].concat();
            let is_renewed = renewed.contains(key);
            Some(drafted(
                name.into(),
                before,
                after,
                (&next, ttl),
                is_renewed,
            ))
        });
        drafted.collect()
    }

    /// As the apex is to say it, or says it.
    fn ttl_of_denials(&self, plain: &Plain) -> u32 {
        let apex = plain.of(&Key::of(&[]));
        let apex = apex.map_or(self.of_apex(), WireSets::of);
        apex.of_type(Rtype::SOA).and_then(denial_ttl).unwrap_or(0)
    }
}

/// What names are to answer, without links and signatures, in the order in which it was said; what was said last counts.
#[derive(Default)]
struct Plain {
    said: Vec<(Key, Vec<u8>)>,
    places: BTreeMap<Key, usize>,
}

impl Plain {
    fn note(&mut self, name: &[u8], sets: Vec<u8>) {
        let key = Key::of(name);
        match self.places.get(&key) {
            Some(place) => self.said[*place].1 = sets,
            None => {
                self.places.insert(key.clone(), self.said.len());
                self.said.push((key, sets));
            }
        }
    }

    fn of(&self, key: &Key) -> Option<&[u8]> {
        let place = self.places.get(key)?;
        self.said.get(*place).map(|(_, sets)| sets.as_slice())
    }

    fn all(&self) -> impl Iterator<Item = &(Key, Vec<u8>)> {
        self.said.iter()
    }

    fn unsigned(self) -> Vec<Drafted> {
        let said = self.said.into_iter();
        said.map(|(key, sets)| Drafted::new(key.name().into(), sets))
            .collect()
    }
}

/// A name of the chain: its sets, the link to the next one, and what is signed of them.
fn drafted(
    name: Box<[u8]>,
    before: WireSets<'_>,
    after: WireSets<'_>,
    (next, ttl): (&[u8], u32),
    is_renewed: bool,
) -> Drafted {
    let known = |rtype: Rtype| {
        let known = before.of_type(Rtype::RRSIG).filter(|_| !is_renewed);
        known?.bodies().find(|body| covers(body) == Some(rtype))
    };
    // Organizers sign keys; their signatures come with them. What is taken from the zone has the others, too.
    let given: Vec<&[u8]> = after
        .of_type(Rtype::RRSIG)
        .into_iter()
        .flat_map(|set| set.bodies())
        .collect();
    let given = given
        .into_iter()
        .filter(|body| covers(body).is_some_and(is_of_keys));
    let given: Vec<Vec<u8>> = given.map(<[u8]>::to_vec).collect();
    let mut signatures: Vec<Held> = given.into_iter().map(Held::Known).collect();
    let plain = after.iter().filter(|set| !is_link(set.rtype()));
    let mut rtypes: BTreeSet<u16> = [Rtype::RRSIG, Rtype::NSEC].map(Rtype::to_int).into();
    let mut sets = Vec::new();
    for set in plain {
        let rtype = set.rtype();
        sets.extend(set.encoded());
        rtypes.insert(rtype.to_int());
        if is_of_keys(rtype) {
            continue;
        }
        let was = before.of_type(rtype).map(|set| set.encoded());
        let known = known(rtype).filter(|_| was == Some(set.encoded()));
        signatures.push(known.map_or(Held::Due(rtype), |body| Held::Known(body.to_vec())));
    }
    let link = link(next, &rtypes, ttl);
    let was = before.of_type(Rtype::NSEC).map(|set| set.encoded());
    let known = known(Rtype::NSEC).filter(|_| was == Some(link.as_slice()));
    signatures.push(known.map_or(Held::Due(Rtype::NSEC), |body| Held::Known(body.to_vec())));
    sets.extend(link);
    Drafted {
        name,
        sets,
        signatures,
    }
}

/// Which types say how the chain goes on, or what was signed.
fn is_link(rtype: Rtype) -> bool {
    rtype == Rtype::NSEC || rtype == Rtype::RRSIG
}

fn is_of_keys(rtype: Rtype) -> bool {
    [Rtype::DNSKEY, Rtype::CDS, Rtype::CDNSKEY].contains(&rtype)
}

/// Which type a signature covers (RFC 4034 section 3.1.1).
pub(crate) fn covers(body: &[u8]) -> Option<Rtype> {
    let covered = body.get(BODY_HEAD..BODY_HEAD + 2)?;
    Some(Rtype::from_int(u16::from_be_bytes(
        covered.try_into().ok()?,
    )))
}

/// Whether something of a name is not signed by any of these keys, or its signature does not count from the one time to
/// the other, seconds since 1970 modulo 2^32 (RFC 1982).
pub(crate) fn is_worn(sets: WireSets<'_>, tags: &BTreeSet<u16>, (from, until): (u32, u32)) -> bool {
    let is_good = |body: &[u8]| {
        let numbers = (body.get(EXPIRATION), body.get(INCEPTION), body.get(TAG));
        let (Some(expiration), Some(inception), Some(tag)) = numbers else {
            return false;
        };
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |number, byte| number << 8 | u32::from(*byte))
        };
        let reaches = |number: u32, other: u32| number.wrapping_sub(other) <= u32::MAX / 2;
        let counts = reaches(number(expiration), until) && reaches(from, number(inception));
        counts && u16::try_from(number(tag)).is_ok_and(|tag| tags.contains(&tag))
    };
    let mut signed = sets.iter().filter(|set| {
        let rtype = set.rtype();
        rtype != Rtype::RRSIG && !is_of_keys(rtype)
    });
    let is_signed = |set: WireSet<'_>| {
        let signatures = sets.of_type(Rtype::RRSIG);
        let mut bodies = signatures.into_iter().flat_map(|set| set.bodies());
        bodies.any(|body| covers(body) == Some(set.rtype()) && is_good(body))
    };
    sets.of_type(Rtype::NSEC).is_none() || !signed.all(is_signed)
}

/// What a signed zone has of a name more than what it is to answer: its link and all signatures, encoded.
pub(crate) fn seal_of(sets: &[u8]) -> &[u8] {
    let links = WireSets::of(sets).iter().filter(|set| is_link(set.rtype()));
    let bytes: usize = links.map(|set| set.encoded().len()).sum();
    // They come last.
    &sets[sets.len() - bytes..]
}

/// Sets as they were with that.
pub(crate) fn sealed(plain: &[u8], seal: &[u8]) -> Vec<u8> {
    let plain = WireSets::of(plain)
        .iter()
        .filter(|set| !is_link(set.rtype()));
    let mut sets: Vec<u8> = plain.flat_map(|set| set.encoded()).copied().collect();
    sets.extend(seal);
    sets
}

/// Whether a name that answers the one would answer the same with the other, but for links and signatures that are
/// made when it is published.
pub(crate) fn is_same(answered: WireSets<'_>, new: WireSets<'_>) -> bool {
    fn of_keys(sets: WireSets<'_>) -> impl Iterator<Item = &[u8]> {
        let signatures = sets.of_type(Rtype::RRSIG).into_iter();
        let bodies = signatures.flat_map(|set| set.bodies());
        bodies.filter(|body| covers(body).is_some_and(is_of_keys))
    }
    let plain = |sets: WireSets<'_>| -> Vec<Vec<u8>> {
        let sets = sets.iter().filter(|set| !is_link(set.rtype()));
        sets.map(|set| set.encoded().to_vec()).collect()
    };
    plain(answered) == plain(new) && of_keys(answered).eq(of_keys(new))
}

/// The encoded NSEC set.
fn link(next: &[u8], rtypes: &BTreeSet<u16>, ttl: u32) -> Vec<u8> {
    let body = body(Rtype::NSEC, ttl, &nsec(next, rtypes));
    // Two names and some types fit any message.
    encode_bodies(Rtype::NSEC, &[body]).unwrap_or_default()
}

/// A record without its owner.
fn body(rtype: Rtype, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut body = rtype.to_int().to_be_bytes().to_vec();
    body.extend(Class::IN.to_int().to_be_bytes());
    body.extend(ttl.to_be_bytes());
    body.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    body.extend(data);
    body
}

impl Drafted {
    fn new(name: Box<[u8]>, sets: Vec<u8>) -> Self {
        Self {
            name,
            sets,
            signatures: Vec::new(),
        }
    }

    fn due(&self) -> impl Iterator<Item = WireSet<'_>> {
        let due = self.signatures.iter().filter_map(|held| match held {
            Held::Known(_) => None,
            Held::Due(rtype) => Some(*rtype),
        });
        due.filter_map(|rtype| WireSets::of(&self.sets).of_type(rtype))
    }
}

/// A set that is to be signed.
struct Due<'a> {
    owner: Vec<u8>,
    cover: Cover<'a>,
    bodies: Vec<Vec<u8>>,
}

impl<'a> Due<'a> {
    fn new(name: &[u8], set: &WireSet<'_>, apex: &'a WireName, stamp: Stamp) -> Self {
        let bodies = set.records(apex);
        let ttl = bodies
            .first()
            .and_then(|body| body.get(4..8)?.try_into().ok());
        Self {
            owner: [name, apex.as_slice()].concat(),
            cover: Cover {
                rtype: set.rtype().to_int(),
                ttl: ttl.map_or(0, u32::from_be_bytes),
                inception: stamp.inception,
                expiration: stamp.expiration,
                tag: stamp.tag,
                apex: apex.as_slice(),
            },
            bodies,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let data = self.bodies.iter().filter_map(|body| body.get(BODY_HEAD..));
        self.cover.signed(&self.owner, data)
    }

    /// The record without its owner.
    fn rrsig(&self, signature: ZoneSignature) -> Vec<u8> {
        let mut data = self.cover.rrsig(&self.owner);
        data.extend(signature.bytes());
        body(Rtype::RRSIG, self.cover.ttl, &data)
    }
}

impl Draft {
    /// How many sets are to be signed.
    #[must_use]
    pub fn due(&self) -> usize {
        self.names.iter().map(|name| name.due().count()).sum()
    }

    fn all_due(&self, stamp: Stamp) -> impl Iterator<Item = Due<'_>> {
        self.names.iter().flat_map(move |drafted| {
            let due = drafted.due();
            due.map(move |set| Due::new(&drafted.name, &set, &self.apex, stamp))
        })
    }

    /// Whether these are a key's signatures over all that is to be signed.
    #[must_use]
    pub fn is_signed_by(&self, key: ZoneKey, stamp: Stamp, signatures: &[ZoneSignature]) -> bool {
        let due: Vec<Due<'_>> = self.all_due(stamp).collect();
        let pairs = due.par_iter().zip(signatures);
        due.len() == signatures.len()
            && pairs
                .into_par_iter()
                .all(|(due, signature)| is_by(key, &due.bytes(), *signature))
    }

    /// Signs all that is to be signed; none where the system gives no random numbers.
    #[must_use]
    pub fn sign(&self, secret: &ZoneSecret, stamp: Stamp) -> Option<Vec<ZoneSignature>> {
        let due: Vec<Due<'_>> = self.all_due(stamp).collect();
        due.par_iter()
            .map(|due| secret.sign(&due.bytes()))
            .collect()
    }

    /// What names answer with these signatures.
    ///
    /// # Errors
    /// [`Unfit`] where there are not as many as are due.
    pub fn signed(self, stamp: Stamp, signatures: &[ZoneSignature]) -> Result<Written, Unfit> {
        let (given, due) = (signatures.len(), self.due());
        if given != due {
            return Err(Unfit { given, due });
        }
        let (mut signatures, apex) = (signatures.iter(), self.apex);
        let names = self.names.into_iter().map(|drafted| {
            let records = drafted.signatures.iter().filter_map(|held| match held {
                Held::Known(body) => Some(body.clone()),
                Held::Due(rtype) => {
                    let set = WireSets::of(&drafted.sets).of_type(*rtype)?;
                    let due = Due::new(&drafted.name, &set, &apex, stamp);
                    Some(due.rrsig(*signatures.next()?))
                }
            });
            let records: Vec<Vec<u8>> = records.collect();
            let mut sets = drafted.sets;
            if !records.is_empty() {
                // Some ten signatures of some hundred bytes.
                sets.extend(encode_bodies(Rtype::RRSIG, &records).unwrap_or_default());
            }
            (drafted.name, sets)
        });
        Ok(Written(names.collect()))
    }
}

#[cfg(test)]
mod tests;
