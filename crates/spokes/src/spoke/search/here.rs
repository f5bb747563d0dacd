//! A search of what this spoke holds, and of the latest posts of the others: where no archive answers.
//!
//! It reads entries from disk, the newest first, within bounds. What it shows is read and checked as any page is.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use spokes_log::name::{BlogId, EntryId, Hash};
use tokio::task::block_in_place;

use super::{
    super::{
        Spoke,
        archive::{FOUND_MAX, Wanted},
    },
    Found, Hit,
};
use crate::index::{query::Query, words::words};

/// Posts with all the words that are looked at closer: most are of current versions.
const CANDIDATES_MAX: usize = 200;
/// Entries that one search reads.
const ENTRIES_MAX: u64 = 20_000;
/// Bytes of entries that one search reads: about a second of work.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long one search may read.
const TIME_MAX: Duration = Duration::from_secs(1);

/// How much a search has read, and may read.
#[derive(Debug)]
struct Budget {
    entries: u64,
    bytes: usize,
    until: Instant,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self {
            entries: 0,
            bytes: 0,
            until: now + TIME_MAX,
        }
    }

    /// Whether another text of so many bytes may be read.
    fn allows(&mut self, bytes: usize, now: Instant) -> bool {
        let allows =
            self.entries < ENTRIES_MAX && self.bytes + bytes <= BYTES_MAX && now < self.until;
        if allows {
            self.entries += 1;
            self.bytes += bytes;
        }
        allows
    }
}

impl Spoke {
    /// Searches what is here.
    pub(super) async fn search_here(self: &Arc<Self>, wanted: &Wanted, query: &Query) -> Found {
        // Each reads much, and one leaves room for readers. Nobody closes it.
        let _place = self.reading_search.acquire().await;
        let (candidates, cut_after) = block_in_place(|| self.candidates(query));
        let mut seen = BTreeSet::new();
        let mut hits: Vec<Hit> = Vec::new();
        for (blog, id) in candidates {
            // A candidate may have been altered on disk: what its author signed decides.
            let told = self.told_of(blog, |fold| {
                let post = fold.article_of(id);
                let post = post.filter(|post| post.current() == id && fold.has_slug(post));
                post.into_iter().cloned().collect()
            });
            for told in told.await.unwrap_or_default() {
                if seen.insert((blog, told.headline.article)) {
                    hits.extend(self.hit(told, query).await);
                }
            }
        }
        for told in self.latest.known().latest(|_| true) {
            if seen.insert((told.headline.blog, told.headline.article)) {
                hits.extend(self.hit(told, query).await);
            }
        }
        let titled = |hit: &Hit| {
            let title = words(hit.told.headline.title.as_deref().unwrap_or_default());
            !wanted.newest && query.fits(&[&title])
        };
        hits.sort_by_cached_key(|hit| std::cmp::Reverse((titled(hit), hit.told.headline.date)));
        let blogs = self.ask(|r| r.blogs().filter(|(_, b)| b.set.has(&self.me)).count());
        let total = hits.len();
        let from = (wanted.page - 1) * FOUND_MAX;
        Found {
            hits: hits.into_iter().skip(from).take(FOUND_MAX).collect(),
            total,
            more: total > from + FOUND_MAX,
            blogs: blogs.unwrap_or(0) as u64,
            cut_after,
            ..Found::default()
        }
    }

    /// Entries whose text has all the words, and after how many the search ended early.
    fn candidates(&self, query: &Query) -> (Vec<(BlogId, EntryId)>, Option<u64>) {
        let mut budget = Budget::new(Instant::now());
        let (mut found, mut ended_early) = (Vec::new(), false);
        let read = self.store.newest_first(|blog, id, text| {
            if found.len() == CANDIDATES_MAX || !budget.allows(text.len(), Instant::now()) {
                ended_early = true;
                return false;
            }
            if let Some(content) = article_text(text)
                && query.may_fit(&words(content))
                && let (Ok(blog), Ok(id)) = (Hash::parse(blog), Hash::parse(id))
            {
                found.push((blog, id));
            }
            true
        });
        if let Err(outage) = read {
            tracing::error!(%outage, "a search could not read the store");
        }
        (found, ended_early.then_some(budget.entries))
    }
}

/// What a post or page says, without what machines say around it: its slug, title, tags and body.
fn article_text(text: &str) -> Option<&str> {
    let (head, content) = text.split_once("\n\n")?;
    let kind = head.lines().find_map(|line| line.strip_prefix("Kind: "))?;
    if !matches!(kind, "post" | "page") {
        return None;
    }
    // The salt is the first line.
    content.split_once('\n').map(|(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_ends_at_each_of_its_bounds() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        let read = (0..).take_while(|_| budget.allows(1, now)).count();
        assert_eq!(read as u64, ENTRIES_MAX);
        let mut budget = Budget::new(now);
        assert!(budget.allows(BYTES_MAX, now) && !budget.allows(1, now));
        let mut budget = Budget::new(now);
        assert!(budget.allows(1, now) && !budget.allows(1, now + TIME_MAX));
    }

    #[test]
    fn only_posts_and_pages_are_searched_and_not_their_salt() {
        let text = |kind: &str| {
            format!("Spokes-Entry: 1\nKind: {kind}\nSigned: x\n\nSalt: abcd\nTitle: T\n\nbody")
        };
        assert_eq!(article_text(&text("post")), Some("Title: T\n\nbody"));
        assert_eq!(article_text(&text("page")), Some("Title: T\n\nbody"));
        assert_eq!(article_text(&text("blog")), None);
        assert_eq!(article_text("Kind: post\nerased"), None);
    }
}
