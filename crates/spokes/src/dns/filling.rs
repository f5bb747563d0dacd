//! A zone that is made in one go: at a start, out of the registry and the signatures that are kept.
//!
//! A zone of millions of names takes seconds to make. Names and signatures come from two places, each in an order of its
//! own, so two threads pour them into the zone's parts; then each part is made by itself, and each name in one piece of
//! memory. Whoever made names first and signed them then would leave a hole behind each.

use std::collections::HashMap;
use std::thread;

use rayon::prelude::*;
use spokes_rules::zone::Node;

use crate::dns::encode::{BadNode, WireName};
use crate::dns::seal::MARK;
use crate::dns::signing::sealed;
use crate::dns::zone::{Piece, SHARDS, Shard, Zone, parent};

/// Names with some bytes each, by the part to which they belong.
#[derive(Debug)]
struct Poured<'z> {
    zone: &'z Zone,
    parts: Box<[Vec<u8>]>,
}

impl<'z> Poured<'z> {
    /// Nothing, for a zone that is empty.
    fn new(zone: &'z Zone) -> Self {
        let parts = (0..SHARDS).map(|_| Vec::new()).collect();
        Self { zone, parts }
    }

    fn pour(&mut self, name: &[u8], bytes: &[u8]) {
        let part = &mut self.parts[self.zone.part_of(name)];
        for bytes in [name, bytes] {
            // What a name has fits a message, and a database keeps nothing that is longer than a gigabyte.
            let length = u32::try_from(bytes.len()).expect("some kilobytes");
            part.extend_from_slice(&length.to_ne_bytes());
            part.extend_from_slice(bytes);
        }
    }
}

/// What was poured into one part.
fn poured(mut part: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let mut next = || {
            let (length, behind) = part.split_first_chunk()?;
            let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
            let (bytes, behind) = behind.split_at_checked(length)?;
            part = behind;
            Some(bytes)
        };
        Some((next()?, next()?))
    })
}

/// The names of a zone that is being made.
#[derive(Debug)]
pub struct Names<'z> {
    sets: Poured<'z>,
    parents: Poured<'z>,
}

impl Names<'_> {
    /// Says all that `owner` answers, which is said once; see [`Zone::set`].
    ///
    /// # Errors
    /// As there.
    pub fn set(&mut self, owner: &str, node: &Node) -> Result<(), BadNode> {
        let (name, sets) = self.sets.zone.encoded(owner, node)?;
        if !sets.is_empty() {
            self.sets.pour(&name, &sets);
            if !name.is_empty() {
                self.parents.pour(parent(&name), &[]);
            }
        }
        Ok(())
    }
}

/// Signatures of a zone that is being made.
#[derive(Debug)]
pub struct Seals<'z>(Poured<'z>);

impl Seals<'_> {
    /// Says what was kept of a name, without the apex. Where there is no such name it is passed over.
    pub fn set(&mut self, name: &[u8], seal: &[u8]) {
        self.0.pour(name, seal);
    }
}

