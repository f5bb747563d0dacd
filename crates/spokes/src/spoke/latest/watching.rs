//! Watching those who pass the latest posts on: whoever leaves one out, brings one back that its author took away, or
//! says what nobody wrote, is passed by and named on the status page (SPEC circle 5).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::{name::BlogName, time::Time};
use spokes_rules::{
    circle::{Group, Question, Reach},
    front,
    node::Label,
};

use super::{
    super::headlines::{Source, Told},
    Circled, Spoke, lock,
};
use crate::{
    client::{Ask, Reply},
    clock,
    http::{self as web, Response},
    wire::LatestWire,
};

/// For how long two may say different things before somebody asks who is right: longer than news takes through all
/// levels.
const DOUBT_AFTER: Duration = Duration::from_secs(5);
/// Doubts that are looked into at a time: each is a question to a spoke that has the blog.
const DOUBTS_AT_ONCE: usize = 4;
/// Doubts that are kept: those of two whole lists.
const DOUBTS_MAX: usize = 4 * front::LATEST;
/// How long a member of a set may take to say what is right.
const WORD_WAIT: Duration = Duration::from_secs(2);
/// For how long one who left something out is not asked as the only one.
const DISTRUST: Duration = Duration::from_secs(600);
/// Spokes that one of the inner circle asks directly at a time: of more circles than these nobody speaks for.
const DIRECT_MAX: usize = 64;
/// Bytes of a spoke's wish to be asked directly: a label and what is around it.
const ASK_BYTES_MAX: usize = 1024;
/// Headlines that authors took back while somebody still shows them: as many as a whole circle can show.
const TAKEN_BACK_MAX: usize = 1_000;
/// What was noticed, kept for the status page: one who finds ever new ways pushes out the oldest.
const NOTICES_MAX: usize = 50;

/// What somebody was seen to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in super::super) enum What {
    /// It shows what no author signed.
    Invents,
    /// It leaves out a post that is there.
    LeavesOut,
    /// It shows a post that its author has replaced or taken back.
    BringsBack,
}

impl What {
    /// A word for programs.
    pub(in super::super) fn word(self) -> &'static str {
        match self {
            Self::Invents => "invents",
            Self::LeavesOut => "leaves-out",
            Self::BringsBack => "brings-back",
        }
    }
}

/// Something that was noticed.
#[derive(Clone, Debug)]
pub(in super::super) struct Notice {
    pub(in super::super) about: Label,
    pub(in super::super) what: What,
    /// Of which blog, where it is of one.
    pub(in super::super) blog: Option<BlogName>,
    pub(in super::super) last: Time,
    pub(in super::super) times: u64,
}

/// That one of those who should say the same does not say this.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Doubt {
    lacks: Question,
    source: Source,
}

/// What was noticed so far.
#[derive(Debug, Default)]
pub(super) struct Watched {
    notices: Vec<Notice>,
    doubts: BTreeMap<Doubt, (Instant, State)>,
    taken_back: BTreeSet<Source>,
    distrusted: BTreeMap<Label, Instant>,
    /// Spokes that are asked directly, since when.
    direct: BTreeMap<Label, Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waits,
    IsLookedInto,
    /// It was decided, or nobody could say.
    Ended,
}

impl Watched {
    /// Notes what somebody does.
    pub(super) fn note(&mut self, about: &Label, what: What, blog: Option<&BlogName>) {
        let last = clock::now();
        let same = |n: &&mut Notice| n.about == *about && n.what == what && n.blog.as_ref() == blog;
        if let Some(notice) = self.notices.iter_mut().find(same) {
            notice.last = last;
            notice.times += 1;
            return;
        }
        if self.notices.len() == NOTICES_MAX {
            let oldest = (0..NOTICES_MAX).min_by_key(|at| self.notices[*at].last);
            oldest.map(|at| self.notices.remove(at));
        }
        self.notices.push(Notice {
            about: about.clone(),
            what,
            blog: blog.cloned(),
            last,
            times: 1,
        });
    }

    /// Whether an author was seen to have taken this back.
    pub(super) fn was_taken_back(&self, source: &Source) -> bool {
        self.taken_back.contains(source)
    }

