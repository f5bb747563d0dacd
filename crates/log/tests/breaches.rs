//! Each rule of SPEC entry 1 and 2 with a breach, and the sentence that a person reads.

mod common;

use common::breach::{AUTHOR, OTHER, check, post, put, seal, tell};
use expect_test::{Expect, expect};

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
        ],
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
            kind twice: line 6: "Signed: …" is due here; add it and sign again"#]],
    );
}

#[test]
fn signers_and_times() {
    let nine = (0..9)
        .map(|n| format!("Author: {n}{}", &AUTHOR[1..]))
        .collect::<Vec<_>>()
        .join("\n");
    let author = format!("Author: {AUTHOR}");
    skeleton(
        &[
            ("leap second", "14:05:00Z", "14:05:60Z"),
            ("30 February", "2026-11-23T14", "2026-02-30T14"),
            ("no author", &author, "X-Author: A"),
            ("nine authors", &author, &nine),
            ("author twice", &author, &format!("{author}\n{author}")),
            ("descending", &author, &format!("Author: {OTHER}\n{author}")),
            ("ascending", &author, &format!("{author}\nAuthor: {OTHER}")),
            ("short author", &author, "Author: AA"),
            ("lower-case author", &author, &author.replace("AA", "aa")),
            (
                "content without length",
                "\nContent: ",
                "\nContent: sha256 ",
            ),
            (
                "order",
                "Kind: post\nSigned: 2026-11-23T14:05:00Z",
                "Signed: 2026-11-23T14:05:00Z\nKind: post",
            ),
            ("other length", "\n\nSalt", "0\n\nSalt"),
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
        ],
        expect![[r#"
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
            other length: line 10: the content is not what the "Content" line says, it was changed; make the text anew and sign it unchanged
            known line as extension: line 9: "Signed" does not belong here; remove it, or move it to its place, and sign again
            content line as extension: line 9: "Title" does not belong here; remove it, or move it to its place, and sign again
            extension: read
            changed words: line 10: the content is not what the "Content" line says, it was changed; make the text anew and sign it unchanged
            changed letter: line 10: the content is not what the "Content" line says, it was changed; make the text anew and sign it unchanged"#]],
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
