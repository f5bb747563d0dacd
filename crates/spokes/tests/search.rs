//! Whoever looks for words finds the posts that have them, from whichever spoke, in whichever language; what was taken
//! back is found no more; and archives that lie, die or lose their disk change nothing of that.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{fs, path::Path, time::Duration};

use common::{
    author::{Author, article, draft, now},
    demo::Demo,
    http,
    rogue::StandIn,
    wait_for,
};
use serde_json::{Value, json};
use spokes_log::{draft::Says, name::Language};

/// Longer than a post takes to be found on a busy machine; what it takes is measured elsewhere.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longer than a spoke asks of itself that nobody tells, and its files are written anew.
const PATIENCE_FOR_FILES: Duration = Duration::from_secs(60);

/// A language, a title, a text, words that find the post, and words that do not.
type Sample = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// A post in each language, words that find it, and words that do not: 62 questions in 13 languages.
const LANGUAGES: [Sample; 13] = [
    (
        "en",
        "Evening at the old mill",
        "The children gathered walnuts beside the river. Nobody's lamp was lit; it wasn't late.",
        &[
            "walnuts",
            "river mill",
            "lit",
            "OLD MILL",
            "\"beside the river\"",
            "nobody wasn't",
        ],
        &["\"river beside\"", "walnutz tree"],
    ),
    (
        "fr",
        "L’école des fées",
        "À Noël, l'élève a mangé un gâteau très sucré près du théâtre.",
        &["ecole", "ÉLÈVE", "gateau sucre", "l'école"],
        &["\"théâtre du près\""],
    ),
    (
        "de",
        "Die Straße am Fluss",
        "Gestern fuhr der Müller mit seinem Äpfelwagen über die große Brücke.",
        &["strasse", "STRASSE", "Äpfelwagen", "\"große brücke\""],
        &["Apfelbaumwagen"],
    ),
    (
        "es",
        "Mañana en la montaña",
        "El niño corrió detrás de la cigüeña hasta el árbol.",
        &["manana", "cigüeña", "\"hasta el arbol\""],
        &["cigüeñas blancas"],
    ),
    (
        "ru",
        "Ёлка в лесу",
        "Бабушка рассказала внукам сказку о мудром вороне.",
        &["елка", "БАБУШКА", "\"мудром вороне\""],
        &["вороне мудрая"],
    ),
    (
        "el",
        "Ο Σίσυφος",
        "Ο γέρος κοίταζε τη θάλασσα και τους γλάρους.",
        &["σισυφος", "ΘΑΛΑΣΣΑ", "γλάρους"],
        &["γλάρος"],
    ),
    (
        "tr",
        "İstanbul’da kış",
        "Iğdır yolunda kar yağıyordu; çocuklar şarkı söylüyordu.",
        &["istanbul", "ığdır", "sarki"],
        &["ankara"],
    ),
    (
        "ar",
        "الاجتماع في دار البلدية",
        "تحدثت المدرسة عن الكتاب الجديد، وفرح الطُّلَّاب بالمكتبة.",
        &["اجتماع", "كتاب", "الطلاب", "مدرسة"],
        &["مستشفى"],
    ),
    (
        "fa",
        "کتابخانهٔ کوچک",
        "بچه‌ها می‌خواهند درباره‌ی ستاره‌ها بخوانند.",
        &["كتابخانه", "ستاره‌ها", "میخواهند"],
        &["آسمان"],
    ),
    (
        "hi",
        "पुराना पुल",
        "गाँव के लोग हिन्दी में कहानियाँ लिखते हैं।",
        &["हिन्दी", "कहानियाँ", "\"पुराना पुल\""],
        &["हिन्दु"],
    ),
    (
        "zh",
        "古老的图书馆",
        "昨天我们在东京都的公园里看到了很多鸟。",
        &["图书馆", "东京", "公园里", "鸟"],
        &["京东"],
    ),
    (
        "ja",
        "古い市役所での集まり",
        "雨が降っていたので、カタカナの看板を読みました。",
        &["市役所", "集まり", "カタカナ", "看板を読"],
        &["役市所"],
    ),
    (
        "ko",
        "서울의 도서관",
        "어제 친구와 함께 오래된 다리를 건넜습니다.",
        &["도서관", "다리를", "친구"],
        &["부산"],
    ),
];

fn ask(demo: &Demo, label: &str, more: &str) -> Value {
    let path = format!("/api/v1/search?{more}");
    let reply = http::get(demo.address(label), &demo.domain, &path);
    assert_eq!(reply.status, 200, "{more}: {}", reply.text());
    reply.json()
}

