//! From Markdown's events to HTML in which every element closes in order.

mod media;
pub(super) mod raw_tags;

use std::borrow::Cow;
use std::collections::BTreeMap;

use pulldown_cmark::{
    Alignment, BlockQuoteKind, CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Tag, TagEnd,
};
use spokes_log::name::Hash;

use crate::render::code::{self, COLORED_WORDS_MAX};
use crate::render::letters::Letters;
use crate::render::raw::{INLINE_TAGS, WORD_TAGS, escape, escape_except_ampersand, escape_words};
use crate::render::sheet::{Anchors, Finished, ID_LETTERS_MAX, Patch, Piece, Sheet};
use crate::render::{LEAVING, Links, Media};

/// Deeper than any text that people read; flat enough that mending and drawing stay cheap.
const NESTING_MAX: usize = 48;

/// A wide block scrolls by itself, and a keyboard must reach it to scroll it. Code within a text
/// written from right to left still runs its own way.
pub(super) const PRE: &str = "<pre dir=\"auto\" tabindex=\"0\">";

/// Around each table, Markdown's and raw ones, so that it scrolls and the page does not.
const WIDE: &str = "<div class=\"wide\" tabindex=\"0\">";

/// Listings that stand alone need no last step, which costs more than all else. What lies between two
/// of them takes one by itself, which many thousands of them would make dear.
pub(super) const PIECES_MAX: usize = 400;

/// A page is made of so many bytes for each one that its author wrote, and of so many more. Nothing that
/// people write comes near it: the text behind stands as it was written.
pub(in crate::render) const GROWTH_MAX: usize = 8;
pub(in crate::render) const GROWTH_BYTES_MIN: usize = 64 * 1024;

/// Mentions of one note that lead to it. Each costs ten times what it took to write.
pub(in crate::render) const LEADING_MENTIONS_MAX: usize = 100;

/// What the place of a note that is mentioned takes beside its words.
const NOTE_BYTES: usize = 128;

/// Washed at one time, since a tree takes fifty times as much memory as what it is made of.
pub(in crate::render) const WASHED_BYTES: usize = 64 * 1024;

/// An element that is open while its content is written.
enum Open {
    /// From Markdown, so always closed by it; raw tags never reach across.
    Markdown {
        close: &'static str,
        only_words: bool,
        link: bool,
        /// Of a block: the patch that says which way it runs, and the letters before it.
        way: Option<(usize, Letters)>,
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
    Note { label: String, page: Sheet },
}

/// An image whose alternative text is being gathered.
struct Picture {
    hash: Hash,
    title: String,
    alt: String,
    depth: usize,
}

/// Code whose lines are being gathered.
struct Listing {
    info: String,
    code: String,
}

/// A heading that is being written: where its id goes, where its words begin, and what they are.
struct Heading {
    patch: usize,
    from: usize,
    /// How many elements are open in its words, at least.
    depth: usize,
    words: String,
}

/// Footnotes, in the order in which they are first mentioned.
#[derive(Default)]
struct Notes {
    numbers: BTreeMap<String, usize>,
    labels: Vec<String>,
    /// How often each was mentioned.
    mentions: Vec<usize>,
    bodies: BTreeMap<String, Sheet>,
}

impl Notes {
    /// The number of a note, and how often it was mentioned before.
    fn mention(&mut self, label: &str) -> (usize, usize) {
        let number = match self.numbers.get(label) {
            Some(&number) => number,
            None => {
                self.labels.push(label.to_owned());
                self.mentions.push(0);
                self.numbers.insert(label.to_owned(), self.labels.len());
                self.labels.len()
            }
        };
        let mentions = &mut self.mentions[number - 1];
        *mentions += 1;
        (number, *mentions - 1)
    }
}

pub(super) struct Writer<'a> {
    links: &'a Links,
    media: &'a Media<'a>,
    out: Sheet,
    pieces: Vec<Piece>,
    anchors: Anchors,
    open: Vec<Open>,
    /// How many elements too deep we are; those are left out, their words stay.
    too_deep: usize,
    columns: Vec<Alignment>,
    column: usize,
    in_head: bool,
    picture: Option<Picture>,
    listing: Option<Listing>,
    heading: Option<Heading>,
    raw_block: Option<String>,
    notes: Notes,
    /// All letters so far, but those of code.
    letters: Letters,
    /// How many words of code may still be colored.
    colors_left: usize,
    has_picture: bool,
    /// A raw player without a source is open.
    wants_source: bool,
    /// How much was written where raw tables have no place for it.
    misplaced: usize,
    /// Bytes of the page that do not stand in `out`.
    aside: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(links: &'a Links, media: &'a Media<'a>) -> Self {
        Self {
            links,
            media,
            out: Sheet::default(),
            pieces: Vec::new(),
            anchors: Anchors::default(),
            open: Vec::new(),
            too_deep: 0,
            columns: Vec::new(),
            column: 0,
            in_head: false,
            picture: None,
            listing: None,
            heading: None,
            raw_block: None,
            notes: Notes::default(),
            letters: Letters::default(),
            colors_left: COLORED_WORDS_MAX,
            has_picture: false,
            wants_source: false,
            misplaced: 0,
            aside: 0,
        }
    }

