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

/// What an address was in the house where the blog was before. `tags` are the blog's own, `slugs` those of
/// its articles.
pub(super) fn find<'a>(
    path: &Slug,
    mut tags: impl Iterator<Item = &'a str>,
    mut slugs: impl Iterator<Item = &'a str>,
) -> Option<Former> {
    let path = path.as_str();
    let feed = FEEDS.iter().find(|(old, _)| {
        let before = path.strip_suffix(old);
        before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
    });
    if let Some((_, ours)) = feed {
        return Some(Former::LeadsTo((*ours).to_owned()));
    }
    if let Some(old) = TAGS.iter().find_map(|before| path.strip_prefix(before)) {
        // A tag below another was one of its own, too.
        let name = plain(old.rsplit('/').next().unwrap_or(old));
        if let Some(tag) = tags.find(|tag| plain(tag) == name) {
            return Some(Former::LeadsTo(page::tag_path(tag)));
        }
    }
    if path.starts_with("author/") {
        return Some(Former::LeadsTo("/about".to_owned()));
    }
    if let Some(number) = path.strip_prefix("page/")
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some(Former::LeadsTo(format!("/?page={number}")));
    }
    let is_below = |slug: &str| {
        let rest = slug.strip_prefix(path);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    slugs.any(is_below).then_some(Former::Below)
}

/// A tag as other houses write it in addresses.
fn plain(tag: &str) -> String {
    let letters = tag.chars().flat_map(char::to_lowercase);
    let hyphens = letters.map(|c| if c.is_alphanumeric() { c } else { '-' });
    hyphens.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_addresses_lead_to_what_is_here() {
        let found = |path: &str| {
            let tags = ["Release notes", "rust", "Über uns"];
            let slugs = ["2015/05/15/Rust-1.0", "inside/team", "insider"];
            find(
                &Slug::parse(path).unwrap(),
                tags.into_iter(),
                slugs.into_iter(),
            )
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
        assert_eq!(found("author/maria"), leads("/about"));
        assert_eq!(found("page/3"), leads("/?page=3"));
        assert_eq!(found("page/three"), None);
        assert_eq!(found("2015/05"), Some(Former::Below));
        assert_eq!(found("inside"), Some(Former::Below));
        assert_eq!(found("insid"), None);
    }
}
