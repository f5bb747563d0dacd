//! An author's device: it writes texts, and keeps sending each until it counts it as safe.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use spokes_log::{
    chain::Chain,
    draft::{Article, Claim, Draft, Says},
    entry::Entry,
    fault::Fault,
    name::{BlogId, BlogName, EntryId, Hash, Language, Salt, Slug, Tags},
    ring::VerifiedEntry,
    time::Time,
};
use spokes_rules::{
    node::Label,
    primary::Refusal,
    receipt::{Receipt, Tip},
    registry::{self, Registry, Set},
};

use crate::{
    founding,
    hub::{Event, Hub, MINUTE, Millis, SECOND},
    message::{Ask, Entries, Message, Node, Reply},
    plan::Plan,
    plant::Plant,
    truth::SafeText,
};

/// How often a device looks around.
const LOOK: Millis = 700;
/// How long it waits for an answer.
const SILENCE: Millis = 8 * SECOND;
/// How long it goes by what it has read of its blog's set.
const FRESH: Millis = 20 * SECOND;

/// A device of an author.
#[derive(Debug)]
pub struct Device {
    number: usize,
    author: usize,
    /// By how much its clock is wrong.
    skew: i64,
    /// Whether it is the one that claims the name, and whether others write on the blog too.
    owner: bool,
    alone: bool,
    spokes: usize,
    network: Hash,
    blog: BlogId,
    chain: Chain,
    entries: BTreeMap<EntryId, Arc<VerifiedEntry>>,
    /// What proves the claim, and its last entry.
    proof: Entries,
    granted: bool,
    outbox: Vec<Text>,
    /// Texts still to be written, and when the next one is.
    unwritten: u64,
    /// Whether the one after the weather was asked for.
    last_begun: bool,
    write_at: Millis,
    registry: Option<Arc<Registry>>,
    read_at: Millis,
    sets: BTreeMap<u64, Set>,
    receipts: BTreeMap<(u64, Label, Tip), Receipt>,
    asked: Option<Asked>,
    /// Which text is sent next.
    at: usize,
    /// Entries that a server lacks and gets first.
    first: Vec<EntryId>,
    wait_until: Millis,
    /// Answers of the primary that did not come in a row.
    silent: u64,
}

/// One text and the entries by which it was signed.
#[derive(Debug)]
struct Text {
    article: Article,
    forms: Vec<EntryId>,
    current: EntryId,
    safe: bool,
}

#[derive(Debug)]
struct Asked {
    ask: Ask,
    spoke: usize,
    until: Millis,
    purpose: Purpose,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    Claim,
    Blog,
    /// Read the head, then write a text.
    Write,
    Post,
    /// Read what a server has that called a text stale, then sign again.
    Resolve,
    /// Read the entries that receipts name: they cover a text that stands before those.
    Cover,
}

impl Device {
    /// The first device of an author, with entry 0 of her blog.
    ///
    /// # Panics
    /// When entry 0 is not valid.
    pub fn first(hub: &mut Hub, plan: &Plan, author: usize, number: usize, network: Hash) -> Self {
        let (devices, name) = plan.authors[author];
        let skew = skew(hub);
        let signed = hub.clock(skew);
        let says = Says::Blog {
            title: format!("Author {author}"),
            language: Language::parse("en").expect("a language"),
            certificate: hub.keys.fingerprint(author).clone(),
            claim: Some(Claim {
                name: BlogName::parse(&format!("name-{name}")).expect("a name"),
                network,
                not_after: signed + 12 * 3_600,
            }),
        };
        let draft = Draft {
            salt: Salt::from_bytes(hub.chance.salt()),
            says,
            instead_of: Vec::new(),
            extensions: Vec::new(),
            body: hub.keys.armored(author).into(),
        };
        let authors = vec![hub.keys.fingerprint(author).clone()];
        let entry = Entry::new(&draft, None, authors, signed).expect("entry 0 is sound");
        let blog = entry.id();
        let mut device = Self {
            number,
            author,
            skew,
            owner: true,
            alone: devices == 1,
            spokes: plan.spokes(),
            network,
            blog,
            chain: Chain::new(blog),
            entries: BTreeMap::new(),
            proof: Entries::new(),
            granted: false,
            outbox: Vec::new(),
            unwritten: plan.texts,
            last_begun: false,
            write_at: 0,
            registry: None,
            read_at: 0,
            sets: BTreeMap::new(),
            receipts: BTreeMap::new(),
            asked: None,
            at: 0,
            first: Vec::new(),
            wait_until: 0,
            silent: 0,
        };
        let sealed = device.seal(hub, entry, signed).expect("entry 0 is valid");
        device.proof.push(sealed);
        device
    }

