//! Maria has never blogged. She has a telephone, no scripts, and gpg; nothing that she types is lost.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{fs, path::Path, time::Duration};

use common::{
    author::Author,
    browser::{Browser, Options},
    demo::Demo,
    gpg::Gpg,
    wait_for,
};

/// How long a name or a safe post may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What differs between the tongues.
struct Told {
    languages: &'static str,
    dir: &'static str,
    name: &'static str,
    title: &'static str,
    words: &'static str,
    taken: &'static str,
}

const ENGLISH: Told = Told {
    languages: "en-GB,en;q=0.9",
    dir: "ltr",
    name: "maria",
    title: "Our first meeting",
    words: "We were *nine* people.\n\nAnd one dog.",
    taken: "is taken",
};
const ARABIC: Told = Told {
    languages: "ar,en;q=0.5",
    dir: "rtl",
    name: "maryam",
    title: "لقاؤنا الأول",
    words: "كنا *تسعة* أشخاص.\n\nوكلبًا واحدًا.",
    taken: "مأخوذ",
};

struct Maria<'a> {
    demo: &'a Demo,
    browser: Browser,
    gpg: Gpg,
    told: &'static Told,
}

#[test]
fn a_blog_in_a_browser_in_english_and_in_arabic() {
    let demo = Demo::start();
    let _somebody_else = Author::with_blog(&demo, "first-come", "b");
    for told in [&ENGLISH, &ARABIC] {
        let options = Options {
            languages: told.languages,
            ..Options::phone()
        };
        let maria = Maria {
            demo: &demo,
            browser: Browser::start(&options),
            gpg: Gpg::new("Maria Example <maria@example.org>"),
            told,
        };
        maria.wrong_answers_are_refused();
        maria.signs_in();
        maria.asks_for_a_taken_name_and_then_another();
        maria.writes_and_publishes();
        maria.edits();
        maria.takes_all_of_it_along();
        maria.loses_nothing();
        maria.signs_out();
    }
    demo.assert_no_panic();
}