    pub(super) fn write(&mut self, event: Event<'_>) {
        if self.picture.is_some() {
            return self.write_alt(&event);
        }
        if let (Some(listing), Event::Text(lines)) = (&mut self.listing, &event) {
            return listing.code.push_str(lines);
        }
        if let (Some(heading), Event::Text(words) | Event::Code(words)) =
            (&mut self.heading, &event)
        {
            heading.words.push_str(words);
        }
        if !matches!(
            event,
            Event::End(_)
                | Event::Html(_)
                | Event::InlineHtml(_)
                | Event::SoftBreak
                | Event::Start(Tag::HtmlBlock | Tag::FootnoteDefinition(_))
        ) {
            self.place();
        }
        match event {
            Event::Start(_) if self.too_deep > 0 || self.open.len() >= NESTING_MAX => {
                self.too_deep += 1;
            }
            Event::End(_) if self.too_deep > 0 => self.too_deep -= 1,
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(words) => {
                self.letters.count(&words);
                escape_words(&words, &mut self.out.html);
            }
            Event::Code(words) => {
                self.out.html.push_str("<code>");
                escape_words(&words, &mut self.out.html);
                self.out.html.push_str("</code>");
            }
            Event::Html(raw) | Event::InlineHtml(raw) => match &mut self.raw_block {
                Some(block) => block.push_str(&raw),
                None => self.raw(&raw),
            },
            Event::FootnoteReference(label) => self.note_reference(&label),
            Event::SoftBreak => self.out.html.push('\n'),
            Event::HardBreak => self.out.html.push_str("<br>\n"),
            Event::Rule => self.out.html.push_str("<hr>\n"),
            Event::TaskListMarker(done) => {
                let mark = if done { "☑" } else { "☐" };
                self.out
                    .html
                    .push_str(&format!("<span class=\"task\">{mark}</span> "));
            }
            // Never sent: mathematics is not enabled.
            Event::InlineMath(words) | Event::DisplayMath(words) => {
                escape(&words, &mut self.out.html)
            }
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
            if self.among_raw_words(&tag) {
                return self.push("", "\n", true);
            }
        }
        match tag {
            Tag::Paragraph => self.block("<p", ">", "</p>\n", true),
            Tag::Heading { level, .. } => self.heading(level),
            Tag::BlockQuote(kind) => self.quote(kind),
            Tag::CodeBlock(kind) => self.listing(kind),
            Tag::List(Some(first)) if first != 1 => {
                self.block(&format!("<ol start=\"{first}\""), ">\n", "</ol>\n", false);
            }
            Tag::List(Some(_)) => self.block("<ol", ">\n", "</ol>\n", false),
            Tag::List(None) => self.block("<ul", ">\n", "</ul>\n", false),
            Tag::Item => self.block("<li", ">", "</li>\n", false),
            Tag::Table(columns) => {
                self.columns = columns;
                let (box_opens, close) = (&WIDE[..WIDE.len() - 1], "</tbody></table></div>\n");
                self.block(box_opens, "><table>\n", close, false);
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
            Tag::FootnoteDefinition(label) => self.note(label.into_string()),
            Tag::HtmlBlock => self.raw_block = Some(String::new()),
            Tag::Emphasis => self.push("<em>", "</em>", true),
            Tag::Strong => self.push("<strong>", "</strong>", true),
            Tag::Strikethrough => self.push("<s>", "</s>", true),
            Tag::Link {
                link_type,
                dest_url,
                title,
                ..
            } => self.link(link_type, &dest_url, &title),
            Tag::DefinitionList => self.block("<dl", ">\n", "</dl>\n", false),
            Tag::DefinitionListTitle => self.block("<dt", ">", "</dt>\n", true),
            Tag::DefinitionListDefinition => self.block("<dd", ">", "</dd>\n", false),
            Tag::Image {
                dest_url, title, ..
            } => self.image(&dest_url, &title),
            // Never sent: these extensions are not enabled.
            Tag::Superscript | Tag::Subscript | Tag::MetadataBlock(_) => self.push("", "", false),
        }
    }

    /// Whether a paragraph stands in a raw tag that holds words alone; all other blocks end that tag.
    fn among_raw_words(&mut self, tag: &Tag<'_>) -> bool {
        let Some(Open::Raw(name)) = self.open.last() else {
            return false;
        };
        let name = *name;
        let fits = name == "summary" && matches!(tag, Tag::Heading { .. });
        if !WORD_TAGS.contains(&name) || fits || *tag == Tag::Paragraph {
            return WORD_TAGS.contains(&name) && !fits;
        }
        self.open.pop();
        self.close_tag(name);
        false
    }

    fn end(&mut self, tag: TagEnd) {
        if let (TagEnd::HtmlBlock, Some(block)) = (tag, self.raw_block.take()) {
            self.raw(&block);
            // A raw `<div>` may hold Markdown below it; loose words may not.
            return self.close_words();
        }
        match tag {
            TagEnd::CodeBlock => self.end_listing(),
            TagEnd::Heading(_) => self.end_heading(),
            _ => {}
        }
        while let Some(open) = self.open.pop() {
            match open {
                Open::Raw(name) => {
                    self.close_tag(name);
                    continue;
                }
                Open::Markdown { close, way, .. } => {
                    self.out.html.push_str(close);
                    if let Some((patch, before)) = way {
                        let letters = self.letters.since(before);
                        self.out.fill_in_letters(patch, letters);
                    }
                }
                Open::Elsewhere {
                    address,
                    words_at,
                    linked,
                } => {
                    if self.out.html.len() == words_at {
                        escape(&address, &mut self.out.html);
                    }
                    self.out.html.push_str(if linked { "</a>" } else { "" });
                }
                Open::Note { label, page } => {
                    let body = std::mem::replace(&mut self.out, page);
                    self.aside += body.html.len();
                    self.aside -= self.out.html.len();
                    self.notes.bodies.entry(label).or_insert(body);
                }
            }
            break;
        }
        if self.open.is_empty() && self.out.html.len() >= WASHED_BYTES {
            self.end_piece();
        }
        match tag {
            TagEnd::TableHead => self.in_head = false,
            TagEnd::TableCell => self.column += 1,
            _ => {}
        }
    }

    fn push(&mut self, html: &str, close: &'static str, only_words: bool) {
        self.out.html.push_str(html);
        self.open.push(Open::Markdown {
            close,
            only_words,
            link: false,
            way: None,
        });
    }

    /// A block, whose tag says which way it runs where that is not the way of what is around it.
    fn block(&mut self, tag: &str, rest: &str, close: &'static str, only_words: bool) {
        self.out.html.push_str(tag);
        let within_note = self.open.iter().rev();
        let mut around = within_note
            .take_while(|open| !matches!(open, Open::Note { .. }))
            .filter_map(|open| match open {
                Open::Markdown { way, .. } => *way,
                _ => None,
            });
        let around = around.next().map(|(patch, _)| patch);
        let patch = self.out.patch(Patch::Way(Letters::default(), around));
        self.out.html.push_str(rest);
        self.open.push(Open::Markdown {
            close,
            only_words,
            link: false,
            way: Some((patch, self.letters)),
        });
    }

    /// A note is written aside.
    fn note(&mut self, label: String) {
        let page = std::mem::take(&mut self.out);
        self.aside += page.html.len();
        self.open.push(Open::Note { label, page });
    }

    /// A heading's level is known when all are: the highest becomes `<h2>`.
    fn heading(&mut self, level: HeadingLevel) {
        self.out.html.push_str("<h");
        self.out.patch(Patch::Level(level as u8));
        let patch = self.out.patch(Patch::Id(String::new()));
        self.block("", ">", ">\n", true);
        self.heading = Some(Heading {
            patch,
            from: self.out.html.len(),
            depth: self.open.len(),
            words: String::new(),
        });
        self.anchors.saw_heading(level as u8);
    }

    fn end_heading(&mut self) {
        // Its raw tags end before it does.
        while let Some(Open::Raw(name)) = self.open.last() {
            let name = *name;
            self.open.pop();
            self.close_tag(name);
        }
        let Some(Heading {
            patch, from, words, ..
        }) = self.heading.take()
        else {
            return;
        };
        let id = self.anchors.of_heading(&mut self.out.html, from, &words);
        self.aside += id.len();
        let level = self.out.fill_in_id(patch, id);
        self.out.html.push_str("</h");
        self.out.patch(Patch::Level(level));
    }

    /// A quotation, or a note as GitHub writes it: with the word that its author wrote.
    fn quote(&mut self, kind: Option<BlockQuoteKind>) {
        let word = match kind {
            None => return self.block("<blockquote", ">\n", "</blockquote>\n", false),
            Some(BlockQuoteKind::Note) => "Note",
            Some(BlockQuoteKind::Tip) => "Tip",
            Some(BlockQuoteKind::Important) => "Important",
            Some(BlockQuoteKind::Warning) => "Warning",
            Some(BlockQuoteKind::Caution) => "Caution",
        };
        let open = format!(">\n<p lang=\"en\"><strong>{word}</strong></p>\n");
        self.block("<blockquote", &open, "</blockquote>\n", false);
    }

    fn listing(&mut self, kind: CodeBlockKind<'_>) {
        let info = match kind {
            CodeBlockKind::Fenced(info) => info.into_string(),
            CodeBlockKind::Indented => String::new(),
        };
        // One that stands alone becomes a piece of its own: it is nothing but escaped words.
        if self.open.is_empty() && self.pieces.len() < PIECES_MAX {
            self.end_piece();
        }
        self.push("", "", true);
        let code = String::new();
        self.listing = Some(Listing { info, code });
    }

    fn end_listing(&mut self) {
        let Some(Listing { info, code }) = self.listing.take() else {
            return;
        };
        let html = &mut self.out.html;
        html.push_str(PRE);
        html.push_str("<code>");
        code::write(&code, &info, &mut self.colors_left, html);
        html.push_str("</code></pre>\n");
        if self.open.len() == 1 && self.pieces.len() < PIECES_MAX {
            let alone = std::mem::take(html);
            self.aside += alone.len();
            self.pieces.push(Piece::Code(alone));
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
            self.block(&format!("<th scope=\"col\"{class}"), ">", "</th>", true);
        } else {
            self.block(&format!("<td{class}"), ">", "</td>", true);
        }
    }

    fn link(&mut self, link_type: LinkType, href: &str, title: &str) {
        let address = match link_type {
            LinkType::Email => Cow::Owned(format!("mailto:{href}")),
            _ => Cow::Borrowed(href),
        };
        let link = self.anchor(&address, title);
        // An address runs its own way, whatever the words around it do.
        let close = match (link, link_type) {
            (true, LinkType::Autolink) => {
                self.out.html.push_str("<bdi>");
                "</bdi></a>"
            }
            (true, _) => "</a>",
            (false, _) => "",
        };
        self.open.push(Open::Markdown {
            close,
            only_words: true,
            link,
            way: None,
        });
    }

    fn image(&mut self, src: &str, title: &str) {
        if let Some(hash) = self.links.own_medium(src) {
            self.picture = Some(Picture {
                hash,
                title: title.to_owned(),
                alt: String::new(),
                depth: 0,
            });
            return;
        }
        let linked = self.anchor(src, title);
        let address = if linked { src } else { "" }.to_owned();
        let words_at = self.out.html.len();
        self.open.push(Open::Elsewhere {
            address,
            words_at,
            linked,
        });
    }

    fn within_link(&self) -> bool {
        self.open.iter().any(|open| {
            matches!(
                open,
                Open::Markdown { link: true, .. }
                    | Open::Raw("a")
                    | Open::Elsewhere { linked: true, .. }
            )
        })
    }

    /// Opens a link, unless within another one or to where a page must not lead; whether it did.
    fn anchor(&mut self, href: &str, title: &str) -> bool {
        self.anchor_written_by(escape, &mended(href), title)
    }

    fn anchor_written_by(
        &mut self,
        escape: fn(&str, &mut String),
        href: &str,
        title: &str,
    ) -> bool {
        if self.within_link() {
            return false;
        }
        let Some((address, leaves)) = self.links.resolve(href) else {
            return false;
        };
        self.out.html.push_str("<a href=\"");
        escape(&address, &mut self.out.html);
        // Where it leads on this page is known at the end, when all headings have been read.
        if let Some(id) = href.strip_prefix('#').filter(|id| !id.is_empty()) {
            let mut written = String::new();
            escape(id, &mut written);
            self.out.patch(Patch::Fragment(written));
            self.aside += ID_LETTERS_MAX;
        }
        self.out.html.push('"');
        if leaves {
            self.out.html.push_str(" rel=\"");
            self.out.html.push_str(LEAVING);
            self.out.html.push('"');
        }
        self.title(escape, title);
        self.out.html.push('>');
        true
    }

    /// A `title`, if there is one, within a tag that is open.
    fn title(&mut self, escape: fn(&str, &mut String), title: &str) {
        if !title.is_empty() {
            self.out.html.push_str(" title=\"");
            escape(title, &mut self.out.html);
            self.out.html.push('"');
        }
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
        if let Some(picture) = self.picture.take() {
            self.medium(escape, picture.hash, &picture.alt, &picture.title);
        }
    }

    fn note_reference(&mut self, label: &CowStr<'_>) {
        let (number, before) = self.notes.mention(label);
        self.out.html.push_str("<sup");
        if before == 0 {
            self.aside += NOTE_BYTES;
            self.own_id(&format!("mention-{number}"));
        }
        self.out.html.push('>');
        let leads = before < LEADING_MENTIONS_MAX;
        let number = number.to_string();
        let link = leads && self.anchor_written_by(escape, &["#note-", &number].concat(), "");
        self.out.html.push_str(&number);
        self.out
            .html
            .push_str(if link { "</a></sup>" } else { "</sup>" });
    }

    /// An id within a tag that is open. A page has each once: a later one is left out.
    fn own_id(&mut self, id: &str) {
        if self.anchors.take(id) {
            self.out.html.push_str(" id=\"");
            escape_except_ampersand(id, &mut self.out.html);
            self.out.html.push('"');
        }
    }

    /// What was written until now goes to the last step by itself.
    fn end_piece(&mut self) {
        let before = std::mem::take(&mut self.out);
        self.aside += before.html.len();
        self.pieces.push(Piece::Words(before));
    }

    /// How long the page is until now.
    pub(super) fn written(&self) -> usize {
        self.aside + self.out.html.len()
    }

    /// Ends the page with the rest of the text as it was written.
    pub(super) fn write_rest(&mut self, rest: &str) {
        (self.picture, self.listing, self.raw_block) = (None, None, None);
        self.close_all();
        self.end_piece();
        let mut html = format!("{PRE}<code>");
        escape_words(rest, &mut html);
        html.push_str("</code></pre>\n");
        self.pieces.push(Piece::Code(html));
    }

    fn close_all(&mut self) {
        while !self.open.is_empty() {
            let in_heading = self.heading.as_ref();
            if in_heading.is_some_and(|heading| self.open.len() <= heading.depth) {
                self.end_heading();
            }
            self.end(TagEnd::Paragraph);
        }
    }

    /// Closes what is open and puts the footnotes below the text.
    pub(super) fn finish(mut self) -> Vec<Finished> {
        self.close_all();
        self.write_notes();
        self.pieces.push(Piece::Words(self.out));
        let (pieces, way) = (self.pieces.into_iter(), self.letters.direction());
        pieces
            .map(|piece| piece.finish(&self.anchors, way))
            .collect()
    }

    fn write_notes(&mut self) {
        // A note that nobody mentions is still the author's word: it comes last.
        let is_unmentioned = |label: &&String| !self.notes.numbers.contains_key(*label);
        let unmentioned = self.notes.bodies.keys().filter(is_unmentioned);
        let unmentioned: Vec<String> = unmentioned.cloned().collect();
        let mentioned = self.notes.labels.len();
        let labels: Vec<String> = self.notes.labels.drain(..).chain(unmentioned).collect();
        if labels.is_empty() {
            return;
        }
        self.out.html.push_str("<section class=\"notes\"><ol>\n");
        for (label, number) in labels.iter().zip(1..) {
            let mut body = self.notes.bodies.remove(label).unwrap_or_default();
            body.html.truncate(body.html.trim_end().len());
            let in_paragraph = body.html.ends_with("</p>");
            if in_paragraph {
                body.html.truncate(body.html.len() - "</p>".len());
            }
            self.out.html.push_str("<li");
            self.own_id(&format!("note-{number}"));
            self.out.html.push('>');
            self.out.append(body);
            if number <= mentioned {
                self.out.html.push(' ');
                if self.anchor(&format!("#mention-{number}"), "") {
                    self.out.html.push_str("↩\u{fe0e}</a>");
                }
            }
            self.out.html.push_str(if in_paragraph {
                "</p></li>\n"
            } else {
                "</li>\n"
            });
        }
        self.out.html.push_str("</ol></section>\n");
    }

    fn close_tag(&mut self, name: &str) {
        self.out.html.push_str(&format!("</{name}>"));
        if name == "table" {
            self.out.html.push_str("</div>");
        }
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
}

/// An address whose author left in it what none may hold: browsers bear it, other programs do not.
fn mended(href: &str) -> Cow<'_, str> {
    // All at once, as processors do: nearly no address holds any of these.
    let may_be_wrong = href.bytes().fold(false, |found, byte| {
        let rare = matches!(byte, b'[' | b']' | b'{' | b'}' | b'|' | b'^' | b'`');
        found | rare | matches!(byte, b'%' | b'#' | b' ')
    });
    if !may_be_wrong {
        return Cow::Borrowed(href);
    }
    let behind_host = match href.find("//") {
        Some(at) => href[at + 2..]
            .find('/')
            .map_or(href.len(), |slash| at + 2 + slash),
        None => 0,
    };
    let bytes = href.as_bytes();
    let fragment = href.find('#').unwrap_or(href.len());
    let is_wrong = |at: usize| match bytes[at] {
        b'%' => !(at + 1..at + 3).all(|at| bytes.get(at).is_some_and(u8::is_ascii_hexdigit)),
        b'#' => at > fragment,
        b'[' | b']' | b'{' | b'}' | b'|' | b'^' | b'`' | b' ' => at > behind_host,
        _ => false,
    };
    if !(0..bytes.len()).any(is_wrong) {
        return Cow::Borrowed(href);
    }
    let mut mended = String::with_capacity(href.len() + 8);
    for (at, letter) in href.char_indices() {
        if is_wrong(at) {
            mended.push_str(&format!("%{:02X}", bytes[at]));
        } else {
            mended.push(letter);
        }
    }
    Cow::Owned(mended)
}
