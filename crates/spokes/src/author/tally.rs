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
}

/// The same of all texts of one import.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Totals {
    /// Texts that name authors.
    signed_by_name: usize,
    authors: BTreeMap<String, usize>,
    undated: usize,
}

impl Totals {
    pub(crate) fn of<'t>(tallies: impl Iterator<Item = &'t Tally>) -> Self {
        let mut totals = Self::default();
        for tally in tallies {
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
        self.of_dates()
            .into_iter()
            .chain(self.of_authors())
            .collect()
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
