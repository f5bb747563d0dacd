//! Offers: what was accepted in an epoch that was closed without it, kept until its author says what
//! shall become of it (SPEC receipt 6). Whoever has some gives them to the blog's primary.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::{
    name::{BlogId, BlogName, EntryId, Fingerprint, Hash},
    ring::VerifiedEntry,
    seal::SealedEntry,
};
use spokes_rules::{
    giving::Giving,
    node::{Label, Signed},
    primary::{Offered, judge_offers},
    registry::BlogRecord,
    replica::Event,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::{
    Spoke,
    submit::{invalid, no_such_blog, not_here, sealed},
};
use crate::{
    client::{Ask, GIVING, Reply},
    clock,
    council::unavailable,
    http::{self as web, Response},
    outage::Outage,
    store::{Apart, Offer, Write},
    wire::{
        self, EntryWire, GIVEN_MAX, GivenWire, GivingWire, OfferWire, OffersWire,
        signed_in_a_header, signed_of_a_header,
    },
};

/// What a member says of an entry that is not in its log: another one stands in its place, or it was erased.
pub(super) const ANSWERED: &str = "answered";
/// How often offers are given to the primary again: it may be another one, or have room by now.
const GIVE_EVERY: Duration = Duration::from_secs(15);
/// Offers of one blog that a primary keeps for others: what one spoke accepts in the seconds in which it
/// does not know yet, and a few times that. What finds no room stays with who gives it.
pub(super) const OFFERS_MAX: usize = 64;
/// Bytes of their texts.
const OFFERS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of texts in one message: so many, or a single entry.
const GIVING_BYTES: usize = 1024 * 1024;
/// Bytes of one message with offers: the longest entry as JSON, where each letter may take two.
const GIVEN_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Spokes that give at once, each one message: what they bring lies in memory. Others come again.
const GIVERS_MAX: usize = 8;
/// How long a giver is asked for media for one message: others wait meanwhile. What is left it gives again.
const MEDIA_WAIT: Duration = Duration::from_secs(30);

/// What belongs to offers.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// There are new ones.
    pub(super) changed: Notify,
    /// Who gives some now.
    givers: Mutex<BTreeSet<Label>>,
    /// What was given is judged by one at a time: it takes a copy of the blog's whole chain.
    judging: tokio::sync::Mutex<()>,
}

/// That somebody gives offers; dropped, it may give more.
#[derive(Debug)]
struct Gives<'a> {
    offers: &'a Offers,
    giver: Label,
}

impl Offers {
    fn begin(&self, giver: &Label) -> Option<Gives<'_>> {
        let mut givers = self.givers.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = givers.len() < GIVERS_MAX && givers.insert(giver.clone());
        // Not made before that is known: dropped, it would end another one's.
        has_room.then(|| Gives {
            offers: self,
            giver: giver.clone(),
        })
    }
}

impl Drop for Gives<'_> {
    fn drop(&mut self) {
        let givers = self.offers.givers.lock();
        givers
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.giver);
    }
}

fn refuse_giving(why: &str) -> Response {
    web::refuse(
        StatusCode::FORBIDDEN,
        "refused",
        format!(
            "Only spokes of this network give back entries, each message signed: {why}. Nothing was taken; \
             keep what you have, and try again when that is mended."
        ),
    )
}

impl Spoke {
    /// Gives back what is kept here for authors, for ever.
    pub(super) async fn give_all_back(self: Arc<Self>) {
        loop {
            match self.store.blogs_with_offers() {
                Ok(blogs) => {
                    for blog in blogs {
                        self.give_back(blog).await;
                    }
                }
                Err(outage) => tracing::error!(%outage, "offers cannot be read"),
            }
            drop(tokio::time::timeout(GIVE_EVERY, self.offers.changed.notified()).await);
        }
    }

    async fn give_back(self: &Arc<Self>, blog: BlogId) {
        let record = self.ask(|registry| registry.blog(blog).cloned()).flatten();
        let (Some(record), Some(_)) = (record, self.heard()) else {
            return;
        };
        let primary = record.set.primary();
        if *primary == self.me {
            self.ready(blog).await;
            let offers = self.store.offers(blog).unwrap_or_default();
            let given = offers.into_iter().map(|offer| offer.sealed).collect();
            let done = self.take_back_in(blog, given).await;
            self.forget_offers(blog, &done).await;
            return;
        }
        if let Err(outage) = self.give_and_forget(&record, blog).await {
            tracing::debug!(%primary, %blog, %outage, "offers were not taken");
        }
    }

