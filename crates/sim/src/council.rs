//! The council: a linearizable registry behind a sequencer that may lose its leader, and the
//! operators' hands that change sets when spokes fall silent.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use spokes_log::{chain::Chain, name::BlogId, ring::VerifiedEntry, time::Time};
use spokes_rules::{
    node::{Label, NodeSecret, Signed},
    receipt::{Receipt, Seal, Tip},
    registry::{BlogRecord, Record, Refusal, Registry, Set, Verdict},
    request::{Ask as Said, Request, Wish},
};

use crate::{
    founding,
    hub::{Hub, Millis, SECOND},
    message::{Ask, Cover, Message, Node},
    plan::Plan,
    plant::Plant,
};

/// How long a spoke may be silent before its blogs get another set: the hour of the protocol,
/// shortened, so that a run of minutes has many changes of set.
const SILENCE: Millis = 90 * SECOND;
/// How long a long poll waits.
const POLL: Millis = 25 * SECOND;
/// How long a change of set may take before it is replaced by another.
const CHANGE: Millis = 60 * SECOND;
/// How often the operators look.
const LOOK: Millis = 5 * SECOND;
/// Answers of the sequencer lost although the request was taken, and given twice, in thousandths.
const FORGOTTEN: u64 = 30;

/// The council as one node.
#[derive(Debug)]
pub struct Council {
    registry: Arc<Registry>,
    /// The state before the last record.
    before: Arc<Registry>,
    log: Vec<Record>,
    /// Entries that proved claims, with the number of their record.
    proofs: Vec<(u64, Arc<VerifiedEntry>)>,
    secret: NodeSecret,
    leader: bool,
    wanted: usize,
    /// Whether a set may become smaller when there is nobody to replace a silent member.
    may_shrink: bool,
    soft: Soft,
    /// When the change of each blog's set began.
    changes: BTreeMap<BlogId, Millis>,
}

/// What a leader keeps in memory only.
#[derive(Debug, Default)]
struct Soft {
    heard: BTreeMap<Label, Millis>,
    since: Millis,
    polls: Vec<(Node, Ask, u64, Millis)>,
    seals: BTreeMap<(BlogId, u64), BTreeMap<Label, Signed>>,
    /// The seals that will be shown, once there are enough.
    shown: BTreeMap<(BlogId, u64), Vec<Signed>>,
    held: BTreeMap<(BlogId, u64), BTreeMap<(Label, Tip), Receipt>>,
}

impl Council {
    /// Founds the network of this plan, with all its spokes admitted.
    pub fn found(plan: &Plan) -> Self {
        let (registry, log) = founding::found(plan);
        let registry = Arc::new(registry);
        Self {
            before: Arc::clone(&registry),
            registry,
            log,
            proofs: Vec::new(),
            secret: founding::council_secret(),
            leader: true,
            wanted: usize::try_from(plan.replicas).unwrap_or(3),
            may_shrink: plan.patience,
            soft: Soft::default(),
            changes: BTreeMap::new(),
        }
    }

    /// The registry.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The whole log.
    pub fn log(&self) -> &[Record] {
        &self.log
    }

    /// The leader is lost, with all that it had in memory only.
    pub fn lose_leader(&mut self, hub: &mut Hub) {
        hub.story(Node::Council, format_args!("loses its leader"));
        (self.leader, self.soft) = (false, Soft::default());
    }

    /// A new leader is there.
    pub fn elect(&mut self, hub: &mut Hub) {
        if self.leader {
            return;
        }
        hub.story(Node::Council, format_args!("has a leader"));
        (self.leader, self.soft.since) = (true, hub.now);
        if hub.has(Plant::CouncilForgets) {
            self.registry = Arc::clone(&self.before);
        }
    }

    /// Takes in a message.
    pub fn receive(&mut self, hub: &mut Hub, from: Node, message: Message) {
        if !self.leader {
            return;
        }
        match message {
            Message::RegistryAsk { ask, after } => {
                if let Some(label) = founding::label_of(from) {
                    self.soft.heard.insert(label, hub.now);
                }
                self.soft.polls.push((from, ask, after, hub.now + POLL));
                self.answer_polls(hub, false);
            }
            Message::Request { ask, request } => {
                let answer = self.propose(hub, &request);
                let copies = match hub.chance.below(1_000) {
                    _ if hub.clear => 1,
                    0..FORGOTTEN => 0,
                    FORGOTTEN..60 => 2,
                    _ => 1,
                };
                for _ in 0..copies {
                    let answer = answer.clone();
                    hub.send(Node::Council, from, Message::RequestAnswer { ask, answer });
                }
            }
            Message::Seal(signed) => self.take_seal(hub, signed),
            Message::HeldNext(receipt) => {
                let (blog, epoch) = (receipt.held.blog, receipt.held.epoch);
                let key = (receipt.held.spoke.clone(), receipt.held.tip);
                let held = self.soft.held.entry((blog, epoch)).or_default();
                held.insert(key, receipt);
                self.try_open(hub, blog);
            }
            _ => {}
        }
    }

