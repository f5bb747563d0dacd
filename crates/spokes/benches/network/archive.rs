//! The archive: how fast it takes in a whole network, how large its index is, and how long a search takes beside the
//! bare engine with its own words, over the same posts, on this machine, in this run.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use spokes::{
    client::{Ask, Reply},
    clock,
    index::{Index, query::Query},
};
use tantivy::{
    IndexWriter, TantivyDocument, Term,
    collector::TopDocs,
    query::{BooleanQuery, Occur, PhraseQuery, Query as Asked, TermQuery},
    schema::{IndexRecordOption, STORED, Schema, TEXT},
};

use crate::{Author, Demo, Failed, print};

/// Posts of each blog.
const OF_BLOG: usize = 10_000;
/// Words of the vocabulary, the first far more frequent than the last (Zipf, exponent 1).
const VOCABULARY: usize = 50_000;
/// Words of a post, and of its title.
const WORDS: usize = 300;
const TITLE: usize = 6;
/// Questions of each kind.
const QUESTIONS: usize = 300;
/// How long the archive may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// Made-up words by Zipf's law, always the same ones.
struct Corpus {
    words: Vec<String>,
    /// The sum of the weights up to each word.
    weights: Vec<f64>,
    state: u64,
}

impl Corpus {
    fn new() -> Self {
        const BEGIN: [&str; 20] = [
            "b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z",
            "st", "tr", "pl",
        ];
        const END: [&str; 7] = ["a", "e", "i", "o", "u", "ai", "ou"];
        let word = |mut number: usize| {
            let mut word = String::new();
            for _ in 0..3 {
                let syllable = number % (BEGIN.len() * END.len());
                word.push_str(BEGIN[syllable % BEGIN.len()]);
                word.push_str(END[syllable / BEGIN.len()]);
                number /= BEGIN.len() * END.len();
                if number == 0 {
                    break;
                }
            }
            word
        };
        // Different numbers may be spelled alike, as people's words are.
        let words: Vec<String> = (0..VOCABULARY).map(word).collect();
        let mut sum = 0.0;
        let weights = (1..=VOCABULARY).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self {
            weights: weights.collect(),
            words,
            state: 7,
        }
    }

    fn random(&mut self) -> f64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn word(&mut self) -> &str {
        let wanted = self.random() * self.weights.last().copied().unwrap_or(1.0);
        let at = self.weights.partition_point(|sum| *sum < wanted);
        &self.words[at.min(VOCABULARY - 1)]
    }

    fn text(&mut self, words: usize) -> String {
        let words: Vec<String> = (0..words).map(|_| self.word().to_owned()).collect();
        let lines: Vec<String> = words.chunks(15).map(|line| line.join(" ")).collect();
        lines.join("\n")
    }

    /// Words of three bands of frequency in turn.
    fn asked(&mut self, number: usize) -> String {
        let band = [10..200, 200..2_000, 2_000..20_000][number % 3].clone();
        let at = band.start + (self.random() * band.len() as f64) as usize;
        self.words[at].clone()
    }
}

pub(crate) async fn archive(posts: usize) -> Result<(), Failed> {
    let mut demo = Demo::start(1, 1)?;
    let texts = fill(&mut demo, posts).await?;
    let raw: usize = texts
        .iter()
        .map(|(title, body)| title.len() + body.len())
        .sum();
    let dir = demo.dir.join("spoke-a/archive");
    demo.until_archived(posts).await?;
    // All of it again, through the feed, and killed in the middle.
    demo.kill("a")?;
    fs::remove_dir_all(&dir)?;
    let began = Instant::now();
    demo.restart("a")?;
    demo.until_archived(posts / 2).await?;
    let half = began.elapsed();
    demo.kill("a")?;
    demo.restart("a")?;
    let again = Instant::now();
    demo.until_archived(posts).await?;
    let took = half + again.elapsed();
    let bytes = size(&dir.join("index"))?;
    print(
        &format!("archive of {posts} posts, judged, kept and in the index, killed once"),
        &format!("{:.0} posts/s", posts as f64 / took.as_secs_f64()),
    );
    print(
        "index, all of it",
        &format!(
            "{:.0} MB = {:.2} x {:.0} MB of words",
            mb(bytes),
            bytes as f64 / raw as f64,
            mb(raw as u64)
        ),
    );
    // The index has one writer.
    demo.kill("a")?;
    let (index, _) = Index::open(&dir.join("index"), u64::MAX)?;
    compare(&index, &texts)
}