fn status(demo: &Demo, label: &str) -> Value {
    demo.api(label, "status").json()
}

fn quoted(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn search(demo: &Demo, label: &str, line: &str) -> Value {
    ask(demo, label, &format!("q={}", quoted(line)))
}

/// What a search found, by where it is read below its blog.
fn slugs(found: &Value) -> Vec<String> {
    let hits = found["hits"].as_array().unwrap().iter();
    let slug = |hit: &Value| {
        hit["url"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned()
    };
    hits.map(slug).collect()
}

fn found(demo: &Demo, label: &str, line: &str) -> Vec<String> {
    slugs(&search(demo, label, line))
}

/// Those that keep the archive.
fn archives(demo: &Demo) -> Vec<String> {
    let all = demo.labels();
    wait_for("the archives answer", PATIENCE, || {
        let inner = demo.api(&all[0], "status").json()["circles"]["inner"].clone();
        let inner: Vec<String> = serde_json::from_value(inner).unwrap();
        let keeps = |label: &String| demo.node(label).data.join("archive/archive.db").exists();
        (inner.len() == 3 && inner.iter().all(keeps)).then_some(inner)
    })
}

/// Waits until each archive finds so many: their indexes follow with half a second of their own.
fn known_to_all(demo: &Demo, keeping: &[String], line: &str, total: usize) {
    for label in keeping {
        wait_for(&format!("{label} finds {line}"), PATIENCE, || {
            let found = demo.api(label, &format!("archive?q={}", quoted(line)));
            (found.status == 200 && found.json()["total"] == total).then_some(())
        });
    }
}

fn in_language(language: &str, slug: &str, title: &str) -> Says {
    let mut article = article(slug);
    (article.title, article.language) = (
        Some(title.to_owned()),
        Some(Language::parse(language).unwrap()),
    );
    Says::Post(article)
}

#[test]
fn posts_are_found_by_their_words_in_every_language_from_every_spoke() {
    let demo = Demo::start_with(5, &["--empty", "--circle", "3"]);
    let all = demo.labels();
    let keeping = archives(&demo);
    let mut maria = Author::with_blog(&demo, "maria", &all[0]);
    for (language, title, body, ..) in LANGUAGES {
        let post = draft(
            in_language(language, &format!("in-{language}"), title),
            body,
        );
        maria.publish(&demo, &all, post);
    }
    known_to_all(&demo, &keeping, "도서관", 1);
    let mut asked = 0;
    for (language, _, _, hits, misses) in LANGUAGES {
        for line in hits.iter().chain(misses) {
            let label = &all[asked % all.len()];
            let wanted = if hits.contains(line) {
                vec![format!("in-{language}")]
            } else {
                vec![]
            };
            assert_eq!(
                found(&demo, label, line),
                wanted,
                "{language}: {line} at {label}"
            );
            asked += 1;
        }
    }
    assert!(asked >= 60, "{asked} questions");
    everything_gets_an_answer(&demo, &all);
    filters_choose(&demo, &mut maria, &all, &keeping);
    people_read_what_was_found(&demo, &all[1]);
    demo.assert_no_panic();
}

/// Whatever is asked.
fn everything_gets_an_answer(demo: &Demo, all: &[String]) {
    for line in [
        "xyzzyx",
        "AND OR NOT",
        "\"",
        "\"\"\"",
        "(((",
        "a:b:c",
        "*",
        "\\",
        "🌻",
        "\u{202e}abc",
        "%00",
        "tag:",
        "blog:nobody-has-this words",
        "after:2999-01-01",
        "lang:zz",
    ] {
        let reply = http::get(
            demo.address(&all[0]),
            &demo.domain,
            &format!("/api/v1/search?q={}", quoted(line)),
        );
        assert!(
            [200, 422].contains(&reply.status),
            "{line}: {}",
            reply.status
        );
        if reply.status == 200 {
            assert_eq!(reply.json()["hits"], json!([]), "{line}");
        }
        let page = http::get(
            demo.address(&all[0]),
            &demo.domain,
            &format!("/search?q={}", quoted(line)),
        );
        assert_eq!(page.status, 200, "{line}");
    }
    let long = "walnuts ".repeat(1_280);
    assert_eq!(found(demo, &all[0], &long), ["in-en"]);
    let page = http::get(
        demo.address(&all[0]),
        &demo.domain,
        &format!("/search?q={}", quoted(&long)),
    );
    assert!(page.text().contains("only the first words were looked for"));
    // A word that is written otherwise.
    assert_eq!(
        search(demo, &all[0], "wallnuts river")["meant"],
        "walnut river"
    );
}

fn filters_choose(demo: &Demo, maria: &mut Author, all: &[String], keeping: &[String]) {
    let mut other = Author::with_blog(demo, "omar", &all[2]);
    let mut tagged = article("tagged");
    tagged.tags = "rust, music".parse_tags();
    tagged.date = now() - 400 * 86_400;
    other.publish(
        demo,
        all,
        draft(Says::Post(tagged), "Walnuts again, and walnuts."),
    );
    let key = maria.key.certificate().fingerprint().clone();
    let both = |line: &str| {
        let mut found = found(demo, &all[3], line);
        found.sort();
        found
    };
    known_to_all(demo, keeping, "walnuts", 2);
    for (line, wanted) in [
        ("walnuts blog:omar", vec!["tagged"]),
        ("walnuts tag:music", vec!["tagged"]),
        ("tag:rust", vec!["tagged"]),
        ("music", vec!["tagged"]),
        ("walnuts lang:en", vec!["in-en", "tagged"]),
        ("lang:fa", vec!["in-fa"]),
        ("walnuts -river", vec!["tagged"]),
        ("walnuts before:2026-01-01", vec!["tagged"]),
        ("walnuts after:2026-01-01", vec!["in-en"]),
        (&*format!("walnuts author:{key}"), vec!["in-en"]),
    ] {
        assert_eq!(both(line), wanted, "{line}");
    }
    let newest = ask(demo, &all[0], "q=walnuts&by=date");
    assert_eq!(slugs(&newest), ["in-en", "tagged"]);
    assert_eq!(
        slugs(&ask(demo, &all[0], "q=walnuts&page=2")),
        Vec::<String>::new()
    );
}

fn people_read_what_was_found(demo: &Demo, label: &str) {
    let get = |path: &str| http::get(demo.address(label), &demo.domain, path);
    let page = get("/search?q=walnuts").text();
    assert!(
        page.contains("<mark>walnuts</mark>") && page.contains("Found: 2 posts."),
        "{page}"
    );
    let arabic = get("/search?q=walnuts&ui=ar").text();
    assert!(arabic.contains("dir=\"rtl\"") && arabic.contains("<mark>walnuts</mark>"));
    let feed = get("/search.atom?q=walnuts");
    assert!(
        feed.text().contains("<feed") && feed.text().matches("<entry").count() == 2,
        "{}",
        feed.text()
    );
    assert!(
        get("/search.json?q=walnuts").json()["items"]
            .as_array()
            .unwrap()
            .len()
            == 2
    );
}

trait ParseTags {
    fn parse_tags(&self) -> spokes_log::name::Tags;
}

impl ParseTags for str {
    fn parse_tags(&self) -> spokes_log::name::Tags {
        let tags = self
            .split(", ")
            .map(|tag| spokes_log::name::Tag::parse(tag).unwrap());
        spokes_log::name::Tags(tags.collect())
    }
}

#[test]
fn what_was_taken_back_is_found_no_more_and_stands_in_no_file() {
    let demo = Demo::start_with(5, &["--empty", "--circle", "3"]);
    let all = demo.labels();
    let keeping = archives(&demo);
    let mut maria = Author::with_blog(&demo, "maria", &all[0]);
    let mut bruno = Author::with_blog(&demo, "bruno", &all[1]);
    bruno.post(&demo, &all[1], "other", "Words that stay, quibblewick.");
    let first = maria.publish(
        &demo,
        &all,
        draft(Says::Post(article("secret")), "My zanzibarine words."),
    );
    let everywhere = |line: &str, wanted: &[&str]| {
        for label in &all {
            wait_for(&format!("{line} at {label}"), PATIENCE, || {
                (found(&demo, label, line) == wanted).then_some(())
            });
        }
    };
    everywhere("zanzibarine", &["secret"]);
    // An edit: what it said before is in no search.
    let mut edit = article("secret");
    edit.replaces = Some(first.id());
    let second = maria.publish(
        &demo,
        &all,
        draft(Says::Post(edit), "My gallimaufrous words."),
    );
    everywhere("gallimaufrous", &["secret"]);
    everywhere("zanzibarine", &[]);
    // One sleeps while it is taken back.
    let asleep = &keeping[0];
    demo.pause(asleep);
    let awake: Vec<String> = all
        .iter()
        .filter(|label| *label != asleep)
        .cloned()
        .collect();
    maria.publish(
        &demo,
        &awake,
        draft(
            Says::Erase {
                erases: vec![first.id(), second.id()],
            },
            "",
        ),
    );
    for label in &awake {
        wait_for("it is gone", PATIENCE, || {
            found(&demo, label, "gallimaufrous")
                .is_empty()
                .then_some(())
        });
    }
    demo.resume(asleep);
    everywhere("gallimaufrous", &[]);
    everywhere("quibblewick", &["other"]);
    for (label, word) in all
        .iter()
        .flat_map(|label| [(label, "zanzibarine"), (label, "gallimaufrous")])
    {
        let data = demo.node(label).data;
        let what = format!("{word} is in no file of {label}");
        wait_for(&what, PATIENCE_FOR_FILES, || {
            (!stands_in(&data, word.as_bytes())).then_some(())
        });
    }
    assert!(stands_in(&demo.node(asleep).data, b"quibblewick"));
    demo.assert_no_panic();
}

/// Whether some file below a directory has these bytes.
fn stands_in(dir: &Path, word: &[u8]) -> bool {
    let Ok(entries) = fs::read_dir(dir) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return stands_in(&path, word);
        }
        let bytes = fs::read(&path).unwrap_or_default();
        bytes.windows(word.len()).any(|window| window == word)
    })
}

