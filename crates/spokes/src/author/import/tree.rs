//! A tree of Markdown files, as static site generators keep blogs.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use spokes_log::name::Slug;

use crate::author::{
    body,
    import::{Brought, links::Addresses, markup},
    matter::{self, Matter},
    publish::{FILE_BYTES_MAX, Item},
    report::Row,
    stop::Stop,
};

/// Folders deep that an import looks: deeper is a link in a circle.
const TREE_DEPTH_MAX: usize = 32;

/// What lies in a folder.
#[derive(Default)]
struct Tree {
    texts: Vec<PathBuf>,
    /// Texts in folders of drafts, with the topmost such folder of each.
    drafts: Vec<(PathBuf, PathBuf)>,
    sections: Vec<PathBuf>,
    others: usize,
    /// Folders that were asked to be left out, and how many Markdown files they hold.
    left_out: Vec<PathBuf>,
    left: usize,
}

/// Reads a folder, or one file.
pub(super) fn read(path: &Path, leave_out: &[PathBuf]) -> Result<Brought, Stop> {
    let mut found = Tree::default();
    let root = if path.is_dir() {
        found.left_out = to_leave_out(path, leave_out)?;
        found.walk(path, path, 0, Fate::Comes)?;
        path
    } else {
        found.texts.push(path.to_owned());
        path.parent().unwrap_or(path)
    };
    let shown = |file: &Path| {
        let shown = file.strip_prefix(root).unwrap_or(file);
        shown.display().to_string()
    };
    let mut brought = Brought::default();
    for file in &found.texts {
        match read_one(file, root, shown(file)) {
            Ok(item) if item.matter.title.is_none() && item.matter.body.is_empty() => {
                let why = "it has neither a title nor words".to_owned();
                brought
                    .rows
                    .push(Row::of_file(item.name, "skipped", Some(why)));
            }
            Ok(item) => match item.matter.withheld {
                // Before slugs are given out, so that a draft takes nobody's address.
                Some((outcome, why)) => {
                    brought
                        .rows
                        .push(Row::of_file(item.name, outcome, Some(why)))
                }
                None => brought.items.push(item),
            },
            Err(row) => brought.rows.push(*row),
        }
    }
    brought.rows.extend(found.rows(shown));
    tell_apart(&mut brought.items);
    for item in &mut brought.items {
        item.matter.note_renamed();
        keep_old_address(item);
    }
    let addresses = Addresses::of(&brought.items);
    brought
        .items
        .iter_mut()
        .for_each(|item| addresses.rewrite(item));
    brought.said = format!(
        "{} Markdown files found, {} other files, of which pictures go along where they are used",
        found.texts.len() + found.drafts.len() + found.sections.len(),
        found.others
    );
    if !leave_out.is_empty() {
        brought.said.push_str(&format!(
            "; {} Markdown files left out as asked",
            found.left
        ));
    }
    Ok(brought)
}

/// What becomes of what lies in a folder.
#[derive(Clone, Copy)]
enum Fate<'p> {
    Comes,
    /// It is a draft, as this folder's name says.
    Waits(&'p Path),
    /// Its author asked for it to stay out.
    Stays,
}

/// The folders that stay out, as they are called below `root`.
///
/// What is mistyped would be published, and that is for ever: so each must be there.
fn to_leave_out(root: &Path, leave_out: &[PathBuf]) -> Result<Vec<PathBuf>, Stop> {
    let real = fs::canonicalize(root).map_err(|why| Stop::disk(root, why))?;
    let below = |path: &Path| {
        let path = fs::canonicalize(path).ok()?;
        let below = path.strip_prefix(&real).ok()?;
        (below != Path::new("")).then(|| below.to_owned())
    };
    leave_out
        .iter()
        .map(|out| {
            below(&root.join(out))
                .or_else(|| below(out))
                .ok_or_else(|| {
                    Stop::Usage(format!(
                        "there is no folder \"{}\" below {}; nothing was sent",
                        out.display(),
                        root.display()
                    ))
                })
        })
        .collect()
}

/// Whether a folder's name says that what lies in it is not finished: Jekyll's `_drafts`, and what
/// people call theirs.
fn is_of_drafts(name: &str) -> bool {
    let name = name.to_lowercase();
    matches!(name.trim_start_matches('_'), "draft" | "drafts")
}

