//! A sketch of a large blog: ids alone, in the order in which readers see them, and the keys by which
//! each entry is checked. It holds no words, so nothing that is erased can stand in it.
//!
//! Pages are made from it while the blog is read after a start, and nothing else: what this spoke signs
//! and takes in is judged by the replica, which is read from the entries themselves.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use spokes_log::{
    blog::{Blog, Post},
    chain::Chain,
    draft::Role,
    name::{BlogId, EntryId, Fingerprint, Hash, Slug},
    ring::Ring,
};
use spokes_rules::replica::Replica;

use super::{Spoke, replicas::lock_for_long};
use crate::store::Write;

/// The first bytes; another form gets another number, and a sketch of one form is none in the other.
const FORM: &[u8] = b"spokes sketch 1\n";
/// Entries from which on a blog is sketched: what has fewer is read within a few hundredths of a second.
const SKETCHED_FROM: usize = 1_000;
/// Rings of a sketch, one for each time that keys changed. Who changed them more often waits for the blog.
const RINGS_MAX: usize = 64;
/// How often large blogs are looked at. One that has changed since the last look is not sketched before
/// it has come to rest: while a thousand posts come in, all but the last sketch would be for nothing.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Bytes of an article: its first version, its current one, its ring, and whether it was edited.
const SEEN_BYTES: usize = 32 + 32 + 2 + 1;
/// Bytes of a slug: the beginning of its hash, and the place of its article.
const SLUG_BYTES: usize = 8 + 4;

/// A sketch as it was read. What is many in it is looked up where it lies.
#[derive(Debug)]
pub(super) struct Sketch {
    /// By which entries the blog has its title, its language, its description.
    pub(super) title: Said,
    pub(super) language: Said,
    pub(super) description: Option<Said>,
    /// The keys of its first entry.
    pub(super) first_ring: Arc<Ring>,
    rings: Vec<Arc<Ring>>,
    bytes: Vec<u8>,
    /// Where the articles begin, those of the stream before the others.
    articles: usize,
    posts: usize,
    pages: usize,
    slugs: usize,
}

/// An entry, and the keys that signed it.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) id: EntryId,
    pub(super) ring: Arc<Ring>,
}

/// An article.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) first: EntryId,
    pub(super) current: Said,
    pub(super) is_edited: bool,
}

impl Sketch {
    /// How many articles the stream has.
    pub(super) fn posts(&self) -> usize {
        self.posts
    }

    /// The places of the articles outside the stream.
    pub(super) fn pages(&self) -> std::ops::Range<usize> {
        self.posts..self.posts + self.pages
    }

    /// The article at a place: the newest post has 0.
    pub(super) fn article(&self, place: usize) -> Option<Seen> {
        if place >= self.posts + self.pages {
            return None;
        }
        let at = self.articles + place * SEEN_BYTES;
        let mut reader = Reader(self.bytes.get(at..at + SEEN_BYTES)?);
        Some(Seen {
            first: reader.hash()?,
            current: reader.said(&self.rings)?,
            is_edited: reader.number::<1>()? == 1,
        })
    }

