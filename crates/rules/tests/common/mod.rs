//! A registry whose story is told in words.

#![allow(dead_code, reason = "each test file uses its own part")]

#[path = "../../../log/tests/common/mod.rs"]
pub(crate) mod desk;

mod life;

use std::collections::BTreeMap;

use desk::{Author, START};
use spokes_log::{
    draft::{Claim, Grant, Role, Says},
    name::{BlogName, EntryId, Hash},
    seal::SealedEntry,
    secret::SecretKey,
    time::Time,
};
use spokes_rules::{
    node::{Label, NodeSecret, Signed},
    receipt::{Held, Seal, Tip},
    registry::{Record, Registry, Touched, Verdict},
    request::{Address, Ask, CouncilNode, Domain, Founding, Operator, Policy, Request, Wish},
    zone::{self, Node, Stale, Version},
};

/// A registry, its organizer, and everybody who asks it for something.
pub(crate) struct Town {
    pub(crate) registry: Registry,
    pub(crate) now: Time,
    authors: BTreeMap<String, Author>,
    last: Option<Request>,
    zone: Shown,
}

/// The zone as record after record has made it.
#[derive(Default)]
struct Shown {
    serial: u32,
    names: BTreeMap<String, Node>,
}

pub(crate) fn label(text: &str) -> Label {
    Label::parse(text).expect("a label")
}

fn name(text: &str) -> BlogName {
    BlogName::parse(text).expect("a name")
}

/// Everybody's key follows from what they are called.
pub(crate) fn secret(name: &str) -> NodeSecret {
    NodeSecret::from_seed(Hash::of(name.as_bytes()).as_bytes())
}

fn address(last: &str) -> Address {
    let number = last.bytes().fold(0u8, u8::wrapping_add);
    Address(std::net::SocketAddr::from(([192, 0, 2, number], 80)))
}

fn tip(sealed: &SealedEntry) -> Tip {
    Tip {
        sequence: sealed.entry().skeleton().sequence,
        id: sealed.entry().id(),
    }
}

/// Ids and fingerprints differ from run to run.
fn scrub(text: &str) -> String {
    let hex = |word: &str| word.len() >= 40 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words = text.split_inclusive([' ', ':', ',', ';']).map(|word| {
        let bare = word.trim_end_matches([' ', ':', ',', ';']);
        word.replace(bare, if hex(bare) { "…" } else { bare })
    });
    words.collect()
}

impl Town {
    /// A network that wants three replicas and lets a spoke bring two blogs a day.
    pub(crate) fn found() -> Self {
        let founding = Founding {
            domain: Domain::parse("blogs.example.org").expect("a domain"),
            council: vec![CouncilNode {
                label: label("council-1"),
                key: secret("council").key(),
                api: address("api"),
                dns: address("dns"),
                peer: address("api").next_port(),
            }],
            organizers: vec![secret("organizer").key()],
            policy: Policy {
                blogs_per_spoke_day: 2,
                ..Policy::default()
            },
        };
        let ask = Ask {
            network: None,
            time: START,
            what: Wish::Found(founding),
        };
        let record = Record {
            index: 0,
            previous: Hash::of(b""),
            time: START,
            request: Request::plain(Signed::new(&secret("organizer"), &ask)),
        };
        Self {
            registry: Registry::found(&record).expect("a sound founding"),
            now: START,
            authors: BTreeMap::new(),
            last: None,
            zone: Shown::default(),
        }
    }

    /// Three spokes `a`, `b` and `c` of three operators, let in.
    pub(crate) fn with_spokes() -> Self {
        let mut town = Self::found();
        for spoke in ["a", "b", "c"] {
            town.tell(&format!(
                "invite {spoke} | join {spoke} with {spoke} | admit {spoke}"
            ));
        }
        town
    }

    /// Lets the steps of a story happen; what came of each, a line each.
    pub(crate) fn tell(&mut self, story: &str) -> String {
        let steps = story.split('|').map(str::trim);
        let lines: Vec<String> = steps
            .map(|step| format!("{step}: {}\n", self.step(step)))
            .collect();
        lines.concat()
    }

