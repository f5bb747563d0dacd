//! Links between the texts of one import: what led to a file, or to an address of the old site, leads
//! to the article that came of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path},
};

use spokes_log::name::Slug;

use crate::author::{
    media::{self, Mention},
    publish::Item,
};

/// Links named in one item's report; the rest are counted.
const NAMED_MAX: usize = 5;

/// Where everything went.
#[derive(Default)]
pub(super) struct Addresses {
    /// By path in the tree.
    files: BTreeMap<String, Slug>,
    /// By the name of the file alone, as Jekyll names posts.
    stems: BTreeMap<String, Slug>,
    /// By address, without slashes around it.
    places: BTreeMap<String, Slug>,
    /// By a query such as "?p=12".
    queries: BTreeMap<String, Slug>,
    /// Folders of bundles by the address of their article.
    bundles: BTreeMap<String, String>,
    /// Hosts of the old site.
    hosts: BTreeSet<String>,
}

/// What a link leads to.
enum Leads {
    To(String),
    Elsewhere,
    Nowhere,
}

impl Addresses {
    pub(super) fn of(items: &[Item]) -> Self {
        let mut addresses = Self::default();
        for item in items {
            let Some(slug) = &item.matter.slug else {
                continue;
            };
            addresses.places.insert(slug.to_string(), slug.clone());
            if item.path.as_os_str().is_empty() {
                continue;
            }
            addresses.files.insert(item.name.clone(), slug.clone());
            let (folder, file) = item.name.rsplit_once('/').unwrap_or(("", &item.name));
            let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
            addresses.stems.insert(stem.to_owned(), slug.clone());
            if stem == "index" {
                addresses
                    .bundles
                    .insert(slug.to_string(), folder.to_owned());
            }
        }
        // What could not have its address was linked to by that address all the same.
        for item in items {
            let matter = &item.matter;
            if let (Some(wanted), Some(slug)) = (&matter.wanted, &matter.slug) {
                let place = addresses.places.entry(wanted.clone());
                place.or_insert_with(|| slug.clone());
            }
        }
        // An article is found at its own address before it is at another's former one.
        for item in items {
            for alias in &item.matter.aliases {
                let slug = item.matter.slug.clone();
                let place = addresses.places.entry(alias.to_string());
                slug.map(|slug| place.or_insert(slug));
            }
        }
        addresses
    }

    /// Adds the site that an export is of.
    pub(super) fn of_site(&mut self, address: &str) {
        if let Some(host) = host_of(address) {
            self.hosts.insert(host);
        }
    }

    /// Adds a query that led to an article.
    pub(super) fn query(&mut self, query: String, slug: &Slug) {
        self.queries.insert(query, slug.clone());
    }

    /// Makes an item's links lead to where things are now; those that lead nowhere are named.
    pub(super) fn rewrite(&self, item: &mut Item) {
        let text = std::mem::take(&mut item.matter.body);
        let (mut body, mut end) = (String::with_capacity(text.len()), 0);
        let mut lost = BTreeSet::new();
        for mention in media::mentions(&text) {
            let to = match self.leads(item, &mention) {
                Leads::To(to) => to,
                Leads::Elsewhere => continue,
                Leads::Nowhere => {
                    lost.insert(mention.name);
                    continue;
                }
            };
            body.push_str(&text[end..mention.at.start]);
            body.push_str(&to);
            end = mention.at.end;
        }
        body.push_str(&text[end..]);
        item.matter.body = body;
        item.matter.tally.dead_links = lost.len();
        for name in lost.iter().take(NAMED_MAX) {
            let note = format!("its link \"{name}\" leads to nothing that was imported; it stays");
            item.matter.notes.push(note);
        }
        if lost.len() > NAMED_MAX {
            let note = format!("so do {} more links", lost.len() - NAMED_MAX);
            item.matter.notes.push(note);
        }
    }

