//! Feeds: Atom (RFC 4287), RSS 2.0 and JSON Feed 1.1, all three from one view.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::render::{Direction, direction};

/// The media type of [`atom`].
pub const ATOM_TYPE: &str = "application/atom+xml; charset=utf-8";
/// The media type of [`rss`].
pub const RSS_TYPE: &str = "application/rss+xml; charset=utf-8";
/// The media type of [`json()`].
pub const JSON_TYPE: &str = "application/feed+json; charset=utf-8";

/// A feed of a blog, of one of its tags, or of the network.
#[derive(Clone, Debug)]
pub struct FeedView {
    /// A URI that never changes, such as `urn:sha256:HEX` of the blog's first entry.
    pub id: String,
    /// What the feed is called.
    pub title: String,
    /// A line about it; may be empty.
    pub description: String,
    /// BCP 47 tag; empty if the feed has no single language.
    pub language: String,
    /// The absolute address of the page that the feed belongs to.
    pub home: String,
    /// The feed's own absolute address without its extension, such as `https://…/feed`.
    pub address: String,
    /// What the feed is asked for with, `?q=…`, or nothing.
    pub question: String,
    /// Who writes, if it is one person; may be empty.
    pub author: String,
    /// The time of the latest change.
    pub updated: Timestamp,
    /// The entries, newest first.
    pub entries: Vec<FeedEntry>,
}

/// One post in a feed.
#[derive(Clone, Debug)]
pub struct FeedEntry {
    /// A URI that never changes, such as `urn:sha256:HEX` of the entry.
    pub id: String,
    /// The post's title; may be empty.
    pub title: String,
    /// The absolute address of its page.
    pub address: String,
    /// The date that its author gave it.
    pub published: Timestamp,
    /// When the version shown was signed.
    pub updated: Timestamp,
    /// BCP 47 tag; may be empty.
    pub language: String,
    /// Who wrote it; may be empty.
    pub author: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// A plain-text excerpt; may be empty.
    pub summary: String,
    /// The full text: safe HTML whose links are absolute ([`crate::render::Links::seen_from`]).
    pub html: String,
}

/// The feed as Atom.
#[must_use]
pub fn atom(feed: &FeedView) -> String {
    let mut xml = Xml::new();
    let mut attributes = vec![("xmlns", "http://www.w3.org/2005/Atom")];
    attributes.extend(language_attribute(&feed.language));
    xml.open("feed", &attributes);
    xml.leaf("id", &[], &feed.id);
    xml.leaf("title", &[], &feed.title);
    xml.leaf_unless_empty("subtitle", &feed.description);
    xml.leaf("updated", &[], &rfc3339(feed.updated));
    xml.empty(
        "link",
        &[
            ("rel", "alternate"),
            ("type", "text/html"),
            ("href", &feed.home),
        ],
    );
    let own = format!("{}.atom{}", feed.address, feed.question);
    xml.empty(
        "link",
        &[
            ("rel", "self"),
            ("type", "application/atom+xml"),
            ("href", &own),
        ],
    );
    xml.person(&feed.author, &feed.home);
    for entry in &feed.entries {
        xml.open("entry", language_attribute(&entry.language).as_slice());
        xml.leaf("id", &[], &entry.id);
        xml.leaf("title", &[], &entry.title);
        xml.leaf("published", &[], &rfc3339(entry.published));
        xml.leaf("updated", &[], &rfc3339(entry.updated));
        xml.empty(
            "link",
            &[
                ("rel", "alternate"),
                ("type", "text/html"),
                ("href", &entry.address),
            ],
        );
        if !entry.author.is_empty() {
            xml.person(&entry.author, "");
        }
        for tag in &entry.tags {
            xml.empty("category", &[("term", tag)]);
        }
        xml.leaf_unless_empty("summary", &entry.summary);
        xml.leaf("content", &[("type", "html")], &directed(entry));
        xml.close("entry");
    }
    xml.close("feed");
    xml.text
}