    /// The operators look around.
    pub fn tick(&mut self, hub: &mut Hub) {
        hub.later(LOOK, crate::hub::Event::Tick(Node::Council, 0));
        if !self.leader {
            return;
        }
        self.answer_polls(hub, false);
        let registry = Arc::clone(&self.registry);
        for (id, blog) in registry.blogs() {
            self.choose_seals(hub, id, blog);
            self.try_open(hub, id);
            let members = match &blog.closing {
                None => self.better_set(hub, blog),
                Some(closing) => {
                    let begun = self.changes.get(&id).copied().unwrap_or(0);
                    let gone = closing
                        .next
                        .members
                        .iter()
                        .any(|l| !self.is_live(hub.now, l));
                    let stuck = gone && hub.now > begun + CHANGE;
                    // Where the open set was good enough, it stays as it was.
                    let better = self.better_set(hub, blog);
                    let members = better.or_else(|| Some(blog.set.members.clone()));
                    members.filter(|m| stuck && *m != closing.next.members)
                }
            };
            if let Some(members) = members {
                self.close(hub, id, blog, members);
            }
        }
    }

    /// An organizer moves a blog: one member goes, another comes, and anyone may become primary.
    pub fn move_blog(&mut self, hub: &mut Hub, number: u64) {
        let registry = Arc::clone(&self.registry);
        let blogs: Vec<_> = registry
            .blogs()
            .filter(|(_, b)| b.closing.is_none())
            .collect();
        if blogs.is_empty() || !self.leader {
            return;
        }
        let (id, blog) = blogs[usize::try_from(number % blogs.len() as u64).unwrap_or(0)];
        let mut members = blog.set.members.clone();
        let spare: Vec<Label> = self.spare(hub.now, &members);
        if let Some(spare) = hub.chance.pick(&spare).cloned() {
            let goes = hub.chance.index(members.len());
            members[goes] = spare;
        }
        let first = hub.chance.index(members.len());
        members.rotate_left(first);
        self.close(hub, id, blog, members);
    }

    /// An organizer lets a spoke in; false when there is nobody to ask.
    pub fn let_in(&mut self, hub: &mut Hub, spoke: usize, operator: usize) -> bool {
        if !self.leader {
            return false;
        }
        let (network, now) = (self.registry.network(), hub.clock(0));
        let requests = founding::requests_to_join(network, now, spoke, operator);
        requests
            .iter()
            .all(|request| self.propose(hub, request).is_ok())
    }

    /// An organizer bars a spoke, as long as others are left.
    pub fn evict(&mut self, hub: &mut Hub, spoke: usize) {
        let label = founding::label(spoke);
        let is_other = |l: &Label| *l != label && self.is_live(hub.now, l);
        let others = self.registry.admitted().filter(|(l, _)| is_other(l));
        if !self.leader || others.count() < self.wanted {
            return;
        }
        let said = Said {
            network: Some(self.registry.network()),
            time: hub.clock(0),
            what: Wish::Evict { label },
        };
        let request = Request::plain(Signed::new(&founding::organizer_secret(), &said));
        if let Err(refusal) = self.propose(hub, &request) {
            hub.story(Node::Council, format_args!("may not evict: {refusal}"));
        }
    }

    fn is_live(&self, now: Millis, label: &Label) -> bool {
        let spoke = self.registry.spoke(label);
        if !spoke.is_some_and(spokes_rules::registry::Spoke::is_admitted) {
            return false;
        }
        let heard = self
            .soft
            .heard
            .get(label)
            .copied()
            .unwrap_or(self.soft.since);
        now <= heard + SILENCE
    }

    fn spare(&self, now: Millis, members: &[Label]) -> Vec<Label> {
        let mut spare: Vec<_> = self
            .registry
            .admitted()
            .filter(|(label, _)| !members.contains(label) && self.soft.heard.contains_key(*label))
            .filter(|(label, _)| self.is_live(now, label))
            .collect();
        spare.sort_by_key(|(label, spoke)| (spoke.blogs, (*label).clone()));
        let operator = |label: &Label| self.registry.spoke(label).map(|s| &s.operator);
        let live = members.iter().filter(|l| self.is_live(now, l));
        let mut operators: BTreeSet<_> = live.filter_map(operator).collect();
        spare.retain(|(_, spoke)| operators.insert(&spoke.operator));
        spare.into_iter().map(|(label, _)| label.clone()).collect()
    }

