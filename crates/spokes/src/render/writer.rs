//! From Markdown's events to HTML in which every element closes in order.

use std::borrow::Cow;
use std::collections::HashMap;

use pulldown_cmark::{Alignment, CowStr, Event, HeadingLevel, LinkType, Tag, TagEnd};

use crate::render::raw::{
    BLOCK_TAGS, INLINE_TAGS, RawTag, SILENT_TAGS, VOID_TAGS, escape, escape_except_ampersand,
    skip_comment, skip_to_end_of,
};
use crate::render::{LEAVING, Links, is_own_media};

/// Deeper than any text that people read; flat enough that mending and drawing stay cheap.
const NESTING_MAX: usize = 48;

/// A wide block scrolls by itself, and a keyboard must reach it to scroll it. Code within a text
/// written from right to left still runs its own way.
const PRE: &str = "<pre dir=\"auto\" tabindex=\"0\">";

/// An element that is open while its content is written.
enum Open {
    /// From Markdown, so always closed by it; raw tags never reach across.
    Markdown {
        close: &'static str,
        only_words: bool,
        link: bool,
    },
    /// From raw HTML.
    Raw(&'static str),
    /// An image that became a link, and where its words begin.
    Elsewhere {
        address: String,
        words_at: usize,
        linked: bool,
    },
    /// A footnote, written aside until the end, and the page so far.
    Note { label: String, page: String },
}

/// An image whose alternative text is being gathered.
struct Picture {
    src: String,
    title: String,
    alt: String,
    depth: usize,
}

/// Footnotes, in the order in which they are first mentioned.
#[derive(Default)]
struct Notes {
    numbers: HashMap<String, usize>,
    labels: Vec<String>,
    bodies: HashMap<String, String>,
}

impl Notes {
    /// The number of a note and whether this is its first mention.
    fn mention(&mut self, label: &str) -> (usize, bool) {
        if let Some(&number) = self.numbers.get(label) {
            return (number, false);
        }
        self.labels.push(label.to_owned());
        self.numbers.insert(label.to_owned(), self.labels.len());
        (self.labels.len(), true)
    }
}

pub(super) struct Writer<'a> {
    links: &'a Links,
    heading_shift: i8,
    html: String,
    open: Vec<Open>,
    /// How many elements too deep we are; those are left out, their words stay.
    too_deep: usize,
    columns: Vec<Alignment>,
    column: usize,
    in_head: bool,
    picture: Option<Picture>,
    raw_block: Option<String>,
    notes: Notes,
}

impl<'a> Writer<'a> {
    pub(super) fn new(links: &'a Links, heading_shift: i8) -> Self {
        Self {
            links,
            heading_shift,
            html: String::new(),
            open: Vec::new(),
            too_deep: 0,
            columns: Vec::new(),
            column: 0,
            in_head: false,
            picture: None,
            raw_block: None,
            notes: Notes::default(),
        }
    }

