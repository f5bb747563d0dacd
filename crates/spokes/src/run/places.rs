//! `spokes council move, drain, replicas, open, status, spokes, blogs`, and `spokes leave`: where blogs are, and
//! that they go elsewhere. What was begun goes on in the council, whether anybody watches or not.

mod leaving;
mod open;
mod seen;
mod waiting;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{ArgGroup, Args, Subcommand};
use spokes_log::name::{BlogName, Hash};
use spokes_rules::{
    health::Load,
    node::{Label, Signed},
    request::{MEMBERS_MAX, Wish},
};

use super::dnssec::summary;
use crate::{
    author::Console,
    clock,
    council::{Door, Whose},
    demo,
    outage::Outage,
    wire::{
        places::{BlogPlaceWire, BlogsWire, CouncilStatusWire, SpokeWire, SpokesWire},
        zone_keys::ZoneKeysWire,
    },
};

/// How often somebody who watches is told how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How long nothing may move before it is said why that may be.
const STILL: Duration = Duration::from_secs(60);
/// How often silent council nodes are asked again, before one who watches is told that it goes on without him.
const SILENCES_MAX: u32 = 50;

#[derive(Debug, Subcommand)]
pub(super) enum PlacesCommand {
    /// Moves a blog's primary to another spoke, while its author writes and readers read.
    ///
    /// Example: spokes council move maria --to garden --dir /var/lib/council
    Move(Move),
    /// Hands over everything that a spoke holds, and keeps new blogs from it.
    ///
    /// Its blogs stay readable and take entries meanwhile. The spoke must go on running until all is handed over:
    /// what is shown says when. Breaking off changes nothing; the same command shows it again. "spokes council
    /// admit" takes the spoke back. One that is dead is evicted instead.
    ///
    /// Example: spokes council drain garden --dir /var/lib/council
    Drain(leaving::Drain),
    /// Says how many servers hold a blog.
    ///
    /// More take copies of it within seconds to minutes; fewer leave once the others hold it. It lasts until somebody
    /// says another number.
    ///
    /// Example: spokes council replicas maria 5 --dir /var/lib/council
    Replicas(Replicas),
    /// Lets a blog go on whose former servers do not come back, without what only they may have. Says first what
    /// that is.
    ///
    /// Example: spokes council open maria --may-fork --dir /var/lib/council
    Open(open::Open),
    /// Shows the nodes of the council: who leads, and who is behind.
    ///
    /// Example: spokes council status --dir /var/lib/council
    Status(Look),
    /// Shows the spokes: how each is, what it has to do, and how many blogs it holds.
    ///
    /// Example: spokes council spokes --dir /var/lib/council --json
    Spokes(Look),
    /// Shows where each blog is, who holds it, and what is under way.
    ///
    /// Example: spokes council blogs --dir /var/lib/council --json
    Blogs(Blogs),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("council").required(true).multiple(true).args(["dir", "network"])))]
pub(super) struct Look {
    /// The directory of a council node.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Any node of the network, where no council node's directory is at hand.
    #[arg(long, env = "SPOKES_NETWORK", value_name = "URL")]
    network: Option<String>,
    /// Print facts as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// How an order reaches the council.
#[derive(Debug, Args)]
pub(super) struct Tell {
    #[command(flatten)]
    look: Look,
    /// An organizer's key; DIR/organizer.key if it is left out.
    #[arg(long, value_name = "FILE", required_unless_present = "dir")]
    organizer: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Move {
    /// The blog's name.
    #[arg(value_parser = BlogName::parse)]
    blog: BlogName,
    /// The spoke that is to accept its entries.
    #[arg(long, value_parser = Label::parse)]
    to: Label,
    #[command(flatten)]
    tell: Tell,
}

#[derive(Debug, Args)]
pub(super) struct Replicas {
    /// The blog's name.
    #[arg(value_parser = BlogName::parse)]
    blog: BlogName,
    /// How many servers.
    #[arg(value_parser = clap::value_parser!(u64).range(1..=MEMBERS_MAX as u64))]
    replicas: u64,
    #[command(flatten)]
    tell: Tell,
}

#[derive(Debug, Args)]
pub(super) struct Blogs {
    /// Only those of this spoke.
    #[arg(long, value_parser = Label::parse)]
    spoke: Option<Label>,
    /// Only those that wait for an organizer: too many of their servers are gone.
    #[arg(long)]
    waiting: bool,
    #[command(flatten)]
    look: Look,
}

pub(super) use leaving::{Leave, admit, evict, leave};

pub(super) async fn run(command: PlacesCommand) -> Result<(), Outage> {
    let console = Console::standard();
    match command {
        PlacesCommand::Move(args) => move_blog(args, &console).await,
        PlacesCommand::Drain(args) => leaving::drain(args, &console).await,
        PlacesCommand::Replicas(args) => replicas(args, &console).await,
        PlacesCommand::Open(args) => open::open(args, &console).await,
        PlacesCommand::Status(look) => status(look, &console).await,
        PlacesCommand::Spokes(look) => spokes(look, &console).await,
        PlacesCommand::Blogs(args) => blogs(args, &console).await,
    }
}

impl Look {
    pub(super) async fn door(&self, whose: Whose) -> Result<Door, Outage> {
        match (&self.dir, &self.network) {
            (Some(dir), _) => Door::of_council(dir, whose).await,
            (None, Some(url)) => Door::of_network(url, whose).await,
            // The command line asks for one of them.
            (None, None) => Err(Outage::new("say which council: --dir or --network")),
        }
    }

