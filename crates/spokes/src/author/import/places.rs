//! Which article a text that comes in is: the one that was made of it before, or a new one.
//!
//! Two blogs that come together have addresses in common. What was made of each text is remembered
//! beside the outbox; where nothing is remembered, the article itself must show that it is the same.

use std::collections::{BTreeMap, BTreeSet};

use spokes_log::{
    blog::{Found, Post},
    name::{EntryId, Slug},
};

use crate::author::{import::links, publish::Item, session::Session, state::Shelf, stop::Stop};

/// How far a number behind a taken address is counted: a diary of thirty years' "untitled".
const NUMBERS_MAX: usize = 10_000;
/// New memories that a crash may cost; the articles themselves then show what they are.
const UNSAVED_MAX: usize = 32;

/// Letters from which on two texts do not have the same words by chance: "See my new picture".
const LETTERS_MIN: usize = 15;

/// What became of the texts of all imports.
#[derive(Default)]
pub(in crate::author) struct Places {
    /// By where a text came from: the article, by its first version.
    became: BTreeMap<String, EntryId>,
    /// The same, the other way round.
    sources: BTreeMap<EntryId, String>,
    /// Articles that are the same as a text, or that the author gave up when she was asked.
    agreed: BTreeSet<EntryId>,
    unsaved: usize,
}

/// Addresses that are spoken for while places are given out.
struct Spoken {
    /// What this import's texts would like to have.
    wanted: BTreeSet<Slug>,
    /// What they have, or were given.
    kept: BTreeSet<Slug>,
    /// Articles that were made of them before.
    ours: BTreeSet<EntryId>,
}

impl Places {
    pub(in crate::author) fn recall(shelf: &Shelf) -> Self {
        let became: BTreeMap<String, EntryId> = shelf.imported().into_iter().collect();
        Self {
            sources: became.iter().map(|(s, id)| (*id, s.clone())).collect(),
            became,
            ..Self::default()
        }
    }

    /// Gives each text its address, and makes the links between them follow.
    pub(in crate::author) fn settle(&mut self, session: &Session<'_>, items: &mut [Item]) {
        let known: Vec<Option<Slug>> = items
            .iter()
            .map(|item| self.made_of(session, item).map(|p| p.article.slug.clone()))
            .collect();
        let mut spoken = Spoken {
            wanted: items.iter().filter_map(|i| i.matter.slug.clone()).collect(),
            kept: known.iter().flatten().cloned().collect(),
            ours: items
                .iter()
                .filter_map(|item| Some(self.made_of(session, item)?.first))
                .collect(),
        };
        let mut given: BTreeMap<String, Slug> = BTreeMap::new();
        for (item, known) in items.iter_mut().zip(known) {
            let Some(wanted) = item
                .matter
                .slug
                .clone()
                .filter(|_| item.matter.withheld.is_none())
            else {
                continue;
            };
            // Who wants the same as another of the import is told so when its turn comes.
            let place = given.get(wanted.as_str()).cloned().or(known.clone());
            let place = place.or_else(|| self.place(session, item, &wanted, &spoken));
            let place = place.unwrap_or_else(|| wanted.clone());
            if place != wanted {
                let why = match known {
                    Some(_) => format!("it stays at \"{place}\", where it was put before"),
                    None => format!("\"{wanted}\" is another article; it became \"{place}\""),
                };
                item.matter.notes.push(why);
            }
            spoken.kept.insert(place.clone());
            given.entry(wanted.to_string()).or_insert(place.clone());
            item.matter.aliases.retain(|alias| *alias != place);
            item.matter.slug = Some(place);
        }
        given.retain(|wanted, place| wanted != place.as_str());
        if !given.is_empty() {
            for item in items {
                item.matter.body = links::follow(&item.matter.body, &given);
            }
        }
    }

    /// A free address, or that of the same article; none where all are taken.
    fn place(
        &mut self,
        session: &Session<'_>,
        item: &Item,
        wanted: &Slug,
        spoken: &Spoken,
    ) -> Option<Slug> {
        let numbered = (2..=NUMBERS_MAX).filter_map(|n| Slug::parse(&format!("{wanted}-{n}")).ok());
        for slug in std::iter::once(wanted.clone()).chain(numbered) {
            let others = slug != *wanted && spoken.wanted.contains(&slug);
            if others || spoken.kept.contains(&slug) {
                continue;
            }
            match session.copy.blog.find(&slug) {
                None => return Some(slug),
                Some(Found::Post(post))
                    if self.is_same(session, item, post)
                        || slug == *wanted && gives_up(session, item, post) =>
                {
                    self.agreed.insert(post.first);
                    return Some(slug);
                }
                // Former addresses of this import's own texts yield to an article, as always.
                Some(Found::Moved(post)) if spoken.ours.contains(&post.first) => return Some(slug),
                Some(_) => {}
            }
        }
        None
    }

    /// Whether a text may stand in an article's place.
    pub(in crate::author) fn may_take(&self, item: &Item, post: &Post) -> bool {
        self.became.get(&item.source) == Some(&post.first) || self.agreed.contains(&post.first)
    }

    fn made_of<'s>(&self, session: &'s Session<'_>, item: &Item) -> Option<&'s Post> {
        let first = self.became.get(&item.source)?;
        session.copy.blog.article_of(*first)
    }

    /// Whether the article at a text's address shows that it is this very text.
    fn is_same(&self, session: &Session<'_>, item: &Item, post: &Post) -> bool {
        let (matter, article) = (&item.matter, &post.article);
        let words = session.copy.body(post.current());
        // Every site has an "About": a title alone says little where another text is known.
        let titled = matter.title.is_some()
            && matter.title == article.title
            && !self.sources.contains_key(&post.first);
        titled
            || matter.date == Some(article.date)
            || says_the_same(&matter.body, words)
            || matter
                .aliases
                .iter()
                .any(|alias| article.aliases.contains(alias))
    }

    /// Learns what a text became.
    pub(in crate::author) fn learn(
        &mut self,
        item: &Item,
        first: EntryId,
        shelf: &Shelf,
    ) -> Result<(), Stop> {
        let is_new = self.became.get(&item.source) != Some(&first);
        if item.source.is_empty() || !is_new {
            return Ok(());
        }
        self.became.insert(item.source.clone(), first);
        self.sources.insert(first, item.source.clone());
        self.unsaved += 1;
        if self.unsaved < UNSAVED_MAX {
            return Ok(());
        }
        self.remember(shelf)
    }

    /// Writes down what was learned.
    pub(in crate::author) fn remember(&mut self, shelf: &Shelf) -> Result<(), Stop> {
        if self.unsaved == 0 {
            return Ok(());
        }
        self.unsaved = 0;
        shelf.keep_imported(&self.became)
    }
}

/// Whether two texts have the same words, wherever their links and pictures lead by now.
fn says_the_same(one: &str, other: &str) -> bool {
    let one = links::unlinked(one);
    let letters = one.chars().filter(|c| c.is_alphanumeric()).count();
    letters >= LETTERS_MIN && one == links::unlinked(other)
}

/// Asks the author, where she is there.
fn gives_up(session: &Session<'_>, item: &Item, post: &Post) -> bool {
    if session.yes || !session.console.is_attended() {
        return false;
    }
    let title = post.article.title.as_deref().unwrap_or("without a title");
    let question = format!(
        "{}: \"{}\" is another article ({title}). Replace it? Otherwise this one gets another \
         address",
        item.name, post.article.slug
    );
    session.console.ask(&question, false)
}
