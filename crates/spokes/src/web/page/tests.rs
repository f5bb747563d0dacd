mod weight;

use std::path::PathBuf;

use super::*;
use crate::{
    render::{Links, article, summary},
    web::{
        blog::ARCHIVE_POSTS,
        front::{CircleLines, NoticeLine, Noticed, SpokeState},
        words::Tongue,
    },
};

const NASTY: &str = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time in a test")
}

fn network() -> Network {
    Network {
        domain: "blogs.example.org".to_owned(),
        origin: "https://blogs.example.org".to_owned(),
        spoke: "oak".to_owned(),
        operator: "Group B".to_owned(),
    }
}

fn blog() -> Blog {
    Blog {
        name: "maria".to_owned(),
        origin: "https://maria.blogs.example.org".to_owned(),
        title: "Notes from the harbor".to_owned(),
        description: "What the tide brings, and what we make of it.".to_owned(),
        language: "en".to_owned(),
        author: "Maria".to_owned(),
        fingerprint: "8E06ECDF0123456789ABCDEF0123456789ABCDEF".to_owned(),
        primary: "oak".to_owned(),
        replicas: ["oak", "elm", "ash"].map(str::to_owned).to_vec(),
        pages: vec![Neighbor {
            slug: "about".to_owned(),
            title: "About".to_owned(),
            language: String::new(),
        }],
        waits: Vec::new(),
        late: false,
        may_lack_after: None,
    }
}

fn line(slug: &str, title: &str, language: &str, date: &str, text: &str) -> PostLine {
    PostLine {
        slug: slug.to_owned(),
        title: title.to_owned(),
        language: language.to_owned(),
        date: time(date),
        excerpt: summary(text, 220),
        picture: None,
    }
}

fn lines() -> Vec<PostLine> {
    vec![
        line(
            "2026/11/the-meeting",
            "The meeting in the old town hall",
            "en",
            "2026-11-23T14:05:00Z",
            ENGLISH,
        ),
        line(
            "الاجتماع",
            "الاجتماع في دار البلدية القديمة",
            "ar",
            "2026-11-20T09:00:00Z",
            ARABIC,
        ),
        line(
            "会議",
            "古い市役所での集まり",
            "ja",
            "2026-03-02T09:00:00Z",
            JAPANESE,
        ),
        line(
            "बैठक",
            "पुराने टाउन हॉल में बैठक",
            "hi",
            "2025-12-24T09:00:00Z",
            HINDI,
        ),
        line("untitled.1", "", "en", "2025-01-01T09:00:00Z", ""),
    ]
}

fn post_view(language: &str, title: &str, text: &str) -> PostView {
    PostView {
        network: network(),
        blog: blog(),
        slug: "2026/11/the meeting".to_owned(),
        title: title.to_owned(),
        language: language.to_owned(),
        date: Some(time("2026-11-23T14:05:00Z")),
        edited: Some(time("2026-11-24T08:00:00Z")),
        tags: ["harbor", "الميناء", "C++ & co?"]
            .map(str::to_owned)
            .to_vec(),
        excerpt: summary(text, 160),
        html: article(text, &Links::here()),
        image: None,
        copies: 3,
        signers: Vec::new(),
        newer: None,
        older: Some(Neighbor {
            slug: "الاجتماع".to_owned(),
            title: "الاجتماع في دار البلدية القديمة".to_owned(),
            language: "ar".to_owned(),
        }),
    }
}

fn arabic_blog() -> Blog {
    Blog {
        title: "دفتر الميناء".to_owned(),
        description: "ما يحمله المد إلينا".to_owned(),
        language: "ar".to_owned(),
        author: "مريم".to_owned(),
        pages: Vec::new(),
        ..blog()
    }
}

/// Every page once, with ordinary words.
fn samples() -> Vec<(&'static str, String)> {
    [
        list_samples(),
        post_samples(),
        trust_samples(),
        error_samples(),
    ]
    .concat()
}

