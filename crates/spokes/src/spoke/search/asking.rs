//! Asking the archives.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use spokes_log::{
    name::{BlogId, EntryId},
    time::Time,
};
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
        let posts = answers.iter().map(|answer| &answer.found);
        let mut found = Found {
            answered: answers.iter().map(|answer| answer.whom.clone()).collect(),
            ..Found::default()
        };
        let mut joined = join(&answers, &judged);
        if wanted.newest {
            joined.sort_by_key(|joined| Reverse(joined.newest()));
        }
        found.hits = self.that_stand(joined, query, answers.len()).await;
        let before = (wanted.page - 1) * FOUND_MAX;
        let told = posts
            .clone()
            .map(|found| found.total.min(PAGES_MAX * FOUND_MAX));
        found.more = told.clone().any(|total| total > before + FOUND_MAX)
            && wanted.page < PAGES_MAX
            && !found.hits.is_empty();
        // How many there are in all is one's word: that both give about the same one.
        let (least, most) = (told.clone().min().unwrap_or(0), told.max().unwrap_or(0));
        let agree = answers.len() > 1 && most - least <= most / 10;
        found.total = if agree {
            most.max(before + found.hits.len())
        } else {
            before + found.hits.len()
        };
        found.is_at_least = !agree && found.more;
        if found.hits.is_empty() && wanted.page == 1 {
            // A word of somebody else's is followed by readers: it must look like theirs.
            let meant = posts.filter_map(|found| found.meant.as_ref());
            let mut meant = meant.filter(|meant| may_mean(query, &Query::parse(meant)));
            found.meant = meant.next().cloned();
        }
        Some(found)
    }

    /// What has the words and was not taken back: where two answered and one of them does not show a version, either it
    /// lacks what is new or the other one shows what is gone, and a member of the blog knows.
    async fn that_stand(
        self: &Arc<Self>,
        joined: Vec<Joined>,
        query: &Query,
        answered: usize,
    ) -> Vec<Hit> {
        let mut looks = JoinSet::new();
        for (place, joined) in joined.into_iter().enumerate() {
            let (spoke, query) = (Arc::clone(self), query.clone());
            looks.spawn(async move {
                for (told, by) in joined.versions {
                    if by < answered && spoke.is_gone(&told).await {
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
        hits.truncate(FOUND_MAX);
        hits.into_iter().map(|(_, hit)| hit).collect()
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
        let ask = Ask::new(address, &path).at_most(ANSWER_BYTES_MAX);
        match self.client.get(ask).await? {
            Reply::Good(found, _) => Ok(found),
            Reply::Refused(problem) => Err(Outage::new(problem.detail)),
        }
    }

    /// Of what was found, what its authors say; on all cores. What two show is judged once, but where the first of them
    /// shows it altered.
    fn judge_found(&self, answers: &[Answer]) -> BTreeMap<Source, Arc<Told>> {
        let mut lines: BTreeMap<Source, Vec<(&Label, &HeadlineWire)>> = BTreeMap::new();
        for answer in answers {
            for line in answer.found.hits.iter().take(FOUND_MAX) {
                if let Some(source) = Source::read(line) {
                    lines.entry(source).or_default().push((&answer.whom, line));
                }
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
            let told = lines.into_iter().find_map(judge)?;
            Some((source, told))
        });
        judged.collect()
    }
}

/// A post that archives show.
struct Joined {
    /// Its versions, the last one first, each with how many show it: one archive may not have the last one yet, and
    /// another one may show one that its author took back.
    versions: Vec<(Arc<Told>, usize)>,
    /// What its places in their lists are worth together.
    worth: f64,
}

impl Joined {
    fn newest(&self) -> Option<(Time, (u64, EntryId))> {
        let (told, _) = self.versions.first()?;
        Some((told.headline.date, told.headline.place))
    }
}

/// What was found by all, once each: what stands far ahead in several lists comes first, whatever numbers they give it.
fn join(answers: &[Answer], judged: &BTreeMap<Source, Arc<Told>>) -> Vec<Joined> {
    let mut articles: BTreeMap<(BlogId, EntryId), Joined> = BTreeMap::new();
    for answer in answers {
        let mut counted = BTreeSet::new();
        for (rank, line) in answer.found.hits.iter().take(FOUND_MAX).enumerate() {
            let told = Source::read(line).and_then(|source| judged.get(&source));
            let Some(told) = told else { continue };
            let article = (told.headline.blog, told.headline.article);
            if !counted.insert(article) {
                continue;
            }
            let joined = articles.entry(article).or_insert_with(|| Joined {
                versions: Vec::new(),
                worth: 0.0,
            });
            joined.worth += 1.0 / (RANK_CONSTANT + rank as f64);
            let versions = &mut joined.versions;
            match versions
                .iter_mut()
                .find(|(known, _)| known.source == told.source)
            {
                Some((_, by)) => *by += 1,
                None => versions.push((Arc::clone(told), 1)),
            }
            versions.sort_by_key(|(told, _)| Reverse(told.headline.place));
        }
    }
    let mut joined: Vec<Joined> = articles.into_values().collect();
    joined.sort_by(|one, other| {
        let newer = || other.newest().cmp(&one.newest());
        other.worth.total_cmp(&one.worth).then_with(newer)
    });
    joined
}

#[cfg(test)]
mod tests {
    use spokes_log::name::{BlogName, Hash, Language, Slug};
    use spokes_rules::front::Headline;

    use super::*;

    /// A version of an article, and how an archive shows it.
    fn told(article: u8, version: u8) -> (Source, Arc<Told>, HeadlineWire) {
        let id = Hash::of(&[article, version]);
        let headline = Headline {
            blog: Hash::of(b"blog"),
            name: BlogName::parse("maria").unwrap(),
            blog_title: String::new(),
            article: Hash::of(&[article]),
            place: (version.into(), id),
            date: Time::from_unix(article.into()),
            title: None,
            slug: Slug::parse("x").unwrap(),
            language: Language::parse("en").unwrap(),
            excerpt: String::new(),
        };
        let told = Arc::new(Told::for_tests(headline));
        let wire = told.source.wire(0, &[]);
        (told.source.clone(), told, wire)
    }

    /// What lists of articles in some version make together: article, version, how many show it.
    fn joined(lists: &[&[(u8, u8)]]) -> Vec<(u8, u64, usize)> {
        let mut judged = BTreeMap::new();
        let mut answers = Vec::new();
        for list in lists {
            let mut found = ArchiveFoundWire::default();
            for (article, version) in *list {
                let (source, told, wire) = told(*article, *version);
                judged.insert(source, told);
                found.hits.push(wire);
            }
            let whom = Label::parse("oak").unwrap();
            answers.push(Answer { whom, found });
        }
        let of = |joined: Joined| {
            let (told, by) = &joined.versions[0];
            let headline = &told.headline;
            let article = u8::try_from(headline.date.as_unix()).unwrap();
            (article, headline.place.0, *by)
        };
        join(&answers, &judged).into_iter().map(of).collect()
    }

    #[test]
    fn what_both_show_comes_before_what_one_puts_first() {
        assert_eq!(
            joined(&[&[(9, 1), (1, 1), (2, 1)], &[(1, 1), (2, 1)]]),
            [(1, 1, 2), (2, 1, 2), (9, 1, 1)]
        );
    }

    #[test]
    fn the_last_version_stands_for_a_post_and_whoever_shows_an_older_one_does_not_show_it() {
        assert_eq!(joined(&[&[(1, 1)], &[(1, 2)]]), [(1, 2, 1)]);
        assert_eq!(joined(&[&[(1, 2)], &[(1, 1)]]), [(1, 2, 1)]);
    }

    #[test]
    fn one_who_says_the_same_twenty_times_counts_once() {
        let again = [(9, 1); 20];
        assert_eq!(joined(&[&again, &[(1, 1)], &[(1, 1)]])[0].0, 1);
    }
}
