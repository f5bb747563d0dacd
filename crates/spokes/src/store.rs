//! What a spoke keeps on disk: entries as their canonical texts, seals, and the registry's log.
//!
//! One thread writes. It takes all that waits, commits it in one transaction (WAL, `synchronous=FULL`:
//! the commit returns after an fsync) and only then says so: eight authors share one sync.

mod leftover;
mod media;
mod offer;
mod seals;
mod sketch;

pub use leftover::Leftover as Left;
pub use offer::{Apart, Offer};

use std::{
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use spokes_log::{
    entry::Entry,
    name::{BlogId, EntryId, Hash},
    seal::SealedEntry,
};
use tokio::sync::{oneshot, watch};

use crate::{config::sync_database, outage::Outage, wire::EntryWire};

/// Jobs of one transaction: enough to share the sync, few enough that none waits for long.
const BATCH_MAX: usize = 512;
/// Jobs that wait: behind it whoever asks waits, so that memory stays bounded.
const QUEUE_MAX: usize = 4_096;
/// Bytes of text from which on a page of rows ends, however few they are: with one more entry it is
/// still far below what a peer reads (48 MiB), escaped as JSON too.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Connections kept for readers: more than cores serve nobody faster.
const READERS_KEPT: usize = 8;
/// KiB of pages that a reader's connection keeps: the inner ones of the indexes. The system keeps the rest,
/// once for all of them.
const READER_CACHE_KIB: i64 = 256;
/// How long a statement waits for another connection: longer than any of ours works.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// After how long without a write a log with erased words is emptied, again and again until no reader is
/// in the way.
const TRUNCATE_AGAIN: Duration = Duration::from_secs(1);
/// The schema that this program writes; what it adds to those before are sketches, then offers.
const SCHEMA: i64 = 3;

const CREATE: &str = "
CREATE TABLE entry (
    position   INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of the feed
    id         TEXT NOT NULL UNIQUE,
    blog       TEXT NOT NULL,
    sequence   INTEGER NOT NULL,
    text       TEXT NOT NULL,                     -- canonical, verbatim
    signatures BLOB NOT NULL                      -- packets, each behind its length in two bytes
) STRICT;
CREATE INDEX entry_of_blog ON entry (blog, position);
CREATE TABLE seal (
    blog  TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    text  TEXT NOT NULL,
    PRIMARY KEY (blog, epoch)
) STRICT;
CREATE TABLE staged (
    id         TEXT PRIMARY KEY,
    blog       TEXT NOT NULL,
    text       TEXT NOT NULL,
    signatures BLOB NOT NULL,
    since      INTEGER NOT NULL                   -- seconds since 1970
) STRICT;
CREATE TABLE record (
    place INTEGER PRIMARY KEY,                    -- in the registry's log
    json  TEXT NOT NULL                           -- SPEC http 3.5
) STRICT;
";

/// A write.
#[derive(Debug)]
pub enum Write {
    /// New entries of one blog, in the order of their chain.
    Entries(Vec<SealedEntry>),
    /// New entries, and those whose words go with them: their skeletons stay. Together, so that a loss
    /// of power never leaves the one without the other.
    Erasing(Vec<SealedEntry>, Vec<EntryId>),
    /// Entries whose rows were altered: these are right.
    Mend(SealedEntry),
    /// A row that is not what it should be.
    Remove(EntryId),
    /// A seal, by blog and epoch.
    Seal(BlogId, u64, String),
    /// Entries that stand outside the log, or leave it.
    Apart(Apart),
    /// A copy that others hold.
    Leftover(Left),
    /// An entry whose media are awaited, and since when.
    Stage(SealedEntry, i64),
    /// A staged entry that is staged no more.
    Unstage(EntryId),
    /// Staged entries from before this time.
    UnstageBefore(i64),
    /// Records of the registry's log.
    Records(Vec<(u64, String)>),
    /// Records of a log founded anew, instead of all from a place on.
    RecordsFrom(u64, Vec<(u64, String)>),
    /// A sketch of a blog whose newest entry stands at this position.
    Sketch(BlogId, u64, Vec<u8>),
}

/// Writes that build on one another: after one that failed, none of those behind it is made.
#[derive(Clone, Debug, Default)]
pub struct Strand {
    failed: Arc<OnceLock<Outage>>,
    /// Ends when what the last write was for is done.
    last: Arc<Mutex<Option<oneshot::Receiver<()>>>>,
}

impl Strand {
    /// Says that what was written cannot stand: none behind it may be made.
    pub fn fail(&self, outage: Outage) {
        // The first reason is the one that counts.
        let _said_before = self.failed.set(outage);
    }

    /// Why one of them failed, if one did.
    pub fn failed(&self) -> Option<&Outage> {
        self.failed.get()
    }

    /// A place in the order of these writes: what ends when the one before is done, and what to drop
    /// when this one is.
    pub fn turn(&self) -> (Option<oneshot::Receiver<()>>, oneshot::Sender<()>) {
        let (done, ended) = oneshot::channel();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        (last.replace(ended), done)
    }
}

struct Job {
    strand: Strand,
    /// Apart, since the queue has room for all its jobs from the start.
    write: Box<Write>,
    done: oneshot::Sender<Result<(), Outage>>,
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    jobs: mpsc::SyncSender<Job>,
    readers: Mutex<Vec<Connection>>,
    path: std::path::PathBuf,
    newest: watch::Receiver<u64>,
}

/// A row of the feed.
#[derive(Debug)]
pub struct Row {
    /// Its place in the feed.
    pub position: u64,
    /// The blog that it is kept under.
    pub blog: String,
    /// The id that it is kept under.
    pub id: String,
    /// The text.
    pub text: String,
    /// The packets.
    pub packets: Vec<Vec<u8>>,
}

impl Row {
    /// The entry, if the row holds what its id says.
    pub fn sealed(&self) -> Option<SealedEntry> {
        let sealed = SealedEntry::parse(self.text.as_bytes(), &self.packets).ok()?;
        (sealed.entry().id().to_string() == self.id).then_some(sealed)
    }

    /// The entry without its signatures, if the row holds what its id says.
    pub fn entry(&self) -> Option<Entry> {
        let entry = Entry::parse(self.text.as_bytes()).ok()?;
        (entry.id().to_string() == self.id).then_some(entry)
    }

    /// The entry as peers get it, if the row holds what its id says. Whoever gets it judges its
    /// signatures.
    pub fn into_wire(self) -> Option<EntryWire> {
        let signatures = Entry::recognize(&self.text, Hash::parse(&self.id).ok()?)?;
        (signatures == self.packets.len()).then(|| EntryWire::new(self.text, &self.packets))
    }
}

impl Store {
    /// Opens or makes a store.
    ///
    /// # Errors
    /// When the file is damaged, of a newer program, or the disk fails.
    pub fn open(path: &Path) -> Result<Self, Outage> {
        sync_database(path)?;
        let connection = connect(path, SCHEMA, CREATE)?;
        offer::prepare(&connection)?;
        leftover::prepare(&connection)?;
        sketch::prepare(&connection)?;
        let newest =
            connection.query_row("SELECT coalesce(max(position), 0) FROM entry", [], |row| {
                row.get(0)
            })?;
        let (jobs, queue) = mpsc::sync_channel(QUEUE_MAX);
        let (tell, newest) = watch::channel(newest);
        thread::Builder::new()
            .name("store".into())
            .spawn(move || write_all(connection, &queue, &tell))
            .map_err(|e| Outage::new(format!("no thread for the store: {e}")))?;
        Ok(Self {
            jobs,
            readers: Mutex::default(),
            path: path.to_owned(),
            newest,
        })
    }

    /// Queues a write; the answer comes when it is durable.
    ///
    /// The order of calls is the order on disk. Blocks while the queue is full.
    pub fn write(&self, write: Write) -> oneshot::Receiver<Result<(), Outage>> {
        self.write_on(&Strand::default(), write)
    }

    /// Queues a write that builds on those before it.
    pub fn write_on(&self, strand: &Strand, write: Write) -> oneshot::Receiver<Result<(), Outage>> {
        let (done, answer) = oneshot::channel();
        let strand = strand.clone();
        // Where the writer has stopped, the answer's sender is dropped, which its receiver sees.
        drop(self.jobs.send(Job {
            strand,
            write: Box::new(write),
            done,
        }));
        answer
    }

    /// Queues a write and waits until it is durable.
    ///
    /// # Errors
    /// When it did not become durable.
    pub async fn written(&self, write: Write) -> Result<(), Outage> {
        self.write(write).await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Tells when entries have become durable: the newest position.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.clone()
    }

    /// Rows behind a position, at most `limit`, as long as `keep` wants their blog.
    ///
    /// Gives also the position read up to: behind the last row, or the end.
    ///
    /// # Errors
    /// When the database fails.
    pub fn after(
        &self,
        position: u64,
        limit: usize,
        mut keep: impl FnMut(&str) -> bool,
    ) -> Result<(Vec<Row>, u64, bool), Outage> {
        self.read(|connection| {
            let sql = "SELECT position, blog, id, text, signatures FROM entry \
                       WHERE position > ?1 ORDER BY position";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([position])?;
            let (mut page, mut read_to) = (Page::default(), position);
            while let Some(row) = rows.next()? {
                if page.is_full(limit) {
                    return Ok((page.rows, read_to, true));
                }
                read_to = row.get(0)?;
                let blog: String = row.get(1)?;
                if keep(&blog) {
                    page.add(row_of(row)?);
                }
            }
            Ok((page.rows, read_to, false))
        })
    }

    /// Rows of one blog behind a position.
    ///
    /// # Errors
    /// When the database fails.
    pub fn of_blog(
        &self,
        blog: BlogId,
        position: u64,
        limit: usize,
    ) -> Result<(Vec<Row>, u64, bool), Outage> {
        self.read(|connection| {
            let sql = "SELECT position, blog, id, text, signatures FROM entry \
                       WHERE blog = ?1 AND position > ?2 ORDER BY position";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![blog.to_string(), position])?;
            let (mut page, mut more) = (Page::default(), false);
            while let Some(row) = rows.next()? {
                more = page.is_full(limit);
                if more {
                    break;
                }
                page.add(row_of(row)?);
            }
            let read_to = page.rows.last().map_or(position, |row| row.position);
            Ok((page.rows, read_to, more))
        })
    }

    /// Shows blog, id and text of entries, the newest first, as long as `each` wants more.
    ///
    /// # Errors
    /// When the database fails.
    pub fn newest_first(
        &self,
        mut each: impl FnMut(&str, &str, &str) -> bool,
    ) -> Result<(), Outage> {
        self.read(|connection| {
            let sql = "SELECT blog, id, text FROM entry ORDER BY position DESC";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?);
                if !each(text(0)?, text(1)?, text(2)?) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The row kept under an id.
    ///
    /// # Errors
    /// When the database fails.
    pub fn entry(&self, id: EntryId) -> Result<Option<Row>, Outage> {
        self.read(|connection| {
            let sql = "SELECT position, blog, id, text, signatures FROM entry WHERE id = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_row([id.to_string()], row_of).optional()
        })
    }

    /// The registry's log as far as it is here.
    ///
    /// # Errors
    /// When the database fails.
    pub fn records(&self) -> Result<Vec<String>, Outage> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT json FROM record ORDER BY place")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// How many entries are here.
    ///
    /// # Errors
    /// When the database fails.
    pub fn entries(&self) -> Result<u64, Outage> {
        self.read(|c| c.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)))
    }

    fn read<T>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, Outage> {
        let kept = self.readers.lock().unwrap_or_else(|e| e.into_inner()).pop();
        let connection = match kept {
            Some(connection) => connection,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(&self.path, flags)?;
                // Negative: in KiB, not in pages.
                connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
                connection
            }
        };
        let answer = ask(&connection)?;
        let mut readers = self.readers.lock().unwrap_or_else(|e| e.into_inner());
        if readers.len() < READERS_KEPT {
            readers.push(connection);
        }
        Ok(answer)
    }
}

