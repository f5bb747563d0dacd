//! The author's own copy of a blog: every entry read is judged, whoever sent it.

use std::collections::{BTreeMap, BTreeSet};

use spokes_log::{
    blog::Blog,
    chain::Chain,
    draft::Medium,
    entry::Skeleton,
    fault::Fault,
    name::{BlogId, BlogName, EntryId, Hash},
    seal::SealedEntry,
};

use crate::{
    author::{
        console::Console,
        network::{Network, To, Trouble},
        state::CopyFile,
        stop::Stop,
    },
    wire::{EntryWire, FeedWire},
};

/// Entries asked for at a time.
const PAGE_ENTRIES: usize = 500;
/// Pages of one reading: a log of five million entries, before we believe in a circle.
const PAGES_MAX: usize = 10_000;

/// A blog's log with what it adds up to.
#[derive(Clone, Debug)]
pub(crate) struct BlogCopy {
    pub(crate) chain: Chain,
    pub(crate) blog: Blog,
    entries: BTreeMap<EntryId, SealedEntry>,
    /// What some server has shown, so that reading goes on behind it.
    shown: BTreeSet<EntryId>,
    /// What a store shows that is read from its beginning, until it was read to its end.
    anew: Option<BTreeSet<EntryId>>,
    cursor: Option<String>,
}

/// The first entry of a reading that is not valid.
#[derive(Debug)]
pub(crate) struct Bad {
    /// What it calls itself.
    pub(crate) entry: String,
    /// What is wrong with it.
    pub(crate) why: String,
}

/// Why a reading did not come to its end.
#[derive(Debug)]
pub(crate) enum Unread {
    Trouble(Trouble),
    Bad(Bad),
}

impl Unread {
    pub(crate) fn into_stop(self) -> Stop {
        match self {
            Self::Trouble(trouble) => trouble.into_stop("nothing was changed"),
            Self::Bad(bad) => Stop::Refused(format!(
                "{} as this spoke gave it is not valid: {}; nothing was sent. Read the blog from \
                 another spoke with \"spokes blog verify\"",
                bad.entry, bad.why
            )),
        }
    }
}

impl BlogCopy {
    pub(crate) fn new(blog: BlogId) -> Self {
        Self {
            chain: Chain::new(blog),
            blog: Blog::default(),
            entries: BTreeMap::new(),
            shown: BTreeSet::new(),
            anew: None,
            cursor: None,
        }
    }

    /// What was remembered, as far as it is still sound; otherwise nothing.
    pub(crate) fn recall(blog: BlogId, file: &CopyFile) -> Self {
        let mut copy = Self::new(blog);
        for wire in &file.entries {
            if copy.take_wire(wire).is_err() {
                return Self::new(blog);
            }
        }
        copy.cursor.clone_from(&file.cursor);
        copy
    }

    /// To be remembered; what waits in the outbox only once a server has shown it.
    pub(crate) fn to_file(&self, waiting: &[EntryId]) -> CopyFile {
        let kept = self.in_order().into_iter().filter(|sealed| {
            let id = sealed.entry().id();
            self.shown.contains(&id) || !waiting.contains(&id)
        });
        CopyFile {
            cursor: self.cursor.clone(),
            entries: kept.map(EntryWire::from).collect(),
        }
    }

    /// The same log without some entries and what follows them.
    pub(crate) fn without(&self, ids: &[EntryId]) -> Self {
        let mut copy = Self::new(self.chain.blog());
        for sealed in self.in_order() {
            if !ids.contains(&sealed.entry().id()) {
                // Only a descendant of what was left out can fail here.
                copy.take(sealed.clone()).ok();
            }
        }
        copy.shown.clone_from(&self.shown);
        copy.shown.retain(|id| copy.chain.contains(*id));
        copy.cursor.clone_from(&self.cursor);
        copy
    }

    /// Judges an entry and takes it in; whether it was new.
    pub(crate) fn take(&mut self, sealed: SealedEntry) -> Result<bool, Fault> {
        let id = sealed.entry().id();
        let (verified, appended) = self.chain.accept(sealed)?;
        for erased in &appended.erased {
            if let Some(kept) = self.entries.get_mut(erased) {
                *kept = kept.erased();
            }
        }
        self.blog.erase(&self.chain, &appended.erased);
        let taken_back = self.chain.eraser(id).is_some();
        let brings_words = self
            .entries
            .get(&id)
            .is_none_or(|kept| kept.entry().is_erased());
        if appended.new || brings_words && !taken_back {
            let sealed = verified.sealed();
            let kept = if taken_back {
                sealed.erased()
            } else {
                sealed.clone()
            };
            self.entries.insert(id, kept);
            self.blog.add(&self.chain, verified.entry());
        }
        Ok(appended.new)
    }