/// Makes a zone: the one says all names, on a thread of its own, the other what is kept of their signatures.
///
/// # Errors
/// Theirs, and [`BadNode::Name`] when `apex` is no name.
pub fn fill<E: From<BadNode> + Send>(
    apex: &str,
    names: impl FnOnce(&mut Names<'_>) -> Result<(), E> + Send,
    seals: impl FnOnce(&mut Seals<'_>) -> Result<(), E>,
) -> Result<Zone, E> {
    let zone = Zone::new(apex)?;
    let poured = || Poured::new(&zone);
    let mut kept = Seals(poured());
    let mut said = Names {
        sets: poured(),
        parents: poured(),
    };
    thread::scope(|scope| {
        let saying = scope.spawn(|| names(&mut said));
        let sealed = seals(&mut kept);
        let said = saying.join();
        sealed.and(said.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    let parts = said.sets.parts.into_vec().into_par_iter();
    let parts = parts.zip(said.parents.parts.into_vec());
    let parts = parts.zip(kept.0.parts.into_vec());
    let apex = zone.apex();
    let made: Vec<Made> = parts
        .map(|((sets, parents), seals)| Made::of(&sets, &parents, &seals, apex))
        .collect();
    Ok(zone.filled(made))
}

/// A part of the zone.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) shard: Shard,
    /// Names that hold nothing and are there for those below them: nobody said yet that they are below others.
    pub(crate) between: Vec<Box<[u8]>>,
}

impl Made {
    fn of(sets: &[u8], parents: &[u8], seals: &[u8], apex: &WireName) -> Self {
        let seals: HashMap<&[u8], &[u8]> = poured(seals).collect();
        let mut made = Self {
            shard: Shard::with_capacity(poured(sets).count()),
            ..Self::default()
        };
        for (name, sets) in poured(sets) {
            let seal = seals.get(name).copied().unwrap_or_default();
            // Older programs kept others, and the apex has signatures among its sets, which are in the seal as well.
            let fits = seal.is_empty() || seal.starts_with(&MARK) && !name.is_empty();
            let piece = if fits {
                Piece::new(name, &[sets, seal])
            } else {
                Piece::new(name, &[&sealed(sets, seal, apex)])
            };
            made.shard.insert(piece, 0);
        }
        for (name, _) in poured(parents) {
            if let Some(children) = made.shard.get_mut(name) {
                *children += 1;
            } else {
                made.shard.insert(Piece::new(name, &[]), 1);
                made.between.push(name.into());
            }
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::dns::testing::{APEX, addresses, apex, apex_with_key};

    /// All that a zone holds, with how many names are below each.
    fn told(zone: &Zone) -> BTreeMap<Vec<u8>, (Vec<u8>, u32)> {
        zone.all()
            .map(|(name, sets, children)| (name.to_vec(), (sets.to_vec(), children)))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// A zone that is made in one go is the one that comes about name by name, whatever is kept of names that are
        /// not there.
        #[test]
        fn all_at_once_is_one_after_the_other(
            said in proptest::collection::vec(
                (proptest::collection::vec(0usize..4, 0..4), proptest::collection::vec(1u8..5, 0..3)),
                0..40,
            ),
            sealed_names in proptest::collection::vec(proptest::collection::vec(0usize..4, 0..4), 0..10),
            has_apex: bool,
        ) {
            let labels = |path: &[usize]| -> String {
                path.iter().map(|n| ["a", "bb", "c-c", "edit"][*n].to_owned() + ".").collect()
            };
            // Each name is said once, and some say nothing.
            let names: BTreeMap<String, Node> = said.iter()
                .filter(|(path, _)| !path.is_empty())
                .map(|(path, last)| (labels(path) + APEX, if last.is_empty() { Node::new() } else { addresses(last) }))
                .chain(has_apex.then(|| (APEX.to_owned(), apex_with_key())))
                .collect();
            let seal_of = |wire: &[u8]| crate::dns::seal::seal(&crate::dns::seal::link(7, wire, b"\0\x01\x40"), []);
            let seals: BTreeMap<Vec<u8>, Vec<u8>> = sealed_names.iter().map(|path| {
                let owner = WireName::parse(&(labels(path) + APEX)).unwrap();
                let apex = WireName::parse(APEX).unwrap();
                let wire = owner.as_slice()[..owner.as_slice().len() - apex.as_slice().len()].to_vec();
                (wire.clone(), seal_of(&wire))
            }).collect();
            let made = fill::<BadNode>(
                APEX,
                |all| names.iter().try_for_each(|(owner, node)| all.set(owner, node)),
                |all| { seals.iter().for_each(|(name, seal)| all.set(name, seal)); Ok(()) },
            ).unwrap();
            let mut one_by_one = Zone::new(APEX).unwrap();
            for (owner, node) in &names {
                one_by_one.set(owner, node.clone()).unwrap();
            }
            for (name, seal) in &seals {
                let sets = one_by_one.at(name).unwrap_or_default().to_vec();
                if !sets.is_empty() {
                    one_by_one.write(name, &sealed(&sets, seal, &WireName::parse(APEX).unwrap()));
                }
            }
            prop_assert_eq!(told(&made), told(&one_by_one));
            prop_assert_eq!(made.len(), one_by_one.len());
            prop_assert_eq!(made.denial().is_some(), has_apex);
        }
    }

    #[test]
    fn what_cannot_be_said_ends_it() {
        let bad = fill::<BadNode>(APEX, |all| all.set("Ada", &addresses(&[1])), |_| Ok(()));
        assert_eq!(bad.unwrap_err(), BadNode::Name("Ada".to_owned()));
        let bad = fill(
            APEX,
            |all| all.set(APEX, &apex()),
            |_| Err(BadNode::Mixed("kept".to_owned())),
        );
        assert_eq!(bad.unwrap_err(), BadNode::Mixed("kept".to_owned()));
        assert!(fill::<BadNode>("", |_| Ok(()), |_| Ok(())).is_err());
    }
}
