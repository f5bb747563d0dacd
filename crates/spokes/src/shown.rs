//! Strangers' words on a terminal: what would steer it, or turn a line around, is not printed.

use std::{borrow::Cow, fmt::Write as _};

/// Stands where a letter was that is not printed.
const INSTEAD: char = '\u{fffd}';

/// Whether a letter steers a terminal (ESC, U+009B and the like) or makes a line read in another order than
/// it is written. Line ends and tabs are what our own sentences and lists are made of.
pub(crate) fn steers(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What a person reads of it.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if text.contains(steers) {
        Cow::Owned(text.replace(steers, &INSTEAD.to_string()))
    } else {
        Cow::Borrowed(text)
    }
}

/// The same in JSON, where nothing is lost: they can stand in its strings alone, and are spelled there as
/// escapes.
pub(crate) fn escaped(json: &str) -> String {
    let mut written = String::with_capacity(json.len());
    for c in json.chars() {
        if steers(c) {
            // All of them have four digits.
            write!(written, "\\u{:04x}", u32::from(c)).ok();
        } else {
            written.push(c);
        }
    }
    written
}
