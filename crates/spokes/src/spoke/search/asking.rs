//! Asking the archives.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use spokes_log::name::{BlogId, EntryId};
use spokes_rules::node::Label;
use tokio::{
    task::{JoinSet, block_in_place},
    time::Instant,
};

use super::{
    super::{
        Spoke,
        archive::{FOUND_MAX, PAGES_MAX, Wanted},
        headlines::{Source, Told},
    },
    Found,
};
use crate::{
    client::{Ask, Reply},
    index::query::Query,
    outage::Outage,
    web::page::percent_encoded,
    wire::{HeadlineWire, search::ArchiveFoundWire},
};

/// Archives that are asked, of different operators: what one leaves out the other one brings.
const ASKED: usize = 2;
/// How long is waited for one before another is asked beside it.
const HEDGE_AFTER: Duration = Duration::from_millis(200);
/// How long the first answer waits for the second.
const SECOND_WAIT: Duration = Duration::from_millis(300);
/// How long a reader waits for the archives in all.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the best places of lists count more than those behind them: the usual constant of reciprocal rank fusion
/// (Cormack, Clarke, Büttcher 2009).
const RANK_CONSTANT: f64 = 60.0;

/// What one archive found, and what was judged of it.
struct Answer {
    whom: Label,
    found: ArchiveFoundWire,
}

impl Spoke {
    /// Searches all blogs; none where no archive answers.
    pub(super) async fn search_archives(
        self: &Arc<Self>,
        wanted: &Wanted,
        query: &Query,
    ) -> Option<Found> {
        let answers = self.ask_archives(wanted).await;
        if answers.is_empty() {
            return None;
        }
        let judged = block_in_place(|| self.judge_found(&answers));
        let mut found = Found {
            answered: answers.iter().map(|answer| answer.whom.clone()).collect(),
            total: answers
                .iter()
                .map(|answer| answer.found.total)
                .max()
                .unwrap_or(0),
            ..Found::default()
        };
        // Words of somebody else's are read as a query, and shown as text.
        found.meant = answers.iter().find_map(|answer| answer.found.meant.clone());
        let mut joined = join(&answers, &judged);
        if wanted.newest {
            joined.sort_by_key(|told| std::cmp::Reverse((told.headline.date, told.headline.place)));
        }
        for told in joined {
            if found.hits.len() < FOUND_MAX {
                found.hits.extend(self.hit(told, query).await);
            }
        }
        found.more = found.total > wanted.page * FOUND_MAX && wanted.page < PAGES_MAX;
        // Where nothing of what somebody says is so, it is not counted either.
        if found.hits.is_empty() && wanted.page == 1 {
            (found.total, found.more) = (0, false);
        }
        found.total = found.total.max(found.hits.len());
        Some(found)
    }

    /// Asks two archives, and more where they are slow or silent.
    async fn ask_archives(self: &Arc<Self>, wanted: &Wanted) -> Vec<Answer> {
        let silent = self.latest.silent();
        let circled = self.latest.circled();
        let mut archives = circled
            .circles
            .archives(&self.me, &|label| silent.contains(label))
            .into_iter();
        let mut order = |many: usize| {
            archives
                .by_ref()
                .take(many)
                .cloned()
                .collect::<Vec<Label>>()
        };
        let mut asked = JoinSet::new();
        let ask = |asked: &mut JoinSet<(Label, Result<ArchiveFoundWire, Outage>)>,
                   whom: Vec<Label>| {
            for whom in whom {
                let (spoke, wanted) = (Arc::clone(self), wanted.clone());
                asked.spawn(async move {
                    let found = spoke.ask_archive(&whom, &wanted).await;
                    (whom, found)
                });
            }
        };
        ask(&mut asked, order(ASKED));
        let (began, mut answers) = (Instant::now(), Vec::<Answer>::new());
        let mut until = began + PATIENCE;
        let mut hedge = Some(began + HEDGE_AFTER);
        while answers.len() < ASKED && !asked.is_empty() {
            let next = hedge.map_or(until, |hedge| hedge.min(until));
            match tokio::time::timeout_at(next, asked.join_next()).await {
                Ok(Some(Ok((whom, Ok(found))))) => {
                    answers.push(Answer { whom, found });
                    until = until.min(Instant::now() + SECOND_WAIT);
                }
                Ok(Some(Ok((whom, Err(outage))))) => {
                    tracing::debug!(%whom, %outage, "an archive did not answer a search");
                    ask(&mut asked, order(1));
                }
                Ok(_) => {}
                Err(_) if hedge.take().is_some_and(|hedge| hedge <= Instant::now()) => {
                    ask(&mut asked, order(1))
                }
                Err(_) => break,
            }
        }
        answers
    }

