//! How many bytes pages have beside what authors wrote.

use super::*;

#[test]
fn archives_are_light() {
    let post = line(
        "2026/03/what-we-agreed-on-in-spring",
        "What we agreed on in the old town hall in spring",
        "en",
        "2026-03-02T09:00:00Z",
        "",
    );
    let page = archive(&ArchiveView {
        network: network(),
        blog: blog(),
        posts: vec![post; ARCHIVE_POSTS],
        years: (2007..=2026).map(|year| (year.to_string(), 100)).collect(),
        only: Some("2026".to_owned()),
        below: None,
        newer: Some("/archive?year=2026".to_owned()),
        older: Some("/archive?year=2026&page=3".to_owned()),
    });
    let bytes = page.len() + compact_style().len();
    assert!(bytes <= 40 * 1024, "{bytes}");
}

/// With its style, a page of twenty posts in the widest script.
#[test]
fn lists_are_light() {
    let post = line(
        "会議",
        "古い市役所での集まり",
        "ja",
        "2026-03-02T09:00:00Z",
        &"会".repeat(300),
    );
    let pictured = PostLine {
        picture: Some(format!("/media/sha256-{}", "a".repeat(64))),
        ..post.clone()
    };
    let headline = Headline {
        post,
        blog_origin: "https://maria.blogs.example.org".to_owned(),
        blog_title: "港のノート".to_owned(),
        blog_language: "ja".to_owned(),
    };
    let view = FrontView {
        latest: vec![headline; 20],
        ..front_view()
    };
    let index = BlogView {
        network: network(),
        blog: blog(),
        posts: vec![pictured; 20],
        path: "/?page=2".to_owned(),
        newer: Some("/".to_owned()),
        older: Some("/?page=3".to_owned()),
    };
    for page in [front(&view), blog_index(&index)] {
        let bytes = page.len() + compact_style().len();
        assert!(bytes <= 40 * 1024, "{bytes}");
    }
}
