//! The words around what authors write, in the tongues that we speak.
//!
//! A table has every text in all tongues side by side, so that none can be missing; a tongue more is
//! a column more. A blog has words of its own language around it where we speak that, else English
//! ones, which then say so (`lang`).

use std::borrow::Cow;

use jiff::Timestamp;
use maud::{Markup, html};

use crate::render::direction;

mod desk;
mod gateway;
mod languages;
mod message;
mod reader;

pub(crate) use desk::{DeskSentences, DeskWords};
pub(crate) use gateway::GatewaySentences;
pub use languages::autonym;
pub(crate) use message::Sentences;
pub(crate) use reader::{Counted, Words};

/// Makes a struct of texts, and the one value of it for each tongue.
///
/// `words! { NAME: TYPE { key: ENGLISH, ARABIC; … } }`
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $kind:ty { $($key:ident: $english:expr, $arabic:expr;)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name {
            $(pub(crate) $key: $kind,)*
        }

        impl $name {
            /// The texts in this tongue.
            pub(crate) fn of(tongue: $crate::web::words::Tongue) -> &'static Self {
                static ENGLISH: $name = $name { $($key: $english,)* };
                static ARABIC: $name = $name { $($key: $arabic,)* };
                match tongue {
                    $crate::web::words::Tongue::English => &ENGLISH,
                    $crate::web::words::Tongue::Arabic => &ARABIC,
                }
            }

            /// Each text by its key, in English and in Arabic.
            #[cfg(test)]
            pub(crate) fn pairs() -> Vec<(&'static str, $kind, $kind)> {
                vec![$((stringify!($key), $english, $arabic),)*]
            }
        }
    };
}
pub(crate) use words;

/// A language of the words around content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Tongue {
    /// English, also where we speak no better one.
    #[default]
    English,
    /// Arabic.
    Arabic,
}

impl Tongue {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::Arabic];

    /// The one for words around text in this language (BCP 47).
    #[must_use]
    pub fn for_language(tag: &str) -> Self {
        Self::spoken(tag).unwrap_or_default()
    }

    /// The one that is this language, if we speak it.
    #[must_use]
    pub fn spoken(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        let is = |tongue: &Self| primary.eq_ignore_ascii_case(tongue.tag());
        Self::ALL.into_iter().find(is)
    }

    /// The one that a browser would rather have (RFC 9110 section 12.5.4).
    #[must_use]
    pub fn accepted(accept_language: &str) -> Self {
        let mut best = (0, Self::default());
        for range in accept_language.split(',') {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim();
            let quality = parts.find_map(|part| part.trim().strip_prefix("q="));
            // In thousandths, as exact as a quality may be.
            let quality = quality.map_or(Some(1.0), |q| q.trim().parse::<f32>().ok());
            let quality = quality.map_or(0, |q| (q.clamp(0.0, 1.0) * 1_000.0) as u16);
            // Of two that are wanted alike the first counts.
            if let Some(tongue) = Self::spoken(tag).filter(|_| quality > best.0) {
                best = (quality, tongue);
            }
        }
        best.1
    }

    /// Its BCP 47 tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Arabic => "ar",
        }
    }

    /// What it calls itself.
    #[must_use]
    pub fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Arabic => "العربية",
        }
    }

    /// A number in its digits, in groups of three where it is long.
    #[must_use]
    pub fn number(self, number: u64) -> String {
        let digits = number.to_string();
        let mut text = String::new();
        for (at, digit) in digits.chars().enumerate() {
            let left = digits.len() - at;
            if at > 0 && left.is_multiple_of(3) && digits.len() > 4 {
                text.push(match self {
                    Self::English => ',',
                    Self::Arabic => '٬',
                });
            }
            text.push(digit);
        }
        self.digits(&text).into_owned()
    }

    /// The text with its digits.
    #[must_use]
    pub fn digits(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::English => text.into(),
            Self::Arabic => text.chars().map(arabic_digit).collect(),
        }
    }
}

fn arabic_digit(letter: char) -> char {
    match letter.to_digit(10) {
        Some(digit) => char::from_u32('٠' as u32 + digit).unwrap_or(letter),
        None => letter,
    }
}

/// Puts texts into the `{places}` of a text.
#[must_use]
pub fn fill(text: &str, places: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        filled.push_str(match piece {
            Piece::Text(words) => words,
            Piece::Place(name) => (places.iter().find(|(n, _)| *n == name)).map_or("", |(_, t)| t),
        });
    }
    filled
}

