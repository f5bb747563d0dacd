//! Names of things: hashes, fingerprints, blogs, slugs, tags, languages (SPEC entry 1.5, 3.9-3.13).

use alloc::{string::String, vec::Vec};
use core::fmt;

use sha2::{Digest as _, Sha256};
use unicode_normalization::is_nfc;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

use crate::text::Value;

/// A SHA-256, spelled `sha256:` and 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

/// What an entry is called: the hash of its skeleton (SPEC entry 2.2).
pub type EntryId = Hash;
/// What a blog is called under whatever name: the id of its entry 0.
pub type BlogId = Hash;

impl Hash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hash of these bytes, one part behind the other.
    pub fn of_parts<const N: usize>(parts: [&[u8]; N]) -> Self {
        let mut hasher = Sha256::new();
        parts.iter().for_each(|part| hasher.update(part));
        Self(hasher.finalize().into())
    }

    /// Takes the 32 bytes of a hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads `sha256:HEX`.
    ///
    /// # Errors
    /// Says what a hash looks like.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        text.strip_prefix("sha256:")
            .and_then(hex_lower)
            .map(Self)
            .ok_or("is not \"sha256:\" and 64 lower-case hex digits")
    }

    /// Reads the form used in paths, `sha256-HEX`.
    pub fn parse_path(text: &str) -> Option<Self> {
        text.strip_prefix("sha256-").and_then(hex_lower).map(Self)
    }

    /// The form used in paths, `sha256-HEX`.
    pub fn path(&self) -> String {
        alloc::format!("sha256-{}", Hex(&self.0))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", Hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Value for Hash {
    fn parse(text: &str) -> Result<Self, &'static str> {
        Self::parse(text)
    }
}

/// 128 random bits that keep erased words from being guessed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Salt([u8; 16]);

impl Salt {
    /// Takes 16 random bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl Value for Salt {
    fn parse(text: &str) -> Result<Self, &'static str> {
        hex_lower(text)
            .map(Self)
            .ok_or("is not 32 lower-case hex digits")
    }
}

/// An OpenPGP fingerprint: 20 bytes (v4) or 32 (v6), spelled in upper-case hex.
///
/// Without an allocation of its own: a registry holds millions.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    /// Zeros behind its length.
    bytes: [u8; 32],
    length: u8,
}

impl Fingerprint {
    /// Takes the bytes of a fingerprint; none when they are neither 20 nor 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if !matches!(bytes.len(), 20 | 32) {
            return None;
        }
        let (bytes, length) = inline(bytes)?;
        Some(Self { bytes, length })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Whether stock `gpg` 2.2 cannot read keys with such a fingerprint.
    pub fn is_v6(&self) -> bool {
        self.length == 32
    }

    /// Reads upper-case hex.
    ///
    /// # Errors
    /// Says what a fingerprint looks like.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "is not a fingerprint of 40 or 64 upper-case hex digits";
        if text.bytes().any(|b| b.is_ascii_lowercase()) {
            return Err(SHAPE);
        }
        let bytes = match text.len() {
            40 => hex_any::<20>(text).map(Vec::from),
            64 => hex_any::<32>(text).map(Vec::from),
            _ => None,
        };
        bytes
            .and_then(|bytes| Self::from_bytes(&bytes))
            .ok_or(SHAPE)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.as_bytes();
        bytes.iter().try_for_each(|b| write!(f, "{b:02X}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Value for Fingerprint {
    fn parse(text: &str) -> Result<Self, &'static str> {
        Self::parse(text)
    }
}

/// Lower-case hex of bytes.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // Many at once: ids are printed with every entry, and a call of the formatter for each byte
        // would cost more than the hash.
        for chunk in self.0.chunks(32) {
            let mut text = [0; 64];
            for (pair, b) in text.chunks_exact_mut(2).zip(chunk) {
                pair[0] = DIGITS[usize::from(b >> 4)];
                pair[1] = DIGITS[usize::from(b & 15)];
            }
            let text = core::str::from_utf8(&text[..2 * chunk.len()]);
            f.write_str(text.expect("hex digits are ASCII"))?;
        }
        Ok(())
    }
}