    fn step(&mut self, step: &str) -> String {
        let words: Vec<&str> = step.split(' ').collect();
        let request = match words[..] {
            ["wait", seconds] => {
                self.now = self.now + seconds.parse::<i64>().expect("seconds");
                return "later".into();
            }
            ["again"] => self.last.clone().expect("there was a request"),
            ["invite", token] => self.invite("organizer", token),
            ["invite", token, "by", signer] => self.invite(signer, token),
            ["join", spoke, "with", token] => self.join(spoke, spoke, token),
            ["join", spoke, "with", token, "keyed", key] => self.join(spoke, key, token),
            ["admit", spoke] => self.admit("organizer", spoke),
            ["admit", spoke, "by", who] => self.admit(who, spoke),
            ["evict", spoke] => {
                let label = label(spoke);
                self.plain("organizer", Wish::Evict { label })
            }
            ["claim", blog, "for", author, "at", spoke] => self.claim(blog, author, spoke, 3_600),
            ["claim", blog, "for", author, "at", spoke, "until", seconds] => {
                self.claim(blog, author, spoke, seconds.parse().expect("seconds"))
            }
            ["claim", blog, "for", author, "at", spoke, "elsewhere"] => {
                let network = Hash::of(b"another network");
                let claim = Claim {
                    network,
                    ..self.wish_for(blog, 3_600)
                };
                let parent = self.author(author).head();
                self.claim_by(claim, parent, author, spoke)
            }
            [
                "claim",
                blog,
                "for",
                author,
                "at",
                spoke,
                "behind",
                "entry-0",
            ] => {
                let claim = self.wish_for(blog, 3_600);
                let parent = self.author(author).first.entry().id();
                self.claim_by(claim, parent, author, spoke)
            }
            ["keys", author, "at", spoke] => self.keys(author, None, spoke),
            ["keys", author, "behind", "entry-0", "at", spoke] => self.keys(author, Some(0), spoke),
            ["keys", author, "ends", other, "at", spoke] => {
                self.end_key(author, other, other, spoke)
            }
            ["keys", author, "hands", "to", other, "at", spoke] => {
                self.end_key(author, other, author, spoke)
            }
            ["close", author, epoch, "for", members] => {
                self.close("organizer", author, epoch, members)
            }
            ["close", author, epoch, "for", members, "by", who] => {
                self.close(who, author, epoch, members)
            }
            ["open", author, epoch, "seals", seals, "held", held] => {
                self.open(author, epoch, seals, held)
            }
            ["next", author] => return self.next_set(author),
            ["servers"] => return self.servers(),
            ["follow", author] => self.follow(author),
            _ => self
                .life(&words)
                .unwrap_or_else(|| panic!("no such step: {step}")),
        };
        self.ask(request)
    }

    pub(crate) fn ask(&mut self, request: Request) -> String {
        self.last = Some(request.clone());
        match self.registry.judge(self.now, &request) {
            Err(refusal) => scrub(&refusal.to_string()),
            Ok(Verdict::Repeat(index)) => format!("as record {index}"),
            Ok(Verdict::New) => {
                let record = self.registry.next_record(self.now, request);
                let touched = self.registry.take(&record).expect("it was judged before");
                // Every story goes on with what a node would have kept for its next start.
                let kept = self.registry.keep();
                self.registry = Registry::recall(&kept).expect("it was kept just now");
                assert_eq!(self.registry.keep(), kept);
                self.publish(&touched);
                let touched = scrub(&format!("{touched:?}").replace(['(', ')'], " "));
                format!(
                    "record {} {}",
                    record.index,
                    touched.split(' ').next().unwrap_or("")
                )
            }
        }
    }

