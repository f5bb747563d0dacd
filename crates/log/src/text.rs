//! Canonical texts: what anybody signs, spelled in one way only (SPEC entry 1).

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

/// Bytes of one line without its LF; `gpg` cuts cleartext lines at 19,995 (SPEC entry 1.3).
pub const LINE_BYTES_MAX: usize = 16_000;
/// Bytes of a header's name (SPEC entry 1.4).
const NAME_BYTES_MAX: usize = 64;
/// Extension lines in one part of an entry: room to grow, none to flood (SPEC entry 2.7).
const EXTENSION_LINES_MAX: usize = 64;

/// Why a text is not canonical, and in which line, counted from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// The line at fault, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: What,
}

/// What is wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// The bytes are not UTF-8.
    NotUtf8,
    /// A character that no canonical text holds.
    Character(char),
    /// A character that no header value holds.
    CharacterInHeader(char),
    /// A space, TAB or CR at the end of the line.
    TrailingBlank,
    /// The text ends in a line end.
    FinalNewline,
    /// The line is longer than [`LINE_BYTES_MAX`].
    LineTooLong(usize),
    /// The line is not `Name: value`.
    NotAHeader,
    /// Another line was due here.
    Expected(&'static str),
    /// The line is known, but does not belong here.
    Misplaced(String),
    /// The value breaks the rule of its field.
    Value {
        /// The field.
        name: String,
        /// The broken rule, as the end of a sentence.
        problem: &'static str,
    },
    /// A part is larger than the format allows.
    TooLarge {
        /// The part.
        part: &'static str,
        /// Its limit in bytes or lines.
        max: usize,
    },
    /// A rule about the whole part is broken.
    Rule(&'static str),
}

impl Malformed {
    /// A fault of the given line.
    pub fn new(line: usize, what: What) -> Self {
        Self { line, what }
    }

    /// A broken rule in the given line.
    pub fn rule(line: usize, rule: &'static str) -> Self {
        Self::new(line, What::Rule(rule))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.what {
            What::NotUtf8 => write!(f, "not UTF-8; save the text as UTF-8 and sign again"),
            What::Character(c) => write!(
                f,
                "holds the control character U+{:04X}; remove it and sign again",
                u32::from(*c)
            ),
            What::CharacterInHeader(c) => write!(
                f,
                "holds U+{:04X}, which no header line may hold; remove it and sign again",
                u32::from(*c)
            ),
            What::TrailingBlank => {
                write!(
                    f,
                    "ends in a blank; remove blanks at line ends and sign again"
                )
            }
            What::FinalNewline => {
                write!(
                    f,
                    "the text ends in an empty line; remove it and sign again"
                )
            }
            What::LineTooLong(bytes) => {
                write!(
                    f,
                    "{bytes} bytes long; break lines at {LINE_BYTES_MAX} bytes and sign again"
                )
            }
            What::NotAHeader => write!(
                f,
                "is not of the form \"Name: value\"; write it so and sign again"
            ),
            What::Expected(name) => write!(f, "\"{name}: …\" is due here; add it and sign again"),
            What::Misplaced(name) => write!(
                f,
                "\"{name}\" does not belong here; remove it, or move it to its place, and sign \
                 again"
            ),
            What::Value { name, problem } => {
                write!(f, "\"{name}\" {problem}; change it and sign again")
            }
            What::TooLarge { part, max } => write!(
                f,
                "the {part} is over its limit of {max}; shorten it and sign again"
            ),
            What::Rule(rule) => f.write_str(rule),
        }
    }
}

impl core::error::Error for Malformed {}

/// Checks characters, line ends and line lengths (SPEC entry 1.2, 1.3).
///
/// # Errors
/// Names the first line at fault.
pub fn check(bytes: &[u8]) -> Result<&str, Malformed> {
    let text = core::str::from_utf8(bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1;
        Malformed::new(line, What::NotUtf8)
    })?;
    let mut last = 1;
    for (number, line) in numbered(text) {
        last = number;
        if line.len() > LINE_BYTES_MAX {
            return Err(Malformed::new(number, What::LineTooLong(line.len())));
        }
        if line.ends_with([' ', '\t', '\r']) {
            return Err(Malformed::new(number, What::TrailingBlank));
        }
        if line
            .bytes()
            .fold(false, |found, b| found | may_be_refused(b))
            && let Some(c) = line.chars().find(|c| is_refused(*c))
        {
            return Err(Malformed::new(number, What::Character(c)));
        }
    }
    if text.ends_with('\n') {
        return Err(Malformed::new(last, What::FinalNewline));
    }
    Ok(text)
}

