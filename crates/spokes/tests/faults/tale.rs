//! One story told: the network, its readers and writers, the blow, and what everybody saw.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use spokes_log::{entry::Entry, name::EntryId};

use crate::{
    common::{demo::program, run},
    names::Resolver,
    network::{Network, Node},
    readers::{Read, Reads},
    row::Row,
    stories::{Blow, Story, Victims},
    tool::{Tool, Turn},
    watch::{News, Registry, Zone, editing, reading},
    world::WRITTEN,
    writers::{Post, Safe, Writer},
};

/// Readers, each with a resolver that asked at another moment.
const READERS: u32 = 6;
/// Blogs, of which each is written on and read.
const BLOGS: usize = 5;
/// How long members may take until all have what was called safe.
const SETTLE: Duration = Duration::from_secs(75);
/// What was called safe less than this before the end of a blow is not asked of all that live.
const FRESH: Duration = Duration::from_secs(10);

/// The observers' notes.
#[derive(Default)]
struct Notes {
    reads: Reads,
    safe: Safe,
    zone: Zone,
    registry: Registry,
}

/// When what happened.
struct Times {
    blow: Instant,
    healed: Instant,
    over: Instant,
}

/// Tells a story in the world that this process is in, and writes its row down.
pub(crate) fn tell(home: &Path, story: &Story) -> Row {
    let network = Network::found(home, &story.plan);
    let notes = Notes::default();
    let maria = Tool::with_blog(home, "maria");
    let blogs = blogs(&network, story, &network.members(&maria.blog, &[])[0]);
    let mut writers: Vec<Writer<'_>> = blogs
        .iter()
        .map(|(blog, through)| Writer::with_blog(&network, blog, through))
        .collect();
    let mut blogs: Vec<String> = blogs.into_iter().map(|(blog, _)| blog).collect();
    lead_readers_to_the_first(&network, &mut blogs, &mut writers);
    let sets: BTreeMap<String, Vec<String>> = blogs
        .iter()
        .map(|blog| (blog.clone(), network.members(blog, &[])))
        .collect();
    let victims = victims(&network, story, &sets[&blogs[0]]);
    let labels: Vec<String> = victims.iter().map(|node| node.label.clone()).collect();
    eprintln!("{}: {labels:?} will be met; sets {sets:?}", story.name);
    let names = [reading(&blogs), editing(&blogs)].concat();
    let (end_of_watch, end_of_story) = (AtomicBool::new(false), AtomicBool::new(false));
    let (times, early) = thread::scope(|scope| {
        let (notes, network, over) = (&notes, &network, &end_of_story);
        for writer in &mut writers {
            scope.spawn(move || writer.write(&notes.safe, over));
        }
        let maria = &maria;
        scope.spawn(move || maria.write(over));
        for number in 0..READERS {
            let (blogs, number) = (&blogs, number as usize);
            scope.spawn(move || {
                let left = u32::try_from(number + 1).unwrap() * 100 / READERS;
                let resolver = Resolver::new(&network.names(), number, left);
                notes
                    .reads
                    .read(&resolver, blogs, number, &notes.safe, over);
            });
        }
        let over = &end_of_watch;
        for server in network.names() {
            let names = &names;
            scope.spawn(move || notes.zone.watch(server, names, over));
        }
        scope.spawn(move || notes.registry.watch(network, over));
        let told = blows(network, story, &victims, notes, &sets);
        end_of_story.store(true, Ordering::Relaxed);
        end_of_watch.store(true, Ordering::Relaxed);
        told
    });
    for turn in maria.turns() {
        notes.safe.add_of_tool(&maria.blog, &turn);
    }
    let late = missing(&network, &notes.safe.all(), &[], SETTLE);
    let all = [&blogs[..], std::slice::from_ref(&maria.blog)].concat();
    let sound = verified(&network, &all);
    network.assert_no_panic();
    let facts = Facts {
        story,
        sets: &sets,
        victims: &victims,
        times: &times,
        notes: &notes,
        turns: maria.turns(),
    };
    facts.write_down(home);
    let row = facts.row(early, late, sound);
    fs::write(home.join(WRITTEN), row.json().to_string()).unwrap();
    row
}

