//! Records: what the registry's log holds, and what it adds up to for each spoke and blog.

use alloc::{boxed::Box, collections::BTreeSet, string::String, vec::Vec};

use spokes_log::{
    name::{BlogName, EntryId, Fingerprint, Hash},
    time::Time,
};

use crate::{
    health::{Health, Load, Takes},
    node::{Label, NodeKey},
    placement::Shortfall,
    receipt::{Tip, seals_needed},
    request::{Address, Operator, Request},
};

/// The end of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// How many records there are.
    pub records: u64,
    /// The hash of the last one.
    pub hash: Hash,
    /// Its time.
    pub time: Time,
}

/// One item of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its place, from 0.
    pub index: u64,
    /// The hash of the one before; of nothing for the first.
    pub previous: Hash,
    /// When the sequencer took it.
    pub time: Time,
    /// What was asked.
    pub request: Request,
}

impl Record {
    /// The record's hash, which the next one names (SPEC registry 1.3).
    pub fn hash(&self) -> Hash {
        let mut proof = String::new();
        let ids = self.request.proof.iter().map(|sealed| sealed.entry().id());
        let texts = self
            .request
            .statements
            .iter()
            .map(|s| Hash::of(s.text.as_bytes()));
        for hash in ids.chain(texts) {
            proof.push_str(&alloc::format!("{hash}\n"));
        }
        if let Some(word) = &self.request.word {
            proof.push_str(&alloc::format!("{}\n", Hash::of(word.text.as_bytes())));
        }
        let Self {
            index,
            previous,
            time,
            request,
        } = self;
        let text = alloc::format!(
            "Spokes-Record: 1\nIndex: {index}\nPrevious: {previous}\nTime: {time}\nRequest: {}\n\
             Proof: {}\n",
            request.id(),
            Hash::of(proof.as_bytes())
        );
        Hash::of(text.as_bytes())
    }
}

/// A donated server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spoke {
    /// Its key.
    pub key: NodeKey,
    /// The group that runs it.
    pub operator: Operator,
    /// Where its HTTP answers.
    pub address: Address,
    /// Whether it is let in.
    pub standing: Standing,
    /// Its place among those who watch one another; none chose its own.
    pub lot: Hash,
    /// Whether it is well.
    pub health: Health,
    /// The record since which what it said of its copies does not count any more.
    pub fell: u64,
    /// How much it has to do.
    pub load: Load,
    /// What it takes.
    pub takes: Takes,
    /// When it said so last.
    pub told: Option<Time>,
}

/// How far a spoke is let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It asked.
    Applied {
        /// When.
        since: Time,
    },
    /// An organizer let it in.
    Admitted {
        /// When.
        since: Time,
    },
    /// It is let in, and handing over what it has.
    Leaving {
        /// Since when.
        since: Time,
    },
    /// It is barred.
    Evicted {
        /// When.
        since: Time,
    },
}

impl Spoke {
    /// Whether it is let in.
    pub fn is_admitted(&self) -> bool {
        matches!(
            self.standing,
            Standing::Admitted { .. } | Standing::Leaving { .. }
        )
    }

    /// Whether it is handing over what it has.
    pub fn is_leaving(&self) -> bool {
        matches!(self.standing, Standing::Leaving { .. })
    }

    /// Whether an organizer has barred it.
    pub fn is_barred(&self) -> bool {
        matches!(self.standing, Standing::Evicted { .. })
    }

    /// Whether it is let in and serves.
    pub fn is_well(&self) -> bool {
        self.is_admitted() && self.health.down.is_none()
    }
}

/// What the registry knows of a blog.
///
/// There may be millions: what few of them have is in a box.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlogRecord {
    /// Its name.
    pub name: BlogName,
    /// Who signed the claim.
    pub author: Fingerprint,
    /// Its open set.
    pub set: Set,
    /// A change of set that has begun.
    pub closing: Option<Box<Closing>>,
    /// What the open set was opened with: the tips in the seals of the one before. Its members hold
    /// them; whoever has something else gives it back as an offer (SPEC receipt 6).
    pub covered: BTreeSet<Tip>,
    /// What placement could not reach.
    pub shortfall: Option<Shortfall>,
    /// The `keys` entry taken last, or entry 0.
    pub keys_at: EntryId,
    /// Keys that have ended, on whatever branch.
    pub ended: BTreeSet<Fingerprint>,
    /// When it got its name.
    pub since: Time,
    /// The members that hold all of it, each with the record that says so.
    pub holders: Holders,
    /// How many replicas an organizer wants it to have; as the policy says, if none.
    pub replicas: Option<u64>,
    /// How many more its readers need.
    pub demand: Demand,
    /// Where author or organizer want its primary.
    pub home: Option<Box<Wanted>>,
    /// When its author last moved it: as she says, and as the registry took it.
    pub homed: Option<(Time, Time)>,
    /// Whether its set was opened without knowing all that was safe.
    pub forced: Option<Box<Forced>>,
}

