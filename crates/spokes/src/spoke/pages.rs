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
    seal::SealedEntry,
    time::Time,
};
use spokes_rules::{node::Label, registry::BlogRecord, replica::Standing};

use super::{
    Spoke,
    api::Site,
    finished::{
        Finished, HTML, PLAIN, Rendering, Varies, leads_to, medium, passing, redirect, secure, send,
    },
    follow::Unknown,
    former::{self, Former},
    front::{Wish, stamp_of},
    lists::Asked,
};
use crate::{
    client::{Ask, NONCE},
    http::{self as web, Response},
    outage::Outage,
    render,
    web::{
        data::SITEMAP_TYPE,
        message::Message,
        page::{self, Neighbor, PostLine},
        words::Tongue,
    },
};

/// Characters of an excerpt: three lines on a phone.
pub(super) const EXCERPT_CHARS: usize = 240;
/// Pages of a blog that its menu names: the newest of them, as many as a menu can hold. The others are found
/// by what links to them, by the search and in the sitemap.
pub(super) const MENU_MAX: usize = 30;
/// How long the primary may take to say whether it has something newer, before a 404.
pub(super) const FRESH_WAIT: Duration = Duration::from_secs(1);
/// How often a blog's primary is asked that.
const FRESH_EVERY: Duration = Duration::from_secs(1);

/// What is at an address below a blog.
pub(super) enum Address {
    Index,
    Archive,
    About,
    Sitemap,
    Robots,
    /// Something of the whole network, under the same path there.
    OfNetwork,
    Tag(Tag),
    Feed(Option<Tag>, &'static str),
    Key,
    Post(Slug, Form),
}

/// In which form a post is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Page,
    Sealed,
    Text,
    Signature,
}

impl Address {
    pub(super) fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let feed = |name: &str| {
            ["atom", "json", "rss"]
                .into_iter()
                .find(|f| name.strip_prefix("feed.") == Some(f))
        };
        match path {
            "" => return Some(Self::Index),
            "archive" => return Some(Self::Archive),
            "about" => return Some(Self::About),
            "sitemap.xml" => return Some(Self::Sitemap),
            "robots.txt" => return Some(Self::Robots),
            "search" | "status" => return Some(Self::OfNetwork),
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
        if let Some(response) = self.fixture(&path, &request) {
            return response;
        }
        if let Some(hash) = path.strip_prefix("/media/").and_then(Hash::parse_path) {
            return self.medium(hash, &request).await;
        }
        if let Some(id) = path.strip_prefix("/_/entry/").and_then(Hash::parse_path) {
            return self.sealed_entry(id, &request).await;
        }
        match self.site(&web::host(&request)) {
            Site::Apex => self.network_page(&path, &request).await,
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

    pub(super) fn blog_view(self: &Arc<Self>, blog: BlogId, record: &BlogRecord) -> page::Blog {
        let facts = self.with(blog, |replica| {
            let fold = replica.fold();
            let pages = fold.pages();
            let pages = pages
                .into_iter()
                .take(MENU_MAX)
                .map(|post| neighbor(post, &fold.language().to_string()));
            (
                fold.title().to_owned(),
                fold.description().unwrap_or_default().to_owned(),
                fold.language().to_string(),
                pages.collect::<Vec<_>>(),
            )
        });
        let (title, description, language, pages) = facts.unwrap_or_default();
        page::Blog {
            title,
            description,
            language,
            pages,
            ..self.blog_as_named(record, self.user_id(blog, record))
        }
    }

    /// What the registry and its author's key say of a blog.
    pub(super) fn blog_as_named(&self, record: &BlogRecord, user_id: Option<String>) -> page::Blog {
        page::Blog {
            name: record.name.to_string(),
            origin: self.origin(record.name.as_str()),
            title: String::new(),
            description: String::new(),
            language: String::new(),
            author: user_id.map(|uid| shown_name(&uid)).unwrap_or_default(),
            fingerprint: record.author.to_string(),
            primary: record.set.primary().to_string(),
            replicas: record.set.members.iter().map(Label::to_string).collect(),
            pages: Vec::new(),
            waits: self.waited_for(record),
            late: false,
            may_lack_after: record.forced.as_ref().map(|forced| forced.after),
        }
    }

    /// The author as her key names her, with her address.
    pub(super) fn user_id(self: &Arc<Self>, blog: BlogId, record: &BlogRecord) -> Option<String> {
        let user_id = self.with(blog, |replica| {
            let ring = replica.chain().ring(blog)?;
            ring.certificate(&record.author)?.user_ids().next()
        });
        user_id.flatten()
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
                let (tongue, domain) = (Wish::of(request).tongue, self.domain());
                let name = name.as_str();
                let message = match unknown {
                    Unknown::Nowhere => Message::no_such_blog(tongue, name, &domain),
                    Unknown::CouncilSilent => Message::no_such_blog_known(tongue, name, &domain),
                };
                return self.message(None, &message);
            }
        };
        let address = Address::parse(path);
        if matches!(address, Some(Address::OfNetwork)) {
            let query = request.uri().query();
            let query = query.map_or(String::new(), |query| format!("?{query}"));
            return leads_to(&format!("{}{path}{query}", self.config.base_url));
        }
        if !self.answers(&record, request) {
            return self.page_elsewhere(name, &record, request).await;
        }
        // Who watches servers is no reader: of a blog that is alone on its spoke they would be most.
        if !request.headers().contains_key(NONCE) {
            self.replicas.count(blog);
        }
        if let Some(seen) = self.at_a_glance(blog, &record, path, request).await {
            return send(request, &seen);
        }
        let _reader = self.replicas.reader(blog).await;
        self.ready(blog).await;
        let Some(address) = address else {
            return self.message(
                Some((blog, &record)),
                &Message::no_such_post(self.tongue_of(blog)),
            );
        };
        let (asked, stamp) = (Asked::of(request, &address), self.stamp(blog, &record));
        let key = format!("{name}{path} {asked:?}");
        if let Some(finished) = self.rendered.finished(&key, stamp) {
            return send(request, &finished);
        }
        let (kind, body) = match address {
            Address::Index => (HTML, self.index(blog, &record, asked.page).await),
            Address::Archive => (HTML, self.archive(blog, &record, &asked)),
            Address::About => (HTML, self.about(blog, &record)),
            Address::Tag(tag) => (HTML, self.tag(blog, &record, &tag, asked.page).await),
            Address::Feed(tag, kind) => {
                let told = (blog, &record, tag.as_ref());
                match self.feed_of(request, told, kind).await {
                    Ok(made) => made,
                    Err(busy) => return busy,
                }
            }
            Address::Sitemap => (SITEMAP_TYPE, self.sitemap_of(blog, &record, asked.file)),
            Address::Robots | Address::OfNetwork => return self.robots_of(&record),
            Address::Key => return self.key(blog, &record),
            Address::Post(slug, form) => match self.post(blog, &record, &slug, form).await {
                Made::Text(kind, text) => (kind, text),
                Made::Response(response) => return response,
            },
        };
        let made = Finished::new(stamp, kind, Varies::No, body);
        send(request, &self.rendered.finish(key, made))
    }

