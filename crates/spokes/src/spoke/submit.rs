//! Taking in what authors send: entries, media, claims, restored logs.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::{
    draft::{Claim, Medium, Says},
    entry::Entry,
    fault::Fault,
    name::{BlogId, BlogName, EntryId, Hash},
    ring::VerifiedEntry,
    seal::{BLOCK_BYTES_MAX, Pasted, RawSignature, SealedEntry},
    time::Time,
};
use spokes_rules::{
    node::{Label, Signed},
    primary::{Brings, Refusal},
    receipt::Receipt,
    registry::{self, BlogRecord},
    replica::{Answer, Event, Standing},
    request::{Ask as Asked, Request as Wanted, Wish, Word},
    reserved::is_reserved,
};

use super::{Spoke, follow::Unknown};
use crate::{
    client::{Ask, Reply},
    clock,
    council::{self, unavailable},
    http::{self as web, Response},
    outage::Outage,
    store::Write,
    wire::{
        self, ClaimWire, EntryWire, HeadTipWire, Problem, RequestWire, SignedWire, StandingWire,
        TakenWire,
    },
};

/// How long an author's tool waits for *safe* before it is told *accepted*.
const SAFE_WAIT: Duration = Duration::from_secs(5);
/// How long a staged entry waits for its media.
const STAGED_SECONDS: i64 = 72 * 60 * 60;
/// Entries of one blog that wait for their media: an author goes on behind one that does not.
const STAGED_MAX: usize = 32;
/// How long a claim waits until this spoke has followed the registry to it.
pub(super) const FOLLOW_WAIT: Duration = Duration::from_secs(5);
/// How long the other members find entries of a blog in the feed of one that took some in place of
/// its primary: twenty times as long as it takes until tips are compared anyway.
pub(super) const STANDS_IN_FOR: Duration = Duration::from_secs(600);
/// Bytes of a restored batch.
pub(super) const BATCH_BYTES_MAX: usize = 48 * 1024 * 1024;