fn front_view() -> FrontView {
    let headline = |post: PostLine| Headline {
        post,
        blog_origin: "https://maria.blogs.example.org".to_owned(),
        blog_title: "Notes from the harbor".to_owned(),
        blog_language: "en".to_owned(),
    };
    FrontView {
        network: network(),
        latest: lines().into_iter().map(headline).collect(),
        languages: ["ar", "en", "hi", "ja"].map(str::to_owned).to_vec(),
        only: None,
        blogs: 1208,
        spokes: 52,
        groups: 31,
        age_seconds: 5,
        is_gathering: false,
        start_command:
            "spokes blog create NAME --network http://blogs.example.org --key FINGERPRINT"
                .to_owned(),
        tongue: Tongue::English,
        says_tongue: false,
    }
}

fn list_samples() -> Vec<(&'static str, String)> {
    let front_view = front_view();
    let arabic_front = FrontView {
        only: Some("ar".to_owned()),
        tongue: Tongue::Arabic,
        says_tongue: true,
        ..front_view.clone()
    };
    let view = BlogView {
        network: network(),
        blog: blog(),
        posts: lines(),
        path: "/?page=2".to_owned(),
        newer: Some("/".to_owned()),
        older: Some("/?page=3".to_owned()),
    };
    let arabic = BlogView {
        blog: arabic_blog(),
        path: "/".to_owned(),
        newer: None,
        ..view.clone()
    };
    let tagged = TagView {
        tag: "C++ & co?".to_owned(),
        list: view.clone(),
    };
    let all = ArchiveView {
        network: network(),
        blog: blog(),
        posts: lines(),
        years: [("2026", 3), ("2025", 2)]
            .map(|(year, posts)| (year.to_owned(), posts))
            .to_vec(),
        only: None,
        below: None,
        newer: None,
        older: None,
    };
    let all_arabic = ArchiveView {
        blog: arabic_blog(),
        ..all.clone()
    };
    vec![
        ("front", front(&front_view)),
        ("front-arabic", front(&arabic_front)),
        ("blog", blog_index(&view)),
        ("blog-arabic", blog_index(&arabic)),
        ("tag", tag(&tagged)),
        ("archive", archive(&all)),
        ("archive-arabic", archive(&all_arabic)),
    ]
}

fn post_samples() -> Vec<(&'static str, String)> {
    let arabic = post_view("ar", "الاجتماع في دار البلدية القديمة", ARABIC);
    let arabic = PostView {
        blog: arabic_blog(),
        ..arabic
    };
    let troubled = Blog {
        late: true,
        may_lack_after: Some(7),
        ..blog()
    };
    let late = PostView {
        blog: troubled,
        ..post_view("en", "The meeting", ENGLISH)
    };
    let english = post_view("en", "The meeting in the old town hall", ENGLISH);
    let japanese = post_view("ja", "古い市役所での集まり", JAPANESE);
    let hindi = post_view("hi", "पुराने टाउन हॉल में बैठक", HINDI);
    vec![
        ("post", post(&english)),
        ("post-arabic", post(&arabic)),
        ("post-japanese", post(&japanese)),
        ("post-hindi", post(&hindi)),
        ("post-late", post(&late)),
    ]
}

fn about_view() -> AboutView {
    let member = |label: &str, has_newest| Member {
        label: label.to_owned(),
        operator: format!("Group of {label}"),
        has_newest,
    };
    AboutView {
        network: network(),
        blog: blog(),
        members: vec![
            member("oak", true),
            member("elm", true),
            member("ash", false),
        ],
        since: time("2026-11-01T00:00:00Z"),
        epoch: 2,
        newest: Some(41),
        is_safe: true,
        user_id: "Maria <maria@example.org>".to_owned(),
        example: Some("/2026/11/the-meeting".to_owned()),
    }
}

fn search_samples() -> [SearchView; 2] {
    let found = SearchView {
        network: network(),
        query: "tea & the \"harbor\"".to_owned(),
        has_words: true,
        is_cut: true,
        odd: vec!["lang:x".to_owned()],
        newest: false,
        page: 2,
        more: true,
        total: 1_234,
        is_at_least: false,
        meant: Some("tee".to_owned()),
        found: Vec::new(),
        answered: vec!["oak".to_owned()],
        is_partial: true,
        blogs: 3,
        cut_after: Some(20_000),
        tongue: Tongue::English,
        says_tongue: false,
    };
    let form = SearchView {
        query: String::new(),
        has_words: false,
        cut_after: None,
        tongue: Tongue::Arabic,
        ..found.clone()
    };
    [found, form]
}

