//! `verify`: the whole chain from one spoke or another, against what this machine knows.

use std::{fs, io::ErrorKind, path::Path};

use reqwest::Url;
use spokes_log::{
    draft::{MEDIUM_BYTES_MAX, Medium},
    name::{BlogName, Hash},
};
use spokes_rules::receipt::Receipt;

use crate::{
    author::{
        Common, Desk,
        console::Console,
        copy::{BlogCopy, Unread},
        media,
        network::{Network, To, Trouble},
        restore::{Unsound, read_log},
        session::{blog_name, find},
        state::{CopyFile, Home},
        stop::Stop,
    },
    wire::HeadWire,
};

/// `spokes blog verify`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Verify {
    /// A blog's name, its address, `http://SPOKE/NAME` for what one spoke has, or an export's folder
    #[arg(value_name = "NAME|URL|FOLDER")]
    target: String,
}

/// What is read, and from where.
struct Source {
    network: Network,
    /// The one spoke that is asked, where one was named.
    spoke: Option<Network>,
    name: BlogName,
}

/// Runs `verify`.
pub(crate) async fn verify(args: &Verify, desk: &Desk<'_>) -> Result<(), Stop> {
    let Desk {
        common, console, ..
    } = *desk;
    let folder = Path::new(&args.target);
    if folder.join("log").is_dir() {
        return verify_folder(folder, desk);
    }
    let begins_as_path = args.target.starts_with(['.', '~', '/']);
    let is_address = args.target.contains("://");
    if begins_as_path || args.target.contains('/') && !is_address {
        let why = match (folder.is_dir(), folder.exists()) {
            (true, _) => "is no export of a blog: there is no folder \"log\" in it",
            (false, true) => "is a file; give the folder that \"export\" wrote",
            (false, false) => "there is no such folder; nothing was judged",
        };
        return Err(Stop::disk(folder, why));
    }
    let source = Source::open(&args.target, desk.common).await?;
    let judged = source.judge(desk).await;
    if common.json {
        let facts = match &judged {
            Ok(good) => serde_json::json!({
                "good": true, "name": source.name.as_str(), "blog": good.blog.to_string(),
                "entries": good.entries, "erased": good.erased, "media": good.media,
                "branches": good.branches,
            }),
            Err(stop) => serde_json::json!({
                "good": false, "name": source.name.as_str(), "reason": stop.to_string(),
            }),
        };
        console.json(&facts);
    } else if let Ok(good) = &judged {
        console.fact(&format!(
            "good: {}, {} entries ({} erased), {} media, nothing missing that this machine knows of",
            source.name, good.entries, good.erased, good.media
        ));
        console.say(&format!("blog {}", good.blog));
    }
    judged.map(|_| ())
}

/// Judges an export by what lies in it, without any network.
fn verify_folder(folder: &Path, desk: &Desk<'_>) -> Result<(), Stop> {
    let shown = folder.display();
    let judged = judge_folder(folder);
    if desk.common.json {
        desk.console.json(&match &judged {
            Ok((copy, media)) => serde_json::json!({
                "good": true, "path": folder, "blog": copy.chain.blog().to_string(),
                "entries": copy.chain.len(), "media": media,
            }),
            Err(stop) => serde_json::json!({
                "good": false, "path": folder, "reason": stop.to_string(),
            }),
        });
        return judged.map(|_| ());
    }
    let (copy, media) = judged?;
    let media = match media {
        Some(count) => format!("{count} media"),
        None => "its media are not in the folder".to_owned(),
    };
    desk.console.fact(&format!(
        "good: the export {shown}, {} entries, {media}, each signed and none missing in between",
        copy.chain.len()
    ));
    desk.console.say(&format!(
        "blog {}; whether it goes on behind its last entry only the network can say: \
         spokes blog verify NAME",
        copy.chain.blog()
    ));
    Ok(())
}

