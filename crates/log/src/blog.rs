//! The blog: what the entries of all branches add up to (SPEC entry 7.3 to 7.5).

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, btree_map},
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};

use crate::{
    chain::Chain,
    draft::{Article, Medium, Says},
    entry::Entry,
    name::{EntryId, Fingerprint, Hash, Language, Slug},
    time::Time,
};

/// Where an entry stands in the order of the fold.
type Order = (u64, EntryId);

/// A blog as its readers see it.
#[derive(Clone, Debug, Default)]
pub struct Blog {
    facts: BTreeMap<Order, Fact>,
    state: State,
    /// Blobs that entries with content list: by how many, and how long they say it is.
    listed: BTreeMap<Hash, (usize, u64)>,
    /// The sum of these lengths.
    media_bytes: u64,
}

/// What one entry with content says, without its body.
#[derive(Clone, Debug)]
struct Fact {
    says: Kept,
    signed: Time,
    authors: Arc<[Fingerprint]>,
    owned: bool,
    instead_of: Vec<EntryId>,
}

/// What is kept of what an entry says. A node holds the headers of all its blogs' articles, so each is
/// there once, for its fact and for its post.
#[derive(Clone, Debug)]
enum Kept {
    Titles(Box<Titles>),
    Article {
        article: Arc<Article>,
        is_page: bool,
    },
    Nothing,
}

#[derive(Clone, Debug)]
struct Titles {
    title: Option<String>,
    language: Option<Language>,
    description: Option<String>,
}

impl Kept {
    fn of(says: &Says) -> Self {
        let article = |article: &Article, is_page| Self::Article {
            article: Arc::new(article.clone()),
            is_page,
        };
        match says {
            Says::Blog {
                title, language, ..
            } => Self::Titles(Box::new(Titles {
                title: Some(title.clone()),
                language: Some(language.clone()),
                description: None,
            })),
            Says::Settings {
                title,
                language,
                description,
            } => Self::Titles(Box::new(Titles {
                title: title.clone(),
                language: language.clone(),
                description: description.clone(),
            })),
            Says::Post(post) => article(post, false),
            Says::Page(page) => article(page, true),
            _ => Self::Nothing,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct State {
    title: String,
    language: Option<Language>,
    /// The entries that the title and the language are from.
    titled_by: Option<EntryId>,
    spoken_by: Option<EntryId>,
    described_by: Option<EntryId>,
    description: Option<String>,
    /// Articles by the id of their first version.
    posts: BTreeMap<EntryId, Post>,
    /// The article of each version but the first.
    article_of: BTreeMap<EntryId, EntryId>,
    /// The live articles that want a slug, by their last versions; the last of them has it.
    slugs: BTreeMap<Slug, Vec<EntryId>>,
    redirects: BTreeMap<Slug, (Redirect, EntryId)>,
    hidden: BTreeSet<EntryId>,
    last: Option<Order>,
}

/// Why a slug leads elsewhere; the first kind is the weaker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Redirect {
    Alias,
    Former,
}

/// One article in its current version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Post {
    /// The first version: what the article is called in feeds, for ever.
    pub first: EntryId,
    /// All versions, the current one last, with their sequences.
    pub versions: Vec<(u64, EntryId)>,
    /// The header of the current version.
    pub article: Arc<Article>,
    /// Whether it stands outside the stream.
    pub is_page: bool,
    /// When the current version was signed.
    pub signed: Time,
    /// Who signed it.
    pub authors: Arc<[Fingerprint]>,
}

impl Post {
    /// The current version.
    pub fn current(&self) -> EntryId {
        self.order().1
    }

    /// Where the current version stands in the fold.
    pub fn order(&self) -> (u64, EntryId) {
        *self
            .versions
            .last()
            .expect("an article begins with a version")
    }
}

/// Two live articles with one slug: the later one has it, the author is shown both.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clash {
    /// The slug.
    pub slug: Slug,
    /// The article that has it, by its first version.
    pub winner: EntryId,
    /// The one that has it no more.
    pub loser: EntryId,
}

