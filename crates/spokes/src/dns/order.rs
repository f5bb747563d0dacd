//! The canonical order of the zone's names (RFC 4034 section 6.1): a signed zone proves that a name is not there by the
//! two between which it would stand.
//!
//! Names here are their labels before the apex, as they travel; the apex is none. It comes first, and behind the last
//! name.

use std::collections::BTreeSet;
use std::ops::Bound;

/// Ends a label: below all other bytes of a key, so that a name comes before those that its labels begin.
const END: u8 = 0;
/// Stands before a byte that would be read as one of these two.
const ESCAPE: u8 = 1;

/// A name so that bytes compare as names do: its labels, the last first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(Box<[u8]>);

impl Key {
    /// The key of a name; anything may be asked for, so labels hold any bytes.
    pub(crate) fn of(name: &[u8]) -> Self {
        let (mut rest, mut labels) = (name, Vec::with_capacity(4));
        while let Some((label, behind)) = first_label(rest) {
            labels.push(label);
            rest = behind;
        }
        let mut key = Vec::with_capacity(name.len());
        for label in labels.into_iter().rev() {
            for byte in label {
                match *byte {
                    byte @ (END | ESCAPE) => key.extend([ESCAPE, byte + 1]),
                    byte => key.push(byte),
                }
            }
            key.push(END);
        }
        Self(key.into())
    }

    /// The name.
    pub(crate) fn name(&self) -> Vec<u8> {
        let mut name = Vec::with_capacity(self.0.len());
        let body = self.0.strip_suffix(&[END]).unwrap_or_default();
        if self.0.is_empty() {
            return name;
        }
        for label in body.rsplit(|byte| *byte == END) {
            let at = name.len();
            name.push(0);
            let mut bytes = label.iter();
            while let Some(byte) = bytes.next() {
                match *byte {
                    ESCAPE => name.extend(bytes.next().map(|byte| byte - 1)),
                    byte => name.push(byte),
                }
            }
            // A label has 63 bytes at most.
            name[at] = u8::try_from(name.len() - at - 1).unwrap_or(u8::MAX);
        }
        name
    }
}

/// The first label of a name, and what is behind it; none behind the last.
fn first_label(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, behind) = name.split_first()?;
    let length = usize::from(*length).min(behind.len());
    (length > 0).then(|| behind.split_at(length))
}

/// Names that hold records, in their order.
#[derive(Debug, Default)]
pub(crate) struct Order(BTreeSet<Key>);

impl Order {
    /// Puts a name in its place.
    pub(crate) fn insert(&mut self, name: &[u8]) {
        self.0.insert(Key::of(name));
    }

    /// Takes a name out.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.0.remove(&Key::of(name));
    }

    /// The names behind one; all where there is none.
    pub(crate) fn behind(&self, key: Option<Key>) -> impl Iterator<Item = &Key> {
        let from = key.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.range((from, Bound::Unbounded))
    }

    /// The name at a place, or the last one before it; none where there is no name at all.
    pub(crate) fn at_or_before(&self, place: &Key) -> Option<&Key> {
        self.0.range(..=place).next_back().or(self.0.last())
    }
}

/// An order with some names more and some less, without a copy of it.
#[derive(Debug)]
pub(crate) struct Changed<'a> {
    order: &'a Order,
    come: BTreeSet<Key>,
    gone: BTreeSet<Key>,
}

impl<'a> Changed<'a> {
    /// Nothing has come or gone so far.
    pub(crate) fn new(order: &'a Order) -> Self {
        let (come, gone) = (BTreeSet::new(), BTreeSet::new());
        Self { order, come, gone }
    }

    /// Notes that a name holds records from now on, or none.
    pub(crate) fn note(&mut self, key: Key, holds: bool) {
        let noted = if holds {
            &mut self.come
        } else {
            &mut self.gone
        };
        noted.insert(key);
    }

    /// The names whose next one is another now, and those that came.
    pub(crate) fn touched(&self) -> BTreeSet<&Key> {
        let noted = self.come.iter().chain(&self.gone);
        // Where the name before is gone itself, the one before that is found from there: so a long row of names that
        // go is not walked for each of them.
        let before = noted.filter_map(|key| self.just_before(key));
        let before = before.filter(|key| !self.gone.contains(key));
        before.chain(&self.come).collect()
    }

