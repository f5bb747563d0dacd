//! The pages that readers see.
//!
//! Each page is a function of a plain view; who calls it has asked the store. There is no
//! script and no style but one sheet, so the strictest content security policy fits.

use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};

pub use crate::web::shell::{Network, STYLE, STYLE_PATH};
use crate::web::{
    message::Message,
    shell::{Head, dir, language, network_bottom, network_top, served_by, shell},
    words::{Tongue, Voice, day_in, fill, fill_markup},
};

/// A blog as every one of its pages shows it.
#[derive(Clone, Debug)]
pub struct Blog {
    /// Its name on the network: `maria`.
    pub name: String,
    /// Its address without a final slash: `https://maria.blogs.example.org`.
    pub origin: String,
    /// Its title.
    pub title: String,
    /// A line about it; may be empty.
    pub description: String,
    /// BCP 47 tag; may be empty.
    pub language: String,
    /// The author as her key names her; may be empty.
    pub author: String,
    /// The fingerprint of the author's key, in hex.
    pub fingerprint: String,
    /// The label of the primary.
    pub primary: String,
    /// The labels of all replicas, the primary among them.
    pub replicas: Vec<String>,
    /// Its pages, such as "About", for the menu.
    pub pages: Vec<Neighbor>,
    /// Whether newer entries may exist, since the primary did not answer.
    pub late: bool,
    /// After a forced change of replicas: the sequence number after which entries may be missing.
    pub may_lack_after: Option<u64>,
}

/// A post or page to which another one leads.
#[derive(Clone, Debug)]
pub struct Neighbor {
    /// Its slug, as in its entry.
    pub slug: String,
    /// Its title; may be empty.
    pub title: String,
    /// BCP 47 tag; may be empty.
    pub language: String,
}

/// A post in a list of one blog's posts.
#[derive(Clone, Debug)]
pub struct PostLine {
    /// Its slug, as in its entry.
    pub slug: String,
    /// Its title; may be empty.
    pub title: String,
    /// BCP 47 tag; may be empty.
    pub language: String,
    /// The date that its author gave it.
    pub date: Timestamp,
    /// Its first words ([`crate::render::summary`]); may be empty.
    pub excerpt: String,
}

/// A post in the network's list of latest posts.
#[derive(Clone, Debug)]
pub struct Headline {
    /// The post.
    pub post: PostLine,
    /// The address of its blog without a final slash.
    pub blog_origin: String,
    /// The title of its blog.
    pub blog_title: String,
    /// The language of its blog.
    pub blog_language: String,
}

/// The network's front page.
#[derive(Clone, Debug)]
pub struct FrontView {
    /// The network.
    pub network: Network,
    /// Its latest posts, newest first.
    pub latest: Vec<Headline>,
    /// How many blogs it has.
    pub blogs: u64,
    /// How many spokes serve it.
    pub spokes: u64,
    /// How old the list is.
    pub age_seconds: u64,
    /// Whether the server has not asked all others yet.
    pub is_gathering: bool,
    /// The command with which one starts a blog here.
    pub start_command: String,
    /// The language of its words.
    pub tongue: Tongue,
}

/// A blog's posts, newest first.
#[derive(Clone, Debug)]
pub struct BlogView {
    /// The network.
    pub network: Network,
    /// The blog.
    pub blog: Blog,
    /// The posts of this page of the list.
    pub posts: Vec<PostLine>,
    /// The path of this page of the list: `/`, or `/?page=2`.
    pub path: String,
    /// The path of the page with newer posts.
    pub newer: Option<String>,
    /// The path of the page with older posts.
    pub older: Option<String>,
}

/// One post, or one page such as "About".
#[derive(Clone, Debug)]
pub struct PostView {
    /// The network.
    pub network: Network,
    /// The blog.
    pub blog: Blog,
    /// Its slug, as in its entry.
    pub slug: String,
    /// Its title; may be empty.
    pub title: String,
    /// BCP 47 tag; may be empty, then the blog's counts.
    pub language: String,
    /// The date that its author gave it; none for a page.
    pub date: Option<Timestamp>,
    /// When it was last edited, if it was.
    pub edited: Option<Timestamp>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its first words, for search engines; may be empty.
    pub excerpt: String,
    /// The inner HTML of the article, from [`crate::render::article`] and from nowhere else.
    pub html: String,
    /// On how many servers it is known to be.
    pub copies: u32,
    /// The fingerprints of the keys that signed it, if they are not just the blog's.
    pub signers: Vec<String>,
    /// The next post in time.
    pub newer: Option<Neighbor>,
    /// The post before.
    pub older: Option<Neighbor>,
}