    /// What this record has touched brings the zone to where it would be if all of it were made anew.
    fn publish(&mut self, touched: &Touched) {
        let version = Version {
            serial: self.zone.serial + 1,
            minute: zone::minute(self.now),
        };
        let mut stale = Stale::default();
        stale.note(touched);
        let names = stale.names(&self.registry, version);
        let (apex, _) = names.last().expect("the apex comes last");
        assert_eq!(apex, self.registry.founding().domain.as_str());
        if self.zone.serial == 0 {
            self.zone.names = zone::project(&self.registry, version).collect();
        }
        self.zone.names.extend(names);
        self.zone.names.retain(|_, node| !node.is_empty());
        self.zone.serial = version.serial;
        let whole = zone::project(&self.registry, version);
        let whole: BTreeMap<_, _> = whole.filter(|(_, node)| !node.is_empty()).collect();
        assert_eq!(self.zone.names, whole, "{touched:?}");
    }

    /// The council's name servers.
    fn servers(&self) -> String {
        let named = zone::servers(&self.registry).into_iter();
        let named = named.filter(|(_, node)| !node.is_empty());
        let names: Vec<String> = named
            .map(|(owner, _)| owner.split('.').next().unwrap_or_default().to_owned())
            .collect();
        names.join(" ")
    }

    pub(crate) fn plain(&self, signer: &str, what: Wish) -> Request {
        let ask = Ask {
            network: Some(self.registry.network()),
            time: self.now,
            what,
        };
        Request::plain(Signed::new(&secret(signer), &ask))
    }

    fn admit(&self, signer: &str, spoke: &str) -> Request {
        let label = label(spoke);
        self.plain(signer, Wish::Admit { label })
    }

    fn invite(&self, signer: &str, token: &str) -> Request {
        let token = Hash::of(token.as_bytes());
        let expires = self.now + 3_600;
        self.plain(signer, Wish::Invite { token, expires })
    }

    fn join(&self, spoke: &str, key: &str, token: &str) -> Request {
        let wish = Wish::Join {
            label: label(spoke),
            operator: Operator::parse(&format!("Group {spoke}")).expect("an operator"),
            address: address(spoke),
            token: token.into(),
        };
        self.plain(key, wish)
    }

    pub(crate) fn author(&mut self, author: &str) -> &mut Author {
        // Of these three all ids are the same in every run, and so are the places of their blogs.
        let new = || match author {
            "maria" | "rosa" | "wanda" => Author::with(desk::same_key(author)),
            _ if author.contains('@') => Author::new(&format!("Somebody <{author}>")),
            _ => Author::new(&format!("{author} <{author}@example.org>")),
        };
        self.authors.entry(author.into()).or_insert_with(new)
    }

    /// Has somebody come with a key of her own.
    pub(crate) fn welcome(&mut self, author: &str, key: SecretKey) {
        self.authors.insert(author.into(), Author::with(key));
    }

    fn claim(&mut self, blog: &str, author: &str, spoke: &str, reach: i64) -> Request {
        let claim = self.wish_for(blog, reach);
        let parent = self.author(author).head();
        self.claim_by(claim, parent, author, spoke)
    }

    fn wish_for(&self, blog: &str, reach: i64) -> Claim {
        Claim {
            name: name(blog),
            network: self.registry.network(),
            not_after: self.now + reach,
        }
    }

    /// Claims with an entry behind `parent`, proven by all that the author wrote.
    fn claim_by(&mut self, claim: Claim, parent: EntryId, author: &str, spoke: &str) -> Request {
        let says = Says::Claim {
            claim,
            releases: None,
        };
        let author = self.author(author);
        let entry = author.say_at(parent, says, "").expect("an own key claims");
        let (blog, proof) = (author.first.entry().id(), author.entries.clone());
        let wish = Wish::Claim {
            blog,
            entry,
            spoke: Some(label(spoke)),
        };
        Request {
            proof,
            ..self.plain(spoke, wish)
        }
    }

    fn keys(&mut self, author: &str, parent: Option<usize>, spoke: &str) -> Request {
        let rosa = desk::key("Rosa <rosa@example.org>");
        let author = self.author(author);
        let parent = parent.map_or(author.head(), |n| author.entries[n].entry().id());
        let says = Says::Keys {
            certificates: vec![Author::grant(&rosa, Role::Write)],
            ends: vec![],
            recovery: None,
        };
        let armored = rosa.certificate().armored();
        let entry = author
            .say_at(parent, says, &armored)
            .expect("an own key brings keys");
        let (blog, proof) = (author.first.entry().id(), author.entries.clone());
        Request {
            proof,
            ..self.plain(spoke, Wish::Keys { blog, entry })
        }
    }