    fn take_wire(&mut self, wire: &EntryWire) -> Result<bool, Bad> {
        let bad = |why: String| Bad {
            entry: called(&wire.text),
            why,
        };
        let sealed = wire.sealed().map_err(|why| bad(why.to_string()))?;
        let id = sealed.entry().id();
        let new = self.take(sealed).map_err(|why| bad(why.to_string()))?;
        self.shown.insert(id);
        if let Some(anew) = &mut self.anew {
            anew.insert(id);
        }
        Ok(new)
    }

    /// Reads what is new from the network.
    pub(crate) async fn read(
        &mut self,
        network: &Network,
        to: To<'_>,
        name: &BlogName,
        console: &Console,
    ) -> Result<(), Unread> {
        for _ in 0..PAGES_MAX {
            let after = match &self.cursor {
                Some(cursor) => format!("after={}&", encoded(cursor)),
                None => String::new(),
            };
            let path = format!("/api/v1/blogs/{name}/entries?{after}limit={PAGE_ENTRIES}");
            let page: FeedWire = match network.get(to, &path).await {
                Ok(page) => page,
                // SPEC http 3.1: a store of another instance is read from its beginning.
                Err(Trouble::No(no)) if no.status == 410 && self.cursor.is_some() => {
                    self.cursor = None;
                    self.anew = Some(BTreeSet::new());
                    continue;
                }
                Err(trouble) => return Err(Unread::Trouble(trouble)),
            };
            for wire in &page.entries {
                self.take_wire(wire).map_err(Unread::Bad)?;
            }
            self.cursor = Some(page.cursor);
            console.progress(&format!("read {} entries of {name}", self.entries.len()));
            if !page.more {
                self.forget_what_went();
                return Ok(());
            }
        }
        let why = "the list of entries does not end".to_owned();
        Err(Unread::Trouble(Trouble::Strange(why)))
    }

    /// What was shown before, and is not there any more where all was read anew, is not in the blog where
    /// this has gone on without it: its servers offer it to its author (SPEC receipt 6), and nobody writes
    /// on behind it. What goes on behind a head is brought back with the next entry.
    fn forget_what_went(&mut self) {
        let Some(anew) = self.anew.take().filter(|anew| !anew.is_empty()) else {
            return;
        };
        let parent = |id: &EntryId| self.entries.get(id)?.entry().skeleton().previous;
        let mut followed: BTreeSet<EntryId> = anew.iter().filter_map(parent).collect();
        let mut stands = anew;
        let mut went = Vec::new();
        for id in self.in_order().iter().map(|sealed| sealed.entry().id()) {
            if stands.contains(&id) || !self.shown.contains(&id) {
                continue;
            }
            let extends = parent(&id).filter(|parent| stands.contains(parent));
            if extends.is_some_and(|parent| followed.insert(parent)) {
                stands.insert(id);
            } else {
                went.push(id);
            }
        }
        if !went.is_empty() {
            *self = self.without(&went);
        }
    }

    /// Whether reading goes on from an earlier time.
    pub(crate) fn is_resumed(&self) -> bool {
        self.cursor.is_some()
    }

    /// The entry, its words as far as they are not taken back.
    pub(crate) fn entry(&self, id: EntryId) -> Option<&SealedEntry> {
        self.entries.get(&id)
    }

    /// All entries, parents first.
    pub(crate) fn in_order(&self) -> Vec<&SealedEntry> {
        let mut entries: Vec<_> = self.entries.values().collect();
        entries.sort_by_key(|s| (s.entry().skeleton().sequence, s.entry().id()));
        entries
    }

    /// Where the author goes on.
    pub(crate) fn head(&self) -> Option<(&Skeleton, EntryId)> {
        let (_, id) = *self.chain.heads().last()?;
        Some((self.entries.get(&id)?.entry().skeleton(), id))
    }

    /// How some article lists a medium.
    pub(crate) fn medium(&self, hash: Hash) -> Option<Medium> {
        let articles = self
            .entries
            .values()
            .filter_map(|s| s.entry().draft()?.article());
        let mut media = articles.flat_map(|article| &article.media);
        media.find(|medium| medium.hash == hash).cloned()
    }

    /// The body of an entry.
    pub(crate) fn body(&self, id: EntryId) -> &str {
        let draft = self
            .entries
            .get(&id)
            .and_then(|sealed| sealed.entry().draft());
        draft.map_or("", |draft| draft.body.as_str())
    }
}

/// What a text calls itself, as far as it can be made out: it may be damaged.
fn called(text: &str) -> String {
    let head = text.split_once("\n\n").map_or(text, |(head, _)| head);
    let id = Hash::of(format!("{head}\n").as_bytes());
    let sequence = head
        .lines()
        .find_map(|line| line.strip_prefix("Sequence: "));
    match sequence {
        Some(sequence) => format!("entry {sequence} ({id})"),
        None => format!("a text with the id {id}"),
    }
}

/// A value as a query holds it (RFC 3986 section 2.3).
pub(crate) fn encoded(value: &str) -> String {
    let mut encoded = String::new();
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