/// Writes the posts into blogs, and gives back what they say.
async fn fill(demo: &mut Demo, posts: usize) -> Result<Vec<(String, String)>, Failed> {
    let mut corpus = Corpus::new();
    let mut texts = Vec::new();
    for blog in 0..posts.div_ceil(OF_BLOG) {
        let name = format!("blog{blog}");
        let mut author = Author::new(&name)?;
        let spoke = demo.claim(&mut author, &name).await?;
        let of_blog = OF_BLOG.min(posts - blog * OF_BLOG);
        let said: Vec<(String, String)> = (0..of_blog)
            .map(|_| (corpus.text(TITLE), corpus.text(WORDS)))
            .collect();
        demo.fill_with(&mut author, spoke, &name, &said).await?;
        texts.extend(said);
    }
    Ok(texts)
}

/// Words, pairs of words, and neighbours that are there.
fn questions(texts: &[(String, String)]) -> [Vec<Vec<String>>; 3] {
    let mut corpus = Corpus::new();
    let ones: Vec<Vec<String>> = (0..QUESTIONS).map(|n| vec![corpus.asked(n)]).collect();
    let twos: Vec<Vec<String>> = (0..QUESTIONS)
        .map(|n| vec![corpus.asked(n), corpus.asked(n + 1)])
        .collect();
    let phrases: Vec<Vec<String>> = (0..QUESTIONS)
        .map(|n| {
            let body = &texts[n * texts.len() / QUESTIONS].1;
            body.split_whitespace()
                .skip(20)
                .take(2)
                .map(str::to_owned)
                .collect()
        })
        .collect();
    [ones, twos, phrases]
}

fn compare(index: &Index, texts: &[(String, String)]) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let began = Instant::now();
    let bare = Bare::new(dir.path(), texts)?;
    print(
        "bare tantivy, the same posts, one thread",
        &format!(
            "{:.0} posts/s, {:.0} MB",
            texts.len() as f64 / began.elapsed().as_secs_f64(),
            mb(size(dir.path())?)
        ),
    );
    let [ones, twos, phrases] = questions(texts);
    for (what, questions, is_phrase) in [
        ("1 word", &ones, false),
        ("2 words", &twos, false),
        ("phrase of 2", &phrases, true),
    ] {
        for newest in [false, true] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            // Once to warm both, once to measure, in turn.
            for round in 0..2 {
                for words in questions {
                    let line = words.join(" ");
                    let line = if is_phrase {
                        format!("\"{line}\"")
                    } else {
                        line
                    };
                    let began = Instant::now();
                    let found =
                        index.search(&Query::parse(&line), None, clock::now(), newest, 20)?;
                    let took = began.elapsed();
                    let began = Instant::now();
                    let hits = bare.search(words, is_phrase, newest)?;
                    let bare_took = began.elapsed();
                    if round == 1 {
                        ours.push(took);
                        theirs.push(bare_took);
                        assert_eq!(found.hits.len(), hits, "both find the same number: {line}");
                    }
                }
            }
            let order = if newest { "newest" } else { "best" };
            let (ours, theirs) = (percentiles(ours), percentiles(theirs));
            print(
                &format!("search, {what}, {order} 20"),
                &format!(
                    "p50 {:.2} ms, p99 {:.2} ms = {:.2} and {:.2} x bare tantivy's {:.2} and {:.2}",
                    ours[0],
                    ours[1],
                    ours[0] / theirs[0],
                    ours[1] / theirs[1],
                    theirs[0],
                    theirs[1]
                ),
            );
        }
    }
    Ok(())
}

