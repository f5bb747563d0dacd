use proptest::prelude::*;
use pulldown_cmark::Parser;

use super::*;
use crate::render::{Links, article};

#[track_caller]
fn check(html: &str, markdown: &str) {
    let written = to_markdown(html, Manner::default()).expect("short");
    assert_eq!(written.markdown, markdown, "from {html}");
}

#[track_caller]
fn check_lines(html: &str, markdown: &str) {
    let written = to_markdown(html, Manner { lines: true }).expect("short");
    assert_eq!(written.markdown, markdown, "from {html}");
}

/// What readers see, without blanks.
fn seen(html: &str) -> String {
    let tree = Tree::parse(html);
    tree.words(0)
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect()
}

fn drawn(markdown: &str) -> String {
    article(markdown, &Links::here())
}

#[test]
fn words_and_marks() {
    check("<p>Hello  <b>dear</b>\nworld</p>", "Hello **dear** world");
    check("a <em> b </em>c", "a *b* c");
    check(
        "x<i>y</i>z <strong>\"q\"</strong>",
        "x*y*z <strong>\"q\"</strong>",
    );
    check("<b><i>x</i></b>", "<strong>*x*</strong>");
    check("<i>a</i><b>b</b>", "*a*<strong>b</strong>");
    check(
        "<strike>no</strike> H<sub>2</sub>O",
        "~~no~~ H<sub>2</sub>O",
    );
    check("a<br>b<br><br>c", "a\\\nb\n\nc");
    check("<p>&nbsp;</p><p></p>x", "x");
    check("<code>a `b` c</code> <tt>x</tt>", "``a `b` c`` `x`");
    check(
        "<acronym title='For &quot;x&quot;'>ftw</acronym>",
        "<abbr title=\"For &quot;x&quot;\">ftw</abbr>",
    );
    check(
        "<script>alert(1)</script><style>p{}</style>a<!-- b -->c",
        "ac",
    );
}

#[test]
fn what_markdown_would_see_more_in_gets_a_backslash() {
    check(
        "1 * 2 [x] <b>_y_</b> a_b `c` &lt;d&gt; &amp;amp; AT&amp;T ~~",
        "1 \\* 2 \\[x\\] <strong>\\_y\\_</strong> a_b \\`c\\` \\<d> \\&amp; AT\\&T \\~\\~",
    );
    check(
        "<p># no</p><p>- no</p><p>1. no</p><p>&gt; no</p><p>===</p><p>+</p><p>#yes</p>",
        "\\# no\n\n\\- no\n\n1\\. no\n\n\\> no\n\n\\===\n\n\\+\n\n#yes",
    );
    check("wow!<a href='/x'>y</a>", "wow\\![y](/x)");
}

#[test]
fn links_and_pictures() {
    check(
        "<a href=' https://a.org/x y(1) '>t</a>",
        "[t](https://a.org/x%20y%281%29)",
    );
    check("<a href='javascript:alert(1)'>t</a><a href=''>u</a>", "tu");
    check(
        "<img src='a.png' alt='A [b]' width=5>",
        "![A \\[b\\]](a.png)",
    );
    check(
        "<a href='b.png'><img src='a.png'></a>",
        "[![](a.png)](b.png)",
    );
    check(
        "<img src='data:image/gif;base64,R0' data-src='a.png'>",
        "![](a.png)",
    );
    check("x<img src='https://stats.org/p.gif' width=1 height=1>", "x");
    check("<img class='wp-smiley' src='s.png' alt=':-)'>", ":-)");
    check("<p>https://youtu.be/a_b</p>", "<https://youtu.be/a_b>");
    check(
        "<iframe src='//www.youtube.com/embed/a_b?x=1'></iframe>",
        "[www.youtube.com](https://www.youtube.com/watch?v=a_b)",
    );
    check(
        "<video><source src='/f/film.mp4'></video>",
        "[film.mp4](/f/film.mp4)",
    );
    check(
        "<h2 id=a>A</h2><a href='#a'>up</a>",
        "## <span id=\"a\"></span>A\n\n[up](#a)",
    );
    check(
        "<a href='/?a=1&copy;=2'>t</a>",
        "[t](/?a=1%C2%A9=2)".replace("%C2%A9", "©").as_str(),
    );
}

