//! Words, addresses and code as Markdown spells them.

use super::Node;

/// Words in one line before it is broken at a blank; an entry holds 16,000 bytes (SPEC entry 1.3).
pub(super) const LINE_BYTES_MAX: usize = 8_000;

/// A link, where its address is one that pages may lead to.
pub(super) fn link_of(words: &str, href: &str) -> Option<String> {
    let scheme = href
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    let scheme = scheme.filter(|s| s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+'));
    let leads = scheme.is_none_or(|s| matches!(s.as_str(), "http" | "https" | "mailto"));
    (leads && !words.is_empty()).then(|| format!("[{words}]({})", destination(href)))
}

/// An address as Markdown's brackets can hold it.
pub(super) fn destination(address: &str) -> String {
    let mut written = String::new();
    for c in address.chars() {
        match c {
            '(' => written.push_str("%28"),
            ')' => written.push_str("%29"),
            '<' => written.push_str("%3C"),
            '>' => written.push_str("%3E"),
            '\\' => written.push_str("%5C"),
            c if c.is_whitespace() || c.is_control() => written.push_str("%20"),
            c => written.push(c),
        }
    }
    // What looks like an entity would be read as one.
    if written.contains(';') {
        written.replace('&', "&amp;")
    } else {
        written
    }
}

pub(super) fn push_words(words: &str, run: &mut String) {
    let mut before = None;
    let mut letters = words.chars().peekable();
    while let Some(c) = letters.next() {
        push_char(c, before, letters.peek().copied(), run);
        before = Some(c);
    }
}

/// One letter, with a backslash where Markdown would see more in it.
pub(super) fn push_char(c: char, before: Option<char>, next: Option<char>, run: &mut String) {
    let inner = |side: Option<char>| side.is_some_and(char::is_alphanumeric);
    let signs = match c {
        '\\' | '`' | '*' | '[' | ']' | '<' | '~' => true,
        '_' => !(inner(before) && inner(next)),
        '&' => next.is_some_and(|n| n.is_ascii_alphabetic() || n == '#'),
        _ => false,
    };
    if signs {
        run.push('\\');
    }
    run.push(c);
}

/// A line, in several where it is long, none of which begins like something else.
pub(super) fn broken(line: &str) -> String {
    let lines = broken_at_blanks(line);
    lines
        .split('\n')
        .map(with_plain_start)
        .collect::<Vec<_>>()
        .join("\n")
}

pub(super) fn broken_at_blanks(line: &str) -> String {
    let mut rest = line;
    let mut lines = Vec::new();
    while rest.len() > LINE_BYTES_MAX {
        let mut end = LINE_BYTES_MAX;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let Some(blank) = rest[..end].rfind(' ').or(rest.find(' ')) else {
            break;
        };
        lines.push(&rest[..blank]);
        rest = &rest[blank + 1..];
    }
    lines.push(rest);
    lines.join("\n")
}

/// A backslash before what would make a heading, a list, a rule or a table of a line of words.
pub(super) fn with_plain_start(line: &str) -> String {
    let line = line.trim_matches([' ', '\t']);
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let behind = &line[digits..];
    let is_marker = |rest: &str| rest.is_empty() || rest.starts_with([' ', '\t']);
    if (1..=9).contains(&digits) && behind.starts_with(['.', ')']) && is_marker(&behind[1..]) {
        return format!("{}\\{behind}", &line[..digits]);
    }
    let level = line.len() - line.trim_start_matches('#').len();
    let starts = match line.chars().next() {
        Some('#') => level <= 6 && is_marker(&line[level..]),
        Some('>') => true,
        Some('+' | '-') if is_marker(&line[1..]) => true,
        Some('-' | '=' | '|' | ':' | '+') => line.chars().all(|c| "-=|: +".contains(c)),
        _ => false,
    };
    if starts {
        format!("\\{line}")
    } else {
        line.to_owned()
    }
}

/// Words of code between as many backticks as they need.
pub(super) fn code(words: &str) -> String {
    let words: String = words
        .split(['\n', '\r'])
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ");
    if words.trim().is_empty() {
        return words;
    }
    let fence = "`".repeat(longest_run(&words, '`') + 1);
    let blank = if words.starts_with('`') || words.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{blank}{}{blank}{fence}", words.trim())
}

pub(super) fn longest_run(words: &str, sign: char) -> usize {
    words.split(|c| c != sign).map(str::len).max().unwrap_or(0)
}

pub(super) fn language_of(node: &Node) -> Option<String> {
    let classes = node
        .attribute("class")
        .unwrap_or_default()
        .replace("brush: ", "language-");
    let named = classes.split([' ', ';']).find_map(|class| {
        class
            .strip_prefix("language-")
            .or(class.strip_prefix("lang-"))
            .map(str::to_owned)
    });
    let named = named.or(node.attribute("data-lang").map(str::to_owned));
    named.filter(|name| {
        name.chars()
            .all(|c| c.is_alphanumeric() || "+-#.".contains(c))
    })
}

/// The page on which a film is watched, instead of the window that shows it elsewhere.
pub(super) fn watched(address: &str) -> String {
    let address = match address.strip_prefix("//") {
        Some(rest) => format!("https://{rest}"),
        None => address.to_owned(),
    };
    for host in [
        "https://www.youtube.com/embed/",
        "https://www.youtube-nocookie.com/embed/",
    ] {
        if let Some(id) = address.strip_prefix(host) {
            let id = id.split(['?', '&', '#']).next().unwrap_or_default();
            return format!("https://www.youtube.com/watch?v={id}");
        }
    }
    address
}

/// Attributes that are kept, written anew.
pub(super) fn attributes(node: &Node, kept: &[&str]) -> String {
    let mut written = String::new();
    for (name, value) in &node.attributes {
        let leads = name != "href" || link_of("x", value.trim()).is_some();
        if kept.contains(&name.as_str()) && !value.trim().is_empty() && leads {
            let value = crate::author::matter::one_line(value);
            written.push_str(&format!(" {name}=\"{}\"", escaped(&value)));
        }
    }
    written
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A block whose first line begins one way and all others another.
pub(super) fn prefixed(block: &str, first: &str, other: &str) -> String {
    let lines = block.split('\n').enumerate().map(|(number, line)| {
        let prefix = if number == 0 { first } else { other };
        format!("{prefix}{line}").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}