/// Readers are led to secondaries only: makes blogs until the primary of the first is one of them.
fn lead_readers_to_the_first<'a>(
    network: &'a Network,
    blogs: &mut Vec<String>,
    writers: &mut Vec<Writer<'a>>,
) {
    let met = network.members(&blogs[0], &[])[0].clone();
    let others = network.spokes().filter(|node| node.label != met);
    for (number, through) in others.enumerate() {
        let leads_to = |blog: &String| network.members(blog, &[])[1..].contains(&met);
        if blogs.iter().any(leads_to) {
            return;
        }
        let blog = format!("more-{number}");
        writers.push(Writer::with_blog(network, &blog, &through.label));
        blogs.push(blog);
    }
}

/// The blogs and through whom they are asked for, so that each has another primary; the first one has
/// that of the author at her own tool.
fn blogs(network: &Network, story: &Story, first: &str) -> Vec<(String, String)> {
    let mut spokes: Vec<&Node> = network.spokes().collect();
    let is_met = |node: &&Node| matches!(&story.victims, Victims::Labels(labels) if labels.contains(&node.label.as_str()));
    match (&story.victims, story.blow) {
        // A secondary must be that and nothing else.
        (_, Blow::DiskFull) => spokes.retain(|node| !is_met(node)),
        (Victims::Labels(_), _) => spokes.sort_by_key(|node| !is_met(node)),
        _ => spokes.sort_by_key(|node| node.label != first),
    }
    let chosen = spokes.into_iter().take(BLOGS);
    chosen
        .map(|node| (format!("blog-{}", node.label), node.label.clone()))
        .collect()
}

fn victims<'a>(network: &'a Network, story: &Story, set: &[String]) -> Vec<&'a Node> {
    let labels: Vec<&str> = match &story.victims {
        Victims::Primary => vec![&set[0]],
        Victims::PrimaryAndSecondary => vec![&set[0], &set[1]],
        Victims::Labels(labels) => labels.clone(),
    };
    labels.iter().map(|label| network.node(label)).collect()
}

/// The blow, from the time before to the time after; and what living members lacked meanwhile.
fn blows(
    network: &Network,
    story: &Story,
    victims: &[&Node],
    notes: &Notes,
    sets: &BTreeMap<String, Vec<String>>,
) -> (Times, Missing) {
    let safe = &notes.safe;
    thread::sleep(story.before);
    let blow = Instant::now();
    story.blow.strike(network, victims);
    while blow.elapsed() < story.holds {
        thread::sleep(Duration::from_millis(200));
        if story.ends_early && is_kept(victims, notes, sets, blow) {
            break;
        }
    }
    let dead: Vec<String> = match story.blow {
        Blow::Restarted | Blow::DiskFull => vec![],
        _ => victims.iter().map(|node| node.label.clone()).collect(),
    };
    let mut settled = safe.all();
    for posts in settled.values_mut() {
        posts.retain(|post| post.at.elapsed() > FRESH);
    }
    let early = missing(network, &settled, &dead, Duration::from_secs(5));
    let healed = Instant::now();
    story.blow.heal(network, victims);
    eprintln!("{}: all is well again", story.name);
    thread::sleep(story.after);
    let times = Times {
        blow,
        healed,
        over: Instant::now(),
    };
    (times, early)
}

/// Whether nothing more is to be seen: the victims are out of DNS, and their blogs have new primaries.
fn is_kept(
    victims: &[&Node],
    notes: &Notes,
    sets: &BTreeMap<String, Vec<String>>,
    blow: Instant,
) -> bool {
    let names = reading(&sets.keys().cloned().collect::<Vec<_>>());
    let is_out = |node: &&Node| {
        let left = notes
            .zone
            .left(node.machine.ip, &names, blow, Instant::now());
        left.is_some()
    };
    let safe = notes.safe.all();
    let is_led = |(blog, set): (&String, &Vec<String>)| {
        let is_met = victims.iter().any(|node| node.label == set[0]);
        !is_met || safe[blog].iter().any(|post| post.epoch > 1)
    };
    victims.iter().all(is_out) && sets.iter().all(is_led)
}

