//! Each rule of SPEC entry 1 to 3 with a breach, and the sentence that a person reads.

use expect_test::{Expect, expect};
use spokes_log::{entry::Entry, name::Hash};

const SKELETON: &str = "\
Spokes-Entry: 1
Blog: sha256:0000000000000000000000000000000000000000000000000000000000000001
Sequence: 7
Previous: sha256:0000000000000000000000000000000000000000000000000000000000000002
Kind: KIND
Signed: 2026-11-23T14:05:00Z
Author: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
Content: CONTENT";
const SALT: &str = "Salt: 00112233445566778899aabbccddeeff";
const HASH: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000003";
const AUTHOR: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const OTHER: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
const CLAIM: &str = "\
Name: maria
Network: sha256:0000000000000000000000000000000000000000000000000000000000000003
Not-After: 2026-12-23T14:05:00Z";
const ARMOR: &str =
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxjME\n-----END PGP PUBLIC KEY BLOCK-----";

/// Fills in the kind and a true `Content` line.
fn seal(kind: &str, content: &str) -> String {
    let (hash, length) = (Hash::of(content.as_bytes()), content.len());
    let skeleton = SKELETON
        .replace("KIND", kind)
        .replace("CONTENT", &format!("{hash} {length}"));
    format!("{skeleton}\n\n{content}")
}

fn post() -> String {
    format!(
        "{SALT}\nDate: 2026-11-23T00:00:00Z\nSlug: one\nTitle: One\nLanguage: en\nTags: a, b\n\
         Alias: uno\nReplaces: {HASH}\nMedia: {HASH} 12 image/png A dog\nInstead-Of: {HASH}\n\
         X-Mood: good\n\nWords.\n\nMore."
    )
}

/// Entry 0, by the key whose certificate it carries.
fn first(content: &str) -> String {
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

fn tell(name: &str, text: &[u8]) -> String {
    match Entry::parse(text) {
        Ok(entry) => {
            assert_eq!(entry.text().as_bytes(), text);
            format!("{name}: read")
        }
        Err(malformed) => format!("{name}: {malformed}"),
    }
}

#[track_caller]
fn check(told: impl IntoIterator<Item = String>, expected: Expect) {
    expected.assert_eq(&told.into_iter().collect::<Vec<_>>().join("\n"));
}

/// The text with a replacement, which must find what it replaces.
#[track_caller]
fn put(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old}");
    text.replacen(old, new, 1)
}

/// Breaches of the skeleton of a post.
#[track_caller]
fn skeleton(rows: &[(&str, &str, &str)], expected: Expect) {
    let text = seal("post", &post());
    check(
        rows.iter()
            .map(|(name, old, new)| tell(name, put(&text, old, new).as_bytes())),
        expected,
    );
}

