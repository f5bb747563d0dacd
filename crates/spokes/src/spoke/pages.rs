//! The pages and files that a spoke serves to people.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use spokes_log::{
    blog::{Found, Post},
    draft::{Article, MEDIUM_BYTES_MAX},
    name::{BlogId, BlogName, EntryId, Hash, Slug, Tag},
    time::Time,
};
use spokes_rules::{node::Label, registry::BlogRecord, replica::Standing};

use super::{
    Spoke,
    api::Site,
    finished::{HTML, PLAIN, Rendering, medium, redirect, secure, send},
    follow::Unknown,
};
use crate::{
    client::Ask,
    http::{self as web, Response},
    outage::Outage,
    render,
    web::{
        feed,
        message::Message,
        page::{self, Neighbor, PostLine},
        words::Tongue,
    },
};

/// Posts of one page of a blog's index.
const INDEX_POSTS: usize = 20;
/// Entries of a feed.
const FEED_ENTRIES: usize = 20;
/// Characters of an excerpt: three lines on a phone.
pub(super) const EXCERPT_CHARS: usize = 240;
/// How long the primary may take to say whether it has something newer, before a 404.
pub(super) const FRESH_WAIT: Duration = Duration::from_secs(1);
/// How often a blog's primary is asked that.
const FRESH_EVERY: Duration = Duration::from_secs(1);

/// What is at an address below a blog.
enum Address {
    Index,
    Archive,
    Tag(Tag),
    Feed(Option<Tag>, &'static str),
    Key,
    Post(Slug, Form),
}

/// In which form a post is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Page,
    Sealed,
    Text,
    Signature,
}

impl Address {
    fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let feed = |name: &str| {
            ["atom", "json", "rss"]
                .into_iter()
                .find(|f| name.strip_prefix("feed.") == Some(f))
        };
        match path {
            "" => return Some(Self::Index),
            "archive" => return Some(Self::Archive),
            "key.asc" => return Some(Self::Key),
            _ => {}
        }
        if let Some(kind) = feed(path) {
            return Some(Self::Feed(None, kind));
        }
        if let Some(rest) = path.strip_prefix("tags/") {
            let (tag, form) = match rest.rsplit_once('/') {
                Some((tag, name)) => (tag, Some(feed(name)?)),
                None => (rest, None),
            };
            let tag = Tag::parse(tag).ok()?;
            return Some(match form {
                Some(kind) => Self::Feed(Some(tag), kind),
                None => Self::Tag(tag),
            });
        }
        let (slug, form) = if let Some(slug) = path.strip_suffix(".txt.asc") {
            (slug, Form::Signature)
        } else if let Some(slug) = path.strip_suffix(".asc") {
            (slug, Form::Sealed)
        } else if let Some(slug) = path.strip_suffix(".txt") {
            (slug, Form::Text)
        } else {
            (path.strip_suffix('/').unwrap_or(path), Form::Page)
        };
        Slug::parse(slug).ok().map(|slug| Self::Post(slug, form))
    }
}

impl Spoke {
    /// Answers a GET for people.
    pub(super) async fn page(self: Arc<Self>, request: Request<Incoming>) -> Response {
        let path = web::unquote_path(request.uri().path());
        if path == "/healthz" {
            return web::answer(StatusCode::OK, "text/plain", "ok\n");
        }
        if path == page::STYLE_PATH {
            let mut response = web::answer(StatusCode::OK, "text/css; charset=utf-8", page::STYLE);
            let day = HeaderValue::from_static("public, max-age=3600");
            response.headers_mut().insert(header::CACHE_CONTROL, day);
            return response;
        }
        if let Some(hash) = path.strip_prefix("/media/").and_then(Hash::parse_path) {
            return self.medium(hash, &request).await;
        }
        if let Some(id) = path.strip_prefix("/_/entry/").and_then(Hash::parse_path) {
            return self.sealed_entry(id, &request).await;
        }
        match self.site(&web::host(&request)) {
            Site::Apex if path == "/" => self.front(&request),
            Site::Apex if path.starts_with("/feed.") => self.network_feed(&path, &request),
            Site::Apex => {
                let message = Message::no_such_page(tongue(&request), &self.domain());
                self.message(None, &message)
            }
            Site::Blog(name) => self.blog_page(&name, &path, &request).await,
        }
    }

