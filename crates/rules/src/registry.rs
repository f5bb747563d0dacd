//! The registry: who has which name, with which key, on which spokes (SPEC registry).
//!
//! An append-only log of requests, folded here. The fold is a pure function of the log: every node
//! that follows it computes the same names, sets and zone, and refuses what does not add up.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use spokes_log::{
    name::{BlogId, BlogName, EntryId, Fingerprint, Hash},
    time::Time,
};

use crate::{
    caa::Caa,
    dnssec::ZoneKey,
    health::{Load, OBSERVERS, Report, Says, Takes},
    keyset::KeySet,
    mirror::Mirror,
    node::{Label, Signed},
    receipt::{Held, Receipt, Seal, Tip},
    request::{Address, Ask, COUNCIL_MAX, CouncilNode, Founding, MEMBERS_MAX, Request, Wish},
    seat::{Seats, Sits},
    zone_keys::ZoneKeys,
};
pub use crate::{
    record::{
        BlogRecord, Closing, DEMAND_MAX, Demand, Forced, Head, Holders, Record, Set, Spoke,
        Standing,
    },
    refusal::Refusal,
    reserved::is_reserved,
};

mod blogs;
mod make;
mod nodes;
mod sets;
mod snapshot;

pub use sets::{FORCE_SECONDS, GONE_SECONDS};
pub use snapshot::SNAPSHOT_FORM;

/// How far ahead a claim may reach, so that an old one cannot be replayed (SPEC entry 3.3).
const CLAIM_SECONDS_MAX: i64 = 24 * 60 * 60;
/// How far clocks may differ.
const CLOCK_SECONDS: i64 = 5 * 60;
/// News of one blog's keys in a day: its proof is kept for ever, and nobody changes keys so often.
pub const KEYS_PER_DAY_MAX: u64 = 8;
/// Seconds of a day, by which quotas are counted.
const DAY: i64 = 24 * 60 * 60;
/// The state that the log adds up to.
#[derive(Clone, Debug)]
pub struct Registry {
    network: Hash,
    founding: Founding,
    founded: Time,
    head: Head,
    invites: BTreeMap<Hash, Invite>,
    spokes: BTreeMap<Label, Spoke>,
    /// The spokes that were let in, by places that none of them chose.
    ring: BTreeMap<Hash, Label>,
    /// The blogs of each spoke, those that it is being given included.
    placed: BTreeMap<Label, BTreeSet<BlogId>>,
    seats: Seats,
    mirrors: BTreeMap<Label, Mirror>,
    zone_keys: ZoneKeys,
    caa: Vec<Caa>,
    names: BTreeMap<BlogName, BlogId>,
    /// In boxes: what grows at random places leaves a third of a tree's room empty.
    blogs: BTreeMap<BlogId, Box<BlogRecord>>,
    /// The blogs of each author, and those who have ended their own keys: asked for with each page of a desk.
    by_author: BTreeSet<(Fingerprint, BlogId)>,
    ended: BTreeSet<Fingerprint>,
    /// The certificates that DNS has: apart from blogs, of which few have one.
    openpgpkeys: BTreeMap<BlogId, Box<[u8]>>,
    answered: BTreeMap<Hash, u64>,
    /// News of keys by day and blog.
    keyed: BTreeMap<(i64, BlogId), u64>,
    /// New blogs by bringing spoke and day.
    brought: BTreeMap<(i64, Label), u64>,
}

#[derive(Clone, Debug)]
struct Invite {
    expires: Time,
    used: bool,
}

/// What the registry answers to a request that it takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The request was taken before, as this record.
    Repeat(u64),
    /// The request may become the next record.
    New,
}

/// What a record changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Touched {
    /// Whether this spoke is let in, and with that which spokes there are.
    Spokes(Label),
    /// How much this spoke has to do, and nothing else.
    Load(Label),
    /// The health of this spoke, or what it takes.
    Spoke(Label),
    /// This blog, which was not there before.
    NewBlog(BlogId),
    /// This blog.
    Blog(BlogId),
    /// The keys of this blog, and perhaps the one in DNS.
    Keys(BlogId),
    /// The council's own nodes.
    Council,
    /// This mirror.
    Mirror(Label),
    /// These blogs: the change of their set has begun.
    Blogs(Vec<BlogId>),
    /// Nothing that others see.
    Nothing,
}

