//! What a signed zone has of a name more than what it is to answer: the link to the next name (NSEC), and signatures.
//!
//! Three names of four bytes of a signed zone would be these records, so they lie here without all that the name, its
//! sets and the apex say: a signature is 64 bytes, which type it covers, and when and by which key it was made, where
//! that differs from the one before. The records are made of it for each answer.

use std::ops::Range;

use domain::base::iana::{Class, Rtype};
use spokes_rules::dnssec::{Cover, ZoneSignature, labels};

use crate::dns::encode::{BODY_HEAD, WireName, WireSet, WireSets, bytes_before};

/// Stands where sets have their type: there is no such type (RFC 6895 section 3.1).
pub(crate) const MARK: [u8; 2] = [0; 2];

/// Where in the data of a signature it says until when it counts, from when on, and whose it is (RFC 4034 section 3.1).
const EXPIRATION: Range<usize> = 8..12;
const INCEPTION: Range<usize> = 12..16;
const TAG: Range<usize> = 16..18;
/// Bytes of a signature itself.
const SIGNATURE: usize = 64;
/// Before a signature that was made like the one before, and before one that was not.
const LIKE: u8 = 0;
const OTHER: u8 = 1;

/// What signatures that were made together have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// From when on they count, seconds since 1970 modulo 2^32.
    pub inception: u32,
    /// Until when.
    pub expiration: u32,
    /// The number of the key.
    pub tag: u16,
}

impl Stamp {
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.inception.to_be_bytes());
        out.extend_from_slice(&self.expiration.to_be_bytes());
        out.extend_from_slice(&self.tag.to_be_bytes());
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            inception: u32::from_be_bytes(take(from)?),
            expiration: u32::from_be_bytes(take(from)?),
            tag: u16::from_be_bytes(take(from)?),
        })
    }
}

/// A signature over one set of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) covers: Rtype,
    pub(crate) stamp: Stamp,
    pub(crate) signature: ZoneSignature,
}

impl Signature {
    /// Out of a record without its owner, which was made for this zone; none where it is none.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let data = body.get(BODY_HEAD..)?;
        let number = |at| {
            Some(u32::from_be_bytes(
                data.get::<Range<usize>>(at)?.try_into().ok()?,
            ))
        };
        Some(Self {
            covers: covers(body)?,
            stamp: Stamp {
                inception: number(INCEPTION)?,
                expiration: number(EXPIRATION)?,
                tag: u16::from_be_bytes(data.get(TAG)?.try_into().ok()?),
            },
            signature: ZoneSignature::from_bytes(*data.get(TAG.end..)?.last_chunk::<SIGNATURE>()?),
        })
    }
}

/// Which type a signature covers, a record without its owner (RFC 4034 section 3.1.1).
fn covers(body: &[u8]) -> Option<Rtype> {
    let covered = body.get(BODY_HEAD..)?.first_chunk::<2>()?;
    Some(Rtype::from_int(u16::from_be_bytes(*covered)))
}

/// A link, as it lies here: time to live, the next name without the apex, the types of this one as in NSEC (RFC 4034
/// section 4.1.2); both with their length before them.
pub(crate) fn link(ttl: u32, next: &[u8], rtypes: &[u8]) -> Vec<u8> {
    let mut link = ttl.to_be_bytes().to_vec();
    for part in [next, rtypes] {
        // A name has 255 bytes at most, and all types below 256, with CAA, fit some 40.
        let length = u8::try_from(part.len()).unwrap_or(u8::MAX);
        link.push(length);
        link.extend_from_slice(&part[..usize::from(length)]);
    }
    link
}

/// A seal, with its mark.
pub(crate) fn seal(link: &[u8], signatures: impl IntoIterator<Item = Signature>) -> Vec<u8> {
    let mut seal = [&MARK[..], link].concat();
    let mut last = None;
    for Signature {
        covers,
        stamp,
        signature,
    } in signatures
    {
        seal.extend_from_slice(&covers.to_int().to_be_bytes());
        if last.replace(stamp) == Some(stamp) {
            seal.push(LIKE);
        } else {
            seal.push(OTHER);
            stamp.put(&mut seal);
        }
        seal.extend_from_slice(&signature.bytes());
    }
    seal
}

/// A seal that an older program kept: two sets, encoded as those that a name is to answer.
pub(crate) fn seal_of_sets(sets: WireSets<'_>, apex: &WireName) -> Option<Vec<u8>> {
    let of = |rtype| {
        sets.of_type(rtype)
            .into_iter()
            .flat_map(|set: WireSet<'_>| set.bodies())
    };
    let body = of(Rtype::NSEC).next()?;
    let ttl = u32::from_be_bytes(body.get(4..8)?.try_into().ok()?);
    let data = body.get(BODY_HEAD..)?;
    let mut end = 0;
    while *data.get(end)? > 0 {
        end += 1 + usize::from(data[end]);
    }
    let (next, rtypes) = data.split_at_checked(end + 1)?;
    let next = &next[..bytes_before(next, apex.as_slice())?];
    Some(seal(
        &link(ttl, next, rtypes),
        of(Rtype::RRSIG).filter_map(Signature::read),
    ))
}

/// The seal of a name, mark aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal<'z>(&'z [u8]);

/// The parts of a link, and what is behind it.
struct Parts<'z> {
    ttl: u32,
    next: &'z [u8],
    rtypes: &'z [u8],
    signatures: &'z [u8],
}

