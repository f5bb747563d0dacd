//! From an author's Markdown to HTML that is safe to put on a page.
//!
//! Three steps, each of which would do on a bad day of the others: Markdown is parsed into events;
//! this module writes them as HTML, keeping of raw HTML only listed tags, always closed in order;
//! and `ammonia` parses the result like a browser and drops whatever its own allow-list lacks.
//! The second step is also what keeps a hostile body cheap: browsers' rules for mending broken
//! markup can cost the square of its length, and well-nested markup never wakes them.

mod raw;
mod writer;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use ammonia::Url;
use pulldown_cmark::{Event, Options, Parser, Tag};

use crate::render::raw::{BLOCK_TAGS, INLINE_TAGS, VOID_TAGS};
use crate::render::writer::Writer;

/// The version of the function from a body to the inner HTML of its `<article>`.
///
/// With [`Links::here`] the HTML depends on nothing but the body and this number, so that spokes
/// can compare what they serve. Raise it with every change of output.
pub const RENDERER: u32 = 1;

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

    /// The address to write, or none where a page must not lead.
    fn resolve(&self, href: &str) -> Option<String> {
        match Url::parse(href) {
            Ok(url) if matches!(url.scheme(), "http" | "https" | "mailto") => Some(href.to_owned()),
            Ok(_) => None,
            Err(ammonia::url::ParseError::RelativeUrlWithoutBase) => {
                let href = match href.strip_prefix('#') {
                    Some(id) if !id.is_empty() => Cow::Owned(format!("#{ID_PREFIX}{id}")),
                    _ => Cow::Borrowed(href),
                };
                let joined = self.base.join(&href).ok()?;
                Some(if self.absolute {
                    joined.into()
                } else {
                    href.into_owned()
                })
            }
            Err(_) => None,
        }
    }

    /// Whether a link leads to another host. `//host` and `/\host` do; browsers read them so.
    fn leaves(&self, href: &str) -> bool {
        // Raw HTML can spell "://" in entities; before the query no honest relative link has one.
        let path = href.split(['?', '#']).next().unwrap_or_default();
        match Url::parse(href) {
            Ok(url) => url.scheme() != "mailto",
            Err(_) if path.contains('&') => true,
            Err(_) => self
                .base
                .join(href)
                .is_ok_and(|url| url.host() != self.base.host()),
        }
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

/// The inner HTML of a post's `<article>`.
///
/// Headings start at `<h2>`, since the page's title is its `<h1>`. Images of the blog's own media
/// stay; any other image becomes a link, so that reading a page asks nothing of another host.
#[must_use]
pub fn article(markdown: &str, links: &Links) -> String {
    let mut writer = Writer::new(links, heading_shift(markdown));
    for event in Parser::new_ext(markdown, options()) {
        writer.write(event);
    }
    gate(links).clean(&writer.finish()).to_string()
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

fn options() -> Options {
    // Smart punctuation stays off (quotation marks differ by language), and so do attributes on
    // headings (ids are for footnotes and for authors who write raw HTML).
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
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
fn cut(text: &str, max_chars: usize) -> String {
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

/// How many levels to add, so that the body's highest heading becomes `<h2>`.
fn heading_shift(markdown: &str) -> i8 {
    let highest = Parser::new_ext(markdown, options())
        .filter_map(|event| match event {
            Event::Start(Tag::Heading { level, .. }) => Some(level as i8),
            _ => None,
        })
        .min();
    2 - highest.unwrap_or(2)
}

/// The last step: everything that is not listed here is dropped.
fn gate(links: &Links) -> ammonia::Builder<'static> {
    let tags = BLOCK_TAGS
        .iter()
        .chain(&INLINE_TAGS)
        .chain(&VOID_TAGS)
        .copied();
    let media_prefix = links.media_prefix();
    let mut gate = ammonia::Builder::empty();
    gate.tags(tags.chain(["section"]).collect())
        .generic_attributes(HashSet::from(["dir", "id", "lang", "title"]))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href"])),
            ("img", HashSet::from(["src", "alt"])),
            ("ol", HashSet::from(["start", "reversed"])),
            ("td", HashSet::from(["colspan", "rowspan"])),
            ("th", HashSet::from(["colspan", "rowspan", "scope"])),
            ("time", HashSet::from(["datetime"])),
        ]))
        // Not `set_tag_attribute_values`: it sets them in the order of a hash map, another one in
        // each process, and the HTML must be the same on every spoke.
        .tag_attribute_values(HashMap::from([
            ("a", HashMap::from([("rel", HashSet::from([LEAVING]))])),
            ("img", HashMap::from([("loading", HashSet::from(["lazy"]))])),
            ("div", HashMap::from([("tabindex", HashSet::from(["0"]))])),
            ("pre", HashMap::from([("tabindex", HashSet::from(["0"]))])),
        ]))
        .allowed_classes(HashMap::from([
            ("div", HashSet::from(["wide"])),
            ("section", HashSet::from(["notes"])),
            ("span", HashSet::from(["task"])),
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
            ("img", "src") => {
                let own = value.strip_prefix(&*media_prefix).is_some_and(is_own_media);
                own.then_some(Cow::Borrowed(value))
            }
            _ => Some(Cow::Borrowed(value)),
        });
    gate
}

/// Whether a path is that of a blob: `/media/sha256-` and 64 lower-case hex digits.
fn is_own_media(path: &str) -> bool {
    path.strip_prefix("/media/sha256-").is_some_and(|hash| {
        hash.len() == 64
            && hash
                .bytes()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn check(markdown: &str, html: &str) {
        let here = Links::here();
        assert_eq!(
            article(markdown, &here).trim_end(),
            html,
            "from {markdown:?}"
        );
    }

    /// Reads the HTML as we promise it is: text without `<`, and tags with quoted attributes.
    fn attributes(html: &str) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        for piece in html.split('<').skip(1) {
            let (tag, _) = piece.split_once('>').expect("every tag ends");
            let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
            found.push((name.to_owned(), String::new(), String::new()));
            while let Some((attribute, after)) = rest.split_once("=\"") {
                let (value, after) = after.split_once('"').expect("every value ends");
                found.push((
                    name.to_owned(),
                    attribute.trim().to_owned(),
                    value.to_owned(),
                ));
                rest = after;
            }
            assert_eq!(rest.trim(), "", "a bare attribute in {piece:?}");
        }
        found
    }

    fn assert_harmless(html: &str, context: &str) {
        const ATTRIBUTES: [&str; 18] = [
            "", "href", "rel", "src", "alt", "loading", "class", "id", "lang", "dir", "title",
            "start", "reversed", "colspan", "rowspan", "scope", "datetime", "tabindex",
        ];
        for (tag, attribute, value) in attributes(html) {
            let name = tag.trim_start_matches('/');
            let listed = BLOCK_TAGS.contains(&name)
                || INLINE_TAGS.contains(&name)
                || VOID_TAGS.contains(&name)
                || name == "section";
            assert!(listed, "<{name}> in {html:?}, from {context:?}");
            assert!(
                ATTRIBUTES.contains(&&*attribute),
                "{attribute} in {html:?}, from {context:?}"
            );
            match &*attribute {
                "src" => assert!(is_own_media(&value), "{html:?}, from {context:?}"),
                "href" => {
                    let scheme = Url::parse(&value).map(|url| url.scheme().to_owned());
                    let allowed = ["http", "https", "mailto"];
                    assert!(
                        scheme.as_deref().is_err()
                            || scheme
                                .as_deref()
                                .is_ok_and(|scheme| allowed.contains(&scheme)),
                        "{html:?}, from {context:?}"
                    );
                }
                "id" => assert!(value.starts_with(ID_PREFIX), "{html:?}, from {context:?}"),
                _ => {}
            }
        }
    }

    #[test]
    fn prose_becomes_plain_html() {
        check(
            "Hello *big* **world**.",
            "<p>Hello <em>big</em> <strong>world</strong>.</p>",
        );
        check("a\\\nb\nc", "<p>a<br>\nb\nc</p>");
        check("~~old~~ `a<b`", "<p><s>old</s> <code>a&lt;b</code></p>");
        check("- one\n- two", "<ul>\n<li>one</li>\n<li>two</li>\n</ul>");
        check("3. three", "<ol start=\"3\">\n<li>three</li>\n</ol>");
        check(
            "- [x] done",
            "<ul>\n<li><span class=\"task\">☑</span> done</li>\n</ul>",
        );
        check(
            "    a",
            "<pre dir=\"auto\" tabindex=\"0\"><code>a</code></pre>",
        );
    }

    #[test]
    fn headings_start_below_the_title() {
        check("# A\n### B", "<h2>A</h2>\n<h4>B</h4>");
        check("## A\n### B", "<h2>A</h2>\n<h3>B</h3>");
        check("#### A", "<h2>A</h2>");
        check("<h1>A</h1>", "<h2>A</h2>");
    }

    #[test]
    fn tables_keep_their_alignment_without_styles() {
        check(
            "| a | b |\n|---|--:|\n| 1 | 2 |",
            "<div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">a</th>\
             <th scope=\"col\" class=\"right\">b</th></tr></thead>\n<tbody>\n\
             <tr><td>1</td><td class=\"right\">2</td></tr>\n</tbody></table></div>",
        );
    }

    #[test]
    fn footnotes_go_below_the_text_and_lead_back() {
        check(
            "A[^x] claim.\n\n[^x]: The proof.\n\nThe end.",
            "<p>A<sup id=\"body-mention-1\"><a href=\"#body-note-1\">1</a></sup> claim.</p>\n\
             <p>The end.</p>\n<section class=\"notes\"><ol>\n<li id=\"body-note-1\"><p>The proof. \
             <a href=\"#body-mention-1\">↩\u{fe0e}1</a></p></li>\n</ol></section>",
        );
    }

    #[test]
    fn only_links_that_leave_say_so() {
        let rel = format!("rel=\"{LEAVING}\"");
        let leaving = [
            "[a](https://example.org/)",
            "[a](//example.org/)",
            "[a](/\\\\example.org/)",
            "[a](HTTPS:example.org)",
            "<https://example.org>",
            "[a][1]\n\n[1]: http://example.org",
            "<a href=https://example.org>a</a>",
            "<a href='https&#58;//example.org'>a</a>",
            "<a href=\"&#47;/example.org\">a</a>",
        ];
        for markdown in leaving {
            let html = article(markdown, &Links::here());
            assert!(html.contains(&rel), "{html:?}, from {markdown:?}");
        }
        check("[a](/b)", "<p><a href=\"/b\">a</a></p>");
        check("[a](b?c=1&d=2)", "<p><a href=\"b?c=1&amp;d=2\">a</a></p>");
        check(
            "<a href='b?c=1&amp;d=2'>a</a>",
            "<p><a href=\"b?c=1&amp;d=2\">a</a></p>",
        );
        check("[a](#b)", "<p><a href=\"#body-b\">a</a></p>");
        check(
            "<m@example.org>",
            "<p><a href=\"mailto:m@example.org\">m@example.org</a></p>",
        );
    }

    #[test]
    fn images_of_other_hosts_become_links() {
        check(
            &format!("![A *crowd*](/media/sha256-{HASH})"),
            &format!("<p><img src=\"/media/sha256-{HASH}\" alt=\"A crowd\" loading=\"lazy\"></p>"),
        );
        let link = format!("<a href=\"https://example.org/a.png\" rel=\"{LEAVING}\">");
        check(
            "![A *b*](https://example.org/a.png)",
            &format!("<p>{link}A <em>b</em></a></p>"),
        );
        check(
            "![](https://example.org/a.png)",
            &format!("<p>{link}https://example.org/a.png</a></p>"),
        );
        check(
            "<img alt='A b' src='https://example.org/a.png'>",
            &format!("{link}A b</a>"),
        );
        check(
            "[![A](https://example.org/a.png)](/b)",
            "<p><a href=\"/b\">A</a></p>",
        );
        check("![A](data:image/png;base64,AAAA)", "<p>A</p>");
    }

    #[test]
    fn seen_from_elsewhere_addresses_are_whole() {
        let links = Links::seen_from("https://maria.example.org/2026/march");
        let markdown = format!("[a](april) ![b](/media/sha256-{HASH}) [c](#d)");
        let html = article(&markdown, &links);
        assert!(
            html.contains("\"https://maria.example.org/2026/april\""),
            "{html}"
        );
        assert!(
            html.contains("\"https://maria.example.org/2026/march#body-d\""),
            "{html}"
        );
        let media = format!("src=\"https://maria.example.org/media/sha256-{HASH}\"");
        assert!(html.contains(&media), "{html}");
        assert!(!html.contains(" rel="), "{html}");
    }

    #[test]
    fn raw_html_keeps_what_is_listed() {
        check("<b>a</b> <kbd>b</kbd>", "<p><b>a</b> <kbd>b</kbd></p>");
        check(
            "<details>\n<summary>a</summary>\n\n*b*\n\n</details>",
            "<details>\n<summary>a</summary>\n<p><em>b</em></p>\n</details>",
        );
        check("a <b>b\n\nc", "<p>a <b>b</b></p>\n<p>c</p>");
        check("*a <b>b* c</b>", "<p><em>a <b>b</b></em> c</p>");
        check("<p>a<p>b", "<p>a</p><p>b</p>");
        check(
            "<ul><li>a<li><b>b<li>c</ul>",
            "<ul><li>a</li><li><b>b</b></li><li>c</li></ul>",
        );
        check(
            "<table><tr><th>a<td>b<tr><td>c</table>",
            "<table><tbody><tr><th>a</th><td>b</td></tr><tr><td>c</td></tr></tbody></table>",
        );
        check("<font color=red>a</font>", "<p>a</p>");
        check("a <!-- b --> c", "<p>a  c</p>");
        check("<bdo dir='rtl'>a</bdo>", "<p><bdo dir=\"rtl\">a</bdo></p>");
    }

    #[test]
    fn nothing_dangerous_survives() {
        let vectors: Vec<&str> = include_str!("render/vectors.txt")
            .split("\n---\n")
            .collect();
        assert!(vectors.len() > 60, "the table of vectors was read");
        for vector in vectors {
            assert_harmless(&article(vector, &Links::here()), vector);
            let far = article(vector, &Links::seen_from("https://maria.example.org/a"));
            let own_media = "\"https://maria.example.org/media/";
            assert_harmless(&far.replace(own_media, "\"/media/"), vector);
        }
    }

    #[test]
    fn every_spoke_makes_the_same_bytes() {
        // A hash map has another order in each instance, as it has in each process.
        for vector in include_str!("render/vectors.txt").split("\n---\n") {
            let html = article(vector, &Links::here());
            for _ in 0..4 {
                assert_eq!(article(vector, &Links::here()), html);
            }
        }
    }

    #[test]
    fn a_second_wash_takes_nothing_more() {
        let links = Links::here();
        for vector in include_str!("render/vectors.txt").split("\n---\n") {
            let html = article(vector, &links);
            assert_eq!(
                gate(&links).clean(&html).to_string(),
                html,
                "from {vector:?}"
            );
        }
    }

    /// A body has at most 1 MiB (SPEC entry, limits); these are an eighth of the worst ones known.
    #[test]
    fn hostile_bodies_stay_cheap() {
        let many = |piece: &str| piece.repeat((128 << 10) / piece.len());
        let bold: String = (0..4000).map(|number| format!("<b id={number}>")).collect();
        let bodies = [
            many("> "),
            many("- "),
            many("*a _b "),
            many("["),
            many("![a]("),
            many("<b>"),
            many("<div><p>"),
            many("<table><tr><td>"),
            many("<a href=b>"),
            many("<a "),
            many("<a \""),
            many("<!--"),
            many("<script>"),
            many("<b>a\n\n"),
            many("a\n\n<div>\n\n"),
            format!("{bold}{}", many("a\n\n")),
            format!("{bold}{}", many("<p>a")),
            format!("<p>{bold}{}", many("<p>a</p>")),
            format!("{}\n{}\n{}", many("|a"), many("|-"), many("|\n")),
            format!("[^a]: b\n\n{}", many("[^a]")),
            format!("[a]: /{}\n\n{}", many("b"), many("[a]")),
        ];
        for body in bodies {
            let start = std::time::Instant::now();
            let html = article(&body, &Links::here());
            let taken = start.elapsed();
            let begin: String = body.chars().take(40).collect();
            // Unoptimized and on a busy machine; the square of the length would take minutes.
            assert!(taken.as_secs() < 20, "{taken:?} for {begin:?}");
            assert!(html.len() < 64 << 20, "{} bytes from {begin:?}", html.len());
        }
    }

    #[test]
    fn summaries_are_the_first_words() {
        let text = "# Title\n\nOne *two*\nthree, [four](/x).\n\n```\ncode\n```\n\nFive <b>six</b>.";
        assert_eq!(summary(text, 100), "One two three, four. Five six.");
        assert_eq!(summary(text, 12), "One two…");
        assert_eq!(summary(text, 7), "One two…");
        assert_eq!(summary("一二三四五六七八", 4), "一二三四…");
        assert_eq!(summary("👩\u{200d}🌾👩\u{200d}🌾", 4), "👩\u{200d}🌾…");
        assert_eq!(summary("", 4), "");
        assert_eq!(summary("a b", 0), "…");
    }

    #[test]
    fn languages_have_a_direction() {
        for language in [
            "ar",
            "AR-EG",
            "fa",
            "he",
            "ur",
            "yi",
            "ckb",
            "az-Arab",
            "ku-Arab-IQ",
        ] {
            assert_eq!(direction(language), Direction::Rtl, "{language}");
        }
        for language in [
            "en",
            "",
            "zh-Hant",
            "ur-Latn",
            "hi",
            "arn",
            "de-1996",
            "-",
            "ar-Latn-x-a",
        ] {
            assert_eq!(direction(language), Direction::Ltr, "{language}");
        }
    }

    fn hostile_text() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "<script>",
            "</script>",
            "<a href=",
            "javascript:alert(1)",
            "onerror=x",
            "<img src=x ",
            "<svg>",
            "<math>",
            "<style>",
            "</",
            "<",
            ">",
            "\"",
            "'",
            "`",
            "\n",
            "\n\n",
            "> ",
            "- ",
            "[a](",
            ")",
            "![",
            "]",
            "[^1]",
            "[^1]: ",
            "<!--",
            "-->",
            "&#106;",
            "&lt;",
            "<table>",
            "<td>",
            "|a|b|\n|-|-|\n",
            "<div>",
            "</div>",
            "<p>",
            "<b>",
            "</b>",
            "data:text/html,",
            "\0",
            "\u{202e}",
            "=",
            "/",
            "*",
            "**",
            "    ",
            "# ",
            "<pre>",
            "<textarea>",
            "<title>",
            "https://example.org/",
            "<noscript>",
            "<details>",
            "<li>",
            "<base href=//e>",
        ]);
        prop::collection::vec(prop_oneof![pieces.prop_map(str::to_owned), ".{0,6}"], 0..40)
            .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_harmless(markdown in hostile_text()) {
            let html = article(&markdown, &Links::here());
            assert_harmless(&html, &markdown);
            prop_assert!(!html.to_lowercase().contains("<script"));
            let far = article(&markdown, &Links::seen_from("https://maria.example.org/a"));
            assert_harmless(&far.replace("\"https://maria.example.org/media/", "\"/media/"), &markdown);
            let words = summary(&markdown, 30);
            prop_assert!(words.chars().count() <= 31);
        }
    }
}