#[test]
fn blocks_of_all_kinds() {
    check(
        "<h2>A <b>b</b></h2><hr><blockquote><p>q</p><p>r</p></blockquote>",
        "## A **b**\n\n---\n\n> q\n>\n> r",
    );
    check(
        "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul><ul><li>d</li></ul>",
        "- a\n  - b\n- c\n\n* d",
    );
    check("<ul><li>a</li><ul><li>b</li></ul></ul>", "- a\n  - b");
    check(
        "<ol start=8><li><p>a</p><p>b</p><li>c</ol>",
        "8. a\n\n   b\n\n9. c",
    );
    check(
        "<pre class='brush: rust; x'>\nfn a() {\n\n}\n</pre>",
        "```rust\nfn a() {\n\n}\n```",
    );
    check(
        "<pre><code class='language-sh'>a ``` b</code></pre>",
        "````sh\na ``` b\n````",
    );
    check(
        "<table><tr><th>A<th>B<tr><td>1|2<td>x<br>y</table>",
        "| A | B |\n| --- | --- |\n| 1\\|2 | x<br>y |",
    );
    check(
        "<table><tr><td colspan=2 style='x'>a &amp; b</td></tr></table>",
        "<table>\n<tr>\n<td colspan=\"2\">a &amp; b</td></tr></table>",
    );
    check(
        "<dl><dt>A<dd>b <em>c</em></dl>",
        "<dl>\n<dt>A</dt>\n<dd>b <em>c</em></dd></dl>",
    );
    check(
        "<figure><img src='a.png' alt='x'><figcaption>By <i>me</i></figcaption></figure>",
        "<figure>\n\n![x](a.png)\n\n<figcaption>By <i>me</i></figcaption>\n</figure>",
    );
    check(
        "<ul class='x wp-block-gallery'><li><img src=a.png></li><li><img src=b.png></li></ul>",
        "![](a.png)\n\n![](b.png)",
    );
    check(
        "<div dir=rtl><p>a</p></div>",
        "<div dir=\"rtl\">\n\na\n\n</div>",
    );
    check(
        "<details><summary>S</summary><p>a</p></details>",
        "<details>\n<summary>S</summary>\n\na\n\n</details>",
    );
    check("<p>a<div>b</div>c</p></span>", "a\n\nb\n\nc");
}

#[test]
fn line_ends_count_where_the_older_editor_wrote() {
    check_lines(
        "one\ntwo\n\nthree <b>x\n\ny</b>",
        "one\\\ntwo\n\nthree **x**\n\n**y**",
    );
    check_lines("a<br />\nb\n<h2>H</h2>\nc", "a\\\nb\n\n## H\n\nc");
    check_lines(
        "<ul>\n\t<li>a</li>\n\t<li>b</li>\n</ul>\n\nc",
        "- a\n- b\n\nc",
    );
    check_lines(
        "See\n<code>a {\n\tb\n}</code>\nand",
        "See\n\n```\na {\n\tb\n}\n```\n\nand",
    );
    check("one\n\ntwo", "one two");
}

#[test]
fn the_same_words_are_drawn_that_were_stored() {
    for html in [
        "<p>1 * 2 * 3, <em>a</em>_b_, [c](d) &lt;e&gt; &amp;lt; `f` ~g~ h|i</p>",
        "<ul><li>1. x<li># y<li><ul><li>z</ul></ul><ol><li>a<pre>b\n\nc</pre></ol>",
        "<table><tr><th>a|b</th></tr><tr><td>- c</td></tr></table>",
        "<blockquote>- a<br>- b<br>***</blockquote>",
    ] {
        let written = to_markdown(html, Manner::default()).expect("short");
        assert_eq!(
            seen(&drawn(&written.markdown)),
            seen(html),
            "{}",
            written.markdown
        );
    }
}

#[test]
fn what_would_cost_the_square_of_its_length_does_not() {
    let began = std::time::Instant::now();
    for html in [
        "<a ".to_owned() + &"b ".repeat(1_000_000),
        "<div>".repeat(200_000) + "x",
        "<b><i>".repeat(200_000) + "x" + &"</b></i>".repeat(50_000),
        "<blockquote>".repeat(1_000) + &"a<br>".repeat(200_000),
        "<a b='\">".repeat(200_000),
        "<!-- ".repeat(200_000),
        "<ul><li>".repeat(100_000),
        "<table><tr><td>".repeat(60_000),
        "&amp;*_[".repeat(200_000),
        format!(
            "<img alt=x src='data:image/png;base64,{}'>",
            "A".repeat(1_000_000)
        ),
    ] {
        let written = to_markdown(&html, Manner { lines: true }).expect("within the limit");
        assert!(
            written.markdown.len() < 40 * html.len(),
            "{}",
            written.markdown.len()
        );
    }
    // Minutes, if any of them were quadratic; unoptimised and beside others, some seconds.
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    let long = "x".repeat(HTML_BYTES_MAX + 1);
    assert!(to_markdown(&long, Manner::default()).is_err_and(|why| why.contains("two articles")));
}

#[test]
fn long_lines_are_broken_at_blanks() {
    let html = format!("<p>{}</p>", "word - ".repeat(5_000));
    let written = to_markdown(&html, Manner::default())
        .expect("short")
        .markdown;
    assert!(written.lines().all(|line| line.len() <= LINE_BYTES_MAX + 1));
    assert_eq!(seen(&drawn(&written)), seen(&html));
}

proptest! {
    #[test]
    fn no_html_panics(
        html in "(</?(p|b|em|a|ul|li|table|tr|td|th|pre|code|blockquote|h2|div|br|figure|span|script|dl)( href='x'| src=\"| id=q)?>|[a-z*_#<>&`|\\[\\]!.-]| |\n|\u{7f}|é|&nbsp;){0,60}",
        lines in any::<bool>()
    ) {
        let written = to_markdown(&html, Manner { lines }).expect("short");
        drawn(&written.markdown);
        prop_assert!(!written.markdown.contains([BREAK, PARAGRAPH]));
    }

    #[test]
    fn words_stay_words(words in "[a-z0-9*_#<>&`|\\[\\]()!.:=~+\\\\ \"'-]{0,40}") {
        let html = format!("<p>{}</p><p>x</p>", escaped(&words));
        let written = to_markdown(&html, Manner::default()).expect("short");
        let _first = Parser::new(&written.markdown).next();
        prop_assert_eq!(seen(&drawn(&written.markdown)), seen(&html), "{}", written.markdown);
    }
}