    /// Those who left something out.
    pub(super) fn distrusted(&self) -> impl Iterator<Item = Label> + '_ {
        let lately = |at: &&Instant| at.elapsed() < DISTRUST;
        let distrusted = self.distrusted.iter();
        distrusted.filter_map(move |(label, at)| lately(&at).then(|| label.clone()))
    }

    /// Spokes that are asked directly, beside those who gather for them.
    pub(super) fn direct(&self) -> impl Iterator<Item = &Label> {
        let lately = self.direct.iter();
        let lately = lately.filter(|(_, since)| since.elapsed() < DISTRUST);
        lately.map(|(label, _)| label)
    }

    /// Takes the doubts there are now; gives back those that have lasted too long.
    fn doubt(&mut self, now: Instant, found: BTreeSet<Doubt>) -> Vec<Doubt> {
        self.doubts.retain(|doubt, _| found.contains(doubt));
        for doubt in found {
            if self.doubts.len() < DOUBTS_MAX {
                self.doubts.entry(doubt).or_insert((now, State::Waits));
            }
        }
        let busy = self
            .doubts
            .values()
            .filter(|(_, s)| *s == State::IsLookedInto);
        let free = DOUBTS_AT_ONCE.saturating_sub(busy.count());
        let due = self.doubts.iter_mut().filter(|(_, (since, state))| {
            *state == State::Waits && now.duration_since(*since) >= DOUBT_AFTER
        });
        let look = |(doubt, (_, state)): (&Doubt, &mut (Instant, State))| {
            *state = State::IsLookedInto;
            doubt.clone()
        };
        due.take(free).map(look).collect()
    }
}

impl Spoke {
    /// What was noticed about others, the newest first.
    pub(in super::super) fn noticed(&self) -> Vec<Notice> {
        let mut notices = lock(&self.latest.watched).notices.clone();
        notices.sort_by_key(|notice| std::cmp::Reverse(notice.last));
        notices
    }

    /// Compares what those say who should say the same, and looks into what stays different.
    pub(super) fn watch_others(self: &Arc<Self>, circled: &Circled) {
        let mut found = BTreeSet::new();
        {
            let duties = &circled.duties;
            let below = duties.below.values().flatten();
            let groups = below.chain(&duties.inner).chain(&duties.above);
            for group in groups {
                self.find_doubts(group, &mut found);
            }
        }
        let due = lock(&self.latest.watched).doubt(Instant::now(), found);
        for doubt in due {
            tokio::spawn(Arc::clone(self).look_into(doubt));
        }
    }

    /// What one of a group lacks though another one, or this spoke itself, has it.
    fn find_doubts(&self, group: &Group, found: &mut BTreeSet<Doubt>) {
        let now = clock::now();
        let heard = lock(&self.latest.heard);
        let lists: Vec<(&Question, Vec<Arc<Told>>)> = group
            .iter()
            .filter_map(|question| {
                let heard = heard.get(question).filter(|heard| heard.is_well())?;
                Some((question, heard.told().collect()))
            })
            .collect();
        drop(heard);
        let mut all: Vec<Arc<Told>> = lists.iter().flat_map(|(_, told)| told).cloned().collect();
        // What this spoke has published must be known to whoever speaks for all.
        if group.iter().all(|question| question.reach == Reach::All) {
            all.extend(lock(&self.latest.own).values().flatten().cloned());
        }
        let all = self.that_count(all);
        let latest = |all: Vec<Arc<Told>>| front::latest(now, all, |told| &told.headline);
        let all = latest(all);
        for (question, told) in &lists {
            let has = |one: &Arc<Told>| told.iter().any(|told| told.source == one.source);
            for one in all.iter().filter(|one| !has(one)) {
                // It need not name what is older than all that it shows.
                let with = latest(told.iter().chain([one]).cloned().collect());
                if with.iter().any(|told| told.source == one.source) {
                    found.insert(Doubt {
                        lacks: (*question).clone(),
                        source: one.source.clone(),
                    });
                }
            }
        }
    }

    /// Asks one who has the blog who is right.
    async fn look_into(self: Arc<Self>, doubt: Doubt) {
        let told = self.word_of_blog(&doubt.source).await;
        let to_blame = match told {
            Some(true) => self.to_blame(&doubt).await,
            _ => Vec::new(),
        };
        let blog = doubt.source.blog;
        let name = self.ask(|r| r.blog(blog).map(|blog| blog.name.clone()));
        let name = name.flatten();
        let showing: Vec<Label> = {
            let heard = lock(&self.latest.heard);
            let shows = |(question, heard): (&Question, &super::Heard)| {
                let shows = heard.told().any(|told| told.source == doubt.source);
                shows.then(|| question.whom.clone())
            };
            heard.iter().filter_map(shows).collect()
        };
        let mut watched = lock(&self.latest.watched);
        if let Some((_, state)) = watched.doubts.get_mut(&doubt) {
            *state = State::Ended;
        } else {
            // They agree by now.
            return;
        }
        let name = name.as_ref();
        match told {
            Some(true) => {
                for whom in to_blame {
                    tracing::warn!(%whom, blog = ?name, entry = %doubt.source.entry, "it leaves out a post, and others are asked as well");
                    watched.note(&whom, What::LeavesOut, name);
                    watched.distrusted.insert(whom, Instant::now());
                }
            }
            Some(false) => {
                for whom in showing {
                    tracing::warn!(%whom, blog = ?name, entry = %doubt.source.entry, "it shows what its author has replaced or taken back");
                    watched.note(&whom, What::BringsBack, name);
                }
                if watched.taken_back.len() == TAKEN_BACK_MAX {
                    watched.taken_back.pop_first();
                }
                watched.taken_back.insert(doubt.source);
            }
            None => {}
        }
    }