    /// Where the article stands that may have this slug: whoever reads its entry sees whether it has.
    pub(super) fn find(&self, slug: &Slug) -> Option<usize> {
        let wanted = short(slug);
        let slugs = self.bytes.get(self.slugs..)?;
        let (mut from, mut until) = (0, slugs.len() / SLUG_BYTES);
        while from < until {
            let middle = usize::midpoint(from, until);
            let mut reader = Reader(&slugs[middle * SLUG_BYTES..]);
            let (found, place) = (reader.take(8)?, reader.number::<4>()?);
            match found.cmp(&wanted[..]) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => until = middle,
                std::cmp::Ordering::Equal => return Some(place),
            }
        }
        None
    }

    /// Draws what readers see; none where that is not whole, or too entangled to be sketched.
    fn draw(chain: &Chain, fold: &Blog) -> Option<Vec<u8>> {
        if !chain.unvouched().is_empty() {
            return None;
        }
        let mut pen = Pen::new(chain);
        let (title, language) = fold.titled_by()?;
        pen.said(chain.blog())?;
        pen.said(title)?;
        pen.said(language)?;
        // Entry 0 describes nothing, so its id says that nothing does.
        pen.said(fold.described_by().unwrap_or(chain.blog()))?;
        let (posts, pages) = (fold.posts(), fold.pages());
        pen.number::<4>(posts.len());
        pen.number::<4>(pages.len());
        let mut slugs = Vec::new();
        for (place, post) in posts.into_iter().chain(pages).enumerate() {
            pen.article(post)?;
            if fold.has_slug(post) {
                slugs.push((short(&post.article.slug), place));
            }
        }
        slugs.sort_unstable();
        for (slug, place) in slugs {
            pen.bytes.extend_from_slice(&slug);
            pen.number::<4>(place);
        }
        Some(pen.finish())
    }

    /// Reads a sketch; none where a byte of it is not as it was drawn, or it is of another form.
    pub(super) fn read(blog: BlogId, bytes: Vec<u8>) -> Option<Self> {
        let mut reader = Reader(bytes.strip_prefix(FORM)?);
        let hash = reader.hash()?;
        if Hash::of(reader.0) != hash {
            return None;
        }
        let rings: Option<Vec<_>> = (0..reader.number::<2>()?).map(|_| reader.ring()).collect();
        let rings = rings?;
        let mut said = || reader.said(&rings);
        let (first, title, language, description) = (said()?, said()?, said()?, said()?);
        if first.id != blog {
            return None;
        }
        let (posts, pages) = (reader.number::<4>()?, reader.number::<4>()?);
        let articles = bytes.len() - reader.0.len();
        let slugs = articles + (posts + pages) * SEEN_BYTES;
        bytes.get(slugs..)?;
        Some(Self {
            title,
            language,
            description: (description.id != blog).then_some(description),
            first_ring: first.ring,
            rings,
            articles,
            posts,
            pages,
            slugs,
            bytes,
        })
    }
}

fn short(slug: &Slug) -> [u8; 8] {
    let hash = Hash::of(slug.as_str().as_bytes());
    *hash
        .as_bytes()
        .first_chunk()
        .expect("32 bytes begin with 8")
}

/// Draws a sketch: the rings, which are known at the end, come before what refers to them.
struct Pen<'a> {
    chain: &'a Chain,
    rings: Vec<Arc<Ring>>,
    bytes: Vec<u8>,
}

impl<'a> Pen<'a> {
    fn new(chain: &'a Chain) -> Self {
        Self {
            chain,
            rings: Vec::new(),
            bytes: Vec::new(),
        }
    }

    fn number<const N: usize>(&mut self, number: usize) {
        let bytes = (number as u64).to_be_bytes();
        self.bytes.extend_from_slice(&bytes[8 - N..]);
    }

    fn said(&mut self, id: EntryId) -> Option<()> {
        let ring = self.chain.ring(id)?;
        let known = self
            .rings
            .iter()
            .rposition(|known| Arc::ptr_eq(known, ring));
        let number = match known {
            Some(known) => known,
            None if self.rings.len() == RINGS_MAX => return None,
            None => {
                self.rings.push(Arc::clone(ring));
                self.rings.len() - 1
            }
        };
        self.bytes.extend_from_slice(id.as_bytes());
        self.number::<2>(number);
        Some(())
    }

    fn article(&mut self, post: &Post) -> Option<()> {
        self.bytes.extend_from_slice(post.first.as_bytes());
        self.said(post.current())?;
        self.number::<1>(usize::from(post.versions.len() > 1));
        Some(())
    }

    fn ring(&mut self, ring: &Ring) {
        self.number::<2>(ring.keys().count());
        for (_, role, certificate) in ring.keys() {
            let armored = certificate.armored();
            self.number::<1>(usize::from(role == Role::Own));
            self.number::<4>(armored.len());
            self.bytes.extend_from_slice(armored.as_bytes());
        }
        self.number::<4>(ring.ended().len());
        for ended in ring.ended() {
            self.number::<1>(ended.as_bytes().len());
            self.bytes.extend_from_slice(ended.as_bytes());
        }
    }

