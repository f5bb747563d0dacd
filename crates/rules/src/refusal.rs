//! Why the registry says no: always the asker's to mend.

use core::fmt;

use spokes_log::{
    fault::Fault,
    name::{BlogId, BlogName, EntryId, Hash},
    text::Malformed,
    time::Time,
};

use crate::{
    node::{Label, NodeKey},
    request::{Address, PROOF_ENTRIES_MAX},
};

/// Why the registry says no.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each variant's sentence says what it is")]
pub enum Refusal {
    Text(Malformed),
    Proof(Fault),
    BadSignature,
    WrongNetwork { ours: Hash, named: Option<Hash> },
    Clock { ours: Time, named: Time },
    NotAnOrganizer(NodeKey),
    NotAdmitted,
    NoInvitation,
    InvitationExpired(Time),
    AddressInside(Address),
    LabelTaken(Label),
    KeyTaken(Label),
    NoSuchSpoke(Label),
    NotWaiting(Label),
    NotIn(Label),
    Barred(Label),
    NoSuchSeat(Label),
    CouncilFull(usize),
    TooManyMirrors(usize),
    NoSuchMirror(Label),
    KeySet(&'static str),
    NobodyAndSomebody(&'static str),
    LastSeat,
    NameReserved(BlogName),
    NameTaken(BlogName),
    HasName(BlogName),
    NoSuchBlog(BlogId),
    NotAClaim(EntryId),
    ClaimForOtherNetwork { named: Hash },
    ClaimExpired { not_after: Time },
    ClaimTooFar { not_after: Time },
    QuotaOfSpoke { label: Label, limit: u64 },
    QuotaOfKeys(u64),
    NoSpokes,
    ProofTooLong(usize),
    KeysForked(EntryId),
    OldEpoch { open: u64, named: u64 },
    NotClosed(BlogId),
    BadSet(&'static str),
    TooFewSeals { needed: usize, found: usize },
    TooFewReceipts { needed: usize, found: usize },
    NotOfTheCouncil(NodeKey),
    NotNeeded,
    TooFewReports { needed: usize, found: usize },
    Rests { label: Label, until: Time },
    NothingNew,
    TooSoon(i64),
    CannotTake(Label),
    NotPrimary(Label),
    WordMissing,
    WordTooOld(Time),
    HomedToday,
    TooEarlyToForce(Time),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(malformed) => malformed.fmt(f),
            Self::Proof(fault) => fault.fmt(f),
            Self::BadSignature => write!(f, "the signature under the request is not good"),
            Self::WrongNetwork { ours, .. } => {
                write!(f, "the request is for another network; this one is {ours}")
            }
            Self::Clock { ours, named } => {
                write!(
                    f,
                    "the request says {named}, here it is {ours}; set the clock"
                )
            }
            Self::NotAnOrganizer(key) => write!(f, "{key} is no organizer's key"),
            Self::NotAdmitted => {
                write!(
                    f,
                    "this spoke is not admitted; ask an organizer to admit it"
                )
            }
            Self::NoInvitation => {
                write!(
                    f,
                    "there is no such invitation, or it was used; ask for a new one"
                )
            }
            Self::InvitationExpired(at) => {
                write!(f, "the invitation expired at {at}; ask for a new one")
            }
            Self::LabelTaken(label) => {
                write!(
                    f,
                    "a node is called \"{label}\" already; choose another label"
                )
            }
            Self::AddressInside(address) => write!(
                f,
                "{address} is not an address at which this network's readers reach a server; join \
                 with one that they do"
            ),
            Self::KeyTaken(label) => write!(f, "\"{label}\" has this key already"),
            Self::NoSuchSpoke(label) => write!(f, "there is no spoke \"{label}\""),
            Self::NotWaiting(label) => {
                write!(f, "\"{label}\" is let in already; nothing was changed")
            }
            Self::NoSuchSeat(label) => write!(
                f,
                "\"{label}\" has no such seat on the council; \"spokes council status\" lists them"
            ),
            Self::CouncilFull(most) => write!(
                f,
                "{most} nodes sit on the council, the most there can be; take a seat away first"
            ),
            Self::LastSeat => write!(
                f,
                "this is the council's last node; give another one a seat first"
            ),
            _ => self.about_the_zone(f),
        }
    }
}

impl Refusal {
    /// The sentences about the zone in DNS.
    fn about_the_zone(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyMirrors(most) => write!(
                f,
                "{most} mirrors copy the zone, the most there can be; take one away first"
            ),
            Self::NoSuchMirror(label) => write!(
                f,
                "no mirror is called \"{label}\"; \"spokes council mirror list\" lists them"
            ),
            Self::KeySet(why) => write!(
                f,
                "the set of the zone's keys {why}; make it again with \"spokes council dnssec sign\""
            ),
            Self::NobodyAndSomebody(tag) => write!(
                f,
                "the rules of certificates say with \"{tag} ;\" that nobody may issue any, and name somebody who may; \
                 leave one of them out"
            ),
            _ => self.about_names(f),
        }
    }

