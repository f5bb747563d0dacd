//! The writing desk in the browser, on this spoke's own name: who comes, and where each request goes.
//!
//! A session says who looks at drafts. It publishes nothing: for that each entry is signed, and goes the
//! way of every other one (SPEC http 5).

mod entrance;
mod naming;
mod publish;
mod takeaway;
mod writing;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use spokes_log::{
    name::{BlogId, BlogName, Hash},
    time::Time,
};
use spokes_rules::{health::Takes, node::Label, registry::BlogRecord};

use super::{
    Spoke,
    api::Site,
    finished::{HTML, PLAIN, medium, secure},
};
use crate::{
    clock,
    desk::{
        Fields, NotKept, Session,
        form::{FORM_BYTES_MAX, Form, STRANGERS_FORM_BYTES_MAX},
    },
    http::{self as web, Guest, Response},
    outage::Outage,
    turns::Turns,
    web::{
        desk::{DESK, Frame, notice},
        message::Message,
        words::{DeskSentences, Tongue},
    },
    wire::Problem,
};

/// Names that are asked for at one time through this spoke's desk.
pub(super) const CLAIMING_MAX: usize = 200;
/// Requests to the desk that are worked on at a time: each may hold a thread, and readers need some.
const DESK_TURNS: usize = 16;
/// How long a request waits for its turn: each of those before it takes parts of a second.
const TURN_WAIT: Duration = Duration::from_secs(3);
/// Requests of one guest that wait: a room full of people behind one address.
const OF_GUEST_MAX: usize = 32;
/// When whoever found no turn may try again.
const BUSY_SECONDS: u16 = 5;
/// Bytes behind `sign-in` in the name of a challenge's file; ours have a hyphen and six letters.
const CHALLENGE_LETTERS_MAX: usize = 16;
/// Characters of what a library says of a form.
const WHY_CHARS_MAX: usize = 200;
/// How long a browser remembers the language of the words.
const TONGUE_SECONDS: u32 = 365 * 24 * 60 * 60;
/// How long it keeps a session that nobody uses.
const COOKIE_SECONDS: u32 = 14 * 24 * 60 * 60;

/// Sentences of the desk in both tongues.
type Said = fn(&DeskSentences) -> &[&'static str; 4];

/// One request to the desk.
struct Visit {
    now: Time,
    tongue: Tongue,
    session: Option<Session>,
    /// The path below the desk.
    path: String,
    /// Path and query, without the choice of a tongue.
    address: String,
    query: BTreeMap<String, String>,
    /// A tongue that was chosen just now, to be remembered.
    chosen: Option<Tongue>,
}

/// A visit of somebody who is signed in.
struct Author<'a> {
    visit: &'a Visit,
    session: &'a Session,
    /// Her blogs on this network.
    blogs: Vec<(BlogId, BlogRecord)>,
}

impl Visit {
    fn message(&self, status: u16, said: Said, texts: &[(&str, &str)]) -> Message {
        Message::new(
            self.tongue,
            status,
            said(DeskSentences::of(self.tongue)),
            texts,
        )
    }

    fn ask(&self, name: &str) -> &str {
        self.query.get(name).map(String::as_str).unwrap_or_default()
    }

    fn not_kept(&self, why: &NotKept) -> Message {
        match why {
            NotKept::TooMuch => self.message(413, |s| &s.too_much, &[]),
            NotKept::Full => self.message(507, |s| &s.full, &[]),
            NotKept::Outage(outage) => self.failed(outage),
        }
    }

    fn failed(&self, outage: &Outage) -> Message {
        tracing::error!(%outage, "the desk could not keep something");
        self.message(503, |s| &s.failed, &[("why", &outage.to_string())])
    }
}

impl Author<'_> {
    /// Whoever has no blog gets little room.
    fn is_guest(&self) -> bool {
        self.blogs.is_empty()
    }

    fn blog(&self, name: &str) -> Option<&(BlogId, BlogRecord)> {
        self.blogs
            .iter()
            .find(|(_, record)| record.name.as_str() == name)
    }
}