fn trust_samples() -> Vec<(&'static str, String)> {
    let english = about_view();
    let arabic = AboutView {
        blog: arabic_blog(),
        ..about_view()
    };
    let [found, form] = search_samples();
    let since = time("2026-11-01T00:00:00Z");
    let spoke = |label: &str, state| SpokeLine {
        label: label.to_owned(),
        operator: format!("Group of {label}"),
        state,
        blogs: 1_208,
    };
    let known = StatusView {
        network: network(),
        id: format!("sha256:{}", "0123456789abcdef".repeat(4)),
        spokes: vec![
            spoke("oak", SpokeState::Admitted(since)),
            spoke("elm", SpokeState::Applied(since)),
            spoke("yew", SpokeState::Silent(since)),
            spoke("fir", SpokeState::Leaving(since)),
            spoke("ash", SpokeState::Evicted(since)),
        ],
        blogs: 1_208,
        records: 12_345,
        entries: 98_765,
        mended: 0,
        started: since,
        age_seconds: 5,
        circles: CircleLines {
            levels: 1,
            circle: vec!["a".to_owned(), "b".to_owned()],
            aggregators: vec!["a".to_owned()],
            inner: vec!["b".to_owned()],
        },
        noticed: vec![NoticeLine {
            spoke: "b".to_owned(),
            what: Noticed::LeavesOut,
            blog: "maria".to_owned(),
            last: since,
        }],
        tongue: Tongue::English,
        says_tongue: false,
    };
    let known_arabic = StatusView {
        tongue: Tongue::Arabic,
        ..known.clone()
    };
    vec![
        ("about", about(&english)),
        ("about-arabic", about(&arabic)),
        ("search-found", search(&found)),
        ("search-arabic", search(&form)),
        ("status", status(&known)),
        ("status-arabic", status(&known_arabic)),
    ]
}

fn error_samples() -> Vec<(&'static str, String)> {
    let busy = ErrorView {
        network: network(),
        blog: None,
        message: Message::busy(Tongue::English, 5),
    };
    vec![
        (
            "missing",
            not_found(&network(), Some(&blog()), false, Tongue::English),
        ),
        (
            "missing-late",
            not_found(&network(), Some(&blog()), true, Tongue::English),
        ),
        (
            "missing-apex",
            not_found(&network(), None, false, Tongue::English),
        ),
        ("busy", error(&busy)),
    ]
}

/// Asserts what every page promises: balanced tags, one h1, no script, no style, unique ids.
fn assert_page(name: &str, page: &str) {
    const VOID: [&str; 7] = ["meta", "link", "br", "hr", "img", "wbr", "input"];
    assert!(page.starts_with("<!DOCTYPE html><html lang="), "{name}");
    let mut open = Vec::new();
    for piece in page.split('<').skip(2) {
        let (tag, _) = piece.split_once('>').expect("every tag ends");
        if let Some(tag) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(tag), "{name} near {piece:?}");
            continue;
        }
        let element = tag.split(' ').next().unwrap_or_default();
        assert!(
            !["style", "iframe", "object", "base"].contains(&element),
            "{name}: {tag}"
        );
        // A block of data, which does not run.
        let is_data = tag == "script type=\"application/ld+json\"";
        assert!(is_data || element != "script", "{name}: {tag}");
        let names = tag.split('"').step_by(2);
        for attribute in names.map(|attribute| attribute.trim_start()) {
            assert!(
                !attribute.starts_with("style=") && !attribute.starts_with("on"),
                "{name}: {tag}"
            );
        }
        if !VOID.contains(&element) {
            open.push(element);
        }
    }
    assert!(open.is_empty(), "{name}");
    assert_eq!(page.matches("<h1").count(), 1, "{name}");
    assert_eq!(page.matches("<main").count(), 1, "{name}");
    let mut ids: Vec<&str> = page
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "{name}: an id twice");
    assert!(
        page.contains("href=\"#content\"") && ids.contains(&"content"),
        "{name}"
    );
}

