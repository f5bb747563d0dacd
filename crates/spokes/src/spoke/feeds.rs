//! Feeds and sitemaps: what the programs of readers and search engines ask for.

use std::{sync::Arc, time::Duration};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::{
    name::{BlogId, EntryId, Tag},
    seal::SealedEntry,
    time::Time,
};
use spokes_rules::registry::BlogRecord;

use super::{
    Spoke,
    finished::{Finished, PLAIN, Rendering, Varies, send},
    front::{Wish, stamp_of},
    headlines::Told,
    pages::{EXCERPT_CHARS, language_of, timestamp, title},
};
use crate::{
    http::{self as web, Guest, Response},
    render,
    turns::{Turn, Turns},
    web::{
        data::{self, SITEMAP_ADDRESSES_MAX, SITEMAP_TYPE},
        feed,
        message::Message,
        page,
    },
};

/// Entries of a blog's feed.
const FEED_ENTRIES: usize = 20;
/// Bytes of whole articles in one feed: twenty long essays. Of what does not fit there are the first words,
/// and the way to the rest.
const FEED_TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Feeds that are put together at a time: each has its articles in memory twice.
const FEEDS_MAX: usize = 2;
/// How long a reader's program waits for its turn: it has time, and no one looks.
const TURN_WAIT: Duration = Duration::from_secs(10);
/// Feeds of one guest that wait: a reader's program asks for a few at a time.
const OF_GUEST_MAX: usize = 16;
/// When whoever found no turn may try again.
const BUSY_SECONDS: u16 = 30;

/// The line before the feeds.
pub(super) fn turns() -> Arc<Turns> {
    Turns::new(FEEDS_MAX, TURN_WAIT, OF_GUEST_MAX)
}

/// What a feed may still hold.
#[derive(Debug)]
pub(super) struct Room(usize);

impl Room {
    pub(super) fn new() -> Self {
        Self(FEED_TEXT_BYTES_MAX)
    }

    /// Whether it is worth making an article's HTML: what has so many bytes seldom gets shorter.
    fn is_for(&self, text: &str) -> bool {
        text.len() <= self.0
    }

    /// An article's HTML where it fits. One that does not takes room all the same: making it was work.
    fn take(&mut self, text: usize, html: &str) -> Option<String> {
        let fits = html.len() <= self.0;
        self.0 = self.0.saturating_sub(if fits { html.len() } else { text });
        fits.then(|| html.to_owned())
    }
}

impl Spoke {
    /// A turn to put a feed together, or what a reader is told who has none.
    pub(super) async fn feed_turn(
        self: &Arc<Self>,
        request: &Request<Incoming>,
    ) -> Result<Turn, Response> {
        let turn = self.feeds.take(Guest::of(request).address()).await;
        let tongue = Wish::of(request).tongue;
        turn.ok_or_else(|| self.message(None, &Message::busy(tongue, BUSY_SECONDS)))
    }

    /// A blog's feed, or that of one of its tags.
    pub(super) async fn feed_of(
        self: &Arc<Self>,
        request: &Request<Incoming>,
        (blog, record, tag): (BlogId, &BlogRecord, Option<&Tag>),
        kind: &str,
    ) -> Result<(&'static str, String), Response> {
        let _turn = self.feed_turn(request).await?;
        let entries = self.feed_entries(blog, record, tag).await;
        let view = self.blog_view(blog, record);
        let below = tag
            .map(|tag| page::tag_path(tag.as_str()))
            .unwrap_or_default();
        let (entries, newest) = entries;
        let feed = feed::FeedView {
            id: format!(
                "urn:{blog}{}",
                tag.map(|t| format!(":{}", page::percent_encoded(t.as_str())))
                    .unwrap_or_default()
            ),
            title: match tag {
                Some(tag) => format!("{}: {tag}", view.title),
                None => view.title,
            },
            description: view.description,
            language: view.language,
            home: format!(
                "{}{}",
                view.origin,
                if below.is_empty() { "/" } else { &below }
            ),
            address: format!("{}{below}/feed", view.origin),
            question: String::new(),
            author: view.author,
            updated: timestamp(newest.unwrap_or(record.since)),
            entries,
        };
        Ok(tokio::task::block_in_place(|| written(kind, &feed)))
    }

