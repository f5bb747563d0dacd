//! Real blogs come in whole, where they are at hand: they lie beside the project, not in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{Brought, Import, read};
use crate::author::{
    media,
    publish::Item,
    report::{Row, counts},
    signer::SigningKey,
};

/// A folder of real blogs: `SPOKES_CORPORA`, else beside the repository; none where there is none.
fn corpus(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    let corpora = std::env::var_os("SPOKES_CORPORA").map_or_else(beside, PathBuf::from);
    let path = corpora.join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!(
        "skipped: there is no {}; SPOKES_CORPORA says where it is",
        path.display()
    );
    None
}

fn brought(path: PathBuf, leave_out: &[&str]) -> Brought {
    let import = Import {
        path,
        blog: "maria".to_owned(),
        leave_out: leave_out.iter().map(PathBuf::from).collect(),
        media: None,
        fetch_media: false,
        site: None,
        fetch_near: false,
        signing: SigningKey::default(),
    };
    read(&import)
        .map_err(|stop| stop.to_string())
        .expect("read")
}

/// What every import must be: slugs given once, none refused.
#[track_caller]
fn check(brought: &Brought, items: usize, rows: &[(&str, usize)]) {
    let found = counts(&brought.rows);
    assert_eq!(
        found,
        rows.iter().copied().collect::<BTreeMap<_, _>>(),
        "{}",
        brought.said
    );
    assert_eq!(brought.items.len(), items, "{}", brought.said);
    let slugs: BTreeSet<_> = brought
        .items
        .iter()
        .filter_map(|item| item.matter.slug.clone())
        .collect();
    assert_eq!(slugs.len(), items, "no two have one slug");
}

fn named<'a>(brought: &'a Brought, name: &str) -> &'a Item {
    brought
        .items
        .iter()
        .find(|item| item.name == name)
        .expect(name)
}

#[test]
fn the_rust_blog_comes_in_whole() {
    let Some(path) = corpus("rust-blog/content") else {
        return;
    };
    let whole = brought(path.clone(), &[]);
    check(&whole, 750, &[("skipped", 4)]);
    check(
        &brought(path.clone(), &["inside-rust"]),
        387,
        &[("skipped", 3)],
    );
    check(
        &brought(path.join("inside-rust"), &[]),
        363,
        &[("skipped", 1)],
    );
    let first = named(&whole, "Rust-1.0@1.md");
    assert_eq!(
        first.matter.slug.as_ref().map(|s| s.as_str()),
        Some("2015/05/15/Rust-1.0")
    );
    assert!(
        first
            .matter
            .aliases
            .iter()
            .any(|alias| alias.as_str() == "releases/1.0.0")
    );
    assert!(whole.items.iter().all(|item| item.matter.date.is_some()));
    assert!(
        whole
            .items
            .iter()
            .all(|item| !item.matter.body.contains("](@/"))
    );
}

#[test]
fn the_guides_come_in_with_their_languages() {
    let Some(path) = corpus("opensource-guide/_articles") else {
        return;
    };
    let brought = brought(path, &[]);
    check(&brought, 350, &[]);
    let languages: BTreeSet<_> = brought
        .items
        .iter()
        .filter_map(|i| i.matter.language.clone())
        .collect();
    assert_eq!(languages.len(), 29);
    for item in &brought.items {
        let (matter, name) = (&item.matter, &item.name);
        let folder = name.split_once('/').map(|(folder, _)| folder);
        if let (Some(folder), Some(language)) = (folder, &matter.language) {
            assert!(language.as_str() == folder, "{name}");
        }
        assert!(
            !matter.body.contains("markdown=\"1\"") && !matter.body.contains("{:"),
            "{name}"
        );
        let relative = media::mentions(&matter.body)
            .into_iter()
            .filter(|m| m.name.starts_with("../"));
        assert_eq!(
            relative.map(|m| m.name).collect::<Vec<_>>(),
            Vec::<String>::new(),
            "{name}"
        );
    }
    let arabic = named(&brought, "ar/legal.md");
    assert!(
        arabic.matter.body.contains("](/ar/"),
        "links stay in their language"
    );
    let redirected = named(&brought, "zh-hans/legal.md");
    assert!(
        redirected
            .matter
            .aliases
            .iter()
            .any(|alias| alias.as_str() == "zh-cn/legal")
    );
}

#[test]
fn the_theme_test_of_wordpress_comes_in_whole() {
    let Some(path) = corpus("wordpress/themeunittestdata.wordpress.xml") else {
        return;
    };
    let brought = brought(path, &[]);
    let rows = [
        ("draft", 1),
        ("medium", 37),
        ("protected", 1),
        ("scheduled", 1),
        ("skipped", 70),
    ];
    check(&brought, 76, &rows);
    let sentences: Vec<String> = brought.rows.iter().map(Row::sentence).collect();
    let scheduled = sentences
        .iter()
        .find(|row| row.contains("scheduled"))
        .expect("one");
    assert!(scheduled.contains("2030-01-01T19:00:18Z"), "{scheduled}");
    let greek = brought
        .items
        .iter()
        .find(|item| item.name.starts_with("page 1811"))
        .expect("there");
    assert_eq!(
        greek.matter.slug.as_ref().map(|s| s.as_str()),
        Some("επίπεδο-2")
    );
    let comments: Vec<&String> = brought
        .items
        .iter()
        .flat_map(|i| &i.matter.notes)
        .filter(|n| n.contains("stay behind"))
        .collect();
    assert!(
        comments.iter().any(|note| note.starts_with("19 comments")),
        "{comments:?}"
    );
    let bodies = brought.items.iter().map(|item| item.matter.body.as_str());
    let shortcodes = bodies.filter(|body| body.contains("[gallery") || body.contains("[caption"));
    assert_eq!(shortcodes.count(), 0);
}