impl Spoke {
    /// `POST blogs/NAME/entries` (SPEC http 2.5).
    pub(super) async fn post_entry(
        self: Arc<Self>,
        name: &BlogName,
        request: Request<Incoming>,
    ) -> Response {
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|v| v.to_str().ok())
                .map(str::to_owned)
        };
        let (hop, refused_by) = (header("spokes-hop"), header("spokes-refused-by"));
        match web::body(request, BLOCK_BYTES_MAX).await {
            Ok(body) => self.take_entry(name, body, hop.is_some(), refused_by).await,
            Err(response) => response,
        }
    }

    /// Takes in one entry, or passes it on to who does.
    pub(super) async fn take_entry(
        self: Arc<Self>,
        name: &BlogName,
        body: Bytes,
        hopped: bool,
        refused_by: Option<String>,
    ) -> Response {
        let (entry, signatures) = match read_entry(&body) {
            Ok(read) => read,
            Err(why) => return invalid(&why),
        };
        if self.named(name).is_none() && claims(&entry, name) {
            return match self.no_room_for(name) {
                Some(no_room) => no_room,
                None => self.claim_by_first(entry, &signatures).await,
            };
        }
        // Else what it was before it slept is what it takes itself for.
        self.wake_up().await;
        let (blog, record) = match self.look_up(name).await {
            Ok(known) => known,
            Err(unknown) => return no_such_blog(name, unknown),
        };
        if entry.blog() != blog {
            return other_blog(name, &entry);
        }
        let member = record.set.has(&self.me);
        let here = *record.set.primary() == self.me || refused_by.is_some() && member;
        if !here {
            return self
                .pass_on(&record, name, &body, hopped, refused_by.as_deref())
                .await;
        }
        if let Some(full) = self.takes_nothing() {
            return full;
        }
        self.ready(blog).await;
        let submitted = Arc::clone(&self)
            .submit(blog, &record, entry, &signatures, refused_by.is_some())
            .await;
        match (submitted, self.look_up(name).await) {
            (Ok(response), _) => response,
            // Another is the primary by now: it has the entry, or takes it.
            (Err(_), Ok((_, record))) if !hopped => {
                let by = refused_by.as_deref();
                self.pass_on(&record, name, &body, hopped, by).await
            }
            (Err(label), _) => web::refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                format!("{label} became the primary just now. Nothing was lost; send it again."),
            ),
        }
    }

    /// Submits an entry; gives back who is the primary instead.
    async fn submit(
        self: Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        entry: Entry,
        signatures: &[RawSignature],
        refused_elsewhere: bool,
    ) -> Result<Response, Label> {
        let id = entry.id();
        let known = self.with(blog, |r| {
            r.chain().contains(id) && r.chain().eraser(id).is_none()
        });
        if known == Some(true) {
            return self.wait(blog, record, id, None).await;
        }
        let Some(place) = self.with(blog, |replica| replica.chain().place(&entry)) else {
            return Ok(unreadable());
        };
        let verified = match place.and_then(|place| place.seal(entry, signatures)) {
            Ok(verified) => verified,
            Err(fault) => return Ok(fault_response(&fault)),
        };
        if let Some(medium) = self.of_other_size(verified.entry()) {
            return Ok(invalid(&format!(
                "the entry says that {} has {} bytes, and it has not; sign what it is",
                medium.hash, medium.bytes
            )));
        }
        let missing = self.missing_media(verified.entry());
        if !missing.is_empty() {
            if let Err(refusal) = self.room_to_stage(blog, verified.sealed()) {
                return Ok(self.refused(blog, &refusal));
            }
            return Ok(self.stage(record, &verified, &missing).await);
        }
        self.wait(blog, record, id, Some((verified, refused_elsewhere)))
            .await
    }

    /// Submits an entry, unless it is here already, and waits until it is safe.
    async fn wait(
        self: Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        id: EntryId,
        submit: Option<(VerifiedEntry, bool)>,
    ) -> Result<Response, Label> {
        let (ticket, answer) = self.ticket(blog);
        if submit.is_some() && *record.set.primary() != self.me {
            let mut stood_in = self.stood_in.lock().unwrap_or_else(PoisonError::into_inner);
            stood_in.retain(|_, since| since.elapsed() < STANDS_IN_FOR);
            stood_in.insert(blog, Instant::now());
        }
        let handed = match submit {
            Some((entry, refused_elsewhere)) => self.with(blog, |replica| {
                let event = Event::Submitted {
                    ticket,
                    entry,
                    refused_elsewhere,
                };
                replica.handle(clock::now(), event);
            }),
            None => self.with(blog, |replica| {
                replica.handle(clock::now(), Event::Waits { ticket, id });
            }),
        };
        if handed.is_none() {
            return Ok(unreadable());
        }
        let sleeps = self.sleeps();
        let mut answer = answer;
        let mut answered = tokio::time::timeout(SAFE_WAIT, &mut answer).await;
        if answered.is_err() && self.sleeps() != sleeps {
            // It slept through that time, and another may be the primary: what was accepted may not go on.
            self.wake_up().await;
            answered = tokio::time::timeout(SAFE_WAIT, answer).await;
        }
        Ok(match answered {
            Ok(Ok(Ok(Answer::Safe(receipts)))) => {
                self.standing(StatusCode::CREATED, "safe", record, id, &receipts)
            }
            Ok(Ok(Ok(Answer::Refused(refusal)))) => self.refused(blog, &refusal),
            Ok(Ok(Ok(Answer::Forward(label)))) => return Err(label),
            Ok(Ok(Err(outage))) => unavailable(&outage),
            Ok(Err(_)) => unavailable(&Outage::new("this server is about to stop")),
            Err(_) => {
                self.with(blog, |replica| {
                    replica.handle(clock::now(), Event::GaveUp(ticket))
                });
                self.standing_now(blog, record, id, StatusCode::ACCEPTED)
            }
        })
    }

    /// How far an entry has come, as `POST` answers it.
    pub(super) fn standing_now(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        id: EntryId,
        status: StatusCode,
    ) -> Response {
        match self.with(blog, |replica| replica.standing(id)) {
            Some(Standing::Safe(receipts)) => {
                self.standing(StatusCode::CREATED, "safe", record, id, &receipts)
            }
            Some(Standing::Accepted { receipts, .. }) => {
                self.standing(status, "accepted", record, id, &receipts)
            }
            Some(Standing::Storing) => self.standing(status, "storing", record, id, &[]),
            _ if status == StatusCode::ACCEPTED => unavailable(&Outage::new(
                "This server is still writing what came before the entry, or waits for the council",
            )),
            _ => web::refuse(
                StatusCode::NOT_FOUND,
                "unknown",
                format!("{id} is not here."),
            ),
        }
    }

    fn standing(
        &self,
        status: StatusCode,
        word: &str,
        record: &BlogRecord,
        id: EntryId,
        receipts: &[Receipt],
    ) -> Response {
        let wire = StandingWire {
            status: word.to_owned(),
            id: id.to_string(),
            receipts: receipts
                .iter()
                .map(|r| SignedWire::from(&r.signed))
                .collect(),
            needed: record.set.majority(),
            members: record.set.members.len(),
            missing_media: Vec::new(),
        };
        web::json(status, &wire)
    }

    /// Hands an entry to the primary of its blog.
    async fn pass_on(
        &self,
        record: &BlogRecord,
        name: &BlogName,
        body: &Bytes,
        hopped: bool,
        refused_by: Option<&str>,
    ) -> Response {
        if hopped {
            return not_here(name);
        }
        // An entry that its primary did not take goes to the first member that is another one.
        let members = &record.set.members;
        let other = members
            .iter()
            .find(|label| Some(label.as_str()) != refused_by);
        let primary = other.unwrap_or_else(|| record.set.primary());
        let path = format!("/api/v1/blogs/{name}/entries");
        match self
            .relay_refused(primary, http::Method::POST, &path, body.clone(), refused_by)
            .await
        {
            // Who accepted entries a moment ago does not any more, and this server hears of it later.
            Ok(response) if response.status() == StatusCode::MISDIRECTED_REQUEST => web::refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                format!(
                    "The servers of \"{name}\" change just now. Nothing was lost; send it again in a moment."
                ),
            ),
            Ok(response) => response,
            Err(outage) => web::refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "primary-silent",
                format!(
                    "{primary} accepts entries for \"{name}\" and is silent ({outage}). Nothing was \
                     kept here; your entry is safe with you. Send it again in a moment, or bring it \
                     to another of the blog's servers with the header \"Spokes-Refused-By: {primary}\"."
                ),
            ),
        }
    }

    /// A medium that is here and not as long as the entry says: others would never take the entry in.
    fn of_other_size<'e>(&self, entry: &'e Entry) -> Option<&'e Medium> {
        let media = &entry.draft()?.article()?.media;
        media.iter().find(|medium| {
            let size = self.blobs.size(medium.hash);
            size.is_some_and(|size| size as u64 != medium.bytes)
        })
    }

    pub(super) fn missing_media(&self, entry: &Entry) -> Vec<Hash> {
        let article = entry.draft().and_then(|draft| draft.article());
        let media = article
            .map(|article| article.media.as_slice())
            .unwrap_or_default();
        media
            .iter()
            .map(|m| m.hash)
            .filter(|hash| !self.blobs.has(*hash))
            .collect()
    }

    /// Whether the network's limits have room for these entries, so far as they are not here yet.
    pub(super) fn room_for(
        self: &Arc<Self>,
        blog: BlogId,
        brings: Brings,
        entries: &[SealedEntry],
    ) -> Result<(), Refusal> {
        let judged = self.with(blog, |replica| {
            let entries = entries.iter().map(SealedEntry::entry);
            let new: Vec<&Entry> = entries
                .filter(|entry| !replica.chain().contains(entry.id()))
                .collect();
            replica.has_room(clock::now(), brings, &new)
        });
        judged.unwrap_or(Ok(()))
    }

    /// The same for an entry that would be staged, beside those that are: else a disk could be filled
    /// with media of entries that are never taken in.
    fn room_to_stage(self: &Arc<Self>, blog: BlogId, entry: &SealedEntry) -> Result<(), Refusal> {
        let mut staged = self.store.staged(blog).unwrap_or_default();
        staged.retain(|other| other.entry().id() != entry.entry().id());
        staged.push(entry.clone());
        self.room_for(blog, Brings::New, &staged)
    }

    /// Keeps an entry aside until its media are here (SPEC receipt 1).
    async fn stage(
        &self,
        record: &BlogRecord,
        entry: &VerifiedEntry,
        missing: &[Hash],
    ) -> Response {
        let now = clock::now().as_unix();
        drop(self.store.write(Write::UnstageBefore(now - STAGED_SECONDS)));
        let staged = self.store.staged(entry.entry().blog()).unwrap_or_default();
        let known = staged.iter().any(|s| s.entry().id() == entry.entry().id());
        if !known && staged.len() >= STAGED_MAX {
            let why = format!(
                "{STAGED_MAX} entries of this blog wait for their media here. Nothing was kept; send \
                 the media of those first."
            );
            return web::refuse(StatusCode::TOO_MANY_REQUESTS, "quota", why);
        }
        if let Err(outage) = self
            .store
            .written(Write::Stage(entry.sealed().clone(), now))
            .await
        {
            return unavailable(&outage);
        }
        let wire = StandingWire {
            status: "staged".to_owned(),
            id: entry.entry().id().to_string(),
            receipts: Vec::new(),
            needed: record.set.majority(),
            members: record.set.members.len(),
            missing_media: missing.iter().map(Hash::to_string).collect(),
        };
        web::json(StatusCode::ACCEPTED, &wire)
    }

    /// An entry of kind `blog`, sent to a free name that it claims, claims it.
    pub(super) async fn claim_by_first(
        self: Arc<Self>,
        entry: Entry,
        signatures: &[RawSignature],
    ) -> Response {
        let (id, chain) = (entry.id(), spokes_log::chain::Chain::new(entry.blog()));
        match chain
            .place(&entry)
            .and_then(|place| place.seal(entry, signatures))
        {
            Ok(verified) => self.claim(id, vec![verified.sealed().clone()]).await,
            Err(fault) => fault_response(&fault),
        }
    }

    /// `POST registry/claims` (SPEC http 2.7).
    pub(super) async fn post_claim(self: Arc<Self>, request: Request<Incoming>) -> Response {
        let body = match web::body(request, BATCH_BYTES_MAX).await {
            Ok(body) => body,
            Err(response) => return response,
        };
        let read = wire::read::<ClaimWire>(&body)
            .and_then(|claim| Ok((EntryId::parse(&claim.entry)?, sealed(&claim.entries)?)));
        match read {
            Ok((entry, proof)) => match self.no_room_for_claim(entry, &proof) {
                Some(no_room) => no_room,
                None => self.claim(entry, proof).await,
            },
            Err(why) => invalid(&why),
        }
    }

    /// The same for a claim with its proof; one that was granted before gets its answer in any case.
    fn no_room_for_claim(&self, entry: EntryId, proof: &[SealedEntry]) -> Option<Response> {
        let claiming = proof.iter().find(|sealed| sealed.entry().id() == entry)?;
        let name = claimed(claiming.entry())?;
        let blog = claiming.entry().blog();
        match self.named(name).is_some_and(|(holder, _)| holder == blog) {
            true => None,
            false => self.no_room_for(name),
        }
    }

    /// Takes a claim to the council, as the spoke that the author asked.
    async fn claim(self: Arc<Self>, entry: EntryId, proof: Vec<SealedEntry>) -> Response {
        let Some(blog) = proof.first().map(|sealed| sealed.entry().blog()) else {
            return invalid("the claim brings no entries");
        };
        if let Some(refusal) = self.claims_nothing(blog, entry, &proof) {
            return refusal;
        }
        let what = Wish::Claim {
            blog,
            entry,
            spoke: Some(self.home_of_new()),
        };
        // The claim's own time, so that a repeat is the same request and gets the first answer.
        let claiming = proof.iter().find(|sealed| sealed.entry().id() == entry);
        let time = claiming.map_or_else(clock::now, |s| s.entry().skeleton().signed);
        let last = proof.last().map(|sealed| sealed.entry().clone());
        match self.ask_council(what, time, proof).await {
            Ok(Reply::Good(taken, _)) => self.granted(blog, &taken).await,
            Ok(Reply::Refused(problem)) => self.granted_before(blog, last, &problem).await,
            Err(silent) => web::refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                format!(
                    "The council cannot be reached ({silent}); names are given by it alone. Nothing was \
                     changed; try again in a moment."
                ),
            ),
        }
    }

    /// Brings a request to the council, signed by this spoke; an outage where no node of it answers.
    pub(super) async fn ask_council(
        &self,
        what: Wish,
        time: Time,
        proof: Vec<SealedEntry>,
    ) -> Result<Reply<TakenWire>, Outage> {
        let asked = self.asked_of_council(what, time, proof, None);
        self.send_request(&RequestWire::from(&asked)).await
    }

    /// The same, with what the author herself says.
    pub(super) fn asked_of_council(
        &self,
        what: Wish,
        time: Time,
        proof: Vec<SealedEntry>,
        word: Option<Word>,
    ) -> Wanted {
        let ask = Asked {
            network: Some(self.network),
            time,
            what,
        };
        let signed = Signed::new(&self.secret, &ask);
        Wanted {
            proof,
            word,
            ..Wanted::plain(signed)
        }
    }

    /// Brings a request to the council; an outage where no node of it answers.
    pub(super) async fn send_request(
        &self,
        wanted: &RequestWire,
    ) -> Result<Reply<TakenWire>, Outage> {
        let mut silent = Outage::new("no council node is known");
        let mut refused = None;
        for node in self.council() {
            let path = Ask::new(node, "/api/v1/registry/requests");
            match self.client.post::<_, TakenWire>(path, wanted).await {
                // It may be cut off from the others, or empty; the next one may not.
                Ok(Reply::Refused(problem)) if problem.status == 503 => {
                    refused = refused.or(Some(problem));
                }
                Ok(reply) => {
                    self.answered(node);
                    return Ok(reply);
                }
                Err(outage) => silent = outage,
            }
        }
        refused.map_or(Err(silent), |problem| Ok(Reply::Refused(problem)))
    }

    /// Why a claim is not worth a request to the council, of which this spoke has so many a second.
    fn claims_nothing(
        &self,
        blog: BlogId,
        entry: EntryId,
        proof: &[SealedEntry],
    ) -> Option<Response> {
        let claiming = proof.iter().find(|sealed| sealed.entry().id() == entry);
        let claim = claiming.and_then(|sealed| claim_of(sealed.entry()));
        let Some(claim) = claim else {
            return Some(invalid("no entry that was sent claims a name"));
        };
        let holder = self.named(&claim.name).map(|(holder, _)| holder);
        if holder == Some(blog) {
            return None;
        }
        let judged = self.ask(|registry| registry.check_claim(clock::now(), claim));
        judged?.err().map(|refusal| council::refused(&refusal))
    }

    /// A claim refused because the name is taken, perhaps by this very blog through another spoke: then
    /// a repeat gets the first answer.
    async fn granted_before(
        self: &Arc<Self>,
        blog: BlogId,
        last: Option<Entry>,
        problem: &Problem,
    ) -> Response {
        let name = last.as_ref().and_then(claimed);
        let other_name = self.ask(|r| r.blog(blog).is_some()).unwrap_or(false);
        let Some(name) = name.filter(|name| problem.kind == "taken" && !is_reserved(name)) else {
            return web::problem(problem);
        };
        if !other_name {
            let mut followed = self.followed.subscribe();
            let heard = followed.wait_for(|_| self.named(name).is_some());
            drop(tokio::time::timeout(FOLLOW_WAIT, heard).await);
        }
        match self.named(name) {
            Some((holder, record)) if holder == blog => {
                web::json(StatusCode::CREATED, &self.blog_wire(blog, &record))
            }
            _ => web::problem(problem),
        }
    }

    /// Answers once this spoke has heard of the name itself.
    async fn granted(self: &Arc<Self>, blog: BlogId, taken: &TakenWire) -> Response {
        let reached = self.followed_to(taken.index + 1);
        // The answer says whether it has come.
        drop(tokio::time::timeout(FOLLOW_WAIT, reached).await);
        let record = self.ask(|registry| registry.blog(blog).cloned()).flatten();
        match record {
            Some(record) => web::json(StatusCode::CREATED, &self.blog_wire(blog, &record)),
            None => web::refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "The name is granted, but this server has not heard of it yet. Ask again in a moment.",
            ),
        }
    }

    pub(super) fn refused(self: &Arc<Self>, blog: BlogId, refusal: &Refusal) -> Response {
        let mut wire = Problem {
            detail: refusal.to_string(),
            ..Problem::default()
        };
        let (kind, status) = match refusal {
            Refusal::Invalid(fault) => return fault_response(fault),
            Refusal::Stale { .. } => ("stale", StatusCode::CONFLICT),
            Refusal::SlugTaken { by, .. } => {
                wire.by = Some(by.to_string());
                ("slug-taken", StatusCode::CONFLICT)
            }
            Refusal::Erased(_) => ("erased", StatusCode::GONE),
            Refusal::NotReady | Refusal::StillWriting => ("busy", StatusCode::SERVICE_UNAVAILABLE),
            Refusal::TooManyToday { .. } => ("quota", StatusCode::TOO_MANY_REQUESTS),
            Refusal::BlogFull { .. } => ("full", StatusCode::INSUFFICIENT_STORAGE),
            Refusal::Future { .. } | Refusal::EndedKey(_) | Refusal::TooManyBranches(_) => {
                ("refused", StatusCode::CONFLICT)
            }
        };
        if kind == "stale" {
            wire.head = self.head(blog);
        }
        wire.kind = kind.to_owned();
        wire.title = kind.replace('-', " ");
        wire.status = status.as_u16();
        web::problem(&wire)
    }

    /// The durable head behind which an author goes on.
    pub(super) fn head(self: &Arc<Self>, blog: BlogId) -> Option<HeadTipWire> {
        self.with(blog, |replica| {
            let tip = *replica.durable_tips().last()?;
            let signed = replica.chain().link(tip.id)?.signed.to_string();
            Some(HeadTipWire {
                sequence: tip.sequence,
                id: tip.id.to_string(),
                signed,
            })
        })
        .flatten()
    }

    /// Passes a request on to another spoke, once.
    pub(super) async fn relay(
        &self,
        to: &Label,
        method: http::Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response, Outage> {
        self.relay_refused(to, method, path, body, None).await
    }

    /// The same, naming who refused it before.
    async fn relay_refused(
        &self,
        to: &Label,
        method: http::Method,
        path: &str,
        body: Bytes,
        refused_by: Option<&str>,
    ) -> Result<Response, Outage> {
        let address = self
            .address(to)
            .ok_or_else(|| Outage::new(format!("{to} is not among the spokes any more")))?;
        let host = address.to_string();
        self.client
            .relay(address, &host, method, path, body, refused_by)
            .await
    }
}

