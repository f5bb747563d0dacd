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
        AllQuery, BooleanQuery, BoostQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query as Asked,
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
    /// Opens the index in a directory, or makes a new one where there is none that can be read, or it goes further
    /// than the archive, which then is another one. Gives also up to which position of the archive it goes.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(dir: &Path, newest: u64) -> Result<(Self, u64), Outage> {
        match Self::open_in(dir) {
            Ok((index, Some(position))) if position <= newest => return Ok((index, position)),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the index is made again from the archive"),
        }
        remove(dir)?;
        let (index, _) = Self::open_in(dir).map_err(failed)?;
        Ok((index, 0))
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

    /// Takes a post out.
    pub fn remove(&self, article: EntryId) {
        let term = Term::from_field_text(self.fields.article, &article.to_string());
        self.writer().delete_term(term);
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

    /// Rewrites all parts in which something was taken out: else words that were erased stand in them until they are
    /// merged.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn purge(&self) -> Result<(), Outage> {
        let metas = self.engine.searchable_segment_metas().map_err(failed)?;
        for meta in metas.iter().filter(|meta| meta.has_deletes()) {
            let merged = self.writer().merge(&[meta.id()]);
            // It may be on its way into a larger one just now, which leaves them out as well.
            if let Err(error) = merged.wait() {
                tracing::debug!(%error, "a part of the index was not rewritten");
            }
        }
        self.reader.reload().map_err(failed)?;
        let swept = self.writer().garbage_collect_files();
        swept.wait().map_err(failed)?;
        Ok(())
    }

    /// How many posts can be found.
    pub fn posts(&self) -> u64 {
        self.reader.searcher().num_docs()
    }

    /// Looks for posts: so many behind the first ones, by relevance or the newest first.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn search(
        &self,
        query: &Query,
        blog: Option<BlogId>,
        newest: bool,
        from: usize,
        most: usize,
    ) -> Result<Found, Outage> {
        let searcher = self.reader.searcher();
        let asked = self.asked(query, blog);
        let top = TopDocs::with_limit(most).and_offset(from);
        let (addresses, total) = if newest || query.wanted.is_empty() {
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
        let mut is_other = false;
        for piece in &query.wanted {
            let Piece::Row(row) = piece else {
                return Ok(None);
            };
            let mut words = Vec::new();
            for word in row {
                match self.near(word)? {
                    None => return Ok(None),
                    Some(near) => {
                        is_other |= near != *word;
                        words.push(near);
                    }
                }
            }
            let words = words.join(" ");
            line.push(if row.len() > 1 {
                format!("\"{words}\"")
            } else {
                words
            });
        }
        Ok(Some(line.join(" ")).filter(|_| is_other))
    }

    /// The word itself where it is in the index; else the most frequent one of those that differ least.
    fn near(&self, word: &str) -> Result<Option<String>, Outage> {
        let searcher = self.reader.searcher();
        let letters: Vec<char> = word.chars().collect();
        let may_differ = match letters.len() {
            0..4 => 0,
            4..8 => 1,
            _ => 2,
        };
        // By how much it differs, how often it is there, and what it is.
        let mut best: Option<(usize, Reverse<u32>, String)> = None;
        for segment in searcher.segment_readers() {
            for field in [self.fields.title, self.fields.body] {
                let inverted = segment.inverted_index(field).map_err(failed)?;
                // Who begins a word wrongly is seldom, and all other words need not be looked at.
                let first = letters.first().map(char::to_string).unwrap_or_default();
                let mut behind = first.clone().into_bytes();
                behind.push(0xff);
                let range = inverted.terms().range().ge(first.as_bytes()).lt(&behind);
                let mut terms = range.into_stream().map_err(|error| failed(error.into()))?;
                while terms.advance() {
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

    fn asked(&self, query: &Query, blog: Option<BlogId>) -> Box<dyn Asked> {
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
        if query.after.is_some() || query.before.is_some() {
            let term = |time: Time| Term::from_field_i64(fields.date, time.as_unix());
            let after = query
                .after
                .map_or(Bound::Unbounded, |time| Bound::Included(term(time)));
            let before = query
                .before
                .map_or(Bound::Unbounded, |time| Bound::Excluded(term(time)));
            parts.push((
                Occur::Must,
                Box::new(unscored(RangeQuery::new(after, before))),
            ));
        }
        if parts.iter().all(|(occur, _)| *occur == Occur::MustNot) {
            parts.push((Occur::Must, Box::new(AllQuery)));
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

fn remove(dir: &Path) -> Result<(), Outage> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Outage::file("removing", dir, &error))
        }
        _ => Ok(()),
    }
}

fn failed(error: TantivyError) -> Outage {
    Outage::new(format!("the index failed: {error}"))
}
