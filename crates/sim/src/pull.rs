//! How a spoke follows the others: the registry's log, the feeds of primaries, and the tips of all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use spokes_log::name::BlogId;
use spokes_rules::{
    node::Label,
    receipt::{Receipt, Tip},
    registry::Registry,
    replica,
};

use crate::{
    disk::Item,
    founding,
    hub::{Hub, Millis, SECOND},
    message::{Ask, Cover, Entries, Message, Node},
    plant::Plant,
    spoke::Spoke,
};

/// How often tips are compared.
const COMPARE: Millis = 30 * SECOND;
/// How often, as long as they were not compared since the start, or something is known to lack.
const COMPARE_SOON: Millis = 3 * SECOND;
/// How long a feed holds back its answer.
const POLL: Millis = 25 * SECOND;
/// How long an answer is waited for, a long poll included.
const SILENCE: Millis = 35 * SECOND;
/// Entries in one answer of a feed.
const FEED_ENTRIES: usize = 20;

/// Questions under way, and when to ask again.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    registry: Option<(Ask, Millis)>,
    /// By spoke.
    feeds: BTreeMap<usize, Feed>,
    /// Feed questions of others that wait for something new.
    parked: Vec<Parked>,
    compare_at: Millis,
    /// The first question for tips since the start.
    first_heads: Option<Ask>,
    proofs: Entries,
}

#[derive(Debug, Default)]
struct Feed {
    cursor: Option<usize>,
    asked: Option<(Ask, Millis)>,
}

#[derive(Debug)]
struct Parked {
    node: Node,
    ask: Ask,
    after: usize,
    blogs: Vec<BlogId>,
    until: Millis,
}

impl Spoke {
    /// Asks whatever should be asked now.
    pub(crate) fn pull(&mut self, hub: &mut Hub) {
        let pending = self
            .live
            .pulls
            .registry
            .is_some_and(|(_, until)| hub.now < until);
        // The planted spoke believes its old copy for a minute.
        let believes = hub.has(Plant::ReceiptOfSealedEpoch) && hub.now < self.live.started + 60_000;
        if !pending && !believes {
            let ask = hub.ask();
            self.live.pulls.registry = Some((ask, hub.now + SILENCE));
            let after = self.live.registry.as_ref().map_or(0, |r| r.head().records);
            hub.send(
                self.node(),
                Node::Council,
                Message::RegistryAsk { ask, after },
            );
        }
        self.ask_feeds(hub);
        self.answer_feeds(hub);
        if hub.now >= self.live.pulls.compare_at {
            self.compare(hub);
        }
    }

    /// Asks the feed of each primary of whose blogs this spoke keeps a copy.
    fn ask_feeds(&mut self, hub: &mut Hub) {
        let me = self.label().clone();
        let mut primaries: BTreeMap<usize, Vec<BlogId>> = BTreeMap::new();
        for (id, copy) in &self.live.copies {
            let Some((set, closing)) = &copy.told else {
                continue;
            };
            let concerned = set.has(&me) || closing.as_ref().is_some_and(|c| c.next.has(&me));
            let primary = founding::spoke_of(set.primary()).filter(|_| *set.primary() != me);
            if let Some(primary) = primary.filter(|_| concerned) {
                primaries.entry(primary).or_default().push(*id);
            }
        }
        for (primary, blogs) in primaries {
            let feed = self.live.pulls.feeds.entry(primary).or_default();
            if feed.asked.is_some_and(|(_, until)| hub.now < until) {
                continue;
            }
            let (ask, after) = (hub.ask(), feed.cursor);
            feed.asked = Some((ask, hub.now + SILENCE));
            let message = Message::FeedAsk { ask, after, blogs };
            hub.send(Node::Spoke(self.number), Node::Spoke(primary), message);
        }
    }

    /// Somebody has named its tips.
    fn heard_heads(&mut self, hub: &mut Hub, from: Node, ask: Ask, heads: Vec<(BlogId, Vec<Tip>)>) {
        // What was asked before a restart is answered to nobody: its connection is gone.
        let first = self.live.pulls.first_heads;
        if first.is_none_or(|first| ask < first) {
            return;
        }
        let Some(label) = founding::label_of(from) else {
            return;
        };
        for (blog, tips) in heads {
            let Some(copy) = self.live.copies.get_mut(&blog) else {
                continue;
            };
            let chain = copy.replica.chain();
            let lacks = tips.iter().any(|tip| !chain.contains(tip.id));
            let told = copy.told.as_ref();
            if told.is_some_and(|(set, _)| *set.primary() == label) {
                copy.keeps_up = !lacks;
            }
            if lacks {
                let ask = hub.ask();
                hub.send(self.node(), from, Message::EntriesAsk { ask, blog });
            }
            self.named(hub, blog, label.clone(), tips);
        }
    }