/// Whether the entry begins a blog and claims this name for it.
fn claims(entry: &Entry, name: &BlogName) -> bool {
    entry.skeleton().previous.is_none() && claimed(entry) == Some(name)
}

/// The name that an entry claims, if it claims one.
fn claimed(entry: &Entry) -> Option<&BlogName> {
    claim_of(entry).map(|claim| &claim.name)
}

fn claim_of(entry: &Entry) -> Option<&Claim> {
    match &entry.draft()?.says {
        Says::Blog { claim, .. } => claim.as_ref(),
        Says::Claim { claim, .. } => Some(claim),
        _ => None,
    }
}

/// Somebody else has the name. Whoever claims it hears so, as she would from the council.
fn other_blog(name: &BlogName, entry: &Entry) -> Response {
    if claims(entry, name) {
        let why = registry::Refusal::NameTaken(name.clone()).to_string();
        return web::refuse(StatusCode::CONFLICT, "taken", why);
    }
    invalid(&Fault::OtherBlog(entry.blog()).to_string())
}

/// Reads an entry as JSON, or as a cleartext-signed block.
fn read_entry(body: &[u8]) -> Result<(Entry, Vec<RawSignature>), String> {
    if body.trim_ascii_start().starts_with(b"-----BEGIN") {
        let pasted = Pasted::parse(body).map_err(|e| e.to_string())?;
        let entry = Entry::parse(pasted.text.as_bytes()).map_err(|e| e.to_string())?;
        return Ok((entry, pasted.signatures));
    }
    let wire: EntryWire = wire::read(body).map_err(|e| {
        format!(
            "the body is neither a block that \"gpg --clearsign\" wrote nor JSON as in SPEC http 1.1 \
             ({e})"
        )
    })?;
    let entry = Entry::parse(wire.text.as_bytes()).map_err(|e| e.to_string())?;
    let mut signatures = Vec::new();
    for packet in wire.packets().map_err(|e| e.to_string())? {
        signatures.extend(RawSignature::parse_all(&packet).map_err(|e| e.to_string())?);
    }
    Ok((entry, signatures))
}