    /// A `keys` entry takes another author's key in, and the next one ends that one, or her own.
    fn end_key(&mut self, author: &str, other: &str, ended: &str, spoke: &str) -> Request {
        let other = self.author(other).key.certificate().clone();
        let ended = self.author(ended).key.certificate().fingerprint().clone();
        let grant = Grant {
            fingerprint: other.fingerprint().clone(),
            role: Role::Own,
        };
        let says = |certificates, ends| Says::Keys {
            certificates,
            ends,
            recovery: None,
        };
        let author = self.author(author);
        let takes = author.say(says(vec![grant], vec![]), &other.armored());
        takes.expect("an own key brings keys");
        let ends = author.say(says(vec![], vec![ended]), "");
        let entry = ends.expect("an own key ends keys");
        let (blog, proof) = (author.first.entry().id(), author.entries.clone());
        Request {
            proof,
            ..self.plain(spoke, Wish::Keys { blog, entry })
        }
    }

    fn close(&mut self, signer: &str, author: &str, epoch: &str, members: &str) -> Request {
        let wish = Wish::Close {
            blogs: vec![self.author(author).first.entry().id()],
            epoch: epoch.parse().expect("an epoch"),
            members: members.split(',').map(label).collect(),
        };
        self.plain(signer, wish)
    }

    /// "a:1,b:2" are seals of `a` at entry 1 and of `b` at entry 2, or receipts for those.
    fn open(&mut self, author: &str, epoch: &str, seals: &str, held: &str) -> Request {
        let epoch: u64 = epoch.parse().expect("an epoch");
        let (network, time) = (self.registry.network(), self.now);
        let author = self.author(author);
        let blog = author.first.entry().id();
        let pairs = |text: &str| -> Vec<(Label, Tip)> {
            let pairs = text.split(',').filter(|pair| *pair != "none");
            let read = |pair: &str| {
                let (spoke, entry) = pair.split_once(':').expect("spoke:entry");
                let entry: usize = entry.parse().expect("an entry's number");
                (label(spoke), tip(&author.entries[entry]))
            };
            pairs.map(read).collect()
        };
        let seals = pairs(seals).into_iter().map(|(spoke, tip)| {
            let seal = Seal {
                network,
                spoke: spoke.clone(),
                blog,
                epoch: epoch - 1,
                tips: vec![tip],
            };
            Signed::new(&secret(spoke.as_str()), &seal)
        });
        let held = pairs(held).into_iter().map(|(spoke, tip)| {
            let held = Held {
                network,
                spoke: spoke.clone(),
                blog,
                epoch,
                tip,
                time,
            };
            Signed::new(&secret(spoke.as_str()), &held)
        });
        let statements = seals.chain(held).collect();
        Request {
            statements,
            ..self.plain(
                "council",
                Wish::Open {
                    blog,
                    epoch,
                    forced: false,
                },
            )
        }
    }

    /// Who has which name, where.
    pub(crate) fn names(&self) -> String {
        let blogs = self.registry.blogs().map(|(_, blog)| {
            // Equals among the secondaries stand in an order that the blog's id decides.
            let mut members: Vec<&str> = blog.set.members.iter().map(Label::as_str).collect();
            members[1..].sort_unstable();
            let next = blog
                .closing
                .as_ref()
                .map(|closing| closing.next.members.len());
            let next = next
                .map(|n| format!(", closing for {n}"))
                .unwrap_or_default();
            format!(
                "{} epoch {} on {}{next}\n",
                blog.name,
                blog.set.epoch,
                members.join(" ")
            )
        });
        let mut blogs: Vec<String> = blogs.collect();
        blogs.sort();
        blogs.concat()
    }
}
