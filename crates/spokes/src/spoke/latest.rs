//! The latest posts of the whole network, as this spoke knows them.
//!
//! They go up through the circles and down again (SPEC circle 4): each spoke asks a few others, whatever the size of
//! the network, and keeps what they say in memory.

mod asking;
mod list;
mod watching;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::name::{BlogId, EntryId, Hash};
use spokes_rules::{
    circle::{Circles, Duties, Group, Member, Question, Reach},
    front,
    node::Label,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

pub(super) use self::watching::{Notice, What, Word};
use self::{
    asking::Heard,
    list::{List, News},
    watching::Watched,
};
use super::{Spoke, headlines::Told};
use crate::{
    clock,
    http::{self as web, Response},
    wire::{FrontWire, HasWire, LatestWire, PostWire, StandingOfPostWire},
};

/// How often the lists are put together although nothing was heard: posts wait for their dates, and whoever fell
/// silent is to be noticed.
const TOGETHER_EVERY: Duration = Duration::from_millis(500);
/// How long what is heard at about the same time is gathered before it is put together.
const GATHER: Duration = Duration::from_millis(20);
/// For how long what somebody said is kept who is not asked any more: until those in its place have answered.
const LINGER: Duration = Duration::from_secs(5);
/// Beyond this many seconds a spoke that says nothing new is silent, not slow.
const SILENT_SECONDS: u64 = 20;
/// The age of the list is said in steps of so many seconds, so that a page stays as it is meanwhile.
const AGE_STEP_SECONDS: u64 = 5;
/// How long another spoke may wait before it is answered that nothing is new.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// Bytes of texts from which on an answer ends: with one more entry it is far below what a node reads.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The latest posts: ours, and what the other spokes say of theirs.
#[derive(Debug)]
pub(super) struct Latest {
    /// Of the blogs whose primary this spoke is.
    own: Mutex<BTreeMap<BlogId, Vec<Arc<Told>>>>,
    touched: Mutex<BTreeSet<BlogId>>,
    /// What was heard, and from whom.
    heard: Mutex<BTreeMap<Question, Heard>>,
    /// What others may ask for.
    lists: Mutex<BTreeMap<Reach, List>>,
    lists_made: AtomicU64,
    /// Grows with each change of a list.
    changed: watch::Sender<u64>,
    /// Told when there is something to put together.
    news: Notify,
    circles: Mutex<Arc<Circled>>,
    /// Whether everybody who is to be asked was asked since the council was heard.
    gathered: AtomicBool,
    watched: Mutex<Watched>,
    /// When the primary of a blog was last asked whether it has something newer.
    pub(super) asked: Mutex<BTreeMap<BlogId, Instant>>,
}

/// The circles, and whom this spoke asks in them.
#[derive(Debug)]
pub(super) struct Circled {
    /// Of what they were made.
    roster: Hash,
    pub(super) circles: Circles,
    pub(super) duties: Duties,
}

/// A question that is being asked: whether seldom, and by whom.
type Asking = (bool, JoinHandle<()>);

/// All headlines that are known, in one state.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Grows with every change of what follows.
    pub(super) version: u64,
    pub(super) all: Arc<Vec<Arc<Told>>>,
}

