//! A Markdown body as an entry can hold it (SPEC entry 1.2, 1.3, 2.5).

use std::{collections::BTreeSet, ops::Range};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};
use spokes_log::{draft::BODY_BYTES_MAX, text::LINE_BYTES_MAX};

/// What readers' pages understand, so that code is told from words here as there.
pub(crate) fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
}

/// Gives a body its one spelling; `first_line` is the number of its first line in the file.
///
/// Line ends become LF; blanks at line ends go, and where two of them broke a line a backslash
/// does; empty lines at both ends go.
///
/// # Errors
/// Names the line that no entry can hold.
pub(crate) fn canonical(body: &str, first_line: usize) -> Result<String, String> {
    let body = body.replace("\r\n", "\n").replace('\r', "\n");
    let marks = Marks::of(&body);
    let mut lines = Vec::new();
    for (index, line) in body.split('\n').enumerate() {
        let number = first_line + index;
        if let Some(control) = line.chars().find(|c| is_refused(*c)) {
            return Err(format!(
                "line {number} holds the control character U+{:04X}; remove it",
                u32::from(control)
            ));
        }
        let line = marks.mended(index, line);
        if line.len() > LINE_BYTES_MAX {
            return Err(format!(
                "line {number} has {} bytes; break it, a line holds at most {LINE_BYTES_MAX}",
                line.len()
            ));
        }
        lines.push(line);
    }
    let text = lines.join("\n").trim_matches('\n').to_owned();
    if text.len() > BODY_BYTES_MAX {
        return Err(format!(
            "the text has {} bytes, the limit is {BODY_BYTES_MAX}; make two articles of it",
            text.len()
        ));
    }
    Ok(text)
}

/// SPEC entry 1.2; a tab may stay inside a line.
fn is_refused(c: char) -> bool {
    c != '\t' && (c.is_control() || c == '\u{feff}')
}

/// What blanks at the ends of lines mean to a reader of the Markdown.
struct Marks {
    /// Lines, from 0, whose blanks break the line.
    breaks: BTreeSet<usize>,
    /// Lines, from 0, where a backslash is nothing but itself.
    literal: BTreeSet<usize>,
}

impl Marks {
    fn of(body: &str) -> Self {
        let starts: Vec<usize> = std::iter::once(0)
            .chain(body.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let line_at = |offset: usize| starts.partition_point(|start| *start <= offset) - 1;
        let lines_of = |range: &Range<usize>| {
            line_at(range.start)..=line_at(range.end.saturating_sub(1).max(range.start))
        };
        let mut marks = Self {
            breaks: BTreeSet::new(),
            literal: BTreeSet::new(),
        };
        for (event, range) in Parser::new_ext(body, options()).into_offset_iter() {
            match event {
                Event::HardBreak if !body[range.clone()].starts_with('\\') => {
                    marks.breaks.insert(line_at(range.start));
                }
                Event::Start(Tag::CodeBlock(
                    CodeBlockKind::Indented | CodeBlockKind::Fenced(_),
                ))
                | Event::Start(Tag::HtmlBlock)
                | Event::Code(_)
                | Event::InlineHtml(_) => marks.literal.extend(lines_of(&range)),
                _ => {}
            }
        }
        marks
    }

    fn mended(&self, index: usize, line: &str) -> String {
        let kept = line.trim_end_matches([' ', '\t']);
        let breaks = self.breaks.contains(&index);
        if kept.len() == line.len() || kept.is_empty() {
            return kept.to_owned();
        }
        let backslashes = kept.len() - kept.trim_end_matches('\\').len();
        // A lone backslash before the blanks stood for itself; at the end it would break the line.
        let lone = backslashes % 2 == 1 && (breaks || !self.literal.contains(&index));
        let escape = if lone { "\\" } else { "" };
        let hard = if breaks { "\\" } else { "" };
        format!("{kept}{escape}{hard}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use pulldown_cmark::html::push_html;
    use spokes_log::{draft::Says, entry::Entry, seal::SealedEntry, secret::SecretKey};

    use super::*;
    use crate::author::{chain_for_tests, now, session};

    static FIRST: LazyLock<SealedEntry> = LazyLock::new(|| {
        let mut key = SecretKey::generate("Maria", now() - 60).expect("a key");
        chain_for_tests(&mut key, &[]).remove(0)
    });

    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(canonical(body, 1).as_deref(), Ok(expected), "{body:?}");
    }

    fn html(markdown: &str) -> String {
        let mut html = String::new();
        push_html(&mut html, Parser::new_ext(markdown, options()));
        html
    }

    #[test]
    fn bodies_get_one_spelling() {
        check("", "");
        check("\n\na\r\nb\rc\n\n", "a\nb\nc");
        check("one  \ntwo", "one\\\ntwo");
        check("one \ntwo\t\n", "one\ntwo");
        check("last line  \n", "last line");
        check("```\nlet a;  \nb\\ \n```", "```\nlet a;\nb\\\n```");
        check("    code  \n    more", "    code\n    more");
        check("> quoted  \n> more", "> quoted\\\n> more");
        check("- item   \n  more", "- item\\\n  more");
        check("a\tb", "a\tb");
        check("end\\  \nnext", "end\\\\\\\nnext");
        check("end\\ \nnext", "end\\\\\nnext");
        check("   \n\ntext\n   ", "text");
    }

    #[test]
    fn what_no_entry_holds_is_named() {
        for (body, line) in [
            ("a\nb\u{7}", "line 11"),
            ("\u{85}", "line 10"),
            ("a\n\n\u{feff}b", "line 12"),
            (&"x".repeat(16_001) as &str, "line 10"),
            (&"word\n".repeat(300_000) as &str, "limit"),
        ] {
            let why = canonical(body, 10).expect_err("refused");
            assert!(why.contains(line), "{why}");
        }
    }

    #[test]
    fn breaks_read_as_before() {
        for body in ["one  \ntwo", "*a*  \n**b**", "> q  \n> r", "1. a  \n   b"] {
            let after = canonical(body, 1).expect("sound");
            assert_eq!(html(body), html(&after), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn the_result_is_canonical_and_stays(
            body in "([a-z\\\\`> *#-]|  |\n|\r\n|\t|\\PC){0,80}"
        ) {
            if let Ok(once) = canonical(&body, 1) {
                prop_assert!(spokes_log::text::check(once.as_bytes()).is_ok(), "{:?}", once);
                let (skeleton, id) = (FIRST.entry().skeleton(), FIRST.entry().id());
                let says = Says::Other("note".to_owned());
                let draft = session::draft(says, once.clone()).expect("a draft");
                let authors = skeleton.authors.clone();
                let entry = Entry::new(&draft, Some((skeleton, id)), authors, skeleton.signed);
                prop_assert_eq!(
                    entry.ok().and_then(|e| Some(e.draft()?.body.clone())),
                    Some(once.clone())
                );
                let twice = canonical(&once, 1);
                prop_assert_eq!(twice.as_deref(), Ok(once.as_str()));
            }
        }
    }
}
