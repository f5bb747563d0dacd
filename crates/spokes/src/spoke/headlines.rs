//! Headlines from other spokes, checked before they are shown.
//!
//! A spoke names entries; what they say is read from the entries themselves, once their signatures
//! have been judged by the certificate in entry 0, whose hash is the blog's id. So a spoke can choose
//! among its authors' words and cannot invent any.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::Instant,
};

use spokes_log::{
    blog::Post,
    draft::{Draft, Kind, Says},
    name::{BlogId, EntryId, Hash, Language},
    ring,
    seal::SealedEntry,
    time::Time,
};
use spokes_rules::{
    front::{self, Headline},
    node::Label,
    registry::BlogRecord,
    replica::Replica,
};

use super::{
    Spoke,
    pages::{EXCERPT_CHARS, FRESH_WAIT},
};
use crate::{
    client::{Ask, Reply},
    render,
    web::page,
    wire::{EntryWire, HeadlineWire, LatestWire},
};

/// Headlines of one spoke that are checked in one round: its whole list comes in a few seconds, and one
/// that names something new all the time costs a few signatures.
const CHECKED_PER_ROUND_MAX: usize = 8;
/// Bytes of whole texts that are kept of one spoke's headlines: twenty posts of usual length. Of a longer
/// one the network's feed has the first words.
const BODIES_BYTES_MAX: usize = 256 * 1024;
/// `keys` entries by which an author is known: a blog with more is shown where it is held.
const KEYS_MAX: usize = 16;

/// Where a headline is from, so that others can read it there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Source {
    pub(super) blog: BlogId,
    /// The first version, by which the article is known.
    article: EntryId,
    /// The current version.
    entry: EntryId,
    titled_by: EntryId,
    spoken_by: EntryId,
    keys: Vec<EntryId>,
}

/// A headline, and what the network's feed and a search say beyond it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Told {
    pub(super) headline: Headline,
    /// When this version was signed.
    pub(super) signed: Time,
    /// Whether it replaces an earlier version.
    pub(super) is_edited: bool,
    pub(super) tags: Vec<String>,
    /// The whole text, with absolute links; none where it is at hand elsewhere, or found no room.
    pub(super) html: Option<String>,
}

/// What a spoke names, and what was found there; none where it was not an author's word.
pub(super) type Checked = BTreeMap<Source, Option<Arc<Told>>>;