/// Rows of one answer.
#[derive(Default)]
struct Page {
    rows: Vec<Row>,
    bytes: usize,
}

impl Page {
    fn is_full(&self, limit: usize) -> bool {
        self.rows.len() >= limit || self.bytes >= PAGE_BYTES_MAX
    }

    fn add(&mut self, row: Row) {
        self.bytes += row.text.len();
        self.rows.push(row);
    }
}

pub(crate) fn stopped() -> Outage {
    Outage::new("the store has stopped; what was answered before is safe, restart this node")
}

/// Opens a database of ours, or makes it.
///
/// # Errors
/// When the file is damaged, of a newer program, or the disk fails.
pub(crate) fn connect(path: &Path, schema: i64, create: &str) -> Result<Connection, Outage> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Words that were erased must not be left in pages that are free.
    connection.pragma_update(None, "secure_delete", true)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > schema {
        return Err(Outage::new(format!(
            "{} was written by a newer program (schema {found}, this one reads {schema}); nothing \
             was touched, start the newer program",
            path.display()
        )));
    }
    if found == 0 {
        connection.execute_batch(&format!(
            "BEGIN; {create} PRAGMA user_version = {schema}; COMMIT;"
        ))?;
    }
    Ok(connection)
}

fn row_of(row: &rusqlite::Row<'_>) -> Result<Row, rusqlite::Error> {
    let signatures: Vec<u8> = row.get(4)?;
    Ok(Row {
        position: row.get(0)?,
        blog: row.get(1)?,
        id: row.get(2)?,
        text: row.get(3)?,
        packets: unpack(&signatures),
    })
}

