//! `spokes council drain`, `evict` and `admit`, and `spokes leave`: spokes come and go, and nobody is told that one may
//! be stopped while a blog needs it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use spokes_log::name::BlogName;
use spokes_rules::{node::Label, request::Wish, succession::COPIES_MIN};

use super::{
    Tell, Watch, blogs_of, lags, place_of, say, spoke_of,
    waiting::{named, waiting},
};
use crate::{
    author::Console,
    council::Door,
    demo,
    outage::Outage,
    wire::places::{BlogPlaceWire, SpokeWire, SpokesWire},
};

/// How long a spoke that was just let in may take to answer: as long as an observer gives it.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Of how many blogs it is asked in the end on how many servers they are: one question each, and nobody reads more.
const COUNTED_MAX: usize = 1_000;

#[derive(Debug, Args)]
pub(in crate::run) struct Drain {
    /// The spoke's label.
    #[arg(value_parser = Label::parse)]
    label: Label,
    #[command(flatten)]
    tell: Tell,
}

/// `spokes leave`.
#[derive(Debug, Args)]
pub(in crate::run) struct Leave {
    /// The spoke's directory.
    #[arg(long)]
    dir: PathBuf,
    /// Print facts as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn drain(args: Drain, console: &Console) -> Result<(), Outage> {
    let door = args.tell.door().await?;
    let wish = Wish::Drain {
        label: args.label.clone(),
    };
    hand_over(
        &door,
        args.label.as_str(),
        wish,
        args.tell.look.json,
        console,
    )
    .await
}

pub(in crate::run) async fn leave(args: Leave) -> Result<(), Outage> {
    let console = Console::standard();
    let (door, label) = Door::of_spoke(&args.dir).await?;
    let me = Label::parse(&label).map_err(Outage::new)?;
    let wish = Wish::Leave { label: me };
    hand_over(&door, &label, wish, args.json, &console).await
}

/// Begins to empty a spoke, and shows how that goes.
async fn hand_over(
    door: &Door,
    label: &str,
    wish: Wish,
    json: bool,
    console: &Console,
) -> Result<(), Outage> {
    let before = Held::read(door, label, 0).await?;
    if before.spoke.standing != "evicted" {
        answers(&before.spoke, "Nothing was changed")?;
    }
    let asked = match before.spoke.standing.as_str() {
        "leaving" | "evicted" => 0,
        _ => say(door, wish, Vec::new()).await?,
    };
    if before.spoke.blogs > 0 {
        console.say(&format!(
            "{label} hands over what it holds ({}). Keep it running until this ends; if you break off here, it goes \
             on, and the same command shows it again.",
            counted(before.spoke.blogs)
        ));
        before.foretold().iter().for_each(|line| console.say(line));
    }
    let spoke = watch(door, label, asked, console).await?;
    let fewer = fewer_now(door, &before.fewer()).await;
    if json {
        let mut facts = serde_json::to_value(&spoke).map_err(|e| Outage::new(e.to_string()))?;
        facts["fewer"] = fewer.iter().map(|place| place.name.as_str()).collect();
        console.json(&facts);
        return Ok(());
    }
    console.fact(&match spoke.standing.as_str() {
        "evicted" => format!("{label} is barred and has no place in any blog: it may be stopped."),
        _ => format!("{label} holds no blog any more: it may be stopped, or evicted."),
    });
    let after = |place: &BlogPlaceWire| (1 + place.secondaries.len(), wanted(place));
    for line in on_fewer(When::Now, fewer.iter().map(after)) {
        console.fact(&line);
    }
    Ok(())
}

/// Shows how a spoke's blogs go elsewhere, until it holds none.
async fn watch(
    door: &Door,
    label: &str,
    asked: u64,
    console: &Console,
) -> Result<SpokeWire, Outage> {
    let mut watch = Watch::new(console, format!("What {label} holds"));
    let (began, mut first, mut last) = (Instant::now(), None, None);
    loop {
        let read = spoke_of(door, label, asked).await;
        let Some(spoke) = watch.bear(read).await? else {
            continue;
        };
        let all = *first.get_or_insert(spoke.blogs);
        if spoke.blogs == 0 {
            return Ok(spoke);
        }
        if spoke.standing == "admitted" {
            return Err(Outage::new(format!(
                "{label} was admitted again meanwhile and keeps {}. Nothing is lost",
                counted(spoke.blogs)
            )));
        }
        let done = all.saturating_sub(spoke.blogs);
        if spoke.standing == "leaving" {
            answers(&spoke, &format!("{done} of {all} blogs are handed over"))?;
        }
        // As long as blogs go nobody has to look at each of them.
        if last.replace(spoke.blogs) == Some(spoke.blogs) {
            let read = Held::read(door, label, asked).await;
            if let Some(stays) = watch
                .bear(read)
                .await?
                .and_then(|held| held.stays_for_good())
            {
                return Err(Outage::new(stays));
            }
        }
        console.progress(&handed_over(done, all, began.elapsed()));
        if watch.stands_still(spoke.blogs.to_string()).await {
            console.say(&format!(
                "Nothing has moved for a minute: {} wait for another spoke that can take them in. \
                 \"spokes council spokes\" shows who is well. Until then {label} must go on serving them.",
                counted(spoke.blogs)
            ));
        }
    }
}

