//! Ghost's export: one JSON object with the tables of its database.

use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
};

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use crate::author::{
    import::{
        Brought, cards,
        html::quoted,
        links::Addresses,
        stored::{self, Stored},
    },
    matter::parse_date,
    now,
    report::Row,
    tally::Tally,
};

/// What Ghost writes for the address of its own site.
const SITE: &str = "__GHOST_URL__";

/// Either form of the file: `{"db":[{"data":…}]}`, or `{"data":…}`.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    db: Vec<Holder>,
    data: Option<Tables>,
}

#[derive(Deserialize)]
struct Holder {
    data: Tables,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tables {
    posts: Vec<Post>,
    tags: Vec<Tag>,
    posts_tags: Vec<PostTag>,
    posts_meta: Vec<Meta>,
    users: Vec<Tag>,
    posts_authors: Vec<PostAuthor>,
    settings: Vec<Setting>,
}

/// A value that older versions write as a number and newer ones as a word.
#[derive(Default, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Word(String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::Null => String::new(),
            Value::String(word) => word,
            Value::Number(number) => number.to_string(),
            Value::Bool(yes) => u8::from(yes).to_string(),
            _ => return Err(D::Error::custom("a list stands where one value is due")),
        }))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Post {
    id: Word,
    uuid: Word,
    title: Word,
    slug: Word,
    html: Option<String>,
    lexical: Option<String>,
    mobiledoc: Option<String>,
    markdown: Option<String>,
    plaintext: Option<String>,
    feature_image: Option<String>,
    #[serde(rename = "type")]
    kind: Word,
    page: Word,
    status: Word,
    visibility: Word,
    locale: Word,
    author_id: Word,
    published_at: Word,
    updated_at: Word,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tag {
    id: Word,
    name: Word,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PostTag {
    post_id: Word,
    tag_id: Word,
    sort_order: i64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PostAuthor {
    post_id: Word,
    author_id: Word,
    sort_order: i64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Meta {
    post_id: Word,
    feature_image_alt: Word,
    email_only: Word,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Setting {
    key: Word,
    value: Word,
}

/// Whether a file is an export of Ghost, as far as its beginning says.
pub(super) fn is_one(beginning: &str) -> bool {
    let bare: String = beginning
        .chars()
        .filter(|c| !c.is_whitespace())
        .take(40)
        .collect();
    bare.starts_with("{\"db\":") || bare.starts_with("{\"data\":") || bare.starts_with("{\"meta\":")
}

/// Reads a whole file.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn read(file: impl Read, site: Option<&str>) -> Result<Brought, String> {
    let file: File =
        serde_json::from_reader(file).map_err(|why| format!("it is no export of Ghost: {why}"))?;
    let tables = file
        .db
        .into_iter()
        .next()
        .map(|holder| holder.data)
        .or(file.data);
    let tables = tables.ok_or_else(|| "it is no export of Ghost: it has no \"data\"".to_owned())?;
    let setting = |name: &str| {
        let found = tables.settings.iter().find(|setting| setting.key.0 == name);
        found
            .map(|setting| setting.value.0.clone())
            .filter(|value| !value.is_empty())
    };
    let language = setting("locale").or(setting("lang"));
    let language = language.or(setting("default_locale")).unwrap_or_default();
    let mut tags = tags_of(&tables);
    let metas = tables.posts_meta.iter().map(|meta| (&meta.post_id, meta));
    let metas: HashMap<&Word, &Meta> = metas.collect();
    let mut authors = authors_of(&tables);
    let site = site.unwrap_or_default().trim_end_matches('/');
    let mut brought = Brought {
        said: format!("an export of Ghost: {} posts and pages", tables.posts.len()),
        ..Brought::default()
    };
    for post in &tables.posts {
        let meta = metas.get(&post.id).copied();
        if let Some((outcome, why)) = post.held_back(meta) {
            let row = Row::of_file(post.name(), outcome, Some(why));
            brought.rows.push(row);
            continue;
        }
        let stored = Stored {
            tags: tags.remove(&post.id).unwrap_or_default(),
            tally: Tally {
                authors: authors.remove(&post.id).unwrap_or_default(),
                ..Tally::default()
            },
            ..post.stored(meta, &language, site)
        };
        match stored.into_item() {
            Ok(item) => brought.items.push(item),
            Err(row) => brought.rows.push(*row),
        }
    }
    stored::tell_apart(&mut brought.items);
    let mut addresses = Addresses::of(&brought.items);
    addresses.of_site(site);
    brought
        .items
        .iter_mut()
        .for_each(|item| addresses.rewrite(item));
    Ok(brought)
}

fn authors_of(tables: &Tables) -> BTreeMap<Word, Vec<String>> {
    let users = tables.users.iter().map(|user| (&user.id, &user.name.0));
    let users: HashMap<&Word, &String> = users.collect();
    let mut order: Vec<&PostAuthor> = tables.posts_authors.iter().collect();
    order.sort_by_key(|link| link.sort_order);
    let mut authors: BTreeMap<Word, Vec<String>> = BTreeMap::new();
    for link in order {
        let name = users.get(&link.author_id).map(|name| (*name).clone());
        authors
            .entry(link.post_id.clone())
            .or_default()
            .extend(name);
    }
    // Older versions know one author for each post.
    for post in &tables.posts {
        if let (None, Some(name)) = (authors.get(&post.id), users.get(&post.author_id)) {
            authors.insert(post.id.clone(), vec![(*name).clone()]);
        }
    }
    authors
}

fn tags_of(tables: &Tables) -> BTreeMap<Word, Vec<String>> {
    let names: HashMap<&Word, &str> = tables
        .tags
        .iter()
        .map(|tag| (&tag.id, tag.name.0.as_str()))
        .collect();
    let mut order: Vec<&PostTag> = tables.posts_tags.iter().collect();
    order.sort_by_key(|link| link.sort_order);
    let mut tags: BTreeMap<Word, Vec<String>> = BTreeMap::new();
    for link in order {
        // "#" marks what readers do not see.
        let name = names
            .get(&link.tag_id)
            .filter(|name| !name.starts_with('#'));
        let escaped = name.map(|name| quoted(name));
        tags.entry(link.post_id.clone())
            .or_default()
            .extend(escaped);
    }
    tags
}

impl Post {
    fn is_page(&self) -> bool {
        self.kind.0 == "page" || self.page.0 == "1"
    }

    /// Older versions count posts from 1 in every blog.
    fn source(&self) -> &str {
        match self.uuid.0.as_str() {
            "" => &self.id.0,
            uuid => uuid,
        }
    }

    fn name(&self) -> String {
        let kind = if self.is_page() { "page" } else { "post" };
        match self.slug.0.as_str() {
            "" => stored::titled(&format!("{kind} {}", self.id.0), &quoted(&self.title.0)),
            slug => format!("{kind} {slug}"),
        }
    }

    /// Why it must not be published silently, in one word and a sentence.
    fn held_back(&self, meta: Option<&Meta>) -> Option<(&'static str, String)> {
        let date = date_of(&self.published_at.0);
        let later = date.filter(|date| *date > now());
        match (self.status.0.as_str(), self.visibility.0.as_str()) {
            ("scheduled", _) => Some(later.or(date)),
            ("published", _) if later.is_some() => Some(later),
            _ => None,
        }
        .map(|at| {
            let at = at.map_or_else(|| "a later day".to_owned(), |at| at.to_string());
            (
                "scheduled",
                format!("it was to appear on {at}; publish it then"),
            )
        })
        .or_else(
            || match (self.status.0.as_str(), self.visibility.0.as_str()) {
                ("draft" | "", _) => Some(("draft", "a draft, so it was left out".to_owned())),
                ("published", _) if meta.is_some_and(|meta| meta.email_only.0 == "1") => Some((
                    "private",
                    "it was sent by e-mail only, so it was left out".to_owned(),
                )),
                ("published", "" | "public") => None,
                ("published", whom) => Some((
                    "private",
                    format!("only {whom} could read it, so it was left out"),
                )),
                ("sent", _) => Some((
                    "private",
                    "it was sent by e-mail only, so it was left out".to_owned(),
                )),
                (status, _) => Some((
                    "skipped",
                    format!("its state is \"{status}\", which is not known here"),
                )),
            },
        )
    }

    fn stored(&self, meta: Option<&Meta>, language: &str, site: &str) -> Stored {
        let (html, note) = self.html();
        let home = |text: &str| text.replace(SITE, site);
        let picture = self
            .feature_image
            .as_deref()
            .filter(|image| !image.is_empty());
        let own = Some(self.locale.0.as_str()).filter(|locale| !locale.is_empty());
        Stored {
            name: self.name(),
            source: format!("ghost {}", self.source()),
            title: quoted(&self.title.0),
            slug: self.slug.0.clone(),
            date: date_of(&self.published_at.0),
            language: own.unwrap_or(language).to_owned(),
            html: home(&html),
            is_page: self.is_page(),
            picture: picture.map(|image| {
                let alt = meta.map(|meta| meta.feature_image_alt.0.clone());
                (home(image), alt.unwrap_or_default())
            }),
            notes: note.into_iter().collect(),
            ..Stored::default()
        }
    }

    /// Its words as HTML, and a note where they were not kept as such.
    fn html(&self) -> (String, Option<String>) {
        let some = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        if let Some(html) = some(&self.html) {
            return (html, None);
        }
        let lexical = some(&self.lexical).and_then(|text| cards::of_lexical(&text));
        let drawn =
            lexical.or_else(|| some(&self.mobiledoc).and_then(|text| cards::of_mobiledoc(&text)));
        if let Some(html) = drawn {
            return (html, None);
        }
        let plain = some(&self.markdown).or(some(&self.plaintext));
        let Some(plain) = plain else {
            return (String::new(), None);
        };
        let paragraphs = plain
            .split("\n\n")
            .map(|part| format!("<p>{}</p>", quoted(part).replace('\n', "<br>")));
        let note = "the export holds its words without their form".to_owned();
        (paragraphs.collect(), Some(note))
    }
}

/// A date, which old versions write in milliseconds.
fn date_of(text: &str) -> Option<spokes_log::time::Time> {
    match text.parse::<i64>() {
        Ok(millis) => Some(spokes_log::time::Time::from_unix(millis / 1_000)),
        Err(_) => parse_date(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLES: &str = r##"{"posts":[
        {"id":"1","title":"A < b","slug":"a","html":"<p>x <a href=\"__GHOST_URL__/b/\">b</a></p>",
         "feature_image":"__GHOST_URL__/content/images/p.png","type":"post","status":"published",
         "visibility":"public","published_at":"2020-01-02T03:04:05.000Z"},
        {"id":2,"title":"B","slug":"b","html":null,"page":1,"author_id":"j","status":"published","published_at":1577934245000,
         "lexical":"{\"root\":{\"type\":\"root\",\"children\":[{\"type\":\"paragraph\",\"children\":[{\"type\":\"extended-text\",\"text\":\"y\",\"format\":1}]}]}}"},
        {"id":"3","slug":"c","status":"draft"},
        {"id":"4","slug":"d","status":"scheduled","published_at":"2999-01-01T00:00:00.000Z"},
        {"id":"5","slug":"e","status":"published","visibility":"paid"},
        {"id":"6","slug":"f","status":"published","plaintext":"one\ntwo\n\n3"},
        {"id":"7","slug":"g","status":"sent"}],
        "tags":[{"id":"t","name":"Two"},{"id":"u","name":"One"},{"id":"v","name":"#hidden"}],
        "posts_tags":[{"post_id":"1","tag_id":"t","sort_order":1},{"post_id":"1","tag_id":"u","sort_order":0},
                      {"post_id":"1","tag_id":"v","sort_order":2}],
        "users":[{"id":"m","name":"Maria"},{"id":"j","name":"Joan"}],
        "posts_authors":[{"post_id":"1","author_id":"j","sort_order":1},{"post_id":"1","author_id":"m","sort_order":0}],
        "posts_meta":[{"post_id":"1","feature_image_alt":"P"}],
        "settings":[{"key":"locale","value":"pt"}]}"##;

    #[track_caller]
    fn check(file: &str) {
        assert!(is_one(file), "{file:.40}");
        let brought = read(file.as_bytes(), None).expect("sound");
        let rows: Vec<String> = brought.rows.iter().map(Row::sentence).collect();
        for (row, word) in rows.iter().zip([
            "c: draft",
            "d: scheduled: it was to appear on 2999",
            "only paid",
            "e-mail",
        ]) {
            assert!(row.contains(word), "{row}");
        }
        let shown = brought.items.iter().map(|item| {
            let matter = &item.matter;
            let tags: Vec<_> = matter.tags.iter().map(ToString::to_string).collect();
            let date = matter.date.map(|date| date.to_string()).unwrap_or_default();
            format!(
                "{} {:?} {date} {} {}",
                item.name,
                matter.title,
                tags.join(","),
                matter.body
            )
        });
        assert_eq!(
            shown.collect::<Vec<_>>().join("\n--\n"),
            "post a Some(\"A < b\") 2020-01-02T03:04:05Z One,Two ![P](/content/images/p.png)\n\nx [b](/b)\n--\n\
             page b Some(\"B\") 2020-01-02T03:04:05Z  **y**\n--\n\
             post f None   one\\\ntwo\n\n3"
        );
        assert_eq!(rows.len(), 4);
        let authors = brought.items.iter().map(|item| &item.matter.tally.authors);
        let authors: Vec<String> = authors.map(|names| names.join(",")).collect();
        assert_eq!(authors, ["Maria,Joan", "Joan", ""]);
    }

    #[test]
    fn both_forms_of_the_file_are_read() {
        check(&format!("{{\"data\":{TABLES}}}"));
        check(&format!(
            "{{\"db\": [{{\"meta\":{{}},\"data\":{TABLES}}}]}}"
        ));
    }

    #[test]
    fn what_is_no_export_is_told() {
        for text in [
            "",
            "{}",
            "[]",
            "{\"db\":[]}",
            "{\"data\":{\"posts\":[{\"id\":[]}]}}",
        ] {
            assert!(
                read(text.as_bytes(), None).is_err_and(|why| why.contains("no export")),
                "{text}"
            );
        }
        let deep = "{\"data\":".repeat(100_000);
        assert!(read(deep.as_bytes(), None).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(bytes.as_slice(), None).ok();
        }

        #[test]
        fn no_post_panics(html in "\\PC{0,40}", slug in "\\PC{0,10}", date in "[0-9TZ:.-]{0,24}") {
            let post = serde_json::json!({"id": 1, "slug": slug, "html": html, "status": "published", "published_at": date});
            let file = serde_json::json!({"data": {"posts": [post.clone(), post]}}).to_string();
            prop_assert!(read(file.as_bytes(), Some("https://old.example/")).is_ok());
        }
    }
}
