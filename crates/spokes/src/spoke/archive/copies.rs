//! Chains of archived blogs in memory, as many as there is room for.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use spokes_log::{
    blog::Blog,
    chain::Chain,
    name::{BlogId, EntryId},
    ring::VerifiedEntry,
    seal::SealedEntry,
};
use tokio::sync::MutexGuard;

use super::{Kept, lock};
use crate::outage::Outage;

/// Entries whose places are kept in memory, of all blogs together: about half a KiB each. Blogs that nobody writes in
/// are read again when somebody does.
const ENTRIES_MAX: usize = 200_000;
/// What a blog counts beside its entries.
const OF_BLOG: usize = 4;
/// Rows that are read at a time.
const PAGE: usize = 1_000;

/// What the archive has of one blog.
#[derive(Debug)]
pub(in super::super) struct Copy {
    pub(super) chain: Chain,
    pub(super) fold: Blog,
    /// Whether rows of it were lost or altered: then it is read again from its members.
    is_damaged: bool,
}

impl Copy {
    /// Whether rows of it were lost or altered.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Whether an entry is here, with its words if they are to be had.
    pub(super) fn has(&self, sealed: &SealedEntry) -> bool {
        let id = sealed.entry().id();
        let lacks_words = self.chain.unvouched().contains(&id) && !sealed.entry().is_erased();
        self.chain.contains(id) && !lacks_words
    }

    /// Where in a run the first entry stands whose words are gone although neither the run nor what is here has the
    /// `erase` that took them (SPEC entry 7.6).
    pub(super) fn first_unvouched(&self, run: &[SealedEntry]) -> usize {
        if !run.iter().any(|sealed| sealed.entry().is_erased()) {
            return run.len();
        }
        let mut chain = self.chain.clone();
        for sealed in run {
            if chain.accept(sealed.clone()).is_err() {
                break;
            }
        }
        let unvouched = |sealed: &SealedEntry| chain.unvouched().contains(&sealed.entry().id());
        run.iter().position(unvouched).unwrap_or(run.len())
    }

    /// Appends a valid entry; gives those whose words go with it.
    pub(super) fn append(&mut self, verified: &VerifiedEntry) -> Result<Vec<EntryId>, Outage> {
        let appended = self.chain.append(verified);
        let appended = appended.map_err(|fault| Outage::new(fault.to_string()))?;
        self.fold.add(&self.chain, verified.entry());
        self.fold.erase(&self.chain, &appended.erased);
        Ok(appended.erased)
    }
}

/// The copies in memory.
#[derive(Debug, Default)]
pub(super) struct Copies {
    slots: Mutex<BTreeMap<BlogId, (u64, Arc<Slot>)>>,
    turn: AtomicU64,
}

/// The place of one copy.
#[derive(Debug, Default)]
pub(super) struct Slot {
    copy: tokio::sync::Mutex<Option<Copy>>,
    weighs: AtomicUsize,
}

impl Slot {
    /// The copy, none where it was not read, for one who works on it.
    pub(super) async fn lock(&self) -> MutexGuard<'_, Option<Copy>> {
        self.copy.lock().await
    }

    /// Notes how much memory the copy takes.
    pub(super) fn note(&self, copy: &Option<Copy>) {
        let entries = copy.as_ref().map_or(0, |copy| copy.chain.len());
        self.weighs.store(entries + OF_BLOG, Ordering::Relaxed);
    }
}

impl Copies {
    /// The place of a blog's copy.
    pub(super) fn slot(&self, blog: BlogId) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let (turn, slot) = slots.entry(blog).or_default();
        *turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Arc::clone(slot)
    }

    /// Forgets copies that were not used for longest, where they take too much together.
    pub(super) fn trim(&self) {
        self.trim_to(ENTRIES_MAX);
    }

    fn trim_to(&self, most: usize) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let weight = |slot: &Arc<Slot>| slot.weighs.load(Ordering::Relaxed).max(OF_BLOG);
        let mut all: usize = slots.values().map(|(_, slot)| weight(slot)).sum();
        if all <= most {
            return;
        }
        let mut by_turn: Vec<(u64, BlogId)> = slots
            .iter()
            .map(|(blog, (turn, _))| (*turn, *blog))
            .collect();
        by_turn.sort_unstable();
        // Some more than needed, so that the next ones do not look again.
        for (_, blog) in by_turn {
            if all <= most - most / 4 {
                break;
            }
            if let Some((_, slot)) = slots
                .get(&blog)
                .filter(|(_, slot)| Arc::strong_count(slot) == 1)
            {
                all -= weight(slot);
                slots.remove(&blog);
            }
        }
    }
}