impl Tree {
    fn walk(&mut self, root: &Path, dir: &Path, depth: usize, fate: Fate<'_>) -> Result<(), Stop> {
        if depth > TREE_DEPTH_MAX {
            return Err(Stop::disk(
                dir,
                format!("lies deeper than {TREE_DEPTH_MAX} folders"),
            ));
        }
        let files = fs::read_dir(dir).map_err(|why| Stop::disk(dir, why))?;
        let mut files = files
            .collect::<Result<Vec<_>, _>>()
            .map_err(|why| Stop::disk(dir, why))?;
        files.sort_by_key(fs::DirEntry::file_name);
        for file in files {
            let (path, name) = (file.path(), file.file_name().to_string_lossy().into_owned());
            let kind = file.file_type().map_err(|why| Stop::disk(&path, why))?;
            let markdown = name.ends_with(".md") || name.ends_with(".markdown");
            let below = path.strip_prefix(root).unwrap_or(&path);
            let fate = match fate {
                _ if self.left_out.iter().any(|out| out == below) => Fate::Stays,
                Fate::Comes if kind.is_dir() && is_of_drafts(&name) => Fate::Waits(&path),
                fate => fate,
            };
            match fate {
                _ if name.starts_with('.') => {}
                // Links to folders may lead in a circle, or out.
                _ if kind.is_dir() => self.walk(root, &path, depth + 1, fate)?,
                Fate::Stays => self.left += usize::from(markdown),
                Fate::Waits(folder) if markdown => {
                    self.drafts.push((path.clone(), folder.to_owned()));
                }
                _ if markdown && name.starts_with("_index.") => self.sections.push(path),
                _ if markdown => self.texts.push(path),
                _ => self.others += 1,
            }
        }
        Ok(())
    }

    /// Of what is there and does not come.
    fn rows(&self, shown: impl Fn(&Path) -> String) -> Vec<Row> {
        let drafts = self.drafts.iter().map(|(draft, folder)| {
            let why = format!(
                "it lies in the folder \"{}\", so it was left out; to take it along, import that \
                 folder by itself: spokes blog import {}",
                shown(folder),
                folder.display()
            );
            Row::of_file(shown(draft), "draft", Some(why))
        });
        let sections = self.sections.iter().map(|section| {
            let why = "the text of a section, no article; left out".to_owned();
            Row::of_file(shown(section), "skipped", Some(why))
        });
        drafts.chain(sections).collect()
    }
}

/// Reads a file as `publish` does, and mends what only its generator understands.
fn read_one(path: &Path, tree: &Path, name: String) -> Result<Item, Box<Row>> {
    let no = |why: String| Box::new(Row::of_file(name.clone(), "refused", Some(why)));
    // A folder from somebody else may hold a link to a key of hers, and what is published is public.
    let real = |path: &Path| fs::canonicalize(path).map_err(|why| no(why.to_string()));
    if !real(path)?.starts_with(real(tree)?) {
        return Err(no(
            "it is a link that leads out of the folder; name the file itself to take it".to_owned(),
        ));
    }
    let size = fs::metadata(path).map_err(|why| no(why.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(no(format!(
            "it has {size} bytes, the limit is {FILE_BYTES_MAX}"
        )));
    }
    let bytes = fs::read(path).map_err(|why| no(why.to_string()))?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let (clean, lines) = markup::without_controls(text.trim_start_matches('\u{feff}'));
    // What is not UTF-8 is told by who reads it.
    let bytes = if text.is_empty() {
        bytes
    } else {
        clean.into_bytes()
    };
    let placed = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut matter = Matter::read(&placed, &bytes).map_err(no)?;
    let mended = markup::mended(
        &matter.body,
        matter.title.as_deref(),
        bytes.starts_with(b"---"),
    );
    matter.body = body::canonical(&mended.body, 1).map_err(no)?;
    matter.notes.extend(mended.notes);
    if !lines.is_empty() {
        let shown: Vec<String> = lines.iter().take(5).map(ToString::to_string).collect();
        let note = format!(
            "characters that show nothing were taken out in line {}",
            shown.join(", ")
        );
        matter.notes.push(note);
    }
    Ok(Item {
        name,
        path: path.to_owned(),
        tree: tree.to_owned(),
        source: format!("file {}", placed.display()),
        matter,
    })
}

/// Slugs guessed from the names of files in several folders get their folders' names before them.
fn tell_apart(items: &mut [Item]) {
    let mut holders: BTreeMap<Slug, usize> = BTreeMap::new();
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|i| {
        let item = &items[*i];
        (
            item.matter.slug_guessed,
            item.name.matches('/').count(),
            item.name.clone(),
        )
    });
    for index in order {
        let item = &mut items[index];
        let Some(slug) = item.matter.slug.clone() else {
            continue;
        };
        if holders.contains_key(&slug) && item.matter.slug_guessed {
            let folder = Path::new(&item.name)
                .parent()
                .map(|p| p.display().to_string());
            let folder = folder.unwrap_or_default();
            let longer = format!("{folder}/{slug}");
            item.matter.slug = matter::slug_of_path(&longer).or(item.matter.slug.take());
            let wanted = item.matter.wanted.take();
            item.matter.wanted = wanted.map(|name| format!("{folder}/{name}"));
        }
        if let Some(slug) = item.matter.slug.clone() {
            holders.entry(slug).or_insert(index);
        }
    }
}

