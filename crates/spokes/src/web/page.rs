//! The pages that readers see.
//!
//! Each page is a function of a plain view; who calls it has asked the store. The words around a
//! blog are English so far and say so (`lang`), whatever language the blog is in. There is no
//! script and no style but one sheet, so the strictest content security policy fits.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::render::direction;
use crate::web::message::Message;

/// Where every host of a network serves [`STYLE`].
pub const STYLE_PATH: &str = "/_/style.css";

/// The one style sheet.
pub const STYLE: &str = include_str!("style.css");

/// The network that a page belongs to, and the spoke that serves it.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its domain, which is its name: `blogs.example.org`.
    pub domain: String,
    /// The address of its front page without a final slash: `https://blogs.example.org`.
    pub origin: String,
    /// The label of the spoke that serves this page.
    pub spoke: String,
    /// The group that runs this spoke; may be empty.
    pub operator: String,
}

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
    let head = Head {
        title: network.domain.clone(),
        description: format!("The latest from the blogs of {}.", network.domain),
        language: "en",
        canonical: Some(format!("{}/", network.origin)),
        feeds: Some("/feed".to_owned()),
        ..Head::default()
    };
    let top = html! {
        header.top {
            h1 { (network.domain) }
            p {
                (count(view.blogs, "blog", "blogs")) ", kept by " (count(view.spokes, "server", "servers"))
                @if view.spokes > 1 { " and by nobody alone" } "."
            }
        }
    };
    let main = html! {
        main #content tabindex="-1" {
            section aria-labelledby="latest" {
                h2 #latest { "Latest posts" }
                p.quiet {
                    @if view.age_seconds > 0 { "As of " (count(view.age_seconds, "second", "seconds")) " ago. " }
                    (feed_links("/feed"))
                }
                @if view.latest.is_empty() && view.is_gathering {
                    p { "This server has just started and is still gathering the latest posts. Look again in a moment." }
                } @else if view.latest.is_empty() {
                    p { "Nobody has written here yet. The first post could be yours." }
                } @else {
                    ol.posts { @for headline in &view.latest { li { (headline_item(headline)) } } }
                }
            }
            section aria-labelledby="start" {
                h2 #start { "Start a blog" }
                p { "A blog here belongs to whoever holds its key. Install " code { "spokes" } " on your own computer, and run:" }
                pre tabindex="0" { code { (view.start_command) } }
            }
        }
    };
    let bottom = html! { footer.bottom { (served_by(network)) } };
    shell(&head, &top, &main, &bottom)
}

/// A blog's posts, newest first.
#[must_use]
pub fn blog_index(view: &BlogView) -> String {
    let blog = &view.blog;
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
            (notices(blog))
            @if view.posts.is_empty() {
                p lang="en" dir="ltr" { "There are no posts here yet." }
            } @else {
                ol.posts { @for post in &view.posts { li { (post_item(blog, post)) } } }
            }
            @if view.newer.is_some() || view.older.is_some() {
                nav.pager aria-label="More posts" lang="en" {
                    @if let Some(newer) = &view.newer { a href=(newer) rel="prev" { "Newer posts" } }
                    @if let Some(older) = &view.older { a href=(older) rel="next" { "Older posts" } }
                }
            }
        }
    };
    shell(
        &head,
        &blog_top(blog, true),
        &main,
        &blog_bottom(&view.network, blog, &html! {}),
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
        author: blog.author.clone(),
    };
    let main = html! {
        main #content tabindex="-1" {
            (notices(blog))
            header.title {
                h1 { (title_or_slug(&view.title, &view.slug)) }
                @if view.date.is_some() || view.edited.is_some() {
                    p.quiet.facts {
                        @if let Some(date) = view.date { (day(date)) }
                        @if let Some(edited) = view.edited { " " span lang="en" dir="ltr" { "edited " (day(edited)) } }
                    }
                }
            }
            article { (PreEscaped(&view.html)) }
            @if !view.tags.is_empty() {
                ul.tags aria-label="Tags" {
                    @for tag in &view.tags { li { a href=(tag_path(tag)) rel="tag" { bdi { (tag) } } } }
                }
            }
            @if view.newer.is_some() || view.older.is_some() {
                nav.pager aria-label="Neighboring posts" {
                    @if let Some(post) = &view.newer { (neighbor(blog, post, "Newer", "prev")) }
                    @if let Some(post) = &view.older { (neighbor(blog, post, "Older", "next")) }
                }
            }
        }
    };
    let proof = proof(view, &address);
    shell(
        &head,
        &blog_top(blog, false),
        &main,
        &blog_bottom(&view.network, blog, &proof),
    )
}

