//! Parse and print are inverse, whatever an author says (SPEC entry 1.7).

use proptest::{collection::vec, option, prelude::*, sample::Index};
use spokes_log::{
    draft::{Article, Claim, Draft, Grant, Medium, Recovery, Role, Says},
    entry::{Entry, Skeleton},
    name::{BlogName, Fingerprint, Hash, Language, MediaType, Salt, Slug, Tag, Tags},
    text::Extension,
    time::Time,
};

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash::from_bytes)
}

fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    prop_oneof![vec(any::<u8>(), 20), vec(any::<u8>(), 32)]
        .prop_filter_map("20 or 32 bytes", |bytes| Fingerprint::from_bytes(&bytes))
}

fn time() -> impl Strategy<Value = Time> {
    any::<i64>().prop_map(|seconds| Time::from_unix(seconds % 200_000_000_000))
}

/// What any header line may hold.
fn value() -> impl Strategy<Value = String> {
    "\\PC{1,40}".prop_filter_map("one line, no blank at an end", |text| {
        let text = text.replace(['\u{2028}', '\u{2029}'], "-");
        let text = text.trim_matches(' ');
        (!text.is_empty()).then(|| text.to_string())
    })
}

fn slug() -> impl Strategy<Value = Slug> {
    vec("[a-zA-Z0-9äßñйदम日本தமி._-]{1,12}", 1..=8)
        .prop_filter_map("a slug", |segments| Slug::parse(&segments.join("/")).ok())
}

fn tags() -> impl Strategy<Value = Tags> {
    vec("[a-zA-Zäß+# .日]{1,12}", 0..=64).prop_map(|words| {
        let mut tags: Vec<Tag> = Vec::new();
        for tag in words.iter().filter_map(|word| Tag::parse(word).ok()) {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        Tags(tags)
    })
}

fn language() -> impl Strategy<Value = Language> {
    "[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}"
        .prop_filter_map("a language", |text| Language::parse(&text).ok())
}

fn medium() -> impl Strategy<Value = Medium> {
    let kind = "[a-z0-9.+-]{1,20}/[a-z0-9.+-]{1,20}"
        .prop_filter_map("a type", |text| MediaType::parse(&text).ok());
    (hash(), 1..=33_554_432_u64, kind, option::of(value())).prop_map(|(hash, bytes, kind, alt)| {
        Medium {
            hash,
            bytes,
            kind,
            alt,
        }
    })
}

fn article() -> impl Strategy<Value = Article> {
    let head = (time(), slug(), option::of(value()), option::of(language()));
    let rest = (
        tags(),
        vec(slug(), 0..4),
        option::of(hash()),
        vec(medium(), 0..5),
    );
    (head, rest).prop_map(
        |((date, slug, title, language), (tags, mut aliases, replaces, media))| {
            aliases.sort();
            aliases.dedup();
            aliases.retain(|alias| *alias != slug);
            Article {
                date,
                slug,
                title,
                language,
                tags,
                aliases,
                replaces,
                media,
            }
        },
    )
}

fn claim() -> impl Strategy<Value = Claim> {
    let name = "[a-z0-9-]{3,32}".prop_filter_map("a name", |text| BlogName::parse(&text).ok());
    (name, hash(), time()).prop_map(|(name, network, not_after)| Claim {
        name,
        network,
        not_after,
    })
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Own), Just(Role::Write)]
}

fn keys() -> impl Strategy<Value = Says> {
    let recovery = (1..=9_u64, vec(fingerprint(), 9)).prop_map(|(quorum, fingerprints)| Recovery {
        quorum,
        fingerprints,
    });
    let grant = (fingerprint(), role()).prop_map(|(fingerprint, role)| Grant { fingerprint, role });
    (
        vec(grant, 0..4),
        vec(fingerprint(), 0..3),
        option::of(recovery),
    )
        .prop_filter("changes something", |(grants, ends, recovery)| {
            !grants.is_empty() || !ends.is_empty() || recovery.is_some()
        })
        .prop_map(|(certificates, ends, recovery)| Says::Keys {
            certificates,
            ends,
            recovery,
        })
}

fn settings() -> impl Strategy<Value = Says> {
    (
        option::of(value()),
        option::of(language()),
        option::of(value()),
    )
        .prop_filter("sets something", |(title, language, description)| {
            title.is_some() || language.is_some() || description.is_some()
        })
        .prop_map(|(title, language, description)| Says::Settings {
            title,
            language,
            description,
        })
}

fn says() -> impl Strategy<Value = Says> {
    let blog = (value(), language(), fingerprint(), option::of(claim())).prop_map(
        |(title, language, certificate, claim)| Says::Blog {
            title,
            language,
            certificate,
            claim,
        },
    );
    let releases = "[a-z]{3,9}".prop_filter_map("a name", |text| BlogName::parse(&text).ok());
    prop_oneof![
        1 => blog,
        1 => (claim(), option::of(releases)).prop_map(|(claim, releases)| Says::Claim { claim, releases }),
        1 => claim().prop_map(Says::Release),
        1 => keys(),
        1 => settings(),
        2 => article().prop_map(Says::Post),
        1 => article().prop_map(Says::Page),
        1 => vec(hash(), 1..9).prop_map(|erases| Says::Erase { erases }),
        1 => "x[a-z0-9-]{0,31}".prop_map(Says::Other),
    ]
}