    fn leads(&self, item: &Item, mention: &Mention) -> Leads {
        let name = mention.name.as_str();
        let (path, fragment) = name.split_once('#').unwrap_or((name, ""));
        let behind = if fragment.is_empty() {
            String::new()
        } else {
            format!("#{fragment}")
        };
        let to = |slug: &Slug| Leads::To(format!("/{slug}{behind}"));
        if let Some(path) = path.strip_prefix("@/") {
            let plain = decoded(path);
            let stem = plain.rsplit('/').next().unwrap_or_default();
            let stem = stem.rsplit_once(".m").map_or(stem, |(stem, _)| stem);
            let found = self.files.get(&plain).or_else(|| self.stems.get(stem));
            return found.map_or(Leads::Nowhere, to);
        }
        let far = name.contains("://") || name.starts_with("//");
        if far && !host_of(name).is_some_and(|host| self.hosts.contains(&host)) {
            return Leads::Elsewhere;
        }
        if path.is_empty()
            || !far
                && path
                    .split(['/', '?'])
                    .next()
                    .is_some_and(|s| s.contains(':'))
        {
            return Leads::Elsewhere;
        }
        if !mention.is_link {
            return self.picture(item, path);
        }
        if far || path.starts_with('/') {
            // A host without a path is the index, which is "/" here, too.
            let path = if far { path_of(path) } else { path };
            return match self.at(path) {
                Some(slug) => to(slug),
                None if path.trim_matches('/').is_empty() => Leads::To("/".to_owned()),
                None if far || path.starts_with("/media/") => Leads::Elsewhere,
                None => Leads::Nowhere,
            };
        }
        self.relative(item, path)
            .map_or_else(|| lost(item, path), to)
    }

    /// A relative link: to a file beside this one, else to an address beside the old one.
    fn relative(&self, item: &Item, path: &str) -> Option<&Slug> {
        let plain = decoded(path.split('?').next().unwrap_or_default());
        let folder = item.name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let file = joined(folder, &plain).and_then(|path| self.files.get(&path));
        let own = item.matter.slug.as_ref().map_or("", |slug| slug.as_str());
        let above = own.rsplit_once('/').map_or("", |(above, _)| above);
        // Generators write each page as a folder, so that ".." is the folder that it is in.
        file.or_else(|| self.at(&joined(own, &plain)?))
            .or_else(|| self.at(&joined(above, &plain)?))
    }

    fn at(&self, path: &str) -> Option<&Slug> {
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        if !query.is_empty() && bare.trim_matches('/').is_empty() {
            return self.queries.get(&format!("?{query}"));
        }
        let plain = decoded(bare);
        let place = plain.trim_matches('/');
        let place = place
            .strip_suffix("index.html")
            .unwrap_or(place)
            .trim_end_matches('/');
        let found = self.places.get(place);
        found.or_else(|| self.places.get(place.strip_suffix(".html")?))
    }

    /// A picture beside another article, named by the address that the article had.
    fn picture(&self, item: &Item, path: &str) -> Leads {
        let own = item.matter.slug.as_ref().map_or("", |slug| slug.as_str());
        let place = match path.strip_prefix('/') {
            Some(path) => Some(decoded(path)),
            None if lost_file(item, path) => joined(own, &decoded(path)),
            None => None,
        };
        let Some((article, file)) = place.as_deref().and_then(|place| place.rsplit_once('/'))
        else {
            return Leads::Elsewhere;
        };
        let Some(bundle) = self.bundles.get(article) else {
            return Leads::Elsewhere;
        };
        if !item.tree.join(bundle).join(file).is_file() {
            return Leads::Elsewhere;
        }
        let up = "../".repeat(item.name.matches('/').count());
        let to = format!("{up}{bundle}/{file}").replace(' ', "%20");
        Leads::To(to)
    }
}

/// Makes links lead to where articles were put whose address was taken.
pub(super) fn follow(text: &str, given: &BTreeMap<String, Slug>) -> String {
    let (mut body, mut end) = (String::with_capacity(text.len()), 0);
    for mention in media::mentions(text) {
        let name = mention.name.as_str();
        let (path, fragment) = name.split_at(name.find('#').unwrap_or(name.len()));
        let Some(slug) = path.strip_prefix('/').and_then(|path| given.get(path)) else {
            continue;
        };
        body.push_str(&text[end..mention.at.start]);
        body.push_str(&format!("/{slug}{fragment}"));
        end = mention.at.end;
    }
    body.push_str(&text[end..]);
    body
}

/// A text without what its links and pictures lead to.
pub(super) fn unlinked(text: &str) -> String {
    let (mut bare, mut end) = (String::with_capacity(text.len()), 0);
    for mention in media::mentions(text) {
        bare.push_str(&text[end..mention.at.start]);
        end = mention.at.end;
    }
    bare.push_str(&text[end..]);
    bare
}

/// What becomes of a relative link that leads to no article.
fn lost(item: &Item, path: &str) -> Leads {
    if lost_file(item, path) {
        Leads::Nowhere
    } else {
        Leads::Elsewhere
    }
}

fn lost_file(item: &Item, path: &str) -> bool {
    let folder = item.path.parent().unwrap_or(Path::new("."));
    !folder.join(decoded(path)).is_file()
}

/// A path from a folder of the tree, its dots resolved; none where it leads out of the tree.
fn joined(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in Path::new(folder).join(path).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::ParentDir => drop(parts.pop()?),
            _ => {}
        }
    }
    Some(parts.join("/"))
}

