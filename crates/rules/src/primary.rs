//! The primary: which entries it admits, and when they are safe (SPEC entry 8, SPEC receipt 3).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::fmt;

use spokes_log::{
    blog::{Blog, Found},
    chain::{Chain, Link},
    draft::Kind,
    entry::Entry,
    fault::Fault,
    name::{EntryId, Fingerprint, Slug},
    ring::VerifiedEntry,
    seal::SealedEntry,
    time::Time,
};

use crate::{
    node::Label,
    receipt::{Held, Receipt, Tip},
    registry::Set,
    request::Policy,
};

/// How far ahead of a node's clock an entry may be signed (SPEC entry 8).
pub const AHEAD_SECONDS_MAX: i64 = 5 * 60;
/// Children of one parent: honest forks have two or three (SPEC entry 8).
pub const CHILDREN_MAX: usize = 8;
/// So many entries that nobody signed are tried of what somebody gives back: one that was altered on a disk
/// holds up none behind it, and more are no accident. Each costs a trial of all keys.
pub const FORGED_OFFERS_MAX: usize = 8;
/// Receipts kept of one spoke for one epoch: one for each branch.
pub(crate) const RECEIPTS_PER_SPOKE_MAX: usize = 64;

/// Seconds of a day (UTC), by which entries are counted.
const DAY: i64 = 24 * 60 * 60;
/// Days after which a blog has as much room again: one that lasts is no flood.
const GROWS_EACH_DAYS: i64 = 365;
/// How many times the entries of a day an author may bring back from her own copy: a blog of years
/// comes back in days, and a stranger's flood stays bounded.
const RESTORED_TIMES: u64 = 20;
/// How many times a blog's room is there for what must not wait: a thief of a key who has used up the
/// day does not keep its owner from ending it, nor a full blog an author from taking words back.
const URGENT_TIMES: u64 = 2;
/// Bytes that an entry takes beside its content: skeleton, signature, and its place in the store.
const ENTRY_BYTES: u64 = 1_024;

/// Why a valid entry is not admitted here and now; the author's tool can mend most.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The entry is not valid.
    Invalid(Fault),
    /// The log has gone on: sign again behind this head.
    Stale {
        /// The head to follow.
        head: Tip,
    },
    /// Another article has the slug: name it with `Replaces`, or choose another.
    SlugTaken {
        /// The slug.
        slug: Slug,
        /// Its current version.
        by: EntryId,
    },
    /// The entry is signed ahead of our clock.
    Future {
        /// What it says.
        signed: Time,
        /// What our clock says.
        ours: Time,
    },
    /// The key was ended by a `keys` entry that the registry took.
    EndedKey(Fingerprint),
    /// The parent has as many children as are kept.
    TooManyBranches(EntryId),
    /// The words were taken back.
    Erased(EntryId),
    /// This spoke has started, or slept, and not heard yet for whom it accepts entries.
    NotReady,
    /// Many entries that came before are still being written.
    StillWriting,
    /// The blog has had its entries for today.
    TooManyToday {
        /// The network's limit.
        limit: u64,
    },
    /// The blog has its bytes.
    BlogFull {
        /// The network's limit.
        bytes: u64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(fault) => fault.fmt(f),
            Self::Stale { head } => write!(
                f,
                "the blog has gone on to entry {}; sign again behind {}",
                head.sequence, head.id
            ),
            Self::SlugTaken { slug, by } => write!(
                f,
                "an article has the address \"{slug}\" already; edit that one (Replaces: {by}) or \
                 choose another slug"
            ),
            Self::Future { signed, ours } => write!(
                f,
                "the entry is signed at {signed}, here it is {ours}; set the clock and sign again"
            ),
            Self::EndedKey(key) => {
                write!(
                    f,
                    "the key {key} was ended by its blog; sign with one that is left"
                )
            }
            Self::TooManyBranches(id) => write!(
                f,
                "{id} has {CHILDREN_MAX} branches already; publish behind one of the heads"
            ),
            Self::Erased(id) => write!(f, "the words of {id} were taken back; nothing was kept"),
            Self::NotReady => write!(
                f,
                "this server has just started, or stood still, and waits for the council; the entry is \
                 safe with you, send it again in a moment"
            ),
            Self::StillWriting => write!(
                f,
                "this server is still writing what came before; the entry is safe with you, send \
                 it again in a moment"
            ),
            Self::TooManyToday { limit } => write!(
                f,
                "this network takes {limit} entries of a blog in a day, and that is reached; they are \
                 safe with you, send them again tomorrow"
            ),
            Self::BlogFull { bytes } => write!(
                f,
                "this network keeps {bytes} bytes of a blog, and with this there would be more; ask \
                 the organizers for more room, what you have is safe with you"
            ),
        }
    }
}

