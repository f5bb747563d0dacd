//! Asking the archives.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
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
        archive::{DEPTH, FOUND_MAX, PAGES_MAX, Wanted},
        headlines::{Source, Told},
        latest::Word,
    },
    Found, Hit,
};
use crate::{
    client::{Ask, Reply},
    index::{may_mean, query::Query},
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
/// The same where the first has nothing.
const EMPTY_WAIT: Duration = Duration::from_secs(1);
/// How long a reader waits for the archives in all.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of an archive's answer: its texts end at 4 MiB and one more entry, escaped as JSON.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a member of a blog is asked whether a post stands that only one archive shows.
const WORD_WAIT: Duration = Duration::from_millis(400);
/// How long is waited for proofs that did not come along.
const PROOF_WAIT: Duration = Duration::from_millis(500);
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
        let joined = join(&answers);
        let before = (wanted.page - 1) * FOUND_MAX;
        let many = joined.len();
        let page: Vec<Joined> = joined.into_iter().skip(before).take(FOUND_MAX).collect();
        let judged = self.proved(&page, &answers).await;
        let mut found = Found {
            answered: answers.iter().map(|answer| answer.whom.clone()).collect(),
            more: many > before + FOUND_MAX && wanted.page < PAGES_MAX,
            ..Found::default()
        };
        found.hits = self.that_stand(page, &judged, query).await;
        if wanted.newest {
            found
                .hits
                .sort_by_key(|hit| Reverse((hit.told.headline.date, hit.told.headline.place)));
        }
        // How many there are in all is one's word: both must give about the same one.
        let totals = || answers.iter().map(|answer| answer.found.total);
        let (least, most) = (totals().min().unwrap_or(0), totals().max().unwrap_or(0));
        let agree = answers.len() > 1 && most - least <= most / 10;
        let shown = before + found.hits.len();
        found.total = if agree { most.max(shown) } else { shown };
        found.is_at_least = !agree && found.more;
        if found.hits.is_empty() && wanted.page == 1 {
            found.total = 0;
            // A word of somebody else's is followed by readers: it must look like theirs.
            let meant = answers
                .iter()
                .filter_map(|answer| answer.found.meant.as_ref());
            let mut meant = meant.filter(|meant| may_mean(query, &Query::parse(meant)));
            found.meant = meant.next().cloned();
        }
        Some(found)
    }

    /// What the authors say in posts of a page: as it came along, and what two archives put in other places from one of
    /// them.
    async fn proved(&self, page: &[Joined], answers: &[Answer]) -> BTreeMap<Source, Arc<Told>> {
        let wanted: BTreeSet<&Source> = page
            .iter()
            .flat_map(|joined| joined.versions.keys())
            .collect();
        let lines = answers.iter().flat_map(|answer| {
            let hits = answer.found.hits.iter().take(DEPTH);
            hits.map(|line| (&answer.whom, line))
        });
        let mut judged = block_in_place(|| self.judge_found(lines, &wanted));
        for answer in answers {
            let is_lacking =
                |source: &&&Source| !judged.contains_key(**source) && answer.has(source);
            let lacking: Vec<&&Source> = wanted.iter().filter(is_lacking).take(FOUND_MAX).collect();
            if lacking.is_empty() {
                continue;
            }
            let packed: Vec<String> = lacking
                .iter()
                .map(|source| BASE64.encode(source.packed()))
                .collect();
            if let Ok(found) = self.prove_from(&answer.whom, &packed.join(",")).await {
                let lines = found
                    .hits
                    .iter()
                    .take(FOUND_MAX)
                    .map(|line| (&answer.whom, line));
                judged.extend(block_in_place(|| self.judge_found(lines, &wanted)));
            }
        }
        judged
    }

    async fn prove_from(&self, whom: &Label, packed: &str) -> Result<ArchiveFoundWire, Outage> {
        if *whom == self.me {
            let kept = self.archive.kept();
            let kept = kept.ok_or_else(|| Outage::new("the archive is gone"))?;
            return block_in_place(|| kept.prove(packed));
        }
        let path = format!("/api/v1/archive?prove={packed}");
        let asked = tokio::time::timeout(PROOF_WAIT, self.ask_at(whom, &path)).await;
        asked.unwrap_or_else(|_| Err(Outage::new("it says nothing")))
    }

    /// What has the words and was not taken back: where not two archives show a version, either one lacks what is new or
    /// the other one shows what is gone, and a member of the blog knows.
    async fn that_stand(
        self: &Arc<Self>,
        page: Vec<Joined>,
        judged: &BTreeMap<Source, Arc<Told>>,
        query: &Query,
    ) -> Vec<Hit> {
        let mut looks = JoinSet::new();
        for (place, joined) in page.into_iter().enumerate() {
            let versions = joined.versions.into_iter();
            let told =
                versions.filter_map(|(source, by)| Some((Arc::clone(judged.get(&source)?), by)));
            let mut versions: Vec<(Arc<Told>, usize)> = told.collect();
            // The last one first: one archive may not have it yet, and another show one that its author took back.
            versions.sort_by_key(|(told, _)| Reverse(told.headline.place));
            let (spoke, query) = (Arc::clone(self), query.clone());
            looks.spawn(async move {
                for (told, by) in versions {
                    if spoke.is_gone_here(&told) || by < ASKED && spoke.is_gone(&told).await {
                        continue;
                    }
                    return Some((place, spoke.hit(told, &query).await?));
                }
                None
            });
        }
        let mut hits = Vec::new();
        while let Some(look) = looks.join_next().await {
            hits.extend(look.ok().flatten());
        }
        hits.sort_by_key(|(place, _)| *place);
        hits.into_iter().map(|(_, hit)| hit).collect()
    }

    /// Whether the copy of the blog that is held here knows that a post was taken back.
    fn is_gone_here(self: &Arc<Self>, told: &Told) -> bool {
        let Source { blog, entry, .. } = told.source;
        let is_erased = self.with(blog, |replica| replica.chain().eraser(entry).is_some());
        is_erased == Some(true)
    }

    /// Whether a member of the blog knows that a post is no current version, or not this one's.
    async fn is_gone(self: &Arc<Self>, told: &Told) -> bool {
        let word = tokio::time::timeout(WORD_WAIT, self.word_of_blog(&told.source)).await;
        match word {
            Ok(Some(Word::Current(source))) => source != told.source,
            Ok(Some(Word::Erased | Word::Other)) => true,
            Ok(None) | Err(_) => false,
        }
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
                    // One who finds nothing is not to hurry whoever does.
                    let wait = match found.hits.is_empty() {
                        true => EMPTY_WAIT,
                        false => SECOND_WAIT,
                    };
                    answers.push(Answer { whom, found });
                    until = until.min(Instant::now() + wait);
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
            let kept = self.archive.kept().filter(|kept| kept.is_filled());
            let kept = kept.ok_or_else(|| Outage::new("the archive is not filled yet"))?;
            return self.look_in(&kept, wanted);
        }
        let by = if wanted.newest { "&by=date" } else { "" };
        let path = format!(
            "/api/v1/archive?q={}&page={}{by}",
            percent_encoded(&wanted.line),
            wanted.page
        );
        self.ask_at(whom, &path).await
    }

    async fn ask_at(&self, whom: &Label, path: &str) -> Result<ArchiveFoundWire, Outage> {
        let address = self.address(whom);
        let address = address.ok_or_else(|| Outage::new("it is not let in"))?;
        let ask = Ask::new(address, path).at_most(ANSWER_BYTES_MAX);
        match self.client.get(ask).await? {
            Reply::Good(found, _) => Ok(found),
            Reply::Refused(problem) => Err(Outage::new(problem.detail)),
        }
    }

    /// Of what came along, what its authors say; on all cores. What two show alike is judged once.
    fn judge_found<'a>(
        &self,
        came: impl Iterator<Item = (&'a Label, &'a HeadlineWire)>,
        wanted: &BTreeSet<&Source>,
    ) -> BTreeMap<Source, Arc<Told>> {
        let mut lines: BTreeMap<Source, Vec<(&Label, &HeadlineWire)>> = BTreeMap::new();
        for (whom, line) in came {
            if let Some(source) = Source::read(line).filter(|source| wanted.contains(source)) {
                lines.entry(source).or_default().push((whom, line));
            }
        }
        let judge = |(whom, line): (&Label, &HeadlineWire)| match self.check_found(line)? {
            Ok(told) => Some(Arc::new(told)),
            Err(why) => {
                let entry = &line.entry;
                tracing::warn!(%whom, entry, why, "what was found is not its author's, and is not shown");
                self.invents(whom);
                None
            }
        };
        let judged = lines.into_par_iter().filter_map(|(source, lines)| {
            let mut told = None;
            let mut seen: Vec<Vec<(&str, &[String])>> = Vec::new();
            for (whom, line) in lines {
                // Who shows it otherwise is to be named, even where another one shows it rightly.
                let proof = line.proof.iter();
                let proof = proof.map(|entry| (entry.text.as_str(), &*entry.signatures));
                let proof: Vec<_> = proof.collect();
                if !seen.contains(&proof) {
                    seen.push(proof);
                    told = told.or(judge((whom, line)));
                }
            }
            Some((source, told?))
        });
        judged.collect()
    }
}

