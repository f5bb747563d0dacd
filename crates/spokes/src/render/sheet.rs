//! HTML whose last details are known only when all of it is written.

use std::collections::{HashMap, HashSet};

use crate::render::letters::Letters;
use crate::render::raw::escape;
use crate::render::{Direction, ID_PREFIX};

/// An id that is made of a heading's words has at most so many letters: as long as headings get, so that
/// links into a page find them whole.
pub(super) const ID_LETTERS_MAX: usize = 200;

/// What is filled in at the end.
#[derive(Debug)]
pub(super) enum Patch {
    /// The digit of a heading as it was written.
    Level(u8),
    /// A heading's id; empty where it has none.
    Id(String),
    /// To which id of this page a link leads.
    Fragment(String),
    /// Which way a block runs, where it is not the way of what is around it: its letters, and the
    /// number of the block around it.
    Way(Letters, Option<usize>),
}

/// HTML, and where what is still to be filled in.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub(super) html: String,
    patches: Vec<(usize, Patch)>,
}

impl Sheet {
    /// Leaves a place at the end; returns its number.
    pub(super) fn patch(&mut self, patch: Patch) -> usize {
        self.patches.push((self.html.len(), patch));
        self.patches.len() - 1
    }

    /// Gives a heading its id; returns its level.
    pub(super) fn fill_in_id(&mut self, number: usize, id: String) -> u8 {
        if let Some((_, patch)) = self.patches.get_mut(number) {
            *patch = Patch::Id(id);
        }
        match number
            .checked_sub(1)
            .and_then(|level| self.patches.get(level))
        {
            Some((_, Patch::Level(level))) => *level,
            _ => unreachable!("a heading's level stands before its id"),
        }
    }

    /// Gives a block the letters that it turned out to have.
    pub(super) fn fill_in_letters(&mut self, number: usize, letters: Letters) {
        if let Some((_, Patch::Way(written, _))) = self.patches.get_mut(number) {
            *written = letters;
        }
    }

    pub(super) fn append(&mut self, other: Self) {
        let (begin, before) = (self.html.len(), self.patches.len());
        self.html.push_str(&other.html);
        for (at, patch) in other.patches {
            let patch = match patch {
                Patch::Way(letters, around) => Patch::Way(letters, around.map(|n| before + n)),
                patch => patch,
            };
            self.patches.push((begin + at, patch));
        }
    }

    /// `way` is that of the whole text.
    fn finish(self, anchors: &Anchors, way: Option<Direction>) -> String {
        if self.patches.is_empty() {
            return self.html;
        }
        let mut html = String::with_capacity(self.html.len() + 32 * self.patches.len());
        let mut from = 0;
        // The way of each block, by the number of its patch; a block stands behind the one around it.
        let mut ways = vec![way; self.patches.len()];
        for (number, (at, patch)) in self.patches.iter().enumerate() {
            html.push_str(&self.html[from..*at]);
            from = *at;
            match patch {
                Patch::Level(level) => html.push(char::from(b'0' + anchors.shown_level(*level))),
                Patch::Id(id) if id.is_empty() => {}
                Patch::Id(id) => {
                    html.push_str(" id=\"");
                    escape(id, &mut html);
                    html.push('"');
                }
                Patch::Way(letters, around) => {
                    let outer = around.map_or(way, |around| ways[around]);
                    let own = letters.direction().or(outer);
                    ways[number] = own;
                    if let Some(own) = own.filter(|_| own != outer) {
                        html.push_str(&format!(" dir=\"{}\"", own.as_str()));
                    }
                }
                Patch::Fragment(id) => {
                    html.push_str(ID_PREFIX);
                    match anchors.meant_by(id) {
                        Some(meant) => escape(meant, &mut html),
                        None => html.push_str(id),
                    }
                }
            }
        }
        html.push_str(&self.html[from..]);
        html
    }
}

/// A part of the article.
pub(super) enum Piece {
    /// HTML that the last step washes.
    Words(Sheet),
    /// A listing: escaped words and our own tags, which it would leave as they are.
    Code(String),
}