/// Puts markup into the `{places}` of a text, whose own words are escaped.
#[must_use]
pub fn fill_markup(text: &str, places: &[(&str, Markup)]) -> Markup {
    html! {
        @for piece in pieces(text) {
            @match piece {
                Piece::Text(words) => { (words) },
                Piece::Place(name) => {
                    @if let Some((_, markup)) = places.iter().find(|(n, _)| *n == name) { (markup) }
                },
            }
        }
    }
}

enum Piece<'a> {
    Text(&'a str),
    Place(&'a str),
}

/// Our own texts have no other braces.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        pieces.extend([Piece::Text(before), Piece::Place(name)]);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// The forms of a counted noun.
pub(crate) type Forms = &'static [&'static str];

/// A noun with its number: in English two forms, for one and for all else; in Arabic six, for none,
/// one, two, a few (3 to 10), many (11 to 99) and all else, by the last two digits (CLDR). `{n}` is the
/// number.
#[must_use]
pub fn counted(tongue: Tongue, forms: &[&str], number: u64) -> String {
    let form = match tongue {
        Tongue::English => usize::from(number != 1),
        Tongue::Arabic => match (number, number % 100) {
            (0..=2, _) => number as usize,
            (_, 3..=10) => 3,
            (_, 11..=99) => 4,
            _ => 5,
        },
    };
    let form = forms.get(form).or(forms.last());
    fill(
        form.copied().unwrap_or_default(),
        &[("n", &tongue.number(number))],
    )
}

const ENGLISH_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// The names that Arabic newspapers share from Cairo to the Gulf.
const ARABIC_MONTHS: [&str; 12] = [
    "يناير",
    "فبراير",
    "مارس",
    "أبريل",
    "مايو",
    "يونيو",
    "يوليو",
    "أغسطس",
    "سبتمبر",
    "أكتوبر",
    "نوفمبر",
    "ديسمبر",
];

/// A day as people write it in this language; where we do not know, as ISO 8601 does.
#[must_use]
pub fn day_in(language: &str, time: Timestamp) -> String {
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    match (Tongue::spoken(primary), &*primary.to_ascii_lowercase()) {
        (Some(tongue), _) => {
            let numbers = time.strftime("%-d {month} %-Y").to_string();
            let text = fill(&numbers, &[("month", month_in(tongue, time))]);
            tongue.digits(&text).into_owned()
        }
        (None, "zh" | "ja" | "yue") => time.strftime("%-Y年%-m月%-d日").to_string(),
        (None, "ko") => time.strftime("%-Y년 %-m월 %-d일").to_string(),
        _ => time.strftime("%Y-%m-%d").to_string(),
    }
}

/// A month as people write it in this language; where we do not know, as ISO 8601 does.
#[must_use]
pub fn month_of(language: &str, time: Timestamp) -> String {
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    match (Tongue::spoken(primary), &*primary.to_ascii_lowercase()) {
        (Some(tongue), _) => month_in(tongue, time).to_owned(),
        (None, "zh" | "ja" | "yue") => time.strftime("%-m月").to_string(),
        (None, "ko") => time.strftime("%-m월").to_string(),
        _ => time.strftime("%Y-%m").to_string(),
    }
}

fn month_in(tongue: Tongue, time: Timestamp) -> &'static str {
    let months = match tongue {
        Tongue::English => &ENGLISH_MONTHS,
        Tongue::Arabic => &ARABIC_MONTHS,
    };
    let month = usize::try_from(time.to_zoned(jiff::tz::TimeZone::UTC).month()).unwrap_or(1);
    months
        .get(month.wrapping_sub(1))
        .copied()
        .unwrap_or_default()
}

/// The words around content of one language: they say which language they are where it is another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice<'a> {
    /// The language of the page, in which its dates are.
    pub(crate) page_language: &'a str,
    pub(crate) tongue: Tongue,
    pub(crate) words: &'static Words,
    /// For `lang` and `dir` on what speaks, where the page around it is in another language.
    pub(crate) lang: Option<&'static str>,
    pub(crate) dir: Option<&'static str>,
}

impl<'a> Voice<'a> {
    /// The words on a page in this language.
    pub(crate) fn around(page_language: &'a str) -> Self {
        let tongue = Tongue::for_language(page_language);
        let differs = Tongue::spoken(page_language).is_none();
        let tag = tongue.tag();
        Self {
            page_language,
            tongue,
            words: Words::of(tongue),
            lang: differs.then_some(tag),
            dir: differs.then(|| direction(tag).as_str()),
        }
    }

    /// A counted noun.
    pub(crate) fn count(self, noun: fn(&Counted) -> Forms, n: u64) -> String {
        counted(self.tongue, noun(Counted::of(self.tongue)), n)
    }

