//! Colors for code, as classes: comments, strings, numbers, keywords, and names of types.
//!
//! One pass over the bytes, which looks back at no more than one letter and ahead at no more than it
//! takes, so that no text costs more than its length. It knows families of languages, not grammars:
//! a reader sees where words are quoted, and a mistake costs a color, never a letter.

mod languages;

use languages::{Language, Shape};

use crate::render::raw::escape_words;

/// Longer listings are files, not quotations. They stay plain.
pub(super) const COLORED_BYTES_MAX: usize = 64 * 1024;
/// Colored words of one article. Each costs some 25 bytes of HTML, which a million of digits would
/// make 25 MB of.
pub(super) const COLORED_WORDS_MAX: usize = 20_000;
/// What stands between a character's quotes in the languages where a lone quote is something else:
/// `'\u{10ffff}'`.
const CHARACTER_BYTES_MAX: usize = 12;

/// The classes of all colored words.
pub(super) const CLASSES: [&str; 7] = ["c", "s", "n", "k", "t", "add", "cut"];

const COMMENT: &str = "c";
const STRING: &str = "s";
const NUMBER: &str = "n";
const KEYWORD: &str = "k";
const TYPE: &str = "t";
const ADDED: &str = "add";
const CUT: &str = "cut";

/// Writes code as HTML, colored if its language is known; `left` is how many words may still be.
pub(super) fn write(code: &str, info: &str, left: &mut usize, html: &mut String) {
    let language = Language::find(info).filter(|_| code.len() <= COLORED_BYTES_MAX);
    let Some(language) = language else {
        return escape_words(code, html);
    };
    let mut painter = Painter {
        code,
        at: 0,
        plain_from: 0,
        left,
        html,
    };
    match language.shape {
        Shape::Words => painter.words(language),
        Shape::Lines => painter.lines(),
        Shape::Tags => painter.tags(),
    }
    painter.plain_to(code.len());
}

/// Reads forward; what it has passed and not colored is still to be written from `plain_from` on.
struct Painter<'a> {
    code: &'a str,
    at: usize,
    plain_from: usize,
    left: &'a mut usize,
    html: &'a mut String,
}

