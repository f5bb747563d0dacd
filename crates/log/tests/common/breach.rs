//! A sound text of each kind, one breach, and the sentence that a person reads.

use expect_test::Expect;
use spokes_log::{entry::Entry, name::Hash};

pub(crate) const SKELETON: &str = "\
Spokes-Entry: 1
Blog: sha256:0000000000000000000000000000000000000000000000000000000000000001
Sequence: 7
Previous: sha256:0000000000000000000000000000000000000000000000000000000000000002
Kind: KIND
Signed: 2026-11-23T14:05:00Z
Author: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
Content: CONTENT";
pub(crate) const SALT: &str = "Salt: 00112233445566778899aabbccddeeff";
pub(crate) const HASH: &str =
    "sha256:0000000000000000000000000000000000000000000000000000000000000003";
pub(crate) const AUTHOR: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
pub(crate) const OTHER: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
pub(crate) const CLAIM: &str = "\
Name: maria
Network: sha256:0000000000000000000000000000000000000000000000000000000000000003
Not-After: 2026-12-23T14:05:00Z";
pub(crate) const ARMOR: &str =
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxjME\n-----END PGP PUBLIC KEY BLOCK-----";

/// Fills in the kind and a true `Content` line.
pub(crate) fn seal(kind: &str, content: &str) -> String {
    let (hash, length) = (Hash::of(content.as_bytes()), content.len());
    let skeleton = SKELETON
        .replace("KIND", kind)
        .replace("CONTENT", &format!("{hash} {length}"));
    format!("{skeleton}\n\n{content}")
}

pub(crate) fn post() -> String {
    format!(
        "{SALT}\nDate: 2026-11-23T00:00:00Z\nSlug: one\nTitle: One\nLanguage: en\nTags: a, b\n\
         Alias: uno\nReplaces: {HASH}\nMedia: {HASH} 12 image/png A dog\nInstead-Of: {HASH}\n\
         X-Mood: good\n\nWords.\n\nMore."
    )
}

/// Entry 0, by the key whose certificate it carries.
pub(crate) fn first(content: &str) -> String {
    seal("blog", content)
        .replacen(
            "Blog: sha256:0000000000000000000000000000000000000000000000000000000000000001",
            "Blog: new",
            1,
        )
        .replacen("Sequence: 7", "Sequence: 0", 1)
        .replacen(
            "Previous: sha256:0000000000000000000000000000000000000000000000000000000000000002",
            "Previous: none",
            1,
        )
}

pub(crate) fn tell(name: &str, text: &[u8]) -> String {
    match Entry::parse(text) {
        Ok(entry) => {
            assert_eq!(entry.text().as_bytes(), text);
            format!("{name}: read")
        }
        Err(malformed) => format!("{name}: {malformed}"),
    }
}

#[track_caller]
pub(crate) fn check(told: impl IntoIterator<Item = String>, expected: Expect) {
    expected.assert_eq(&told.into_iter().collect::<Vec<_>>().join("\n"));
}

/// The text with a replacement, which must find what it replaces.
#[track_caller]
pub(crate) fn put(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old}");
    text.replacen(old, new, 1)
}

/// Breaches of the content of a kind, each sealed anew.
#[track_caller]
pub(crate) fn content(kind: &str, content: &str, rows: &[(&str, &str, &str)], expected: Expect) {
    let told = rows
        .iter()
        .map(|(name, old, new)| tell(name, seal(kind, &put(content, old, new)).as_bytes()));
    check(
        [tell("as it should be", seal(kind, content).as_bytes())]
            .into_iter()
            .chain(told),
        expected,
    );
}