/// Where nothing says what address a file had, generators make it of its path, or of its date.
fn keep_old_address(item: &mut Item) {
    let matter = &mut item.matter;
    if !matter.slug_guessed {
        return;
    }
    let bare = item
        .name
        .rsplit_once('.')
        .map_or(item.name.as_str(), |(bare, _)| bare);
    let bare = bare.strip_suffix("/index").unwrap_or(bare);
    let mut old = vec![bare.to_owned()];
    if let (Some(date), Some(slug)) = (matter.date, &matter.slug) {
        let stem = bare.rsplit('/').next().unwrap_or(bare);
        let day = date.to_string()[..10].to_owned();
        // Jekyll: `_posts/2020-01-02-day.md` stood at /2020/01/02/day.html.
        if stem.starts_with(&day) {
            old = vec![format!("{}/{slug}.html", day.replace('-', "/"))];
        }
    }
    for address in old {
        match Slug::parse(&address) {
            Ok(alias) if Some(&alias) == matter.slug.as_ref() => {}
            Ok(alias) if matter.aliases.contains(&alias) => {}
            Ok(alias) => matter.aliases.push(alias),
            Err(_) if matter.wanted.as_ref() == Some(&address) => {}
            Err(_) if address.split('/').any(matter::is_reserved) => {
                matter.lose_address("old address", &address);
            }
            // Only guessed, and no address that a generator makes.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brought(files: &[(&str, &str)], leave_out: &[&str]) -> Brought {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        let leave_out: Vec<PathBuf> = leave_out.iter().map(PathBuf::from).collect();
        read(dir.path(), &leave_out).expect("read")
    }

    #[test]
    fn a_link_that_leads_out_brings_nothing_in() {
        let (secret, dir) = (tempfile::tempdir(), tempfile::tempdir());
        let (secret, dir) = (secret.expect("a folder"), dir.expect("a folder"));
        let key = secret.path().join("key");
        fs::write(&key, "A private key").expect("written");
        fs::write(dir.path().join("real.md"), "Real").expect("written");
        for (to, name) in [(&key, "out.md"), (&dir.path().join("real.md"), "within.md")] {
            std::os::unix::fs::symlink(to, dir.path().join(name)).expect("linked");
        }
        let brought = read(dir.path(), &[]).expect("read");
        let names: Vec<&str> = brought
            .items
            .iter()
            .map(|item| item.name.as_str())
            .collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(!names.contains(&"out.md"), "{names:?}");
    }

    fn names(brought: &Brought) -> Vec<&str> {
        let items = brought.items.iter();
        items.map(|item| item.name.as_str()).collect()
    }

    #[test]
    fn drafts_are_named_and_stay_out() {
        let files = [
            ("_drafts/one.md", "Not yet"),
            ("blog/Drafts/deep/two.md", "Nor this"),
            ("blog/draft/three.md", "Nor this"),
            ("drafts-of-laws/four.md", "On laws"),
            ("marked.md", "---\nstatus: draft\nslug: five\n---\nx"),
            ("paid.md", "---\nvisibility: paid\n---\nx"),
            ("real/five.md", "Real"),
        ];
        let whole = brought(&files, &[]);
        assert_eq!(names(&whole), ["drafts-of-laws/four.md", "real/five.md"]);
        let rows: Vec<String> = whole.rows.iter().map(Row::sentence).collect();
        let rows = rows.join("\n");
        for said in [
            "marked.md: draft: its status",
            "paid.md: private: its visibility",
            "_drafts/one.md: draft: it lies in the folder \"_drafts\"",
            "blog/Drafts/deep/two.md: draft: it lies in the folder \"blog/Drafts\"",
            "blog/draft/three.md: draft: ",
            "spokes blog import /",
        ] {
            assert!(rows.contains(said), "{said} is not in {rows}");
        }
        let five = whole.items.last().and_then(|item| item.matter.slug.clone());
        assert_eq!(
            five.as_ref().map(Slug::as_str),
            Some("five"),
            "a draft has no address"
        );
        // What she names herself she means.
        let dir = tempfile::tempdir().expect("a folder");
        let drafts = dir.path().join("_drafts");
        fs::create_dir(&drafts).expect("made");
        fs::write(drafts.join("one.md"), "Now").expect("written");
        let meant = read(&drafts, &[]).expect("read");
        assert_eq!(names(&meant), ["one.md"]);
    }

    #[test]
    fn what_is_to_stay_out_must_be_there() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(dir.path().join("a/b")).expect("made");
        fs::write(dir.path().join("a/b/c.md"), "c").expect("written");
        for out in ["a", "./a/", "a/b", "a/../a"] {
            let brought = read(dir.path(), &[out.into()]).expect("read");
            assert_eq!(names(&brought), Vec::<&str>::new(), "{out}");
        }
        let whole = dir.path().join("a/b");
        assert!(names(&read(dir.path(), &[whole]).expect("read")).is_empty());
        for out in ["nosuch", "", ".", "..", "/"] {
            let stop = read(dir.path(), &[out.into()]).err().expect("refused");
            assert!(matches!(stop, Stop::Usage(_)), "{out}: {stop}");
            let said = format!("there is no folder \"{out}\" below ");
            assert!(stop.to_string().starts_with(&said), "{stop}");
        }
    }

    #[test]
    fn every_file_is_an_item_or_a_row() {
        let brought = brought(
            &[
                ("_index.md", "+++\ntitle = \"S\"\n+++\n"),
                ("releases/latest.md", "+++\ntemplate = \"x\"\n+++\n"),
                ("a.md", "Form\u{c}feed"),
                ("bad.md", "---\ndate: soon\n---\n"),
                ("inside/b.md", "b"),
                ("pic.png", "x"),
                (".git/c.md", "c"),
            ],
            &["inside"],
        );
        let names: Vec<&str> = brought
            .items
            .iter()
            .map(|item| item.name.as_str())
            .collect();
        assert_eq!((names, brought.rows.len()), (vec!["a.md"], 3));
        assert_eq!(brought.items[0].matter.body, "Form feed");
        assert!(brought.items[0].matter.notes[0].contains("line 1"));
        assert!(
            brought.said.contains("1 other files")
                && brought.said.contains("1 Markdown files left out")
        );
    }

    #[test]
    fn one_name_in_folders_of_languages_is_many_articles() {
        let file = |lang: &str| format!("---\nlang: {lang}\n---\n[x](../b/)");
        let brought = brought(
            &[
                ("a.md", &file("en")),
                ("ar/a.md", &file("ar")),
                ("ar/b.md", "b"),
                ("b.md", "b"),
            ],
            &[],
        );
        let shown: Vec<String> = brought
            .items
            .iter()
            .map(|item| {
                format!(
                    "{} {}",
                    item.matter.slug.as_ref().expect("one"),
                    item.matter.body
                )
            })
            .collect();
        assert_eq!(shown, ["a [x](/b)", "ar/a [x](/ar/b)", "ar/b b", "b b"]);
    }

    #[test]
    fn what_cannot_have_its_address_says_so_and_is_still_linked() {
        let brought = brought(
            &[
                ("ar/best.md", "[x](../metrics/)"),
                ("ar/metrics.md", "a"),
                ("best.md", "[x](/metrics)"),
                ("metrics.md", "b"),
                ("tags/x.md", "c"),
            ],
            &[],
        );
        let shown: Vec<String> = brought
            .items
            .iter()
            .map(|item| format!("{}: {}", item.matter.body, item.matter.notes.join("; ")))
            .collect();
        let word = "\"metrics\" is a path that every blog has";
        assert_eq!(
            shown,
            [
                "[x](/ar/metrics-1): ".to_owned(),
                format!(
                    "a: its address cannot be \"ar/metrics\": {word}; it became \"ar/metrics-1\""
                ),
                "[x](/metrics-1): ".to_owned(),
                format!("b: its address cannot be \"metrics\": {word}; it became \"metrics-1\""),
                "c: the old address \"tags/x\" was left out: \"tags\" is a path that every blog has"
                    .to_owned(),
            ]
        );
    }

    #[test]
    fn old_addresses_that_nobody_wrote_down_lead_here() {
        let brought = brought(
            &[
                ("_posts/2020-01-02-day.md", "x"),
                ("posts/deep/one.md", "y"),
                ("trip/index.md", "z"),
            ],
            &[],
        );
        let aliases: Vec<String> = brought
            .items
            .iter()
            .map(|item| {
                let aliases = item.matter.aliases.iter().map(Slug::to_string);
                format!(
                    "{}: {}",
                    item.matter.slug.as_ref().expect("one"),
                    aliases.collect::<String>()
                )
            })
            .collect();
        assert_eq!(
            aliases,
            ["day: 2020/01/02/day.html", "one: posts/deep/one", "trip: "]
        );
    }
}
