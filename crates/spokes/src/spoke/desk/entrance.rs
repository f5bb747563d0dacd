//! Signing in and out, and what an author finds at her desk.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, header};
use spokes_log::{
    draft::BODY_BYTES_MAX,
    key::{Certificate, KeyFault},
    name::{BlogId, Fingerprint, Hash, Salt},
    ring,
    seal::{Pasted, RawSignature},
    time::Time,
};
use spokes_rules::{
    registry::BlogRecord,
    sign_in::{ANSWER_SECONDS, Challenge, Refusal},
};

use super::{
    Author, COOKIE_SECONDS, Spoke, Visit, append_cookie, naming::Wanted, page, said_in, see_other,
    typed_name,
};
use crate::{
    config::random_bytes,
    desk::{Fields, Picture, form::Form},
    http as web,
    web::{
        desk::{self, BlogLine, DESK, DraftLine, FoundView, HomeView, SignInView},
        message::Message,
    },
};

/// Bytes of a public key as it is pasted, with some signatures of others on it.
const KEY_BYTES_MAX: usize = 256 << 10;
/// How far the author's clock and ours may be apart.
const CLOCK_SECONDS: i64 = 300;
/// Bytes of `key.asc` of a blog that is not here: all the keys that it may have.
const KEYS_BYTES_MAX: usize = 2 << 20;

/// What somebody came to ask for who signs in first.
fn wanted(visit: &Visit, form: &Form) -> Option<Wanted> {
    match visit.path.as_str() {
        "/blog" => Some(Wanted::of_visit(visit)),
        _ => Wanted::of_address(&form.text("wants")),
    }
}

impl Spoke {
    pub(super) fn challenge(&self, visit: &Visit) -> Challenge {
        // Without randomness the challenge would be the last one, and its nonce used up by then.
        let nonce = Salt::from_bytes(random_bytes::<16>().unwrap_or_default());
        let (me, address) = (self.me.clone(), self.spoke_origin(&self.me));
        Challenge::new(
            self.network,
            me,
            address,
            visit.now,
            nonce,
            self.desk.secret(),
        )
    }

    pub(super) fn sign_in_page(&self, visit: &Visit) -> super::Response {
        if self.is_insecure() {
            return self.notice(visit, visit.message(403, |s| &s.insecure, &[]), None);
        }
        let mut frame = self.frame(visit);
        let mut view = self.sign_in_view(visit, &Form::default(), None);
        view.has_left = visit.ask("said") == "out";
        if let Some((message, way_on)) = self.no_room(visit, &Wanted::of_visit(visit)) {
            (frame.refusal, frame.way_on) = (Some(message), way_on);
            // She goes on elsewhere; who signs in here has a blog here.
            view.wants = None;
        }
        if view.has_left {
            frame.done = Some(frame.words().signed_out);
        }
        page(StatusCode::OK, desk::sign_in(&frame, &view))
    }

    /// What makes a browser forget the pages of whoever sat there before.
    pub(super) fn forget(&self) -> super::Response {
        let nothing = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
        let mut response = web::answer(StatusCode::OK, "image/svg+xml", nothing);
        forgotten(&mut response);
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn sign_in_view<'a>(
        &self,
        visit: &Visit,
        form: &Form,
        kept: Option<(String, &'a Fields)>,
    ) -> SignInView<'a> {
        SignInView {
            challenge: self.challenge(visit).to_string(),
            address: self.spoke_origin(&self.me),
            has_left: false,
            wants: wanted(visit, form).map(|wanted| (wanted.name.clone(), wanted.address())),
            answer: form.text("answer"),
            blog: form.word("blog"),
            key: form.text("key"),
            kept,
        }
    }