/// What a path below the blog leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found<'a> {
    /// The article that has this slug.
    Post(&'a Post),
    /// An article that had this slug before, or lists it as an alias.
    Moved(&'a Post),
}

impl Blog {
    /// Adds an entry that is in the chain. Entries without content say nothing.
    pub fn add(&mut self, chain: &Chain, entry: &Entry) {
        let (id, sequence) = (entry.id(), entry.skeleton().sequence);
        let Some(draft) = entry.draft().filter(|_| chain.eraser(id).is_none()) else {
            return;
        };
        let link = chain.link(id);
        let authors = link.map(|link| Arc::clone(&link.authors));
        let fact = Fact {
            says: Kept::of(&draft.says),
            signed: entry.skeleton().signed,
            authors: authors.unwrap_or_else(|| entry.skeleton().authors.as_slice().into()),
            owned: link.is_some_and(|link| link.owned),
            instead_of: draft.instead_of.clone(),
        };
        let order = (sequence, id);
        let in_order = self.state.last.is_none_or(|last| last < order);
        // What was hidden before it came has to be judged anew: only now its authors are known.
        let simple = in_order && fact.instead_of.is_empty() && !self.is_hidden(id);
        self.list(&fact);
        if let Some(before) = self.facts.insert(order, fact) {
            self.unlist(&before);
        }
        if simple {
            self.state.apply(order, &self.facts[&order]);
        } else {
            self.refold(chain);
        }
    }

    /// Takes entries out whose words are gone.
    pub fn erase(&mut self, chain: &Chain, erased: &[EntryId]) {
        let mut gone = false;
        for id in erased {
            let sequence = chain.link(*id).map(|link| link.sequence);
            if let Some(fact) = sequence.and_then(|at| self.facts.remove(&(at, *id))) {
                self.unlist(&fact);
                gone = true;
            }
        }
        if gone {
            self.refold(chain);
        }
    }

    fn list(&mut self, fact: &Fact) {
        for medium in fact.media() {
            let listed = self.listed.entry(medium.hash).or_insert((0, medium.bytes));
            if listed.0 == 0 {
                self.media_bytes = self.media_bytes.saturating_add(listed.1);
            }
            listed.0 += 1;
        }
    }

    fn unlist(&mut self, fact: &Fact) {
        for medium in fact.media() {
            let Some(listed) = self.listed.get_mut(&medium.hash) else {
                continue;
            };
            listed.0 -= 1;
            if listed.0 == 0 {
                self.media_bytes = self.media_bytes.saturating_sub(listed.1);
                self.listed.remove(&medium.hash);
            }
        }
    }

    fn refold(&mut self, chain: &Chain) {
        let mut state = State::default();
        for fact in self.facts.values() {
            for named in &fact.instead_of {
                // A valid entry names no ancestor, so here only rights are asked.
                let named_fact = self.fact(chain, *named);
                let same = named_fact.is_none_or(|n| n.authors == fact.authors);
                if fact.owned || same {
                    state.hidden.insert(*named);
                }
            }
        }
        for (order, fact) in &self.facts {
            state.apply(*order, fact);
        }
        self.state = state;
    }

    fn fact(&self, chain: &Chain, id: EntryId) -> Option<&Fact> {
        self.facts.get(&(chain.link(id)?.sequence, id))
    }

    /// The blog's title.
    pub fn title(&self) -> &str {
        &self.state.title
    }

    /// The blog's language; `und` as long as entry 0 is not here.
    pub fn language(&self) -> Language {
        self.state.language.clone().unwrap_or_else(undetermined)
    }

    /// The entries by which it has its title and its language; none as long as entry 0 is not here.
    pub fn titled_by(&self) -> Option<(EntryId, EntryId)> {
        self.state.titled_by.zip(self.state.spoken_by)
    }

    /// The entry by which it has its description, if it has one.
    pub fn described_by(&self) -> Option<EntryId> {
        self.state.described_by
    }

    /// What the author says the blog is about.
    pub fn description(&self) -> Option<&str> {
        self.state.description.as_deref()
    }

    /// The articles of the stream, newest first: by date, then by their place in the fold.
    pub fn posts(&self) -> Vec<&Post> {
        self.articles(false)
    }

    /// The articles outside the stream.
    pub fn pages(&self) -> Vec<&Post> {
        self.articles(true)
    }

    fn articles(&self, pages: bool) -> Vec<&Post> {
        let mut posts: Vec<_> = self
            .state
            .posts
            .values()
            .filter(|post| post.is_page == pages)
            .collect();
        posts.sort_by_key(|post| core::cmp::Reverse((post.article.date, post.order())));
        posts
    }

    /// All articles, those outside the stream too, in no order that readers know.
    pub fn all(&self) -> impl Iterator<Item = &Post> {
        self.state.posts.values()
    }

    /// Whether an article has, or had, an address below this one.
    pub fn has_below(&self, slug: &Slug) -> bool {
        let below = alloc::format!("{slug}/");
        // No segment begins with a smaller letter.
        let Ok(first) = Slug::parse(&alloc::format!("{below}-")) else {
            return false;
        };
        let live = self
            .state
            .slugs
            .range(&first..)
            .next()
            .map(|(slug, _)| slug);
        let led = self.state.redirects.range(&first..).next();
        let next = [live, led.map(|(slug, _)| slug)];
        next.into_iter()
            .flatten()
            .any(|slug| slug.as_str().starts_with(&below))
    }

    /// The article that a slug leads to.
    pub fn find(&self, slug: &Slug) -> Option<Found<'_>> {
        if let Some(first) = self.state.holder(slug) {
            return self.state.posts.get(&first).map(Found::Post);
        }
        let (_, first) = self.state.redirects.get(slug)?;
        self.state.posts.get(first).map(Found::Moved)
    }

    /// The article that an entry is a version of.
    pub fn article_of(&self, version: EntryId) -> Option<&Post> {
        self.state.posts.get(&self.state.first_of(version)?)
    }

    /// Whether this article is the one that its slug leads to.
    pub fn has_slug(&self, post: &Post) -> bool {
        self.state.holder(&post.article.slug) == Some(post.first)
    }

    /// Articles whose slug another one took, for the author to dissolve.
    pub fn clashes(&self) -> Vec<Clash> {
        let mut clashes = Vec::new();
        for (slug, wanted_by) in &self.state.slugs {
            let Some((winner, losers)) = wanted_by.split_last() else {
                continue;
            };
            clashes.extend(losers.iter().map(|loser| Clash {
                slug: slug.clone(),
                winner: *winner,
                loser: *loser,
            }));
        }
        clashes
    }

    /// Whether another entry stands instead of this one, which may be in no chain: its authors are
    /// these, and only they or an `own` key may say so (SPEC entry 7.4).
    pub fn stands_instead(&self, id: EntryId, authors: &[Fingerprint]) -> bool {
        let may = |fact: &Fact| fact.owned || *fact.authors == *authors;
        let says = |fact: &&Fact| fact.instead_of.contains(&id) && may(fact);
        self.is_hidden(id) && self.facts.values().any(|fact| says(&fact))
    }

    /// Whether another entry stands instead of this one.
    pub fn is_hidden(&self, id: EntryId) -> bool {
        self.state.hidden.contains(&id)
    }

    /// Blobs that some entry with content lists, in any version.
    pub fn media(&self) -> BTreeSet<Hash> {
        self.listed.keys().copied().collect()
    }

    /// Bytes of these blobs, each counted once.
    pub fn media_bytes(&self) -> u64 {
        self.media_bytes
    }

    /// Whether some entry with content lists this blob.
    pub fn lists(&self, hash: Hash) -> bool {
        self.listed.contains_key(&hash)
    }

    /// The line by which some entry with content lists this blob.
    pub fn medium(&self, hash: Hash) -> Option<&Medium> {
        let mut listed = self.facts.values().flat_map(Fact::media);
        listed.find(|medium| medium.hash == hash)
    }
}

