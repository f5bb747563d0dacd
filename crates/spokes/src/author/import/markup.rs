//! What generators make of a text before and beside Markdown: Liquid's and Zola's tags, kramdown's
//! attributes. What has a meaning here gets it, the rest is named.

use std::{collections::BTreeSet, ops::Range};

use pulldown_cmark::{Event, Parser, Tag};

use crate::author::body;

/// A text without what only its generator understands.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Mended {
    pub(super) body: String,
    pub(super) notes: Vec<String>,
}

/// Mends a body. `liquid` says that the text is one of Jekyll's kin: YAML above it.
pub(super) fn mended(text: &str, title: Option<&str>, liquid: bool) -> Mended {
    let mut notes = BTreeSet::new();
    let mut body = text.to_owned();
    if text.contains("{%") || text.contains("{{") {
        body = if liquid {
            filled(&body, title, &mut notes)
        } else {
            body
        };
        if !liquid {
            shortcodes(&body, &mut notes);
        }
    }
    if liquid && body.contains("{:") {
        body = without_attributes(&body);
    }
    if body.contains("{#") {
        body = with_anchors(&body);
    }
    if body.contains("markdown=") {
        body = opened(&body);
    }
    Mended {
        body,
        notes: notes.into_iter().collect(),
    }
}

/// Form feeds and the like, which show nothing: the text without them, and in which lines they were.
pub(super) fn without_controls(text: &str) -> (String, Vec<usize>) {
    let unseen = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(unseen));
    let lines = lines.map(|(index, _)| index + 1).collect();
    // A page's end parted words; what else there is, was in the middle of one.
    let kept = text.chars().filter_map(|c| match c {
        '\u{b}' | '\u{c}' => Some(' '),
        c if unseen(c) => None,
        c => Some(c),
    });
    (kept.collect(), lines)
}

/// Places of code, where nothing is mended.
fn code(text: &str) -> Vec<Range<usize>> {
    let events = Parser::new_ext(text, body::options()).into_offset_iter();
    let code = events
        .filter(|(event, _)| matches!(event, Event::Code(_) | Event::Start(Tag::CodeBlock(_))));
    code.map(|(_, range)| range).collect()
}

fn is_in(code: &[Range<usize>], at: usize) -> bool {
    let next = code.partition_point(|range| range.end <= at);
    code.get(next).is_some_and(|range| range.contains(&at))
}

/// Liquid's tags filled in.
fn filled(text: &str, title: Option<&str>, notes: &mut BTreeSet<String>) -> String {
    let code = code(text);
    let mut filled = String::with_capacity(text.len());
    let (mut at, mut raw) = (0, false);
    while let Some(begin) = text[at..]
        .find("{%")
        .into_iter()
        .chain(text[at..].find("{{"))
        .min()
    {
        let begin = at + begin;
        filled.push_str(&text[at..begin]);
        let close = if text[begin..].starts_with("{%") {
            "%}"
        } else {
            "}}"
        };
        let Some(end) = text[begin + 2..].find(close) else {
            at = begin;
            break;
        };
        let inner = text[begin + 2..begin + 2 + end]
            .trim()
            .trim_matches('-')
            .trim();
        at = begin + 2 + end + 2;
        let whole = &text[begin..at];
        let name = inner.split_whitespace().next().unwrap_or_default();
        let rest = inner[name.len()..].trim();
        match (close, name) {
            ("%}", "raw") => raw = true,
            ("%}", "endraw") => raw = false,
            _ if raw || is_in(&code, begin) => filled.push_str(whole),
            ("%}", "comment") => {
                let end = text[at..].find("endcomment").and_then(|end| {
                    let behind = text[at + end..].find("%}")?;
                    Some(at + end + behind + 2)
                });
                at = end.unwrap_or(at);
            }
            ("%}", "highlight") => {
                let language = rest.split_whitespace().next().unwrap_or_default();
                filled.push_str(&format!("```{language}"));
            }
            ("%}", "endhighlight") => filled.push_str("```"),
            ("%}", "link" | "post_url") => filled.push_str(&format!("@/{rest}")),
            ("%}", _) => {
                notes.insert(format!("the template's \"{}\" was left out", short(whole)));
            }
            (_, "site.baseurl" | "site.url") => {}
            (_, "page.title") => filled.push_str(title.unwrap_or_default()),
            _ => match quoted_path(inner) {
                Some(path) => filled.push_str(path),
                None => {
                    notes.insert(format!(
                        "the template's \"{}\" stands as it is",
                        short(whole)
                    ));
                    filled.push_str(whole);
                }
            },
        }
    }
    filled.push_str(&text[at..]);
    filled
}