    /// The entries of a blog's feed, and when the newest post was signed.
    async fn feed_entries(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        tag: Option<&Tag>,
    ) -> (Vec<feed::FeedEntry>, Option<Time>) {
        let view = self.blog_view(blog, record);
        let mut room = Room::new();
        let posts = self.posts_where(blog, |a| tag.is_none_or(|tag| a.tags.0.contains(tag)));
        let mut entries = Vec::new();
        for post in posts.iter().take(FEED_ENTRIES) {
            let address = format!("{}{}", view.origin, page::path(post.article.slug.as_str()));
            let article = (blog, post.current());
            let told = self.whole_text(article, None, &address, &mut room);
            let Some((html, summary)) = told.await else {
                continue;
            };
            let article = &post.article;
            entries.push(feed::FeedEntry {
                id: format!("urn:{}", post.first),
                title: title(article),
                address,
                published: timestamp(article.date),
                updated: timestamp(changed(article.date, post.signed, post.versions.len() > 1)),
                language: language_of(article, &view.language),
                author: view.author.clone(),
                tags: article.tags.0.iter().map(ToString::to_string).collect(),
                summary,
                html,
            });
        }
        (entries, posts.iter().map(|post| post.signed).max())
    }

    /// A post as it reads far from its page where there is room for it, and its first words; from our disk, unless it
    /// was carried here.
    async fn whole_text(
        self: &Arc<Self>,
        (blog, id): (BlogId, EntryId),
        carried: Option<SealedEntry>,
        address: &str,
        room: &mut Room,
    ) -> Option<(String, String)> {
        let sealed = match carried {
            Some(sealed) => sealed,
            None => self.sound_entry(blog, id).await?,
        };
        let body = sealed.entry().draft()?.body.as_str();
        if !room.is_for(body) {
            let excerpt = render::summary(body, EXCERPT_CHARS);
            return Some((feed::first_words(&excerpt, address), excerpt));
        }
        let bytes = body.len();
        let make = async {
            let links = render::Links::seen_from(address);
            let spoke = Arc::clone(self);
            let render = move || {
                let draft = sealed.entry().draft()?;
                let (html, _whole) = spoke.article(blog, draft, &links);
                let excerpt = render::summary(&draft.body, EXCERPT_CHARS);
                Some(Arc::new(Rendering { html, excerpt }))
            };
            self.renders.apart(render).await?
        };
        let whole = self.renders.once((id, address.to_owned()), make).await?;
        let excerpt = whole.excerpt.clone();
        let html = room.take(bytes, &whole.html);
        let html = html.unwrap_or_else(|| feed::first_words(&excerpt, address));
        Some((html, excerpt))
    }

    /// The latest posts of the network as a feed, each in full.
    pub(super) async fn network_feed(
        self: &Arc<Self>,
        path: &str,
        request: &Request<Incoming>,
    ) -> Response {
        let kinds = ["atom", "rss", "json"];
        let Some(kind) = kinds
            .into_iter()
            .find(|k| path.strip_prefix("/feed.") == Some(k))
        else {
            let message = Message::no_such_page(Wish::of(request).tongue, &self.domain());
            return self.message(None, &message);
        };
        let known = self.latest.known();
        let stamp = stamp_of(&known.version);
        if let Some(finished) = self.rendered.finished(path, stamp) {
            return send(request, &finished);
        }
        let _turn = match self.feed_turn(request).await {
            Ok(turn) => turn,
            Err(busy) => return busy,
        };
        let (mut entries, mut room) = (Vec::new(), Room::new());
        let latest = known.latest(|_| true);
        for told in &latest {
            entries.push(self.network_entry(told, &mut room).await);
        }
        let newest = latest.iter().map(|told| told.signed).max();
        let origin = self.config.base_url.clone();
        let feed = feed::FeedView {
            id: format!("urn:{}", self.network),
            title: self.domain(),
            description: String::new(),
            // Many blogs have many languages.
            language: String::new(),
            address: format!("{origin}/feed"),
            question: String::new(),
            home: format!("{origin}/"),
            author: self.domain(),
            updated: timestamp(newest.unwrap_or(self.started)),
            entries,
        };
        let (kind, body) = tokio::task::block_in_place(|| written(kind, &feed));
        let made = Finished::new(stamp, kind, Varies::No, body);
        send(request, &self.rendered.finish(path.to_owned(), made))
    }

    pub(super) async fn network_entry(
        self: &Arc<Self>,
        told: &Told,
        room: &mut Room,
    ) -> feed::FeedEntry {
        let headline = &told.headline;
        let address = format!(
            "{}{}",
            self.origin(headline.name.as_str()),
            page::path(headline.slug.as_str())
        );
        let (blog, id) = (headline.blog, headline.place.1);
        let carried = told.carried().cloned();
        let whole = self.whole_text((blog, id), carried, &address, room).await;
        let html = whole.map(|(html, _)| html);
        let html = html.unwrap_or_else(|| feed::first_words(&headline.excerpt, &address));
        let title = headline.title.clone();
        feed::FeedEntry {
            id: format!("urn:{}", headline.article),
            title: title.unwrap_or_else(|| headline.slug.to_string()),
            address,
            published: timestamp(headline.date),
            updated: timestamp(changed(headline.date, told.signed, told.is_edited)),
            language: headline.language.to_string(),
            author: headline.blog_title.clone(),
            tags: told.tags.clone(),
            summary: headline.excerpt.clone(),
            html,
        }
    }

