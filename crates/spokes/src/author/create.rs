//! `create`: asks a network for a name, with the first entry of a new blog.

use std::time::Duration;

use serde_json::Value;
use spokes_log::{
    chain::Chain,
    draft::{Claim, Says},
    entry::Entry,
    key::Certificate,
    name::{BlogName, Language},
    seal::SealedEntry,
};
use spokes_rules::{node::Label, reserved::is_reserved};
use tokio::time::{Instant, sleep};

use crate::{
    author::{
        Desk,
        console::Console,
        copy::BlogCopy,
        deliver::{Members, receipts_of},
        matter,
        network::{Network, To, Trouble},
        now,
        session::{blog_name, draft},
        signer::{Signer, SigningKey, UserId},
        state::{Home, Shelf, Waiting},
        stop::Stop,
    },
    wire::{BlogWire, EntryWire, HeadWire, StandingWire},
};

/// How long a claim is good: an author may sleep over a council that is down, a thief may not.
pub(crate) const CLAIM_SECONDS: i64 = 60 * 60;
/// A spoke that has not heard from the council answers "busy"; so does one that restarts.
const CLAIM_TRIES: usize = 3;
/// Spokes that are asked one after the other, each of which the one before named.
const OTHERS_ASKED_MAX: usize = 5;
/// Between two of them.
const CLAIM_PAUSE: Duration = Duration::from_secs(1);
/// A zone change reaches every server at once; this is for the slow ones.
const RESOLVE_WAIT: Duration = Duration::from_secs(10);
/// How often a name is looked up meanwhile.
const RESOLVE_PAUSE: Duration = Duration::from_millis(300);

/// `spokes blog create`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Create {
    /// The name: 3 to 32 of a-z, 0-9 and hyphens
    name: String,
    /// The blog's title; else its name
    #[arg(long)]
    title: Option<String>,
    /// The language it is written in
    #[arg(long, default_value = "en")]
    language: String,
    /// Which user id of your key becomes public, where it has several
    #[arg(long)]
    uid: Option<String>,
    #[command(flatten)]
    signing: SigningKey,
}

/// Runs `create`.
pub(crate) async fn create(args: &Create, desk: &Desk<'_>) -> Result<(), Stop> {
    let Desk {
        common,
        surroundings,
        console,
    } = *desk;
    let name = asked_name(&args.name)?;
    let language = Language::parse(&args.language)
        .map_err(|why| Stop::Usage(format!("--language {} {why}", args.language)))?;
    let network = Network::open(common.network()?).await?;
    let uid = UserId::Public(args.uid.as_deref());
    let mut signer = Signer::open(&args.signing, uid, surroundings, console).await?;
    let home = Home::open(&surroundings.state_home, network.id())?;
    let _apart = home.lock(console).await?;
    let (shelf, sealed) = match waiting(&home, &network, &name, &signer, console).await? {
        Some(found) => found,
        None => {
            check_free(&network, &name).await?;
            let certificate = signer.certificate(args.uid.as_deref()).await?;
            show(&network, &name, &certificate, console);
            if !common.yes && !console.ask("Sign this and ask for the name?", false) {
                return Err(Stop::Refused(
                    "nothing was published, because the answer was no; nothing was signed, nothing was sent"
                        .to_owned(),
                ));
            }
            let title = matter::one_line(args.title.as_deref().unwrap_or(&args.name));
            let says = Says::Blog {
                title: if title.is_empty() {
                    args.name.clone()
                } else {
                    title
                },
                language,
                certificate: certificate.fingerprint().clone(),
                claim: Some(Claim {
                    name: name.clone(),
                    network: network.id(),
                    not_after: now() + CLAIM_SECONDS,
                }),
            };
            let sealed = first(says, &certificate, &mut signer).await?;
            let shelf = home.shelf(sealed.entry().id(), console).await?;
            shelf.keep(&Waiting::new(sealed.clone(), None))?;
            (shelf, sealed)
        }
    };
    if !common.json {
        console.fact(&format!(
            "pending: {name} is asked for on {}",
            network.domain()
        ));
    }
    let wire = claim(&network, &name, &sealed, &shelf, console).await;
    let wire = match wire {
        Err(Stop::Refused(why)) => {
            shelf.discard()?;
            return Err(Stop::Refused(why));
        }
        wire => wire?,
    };
    resolved(&network, &name).await?;
    settle(&network, &name, &wire, &sealed, &shelf, console).await?;
    tell(&network, &name, &wire, common.json, console);
    Ok(())
}

