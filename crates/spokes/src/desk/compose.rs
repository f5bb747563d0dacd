//! From what was typed into a form to what an entry says.

use spokes_log::{
    blog::Post,
    draft::{Article, Medium, Says},
    name::{Hash, Language, Slug, Tag, Tags},
    time::Time,
};

use super::Fields;
use crate::author::{body, matter};

/// What a form is completed from.
pub struct Known<'a> {
    /// Now.
    pub now: Time,
    /// The post in the version that is edited.
    pub post: Option<&'a Post>,
    /// The blog's language.
    pub language: &'a Language,
    /// The line of a medium that is the author's own: hers at this desk, or her blog's.
    pub medium: &'a dyn Fn(Hash) -> Option<Medium>,
}

/// What cannot become part of an entry, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Neither a title nor an address.
    NoTitle,
    /// No words.
    NoBody,
    /// The address, with the rule that it breaks.
    Slug(&'static str),
    /// A tag.
    Tag(String, &'static str),
    /// The language.
    Language(&'static str),
    /// The date.
    Date,
    /// The words, with the line at fault.
    Body(String),
}

/// What the entry says, and its body.
///
/// # Errors
/// The first thing that cannot be said so.
pub fn says(fields: &Fields, known: &Known<'_>) -> Result<(Says, String), Trouble> {
    let title = matter::one_line(&fields.title);
    let slug = slug(fields, &title)?;
    let body = body::canonical(&fields.body, 1).map_err(Trouble::Body)?;
    if body.trim().is_empty() {
        return Err(Trouble::NoBody);
    }
    let media = media(&body, known);
    let article = Article {
        date: date(fields, known)?,
        slug,
        title: (!title.is_empty()).then_some(title),
        language: language(fields)?.filter(|language| language != known.language),
        tags: Tags(tags(&fields.tags)?),
        aliases: known
            .post
            .map(|post| post.article.aliases.clone())
            .unwrap_or_default(),
        replaces: known.post.map(Post::current),
        media,
    };
    let says = if fields.is_page {
        Says::Page(article)
    } else {
        Says::Post(article)
    };
    Ok((says, body))
}

fn slug(fields: &Fields, title: &str) -> Result<Slug, Trouble> {
    let typed = fields.slug.trim().trim_matches('/');
    if !typed.is_empty() {
        return Slug::parse(typed).map_err(Trouble::Slug);
    }
    Slug::from_title(title).ok_or(Trouble::NoTitle)
}

fn language(fields: &Fields) -> Result<Option<Language>, Trouble> {
    let typed = fields.language.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    Language::parse(typed).map(Some).map_err(Trouble::Language)
}

/// The date typed; its time of day is kept as long as the day stays the same.
fn date(fields: &Fields, known: &Known<'_>) -> Result<Time, Trouble> {
    let typed = fields.date.trim();
    let before = known.post.map(|post| post.article.date);
    if typed.is_empty() {
        return Ok(before.unwrap_or(known.now));
    }
    if let Some(before) = before.filter(|date| date.to_string().starts_with(typed)) {
        return Ok(before);
    }
    if known.now.to_string().starts_with(typed) && typed.len() == 10 {
        return Ok(known.now);
    }
    Time::parse(&format!("{typed}T00:00:00Z")).map_err(|_| Trouble::Date)
}

fn tags(typed: &str) -> Result<Vec<Tag>, Trouble> {
    let mut tags: Vec<Tag> = Vec::new();
    for word in typed.split([',', '،', '、', '，']) {
        let word = matter::one_line(word);
        if word.is_empty() {
            continue;
        }
        let tag = Tag::parse(&word).map_err(|why| Trouble::Tag(word, why))?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

/// The media that the words show or link to, in the order of their first mention.
fn media(body: &str, known: &Known<'_>) -> Vec<Medium> {
    const BEGINS: &str = "/media/";
    let mut media: Vec<Medium> = Vec::new();
    for (at, _) in body.match_indices(BEGINS) {
        let name = body.get(at + BEGINS.len()..at + BEGINS.len() + 71);
        let Some(hash) = name.and_then(Hash::parse_path) else {
            continue;
        };
        if let Some(medium) = (known.medium)(hash).filter(|medium| !media.contains(medium)) {
            media.push(medium);
        }
    }
    media
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_442_700; // 2026-11-23T14:05:00Z

    fn compose(fields: &Fields) -> Result<(Article, String), Trouble> {
        let language = Language::parse("en").expect("a language");
        let own = Hash::of(b"own");
        let medium = |hash: Hash| {
            (hash == own).then(|| Medium {
                hash,
                bytes: 3,
                kind: spokes_log::name::MediaType::parse("image/png").expect("a type"),
                alt: Some("A cat".into()),
            })
        };
        let known = Known {
            now: Time::from_unix(NOW),
            post: None,
            language: &language,
            medium: &medium,
        };
        says(fields, &known).map(|(says, body)| match says {
            Says::Post(article) | Says::Page(article) => (article, body),
            other => panic!("{other:?}"),
        })
    }

    fn fields() -> Fields {
        Fields {
            title: "My first  day\n".into(),
            body: "Hello.  \nThere.\r\n\r\n".into(),
            tags: "one, two ,, one، three".into(),
            ..Fields::default()
        }
    }

    #[test]
    fn a_form_becomes_an_article() {
        let own = format!(
            "![x](/media/{}) and /media/{}",
            Hash::of(b"own").path(),
            Hash::of(b"no").path()
        );
        let typed = Fields {
            body: own.clone(),
            language: "ar".into(),
            date: "2020-02-29".into(),
            slug: "/2020/day/".into(),
            ..fields()
        };
        let (article, body) = compose(&typed).expect("an article");
        assert_eq!(body, own);
        assert_eq!(article.title.as_deref(), Some("My first day"));
        assert_eq!(article.slug.as_str(), "2020/day");
        assert_eq!(article.date.to_string(), "2020-02-29T00:00:00Z");
        assert_eq!(
            article.language.map(|l| l.to_string()).as_deref(),
            Some("ar")
        );
        let tags: Vec<String> = article.tags.0.iter().map(ToString::to_string).collect();
        assert_eq!(tags, ["one", "two", "three"]);
        assert_eq!(article.media.len(), 1, "only what is her own");
        let (article, body) = compose(&fields()).expect("an article");
        assert_eq!(article.slug.as_str(), "my-first-day");
        assert_eq!(article.date.as_unix(), NOW);
        assert_eq!(body, "Hello.\\\nThere.");
    }

    #[test]
    fn what_cannot_be_said_is_named() {
        let with = |change: fn(&mut Fields)| {
            let mut fields = fields();
            change(&mut fields);
            compose(&fields).expect_err("refused")
        };
        assert_eq!(with(|f| f.title = " ".into()), Trouble::NoTitle);
        assert_eq!(with(|f| f.body = " \n ".into()), Trouble::NoBody);
        assert_eq!(with(|f| f.date = "soon".into()), Trouble::Date);
        assert!(matches!(with(|f| f.slug = "a b".into()), Trouble::Slug(_)));
        assert!(matches!(
            with(|f| f.slug = "feed.atom".into()),
            Trouble::Slug(_)
        ));
        assert!(matches!(with(|f| f.tags = "a/b".into()), Trouble::Tag(..)));
        assert!(matches!(
            with(|f| f.language = "??".into()),
            Trouble::Language(_)
        ));
        assert!(matches!(
            with(|f| f.body = "a\u{7}".into()),
            Trouble::Body(_)
        ));
    }
}
