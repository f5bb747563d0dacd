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

use domain::base::iana::Rtype;
use rayon::prelude::*;
use spokes_rules::dnssec::{Cover, ZoneKey, ZoneSignature, rtype_bits};
use spokes_rules::zone::Node;

use crate::dns::encode::{BODY_HEAD, WireName, WireSet, WireSets, denial_ttl};
use crate::dns::order::{Changed, Key};
pub use crate::dns::seal::Stamp;
use crate::dns::seal::{MARK, Seal, Signature, Whole, link, seal, seal_of_sets};
use crate::dns::signer::{ZoneSecret, is_by};
use crate::dns::zone::Zone;

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
    /// Its sets, without link and signatures.
    sets: Vec<u8>,
    /// None in a zone that is not signed, and where a name goes.
    link: Option<Vec<u8>>,
    signatures: Vec<Held>,
}

#[derive(Debug)]
enum Held {
    /// The set is what it was.
    Known(Signature),
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
        others.extend(renewed.iter().cloned());
        others.retain(|key| plain.of(key).is_none());
        let ttl = self.ttl_of_denials(plain);
        let keys = plain.all().map(|(key, _)| key).chain(&others);
        let drafted = keys.filter_map(|key| {
            let name = key.name();
            let before = WireSets::of(self.at(&name).unwrap_or_default());
            let sets = plain.of(key);
            let after = sets.map_or(before, WireSets::of);
            if after.is_empty() {
                let name = name.into();
                return sets.map(|_| Drafted::new(name, Vec::new()));
            }
            let next = chain.after(key).unwrap_or_else(|| key.clone()).name();
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
    let seal = before.seal().filter(|_| !is_renewed);
    let known = |rtype: Rtype| {
        seal?
            .signatures()
            .find(|signature| signature.covers == rtype)
    };
    let held = |rtype, is_same: bool| {
        let known = known(rtype).filter(|_| is_same);
        known.map_or(Held::Due(rtype), Held::Known)
    };
    // Organizers sign keys; their signatures come with them.
    let mut signatures: Vec<Held> = of_keys(after).into_iter().map(Held::Known).collect();
    let mut rtypes: BTreeSet<u16> = [Rtype::RRSIG, Rtype::NSEC].map(Rtype::to_int).into();
    let mut sets = Vec::new();
    for set in plain(after) {
        let rtype = set.rtype();
        sets.extend(set.encoded());
        rtypes.insert(rtype.to_int());
        if !is_of_keys(rtype) {
            let was = before.of_type(rtype).map(|set| set.encoded());
            signatures.push(held(rtype, was == Some(set.encoded())));
        }
    }
    let link = link(ttl, next, &rtype_bits(&rtypes));
    signatures.push(held(
        Rtype::NSEC,
        seal.map(Seal::link) == Some(link.as_slice()),
    ));
    Drafted {
        name,
        sets,
        link: Some(link),
        signatures,
    }
}

/// Sets without signatures: those of an apex are among the others as long as nothing else of the zone is signed.
fn plain(sets: WireSets<'_>) -> impl Iterator<Item = WireSet<'_>> {
    sets.iter().filter(|set| set.rtype() != Rtype::RRSIG)
}

/// The signatures over keys, wherever they are.
fn of_keys(sets: WireSets<'_>) -> Vec<Signature> {
    let signatures = sets.signatures();
    signatures
        .filter(|signature| is_of_keys(signature.covers))
        .collect()
}

fn is_of_keys(rtype: Rtype) -> bool {
    [Rtype::DNSKEY, Rtype::CDS, Rtype::CDNSKEY].contains(&rtype)
}

/// Whether something of a name is not signed by any of these keys, or its signature does not count from the one time to
/// the other, seconds since 1970 modulo 2^32 (RFC 1982).
pub(crate) fn is_worn(sets: WireSets<'_>, tags: &BTreeSet<u16>, (from, until): (u32, u32)) -> bool {
    let Some(seal) = sets.seal() else {
        return true;
    };
    let reaches = |number: u32, other: u32| number.wrapping_sub(other) <= u32::MAX / 2;
    let is_good = |stamp: Stamp| {
        let counts = reaches(stamp.expiration, until) && reaches(from, stamp.inception);
        counts && tags.contains(&stamp.tag)
    };
    let is_signed = |rtype: Rtype| {
        let mut of_set = seal
            .signatures()
            .filter(|signature| signature.covers == rtype);
        of_set.any(|signature| is_good(signature.stamp))
    };
    let rtypes = plain(sets).map(|set| set.rtype()).chain([Rtype::NSEC]);
    !rtypes.filter(|rtype| !is_of_keys(*rtype)).all(is_signed)
}

/// What a signed zone has of a name more than what it is to answer.
pub(crate) fn seal_of(sets: &[u8]) -> &[u8] {
    WireSets::of(sets).split().1
}

/// Sets as they were with that; it may be of an older program. Without it where it is damaged.
pub(crate) fn sealed(sets: &[u8], kept: &[u8], apex: &WireName) -> Vec<u8> {
    let is_ours = kept.starts_with(&MARK);
    let seal = if is_ours {
        WireSets::of(kept).seal().map(|_| kept.to_vec())
    } else {
        seal_of_sets(WireSets::of(kept), apex)
    };
    let Some(seal) = seal else {
        return sets.to_vec();
    };
    let mut whole = Vec::with_capacity(sets.len() + seal.len());
    plain(WireSets::of(sets)).for_each(|set| whole.extend_from_slice(set.encoded()));
    whole.extend(seal);
    whole
}

/// Whether a name that answers the one would answer the same with the other, but for links and signatures that are
/// made when it is published.
pub(crate) fn is_same(answered: WireSets<'_>, new: WireSets<'_>) -> bool {
    let sets = |sets| plain(sets).map(|set| set.encoded());
    sets(answered).eq(sets(new)) && of_keys(answered) == of_keys(new)
}

impl Drafted {
    fn new(name: Box<[u8]>, sets: Vec<u8>) -> Self {
        Self {
            name,
            sets,
            link: None,
            signatures: Vec::new(),
        }
    }

    /// What it has without what is to be signed.
    fn unsigned(&self) -> Vec<u8> {
        let seal = self.link.iter().flat_map(|link| seal(link, []));
        self.sets.iter().copied().chain(seal).collect()
    }

    fn due(&self) -> impl Iterator<Item = Rtype> {
        self.signatures.iter().filter_map(|held| match held {
            Held::Known(_) => None,
            Held::Due(rtype) => Some(*rtype),
        })
    }
}

/// A set that is to be signed.
struct Due<'a> {
    owner: Vec<u8>,
    cover: Cover<'a>,
    bodies: Vec<Vec<u8>>,
}

impl<'a> Due<'a> {
    /// A set of a type, of a name without the apex.
    fn new(
        name: &[u8],
        sets: WireSets<'_>,
        rtype: Rtype,
        apex: &'a WireName,
        stamp: Stamp,
    ) -> Self {
        let bodies = match sets.of_type(rtype) {
            Some(set) => set.records(apex),
            None => {
                let mut link = Vec::new();
                Whole::new(name, sets, apex).append_link(&[], &mut link);
                vec![link]
            }
        };
        let ttl = bodies
            .first()
            .and_then(|body| body.get(4..8)?.try_into().ok());
        Self {
            owner: [name, apex.as_slice()].concat(),
            cover: Cover {
                rtype: rtype.to_int(),
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
}

impl Draft {
    /// How many sets are to be signed.
    #[must_use]
    pub fn due(&self) -> usize {
        self.names.iter().map(|name| name.due().count()).sum()
    }

    fn all_due(&self, stamp: Stamp) -> impl Iterator<Item = Due<'_>> {
        self.names.iter().flat_map(move |drafted| {
            let unsigned = drafted.unsigned();
            let due = drafted.due();
            due.map(move |rtype| {
                let sets = WireSets::of(&unsigned);
                Due::new(&drafted.name, sets, rtype, &self.apex, stamp)
            })
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
        let mut signatures = signatures.iter();
        let names = self.names.into_iter().map(|drafted| {
            let held = drafted.signatures.iter().filter_map(|held| match held {
                Held::Known(signature) => Some(*signature),
                Held::Due(covers) => signatures.next().map(|signature| Signature {
                    covers: *covers,
                    stamp,
                    signature: *signature,
                }),
            });
            let mut sets = drafted.sets;
            if let Some(link) = &drafted.link {
                sets.extend(seal(link, held));
            }
            (drafted.name, sets)
        });
        Ok(Written(names.collect()))
    }
}

#[cfg(test)]
mod tests;
