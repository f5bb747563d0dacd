//! What axe-core finds wrong with pages for readers who do not see them, or not well: nothing.
//!
//! `./test tools` brings axe-core into `target/axe`; it is no part of what ships.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::path::Path;

use common::{
    author::{Author, article, draft, picture, put},
    browser::{Browser, Options},
    demo::Demo,
    gpg::Gpg,
};
use serde_json::Value;
use spokes_log::{
    draft::Says,
    name::{Language, Tag, Tags},
};

/// All that a body may hold, with words in two directions.
const BODY: &str = "Words with `code`, a [link](https://example.org/), <kbd>Ctrl</kbd> and a note[^1].\n\n\
    # A part\n\n## Within it {#own}\n\n> [!WARNING]\n> Mind the gap.\n\n> مرحبا بالعالم\n\n\
    - [x] done\n- [ ] not yet\n\n1. one\n2. two\n\nA term\n: What it means.\n\n\
    | a | b |\n|---|--:|\n| 1 | 2 |\n\n\
    ```rust\n/// A comment.\nfn add(a: Vec<u8>) -> usize { \"text\".len() + 12 }\n```\n\n\
    ```diff\n--- a\n@@ 1 @@\n-old\n+new\n```\n\n\
    <details><summary>More</summary>\n\nHidden words.\n\n</details>\n\n\
    ~~old~~ <mark>marked</mark> <small>small</small>\n\n---\n\n[^1]: The note, with a [way back](#own).";

const RUN: &str = "const done = arguments[arguments.length - 1]; \
    axe.run(document, { resultTypes: ['violations'] }).then(found => done(found.violations.flatMap( \
        rule => rule.nodes.map(node => `${rule.id}: ${rule.help}: ${node.target} ${node.failureSummary}`))), \
        error => done(['axe failed: ' + error]));";

/// How far things moved while the page was loading, and what stands out beyond the screen.
const MOVED: &str = "const done = arguments[arguments.length - 1]; let moved = 0; \
    const what = []; const at = place => `${Math.round(place.x)},${Math.round(place.y)} ${Math.round(place.width)}x${Math.round(place.height)}`; \
    new PerformanceObserver(list => { for (const entry of list.getEntries()) { moved += entry.value; \
        what.push(...entry.sources.map(source => `${source.node?.nodeName} ${source.node?.className ?? ''} \
            ${source.node?.textContent} from ${at(source.previousRect)} to ${at(source.currentRect)}`)); } }) \
        .observe({ type: 'layout-shift', buffered: true }); \
    setTimeout(() => { const wide = document.documentElement.scrollWidth - innerWidth; \
        done([moved > 0 && `moved by ${moved}: ${what.join('; ')}`, wide > 0 && `${wide} px too wide`].filter(Boolean)); }, 100);";

/// Signs somebody in at the desk, by hand.
fn sign_in(browser: &Browser, desk: &str) {
    let gpg = Gpg::new("Maria <maria@example.org>");
    browser.go(desk);
    let answer = gpg.clearsign(&browser.find("#text").value());
    browser.find("#answer").fill(&answer);
    browser.find("#key").fill(&gpg.public_key());
    browser.follow("form button.main");
    assert!(browser.has(".leave"), "{}", browser.text());
}

fn axe() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("target/axe/package/axe.min.js");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{e}: ./test tools brings {path:?}"))
}

fn publish(demo: &Demo, name: &str, language: &str) {
    let mut author = Author::with_blog(demo, name, "a");
    let settings = Says::Settings {
        title: Some(
            if language == "ar" {
                "مدونة ماريا"
            } else {
                "Maria's blog"
            }
            .to_owned(),
        ),
        language: Some(Language::parse(language).unwrap()),
        description: Some("News and views".to_owned()),
    };
    author.say(demo, "a", &draft(settings, ""));
    let (bytes, medium) = picture(name);
    let mut post = article("march");
    post.title = Some(
        if language == "ar" {
            "يوم طويل"
        } else {
            "A long day"
        }
        .to_owned(),
    );
    post.tags = Tags(vec![
        Tag::parse("city").unwrap(),
        Tag::parse("مدينة").unwrap(),
    ]);
    let body = format!("![A crowd](/media/{})\n\n{BODY}", medium.hash.path());
    let hash = medium.hash;
    post.media = vec![medium];
    let long = draft(Says::Post(post), &body);
    let signed = author.sign(&long);
    author.send(demo.address("a"), &signed).unwrap();
    put(demo.address("a"), name, hash, &bytes);
    author.publish(demo, &["a".to_owned()], long);
    author.post(demo, "a", "second", "Short.");
    let page = draft(Says::Page(article("about-me")), "A page.");
    author.say(demo, "a", &page);
}

#[test]
#[ignore = "needs axe-core, which ./test tools brings"]
fn readers_who_do_not_see_well_find_nothing_in_their_way() {
    let axe = axe();
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    publish(&demo, "maria", "en");
    publish(&demo, "mariam", "ar");
    let paths = "/ /march /second /about-me /archive /about /tags/city /none";
    let mut pages: Vec<String> = ["/", "/status", "/search", "/search?q=day", "/none"]
        .iter()
        .map(|path| format!("http://{}:{}{path}", demo.domain, demo.port))
        .collect();
    for blog in ["maria", "mariam"] {
        let host = demo.host(blog);
        pages.extend(
            paths
                .split(' ')
                .map(|path| format!("http://{host}:{}{path}", demo.port)),
        );
    }
    let mut found = Vec::new();
    for (languages, dark, width) in [
        ("en", false, 1280),
        ("ar", true, 390),
        ("en", true, 1280),
        ("ar", false, 390),
    ] {
        let browser = Browser::start(&Options {
            languages,
            dark,
            width,
            ..Options::default()
        });
        let mut look = |page: &str| {
            browser.go(page);
            let moved = browser.run_until_called(MOVED);
            browser.run(&axe);
            let violations = browser.run_until_called(RUN);
            let all = [moved, violations];
            let all = all.iter().flat_map(|found| found.as_array().unwrap());
            found.extend(all.filter_map(Value::as_str).map(|violation| {
                format!("{languages} dark {dark} {width} px {page}: {violation}")
            }));
        };
        pages.iter().for_each(|page| look(page));
        let desk = format!("http://a.spoke.{}:{}/_/desk", demo.domain, demo.port);
        look(&desk);
        sign_in(&browser, &desk);
        for path in [
            "",
            "/blog",
            "/write",
            "/write?draft=none",
            "/find?name=maria",
        ] {
            look(&format!("{desk}{path}"));
        }
    }
    assert!(
        found.is_empty(),
        "{} violations:\n{}",
        found.len(),
        found.join("\n")
    );
    demo.assert_no_panic();
}