    /// The name behind this one; the first behind the last.
    pub(crate) fn after(&self, key: &Key) -> Option<&Key> {
        self.behind((Bound::Excluded(key), Bound::Unbounded))
            .or_else(|| self.behind((Bound::Unbounded, Bound::Unbounded)))
    }

    /// The name before this one, perhaps one that goes; the last before the first.
    fn just_before(&self, key: &Key) -> Option<&Key> {
        let last_of = |to: Bound<&Key>| {
            let was = self.order.0.range((Bound::Unbounded, to)).next_back();
            was.max(self.come.range((Bound::Unbounded, to)).next_back())
        };
        last_of(Bound::Excluded(key)).or_else(|| last_of(Bound::Unbounded))
    }

    fn behind(&self, range: (Bound<&Key>, Bound<&Key>)) -> Option<&Key> {
        let mut stays = self.order.0.range(range);
        let stays = stays.find(|key| !self.gone.contains(key));
        let come = self.come.range(range).next();
        match (stays, come) {
            (Some(stays), Some(come)) => Some(stays.min(come)),
            (stays, come) => stays.or(come),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use spokes_rules::dnssec::canonical;

    use super::*;

    fn wire(labels: &[Vec<u8>]) -> Vec<u8> {
        let mut name = Vec::new();
        for label in labels {
            name.push(u8::try_from(label.len()).unwrap());
            name.extend(label);
        }
        name
    }

    fn name() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![0u8..4, 97u8..100, Just(255u8)];
        let label = proptest::collection::vec(byte, 1..4);
        proptest::collection::vec(label, 0..4).prop_map(|labels| wire(&labels))
    }

    proptest! {
        #[test]
        fn keys_compare_as_names_do_and_lead_back_to_them(one in name(), other in name()) {
            prop_assert_eq!(
                Key::of(&one).cmp(&Key::of(&other)),
                canonical(&one).cmp(&canonical(&other)),
            );
            prop_assert_eq!(Key::of(&one).name(), one);
        }

        /// What is told of an order that is not made yet is what it says when it is.
        #[test]
        fn what_is_touched_is_what_has_another_next_one(
            there in proptest::collection::btree_set(name(), 0..12),
            changes in proptest::collection::btree_map(name(), any::<bool>(), 0..12),
        ) {
            // The apex is always there.
            let all = |names: &BTreeSet<Vec<u8>>| {
                let mut order = Order::default();
                order.insert(b"");
                names.iter().for_each(|name| order.insert(name));
                order
            };
            let (order, mut names) = (all(&there), there.clone());
            let mut changed = Changed::new(&order);
            for (name, holds) in changes.iter().filter(|(name, _)| !name.is_empty()) {
                if there.contains(name) != *holds {
                    changed.note(Key::of(name), *holds);
                }
                if *holds { names.insert(name.clone()); } else { names.remove(name); }
            }
            let made = all(&names);
            let next = |order: &Order, key: &Key| {
                let at = order.0.iter().position(|other| other == key)?;
                order.0.iter().cycle().nth(at + 1).cloned()
            };
            let mut touched = BTreeSet::new();
            for key in &made.0 {
                prop_assert_eq!(changed.after(key).cloned(), next(&made, key));
                if next(&order, key) != next(&made, key) {
                    touched.insert(key);
                }
            }
            prop_assert_eq!(changed.touched(), touched);
        }

        #[test]
        fn a_place_lies_behind_the_last_name_before_it(
            there in proptest::collection::btree_set(name(), 1..12),
            asked in name(),
        ) {
            let mut order = Order::default();
            there.iter().for_each(|name| order.insert(name));
            let asked = Key::of(&asked);
            let keys: Vec<Key> = there.iter().map(|name| Key::of(name)).collect();
            let before = keys.iter().filter(|key| **key <= asked).max();
            let expected = before.or(keys.iter().max());
            prop_assert_eq!(order.at_or_before(&asked), expected);
        }
    }

    #[test]
    fn the_apex_comes_first() {
        assert_eq!(Key::of(b"").name(), b"");
        assert!(Key::of(b"") < Key::of(b"\x01a"));
        assert!(Key::of(b"\x01a") < Key::of(b"\x01*\x01a"));
        assert!(Key::of(b"\x01z\x01a") < Key::of(b"\x02ab"));
    }
}
