//! What stands above a text: title, slug, date and the like, from front matter and file name.

mod values;
mod withheld;

use std::path::Path;

use jiff::{Timestamp, civil};
use serde::Deserialize;
use spokes_log::{
    name::{Language, Slug, Tag},
    time::Time,
};

pub(crate) use withheld::Withheld;

use crate::author::{
    body,
    matter::values::{Names, Text, Texts, Words},
    tally::Tally,
};

/// Tags of one article (SPEC entry 3.6).
const TAGS_MAX: usize = 64;
/// Lines above front matter: its `---` or `+++`.
const FENCE_LINES: usize = 1;

/// One Markdown file, read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matter {
    pub(crate) title: Option<String>,
    pub(crate) slug: Option<Slug>,
    /// Whether the slug was only guessed from the file's name.
    pub(crate) slug_guessed: bool,
    /// The address that its source gives it, where it cannot be one here.
    pub(crate) wanted: Option<String>,
    pub(crate) date: Option<Time>,
    /// The date of a new article where nothing says one, instead of now.
    pub(crate) otherwise: Option<Time>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) language: Option<Language>,
    pub(crate) aliases: Vec<Slug>,
    /// Why it is not for everybody, where it is not.
    pub(crate) withheld: Option<Withheld>,
    /// Stands outside the stream.
    pub(crate) is_page: bool,
    /// In its one spelling.
    pub(crate) body: String,
    /// What could not be taken over as it stood.
    pub(crate) notes: Vec<String>,
    /// What does not come along, to be counted.
    pub(crate) tally: Tally,
}

/// The keys that are read; all others are somebody else's.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Front {
    title: Option<Text>,
    slug: Option<Text>,
    path: Option<Text>,
    date: Option<Text>,
    tags: Option<Texts>,
    taxonomies: Option<Taxonomies>,
    language: Option<Text>,
    lang: Option<Text>,
    // Hugo takes its keys in any case.
    #[serde(alias = "Draft")]
    draft: Option<Text>,
    #[serde(alias = "Published")]
    published: Option<Text>,
    #[serde(alias = "Private")]
    private: Option<Text>,
    #[serde(alias = "Status")]
    status: Option<Words>,
    #[serde(alias = "Visibility")]
    visibility: Option<Words>,
    page: Option<Text>,
    aliases: Option<Texts>,
    /// Jekyll's and Hugo's words for an article's address, and for those that it had.
    permalink: Option<Text>,
    url: Option<Text>,
    redirect_from: Option<Texts>,
    categories: Option<Texts>,
    category: Option<Texts>,
    author: Option<Names>,
    authors: Option<Names>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Taxonomies {
    tags: Option<Texts>,
    categories: Option<Texts>,
    authors: Option<Names>,
}

impl Front {
    /// Where the article is to stand; a pattern such as `/:year/:title/` says nothing of this one.
    fn place(&self) -> Option<&str> {
        let whole = |text| value(text).filter(|place| !place.contains(':'));
        let named = value(&self.slug).or(value(&self.path));
        named.or(whole(&self.permalink)).or(whole(&self.url))
    }
}

