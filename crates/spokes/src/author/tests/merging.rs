//! Blogs that stood in several places come together in one, and nothing takes another's place.

use spokes_log::{blog::Found, name::Slug};

use super::{Maria, check};

/// A page that WordPress calls "about", which is a path of every blog here.
const ABOUT: &str = r#"<?xml version="1.0"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:wp="https://wordpress.org/export/1.2/">
<channel><link>https://old.example</link><language>en</language>
<item><title>About The Tests</title><content:encoded><![CDATA[<p>WORDS</p>]]></content:encoded>
  <wp:post_id>2</wp:post_id><wp:post_date_gmt>2007-09-04 16:52:50</wp:post_date_gmt>
  <wp:post_name>about</wp:post_name><wp:status>publish</wp:status><wp:post_type>page</wp:post_type></item>
</channel></rss>"#;

impl Maria {
    /// The words of the article at an address.
    fn words_at(&self, slug: &str) -> Option<String> {
        let nodes = self.fake.nodes();
        let copy = &nodes.blogs["maria"].copy;
        match copy.blog.find(&Slug::parse(slug).expect("a slug"))? {
            Found::Post(post) => Some(copy.body(post.current()).to_owned()),
            Found::Moved(_) => None,
        }
    }

    fn entries(&self) -> usize {
        self.fake.nodes().blogs["maria"].copy.chain.len()
    }
}

#[tokio::test]
async fn a_second_import_takes_nobodys_place() {
    let maria = Maria::with_blog().await;
    maria.write("old.xml", ABOUT.replace("WORDS", "The tests."));
    let wordpress = "import DIR/old.xml --blog maria KEY";
    check(maria.run(wordpress, &[]).await, 0, &["/about-1"]);
    maria.write("site/about.md", "Who I am, in a few words.");
    maria.write("site/one.md", "See what I [say of myself](about.md).");
    let folder = "import DIR/site --blog maria KEY";
    let told = ["\"about-1\" is another article", "/about-1-2"];
    check(maria.run(folder, &[]).await, 0, &told);
    assert_eq!(maria.words_at("about-1").as_deref(), Some("The tests."));
    assert_eq!(
        maria.words_at("about-1-2").as_deref(),
        Some("Who I am, in a few words.")
    );
    let one = maria.words_at("one");
    assert_eq!(
        one.as_deref(),
        Some("See what I [say of myself](/about-1-2).")
    );

    // Again, nothing is new; on another machine, too, which remembers nothing.
    let entries = maria.entries();
    check(maria.run(folder, &[]).await, 0, &["unchanged"]);
    let run = maria.run_from("other", folder, &[]).await;
    check(run, 0, &["unchanged"]);
    check(maria.run(wordpress, &[]).await, 0, &["unchanged"]);
    assert_eq!(maria.entries(), entries);

    // What each of them says anew replaces its own article.
    maria.write("site/about.md", "Who I am now.");
    maria.write("old.xml", ABOUT.replace("WORDS", "More tests."));
    check(maria.run(folder, &[]).await, 0, &["this replaces it"]);
    check(maria.run(wordpress, &[]).await, 0, &["this replaces it"]);
    assert_eq!(maria.words_at("about-1").as_deref(), Some("More tests."));
    assert_eq!(
        maria.words_at("about-1-2").as_deref(),
        Some("Who I am now.")
    );
    assert_eq!(maria.entries(), entries + 2);
}

#[tokio::test]
async fn what_shows_that_it_is_the_same_replaces() {
    let maria = Maria::with_blog().await;
    let file = |words: &str| format!("---\ntitle: A day\ndate: 2020-01-02\n---\n{words}");
    maria.write("a/day.md", file("Some words."));
    check(
        maria
            .run("publish DIR/a/day.md --blog maria KEY", &[])
            .await,
        0,
        &[],
    );
    for name in ["b", "c", "d", "e", "f"] {
        maria.write(
            &format!("{name}/day.md"),
            file(&format!("Words of {name}.")),
        );
    }
    let line = "import DIR/b --blog maria KEY";
    check(maria.run(line, &[]).await, 0, &["this replaces it"]);
    assert_eq!(maria.words_at("day").as_deref(), Some("Words of b."));
    // One title alone is not enough where another text is known to have made the article.
    maria.write("c/day.md", "---\ntitle: A day\n---\nAnother day.");
    let line = "import DIR/c --blog maria KEY";
    check(maria.run(line, &[]).await, 0, &["/day-2"]);
    // Whoever is there may say yes.
    maria.write("d/day.md", "Mine.");
    let line = "import DIR/d --blog maria KEY";
    check(maria.run(line, &[true]).await, 0, &["Replace it?"]);
    assert_eq!(maria.words_at("day").as_deref(), Some("Mine."));
    maria.write("e/day.md", "Not mine.");
    let line = "import DIR/e --blog maria KEY";
    check(maria.run(line, &[false]).await, 0, &["/day-3"]);
    assert_eq!(maria.words_at("day").as_deref(), Some("Mine."));
}