/// Breaches of the content of a kind, each sealed anew.
#[track_caller]
fn content(kind: &str, content: &str, rows: &[(&str, &str, &str)], expected: Expect) {
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

#[test]
fn texts() {
    let text = seal("post", &post());
    let body = |new: &str| seal("post", &put(&post(), "Words.", new));
    let (long, full) = (body(&"x".repeat(16_001)), body(&"x".repeat(16_000)));
    check(
        [
            (
                "another text",
                text.replace("Spokes-Entry: 1", "Spokes-Sign-In: 1")
                    .into_bytes(),
            ),
            ("empty", Vec::new()),
            ("not UTF-8", [text.as_bytes(), b"\xff"].concat()),
            ("CRLF", text.replace('\n', "\r\n").into_bytes()),
            ("CR", body("a\rb").into_bytes()),
            ("space at an end", body("a ").into_bytes()),
            ("TAB at an end", body("a\t").into_bytes()),
            ("TAB inside", body("a\tb").into_bytes()),
            ("LF at the end", format!("{text}\n").into_bytes()),
            ("bell", body("\u{7}").into_bytes()),
            ("DEL", body("\u{7f}").into_bytes()),
            ("byte order mark", format!("\u{feff}{text}").into_bytes()),
            (
                "line separator in the body",
                body("a\u{2028}\u{202e}b").into_bytes(),
            ),
            (
                "line separator in a header",
                seal("post", &put(&post(), "Title: One", "Title: O\u{2028}e")).into_bytes(),
            ),
            (
                "right to left in a header",
                seal("post", &put(&post(), "Title: One", "Title: O\u{202e}e")).into_bytes(),
            ),
            (
                "TAB in a header",
                seal("post", &put(&post(), "Title: One", "Title: O\te")).into_bytes(),
            ),
            ("line of 16,000", full.into_bytes()),
            ("line of 16,001", long.into_bytes()),
        ]
        .iter()
        .map(|(name, text)| tell(name, text)),
        expect![[r#"
            another text: line 1: "Spokes-Entry: …" is due here; add it and sign again
            empty: line 1: is not of the form "Name: value"; write it so and sign again
            not UTF-8: line 24: not UTF-8; save the text as UTF-8 and sign again
            CRLF: line 1: ends in a blank; remove blanks at line ends and sign again
            CR: line 22: holds the control character U+000D; remove it and sign again
            space at an end: line 22: ends in a blank; remove blanks at line ends and sign again
            TAB at an end: line 22: ends in a blank; remove blanks at line ends and sign again
            TAB inside: read
            LF at the end: line 25: the text ends in an empty line; remove it and sign again
            bell: line 22: holds the control character U+0007; remove it and sign again
            DEL: line 22: holds the control character U+007F; remove it and sign again
            byte order mark: line 1: holds the control character U+FEFF; remove it and sign again
            line separator in the body: read
            line separator in a header: line 13: holds U+2028, which no header line may hold; remove it and sign again
            right to left in a header: line 13: holds U+202E, which no header line may hold; remove it and sign again
            TAB in a header: line 13: holds U+0009, which no header line may hold; remove it and sign again
            line of 16,000: read
            line of 16,001: line 22: 16001 bytes long; break lines at 16000 bytes and sign again"#]],
    );
}

#[test]
fn limits() {
    let lines = |name: &str, count: usize, width: usize| -> String {
        (0..count)
            .map(|n| format!("\n{name}-{n}: {}", "x".repeat(width)))
            .collect()
    };
    let text = seal("post", &post());
    let head = |more: &str| text.replacen("\n\nSalt", &format!("{more}\n\nSalt"), 1);
    let header = |more: &str| {
        seal(
            "post",
            &put(&post(), "\n\nWords", &format!("{more}\n\nWords")),
        )
    };
    let body = |bytes: usize| {
        let line = format!("{}\n", "x".repeat(1023));
        let body = line.repeat(bytes.div_ceil(1024));
        let body = format!("{}x", &body[..bytes - 1]);
        seal("post", &put(&post(), "Words.\n\nMore.", &body))
    };
    let skeleton = text.split("\n\n").next().expect("one").len() + 1;
    let fill = |bytes: usize| format!("\nX-Fill: {}", "x".repeat(bytes - skeleton - 9));
    let content = post().split("\n\n").next().expect("one").len();
    let fill_content = |bytes: usize| {
        let rest = bytes - content;
        let mut more = format!("\nX: {}", "x".repeat(15_996)).repeat(rest / 16_000);
        more.push_str(&format!("\nX: {}", "x".repeat(rest % 16_000 - 4)));
        more
    };
    check(
        [
            ("64 extension lines", head(&lines("X", 64, 1))),
            ("65 extension lines", head(&lines("X", 65, 1))),
            ("64 in the content", header(&lines("X", 63, 1))),
            ("65 in the content", header(&lines("X", 64, 1))),
            ("skeleton of 4,096", head(&fill(4096))),
            ("skeleton of 4,097", head(&fill(4097))),
            ("content header of 65,536", header(&fill_content(65_536))),
            ("content header of 65,537", header(&fill_content(65_537))),
            ("body of 1 MiB", body(1_048_576)),
            ("body of 1 MiB and 1", body(1_048_577)),
            ("entry of 2 MiB", body(2 * 1_048_576)),
        ]
        .iter()
        .map(|(name, text)| tell(name, text.as_bytes())),
        expect![[r#"
            64 extension lines: read
            65 extension lines: line 9: the number of lines that this version does not read is over its limit of 64; shorten it and sign again
            64 in the content: read
            65 in the content: line 20: the number of lines that this version does not read is over its limit of 64; shorten it and sign again
            skeleton of 4,096: read
            skeleton of 4,097: line 1: the skeleton is over its limit of 4096; shorten it and sign again
            content header of 65,536: read
            content header of 65,537: line 10: the content header is over its limit of 65536; shorten it and sign again
            body of 1 MiB: read
            body of 1 MiB and 1: line 22: the body is over its limit of 1048576; shorten it and sign again
            entry of 2 MiB: line 1: the entry is over its limit of 1118212; shorten it and sign again"#]],
    );
}

#[test]
fn skeletons() {
    let nine = (0..9)
        .map(|n| format!("Author: {n}{}", &AUTHOR[1..]))
        .collect::<Vec<_>>()
        .join("\n");
    let author = format!("Author: {AUTHOR}");
    skeleton(
        &[
            ("no value", "Kind: post", "Kind:"),
            ("two spaces", "Kind: post", "Kind:  post"),
            ("lower-case name", "Kind: post", "kind: post"),
            (
                "name of 65 bytes",
                "\n\nSalt",
                &format!("\nX{}: y\n\nSalt", "x".repeat(64)),
            ),
            ("version 0", "Spokes-Entry: 1", "Spokes-Entry: 0"),
            ("version 01", "Spokes-Entry: 1", "Spokes-Entry: 01"),
            ("no blog", "Blog: ", "X-Blog: "),
            ("blog without hash", "Blog: sha256:0", "Blog: 0"),
            (
                "blog none",
                "Blog: sha256:0000000000000000000000000000000000000000000000000000000000000001",
                "Blog: none",
            ),
            (
                "blog new",
                "Blog: sha256:0000000000000000000000000000000000000000000000000000000000000001",
                "Blog: new",
            ),
            ("upper-case hash", "Blog: sha256:0", "Blog: sha256:A"),
            ("sequence 2^53", "Sequence: 7", "Sequence: 9007199254740992"),
            ("sequence -1", "Sequence: 7", "Sequence: -1"),
            ("sequence 0", "Sequence: 7", "Sequence: 0"),
            (
                "previous none",
                "Previous: sha256:0000000000000000000000000000000000000000000000000000000000000002",
                "Previous: none",
            ),
            ("kind Post", "Kind: post", "Kind: Post"),
            (
                "kind of 33",
                "Kind: post",
                "Kind: ppppppppppppppppppppppppppppppppp",
            ),
            ("kind blog", "Kind: post", "Kind: blog"),
            ("kind twice", "Kind: post", "Kind: post\nKind: post"),
            ("leap second", "14:05:00Z", "14:05:60Z"),
            ("30 February", "2026-11-23T14", "2026-02-30T14"),
            ("no author", &author, "X-Author: A"),
            ("nine authors", &author, &nine),
            ("author twice", &author, &format!("{author}\n{author}")),
            ("descending", &author, &format!("Author: {OTHER}\n{author}")),
            ("ascending", &author, &format!("{author}\nAuthor: {OTHER}")),
            ("short author", &author, "Author: AA"),
            ("lower-case author", &author, &author.replace("AA", "aa")),
            ("content without length", " Content: ", "Content: "),
            (
                "order",
                "Kind: post\nSigned: 2026-11-23T14:05:00Z",
                "Signed: 2026-11-23T14:05:00Z\nKind: post",
            ),
            (
                "known line as extension",
                "\n\nSalt",
                "\nSigned: 2026-11-23T14:05:00Z\n\nSalt",
            ),
            (
                "content line as extension",
                "\n\nSalt",
                "\nTitle: One\n\nSalt",
            ),
            ("extension", "\n\nSalt", "\nX-Mood: good\n\nSalt"),
            ("changed words", "Words.", "Swords."),
            ("changed letter", "Words.", "words."),
        ]
        .map(|(name, old, new)| {
            if old == " Content: " {
                (name, "\nContent: ", "\nContent: sha256 ")
            } else {
                (name, old, new)
            }
        }),
        expect![[r#"
            no value: line 5: is not of the form "Name: value"; write it so and sign again
            two spaces: line 5: is not of the form "Name: value"; write it so and sign again
            lower-case name: line 5: is not of the form "Name: value"; write it so and sign again
            name of 65 bytes: line 9: is not of the form "Name: value"; write it so and sign again
            version 0: line 1: there is no version 0; write "Spokes-Entry: 1" and sign again
            version 01: line 1: "Spokes-Entry" is not a decimal number without leading zeros, below 2^53; change it and sign again
            no blog: line 2: "Blog: …" is due here; add it and sign again
            blog without hash: line 2: "Blog" is not "sha256:" and 64 lower-case hex digits; change it and sign again
            blog none: line 2: "Blog" is not "sha256:" and 64 lower-case hex digits; change it and sign again
            blog new: line 3: sequence 0, "Blog: new" and "Previous: none" belong together; write all of them or none and sign again
            upper-case hash: line 2: "Blog" is not "sha256:" and 64 lower-case hex digits; change it and sign again
            sequence 2^53: line 3: "Sequence" is not a decimal number without leading zeros, below 2^53; change it and sign again
            sequence -1: line 3: "Sequence" is not a decimal number without leading zeros, below 2^53; change it and sign again
            sequence 0: line 3: sequence 0, "Blog: new" and "Previous: none" belong together; write all of them or none and sign again
            previous none: line 3: sequence 0, "Blog: new" and "Previous: none" belong together; write all of them or none and sign again
            kind Post: line 5: "Kind" is not a word such as "post"; change it and sign again
            kind of 33: line 5: "Kind" is not a word such as "post"; change it and sign again
            kind blog: line 5: entry 0, and only entry 0, is of kind "blog"; write another kind and sign again
            kind twice: line 6: "Signed: …" is due here; add it and sign again
            leap second: line 6: "Signed" is not a time of the form 2026-11-23T14:05:00Z; change it and sign again
            30 February: line 6: "Signed" is not a time of the form 2026-11-23T14:05:00Z; change it and sign again
            no author: line 7: "Author: …" is due here; add it and sign again
            nine authors: line 15: "Author" stands more often than the format allows; change it and sign again
            author twice: line 8: "Author" stands twice with the same value; change it and sign again
            descending: line 7: the authors do not stand in ascending order; sort their lines and sign again
            ascending: read
            short author: line 7: "Author" is not a fingerprint of 40 or 64 upper-case hex digits; change it and sign again
            lower-case author: line 7: "Author" is not a fingerprint of 40 or 64 upper-case hex digits; change it and sign again
            content without length: line 8: "Content" is not "sha256:" and 64 lower-case hex digits; change it and sign again
            order: line 5: "Kind: …" is due here; add it and sign again
            known line as extension: line 9: "Signed" does not belong here; remove it, or move it to its place, and sign again
            content line as extension: line 9: "Title" does not belong here; remove it, or move it to its place, and sign again
            extension: read
            changed words: line 10: the content is not what the "Content" line says, it was changed; make the text anew and sign it unchanged
            changed letter: line 10: the content is not what the "Content" line says, it was changed; make the text anew and sign it unchanged"#]],
    );
}

#[test]
fn posts() {
    let tags: String = (0..65).map(|n| format!(", t{n}")).collect();
    let media: String = (0..201)
        .map(|n| format!("\nMedia: {}{n:03} 1 a/b", &HASH[..68]))
        .collect();
    let medium = format!("Media: {HASH} 12 image/png A dog");
    let row = |value: &str| format!("Media: {HASH} {value}");
    let rows: Vec<(&str, &str, String)> = vec![
        ("no salt", "Salt: ", "X-Salt: ".into()),
        ("short salt", "Salt: 00", "Salt: ".into()),
        ("salt twice", SALT, format!("{SALT}\n{SALT}")),
        ("no date", "Date: 2026-11-23T00:00:00Z\n", String::new()),
        ("date without time", "T00:00:00Z", String::new()),
        ("year 9999", "Date: 2026", "Date: 9999".into()),
        ("no slug", "Slug: one\n", String::new()),
        (
            "slug of 201",
            "Slug: one",
            format!("Slug: {}", "x".repeat(201)),
        ),
        (
            "slug of 9 segments",
            "Slug: one",
            "Slug: 1/2/3/4/5/6/7/8/9".into(),
        ),
        ("empty segment", "Slug: one", "Slug: one//two".into()),
        ("slug with a space", "Slug: one", "Slug: one two".into()),
        ("slug not NFC", "Slug: one", "Slug: cafe\u{301}".into()),
        ("hidden segment", "Slug: one", "Slug: .well-known".into()),
        ("system segment", "Slug: one", "Slug: one/tags".into()),
        ("text segment", "Slug: one", "Slug: one.txt".into()),
        (
            "title before slug",
            "Slug: one\nTitle: One",
            "Title: One\nSlug: one".into(),
        ),
        ("title twice", "Title: One", "Title: One\nTitle: One".into()),
        (
            "language",
            "Language: en",
            "Language: English please".into(),
        ),
        ("tag twice", "Tags: a, b", "Tags: a, a".into()),
        ("tags without space", "Tags: a, b", "Tags: a,b".into()),
        (
            "tag of 101",
            "Tags: a, b",
            format!("Tags: {}", "x".repeat(101)),
        ),
        ("tag with two spaces", "Tags: a, b", "Tags: a,  b".into()),
        ("65 tags", "Tags: a, b", format!("Tags: {}", &tags[2..])),
        ("alias twice", "Alias: uno", "Alias: uno\nAlias: uno".into()),
        ("alias is the slug", "Alias: uno", "Alias: one".into()),
        ("replaces nothing", &HASH[..9], "sha256:new".into()),
        (
            "medium twice",
            &medium,
            format!("{medium}\nMedia: {HASH} 13 image/jpeg"),
        ),
        ("201 media", &medium, media[1..].into()),
        ("empty medium", &medium, row("0 image/png")),
        ("medium of 32 MiB and 1", &medium, row("33554433 image/png")),
        ("medium without type", &medium, row("12")),
        ("medium with odd type", &medium, row("12 Image/PNG")),
        (
            "medium with two spaces",
            &medium,
            row("12 image/png  A dog"),
        ),
        (
            "instead-of twice",
            "X-Mood: good",
            format!("Instead-Of: {HASH}"),
        ),
        (
            "instead-of after an extension",
            "X-Mood: good",
            format!("X-Mood: good\nInstead-Of: {}4", &HASH[..70]),
        ),
        (
            "skeleton line as extension",
            "X-Mood: good",
            format!("Author: {AUTHOR}"),
        ),
        ("body begins empty", "Words.", "\nWords.".into()),
    ];
    let rows: Vec<(&str, &str, &str)> = rows.iter().map(|(n, a, b)| (*n, *a, b.as_str())).collect();
    content(
        "post",
        &post(),
        &rows,
        expect![[r#"
            as it should be: read
            no salt: line 10: "Salt: …" is due here; add it and sign again
            short salt: line 10: "Salt" is not 32 lower-case hex digits; change it and sign again
            salt twice: line 11: "Date: …" is due here; add it and sign again
            no date: line 11: "Date: …" is due here; add it and sign again
            date without time: line 11: "Date" is not a time of the form 2026-11-23T14:05:00Z; change it and sign again
            year 9999: line 11: "Date" is not a time of the form 2026-11-23T14:05:00Z; change it and sign again
            no slug: line 12: "Slug: …" is due here; add it and sign again
            slug of 201: line 12: "Slug" is longer than 200 bytes; change it and sign again
            slug of 9 segments: line 12: "Slug" has more than 8 segments; change it and sign again
            empty segment: line 12: "Slug" has an empty segment; change it and sign again
            slug with a space: line 12: "Slug" holds something else than letters, digits, "-", "." and "_"; change it and sign again
            slug not NFC: line 12: "Slug" is not in Unicode's normal form C; change it and sign again
            hidden segment: line 12: "Slug" has a segment that begins with "_" or "."; change it and sign again
            system segment: line 12: "Slug" has a segment that is a path of the system, such as "tags"; change it and sign again
            text segment: line 12: "Slug" has a segment that ends in .asc or .txt; change it and sign again
            title before slug: line 12: "Slug: …" is due here; add it and sign again
            title twice: line 14: "Title" does not belong here; remove it, or move it to its place, and sign again
            language: line 14: "Language" is not a language tag such as "en" or "pt-BR"; change it and sign again
            tag twice: line 15: "Tags" names a tag twice; change it and sign again
            tags without space: line 15: "Tags" has a tag with a "/", with a comma and no space behind it, or that is a mere dot or two; change it and sign again
            tag of 101: line 15: "Tags" has a tag of no or more than 100 bytes; change it and sign again
            tag with two spaces: line 15: "Tags" has a tag that begins or ends with a space; change it and sign again
            65 tags: line 15: "Tags" has more than 64 tags; change it and sign again
            alias twice: line 17: "Alias" stands twice with the same value; change it and sign again
            alias is the slug: line 16: an alias equals the slug; remove it and sign again
            replaces nothing: line 17: "Replaces" is not "sha256:" and 64 lower-case hex digits; change it and sign again
            medium twice: line 19: "Media" stands twice with the same value; change it and sign again
            201 media: line 218: "Media" stands more often than the format allows; change it and sign again
            empty medium: line 18: "Media" is empty or larger than 32 MiB; change it and sign again
            medium of 32 MiB and 1: line 18: "Media" is empty or larger than 32 MiB; change it and sign again
            medium without type: line 18: "Media" is not a hash, a size and a type; change it and sign again
            medium with odd type: line 18: "Media" is not a media type such as "image/jpeg"; change it and sign again
            medium with two spaces: line 18: "Media" has an empty description, or one that begins with a space; change it and sign again
            instead-of twice: line 20: "Instead-Of" stands twice with the same value; change it and sign again
            instead-of after an extension: line 21: "Instead-Of" does not belong here; remove it, or move it to its place, and sign again
            skeleton line as extension: line 20: "Author" does not belong here; remove it, or move it to its place, and sign again
            body begins empty: line 22: the body begins or ends with an empty line; remove it and sign again"#]],
    );
    let bare = format!("{SALT}\nDate: 2026-11-23T00:00:00Z\nSlug: one");
    content(
        "page",
        &bare,
        &[("no words", "one", "one\n\n ")],
        expect![[r#"
            as it should be: read
            no words: line 14: ends in a blank; remove blanks at line ends and sign again"#]],
    );
}

#[test]
fn blogs() {
    let good = format!(
        "{SALT}\nTitle: Maria\nLanguage: en\nCertificate: {AUTHOR} own\n{CLAIM}\n\n{ARMOR}"
    );
    let instead = format!("\nInstead-Of: {HASH}\n\n-----BEGIN");
    let told = [
        ("as it should be", "Maria", "Maria"),
        ("no title", "Title: Maria\n", ""),
        ("no language", "Language: en\n", ""),
        ("write", " own", " write"),
        ("role", " own", " owner"),
        ("no role", " own", ""),
        ("other certificate", AUTHOR, OTHER),
        (
            "name without network",
            &CLAIM["Name: maria\n".len()..CLAIM.len() - "\nNot-After: 2026-12-23T14:05:00Z".len()],
            "X: y",
        ),
        ("name alone", &CLAIM["Name: maria".len()..], ""),
        ("short name", "Name: maria", "Name: ma"),
        ("upper-case name", "Name: maria", "Name: Maria"),
        ("hyphen", "Name: maria", "Name: maria-"),
        ("encoded name", "Name: maria", "Name: xn--maria"),
        ("no body", &format!("\n\n{ARMOR}"), ""),
        ("instead-of", "\n\n-----BEGIN", &instead),
    ]
    .map(|(name, old, new)| tell(name, first(&put(&good, old, new)).as_bytes()));
    check(
        told,
        expect![[r#"
        as it should be: read
        no title: line 11: "Title: …" is due here; add it and sign again
        no language: line 12: "Language: …" is due here; add it and sign again
        write: line 13: the first certificate must be "own"; write "own" behind it and sign again
        role: line 13: "Certificate" is not a fingerprint and "own" or "write"; change it and sign again
        no role: line 13: "Certificate" is not a fingerprint and "own" or "write"; change it and sign again
        other certificate: line 7: entry 0 has one author, whose certificate it carries; name the same fingerprint in both lines and sign again
        name without network: line 15: "Network: …" is due here; add it and sign again
        name alone: line 15: "Network: …" is due here; add it and sign again
        short name: line 14: "Name" is not 3 to 32 characters long; change it and sign again
        upper-case name: line 14: "Name" holds something else than a-z, 0-9 and hyphens; change it and sign again
        hyphen: line 14: "Name" begins or ends with a hyphen; change it and sign again
        encoded name: line 14: "Name" has two hyphens at positions 3 and 4; change it and sign again
        no body: line 18: the body must hold one armored certificate for each "Certificate" line, with an empty line between two; mend it and sign again
        instead-of: line 17: "Instead-Of" does not belong here; remove it, or move it to its place, and sign again"#]],
    );
    let late = seal("blog", &good);
    check(
        [tell("at sequence 7", late.as_bytes())],
        expect![[
            r#"at sequence 7: line 5: entry 0, and only entry 0, is of kind "blog"; write another kind and sign again"#
        ]],
    );
    let early = first(&good).replacen("Kind: blog", "Kind: post", 1);
    check(
        [tell("a post at sequence 0", early.as_bytes())],
        expect![[
            r#"a post at sequence 0: line 5: entry 0, and only entry 0, is of kind "blog"; write another kind and sign again"#
        ]],
    );
    let two = format!("Author: {AUTHOR}\nAuthor: {OTHER}");
    let two = first(&good).replacen(&format!("Author: {AUTHOR}"), &two, 1);
    check(
        [tell("two authors", two.as_bytes())],
        expect![
            "two authors: line 7: entry 0 has one author, whose certificate it carries; name the same fingerprint in both lines and sign again"
        ],
    );
}

#[test]
fn keys() {
    let good = format!(
        "{SALT}\nCertificate: {AUTHOR} own\nCertificate: {OTHER} write\nEnds: C{}\n\
         Recovery: 1 {AUTHOR} {OTHER}\n\n{ARMOR}\n\n{ARMOR}",
        &OTHER[1..]
    );
    let ten: String = (0..10).map(|n| format!(" {n}{}", &OTHER[1..])).collect();
    content(
        "keys",
        &good,
        &[
            ("one body", &format!("\n\n{ARMOR}"), ""),
            ("body after one LF", "-----\n\n-----", "-----\n-----"),
            ("certificate twice", OTHER, AUTHOR),
            (
                "ends what it brings",
                &format!("Ends: C{}", &OTHER[1..]),
                &format!("Ends: {OTHER}"),
            ),
            ("quorum 0", "Recovery: 1", "Recovery: 0"),
            ("quorum 3 of 2", "Recovery: 1", "Recovery: 3"),
            (
                "recovery twice the same",
                &format!("1 {AUTHOR} {OTHER}"),
                &format!("1 {OTHER} {OTHER}"),
            ),
            ("recovery of ten", &format!(" {AUTHOR} {OTHER}"), &ten),
            ("recovery of none", &format!("1 {AUTHOR} {OTHER}"), "1"),
            ("order", "Recovery: 1", "Ends: AA"),
        ],
        expect![[r#"
            as it should be: read
            one body: line 16: the body must hold one armored certificate for each "Certificate" line, with an empty line between two; mend it and sign again
            body after one LF: line 16: the body must hold one armored certificate for each "Certificate" line, with an empty line between two; mend it and sign again
            certificate twice: line 11: a fingerprint stands twice; name it once and sign again
            ends what it brings: line 11: a fingerprint stands twice; name it once and sign again
            quorum 0: line 14: "Recovery" asks for none or for more than it names; change it and sign again
            quorum 3 of 2: line 14: "Recovery" asks for none or for more than it names; change it and sign again
            recovery twice the same: line 14: "Recovery" is not a number and up to 9 different fingerprints; change it and sign again
            recovery of ten: line 14: "Recovery" is not a number and up to 9 different fingerprints; change it and sign again
            recovery of none: line 14: "Recovery" is not a number and up to 9 different fingerprints; change it and sign again
            order: line 14: "Ends" is not a fingerprint of 40 or 64 upper-case hex digits; change it and sign again"#]],
    );
    content(
        "keys",
        &format!("{SALT}\nEnds: {OTHER}"),
        &[("nothing", &format!("\nEnds: {OTHER}"), "")],
        expect![[r#"
            as it should be: read
            nothing: line 11: the keys entry changes nothing; name a certificate, an end or a recovery and sign again"#]],
    );
    content(
        "keys",
        &format!("{SALT}\nEnds: {OTHER}"),
        &[("a body", OTHER, &format!("{OTHER}\n\nwords"))],
        expect![[r#"
            as it should be: read
            a body: line 13: an entry of this kind has no body; remove it and sign again"#]],
    );
}

#[test]
fn small_kinds() {
    let claim = format!("{SALT}\n{CLAIM}\nReleases: rosa");
    let name = "\nReleases: rosa";
    content(
        "claim",
        &claim,
        &[
            ("a body", name, "\n\nwords"),
            ("no name", "Name: maria\n", ""),
            ("bad name", "rosa", "r"),
        ],
        expect![[r#"
            as it should be: read
            a body: line 15: an entry of this kind has no body; remove it and sign again
            no name: line 11: "Name: …" is due here; add it and sign again
            bad name: line 14: "Releases" is not 3 to 32 characters long; change it and sign again"#]],
    );
    let release = format!("{SALT}\n{CLAIM}");
    content(
        "release",
        &release,
        &[
            ("releases", ":00Z", ":00Z\nReleases: rosa"),
            ("a body", ":00Z", ":00Z\n\nwords"),
        ],
        expect![[r#"
            as it should be: read
            releases: line 14: "Releases" does not belong here; remove it, or move it to its place, and sign again
            a body: line 15: an entry of this kind has no body; remove it and sign again"#]],
    );
    let settings = format!("{SALT}\nDescription: d");
    content(
        "settings",
        &settings,
        &[
            ("nothing", "\nDescription: d", ""),
            ("order", "D", "Description: e\nTitle: t\nX-D"),
            ("a body", ": d", ": d\n\nwords"),
        ],
        expect![[r#"
            as it should be: read
            nothing: line 11: the settings set nothing; name a title, a language or a description and sign again
            order: line 12: "Title" does not belong here; remove it, or move it to its place, and sign again
            a body: line 13: an entry of this kind has no body; remove it and sign again"#]],
    );
    let erase = format!("{SALT}\nErases: {HASH}");
    let many: String = (0..201)
        .map(|n| format!("\nErases: {}{n:03}", &HASH[..68]))
        .collect();
    let line = format!("\nErases: {HASH}");
    content(
        "erase",
        &erase,
        &[
            ("nothing", &line, ""),
            ("twice", &line, &format!("{line}{line}")),
            ("201", &line, &many),
            ("200", &line, &many[..200 * 80]),
            ("a body", &line, &format!("{line}\n\nwords")),
        ],
        expect![[r#"
            as it should be: read
            nothing: line 11: "Erases: …" is due here; add it and sign again
            twice: line 12: "Erases" stands twice with the same value; change it and sign again
            201: line 211: "Erases" stands more often than the format allows; change it and sign again
            200: read
            a body: line 13: an entry of this kind has no body; remove it and sign again"#]],
    );
    let other = format!("{SALT}\nTarget: {HASH}\nAuthor: me\n\nNice!");
    content(
        "comment",
        &other,
        &[
            ("no salt", SALT, "X: y"),
            ("salt twice", "Author: me", SALT),
        ],
        expect![[r#"
            as it should be: read
            no salt: line 10: "Salt: …" is due here; add it and sign again
            salt twice: line 12: "Salt" does not belong here; remove it, or move it to its place, and sign again"#]],
    );
}

#[test]
fn later_versions_keep_the_frame() {
    let later = seal("post", "What nobody can read yet").replacen("Entry: 1", "Entry: 2", 1);
    let (signed, author) = (
        "\nSigned: 2026-11-23T14:05:00Z",
        format!("\nAuthor: {AUTHOR}"),
    );
    let told = [
        ("as it should be", "Kind", "Kind"),
        ("other lines first", "\nKind", "\nMood: good\nKind"),
        ("no kind", "\nKind: post", ""),
        ("odd kind", "Kind: post", "Kind: A b"),
        ("order of the first four", "\nSequence: 7", ""),
        ("no time", signed, ""),
        ("two times", signed, &signed.repeat(2)),
        ("odd time", "14:05:00Z", "14:05Z"),
        ("no author", &author, ""),
        ("nine authors", &author, &author.repeat(9)),
        ("descending", &author, &format!("\nAuthor: {OTHER}{author}")),
        ("no content line", "\nContent", "\nX-Content"),
        ("other content", "What", "Whatever"),
        ("sequence 0", "Sequence: 7", "Sequence: 0"),
    ]
    .map(|(name, old, new)| tell(name, put(&later, old, new).as_bytes()));
    check(
        told,
        expect![[r#"
        as it should be: read
        other lines first: read
        no kind: read
        odd kind: line 5: "Kind" is not a word such as "post"; change it and sign again
        order of the first four: line 3: "Sequence: …" is due here; add it and sign again
        no time: line 1: "Signed: …" is due here; add it and sign again
        two times: line 1: "Signed: …" is due here; add it and sign again
        odd time: line 6: "Signed" is not a time of the form 2026-11-23T14:05:00Z; change it and sign again
        no author: line 5: "Author: …" is due here; add it and sign again
        nine authors: line 5: "Author: …" is due here; add it and sign again
        descending: line 5: the authors do not stand in ascending order; sort their lines and sign again
        no content line: line 1: "Content: …" is due here; add it and sign again
        other content: line 10: the content is not what the "Content" line says, it was changed; make the text anew and sign it unchanged
        sequence 0: line 3: sequence 0, "Blog: new" and "Previous: none" belong together; write all of them or none and sign again"#]],
    );
}
