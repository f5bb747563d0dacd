//! `export`: a blog as files that its author can read, check and bring to life elsewhere.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use spokes_log::{
    blog::Post,
    name::{BlogId, BlogName},
    seal::SealedEntry,
};

use crate::author::{
    Desk,
    copy::BlogCopy,
    media,
    session::Session,
    site::Site,
    state::{Waiting, stem},
    stop::Stop,
    verify::fetch_medium,
};

/// `spokes blog export`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Export {
    /// The blog's name
    name: String,
    /// The folder to write; an older export of the same blog is replaced
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
}

/// Runs `export`.
pub(crate) async fn export(args: &Export, desk: &Desk<'_>) -> Result<(), Stop> {
    let Desk {
        common, console, ..
    } = *desk;
    let session = Session::open(desk, &args.name).await?;
    let waiting: Vec<_> = session.shelf.outbox()?.iter().map(Waiting::id).collect();
    if !waiting.is_empty() {
        console.say(&format!(
            "{} entries still wait in the outbox; left out",
            waiting.len()
        ));
    }
    let copy = session.copy.without(&waiting);
    if let Some(id) = copy.chain.unvouched().first() {
        return Err(Stop::Refused(format!(
            "the words of {id} are missing, and no erase took them back; nothing was written, \
             read from another spoke"
        )));
    }
    check_place(&args.to, &copy)?;
    let parent = match args.to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(|why| Stop::disk(parent, why))?;
    // In the same folder, so that the last step is one rename.
    let new = tempfile::Builder::new()
        .prefix(".spokes-export-")
        .tempdir_in(parent)
        .map_err(|why| Stop::disk(parent, why))?;
    let folder = Folder(new.path());
    folder.write_log(&copy)?;
    folder.write_markdown(&copy)?;
    folder.write_site(&session, &copy)?;
    let lost = folder.write_media(&session, &copy).await?;
    let readme = readme(
        &session.name,
        copy.blog.title(),
        copy.chain.blog(),
        MEDIA_HERE,
    );
    let readme = format!(
        "{readme}\nRead it without any server: open site/index.html; site/verify.html says how to check it\n"
    );
    folder.write("README.txt", readme.as_bytes())?;
    put_in_place(new, &args.to, parent)?;
    let (entries, media) = (copy.chain.len(), copy.blog.media().len() - lost.len());
    if common.json {
        console.json(&serde_json::json!({
            "path": args.to, "blog": copy.chain.blog().to_string(), "entries": entries,
            "media": media, "missing_media": lost,
        }));
    } else {
        let path = args.to.display();
        console.fact(&format!(
            "{path}: {entries} entries, {media} media; README.txt says more"
        ));
    }
    match lost.first() {
        None => Ok(()),
        Some(first) => Err(Stop::Refused(format!(
            "{} media could not be had ({first}); all else was written, try again later",
            lost.len()
        ))),
    }
}

/// Whether the export may stand there: nothing of anybody else's is overwritten.
fn check_place(to: &Path, copy: &BlogCopy) -> Result<(), Stop> {
    let Ok(mut files) = fs::read_dir(to) else {
        if to.exists() {
            return Err(Stop::disk(to, "is no folder; nothing was written"));
        }
        return Ok(());
    };
    let first = format!("{}.asc", stem(0, copy.chain.blog()));
    if files.next().is_none() || to.join("log").join(first).exists() {
        return Ok(());
    }
    Err(Stop::disk(
        to,
        "holds something else than an export of this blog; nothing was written",
    ))
}

fn put_in_place(new: tempfile::TempDir, to: &Path, parent: &Path) -> Result<(), Stop> {
    let failed = |why: std::io::Error| Stop::disk(to, why);
    fs::set_permissions(new.path(), fs::Permissions::from_mode(0o755)).map_err(failed)?;
    let old = tempfile::Builder::new()
        .prefix(".spokes-old-")
        .tempdir_in(parent)
        .map_err(failed)?;
    if to.exists() {
        fs::rename(to, old.path().join("export")).map_err(failed)?;
    }
    let new = new.keep();
    fs::rename(&new, to).map_err(failed)
}

/// The folder that is being written.
struct Folder<'a>(&'a Path);

