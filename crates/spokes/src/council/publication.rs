//! The zone as this node publishes it: version after version, as the council has agreed on them.
//!
//! What records touch waits for the next version. Whoever leads proposes one as soon as something has changed, one after
//! the other ([`super::press`]); its place in the log says which records it covers. So a version is the same on every
//! node. Who was given a name hears so when it is out.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension as _};
use spokes_rules::{
    dnssec::Signs,
    registry::{Registry, Touched},
    zone::{self, Owned, Stale, Version},
};
use tokio::{sync::watch, time::timeout};

use super::sheaf::Sheaf;
use crate::{
    dns::{
        edition::Editions,
        filling::{Names, Seals, fill},
        seals,
        signing::{Draft, Written},
        zone::Zone,
    },
    outage::Outage,
};

/// How long an answer waits for the version that shows what it tells of: longer than a version takes around the world.
const SHOWN_WAIT: Duration = Duration::from_millis(500);

pub(super) const CREATE: &str = "
CREATE TABLE IF NOT EXISTS published (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    serial  INTEGER NOT NULL,
    minute  INTEGER NOT NULL,
    records INTEGER NOT NULL                -- that it covers
) STRICT;
CREATE TABLE IF NOT EXISTS skipped (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    times   INTEGER NOT NULL                -- that the council was founded anew since that version
) STRICT;
";

/// Names that are looked at at once for signatures that wear out: of 3,000,000 each in ten minutes.
const WALKED: usize = 5_000;
/// Names that one version signs again: with four signatures each, some 350 KB of the log.
pub(super) const RENEWED_MAX: usize = 1_000;

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
        let noted = index.execute(sql, (version.serial, version.minute, records));
        let begun = noted.and_then(|_| index.execute("DELETE FROM skipped", []));
        begun.map(drop).map_err(std::io::Error::other)
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
    /// How often the council was founded anew since then.
    skips: u32,
    /// What was touched since the last version.
    stale: Stale,
    /// What was touched since this node looked whether anything has changed by it.
    fresh: Stale,
    /// With the next version all that there is is shown.
    reveals: bool,
    /// Whether the next version is signed: the last one had keys.
    is_signed: bool,
    /// The zone of the last version while it is hidden, if it is signed: the next one is made of it.
    behind: Option<Zone>,
    /// Up to which name this node has looked for signatures that wear out, and how many it has found on this round.
    walked: Option<Box<[u8]>>,
    found: u64,
    /// How many it found on the last one.
    unsigned: Option<u64>,
}

impl State {
    /// The version behind the last one.
    fn next(&self, registry: &Registry, minute: i64) -> Published {
        let version = match self.last {
            Some(last) => {
                let mut version = last.version;
                for _ in 0..self.skips {
                    version = version.skip();
                }
                version.next(minute)
            }
            None => Version::first(registry, minute),
        };
        let records = registry.head().records;
        Published { version, records }
    }
}

