//! The zone as this node publishes it: version after version, as the council has agreed on them.
//!
//! What records touch waits for the next version. Whoever leads proposes one as soon as something has changed, one after
//! the other; its place in the log says which records it covers. So a version is the same on every node. Who was given a
//! name hears so when it is out.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension as _};
use spokes_rules::{
    registry::{Registry, Touched},
    zone::{self, Stale, Version},
};
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    book::Book,
    order::has_room,
    raft::{Batch, NodeId, Raft},
};
use crate::{
    clock,
    dns::{edition::Editions, zone::Zone},
    outage::Outage,
};

/// How often the leader looks whether the slate is another one. What changes nothing that is shown goes into a version
/// then, too: a node shows nothing, and keeps nothing, but as of a version.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The shortest time between two versions. It only gathers what many change at once: somebody waits for each of them.
pub(super) const PUBLISH_EVERY: Duration = Duration::from_millis(5);
/// How long an answer waits for the version that shows what it tells of: longer than a version takes around the world.
const SHOWN_WAIT: Duration = Duration::from_millis(500);

pub(super) const CREATE: &str = "
CREATE TABLE IF NOT EXISTS published (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    serial  INTEGER NOT NULL,
    minute  INTEGER NOT NULL,
    records INTEGER NOT NULL                -- that it covers
) STRICT;
";

/// A version of the zone, and how many records it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) version: Version,
    pub(super) records: u64,
}

impl Published {
    /// The last version, as an index has it.
    ///
    /// # Errors
    /// When the index fails.
    pub(super) fn read(index: &Connection) -> Result<Option<Self>, Outage> {
        let sql = "SELECT serial, minute, records FROM published";
        let read = index.query_row(sql, [], |row| {
            let (serial, minute) = (row.get(0)?, row.get(1)?);
            let version = Version { serial, minute };
            let records = row.get(2)?;
            Ok(Self { version, records })
        });
        Ok(read.optional()?)
    }

    fn note(&self, index: &Connection) -> std::io::Result<()> {
        let Self { version, records } = self;
        let sql = "INSERT INTO published (one, serial, minute, records) VALUES (1, ?1, ?2, ?3) \
                   ON CONFLICT (one) DO UPDATE SET serial = ?1, minute = ?2, records = ?3";
        index
            .execute(sql, (version.serial, version.minute, records))
            .map_err(std::io::Error::other)?;
        Ok(())
    }
}

/// What this node publishes.
#[derive(Debug)]
pub(super) struct Publication {
    editions: Editions,
    /// Where it is kept what led from one version to the next.
    dir: PathBuf,
    /// As long as not all is here, names that are given would seem to be free.
    hidden: AtomicBool,
    state: Mutex<State>,
    /// Counts what was touched.
    touched: watch::Sender<u64>,
    /// How many records the last version covers.
    covered: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Published>,
    /// What was touched since the last version.
    stale: Stale,
    /// What was touched since this node looked whether anything has changed by it.
    fresh: Stale,
    /// With the next version all that there is is shown.
    reveals: bool,
}

