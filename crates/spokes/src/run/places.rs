//! `spokes council move, drain, replicas, open, status, spokes, blogs`, and `spokes leave`: where blogs are, and
//! that they go elsewhere. What was begun goes on in the council, whether anybody watches or not.

mod open;
mod seen;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{ArgGroup, Args, Subcommand};
use spokes_log::name::{BlogName, Hash};
use spokes_rules::{
    node::{Label, Signed},
    request::{MEMBERS_MAX, Wish},
};

use crate::{
    author::Console,
    council::{Door, Whose},
    demo,
    outage::Outage,
    wire::places::{BlogPlaceWire, BlogsWire, CouncilStatusWire, SpokeWire, SpokesWire},
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
    Drain(Drain),
    /// Says how many servers hold a blog.
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
    json: bool,
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
pub(super) struct Drain {
    /// The spoke's label.
    #[arg(value_parser = Label::parse)]
    label: Label,
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
    #[command(flatten)]
    look: Look,
}

/// `spokes leave`.
#[derive(Debug, Args)]
pub(super) struct Leave {
    /// The spoke's directory.
    #[arg(long)]
    dir: PathBuf,
    /// Print facts as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: PlacesCommand) -> Result<(), Outage> {
    let console = Console::standard();
    match command {
        PlacesCommand::Move(args) => move_blog(args, &console).await,
        PlacesCommand::Drain(args) => {
            let door = args.tell.door().await?;
            let label = args.label.as_str();
            let wish = Wish::Drain {
                label: args.label.clone(),
            };
            let asked = begin_leaving(&door, label, wish).await?;
            watch_leaving(&door, label, asked, args.tell.look.json, &console).await
        }
        PlacesCommand::Replicas(args) => replicas(args, &console).await,
        PlacesCommand::Open(args) => open::open(args, &console).await,
        PlacesCommand::Status(look) => status(look, &console).await,
        PlacesCommand::Spokes(look) => spokes(look, &console).await,
        PlacesCommand::Blogs(args) => blogs(args, &console).await,
    }
}

impl Look {
    async fn door(&self, whose: Whose) -> Result<Door, Outage> {
        match (&self.dir, &self.network) {
            (Some(dir), _) => Door::of_council(dir, whose).await,
            (None, Some(url)) => Door::of_network(url, whose).await,
            // The command line asks for one of them.
            (None, None) => Err(Outage::new("say which council: --dir or --network")),
        }
    }
}

impl Tell {
    async fn door(&self) -> Result<Door, Outage> {
        self.look
            .door(Whose::Organizers(self.organizer.clone()))
            .await
    }

    /// Says a wish, and what came of it.
    pub(super) async fn order(&self, wish: Wish, said: &str) -> Result<(), Outage> {
        match self.door().await?.say(wish, Vec::new()).await? {
            Ok(taken) if self.look.json => {
                let json = serde_json::to_string(&taken);
                demo::speak(&json.map_err(|e| Outage::new(e.to_string()))?);
            }
            Ok(_) => demo::speak(said),
            Err(problem) => return Err(Outage::new(problem.detail)),
        }
        Ok(())
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

async fn move_blog(args: Move, console: &Console) -> Result<(), Outage> {
    let door = args.tell.door().await?;
    let (name, to) = (&args.blog, args.to.as_str());
    let (before, known) = place_and_records(&door, name, 0).await?;
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
            "\"{name}\" is on {to} now, and {} hold it.",
            place.held_by.len()
        ));
    }
    Ok(())
}

async fn begin_leaving(door: &Door, label: &str, wish: Wish) -> Result<u64, Outage> {
    let spoke = spoke_of(door, label, 0).await?;
    match spoke.standing.as_str() {
        "leaving" => Ok(0),
        "evicted" if spoke.blogs == 0 => Ok(0),
        _ => say(door, wish, Vec::new()).await,
    }
}

/// Shows how a spoke's blogs go elsewhere, until it holds none.
async fn watch_leaving(
    door: &Door,
    label: &str,
    asked: u64,
    json: bool,
    console: &Console,
) -> Result<(), Outage> {
    let mut watch = Watch::new(console, format!("What {label} holds"));
    let (began, mut first) = (Instant::now(), None);
    let spoke = loop {
        let read = spoke_of(door, label, asked).await;
        let Some(spoke) = watch.bear(read).await? else {
            continue;
        };
        let all = *first.get_or_insert(spoke.blogs);
        if spoke.blogs == 0 {
            break spoke;
        }
        if spoke.standing == "admitted" {
            return Err(Outage::new(format!(
                "{label} was admitted again meanwhile and keeps {} blogs. Nothing is lost",
                spoke.blogs
            )));
        }
        let done = all.saturating_sub(spoke.blogs);
        console.progress(&handed_over(done, all, began.elapsed()));
        if watch.stands_still(spoke.blogs.to_string()).await {
            console.say(&format!(
                "Nothing has moved for a minute: {} blogs wait for another spoke that can take them in. \
                 \"spokes council spokes\" shows who is well. Until then {label} must go on serving them.",
                spoke.blogs
            ));
        }
    };
    if json {
        console.json(&spoke);
    } else {
        console.fact(&format!(
            "{label} holds no blog any more: it may be stopped, or evicted."
        ));
    }
    Ok(())
}