    /// Gives the offers of a blog to its primary. They are forgotten when they are in this spoke's own log, or
    /// answered there; where it has no such log, when most members of the set say so. The primary's word alone
    /// could lose them for ever.
    async fn give_and_forget(
        self: &Arc<Self>,
        record: &BlogRecord,
        blog: BlogId,
    ) -> Result<(), Outage> {
        let follows = record.set.has(&self.me) && {
            self.ready(blog).await;
            self.with(blog, |r| r.is_settled()) == Some(true)
        };
        if follows {
            let offers = self.store.offers(blog)?;
            let all = offers.into_iter().map(|offer| offer.sealed).collect();
            let seen = self.judge_given(blog, all).into_iter();
            let seen = seen.filter(|(_, what)| matches!(what, Offered::Here | Offered::Answered));
            let seen: Vec<EntryId> = seen.map(|(entry, _)| entry.entry().id()).collect();
            self.forget_offers(blog, &seen).await;
        }
        let rest = self.store.offers(blog)?;
        let primary = record.set.primary();
        let address = self.address(primary).filter(|_| !rest.is_empty());
        let Some(address) = address else {
            return Ok(());
        };
        let done = self.give_to(address, record, blog, rest.clone()).await?;
        if !follows && !done.is_empty() {
            let done = self.most_have_done_with(record, blog, &rest, done).await;
            self.forget_offers(blog, &done).await;
        }
        Ok(())
    }

    /// Those of which most members of the set say that they are in the log or answered.
    async fn most_have_done_with(
        &self,
        record: &BlogRecord,
        blog: BlogId,
        offers: &[Offer],
        mut done: Vec<EntryId>,
    ) -> Vec<EntryId> {
        let authors = |id: &EntryId| {
            let offer = offers.iter().find(|o| o.sealed.entry().id() == *id)?;
            let authors = offer.sealed.entry().skeleton().authors.iter();
            Some(
                authors
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(","),
            )
        };
        let mut counts: BTreeMap<EntryId, usize> = BTreeMap::new();
        for label in &record.set.members {
            let Some(address) = self.address(label) else {
                continue;
            };
            for id in &done {
                let authors = authors(id).unwrap_or_default();
                let path = format!(
                    "/api/v1/entries/{}?blog={blog}&authors={authors}",
                    id.path()
                );
                let said = self.client.get::<EntryWire>(Ask::new(address, &path)).await;
                let is_done = match said {
                    Ok(Reply::Good(wire, _)) => {
                        wire.sealed().is_ok_and(|sealed| sealed.entry().id() == *id)
                    }
                    Ok(Reply::Refused(problem)) => problem.kind == ANSWERED,
                    Err(_) => break,
                };
                *counts.entry(*id).or_default() += usize::from(is_done);
            }
        }
        let most = record.set.majority();
        done.retain(|id| counts.get(id).is_some_and(|count| *count >= most));
        done
    }

    /// Whether an entry that is not here has its answer in this spoke's copy: another one in its place, or an erase.
    pub(super) fn is_answered(
        self: &Arc<Self>,
        blog: BlogId,
        id: EntryId,
        authors: &[Fingerprint],
    ) -> bool {
        let answered = self.with(blog, |r| {
            r.chain().awaits_erased(id, authors) || r.fold().stands_instead(id, authors)
        });
        answered == Some(true)
    }