impl Publication {
    /// Begins with nothing.
    ///
    /// # Errors
    /// None: an empty zone can always be made.
    pub(super) fn new(dir: PathBuf, hidden: bool) -> Result<Self, Outage> {
        Ok(Self {
            editions: Editions::new(NOBODY).map_err(outage)?,
            dir,
            hidden: AtomicBool::new(hidden),
            state: Mutex::default(),
            touched: watch::channel(0).0,
            covered: watch::channel(0).0,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The versions.
    pub(super) fn editions(&self) -> &Editions {
        &self.editions
    }

    /// Whether nothing waits for the next version.
    pub(super) fn is_settled(&self) -> bool {
        self.state().stale.is_empty()
    }

    /// Waits, but not for long, until a version is out that covers this record.
    pub(super) async fn covers(&self, record: u64) {
        let mut covered = self.covered.subscribe();
        let out = covered.wait_for(|records| *records > record);
        drop(timeout(SHOWN_WAIT, out).await);
    }

    /// Tells when something was touched.
    pub(super) fn touched(&self) -> watch::Receiver<u64> {
        self.touched.subscribe()
    }

    /// Whether DNS answers nothing so far.
    pub(super) fn is_hidden(&self) -> bool {
        self.hidden.load(Ordering::Acquire)
    }

    /// Answers nothing in DNS until [`Self::reveal`].
    ///
    /// # Errors
    /// None: an empty zone can always be made.
    pub(super) fn hide(&self) -> Result<(), Outage> {
        let mut state = self.state();
        self.hidden.store(true, Ordering::Release);
        state.reveals = false;
        self.editions
            .replace(Zone::new(NOBODY).map_err(outage)?, None);
        Ok(())
    }

    /// Shows all with the next version, or now where nothing has come behind the last one.
    ///
    /// # Errors
    /// When a name cannot be published.
    pub(super) fn reveal(&self, registry: &Registry) -> Result<(), Outage> {
        let mut state = self.state();
        state.reveals = true;
        match state.last {
            Some(last) if state.stale.is_empty() => self.begin(&mut state, registry, last),
            _ => Ok(()),
        }
    }

    /// Begins at a start: with the registry as of the last version.
    ///
    /// # Errors
    /// When a name cannot be published.
    pub(super) fn resume(&self, registry: &Registry, last: Published) -> Result<(), Outage> {
        let mut state = self.state();
        state.last = Some(last);
        if self.is_hidden() {
            return Ok(());
        }
        self.begin(&mut state, registry, last)
    }

    /// Makes the whole zone, and answers with it.
    fn begin(
        &self,
        state: &mut State,
        registry: &Registry,
        published: Published,
    ) -> Result<(), Outage> {
        let domain = registry.founding().domain.as_str();
        let mut zone = Zone::new(domain).map_err(outage)?;
        for (owner, node) in zone::project(registry, published.version) {
            zone.set(&owner, node).map_err(outage)?;
        }
        let history = (self.dir.clone(), published.version.serial);
        self.editions.replace(zone, Some(history));
        state.reveals = false;
        self.hidden.store(false, Ordering::Release);
        Ok(())
    }

    /// Notes what a record has touched.
    pub(super) fn note(&self, touched: &Touched) {
        let mut state = self.state();
        state.stale.note(touched);
        state.fresh.note(touched);
        let news = !state.fresh.is_empty();
        drop(state);
        if news {
            self.touched.send_modify(|count| *count += 1);
        }
    }

    /// The council was founded anew on what this node holds: what others published behind it is not known here.
    ///
    /// # Errors
    /// When the index fails.
    pub(super) fn skip(&self, index: &Connection) -> std::io::Result<()> {
        let mut state = self.state();
        let Some(last) = &mut state.last else {
            return Ok(());
        };
        last.version = last.version.skip();
        last.note(index)
    }

    /// The council has agreed on another version, with the slate of this minute: answers with it from now on.
    ///
    /// # Errors
    /// When the index fails, or a name cannot be published.
    pub(super) fn publish(
        &self,
        registry: &Registry,
        minute: i64,
        index: &Connection,
    ) -> std::io::Result<()> {
        let mut state = self.state();
        let version = match state.last {
            Some(last) => last.version.next(minute),
            None => Version::first(registry, minute),
        };
        let records = registry.head().records;
        let published = Published { version, records };
        published.note(index)?;
        let is_first = state.last.replace(published).is_none();
        let stale = std::mem::take(&mut state.stale);
        state.fresh = Stale::default();
        let is_hidden = self.is_hidden();
        if is_first && !is_hidden || state.reveals {
            let begun = self.begin(&mut state, registry, published);
            begun.map_err(|outage| std::io::Error::other(outage.to_string()))?;
        } else if !is_hidden {
            let names = stale.names(registry, version);
            self.editions.publish(version.serial, names);
        }
        self.covered.send_replace(records);
        Ok(())
    }

    /// Whether a version of this minute would be another one than the last. What is asked for is looked at once.
    pub(super) fn is_due(&self, registry: &Registry, minute: i64) -> bool {
        let (fresh, last) = {
            let mut state = self.state();
            (std::mem::take(&mut state.fresh), state.last)
        };
        let Some(last) = last else { return true };
        let version = Version {
            minute,
            ..last.version
        };
        let zone = self.editions.zone();
        let zone = zone.read().unwrap_or_else(PoisonError::into_inner);
        let mut names = fresh.names(registry, version).into_iter();
        names.any(|(owner, node)| zone.would_change(&owner, &node))
    }
}

/// Whether a request's text may ask for a name. Who looks for one before it is there does not find it for a while.
pub(super) fn is_claim(text: &str) -> bool {
    text.contains("\nKind: claim\n")
}

/// Proposes versions, as long as this node leads.
pub(super) async fn propose(raft: Raft, me: NodeId, book: Arc<Book>, dir: PathBuf) {
    let mut touched = book.publication().touched();
    let mut is_owed = false;
    loop {
        // Nobody sends what changes with the minute. That the sender is gone says that the node ends.
        let is_quiet = match timeout(LOOK_EVERY, touched.changed()).await {
            Ok(Err(_)) => return,
            Ok(Ok(())) => false,
            Err(_) => !book.publication().is_settled(),
        };
        if raft.metrics().borrow().current_leader != Some(me) {
            continue;
        }
        let minute = zone::minute(clock::now());
        let looked = Arc::clone(&book);
        let look = move || looked.ask(|registry| looked.publication().is_due(registry, minute));
        is_owed |= spawn_blocking(look).await.ok().flatten() == Some(true) || is_quiet;
        if !is_owed || has_room(&dir, 0).is_err() {
            continue;
        }
        let batch = Batch {
            time: clock::now().to_string(),
            requests: Vec::new(),
            publish: Some(minute),
        };
        // Whoever leads next looks for himself.
        is_owed = raft.client_write(batch).await.is_err();
        sleep(PUBLISH_EVERY).await;
    }
}

/// The apex of a node that does not know, or does not say yet, whose it is.
const NOBODY: &str = "invalid";

fn outage(error: impl std::fmt::Display) -> Outage {
    Outage::new(error.to_string())
}