impl Matter {
    /// Reads a file's text; `path` is where it lies, which says what the text leaves open.
    ///
    /// # Errors
    /// Says what about it no entry can hold.
    pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| "it is not UTF-8; save it as UTF-8".to_owned())?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (front, body, body_line) = split(text)?;
        let mut matter = Self {
            body: body::canonical(body, body_line)?,
            ..Self::default()
        };
        matter.take(&front)?;
        matter.fill_in(&front, path)?;
        Ok(matter)
    }

    fn take(&mut self, front: &Front) -> Result<(), String> {
        self.title = value(&front.title).map(one_line).filter(|t| !t.is_empty());
        self.withheld = withheld::of(front);
        self.is_page = withheld::is_true(&front.page);
        if let Some(language) = value(&front.language).or(value(&front.lang)) {
            let language = language.trim().replace('_', "-");
            let read = Language::parse(&language);
            self.language = Some(read.map_err(|why| format!("its language \"{language}\" {why}"))?);
        }
        let nested = front
            .taxonomies
            .iter()
            .flat_map(|t| t.tags.iter().chain(&t.categories));
        let words = front
            .tags
            .iter()
            .chain(&front.categories)
            .chain(&front.category);
        for tag in words.chain(nested).flat_map(|tags| &tags.0) {
            self.take_tag(tag);
        }
        let nested = front.taxonomies.iter().flat_map(|t| &t.authors);
        for name in front.author.iter().chain(&front.authors).chain(nested) {
            for name in name.0.iter().map(|name| one_line(name)) {
                if !name.is_empty() && !self.tally.authors.contains(&name) {
                    self.tally.authors.push(name);
                }
            }
        }
        let former = front.aliases.iter().chain(&front.redirect_from);
        for alias in former.flat_map(|aliases| &aliases.0) {
            let trimmed = alias.trim().trim_matches('/');
            match Slug::parse(trimmed) {
                Ok(slug) if self.aliases.contains(&slug) => {}
                Ok(slug) => self.aliases.push(slug),
                Err(_) => self.lose_address("alias", alias),
            }
        }
        Ok(())
    }

    /// Notes that what led to the article before cannot do so here.
    pub(crate) fn lose_address(&mut self, what: &str, address: &str) {
        let why = fault_of(address).unwrap_or_default();
        self.tally.addresses_lost += 1;
        self.notes
            .push(format!("the {what} \"{address}\" was left out: {why}"));
    }

    /// Notes that the article could not have the address that its source gives it.
    pub(crate) fn note_renamed(&mut self) {
        if let (Some(wanted), Some(slug)) = (&self.wanted, &self.slug) {
            let why = fault_of(wanted).unwrap_or_default();
            self.tally.addresses_lost += 1;
            self.notes.push(format!(
                "its address cannot be \"{wanted}\": {why}; it became \"{slug}\""
            ));
        }
    }

    /// Takes a tag over, in the form that an entry can hold.
    pub(crate) fn take_tag(&mut self, tag: &str) {
        let clean = one_line(tag).replace('/', "-").replace(',', " ");
        if clean.is_empty() {
            return;
        }
        match Tag::parse(&clean) {
            Ok(read) if self.tags.contains(&read) => {}
            Ok(_) if self.tags.len() >= TAGS_MAX => {
                // One line, however many there are.
                let why = format!("further tags were left out: {TAGS_MAX} are enough");
                if !self.notes.contains(&why) {
                    self.notes.push(why);
                }
            }
            Ok(read) => {
                if clean != tag.trim() {
                    self.notes
                        .push(format!("the tag \"{tag}\" became \"{clean}\""));
                }
                self.tags.push(read);
            }
            Err(why) => self
                .notes
                .push(format!("the tag \"{tag}\" {why}; left out")),
        }
    }

    /// Slug and date from front matter, else from the path, else from the title.
    fn fill_in(&mut self, front: &Front, path: &Path) -> Result<(), String> {
        if let Some(date) = value(&front.date) {
            self.date = Some(parse_date(date.trim()).ok_or_else(|| {
                format!("its date \"{date}\" is not one such as 2026-11-23 or 2026-11-23T14:05:00Z")
            })?);
        }
        let asked = front.place();
        if let Some(asked) = asked {
            let slug = slug_of_path(asked);
            self.slug =
                Some(slug.ok_or_else(|| format!("nothing is left of its slug \"{asked}\""))?);
            let bare = asked.trim().trim_matches('/');
            self.wanted = fault_of(bare).map(|_| bare.to_owned());
        }
        let stem = stem(path);
        let (name_date, name) = stem.as_deref().map_or((None, None), dated_name);
        self.date = self
            .date
            .or(name_date)
            .or_else(|| date_of_path(value(&front.path).or(front.place())?));
        if self.slug.is_none() {
            let guess = name.and_then(slug_of_segment);
            self.slug = guess.or_else(|| Slug::from_title(self.title.as_deref()?));
            self.slug_guessed = true;
            // A name with spaces and the like is a title, which makes a slug; this one is a slug.
            self.wanted = name.filter(|name| is_reserved(name)).map(str::to_owned);
        }
        self.aliases
            .retain(|alias| Some(alias) != self.slug.as_ref());
        Ok(())
    }
}