    async fn ask_archive(&self, whom: &Label, wanted: &Wanted) -> Result<ArchiveFoundWire, Outage> {
        if *whom == self.me {
            let kept = self.archive.kept();
            let kept = kept.ok_or_else(|| Outage::new("the archive is not open yet"))?;
            return self.look_in(&kept, wanted).await;
        }
        let address = self
            .address(whom)
            .ok_or_else(|| Outage::new("it is not let in"))?;
        let by = if wanted.newest { "&by=date" } else { "" };
        let path = format!(
            "/api/v1/archive?q={}&page={}{by}",
            percent_encoded(&wanted.line),
            wanted.page
        );
        match self.client.get(Ask::new(address, &path)).await? {
            Reply::Good(found, _) => Ok(found),
            Reply::Refused(problem) => Err(Outage::new(problem.detail)),
        }
    }

    /// Of what was found, what its authors say; each is judged once, on all cores.
    fn judge_found(&self, answers: &[Answer]) -> BTreeMap<Source, Arc<Told>> {
        let mut lines: BTreeMap<Source, (&Label, &HeadlineWire)> = BTreeMap::new();
        for answer in answers {
            for line in answer.found.hits.iter().take(FOUND_MAX) {
                if let Some(source) = Source::read(line) {
                    lines.entry(source).or_insert((&answer.whom, line));
                }
            }
        }
        let judge = |(source, (whom, line)): (Source, (&Label, &HeadlineWire))| match self
            .check_found(line)?
        {
            Ok(told) => Some((source, Arc::new(told))),
            Err(why) => {
                tracing::warn!(%whom, entry = line.entry, why, "what was found is not its author's, and is not shown");
                self.invents(whom);
                None
            }
        };
        let judged = lines.into_par_iter().filter_map(judge);
        judged.collect()
    }
}

/// What was found by all, once each: what stands far ahead in several lists comes first, whatever numbers they give it.
fn join(answers: &[Answer], judged: &BTreeMap<Source, Arc<Told>>) -> Vec<Arc<Told>> {
    let mut articles: BTreeMap<(BlogId, EntryId), (f64, Arc<Told>)> = BTreeMap::new();
    for answer in answers {
        let mut counted = std::collections::BTreeSet::new();
        for (rank, line) in answer.found.hits.iter().take(FOUND_MAX).enumerate() {
            let told = Source::read(line).and_then(|source| judged.get(&source));
            let Some(told) = told else { continue };
            let article = (told.headline.blog, told.headline.article);
            if !counted.insert(article) {
                continue;
            }
            let worth = 1.0 / (RANK_CONSTANT + rank as f64);
            let (sum, best) = articles
                .entry(article)
                .or_insert_with(|| (0.0, Arc::clone(told)));
            *sum += worth;
            // One of them may not have the last version yet.
            if told.headline.place > best.headline.place {
                *best = Arc::clone(told);
            }
        }
    }
    let mut joined: Vec<(f64, Arc<Told>)> = articles.into_values().collect();
    joined.sort_by(|(a, one), (b, other)| {
        let newer = || {
            (other.headline.date, other.headline.place)
                .cmp(&(one.headline.date, one.headline.place))
        };
        b.total_cmp(a).then_with(newer)
    });
    joined.into_iter().map(|(_, told)| told).collect()
}
