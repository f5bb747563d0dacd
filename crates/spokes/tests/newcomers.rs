//! Newcomers at the writing desk: older files that are signed by mistake, pictures that are chosen and not
//! added, words that are not saved yet, and keys that nobody should paste.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::time::Duration;

use common::{
    author::Author,
    demo::Demo,
    desk::{PNG, Visitor, assert_refused, assert_says},
    gpg::Gpg,
    http::Reply,
    wait_for,
};

#[test]
fn an_older_file_publishes_nothing_and_takes_no_draft_along() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let desk = Visitor::with_blog(&demo, &mut maria);
    let text = |draft: &str| desk.get(&format!("/text/{draft}.txt"));
    let file = |reply: &Reply| {
        let said = reply.header("content-disposition").unwrap().to_owned();
        said.split('"').nth(1).unwrap().to_owned()
    };
    let typed = |title, body| [("blog", "maria"), ("title", title), ("body", body)];
    let (_, first) = desk.write("sign", &typed("Our meeting/it's & $HOME", "We were nine."));
    let first_text = text(&first);
    let old = maria.clearsign(&first_text.text());
    let published = desk.publish(&first, &old);
    let to = published.header("location").unwrap();
    let page = desk.get(to.strip_prefix("/_/desk").unwrap());
    assert_says(&page, 200, &["/_/desk/write?blog=maria&amp;edit=sha256-"]);
    let (_, second) = desk.write("sign", &typed("The dog", "It barked at us."));
    let second_text = text(&second);
    // Each text has a file of its own, in words that a shell leaves alone.
    let names = [file(&first_text), file(&second_text)];
    assert!(names[0].starts_with("maria-our-meeting"), "{names:?}");
    for name in &names {
        let plain = name.strip_suffix(".txt").unwrap();
        assert!(
            plain
                .bytes()
                .all(|b| b == b'-' || b.is_ascii_alphanumeric())
        );
        assert!(name.len() <= 60, "{name}");
    }
    let sign = desk.get(&format!("/sign?draft={second}")).text();
    assert!(sign.contains(&format!(" {}</code>", names[1])), "{sign}");

    // She signs the first file again: it is published, as every reader knows, and her words are not.
    let refused = desk.publish(&second, &old);
    let sentences = [
        "You signed another text",
        "Our meeting/it's &amp; $HOME",
        "Nothing was published, and your draft is kept",
        &names[1],
        "(1)",
    ];
    assert_says(&refused, 409, &sentences);
    let kept = desk.get(&format!("/write?draft={second}"));
    assert_says(&kept, 200, &["It barked at us."]);

    // Nor does the text of a draft that was changed since stand for what it says now.
    let before = maria.clearsign(&second_text.text());
    let mut changed = typed("The dog", "It sang to us.").to_vec();
    changed.push(("draft", &second));
    desk.write("save", &changed);
    let sentences = [
        "changed meanwhile",
        "Nothing was published",
        "It sang to us.",
    ];
    assert_says(&desk.publish(&second, &before), 409, &sentences);
    desk.write("sign", &changed);
    let other = text(&second);
    assert_ne!(file(&other), names[1]);
    assert_says(
        &desk.publish(&second, &before),
        409,
        &["You signed another text"],
    );
    let signed = maria.clearsign(&other.text());
    assert_eq!(desk.publish(&second, &signed).status, 303);
    assert_eq!(desk.get(&format!("/write?draft={second}")).status, 404);
    let post = wait_for("the post is there", Duration::from_secs(10), || {
        let reply = demo.http("a", "maria", "/the-dog");
        (reply.status == 200).then(|| reply.text())
    });
    assert!(post.contains("It sang to us."), "{post}");
    demo.assert_no_panic();
}