/// Front matter, body, and the number of the body's first line.
fn split(text: &str) -> Result<(Front, &str, usize), String> {
    for (fence, format) in [("---", "YAML"), ("+++", "TOML")] {
        let Some((first, rest)) = text.split_once('\n') else {
            continue;
        };
        if first.trim_end() != fence {
            continue;
        }
        let mut at = 0;
        for (index, line) in rest.split_inclusive('\n').enumerate() {
            if line.trim_end() == fence {
                let front = parse(&rest[..at], format)
                    .map_err(|why| format!("its {format} front matter cannot be read: {why}"))?;
                return Ok((front, &rest[at + line.len()..], index + 3));
            }
            at += line.len();
        }
        if fence == "+++" {
            return Err("its front matter begins with \"+++\" and never ends".to_owned());
        }
        // A thematic break above a text without front matter.
    }
    Ok((Front::default(), text, 1))
}

fn parse(front: &str, format: &str) -> Result<Front, String> {
    if front.trim().is_empty() {
        return Ok(Front::default());
    }
    let front = front.replace("\r\n", "\n");
    if format == "TOML" {
        return toml::from_str(&front).map_err(|why| match why.span() {
            Some(span) => {
                let before = front.get(..span.start).unwrap_or_default();
                let line = before.matches('\n').count() + 1 + FENCE_LINES;
                format!("{} at line {line}", why.message())
            }
            None => why.message().to_owned(),
        });
    }
    match serde_saphyr::from_str::<Option<Front>>(&front) {
        Ok(read) => Ok(read.unwrap_or_default()),
        Err(why) => {
            let why = why.without_snippet().to_string();
            Err(behind_fence(why.lines().next().unwrap_or_default()))
        }
    }
}

/// The same message, its line counted from the top of the file.
fn behind_fence(why: &str) -> String {
    let Some((before, rest)) = why.split_once("line ") else {
        return why.to_owned();
    };
    let end = rest.find(|c: char| !c.is_ascii_digit());
    let (number, after) = rest.split_at(end.unwrap_or(rest.len()));
    match number.parse::<usize>() {
        Ok(line) => format!("{before}line {}{after}", line + FENCE_LINES),
        Err(_) => why.to_owned(),
    }
}

fn value(text: &Option<Text>) -> Option<&str> {
    let text = text.as_ref()?.0.as_str();
    (!text.trim().is_empty()).then_some(text)
}

/// A text as one header value: runs of blanks and line ends become one space.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The file's name without its ending; of `NAME/index.md` the folder's.
fn stem(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_string_lossy().into_owned();
    if name != "index" {
        return Some(name);
    }
    let folder = path.parent()?.file_name()?;
    Some(folder.to_string_lossy().into_owned())
}

/// `YYYY-MM-DD-title` in its parts.
fn dated_name(stem: &str) -> (Option<Time>, Option<&str>) {
    let date = stem
        .get(..10)
        .filter(|d| d.bytes().filter(|b| *b == b'-').count() == 2);
    let date = date.and_then(parse_date);
    let rest = stem
        .get(10..)
        .and_then(|rest| rest.strip_prefix(['-', '_']));
    match (date, rest) {
        (Some(date), Some(rest)) if !rest.is_empty() => (Some(date), Some(rest)),
        (Some(date), None) if stem.len() == 10 => (Some(date), Some(stem)),
        _ => (None, Some(stem)),
    }
}

/// `YYYY/MM/DD`, wherever it stands in a path.
fn date_of_path(path: &str) -> Option<Time> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    parts.windows(3).find_map(|parts| {
        let [year, month, day] = parts else {
            return None;
        };
        let shaped = year.len() == 4 && month.len() == 2 && day.len() == 2;
        shaped
            .then(|| parse_date(&format!("{year}-{month}-{day}")))
            .flatten()
    })
}