/// The line before the desk.
pub(super) fn turns() -> Arc<Turns> {
    Turns::new(DESK_TURNS, TURN_WAIT, OF_GUEST_MAX)
}

impl Spoke {
    /// The label in a host name such as `oak.spoke.blogs.example.org`.
    pub(super) fn desk_host(&self, host: &str) -> Option<Label> {
        let below = host.strip_suffix(&self.domain())?.strip_suffix(".spoke.")?;
        Label::parse(below).ok()
    }

    /// Where people reach a spoke under its own name, without a final slash.
    pub(super) fn spoke_origin(&self, label: &Label) -> String {
        match self.config.base_url.split_once("://") {
            Some((scheme, host)) => format!("{scheme}://{label}.spoke.{host}"),
            None => self.config.base_url.clone(),
        }
    }

    /// Answers a request to the desk, or leads to where it is.
    pub(super) async fn at_desk(self: Arc<Self>, request: Request<Incoming>) -> Response {
        let host = web::host(&request);
        let mut visit = self.visit(&request);
        let Some(turn) = self.desk_turns.take(Guest::of(&request).address()).await else {
            return self.busy(&visit, request).await;
        };
        visit.session = match self.session_of(&visit, &request) {
            Ok(session) => session,
            Err(outage) => return crate::council::unavailable(&outage),
        };
        match self.desk_host(&host) {
            Some(label) if label == self.me => {}
            Some(_) => {
                let me = [("me", self.me.as_str())];
                return self.notice(&visit, visit.message(421, |s| &s.not_here, &me), None);
            }
            None => {
                let Site::Blog(name) = self.site(&host) else {
                    return see_other(&format!("{}{DESK}", self.spoke_origin(&self.me)));
                };
                return match self.look_up(&name).await {
                    Ok((_, record)) => see_other(&format!(
                        "{}{DESK}",
                        self.spoke_origin(record.set.primary())
                    )),
                    Err(_) => {
                        let (name, domain) = (name.as_str(), self.domain());
                        let message = Message::no_such_blog(visit.tongue, name, &domain);
                        self.notice(&visit, message, None)
                    }
                };
            }
        }
        let mut response = match *request.method() {
            Method::POST => {
                // A form may take minutes to come.
                drop(turn);
                self.posted(&visit, request).await
            }
            Method::GET | Method::HEAD => self.asked_for(&visit).await,
            _ => web::refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "The desk knows GET and POST. Nothing was changed.",
            ),
        };
        if let Some(tongue) = visit.chosen {
            let cookie = format!(
                "words={}; Path=/; Max-Age={TONGUE_SECONDS}; SameSite=Lax",
                tongue.tag()
            );
            append_cookie(&mut response, &cookie);
        }
        response
    }

    /// A visit of whoever it is.
    fn visit(&self, request: &Request<Incoming>) -> Visit {
        let query = web::query(request);
        let chosen = query.get("ui").and_then(|tag| Tongue::spoken(tag));
        let remembered = cookie(request, "words").and_then(|tag| Tongue::spoken(&tag));
        let accepted = request.headers().get(header::ACCEPT_LANGUAGE);
        let accepted = accepted
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let uri = request.uri();
        let path = uri.path().strip_prefix(DESK).unwrap_or_default();
        let kept: Vec<&str> = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|field| !field.is_empty() && !field.starts_with("ui="))
            .collect();
        let mark = if kept.is_empty() { "" } else { "?" };
        Visit {
            now: clock::now(),
            tongue: chosen
                .or(remembered)
                .unwrap_or_else(|| Tongue::accepted(accepted)),
            session: None,
            path: web::unquote_path(path.trim_end_matches('/')),
            address: format!("{}{mark}{}", uri.path(), kept.join("&")),
            query,
            chosen,
        }
    }

    /// Whose visit it is. A key that has ended takes its sessions along.
    fn session_of(
        &self,
        visit: &Visit,
        request: &Request<Incoming>,
    ) -> Result<Option<Session>, Outage> {
        let Some(token) = cookie(request, self.cookie_name()) else {
            return Ok(None);
        };
        let session = tokio::task::block_in_place(|| self.desk.session(visit.now, &token))?;
        Ok(session.filter(|session| !self.has_ended(&session.fingerprint)))
    }

    /// No turn came: what somebody typed stands on the page that says so.
    async fn busy(&self, visit: &Visit, request: Request<Incoming>) -> Response {
        let headers = request.headers().clone();
        let typed = match *request.method() {
            Method::POST => match web::body(request, STRANGERS_FORM_BYTES_MAX).await {
                Ok(body) => Form::read(&headers, body).await.ok(),
                Err(_) => None,
            },
            _ => None,
        };
        self.busy_with(visit, typed.as_ref())
    }

    fn busy_with(&self, visit: &Visit, form: Option<&Form>) -> Response {
        let typed = form.map(|form| match visit.path.as_str() {
            "/write" => writing::typed(form),
            "/sign-in" => entrance::carried(&form.text("kept")).unwrap_or_else(|| said_in(form)),
            _ => said_in(form),
        });
        let seconds = visit.tongue.number(u64::from(BUSY_SECONDS));
        let message = match typed {
            Some(_) => visit.message(503, |s| &s.busy, &[("seconds", &*seconds)]),
            None => Message::busy(visit.tongue, BUSY_SECONDS),
        };
        let mut response = self.notice(visit, message, typed.as_ref());
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(BUSY_SECONDS));
        response
    }

    /// Over HTTPS browsers keep a cookie of this name for this host alone.
    fn cookie_name(&self) -> &'static str {
        if self.config.base_url.starts_with("https://") {
            "__Host-session"
        } else {
            "session"
        }
    }

    fn session_cookie(&self, token: &str, seconds: u32) -> String {
        let secure = if self.config.base_url.starts_with("https://") {
            "; Secure"
        } else {
            ""
        };
        let name = self.cookie_name();
        format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }

    /// Whether whoever stands on the way could read along.
    fn is_insecure(&self) -> bool {
        let loopback = self.config.listen.ip().is_loopback();
        !(loopback || self.config.base_url.starts_with("https://"))
    }

    fn frame(&self, visit: &Visit) -> Frame {
        let signed_in = visit.session.as_ref();
        Frame {
            network: self.network_view(),
            tongue: visit.tongue,
            signed_in: signed_in.map(|s| (s.fingerprint.to_string(), s.form_key())),
            refusal: None,
            way_on: None,
            done: None,
            path: Some(visit.address.clone()),
        }
    }

    /// A page that answers a form: it has no address of its own, and what was typed is in it.
    fn refusing(&self, visit: &Visit, refusal: Message) -> (Frame, StatusCode) {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
        let frame = Frame {
            refusal: Some(refusal),
            path: None,
            ..self.frame(visit)
        };
        (frame, status)
    }

    fn notice(&self, visit: &Visit, refusal: Message, typed: Option<&Fields>) -> Response {
        let (frame, status) = self.refusing(visit, refusal);
        page(status, notice(&frame, typed))
    }

    /// Who is signed in, with her blogs.
    fn author<'a>(&self, visit: &'a Visit) -> Option<Author<'a>> {
        let session = visit.session.as_ref()?;
        let blogs = self.ask(|registry| {
            let hers = registry.blogs_of(&session.fingerprint);
            let mut hers: Vec<_> = hers.map(|(id, record)| (id, record.clone())).collect();
            // One in which she may write, though somebody else's key claimed it.
            let named = BlogName::parse(&session.blog).ok();
            let named = named.and_then(|name| registry.named(&name));
            if let Some((id, record)) = named.filter(|(id, _)| hers.iter().all(|(h, _)| h != id)) {
                hers.push((id, record.clone()));
            }
            hers
        });
        Some(Author {
            visit,
            session,
            blogs: blogs.unwrap_or_default(),
        })
    }

    /// Drafts are the first that a full disk can do without: their authors have the words before them.
    fn has_room_for_drafts(&self) -> Result<(), NotKept> {
        match self.room.look() {
            Takes::New | Takes::Held => Ok(()),
            Takes::Nothing => Err(NotKept::Full),
        }
    }

    async fn asked_for(self: &Arc<Self>, visit: &Visit) -> Response {
        match visit.path.as_str() {
            "/find" => return self.lead_to_desk_of(visit, visit.ask("name")).await,
            "/forget.svg" if visit.session.is_none() => return self.forget(),
            path => {
                if let Some(file) = path.strip_prefix('/').filter(|file| is_challenge(file)) {
                    return attachment(file, self.challenge(visit).to_string());
                }
            }
        }
        let Some(author) = self.author(visit) else {
            return self.sign_in_page(visit);
        };
        match visit.path.as_str() {
            "" | "/sign-in" => self.home(&author),
            "/blog" => self.ask_page(&author),
            "/write" => self.write_page(&author).await,
            "/sign" => self.sign_page(&author),
            "/published" => self.published_page(&author),
            "/articles" => self.articles_page(&author),
            "/download" => self.download_page(&author),
            "/erase" => self.erase_page(&author),
            "/erase.txt" => self.erase_text(&author),
            path => {
                if let Some(id) = path.strip_prefix("/asked/") {
                    return self.asked_page(&author, id);
                }
                if let Some(name) = path.strip_prefix("/text/") {
                    return self.text_file(&author, name);
                }
                if let Some(file) = path.strip_prefix("/download/") {
                    return self.download(&author, file).await;
                }
                let domain = self.domain();
                self.notice(visit, Message::no_such_page(visit.tongue, &domain), None)
            }
        }
    }

    async fn posted(self: &Arc<Self>, visit: &Visit, request: Request<Incoming>) -> Response {
        let headers = request.headers().clone();
        let origin = headers.get(header::ORIGIN);
        // Browsers always name the page that a form stands on; other programs have no session to steal.
        let foreign =
            origin.is_some_and(|o| o.as_bytes() != self.spoke_origin(&self.me).as_bytes());
        let max = match visit.session {
            Some(_) => FORM_BYTES_MAX,
            None => STRANGERS_FORM_BYTES_MAX,
        };
        let guest = Guest::of(&request).address();
        let body = web::body(request, max).await;
        let turn = self.desk_turns.take(guest).await;
        let read = match body {
            Ok(body) => Form::read(&headers, body).await,
            Err(refusal) => {
                let problem = said::<Problem>(refusal).await.1;
                let why = problem.unwrap_or_default().detail;
                Err(why.trim_end_matches('.').to_owned())
            }
        };
        let form = match read {
            Ok(form) => form.without_secrets(),
            Err(mut why) => {
                // A library's words may hold a stranger's.
                why = why.chars().take(WHY_CHARS_MAX).collect();
                let message = visit.message(400, |s| &s.not_a_form, &[("why", &why)]);
                return self.notice(visit, message, None);
            }
        };
        let Some(_turn) = turn else {
            return self.busy_with(visit, Some(&form));
        };
        let typed = (visit.path == "/write").then(|| writing::typed(&form));
        if foreign {
            let message = visit.message(403, |s| &s.other_page, &[]);
            return self.notice(visit, message, typed.as_ref());
        }
        if visit.path == "/sign-in" {
            return self.sign_in(visit, &form).await;
        }
        let Some(author) = self.author(visit) else {
            return self.signed_out(visit, &form, typed.as_ref());
        };
        if form.text("form") != author.session.form_key() {
            let message = visit.message(403, |s| &s.other_page, &[]);
            return match typed {
                Some(fields) => self.write_again(&author, &form, &fields, message),
                None => self.notice(visit, message, None),
            };
        }
        match visit.path.as_str() {
            "/sign-out" => self.sign_out(&author),
            "/blog" => self.make_claim(&author, &form),
            "/blog/sign" => self.take_claim(&author, &form),
            "/write" => self.keep_writing(&author, &form).await,
            "/delete" => self.delete_draft(&author, &form),
            "/sign" => self.publish(&author, &form).await,
            _ => self.notice(
                visit,
                Message::no_such_page(visit.tongue, &self.domain()),
                None,
            ),
        }
    }

    /// A picture of a draft, for its author alone.
    pub(super) fn desk_medium(&self, request: &Request<Incoming>) -> Option<Response> {
        let hash = request
            .uri()
            .path()
            .strip_prefix("/media/")
            .and_then(Hash::parse_path)?;
        if self.desk_host(&web::host(request))? != self.me || self.blobs.has(hash) {
            return None;
        }
        let session = self.session_of(&self.visit(request), request).ok()??;
        let kept = tokio::task::block_in_place(|| self.desk.picture(&session.fingerprint, hash));
        let mut response = medium(kept.ok()??);
        let private = HeaderValue::from_static("private, no-cache");
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, private);
        Some(response)
    }
}

