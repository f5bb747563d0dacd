//! `restore`: an export comes to life on any network, under any free name.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use spokes_log::{
    draft::{Claim, Kind, Says},
    entry::Entry,
    name::{BlogName, EntryId, Hash},
    seal::{Pasted, SealedEntry},
};
use spokes_rules::{node::Signed, receipt::Receipt};
use tokio::time::{Instant, sleep};

use crate::{
    author::{
        Desk,
        console::Console,
        copy::{BlogCopy, Unread},
        create::{CLAIM_SECONDS, Ways},
        deliver::{self, Count, Members},
        network::{Network, To, Trouble},
        now,
        session::{blog_name, draft},
        signer::{Signer, SigningKey, UserId},
        state::{Home, Shelf, Waiting},
        stop::{Stop, plain},
    },
    wire::{BlogWire, ClaimWire, EntriesWire, EntryWire, RestoredWire},
};

/// Entries sent at a time (SPEC http 2.8), as far as they are small.
const BATCH_ENTRIES: usize = 500;
/// Bytes of text sent at a time: what a small server takes into memory gladly.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of text of a log that must go in one piece: a node takes 48 MiB of JSON.
const WHOLE_BYTES: usize = 40 * 1024 * 1024;
/// A batch is sent again once its media are there; once more when one of them expired meanwhile.
const MEDIA_ROUNDS_MAX: usize = 3;
/// How long a new name may take to lead somewhere.
const RESOLVE_WAIT: Duration = Duration::from_secs(10);
/// How long secondaries may take to pull what was restored.
const SAFE_WAIT: Duration = Duration::from_secs(30);
/// How often is asked meanwhile.
const PAUSE: Duration = Duration::from_millis(300);

/// `spokes blog restore`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Restore {
    /// The folder that `export` wrote
    path: PathBuf,
    /// The name it gets here
    #[arg(long = "as", value_name = "NAME")]
    name: String,
    #[command(flatten)]
    signing: SigningKey,
}

/// Runs `restore`.
pub(crate) async fn restore(args: &Restore, desk: &Desk<'_>) -> Result<(), Stop> {
    let Desk {
        common,
        surroundings,
        console,
    } = *desk;
    let name = blog_name(&args.name)?;
    let mut copy = read_log(&args.path).map_err(|Unsound(file, why)| {
        Stop::disk(&file, format!("{}; nothing was sent", plain(&why)))
    })?;
    let blog = copy.chain.blog();
    console.say(&format!(
        "{} entries read, all good: blog {blog}",
        copy.chain.len()
    ));
    let network = Network::open(common.network()?).await?;
    let mut signer = Signer::open(&args.signing, UserId::Any, surroundings, console).await?;
    let home = Home::open(&surroundings.state_home, network.id())?;
    let shelf = home.shelf(blog, console).await?;
    let found = get(&network, &name).await?;
    let ours = match &found {
        Some(wire) if wire.blog != blog.to_string() => {
            return Err(Stop::Refused(format!(
                "\"{name}\" is taken; choose another with --as"
            )));
        }
        found => found.is_some(),
    };
    let claim = claim_entry(&mut copy, &name, &network, &shelf, ours, &mut signer).await?;
    let wire = match (found, &claim) {
        (Some(wire), _) => wire,
        (None, Some(claim)) => claim_name(&network, &name, &copy, claim, &shelf, console).await?,
        (None, None) => return Err(Stop::Refused("the claim is lost; start again".to_owned())),
    };
    let mut there = There {
        network: &network,
        name: &name,
        copy: BlogCopy::new(blog),
    };
    // What cannot be read now is sent: what is there already costs nothing.
    let read = ours && there.read(console).await.is_ok();
    let is_there = read && there.holds(&copy);
    if !is_there {
        send_entries(&network, &name, &copy, &args.path, console).await?;
    }
    there.take(&copy);
    let members = Members::read(network.id(), &wire)?;
    let count = until_safe(&mut there, &copy, &members, &shelf, claim, console).await?;
    // An old export must not make this machine forget what it saw of the blog since.
    if shelf.copy().entries.len() < copy.chain.len() {
        shelf.keep_copy(&copy.to_file(&[]))?;
    }
    let (url, entries) = (network.address_of(&name), copy.chain.len());
    if common.json {
        console.json(&serde_json::json!({
            "name": name.as_str(), "blog": blog.to_string(), "url": url, "entries": entries,
            "held": count.held, "needed": count.needed, "members": count.members,
            "already": is_there,
        }));
    } else {
        let here = if is_there { "is here already: " } else { "" };
        console.fact(&format!("{url}: {here}{entries} entries, {}", held(count)));
        say_forced(&wire, console);
    }
    if count.is_safe() {
        Ok(())
    } else {
        Err(Stop::Unreached("not yet safe".to_owned()))
    }
}

