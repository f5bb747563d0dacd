//! Asking for a blog: the text to sign, the request to the council, and what came of it.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use ammonia::url::form_urlencoded;
use http::StatusCode;
use spokes_log::{
    chain::Chain,
    draft::{Claim, Draft, Says},
    entry::Entry,
    key::{Certificate, KeyFault},
    name::{Fingerprint, Language, Salt},
    seal::Pasted,
};
use spokes_rules::{health::Takes, registry::Refusal};

use super::{
    Author, CLAIMING_MAX, Said, Spoke, Visit, attachment, page, refreshed, said, see_other,
    typed_name,
};
use crate::{
    author::matter::one_line,
    clock,
    config::random_bytes,
    desk::{Asked, UNSIGNED, form::Form},
    web::{
        desk::{self, AskView, AskedView, DESK, Frame, State},
        message::Message,
    },
    wire::Problem,
};

/// How long a claim is good: an author may sleep over a council that is down, a thief may not.
const CLAIM_SECONDS: i64 = 60 * 60;
/// How long it takes until a silent council is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// Seconds after which a pending page looks again.
const LOOK_AGAIN: &str = "2";
/// What a claim's outcome is when it was granted, and when the name was taken.
const GRANTED: &str = "granted";
const TAKEN: &str = "taken";

/// Another server's label, and the address of its desk; none where no other has room.
pub(super) type WayOn = Option<(String, String)>;

/// What was typed into the form, and what is made of it.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) name: String,
    title: String,
    language: String,
    user_id: String,
}

impl Wanted {
    /// What somebody wanted who signs in first, or comes from a desk that has no room.
    pub(super) fn of_visit(visit: &Visit) -> Self {
        Self {
            name: visit.ask("name").to_owned(),
            title: visit.ask("title").to_owned(),
            language: visit.ask("language").to_owned(),
            user_id: visit.ask("uid").to_owned(),
        }
    }

    /// The same out of an address that [`Self::address`] made; whatever else somebody sends leads nowhere.
    pub(super) fn of_address(address: &str) -> Option<Self> {
        let query = address.strip_prefix(DESK)?.strip_prefix("/blog")?;
        let query = query.strip_prefix('?').unwrap_or_default();
        let mut wanted = Self::default();
        for (field, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*field {
                "name" => &mut wanted.name,
                "title" => &mut wanted.title,
                "language" => &mut wanted.language,
                "uid" => &mut wanted.user_id,
                _ => continue,
            };
            *place = value.into_owned();
        }
        Some(wanted)
    }

    /// The address at which the form has all that was typed, at whatever desk.
    pub(super) fn address(&self) -> String {
        let fields = [
            ("name", &self.name),
            ("title", &self.title),
            ("language", &self.language),
            ("uid", &self.user_id),
        ];
        let to = format!("{DESK}/blog?");
        let end = to.len();
        let mut typed = form_urlencoded::Serializer::for_suffix(to, end);
        typed.extend_pairs(fields.into_iter().filter(|(_, value)| !value.is_empty()));
        let typed = typed.finish();
        typed.strip_suffix('?').map(str::to_owned).unwrap_or(typed)
    }

    fn of(form: &Form) -> Self {
        Self {
            name: form.word("name").to_ascii_lowercase(),
            title: one_line(&form.text("title")),
            language: form.word("language"),
            user_id: form.word("uid"),
        }
    }
}

impl Spoke {
    pub(super) fn ask_page(&self, author: &Author<'_>) -> super::Response {
        let mut wanted = Wanted::of_visit(author.visit);
        if let Some(no_room) = self.no_room(author.visit, &wanted) {
            return self.no_room_page(author.visit, no_room);
        }
        if wanted.language.is_empty() {
            author.visit.tongue.tag().clone_into(&mut wanted.language);
        }
        let frame = self.frame(author.visit);
        page(
            StatusCode::OK,
            desk::ask(&frame, &self.ask_view(author, &wanted)),
        )
    }

    /// Why no blog can be begun here, and where it can, with what was typed.
    pub(super) fn no_room(&self, visit: &Visit, wanted: &Wanted) -> Option<(Message, WayOn)> {
        if self.room.look() == Takes::New {
            return None;
        }
        let other = self.others_with_room().into_iter().next();
        let (me, domain) = (self.me.as_str(), self.domain());
        let other_name = other.as_ref().map(ToString::to_string).unwrap_or_default();
        let texts = [("spoke", me), ("other", &*other_name), ("domain", &*domain)];
        let said: Said = match other {
            Some(_) => |s| &s.no_room,
            None => |s| &s.no_room_anywhere,
        };
        let way_on = other.map(|other| {
            let desk = format!("{}{}", self.spoke_origin(&other), wanted.address());
            (other.to_string(), desk)
        });
        Some((visit.message(507, said, &texts), way_on))
    }