fn hex_lower<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        None
    } else {
        hex_any(text)
    }
}

fn hex_any<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |b: u8| char::from(b).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

macro_rules! text_newtype {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Value for $name {
            fn parse(text: &str) -> Result<Self, &'static str> {
                Self::parse(text)
            }
        }
    };
}

/// At most 32 bytes with zeros behind them, and how many they are.
fn inline(text: &[u8]) -> Option<([u8; 32], u8)> {
    let mut bytes = [0; 32];
    bytes.get_mut(..text.len())?.copy_from_slice(text);
    Some((bytes, u8::try_from(text.len()).ok()?))
}

/// The name of a blog, the label before the network's domain (SPEC entry 3.9).
///
/// Without an allocation of its own: a registry holds millions. No character of it is below zero, so names
/// compare as their texts do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlogName {
    bytes: [u8; 32],
    length: u8,
}

impl fmt::Debug for BlogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlogName({:?})", self.as_str())
    }
}

impl fmt::Display for BlogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Value for BlogName {
    fn parse(text: &str) -> Result<Self, &'static str> {
        Self::parse(text)
    }
}

impl BlogName {
    /// The text.
    pub fn as_str(&self) -> &str {
        let text = core::str::from_utf8(&self.bytes[..usize::from(self.length)]);
        text.expect("a name was parsed from ASCII")
    }

    /// Reads a name.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let bytes = text.as_bytes();
        if !(3..=32).contains(&bytes.len()) {
            return Err("is not 3 to 32 characters long");
        }
        if !bytes
            .iter()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        {
            return Err("holds something else than a-z, 0-9 and hyphens");
        }
        if bytes.starts_with(b"-") || bytes.ends_with(b"-") {
            return Err("begins or ends with a hyphen");
        }
        // DNS keeps such labels for encodings ("xn--…", RFC 5890 section 2.3.1).
        if bytes.get(2..4) == Some(b"--") {
            return Err("has two hyphens at positions 3 and 4");
        }
        let (bytes, length) = inline(bytes).ok_or("is not 3 to 32 characters long")?;
        Ok(Self { bytes, length })
    }
}

/// Where an article stands below its blog (SPEC entry 3.10).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slug(String);
text_newtype!(Slug);

/// Paths that a node answers itself, so that no article may have them as a segment.
const SYSTEM_PATHS: &[&str] = &[
    "about",
    "api",
    "archive",
    "favicon.ico",
    "feed.atom",
    "feed.json",
    "feed.rss",
    "healthz",
    "key.asc",
    "media",
    "metrics",
    "robots.txt",
    "search",
    "sitemap.xml",
    "status",
    "tags",
];
/// Segments of a slug: deep enough for `YYYY/MM/DD/title` twice over.
const SLUG_SEGMENTS_MAX: usize = 8;
/// Bytes of a slug: with a long domain it stays below what old proxies take.
const SLUG_BYTES_MAX: usize = 200;

impl Slug {
    /// Reads a slug.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > SLUG_BYTES_MAX {
            return Err("is longer than 200 bytes");
        }
        if text.split('/').count() > SLUG_SEGMENTS_MAX {
            return Err("has more than 8 segments");
        }
        if !is_nfc(text) {
            return Err("is not in Unicode's normal form C");
        }
        text.split('/').try_for_each(Self::check_segment)?;
        Ok(Self(text.into()))
    }

    fn check_segment(segment: &str) -> Result<(), &'static str> {
        if segment.is_empty() {
            return Err("has an empty segment");
        }
        if !segment
            .chars()
            .all(|c| matches!(c, '-' | '.' | '_') || is_word(c))
        {
            return Err("holds something else than letters, digits, \"-\", \".\" and \"_\"");
        }
        if segment.starts_with(['_', '.']) {
            return Err("has a segment that begins with \"_\" or \".\"");
        }
        if segment.ends_with(".asc") || segment.ends_with(".txt") {
            return Err("has a segment that ends in .asc or .txt");
        }
        if SYSTEM_PATHS.contains(&segment) {
            return Err("has a segment that is a path of the system, such as \"tags\"");
        }
        Ok(())
    }

    /// Makes the slug that fits a title or a file name best; none when nothing is left of it.
    pub fn from_title(title: &str) -> Option<Self> {
        use unicode_normalization::UnicodeNormalization as _;
        let mut slug = String::new();
        for c in title.nfc().flat_map(char::to_lowercase) {
            if is_word(c) {
                slug.push(c);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
            // Room for a number behind it where the slug is taken.
            if slug.len() > SLUG_BYTES_MAX - 20 {
                break;
            }
        }
        let slug: String = slug.trim_matches('-').nfc().collect();
        if slug.is_empty() {
            return None;
        }
        Self::parse(&slug)
            .or_else(|_| Self::parse(&alloc::format!("{slug}-1")))
            .ok()
    }
}