pub(super) fn sealed(entries: &[EntryWire]) -> Result<Vec<SealedEntry>, String> {
    entries
        .iter()
        .map(|wire| wire.sealed().map_err(|e| e.to_string()))
        .collect()
}

pub(super) fn invalid(why: &str) -> Response {
    web::refuse(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid",
        format!("Nothing was kept: {why}."),
    )
}

pub(super) fn fault_response(fault: &Fault) -> Response {
    let Fault::MissingParent(missing) = fault else {
        return invalid(&fault.to_string());
    };
    web::problem(&Problem {
        kind: "missing".to_owned(),
        title: "missing".to_owned(),
        status: StatusCode::CONFLICT.as_u16(),
        detail: fault.to_string(),
        missing: Some(missing.to_string()),
        ..Problem::default()
    })
}

fn unreadable() -> Response {
    unavailable(&Outage::new("This blog's copy cannot be read here"))
}

pub(super) fn no_such_blog(name: &BlogName, unknown: Unknown) -> Response {
    match unknown {
        Unknown::Nowhere => {
            let why = format!("There is no blog \"{name}\" on this network.");
            web::refuse(StatusCode::NOT_FOUND, "no-such-blog", why)
        }
        Unknown::CouncilSilent => {
            let why = format!(
                "This server knows no blog \"{name}\", and the council, which may know a newer one, does \
                 not answer. Nothing was changed; ask again in a moment, or ask another server."
            );
            web::refuse(StatusCode::SERVICE_UNAVAILABLE, "busy", why)
        }
    }
}

pub(super) fn not_here(name: &BlogName) -> Response {
    web::refuse(
        StatusCode::MISDIRECTED_REQUEST,
        "not-here",
        format!("This spoke does not hold \"{name}\". Ask the registry who does."),
    )
}