/// Whether a spoke can hand over anything.
fn answers(spoke: &SpokeWire, so_far: &str) -> Result<(), Outage> {
    let (label, Some(since)) = (&spoke.label, &spoke.down_since) else {
        return Ok(());
    };
    if spoke.blogs == 0 {
        return Ok(());
    }
    Err(Outage::new(format!(
        "{label} is silent since {since} and cannot hand over anything. {so_far}. Start it again and say the same; if it \
         does not come back: \"spokes council evict {label}\", and its places go to others at once"
    )))
}

/// A spoke, what it holds, and who else is there.
struct Held {
    spoke: SpokeWire,
    others: Vec<SpokeWire>,
    blogs: Vec<BlogPlaceWire>,
}

/// What becomes of a blog without one of its spokes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum After {
    /// Others take its place.
    AsMany,
    /// It is on so many servers then, which are fewer than wanted.
    Fewer(usize),
    /// It would be on one alone, or on none.
    TooFew,
}

impl Held {
    async fn read(door: &Door, label: &str, records: u64) -> Result<Self, Outage> {
        // That there is such a spoke, and that this node has heard of what was asked.
        let spoke = spoke_of(door, label, records).await?;
        let found: SpokesWire = door.get("/api/v1/registry/spokes").await?;
        lags(found.records, records)?;
        let others = found.spokes.into_iter();
        let label = Label::parse(label).map_err(Outage::new)?;
        Ok(Self {
            blogs: match spoke.blogs {
                0 => Vec::new(),
                _ => blogs_of(door, Some(&label)).await?,
            },
            others: others.filter(|s| s.label != spoke.label).collect(),
            spoke,
        })
    }

    fn stays(&self, label: &str) -> Option<&SpokeWire> {
        let mut others = self.others.iter();
        others.find(|s| s.label == label && s.standing == "admitted" && s.down_since.is_none())
    }

    fn after(&self, place: &BlogPlaceWire) -> After {
        let members = std::iter::once(&place.primary).chain(&place.secondaries);
        let staying = members.filter_map(|label| self.stays(label));
        let free = self.others.iter().filter(|s| s.takes == "new");
        let free = free.filter(|s| self.stays(&s.label).is_some());
        let operators: BTreeSet<&String> = staying.chain(free).map(|s| &s.operator).collect();
        let (copies, wanted) = (operators.len(), wanted(place));
        match copies {
            _ if copies >= wanted => After::AsMany,
            _ if copies >= COPIES_MIN.min(wanted) => After::Fewer(copies),
            _ => After::TooFew,
        }
    }

    fn with(&self, fits: impl Fn(After) -> bool) -> Vec<&BlogPlaceWire> {
        let blogs = self.blogs.iter();
        blogs.filter(|place| fits(self.after(place))).collect()
    }

    /// Blogs that will be on fewer servers than wanted.
    fn fewer(&self) -> Vec<BlogName> {
        let fewer = self.with(|after| matches!(after, After::Fewer(_)));
        let names = fewer.iter().map(|place| BlogName::parse(&place.name));
        names.filter_map(Result::ok).collect()
    }

    /// What an organizer should know before.
    fn foretold(&self) -> Vec<String> {
        let label = &self.spoke.label;
        let fewer = self.blogs.iter().filter_map(|p| match self.after(p) {
            After::Fewer(copies) => Some((copies, wanted(p))),
            _ => None,
        });
        let mut lines = on_fewer(When::Then, fewer);
        let alone = self.with(|after| after == After::TooFew);
        if !alone.is_empty() {
            lines.push(format!(
                "{} on {label}, since without it each would be on one server alone: {}. They go as soon as there is \
                 another spoke of another operator.",
                stay(alone.len()),
                named(alone.iter().map(|place| &place.name))
            ));
        }
        lines
    }