/// `"/path" | relative_url`.
fn quoted_path(inner: &str) -> Option<&str> {
    let (path, filter) = inner.split_once('|')?;
    let path = path.trim();
    let quoted = path.strip_prefix('"').and_then(|p| p.strip_suffix('"'));
    let quoted = quoted.or_else(|| path.strip_prefix('\'')?.strip_suffix('\''));
    quoted.filter(|_| matches!(filter.trim(), "relative_url" | "absolute_url"))
}

fn short(tag: &str) -> String {
    let tag = crate::author::matter::one_line(tag);
    let end = tag.char_indices().nth(40).map(|(at, _)| at);
    end.map_or(tag.clone(), |end| format!("{}…", &tag[..end]))
}

/// Zola's shortcodes are named; what they draw, only their site knows.
fn shortcodes(text: &str, notes: &mut BTreeSet<String>) {
    let code = code(text);
    for (at, _) in text.match_indices("{{").chain(text.match_indices("{%")) {
        let inner = text[at + 2..].trim_start();
        let length = inner
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(0);
        let is_call = length > 0 && inner[length..].starts_with('(');
        if is_call && !is_in(&code, at) {
            notes.insert(format!(
                "the template's \"{}(…)\" stands as it is",
                &inner[..length]
            ));
        }
    }
}

/// kramdown's attributes and options taken out.
fn without_attributes(text: &str) -> String {
    let code = code(text);
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for (begin, _) in text.match_indices("{:") {
        if begin < at || is_in(&code, begin) {
            continue;
        }
        let Some(end) = text[begin..].find('}').map(|end| begin + end) else {
            break;
        };
        let inner = &text[begin + 2..end];
        if inner.contains('\n') || !is_attribute(inner) {
            continue;
        }
        kept.push_str(&text[at..begin]);
        at = end + 1;
        if inner.trim() == "toc" {
            // The list whose place a table of contents takes.
            let before = kept.trim_end_matches('\n').len();
            let line = kept[..before].rfind('\n').map_or(0, |at| at + 1);
            if kept[line..before].trim_start().starts_with(['*', '-', '1']) {
                kept.truncate(line);
            }
        }
        if inner.starts_with(":comment") {
            let end = text[at..]
                .find("{:/comment}")
                .or_else(|| text[at..].find("{:/}"));
            let end =
                end.and_then(|end| text[at + end..].find('}').map(|more| at + end + more + 1));
            at = end.unwrap_or(at);
        }
        // A line of nothing but attributes goes whole.
        let alone = kept.is_empty() || kept.ends_with('\n');
        if let Some(rest) = text[at..].strip_prefix('\n').filter(|_| alone) {
            at = text.len() - rest.len();
        }
    }
    kept.push_str(&text[at..]);
    kept
}

/// Whether what stands in `{:…}` is kramdown's, not a format of some program.
fn is_attribute(inner: &str) -> bool {
    let words = inner.trim();
    words.starts_with([':', '/', '.', '#'])
        || words.contains("=\"")
        || matches!(words, "toc" | "no_toc")
        || words.ends_with(" no_toc")
}

