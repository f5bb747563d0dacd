//! Words of a post around those that were looked for.

use super::super::headlines::Told;
use crate::{
    index::{
        query::Query,
        words::{Word, words},
    },
    render,
};

/// Words that a snippet has: three lines on a telephone. Pairs of characters count as words.
const WORDS: usize = 24;
/// Words before the first that was looked for.
const BEFORE: usize = 5;
/// Characters that are looked at for the beginning of a word.
const BACK_MAX: usize = 12;
/// Characters of a snippet, however long its words.
const CHARS_MAX: usize = 200;

/// Pieces of a text, each with whether it was looked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Snippet(pub(super) Vec<(String, bool)>);

/// What a post shows around the words that were looked for; none where it does not have them.
pub(super) fn snippet(query: &Query, told: &Told, body: &str) -> Option<Snippet> {
    let text = render::plain(body);
    let in_body = words(&text);
    let title = told.headline.title.as_deref().unwrap_or_default();
    let title = [title, &told.tags.join("\n")].join("\n");
    if !query.fits(&[&words(&title), &in_body]) {
        return None;
    }
    let hits = query.hits(&in_body);
    if hits.is_empty() {
        return Some(Snippet(vec![(told.headline.excerpt.clone(), false)]));
    }
    Some(Snippet(around(&text, &in_body, &hits)))
}

/// The part of a text with most of the words that were looked for.
fn around(text: &str, words: &[Word], hits: &[usize]) -> Vec<(String, bool)> {
    let within = |first: usize| {
        let until = first + WORDS - BEFORE;
        let inside = hits.iter().filter(|hit| (first..until).contains(*hit));
        let mut different: Vec<&str> = inside.map(|hit| words[*hit].folded.as_str()).collect();
        different.sort_unstable();
        different.dedup();
        different.len()
    };
    // Of several that are as good the first.
    let mut best = hits[0];
    let mut most = 0;
    // Enough to find a good one in a post that says little else.
    for hit in hits.iter().take(200) {
        let count = within(*hit);
        if count > most {
            (best, most) = (*hit, count);
        }
    }
    let first = best.saturating_sub(BEFORE);
    let last = (first + WORDS).min(words.len());
    let mut pieces: Vec<(String, bool)> = Vec::new();
    let mut at = if first == 0 {
        0
    } else {
        whole_word(text, words[first].range.start)
    };
    let end = if last == words.len() {
        text.len()
    } else {
        words[last - 1].range.end
    };
    if at > 0 {
        pieces.push(("… ".to_owned(), false));
    }
    let mut chars = 0;
    let mut add = |part: &str, hit: bool| {
        let left = CHARS_MAX.saturating_sub(chars);
        let part: String = collapsed(part).chars().take(left).collect();
        chars += part.chars().count();
        match pieces.last_mut() {
            _ if part.is_empty() => {}
            Some((text, was_hit)) if *was_hit == hit => text.push_str(&part),
            _ => pieces.push((part, hit)),
        }
    };
    for hit in hits.iter().filter(|hit| (first..last).contains(*hit)) {
        let range = &words[*hit].range;
        // Pairs overlap.
        let start = range.start.max(at);
        add(&text[at..start], false);
        add(&text[start..range.end.max(start)], true);
        at = range.end.max(start);
    }
    add(text.get(at..end).unwrap_or_default(), false);
    if end < text.len() {
        add(" …", false);
    }
    pieces
}

/// Where what is written together with this begins: an apostrophe ends no word that people read.
fn whole_word(text: &str, at: usize) -> usize {
    let near = text[..at].char_indices().rev().take(BACK_MAX);
    let blank = near.clone().find(|(_, letter)| letter.is_whitespace());
    blank.map_or(at, |(at, letter)| at + letter.len_utf8())
}

/// One line.
fn collapsed(text: &str) -> String {
    let mut line = String::new();
    for letter in text.chars() {
        let blank = letter.is_whitespace() || letter.is_control();
        if !blank {
            line.push(letter);
        } else if !line.ends_with(' ') {
            line.push(' ');
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(line: &str, text: &str) -> String {
        let found = words(text);
        let hits = Query::parse(line).hits(&found);
        let pieces = around(text, &found, &hits);
        let piece = |(text, hit): (String, bool)| if hit { format!("[{text}]") } else { text };
        pieces.into_iter().map(piece).collect()
    }

    #[test]
    fn what_was_looked_for_is_marked_with_words_around_it() {
        let long = format!(
            "{}The council met.\n\nIt was late. {}",
            "before ".repeat(20),
            "after ".repeat(60)
        );
        for (line, text, expected) in [
            ("hall", "In the Town  Hall.", "In the Town [Hall]."),
            (
                "\"town hall\" in",
                "In the Town Hall.",
                "[In] the [Town] [Hall].",
            ),
            ("京都", "東京都の", "東[京都]の"),
            ("京都の", "東京都の", "東[京都の]"),
            ("ecole", "Une École!", "Une [École]!"),
        ] {
            assert_eq!(shown(line, text), expected, "{line}");
        }
        let shown = shown("council late", &long);
        assert!(
            shown.starts_with(
                "… before before before before The [council] met. It was [late]. after"
            ),
            "{shown}"
        );
        assert!(shown.ends_with("after …"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_is_cut_within_a_character(text in "\\PC{1,80}", from in 0usize..40, long in 1usize..5) {
            let part: String = text.chars().skip(from).take(long).collect();
            let found = words(&text);
            let hits = Query::parse(&part).hits(&found);
            if !hits.is_empty() {
                prop_assert!(around(&text, &found, &hits).iter().any(|(_, hit)| *hit));
            }
        }
    }
}