    /// "oak, elm and ash".
    pub(crate) fn list(self, items: &[Markup]) -> Markup {
        html! {
            @for (at, item) in items.iter().enumerate() {
                @if at > 0 && at + 1 == items.len() { (self.words.list_and) }
                @else if at > 0 { (self.words.list_comma) }
                (item)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time in a test")
    }

    #[test]
    fn a_browser_is_heard_in_its_order() {
        for (header, tongue) in [
            ("", Tongue::English),
            ("ar", Tongue::Arabic),
            ("ar-EG,ar;q=0.9,en;q=0.8", Tongue::Arabic),
            ("en-US,en;q=0.9,ar;q=0.8", Tongue::English),
            ("de, en;q=0.2, ar;q=0.3", Tongue::Arabic),
            ("ar;q=0, en;q=0.1", Tongue::English),
            ("ar;q=nan, *", Tongue::English),
            ("arz", Tongue::English),
            ("AR-SA ; q=1", Tongue::Arabic),
        ] {
            assert_eq!(Tongue::accepted(header), tongue, "{header}");
        }
    }

    #[test]
    fn days_read_as_people_write_them() {
        let day = time("2026-11-05T23:59:59Z");
        for (language, text) in [
            ("en", "5 November 2026"),
            ("en-GB", "5 November 2026"),
            ("ar", "٥ نوفمبر ٢٠٢٦"),
            ("ja", "2026年11月5日"),
            ("zh-Hant", "2026年11月5日"),
            ("ko", "2026년 11월 5일"),
            ("hi", "2026-11-05"),
            ("", "2026-11-05"),
        ] {
            assert_eq!(day_in(language, day), text, "{language}");
        }
        let months = ["en", "ar", "ja", "hi"].map(|language| month_of(language, day));
        assert_eq!(months, ["November", "نوفمبر", "11月", "2026-11"]);
        assert_eq!(day_in("ar", time("0007-01-02T00:00:00Z")), "٢ يناير ٧");
    }

    #[test]
    fn nouns_take_the_form_of_their_number() {
        let blogs = |tongue, n| counted(tongue, Counted::of(tongue).blogs, n);
        assert_eq!(blogs(Tongue::English, 1), "1 blog");
        assert_eq!(blogs(Tongue::English, 0), "0 blogs");
        assert_eq!(blogs(Tongue::English, 1_208), "1208 blogs");
        assert_eq!(blogs(Tongue::English, 12_080), "12,080 blogs");
        for (n, text) in [
            (0, "لا مدونات"),
            (1, "مدونة واحدة"),
            (2, "مدونتان"),
            (3, "٣ مدونات"),
            (10, "١٠ مدونات"),
            (11, "١١ مدونة"),
            (100, "١٠٠ مدونة"),
            (103, "١٠٣ مدونات"),
        ] {
            assert_eq!(blogs(Tongue::Arabic, n), text);
        }
    }

    #[test]
    fn both_tongues_have_the_same_places() {
        let places = |texts: &[&str]| -> Vec<String> {
            let all = texts.iter().flat_map(|text| pieces(text));
            let mut names: Vec<String> = all
                .filter_map(|piece| match piece {
                    Piece::Place(name) => Some(name.to_owned()),
                    Piece::Text(_) => None,
                })
                .collect();
            names.sort();
            names.dedup();
            names
        };
        for (key, english, arabic) in Words::pairs() {
            assert_eq!(places(&[english]), places(&[arabic]), "{key}");
        }
        for (key, english, arabic) in Sentences::pairs() {
            assert_eq!(places(&english), places(&arabic), "{key}");
        }
        for (key, english, arabic) in DeskWords::pairs() {
            assert_eq!(places(&[english]), places(&[arabic]), "{key}");
        }
        for (key, english, arabic) in GatewaySentences::pairs() {
            assert_eq!(places(&english), places(&arabic), "{key}");
        }
        for (key, english, arabic) in DeskSentences::pairs() {
            assert_eq!(places(&english), places(&arabic), "{key}");
        }
        for (key, english, arabic) in Counted::pairs() {
            assert_eq!(places(english), places(arabic), "{key}");
            assert_eq!((english.len(), arabic.len()), (2, 6), "{key}");
        }
    }

    #[test]
    fn strangers_words_fill_places_as_words() {
        let markup = fill_markup("<a> {x} & {y}", &[("x", html! { b { ("<{y}>") } })]);
        assert_eq!(markup.into_string(), "&lt;a&gt; <b>&lt;{y}&gt;</b> &amp; ");
        assert_eq!(fill("{x}-{y}", &[("x", "{y}"), ("y", "2")]), "{y}-2");
    }
}