    /// A page of a blog that is not here, from a spoke that has it; what happened, where none answers.
    async fn page_elsewhere(
        self: &Arc<Self>,
        name: &BlogName,
        record: &BlogRecord,
        request: &Request<Incoming>,
    ) -> Response {
        let response = self.elsewhere(name, record, request).await;
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_ours = kind.is_some_and(|kind| kind == "application/problem+json");
        if response.status() == StatusCode::SERVICE_UNAVAILABLE && is_ours {
            let tongue = Wish::of(request).tongue;
            return self.message(None, &self.no_holder_answers(tongue, record));
        }
        response
    }

    /// Changes whenever a page of this blog may.
    fn stamp(self: &Arc<Self>, blog: BlogId, record: &BlogRecord) -> u64 {
        let facts = self.with(blog, |replica| {
            let tips = replica.durable_tips();
            let copies = tips.iter().map(|tip| copies(&replica.standing(tip.id)));
            let copies: Vec<u32> = copies.collect();
            let tips: Vec<EntryId> = tips.into_iter().map(|tip| tip.id).collect();
            (replica.durable_len(), tips, copies)
        });
        let operator = |label: &Label| {
            let operator = self.ask(|r| r.spoke(label).map(|s| s.operator.to_string()));
            operator.flatten()
        };
        let members = &record.set.members;
        let operators: Vec<_> = members.iter().map(operator).collect();
        let came = self.looks.came(blog, |hash| self.blobs.has(hash));
        stamp_of(&(
            facts,
            record.set.epoch,
            members,
            operators,
            &record.ended,
            record.forced.as_ref().map(|forced| forced.after),
            (self.waited_for(record), came),
        ))
    }

