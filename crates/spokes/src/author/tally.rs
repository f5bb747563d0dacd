//! What did not come along with imported texts, or came otherwise: counted, and said once at the end.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::Serialize;

/// Names that are said; the rest are counted.
const NAMED_MAX: usize = 5;

/// What is counted of one text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Whom its source names as its authors.
    pub(crate) authors: Vec<String>,
    /// Whether it got a date because nothing said one.
    pub(crate) is_undated: bool,
    pub(crate) comments: usize,
    /// Pictures and other files that are part of its article.
    pub(crate) media: usize,
    /// Pictures that it names and that could not be had.
    pub(crate) media_left: usize,
    /// Addresses that led to it and cannot do so here.
    pub(crate) addresses_lost: usize,
    /// Links to what was not imported.
    pub(crate) dead_links: usize,
}

/// The same of all texts of one import.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// Texts that name authors.
    signed_by_name: usize,
    authors: BTreeMap<String, usize>,
    undated: usize,
    comments: usize,
    media: usize,
    media_left: usize,
    addresses_lost: usize,
    dead_links: usize,
}

impl Totals {
    pub(crate) fn of<'t>(tallies: impl Iterator<Item = &'t Tally>) -> Self {
        let mut totals = Self::default();
        for tally in tallies {
            totals.comments += tally.comments;
            totals.media += tally.media;
            totals.media_left += tally.media_left;
            totals.addresses_lost += tally.addresses_lost;
            totals.dead_links += tally.dead_links;
            totals.undated += usize::from(tally.is_undated);
            totals.signed_by_name += usize::from(!tally.authors.is_empty());
            for author in &tally.authors {
                *totals.authors.entry(author.clone()).or_insert(0) += 1;
            }
        }
        totals
    }

    /// What there is to say, a sentence for each.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let sentences = [
            self.of_media(),
            self.of_losses(),
            self.of_dates(),
            self.of_authors(),
        ];
        sentences.into_iter().flatten().collect()
    }

    fn of_media(&self) -> Option<String> {
        let left = match self.media_left {
            0 => String::new(),
            left => {
                let left = match left {
                    1 => "1 that a text shows was left behind".to_owned(),
                    left => format!("{left} that texts show were left behind"),
                };
                format!(
                    "; {left}. The same command with --fetch-media fetches them from where they \
                     lie, with --media FOLDER it takes them from your copy"
                )
            }
        };
        let media = self.media;
        (media + self.media_left > 0)
            .then(|| format!("pictures and other files: {media} went along{left}"))
    }

    fn of_losses(&self) -> Option<String> {
        let counted = [
            (self.comments, "comments"),
            (self.addresses_lost, "old addresses"),
            (self.dead_links, "links to what was not imported"),
        ];
        let lost: Vec<String> = counted
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{what}: {count}"))
            .collect();
        (!lost.is_empty()).then(|| format!("did not come along: {}", lost.join(", ")))
    }

    fn of_dates(&self) -> Option<String> {
        match self.undated {
            0 => None,
            1 => Some("1 text has no date; it got the moment of this import".to_owned()),
            texts => Some(format!(
                "{texts} texts have no date; they got the moment of this import, a second apart, in \
                 the order of their names"
            )),
        }
    }

    fn of_authors(&self) -> Option<String> {
        let mut names: Vec<(&String, &usize)> = self.authors.iter().collect();
        names.sort_by_key(|(name, count)| (Reverse(**count), *name));
        let more = match names.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(", {more} more"),
        };
        let named: Vec<String> = names
            .iter()
            .take(NAMED_MAX)
            .map(|(name, count)| format!("{name}: {count}"))
            .collect();
        let texts = match self.signed_by_name {
            0 => return None,
            1 => "1 text names its authors".to_owned(),
            texts => format!("{texts} texts name their authors"),
        };
        Some(format!(
            "{texts} ({}{more}). A signed post shows who signed it; these names were left out",
            named.join(", ")
        ))
    }
}