    /// Another device of the same author, which knows what this one knows.
    #[must_use]
    pub fn another(&self, hub: &mut Hub, number: usize) -> Self {
        Self {
            number,
            skew: skew(hub),
            owner: false,
            chain: self.chain.clone(),
            entries: self.entries.clone(),
            proof: Entries::new(),
            outbox: Vec::new(),
            registry: None,
            sets: BTreeMap::new(),
            receipts: BTreeMap::new(),
            asked: None,
            first: Vec::new(),
            ..*self
        }
    }

    /// The blog that it writes.
    pub fn blog(&self) -> BlogId {
        self.blog
    }

    /// Whether all that it wrote is safe.
    pub fn is_done(&self) -> bool {
        let wrote = self.last_begun && self.unwritten == 0;
        self.granted && wrote && self.outbox.iter().all(|text| text.safe)
    }

    /// What it waits for, in words.
    pub fn complaint(&self) -> String {
        let unsafe_texts = self.outbox.iter().filter(|text| !text.safe).count();
        format!(
            "device {} granted: {}, texts not safe: {unsafe_texts} of {}, to write: {}",
            self.number,
            self.granted,
            self.outbox.len(),
            self.unwritten
        )
    }

    fn node(&self) -> Node {
        Node::Device(self.number)
    }

    /// Looks around.
    pub fn tick(&mut self, hub: &mut Hub) {
        hub.later(LOOK, Event::Tick(self.node(), 0));
        if let Some(asked) = &self.asked {
            if hub.now < asked.until {
                return;
            }
            let purpose = asked.purpose;
            self.asked = None;
            if purpose == Purpose::Post {
                self.silent += 1;
                if hub.has(Plant::RepostDoubles) {
                    self.sign_anew(hub);
                }
            }
        }
        if hub.now < self.wait_until {
            return;
        }
        if self.owner && !self.granted {
            return self.claim(hub);
        }
        if self.sets.is_empty() || hub.now >= self.read_at + FRESH {
            self.read_at = hub.now;
            let spoke = hub.chance.index(self.spokes);
            return self.ask(hub, spoke, Purpose::Blog, |ask| Message::BlogAsk { ask });
        }
        self.go_on(hub);
    }

    fn ask(
        &mut self,
        hub: &mut Hub,
        spoke: usize,
        purpose: Purpose,
        message: impl FnOnce(Ask) -> Message,
    ) {
        let ask = hub.ask();
        self.asked = Some(Asked {
            ask,
            spoke,
            until: hub.now + SILENCE,
            purpose,
        });
        hub.send(self.node(), Node::Spoke(spoke), message(ask));
    }

    fn claim(&mut self, hub: &mut Hub) {
        let Some(entry) = self.proof.last().map(|entry| entry.entry().id()) else {
            return;
        };
        let spoke = hub.chance.index(self.spokes);
        let (blog, proof) = (self.blog, self.proof.clone());
        // Every other time it looks whether the name has been granted already.
        if self.silent % 2 == 1 {
            self.silent += 1;
            return self.ask(hub, spoke, Purpose::Blog, |ask| Message::BlogAsk { ask });
        }
        self.silent += 1;
        self.ask(hub, spoke, Purpose::Claim, |ask| Message::Claim {
            ask,
            blog,
            entry,
            proof,
        });
    }

    fn claimed(&mut self, hub: &mut Hub, answer: Result<u64, registry::Refusal>) {
        match answer {
            Ok(_) | Err(registry::Refusal::HasName(_)) => {
                (self.granted, self.silent) = (true, 0);
                hub.story(self.node(), format_args!("has its name"));
            }
            Err(registry::Refusal::NameTaken(name)) => {
                hub.note(self.node(), format_args!("finds {name} taken"));
                let other = format!("{name}-{}", self.number);
                let Ok(name) = BlogName::parse(&other) else {
                    return;
                };
                let claim = Claim {
                    name,
                    network: self.network,
                    not_after: hub.clock(self.skew) + 12 * 3_600,
                };
                let says = Says::Claim {
                    claim,
                    releases: None,
                };
                let parent = self.proof.last().map(|entry| entry.entry().id());
                if let Some(entry) = parent.and_then(|p| self.sign(hub, p, says, Vec::new())) {
                    self.proof.push(entry);
                }
            }
            Err(refusal) => {
                hub.note(self.node(), format_args!("claims in vain: {refusal}"));
                self.wait_until = hub.now + 5 * SECOND;
            }
        }
    }