/// The posts of a blog that bear one tag.
#[must_use]
pub fn tag(view: &TagView) -> String {
    let blog = &view.blog;
    let address = tag_path(&view.tag);
    let head = Head {
        title: format!("{} – {}", view.tag, blog.title),
        canonical: Some(format!("{}{address}", blog.origin)),
        feeds: Some(format!("{address}/feed")),
        ..Head::of(blog)
    };
    let main = html! {
        main #content tabindex="-1" {
            (notices(blog))
            header.title {
                p.quiet lang="en" { "Posts tagged" }
                h1 { bdi { (view.tag) } }
                p.quiet lang="en" { (feed_links(&format!("{address}/feed"))) }
            }
            ol.posts { @for post in &view.posts { li { (post_item(blog, post)) } } }
        }
    };
    shell(
        &head,
        &blog_top(blog, false),
        &main,
        &blog_bottom(&view.network, blog, &html! {}),
    )
}

/// All posts of a blog by year.
#[must_use]
pub fn archive(view: &ArchiveView) -> String {
    let blog = &view.blog;
    let head = Head {
        title: format!("Archive – {}", blog.title),
        canonical: Some(format!("{}/archive", blog.origin)),
        feeds: Some("/feed".to_owned()),
        ..Head::of(blog)
    };
    let years = view.posts.chunk_by(|one, next| year(one) == year(next));
    let main = html! {
        main #content tabindex="-1" {
            (notices(blog))
            h1 lang="en" { "Archive" }
            @for posts in years {
                h2 { (posts.first().map(year).unwrap_or_default()) }
                ol.archive {
                    @for post in posts {
                        li {
                            (day(post.date)) " "
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
        &blog_bottom(&view.network, blog, &html! {}),
    )
}

/// Nothing is at this address; with `late`, perhaps nothing yet.
#[must_use]
pub fn not_found(network: &Network, blog: Option<&Blog>, late: bool) -> String {
    let message = match (blog, late) {
        (None, _) => Message::no_such_page(&network.domain),
        (Some(_), false) => Message::no_such_post(),
        (Some(_), true) => Message::no_such_post_yet(),
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
        language: "en",
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
            let bottom = blog_bottom(network, blog, &html! {});
            shell(&head, &blog_top(blog, false), &main, &bottom)
        }
        None => {
            let top = html! {
                header.top { p.name { a href=(format!("{}/", network.origin)) { (network.domain) } } }
            };
            shell(
                &head,
                &top,
                &main,
                &html! { footer.bottom { (served_by(network)) } },
            )
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

/// What a page says of itself before its body.
#[derive(Default)]
struct Head<'a> {
    title: String,
    description: String,
    author: String,
    language: &'a str,
    canonical: Option<String>,
    /// The path of its feeds without their extension.
    feeds: Option<String>,
    older: Option<String>,
    newer: Option<String>,
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

fn shell(head: &Head<'_>, top: &Markup, main: &Markup, bottom: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang=[language(head.language)] dir=(direction(head.language).as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (head.title) }
                @if !head.description.is_empty() { meta name="description" content=(head.description); }
                @if !head.author.is_empty() { meta name="author" content=(head.author); }
                @if let Some(canonical) = &head.canonical { link rel="canonical" href=(canonical); }
                link rel="stylesheet" href=(STYLE_PATH);
                @if let Some(feeds) = &head.feeds {
                    link rel="alternate" type="application/atom+xml" title="Atom" href=(format!("{feeds}.atom"));
                    link rel="alternate" type="application/rss+xml" title="RSS" href=(format!("{feeds}.rss"));
                    link rel="alternate" type="application/feed+json" title="JSON Feed" href=(format!("{feeds}.json"));
                }
                @if let Some(newer) = &head.newer { link rel="prev" href=(newer); }
                @if let Some(older) = &head.older { link rel="next" href=(older); }
            }
            body {
                a.skip href="#content" lang="en" dir="ltr" { "Skip to content" }
                (top)
                (main)
                (bottom)
            }
        }
    };
    page.into_string()
}

/// A blog's name and menu. Its title is the page's heading only where no post's is.
fn blog_top(blog: &Blog, is_heading: bool) -> Markup {
    html! {
        header.top lang=[language(&blog.language)] dir=[dir(&blog.language)] {
            @if is_heading {
                h1.name { a href="/" { (blog.title) } }
                @if !blog.description.is_empty() { p { (blog.description) } }
            } @else {
                p.name { a href="/" { (blog.title) } }
            }
            nav aria-label="Blog" {
                @for page in &blog.pages {
                    a href=(path(&page.slug)) lang=[language(&page.language)] {
                        bdi { (title_or_slug(&page.title, &page.slug)) }
                    }
                }
                a href="/archive" lang="en" { "Archive" }
                a href="/feed.atom" lang="en" { "Feed" }
            }
        }
    }
}

/// Where the blog lives and how to check it; `proof` says more where the page shows a post.
fn blog_bottom(network: &Network, blog: &Blog, proof: &Markup) -> Markup {
    html! {
        footer.bottom lang="en" dir="ltr" {
            (proof)
            p {
                "Held by " (labels(&blog.replicas)) "; primary " bdi { (blog.primary) } ". "
                "Every word is signed with the key of "
                @if blog.author.is_empty() { "its author" } @else { bdi { (blog.author) } }
                ", " a href="/key.asc" { (fingerprint(&blog.fingerprint)) } "."
            }
            (served_by(network))
        }
    }
}

/// How a reader can check a post without trusting us.
fn proof(view: &PostView, address: &str) -> Markup {
    let source = path(&view.slug);
    let check = format!(
        "curl {origin}/key.asc | gpg --import\ncurl {address}.asc | gpg --verify",
        origin = view.blog.origin
    );
    html! {
        p {
            (copies(view.copies)) " Its signed source: "
            a href=(format!("{source}.txt")) { "plain text" } ", "
            a href=(format!("{source}.asc")) { "with its signature" } "."
            @for signer in &view.signers { " Signed by " (fingerprint(signer)) "." }
        }
        details {
            summary { "Check it yourself" }
            p { "Two commands fetch the author’s key and the signed post; the second answers “Good signature”:" }
            pre tabindex="0" { code { (check) } }
            p { "Compare the fingerprint with one that the author gave you in another way." }
        }
    }
}

fn notices(blog: &Blog) -> Markup {
    html! {
        @if blog.late {
            p.notice lang="en" dir="ltr" {
                "This copy may be late: the blog’s primary did not answer. Everything shown here is signed by its author. Look again in a minute for anything newer."
            }
        }
        @if let Some(sequence) = blog.may_lack_after {
            p.notice lang="en" dir="ltr" {
                "Servers of this blog were lost, and it may lack entries after number " (sequence) ". Everything up to there is safe. What is missing is added as soon as anybody who holds it returns."
            }
        }
    }
}

fn post_item(blog: &Blog, post: &PostLine) -> Markup {
    let language_of = if post.language.is_empty() {
        &blog.language
    } else {
        &post.language
    };
    html! {
        div lang=[language(language_of)] dir=[dir(language_of)] {
            h2 { a href=(path(&post.slug)) { (title_or_slug(&post.title, &post.slug)) } }
            p.quiet { (day(post.date)) }
            @if !post.excerpt.is_empty() { p { (post.excerpt) } }
        }
    }
}

fn headline_item(headline: &Headline) -> Markup {
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
                " " (day(post.date))
                @if !language_of.is_empty() { " " span dir="ltr" { (language_of) } }
            }
            @if !post.excerpt.is_empty() { p { (post.excerpt) } }
        }
    }
}