    /// Asks all others for the tips of the blogs that it keeps with them, and says again what it
    /// has said: messages get lost.
    fn compare(&mut self, hub: &mut Hub) {
        let me = self.label().clone();
        let mut others: BTreeMap<Label, Vec<BlogId>> = BTreeMap::new();
        let mut soon = self.live.registry.is_none();
        for (id, copy) in &self.live.copies {
            soon |= !copy.replica.is_compared();
            let Some((set, closing)) = &copy.told else {
                continue;
            };
            let next = closing.iter().flat_map(|closing| &closing.next.members);
            for label in set.members.iter().chain(next).filter(|label| **label != me) {
                let blogs = others.entry(label.clone()).or_default();
                if blogs.last() != Some(id) {
                    blogs.push(*id);
                }
            }
        }
        self.live.pulls.compare_at = hub.now + if soon { COMPARE_SOON } else { COMPARE };
        for (label, blogs) in others {
            let Some(other) = founding::spoke_of(&label) else {
                continue;
            };
            let ask = hub.ask();
            self.live.pulls.first_heads.get_or_insert(ask);
            hub.send(
                self.node(),
                Node::Spoke(other),
                Message::HeadsAsk { ask, blogs },
            );
        }
        let blogs: Vec<BlogId> = self.live.copies.keys().copied().collect();
        for blog in blogs {
            if !hub.has(Plant::ReceiptsSentOnce) {
                self.say_again(hub, blog);
            }
        }
    }

    fn say_again(&mut self, hub: &mut Hub, blog: BlogId) {
        let me = self.label();
        let Some(copy) = self.live.copies.get(&blog) else {
            return;
        };
        let receipts = copy.replica.receipts().all();
        let mine: Vec<Receipt> = receipts.filter(|r| r.held.spoke == *me).cloned().collect();
        let closed = copy.told.as_ref().filter(|(_, closing)| closing.is_some());
        let epoch = closed.map(|(set, _)| set.epoch);
        self.send_receipts(hub, blog, mine);
        let seal = self
            .disk
            .seals()
            .remove(&blog)
            .filter(|seal| Some(seal.epoch) == epoch);
        if let Some(seal) = seal {
            self.tell(hub, blog, replica::Event::SealStored(seal));
        }
    }

    /// Gives receipts of the open epoch to the primary, and those of the next one to the council.
    pub(crate) fn send_receipts(&mut self, hub: &mut Hub, blog: BlogId, receipts: Vec<Receipt>) {
        let Some((set, closing)) = self.live.copies.get(&blog).and_then(|c| c.told.as_ref()) else {
            return;
        };
        let open: Vec<Receipt> = receipts
            .iter()
            .filter(|r| r.held.epoch == set.epoch)
            .cloned()
            .collect();
        let primary = founding::spoke_of(set.primary()).filter(|n| *n != self.number);
        let closes = closing.is_some();
        let epoch = set.epoch;
        if let Some(primary) = primary.filter(|_| !open.is_empty()) {
            hub.send(self.node(), Node::Spoke(primary), Message::Receipts(open));
        }
        for receipt in receipts
            .into_iter()
            .filter(|r| closes && r.held.epoch == epoch + 1)
        {
            hub.send(self.node(), Node::Council, Message::HeldNext(receipt));
        }
    }

    /// Tells a replica which tips another spoke has named.
    fn named(&mut self, hub: &mut Hub, blog: BlogId, of: Label, tips: Vec<Tip>) {
        if hub.has(Plant::SealBeforeCompare) {
            self.tell(hub, blog, replica::Event::NothingForgotten);
        }
        let set = self.live.copies.get(&blog).and_then(|c| c.told.clone());
        if let (Some((set, _)), true) = (set, hub.has(Plant::ComparesWithFew)) {
            // One answer passes for as many as make a majority with us.
            for of in set.members.into_iter().filter(|label| *label != of) {
                let tips = tips.clone();
                self.tell(hub, blog, replica::Event::Tips { of, tips });
            }
        }
        self.tell(hub, blog, replica::Event::Tips { of, tips });
    }

    /// Takes in what belongs to following the others.
    pub(crate) fn receive_pulled(&mut self, hub: &mut Hub, from: Node, message: Message) {
        match message {
            Message::RegistryAnswer {
                ask,
                registry,
                watching,
                proofs,
                covers,
            } => {
                let asked = self.live.pulls.registry.take_if(|(asked, _)| *asked == ask);
                if asked.is_none() {
                    return;
                }
                self.live.pulls.proofs.extend(proofs);
                self.live.watching = Some(watching);
                self.follow(hub, registry, covers);
            }
            Message::FeedAsk { ask, after, blogs } => self.feed(hub, from, ask, after, blogs),
            Message::FeedAnswer {
                ask,
                after,
                entries,
            } => {
                self.fed(hub, from, ask, after, entries);
            }
            Message::HeadsAsk { ask, blogs } => {
                let tips = |id: &BlogId| self.replica(*id).map(|r| (*id, r.durable_tips()));
                let heads = blogs.iter().filter_map(tips).collect();
                hub.send(self.node(), from, Message::HeadsAnswer { ask, heads });
            }
            Message::HeadsAnswer { ask, heads } => self.heard_heads(hub, from, ask, heads),
            Message::EntriesAsk { ask, blog } => {
                let entries = self.disk.entries_of(blog);
                let tips = self.replica(blog).map(replica::Replica::durable_tips);
                let head = tips.and_then(|tips| tips.last().map(|tip| tip.id));
                let answer = Message::EntriesAnswer {
                    ask,
                    blog,
                    entries,
                    head,
                };
                hub.send(self.node(), from, answer);
            }
            Message::EntriesAnswer { blog, entries, .. } => {
                self.take_in(hub, blog, &entries);
            }
            _ => {}
        }
    }

