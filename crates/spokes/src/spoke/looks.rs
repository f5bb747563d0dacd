//! What a page must know of its media before it shows them: what they are, and how large.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use spokes_log::{
    draft::Draft,
    name::{BlogId, Hash},
};

use super::Spoke;
use crate::render::{
    self, Links, Medium,
    size::{self, Size},
};

/// Pictures of one article are read whole, since only then they are what their names say; their size
/// costs no more than this many bytes. Those behind have none, on every spoke the same ones.
const MEASURED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Sizes kept in memory, some 70 bytes each; beyond it they are read anew.
const SIZES_MAX: usize = 8_192;
/// Media that pages lack and that come again: more is a lost disk, and one of them will do.
const MISSED_MAX: usize = 1_024;

/// Sizes that were read once, and media that were looked for in vain.
#[derive(Debug, Default)]
pub(super) struct Looks {
    sizes: Mutex<BTreeMap<Hash, Option<Size>>>,
    missed: Mutex<Missed>,
}

#[derive(Debug, Default)]
struct Missed {
    of_blogs: BTreeMap<BlogId, BTreeSet<Hash>>,
    /// How often one of them came back.
    came: u64,
}

impl Looks {
    fn miss(&self, blog: BlogId, hash: Hash) {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if missed.of_blogs.values().map(BTreeSet::len).sum::<usize>() < MISSED_MAX {
            missed.of_blogs.entry(blog).or_default().insert(hash);
        }
    }

    /// A number that is another one when something that a page of this blog lacked is here again.
    pub(super) fn came(&self, blog: BlogId, is_here: impl Fn(Hash) -> bool) -> u64 {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hashes) = missed.of_blogs.get_mut(&blog) {
            let before = hashes.len();
            hashes.retain(|hash| !is_here(*hash));
            let (left, came) = (hashes.len(), before - hashes.len());
            if left == 0 {
                missed.of_blogs.remove(&blog);
            }
            missed.came += came as u64;
        }
        missed.came
    }

    /// A picture's size by its checked bytes; none when it is not at hand.
    fn size(&self, hash: Hash, read: impl FnOnce() -> Option<Vec<u8>>) -> Option<Option<Size>> {
        let sizes = || self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sizes().get(&hash) {
            return Some(*known);
        }
        let size = size::of_picture(&read()?);
        let mut sizes = sizes();
        if sizes.len() >= SIZES_MAX {
            sizes.clear();
        }
        sizes.insert(hash, size);
        Some(size)
    }
}

impl Spoke {
    /// An article's HTML, and whether all that it shows was at hand. It depends on nothing but the
    /// entry and the media that it lists.
    pub(super) fn article(&self, blog: BlogId, draft: &Draft, links: &Links) -> (String, bool) {
        let listed = draft.article().map_or(&[][..], |article| &article.media);
        let (left, whole) = (Cell::new(MEASURED_BYTES_MAX), Cell::new(true));
        let look = |hash: Hash| {
            let listed = listed.iter().find(|medium| medium.hash == hash)?;
            let medium = Medium::of_kind(listed.kind.as_str());
            if !matches!(medium, Medium::Picture(_)) {
                return Some(medium);
            }
            let Some(rest) = left.get().checked_sub(listed.bytes) else {
                left.set(0);
                return Some(medium);
            };
            left.set(rest);
            let size = self.looks.size(hash, || self.blobs.get(hash));
            if size.is_none() {
                whole.set(false);
                self.looks.miss(blog, hash);
            }
            Some(Medium::Picture(size.flatten()))
        };
        let html = render::illustrated(&draft.body, links, &look);
        (html, whole.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIF: &[u8] = b"GIF89a\x25\0\x15\0";

    #[test]
    fn what_came_back_makes_another_page() {
        let looks = Looks::default();
        let (blog, other) = (Hash::of(b"blog"), Hash::of(b"other"));
        let hash = Hash::of(GIF);
        let before = looks.came(blog, |_| false);
        assert_eq!(looks.size(hash, || None), None);
        looks.miss(blog, hash);
        assert_eq!(looks.came(blog, |_| false), before);
        assert_eq!(looks.came(other, |_| true), before);
        let after = looks.came(blog, |_| true);
        assert_ne!(after, before);
        assert_eq!(looks.came(blog, |_| true), after);
        assert!(looks.size(hash, || Some(GIF.to_vec())).flatten().is_some());
        assert!(looks.size(hash, || None).flatten().is_some(), "read once");
    }

    #[test]
    fn a_lost_disk_fills_no_memory() {
        let looks = Looks::default();
        for number in 0..=SIZES_MAX.max(MISSED_MAX) {
            let hash = Hash::of(&number.to_be_bytes());
            looks.miss(hash, hash);
            looks.size(hash, || Some(GIF.to_vec()));
        }
        let missed = looks.missed.lock().unwrap();
        assert_eq!(missed.of_blogs.len(), MISSED_MAX);
        assert!(looks.sizes.lock().unwrap().len() <= SIZES_MAX);
    }
}