#[test]
fn an_older_file_asks_for_no_other_name() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Visitor::new(&demo);
    maria.sign_in();
    let key = maria.form_key();
    let ask = |name| {
        let form = [("form", key.as_str()), ("name", name), ("language", "en")];
        let page = maria.post("/blog", &form).text();
        let (_, rest) = page.split_once("/asked/").unwrap();
        let id = rest.split('.').next().unwrap().to_owned();
        let text = maria.get(&format!("/asked/{id}.txt")).text();
        (id, maria.gpg.clearsign(&text))
    };
    let (_, old) = ask("mistyped");
    let (id, right) = ask("maria");
    let send = |answer: &str| {
        let form = [
            ("form", key.as_str()),
            ("name", "maria"),
            ("language", "en"),
            ("id", &id),
            ("answer", answer),
        ];
        maria.post("/blog/sign", &form)
    };
    let sentences = [
        "You signed another text",
        "mistyped",
        "Nothing was asked for",
    ];
    assert_says(&send(&old), 409, &sentences);
    assert_eq!(send(&right).status, 303);
    demo.assert_no_panic();
}

#[test]
fn a_chosen_picture_comes_along_whichever_button_is_pressed() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let desk = Visitor::with_blog(&demo, &mut maria);
    for button in ["save", "preview", "sign", "picture", "leave"] {
        let desk = match button {
            "leave" => Visitor::with_blog(&demo, &mut maria),
            _ => Visitor {
                demo: &demo,
                at: "a",
                gpg: Gpg::new("Nobody <n@example.org>"),
                cookie: desk.cookie.clone(),
            },
        };
        let title = format!("By {button}");
        let typed = [
            ("blog", "maria"),
            ("title", title.as_str()),
            ("body", "A day."),
            ("alt", "Nine people"),
        ];
        let reply = desk.write_with(button, &typed, PNG);
        assert_eq!(reply.status, 303, "{button}: {}", reply.text());
    }
    let home = desk.get("");
    let drafts: Vec<String> = home
        .text()
        .split("/write?draft=")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(drafts.len(), 5);
    for draft in drafts {
        let kept = desk.get(&format!("/write?draft={draft}"));
        assert_says(&kept, 200, &["A day.", "![Nine people](/media/sha256-"]);
    }

    // A file that is no picture, or an address that is none: what it shows is kept, and the words.
    let alt = "id=\"alt\" name=\"alt\" value=\"Nine people\"";
    let typed = [
        ("blog", "maria"),
        ("title", "T"),
        ("body", "Words"),
        ("alt", "Nine people"),
    ];
    for button in ["picture", "save", "sign"] {
        let reply = desk.write_with(button, &typed, b"no picture");
        let sentences = ["PNG, JPEG, GIF or WebP", "Your draft is kept", "Words", alt];
        assert_says(&reply, 422, &sentences);
        assert!(
            !reply.text().contains("AVIF"),
            "one list of kinds on one page"
        );
        // What is kept can be read in the other tongue.
        assert!(reply.text().contains("&amp;ui=ar"), "{}", reply.text());
    }
    let mut bad = typed.to_vec();
    bad.push(("slug", "a b"));
    assert_says(&desk.write("sign", &bad).0, 422, &["Words", alt]);
    let reply = desk.write_with("sign", &bad, PNG);
    assert_says(
        &reply,
        422,
        &["![Nine people](/media/sha256-", "value=\"Nine people\""],
    );
    // Where nothing is kept, nothing says so.
    let long = "x".repeat(spokes_log::draft::BODY_BYTES_MAX + 1);
    let (reply, _) = desk.write("save", &[("blog", "maria"), ("body", &long)]);
    assert_says(&reply, 413, &["not kept so"]);
    assert!(!reply.text().contains("Your draft is kept"));
    demo.assert_no_panic();
}