    /// Somebody sent a form whose session has ended: she signs in again, and what she typed goes along.
    /// Of other forms the words are shown, to be copied.
    pub(super) fn signed_out(
        &self,
        visit: &Visit,
        form: &Form,
        typed: Option<&Fields>,
    ) -> super::Response {
        if typed.is_some() {
            let message = visit.message(401, |s| &s.sign_in_first, &[]);
            return self.sign_in_again(visit, &Form::default(), typed, message);
        }
        let seen = said_in(form);
        let message = visit.message(401, |s| &s.sign_in_again, &[]);
        let (frame, status) = self.refusing(visit, message);
        let view = SignInView {
            kept: Some((String::new(), &seen)),
            ..self.sign_in_view(visit, &Form::default(), None)
        };
        page(status, desk::sign_in(&frame, &view))
    }

    fn sign_in_again(
        &self,
        visit: &Visit,
        form: &Form,
        typed: Option<&Fields>,
        message: Message,
    ) -> super::Response {
        let kept = typed.and_then(|f| serde_json::to_string(f).ok().map(|json| (json, f)));
        let (mut frame, status) = self.refusing(visit, message);
        // Words that only this page carries would be lost on the way to the other tongue.
        let here = || wanted(visit, form).map_or_else(|| DESK.to_owned(), |w| w.address());
        frame.path = kept.is_none().then(here);
        page(
            status,
            desk::sign_in(&frame, &self.sign_in_view(visit, form, kept)),
        )
    }

    pub(super) async fn sign_in(self: &Arc<Self>, visit: &Visit, form: &Form) -> super::Response {
        let typed = carried(&form.text("kept"));
        if self.is_insecure() {
            let message = visit.message(403, |s| &s.insecure, &[]);
            return self.notice(visit, message, typed.as_ref());
        }
        let judged = match form.held_secret() {
            true => Err(visit.message(422, |s| &s.secret_key, &[])),
            false => self.judge_answer(visit, form).await,
        };
        let begun = judged.and_then(|(certificate, armor, blog)| {
            let begin = || self.desk.begin(visit.now, &certificate, &armor, &blog);
            let token =
                tokio::task::block_in_place(begin).map_err(|outage| visit.failed(&outage))?;
            Ok((certificate, token))
        });
        let (certificate, token) = match begun {
            Ok(begun) => begun,
            Err(message) => return self.sign_in_again(visit, form, typed.as_ref(), message),
        };
        let mut to = wanted(visit, form).map_or_else(|| DESK.to_owned(), |w| w.address());
        if let Some(mut fields) = typed {
            let key = certificate.fingerprint();
            let is_guest = self.ask(|r| r.blogs_of(key).next().is_none());
            let keep = || {
                // Nothing but words is the form's to say.
                let is_hers = |picture: &Picture| {
                    let hash = Hash::parse(&picture.hash).ok();
                    let kept = hash.and_then(|hash| self.desk.picture(key, hash).ok().flatten());
                    kept.is_some_and(|bytes| bytes.len() as u64 == picture.bytes)
                };
                fields.pictures.retain(is_hers);
                (fields.text, fields.refused) = Default::default();
                let is_guest = is_guest != Some(false);
                self.desk.keep(visit.now, key, is_guest, None, &fields)
            };
            match tokio::task::block_in_place(keep) {
                Ok(id) => to = format!("{DESK}/write?draft={id}&said=kept"),
                Err(why) => {
                    let typed = carried(&form.text("kept"));
                    let mut response = self.notice(visit, visit.not_kept(&why), typed.as_ref());
                    append_cookie(&mut response, &self.session_cookie(&token, COOKIE_SECONDS));
                    return response;
                }
            }
        }
        let mut response = see_other(&to);
        append_cookie(&mut response, &self.session_cookie(&token, COOKIE_SECONDS));
        response
    }