/// Safe posts that are not where they should be.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// On no living member at all.
    pub(crate) lost: Vec<String>,
    /// Not on all of them.
    pub(crate) thin: Vec<String>,
}

/// Looks for all safe posts on all living members of their sets, until all are there or time is up.
fn missing(
    network: &Network,
    safe: &BTreeMap<String, Vec<Post>>,
    dead: &[String],
    most: Duration,
) -> Missing {
    let until = Instant::now() + most;
    loop {
        let mut missing = Missing::default();
        for (blog, posts) in safe {
            let members = network.members(blog, dead);
            let living = members.iter().filter(|label| !dead.contains(label));
            let held: Vec<(&String, BTreeSet<EntryId>)> = living
                .map(|label| (label, entries(network.node(label), blog)))
                .collect();
            for post in posts {
                let without = held.iter().filter(|(_, held)| !held.contains(&post.id));
                let without: Vec<&String> = without.map(|(label, _)| *label).collect();
                let line = format!("{blog}/{} not on {without:?}", post.slug);
                if without.len() == held.len() {
                    missing.lost.push(line);
                } else if !without.is_empty() {
                    missing.thin.push(line);
                }
            }
        }
        let whole = missing.lost.is_empty() && missing.thin.is_empty();
        if whole || Instant::now() > until {
            return missing;
        }
        thread::sleep(Duration::from_millis(500));
    }
}

/// The entries of a blog that one spoke has.
fn entries(node: &Node, blog: &str) -> BTreeSet<EntryId> {
    let (mut ids, mut after) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("blogs/{blog}/entries?limit=1000{after}");
        let Some(reply) = node.api(&path).filter(|reply| reply.status == 200) else {
            return ids;
        };
        let page = reply.json();
        for entry in page["entries"].as_array().unwrap() {
            let text = entry["text"].as_str().unwrap();
            ids.insert(Entry::parse(text.as_bytes()).unwrap().id());
        }
        if page["more"] != true {
            return ids;
        }
        after = format!("&after={}", page["cursor"].as_str().unwrap());
    }
}

/// Has the author's own tool check every member's copy of every blog; what it says where it is not good.
fn verified(network: &Network, blogs: &[String]) -> Vec<String> {
    let mut said = Vec::new();
    for blog in blogs {
        for label in network.members(blog, &[]) {
            let address = network.node(&label).address();
            let target = format!("http://{address}/{blog}");
            let (code, words) = run(&program(), &["blog", "verify", &target]);
            if code != 0 {
                said.push(format!("{blog} on {label}: {}", words.trim()));
            }
        }
    }
    said
}

/// All that is known when the story is over.
struct Facts<'a> {
    story: &'a Story,
    sets: &'a BTreeMap<String, Vec<String>>,
    victims: &'a [&'a Node],
    times: &'a Times,
    notes: &'a Notes,
    turns: Vec<Turn>,
}

