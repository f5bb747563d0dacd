//! What the renderer makes of prose, of imported HTML, and of attacks.

mod bounds;

use proptest::prelude::*;

use super::*;

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn check(markdown: &str, html: &str) {
    let here = Links::here();
    assert_eq!(
        article(markdown, &here).trim_end(),
        html,
        "from {markdown:?}"
    );
}

/// Reads the HTML as we promise it is: text without `<`, and tags with quoted attributes.
fn attributes(html: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for piece in html.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').expect("every tag ends");
        let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
        found.push((name.to_owned(), String::new(), String::new()));
        while let Some((attribute, after)) = rest.split_once("=\"") {
            let (value, after) = after.split_once('"').expect("every value ends");
            found.push((
                name.to_owned(),
                attribute.trim().to_owned(),
                value.to_owned(),
            ));
            rest = after;
        }
        assert_eq!(rest.trim(), "", "a bare attribute in {piece:?}");
    }
    found
}

fn assert_harmless(html: &str, context: &str) {
    const ATTRIBUTES: [&str; 24] = [
        "",
        "href",
        "rel",
        "src",
        "alt",
        "loading",
        "class",
        "id",
        "lang",
        "dir",
        "title",
        "start",
        "reversed",
        "colspan",
        "rowspan",
        "scope",
        "datetime",
        "tabindex",
        "width",
        "height",
        "decoding",
        "controls",
        "preload",
        "aria-label",
    ];
    for (tag, attribute, value) in attributes(html) {
        let name = tag.trim_start_matches('/');
        let listed = BLOCK_TAGS.contains(&name)
            || INLINE_TAGS.contains(&name)
            || VOID_TAGS.contains(&name)
            || ["audio", "section", "video"].contains(&name);
        assert!(listed, "<{name}> in {html:?}, from {context:?}");
        assert!(
            ATTRIBUTES.contains(&&*attribute),
            "{attribute} in {html:?}, from {context:?}"
        );
        match &*attribute {
            "src" => assert!(is_own_media(&value), "{html:?}, from {context:?}"),
            "href" => {
                let scheme = Url::parse(&value).map(|url| url.scheme().to_owned());
                let allowed = ["http", "https", "mailto"];
                assert!(
                    scheme.as_deref().is_err()
                        || scheme
                            .as_deref()
                            .is_ok_and(|scheme| allowed.contains(&scheme)),
                    "{html:?}, from {context:?}"
                );
            }
            "id" => assert!(value.starts_with(ID_PREFIX), "{html:?}, from {context:?}"),
            _ => {}
        }
    }
}

#[test]
fn prose_becomes_plain_html() {
    check(
        "Hello *big* **world**.",
        "<p>Hello <em>big</em> <strong>world</strong>.</p>",
    );
    check("a\\\nb\nc", "<p>a<br>\nb\nc</p>");
    check("~~old~~ `a<b`", "<p><s>old</s> <code>a&lt;b</code></p>");
    check("- one\n- two", "<ul>\n<li>one</li>\n<li>two</li>\n</ul>");
    check("3. three", "<ol start=\"3\">\n<li>three</li>\n</ol>");
    check(
        "- [x] done",
        "<ul>\n<li><span class=\"task\">☑</span> done</li>\n</ul>",
    );
    check(
        "    a",
        "<pre dir=\"auto\" tabindex=\"0\"><code>a</code></pre>",
    );
}

#[test]
fn headings_start_below_the_title() {
    check(
        "# A\n### B",
        "<h2 id=\"body-a\">A</h2>\n<h4 id=\"body-b\">B</h4>",
    );
    check(
        "## A\n### B",
        "<h2 id=\"body-a\">A</h2>\n<h3 id=\"body-b\">B</h3>",
    );
    check("#### A", "<h2 id=\"body-a\">A</h2>");
    check("<h1>A</h1>", "<h2>A</h2>");
}

#[test]
fn tables_keep_their_alignment_without_styles() {
    check(
        "| a | b |\n|---|--:|\n| 1 | 2 |",
        "<div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">a</th>\
         <th scope=\"col\" class=\"right\">b</th></tr></thead>\n<tbody>\n\
         <tr><td>1</td><td class=\"right\">2</td></tr>\n</tbody></table></div>",
    );
}

