//! Stories about replicas: what they take in, what they sign, and when they must not.

#[path = "../../log/tests/common/mod.rs"]
mod desk;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use desk::{Author, START, article, draft};
use expect_test::{Expect, expect};
use spokes_log::{
    blog::Blog,
    chain::Chain,
    draft::{Draft, Role, Says},
    name::{Fingerprint, Hash},
    ring::VerifiedEntry,
    time::Time,
};
use spokes_rules::{
    node::{Label, NodeSecret},
    primary::Brings,
    receipt::{Seal, Tip},
    registry::{Closing, Set},
    replica::{Answer, Effect, Event, Replica},
    request::Policy,
};

/// One blog on the spokes `a`, `b` and `c`, of which `a` is the primary.
struct Scene {
    now: Time,
    author: Author,
    /// What she wrote, entry 0 first.
    entries: Vec<VerifiedEntry>,
    replicas: BTreeMap<String, (Replica, Disk)>,
    epoch: u64,
    ended: BTreeSet<Fingerprint>,
    /// The `keys` entry that the registry took last.
    keys_at: usize,
    tickets: u64,
}

#[derive(Default)]
struct Disk {
    /// Written, not durable yet.
    written: Vec<VerifiedEntry>,
    durable: Vec<VerifiedEntry>,
    seal: Option<Seal>,
    sealed: u64,
}

fn label(text: &str) -> Label {
    Label::parse(text).expect("a label")
}

fn set(epoch: u64, members: &str) -> Set {
    let members = members.split(',').map(label).collect();
    Set { epoch, members }
}

fn tip(entry: &VerifiedEntry) -> Tip {
    Tip {
        sequence: entry.entry().skeleton().sequence,
        id: entry.entry().id(),
    }
}

#[track_caller]
fn check(story: &str, expected: &Expect) {
    let mut scene = Scene::new();
    let steps = story.split('|').map(str::trim);
    let lines = steps.map(|step| format!("{step}: {}\n", scene.step(step)));
    expected.assert_eq(&lines.collect::<Vec<_>>().concat());
}

impl Scene {
    fn new() -> Self {
        let author = Author::new("Maria <maria@example.org>");
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

    fn start(&mut self, spoke: &str, disk: Disk) {
        let blog = self.author.first.entry().id();
        let (mut chain, mut fold) = (Chain::new(blog), Blog::default());
        for entry in &disk.durable {
            chain.append(entry).expect("the disk holds a chain");
            fold.add(&chain, entry.entry());
        }
        let secret = NodeSecret::from_seed(Hash::of(spoke.as_bytes()).as_bytes());
        let network = Hash::of(b"network");
        let (me, secret) = (label(spoke), Arc::new(secret));
        let replica = Replica::new(network, me, secret, chain, fold, disk.sealed);
        self.replicas.insert(spoke.into(), (replica, disk));
    }

    fn event(&self, set: Set, next: Option<Set>) -> Event {
        Event::Set {
            set,
            closing: next.map(|next| Closing { next }),
            ended: self.ended.clone(),
            keys_at: self.entries[self.keys_at].entry().id(),
        }
    }

    fn open(&self, epoch: u64, members: &str) -> Event {
        self.event(set(epoch, members), None)
    }

    fn step(&mut self, step: &str) -> String {
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
            ["open", epoch] => {
                self.epoch = epoch.parse().expect("an epoch");
                "open".into()
            }
            ["cover", spoke, entry] => {
                let tip = tip(&self.entries[number(entry)]);
                self.tell(spoke, Event::Cover(BTreeSet::from([tip])))
            }
            _ => self.step_about_limits(&words),
        }
    }

