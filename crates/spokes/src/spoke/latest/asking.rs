//! Asking one spoke for one of its lists, again and again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use spokes_rules::{
    circle::{Question, Reach},
    front,
    node::Label,
};

use super::super::headlines::{Source, Told};
use super::{Latest, SILENT_SECONDS, Spoke, lock, watching::What};
use crate::{
    client::{Ask, Reply},
    outage::Outage,
    wire::{HeadlineWire, LatestWire},
};

/// How long a spoke may wait before it answers that nothing is new: so soon one that hangs is noticed.
const WAIT: Duration = Duration::from_secs(2);
/// How long it may take beyond that.
const ANSWER_WAIT: Duration = Duration::from_millis(1_500);
/// The pause after it brought something: what is published at about the same time comes with the next answer.
const PAUSE: Duration = Duration::from_millis(50);
/// How often one of the inner circle is asked beside those of the circle: what these hide is seen so soon.
const SELDOM: Duration = Duration::from_secs(10);
/// The first pause after it was silent; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// The longest: one that comes back is noticed within it.
const PAUSE_LONGEST: Duration = Duration::from_secs(2);
/// The pause after it brought something that is not its author's: judging it is work.
const PAUSE_AFTER_LIES: Duration = Duration::from_secs(5);
/// Bytes of an answer: its texts end at 4 MiB and one more entry, escaped as JSON.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a cursor: those of ours have a third of it.
const CURSOR_BYTES_MAX: usize = 64;
/// After how long it counts as silent, and others are asked in its place.
const SILENT_AFTER: Duration = Duration::from_millis(1_500);

/// What was heard from one spoke about one of its lists.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Which list that is, and behind what in it to ask.
    instance: String,
    cursor: String,
    /// When it answered last, and how old it said that its list was.
    answered: Option<(Instant, u64)>,
    /// Since when it does not answer.
    fails_since: Option<Instant>,
    /// What its list has, by its numbers.
    told: BTreeMap<u64, Arc<Told>>,
    /// Since when it is not asked any more.
    pub(super) unwanted_since: Option<Instant>,
}

impl Heard {
    /// What it says.
    pub(super) fn told(&self) -> impl Iterator<Item = Arc<Told>> + '_ {
        self.told.values().cloned()
    }

    /// Whether it has answered, or does not.
    pub(super) fn was_asked(&self) -> bool {
        self.answered.is_some() || self.fails_since.is_some()
    }

    /// How old what it says is; none before its first answer.
    pub(super) fn age_seconds(&self) -> Option<u64> {
        let (at, age) = self.answered?;
        Some(age.saturating_add(at.elapsed().saturating_sub(WAIT).as_secs()))
    }

    /// Whether it answers, and what it says is new.
    pub(super) fn is_well(&self) -> bool {
        self.answered.is_some() && !self.is_silent()
    }

    /// Whether it was said just now: who is asked seldom shows for a while what is gone.
    pub(super) fn is_of_now(&self) -> bool {
        let answered = self.answered;
        answered.is_some_and(|(at, _)| at.elapsed() < WAIT + ANSWER_WAIT)
    }

    fn is_silent(&self) -> bool {
        let failing = self.fails_since;
        let is_late = self.age_seconds().is_some_and(|age| age >= SILENT_SECONDS);
        is_late || failing.is_some_and(|since| since.elapsed() > SILENT_AFTER)
    }
}

impl Latest {
    /// Who does not answer, or is not to be asked as the only one.
    pub(in super::super) fn silent(&self) -> BTreeSet<Label> {
        let heard = lock(&self.heard);
        let silent = heard.iter().filter(|(_, heard)| heard.is_silent());
        let silent = silent.map(|(question, _)| question.whom.clone());
        let mut silent: BTreeSet<Label> = silent.collect();
        silent.extend(lock(&self.watched).distrusted());
        silent
    }

    /// What somebody else said of the same.
    fn judged(&self, source: &Source) -> Option<Arc<Told>> {
        let heard = lock(&self.heard);
        let mut told = heard.values().flat_map(|heard| heard.told.values());
        told.find(|told| told.source == *source).cloned()
    }
}

impl Spoke {
    /// Asks one spoke for one of its lists for ever.
    pub(super) async fn ask_for_latest(self: Arc<Self>, question: Question, seldom: bool) {
        let mut pause = PAUSE_FIRST;
        loop {
            let began = Instant::now();
            let patience = if seldom { Duration::ZERO } else { WAIT };
            let asked = self.ask_for_news(&question, patience);
            let asked = tokio::time::timeout(WAIT + ANSWER_WAIT, asked).await;
            let asked = asked.unwrap_or_else(|_| Err(Outage::new("it says nothing")));
            let whom = &question.whom;
            let wait = match asked {
                Ok(took) => {
                    pause = PAUSE_FIRST;
                    match took {
                        Took::News | Took::Unjudged | Took::Nothing if seldom => SELDOM,
                        Took::News => PAUSE,
                        Took::Unjudged => PAUSE_FIRST,
                        Took::Lies => PAUSE_AFTER_LIES,
                        // It was asked to wait.
                        Took::Nothing => WAIT.saturating_sub(began.elapsed()).max(PAUSE),
                    }
                }
                Err(outage) => {
                    tracing::debug!(%whom, reach = ?question.reach, %outage, "the latest posts were not heard");
                    if let Some(heard) = lock(&self.latest.heard).get_mut(&question) {
                        heard.fails_since.get_or_insert(began);
                    }
                    let wait = pause;
                    pause = (pause * 2).min(PAUSE_LONGEST);
                    wait
                }
            };
            self.latest.news.notify_one();
            tokio::time::sleep(wait).await;
        }
    }

