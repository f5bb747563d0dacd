//! The chain: which entries follow which, and which of them are valid (SPEC entry 7).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use crate::{
    draft::{Kind, Says},
    entry::{Entry, Said, Skeleton},
    fault::Fault,
    name::{BlogId, EntryId, Fingerprint},
    ring::{Ring, VerifiedEntry},
    seal::{RawSignature, SealedEntry},
    time::Time,
};

/// All valid entries of one blog by their places, without their words.
#[derive(Clone, Debug)]
pub struct Chain {
    blog: BlogId,
    links: BTreeMap<EntryId, Link>,
    heads: BTreeSet<EntryId>,
    /// Entries whose words are gone while no `erase` in force for them is here.
    unvouched: BTreeSet<EntryId>,
    /// By named entry, the `erase` in force for it.
    erased: BTreeMap<EntryId, EntryId>,
    /// By named entry not here yet, the `erase` entries that name it.
    awaited: BTreeMap<EntryId, Vec<EntryId>>,
    /// Bytes of all content that is not erased.
    content_bytes: u64,
    /// Whether skeletons alone may connect the entries that matter.
    skeletal: bool,
}

/// What the chain keeps of one entry.
#[derive(Clone, Debug)]
pub struct Link {
    /// The parent, none for entry 0.
    pub previous: Option<EntryId>,
    /// Entries between this one and entry 0.
    pub sequence: u64,
    /// When the author says it was signed.
    pub signed: Time,
    /// Its kind.
    pub kind: Kind,
    /// Who signed; shared with the parent where the same did.
    pub authors: Arc<[Fingerprint]>,
    /// Whether one of them is an `own` key at this place.
    pub owned: bool,
    /// How many entries follow it directly.
    pub children: usize,
    /// How long its content is, or was before it was erased.
    pub content_bytes: u64,
    ring: Arc<Ring>,
}

/// A place in the chain that fits one entry, and the keys that may fill it.
///
/// It borrows nothing: the signatures of many entries can be judged on other threads.
#[derive(Clone, Debug)]
pub struct Place {
    entry: EntryId,
    ring: Arc<Ring>,
}

impl Place {
    /// Judges the signatures of the kept entry that this place was made for.
    ///
    /// # Errors
    /// Every [`Fault`] about keys and signatures.
    pub fn verify(&self, sealed: SealedEntry) -> Result<VerifiedEntry, Fault> {
        assert!(
            sealed.entry().id() == self.entry,
            "a place fits the entry it was made for"
        );
        self.ring.verify(sealed)
    }

    /// Judges signatures from any program and gives them their kept form.
    ///
    /// # Errors
    /// Every [`Fault`] about keys and signatures.
    pub fn seal(&self, entry: Entry, signatures: &[RawSignature]) -> Result<VerifiedEntry, Fault> {
        assert!(
            entry.id() == self.entry,
            "a place fits the entry it was made for"
        );
        self.ring.seal(entry, signatures)
    }
}

/// What appending an entry changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Appended {
    /// Whether the entry was not here before.
    pub new: bool,
    /// Entries whose words have to go now: an `erase` in force names them.
    pub erased: Vec<EntryId>,
}

impl Chain {
    /// The chain of a blog of which nothing is known but its id.
    pub fn new(blog: BlogId) -> Self {
        Self {
            blog,
            links: BTreeMap::new(),
            heads: BTreeSet::new(),
            unvouched: BTreeSet::new(),
            erased: BTreeMap::new(),
            awaited: BTreeMap::new(),
            content_bytes: 0,
            skeletal: false,
        }
    }

    /// A chain for whoever only asks about keys and names, as the registry does: between `blog`,
    /// `keys`, `claim` and `release` entries, bare skeletons of all other kinds connect.
    pub fn skeletal(blog: BlogId) -> Self {
        Self {
            skeletal: true,
            ..Self::new(blog)
        }
    }

    /// The blog.
    pub fn blog(&self) -> BlogId {
        self.blog
    }

    /// Finds the place of an entry (SPEC entry 7.1 without the signatures).
    ///
    /// # Errors
    /// When the parent is not here or the entry does not fit behind it.
    pub fn place(&self, entry: &Entry) -> Result<Place, Fault> {
        Overlay {
            chain: self,
            run: BTreeMap::new(),
        }
        .place(entry)
    }