/// `## Heading {#place}`: the place stays, for links that lead to it.
fn with_anchors(text: &str) -> String {
    let code = code(text);
    let mut at = 0;
    let lines = text.split_inclusive('\n').map(|line| {
        let begin = at;
        at += line.len();
        let bare = line.trim_end();
        let level = bare.len() - bare.trim_start_matches('#').len();
        let found = bare
            .strip_suffix('}')
            .and_then(|rest| rest.rsplit_once("{#"));
        let Some((words, id)) = found.filter(|_| (1..=6).contains(&level)) else {
            return line.to_owned();
        };
        let is_id = id
            .chars()
            .all(|c| c.is_alphanumeric() || "-_.:".contains(c));
        let words = words[level..].trim();
        if !is_id || is_in(&code, begin) {
            return line.to_owned();
        }
        let end = &line[bare.len()..];
        format!("{} <span id=\"{id}\"></span>{words}{end}", &bare[..level])
    });
    lines.collect()
}

/// `<div markdown="1">` holds Markdown: it gets the empty lines that say so everywhere.
fn opened(text: &str) -> String {
    let code = code(text);
    let mut opened = String::with_capacity(text.len());
    // Names that their closing tags get, from the outside in.
    let mut open: Vec<(&str, &str)> = Vec::new();
    let mut at = 0;
    for (begin, _) in text.match_indices('<') {
        if begin < at || is_in(&code, begin) {
            continue;
        }
        let rest = &text[begin..];
        let Some(end) = rest.find('>').map(|end| end + 1) else {
            break;
        };
        let tag = &rest[..end];
        let closes = tag.starts_with("</");
        let name = tag.trim_start_matches(['<', '/']);
        let name = &name[..name
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(name.len())];
        let written = if closes {
            let Some((_, known)) = open.last().filter(|(last, _)| *last == name) else {
                continue;
            };
            let known = *known;
            open.pop();
            if known.is_empty() || known == "span" {
                known.to_owned()
            } else {
                format!("/{known}")
            }
        } else if let Some(kept) = without_markdown(tag) {
            let known = drawn_as(name, tag);
            open.push((name, known));
            kept.replacen(name, known, 1)
        } else {
            if open.iter().any(|(other, _)| *other == name) && !tag.ends_with("/>") {
                open.push((name, name));
            }
            continue;
        };
        opened.push_str(&text[at..begin]);
        at = begin + end;
        match written.as_str() {
            "" => opened.push_str("\n\n"),
            // Marks words in the middle of a line.
            "span" => opened.push_str("</span>"),
            tag if tag.starts_with("<span") => opened.push_str(tag),
            "<>" => opened.push_str("\n\n"),
            tag if tag.starts_with('/') => opened.push_str(&format!("\n\n<{tag}>\n\n")),
            tag if tag.starts_with("< ") => opened.push_str("\n\n"),
            tag => opened.push_str(&format!("\n\n{tag}\n\n")),
        }
    }
    opened.push_str(&text[at..]);
    with_single_gaps(&opened)
}

/// A tag without its attribute `markdown`; none when it has none, or says that it holds none.
fn without_markdown(tag: &str) -> Option<String> {
    ["1", "block", "span"].iter().find_map(|value| {
        let spelled = [
            format!("markdown=\"{value}\""),
            format!("markdown='{value}'"),
        ];
        let found = spelled
            .iter()
            .find(|spelled| tag.contains(spelled.as_str()))?;
        let kept = tag.replacen(found.as_str(), "", 1);
        Some(
            kept.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .replace(" >", ">"),
        )
    })
}

/// What readers' pages draw instead: a paragraph needs no tag, a quotation beside the text is one.
fn drawn_as<'a>(name: &'a str, tag: &str) -> &'a str {
    match name {
        "p" => "",
        "aside" if tag.contains("quote") => "blockquote",
        "aside" | "section" | "article" | "main" | "nav" | "header" | "footer" => "div",
        name => name,
    }
}