    pub(super) fn write(&mut self, event: Event<'_>) {
        if self.picture.is_some() {
            return self.write_alt(&event);
        }
        match event {
            Event::Start(_) if self.too_deep > 0 || self.open.len() >= NESTING_MAX => {
                self.too_deep += 1;
            }
            Event::End(_) if self.too_deep > 0 => self.too_deep -= 1,
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(words) => escape(&words, &mut self.html),
            Event::Code(words) => {
                self.html.push_str("<code>");
                escape(&words, &mut self.html);
                self.html.push_str("</code>");
            }
            Event::Html(raw) | Event::InlineHtml(raw) => match &mut self.raw_block {
                Some(block) => block.push_str(&raw),
                None => self.raw(&raw),
            },
            Event::FootnoteReference(label) => self.note_reference(&label),
            Event::SoftBreak => self.html.push('\n'),
            Event::HardBreak => self.html.push_str("<br>\n"),
            Event::Rule => self.html.push_str("<hr>\n"),
            Event::TaskListMarker(done) => {
                let mark = if done { "☑" } else { "☐" };
                self.html
                    .push_str(&format!("<span class=\"task\">{mark}</span> "));
            }
            // Never sent: mathematics is not enabled.
            Event::InlineMath(words) | Event::DisplayMath(words) => escape(&words, &mut self.html),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        let is_inline = matches!(
            tag,
            Tag::Emphasis
                | Tag::Strong
                | Tag::Strikethrough
                | Tag::Superscript
                | Tag::Subscript
                | Tag::Link { .. }
                | Tag::Image { .. }
        );
        if !is_inline {
            self.close_words();
        }
        match tag {
            Tag::Paragraph => self.push("<p>", "</p>\n", true),
            Tag::Heading { level, .. } => self.heading(level),
            Tag::BlockQuote(_) => self.push("<blockquote>\n", "</blockquote>\n", false),
            Tag::CodeBlock(_) => {
                self.push(&format!("{PRE}<code>"), "</code></pre>\n", true);
            }
            Tag::List(Some(first)) if first != 1 => {
                self.push(&format!("<ol start=\"{first}\">\n"), "</ol>\n", false);
            }
            Tag::List(Some(_)) => self.push("<ol>\n", "</ol>\n", false),
            Tag::List(None) => self.push("<ul>\n", "</ul>\n", false),
            Tag::Item => self.push("<li>", "</li>\n", false),
            Tag::Table(columns) => {
                self.columns = columns;
                let open = "<div class=\"wide\" tabindex=\"0\"><table>\n";
                self.push(open, "</tbody></table></div>\n", false);
            }
            Tag::TableHead => {
                self.in_head = true;
                self.column = 0;
                self.push("<thead><tr>", "</tr></thead>\n<tbody>\n", false);
            }
            Tag::TableRow => {
                self.column = 0;
                self.push("<tr>", "</tr>\n", false);
            }
            Tag::TableCell => self.cell(),
            Tag::FootnoteDefinition(label) => {
                let page = std::mem::take(&mut self.html);
                self.open.push(Open::Note {
                    label: label.into_string(),
                    page,
                });
            }
            Tag::HtmlBlock => self.raw_block = Some(String::new()),
            Tag::Emphasis => self.push("<em>", "</em>", true),
            Tag::Strong => self.push("<strong>", "</strong>", true),
            Tag::Strikethrough => self.push("<s>", "</s>", true),
            Tag::Link {
                link_type,
                dest_url,
                title,
                ..
            } => {
                self.link(link_type, &dest_url, &title);
            }
            Tag::Image {
                dest_url, title, ..
            } => self.image(&dest_url, &title),
            // Never sent: these extensions are not enabled.
            Tag::Superscript
            | Tag::Subscript
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::MetadataBlock(_) => self.push("", "", false),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        if let (TagEnd::HtmlBlock, Some(block)) = (tag, self.raw_block.take()) {
            self.raw(&block);
            // A raw `<div>` may hold Markdown below it; loose words may not.
            return self.close_words();
        }
        while let Some(open) = self.open.pop() {
            match open {
                Open::Raw(name) => {
                    self.close_tag(name);
                    continue;
                }
                Open::Markdown { close, .. } => self.html.push_str(close),
                Open::Elsewhere {
                    address,
                    words_at,
                    linked,
                } => {
                    if self.html.len() == words_at {
                        escape(&address, &mut self.html);
                    }
                    self.html.push_str(if linked { "</a>" } else { "" });
                }
                Open::Note { label, page } => {
                    let body = std::mem::replace(&mut self.html, page);
                    self.notes.bodies.entry(label).or_insert(body);
                }
            }
            break;
        }
        match tag {
            TagEnd::TableHead => self.in_head = false,
            TagEnd::TableCell => self.column += 1,
            _ => {}
        }
    }

    fn push(&mut self, html: &str, close: &'static str, only_words: bool) {
        self.html.push_str(html);
        self.open.push(Open::Markdown {
            close,
            only_words,
            link: false,
        });
    }

    fn heading(&mut self, level: HeadingLevel) {
        match (level as i8).saturating_add(self.heading_shift) {
            ..=2 => self.push("<h2>", "</h2>\n", true),
            3 => self.push("<h3>", "</h3>\n", true),
            4 => self.push("<h4>", "</h4>\n", true),
            5 => self.push("<h5>", "</h5>\n", true),
            6.. => self.push("<h6>", "</h6>\n", true),
        }
    }

    fn cell(&mut self) {
        let class = match self.columns.get(self.column) {
            Some(Alignment::Left) => " class=\"left\"",
            Some(Alignment::Center) => " class=\"center\"",
            Some(Alignment::Right) => " class=\"right\"",
            Some(Alignment::None) | None => "",
        };
        if self.in_head {
            self.push(&format!("<th scope=\"col\"{class}>"), "</th>", true);
        } else {
            self.push(&format!("<td{class}>"), "</td>", true);
        }
    }

    fn link(&mut self, link_type: LinkType, href: &str, title: &str) {
        let address = match link_type {
            LinkType::Email => Cow::Owned(format!("mailto:{href}")),
            _ => Cow::Borrowed(href),
        };
        let (open, close) = match self.anchor(&address) {
            Some(open) => (open, "</a>"),
            None => (String::new(), ""),
        };
        self.html.push_str(&open);
        self.write_title_into_last_tag(&open, title);
        self.open.push(Open::Markdown {
            close,
            only_words: true,
            link: !close.is_empty(),
        });
    }

    fn image(&mut self, src: &str, title: &str) {
        if is_own_media(src) {
            let src = format!("{}{src}", self.links.media_prefix());
            let title = title.to_owned();
            self.picture = Some(Picture {
                src,
                title,
                alt: String::new(),
                depth: 0,
            });
            return;
        }
        let anchor = self.anchor(src);
        let linked = anchor.is_some();
        self.html.push_str(&anchor.unwrap_or_default());
        let address = if linked {
            src.to_owned()
        } else {
            String::new()
        };
        self.open.push(Open::Elsewhere {
            address,
            words_at: self.html.len(),
            linked,
        });
    }

    /// The opening tag of a link; none within another link, or to where a page must not lead.
    fn anchor(&self, href: &str) -> Option<String> {
        let within_link = self.open.iter().any(|open| {
            matches!(
                open,
                Open::Markdown { link: true, .. }
                    | Open::Raw("a")
                    | Open::Elsewhere { linked: true, .. }
            )
        });
        if within_link {
            return None;
        }
        let mut tag = String::from("<a href=\"");
        escape(&self.links.resolve(href)?, &mut tag);
        tag.push('"');
        if self.links.leaves(href) {
            tag.push_str(&format!(" rel=\"{LEAVING}\""));
        }
        tag.push('>');
        Some(tag)
    }

    /// Adds a `title` to the tag that was just written, if there is either.
    fn write_title_into_last_tag(&mut self, tag: &str, title: &str) {
        if tag.is_empty() || title.is_empty() {
            return;
        }
        self.html.pop();
        self.html.push_str(" title=\"");
        escape(title, &mut self.html);
        self.html.push_str("\">");
    }

    fn write_alt(&mut self, event: &Event<'_>) {
        let Some(picture) = &mut self.picture else {
            return;
        };
        match event {
            Event::Start(_) => picture.depth += 1,
            Event::End(_) if picture.depth > 0 => picture.depth -= 1,
            Event::End(_) => self.write_picture(),
            Event::Text(words) | Event::Code(words) => picture.alt.push_str(words),
            Event::SoftBreak | Event::HardBreak => picture.alt.push(' '),
            _ => {}
        }
    }

    fn write_picture(&mut self) {
        let Some(picture) = self.picture.take() else {
            return;
        };
        self.html.push_str("<img src=\"");
        escape(&picture.src, &mut self.html);
        self.html.push_str("\" alt=\"");
        escape(&picture.alt, &mut self.html);
        self.html.push_str("\" loading=\"lazy\">");
        self.write_title_into_last_tag("<img>", &picture.title);
    }

    fn note_reference(&mut self, label: &CowStr<'_>) {
        let (number, first) = self.notes.mention(label);
        let id = if first {
            format!(" id=\"mention-{number}\"")
        } else {
            String::new()
        };
        self.html.push_str(&format!("<sup{id}>"));
        match self.anchor(&format!("#note-{number}")) {
            Some(anchor) => self.html.push_str(&format!("{anchor}{number}</a>")),
            None => self.html.push_str(&number.to_string()),
        }
        self.html.push_str("</sup>");
    }

    /// Closes what is open and puts the footnotes below the text.
    pub(super) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.end(TagEnd::Paragraph);
        }
        // A note that nobody mentions is still the author's word: it comes last.
        let mut unmentioned: Vec<String> = self.notes.bodies.keys().cloned().collect();
        unmentioned.retain(|label| !self.notes.numbers.contains_key(label));
        unmentioned.sort();
        let mentioned = self.notes.labels.len();
        let labels: Vec<String> = self.notes.labels.drain(..).chain(unmentioned).collect();
        if labels.is_empty() {
            return self.html;
        }
        self.html.push_str("<section class=\"notes\"><ol>\n");
        for (label, number) in labels.iter().zip(1..) {
            let body = self.notes.bodies.remove(label).unwrap_or_default();
            let body = body.trim_end();
            let (body, end) = match body.strip_suffix("</p>") {
                Some(body) => (body, "</p>"),
                None => (body, ""),
            };
            self.html
                .push_str(&format!("<li id=\"note-{number}\">{body}"));
            if number <= mentioned
                && let Some(anchor) = self.anchor(&format!("#mention-{number}"))
            {
                self.html
                    .push_str(&format!(" {anchor}↩\u{fe0e}{number}</a>"));
            }
            self.html.push_str(&format!("{end}</li>\n"));
        }
        self.html.push_str("</ol></section>\n");
        self.html
    }

