//! `import`: a blog that stands elsewhere comes in, whole, with a row for each of its parts.
//!
//! A tree of Markdown, a WordPress export and a Ghost export become the same kind of item (`Item`), so
//! that one way publishes, resumes and reports.

mod cards;
mod far;
mod ghost;
mod html;
mod links;
mod markup;
mod places;
mod stored;
mod tree;
mod wordpress;
mod wxr;

use std::{
    fs::{self, File},
    io::{BufReader, Read as _, Seek as _},
    path::{Path, PathBuf},
};

use spokes_log::time::Time;

pub(super) use far::{Far, Found};
pub(super) use places::Places;

use crate::author::{
    Desk,
    import::{
        far::Fetch,
        links::Addresses,
        stored::Stored,
        wordpress::Shelf,
        wxr::{Post, Site},
    },
    matter::parse_date,
    now,
    publish::{self, Item, Manner},
    report::Row,
    signer::SigningKey,
    stop::Stop,
    tally::Tally,
};

/// Bytes of an export that is read: a blog of ten thousand long posts has a tenth of it.
const EXPORT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Bytes by which a file is recognised: WordPress explains itself at length first.
const BEGINNING_BYTES: u64 = 4 * 1024;

/// `spokes blog import`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Import {
    /// A folder of Markdown files, one file, a WordPress export (.xml) or a Ghost export (.json)
    path: PathBuf,
    /// The blog's name
    #[arg(long, value_name = "NAME")]
    blog: String,
    /// A folder below PATH that stays out; may be given again
    #[arg(long, value_name = "DIR")]
    leave_out: Vec<PathBuf>,
    /// A copy of the old site's pictures, such as wp-content/uploads
    #[arg(long, value_name = "DIR")]
    media: Option<PathBuf>,
    /// Fetch pictures from the servers where they lie, with your curl
    #[arg(long)]
    fetch_media: bool,
    /// Where the old site stands, for addresses without a host
    #[arg(long, value_name = "URL")]
    site: Option<String>,
    /// Fetch from addresses of this house, too
    #[arg(long, hide = true)]
    fetch_near: bool,
    #[command(flatten)]
    signing: SigningKey,
}

/// What a blog that comes in consists of.
#[derive(Default)]
struct Brought {
    items: Vec<Item>,
    /// Of what is not published.
    rows: Vec<Row>,
    /// What was found, in one sentence.
    said: String,
    /// Where the old site stands, if the export says so.
    site: Option<String>,
}

/// Runs `import`.
pub(crate) async fn import(args: &Import, desk: &Desk<'_>) -> Result<(), Stop> {
    let fetch = args.fetch_media.then(|| Fetch::new(args.fetch_near));
    let mut far = Far::new(args.media.clone(), args.site.as_deref(), fetch)?;
    let mut brought = read(args)?;
    if let Some(site) = &brought.site {
        far.of_site(site);
    }
    let later = now();
    let (items, scheduled): (Vec<Item>, Vec<Item>) = brought
        .items
        .into_iter()
        .partition(|item| item.matter.date.is_none_or(|date| date <= later));
    brought.rows.extend(scheduled.into_iter().map(|item| {
        let at = item.matter.date.unwrap_or(later);
        let why = format!("it was to appear on {at}; publish it then");
        Row::of_file(item.name, "scheduled", Some(why))
    }));
    let mut items = items;
    items.sort_by(|a, b| (a.matter.date, &a.name).cmp(&(b.matter.date, &b.name)));
    give_dates(&mut items, later);
    desk.console.say(&brought.said);
    let manner = Manner {
        page: false,
        ask: false,
        must_exist: false,
        lenient: true,
    };
    publish::send(
        &args.blog,
        &args.signing,
        items,
        brought.rows,
        manner,
        far,
        desk,
    )
    .await
}

/// Texts without a date get one each, a second apart, so that they stay in the order of their names.
fn give_dates(items: &mut [Item], now: Time) {
    let undated = items.iter_mut().filter(|item| item.matter.date.is_none());
    for (before, item) in (0..).zip(undated.rev()) {
        item.matter.otherwise = Some(now - before);
    }
}

