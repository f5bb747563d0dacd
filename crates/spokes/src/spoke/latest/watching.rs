//! Watching those who pass the latest posts on: whoever leaves one out, brings one back that its author took away, or
//! says what nobody wrote, is passed by and named on the status page (SPEC circle 5).

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::{
    name::{BlogId, BlogName, EntryId},
    time::Time,
};
use spokes_rules::{
    circle::{Group, Question, Reach},
    front,
    node::Label,
    registry::BlogRecord,
};

use super::{
    super::headlines::{Source, Told},
    Circled, Heard, Spoke, lock,
};
use crate::{
    client::{Ask, Reply},
    clock,
    http::{self as web, Response},
    wire::{HasWire, StandingOfPostWire},
};

/// For how long two may say different things before somebody asks who is right: longer than news takes through all
/// levels.
const DOUBT_AFTER: Duration = Duration::from_secs(5);
/// How far a clock may be behind: whoever has such a one has posts of this moment so much later.
const CLOCK_SECONDS: i64 = 5;
/// After how long a doubt is looked into again that still is there.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
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
/// For how long a version is not shown that its blog's primary has in another way: it may come back.
const NOT_SHOWN: Duration = Duration::from_secs(60);
/// For how long a post is not told of whose proof could not be read here.
const UNPROVEN: Duration = Duration::from_secs(30);
/// Posts that are not shown though somebody shows them: as many as a whole circle can show.
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

/// What a blog's copy says of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) enum Word {
    /// It is the current version of a post, which is shown so.
    Current(Source),
    /// Its author erased it.
    Erased,
    /// It is none, or none any more.
    Other,
}

/// What was noticed so far.
#[derive(Debug, Default)]
pub(super) struct Watched {
    notices: Vec<Notice>,
    doubts: BTreeMap<Doubt, (Instant, State)>,
    /// Entries that are not shown, until when; those that were erased for as long as there is room.
    gone: BTreeMap<(BlogId, EntryId), (Instant, Option<Instant>)>,
    /// Current versions that somebody shows as they are not.
    bent: BTreeMap<Source, Instant>,
    distrusted: BTreeMap<Label, Instant>,
    /// Spokes that are asked directly, since when.
    direct: BTreeMap<Label, Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waits,
    IsLookedInto,
    /// It was decided then, or nobody could say.
    Ended(Instant),
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

    /// Whether this is not to be shown, or told of.
    pub(super) fn hides(&self, source: &Source) -> bool {
        let now = Instant::now();
        let gone = self.gone.get(&(source.blog, source.entry));
        gone.is_some_and(|(_, until)| until.is_none_or(|until| now < until))
            || self
                .bent
                .get(source)
                .is_some_and(|since| since.elapsed() < NOT_SHOWN)
    }

    /// Notes that an entry is not to be shown for so long, or never again.
    fn hide(&mut self, blog: BlogId, entry: EntryId, how_long: Option<Duration>) {
        let now = Instant::now();
        if self.gone.len() >= TAKEN_BACK_MAX {
            let oldest = self.gone.iter().min_by_key(|(_, (since, _))| *since);
            oldest
                .map(|(key, _)| *key)
                .map(|key| self.gone.remove(&key));
        }
        let until = how_long.map(|how_long| now + how_long);
        self.gone.insert((blog, entry), (now, until));
    }

    /// Notes that the proof of a post cannot be read here now.
    pub(super) fn cannot_prove(&mut self, source: &Source) {
        self.hide(source.blog, source.entry, Some(UNPROVEN));
    }

    /// Notes that somebody shows a current version as it is not.
    fn refuse(&mut self, source: Source) {
        self.bent.retain(|_, since| since.elapsed() < NOT_SHOWN);
        if self.bent.len() < TAKEN_BACK_MAX {
            self.bent.insert(source, Instant::now());
        }
    }

