//! Feeds and sitemaps: what the programs of readers and search engines ask for.

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::{
    name::{BlogId, EntryId, Tag},
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
    http::{self as web, Response},
    render,
    web::{
        data::{self, SITEMAP_ADDRESSES_MAX, SITEMAP_TYPE},
        feed,
        message::Message,
        page,
    },
};

/// Entries of a blog's feed.
const FEED_ENTRIES: usize = 20;

impl Spoke {
    /// A blog's feed, or that of one of its tags.
    pub(super) async fn feed_of(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        tag: Option<&Tag>,
        kind: &str,
    ) -> (&'static str, String) {
        let view = self.blog_view(blog, record);
        let posts = self.posts_where(blog, |a| tag.is_none_or(|tag| a.tags.0.contains(tag)));
        let mut entries = Vec::new();
        for post in posts.iter().take(FEED_ENTRIES) {
            let address = format!("{}{}", view.origin, page::path(post.article.slug.as_str()));
            let Some(whole) = self.whole_text(blog, post.current(), &address).await else {
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
                summary: whole.excerpt.clone(),
                html: whole.html.clone(),
            });
        }
        let below = tag
            .map(|tag| page::tag_path(tag.as_str()))
            .unwrap_or_default();
        let newest = posts.iter().map(|post| post.signed).max();
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
            author: view.author,
            updated: timestamp(newest.unwrap_or(record.since)),
            entries,
        };
        written(kind, &feed)
    }

    /// A post as it reads far from its page, and its first words.
    async fn whole_text(
        self: &Arc<Self>,
        blog: BlogId,
        id: EntryId,
        address: &str,
    ) -> Option<Arc<Rendering>> {
        let make = async {
            let sealed = self.sound_entry(blog, id).await?;
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
        self.renders.once((id, address.to_owned()), make).await
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
        let mut entries = Vec::new();
        let latest = known.latest(|_| true);
        for told in &latest {
            entries.push(self.network_entry(told).await);
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
            home: format!("{origin}/"),
            author: self.domain(),
            updated: timestamp(newest.unwrap_or(self.started)),
            entries,
        };
        let (kind, body) = written(kind, &feed);
        let made = Finished::new(stamp, kind, Varies::No, body);
        send(request, &self.rendered.finish(path.to_owned(), made))
    }

    async fn network_entry(self: &Arc<Self>, told: &Told) -> feed::FeedEntry {
        let headline = &told.headline;
        let address = format!(
            "{}{}",
            self.origin(headline.name.as_str()),
            page::path(headline.slug.as_str())
        );
        let html = match &told.html {
            Some(html) => html.clone(),
            None => match self
                .whole_text(headline.blog, headline.place.1, &address)
                .await
            {
                Some(whole) => whole.html.clone(),
                None => feed::first_words(&headline.excerpt, &address),
            },
        };
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

fn written(kind: &str, feed: &feed::FeedView) -> (&'static str, String) {
    match kind {
        "atom" => (feed::ATOM_TYPE, feed::atom(feed)),
        "rss" => (feed::RSS_TYPE, feed::rss(feed)),
        _ => (feed::JSON_TYPE, feed::json(feed)),
    }
}
