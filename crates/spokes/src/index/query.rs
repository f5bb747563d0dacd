//! What somebody searches for, read from one line, and whether a text has it.

use jiff::civil::Date;
use spokes_log::{
    name::{BlogName, Fingerprint, Tag},
    time::Time,
};

use super::words::{Word, words};

/// Characters of what is searched for: the form takes no more.
pub const QUERY_CHARS_MAX: usize = 200;
/// Words and phrases that are looked for; each costs another look, and no question needs more.
const PIECES_MAX: usize = 12;

/// A search.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Query {
    /// Texts must have all of these.
    pub wanted: Vec<Piece>,
    /// And none of these.
    pub unwanted: Vec<Piece>,
    /// Posts of this blog.
    pub blog: Option<BlogName>,
    /// Signed by this key.
    pub author: Option<Fingerprint>,
    /// With this tag.
    pub tag: Option<Tag>,
    /// In this language.
    pub language: Option<String>,
    /// Dated at this time or later.
    pub after: Option<Time>,
    /// Dated before this time.
    pub before: Option<Time>,
    /// Whether something of the line was passed over, since it was too long.
    pub is_cut: bool,
    /// Filters that say nothing that could be meant, or are there twice: they are left out.
    pub odd: Vec<String>,
}

/// Words that must follow one another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Piece {
    /// These words in a row; often it is one.
    Row(Vec<String>),
    /// A single character of a script without spaces: whatever begins with it.
    Beginning(String),
}

impl Query {
    /// Reads a line. Every line can be read: what is no filter is words, and a quotation mark that nobody closes ends
    /// with the line.
    pub fn parse(line: &str) -> Self {
        let mut query = Self::default();
        let mut letters = line.chars();
        let short: String = letters.by_ref().take(QUERY_CHARS_MAX).collect();
        query.is_cut = letters.next().is_some();
        // As people write them, and as telephones do.
        let short: String = short
            .chars()
            .map(|c| {
                if matches!(c, '“' | '”' | '„' | '«' | '»' | '「' | '」') {
                    '"'
                } else {
                    c
                }
            })
            .collect();
        let mut rest = short.as_str();
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                return query;
            }
            let negated = rest
                .strip_prefix('-')
                .filter(|r| r.starts_with(|c: char| c == '"' || c.is_alphanumeric()));
            let begin = negated.unwrap_or(rest);
            if let Some(quoted) = begin.strip_prefix('"') {
                let (phrase, behind) = quoted.split_once('"').unwrap_or((quoted, ""));
                query.add(phrase, negated.is_some());
                rest = behind;
                continue;
            }
            let end = begin
                .find(|c: char| c.is_whitespace() || c == '"')
                .unwrap_or(begin.len());
            let (token, behind) = begin.split_at(end);
            if negated.is_some() || !query.filter(token) {
                query.add(token, negated.is_some());
            }
            rest = behind;
        }
    }

    /// Whether there is anything to look for.
    pub fn is_empty(&self) -> bool {
        let filters = [
            self.blog.is_some(),
            self.author.is_some(),
            self.tag.is_some(),
            self.language.is_some(),
            self.after.is_some(),
            self.before.is_some(),
        ];
        self.wanted.is_empty() && !filters.contains(&true)
    }

    fn add(&mut self, text: &str, negated: bool) {
        let mut row: Vec<String> = Vec::new();
        let mut pieces = Vec::new();
        let found = words(text);
        for (number, word) in found.iter().enumerate() {
            let last = number + 1 == found.len();
            let goes_on = number > 0 && found[number - 1].range.end > word.range.start;
            match (word.is_tail, goes_on) {
                // A character that stands alone here may begin a longer run in a text.
                (true, false) => {
                    let row = std::mem::take(&mut row);
                    pieces.extend((!row.is_empty()).then_some(Piece::Row(row)));
                    pieces.push(Piece::Beginning(word.folded.clone()));
                }
                // And a run may go on there.
                (true, true) if last => {}
                _ => row.push(word.folded.clone()),
            }
        }
        pieces.extend((!row.is_empty()).then_some(Piece::Row(row)));
        for piece in pieces {
            if self.wanted.len() + self.unwanted.len() == PIECES_MAX {
                self.is_cut = true;
                return;
            }
            let all = match negated {
                true => &mut self.unwanted,
                false => &mut self.wanted,
            };
            if !all.contains(&piece) {
                all.push(piece);
            }
        }
    }

    /// Takes `name:value`; false where it has no name of a filter, and so is words.
    fn filter(&mut self, token: &str) -> bool {
        let Some((name, value)) = token.split_once(':') else {
            return false;
        };
        let small = value.to_lowercase();
        let is_understood = match name.to_ascii_lowercase().as_str() {
            "blog" => set(&mut self.blog, BlogName::parse(&small).ok()),
            "author" => set(
                &mut self.author,
                Fingerprint::parse(&value.to_uppercase()).ok(),
            ),
            "tag" => set(&mut self.tag, Tag::parse(&small).ok()),
            "lang" => set(&mut self.language, primary_subtag(value)),
            "after" => set(&mut self.after, day(value)),
            "before" => set(&mut self.before, day(value)),
            _ => return false,
        };
        if !is_understood {
            self.odd.push(token.to_owned());
        }
        true
    }

    /// Whether what somebody found has what was looked for: title and body apart, since no phrase goes from the one to
    /// the other.
    pub fn fits(&self, parts: &[&[Word]]) -> bool {
        let has = |piece: &Piece| parts.iter().any(|words| !piece.places(words).is_empty());
        self.wanted.iter().all(has) && !self.unwanted.iter().any(has)
    }

    /// Whether a text has each word that was looked for, in whatever order: a first look.
    pub fn may_fit(&self, words: &[Word]) -> bool {
        let has = |word: &String| words.iter().any(|one| one.folded == *word);
        self.wanted.iter().all(|piece| match piece {
            Piece::Row(row) => row.iter().all(has),
            Piece::Beginning(_) => !piece.places(words).is_empty(),
        })
    }

    /// The words of a text that were looked for, by their numbers.
    pub fn hits(&self, words: &[Word]) -> Vec<usize> {
        let mut hits: Vec<usize> = self
            .wanted
            .iter()
            .flat_map(|piece| piece.places(words).into_iter().flatten())
            .collect();
        hits.sort_unstable();
        hits.dedup();
        hits
    }
}