impl Maria<'_> {
    fn front(&self) -> String {
        let domain = self.demo.host("");
        let port = self.demo.gateway().port();
        format!("http://{}:{port}/", domain.trim_start_matches('.'))
    }

    /// A picture of the page, for people who look (`SPOKES_TEST_PICTURES=FOLDER`).
    fn picture(&self, what: &str) {
        if let Some(folder) = std::env::var_os("SPOKES_TEST_PICTURES") {
            let name = format!("{}-{what}.png", self.told.name);
            self.browser.screenshot(&Path::new(&folder).join(name));
        }
    }

    /// What went wrong, as she reads it.
    fn refusal(&self) -> String {
        assert!(
            self.browser.has(".refusal"),
            "no refusal: {}",
            self.browser.text()
        );
        self.browser.find(".refusal").text()
    }

    fn send_answer(&self, answer: &str) {
        self.browser.find("#answer").fill(answer);
        self.browser.find("#key").fill(&self.gpg.public_key());
        self.browser.follow("form button.main");
    }

    /// Wrong, replayed, of another spoke, of another network, altered: each with a sentence, and what
    /// was pasted stays.
    fn wrong_answers_are_refused(&self) {
        self.browser.go(&format!("{}_/desk", self.front()));
        assert!(
            self.browser.url().contains(".spoke."),
            "{}",
            self.browser.url()
        );
        assert_eq!(
            self.browser.find("html").attribute("dir").as_deref(),
            Some(self.told.dir)
        );
        let challenge = self.browser.find("#text").value();
        self.picture("sign-in");
        let spoke = challenge
            .lines()
            .find_map(|line| line.strip_prefix("Spoke: "))
            .unwrap();
        let other = if spoke == "a" { "b" } else { "a" };
        let network = challenge.lines().nth(1).unwrap();
        let zeros = format!("Network: sha256:{}", "0".repeat(64));
        let forgeries = [
            challenge.replace(&format!("Spoke: {spoke}"), &format!("Spoke: {other}")),
            challenge.replace(network, &zeros),
            challenge.replace("Issued: 20", "Issued: 21"),
            challenge.replace("Sign-In", "Entry"),
        ];
        for forged in forgeries {
            let answer = self.gpg.clearsign(&forged);
            self.send_answer(&answer);
            let why = self.refusal();
            assert!(!why.is_empty());
            assert_eq!(self.browser.find("#answer").value().trim(), answer.trim());
            assert!(
                self.browser
                    .find("#key")
                    .value()
                    .contains("BEGIN PGP PUBLIC KEY")
            );
        }
        self.send_answer("hello");
        assert!(!self.refusal().is_empty());
        let altered = self
            .gpg
            .clearsign(&challenge)
            .replace("Nonce: ", "Nonce:  ");
        self.send_answer(&altered);
        assert!(!self.refusal().is_empty());
        self.picture("refused");
        // Without her key nobody knows who she is.
        self.browser
            .find("#answer")
            .fill(&self.gpg.clearsign(&challenge));
        self.browser.find("#key").fill("");
        self.browser.follow("form button.main");
        assert!(!self.refusal().is_empty());
    }

    fn signs_in(&self) {
        let answer = self.gpg.clearsign(&self.browser.find("#text").value());
        self.send_answer(&answer);
        assert!(!self.browser.has(".refusal"), "{}", self.browser.text());
        let grouped = &self.gpg.fingerprint[..4];
        assert!(self.browser.find(".leave").text().contains(grouped));
        let cookies = self.browser.cookies();
        let session = cookies
            .iter()
            .find(|cookie| cookie["name"] == "session")
            .unwrap();
        assert_eq!(session["httpOnly"], true);
        assert!(
            !session["domain"].as_str().unwrap().starts_with('.'),
            "{session}"
        );
        self.picture("home");
        // The same answer signs nobody in again.
        let desk = self.browser.url();
        self.browser.delete_cookies();
        self.browser.go(&desk);
        self.send_answer(&answer);
        assert!(!self.refusal().is_empty());
        self.send_answer(&self.gpg.clearsign(&self.browser.find("#text").value()));
        assert!(self.browser.has(".leave"), "{}", self.browser.text());
    }

    fn asks_for_a_taken_name_and_then_another(&self) {
        let desk = self.browser.url();
        self.browser.go(&format!("{desk}/blog"));
        self.browser.find("#name").fill("first-come");
        self.browser.find("#title").fill(self.told.title);
        self.browser.follow("form button.main");
        assert!(
            self.refusal().contains(self.told.taken),
            "{}",
            self.refusal()
        );
        assert_eq!(
            self.browser.find("#title").value(),
            self.told.title,
            "her text is kept"
        );
        self.browser.find("#name").fill(self.told.name);
        self.browser.follow("form button.main");
        let text = self.browser.find("#text").value();
        assert!(
            text.contains(&format!("Name: {}", self.told.name)),
            "{text}"
        );
        assert!(self.browser.text().contains(&self.gpg.fingerprint[..4]));
        self.picture("sign-name");
        // Somebody else's words under her signature are not taken.
        let other = self
            .gpg
            .clearsign(&text.replace("Kind: blog", "Kind: post"));
        self.browser.find("#answer").fill(&other);
        self.browser.follow("form button.main");
        assert!(!self.refusal().is_empty());
        self.browser
            .find("#answer")
            .fill(&self.gpg.clearsign(&text));
        self.browser.follow("form button.main");
        // By the source: the page looks again by itself, and its elements go.
        let write = format!("/_/desk/write?blog={}", self.told.name);
        wait_for("the name is live", PATIENCE, || {
            self.browser.source().contains(&write).then_some(())
        });
    }

    fn writes_and_publishes(&self) {
        self.browser.follow("a.button.main");
        self.browser.find("#title").fill(self.told.title);
        self.browser.find("#body").fill(self.told.words);
        self.browser.follow("button[value=preview]");
        self.picture("preview");
        assert!(self.browser.find(".preview article em").is_shown());
        assert_eq!(self.browser.find("#body").value().trim(), self.told.words);
        let folder = tempfile::tempdir().unwrap();
        let picture = folder.path().join("nine.png");
        fs::write(&picture, PNG).unwrap();
        self.browser.find("#picture").upload(&picture);
        self.browser.find("#alt").fill("Nine");
        self.browser.follow("button[value=picture]");
        assert!(
            self.browser
                .find("#body")
                .value()
                .contains("![Nine](/media/sha256-")
        );
        self.browser.follow("button[value=sign]");
        self.publish();
        let address = self
            .browser
            .find("main p a[href^=http]")
            .attribute("href")
            .unwrap();
        let desk = self.browser.url();
        self.browser.go(&address);
        let shown = self.browser.text();
        self.picture("post");
        let words = self.told.words.replace('*', "");
        assert!(shown.contains(words.lines().next().unwrap()), "{shown}");
        assert!(self.browser.has("article img[src^='/media/sha256-']"));
        self.browser.go(&desk);
    }

    /// Signs the text that is shown, first badly, and waits until it is safe.
    fn publish(&self) {
        let text = self.browser.find("#text").value();
        let bad = self.gpg.clearsign(&text).replace("Title: ", "Title: x");
        self.browser.find("#answer").fill(&bad);
        self.browser.follow("form button.main");
        assert!(!self.refusal().is_empty());
        assert_eq!(self.browser.find("#answer").value().trim(), bad.trim());
        self.picture("sign-refused");
        assert_eq!(self.browser.find("#text").value(), text);
        self.browser
            .find("#answer")
            .fill(&self.gpg.clearsign(&text));
        self.browser.follow("form button.main");
        assert!(!self.browser.has(".refusal"), "{}", self.browser.text());
        wait_for("the post is safe", PATIENCE, || {
            let servers = ["3 of 3", "2 of 3", "٣ من ٣", "٢ من ٣"];
            let shown = self.browser.source();
            servers
                .iter()
                .any(|words| shown.contains(words))
                .then_some(())
        });
    }

    fn edits(&self) {
        let desk = self.desk();
        self.browser
            .go(&format!("{desk}/articles?blog={}", self.told.name));
        self.picture("articles");
        self.browser.follow(".articles a.button");
        assert!(
            self.browser
                .find("#body")
                .value()
                .contains(self.told.words.lines().next().unwrap())
        );
        self.browser.find("#body").fill("Changed.");
        self.browser.follow("button[value=sign]");
        self.publish();
        let host = self.demo.host(self.told.name);
        let reply = common::http::get(self.demo.gateway(), &host, "/");
        assert!(reply.text().contains("Changed."), "{}", reply.text());
        self.browser
            .go(&format!("{desk}/articles?blog={}", self.told.name));
        self.browser.follow(".articles a.button + a.button");
        assert!(
            self.browser.text().contains("spokes blog erase"),
            "{}",
            self.browser.text()
        );
        self.picture("erase");
    }

    /// Everything that she signed, in files that any program unpacks.
    fn takes_all_of_it_along(&self) {
        let desk = self.desk();
        let page = format!("{desk}/download?blog={}", self.told.name);
        self.browser.go(&page);
        for (file, holds) in [("", "log/00000002-"), ("-media-1", "media/sha256-")] {
            let name = format!("{}{file}.zip", self.told.name);
            self.browser.find(&format!("a[download='{name}']")).click();
            let path = self.browser.downloads().join(&name);
            let names = wait_for("the file is there", PATIENCE, || {
                let file = fs::File::open(&path).ok()?;
                let archive = zip::ZipArchive::new(file).ok()?;
                Some(
                    archive
                        .file_names()
                        .map(|name| name.unwrap().into_owned())
                        .collect::<Vec<_>>(),
                )
            });
            assert!(
                names.iter().any(|name| name.starts_with(holds)),
                "{names:?}"
            );
        }
    }

    /// `kill -9` of the spoke while she writes, and a session that has ended.
    fn loses_nothing(&self) {
        let desk = self.desk();
        let label = desk
            .split(".spoke.")
            .next()
            .unwrap()
            .trim_start_matches("http://")
            .to_owned();
        self.browser.go(&format!("{desk}/write"));
        self.browser.find("#title").fill("Kept");
        self.browser.find("#body").fill("What was kept.");
        self.browser
            .follow("p.row:not(.top-row) button[value=save]");
        let draft = self.browser.url();
        self.browser.find("#body").fill("What was only typed.");
        self.demo.kill(&label);
        self.browser
            .follow("p.row:not(.top-row) button[value=save]");
        self.demo.restart(&label);
        // The notice that nobody answered is left the way people leave it.
        self.browser.back();
        wait_for("the form is back", PATIENCE, || {
            self.browser.has("#body").then_some(())
        });
        assert_eq!(
            self.browser.find("#body").value().trim(),
            "What was only typed."
        );
        self.browser
            .follow("p.row:not(.top-row) button[value=save]");
        self.browser.go(&draft);
        assert_eq!(
            self.browser.find("#body").value().trim(),
            "What was only typed."
        );
        // The same of a name that she asks for.
        self.browser.go(&format!("{desk}/blog"));
        self.browser.find("#name").fill("another");
        self.browser.find("#title").fill("Another title");
        self.browser.delete_cookies();
        self.browser.follow("form button.main");
        assert!(
            self.browser
                .find("#typed-text")
                .value()
                .contains("Another title")
        );
        self.send_answer(&self.gpg.clearsign(&self.browser.find("#text").value()));
        self.browser.go(&draft);
        // Her session ends elsewhere; what she typed comes along when she signs in again.
        self.browser
            .find("#body")
            .fill("Typed into a session that is over.");
        self.browser.delete_cookies();
        self.browser
            .follow("p.row:not(.top-row) button[value=save]");
        assert!(
            self.browser.text().contains("Typed into a session")
                || self
                    .browser
                    .find("#typed-text")
                    .value()
                    .contains("Typed into a session")
        );
        self.send_answer(&self.gpg.clearsign(&self.browser.find("#text").value()));
        assert_eq!(
            self.browser.find("#body").value().trim(),
            "Typed into a session that is over."
        );
    }

    fn signs_out(&self) {
        self.browser.go(&format!("{}/write", self.desk()));
        self.browser.find("#title").fill("Not for you");
        self.browser.follow(".leave button");
        // Whoever sits there next goes back, and finds nothing of hers.
        self.browser.back();
        assert!(
            self.browser.has("#answer") && !self.browser.has("#title"),
            "{}",
            self.browser.text()
        );
        // The next day she comes in by any door, and is led to the desk of her blog.
        self.browser.find("#name").fill(self.told.name);
        self.browser.follow("form[action$='/find'] button");
        let here = self.browser.url();
        self.browser.follow("main a.button.main");
        let there = self.browser.url();
        assert!(there.contains(".spoke.") && there != here, "{there}");
        assert!(self.browser.has("#answer"), "{}", self.browser.text());
    }

    fn desk(&self) -> String {
        let url = self.browser.url();
        let (origin, _) = url.split_once("/_/desk").unwrap();
        format!("{origin}/_/desk")
    }
}

/// One red pixel.
const PNG: &[u8] = &[
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0x0D, 0x49, 0x48, 0x44, 0x52, 0, 0, 0,
    1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xDE, 0, 0, 0, 0x0C, 0x49, 0x44, 0x41, 0x54,
    0x78, 0x9C, 0x63, 0xF8, 0xCF, 0xC0, 0, 0, 3, 1, 1, 0, 0xC9, 0xFE, 0x92, 0xEF, 0, 0, 0, 0, 0x49,
    0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
];