/// Members that hold all of a blog, each with the record that says so.
///
/// They are a handful, so a list by label: a map would set aside room for eleven, a million times.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Holders(pub(crate) Vec<(Label, u64)>);

impl Holders {
    /// The record that says so of this member.
    pub fn get(&self, label: &Label) -> Option<&u64> {
        let at = self.at(label).ok()?;
        self.0.get(at).map(|(_, record)| record)
    }

    /// Whether there is one.
    pub fn contains_key(&self, label: &Label) -> bool {
        self.at(label).is_ok()
    }

    /// Notes a record, in place of an older one.
    pub fn insert(&mut self, label: Label, record: u64) {
        match self.at(&label) {
            Ok(at) => self.0[at].1 = record,
            Err(at) => self.0.insert(at, (label, record)),
        }
    }

    /// Forgets the others.
    pub fn retain(&mut self, stays: impl Fn(&Label) -> bool) {
        self.0.retain(|(label, _)| stays(label));
    }

    fn at(&self, label: &Label) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(label))
    }
}

impl FromIterator<(Label, u64)> for Holders {
    fn from_iter<I: IntoIterator<Item = (Label, u64)>>(all: I) -> Self {
        let all = all.into_iter();
        let mut holders = Self(Vec::with_capacity(all.size_hint().0));
        all.for_each(|(label, record)| holders.insert(label, record));
        holders
    }
}

/// The most replicas that demand adds.
pub const DEMAND_MAX: u64 = 4;

/// How many more replicas readers need.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Demand {
    /// How many more.
    pub more: u64,
    /// When that was said.
    pub since: Option<Time>,
}

/// A spoke that is wanted as primary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Which.
    pub to: Label,
    /// Since when.
    pub since: Time,
}

/// A set was opened with too few seals (SPEC receipt 3.7): entries may be missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forced {
    /// Since when.
    pub since: Time,
    /// The last entry that is known.
    pub after: u64,
    /// The former members whose copies nobody has seen.
    pub missing: BTreeSet<Label>,
    /// How many of these have to be read: with those that were seen they meet every majority of the former set, so
    /// that nothing that was safe is missing any more.
    pub enough: u64,
}

/// The replicas of a blog in one epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Set {
    /// Grows with every change.
    pub epoch: u64,
    /// The primary first.
    pub members: Vec<Label>,
}

impl BlogRecord {
    /// The set that takes in what an author restores: the open one, or the next where the blog begins anew.
    pub fn restoring(&self) -> &Set {
        let next = self.closing.as_ref();
        let next = next.filter(|closing| closing.begins_anew(&self.set));
        next.map_or(&self.set, |closing| &closing.next)
    }
}

impl Set {
    /// The spoke that accepts entries.
    pub fn primary(&self) -> &Label {
        &self.members[0]
    }

    /// Whether this spoke is in it.
    pub fn has(&self, label: &Label) -> bool {
        self.members.contains(label)
    }

    /// How many make a majority.
    pub fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// How many seals meet every majority (SPEC receipt 3).
    pub fn seals_needed(&self) -> usize {
        seals_needed(self.members.len())
    }
}

/// A change of set that has begun (SPEC registry 3.8).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closing {
    /// The new set, of the next epoch.
    pub next: Set,
    /// When it began.
    pub since: Time,
    /// Members of the open set that an organizer has given up: silent when he prepared one without them, and so many
    /// that the open set cannot be sealed without one of them.
    pub lost: BTreeSet<Label>,
}

impl Closing {
    /// Whether an organizer has the blog begin anew: all who held it are gone for good (SPEC receipt 3.8).
    pub fn begins_anew(&self, open: &Set) -> bool {
        open.members.iter().all(|label| self.lost.contains(label))
    }
}