#[test]
fn an_archive_that_is_killed_or_loses_its_files_has_all_of_it_again() {
    let demo = Demo::start_with(5, &["--empty", "--circle", "3"]);
    let all = demo.labels();
    let keeping = archives(&demo);
    let mut maria = Author::with_blog(&demo, "maria", &all[0]);
    let victim = &keeping[1];
    let living: Vec<String> = all
        .iter()
        .filter(|label| *label != victim)
        .cloned()
        .collect();
    for turn in 0..30 {
        if turn == 10 {
            demo.kill(victim);
        }
        let post = draft(
            Says::Post(article(&format!("post-{turn}"))),
            "A common word.",
        );
        maria.publish(&demo, if turn < 10 { &all } else { &living }, post);
        if turn == 20 {
            demo.restart(victim);
        }
    }
    // What this one has, asked as other spokes ask it.
    let has = |line: &str| {
        let path = format!("archive?q={line}");
        let found = demo.api(victim, &path);
        (found.status == 200).then(|| found.json()["total"].as_u64().unwrap())
    };
    wait_for("all 30 once each", PATIENCE, || {
        (has("common") == Some(30)).then_some(())
    });
    let index = demo.node(victim).data.join("archive/index");
    demo.kill(victim);
    fs::remove_dir_all(&index).unwrap();
    demo.restart(victim);
    wait_for("all again without index", PATIENCE, || {
        (has("common") == Some(30)).then_some(())
    });
    demo.kill(victim);
    for file in fs::read_dir(&index).unwrap().flatten() {
        fs::write(file.path(), b"nonsense").unwrap();
    }
    demo.restart(victim);
    wait_for("all again behind an index of nonsense", PATIENCE, || {
        (has("common") == Some(30)).then_some(())
    });
    a_row_that_was_altered_is_mended(&demo, victim);
    demo.kill(victim);
    fs::remove_dir_all(demo.node(victim).data.join("archive")).unwrap();
    demo.restart(victim);
    wait_for("all again without archive", PATIENCE, || {
        // Who was dead for too long has given its place to another, and begins no archive.
        let known = status(&demo, victim)["circles"]["inner"].clone();
        let inner: Vec<String> = serde_json::from_value(known).unwrap();
        (has("common") == Some(30) || !inner.contains(victim)).then_some(())
    });
    demo.assert_no_panic();
}

