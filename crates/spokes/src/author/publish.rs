//! `publish`, `edit` and `import`: Markdown files become posts and pages.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use spokes_log::{
    blog::{Found, Post},
    draft::{Article, Draft, Says},
    entry::Entry,
    name::{Slug, Tags},
};

use crate::author::{
    Desk,
    import::{self, Far, Places},
    matter::Matter,
    media::{self, Around, Gathered},
    now,
    report::{self, Row},
    session::{self, Session},
    signer::{Signer, SigningKey, UserId},
    stop::Stop,
    tally::Tally,
};

/// Bytes of a Markdown file: twice the largest body, front matter and CRLF included.
pub(super) const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Refused texts that one entry stands instead of; the format's limit is 64 for all causes.
const REFUSED_MAX: usize = 32;

/// `spokes blog publish` and `spokes blog edit`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Publish {
    /// Markdown files; front matter gives title, slug, date, tags, language, draft, aliases
    #[arg(required = true, value_name = "FILE.md")]
    files: Vec<PathBuf>,
    /// The blog's name
    #[arg(long, value_name = "NAME")]
    blog: String,
    /// Publish as pages, outside the stream of posts
    #[arg(long)]
    page: bool,
    /// Replace articles that have the same slug without asking
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    signing: SigningKey,
}

/// How files are treated.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub(super) page: bool,
    /// Whether a person is asked before an article is replaced.
    pub(super) ask: bool,
    /// Whether the article must be there already.
    pub(super) must_exist: bool,
    /// Whether a picture that is not there is only noted.
    pub(super) lenient: bool,
}

/// A text that was read, from a file or out of an export.
pub(super) struct Item {
    /// What it is called in the report.
    pub(super) name: String,
    /// Its file; empty for what has none of its own.
    pub(super) path: PathBuf,
    /// The folder that the author gave.
    pub(super) tree: PathBuf,
    /// Where it came from, in words that an import remembers; empty where none does.
    pub(super) source: String,
    pub(super) matter: Matter,
}

/// How items are treated, and where their pictures come from.
struct Way {
    manner: Manner,
    far: Far,
    places: Places,
}

/// Runs `publish`, or `edit` when the articles must be there.
pub(crate) async fn publish(args: &Publish, must_exist: bool, desk: &Desk<'_>) -> Result<(), Stop> {
    let Desk { common, .. } = *desk;
    let manner = Manner {
        page: args.page,
        ask: !args.replace && !common.yes,
        must_exist,
        lenient: false,
    };
    let mut rows = Vec::new();
    let mut items = Vec::new();
    for path in &args.files {
        let tree = path.parent().unwrap_or(Path::new("."));
        let tree = if tree.as_os_str().is_empty() {
            Path::new(".")
        } else {
            tree
        };
        match Item::read(path, tree, &path.display().to_string()) {
            Ok(item) => items.push(item),
            Err(row) => rows.push(*row),
        }
    }
    let far = Far::default();
    send(&args.blog, &args.signing, items, rows, manner, far, desk).await
}

impl Item {
    fn read(path: &Path, tree: &Path, name: &str) -> Result<Self, Box<Row>> {
        let no = |why: String| Box::new(Row::of_file(name.to_owned(), "refused", Some(why)));
        let size = fs::metadata(path).map_err(|why| no(why.to_string()))?.len();
        if size > FILE_BYTES_MAX {
            return Err(no(format!(
                "it has {size} bytes, the limit is {FILE_BYTES_MAX}"
            )));
        }
        let bytes = fs::read(path).map_err(|why| no(why.to_string()))?;
        // `index.md` in the folder where we stand: its name is known only from outside.
        let placed = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut matter = Matter::read(&placed, &bytes).map_err(no)?;
        matter.note_renamed();
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            tree: tree.to_owned(),
            source: String::new(),
            matter,
        })
    }
}

/// Publishes items and reports them together with what is known already.
pub(super) async fn send(
    blog: &str,
    signing: &SigningKey,
    mut items: Vec<Item>,
    mut rows: Vec<Row>,
    manner: Manner,
    mut far: Far,
    desk: &Desk<'_>,
) -> Result<(), Stop> {
    let Desk {
        common,
        surroundings,
        console,
    } = *desk;
    if items.is_empty() && !rows.is_empty() {
        return report::print(console, common.json, &rows);
    }
    let mut signer = Signer::open(signing, UserId::Any, surroundings, console).await?;
    let mut session = Session::open(desk, blog).await?;
    far.recall(&session.shelf);
    let places = Places::recall(&session.shelf);
    let mut way = Way {
        manner,
        far,
        places,
    };
    let stopped = publish_all(&mut session, &mut signer, &mut items, &mut way, &mut rows)
        .await
        .err();
    way.places.remember(&session.shelf)?;
    rows.iter_mut()
        .for_each(|row| row.tell_medium(|file| way.far.has_brought(file)));
    if stopped.is_none() {
        session.look_again(&mut rows).await?;
    }
    session.remember()?;
    let printed = report::print(console, common.json, &rows);
    stopped.map_or(printed, Err)
}

