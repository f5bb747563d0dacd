//! Raw HTML within Markdown, tag by tag.

/// Raw tags that hold paragraphs or rows; opening one ends the words before it.
pub(super) const BLOCK_TAGS: [&str; 28] = [
    "blockquote",
    "caption",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "li",
    "ol",
    "p",
    "pre",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
];

/// Those of them that hold words alone; a heading may stand in a summary.
pub(super) const WORD_TAGS: [&str; 7] = ["h2", "h3", "h4", "h5", "h6", "pre", "summary"];

/// Raw tags that mark words within a paragraph.
pub(super) const INLINE_TAGS: [&str; 28] = [
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "del", "dfn", "em", "i", "ins", "kbd", "mark",
    "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "u",
    "var",
];

/// Raw tags that stand alone.
pub(super) const VOID_TAGS: [&str; 4] = ["br", "hr", "img", "wbr"];

/// Raw tags whose content is not prose: it goes with them.
///
/// Not `noscript`: here no script runs, so what stands in one is for all readers.
pub(super) const SILENT_TAGS: [&str; 10] = [
    "audio", "iframe", "math", "object", "script", "style", "svg", "template", "textarea", "video",
];

/// Those of them in whose place something of the author's own may be shown, or a link.
pub(super) const PLAYER_TAGS: [&str; 3] = ["audio", "iframe", "video"];

/// The attributes of raw tags that may matter, beside `id`, `href` and `src`.
pub(super) const KEPT_ATTRIBUTES: [&str; 9] = [
    "colspan", "datetime", "dir", "lang", "reversed", "rowspan", "scope", "start", "title",
];

/// One tag of raw HTML, its values as they were written, entities and all.
pub(super) struct RawTag<'a> {
    pub(super) name: &'a str,
    pub(super) closes: bool,
    attributes: Vec<(&'a str, &'a str)>,
    pub(super) length: usize,
    /// The text ended before the tag did. No later tag ends either.
    pub(super) unfinished: bool,
}

impl<'a> RawTag<'a> {
    /// Reads the tag at the start of `text`; none if what follows `<` is not a name.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix('<')?;
        let (closes, rest) = match rest.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if !rest.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return None;
        }
        let (name, mut rest) =
            split_before(rest, |letter| is_blank(letter) || "/>".contains(letter));
        let mut tag = Self {
            name,
            closes,
            attributes: Vec::new(),
            length: 0,
            unfinished: true,
        };
        loop {
            rest = rest.trim_start_matches(|letter| is_blank(letter) || letter == '/');
            if rest.is_empty() {
                return Some(tag);
            }
            if let Some(after) = rest.strip_prefix('>') {
                tag.length = text.len() - after.len();
                tag.unfinished = false;
                return Some(tag);
            }
            let Some((attribute, after)) = split_attribute(rest) else {
                return Some(tag);
            };
            tag.attributes.push(attribute);
            rest = after;
        }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// A value, without quotation marks; of two with one name the first, as in browsers.
    pub(super) fn attribute(&self, name: &str) -> Option<&'a str> {
        let mut attributes = self.attributes.iter();
        attributes
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// Reads `name`, `name=value`, `name='value'` or `name="value"`; none if the text ends within.
fn split_attribute(text: &str) -> Option<((&str, &str), &str)> {
    // A name may begin with "=" (HTML, "before attribute name state"), so its first letter is free.
    let first = text.chars().next().map_or(0, char::len_utf8);
    let (tail, _) = split_before(&text[first..], |letter| {
        is_blank(letter) || "/>=".contains(letter)
    });
    let (name, rest) = text.split_at(first + tail.len());
    let Some(value) = rest.trim_start_matches(is_blank).strip_prefix('=') else {
        return Some(((name, ""), rest));
    };
    let value = value.trim_start_matches(is_blank);
    for quote in ['"', '\''] {
        if let Some(quoted) = value.strip_prefix(quote) {
            let (value, rest) = quoted.split_once(quote)?;
            return Some(((name, value), rest));
        }
    }
    let (value, rest) = split_before(value, |letter| is_blank(letter) || letter == '>');
    Some(((name, value), rest))
}

fn split_before(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(stop).unwrap_or(text.len()))
}

/// HTML's white space; the Unicode kind is part of names and values.
fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\u{c}' | '\r')
}

/// What follows a comment, declaration or processing instruction at the start of `text`.
pub(super) fn skip_comment(text: &str) -> Option<&str> {
    let end = if text.starts_with("<!--") {
        "-->"
    } else if text.starts_with("<!") || text.starts_with("<?") {
        ">"
    } else {
        return None;
    };
    Some(text.split_once(end).map_or("", |(_, after)| after))
}

/// From the closing tag of `name` on; nothing if there is none, as browsers see it.
pub(super) fn skip_to_end_of<'a>(name: &str, text: &'a str) -> &'a str {
    let close = format!("</{name}");
    let mut windows = text.as_bytes().windows(close.len());
    let at = windows.position(|window| window.eq_ignore_ascii_case(close.as_bytes()));
    // The match begins with an ASCII byte, so it lies on a boundary.
    at.map_or("", |at| &text[at..])
}

/// Words or a value.
pub(super) fn escape(text: &str, html: &mut String) {
    escape_bytes(text, html, |byte| match byte {
        b'"' => Some("&quot;"),
        b'&' => Some("&amp;"),
        _ => angle(byte),
    });
}

/// Words between tags, to the letter as the last step writes them.
pub(super) fn escape_words(text: &str, html: &mut String) {
    // All at once, as processors do: nearly no words hold any of these.
    let special = text.bytes().fold(false, |found, byte| {
        found | matches!(byte, b'&' | b'<' | b'>' | 0xC2)
    });
    if !special {
        return html.push_str(text);
    }
    let mut parts = text.split('\u{a0}');
    let escape = |part: &str, html: &mut String| {
        escape_bytes(part, html, |byte| match byte {
            b'&' => Some("&amp;"),
            _ => angle(byte),
        });
    };
    escape(parts.next().unwrap_or_default(), html);
    for part in parts {
        html.push_str("&nbsp;");
        escape(part, html);
    }
}

/// What holds entities already.
pub(super) fn escape_except_ampersand(text: &str, html: &mut String) {
    escape_bytes(text, html, |byte| match byte {
        b'"' => Some("&quot;"),
        _ => angle(byte),
    });
}

fn angle(byte: u8) -> Option<&'static str> {
    match byte {
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        _ => None,
    }
}

/// Copies what needs no escape in runs: a post is nearly all of that.
fn escape_bytes(text: &str, html: &mut String, escaped: impl Fn(u8) -> Option<&'static str>) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if let Some(escaped) = escaped(byte) {
            html.push_str(&text[from..at]);
            html.push_str(escaped);
            from = at + 1;
        }
    }
    html.push_str(&text[from..]);
}