/// "412 of 500 blogs handed over, about 2 min".
fn handed_over(done: usize, all: usize, since: Duration) -> String {
    let line = format!("{done} of {all} blogs handed over");
    if done == 0 || done >= all {
        return line;
    }
    let left = since.as_secs_f64() / done as f64 * (all - done) as f64;
    match left {
        ..90.0 => format!("{line}, about {left:.0} s"),
        _ => format!("{line}, about {:.0} min", left / 60.0),
    }
}

pub(super) async fn leave(args: Leave) -> Result<(), Outage> {
    let console = Console::standard();
    let (door, label) = Door::of_spoke(&args.dir).await?;
    let me = Label::parse(&label).map_err(Outage::new)?;
    let asked = begin_leaving(&door, &label, Wish::Leave { label: me }).await?;
    console.say(&format!(
        "{label} hands over what it holds. Keep it running until this ends; if you break off here, it goes on, \
         and the same command shows it again."
    ));
    watch_leaving(&door, &label, asked, args.json, &console).await
}

async fn replicas(args: Replicas, console: &Console) -> Result<(), Outage> {
    let door = args.tell.door().await?;
    let (name, wanted) = (&args.blog, args.replicas);
    let (before, known) = place_and_records(&door, name, 0).await?;
    let mut asked = 0;
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
        let line = format!(
            "\"{name}\": {} of {wanted} servers hold it",
            place.held_by.len()
        );
        console.progress(&line);
        if watch.stands_still(format!("{line} {members}")).await {
            console.say(&format!(
                "{} of {wanted} servers hold \"{name}\", and nothing has moved for a minute: there are too few spokes \
                 of different operators that take blogs. The wish stands, and goes on by itself as soon as there \
                 are more; to end this command changes nothing.",
                place.held_by.len()
            ));
            break place;
        }
    };
    if args.tell.look.json {
        console.json(&place);
    } else {
        console.fact(&format!("{} servers hold \"{name}\".", place.held_by.len()));
    }
    Ok(())
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
        for line in seen::status_lines(door.domain(), &said, leader.as_deref(), most) {
            console.fact(&line);
        }
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
        let behind = match spoke.behind {
            0 => String::new(),
            behind => format!(", still takes in {behind}"),
        };
        console.fact(&format!(
            "{} ({}) at {}: {}, {health}, load {}, takes {}; {} blogs, primary of {}{behind}",
            spoke.label,
            spoke.operator,
            spoke.address,
            spoke.standing,
            spoke.load,
            seen::takes(spoke),
            spoke.blogs,
            spoke.primary_of
        ));
    }
    Ok(())
}

async fn blogs(args: Blogs, console: &Console) -> Result<(), Outage> {
    let door = args.look.door(Whose::Nobodys).await?;
    let mut all: Vec<BlogPlaceWire> = Vec::new();
    loop {
        let after = all.last().map(|blog| format!("&after={}", blog.name));
        let spoke = args.spoke.as_ref().map(|label| format!("&spoke={label}"));
        let path = format!(
            "/api/v1/registry/blogs?limit=1000{}{}",
            after.unwrap_or_default(),
            spoke.unwrap_or_default()
        );
        let page: BlogsWire = door.get(&path).await?;
        all.extend(page.blogs);
        console.progress(&format!("{} blogs", all.len()));
        if !page.more {
            break;
        }
    }
    if args.look.json {
        console.json(&all);
        return Ok(());
    }
    for blog in &all {
        let under_way = match (&blog.next, &blog.home) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_watches_is_told_how_far_it_is() {
        let said = |done, seconds| handed_over(done, 500, Duration::from_secs(seconds));
        assert_eq!(said(0, 3), "0 of 500 blogs handed over");
        assert_eq!(said(412, 600), "412 of 500 blogs handed over, about 2 min");
        assert_eq!(said(450, 90), "450 of 500 blogs handed over, about 10 s");
        assert_eq!(said(500, 100), "500 of 500 blogs handed over");
    }
}
