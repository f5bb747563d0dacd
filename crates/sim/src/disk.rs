//! A model disk: what is written is durable once a later sync has ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use spokes_log::{
    name::{BlogId, EntryId},
    ring::VerifiedEntry,
};
use spokes_rules::receipt::Seal;

use crate::chance::Chance;

/// One item of the log that a spoke keeps.
#[derive(Clone, Debug)]
pub enum Item {
    /// An entry of a blog.
    Entry(BlogId, Arc<VerifiedEntry>),
    /// A seal.
    Seal(Seal),
}

/// The disk of one spoke: a log of items, the first of which are durable.
#[derive(Clone, Debug)]
pub struct Disk {
    items: Vec<Item>,
    durable: usize,
    held: BTreeSet<EntryId>,
    /// How far the sync that is under way will reach.
    syncing: Option<usize>,
    /// Whether nothing more can be written.
    pub full: bool,
    /// What an old copy of the disk has lost, until it is here again.
    lost: BTreeSet<EntryId>,
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk {
    /// An empty disk.
    pub fn new() -> Self {
        Self {
            items: Vec::new(),
            durable: 0,
            held: BTreeSet::new(),
            syncing: None,
            full: false,
            lost: BTreeSet::new(),
        }
    }

    /// Writes an item; false when the disk is full.
    pub fn write(&mut self, item: Item) -> bool {
        if !self.full {
            self.items.push(item);
        }
        !self.full
    }

    /// Begins a sync of all that is written, if there is anything and none is under way.
    pub fn begin_sync(&mut self) -> bool {
        if self.syncing.is_some() || self.durable == self.items.len() {
            return false;
        }
        self.syncing = Some(self.items.len());
        true
    }

    /// The sync has ended: what became durable.
    pub fn end_sync(&mut self) -> Vec<Item> {
        let Some(end) = self.syncing.take() else {
            return Vec::new();
        };
        let new = self.items[self.durable..end].to_vec();
        self.durable = end;
        for item in &new {
            if let Item::Entry(_, entry) = item {
                self.held.insert(entry.entry().id());
                self.lost.remove(&entry.entry().id());
            }
        }
        new
    }

    /// Writes are failing: forgets what no sync has reached.
    pub fn fail_writes(&mut self) {
        self.cut(self.durable);
    }

    /// Loses power: of what was not synced, a part may have reached the platter, the last write
    /// of it torn and found out by its checksum.
    pub fn crash(&mut self, chance: &mut Chance) {
        let unsynced = self.items.len() - self.durable;
        let survives = if unsynced == 0 {
            0
        } else {
            chance.index(unsynced + 1)
        };
        self.cut(self.durable + survives);
    }

    /// Comes back as it was: the last `items` durable ones are gone.
    pub fn go_back(&mut self, items: usize) {
        let before = self.held.clone();
        self.cut(self.durable.saturating_sub(items));
        self.lost.extend(before.difference(&self.held));
    }

    fn cut(&mut self, len: usize) {
        self.items.truncate(len);
        (self.durable, self.syncing) = (len, None);
        self.held = self
            .entries()
            .map(|(_, entry)| entry.entry().id())
            .collect();
    }

    /// All durable items in the order in which they were stored.
    pub fn items(&self) -> &[Item] {
        &self.items[..self.durable]
    }

    /// All durable entries in the order in which they were stored.
    pub fn entries(&self) -> impl Iterator<Item = (BlogId, &Arc<VerifiedEntry>)> {
        self.items().iter().filter_map(|item| match item {
            Item::Entry(blog, entry) => Some((*blog, entry)),
            Item::Seal(_) => None,
        })
    }

    /// The durable entries of one blog.
    pub fn entries_of(&self, blog: BlogId) -> Vec<Arc<VerifiedEntry>> {
        self.entries()
            .filter(|(b, _)| *b == blog)
            .map(|(_, entry)| Arc::clone(entry))
            .collect()
    }

    /// The blogs with a durable entry.
    pub fn blogs(&self) -> BTreeSet<BlogId> {
        self.entries().map(|(blog, _)| blog).collect()
    }

    /// The last durable seal of each blog.
    pub fn seals(&self) -> BTreeMap<BlogId, Seal> {
        let mut seals: BTreeMap<BlogId, Seal> = BTreeMap::new();
        for item in self.items() {
            if let Item::Seal(seal) = item
                && seals.get(&seal.blog).is_none_or(|s| s.epoch <= seal.epoch)
            {
                seals.insert(seal.blog, seal.clone());
            }
        }
        seals
    }

    /// Whether this entry is durable.
    pub fn holds(&self, id: EntryId) -> bool {
        self.held.contains(&id)
    }

    /// Whether this entry was durable until the disk came back old.
    pub fn has_lost(&self, id: EntryId) -> bool {
        self.lost.contains(&id)
    }
}