    async fn ask_for_news(
        self: &Arc<Self>,
        question: &Question,
        wait: Duration,
    ) -> Result<Took, Outage> {
        let address = self.address(&question.whom);
        let address = address.ok_or_else(|| Outage::new("it is not let in"))?;
        let cursor = lock(&self.latest.heard)
            .get(question)
            .map(|heard| heard.cursor.clone());
        let after = cursor.unwrap_or_default();
        let list = match question.reach {
            Reach::Own => "own".to_owned(),
            Reach::Below(level) => format!("below&level={level}"),
            Reach::All => "all".to_owned(),
        };
        let path = format!(
            "/api/v1/latest?of={list}&after={after}&wait={}",
            wait.as_secs()
        );
        let asked = self
            .client
            .get(
                Ask::new(address, &path)
                    .waiting(wait)
                    .at_most(ANSWER_BYTES_MAX),
            )
            .await?;
        let wire: LatestWire = match asked {
            Reply::Good(wire, _) => wire,
            Reply::Refused(problem) => return Err(Outage::new(problem.detail)),
        };
        Ok(self.take_news(question, wire))
    }

    /// Takes in what a spoke says.
    fn take_news(self: &Arc<Self>, question: &Question, wire: LatestWire) -> Took {
        let is_too_long = wire.cursor.len() > CURSOR_BYTES_MAX;
        let lies = wire.added.len().saturating_sub(front::LATEST) + usize::from(is_too_long);
        let mut wire = wire;
        wire.cursor
            .truncate(if is_too_long { 0 } else { CURSOR_BYTES_MAX });
        let lines = wire.added.into_iter().take(front::LATEST);
        let Judged {
            told,
            unjudged,
            lies,
        } = self.judge(question, lines.collect(), lies);
        let mut is_news = !told.is_empty();
        if let Some(heard) = lock(&self.latest.heard).get_mut(question) {
            if heard.instance != instance(&wire.cursor) {
                instance(&wire.cursor).clone_into(&mut heard.instance);
                heard.told.clear();
            }
            is_news |= heard.cursor != wire.cursor;
            // What could not be judged is asked for again: the registry will say here whose blog it is. A stranger's
            // bytes are not kept for that.
            heard.cursor = if unjudged > 0 {
                String::new()
            } else {
                wire.cursor
            };
            heard.answered = Some((Instant::now(), wire.age_seconds));
            heard.fails_since = None;
            heard.told.extend(told);
            let shown: BTreeSet<u64> = wire.shown.into_iter().take(front::LATEST).collect();
            let before = heard.told.len();
            heard.told.retain(|number, _| shown.contains(number));
            is_news |= heard.told.len() < before;
        }
        match (lies, is_news) {
            (0, _) if unjudged > 0 => Took::Unjudged,
            (0, true) => Took::News,
            (0, false) => Took::Nothing,
            _ => Took::Lies,
        }
    }

    /// Judges each headline by its author's signature, unless somebody else brought it before.
    fn judge(
        self: &Arc<Self>,
        question: &Question,
        lines: Vec<HeadlineWire>,
        lies: usize,
    ) -> Judged {
        let mut judged = Judged {
            lies,
            ..Judged::default()
        };
        tokio::task::block_in_place(|| {
            for line in lines {
                let number = line.number;
                let Some(source) = Source::read(&line) else {
                    judged.lies += 1;
                    continue;
                };
                if !self.may_tell(question, &source) {
                    judged.unjudged += 1;
                    continue;
                }
                if let Some(told) = self.latest.judged(&source) {
                    judged.told.insert(number, told);
                    continue;
                }
                match self.check_headline(&line) {
                    Some(Ok(told)) => drop(judged.told.insert(number, Arc::new(told))),
                    Some(Err(why)) => {
                        let (whom, entry) = (&question.whom, &line.entry);
                        tracing::warn!(%whom, entry, why, "a headline is not its author's, and is not shown");
                        judged.lies += 1;
                    }
                    None => judged.unjudged += 1,
                }
            }
        });
        if judged.lies > 0 {
            lock(&self.latest.watched).note(&question.whom, What::Invents, None);
        }
        judged
    }
}

/// What was found of what somebody said.
#[derive(Debug, Default)]
struct Judged {
    told: BTreeMap<u64, Arc<Told>>,
    unjudged: usize,
    lies: usize,
}

/// What an answer brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Took {
    News,
    Unjudged,
    Nothing,
    Lies,
}

/// The list that a cursor is of.
fn instance(cursor: &str) -> &str {
    cursor.split_once('-').map_or("", |(instance, _)| instance)
}