    pub(super) fn posts_where(
        self: &Arc<Self>,
        blog: BlogId,
        wanted: impl Fn(&Article) -> bool,
    ) -> Vec<Post> {
        let posts = self.with(blog, |replica| {
            let posts = replica.fold().posts().into_iter();
            posts
                .filter(|post| wanted(&post.article))
                .cloned()
                .collect()
        });
        posts.unwrap_or_default()
    }

    pub(super) fn language(self: &Arc<Self>, blog: BlogId) -> String {
        self.with(blog, |r| r.fold().language().to_string())
            .unwrap_or_default()
    }

    fn tongue_of(self: &Arc<Self>, blog: BlogId) -> Tongue {
        Tongue::for_language(&self.language(blog))
    }

    /// An article's HTML, made once for each version from words that were checked just then.
    pub(super) async fn rendering(
        self: &Arc<Self>,
        blog: BlogId,
        id: EntryId,
    ) -> Option<Arc<Rendering>> {
        self.rendered_from(blog, id, self.sound_entry(blog, id))
            .await
    }

    /// The same from an entry that is checked when it is wanted.
    pub(super) async fn rendered_from(
        self: &Arc<Self>,
        blog: BlogId,
        id: EntryId,
        sound: impl Future<Output = Option<SealedEntry>>,
    ) -> Option<Arc<Rendering>> {
        if let Some(kept) = self.rendered.rendering(id) {
            return Some(kept);
        }
        let make = async {
            if let Some(kept) = self.rendered.rendering(id) {
                return Some(kept);
            }
            let sealed = sound.await?;
            let spoke = Arc::clone(self);
            let render = move || {
                let draft = sealed.entry().draft()?;
                let (html, whole) = spoke.article(blog, draft, &render::Links::here());
                let excerpt = render::summary(&draft.body, EXCERPT_CHARS);
                Some((Arc::new(Rendering { html, excerpt }), whole))
            };
            let (rendering, whole) = self.renders.apart(render).await??;
            if whole {
                self.rendered.keep(id, &rendering);
            }
            Some(rendering)
        };
        self.renders.once((id, String::new()), make).await
    }

    /// The first words of an article, from words that were checked just then; none where it cannot be
    /// had. A list of posts needs no more, and keeps no more in memory.
    pub(super) async fn excerpt(self: &Arc<Self>, blog: BlogId, id: EntryId) -> Option<Arc<str>> {
        if let Some(kept) = self.rendered.excerpt(id) {
            return Some(kept);
        }
        let sealed = self.sound_entry(blog, id).await?;
        self.excerpt_of(id, sealed).await
    }