impl Source {
    /// The sources of articles of a blog that is held here.
    pub(super) fn of(replica: &Replica, posts: &[&Post]) -> Vec<Self> {
        let chain = replica.chain();
        let Some((titled_by, spoken_by)) = replica.fold().titled_by() else {
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

    fn read(wire: &HeadlineWire) -> Option<Self> {
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
}

/// A headline as it is told to others.
pub(super) fn headline_wire(source: &Source, headline: &Headline) -> HeadlineWire {
    HeadlineWire {
        blog: headline.blog.to_string(),
        name: headline.name.to_string(),
        blog_title: headline.blog_title.clone(),
        article: headline.article.to_string(),
        date: headline.date.to_string(),
        title: headline.title.clone(),
        slug: headline.slug.to_string(),
        language: headline.language.to_string(),
        excerpt: headline.excerpt.clone(),
        entry: source.entry.to_string(),
        titled_by: source.titled_by.to_string(),
        spoken_by: source.spoken_by.to_string(),
        keys: source.keys.iter().map(Hash::to_string).collect(),
    }
}

impl Spoke {
    /// Asks one spoke for the latest posts of its blogs, and checks what is new among them.
    pub(super) async fn ask_peer(self: &Arc<Self>, label: &Label, address: SocketAddr) {
        let asked = self
            .client
            .get::<LatestWire>(Ask::new(address, "/api/v1/latest"));
        let Ok(Ok(Reply::Good(latest, _))) = tokio::time::timeout(FRESH_WAIT, asked).await else {
            return;
        };
        let lines = latest.headlines.iter().take(front::LATEST);
        let named: Vec<Source> = lines.filter_map(Source::read).collect();
        let mut checked = {
            let peers = &self.latest.peers;
            let peers = peers.lock().unwrap_or_else(PoisonError::into_inner);
            let known = peers.get(label).map(|(_, checked)| checked.clone());
            known.unwrap_or_default()
        };
        checked.retain(|source, _| named.contains(source));
        let check_new = async {
            let mut turns = 0;
            for source in named {
                if checked.contains_key(&source) || turns == CHECKED_PER_ROUND_MAX {
                    continue;
                }
                turns += 1;
                let kept = checked
                    .values()
                    .flatten()
                    .filter_map(|told| told.html.as_ref());
                let room = BODIES_BYTES_MAX.saturating_sub(kept.map(String::len).sum());
                if let Some(found) = self.check_headline(label, address, &source, room).await {
                    checked.insert(source, found.map(Arc::new));
                }
            }
        };
        // What it was too slow for is asked for again in the next round.
        drop(tokio::time::timeout(FRESH_WAIT, check_new).await);
        let mut peers = (self.latest.peers.lock()).unwrap_or_else(PoisonError::into_inner);
        peers.insert(label.clone(), (Instant::now(), checked));
    }

    /// What the author says at this source. None when it could not be read now; nothing inside when it
    /// is not an author's word, or not for this spoke to tell.
    async fn check_headline(
        self: &Arc<Self>,
        label: &Label,
        address: SocketAddr,
        source: &Source,
        room: usize,
    ) -> Option<Option<Told>> {
        let record = self.ask(|r| r.blog(source.blog).cloned()).flatten();
        // A spoke speaks for the blogs whose primary it is, and for no others.
        let Some(record) = record.filter(|record| record.set.primary() == label) else {
            return Some(None);
        };
        let first = self.source_entry(address, source, source.blog).await?;
        let entry = self.source_entry(address, source, source.entry).await?;
        let mut keys = Vec::new();
        for id in &source.keys {
            keys.push(self.source_entry(address, source, *id).await?);
        }
        let mut facts = Vec::new();
        for id in [source.titled_by, source.spoken_by] {
            facts.push(match id == source.blog {
                true => first.clone(),
                false => self.source_entry(address, source, id).await?,
            });
        }
        let _turn = self.render_turn().await;
        Some(tokio::task::block_in_place(|| {
            let all = facts.iter().chain([&entry]);
            let mut judged = all.map(|sealed| ring::check_author(&first, &keys, sealed));
            if let Some(fault) = judged.find_map(Result::err) {
                tracing::warn!(%label, entry = %source.entry, %fault, "a headline is not its author's");
                return None;
            }
            let headline = headline_of(&record, source, &entry, &facts)?;
            self.told(headline, &entry, room)
        }))
    }

    /// A headline with the words that belong to it, which have room for so many bytes of HTML.
    fn told(&self, headline: Headline, entry: &SealedEntry, room: usize) -> Option<Told> {
        let draft = entry.entry().draft()?;
        let article = draft.article()?;
        let origin = self.origin(headline.name.as_str());
        let address = format!("{origin}{}", page::path(headline.slug.as_str()));
        Some(Told {
            headline,
            signed: entry.entry().skeleton().signed,
            is_edited: article.replaces.is_some(),
            tags: article.tags.0.iter().map(ToString::to_string).collect(),
            html: whole_text(&draft.body, &address, room),
        })
    }

    /// An entry by its id: from our own disk where we hold the blog, else from who names it.
    async fn source_entry(
        self: &Arc<Self>,
        address: SocketAddr,
        source: &Source,
        id: EntryId,
    ) -> Option<SealedEntry> {
        if self.with(source.blog, |r| r.chain().contains(id)) == Some(true) {
            return self.sound_entry(source.blog, id).await;
        }
        let path = format!("/api/v1/entries/{}", id.path());
        let asked = self.client.get::<EntryWire>(Ask::new(address, &path)).await;
        let Ok(Reply::Good(wire, _)) = asked else {
            return None;
        };
        wire.sealed().ok().filter(|s| s.entry().id() == id)
    }
}

fn headline_of(
    record: &BlogRecord,
    source: &Source,
    entry: &SealedEntry,
    facts: &[SealedEntry],
) -> Option<Headline> {
    let draft = entry.entry().draft()?;
    let Says::Post(article) = &draft.says else {
        return None;
    };
    let authors = &entry.entry().skeleton().authors;
    if authors.iter().any(|author| record.ended.contains(author)) {
        return None;
    }
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

/// A whole text as HTML, where it finds room.
fn whole_text(body: &str, address: &str, room: usize) -> Option<String> {
    // HTML is never much shorter than what it is made of, so what is too long is not even begun.
    let links = render::Links::seen_from(address);
    let html = (body.len() / 2 <= room).then(|| render::article(body, &links))?;
    (html.len() <= room).then_some(html)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_text_is_kept_where_it_finds_room() {
        let address = "https://maria.blogs.example.org/a";
        let kept = whole_text("*Hello*, [you](b).", address, BODIES_BYTES_MAX);
        let kept = kept.expect("a short text finds room");
        assert!(kept.contains("<em>Hello</em>"));
        assert!(kept.contains("https://maria.blogs.example.org/b"));
        let long = "words ".repeat(BODIES_BYTES_MAX / 6);
        assert_eq!(whole_text(&long, address, BODIES_BYTES_MAX), None);
        assert!(whole_text(&long[1_000..], address, BODIES_BYTES_MAX).is_some());
        assert_eq!(whole_text("words", address, 0), None);
    }
}
