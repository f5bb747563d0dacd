//! Which way words run, by the letters that they are made of.

use crate::render::Direction;

/// How many letters of some text run either way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Letters {
    left_to_right: usize,
    right_to_left: usize,
}

impl Letters {
    /// Counts the letters of words; addresses say nothing of the language around them.
    pub(super) fn count(&mut self, words: &str) {
        let leads = |words: &str| words.contains("://") || words.contains('@');
        // Nearly all words have neither mark, which is seen at once.
        let marks = words.bytes().fold(0, |marks, byte| {
            marks | u8::from(byte == b':') | u8::from(byte == b'@')
        });
        if marks == 0 || !leads(words) {
            return self.count_all(words);
        }
        let words = words.split_whitespace().filter(|word| !leads(word));
        words.for_each(|word| self.count_all(word));
    }

    /// Those of ASCII apart, which processors count many at a time.
    fn count_all(&mut self, words: &str) {
        for bytes in words.as_bytes().chunks(usize::from(u8::MAX)) {
            let letters = bytes
                .iter()
                .map(|byte| u8::from(byte.is_ascii_alphabetic()));
            self.left_to_right += usize::from(letters.sum::<u8>());
        }
        if words.is_ascii() {
            return;
        }
        let others = words.chars().filter(|letter| !letter.is_ascii());
        for letter in others.filter(|letter| letter.is_alphabetic()) {
            if is_right_to_left(letter) {
                self.right_to_left += 1;
            } else {
                self.left_to_right += 1;
            }
        }
    }

    /// Those that came after an earlier count of the same text.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            left_to_right: self.left_to_right - earlier.left_to_right,
            right_to_left: self.right_to_left - earlier.right_to_left,
        }
    }

    /// The way of most of them, not of the first one: an Arabic sentence may begin with a Latin name.
    pub(super) fn direction(self) -> Option<Direction> {
        match self.left_to_right.cmp(&self.right_to_left) {
            std::cmp::Ordering::Less => Some(Direction::Rtl),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(Direction::Ltr),
        }
    }
}

/// The blocks that Unicode keeps for scripts from right to left (UAX 9, bidirectional classes R and AL).
fn is_right_to_left(letter: char) -> bool {
    matches!(letter, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Word by word and letter by letter.
    fn counted(words: &str) -> (usize, usize) {
        let words = words.split_whitespace();
        let words = words.filter(|word| !word.contains("://") && !word.contains('@'));
        let letters = words.flat_map(str::chars).filter(|l| l.is_alphabetic());
        let (right, left): (Vec<_>, Vec<_>) = letters.partition(|l| is_right_to_left(*l));
        (left.len(), right.len())
    }

    fn check(words: &str) {
        let mut letters = Letters::default();
        letters.count(words);
        let (left, right) = (letters.left_to_right, letters.right_to_left);
        assert_eq!((left, right), counted(words), "{words:?}");
    }

    #[test]
    fn addresses_do_not_count() {
        check("see https://example.org/a or a@example.org: סוף");
        check("a://b\u{b}c\u{85}d@e\u{a0}f\u{3000}g :// h");
        check(&"a1".repeat(1_000));
    }

    proptest! {
        #[test]
        fn many_at_once_are_as_many_as_one_by_one(words in "([a-zA-Z0-9@:/ \n\u{a0}éאبकа中\u{1f600}]|://|[[:alpha:]]){0,600}") {
            check(&words);
        }
    }
}