    /// Who left out a post that is there: whoever lacks it, but where it is this spoke's own it may have been lost on
    /// its way up. Then those who gather here are looked at, and the inner circle is told to ask this spoke itself.
    async fn to_blame(self: &Arc<Self>, doubt: &Doubt) -> Vec<Label> {
        let lacks = vec![doubt.lacks.whom.clone()];
        let is_own = lock(&self.latest.own).contains_key(&doubt.source.blog);
        if doubt.lacks.reach != Reach::All || !is_own {
            return lacks;
        }
        let circled = self.latest.circled();
        let inner: Vec<&Label> = circled.circles.inner.iter().collect();
        let mut is_known_above = false;
        for label in inner.iter().filter(|label| **label != &self.me) {
            is_known_above |= self.shows(label, "all", &doubt.source).await == Some(true);
        }
        if is_known_above {
            return lacks;
        }
        let around = circled.circles.around(&self.me);
        let gathering = around.first().map_or(&[][..], |circle| &circle.aggregators);
        let mut to_blame = Vec::new();
        for label in gathering.iter().filter(|label| **label != self.me) {
            if self.shows(label, "below&level=0", &doubt.source).await == Some(false) {
                to_blame.push(label.clone());
            }
        }
        let body = serde_json::json!({ "ask": self.me.to_string() });
        for label in inner {
            if let Some(address) = self.address(label) {
                let ask = Ask::new(address, "/api/v1/latest");
                let told = self.client.post::<_, serde_json::Value>(ask, &body);
                // Another one of them is told as well, and all again as long as the post is missing.
                drop(tokio::time::timeout(WORD_WAIT, told).await);
            }
        }
        to_blame
    }

    /// Whether a list of another spoke has this; none where it does not answer.
    async fn shows(&self, whom: &Label, list: &str, source: &Source) -> Option<bool> {
        let path = format!("/api/v1/latest?of={list}");
        let asked = self
            .client
            .get::<LatestWire>(Ask::new(self.address(whom)?, &path));
        let Ok(Ok(Reply::Good(wire, _))) = tokio::time::timeout(WORD_WAIT, asked).await else {
            return None;
        };
        let lines = wire.added.iter().take(front::LATEST);
        let mut sources = lines.filter_map(Source::read);
        Some(sources.any(|told| told == *source))
    }

    /// `POST latest`: a spoke whose posts do not come here through its circle is asked itself for a while.
    pub(in super::super) async fn ask_directly(&self, request: Request<Incoming>) -> Response {
        let body = match web::body(request, ASK_BYTES_MAX).await {
            Ok(body) => body,
            Err(response) => return response,
        };
        let asked: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let label = asked.as_ref().and_then(|asked| asked.get("ask")?.as_str());
        let label = label.and_then(|label| Label::parse(label).ok());
        let Some(label) = label.filter(|label| self.address(label).is_some()) else {
            let why = "This names no spoke of the network. Nothing was changed.";
            return web::refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why);
        };
        if !self.latest.circled().circles.inner.contains(&self.me) {
            let why = "This spoke is not of the inner circle; the registry says who is. Nothing was changed.";
            return web::refuse(StatusCode::MISDIRECTED_REQUEST, "not-inner", why);
        }
        let mut watched = lock(&self.latest.watched);
        watched.direct.retain(|_, since| since.elapsed() < DISTRUST);
        if watched.direct.len() >= DIRECT_MAX && !watched.direct.contains_key(&label) {
            let why = "Too many spokes are asked directly. Nothing is lost; ask another of the inner circle, or again in a moment.";
            return web::refuse(StatusCode::SERVICE_UNAVAILABLE, "busy", why);
        }
        watched.direct.insert(label, Instant::now());
        self.latest.news.notify_one();
        web::json(StatusCode::OK, &serde_json::json!({}))
    }

    /// Whether a blog's latest posts, as one of its set knows them, include this; none where nobody says so.
    async fn word_of_blog(self: &Arc<Self>, source: &Source) -> Option<bool> {
        let record = self.ask(|r| r.blog(source.blog).cloned()).flatten()?;
        if record.set.has(&self.me) {
            let told = self.latest_of(source.blog).await?;
            return Some(told.iter().any(|told| told.source == *source));
        }
        let path = format!("/api/v1/latest?of=blog&blog={}", source.blog);
        for member in &record.set.members {
            let Some(address) = self.address(member) else {
                continue;
            };
            let asked = self.client.get::<LatestWire>(Ask::new(address, &path));
            let Ok(Ok(Reply::Good(wire, _))) = tokio::time::timeout(WORD_WAIT, asked).await else {
                continue;
            };
            let lines = wire.added.iter().take(front::LATEST_PER_BLOG_MAX);
            let mut sources = lines.filter_map(Source::read);
            return Some(sources.any(|told| told == *source));
        }
        None
    }
}
