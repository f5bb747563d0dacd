//! A spoke: the hands around the replicas of its blogs, played by the rules of SPEC http.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use spokes_log::{
    blog::Blog,
    chain::Chain,
    fault::Fault,
    name::{BlogId, EntryId, Hash},
    ring::VerifiedEntry,
};
use spokes_rules::{
    node::{Label, NodeSecret},
    primary::Refusal,
    receipt::Seal,
    registry::{Closing, Registry, Set},
    replica::{self, Effect, Replica, Standing},
    request::{Ask as Said, Request, Wish},
};

use crate::{
    council::short,
    disk::{Disk, Item},
    founding,
    hub::{Clock, Event, Hub, Millis, SECOND},
    message::{Ask, Entries, Message, Node, Reply},
    plant::Plant,
    pull::Pulls,
    watch::{Eyes, Watching},
};

/// How long an author's tool waits for an entry to be safe before it is told how far it came.
const PATIENCE: Millis = 5 * SECOND;
/// How often a spoke looks around.
const LOOK: Millis = SECOND;

/// A donated server.
#[derive(Debug)]
pub struct Spoke {
    pub(crate) number: usize,
    label: Label,
    pub(crate) secret: Arc<NodeSecret>,
    network: Hash,
    /// Whether its operator wants it to leave.
    pub leaving: bool,
    /// Its clock, and how wrong that goes.
    pub clock: Clock,
    state: State,
    /// Stands still until then.
    pub paused_until: Millis,
    starts: u64,
    pub(crate) disk: Disk,
    /// Whether syncs take seconds.
    pub slow_disk: bool,
    /// As in the plan.
    patient: bool,
    pub(crate) live: Live,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// It has not joined yet.
    Outside,
    Up,
    Down,
    Dead,
}

/// What a crash wipes out.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) started: Millis,
    pub(crate) registry: Option<Arc<Registry>>,
    pub(crate) copies: BTreeMap<BlogId, Copy>,
    tickets: BTreeMap<Ask, Waiting>,
    claims: BTreeMap<Ask, (Node, Ask)>,
    claimed: BTreeMap<(BlogId, EntryId), Arc<Request>>,
    pub(crate) pulls: Pulls,
    /// Whom each node watches, as far as this spoke knows.
    pub(crate) watching: Option<Arc<Watching>>,
    pub(crate) eyes: Eyes,
    /// When it tells the registry next what that does not know.
    pub(crate) tell_at: Millis,
}

/// One blog here.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) replica: Replica,
    /// What it was told last about its set.
    pub(crate) told: Option<(Set, Option<Closing>)>,
    /// Whether all that the primary named last was here.
    pub(crate) keeps_up: bool,
}

#[derive(Debug)]
struct Waiting {
    node: Node,
    ask: Ask,
    blog: BlogId,
    entry: EntryId,
    since: Millis,
}

impl Spoke {
    /// A new spoke with an empty disk.
    pub fn new(number: usize, network: Hash, clock: Clock, patient: bool) -> Self {
        let label = founding::label(number);
        Self {
            number,
            secret: Arc::new(founding::secret_of(&label)),
            label,
            network,
            leaving: false,
            clock,
            state: State::Outside,
            paused_until: 0,
            starts: 0,
            disk: Disk::new(),
            slow_disk: false,
            patient,
            live: Live::default(),
        }
    }