async fn publish_all(
    session: &mut Session<'_>,
    signer: &mut Signer,
    items: &mut [Item],
    way: &mut Way,
    rows: &mut Vec<Row>,
) -> Result<(), Stop> {
    let resumed = session.flush(signer).await?;
    let mut halted = resumed.iter().any(Row::is_halted);
    rows.extend(resumed);
    if way.manner.lenient {
        way.places.settle(session, items);
    }
    let items = &*items;
    let mut slugs: BTreeMap<Slug, &str> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        session
            .console
            .progress(&format!("{} of {}: {}", index + 1, items.len(), item.name));
        if halted {
            let why = "not tried, because what was signed before it must go first";
            rows.push(Row::of_file(
                item.name.clone(),
                "untried",
                Some(why.to_owned()),
            ));
            continue;
        }
        if let Some(row) = publish_one(session, signer, item, way, &mut slugs, rows).await? {
            halted = row.is_halted();
            rows.push(row);
        }
    }
    Ok(())
}

/// Publishes one file; none when the outbox has just brought it.
async fn publish_one<'i>(
    session: &mut Session<'_>,
    signer: &mut Signer,
    item: &'i Item,
    way: &mut Way,
    slugs: &mut BTreeMap<Slug, &'i str>,
    rows: &[Row],
) -> Result<Option<Row>, Stop> {
    let row = |outcome, why: String| Ok(Some(Row::of_file(item.name.clone(), outcome, Some(why))));
    let manner = way.manner;
    if let Some((outcome, why)) = item.matter.withheld.clone() {
        return row(outcome, why);
    }
    if item.matter.title.is_none() && item.matter.body.trim().is_empty() {
        let why = "it has neither a title nor words; nothing was sent of it";
        return row("refused", why.to_owned());
    }
    let Some(slug) = item.matter.slug.clone() else {
        return row(
            "refused",
            "it has no slug, no title and no name to make one from".to_owned(),
        );
    };
    if let Some(other) = slugs.insert(slug.clone(), &item.name) {
        return row(
            "refused",
            format!("{other} has the slug \"{slug}\" too; give one another"),
        );
    }
    let current = match session.copy.blog.find(&slug) {
        Some(Found::Post(post)) => Some(post.clone()),
        _ => None,
    };
    if manner.must_exist && current.is_none() {
        return row(
            "refused",
            format!("no article has the slug \"{slug}\"; publish makes a new one"),
        );
    }
    let gathered = match gather(session, item, way).await {
        Ok(gathered) => gathered,
        Err(why) => return row("refused", why),
    };
    let draft = make(session, item, &slug, current.as_ref(), &gathered, manner)?;
    if let Some(current) = &current {
        if says_the_same(session, &draft, current) {
            way.places.learn(item, current.first, &session.shelf)?;
            let (sequence, id) = current.order();
            let brought = rows.iter().any(|row| row.is(id));
            let mut row = Row::unchanged(item.name.clone(), sequence, id, &slug);
            row.weigh(tally(item, Some(current), &gathered, way));
            return Ok((!brought).then_some(row));
        }
        if let Some(why) = left_alone(session, item, current, &gathered, way) {
            return row("refused", why);
        }
    }
    // Judged before the signer is troubled, so that one bad file does not stop the others.
    let parent = session.copy.head();
    let signed = parent.map_or_else(now, |(skeleton, _)| skeleton.signed);
    if let Err(why) = Entry::new(&draft, parent, vec![signer.fingerprint().clone()], signed) {
        return row("refused", format!("it cannot become an entry: {why}"));
    }
    let name = Some(item.name.clone());
    if !gathered.blobs.is_empty() {
        way.far.remember(&session.shelf)?;
    }
    let mut row = session.utter(draft, &gathered.blobs, name, signer).await?;
    row.note(&item.matter.notes);
    row.note(&gathered.notes);
    if let Some(made) = row.made() {
        row.weigh(tally(item, current.as_ref(), &gathered, way));
        let first = current.as_ref().map_or(made, |post| post.first);
        way.places.learn(item, first, &session.shelf)?;
        row.replaces(current.is_some());
    }
    Ok(Some(row))
}