fn pack(sealed: &SealedEntry) -> Vec<u8> {
    let mut packed = Vec::new();
    for signature in sealed.signatures() {
        let packet = signature.packet();
        let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        packed.extend_from_slice(&length.to_be_bytes());
        packed.extend_from_slice(packet);
    }
    packed
}

/// Splits packets; what is cut off short gives fewer, which the entry's own check notices.
fn unpack(mut packed: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while let Some((length, rest)) = packed.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (packet, behind) = rest.split_at(length);
        packets.push(packet.to_vec());
        packed = behind;
    }
    packets
}

/// The writer: batch after batch until nobody can ask any more.
fn write_all(mut connection: Connection, queue: &mpsc::Receiver<Job>, newest: &watch::Sender<u64>) {
    // What was erased before this start may still stand in the log.
    let mut erased = true;
    loop {
        let wait = if erased {
            TRUNCATE_AGAIN
        } else {
            Duration::MAX
        };
        let first = match queue.recv_timeout(wait) {
            Ok(first) => first,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                erased = !truncate_log(&connection);
                continue;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        };
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX {
            let Ok(job) = queue.try_recv() else { break };
            batch.push(job);
        }
        // What builds on a write that failed would stand without it, or before it in the feed.
        let (cut_off, batch): (Vec<Job>, Vec<Job>) = batch
            .into_iter()
            .partition(|job| job.strand.failed().is_some());
        for job in cut_off {
            let outage = job.strand.failed().cloned().unwrap_or_else(stopped);
            drop(job.done.send(Err(outage)));
        }
        if batch.is_empty() {
            continue;
        }
        let outcome = commit(&mut connection, &batch);
        let erases = |job: &Job| {
            matches!(
                *job.write,
                Write::Erasing(..) | Write::Remove(_) | Write::Leftover(_)
            )
        };
        erased |= batch.iter().any(erases);
        match outcome {
            Ok(position) => {
                newest.send_if_modified(|newest| {
                    let grown = position > *newest;
                    *newest = position.max(*newest);
                    grown
                });
                // Whoever asked may have gone; what was asked is durable all the same.
                batch
                    .into_iter()
                    .for_each(|job| drop(job.done.send(Ok(()))));
            }
            Err(error) => {
                tracing::error!(%error, "a write failed; nothing of it was acknowledged");
                let outage = Outage::from(error);
                for job in batch {
                    let outage = job.strand.failed.get_or_init(|| outage.clone()).clone();
                    drop(job.done.send(Err(outage)));
                }
            }
        }
    }
}