#[test]
fn footnotes_go_below_the_text_and_lead_back() {
    check(
        "A[^x] claim.\n\n[^x]: The proof.\n\nThe end.",
        "<p>A<sup id=\"body-mention-1\"><a href=\"#body-note-1\">1</a></sup> claim.</p>\n\
         <p>The end.</p>\n<section class=\"notes\"><ol>\n<li id=\"body-note-1\"><p>The proof. \
         <a href=\"#body-mention-1\">↩\u{fe0e}</a></p></li>\n</ol></section>",
    );
}

#[test]
fn only_links_that_leave_say_so() {
    let rel = format!("rel=\"{LEAVING}\"");
    let leaving = [
        "[a](https://example.org/)",
        "[a](//example.org/)",
        "[a](/\\\\example.org/)",
        "[a](HTTPS:example.org)",
        "<https://example.org>",
        "[a][1]\n\n[1]: http://example.org",
        "<a href=https://example.org>a</a>",
        "<a href='https&#58;//example.org'>a</a>",
        "<a href=\"&#47;/example.org\">a</a>",
    ];
    for markdown in leaving {
        let html = article(markdown, &Links::here());
        assert!(html.contains(&rel), "{html:?}, from {markdown:?}");
    }
    check("[a](/b)", "<p><a href=\"/b\">a</a></p>");
    check("[a](b?c=1&d=2)", "<p><a href=\"b?c=1&amp;d=2\">a</a></p>");
    check(
        "<a href='b?c=1&amp;d=2'>a</a>",
        "<p><a href=\"b?c=1&amp;d=2\">a</a></p>",
    );
    check("[a](#b)", "<p><a href=\"#body-b\">a</a></p>");
    check(
        "[a](/b%c?d[]=%20#e#f)",
        "<p><a href=\"/b%25c?d%5B%5D=%20#body-e%23f\">a</a></p>",
    );
    let six = format!("<p><a href=\"http://[::1]/\" {rel}>a</a></p>");
    check("[a](http://[::1]/)", &six);
    check(
        "<m@example.org>",
        "<p><a href=\"mailto:m@example.org\">m@example.org</a></p>",
    );
}

#[test]
fn the_last_step_knows_no_other_relation_than_ours() {
    let clean = |html: &str| with_gate(&Links::here(), |gate| gate.clean(html).to_string());
    let ours = format!("<a href=\"https://example.org/\" rel=\"{LEAVING}\">a</a>");
    assert_eq!(clean(&ours), ours);
    for other in ["opener", "", "nofollow noopener noreferrer ugc opener"] {
        let html = ours.replace(LEAVING, other);
        assert_eq!(clean(&html), "<a href=\"https://example.org/\">a</a>");
    }
    assert_eq!(clean(&format!("<p rel=\"{LEAVING}\">a</p>")), "<p>a</p>");
}

#[test]
fn a_link_to_a_heading_of_another_post_arrives() {
    let leads = |written: &str, led: &str| {
        let html = article(&format!("[a](<{written}>)"), &Links::here());
        assert_eq!(
            html,
            format!("<p><a href=\"{led}\">a</a></p>\n"),
            "from {written}"
        );
    };
    leads("/starting#a-readme", "/starting#body-a-readme");
    leads("../b?c=1#d", "../b?c=1#body-d");
    leads("/b#body-d", "/b#body-d");
    leads("/archive#y2026", "/archive#y2026");
    leads("/#content", "/#content");
    leads("/b#", "/b#");
    check(
        "<a href='/b?c&#61;1#d'>a</a>",
        "<p><a href=\"/b?c=1#d\">a</a></p>",
    );
    let far = Links::seen_from("https://m.example.org/2026/x");
    assert!(article("[a](y#z)", &far).contains("\"https://m.example.org/2026/y#body-z\""));
    let other = article("[a](https://example.org/y#z)", &Links::here());
    assert!(other.contains("\"https://example.org/y#z\""));
}