    fn finish(mut self) -> Vec<u8> {
        let (rings, drawn) = (self.rings.clone(), std::mem::take(&mut self.bytes));
        self.number::<2>(rings.len());
        rings.iter().for_each(|ring| self.ring(ring));
        self.bytes.extend_from_slice(&drawn);
        let hash = Hash::of(&self.bytes);
        [FORM, hash.as_bytes(), &self.bytes].concat()
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn number<const N: usize>(&mut self) -> Option<usize> {
        let bytes = self.take(N)?.iter();
        Some(bytes.fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn hash(&mut self) -> Option<Hash> {
        Some(Hash::from_bytes(*self.take(32)?.first_chunk()?))
    }

    fn said(&mut self, rings: &[Arc<Ring>]) -> Option<Said> {
        let (id, ring) = (self.hash()?, self.number::<2>()?);
        let ring = Arc::clone(rings.get(ring)?);
        Some(Said { id, ring })
    }

    fn ring(&mut self) -> Option<Arc<Ring>> {
        let mut certificates = Vec::new();
        for _ in 0..self.number::<2>()? {
            let role = match self.number::<1>()? {
                1 => Role::Own,
                _ => Role::Write,
            };
            let length = self.number::<4>()?;
            certificates.push((role, std::str::from_utf8(self.take(length)?).ok()?));
        }
        let mut ended = BTreeSet::new();
        for _ in 0..self.number::<4>()? {
            let length = self.number::<1>()?;
            ended.insert(Fingerprint::from_bytes(self.take(length)?)?);
        }
        Ring::kept(certificates, ended).ok().map(Arc::new)
    }
}

/// What a look at a blog found: how many entries, and the last of them.
type Found = (usize, Option<EntryId>);

impl Spoke {
    /// Keeps sketches of large blogs as they come to rest.
    pub(super) async fn sketch_all(self: Arc<Self>) {
        let mut seen = std::collections::BTreeMap::new();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            for blog in self.replicas.blogs() {
                let Some(found) = self.look_at(blog) else {
                    continue;
                };
                match seen.insert(blog, (found, true)) {
                    Some((before, true)) if before == found => {}
                    Some((before, false)) if before == found => self.sketch(blog).await,
                    _ => {
                        seen.insert(blog, (found, false));
                    }
                }
            }
        }
    }

    /// How far a large blog has come that is in memory.
    fn look_at(&self, blog: BlogId) -> Option<Found> {
        let held = self.replicas.kept(blog)?;
        let replica = held.replica.try_lock().ok()?;
        let tip = replica.durable_tips().last().map(|tip| tip.id);
        let found = (replica.durable_len(), tip);
        (found.0 >= SKETCHED_FROM).then_some(found)
    }

    async fn sketch(self: &Arc<Self>, blog: BlogId) {
        let drawn = tokio::task::block_in_place(|| {
            if self.store.has_sketch(blog).ok()? {
                return None;
            }
            let held = self.replicas.kept(blog)?;
            let replica = lock_for_long(&held.replica);
            let bytes = draw_whole(&replica)?;
            // Still locked: what is written from now on stands behind it, and makes it void.
            let position = self.store.newest_of(blog).ok()?;
            Some(self.store.write(Write::Sketch(blog, position, bytes)))
        });
        if let Some(kept) = drawn
            && !matches!(kept.await, Ok(Ok(())))
        {
            tracing::warn!(%blog, "a sketch was not kept; the next start takes longer");
        }
    }

    /// The sketch of a blog that was not read yet since the start; kept as long as it is being read.
    pub(super) async fn sketch_of(self: &Arc<Self>, blog: BlogId) -> Option<Arc<Sketch>> {
        if self.replicas.was_read(blog) {
            return None;
        }
        let known = || self.sketches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sketch) = known().get(&blog) {
            return Some(Arc::clone(sketch));
        }
        let spoke = Arc::clone(self);
        let read = move || Sketch::read(blog, spoke.store.sketch(blog).ok()??).map(Arc::new);
        let sketch = tokio::task::spawn_blocking(read).await.ok()??;
        known().insert(blog, Arc::clone(&sketch));
        // Whoever needed it last may have taken it away just before.
        if self.replicas.was_read(blog) {
            known().remove(&blog);
        }
        Some(sketch)
    }

    /// Reads a blog of which a sketch was shown, and needs that no more.
    pub(super) async fn read_behind(self: Arc<Self>, blog: BlogId) {
        self.ready(blog).await;
        let mut sketches = self.sketches.lock().unwrap_or_else(PoisonError::into_inner);
        sketches.remove(&blog);
    }
}

fn draw_whole(replica: &Replica) -> Option<Vec<u8>> {
    // What is being written is in the chain and not on the disk.
    let is_durable = replica.durable_len() == replica.chain().len();
    is_durable
        .then(|| Sketch::draw(replica.chain(), replica.fold()))
        .flatten()
}

#[cfg(test)]
mod tests {
    use spokes_log::{
        draft::{Article, Draft, Grant, Says},
        entry::{Entry, Skeleton},
        name::{Language, Salt, Tags},
        seal::SealedEntry,
        secret::SecretKey,
        time::Time,
    };