    fn no_room_page(&self, visit: &Visit, (message, way_on): (Message, WayOn)) -> super::Response {
        let (frame, status) = self.refusing(visit, message);
        let frame = Frame { way_on, ..frame };
        page(status, desk::notice(&frame, None))
    }

    fn ask_view(&self, author: &Author<'_>, wanted: &Wanted) -> AskView {
        AskView {
            name: wanted.name.clone(),
            title: wanted.title.clone(),
            language: wanted.language.clone(),
            user_ids: self.user_ids(author),
            user_id: wanted.user_id.clone(),
            id: String::new(),
            text: None,
            answer: String::new(),
        }
    }

    /// The key that she showed when she signed in, with all its names.
    fn shown_key(&self, author: &Author<'_>) -> String {
        let find = || self.desk.certificate(&author.session.fingerprint);
        tokio::task::block_in_place(find)
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    fn user_ids(&self, author: &Author<'_>) -> Vec<String> {
        match Certificate::minimal(self.shown_key(author).as_bytes(), None) {
            Err(KeyFault::ChooseUserId(names)) => names,
            Ok(certificate) => certificate.user_ids().collect(),
            Err(_) => Vec::new(),
        }
    }

    fn ask_again(&self, author: &Author<'_>, wanted: &Wanted, message: Message) -> super::Response {
        let (mut frame, status) = self.refusing(author.visit, message);
        // All that was typed goes along into the other tongue.
        frame.path = Some(wanted.address());
        page(status, desk::ask(&frame, &self.ask_view(author, wanted)))
    }

    /// Makes the first entry of a new blog, to be signed.
    pub(super) fn make_claim(&self, author: &Author<'_>, form: &Form) -> super::Response {
        let wanted = Wanted::of(form);
        if let Some(no_room) = self.no_room(author.visit, &wanted) {
            return self.no_room_page(author.visit, no_room);
        }
        let made = self
            .first_text(author, &wanted)
            .and_then(|(entry, user_id)| {
                let asked = Asked {
                    id: entry.id().path()[7..27].to_owned(),
                    name: wanted.name.clone(),
                    block: entry.text().to_owned(),
                    outcome: UNSIGNED.to_owned(),
                };
                let (visit, key) = (author.visit, &author.session.fingerprint);
                let keep = || self.desk.prepare(visit.now, key, &asked);
                tokio::task::block_in_place(keep).map_err(|outage| visit.failed(&outage))?;
                Ok((asked, user_id))
            });
        let (asked, user_id) = match made {
            Ok(made) => made,
            Err(message) => return self.ask_again(author, &wanted, message),
        };
        let view = AskView {
            user_id,
            ..self.with_text(author, &wanted, &asked)
        };
        let mut frame = self.frame(author.visit);
        frame.path = None;
        page(StatusCode::OK, desk::ask(&frame, &view))
    }

    fn with_text(&self, author: &Author<'_>, wanted: &Wanted, asked: &Asked) -> AskView {
        AskView {
            id: asked.id.clone(),
            text: Some((
                asked.block.clone(),
                format!("{DESK}/asked/{}.txt", asked.id),
            )),
            ..self.ask_view(author, wanted)
        }
    }

    fn first_text(&self, author: &Author<'_>, wanted: &Wanted) -> Result<(Entry, String), Message> {
        let visit = author.visit;
        let no_name = |_| visit.message(422, |s| &s.bad_name, &[]);
        let refused = |why: &str| {
            let texts = [("name", wanted.name.as_str()), ("why", why)];
            visit.message(422, |s| &s.name_refused, &texts)
        };
        let name = spokes_log::name::BlogName::parse(&wanted.name).map_err(no_name)?;
        let language = Language::parse(&wanted.language)
            .map_err(|why| visit.message(422, |s| &s.bad_language, &[("why", why)]))?;
        let claim = Claim {
            name,
            network: self.network,
            not_after: visit.now + CLAIM_SECONDS,
        };
        match self.ask(|registry| registry.check_claim(visit.now, &claim)) {
            Some(Err(Refusal::NameTaken(_))) => {
                return Err(visit.message(409, |s| &s.taken, &[("name", &wanted.name)]));
            }
            Some(Err(Refusal::NameReserved(_))) => {
                return Err(visit.message(409, |s| &s.reserved, &[("name", &wanted.name)]));
            }
            Some(Err(refusal)) => return Err(refused(&refusal.to_string())),
            Some(Ok(())) | None => {}
        }
        let user_ids = self.user_ids(author);
        let chosen = user_ids
            .iter()
            .find(|uid| **uid == wanted.user_id)
            .or(user_ids.first());
        let shown = self.shown_key(author);
        let certificate = Certificate::minimal(shown.as_bytes(), chosen.map(String::as_str))
            .map_err(|fault| refused(&fault.to_string()))?;
        let title = if wanted.title.is_empty() {
            &wanted.name
        } else {
            &wanted.title
        };
        let key = certificate.fingerprint().clone();
        let draft = Draft {
            salt: Salt::from_bytes(random_bytes::<16>().map_err(|outage| visit.failed(&outage))?),
            says: Says::Blog {
                title: title.clone(),
                language,
                certificate: key.clone(),
                claim: Some(claim),
            },
            instead_of: Vec::new(),
            extensions: Vec::new(),
            body: certificate.armored(),
        };
        let entry = Entry::new(&draft, None, vec![key], visit.now);
        let entry = entry.map_err(|fault| refused(&fault.to_string()))?;
        Ok((entry, chosen.cloned().unwrap_or_default()))
    }

    /// Takes the signed first entry, and asks the council for the name. What somebody has signed is asked
    /// for even where the room ran out meanwhile: the blog then begins at another server.
    pub(super) fn take_claim(
        self: &Arc<Self>,
        author: &Author<'_>,
        form: &Form,
    ) -> super::Response {
        let wanted = Wanted::of(form);
        let visit = author.visit;
        if form.text("do") == "change" {
            let frame = self.frame(visit);
            return page(
                StatusCode::OK,
                desk::ask(&frame, &self.ask_view(author, &wanted)),
            );
        }
        let block = form.text("answer");
        let judged = match form.held_secret() {
            true => Err(visit.message(422, |s| &s.secret_key, &[])),
            false => self.judge_claim(author, &wanted, &form.word("id"), &block),
        };
        let taken = judged.and_then(|(id, name, block)| {
            let ask = || {
                self.desk
                    .ask(visit.now, &author.session.fingerprint, &id, &name, &block)
            };
            tokio::task::block_in_place(ask).map_err(|why| visit.not_kept(&why))?;
            Ok(id)
        });
        match taken {
            Ok(id) => {
                self.pursue(&author.session.fingerprint, &id);
                see_other(&format!("{DESK}/asked/{id}"))
            }
            Err(message) => {
                let find = || {
                    self.desk
                        .asked(&author.session.fingerprint, &form.word("id"))
                };
                let Ok(Some(asked)) = tokio::task::block_in_place(find) else {
                    return self.ask_again(author, &wanted, message);
                };
                let view = AskView {
                    answer: block,
                    ..self.with_text(author, &wanted, &asked)
                };
                let (frame, status) = self.refusing(visit, message);
                page(status, desk::ask(&frame, &view))
            }
        }
    }

    /// What is asked for by a pasted block, which must be the text that was shown: its id and name.
    fn judge_claim(
        &self,
        author: &Author<'_>,
        wanted: &Wanted,
        shown: &str,
        block: &str,
    ) -> Result<(String, String, String), Message> {
        let visit = author.visit;
        let why = |said, why: &str| visit.message(422, said, &[("why", why)]);
        let pasted = Pasted::parse(block.as_bytes())
            .map_err(|fault| why(|s| &s.not_signed_text, &fault.to_string()))?;
        let entry = Entry::parse(pasted.text.as_bytes())
            .map_err(|fault| why(|s| &s.changed_text, &fault.to_string()))?;
        let Some(Says::Blog {
            claim: Some(claim), ..
        }) = entry.draft().map(|draft| &draft.says)
        else {
            let kind = entry.skeleton().kind.to_string();
            return Err(visit.message(422, |s| &s.other_kind, &[("kind", &kind)]));
        };
        if entry.skeleton().authors != [author.session.fingerprint.clone()] {
            return Err(visit.message(422, |s| &s.other_author, &[]));
        }
        let (id, name) = (entry.id().path()[7..27].to_owned(), claim.name.to_string());
        let chain = Chain::new(entry.blog());
        let verified = chain
            .place(&entry)
            .and_then(|place| place.seal(entry, &pasted.signatures))
            .map_err(|fault| why(|s| &s.bad_signature_entry, &fault.to_string()))?;
        if id != shown {
            let texts = [("name", &*name), ("wanted", &*wanted.name)];
            return Err(visit.message(409, |s| &s.other_claim, &texts));
        }
        // In its one form, whatever else was pasted around it.
        let block = verified.sealed().cleartext().unwrap_or_default();
        Ok((id, name, block))
    }

    /// Asks the council for a name until it answers, or the claim is too old.
    fn pursue(self: &Arc<Self>, author: &Fingerprint, id: &str) {
        {
            let mut claiming = self.claiming.lock().unwrap_or_else(PoisonError::into_inner);
            if claiming.contains_key(id) || claiming.len() >= CLAIMING_MAX {
                return;
            }
            claiming.insert(id.to_owned(), false);
        }
        let (spoke, author, id) = (Arc::clone(self), author.clone(), id.to_owned());
        tokio::spawn(async move {
            let asked = tokio::task::block_in_place(|| spoke.desk.asked(&author, &id));
            if let Ok(Some(asked)) = asked {
                let outcome = Arc::clone(&spoke).outcome_of(&asked).await;
                if let Err(outage) =
                    tokio::task::block_in_place(|| spoke.desk.decide(&id, &outcome))
                {
                    tracing::error!(%outage, "what came of a claim was not kept; it is asked for again");
                }
            }
            spoke
                .claiming
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id);
        });
    }

