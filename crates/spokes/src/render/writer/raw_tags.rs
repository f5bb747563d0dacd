//! Raw HTML of an author: listed tags, always closed in order.

use super::{NESTING_MAX, Open, PRE, WIDE, Writer};
use crate::render::raw::{
    BLOCK_TAGS, INLINE_TAGS, KEPT_ATTRIBUTES, PLAYER_TAGS, RawTag, SILENT_TAGS, VOID_TAGS,
    WORD_TAGS, escape_except_ampersand, skip_comment, skip_to_end_of,
};

/// What a raw table has no place for stands before it, and a browser's rules look for that place among
/// all that stands there. No page that people wrote needs more of it; behind so many the table ends.
pub(in crate::render) const MISPLACED_MAX: usize = 200;

/// Raw tags of which a table is made.
const TABLE_TAGS: [&str; 8] = [
    "caption", "table", "tbody", "td", "tfoot", "th", "thead", "tr",
];
/// Those of them in which nothing but others of them has a place.
const GAP_TAGS: [&str; 5] = ["table", "tbody", "tfoot", "thead", "tr"];

/// Forms in which a film is offered; of an endless list only so many are looked at.
const SOURCES_MAX: usize = 8;

impl Writer<'_> {
    /// Copies raw HTML: listed tags stay, the content of silent ones goes, and all else is words.
    pub(super) fn raw(&mut self, mut rest: &str) {
        while let Some(at) = rest.find('<') {
            self.raw_words(&rest[..at]);
            rest = &rest[at..];
            if let Some(skipped) = skip_comment(rest) {
                rest = skipped;
                continue;
            }
            let Some(tag) = RawTag::parse(rest) else {
                self.out.html.push_str("&lt;");
                rest = &rest[1..];
                continue;
            };
            if tag.unfinished {
                break;
            }
            rest = &rest[tag.length..];
            if !tag.closes && SILENT_TAGS.iter().any(|silent| tag.is(silent)) {
                let behind = skip_to_end_of(tag.name, rest);
                if self.too_deep == 0 && PLAYER_TAGS.iter().any(|player| tag.is(player)) {
                    self.raw_player(&tag, &rest[..rest.len() - behind.len()]);
                }
                rest = behind;
            } else {
                self.raw_tag(&tag);
            }
        }
        self.raw_words(rest);
    }

    /// Words of raw HTML may hold entities, so `&` stays for the last step to read.
    fn raw_words(&mut self, words: &str) {
        if !words.trim().is_empty() {
            self.place();
        }
        escape_except_ampersand(words, &mut self.out.html);
    }

    /// Before anything but a part of a table is written: a table that has no place for too much of it
    /// ends, and is the last one.
    pub(super) fn place(&mut self) {
        let in_gap = |open: &[Open]| match open.last() {
            Some(Open::Raw(name)) if GAP_TAGS.contains(name) => Some(*name),
            _ => None,
        };
        if in_gap(&self.open).is_none() {
            return;
        }
        self.misplaced += 1;
        while self.misplaced > MISPLACED_MAX
            && let Some(name) = in_gap(&self.open)
        {
            self.open.pop();
            self.close_tag(name);
        }
    }

    fn raw_tag(&mut self, tag: &RawTag<'_>) {
        let listed = |names: &[&'static str]| names.iter().copied().find(|name| tag.is(name));
        if self.too_deep > 0 {
            return;
        }
        if !tag.closes && !TABLE_TAGS.iter().any(|part| tag.is(part)) {
            self.place();
        }
        if let Some(name) = listed(&VOID_TAGS) {
            self.raw_void(name, tag);
        } else if tag.is("source") && std::mem::take(&mut self.wants_source) {
            self.raw_player(tag, "");
        } else if let Some(name) = listed(&BLOCK_TAGS).or_else(|| listed(&INLINE_TAGS)) {
            // The page has its h1.
            let name = if name == "h1" { "h2" } else { name };
            if tag.closes {
                self.raw_close(name)
            } else {
                self.raw_open(name, tag)
            }
        }
    }

    /// The raw tags that are open above the nearest one of Markdown, the innermost first.
    fn raw_run(&self) -> impl Iterator<Item = &'static str> {
        self.open.iter().rev().map_while(|open| match open {
            Open::Raw(name) => Some(*name),
            _ => None,
        })
    }

    fn raw_close(&mut self, name: &str) {
        let Some(above) = self.raw_run().position(|raw| raw == name) else {
            return;
        };
        for _ in 0..=above {
            if let Some(Open::Raw(raw)) = self.open.pop() {
                self.close_tag(raw);
            }
        }
    }

    /// HTML lets an item or a cell end where the next one begins; many pages rely on it.
    fn close_sibling(&mut self, name: &str) {
        let (siblings, parents): (&[&str], &[&str]) = match name {
            "li" => (&["li"], &["ul", "ol"]),
            "dt" | "dd" => (&["dt", "dd"], &["dl"]),
            "td" | "th" => (&["td", "th"], &["tr", "table"]),
            "tr" => (&["tr"], &["table"]),
            "thead" | "tbody" | "tfoot" => (&["thead", "tbody", "tfoot"], &["table"]),
            _ => return,
        };
        let mut within_parent = self.raw_run().take_while(|raw| !parents.contains(raw));
        let sibling = within_parent.find(|raw| siblings.contains(raw));
        drop(within_parent);
        if let Some(sibling) = sibling {
            self.raw_close(sibling);
        }
    }

    fn raw_open(&mut self, name: &'static str, tag: &RawTag<'_>) {
        if self.misplaced > MISPLACED_MAX && TABLE_TAGS.contains(&name) {
            return;
        }
        if BLOCK_TAGS.contains(&name) {
            self.close_words();
            self.close_sibling(name);
            let in_words = match self.open.last() {
                Some(Open::Raw("summary")) => !name.starts_with('h'),
                Some(Open::Raw(around)) => WORD_TAGS.contains(around),
                Some(Open::Markdown { only_words, .. }) => *only_words,
                Some(Open::Elsewhere { .. }) => true,
                Some(Open::Note { .. }) | None => false,
            };
            if in_words {
                return;
            }
        }
        if self.open.len() >= NESTING_MAX {
            return;
        }
        if name == "a" {
            return self.raw_link(tag);
        }
        if name == "pre" {
            self.out.html.push_str(PRE);
        } else {
            let around = if name == "table" { WIDE } else { "" };
            self.out.html.push_str(&format!("{around}<{name}"));
            self.kept_attributes(tag);
            self.out.html.push('>');
        }
        self.open.push(Open::Raw(name));
    }

    /// The attributes that may matter, written anew.
    fn kept_attributes(&mut self, tag: &RawTag<'_>) {
        for name in KEPT_ATTRIBUTES {
            if let Some(value) = tag.attribute(name) {
                self.out.html.push_str(&format!(" {name}=\""));
                escape_except_ampersand(value, &mut self.out.html);
                self.out.html.push('"');
            }
        }
        if let Some(id) = tag.attribute("id") {
            self.own_id(id);
        }
    }

    /// Its address came with its entities, so `&` stays for the last step to read.
    fn raw_link(&mut self, tag: &RawTag<'_>) {
        let title = tag.attribute("title").unwrap_or_default();
        if let Some(href) = tag.attribute("href")
            && self.anchor_written_by(escape_except_ampersand, href, title)
        {
            return self.open.push(Open::Raw("a"));
        }
        // A place to jump to, as older pages mark it.
        if let Some(id) = tag.attribute("id").or(tag.attribute("name")) {
            self.out.html.push_str("<a");
            self.own_id(id);
            self.out.html.push_str("></a>");
        }
    }

    fn raw_void(&mut self, name: &str, tag: &RawTag<'_>) {
        if name != "img" {
            self.out.html.push_str(&format!("<{name}>"));
            return;
        }
        let value = |name| tag.attribute(name).unwrap_or_default();
        let (src, alt, title) = (value("src"), value("alt"), value("title"));
        match self.links.own_medium(src) {
            Some(hash) => self.medium(escape_except_ampersand, hash, alt, title),
            None => self.raw_elsewhere(src, alt),
        }
    }

    /// A link instead of what another host would have to be asked for.
    fn raw_elsewhere(&mut self, src: &str, words: &str) {
        let leads = !src.is_empty() && self.anchor_written_by(escape_except_ampersand, src, "");
        self.raw_words(if words.is_empty() && leads {
            src
        } else {
            words
        });
        if leads {
            self.out.html.push_str("</a>");
        }
    }

    /// What stands in for a page within the page: a link, or its address where no link can be.
    ///
    /// A page that waits until it is scrolled to has its address in `data-src`.
    fn raw_frame(&mut self, tag: &RawTag<'_>) {
        let leads = |src: &&str| {
            let known = self.links.resolve(src);
            known.is_some_and(|(address, _)| !src.is_empty() && !address.starts_with("mailto:"))
        };
        let mut sources = ["src", "data-src"]
            .into_iter()
            .filter_map(|s| tag.attribute(s));
        let Some(src) = sources.find(leads) else {
            return self.raw_words(tag.attribute("title").unwrap_or_default());
        };
        let title = tag.attribute("title").filter(|title| !title.is_empty());
        self.raw_elsewhere(src, title.unwrap_or(src));
    }

    /// A film, a sound, or a page within the page; what stands in it is for browsers without.
    fn raw_player(&mut self, tag: &RawTag<'_>, inner: &str) {
        let is_own = |src| self.links.own_medium(src).is_some();
        if tag.is("iframe") && !tag.attribute("src").is_some_and(is_own) {
            return self.raw_frame(tag);
        }
        let sources = inner.match_indices("<source").take(SOURCES_MAX);
        let mut sources = sources.filter_map(|(at, _)| {
            RawTag::parse(&inner[at..]).and_then(|source| source.attribute("src"))
        });
        let src = tag.attribute("src").or_else(|| sources.next());
        // Within a paragraph the form in which it is offered is a tag of its own, still to come.
        self.wants_source = src.is_none();
        let Some(src) = src else { return };
        let label = ["aria-label", "title"];
        let label = label.iter().find_map(|name| tag.attribute(name));
        match self.links.own_medium(src) {
            Some(hash) => {
                self.medium(escape_except_ampersand, hash, label.unwrap_or_default(), "");
            }
            None => self.raw_elsewhere(src, label.unwrap_or_default()),
        }
    }
}