    /// A set without silent members, and as large as is wanted; none when the open one is as good.
    fn better_set(&self, hub: &Hub, blog: &BlogRecord) -> Option<Vec<Label>> {
        let old = &blog.set.members;
        let live = |l: &Label| self.is_live(hub.now, l);
        let mut members: Vec<Label> = old.iter().filter(|l| live(l)).cloned().collect();
        let is_whole = members.len() == old.len() && old.len() >= self.wanted;
        if is_whole || members.is_empty() {
            return None;
        }
        members.extend(self.spare(hub.now, old));
        members.truncate(self.wanted);
        let smaller = members.len() < old.len() && !self.may_shrink;
        (members != *old && !smaller).then_some(members)
    }

    fn close(&mut self, hub: &mut Hub, id: BlogId, blog: &BlogRecord, members: Vec<Label>) {
        let epoch = blog.set.epoch;
        let wish = Wish::Close {
            blogs: vec![id],
            epoch,
            members,
        };
        self.changes.insert(id, hub.now);
        let request = self.request(hub, wish, Vec::new());
        if let Err(refusal) = self.propose(hub, &request) {
            hub.story(Node::Council, format_args!("may not close: {refusal}"));
        }
    }

    fn request(&self, hub: &Hub, what: Wish, statements: Vec<Signed>) -> Request {
        let said = Said {
            network: Some(self.registry.network()),
            time: hub.clock(0),
            what,
        };
        let signed = Signed::new(&self.secret, &said);
        Request {
            statements,
            ..Request::plain(signed)
        }
    }

    /// Puts a request to the sequencer.
    fn propose(&mut self, hub: &mut Hub, request: &Request) -> Result<u64, Refusal> {
        let now: Time = hub.clock(0);
        if let Verdict::Repeat(index) = self.registry.judge(now, request)? {
            return Ok(index);
        }
        let record = self.registry.next_record(now, request.clone());
        let mut registry = Registry::clone(&self.registry);
        registry.take(&record)?;
        self.before = std::mem::replace(&mut self.registry, Arc::new(registry));
        let index = record.index;
        self.log.push(record);
        self.note_record(hub, request);
        hub.truth.check_registry(&self.registry);
        self.keep_proof(index, request);
        self.answer_polls(hub, false);
        Ok(index)
    }

    fn note_record(&self, hub: &mut Hub, request: &Request) {
        let Ok(said) = Said::parse(request.signed.text.as_bytes()) else {
            return;
        };
        match said.what {
            Wish::Claim { blog, .. } => {
                let name = self.registry.blog(blog).map(|b| (&b.name, &b.set.members));
                hub.story(Node::Council, format_args!("grants {name:?}"));
            }
            Wish::Close {
                blogs,
                epoch,
                members,
            } => {
                hub.story(
                    Node::Council,
                    format_args!("closes {epoch} of {}", short(blogs[0])),
                );
                hub.story(Node::Council, format_args!("  for {members:?}"));
            }
            Wish::Open { blog, epoch } => {
                hub.story(
                    Node::Council,
                    format_args!("opens {epoch} of {}", short(blog)),
                );
            }
            Wish::Join { label, .. } => {
                hub.story(Node::Council, format_args!("is asked by {label}"));
            }
            Wish::Evict { label } => hub.story(Node::Council, format_args!("bars {label}")),
            _ => {}
        }
    }

    fn keep_proof(&mut self, index: u64, request: &Request) {
        let Some(first) = request.proof.first() else {
            return;
        };
        let mut chain = Chain::new(first.entry().id());
        for sealed in &request.proof {
            if let Ok((verified, _)) = chain.accept(sealed.clone()) {
                self.proofs.push((index, Arc::new(verified)));
            }
        }
    }

    fn answer_polls(&mut self, hub: &mut Hub, now: bool) {
        let records = self.registry.head().records;
        let covers = self.covers();
        let polls = std::mem::take(&mut self.soft.polls);
        for (node, ask, after, until) in polls {
            if !now && after >= records && hub.now < until {
                self.soft.polls.push((node, ask, after, until));
                continue;
            }
            let new = self.proofs.iter().filter(|(index, _)| *index >= after);
            let answer = Message::RegistryAnswer {
                ask,
                registry: Arc::clone(&self.registry),
                proofs: new.map(|(_, entry)| Arc::clone(entry)).collect(),
                covers: covers.clone(),
            };
            hub.send(Node::Council, node, answer);
        }
    }