    /// Sends the next text that is not safe, or writes one.
    fn go_on(&mut self, hub: &mut Hub) {
        while self.outbox.get(self.at).is_some_and(|text| text.safe) {
            self.at += 1;
        }
        if self.at < self.outbox.len() {
            return self.post(hub);
        }
        // Once the weather has cleared each device writes one text more: the blog takes texts again.
        if hub.clear && !self.last_begun {
            (self.last_begun, self.unwritten, self.write_at) = (true, 1, hub.now);
        }
        if self.unwritten > 0 && hub.now >= self.write_at {
            let Some(spoke) = self.member(hub) else {
                return;
            };
            let blog = self.blog;
            if !self.alone || hub.chance.per_mille(500) {
                let message = |ask| Message::EntriesAsk { ask, blog };
                return self.ask(hub, spoke, Purpose::Write, message);
            }
            return self.write(hub, None);
        }
        if let Some(first) = self.outbox.iter().position(|text| !text.safe) {
            self.at = first;
            self.wait_until = hub.now + hub.chance.between(SECOND, 4 * SECOND);
        }
    }

    fn set(&self) -> Option<&Set> {
        self.sets.values().next_back()
    }

    fn member(&self, hub: &mut Hub) -> Option<usize> {
        let label = hub.chance.pick(&self.set()?.members)?;
        founding::spoke_of(label)
    }

    fn post(&mut self, hub: &mut Hub) {
        let current = self.outbox[self.at].current;
        let id = self.first.last().copied().unwrap_or(current);
        let Some(entry) = self.entries.get(&id).cloned() else {
            self.first.clear();
            return;
        };
        // First the primary; when it is silent, any member that takes what its primary refused.
        let refused_elsewhere = self.silent >= 2 && !self.silent.is_multiple_of(3);
        let spoke = if refused_elsewhere {
            self.member(hub)
        } else {
            self.set().and_then(|set| founding::spoke_of(set.primary()))
        };
        let Some(spoke) = spoke else { return };
        self.ask(hub, spoke, Purpose::Post, |ask| Message::Post {
            ask,
            entry,
            refused_elsewhere,
        });
    }

    /// Takes in a message.
    pub fn receive(&mut self, hub: &mut Hub, message: Message) {
        let (Message::BlogAnswer { ask, .. }
        | Message::ClaimAnswer { ask, .. }
        | Message::EntriesAnswer { ask, .. }
        | Message::PostAnswer { ask, .. }) = &message
        else {
            return;
        };
        let Some(asked) = self.asked.take_if(|asked| asked.ask == *ask) else {
            return;
        };
        match message {
            Message::BlogAnswer { registry, .. } => self.learn(registry),
            Message::ClaimAnswer { answer, .. } => self.claimed(hub, answer),
            Message::EntriesAnswer { entries, head, .. } => {
                for entry in entries {
                    if self.chain.append(&entry).is_ok() {
                        self.entries.insert(entry.entry().id(), entry);
                    }
                }
                match asked.purpose {
                    Purpose::Resolve => self.resolve(hub, head),
                    Purpose::Cover => self.count(hub),
                    _ => self.write(hub, head),
                }
            }
            Message::PostAnswer { reply, .. } => self.replied(hub, asked.spoke, reply),
            _ => {}
        }
    }

    fn learn(&mut self, registry: Option<Arc<Registry>>) {
        let Some(registry) = registry else { return };
        let known = self.registry.as_ref().map_or(0, |r| r.head().records);
        let Some(blog) = registry.blog(self.blog) else {
            return;
        };
        if !self.granted {
            (self.granted, self.silent) = (true, 0);
        }
        self.sets.insert(blog.set.epoch, blog.set.clone());
        if registry.head().records > known {
            self.registry = Some(registry);
        }
    }

