//! Headlines from other spokes, checked before they are shown.
//!
//! A headline travels with the entries that it is made of. What it says is read from these, once their signatures
//! have been judged by the certificate in entry 0, whose hash is the blog's id. So whoever passes it on can leave
//! authors' words out, and cannot invent any.

use std::sync::Arc;

use spokes_log::{
    blog::{Blog, Post},
    chain::Chain,
    draft::{Draft, Kind, Says},
    name::{BlogId, EntryId, Fingerprint, Hash, Language},
    ring,
    seal::SealedEntry,
    time::Time,
};
use spokes_rules::{
    circle::{Question, Reach},
    front::{self, Headline},
    registry::BlogRecord,
};

use super::{Spoke, pages::EXCERPT_CHARS};
use crate::{
    render,
    wire::{EntryWire, HeadlineWire},
};

/// `keys` entries by which an author is known: a blog with more is shown where it is held.
const KEYS_MAX: usize = 16;

/// Where a headline is from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Source {
    pub(super) blog: BlogId,
    /// The first version, by which the article is known.
    pub(super) article: EntryId,
    /// The current version.
    pub(super) entry: EntryId,
    titled_by: EntryId,
    spoken_by: EntryId,
    keys: Vec<EntryId>,
}

/// A headline, what the network's feed and a search say beyond it, and what proves it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) headline: Headline,
    /// When this version was signed, and by whom.
    pub(super) signed: Time,
    pub(super) authors: Vec<Fingerprint>,
    /// Whether it replaces an earlier version.
    pub(super) is_edited: bool,
    pub(super) tags: Vec<String>,
    pub(super) source: Source,
    /// The entries that it is made of; none where they are on our disk.
    pub(super) proof: Option<Vec<SealedEntry>>,
}

impl Told {
    /// Whether both say the same of the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.source == other.source && self.headline.name == other.headline.name
    }

    /// The entry itself, where it came along.
    pub(super) fn carried(&self) -> Option<&SealedEntry> {
        let proof = self.proof.as_ref()?;
        proof.iter().find(|s| s.entry().id() == self.source.entry)
    }

    /// The same under the name that the blog has by now.
    pub(super) fn named(&self, record: &BlogRecord) -> Self {
        let mut headline = self.headline.clone();
        headline.name = record.name.clone();
        Self {
            headline,
            signed: self.signed,
            authors: self.authors.clone(),
            is_edited: self.is_edited,
            tags: self.tags.clone(),
            source: self.source.clone(),
            proof: self.proof.clone(),
        }
    }
}

#[cfg(test)]
impl Told {
    /// One that says this, of an entry that nobody looks at.
    pub(super) fn for_tests(headline: Headline) -> Self {
        let id = headline.place.1;
        Self {
            source: Source {
                blog: headline.blog,
                article: headline.article,
                entry: id,
                titled_by: id,
                spoken_by: id,
                keys: Vec::new(),
            },
            headline,
            signed: Time::from_unix(0),
            authors: Vec::new(),
            is_edited: false,
            tags: Vec::new(),
            proof: None,
        }
    }
}

#[cfg(test)]
impl Source {
    /// An entry of an article, of which nothing else is looked at.
    pub(super) fn for_tests(blog: BlogId, article: EntryId, entry: EntryId) -> Self {
        Self {
            blog,
            article,
            entry,
            titled_by: blog,
            spoken_by: blog,
            keys: Vec::new(),
        }
    }
}

impl Source {
    /// The sources of articles of a blog that is held here.
    pub(super) fn of(chain: &Chain, fold: &Blog, posts: &[&Post]) -> Vec<Self> {
        let Some((titled_by, spoken_by)) = fold.titled_by() else {
            return Vec::new();
        };
        let keys = chain.links().filter(|(_, link)| link.kind == Kind::Keys);
        let mut keys: Vec<_> = keys.map(|(id, link)| (link.sequence, id)).collect();
        keys.sort_unstable();
        let source = |post: &&Post| Self {
            blog: chain.blog(),
            article: post.first,
            entry: post.current(),
            titled_by,
            spoken_by,
            keys: keys.iter().map(|(_, id)| *id).collect(),
        };
        posts.iter().map(source).collect()
    }

    pub(super) fn read(wire: &HeadlineWire) -> Option<Self> {
        let hash = |text: &String| Hash::parse(text).ok();
        let keys: Vec<EntryId> = wire.keys.iter().filter_map(hash).collect();
        (keys.len() <= KEYS_MAX).then_some(())?;
        Some(Self {
            blog: hash(&wire.blog)?,
            article: hash(&wire.article)?,
            entry: hash(&wire.entry)?,
            titled_by: hash(&wire.titled_by)?,
            spoken_by: hash(&wire.spoken_by)?,
            keys,
        })
    }

