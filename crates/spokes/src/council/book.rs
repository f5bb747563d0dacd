//! The registry as this node knows it: folded from what Raft has agreed on, with an index in SQLite.
//!
//! The journal is the truth. The index holds each record as its followers read it, and how far it has
//! come; when it is lost, or a loss of power took its end, it is made again from the journal.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use openraft::{Entry, LogId, entry::EntryPayload};
use rusqlite::{Connection, OptionalExtension as _, params};
use spokes_log::{
    name::{BlogId, Hash},
    time::Time,
};
use spokes_rules::{
    node::{NodeKey, NodeSecret},
    refusal::Refusal,
    registry::{Record, Registry, Touched, Verdict},
    request::{Ask, Request, Wish},
};
use tokio::sync::watch;

use super::{
    problem_of,
    publication::{self, Publication, Published},
    raft::{Answers, Batch, Ledger, Member, NodeId, Types, members},
};
use crate::{
    config,
    dns::seals,
    kept,
    outage::Outage,
    wire::{LogWire, Problem, RecordWire, TakenWire},
};

/// Records of one answer: a page that verifies in well under a second.
const PAGE_RECORDS: u64 = 500;
/// Bytes of records in one answer: far below what a follower reads (the largest record fits, alone).
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The schema that this program writes: since the third, what is kept of signatures has a form of its own
/// ([`crate::dns::seals`]), which older programs would take for none.
const SCHEMA: i64 = 3;
/// The schema of networks whose council was one node, without a journal.
const SCHEMA_ALONE: i64 = 1;

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS record (
    place   INTEGER PRIMARY KEY,
    request TEXT NOT NULL,                  -- canonical, verbatim
    json    TEXT NOT NULL                   -- SPEC http 3.5
) STRICT;
CREATE TABLE IF NOT EXISTS applied (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    place   TEXT NOT NULL,                  -- in the journal
    members TEXT NOT NULL
) STRICT;
";

const CREATE_RECOVERED: &str = "
CREATE TABLE IF NOT EXISTS recovered (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    place   INTEGER NOT NULL                -- of the last record that founded the council anew
) STRICT;
";

/// The registry on this node.
#[derive(Debug)]
pub(super) struct Book {
    /// None until its first record is here.
    registry: RwLock<Option<Registry>>,
    index: Mutex<Connection>,
    publication: Publication,
    grown: watch::Sender<u64>,
    path: PathBuf,
    secret: NodeSecret,
    /// How many records the registry had when it was kept last.
    kept: Mutex<u64>,
    changed: Mutex<Changed>,
}

/// What has changed since somebody looked: whose sets may have to follow.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// These blogs, and those on spokes that changed.
    pub(super) blogs: BTreeSet<BlogId>,
    /// Spokes came or went: any blog that lacks something may get it now.
    pub(super) spokes: bool,
}

impl Book {
    /// Opens the index, or makes an empty one. What is `hidden` is in no zone until [`Self::reveal`].
    ///
    /// # Errors
    /// When it is damaged, of a newer program, or the disk fails.
    pub(super) fn open(path: &Path, secret: &NodeSecret, hidden: bool) -> Result<Self, Outage> {
        let index = open_index(path)?;
        let published = Published::read(&index)?;
        let kept = recall(&index, &kept_at(path), secret.key());
        let kept_records = kept.as_ref().map_or(0, |registry| registry.head().records);
        let dir = path.parent().unwrap_or(Path::new(".")).to_owned();
        let publication = Publication::new(dir, hidden)?;
        let registry = replay(&index, kept, published, &publication)?;
        let records = registry.as_ref().map_or(0, |r| r.head().records);
        let book = Self {
            registry: RwLock::new(registry),
            index: Mutex::new(index),
            publication,
            grown: watch::channel(records).0,
            path: path.to_owned(),
            secret: secret.clone(),
            kept: Mutex::new(kept_records),
            changed: Mutex::default(),
        };
        Ok(book)
    }