/// What is counted of a text that is there now.
fn tally(item: &Item, current: Option<&Post>, gathered: &Gathered, way: &Way) -> Tally {
    let matter = &item.matter;
    // Who publishes one file has it before her eyes.
    if !way.manner.lenient {
        return Tally::default();
    }
    Tally {
        media: gathered.media.len(),
        media_left: gathered.far_lost + gathered.missed,
        is_undated: matter.date.is_none() && current.is_none(),
        ..matter.tally.clone()
    }
}

/// Why an article that says something else stays as it is; none when the text replaces it.
fn left_alone(
    session: &Session<'_>,
    item: &Item,
    current: &Post,
    gathered: &Gathered,
    way: &Way,
) -> Option<String> {
    let slug = &current.article.slug;
    if way.manner.lenient && !way.places.may_take(item, current) {
        return Some(format!(
            "\"{slug}\" is another article, which was left as it is; give this text another slug"
        ));
    }
    if way.manner.lenient && gathered.lacks_of(&current.article) {
        let why = "its article shows pictures that cannot be had this time, so it was left as it \
                   is; give --media or --fetch-media";
        return Some(why.to_owned());
    }
    let replaces = may_replace(session, item, current, way.manner);
    (!replaces).then(|| format!("\"{slug}\" was left as it is"))
}

async fn gather(session: &Session<'_>, item: &Item, way: &mut Way) -> Result<Gathered, String> {
    let known = |hash| session.copy.medium(hash);
    let far = match way.manner.lenient {
        true => way.far.bring(&item.matter.body, &item.tree, &known).await,
        false => import::Found::new(),
    };
    let around = Around {
        file: &item.path,
        tree: &item.tree,
        known: &known,
        lenient: way.manner.lenient,
        far: &far,
    };
    media::gather(&item.matter.body, &around)
}

fn make(
    session: &Session<'_>,
    item: &Item,
    slug: &Slug,
    current: Option<&Post>,
    gathered: &Gathered,
    manner: Manner,
) -> Result<Draft, Stop> {
    let matter = &item.matter;
    let of_blog = session.copy.blog.language();
    let date = matter.date.or(current.map(|post| post.article.date));
    let article = Article {
        date: date.or(matter.otherwise).unwrap_or_else(now),
        slug: slug.clone(),
        title: matter.title.clone(),
        language: matter
            .language
            .clone()
            .filter(|language| *language != of_blog),
        tags: Tags(matter.tags.clone()),
        aliases: matter.aliases.clone(),
        replaces: current.map(Post::current),
        media: gathered.media.clone(),
    };
    let refused = session.shelf.refused()?;
    let instead_of = refused
        .iter()
        .filter(|w| w.sent && !session.is_succeeded(w.id()))
        .filter(|w| {
            w.sealed
                .entry()
                .draft()
                .and_then(Draft::article)
                .is_some_and(|a| a.slug == article.slug)
        })
        .map(|w| w.id())
        .take(REFUSED_MAX)
        .collect();
    // What is a page stays one, whatever the command line forgets the next time.
    let was_page = current.is_some_and(|post| post.is_page);
    let says = if manner.page || matter.is_page || was_page {
        Says::Page(article)
    } else {
        Says::Post(article)
    };
    Ok(Draft {
        instead_of,
        ..session::draft(says, gathered.body.clone())?
    })
}

/// Whether a draft is, word for word, the article's current version.
fn says_the_same(session: &Session<'_>, draft: &Draft, current: &Post) -> bool {
    let lines = |article: &Article| {
        let mut media: Vec<String> = article.media.iter().map(|m| m.to_string()).collect();
        media.sort();
        let bare = Article {
            replaces: None,
            media: Vec::new(),
            ..article.clone()
        };
        (Says::Post(bare).to_string(), media)
    };
    let Some(article) = draft.article() else {
        return false;
    };
    let is_page = matches!(draft.says, Says::Page(_));
    lines(article) == lines(&current.article)
        && is_page == current.is_page
        && draft.body == session.copy.body(current.current())
}

fn may_replace(session: &Session<'_>, item: &Item, current: &Post, manner: Manner) -> bool {
    let (sequence, _) = current.order();
    let title = current
        .article
        .title
        .as_deref()
        .unwrap_or("without a title");
    let what = format!(
        "{}: \"{}\" is there already, entry {sequence} ({title}), signed {}",
        item.name, current.article.slug, current.signed
    );
    if manner.ask {
        return session.console.ask(&format!("{what}. Replace it?"), true);
    }
    session.console.say(&format!("{what}; this replaces it"));
    true
}
