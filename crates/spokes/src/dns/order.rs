//! The canonical order of the zone's names (RFC 4034 section 6.1): a signed zone proves that a name is not there by the
//! two between which it would stand.
//!
//! Names here are their labels before the apex, as they travel; the apex is none. It comes first, and behind the last
//! name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use rayon::prelude::*;

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
        let mut key = Vec::with_capacity(name.len());
        push_key(name, &mut key);
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

/// Adds a name's key to bytes.
fn push_key(name: &[u8], out: &mut Vec<u8>) {
    // Few names have more labels than these, which need no memory of their own.
    let (mut few, mut more) = ([&[][..]; 8], Vec::new());
    let (mut rest, mut count) = (name, 0);
    while let Some((label, behind)) = first_label(rest) {
        match few.get_mut(count) {
            Some(place) => *place = label,
            None => more.push(label),
        }
        count += 1;
        rest = behind;
    }
    for label in more
        .iter()
        .rev()
        .chain(few[..count.min(few.len())].iter().rev())
    {
        if label.iter().all(|byte| *byte > ESCAPE) {
            out.extend_from_slice(label);
        } else {
            for byte in *label {
                match *byte {
                    byte @ (END | ESCAPE) => out.extend([ESCAPE, byte + 1]),
                    byte => out.push(byte),
                }
            }
        }
        out.push(END);
    }
}

/// The first label of a name, and what is behind it; none behind the last.
fn first_label(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, behind) = name.split_first()?;
    let length = usize::from(*length).min(behind.len());
    (length > 0).then(|| behind.split_at(length))
}

/// Bytes from which on a block is cut in two: some fifty names, which are gone through for each question.
const BLOCK_BYTES: usize = 512;

/// Names that hold records, in their order.
///
/// Blogs have names that begin alike, and a zone has millions of them. So they lie in blocks, each by its first name,
/// and a block has of each further name what the one before it does not have: how many bytes they share, how many are
/// others, and these.
#[derive(Debug, Default)]
pub(crate) struct Order(BTreeMap<Key, Box<[u8]>>);

/// Goes through a block from its first name on.
struct Walk<'a> {
    block: &'a [u8],
    /// Where in it the name behind this one lies.
    at: usize,
    key: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn new(first: &Key, block: &'a [u8]) -> Self {
        let key = first.0.to_vec();
        Self { block, at: 0, key }
    }

    /// How many bytes the next name shares with this one, and its others; none behind the last.
    fn peek(&self) -> Option<(usize, &'a [u8])> {
        let (shared, behind) = self.block.get(self.at..)?.split_first()?;
        let (length, behind) = behind.split_first()?;
        Some((usize::from(*shared), behind.get(..usize::from(*length))?))
    }

    /// Goes on to the next name, if there is one.
    fn step(&mut self) -> bool {
        let Some((shared, others)) = self.peek() else {
            return false;
        };
        self.key.truncate(shared);
        self.key.extend_from_slice(others);
        self.at += 2 + others.len();
        true
    }

    /// Goes on from a name before a place to the last one before it, or at it where that counts too.
    fn go_before(&mut self, place: &[u8], or_at: bool) {
        let mut common = shared(&self.key, place);
        while let Some((shares, others)) = self.peek() {
            // What has more in common with a name before the place than the place has is before it as well, and what
            // has less is behind both.
            if shares < common {
                return;
            }
            if shares == common {
                let rest = &place[common..];
                let order = others.cmp(rest);
                if order.is_gt() || order.is_eq() && !or_at {
                    return;
                }
                common += shared(others, rest);
            }
            self.step();
        }
    }
}

/// How many bytes begin both.
fn shared(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().zip(other);
    pairs.take_while(|(one, other)| one == other).count()
}

/// Adds a name to a block, behind another one.
fn push(block: &mut Vec<u8>, before: &[u8], key: &[u8]) {
    let shares = shared(before, key);
    let others = &key[shares..];
    let byte = |count| u8::try_from(count).expect("a name that is held has 255 bytes at most");
    block.extend_from_slice(&[byte(shares), byte(others.len())]);
    block.extend_from_slice(others);
}