    /// Keeps what the registry adds up to for the next start, if it has grown enough, or at the `end`. Only where
    /// nothing waits for the next version of the zone: the last one must be found again in what is kept, or behind it.
    ///
    /// # Errors
    /// When the disk fails: then the next start takes longer, and nothing else.
    pub(super) fn keep(&self, end: bool) -> Result<(), Outage> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let records = *self.grown.borrow();
        if !(kept::is_due(*kept, records) || end && records > *kept) {
            return Ok(());
        }
        // Whoever applies holds the index.
        let still = self.index();
        let is_settled = self.publication.is_settled();
        let taken = self.ask(|registry| is_settled.then(|| (registry.head(), registry.keep())));
        drop(still);
        let Some((head, body)) = taken.flatten() else {
            return Ok(());
        };
        // The records below it must not be lost with the end of the index when power is.
        let index = Connection::open(&self.path)?;
        index.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        kept::keep(&kept_at(&self.path), &self.secret, &head, &body)?;
        *kept = head.records;
        Ok(())
    }

    /// What this node publishes in DNS.
    pub(super) fn publication(&self) -> &Publication {
        &self.publication
    }

    /// Publishes what is here: it is all there is.
    ///
    /// # Errors
    /// When a name cannot be published.
    pub(super) fn reveal(&self) -> Result<bool, Outage> {
        // Whoever applies holds the index: nothing changes meanwhile.
        let index = self.index();
        let revealed = self.ask(|registry| self.publication.reveal(registry, &index));
        revealed.unwrap_or(Ok(false))
    }

    /// Reads from the registry; none as long as nothing of it is here.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&Registry) -> T) -> Option<T> {
        let registry = self.registry.read();
        let registry = registry.unwrap_or_else(PoisonError::into_inner);
        registry.as_ref().map(question)
    }

    /// Tells how many records there are.
    pub(super) fn grown(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }

    /// Takes what has changed since this was asked last.
    pub(super) fn changed(&self) -> Changed {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut changed)
    }

    fn note_changed(&self, touched: &[Touched]) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        for touched in touched {
            match touched {
                Touched::Blog(id) => drop(changed.blogs.insert(*id)),
                Touched::Blogs(ids) => changed.blogs.extend(ids),
                Touched::Spoke(label) | Touched::Load(label) => {
                    self.ask(|registry| changed.blogs.extend(registry.placed_on(label)));
                }
                Touched::Spokes(_) => changed.spokes = true,
                // A new blog has the set that it should have.
                Touched::NewBlog(_)
                | Touched::Keys(_)
                | Touched::Council
                | Touched::Mirror(_)
                | Touched::Nothing => {}
            }
        }
    }

    fn index(&self) -> MutexGuard<'_, Connection> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a request with this text got, if it is in the log already.
    pub(super) fn answered(&self, text: &str) -> Option<TakenWire> {
        let place = self.ask(|registry| registry.answered(text)).flatten()?;
        first_answer(&self.index(), place).ok()
    }

    /// Record 0 and the last one by which the council was founded anew, if there is one.
    ///
    /// # Errors
    /// When the index fails.
    pub(super) fn founded_anew(&self) -> Result<Option<(RecordWire, RecordWire)>, Outage> {
        let index = self.index();
        let place = index.query_row("SELECT place FROM recovered", [], |row| row.get(0));
        let Some(place) = place.optional()? else {
            return Ok(None);
        };
        let [found, recover] = [0, place].map(|place: u64| record_at(&index, place));
        let pair = found?.zip(recover?);
        Ok(pair.map(|(found, recover)| (RecordWire::from(&found), RecordWire::from(&recover))))
    }

    /// The log behind a place.
    ///
    /// # Errors
    /// When the index fails.
    pub(super) fn page(&self, after: u64) -> Result<LogWire, Outage> {
        let records_in_all = *self.grown.borrow();
        let index = self.index();
        let sql = "SELECT json FROM record WHERE place >= ?1 ORDER BY place LIMIT ?2";
        let mut statement = index.prepare_cached(sql)?;
        let rows = statement.query_map([after, PAGE_RECORDS], |row| row.get::<_, String>(0))?;
        let (mut records, mut bytes) = (Vec::<RecordWire>::new(), 0);
        for json in rows {
            let json = json?;
            bytes += json.len();
            if bytes > PAGE_BYTES_MAX && !records.is_empty() {
                break;
            }
            records.push(serde_json::from_str(&json).map_err(|e| damaged(&e.to_string()))?);
        }
        // Some may have come since they were counted.
        let last = records.last().map_or(0, |record| record.index + 1);
        let records_in_all = records_in_all.max(last);
        let head = self.ask(Registry::head);
        let head = head.filter(|head| head.records == records_in_all);
        Ok(LogWire {
            records,
            records_in_all,
            confirmed: false,
            head: head.map(|head| head.hash.to_string()),
        })
    }

    /// Takes the requests of one batch, in their order.
    fn take(
        &self,
        index: &Connection,
        batch: &Batch,
        touched: &mut Vec<Touched>,
    ) -> std::io::Result<Answers> {
        let time = Time::parse(&batch.time).map_err(std::io::Error::other)?;
        let mut answers = Vec::new();
        for wire in &batch.requests {
            answers.push(match wire.request() {
                Ok(request) => self.take_one(index, time, request, touched)?,
                // Nobody proposes such a request; what lies in the log all the same changes nothing.
                Err(why) => Err(problem_of(422, "invalid", why)),
            });
        }
        Ok(Answers(answers))
    }

    fn take_one(
        &self,
        index: &Connection,
        time: Time,
        request: Request,
        touched: &mut Vec<Touched>,
    ) -> std::io::Result<Result<TakenWire, Problem>> {
        let judged = self.ask(|registry| {
            Ok::<_, Refusal>(match registry.judge(time, &request)? {
                Verdict::Repeat(place) => Err(place),
                Verdict::New => Ok(registry.next_record(time, request.clone())),
            })
        });
        let record = match judged {
            Some(Err(refusal)) => return Ok(Err(refused(&refusal))),
            Some(Ok(Err(place))) => return first_answer(index, place).map(Ok),
            Some(Ok(Ok(record))) => record,
            None => first(time, request),
        };
        let taken = {
            let registry = self.registry.write();
            let mut registry = registry.unwrap_or_else(PoisonError::into_inner);
            registry.as_mut().map(|registry| registry.take(&record))
        };
        match taken {
            Some(Ok(what)) => {
                self.publication.note(&what);
                touched.push(what);
            }
            Some(Err(refusal)) => return Ok(Err(refused(&refusal))),
            None => match Registry::found(&record) {
                Ok(founded) => {
                    let registry = self.registry.write();
                    *registry.unwrap_or_else(PoisonError::into_inner) = Some(founded);
                    self.publication.note(&Touched::Council);
                }
                Err(refusal) => return Ok(Err(refused(&refusal))),
            },
        }
        keep(index, &record)?;
        if note_recovery(index, &record)? {
            self.publication.skip(index)?;
        }
        Ok(Ok(TakenWire {
            index: record.index,
            time: record.time.to_string(),
        }))
    }
}

