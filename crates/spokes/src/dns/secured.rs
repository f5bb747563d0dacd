//! What a signed zone says more to those who validate (RFC 4035 section 3.1): signatures, and proofs that something is
//! not there.

use domain::base::iana::Rtype;

use crate::dns::encode::{POINTER, WireSet};
use crate::dns::order::Key;
use crate::dns::seal::Whole;
use crate::dns::sheets::POINTER_REACH;
use crate::dns::zone::Zone;

/// A wildcard's label (RFC 4592 section 2.1.1).
const WILDCARD: [u8; 2] = [1, b'*'];

/// What answers a question.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answered<'z> {
    /// One of a name's sets.
    Set(WireSet<'z>),
    /// The link of a name.
    Link(Whole<'z>),
    /// All its signatures.
    Signatures(Whole<'z>),
}

impl<'z> Answered<'z> {
    /// What a name has of a type; for ANY its first set (RFC 8482 section 4.1).
    pub(crate) fn of(whole: Whole<'z>, rtype: Rtype) -> Option<Self> {
        let mut sets = whole.sets().iter();
        let set = sets.find(|set| rtype == Rtype::ANY || set.rtype() == rtype);
        let sealed = || whole.sets().seal().and(Some(whole));
        match rtype {
            Rtype::NSEC => sealed().map(Self::Link),
            Rtype::RRSIG if set.is_none() => sealed().map(Self::Signatures),
            _ => set.map(Self::Set),
        }
    }

    /// Which type of signatures goes with it.
    pub(crate) fn rtype(&self) -> Rtype {
        match self {
            Self::Set(set) => set.rtype(),
            Self::Link(_) => Rtype::NSEC,
            Self::Signatures(_) => Rtype::RRSIG,
        }
    }

    /// Appends its records, owned by the question's name, to a message; see [`WireSet::append`]. How many they are.
    pub(crate) fn append(
        &self,
        out: &mut Vec<u8>,
        (question, apex): (u16, u16),
        rotation: u64,
    ) -> u16 {
        let owner = pointer(question);
        match self {
            Self::Set(set) => {
                set.append(out, apex, rotation);
                set.count()
            }
            Self::Link(whole) => whole.append_link(&owner, out),
            Self::Signatures(whole) => whole.append_signatures(None, &owner, None, out),
        }
    }
}

/// Where the signatures of an answer are, and what proves a denial.
#[derive(Debug)]
pub(crate) struct Secured<'z> {
    of: Option<Whole<'z>>,
    proof: Proof<'z>,
}

impl<'z> Secured<'z> {
    /// Signatures are those of this name.
    pub(crate) fn new(of: Option<Whole<'z>>, proof: Proof<'z>) -> Self {
        Self { of, proof }
    }

    /// Appends those over a type, with a time to live where that is another one here; how many there are.
    pub(crate) fn append(
        &self,
        rtype: Rtype,
        owner: &[u8],
        ttl: Option<u32>,
        out: &mut Vec<u8>,
    ) -> u16 {
        let append = |of: &Whole<'_>| of.append_signatures(Some(rtype), owner, ttl, out);
        self.of.as_ref().map_or(0, append)
    }

    /// Appends what proves the denial to a message whose question holds the apex at byte `apex`; how many records.
    pub(crate) fn append_proof(&self, apex: u16, out: &mut Vec<u8>) -> u16 {
        self.proof.append(apex, out)
    }
}

/// The links that prove a denial: at most that over the name, and that over the wildcard that could answer for it.
#[derive(Debug, Default)]
pub(crate) struct Proof<'z>([Option<Link<'z>>; 2]);

/// A name that holds records, without the apex, and all that it has.
#[derive(Debug)]
struct Link<'z> {
    name: Vec<u8>,
    whole: Whole<'z>,
}

impl<'z> Proof<'z> {
    /// That a name, which exists, has no records of the type that was asked for.
    pub(crate) fn no_data(zone: &'z Zone, name: &[u8]) -> Self {
        // A name that is there only for those below it is in no link: it lies under that of the name before.
        Self([Link::over(zone, name), None])
    }