    /// The sentences about names, claims and sets.
    fn about_names(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameReserved(name) => {
                write!(f, "\"{name}\" is reserved; choose another name")
            }
            Self::NameTaken(name) => write!(f, "\"{name}\" is taken; choose another name"),
            Self::HasName(name) => write!(f, "this blog has the name \"{name}\" already"),
            Self::NoSuchBlog(blog) => write!(f, "no blog {blog} is registered here"),
            Self::NotAClaim(entry) => write!(f, "{entry} does not claim a name"),
            Self::ClaimForOtherNetwork { named } => {
                write!(
                    f,
                    "the claim is for the network {named}; sign one for this network"
                )
            }
            Self::ClaimExpired { not_after } => {
                write!(f, "the claim expired at {not_after}; sign a new one")
            }
            Self::ClaimTooFar { not_after } => write!(
                f,
                "the claim reaches to {not_after}; it may reach 24 hours ahead, sign a new one"
            ),
            Self::QuotaOfSpoke { label, limit } => write!(
                f,
                "\"{label}\" has brought {limit} new blogs today, the network's limit for one \
                 spoke; try another spoke, or tomorrow"
            ),
            Self::QuotaOfKeys(limit) => write!(
                f,
                "the registry has heard {limit} times today of this blog's keys, the most it takes; it \
                 hears of the rest tomorrow"
            ),
            Self::NoSpokes => {
                write!(
                    f,
                    "no spoke takes new blogs now: none is admitted, or those that are do not answer or are full. \
                     Try again in a minute; after a start of all servers it takes so long"
                )
            }
            Self::ProofTooLong(entries) => write!(
                f,
                "the proof has {entries} entries, the limit is {PROOF_ENTRIES_MAX}"
            ),
            Self::KeysForked(at) => write!(
                f,
                "the keys entry does not follow {at}, the one taken last; read the blog's log, \
                 sign again behind it"
            ),
            Self::OldEpoch { open, named } => {
                write!(
                    f,
                    "epoch {open} is open, the request names {named}; read and ask again"
                )
            }
            Self::NotNeeded => f.write_str(
                "beside the request is something that it does not need; send it with what proves it, and no more",
            ),
            Self::NotClosed(blog) => write!(f, "no change of the set of {blog} has begun"),
            Self::BadSet(why) => write!(f, "the new set {why}"),
            Self::TooFewSeals { needed, found } => {
                write!(
                    f,
                    "{needed} members must have sealed the old epoch, {found} have"
                )
            }
            Self::TooFewReceipts { needed, found } => write!(
                f,
                "{needed} members of the new set must hold all that was sealed, {found} do"
            ),
            _ => self.about_life(f),
        }
    }

    /// The sentences about the life of spokes, and where blogs are at home.
    fn about_life(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIn(label) => write!(
                f,
                "\"{label}\" asked to join and is not let in so far, so it holds no blog. Nothing was changed; an \
                 organizer lets it in with \"spokes council admit {label}\""
            ),
            Self::Barred(label) => write!(
                f,
                "\"{label}\" was barred by an organizer, for good. Nothing was changed; its blogs go on with other \
                 spokes. Its server may ask to join again under another label, with a new invitation and a new, \
                 empty directory"
            ),
            Self::NotOfTheCouncil(key) => write!(f, "{key} is no key of the council"),
            Self::TooFewReports { needed, found } => {
                write!(f, "{needed} observers must say so, {found} do")
            }
            Self::Rests { label, until } => write!(
                f,
                "\"{label}\" has fallen of late and rests until {until}, so that readers are not sent \
                 back and forth"
            ),
            Self::NothingNew => write!(f, "that is so already; nothing was changed"),
            Self::TooSoon(seconds) => {
                write!(f, "that may change once in {seconds} seconds; wait")
            }
            Self::TooEarlyToForce(from) => write!(
                f,
                "the members that are missing may still come back; the council opens the set without them \
                 from {from} on, an organizer may before"
            ),
            Self::CannotTake(label) => write!(
                f,
                "\"{label}\" cannot take a blog now: it is silent, leaving, or its disk is full; choose \
                 another spoke"
            ),
            Self::NotPrimary(label) => write!(f, "\"{label}\" is not the blog's primary"),
            Self::WordMissing => write!(
                f,
                "the author's signed text or the entries that prove her key are missing; send them along"
            ),
            Self::WordTooOld(time) => write!(
                f,
                "the text signed at {time} is too old, or was used; sign a new one"
            ),
            Self::HomedToday => write!(
                f,
                "the blog was moved by its author within a day; it can be moved again tomorrow"
            ),
            _ => write!(f, "the request is refused"),
        }
    }
}

impl core::error::Error for Refusal {}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::Text(malformed)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Proof(fault)
    }
}
