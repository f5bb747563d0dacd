//! A scene for stories about replicas: one author, three spokes, disks that sync when they are told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::desk::{Author, START, article, draft};
use expect_test::Expect;
use spokes_log::{
    blog::Blog,
    chain::Chain,
    draft::{Draft, Says},
    name::{Fingerprint, Hash},
    ring::VerifiedEntry,
    time::Time,
};
use spokes_rules::{
    node::{Label, NodeSecret},
    primary::{Brings, Offered, judge_offers},
    receipt::{Seal, Tip},
    registry::{Closing, Set},
    replica::{Answer, Effect, Event, Replica},
    request::Policy,
};

/// One blog on the spokes `a`, `b` and `c`, of which `a` is the primary.
pub(crate) struct Scene {
    pub(crate) now: Time,
    pub(crate) author: Author,
    /// What she wrote, entry 0 first.
    pub(crate) entries: Vec<VerifiedEntry>,
    pub(crate) replicas: BTreeMap<String, (Replica, Disk)>,
    pub(crate) epoch: u64,
    pub(crate) ended: BTreeSet<Fingerprint>,
    /// The `keys` entry that the registry took last.
    pub(crate) keys_at: usize,
    /// What the open set was opened with.
    pub(crate) covered: BTreeSet<Tip>,
    pub(crate) tickets: u64,
}

#[derive(Default)]
pub(crate) struct Disk {
    /// Written, not durable yet.
    pub(crate) written: Vec<VerifiedEntry>,
    pub(crate) durable: Vec<VerifiedEntry>,
    pub(crate) seal: Option<Seal>,
    pub(crate) sealed: u64,
    /// The epoch in which the copy settled last; 0 for a new one.
    pub(crate) settled: u64,
    /// What was kept apart.
    pub(crate) offers: Vec<VerifiedEntry>,
}

pub(crate) fn label(text: &str) -> Label {
    Label::parse(text).expect("a label")
}

pub(crate) fn set(epoch: u64, members: &str) -> Set {
    let members = members.split(',').map(label).collect();
    Set { epoch, members }
}

pub(crate) fn tip(entry: &VerifiedEntry) -> Tip {
    Tip {
        sequence: entry.entry().skeleton().sequence,
        id: entry.entry().id(),
    }
}