#[test]
fn images_of_other_hosts_become_links() {
    check(
        &format!("![A *crowd*](/media/sha256-{HASH})"),
        &format!("<p><img src=\"/media/sha256-{HASH}\" alt=\"A crowd\" decoding=\"async\"></p>"),
    );
    let link = format!("<a href=\"https://example.org/a.png\" rel=\"{LEAVING}\">");
    check(
        "![A *b*](https://example.org/a.png)",
        &format!("<p>{link}A <em>b</em></a></p>"),
    );
    check(
        "![](https://example.org/a.png)",
        &format!("<p>{link}https://example.org/a.png</a></p>"),
    );
    check(
        "<img alt='A b' src='https://example.org/a.png'>",
        &format!("{link}A b</a>"),
    );
    check(
        "[![A](https://example.org/a.png)](/b)",
        "<p><a href=\"/b\">A</a></p>",
    );
    check("![A](data:image/png;base64,AAAA)", "<p>A</p>");
}

fn check_with(medium: Option<Medium>, markdown: &str, html: &str) {
    let made = illustrated(markdown, &Links::here(), &|_| medium);
    assert_eq!(made.trim_end(), html, "from {markdown:?}");
    let washed = gate(&Links::here()).clean(&made).to_string();
    assert_eq!(washed, made, "washed again");
}

#[test]
fn pictures_leave_room_for_themselves() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x25\0\0\0\x15";
    let medium = Some(Medium::Picture(size::of_picture(png)));
    let src = format!("/media/sha256-{HASH}");
    check_with(
        medium,
        &format!(
            "![a]({src} \"b\")\n\n<img src='{src}' width=9999 height=9999 style='x' alt='&lt;c'>"
        ),
        &format!(
            "<p><img src=\"{src}\" alt=\"a\" width=\"37\" height=\"21\" decoding=\"async\" title=\"b\"></p>\n\
             <img src=\"{src}\" alt=\"&lt;c\" width=\"37\" height=\"21\" loading=\"lazy\" decoding=\"async\">"
        ),
    );
}

#[test]
fn films_and_sounds_wait_until_somebody_wants_them() {
    let src = format!("/media/sha256-{HASH}");
    let player = |name: &str| {
        format!(
            "<{name} src=\"{src}\" controls=\"\" preload=\"none\" aria-label=\"a\"><a href=\"{src}\">a</a></{name}>"
        )
    };
    let film = player("video");
    check_with(
        Some(Medium::Film),
        &format!("![a]({src})"),
        &format!("<p>{film}</p>"),
    );
    check_with(
        Some(Medium::Film),
        &format!(
            "<div>\n<video title=a autoplay onplay=x><source src='{src}'>No <b>player</b></video>\n</div>"
        ),
        &format!("<div>\n{film}\n</div>"),
    );
    check_with(
        Some(Medium::Sound),
        &format!("a <audio controls><source title=a src={src}><source src={src}></audio>"),
        &format!("<p>a {}</p>", player("audio")),
    );
    let sound = player("audio");
    check_with(
        Some(Medium::Sound),
        &format!("![a]({src})"),
        &format!("<p>{sound}</p>"),
    );
    let link = format!("<p><a href=\"{src}\">a</a></p>");
    check_with(Some(Medium::File), &format!("![a]({src})"), &link);
    check_with(
        Some(Medium::Film),
        &format!("[![a]({src})](/b)"),
        "<p><a href=\"/b\">a</a></p>",
    );
    let elsewhere = "https://example.org/a";
    check_with(
        None,
        &format!("<iframe src={elsewhere}></iframe>"),
        &format!("<a href=\"{elsewhere}\" rel=\"{LEAVING}\">{elsewhere}</a>"),
    );
}

