//! A small search: over what this spoke holds, and the latest posts of the others.
//!
//! It reads entries from disk, the newest first, within bounds; an index of the whole network is
//! another matter. What it shows is read and checked as any page is.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::{
    blog::Post,
    name::{BlogId, EntryId, Hash},
};

use super::{
    Spoke,
    finished::{HTML, passing, secure},
    front::Wish,
    headlines::Told,
    pages::{language_of, line},
};
use crate::{
    http::{self as web, Guest, Response},
    turns::Turns,
    web::{message::Message, page},
};

/// Characters of what is searched for: the form takes no more.
const QUERY_CHARS_MAX: usize = 200;
/// Words that are looked for; further ones are passed over, each costs another look at each text.
const WORDS_MAX: usize = 8;
/// Results of one page.
const FOUND_MAX: usize = 20;
/// Texts with all the words that are looked at closer: most are of current versions.
const CANDIDATES_MAX: usize = 200;
/// Entries that one search reads.
const ENTRIES_MAX: u64 = 20_000;
/// Bytes of entries that one search reads: about a second of work.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long one search may read.
const TIME_MAX: Duration = Duration::from_secs(1);
/// Searches at a time: each reads much, and one leaves room for readers.
const SEARCHES_MAX: usize = 1;
/// How long a search waits for those before it: three of the longest.
const TURN_WAIT: Duration = Duration::from_secs(3);
/// Searches of one guest that wait: as many as get their turn in that time where all are long.
const OF_GUEST_MAX: usize = 3;
/// When whoever found no turn may try again.
const BUSY_SECONDS: u16 = 5;

/// The line before the searches.
pub(super) fn turns() -> Arc<Turns> {
    Turns::new(SEARCHES_MAX, TURN_WAIT, OF_GUEST_MAX)
}

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

/// The words of a query, folded, none twice.
#[derive(Debug, PartialEq, Eq)]
struct Words(Vec<String>);

impl Words {
    fn of(query: &str) -> Self {
        let mut words: Vec<String> = Vec::new();
        for word in fold(query).split_whitespace() {
            if words.len() < WORDS_MAX && !words.iter().any(|known| known == word) {
                words.push(word.to_owned());
            }
        }
        Self(words)
    }

    fn are_in(&self, text: &str) -> bool {
        let text = fold(text);
        self.0.iter().all(|word| text.contains(word.as_str()))
    }
}

/// Without the difference of capitals, and without what Arabic may leave out: its vowel marks and the
/// stretching of lines. Of other scripts nothing is taken away.
fn fold(text: &str) -> String {
    let letters = text.chars();
    let letters = letters.filter(|c| !matches!(c, '\u{640}' | '\u{64b}'..='\u{652}' | '\u{670}'));
    letters.flat_map(char::to_lowercase).collect()
}

/// What a search came to.
#[derive(Debug, Default)]
struct Found {
    /// With whether the title alone has all the words.
    posts: Vec<(bool, page::Headline)>,
    cut_after: Option<u64>,
}

impl Spoke {
    /// `GET /search?q=`: the form, or what was found.
    pub(super) async fn search(self: &Arc<Self>, request: &Request<Incoming>) -> Response {
        let wish = Wish::of(request);
        let query = web::query(request).remove("q").unwrap_or_default();
        let query: String = query.trim().chars().take(QUERY_CHARS_MAX).collect();
        let words = Words::of(&query);
        let mut found = Found::default();
        if !words.0.is_empty() {
            let guest = Guest::of(request).address();
            let Some(_turn) = self.searches.take(guest).await else {
                return self.message(None, &Message::busy(wish.tongue, BUSY_SECONDS));
            };
            found = self.search_for(&words).await;
        }
        let blogs = self.ask(|r| r.blogs().filter(|(_, b)| b.set.has(&self.me)).count());
        let view = page::SearchView {
            network: self.network_view(),
            query,
            found: found.posts.into_iter().map(|(_, post)| post).collect(),
            blogs: blogs.unwrap_or(0) as u64,
            cut_after: found.cut_after,
            tongue: wish.tongue,
            says_tongue: wish.says_tongue,
        };
        let mut response = web::answer(StatusCode::OK, HTML, page::search(&view));
        secure(&mut response);
        passing(&mut response);
        response
    }