    use super::*;

    const NOW: i64 = 1_700_000_000;

    struct Log {
        keys: Vec<SecretKey>,
        chain: Chain,
        fold: Blog,
        head: Option<(Skeleton, EntryId)>,
        entries: Vec<SealedEntry>,
    }

    fn key(name: &str) -> SecretKey {
        SecretKey::generate(name, Time::from_unix(NOW - 60)).unwrap()
    }

    fn post(slug: &str, replaces: Option<EntryId>) -> Article {
        Article {
            date: Time::from_unix(NOW),
            slug: Slug::parse(slug).unwrap(),
            title: None,
            language: None,
            tags: Tags::default(),
            aliases: vec![],
            replaces,
            media: vec![],
        }
    }

    impl Log {
        /// A blog with a settings entry, an edited post, a page, and two keys, the first of which ends.
        fn new() -> Self {
            let keys = vec![key("Maria"), key("Maria, later")];
            let (first, second) = (keys[0].certificate(), keys[1].certificate());
            let (ended, brought) = (first.fingerprint().clone(), second.fingerprint().clone());
            let bodies = (first.armored(), second.armored());
            let begins = Says::Blog {
                title: "Walks".into(),
                language: Language::parse("en").unwrap(),
                certificate: ended.clone(),
                claim: None,
            };
            let mut log = Self {
                keys,
                chain: Chain::new(Hash::of(b"")),
                fold: Blog::default(),
                head: None,
                entries: Vec::new(),
            };
            log.say(0, begins, &bodies.0);
            let early = log.say(0, Says::Post(post("early", None)), "Words.");
            let keys = Says::Keys {
                certificates: vec![Grant {
                    fingerprint: brought,
                    role: Role::Own,
                }],
                ends: vec![ended],
                recovery: None,
            };
            log.say(0, keys, &bodies.1);
            let settings = Says::Settings {
                title: Some("Long walks".into()),
                language: None,
                description: Some("On foot.".into()),
            };
            log.say(1, settings, "");
            for number in 0..20 {
                let says = Says::Post(post(&format!("late-{number}"), None));
                log.say(1, says, "Words.");
            }
            log.say(1, Says::Page(post("about-me", None)), "Words.");
            log.say(1, Says::Post(post("edited", Some(early))), "Other words.");
            log
        }

        fn say(&mut self, by: usize, says: Says, body: &str) -> EntryId {
            let draft = Draft {
                salt: Salt::from_bytes([7; 16]),
                says,
                instead_of: vec![],
                extensions: vec![],
                body: body.to_owned(),
            };
            let now = Time::from_unix(NOW);
            let parent = self.head.as_ref().map(|(skeleton, id)| (skeleton, *id));
            let authors = vec![self.keys[by].certificate().fingerprint().clone()];
            let entry = Entry::new(&draft, parent, authors, now).unwrap();
            if parent.is_none() {
                self.chain = Chain::new(entry.id());
            }
            let signature = self.keys[by].sign(entry.text(), now).unwrap();
            let place = self.chain.place(&entry).unwrap();
            let verified = place.seal(entry, &[signature]).unwrap();
            let appended = self.chain.append(&verified).unwrap();
            self.fold.add(&self.chain, verified.entry());
            self.fold.erase(&self.chain, &appended.erased);
            let id = verified.entry().id();
            self.head = Some((verified.entry().skeleton().clone(), id));
            self.entries.push(verified.into_sealed());
            id
        }

        fn draw(&self) -> Vec<u8> {
            Sketch::draw(&self.chain, &self.fold).unwrap()
        }