/// Words with paragraphs, and with every character that a body may hold.
fn words() -> impl Strategy<Value = String> {
    vec("(\\PC|\t|[-=> ]){0,60}", 0..6).prop_map(|lines| {
        let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        lines.join("\n").trim_matches('\n').to_string()
    })
}

fn extensions() -> impl Strategy<Value = Vec<Extension>> {
    let one = ("X[A-Za-z0-9-]{0,20}", value()).prop_map(|(name, value)| Extension { name, value });
    vec(one, 0..4)
}

const ARMOR: &str =
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxjME\n-----END PGP PUBLIC KEY BLOCK-----";

fn draft() -> impl Strategy<Value = Draft> {
    let salt = any::<[u8; 16]>().prop_map(Salt::from_bytes);
    (salt, says(), vec(hash(), 0..4), extensions(), words()).prop_map(
        |(salt, says, mut instead_of, extensions, words)| {
            let body = match &says {
                Says::Blog { .. } => ARMOR.to_string(),
                Says::Keys { certificates, .. } => vec![ARMOR; certificates.len()].join("\n\n"),
                Says::Post(_) | Says::Page(_) | Says::Other(_) => words,
                _ => String::new(),
            };
            if matches!(says, Says::Blog { .. }) {
                instead_of.clear();
            }
            Draft {
                salt,
                says,
                instead_of,
                extensions,
                body,
            }
        },
    )
}

prop_compose! {
    fn placed()(
        draft in draft(),
        parents in (hash(), hash()),
        sequence in 1..(1_u64 << 53),
        signed in time(),
        mut authors in vec(fingerprint(), 1..=8),
        extensions in extensions(),
    ) -> (Draft, Skeleton) {
        let first = match &draft.says {
            Says::Blog { certificate, .. } => Some(certificate.clone()),
            _ => None,
        };
        authors.sort();
        let content = draft.to_string();
        let skeleton = Skeleton {
            version: 1,
            blog: first.is_none().then_some(parents.0),
            sequence: if first.is_some() { 0 } else { sequence },
            previous: first.is_none().then_some(parents.1),
            kind: draft.kind(),
            signed,
            authors: first.map_or(authors, |only| vec![only]),
            content_hash: Hash::of(content.as_bytes()),
            content_bytes: content.len() as u64,
            extensions,
        };
        (draft, skeleton)
    }
}

fn print(skeleton: &Skeleton, draft: &Draft) -> String {
    format!("{skeleton}\n\n{draft}")
}

/// What is read says exactly its own bytes, through every part.
#[track_caller]
fn read(text: &str) -> Option<Entry> {
    let entry = Entry::parse(text.as_bytes()).ok()?;
    assert_eq!(entry.text(), text);
    match entry.draft() {
        Some(draft) => assert_eq!(print(entry.skeleton(), draft), text),
        None if entry.skeleton().version == 1 => {
            assert_eq!(entry.skeleton().to_string(), text);
        }
        None => {}
    }
    Some(entry)
}

/// The same content line for line, but the skeleton announces what is there now.
fn announce(text: &str) -> Option<String> {
    let (head, content) = text.split_once("\n\n")?;
    let lines = head.split('\n').map(|line| {
        if line.starts_with("Content: ") {
            format!(
                "Content: {} {}",
                Hash::of(content.as_bytes()),
                content.len()
            )
        } else {
            line.to_string()
        }
    });
    Some(format!(
        "{}\n\n{content}",
        lines.collect::<Vec<_>>().join("\n")
    ))
}

#[derive(Clone, Debug)]
enum Mutation {
    Byte(Index, u8),
    Delete(Index),
    DeleteLine(Index),
    DoubleLine(Index),
    SwapLines(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(b"\n\r\t :,/-.0aAfF\x00\x7f\xc2".to_vec())
    ];
    prop_oneof![
        (any::<Index>(), byte).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        any::<Index>().prop_map(Mutation::Delete),
        any::<Index>().prop_map(Mutation::DeleteLine),
        any::<Index>().prop_map(Mutation::DoubleLine),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mutation::SwapLines(a, b)),
    ]
}

/// The mutated text, if it is still UTF-8 and differs.
fn mutate(text: &str, mutation: &Mutation) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let mut lines: Vec<&str> = text.split('\n').collect();
    match mutation {
        Mutation::Byte(at, byte) => bytes[at.index(text.len())] = *byte,
        Mutation::Delete(at) => {
            bytes.remove(at.index(text.len()));
        }
        Mutation::DeleteLine(at) => {
            lines.remove(at.index(lines.len()));
        }
        Mutation::DoubleLine(at) => {
            let at = at.index(lines.len());
            lines.insert(at, lines[at]);
        }
        Mutation::SwapLines(a, b) => {
            let count = lines.len();
            lines.swap(a.index(count), b.index(count));
        }
    }
    let mutated = match mutation {
        Mutation::Byte(..) | Mutation::Delete(_) => String::from_utf8(bytes).ok()?,
        _ => lines.join("\n"),
    };
    (mutated != text).then_some(mutated)
}