    /// Whose answer this is: her certificate, as she showed it, and the blog that she named.
    async fn judge_answer(
        self: &Arc<Self>,
        visit: &Visit,
        form: &Form,
    ) -> Result<(Certificate, String, String), Message> {
        let why = |said, why: &str| visit.message(422, said, &[("why", why)]);
        let pasted = Pasted::parse(form.text("answer").as_bytes())
            .map_err(|fault| why(|s| &s.not_signed_text, &fault.to_string()))?;
        let challenge = Challenge::parse(pasted.text.as_bytes())
            .map_err(|fault| why(|s| &s.other_text, &fault.to_string()))?;
        let judged = challenge.judge(visit.now, self.network, &self.me, self.desk.secret());
        judged.map_err(|refusal| self.refuse_answer(visit, &refusal))?;
        let [signature] = pasted.signatures.as_slice() else {
            return Err(why(
                |s| &s.not_signed_text,
                "it has more than one signature",
            ));
        };
        let (certificate, armor, blog) =
            self.find_key(visit, form, &pasted.text, signature).await?;
        // Whoever signed before the lines were written, or in days to come, has another clock.
        let early = signature.created().since(challenge.issued) < -CLOCK_SECONDS;
        if early || signature.created().since(visit.now) > CLOCK_SECONDS {
            let created = signature.created().to_string();
            return Err(why(|s| &s.bad_clock, &created));
        }
        let key = certificate.fingerprint();
        if self.has_ended(key) {
            return Err(visit.message(403, |s| &s.ended_key, &[]));
        }
        let until = challenge.issued + ANSWER_SECONDS;
        let nonce = challenge.nonce.to_string();
        let usage = || self.desk.use_nonce(visit.now, key, &nonce, until);
        let fresh = tokio::task::block_in_place(usage);
        match fresh {
            Ok(true) => Ok((certificate, armor, blog)),
            Ok(false) => Err(visit.message(403, |s| &s.used, &[])),
            Err(outage) => Err(visit.failed(&outage)),
        }
    }

    fn refuse_answer(&self, visit: &Visit, refusal: &Refusal) -> Message {
        match refusal {
            Refusal::OtherNetwork => visit.message(403, |s| &s.other_network, &[]),
            Refusal::OtherSpoke(label) => {
                let names = [("spoke", label.as_str()), ("me", self.me.as_str())];
                visit.message(403, |s| &s.other_spoke, &names)
            }
            Refusal::NotOurs | Refusal::Early => visit.message(403, |s| &s.not_ours, &[]),
            Refusal::Expired => visit.message(403, |s| &s.expired, &[]),
        }
    }

    /// The certificate by which a signature is good: the one that she pasted, one that was shown here
    /// before, or one of the blog that she names.
    async fn find_key(
        self: &Arc<Self>,
        visit: &Visit,
        form: &Form,
        text: &str,
        signature: &RawSignature,
    ) -> Result<(Certificate, String, String), Message> {
        let mut candidates = Vec::new();
        let pasted = form.word("key");
        if !pasted.is_empty() {
            candidates.push(self.shown_now(visit, pasted).await?);
        }
        for issuer in signature.issuers() {
            let known = tokio::task::block_in_place(|| self.desk.certificate(&issuer));
            let known = known.map_err(|outage| visit.failed(&outage))?;
            let read = known.and_then(|armor| Some((read_key(&armor).ok()?, armor)));
            let is_news = |key: &Certificate| {
                let mut others = candidates.iter().map(|(other, ..)| other.fingerprint());
                others.all(|other| other != key.fingerprint())
            };
            // One that was shown just now is the newer one, and has what was known.
            let read = read.filter(|(certificate, _)| is_news(certificate));
            candidates.extend(read.map(|(certificate, armor)| (certificate, armor, String::new())));
        }
        let name = form.word("blog");
        if !name.is_empty() {
            let known = match typed_name(&name) {
                Some(name) => self.look_up(&name).await.ok(),
                None => None,
            };
            let Some((blog, record)) = known else {
                return Err(visit.message(404, |s| &s.no_blog_yet, &[("name", &name)]));
            };
            for certificate in self.keys_of(blog, &record).await {
                let armor = certificate.armored();
                candidates.push((certificate, armor, record.name.to_string()));
            }
        }
        let mut bad = None;
        for (certificate, armor, blog) in candidates {
            match ring::check_text(&certificate, text, signature, visit.now) {
                Ok(()) => return Ok((certificate, armor, blog)),
                Err(fault)
                    if certificate
                        .signers()
                        .any(|key| signature.issuers().contains(key)) =>
                {
                    bad = Some(fault.to_string());
                }
                Err(_) => {}
            }
        }
        Err(match bad {
            Some(why) => visit.message(403, |s| &s.bad_signature, &[("why", &why)]),
            None => visit.message(403, |s| &s.unknown_key, &[]),
        })
    }

