//! From an author's Markdown to HTML that is safe to put on a page.
//!
//! Three steps, each of which would do on a bad day of the others: Markdown is parsed into events;
//! this module writes them as HTML, keeping of raw HTML only listed tags, always closed in order;
//! and `ammonia` parses the result like a browser and drops whatever its own allow-list lacks.
//! The second step is also what keeps a hostile body cheap: browsers' rules for mending broken
//! markup can cost the square of its length, and well-nested markup never wakes them.

mod code;
mod letters;
mod portions;
mod raw;
mod sheet;
pub mod size;
mod writer;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::Url;
use pulldown_cmark::{Event, Options, Parser, Tag};
use spokes_log::name::Hash;

use crate::render::raw::{BLOCK_TAGS, INLINE_TAGS, VOID_TAGS};
use crate::render::sheet::Finished;
use crate::render::size::Size;
use crate::render::writer::Writer;

/// The version of the function from a body to the inner HTML of its `<article>`.
///
/// With [`Links::here`] the HTML depends on nothing but the body and this number, so that spokes
/// can compare what they serve. Raise it with every change of output.
pub const RENDERER: u32 = 4;

/// Put before every `id` of a body, so that a stranger's `id` never meets one of the page's own.
const ID_PREFIX: &str = "body-";

/// What a link says that leaves the blog: no credit, no handle on our window, no referrer.
const LEAVING: &str = "nofollow noopener noreferrer ugc";

/// Where the HTML will be read, which decides how relative links are written.
#[derive(Clone, Debug)]
pub struct Links {
    base: Url,
    absolute: bool,
}

impl Links {
    /// On the post's own page: relative links stay as the author wrote them.
    #[must_use]
    pub fn here() -> Self {
        let base = Url::parse("https://here.invalid/").expect("a constant address parses");
        Self {
            base,
            absolute: false,
        }
    }

    /// Far from the page, as in a feed: relative links become absolute from the post's address.
    ///
    /// An address that is not an absolute URL leaves the links as they are.
    #[must_use]
    pub fn seen_from(post_address: &str) -> Self {
        match Url::parse(post_address) {
            Ok(base) if base.has_host() => Self {
                base,
                absolute: true,
            },
            _ => Self::here(),
        }
    }

    /// The address to write and whether it leads to another host; none where a page must not lead.
    ///
    /// A place on the page itself is found by its id, which `sheet` knows: what stands before it.
    fn resolve<'h>(&'h self, href: &'h str) -> Option<(Cow<'h, str>, bool)> {
        if href.len() > 1 && href.starts_with('#') {
            if !self.absolute {
                return Some((Cow::Borrowed("#"), false));
            }
            let here = self.base.as_str().split('#').next().unwrap_or_default();
            return Some((Cow::Owned(format!("{here}#")), false));
        }
        if is_plain(href) {
            return Some((Cow::Borrowed(href), true));
        }
        match Url::parse(href) {
            Ok(url) if matches!(url.scheme(), "http" | "https" | "mailto") => {
                Some((Cow::Borrowed(href), url.scheme() != "mailto"))
            }
            Ok(_) => None,
            Err(ammonia::url::ParseError::RelativeUrlWithoutBase) => {
                let joined = self.base.join(href).ok()?;
                // Raw HTML can spell "://" in entities; before the query no honest relative link has
                // one. `//host` and `/\host` lead to another host, too; browsers read them so.
                let path = href.split(['?', '#']).next().unwrap_or_default();
                let leaves = path.contains('&') || joined.host() != self.base.host();
                let has_body = !leaves && shows_a_body(joined.path());
                let address = if self.absolute {
                    Cow::Owned(joined.into())
                } else {
                    Cow::Borrowed(href)
                };
                let address = if has_body {
                    into_body(address)
                } else {
                    address
                };
                Some((address, leaves))
            }
            Err(_) => None,
        }
    }

    /// The blob that an address names, if it is one of this blog.
    fn own_medium(&self, src: &str) -> Option<Hash> {
        src.strip_prefix("/media/").and_then(Hash::parse_path)
    }

    /// What stands before `/media/…` in the HTML: nothing, or the blog's origin.
    fn media_prefix(&self) -> String {
        if self.absolute {
            self.base.origin().ascii_serialization()
        } else {
            String::new()
        }
    }
}