    /// Why what is left does not go, where all that can go has gone.
    fn stays_for_good(&self) -> Option<String> {
        let label = &self.spoke.label;
        let rests = |place: &&BlogPlaceWire| {
            let others = std::iter::once(&place.primary).chain(&place.secondaries);
            let is_led =
                place.primary != *label || !others.clone().any(|l| self.stays(l).is_some());
            place.next.is_none() && is_led && self.after(place) == After::TooFew
        };
        let (waits, others): (Vec<_>, Vec<_>) =
            self.blogs.iter().partition(|place| !place.waits.is_empty());
        if self.blogs.is_empty() || !others.iter().all(rests) {
            return None;
        }
        let mut lines = Vec::new();
        if !others.is_empty() {
            lines.push(format!(
                "{} on {label}: {}. Without it each would be on one server alone, and there is no other spoke of another \
                 operator that takes it in. Keep {label} running: they go by themselves as soon as there is one. If they \
                 are to be on one server all the same: \"spokes council evict {label}\"",
                stay(others.len()),
                named(others.iter().map(|place| &place.name))
            ));
        }
        lines.extend(waits.into_iter().filter_map(waiting));
        Some(lines.join(". "))
    }
}

fn wanted(place: &BlogPlaceWire) -> usize {
    usize::try_from(place.replicas.saturating_add(place.more)).unwrap_or(usize::MAX)
}

/// Those of these blogs that are on fewer servers than wanted.
async fn fewer_now(door: &Door, names: &[BlogName]) -> Vec<BlogPlaceWire> {
    let mut fewer = Vec::new();
    for name in names.iter().take(COUNTED_MAX) {
        let Ok(place) = place_of(door, name).await else {
            continue;
        };
        if 1 + place.secondaries.len() < wanted(&place) {
            fewer.push(place);
        }
    }
    fewer
}

/// Whether something is so, or is going to be.
#[derive(Clone, Copy)]
enum When {
    Now,
    Then,
}

/// "5 blogs are on 2 servers now, not 3: …", a line for each pair of copies and wanted ones.
fn on_fewer(when: When, pairs: impl Iterator<Item = (usize, usize)>) -> Vec<String> {
    let mut groups: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for pair in pairs {
        *groups.entry(pair).or_default() += 1;
    }
    let lines = groups.into_iter().map(|((copies, wanted), blogs)| {
        let (blogs, on, few) = (counted(blogs), servers(copies), blogs == 1);
        let now = match when {
            When::Then => format!("{blogs} will be on {on}"),
            When::Now if few => format!("{blogs} is on {on} now"),
            When::Now => format!("{blogs} are on {on} now"),
        };
        format!("{now}, not {wanted}: there are too few spokes of other operators.")
    });
    lines.collect()
}

pub(super) fn counted(blogs: usize) -> String {
    match blogs {
        1 => "1 blog".to_owned(),
        _ => format!("{blogs} blogs"),
    }
}

fn stay(blogs: usize) -> String {
    match blogs {
        1 => "1 blog stays".to_owned(),
        _ => format!("{blogs} blogs stay"),
    }
}