    /// Finds the places of entries that follow one another, as many from the first on as can be
    /// judged without each other's signatures; and why it went no further, if a fault is why.
    ///
    /// It ends behind a `keys` entry, whose certificates count only once it has been judged.
    pub fn place_run(&self, run: &[SealedEntry]) -> (Vec<Place>, Option<Fault>) {
        let mut overlay = Overlay {
            chain: self,
            run: BTreeMap::new(),
        };
        let mut places = Vec::new();
        for sealed in run {
            match overlay.place(sealed.entry()) {
                Err(Fault::MissingParent(_)) if !places.is_empty() => break,
                Err(fault) => return (places, Some(fault)),
                Ok(place) => {
                    overlay.add(sealed.entry(), &place);
                    places.push(place);
                }
            }
        }
        (places, None)
    }

    /// Judges a kept entry and appends it.
    ///
    /// # Errors
    /// Every [`Fault`]; nothing has changed then.
    pub fn accept(&mut self, sealed: SealedEntry) -> Result<(VerifiedEntry, Appended), Fault> {
        let verified = self.place(sealed.entry())?.verify(sealed)?;
        let appended = self.append(&verified)?;
        Ok((verified, appended))
    }

    /// Appends a valid entry; one that is here already changes nothing, unless it brings the words
    /// of one that was here without.
    ///
    /// # Errors
    /// When its parent is not here.
    pub fn append(&mut self, verified: &VerifiedEntry) -> Result<Appended, Fault> {
        let entry = verified.entry();
        if self.links.contains_key(&entry.id()) {
            return Ok(self.known(entry));
        }
        // Entry 0 has one place, and its certificate was read when it was judged.
        if entry.skeleton().previous.is_some() || entry.blog() != self.blog {
            self.place(entry)?;
        }
        Ok(self.link_up(entry, Arc::clone(verified.ring()), verified.is_owned()))
    }

    /// Appends an entry that this node judged before it kept it, without asking its signatures again.
    ///
    /// Text and place are checked; who serves the entry checks its signatures then.
    ///
    /// # Errors
    /// When it does not fit behind its parent, or a certificate in it cannot be read.
    pub fn recall(&mut self, entry: &Entry) -> Result<Appended, Fault> {
        if self.links.contains_key(&entry.id()) {
            return Ok(self.known(entry));
        }
        let place = self.place(entry)?;
        let (ring, owned) = place.ring.recall(entry)?;
        Ok(self.link_up(entry, ring, owned))
    }

    /// An entry that is here comes again, perhaps with the words that were missing.
    fn known(&mut self, entry: &Entry) -> Appended {
        if !entry.is_erased() {
            self.unvouched.remove(&entry.id());
        }
        Appended::default()
    }

    /// Appends an entry whose place was found.
    fn link_up(&mut self, entry: &Entry, ring: Arc<Ring>, owned: bool) -> Appended {
        let (id, skeleton) = (entry.id(), entry.skeleton());
        let mut authors = None;
        if let Some(previous) = skeleton.previous {
            self.heads.remove(&previous);
            if let Some(parent) = self.links.get_mut(&previous) {
                parent.children += 1;
                let same = *parent.authors == *skeleton.authors;
                authors = same.then(|| Arc::clone(&parent.authors));
            }
        }
        let authors = authors.unwrap_or_else(|| skeleton.authors.as_slice().into());
        self.heads.insert(id);
        self.content_bytes = self.content_bytes.saturating_add(skeleton.content_bytes);
        self.links
            .insert(id, Link::new(skeleton, authors, ring, owned));
        let mut erased = Vec::new();
        for eraser in self.awaited.remove(&id).unwrap_or_default() {
            erased.extend(self.erase(eraser, id));
        }
        if let Some(Says::Erase { erases }) = entry.draft().map(|draft| &draft.says) {
            for named in erases {
                if self.links.contains_key(named) {
                    erased.extend(self.erase(id, *named));
                } else {
                    self.awaited.entry(*named).or_default().push(id);
                }
            }
        }
        if entry.is_erased() && !self.erased.contains_key(&id) {
            self.unvouched.insert(id);
        }
        Appended { new: true, erased }
    }