/// Whether the two agree in every byte of their skeletons, and in every byte of their contents.
fn parts_equal(a: &Entry, b: &Entry) -> (bool, bool) {
    let content = |e: &Entry| e.text()[e.erased().text().len()..].to_string();
    (
        a.erased().text() == b.erased().text(),
        content(a) == content(b),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_printed_is_read_back((draft, skeleton) in placed()) {
        let text = print(&skeleton, &draft);
        let entry = Entry::parse(text.as_bytes());
        prop_assert!(entry.is_ok(), "{entry:?}\n{text}");
        let entry = read(&text).expect("read above");
        prop_assert_eq!(entry.skeleton(), &skeleton);
        prop_assert_eq!(entry.draft(), Some(&draft));
    }

    #[test]
    fn what_erasing_leaves_keeps_its_id((draft, skeleton) in placed()) {
        let entry = read(&print(&skeleton, &draft)).expect("sound");
        let erased = entry.erased();
        prop_assert!(erased.is_erased() && erased.draft().is_none());
        prop_assert_eq!(erased.id(), entry.id());
        prop_assert_eq!(erased.skeleton(), entry.skeleton());
        prop_assert_eq!(read(erased.text()), Some(erased));
    }

    #[test]
    fn a_mutated_text_is_refused_or_says_its_own_bytes(
        (draft, skeleton) in placed(),
        mutations in vec(mutation(), 48),
    ) {
        let text = print(&skeleton, &draft);
        let entry = read(&text).expect("sound");
        for mutation in &mutations {
            let Some(mutated) = mutate(&text, mutation) else { continue };
            for other in [announce(&mutated), Some(mutated)].into_iter().flatten() {
                let Some(other) = read(&other) else { continue };
                let (skeleton, content) = parts_equal(&entry, &other);
                prop_assert_eq!(other.id() == entry.id(), skeleton, "the id is the skeleton's");
                // Whoever changes the words, and nothing else, is caught; to erase them is not to change.
                prop_assert!(content || !skeleton || other.is_erased(), "{mutation:?}");
            }
        }
    }

    #[test]
    fn a_draft_becomes_what_it_says_or_nothing((draft, skeleton) in placed(), evil in "(\\PC|\n){0,40}") {
        prop_assume!(!matches!(draft.says, Says::Blog { .. }));
        let parent = (&skeleton, Hash::of(b"parent"));
        prop_assume!(skeleton.sequence < (1 << 53) - 1);
        for mut said in evil_values(&draft, &evil) {
            if let Ok(entry) = Entry::new(&said, Some(parent), skeleton.authors.clone(), skeleton.signed) {
                prop_assert_eq!(entry.draft(), Some(&said));
                said.body.clear();
            }
        }
    }
}

/// The draft with a value that no type guards.
fn evil_values(draft: &Draft, evil: &str) -> Vec<Draft> {
    let mut with_body = draft.clone();
    with_body.body = evil.into();
    let mut with_extension = draft.clone();
    with_extension.extensions.push(Extension {
        name: evil.into(),
        value: evil.into(),
    });
    let mut with_title = draft.clone();
    if let Says::Post(article) | Says::Page(article) = &mut with_title.says {
        article.title = Some(evil.into());
    }
    vec![with_body, with_extension, with_title]
}

#[test]
fn a_value_cannot_smuggle_lines() {
    let title = |title: &str| Draft {
        salt: Salt::from_bytes([7; 16]),
        says: Says::Settings {
            title: Some(title.into()),
            language: None,
            description: None,
        },
        instead_of: vec![],
        extensions: vec![],
        body: String::new(),
    };
    let authors = vec![Fingerprint::parse(&"A".repeat(40)).expect("a fingerprint")];
    let mut skeleton = Skeleton {
        version: 1,
        blog: Some(Hash::of(b"blog")),
        sequence: 3,
        previous: Some(Hash::of(b"parent")),
        kind: title("").kind(),
        signed: Time::from_unix(0),
        authors: authors.clone(),
        content_hash: Hash::of(b""),
        content_bytes: 0,
        extensions: vec![],
    };
    let new = |draft: &Draft, skeleton: &Skeleton| {
        let parent = Some((skeleton, Hash::of(b"id")));
        Entry::new(draft, parent, authors.clone(), skeleton.signed)
    };
    assert!(new(&title("Maria"), &skeleton).is_ok());
    let refused = new(&title("Maria\nDescription: I hate cats"), &skeleton);
    assert_eq!(
        refused.expect_err("two lines").to_string(),
        "line 10: a value holds a line end, or an extension has a known name; write each value on \
         one line"
    );
    skeleton.sequence = (1 << 53) - 1;
    assert!(new(&title("Maria"), &skeleton).is_err(), "the last number");
}