#[test]
fn every_page_keeps_its_promises() {
    for (name, page) in samples() {
        assert_page(name, &page);
    }
}

fn nasty() -> String {
    NASTY.to_owned()
}

fn nasty_neighbor() -> Neighbor {
    Neighbor {
        slug: nasty(),
        title: nasty(),
        language: nasty(),
    }
}

fn nasty_blog() -> Blog {
    Blog {
        name: nasty(),
        origin: nasty(),
        title: nasty(),
        description: nasty(),
        language: nasty(),
        author: nasty(),
        fingerprint: nasty(),
        primary: nasty(),
        replicas: vec![nasty(), nasty()],
        pages: vec![nasty_neighbor()],
        ..blog()
    }
}

fn nasty_network() -> Network {
    Network {
        domain: nasty(),
        origin: nasty(),
        spoke: nasty(),
        operator: nasty(),
    }
}

fn nasty_list() -> BlogView {
    BlogView {
        network: nasty_network(),
        blog: nasty_blog(),
        posts: vec![line(NASTY, NASTY, NASTY, "2026-11-23T14:05:00Z", "")],
        path: nasty(),
        newer: Some(nasty()),
        older: Some(nasty()),
    }
}

#[test]
fn strangers_words_stay_words_in_posts() {
    let view = PostView {
        network: nasty_network(),
        blog: nasty_blog(),
        slug: nasty(),
        tags: vec![nasty()],
        excerpt: nasty(),
        signers: vec![nasty()],
        newer: Some(nasty_neighbor()),
        image: Some(Image {
            address: nasty(),
            alt: nasty(),
        }),
        ..post_view(NASTY, NASTY, NASTY)
    };
    assert_page("post", &post(&view));
    let member = Member {
        label: nasty(),
        operator: nasty(),
        has_newest: true,
    };
    let trusted = AboutView {
        network: nasty_network(),
        blog: nasty_blog(),
        members: vec![member],
        user_id: nasty(),
        example: Some(nasty()),
        ..about_view()
    };
    assert_page("about", &about(&trusted));
    let wrong = ErrorView {
        network: nasty_network(),
        blog: Some(nasty_blog()),
        message: Message::bad_request(Tongue::English, NASTY),
    };
    assert_page("error", &error(&wrong));
}

#[test]
fn strangers_words_stay_words_in_lists() {
    assert_page("blog", &blog_index(&nasty_list()));
    let tagged = TagView {
        tag: nasty(),
        list: nasty_list(),
    };
    assert_page("tag", &tag(&tagged));
    let all = ArchiveView {
        network: nasty_network(),
        blog: nasty_blog(),
        posts: nasty_list().posts,
        years: vec![(nasty(), 1), (nasty(), 2)],
        only: Some(nasty()),
        below: None,
        newer: Some(nasty()),
        older: Some(nasty()),
    };
    assert_page("archive", &archive(&all));
    let searched = SearchView {
        network: nasty_network(),
        query: nasty(),
        has_words: true,
        is_cut: false,
        odd: vec![nasty()],
        newest: true,
        page: 1,
        more: true,
        total: 1,
        is_at_least: false,
        meant: Some(nasty()),
        found: vec![SearchHit {
            headline: Headline {
                post: nasty_list().posts.remove(0),
                blog_origin: nasty(),
                blog_title: nasty(),
                blog_language: nasty(),
            },
            snippet: vec![(nasty(), false), (nasty(), true)],
        }],
        answered: vec![nasty()],
        is_partial: false,
        blogs: 1,
        cut_after: None,
        tongue: Tongue::English,
        says_tongue: true,
    };
    assert_page("search", &search(&searched));
}