    /// Puts an `erase` in force for a named entry, if it may (SPEC entry 7.5).
    fn erase(&mut self, eraser: EntryId, named: EntryId) -> Option<EntryId> {
        let (by, target) = (self.links.get(&eraser)?, self.links.get(&named)?);
        let may = target.kind.is_erasable() && (by.owned || by.authors == target.authors);
        if !may {
            return None;
        }
        if let Some(before) = self.erased.get_mut(&named) {
            // Of several the first in the fold's order, so that all nodes pass on the same one.
            if (by.sequence, eraser) < (self.links[before].sequence, *before) {
                *before = eraser;
            }
            return None;
        }
        self.content_bytes = self.content_bytes.saturating_sub(target.content_bytes);
        self.erased.insert(named, eraser);
        self.unvouched.remove(&named);
        Some(named)
    }

    /// The entry's link.
    pub fn link(&self, id: EntryId) -> Option<&Link> {
        self.links.get(&id)
    }

    /// Whether this entry is here.
    pub fn contains(&self, id: EntryId) -> bool {
        self.links.contains_key(&id)
    }

    /// How many entries are here.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Bytes of the content of all entries here, without what was erased; media are not among them.
    pub fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Whether nothing is here.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// All ids with their links, by id.
    pub fn links(&self) -> impl Iterator<Item = (EntryId, &Link)> {
        self.links.iter().map(|(id, link)| (*id, link))
    }

    /// The entries without children, in the order of the fold; the last is where an author goes on.
    pub fn heads(&self) -> Vec<(u64, EntryId)> {
        let mut heads: Vec<_> = self
            .heads
            .iter()
            .map(|id| (self.links[id].sequence, *id))
            .collect();
        heads.sort_unstable();
        heads
    }

    /// Whether this entry has no children.
    pub fn is_head(&self, id: EntryId) -> bool {
        self.heads.contains(&id)
    }

    /// The keys behind this entry.
    pub fn ring(&self, id: EntryId) -> Option<&Arc<Ring>> {
        self.links.get(&id).map(|link| &link.ring)
    }

    /// The `erase` in force for this entry.
    pub fn eraser(&self, id: EntryId) -> Option<EntryId> {
        self.erased.get(&id).copied()
    }

    /// Whether an `erase` names this entry, which is not here and has these authors, and may do so (SPEC entry 7.5).
    pub fn awaits_erased(&self, id: EntryId, authors: &[Fingerprint]) -> bool {
        let erasers = self.awaited.get(&id).into_iter().flatten();
        let mut erasers = erasers.filter_map(|eraser| self.links.get(eraser));
        erasers.any(|by| by.owned || *by.authors == *authors)
    }

    /// Entries whose words are missing without an `erase` (SPEC entry 7.6). A copy with any is not
    /// whole; one that was read to its end with any is refused.
    pub fn unvouched(&self) -> &BTreeSet<EntryId> {
        &self.unvouched
    }

    /// Whether `ancestor` is `entry` or one of those before it.
    pub fn reaches(&self, entry: EntryId, ancestor: EntryId) -> bool {
        let Some(depth) = self.links.get(&ancestor).map(|link| link.sequence) else {
            return false;
        };
        let mut at = Some(entry);
        while let Some(id) = at {
            if id == ancestor {
                return true;
            }
            let Some(link) = self.links.get(&id).filter(|link| link.sequence > depth) else {
                return false;
            };
            at = link.previous;
        }
        false
    }
}

impl Link {
    fn new(skeleton: &Skeleton, authors: Arc<[Fingerprint]>, ring: Arc<Ring>, owned: bool) -> Self {
        Self {
            previous: skeleton.previous,
            sequence: skeleton.sequence,
            signed: skeleton.signed,
            kind: skeleton.kind.clone(),
            authors,
            owned,
            children: 0,
            content_bytes: skeleton.content_bytes,
            ring,
        }
    }
}

/// A chain and a run of entries behind it whose signatures nobody has asked yet.
struct Overlay<'a> {
    chain: &'a Chain,
    /// The run so far; without a ring behind a `keys` entry.
    run: BTreeMap<EntryId, (Skeleton, Option<Arc<Ring>>)>,
}

