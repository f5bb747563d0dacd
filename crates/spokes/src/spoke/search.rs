//! Searches: over all blogs, by asking the archives; over what is here, where none of them answers.
//!
//! What an archive shows is its author's word, or it is not shown: each hit comes with the entries that prove it, and
//! this spoke looks itself whether the words are in it. Two are asked, so that what one leaves out the other one brings.

mod asking;
mod here;
mod snippet;

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_rules::node::Label;

use self::snippet::{Snippet, snippet};
use super::{
    Spoke,
    archive::Wanted,
    feeds::{Room, written},
    finished::{HTML, passing, secure},
    front::Wish,
    headlines::Told,
    pages::timestamp,
};
use crate::{
    http::{self as web, Guest, Response},
    index::query::Query,
    turns::Turns,
    web::{feed, message::Message, page, page::percent_encoded},
    wire::search::{HitWire, PieceWire, SearchWire},
};

/// Searches at a time: each waits for two other nodes, and judges what they bring.
const SEARCHES_MAX: usize = 16;
/// How long a search waits for those before it.
const TURN_WAIT: std::time::Duration = std::time::Duration::from_secs(3);
/// Searches of one guest that wait: many readers may share an address.
const OF_GUEST_MAX: usize = 16;
/// When whoever found no turn may try again.
const BUSY_SECONDS: u16 = 5;

/// The line before the searches.
pub(super) fn turns() -> Arc<Turns> {
    Turns::new(SEARCHES_MAX, TURN_WAIT, OF_GUEST_MAX)
}

/// A post that was found.
#[derive(Clone, Debug)]
struct Hit {
    told: Arc<Told>,
    snippet: Snippet,
}

/// What a search came to.
#[derive(Debug, Default)]
struct Found {
    hits: Vec<Hit>,
    total: usize,
    more: bool,
    /// Whether there may be more than so many in all.
    is_at_least: bool,
    /// Words that are written otherwise somewhere.
    meant: Option<String>,
    /// Who keeps the archive and answered; nobody where only what is here was searched.
    answered: Vec<Label>,
    /// How many blogs are here, where only these were searched.
    blogs: u64,
    /// After how many entries a search of what is here ended early.
    cut_after: Option<u64>,
}

impl Spoke {
    /// `GET /search?q=`: the form, or what was found.
    pub(super) async fn search(self: &Arc<Self>, request: &Request<Incoming>) -> Response {
        let wish = Wish::of(request);
        let wanted = Wanted::of(request);
        let query = Query::parse(&wanted.line);
        let found = if query.is_empty() {
            Found::default()
        } else {
            let guest = Guest::of(request).address();
            let Some(_turn) = self.searches.take(guest).await else {
                return self.message(None, &Message::busy(wish.tongue, BUSY_SECONDS));
            };
            self.search_for(&wanted, &query).await
        };
        let hit = |hit: Hit| page::SearchHit {
            headline: self.headline(&hit.told),
            snippet: hit.snippet.0,
        };
        let view = page::SearchView {
            network: self.network_view(),
            is_partial: !query.is_empty() && found.answered.is_empty(),
            is_cut: query.is_cut,
            odd: query.odd.clone(),
            has_words: !query.is_empty(),
            query: wanted.line,
            newest: wanted.newest,
            page: wanted.page,
            more: found.more,
            total: found.total as u64,
            is_at_least: found.is_at_least,
            meant: found.meant,
            found: found.hits.into_iter().map(hit).collect(),
            answered: found.answered.iter().map(ToString::to_string).collect(),
            blogs: found.blogs,
            cut_after: found.cut_after,
            tongue: wish.tongue,
            says_tongue: wish.says_tongue,
        };
        let mut response = web::answer(StatusCode::OK, HTML, page::search(&view));
        secure(&mut response);
        passing(&mut response);
        response
    }

    /// `GET search` (SPEC http 2.14): the same for programs.
    pub(super) async fn search_answer(self: &Arc<Self>, request: &Request<Incoming>) -> Response {
        let wanted = Wanted::of(request);
        let query = Query::parse(&wanted.line);
        if query.is_empty() {
            let why = "Say what to look for: ?q=WORDS. There is nothing in it that could be found.";
            return web::refuse(StatusCode::UNPROCESSABLE_ENTITY, "no-words", why);
        }
        let Some(_turn) = self.searches.take(Guest::of(request).address()).await else {
            let why = "Too many searches are under way. Try again in a few seconds.";
            return web::refuse(StatusCode::TOO_MANY_REQUESTS, "busy", why);
        };
        let found = self.search_for(&wanted, &query).await;
        let hits = found.hits.iter().map(|hit| self.hit_wire(hit)).collect();
        let wire = SearchWire {
            query: wanted.line,
            total: found.total,
            page: wanted.page,
            more: found.more,
            is_partial: found.answered.is_empty(),
            answered: found.answered.iter().map(ToString::to_string).collect(),
            meant: found.meant,
            hits,
        };
        web::json(StatusCode::OK, &wire)
    }