    async fn outcome_of(self: Arc<Self>, asked: &Asked) -> String {
        let pasted = Pasted::parse(asked.block.as_bytes());
        let read = pasted
            .map_err(|fault| fault.to_string())
            .and_then(|pasted| {
                let entry =
                    Entry::parse(pasted.text.as_bytes()).map_err(|fault| fault.to_string())?;
                Ok((entry, pasted.signatures))
            });
        let (entry, signatures) = match read {
            Ok(read) => read,
            Err(why) => return why,
        };
        let until = entry.skeleton().signed + CLAIM_SECONDS;
        loop {
            let response = Arc::clone(&self)
                .claim_by_first(entry.clone(), &signatures)
                .await;
            let (status, problem, _) = said::<Problem>(response).await;
            let problem = problem.unwrap_or_default();
            match status {
                status if status.is_success() => return GRANTED.to_owned(),
                StatusCode::CONFLICT if problem.kind == TAKEN => return TAKEN.to_owned(),
                status if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                    return problem.detail;
                }
                _ if clock::now() > until => return problem.detail,
                _ => {}
            }
            if let Some(is_silent) = self
                .claiming
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_mut(&asked.id)
            {
                *is_silent = true;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// What has come of a name, or the text with which it is asked for.
    pub(super) fn asked_page(self: &Arc<Self>, author: &Author<'_>, id: &str) -> super::Response {
        let (visit, key) = (author.visit, &author.session.fingerprint);
        let (id, as_file) = match id.strip_suffix(".txt") {
            Some(id) => (id, true),
            None => (id, false),
        };
        let asked = match tokio::task::block_in_place(|| self.desk.asked(key, id)) {
            Ok(Some(asked)) => asked,
            Ok(None) => return see_other(&format!("{DESK}/blog")),
            Err(outage) => return self.notice(visit, visit.failed(&outage), None),
        };
        if as_file && asked.outcome == UNSIGNED {
            let file = desk::file_name(&[&asked.name, "blog"], &asked.block);
            return attachment(&file, asked.block);
        }
        let granted = asked.outcome == GRANTED;
        let is_known = typed_name(&asked.name).is_some_and(|name| self.named(&name).is_some());
        let state = match asked.outcome.as_str() {
            "" => {
                self.pursue(key, id);
                let claiming = self.claiming.lock().unwrap_or_else(PoisonError::into_inner);
                match claiming.get(id) {
                    Some(true) => State::Silent,
                    _ => State::Pending,
                }
            }
            GRANTED if is_known => State::Live,
            GRANTED => State::Pending,
            UNSIGNED => return see_other(&format!("{DESK}/blog")),
            _ => return self.not_granted(author, &asked),
        };
        let view = AskedView {
            origin: self.origin(&asked.name),
            edit: self.origin(&format!("edit.{}", asked.name)),
            name: asked.name,
            state,
        };
        let response = page(StatusCode::OK, desk::asked(&self.frame(visit), &view));
        if granted && is_known {
            return response;
        }
        refreshed(response, LOOK_AGAIN)
    }

    /// The form again, as it was signed, and why the name is not hers.
    fn not_granted(&self, author: &Author<'_>, asked: &Asked) -> super::Response {
        let visit = author.visit;
        let texts = [
            ("name", asked.name.as_str()),
            ("why", asked.outcome.as_str()),
        ];
        let message = if asked.outcome == TAKEN {
            visit.message(409, |s| &s.taken, &texts)
        } else {
            visit.message(409, |s| &s.name_refused, &texts)
        };
        let pasted = Pasted::parse(asked.block.as_bytes()).ok();
        let entry = pasted.and_then(|pasted| Entry::parse(pasted.text.as_bytes()).ok());
        let said = entry.as_ref().and_then(|entry| match &entry.draft()?.says {
            Says::Blog {
                title, language, ..
            } => Some((title.clone(), language.to_string())),
            _ => None,
        });
        let (title, language) = said.unwrap_or_default();
        let wanted = Wanted {
            name: asked.name.clone(),
            title,
            language,
            user_id: String::new(),
        };
        self.ask_again(author, &wanted, message)
    }
}