    /// The entries that prove a headline, each once.
    pub(super) fn entries(&self) -> Vec<EntryId> {
        let mut entries = vec![self.blog, self.entry, self.titled_by, self.spoken_by];
        entries.extend(&self.keys);
        entries.sort_unstable();
        entries.dedup();
        entries
    }

    /// In few bytes: entry 0 is often what title and language are from, and the current version the only one.
    pub(super) fn packed(&self) -> Vec<u8> {
        let mut packed = Vec::new();
        for id in [self.blog, self.entry].iter().chain(&self.keys) {
            packed.extend_from_slice(id.as_bytes());
        }
        let others = [
            (self.article, self.entry),
            (self.titled_by, self.blog),
            (self.spoken_by, self.blog),
        ];
        let mut which = 0;
        for (bit, (id, usual)) in others.iter().enumerate() {
            if id != usual {
                which |= 1 << bit;
                packed.extend_from_slice(id.as_bytes());
            }
        }
        packed.push(which);
        packed
    }

    /// Reads what was packed; none where it was altered.
    pub(super) fn unpacked(packed: &[u8]) -> Option<Self> {
        let (which, ids) = packed.split_last()?;
        let (ids, rest) = ids.as_chunks::<32>();
        let mut ids: Vec<Hash> = ids.iter().map(|id| Hash::from_bytes(*id)).collect();
        // Those that are not as usual stand at the end.
        let mut other = |bit: u8| (which & (1 << bit) != 0).then(|| ids.pop());
        let (spoken_by, titled_by, article) = (other(2), other(1), other(0));
        let [blog, entry, keys @ ..] = &ids[..] else {
            return None;
        };
        (rest.is_empty() && keys.len() <= KEYS_MAX).then_some(())?;
        Some(Self {
            blog: *blog,
            article: article.unwrap_or(Some(*entry))?,
            entry: *entry,
            titled_by: titled_by.unwrap_or(Some(*blog))?,
            spoken_by: spoken_by.unwrap_or(Some(*blog))?,
            keys: keys.to_vec(),
        })
    }

    /// How others are told of it, with what proves it.
    pub(super) fn wire(&self, number: u64, proof: &[SealedEntry]) -> HeadlineWire {
        HeadlineWire {
            number,
            blog: self.blog.to_string(),
            article: self.article.to_string(),
            entry: self.entry.to_string(),
            titled_by: self.titled_by.to_string(),
            spoken_by: self.spoken_by.to_string(),
            keys: self.keys.iter().map(Hash::to_string).collect(),
            proof: proof.iter().map(EntryWire::from).collect(),
        }
    }
}

