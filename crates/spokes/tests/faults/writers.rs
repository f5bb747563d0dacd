//! Writers: each publishes posts on a blog of her own as often as she can, as an author's tool does: to
//! the primary, past it when it is silent, signed again when the log has gone on.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use spokes_log::{
    draft::{Draft, Says},
    entry::{Entry, Skeleton},
    name::{EntryId, Hash},
};

use crate::{
    common::{
        author::{Author, Signed, article, draft, now},
        http::{Reply, within},
        wait_for,
    },
    names::Resolver,
    network::{DOMAIN, Network},
    tool::Turn,
};

/// How long she thinks between two posts: a new blog may have 200 entries a day (SPEC registry 4).
const PAUSE: Duration = Duration::from_millis(500);
/// How long before a post that was not taken is sent again.
const AGAIN: Duration = Duration::from_millis(150);
/// As the author's own tool (`author::network`).
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// A spoke answers "not yet" after 5 s; a silent one is given up soon after.
const ANSWER_WAIT: Duration = Duration::from_secs(7);
const NAME_WAIT: Duration = Duration::from_secs(30);

/// A post that somebody was told is safe.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) slug: String,
    pub(crate) id: EntryId,
    /// When it was sent first.
    pub(crate) began: Instant,
    /// When a spoke first said that it has it.
    pub(crate) accepted: Instant,
    /// When it was said to be safe.
    pub(crate) at: Instant,
    /// The epoch of the receipts.
    pub(crate) epoch: u64,
    pub(crate) through: SocketAddr,
}

/// All that was ever told safe, by blog; kept outside of the network.
#[derive(Debug, Default)]
pub(crate) struct Safe(Mutex<BTreeMap<String, Vec<Post>>>);

impl Safe {
    pub(crate) fn all(&self) -> BTreeMap<String, Vec<Post>> {
        self.0.lock().unwrap().clone()
    }

    fn add(&self, blog: &str, post: Post) {
        let mut all = self.0.lock().unwrap();
        all.entry(blog.to_owned()).or_default().push(post);
    }

    /// What an author heard at her own tool.
    pub(crate) fn add_of_tool(&self, blog: &str, turn: &Turn) {
        if let Some(id) = turn.safe {
            let post = Post {
                slug: turn.slug.clone(),
                id,
                began: turn.began,
                accepted: turn.ended,
                at: turn.ended,
                epoch: 0,
                through: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            };
            self.add(blog, post);
        }
    }

    /// The slug of some post that has been safe for so long.
    pub(crate) fn settled(&self, blog: &str, turn: usize, since: Duration) -> Option<String> {
        let all = self.0.lock().unwrap();
        let posts = all.get(blog)?;
        let settled = posts.iter().filter(|post| post.at.elapsed() > since);
        let settled: Vec<&Post> = settled.collect();
        let post = settled.get(settled.len().checked_sub(1)? * (turn % 3) / 2)?;
        Some(post.slug.clone())
    }
}

/// An author with her blog.
pub(crate) struct Writer<'a> {
    network: &'a Network,
    resolver: Resolver,
    author: Author,
    /// The blog's members as she heard last, the primary first.
    members: Vec<(String, SocketAddr)>,
}

impl<'a> Writer<'a> {
    /// One who has a blog, asked for through the spoke that becomes its primary.
    pub(crate) fn with_blog(network: &'a Network, name: &str, through: &str) -> Self {
        let mut author = Author::new(name);
        let first = author.first(&network.id, name, now() + 3_600);
        let to = network.node(through).address();
        wait_for(&format!("{name} is granted"), NAME_WAIT, || {
            let reply = author.send(to, &first).unwrap_or_default();
            (reply.status == 201).then_some(())
        });
        author.parent = Some(first.place());
        let mut writer = Self {
            network,
            resolver: Resolver::new(&network.names(), 0, 100),
            author,
            members: vec![],
        };
        writer.look(to);
        writer
    }

    /// Writes until it is over.
    pub(crate) fn write(&mut self, safe: &Safe, over: &AtomicBool) {
        for number in 0.. {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let slug = format!("post-{number}");
            let says = draft(Says::Post(article(&slug)), &format!("The words of {slug}."));
            if let Some(post) = self.publish(&slug, says, over) {
                let name = self.author.name.clone();
                safe.add(&name, post);
            }
            thread::sleep(PAUSE);
        }
    }

