//! The tree as Markdown: plain where Markdown says the same, raw HTML that readers' pages draw where
//! it does not.

use std::{collections::BTreeSet, mem};

use super::{
    Node, SILENT, Tree, VOID,
    words::{
        LINE_BYTES_MAX, attributes, broken, broken_at_blanks, code, destination, escaped,
        language_of, link_of, longest_run, prefixed, push_char, push_words, watched,
    },
};
use crate::author::matter::one_line;

/// Quotes and lists in each other; each level costs every line below it a few bytes.
const LEVELS_MAX: usize = 10;
/// Bytes of HTML that one text may have: four times the largest body, which markup may well take.
const HTML_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Stand for a line break and for a new paragraph while a run of words is written. The tree holds no
/// control characters.
const BREAK: char = '\u{1}';
const PARAGRAPH: char = '\u{2}';

/// Elements that mark words and that readers' pages draw (`render::raw`), beside what Markdown has.
const MARKS: [&str; 21] = [
    "abbr", "bdi", "bdo", "cite", "dfn", "ins", "kbd", "mark", "q", "rp", "rt", "ruby", "samp",
    "small", "span", "sub", "sup", "time", "u", "var", "wbr",
];
/// Attributes that readers' pages keep.
const KEPT: [&str; 10] = [
    "alt", "colspan", "datetime", "dir", "href", "lang", "rowspan", "src", "start", "title",
];
/// Elements that may stand in a block of raw HTML.
const RAW: [&str; 26] = [
    "a",
    "b",
    "blockquote",
    "br",
    "caption",
    "code",
    "dd",
    "del",
    "dl",
    "dt",
    "em",
    "hr",
    "i",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "strong",
    "table",
    "td",
    "th",
    "tr",
    "ul",
    "figcaption",
];

/// How a text is to be read.
#[derive(Clone, Copy, Default)]
pub(in crate::author::import) struct Manner {
    /// Line ends are line breaks and empty lines part paragraphs, as in WordPress' older editor.
    pub(in crate::author::import) lines: bool,
}

/// A text as Markdown.
#[derive(Debug, Default)]
pub(in crate::author::import) struct Written {
    pub(in crate::author::import) markdown: String,
    /// What could not be taken over as it stood.
    pub(in crate::author::import) notes: Vec<String>,
}

/// Writes HTML as Markdown.
///
/// # Errors
/// Says that the text is longer than any article.
pub(in crate::author::import) fn to_markdown(
    html: &str,
    manner: Manner,
) -> Result<Written, String> {
    if html.len() > HTML_BYTES_MAX {
        return Err(format!(
            "its text has {} bytes of HTML, the limit is {HTML_BYTES_MAX}; make two articles of it",
            html.len()
        ));
    }
    let tree = Tree::parse(html);
    let anchors = tree.nodes.iter().filter_map(|node| {
        let href = node.attribute("href")?.strip_prefix('#')?;
        Some(href.to_owned())
    });
    let mut writer = Writer {
        anchors: anchors.collect(),
        tree: &tree,
        manner,
        notes: BTreeSet::new(),
        level: 0,
    };
    let blocks = writer.blocks(&tree.nodes[0].children);
    Ok(Written {
        markdown: blocks.join("\n\n"),
        notes: writer.notes.into_iter().collect(),
    })
}

struct Writer<'a> {
    tree: &'a Tree,
    manner: Manner,
    /// Places that a link of the same text leads to.
    anchors: BTreeSet<String>,
    notes: BTreeSet<String>,
    /// How many quotes and lists are around what is written.
    level: usize,
}