impl core::error::Error for Refusal {}

/// Decides whether a new entry that is valid at its place is admitted.
///
/// # Errors
/// Each [`Refusal`]; nothing is kept then.
pub fn admit(
    now: Time,
    chain: &Chain,
    blog: &Blog,
    ended: &BTreeSet<Fingerprint>,
    entry: &Entry,
) -> Result<(), Refusal> {
    let skeleton = entry.skeleton();
    if let Some(key) = skeleton
        .authors
        .iter()
        .find(|author| ended.contains(author))
    {
        return Err(Refusal::EndedKey(key.clone()));
    }
    if skeleton.signed.since(now) > AHEAD_SECONDS_MAX {
        return Err(Refusal::Future {
            signed: skeleton.signed,
            ours: now,
        });
    }
    if chain.eraser(entry.id()).is_some() || entry.is_erased() {
        return Err(Refusal::Erased(entry.id()));
    }
    if let Some(previous) = skeleton
        .previous
        .filter(|previous| !chain.is_head(*previous))
    {
        // A node that lacks the parent is behind; to sign again would fork the blog.
        let missing = Refusal::Invalid(Fault::MissingParent(previous));
        let children = chain.link(previous).ok_or(missing)?.children;
        if children >= CHILDREN_MAX {
            return Err(Refusal::TooManyBranches(previous));
        }
        let head = last_head(chain).ok_or(Refusal::Invalid(Fault::MissingParent(previous)))?;
        return Err(Refusal::Stale { head });
    }
    check_slug(blog, entry)
}

/// What becomes of an entry that somebody gives back: it was accepted in an epoch that was closed
/// without it (SPEC receipt 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offered {
    /// It is here.
    Here,
    /// Its author signed another one in its place, or dismissed it so.
    Answered,
    /// It extends a head: it is taken in.
    Extends,
    /// It is kept apart until its author says what shall become of it.
    Kept,
}

/// Decides what becomes of entries that are given back, in the order of the fold. Of what is not valid
/// nothing is said: it is nobody's word. Nothing may come to stand before what readers have seen: only
/// what goes on behind a head is taken in, and not what ended keys have signed.
pub fn judge_offers(
    chain: Chain,
    blog: &Blog,
    ended: &BTreeSet<Fingerprint>,
    mut offers: Vec<SealedEntry>,
) -> Vec<(VerifiedEntry, Offered)> {
    let order = |offer: &SealedEntry| (offer.entry().skeleton().sequence, offer.entry().id());
    offers.sort_by_key(order);
    // With all that is valid, to find the places of those behind them.
    let mut trial = chain;
    let mut heads: BTreeSet<EntryId> = trial.heads().into_iter().map(|(_, id)| id).collect();
    let mut judged = Vec::new();
    let (mut tried, mut forged) = (BTreeSet::new(), 0);
    for offer in offers {
        if tried.contains(&offer.entry().id()) {
            continue;
        }
        let Ok(place) = trial.place(offer.entry()) else {
            continue;
        };
        let Ok(verified) = place.verify(offer) else {
            forged += 1;
            if forged == FORGED_OFFERS_MAX {
                break;
            }
            continue;
        };
        let was_here = trial.contains(verified.entry().id());
        tried.insert(verified.entry().id());
        if trial.append(&verified).is_err() {
            continue;
        }
        let (id, skeleton) = (verified.entry().id(), verified.entry().skeleton());
        let extends = skeleton
            .previous
            .filter(|previous| heads.contains(previous));
        let what = if was_here {
            Offered::Here
        } else if trial.eraser(id).is_some() || blog.stands_instead(id, &skeleton.authors) {
            Offered::Answered
        } else if let Some(head) = extends.filter(|_| !is_by(ended, &skeleton.authors)) {
            heads.remove(&head);
            heads.insert(id);
            Offered::Extends
        } else {
            Offered::Kept
        };
        judged.push((verified, what));
    }
    judged
}