    fn replied(&mut self, hub: &mut Hub, spoke: usize, reply: Reply) {
        if !matches!(reply, Reply::Held(_)) {
            hub.story(
                self.node(),
                format_args!("is told by spoke {spoke}: {reply:?}"),
            );
        }
        match reply {
            Reply::Held(receipts) => {
                self.silent = self.silent.saturating_sub(1);
                if self.first.pop().is_none() {
                    self.at += 1;
                }
                self.keep(receipts);
                self.count(hub);
                let unknown = |(_, _, tip): &(u64, Label, Tip)| !self.chain.contains(tip.id);
                if self.receipts.keys().any(unknown) {
                    let blog = self.blog;
                    let message = |ask| Message::EntriesAsk { ask, blog };
                    self.ask(hub, spoke, Purpose::Cover, message);
                }
            }
            Reply::Forward(_) => {
                // The spoke knows another primary than this device does.
                self.read_at = 0;
                self.wait_until = hub.now + SECOND;
            }
            Reply::Busy | Reply::Refused(Refusal::NotReady | Refusal::StillWriting) => {
                self.silent += 1;
                self.wait_until = hub.now + 2 * SECOND;
            }
            Reply::Refused(Refusal::Invalid(Fault::MissingParent(id))) => {
                if self.first.len() > self.chain.len() || !self.chain.contains(id) {
                    self.first.clear();
                    self.wait_until = hub.now + 5 * SECOND;
                } else {
                    self.first.push(id);
                }
            }
            Reply::Refused(Refusal::Future { .. }) => self.wait_until = hub.now + MINUTE,
            Reply::Refused(
                Refusal::Stale { .. } | Refusal::SlugTaken { .. } | Refusal::TooManyBranches(_),
            ) => {
                self.first.clear();
                let blog = self.blog;
                let message = |ask| Message::EntriesAsk { ask, blog };
                self.ask(hub, spoke, Purpose::Resolve, message);
            }
            Reply::Refused(refusal) => {
                hub.truth
                    .breaks(format!("promise 7: device {}: {refusal}", self.number));
            }
        }
    }

    /// Keeps receipts that count: of spokes that the roster lists, with their keys.
    fn keep(&mut self, receipts: Vec<Receipt>) {
        let Some(registry) = &self.registry else {
            return;
        };
        for receipt in receipts {
            let held = &receipt.held;
            let key = (held.epoch, held.spoke.clone(), held.tip);
            let good = held.blog == self.blog && registry.counts(&receipt);
            if good && !self.receipts.contains_key(&key) && receipt.signed.is_good() {
                self.receipts.insert(key, receipt);
            }
        }
    }

    /// Counts a text as safe when a majority of a set holds it.
    fn count(&mut self, hub: &mut Hub) {
        let mut sets = self.sets.clone();
        if hub.has(Plant::CountsNextEpoch) {
            let registry = self.registry.as_ref();
            let closing = registry
                .and_then(|registry| registry.blog(self.blog))
                .and_then(|blog| blog.closing.as_ref());
            sets.extend(closing.map(|closing| (closing.next.epoch, closing.next.clone())));
        }
        for number in 0..self.outbox.len() {
            let text = &self.outbox[number];
            let forms = text.forms.iter().filter(|_| !text.safe);
            let mut pairs = forms.flat_map(|form| sets.values().map(move |set| (*form, set)));
            let Some((entry, set)) = pairs.find(|(form, set)| self.is_safe(*form, set)) else {
                continue;
            };
            let safe = SafeText {
                blog: self.blog,
                entry,
                epoch: set.epoch,
            };
            hub.story(
                self.node(),
                format_args!("counts text {number} safe in {}", set.epoch),
            );
            hub.truth.told_safe((self.number, number), safe, set);
            self.outbox[number].safe = true;
        }
    }

    fn is_safe(&self, form: EntryId, set: &Set) -> bool {
        let of_epoch = self
            .receipts
            .keys()
            .filter(|(epoch, ..)| *epoch == set.epoch);
        let covering = of_epoch
            .filter(|(_, label, tip)| set.has(label) && self.chain.reaches(tip.id, form))
            .map(|(_, label, _)| label);
        covering.collect::<BTreeSet<_>>().len() >= set.majority()
    }

    /// Writes a new text behind the head that was read, or behind its own last one.
    fn write(&mut self, hub: &mut Hub, head: Option<EntryId>) {
        let place = |id: &EntryId| self.chain.link(*id).map(|link| (link.sequence, *id));
        let last = self.outbox.last().map(|text| text.current);
        let known = self
            .chain
            .heads()
            .last()
            .map(|(_, id)| *id)
            .filter(|_| last.is_none());
        let candidates = [head, last, known].into_iter().flatten();
        let Some((_, parent)) = candidates.filter_map(|id| place(&id)).max() else {
            return;
        };
        let number = self.outbox.len();
        let safe = self.outbox.iter().filter(|t| t.safe && t.forms.len() == 1);
        let safe: Vec<&Text> = safe.collect();
        let edited = hub
            .chance
            .pick(&safe)
            .filter(|_| self.alone)
            .map(|t| (t.article.slug.clone(), t.current));
        let edited = edited.filter(|_| hub.chance.per_mille(250));
        let slug = Slug::parse(&format!("device-{}/text-{number}", self.number));
        let Ok(slug) = edited.as_ref().map_or(slug, |(slug, _)| Ok(slug.clone())) else {
            return;
        };
        let article = Article {
            date: hub.clock(self.skew),
            slug,
            title: None,
            language: None,
            tags: Tags::default(),
            aliases: Vec::new(),
            replaces: edited.map(|(_, version)| version),
            media: Vec::new(),
        };
        let says = Says::Post(article.clone());
        let Some(entry) = self.sign(hub, parent, says, Vec::new()) else {
            return;
        };
        let current = entry.entry().id();
        hub.truth.forms.insert(current, (self.number, number));
        let sequence = entry.entry().skeleton().sequence;
        hub.story(
            self.node(),
            format_args!(
                "writes text {number} as entry {sequence} at {}",
                entry.entry().skeleton().signed
            ),
        );
        self.outbox.push(Text {
            article,
            forms: vec![current],
            current,
            safe: false,
        });
        self.at = number;
        self.unwritten -= 1;
        self.write_at = hub.now + hub.chance.between(SECOND, 90 * SECOND);
    }

