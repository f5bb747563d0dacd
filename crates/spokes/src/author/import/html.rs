//! HTML as other programs store it, read into a small tree and written as Markdown.
//!
//! The tree is ours and not a browser's, because whoever made the file may nest as deep as he likes:
//! its depth has a limit, and what stands deeper loses its element and keeps its words.

mod markdown;
mod words;

use std::cell::RefCell;

use html5ever::{
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::RawKind,
    },
};

pub(super) use markdown::{Manner, to_markdown};

/// Elements in each other. Page builders come to thirty; readers' pages draw 48 (`render`).
const NESTING_MAX: usize = 64;
/// Bytes of one tag. The tokenizer compares each attribute with all before it, so that a tag may cost
/// the square of its length; honest ones hold some hundred bytes.
const TAG_BYTES_MAX: usize = 16 * 1024;
/// A picture written into the text itself; a shorter one is an icon or nothing.
const DATA_BYTES_MAX: usize = 256;

/// Tags that never end, each of which costs a look to the end of the text.
const UNFINISHED_MAX: usize = 16;

/// Elements that stand alone.
const VOID: [&str; 12] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr",
];
/// Elements that begin a new line for readers, and end an open paragraph.
const BLOCK: [&str; 49] = [
    "address",
    "article",
    "aside",
    "audio",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "html",
    "iframe",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
    "video",
];
/// Elements whose content is no prose. What stands in `noscript` is: no script runs here.
const SILENT: [&str; 12] = [
    "canvas", "head", "math", "noembed", "noframes", "object", "script", "select", "style", "svg",
    "template", "textarea",
];

/// An element, or words.
#[derive(Debug)]
struct Node {
    /// Its name, in lower case; empty for words.
    name: String,
    attributes: Vec<(String, String)>,
    words: String,
    children: Vec<usize>,
    /// Whether it is drawn as a block, or something in it is.
    is_block: bool,
}

impl Node {
    fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    fn has_class(&self, class: &str) -> bool {
        let classes = self.attribute("class").unwrap_or_default();
        classes.split_whitespace().any(|c| c == class)
    }
}

/// A text's elements; the first is the text itself.
#[derive(Debug)]
struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// Reads any text: what no browser could make sense of is left out.
    fn parse(html: &str) -> Self {
        let builder = Builder::default();
        builder
            .0
            .borrow_mut()
            .push("body".to_owned(), Vec::new(), true);
        let input = BufferQueue::default();
        input.push_back(StrTendril::from(tamed(html).as_str()));
        let tokenizer = Tokenizer::new(builder, TokenizerOpts::default());
        // It pauses for none but scripts that are to be run.
        let _paused = tokenizer.feed(&input);
        tokenizer.end();
        let mut nodes = tokenizer.sink.0.into_inner().nodes;
        for index in (0..nodes.len()).rev() {
            let holds = nodes[index].children.iter().any(|c| nodes[*c].is_block);
            let node = &mut nodes[index];
            // A link is written in a line, whatever it holds.
            node.is_block |= holds && node.name != "a";
        }
        Self { nodes }
    }

    /// All words below a node, as they stand.
    fn words(&self, node: usize) -> String {
        let mut words = String::new();
        let mut next = vec![node];
        while let Some(index) = next.pop() {
            let node = &self.nodes[index];
            match node.name.as_str() {
                "" => words.push_str(&node.words),
                "br" => words.push('\n'),
                name if SILENT.contains(&name) => {}
                _ => next.extend(node.children.iter().rev()),
            }
        }
        words
    }
}

/// The words of some HTML in one line: titles, captions.
pub(super) fn plain(html: &str) -> String {
    let tree = Tree::parse(html);
    crate::author::matter::one_line(&tree.words(0))
}

/// A value as an attribute of HTML holds it.
pub(super) fn quoted(value: &str) -> String {
    words::escaped(value)
}

/// The same HTML without comments, and without tags that would cost more than they say.
fn tamed(html: &str) -> String {
    let mut kept = String::with_capacity(html.len());
    let mut rest = html;
    // What was searched to the end in vain is not searched again.
    let (mut comments_end, mut unfinished) = (true, 0);
    while let Some(at) = rest.find('<') {
        kept.extend(rest[..at].chars().filter(|c| !is_unseen(*c)));
        rest = &rest[at..];
        if rest.starts_with("<!--") {
            let end = if comments_end { rest.find("-->") } else { None };
            comments_end = end.is_some();
            rest = &rest[end.map_or(4, |end| end + 3)..];
            continue;
        }
        if !rest[1..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            kept.push('<');
            rest = &rest[1..];
            continue;
        }
        let length = if unfinished < UNFINISHED_MAX {
            tag_length(rest)
        } else {
            None
        };
        let Some(length) = length else {
            unfinished += 1;
            kept.push_str("&lt;");
            rest = &rest[1..];
            continue;
        };
        let tag = without_data(&rest[..length]);
        rest = &rest[length..];
        if tag.len() <= TAG_BYTES_MAX {
            kept.extend(tag.chars().filter(|c| !is_unseen(*c)));
        }
    }
    kept.extend(rest.chars().filter(|c| !is_unseen(*c)));
    kept
}

/// What no entry may hold (SPEC entry 1.2), and what the writer uses for itself.
fn is_unseen(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t' | '\r') || c == '\u{feff}'
}