fn is_by(keys: &BTreeSet<Fingerprint>, authors: &[Fingerprint]) -> bool {
    authors.iter().any(|author| keys.contains(author))
}

/// The head behind which an author goes on.
pub fn last_head(chain: &Chain) -> Option<Tip> {
    chain.heads().last().map(|(sequence, id)| Tip {
        sequence: *sequence,
        id: *id,
    })
}

fn check_slug(blog: &Blog, entry: &Entry) -> Result<(), Refusal> {
    let Some(draft) = entry.draft() else {
        return Ok(());
    };
    let Some(article) = draft.article() else {
        return Ok(());
    };
    let Some(Found::Post(holder)) = blog.find(&article.slug) else {
        return Ok(());
    };
    let replaces_holder = article
        .replaces
        .and_then(|version| blog.article_of(version))
        .is_some_and(|post| post.first == holder.first);
    // Signed again instead of the version that has the slug: that one leaves the fold.
    let instead = holder
        .versions
        .iter()
        .all(|(_, id)| draft.instead_of.contains(id));
    if replaces_holder || instead {
        return Ok(());
    }
    Err(Refusal::SlugTaken {
        slug: article.slug.clone(),
        by: holder.current(),
    })
}

/// Who brings entries, as far as the network's limits see a difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Brings {
    /// Somebody publishes.
    New,
    /// An author brings back what her own copy holds.
    Restored,
}

/// What the network's policy grants one blog, and what was taken in for it today (SPEC registry 4).
#[derive(Clone, Debug)]
pub struct Room {
    policy: Policy,
    /// When the blog got its name.
    since: Time,
    day: i64,
    new: u64,
    restored: u64,
}

impl Room {
    /// The room of a blog as it is read from disk: what says that it was signed today counts as
    /// taken in today. Entry 0 comes with the name, for which there is another limit.
    pub fn new(now: Time, policy: Policy, since: Time, chain: &Chain) -> Self {
        let day = day(now);
        let is_new = |link: &Link| link.sequence > 0 && self::day(link.signed) == day;
        let today = chain.links().filter(|(_, link)| is_new(link));
        Self {
            policy,
            since,
            day,
            new: today.count() as u64,
            restored: 0,
        }
    }

    /// Whether entries that are not here yet fit in, all together.
    ///
    /// # Errors
    /// [`Refusal::TooManyToday`] or [`Refusal::BlogFull`], with the limit.
    pub fn judge(
        &self,
        now: Time,
        chain: &Chain,
        blog: &Blog,
        brings: Brings,
        entries: &[&Entry],
    ) -> Result<(), Refusal> {
        let years = self.day_of(now).saturating_sub(day(self.since)) / GROWS_EACH_DAYS;
        let urgent = entries.iter().all(|entry| is_urgent(entry));
        let grown = 1 + u64::try_from(years).unwrap_or(0);
        let times = grown.saturating_mul(if urgent { URGENT_TIMES } else { 1 });
        let (taken, granted) = match brings {
            Brings::New => (self.new, 1),
            Brings::Restored => (self.restored, RESTORED_TIMES),
        };
        let taken = if self.day_of(now) == self.day {
            taken
        } else {
            0
        };
        let per_day = self.policy.entries_per_day.saturating_mul(times);
        let limit = per_day.saturating_mul(granted);
        if taken.saturating_add(entries.len() as u64) > limit {
            return Err(Refusal::TooManyToday { limit });
        }
        let bytes = self.policy.blog_bytes.saturating_mul(times);
        let held = (chain.len() as u64).saturating_mul(ENTRY_BYTES);
        let held = held
            .saturating_add(chain.content_bytes())
            .saturating_add(blog.media_bytes());
        if held.saturating_add(bytes_of(blog, entries)) > bytes {
            return Err(Refusal::BlogFull { bytes });
        }
        Ok(())
    }

