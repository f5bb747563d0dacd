//! What a hostile text may cost, and where it ends.

use super::*;

#[test]
fn long_words_come_out_in_one_piece() {
    // Each is parted for the last step, and nobody may see where.
    for (word, html) in [
        ("&", "&amp;"),
        ("©", "©"),
        ("\u{a0}\"a\"", "&nbsp;\"a\""),
        ("« <", "« &lt;"),
    ] {
        let times = 3 * portions::TEXT_BYTES_MAX;
        let (words, html) = (word.repeat(times), html.repeat(times));
        check(&format!("x{words}"), &format!("<p>x{html}</p>"));
        let raw = format!("<pre>\n{}\n</pre>", words.replace('<', "&lt;"));
        assert!(article(&raw, &Links::here()).contains(&html));
        // Browsers show before a table what has no place in it.
        let table = format!(
            "<table>\nx{}<tr><td>1</td></tr></table>",
            words.replace('<', "&lt;")
        );
        let shown = article(&table, &Links::here());
        let in_box = shown
            .trim_start()
            .trim_start_matches("<div class=\"wide\" tabindex=\"0\">\n");
        let before = in_box.split("<table>").next();
        assert_eq!(before, Some(&*format!("x{html}")), "{word}");
    }
    check(
        &format!("[a](/b \"{}\")", "&".repeat(portions::VALUE_BYTES_MAX)),
        "<p><a href=\"/b\">a</a></p>",
    );
}

/// A body has at most 1 MiB (SPEC entry, limits); these are an eighth of the worst ones known.
#[test]
fn hostile_bodies_stay_cheap() {
    let many = |piece: &str| piece.repeat((128 << 10) / piece.len());
    let bold: String = (0..4000).map(|number| format!("<b id={number}>")).collect();
    let bodies = [
        many("> "),
        many("- "),
        many("*a _b "),
        many("["),
        many("![a]("),
        many("<b>"),
        many("<div><p>"),
        many("<table><tr><td>"),
        many("<a href=b>"),
        many("<a "),
        many("<a \""),
        many("<!--"),
        many("<script>"),
        many("<b>a\n\n"),
        many("a\n\n<div>\n\n"),
        format!("{bold}{}", many("a\n\n")),
        format!("{bold}{}", many("<p>a")),
        format!("<p>{bold}{}", many("<p>a</p>")),
        format!("{}\n{}\n{}", many("|a"), many("|-"), many("|\n")),
        format!("[^a]: b\n\n{}", many("[^a]")),
        format!("[a]: /{}\n\n{}", many("b"), many("[a]")),
        many("# a\n"),
        many("# [a](#b)\n"),
        many("- # a {#b}\n"),
        many("```rust\n1\n```\n\na\n\n"),
        many("> ```c\n> 1 1 1 1\n> ```\n\n"),
        many("<video><source "),
        many("<video src=/a>"),
        many("<iframe src=/a></iframe>"),
        many("a\n: b\n\n"),
        many("a\n\n: "),
        many("> [!NOTE]\n"),
        many("![a](/media/sha256-"),
        many("&"),
        many("©"),
        format!("[a](/b \"{}\")", many("&")),
        format!("<table>\n{}", many("<br>")),
        format!("<table>\n{}", many("<b>a</b>&")),
        format!("<table><tr>\n\n{}", many("a\n\n")),
    ];
    for body in bodies {
        let start = std::time::Instant::now();
        let html = article(&body, &Links::here());
        let taken = start.elapsed();
        let begin: String = body.chars().take(40).collect();
        // Unoptimized and on a busy machine; the square of the length would take minutes.
        assert!(taken.as_secs() < 20, "{taken:?} for {begin:?}");
        assert!(html.len() < 64 << 20, "{} bytes from {begin:?}", html.len());
    }
}

#[test]
fn a_page_grows_no_more_than_so_many_times() {
    let many = |piece: &str| piece.repeat((256 << 10) / piece.len());
    for (before, piece) in [
        ("[a]: //b\n\n", "[a]"),
        ("[a]: //b\n\n# ", "[a]*[a]*"),
        ("[a]: //b\n\n> - ", "[a]**_[a]_**"),
        ("[a]: //b\n\n<div>\n\n", "[a]<b>[a]</b>\n"),
        ("[a]: //b\n\n[^1]: ", "[a]"),
    ] {
        let body = format!("{before}{} the end & no more", many(piece));
        let html = article(&body, &Links::here());
        let grown = writer::GROWTH_MAX * body.len() + writer::GROWTH_BYTES_MIN;
        assert!(html.len() > 7 * body.len(), "{piece} grows");
        assert!(html.len() < grown + body.len(), "{} of {piece}", html.len());
        assert!(
            html.contains("the end &amp; no more</code></pre>"),
            "{piece}"
        );
        let washed = gate(&Links::here()).clean(&html).to_string();
        assert!(washed == html, "every element of {piece} closes in order");
    }
    // What is short may grow.
    let short = format!("[a]: //b\n\n{}", "[a]".repeat(1_000));
    assert!(!article(&short, &Links::here()).contains("<pre"));
}

#[test]
fn a_note_is_led_to_so_many_times() {
    let most = writer::LEADING_MENTIONS_MAX;
    for (mentions, leading) in [(most, most), (most + 3, most)] {
        let body = format!("{}\n\n[^1]: a", "[^1]".repeat(mentions));
        let html = article(&body, &Links::here());
        assert_eq!(html.matches("href=\"#body-note-1\"").count(), leading);
        let bare = html.matches("<sup>1</sup>").count();
        assert_eq!(bare, mentions - leading);
    }
}

#[test]
fn a_table_without_place_ends() {
    let table = |misplaced: usize| {
        let misplaced = "<br>".repeat(misplaced);
        let html = format!("<table>\n{misplaced}<tr><td>one</td></tr>\n</table>");
        article(&html, &Links::here())
    };
    let most = writer::raw_tags::MISPLACED_MAX;
    assert!(table(most).contains("<br><table>"), "before it");
    assert!(table(most).contains("<td>one</td>"));
    let ended = table(most + 1);
    assert!(
        ended.contains("</table>") && !ended.contains("<td>"),
        "{ended}"
    );
    assert!(
        ended.ends_with("<br>one\n") || ended.trim_end().ends_with("<br>one"),
        "{ended}"
    );
}

#[test]
fn a_long_text_washed_in_parts_is_the_same() {
    let part = "One *two* [three](//a).\n\n- four\n- <b>five\n\n<div>\n\n> six\n\n</div>\n\n| a |\n|-|\n| b |\n\n";
    let times = 3 * writer::WASHED_BYTES / part.len();
    let whole = article(&part.repeat(times), &Links::here());
    assert!(whole == article(part, &Links::here()).repeat(times));
}