impl Piece {
    pub(super) fn finish(self, anchors: &Anchors, way: Option<Direction>) -> Finished {
        match self {
            Self::Words(sheet) => Finished::Words(sheet.finish(anchors, way)),
            Self::Code(html) => Finished::Code(html),
        }
    }
}

/// A part of the article with all its details.
pub(super) enum Finished {
    Words(String),
    Code(String),
}

/// The ids of a page, and the level of its highest heading.
#[derive(Debug, Default)]
pub(super) struct Anchors {
    taken: HashSet<String>,
    /// How often an id was wanted that was taken.
    again: HashMap<String, usize>,
    /// Ids of headings by their letters and digits alone.
    by_letters: HashMap<String, String>,
    highest: Option<u8>,
}

impl Anchors {
    pub(super) fn saw_heading(&mut self, level: u8) {
        self.highest = Some(self.highest.map_or(level, |highest| highest.min(level)));
    }

    /// The level on a page whose title is its `<h1>`.
    fn shown_level(&self, level: u8) -> u8 {
        (level + 2 - self.highest.unwrap_or(level)).clamp(2, 6)
    }

    /// Takes an id; false when it is taken, or none.
    pub(super) fn take(&mut self, id: &str) -> bool {
        let is_one = !id.is_empty() && !id.contains(|letter: char| letter.is_ascii_whitespace());
        is_one && self.taken.insert(id.to_owned())
    }

    /// The id of a heading: the one that it says, `{#id}`, else one of its words.
    pub(super) fn of_heading(&mut self, html: &mut String, from: usize, words: &str) -> String {
        if let Some((id, end)) = said_id(&html[from..]) {
            let id = id.to_owned();
            html.truncate(from + end);
            if self.take(&id) {
                return id;
            }
        }
        let made = made_id(words);
        if made.is_empty() {
            return made;
        }
        let id = self.unused(&made);
        let letters = letters_of(&made);
        if !letters.is_empty() {
            self.by_letters.entry(letters).or_insert_with(|| id.clone());
        }
        id
    }

    fn unused(&mut self, made: &str) -> String {
        if self.take(made) {
            return made.to_owned();
        }
        loop {
            let number = self.again.entry(made.to_owned()).or_default();
            *number += 1;
            let id = format!("{made}-{number}");
            if self.take(&id) {
                return id;
            }
        }
    }

    /// Programs make ids in different ways: `what's next` is `whats-next` or `what-s-next`. A link to
    /// an id that nothing has means the heading with the same letters, or the one that a browser's
    /// address names with our prefix.
    fn meant_by(&self, id: &str) -> Option<&str> {
        if self.taken.contains(id) || self.by_letters.is_empty() {
            return None;
        }
        let copied = id.strip_prefix(ID_PREFIX);
        if let Some(meant) = copied.and_then(|bare| self.taken.get(bare)) {
            return Some(meant);
        }
        let said = crate::http::unquote_path(id);
        self.by_letters.get(&letters_of(&said)).map(String::as_str)
    }
}

/// `{#id}` at the end of a heading, and where the words before it end.
fn said_id(heading: &str) -> Option<(&str, usize)> {
    let (words, id) = heading.trim_end().strip_suffix('}')?.rsplit_once("{#")?;
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
    (!id.is_empty() && id.chars().all(is_part)).then(|| (id, words.trim_end().len()))
}

/// As GitHub makes it: small letters and digits, `-` for blanks.
fn made_id(words: &str) -> String {
    let mut id = String::new();
    for letter in words.trim().chars().take(ID_LETTERS_MAX) {
        match letter {
            '-' | '_' => id.push(letter),
            letter if letter.is_whitespace() => id.push('-'),
            letter if letter.is_alphanumeric() || is_mark(letter) => {
                id.extend(letter.to_lowercase())
            }
            _ => {}
        }
    }
    id
}

/// Vowels of the Indic scripts and of Arabic, which are no letters for Rust.
fn is_mark(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{d7f}')
        && !matches!(letter, '\u{964}' | '\u{965}')
}

fn letters_of(id: &str) -> String {
    let letters = id.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}
