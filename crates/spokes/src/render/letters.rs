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
        let words = words.split_whitespace();
        for word in words.filter(|word| !word.contains("://") && !word.contains('@')) {
            for letter in word.chars().filter(|letter| letter.is_alphabetic()) {
                if is_right_to_left(letter) {
                    self.right_to_left += 1;
                } else {
                    self.left_to_right += 1;
                }
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
