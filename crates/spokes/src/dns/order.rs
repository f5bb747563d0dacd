//! The names of a zone that hold records, in the order of RFC 4034 section 6.1: by their labels, the last first.
//!
//! A name's *key* is its labels from the last to the first, a zero behind each. No label has a zero, so keys compare
//! byte by byte as names do. Keys that follow one another share their beginnings: they lie in pieces of about a hundred,
//! each key as how much it has in common with the one before and the rest. A name takes some ten bytes so, where a tree
//! of names takes seventy.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Bytes of a piece, from which on it is cut in two: what is read through to find a name.
const PIECE_BYTES: usize = 1024;
/// The longest key: that of the longest name, which has a length before each label where a key has a zero behind.
const KEY_BYTES_MAX: usize = 255;

/// A set of names of one zone; each is given, and comes back, as its labels before the apex.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// By their first keys.
    pieces: BTreeMap<Box<[u8]>, Vec<u8>>,
    names: usize,
}

/// The key of a name.
fn key_of(name: &[u8]) -> Vec<u8> {
    let (mut rest, mut labels) = (name, Vec::new());
    while let Some((length, behind)) = rest.split_first() {
        let (label, behind) = behind.split_at(usize::from(*length));
        labels.push(label);
        rest = behind;
    }
    let mut key = Vec::with_capacity(name.len());
    for label in labels.into_iter().rev() {
        key.extend_from_slice(label);
        key.push(0);
    }
    key
}

/// The name of a key.
fn name_of(key: &[u8]) -> Box<[u8]> {
    let mut name = Vec::with_capacity(key.len());
    let labels = key.split(|byte| *byte == 0).rev();
    for label in labels.filter(|label| !label.is_empty()) {
        name.push(u8::try_from(label.len()).expect("a label has 63 bytes at most"));
        name.extend_from_slice(label);
    }
    name.into()
}

/// Reads the keys of a piece one after the other.
struct Reader<'p> {
    rest: &'p [u8],
    key: Vec<u8>,
}

impl<'p> Reader<'p> {
    fn new(piece: &'p [u8]) -> Self {
        let key = Vec::with_capacity(KEY_BYTES_MAX);
        Self { rest: piece, key }
    }

    /// The next key.
    fn next(&mut self) -> Option<&[u8]> {
        let ([shared, more], behind) = self.rest.split_first_chunk::<2>()?;
        let (more, behind) = behind.split_at_checked(usize::from(*more))?;
        self.key.truncate((*shared).into());
        self.key.extend_from_slice(more);
        self.rest = behind;
        Some(&self.key)
    }
}

/// Writes keys into a piece.
#[derive(Default)]
struct Writer {
    piece: Vec<u8>,
    last: Vec<u8>,
}

impl Writer {
    fn push(&mut self, key: &[u8]) {
        let pairs = self.last.iter().zip(key);
        let shared = pairs.take_while(|(a, b)| a == b).count();
        let short = |n: usize| u8::try_from(n).expect("a key has 255 bytes at most");
        self.piece.push(short(shared));
        self.piece.push(short(key.len() - shared));
        self.piece.extend_from_slice(&key[shared..]);
        self.last.clear();
        self.last.extend_from_slice(key);
    }
}

impl Order {
    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.names
    }

    /// Adds a name; whether it was not there.
    pub(crate) fn insert(&mut self, name: &[u8]) -> bool {
        let key = key_of(name);
        let Some((first, piece)) = self.take_piece(&key) else {
            let mut writer = Writer::default();
            writer.push(&key);
            self.pieces.insert(key.into(), writer.piece);
            self.names += 1;
            return true;
        };
        let keys = keys(&piece);
        let Err(at) = keys.binary_search(&key) else {
            self.pieces.insert(first, piece);
            return false;
        };
        let mut keys = keys;
        keys.insert(at, key);
        self.put(&keys);
        self.names += 1;
        true
    }

    /// Takes a name out; whether it was there.
    pub(crate) fn remove(&mut self, name: &[u8]) -> bool {
        let key = key_of(name);
        let Some((first, piece)) = self.take_piece(&key) else {
            return false;
        };
        let mut keys = keys(&piece);
        let Ok(at) = keys.binary_search(&key) else {
            self.pieces.insert(first, piece);
            return false;
        };
        keys.remove(at);
        self.put(&keys);
        self.names -= 1;
        true
    }

    /// The name before the place where this one is, or would be; around the beginning the last. None where there is
    /// no name at all.
    pub(crate) fn before(&self, name: &[u8]) -> Option<Box<[u8]>> {
        let key = key_of(name);
        let below = self
            .pieces
            .range::<[u8], _>((Bound::Unbounded, Bound::Excluded(&key[..])));
        let last = || self.pieces.iter().next_back();
        let (_, piece) = below.into_iter().next_back().or_else(last)?;
        let (mut reader, mut found, mut last) = (Reader::new(piece), None, None);
        while let Some(next) = reader.next() {
            if next < &key[..] {
                found = Some(name_of(next));
            }
            last = Some(next.to_vec());
        }
        found.or_else(|| last.map(|key| name_of(&key)))
    }

    /// The name behind that place; around the end the first.
    pub(crate) fn behind(&self, name: &[u8]) -> Option<Box<[u8]>> {
        let key = key_of(name);
        let at = self
            .pieces
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(&key[..])));
        if let Some((_, piece)) = at.into_iter().next_back() {
            let mut reader = Reader::new(piece);
            while let Some(next) = reader.next() {
                if next > &key[..] {
                    return Some(name_of(next));
                }
            }
        }
        let above = self
            .pieces
            .range::<[u8], _>((Bound::Excluded(&key[..]), Bound::Unbounded));
        let first = || self.pieces.iter().next();
        let (first, _) = above.into_iter().next().or_else(first)?;
        Some(name_of(first))
    }

    /// At most so many names from that place on, in their order.
    pub(crate) fn from(&self, name: &[u8], most: usize) -> Vec<Box<[u8]>> {
        let key = key_of(name);
        let at = self
            .pieces
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(&key[..])));
        let first = at
            .into_iter()
            .next_back()
            .map_or(&[][..], |(first, _)| first);
        let pieces = self
            .pieces
            .range::<[u8], _>((Bound::Included(first), Bound::Unbounded));
        let mut names = Vec::new();
        for (_, piece) in pieces {
            let mut reader = Reader::new(piece);
            while let Some(next) = reader.next() {
                if names.len() == most {
                    return names;
                }
                if next >= &key[..] {
                    names.push(name_of(next));
                }
            }
        }
        names
    }

    /// Takes the piece in which a key is or would be.
    fn take_piece(&mut self, key: &[u8]) -> Option<(Box<[u8]>, Vec<u8>)> {
        let at = self
            .pieces
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        let first = at
            .into_iter()
            .next_back()
            .or_else(|| self.pieces.iter().next());
        let first = first.map(|(first, _)| first.clone())?;
        self.pieces.remove_entry(&first)
    }

    /// Puts keys back, in two pieces where they are too many for one.
    fn put(&mut self, keys: &[Vec<u8>]) {
        let mut writer = Writer::default();
        keys.iter().for_each(|key| writer.push(key));
        if writer.piece.len() > PIECE_BYTES && keys.len() > 1 {
            let (low, high) = keys.split_at(keys.len() / 2);
            self.put(low);
            self.put(high);
        } else if let Some(first) = keys.first() {
            self.pieces.insert(first.as_slice().into(), writer.piece);
        }
    }
}