/// A folder's log, and how many media lie beside it, if any do.
fn judge_folder(folder: &Path) -> Result<(BlogCopy, Option<usize>), Stop> {
    let copy = read_log(folder)
        .map_err(|Unsound(file, why)| not_good(&format!("{}: {why}", file.display())))?;
    let media = folder.join("media");
    if !media.is_dir() {
        let has_none = copy.blog.media().is_empty();
        return Ok((copy, has_none.then_some(0)));
    }
    let listed = copy.blog.media();
    for hash in &listed {
        let ending = copy.medium(*hash).map_or("bin", |m| media::ending(&m.kind));
        let path = media.join(format!("{}.{ending}", hash.path()));
        let no = |why: &str| not_good(&format!("the medium {} {why}", path.display()));
        let bytes = fs::read(&path).map_err(|why| match why.kind() {
            ErrorKind::NotFound => no(
                "is not in the folder; a blog that was taken along in several files is whole once all of \
                 them are unpacked into it",
            ),
            _ => no(&format!("cannot be read: {why}")),
        })?;
        if Hash::of(&bytes) != *hash {
            return Err(no("was changed"));
        }
    }
    Ok((copy, Some(listed.len())))
}

/// What was found good.
struct Good {
    blog: Hash,
    entries: usize,
    erased: usize,
    media: usize,
    branches: usize,
}

impl Source {
    async fn open(target: &str, common: &Common) -> Result<Self, Stop> {
        if !target.contains("://") {
            let name = blog_name(target)?;
            let network = Network::open(common.network()?).await?;
            return Ok(Self {
                network,
                spoke: None,
                name,
            });
        }
        let wrong = |why: &str| Stop::Usage(format!("{target} is not a blog's address: {why}"));
        let url = Url::parse(target).map_err(|why| wrong(&why.to_string()))?;
        let network = Network::open(common.network.as_deref().unwrap_or(target)).await?;
        let path = url.path().trim_matches('/');
        if !path.is_empty() {
            return Ok(Self {
                spoke: Some(network.at_spoke(&url)?),
                name: blog_name(path)?,
                network,
            });
        }
        let host = url.host_str().unwrap_or_default();
        let name = host
            .strip_suffix(network.domain())
            .and_then(|rest| rest.strip_suffix('.'));
        let name = name.ok_or_else(|| {
            wrong("it is no name below the network's domain; to ask one spoke, put the blog's name behind its address: http://192.0.2.7/maria")
        })?;
        Ok(Self {
            name: blog_name(name.trim_start_matches("edit."))?,
            spoke: None,
            network,
        })
    }

    fn asked(&self) -> &Network {
        self.spoke.as_ref().unwrap_or(&self.network)
    }

    async fn judge(&self, desk: &Desk<'_>) -> Result<Good, Stop> {
        let Desk {
            surroundings,
            console,
            ..
        } = *desk;
        let wire = find(&self.network, &self.name).await?;
        let blog =
            Hash::parse(&wire.blog).map_err(|why| Stop::Refused(format!("the blog's id {why}")))?;
        let home = Home::open(&surroundings.state_home, self.network.id())?;
        let mut copy = BlogCopy::new(blog);
        let read = copy
            .read(self.asked(), To::Blog(&self.name), &self.name, console)
            .await;
        read.map_err(|unread| match unread {
            // The reason speaks to whoever made the entry; who reads it can ask another server.
            Unread::Bad(bad) => not_good(&format!(
                "{}: {} (this server gave it so; its author\u{2019}s own words may stand on another one)",
                bad.entry, bad.why
            )),
            Unread::Trouble(trouble) => trouble.into_stop("nothing was judged"),
        })?;
        self.check_whole(&copy).await?;
        {
            let shelf = home.shelf(blog, console).await?;
            check_known(&copy, &shelf.copy())?;
            check_receipts(&copy, &shelf.receipts()?)?;
        }
        let media = self.check_media(&copy, console).await?;
        let erased = copy
            .in_order()
            .iter()
            .filter(|s| s.entry().is_erased())
            .count();
        Ok(Good {
            blog,
            entries: copy.chain.len(),
            erased,
            media,
            branches: copy.chain.heads().len(),
        })
    }