impl Kept {
    /// Whether this entry of a blog is here, and so what stands before it. Of a copy in memory that is known to be
    /// damaged nothing is.
    pub(in super::super) fn has(&self, blog: BlogId, id: EntryId) -> bool {
        let slot = self.copies.slot(blog);
        let is_damaged = slot
            .copy
            .try_lock()
            .is_ok_and(|copy| copy.as_ref().is_some_and(|copy| copy.is_damaged));
        let row = tokio::task::block_in_place(|| self.store.entry(id));
        !is_damaged && row.is_ok_and(|row| row.is_some())
    }

    /// Notes that a row of a blog is not what it should be: the blog is read again.
    pub(super) fn doubt(&self, blog: BlogId) {
        lock(&self.doubted).insert(blog);
    }

    /// Whether a blog is to be read from its beginning; then its copy is read from disk anew, as far as it is sound.
    pub(super) async fn begin_anew(&self, blog: BlogId) -> bool {
        let is_doubted = lock(&self.doubted).contains(&blog);
        if is_doubted {
            *self.copies.slot(blog).lock().await = None;
        }
        is_doubted
    }

    /// Notes that all of a blog was read again.
    pub(super) fn is_sound(&self, blog: BlogId) {
        lock(&self.doubted).remove(&blog);
    }

    /// The copy of a blog in its place, read from disk where it is not there.
    pub(super) fn copy_in<'a>(
        &self,
        place: &'a mut Option<Copy>,
        blog: BlogId,
    ) -> Result<&'a mut Copy, Outage> {
        if place.is_none() {
            *place = Some(self.recall(blog)?);
        }
        place
            .as_mut()
            .ok_or_else(|| Outage::new("the archive has no such blog"))
    }

    fn recall(&self, blog: BlogId) -> Result<Copy, Outage> {
        let mut copy = Copy {
            chain: Chain::new(blog),
            fold: Blog::default(),
            is_damaged: false,
        };
        let mut position = 0;
        loop {
            let (rows, read_to, more) = self.store.of_blog(blog, position, PAGE)?;
            for row in rows {
                let entry = row.entry().filter(|entry| entry.blog() == blog);
                let recalled =
                    entry.and_then(|entry| Some((copy.chain.recall(&entry).ok()?, entry)));
                let Some((appended, entry)) = recalled else {
                    tracing::warn!(%blog, id = row.id, "an archived entry was altered; it is read again");
                    copy.is_damaged = true;
                    continue;
                };
                copy.fold.add(&copy.chain, &entry);
                copy.fold.erase(&copy.chain, &appended.erased);
            }
            position = read_to;
            if !more {
                break;
            }
        }
        copy.is_damaged |= !copy.chain.unvouched().is_empty();
        Ok(copy)
    }
}

#[cfg(test)]
mod tests {
    use spokes_log::name::Hash;

    use super::*;

    #[test]
    fn what_was_used_least_lately_goes_first_and_what_is_used_stays() {
        let copies = Copies::default();
        let blog = |n: u8| Hash::of(&[n]);
        for n in 0..10 {
            copies.slot(blog(n)).weighs.store(10, Ordering::Relaxed);
        }
        let used = copies.slot(blog(0));
        copies.trim_to(100);
        assert_eq!(copies.slots.lock().unwrap().len(), 10);
        drop(copies.slot(blog(1)));
        copies.trim_to(80);
        let left: Vec<u8> = (0..10)
            .filter(|n| copies.slots.lock().unwrap().contains_key(&blog(*n)))
            .collect();
        assert_eq!(left, [0, 1, 6, 7, 8, 9]);
        drop(used);
    }
}