/// Whether an address is so plain that every parser reads it the same: `https://`, a name, a path. Most
/// are, and reading one as a whole costs more than writing its link.
fn is_plain(href: &str) -> bool {
    let scheme = ["https://", "http://"];
    let Some(rest) = scheme.iter().find_map(|scheme| href.strip_prefix(scheme)) else {
        return false;
    };
    let host = rest.split('/').next().unwrap_or_default();
    let of_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    // Numbers may stand for an address, `xn--` for other letters: both can be wrong.
    let last = host.rsplit('.').next().unwrap_or_default();
    host.bytes().all(of_name)
        && last.starts_with(|first: char| first.is_ascii_lowercase())
        && !host.contains("--")
}

/// Whether a path of a blog may be a post's: the other pages have ids of their own.
fn shows_a_body(path: &str) -> bool {
    const OTHERS: [&str; 8] = [
        "", "_", "about", "archive", "media", "search", "status", "tags",
    ];
    let first = path.trim_start_matches('/').split('/').next();
    !OTHERS.contains(&first.unwrap_or_default())
}

/// A link to a place in another post: the id there has our prefix, which the author need not know.
///
/// Whoever copied it from a browser wrote the prefix. In raw HTML `&#` begins no fragment.
fn into_body(address: Cow<'_, str>) -> Cow<'_, str> {
    match address.split_once('#') {
        Some((page, id))
            if !id.is_empty() && !id.starts_with(ID_PREFIX) && !page.ends_with('&') =>
        {
            Cow::Owned(format!("{page}#{ID_PREFIX}{id}"))
        }
        _ => address,
    }
}

/// Which way a language is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From left to right.
    Ltr,
    /// From right to left.
    Rtl,
}

impl Direction {
    /// The value of HTML's `dir` attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ltr => "ltr",
            Self::Rtl => "rtl",
        }
    }
}

/// The direction in which a BCP 47 language tag is written: by its script, else by its language.
#[must_use]
pub fn direction(language: &str) -> Direction {
    const SCRIPTS: [&str; 11] = [
        "adlm", "arab", "aran", "hebr", "mand", "mend", "nkoo", "rohg", "samr", "syrc", "thaa",
    ];
    const LANGUAGES: [&str; 33] = [
        "ar", "arc", "ary", "arz", "azb", "bgn", "bqi", "ckb", "dv", "fa", "glk", "he", "iw", "ji",
        "khw", "ks", "lrc", "mzn", "nqo", "pnb", "prs", "ps", "rhg", "sd", "sdh", "skr", "syr",
        "ug", "ur", "yi", "apc", "aeb", "acm",
    ];
    let tag = language.to_ascii_lowercase();
    let mut subtags = tag.split(['-', '_']);
    let primary = subtags.next().unwrap_or_default();
    // RFC 5646 section 2.1: extended languages have three letters, a script four, then regions.
    let script = subtags.find(|subtag| subtag.len() != 3).filter(|subtag| {
        subtag.len() == 4 && subtag.bytes().all(|letter| letter.is_ascii_alphabetic())
    });
    let right_to_left = match script {
        Some(script) => SCRIPTS.contains(&script),
        None => LANGUAGES.contains(&primary),
    };
    if right_to_left {
        Direction::Rtl
    } else {
        Direction::Ltr
    }
}

/// What a page must know of a medium before it can show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A picture, and its size if it says one.
    Picture(Option<Size>),
    /// Something to watch.
    Film,
    /// Something to hear.
    Sound,
    /// Something to keep.
    File,
}

impl Medium {
    /// By its media type; a picture without its size.
    #[must_use]
    pub fn of_kind(kind: &str) -> Self {
        match kind.split('/').next() {
            Some("image") => Self::Picture(None),
            Some("video") => Self::Film,
            Some("audio") => Self::Sound,
            _ => Self::File,
        }
    }
}

/// What is known of a medium by its hash.
pub type Media<'a> = dyn Fn(Hash) -> Option<Medium> + 'a;

/// The inner HTML of a post's `<article>`, where nothing is known of its media.
#[must_use]
pub fn article(markdown: &str, links: &Links) -> String {
    illustrated(markdown, links, &|_| None)
}