impl Overlay<'_> {
    fn place(&self, entry: &Entry) -> Result<Place, Fault> {
        let skeleton = entry.skeleton();
        if entry.blog() != self.chain.blog {
            return Err(Fault::OtherBlog(entry.blog()));
        }
        let Some(previous) = skeleton.previous else {
            return Ok(Place {
                entry: entry.id(),
                ring: Ring::of_first(entry)?,
            });
        };
        let missing = Fault::MissingParent(previous);
        let (sequence, signed, ring) = match (self.run.get(&previous), self.chain.link(previous)) {
            (Some((parent, Some(ring))), _) => (parent.sequence, parent.signed, ring),
            (None, Some(parent)) => (parent.sequence, parent.signed, &parent.ring),
            _ => return Err(missing),
        };
        if skeleton.sequence != sequence + 1 {
            let (expected, found) = (sequence + 1, skeleton.sequence);
            return Err(Fault::SequenceGap { expected, found });
        }
        if skeleton.signed < signed {
            let (parent, signed) = (signed, skeleton.signed);
            return Err(Fault::SignedBeforeParent { parent, signed });
        }
        let bare = skeleton.kind.is_erasable() || self.chain.skeletal && !skeleton.kind.needs_own();
        if entry.is_erased() && !bare {
            return Err(Fault::ErasedWithoutErase(entry.id()));
        }
        self.check_named(entry, previous, ring)?;
        Ok(Place {
            entry: entry.id(),
            ring: Arc::clone(ring),
        })
    }

    /// Rules about entries that this one names, as far as they are its ancestors.
    fn check_named(&self, entry: &Entry, previous: EntryId, ring: &Ring) -> Result<(), Fault> {
        let Said::Draft(draft) = entry.said() else {
            return Ok(());
        };
        let erases: &[EntryId] = match &draft.says {
            Says::Erase { erases } => erases,
            _ => &[],
        };
        let ancestors = self.ancestors(previous, draft.instead_of.iter().chain(erases));
        if let Some(id) = draft
            .instead_of
            .iter()
            .find(|id| ancestors.contains_key(*id))
        {
            return Err(Fault::InsteadOfAncestor(*id));
        }
        let by = entry.skeleton().authors.as_slice();
        let owned = ring.is_owned(by);
        for id in erases {
            let Some((kind, authors)) = ancestors.get(id) else {
                continue;
            };
            if !kind.is_erasable() || !(owned || *authors == by) {
                return Err(Fault::MayNotErase(*id));
            }
        }
        Ok(())
    }

    /// Kind and authors of those of `named` that are `from` or before it, found in one walk: a log may
    /// be long, and an entry names up to 200.
    fn ancestors<'n>(
        &self,
        from: EntryId,
        named: impl Iterator<Item = &'n EntryId>,
    ) -> BTreeMap<EntryId, (&Kind, &[Fingerprint])> {
        let mut left: BTreeSet<EntryId> = named.copied().collect();
        let depths = left.iter().filter_map(|id| self.sequence(*id));
        let mut found = BTreeMap::new();
        let Some(lowest) = depths.min() else {
            return found;
        };
        let mut at = Some(from);
        while let Some(id) = at.filter(|id| self.sequence(*id).is_some_and(|s| s >= lowest)) {
            let (kind, authors, previous) = match (self.run.get(&id), self.chain.link(id)) {
                (Some((skeleton, _)), _) => {
                    let authors = skeleton.authors.as_slice();
                    (&skeleton.kind, authors, skeleton.previous)
                }
                (None, Some(link)) => (&link.kind, &*link.authors, link.previous),
                (None, None) => break,
            };
            if left.remove(&id) {
                found.insert(id, (kind, authors));
            }
            at = previous.filter(|_| !left.is_empty());
        }
        found
    }

    fn sequence(&self, id: EntryId) -> Option<u64> {
        let running = self.run.get(&id).map(|(skeleton, _)| skeleton.sequence);
        running.or_else(|| self.chain.link(id).map(|link| link.sequence))
    }

    fn add(&mut self, entry: &Entry, place: &Place) {
        let brings_keys = entry.skeleton().kind == Kind::Keys;
        let ring = (!brings_keys).then(|| Arc::clone(&place.ring));
        self.run
            .insert(entry.id(), (entry.skeleton().clone(), ring));
    }
}