impl Ledger for Book {
    fn applied(&self) -> std::io::Result<(Option<LogId<NodeId>>, Member)> {
        let sql = "SELECT place, members FROM applied";
        let row = self
            .index()
            .query_row(sql, [], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
            .optional()
            .map_err(std::io::Error::other)?;
        let Some((place, members)) = row else {
            return Ok((None, Member::default()));
        };
        Ok((
            Some(serde_json::from_str(&place)?),
            serde_json::from_str(&members)?,
        ))
    }

    fn apply(&self, entries: Vec<Entry<Types>>) -> std::io::Result<Vec<Answers>> {
        let (mut answers, mut touched) = (Vec::new(), Vec::new());
        let mut index = self.index();
        let transaction = index.transaction().map_err(std::io::Error::other)?;
        for entry in &entries {
            let said = match &entry.payload {
                EntryPayload::Normal(batch) => {
                    if let Some(minute) = batch.publish {
                        // It is durable: a majority has it in its journal.
                        let sheaf = batch.sheaf.as_deref();
                        let publish = |registry: &Registry| {
                            self.publication
                                .publish(registry, minute, sheaf, &transaction)
                        };
                        self.ask(publish).transpose()?;
                    }
                    self.take(&transaction, batch, &mut touched)?
                }
                EntryPayload::Blank | EntryPayload::Membership(_) => Answers(Vec::new()),
            };
            answers.push(said);
        }
        if let Some(last) = entries.last() {
            let members = entries.iter().rev().find_map(members);
            note(&transaction, last.log_id, members.as_ref())?;
        }
        transaction.commit().map_err(std::io::Error::other)?;
        self.note_changed(&touched);
        drop(index);
        let records = self.ask(|registry| registry.head().records);
        self.grown.send_if_modified(|grown| {
            let before = std::mem::replace(grown, records.unwrap_or_default());
            before != *grown
        });
        Ok(answers)
    }
}

/// Notes where the council was founded anew last: others are told of it. Whether this record did.
fn note_recovery(index: &Connection, record: &Record) -> std::io::Result<bool> {
    let ask = Ask::parse(record.request.signed.text.as_bytes());
    if !ask.is_ok_and(|ask| matches!(ask.what, Wish::Recover { .. })) {
        return Ok(false);
    }
    let sql = "INSERT INTO recovered (one, place) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET place = ?1";
    let noted = index.execute(sql, [record.index]);
    noted.map(|_| true).map_err(std::io::Error::other)
}

/// Record 0, if it founds a network.
fn first(time: Time, request: Request) -> Record {
    Record {
        index: 0,
        previous: Hash::of(b""),
        time,
        request,
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let (status, kind) = super::kind_of(refusal);
    problem_of(status.as_u16(), kind, refusal.to_string())
}

/// Notes how far the index has come; members only where they changed.
fn note(index: &Connection, place: LogId<NodeId>, members: Option<&Member>) -> std::io::Result<()> {
    let place = serde_json::to_string(&place)?;
    let members = match members {
        Some(members) => Some(serde_json::to_string(members)?),
        None => None,
    };
    let none = serde_json::to_string(&Member::default())?;
    let sql = "INSERT INTO applied (one, place, members) VALUES (1, ?1, coalesce(?2, ?3)) \
               ON CONFLICT (one) DO UPDATE SET place = ?1, members = coalesce(?2, members)";
    index
        .execute(sql, params![place, members, none])
        .map_err(std::io::Error::other)?;
    Ok(())
}

fn keep(index: &Connection, record: &Record) -> std::io::Result<()> {
    let json = serde_json::to_string(&RecordWire::from(record))?;
    let text = &record.request.signed.text;
    let sql = "INSERT INTO record (place, request, json) VALUES (?1, ?2, ?3)";
    index
        .prepare_cached(sql)
        .and_then(|mut insert| insert.execute(params![record.index, text, json]))
        .map_err(std::io::Error::other)?;
    Ok(())
}

fn first_answer(index: &Connection, place: u64) -> std::io::Result<TakenWire> {
    let sql = "SELECT json FROM record WHERE place = ?1";
    let json: String = index
        .query_row(sql, [place], |row| row.get(0))
        .map_err(std::io::Error::other)?;
    let record: RecordWire = serde_json::from_str(&json)?;
    Ok(TakenWire {
        index: place,
        time: record.time,
    })
}

fn open_index(path: &Path) -> Result<Connection, Outage> {
    config::sync_database(path)?;
    let index = Connection::open(path)?;
    index.busy_timeout(Duration::from_secs(5))?;
    index.pragma_update(None, "journal_mode", "WAL")?;
    // What a loss of power takes comes back from the journal.
    index.pragma_update(None, "synchronous", "NORMAL")?;
    let found: i64 = index.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > SCHEMA {
        return Err(Outage::new(format!(
            "{} was written by a newer program (schema {found}, this one reads {SCHEMA}); nothing \
             was touched, start the newer program",
            path.display()
        )));
    }
    // Older programs pass them over.
    index.execute_batch(CREATE_RECOVERED)?;
    index.execute_batch(publication::CREATE)?;
    index.execute_batch(seals::CREATE)?;
    if found < SCHEMA {
        index.execute_batch(&format!(
            "BEGIN; {CREATE} PRAGMA user_version = {SCHEMA}; COMMIT;"
        ))?;
    }
    Ok(index)
}

/// The records of a network whose council was one node without a journal; none where it has one.
///
/// # Errors
/// When the database fails.
pub(super) fn records_alone(path: &Path) -> Result<Option<Vec<RecordWire>>, Outage> {
    if !path.exists() {
        return Ok(None);
    }
    let index = Connection::open(path)?;
    let found: i64 = index.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found != SCHEMA_ALONE {
        return Ok(None);
    }
    let mut statement = index.prepare("SELECT json FROM record ORDER BY place")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let read = |json: String| {
        serde_json::from_str::<RecordWire>(&json).map_err(|e| damaged(&e.to_string()))
    };
    let records: Result<Vec<_>, Outage> = rows.map(|json| read(json?)).collect();
    Ok(Some(records?))
}

/// Where the registry is kept, beside its index.
fn kept_at(index: &Path) -> PathBuf {
    index.with_extension("kept")
}

/// What was kept, if it goes with the index.
fn recall(index: &Connection, path: &Path, key: NodeKey) -> Option<Registry> {
    let fits = |registry: Registry| {
        let head = registry.head();
        let last = record_at(index, head.records - 1).map_err(|outage| outage.to_string())?;
        let fits = last.is_some_and(|record| record.hash() == head.hash);
        fits.then_some(registry)
            .ok_or_else(|| "the index does not go with it".to_owned())
    };
    let recalled = kept::recall(path, key).and_then(|kept| kept.map(fits).transpose());
    recalled.unwrap_or_else(|why| {
        tracing::warn!(
            why,
            "what the registry added up to is not used; the whole log is judged again, which may take minutes"
        );
        None
    })
}

fn read(json: &str) -> Result<Record, Outage> {
    let wire = serde_json::from_str::<RecordWire>(json).map_err(|e| damaged(&e.to_string()))?;
    wire.record().map_err(|why| damaged(&why))
}

fn record_at(index: &Connection, place: u64) -> Result<Option<Record>, Outage> {
    let sql = "SELECT json FROM record WHERE place = ?1";
    let json = index.query_row(sql, [place], |row| row.get::<_, String>(0));
    json.optional()?.map(|json| read(&json)).transpose()
}

/// Folds the index, from what was kept on; each record is judged again. On the way the last version of the zone is
/// made, where the registry is as it was then.
fn replay(
    index: &Connection,
    kept: Option<Registry>,
    published: Option<Published>,
    publication: &Publication,
) -> Result<Option<Registry>, Outage> {
    let mut last = published;
    let mut resume = |registry: &Option<Registry>| {
        let here = registry.as_ref().zip(last);
        let here = here.filter(|(registry, last)| registry.head().records >= last.records);
        let Some((registry, version)) = here else {
            return Ok(());
        };
        last = None;
        publication.resume(registry, version, index)
    };
    let mut registry = kept;
    let from = registry.as_ref().map_or(0, |kept| kept.head().records);
    let mut statement =
        index.prepare("SELECT json FROM record WHERE place >= ?1 ORDER BY place")?;
    let mut rows = statement.query([from])?;
    resume(&registry)?;
    while let Some(row) = rows.next()? {
        let record = read(&row.get::<_, String>(0)?)?;
        let judged = match &mut registry {
            None => Registry::found(&record).map(|founded| {
                registry = Some(founded);
                Touched::Council
            }),
            Some(registry) => registry.take(&record),
        };
        let touched = judged.map_err(|refusal| damaged(&refusal.to_string()))?;
        if published.is_none_or(|last| record.index >= last.records) {
            publication.note(&touched);
        }
        resume(&registry)?;
    }
    Ok(registry)
}

fn damaged(why: &str) -> Outage {
    Outage::new(format!(
        "the registry's index does not add up ({why}); nothing was served. Remove registry.db: it is made \
         again from registry.journal"
    ))
}

#[cfg(test)]
mod signed;
#[cfg(test)]
mod tests;