/// The posts of a blog that bear one tag, newest first.
#[derive(Clone, Debug)]
pub struct TagView {
    /// The network.
    pub network: Network,
    /// The blog.
    pub blog: Blog,
    /// The tag.
    pub tag: String,
    /// The posts.
    pub posts: Vec<PostLine>,
}

/// All posts of a blog, newest first; the page groups them by year.
#[derive(Clone, Debug)]
pub struct ArchiveView {
    /// The network.
    pub network: Network,
    /// The blog.
    pub blog: Blog,
    /// The posts.
    pub posts: Vec<PostLine>,
}

/// A page that has something to explain.
#[derive(Clone, Debug)]
pub struct ErrorView {
    /// The network.
    pub network: Network,
    /// The blog, if it is known.
    pub blog: Option<Blog>,
    /// What happened, what is safe, what to do.
    pub message: Message,
}

/// The path of a post, page or file from its slug: each segment is percent-encoded.
///
/// RFC 3986 section 2.3: what is unreserved stays, every other byte of UTF-8 becomes `%XX`.
#[must_use]
pub fn path(slug: &str) -> String {
    slug.split('/')
        .map(|segment| format!("/{}", percent_encoded(segment)))
        .collect()
}

/// The path of a tag's page.
#[must_use]
pub fn tag_path(tag: &str) -> String {
    format!("/tags/{}", percent_encoded(tag))
}

/// The network's front page.
#[must_use]
pub fn front(view: &FrontView) -> String {
    let network = &view.network;
    let voice = Voice::around(view.tongue.tag());
    let words = voice.words;
    let blogs = voice.count(|noun| noun.blogs, view.blogs);
    let servers = voice.count(|noun| noun.servers, view.spokes);
    let kept = [("blogs", blogs.as_str()), ("servers", servers.as_str())];
    let head = Head {
        title: network.domain.clone(),
        description: fill(words.latest_of, &[("network", network.domain.as_str())]),
        language: view.tongue.tag(),
        canonical: Some(format!("{}/", network.origin)),
        feeds: Some("/feed".to_owned()),
        ..Head::default()
    };
    let age = voice.count(|noun| noun.seconds, view.age_seconds);
    let top = html! {
        header.top {
            h1 { (network.domain) }
            p { (fill(if view.spokes > 1 { words.kept_by_many } else { words.kept_by }, &kept)) }
        }
    };
    let main = html! {
        main #content tabindex="-1" {
            section aria-labelledby="latest" {
                h2 #latest { (words.latest) }
                p.quiet {
                    @if view.age_seconds > 0 { (fill(words.as_of, &[("seconds", age.as_str())])) " " }
                    (feed_links("/feed"))
                }
                @if view.latest.is_empty() && view.is_gathering {
                    p { (words.gathering) }
                } @else if view.latest.is_empty() {
                    p { (words.nobody_yet) }
                } @else {
                    ol.posts { @for headline in &view.latest { li { (headline_item(headline, voice)) } } }
                }
            }
            section aria-labelledby="start" {
                h2 #start { (words.start) }
                p { (fill_markup(words.start_why, &[("program", html! { code { "spokes" } })])) }
                pre tabindex="0" { code { (view.start_command) } }
            }
        }
    };
    shell(&head, &top, &main, &network_bottom(network, view.tongue))
}

/// A blog's posts, newest first.
#[must_use]
pub fn blog_index(view: &BlogView) -> String {
    let blog = &view.blog;
    let voice = Voice::around(&blog.language);
    let head = Head {
        title: blog.title.clone(),
        description: blog.description.clone(),
        canonical: Some(format!("{}{}", blog.origin, view.path)),
        feeds: Some("/feed".to_owned()),
        older: view.older.clone(),
        newer: view.newer.clone(),
        ..Head::of(blog)
    };
    let main = html! {
        main #content tabindex="-1" {
            (notices(blog, voice))
            @if view.posts.is_empty() {
                p lang=[voice.lang] dir=[voice.dir] { (voice.words.no_posts) }
            } @else {
                ol.posts { @for post in &view.posts { li { (post_item(blog, post, voice)) } } }
            }
            @if view.newer.is_some() || view.older.is_some() {
                nav.pager aria-label=(voice.words.more_posts) lang=[voice.lang] dir=[voice.dir] {
                    @if let Some(newer) = &view.newer { a href=(newer) rel="prev" { (voice.words.newer_posts) } }
                    @if let Some(older) = &view.older { a href=(older) rel="next" { (voice.words.older_posts) } }
                }
            }
        }
    };
    shell(
        &head,
        &blog_top(blog, true),
        &main,
        &blog_bottom(&view.network, blog, &blog.language, &html! {}),
    )
}