    fn close_tag(&mut self, name: &str) {
        self.html.push_str(&format!("</{name}>"));
    }

    /// Closes raw tags that cannot hold a block: words, and the paragraph around them.
    fn close_words(&mut self) {
        while let Some(Open::Raw(name)) = self.open.last() {
            if *name != "p" && !INLINE_TAGS.contains(name) {
                return;
            }
            let name = *name;
            self.open.pop();
            self.close_tag(name);
        }
    }

    /// Copies raw HTML: listed tags stay, the content of silent ones goes, and all else is words.
    fn raw(&mut self, mut rest: &str) {
        while let Some(at) = rest.find('<') {
            self.raw_words(&rest[..at]);
            rest = &rest[at..];
            if let Some(skipped) = skip_comment(rest) {
                rest = skipped;
                continue;
            }
            let Some(tag) = RawTag::parse(rest) else {
                self.html.push_str("&lt;");
                rest = &rest[1..];
                continue;
            };
            if tag.unfinished {
                break;
            }
            rest = &rest[tag.length..];
            if !tag.closes && SILENT_TAGS.iter().any(|silent| tag.is(silent)) {
                rest = skip_to_end_of(tag.name, rest);
            } else {
                self.raw_tag(&tag);
            }
        }
        self.raw_words(rest);
    }

