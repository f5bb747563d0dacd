//! One post or page as an export holds it, on its way to what a Markdown file would have said.

use std::{collections::BTreeSet, path::PathBuf};

use spokes_log::{
    name::{Language, Slug},
    time::Time,
};

use crate::author::{
    body,
    import::{
        html::{self, Manner, plain, to_markdown},
        links::decoded,
    },
    matter::{Matter, fault_of, slug_of_path},
    publish::Item,
    report::Row,
    tally::Tally,
};

/// Letters of a title that a report shows: enough to know it, on one line.
const TITLE_CHARS: usize = 60;

/// A post that could be published, as far as its file says.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    /// What it is called in the report.
    pub(super) name: String,
    /// Where it came from, the same in each export of the same site.
    pub(super) source: String,
    /// May hold HTML.
    pub(super) title: String,
    pub(super) slug: String,
    pub(super) date: Option<Time>,
    pub(super) language: String,
    pub(super) tags: Vec<String>,
    pub(super) html: String,
    /// Whether line ends in it count.
    pub(super) lines: bool,
    pub(super) is_page: bool,
    /// Where it stood: paths, or whole addresses.
    pub(super) old: Vec<String>,
    /// A picture that stood above it: address and what it shows.
    pub(super) picture: Option<(String, String)>,
    pub(super) notes: Vec<String>,
    pub(super) tally: Tally,
}

impl Stored {
    /// The post as an item to publish.
    ///
    /// # Errors
    /// The row of what no entry can hold.
    pub(super) fn into_item(self) -> Result<Item, Box<Row>> {
        let no = |why: String| Box::new(Row::of_file(self.name.clone(), "refused", Some(why)));
        let picture = self
            .picture
            .as_ref()
            .map_or_else(String::new, |(address, alt)| {
                let (src, alt) = (html::quoted(address), html::quoted(alt));
                format!("<p><img src=\"{src}\" alt=\"{alt}\"></p>\n\n")
            });
        let manner = Manner { lines: self.lines };
        let written = to_markdown(&(picture + &self.html), manner).map_err(no)?;
        let mut matter = Matter {
            body: body::canonical(&written.markdown, 1).map_err(no)?,
            date: self.date,
            is_page: self.is_page,
            tally: self.tally,
            ..Matter::default()
        };
        matter.title = Some(plain(&self.title)).filter(|title| !title.is_empty());
        for tag in &self.tags {
            matter.take_tag(&plain(tag));
        }
        matter.language = Language::parse(&self.language.trim().replace('_', "-")).ok();
        let asked = decoded(self.slug.trim());
        let title = matter.title.as_deref();
        matter.slug = slug_of_path(&asked).or_else(|| Slug::from_title(title?));
        matter.slug = matter.slug.or_else(|| Slug::from_title(&self.name));
        let bare = asked.trim_matches('/');
        matter.wanted = fault_of(bare)
            .filter(|_| !bare.is_empty())
            .map(|_| bare.to_owned());
        matter.note_renamed();
        for address in &self.old {
            take_alias(&mut matter, address);
        }
        matter.notes.extend(self.notes);
        matter.notes.extend(written.notes);
        Ok(Item {
            name: self.name,
            path: PathBuf::new(),
            tree: PathBuf::new(),
            source: self.source,
            matter,
        })
    }
}

/// What is called by a number alone, with its title.
pub(super) fn titled(number: &str, title: &str) -> String {
    let title: String = plain(title).chars().take(TITLE_CHARS).collect();
    match title.trim() {
        "" => number.to_owned(),
        title => format!("{number} (\"{title}\")"),
    }
}

fn take_alias(matter: &mut Matter, address: &str) {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => address,
    };
    if path.starts_with('?') {
        let note = format!("its old address \"{address}\" is a query, which cannot lead here");
        matter.notes.push(note);
        matter.tally.addresses_lost += 1;
        return;
    }
    let path = decoded(path.split(['?', '#']).next().unwrap_or_default());
    let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match Slug::parse(&path.join("/")) {
        Ok(alias) if Some(&alias) != matter.slug.as_ref() && !matter.aliases.contains(&alias) => {
            matter.aliases.push(alias);
        }
        Ok(_) => {}
        Err(_) if path.is_empty() || matter.wanted == Some(path.join("/")) => {}
        Err(_) => matter.lose_address("old address", &path.join("/")),
    }
}