/// How long the tag at the start is, as browsers see it; none when the text ends within.
fn tag_length(text: &str) -> Option<usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        Between,
        Name,
        Equals,
        Bare,
        Quoted(u8),
    }
    let mut at = At::Name;
    for (index, byte) in text.bytes().enumerate() {
        at = match (at, byte) {
            (At::Quoted(quote), _) if byte == quote => At::Between,
            (At::Quoted(_), _) => at,
            (_, b'>') => return Some(index + 1),
            (At::Equals, b' ' | b'\t' | b'\n' | b'\r' | 0xC) => At::Equals,
            (At::Equals, b'"' | b'\'') => At::Quoted(byte),
            (At::Equals, _) => At::Bare,
            (_, b' ' | b'\t' | b'\n' | b'\r' | 0xC) => At::Between,
            (At::Name, b'=') => At::Equals,
            (At::Bare, _) => At::Bare,
            _ => At::Name,
        };
    }
    None
}

/// A tag whose `data:` addresses were cut to their kind.
fn without_data(tag: &str) -> String {
    let mut kept = String::with_capacity(tag.len().min(TAG_BYTES_MAX));
    let mut rest = tag;
    while let Some(at) = rest.find("data:") {
        let (before, data) = rest.split_at(at);
        kept.push_str(before);
        let end = data.find(['"', '\'', '>', ' ', '\n']).unwrap_or(data.len());
        kept.push_str(if end > DATA_BYTES_MAX {
            "data:,"
        } else {
            &data[..end]
        });
        rest = &data[end..];
    }
    kept + rest
}

/// The tree while it grows.
#[derive(Default)]
struct Growing {
    nodes: Vec<Node>,
    /// Open elements, from the outside in.
    open: Vec<usize>,
}

#[derive(Default)]
struct Builder(RefCell<Growing>);

impl TokenSink for Builder {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut growing = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) => return growing.tag(tag),
            Token::CharacterTokens(words) => growing.words(&words),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl Growing {
    fn push(&mut self, name: String, attributes: Vec<(String, String)>, stays_open: bool) {
        let index = self.nodes.len();
        if let Some(parent) = self.open.last() {
            self.nodes[*parent].children.push(index);
        }
        let is_block = BLOCK.contains(&name.as_str());
        self.nodes.push(Node {
            name,
            attributes,
            words: String::new(),
            children: Vec::new(),
            is_block,
        });
        if stays_open {
            self.open.push(index);
        }
    }

    fn words(&mut self, words: &str) {
        let last = self
            .open
            .last()
            .and_then(|open| self.nodes[*open].children.last());
        if let Some(last) = last
            .copied()
            .filter(|last| self.nodes[*last].name.is_empty())
        {
            self.nodes[last].words.push_str(words);
            return;
        }
        self.push(String::new(), Vec::new(), false);
        if let Some(node) = self.nodes.last_mut() {
            node.words.push_str(words);
        }
    }

    fn tag(&mut self, tag: Tag) -> TokenSinkResult<()> {
        let name = tag.name.to_string();
        if tag.kind == TagKind::EndTag {
            self.end(&name);
            return TokenSinkResult::Continue;
        }
        self.end_implied(&name);
        let attributes = tag.attrs.iter();
        let attributes = attributes
            .map(|a| (a.name.local.to_string(), a.value.to_string()))
            .collect();
        // XML's way to close at once is honored only where something was imported as such.
        let closes = VOID.contains(&name.as_str()) || tag.self_closing && name != "p";
        let deep = self.open.len() >= NESTING_MAX;
        let raw = match name.as_str() {
            _ if closes => None,
            "script" => Some(RawKind::ScriptData),
            "textarea" | "title" => Some(RawKind::Rcdata),
            "style" | "iframe" | "noembed" | "noframes" | "xmp" => Some(RawKind::Rawtext),
            _ => None,
        };
        // Raw words would be taken for prose without their element.
        if closes || !deep || raw.is_some() {
            self.push(name, attributes, !closes);
        }
        raw.map_or(TokenSinkResult::Continue, TokenSinkResult::RawData)
    }

    /// Ends what the beginning of an element ends (HTML, "optional tags").
    fn end_implied(&mut self, name: &str) {
        let (ends, within): (&[&str], &[&str]) = match name {
            "li" => (&["li"], &["ul", "ol", "menu"]),
            "dt" | "dd" => (&["dt", "dd"], &["dl"]),
            "td" | "th" => (&["td", "th"], &["tr", "table"]),
            "tr" => (&["tr"], &["table"]),
            "tbody" | "thead" | "tfoot" => (&["tbody", "thead", "tfoot"], &["table"]),
            "a" => (&["a"], &["td", "th", "li", "p", "div"]),
            _ if BLOCK.contains(&name) => (&["p"], &["td", "th", "caption", "table", "li"]),
            _ => return,
        };
        for at in (1..self.open.len()).rev() {
            let open = self.nodes[self.open[at]].name.as_str();
            if ends.contains(&open) {
                self.open.truncate(at);
                return;
            }
            if within.contains(&open) {
                return;
            }
        }
    }

    fn end(&mut self, name: &str) {
        if name == "br" {
            self.push(name.to_owned(), Vec::new(), false);
            return;
        }
        let of_table = matches!(name, "table" | "tr" | "tbody" | "thead" | "tfoot");
        for at in (1..self.open.len()).rev() {
            let open = self.nodes[self.open[at]].name.as_str();
            if open == name {
                self.open.truncate(at);
                return;
            }
            // What was never begun in a cell must not end the table around it.
            if !of_table && matches!(open, "td" | "th" | "table") {
                return;
            }
        }
    }
}