/// Brings the log into the database and empties it: erased words stand in neither then. False while a
/// reader is in the way: others must not wait for him.
pub(crate) fn truncate_log(connection: &Connection) -> bool {
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy = connection
        .busy_timeout(Duration::ZERO)
        .and_then(|()| connection.query_row(sql, [], |row| row.get::<_, i64>(0)));
    let patient = connection.busy_timeout(BUSY_WAIT);
    patient.is_ok() && busy.is_ok_and(|busy| busy == 0)
}

fn commit(connection: &mut Connection, batch: &[Job]) -> Result<u64, rusqlite::Error> {
    let transaction = connection.transaction()?;
    for job in batch {
        apply(&transaction, &job.write)?;
    }
    let newest = newest(&transaction)?;
    transaction.commit()?;
    Ok(newest)
}

fn apply(c: &Connection, write: &Write) -> Result<(), rusqlite::Error> {
    match write {
        Write::Entries(entries) => {
            for sealed in entries {
                insert(c, sealed)?;
            }
        }
        Write::Erasing(entries, ids) => {
            for sealed in entries {
                insert(c, sealed)?;
            }
            let sql = "UPDATE entry SET signatures = x'', \
                       text = substr(text, 1, instr(text, char(10, 10)) - 1) \
                       WHERE id = ?1 AND instr(text, char(10, 10)) > 0";
            for id in ids {
                sketch::forget(c, *id)?;
                c.prepare_cached(sql)?.execute([id.to_string()])?;
            }
        }
        Write::Mend(sealed) => {
            let newest = newest(c)?;
            insert(c, sealed)?;
            sketch::forget(c, sealed.entry().id())?;
            put_behind(c, sealed, newest)?;
        }
        Write::Remove(id) => {
            sketch::forget(c, *id)?;
            c.execute("DELETE FROM entry WHERE id = ?1", [id.to_string()])?;
        }
        Write::Seal(blog, epoch, text) => {
            let sql = "INSERT OR IGNORE INTO seal (blog, epoch, text) VALUES (?1, ?2, ?3)";
            c.prepare_cached(sql)?
                .execute(params![blog.to_string(), epoch, text])?;
        }
        Write::Apart(apart) => offer::apply(c, apart)?,
        Write::Leftover(left) => leftover::apply(c, left)?,
        Write::Stage(sealed, since) => {
            let entry = sealed.entry();
            let sql = "INSERT OR IGNORE INTO staged (id, blog, text, signatures, since) \
                       VALUES (?1, ?2, ?3, ?4, ?5)";
            let (id, blog) = (entry.id().to_string(), entry.blog().to_string());
            let row = params![id, blog, entry.text(), pack(sealed), since];
            c.prepare_cached(sql)?.execute(row)?;
        }
        Write::Unstage(id) => {
            c.execute("DELETE FROM staged WHERE id = ?1", [id.to_string()])?;
        }
        Write::UnstageBefore(time) => {
            c.execute("DELETE FROM staged WHERE since < ?1", [time])?;
        }
        Write::Sketch(blog, position, bytes) => sketch::keep(c, *blog, *position, bytes)?,
        Write::Records(records) => keep_records(c, records)?,
        Write::RecordsFrom(place, records) => {
            c.execute("DELETE FROM record WHERE place >= ?1", [place])?;
            keep_records(c, records)?;
        }
    }
    Ok(())
}