/// One post.
#[must_use]
pub fn post(view: &PostView) -> String {
    let blog = &view.blog;
    let language = if view.language.is_empty() {
        &blog.language
    } else {
        &view.language
    };
    let address = format!("{}{}", blog.origin, path(&view.slug));
    let voice = Voice::around(language);
    let head = Head {
        title: format!(
            "{} – {}",
            title_or_slug(&view.title, &view.slug),
            blog.title
        ),
        description: view.excerpt.clone(),
        language,
        canonical: Some(address.clone()),
        feeds: Some("/feed".to_owned()),
        older: view.older.as_ref().map(|post| path(&post.slug)),
        newer: view.newer.as_ref().map(|post| path(&post.slug)),
        ..Head::of(blog)
    };
    let main = html! {
        main #content tabindex="-1" {
            (notices(blog, voice))
            header.title {
                h1 { (title_or_slug(&view.title, &view.slug)) }
                @if view.date.is_some() || view.edited.is_some() {
                    p.quiet.facts {
                        @if let Some(date) = view.date { (day(date, voice)) }
                        @if let Some(edited) = view.edited { " " span lang=[voice.lang] dir=[voice.dir] { (fill_markup(voice.words.edited, &[("day", day(edited, voice))])) } }
                    }
                }
            }
            article { (PreEscaped(&view.html)) }
            @if !view.tags.is_empty() {
                ul.tags aria-label=(voice.words.tags) {
                    @for tag in &view.tags { li { a href=(tag_path(tag)) rel="tag" { bdi { (tag) } } } }
                }
            }
            @if view.newer.is_some() || view.older.is_some() {
                nav.pager aria-label=(voice.words.neighbors) {
                    @if let Some(post) = &view.newer { (neighbor(blog, post, voice, voice.words.newer, "prev")) }
                    @if let Some(post) = &view.older { (neighbor(blog, post, voice, voice.words.older, "next")) }
                }
            }
        }
    };
    let proof = proof(view, &address, voice);
    shell(
        &head,
        &blog_top(blog, false),
        &main,
        &blog_bottom(&view.network, blog, language, &proof),
    )
}

/// The posts of a blog that bear one tag.
#[must_use]
pub fn tag(view: &TagView) -> String {
    let blog = &view.blog;
    let voice = Voice::around(&blog.language);
    let address = tag_path(&view.tag);
    let head = Head {
        title: format!("{} – {}", view.tag, blog.title),
        canonical: Some(format!("{}{address}", blog.origin)),
        feeds: Some(format!("{address}/feed")),
        ..Head::of(blog)
    };
    let main = html! {
        main #content tabindex="-1" {
            (notices(blog, voice))
            header.title {
                p.quiet lang=[voice.lang] dir=[voice.dir] { (voice.words.posts_tagged) }
                h1 { bdi { (view.tag) } }
                p.quiet { (feed_links(&format!("{address}/feed"))) }
            }
            ol.posts { @for post in &view.posts { li { (post_item(blog, post, voice)) } } }
        }
    };
    shell(
        &head,
        &blog_top(blog, false),
        &main,
        &blog_bottom(&view.network, blog, &blog.language, &html! {}),
    )
}

/// All posts of a blog by year.
#[must_use]
pub fn archive(view: &ArchiveView) -> String {
    let blog = &view.blog;
    let voice = Voice::around(&blog.language);
    let head = Head {
        title: format!("{} – {}", voice.words.archive, blog.title),
        canonical: Some(format!("{}/archive", blog.origin)),
        feeds: Some("/feed".to_owned()),
        ..Head::of(blog)
    };
    let years = view.posts.chunk_by(|one, next| year(one) == year(next));
    let main = html! {
        main #content tabindex="-1" {
            (notices(blog, voice))
            h1 lang=[voice.lang] dir=[voice.dir] { (voice.words.archive) }
            @for posts in years {
                h2 { (posts.first().map(year).unwrap_or_default()) }
                ol.archive {
                    @for post in posts {
                        li {
                            (day(post.date, voice)) " "
                            a href=(path(&post.slug)) lang=[language(&post.language)] dir=[dir(&post.language)] {
                                (title_or_slug(&post.title, &post.slug))
                            }
                        }
                    }
                }
            }
        }
    };
    shell(
        &head,
        &blog_top(blog, false),
        &main,
        &blog_bottom(&view.network, blog, &blog.language, &html! {}),
    )
}

