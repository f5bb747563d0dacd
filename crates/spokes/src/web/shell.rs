//! The frame of every page: what stands in its head, and what its foot says.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::{
    render::direction,
    web::words::{Tongue, Voice, fill_markup},
};

/// Where every host of a network serves [`STYLE`].
pub const STYLE_PATH: &str = "/_/style.css";

/// The one style sheet.
pub const STYLE: &str = concat!(include_str!("style.css"), include_str!("desk.css"));

/// The style sheet as it is sent: without comments and spaces, which are more than a quarter of it.
#[must_use]
pub fn compact_style() -> String {
    let mut compact = String::with_capacity(STYLE.len());
    for (at, piece) in STYLE.split("/*").enumerate() {
        let rules = match piece.split_once("*/") {
            Some((_comment, rules)) if at > 0 => rules,
            _ => piece,
        };
        for line in rules.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let tight = SPACED
                .iter()
                .fold(line.to_owned(), |line, (spaced, tight)| {
                    line.replace(spaced, tight)
                });
            compact.push_str(&tight);
            // Elsewhere the end of a line parts two words.
            if !tight.ends_with([',', '{', '}', ';']) {
                compact.push('\n');
            }
        }
    }
    compact
}

/// Spaces that say nothing, since no string of the sheet holds them. One before a colon would: it
/// means "within".
const SPACED: [(&str, &str); 6] = [
    (": ", ":"),
    (", ", ","),
    ("; ", ";"),
    (" {", "{"),
    ("{ ", "{"),
    (" }", "}"),
];

/// Where every host of a network serves [`ICON`].
pub const ICON_PATH: &str = "/_/icon.svg";

/// The network's mark: a hub and its spokes.
pub const ICON: &str = include_str!("icon.svg");

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

impl Network {
    /// The address of the writing desk: on this spoke's own name, for whoever writes stays with one
    /// server.
    #[must_use]
    pub fn desk(&self) -> String {
        let (scheme, host) = self.origin.split_once("://").unwrap_or_default();
        format!("{scheme}://{}.spoke.{host}/_/desk", self.spoke)
    }
}

/// What a page says of itself before its body.
///
/// Pages that are nobody's destination (errors, the desk) have no canonical address and no feeds.
#[derive(Default)]
pub(crate) struct Head<'a> {
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) author: String,
    /// BCP 47 tag of the page; may be empty.
    pub(crate) language: &'a str,
    pub(crate) canonical: Option<String>,
    /// The path of its feeds without their extension.
    pub(crate) feeds: Option<String>,
    /// What its feeds are asked for with, `?q=…`, or nothing.
    pub(crate) feeds_question: String,
    pub(crate) older: Option<String>,
    pub(crate) newer: Option<String>,
    /// Whether search engines are asked to leave it out.
    pub(crate) noindex: bool,
    /// What it shows where somebody shares its canonical address.
    pub(crate) share: Option<Share>,
    /// What it says to programs (JSON-LD).
    pub(crate) data: Option<Value>,
    /// A class of its body, such as `h-feed`.
    pub(crate) class: Option<&'static str>,
}

/// What a page shows where somebody shares it (Open Graph).
#[derive(Default)]
pub(crate) struct Share {
    /// Its title alone, without the site's.
    pub(crate) title: String,
    /// The site that it is on.
    pub(crate) site: String,
    pub(crate) image: Option<Image>,
    /// When it was published and last edited, if it is an article.
    pub(crate) article: Option<(Timestamp, Option<Timestamp>)>,
    pub(crate) tags: Vec<String>,
}

/// A picture of a post.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its absolute address.
    pub address: String,
    /// What it shows, in words; may be empty.
    pub alt: String,
}

/// A whole page.
pub(crate) fn shell(head: &Head<'_>, top: &Markup, main: &Markup, bottom: &Markup) -> String {
    let voice = Voice::around(head.language);
    let page = html! {
        (DOCTYPE)
        html lang=[language(head.language)] dir=(direction(head.language).as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (head.title) }
                @if head.noindex { meta name="robots" content="noindex"; }
                @if !head.description.is_empty() { meta name="description" content=(head.description); }
                @if !head.author.is_empty() { meta name="author" content=(head.author); }
                @if let Some(canonical) = &head.canonical { link rel="canonical" href=(canonical); }
                link rel="icon" type="image/svg+xml" href=(ICON_PATH);
                link rel="stylesheet" href=(STYLE_PATH);
                @if let Some(feeds) = &head.feeds {
                    link rel="alternate" type="application/atom+xml" title="Atom" href=(format!("{feeds}.atom{}", head.feeds_question));
                    link rel="alternate" type="application/rss+xml" title="RSS" href=(format!("{feeds}.rss{}", head.feeds_question));
                    link rel="alternate" type="application/feed+json" title="JSON Feed" href=(format!("{feeds}.json{}", head.feeds_question));
                }
                @if let Some(newer) = &head.newer { link rel="prev" href=(newer); }
                @if let Some(older) = &head.older { link rel="next" href=(older); }
                @if let (Some(share), Some(address)) = (&head.share, &head.canonical) {
                    (shared(share, address, &head.description))
                }
                @if let Some(data) = &head.data {
                    script type="application/ld+json" { (PreEscaped(quoted(data))) }
                }
            }
            body class=[head.class] {
                a.skip href="#content" lang=[voice.lang] dir=[voice.dir] { (voice.words.skip) }
                (top)
                (main)
                (bottom)
            }
        }
    };
    page.into_string()
}

