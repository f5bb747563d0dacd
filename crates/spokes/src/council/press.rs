//! Whoever leads proposes versions of the zone, and has them signed where it is signed (SPEC dns 6.5).
//!
//! A signed version is made of one state of the registry and of no other. So from its draft until it is in the log no
//! requests are put in order.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use spokes_log::time::Time;
use spokes_rules::{
    dnssec::{Signs, ZoneKey, ZoneSignature},
    registry::Registry,
    zone,
};
use tokio::{
    sync::Mutex,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    book::Book,
    order::has_room,
    publication::{Published, RENEWED_MAX},
    raft::{Batch, NodeId, Raft},
    sheaf::{Sheaf, Terms},
    ways::Ways,
};
use crate::{
    clock,
    dns::{
        signer::ZoneSecret,
        signing::{Draft, Stamp},
    },
    wire::Problem,
};

/// How often the leader looks whether the slate is another one. What changes nothing that is shown goes into a version
/// then, too: a node shows nothing, and keeps nothing, but as of a version.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The shortest time between two versions. It only gathers what many change at once: somebody waits for each of them.
pub(super) const PUBLISH_EVERY: Duration = Duration::from_millis(5);
/// How long another node may take to sign a version: some thousand signatures, and the way around the world. Requests
/// wait for as long.
const SIGN_WAIT: Duration = Duration::from_secs(2);
/// How long a node that is asked to sign waits for the state that the version is made of: it is on its way.
const STATE_WAIT: Duration = Duration::from_secs(1);
/// Seconds for which signatures count: mirrors go on for a week without the council.
const COUNTS: i64 = 21 * 24 * 60 * 60;
/// Seconds before their end from which on they are made anew.
const RENEWED_BEFORE: i64 = 12 * 24 * 60 * 60;
/// Seconds before now from which on they count: clocks of resolvers differ.
const COUNTED_BEFORE: i64 = 60 * 60;
/// How far the clock of who asks to sign may be off, in seconds.
const CLOCKS_DIFFER: u32 = 10 * 60;

/// How long requests pass before it is tried again to have a version signed.
const SILENT_REST: Duration = Duration::from_secs(5);
/// Minutes by which the leader's clock may be behind.
const CLOCK_BEHIND: i64 = 10;
/// How often it is looked whether the keys have to be signed again.
const WARN_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Seconds before their signatures end from which on it is said.
const WARNED_BEFORE: i64 = 28 * 24 * 60 * 60;

/// The path by which a node signs for the leader.
pub(super) const SIGN: &str = "/zone-sign";

/// The turns in which requests and versions are put in order.
pub(super) type Turns = Arc<Mutex<()>>;

/// Makes versions.
#[derive(Clone)]
pub(super) struct Press {
    pub(super) raft: Raft,
    pub(super) me: NodeId,
    pub(super) book: Arc<Book>,
    pub(super) ways: Arc<Ways>,
    pub(super) secret: Arc<ZoneSecret>,
    pub(super) dir: PathBuf,
    pub(super) turns: Turns,
}

/// A version that is to be signed.
struct Job {
    published: Published,
    draft: Draft,
    renewed: Vec<Box<[u8]>>,
    /// Who may sign, this node first where it may.
    signers: Vec<(NodeId, ZoneKey)>,
}

/// What is left to do for whoever leads.
#[derive(Debug, Default)]
struct Pace {
    /// A version is owed: the last one did not come out, or what waits changes nothing that is shown.
    is_owed: bool,
    /// There is more to sign, now.
    at_once: bool,
    /// When names were looked through for signatures that wear out.
    walked: Option<Instant>,
    /// When nobody signed, if that was so the last time.
    silent: Option<Instant>,
    /// When it was looked whether the keys have to be signed again.
    warned: Option<Instant>,
}

impl Pace {
    /// Whether it is time to look through names.
    fn walks(&mut self) -> bool {
        is_time(&mut self.walked, LOOK_EVERY)
    }