/// The feed as RSS 2.0, with the full text as `content:encoded`.
#[must_use]
pub fn rss(feed: &FeedView) -> String {
    let mut xml = Xml::new();
    let namespaces = [
        ("version", "2.0"),
        ("xmlns:atom", "http://www.w3.org/2005/Atom"),
        ("xmlns:content", "http://purl.org/rss/1.0/modules/content/"),
        ("xmlns:dc", "http://purl.org/dc/elements/1.1/"),
    ];
    xml.open("rss", &namespaces);
    xml.open("channel", &[]);
    xml.leaf("title", &[], &feed.title);
    xml.leaf("link", &[], &feed.home);
    // RSS 2.0 requires a description.
    let described = if feed.description.is_empty() {
        &feed.title
    } else {
        &feed.description
    };
    xml.leaf("description", &[], &as_html(described));
    xml.leaf_unless_empty("language", &feed.language);
    xml.leaf("lastBuildDate", &[], &rfc822(feed.updated));
    let own = format!("{}.rss{}", feed.address, feed.question);
    xml.empty(
        "atom:link",
        &[
            ("rel", "self"),
            ("type", "application/rss+xml"),
            ("href", &own),
        ],
    );
    for entry in &feed.entries {
        xml.open("item", &[]);
        xml.leaf("title", &[], &entry.title);
        xml.leaf("link", &[], &entry.address);
        xml.leaf("guid", &[("isPermaLink", "false")], &entry.id);
        xml.leaf("pubDate", &[], &rfc822(entry.published));
        // RSS's own `author` is an e-mail address, which nobody has to show.
        let author = if entry.author.is_empty() {
            &feed.author
        } else {
            &entry.author
        };
        xml.leaf_unless_empty("dc:creator", author);
        xml.leaf_unless_empty("dc:language", &entry.language);
        for tag in &entry.tags {
            xml.leaf("category", &[], tag);
        }
        xml.leaf_unless_empty("description", &as_html(&entry.summary));
        xml.leaf("content:encoded", &[], &directed(entry));
        xml.close("item");
    }
    xml.close("channel");
    xml.close("rss");
    xml.text
}

/// The feed as JSON Feed 1.1.
#[must_use]
pub fn json(feed: &FeedView) -> String {
    let mut object = Map::new();
    object.insert(
        "version".to_owned(),
        json!("https://jsonfeed.org/version/1.1"),
    );
    object.insert("title".to_owned(), json!(feed.title));
    object.insert("home_page_url".to_owned(), json!(feed.home));
    object.insert(
        "feed_url".to_owned(),
        json!(format!("{}.json{}", feed.address, feed.question)),
    );
    insert_unless_empty(&mut object, "description", &feed.description);
    insert_unless_empty(&mut object, "language", &feed.language);
    insert_author(&mut object, &feed.author);
    let items: Vec<Value> = feed.entries.iter().map(json_item).collect();
    object.insert("items".to_owned(), Value::Array(items));
    Value::Object(object).to_string()
}

fn json_item(entry: &FeedEntry) -> Value {
    let mut item = Map::new();
    item.insert("id".to_owned(), json!(entry.id));
    item.insert("url".to_owned(), json!(entry.address));
    insert_unless_empty(&mut item, "title", &entry.title);
    item.insert("content_html".to_owned(), json!(directed(entry)));
    insert_unless_empty(&mut item, "summary", &entry.summary);
    item.insert("date_published".to_owned(), json!(rfc3339(entry.published)));
    item.insert("date_modified".to_owned(), json!(rfc3339(entry.updated)));
    insert_unless_empty(&mut item, "language", &entry.language);
    insert_author(&mut item, &entry.author);
    if !entry.tags.is_empty() {
        item.insert("tags".to_owned(), json!(entry.tags));
    }
    Value::Object(item)
}

/// What stands for a text that is not at hand: its first words, and the way to the rest.
#[must_use]
pub fn first_words(excerpt: &str, address: &str) -> String {
    maud::html! { p { (excerpt) } p { a href=(address) { (address) } } }.into_string()
}

fn insert_unless_empty(object: &mut Map<String, Value>, key: &str, value: &str) {
    if !value.is_empty() {
        object.insert(key.to_owned(), json!(value));
    }
}

fn insert_author(object: &mut Map<String, Value>, name: &str) {
    if !name.is_empty() {
        object.insert("authors".to_owned(), json!([{ "name": name }]));
    }
}

/// The text, wrapped where a feed reader would else set it from the wrong side.
fn directed(entry: &FeedEntry) -> String {
    match direction(&entry.language) {
        Direction::Ltr => entry.html.clone(),
        Direction::Rtl => format!("<div dir=\"rtl\">{}</div>", entry.html),
    }
}

fn language_attribute(language: &str) -> Option<(&'static str, &str)> {
    (!language.is_empty()).then_some(("xml:lang", language))
}

fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// RFC 822 as RSS wants it, with the year in four digits.
fn rfc822(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Words as HTML: that is what readers take a description of RSS 2.0 for.
fn as_html(words: &str) -> String {
    maud::html! { (words) }.into_string()
}

/// XML that is well-formed whatever the words are: names are ours, all else is escaped.
struct Xml {
    text: String,
}

impl Xml {
    fn new() -> Self {
        Self {
            text: "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n".to_owned(),
        }
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes);
        self.text.push_str(">\n");
    }

    fn close(&mut self, name: &str) {
        self.text.push_str(&format!("</{name}>\n"));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes);
        self.text.push_str("/>\n");
    }

    fn leaf(&mut self, name: &str, attributes: &[(&str, &str)], content: &str) {
        self.tag(name, attributes);
        self.text.push('>');
        self.escape(content);
        self.close(name);
    }

    fn leaf_unless_empty(&mut self, name: &str, content: &str) {
        if !content.is_empty() {
            self.leaf(name, &[], content);
        }
    }

    /// RFC 4287 section 4.1.1: a feed without an author needs one in each entry, so the feed always
    /// has one: where nobody is named, its home stands in.
    fn person(&mut self, name: &str, home: &str) {
        self.open("author", &[]);
        self.leaf("name", &[], if name.is_empty() { home } else { name });
        self.close("author");
    }

    fn tag(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.text.push_str(&format!("<{name}"));
        for (key, value) in attributes {
            self.text.push_str(&format!(" {key}=\""));
            self.escape(value);
            self.text.push('"');
        }
    }

    /// Drops what XML 1.0 section 2.2 does not admit; no reference could bring it in either.
    fn escape(&mut self, words: &str) {
        for letter in words.chars() {
            match letter {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                // A parser would turn a bare one into a line feed.
                '\r' => self.text.push_str("&#13;"),
                '\t' | '\n' => self.text.push(letter),
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
                letter => self.text.push(letter),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "]]> <b>\"a\" & 'b'</b> \0\u{1}\u{1f}\u{fffe}\u{ffff} &#0; ✊🏽";

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time in a test")
    }

    fn entry(words: &str, language: &str) -> FeedEntry {
        FeedEntry {
            id: "urn:sha256:00ff".to_owned(),
            title: words.to_owned(),
            address: "https://maria.blogs.example.org/2026/a%20b".to_owned(),
            published: time("2015-05-15T00:00:00Z"),
            updated: time("2026-11-23T14:05:00Z"),
            language: language.to_owned(),
            author: words.to_owned(),
            tags: vec![words.to_owned(), "release".to_owned()],
            summary: words.to_owned(),
            html: format!("<p>{words}</p>"),
        }
    }

    fn feed(words: &str) -> FeedView {
        FeedView {
            id: "urn:sha256:0011".to_owned(),
            title: words.to_owned(),
            description: words.to_owned(),
            language: "en".to_owned(),
            home: "https://maria.blogs.example.org/".to_owned(),
            address: "https://maria.blogs.example.org/feed".to_owned(),
            question: String::new(),
            author: words.to_owned(),
            updated: time("2026-11-23T14:05:00Z"),
            entries: vec![entry(words, "en"), entry(words, "ar")],
        }
    }

    /// Reads XML strictly: balanced tags, quoted attributes, only known references, legal letters.
    /// Gives the text of every element with its name.
    fn parse(xml: &str) -> Vec<(String, String)> {
        let declared = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"utf-8\"?>");
        let mut rest = declared.expect("a declaration");
        let mut open: Vec<(String, String)> = Vec::new();
        let mut read = Vec::new();
        while let Some(at) = rest.find('<') {
            let words = unescape(&rest[..at]);
            match open.last_mut() {
                Some((_, text)) => text.push_str(&words),
                None => assert_eq!(words.trim(), "", "words outside the root"),
            }
            let (tag, after) = rest[at + 1..].split_once('>').expect("a tag ends");
            rest = after;
            if let Some(name) = tag.strip_prefix('/') {
                let (opened, text) = open.pop().expect("an open element");
                assert_eq!(opened, name);
                read.push((opened, text));
                continue;
            }
            let (tag, empty) = match tag.strip_suffix('/') {
                Some(tag) => (tag, true),
                None => (tag, false),
            };
            let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
            while let Some((key, after)) = attributes.split_once("=\"") {
                let (value, after) = after.split_once('"').expect("a value ends");
                read.push((format!("{name}@{}", key.trim()), unescape(value)));
                attributes = after;
            }
            assert_eq!(attributes, "");
            if !empty {
                open.push((name.to_owned(), String::new()));
            }
        }
        assert!(open.is_empty() && rest.trim().is_empty());
        read
    }

    fn unescape(text: &str) -> String {
        let illegal = |c: char| (c < ' ' && !"\t\n".contains(c)) || "\u{fffe}\u{ffff}".contains(c);
        assert!(!text.contains(illegal), "{text:?}");
        let mut pieces = text.split('&');
        let mut plain = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (reference, words) = piece.split_once(';').expect("a reference ends");
            plain.push_str(match reference {
                "amp" => "&",
                "lt" => "<",
                "gt" => ">",
                "quot" => "\"",
                "#13" => "\r",
                other => panic!("&{other};"),
            });
            plain.push_str(words);
        }
        plain
    }

    fn of<'a>(read: &'a [(String, String)], name: &str) -> Vec<&'a str> {
        read.iter()
            .filter(|(key, _)| key == name)
            .map(|(_, text)| text.as_str())
            .collect()
    }

    #[test]
    fn atom_says_what_the_view_says() {
        let read = parse(&atom(&feed("One & two")));
        assert_eq!(of(&read, "title"), ["One & two"; 3]);
        assert_eq!(of(&read, "updated"), ["2026-11-23T14:05:00Z"; 3]);
        assert_eq!(of(&read, "published"), ["2015-05-15T00:00:00Z"; 2]);
        assert_eq!(of(&read, "feed@xml:lang"), ["en"]);
        assert_eq!(of(&read, "entry@xml:lang"), ["en", "ar"]);
        assert_eq!(
            of(&read, "link@href")[1],
            "https://maria.blogs.example.org/feed.atom"
        );
        let content = [
            "<p>One & two</p>",
            "<div dir=\"rtl\"><p>One & two</p></div>",
        ];
        assert_eq!(of(&read, "content"), content);
    }

    #[test]
    fn rss_says_what_the_view_says() {
        let read = parse(&rss(&feed("One & two")));
        assert_eq!(of(&read, "title"), ["One & two"; 3]);
        assert_eq!(of(&read, "pubDate"), ["Fri, 15 May 2015 00:00:00 GMT"; 2]);
        assert_eq!(of(&read, "guid"), ["urn:sha256:00ff"; 2]);
        assert_eq!(of(&read, "content:encoded")[0], "<p>One & two</p>");
        // Readers take a description for HTML.
        let words = of(&read, "description");
        assert_eq!(words, ["One &amp; two"; 3]);
    }

    #[test]
    fn json_says_what_the_view_says() {
        let read: Value = serde_json::from_str(&json(&feed(NASTY))).expect("JSON");
        assert_eq!(read["version"], "https://jsonfeed.org/version/1.1");
        assert_eq!(read["title"], NASTY);
        assert_eq!(read["items"][1]["language"], "ar");
        assert_eq!(read["items"][0]["date_published"], "2015-05-15T00:00:00Z");
        assert_eq!(read["items"][0]["authors"][0]["name"], NASTY);
    }

    #[test]
    fn strangers_words_stay_words() {
        let legal: String = NASTY
            .chars()
            .filter(|c| *c >= ' ' && !"\u{fffe}\u{ffff}".contains(*c))
            .collect();
        for xml in [atom(&feed(NASTY)), rss(&feed(NASTY))] {
            let read = parse(&xml);
            assert_eq!(of(&read, "title"), [&*legal; 3]);
            assert!(!xml.contains("<b>"));
        }
    }

    #[test]
    fn first_words_stand_for_a_text_and_lead_to_it() {
        let html = first_words("a < b & c", "https://maria.blogs.example.org/a");
        let words = "<p>a &lt; b &amp; c</p>";
        assert!(
            html.starts_with(words) && html.contains("href=\"https://maria.blogs.example.org/a\"")
        );
    }

    #[test]
    fn a_feed_of_nobody_and_nothing_is_still_valid() {
        let mut empty = feed("");
        empty.entries.clear();
        empty.language.clear();
        let read = parse(&atom(&empty));
        assert_eq!(of(&read, "name"), ["https://maria.blogs.example.org/"]);
        parse(&rss(&empty));
    }
}