impl Answer {
    fn order(&self) -> impl Iterator<Item = Source> + '_ {
        let packed = self.found.order.iter().take(DEPTH);
        packed.filter_map(|packed| Source::unpacked(&BASE64.decode(packed).ok()?))
    }

    fn has(&self, source: &Source) -> bool {
        let packed = BASE64.encode(source.packed());
        self.found
            .order
            .iter()
            .take(DEPTH)
            .any(|one| *one == packed)
    }
}

/// A post that archives show.
#[derive(Default)]
struct Joined {
    /// Its versions, each with how many show it.
    versions: BTreeMap<Source, usize>,
    /// What its places in their lists are worth together.
    worth: f64,
}

/// What was found by all, once each: what stands far ahead in several lists comes first, whatever numbers they give it.
/// It is the same for all pages.
fn join(answers: &[Answer]) -> Vec<Joined> {
    let mut articles: BTreeMap<(BlogId, EntryId), Joined> = BTreeMap::new();
    for answer in answers {
        let mut counted = BTreeSet::new();
        for (rank, source) in answer.order().enumerate() {
            let article = (source.blog, source.article);
            if !counted.insert(article) {
                continue;
            }
            let joined = articles.entry(article).or_default();
            joined.worth += 1.0 / (RANK_CONSTANT + rank as f64);
            *joined.versions.entry(source).or_default() += 1;
        }
    }
    // Of equals the order of their ids, which is the same for everybody.
    let mut joined: Vec<Joined> = articles.into_values().collect();
    joined.sort_by(|one, other| other.worth.total_cmp(&one.worth));
    joined
}