fn read(args: &Import) -> Result<Brought, Stop> {
    let path = &args.path;
    if path.is_dir() {
        return tree::read(path, &args.leave_out);
    }
    if let Some(out) = args.leave_out.first() {
        let (out, path) = (out.display(), path.display());
        return Err(Stop::Usage(format!(
            "--leave-out {out} is for folders, and {path} is none; nothing was sent"
        )));
    }
    let failed = |why: std::io::Error| Stop::disk(path, why);
    let mut file = File::open(path).map_err(failed)?;
    let mut beginning = Vec::new();
    file.by_ref()
        .take(BEGINNING_BYTES)
        .read_to_end(&mut beginning)
        .map_err(failed)?;
    file.rewind().map_err(failed)?;
    let beginning = String::from_utf8_lossy(&beginning).into_owned();
    let beginning = beginning.trim_start_matches('\u{feff}').trim_start();
    let size = fs::metadata(path).map_err(failed)?.len();
    let is_export = wxr::is_one(beginning) || ghost::is_one(beginning);
    if is_export && size > EXPORT_BYTES_MAX {
        return Err(Stop::disk(
            path,
            format!("has {size} bytes, the limit is {EXPORT_BYTES_MAX}; export it in parts"),
        ));
    }
    let no = |why: String| Stop::disk(path, format!("{why}; nothing was sent"));
    let file = BufReader::new(file);
    if wxr::is_one(beginning) {
        let site = wxr::read(file).map_err(no)?;
        return Ok(of_wordpress(site));
    }
    if ghost::is_one(beginning) {
        return ghost::read(file, args.site.as_deref()).map_err(no);
    }
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    if matches!(ending.as_deref(), Some("md" | "markdown" | "txt")) {
        return tree::read(path, &args.leave_out);
    }
    Err(no(what_else(path, beginning)))
}

/// Why a file is none of those that are read, and what to do.
fn what_else(path: &Path, beginning: &str) -> String {
    if beginning.starts_with("PK\u{3}\u{4}") {
        return "is a ZIP archive; unpack it, and import what is in it".to_owned();
    }
    let is_xml = beginning.starts_with("<?xml") || beginning.starts_with("<rss");
    match path.extension().and_then(|ending| ending.to_str()) {
        _ if is_xml => "is XML, but no export of WordPress (Tools, Export, All content)".to_owned(),
        Some("json") => "is JSON, but no export of Ghost (Settings, Export)".to_owned(),
        _ => "is neither Markdown nor an export of WordPress or Ghost".to_owned(),
    }
}

/// A WordPress site: each item an item here, or a row that says why not.
fn of_wordpress(site: Site) -> Brought {
    let shelf = Shelf::of(&site.posts);
    let zone = site
        .posts
        .iter()
        .find_map(|post| Some(parse_date(&post.date_gmt)?.since(parse_date(&post.date)?)));
    let mut brought = Brought {
        said: format!("an export of WordPress: {} items", site.posts.len()),
        site: Some(site.address.clone()),
        ..Brought::default()
    };
    let shown: String = site
        .posts
        .iter()
        .map(|post| post.content.as_str())
        .collect::<Vec<_>>()
        .join("\n");
    let mut ids = Vec::new();
    for post in site.posts {
        let name = post.name();
        let date = post.date(zone.unwrap_or(0));
        if let Some((outcome, why)) = held_back(&post, date, &shown) {
            let mut row = Row::of_file(name, outcome, Some(why));
            row.note(&post.remarks());
            row.weigh(Tally {
                comments: post.comments,
                ..Tally::default()
            });
            if post.kind == "attachment" {
                row.is_medium(post.file.trim());
            }
            brought.rows.push(row);
            continue;
        }
        let id = post.id.clone();
        let stored = Stored {
            source: format!("wordpress {} {}", site.address.trim(), id.trim()),
            ..post.into_stored(date, &site.language, &shelf)
        };
        match stored.into_item() {
            Ok(item) => {
                ids.push(id);
                brought.items.push(item);
            }
            Err(row) => brought.rows.push(*row),
        }
    }
    stored::tell_apart(&mut brought.items);
    let mut addresses = Addresses::of(&brought.items);
    addresses.of_site(&site.address);
    for (id, item) in ids.iter().zip(&brought.items) {
        if let Some(slug) = &item.matter.slug {
            addresses.query(format!("?p={id}"), slug);
            addresses.query(format!("?page_id={id}"), slug);
        }
    }
    brought
        .items
        .iter_mut()
        .for_each(|item| addresses.rewrite(item));
    brought
}