/// Whether a file is one of those with what is signed to sign in: each page links to another name.
fn is_challenge(file: &str) -> bool {
    let name = file.strip_suffix(".txt").unwrap_or_default();
    let letters = name.strip_prefix("sign-in").unwrap_or("?");
    letters.len() <= CHALLENGE_LETTERS_MAX
        && letters
            .bytes()
            .all(|b| b == b'-' || b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// What a browser remembers under this name.
fn cookie(request: &Request<Incoming>, name: &str) -> Option<String> {
    let cookies = request.headers().get_all(header::COOKIE).into_iter();
    let pairs = cookies
        .filter_map(|c| c.to_str().ok())
        .flat_map(|c| c.split(';'));
    let mut named = pairs.filter_map(|pair| pair.trim().split_once('='));
    named
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
}

/// What somebody typed into a form of a few words, to be seen and copied.
fn said_in(form: &Form) -> Fields {
    let words = ["name", "title", "language", "answer"].map(|field| form.text(field));
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|w| !w.is_empty())
        .collect();
    Fields {
        body: words.join("\n"),
        ..Fields::default()
    }
}

/// A page of the desk: nobody's but hers.
fn page(status: StatusCode, body: String) -> Response {
    let mut response = web::answer(status, HTML, body);
    secure(&mut response);
    private(&mut response);
    response
}

fn private(response: &mut Response) {
    let headers = response.headers_mut();
    // Not `no-store`: a browser that goes back has to find what was typed.
    let private = HeaderValue::from_static("private, no-cache");
    headers.insert(header::CACHE_CONTROL, private);
    let vary = HeaderValue::from_static("cookie, accept-language");
    headers.insert(header::VARY, vary);
    // With `no-referrer` browsers would not say which page a form stands on.
    let same = HeaderValue::from_static("same-origin");
    headers.insert(header::REFERRER_POLICY, same);
}

/// The same page again in a moment: it waits for something.
fn refreshed(mut response: Response, seconds: &'static str) -> Response {
    let seconds = HeaderValue::from_static(seconds);
    response.headers_mut().insert(header::REFRESH, seconds);
    response
}

/// Leads on after a form was taken, so that reloading sends nothing twice.
fn see_other(to: &str) -> Response {
    let mut response = web::answer(StatusCode::SEE_OTHER, PLAIN, format!("{to}\n"));
    private(&mut response);
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

fn append_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// A text to be saved.
fn attachment(name: &str, text: String) -> Response {
    file(name, PLAIN, text)
}

/// A file to be saved. Its name is ours, of letters that need no quoting.
fn file(name: &str, kind: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = web::answer(StatusCode::OK, kind, body);
    private(&mut response);
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// What an answer for programs says.
async fn said<T: serde::de::DeserializeOwned>(
    response: Response,
) -> (StatusCode, Option<T>, Vec<u8>) {
    let (parts, body) = response.into_parts();
    let Ok(bytes) = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    (
        parts.status,
        serde_json::from_slice(&bytes).ok(),
        bytes.to_vec(),
    )
}

/// A blog's name as a person types it.
fn typed_name(name: &str) -> Option<BlogName> {
    let name = name.trim().to_ascii_lowercase();
    BlogName::parse(&name).ok()
}