/// Nothing is at this address; with `late`, perhaps nothing yet.
#[must_use]
pub fn not_found(network: &Network, blog: Option<&Blog>, late: bool, tongue: Tongue) -> String {
    let message = match (blog, late) {
        (None, _) => Message::no_such_page(tongue, &network.domain),
        (Some(_), false) => Message::no_such_post(tongue),
        (Some(_), true) => Message::no_such_post_yet(tongue),
    };
    error(&ErrorView {
        network: network.clone(),
        blog: blog.cloned(),
        message,
    })
}

/// What happened, what is safe, what to do.
#[must_use]
pub fn error(view: &ErrorView) -> String {
    let message = &view.message;
    let network = &view.network;
    // No canonical address and no neighbors: this page is nobody's destination.
    let head = Head {
        title: message.title.clone(),
        language: message.tongue.tag(),
        noindex: true,
        ..Head::default()
    };
    let main = html! {
        main.message #content tabindex="-1" {
            h1 { (message.title) }
            p { (message.happened) }
            p { (message.safe) }
            p { (message.todo) }
        }
    };
    match &view.blog {
        Some(blog) => {
            let bottom = blog_bottom(network, blog, message.tongue.tag(), &html! {});
            shell(&head, &blog_top(blog, false), &main, &bottom)
        }
        None => {
            let bottom = network_bottom(network, message.tongue);
            shell(&head, &network_top(network), &main, &bottom)
        }
    }
}