/// Why an item is not published, in one word and a sentence.
fn held_back(post: &Post, date: Option<Time>, shown: &str) -> Option<(&'static str, String)> {
    let out = |word: &'static str, why: &str| Some((word, why.to_owned()));
    match post.kind.as_str() {
        "post" | "page" => {}
        "attachment" => {
            let file = post.file.trim();
            let stem = file
                .rsplit('/')
                .next()
                .and_then(|name| name.rsplit_once('.'));
            let used = stem.is_some_and(|(stem, _)| !stem.is_empty() && shown.contains(stem));
            let how = if used {
                "a text shows it, but it was left behind; --media or --fetch-media takes it along"
            } else {
                "left behind, no text shows it by name"
            };
            return Some(("medium", format!("{file}: {how}")));
        }
        "nav_menu_item" => return out("skipped", "a line of the old site's menu"),
        "revision" => return out("skipped", "an earlier version of a post"),
        kind if kind.starts_with("wp_") || kind == "custom_css" => {
            return Some((
                "skipped",
                format!("a part of the old site's looks ({kind})"),
            ));
        }
        kind => {
            return Some((
                "skipped",
                format!("of the type \"{kind}\", which a plugin made"),
            ));
        }
    }
    match post.status.as_str() {
        "trash" => return out("trash", "it was in the trash"),
        "draft" | "pending" | "auto-draft" | "" => {
            return out("draft", "a draft, so it was left out");
        }
        "private" => return out("private", "only you could read it, so it was left out"),
        "future" | "publish" => {}
        status => {
            return Some((
                "skipped",
                format!("its state is \"{status}\", which is not known here"),
            ));
        }
    }
    if !post.password.trim().is_empty() {
        return out("protected", "it was behind a password, so it was left out");
    }
    // A day that has come since the export was made does not make it hers to publish unasked.
    (post.status == "future").then(|| {
        let at = date.map_or_else(|| "a later day".to_owned(), |date| date.to_string());
        (
            "scheduled",
            format!("it was to appear on {at}; publish it then"),
        )
    })
}

impl Post {
    fn name(&self) -> String {
        let name = links::decoded(self.name.trim());
        match name.as_str() {
            "" => stored::titled(&format!("{} {}", self.kind, self.id), &self.title),
            name => format!("{} {} ({name})", self.kind, self.id),
        }
    }

    /// When it appeared. Drafts have a date of the site's zone alone.
    fn date(&self, zone: i64) -> Option<Time> {
        let real = |text: &str| parse_date(text.trim()).filter(|_| !text.starts_with("0000"));
        real(&self.date_gmt).or_else(|| Some(real(&self.date)? + zone))
    }

    fn remarks(&self) -> Vec<String> {
        match self.comments {
            0 => Vec::new(),
            1 => vec!["1 comment stays behind".to_owned()],
            count => vec![format!("{count} comments stay behind")],
        }
    }

    fn into_stored(self, date: Option<Time>, language: &str, shelf: &Shelf) -> Stored {
        let content = wordpress::content(&self, shelf);
        let picture = shelf.picture(&self.picture);
        let mut notes = self.remarks();
        notes.extend(content.notes);
        Stored {
            name: self.name(),
            picture: picture.map(|picture| (picture.address.clone(), picture.alt.clone())),
            title: self.title,
            slug: self.name,
            date,
            language: language.to_owned(),
            tags: self.tags,
            html: content.html,
            lines: content.lines,
            is_page: self.kind == "page",
            old: vec![self.link],
            notes,
            tally: Tally {
                authors: Some(self.author.trim().to_owned())
                    .into_iter()
                    .filter(|name| !name.is_empty())
                    .collect(),
                comments: self.comments,
                ..Tally::default()
            },
            ..Stored::default()
        }
    }
}

#[cfg(test)]
mod tests;
