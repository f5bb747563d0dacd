//! The page of a search.

use maud::{Markup, html};

use crate::web::{
    front::{chosen, other},
    page::{Headline, headline_with, with_query},
    shell::{Head, Network, network_bottom, network_top, shell},
    words::{Tongue, Voice, fill, fill_markup},
};

/// What a search found, or its form.
#[derive(Clone, Debug)]
pub struct SearchView {
    /// The network.
    pub network: Network,
    /// The line; empty where nothing was asked for.
    pub query: String,
    /// Whether there is anything in it to look for.
    pub has_words: bool,
    /// Whether some of it was passed over, since it was too long.
    pub is_cut: bool,
    /// Filters that were left out, since nothing could be meant by them.
    pub odd: Vec<String>,
    /// Whether the newest come first, and not the best.
    pub newest: bool,
    /// The number of this page, from 1.
    pub page: usize,
    /// Whether there are more.
    pub more: bool,
    /// How many posts were found in all.
    pub total: u64,
    /// Whether there may be more.
    pub is_at_least: bool,
    /// Words that are written otherwise somewhere.
    pub meant: Option<String>,
    /// What was found.
    pub found: Vec<SearchHit>,
    /// The servers with the archive that answered.
    pub answered: Vec<String>,
    /// Whether only what this server holds was searched, since no archive answered.
    pub is_partial: bool,
    /// How many blogs this server keeps.
    pub blogs: u64,
    /// After how many entries the search ended early, if it did.
    pub cut_after: Option<u64>,
    /// The language of its words.
    pub tongue: Tongue,
    /// Whether the address asked for that.
    pub says_tongue: bool,
}

/// A post that was found.
#[derive(Clone, Debug)]
pub struct SearchHit {
    /// What it is.
    pub headline: Headline,
    /// Words of it, each piece with whether it was looked for.
    pub snippet: Vec<(String, bool)>,
}

/// A box for words, and what starts the search.
pub(crate) fn search_form(query: &str, hidden: &[(&str, &str)], voice: Voice) -> Markup {
    html! {
        form.search action="/search" role="search" {
            label.hidden for="q" { (voice.words.search_label) }
            input #q type="search" name="q" value=(query) dir="auto" maxlength="200" required;
            @for (name, value) in hidden.iter().filter(|(_, value)| !value.is_empty()) {
                input type="hidden" name=(name) value=(value);
            }
            button type="submit" { (voice.words.search) }
        }
    }
}

/// What a search found, or its form.
#[must_use]
pub fn search(view: &SearchView) -> String {
    let (network, tongue) = (&view.network, view.tongue);
    let voice = Voice::around(tongue.tag());
    let words = voice.words;
    let ui = chosen(tongue, view.says_tongue);
    let by = by(view.newest);
    let asked = !view.query.is_empty();
    let results = fill(words.search_results, &[("query", view.query.as_str())]);
    let title = if asked { &*results } else { words.search };
    let head = Head {
        title: format!("{title} – {}", network.domain),
        language: tongue.tag(),
        canonical: (!asked).then(|| format!("{}/search", network.origin)),
        noindex: asked,
        feeds: view.has_words.then(|| "/search".to_owned()),
        feeds_question: with_query("", &[("q", &view.query)]),
        ..Head::default()
    };
    let main = html! {
        main #content tabindex="-1" {
            h1 { (title) }
            (search_form(&view.query, &[("ui", ui), ("by", by)], voice))
            @if !view.odd.is_empty() {
                @let odd = html! { bdi { code { (view.odd.join(" ")) } } };
                p.notice { (fill_markup(words.search_odd, &[("filters", odd)])) }
            }
            @if view.has_words {
                (answer(view, ui, voice))
            } @else if asked {
                p { (words.search_no_words) }
            }
            (how(voice))
        }
    };
    let fields = [
        ("q", view.query.as_str()),
        ("by", by),
        ("ui", other(tongue)),
    ];
    let switch = with_query("/search", &fields);
    let bottom = network_bottom(network, tongue, Some(&switch));
    shell(&head, &network_top(network, tongue), &main, &bottom)
}