#[test]
fn a_post_says_where_it_is_and_how_to_check_it() {
    let page = post(&post_view("en", "The meeting", ENGLISH));
    for words in [
        "<html lang=\"en\" dir=\"ltr\">",
        "<link rel=\"canonical\" href=\"https://maria.blogs.example.org/2026/11/the%20meeting\">",
        "Kept by <bdi>oak</bdi>, <bdi>elm</bdi> and <bdi>ash</bdi>, each with a full copy; the author writes to <bdi>oak</bdi>.",
        "This post is on 3 servers.",
        "8E06 ECDF 0123 4567 89AB CDEF 0123 4567 89AB CDEF",
        "href=\"/2026/11/the%20meeting.txt\"",
        "curl https://maria.blogs.example.org/key.asc | gpg --import",
        "curl https://maria.blogs.example.org/2026/11/the%20meeting.asc | gpg --verify",
        "href=\"/tags/C%2B%2B%20%26%20co%3F\"",
    ] {
        assert!(page.contains(words), "{words} in {page}");
    }
}

#[test]
fn a_menu_of_many_pages_shows_five() {
    let shown = |pages: usize, title: &str| {
        let page = |number: usize| Neighbor {
            slug: format!("page-{number}"),
            title: format!("{title} {number}"),
            language: String::new(),
        };
        let pages = (1..=pages).map(page).collect();
        let blog = Blog { pages, ..blog() };
        let view = post_view("en", "The meeting", ENGLISH);
        let html = post(&PostView { blog, ..view });
        let (_, menu) = html.split_once("<nav aria-label=\"Blog\"").expect("a menu");
        let (menu, _) = menu.split_once("</nav>").expect("a menu ends");
        let (first, others) = menu.split_once("<details>").unwrap_or((menu, ""));
        let count = |html: &str| html.matches("href=\"/page-").count();
        (count(first), count(others))
    };
    assert_eq!(shown(5, "Page"), (5, 0));
    assert_eq!(shown(19, "Page"), (5, 14));
    // With titles of 24 letters two take the two lines of a phone.
    assert_eq!(shown(5, "All that can be said of"), (1, 4));
    assert_eq!(shown(5, "What can be said of it"), (2, 3));
}

#[test]
fn a_language_without_latest_posts_is_said_and_left_again() {
    let hindi = front(&FrontView {
        latest: Vec::new(),
        languages: vec!["ar".to_owned(), "en".to_owned()],
        only: Some("hi".to_owned()),
        ..front_view()
    });
    for words in [
        "aria-current=\"page\" lang=\"hi\" dir=\"ltr\">हिन्दी</a>",
        "nothing among the latest posts in this language",
        "<a href=\"/\">Show the latest posts in all languages</a>",
        "content=\"noindex\"",
    ] {
        assert!(hindi.contains(words), "{words} in {hindi}");
    }
}

#[test]
fn authors_who_return_find_their_desk() {
    let door =
        "href=\"https://oak.spoke.blogs.example.org/_/desk?ui=en\" rel=\"nofollow\">Your desk</a>";
    assert!(front(&front_view()).contains(door));
    let post = post(&post_view("en", "The meeting", ENGLISH));
    assert!(post.contains("<a href=\"/_/desk\" rel=\"nofollow\">Write</a>"));
}

#[test]
fn words_bear_their_language_and_direction() {
    let page = post(&PostView {
        language: String::new(),
        blog: arabic_blog(),
        ..post_view("", "", ARABIC)
    });
    assert!(page.contains("<html lang=\"ar\" dir=\"rtl\">"));
    let list = blog_index(&BlogView {
        network: network(),
        blog: blog(),
        posts: lines(),
        path: "/".to_owned(),
        newer: None,
        older: None,
    });
    assert!(list.contains("<html lang=\"en\" dir=\"ltr\">"));
    assert!(
        list.contains("<div lang=\"ar\" dir=\"rtl\"><h2><a class=\"u-url p-name\" href=\"/%D8%A7")
    );
}

#[test]
fn paths_hold_any_slug() {
    assert_eq!(path("2015/05/15/Rust-1.0"), "/2015/05/15/Rust-1.0");
    assert_eq!(path("é"), "/%C3%A9");
    assert_eq!(path("a b?c#d%e"), "/a%20b%3Fc%23d%25e");
    assert_eq!(tag_path("a/b"), "/tags/a%2Fb");
}