    fn hit_wire(&self, hit: &Hit) -> HitWire {
        let headline = &hit.told.headline;
        let address = page::path(headline.slug.as_str());
        let piece = |(text, hit): &(String, bool)| PieceWire {
            text: text.clone(),
            hit: *hit,
        };
        HitWire {
            blog: headline.blog.to_string(),
            name: headline.name.to_string(),
            blog_title: headline.blog_title.clone(),
            article: headline.article.to_string(),
            entry: headline.place.1.to_string(),
            date: headline.date.to_string(),
            title: headline.title.clone(),
            language: headline.language.to_string(),
            tags: hit.told.tags.clone(),
            url: format!("{}{address}", self.origin(headline.name.as_str())),
            snippet: hit.snippet.0.iter().map(piece).collect(),
        }
    }

    /// `GET /search.atom?q=`: the newest that has these words, each in full, for whoever follows them.
    pub(super) async fn search_feed(
        self: &Arc<Self>,
        kind: &str,
        request: &Request<Incoming>,
    ) -> Response {
        let mut wanted = Wanted::of(request);
        (wanted.newest, wanted.page) = (true, 1);
        let query = Query::parse(&wanted.line);
        let _turn = match self.feed_turn(request).await {
            Ok(turn) => turn,
            Err(busy) => return busy,
        };
        if query.is_empty() {
            let why = "Say what to look for: ?q=WORDS. There is nothing in it that could be found.";
            return web::refuse(StatusCode::UNPROCESSABLE_ENTITY, "no-words", why);
        }
        let Some(found) = self.search_archives(&wanted, &query).await else {
            // A reader's program would take an empty feed for the truth.
            let why = "None of the servers that keep all posts answered. Nothing is lost; ask again in a minute.";
            return web::refuse(StatusCode::SERVICE_UNAVAILABLE, "busy", why);
        };
        let (mut entries, mut room) = (Vec::new(), Room::new());
        for hit in &found.hits {
            entries.push(self.network_entry(&hit.told, &mut room).await);
        }
        let newest = found.hits.iter().map(|hit| hit.told.signed).max();
        let origin = self.config.base_url.clone();
        let asked = percent_encoded(&wanted.line);
        let view = feed::FeedView {
            id: format!("urn:{}:search:{asked}", self.network),
            title: format!("{}: {}", self.domain(), wanted.line),
            description: String::new(),
            language: String::new(),
            address: format!("{origin}/search"),
            question: format!("?q={asked}"),
            home: format!("{origin}/search?q={asked}"),
            author: self.domain(),
            updated: timestamp(newest.unwrap_or(self.started)),
            entries,
        };
        let (kind, body) = tokio::task::block_in_place(|| written(kind, &view));
        let mut response = web::answer(StatusCode::OK, kind, body);
        passing(&mut response);
        response
    }

    async fn search_for(self: &Arc<Self>, wanted: &Wanted, query: &Query) -> Found {
        if let Some(found) = self.search_archives(wanted, query).await {
            return found;
        }
        self.search_here(wanted, query).await
    }

    /// The hit that a post is, if it has what was looked for.
    async fn hit(self: &Arc<Self>, told: Arc<Told>, query: &Query) -> Option<Hit> {
        let (blog, entry) = (told.headline.blog, told.headline.place.1);
        let sealed = match told.carried() {
            Some(sealed) => sealed.clone(),
            None => self.sound_entry(blog, entry).await?,
        };
        let draft = sealed.entry().draft()?;
        let is_meant = self.is_meant(&told, query);
        let snippet = snippet(query, &told, &draft.body)?;
        is_meant.then_some(Hit { told, snippet })
    }

    /// Whether a post is among those that the filters of a query choose.
    fn is_meant(&self, told: &Told, query: &Query) -> bool {
        let headline = &told.headline;
        let language = crate::index::query::primary_subtag(headline.language.as_str());
        let tags = || {
            query
                .tag
                .as_ref()
                .is_none_or(|tag| told.tags.iter().any(|t| t == tag.as_str()))
        };
        query
            .blog
            .as_ref()
            .is_none_or(|name| *name == headline.name)
            && query
                .author
                .as_ref()
                .is_none_or(|author| told.authors.contains(author))
            && (query.language.is_none() || query.language == language)
            && headline.date <= crate::clock::now()
            && query.after.is_none_or(|after| headline.date >= after)
            && query.before.is_none_or(|before| headline.date < before)
            && tags()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_guest_leaves_searches_to_others() {
        let (turns, greedy, other) = (turns(), [192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let mut running = Vec::new();
        for _ in 0..SEARCHES_MAX {
            running.push(turns.take(greedy).await.expect("there is room"));
        }
        let wait = |guest| {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move { turns.take(guest).await })
        };
        let hers: Vec<_> = (0..OF_GUEST_MAX).map(|_| wait(greedy)).collect();
        tokio::task::yield_now().await;
        let began = std::time::Instant::now();
        assert!(turns.take(greedy).await.is_none(), "she has enough in line");
        assert!(began.elapsed() < TURN_WAIT / 2, "and hears so at once");
        let another = wait(other);
        tokio::task::yield_now().await;
        drop(running);
        assert!(
            another.await.expect("asked").is_some(),
            "the next but one at most"
        );
        for waiting in hers {
            assert!(waiting.await.expect("asked").is_some(), "in time");
        }
    }
}
