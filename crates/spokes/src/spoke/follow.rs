//! Following the registry: each record judged again, kept, and told to the replicas that it touches.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use spokes_log::{
    name::{BlogId, BlogName},
    seal::SealedEntry,
    time::Time,
};
use spokes_rules::{
    registry::{BlogRecord, Record, Registry, Touched},
    replica::{COUNCIL_SILENCE_SECONDS_MAX, Event},
};

use super::{Spoke, replicas::set_of};
use crate::{
    client::{Ask, Reply},
    clock,
    outage::Outage,
    store::Write,
    wire::{LogWire, RecordWire},
};

/// How long the council may wait before it answers that nothing is new.
const WAIT: Duration = Duration::from_secs(20);
/// How long to wait after a council node was silent: short, since names are asked for here.
const PAUSE: Duration = Duration::from_millis(300);
/// How long a name that is not known here may take to be looked for: less than a reader's patience.
const LOOK_WAIT: Duration = Duration::from_secs(1);
/// How long one node of the council may take to answer such a look before the next is asked.
const NODE_WAIT: Duration = Duration::from_millis(400);
/// How long records that are known to be there may take to come from the node that is followed: it may hang.
const HURRY_AFTER: Duration = Duration::from_millis(300);
/// The pause between two such looks, whoever asks for what: strangers choose the names.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// A place behind every log: asked for what follows it, the council says how long the log is.
const BEHIND_ALL: u64 = i64::MAX as u64;

/// How long the council may be silent before the log says so: longer than its nodes take to start or to choose who
/// leads.
const SILENCE_TOLD_AFTER: Duration = Duration::from_secs(30);
/// How often the log says it again.
const SILENCE_TOLD_EVERY: Duration = Duration::from_secs(600);

/// Since when the council has not been reached, and when that was said last.
#[derive(Debug, Default)]
struct Unreached {
    since: Option<(Instant, Time)>,
    told: Option<Instant>,
}

impl Unreached {
    /// It was not reached; since when, if that is to be said now.
    fn note(&mut self, now: Instant, time: Time) -> Option<Time> {
        let (began, since) = *self.since.get_or_insert((now, time));
        let is_due = match self.told {
            None => now.duration_since(began) >= SILENCE_TOLD_AFTER,
            Some(told) => now.duration_since(told) >= SILENCE_TOLD_EVERY,
        };
        if !is_due {
            return None;
        }
        self.told = Some(now);
        Some(since)
    }

    /// It was reached; whether somebody was told that it was not.
    fn end(&mut self) -> bool {
        std::mem::take(self).told.is_some()
    }
}

/// Why a name leads to no blog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unknown {
    /// There is none on this network.
    Nowhere,
    /// There is none that is known here, and the council cannot be asked.
    CouncilSilent,
}

/// What a council node has answered.
enum Answer {
    /// A majority of the council stands behind it.
    Confirmed,
    /// None does, as far as it knows.
    Unconfirmed,
    /// It has another log than what is here.
    AnotherLog,
}

impl Spoke {
    /// Folds the part of the log that the disk holds.
    pub(super) fn remember(self: &Arc<Self>) -> Result<(), Outage> {
        for json in self.store.records()? {
            let record = serde_json::from_str::<RecordWire>(&json)
                .map_err(|e| e.to_string())
                .and_then(|wire| wire.record());
            let taken = record.and_then(|record| {
                self.fold(&record)?;
                self.followed.send_replace(record.index + 1);
                Ok(())
            });
            if let Err(why) = taken {
                tracing::warn!(
                    why,
                    "the registry's log on disk does not add up; it is read anew"
                );
                break;
            }
        }
        Ok(())
    }