    fn step_about_limits(&mut self, words: &[&str]) -> String {
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
            _ => panic!("no such step: {words:?}"),
        }
    }

    fn write_step(&mut self, words: &[&str]) -> String {
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

    fn write(&mut self, slug: &str, parent: usize, instead_of: Vec<Hash>, ahead: i64) -> String {
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

    fn sign(&mut self, said: &Draft, parent: usize, ahead: i64) -> String {
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

    fn limit(&mut self, spoke: &str, entries: &str, bytes: &str) -> String {
        let policy = Policy {
            entries_per_day: entries.parse().expect("entries"),
            blog_bytes: bytes.parse().expect("bytes"),
            ..Policy::default()
        };
        let since = self.now;
        self.tell(spoke, Event::Limits { policy, since })
    }

    fn submit(&mut self, spoke: &str, entry: usize, refused_elsewhere: bool) -> String {
        self.tickets += 1;
        let event = Event::Submitted {
            ticket: self.tickets,
            entry: self.entries[entry].clone(),
            refused_elsewhere,
        };
        self.tell(spoke, event)
    }

    /// A sync ends: what was written is durable.
    fn store(&mut self, spoke: &str) -> String {
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

    fn tell(&mut self, spoke: &str, event: Event) -> String {
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
            });
        }
        if done.is_empty() {
            "nothing".into()
        } else {
            done.join("; ")
        }
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("an entry's number")
}

/// Ids and fingerprints differ from run to run.
fn scrub(text: &str) -> String {
    let hex = |c: char| c.is_ascii_hexdigit();
    let words = text.split(' ').map(|word| match word.rfind(|c| !hex(c)) {
        _ if word.len() < 32 => word.to_string(),
        Some(at) if word.len() - at > 32 => format!("{}…", &word[..=at]),
        None => "…".into(),
        Some(_) => word.split("sha256:").next().unwrap_or("").to_string() + "sha256:…",
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn an_entry_is_written_held_and_safe() {
    check(
        "write one | submit a 1 | store a | pull b 1 | store b | receipts b to a | submit a 1",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            pull b 1: writes 1
            store b: holds 1 in 1
            receipts b to a: answers: safe on 2
            submit a 1: answers: safe on 2
        "#]],
    );
}

#[test]
fn a_secondary_passes_on_unless_the_primary_refused() {
    check(
        "write one | submit b 1 | bring b 1 | submit b 1 | store b | receipts a to b",
        &expect![[r#"
            write one: entry 1
            submit b 1: answers: ask a
            bring b 1: writes 1
            submit b 1: nothing
            store b: holds 1 in 1
            receipts a to b: nothing
        "#]],
    );
}

#[test]
fn a_stale_entry_is_answered_with_the_head() {
    check(
        "write one | submit a 1 | store a | write two behind 0 | submit a 2 | \
         write two behind 1 instead-of 2 | submit a 3 | pull a 2 | store a",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            write two behind 0: entry 2
            submit a 2: answers: the blog has gone on to entry 1; sign again behind sha256:…
            write two behind 1 instead-of 2: entry 3
            submit a 3: writes 2
            pull a 2: writes 1
            store a: holds 1 in 1; holds 2 in 1
        "#]],
    );
}

#[test]
fn a_missing_parent_is_asked_for() {
    check(
        "write one | write two | submit a 2 | submit a 1 | store a | submit a 2",
        &expect![[r#"
            write one: entry 1
            write two: entry 2
            submit a 2: answers: the entry before this one, sha256:… is not here; send that one first
            submit a 1: writes 1
            store a: holds 1 in 1
            submit a 2: writes 2
        "#]],
    );
}

#[test]
fn a_slug_has_one_article() {
    check(
        "write one | submit a 1 | store a | write one | submit a 2 | write one behind 0 | \
         write one behind 1 instead-of 3 | submit a 4",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            write one: entry 2
            submit a 2: answers: an article has the address "one" already; edit that one (Replaces: sha256:… or choose another slug
            write one behind 0: entry 3
            write one behind 1 instead-of 3: entry 4
            submit a 4: answers: an article has the address "one" already; edit that one (Replaces: sha256:… or choose another slug
        "#]],
    );
}

#[test]
fn an_entry_from_ahead_waits() {
    check(
        "write one ahead 900 | submit a 1 | pull b 1 | store b | heard b | wait 600 | heard b | \
         submit a 1",
        &expect![[r#"
            write one ahead 900: entry 1
            submit a 1: answers: the entry is signed at 2026-11-23T14:20:00Z, here it is 2026-11-23T14:06:00Z; set the clock and sign again
            pull b 1: writes 1
            store b: nothing
            heard b: nothing
            wait 600: later
            heard b: holds 1 in 1
            submit a 1: writes 1
        "#]],
    );
}

#[test]
fn a_sealed_epoch_has_no_receipts_any_more() {
    check(
        "write one | submit a 1 | store a | close b a,b,c for b,c | pull b 1 | store b | \
         restart b | close b a,b,c for b,c | compare b | heard b | cover b 1 | open 2 | set b b,c",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            close b a,b,c for b,c: writes its seal of 1 with [0]
            pull b 1: writes 1
            store b: sends its seal
            restart b: starts
            close b a,b,c for b,c: nothing
            compare b: nothing
            heard b: nothing
            cover b 1: holds 1 in 2
            open 2: open
            set b b,c: nothing
        "#]],
    );
}

#[test]
fn a_seal_names_what_is_durable_only() {
    check(
        "write one | submit a 1 | close a a,b,c for b,c | store a",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            close a a,b,c for b,c: writes its seal of 1 with [0]
            store a: sends its seal
        "#]],
    );
}

#[test]
fn a_started_replica_compares_before_it_signs_or_seals() {
    check(
        "write one | pull b 1 | store b | restart b | submit b 1 | write two | submit b 2 | \
         set b a,b,c | heard b | close b a,b,c for b,c | compare b | store b",
        &expect![[r#"
            write one: entry 1
            pull b 1: writes 1
            store b: holds 1 in 1
            restart b: starts
            submit b 1: nothing
            write two: entry 2
            submit b 2: answers: this server has just started and waits for the council; the entry is safe with you, send it again in a moment
            set b a,b,c: nothing
            heard b: nothing
            close b a,b,c for b,c: nothing
            compare b: writes its seal of 1 with [1]
            store b: sends its seal
        "#]],
    );
}

#[test]
fn a_started_member_compares_with_so_many_as_can_seal_without_it() {
    // What `a` names has to be durable first; one other of three is not enough.
    check(
        "write one | pull a 1 | store a | restart b | heard b | set b a,b,c | compare b with a | \
         compare b with c | pull b 1 | store b",
        &expect![[r#"
            write one: entry 1
            pull a 1: writes 1
            store a: holds 1 in 1
            restart b: starts
            heard b: nothing
            set b a,b,c: nothing
            compare b with a: nothing
            compare b with c: nothing
            pull b 1: writes 1
            store b: holds 1 in 1
        "#]],
    );
    // Where one is gone for good, a long wait does instead.
    check(
        "write one | restart b | set b a,b,c | heard b | compare b with c | wait 60 | heard b | \
         wait 1 | heard b",
        &expect![[r#"
            write one: entry 1
            restart b: starts
            set b a,b,c: nothing
            heard b: nothing
            compare b with c: nothing
            wait 60: later
            heard b: nothing
            wait 1: later
            heard b: holds 0 in 1
        "#]],
    );
    // What was said before the council was heard counts as soon as it is.
    check(
        "restart b | set b a,b,c | compare b with a | compare b with c | heard b",
        &expect![[r#"
            restart b: starts
            set b a,b,c: nothing
            compare b with a: nothing
            compare b with c: nothing
            heard b: holds 0 in 1
        "#]],
    );
}

#[test]
fn an_entry_behind_one_that_is_being_written_waits_for_it() {
    check(
        "write one | submit a 1 | write two behind 0 | submit a 2 | write three behind 1 | \
         submit a 3 | store a | store a",
        &expect![[r#"
            write one: entry 1
            submit a 1: writes 1
            write two behind 0: entry 2
            submit a 2: nothing
            write three behind 1: entry 3
            submit a 3: nothing
            store a: holds 1 in 1; answers: the blog has gone on to entry 1; sign again behind sha256:…; writes 2
            store a: holds 2 in 1
        "#]],
    );
    let mut scene = Scene::new();
    scene.step("write one");
    scene.step("submit a 1");
    assert_eq!(
        scene.replicas["a"].0.fold().posts().len(),
        0,
        "nobody sees it yet"
    );
    for n in 2..40 {
        scene.step(&format!("write text-{n} behind 0"));
        let said = scene.step(&format!("submit a {n}"));
        let full = said.contains("still writing");
        assert_eq!(full, n >= 34, "{n}: {said}");
    }
    scene.step("store a");
    assert_eq!(scene.replicas["a"].0.fold().posts().len(), 1);
}

#[test]
fn an_ended_key_reaches_nothing_behind_its_end() {
    // Entry 3 is by the key that entry 2 ended, on another branch, and came first.
    let story = "write one | write two | write stray behind 0 | end key | keys at 2 | restart b | \
                 set b a,b,c | heard b | pull b 3 | store b | pull b 1 | pull b 2 | store b | \
                 compare b with a | compare b with c";
    check(
        story,
        &expect![[r#"
        write one: entry 1
        write two: entry 2
        write stray behind 0: entry 3
        end key: ended
        keys at 2: taken
        restart b: starts
        set b a,b,c: nothing
        heard b: nothing
        pull b 3: writes 1
        store b: nothing
        pull b 1: writes 1
        pull b 2: writes 2
        store b: nothing
        compare b with a: nothing
        compare b with c: cuts off 1
    "#]],
    );
    // A receipt of the open epoch keeps it.
    let covered = "write zero | write one behind 0 | write two behind 2 | pull c 1 | store c | \
                   end key | keys at 3 | restart b | set b a,b,c | heard b | pull b 1 | store b | \
                   pull b 2 | pull b 3 | store b | receipts c to b | compare b with a | \
                   compare b with c";
    check(
        covered,
        &expect![[r#"
        write zero: entry 1
        write one behind 0: entry 2
        write two behind 2: entry 3
        pull c 1: writes 1
        store c: holds 1 in 1
        end key: ended
        keys at 3: taken
        restart b: starts
        set b a,b,c: nothing
        heard b: nothing
        pull b 1: writes 1
        store b: nothing
        pull b 2: writes 1
        pull b 3: writes 2
        store b: nothing
        receipts c to b: nothing
        compare b with a: nothing
        compare b with c: holds 1 in 1; holds 2 in 1
    "#]],
    );
}

#[test]
fn nobody_covers_what_is_not_durable() {
    check(
        "write one | close c a,b,c for b,c | store c | cover c 1 | pull c 1 | cover c 1 | store c",
        &expect![[r#"
            write one: entry 1
            close c a,b,c for b,c: writes its seal of 1 with [0]
            store c: sends its seal
            cover c 1: nothing
            pull c 1: writes 1
            cover c 1: nothing
            store c: holds 1 in 2
        "#]],
    );
}

#[test]
fn a_silent_council_stops_the_receipts() {
    check(
        "wait 2400 | write one | submit a 1 | store a | wait 1 | write two | submit a 2 | store a | \
         heard a 2401 ago | heard a",
        &expect![[r#"
            wait 2400: later
            write one: entry 1
            submit a 1: writes 1
            store a: holds 1 in 1
            wait 1: later
            write two: entry 2
            submit a 2: writes 2
            store a: nothing
            heard a 2401 ago: nothing
            heard a: holds 2 in 1
        "#]],
    );
}

#[test]
fn an_ended_key_is_refused_and_pulled_only_when_covered() {
    check(
        "write one | pull c 1 | store c | end key | set a a,b,c | set b a,b,c | submit a 1 | \
         pull b 1 | receipts c to b | pull b 1 | store b",
        &expect![[r#"
            write one: entry 1
            pull c 1: writes 1
            store c: holds 1 in 1
            end key: ended
            set a a,b,c: nothing
            set b a,b,c: nothing
            submit a 1: answers: the key … was ended by its blog; sign with one that is left
            pull b 1: nothing
            receipts c to b: nothing
            pull b 1: writes 1
            store b: holds 1 in 1
        "#]],
    );
}

#[test]
fn more_branches_than_are_admitted_are_pulled() {
    let mut scene = Scene::new();
    for n in 0..10 {
        scene.step(&format!("write text-{n} behind 0"));
        scene.step(&format!("pull b {}", n + 1));
    }
    scene.step("store b");
    assert_eq!(scene.replicas["b"].0.durable_tips().len(), 10);
    // A node that admits has them too, and takes no more.
    scene.step("write more behind 0");
    let said = scene.step("bring b 11");
    assert!(said.contains("has 8 branches already"), "{said}");
}

#[test]
fn copies_of_one_receipt_fill_no_room() {
    let mut scene = Scene::new();
    scene.step("write one");
    scene.step("write two behind 0");
    for story in ["pull b 1", "store b"] {
        scene.step(story);
    }
    // The primary lacks the entry, and hears again and again that another has it.
    for _ in 0..100 {
        scene.step("receipts b to a");
    }
    let kept = scene.replicas["a"].0.receipts().all();
    assert_eq!(kept.filter(|r| r.held.spoke.as_str() == "b").count(), 1);
}

#[test]
fn what_the_own_disk_says_is_not_the_council() {
    check(
        "write one | restart b | set b a,b,c | compare b | pull b 1 | store b | heard b",
        &expect![[r#"
            write one: entry 1
            restart b: starts
            set b a,b,c: nothing
            compare b: nothing
            pull b 1: writes 1
            store b: nothing
            heard b: holds 1 in 1
        "#]],
    );
}

/// A second key is needed to say that the first one ended; here only that it can be granted.
#[test]
fn keys_entries_pass_like_any_other() {
    let mut scene = Scene::new();
    let rosa = desk::key("Rosa <rosa@example.org>");
    scene
        .author
        .add_key(&rosa, Role::Write)
        .expect("an own key brings keys");
    let sealed = scene.author.entries.last().expect("there").clone();
    let place = scene.replicas["a"].0.chain().place(sealed.entry());
    let entry = place.and_then(|place| place.verify(sealed)).expect("valid");
    scene.entries.push(entry);
    assert_eq!(scene.step("submit a 1"), "writes 1");
    assert_eq!(scene.step("store a"), "holds 1 in 1");
}

#[test]
fn a_day_has_its_number_of_entries() {
    // What is on disk after a start counts by the day on which it says it was signed.
    check(
        "limit a 1 entries | write one | submit a 1 | write two | submit a 2 | store a | restart a \
         | set a a,b,c | limit a 1 entries | submit a 2 | wait 86400 | submit a 2",
        &expect![[r#"
            limit a 1 entries: nothing
            write one: entry 1
            submit a 1: writes 1
            write two: entry 2
            submit a 2: answers: this network takes 1 entries of a blog in a day, and that is reached; they are safe with you, send them again tomorrow
            store a: holds 1 in 1
            restart a: starts
            set a a,b,c: nothing
            limit a 1 entries: nothing
            submit a 2: answers: this network takes 1 entries of a blog in a day, and that is reached; they are safe with you, send them again tomorrow
            wait 86400: later
            submit a 2: writes 2
        "#]],
    );
}

#[test]
fn what_must_not_wait_has_room_beside_the_rest() {
    check(
        "limit a 1 entries | write one | submit a 1 | write two | submit a 2 | erase 1 behind 1 \
         | submit a 3 | erase 1 behind 3 | submit a 4",
        &expect![[r#"
            limit a 1 entries: nothing
            write one: entry 1
            submit a 1: writes 1
            write two: entry 2
            submit a 2: answers: this network takes 1 entries of a blog in a day, and that is reached; they are safe with you, send them again tomorrow
            erase 1 behind 1: entry 3
            submit a 3: writes 2; erases 1
            erase 1 behind 3: entry 4
            submit a 4: answers: this network takes 2 entries of a blog in a day, and that is reached; they are safe with you, send them again tomorrow
        "#]],
    );
}

#[test]
fn a_blog_has_its_bytes_and_more_each_year() {
    check(
        "limit a 4500 bytes | write one | submit a 1 | write two | submit a 2 | write three \
         | submit a 3 | wait 31536000 | submit a 3",
        &expect![[r#"
            limit a 4500 bytes: nothing
            write one: entry 1
            submit a 1: writes 1
            write two: entry 2
            submit a 2: writes 2
            write three: entry 3
            submit a 3: answers: this network keeps 4500 bytes of a blog, and with this there would be more; ask the organizers for more room, what you have is safe with you
            wait 31536000: later
            submit a 3: writes 3
        "#]],
    );
}

#[test]
fn a_restore_is_granted_more_and_not_everything() {
    let mut scene = Scene::new();
    scene.step("limit a 1 entries");
    for n in 1..=20 {
        scene.step(&format!("write r{n}"));
        assert!(scene.step(&format!("restore a {n}")).starts_with("writes"));
    }
    let mut said = String::new();
    for step in [
        "write more",
        "restore a 21",
        "submit a 21",
        "write last",
        "submit a 22",
        "wait 86400",
        "restore a 22",
    ] {
        said.push_str(&format!("{step}: {}\n", scene.step(step)));
    }
    expect![[r#"
        write more: entry 21
        restore a 21: this network takes 20 entries of a blog in a day, and that is reached; they are safe with you, send them again tomorrow
        submit a 21: writes 21
        write last: entry 22
        submit a 22: answers: this network takes 1 entries of a blog in a day, and that is reached; they are safe with you, send them again tomorrow
        wait 86400: later
        restore a 22: writes 22
    "#]]
    .assert_eq(&said);
}