    pub(super) async fn excerpt_of(&self, id: EntryId, sealed: SealedEntry) -> Option<Arc<str>> {
        let cut = move || {
            let draft = sealed.entry().draft()?;
            let excerpt = render::summary(&draft.body, EXCERPT_CHARS);
            Some(Arc::from(excerpt))
        };
        let excerpt = self.renders.apart(cut).await??;
        self.rendered.keep_excerpt(id, &excerpt);
        Some(excerpt)
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
        if found.is_none()
            && form == Form::Page
            && let Some(former) = self.former(blog, record, slug)
        {
            return former;
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

    /// What the house where the blog was before had at an address where no article is.
    fn former(self: &Arc<Self>, blog: BlogId, record: &BlogRecord, slug: &Slug) -> Option<Made> {
        let found = self.with(blog, |replica| {
            let fold = replica.fold();
            let tag = |name: &str| {
                let tags = fold.all().flat_map(|post| &post.article.tags.0);
                let mut tags = tags.map(Tag::as_str);
                tags.find(|tag| former::is_called(tag, name))
                    .map(str::to_owned)
            };
            former::find(slug, tag, |slug| fold.has_below(slug))
        });
        Some(match found.flatten()? {
            Former::LeadsTo(path) => Made::Response(redirect(&path)),
            Former::Below => Made::Text(HTML, self.below(blog, record, slug)),
        })
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
        let view = self.blog_view(blog, record);
        let language = view.language.clone();
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
        let html = self.post_html(record, post, view, &rendering, (newer, older), copies);
        Made::Text(HTML, html)
    }

    /// The page of a post between its neighbors, the newer one first.
    pub(super) fn post_html(
        &self,
        record: &BlogRecord,
        post: &Post,
        blog: page::Blog,
        rendering: &Rendering,
        (newer, older): (Option<Neighbor>, Option<Neighbor>),
        copies: u32,
    ) -> String {
        let article = &post.article;
        let language = language_of(article, &blog.language);
        let view = page::PostView {
            network: self.network_view(),
            blog,
            slug: article.slug.to_string(),
            title: title(article),
            language,
            date: (!post.is_page).then(|| timestamp(article.date)),
            edited: (post.versions.len() > 1).then(|| timestamp(post.signed)),
            tags: article.tags.0.iter().map(ToString::to_string).collect(),
            excerpt: rendering.excerpt.clone(),
            html: rendering.html.clone(),
            image: image(article, &self.origin(record.name.as_str())),
            copies,
            // The blog's own key stands below every page.
            signers: (post
                .authors
                .iter()
                .filter(|author| **author != record.author))
            .map(ToString::to_string)
            .collect(),
            newer,
            older,
        };
        page::post(&view)
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
            Some(sealed) if sealed.entry().is_erased() && wants_html(request) => {
                self.message(None, &Message::erased_post(Wish::of(request).tongue))
            }
            Some(sealed) if sealed.entry().is_erased() => {
                let skeleton = format!("{}\n", sealed.entry().text());
                web::answer(StatusCode::GONE, PLAIN, skeleton)
            }
            Some(sealed) => {
                let text = sealed.cleartext().unwrap_or_default();
                web::answer(StatusCode::OK, PLAIN, text)
            }
            None => {
                let tongue = Wish::of(request).tongue;
                self.message(None, &Message::no_such_page(tongue, &self.domain()))
            }
        }
    }

    async fn medium(self: Arc<Self>, hash: Hash, request: &Request<Incoming>) -> Response {
        let bytes = self.blobs.size(hash).unwrap_or(0);
        let room = match web::room_for_answer(request, bytes) {
            Ok(room) => room,
            Err(full) => return full.answer(),
        };
        if let Some(bytes) = tokio::task::block_in_place(|| self.blobs.get(hash)) {
            return room.is_for(medium(bytes));
        }
        // Altered or lost here, or a medium of a blog that this spoke does not hold.
        if let Site::Blog(name) = self.site(&web::host(request))
            && let Some((blog, record)) = self.named(&name)
        {
            if !self.answers(&record, request) {
                let _turn = self.media_relays.acquire().await;
                return match self.medium_elsewhere(blog, hash).await {
                    Ok(Some(bytes)) => medium(bytes),
                    Ok(None) => self.message(
                        None,
                        &Message::no_such_page(Wish::of(request).tongue, &self.domain()),
                    ),
                    Err(_) => {
                        let tongue = Wish::of(request).tongue;
                        self.message(None, &self.no_holder_answers(tongue, &record))
                    }
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
            &Message::no_such_page(Wish::of(request).tongue, &self.domain()),
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
        passing(&mut response);
        if let Some(seconds) = message.retry_after_seconds {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Whether whoever asks reads pages: browsers say so, programs that fetch files do not.
fn wants_html(request: &Request<Incoming>) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    accept.is_some_and(|accept| accept.to_str().is_ok_and(|a| a.contains("text/html")))
}

/// What came of looking for a post.
enum Made {
    Text(&'static str, String),
    Response(Response),
}

fn copies(standing: &Standing) -> u32 {
    let receipts = match standing {
        Standing::Safe(receipts) | Standing::Accepted { receipts, .. } => receipts.len(),
        Standing::Storing | Standing::Unknown => 0,
    };
    u32::try_from(receipts).unwrap_or(u32::MAX).max(1)
}

pub(super) fn title(article: &Article) -> String {
    article
        .title
        .clone()
        .unwrap_or_else(|| article.slug.to_string())
}

/// The first picture of an article.
fn image(article: &Article, origin: &str) -> Option<page::Image> {
    let mut media = article.media.iter();
    let image = media.find(|medium| medium.kind.as_str().starts_with("image/"))?;
    Some(page::Image {
        address: format!("{origin}/media/{}", image.hash.path()),
        alt: image.alt.clone().unwrap_or_default(),
    })
}

pub(super) fn neighbor(post: &Post, blog_language: &str) -> Neighbor {
    Neighbor {
        slug: post.article.slug.to_string(),
        title: title(&post.article),
        language: language_of(&post.article, blog_language),
    }
}

pub(super) fn line(post: &Post, blog_language: &str, excerpt: String) -> PostLine {
    PostLine {
        slug: post.article.slug.to_string(),
        title: title(&post.article),
        language: language_of(&post.article, blog_language),
        date: timestamp(post.article.date),
        excerpt,
        picture: page::listed_picture(&post.article),
    }
}

pub(super) fn language_of(article: &Article, blog_language: &str) -> String {
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
