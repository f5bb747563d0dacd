//! Old addresses: what other houses put beside the posts themselves leads on to what is here, so that
//! subscriptions and links outlive a move.

use spokes_log::name::Slug;

use crate::web::page;

/// Where feeds stood in other houses (WordPress, Ghost, Hugo, Jekyll, Zola), and which of ours they are.
const FEEDS: &[(&str, &str)] = &[
    ("feed", "/feed.rss"),
    ("rss", "/feed.rss"),
    ("feed.xml", "/feed.atom"),
    ("rss.xml", "/feed.rss"),
    ("index.xml", "/feed.rss"),
    ("atom.xml", "/feed.atom"),
    ("feed/atom", "/feed.atom"),
    ("feed/rss2", "/feed.rss"),
];
/// Before tags, in other houses.
const TAGS: &[&str] = &["tag/", "category/", "categories/", "topics/"];

/// What is at an address where no article is.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Former {
    /// Something of ours.
    LeadsTo(String),
    /// Nothing but the articles below it.
    Below,
}

/// What an address was in the house where the blog was before. `tag` says which of the blog's tags is
/// wanted by its name in such an address; `has_below` whether articles are below one.
pub(super) fn find(
    path: &Slug,
    tag: impl FnOnce(&str) -> Option<String>,
    has_below: impl FnOnce(&Slug) -> bool,
) -> Option<Former> {
    let slug = path;
    let path = path.as_str();
    if let Some(old) = TAGS.iter().find_map(|before| path.strip_prefix(before)) {
        let (name, feed) = match old.strip_suffix("/feed") {
            Some(name) => (name, "/feed.rss"),
            None => (old, ""),
        };
        // A tag below another was one of its own, too.
        let name = name.rsplit('/').next().unwrap_or(name);
        if let Some(tag) = tag(name) {
            return Some(Former::LeadsTo(format!("{}{feed}", page::tag_path(&tag))));
        }
    }
    let feed = FEEDS.iter().find(|(old, _)| {
        let before = path.strip_suffix(old);
        before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
    });
    if let Some((_, ours)) = feed {
        return Some(Former::LeadsTo((*ours).to_owned()));
    }
    if path.starts_with("author/") {
        return Some(Former::LeadsTo("/about".to_owned()));
    }
    let number = path.strip_prefix("page/").map(str::parse::<u32>);
    if let Some(Ok(number @ 1..)) = number {
        return Some(Former::LeadsTo(format!("/?page={number}")));
    }
    has_below(slug).then_some(Former::Below)
}

/// Whether a tag is called so in the addresses of other houses.
pub(super) fn is_called(tag: &str, name: &str) -> bool {
    let plain = |text: &str| {
        let letters = text.chars().flat_map(char::to_lowercase);
        letters
            .map(|c| if c.is_alphanumeric() { c } else { '-' })
            .collect::<Vec<_>>()
    };
    // Most tags differ in length already.
    tag.chars().count() == name.chars().count() && plain(tag) == plain(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_addresses_lead_to_what_is_here() {
        let found = |path: &str| {
            let tags = ["Release notes", "rust", "Über uns"];
            let slugs = ["2015/05/15/Rust-1.0", "inside/team", "insider"];
            let tag = |name: &str| {
                let tag = tags.into_iter().find(|tag| is_called(tag, name));
                tag.map(str::to_owned)
            };
            let has_below = |path: &Slug| {
                let below = format!("{path}/");
                slugs.iter().any(|slug| slug.starts_with(&below))
            };
            find(&Slug::parse(path).unwrap(), tag, has_below)
        };
        let leads = |to: &str| Some(Former::LeadsTo(to.to_owned()));
        assert_eq!(found("feed.xml"), leads("/feed.atom"));
        assert_eq!(found("feed"), leads("/feed.rss"));
        assert_eq!(found("inside/feed.xml"), leads("/feed.atom"));
        assert_eq!(found("myfeed.xml"), None);
        assert_eq!(
            found("category/news/release-notes"),
            leads("/tags/Release%20notes")
        );
        assert_eq!(found("tag/nothing"), None);
        assert_eq!(found("tag/rust/feed"), leads("/tags/rust/feed.rss"));
        assert_eq!(found("page/0"), None);
        assert_eq!(found("author/maria"), leads("/about"));
        assert_eq!(found("page/3"), leads("/?page=3"));
        assert_eq!(found("page/three"), None);
        assert_eq!(found("2015/05"), Some(Former::Below));
        assert_eq!(found("inside"), Some(Former::Below));
        assert_eq!(found("insid"), None);
    }
}