/// A name that may be had, as far as can be told without asking anybody.
fn asked_name(name: &str) -> Result<BlogName, Stop> {
    let name = blog_name(name)?;
    // The council would say so, too, but only once something was signed.
    if is_reserved(&name) {
        return Err(Stop::Refused(format!(
            "\"{name}\" is reserved; choose another name, nothing was sent"
        )));
    }
    Ok(name)
}

/// An entry 0 that was signed before and got no answer; one that came too late is dropped.
async fn waiting(
    home: &Home,
    network: &Network,
    name: &BlogName,
    signer: &Signer,
    console: &Console,
) -> Result<Option<(Shelf, SealedEntry)>, Stop> {
    for sealed in home.waiting_claims(name, signer.fingerprint())? {
        let id = sealed.entry().id();
        let shelf = home.shelf(id, console).await?;
        let ours = get(network, name)
            .await?
            .is_some_and(|wire| wire.blog == id.to_string());
        let draft = sealed.entry().draft();
        let good = matches!(
            draft.map(|draft| &draft.says),
            Some(Says::Blog { claim: Some(claim), .. }) if claim.not_after > now()
        );
        if ours || good {
            console.say("going on with what was signed before");
            return Ok(Some((shelf, sealed)));
        }
        shelf.discard()?;
    }
    Ok(None)
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

async fn check_free(network: &Network, name: &BlogName) -> Result<(), Stop> {
    match get(network, name).await? {
        None => Ok(()),
        Some(_) => Err(taken(name)),
    }
}

fn taken(name: &BlogName) -> Stop {
    Stop::Refused(format!(
        "\"{name}\" is taken; choose another name, nothing was kept"
    ))
}

/// Says what everybody will see, for ever.
fn show(network: &Network, name: &BlogName, certificate: &Certificate, console: &Console) {
    let uids: Vec<String> = certificate.user_ids().collect();
    let uids = if uids.is_empty() {
        "none".to_owned()
    } else {
        uids.join(", ")
    };
    console.say("This becomes public, for ever:");
    console.say(&format!(
        "  name         {name} ({})",
        network.address_of(name)
    ));
    console.say(&format!("  fingerprint  {}", certificate.fingerprint()));
    console.say(&format!("  user id      {uids}"));
}

async fn first(
    says: Says,
    certificate: &Certificate,
    signer: &mut Signer,
) -> Result<SealedEntry, Stop> {
    let no = |why: String| Stop::Refused(format!("{why}; nothing was sent"));
    let draft = draft(says, certificate.armored())?;
    let at = now();
    let entry = Entry::new(&draft, None, vec![certificate.fingerprint().clone()], at)
        .map_err(|why| no(why.to_string()))?;
    let chain = Chain::new(entry.id());
    let place = chain.place(&entry).map_err(|why| no(why.to_string()))?;
    let signature = signer.sign(entry.text(), at).await?;
    let verified = place
        .seal(entry, &[signature])
        .map_err(|why| no(why.to_string()))?;
    Ok(verified.sealed().clone())
}

/// Sends the claim to any spoke, which asks the council, and learns what was decided.
async fn claim(
    network: &Network,
    name: &BlogName,
    sealed: &SealedEntry,
    shelf: &Shelf,
    console: &Console,
) -> Result<BlogWire, Stop> {
    let ours = sealed.entry().id().to_string();
    let mut waiting = Waiting::new(sealed.clone(), None);
    shelf.sent(&mut waiting)?;
    let path = format!("/api/v1/blogs/{name}/entries");
    let wire = EntryWire::from(sealed);
    let kept = |why: &str| {
        Stop::Unreached(format!(
            "{why}; what you signed is kept for an hour, the same command goes on"
        ))
    };
    let mut ways = Ways::default();
    for turn in 1.. {
        // SPEC http 2.5: a claim is answered like 2.7, a known entry like any other.
        let posted: Result<Value, Trouble> = network.post(ways.next(), &path, &wire, None).await;
        let Err(trouble) = posted else {
            break;
        };
        // Whatever was answered, the registry may have taken it, now or the last time.
        match get(network, name).await {
            Ok(Some(wire)) if wire.blog == ours => return Ok(wire),
            Ok(Some(_)) => return Err(taken(name)),
            _ => {}
        }
        if ways.lead_on(&trouble, console) {
            continue;
        }
        match &trouble {
            Trouble::No(no) if no.status == 429 => return Err(kept(trouble.sentence())),
            Trouble::No(no) if no.status < 500 => {
                return Err(Stop::Refused(no.problem.detail.clone()));
            }
            trouble if turn >= CLAIM_TRIES => return Err(kept(trouble.sentence())),
            trouble => console.say(&format!("{}; asking again", trouble.sentence())),
        }
        sleep(CLAIM_PAUSE).await;
    }
    let until = Instant::now() + RESOLVE_WAIT;
    while Instant::now() < until {
        // Whatever goes wrong here, the claim may have been taken: nothing is thrown away.
        match get(network, name)
            .await
            .map_err(|stop| kept(&stop.to_string()))?
        {
            Some(wire) if wire.blog == ours => return Ok(wire),
            Some(_) => return Err(taken(name)),
            None => console.progress("waiting for the council"),
        }
        sleep(RESOLVE_PAUSE).await;
    }
    Err(kept("the council has not decided yet"))
}

/// Whom to ask for a name: any spoke, then one that has room where that one has none.
#[derive(Default)]
pub(crate) struct Ways {
    asked: Vec<Label>,
}

impl Ways {
    /// Who is asked next.
    pub(crate) fn next(&self) -> To<'_> {
        self.asked
            .last()
            .map_or(To::Apex, |label| To::Spoke(label.as_str()))
    }

    /// Goes on to another spoke where the last one had no room and named one, and says so.
    pub(crate) fn lead_on(&mut self, trouble: &Trouble, console: &Console) -> bool {
        if self.asked.len() == OTHERS_ASKED_MAX {
            return false;
        }
        let Some(other) = trouble.others().find(|other| !self.asked.contains(other)) else {
            return false;
        };
        let why = trouble.sentence().split(". ").next().unwrap_or_default();
        console.say(&format!("{why}; going on to \"{other}\", which has some"));
        self.asked.push(other);
        true
    }
}

