//! The latest posts of the whole network, and the front page made of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::name::BlogId;
use spokes_rules::{
    front::{self, Headline},
    node::Label,
};

use super::{
    Spoke,
    finished::{HTML, send},
    headlines::{Checked, Source, headline_wire},
    pages::{timestamp, tongue},
};
use crate::{
    clock,
    http::{self as web, Response},
    render,
    web::{
        feed,
        message::Message,
        page::{self, PostLine},
    },
    wire::LatestWire,
};

/// How often the latest posts of the other spokes are asked for.
const LATEST_EVERY: Duration = Duration::from_secs(1);
/// Beyond this many seconds a spoke that says nothing new is silent, not slow.
const SILENT_SECONDS: u64 = 20;

/// The latest posts: ours, and what the other spokes say of theirs.
#[derive(Debug, Default)]
pub(super) struct Latest {
    own: Mutex<BTreeMap<BlogId, Vec<(Source, Headline)>>>,
    touched: Mutex<BTreeSet<BlogId>>,
    /// Whether every other spoke was asked since the council was heard.
    gathered: AtomicBool,
    /// Of each other spoke when it answered last, and what it names.
    pub(super) peers: Mutex<BTreeMap<Label, (Instant, Checked)>>,
    /// When the primary of a blog was last asked whether it has something newer.
    pub(super) asked: Mutex<BTreeMap<BlogId, Instant>>,
}

impl Latest {
    /// Notes that a blog has changed.
    pub(super) fn touch(&self, blog: BlogId) {
        self.touched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(blog);
    }
}

impl Spoke {
    /// The network's front page.
    pub(super) fn front(self: &Arc<Self>, request: &Request<Incoming>) -> Response {
        let (headlines, age_seconds) = self.latest_now();
        let facts = self.ask(|r| (r.blogs().count() as u64, r.admitted().count() as u64));
        let (blogs, spokes) = facts.unwrap_or_default();
        let latest = headlines.into_iter().map(|h| page::Headline {
            blog_origin: self.origin(h.name.as_str()),
            blog_title: h.blog_title,
            blog_language: h.language.to_string(),
            post: PostLine {
                slug: h.slug.to_string(),
                title: h
                    .title
                    .unwrap_or_else(|| h.excerpt.chars().take(60).collect()),
                language: h.language.to_string(),
                date: timestamp(h.date),
                excerpt: h.excerpt,
            },
        });
        let view = page::FrontView {
            network: self.network_view(),
            latest: latest.collect(),
            blogs,
            spokes,
            age_seconds,
            is_gathering: !self.latest.gathered.load(Ordering::Relaxed),
            start_command: format!("spokes blog create NAME --network {}", self.config.base_url),
            tongue: tongue(request),
        };
        let body = page::front(&view);
        let finished = self
            .rendered
            .finish("front".to_owned(), u64::MAX, HTML, body);
        send(request, &finished)
    }

    /// The latest posts of the network as a feed; each in full stands at its own address.
    pub(super) fn network_feed(
        self: &Arc<Self>,
        path: &str,
        request: &Request<Incoming>,
    ) -> Response {
        let (headlines, _) = self.latest_now();
        let entries: Vec<feed::FeedEntry> = headlines
            .into_iter()
            .map(|h| {
                let title = h.title.unwrap_or_else(|| h.slug.to_string());
                feed::FeedEntry {
                    id: format!("urn:{}", h.article),
                    title,
                    address: format!(
                        "{}{}",
                        self.origin(h.name.as_str()),
                        page::path(h.slug.as_str())
                    ),
                    published: timestamp(h.date),
                    updated: timestamp(h.date),
                    language: h.language.to_string(),
                    author: h.blog_title,
                    tags: Vec::new(),
                    html: render::article(&h.excerpt, &render::Links::here()),
                    summary: h.excerpt,
                }
            })
            .collect();
        let newest = entries.iter().map(|entry| entry.updated).max();
        let origin = self.config.base_url.clone();
        let feed = feed::FeedView {
            id: format!("urn:{}", self.network),
            title: self.domain(),
            description: String::new(),
            language: "en".to_owned(),
            address: format!("{origin}/feed"),
            home: origin,
            author: self.domain(),
            updated: newest.unwrap_or_else(|| timestamp(self.started)),
            entries,
        };
        let (kind, body) = match path {
            "/feed.atom" => (feed::ATOM_TYPE, feed::atom(&feed)),
            "/feed.rss" => (feed::RSS_TYPE, feed::rss(&feed)),
            "/feed.json" => (feed::JSON_TYPE, feed::json(&feed)),
            _ => {
                return self.message(
                    None,
                    &Message::no_such_page(tongue(request), &self.domain()),
                );
            }
        };
        send(
            request,
            &self.rendered.finish(path.to_owned(), u64::MAX, kind, body),
        )
    }