/// Letters, marks and digits of Unicode 18 (SPEC entry 1.6).
fn is_word(c: char) -> bool {
    use unicode_properties::GeneralCategory::DecimalNumber;
    match c.general_category_group() {
        GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark => true,
        _ => c.general_category() == DecimalNumber,
    }
}

/// A word under which articles are listed (SPEC entry 3.11).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag(String);
text_newtype!(Tag);

/// Tags of one article: more is spam in every archive we looked at.
pub(crate) const TAGS_MAX: usize = 64;

impl Tag {
    /// Reads one tag.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > 100 {
            return Err("has a tag of no or more than 100 bytes");
        }
        if text.contains([',', '/']) || matches!(text, "." | "..") {
            return Err(
                "has a tag with a \"/\", with a comma and no space behind it, or that is a mere dot or two",
            );
        }
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err("has a tag that begins or ends with a space");
        }
        Ok(Self(text.into()))
    }
}

/// The value of a `Tags` line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tags(pub Vec<Tag>);

impl Value for Tags {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut tags = Vec::new();
        for tag in text.split(", ") {
            let tag = Tag::parse(tag)?;
            if tags.contains(&tag) {
                return Err("names a tag twice");
            }
            // Before the next one is compared with all of them: a line has room for 5,000.
            if tags.len() == TAGS_MAX {
                return Err("has more than 64 tags");
            }
            tags.push(tag);
        }
        Ok(Self(tags))
    }
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, tag) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { ", " };
            write!(f, "{gap}{tag}")?;
        }
        Ok(())
    }
}

/// A BCP 47 language tag, by shape (SPEC entry 3.12).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Language(String);
text_newtype!(Language);

impl Language {
    /// Reads a language tag.
    ///
    /// # Errors
    /// Says what a language tag looks like.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = text.split('-');
        let shaped = parts.next().is_some_and(|p| {
            matches!(p.len(), 2..=8) && p.bytes().all(|b| b.is_ascii_alphabetic())
        }) && parts
            .all(|p| matches!(p.len(), 1..=8) && p.bytes().all(|b| b.is_ascii_alphanumeric()));
        if shaped && text.len() <= 35 {
            Ok(Self(text.into()))
        } else {
            Err("is not a language tag such as \"en\" or \"pt-BR\"")
        }
    }
}

/// The type of a medium, such as `image/jpeg` (SPEC entry 3.13).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MediaType(String);
text_newtype!(MediaType);