fn percent_encoded(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

impl<'a> Head<'a> {
    fn of(blog: &'a Blog) -> Self {
        Self {
            language: &blog.language,
            author: blog.author.clone(),
            ..Self::default()
        }
    }
}

/// A blog's name and menu. Its title is the page's heading only where no post's is.
fn blog_top(blog: &Blog, is_heading: bool) -> Markup {
    let voice = Voice::around(&blog.language);
    html! {
        header.top lang=[language(&blog.language)] dir=[dir(&blog.language)] {
            @if is_heading {
                h1.name { a href="/" { (blog.title) } }
                @if !blog.description.is_empty() { p { (blog.description) } }
            } @else {
                p.name { a href="/" { (blog.title) } }
            }
            nav aria-label=(voice.words.menu) {
                @for page in &blog.pages {
                    a href=(path(&page.slug)) lang=[language(&page.language)] {
                        bdi { (title_or_slug(&page.title, &page.slug)) }
                    }
                }
                a href="/archive" lang=[voice.lang] dir=[voice.dir] { (voice.words.archive) }
                a href="/feed.atom" lang=[voice.lang] dir=[voice.dir] { (voice.words.feed) }
            }
        }
    }
}

/// Where the blog lives and how to check it; `proof` says more where the page shows a post.
fn blog_bottom(network: &Network, blog: &Blog, page_language: &str, proof: &Markup) -> Markup {
    let voice = Voice::around(page_language);
    let author = match blog.author.as_str() {
        "" => html! { (voice.words.its_author) },
        author => html! { bdi { (author) } },
    };
    let servers: Vec<Markup> = (blog.replicas.iter())
        .map(|label| html! { bdi { (label) } })
        .collect();
    let held = [
        ("servers", voice.list(&servers)),
        ("primary", html! { bdi { (blog.primary) } }),
    ];
    let signed = [
        ("author", author),
        (
            "fingerprint",
            html! { a href="/key.asc" { (fingerprint(&blog.fingerprint)) } },
        ),
    ];
    html! {
        footer.bottom lang=[voice.lang] dir=[voice.dir] {
            (proof)
            p {
                (fill_markup(voice.words.held_by, &held)) " "
                (fill_markup(voice.words.signed_with, &signed))
            }
            (served_by(network, voice))
        }
    }
}

/// How a reader can check a post without trusting us.
fn proof(view: &PostView, address: &str, voice: Voice) -> Markup {
    let source = path(&view.slug);
    let check = format!(
        "curl {origin}/key.asc | gpg --import\ncurl {address}.asc | gpg --verify",
        origin = view.blog.origin
    );
    let words = voice.words;
    let sources = [
        (
            "text",
            html! { a href=(format!("{source}.txt")) { (words.source_text) } },
        ),
        (
            "sealed",
            html! { a href=(format!("{source}.asc")) { (words.source_sealed) } },
        ),
    ];
    html! {
        p {
            (voice.count(|noun| noun.copies, u64::from(view.copies))) " "
            (fill_markup(words.source, &sources))
            @for signer in &view.signers {
                " " (fill_markup(words.signed_by, &[("fingerprint", fingerprint(signer))]))
            }
        }
        details {
            summary { (words.check) }
            p { (words.check_how) }
            pre tabindex="0" dir="ltr" { code { (check) } }
            p { (words.check_compare) }
        }
    }
}

fn notices(blog: &Blog, voice: Voice) -> Markup {
    html! {
        @if blog.late {
            p.notice lang=[voice.lang] dir=[voice.dir] {
                (voice.words.late)
            }
        }
        @if let Some(sequence) = blog.may_lack_after {
            p.notice lang=[voice.lang] dir=[voice.dir] {
                (fill(voice.words.may_lack, &[("number", &voice.tongue.number(sequence))]))
            }
        }
    }
}

fn post_item(blog: &Blog, post: &PostLine, voice: Voice) -> Markup {
    let language_of = if post.language.is_empty() {
        &blog.language
    } else {
        &post.language
    };
    html! {
        div lang=[language(language_of)] dir=[dir(language_of)] {
            h2 { a href=(path(&post.slug)) { (title_or_slug(&post.title, &post.slug)) } }
            p.quiet { (day(post.date, voice)) }
            @if !post.excerpt.is_empty() { p { (post.excerpt) } }
        }
    }
}

fn headline_item(headline: &Headline, voice: Voice) -> Markup {
    let Headline {
        post,
        blog_origin,
        blog_title,
        blog_language,
    } = headline;
    let language_of = if post.language.is_empty() {
        blog_language
    } else {
        &post.language
    };
    html! {
        div lang=[language(language_of)] dir=[dir(language_of)] {
            h3 {
                a href=(format!("{blog_origin}{}", path(&post.slug))) {
                    (title_or_slug(&post.title, &post.slug))
                }
            }
            p.quiet.facts {
                a href=(format!("{blog_origin}/")) lang=[language(blog_language)] { bdi { (blog_title) } }
                " " (day(post.date, voice))
                @if !language_of.is_empty() { " " span dir="ltr" { (language_of) } }
            }
            @if !post.excerpt.is_empty() { p { (post.excerpt) } }
        }
    }
}

fn neighbor(blog: &Blog, post: &Neighbor, voice: Voice, word: &str, rel: &str) -> Markup {
    let language_of = if post.language.is_empty() {
        &blog.language
    } else {
        &post.language
    };
    html! {
        a href=(path(&post.slug)) rel=(rel) {
            span.quiet lang=[voice.lang] dir=[voice.dir] { (word) } " "
            span lang=[language(language_of)] dir=[dir(language_of)] {
                (title_or_slug(&post.title, &post.slug))
            }
        }
    }
}

fn feed_links(feeds: &str) -> Markup {
    html! {
        a href=(format!("{feeds}.atom")) { "Atom" } ", "
        a href=(format!("{feeds}.rss")) { "RSS" } ", "
        a href=(format!("{feeds}.json")) { "JSON feed" }
    }
}

/// A date in the language of the words around.
fn day(time: Timestamp, voice: Voice) -> Markup {
    html! {
        time datetime=(time.strftime("%Y-%m-%dT%H:%M:%SZ")) {
            (day_in(voice.tongue.tag(), time))
        }
    }
}

fn year(post: &PostLine) -> String {
    post.date.strftime("%Y").to_string()
}

/// In groups of four, as people read fingerprints to each other.
fn fingerprint(hex: &str) -> Markup {
    let digits: Vec<char> = hex.chars().collect();
    let groups: Vec<String> = digits
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    html! { code { (groups.join(" ")) } }
}

fn title_or_slug<'a>(title: &'a str, slug: &'a str) -> &'a str {
    if title.is_empty() { slug } else { title }
}

#[cfg(test)]
mod tests;