fn neighbor(blog: &Blog, post: &Neighbor, word: &str, rel: &str) -> Markup {
    let language_of = if post.language.is_empty() {
        &blog.language
    } else {
        &post.language
    };
    html! {
        a href=(path(&post.slug)) rel=(rel) {
            span.quiet lang="en" { (word) } " "
            span lang=[language(language_of)] dir=[dir(language_of)] {
                (title_or_slug(&post.title, &post.slug))
            }
        }
    }
}

fn served_by(network: &Network) -> Markup {
    html! {
        p {
            "You are reading " a href=(format!("{}/", network.origin)) { (network.domain) }
            " from the server " bdi { (network.spoke) }
            @if !network.operator.is_empty() { ", run by " bdi { (network.operator) } }
            "."
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

/// A date reads alike in every language as year, month and day, and always from the left.
fn day(time: Timestamp) -> Markup {
    html! {
        time datetime=(time.strftime("%Y-%m-%dT%H:%M:%SZ")) dir="ltr" { (time.strftime("%Y-%m-%d")) }
    }
}

fn year(post: &PostLine) -> String {
    post.date.strftime("%Y").to_string()
}

/// "oak, elm and ash".
fn labels(labels: &[String]) -> Markup {
    html! {
        @for (at, label) in labels.iter().enumerate() {
            @if at > 0 { (if at + 1 == labels.len() { " and " } else { ", " }) }
            bdi { (label) }
        }
    }
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

fn copies(servers: u32) -> String {
    match servers {
        0 => "No server has confirmed this post yet.".to_owned(),
        1 => "This post is on one server.".to_owned(),
        _ => format!("This post is on {servers} servers."),
    }
}

fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {many}")
    }
}

fn title_or_slug<'a>(title: &'a str, slug: &'a str) -> &'a str {
    if title.is_empty() { slug } else { title }
}

fn language(tag: &str) -> Option<&str> {
    (!tag.is_empty()).then_some(tag)
}

fn dir(tag: &str) -> Option<&'static str> {
    language(tag).map(|tag| direction(tag).as_str())
}

#[cfg(test)]
mod tests;