impl<'z> Seal<'z> {
    /// Out of what [`seal`] has made, without its mark; none where it is damaged.
    pub(crate) fn of(bytes: &'z [u8]) -> Option<Self> {
        let seal = Self(bytes);
        seal.parts().map(|_| seal)
    }

    fn parts(self) -> Option<Parts<'z>> {
        let mut rest = self.0;
        let ttl = u32::from_be_bytes(take(&mut rest)?);
        let mut part = || {
            let (length, behind) = rest.split_first()?;
            let (part, behind) = behind.split_at_checked(usize::from(*length))?;
            rest = behind;
            Some(part)
        };
        let (next, rtypes) = (part()?, part()?);
        let signatures = rest;
        Some(Parts {
            ttl,
            next,
            rtypes,
            signatures,
        })
    }

    /// The link, as [`link`] gave it.
    pub(crate) fn link(self) -> &'z [u8] {
        let behind = self.parts().map_or(0, |parts| parts.signatures.len());
        &self.0[..self.0.len() - behind]
    }

    /// All signatures.
    pub(crate) fn signatures(self) -> impl Iterator<Item = Signature> + use<'z> {
        let mut rest = self.parts().map_or(&[][..], |parts| parts.signatures);
        let mut last = None;
        std::iter::from_fn(move || {
            let covers = Rtype::from_int(u16::from_be_bytes(take(&mut rest)?));
            let [how] = take(&mut rest)?;
            if how == OTHER {
                last = Stamp::take(&mut rest);
            }
            let signature = ZoneSignature::from_bytes(take(&mut rest)?);
            let stamp = last?;
            Some(Signature {
                covers,
                stamp,
                signature,
            })
        })
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

/// All that one name has, to make records of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<'z> {
    sets: WireSets<'z>,
    /// How many labels its owner has.
    labels: u8,
    apex: &'z WireName,
}

impl<'z> Whole<'z> {
    /// A name without the apex, and its sets.
    pub(crate) fn new(name: &[u8], sets: WireSets<'z>, apex: &'z WireName) -> Self {
        let labels = labels(name).saturating_add(labels(apex.as_slice()));
        Self { sets, labels, apex }
    }

    /// Its sets.
    pub(crate) fn sets(&self) -> WireSets<'z> {
        self.sets
    }

    /// Each record without its owner and without pointers: type, class, time to live, length, data (RFC 1035 section
    /// 3.2.1).
    pub(crate) fn records(&self) -> Vec<Vec<u8>> {
        let sets = self.sets.iter();
        let mut records: Vec<_> = sets.flat_map(|set| set.records(self.apex)).collect();
        let mut link = Vec::new();
        if self.append_link(&[], &mut link) > 0 {
            records.push(link);
        }
        let sealed = self.sets.seal().into_iter().flat_map(Seal::signatures);
        records.extend(sealed.filter_map(|signature| {
            let mut record = Vec::new();
            self.append(&signature, &[], None, &mut record)
                .then_some(record)
        }));
        records
    }

    /// Appends the link; how many records that is.
    pub(crate) fn append_link(&self, owner: &[u8], out: &mut Vec<u8>) -> u16 {
        let Some(parts) = self.sets.seal().and_then(Seal::parts) else {
            return 0;
        };
        out.extend_from_slice(owner);
        put_head(Rtype::NSEC, parts.ttl, out);
        put_data(out, |out| {
            out.extend_from_slice(parts.next);
            out.extend_from_slice(self.apex.as_slice());
            out.extend_from_slice(parts.rtypes);
        });
        1
    }

    /// Appends the signatures over a type, or over all, with a time to live where that is another one here than theirs;
    /// how many there are.
    pub(crate) fn append_signatures(
        &self,
        covers: Option<Rtype>,
        owner: &[u8],
        ttl: Option<u32>,
        out: &mut Vec<u8>,
    ) -> u16 {
        let signatures = self.sets.signatures();
        let signatures =
            signatures.filter(|signature| covers.is_none_or(|of| of == signature.covers));
        signatures
            .map(|signature| u16::from(self.append(&signature, owner, ttl, out)))
            .sum()
    }

    /// Appends one; false where it is over nothing that is there.
    fn append(
        &self,
        signature: &Signature,
        owner: &[u8],
        ttl: Option<u32>,
        out: &mut Vec<u8>,
    ) -> bool {
        let of = match signature.covers {
            Rtype::NSEC => self
                .sets
                .seal()
                .and_then(Seal::parts)
                .map(|parts| parts.ttl),
            covers => self.sets.of_type(covers).and_then(|set| set.ttl()),
        };
        let Some(original) = of else {
            return false;
        };
        out.extend_from_slice(owner);
        put_head(Rtype::RRSIG, ttl.unwrap_or(original), out);
        let Stamp {
            inception,
            expiration,
            tag,
        } = signature.stamp;
        let cover = Cover {
            rtype: signature.covers.to_int(),
            ttl: original,
            inception,
            expiration,
            tag,
            apex: self.apex.as_slice(),
        };
        put_data(out, |out| {
            cover.append(self.labels, out);
            out.extend_from_slice(&signature.signature.bytes());
        });
        true
    }
}

fn put_head(rtype: Rtype, ttl: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&rtype.to_int().to_be_bytes());
    out.extend_from_slice(&Class::IN.to_int().to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
}

/// Data with their length, which two names and a signature leave far below what it can say.
fn put_data(out: &mut Vec<u8>, data: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0, 0]);
    data(out);
    let length = u16::try_from(out.len() - at - 2).unwrap_or(u16::MAX);
    out[at..at + 2].copy_from_slice(&length.to_be_bytes());
}
