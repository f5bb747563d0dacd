//! Requests about blogs: names, keys, and where a blog is at home (SPEC registry 3.6, 3.7, 3.22 to 3.27).

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};

use spokes_log::{
    chain::Chain,
    draft::{Claim, Kind, Role, Says},
    name::{BlogId, EntryId, Hash},
    ring::check_text,
    seal::RawSignature,
    time::Time,
};

use super::{CLAIM_SECONDS_MAX, CLOCK_SECONDS, Change, DAY, KEYS_PER_DAY_MAX, Registry};
use crate::{
    health::Takes,
    node::{Label, NodeKey},
    openpgpkey::{certificate, mailbox},
    placement,
    record::{BlogRecord, DEMAND_MAX, Demand, Set},
    refusal::Refusal,
    request::{Home, MEMBERS_MAX, PROOF_ENTRIES_MAX, Request, Word},
    reserved::is_reserved,
};

impl Registry {
    pub(super) fn claim(
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
        let link = chain.link(entry).ok_or(Refusal::NotAClaim(entry))?;
        let author = link.authors.first().ok_or(Refusal::NotAClaim(entry))?;
        let ring = chain.ring(entry).ok_or(Refusal::NotAClaim(entry))?;
        let candidates = self.candidates();
        let replicas = usize::try_from(self.founding.policy.replicas).unwrap_or(1);
        let placed = placement::place(id, asked, &candidates, replicas).ok_or(Refusal::NoSpokes)?;
        // There is nothing yet that a member could lack.
        let holders = placed
            .members
            .iter()
            .map(|label| (label.clone(), self.head.records));
        let mailbox = mailbox(&claim.name, &self.founding.domain);
        let at = now.max(link.signed);
        let shown = certificate(ring, author, ring.ended(), &mailbox, at);
        let blog = BlogRecord {
            holders: holders.collect(),
            replicas: None,
            demand: Demand::default(),
            home: None,
            homed: None,
            forced: None,
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
            blog: Box::new(blog),
            brought: bringer.clone(),
            shown,
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

    pub(super) fn keys(
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
        let link = chain.link(entry).filter(|link| link.kind == Kind::Keys);
        let link = link.ok_or(Refusal::NotAClaim(entry))?;
        let ring = chain.ring(entry).ok_or(Refusal::NotAClaim(entry))?;
        if !chain.reaches(entry, blog.keys_at) || entry == blog.keys_at {
            return Err(Refusal::KeysForked(blog.keys_at));
        }
        let mailbox = mailbox(&blog.name, &self.founding.domain);
        let at = now.max(link.signed);
        let shown = certificate(ring, &blog.author, &blog.ended, &mailbox, at);
        Ok(Change::Keys {
            id,
            entry,
            ended: ring.ended().clone(),
            shown,
        })
    }

    fn known(&self, id: BlogId) -> Result<&BlogRecord, Refusal> {
        self.blog(id).ok_or(Refusal::NoSuchBlog(id))
    }

    /// Whether a spoke may become a blog's primary.
    fn can_be_home(&self, to: &Label) -> Result<(), Refusal> {
        let spoke = self.let_in(to)?;
        if spoke.is_well() && !spoke.is_leaving() && spoke.takes != Takes::Nothing {
            Ok(())
        } else {
            Err(Refusal::CannotTake(to.clone()))
        }
    }

    /// An organizer moves a blog.
    pub(super) fn move_to(
        &self,
        now: Time,
        key: NodeKey,
        id: BlogId,
        to: Label,
    ) -> Result<Change, Refusal> {
        self.organizer(key)?;
        let blog = self.known(id)?;
        self.can_be_home(&to)?;
        if *blog.set.primary() == to && blog.home.is_none() {
            return Err(Refusal::NothingNew);
        }
        Ok(Change::Home {
            id,
            to,
            since: now,
            hers: None,
        })
    }

    /// An author moves her blog, whatever spokes and organizers think of it: once a day, since others pay for it.
    pub(super) fn home(
        &self,
        now: Time,
        request: &Request,
        id: BlogId,
        hash: Hash,
    ) -> Result<Change, Refusal> {
        self.bringer(request.signed.key)?;
        let blog = self.known(id)?;
        let word = request
            .word
            .as_ref()
            .filter(|word| Hash::of(word.text.as_bytes()) == hash);
        let word = word.ok_or(Refusal::WordMissing)?;
        let home = Home::parse(word.text.as_bytes())?;
        if home.network != self.network || home.blog != id {
            return Err(Refusal::WrongNetwork {
                ours: self.network,
                named: Some(home.network),
            });
        }
        let age = now.since(home.time);
        // An older word of hers than the last one that was taken could be anybody's replay.
        let is_new = blog.homed.is_none_or(|(said, _)| home.time > said);
        if !is_new || !(-CLOCK_SECONDS..=CLAIM_SECONDS_MAX).contains(&age) {
            return Err(Refusal::WordTooOld(home.time));
        }
        if blog.homed.is_some_and(|(_, taken)| now.since(taken) < DAY) {
            return Err(Refusal::HomedToday);
        }
        self.can_be_home(&home.spoke)?;
        // Last, since it costs most.
        self.is_hers(id, blog, request, word, home.time)?;
        let to = home.spoke;
        Ok(Change::Home {
            id,
            to,
            since: now,
            hers: Some(home.time),
        })
    }

    /// Whether an own key of the blog that has not ended signed this.
    fn is_hers(
        &self,
        id: BlogId,
        blog: &BlogRecord,
        request: &Request,
        word: &Word,
        at: Time,
    ) -> Result<(), Refusal> {
        let chain = prove(id, request)?;
        let last = request.proof.last().map(|sealed| sealed.entry().id());
        let ring = last
            .and_then(|last| chain.ring(last))
            .ok_or(Refusal::WordMissing)?;
        let signatures = RawSignature::parse_all(&word.signature);
        let signatures = signatures.map_err(|_| Refusal::BadSignature)?;
        let [signature] = signatures.as_slice() else {
            return Err(Refusal::BadSignature);
        };
        let own = ring.keys().filter(|(key, role, _)| {
            *role == Role::Own && !ring.has_ended(key) && !blog.ended.contains(key)
        });
        let mut judged = Err(Refusal::BadSignature);
        for (_, _, certificate) in own {
            judged = check_text(certificate, &word.text, signature, at).map_err(Refusal::Proof);
            if judged.is_ok() {
                break;
            }
        }
        judged
    }

    /// How many replicas an organizer wants a blog to have.
    pub(super) fn replicas(
        &self,
        key: NodeKey,
        id: BlogId,
        replicas: u64,
    ) -> Result<Change, Refusal> {
        self.organizer(key)?;
        let blog = self.known(id)?;
        if replicas == 0 || replicas > MEMBERS_MAX as u64 {
            return Err(Refusal::BadSet("has from 1 to 9 members"));
        }
        if blog.replicas == Some(replicas) {
            return Err(Refusal::NothingNew);
        }
        Ok(Change::Replicas(id, replicas))
    }

    /// How many more its primary needs for its readers.
    pub(super) fn demand(
        &self,
        now: Time,
        key: NodeKey,
        id: BlogId,
        more: u64,
    ) -> Result<Change, Refusal> {
        let blog = self.known(id)?;
        self.is_primary(key, blog)?;
        if more > DEMAND_MAX {
            return Err(Refusal::BadSet(
                "has at most 4 members more for its readers",
            ));
        }
        if more == blog.demand.more {
            return Err(Refusal::NothingNew);
        }
        let seconds = i64::try_from(self.founding.policy.demand_seconds).unwrap_or(i64::MAX);
        let since = blog.demand.since;
        if since.is_some_and(|since| now.since(since) < seconds) {
            return Err(Refusal::TooSoon(seconds));
        }
        Ok(Change::Demand(id, more))
    }

    fn is_primary(&self, key: NodeKey, blog: &BlogRecord) -> Result<(), Refusal> {
        let label = self.bringer(key)?;
        if label == blog.set.primary() {
            Ok(())
        } else {
            Err(Refusal::NotPrimary(label.clone()))
        }
    }

    /// A spoke has these blogs, and keeps up: only what is new is taken.
    pub(super) fn holds(&self, label: Label, ids: Vec<BlogId>) -> Result<Change, Refusal> {
        let is_new = |id: &BlogId| {
            let blog = self.blogs.get(id);
            blog.is_some_and(|blog| blog.set.has(&label) && !self.holds_blog(blog, &label))
        };
        let new: Vec<_> = ids.into_iter().filter(is_new).collect();
        if new.is_empty() {
            return Err(Refusal::NothingNew);
        }
        Ok(Change::Holds(label, new))
    }

    /// Whether a member holds all of a blog, and has said so since it last fell.
    pub fn holds_blog(&self, blog: &BlogRecord, label: &Label) -> bool {
        let said = blog.holders.get(label);
        let fell = self.spokes.get(label).map_or(0, |spoke| spoke.fell);
        said.is_some_and(|said| *said > fell)
    }

    /// The primary has read what was missing.
    pub(super) fn whole(&self, key: NodeKey, id: BlogId, epoch: u64) -> Result<Change, Refusal> {
        let blog = self.known(id)?;
        self.is_primary(key, blog)?;
        if blog.set.epoch != epoch {
            return Err(Refusal::OldEpoch {
                open: blog.set.epoch,
                named: epoch,
            });
        }
        if blog.forced.is_none() {
            return Err(Refusal::NothingNew);
        }
        Ok(Change::Whole(id))
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
