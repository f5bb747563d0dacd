//! Searches over all blogs (SPEC http 2.14), and the news that the archive is told of (SPEC http 3.13).

use serde::{Deserialize, Serialize};

use super::HeadlineWire;

/// `POST feed`: a spoke has news.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(expecting = "an object with \"of\"")]
pub struct NewsWire {
    /// Its label.
    pub of: String,
}

/// What an archive found, for another node, which judges it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ArchiveFoundWire {
    /// How many posts there are in all.
    pub total: usize,
    /// How many posts are in the index.
    pub posts: u64,
    /// A word that is in the index and looks like one that is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meant: Option<String>,
    /// All that can be paged through, the best first: where each is from, packed (SPEC circle 7.6).
    #[serde(default)]
    pub order: Vec<String>,
    /// Those of the page that is asked for, with the entries that prove them.
    pub hits: Vec<HeadlineWire>,
}

/// `GET search`: what was found in all blogs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SearchWire {
    /// What was looked for.
    pub query: String,
    /// How many posts there are in all, as far as whoever was asked knows.
    pub total: usize,
    /// The number of this page, from 1.
    pub page: usize,
    /// Whether there are more.
    pub more: bool,
    /// Spokes that keep the archive and answered.
    pub answered: Vec<String>,
    /// Whether only what this spoke holds itself was searched.
    pub is_partial: bool,
    /// Words that are written otherwise somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meant: Option<String>,
    /// The posts.
    pub hits: Vec<HitWire>,
}

/// A post that was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HitWire {
    /// The blog.
    pub blog: String,
    /// Its name.
    pub name: String,
    /// Its title.
    pub blog_title: String,
    /// The article, by its first version.
    pub article: String,
    /// Its current version.
    pub entry: String,
    /// Its date.
    pub date: String,
    /// Its title, if it has one.
    pub title: Option<String>,
    /// Its language.
    pub language: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Where it is read.
    pub url: String,
    /// Words of it around those that were looked for.
    pub snippet: Vec<PieceWire>,
}

/// A piece of a text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PieceWire {
    /// The text.
    pub text: String,
    /// Whether it was looked for.
    pub hit: bool,
}