impl<'a> Painter<'a> {
    fn rest(&self) -> &'a str {
        &self.code[self.at..]
    }

    fn plain_to(&mut self, end: usize) {
        escape_words(&self.code[self.plain_from..end], self.html);
        self.plain_from = end;
    }

    /// Colors the next bytes and goes behind them.
    fn paint(&mut self, length: usize, class: &str) {
        let (from, to) = (self.at, self.at + length);
        self.at = to;
        if length == 0 || *self.left == 0 {
            return;
        }
        *self.left -= 1;
        self.plain_to(from);
        self.html.push_str("<span class=\"");
        self.html.push_str(class);
        self.html.push_str("\">");
        escape_words(&self.code[from..to], self.html);
        self.html.push_str("</span>");
        self.plain_from = to;
    }

    /// The letter before, to tell `#` in a word from `#` before a comment.
    fn before(&self) -> Option<char> {
        self.code[..self.at].chars().next_back()
    }

    fn words(&mut self, language: &Language) {
        let openers = language.openers();
        while let Some(first) = self.rest().chars().next() {
            let rest = self.rest();
            let may_open = openers.contains(rest.as_bytes()[0]);
            if may_open && let Some(length) = comment(language, rest, self.before()) {
                self.paint(length, COMMENT);
            } else if may_open && let Some(length) = string(language, rest, self.before()) {
                let is_key = language.keys && follows_colon(&rest[length..]);
                self.paint(length, if is_key { TYPE } else { STRING });
            } else if first.is_ascii_digit() {
                self.paint(number_length(rest), NUMBER);
            } else if is_word(first) || language.sigils.contains(first) {
                self.word(language, first);
            } else {
                self.at += first.len_utf8();
            }
        }
    }

    fn word(&mut self, language: &Language, first: char) {
        let rest = self.rest();
        let dashes = language.dashes;
        let is_part = |letter: char| is_word(letter) || dashes && letter == '-';
        let behind = &rest[first.len_utf8()..];
        let length = first.len_utf8() + behind.find(|l| !is_part(l)).unwrap_or(behind.len());
        let word = &rest[..length];
        let is_keyword = if language.ignores_case {
            let is = |keyword: &&str| keyword.eq_ignore_ascii_case(word);
            language.keywords.iter().any(is)
        } else {
            // By the first byte first, which is cheaper than to call for a comparison of each.
            let begin = word.as_bytes().first();
            let mut keywords = language.keywords.iter();
            keywords.any(|keyword| keyword.as_bytes().first() == begin && *keyword == word)
        };
        // In Lisp what stands first in a list is what is done.
        let is_head = language.heads && self.before() == Some('(');
        if is_keyword || is_head {
            self.paint(length, KEYWORD);
        } else if language.sigils.contains(first) && length > 1
            || language.types && first.is_uppercase()
            || language.keys && follows_colon(&rest[length..])
        {
            self.paint(length, TYPE);
        } else {
            self.at += length;
        }
    }

    /// A difference of two files, line by line.
    fn lines(&mut self) {
        while !self.rest().is_empty() {
            let rest = self.rest();
            let length = rest.find('\n').unwrap_or(rest.len());
            let line = &rest[..length];
            let starts = |with: &[&str]| with.iter().any(|begin| line.starts_with(begin));
            if starts(&["+++", "---", "diff ", "index "]) {
                self.paint(length, COMMENT);
            } else if starts(&["@@"]) {
                self.paint(length, KEYWORD);
            } else if starts(&["+", ">"]) {
                self.paint(length, ADDED);
            } else if starts(&["-", "<"]) {
                self.paint(length, CUT);
            } else {
                self.at += length;
            }
            self.at = (self.at + 1).min(self.code.len());
        }
    }

    /// HTML and XML.
    fn tags(&mut self) {
        while let Some(open) = self.rest().find('<') {
            self.at += open;
            let rest = self.rest();
            if rest.starts_with("<!--") {
                self.paint(rest.find("-->").map_or(rest.len(), |end| end + 3), COMMENT);
                continue;
            }
            self.at += 1;
            let behind = self.rest();
            let name = behind.trim_start_matches(['/', '!', '?']);
            if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
                continue;
            }
            self.at += behind.len() - name.len();
            self.paint(name.find(|l| !is_name(l)).unwrap_or(name.len()), KEYWORD);
            self.attributes();
        }
    }

    fn attributes(&mut self) {
        while let Some(first) = self.rest().chars().next() {
            let rest = self.rest();
            match first {
                '>' | '<' => return,
                '"' | '\'' => {
                    let end = rest[1..].find(first).map_or(rest.len(), |end| end + 2);
                    self.paint(end, STRING);
                }
                _ if is_name(first) => {
                    self.paint(rest.find(|l| !is_name(l)).unwrap_or(rest.len()), TYPE);
                }
                _ => self.at += first.len_utf8(),
            }
        }
    }
}

fn is_word(letter: char) -> bool {
    letter == '_' || !letter.is_ascii() || letter.is_ascii_alphanumeric()
}

fn is_name(letter: char) -> bool {
    is_word(letter) || "-:.@".contains(letter)
}

fn follows_colon(rest: &str) -> bool {
    let rest = rest.trim_start_matches(' ');
    (rest.starts_with(':') && !rest.starts_with("::")) || rest.starts_with("= ")
}

/// Digits and what belongs to them: `0xff_u8`, `1.5e3`, but not `1..2`.
fn number_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let is_point = *byte == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !(byte.is_ascii_alphanumeric() || *byte == b'_' || is_point) {
            break;
        }
        at += 1;
    }
    at
}

fn comment(language: &Language, rest: &str, before: Option<char>) -> Option<usize> {
    for (open, close) in language.blocks {
        if let Some(inner) = rest.strip_prefix(open) {
            let end = inner.find(close).map(|end| open.len() + end + close.len());
            return Some(end.unwrap_or(rest.len()));
        }
    }
    let begins = language.comments.iter().any(|open| rest.starts_with(open));
    // `#` within a word is no comment in a shell or in YAML.
    let stands_apart = before.is_none_or(|b| b.is_whitespace() || ";(){}[],".contains(b));
    let begins = begins && (stands_apart || !rest.starts_with('#'));
    begins.then(|| rest.find('\n').unwrap_or(rest.len()))
}