#[test]
fn who_signs_out_while_she_writes_finds_her_words_again() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Visitor::new(&demo);
    maria.sign_in();
    let page = maria.get("/write").text();
    let button = "<button form=\"writing\" name=\"do\" value=\"leave\"";
    assert!(
        page.contains(button) && page.contains("id=\"writing\""),
        "{page}"
    );
    assert!(!page.contains("/sign-out"), "no other way out of this page");
    assert!(page.contains("YYYY-MM-DD"), "{page}");
    let (reply, _) = maria.write("leave", &[("title", "Half a"), ("body", "sentence")]);
    assert_eq!(reply.header("location"), Some("/_/desk?said=out"));
    assert_eq!(reply.header("clear-site-data"), Some("\"cache\""));
    let out = maria.get("?said=out");
    assert_says(&out, 200, &["Saved drafts wait here until you come back."]);
    maria.sign_in();
    let home = maria.get("").text();
    let (_, rest) = home.split_once("/write?draft=").unwrap();
    let draft = rest.split('"').next().unwrap();
    assert_says(
        &maria.get(&format!("/write?draft={draft}")),
        200,
        &["Half a", "sentence"],
    );

    // An empty form leaves nothing behind, whichever button is pressed.
    for button in ["sign", "save", "preview"] {
        let (reply, _) = maria.write(button, &[("title", " "), ("language", "en")]);
        assert_says(&reply, 422, &["nothing to keep yet"]);
        assert!(!reply.text().contains("draft is kept"), "{}", reply.text());
    }
    assert_eq!(maria.get("").text().matches("/write?draft=").count(), 1);
    assert_eq!(maria.write("leave", &[("body", "\n")]).0.status, 303);
    maria.sign_in();
    assert_eq!(maria.get("").text().matches("/write?draft=").count(), 1);

    // One click deletes nothing.
    let page = maria.get(&format!("/write?draft={draft}")).text();
    let (_, rest) = page
        .split_once("<summary>Delete this draft</summary>")
        .unwrap();
    let folded = rest.split("</details>").next().unwrap();
    assert!(folded.contains("Delete it for good"), "{folded}");
    assert_eq!(page.matches("/_/desk/delete").count(), 1);
    demo.assert_no_panic();
}

#[test]
fn who_comes_to_the_desk_for_the_first_time_is_told_what_to_do() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let mut maria = Visitor::new(&demo);
    let eve = Visitor::new(&demo);
    let page = maria.get("").text();
    let (_, rest) = page.split_once("/_/desk/sign-in-").unwrap();
    let file = format!("sign-in-{}", rest.split('"').next().unwrap());
    assert!(
        page.contains(&format!("gpg --clearsign {file}</code>")),
        "{page}"
    );
    let saved = maria.get(&format!("/{file}"));
    assert!(saved.text().contains("Nonce: "), "{}", saved.text());
    let named = saved.header("content-disposition").unwrap();
    assert!(named.contains(&format!("\"{file}\"")), "{named}");
    assert!(
        !maria.get("").text().contains(&file),
        "each page has its own"
    );
    // The command names one key.
    assert!(page.contains("--export you@example.org"), "{page}");
    let answer = maria.answer();
    let refused = |key: &str, blog: &str| maria.try_to_sign_in(&answer, key, blog);

    let ring = eve.gpg.import(&maria.gpg.public_key());
    let sentences = ["several keys", "--export you@example.org", "?ui=ar"];
    assert_refused(&refused(&ring, ""), 422, &answer, &sentences);

    let secret = maria.gpg.secret_key();
    let reply = refused(&secret, "");
    let sentences = [
        "your secret key",
        "gone over the line",
        "known to others",
        "?ui=ar",
    ];
    assert_refused(&reply, 422, &answer, &sentences);
    assert!(!reply.text().contains("PRIVATE KEY BLOCK"), "it comes back");
    let reply = maria.try_to_sign_in(&secret, "", "");
    assert_says(&reply, 422, &["your secret key"]);
    assert!(!reply.text().contains("PRIVATE KEY BLOCK"), "it comes back");

    let reply = refused(&maria.gpg.public_key(), "only-wanted");
    let sentences = ["no blog of that name", "after signing in"];
    assert_refused(&reply, 404, &answer, &sentences);
    let reply = refused(&maria.gpg.public_key(), "");
    maria.is_signed_in(&reply);
    let again = maria.try_to_sign_in(&answer, "", "");
    let sentences = ["Perhaps you pasted an older sign-in file", "(1)"];
    assert_refused(&again, 403, &answer, &sentences);

    let key = maria.form_key();
    let ask = [
        ("form", key.as_str()),
        ("name", "a"),
        ("title", "Our & house"),
        ("language", "en"),
    ];
    let page = maria.post("/blog", &ask);
    let other = "/_/desk/blog?name=a&amp;title=Our+%26+house&amp;language=en&amp;ui=ar";
    assert_says(&page, 422, &["That name does not work", other]);
    assert!(!page.text().contains("drafts are kept"), "{}", page.text());
    let page = maria.get("/blog?name=a&title=Our+%26+house&ui=ar");
    assert_says(&page, 200, &["value=\"Our &amp; house\""]);
    demo.assert_no_panic();
}
