//! An author with a good key writes what is hard to render. No spoke falls over or stands still.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::time::{Duration, Instant};

use common::{
    author::{Author, article, draft},
    demo::Demo,
    http,
};
use spokes_log::{draft::Says, name::Slug};

/// A page of one MiB in an unoptimized build beside a compiler.
const RENDERED_WITHIN: Duration = Duration::from_secs(12);
/// Below what a canonical line may hold.
const LINE: usize = 15_000;

/// Lines of one text, repeated until the body is nearly as long as it may be.
fn filled(line: &str) -> String {
    let line = line.trim_end();
    let lines = 1_000_000 / (line.len() + 1);
    vec![line; lines.max(1)].join("\n")
}

fn long(text: &str) -> String {
    text.repeat(LINE / text.len())
}

fn heavy() -> Vec<(&'static str, String)> {
    let reference = format!("[a]: https://example.org/{}\n\n", "x".repeat(10_000));
    let tags = |tag: &str| filled(&long(tag));
    vec![
        ("quotes in quotes", format!("{}x", long(">"))),
        ("quotes on every line", filled(&format!("{}x", long("> ")))),
        ("lists in lists", format!("{}x", long("- "))),
        ("numbers in numbers", format!("{}x", long("1. "))),
        ("open brackets", filled(&long("["))),
        ("open pictures", filled(&long("!["))),
        (
            "links in links",
            filled(&format!("{}{}", "[".repeat(2_000), "](x)".repeat(2_000))),
        ),
        ("stars", filled(&long("*a_"))),
        ("stars apart", filled(&long("**a *b "))),
        (
            "ticks",
            filled(
                &(1..170)
                    .map(|n| "`".repeat(n))
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
        ),
        ("open elements", tags("<div>")),
        ("open inline elements", tags("<b>")),
        ("open tables", tags("<table><tr><td>")),
        ("open svg", tags("<svg><g>")),
        ("open forms of code", tags("<pre><code>")),
        ("open comments", tags("<!--")),
        ("attributes", format!("<a {}>x</a>", long("a=\"b\" "))),
        ("entities", filled(&long("&amp;&#x1F600;"))),
        ("a reference often", reference + &filled(&long("[a] "))),
        (
            "columns",
            format!("{}\n{}\n{}", long("|a"), long("|-"), filled(&long("|b"))),
        ),
        (
            "few columns, many rows",
            format!("{}\n{}\n{}", long("|a"), long("|-"), filled("|b")),
        ),
        ("footnotes", filled("[^1]: [^1] [^2]: [^2]")),
        ("ampersands", filled(&long("&"))),
        ("signs of two bytes", filled(&long("©"))),
        (
            "a table without rows",
            format!("<table>\n{}", filled(&long("<br>"))),
        ),
        ("one footnote often", filled(&long("[^1]")) + "\n\n[^1]: x"),
        ("headings", filled("# x")),
        ("indents", filled(&format!("{}x", long(" ")))),
    ]
}

#[test]
fn nothing_that_an_author_writes_fells_a_spoke() {
    let demo = Demo::start_with(2, &["--empty", "--replicas", "2"]);
    let mut mallory = Author::with_blog(&demo, "mallory", "a");
    for (what, body) in heavy() {
        assert!(body.len() <= 1_048_576, "{what}: {}", body.len());
        let mut post = article("x");
        post.slug = Slug::parse(&what.replace([' ', ','], "-")).unwrap();
        let signed = mallory.sign(&draft(Says::Post(post.clone()), &body));
        let sent = mallory.send(demo.address("a"), &signed).unwrap_or_default();
        assert!(
            matches!(sent.status, 201 | 202),
            "{what}: {} {}",
            sent.status,
            sent.text()
        );
        mallory.parent = Some(signed.place());
        let began = Instant::now();
        let reply = demo.http("a", "mallory", &format!("/{}", post.slug));
        assert_eq!(reply.status, 200, "{what}");
        let took = began.elapsed();
        eprintln!("{what}: {} bytes shown in {took:?}", body.len());
        assert!(took < RENDERED_WITHIN, "{what}: {took:?}");
        assert!(
            demo.http("b", "mallory", "/archive").status == 200,
            "{what}: b fell"
        );
    }
    feeds_at_once(&demo);
    demo.assert_no_panic();
}

/// All of it in one feed, more often than there are cores: the node does not stand still.
fn feeds_at_once(demo: &Demo) {
    let feed = |n: usize| {
        let path = format!("/feed.atom?{n}");
        http::request(
            demo.address("b"),
            "GET",
            &demo.host("mallory"),
            &path,
            &[],
            b"",
        )
    };
    std::thread::scope(|scope| {
        (0..6).for_each(|n| drop(scope.spawn(move || feed(n))));
        std::thread::sleep(Duration::from_millis(300));
        let asked = Instant::now();
        assert_eq!(http::get(demo.address("b"), "x", "/healthz").status, 200);
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
    });
}