    /// Its label.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Its disk.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Whether it never comes back.
    pub fn is_dead(&self) -> bool {
        self.state == State::Dead
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// One of its replicas.
    pub fn replica(&self, blog: BlogId) -> Option<&Replica> {
        self.live.copies.get(&blog).map(|copy| &copy.replica)
    }

    /// Whether an entry is durable here, or was until the disk came back old and has not been
    /// compared with the others yet.
    pub fn holds_or_owes(&self, blog: BlogId, entry: EntryId) -> bool {
        let compared = self
            .live
            .copies
            .get(&blog)
            .is_some_and(|copy| copy.replica.is_compared());
        self.disk.holds(entry) || self.disk.has_lost(entry) && !(compared && self.is_up())
    }

    /// Is let in; it has not started yet.
    pub fn join(&mut self) {
        self.state = State::Down;
    }

    pub(crate) fn node(&self) -> Node {
        Node::Spoke(self.number)
    }

    /// Starts, with what the disk holds.
    pub fn start(&mut self, hub: &mut Hub) {
        if self.state != State::Down {
            return;
        }
        self.starts += 1;
        self.state = State::Up;
        let old_registry = self.live.registry.take();
        self.live = Live {
            started: hub.now,
            ..Live::default()
        };
        hub.note(self.node(), format_args!("starts"));
        hub.later(LOOK, Event::Tick(self.node(), self.starts));
        let seals = self.disk.seals();
        for blog in self.disk.blogs() {
            let (mut chain, mut fold) = (Chain::new(blog), Blog::default());
            for entry in self.disk.entries_of(blog) {
                if chain.append(&entry).is_ok() {
                    fold.add(&chain, entry.entry());
                }
            }
            let mut sealed = seals.get(&blog).map_or(0, |seal| seal.epoch);
            if hub.has(Plant::ReceiptOfSealedEpoch) {
                sealed = 0;
            }
            self.add_copy(chain, fold, sealed);
        }
        if hub.has(Plant::ReceiptOfSealedEpoch)
            && let Some(registry) = old_registry
        {
            self.believe_old(hub, &registry);
        }
    }

    fn add_copy(&mut self, chain: Chain, fold: Blog, sealed: u64) {
        let (me, secret) = (self.label.clone(), Arc::clone(&self.secret));
        let blog = chain.blog();
        let mut replica = Replica::new(self.network, me, secret, chain, fold, sealed);
        if !self.patient {
            replica = replica.without_patience();
        }
        let copy = Copy {
            replica,
            told: None,
            keeps_up: false,
        };
        self.live.copies.insert(blog, copy);
    }

    /// The planted spoke: what its own copy of the registry said before the last change counts as
    /// heard from the council.
    fn believe_old(&mut self, hub: &mut Hub, registry: &Arc<Registry>) {
        self.live.registry = Some(Arc::clone(registry));
        let blogs: Vec<BlogId> = self.live.copies.keys().copied().collect();
        for id in blogs {
            let (Some(record), Some(copy)) = (registry.blog(id), self.live.copies.get_mut(&id))
            else {
                continue;
            };
            copy.told = Some((record.set.clone(), None));
            let event = replica::Event::Set {
                set: record.set.clone(),
                closing: None,
                ended: record.ended.clone(),
                keys_at: record.keys_at,
                covered: BTreeSet::new(),
            };
            self.tell(hub, id, event);
            let now = hub.time(self.clock);
            self.tell(hub, id, replica::Event::CouncilHeard(now));
        }
    }

    /// Loses power. `forever` if nobody will start it again; `forgotten` items of the disk are not
    /// there when somebody does.
    pub fn stop(&mut self, hub: &mut Hub, forever: bool, forgotten: Option<usize>) {
        if matches!(self.state, State::Dead | State::Outside) {
            return;
        }
        self.disk.crash(&mut hub.chance);
        if let Some(items) = forgotten {
            self.disk.go_back(items);
            hub.truth.shaken = true;
        }
        self.state = if forever { State::Dead } else { State::Down };
        hub.story(
            self.node(),
            format_args!("stops, old disk: {forgotten:?}, dead: {forever}"),
        );
    }

    /// Fills the disk. What was not durable cannot be any more: the process ends and starts anew.
    pub fn fill_disk(&mut self, hub: &mut Hub) {
        if self.state != State::Up {
            return;
        }
        hub.story(self.node(), format_args!("has a full disk"));
        self.disk.fail_writes();
        self.disk.full = true;
        self.state = State::Down;
        self.start(hub);
    }

    /// Looks around, as the start with this number does.
    pub fn tick(&mut self, hub: &mut Hub, start: u64) {
        if start != self.starts || self.state != State::Up {
            return;
        }
        hub.later(LOOK, Event::Tick(self.node(), self.starts));
        let late = |waiting: &&Ask| hub.now >= self.live.tickets[waiting].since + PATIENCE;
        let late: Vec<Ask> = self.live.tickets.keys().filter(late).copied().collect();
        for ticket in late {
            self.give_up(hub, ticket);
        }
        self.pull(hub);
        self.tell_registry(hub);
    }

    fn give_up(&mut self, hub: &mut Hub, ticket: Ask) {
        let Some(waiting) = self.live.tickets.remove(&ticket) else {
            return;
        };
        self.tell(hub, waiting.blog, replica::Event::GaveUp(ticket));
        let standing = self
            .replica(waiting.blog)
            .map(|r| r.standing(waiting.entry));
        let reply = match standing {
            Some(Standing::Accepted { receipts, .. } | Standing::Safe(receipts)) => {
                Reply::Held(receipts)
            }
            _ => Reply::Busy,
        };
        let ask = waiting.ask;
        hub.send(
            self.node(),
            waiting.node,
            Message::PostAnswer { ask, reply },
        );
    }

    /// A sync has ended.
    pub fn synced(&mut self, hub: &mut Hub, start: u64) {
        if start != self.starts || self.state != State::Up {
            return;
        }
        let mut stored: BTreeMap<BlogId, Vec<EntryId>> = BTreeMap::new();
        let mut seals = Vec::new();
        for item in self.disk.end_sync() {
            match item {
                Item::Entry(blog, entry) => {
                    stored.entry(blog).or_default().push(entry.entry().id());
                }
                Item::Seal(seal) => seals.push(seal),
            }
        }
        self.sync(hub);
        for (blog, ids) in stored {
            self.tell(hub, blog, replica::Event::Stored(ids));
        }
        for seal in seals {
            self.tell(hub, seal.blog, replica::Event::SealStored(seal));
        }
        self.answer_feeds(hub);
    }

    fn sync(&mut self, hub: &mut Hub) {
        if self.disk.begin_sync() {
            let (least, most) = if self.slow_disk {
                (SECOND, 6 * SECOND)
            } else {
                (2, 40)
            };
            let takes = hub.chance.between(least, most);
            hub.later(takes, Event::Synced(self.number, self.starts));
        }
    }

    /// Tells a replica what happened, and does what it asks for.
    pub(crate) fn tell(&mut self, hub: &mut Hub, blog: BlogId, event: replica::Event) {
        let now = hub.time(self.clock);
        if let Some(copy) = self.live.copies.get_mut(&blog) {
            let before = copy.replica.is_compared();
            copy.replica.handle(now, event);
            hub.truth.shaken |= copy.replica.is_compared() != before;
        }
        while let Some(effect) = self
            .live
            .copies
            .get_mut(&blog)
            .and_then(|copy| copy.replica.poll_effect())
        {
            self.act(hub, blog, effect);
        }
    }

    fn act(&mut self, hub: &mut Hub, blog: BlogId, effect: Effect) {
        match effect {
            Effect::Store(entry) => {
                let id = entry.entry().id();
                let written = self.disk.write(Item::Entry(blog, Arc::new(entry)));
                assert!(
                    written,
                    "nothing is handed to a replica while the disk is full"
                );
                self.sync(hub);
                if hub.has(Plant::ReceiptBeforeFsync) {
                    self.tell(hub, blog, replica::Event::Stored(vec![id]));
                }
            }
            Effect::StoreSeal(seal) => {
                // A little room is kept for seals: without them no set could change.
                let full = std::mem::take(&mut self.disk.full);
                self.disk.write(Item::Seal(seal));
                self.disk.full = full;
                self.sync(hub);
            }
            Effect::SendSeal(signed) => {
                if let Ok(seal) = Seal::parse(signed.text.as_bytes()) {
                    let (epoch, tips) = (seal.epoch, seal.tips.len());
                    if hub.truth.seals(&self.label, blog, epoch) {
                        let blog = short(blog);
                        let what = format_args!("seals {epoch} of {blog}, {tips} tips");
                        hub.note(Node::Spoke(self.number), what);
                    }
                }
                hub.send(self.node(), Node::Council, Message::Seal(signed));
            }
            Effect::SendReceipt(receipt) => {
                if let Some(copy) = self.live.copies.get(&blog) {
                    hub.truth
                        .check_receipt(&receipt, &self.disk, copy.replica.chain());
                }
                let (epoch, tip) = (receipt.held.epoch, receipt.held.tip.sequence);
                let name = short(blog);
                hub.note(
                    self.node(),
                    format_args!("holds {tip} of {name} in epoch {epoch}"),
                );
                self.send_receipts(hub, blog, vec![receipt]);
            }
            Effect::Answer(ticket, answer) => self.answer(hub, ticket, answer),
            Effect::Erase(_) | Effect::Settled(_) => {}
            Effect::Offer(..) => panic!("this world tells nobody what a set was opened with"),
            Effect::CutOff(_) => panic!("no author in this world ends a key"),
        }
    }

    fn answer(&mut self, hub: &mut Hub, ticket: Ask, answer: replica::Answer) {
        let Some(waiting) = self.live.tickets.remove(&ticket) else {
            return;
        };
        let reply = match answer {
            replica::Answer::Safe(receipts) => Reply::Held(receipts),
            replica::Answer::Forward(label) => Reply::Forward(label),
            replica::Answer::Refused(refusal) => Reply::Refused(refusal),
        };
        let ask = waiting.ask;
        hub.send(
            self.node(),
            waiting.node,
            Message::PostAnswer { ask, reply },
        );
    }

    /// Takes in a message.
    pub fn receive(&mut self, hub: &mut Hub, from: Node, message: Message) {
        if self.state != State::Up {
            return;
        }
        match message {
            Message::Post {
                ask,
                entry,
                refused_elsewhere,
            } => {
                self.post(hub, from, ask, &entry, refused_elsewhere);
            }
            Message::BlogAsk { ask } => {
                let registry = self.live.registry.clone();
                hub.send(self.node(), from, Message::BlogAnswer { ask, registry });
            }
            Message::Receipts(receipts) => {
                let registry = self.live.registry.clone();
                for receipt in receipts {
                    if registry
                        .as_ref()
                        .is_some_and(|registry| registry.counts(&receipt))
                    {
                        let blog = receipt.held.blog;
                        self.tell(hub, blog, replica::Event::Receipt(receipt));
                    }
                }
            }
            Message::Claim {
                ask,
                blog,
                entry,
                proof,
            } => {
                self.claim(hub, (from, ask), blog, entry, &proof);
            }
            Message::RequestAnswer { ask, answer } => {
                if let Some((node, ask)) = self.live.claims.remove(&ask) {
                    hub.send(self.node(), node, Message::ClaimAnswer { ask, answer });
                }
            }
            other => self.receive_pulled(hub, from, other),
        }
    }

    fn post(
        &mut self,
        hub: &mut Hub,
        from: Node,
        ask: Ask,
        entry: &Arc<VerifiedEntry>,
        refused_elsewhere: bool,
    ) {
        let blog = entry.entry().blog();
        let reply = match self.replica(blog) {
            None => Some(Reply::Busy),
            Some(_) if self.disk.full => Some(Reply::Busy),
            Some(replica) => match entry.entry().skeleton().previous {
                Some(parent) if !replica.chain().contains(parent) => Some(Reply::Refused(
                    Refusal::Invalid(Fault::MissingParent(parent)),
                )),
                _ => None,
            },
        };
        if let Some(reply) = reply {
            hub.send(self.node(), from, Message::PostAnswer { ask, reply });
            return;
        }
        let ticket = hub.ask();
        let waiting = Waiting {
            node: from,
            ask,
            blog,
            entry: entry.entry().id(),
            since: hub.now,
        };
        self.live.tickets.insert(ticket, waiting);
        let entry = VerifiedEntry::clone(entry);
        let id = entry.entry().id();
        let known = |replica: &Replica| replica.chain().contains(id);
        let event = if self.replica(blog).is_some_and(known) {
            replica::Event::Waits { ticket, id }
        } else {
            replica::Event::Submitted {
                ticket,
                entry,
                refused_elsewhere,
            }
        };
        self.tell(hub, blog, event);
    }

    fn claim(
        &mut self,
        hub: &mut Hub,
        asker: (Node, Ask),
        blog: BlogId,
        entry: EntryId,
        proof: &Entries,
    ) {
        let Some(registry) = &self.live.registry else {
            return;
        };
        let made = self.live.claimed.entry((blog, entry)).or_insert_with(|| {
            let said = Said {
                network: Some(registry.network()),
                time: hub.time(self.clock),
                what: Wish::Claim {
                    blog,
                    entry,
                    spoke: Some(self.label.clone()),
                },
            };
            let signed = spokes_rules::node::Signed::new(&self.secret, &said);
            let proof = proof.iter().map(|entry| entry.sealed().clone()).collect();
            Arc::new(Request {
                proof,
                ..Request::plain(signed)
            })
        });
        let request = Arc::clone(made);
        let ask = hub.ask();
        self.live.claims.insert(ask, asker);
        hub.send(
            self.node(),
            Node::Council,
            Message::Request { ask, request },
        );
    }

    /// Takes in entries from others: the ones that are new and whose parent is here.
    pub(crate) fn take_in(&mut self, hub: &mut Hub, blog: BlogId, entries: &Entries) {
        for entry in entries {
            let Some(copy) = self.live.copies.get(&blog).filter(|_| !self.disk.full) else {
                return;
            };
            let chain = copy.replica.chain();
            let parent = entry.entry().skeleton().previous;
            let fits = parent.is_none_or(|parent| chain.contains(parent));
            if chain.contains(entry.entry().id()) || !fits {
                continue;
            }
            let has_child = |parent: EntryId| chain.link(parent).is_some_and(|l| l.children > 0);
            if hub.has(Plant::PullsOneBranch) && parent.is_some_and(has_child) {
                continue;
            }
            self.tell(
                hub,
                blog,
                replica::Event::Pulled(vec![VerifiedEntry::clone(entry)]),
            );
        }
    }

    /// Makes a place for a blog that the registry gave to this spoke.
    pub(crate) fn make_room(&mut self, hub: &mut Hub, blog: BlogId) {
        if !self.live.copies.contains_key(&blog) {
            hub.story(self.node(), format_args!("gets {}", short(blog)));
            self.add_copy(Chain::new(blog), Blog::default(), 0);
        }
    }
}
