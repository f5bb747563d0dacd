//! Each rule of SPEC entry 3 with a breach, and the sentence that a person reads.

mod common;

use common::breach::{
    ARMOR, AUTHOR, CLAIM, HASH, OTHER, SALT, check, content, first, post, put, seal, tell,
};
use expect_test::expect;

/// The rows of a table whose replacements are made.
fn borrowed<'a>(rows: &'a [(&str, &str, String)]) -> Vec<(&'a str, &'a str, &'a str)> {
    rows.iter()
        .map(|(name, old, new)| (*name, *old, new.as_str()))
        .collect()
}

#[test]
fn posts() {
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
    ];
    let rows = borrowed(&rows);
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
        text segment: line 12: "Slug" has a segment that ends in .asc or .txt; change it and sign again"#]],
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
fn post_options() {
    let tags: String = (0..65).map(|n| format!(", t{n}")).collect();
    let rows: Vec<(&str, &str, String)> = vec![
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
    ];
    let rows = borrowed(&rows);
    content(
        "post",
        &post(),
        &rows,
        expect![[r#"
        as it should be: read
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
        replaces nothing: line 17: "Replaces" is not "sha256:" and 64 lower-case hex digits; change it and sign again"#]],
    );
}

#[test]
fn post_media() {
    let media: String = (0..201)
        .map(|n| format!("\nMedia: {}{n:03} 1 a/b", &HASH[..68]))
        .collect();
    let medium = format!("Media: {HASH} 12 image/png A dog");
    let row = |value: &str| format!("Media: {HASH} {value}");
    let rows: Vec<(&str, &str, String)> = vec![
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
    let rows = borrowed(&rows);
    content(
        "post",
        &post(),
        &rows,
        expect![[r#"
        as it should be: read
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
}

#[test]
fn first_places() {
    let good = format!(
        "{SALT}\nTitle: Maria\nLanguage: en\nCertificate: {AUTHOR} own\n{CLAIM}\n\n{ARMOR}"
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
}

#[test]
fn settings_erasures_and_others() {
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