    async fn check_whole(&self, copy: &BlogCopy) -> Result<(), Stop> {
        if copy.chain.is_empty() {
            return Err(not_good("the spoke shows no entry at all"));
        }
        if let Some(id) = copy.chain.unvouched().first() {
            let sequence = copy.chain.link(*id).map_or(0, |link| link.sequence);
            return Err(not_good(&format!(
                "the words of entry {sequence} ({id}) are missing, and no erase took them back"
            )));
        }
        let path = format!("/api/v1/blogs/{}/head", self.name);
        let head: Result<HeadWire, Trouble> = self.asked().get(To::Blog(&self.name), &path).await;
        let head = head.map_err(|trouble| trouble.into_stop("the chain itself is good"))?;
        for tip in &head.heads {
            let id = Hash::parse(&tip.id).map_err(|why| not_good(&format!("a head's id {why}")))?;
            if !copy.chain.contains(id) {
                return Err(not_good(&format!(
                    "the spoke says that entry {} ({id}) is a head, but does not show it",
                    tip.sequence
                )));
            }
        }
        Ok(())
    }

    async fn check_media(&self, copy: &BlogCopy, console: &Console) -> Result<usize, Stop> {
        let listed = copy.blog.media();
        for (index, hash) in listed.iter().enumerate() {
            console.progress(&format!("medium {} of {}", index + 1, listed.len()));
            let medium = copy.medium(*hash);
            fetch_medium(self.asked(), &self.name, *hash, medium.as_ref()).await?;
        }
        Ok(listed.len())
    }
}

/// Reads a medium and checks that it is what the author listed.
pub(crate) async fn fetch_medium(
    network: &Network,
    name: &BlogName,
    hash: Hash,
    listed: Option<&Medium>,
) -> Result<Vec<u8>, Stop> {
    let max = usize::try_from(MEDIUM_BYTES_MAX).unwrap_or(usize::MAX);
    let path = format!("/media/{}", hash.path());
    let bytes = network.get_bytes(To::Blog(name), &path, max).await;
    let bytes = bytes.map_err(|trouble| {
        not_good(&format!(
            "the medium {hash} cannot be had: {}",
            trouble.sentence()
        ))
    })?;
    let right_size = listed.is_none_or(|medium| medium.bytes == bytes.len() as u64);
    if Hash::of(&bytes) != hash || !right_size {
        return Err(not_good(&format!("the medium {hash} was changed")));
    }
    Ok(bytes)
}

/// Everything that was read here before must still be there.
fn check_known(copy: &BlogCopy, known: &CopyFile) -> Result<(), Stop> {
    let entries = known.entries.iter().filter_map(|wire| wire.sealed().ok());
    for sealed in entries {
        let id = sealed.entry().id();
        if !copy.chain.contains(id) {
            return Err(not_good(&format!(
                "entry {} ({id}), which was here when this machine last read the blog, is missing",
                sealed.entry().skeleton().sequence
            )));
        }
    }
    Ok(())
}

/// What a spoke has signed for must be there.
fn check_receipts(copy: &BlogCopy, receipts: &[spokes_rules::node::Signed]) -> Result<(), Stop> {
    for signed in receipts {
        let Ok(receipt) = Receipt::check(signed.clone()) else {
            continue;
        };
        let held = receipt.held;
        if held.blog == copy.chain.blog() && !copy.chain.contains(held.tip.id) {
            return Err(not_good(&format!(
                "entry {} ({}) is missing; \"{}\" signed at {} that it holds it",
                held.tip.sequence, held.tip.id, held.spoke, held.time
            )));
        }
    }
    Ok(())
}

fn not_good(why: &str) -> Stop {
    Stop::Refused(format!("not good: {why}"))
}