    pub(super) fn domain(&self) -> String {
        self.ask(|registry| registry.founding().domain.to_string())
            .unwrap_or_default()
    }

    /// Where people reach a blog: the network's address with the name before it.
    pub(super) fn origin(&self, name: &str) -> String {
        match self.config.base_url.split_once("://") {
            Some((scheme, host)) => format!("{scheme}://{name}.{host}"),
            None => self.config.base_url.clone(),
        }
    }

    pub(super) fn network_view(&self) -> page::Network {
        let operator = self
            .ask(|r| r.spoke(&self.me).map(|s| s.operator.to_string()))
            .flatten();
        page::Network {
            domain: self.domain(),
            origin: self.config.base_url.clone(),
            spoke: self.me.to_string(),
            operator: operator.unwrap_or_default(),
        }
    }

    fn blog_view(self: &Arc<Self>, blog: BlogId, record: &BlogRecord) -> page::Blog {
        let facts = self.with(blog, |replica| {
            let fold = replica.fold();
            let pages = fold.pages();
            let pages = pages
                .into_iter()
                .map(|post| neighbor(post, &fold.language().to_string()));
            let author = replica
                .chain()
                .ring(blog)
                .and_then(|ring| ring.certificate(&record.author))
                .and_then(|certificate| certificate.user_ids().next());
            (
                fold.title().to_owned(),
                fold.description().unwrap_or_default().to_owned(),
                fold.language().to_string(),
                pages.collect::<Vec<_>>(),
                author,
            )
        });
        let (title, description, language, pages, author) = facts.unwrap_or_default();
        page::Blog {
            name: record.name.to_string(),
            origin: self.origin(record.name.as_str()),
            title,
            description,
            language,
            author: author.map(|uid| shown_name(&uid)).unwrap_or_default(),
            fingerprint: record.author.to_string(),
            primary: record.set.primary().to_string(),
            replicas: record.set.members.iter().map(Label::to_string).collect(),
            pages,
            late: false,
            may_lack_after: None,
        }
    }

    async fn blog_page(
        self: Arc<Self>,
        name: &BlogName,
        path: &str,
        request: &Request<Incoming>,
    ) -> Response {
        let (blog, record) = match self.look_up(name).await {
            Ok(known) => known,
            Err(unknown) => {
                let (tongue, domain) = (tongue(request), self.domain());
                let name = name.as_str();
                let message = match unknown {
                    Unknown::Nowhere => Message::no_such_blog(tongue, name, &domain),
                    Unknown::CouncilSilent => Message::no_such_blog_known(tongue, name, &domain),
                };
                return self.message(None, &message);
            }
        };
        if !record.set.has(&self.me) {
            return self.elsewhere(name, &record, request).await;
        }
        let Some(address) = Address::parse(path) else {
            return self.message(
                Some((blog, &record)),
                &Message::no_such_post(self.tongue_of(blog)),
            );
        };
        let stamp = self.stamp(blog);
        // What a page does not depend on makes no other page: strangers choose it.
        let number = page_number(request);
        let key = format!("{name}{path} {number}");
        if let Some(finished) = self.rendered.finished(&key, stamp) {
            return send(request, &finished);
        }
        let made = match address {
            Address::Index => Some((HTML, self.index(blog, &record, number).await)),
            Address::Archive => Some((HTML, self.archive(blog, &record).await)),
            Address::Tag(tag) => Some((HTML, self.tag(blog, &record, &tag).await)),
            Address::Feed(tag, kind) => Some(self.feed_of(blog, &record, tag.as_ref(), kind).await),
            Address::Key => return self.key(blog, &record),
            Address::Post(slug, form) => match self.post(blog, &record, &slug, form).await {
                Made::Text(kind, text) => Some((kind, text)),
                Made::Response(response) => return response,
            },
        };
        let Some((kind, body)) = made else {
            return self.message(
                Some((blog, &record)),
                &Message::no_such_post(self.tongue_of(blog)),
            );
        };
        send(request, &self.rendered.finish(key, stamp, kind, body))
    }