/// A change worked out, to be made.
enum Change {
    Invite(Hash, Invite),
    Join(Hash, Label, Spoke),
    Standing(Label, Standing),
    Stand(Hash, CouncilNode),
    Sits(Label, Sits),
    Recover(Vec<CouncilNode>),
    Blog {
        id: BlogId,
        blog: Box<BlogRecord>,
        brought: Label,
        shown: Option<Box<[u8]>>,
    },
    Keys {
        id: BlogId,
        entry: EntryId,
        ended: BTreeSet<Fingerprint>,
        shown: Option<Box<[u8]>>,
    },
    Close(Vec<BlogId>, Set),
    Open {
        id: BlogId,
        covered: BTreeSet<Tip>,
        holders: Vec<Label>,
        forced: Option<Forced>,
    },
    Health(Label, Says),
    Mirror(Label, Address),
    Unmirror(Label),
    ZoneKey(Label, ZoneKey),
    KeySet(Box<KeySet>),
    Caa(Vec<Caa>),
    Load(Label, Load, Takes),
    Home {
        id: BlogId,
        to: Label,
        since: Time,
        /// When its author said so, where it was she.
        hers: Option<Time>,
    },
    Replicas(BlogId, u64),
    Demand(BlogId, u64),
    Holds(Label, Vec<BlogId>),
    Whole(BlogId),
}

impl Registry {
    /// Founds a network: entry 0.
    ///
    /// # Errors
    /// When the record is not one that founds a network.
    pub fn found(record: &Record) -> Result<Self, Refusal> {
        let ask = Ask::parse(record.request.signed.text.as_bytes())?;
        let Wish::Found(founding) = ask.what else {
            return Err(Refusal::WrongNetwork {
                ours: record.hash(),
                named: ask.network,
            });
        };
        if !record.request.signed.is_good() {
            return Err(Refusal::BadSignature);
        }
        if !founding.organizers.contains(&record.request.signed.key) {
            return Err(Refusal::NotAnOrganizer(record.request.signed.key));
        }
        let hash = record.hash();
        Ok(Self {
            network: hash,
            seats: Seats::found(&founding.council),
            founding,
            founded: record.time,
            head: Head {
                records: 1,
                hash,
                time: record.time,
            },
            invites: BTreeMap::new(),
            spokes: BTreeMap::new(),
            ring: BTreeMap::new(),
            placed: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            zone_keys: ZoneKeys::default(),
            caa: Vec::new(),
            names: BTreeMap::new(),
            blogs: BTreeMap::new(),
            by_author: BTreeSet::new(),
            ended: BTreeSet::new(),
            openpgpkeys: BTreeMap::new(),
            answered: BTreeMap::from([(record.request.id(), 0)]),
            keyed: BTreeMap::new(),
            brought: BTreeMap::new(),
        })
    }

    /// What a new request gets, without changing anything.
    ///
    /// # Errors
    /// Each [`Refusal`].
    pub fn judge(&self, now: Time, request: &Request) -> Result<Verdict, Refusal> {
        if let Some(index) = self.answered.get(&request.id()) {
            return Ok(Verdict::Repeat(*index));
        }
        self.change(now.max(self.head.time), request)
            .map(|_| Verdict::New)
    }

    /// The record that a request with this text became, if there is one.
    pub fn answered(&self, text: &str) -> Option<u64> {
        self.answered.get(&Hash::of(text.as_bytes())).copied()
    }

    /// The record that this request would become; to be made durable, then given to [`Self::take`].
    pub fn next_record(&self, now: Time, request: Request) -> Record {
        let (index, previous) = (self.head.records, self.head.hash);
        // Time never goes back in the log, whatever the clocks of its leaders say.
        Record {
            index,
            previous,
            time: now.max(self.head.time),
            request,
        }
    }

    /// Takes the next record of the log.
    ///
    /// # Errors
    /// When it does not follow, or a rule refuses what it asks: then the log is not this network's.
    pub fn take(&mut self, record: &Record) -> Result<Touched, Refusal> {
        let follows = record.index == self.head.records
            && record.previous == self.head.hash
            && record.time >= self.head.time;
        if !follows {
            let named = Some(record.previous);
            return Err(Refusal::WrongNetwork {
                ours: self.network,
                named,
            });
        }
        let change = self.change(record.time, &record.request)?;
        self.answered.insert(record.request.id(), record.index);
        self.head = Head {
            records: record.index + 1,
            hash: record.hash(),
            time: record.time,
        };
        Ok(self.make(record.time, record, change))
    }

    /// The network's id: the hash of entry 0.
    pub fn network(&self) -> Hash {
        self.network
    }

    /// What the network began with.
    pub fn founding(&self) -> &Founding {
        &self.founding
    }