fn by(newest: bool) -> &'static str {
    if newest { "date" } else { "" }
}

fn answer(view: &SearchView, ui: &str, voice: Voice) -> Markup {
    let words = voice.words;
    let link = |query: &str, newest: bool| {
        with_query("/search", &[("q", query), ("by", by(newest)), ("ui", ui)])
    };
    let blogs = voice.count(|noun| noun.of_blogs, view.blogs);
    let found = voice.count(|noun| noun.posts, view.total);
    html! {
        @if view.is_partial {
            p.notice { (fill(words.search_partial, &[("blogs", blogs.as_str())])) }
        }
        @if view.is_cut { p.notice { (words.search_too_long) } }
        @if view.cut_after.is_some() { p.notice { (words.search_cut) } }
        @if view.found.is_empty() {
            p { (if view.page > 1 { words.search_no_more } else { words.search_none }) }
        } @else {
            @if !view.is_at_least { p.quiet { (fill(words.search_found, &[("posts", found.as_str())])) } }
            nav.chips aria-label=(words.search_order) {
                @for (newest, name) in [(false, words.search_best), (true, words.search_newest)] {
                    @let current = (newest == view.newest).then_some("page");
                    a href=(link(&view.query, newest)) aria-current=[current] { (name) }
                }
            }
            ol.posts { @for hit in &view.found { (headline_with(&hit.headline, &marked(&hit.snippet), voice)) } }
        }
        @if let Some(meant) = &view.meant {
            @let other = html! { a href=(link(meant, view.newest)) { bdi { (meant) } } };
            p { (fill_markup(words.search_meant, &[("words", other)])) }
        }
        (pager(view, ui, voice))
        @if !view.found.is_empty() { (feeds(view, voice)) }
    }
}

fn marked(snippet: &[(String, bool)]) -> Markup {
    html! {
        @for (text, hit) in snippet {
            @if *hit { mark { (text) } } @else { (text) }
        }
    }
}

fn pager(view: &SearchView, ui: &str, voice: Voice) -> Markup {
    let link = |page: usize| {
        let number = if page > 1 {
            page.to_string()
        } else {
            String::new()
        };
        let fields = [
            ("q", view.query.as_str()),
            ("by", by(view.newest)),
            ("page", &number),
            ("ui", ui),
        ];
        with_query("/search", &fields)
    };
    html! {
        @if view.page > 1 || view.more {
            nav.pager aria-label=(voice.words.search_pages) {
                @if view.page > 1 { a href=(link(view.page - 1)) rel="prev" { (voice.words.search_before) } }
                @if view.more { a href=(link(view.page + 1)) rel="next" { (voice.words.search_after) } }
            }
        }
    }
}

fn feeds(view: &SearchView, voice: Voice) -> Markup {
    let kinds = [("atom", "Atom"), ("rss", "RSS"), ("json", "JSON Feed")];
    let link = |(kind, name): (&'static str, &str)| {
        let address = with_query(&format!("/search.{kind}"), &[("q", &view.query)]);
        (kind, html! { a href=(address) { bdi { (name) } } })
    };
    html! { p.quiet { (fill_markup(voice.words.search_feeds, &kinds.map(link))) } }
}

/// What one can write into the box.
fn how(voice: Voice) -> Markup {
    let words = voice.words;
    let ways = [
        ("“town hall”", words.search_how_phrase),
        ("-word", words.search_how_without),
        ("blog:maria  tag:music  lang:es", words.search_how_filter),
        (
            "after:2026-01-31  before:2026-03-01",
            words.search_how_dates,
        ),
    ];
    html! {
        details.quiet {
            summary { (words.search_how_title) }
            p { (words.search_how) }
            dl {
                @for (example, meaning) in ways {
                    dt { code dir="ltr" lang="en" { (example) } }
                    dd { (meaning) }
                }
            }
        }
    }
}