/// The lines of a text with their numbers from 1.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split('\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

fn is_refused(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{feff}')
}

/// Whether a refused character may begin with this byte of UTF-8. Most lines hold none, and bytes are
/// looked at many at once.
fn may_be_refused(b: u8) -> bool {
    (b < b' ') & (b != b'\t') & (b != b'\n') | (b == 0x7f) | (b == 0xc2) | (b == 0xef)
}

fn is_refused_in_header(c: char) -> bool {
    matches!(c, '\t' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A value that a header line can hold, with exactly one spelling.
pub trait Value: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// The broken rule, as the end of a sentence that begins with the field's name.
    fn parse(text: &str) -> Result<Self, &'static str>;
}

/// A header line that this version of the format does not read (SPEC entry 2.7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extension {
    /// The line's name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Reads header lines one after the other, in the order that the format gives them.
#[derive(Debug)]
pub struct Headers<'a> {
    lines: Vec<(usize, &'a str, &'a str)>,
    next: usize,
    end: usize,
}

impl<'a> Headers<'a> {
    /// Splits the lines of a header; the first has the number `first_line`.
    ///
    /// # Errors
    /// Names the first line that is not of the form `Name: value` (SPEC entry 1.4).
    pub fn new(header: &'a str, first_line: usize) -> Result<Self, Malformed> {
        let mut lines = Vec::new();
        for (index, line) in header.split('\n').enumerate() {
            let number = first_line + index;
            let (name, value) =
                split(line).ok_or_else(|| Malformed::new(number, What::NotAHeader))?;
            if let Some(c) = value.chars().find(|c| is_refused_in_header(*c)) {
                return Err(Malformed::new(number, What::CharacterInHeader(c)));
            }
            lines.push((number, name, value));
        }
        let end = first_line + lines.len();
        Ok(Self {
            lines,
            next: 0,
            end,
        })
    }

    /// The number of the next line, or of the one behind the last.
    pub fn line(&self) -> usize {
        self.lines
            .get(self.next)
            .map_or(self.end, |(number, ..)| *number)
    }

    /// Takes a line that must stand here.
    ///
    /// # Errors
    /// When another line, or none, stands here, or its value breaks its rule.
    pub fn required<V: Value>(&mut self, name: &'static str) -> Result<V, Malformed> {
        self.optional(name)?
            .ok_or_else(|| Malformed::new(self.line(), What::Expected(name)))
    }

    /// Takes a line that may stand here.
    ///
    /// # Errors
    /// When its value breaks its rule.
    pub fn optional<V: Value>(&mut self, name: &'static str) -> Result<Option<V>, Malformed> {
        let Some((number, _, value)) = self.lines.get(self.next).filter(|l| l.1 == name) else {
            return Ok(None);
        };
        let value = V::parse(value).map_err(|problem| {
            Malformed::new(
                *number,
                What::Value {
                    name: name.to_string(),
                    problem,
                },
            )
        })?;
        self.next += 1;
        Ok(Some(value))
    }

    /// Takes all lines of this name that stand here.
    ///
    /// # Errors
    /// When a value breaks its rule, stands twice, or there are more than `max`.
    pub fn repeated<V: Value + PartialEq>(
        &mut self,
        name: &'static str,
        max: usize,
    ) -> Result<Vec<V>, Malformed> {
        let mut values = Vec::new();
        let mut line = self.line();
        while let Some(value) = self.optional(name)? {
            let problem = if values.len() == max {
                Some("stands more often than the format allows")
            } else if values.contains(&value) {
                Some("stands twice with the same value")
            } else {
                None
            };
            if let Some(problem) = problem {
                return Err(Malformed::new(
                    line,
                    What::Value {
                        name: name.to_string(),
                        problem,
                    },
                ));
            }
            values.push(value);
            line = self.line();
        }
        Ok(values)
    }

    /// Takes what is left as extension lines; none has a name of `known`.
    ///
    /// # Errors
    /// When a known line stands out of order or twice, or there are too many lines.
    pub fn extensions(&mut self, known: &[&str]) -> Result<Vec<Extension>, Malformed> {
        let rest = &self.lines[self.next..];
        if let Some((number, name, _)) = rest.iter().find(|l| known.contains(&l.1)) {
            return Err(Malformed::new(
                *number,
                What::Misplaced((*name).to_string()),
            ));
        }
        if rest.len() > EXTENSION_LINES_MAX {
            let what = What::TooLarge {
                part: "number of lines that this version does not read",
                max: EXTENSION_LINES_MAX,
            };
            return Err(Malformed::new(self.line(), what));
        }
        self.next = self.lines.len();
        let own = |(_, name, value): &(usize, &str, &str)| Extension {
            name: (*name).to_string(),
            value: (*value).to_string(),
        };
        Ok(rest.iter().map(own).collect())
    }
}