/// A slug of several segments; a segment that breaks the rules becomes what fits it best.
pub(crate) fn slug_of_path(path: &str) -> Option<Slug> {
    let path = path.trim().trim_matches('/');
    if let Ok(slug) = Slug::parse(path) {
        return Some(slug);
    }
    let segments: Vec<String> = path
        .split('/')
        .filter_map(slug_of_segment)
        .map(|slug| slug.to_string())
        .collect();
    Slug::parse(&segments.join("/")).ok()
}

/// Why an address cannot be one here, with the word at fault; none where it can.
pub(crate) fn fault_of(path: &str) -> Option<String> {
    let path = path.trim().trim_matches('/');
    let why = Slug::parse(path).err()?;
    let mut words = path.split('/');
    let word = words.find(|word| Slug::parse(word).is_err());
    Some(match word {
        Some(word) if is_reserved(word) => format!("\"{word}\" is a path that every blog has"),
        Some(word) if word != path && !word.is_empty() => {
            let why = Slug::parse(word).err().unwrap_or(why);
            format!("its part \"{word}\" {why}")
        }
        _ => format!("it {why}"),
    })
}

/// Whether a segment is a path of the system: nothing but the whole word is wrong with it.
pub(crate) fn is_reserved(segment: &str) -> bool {
    let longer = [format!("1{segment}"), format!("{segment}-1")];
    !segment.is_empty()
        && Slug::parse(segment).is_err()
        && longer.iter().all(|longer| Slug::parse(longer).is_ok())
}

fn slug_of_segment(segment: &str) -> Option<Slug> {
    Slug::parse(segment)
        .ok()
        .filter(|slug| !slug.as_str().contains('/'))
        .or_else(|| Slug::from_title(segment))
}