    /// Changes whenever a page of this blog may.
    fn stamp(self: &Arc<Self>, blog: BlogId) -> u64 {
        let records = *self.followed.borrow();
        let replica = self.with(blog, |replica| {
            let chain = replica.durable_len() as u64;
            let tip = replica.durable_tips().last().copied();
            let copies = tip.map_or(0, |tip| copies(&replica.standing(tip.id)));
            (chain, u64::from(copies))
        });
        let (chain, copies) = replica.unwrap_or_default();
        records.wrapping_mul(1 << 40) ^ chain.wrapping_mul(1 << 8) ^ copies
    }

    async fn index(self: &Arc<Self>, blog: BlogId, record: &BlogRecord, number: usize) -> String {
        let (posts, all) = self
            .with(blog, |replica| {
                let posts = replica.fold().posts();
                let from = (number - 1).saturating_mul(INDEX_POSTS).min(posts.len());
                let to = (from + INDEX_POSTS).min(posts.len());
                (
                    posts[from..to]
                        .iter()
                        .map(|p| (*p).clone())
                        .collect::<Vec<_>>(),
                    posts.len(),
                )
            })
            .unwrap_or_default();
        let view = page::BlogView {
            network: self.network_view(),
            blog: self.blog_view(blog, record),
            posts: self.lines(blog, &posts).await,
            path: if number == 1 {
                "/".to_owned()
            } else {
                format!("/?page={number}")
            },
            newer: (number > 1).then(|| match number {
                2 => "/".to_owned(),
                _ => format!("/?page={}", number - 1),
            }),
            older: (number.saturating_mul(INDEX_POSTS) < all)
                .then(|| format!("/?page={}", number + 1)),
        };
        page::blog_index(&view)
    }

    async fn archive(self: &Arc<Self>, blog: BlogId, record: &BlogRecord) -> String {
        let posts = self.posts_where(blog, |_| true);
        let language = self.language(blog);
        let posts = posts
            .iter()
            .map(|post| line(post, &language, String::new()))
            .collect();
        let (network, blog) = (self.network_view(), self.blog_view(blog, record));
        page::archive(&page::ArchiveView {
            network,
            blog,
            posts,
        })
    }

    async fn tag(self: &Arc<Self>, blog: BlogId, record: &BlogRecord, tag: &Tag) -> String {
        let posts = self.posts_where(blog, |article| article.tags.0.contains(tag));
        let posts = self.lines(blog, &posts).await;
        let (network, blog) = (self.network_view(), self.blog_view(blog, record));
        page::tag(&page::TagView {
            network,
            blog,
            tag: tag.to_string(),
            posts,
        })
    }

    fn posts_where(self: &Arc<Self>, blog: BlogId, wanted: impl Fn(&Article) -> bool) -> Vec<Post> {
        let posts = self.with(blog, |replica| {
            let posts = replica.fold().posts().into_iter();
            posts
                .filter(|post| wanted(&post.article))
                .cloned()
                .collect()
        });
        posts.unwrap_or_default()
    }

    fn language(self: &Arc<Self>, blog: BlogId) -> String {
        self.with(blog, |r| r.fold().language().to_string())
            .unwrap_or_default()
    }

    fn tongue_of(self: &Arc<Self>, blog: BlogId) -> Tongue {
        Tongue::for_language(&self.language(blog))
    }

    async fn lines(self: &Arc<Self>, blog: BlogId, posts: &[Post]) -> Vec<PostLine> {
        let language = self.language(blog);
        let mut lines = Vec::new();
        for post in posts {
            let rendering = self.rendering(blog, post.current()).await;
            let excerpt = rendering.map(|r| r.excerpt.clone()).unwrap_or_default();
            lines.push(line(post, &language, excerpt));
        }
        lines
    }

    /// An article's HTML, made once for each version from words that were checked just then.
    pub(super) async fn rendering(
        self: &Arc<Self>,
        blog: BlogId,
        id: EntryId,
    ) -> Option<Arc<Rendering>> {
        if let Some(kept) = self.rendered.rendering(id) {
            return Some(kept);
        }
        let sealed = self.sound_entry(blog, id).await?;
        let body = sealed.entry().draft()?.body.clone();
        let rendering = tokio::task::block_in_place(|| {
            Arc::new(Rendering {
                html: render::article(&body, &render::Links::here()),
                excerpt: render::summary(&body, EXCERPT_CHARS),
            })
        });
        self.rendered.keep(id, &rendering);
        Some(rendering)
    }