    /// Where to send a post: the primary by its name, and by its own where another one is the primary
    /// by now; then the others, each with whom it stands in for.
    fn doors(&self) -> Vec<(SocketAddr, Option<String>)> {
        let edit = format!("edit.{}.{DOMAIN}", self.author.name);
        let edit = self.resolver.resolve(&edit);
        let at = |ip| SocketAddr::new(IpAddr::V4(ip), 80);
        let mut doors: Vec<_> = edit.into_iter().map(|ip| (at(ip), None)).collect();
        let primary = self.members.first().map(|(label, _)| label.clone());
        for (label, address) in &self.members {
            if doors.iter().all(|(door, _)| door != address) {
                let stands_in = primary.clone().filter(|primary| primary != label);
                doors.push((*address, stands_in));
            }
        }
        doors
    }

    fn publish(&mut self, slug: &str, mut draft: Draft, over: &AtomicBool) -> Option<Post> {
        let began = Instant::now();
        let (mut accepted, mut signed) = (None, self.author.sign(&draft));
        for turn in 0.. {
            if over.load(Ordering::Relaxed) {
                return None;
            }
            let doors = self.doors();
            let (to, stands_in) = doors[turn % doors.len()].clone();
            let reply = self.send(to, &signed, stands_in.as_deref());
            match (reply.status, reply.kind().as_str()) {
                (200 | 201, _) if reply.json()["status"] == "safe" => {
                    self.author.parent = Some(signed.place());
                    return Some(Post {
                        slug: slug.to_owned(),
                        id: signed.id(),
                        began,
                        accepted: accepted.unwrap_or_else(Instant::now),
                        at: Instant::now(),
                        epoch: epoch(&reply.json()),
                        through: to,
                    });
                }
                (200..=202, _) => {
                    accepted.get_or_insert_with(Instant::now);
                }
                (409, "stale") => {
                    if let Some(head) = self.head(to, &reply.json()["head"]) {
                        self.author.parent = Some(head);
                        draft.instead_of.push(signed.id());
                        signed = self.author.sign(&draft);
                    }
                }
                _ => self.look_anywhere(),
            }
            thread::sleep(AGAIN);
        }
        None
    }

    fn send(&self, to: SocketAddr, signed: &Signed, stands_in_for: Option<&str>) -> Reply {
        let stands_in = stands_in_for
            .map(|label| format!("Spokes-Refused-By: {label}\r\n"))
            .unwrap_or_default();
        let request = format!(
            "POST /api/v1/blogs/{}/entries HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{stands_in}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
            self.author.name,
            signed.json.len(),
            signed.json
        );
        within(to, request.as_bytes(), CONNECT_WAIT, ANSWER_WAIT).unwrap_or_default()
    }

    fn get(to: SocketAddr, path: &str) -> Option<Value> {
        let request =
            format!("GET /api/v1/{path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n");
        let reply = within(to, request.as_bytes(), CONNECT_WAIT, CONNECT_WAIT).ok()?;
        (reply.status == 200).then(|| reply.json())
    }

    /// Hears from a spoke who holds the blog.
    fn look(&mut self, at: SocketAddr) -> bool {
        let Some(blog) = Self::get(at, &format!("blogs/{}", self.author.name)) else {
            return false;
        };
        let members = blog["members"].as_array().unwrap();
        let member = |member: &Value| {
            let label = member["label"].as_str().unwrap().to_owned();
            let address = self.network.node(&label).address();
            (label, address)
        };
        self.members = members.iter().map(member).collect();
        true
    }

    /// From whichever spoke the network's front page names.
    fn look_anywhere(&mut self) {
        for ip in self.resolver.resolve(DOMAIN) {
            if self.look(SocketAddr::new(IpAddr::V4(ip), 80)) {
                return;
            }
        }
    }

    /// The place of the head that an answer names.
    fn head(&self, to: SocketAddr, head: &Value) -> Option<(Skeleton, EntryId)> {
        let id = Hash::parse(head["id"].as_str()?).ok()?;
        let entry = Self::get(to, &format!("entries/{}", id.path()))?;
        let entry = Entry::parse(entry["text"].as_str()?.as_bytes()).ok()?;
        Some((entry.skeleton().clone(), id))
    }
}

/// The epoch of the receipts of an answer.
fn epoch(standing: &Value) -> u64 {
    let receipts = standing["receipts"].as_array().cloned().unwrap_or_default();
    let texts = receipts
        .iter()
        .filter_map(|receipt| receipt["text"].as_str());
    let lines = texts.flat_map(str::lines);
    let epochs = lines.filter_map(|line| line.strip_prefix("Epoch: ")?.parse().ok());
    epochs.max().unwrap_or(0)
}