    /// Follows the council's log for ever.
    pub(super) async fn follow(self: Arc<Self>) {
        // The first question after a start is answered at once: before it nothing can be signed.
        let (mut turn, mut wait) = (0, Duration::ZERO);
        // Folded, but not kept so far: the disk was full, perhaps.
        let mut unkept = Vec::new();
        let mut unreached = Unreached::default();
        loop {
            let nodes = self.council();
            let suspect = self.suspect.lock();
            let suspect = suspect.unwrap_or_else(PoisonError::into_inner).take();
            let node = suspect.unwrap_or(nodes[turn % nodes.len()]);
            let followed = tokio::select! {
                followed = self.follow_once(node, wait, &mut unkept) => followed,
                // Another node has more than this one says.
                () = self.hurry.notified() => {
                    (turn, wait) = (0, Duration::ZERO);
                    continue;
                }
            };
            // Not where haste could cut it off, between the disk and what is in memory.
            let followed = match followed {
                Ok(Answer::AnotherLog) => self.read_anew(node).await.map(|()| Answer::Confirmed),
                other => other,
            };
            match followed {
                Ok(Answer::Confirmed) => {
                    self.answered(node);
                    (turn, wait) = (0, WAIT);
                    if unreached.end() {
                        tracing::info!(%node, "the council is reached again");
                    }
                }
                // It answers, but no majority stands behind it: perhaps another one has one.
                Ok(_) => {
                    turn += 1;
                    self.tell_unreached(
                        &mut unreached,
                        node,
                        "no majority stands behind what it says",
                    );
                    tokio::time::sleep(PAUSE).await;
                }
                Err(outage) => {
                    tracing::debug!(%node, %outage, "the council was not heard");
                    turn += 1;
                    self.tell_unreached(&mut unreached, node, &outage.to_string());
                    // Where strangers have all places to wait, it answers whoever does not wait.
                    wait = Duration::ZERO;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Says in the log that the council is not reached, now and then.
    fn tell_unreached(&self, unreached: &mut Unreached, last: SocketAddr, why: &str) {
        let Some(since) = unreached.note(Instant::now(), clock::now()) else {
            return;
        };
        let asked = self.council().into_iter().map(|node| node.to_string());
        let asked = asked.collect::<Vec<_>>().join(", ");
        tracing::warn!(
            %since, asked, %last, why,
            "the council is not reached. What is here is safe and read on; no new names are known, and after forty \
             minutes nothing more becomes safe. If organizers say that the council is elsewhere now, add its address \
             to council in config.toml, and restart this spoke"
        );
    }

    /// Notes that a node of the council answered for all of it: it is asked first from now on.
    pub(super) fn answered(&self, node: SocketAddr) {
        let mut good = self
            .good_council
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *good = Some(node);
    }

    /// Where the council's nodes answer: as the registry says, and as the config says where it says nothing. The one
    /// that answered last comes first.
    pub(super) fn council(&self) -> Vec<SocketAddr> {
        let seats = self.ask(|registry| {
            let sitting = registry.seats().sitting();
            sitting.map(|(node, ..)| node.api.0).collect::<Vec<_>>()
        });
        let mut nodes = seats.unwrap_or_default();
        let known = self.config.council.iter();
        nodes.extend(
            known
                .filter(|node| !nodes.contains(node))
                .collect::<Vec<_>>(),
        );
        let good = *self
            .good_council
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        nodes.sort_by_key(|node| (self.is_shunned(*node), Some(*node) != good));
        nodes
    }

    /// Another node than the one that is asked first, at each call another: who alone is told could keep to itself
    /// what it hears.
    pub(super) fn another_of_council(&self) -> Option<SocketAddr> {
        let nodes = self.council();
        let turn = self.told_in_turn.fetch_add(1, Ordering::Relaxed);
        let others = nodes.get(1..).filter(|others| !others.is_empty())?;
        Some(others[turn % others.len()])
    }

    /// One answer of a council node.
    async fn follow_once(
        self: &Arc<Self>,
        node: SocketAddr,
        wait: Duration,
        unkept: &mut Vec<(u64, String)>,
    ) -> Result<Answer, Outage> {
        if !unkept.is_empty() {
            self.store.written(Write::Records(unkept.clone())).await?;
            unkept.clear();
        }
        let sleeps = self.sleeps();
        let after = *self.followed.borrow();
        let path = format!(
            "/api/v1/registry/log?after={after}&wait={}&confirm=1",
            wait.as_secs()
        );
        let log: LogWire = match self.client.get(Ask::new(node, &path).waiting(wait)).await? {
            Reply::Good(log, _) => log,
            Reply::Refused(problem) => return Err(Outage::new(problem.detail)),
        };
        if self.is_another_log(after, &log) {
            return Ok(Answer::AnotherLog);
        }
        // A node that lags knows fewer, and an old blog would pass for a new one.
        let at_start = if log.confirmed {
            *self.records_at_start.get_or_init(|| log.records_in_all)
        } else {
            self.records_at_start.get().copied().unwrap_or(u64::MAX)
        };
        let mut durable = Vec::new();
        for wire in &log.records {
            let record = wire.record().map_err(Outage::new)?;
            let touched = self.fold(&record).map_err(Outage::new)?;
            if let (Touched::NewBlog(blog), true) = (&touched, record.index >= at_start) {
                self.settled
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(*blog);
            }
            let json = serde_json::to_string(wire).map_err(|e| Outage::new(e.to_string()))?;
            unkept.push((record.index, json.clone()));
            // Before the entries that come with it: who holds them knows whose they are.
            durable.push(self.store.write(Write::Records(vec![(record.index, json)])));
            self.touched(&record, &touched);
            // Only now: whoever waits for a name must find its first entry, too.
            self.followed.send_replace(record.index + 1);
        }
        for kept in durable {
            kept.await
                .unwrap_or_else(|_| Err(Outage::new("the store has stopped")))?;
        }
        unkept.clear();
        if log.confirmed && *self.followed.borrow() >= log.records_in_all {
            if self.sleeps() != sleeps {
                return Err(Outage::new("the answer is as old as this spoke's sleep"));
            }
            let now = clock::now();
            let before = self
                .heard
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .replace(now);
            if before.is_none_or(|before| now.since(before) > COUNCIL_SILENCE_SECONDS_MAX) {
                self.tell_heard();
            }
        }
        Ok(match log.confirmed {
            true => Answer::Confirmed,
            false => Answer::Unconfirmed,
        })
    }

    /// After a silence the replicas hear at once that the council is there, and sign what waited.
    pub(super) fn tell_heard(self: &Arc<Self>) {
        // Who waits for one that is being read tells it.
        let in_memory = |blog: &BlogId| self.replicas.has(*blog);
        for blog in self.replicas.blogs().into_iter().filter(in_memory) {
            self.with(blog, |_| ());
        }
    }

    /// When the council was heard last, and followed to the end of its log.
    pub(super) fn heard(&self) -> Option<Time> {
        *self.heard.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The blog with this name; where it is not known here, as the council knows it now.
    pub(super) async fn look_up(&self, name: &BlogName) -> Result<(BlogId, BlogRecord), Unknown> {
        if let Some(known) = self.named(name) {
            return Ok(known);
        }
        let heard = self.hears_news().await;
        match (self.named(name), heard) {
            (Some(known), _) => Ok(known),
            (None, true) => Err(Unknown::Nowhere),
            (None, false) => Err(Unknown::CouncilSilent),
        }
    }

    /// Follows the log as far as the council has it now; false when the council is silent.
    pub(super) async fn hears_news(&self) -> bool {
        let caught_up = self.catch_up_since(Instant::now());
        let caught_up = tokio::time::timeout(LOOK_WAIT, caught_up).await;
        caught_up.is_ok_and(|heard| heard)
    }

    /// Follows the log as far as the council had it at some time after `since`; false when the council
    /// is silent. All who ask meanwhile share one question.
    async fn catch_up_since(&self, since: Instant) -> bool {
        let mut looked = self.looked.lock().await;
        if looked.is_none_or(|at| at < since) {
            if let Some(at) = *looked {
                tokio::time::sleep_until((at + LOOK_PAUSE).into()).await;
            }
            let (now, sleeps) = (Instant::now(), self.sleeps());
            let path = format!("/api/v1/registry/log?after={BEHIND_ALL}&confirm=1");
            let mut records = None;
            for node in self.council() {
                let log = self.client.get::<LogWire>(Ask::new(node, &path));
                let log = tokio::time::timeout(NODE_WAIT, log).await;
                if let Ok(Ok(Reply::Good(log, _))) = log
                    && log.confirmed
                {
                    self.answered(node);
                    records = Some(log.records_in_all);
                    break;
                }
            }
            let Some(records) = records else { return false };
            self.followed_to(records).await;
            if self.sleeps() != sleeps {
                return false;
            }
            *looked = Some(now);
            let mut heard = self.heard.write().unwrap_or_else(PoisonError::into_inner);
            heard.get_or_insert_with(clock::now);
        }
        true
    }

    /// Waits until so many records are here, in haste when they do not come by themselves.
    pub(super) async fn followed_to(&self, records: u64) {
        let mut followed = self.followed.subscribe();
        loop {
            let here = followed.wait_for(|here| *here >= records);
            match tokio::time::timeout(HURRY_AFTER, here).await {
                Ok(_) => return,
                Err(_) => self.hurry.notify_one(),
            }
        }
    }

    fn fold(self: &Arc<Self>, record: &Record) -> Result<Touched, String> {
        let mut registry = self
            .registry
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let touched = match registry.as_mut() {
            Some(registry) => registry.take(record).map_err(|e| e.to_string())?,
            None => {
                let founded = Registry::found(record).map_err(|e| e.to_string())?;
                if founded.network() != self.network {
                    return Err("this is another network's registry".to_owned());
                }
                *registry = Some(founded);
                Touched::Nothing
            }
        };
        Ok(touched)
    }

    /// Tells the replica of a blog what the registry says of it, and gives it the entries that came
    /// with its claim: so a new blog is on all its replicas as soon as they hear of it.
    fn touched(self: &Arc<Self>, record: &Record, touched: &Touched) {
        let blog = match touched {
            Touched::Blog(blog) | Touched::NewBlog(blog) | Touched::Keys(blog) => blog,
            Touched::Blogs(blogs) => {
                self.archive.moved(blogs);
                return self.tell_all(blogs);
            }
            Touched::Spokes(_)
            | Touched::Spoke(_)
            | Touched::Load(_)
            | Touched::Council
            | Touched::Mirror(_)
            | Touched::Nothing => return,
        };
        self.archive.moved(&[*blog]);
        self.leave_no_copy_unsettled(*blog);
        self.tell(*blog);
        let is_new = |sealed: &&SealedEntry| {
            let id = sealed.entry().id();
            let lacks = self.with(*blog, |replica| !replica.chain().contains(id));
            !sealed.entry().is_erased() && lacks == Some(true)
        };
        let proof = record.request.proof.iter();
        let mut run: Vec<SealedEntry> = proof.filter(is_new).cloned().collect();
        while !run.is_empty() {
            let places = self.with(*blog, |replica| replica.chain().place_run(&run).0);
            let Some(places) = places.filter(|places| !places.is_empty()) else {
                return;
            };
            let rest = run.split_off(places.len());
            let pairs = places.into_iter().zip(run);
            let judged = pairs.map_while(|(place, sealed)| {
                let entry = place.verify(sealed).ok()?;
                // What lists media comes with them, another way.
                self.missing_media(entry.entry())
                    .is_empty()
                    .then_some(entry)
            });
            let judged = tokio::task::block_in_place(|| judged.collect());
            self.with(*blog, |r| r.handle(clock::now(), Event::Pulled(judged)));
            run = rest;
        }
    }

    /// Tells replicas their sets. Those that nobody has asked for find them in the registry when they
    /// are read, which may take long for many: the log is followed meanwhile.
    pub(super) fn tell_all(self: &Arc<Self>, blogs: &[BlogId]) {
        let known = |blog: &BlogId| self.replicas.knows(*blog);
        let (known, unread): (Vec<BlogId>, Vec<BlogId>) = blogs.iter().partition(|b| known(b));
        known.into_iter().for_each(|blog| self.tell(blog));
        let spoke = Arc::clone(self);
        tokio::spawn(async move {
            for blog in unread {
                spoke.ready(blog).await;
                spoke.tell(blog);
            }
        });
    }

    /// Tells a replica its set as the registry has it now.
    fn tell(self: &Arc<Self>, blog: BlogId) {
        self.with(blog, |replica| {
            // Asked here, so that of two who tell it the later one says what is newer.
            let Some(Some(record)) = self.ask(|registry| registry.blog(blog).cloned()) else {
                return;
            };
            let before = replica.open_set().map(|set| set.epoch);
            let (epoch, is_secondary) = (
                record.set.epoch,
                record.set.has(&self.me) && *record.set.primary() != self.me,
            );
            replica.handle(clock::now(), set_of(record));
            if is_secondary && before.is_some_and(|before| before < epoch) {
                self.reopened.note(blog);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_the_council_is_not_reached_is_said_once_and_again_every_ten_minutes() {
        let (begin, time) = (Instant::now(), Time::from_unix(1_800_000_000));
        let mut unreached = Unreached::default();
        // As often as it is asked, for an hour.
        let said = (0..3_600).filter(|second| {
            let now = begin + Duration::from_secs(*second);
            let said = unreached.note(now, time + i64::try_from(*second).unwrap());
            assert!(said.is_none_or(|since| since == time));
            said.is_some()
        });
        assert_eq!(
            said.collect::<Vec<_>>(),
            [30, 630, 1_230, 1_830, 2_430, 3_030]
        );
        assert!(unreached.end() && !unreached.end());
        // What is over soon is not worth a word.
        assert!(unreached.note(begin, time).is_none() && !unreached.end());
    }
}