#[test]
fn the_style_is_sent_without_what_only_we_read() {
    let compact = compact_style();
    assert!(!compact.contains("/*") && !compact.contains("*/") && !compact.contains("\n\n"));
    let rules = |text: &str| text.matches(['{', '}', ';']).count();
    let comments = STYLE.split("/*").skip(1);
    let in_comments: usize = comments
        .filter_map(|rest| rest.split_once("*/"))
        .map(|(comment, _)| rules(comment))
        .sum();
    assert_eq!(rules(&compact), rules(STYLE) - in_comments);
    for whole in [
        ".desk label code{",
        "(prefers-color-scheme:dark){",
        "content:\" (\" attr(href) \")\";",
    ] {
        assert!(compact.contains(whole), "{whole} in {compact}");
    }
}

/// With its style, the longest page of an archive.
#[test]
#[ignore = "makes sample pages to look at"]
fn sample_pages() {
    let folder = std::env::var("SAMPLE_PAGES").expect("SAMPLE_PAGES names a folder");
    let folder = PathBuf::from(folder);
    std::fs::write(folder.join("style.css"), STYLE).expect("the folder can be written");
    std::fs::write(folder.join("icon.svg"), ICON).expect("the folder can be written");
    for (name, page) in samples() {
        let page = page.replace(&format!("\"{STYLE_PATH}\""), "\"style.css\"");
        let page = page.replace(&format!("\"{ICON_PATH}\""), "\"icon.svg\"");
        std::fs::write(folder.join(format!("{name}.html")), page)
            .expect("the folder can be written");
    }
}

const ENGLISH: &str = r#"
Forty of us came, and the heating did not. By nine we had agreed on **three things**, which is *two more* than last time.[^1]

# What we agreed

1. The harbor office keeps its opening hours.
2. We ask [the council](https://example.org/council) for the minutes, and read them [ourselves](/2026/10/minutes).
3. Tea is free.
   - with milk
   - without

> A meeting that ends on time has already done something.

## The numbers

| Where | Came | Stayed to the end |
|:------|-----:|:-----------------:|
| Town hall | 40 | 31 |
| Harbor | 12 | 12 |

- [x] Write to the office
- [ ] Fix the heating

```
$ curl https://maria.blogs.example.org/key.asc | gpg --import --with-a-line-that-is-far-too-long-for-a-telephone
```

Here is a picture from elsewhere: ![the hall at night](https://example.org/hall.jpg). Run `make tea` first.

[^1]: We keep count. It helps with the tea.
"#;

const ARABIC: &str = r#"
حضر أربعون منا ولم تحضر التدفئة. وبحلول التاسعة كنا قد اتفقنا على **ثلاثة أمور**، أي أكثر *بأمرين* من المرة السابقة.[^1]

# ما اتفقنا عليه

1. يحافظ مكتب الميناء على ساعات عمله.
2. نطلب من [المجلس](https://example.org/council) المحاضر ثم نقرؤها بأنفسنا. نفذ `spokes post` أولا.

> الاجتماع الذي ينتهي في موعده قد أنجز شيئا.

| المكان | الحضور |
|--------|-------:|
| دار البلدية | 40 |

```
curl https://maria.blogs.example.org/key.asc
```

[^1]: نحن نعد الحاضرين.
"#;

const JAPANESE: &str = r#"
四十人が集まりましたが、暖房は来ませんでした。九時までに**三つのこと**を決めました。前回より*二つ*多いのです。

# 決めたこと

- 港の事務所は開館時間を守ります。
- 議事録を求め、[自分たちで](/minutes)読みます。
"#;

const HINDI: &str = r#"
हम चालीस लोग आए, हीटिंग नहीं आई। नौ बजे तक हमने **तीन बातें** तय कर लीं, जो पिछली बार से *दो ज़्यादा* हैं।

# जो तय हुआ

- बंदरगाह का दफ़्तर अपने समय पर खुलेगा।
- हम कार्यवाही माँगेंगे और [ख़ुद](/minutes) पढ़ेंगे।
"#;