#[track_caller]
pub(crate) fn check(story: &str, expected: &Expect) {
    let mut scene = Scene::new();
    let steps = story.split('|').map(str::trim);
    let lines = steps.map(|step| format!("{step}: {}\n", scene.step(step)));
    expected.assert_eq(&lines.collect::<Vec<_>>().concat());
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::of(Author::new("Maria <maria@example.org>"))
    }

    pub(crate) fn of(author: Author) -> Self {
        let first = author.first.clone();
        let place = Chain::new(first.entry().id()).place(first.entry());
        let first = place
            .and_then(|place| place.verify(first))
            .expect("entry 0 is valid");
        let mut scene = Self {
            now: START + 60,
            author,
            entries: vec![first],
            replicas: BTreeMap::new(),
            epoch: 1,
            ended: BTreeSet::new(),
            keys_at: 0,
            covered: BTreeSet::new(),
            tickets: 0,
        };
        for spoke in ["a", "b", "c"] {
            scene.start(spoke, Disk::default());
            scene.tell(spoke, scene.open(1, "a,b,c"));
            for step in ["heard", "compare", "pull 0", "store"] {
                let words: Vec<&str> = step.split(' ').collect();
                let step = [&words[..1], &[spoke], &words[1..]].concat().join(" ");
                scene.step(&step);
            }
        }
        scene
    }

    pub(crate) fn start(&mut self, spoke: &str, disk: Disk) {
        let blog = self.author.first.entry().id();
        let (chain, fold) = recall(blog, &disk);
        let secret = NodeSecret::from_seed(Hash::of(spoke.as_bytes()).as_bytes());
        let network = Hash::of(b"network");
        let (me, secret) = (label(spoke), Arc::new(secret));
        let replica = Replica::new(network, me, secret, chain, fold, disk.sealed)
            .settled_in(disk.settled.max(1));
        self.replicas.insert(spoke.into(), (replica, disk));
    }

    pub(crate) fn event(&self, set: Set, next: Option<Set>) -> Event {
        Event::Set {
            set,
            closing: next.map(|next| Closing {
                next,
                since: self.now,
                lost: BTreeSet::new(),
            }),
            ended: self.ended.clone(),
            keys_at: self.entries[self.keys_at].entry().id(),
            covered: self.covered.clone(),
        }
    }

    pub(crate) fn open(&self, epoch: u64, members: &str) -> Event {
        self.event(set(epoch, members), None)
    }

    pub(crate) fn step(&mut self, step: &str) -> String {
        let words: Vec<&str> = step.split(' ').collect();
        match words[..] {
            ["wait", seconds] => {
                self.now = self.now + seconds.parse::<i64>().expect("seconds");
                "later".into()
            }
            ["write", ..] => self.write_step(&words),
            ["end", "key"] => {
                let key = self.author.key.certificate().fingerprint().clone();
                self.ended.insert(key);
                "ended".into()
            }
            ["keys", "at", entry] => {
                self.keys_at = number(entry);
                "taken".into()
            }
            ["submit", spoke, entry] => self.submit(spoke, number(entry), false),
            ["bring", spoke, entry] => self.submit(spoke, number(entry), true),
            ["pull", spoke, entry] => {
                let entry = self.entries[number(entry)].clone();
                self.tell(spoke, Event::Pulled(vec![entry]))
            }
            ["store", spoke] => self.store(spoke),
            ["receipts", from, "to", to] => {
                let all = self.replicas[from].0.receipts().all();
                let all: Vec<_> = all
                    .filter(|r| r.held.spoke.as_str() == from)
                    .cloned()
                    .collect();
                let told = all.into_iter().map(|r| self.tell(to, Event::Receipt(r)));
                told.collect::<Vec<_>>().join("; ")
            }
            ["compare", spoke] => self.tell(spoke, Event::NothingForgotten),
            ["compare", spoke, "with", other] => {
                let of = label(other);
                let tips = self.replicas[other].0.durable_tips();
                self.tell(spoke, Event::Tips { of, tips })
            }
            ["heard", spoke] => self.tell(spoke, Event::CouncilHeard(self.now)),
            ["heard", spoke, seconds, "ago"] => {
                let at = self.now + -seconds.parse::<i64>().expect("seconds");
                self.tell(spoke, Event::CouncilHeard(at))
            }
            ["restart", spoke] => {
                let (_, disk) = self.replicas.remove(spoke).expect("a spoke");
                self.start(
                    spoke,
                    Disk {
                        written: Vec::new(),
                        seal: None,
                        ..disk
                    },
                );
                "starts".into()
            }
            ["set", spoke, members] => self.tell(spoke, self.open(self.epoch, members)),
            ["close", spoke, members, "for", next] => {
                let next = set(self.epoch + 1, next);
                self.tell(spoke, self.event(set(self.epoch, members), Some(next)))
            }
            ["open", ref rest @ ..] => self.open_step(rest),
            ["cover", spoke, entry] => {
                let tip = tip(&self.entries[number(entry)]);
                self.tell(spoke, Event::Cover(BTreeSet::from([tip])))
            }
            _ => self.step_about_limits(&words),
        }
    }

    fn open_step(&mut self, words: &[&str]) -> String {
        self.epoch = words[0].parse().expect("an epoch");
        if let ["with", entry] = words[1..] {
            self.covered = BTreeSet::from([tip(&self.entries[number(entry)])]);
        }
        "open".into()
    }

    pub(crate) fn step_about_offers(&mut self, words: &[&str]) -> String {
        match words[..] {
            ["organizer", "closes", spoke, members, "for", next] => {
                let (open, next) = (set(self.epoch, members), set(self.epoch + 1, next));
                let left_out = open.members.iter().filter(|label| !next.has(label));
                let left_out: BTreeSet<Label> = left_out.cloned().collect();
                let mut event = self.event(open, Some(next));
                if let Event::Set { closing, .. } = &mut event {
                    closing
                        .iter_mut()
                        .for_each(|c| c.lost.clone_from(&left_out));
                }
                self.tell(spoke, event)
            }
            ["sleep", spoke] => self.tell(spoke, Event::StoodStill),
            ["vouch", from, "to", to] => {
                let from_replica = &self.replicas[from].0;
                let (by, epoch) = (label(from), from_replica.settled_epoch());
                let tips = from_replica.durable_tips();
                self.tell(to, Event::Vouched { by, epoch, tips })
            }
            ["offers", spoke] => {
                let offers = self.replicas[spoke].1.offers.iter();
                let sequences: Vec<u64> = offers.map(|e| tip(e).sequence).collect();
                format!("{sequences:?}")
            }
            ["offer", from, "to", to] => {
                let offers = self.replicas[from].1.offers.clone();
                let replica = &self.replicas[to].0;
                let offers = offers.iter().map(|offer| offer.sealed().clone()).collect();
                let (chain, fold) = (replica.chain(), replica.fold());
                let judged = judge_offers(chain.clone(), fold, &self.ended, offers);
                let judged = judged.into_iter().map(|(offer, what)| match what {
                    Offered::Extends => self.tell(to, Event::Pulled(vec![offer])),
                    other => format!("{other:?}").to_lowercase(),
                });
                judged.collect::<Vec<_>>().join("; ")
            }
            _ => panic!("no such step: {words:?}"),
        }
    }

    pub(crate) fn step_about_limits(&mut self, words: &[&str]) -> String {
        match words[..] {
            ["erase", entry, "behind", parent] => {
                let erases = vec![self.entries[number(entry)].entry().id()];
                let salt = u8::try_from(self.entries.len()).unwrap_or(0);
                let said = draft(salt, Says::Erase { erases }, "");
                self.sign(&said, number(parent), 1)
            }
            ["limit", spoke, entries, "entries"] => self.limit(spoke, entries, "1000000"),
            ["limit", spoke, bytes, "bytes"] => self.limit(spoke, "1000", bytes),
            ["restore", spoke, entry] => {
                let entry = self.entries[number(entry)].clone();
                let (replica, brings) = (&self.replicas[spoke].0, Brings::Restored);
                match replica.has_room(self.now, brings, &[entry.entry()]) {
                    Ok(()) => self.tell(spoke, Event::Restored(vec![entry])),
                    Err(why) => scrub(&why.to_string()),
                }
            }
            _ => self.step_about_offers(words),
        }
    }

    pub(crate) fn write_step(&mut self, words: &[&str]) -> String {
        match *words {
            ["write", slug] => self.write(slug, self.entries.len() - 1, Vec::new(), 1),
            ["write", slug, "behind", parent] => self.write(slug, number(parent), Vec::new(), 1),
            ["write", slug, "behind", parent, "instead-of", other] => {
                let other = self.entries[number(other)].entry().id();
                self.write(slug, number(parent), vec![other], 1)
            }
            ["write", slug, "ahead", seconds] => {
                let ahead = seconds.parse().expect("seconds");
                self.write(slug, self.entries.len() - 1, Vec::new(), ahead)
            }
            _ => panic!("no such step: {words:?}"),
        }
    }

    pub(crate) fn write(
        &mut self,
        slug: &str,
        parent: usize,
        instead_of: Vec<Hash>,
        ahead: i64,
    ) -> String {
        let (salt, says) = (
            u8::try_from(self.entries.len()).unwrap_or(0),
            Says::Post(article(slug)),
        );
        let said = Draft {
            instead_of,
            ..draft(salt, says, "words")
        };
        self.sign(&said, parent, ahead)
    }

    pub(crate) fn sign(&mut self, said: &Draft, parent: usize, ahead: i64) -> String {
        let parent = &self.entries[parent];
        let skeleton = parent.entry().skeleton();
        let authors = vec![self.author.key.certificate().fingerprint().clone()];
        let (above, at) = ((skeleton, parent.entry().id()), skeleton.signed + ahead);
        let entry = spokes_log::entry::Entry::new(said, Some(above), authors, at).expect("sound");
        let signature = self.author.key.sign(entry.text(), at).expect("signed");
        let place = self.author.chain.place(&entry).expect("it fits");
        let entry = place.seal(entry, &[signature]).expect("valid");
        self.author.append(&entry);
        self.entries.push(entry);
        format!("entry {}", self.entries.len() - 1)
    }

    pub(crate) fn limit(&mut self, spoke: &str, entries: &str, bytes: &str) -> String {
        let policy = Policy {
            entries_per_day: entries.parse().expect("entries"),
            blog_bytes: bytes.parse().expect("bytes"),
            ..Policy::default()
        };
        let since = self.now;
        self.tell(spoke, Event::Limits { policy, since })
    }

    pub(crate) fn submit(&mut self, spoke: &str, entry: usize, refused_elsewhere: bool) -> String {
        self.tickets += 1;
        let event = Event::Submitted {
            ticket: self.tickets,
            entry: self.entries[entry].clone(),
            refused_elsewhere,
        };
        self.tell(spoke, event)
    }

    /// A sync ends: what was written is durable.
    pub(crate) fn store(&mut self, spoke: &str) -> String {
        let disk = &mut self.replicas.get_mut(spoke).expect("a spoke").1;
        let written = std::mem::take(&mut disk.written);
        let ids = written.iter().map(|entry| entry.entry().id()).collect();
        disk.durable.extend(written);
        let seal = disk.seal.take();
        let mut told = vec![self.tell(spoke, Event::Stored(ids))];
        if let Some(seal) = seal {
            self.replicas.get_mut(spoke).expect("a spoke").1.sealed = seal.epoch;
            told.push(self.tell(spoke, Event::SealStored(seal)));
        }
        told.retain(|told| told != "nothing");
        match told.is_empty() {
            true => "nothing".into(),
            false => told.join("; "),
        }
    }

    pub(crate) fn tell(&mut self, spoke: &str, event: Event) -> String {
        let now = self.now;
        let (replica, disk) = self.replicas.get_mut(spoke).expect("a spoke");
        replica.handle(now, event);
        let mut done = Vec::new();
        while let Some(effect) = replica.poll_effect() {
            done.push(match effect {
                Effect::Store(entry) => {
                    let sequence = entry.entry().skeleton().sequence;
                    disk.written.push(entry);
                    format!("writes {sequence}")
                }
                Effect::StoreSeal(seal) => {
                    let tips: Vec<u64> = seal.tips.iter().map(|tip| tip.sequence).collect();
                    let said = format!("writes its seal of {} with {tips:?}", seal.epoch);
                    disk.seal = Some(seal);
                    said
                }
                Effect::SendSeal(_) => "sends its seal".into(),
                Effect::SendReceipt(receipt) => {
                    format!(
                        "holds {} in {}",
                        receipt.held.tip.sequence, receipt.held.epoch
                    )
                }
                Effect::Answer(_, Answer::Safe(receipts)) => {
                    format!("answers: safe on {}", receipts.len())
                }
                Effect::Answer(_, Answer::Forward(to)) => format!("answers: ask {to}"),
                Effect::Answer(_, Answer::Refused(why)) => {
                    format!("answers: {}", scrub(&why.to_string()))
                }
                Effect::Erase(ids) => format!("erases {}", ids.len()),
                Effect::CutOff(ids) => format!("cuts off {}", ids.len()),
                Effect::Settled(epoch) => {
                    disk.settled = epoch;
                    format!("settles in {epoch}")
                }
                Effect::Offer(epoch, ids) => {
                    disk.durable.append(&mut disk.written);
                    let mut said = keep_apart(disk, epoch, &ids);
                    let (chain, fold) = recall(replica.blog(), disk);
                    replica.begin_anew(now, chain, fold);
                    said.insert_str(0, "settles and ");
                    said
                }
            });
        }
        if done.is_empty() {
            "nothing".into()
        } else {
            done.join("; ")
        }
    }
}