        fn entry(&self, id: EntryId) -> &SealedEntry {
            let mut entries = self.entries.iter();
            entries.find(|sealed| sealed.entry().id() == id).unwrap()
        }
    }

    #[test]
    fn a_sketch_names_what_readers_see_and_the_keys_of_each() {
        let log = Log::new();
        let sketch = Sketch::read(log.chain.blog(), log.draw()).unwrap();
        let shown = log.fold.posts().into_iter().chain(log.fold.pages());
        let shown: Vec<&Post> = shown.collect();
        assert_eq!((sketch.posts(), sketch.pages()), (21, 21..22));
        for (place, post) in shown.iter().enumerate() {
            let seen = sketch.article(place).unwrap();
            assert_eq!((seen.first, seen.current.id), (post.first, post.current()));
            assert_eq!(seen.is_edited, post.versions.len() > 1);
            assert_eq!(sketch.find(&post.article.slug), Some(place));
        }
        assert!(sketch.article(shown.len()).is_none());
        // A former slug leads elsewhere, which only the blog knows.
        assert_eq!(sketch.find(&Slug::parse("early").unwrap()), None);
        let description = sketch.description.clone().unwrap();
        assert_eq!(
            (sketch.title.id, description.id),
            (description.id, sketch.title.id)
        );
        assert_eq!(
            Some((sketch.title.id, sketch.language.id)),
            log.fold.titled_by()
        );
        let places = (0..shown.len()).map(|place| sketch.article(place).unwrap().current);
        for said in places.chain([sketch.title.clone(), sketch.language.clone()]) {
            assert_eq!(said.ring.check_signed(log.entry(said.id)), Ok(()));
        }
    }

    #[test]
    fn what_other_keys_signed_is_not_shown() {
        let log = Log::new();
        let sketch = Sketch::read(log.chain.blog(), log.draw()).unwrap();
        let newest = log.entry(sketch.article(0).unwrap().current.id);
        // The first key has ended, and knew nothing of the second.
        assert!(sketch.first_ring.check_signed(newest).is_err());
        let ring = sketch.article(0).unwrap().current.ring;
        assert!(ring.check_signed(log.entry(log.chain.blog())).is_err());
        // Another's signature under the same text, and no words at all.
        let other = log.entry(sketch.article(1).unwrap().current.id);
        let packets: Vec<Vec<u8>> = (other.signatures().iter())
            .map(|signature| signature.packet().to_vec())
            .collect();
        let forged = SealedEntry::parse(newest.entry().text().as_bytes(), &packets).unwrap();
        assert!(ring.check_signed(&forged).is_err());
        let erased = newest.entry().erased();
        let erased = SealedEntry::parse::<Vec<u8>>(erased.text().as_bytes(), &[]).unwrap();
        assert!(ring.check_signed(&erased).is_err());
    }

    #[test]
    fn a_sketch_with_another_byte_is_none() {
        let log = Log::new();
        let (blog, drawn) = (log.chain.blog(), log.draw());
        assert!(Sketch::read(Hash::of(b"other"), drawn.clone()).is_none());
        for at in (0..drawn.len()).step_by(11) {
            let mut altered = drawn.clone();
            altered[at] ^= 1;
            assert!(Sketch::read(blog, altered).is_none(), "{at}");
            assert!(Sketch::read(blog, drawn[..at].to_vec()).is_none(), "{at}");
        }
    }

    #[test]
    fn a_blog_whose_keys_changed_too_often_is_not_sketched() {
        let mut log = Log::new();
        let again = |log: &Log| Says::Keys {
            certificates: vec![Grant {
                fingerprint: log.keys[1].certificate().fingerprint().clone(),
                role: Role::Own,
            }],
            ends: vec![],
            recovery: None,
        };
        let body = log.keys[1].certificate().armored();
        // Two there were before.
        for number in 0..RINGS_MAX - 1 {
            assert!(Sketch::draw(&log.chain, &log.fold).is_some(), "{number}");
            log.say(1, again(&log), &body);
            let says = Says::Post(post(&format!("again-{number}"), None));
            log.say(1, says, "Words.");
        }
        assert!(Sketch::draw(&log.chain, &log.fold).is_none());
    }
}