    async fn post(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        slug: &Slug,
        form: Form,
    ) -> Made {
        let mut found = self.find(blog, slug);
        let mut late = false;
        if found.is_none() {
            late = !self.freshen(blog, record).await;
            found = self.find(blog, slug);
        }
        let Some((post, moved)) = found else {
            let message = if late {
                Message::no_such_post_yet(self.tongue_of(blog))
            } else {
                Message::no_such_post(self.tongue_of(blog))
            };
            return Made::Response(self.message(Some((blog, record)), &message));
        };
        if moved && form == Form::Page {
            return Made::Response(redirect(&page::path(post.article.slug.as_str())));
        }
        if form == Form::Page {
            return self.post_page(blog, record, &post).await;
        }
        let Some(sealed) = self.sound_entry(blog, post.current()).await else {
            return Made::Response(self.message(
                Some((blog, record)),
                &Message::damaged_copy(self.tongue_of(blog)),
            ));
        };
        let text = match form {
            Form::Sealed => sealed.cleartext().unwrap_or_default(),
            Form::Text => sealed.entry().text().to_owned(),
            _ => sealed.armored_signatures(),
        };
        Made::Text(PLAIN, text)
    }

    fn find(self: &Arc<Self>, blog: BlogId, slug: &Slug) -> Option<(Post, bool)> {
        self.with(blog, |replica| match replica.fold().find(slug) {
            Some(Found::Post(post)) => Some((post.clone(), false)),
            Some(Found::Moved(post)) => Some((post.clone(), true)),
            None => None,
        })
        .flatten()
    }

    /// Asks the primary once whether it has something newer; true when it answered, or when this is
    /// the primary (SPEC receipt 5).
    async fn freshen(self: &Arc<Self>, blog: BlogId, record: &BlogRecord) -> bool {
        if *record.set.primary() == self.me {
            return true;
        }
        let Some(address) = self.address(record.set.primary()) else {
            return false;
        };
        {
            let asked = self.latest.asked.lock();
            let mut asked = asked.unwrap_or_else(PoisonError::into_inner);
            asked.retain(|_, at| at.elapsed() < FRESH_EVERY);
            if asked.insert(blog, Instant::now()).is_some() {
                return true;
            }
        }
        tokio::time::timeout(FRESH_WAIT, self.catch_up_with(address, blog))
            .await
            .is_ok_and(|r| r)
    }

    async fn post_page(self: &Arc<Self>, blog: BlogId, record: &BlogRecord, post: &Post) -> Made {
        let Some(rendering) = self.rendering(blog, post.current()).await else {
            return Made::Response(self.message(
                Some((blog, record)),
                &Message::damaged_copy(self.tongue_of(blog)),
            ));
        };
        let language = self.language(blog);
        let facts = self.with(blog, |replica| {
            let posts = replica.fold().posts();
            let at = posts.iter().position(|p| p.first == post.first);
            let near = |at: Option<usize>| {
                at.and_then(|at| posts.get(at))
                    .map(|post| neighbor(post, &language))
            };
            let newer = near(at.and_then(|at| at.checked_sub(1)));
            let older = near(at.map(|at| at + 1));
            (newer, older, copies(&replica.standing(post.current())))
        });
        let (newer, older, copies) = facts.unwrap_or_default();
        let article = &post.article;
        let view = page::PostView {
            network: self.network_view(),
            blog: self.blog_view(blog, record),
            slug: article.slug.to_string(),
            title: title(article),
            language: article
                .language
                .as_ref()
                .map_or(language, ToString::to_string),
            date: (!post.is_page).then(|| timestamp(article.date)),
            edited: (post.versions.len() > 1).then(|| timestamp(post.signed)),
            tags: article.tags.0.iter().map(ToString::to_string).collect(),
            excerpt: rendering.excerpt.clone(),
            html: rendering.html.clone(),
            copies,
            signers: post.authors.iter().map(ToString::to_string).collect(),
            newer,
            older,
        };
        Made::Text(HTML, page::post(&view))
    }