impl Facts<'_> {
    fn is_victim(&self, label: &str) -> bool {
        self.victims.iter().any(|node| node.label == label)
    }

    fn row(&self, early: Missing, late: Missing, unsound: Vec<String>) -> Row {
        let Times { blow, .. } = *self.times;
        let reads = self.notes.reads.all();
        let after: Vec<&Read> = reads.iter().filter(|r| r.began + r.took > blow).collect();
        let longest = after.iter().map(|read| read.took).max().unwrap_or_default();
        let safe = self.notes.safe.all();
        let blogs: Vec<String> = self.sets.keys().cloned().collect();
        let struck = blogs.iter().filter(|b| self.is_victim(&self.sets[*b][0]));
        let struck: Vec<&String> = struck.collect();
        let silence = safe.values().map(|posts| self.silence(posts)).max();
        Row {
            story: self.story.name.to_owned(),
            reads: after.len(),
            failed: after.iter().map(|read| read.failed).sum(),
            slow: after.iter().filter(|r| r.took.as_secs() >= 1).count(),
            longest: longest.as_secs_f64(),
            last_trouble: self.last_trouble(&after),
            untouched: self.untouched(&safe),
            out_of_names: self.out_of_names(&reading(&blogs)),
            out_of_edit: self.out_of_names(&editing(&blogs)),
            falls: self.falls(true).into_iter().map(|(_, at)| at).collect(),
            safe_again: struck
                .iter()
                .map(|b| self.safe_again(&safe[*b], 0))
                .collect(),
            new_primary: struck
                .iter()
                .map(|b| self.safe_again(&safe[*b], 2))
                .collect(),
            commands: self.turns.len(),
            commands_longest: self.commands_longest(),
            commands_refused: self.turns.iter().filter(|t| t.safe.is_none()).count(),
            silence: silence.unwrap_or_default().as_secs_f64(),
            safe: safe.values().map(Vec::len).sum(),
            meanwhile: early.lost,
            meanwhile_thin: early.thin,
            lost: late.lost,
            thin: late.thin,
            unsound,
            false_failovers: self.false_failovers(),
            majority_gone: self.story.majority_gone,
            back: self.back(&reading(&blogs)),
        }
    }

    fn last_trouble(&self, reads: &[&Read]) -> f64 {
        let Times { blow, healed, .. } = *self.times;
        let troubled = reads
            .iter()
            .filter(|r| r.failed > 0 || r.took.as_secs() >= 1);
        let began = troubled.map(|read| read.began).filter(|at| *at < healed);
        let last = began.max().unwrap_or(blow);
        last.saturating_duration_since(blow).as_secs_f64()
    }

    fn untouched(&self, safe: &BTreeMap<String, Vec<Post>>) -> f64 {
        let whole = |set: &[String]| !set.iter().any(|label| self.is_victim(label));
        let blogs = self.sets.iter().filter(|(_, set)| whole(set));
        let posts = blogs.flat_map(|(blog, _)| safe.get(blog).into_iter().flatten());
        let waited = posts.map(|post| post.at - post.began).max();
        waited.unwrap_or_default().as_secs_f64()
    }

    /// From the blow to the first post of a later epoch that was said to be safe.
    fn safe_again(&self, posts: &[Post], epoch: u64) -> Option<f64> {
        let blow = self.times.blow;
        let later = posts.iter().filter(|p| p.at > blow && p.began > blow);
        let first = later.filter(|post| post.epoch >= epoch).map(|p| p.at).min();
        first.map(|at| (at - blow).as_secs_f64())
    }

    /// The longest that the author at her own tool waited for her post to be safe, all commands together.
    fn commands_longest(&self) -> f64 {
        let (mut longest, mut began) = (Duration::ZERO, None);
        for turn in &self.turns {
            let since = *began.get_or_insert(turn.began);
            longest = longest.max(turn.ended - since);
            if turn.safe.is_some() {
                began = None;
            }
        }
        longest.as_secs_f64()
    }

    /// The longest time in which no post became safe.
    fn silence(&self, posts: &[Post]) -> Duration {
        let mut last = self.times.blow;
        let mut longest = Duration::ZERO;
        let times = posts.iter().map(|post| post.at).filter(|at| *at > last);
        let times: Vec<Instant> = times.collect();
        for at in times.into_iter().chain([self.times.over]) {
            longest = longest.max(at.saturating_duration_since(last));
            last = at;
        }
        longest
    }

    /// Until the last victim was out of the last of these names.
    fn out_of_names(&self, names: &[String]) -> Option<f64> {
        let Times { blow, healed, .. } = *self.times;
        let out = self.victims.iter().map(|node| {
            let zone = &self.notes.zone;
            zone.left(node.machine.ip, names, blow, healed)
        });
        let out: Option<Vec<Duration>> = out.collect();
        Some(out?.into_iter().max()?.as_secs_f64())
    }

    /// Until the last victim was in some name again, from the end of the blow.
    fn back(&self, names: &[String]) -> Option<f64> {
        let back = self.victims.iter().map(|node| {
            let zone = &self.notes.zone;
            zone.back(node.machine.ip, names, self.times.healed)
        });
        let back: Option<Vec<Duration>> = back.collect();
        Some(back?.into_iter().max()?.as_secs_f64())
    }

    /// Who was said to be down, and how long after the blow; the victims, or the others.
    fn falls(&self, of_victims: bool) -> Vec<(String, f64)> {
        let news = self.notes.registry.all();
        let down = news.iter().filter(|news| news.kind() == "down");
        let down = down.filter_map(|news| {
            let label = news.line("Label")?.to_owned();
            let at = news.at.saturating_duration_since(self.times.blow);
            Some((label, at.as_secs_f64()))
        });
        down.filter(|(label, _)| self.is_victim(label) == of_victims)
            .collect()
    }

    /// Healthy spokes that were said to be down, and primaries that lost a blog though they lived.
    fn false_failovers(&self) -> Vec<String> {
        let mut found = Vec::new();
        let told =
            |(label, at): (String, f64)| format!("{label} was said to be down after {at:.1} s");
        found.extend(self.falls(false).into_iter().map(told));
        if !self.story.may_fall {
            found.extend(self.falls(true).into_iter().map(told));
        }
        let news = self.notes.registry.all();
        let (mut primaries, mut prepared) = (BTreeMap::new(), BTreeMap::new());
        for record in &news {
            match record.kind() {
                "claim" => {
                    let spoke = record.line("Spoke").unwrap_or_default();
                    primaries.insert(record.line("Blog"), spoke);
                }
                "close" => {
                    let next = record.line("Member").unwrap_or_default();
                    for blog in record.lines("Blog") {
                        found.extend(self.needless(record, primaries[&Some(blog)], next));
                        prepared.insert(Some(blog), next);
                    }
                }
                "open" => {
                    let blog = record.line("Blog");
                    primaries.insert(blog, prepared[&blog]);
                }
                _ => {}
            }
        }
        found
    }

    /// A change that takes a blog from a primary that was not met.
    fn needless(&self, close: &News, before: &str, next: &str) -> Option<String> {
        let at = close.at.checked_duration_since(self.times.blow);
        let at = at.map_or("before the blow".to_owned(), |at| {
            format!("after {:.1} s", at.as_secs_f64())
        });
        let is_met = self.story.may_fall && self.is_victim(before);
        let kept = next == before || is_met && at != "before the blow";
        (!kept).then(|| format!("{before} lost a blog to {next} {at} and was well"))
    }

    /// Everything that was seen, for whoever looks for a cause.
    fn write_down(&self, home: &Path) {
        let blow = self.times.blow;
        let since = |at: Instant| match at.checked_duration_since(blow) {
            Some(after) => format!("+{:.2}", after.as_secs_f64()),
            None => format!("-{:.2}", (blow - at).as_secs_f64()),
        };
        let news = self.notes.registry.all();
        let news = news.iter().map(|news| {
            let text = news.text.replace('\n', " | ");
            json!({ "at": since(news.at), "text": text })
        });
        let reads = self.notes.reads.all();
        let troubled = reads
            .iter()
            .filter(|r| r.failed > 0 || r.took.as_secs() >= 1);
        let reads = troubled.map(|read| {
            json!({ "at": since(read.began), "page": read.page, "took": read.took.as_secs_f64(),
                    "failed": read.failed, "why": read.why })
        });
        let posts = self.notes.safe.all();
        let posts = posts.iter().map(|(blog, posts)| {
            let lines = posts.iter().map(|post| {
                format!(
                    "{} began {} accepted {} safe {} epoch {} through {}",
                    post.slug,
                    since(post.began),
                    since(post.accepted),
                    since(post.at),
                    post.epoch,
                    post.through
                )
            });
            (blog.clone(), lines.collect::<Vec<_>>())
        });
        let turns = self.turns.iter().map(|turn| {
            let took = (turn.ended - turn.began).as_secs_f64();
            let said = turn.safe.map_or(turn.said.as_str(), |_| "safe");
            format!("{} {} took {took:.2} {said}", turn.slug, since(turn.began))
        });
        let all = json!({
            "maria": turns.collect::<Vec<_>>(),
            "healed": since(self.times.healed), "over": since(self.times.over),
            "registry": news.collect::<Vec<_>>(),
            "reads": reads.collect::<Vec<_>>(),
            "names": self.notes.zone.told(since),
            "posts": posts.collect::<BTreeMap<_, _>>(),
        });
        let text = serde_json::to_string_pretty(&all).unwrap();
        fs::write(home.join("seen.json"), text).unwrap();
    }
}
