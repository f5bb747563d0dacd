//! What readers and their programs find, on every spoke: pages, feeds, a search, erasures.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::time::Duration;

use common::{
    author::{Author, article, draft},
    demo::Demo,
    http::{self, Reply},
    wait_for,
};
use spokes_log::{
    draft::Says,
    name::{Language, Tags},
    text::Value as _,
};

/// A word that stands only at the end of a long post.
const LAST_WORD: &str = "Finisterre";
const SOON: Duration = Duration::from_secs(10);

#[test]
fn readers_find_what_was_written_wherever_they_ask() {
    let demo = Demo::start();
    let mut maria = Author::with_blog(&demo, "maria", "b");
    let mut first = article("the-walk");
    first.tags = Tags::parse("walks, sea").unwrap();
    let walk = format!("We went *on foot*. {} {LAST_WORD}.", "And on. ".repeat(100));
    maria.say(&demo, "b", &draft(Says::Post(first), &walk));
    let mut second = article("مرحبا");
    second.language = Some(Language::parse("ar").unwrap());
    maria.say(
        &demo,
        "b",
        &draft(Says::Post(second), "كلمات قليلة عن البحر."),
    );
    let members = demo.members("maria");
    let elsewhere = demo.labels().into_iter().find(|l| !members.contains(l));
    let elsewhere = elsewhere.unwrap();

    pages_say_what_they_are(&demo, &members[1]);
    the_front_page_speaks_two_languages(&demo, &elsewhere);
    the_network_feed_is_whole(&demo, &elsewhere);
    search_finds(&demo, &members[1], &elsewhere);
    search_passes_over_older_versions(&demo, &mut maria, &members[1]);
    robots_find_their_way(&demo, &members[1]);
    pages_are_fetched_once(&demo, &members[1]);
    erased_posts_are_gone_everywhere(&demo, &mut maria, &elsewhere);
    demo.assert_no_panic();
}

fn ask(demo: &Demo, label: &str, host: &str, path: &str, more: &[(&str, &str)]) -> Reply {
    http::request(demo.address(label), "GET", host, path, more, b"").unwrap()
}

/// A page of the network's own host.
fn network(demo: &Demo, label: &str, path: &str) -> String {
    ask(demo, label, &demo.domain, path, &[]).text()
}

fn pages_say_what_they_are(demo: &Demo, label: &str) {
    let read = |path: &str| {
        wait_for(path, SOON, || {
            let reply = demo.http(label, "maria", path);
            (reply.status == 200).then(|| reply.text())
        })
    };
    let post = read("/the-walk");
    let canonical = format!("http://maria.{}:{}/the-walk", demo.domain, demo.port);
    assert!(post.contains(&format!("<link rel=\"canonical\" href=\"{canonical}\">")));
    let (_, data) = post
        .split_once("<script type=\"application/ld+json\">")
        .unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["@type"], "BlogPosting");
    assert_eq!(data["url"], canonical);
    let fingerprints = post.matches("<code>").count();
    assert!(fingerprints >= 1, "{post}");
    for words in ["class=\"e-content\"", "rel=\"tag\"", "og:title"] {
        assert!(post.contains(words), "{words}");
    }
    let arabic = read("/%D9%85%D8%B1%D8%AD%D8%A8%D8%A7");
    assert!(arabic.contains("<html lang=\"ar\" dir=\"rtl\">"));
    assert!(arabic.contains("بقلم"), "the words around are Arabic, too");
    let about = wait_for("its newest entry is safe", SOON, || {
        let about = demo.http(label, "maria", "/about").text();
        about.contains("number 2, is safe").then_some(about)
    });
    assert!(about.contains("gpg --verify") && about.contains("Group "));
    assert!(read("/archive").contains("id=\"y20"));
    assert_eq!(demo.http(label, "maria", "/tags/nothing").status, 200);
    assert_eq!(demo.http(label, "maria", "/nothing").status, 404);
    let search = demo.http(label, "maria", "/search?q=sea");
    let leads_to = format!("http://{}:{}/search?q=sea", demo.domain, demo.port);
    assert_eq!(
        (search.status, search.header("location")),
        (302, Some(&*leads_to))
    );
}

fn the_front_page_speaks_two_languages(demo: &Demo, label: &str) {
    wait_for("the front page has her posts", SOON, || {
        network(demo, label, "/")
            .contains("About the-walk")
            .then_some(())
    });
    let arabic = ask(
        demo,
        label,
        &demo.domain,
        "/",
        &[("Accept-Language", "ar-EG, en;q=0.5")],
    );
    assert!(arabic.text().contains("<html lang=\"ar\" dir=\"rtl\">"));
    let vary = arabic.header("vary").unwrap();
    assert!(vary.contains("accept-language"), "{vary}");
    let english = network(demo, label, "/?ui=en");
    assert!(english.contains("<html lang=\"en\" dir=\"ltr\">"));
    let desk = format!("http://{label}.spoke.{}:{}/_/desk", demo.domain, demo.port);
    assert!(english.contains(&desk), "{desk}");
    // They come one after the other.
    let narrowed = wait_for("the front page has her Arabic post", SOON, || {
        let page = network(demo, label, "/?lang=ar");
        page.contains("About مرحبا").then_some(page)
    });
    assert!(!narrowed.contains("About the-walk"));
    // As long as a spoke has not heard all whom it asks, it says that instead.
    let empty = wait_for("all others were asked", SOON, || {
        let page = network(demo, label, "/?lang=HI-IN");
        page.contains("nothing among the latest posts")
            .then_some(page)
    });
    assert!(!empty.contains("About the-walk"));
    let status = network(demo, label, "/status");
    assert!(status.contains("Group A") && status.contains("in since"));
}