/// Says of a blog whose servers were lost why its pages go on saying so.
fn say_forced(wire: &BlogWire, console: &Console) {
    let Some(forced) = &wire.forced else { return };
    console.say(&format!(
        "All of this export is there. The blog's pages go on saying that entries after number {} may be missing, until \
         enough of the lost servers are read ({}): nobody can see from an export whether it was all.",
        forced.after,
        forced.missing.join(", ")
    ));
}

/// How many hold what was restored, for people. What is not safe lies in the export, and not in the
/// outbox as a post does.
fn held(count: Count) -> String {
    let Count {
        held,
        needed,
        members,
    } = count;
    if count.is_safe() {
        return count.sentence();
    }
    format!(
        "not yet safe: held by {held} of {members}, {needed} needed; keep the export, the same \
         command looks again"
    )
}

/// The blog as the network has it, which may have gone on behind the export.
struct There<'n> {
    network: &'n Network,
    name: &'n BlogName,
    copy: BlogCopy,
}

impl There<'_> {
    async fn read(&mut self, console: &Console) -> Result<(), Unread> {
        let (network, name) = (self.network, self.name);
        let to = To::Edit(name);
        self.copy.read(network, to, name, console).await
    }

    /// Whether every entry of an export is here.
    fn holds(&self, copy: &BlogCopy) -> bool {
        let mut entries = copy.in_order().into_iter();
        entries.all(|sealed| self.copy.chain.contains(sealed.entry().id()))
    }

    fn take(&mut self, copy: &BlogCopy) {
        for sealed in copy.in_order() {
            // Both were judged; what does not fit together is no reason to count less.
            self.copy.take(sealed.clone()).ok();
        }
    }

    /// Whether a receipt is for an entry that was not read yet.
    fn has_gone_on(&self, receipts: &[Signed]) -> bool {
        receipts.iter().any(|signed| {
            Receipt::check(signed.clone())
                .is_ok_and(|receipt| !self.copy.chain.contains(receipt.held.tip.id))
        })
    }
}

/// What is wrong with an export: the file, and a sentence.
pub(crate) struct Unsound(pub(crate) PathBuf, pub(crate) String);