    /// Whether it is time to look at the keys.
    fn warns(&mut self) -> bool {
        is_time(&mut self.warned, WARN_EVERY)
    }
}

/// Whether something was not done for so long; then it counts as done now.
fn is_time(done: &mut Option<Instant>, every: Duration) -> bool {
    let is_time = done.is_none_or(|done| done.elapsed() >= every);
    if is_time {
        *done = Some(Instant::now());
    }
    is_time
}

impl std::fmt::Debug for Press {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Press")
            .field("me", &self.me)
            .finish_non_exhaustive()
    }
}

impl Press {
    /// Proposes versions, as long as this node leads.
    pub(super) async fn run(self) {
        let mut touched = self.book.publication().touched();
        let mut pace = Pace::default();
        loop {
            // Nobody sends what changes with the minute. That the sender is gone says that the node ends.
            let wait = if pace.at_once {
                PUBLISH_EVERY
            } else {
                LOOK_EVERY
            };
            pace.is_owed |= match timeout(wait, touched.changed()).await {
                Ok(Err(_)) => return,
                Ok(Ok(())) => false,
                Err(_) => !pace.at_once && !self.book.publication().is_settled(),
            };
            if self.raft.metrics().borrow().current_leader != Some(self.me) {
                (pace.is_owed, pace.at_once) = (false, false);
                self.look(&mut pace).await;
            } else if self.book.publication().is_signed() {
                self.signed(&mut pace).await;
            } else {
                self.unsigned(&mut pace).await;
            }
            sleep(PUBLISH_EVERY).await;
        }
    }

    /// Looks how much of the zone is signed, as every node does, to be able to say it, and says in time when keys have
    /// to be signed again.
    async fn look(&self, pace: &mut Pace) {
        if !self.book.publication().is_signed() || !pace.walks() {
            return;
        }
        let warns = pace.warns();
        let press = self.clone();
        let look = move || {
            let now = clock::now();
            let signers = press.book.ask(|registry| {
                if warns {
                    warn(registry, now);
                }
                press.signers(registry, now)
            });
            let tags = tags(&signers.unwrap_or_default());
            drop(press.book.publication().worn(&tags, times(now)));
        };
        drop(spawn_blocking(look).await);
    }

    /// Proposes a version if there is something new in it, or it is owed.
    async fn unsigned(&self, pace: &mut Pace) {
        let minute = zone::minute(clock::now());
        let looked = Arc::clone(&self.book);
        let look = move || looked.ask(|registry| looked.publication().is_due(registry, minute));
        pace.is_owed |= spawn_blocking(look).await.ok().flatten() == Some(true);
        if pace.is_owed && has_room(&self.dir, 0).is_ok() {
            // Whoever leads next looks for himself.
            pace.is_owed = self.propose(minute, None).await.is_err();
        }
    }

    /// As [`Self::unsigned`], and looks for signatures that wear out.
    async fn signed(&self, pace: &mut Pace) {
        // Requests pass meanwhile.
        if pace
            .silent
            .is_some_and(|silent| silent.elapsed() < SILENT_REST)
        {
            return;
        }
        let _turn = self.turns.lock().await;
        let walks = pace.at_once || pace.walks();
        let warns = pace.warns();
        let (press, is_owed) = (self.clone(), pace.is_owed);
        let look = move || {
            press.book.ask(|registry| {
                if warns {
                    warn(registry, clock::now());
                }
                press.job(registry, is_owed, walks)
            })
        };
        pace.at_once = false;
        let Some(job) = spawn_blocking(look).await.ok().flatten().flatten() else {
            return;
        };
        pace.is_owed = true;
        let (published, has_more) = (job.published, !job.renewed.is_empty());
        let sheaf = self.sheaf(job).await;
        let Some(sheaf) = sheaf else {
            if pace.silent.replace(Instant::now()).is_none() {
                tracing::warn!(
                    "no council node that may sign the zone answers, so nothing new is in DNS; what is there stays. \
                     It is tried again every few seconds"
                );
            }
            return;
        };
        pace.silent = None;
        if has_room(&self.dir, sheaf.size() as u64).is_err() {
            return;
        }
        if self
            .propose(published.version.minute, Some(sheaf))
            .await
            .is_ok()
        {
            // Where other words came before it, it is none.
            pace.is_owed = !self.book.publication().is_out(published);
            pace.at_once = has_more || pace.is_owed;
        }
    }