/// Also where another spoke holds the blog.
fn the_network_feed_is_whole(demo: &Demo, label: &str) {
    for kind in ["atom", "rss", "json"] {
        let feed = network(demo, label, &format!("/feed.{kind}"));
        assert!(feed.contains(LAST_WORD), "{kind}: {feed}");
    }
}

fn search_finds(demo: &Demo, holder: &str, elsewhere: &str) {
    let searched = |label: &str, words: &str| network(demo, label, &format!("/search?q={words}"));
    assert!(searched(holder, "finisTERRE").contains("About the-walk"));
    assert!(searched(holder, "foot+walks").contains("About the-walk"));
    assert!(!searched(holder, "foot+harbor").contains("About the-walk"));
    // A spoke that does not hold the blog knows the latest headlines.
    assert!(searched(elsewhere, "the-walk").contains("About the-walk"));
    let missing = ask(demo, holder, &demo.domain, "/nothing", &[]);
    assert_eq!(
        (missing.status, missing.header("cache-control")),
        (404, Some("no-store"))
    );
    let form = searched(elsewhere, "");
    assert!(form.contains("<form") && !form.contains("class=\"posts\""));
}

fn search_passes_over_older_versions(demo: &Demo, maria: &mut Author, holder: &str) {
    let first = maria.post(demo, "b", "weather", "It rained Plumbago.");
    let found = |word: &str| {
        let page = network(demo, holder, &format!("/search?q={word}"));
        page.contains("/weather\"")
    };
    wait_for("the first version", SOON, || {
        found("plumbago").then_some(())
    });
    let mut edited = article("weather");
    edited.replaces = Some(first.id());
    maria.say(demo, "b", &draft(Says::Post(edited), "It rained Zinnober."));
    wait_for("the second version", SOON, || {
        found("zinnober").then_some(())
    });
    assert!(!found("plumbago"));
}

fn robots_find_their_way(demo: &Demo, label: &str) {
    let robots = demo.http(label, "maria", "/robots.txt").text();
    let sitemap = format!("http://maria.{}:{}/sitemap.xml", demo.domain, demo.port);
    assert!(robots.contains(&format!("Sitemap: {sitemap}")), "{robots}");
    let map = demo.http(label, "maria", "/sitemap.xml").text();
    assert!(map.contains("/the-walk</loc><lastmod>20"), "{map}");
    assert!(network(demo, label, "/sitemap.xml").contains(&sitemap));
    assert_eq!(demo.http(label, "maria", "/favicon.ico").status, 200);
}

fn pages_are_fetched_once(demo: &Demo, label: &str) {
    let host = demo.host("maria");
    let plain = ask(demo, label, &host, "/the-walk", &[]);
    let gzip = ask(
        demo,
        label,
        &host,
        "/the-walk",
        &[("Accept-Encoding", "gzip")],
    );
    let (plain, gzip) = (plain.header("etag").unwrap(), gzip.header("etag").unwrap());
    assert_ne!(plain, gzip, "two forms have two tags");
    let has_both = format!("{plain}, {gzip}");
    let again = ask(
        demo,
        label,
        &host,
        "/the-walk",
        &[("If-None-Match", &has_both)],
    );
    assert_eq!((again.status, again.body.len()), (304, 0));
}

fn erased_posts_are_gone_everywhere(demo: &Demo, maria: &mut Author, elsewhere: &str) {
    let secret = maria.post(demo, "b", "secret", "The word is Wolkenkuckucksheim.");
    let feeds = ["/feed.json", "/search?q=wolkenkuckucksheim", "/"];
    let shows = |path: &str| network(demo, elsewhere, path).contains("/secret");
    for path in feeds {
        wait_for(path, SOON, || shows(path).then_some(()));
    }
    let erases = vec![secret.id()];
    maria.say(demo, "b", &draft(Says::Erase { erases }, ""));
    for path in feeds {
        wait_for(path, SOON, || (!shows(path)).then_some(()));
    }
    let entry = format!("/_/entry/{}", secret.id().path());
    let host = demo.host("maria");
    let page = ask(demo, "b", &host, &entry, &[("Accept", "text/html,*/*")]);
    assert_eq!(page.status, 410);
    assert!(
        page.text().contains("This post was erased"),
        "{}",
        page.text()
    );
}