/// While the node runs: nobody reads what its author did not sign, and the row is what it was before.
fn a_row_that_was_altered_is_mended(demo: &Demo, victim: &str) {
    let path = demo.node(victim).data.join("archive/archive.db");
    let database = rusqlite::Connection::open(path).unwrap();
    database.busy_timeout(PATIENCE).unwrap();
    let alter = "UPDATE entry SET text = replace(text, 'common', 'forged') WHERE sequence = 7";
    assert_eq!(database.execute(alter, []).unwrap(), 1);
    let shown = || {
        let found = demo.api(victim, "archive?q=common").json();
        assert!(!found.to_string().contains("forged"));
        // The first page comes with five of the next one before and behind it.
        (found["hits"].as_array().map(Vec::len) == Some(30)).then_some(())
    };
    wait_for("the altered row is mended", PATIENCE, shown);
}

/// What one archive of several says instead of the truth, and nobody is led astray by it.
fn an_archive_that_says(demo: &Demo, one: &str, through: &[String], true_words: [Value; 2]) {
    let [apples, altered] = true_words;
    let lies = [
        json!({ "total": 0, "posts": 0, "order": [], "hits": [] }),
        // Signed words, but other ones than were looked for.
        apples,
        altered,
        json!({ "total": u64::MAX, "posts": 1, "meant": "<script>", "order": [], "hits": [] }),
    ];
    for lie in lies {
        let bytes = lie.to_string().into_bytes();
        let liar = StandIn::in_place_of(demo, one, move |path| {
            path.starts_with("/api/v1/archive").then(|| bytes.clone())
        });
        for label in through {
            let truth = search(demo, label, "turnips");
            assert_eq!(slugs(&truth), ["one"], "{label}: {lie}");
            assert_eq!(
                (&truth["total"], &truth["more"], &truth["meant"]),
                (&json!(1), &json!(false), &Value::Null),
                "{label}: {lie}"
            );
            assert!(found(demo, label, "shortage").is_empty(), "{label}: {lie}");
        }
        drop(liar);
        demo.restart(one);
    }
}