/// Waits until the name leads to a spoke that has the blog.
async fn resolved(network: &Network, name: &BlogName) -> Result<(), Stop> {
    let until = Instant::now() + RESOLVE_WAIT;
    loop {
        let path = format!("/api/v1/blogs/{name}/head");
        let head: Result<HeadWire, Trouble> = network.get(To::Edit(name), &path).await;
        match head {
            Ok(_) => return Ok(()),
            Err(trouble) if Instant::now() >= until => {
                return Err(Stop::Unreached(format!(
                    "{name} is yours, but edit.{name}.{} does not answer yet ({}); publish waits \
                     for it",
                    network.domain(),
                    trouble.sentence()
                )));
            }
            Err(_) => sleep(RESOLVE_PAUSE).await,
        }
    }
}

/// Keeps the receipts for entry 0; until it is safe it stays in the outbox.
async fn settle(
    network: &Network,
    name: &BlogName,
    wire: &BlogWire,
    sealed: &SealedEntry,
    shelf: &Shelf,
    console: &Console,
) -> Result<(), Stop> {
    let members = Members::read(network.id(), wire)?;
    let mut copy = BlogCopy::new(sealed.entry().id());
    copy.take(sealed.clone())
        .map_err(|why| Stop::Refused(why.to_string()))?;
    let path = format!("/api/v1/blogs/{name}/entries");
    let body = EntryWire::from(sealed);
    let posted: Result<StandingWire, Trouble> =
        network.post(To::Edit(name), &path, &body, None).await;
    let receipts = posted.map_or_else(|_| Vec::new(), |s| receipts_of(&s.receipts));
    let (count, good) = members.count(&copy.chain, sealed.entry().id(), &receipts);
    if count.is_safe() {
        shelf.safe(&Waiting::new(sealed.clone(), None), &good)?;
    } else {
        console.say(&format!("the first entry: {}", count.sentence()));
    }
    shelf.keep_copy(&copy.to_file(&[]))
}

fn tell(network: &Network, name: &BlogName, wire: &BlogWire, json: bool, console: &Console) {
    let url = network.address_of(name);
    if json {
        console.json(&serde_json::json!({
            "name": name.as_str(), "blog": wire.blog, "author": wire.author, "url": url,
            "primary": wire.primary, "members": wire.members, "shortfall": wire.shortfall,
        }));
        return;
    }
    console.fact(&format!("{name} is yours: {url}"));
    if let Some(shortfall) = &wire.shortfall {
        console.say(shortfall);
    }
    console.say(&format!(
        "next: spokes blog publish hello.md --blog {name} …"
    ));
}
