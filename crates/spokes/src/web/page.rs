//! What all pages that readers see are made of.
//!
//! Each page is a function of a plain view; who calls it has asked the store. There is no
//! script and no style but one sheet, so the strictest content security policy fits.

use jiff::Timestamp;
use maud::{Markup, html};

pub use crate::web::{
    blog::{
        ArchiveView, BlogView, PostView, TagView, archive, blog_index, listed_picture, not_found,
        post, tag,
    },
    front::{FrontView, SpokeLine, StatusView, front, status},
    search::{SearchHit, SearchView, search},
    shell::{ICON, ICON_PATH, Image, Network, STYLE, STYLE_PATH, compact_style},
    trust::{AboutView, Member, about},
};
use crate::{
    render::cut,
    web::{
        blog::{blog_bottom, blog_top},
        message::Message,
        shell::{Head, dir, language, network_bottom, network_top, shell},
        words::{Voice, day_in, fill_markup},
    },
};

/// Characters of a text below its headline in the network's lists: twenty of them in the widest script
/// stay with the style below 40 KB.
pub(crate) const HEADLINE_CHARS: usize = 140;

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
    /// The labels of those that it waits for: too many of them are silent for the others to go on by themselves.
    pub waits: Vec<String>,
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
    /// The path of a picture beside it, if it has one that is light.
    pub picture: Option<String>,
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

/// A path with a query of those fields that are not empty.
#[must_use]
pub fn with_query(path: &str, fields: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    let fields = fields.iter().filter(|(_, value)| !value.is_empty());
    for (at, (name, value)) in fields.enumerate() {
        let mark = if at == 0 { '?' } else { '&' };
        address.push_str(&format!("{mark}{name}={}", percent_encoded(value)));
    }
    address
}

/// What happened, what is safe, what to do.
#[must_use]
pub fn error(view: &ErrorView) -> String {
    let (message, network) = (&view.message, &view.network);
    let voice = Voice::around(message.tongue.tag());
    // No canonical address and no neighbors: this page is nobody's destination.
    let head = Head {
        title: message.title.clone(),
        language: message.tongue.tag(),
        noindex: true,
        ..Head::default()
    };
    let home = html! { bdi { (network.domain) } };
    let main = html! {
        main.message #content tabindex="-1" {
            h1 { (message.title) }
            p { (message.happened()) }
            p { (message.safe) }
            p { (message.todo) }
            nav.ways aria-label=(voice.words.ways_on) {
                @if view.blog.is_some() {
                    a href="/" { (voice.words.to_blog) }
                    a href="/archive" { (voice.words.to_archive) }
                }
                a href=(format!("{}/", network.origin)) {
                    (fill_markup(voice.words.to_front, &[("network", home)]))
                }
            }
        }
    };
    match &view.blog {
        Some(blog) => {
            let bottom = blog_bottom(network, blog, message.tongue.tag(), &html! {});
            shell(&head, &blog_top(blog, false), &main, &bottom)
        }
        None => {
            let bottom = network_bottom(network, message.tongue, None);
            let top = network_top(network, message.tongue);
            shell(&head, &top, &main, &bottom)
        }
    }
}

/// RFC 3986 section 2.3.
pub(crate) fn percent_encoded(segment: &str) -> String {
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

/// A post of the network's list, whose blog is said; its heading stands below one of the list, or below
/// the page's alone.
pub(crate) fn headline_item(headline: &Headline, voice: Voice, below_heading: bool) -> Markup {
    let excerpt = html! { (cut(&headline.post.excerpt, HEADLINE_CHARS)) };
    let excerpt = (!headline.post.excerpt.is_empty()).then_some(excerpt);
    item(headline, excerpt.as_ref(), voice, below_heading)
}

/// The same with other words of the post below it.
pub(crate) fn headline_with(headline: &Headline, words: &Markup, voice: Voice) -> Markup {
    item(headline, Some(words), voice, false)
}

fn item(headline: &Headline, words: Option<&Markup>, voice: Voice, below_heading: bool) -> Markup {
    let Headline {
        post,
        blog_origin,
        blog_title,
        blog_language,
    } = headline;
    let language_of = first_of(&post.language, blog_language);
    let title = html! {
        a.u-url.p-name href=(format!("{blog_origin}{}", path(&post.slug))) {
            (title_or_slug(&post.title, &post.slug))
        }
    };
    html! {
        li.h-entry {
            div lang=[language(language_of)] dir=[dir(language_of)] {
                @if below_heading { h3 { (title) } } @else { h2 { (title) } }
                p.facts {
                    a.blog.p-author.h-card href=(format!("{blog_origin}/")) lang=[language(blog_language)] {
                        bdi { (blog_title) }
                    }
                    " " (day(post.date, voice, "dt-published"))
                }
                @if let Some(words) = words { p.p-summary { (words) } }
            }
        }
    }
}

/// The links to three feeds.
pub(crate) fn feed_links(feeds: &str, voice: Voice) -> Markup {
    let link =
        |kind: &str, name: &str| html! { a href=(format!("{feeds}.{kind}")) { bdi { (name) } } };
    let links = [
        ("atom", link("atom", "Atom")),
        ("rss", link("rss", "RSS")),
        ("json", link("json", "JSON Feed")),
    ];
    fill_markup(voice.words.feeds, &links)
}

/// A date as the language of the page has it; it says so, since what is around it may be in another.
pub(crate) fn day(time: Timestamp, voice: Voice, class: &str) -> Markup {
    let tag = voice.page_language;
    html! {
        time class=(class) datetime=(rfc3339(time)) lang=[language(tag)] dir=[dir(tag)] { (day_in(tag, time)) }
    }
}

pub(crate) fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// In groups of four, as people read fingerprints to each other.
pub(crate) fn fingerprint(hex: &str) -> Markup {
    let digits: Vec<char> = hex.chars().collect();
    let groups: Vec<String> = digits
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    html! { code { (groups.join(" ")) } }
}

pub(crate) fn title_or_slug<'a>(title: &'a str, slug: &'a str) -> &'a str {
    first_of(title, slug)
}

/// The first one that says something.
pub(crate) fn first_of<'a>(first: &'a str, second: &'a str) -> &'a str {
    if first.is_empty() { second } else { first }
}

#[cfg(test)]
mod tests;