    /// The latest posts of the network as this spoke knows them, and how old the oldest part is.
    fn latest_now(&self) -> (Vec<Headline>, u64) {
        let own = self
            .latest
            .own
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let peers = self
            .latest
            .peers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let theirs = peers.values().flat_map(|(_, checked)| checked.values());
        let all = own.values().flatten().map(|(_, headline)| headline);
        let shown = front::latest(clock::now(), all.chain(theirs.flatten()).cloned());
        // What a spoke said last still counts when it is silent; it does not make the page old.
        let ages = peers.values().map(|(at, _)| at.elapsed().as_secs());
        let age = ages.filter(|age| *age < SILENT_SECONDS).max().unwrap_or(0);
        (shown, age)
    }

    pub(super) fn latest_answer(&self) -> Response {
        let own = self
            .latest
            .own
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all = own.values().flatten();
        let shown = front::latest(
            clock::now(),
            all.clone().map(|(_, headline)| headline.clone()),
        );
        let wire = |shown: &Headline| {
            let (source, headline) = all.clone().find(|(_, headline)| headline == shown)?;
            Some(headline_wire(source, headline))
        };
        let headlines = shown.iter().filter_map(wire).collect();
        web::json(StatusCode::OK, &LatestWire { headlines })
    }

    /// Keeps the latest posts: ours as they change, the others' by asking.
    pub(super) async fn watch_latest(self: Arc<Self>) {
        let mut known: BTreeSet<BlogId> = BTreeSet::new();
        loop {
            let mine: Vec<BlogId> = self
                .ask(|r| {
                    let mine = r.blogs().filter(|(_, b)| *b.set.primary() == self.me);
                    mine.map(|(id, _)| id).collect()
                })
                .unwrap_or_default();
            for blog in &mine {
                if known.insert(*blog) {
                    self.latest.touch(*blog);
                }
            }
            let touched = std::mem::take(
                &mut *self
                    .latest
                    .touched
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            );
            for blog in touched.into_iter().filter(|blog| mine.contains(blog)) {
                self.refresh_own(blog).await;
            }
            let heard = self.heard().is_some();
            self.ask_peers().await;
            if heard {
                self.latest.gathered.store(true, Ordering::Relaxed);
            }
            tokio::time::sleep(LATEST_EVERY).await;
        }
    }

    async fn refresh_own(self: &Arc<Self>, blog: BlogId) {
        let Some(Some(record)) = self.ask(|registry| registry.blog(blog).cloned()) else {
            return;
        };
        let facts = self.with(blog, |replica| {
            let fold = replica.fold();
            let mut posts = fold.posts();
            posts.truncate(front::LATEST_PER_BLOG_MAX);
            let sources = Source::of(replica, &posts);
            let posts = posts.into_iter().cloned();
            (
                sources.into_iter().zip(posts).collect::<Vec<_>>(),
                fold.title().to_owned(),
                fold.language(),
            )
        });
        let Some((posts, blog_title, language)) = facts else {
            return;
        };
        let mut headlines = Vec::new();
        for (source, post) in posts {
            let rendering = self.rendering(blog, post.current()).await;
            let headline = Headline {
                blog,
                name: record.name.clone(),
                blog_title: blog_title.clone(),
                article: post.first,
                date: post.article.date,
                title: post.article.title.clone(),
                slug: post.article.slug.clone(),
                language: post
                    .article
                    .language
                    .clone()
                    .unwrap_or_else(|| language.clone()),
                excerpt: rendering.map(|r| r.excerpt.clone()).unwrap_or_default(),
            };
            headlines.push((source, headline));
        }
        self.latest
            .own
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(blog, headlines);
    }

    async fn ask_peers(self: &Arc<Self>) {
        let peers: Vec<(Label, std::net::SocketAddr)> = self
            .ask(|r| {
                let others = r.admitted().filter(|(label, _)| **label != self.me);
                others
                    .map(|(label, spoke)| (label.clone(), spoke.address.0))
                    .collect()
            })
            .unwrap_or_default();
        self.latest
            .peers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|label, _| peers.iter().any(|(peer, _)| peer == label));
        for (label, address) in peers {
            self.ask_peer(&label, address).await;
        }
    }
}