impl Piece {
    /// Where it stands, each time the words' numbers.
    fn places(&self, words: &[Word]) -> Vec<std::ops::Range<usize>> {
        match self {
            Self::Row(row) => {
                let windows = words.windows(row.len()).enumerate();
                let same = |window: &[Word]| window.iter().map(|word| &word.folded).eq(row);
                windows
                    .filter(|(_, window)| same(window))
                    .map(|(at, _)| at..at + row.len())
                    .collect()
            }
            Self::Beginning(letter) => {
                let begins = |word: &Word| word.folded.starts_with(letter.as_str());
                let numbers = words.iter().enumerate().filter(|(_, word)| begins(word));
                numbers.map(|(at, _)| at..at + 1).collect()
            }
        }
    }
}

/// The beginning of a day, a month or a year.
fn day(value: &str) -> Option<Time> {
    let whole = match value.len() {
        4 => format!("{value}-01-01"),
        7 => format!("{value}-01"),
        _ => value.to_owned(),
    };
    let day: Date = whole.parse().ok()?;
    Time::parse(&format!("{day}T00:00:00Z")).ok()
}

/// Sets what was not set and is understood.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    if value.is_none() || place.is_some() {
        return false;
    }
    *place = value;
    true
}

/// The language of a tag, without its regions and scripts (RFC 5646 section 2.1); none where it names none.
pub fn primary_subtag(tag: &str) -> Option<String> {
    let primary = tag.split(['-', '_']).next().unwrap_or_default();
    let is_one =
        (2..=8).contains(&primary.len()) && primary.bytes().all(|b| b.is_ascii_alphabetic());
    is_one.then(|| primary.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(words: &str) -> Piece {
        Piece::Row(words.split(' ').map(str::to_owned).collect())
    }

    fn fits(line: &str, text: &str) -> bool {
        Query::parse(line).fits(&[&words(text)])
    }

    #[test]
    fn a_line_is_words_phrases_and_filters() {
        let query = Query::parse(
            "Town -\"old hall\" \"The Council meets\" blog:maria tag:rust lang:pt-BR after:2026-01-02 -plan",
        );
        assert_eq!(query.wanted, [row("town"), row("the council meet")]);
        assert_eq!(query.unwanted, [row("old hall"), row("plan")]);
        assert_eq!(query.blog.as_ref().unwrap().as_str(), "maria");
        assert_eq!(query.language.as_deref(), Some("pt"));
        assert_eq!(query.after.unwrap().to_string(), "2026-01-02T00:00:00Z");
        assert!(!query.is_cut && !query.is_empty());
    }

    #[test]
    fn what_is_no_filter_is_words() {
        for (line, wanted) in [
            ("re: hello", vec![row("re"), row("hello")]),
            ("after:tomorrow words", vec![row("word")]),
            ("BLOG:X! title:y", vec![row("title y")]),
            ("\"lone quote", vec![row("lone quote")]),
            ("\"", vec![]),
            (
                "AND OR NOT ( ) * ~ ^ \\ /",
                vec![row("and"), row("or"), row("not")],
            ),
            ("-", vec![]),
            ("c++ well-known", vec![row("c++"), row("well known")]),
            ("東京都", vec![row("東京 京都")]),
            ("山", vec![Piece::Beginning("山".into())]),
            ("Rust書", vec![row("rust"), Piece::Beginning("書".into())]),
            (
                "\"山 川\"",
                vec![Piece::Beginning("山".into()), Piece::Beginning("川".into())],
            ),
            ("🌻🌻", vec![row("🌻 🌻")]),
        ] {
            assert_eq!(Query::parse(line).wanted, wanted, "{line}");
        }
        assert!(Query::parse(" … ").is_empty());
        let query =
            Query::parse("after:2026-13-45 Lang:DE lang:fr before:2015 TAG:Food blog:MARIA");
        assert_eq!(query.odd, ["after:2026-13-45", "lang:fr"]);
        assert_eq!(query.before.unwrap().to_string(), "2015-01-01T00:00:00Z");
        assert_eq!(
            (query.language.as_deref(), query.tag.unwrap().as_str()),
            (Some("de"), "food")
        );
        assert_eq!(query.blog.unwrap().as_str(), "maria");
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        assert!(Query::parse(&"a".repeat(10_240)).is_cut);
        let many: Vec<String> = (0..PIECES_MAX + 1).map(|n| n.to_string()).collect();
        let query = Query::parse(&many.join(" "));
        assert_eq!((query.wanted.len(), query.is_cut), (PIECES_MAX, true));
    }

    #[test]
    fn a_text_has_all_that_is_wanted_and_nothing_that_is_not() {
        let text = "In front of the old Town Hall, 東京都庁の前 山田. The council met.";
        for line in [
            "town HALL",
            "\"town hall\"",
            "hall town",
            "都庁",
            "山",
            "前",
            "council -plan",
            "tówn",
        ] {
            assert!(fits(line, text), "{line}");
        }
        for line in [
            "\"hall town\"",
            "town -hall",
            "京庁",
            "庁都",
            "villa",
            "counci",
        ] {
            assert!(!fits(line, text), "{line}");
        }
    }

    proptest! {
        #[test]
        fn every_line_is_read(line in "\\PC{0,300}") {
            let query = Query::parse(&line);
            prop_assert!(query.wanted.len() + query.unwanted.len() <= PIECES_MAX);
        }

        /// Whoever copies words of a text finds it.
        #[test]
        fn what_was_copied_is_found(
            text in proptest::collection::vec("[a-céß東京かガ서울สด]{1,4}", 1..8),
            from in 0usize..8,
            long in 1usize..4,
        ) {
            let part: Vec<&str> = text.iter().skip(from).take(long).map(String::as_str).collect();
            let query = Query::parse(&part.join(" "));
            prop_assert!(query.wanted.is_empty() || query.fits(&[&words(&text.join(" "))]));
        }
    }
}