/// "1 server", "2 servers".
pub(super) fn servers(servers: usize) -> String {
    match servers {
        1 => "1 server".to_owned(),
        _ => format!("{servers} servers"),
    }
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

/// `spokes council evict`.
pub(in crate::run) async fn evict(label: Label, tell: &Tell) -> Result<(), Outage> {
    let door = tell.door().await?;
    let wish = Wish::Evict {
        label: label.clone(),
    };
    let Some(records) = order(&door, wish, tell).await? else {
        return Ok(());
    };
    let mut lines = vec![format!("{label} is barred for good, and out of DNS.")];
    // It is barred, whether this can be read or not.
    match Held::read(&door, label.as_str(), records).await {
        Ok(held) => lines.extend(held.without()),
        Err(_) => lines.push(format!(
            "\"spokes council blogs --spoke {label}\" shows what is left of its places."
        )),
    }
    demo::speak(&lines.join(" "));
    Ok(())
}

impl Held {
    /// What becomes of the blogs of one that is barred.
    fn without(&self) -> Vec<String> {
        let label = &self.spoke.label;
        if self.blogs.is_empty() {
            return vec!["It held no blog.".to_owned()];
        }
        let (waits, others): (Vec<_>, Vec<_>) =
            self.blogs.iter().partition(|place| !place.waits.is_empty());
        let mut lines = Vec::new();
        if !others.is_empty() {
            lines.push(format!(
                "Other spokes take its places in {} now: \"spokes council blogs --spoke {label}\" shows what is left.",
                counted(others.len())
            ));
        }
        let fewer = others.iter().filter_map(|place| {
            let wanted = wanted(place);
            match self.after(place) {
                After::AsMany => None,
                After::Fewer(copies) => Some((copies, wanted)),
                After::TooFew => Some((1, wanted)),
            }
        });
        lines.extend(on_fewer(When::Then, fewer));
        if !waits.is_empty() {
            let first = &waits[0].name;
            lines.push(format!(
                "For {} nothing happens by itself, since too many of their servers are gone ({}): \"spokes council blogs \
                 --waiting\" lists them, and \"spokes council open {first}\" says what can be done.",
                counted(waits.len()),
                named(waits.iter().map(|place| &place.name))
            ));
        }
        lines
    }
}

/// `spokes council admit`.
pub(in crate::run) async fn admit(label: Label, tell: &Tell) -> Result<(), Outage> {
    let door = tell.door().await?;
    let wish = Wish::Admit {
        label: label.clone(),
    };
    let Some(records) = order(&door, wish, tell).await? else {
        return Ok(());
    };
    let spoke = spoke_of(&door, label.as_str(), records).await.ok();
    let silent = match &spoke {
        Some(spoke) if spoke.down_since.is_some() => Some(spoke),
        Some(spoke) => (!is_there(&door, spoke).await).then_some(spoke),
        None => None,
    };
    demo::speak(&match silent {
        None => format!("{label} is admitted: DNS names it now, and it is given new blogs."),
        Some(spoke) => format!(
            "{label} is admitted, and does not answer at {}. As long as it is silent DNS does not name it, and it is \
             given no blogs. Start it: \"spokes council spokes\" shows when it is well.",
            spoke.address
        ),
    });
    Ok(())
}

async fn is_there(door: &Door, spoke: &SpokeWire) -> bool {
    let Ok(address) = spoke.address.parse() else {
        return false;
    };
    let asked = door.get_at::<serde_json::Value>(address, "/api/v1/status");
    matches!(tokio::time::timeout(ANSWER_WAIT, asked).await, Ok(Ok(_)))
}

/// Says a wish; behind how many records it is so, or none where that was printed as facts.
async fn order(door: &Door, wish: Wish, tell: &Tell) -> Result<Option<u64>, Outage> {
    match door.say(wish, Vec::new()).await? {
        Ok(taken) if tell.look.json => {
            let json = serde_json::to_string(&taken);
            demo::speak(&json.map_err(|e| Outage::new(e.to_string()))?);
            Ok(None)
        }
        Ok(taken) => Ok(Some(taken.index + 1)),
        Err(problem) => Err(Outage::new(problem.detail)),
    }
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

    /// "a b? c- d/a": spokes, `?` silent, `-` one that takes no new blogs, `d/a` one of a's operator. The blog is on those of
    /// `on`, of which the first leaves; three servers are wanted.
    #[track_caller]
    fn check(spokes: &str, on: &str, expected: After) {
        let spoke = |word: &str| {
            let name = word.trim_end_matches(['?', '-']);
            let (label, operator) = name.split_once('/').unwrap_or((name, name));
            SpokeWire {
                label: label.to_owned(),
                operator: operator.to_owned(),
                address: String::new(),
                standing: "admitted".into(),
                since: String::new(),
                down_since: word.ends_with('?').then(|| "noon".to_owned()),
                load: "1".into(),
                takes: if word.ends_with('-') { "held" } else { "new" }.into(),
                blogs: 1,
                primary_of: 0,
                behind: 0,
            }
        };
        let mut others: Vec<SpokeWire> = spokes.split(' ').map(spoke).collect();
        let members: Vec<String> = on.split(' ').map(str::to_owned).collect();
        let leaver = others.iter().position(|s| s.label == members[0]).unwrap();
        let held = Held {
            spoke: others.remove(leaver),
            others,
            blogs: Vec::new(),
        };
        let place = BlogPlaceWire {
            name: "maria".into(),
            blog: String::new(),
            epoch: 1,
            primary: members[0].clone(),
            secondaries: members[1..].to_vec(),
            held_by: members.clone(),
            replicas: 3,
            more: 0,
            next: None,
            home: None,
            missing: Vec::new(),
            waits: Vec::new(),
        };
        assert_eq!(held.after(&place), expected, "{spokes}: {on}");
    }

    #[test]
    fn it_is_foretold_on_how_many_servers_a_blog_is_without_one() {
        check("a b c d", "a b c", After::AsMany);
        check("a b c d-", "a b c", After::Fewer(2));
        check("a b c d?", "a b c", After::Fewer(2));
        // Two of one operator are one copy.
        check("a b c d/b", "a b c", After::Fewer(2));
        check("a b c/b", "a b c", After::TooFew);
        check("a b", "a b", After::TooFew);
        check("a b? c", "a b c", After::TooFew);
        // One that takes no new blogs keeps those that it has.
        check("a b- c-", "a b c", After::Fewer(2));
    }
}