fn host_of(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("//")?;
    let host = rest
        .split(['/', '?', '#'])
        .next()
        .filter(|host| !host.is_empty())?;
    Some(host.trim_start_matches("www.").to_ascii_lowercase())
}

fn path_of(address: &str) -> &str {
    let rest = address.split_once("//").map_or("", |(_, rest)| rest);
    rest.find(['/', '?']).map_or("", |at| &rest[at..])
}

/// `%20` and the like as bytes again.
pub(super) fn decoded(name: &str) -> String {
    media::decoded(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::matter::Matter;

    fn item(name: &str, slug: &str, aliases: &[&str], body: &str) -> Item {
        let slug_of = |text: &str| Slug::parse(text).expect("a slug");
        Item {
            name: name.to_owned(),
            path: Path::new("/nowhere").join(name),
            tree: "/nowhere".into(),
            source: String::new(),
            matter: Matter {
                slug: Some(slug_of(slug)),
                aliases: aliases.iter().map(|alias| slug_of(alias)).collect(),
                body: body.to_owned(),
                ..Matter::default()
            },
        }
    }

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let mut items = [
            item("ar/best.md", "ar/best", &[], body),
            item("ar/start.md", "ar/start", &["old/start"], ""),
            item("start.md", "start", &[], ""),
            item("trip/index.md", "2024/05/trip", &["2024/05/trip.html"], ""),
            item("_posts/2020-01-02-day.md", "2020/01/02/day", &[], ""),
        ];
        let mut addresses = Addresses::of(&items);
        addresses.of_site("https://www.old.example/blog");
        addresses.query(
            "?p=7".to_owned(),
            items[2].matter.slug.as_ref().expect("one"),
        );
        addresses.rewrite(&mut items[0]);
        let matter = &items[0].matter;
        let lost: Vec<_> = matter
            .notes
            .iter()
            .filter_map(|n| n.split('"').nth(1))
            .collect();
        assert_eq!(
            format!("{} | {}", matter.body, lost.join(",")),
            expected,
            "{body}"
        );
    }

    #[test]
    fn links_between_files_lead_to_articles() {
        check(
            "[a](@/ar/start.md#x) [b](@/no.md)",
            "[a](/ar/start#x) [b](@/no.md) | @/no.md",
        );
        check(
            "[a](start.md) [b](../start.md 't')",
            "[a](/ar/start) [b](/start 't') | ",
        );
        check("[a](start.md#d&eacute;but)", "[a](/ar/start#début) | ");
        check("[a](@/2020-01-02-day)", "[a](/2020/01/02/day) | ");
        check(
            "[a][r]\n\n[r]: ../trip/index.md",
            "[a][r]\n\n[r]: /2024/05/trip | ",
        );
        check(
            "<a href=\"start.md\">x</a>",
            "<a href=\"/ar/start\">x</a> | ",
        );
    }

    #[test]
    fn links_between_addresses_lead_to_articles() {
        check(
            "[a](../start/#x) [b](./)",
            "[a](/ar/start#x) [b](/ar/best) | ",
        );
        check(
            "[a](/old/start/) [b](/2024/05/trip.html)",
            "[a](/ar/start) [b](/2024/05/trip) | ",
        );
        check(
            "[a](/no/) [b](#c) [d](mailto:a@b.c)",
            "[a](/no/) [b](#c) [d](mailto:a@b.c) | /no/",
        );
        check(
            "[a](http://old.example/start/) [b](https://old.example/?p=7) [c](https://old.example/x)",
            "[a](/start) [b](/start) [c](https://old.example/x) | ",
        );
        check(
            "[a](https://other.example/start)",
            "[a](https://other.example/start) | ",
        );
    }

    #[test]
    fn pictures_of_other_bundles_are_found() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("trip")).expect("made");
        std::fs::write(dir.path().join("trip/a b.png"), "x").expect("written");
        let in_tree = |name: &str, slug: &str, body: &str| Item {
            path: dir.path().join(name),
            tree: dir.path().to_owned(),
            ..item(name, slug, &[], body)
        };
        for (body, expected) in [
            ("![p](/2024/trip/a%20b.png)", "![p](../trip/a%20b.png)"),
            ("![p](../../2024/trip/a%20b.png)", "![p](../trip/a%20b.png)"),
            ("![p](/2024/trip/gone.png)", "![p](/2024/trip/gone.png)"),
            ("![p](gone.png)", "![p](gone.png)"),
        ] {
            let mut items = [
                in_tree("ar/best.md", "ar/best", body),
                in_tree("trip/index.md", "2024/trip", ""),
            ];
            Addresses::of(&items).rewrite(&mut items[0]);
            assert_eq!(items[0].matter.body, expected, "{body}");
        }
    }
}