    /// Those who left something out.
    pub(super) fn distrusted(&self) -> impl Iterator<Item = Label> + '_ {
        let lately = self.distrusted.iter();
        let lately = lately.filter(|(_, at)| at.elapsed() < DISTRUST);
        lately.map(|(label, _)| label.clone())
    }

    /// Spokes that are asked directly, beside those who gather for them.
    pub(super) fn direct(&self) -> impl Iterator<Item = &Label> {
        let lately = self.direct.iter();
        let lately = lately.filter(|(_, since)| since.elapsed() < DISTRUST);
        lately.map(|(label, _)| label)
    }

    /// Takes the doubts there are now, each with how late the one who lacks it says that it is; gives back those that
    /// have lasted too long, and whether they were looked into before.
    fn doubt(&mut self, now: Instant, found: &BTreeMap<Doubt, Duration>) -> Vec<(Doubt, bool)> {
        self.doubts.retain(|doubt, _| found.contains_key(doubt));
        for doubt in found.keys() {
            if self.doubts.len() < DOUBTS_MAX && !self.doubts.contains_key(doubt) {
                self.doubts.insert(doubt.clone(), (now, State::Waits));
            }
        }
        let looked_into = |state: &State| matches!(state, State::IsLookedInto);
        let busy = self.doubts.values().filter(|(_, state)| looked_into(state));
        let free = DOUBTS_AT_ONCE.saturating_sub(busy.count());
        let due = self
            .doubts
            .iter_mut()
            .filter(|(doubt, (since, state))| match state {
                State::Waits => {
                    let late = found.get(doubt).copied().unwrap_or_default();
                    now.duration_since(*since) >= DOUBT_AFTER.saturating_add(late)
                }
                State::IsLookedInto => false,
                State::Ended(at) => now.duration_since(*at) >= AGAIN_AFTER,
            });
        let look = |(doubt, (_, state)): (&Doubt, &mut (Instant, State))| {
            let again = matches!(state, State::Ended(_));
            *state = State::IsLookedInto;
            (doubt.clone(), again)
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
        let mut found = BTreeMap::new();
        {
            let duties = &circled.duties;
            let below = duties.below.values().flatten();
            let groups = below.chain(&duties.inner).chain(&duties.above);
            for group in groups {
                self.find_doubts(circled, group, &mut found);
            }
        }
        let due = lock(&self.latest.watched).doubt(Instant::now(), &found);
        for (doubt, again) in due {
            tokio::spawn(Arc::clone(self).look_into(doubt, again));
        }
    }

    /// What one of a group lacks though another one, or this spoke itself, has it.
    fn find_doubts(&self, circled: &Circled, group: &Group, found: &mut BTreeMap<Doubt, Duration>) {
        if group.iter().any(|question| question.reach == Reach::Own) {
            // A spoke's own list is its own affair.
            return;
        }
        let now = clock::now();
        let heard = lock(&self.latest.heard);
        let lists: Vec<(&Question, u64, Vec<Arc<Told>>)> = group
            .iter()
            .filter_map(|question| {
                let heard = heard.get(question).filter(|heard| heard.is_well())?;
                let told = heard.told().filter(|told| told.headline.date <= now);
                Some((question, heard.age_seconds()?, told.collect()))
            })
            .collect();
        let is_all = group.iter().all(|question| question.reach == Reach::All);
        let witness = circled.duties.witness.as_ref().filter(|_| is_all);
        let witness = witness.and_then(|witness| heard.get(witness));
        let seen: Vec<Arc<Told>> = witness.into_iter().flat_map(Heard::told).collect();
        drop(heard);
        let mut all: Vec<Arc<Told>> = lists.iter().flat_map(|(.., told)| told).cloned().collect();
        if is_all {
            all.extend(seen);
            // What this spoke has published must be known to whoever speaks for all.
            all.extend(lock(&self.latest.own).values().flatten().cloned());
        } else {
            // What came in another way is missing in both, perhaps.
            all.extend(self.latest.known().all.iter().cloned());
        }
        let all = self.that_count(all);
        let latest = |all: Vec<Arc<Told>>| front::latest(now, all, |told| &told.headline);
        for (question, age, told) in &lists {
            let has = |one: &Arc<Told>| told.iter().any(|told| told.source == one.source);
            for one in all.iter().filter(|one| !has(one)) {
                // It need not name what is older than all that it shows, nor what is of no concern to it.
                let with = latest(told.iter().chain([one]).cloned().collect());
                let is_shown = with.iter().any(|told| told.source == one.source);
                if is_shown && self.is_for(circled, question, group, one) {
                    let lacks = (*question).clone();
                    let source = one.source.clone();
                    let is_old = one.headline.date <= now - CLOCK_SECONDS;
                    let late = if is_old {
                        Duration::from_secs(*age)
                    } else {
                        Duration::MAX
                    };
                    found.insert(Doubt { lacks, source }, late);
                }
            }
        }
    }

    /// Whether a list that these are asked for is to have this post: those below a level are of one circle.
    fn is_for(&self, circled: &Circled, question: &Question, group: &Group, told: &Told) -> bool {
        let Reach::Below(level) = question.reach else {
            return true;
        };
        // Of one that is silent only those know who heard it before.
        let primary = self.ask(|registry| {
            let primary = registry.blog(told.source.blog)?.set.primary();
            let is_well = registry.spoke(primary)?.is_well();
            is_well.then(|| primary.clone())
        });
        let around = primary
            .flatten()
            .map(|primary| circled.circles.around(&primary));
        let around = around.and_then(|around| around.get(level).copied());
        around.is_some_and(|circle| {
            let gathers = |question: &Question| circle.aggregators.contains(&question.whom);
            group.iter().all(gathers)
        })
    }

    /// Asks one who has the blog who is right.
    async fn look_into(self: Arc<Self>, doubt: Doubt, again: bool) {
        let source = &doubt.source;
        let word = self.word_of_blog(source).await;
        let is_right = word == Some(Word::Current(source.clone()));
        // How the one who lacks it shows the same entry, if it does.
        let otherwise = {
            let heard = lock(&self.latest.heard);
            let told = heard.get(&doubt.lacks).into_iter().flat_map(Heard::told);
            let mut otherwise = told.filter(|told| told.source.entry == source.entry);
            otherwise.next().map(|told| told.source.clone())
        };
        let to_blame = match (is_right, &otherwise) {
            (true, None) => self.to_blame(&doubt, again).await,
            _ => Vec::new(),
        };
        let wrong = if is_right {
            otherwise
        } else {
            Some(source.clone())
        };
        let showing = wrong
            .as_ref()
            .map_or_else(Vec::new, |wrong| self.who_shows(wrong));
        let name = self.ask(|r| r.blog(source.blog).map(|blog| blog.name.clone()));
        let name = name.flatten();
        let mut watched = lock(&self.latest.watched);
        let Some((_, state)) = watched.doubts.get_mut(&doubt) else {
            // They agree by now.
            return;
        };
        *state = State::Ended(Instant::now());
        let (blog, entry) = (source.blog, source.entry);
        for whom in to_blame {
            tracing::warn!(%whom, blog = ?name, %entry, "it leaves out a post, and others are asked as well");
            watched.note(&whom, What::LeavesOut, name.as_ref());
            watched.distrusted.insert(whom, Instant::now());
        }
        match word {
            None => return,
            Some(Word::Current(_)) => {
                wrong.into_iter().for_each(|wrong| watched.refuse(wrong));
            }
            Some(Word::Erased) => watched.hide(blog, entry, None),
            Some(Word::Other) => watched.hide(blog, entry, Some(NOT_SHOWN)),
        }
        for whom in showing {
            tracing::warn!(%whom, blog = ?name, %entry, "it shows what its author has replaced or taken back");
            watched.note(&whom, What::BringsBack, name.as_ref());
        }
    }

    /// Who shows this just now.
    fn who_shows(&self, source: &Source) -> Vec<Label> {
        let heard = lock(&self.latest.heard);
        let shows = |(question, heard): (&Question, &Heard)| {
            let shows = heard.told().any(|told| told.source == *source);
            (shows && heard.is_of_now()).then(|| question.whom.clone())
        };
        heard.iter().filter_map(shows).collect()
    }

    /// Who left out a post that is there. Of the lists of all the one that lacks it, but where the inner circle lacks
    /// it too, it was lost on its way up, and whoever has it from there is not to blame: then the inner nodes are told to
    /// ask its primary itself, and where the post is this spoke's own, those who gather here are looked at. Who still
    /// lacks it when that is looked into `again` is to blame all the same.
    async fn to_blame(self: &Arc<Self>, doubt: &Doubt, again: bool) -> Vec<Label> {
        let lacks = vec![doubt.lacks.whom.clone()];
        if doubt.lacks.reach != Reach::All {
            return lacks;
        }
        let (blog, entry) = (doubt.source.blog, doubt.source.entry);
        let primary = self.ask(|r| r.blog(blog).map(|blog| blog.set.primary().clone()));
        let Some(primary) = primary.flatten() else {
            return Vec::new();
        };
        let circled = self.latest.circled();
        let mut is_lost = false;
        for label in circled
            .circles
            .inner
            .iter()
            .filter(|label| **label != self.me)
        {
            if self.has(label, "all", entry).await == Some(false) {
                is_lost = true;
                self.have_ask(label, &primary).await;
            }
        }
        match is_lost {
            false => lacks,
            true if primary == self.me => {
                let around = circled.circles.around(&self.me);
                let gathering = around.first().map_or(&[][..], |circle| &circle.aggregators);
                let mut to_blame = Vec::new();
                for label in gathering.iter().filter(|label| **label != self.me) {
                    if self.has(label, "below&level=0", entry).await == Some(false) {
                        to_blame.push(label.clone());
                    }
                }
                to_blame
            }
            true => lacks.into_iter().filter(|_| again).collect(),
        }
    }

    /// Whether a list of another spoke has this; none where it does not answer.
    async fn has(&self, whom: &Label, list: &str, entry: EntryId) -> Option<bool> {
        let path = format!("/api/v1/latest?of={list}&has={entry}");
        let asked = self
            .client
            .get::<HasWire>(Ask::new(self.address(whom)?, &path));
        match tokio::time::timeout(WORD_WAIT, asked).await {
            Ok(Ok(Reply::Good(wire, _))) => Some(wire.has),
            _ => None,
        }
    }

    /// Tells one of the inner circle to ask a spoke itself.
    async fn have_ask(&self, inner: &Label, spoke: &Label) {
        let Some(address) = self.address(inner) else {
            return;
        };
        let body = serde_json::json!({ "ask": spoke.to_string() });
        let ask = Ask::new(address, "/api/v1/latest");
        let told = self.client.post::<_, serde_json::Value>(ask, &body);
        // Others of them are told as well, and all again as long as the post is missing.
        drop(tokio::time::timeout(WORD_WAIT, told).await);
    }

    /// Notes that somebody shows what is not its author's.
    pub(in super::super) fn invents(&self, whom: &Label) {
        lock(&self.latest.watched).note(whom, What::Invents, None);
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
            // Anybody can name any: whoever needs it says it again.
            let oldest = watched.direct.iter().min_by_key(|(_, since)| *since);
            let oldest = oldest.map(|(label, _)| label.clone());
            oldest.map(|label| watched.direct.remove(&label));
        }
        watched.direct.insert(label, Instant::now());
        self.latest.news.notify_one();
        web::json(StatusCode::OK, &serde_json::json!({}))
    }

    /// What the blog has of an entry, as its primary says, or a copy here that holds it; none where that is not known.
    pub(in super::super) async fn word_of_blog(self: &Arc<Self>, source: &Source) -> Option<Word> {
        let (blog, entry) = (source.blog, source.entry);
        let record = self.ask(|r| r.blog(blog).cloned()).flatten()?;
        if let Some(word) = self.standing_of(blog, entry, &record) {
            return Some(word);
        }
        let path = format!("/api/v1/latest?of=blog&blog={blog}&entry={entry}");
        for member in &record.set.members {
            let Some(address) = self.address(member) else {
                continue;
            };
            let asked = self
                .client
                .get::<StandingOfPostWire>(Ask::new(address, &path));
            let Ok(Ok(Reply::Good(wire, _))) = tokio::time::timeout(WORD_WAIT, asked).await else {
                continue;
            };
            let word = match (wire.standing.as_str(), wire.shown) {
                ("current", Some(line)) => Word::Current(Source::read(&line)?),
                ("erased", None) => Word::Erased,
                _ => Word::Other,
            };
            // Others may be late: what they do not have may be there all the same.
            let is_there = matches!(word, Word::Current(_));
            if is_there || member == record.set.primary() {
                return Some(word);
            }
        }
        None
    }

    /// What the copy of a blog here has of an entry; none where there is no copy, or one that may be late.
    pub(super) fn standing_of(
        self: &Arc<Self>,
        blog: BlogId,
        entry: EntryId,
        record: &BlogRecord,
    ) -> Option<Word> {
        let is_primary = *record.set.primary() == self.me;
        self.with(blog, |replica| {
            let (chain, fold) = (replica.chain(), replica.fold());
            if chain.eraser(entry).is_some() {
                return Some(Word::Erased);
            }
            let post = fold.article_of(entry);
            let current = post.filter(|post| post.current() == entry);
            let source = current.and_then(|post| Source::of(chain, fold, &[post]).pop());
            match source {
                Some(source) => Some(Word::Current(source)),
                // One who became primary just now may not have all of it yet.
                None => {
                    let has_all = is_primary && replica.is_compared() && replica.is_settled();
                    (has_all || chain.contains(entry)).then_some(Word::Other)
                }
            }
        })
        .flatten()
    }
}