fn keep_records(c: &Connection, records: &[(u64, String)]) -> Result<(), rusqlite::Error> {
    let sql = "INSERT OR IGNORE INTO record (place, json) VALUES (?1, ?2)";
    for (place, json) in records {
        c.prepare_cached(sql)?.execute(params![place, json])?;
    }
    Ok(())
}

fn insert(c: &Connection, sealed: &SealedEntry) -> Result<(), rusqlite::Error> {
    let sql = "INSERT INTO entry (id, blog, sequence, text, signatures) \
               VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET blog = excluded.blog, \
               sequence = excluded.sequence, text = excluded.text, signatures = excluded.signatures";
    // A row that is there was altered, or nobody would bring its entry: it is mended in its place.
    let entry = sealed.entry();
    let id = entry.id().to_string();
    let was_here = c
        .prepare_cached("SELECT 1 FROM entry WHERE id = ?1")?
        .exists([&id])?;
    c.prepare_cached(sql)?.execute(params![
        id,
        entry.blog().to_string(),
        entry.skeleton().sequence,
        entry.text(),
        pack(sealed)
    ])?;
    // Its parent may have come back behind it.
    if let Some(previous) = entry.skeleton().previous.filter(|_| was_here) {
        let sql = "UPDATE entry SET position = (SELECT max(position) + 1 FROM entry) \
                   WHERE id = ?1 AND position < (SELECT position FROM entry WHERE id = ?2)";
        c.prepare_cached(sql)?.execute([id, previous.to_string()])?;
    }
    Ok(())
}