#[test]
fn a_block_of_the_other_direction_says_so() {
    let arabic = "اجتمعنا في دار البلدية القديمة.";
    let english = "We met in the old town hall, forty of us, in the cold.";
    check(
        &format!("{english}\n\n{arabic}"),
        &format!("<p>{english}</p>\n<p dir=\"rtl\">{arabic}</p>"),
    );
    // A name at the beginning is not the language; neither are addresses and code.
    let body = [arabic, arabic, arabic].join(" ");
    for began in [
        "Rust لغة برمجة.",
        "انظر https://example.org/a-long-address",
        "`cargo build --release` هنا",
    ] {
        let html = article(
            &format!("{body}\n\n{began}\n\n    let code = 1;"),
            &Links::here(),
        );
        assert!(
            !html.contains("dir=\"rtl\"") && !html.contains("dir=\"ltr\""),
            "{html}"
        );
    }
    check(
        &format!("{body}\n\n{english}"),
        &format!("<p>{body}</p>\n<p dir=\"ltr\">{english}</p>"),
    );
    // What is within a block is compared with it, and not with the whole.
    check(
        &format!("{english}\n{english}\n{english}\n\n> {body}\n>\n> one\n>\n> 1 2"),
        &format!(
            "<p>{english}\n{english}\n{english}</p>\n<blockquote dir=\"rtl\">\n<p>{body}</p>\n\
             <p dir=\"ltr\">one</p>\n<p>1 2</p>\n</blockquote>"
        ),
    );
    check(
        &format!(
            "{english} {english} {english}\n\n# {arabic} {{#a}}\n\n- {arabic}\n\n| ا |\n|-|\n| a |\n\n[^1]: {arabic}"
        ),
        &format!(
            "<p>{english} {english} {english}</p>\n<h2 id=\"body-a\" dir=\"rtl\">{arabic}</h2>\n\
             <ul dir=\"rtl\">\n<li>{arabic}</li>\n</ul>\n\
             <div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr>\
             <th scope=\"col\" dir=\"rtl\">ا</th></tr></thead>\n<tbody>\n<tr><td>a</td></tr>\n\
             </tbody></table></div>\n<section class=\"notes\"><ol>\n\
             <li id=\"body-note-1\"><p dir=\"rtl\">{arabic}</p></li>\n</ol></section>"
        ),
    );
}

#[test]
fn a_page_within_the_page_leaves_its_address() {
    let address = "https://example.org/a?b=1&amp;c";
    let link = format!("<a href=\"{address}\" rel=\"{LEAVING}\">");
    check(
        &format!("<iframe data-src='{address}' src=about:blank></iframe>"),
        &format!("{link}{address}</a>"),
    );
    check(
        &format!("<iframe src='{address}' title='A &lt; film'></iframe>"),
        &format!("{link}A &lt; film</a>"),
    );
    check(
        &format!("[<iframe src='{address}'></iframe>](/b)"),
        &format!("<p><a href=\"/b\">{address}</a></p>"),
    );
    for other in ["mailto:a@example.org", "javascript:alert(1)", "data:,a"] {
        check(&format!("<iframe src='{other}'></iframe>"), "");
    }
}

#[test]
fn links_find_headings_whichever_program_made_them() {
    check(
        "# What's next?\n[a](#whats-next) [b](#what-s-next) [c](#other) [d](#body-whats-next)",
        "<h2 id=\"body-whats-next\">What's next?</h2>\n<p><a href=\"#body-whats-next\">a</a> \
         <a href=\"#body-whats-next\">b</a> <a href=\"#body-other\">c</a> \
         <a href=\"#body-whats-next\">d</a></p>",
    );
    check(
        "[a](#x)\n# A {#x}\n# A {x}\n# `A`\n# A",
        "<p><a href=\"#body-x\">a</a></p>\n<h2 id=\"body-x\">A</h2>\n<h2 id=\"body-a-x\">A {x}</h2>\n\
         <h2 id=\"body-a\"><code>A</code></h2>\n<h2 id=\"body-a-1\">A</h2>",
    );
    check("# 二 म्हणून", "<h2 id=\"body-二-म्हणून\">二 म्हणून</h2>");
    check(
        "<a name=\"b\"></a><b id=b id=c>x</b> <a id='d e'>y</a>",
        "<p><a id=\"body-b\"></a><b>x</b> <a></a>y</p>",
    );
}

#[test]
fn each_id_is_there_once() {
    let many = "# a\n".repeat(3_000) + "# a-7\n<b id=a-9>b</b>[^1] [^1]\n\n[^1]: c\n\n# note 1";
    let html = article(&many, &Links::here());
    let all: Vec<String> = attributes(&html)
        .into_iter()
        .filter(|(_, attribute, _)| attribute == "id")
        .map(|(_, _, id)| id)
        .collect();
    assert!(all.len() > 3_000, "{}", all.len());
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
}

#[test]
fn notes_and_definitions_look_like_what_they_are() {
    check(
        "> [!WARNING]\n> a",
        "<blockquote>\n<p lang=\"en\"><strong>Warning</strong></p>\n<p>a</p>\n</blockquote>",
    );
    check("a\n: b", "<dl>\n<dt>a</dt>\n<dd>b</dd>\n</dl>");
}

