//! Words, as a search compares them: in every script, without a dictionary.
//!
//! A word is what stands between characters that are none, without capitals, accents and what writing may leave out.
//! Scripts that put no spaces between words are cut into overlapping pairs of characters: whoever looks for a few of
//! them in a row finds them wherever they stand.

use std::{borrow::Cow, ops::Range};

use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Characters of a word that count: no language has longer ones, and addresses and keys do not fill the index.
const WORD_CHARS_MAX: usize = 40;
/// Bytes of a name that ends in `++` or `#`.
const NAME_CHARS_MAX: usize = 2;
/// Letters that must be left of a word without its article or its plural, so that no short word is taken apart.
const STEM_CHARS_MIN: usize = 3;
/// The Arabic article, behind a letter that is written together with it or without one.
const ARTICLES: [&str; 5] = ["وال", "بال", "كال", "فال", "ال"];

/// One word of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// What it is compared by.
    pub folded: String,
    /// Where it stands in the text, in bytes.
    pub range: Range<usize>,
    /// Whether it is the last character of a run without spaces, which stands there alone for whoever looks for that
    /// character alone.
    pub is_tail: bool,
}

/// The words of a text, in their order.
pub fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut letters = text.char_indices().peekable();
    while let Some((start, first)) = letters.next() {
        let class = class_of(first);
        if class == Class::Nothing {
            continue;
        }
        let mut end = start + first.len_utf8();
        while let Some((at, letter)) = letters.next_if(|(_, letter)| class.goes_on_with(*letter)) {
            end = at + letter.len_utf8();
        }
        let mut run = &text[start..end];
        if class == Class::Letters && run.len() <= NAME_CHARS_MAX {
            // Some names are only told apart by their signs.
            let behind = &text[end..];
            let sign = ["++", "#"].into_iter().find(|sign| {
                let rest = behind.strip_prefix(sign);
                rest.is_some_and(|rest| {
                    !rest.starts_with(|c: char| c == '+' || c == '#' || c.is_alphanumeric())
                })
            });
            if let Some(sign) = sign {
                end += sign.len();
                run = &text[start..end];
                letters.nth(sign.len() - 1);
            }
        }
        match class {
            Class::Pairs => pairs(run, start, &mut words),
            Class::Letters => words.extend(word(run, start..end)),
            // The marks that only choose how a sign looks do not count.
            Class::Sign => words.push(Word {
                folded: first.to_string(),
                range: start..end,
                is_tail: false,
            }),
            Class::Nothing => {}
        }
    }
    words
}

fn word(run: &str, range: Range<usize>) -> Option<Word> {
    let folded = fold(run);
    let folded = singular(without_article(&folded));
    let folded: String = folded.chars().take(WORD_CHARS_MAX).collect();
    (!folded.is_empty()).then_some(Word {
        folded,
        range,
        is_tail: false,
    })
}

/// Overlapping pairs, and the last character alone.
fn pairs(run: &str, start: usize, words: &mut Vec<Word>) {
    let letters: Vec<(usize, char)> = run.char_indices().collect();
    for (number, (at, letter)) in letters.iter().enumerate() {
        let next = letters.get(number + 1);
        let end = next.map_or(at + letter.len_utf8(), |(at, next)| at + next.len_utf8());
        let folded = fold(&run[*at..end]);
        if !folded.is_empty() {
            words.push(Word {
                folded,
                range: start + at..start + end,
                is_tail: next.is_none(),
            });
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// Of a script with spaces between words.
    Letters,
    /// Of one without.
    Pairs,
    /// A sign that says something by itself, as an emoji does.
    Sign,
    Nothing,
}

impl Class {
    /// Whether a character goes on with what began with one of this class.
    fn goes_on_with(self, letter: char) -> bool {
        let joins = is_mark(letter) || is_joiner(letter);
        match self {
            Self::Letters => joins || class_of(letter) == Self::Letters,
            Self::Pairs => class_of(letter) == Self::Pairs,
            Self::Sign => is_mark(letter),
            Self::Nothing => false,
        }
    }
}

fn class_of(letter: char) -> Class {
    if letter.is_ascii_alphanumeric() {
        return Class::Letters;
    }
    if letter.is_ascii() {
        return Class::Nothing;
    }
    match u32::from(letter) {
        // Thai and Lao, Myanmar, Khmer: their marks are characters of the run.
        0xe00..=0xe3a | 0xe40..=0xeff | 0x1000..=0x109f | 0x1780..=0x17d3 |
        // Hangul, which has spaces, but writes together what others write apart.
        0x1100..=0x11ff | 0xac00..=0xd7a3 | 0x3130..=0x318f |
        // Kana, Bopomofo, Han, the wide forms of kana.
        0x3005..=0x3007 | 0x3041..=0x312f | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff
        | 0xf900..=0xfaff | 0xff66..=0xff9f | 0x20000..=0x323af => Class::Pairs,
        _ if letter.is_alphanumeric() => Class::Letters,
        _ if letter.general_category() == GeneralCategory::OtherSymbol => Class::Sign,
        _ => Class::Nothing,
    }
}

fn is_mark(letter: char) -> bool {
    use GeneralCategory::{EnclosingMark, NonspacingMark, SpacingMark};
    !letter.is_ascii()
        && matches!(
            letter.general_category(),
            EnclosingMark | NonspacingMark | SpacingMark
        )
}

/// What joins letters or keeps them apart without being one: Persian is written with and without.
fn is_joiner(letter: char) -> bool {
    matches!(letter, '\u{200c}' | '\u{200d}' | '\u{ad}')
}

/// Without the difference of capitals, accents, wide and narrow forms, and of what may be left out or is written in two
/// ways. Marks that make another word, as the vowels of Indian scripts do, stay.
fn fold(run: &str) -> String {
    if run.is_ascii() {
        return run.to_ascii_lowercase();
    }
    let apart = run
        .nfkd()
        .filter(|letter| !is_accent(*letter) && !is_joiner(*letter));
    let small = apart.flat_map(char::to_lowercase);
    let mut folded = String::with_capacity(run.len());
    for letter in small.filter(|letter| !is_accent(*letter)) {
        match letter {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' => folded.push('d'),
            'ı' => folded.push('i'),
            'ς' => folded.push('σ'),
            'ى' | 'ی' => folded.push('ي'),
            'ک' => folded.push('ك'),
            'ة' => folded.push('ه'),
            'ٱ' => folded.push('ا'),
            '۰'..='۹' => folded.push(digit(letter, '۰')),
            '٠'..='٩' => folded.push(digit(letter, '٠')),
            _ => folded.push(letter),
        }
    }
    // Syllables of Hangul and marks of kana stay one character.
    folded.nfc().collect()
}

fn digit(letter: char, zero: char) -> char {
    let value = u32::from(letter) - u32::from(zero);
    char::from_digit(value, 10).unwrap_or(letter)
}

/// Marks of Latin, Greek and Cyrillic letters, the points of Hebrew, the vowels of Arabic and its stretching.
fn is_accent(letter: char) -> bool {
    matches!(letter,
        '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}'
        | '\u{5c5}' | '\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}'
        | '\u{670}' | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}' | '\u{6e7}' | '\u{6e8}'
        | '\u{6ea}'..='\u{6ed}' | '\u{fe00}'..='\u{fe0f}')
}

/// A word in Latin letters without the `s` of its plural, as English, French, Spanish, Portuguese and Dutch have it: who
/// looks for one of something means the posts about many, too. In other languages the few words that lose theirs lose
/// it in texts and in searches alike.
fn singular(folded: &str) -> Cow<'_, str> {
    let is_latin = folded.bytes().all(|byte| byte.is_ascii_lowercase());
    match folded.strip_suffix('s') {
        Some(stem) if is_latin && stem.len() >= STEM_CHARS_MIN => match stem.strip_suffix("ie") {
            Some(stem) if stem.len() >= STEM_CHARS_MIN => Cow::Owned(format!("{stem}y")),
            _ if stem.ends_with(['s', 'u', 'i']) => Cow::Borrowed(folded),
            _ => Cow::Borrowed(stem),
        },
        _ => Cow::Borrowed(folded),
    }
}

