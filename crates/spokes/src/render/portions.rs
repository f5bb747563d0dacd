//! Words and values in portions, so that the last step costs no more than their length.
//!
//! Its serializer looks from each `&`, and from each byte `0xC2`, to the end of the text that it
//! stands in. So no text is long: where such a byte comes late, an element that nobody lists parts
//! the text in two, and goes in the last step; the two stay apart in its tree.

use std::borrow::Cow;

/// Within so many bytes looking to the end is cheap: a text of them alone takes microseconds.
pub(super) const TEXT_BYTES_MAX: usize = 2 * 1024;
/// A longer value of an attribute is left out. Servers take addresses up to the same length, and no
/// title is as long.
pub(super) const VALUE_BYTES_MAX: usize = 8 * 1024;
/// It is not a comment because those stand within a table, and words that a table has no place for
/// stand before it and would be one text again.
const PARTED: &str = "<x></x>";

/// HTML of the writer's: every `<` opens a tag, every `>` closes one, and values are in `"`.
pub(super) fn in_portions(html: &str) -> Cow<'_, str> {
    if is_in_portions(html) {
        return Cow::Borrowed(html);
    }
    let mut parted = String::new();
    let (mut copied, mut begin, mut in_tag) = (0, 0, false);
    for (at, byte) in html.bytes().enumerate() {
        match byte {
            b'<' => (begin, in_tag) = (at, true),
            b'>' => {
                if at - begin > VALUE_BYTES_MAX {
                    parted.push_str(&html[copied..begin]);
                    parted.push_str(&without_long_values(&html[begin..=at]));
                    copied = at + 1;
                }
                (begin, in_tag) = (at + 1, false);
            }
            // Both begin a character, and neither stands within an entity.
            b'&' | 0xC2 if !in_tag && at - begin >= TEXT_BYTES_MAX => {
                parted.push_str(&html[copied..at]);
                parted.push_str(PARTED);
                (copied, begin) = (at, at);
            }
            _ => {}
        }
    }
    if copied == 0 {
        return Cow::Borrowed(html);
    }
    parted.push_str(&html[copied..]);
    Cow::Owned(parted)
}

/// Whether no text and no tag is as long as a text may be: nearly all pages need no other look. It looks
/// back from as far ahead as the next angle may be, so that it reads few bytes of them.
fn is_in_portions(html: &str) -> bool {
    let mut rest = html.as_bytes();
    while rest.len() > TEXT_BYTES_MAX {
        let mut ahead = rest[..TEXT_BYTES_MAX].iter();
        match ahead.rposition(|byte| matches!(byte, b'<' | b'>')) {
            Some(angle) => rest = &rest[angle + 1..],
            None => return false,
        }
    }
    true
}

fn without_long_values(tag: &str) -> String {
    let mut kept = String::new();
    let mut parts = tag.split('"');
    while let Some(name) = parts.next() {
        match parts.next() {
            None => kept.push_str(name),
            Some(value) if value.len() <= VALUE_BYTES_MAX => {
                kept.push_str(&format!("{name}\"{value}\""));
            }
            // A picture without `alt` would be read out by its address.
            Some(_) if name.ends_with(" alt=") => kept.push_str(&format!("{name}\"\"")),
            Some(_) => kept.push_str(name.rsplit_once(' ').map_or(name, |(before, _)| before)),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the serializer looks at: from each such byte to the end of its text or value.
    fn looked_at(html: &str) -> usize {
        let looks = |text: &str| {
            let special = |(_, byte): &(usize, u8)| matches!(byte, b'&' | 0xC2);
            let found = text.bytes().enumerate().filter(special);
            found.map(|(at, _)| text.len() - at).sum::<usize>()
        };
        html.split(['<', '>', '"']).map(looks).sum()
    }

    #[test]
    fn the_work_grows_with_the_length() {
        for (before, word, behind) in [
            ("<p>", "&amp;", "</p>"),
            ("<p>", "©", "</p>"),
            ("<p>", "« a » ", "</p>"),
            ("<a title=\"", "&amp;", "\">a</a>"),
            ("<img src=\"/a\" alt=\"", "°", "\">"),
        ] {
            for length in [1 << 14, 1 << 17, 1 << 20] {
                let html = format!("{before}{}{behind}", word.repeat(length / word.len()));
                let parted = in_portions(&html);
                let work = looked_at(&parted);
                assert!(
                    work <= html.len() * TEXT_BYTES_MAX,
                    "{work} for {length} of {word}"
                );
                assert_eq!(parted.replace(PARTED, "").contains(word), before == "<p>");
            }
        }
    }

    #[test]
    fn ordinary_words_are_not_touched() {
        let words = format!("<p>{}&amp;</p>", "a".repeat(TEXT_BYTES_MAX - 1));
        assert!(matches!(in_portions(&words), Cow::Borrowed(_)));
        let longer = format!("<p>{}&amp;</p>", "a".repeat(TEXT_BYTES_MAX));
        let parted = format!("<p>{}{PARTED}&amp;</p>", "a".repeat(TEXT_BYTES_MAX));
        assert_eq!(in_portions(&longer), parted);
        let value = "a".repeat(VALUE_BYTES_MAX);
        let tag = format!("<b>1</b><img src=\"{value}\" alt=\"{value}\" title=\"c\">2");
        assert_eq!(in_portions(&tag), tag);
        let tag = format!("<b>1</b><img src=\"{value}a\" alt=\"{value}a\" title=\"c\">2");
        let left = "<b>1</b><img alt=\"\" title=\"c\">2";
        assert_eq!(in_portions(&tag), left);
    }
}
