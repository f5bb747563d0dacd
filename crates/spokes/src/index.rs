//! The index of all posts, on a spoke of the inner circle: which of them have the words that somebody looks for.
//!
//! It can be made again from the archive at any time, and says of itself up to where in the archive it goes. No text is
//! kept in it, only words; what a hit says is read from the archive, with its signatures.

pub mod query;
pub mod words;

use std::{
    cmp::Reverse,
    fs,
    ops::Bound,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use spokes_log::{
    name::{BlogId, EntryId},
    time::Time,
};
use tantivy::{
    Index as Engine, IndexReader, IndexWriter, Order, ReloadPolicy, TantivyDocument, TantivyError,
    Term,
    collector::{Count, TopDocs},
    query::{
        BooleanQuery, BoostQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query as Asked,
        RangeQuery, TermQuery,
    },
    schema::{
        FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing,
        TextOptions, Value as _,
    },
    tokenizer::{PreTokenizedString, Token},
};

use self::{
    query::{Piece, Query},
    words::words,
};
use crate::outage::Outage;

/// Bytes that the writer gathers in memory before it makes a segment of them: what the engine asks for at least is a
/// little less.
const WRITER_BYTES: usize = 24 * 1024 * 1024;
/// What a word in the title counts, where one in the body counts 1.
const TITLE_WEIGHT: f32 = 3.0;
/// Words that begin with the one character that is looked for, at most: more than any script has in use.
const BEGINNINGS_MAX: u32 = 4_000;
/// Words that are not in the index for which others are looked for.
const UNKNOWN_MAX: usize = 3;
/// Words of the index that are compared for one question, of all parts together: some tens of milliseconds.
const TERMS_MAX: usize = 200_000;
/// The form of what is written. One of another form is made again.
const FORM: &str = "1";

/// A post or page as it is found.
#[derive(Clone, Debug)]
pub struct Posting<'a> {
    /// The blog.
    pub blog: BlogId,
    /// The article, by its first version.
    pub article: EntryId,
    /// Who signed it.
    pub authors: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its language, without script and region.
    pub language: String,
    /// Its date.
    pub date: Time,
    /// Its title.
    pub title: &'a str,
    /// Its text.
    pub body: &'a str,
    /// What whoever finds it gets.
    pub kept: Vec<u8>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// How many posts there are in all.
    pub total: usize,
    /// What was kept of those that were asked for, the best first.
    pub hits: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
struct Fields {
    blog: Field,
    article: Field,
    author: Field,
    tag: Field,
    language: Field,
    date: Field,
    title: Field,
    body: Field,
    kept: Field,
}

/// An open index.
pub struct Index {
    engine: Engine,
    fields: Fields,
    reader: IndexReader,
    writer: Mutex<IndexWriter>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let positions = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let text = TextOptions::default().set_indexing_options(positions);
    let fields = Fields {
        blog: schema.add_text_field("blog", STRING),
        article: schema.add_text_field("article", STRING),
        author: schema.add_text_field("author", STRING),
        tag: schema.add_text_field("tag", STRING),
        language: schema.add_text_field("language", STRING),
        date: schema.add_i64_field("date", INDEXED | FAST),
        title: schema.add_text_field("title", text.clone()),
        body: schema.add_text_field("body", text),
        kept: schema.add_bytes_field("kept", STORED),
    };
    (schema.build(), fields)
}

impl Index {
    /// Opens the index in a directory, or makes a new one where there is none, where it is damaged or of another form,
    /// or goes further than the archive, which then is another one. Gives also up to which position of the archive it
    /// goes.
    ///
    /// # Errors
    /// When the disk fails, or another process has it open.
    pub fn open(dir: &Path, newest: u64) -> Result<(Self, u64), Outage> {
        match Self::open_in(dir) {
            Ok((index, Some(position))) if position <= newest => return Ok((index, position)),
            Ok(_) => {}
            // What would be the same with a new one, or is over soon.
            Err(error @ (TantivyError::IoError(_) | TantivyError::LockFailure(..))) => {
                return Err(failed(error));
            }
            Err(error) => tracing::warn!(%error, "the index is made again from the archive"),
        }
        Self::remove(dir)?;
        let (index, _) = Self::open_in(dir).map_err(failed)?;
        Ok((index, 0))
    }

    /// Removes what is in a directory, so that the next one begins anew.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(dir: &Path) -> Result<(), Outage> {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Outage::file("removing", dir, &error))
            }
            _ => Ok(()),
        }
    }

    fn open_in(dir: &Path) -> Result<(Self, Option<u64>), TantivyError> {
        fs::create_dir_all(dir)?;
        let (schema, fields) = schema();
        let directory = tantivy::directory::MmapDirectory::open(dir)?;
        let engine = Engine::open_or_create(directory, schema)?;
        let payload = engine.load_metas()?.payload;
        let position = match payload
            .as_deref()
            .and_then(|payload| payload.split_once(' '))
        {
            Some((FORM, position)) => position.parse().ok(),
            Some(_) => None,
            None => Some(0),
        };
        let reader = engine
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        let writer = Mutex::new(engine.writer_with_num_threads(1, WRITER_BYTES)?);
        Ok((
            Self {
                engine,
                fields,
                reader,
                writer,
            },
            position,
        ))
    }

    fn writer(&self) -> MutexGuard<'_, IndexWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a post in the place of what it was before.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn put(&self, posting: &Posting<'_>) -> Result<(), Outage> {
        let fields = &self.fields;
        let mut document = TantivyDocument::default();
        document.add_text(fields.blog, posting.blog.to_string());
        document.add_text(fields.article, posting.article.to_string());
        for author in &posting.authors {
            document.add_text(fields.author, author);
        }
        for tag in &posting.tags {
            document.add_text(fields.tag, tag);
        }
        document.add_text(fields.language, &posting.language);
        document.add_i64(fields.date, posting.date.as_unix());
        let title = [posting.title, &posting.tags.join("\n")].join("\n");
        document.add_pre_tokenized_text(fields.title, tokens(&title));
        document.add_pre_tokenized_text(fields.body, tokens(posting.body));
        document.add_bytes(fields.kept, &posting.kept);
        let writer = self.writer();
        writer.delete_term(Term::from_field_text(
            fields.article,
            &posting.article.to_string(),
        ));
        writer.add_document(document).map_err(failed)?;
        Ok(())
    }

    /// Takes all posts of a blog out.
    pub fn remove_blog(&self, blog: BlogId) {
        let term = Term::from_field_text(self.fields.blog, &blog.to_string());
        self.writer().delete_term(term);
    }

    /// Makes what was put and taken out durable, and found: everything up to this position of the archive.
    ///
    /// # Errors
    /// When the disk fails; what was there before is found still.
    pub fn commit(&self, position: u64) -> Result<(), Outage> {
        let mut writer = self.writer();
        let mut prepared = writer.prepare_commit().map_err(failed)?;
        prepared.set_payload(&format!("{FORM} {position}"));
        prepared.commit().map_err(failed)?;
        drop(writer);
        self.reader.reload().map_err(failed)
    }

    /// Gives up what was put and taken out since the last time that it was made durable, and after a failure whatever the
    /// writer was at.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn give_up(&self) -> Result<(), Outage> {
        self.writer().rollback().map_err(failed)?;
        Ok(())
    }

    /// Rewrites parts in which something was taken out: else words that were erased stand in them until they are merged.
    /// True when there are none left, and no file of what was.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn purge(&self) -> Result<bool, Outage> {
        let of_parts = |wanted: fn(&tantivy::SegmentMeta) -> bool| {
            let metas = self.engine.searchable_segment_metas().map_err(failed)?;
            let metas = metas.iter().filter(|meta| wanted(meta));
            Ok::<_, Outage>(metas.map(tantivy::SegmentMeta::id).collect::<Vec<_>>())
        };
        for id in of_parts(tantivy::SegmentMeta::has_deletes)? {
            let merged = self.writer().merge(&[id]);
            // It may be on its way into a larger one just now, of which the next look takes care.
            if let Err(error) = merged.wait() {
                tracing::debug!(%error, "a part of the index was not rewritten yet");
            }
        }
        self.reader.reload().map_err(failed)?;
        // Nobody may have the old ones open, or know of them, for their files to go.
        let swept = self.writer().garbage_collect_files();
        let swept = swept.wait().map_err(failed)?;
        let is_clean = of_parts(tantivy::SegmentMeta::has_deletes)?.is_empty();
        Ok(is_clean && swept.failed_to_delete_files.is_empty())
    }

    /// How many posts can be found.
    pub fn posts(&self) -> u64 {
        self.reader.searcher().num_docs()
    }

    /// Looks for posts of so far: the best ones, or the newest, so many of them.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn search(
        &self,
        query: &Query,
        blog: Option<BlogId>,
        now: Time,
        newest: bool,
        most: usize,
    ) -> Result<Found, Outage> {
        let searcher = self.reader.searcher();
        let newest = newest || query.wanted.is_empty();
        let asked = self.asked(query, blog, now, newest);
        let top = TopDocs::with_limit(most);
        let (addresses, total) = if newest {
            let top = top.order_by_fast_field::<i64>("date", Order::Desc);
            let (top, total) = searcher.search(&*asked, &(top, Count)).map_err(failed)?;
            (top.into_iter().map(|(_, at)| at).collect::<Vec<_>>(), total)
        } else {
            let (top, total) = searcher
                .search(&*asked, &(top.order_by_score(), Count))
                .map_err(failed)?;
            (top.into_iter().map(|(_, at)| at).collect(), total)
        };
        let mut hits = Vec::new();
        for address in addresses {
            let document: TantivyDocument = searcher.doc(address).map_err(failed)?;
            let kept = document
                .get_first(self.fields.kept)
                .and_then(|kept| kept.as_bytes());
            hits.extend(kept.map(<[u8]>::to_vec));
        }
        Ok(Found { total, hits })
    }

    /// The line with words that are in the index in the place of those that are not, where there are such that look
    /// alike; none where there is nothing better to look for.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn meant(&self, query: &Query) -> Result<Option<String>, Outage> {
        let mut line = Vec::new();
        let (mut others, mut budget) = (0, TERMS_MAX);
        for piece in &query.wanted {
            let Piece::Row(row) = piece else {
                return Ok(None);
            };
            let mut words = Vec::new();
            for word in row {
                if self.has_word(word)? {
                    words.push(word.clone());
                    continue;
                }
                others += 1;
                let near = match others <= UNKNOWN_MAX {
                    true => self.near(word, &mut budget)?,
                    false => None,
                };
                let Some(near) = near else {
                    return Ok(None);
                };
                words.push(near);
            }
            let words = words.join(" ");
            line.push(if row.len() > 1 {
                format!("\"{words}\"")
            } else {
                words
            });
        }
        Ok(Some(line.join(" ")).filter(|_| others > 0))
    }

    fn has_word(&self, word: &str) -> Result<bool, Outage> {
        let searcher = self.reader.searcher();
        for field in [self.fields.title, self.fields.body] {
            let term = Term::from_field_text(field, word);
            if searcher.doc_freq(&term).map_err(failed)? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The most frequent of those words in the index that differ least from this one.
    fn near(&self, word: &str, budget: &mut usize) -> Result<Option<String>, Outage> {
        let searcher = self.reader.searcher();
        let letters: Vec<char> = word.chars().collect();
        let may_differ = may_differ(letters.len());
        let (Some(first), true) = (letters.first(), may_differ > 0) else {
            return Ok(None);
        };
        // Who begins a word wrongly is seldom, and all other words need not be looked at.
        let first = first.to_string();
        let behind = [first.as_bytes(), &[0xff]].concat();
        // By how much it differs, how often it is there, and what it is.
        let mut best: Option<(usize, Reverse<u32>, String)> = None;
        for segment in searcher.segment_readers() {
            for field in [self.fields.title, self.fields.body] {
                let inverted = segment.inverted_index(field).map_err(failed)?;
                let range = inverted.terms().range().ge(first.as_bytes()).lt(&behind);
                let mut terms = range.into_stream().map_err(|error| failed(error.into()))?;
                while *budget > 0 && terms.advance() {
                    *budget -= 1;
                    let Ok(term) = std::str::from_utf8(terms.key()) else {
                        continue;
                    };
                    let Some(differs) = distance(&letters, term, may_differ) else {
                        continue;
                    };
                    let this = (differs, Reverse(terms.value().doc_freq), term);
                    let is_better = best
                        .as_ref()
                        .is_none_or(|(d, f, w)| this < (*d, *f, w.as_str()));
                    if is_better {
                        best = Some((this.0, this.1, this.2.to_owned()));
                    }
                }
            }
        }
        Ok(best.map(|(_, _, word)| word))
    }

    fn asked(
        &self,
        query: &Query,
        blog: Option<BlogId>,
        now: Time,
        newest: bool,
    ) -> Box<dyn Asked> {
        let fields = &self.fields;
        let mut parts: Vec<(Occur, Box<dyn Asked>)> = Vec::new();
        for piece in &query.wanted {
            parts.push((Occur::Must, self.piece(piece)));
        }
        for piece in &query.unwanted {
            parts.push((Occur::MustNot, self.piece(piece)));
        }
        let mut must = |field, text: &str| {
            let term = Term::from_field_text(field, text);
            let query = TermQuery::new(term, IndexRecordOption::Basic);
            parts.push((Occur::Must, Box::new(unscored(query)) as Box<dyn Asked>));
        };
        if let Some(blog) = blog {
            must(fields.blog, &blog.to_string());
        }
        if let Some(author) = &query.author {
            must(fields.author, &author.to_string());
        }
        if let Some(tag) = &query.tag {
            must(fields.tag, tag.as_str());
        }
        if let Some(language) = &query.language {
            must(fields.language, language);
        }
        // What is dated ahead waits for its date, as on front pages. Where the best are looked for, and dates do not
        // matter otherwise, whoever asks leaves those out: it would cost each search more than the few are worth.
        if newest || query.after.is_some() || query.before.is_some() {
            let term = |time: Time| Term::from_field_i64(fields.date, time.as_unix());
            let after = query
                .after
                .map_or(Bound::Unbounded, |time| Bound::Included(term(time)));
            let before = match query.before {
                Some(before) if before <= now => Bound::Excluded(term(before)),
                _ => Bound::Included(term(now)),
            };
            let dated = RangeQuery::new(after, before);
            parts.push((Occur::Must, Box::new(unscored(dated))));
        }
        if let [(Occur::Must, _)] = parts[..]
            && let Some((_, one)) = parts.pop()
        {
            return one;
        }
        Box::new(BooleanQuery::new(parts))
    }

    /// Title or body.
    fn piece(&self, piece: &Piece) -> Box<dyn Asked> {
        let within = |field: Field| -> Box<dyn Asked> {
            match piece {
                Piece::Row(row) => match &row[..] {
                    [word] => {
                        let term = Term::from_field_text(field, word);
                        Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
                    }
                    row => {
                        let terms = row.iter().map(|word| Term::from_field_text(field, word));
                        Box::new(PhraseQuery::new(terms.collect()))
                    }
                },
                Piece::Beginning(letter) => {
                    let mut query =
                        PhrasePrefixQuery::new(vec![Term::from_field_text(field, letter)]);
                    query.set_max_expansions(BEGINNINGS_MAX);
                    Box::new(query)
                }
            }
        };
        let title = BoostQuery::new(within(self.fields.title), TITLE_WEIGHT);
        let parts: Vec<(Occur, Box<dyn Asked>)> = vec![
            (Occur::Should, Box::new(title)),
            (Occur::Should, within(self.fields.body)),
        ];
        Box::new(BooleanQuery::new(parts))
    }
}

/// By how many letters a word of so many may differ from the one that is meant.
fn may_differ(letters: usize) -> usize {
    match letters {
        0..5 => 0,
        5..9 => 1,
        _ => 2,
    }
}

/// Whether a line could be meant by another one: as many words in each piece, each as it is or a little different. For
/// what somebody else suggests.
pub fn may_mean(asked: &Query, meant: &Query) -> bool {
    let near = |(word, other): (&String, &String)| {
        let letters: Vec<char> = word.chars().collect();
        word == other || distance(&letters, other, may_differ(letters.len())).is_some()
    };
    let same = |pieces: (&Piece, &Piece)| match pieces {
        (Piece::Row(one), Piece::Row(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(near)
        }
        (one, other) => one == other,
    };
    let (one, other) = (&asked.wanted, &meant.wanted);
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// How many letters two words differ by, one for two that changed places; none where that is more than `most`.
fn distance(word: &[char], other: &str, most: usize) -> Option<usize> {
    let other: Vec<char> = other.chars().take(word.len() + most + 1).collect();
    if word.len().abs_diff(other.len()) > most {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in word.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, another) in other.iter().enumerate() {
            let same = usize::from(letter != another);
            let mut least = (last[j] + same).min(last[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *letter == other[j - 1] && word[i - 1] == *another {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        if next.iter().all(|differs| *differs > most) {
            return None;
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().filter(|differs| *differs <= most)
}

/// What must be so and makes no hit better than another.
fn unscored(query: impl Asked) -> tantivy::query::ConstScoreQuery {
    tantivy::query::ConstScoreQuery::new(Box::new(query), 0.0)
}

fn tokens(text: &str) -> PreTokenizedString {
    let tokens = words(text).into_iter().enumerate();
    let token = |(position, word): (usize, words::Word)| Token {
        offset_from: word.range.start,
        offset_to: word.range.end,
        position,
        text: word.folded,
        position_length: 1,
    };
    // Its text is kept nowhere.
    PreTokenizedString {
        text: String::new(),
        tokens: tokens.map(token).collect(),
    }
}

fn failed(error: TantivyError) -> Outage {
    Outage::new(format!("the index failed: {error}"))
}

#[cfg(test)]
mod tests {
    use spokes_log::name::Hash;

    use super::*;

    fn put(index: &Index, article: u8, body: &str) {
        let blog = Hash::of(&[article / 10]);
        let posting = Posting {
            blog,
            article: Hash::of(&[article]),
            authors: vec![],
            tags: vec![],
            language: "en".to_owned(),
            date: Time::from_unix(article.into()),
            title: "",
            body,
            kept: vec![article],
        };
        index.put(&posting).unwrap();
    }

    fn found(index: &Index, line: &str) -> Vec<u8> {
        let now = Time::from_unix(1_000);
        let found = index.search(&Query::parse(line), None, now, true, 20);
        found.unwrap().hits.concat()
    }

    /// Whether a word is in the files of the index, be it of posts that were taken out.
    fn knows(index: &Index, word: &str) -> bool {
        let searcher = index.reader.searcher();
        let term = Term::from_field_text(index.fields.body, word);
        searcher.segment_readers().iter().any(|segment| {
            let inverted = segment.inverted_index(index.fields.body).unwrap();
            inverted.get_term_info(&term).unwrap().is_some()
        })
    }

    #[test]
    fn what_was_taken_out_stands_in_no_file_behind_a_purge() {
        let dir = tempfile::tempdir().unwrap();
        let (index, position) = Index::open(dir.path(), 0).unwrap();
        assert_eq!(position, 0);
        put(&index, 1, "a secret word");
        put(&index, 2, "another word");
        index.commit(1).unwrap();
        put(&index, 1, "an open word");
        index.commit(2).unwrap();
        assert_eq!(
            (found(&index, "secret"), found(&index, "word")),
            (vec![], vec![2, 1])
        );
        assert!(knows(&index, "secret"), "it is only marked as gone");
        while !index.purge().unwrap() {}
        assert!(!knows(&index, "secret") && knows(&index, "open"));
        let files: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().collect();
        let terms = files
            .iter()
            .filter(|file| file.path().extension().is_some_and(|e| e == "term"));
        assert!(terms.count() <= 2, "files of what was are left: {files:?}");
        index.remove_blog(Hash::of(&[0]));
        index.commit(3).unwrap();
        assert_eq!((found(&index, "word"), index.posts()), (vec![], 0));
    }

    #[test]
    fn what_was_not_committed_can_be_given_up_and_put_in_again() {
        let dir = tempfile::tempdir().unwrap();
        let (index, _) = Index::open(dir.path(), 0).unwrap();
        put(&index, 1, "one");
        index.commit(1).unwrap();
        put(&index, 2, "two");
        index.give_up().unwrap();
        index.commit(1).unwrap();
        assert_eq!(found(&index, "two"), Vec::<u8>::new());
        put(&index, 2, "two");
        index.commit(2).unwrap();
        assert_eq!(found(&index, "two"), [2]);
        drop(index);
        let (index, position) = Index::open(dir.path(), 2).unwrap();
        assert_eq!((position, index.posts()), (2, 2));
        drop(index);
        // Of another archive, which does not go so far.
        let (index, position) = Index::open(dir.path(), 1).unwrap();
        assert_eq!((position, index.posts()), (0, 0));
    }

    #[test]
    fn what_is_dated_ahead_waits_where_dates_count() {
        let dir = tempfile::tempdir().unwrap();
        let (index, _) = Index::open(dir.path(), 0).unwrap();
        put(&index, 50, "word");
        put(&index, 40, "word");
        index.commit(1).unwrap();
        let at = |now| {
            let found = index.search(&Query::parse("word"), None, Time::from_unix(now), true, 20);
            found.unwrap().hits.concat()
        };
        assert_eq!((at(45), at(50)), (vec![40], vec![50, 40]));
    }

    #[test]
    fn words_that_are_written_otherwise_are_suggested_and_only_such() {
        let dir = tempfile::tempdir().unwrap();
        let (index, _) = Index::open(dir.path(), 0).unwrap();
        put(&index, 1, "the council meets beside the river");
        index.commit(1).unwrap();
        let meant = |line: &str| index.meant(&Query::parse(line)).unwrap();
        assert_eq!(meant("counsil rivre").as_deref(), Some("council river"));
        assert_eq!(
            meant("\"teh council\""),
            None,
            "short words are not guessed"
        );
        assert_eq!(meant("council river"), None);
        assert_eq!(meant("zzzzzzzz"), None);
        assert_eq!(meant(&"zzzzzzzz ".repeat(5)), None);
        for (asked, meant, may) in [
            ("counsil", "council", true),
            ("counsil", "buy our soap", false),
            ("counsil", "\"council\" soap", false),
            ("a b", "a b", true),
        ] {
            assert_eq!(
                may_mean(&Query::parse(asked), &Query::parse(meant)),
                may,
                "{meant}"
            );
        }
    }

    #[test]
    fn letters_that_differ_are_counted_as_people_mistype() {
        for (one, other, differs) in [
            ("river", "river", Some(0)),
            ("river", "rivre", Some(1)),
            ("river", "rver", Some(1)),
            ("river", "driver", Some(1)),
            ("river", "rover", Some(1)),
            ("river", "revisor", None),
        ] {
            let letters: Vec<char> = one.chars().collect();
            assert_eq!(distance(&letters, other, 2), differs, "{other}");
        }
    }
}