impl<'a> Writer<'a> {
    fn node(&self, index: usize) -> &'a Node {
        &self.tree.nodes[index]
    }

    /// Nodes as blocks; runs of words between them are paragraphs.
    fn blocks(&mut self, nodes: &[usize]) -> Vec<String> {
        let mut blocks: Vec<String> = Vec::new();
        let mut run: Vec<usize> = Vec::new();
        for index in nodes {
            let node = self.node(*index);
            if !node.is_block && !self.is_code_block(node) {
                run.push(*index);
                continue;
            }
            let before = mem::take(&mut run);
            blocks.extend(self.paragraphs(&before));
            let more = self.block(*index, blocks.last().map(String::as_str));
            blocks.extend(more);
        }
        blocks.extend(self.paragraphs(&run));
        blocks.retain(|block| !block.is_empty());
        blocks
    }

    /// Code of several lines, which the older editor stores without `pre`.
    fn is_code_block(&self, node: &Node) -> bool {
        let first = node.children.first().map(|child| self.node(*child));
        self.manner.lines
            && node.name == "code"
            && first.is_some_and(|words| words.words.trim_end().contains('\n'))
    }

    fn block(&mut self, index: usize, before: Option<&str>) -> Vec<String> {
        let node = self.node(index);
        match node.name.as_str() {
            name if SILENT.contains(&name) => Vec::new(),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => vec![self.heading(index)],
            "hr" => vec!["---".to_owned()],
            "pre" | "code" => vec![self.fence(index)],
            "blockquote" if self.level < LEVELS_MAX => {
                self.level += 1;
                let inner = self.blocks(&node.children).join("\n\n");
                self.level -= 1;
                vec![prefixed(&inner, "> ", "> ")]
            }
            // Pictures side by side are no list of things.
            "ul" if node.has_class("blocks-gallery-grid") || node.has_class("wp-block-gallery") => {
                self.blocks(&node.children)
            }
            "ul" | "ol" | "menu" if self.level < LEVELS_MAX => vec![self.list(index, before)],
            "table" => vec![self.table(index)],
            "dl" => vec![self.raw_block(index)],
            "figure" => self.figure(index),
            "details" => self.details(index),
            "iframe" | "video" | "audio" | "embed" => self.embedded(index),
            "p" if !self.holds_blocks(node) && attributes(node, &["dir", "lang"]).is_empty() => {
                self.paragraphs(&[index])
            }
            _ => {
                let inner = self.blocks(&node.children);
                let turned = attributes(node, &["dir", "lang"]);
                if turned.is_empty() || inner.is_empty() {
                    return inner;
                }
                let open = format!("<div{turned}>");
                [vec![open], inner, vec!["</div>".to_owned()]].concat()
            }
        }
    }

    fn holds_blocks(&self, node: &Node) -> bool {
        node.children.iter().any(|child| self.node(*child).is_block)
    }

    /// A run of words as paragraphs.
    fn paragraphs(&mut self, nodes: &[usize]) -> Vec<String> {
        if let Some(address) = self.lone_address(nodes) {
            return vec![format!("<{address}>")];
        }
        let mut run = String::new();
        for index in nodes {
            self.inline(*index, &mut run);
        }
        // Two breaks after each other are how people part paragraphs.
        let mut paragraphs = Vec::new();
        for part in run.split(PARAGRAPH) {
            let mut lines: Vec<String> = Vec::new();
            for line in part.split(BREAK).chain([""]) {
                let line = line.trim_matches([' ', '\n', '\t']);
                if !line.chars().all(char::is_whitespace) {
                    lines.push(broken(line));
                } else if !lines.is_empty() {
                    paragraphs.push(mem::take(&mut lines).join("\\\n"));
                }
            }
        }
        paragraphs
    }

    /// The address that a run of words consists of: how films are embedded.
    fn lone_address(&self, nodes: &[usize]) -> Option<String> {
        let mut words = nodes.iter().map(|index| self.node(*index));
        let mut only = words.find(|node| !node.name.is_empty() || !node.words.trim().is_empty())?;
        if only.name == "p" && only.children.len() == 1 {
            only = self.node(only.children[0]);
        }
        let address = only.words.trim();
        let is_alone = words.all(|node| node.name.is_empty() && node.words.trim().is_empty());
        let is_address = address.starts_with("https://") || address.starts_with("http://");
        let is_whole = !address.contains(|c: char| c.is_whitespace() || "<>\"".contains(c));
        (is_alone && is_address && is_whole).then(|| address.to_owned())
    }

    fn heading(&mut self, index: usize) -> String {
        let node = self.node(index);
        let level = node.name[1..].parse().unwrap_or(2);
        let words = self.one_line(&node.children);
        if words.is_empty() {
            return String::new();
        }
        let anchor = self.anchor(node);
        format!("{} {anchor}{words}", "#".repeat(level))
    }

    /// Words that must stay in one line.
    fn one_line(&mut self, nodes: &[usize]) -> String {
        let mut run = String::new();
        for index in nodes {
            self.inline(*index, &mut run);
        }
        let words = run.split([BREAK, PARAGRAPH, '\n', ' ']);
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        words.join(" ")
    }

    /// What a link within the text leads to, where one does.
    fn anchor(&self, node: &Node) -> String {
        let id = node.attribute("id").or(node.attribute("name"));
        let id = id.filter(|id| self.anchors.contains(*id));
        id.map_or_else(String::new, |id| {
            format!("<span id=\"{}\"></span>", escaped(id))
        })
    }

    fn fence(&self, index: usize) -> String {
        let node = self.node(index);
        let inner = node.children.iter().find(|c| self.node(**c).name == "code");
        let language = [Some(node), inner.map(|c| self.node(*c))];
        let language = language.into_iter().flatten().find_map(language_of);
        let words = self.tree.words(index).replace("\r\n", "\n");
        let words = words.strip_prefix('\n').unwrap_or(&words).trim_end();
        let longest = longest_run(words, '`').max(2) + 1;
        let fence = "`".repeat(longest);
        format!("{fence}{}\n{words}\n{fence}", language.unwrap_or_default())
    }

    fn list(&mut self, index: usize, before: Option<&str>) -> String {
        let node = self.node(index);
        let ordered = node.name == "ol";
        let mut number: u64 = node
            .attribute("start")
            .and_then(|s| s.parse().ok())
            .unwrap_or(1);
        number = number.min(999_999_999);
        // Two lists after each other would be read as one.
        let again = before.is_some_and(|before| {
            let last = before
                .lines()
                .rfind(|line| !line.starts_with(' '))
                .unwrap_or_default();
            last.starts_with("- ")
                || last
                    .split_once(". ")
                    .is_some_and(|(n, _)| n.parse::<u64>().is_ok())
        });
        let mut items: Vec<(String, String)> = Vec::new();
        self.level += 1;
        for child in &node.children {
            let item = self.node(*child);
            if item.name.is_empty() && item.words.trim().is_empty() {
                continue;
            }
            let is_item = item.name == "li";
            let inner = if is_item {
                self.blocks(&item.children)
            } else {
                self.blocks(&[*child])
            };
            // Of all blocks a list may follow words without an empty line.
            let tight = match inner.as_slice() {
                [] | [_] => true,
                [_, second] => ["- ", "* ", "1. "].iter().any(|m| second.starts_with(m)),
                _ => false,
            };
            let inner = inner.join(if tight { "\n" } else { "\n\n" });
            match items.last_mut() {
                Some((_, last)) if !is_item => last.push_str(&format!("\n{inner}")),
                _ => {
                    let marker = match (ordered, again) {
                        (true, false) => format!("{number}. "),
                        (true, true) => format!("{number}) "),
                        (false, false) => "- ".to_owned(),
                        (false, true) => "* ".to_owned(),
                    };
                    number = (number + 1).min(999_999_999);
                    items.push((marker, inner));
                }
            }
        }
        self.level -= 1;
        let loose = items.iter().any(|(_, inner)| inner.contains("\n\n"));
        let items = items.iter().map(|(marker, inner)| {
            let indent = " ".repeat(marker.len());
            prefixed(inner, marker, &indent)
        });
        items
            .collect::<Vec<_>>()
            .join(if loose { "\n\n" } else { "\n" })
    }

    fn figure(&mut self, index: usize) -> Vec<String> {
        let node = self.node(index);
        let is_caption = |c: &usize| self.tree.nodes[*c].name == "figcaption";
        let (captions, rest): (Vec<usize>, Vec<usize>) =
            node.children.iter().copied().partition(is_caption);
        let mut blocks = self.blocks(&rest);
        let mut caption = String::new();
        for index in &captions {
            self.raw_children(*index, &mut caption);
        }
        let caption = caption.trim();
        if caption.is_empty() || blocks.is_empty() {
            for index in captions {
                blocks.extend(self.paragraphs(&self.node(index).children));
            }
            return blocks;
        }
        blocks.insert(0, "<figure>".to_owned());
        blocks.push(format!("<figcaption>{caption}</figcaption>\n</figure>"));
        blocks
    }

    fn details(&mut self, index: usize) -> Vec<String> {
        let node = self.node(index);
        let is_summary = |c: &usize| self.tree.nodes[*c].name == "summary";
        let (summaries, rest): (Vec<usize>, Vec<usize>) =
            node.children.iter().copied().partition(is_summary);
        let mut summary = String::new();
        for index in summaries {
            self.raw_children(index, &mut summary);
        }
        let mut blocks = vec![format!("<details>\n<summary>{}</summary>", summary.trim())];
        blocks.extend(self.blocks(&rest));
        blocks.push("</details>".to_owned());
        blocks
    }

    /// Films, sounds and windows to other sites: a link, because pages ask nothing of other hosts.
    fn embedded(&mut self, index: usize) -> Vec<String> {
        let node = self.node(index);
        let source = node.children.iter().map(|c| self.node(*c));
        let source = source
            .filter(|n| n.name == "source")
            .find_map(|n| n.attribute("src"));
        let lazy = node.attribute("data-src");
        let Some(address) = node.attribute("src").or(source).or(lazy) else {
            return Vec::new();
        };
        let address = watched(address);
        let title = node.attribute("title").or(node.attribute("aria-label"));
        let host = address
            .split('/')
            .nth(2)
            .filter(|_| address.contains("://"));
        let shown = match (node.name.as_str(), title) {
            (_, Some(title)) => title.to_owned(),
            ("iframe" | "embed", None) => host.unwrap_or(&address).to_owned(),
            _ => address.rsplit('/').next().unwrap_or_default().to_owned(),
        };
        let mut words = String::new();
        push_words(&shown, &mut words);
        link_of(&words, &address).map_or_else(Vec::new, |link| vec![link])
    }

    fn table(&mut self, index: usize) -> String {
        let rows = self.rows(index);
        let width = rows.iter().map(Vec::len).max().unwrap_or(0);
        let is_plain = |cell: &usize| {
            let node = self.node(*cell);
            let blocks = node
                .children
                .iter()
                .filter(|c| self.node(**c).is_block)
                .count();
            blocks == 0
                && node
                    .attribute("colspan")
                    .or(node.attribute("rowspan"))
                    .is_none_or(|n| n == "1")
        };
        let headed = rows
            .first()
            .is_some_and(|row| row.iter().all(|c| self.node(*c).name == "th"));
        if !headed || width == 0 || !rows.iter().flatten().all(is_plain) {
            return self.raw_block(index);
        }
        let mut lines = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            let mut line = "|".to_owned();
            for column in 0..width {
                let mut words = String::new();
                if let Some(cell) = row.get(column) {
                    self.node(*cell)
                        .children
                        .iter()
                        .for_each(|c| self.inline(*c, &mut words));
                }
                let words = words.trim_matches([BREAK, PARAGRAPH, ' ', '\n']);
                let words = words
                    .replace([BREAK, PARAGRAPH], "<br>")
                    .replace('|', "\\|");
                line.push_str(&format!(" {} |", words.replace('\n', " ").trim()));
            }
            lines.push(line);
            if number == 0 {
                lines.push(format!("|{}", " --- |".repeat(width)));
            }
        }
        if lines.iter().any(|line| line.len() > LINE_BYTES_MAX) {
            return self.raw_block(index);
        }
        lines.join("\n")
    }

    /// Cells of a table by rows, whatever stands between.
    fn rows(&self, table: usize) -> Vec<Vec<usize>> {
        let is_cell = |c: &usize| matches!(self.node(*c).name.as_str(), "td" | "th");
        let mut rows = Vec::new();
        let mut next = vec![table];
        while let Some(index) = next.pop() {
            let node = self.node(index);
            if node.name == "tr" {
                rows.push(node.children.iter().copied().filter(is_cell).collect());
            } else if !is_cell(&index) && (node.name != "table" || index == table) {
                next.extend(node.children.iter().rev());
            }
        }
        rows
    }

    /// An element as raw HTML without empty lines, which would end it.
    fn raw_block(&mut self, index: usize) -> String {
        let mut html = String::new();
        self.raw(index, &mut html);
        html.trim().to_owned()
    }

    fn raw_children(&mut self, index: usize, html: &mut String) {
        for child in &self.node(index).children {
            self.raw(*child, html);
        }
    }

    fn raw(&mut self, index: usize, html: &mut String) {
        let node = self.node(index);
        let name = match node.name.as_str() {
            "" => return self.raw_words(&node.words, html),
            name if SILENT.contains(&name) => return,
            "pre" => {
                let words = escaped(&self.tree.words(index)).replace('\n', "&#10;");
                return html.push_str(&format!("<pre>{words}</pre>"));
            }
            "acronym" => "abbr",
            "tt" => "code",
            "strike" => "s",
            name => name,
        };
        let drawn = RAW.contains(&name) || MARKS.contains(&name);
        let kept = attributes(node, &KEPT);
        // A row or an item begins a line, so that no line grows without end.
        if matches!(name, "tr" | "td" | "th" | "dt" | "dd" | "li" | "p") && !html.is_empty() {
            html.push('\n');
        }
        if drawn && (name != "span" || !kept.is_empty()) {
            html.push_str(&format!("<{name}{kept}>"));
        }
        self.raw_children(index, html);
        if drawn && !VOID.contains(&name) && (name != "span" || !kept.is_empty()) {
            html.push_str(&format!("</{name}>"));
        } else if !drawn && node.is_block {
            html.push(' ');
        }
    }

    fn raw_words(&self, words: &str, html: &mut String) {
        let mut run = String::new();
        self.push_blanks(words, &mut run, |c, _, _, run| {
            run.push_str(&escaped(c.encode_utf8(&mut [0; 4])));
        });
        let run = run.replace([BREAK, PARAGRAPH], "<br>");
        // Between rows and items nothing is said.
        if run.trim().is_empty() && html.ends_with(['>', ' ', '\n']) {
            return;
        }
        html.push_str(&broken_at_blanks(&run));
    }

    /// Words within a line.
    fn inline(&mut self, index: usize, run: &mut String) {
        let node = self.node(index);
        match node.name.as_str() {
            "" => self.words(&node.words, run),
            name if SILENT.contains(&name) => {}
            "br" => run.push(BREAK),
            "strong" | "b" => self.marked(index, "**", "strong", run),
            "em" | "i" => self.marked(index, "*", "em", run),
            "del" | "s" | "strike" => self.marked(index, "~~", "del", run),
            "code" | "tt" => run.push_str(&code(&self.tree.words(index))),
            "a" => self.link(index, run),
            "img" => self.image(node, run),
            "input" if node.attribute("type") == Some("checkbox") => {
                let done = node.attributes.iter().any(|(name, _)| name == "checked");
                run.push_str(if done { "[x] " } else { "[ ] " });
            }
            "acronym" => self.tagged(index, "abbr", run),
            name if MARKS.contains(&name) => self.tagged(index, name, run),
            "iframe" | "video" | "audio" | "embed" => {
                let link = self.embedded(index).concat();
                run.push_str(&link);
            }
            _ => {
                if node.is_block && !run.is_empty() {
                    run.push(BREAK);
                }
                run.push_str(&self.anchor(node));
                node.children
                    .iter()
                    .for_each(|child| self.inline(*child, run));
                if node.is_block {
                    run.push(BREAK);
                }
            }
        }
    }

    /// Words as Markdown spells them; where line ends count, they become breaks.
    fn words(&self, words: &str, run: &mut String) {
        self.push_blanks(words, run, push_char);
    }

    /// Pushes letters, each told its neighbors, and of blanks between them what they mean.
    fn push_blanks(
        &self,
        words: &str,
        run: &mut String,
        mut push: impl FnMut(char, Option<char>, Option<char>, &mut String),
    ) {
        let mut before = run.chars().next_back();
        let mut ends = 0;
        let mut letters = words.chars().peekable();
        while let Some(c) = letters.next() {
            if matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}') {
                ends += usize::from(c == '\n');
                if !run.ends_with([' ', BREAK, PARAGRAPH]) {
                    run.push(' ');
                }
            } else {
                self.push_line_ends(mem::take(&mut ends), run);
                push(c, before, letters.peek().copied(), run);
            }
            before = Some(c);
        }
        self.push_line_ends(ends, run);
    }

    fn push_line_ends(&self, ends: usize, run: &mut String) {
        if ends == 0 || !self.manner.lines {
            return;
        }
        if run.ends_with(' ') {
            run.pop();
        }
        match ends {
            // A line end behind `<br>` is there for whoever reads the source.
            1 if run.ends_with(BREAK) => {}
            1 => run.push(BREAK),
            _ => run.push(PARAGRAPH),
        }
    }

    /// Emphasis: Markdown's sign where it is read as one, the tag elsewhere.
    fn marked(&mut self, index: usize, sign: &str, tag: &str, run: &mut String) {
        let mut inner = String::new();
        self.node(index)
            .children
            .iter()
            .for_each(|c| self.inline(*c, &mut inner));
        let blank = [' ', BREAK, PARAGRAPH];
        let words = inner.trim_matches(blank);
        let start = inner.len() - inner.trim_start_matches(blank).len();
        if words.is_empty() {
            run.push_str(&inner);
            return;
        }
        if !run.ends_with(blank) {
            run.push_str(&inner[..start]);
        }
        for (number, part) in words.split(PARAGRAPH).enumerate() {
            if number > 0 {
                run.push(PARAGRAPH);
            }
            let part = part.trim_matches(blank);
            if part.is_empty() {
                continue;
            }
            let edges =
                part.starts_with(char::is_alphanumeric) && part.ends_with(char::is_alphanumeric);
            if edges && !run.ends_with(['*', '~']) {
                run.push_str(&format!("{sign}{part}{sign}"));
            } else {
                run.push_str(&format!("<{tag}>{part}</{tag}>"));
            }
        }
        run.push_str(&inner[start + words.len()..]);
    }

    fn tagged(&mut self, index: usize, tag: &str, run: &mut String) {
        let node = self.node(index);
        run.push_str(&self.anchor(node));
        let kept = attributes(node, &["datetime", "dir", "lang", "title"]);
        let mut inner = String::new();
        node.children
            .iter()
            .for_each(|c| self.inline(*c, &mut inner));
        let bare = tag == "span" && kept.is_empty() || inner.contains(PARAGRAPH);
        if bare || inner.trim().is_empty() || tag == "wbr" {
            run.push_str(&inner);
        } else {
            run.push_str(&format!("<{tag}{kept}>{inner}</{tag}>"));
        }
    }

    fn link(&mut self, index: usize, run: &mut String) {
        let node = self.node(index);
        run.push_str(&self.anchor(node));
        let mut inner = String::new();
        node.children
            .iter()
            .for_each(|c| self.inline(*c, &mut inner));
        let words = inner.replace([BREAK, PARAGRAPH], " ");
        let link = node
            .attribute("href")
            .and_then(|href| link_of(words.trim(), href));
        let Some(link) = link else {
            run.push_str(&inner);
            return;
        };
        if words.starts_with(' ') {
            run.push(' ');
        }
        // A "!" before a link would make a picture of it.
        if run.ends_with('!') {
            run.pop();
            run.push_str("\\!");
        }
        run.push_str(&link);
        if words.ends_with(' ') {
            run.push(' ');
        }
    }

    fn image(&mut self, node: &Node, run: &mut String) {
        let alt = node
            .attribute("alt")
            .or(node.attribute("title"))
            .unwrap_or_default();
        let mut words = String::new();
        push_words(&one_line(alt), &mut words);
        if node.has_class("wp-smiley") || node.has_class("emoji") {
            return run.push_str(&words);
        }
        let is_far = |src: &&str| !src.starts_with("data:");
        let lazy = ["src", "data-src", "data-lazy-src", "data-orig-file"];
        let source = lazy
            .iter()
            .filter_map(|name| node.attribute(name))
            .find(is_far);
        let Some(source) = source else {
            self.notes
                .insert("a picture that is written into the text itself was left out".to_owned());
            return run.push_str(&words);
        };
        let dot = |name| node.attribute(name) == Some("1");
        // What counts readers shows them nothing.
        if dot("width") && dot("height") {
            return;
        }
        run.push_str(&format!("![{words}]({})", destination(source)));
    }
}

#[cfg(test)]
mod tests;