/// Items of one slug get one each: their whole old path, else a number.
pub(super) fn tell_apart(items: &mut [Item]) {
    let mut taken: BTreeSet<Slug> = BTreeSet::new();
    let numbers = 2..items.len() + 2;
    for item in items.iter_mut() {
        let matter = &mut item.matter;
        let Some(slug) = matter.slug.clone() else {
            continue;
        };
        if taken.insert(slug.clone()) {
            continue;
        }
        let numbered = numbers
            .clone()
            .filter_map(|n| Slug::parse(&format!("{slug}-{n}")).ok());
        let mut others = matter.aliases.iter().cloned().chain(numbered);
        let Some(other) = others.find(|slug| !taken.contains(slug)) else {
            continue;
        };
        matter.notes.push(format!(
            "\"{slug}\" is taken by another of the file; it became \"{other}\""
        ));
        matter.aliases.retain(|alias| *alias != other);
        matter.slug = Some(other.clone());
        taken.insert(other);
    }
    for item in items {
        // An alias never hides an article.
        item.matter.aliases.retain(|alias| !taken.contains(alias));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(stored: Stored) -> Item {
        stored
            .into_item()
            .map_err(|row| row.sentence())
            .expect("publishable")
    }

    #[test]
    fn old_addresses_become_slug_and_aliases() {
        let stored = Stored {
            name: "post 7".to_owned(),
            title: "A <em>b</em> &amp; c".to_owned(),
            slug: "%ce%b1-b".to_owned(),
            tags: vec!["x/y".to_owned(), "P&amp;Q".to_owned()],
            language: "pt_BR".to_owned(),
            html: "<p>x</p>".to_owned(),
            old: vec![
                "https://old.example/2015/%CE%B1-b/".to_owned(),
                "https://old.example/?p=7".to_owned(),
                "/α-b".to_owned(),
            ],
            picture: Some(("/a.png".to_owned(), "A".to_owned())),
            ..Stored::default()
        };
        let matter = item(stored).matter;
        assert_eq!(matter.slug.map(|s| s.to_string()).as_deref(), Some("α-b"));
        assert_eq!(matter.title.as_deref(), Some("A b & c"));
        assert_eq!(
            matter
                .aliases
                .iter()
                .map(Slug::to_string)
                .collect::<Vec<_>>(),
            ["2015/α-b"]
        );
        assert_eq!(
            matter
                .tags
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["x-y", "P&Q"]
        );
        assert_eq!(
            matter.language.map(|l| l.to_string()).as_deref(),
            Some("pt-BR")
        );
        assert_eq!(matter.body, "![A](/a.png)\n\nx");
        assert!(
            matter.notes.iter().any(|note| note.contains("is a query")),
            "{:?}",
            matter.notes
        );
    }

    #[test]
    fn what_every_blog_has_is_no_slug() {
        let stored = |name: &str, slug: &str| Stored {
            name: name.to_owned(),
            slug: slug.to_owned(),
            ..Stored::default()
        };
        assert_eq!(
            item(stored("page 2", "about"))
                .matter
                .slug
                .expect("one")
                .as_str(),
            "about-1"
        );
        assert_eq!(
            item(stored("post 9", ""))
                .matter
                .slug
                .expect("one")
                .as_str(),
            "post-9"
        );
    }

    #[test]
    fn two_of_one_slug_are_told_apart() {
        let of = |old: &str| {
            item(Stored {
                name: "page".to_owned(),
                slug: "level".to_owned(),
                old: vec![old.to_owned()],
                ..Stored::default()
            })
        };
        let mut items = [of("/level"), of("/a/level"), of("/?p=1"), of("/a/level")];
        tell_apart(&mut items);
        let slugs = items
            .iter()
            .map(|i| i.matter.slug.clone().expect("one").to_string());
        assert_eq!(
            slugs.collect::<Vec<_>>(),
            ["level", "a/level", "level-2", "level-3"]
        );
        assert!(items.iter().all(|item| item.matter.aliases.is_empty()));
    }
}