impl Spoke {
    /// The latest posts of a blog that is held here; none where it cannot be read.
    pub(super) async fn latest_of(self: &Arc<Self>, blog: BlogId) -> Option<Vec<Arc<Told>>> {
        let latest = |fold: &'_ Blog| -> Vec<Post> {
            let posts = fold.posts().into_iter().take(front::LATEST_PER_BLOG_MAX);
            posts.cloned().collect()
        };
        self.told_of(blog, latest).await
    }

    /// Some posts of a blog that is held here; none where it cannot be read.
    pub(super) async fn told_of(
        self: &Arc<Self>,
        blog: BlogId,
        pick: impl FnOnce(&Blog) -> Vec<Post>,
    ) -> Option<Vec<Arc<Told>>> {
        let record = self
            .ask(|registry| registry.blog(blog).cloned())
            .flatten()?;
        let facts = self.with(blog, |replica| {
            let fold = replica.fold();
            let posts = pick(fold);
            let sources = Source::of(replica.chain(), fold, &posts.iter().collect::<Vec<_>>());
            (
                sources.into_iter().zip(posts).collect::<Vec<_>>(),
                fold.title().to_owned(),
                fold.language(),
            )
        });
        let (posts, blog_title, language) = facts?;
        let mut all = Vec::new();
        for (source, post) in posts {
            let excerpt = self.excerpt(blog, post.current()).await;
            let article = &post.article;
            let headline = Headline {
                blog,
                name: record.name.clone(),
                blog_title: blog_title.clone(),
                article: post.first,
                place: post.order(),
                date: article.date,
                title: article.title.clone(),
                slug: article.slug.clone(),
                language: article.language.clone().unwrap_or_else(|| language.clone()),
                excerpt: excerpt.as_deref().unwrap_or_default().to_owned(),
            };
            all.push(Arc::new(Told {
                headline,
                signed: post.signed,
                authors: post.authors.to_vec(),
                is_edited: post.versions.len() > 1,
                tags: article.tags.0.iter().map(ToString::to_string).collect(),
                source,
                proof: None,
            }));
        }
        Some(all)
    }

    /// What proves a headline, to be sent on; none where it cannot be read just now.
    pub(super) async fn evidence_of(self: &Arc<Self>, told: &Told) -> Option<Vec<SealedEntry>> {
        if let Some(proof) = &told.proof {
            return Some(proof.clone());
        }
        let mut proof = Vec::new();
        for id in told.source.entries() {
            let sealed = self.sound_entry(told.source.blog, id).await?;
            // What was erased since then proves nothing.
            (!sealed.entry().is_erased()).then_some(())?;
            proof.push(sealed);
        }
        Some(proof)
    }

    /// Whether a list may have posts of this blog, as far as is known here: its own one has those of the blogs whose
    /// primary that spoke is. Else what an author took back could go round for ever.
    pub(super) fn may_tell(&self, question: &Question, source: &Source) -> bool {
        let may = self.ask(|registry| {
            let record = registry.blog(source.blog)?;
            let is_own = *record.set.primary() == question.whom;
            Some(question.reach != Reach::Own || is_own)
        });
        may.flatten() == Some(true)
    }

    /// What the authors say in a headline that somebody passed on; why not, where it is not their word. None where it
    /// is not known here whose blog that is.
    pub(super) fn check_headline(&self, wire: &HeadlineWire) -> Option<Result<Told, String>> {
        self.check_line(wire, false)
    }

    /// The same of what was found, which may be a page outside of the stream.
    pub(super) fn check_found(&self, wire: &HeadlineWire) -> Option<Result<Told, String>> {
        self.check_line(wire, true)
    }

    fn check_line(&self, wire: &HeadlineWire, pages: bool) -> Option<Result<Told, String>> {
        let source = Source::read(wire)?;
        let record = self.ask(|r| r.blog(source.blog).cloned()).flatten()?;
        let mut proof = Vec::new();
        let wanted = source.entries();
        for wire in wire.proof.iter().take(wanted.len()) {
            match wire.sealed() {
                Ok(sealed) => proof.push(sealed),
                Err(why) => return Some(Err(why.to_string())),
            }
        }
        let find = |id: EntryId| {
            let found = proof.iter().find(|sealed| sealed.entry().id() == id);
            found
                .cloned()
                .ok_or_else(|| format!("{id} did not come along"))
        };
        let told = || {
            let (first, entry) = (find(source.blog)?, find(source.entry)?);
            let keys = source.keys.iter().map(|id| find(*id));
            let keys: Vec<SealedEntry> = keys.collect::<Result<_, _>>()?;
            // Each names what it stands behind, so that there is one way to say it.
            let places = keys.iter().map(|sealed| sealed.entry().skeleton());
            let in_order = places.clone().is_sorted_by(|a, b| a.sequence < b.sequence);
            if !in_order || places.clone().any(|skeleton| skeleton.kind != Kind::Keys) {
                return Err("what was named as keys is none".to_owned());
            }
            let facts = [find(source.titled_by)?, find(source.spoken_by)?];
            for sealed in facts.iter().chain([&entry]) {
                ring::check_author(&first, &keys, sealed).map_err(|fault| fault.to_string())?;
            }
            let headline = headline_of(&record, &source, &entry, &facts, pages)
                .ok_or("what was named is no post of this blog")?;
            let tags = entry.entry().draft().and_then(|draft| draft.article());
            let (tags, is_edited) = tags.map_or((Vec::new(), false), |article| {
                let tags = article.tags.0.iter().map(ToString::to_string);
                (tags.collect(), article.replaces.is_some())
            });
            let skeleton = entry.entry().skeleton();
            Ok(Told {
                headline,
                signed: skeleton.signed,
                authors: skeleton.authors.clone(),
                is_edited,
                tags,
                source: source.clone(),
                proof: Some(proof.clone()),
            })
        };
        Some(told())
    }
}

fn headline_of(
    record: &BlogRecord,
    source: &Source,
    entry: &SealedEntry,
    facts: &[SealedEntry],
    pages: bool,
) -> Option<Headline> {
    let draft = entry.entry().draft()?;
    let article = match &draft.says {
        Says::Post(article) => article,
        Says::Page(article) if pages => article,
        _ => return None,
    };
    let drafts = facts.iter().filter_map(|sealed| sealed.entry().draft());
    let (titles, languages): (Vec<_>, Vec<_>) = drafts.map(title_and_language).unzip();
    Some(Headline {
        blog: source.blog,
        name: record.name.clone(),
        blog_title: titles.into_iter().next().flatten()?.to_owned(),
        // Only who edits says which article this is.
        article: article.replaces.map_or(source.entry, |_| source.article),
        place: (entry.entry().skeleton().sequence, source.entry),
        date: article.date,
        title: article.title.clone(),
        slug: article.slug.clone(),
        language: article
            .language
            .as_ref()
            .or(languages.into_iter().last().flatten())?
            .clone(),
        excerpt: render::summary(&draft.body, EXCERPT_CHARS),
    })
}

fn title_and_language(draft: &Draft) -> (Option<&str>, Option<&Language>) {
    match &draft.says {
        Says::Blog {
            title, language, ..
        } => (Some(title), Some(language)),
        Says::Settings {
            title, language, ..
        } => (title.as_deref(), language.as_ref()),
        _ => (None, None),
    }
}
