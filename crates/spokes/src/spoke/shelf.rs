//! What was made once and is kept within a budget of bytes.

use std::{collections::BTreeMap, mem};

/// Two halves of a budget: what is asked for moves to the front half, and when that is full, what is
/// left in the other one goes. So what readers want stays, whatever else strangers ask for once.
#[derive(Debug)]
pub(super) struct Shelf<K, V> {
    front: Half<K, V>,
    back: Half<K, V>,
    half_bytes: usize,
}

#[derive(Debug)]
struct Half<K, V> {
    bytes: usize,
    items: BTreeMap<K, (usize, V)>,
}

impl<K: Ord, V> Default for Half<K, V> {
    fn default() -> Self {
        Self {
            bytes: 0,
            items: BTreeMap::new(),
        }
    }
}

impl<K: Ord, V> Half<K, V> {
    fn take<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<(K, (usize, V))>
    where
        K: std::borrow::Borrow<Q>,
    {
        let (key, item) = self.items.remove_entry(key)?;
        self.bytes -= item.0;
        Some((key, item))
    }
}

impl<K: Ord, V: Clone> Shelf<K, V> {
    /// An empty shelf for so many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            front: Half::default(),
            back: Half::default(),
            half_bytes: bytes_max / 2,
        }
    }

    /// What is kept under this key.
    pub(super) fn get<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        if let Some((_, value)) = self.front.items.get(key) {
            return Some(value.clone());
        }
        let (key, (bytes, value)) = self.back.take(key)?;
        self.put(key, bytes, value.clone());
        Some(value)
    }

    /// Keeps something of so many bytes; what is larger than half the budget is not kept.
    pub(super) fn put(&mut self, key: K, bytes: usize, value: V) {
        self.remove(&key);
        if bytes > self.half_bytes {
            return;
        }
        if self.front.bytes + bytes > self.half_bytes {
            self.back = mem::take(&mut self.front);
        }
        self.front.bytes += bytes;
        self.front.items.insert(key, (bytes, value));
    }

    /// Forgets what is kept under this key.
    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        for half in [&mut self.front, &mut self.back] {
            drop(half.take(key));
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        (self.front, self.back) = (Half::default(), Half::default());
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.front.bytes + self.back.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_stays_whatever_comes_by() {
        let mut shelf = Shelf::new(1_000);
        shelf.put("wanted".to_owned(), 100, 0);
        for stranger in 1..1_000 {
            shelf.put(format!("stranger {stranger}"), 90, stranger);
            assert_eq!(shelf.get("wanted"), Some(0), "after {stranger}");
            assert!(shelf.bytes() <= 1_000, "{} bytes", shelf.bytes());
        }
        assert_eq!(shelf.get("stranger 1"), None);
        assert_eq!(shelf.get("stranger 999"), Some(999));
    }

    #[test]
    fn a_key_is_kept_once_and_what_is_too_large_not_at_all() {
        let mut shelf = Shelf::new(1_000);
        for bytes in [400, 10, 400] {
            shelf.put("a", bytes, bytes);
            assert_eq!((shelf.bytes(), shelf.get("a")), (bytes, Some(bytes)));
        }
        shelf.put("a", 501, 501);
        assert_eq!((shelf.bytes(), shelf.get("a")), (0, None));
        shelf.put("b", 500, 1);
        shelf.put("c", 500, 2);
        assert_eq!((shelf.get("b"), shelf.get("c")), (Some(1), Some(2)));
        shelf.remove("b");
        assert_eq!(shelf.bytes(), 500);
        shelf.clear();
        assert_eq!((shelf.bytes(), shelf.get("c")), (0, None));
    }
}