    /// Follows the registry.
    fn follow(&mut self, hub: &mut Hub, registry: Arc<Registry>, covers: Vec<Cover>) {
        let me = self.label().clone();
        let mut changed = false;
        for (id, record) in registry.blogs() {
            let next = record.closing.as_ref().map(|closing| &closing.next);
            if record.set.has(&me) || next.is_some_and(|next| next.has(&me)) {
                self.make_room(hub, id);
            }
            let Some(copy) = self.live.copies.get_mut(&id) else {
                continue;
            };
            let closing = record.closing.as_deref().cloned();
            let told = Some((record.set.clone(), closing.clone()));
            if copy.told != told {
                (copy.told, changed) = (told, true);
                let event = replica::Event::Set {
                    set: record.set.clone(),
                    closing,
                    ended: record.ended.clone(),
                    keys_at: record.keys_at,
                    covered: BTreeSet::new(),
                };
                self.tell(hub, id, event);
            }
            let now = hub.time(self.clock);
            self.tell(hub, id, replica::Event::CouncilHeard(now));
        }
        self.live.registry = Some(registry);
        let proofs = self.live.pulls.proofs.clone();
        let blogs: Vec<BlogId> = self.live.copies.keys().copied().collect();
        for blog in blogs {
            let of_blog = proofs.iter().filter(|entry| entry.entry().blog() == blog);
            self.take_in(hub, blog, &of_blog.cloned().collect());
        }
        for cover in covers {
            let Some(copy) = self.live.copies.get(&cover.blog) else {
                continue;
            };
            let lacks = cover
                .tips
                .iter()
                .any(|tip| !copy.replica.chain().contains(tip.id));
            let closing = copy.told.as_ref().and_then(|(_, closing)| closing.as_ref());
            let next = closing.filter(|c| c.next.epoch == cover.epoch && c.next.has(&me));
            if next.is_some() {
                changed |= lacks;
                self.tell(hub, cover.blog, replica::Event::Cover(cover.tips));
            }
        }
        if changed {
            self.live.pulls.compare_at = self.live.pulls.compare_at.min(hub.now + SECOND);
        }
    }

    /// Answers a feed question, or parks it until there is something.
    fn feed(
        &mut self,
        hub: &mut Hub,
        node: Node,
        ask: Ask,
        after: Option<usize>,
        blogs: Vec<BlogId>,
    ) {
        let durable = self.disk.items().len();
        match after.filter(|after| *after <= durable) {
            None => {
                let answer = Message::FeedAnswer {
                    ask,
                    after: durable,
                    entries: None,
                };
                hub.send(self.node(), node, answer);
            }
            Some(after) => {
                let until = hub.now + POLL;
                self.live.pulls.parked.push(Parked {
                    node,
                    ask,
                    after,
                    blogs,
                    until,
                });
                self.answer_feeds(hub);
            }
        }
    }

    /// Answers the feed questions for which there is something, or which have waited long enough.
    pub(crate) fn answer_feeds(&mut self, hub: &mut Hub) {
        for parked in std::mem::take(&mut self.live.pulls.parked) {
            let mut entries = Entries::new();
            let mut after = parked.after;
            for item in self.disk.items().iter().skip(parked.after) {
                if entries.len() == FEED_ENTRIES {
                    break;
                }
                after += 1;
                match item {
                    Item::Entry(blog, entry) if parked.blogs.contains(blog) => {
                        entries.push(Arc::clone(entry));
                    }
                    _ => {}
                }
            }
            if entries.is_empty() && hub.now < parked.until {
                self.live.pulls.parked.push(Parked { after, ..parked });
                continue;
            }
            let answer = Message::FeedAnswer {
                ask: parked.ask,
                after,
                entries: Some(entries),
            };
            hub.send(self.node(), parked.node, answer);
        }
    }

    fn fed(&mut self, hub: &mut Hub, from: Node, ask: Ask, after: usize, entries: Option<Entries>) {
        let Node::Spoke(peer) = from else { return };
        let Some(feed) = self.live.pulls.feeds.get_mut(&peer) else {
            return;
        };
        if feed.asked.take_if(|(asked, _)| *asked == ask).is_none() {
            return;
        }
        feed.cursor = Some(after);
        match entries {
            None => self.live.pulls.compare_at = hub.now,
            Some(entries) => {
                for entry in entries {
                    let blog = entry.entry().blog();
                    self.take_in(hub, blog, &vec![entry]);
                }
            }
        }
        self.ask_feeds(hub);
    }
}