/// All keys of a piece.
fn keys(piece: &[u8]) -> Vec<Vec<u8>> {
    let (mut reader, mut keys) = (Reader::new(piece), Vec::new());
    while let Some(key) = reader.next() {
        keys.push(key.to_vec());
    }
    keys
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use spokes_rules::dnssec::canonical;

    use super::*;

    fn wire(name: &str) -> Vec<u8> {
        let mut wire = spokes_rules::dnssec::wire(name);
        wire.pop();
        wire
    }

    #[test]
    fn a_key_is_read_back_as_its_name() {
        for name in ["", "maria", "edit.maria", "_blog.maria", "a.b.c.d"] {
            let name = wire(name);
            assert_eq!(*name_of(&key_of(&name)), name[..]);
        }
    }

    #[test]
    fn an_empty_order_has_no_neighbours_and_one_name_is_its_own() {
        let mut order = Order::default();
        assert_eq!(order.before(&wire("a")), None);
        assert_eq!(order.behind(&wire("a")), None);
        assert!(order.insert(&[]) && !order.insert(&[]));
        assert_eq!(order.behind(&[]), Some([].into()));
        assert_eq!(order.before(&wire("a")), Some([].into()));
        assert!(order.remove(&[]) && !order.remove(&[]));
        assert_eq!(order.len(), 0);
    }

    #[test]
    fn a_name_takes_few_bytes() {
        let mut order = Order::default();
        for n in 0..30_000 {
            for child in ["", "edit.", "_blog."] {
                assert!(order.insert(&wire(&format!("{child}name{n}"))));
            }
        }
        let pieces = order.pieces.iter();
        let bytes: usize = pieces
            .map(|(first, piece)| 48 + first.len() + piece.capacity())
            .sum();
        assert!(bytes / order.len() < 16, "{} bytes", bytes / order.len());
    }

    proptest! {
        /// As a set of names in their order would have it.
        #[test]
        fn it_is_a_set_in_canonical_order(
            steps in proptest::collection::vec(("[a-c]{1,2}(\\.[a-c]{1,2}){0,2}", any::<bool>()), 0..300),
            asked in "[a-d]{1,2}(\\.[a-d]{1,2}){0,2}",
        ) {
            let (mut order, mut set) = (Order::default(), BTreeSet::new());
            for (name, comes) in steps {
                let name = wire(&name);
                let labels: Vec<Vec<u8>> = canonical(&name).into_iter().map(<[u8]>::to_vec).collect();
                if comes {
                    prop_assert_eq!(order.insert(&name), set.insert((labels, name)));
                } else {
                    prop_assert_eq!(order.remove(&name), set.remove(&(labels, name)));
                }
                prop_assert_eq!(order.len(), set.len());
            }
            let asked = wire(&asked);
            let labels: Vec<Vec<u8>> = canonical(&asked).into_iter().map(<[u8]>::to_vec).collect();
            let place = (labels, asked.clone());
            let name = |found: Option<&(Vec<Vec<u8>>, Vec<u8>)>| found.map(|(_, name)| name.as_slice().into());
            let before = set.range(..&place).next_back().or_else(|| set.last());
            prop_assert_eq!(order.before(&asked), name(before));
            let behind = set.range(&place..).find(|found| **found != place).or_else(|| set.first());
            prop_assert_eq!(order.behind(&asked), name(behind));
            let from: Vec<Box<[u8]>> = set.range(&place..).take(7).map(|(_, n)| n.as_slice().into()).collect();
            prop_assert_eq!(order.from(&asked, 7), from);
        }
    }
}
