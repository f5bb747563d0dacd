//! The frame of every page: what stands in its head, and what its foot says.

use maud::{DOCTYPE, Markup, html};

use crate::{
    render::direction,
    web::words::{Tongue, Voice, fill_markup},
};

/// Where every host of a network serves [`STYLE`].
pub const STYLE_PATH: &str = "/_/style.css";

/// The one style sheet.
pub const STYLE: &str = concat!(include_str!("style.css"), include_str!("desk.css"));

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
    pub(crate) older: Option<String>,
    pub(crate) newer: Option<String>,
    /// Whether search engines are asked to leave it out.
    pub(crate) noindex: bool,
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
                a.skip href="#content" lang=[voice.lang] dir=[voice.dir] { (voice.words.skip) }
                (top)
                (main)
                (bottom)
            }
        }
    };
    page.into_string()
}

/// The name of the network above its own pages.
pub(crate) fn network_top(network: &Network) -> Markup {
    html! {
        header.top { p.name { a href=(format!("{}/", network.origin)) { (network.domain) } } }
    }
}

/// The foot of the network's own pages.
pub(crate) fn network_bottom(network: &Network, tongue: Tongue) -> Markup {
    html! { footer.bottom { (served_by(network, Voice::around(tongue.tag()))) } }
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

/// For `lang`: none where nothing is known.
pub(crate) fn language(tag: &str) -> Option<&str> {
    (!tag.is_empty()).then_some(tag)
}

/// For `dir`: none where nothing is known.
pub(crate) fn dir(tag: &str) -> Option<&'static str> {
    language(tag).map(|tag| direction(tag).as_str())
}
