//! The council: a linearizable registry behind a sequencer that may lose its leader, forget to answer,
//! or answer twice. What its leader decides stands in `leader`, what organizers ask for in `organizer`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use spokes_log::{
    chain::Chain,
    name::{BlogId, Hash},
    ring::VerifiedEntry,
    time::Time,
};
use spokes_rules::{
    health::Says,
    node::{Label, NodeSecret, Signed},
    receipt::{Receipt, Seal, Tip},
    registry::{Record, Refusal, Registry, Touched, Verdict},
    request::{Ask as Said, Request, Wish},
};

use crate::{
    founding,
    hub::{Event, Hub, Millis, SECOND},
    message::{Ask, Cover, Message, Node},
    plan::Plan,
    plant::Plant,
    watch::{Eyes, Watching},
};

/// How long a long poll waits.
const POLL: Millis = 25 * SECOND;
/// How often the leader looks around.
const LOOK: Millis = 2 * SECOND;
/// Answers of the sequencer lost although the request was taken, and given twice, in thousandths.
const FORGOTTEN: u64 = 30;

/// The council as one node.
#[derive(Debug)]
pub struct Council {
    pub(crate) registry: Arc<Registry>,
    /// The state before the last record.
    before: Arc<Registry>,
    log: Vec<Record>,
    /// Entries that proved claims, with the number of their record.
    proofs: Vec<(u64, Arc<VerifiedEntry>)>,
    pub(crate) secret: NodeSecret,
    pub(crate) leader: bool,
    pub(crate) soft: Soft,
    /// Whom each node watches.
    pub(crate) watching: Arc<Watching>,
    /// The eyes of the council's nodes; they see without a leader, too.
    pub(crate) eyes: Vec<(Label, NodeSecret, Eyes)>,
    /// The requests that somebody was told were taken, with their records.
    pub(crate) acknowledged: Vec<(u64, Hash)>,
}

/// What a leader keeps in memory only.
#[derive(Debug, Default)]
pub(crate) struct Soft {
    polls: Vec<(Node, Ask, u64, Millis)>,
    pub(crate) seals: BTreeMap<(BlogId, u64), BTreeMap<Label, Signed>>,
    /// The seals that will be shown, once there are enough.
    pub(crate) shown: BTreeMap<(BlogId, u64), Vec<Signed>>,
    pub(crate) held: BTreeMap<(BlogId, u64), BTreeMap<(Label, Tip), Receipt>>,
    /// The last report of each observer, by the spoke that it is about.
    pub(crate) reports: BTreeMap<Label, BTreeMap<Label, (Says, Millis, Signed)>>,
}

impl Council {
    /// Founds the network of this plan, with its founders admitted.
    pub fn found(plan: &Plan) -> Self {
        let (registry, log) = founding::found(plan);
        let watching = Arc::new(Watching::of(&registry));
        let registry = Arc::new(registry);
        let eyes = founding::COUNCIL.iter().enumerate().map(|(node, label)| {
            let label = Label::parse(label).expect("a label");
            (label, founding::council_secret(node), Eyes::default())
        });
        Self {
            before: Arc::clone(&registry),
            registry,
            log,
            proofs: Vec::new(),
            secret: founding::council_secret(0),
            leader: true,
            soft: Soft::default(),
            watching,
            eyes: eyes.collect(),
            acknowledged: Vec::new(),
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
        self.leader = true;
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
                self.soft.polls.push((from, ask, after, hub.now + POLL));
                self.answer_polls(hub, false);
            }
            Message::Request { ask, request } => {
                let answer = self.propose(hub, &request);
                if let Ok(index) = answer {
                    self.acknowledged.push((index, request.id()));
                }
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
            Message::Report(signed) => self.take_report(hub, signed),
            _ => {}
        }
    }

    /// The leader looks around.
    pub fn tick(&mut self, hub: &mut Hub) {
        hub.later(LOOK, Event::Tick(Node::Council, 0));
        if self.leader {
            self.answer_polls(hub, false);
            self.lead(hub);
        }
    }

    /// A request of the council's own.
    pub(crate) fn request(&self, hub: &Hub, what: Wish, statements: Vec<Signed>) -> Request {
        let signed = self.signed(hub, &self.secret, what);
        Request {
            statements,
            ..Request::plain(signed)
        }
    }

    pub(crate) fn signed(&self, hub: &Hub, by: &NodeSecret, what: Wish) -> Signed {
        let said = Said {
            network: Some(self.registry.network()),
            time: hub.clock(0),
            what,
        };
        Signed::new(by, &said)
    }

    /// Puts a request to the sequencer.
    pub(crate) fn propose(&mut self, hub: &mut Hub, request: &Request) -> Result<u64, Refusal> {
        let now: Time = hub.clock(0);
        if let Verdict::Repeat(index) = self.registry.judge(now, request)? {
            return Ok(index);
        }
        let record = self.registry.next_record(now, request.clone());
        let mut registry = Registry::clone(&self.registry);
        let touched = registry.take(&record)?;
        self.before = std::mem::replace(&mut self.registry, Arc::new(registry));
        if matches!(
            touched,
            Touched::Spokes(_) | Touched::Spoke(_) | Touched::Load(_)
        ) {
            self.watching = Arc::new(Watching::of(&self.registry));
        }
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
        let council = Node::Council;
        match said.what {
            Wish::Claim { blog, .. } => {
                let granted = self.registry.blog(blog);
                if let Some((name, set)) = granted.map(|b| (&b.name, names(&b.set.members))) {
                    let blog = short(blog);
                    hub.story(council, format_args!("grants {name} to {blog} on {set}"));
                }
            }
            Wish::Close {
                blogs,
                epoch,
                members,
            } => {
                hub.truth.begins_change(blogs[0], epoch, hub.now);
                let (blog, set) = (short(blogs[0]), names(&members));
                hub.story(council, format_args!("closes {epoch} of {blog} for {set}"));
            }
            Wish::Open {
                blog,
                epoch,
                forced,
            } => {
                let how = if forced { "forces" } else { "opens" };
                if forced {
                    hub.truth.forces(&self.registry, blog);
                }
                hub.story(council, format_args!("{how} {epoch} of {}", short(blog)));
            }
            Wish::Down { label } => hub.fell(&self.before, &label),
            Wish::Up { label } => hub.rose(&label),
            Wish::Holds { .. } | Wish::Invite { .. } | Wish::Admit { .. } => {}
            other => {
                let text = request.signed.text.replace('\n', ", ");
                let by = text.split(", Kind: ").nth(1).unwrap_or_default();
                let _the_text_says_it = other;
                hub.story(council, format_args!("takes: {by}"));
            }
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

    pub(crate) fn answer_polls(&mut self, hub: &mut Hub, now: bool) {
        let records = self.registry.head().records;
        if !now
            && !self
                .soft
                .polls
                .iter()
                .any(|p| p.2 < records || hub.now >= p.3)
        {
            return;
        }
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
                watching: Arc::clone(&self.watching),
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
}

/// All tips that these seals name.
pub(crate) fn tips_of(seals: &[Signed]) -> BTreeSet<Tip> {
    let parsed = seals
        .iter()
        .filter_map(|s| Seal::parse(s.text.as_bytes()).ok());
    parsed.flat_map(|seal| seal.tips).collect()
}

/// The first characters of a blog's id.
pub fn short(blog: BlogId) -> String {
    blog.to_string().chars().skip(7).take(6).collect()
}

/// Labels in a row.
pub(crate) fn names(labels: &[Label]) -> String {
    let names: Vec<&str> = labels.iter().map(Label::as_str).collect();
    names.join(" ")
}