#[cfg(test)]
mod tests {
    use spokes_log::name::Hash;

    use super::*;

    /// A version of an article.
    fn source(article: u8, version: u8) -> Source {
        let id = Hash::of(&[article, version]);
        Source::for_tests(
            Hash::from_bytes([0; 32]),
            Hash::from_bytes([article; 32]),
            id,
        )
    }

    /// What lists of articles in some version make together: each article with how many show each version.
    fn joined(lists: &[&[(u8, u8)]]) -> Vec<(u8, Vec<usize>)> {
        let answer = |list: &&[(u8, u8)]| {
            let packed = list
                .iter()
                .map(|(article, version)| BASE64.encode(source(*article, *version).packed()));
            let order = packed.collect();
            let found = ArchiveFoundWire {
                order,
                ..ArchiveFoundWire::default()
            };
            Answer {
                whom: Label::parse("oak").unwrap(),
                found,
            }
        };
        let answers: Vec<Answer> = lists.iter().map(answer).collect();
        let of = |joined: Joined| {
            let article = joined.versions.keys().next().unwrap().article.as_bytes()[0];
            (article, joined.versions.into_values().collect())
        };
        join(&answers).into_iter().map(of).collect()
    }

    #[test]
    fn what_both_show_comes_before_what_one_puts_first() {
        assert_eq!(
            joined(&[&[(9, 1), (1, 1), (2, 1)], &[(1, 1), (2, 1)]]),
            [(1, vec![2]), (2, vec![2]), (9, vec![1])]
        );
    }

    #[test]
    fn versions_of_one_post_are_one_hit() {
        assert_eq!(joined(&[&[(1, 1)], &[(1, 2)]]), [(1, vec![1, 1])]);
    }

    #[test]
    fn one_who_says_the_same_again_and_again_counts_once() {
        let again = [(9, 1); 200];
        assert_eq!(joined(&[&again, &[(1, 1)], &[(1, 1)]])[0].0, 1);
    }

    #[test]
    fn pages_have_each_post_once_however_the_lists_differ() {
        let one: Vec<(u8, u8)> = (0..100).map(|n| (n, 1)).collect();
        let other: Vec<(u8, u8)> = (0..100).map(|n| (n ^ 3, 1)).collect();
        let all: BTreeSet<u8> = joined(&[&one, &other])
            .into_iter()
            .map(|(n, _)| n)
            .collect();
        assert_eq!(all.len(), 100);
    }
}