    /// Which council, as it was said: for commands that are printed.
    pub(super) fn at(&self) -> String {
        match (&self.dir, &self.network) {
            (Some(dir), _) => format!("--dir {}", quoted(&dir.display().to_string())),
            (None, Some(url)) => format!("--network {}", quoted(url)),
            (None, None) => String::new(),
        }
    }

    /// The command that prints a mirror's configuration: secrets are told beside a council node alone.
    pub(super) fn mirror_keys(&self, mirror: &str) -> String {
        let dir = match &self.dir {
            Some(_) => self.at(),
            None => "--dir DIR (of a council node, and where it runs)".to_owned(),
        };
        format!("spokes council mirror keys {mirror} --for bind {dir}")
    }
}

impl Tell {
    pub(super) async fn door(&self) -> Result<Door, Outage> {
        self.look
            .door(Whose::Organizers(self.organizer.clone()))
            .await
    }

    /// Says a wish, and what came of it. Gives where it was said, and the records behind which it is so.
    pub(super) async fn order(&self, wish: Wish, said: &str) -> Result<(Door, u64), Outage> {
        let door = self.door().await?;
        let taken = match door.say(wish, Vec::new()).await? {
            Ok(taken) => taken,
            Err(problem) => return Err(Outage::new(problem.detail)),
        };
        if self.look.json {
            let json = serde_json::to_string(&taken);
            demo::speak(&json.map_err(|e| Outage::new(e.to_string()))?);
        } else {
            demo::speak(said);
        }
        Ok((door, taken.index + 1))
    }

    /// Which council and by which key, as it was said: for commands that are printed.
    pub(super) fn at(&self) -> String {
        match &self.organizer {
            Some(file) => format!(
                "{} --organizer {}",
                self.look.at(),
                quoted(&file.display().to_string())
            ),
            None => self.look.at(),
        }
    }

    /// Which council alone: for commands that need no key.
    pub(super) fn look_at(&self) -> String {
        self.look.at()
    }

    pub(super) fn mirror_keys(&self, mirror: &str) -> String {
        self.look.mirror_keys(mirror)
    }