    async fn feed_of(
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
            let Some(sealed) = self.sound_entry(blog, post.current()).await else {
                continue;
            };
            let Some(draft) = sealed.entry().draft() else {
                continue;
            };
            let article = &post.article;
            let links = render::Links::seen_from(&address);
            entries.push(feed::FeedEntry {
                id: format!("urn:{}", post.first),
                title: title(article),
                address,
                published: timestamp(article.date),
                updated: timestamp(post.signed),
                language: article
                    .language
                    .as_ref()
                    .map_or(view.language.clone(), |l| l.to_string()),
                author: view.author.clone(),
                tags: article.tags.0.iter().map(ToString::to_string).collect(),
                summary: render::summary(&draft.body, EXCERPT_CHARS),
                html: tokio::task::block_in_place(|| render::article(&draft.body, &links)),
            });
        }
        let below = tag
            .map(|tag| page::tag_path(tag.as_str()))
            .unwrap_or_default();
        let newest = entries.iter().map(|entry| entry.updated).max();
        let feed = feed::FeedView {
            id: format!(
                "urn:{blog}{}",
                tag.map(|t| format!(":{t}")).unwrap_or_default()
            ),
            title: match tag {
                Some(tag) => format!("{}: {tag}", view.title),
                None => view.title,
            },
            description: view.description,
            language: view.language,
            home: format!("{}{below}", view.origin),
            address: format!("{}{below}/feed", view.origin),
            author: view.author,
            updated: newest.unwrap_or_else(|| timestamp(record.since)),
            entries,
        };
        match kind {
            "atom" => (feed::ATOM_TYPE, feed::atom(&feed)),
            "rss" => (feed::RSS_TYPE, feed::rss(&feed)),
            _ => (feed::JSON_TYPE, feed::json(&feed)),
        }
    }

    /// The certificates by which posts are checked: all that the blog ever had.
    fn key(self: &Arc<Self>, blog: BlogId, record: &BlogRecord) -> Response {
        let armored = self.with(blog, |replica| {
            let head = replica.durable_tips().last().map(|tip| tip.id)?;
            let ring = replica.chain().ring(head)?;
            let keys: Vec<String> = ring.keys().map(|(_, _, c)| c.armored()).collect();
            Some(keys.join("\n") + "\n")
        });
        match armored.flatten() {
            Some(armored) => web::answer(StatusCode::OK, "application/pgp-keys", armored),
            None => self.message(
                Some((blog, record)),
                &Message::busy(self.tongue_of(blog), 10),
            ),
        }
    }

    /// `GET /_/entry/sha256-HEX` (SPEC http 2.10).
    async fn sealed_entry(self: Arc<Self>, id: EntryId, request: &Request<Incoming>) -> Response {
        let row = self.store.entry(id).ok().flatten();
        // The blog that is asked comes first: the row may be altered, or gone.
        let of_host = match self.site(&web::host(request)) {
            Site::Blog(name) => self.named(&name).map(|(blog, _)| blog),
            Site::Apex => None,
        };
        let here = |blog: &BlogId| self.with(*blog, |r| r.chain().contains(id)) == Some(true);
        let of_row = row.and_then(|row| Hash::parse(&row.blog).ok());
        let blog = of_host.filter(here).or(of_row);
        let sealed = match blog {
            Some(blog) => self.sound_entry(blog, id).await,
            None => None,
        };
        match sealed {
            Some(sealed) => {
                let text = sealed.cleartext();
                let text = text.unwrap_or_else(|| format!("{}\n", sealed.entry().text()));
                web::answer(StatusCode::OK, PLAIN, text)
            }
            None => self.message(None, &Message::no_such_post(tongue(request))),
        }
    }

    async fn medium(self: Arc<Self>, hash: Hash, request: &Request<Incoming>) -> Response {
        let bytes = self.blobs.size(hash).unwrap_or(0);
        if let Err(full) = web::room_for_answer(request, bytes) {
            return full.answer();
        }
        if let Some(bytes) = tokio::task::block_in_place(|| self.blobs.get(hash)) {
            return medium(bytes);
        }
        // Altered or lost here, or a medium of a blog that this spoke does not hold.
        if let Site::Blog(name) = self.site(&web::host(request))
            && let Some((blog, record)) = self.named(&name)
        {
            if !record.set.has(&self.me) {
                let _turn = self.media_relays.acquire().await;
                return match self.medium_elsewhere(blog, hash).await {
                    Ok(Some(bytes)) => medium(bytes),
                    Ok(None) => self.message(
                        None,
                        &Message::no_such_page(tongue(request), &self.domain()),
                    ),
                    Err(_) => self.message(
                        None,
                        &Message::no_holder_answers(tongue(request), name.as_str()),
                    ),
                };
            }
            let listed = self
                .with(blog, |r| r.fold().medium(hash).cloned())
                .flatten();
            if let Some(listed) = listed
                && self.refetch(blog, &listed).await
                && let Some(bytes) = tokio::task::block_in_place(|| self.blobs.get(hash))
            {
                return medium(bytes);
            }
        }
        self.message(
            None,
            &Message::no_such_page(tongue(request), &self.domain()),
        )
    }

    /// A medium of a blog that is not here, from a member that sends what its name says.
    /// None where all say that there is none; an error where one of them could not say.
    async fn medium_elsewhere(&self, blog: BlogId, hash: Hash) -> Result<Option<Vec<u8>>, Outage> {
        let path = format!("/media/{}", hash.path());
        let max = usize::try_from(MEDIUM_BYTES_MAX).unwrap_or(usize::MAX);
        let mut unsaid = None;
        for address in self.other_members(blog) {
            match self.client.bytes(Ask::new(address, &path), max).await {
                Ok(bytes) => match bytes.filter(|bytes| Hash::of(bytes) == hash) {
                    Some(bytes) => return Ok(Some(bytes)),
                    None => continue,
                },
                Err(outage) => unsaid = Some(outage),
            }
        }
        unsaid.map_or(Ok(None), Err)
    }

    pub(super) fn message(
        self: &Arc<Self>,
        blog: Option<(BlogId, &BlogRecord)>,
        message: &Message,
    ) -> Response {
        let view = page::ErrorView {
            network: self.network_view(),
            blog: blog.map(|(id, record)| self.blog_view(id, record)),
            message: message.clone(),
        };
        let status = StatusCode::from_u16(message.status).unwrap_or(StatusCode::NOT_FOUND);
        let mut response = web::answer(status, HTML, page::error(&view));
        secure(&mut response);
        if let Some(seconds) = message.retry_after_seconds {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What came of looking for a post.
enum Made {
    Text(&'static str, String),
    Response(Response),
}

/// The language of the words on the network's own pages: what the address asks for, else what the
/// browser would rather have.
pub(super) fn tongue(request: &Request<Incoming>) -> Tongue {
    if let Some(asked) = web::query(request)
        .get("ui")
        .and_then(|tag| Tongue::spoken(tag))
    {
        return asked;
    }
    let accepted = request.headers().get(header::ACCEPT_LANGUAGE);
    Tongue::accepted(accepted.and_then(|a| a.to_str().ok()).unwrap_or_default())
}

/// Which page of an index is asked for: the first one where nothing sensible is said.
fn page_number(request: &Request<Incoming>) -> usize {
    let number = web::query(request).get("page").and_then(|n| n.parse().ok());
    number.unwrap_or(1).max(1)
}

fn copies(standing: &Standing) -> u32 {
    let receipts = match standing {
        Standing::Safe(receipts) | Standing::Accepted { receipts, .. } => receipts.len(),
        Standing::Storing | Standing::Unknown => 0,
    };
    u32::try_from(receipts).unwrap_or(u32::MAX).max(1)
}

fn title(article: &Article) -> String {
    article
        .title
        .clone()
        .unwrap_or_else(|| article.slug.to_string())
}

fn neighbor(post: &Post, blog_language: &str) -> Neighbor {
    Neighbor {
        slug: post.article.slug.to_string(),
        title: title(&post.article),
        language: language_of(&post.article, blog_language),
    }
}

fn line(post: &Post, blog_language: &str, excerpt: String) -> PostLine {
    PostLine {
        slug: post.article.slug.to_string(),
        title: title(&post.article),
        language: language_of(&post.article, blog_language),
        date: timestamp(post.article.date),
        excerpt,
    }
}

fn language_of(article: &Article, blog_language: &str) -> String {
    article
        .language
        .as_ref()
        .map_or_else(|| blog_language.to_owned(), ToString::to_string)
}

pub(super) fn timestamp(time: Time) -> jiff::Timestamp {
    jiff::Timestamp::from_second(time.as_unix()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// The name in a user id, without the address.
fn shown_name(user_id: &str) -> String {
    let name = user_id.split(['<', '(']).next().unwrap_or_default().trim();
    if name.is_empty() {
        user_id.to_owned()
    } else {
        name.to_owned()
    }
}