    /// Gives offers to a primary; those that it has in its log by then, or its author has answered, as it says.
    async fn give_to(
        self: &Arc<Self>,
        to: SocketAddr,
        record: &BlogRecord,
        blog: BlogId,
        mut rest: Vec<Offer>,
    ) -> Result<Vec<EntryId>, Outage> {
        let path = format!("/api/v1/blogs/{}/offers", record.name);
        let mut done = Vec::new();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |offer: &&Offer| {
                bytes += offer.sealed.entry().text().len();
                bytes <= GIVING_BYTES
            };
            let few = rest.iter().take(GIVEN_MAX).take_while(fits).count();
            let few = few.max(1);
            let giving = GivingWire {
                entries: rest
                    .drain(..few)
                    .map(|offer| EntryWire::from(&offer.sealed))
                    .collect(),
            };
            let body = serde_json::to_vec(&giving)
                .map_err(|e| Outage::new(format!("offers could not be written: {e}")))?;
            let signed = Signed::new(
                &self.secret,
                &Giving {
                    network: self.network,
                    spoke: self.me.clone(),
                    time: clock::now(),
                    blog,
                    body: Hash::of(&body),
                },
            );
            let line = (GIVING, signed_in_a_header(&signed));
            let ask = Ask::new(to, &path);
            let given: GivenWire = self.client.post_signed(ask, line, body).await?.good()?;
            done.extend(given.done.iter().filter_map(|id| Hash::parse(id).ok()));
        }
        Ok(done)
    }

    /// Offers that are none any more go, but those that others follow: without them nobody could judge
    /// these.
    async fn forget_offers(self: &Arc<Self>, blog: BlogId, done: &[EntryId]) {
        let offers = self.store.offers(blog).unwrap_or_default();
        let mut done: Vec<EntryId> = done.to_vec();
        for offer in offers.iter().rev() {
            let entry = offer.sealed.entry();
            if !done.contains(&entry.id()) {
                done.retain(|id| Some(*id) != entry.skeleton().previous);
            }
        }
        if done.is_empty() {
            return;
        }
        let media: Vec<Hash> = offers
            .iter()
            .filter(|offer| done.contains(&offer.sealed.entry().id()))
            .filter_map(|offer| offer.sealed.entry().draft()?.article())
            .flat_map(|article| article.media.iter().map(|medium| medium.hash))
            .collect();
        match self.store.written(Write::Apart(Apart::Forget(done))).await {
            Ok(()) => self.remove_media(media).await,
            Err(outage) => tracing::error!(%outage, "offers could not be forgotten"),
        }
    }

    /// `POST blogs/NAME/offers` (SPEC http 3.8).
    pub(super) async fn post_offers(
        self: Arc<Self>,
        name: &BlogName,
        request: Request<Incoming>,
    ) -> Response {
        self.wake_up().await;
        let (blog, record) = match self.look_up(name).await {
            Ok(known) => known,
            Err(unknown) => return no_such_blog(name, unknown),
        };
        if *record.set.primary() != self.me {
            return not_here(name);
        }
        // Before a byte of it is taken: anybody can reach this.
        let giving = match self.giving_of(blog, &request) {
            Ok(giving) => giving,
            Err(why) => return refuse_giving(&why),
        };
        let Some(_gives) = self.offers.begin(&giving.spoke) else {
            return web::refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "You or too many others give back entries here now. Keep yours, and try again in a moment.",
            );
        };
        let body = match web::body(request, GIVEN_BYTES_MAX).await {
            Ok(body) => body,
            Err(response) => return response,
        };
        if Hash::of(&body) != giving.body {
            return refuse_giving("it was signed for other entries");
        }
        let read = wire::read::<GivingWire>(&body).and_then(|giving| sealed(&giving.entries));
        drop(body);
        let given = match read {
            Ok(given) => given,
            Err(why) => return invalid(&why),
        };
        self.ready(blog).await;
        let settled = self.with(blog, |r| r.is_settled()) == Some(true);
        if !settled || self.heard().is_none() {
            return unavailable(&Outage::new("This copy of the blog is not settled yet"));
        }
        match self.keep_offers(blog, &giving.spoke, given).await {
            Ok(done) => {
                let done = done.iter().map(Hash::to_string).collect();
                web::json(StatusCode::OK, &GivenWire { done })
            }
            Err(outage) => unavailable(&outage),
        }
    }

    /// What whoever gives has signed, if it is a spoke and these are entries of this blog.
    fn giving_of(&self, blog: BlogId, request: &Request<Incoming>) -> Result<Giving, String> {
        let line = request.headers().get(GIVING);
        let signed = line.and_then(|line| signed_of_a_header(line.to_str().ok()?));
        let signed = signed.ok_or("it does not say who gives it")?;
        let giving = self.ask(|registry| Giving::check(clock::now(), registry, &signed));
        let giving = giving.ok_or("this server does not know the network's spokes yet")??;
        if giving.blog != blog {
            return Err("it was signed for another blog".to_owned());
        }
        Ok(giving)
    }

    /// Keeps what another spoke gives, as far as there is room, and takes in what extends a head.
    pub(super) async fn keep_offers(
        self: &Arc<Self>,
        blog: BlogId,
        giver: &Label,
        given: Vec<SealedEntry>,
    ) -> Result<Vec<EntryId>, Outage> {
        let _judging = self.offers.judging.lock().await;
        let until = Instant::now() + MEDIA_WAIT;
        let kept = self.store.offers(blog)?;
        let kept_ids: Vec<EntryId> = kept.iter().map(|o| o.sealed.entry().id()).collect();
        let is_kept = |id: &EntryId| kept_ids.contains(id);
        let ids: Vec<EntryId> = given.iter().map(|sealed| sealed.entry().id()).collect();
        let mut bytes: usize = kept.iter().map(|o| o.sealed.entry().text().len()).sum();
        let mut room = OFFERS_MAX.saturating_sub(kept.len());
        let mut all: Vec<SealedEntry> = kept.into_iter().map(|offer| offer.sealed).collect();
        all.extend(given.into_iter().filter(|s| !is_kept(&s.entry().id())));
        let address = self.address_of_giver(giver);
        let judged = self.judge_given(blog, all);
        let valid: Vec<SealedEntry> = judged.iter().map(|(v, _)| v.sealed().clone()).collect();
        for (verified, what) in judged {
            let id = verified.entry().id();
            if is_kept(&id) || !matches!(what, Offered::Kept | Offered::Extends) {
                continue;
            }
            bytes += verified.entry().text().len();
            if room == 0 || bytes > OFFERS_BYTES_MAX {
                tracing::warn!(%blog, %giver, "there is no room for more offers of this blog");
                break;
            }
            room -= 1;
            if let Some(address) = address {
                match timeout_at(until, self.fetch_media(address, &verified)).await {
                    Ok(Ok(())) => (),
                    Ok(Err(outage)) => {
                        tracing::warn!(%id, %outage, "an offer is kept without a medium")
                    }
                    Err(_) => {
                        tracing::warn!(%blog, %giver, "media of offers come too slowly: the rest is for the next time");
                        break;
                    }
                }
            }
            let (sealed, giver) = (verified.sealed().clone(), giver.to_string());
            let keep = Apart::Keep(Offer { sealed, giver });
            self.store.written(Write::Apart(keep)).await?;
        }
        // Judged again: the log may have gone on while media came.
        let mut done = self.take_back_in(blog, valid).await;
        self.forget_offers(blog, &done).await;
        done.retain(|id| ids.contains(id));
        Ok(done)
    }

    /// Where the giver answers; one that was barred has what it has all the same.
    fn address_of_giver(&self, giver: &Label) -> Option<SocketAddr> {
        self.ask(|registry| registry.spoke(giver).map(|spoke| spoke.address.0))
            .flatten()
    }

    fn judge_given(
        self: &Arc<Self>,
        blog: BlogId,
        offers: Vec<SealedEntry>,
    ) -> Vec<(VerifiedEntry, Offered)> {
        let copy = self.with(blog, |r| (r.chain().clone(), r.fold().clone()));
        let ended = self.ask(|registry| registry.blog(blog).map(|blog| blog.ended.clone()));
        let (Some((chain, fold)), Some(Some(ended))) = (copy, ended) else {
            return Vec::new();
        };
        tokio::task::block_in_place(|| judge_offers(chain, &fold, &ended, offers))
    }

    /// Takes in what extends a head. Gives back what need not be kept apart any more: it is in the log, or
    /// its author has answered.
    async fn take_back_in(
        self: &Arc<Self>,
        blog: BlogId,
        offers: Vec<SealedEntry>,
    ) -> Vec<EntryId> {
        let (mut done, mut run) = (Vec::new(), Vec::new());
        for (verified, what) in self.judge_given(blog, offers) {
            match what {
                Offered::Here | Offered::Answered => done.push(verified.entry().id()),
                Offered::Extends if self.missing_media(verified.entry()).is_empty() => {
                    run.push(verified);
                }
                Offered::Extends | Offered::Kept => {}
            }
        }
        if run.is_empty() {
            return done;
        }
        let ids: Vec<EntryId> = run.iter().map(|entry| entry.entry().id()).collect();
        tracing::info!(%blog, entries = ids.len(), "entries that were given back go on in the log");
        self.with(blog, |r| r.handle(clock::now(), Event::Pulled(run)));
        if self.store.written(Write::Entries(Vec::new())).await.is_ok() {
            let is_here = |id: &EntryId| matches!(self.store.entry(*id), Ok(Some(_)));
            done.extend(ids.into_iter().filter(is_here));
        }
        done
    }

    /// `GET blogs/NAME/offers` (SPEC http 2.12).
    pub(super) fn offers_answer(self: &Arc<Self>, blog: BlogId) -> Response {
        match self.open_offers(blog) {
            Ok(offers) => web::json(StatusCode::OK, &offers),
            Err(outage) => unavailable(&outage),
        }
    }

    /// The offers on which the author has not decided.
    pub(super) fn open_offers(self: &Arc<Self>, blog: BlogId) -> Result<OffersWire, Outage> {
        let offers = self.store.offers(blog)?;
        if offers.is_empty() {
            return Ok(OffersWire::default());
        }
        let giver = |id: EntryId| {
            let offer = offers.iter().find(|offer| offer.sealed.entry().id() == id);
            let giver = offer.map_or("", |offer| &offer.giver);
            if giver.is_empty() {
                self.me.to_string()
            } else {
                giver.to_owned()
            }
        };
        let all = offers.iter().map(|offer| offer.sealed.clone()).collect();
        let mut wire = OffersWire::default();
        for (verified, what) in self.judge_given(blog, all) {
            let entry = verified.entry();
            match what {
                Offered::Here => continue,
                Offered::Answered => {
                    wire.answered.push(EntryWire::from(verified.sealed()));
                    continue;
                }
                Offered::Extends | Offered::Kept => {}
            }
            wire.offers.push(OfferWire {
                id: entry.id().to_string(),
                sequence: entry.skeleton().sequence,
                kind: entry.skeleton().kind.to_string(),
                giver: giver(entry.id()),
                missing_media: self
                    .missing_media(entry)
                    .iter()
                    .map(Hash::to_string)
                    .collect(),
                entry: EntryWire::from(verified.sealed()),
            });
        }
        if wire.offers.is_empty() {
            wire.answered.clear();
        }
        Ok(wire)
    }

    /// What the offers of a blog are called that is held here, for their author's desk.
    pub(super) fn offers_called(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
    ) -> Vec<String> {
        if !record.set.has(&self.me) {
            return Vec::new();
        }
        let open = self.open_offers(blog).map(|wire| wire.offers);
        let called = |offer: OfferWire| {
            let sealed = offer.entry.sealed().ok();
            let entry = sealed.as_ref().map(SealedEntry::entry);
            let article = entry.and_then(|entry| entry.draft()?.article());
            let title = article.map(|a| a.title.clone().unwrap_or_else(|| a.slug.to_string()));
            title.unwrap_or_else(|| format!("{} {}", offer.kind, offer.sequence))
        };
        open.unwrap_or_default().into_iter().map(called).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gives_one_message_at_a_time_and_few_do_at_once() {
        let offers = Offers::default();
        let giver = |n: usize| Label::parse(&format!("spoke{n}")).unwrap();
        let mut gives: Vec<_> = (1..=GIVERS_MAX).map(|n| offers.begin(&giver(n))).collect();
        assert!(gives.iter().all(Option::is_some));
        assert!(offers.begin(&giver(GIVERS_MAX + 1)).is_none());
        gives.pop();
        assert!(offers.begin(&giver(1)).is_none(), "one message at a time");
        assert!(offers.begin(&giver(GIVERS_MAX + 1)).is_some());
    }
}