/// The inner HTML of a post's `<article>`.
///
/// Headings start at `<h2>`, since the page's title is its `<h1>`. What the blog's own media are is
/// shown; any other image becomes a link, so that reading a page asks nothing of another host.
#[must_use]
pub fn illustrated(markdown: &str, links: &Links, media: &Media<'_>) -> String {
    let mut writer = Writer::new(links, media);
    let room = writer::GROWTH_MAX * markdown.len() + writer::GROWTH_BYTES_MIN;
    let mut read = 0;
    for (event, range) in Parser::new_ext(markdown, options()).into_offset_iter() {
        if writer.written() > room {
            writer.write_rest(markdown.get(read..).unwrap_or_default());
            break;
        }
        read = read.max(match event {
            Event::Start(_) => range.start,
            _ => range.end,
        });
        writer.write(event);
    }
    let html = with_gate(links, |gate| {
        let mut html = Vec::with_capacity(markdown.len() + markdown.len() / 2);
        for piece in writer.finish() {
            match piece {
                Finished::Words(words) if words.trim().is_empty() => {}
                Finished::Words(words) => {
                    let clean = gate.clean(&portions::in_portions(&words));
                    clean.write_to(&mut html).expect("memory takes all bytes");
                }
                Finished::Code(code) => html.extend_from_slice(code.as_bytes()),
            }
        }
        html
    });
    String::from_utf8(html).expect("words in, words out")
}

/// The first words of a post as plain text, at most `max_chars` characters and an ellipsis.
///
/// Headings, code, tables and notes are left out: they read badly in one line.
#[must_use]
pub fn summary(markdown: &str, max_chars: usize) -> String {
    let mut text = String::new();
    let mut chars = 0;
    let mut skipped = 0_usize;
    for event in Parser::new_ext(markdown, options()) {
        match event {
            Event::Start(ref tag) if skipped > 0 || is_left_out(tag) => skipped += 1,
            Event::End(_) if skipped > 0 => skipped -= 1,
            _ if skipped > 0 => {}
            Event::Text(words) | Event::Code(words) => {
                // Tabs and runs of blanks collapse; a piece keeps the blanks at its ends.
                for letter in words.chars() {
                    push_collapsed(&mut text, &mut chars, letter);
                }
            }
            Event::SoftBreak | Event::HardBreak | Event::Start(Tag::Paragraph | Tag::Item) => {
                push_collapsed(&mut text, &mut chars, ' ');
            }
            _ => {}
        }
        // One more than the blank that may stand at the cut.
        if chars > max_chars + 1 {
            break;
        }
    }
    cut(text.trim(), max_chars)
}

/// All words of a post as plain text, for whoever searches them: headings, code and tables, too; addresses and HTML
/// are no words.
#[must_use]
pub fn plain(markdown: &str) -> String {
    let mut text = String::with_capacity(markdown.len());
    for event in Parser::new_ext(markdown, options()) {
        match event {
            Event::Text(words) | Event::Code(words) => text.push_str(&words),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            // Blocks begin a line, so that no word goes from one into the next.
            Event::Start(tag) if !is_within_line(&tag) && !text.is_empty() => text.push('\n'),
            _ => {}
        }
    }
    text
}

fn is_within_line(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough
            | Tag::Link { .. }
            | Tag::Superscript
            | Tag::Subscript
    )
}

fn options() -> Options {
    // Smart punctuation stays off (quotation marks differ by language), and so do attributes on
    // headings: they would take every word in braces for one. `{#id}` is read by `sheet`.
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM
        | Options::ENABLE_DEFINITION_LIST
}

fn is_left_out(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Heading { .. }
            | Tag::CodeBlock(_)
            | Tag::Table(_)
            | Tag::FootnoteDefinition(_)
            | Tag::HtmlBlock
            | Tag::Image { .. }
    )
}

fn push_collapsed(text: &mut String, chars: &mut usize, letter: char) {
    let blank = letter.is_whitespace() || letter.is_control();
    if blank && (text.is_empty() || text.ends_with(' ')) {
        return;
    }
    text.push(if blank { ' ' } else { letter });
    *chars += 1;
}