#[tokio::test]
async fn names_that_are_left_out_are_counted() {
    let maria = Maria::with_blog().await;
    for (name, authors) in [("a", "[Joan, Ana]"), ("b", "[Joan]"), ("c", "[]")] {
        let text = format!("---\nauthors: {authors}\ndate: 2020-01-01\n---\nWords of {name}.");
        maria.write(&format!("site/{name}.md"), text);
    }
    let line = "import DIR/site --blog maria KEY";
    let told = ["2 texts name their authors (Joan: 2, Ana: 1). A signed post shows who signed it"];
    check(maria.run(line, &[]).await, 0, &told);
    check(maria.run(line, &[]).await, 0, &told);
}

#[tokio::test]
async fn texts_without_a_date_stay_in_the_order_of_their_names() {
    let maria = Maria::with_blog().await;
    for name in ["c", "a", "b"] {
        maria.write(&format!("site/{name}.md"), format!("Words of {name}."));
    }
    maria.write("site/d.md", "---\ndate: 2020-01-02\n---\nWords of d.");
    let line = "import DIR/site --blog maria KEY";
    let told = ["3 texts have no date; they got the moment of this import"];
    check(maria.run(line, &[]).await, 0, &told);
    let dates = |maria: &Maria| {
        let nodes = maria.fake.nodes();
        let posts = nodes.blogs["maria"].copy.blog.posts().into_iter().rev();
        let posts = posts.map(|post| (post.article.slug.to_string(), post.article.date));
        posts.collect::<Vec<_>>()
    };
    let first = dates(&maria);
    let slugs: Vec<&str> = first.iter().map(|(slug, _)| slug.as_str()).collect();
    assert_eq!(slugs, ["d", "a", "b", "c"]);
    assert_eq!(first[3].1.since(first[1].1), 2, "a second apart");
    // A date that was given once stays, and is no news.
    maria.write("site/a.md", "Better words of a.");
    let (code, captured) = maria.run(line, &[]).await;
    assert!(code == 0 && !captured.facts().contains("no date"));
    assert_eq!(dates(&maria), first);
}

#[tokio::test]
async fn the_last_lines_count_what_did_not_come_along() {
    let maria = Maria::with_blog().await;
    let item = |id: usize, kind: &str, rest: &str| {
        format!(
            "<item><wp:post_id>{id}</wp:post_id><wp:post_type>{kind}</wp:post_type>{rest}</item>"
        )
    };
    let file = |name: &str| {
        let at = format!("https://old.example/wp-content/uploads/2015/05/{name}");
        format!("<wp:attachment_url>{at}</wp:attachment_url><wp:status>inherit</wp:status>")
    };
    let words = "<p>See <a href=\"/nowhere/\">this</a></p><img src=\"https://old.example/wp-content/uploads/2015/05/sea-300x200.gif\"><img src=\"https://old.example/wp-content/uploads/2015/05/gone.gif\">";
    let items = [
        item(
            3,
            "post",
            "<title>Not yet</title><wp:status>draft</wp:status>",
        ),
        item(4, "attachment", &file("sea.gif")),
        item(5, "attachment", &file("gone.gif")),
        item(6, "attachment", &file("unseen.gif")),
    ];
    let comment = "<wp:comment><wp:comment_approved>1</wp:comment_approved></wp:comment></item>";
    let text = ABOUT.replace("<p>WORDS</p>", words);
    let text = text.replacen("</item>", comment, 1);
    let text = text.replace("</channel>", &format!("{}</channel>", items.concat()));
    maria.write("old.xml", text);
    maria.write("uploads/2015/05/sea.gif", "GIF89a a pict;");
    let line = "import DIR/old.xml --media DIR/uploads --blog maria KEY";
    let told = [
        "post 3 (\"Not yet\"): draft",
        "sea.gif: went along with a text that shows it",
        "gone.gif: a text shows it, but it was left behind",
        "unseen.gif: left behind, no text shows it",
        "page 2 (about): note: its address cannot be \"about\"",
        "5 in all: 1 draft, 3 medium, 1 safe",
        "pictures and other files: 1 went along; 1 that a text shows was left behind. The same command with --fetch-media",
        "did not come along: comments: 1, old addresses: 1, links to what was not imported: 1",
    ];
    check(maria.run(line, &[]).await, 0, &told);
}