    /// When it began.
    pub fn founded(&self) -> Time {
        self.founded
    }

    /// The end of the log.
    pub fn head(&self) -> Head {
        self.head
    }

    /// All spokes that ever asked.
    pub fn spokes(&self) -> impl Iterator<Item = (&Label, &Spoke)> {
        self.spokes.iter()
    }

    /// One spoke.
    pub fn spoke(&self, label: &Label) -> Option<&Spoke> {
        self.spokes.get(label)
    }

    /// The spokes that serve.
    pub fn admitted(&self) -> impl Iterator<Item = (&Label, &Spoke)> {
        self.spokes.iter().filter(|(_, spoke)| spoke.is_admitted())
    }

    /// All blogs.
    pub fn blogs(&self) -> impl Iterator<Item = (BlogId, &BlogRecord)> {
        self.blogs.iter().map(|(id, blog)| (*id, &**blog))
    }

    /// One blog.
    pub fn blog(&self, id: BlogId) -> Option<&BlogRecord> {
        self.blogs.get(&id).map(|blog| &**blog)
    }

    /// The first blog from an id on, around the end: of a random id, some blog.
    pub fn blog_near(&self, id: BlogId) -> Option<&BlogRecord> {
        let behind = self.blogs.range(id..).next();
        let near = behind.or_else(|| self.blogs.iter().next());
        near.map(|(_, blog)| &**blog)
    }

    /// The blogs whose claims this key signed.
    pub fn blogs_of(&self, author: &Fingerprint) -> impl Iterator<Item = (BlogId, &BlogRecord)> {
        let from = (author.clone(), BlogId::from_bytes([0; 32]));
        let to = (author.clone(), BlogId::from_bytes([u8::MAX; 32]));
        let hers = self.by_author.range(from..=to);
        hers.filter_map(|(_, id)| Some((*id, self.blog(*id)?)))
    }

    /// Whether a blog of this author has ended her key. What others say of it in their own blogs does not
    /// count: anybody can name any key there.
    pub fn has_ended(&self, key: &Fingerprint) -> bool {
        self.ended.contains(key)
    }

    /// The certificate that DNS has for a blog's mailbox, in binary form (SPEC dns 7).
    pub fn openpgpkey(&self, id: BlogId) -> Option<&[u8]> {
        self.openpgpkeys.get(&id).map(|bytes| &**bytes)
    }

    /// All that have one.
    pub fn openpgpkeys(&self) -> impl Iterator<Item = BlogId> {
        self.openpgpkeys.keys().copied()
    }

    /// Who has a name.
    pub fn named(&self, name: &BlogName) -> Option<(BlogId, &BlogRecord)> {
        let id = *self.names.get(name)?;
        Some((id, self.blog(id)?))
    }

    /// The council's seats.
    pub fn seats(&self) -> &Seats {
        &self.seats
    }

    /// The name servers that copy the zone.
    pub fn mirrors(&self) -> impl Iterator<Item = (&Label, &Mirror)> {
        self.mirrors.iter()
    }

    /// One of them.
    pub fn mirror(&self, label: &Label) -> Option<&Mirror> {
        self.mirrors.get(label)
    }

    /// The keys that sign the zone, and those.
    pub fn zone_keys(&self) -> &ZoneKeys {
        &self.zone_keys
    }

    /// Who may issue certificates for the network's names.
    pub fn caa(&self) -> &[Caa] {
        &self.caa
    }

    /// Whether a signed receipt counts: its key is the named spoke's, and it is for this network.
    pub fn counts(&self, receipt: &Receipt) -> bool {
        receipt.held.network == self.network
            && self
                .spokes
                .get(&receipt.held.spoke)
                .is_some_and(|s| s.key == receipt.signed.key)
    }