#[test]
fn an_archive_that_lies_hides_nothing_and_shows_nothing_of_its_own() {
    let demo = Demo::start_with(6, &["--empty", "--circle", "3"]);
    let all = demo.labels();
    let mut keeping = archives(&demo);
    let mut maria = Author::with_blog(&demo, "maria", &all[0]);
    // One to whom she does not write: what takes her words in its place says that there is no such blog.
    let primary = demo.api(&all[0], "blogs/maria").json()["primary"].clone();
    keeping.sort_by_key(|label| primary == label.as_str());
    let through: Vec<String> = all
        .iter()
        .filter(|label| **label != keeping[0])
        .cloned()
        .collect();
    let one = maria.publish(
        &demo,
        &all,
        draft(Says::Post(article("one")), "A harvest of turnips."),
    );
    maria.publish(
        &demo,
        &all,
        draft(Says::Post(article("two")), "Another story of apples."),
    );
    for label in &all {
        wait_for("it is found", PATIENCE, || {
            (found(&demo, label, "turnips").len() == 1).then_some(())
        });
    }
    // So that whichever is asked beside the liar knows better.
    known_to_all(&demo, &keeping, "turnips", 1);
    known_to_all(&demo, &keeping, "apples", 1);
    let archive = |line: &str| demo.api(&keeping[0], &format!("archive?q={line}")).json();
    let (turnips, apples) = (archive("turnips"), archive("apples"));
    let mut altered = turnips.clone();
    for entry in altered["hits"][0]["proof"].as_array_mut().unwrap() {
        let text = entry["text"]
            .as_str()
            .unwrap()
            .replace("harvest", "shortage");
        entry["text"] = text.into();
    }
    an_archive_that_says(&demo, &keeping[0], &through, [apples, altered]);
    // What it had once, for ever.
    let bytes = turnips.to_string().into_bytes();
    let liar = StandIn::in_place_of(&demo, &keeping[0], move |path| {
        path.starts_with("/api/v1/archive").then(|| bytes.clone())
    });
    let erases = vec![one.id()];
    maria.publish(&demo, &through, draft(Says::Erase { erases }, ""));
    for label in &through {
        wait_for("it is gone whatever one shows", PATIENCE, || {
            found(&demo, label, "turnips").is_empty().then_some(())
        });
    }
    drop(liar);
    demo.restart(&keeping[0]);
    let said = |label: &String| demo.api(label, "status").json()["noticed"].clone();
    let invents = |notice: &Value| notice["about"] == keeping[0] && notice["what"] == "invents";
    let names = |label: &String| said(label).as_array().unwrap().iter().any(invents);
    assert!(through.iter().any(names), "nobody says that it invents");
    // Nobody answers: what is here is searched, and the page says so.
    for label in &keeping {
        demo.kill(label);
    }
    let label = all.iter().find(|label| !keeping.contains(label)).unwrap();
    let page = http::get(demo.address(label), &demo.domain, "/search?q=apples").text();
    assert!(
        page.contains("None of the servers that keep all posts answered"),
        "{page}"
    );
    demo.assert_no_panic();
}