    /// What the members of the sets to come must hold.
    fn covers(&self) -> Vec<Cover> {
        let shown = self.soft.shown.iter().filter(|((blog, epoch), _)| {
            let blog = self.registry.blog(*blog);
            blog.is_some_and(|b| b.set.epoch == *epoch && b.closing.is_some())
        });
        shown
            .map(|((blog, epoch), seals)| Cover {
                blog: *blog,
                epoch: epoch + 1,
                tips: tips_of(seals),
            })
            .collect()
    }

    fn take_seal(&mut self, hub: &mut Hub, signed: Signed) {
        let Ok(seal) = Seal::parse(signed.text.as_bytes()) else {
            return;
        };
        let Some(blog) = self.registry.blog(seal.blog) else {
            return;
        };
        if blog.closing.is_none() || blog.set.epoch != seal.epoch || !blog.set.has(&seal.spoke) {
            return;
        }
        let key = (seal.blog, seal.epoch);
        let set: Set = blog.set.clone();
        let seals = self.soft.seals.entry(key).or_default();
        seals.insert(seal.spoke, signed);
        if seals.len() >= set.seals_needed() && !self.soft.shown.contains_key(&key) {
            let shown = seals.values().cloned().collect();
            self.show(hub, key, shown);
        }
    }

    /// Takes other seals when a member whose seal was to be shown has fallen silent: what only it
    /// holds nobody can cover, and any so many seals name all that is safe.
    fn choose_seals(&mut self, hub: &mut Hub, id: BlogId, blog: &BlogRecord) {
        let key = (id, blog.set.epoch);
        let begun = self.changes.get(&id).copied().unwrap_or(0);
        if blog.closing.is_none() || hub.now < begun + CHANGE {
            return;
        }
        let Some(seals) = self.soft.seals.get(&key) else {
            return;
        };
        let live = seals
            .iter()
            .filter(|(label, _)| self.is_live(hub.now, label));
        let live: Vec<Signed> = live.map(|(_, signed)| signed.clone()).collect();
        if live.len() >= blog.set.seals_needed() && live.len() < seals.len() {
            self.show(hub, key, live);
        }
    }

    fn show(&mut self, hub: &mut Hub, key: (BlogId, u64), mut shown: Vec<Signed>) {
        if self.soft.shown.get(&key) == Some(&shown) {
            return;
        }
        if hub.has(Plant::PromotionSkipsSealedEntry) {
            shown = forge(&shown);
        }
        self.soft.shown.insert(key, shown);
        self.answer_polls(hub, true);
    }

    /// Opens the next set of a blog if seals and receipts suffice.
    fn try_open(&mut self, hub: &mut Hub, id: BlogId) {
        let registry = Arc::clone(&self.registry);
        let Some(blog) = registry.blog(id) else {
            return;
        };
        let Some(closing) = &blog.closing else { return };
        let Some(seals) = self.soft.shown.get(&(id, blog.set.epoch)) else {
            return;
        };
        let epoch = closing.next.epoch;
        let Some(held) = self.soft.held.get(&(id, epoch)) else {
            return;
        };
        let tips = tips_of(seals);
        let holds = |label: &&Label| {
            tips.iter()
                .all(|tip| held.contains_key(&((*label).clone(), *tip)))
        };
        if closing.next.members.iter().filter(holds).count() < closing.next.majority() {
            return;
        }
        let mut statements = seals.clone();
        statements.extend(held.values().map(|receipt| receipt.signed.clone()));
        let request = self.request(hub, Wish::Open { blog: id, epoch }, statements);
        if let Err(refusal) = self.propose(hub, &request) {
            hub.story(Node::Council, format_args!("may not open: {refusal}"));
        }
    }
}

fn tips_of(seals: &[Signed]) -> BTreeSet<Tip> {
    let parsed = seals
        .iter()
        .filter_map(|s| Seal::parse(s.text.as_bytes()).ok());
    parsed.flat_map(|seal| seal.tips).collect()
}

/// The planted council: each seal says what the least advanced one does.
fn forge(seals: &[Signed]) -> Vec<Signed> {
    let parse = |s: &Signed| Seal::parse(s.text.as_bytes()).ok();
    let all: Vec<Seal> = seals.iter().filter_map(parse).collect();
    let Some(least) = all.iter().map(|seal| seal.tips.clone()).min() else {
        return seals.to_vec();
    };
    all.into_iter()
        .map(|seal| {
            let secret = founding::secret_of(&seal.spoke);
            let tips = least.clone();
            Signed::new(&secret, &Seal { tips, ..seal })
        })
        .collect()
}

/// The first characters of a blog's id.
pub fn short(blog: BlogId) -> String {
    blog.to_string().chars().skip(7).take(6).collect()
}