    async fn search_for(self: &Arc<Self>, words: &Words) -> Found {
        let (candidates, cut_after) = tokio::task::block_in_place(|| self.candidates(words));
        let mut seen = BTreeSet::new();
        let mut hits: Vec<(bool, BlogId, Post)> = Vec::new();
        for (blog, id) in candidates {
            let post = self.with(blog, |replica| {
                let fold = replica.fold();
                let post = fold.article_of(id)?;
                (post.current() == id && fold.has_slug(post)).then(|| post.clone())
            });
            // A candidate may have been altered on disk: what its author signed decides.
            if let Some(post) = post
                .flatten()
                .filter(|post| seen.insert((blog, post.first)))
            {
                let title = post.article.title.clone().unwrap_or_default();
                hits.push((words.are_in(&title), blog, post));
            }
        }
        hits.sort_by_key(|(titled, _, post)| std::cmp::Reverse((*titled, post.article.date)));
        let mut posts = Vec::new();
        for (titled, blog, post) in hits.into_iter().take(FOUND_MAX) {
            posts.extend(self.found(blog, &post).await.map(|found| (titled, found)));
        }
        for told in self.latest.known().latest(|told| has_words(told, words)) {
            if seen.insert((told.headline.blog, told.headline.article)) {
                let title = told.headline.title.clone().unwrap_or_default();
                posts.push((words.are_in(&title), self.headline(&told)));
            }
        }
        posts.sort_by_key(|(titled, found)| std::cmp::Reverse((*titled, found.post.date)));
        posts.truncate(FOUND_MAX);
        Found { posts, cut_after }
    }

    /// Entries whose text has all the words, and after how many the search ended early.
    fn candidates(&self, words: &Words) -> (Vec<(BlogId, EntryId)>, Option<u64>) {
        let mut budget = Budget::new(Instant::now());
        let (mut found, mut ended_early) = (Vec::new(), false);
        let read = self.store.newest_first(|blog, id, text| {
            if found.len() == CANDIDATES_MAX || !budget.allows(text.len(), Instant::now()) {
                ended_early = true;
                return false;
            }
            if let Some(content) = article_text(text)
                && words.are_in(content)
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

    async fn found(self: &Arc<Self>, blog: BlogId, post: &Post) -> Option<page::Headline> {
        let record = self
            .ask(|registry| registry.blog(blog).cloned())
            .flatten()?;
        let facts = self.with(blog, |replica| {
            let fold = replica.fold();
            (fold.title().to_owned(), fold.language().to_string())
        });
        let (blog_title, blog_language) = facts?;
        let excerpt = self.excerpt(blog, post.current()).await?.to_string();
        let mut post_line = line(post, &blog_language, excerpt);
        post_line.language = language_of(&post.article, &blog_language);
        Some(page::Headline {
            post: post_line,
            blog_origin: self.origin(record.name.as_str()),
            blog_title,
            blog_language,
        })
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

fn has_words(told: &Told, words: &Words) -> bool {
    let headline = &told.headline;
    let title = headline.title.as_deref().unwrap_or_default();
    let tags = told.tags.join(" ");
    words.are_in(&[title, &headline.excerpt, &headline.blog_title, &tags].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whatever_their_capitals_and_marks() {
        for (query, text, found) in [
            ("town HALL", "In front of the Town Hall", true),
            ("hall town", "In front of the Town Hall", true),
            ("town council", "In front of the Town Hall", false),
            ("ÉCOLE", "une école", true),
            ("الاجتماع", "الاِجْتِمَاع فِي دارِ البلدية", true),
            ("مـــرحبا", "مرحبا", true),
            ("集まり", "古い市役所での集まり", true),
            ("टाउन", "पुराने टाउन हॉल में", true),
        ] {
            assert_eq!(Words::of(query).are_in(text), found, "{query}");
        }
    }

    #[test]
    fn a_query_has_so_many_words_and_none_twice() {
        let words = Words::of("a b A c d e f g h i j");
        assert_eq!(words.0.len(), WORDS_MAX);
        assert_eq!(Words::of("  \n "), Words(Vec::new()));
    }

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

    #[tokio::test]
    async fn one_guest_leaves_searches_to_others() {
        let (turns, greedy, other) = (turns(), [192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let running = turns.take(greedy).await.expect("nobody searches");
        let wait = |guest| {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move { turns.take(guest).await })
        };
        let hers: Vec<_> = (0..OF_GUEST_MAX).map(|_| wait(greedy)).collect();
        tokio::task::yield_now().await;
        let began = Instant::now();
        assert!(turns.take(greedy).await.is_none(), "she has enough in line");
        assert!(began.elapsed() < TURN_WAIT / 2, "and hears so at once");
        let another = wait(other);
        tokio::task::yield_now().await;
        drop(running);
        drop(
            another
                .await
                .expect("asked")
                .expect("the next but one at most"),
        );
        for waiting in hers {
            drop(waiting.await.expect("asked").expect("in time"));
        }
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