/// Where the feed ends.
fn newest(c: &Connection) -> Result<u64, rusqlite::Error> {
    let sql = "SELECT coalesce(max(position), 0) FROM entry";
    c.query_row(sql, [], |row| row.get(0))
}

/// An entry whose row was removed comes back at the end of the feed. Those that may follow it go behind
/// it, so that whoever reads the feed gets parents first.
fn put_behind(c: &Connection, sealed: &SealedEntry, end: u64) -> Result<(), rusqlite::Error> {
    let (blog, id) = (
        sealed.entry().blog().to_string(),
        sealed.entry().id().to_string(),
    );
    let sql = "SELECT e.position FROM entry AS e JOIN entry AS mended ON mended.id = ?2 \
               WHERE e.blog = ?1 AND mended.position > ?3 AND e.position < mended.position \
               AND e.sequence > mended.sequence ORDER BY e.sequence, e.position";
    let behind: Vec<u64> = c
        .prepare_cached(sql)?
        .query_map(params![blog, id, end], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for position in behind {
        let sql = "UPDATE entry SET position = (SELECT max(position) + 1 FROM entry) \
                   WHERE position = ?1";
        c.prepare_cached(sql)?.execute([position])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of so many bytes of text, put there by hand.
    fn store_with(rows: usize, bytes: usize) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spoke.db");
        let store = Store::open(&path).unwrap();
        let connection = connect(&path, SCHEMA, CREATE).unwrap();
        let text = "x".repeat(bytes);
        let blog = Hash::of(b"blog").to_string();
        for number in 0..rows {
            let sql = "INSERT INTO entry (id, blog, sequence, text, signatures) \
                       VALUES (?1, ?2, ?1, ?3, x'')";
            connection
                .execute(sql, params![number, blog, text])
                .unwrap();
        }
        (dir, store)
    }

    #[test]
    fn a_page_of_long_chapters_ends_before_its_reader_gives_up() {
        let (_dir, store) = store_with(11, 1024 * 1024);
        let blog = Hash::of(b"blog");
        let (first, read_to, more) = store.of_blog(blog, 0, 500).unwrap();
        assert_eq!((first.len(), more), (8, true));
        let (rest, _, more) = store.of_blog(blog, read_to, 500).unwrap();
        assert_eq!((rest.len(), more), (3, false));
        let (first, read_to, more) = store.after(0, 500, |_| true).unwrap();
        assert_eq!((first.len(), more), (8, true));
        let (rest, _, more) = store.after(read_to, 500, |_| true).unwrap();
        assert_eq!((rest.len(), more), (3, false));
    }

    /// Pages of a disk that has room for the tables and a little more.
    const PAGES: u32 = 40;

    fn records(place: u64, bytes: usize) -> Write {
        Write::Records(vec![(place, "x".repeat(bytes))])
    }

    #[test]
    fn what_builds_on_a_write_that_failed_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spoke.db");
        let connection = connect(&path, SCHEMA, CREATE).unwrap();
        connection
            .pragma_update(None, "max_page_count", PAGES)
            .unwrap();
        let (jobs, queue) = mpsc::sync_channel(QUEUE_MAX);
        let (tell, _told) = watch::channel(0);
        let writer = thread::spawn(move || write_all(connection, &queue, &tell));
        // Each waits for its answer, so that none fails with the batch of another.
        let kept = |strand: &Strand, write: Write| {
            let (done, answer) = oneshot::channel();
            let strand = strand.clone();
            let job = Job {
                strand,
                write: Box::new(write),
                done,
            };
            jobs.send(job).unwrap();
            answer.blocking_recv().unwrap()
        };
        let (broken, other) = (Strand::default(), Strand::default());
        assert!(kept(&broken, records(1, 10)).is_ok());
        assert!(kept(&broken, records(2, 1_000_000)).unwrap_err().is_full());
        assert!(kept(&broken, records(3, 10)).unwrap_err().is_full());
        assert!(kept(&other, records(4, 10)).is_ok());
        drop(jobs);
        writer.join().unwrap();
        let store = Store::open(&path).unwrap();
        assert_eq!(store.records().unwrap().len(), 2);
    }
}