fn string(language: &Language, rest: &str, before: Option<char>) -> Option<usize> {
    for quote in language.long_quotes {
        if let Some(inner) = rest.strip_prefix(quote) {
            let end = inner.find(quote).map(|end| end + 2 * quote.len());
            return Some(end.unwrap_or(rest.len()));
        }
    }
    let quote = rest
        .chars()
        .next()
        .filter(|q| language.quotes.contains(*q))?;
    if quote == '\'' {
        if language.lone_quotes {
            return character(rest);
        }
        // An apostrophe in a word, or in a number of C++.
        if before.is_some_and(is_word) {
            return None;
        }
    }
    let many_lines = quote == '`' || language.strings_over_lines;
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            '\n' if !many_lines => return Some(at),
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            letter if letter == quote => return Some(at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// `'x'` or `'\n'`, where a lone `'` begins a lifetime or the like.
fn character(rest: &str) -> Option<usize> {
    let mut letters = rest.char_indices().skip(1);
    let (_, first) = letters.next()?;
    if first == '\\' {
        letters.next()?;
        let end = letters.find(|(at, l)| *l == '\'' || *at > CHARACTER_BYTES_MAX)?;
        return (end.1 == '\'').then_some(end.0 + 1);
    }
    let (at, quote) = letters.next()?;
    (first != '\'' && first != '\n' && quote == '\'').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Colored words are written as `{class:words}`.
    fn check(language: &str, code: &str, colored: &str) {
        let mut html = String::new();
        write(code, language, &mut COLORED_WORDS_MAX.clone(), &mut html);
        let short = html
            .replace("<span class=\"", "{")
            .replace("\">", ":")
            .replace("</span>", "}");
        assert_eq!(short, colored, "{language}");
    }

    #[test]
    fn families_of_languages_have_their_colors() {
        check(
            "rust,ignore",
            "fn a<'b>(c: &'b str) -> Vec<u8> { '\\'' + \"d\\\"\" } // e 1\n1..0x2f",
            "{k:fn} a&lt;'b&gt;(c: &amp;'b str) -&gt; {t:Vec}&lt;u8&gt; { {s:'\\''} + \
             {s:\"d\\\"\"} } {c:// e 1}\n{n:1}..{n:0x2f}",
        );
        check(
            "js",
            "const a = `b\n${c}` /* d\n */ + 'e'",
            "{k:const} a = {s:`b\n${c}`} {c:/* d\n */} + {s:'e'}",
        );
        check(
            "python",
            "def a(b): # it's\n  '''c\n'd''' 1.5e3",
            "{k:def} a(b): {c:# it's}\n  {s:'''c\n'd'''} {n:1.5e3}",
        );
        check(
            "sh",
            "echo $HOME#1 \"a\nb\" # c",
            "{k:echo} {t:$HOME}#{n:1} {s:\"a\nb\"} {c:# c}",
        );
        check("yaml", "a-b: don't # c", "{t:a-b}: don't {c:# c}");
        check("toml", "[a]\nb = \"c\"", "[a]\n{t:b} = {s:\"c\"}");
        check(
            "SQL",
            "Select 1 -- a\nFROM b",
            "{k:Select} {n:1} {c:-- a}\n{k:FROM} b",
        );
        check(
            "html",
            "<!-- a --><b class='c' d>e</b> < f",
            "{c:&lt;!-- a --&gt;}&lt;{k:b} {t:class}={s:'c'} {t:d}&gt;e&lt;/{k:b}&gt; &lt; f",
        );
        check(
            "css",
            "@media x { a-b: 1px } /* c */",
            "{t:@media} x { {t:a-b}: {n:1px} } {c:/* c */}",
        );
        check(
            "json",
            "{\"a\": [true, \"b\"]}",
            "{{t:\"a\"}: [{k:true}, {s:\"b\"}]}",
        );
        check(
            "diff",
            "--- a\n@@ 1\n+b\n-c\n d",
            "{c:--- a}\n{k:@@ 1}\n{add:+b}\n{cut:-c}\n d",
        );
        check(
            "lisp",
            "(defun a () \"b\") ; c",
            "({k:defun} a () {s:\"b\"}) {c:; c}",
        );
    }

    #[test]
    fn each_comment_and_string_of_each_language_is_seen() {
        let begins = |name: &str, code: &str, class: &str| {
            let mut html = String::new();
            write(code, name, &mut COLORED_WORDS_MAX.clone(), &mut html);
            let color = format!("<span class=\"{class}\">");
            assert!(html.starts_with(&color), "{name} {code}: {html}");
        };
        let words = |(_, language): &&(_, &Language)| matches!(language.shape, Shape::Words);
        for (names, language) in languages::NAMES.iter().filter(words) {
            let name = names.split(' ').next().unwrap_or_default();
            for (open, close) in language.blocks {
                begins(name, &format!("{open} a {close}"), COMMENT);
            }
            for open in language.comments {
                begins(name, &format!("{open} a"), COMMENT);
            }
            for quote in language.long_quotes {
                begins(name, &format!("{quote}a{quote}"), STRING);
            }
            for quote in language.quotes.chars() {
                begins(name, &format!("{quote}a{quote}"), STRING);
            }
        }
    }

    #[test]
    fn what_nobody_knows_stays_plain() {
        check("", "fn a() // b", "fn a() // b");
        check("text", "\"a\" 1", "\"a\" 1");
        check("klingon", "<b>", "&lt;b&gt;");
    }

    #[test]
    fn an_open_quote_ends_with_its_line() {
        check("c", "\"a\nint b;", "{s:\"a}\n{k:int} b;");
        check("c", "/* a\nint b;", "{c:/* a\nint b;}");
    }

    #[test]
    fn long_listings_and_endless_words_stay_plain() {
        let long = "1 ".repeat(COLORED_BYTES_MAX / 2 + 1);
        check("c", &long, &long);
        let mut left = 2;
        let mut html = String::new();
        write("1 2 3", "c", &mut left, &mut html);
        write("4", "c", &mut left, &mut html);
        let html = html
            .replace("<span class=\"n\">", "{")
            .replace("</span>", "}");
        assert_eq!(html, "{1} {2} 34");
    }

    /// The square of the length would take minutes.
    #[test]
    fn hostile_listings_cost_their_length() {
        let all = [
            "rust", "js", "python", "sh", "yaml", "sql", "html", "css", "lua", "lisp", "diff",
        ];
        for piece in [
            "\"", "'", "'\\", "`", "/*", "\"\\\"", "<!--", "<a ", "<a b='", "'''", "#", "--[[",
            "r#\"", "$", "a", "1.", "é", "{-", "\\", "<",
        ] {
            let code = piece.repeat(COLORED_BYTES_MAX / piece.len());
            for language in all {
                let began = std::time::Instant::now();
                let mut html = String::new();
                write(&code, language, &mut COLORED_WORDS_MAX.clone(), &mut html);
                let took = began.elapsed();
                assert!(took.as_millis() < 1_000, "{language} {piece:?}: {took:?}");
            }
        }
    }

    proptest! {
        /// Colors add tags and take nothing away.
        #[test]
        fn no_letter_is_lost(code in "[a-zA-Z0-9\"'`#/*<>!&$@:=.(){}\\\\ \né-]{0,80}", which in any::<prop::sample::Index>()) {
            let names = which.get(&languages::NAMES).0;
            let name = names.split(' ').next().unwrap_or_default();
            let (mut html, mut plain) = (String::new(), String::new());
            write(&code, name, &mut COLORED_WORDS_MAX.clone(), &mut html);
            escape_words(&code, &mut plain);
            let mut bare = html.replace("</span>", "");
            for class in CLASSES {
                bare = bare.replace(&format!("<span class=\"{class}\">"), "");
            }
            prop_assert_eq!(bare, plain);
        }
    }
}