/// Reads and judges a whole log.
pub(crate) fn read_log(path: &Path) -> Result<BlogCopy, Unsound> {
    let log = path.join("log");
    let mut files = fs::read_dir(&log)
        .and_then(|files| {
            files
                .map(|file| file.map(|f| f.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(|why| Unsound(log.clone(), why.to_string()))?;
    files.sort();
    let mut copy: Option<BlogCopy> = None;
    for file in files {
        let no = |why: String| Unsound(file.clone(), why);
        let bytes = fs::read(&file).map_err(|why| no(why.to_string()))?;
        let sealed = if bytes.starts_with(b"-----") {
            let pasted = Pasted::parse(&bytes).map_err(|why| no(why.to_string()))?;
            let entry = Entry::parse(pasted.text.as_bytes()).map_err(|why| no(why.to_string()))?;
            let copy = copy.get_or_insert_with(|| BlogCopy::new(entry.blog()));
            let place = copy
                .chain
                .place(&entry)
                .map_err(|why| no(why.to_string()))?;
            let verified = place.seal(entry, &pasted.signatures);
            verified
                .map_err(|why| no(why.to_string()))?
                .sealed()
                .clone()
        } else {
            let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            SealedEntry::parse::<&[u8]>(text, &[]).map_err(|why| no(why.to_string()))?
        };
        let copy = copy.get_or_insert_with(|| BlogCopy::new(sealed.entry().blog()));
        copy.take(sealed).map_err(|why| no(why.to_string()))?;
    }
    let no = |why: String| Unsound(log.clone(), why);
    let copy = copy.ok_or_else(|| no("holds no entries".to_owned()))?;
    match copy.chain.unvouched().first() {
        None => Ok(copy),
        Some(id) => Err(no(format!(
            "the words of {id} are missing, and no erase took them back"
        ))),
    }
}

async fn get(network: &Network, name: &BlogName) -> Result<Option<BlogWire>, Stop> {
    match network
        .get(To::Apex, &format!("/api/v1/blogs/{name}"))
        .await
    {
        Ok(wire) => Ok(Some(wire)),
        Err(trouble) if trouble.is("no-such-blog") => Ok(None),
        Err(trouble) => Err(trouble.into_stop("nothing was sent")),
    }
}

/// The claim behind the head: one that waits from the last time while it is good, else a new one.
async fn claim_entry(
    copy: &mut BlogCopy,
    name: &BlogName,
    network: &Network,
    shelf: &Shelf,
    ours: bool,
    signer: &mut Signer,
) -> Result<Option<Waiting>, Stop> {
    let mut instead_of = Vec::new();
    for waiting in shelf.outbox()? {
        let Some(Says::Claim { claim, .. }) = waiting.sealed.entry().draft().map(|d| &d.says)
        else {
            continue;
        };
        let same = claim.name == *name && claim.network == network.id();
        let good = same && (ours || claim.not_after > now());
        if good && copy.take(waiting.sealed.clone()).is_ok() {
            return Ok(Some(waiting));
        }
        if waiting.sent {
            instead_of.push(waiting.id());
        }
        shelf.forget(&waiting)?;
    }
    if ours {
        return Ok(None);
    }
    let no = |why: String| Stop::Refused(format!("{why}; nothing was sent"));
    let says = Says::Claim {
        claim: Claim {
            name: name.clone(),
            network: network.id(),
            not_after: now() + CLAIM_SECONDS,
        },
        releases: None,
    };
    let mut draft = draft(says, String::new())?;
    draft.instead_of = instead_of;
    let parent = copy
        .head()
        .ok_or_else(|| no("the export has no head".to_owned()))?;
    let signed = now().max(parent.0.signed);
    let entry = Entry::new(
        &draft,
        Some(parent),
        vec![signer.fingerprint().clone()],
        signed,
    )
    .map_err(|why| no(why.to_string()))?;
    let place = copy
        .chain
        .place(&entry)
        .map_err(|why| no(why.to_string()))?;
    let signature = signer.sign(entry.text(), signed).await?;
    let verified = place
        .seal(entry, &[signature])
        .map_err(|why| no(why.to_string()))?;
    let waiting = Waiting::new(verified.sealed().clone(), None);
    shelf.keep(&waiting)?;
    copy.take(waiting.sealed.clone())
        .map_err(|why| no(why.to_string()))?;
    Ok(Some(waiting))
}

/// What shows the registry that the claim is the blog's: all about keys and names, and skeletons
/// between (SPEC registry 3.6).
fn proof(copy: &BlogCopy, claim: EntryId) -> Vec<EntryWire> {
    copy.in_order()
        .into_iter()
        .filter(|sealed| copy.chain.reaches(claim, sealed.entry().id()))
        .map(|sealed| match sealed.entry().skeleton().kind {
            Kind::Blog | Kind::Keys | Kind::Claim | Kind::Release => EntryWire::from(sealed),
            _ => EntryWire::from(&sealed.erased()),
        })
        .collect()
}

async fn claim_name(
    network: &Network,
    name: &BlogName,
    copy: &BlogCopy,
    claim: &Waiting,
    shelf: &Shelf,
    console: &Console,
) -> Result<BlogWire, Stop> {
    shelf.sent(&mut claim.clone())?;
    let body = ClaimWire {
        entries: proof(copy, claim.id()),
        entry: claim.id().to_string(),
    };
    let mut ways = Ways::default();
    let answer: Result<BlogWire, Trouble> = loop {
        let path = "/api/v1/registry/claims";
        match network.post(ways.next(), path, &body, None).await {
            Err(trouble) if ways.lead_on(&trouble, console) => {}
            answer => break answer,
        }
    };
    match answer {
        Ok(wire) => Ok(wire),
        Err(trouble) => match get(network, name).await? {
            Some(wire) if wire.blog == copy.chain.blog().to_string() => Ok(wire),
            // A claim that was refused must not become public with the next post.
            _ if ["taken", "refused", "invalid"]
                .iter()
                .any(|kind| trouble.is(kind)) =>
            {
                shelf.forget(claim)?;
                let why = trouble.sentence();
                Err(Stop::Refused(format!(
                    "{why}; the blog is as it was, the claim was thrown away"
                )))
            }
            _ => Err(trouble.into_stop("the claim is kept, the same command goes on")),
        },
    }
}

/// Sends everything, parents first; what is there already costs nothing.
async fn send_entries(
    network: &Network,
    name: &BlogName,
    copy: &BlogCopy,
    path: &Path,
    console: &Console,
) -> Result<(), Stop> {
    let until = Instant::now() + RESOLVE_WAIT;
    let entries = copy.in_order();
    // An entry that lost its words is taken in together with the erase that took them, and that may
    // stand anywhere behind it: such a log goes in one piece.
    let whole = entries.iter().any(|sealed| sealed.entry().is_erased());
    let (most, most_bytes) = if whole {
        (usize::MAX, WHOLE_BYTES)
    } else {
        (BATCH_ENTRIES, BATCH_BYTES)
    };
    let (mut sent, mut asked, mut to) = (0, 0, To::Edit(name));
    while sent < entries.len() {
        let mut bytes = 0;
        let batch: Vec<EntryWire> = entries[sent..]
            .iter()
            .take(most)
            .take_while(|sealed| {
                let first = bytes == 0;
                bytes += sealed.entry().text().len();
                first || bytes <= most_bytes
            })
            .map(|sealed| EntryWire::from(*sealed))
            .collect();
        let count = batch.len();
        let target = format!("/api/v1/blogs/{name}/restore");
        let body = EntriesWire { entries: batch };
        let answer: Result<RestoredWire, Trouble> = network.post(to, &target, &body, None).await;
        match answer {
            Ok(restored) if !restored.missing_media.is_empty() => {
                asked += 1;
                if asked > MEDIA_ROUNDS_MAX {
                    return Err(Stop::Unreached(
                        "the spoke asks for the same media again; try again later".to_owned(),
                    ));
                }
                send_media((network, to), name, &restored.missing_media, path, console).await?;
            }
            Ok(_) => {
                sent += count;
                asked = 0;
            }
            // The name may be too new to lead anywhere, or its server gone for good: any other one knows who takes it.
            Err(Trouble::Silent(_)) if Instant::now() < until => {
                to = To::Apex;
                sleep(PAUSE).await;
            }
            Err(trouble) if trouble.is("no-such-blog") && Instant::now() < until => {
                sleep(PAUSE).await;
            }
            Err(trouble) => {
                return Err(trouble.into_stop("what was sent is kept, the same command goes on"));
            }
        }
        console.progress(&format!("{sent} of {} entries sent", entries.len()));
    }
    Ok(())
}

/// Sends media that a spoke wants before it takes the entries that list them.
async fn send_media(
    (network, to): (&Network, To<'_>),
    name: &BlogName,
    missing: &[String],
    path: &Path,
    console: &Console,
) -> Result<(), Stop> {
    for (index, hash) in missing.iter().enumerate() {
        console.progress(&format!("medium {} of {}", index + 1, missing.len()));
        let hash = Hash::parse(hash)
            .map_err(|why| Stop::Refused(format!("the spoke asks for a medium that {why}")))?;
        let bytes = medium_file(path, hash).ok_or_else(|| {
            Stop::disk(
                &path.join("media").join(hash.path()),
                "is missing or was changed; the network holds no entry without its media, so the \
                 entries before it were sent and the rest was not",
            )
        })?;
        let target = format!("/api/v1/blogs/{name}/media/{}", hash.path());
        let put = network.put(to, &target, bytes, None).await;
        put.map_err(|t| t.into_stop("what was sent is kept, the same command goes on"))?;
    }
    Ok(())
}

fn medium_file(path: &Path, hash: Hash) -> Option<Vec<u8>> {
    let stem = hash.path();
    let mut files = fs::read_dir(path.join("media"))
        .ok()?
        .flatten()
        .map(|file| file.path());
    let file = files.find(|p| p.file_stem().is_some_and(|s| s == stem.as_str()))?;
    fs::read(file).ok().filter(|bytes| Hash::of(bytes) == hash)
}

/// Waits until a majority holds the head, or what the blog wrote behind it.
async fn until_safe(
    there: &mut There<'_>,
    copy: &BlogCopy,
    members: &Members,
    shelf: &Shelf,
    claim: Option<Waiting>,
    console: &Console,
) -> Result<Count, Stop> {
    let Some((_, head)) = copy.head() else {
        return Err(Stop::Refused("the export has no head".to_owned()));
    };
    let until = Instant::now() + SAFE_WAIT;
    loop {
        let receipts = deliver::receipts(there.network, there.name).await;
        let receipts = receipts.unwrap_or_default();
        if there.has_gone_on(&receipts) {
            // Tried again with the next round.
            there.read(console).await.ok();
        }
        let (count, good) = members.count(&there.copy.chain, head, &receipts);
        if count.is_safe() {
            if let Some(claim) = claim {
                shelf.safe(&claim, &good)?;
            }
            return Ok(count);
        }
        if Instant::now() >= until {
            return Ok(count);
        }
        console.progress(&format!("held by {} of {}", count.held, count.members));
        sleep(PAUSE).await;
    }
}