/// Cuts at the last blank that is not too far back, else between characters that do not combine.
pub(crate) fn cut(text: &str, max_chars: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(max_chars) else {
        return text.to_owned();
    };
    let tears = |at: usize| text[at..].starts_with(combines) || text[..at].ends_with('\u{200d}');
    let at = match text[..end].rfind(' ') {
        _ if text[end..].starts_with(' ') => end,
        Some(blank) if blank >= end / 2 => blank,
        _ => (0..=end)
            .rev()
            .find(|&at| text.is_char_boundary(at) && !tears(at))
            .unwrap_or(0),
    };
    let head = text[..at].trim_end_matches(|letter: char| " .,;:،、。".contains(letter));
    format!("{head}…")
}

/// Whether a character belongs to the one before it: accents, and what joins or colors an emoji.
fn combines(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{1f3fb}'..='\u{1f3ff}')
}

/// The last step is made once for all pages, and for each feed.
fn with_gate<T>(links: &Links, act: impl FnOnce(&ammonia::Builder<'static>) -> T) -> T {
    static HERE: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| gate(&Links::here()));
    if links.absolute {
        act(&gate(links))
    } else {
        act(&HERE)
    }
}

/// The last step: everything that is not listed here is dropped.
fn gate(links: &Links) -> ammonia::Builder<'static> {
    let tags = BLOCK_TAGS
        .iter()
        .chain(&INLINE_TAGS)
        .chain(&VOID_TAGS)
        .copied();
    let media_prefix = links.media_prefix();
    let player = HashMap::from([
        ("controls", HashSet::from([""])),
        ("preload", HashSet::from(["none"])),
    ]);
    let mut gate = ammonia::Builder::empty();
    gate.tags(tags.chain(["audio", "section", "video"]).collect())
        .generic_attributes(HashSet::from(["dir", "id", "lang", "title"]))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href", "rel"])),
            ("audio", HashSet::from(["aria-label", "src"])),
            ("img", HashSet::from(["src", "alt", "width", "height"])),
            ("ol", HashSet::from(["start", "reversed"])),
            ("td", HashSet::from(["colspan", "rowspan"])),
            ("th", HashSet::from(["colspan", "rowspan", "scope"])),
            ("time", HashSet::from(["datetime"])),
            ("video", HashSet::from(["aria-label", "src"])),
        ]))
        // Not `set_tag_attribute_values`: it sets them in the order of a hash map, another one in
        // each process, and the HTML must be the same on every spoke.
        .tag_attribute_values(HashMap::from([
            ("audio", player.clone()),
            (
                "img",
                HashMap::from([
                    ("loading", HashSet::from(["lazy"])),
                    ("decoding", HashSet::from(["async"])),
                ]),
            ),
            ("video", player),
            ("div", HashMap::from([("tabindex", HashSet::from(["0"]))])),
            ("pre", HashMap::from([("tabindex", HashSet::from(["0"]))])),
        ]))
        .allowed_classes(HashMap::from([
            ("div", HashSet::from(["wide"])),
            ("section", HashSet::from(["notes"])),
            ("span", code::CLASSES.into_iter().chain(["task"]).collect()),
            ("td", HashSet::from(["left", "center", "right"])),
            ("th", HashSet::from(["left", "center", "right"])),
        ]))
        .clean_content_tags(HashSet::from(["script", "style"]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(ammonia::UrlRelative::PassThrough)
        .id_prefix(Some(ID_PREFIX))
        .link_rel(None)
        .strip_comments(true)
        .attribute_filter(move |tag, attribute, value| match (tag, attribute) {
            ("audio" | "img" | "video", "src") => {
                let own = value.strip_prefix(&*media_prefix).is_some_and(is_own_media);
                own.then_some(Cow::Borrowed(value))
            }
            // Here and not among the values below: to compare those costs as much as all else of a link.
            ("a", "rel") => (value == LEAVING).then_some(Cow::Borrowed(value)),
            ("img", "width" | "height") => {
                let number = value.bytes().all(|digit| digit.is_ascii_digit());
                number.then_some(Cow::Borrowed(value))
            }
            _ => Some(Cow::Borrowed(value)),
        });
    gate
}

/// Whether a path is that of a blob.
fn is_own_media(path: &str) -> bool {
    path.strip_prefix("/media/")
        .and_then(Hash::parse_path)
        .is_some()
}

#[cfg(test)]
mod tests;