    /// # Errors
    /// When this node does not lead any more.
    async fn propose(&self, minute: i64, sheaf: Option<Sheaf>) -> Result<(), ()> {
        let batch = Batch {
            time: clock::now().to_string(),
            requests: Vec::new(),
            publish: Some(minute),
            sheaf: sheaf.map(Box::new),
        };
        self.raft.client_write(batch).await.map(drop).map_err(drop)
    }

    /// The next version, if there is something new in it, or it is owed, or something is to be signed again.
    fn job(&self, registry: &Registry, is_owed: bool, walks: bool) -> Option<Job> {
        let now = clock::now();
        let publication = self.book.publication();
        let signers = self.signers(registry, now);
        let minute = zone::minute(now);
        // Signatures for times that are over, or to come, would be believed by nobody.
        let is_behind = publication
            .minute()
            .is_some_and(|last| minute + CLOCK_BEHIND < last);
        if is_behind || now + CLOCK_BEHIND * 60 < registry.head().time {
            tracing::error!(
                "this node's clock is behind what the council has agreed on: it signs nothing"
            );
            return None;
        }
        let renewed = if walks {
            publication.worn(&tags(&signers), times(now))
        } else {
            Vec::new()
        };
        if !is_owed && renewed.is_empty() && !publication.is_due(registry, minute) {
            return None;
        }
        let (published, draft) = publication.draft(registry, minute, &renewed)?;
        Some(Job {
            published,
            draft,
            renewed,
            signers,
        })
    }

    fn signers(&self, registry: &Registry, now: Time) -> Vec<(NodeId, ZoneKey)> {
        let mine = self.secret.key();
        let signers = registry.zone_keys().signers(now).filter_map(|signer| {
            if signer.key == mine {
                return Some((self.me, mine));
            }
            let mut seats = registry.seats().all().iter();
            let seat = seats.find(|seat| seat.node.label == signer.node)?;
            Some((NodeId::of(seat.node.key), signer.key))
        });
        let mut signers: Vec<_> = signers.collect();
        signers.sort_by_key(|(node, _)| (*node != self.me, self.ways.is_silent(*node)));
        signers
    }

    /// Has a version signed, here or by another node; none where nobody does now.
    async fn sheaf(&self, job: Job) -> Option<Sheaf> {
        let Job {
            published,
            draft,
            renewed,
            signers,
        } = job;
        let draft = Arc::new(draft);
        for (node, key) in signers {
            let stamp = stamp(clock::now(), key);
            let Published { version, records } = published;
            let terms = Terms::new(version, records, &renewed, stamp);
            let signatures = if key == self.secret.key() {
                let (draft, secret) = (Arc::clone(&draft), Arc::clone(&self.secret));
                spawn_blocking(move || draft.sign(&secret, stamp))
                    .await
                    .ok()
                    .flatten()
            } else {
                self.signed_by(node, key, &terms, &draft).await
            };
            if let Some(signatures) = signatures {
                return Some(Sheaf::new(terms, &signatures));
            }
        }
        None
    }

    /// Another node's signatures, if they are good.
    async fn signed_by(
        &self,
        node: NodeId,
        key: ZoneKey,
        terms: &Terms,
        draft: &Arc<Draft>,
    ) -> Option<Vec<ZoneSignature>> {
        let said: Result<Result<Sheaf, Problem>, _> =
            self.ways.post(node, SIGN, terms, SIGN_WAIT).await;
        let sheaf = said.ok()?.ok()?;
        let (signatures, stamp) = (sheaf.signatures()?, terms.stamp());
        let draft = Arc::clone(draft);
        let look = move || {
            draft
                .is_signed_by(key, stamp, &signatures)
                .then_some(signatures)
        };
        let good = spawn_blocking(look).await.ok().flatten();
        if good.is_none() {
            tracing::warn!(
                node = self.ways.label(node),
                "its signatures over the zone are not good"
            );
        }
        good
    }