    /// Counts entries that were taken in.
    pub fn count(&mut self, now: Time, brings: Brings, entries: u64) {
        let today = self.day_of(now);
        if today != self.day {
            (self.day, self.new, self.restored) = (today, 0, 0);
        }
        match brings {
            Brings::New => self.new += entries,
            Brings::Restored => self.restored += entries,
        }
    }

    /// The day of `now`; a clock that was set back does not begin yesterday anew.
    fn day_of(&self, now: Time) -> i64 {
        day(now).max(self.day)
    }
}

fn day(time: Time) -> i64 {
    time.as_unix().div_euclid(DAY)
}

/// What ends a key, moves a name, or takes words back.
fn is_urgent(entry: &Entry) -> bool {
    matches!(
        entry.skeleton().kind,
        Kind::Keys | Kind::Claim | Kind::Release | Kind::Erase
    )
}

/// What these entries add to a blog: their content, and media that it does not list yet.
fn bytes_of(blog: &Blog, entries: &[&Entry]) -> u64 {
    let mut media = BTreeMap::new();
    let mut bytes = 0_u64;
    for entry in entries {
        bytes = bytes.saturating_add(entry.skeleton().content_bytes + ENTRY_BYTES);
        let article = entry.draft().and_then(|draft| draft.article());
        for medium in article.into_iter().flat_map(|article| &article.media) {
            if !blog.lists(medium.hash) {
                media.insert(medium.hash, medium.bytes);
            }
        }
    }
    media
        .values()
        .fold(bytes, |sum, medium| sum.saturating_add(*medium))
}

/// The receipts of one blog: those of the open epoch, and of the next while it is being prepared.
#[derive(Clone, Debug, Default)]
pub struct Receipts {
    by_epoch: BTreeMap<u64, BTreeMap<Label, Vec<Receipt>>>,
}

impl Receipts {
    /// Takes a receipt of the open epoch or the one after it; others are worth nothing.
    pub fn take(&mut self, chain: &Chain, open: u64, receipt: Receipt) {
        let Held {
            epoch, spoke, tip, ..
        } = &receipt.held;
        if *epoch != open && *epoch != open + 1 {
            return;
        }
        let epoch = self.by_epoch.entry(*epoch).or_default();
        let kept = epoch.entry(spoke.clone()).or_default();
        let tip = tip.id;
        // The second half finds the tips that are not here yet.
        let covered = |r: &Receipt| chain.reaches(r.held.tip.id, tip) || r.held.tip.id == tip;
        if kept.iter().any(covered) {
            return;
        }
        kept.retain(|r| !chain.reaches(tip, r.held.tip.id));
        if kept.len() < RECEIPTS_PER_SPOKE_MAX {
            kept.push(receipt);
        }
    }

    /// Forgets receipts of epochs before the open one.
    pub fn forget_before(&mut self, open: u64) {
        self.by_epoch = self.by_epoch.split_off(&open);
    }

    /// One receipt of each member of the set that covers this entry.
    pub fn covering(&self, chain: &Chain, set: &Set, entry: EntryId) -> Vec<Receipt> {
        let Some(by_spoke) = self.by_epoch.get(&set.epoch) else {
            return Vec::new();
        };
        let members = by_spoke.iter().filter(|(label, _)| set.has(label));
        members
            .filter_map(|(_, kept)| kept.iter().find(|r| chain.reaches(r.held.tip.id, entry)))
            .cloned()
            .collect()
    }

    /// Everything kept.
    pub fn all(&self) -> impl Iterator<Item = &Receipt> {
        self.by_epoch.values().flat_map(BTreeMap::values).flatten()
    }
}