    fn change(&self, now: Time, request: &Request) -> Result<Change, Refusal> {
        let ask = Ask::parse(request.signed.text.as_bytes())?;
        if ask.network != Some(self.network) {
            return Err(Refusal::WrongNetwork {
                ours: self.network,
                named: ask.network,
            });
        }
        if !request.signed.is_good() {
            return Err(Refusal::BadSignature);
        }
        if ask.time.since(now) > CLOCK_SECONDS {
            return Err(Refusal::Clock {
                ours: now,
                named: ask.time,
            });
        }
        brings_no_more(request, &ask.what)?;
        let key = request.signed.key;
        match ask.what {
            Wish::Invite { token, expires } => {
                self.organizer(key)?;
                Ok(Change::Invite(
                    token,
                    Invite {
                        expires,
                        used: false,
                    },
                ))
            }
            Wish::Join {
                label,
                operator,
                address,
                token,
            } => self.join(now, key, label, operator, address, &token),
            Wish::Admit { label } => self.admit(now, key, label),
            Wish::Evict { label } => self.evict(now, key, label),
            Wish::Stand { node, token } => self.stand(now, key, node, &token),
            Wish::Seat { label } => self.seat(key, label),
            Wish::Refill { label } => self.refill(key, label),
            Wish::Unseat { label } => self.sit(key, label, Sits::NoMore { since: now }),
            Wish::Recover { council } => {
                self.organizer(key)?;
                Ok(Change::Recover(council))
            }
            Wish::Mirror { label, address } => self.let_mirror(key, label, address),
            Wish::Unmirror { label } => self.end_mirror(key, label),
            Wish::ZoneKey { label, key: said } => self.zone_key(key, label, said),
            Wish::KeySet(set) => self.key_set(now, key, set),
            Wish::Caa { rules } => self.rule_certificates(key, rules),
            wish => self.change_of_blogs(now, request, wish),
        }
    }

    /// What becomes of requests about blogs, and about spokes that live already.
    fn change_of_blogs(&self, now: Time, request: &Request, wish: Wish) -> Result<Change, Refusal> {
        let key = request.signed.key;
        match wish {
            Wish::Claim { blog, entry, spoke } => {
                self.claim(now, request, blog, entry, spoke.as_ref())
            }
            Wish::Keys { blog, entry } => self.keys(now, request, blog, entry),
            Wish::Close {
                blogs,
                epoch,
                members,
            } => self.close(now, key, blogs, epoch, members),
            Wish::Open {
                blog,
                epoch,
                forced,
            } => self.open(now, request, blog, epoch, forced),
            Wish::Down { label } => self.health(now, request, label, Says::Silent),
            Wish::Up { label } => self.health(now, request, label, Says::Answers),
            Wish::Load { label, load, takes } => {
                self.is_own(key, &label)?;
                self.load(now, label, load, takes)
            }
            Wish::Drain { label } => {
                self.organizer(key)?;
                self.drain(now, label)
            }
            Wish::Leave { label } => {
                self.is_own(key, &label)?;
                self.drain(now, label)
            }
            Wish::Move { blog, to } => self.move_to(now, key, blog, to),
            Wish::Home { blog, word } => self.home(now, request, blog, word),
            Wish::Replicas { blog, replicas } => self.replicas(key, blog, replicas),
            Wish::Demand { blog, more } => self.demand(now, key, blog, more),
            Wish::Holds { label, blogs } => {
                self.is_own(key, &label)?;
                self.holds(label, blogs)
            }
            Wish::Whole { blog, epoch } => self.whole(key, blog, epoch),
            _ => Err(Refusal::WrongNetwork {
                ours: self.network,
                named: None,
            }),
        }
    }
}

/// Statements beside an `open`: what all members of both sets may have said of it.
const OPEN_STATEMENTS_MAX: usize = 2 * MEMBERS_MAX * 128;
/// Reports beside a `down` or `up`: those of all observers, and of each sitting node about each of them and the spoke.
const REPORTS_MAX: usize = OBSERVERS + COUNCIL_MAX * (OBSERVERS + 1);

/// Whether a request brings nothing that it does not need: all that a record has is kept for ever, by everybody.
fn brings_no_more(request: &Request, wish: &Wish) -> Result<(), Refusal> {
    let (proof, statements, word) = match wish {
        Wish::Claim { .. } | Wish::Keys { .. } => (true, 0, false),
        Wish::Home { .. } => (true, 0, true),
        Wish::Open { .. } => (false, OPEN_STATEMENTS_MAX, false),
        Wish::Down { .. } | Wish::Up { .. } => (false, REPORTS_MAX, false),
        _ => (false, 0, false),
    };
    let is_about = |signed: &Signed| {
        let text = signed.text.as_bytes();
        let blog = || {
            let seal = Seal::parse(text).map(|seal| seal.blog);
            seal.or_else(|_| Held::parse(text).map(|held| held.blog))
        };
        match wish {
            Wish::Open { blog: id, .. } => blog().as_ref() == Ok(id),
            _ => Report::parse(text).is_ok(),
        }
    };
    let needed = (proof || request.proof.is_empty())
        && (word || request.word.is_none())
        && request.statements.len() <= statements
        && request.statements.iter().all(is_about);
    if needed {
        Ok(())
    } else {
        Err(Refusal::NotNeeded)
    }
}