    /// Signs a version for the leader. This node signs what it would publish itself, and nothing else.
    ///
    /// # Errors
    /// In a sentence, where it holds another state or is asked for what does not fit.
    pub(super) async fn sign(&self, terms: Terms) -> Result<Sheaf, &'static str> {
        let mut grown = self.book.grown();
        let here = grown.wait_for(|records| *records >= terms.records);
        drop(timeout(STATE_WAIT, here).await);
        let press = self.clone();
        let sign = move || press.book.ask(|registry| press.sign_here(registry, terms));
        let signed = spawn_blocking(sign).await.ok().flatten();
        signed.unwrap_or(Err("This node holds no registry."))
    }

    fn sign_here(&self, registry: &Registry, terms: Terms) -> Result<Sheaf, &'static str> {
        let (now, key) = (clock::now(), self.secret.key());
        if terms.renewed.len() > RENEWED_MAX {
            return Err("More names are to be signed again than one version may have.");
        }
        if !registry
            .zone_keys()
            .signers(now)
            .any(|signer| signer.key == key)
        {
            return Err("This node's key may not sign the zone now.");
        }
        let (asked, mine) = (terms.stamp(), stamp(now, key));
        let differ = [
            asked.inception.wrapping_sub(mine.inception),
            asked.expiration.wrapping_sub(mine.expiration),
        ];
        let is_near = |difference: u32| difference.min(difference.wrapping_neg()) <= CLOCKS_DIFFER;
        if asked.tag != mine.tag || !differ.into_iter().all(is_near) {
            return Err("Another key or another time is asked for; clocks may differ.");
        }
        let publication = self.book.publication();
        let draft = publication.draft(registry, terms.minute, &terms.renewed());
        let draft = draft.filter(|(published, _)| {
            (published.version.serial, published.records) == (terms.serial, terms.records)
        });
        let (_, draft) = draft.ok_or("This node does not hold what the version is made of.")?;
        let signatures = draft.sign(&self.secret, asked);
        let signatures = signatures.ok_or("This node's system gives no random numbers.")?;
        Ok(Sheaf::new(terms, &signatures))
    }
}

fn tags(signers: &[(NodeId, ZoneKey)]) -> BTreeSet<u16> {
    signers
        .iter()
        .map(|(_, key)| key.tag(Signs::Zone))
        .collect()
}

/// From when to when signatures have to count that stay.
fn times(now: Time) -> (u32, u32) {
    (
        seconds(now + CLOCK_BEHIND * 60),
        seconds(now + RENEWED_BEFORE),
    )
}

/// Says when keys have to be signed again.
fn warn(registry: &Registry, now: Time) {
    let Some(set) = &registry.zone_keys().signed else {
        return;
    };
    match set.covered_from(now) {
        None => tracing::error!(
            "no signature over the zone's keys counts any more: who validates finds no name. Say \"spokes council \
             dnssec sign\" now"
        ),
        Some(until) if until < now + WARNED_BEFORE => tracing::warn!(
            %until, "the zone's keys are signed for a few weeks only; it is time for \"spokes council dnssec sign\""
        ),
        Some(_) => {}
    }
}

fn stamp(now: Time, key: ZoneKey) -> Stamp {
    Stamp {
        inception: seconds(now + -COUNTED_BEFORE),
        expiration: seconds(now + COUNTS),
        tag: key.tag(Signs::Zone),
    }
}

/// Seconds since 1970 as they travel, modulo 2^32 (RFC 4034 section 3.1.5).
fn seconds(time: Time) -> u32 {
    u32::try_from(time.as_unix().rem_euclid(1 << 32)).unwrap_or(0)
}