/// Outside code, one empty line is as many as several.
fn with_single_gaps(text: &str) -> String {
    let code = code(text);
    let mut kept: Vec<&str> = Vec::new();
    let mut at = 0;
    for line in text.split('\n') {
        let begin = at;
        at += line.len() + 1;
        let is_empty = line.trim().is_empty();
        if is_empty && !is_in(&code, begin) && kept.last().is_some_and(|last| last.is_empty()) {
            continue;
        }
        kept.push(if is_empty && !is_in(&code, begin) {
            ""
        } else {
            line
        });
    }
    kept.join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mended = mended(text, Some("T"), true);
        let notes: Vec<_> = mended
            .notes
            .iter()
            .map(|note| format!("\n! {note}"))
            .collect();
        assert_eq!(mended.body + &notes.concat(), expected, "{text}");
    }

    #[test]
    fn liquid_is_filled_in_or_named() {
        check("[a]({{ site.baseurl }}/x) {{page.title}}", "[a](/x) T");
        check(
            "[a]({% post_url 2020-01-02-day %}) [b]({% link a/b.md %})",
            "[a](@/2020-01-02-day) [b](@/a/b.md)",
        );
        check(
            "![x]({{ '/img/a.png' | relative_url }})",
            "![x](/img/a.png)",
        );
        check(
            "{% highlight rust linenos %}\nfn\n{% endhighlight %}",
            "```rust\nfn\n```",
        );
        check(
            "{% raw %}{{ a }}{% endraw %} a{% comment %}b{% endcomment %}c",
            "{{ a }} ac",
        );
        check(
            "`{{ a }}`\n\n```\n{% b %}\n```",
            "`{{ a }}`\n\n```\n{% b %}\n```",
        );
        check(
            "a{%- include x.html -%}b {{ site.time }}",
            "ab {{ site.time }}\n! the template's \"{%- include x.html -%}\" was left out\n\
             ! the template's \"{{ site.time }}\" stands as it is",
        );
        check("a {{ b", "a {{ b");
    }

    #[test]
    fn zolas_shortcodes_are_named() {
        let text = "{{ youtube(id=\"x\") }} {{not}} `{{ a() }}`";
        let mended = mended(text, None, false);
        assert_eq!((mended.body.as_str(), mended.notes.len()), (text, 1));
    }

    #[test]
    fn kramdowns_attributes_are_not_shown() {
        check(
            "a{: .b}\n{: .c #d}\nc [x](y){:target=\"_blank\"}",
            "a\nc [x](y)",
        );
        check("* TOC\n{:toc}\n\n# A\n", "\n# A\n");
        check(
            "{::options toc_levels=\"1\" /}\na{::comment}b{:/comment}c",
            "ac",
        );
        check("`{: .x}` and {:?} {:>8}", "`{: .x}` and {:?} {:>8}");
        check(
            "## A b {#c-d}\n\n```\n# x {#y}\n```",
            "## <span id=\"c-d\"></span>A b\n\n```\n# x {#y}\n```",
        );
    }

    #[test]
    fn markdown_within_html_is_read() {
        check(
            "<aside markdown=\"1\" class=\"pquote\">\n  <img src=\"x\">\nWords [a](b).\n  <p markdown=\"1\" class=\"credit\">\n— me, [c](d)\n  </p>\n</aside>\n\nAfter",
            "\n\n<blockquote class=\"pquote\">\n\n  <img src=\"x\">\nWords [a](b).\n\n— me, [c](d)\n\n</blockquote>\n\nAfter"
                .trim_start_matches('\n').replacen("<blockquote", "\n<blockquote", 1).as_str(),
        );
        check(
            "a <span dir='ltr' markdown=\"1\">**b**</span> c",
            "a <span dir='ltr'>**b**</span> c",
        );
        check(
            "<div dir=\"rtl\" markdown=\"1\">\n\nx\n\n</div>",
            "\n<div dir=\"rtl\">\n\nx\n\n</div>\n",
        );
    }

    #[test]
    fn controls_are_taken_out_and_counted() {
        let (text, lines) = without_controls("a\n\u{c}\nb\u{0}c\r\n\td");
        assert_eq!(
            (text.as_str(), lines.as_slice()),
            ("a\n \nbc\r\n\td", &[2, 3][..])
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(
            text in "(\\{[%{:#]|[%}]\\}|\\}|<(div|p|span|aside) markdown=\"1\">|</(div|p|span|aside)>|raw|endraw|comment|toc|::comment|/comment|`|#|\n|é|[a-z .]){0,50}",
            liquid in any::<bool>()
        ) {
            mended(&text, Some("é"), liquid);
        }
    }
}