impl Folder<'_> {
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Stop> {
        let path = self.0.join(name);
        let dir = path.parent().unwrap_or(self.0);
        fs::create_dir_all(dir).map_err(|why| Stop::disk(dir, why))?;
        fs::write(&path, bytes).map_err(|why| Stop::disk(&path, why))
    }

    /// Sealed files, and what is left of erased entries; sorted by name, parents come first.
    fn write_log(&self, copy: &BlogCopy) -> Result<(), Stop> {
        for sealed in copy.in_order() {
            let (name, text) = log_file(sealed);
            self.write(&format!("log/{name}"), text.as_bytes())?;
        }
        for head in copy.chain.heads() {
            let Some(ring) = copy.chain.ring(head.1) else {
                continue;
            };
            for (fingerprint, _, certificate) in ring.keys() {
                let armored = format!("{}\n", certificate.armored());
                self.write(&format!("keys/{fingerprint}.asc"), armored.as_bytes())?;
            }
        }
        Ok(())
    }

    fn write_markdown(&self, copy: &BlogCopy) -> Result<(), Stop> {
        for post in copy.blog.posts().into_iter().chain(copy.blog.pages()) {
            let slug = &post.article.slug;
            let name = if copy.blog.has_slug(post) {
                format!("markdown/{slug}.md")
            } else {
                let (sequence, id) = post.order();
                format!("markdown/{slug}.branch-{}.md", stem(sequence, id))
            };
            self.write(&name, markdown(post, copy.body(post.current())).as_bytes())?;
        }
        Ok(())
    }

    /// The same pages as a spoke's, to be opened from disk.
    fn write_site(&self, session: &Session<'_>, copy: &BlogCopy) -> Result<(), Stop> {
        let (network, name) = (&session.network, &session.name);
        let site = Site::new(copy, name, &network.address_of(name), network.domain());
        let pages = site.pages();
        pages
            .iter()
            .try_for_each(|(path, text)| self.write(path, text.as_bytes()))
    }

    /// Media with endings that programs know; which could not be had.
    async fn write_media(
        &self,
        session: &Session<'_>,
        copy: &BlogCopy,
    ) -> Result<Vec<String>, Stop> {
        let mut lost = Vec::new();
        let listed = copy.blog.media();
        for (index, hash) in listed.iter().enumerate() {
            session
                .console
                .progress(&format!("medium {} of {}", index + 1, listed.len()));
            let medium = copy.medium(*hash);
            let fetched =
                fetch_medium(&session.network, &session.name, *hash, medium.as_ref()).await;
            let ending = medium.map_or("bin", |medium| media::ending(&medium.kind));
            match fetched {
                Ok(bytes) => self.write(&format!("media/{}.{ending}", hash.path()), &bytes)?,
                Err(_) => lost.push(hash.to_string()),
            }
        }
        Ok(lost)
    }
}

/// One entry as a file: its name below `log/`, and its text.
pub(crate) fn log_file(sealed: &SealedEntry) -> (String, String) {
    let entry = sealed.entry();
    let stem = stem(entry.skeleton().sequence, entry.id());
    match sealed.cleartext() {
        Some(text) => (format!("{stem}.asc"), text),
        None => (format!("{stem}.txt"), format!("{}\n", entry.text())),
    }
}

/// An article as `publish` reads it back.
pub(crate) fn markdown(post: &Post, body: &str) -> String {
    let article = &post.article;
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let list = |texts: Vec<String>| {
        let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
        format!("[{}]", quoted.join(", "))
    };
    let mut lines = vec!["+++".to_owned()];
    lines.extend(
        article
            .title
            .iter()
            .map(|title| format!("title = {}", quoted(title))),
    );
    lines.push(format!("slug = {}", quoted(article.slug.as_str())));
    lines.push(format!("date = {}", article.date));
    if let Some(language) = &article.language {
        lines.push(format!("language = {}", quoted(language.as_str())));
    }
    let tags: Vec<String> = article.tags.0.iter().map(ToString::to_string).collect();
    let aliases: Vec<String> = article.aliases.iter().map(ToString::to_string).collect();
    for (name, texts) in [("tags", tags), ("aliases", aliases)] {
        if !texts.is_empty() {
            lines.push(format!("{name} = {}", list(texts)));
        }
    }
    if post.is_page {
        lines.push("page = true".to_owned());
    }
    lines.push("+++".to_owned());
    lines.push(String::new());
    format!("{}\n{body}\n", lines.join("\n"))
}

/// Where the media of an export are: beside all else.
const MEDIA_HERE: &str = "pictures and the like, named by the SHA-256 of their bytes";

/// What the files of an export are; `media` says where its media are, and is empty where there are none.
pub(crate) fn readme(name: &BlogName, title: &str, blog: BlogId, media: &str) -> String {
    let media = match media {
        "" => String::new(),
        media => format!("media/     {media}\n"),
    };
    format!(
        "The blog \"{name}\": {title}\n\
         Its identity, whatever name and network it lives under: {id}\n\n\
         log/       every entry, signed by its author, in order; an erased one as .txt: what is\n\
         \u{20}          left of it, vouched for by what follows\n\
         keys/      the keys that may sign\n\
         markdown/  the articles as they are read now\n\
         {media}\n\
         Check that nothing was changed and nothing is missing, without any network:\n\n\
         \u{20}   spokes blog verify PATH/OF/THIS/FOLDER\n\n\
         Check single entries with nothing but gpg:\n\n\
         \u{20}   gpg --import keys/*.asc\n\
         \u{20}   gpg --verify log/00000000-*.asc\n\n\
         What the program does is written in the specification; from a checkout of spokescouncil the\n\
         log's own small checker does the same: cargo run -p spokes-log --example verify -- FOLDER\n\n\
         Bring it to life on any network:\n\n\
         \u{20}   spokes blog restore PATH/OF/THIS/FOLDER --as {name} --network URL --key FINGERPRINT\n",
        id = blog,
    )
}