/// JSON that no parser of HTML takes for the end of its element, whatever the words are.
fn quoted(data: &Value) -> String {
    let json = data.to_string();
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

fn shared(share: &Share, address: &str, description: &str) -> Markup {
    let time = |time: &Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    html! {
        meta property="og:title" content=(share.title);
        meta property="og:site_name" content=(share.site);
        meta property="og:url" content=(address);
        meta property="og:type" content=(if share.article.is_some() { "article" } else { "website" });
        @if !description.is_empty() { meta property="og:description" content=(description); }
        @if let Some(image) = &share.image {
            meta property="og:image" content=(image.address);
            @if !image.alt.is_empty() { meta property="og:image:alt" content=(image.alt); }
            meta name="twitter:card" content="summary_large_image";
        }
        @if let Some((published, edited)) = &share.article {
            meta property="article:published_time" content=(time(published));
            @if let Some(edited) = edited {
                meta property="article:modified_time" content=(time(edited));
            }
        }
        @for tag in &share.tags { meta property="article:tag" content=(tag); }
    }
}

/// The name of the network above its own pages, and where to go from here.
pub(crate) fn network_top(network: &Network, tongue: Tongue) -> Markup {
    let words = Voice::around(tongue.tag()).words;
    // Whoever chose a language stays with it.
    let address = |path: &str| format!("{}{path}?ui={}", network.origin, tongue.tag());
    html! {
        header.top {
            (network_name(network, &address("/")))
            nav aria-label=(words.site_menu) {
                a href=(address("/search")) { (words.search) }
                a href=(address("/status")) { (words.status) }
                a href=(format!("{}?ui={}", network.desk(), tongue.tag())) rel="nofollow" { (words.your_desk) }
            }
        }
    }
}

/// The network's mark and name, which lead to its front page.
pub(crate) fn network_name(network: &Network, front: &str) -> Markup {
    html! {
        p.name {
            a href=(front) {
                img src=(ICON_PATH) alt="" width="28" height="28";
                span.p-name { (name(&network.domain)) }
            }
        }
    }
}

/// The foot of the network's own pages; `other` leads to this page in the other tongue.
pub(crate) fn network_bottom(network: &Network, tongue: Tongue, other: Option<&str>) -> Markup {
    let voice = Voice::around(tongue.tag());
    html! {
        footer.bottom {
            (served_by(network, voice))
            @if let Some(address) = other {
                nav aria-label=(voice.words.other_tongue) {
                    @for tongue in Tongue::ALL.into_iter().filter(|other| *other != tongue) {
                        a href=(address) hreflang=(tongue.tag()) lang=(tongue.tag())
                            dir=(direction(tongue.tag()).as_str()) { (tongue.own_name()) }
                    }
                }
            }
        }
    }
}

/// Who answers here.
pub(crate) fn served_by(network: &Network, voice: Voice) -> Markup {
    let text = if network.operator.is_empty() {
        voice.words.served_by
    } else {
        voice.words.served_by_operator
    };
    let home = html! { a href=(format!("{}/", network.origin)) { bdi { (network.domain) } } };
    let places = [
        ("network", home),
        ("spoke", html! { bdi { (network.spoke) } }),
        ("operator", html! { bdi { (network.operator) } }),
    ];
    html! { p { (fill_markup(text, &places)) } }
}

/// A host's name, which parts after a dot where a line has no room for the whole.
pub(crate) fn name(host: &str) -> Markup {
    let last = host.split('.').count() - 1;
    html! {
        bdi {
            @for (at, label) in host.split('.').enumerate() {
                (label)
                @if at < last { "." wbr; }
            }
        }
    }
}

/// For `lang`: none where nothing is known.
pub(crate) fn language(tag: &str) -> Option<&str> {
    (!tag.is_empty()).then_some(tag)
}

/// For `dir`: none where nothing is known.
pub(crate) fn dir(tag: &str) -> Option<&'static str> {
    language(tag).map(|tag| direction(tag).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_parts_after_its_dots() {
        let shown = |host| name(host).into_string();
        assert_eq!(
            shown("blogs.example.org"),
            "<bdi>blogs.<wbr>example.<wbr>org</bdi>"
        );
        assert_eq!(shown("blogs"), "<bdi>blogs</bdi>");
    }
}