    /// Words of raw HTML may hold entities, so `&` stays for the last step to read.
    fn raw_words(&mut self, words: &str) {
        escape_except_ampersand(words, &mut self.html);
    }

    fn raw_tag(&mut self, tag: &RawTag<'_>) {
        let listed = |names: &[&'static str]| names.iter().copied().find(|name| tag.is(name));
        if self.too_deep > 0 {
            return;
        }
        if let Some(name) = listed(&VOID_TAGS) {
            self.raw_void(name, tag);
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
        if BLOCK_TAGS.contains(&name) {
            self.close_words();
            self.close_sibling(name);
            let in_words = !matches!(
                self.open.last(),
                None | Some(
                    Open::Raw(_)
                        | Open::Note { .. }
                        | Open::Markdown {
                            only_words: false,
                            ..
                        }
                )
            );
            if in_words {
                return;
            }
        }
        if self.open.len() >= NESTING_MAX {
            return;
        }
        if name == "a" {
            let anchor = tag.attribute("href").and_then(|href| self.anchor(href));
            let Some(anchor) = anchor else { return };
            // The address came with its entities, and `anchor` has escaped them once more.
            self.html.push_str(&anchor.replace("&amp;", "&"));
        } else if name == "pre" {
            self.html.push_str(PRE);
        } else {
            let attributes = tag.kept_attributes();
            self.html.push_str(&format!("<{name}{attributes}>"));
        }
        self.open.push(Open::Raw(name));
    }

    fn raw_void(&mut self, name: &str, tag: &RawTag<'_>) {
        if name != "img" {
            self.html.push_str(&format!("<{name}>"));
            return;
        }
        let alt = tag.attribute("alt").unwrap_or_default();
        let Some(src) = tag.attribute("src") else {
            return self.raw_words(alt);
        };
        if is_own_media(src) {
            let src = format!("{}{src}", self.links.media_prefix());
            let rest = tag.kept_attributes();
            self.html.push_str(&format!("<img src=\"{src}\" alt=\""));
            self.raw_words(alt);
            self.html.push_str(&format!("\" loading=\"lazy\"{rest}>"));
            return;
        }
        let Some(anchor) = self.anchor(src) else {
            return self.raw_words(alt);
        };
        self.html.push_str(&anchor.replace("&amp;", "&"));
        self.raw_words(if alt.is_empty() { src } else { alt });
        self.html.push_str("</a>");
    }
}