/// Reads the dates that static site generators write; without a zone they are UTC.
pub(crate) fn parse_date(text: &str) -> Option<Time> {
    if let (10, Ok(date)) = (text.len(), text.parse::<civil::Date>()) {
        return utc(date.at(0, 0, 0, 0));
    }
    // "2015-05-15 10:00:00 +0200" and "… UTC": the space before the zone goes.
    let mut tight = text
        .replace(" UTC", "Z")
        .replace(" GMT", "Z")
        .replace(" Z", "Z");
    if let Some(at) = tight
        .rfind([' '])
        .filter(|at| tight[at + 1..].starts_with(['+', '-']))
    {
        tight.remove(at);
    }
    if let Ok(at) = tight.parse::<Timestamp>() {
        return Some(Time::from_unix(at.as_second()));
    }
    if let Ok(at) = tight.parse::<civil::DateTime>() {
        return utc(at);
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()?;
    Some(Time::from_unix(at.as_second()))
}

fn utc(at: civil::DateTime) -> Option<Time> {
    let at = jiff::tz::Offset::UTC.to_timestamp(at).ok()?;
    Some(Time::from_unix(at.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, text: &str) -> Matter {
        Matter::read(Path::new(path), text.as_bytes()).expect(text)
    }

    #[track_caller]
    fn check(path: &str, text: &str, expected: &str) {
        let m = read(path, text);
        let show = |o: Option<String>| o.unwrap_or_else(|| "-".into());
        let tags: Vec<_> = m.tags.iter().map(Tag::to_string).collect();
        let aliases: Vec<_> = m.aliases.iter().map(Slug::to_string).collect();
        let found = format!(
            "{} | {} | {} | {} | {} | {} | {}",
            show(m.title),
            show(m.slug.map(|s| s.to_string())),
            show(m.date.map(|d| d.to_string())),
            tags.join(","),
            show(m.language.map(|l| l.to_string())),
            aliases.join(","),
            m.body
        );
        assert_eq!(found, expected, "{path}\n{text}");
    }

    #[test]
    fn front_matter_of_many_houses() {
        check("hello.md", "Hi", "- | hello | - |  | - |  | Hi");
        check(
            "a/x.md",
            "---\ntitle: Hello: no\n---\n".replace(": no", "").as_str(),
            "Hello | x | - |  | - |  | ",
        );
        check(
            "x.md",
            "---\ntitle: \"One: two\"\nslug: 1.10\ndate: 2024-01-02\ntags: [a, 'b c', 3]\nlang: pt_BR\n\
             other: {deep: [1]}\naliases: /old/, gone\n---\n\nText\n",
            "One: two | 1.10 | 2024-01-02T00:00:00Z | a,b c,3 | pt-BR | old,gone | Text",
        );
        check(
            "Rust-1.0.md",
            "+++\npath = \"2015/05/15/Rust-1.0\"\ntitle = \"Announcing\"\naliases = [\"r/1.html\"]\n\
             [taxonomies]\ntags = [\"release\"]\n[extra]\nx = 1\n+++\nBody",
            "Announcing | 2015/05/15/Rust-1.0 | 2015-05-15T00:00:00Z | release | - | r/1.html | Body",
        );
        check(
            "x.md",
            "+++\ndate = 2020-02-03T10:00:00+02:00\ntitle = 7\ndraft = false\n+++\nB",
            "7 | x | 2020-02-03T08:00:00Z |  | - |  | B",
        );
        check(
            "_posts/2019-12-31-new-year.md",
            "---\r\ntags: a, b\r\n---\r\nB",
            "- | new-year | 2019-12-31T00:00:00Z | a,b | - |  | B",
        );
        check(
            "2020-01-01-trip/index.md",
            "B",
            "- | trip | 2020-01-01T00:00:00Z |  | - |  | B",
        );
        check("Straße & Café.md", "B", "- | straße-café | - |  | - |  | B");
        check("Cafe\u{301}.md", "B", "- | café | - |  | - |  | B");
        check("x.md", "---\n---\nB", "- | x | - |  | - |  | B");
        check(
            "x.md",
            "---\nnot front matter",
            "- | x | - |  | - |  | ---\nnot front matter",
        );
        check(
            "x.md",
            "\u{feff}---\ntitle: T\ndate:\n---\nB",
            "T | x | - |  | - |  | B",
        );
    }

    #[test]
    fn dates_of_many_houses() {
        for (text, expected) in [
            ("2015-05-15", "2015-05-15T00:00:00Z"),
            ("2015-05-15T01:02:03Z", "2015-05-15T01:02:03Z"),
            ("2015-05-15T01:02:03.9+01:00", "2015-05-15T00:02:03Z"),
            ("2015-05-15 10:00:00", "2015-05-15T10:00:00Z"),
            ("2015-05-15 10:00", "2015-05-15T10:00:00Z"),
            ("2015-05-15 10:00:00 +0200", "2015-05-15T08:00:00Z"),
            ("2015-05-15 10:00:00 -02:30", "2015-05-15T12:30:00Z"),
            ("2015-05-15 10:00:00 UTC", "2015-05-15T10:00:00Z"),
            ("Fri, 15 May 2015 10:00:00 +0000", "2015-05-15T10:00:00Z"),
        ] {
            let found = parse_date(text).map(|t| t.to_string());
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
        for bad in ["", "yesterday", "2015-13-01", "15.5.2015"] {
            assert!(parse_date(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_date_is_found_wherever_it_stands_in_a_path() {
        for (path, expected) in [
            ("2015/05/15/Rust-1.0", Some("2015-05-15T00:00:00Z")),
            (
                "inside-rust/2019/09/25/Welcome",
                Some("2019-09-25T00:00:00Z"),
            ),
            ("releases/latest", None),
            ("2015/13/01/x", None),
        ] {
            let found = date_of_path(path).map(|t| t.to_string());
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn drafts_pages_and_what_is_refused() {
        assert!(read("x.md", "---\ndraft: true\n---\n").withheld.is_some());
        assert!(
            read("x.md", "---\npublished: false\n---\n")
                .withheld
                .is_some()
        );
        assert!(read("x.md", "+++\npage = true\n+++\n").is_page);
        assert!(read("x.md", "---\ndraft: false\n---\n").withheld.is_none());
        for bad in [
            "---\ndate: soon\n---\n",
            "---\nlang: 12\n---\n",
            "---\ntitle: [a, b]\n---\n",
            "---\ntitle: 'a\n---\n",
            "+++\ntitle = \n+++\n",
            "+++\nnever ends",
        ] {
            assert!(
                Matter::read(Path::new("x.md"), bad.as_bytes()).is_err(),
                "{bad}"
            );
        }
        assert!(Matter::read(Path::new("x.md"), b"\xff").is_err());
        let many: Vec<String> = (0..TAGS_MAX + 9).map(|n| format!("t{n}")).collect();
        let many = read("x.md", &format!("---\ntags: [{}]\n---\n", many.join(", ")));
        assert_eq!(
            (many.tags.len(), many.notes.len()),
            (TAGS_MAX, 1),
            "said once"
        );
        let noted = read("x.md", "---\ntags: [a/b]\naliases: ['a b']\n---\n");
        assert_eq!(noted.notes.len(), 2, "{:?}", noted.notes);
    }

    #[test]
    fn authors_are_found_in_whatever_form() {
        for (text, expected) in [
            ("+++\nauthors = [\"lcnr\", \"Ana B\"]\n+++\n", "lcnr|Ana B"),
            ("---\nauthor: Maria\n---\n", "Maria"),
            ("---\nauthor: {name: Maria, url: x}\n---\n", "Maria"),
            ("---\nauthors: [{name: A}, B, A]\n---\n", "A|B"),
            (
                "+++\n[[authors]]\nname = \"A\"\n[taxonomies]\nauthors = [\"B\"]\n+++\n",
                "A|B",
            ),
            ("---\nauthor:\nauthors: false\n---\n", ""),
            ("---\ntitle: x\n---\n", ""),
        ] {
            assert_eq!(
                read("x.md", text).tally.authors.join("|"),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_word_that_every_blog_has_is_named() {
        for (path, expected) in [
            (
                "a/metrics",
                Some("\"metrics\" is a path that every blog has"),
            ),
            (
                "/favicon.ico/",
                Some("\"favicon.ico\" is a path that every blog has"),
            ),
            ("a//b", Some("it has an empty segment")),
            ("a/_b", Some("its part \"_b\" has a segment that begins")),
            (
                "a/b.txt",
                Some("its part \"b.txt\" has a segment that ends"),
            ),
            ("about-1", None),
        ] {
            let found = fault_of(path);
            match expected {
                Some(expected) => assert!(found.is_some_and(|f| f.starts_with(expected)), "{path}"),
                None => assert_eq!(found, None, "{path}"),
            }
        }
        for (path, text, expected) in [
            (
                "metrics.md",
                "x",
                "cannot be \"metrics\": \"metrics\" is a path that every blog has; it became \"metrics-1\"",
            ),
            (
                "x.md",
                "---\nslug: a/tags/b\n---\n",
                "\"tags\" is a path that every blog has; it became \"a/tags-1/b\"",
            ),
            ("x.md", "---\nslug: a b\n---\n", "it became \"a-b\""),
            (
                "x.md",
                "---\naliases: [/old/search/]\n---\n",
                "the alias \"/old/search/\" was left out: \"search\" is",
            ),
        ] {
            let mut matter = read(path, text);
            matter.note_renamed();
            assert!(
                matter.notes.len() == 1 && matter.notes[0].contains(expected),
                "{:?}",
                matter.notes
            );
        }
        for (path, text) in [
            ("my-posts.md", "x"),
            ("My posts.md", "x"),
            ("x.md", "---\nslug: /a/b/\n---\n"),
        ] {
            let mut matter = read(path, text);
            matter.note_renamed();
            assert_eq!(matter.notes, Vec::<String>::new(), "{path}");
        }
    }

    #[test]
    fn lines_are_counted_in_the_file() {
        let why = Matter::read(Path::new("x.md"), b"---\ntitle: T\n---\nfine\nbad\x07");
        assert!(why.is_err_and(|why| why.contains("line 5")));
        for front in [
            "---\ntitle: T\nlang: [a\n---\n",
            "---\ntitle: T\ntags: 'a\n---\n",
            "+++\ntitle = \"T\"\nslug = \n+++\n",
            "+++\r\ntitle = \"T\"\r\nslug = \r\n+++\r\n",
        ] {
            let why = Matter::read(Path::new("x.md"), front.as_bytes()).expect_err("bad");
            assert!(why.contains("at line 3"), "{why}");
        }
    }
}