impl Known {
    /// The posts that a front page shows, of those that are wanted.
    pub(super) fn latest(&self, wanted: impl Fn(&Told) -> bool) -> Vec<Arc<Told>> {
        let all = self.all.iter().filter(|told| wanted(told)).cloned();
        front::latest(clock::now(), all, |told| &told.headline)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Latest {
    pub(super) fn new() -> Self {
        let circled = Circled {
            roster: Hash::of(b""),
            circles: Circles::of(&[], 0),
            duties: Duties::default(),
        };
        Self {
            own: Mutex::default(),
            touched: Mutex::default(),
            heard: Mutex::default(),
            lists: Mutex::default(),
            lists_made: AtomicU64::new(0),
            changed: watch::channel(0).0,
            news: Notify::new(),
            circles: Mutex::new(Arc::new(circled)),
            gathered: AtomicBool::new(false),
            watched: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    /// Notes that a blog has changed.
    pub(super) fn touch(&self, blog: BlogId) {
        lock(&self.touched).insert(blog);
        self.news.notify_one();
    }

    /// The headlines known now.
    pub(super) fn known(&self) -> Known {
        let lists = lock(&self.lists);
        let all = lists.get(&Reach::All).map(|list| Arc::clone(&list.all));
        Known {
            version: *self.changed.borrow(),
            all: all.unwrap_or_default(),
        }
    }

    /// How old the oldest part of the list is, in rough steps.
    pub(super) fn age_seconds(&self) -> u64 {
        let lists = lock(&self.lists);
        let age = lists.get(&Reach::All).map_or(0, |list| list.age_seconds);
        age.next_multiple_of(AGE_STEP_SECONDS)
    }

    /// Whether some other spoke has not been asked yet.
    pub(super) fn is_gathering(&self) -> bool {
        !self.gathered.load(Ordering::Relaxed)
    }

    /// The circles as they are now.
    pub(super) fn circled(&self) -> Arc<Circled> {
        Arc::clone(&lock(&self.circles))
    }

    /// A list whose numbers are not taken for those of one before it.
    fn new_list(&self, instance: &str) -> List {
        let number = self.lists_made.fetch_add(1, Ordering::Relaxed);
        List::new(&format!("{instance}.{number}"))
    }

    /// What whoever follows a list is to hear, and when it is as new as it can be.
    fn news_of(&self, reach: Reach, cursor: &str) -> Option<(News, String, u64)> {
        let lists = lock(&self.lists);
        let list = lists.get(&reach)?;
        let news = list.news(cursor);
        Some((news, list.cursor(None), list.age_seconds))
    }
}

impl Spoke {
    /// `GET latest`: the front page for programs; with `of` a list for other nodes (SPEC http 3.4).
    pub(super) async fn latest_answer(self: &Arc<Self>, request: &Request<Incoming>) -> Response {
        let query = web::query(request);
        let level = query.get("level").and_then(|level| level.parse().ok());
        let reach = match (query.get("of").map(String::as_str), level) {
            (None, _) => return self.front_for_programs(),
            (Some("own"), _) => Reach::Own,
            (Some("below"), Some(level)) => Reach::Below(level),
            (Some("all"), _) => Reach::All,
            (Some("blog"), _) => {
                let hash = |name| query.get(name).and_then(|id| Hash::parse(id).ok());
                return self.word_of_member(hash("blog"), hash("entry"));
            }
            _ => {
                let why = "Lists of the latest posts are \"own\", \"below\" with a level, \"all\", or \"blog\".";
                return web::refuse(StatusCode::BAD_REQUEST, "of", why);
            }
        };
        if let Some(entry) = query.get("has").and_then(|id| Hash::parse(id).ok()) {
            return self.has_answer(reach, entry);
        }
        let cursor = query.get("after").cloned().unwrap_or_default();
        let seconds = query.get("wait").and_then(|wait| wait.parse().ok());
        let wait = Duration::from_secs(seconds.unwrap_or(0)).min(WAIT_MAX);
        let deadline = tokio::time::Instant::now() + wait;
        let mut changed = self.latest.changed.subscribe();
        let mut seat = None;
        loop {
            changed.mark_unchanged();
            let Some((news, end, age_seconds)) = self.latest.news_of(reach, &cursor) else {
                let why = "This spoke gathers no such list. The registry says who does.";
                return web::refuse(StatusCode::NOT_FOUND, "no-such-list", why);
            };
            if news.is_new {
                return self.tell_news(reach, news, end, age_seconds).await;
            }
            if seat.is_none() && !wait.is_zero() {
                // Where too many wait it is answered now, and not taken for silent.
                match web::wait_for_news(request) {
                    Ok(taken) => seat = Some(taken),
                    Err(_) => return self.tell_news(reach, news, end, age_seconds).await,
                }
            }
            let grown = tokio::time::timeout_at(deadline, changed.changed());
            if grown.await.is_err() {
                return self.tell_news(reach, news, end, age_seconds).await;
            }
        }
    }

    /// Whether a list has this.
    fn has_answer(&self, reach: Reach, entry: EntryId) -> Response {
        let lists = lock(&self.latest.lists);
        let has = lists.get(&reach).is_some_and(|list| list.has(entry));
        web::json(StatusCode::OK, &HasWire { has })
    }

    async fn tell_news(
        self: &Arc<Self>,
        reach: Reach,
        news: News,
        end: String,
        age_seconds: u64,
    ) -> Response {
        let (mut added, mut bytes, mut cursor) = (Vec::new(), 0, end);
        for (number, told) in news.added {
            let Some(proof) = self.evidence_of(&told).await else {
                // It is being erased just now, or its copy here is damaged.
                lock(&self.latest.watched).cannot_prove(&told.source);
                self.latest.news.notify_one();
                continue;
            };
            added.push(told.source.wire(number, &proof));
            let texts = proof.iter().map(|sealed| sealed.entry().text().len());
            bytes += texts.sum::<usize>();
            if bytes > ANSWER_BYTES_MAX {
                let lists = lock(&self.latest.lists);
                let list = lists.get(&reach);
                cursor = list.map_or(cursor, |list| list.cursor(Some(number)));
                break;
            }
        }
        let shown = news.shown;
        web::json(
            StatusCode::OK,
            &LatestWire {
                cursor,
                age_seconds,
                shown,
                added,
            },
        )
    }

    /// What this copy of a blog has of an entry, for whoever doubts what others say.
    fn word_of_member(self: &Arc<Self>, blog: Option<BlogId>, entry: Option<EntryId>) -> Response {
        let word = blog.zip(entry).and_then(|(blog, entry)| {
            let record = self
                .ask(|registry| registry.blog(blog).cloned())
                .flatten()?;
            self.standing_of(blog, entry, &record)
        });
        let (standing, shown) = match word {
            Some(Word::Current(source)) => ("current", Some(source.wire(0, &[]))),
            Some(Word::Erased) => ("erased", None),
            Some(Word::Other) => ("other", None),
            None => {
                let why = "This blog is not here, or not all of it.";
                return web::refuse(StatusCode::NOT_FOUND, "not-here", why);
            }
        };
        let standing = standing.to_owned();
        web::json(StatusCode::OK, &StandingOfPostWire { standing, shown })
    }

    fn front_for_programs(&self) -> Response {
        let post = |told: &Arc<Told>| {
            let headline = &told.headline;
            let address = crate::web::page::path(headline.slug.as_str());
            PostWire {
                blog: headline.blog.to_string(),
                name: headline.name.to_string(),
                blog_title: headline.blog_title.clone(),
                article: headline.article.to_string(),
                entry: headline.place.1.to_string(),
                date: headline.date.to_string(),
                title: headline.title.clone(),
                language: headline.language.to_string(),
                tags: told.tags.clone(),
                excerpt: headline.excerpt.clone(),
                url: format!("{}{address}", self.origin(headline.name.as_str())),
            }
        };
        let latest = self.latest.known().latest(|_| true);
        web::json(
            StatusCode::OK,
            &FrontWire {
                age_seconds: self.latest.age_seconds(),
                headlines: latest.iter().map(post).collect(),
            },
        )
    }

    /// Keeps the latest posts: ours as they change, the others' by asking.
    pub(super) async fn watch_latest(self: Arc<Self>) {
        let mut known: BTreeSet<BlogId> = BTreeSet::new();
        let mut asking: BTreeMap<Question, Asking> = BTreeMap::new();
        let mut followed = self.followed.subscribe();
        loop {
            self.refresh_own(&mut known).await;
            let duties = self.look_around();
            self.ask_as(&duties, &mut asking);
            self.put_together(&duties);
            self.watch_others(&duties);
            tokio::select! {
                () = self.latest.news.notified() => tokio::time::sleep(GATHER).await,
                changed = followed.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(TOGETHER_EVERY) => {}
            }
        }
    }

    /// Looks anew at the blogs whose primary this spoke is, where something has changed.
    async fn refresh_own(self: &Arc<Self>, known: &mut BTreeSet<BlogId>) {
        let mine = self.ask(|r| {
            let mine = r
                .placed_on(&self.me)
                .filter_map(|id| Some((id, r.blog(id)?)));
            let mine = mine.filter(|(_, blog)| *blog.set.primary() == self.me);
            mine.map(|(id, _)| id).collect::<BTreeSet<BlogId>>()
        });
        let mine = mine.unwrap_or_default();
        let mut touched = std::mem::take(&mut *lock(&self.latest.touched));
        touched.extend(mine.difference(known));
        *known = mine;
        lock(&self.latest.own).retain(|blog, _| known.contains(blog));
        if touched.intersection(known).next().is_some() {
            self.has_news();
        }
        for blog in touched.intersection(known) {
            match self.latest_of(*blog).await {
                Some(told) => drop(lock(&self.latest.own).insert(*blog, told)),
                None => {
                    // It is looked at again when it can be read.
                    lock(&self.latest.own).remove(blog);
                    lock(&self.latest.touched).insert(*blog);
                }
            }
        }
    }

    /// The circles and this spoke's duties in them, as registry and silence have them now.
    fn look_around(&self) -> Arc<Circled> {
        let before = self.latest.circled();
        let silent = self.latest.silent();
        let direct: Vec<Label> = lock(&self.latest.watched).direct().cloned().collect();
        let circled = self.ask(|registry| {
            let member = |(label, spoke)| member(label, spoke);
            let members: Vec<Member<'_>> = registry.admitted().map(member).collect();
            let mut roster = String::new();
            for Member {
                label,
                operator,
                lot,
                is_well,
            } in &members
            {
                roster += &format!("{label} {operator} {lot} {is_well}\n");
            }
            let roster = Hash::of(roster.as_bytes());
            let circles = if roster == before.roster {
                before.circles.clone()
            } else {
                let most = registry.founding().policy.circle;
                Circles::of(&members, usize::try_from(most).unwrap_or(usize::MAX))
            };
            let mut duties = circles.duties(&self.me, &|label| silent.contains(label));
            if circles.inner.contains(&self.me) {
                let direct = direct.iter().filter(|label| **label != self.me);
                duties.inner.extend(direct.map(|whom| {
                    let (whom, reach) = (whom.clone(), Reach::Own);
                    vec![Question { whom, reach }]
                }));
            }
            Arc::new(Circled {
                roster,
                circles,
                duties,
            })
        });
        let circled = circled.unwrap_or(before);
        *lock(&self.latest.circles) = Arc::clone(&circled);
        circled
    }

    /// Begins to ask whom it has to ask, and ends asking others.
    fn ask_as(self: &Arc<Self>, circled: &Circled, asking: &mut BTreeMap<Question, Asking>) {
        let wanted = circled.duties.questions();
        let witness = circled.duties.witness.as_ref();
        asking.retain(|question, (seldom, task)| {
            let is_same = *seldom == (witness == Some(question));
            let stays = wanted.contains(question) && is_same && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for question in &wanted {
            if !asking.contains_key(question) {
                let (question, seldom) = ((*question).clone(), witness == Some(*question));
                let mut heard = lock(&self.latest.heard);
                heard.entry(question.clone()).or_default();
                let asks = Arc::clone(self).ask_for_latest(question.clone(), seldom);
                asking.insert(question, (seldom, tokio::spawn(asks)));
            }
        }
        lock(&self.latest.heard).retain(|question, heard| {
            let stays = wanted.contains(question);
            heard.unwanted_since = match stays {
                true => None,
                false => heard.unwanted_since.or_else(|| Some(Instant::now())),
            };
            heard
                .unwanted_since
                .is_none_or(|since| since.elapsed() < LINGER)
        });
        if !self.latest.gathered.load(Ordering::Relaxed) && self.heard().is_some() {
            let heard = lock(&self.latest.heard);
            let mut wanted = heard
                .values()
                .filter(|heard| heard.unwanted_since.is_none());
            let all_asked = wanted.all(Heard::was_asked);
            self.latest.gathered.store(all_asked, Ordering::Relaxed);
        }
    }

    /// Makes each list of what was heard.
    fn put_together(&self, circled: &Circled) {
        let duties = &circled.duties;
        let own: Vec<Arc<Told>> = lock(&self.latest.own).values().flatten().cloned().collect();
        let now = clock::now();
        let mut lists: BTreeMap<Reach, (Vec<Arc<Told>>, u64)> = BTreeMap::new();
        {
            let heard = lock(&self.latest.heard);
            let of = |group: &Group, all: &mut Vec<Arc<Told>>| {
                let heard = group.iter().filter_map(|q| heard.get_key_value(q));
                let mut ages = Vec::new();
                for (question, heard) in heard {
                    // A spoke speaks for blogs as long as it is their primary, whatever it said before.
                    let told = heard
                        .told()
                        .filter(|told| self.may_tell(question, &told.source));
                    all.extend(told);
                    ages.extend(heard.age_seconds());
                }
                // What one has late, another has already. What all of them said last still counts when they are
                // silent, and does not make the page old.
                ages.into_iter().min().filter(|age| *age < SILENT_SECONDS)
            };
            let (mut all, mut age) = (own.clone(), 0);
            lists.insert(Reach::Own, (own, 0));
            for (level, groups) in &duties.below {
                let ages = groups.iter().filter_map(|group| of(group, &mut all));
                age = ages.max().unwrap_or(0).max(age);
                lists.insert(Reach::Below(*level), (all.clone(), age));
            }
            let ages = duties.inner.iter().filter_map(|group| of(group, &mut all));
            age = ages.max().unwrap_or(0).max(age);
            if let Some(above) = &duties.above {
                age = of(above, &mut all).unwrap_or(SILENT_SECONDS);
            }
            if let Some(witness) = &duties.witness {
                // It is asked seldom, and so says nothing of the age.
                let told = heard.get(witness).into_iter().flat_map(Heard::told);
                all.extend(told);
            }
            let lingering = heard
                .values()
                .filter(|heard| heard.unwanted_since.is_some());
            all.extend(lingering.flat_map(Heard::told));
            lists.insert(Reach::All, (all, age));
        }
        let mut is_other = false;
        {
            let mut kept = lock(&self.latest.lists);
            kept.retain(|reach, _| lists.contains_key(reach));
            for (reach, (all, age)) in lists {
                let all = self.that_count(all);
                let list = kept
                    .entry(reach)
                    .or_insert_with(|| self.latest.new_list(&self.instance));
                is_other |= list.set(now, all, age);
            }
        }
        if is_other {
            self.latest.changed.send_modify(|version| *version += 1);
        }
    }

    /// Of these, each once, those that the registry and what was noticed let stand, by the names that their blogs have.
    fn that_count(&self, all: Vec<Arc<Told>>) -> Vec<Arc<Told>> {
        let mut seen = BTreeSet::new();
        let watched = lock(&self.latest.watched);
        let counted = all.into_iter().filter_map(|told| {
            if watched.hides(&told.source) || !seen.insert(told.source.clone()) {
                return None;
            }
            self.ask(|registry| {
                let record = registry.blog(told.headline.blog)?;
                let is_ended = |author| record.ended.contains(author);
                if told.proof.is_some() && told.authors.iter().any(is_ended) {
                    return None;
                }
                let is_named = record.name == told.headline.name;
                Some(if is_named {
                    told
                } else {
                    Arc::new(told.named(record))
                })
            })
            .flatten()
        });
        counted.collect()
    }
}

fn member<'a>(label: &'a Label, spoke: &'a spokes_rules::registry::Spoke) -> Member<'a> {
    Member {
        label,
        operator: &spoke.operator,
        lot: spoke.lot,
        is_well: spoke.is_well() && !spoke.is_leaving(),
    }
}