/// What the disk holds.
pub(crate) fn recall(blog: Hash, disk: &Disk) -> (Chain, Blog) {
    let (mut chain, mut fold) = (Chain::new(blog), Blog::default());
    for entry in &disk.durable {
        chain.append(entry).expect("the disk holds a chain");
        fold.add(&chain, entry.entry());
    }
    (chain, fold)
}

/// Moves entries out of the log, as one write does.
pub(crate) fn keep_apart(disk: &mut Disk, epoch: u64, ids: &BTreeSet<Hash>) -> String {
    let durable = std::mem::take(&mut disk.durable);
    let (apart, left): (Vec<_>, Vec<_>) = durable
        .into_iter()
        .partition(|entry| ids.contains(&entry.entry().id()));
    let sequences: Vec<u64> = apart.iter().map(|entry| tip(entry).sequence).collect();
    (disk.durable, disk.settled) = (left, epoch);
    disk.offers.extend(apart);
    format!("offers {sequences:?}")
}

pub(crate) fn number(text: &str) -> usize {
    text.parse().expect("an entry's number")
}

/// Ids and fingerprints differ from run to run.
pub(crate) fn scrub(text: &str) -> String {
    let hex = |c: char| c.is_ascii_hexdigit();
    let words = text.split(' ').map(|word| match word.rfind(|c| !hex(c)) {
        _ if word.len() < 32 => word.to_string(),
        Some(at) if word.len() - at > 32 => format!("{}…", &word[..=at]),
        None => "…".into(),
        Some(_) => word.split("sha256:").next().unwrap_or("").to_string() + "sha256:…",
    });
    words.collect::<Vec<_>>().join(" ")
}