/// An Arabic word without its article, as readers look for it either way.
fn without_article(folded: &str) -> &str {
    let stem = ARTICLES
        .iter()
        .find_map(|article| folded.strip_prefix(article));
    stem.filter(|stem| stem.chars().count() >= STEM_CHARS_MIN)
        .unwrap_or(folded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.folded).collect()
    }

    #[test]
    fn words_are_told_apart_in_every_script() {
        for (text, expected) in [
            ("The Town-Hall's 3 rooms", "the town hall s 3 room"),
            ("l’École des Fées", "l ecole des fee"),
            (
                "Straße ΣΊΣΥΦΟΣ Ёлка Łódź İstanbul",
                "strasse σισυφοσ елка lodz istanbul",
            ),
            ("naive cafe\u{301}", "naive cafe"),
            (
                "Licenses traits STORIES virus pass is gas",
                "license trait story virus pass is gas",
            ),
            (
                "licencias prochaines années Häusers",
                "licencia prochaine annee hauser",
            ),
            (
                "C++, C# (F#) c++11 C+ a#b x++y #tag",
                "c++ c# f# c 11 c a b x y tag",
            ),
            ("東京都に", "東京 京都 都に に"),
            ("ﾃｽﾄ テスト", "テス スト ト テス スト ト"),
            ("서울시", "서울 울시 시"),
            ("สวัสดี", "สว วั ัส สด ดี ี"),
            ("Rustで書く", "rust で書 書く く"),
            ("والمدرسة الكتاب كتاب آل", "مدرسه كتاب كتاب ال"),
            ("الاِجْتِمَاع مـــرحبا", "اجتماع مرحبا"),
            ("می‌خواهم ۱۲۳", "ميخواهم 123"),
            ("हिन्दी में लिखना", "हिन्दी में लिखना"),
            ("שָׁלוֹם", "שלום"),
            ("🌻 ok ☀️!", "🌻 ok ☀"),
            ("\" ' - … \t\n", ""),
            ("", ""),
        ] {
            assert_eq!(folded(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn a_word_without_end_is_cut() {
        let long = "a".repeat(10_000);
        assert_eq!(folded(&long), ["a".repeat(WORD_CHARS_MAX)]);
    }

    proptest! {
        #[test]
        fn every_word_stands_where_it_says(text in "\\PC{0,60}") {
            let mut last = 0;
            for word in words(&text) {
                prop_assert!(text.get(word.range.clone()).is_some_and(|at| !at.is_empty()));
                prop_assert!(word.range.start >= last && !word.folded.is_empty());
                last = word.range.start;
            }
        }

        /// What was copied from a text is found in it: the pieces of a run are in the run.
        #[test]
        fn folding_again_changes_nothing(text in "[a-zA-ZéÀñßœΣς東京かガ서 ]{0,30}") {
            let once = folded(&text).join(" ");
            for word in words(&text) {
                prop_assert_eq!(fold(&word.folded), word.folded.clone());
            }
            prop_assert!(once.len() < 1_000);
        }
    }
}