/// Milliseconds at p50 and p99.
fn percentiles(mut took: Vec<Duration>) -> [f64; 2] {
    took.sort_unstable();
    [50, 99].map(|part| took[(took.len() - 1) * part / 100].as_secs_f64() * 1_000.0)
}

fn size(dir: &Path) -> Result<u64, Failed> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}

/// The engine as it comes, with its own tokenizer: title and body.
struct Bare {
    reader: tantivy::IndexReader,
    fields: [tantivy::schema::Field; 3],
}

impl Bare {
    fn new(dir: &Path, texts: &[(String, String)]) -> Result<Self, Failed> {
        let mut schema = Schema::builder();
        let (title, body) = (
            schema.add_text_field("title", TEXT),
            schema.add_text_field("body", TEXT),
        );
        let date = schema.add_i64_field("date", STORED | tantivy::schema::FAST);
        let engine = tantivy::Index::create_in_dir(dir, schema.build())?;
        let mut writer: IndexWriter = engine.writer_with_num_threads(1, 24 * 1024 * 1024)?;
        for (number, (said, text)) in texts.iter().enumerate() {
            let mut document = TantivyDocument::default();
            document.add_text(title, said);
            document.add_text(body, text);
            document.add_i64(date, i64::try_from(number)?);
            writer.add_document(document)?;
        }
        writer.commit()?;
        writer.wait_merging_threads()?;
        Ok(Self {
            reader: engine.reader()?,
            fields: [title, body, date],
        })
    }

    /// How many of the first twenty there are.
    fn search(&self, words: &[String], is_phrase: bool, newest: bool) -> Result<usize, Failed> {
        let searcher = self.reader.searcher();
        let within = |field, words: &[String]| -> Box<dyn Asked> {
            let mut terms = words.iter().map(|word| Term::from_field_text(field, word));
            match (words.len(), terms.next()) {
                (1, Some(term)) => Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)),
                (_, first) => Box::new(PhraseQuery::new(first.into_iter().chain(terms).collect())),
            }
        };
        let either = |words: &[String]| -> Box<dyn Asked> {
            let [title, body, _] = self.fields;
            let parts = vec![
                (Occur::Should, within(title, words)),
                (Occur::Should, within(body, words)),
            ];
            Box::new(BooleanQuery::new(parts))
        };
        let asked: Box<dyn Asked> = if is_phrase {
            either(words)
        } else {
            let parts = words
                .iter()
                .map(|word| (Occur::Must, either(std::slice::from_ref(word))));
            Box::new(BooleanQuery::new(parts.collect()))
        };
        let top = TopDocs::with_limit(20);
        let mut hits = Vec::new();
        if newest {
            let top = top.order_by_fast_field::<i64>("date", tantivy::Order::Desc);
            hits.extend(
                searcher
                    .search(&*asked, &top)?
                    .into_iter()
                    .map(|(_, at)| at),
            );
        } else {
            hits.extend(
                searcher
                    .search(&*asked, &top.order_by_score())?
                    .into_iter()
                    .map(|(_, at)| at),
            );
        }
        for at in &hits {
            let _document: TantivyDocument = searcher.doc(*at)?;
        }
        Ok(hits.len())
    }
}

impl Demo {
    /// Waits until the archive finds so many posts.
    async fn until_archived(&self, posts: usize) -> Result<(), Failed> {
        let until = Instant::now() + PATIENCE;
        let spoke = self.spokes().first().ok_or("no spokes")?.1;
        while Instant::now() < until {
            let ask = Ask::new(spoke, "/api/v1/status");
            if let Ok(Reply::Good(status, _)) = self.client.get(ask).await {
                let status: serde_json::Value = status;
                if status["archive"]["posts"]
                    .as_u64()
                    .is_some_and(|there| there >= posts as u64)
                {
                    return Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("the archive did not get all posts".into())
    }
}