    /// A blog's sitemap, or the index of its sitemaps where one file would be too long.
    pub(super) fn sitemap_of(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        file: Option<usize>,
    ) -> String {
        let origin = self.origin(record.name.as_str());
        let listed = self.with(blog, |replica| {
            let fold = replica.fold();
            let all = fold.posts().into_iter().chain(fold.pages());
            let all = all.filter(|post| fold.has_slug(post));
            all.map(|post| (page::path(post.article.slug.as_str()), post.signed))
                .collect::<Vec<_>>()
        });
        let listed = listed.unwrap_or_default();
        let listed: Vec<_> = listed
            .into_iter()
            .map(|(path, signed)| (path, timestamp(signed)))
            .collect();
        data::sitemap_of(&origin, &listed, file)
    }

    /// In how many files the network's index of blogs is.
    pub(super) fn network_sitemaps(&self) -> usize {
        let blogs = self.ask(|registry| registry.blogs().count()).unwrap_or(0);
        blogs.div_ceil(SITEMAP_ADDRESSES_MAX).max(1)
    }

    /// The network's sitemap: an index of those of its blogs.
    pub(super) fn network_sitemap(self: &Arc<Self>, request: &Request<Incoming>) -> Response {
        let file = super::lists::page_number(request).min(self.network_sitemaps());
        let (key, stamp) = (format!("/sitemap.xml {file}"), *self.followed.borrow());
        if let Some(finished) = self.rendered.finished(&key, stamp) {
            return send(request, &finished);
        }
        let names = self.ask(|registry| {
            let names = registry.blogs().map(|(_, blog)| blog.name.to_string());
            let from = (file - 1).saturating_mul(SITEMAP_ADDRESSES_MAX);
            let part = names.skip(from).take(SITEMAP_ADDRESSES_MAX);
            part.collect::<Vec<_>>()
        });
        let address = |name: &String| format!("{}/sitemap.xml", self.origin(name));
        let addresses: Vec<String> = names.unwrap_or_default().iter().map(address).collect();
        let body = data::sitemap_index(&addresses);
        let made = Finished::new(stamp, SITEMAP_TYPE, Varies::No, body);
        send(request, &self.rendered.finish(key, made))
    }

    /// A blog's rules for robots: everything may be read.
    pub(super) fn robots_of(&self, record: &BlogRecord) -> Response {
        let origin = self.origin(record.name.as_str());
        let text = data::robots(&["/api/"], &data::sitemaps_of(&origin, 1));
        web::answer(StatusCode::OK, PLAIN, text)
    }
}

/// When a post changed last: an old one that was brought here has not changed by that.
fn changed(date: Time, signed: Time, is_edited: bool) -> Time {
    if is_edited { signed.max(date) } else { date }
}

pub(super) fn written(kind: &str, feed: &feed::FeedView) -> (&'static str, String) {
    match kind {
        "atom" => (feed::ATOM_TYPE, feed::atom(feed)),
        "rss" => (feed::RSS_TYPE, feed::rss(feed)),
        _ => (feed::JSON_TYPE, feed::json(feed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_holds_so_much_and_more_work_is_not_done_for_it() {
        let mib = "x".repeat(1024 * 1024);
        let mut room = Room::new();
        let whole = (0..100)
            .take_while(|_| room.take(1, &mib).is_some())
            .count();
        assert_eq!(whole, FEED_TEXT_BYTES_MAX / mib.len());
        // A short one behind a long one fits still, and nothing is made that cannot.
        assert_eq!(room.take(1, ""), Some(String::new()));
        assert!(!room.is_for(&mib));

        // Whose HTML is ever so much longer than its text takes room as its text does.
        let mut room = Room::new();
        let long = "x".repeat(FEED_TEXT_BYTES_MAX + 1);
        let made = (0..100).take_while(|_| {
            let made = room.is_for(&mib);
            made && room.take(mib.len(), &long).is_none()
        });
        assert_eq!(made.count(), FEED_TEXT_BYTES_MAX / mib.len());
        assert!(room.is_for(""));
    }
}
