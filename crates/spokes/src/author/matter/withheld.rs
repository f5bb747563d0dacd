//! What front matter keeps from readers. What is published is public for ever, so whatever does not
//! clearly say that everybody may read a text keeps it out.

use crate::author::matter::{Front, value, values::Text};

/// Why a text is not published: the report's word, and a sentence.
pub(crate) type Withheld = (&'static str, String);

/// States that mean that a text is there for readers, in lower case.
const PUBLIC_STATES: [&str; 14] = [
    "active",
    "complete",
    "completed",
    "done",
    "evergreen",
    "final",
    "finished",
    "live",
    "public",
    "publish",
    "published",
    "ready",
    "released",
    "true",
];
/// Whoever may read what is meant for these may be anybody.
const EVERYBODY: [&str; 5] = ["all", "everybody", "everyone", "public", "true"];

/// Why front matter keeps a text out; none where it does not.
pub(super) fn of(front: &Front) -> Option<Withheld> {
    let out = |word, why: &str| Some((word, why.to_owned()));
    if is_true(&front.draft) || is_false(&front.published) {
        return out("draft", "marked as a draft, so it was left out");
    }
    if is_true(&front.private) {
        return out("private", "marked as private, so it was left out");
    }
    let status = front.status.iter().flat_map(|words| &words.0);
    let status = status.map(|word| plain(word)).filter(|w| !w.is_empty());
    for status in status {
        match status.as_str() {
            status if PUBLIC_STATES.contains(&status) => {}
            "draft" | "auto-draft" | "pending" | "unpublished" | "wip" | "idea" | "hidden" => {
                let why = format!("its status is \"{status}\", so it was left out");
                return Some(("draft", why));
            }
            "private" | "members" | "protected" => {
                let why = format!("its status is \"{status}\", so it was left out");
                return Some(("private", why));
            }
            "future" | "scheduled" => {
                let why = format!("its status is \"{status}\"; publish it when its day has come");
                return Some(("scheduled", why));
            }
            "trash" | "deleted" => return out("trash", "it was in the trash"),
            status => {
                let why = format!(
                    "its status is \"{status}\", which is not known here, so it was left out; if \
                     it is meant for readers, write \"published\" there"
                );
                return Some(("skipped", why));
            }
        }
    }
    let whom = front.visibility.iter().flat_map(|words| &words.0);
    let mut whom = whom.map(|word| plain(word)).filter(|w| !w.is_empty());
    let whom = whom.find(|whom| !EVERYBODY.contains(&whom.as_str()))?;
    let why = format!("its visibility is \"{whom}\", so it was left out");
    Some(("private", why))
}

/// A word however it is written.
fn plain(word: &str) -> String {
    word.trim().to_lowercase()
}

fn says(text: &Option<Text>, words: &[&str]) -> bool {
    value(text).is_some_and(|text| words.contains(&plain(text).as_str()))
}

pub(super) fn is_true(text: &Option<Text>) -> bool {
    says(text, &["true", "yes", "y", "on", "1"])
}

fn is_false(text: &Option<Text>) -> bool {
    says(text, &["false", "no", "n", "off", "0"])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::author::matter::Matter;

    #[track_caller]
    fn check(front: &str, expected: Option<&str>) {
        for text in [
            format!("---\n{front}\n---\nWords"),
            format!("---\r\ntitle: T\r\n{front}\r\n---\r\nWords"),
        ] {
            let matter = Matter::read(Path::new("x.md"), text.as_bytes()).expect(front);
            let found = matter.withheld.as_ref().map(|(word, _)| *word);
            assert_eq!(found, expected, "{front}");
        }
    }

    #[test]
    fn what_is_not_for_everybody_is_known_by_its_words() {
        for front in [
            "draft: true",
            "Draft: Yes",
            "published: false",
            "published: FALSE",
        ] {
            check(front, Some("draft"));
        }
        for status in [
            "draft",
            "Draft",
            "pending",
            "\"auto-draft\"",
            "[post, draft]",
            "wip",
        ] {
            let expected = if status.starts_with('[') {
                "skipped"
            } else {
                "draft"
            };
            check(&format!("status: {status}"), Some(expected));
        }
        for front in [
            "private: true",
            "status: private",
            "visibility: private",
            "visibility: members",
            "visibility: paid",
            "visibility: [public, tiers]",
        ] {
            check(front, Some("private"));
        }
        check("status: future", Some("scheduled"));
        check("status: trash", Some("trash"));
        check("status: someday", Some("skipped"));
    }

    #[test]
    fn what_is_for_everybody_is_not_held_back() {
        for front in [
            "draft: false",
            "published: true",
            "published: 2020-01-02",
            "private: false",
            "status: publish",
            "status: Published",
            "status:",
            "status: {deep: 1}",
            "visibility: public",
        ] {
            check(front, None);
        }
        let toml = b"+++\nstatus = \"draft\"\n+++\nWords";
        let matter = Matter::read(Path::new("x.md"), toml).expect("read");
        assert_eq!(matter.withheld.map(|(word, _)| word), Some("draft"));
    }
}