    /// That a name is not there, and nothing that would answer for it (RFC 4035 section 3.1.3.2).
    pub(crate) fn no_name(zone: &'z Zone, name: &[u8]) -> Self {
        let over = Link::over(zone, name);
        let wildcard = [&WILDCARD, encloser(zone, name)].concat();
        let wildcard = Link::over(zone, &wildcard)
            .filter(|link| over.as_ref().is_none_or(|over| over.name != link.name));
        Self([over, wildcard])
    }

    /// Appends the links, signed.
    fn append(&self, apex: u16, out: &mut Vec<u8>) -> u16 {
        let links = self.0.iter().flatten();
        links.map(|link| link.append(apex, out)).sum()
    }
}

impl<'z> Link<'z> {
    /// At a name, or over the place where it would be; none where the zone is not signed there.
    fn over(zone: &'z Zone, name: &[u8]) -> Option<Self> {
        let name = zone.order()?.at_or_before(&Key::of(name))?.name();
        let whole = zone.whole(&name)?;
        Some(Self { name, whole })
    }

    fn append(&self, apex: u16, out: &mut Vec<u8>) -> u16 {
        let at = out.len();
        let written = [&self.name[..], &pointer(apex)].concat();
        if self.whole.append_link(&written, out) == 0 {
            return 0;
        }
        let near = u16::try_from(at)
            .ok()
            .filter(|at| usize::from(*at) < POINTER_REACH);
        let owner = near.map_or(written, |at| pointer(at).to_vec());
        1 + self
            .whole
            .append_signatures(Some(Rtype::NSEC), &owner, None, out)
    }
}

/// Bytes that point to a place in the message.
pub(crate) fn pointer(at: u16) -> [u8; 2] {
    (POINTER | at).to_be_bytes()
}

/// The longest name that is there and that this one, which is not, ends in. Names may have 127 labels, and whatever
/// lies above one that is there is there, too: so half of what is left is ruled out with each look.
fn encloser<'n>(zone: &Zone, name: &'n [u8]) -> &'n [u8] {
    let mut above = [0u8; 128];
    let (mut labels, mut at) = (0, 0);
    while let Some(length) = name.get(at) {
        at += 1 + usize::from(*length);
        labels += 1;
        if let (Some(place), Ok(at)) = (above.get_mut(labels), u8::try_from(at)) {
            *place = at;
        }
    }
    let of = |count: usize| name.get(usize::from(above[count])..).unwrap_or_default();
    // That with `low` labels less is missing, that with `high` less, at last the apex, is there.
    let (mut low, mut high) = (0, labels.min(above.len() - 1));
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if zone.at(of(middle)).is_some() {
            high = middle;
        } else {
            low = middle;
        }
    }
    of(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{APEX, addresses};

    #[test]
    fn the_encloser_is_the_longest_name_that_is_there() {
        let mut zone = Zone::new(APEX).unwrap();
        let deep = format!("e.d.c.b.a.{APEX}");
        zone.set(&deep, addresses(&[1])).unwrap();
        for (name, expected) in [
            (&b"\x01x"[..], &b""[..]),
            (b"\x01x\x01x\x01x", b""),
            (b"\x01x\x01a", b"\x01a"),
            (b"\x01x\x01x\x01b\x01a", b"\x01b\x01a"),
            (b"\x01x\x01x\x01d\x01c\x01b\x01a", b"\x01d\x01c\x01b\x01a"),
            (
                b"\x01x\x01e\x01d\x01c\x01b\x01a",
                b"\x01e\x01d\x01c\x01b\x01a",
            ),
        ] {
            assert_eq!(encloser(&zone, name), expected, "{name:?}");
        }
        let longest = b"\x01x".repeat(110);
        assert_eq!(encloser(&zone, &longest), b"");
    }
}