    /// A key that is shown now, with all that was known of it: a revocation is not forgotten.
    async fn shown_now(
        &self,
        visit: &Visit,
        pasted: String,
    ) -> Result<(Certificate, String, String), Message> {
        // Reading a hostile one takes a second; not all cores at once.
        let _turn = self.desk_keys.acquire().await;
        tokio::task::block_in_place(|| {
            let bad = |why: String| visit.message(422, |s| &s.bad_key, &[("why", &why)]);
            let shown = read_key(&pasted).map_err(|fault| match fault {
                KeyFault::Several => visit.message(422, |s| &s.several_keys, &[]),
                KeyFault::Secret => visit.message(422, |s| &s.secret_key, &[]),
                fault => bad(fault.to_string()),
            })?;
            let known = self.desk.certificate(shown.fingerprint());
            let known = known.map_err(|outage| visit.failed(&outage))?;
            let Some(known) = known.and_then(|armor| read_key(&armor).ok()) else {
                shown.ever_signs().map_err(|fault| bad(fault.to_string()))?;
                return Ok((shown, pasted, String::new()));
            };
            let merged = known
                .merge(&shown)
                .map_err(|fault| bad(fault.to_string()))?;
            let is_news = merged.to_bytes() != shown.to_bytes() || !merged.can_sign(visit.now);
            let armor = if is_news { merged.armored() } else { pasted };
            let kept = self.desk.remember(visit.now, &merged, &armor);
            kept.map_err(|outage| visit.failed(&outage))?;
            merged
                .ever_signs()
                .map_err(|fault| bad(fault.to_string()))?;
            Ok((merged, armor, String::new()))
        })
    }

    /// Whether some blog has ended this key: then whoever has it is not its author any more.
    pub(super) fn has_ended(&self, key: &Fingerprint) -> bool {
        self.ask(|registry| registry.has_ended(key)) == Some(true)
    }

    /// The keys that may write in a blog; of one that is not here, those of its author.
    async fn keys_of(self: &Arc<Self>, blog: BlogId, record: &BlogRecord) -> Vec<Certificate> {
        let here = self.with(blog, |replica| {
            let head = replica.durable_tips().last().map(|tip| tip.id)?;
            let ring = replica.chain().ring(head)?;
            let keys = ring.keys().filter(|(key, ..)| !record.ended.contains(*key));
            Some(
                keys.map(|(_, _, certificate)| certificate.clone())
                    .collect(),
            )
        });
        if let Some(keys) = here.flatten() {
            return keys;
        }
        let host = format!("{}.{}", record.name, self.domain());
        for address in self.other_members(blog) {
            let (get, body) = (http::Method::GET, bytes::Bytes::new());
            let answer = self
                .client
                .relay(address, &host, get, "/key.asc", body, None)
                .await;
            let Ok(answer) = answer else { continue };
            let (status, _, bytes) = super::said::<()>(answer).await;
            if !status.is_success() || bytes.len() > KEYS_BYTES_MAX {
                continue;
            }
            // The registry says whose blog it is; of the other keys only its log could tell.
            let armors = String::from_utf8_lossy(&bytes);
            let mut keys = armors.split_inclusive("-----END PGP PUBLIC KEY BLOCK-----");
            let hers = keys.find_map(|armor| {
                let read = Certificate::parse(armor.trim()).ok();
                read.filter(|certificate| *certificate.fingerprint() == record.author)
            });
            if let Some(hers) = hers {
                return vec![hers];
            }
        }
        Vec::new()
    }