fn split(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(": ")?;
    let mut letters = name.bytes();
    let named = letters.next().is_some_and(|b| b.is_ascii_uppercase())
        && letters.all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && name.len() <= NAME_BYTES_MAX;
    let filled = !value.is_empty() && !value.starts_with(' ');
    (named && filled).then_some((name, value))
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, &'static str> {
        Ok(text.to_string())
    }
}

/// The largest number: what JSON readers everywhere hold exactly (SPEC entry 1.5).
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

impl Value for u64 {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "is not a decimal number without leading zeros, below 2^53";
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        if !digits || text.len() > 1 && text.starts_with('0') {
            return Err(SHAPE);
        }
        text.parse().ok().filter(|n| *n <= NUMBER_MAX).ok_or(SHAPE)
    }
}

impl Value for crate::time::Time {
    fn parse(text: &str) -> Result<Self, &'static str> {
        Self::parse(text)
    }
}

/// Whether a letter leaves no trace where it is shown (Unicode's `Default_Ignorable_Code_Point`): it would make two
/// names out of one that everybody reads.
pub fn is_ignorable(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn refused(text: &str, sentence: &str) {
        let malformed = check(text.as_bytes()).expect_err("must be refused");
        assert_eq!(malformed.to_string(), sentence);
    }

    #[test]
    fn every_breach_names_its_line() {
        assert_eq!(check(b"a\n\nb\tc"), Ok("a\n\nb\tc"));
        refused(
            "a\nb ",
            "line 2: ends in a blank; remove blanks at line ends and sign again",
        );
        refused(
            "a\r\nb",
            "line 1: ends in a blank; remove blanks at line ends and sign again",
        );
        refused(
            "a\n\t\nb",
            "line 2: ends in a blank; remove blanks at line ends and sign again",
        );
        refused(
            "a\n",
            "line 2: the text ends in an empty line; remove it and sign again",
        );
        refused(
            "a\u{1}b",
            "line 1: holds the control character U+0001; remove it and sign again",
        );
        refused(
            "\u{feff}a",
            "line 1: holds the control character U+FEFF; remove it and sign again",
        );
        refused(
            "a\u{85}b",
            "line 1: holds the control character U+0085; remove it and sign again",
        );
        let long = format!("a\n{}", "x".repeat(LINE_BYTES_MAX + 1));
        refused(
            &long,
            "line 2: 16001 bytes long; break lines at 16000 bytes and sign again",
        );
        assert!(check("x".repeat(LINE_BYTES_MAX).as_bytes()).is_ok());
        assert_eq!(check(b"a\n\xff").map_err(|m| m.line), Err(2));
    }

    #[test]
    fn headers_have_one_shape() {
        for good in [
            "A: b",
            "Signed: x",
            "A-1: :",
            "Ab:  b".trim_start_matches("Ab:  b"),
        ] {
            assert!(good.is_empty() || Headers::new(good, 1).is_ok(), "{good}");
        }
        for bad in [
            "",
            "A:b",
            "A: ",
            "A:  b",
            "a: b",
            "A",
            ": b",
            "A b: c",
            "Ä: b",
            "A: b\n\nC: d",
        ] {
            assert!(Headers::new(bad, 1).is_err(), "{bad:?}");
        }
        for c in ['\t', '\u{2028}', '\u{202e}', '\u{2066}'] {
            assert_eq!(
                Headers::new(&format!("A: b{c}c"), 3).map(|_| ()),
                Err(Malformed::new(3, What::CharacterInHeader(c)))
            );
        }
    }

    #[test]
    fn numbers_have_one_spelling() {
        for (text, read) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("9007199254740991", Some(NUMBER_MAX)),
        ] {
            assert_eq!(u64::parse(text).ok(), read);
        }
        for bad in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            "1.0",
            " 1",
            "9007199254740992",
            "99999999999999999999",
        ] {
            assert!(u64::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_refused_character_begins_with_a_byte_that_is_looked_at(c: char) {
            let first = c.to_string().as_bytes()[0];
            prop_assert!(!is_refused(c) || may_be_refused(first));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(text) = check(&bytes) {
                let _unused = Headers::new(text, 1);
            }
        }
    }
}
