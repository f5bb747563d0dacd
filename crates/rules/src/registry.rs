//! The registry: who has which name, with which key, on which spokes (SPEC registry).
//!
//! An append-only log of requests, folded here. The fold is a pure function of the log: every node
//! that follows it computes the same names, sets and zone, and refuses what does not add up.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use spokes_log::{
    chain::Chain,
    draft::{Claim, Kind, Says},
    name::{BlogId, BlogName, EntryId, Fingerprint, Hash},
    time::Time,
};

use crate::{
    node::{Label, NodeKey, Signed},
    placement::{self, Candidate},
    receipt::{Receipt, Seal, Tip},
    request::{
        Address, Ask, CouncilNode, Founding, Operator, PROOF_ENTRIES_MAX, Reach, Request, Wish,
        reach,
    },
    seat::{Seats, Sits},
};
pub use crate::{
    record::{BlogRecord, Closing, Head, Record, Set, Spoke, Standing},
    refusal::Refusal,
    reserved::is_reserved,
};

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
    seats: Seats,
    names: BTreeMap<BlogName, BlogId>,
    blogs: BTreeMap<BlogId, BlogRecord>,
    /// The blogs of each author, and those who have ended their own keys: asked for with each page of a desk.
    by_author: BTreeMap<Fingerprint, BTreeSet<BlogId>>,
    ended: BTreeSet<Fingerprint>,
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
    /// The spokes or their standing.
    Spokes,
    /// This blog, which was not there before.
    NewBlog(BlogId),
    /// This blog.
    Blog(BlogId),
    /// The council's own nodes.
    Council,
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
        blog: BlogRecord,
        brought: Label,
    },
    Keys(BlogId, EntryId, BTreeSet<Fingerprint>),
    Close(Vec<BlogId>, Set),
    Open(BlogId, BTreeSet<Tip>),
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
            names: BTreeMap::new(),
            blogs: BTreeMap::new(),
            by_author: BTreeMap::new(),
            ended: BTreeSet::new(),
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
        Ok(self.make(record.time, change))
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
        self.blogs.iter().map(|(id, blog)| (*id, blog))
    }

    /// One blog.
    pub fn blog(&self, id: BlogId) -> Option<&BlogRecord> {
        self.blogs.get(&id)
    }

    /// The blogs whose claims this key signed.
    pub fn blogs_of(&self, author: &Fingerprint) -> impl Iterator<Item = (BlogId, &BlogRecord)> {
        let hers = self.by_author.get(author).into_iter().flatten();
        hers.filter_map(|id| Some((*id, self.blogs.get(id)?)))
    }

    /// Whether a blog of this author has ended her key. What others say of it in their own blogs does not
    /// count: anybody can name any key there.
    pub fn has_ended(&self, key: &Fingerprint) -> bool {
        self.ended.contains(key)
    }

    /// Who has a name.
    pub fn named(&self, name: &BlogName) -> Option<(BlogId, &BlogRecord)> {
        let id = *self.names.get(name)?;
        Some((id, self.blogs.get(&id)?))
    }

    /// The council's seats.
    pub fn seats(&self) -> &Seats {
        &self.seats
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
        let key = request.signed.key;
        match ask.what {
            Wish::Found(_) => Err(Refusal::WrongNetwork {
                ours: self.network,
                named: ask.network,
            }),
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
            Wish::Evict { label } => {
                self.organizer(key)?;
                self.spokes
                    .get(&label)
                    .ok_or_else(|| Refusal::NoSuchSpoke(label.clone()))?;
                Ok(Change::Standing(label, Standing::Evicted { since: now }))
            }
            Wish::Stand { node, token } => self.stand(now, key, node, &token),
            Wish::Seat { label } => self.sit(
                key,
                label,
                Sits::Yes {
                    filled: self.head.records,
                },
            ),
            Wish::Refill { label } => self.refill(key, label),
            Wish::Unseat { label } => self.sit(key, label, Sits::NoMore { since: now }),
            Wish::Recover { council } => {
                self.organizer(key)?;
                Ok(Change::Recover(council))
            }
            Wish::Claim { blog, entry, spoke } => {
                self.claim(now, request, blog, entry, spoke.as_ref())
            }
            Wish::Keys { blog, entry } => self.keys(now, request, blog, entry),
            Wish::Close {
                blogs,
                epoch,
                members,
            } => self.close(key, blogs, epoch, members),
            Wish::Open { blog, epoch } => self.open(request, blog, epoch),
        }
    }

    fn organizer(&self, key: NodeKey) -> Result<(), Refusal> {
        if self.founding.organizers.contains(&key) {
            Ok(())
        } else {
            Err(Refusal::NotAnOrganizer(key))
        }
    }

    /// The admitted spoke with this key.
    fn bringer(&self, key: NodeKey) -> Result<&Label, Refusal> {
        let found = self.admitted().find(|(_, spoke)| spoke.key == key);
        found.map(|(label, _)| label).ok_or(Refusal::NotAdmitted)
    }

    fn join(
        &self,
        now: Time,
        key: NodeKey,
        label: Label,
        operator: Operator,
        address: Address,
        token: &str,
    ) -> Result<Change, Refusal> {
        let token = self.invited(now, token)?;
        if !self.may_serve(address) {
            return Err(Refusal::AddressInside(address));
        }
        self.is_new(&label, key)?;
        let standing = Standing::Applied { since: now };
        Ok(Change::Join(
            token,
            label,
            Spoke {
                key,
                operator,
                address,
                standing,
                blogs: 0,
            },
        ))
    }

    /// The hash of a token whose invitation is good.
    fn invited(&self, now: Time, token: &str) -> Result<Hash, Refusal> {
        let token = Hash::of(token.as_bytes());
        let invite = self
            .invites
            .get(&token)
            .filter(|i| !i.used)
            .ok_or(Refusal::NoInvitation)?;
        if invite.expires < now {
            return Err(Refusal::InvitationExpired(invite.expires));
        }
        Ok(token)
    }

    /// Whether no node of any kind has this label or key.
    fn is_new(&self, label: &Label, key: NodeKey) -> Result<(), Refusal> {
        if self.seats.labelled(label).is_some() || self.spokes.contains_key(label) {
            return Err(Refusal::LabelTaken(label.clone()));
        }
        let spoke = self.spokes.iter().find(|(_, spoke)| spoke.key == key);
        match spoke.map(|(label, _)| label).or(self.seats.with_key(key)) {
            Some(other) => Err(Refusal::KeyTaken(other.clone())),
            None => Ok(()),
        }
    }

    fn stand(
        &self,
        now: Time,
        key: NodeKey,
        node: CouncilNode,
        token: &str,
    ) -> Result<Change, Refusal> {
        if node.key != key {
            return Err(Refusal::BadSignature);
        }
        let token = self.invited(now, token)?;
        for address in [node.api, node.dns, node.peer] {
            if !self.may_serve(address) {
                return Err(Refusal::AddressInside(address));
            }
        }
        self.is_new(&node.label, key)?;
        Ok(Change::Stand(token, node))
    }

    fn sit(&self, key: NodeKey, label: Label, to: Sits) -> Result<Change, Refusal> {
        self.organizer(key)?;
        self.seats.judge(&label, to)?;
        Ok(Change::Sits(label, to))
    }

    /// Only who sits can be filled again: a seat is given by another word.
    fn refill(&self, key: NodeKey, label: Label) -> Result<Change, Refusal> {
        let seat = self.seats.labelled(&label);
        if !seat.is_some_and(|seat| matches!(seat.sits, Sits::Yes { .. })) {
            return Err(Refusal::NoSuchSeat(label));
        }
        let filled = self.head.records;
        self.sit(key, label, Sits::Yes { filled })
    }

    /// Whether readers and other spokes may be sent to an address: else a spoke could have them ask
    /// machines behind their own walls.
    fn may_serve(&self, address: Address) -> bool {
        let nodes = self.seats.sitting();
        let walls = nodes.map(|(node, ..)| reach(node.api.0.ip())).min();
        let reach = reach(address.0.ip());
        reach != Reach::Nowhere && address.0.port() != 0 && walls.is_none_or(|walls| reach >= walls)
    }

    fn admit(&self, now: Time, key: NodeKey, label: Label) -> Result<Change, Refusal> {
        self.organizer(key)?;
        let spoke = self
            .spokes
            .get(&label)
            .ok_or_else(|| Refusal::NoSuchSpoke(label.clone()))?;
        if !matches!(spoke.standing, Standing::Applied { .. }) {
            return Err(Refusal::NotWaiting(label));
        }
        Ok(Change::Standing(label, Standing::Admitted { since: now }))
    }

    fn claim(
        &self,
        now: Time,
        request: &Request,
        id: BlogId,
        entry: EntryId,
        asked: Option<&Label>,
    ) -> Result<Change, Refusal> {
        let bringer = self.bringer(request.signed.key)?;
        let limit = self.founding.policy.blogs_per_spoke_day;
        let today = (now.as_unix().div_euclid(DAY), bringer.clone());
        if self
            .brought
            .get(&today)
            .is_some_and(|brought| *brought >= limit)
        {
            return Err(Refusal::QuotaOfSpoke {
                label: bringer.clone(),
                limit,
            });
        }
        // First: an author who asks again must not hear that somebody else has her name.
        if let Some(blog) = self.blogs.get(&id) {
            return Err(Refusal::HasName(blog.name.clone()));
        }
        let claim = claim_of(request, entry).ok_or(Refusal::NotAClaim(entry))?;
        self.check_claim(now, claim)?;
        // Last, since it costs most.
        let chain = prove(id, request)?;
        let author = chain
            .link(entry)
            .and_then(|link| link.authors.first())
            .ok_or(Refusal::NotAClaim(entry))?;
        let ring = chain.ring(entry).ok_or(Refusal::NotAClaim(entry))?;
        let candidates: Vec<_> = self
            .admitted()
            .map(|(label, s)| Candidate {
                label,
                operator: &s.operator,
                blogs: s.blogs,
            })
            .collect();
        let replicas = usize::try_from(self.founding.policy.replicas).unwrap_or(1);
        let placed = placement::place(id, asked, &candidates, replicas).ok_or(Refusal::NoSpokes)?;
        let blog = BlogRecord {
            name: claim.name.clone(),
            author: author.clone(),
            set: Set {
                epoch: 1,
                members: placed.members,
            },
            closing: None,
            covered: BTreeSet::new(),
            shortfall: placed.shortfall,
            keys_at: last_keys(&chain, entry).unwrap_or(id),
            ended: ring.ended().clone(),
            since: now,
        };
        Ok(Change::Blog {
            id,
            blog,
            brought: bringer.clone(),
        })
    }

    /// Whether a name may be given by this claim, whoever signed it.
    ///
    /// # Errors
    /// Each refusal that needs no proof.
    pub fn check_claim(&self, now: Time, claim: &Claim) -> Result<(), Refusal> {
        if claim.network != self.network {
            return Err(Refusal::ClaimForOtherNetwork {
                named: claim.network,
            });
        }
        let not_after = claim.not_after;
        if not_after < now {
            return Err(Refusal::ClaimExpired { not_after });
        }
        if not_after.since(now) > CLAIM_SECONDS_MAX + CLOCK_SECONDS {
            return Err(Refusal::ClaimTooFar { not_after });
        }
        if is_reserved(&claim.name) {
            return Err(Refusal::NameReserved(claim.name.clone()));
        }
        if self.names.contains_key(&claim.name) {
            return Err(Refusal::NameTaken(claim.name.clone()));
        }
        Ok(())
    }

    fn keys(
        &self,
        now: Time,
        request: &Request,
        id: BlogId,
        entry: EntryId,
    ) -> Result<Change, Refusal> {
        self.bringer(request.signed.key)?;
        let blog = self.blogs.get(&id).ok_or(Refusal::NoSuchBlog(id))?;
        let today = (now.as_unix().div_euclid(DAY), id);
        let taken = self.keyed.get(&today).copied().unwrap_or_default();
        if taken >= KEYS_PER_DAY_MAX {
            return Err(Refusal::QuotaOfKeys(KEYS_PER_DAY_MAX));
        }
        let chain = prove(id, request)?;
        let is_keys = chain
            .link(entry)
            .is_some_and(|link| link.kind == Kind::Keys);
        let ring = chain
            .ring(entry)
            .filter(|_| is_keys)
            .ok_or(Refusal::NotAClaim(entry))?;
        if !chain.reaches(entry, blog.keys_at) || entry == blog.keys_at {
            return Err(Refusal::KeysForked(blog.keys_at));
        }
        Ok(Change::Keys(id, entry, ring.ended().clone()))
    }

    fn close(
        &self,
        key: NodeKey,
        ids: Vec<BlogId>,
        epoch: u64,
        members: Vec<Label>,
    ) -> Result<Change, Refusal> {
        if self.seats.node(key).is_none() {
            self.organizer(key)?;
        }
        for id in &ids {
            let blog = self.blogs.get(id).ok_or(Refusal::NoSuchBlog(*id))?;
            if blog.set.epoch != epoch {
                return Err(Refusal::OldEpoch {
                    open: blog.set.epoch,
                    named: epoch,
                });
            }
        }
        for label in &members {
            let spoke = self
                .spokes
                .get(label)
                .ok_or_else(|| Refusal::NoSuchSpoke(label.clone()))?;
            if !spoke.is_admitted() {
                return Err(Refusal::BadSet("names a spoke that is not admitted"));
            }
        }
        Ok(Change::Close(
            ids,
            Set {
                epoch: epoch + 1,
                members,
            },
        ))
    }

    /// Judges whether a closed set may be replaced (SPEC receipt 3): enough old members have sealed,
    /// and a majority of the new ones hold all that any of those had.
    fn open(&self, request: &Request, id: BlogId, epoch: u64) -> Result<Change, Refusal> {
        let blog = self.blogs.get(&id).ok_or(Refusal::NoSuchBlog(id))?;
        let closing = blog.closing.as_ref().ok_or(Refusal::NotClosed(id))?;
        if closing.next.epoch != epoch {
            return Err(Refusal::OldEpoch {
                open: blog.set.epoch,
                named: epoch,
            });
        }
        let seals = self.seals(id, &blog.set, &request.statements);
        let needed = blog.set.seals_needed();
        if seals.len() < needed {
            return Err(Refusal::TooFewSeals {
                needed,
                found: seals.len(),
            });
        }
        let tips: BTreeSet<Tip> = seals.values().flat_map(|seal| seal.tips.clone()).collect();
        let found = self.covering(id, &closing.next, &tips, &request.statements);
        let needed = closing.next.majority();
        if found < needed {
            return Err(Refusal::TooFewReceipts { needed, found });
        }
        Ok(Change::Open(id, tips))
    }

    /// Good seals of this set by its members, one each.
    fn seals(&self, blog: BlogId, set: &Set, statements: &[Signed]) -> BTreeMap<Label, Seal> {
        let good = statements.iter().filter_map(|signed| {
            let seal = Seal::parse(signed.text.as_bytes()).ok()?;
            let fits = seal.network == self.network
                && seal.blog == blog
                && seal.epoch == set.epoch
                && set.has(&seal.spoke)
                && self.spokes.get(&seal.spoke)?.key == signed.key
                && signed.is_good();
            fits.then(|| (seal.spoke.clone(), seal))
        });
        good.collect()
    }

    /// How many members of the new set hold each of these tips in its epoch.
    fn covering(
        &self,
        blog: BlogId,
        next: &Set,
        tips: &BTreeSet<Tip>,
        statements: &[Signed],
    ) -> usize {
        let mut held: BTreeMap<Label, BTreeSet<Tip>> = BTreeMap::new();
        for receipt in statements
            .iter()
            .filter_map(|s| Receipt::check(s.clone()).ok())
        {
            let fits = receipt.held.blog == blog
                && receipt.held.epoch == next.epoch
                && next.has(&receipt.held.spoke)
                && self.counts(&receipt);
            if fits {
                held.entry(receipt.held.spoke)
                    .or_default()
                    .insert(receipt.held.tip);
            }
        }
        held.values().filter(|held| tips.is_subset(held)).count()
    }

    fn make(&mut self, now: Time, change: Change) -> Touched {
        match change {
            Change::Invite(token, invite) => {
                self.invites.retain(|_, invite| invite.expires >= now);
                self.invites.insert(token, invite);
                Touched::Nothing
            }
            Change::Join(token, label, spoke) => {
                if let Some(invite) = self.invites.get_mut(&token) {
                    invite.used = true;
                }
                self.spokes.insert(label, spoke);
                Touched::Spokes
            }
            Change::Standing(label, standing) => {
                if let Some(spoke) = self.spokes.get_mut(&label) {
                    spoke.standing = standing;
                }
                Touched::Spokes
            }
            Change::Stand(token, node) => {
                if let Some(invite) = self.invites.get_mut(&token) {
                    invite.used = true;
                }
                self.seats.add(node, Sits::Asks { since: now });
                Touched::Nothing
            }
            Change::Sits(label, to) => {
                self.seats.set(&label, to);
                Touched::Council
            }
            Change::Recover(council) => {
                let filled = self.head.records - 1;
                self.seats.recover(council, filled, now);
                Touched::Council
            }
            Change::Blog { id, blog, brought } => {
                let today = now.as_unix().div_euclid(DAY);
                self.brought.retain(|(day, _), _| *day >= today);
                *self.brought.entry((today, brought)).or_default() += 1;
                self.count(&blog.set.members, 1);
                self.names.insert(blog.name.clone(), id);
                self.by_author
                    .entry(blog.author.clone())
                    .or_default()
                    .insert(id);
                if blog.ended.contains(&blog.author) {
                    self.ended.insert(blog.author.clone());
                }
                match self.blogs.insert(id, blog) {
                    None => Touched::NewBlog(id),
                    Some(_) => Touched::Blog(id),
                }
            }
            Change::Keys(id, entry, ended) => {
                self.note_keys(now, id, entry, ended);
                Touched::Blog(id)
            }
            Change::Close(ids, next) => {
                for id in &ids {
                    if let Some(blog) = self.blogs.get_mut(id) {
                        blog.closing = Some(Closing { next: next.clone() });
                    }
                }
                Touched::Blogs(ids)
            }
            Change::Open(id, covered) => {
                let Some(blog) = self.blogs.get_mut(&id) else {
                    return Touched::Nothing;
                };
                let Some(closing) = blog.closing.take() else {
                    return Touched::Nothing;
                };
                let old = core::mem::replace(&mut blog.set, closing.next);
                blog.covered = covered;
                let new = blog.set.members.clone();
                self.count(&old.members, -1);
                self.count(&new, 1);
                Touched::Blog(id)
            }
        }
    }

    fn note_keys(&mut self, now: Time, id: BlogId, entry: EntryId, ended: BTreeSet<Fingerprint>) {
        let today = now.as_unix().div_euclid(DAY);
        self.keyed.retain(|(day, _), _| *day >= today);
        *self.keyed.entry((today, id)).or_default() += 1;
        if let Some(blog) = self.blogs.get_mut(&id) {
            blog.keys_at = entry;
            blog.ended.extend(ended);
            if blog.ended.contains(&blog.author) {
                self.ended.insert(blog.author.clone());
            }
        }
    }

    fn count(&mut self, members: &[Label], by: isize) {
        for label in members {
            if let Some(spoke) = self.spokes.get_mut(label) {
                spoke.blogs = spoke.blogs.saturating_add_signed(by);
            }
        }
    }
}

/// Judges the entries that come with a request.
fn prove(blog: BlogId, request: &Request) -> Result<Chain, Refusal> {
    if request.proof.len() > PROOF_ENTRIES_MAX {
        return Err(Refusal::ProofTooLong(request.proof.len()));
    }
    let mut chain = Chain::skeletal(blog);
    for sealed in &request.proof {
        chain.accept(sealed.clone())?;
    }
    Ok(chain)
}

fn claim_of(request: &Request, entry: EntryId) -> Option<&Claim> {
    let sealed = request
        .proof
        .iter()
        .find(|sealed| sealed.entry().id() == entry)?;
    match &sealed.entry().draft()?.says {
        Says::Blog { claim, .. } => claim.as_ref(),
        Says::Claim { claim, .. } => Some(claim),
        _ => None,
    }
}

/// The last `keys` entry before this one, on its own branch.
fn last_keys(chain: &Chain, entry: EntryId) -> Option<EntryId> {
    let mut at = Some(entry);
    while let Some((id, link)) = at.and_then(|id| Some((id, chain.link(id)?))) {
        if link.kind == Kind::Keys {
            return Some(id);
        }
        at = link.previous;
    }
    None
}