impl Publication {
    /// Begins with nothing.
    ///
    /// # Errors
    /// None: an empty zone can always be made.
    pub(super) fn new(dir: PathBuf, hidden: bool) -> Result<Self, Outage> {
        Ok(Self {
            editions: Editions::new(NOBODY)?,
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
        let was_hidden = self.hidden.swap(true, Ordering::AcqRel);
        state.reveals = false;
        let nothing = Zone::new(NOBODY)?;
        let shown = self.editions.replace(nothing, None);
        if state.is_signed && !was_hidden {
            state.behind = Some(shown);
        }
        Ok(())
    }

    /// Shows all with the next version, or now: where nothing has come behind the last one, and where that is signed,
    /// since a council that was founded anew may have no key that signs a next one. Whether it is shown now.
    ///
    /// # Errors
    /// When a name cannot be published, or the index fails.
    pub(super) fn reveal(&self, registry: &Registry, index: &Connection) -> Result<bool, Outage> {
        let mut state = self.state();
        state.reveals = true;
        let is_ready = state.stale.is_empty() || state.behind.is_some();
        match state.last.filter(|_| is_ready) {
            Some(last) => self.begin(&mut state, registry, last, index).map(|()| true),
            None => Ok(false),
        }
    }

    /// Begins at a start: with the registry as of the last version.
    ///
    /// # Errors
    /// When a name cannot be published, or the index fails.
    pub(super) fn resume(
        &self,
        registry: &Registry,
        last: Published,
        index: &Connection,
    ) -> Result<(), Outage> {
        let mut state = self.state();
        state.last = Some(last);
        let skips = index.query_row("SELECT times FROM skipped", [], |row| row.get(0));
        state.skips = skips.optional()?.unwrap_or(0);
        state.is_signed = registry.zone_keys().signed.is_some();
        if !self.is_hidden() {
            return self.begin(&mut state, registry, last, index);
        }
        if state.is_signed {
            state.behind = Some(whole(registry, last.version, index)?);
        }
        Ok(())
    }

    /// Answers with the whole zone.
    fn begin(
        &self,
        state: &mut State,
        registry: &Registry,
        published: Published,
        index: &Connection,
    ) -> Result<(), Outage> {
        let zone = match state.behind.take() {
            Some(zone) => zone,
            None => whole(registry, published.version, index)?,
        };
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

    /// The council was founded anew on what this node holds: what others published behind it is not known here, so the
    /// next version gets a much higher number. The last one keeps its own, which is what was signed.
    ///
    /// # Errors
    /// When the index fails.
    pub(super) fn skip(&self, index: &Connection) -> std::io::Result<()> {
        let mut state = self.state();
        if state.last.is_none() {
            return Ok(());
        }
        state.skips += 1;
        let sql = "INSERT INTO skipped (one, times) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET times = ?1";
        let noted = index.execute(sql, [state.skips]);
        noted.map(drop).map_err(std::io::Error::other)
    }

    /// The council has agreed on another version, with the slate of this minute: answers with it from now on. Where the
    /// zone is signed, one without its signatures is none, and neither is one that was signed for another state: another
    /// request came before it, or another leader. Every node sees that alike, and whoever leads makes it anew.
    ///
    /// # Errors
    /// When the index fails, or a name cannot be published.
    pub(super) fn publish(
        &self,
        registry: &Registry,
        minute: i64,
        sheaf: Option<&Sheaf>,
        index: &Connection,
    ) -> std::io::Result<()> {
        let mut state = self.state();
        let published = state.next(registry, minute);
        let version = published.version;
        if state.is_signed {
            let fits = |sheaf: &&Sheaf| {
                let terms = &sheaf.terms;
                let made_of = (terms.serial, terms.records, terms.minute);
                made_of == (version.serial, published.records, minute)
            };
            let Some(sheaf) = sheaf.filter(fits) else {
                tracing::debug!(
                    serial = version.serial,
                    "a version was signed for another state"
                );
                return Ok(());
            };
            let names = state.stale.names(registry, version);
            let Some(written) = self.written(&state, registry, names, sheaf) else {
                return Ok(());
            };
            seals::keep(index, &written).map_err(std::io::Error::other)?;
            self.put(&mut state, version, written);
        } else if !self.is_hidden() && state.last.is_some() && !state.reveals {
            let names = state.stale.names(registry, version);
            self.editions.publish(version.serial, names);
        }
        published.note(index)?;
        state.skips = 0;
        let is_first = state.last.replace(published).is_none();
        (state.stale, state.fresh) = <(Stale, Stale)>::default();
        if is_first && !self.is_hidden() || state.reveals {
            let begun = self.begin(&mut state, registry, published, index);
            begun.map_err(|outage| std::io::Error::other(outage.to_string()))?;
        }
        if registry.zone_keys().signed.is_some() && !state.is_signed {
            let secured = self.secure(&mut state, registry, version, index);
            secured.map_err(|outage| std::io::Error::other(outage.to_string()))?;
        }
        self.covered.send_replace(published.records);
        Ok(())
    }

    /// What names answer with these signatures; none where they do not fit.
    fn written(
        &self,
        state: &State,
        registry: &Registry,
        names: Owned,
        sheaf: &Sheaf,
    ) -> Option<Written> {
        let draft = self.of_zone(state, |zone| zone.draft(names, &sheaf.terms.renewed()));
        let signatures = sheaf.signatures().unwrap_or_default();
        let stamp = sheaf.terms.stamp();
        let nodes = registry
            .zone_keys()
            .signed
            .iter()
            .flat_map(|set| &set.nodes);
        let mut keys = nodes.map(|node| node.key);
        let key = keys.find(|key| key.tag(Signs::Zone) == stamp.tag);
        // Whoever leads may lie, and nobody would notice for weeks.
        if !key.is_some_and(|key| draft.is_signed_by(key, stamp, &signatures)) {
            tracing::error!(
                serial = sheaf.terms.serial,
                "a version of the zone has signatures that are not good; it is left out"
            );
            return None;
        }
        let written = draft.signed(stamp, &signatures);
        let note = |unfit: &_| tracing::error!(%unfit, "a version of the zone is left out");
        written.inspect_err(note).ok()
    }

    /// Asks the zone of the last version, shown or not.
    fn of_zone<T>(&self, state: &State, question: impl FnOnce(&Zone) -> T) -> T {
        if let Some(zone) = &state.behind {
            return question(zone);
        }
        let zone = self.editions.zone();
        let zone = zone.read();
        question(&zone)
    }

    fn put(&self, state: &mut State, version: Version, written: Written) {
        match &mut state.behind {
            Some(zone) => zone.take(written),
            None => self.editions.publish_written(version.serial, written),
        }
    }

    /// From the next version on the zone is signed. Nothing is so far: the leader signs name after name.
    fn secure(
        &self,
        state: &mut State,
        registry: &Registry,
        version: Version,
        index: &Connection,
    ) -> Result<(), Outage> {
        state.is_signed = true;
        if self.is_hidden() {
            state.behind = Some(whole(registry, version, index)?);
        } else {
            self.editions.secure();
        }
        Ok(())
    }

    /// Whether this version is the last one.
    pub(super) fn is_out(&self, version: Published) -> bool {
        self.state().last == Some(version)
    }

    /// Of which minute the last version is.
    pub(super) fn minute(&self) -> Option<i64> {
        self.state().last.map(|last| last.version.minute)
    }

    /// Whether the next version is to be signed.
    pub(super) fn is_signed(&self) -> bool {
        self.state().is_signed
    }

    /// How many names were to be signed when this node looked at all of them last.
    pub(super) fn unsigned(&self) -> Option<u64> {
        self.state().unsigned
    }

    /// The next version, and what is to be signed for it; none as long as there is no version.
    pub(super) fn draft(
        &self,
        registry: &Registry,
        minute: i64,
        renewed: &[Box<[u8]>],
    ) -> Option<(Published, Draft)> {
        let state = self.state();
        state.last?;
        let published = state.next(registry, minute);
        let names = state.stale.names(registry, published.version);
        let draft = self.of_zone(&state, |zone| zone.draft(names, renewed));
        Some((published, draft))
    }

    /// Names that are to be signed again: their signatures are by none of these keys, or do not count from the one time
    /// to the other. Goes on where it stopped the last time.
    pub(super) fn worn(&self, tags: &BTreeSet<u16>, times: (u32, u32)) -> Vec<Box<[u8]>> {
        let mut state = self.state();
        let (worn, walked) = self.of_zone(&state, |zone| {
            let names = zone.names_behind(state.walked.as_deref(), WALKED);
            let is_end = names.len() < WALKED;
            let mut walked = names.last().cloned().filter(|_| !is_end);
            let mut worn = Vec::new();
            for name in names {
                if zone.is_worn(&name, tags, times) {
                    worn.push(name.clone());
                }
                if worn.len() == RENEWED_MAX {
                    walked = Some(name);
                    break;
                }
            }
            (worn, walked)
        });
        state.found += u64::try_from(worn.len()).unwrap_or(u64::MAX);
        if walked.is_none() {
            state.unsigned = Some(std::mem::take(&mut state.found));
        }
        state.walked = walked;
        worn
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
        let mut names = fresh.names(registry, version).into_iter();
        let state = self.state();
        self.of_zone(&state, |zone| {
            names.any(|(owner, node)| zone.would_change(&owner, &node))
        })
    }
}

/// The whole zone of the version up to which this registry goes, with the signatures that are kept.
fn whole(registry: &Registry, version: Version, index: &Connection) -> Result<Zone, Outage> {
    let domain = registry.founding().domain.as_str();
    let is_signed = registry.zone_keys().signed.is_some();
    let names = |zone: &mut Names<'_>| {
        let mut names = zone::project(registry, version);
        names.try_for_each(|(owner, node)| zone.set(&owner, &node).map_err(Outage::from))
    };
    let seals = |zone: &mut Seals<'_>| -> Result<(), Outage> {
        if is_signed {
            seals::read(index, zone)?;
        }
        Ok(())
    };
    let mut zone = fill(domain, names, seals)?;
    if is_signed {
        zone.secure();
    }
    Ok(zone)
}

/// Whether a request's text may ask for a name. Who looks for one before it is there does not find it for a while.
pub(super) fn is_claim(text: &str) -> bool {
    text.contains("\nKind: claim\n")
}

/// The apex of a node that does not know, or does not say yet, whose it is.
const NOBODY: &str = "invalid";