impl MediaType {
    /// Reads a type.
    ///
    /// # Errors
    /// Says what a type looks like.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let part = |p: &str| {
            !p.is_empty()
                && p.bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'+' | b'-'))
        };
        match text.split_once('/') {
            Some((kind, form)) if text.len() <= 100 && part(kind) && part(form) => {
                Ok(Self(text.into()))
            }
            _ => Err("is not a media type such as \"image/jpeg\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check<T>(parse: fn(&str) -> Result<T, &'static str>, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(parse(text).is_ok(), "{text:?} must be read");
        }
        for text in bad {
            assert!(parse(text).is_err(), "{text:?} must be refused");
        }
    }

    #[test]
    fn the_tables_of_unicode_stay() {
        assert_eq!(unicode_properties::UNICODE_VERSION, (18, 0, 0));
        assert_eq!(unicode_normalization::UNICODE_VERSION, (18, 0, 0));
    }

    #[test]
    fn blog_names() {
        check(
            BlogName::parse,
            &["maria", "abc", "a-b", "1-2-3", &"x".repeat(32)],
            &[
                "",
                "ab",
                &"x".repeat(33),
                "Maria",
                "-abc",
                "abc-",
                "xn--abc",
                "a.b",
                "a_b",
                "marí",
            ],
        );
    }

    #[test]
    fn slugs() {
        let deep = "a/".repeat(8);
        check(
            Slug::parse,
            &[
                "2015/05/15/Rust-1.0.html",
                "नमस्ते",
                "مرحبا-بكم",
                "日本語",
                "தமிழ்",
                "a/b/c/d/e/f/g/h",
                "caf\u{e9}",
                "aboutness",
                &"x".repeat(200),
            ],
            &[
                "",
                "/a",
                "a/",
                "a//b",
                "..",
                "a/../b",
                ".hidden",
                "_x",
                "a b",
                "a.txt",
                "a.asc/b",
                "tags",
                "x/tags",
                "feed.atom",
                "cafe\u{301}",
                "a?b",
                "a%2fb",
                "a\u{200d}b",
                &deep[..15].replace('a', "ab/c"),
                "a/b/c/d/e/f/g/h/i",
                &"x".repeat(201),
            ],
        );
    }

    #[test]
    fn slugs_from_titles() {
        for (title, slug) in [
            ("Hello, World!", Some("hello-world")),
            ("  ", None),
            ("Ünïcode & Co.", Some("ünïcode-co")),
            ("Tags", Some("tags-1")),
            ("日本語 です", Some("日本語-です")),
        ] {
            assert_eq!(
                Slug::from_title(title).map(|s| s.to_string()).as_deref(),
                slug
            );
        }
    }

    #[test]
    fn tags_languages_types() {
        check(
            <Tags as Value>::parse,
            &["a", "a, b", "Größe, c++", "a,"].map(|t| t.trim_end_matches(',')),
            &["", "a,b", "a, ", "a, a", "a/b", ".", "a, ..", "a,  b"],
        );
        let many: String = (0..65).map(|n| format!("t{n}, ")).collect();
        assert!(<Tags as Value>::parse(many.trim_end_matches(", ")).is_err());
        check(
            Language::parse,
            &["en", "pt-BR", "zh-Hant-TW"],
            &["", "e", "en_US", "en-", "12"],
        );
        check(
            MediaType::parse,
            &["image/svg+xml"],
            &["", "image", "image/", "a/b/c", "Image/png"],
        );
    }

    #[test]
    fn fingerprints_and_hashes() {
        let v4 = "8E06ECDF00000000000000000000000000000000";
        let v6 = "A".repeat(64);
        check(
            Fingerprint::parse,
            &[v4, &v6],
            &["", &v4.to_lowercase(), &v4[1..], &v6[1..], &"G".repeat(40)],
        );
        let hash = Hash::of(b"").to_string();
        assert_eq!(Hash::parse(&hash).map(|h| h.to_string()), Ok(hash.clone()));
        assert_eq!(
            Hash::parse_path(&hash.replace(':', "-")),
            Hash::parse(&hash).ok()
        );
        check(
            Hash::parse,
            &[&hash],
            &[
                "",
                &hash[7..],
                &hash.to_uppercase(),
                &format!("{hash}0"),
                "sha256:+f",
            ],
        );
    }

    proptest! {
        #[test]
        fn what_is_read_prints_the_same(text in "\\PC{0,40}") {
            if let Ok(slug) = Slug::parse(&text) {
                prop_assert_eq!(slug.to_string(), text.clone());
            }
            if let Ok(tags) = <Tags as Value>::parse(&text) {
                prop_assert_eq!(tags.to_string(), text);
            }
        }

        #[test]
        fn a_slug_of_a_title_is_a_slug(title in "\\PC{0,300}") {
            if let Some(slug) = Slug::from_title(&title) {
                prop_assert!(Slug::parse(slug.as_str()).is_ok());
            }
        }
    }
}