impl Fact {
    fn media(&self) -> &[Medium] {
        match &self.says {
            Kept::Article { article, .. } => &article.media,
            Kept::Titles(_) | Kept::Nothing => &[],
        }
    }
}

impl State {
    fn apply(&mut self, order: Order, fact: &Fact) {
        self.last = Some(order);
        if self.hidden.contains(&order.1) {
            return;
        }
        match &fact.says {
            Kept::Titles(titles) => {
                if let Some(title) = &titles.title {
                    self.title.clone_from(title);
                    self.titled_by = Some(order.1);
                }
                if titles.language.is_some() {
                    self.language.clone_from(&titles.language);
                    self.spoken_by = Some(order.1);
                }
                if titles.description.is_some() {
                    self.description.clone_from(&titles.description);
                    self.described_by = Some(order.1);
                }
            }
            Kept::Article { article, is_page } => self.version(order, fact, article, *is_page),
            Kept::Nothing => {}
        }
    }

    /// The article that an entry is a version of, by its first.
    fn first_of(&self, version: EntryId) -> Option<EntryId> {
        let later = self.article_of.get(&version).copied();
        later.or_else(|| self.posts.contains_key(&version).then_some(version))
    }

    fn version(&mut self, order: Order, fact: &Fact, article: &Arc<Article>, is_page: bool) {
        let id = order.1;
        let before = article.replaces.and_then(|before| self.first_of(before));
        let first = before.unwrap_or(id);
        let versions = match self.posts.remove(&first) {
            Some(former) => {
                self.article_of.insert(id, first);
                self.leave(&former.article.slug, first, &article.slug);
                let mut versions = former.versions;
                versions.push(order);
                versions
            }
            // One alone, as most are: a list that has room for more takes four times as much.
            None => vec![order],
        };
        match self.slugs.entry(article.slug.clone()) {
            btree_map::Entry::Occupied(mut wanted_by) => wanted_by.get_mut().push(first),
            btree_map::Entry::Vacant(free) => {
                free.insert(vec![first]);
            }
        }
        for alias in &article.aliases {
            let weaker = self
                .redirects
                .get(alias)
                .is_none_or(|(why, _)| *why == Redirect::Alias);
            if weaker {
                self.redirects
                    .insert(alias.clone(), (Redirect::Alias, first));
            }
        }
        let post = Post {
            first,
            versions,
            article: Arc::clone(article),
            is_page,
            signed: fact.signed,
            authors: Arc::clone(&fact.authors),
        };
        self.posts.insert(first, post);
    }
}

impl State {
    /// The article that has this slug.
    fn holder(&self, slug: &Slug) -> Option<EntryId> {
        self.slugs.get(slug)?.last().copied()
    }

    /// An article gets a newer version: the slug that it had and keeps no more redirects, or goes
    /// back to the latest of those it had beaten.
    fn leave(&mut self, slug: &Slug, first: EntryId, next: &Slug) {
        let had = self.holder(slug) == Some(first);
        if let Some(wanted_by) = self.slugs.get_mut(slug) {
            wanted_by.retain(|article| *article != first);
        }
        if had && slug != next {
            let former = (Redirect::Former, first);
            self.redirects.insert(slug.clone(), former);
        }
    }
}

/// BCP 47's word for "nobody knows".
fn undetermined() -> Language {
    Language::parse("und").unwrap_or_else(|why| panic!("\"und\" {}", why.to_string()))
}