    pub(super) fn sign_out(&self, author: &Author<'_>) -> super::Response {
        if let Err(outage) = tokio::task::block_in_place(|| self.desk.end(author.session)) {
            let message = author.visit.failed(&outage);
            return self.notice(author.visit, message, None);
        }
        let mut response = see_other(&format!("{DESK}?said=out"));
        forgotten(&mut response);
        append_cookie(&mut response, &self.session_cookie("", 0));
        response
    }

    /// Where the desk of a blog is: on the server that takes its entries.
    pub(super) async fn lead_to_desk_of(
        self: &Arc<Self>,
        visit: &Visit,
        name: &str,
    ) -> super::Response {
        let known = match typed_name(name) {
            Some(name) => self.look_up(&name).await.ok(),
            None => None,
        };
        match known {
            Some((_, record)) => {
                let desks = record.set.members.iter();
                let desks =
                    desks.map(|m| (m.to_string(), format!("{}{DESK}", self.spoke_origin(m))));
                let view = FoundView {
                    name: record.name.to_string(),
                    desks: desks.collect(),
                };
                page(StatusCode::OK, desk::found(&self.frame(visit), &view))
            }
            None => {
                let message = Message::no_such_blog(visit.tongue, name, &self.domain());
                self.sign_in_again(visit, &Form::default(), None, message)
            }
        }
    }

    pub(super) fn home(self: &Arc<Self>, author: &Author<'_>) -> super::Response {
        let drafts = tokio::task::block_in_place(|| self.desk.drafts(&author.session.fingerprint));
        let drafts = match drafts {
            Ok(drafts) => drafts,
            Err(outage) => {
                return self.notice(author.visit, author.visit.failed(&outage), None);
            }
        };
        let blogs = author
            .blogs
            .iter()
            .map(|(blog, record)| self.blog_line(*blog, record));
        let drafts = drafts.into_iter().map(|(id, changed, title)| DraftLine {
            id,
            title,
            changed: minute(changed),
        });
        let view = HomeView {
            blogs: blogs.collect(),
            drafts: drafts.collect(),
        };
        let mut frame = self.frame(author.visit);
        if author.visit.ask("said") == "deleted" {
            frame.done = Some(frame.words().deleted);
        }
        page(StatusCode::OK, desk::home(&frame, &view))
    }

    fn blog_line(self: &Arc<Self>, blog: BlogId, record: &BlogRecord) -> BlogLine {
        let members = &record.set.members;
        let desks = members
            .iter()
            .map(|m| (m.to_string(), format!("{}{DESK}", self.spoke_origin(m))));
        BlogLine {
            name: record.name.to_string(),
            title: self
                .with(blog, |r| r.fold().title().to_owned())
                .unwrap_or_default(),
            origin: self.origin(record.name.as_str()),
            servers: members.iter().map(ToString::to_string).collect(),
            offers: self.offers_called(blog, record),
            desks: if record.set.has(&self.me) {
                Vec::new()
            } else {
                desks.collect()
            },
        }
    }
}

/// Whoever sits there next must not find her drafts by going back.
fn forgotten(response: &mut super::Response) {
    let cache = HeaderValue::from_static("\"cache\"");
    response.headers_mut().insert("clear-site-data", cache);
}

/// What was typed on a page whose session has ended.
pub(super) fn carried(json: &str) -> Option<Fields> {
    let fields: Fields = serde_json::from_str(json).ok()?;
    (fields.body.len() <= BODY_BYTES_MAX).then_some(fields)
}

/// Reads a public key as people export it, a revoked one as well: it takes its older forms along. Which
/// of its names becomes public is asked later.
fn read_key(armor: &str) -> Result<Certificate, KeyFault> {
    if armor.len() > KEY_BYTES_MAX {
        return Err(KeyFault::TooLarge {
            bytes: armor.len(),
            max: KEY_BYTES_MAX,
        });
    }
    match Certificate::news(armor.as_bytes(), None) {
        Err(KeyFault::ChooseUserId(names)) => {
            let first = names.first().map(String::as_str);
            Certificate::news(armor.as_bytes(), first)
        }
        read => read,
    }
}

/// "2026-11-25 14:05", in UTC.
fn minute(time: Time) -> String {
    let text = time.to_string();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}