#[test]
fn listings_have_colors_wherever_they_stand() {
    let listing = "<pre dir=\"auto\" tabindex=\"0\"><code><span class=\"k\">fn</span> a&lt;b&gt;\n</code></pre>";
    let fence = "```rust\nfn a<b>\n```";
    check(fence, listing);
    check_with(
        None,
        &format!("a\n\n{fence}\n\nb"),
        &format!("<p>a</p>\n{listing}\n<p>b</p>"),
    );
    check_with(
        None,
        "> ```rust\n> fn a<b>\n> ```",
        &format!("<blockquote>\n{listing}\n</blockquote>"),
    );
    check_with(
        None,
        "```c\n\u{a0}\"\"\n```\n\n\u{a0}\"",
        &format!(
            "{}&nbsp;<span class=\"s\">\"\"</span>\n</code></pre>\n<p>&nbsp;\"</p>",
            writer::PRE.to_owned() + "<code>"
        ),
    );
    // Each alone, until they are too many: then all together.
    let many = format!("{fence}\n\n").repeat(writer::PIECES_MAX);
    let html = article(&many, &Links::here());
    assert_eq!(html.matches(listing).count(), writer::PIECES_MAX);
    assert_eq!(gate(&Links::here()).clean(&html).to_string(), html);
}

#[test]
fn raw_html_of_an_author_gets_none_of_our_classes() {
    check("<span class=\"k task\">a</span>", "<p><span>a</span></p>");
}

#[test]
fn seen_from_elsewhere_addresses_are_whole() {
    let links = Links::seen_from("https://maria.example.org/2026/march");
    let markdown = format!("[a](april) ![b](/media/sha256-{HASH}) [c](#d)");
    let html = article(&markdown, &links);
    assert!(
        html.contains("\"https://maria.example.org/2026/april\""),
        "{html}"
    );
    assert!(
        html.contains("\"https://maria.example.org/2026/march#body-d\""),
        "{html}"
    );
    let media = format!("src=\"https://maria.example.org/media/sha256-{HASH}\"");
    assert!(html.contains(&media), "{html}");
    assert!(!html.contains(" rel="), "{html}");
}

#[test]
fn raw_html_keeps_what_is_listed() {
    check("<b>a</b> <kbd>b</kbd>", "<p><b>a</b> <kbd>b</kbd></p>");
    check(
        "<details>\n<summary>a</summary>\n\n*b*\n\n</details>",
        "<details>\n<summary>a</summary>\n<p><em>b</em></p>\n</details>",
    );
    check(
        "<details>\n<summary>\n\na\n\n- b\n\n</summary>\n</details>",
        "<details>\n<summary>\na\n</summary><ul>\n<li>b</li>\n</ul>\n\n</details>",
    );
    check("<h2>a<p>b</p><h3>c</h3></h2>", "<h2>abc</h2>");
    check("a <b>b\n\nc", "<p>a <b>b</b></p>\n<p>c</p>");
    check("*a <b>b* c</b>", "<p><em>a <b>b</b></em> c</p>");
    check("<p>a<p>b", "<p>a</p><p>b</p>");
    check(
        "<ul><li>a<li><b>b<li>c</ul>",
        "<ul><li>a</li><li><b>b</b></li><li>c</li></ul>",
    );
    check(
        "<table><tr><th>a<td>b<tr><td>c</table>",
        "<div class=\"wide\" tabindex=\"0\"><table><tbody><tr><th>a</th><td>b</td></tr>\
         <tr><td>c</td></tr></tbody></table></div>",
    );
    check("<font color=red>a</font>", "<p>a</p>");
    check("<noscript>a <b>b</b></noscript>", "<p>a <b>b</b></p>");
    check("a <!-- b --> c", "<p>a  c</p>");
    check("<bdo dir='rtl'>a</bdo>", "<p><bdo dir=\"rtl\">a</bdo></p>");
}

#[test]
fn nothing_dangerous_survives() {
    let vectors: Vec<&str> = include_str!("vectors.txt").split("\n---\n").collect();
    assert!(vectors.len() > 60, "the table of vectors was read");
    for vector in vectors {
        assert_harmless(&article(vector, &Links::here()), vector);
        let far = article(vector, &Links::seen_from("https://maria.example.org/a"));
        let own_media = "\"https://maria.example.org/media/";
        assert_harmless(&far.replace(own_media, "\"/media/"), vector);
    }
}