    /// Finds a place for each text that is not safe behind this head: where one of its forms
    /// stands there it is left, else it is signed again instead of all its forms.
    fn resolve(&mut self, hub: &mut Hub, head: Option<EntryId>) {
        let Some(mut parent) = head.filter(|head| self.chain.contains(*head)) else {
            return;
        };
        for number in 0..self.outbox.len() {
            let text = &self.outbox[number];
            let there = text
                .forms
                .iter()
                .find(|form| self.chain.reaches(parent, **form));
            let there = there.copied();
            if text.safe {
                continue;
            }
            if let Some(form) = there {
                self.outbox[number].current = form;
                continue;
            }
            let says = Says::Post(text.article.clone());
            let instead_of = match hub.has(Plant::ForgetsInsteadOf) {
                true => Vec::new(),
                false => text.forms.clone(),
            };
            let Some(entry) = self.sign(hub, parent, says, instead_of) else {
                return;
            };
            parent = entry.entry().id();
            self.add_form(hub, number, parent);
        }
        self.at = self.outbox.iter().position(|text| !text.safe).unwrap_or(0);
    }

    fn add_form(&mut self, hub: &mut Hub, number: usize, form: EntryId) {
        hub.story(self.node(), format_args!("signs text {number} again"));
        hub.truth.forms.insert(form, (self.number, number));
        self.outbox[number].forms.push(form);
        self.outbox[number].current = form;
    }

    /// The planted client: after a time-out the text gets a new place.
    fn sign_anew(&mut self, hub: &mut Hub) {
        let number = self.at;
        let Some(text) = self.outbox.get(number) else {
            return;
        };
        let parent = self
            .entries
            .get(&text.current)
            .and_then(|e| e.entry().skeleton().previous);
        let says = Says::Post(text.article.clone());
        if let Some(entry) = parent.and_then(|p| self.sign(hub, p, says, Vec::new())) {
            self.add_form(hub, number, entry.entry().id());
        }
    }

    fn sign(
        &mut self,
        hub: &mut Hub,
        parent: EntryId,
        says: Says,
        instead_of: Vec<EntryId>,
    ) -> Option<Arc<VerifiedEntry>> {
        let draft = Draft {
            salt: Salt::from_bytes(hub.chance.salt()),
            says,
            instead_of,
            extensions: Vec::new(),
            body: String::new(),
        };
        let skeleton = self.entries.get(&parent)?.entry().skeleton().clone();
        let signed = hub.clock(self.skew).max(skeleton.signed);
        let authors = vec![hub.keys.fingerprint(self.author).clone()];
        let entry = Entry::new(&draft, Some((&skeleton, parent)), authors, signed).ok()?;
        self.seal(hub, entry, signed)
    }

    fn seal(&mut self, hub: &mut Hub, entry: Entry, signed: Time) -> Option<Arc<VerifiedEntry>> {
        let signature = hub.keys.sign(self.author, entry.text(), signed).ok()?;
        let sealed = self
            .chain
            .place(&entry)
            .and_then(|place| place.seal(entry, &[signature]));
        let entry = match sealed {
            Ok(entry) => Arc::new(entry),
            Err(fault) => {
                hub.truth
                    .breaks(format!("promise 7: device {} signs {fault}", self.number));
                return None;
            }
        };
        self.chain.append(&entry).ok()?;
        self.entries.insert(entry.entry().id(), Arc::clone(&entry));
        Some(entry)
    }
}

/// By how many seconds a clock is wrong: mostly a little, now and then minutes.
pub fn skew(hub: &mut Hub) -> i64 {
    let most = if hub.chance.per_mille(150) {
        8 * 60
    } else {
        20
    };
    i64::try_from(hub.chance.below(2 * most + 1)).unwrap_or(0) - i64::try_from(most).unwrap_or(0)
}