    /// Whether facts are wanted as JSON.
    pub(super) fn is_json(&self) -> bool {
        self.look.json
    }
}

/// A word of a command as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-:@%+,=[]".contains(c);
    match word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// Says a wish; what the registry refuses is a sentence. Gives the number of records behind which it is so: a node
/// may hear of it later.
async fn say(door: &Door, wish: Wish, statements: Vec<Signed>) -> Result<u64, Outage> {
    match door.say(wish, statements).await? {
        Ok(taken) => Ok(taken.index + 1),
        Err(problem) => Err(Outage::new(problem.detail)),
    }
}

/// The same, where it was wished before and is over by so many records: what is said twice in one second is one
/// request (SPEC registry 2.4).
async fn say_again(door: &Door, wish: Wish, known: u64) -> Result<u64, Outage> {
    let asked = say(door, wish.clone(), Vec::new()).await?;
    if asked > known {
        return Ok(asked);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    say(door, wish, Vec::new()).await
}

async fn place_of(door: &Door, name: &BlogName) -> Result<BlogPlaceWire, Outage> {
    place_behind(door, name, 0).await
}

/// Where a blog is, from a node that has so many records.
async fn place_behind(door: &Door, name: &BlogName, records: u64) -> Result<BlogPlaceWire, Outage> {
    let (place, _) = place_and_records(door, name, records).await?;
    Ok(place)
}

/// The same, and how many records that node has.
async fn place_and_records(
    door: &Door,
    name: &BlogName,
    records: u64,
) -> Result<(BlogPlaceWire, u64), Outage> {
    let path = format!("/api/v1/registry/blogs?name={name}");
    let found: BlogsWire = door.get(&path).await?;
    lags(found.records, records)?;
    let domain = door.domain();
    let none = || {
        Outage::new(format!(
            "there is no blog \"{name}\" on {domain}; nothing was changed"
        ))
    };
    let place = found.blogs.into_iter().next().ok_or_else(none)?;
    Ok((place, found.records))
}

/// Says that a node has not heard yet of what is looked for.
fn lags(has: u64, needed: u64) -> Result<(), Outage> {
    match has < needed {
        true => Err(Outage::new("the council node has not heard of it yet")),
        false => Ok(()),
    }
}

async fn spoke_of(door: &Door, label: &str, records: u64) -> Result<SpokeWire, Outage> {
    let found: SpokesWire = door.get("/api/v1/registry/spokes").await?;
    lags(found.records, records)?;
    let domain = door.domain();
    let none = || {
        Outage::new(format!(
            "no spoke is called \"{label}\" on {domain}; nothing was changed"
        ))
    };
    found
        .spokes
        .into_iter()
        .find(|spoke| spoke.label == label)
        .ok_or_else(none)
}

fn id_of(place: &BlogPlaceWire) -> Result<Hash, Outage> {
    Hash::parse(&place.blog).map_err(Outage::new)
}

/// "a", "a and b", "a, b and c".
fn listed(labels: &[String]) -> String {
    joined(labels, "and")
}

fn joined(labels: &[String], word: &str) -> String {
    match labels {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}

/// Looks again and again until something is done. Council nodes may be silent for a while.
struct Watch<'a> {
    console: &'a Console,
    what: String,
    moved: Instant,
    seen: String,
    is_told: bool,
    silences: u32,
}

impl<'a> Watch<'a> {
    fn new(console: &'a Console, what: String) -> Self {
        Self {
            console,
            what,
            moved: Instant::now(),
            seen: String::new(),
            is_told: false,
            silences: 0,
        }
    }

    /// Waits a moment; true where nothing has moved for long and that was not said yet.
    async fn stands_still(&mut self, seen: String) -> bool {
        if self.seen != seen {
            (self.moved, self.is_told) = (Instant::now(), false);
            self.seen = seen;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let still = self.moved.elapsed() >= STILL && !self.is_told;
        self.is_told |= still;
        still
    }

    /// What was read; none when nobody answered, which is borne for a while.
    async fn bear<T>(&mut self, read: Result<T, Outage>) -> Result<Option<T>, Outage> {
        match read {
            Ok(read) => {
                self.silences = 0;
                Ok(Some(read))
            }
            Err(outage) if self.silences < SILENCES_MAX => {
                self.silences += 1;
                self.console.progress(&format!("{}: {outage}", self.what));
                tokio::time::sleep(LOOK_EVERY).await;
                Ok(None)
            }
            Err(outage) => Err(Outage::new(format!(
                "{outage}. {} goes on in the council; the same command shows it again",
                self.what
            ))),
        }
    }
}

/// Says that a blog waits for its organizer, and nothing else can be done with it before.
fn stands_still_for(place: &BlogPlaceWire, besides: &str) -> Result<(), Outage> {
    match waiting::waiting(place) {
        Some(waits) => Err(Outage::new(format!("{waits}. {besides}"))),
        None => Ok(()),
    }
}

async fn move_blog(args: Move, console: &Console) -> Result<(), Outage> {
    let door = args.tell.door().await?;
    let (name, to) = (&args.blog, args.to.as_str());
    let (before, known) = place_and_records(&door, name, 0).await?;
    stands_still_for(&before, "Nothing was changed")?;
    let is_asked = before.home.as_deref() == Some(to);
    let is_there = before.primary == to && before.home.is_none() && before.next.is_none();
    let mut asked = 0;
    if !is_there && !is_asked {
        let wish = Wish::Move {
            blog: id_of(&before)?,
            to: args.to.clone(),
        };
        asked = say_again(&door, wish, known).await?;
    }
    let mut watch = Watch::new(console, format!("The move of \"{name}\" to {to}"));
    let place = loop {
        let read = place_behind(&door, name, asked).await;
        let Some(place) = watch.bear(read).await? else {
            continue;
        };
        if place.primary == to && place.next.is_none() {
            break place;
        }
        if place.home.as_deref() != Some(to) && place.next.is_none() {
            return Err(Outage::new(format!(
                "\"{name}\" stays on {}: the move was given up, or another one was asked for since. \
                 Nothing is lost",
                place.primary
            )));
        }
        stands_still_for(&place, "The move goes on by itself then")?;
        let holds = place.held_by.iter().any(|label| label == to);
        let line = match (&place.next, holds) {
            (Some(_), _) => format!("\"{name}\": the servers agree on what {to} goes on behind"),
            (None, false) => format!("\"{name}\": {to} takes in the blog"),
            (None, true) => format!("\"{name}\": {to} holds the blog and takes over"),
        };
        console.progress(&line);
        if watch.stands_still(line).await {
            console.say(&format!(
                "Nothing has moved for a minute. {to} may be busy or silent: \"spokes council spokes\" \
                 shows it. The blog stays where it is until {to} holds it."
            ));
        }
    };
    if args.tell.look.json {
        console.json(&place);
    } else {
        console.fact(&format!(
            "\"{name}\" is on {to} now, and {} it.",
            hold(place.held_by.len())
        ));
    }
    Ok(())
}

async fn replicas(args: Replicas, console: &Console) -> Result<(), Outage> {
    let door = args.tell.door().await?;
    let (name, wanted) = (&args.blog, args.replicas);
    let (before, known) = place_and_records(&door, name, 0).await?;
    let mut asked = 0;
    stands_still_for(&before, "Nothing was changed")?;
    if before.replicas != wanted {
        let wish = Wish::Replicas {
            blog: id_of(&before)?,
            replicas: wanted,
        };
        asked = say_again(&door, wish, known).await?;
    }
    let mut watch = Watch::new(console, format!("That {wanted} servers hold \"{name}\""));
    let place = loop {
        let read = place_behind(&door, name, asked).await;
        let Some(place) = watch.bear(read).await? else {
            continue;
        };
        let members = 1 + place.secondaries.len();
        let all_hold = place.held_by.len() == members;
        if members as u64 == wanted + place.more && all_hold && place.next.is_none() {
            break place;
        }
        if place.replicas != wanted {
            return Err(Outage::new(format!(
                "\"{name}\" is to have {} replicas by now: somebody asked for that meanwhile",
                place.replicas
            )));
        }
        stands_still_for(&place, "The wish stands, and goes on by itself then")?;
        let held = place.held_by.len();
        let line = format!("\"{name}\": {held} of {wanted} servers hold it");
        console.progress(&line);
        if watch.stands_still(format!("{line} {members}")).await {
            return Err(Outage::new(format!(
                "{held} of {wanted} servers hold \"{name}\", and nothing has moved for a minute: there are too few \
                 spokes of different operators that take blogs. The wish stands, and goes on by itself as soon as there \
                 are more"
            )));
        }
    };
    if args.tell.look.json {
        console.json(&place);
    } else {
        console.fact(&format!("{} \"{name}\".", hold(place.held_by.len())));
    }
    Ok(())
}

/// "1 server holds", "3 servers hold".
fn hold(servers: usize) -> String {
    let verb = if servers == 1 { "holds" } else { "hold" };
    format!("{} {verb}", leaving::servers(servers))
}

async fn status(look: Look, console: &Console) -> Result<(), Outage> {
    let door = look.door(Whose::Nobodys).await?;
    let mut said = Vec::new();
    for node in door.nodes() {
        let read = door
            .get_at::<CouncilStatusWire>(*node, "/api/v1/registry/status")
            .await;
        said.push((*node, read));
    }
    let all = said.iter().filter_map(|(_, read)| read.as_ref().ok());
    let most = all
        .clone()
        .map(|status| status.records)
        .max()
        .unwrap_or_default();
    let leader = all
        .clone()
        .filter(|s| s.confirmed)
        .find_map(|s| s.leader.clone());
    if look.json {
        let nodes = said.iter().map(|(node, read)| match read {
            Ok(status) => serde_json::json!({
                "api": node.to_string(), "answers": true, "behind": most - status.records,
                "status": status,
            }),
            Err(outage) => serde_json::json!({
                "api": node.to_string(), "answers": false, "why": outage.to_string(),
                "label": seen::called(*node, &said),
            }),
        });
        let nodes: Vec<_> = nodes.collect();
        console.json(&serde_json::json!({
            "domain": door.domain(), "network": door.network().to_string(), "leader": leader,
            "records": most, "nodes": nodes,
        }));
    } else {
        let keys = door.get::<ZoneKeysWire>("/api/v1/registry/zone-keys").await;
        let signed = keys.ok().map(|keys| summary(&keys, clock::now()));
        for line in seen::status_lines(door.domain(), &said, leader.as_deref(), most) {
            console.fact(&line);
        }
        signed
            .iter()
            .for_each(|line| console.fact(&format!("  {line}")));
    }
    match leader {
        Some(_) => Ok(()),
        None => Err(seen::nobody_leads(&said)),
    }
}

async fn spokes(look: Look, console: &Console) -> Result<(), Outage> {
    let door = look.door(Whose::Nobodys).await?;
    let found: SpokesWire = door.get("/api/v1/registry/spokes").await?;
    if look.json {
        console.json(&found);
        return Ok(());
    }
    for spoke in &found.spokes {
        let health = match &spoke.down_since {
            Some(since) => format!("silent since {since}"),
            None => "well".to_owned(),
        };
        let takes = seen::takes(spoke);
        let behind = match spoke.behind {
            0 => String::new(),
            behind => format!(", still takes in {behind}"),
        };
        console.fact(&format!(
            "{} ({}) at {}: {}, {health}, load {} of {}, {takes}; {}, primary of {}{behind}",
            spoke.label,
            spoke.operator,
            spoke.address,
            spoke.standing,
            spoke.load,
            Load::FULL,
            leaving::counted(spoke.blogs),
            spoke.primary_of
        ));
    }
    Ok(())
}

/// All blogs, or those of a spoke.
async fn blogs_of(door: &Door, spoke: Option<&Label>) -> Result<Vec<BlogPlaceWire>, Outage> {
    let mut all: Vec<BlogPlaceWire> = Vec::new();
    loop {
        let after = all.last().map(|blog| format!("&after={}", blog.name));
        let spoke = spoke.map(|label| format!("&spoke={label}"));
        let path = format!(
            "/api/v1/registry/blogs?limit=1000{}{}",
            after.unwrap_or_default(),
            spoke.unwrap_or_default()
        );
        let page: BlogsWire = door.get(&path).await?;
        all.extend(page.blogs);
        if !page.more {
            return Ok(all);
        }
    }
}

async fn blogs(args: Blogs, console: &Console) -> Result<(), Outage> {
    let door = args.look.door(Whose::Nobodys).await?;
    let mut all = blogs_of(&door, args.spoke.as_ref()).await?;
    all.retain(|blog| !args.waiting || !blog.waits.is_empty());
    if args.look.json {
        console.json(&all);
        return Ok(());
    }
    if args.waiting && all.is_empty() {
        console.say("No blog waits for an organizer.");
    } else if all.is_empty() {
        console.say(&seen::no_blogs(&door, args.spoke.as_ref()).await);
    }
    for blog in &all {
        let under_way = match (&blog.next, &blog.home) {
            _ if !blog.waits.is_empty() => {
                let gone = listed(&blog.waits);
                let are = if blog.waits.len() == 1 { "is" } else { "are" };
                format!(
                    "; waits: {gone} {are} gone; \"spokes council open {}\"",
                    blog.name
                )
            }
            (Some(next), _) => format!("; changes to {}", next.join(", ")),
            (None, Some(home)) => format!("; on its way to {home}"),
            (None, None) => String::new(),
        };
        console.fact(&format!(
            "{}: on {}, beside it {}; epoch {}, held by {} of {}{under_way}",
            blog.name,
            blog.primary,
            if blog.secondaries.is_empty() {
                "none".to_owned()
            } else {
                blog.secondaries.join(", ")
            },
            blog.epoch,
            blog.held_by.len(),
            1 + blog.secondaries.len()
        ));
    }
    Ok(())
}