#[test]
fn every_spoke_makes_the_same_bytes() {
    // A hash map has another order in each instance, as it has in each process.
    for vector in include_str!("vectors.txt").split("\n---\n") {
        let html = article(vector, &Links::here());
        for _ in 0..4 {
            assert_eq!(article(vector, &Links::here()), html);
        }
    }
}

#[test]
fn a_second_wash_takes_nothing_more() {
    let links = Links::here();
    for vector in include_str!("vectors.txt").split("\n---\n") {
        let html = article(vector, &links);
        assert_eq!(
            gate(&links).clean(&html).to_string(),
            html,
            "from {vector:?}"
        );
    }
}

#[test]
fn summaries_are_the_first_words() {
    let text = "# Title\n\nOne *two*\nthree, [four](/x).\n\n```\ncode\n```\n\nFive <b>six</b>.";
    assert_eq!(summary(text, 100), "One two three, four. Five six.");
    assert_eq!(summary(text, 12), "One two…");
    assert_eq!(summary(text, 7), "One two…");
    assert_eq!(summary("一二三四五六七八", 4), "一二三四…");
    assert_eq!(summary("👩\u{200d}🌾👩\u{200d}🌾", 4), "👩\u{200d}🌾…");
    assert_eq!(summary("", 4), "");
    assert_eq!(summary("a b", 0), "…");
}

#[test]
fn languages_have_a_direction() {
    for language in [
        "ar",
        "AR-EG",
        "fa",
        "he",
        "ur",
        "yi",
        "ckb",
        "az-Arab",
        "ku-Arab-IQ",
    ] {
        assert_eq!(direction(language), Direction::Rtl, "{language}");
    }
    for language in [
        "en",
        "",
        "zh-Hant",
        "ur-Latn",
        "hi",
        "arn",
        "de-1996",
        "-",
        "ar-Latn-x-a",
    ] {
        assert_eq!(direction(language), Direction::Ltr, "{language}");
    }
}

fn hostile_text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<script>",
        "</script>",
        "<a href=",
        "javascript:alert(1)",
        "onerror=x",
        "<img src=x ",
        "<svg>",
        "<math>",
        "<style>",
        "</",
        "<",
        ">",
        "\"",
        "'",
        "`",
        "\n",
        "\n\n",
        "> ",
        "- ",
        "[a](",
        ")",
        "![",
        "]",
        "[^1]",
        "[^1]: ",
        "<!--",
        "-->",
        "&#106;",
        "&lt;",
        "<table>",
        "<td>",
        "|a|b|\n|-|-|\n",
        "<div>",
        "</div>",
        "<p>",
        "<b>",
        "</b>",
        "data:text/html,",
        "\0",
        "\u{202e}",
        "=",
        "/",
        "*",
        "**",
        "    ",
        "# ",
        "<pre>",
        "<textarea>",
        "<title>",
        "https://example.org/",
        "<noscript>",
        "<details>",
        "<li>",
        "<base href=//e>",
    ]);
    prop::collection::vec(prop_oneof![pieces.prop_map(str::to_owned), ".{0,6}"], 0..40)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    /// What is taken without reading it as a whole would have been read, and leads to another host.
    #[test]
    fn a_plain_address_is_one(href in "https?://([a-z0-9.-]{0,6}|xn--|[0-9]{1,3}|0x|[A-Z@:%é\t]){1,4}([/?#\\\\][ -~\n\té]{0,9})?") {
        if is_plain(&href) {
            let url = Url::parse(&href).expect("an address");
            prop_assert!(matches!(url.scheme(), "http" | "https") && url.has_host(), "{}", href);
        }
    }

    #[test]
    fn whatever_is_written_is_harmless(markdown in hostile_text()) {
        let html = article(&markdown, &Links::here());
        assert_harmless(&html, &markdown);
        prop_assert!(!html.to_lowercase().contains("<script"));
        let far = article(&markdown, &Links::seen_from("https://maria.example.org/a"));
        assert_harmless(&far.replace("\"https://maria.example.org/media/", "\"/media/"), &markdown);
        let words = summary(&markdown, 30);
        prop_assert!(words.chars().count() <= 31);
    }
}