impl Order {
    /// These names, without the apex.
    pub(crate) fn of<'n>(names: impl Iterator<Item = &'n [u8]>) -> Self {
        // One piece of memory for all keys, and what is compared first beside where they lie: they are millions.
        let (mut keys, mut places) = (Vec::new(), Vec::<(u128, usize, u32)>::new());
        for name in names {
            let at = keys.len();
            push_key(name, &mut keys);
            let (key, mut begin) = (&keys[at..], [0; size_of::<u128>()]);
            let length = key.len().min(begin.len());
            begin[..length].copy_from_slice(&key[..length]);
            let length = u32::try_from(key.len()).expect("some hundred bytes");
            places.push((u128::from_be_bytes(begin), at, length));
        }
        let key = |at: usize, length: u32| &keys[at..at + length as usize];
        places.par_sort_unstable_by(|(begins, at, length), (other, other_at, other_length)| {
            let rest = || key(*at, *length).cmp(key(*other_at, *other_length));
            begins.cmp(other).then_with(rest)
        });
        Self::of_sorted(places.iter().map(|(_, at, length)| key(*at, *length)))
    }

    /// Names whose keys come in their order.
    fn of_sorted<'k>(keys: impl Iterator<Item = &'k [u8]>) -> Self {
        let mut order = Self::default();
        let (mut first, mut block, mut last): (Option<&[u8]>, Vec<u8>, &[u8]) =
            (None, Vec::new(), &[]);
        let mut put =
            |first: &[u8], block: &[u8]| drop(order.0.insert(Key(first.into()), block.into()));
        for key in keys {
            match first {
                Some(begun) if block.len() >= BLOCK_BYTES / 2 => {
                    put(begun, &block);
                    block.clear();
                    first = Some(key);
                }
                Some(_) => push(&mut block, last, key),
                None => first = Some(key),
            }
            last = key;
        }
        if let Some(begun) = first {
            put(begun, &block);
        }
        order
    }

    /// The block in which a name lies, or would.
    fn block(&self, key: &Key) -> Option<(&Key, &[u8])> {
        let mut before = self.0.range::<Key, _>(..=key);
        before.next_back().map(|(first, block)| (first, &block[..]))
    }

    /// Puts a name in its place.
    pub(crate) fn insert(&mut self, name: &[u8]) {
        let key = Key::of(name);
        let Some((first, block)) = self.block(&key) else {
            // It comes before all others, whose first is the one behind it from now on.
            let mut block = Vec::new();
            if let Some((first, behind)) = self.0.pop_first() {
                push(&mut block, &key.0, &first.0);
                block.extend_from_slice(&behind);
            }
            self.put(key, block);
            return;
        };
        let mut walk = Walk::new(first, block);
        walk.go_before(&key.0, true);
        if walk.key == *key.0 {
            return;
        }
        let mut changed = block[..walk.at].to_vec();
        push(&mut changed, &walk.key, &key.0);
        if walk.step() {
            push(&mut changed, &key.0, &walk.key);
            changed.extend_from_slice(&block[walk.at..]);
        }
        let first = first.clone();
        self.put(first, changed);
    }

    /// Takes a name out.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        let key = Key::of(name);
        let Some((first, block)) = self.block(&key) else {
            return;
        };
        let mut walk = Walk::new(first, block);
        let (first, changed) = if *first == key {
            let behind = walk.step().then(|| Key(walk.key[..].into()));
            let changed = block[walk.at..].to_vec();
            self.0.remove(&key);
            (behind, changed)
        } else {
            walk.go_before(&key.0, false);
            let (before, at) = (walk.key.clone(), walk.at);
            if !walk.step() || walk.key != *key.0 {
                return;
            }
            let mut changed = block[..at].to_vec();
            if walk.step() {
                push(&mut changed, &before, &walk.key);
                changed.extend_from_slice(&block[walk.at..]);
            }
            (Some(first.clone()), changed)
        };
        if let Some(first) = first {
            self.put(first, changed);
        }
    }

    fn put(&mut self, first: Key, block: Vec<u8>) {
        if block.len() < BLOCK_BYTES {
            self.0.insert(first, block.into());
            return;
        }
        let mut walk = Walk::new(&first, &block);
        let mut end = 0;
        while walk.at < block.len() / 2 {
            end = walk.at;
            walk.step();
        }
        let (second, behind) = (Key(walk.key[..].into()), block[walk.at..].into());
        self.0.insert(second, behind);
        self.0.insert(first, block[..end].into());
    }

    /// The names behind one; all where there is none.
    pub(crate) fn behind(&self, key: Option<&Key>) -> impl Iterator<Item = Key> {
        let from = key.and_then(|key| self.block(key));
        let from = from.map_or(Bound::Unbounded, |(first, _)| Bound::Included(first));
        let blocks = self.0.range::<Key, _>((from, Bound::Unbounded));
        let place = key.cloned();
        blocks.flat_map(move |(first, block)| {
            let mut walk = Walk::new(first, block);
            let mut is_there = true;
            // Of the first block only what is behind it.
            if let Some(place) = place.as_ref().filter(|place| first <= place) {
                walk.go_before(&place.0, true);
                is_there = walk.step();
            }
            std::iter::from_fn(move || {
                let key = is_there.then(|| Key(walk.key[..].into()));
                is_there = is_there && walk.step();
                key
            })
        })
    }

    /// The name at a place, or the last one before it; none where there is no name at all.
    pub(crate) fn at_or_before(&self, place: &Key) -> Option<Key> {
        self.last_of(place, true).or_else(|| self.last())
    }

    fn last(&self) -> Option<Key> {
        let (first, block) = self.0.last_key_value()?;
        let mut walk = Walk::new(first, block);
        while walk.step() {}
        Some(Key(walk.key.into()))
    }

    /// The last name before a place, or at it.
    fn last_of(&self, place: &Key, or_at: bool) -> Option<Key> {
        let to = if or_at {
            Bound::Included(place)
        } else {
            Bound::Excluded(place)
        };
        let mut blocks = self.0.range::<Key, _>((Bound::Unbounded, to));
        let (first, block) = blocks.next_back()?;
        let mut walk = Walk::new(first, block);
        walk.go_before(&place.0, or_at);
        Some(Key(walk.key.into()))
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
    pub(crate) fn touched(&self) -> BTreeSet<Key> {
        let noted = self.come.iter().chain(&self.gone);
        // Where the name before is gone itself, the one before that is found from there: so a long row of names that
        // go is not walked for each of them.
        let before = noted.filter_map(|key| self.just_before(key));
        let before = before.filter(|key| !self.gone.contains(key));
        before.chain(self.come.iter().cloned()).collect()
    }

    /// The name behind this one; the first behind the last.
    pub(crate) fn after(&self, key: &Key) -> Option<Key> {
        self.behind(Some(key)).or_else(|| self.behind(None))
    }

    /// The name before this one, perhaps one that goes; the last before the first.
    fn just_before(&self, key: &Key) -> Option<Key> {
        let come = self.come.range::<Key, _>(..key).next_back().cloned();
        let before = self.order.last_of(key, false).max(come);
        before.or_else(|| self.order.last().max(self.come.last().cloned()))
    }

    fn behind(&self, key: Option<&Key>) -> Option<Key> {
        let mut stays = self.order.behind(key);
        let stays = stays.find(|key| !self.gone.contains(key));
        let from = key.map_or(Bound::Unbounded, Bound::Excluded);
        let come = self.come.range((from, Bound::Unbounded)).next().cloned();
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
        proptest::collection::vec(label, 0..12).prop_map(|labels| wire(&labels))
    }

    /// Enough names to fill some blocks, many of which begin alike.
    fn many() -> impl Strategy<Value = Vec<u8>> {
        let label = prop_oneof![
            (0u16..600).prop_map(|n| format!("name{n}").into_bytes()),
            (0u8..3).prop_map(|n| vec![b'a'; 1 + usize::from(n) * 30]),
        ];
        proptest::collection::vec(label, 0..3).prop_map(|labels| wire(&labels))
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
                let names: Vec<Key> = order.behind(None).collect();
                let at = names.iter().position(|other| other == key)?;
                names.iter().cycle().nth(at + 1).cloned()
            };
            let mut touched = BTreeSet::new();
            for key in made.behind(None) {
                prop_assert_eq!(changed.after(&key), next(&made, &key));
                if next(&order, &key) != next(&made, &key) {
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
            prop_assert_eq!(order.at_or_before(&asked), expected.cloned());
        }

        /// Whatever comes and goes, blocks hold what a set would, and say the same of it.
        #[test]
        fn blocks_hold_what_a_set_would(
            steps in proptest::collection::vec((many(), any::<bool>()), 0..400),
            sorted in any::<bool>(),
            asked in many(),
        ) {
            let (mut order, mut set) = (Order::default(), BTreeSet::new());
            if sorted {
                set = steps.iter().map(|(name, _)| Key::of(name)).collect();
                let names: BTreeSet<&[u8]> = steps.iter().map(|(name, _)| &name[..]).collect();
                order = Order::of(names.into_iter());
            }
            for (name, comes) in &steps {
                if *comes {
                    order.insert(name);
                    set.insert(Key::of(name));
                } else {
                    order.remove(name);
                    set.remove(&Key::of(name));
                }
            }
            let asked = Key::of(&asked);
            prop_assert!(order.behind(None).eq(set.iter().cloned()));
            prop_assert!(order.0.values().all(|block| block.len() < BLOCK_BYTES));
            let behind = set.range((Bound::Excluded(&asked), Bound::Unbounded));
            prop_assert!(order.behind(Some(&asked)).eq(behind.cloned()));
            let last = set.range(..=&asked).next_back();
            prop_assert_eq!(order.last_of(&asked, true), last.cloned());
            let last = set.range(..&asked).next_back();
            prop_assert_eq!(order.last_of(&asked, false), last.cloned());
            prop_assert_eq!(order.last(), set.last().cloned());
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
