//! A council that was founded anew: its log is another one than what this spoke has folded. It is read again from
//! its beginning and judged again; as long as not all of it is here, the old one counts, and blogs are read on.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use spokes_log::name::Hash;
use spokes_rules::{
    registry::{Record, Registry},
    request::{Ask as Asked, Wish},
};

use super::Spoke;
use crate::{
    client::{Ask, Reply},
    outage::Outage,
    store::Write,
    wire::{LogWire, RecordWire, RequestWire},
};

/// How often another node than the followed one is asked for the same.
const COMPARE_EVERY: Duration = Duration::from_secs(10);
/// How long a node is asked last whose log parts from all others: reading it whole costs much.
const SHUN: Duration = Duration::from_secs(5 * 60);

/// A log that is read again.
#[derive(Debug, Default)]
struct Anew {
    registry: Option<Registry>,
    rows: Vec<String>,
    /// The records by which the council was founded anew.
    recovered: Vec<u64>,
}

impl Anew {
    fn take(&mut self, network: Hash, wires: &[RecordWire]) -> Result<(), String> {
        for wire in wires {
            let record = wire.record()?;
            match &mut self.registry {
                Some(registry) => drop(registry.take(&record).map_err(|e| e.to_string())?),
                None => {
                    let founded = Registry::found(&record).map_err(|e| e.to_string())?;
                    if founded.network() != network {
                        return Err("this is another network's registry".to_owned());
                    }
                    self.registry = Some(founded);
                }
            }
            if is_founding_anew(&record) {
                self.recovered.push(record.index);
            }
            self.rows
                .push(serde_json::to_string(wire).map_err(|e| e.to_string())?);
        }
        Ok(())
    }
}

fn is_founding_anew(record: &Record) -> bool {
    let asked = Asked::parse(record.request.signed.text.as_bytes());
    asked.is_ok_and(|ask| matches!(ask.what, Wish::Recover { .. }))
}

/// Whether the council was founded anew in one of these records: they are not given up for a log without it.
fn founds_anew(rows: &[String]) -> bool {
    rows.iter().any(|json| {
        let wire = serde_json::from_str::<RecordWire>(json).ok();
        wire.and_then(|wire| wire.record().ok())
            .is_none_or(|record| is_founding_anew(&record))
    })
}

/// Whether an answer for what is behind so many records shows that they end in this hash.
fn goes_on(log: &LogWire, after: u64, hash: &str) -> bool {
    match log.records.first() {
        Some(first) => first.index == after && first.previous == hash,
        None => log.records_in_all == after && log.head.as_deref() == Some(hash),
    }
}

/// Whether a council's answer shows another log than one of so many records that end in this hash, whatever it has
/// behind it. One that says nothing of that place does not.
fn parts(log: &LogWire, after: u64, hash: &str) -> bool {
    let speaks_of_it = match log.records.first() {
        Some(first) => first.index == after,
        None => log.records_in_all == after && log.head.is_some(),
    };
    let is_shorter = log.records_in_all < after;
    log.confirmed && (is_shorter || speaks_of_it) && !goes_on(log, after, hash)
}

impl Spoke {
    /// Whether a council's answer shows another log than what is here.
    pub(super) fn is_another_log(&self, after: u64, log: &LogWire) -> bool {
        let ours = self.ask(|registry| registry.head().hash.to_string());
        ours.is_some_and(|ours| parts(log, after, &ours))
    }

    /// Asks the nodes in turn that are not followed, for ever: one alone that shows this spoke what the others do
    /// not have would go unnoticed.
    pub(super) async fn compare_council(self: Arc<Self>) {
        loop {
            tokio::time::sleep(COMPARE_EVERY).await;
            let head = self.ask(|registry| {
                let head = registry.head();
                (head.records, head.hash.to_string())
            });
            let (Some(node), Some((records, hash))) = (self.another_of_council(), head) else {
                continue;
            };
            let path = format!("/api/v1/registry/log?after={records}&confirm=1");
            let shown = self.client.get::<LogWire>(Ask::new(node, &path)).await;
            if let Ok(Reply::Good(log, _)) = shown
                && parts(&log, records, &hash)
            {
                *self.suspect.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
                self.hurry.notify_one();
            }
        }
    }

    /// Whether most nodes of the council show the log that one of them did.
    async fn most_show(&self, anew: &Anew, first: SocketAddr) -> bool {
        let Some(registry) = &anew.registry else {
            return false;
        };
        let sitting = registry.seats().sitting();
        let nodes: Vec<SocketAddr> = sitting.map(|(node, ..)| node.api.0).collect();
        // Whoever alone is the council may have come back old: its organizers say so by founding it anew.
        if nodes.len() < 2 {
            return false;
        }
        let (records, hash) = (anew.rows.len() as u64, registry.head().hash.to_string());
        let path = format!("/api/v1/registry/log?after={records}&confirm=1");
        let mut show = nodes.iter().filter(|node| **node == first).count();
        for node in nodes.iter().filter(|node| **node != first) {
            let shown = self.client.get::<LogWire>(Ask::new(*node, &path)).await;
            let Ok(Reply::Good(log, _)) = shown else {
                continue;
            };
            show += usize::from(log.confirmed && goes_on(&log, records, &hash));
        }
        show > nodes.len() / 2
    }

    /// Leaves a node's log alone for a while, and says so once.
    fn shun(&self, node: SocketAddr, common: usize, here: usize, there: usize) {
        let mut shunned = self.shunned.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + SHUN;
        let before = shunned.insert(node, (until, common));
        if before.is_none_or(|(_, before)| before != common) {
            tracing::error!(
                %node, common, here, there,
                "a council node shows a log that parts from this spoke's: no organizer has founded the council anew, \
                 and most other nodes do not show it. It is not followed; names and blogs here stay as they were. Ask \
                 the organizers"
            );
        }
    }

    /// Whether a node was left alone just now.
    pub(super) fn is_shunned(&self, node: SocketAddr) -> bool {
        let shunned = self.shunned.lock().unwrap_or_else(PoisonError::into_inner);
        shunned
            .get(&node)
            .is_some_and(|(until, _)| *until > Instant::now())
    }

    /// Reads a council's whole log and takes it for the right one, if an organizer has founded the council anew
    /// since it parted from what is here (SPEC registry 3.16).
    pub(super) async fn read_anew(self: &Arc<Self>, node: SocketAddr) -> Result<(), Outage> {
        let anew = self.read_all(node).await?;
        let old = tokio::task::block_in_place(|| self.store.records())?;
        let pairs = old.iter().zip(&anew.rows);
        let common = pairs.take_while(|(old, new)| old == new).count();
        if common == old.len() {
            // It has grown meanwhile, and is the same.
            return Ok(());
        }
        let (here, there) = (old.len(), anew.rows.len());
        if anew.recovered.iter().any(|index| *index >= common as u64) {
            tracing::error!(
                common,
                here,
                there,
                "the council was founded anew, without some of the records that this spoke had. Its log counts from \
                 now on. Blogs whose names are not in it any more stay on this disk; what this spoke brought is \
                 brought again"
            );
        } else if !founds_anew(&old[common..]) && self.most_show(&anew, node).await {
            tracing::error!(
                common,
                here,
                there,
                "one council node showed records that most of the others do not have: it lies, or lost what it had. \
                 The log of the others counts; what this spoke brought is brought again. Tell the organizers"
            );
        } else {
            self.shun(node, common, here, there);
            return Err(Outage::new("the council's log is not the one that it was"));
        }
        let rows = (common as u64..).zip(anew.rows.iter().skip(common).cloned());
        let rows = Write::RecordsFrom(common as u64, rows.collect());
        self.store.written(rows).await?;
        *self
            .registry
            .write()
            .unwrap_or_else(PoisonError::into_inner) = anew.registry;
        self.followed.send_replace(there as u64);
        self.tell_all(&self.replicas.blogs());
        self.bring_again(old.into_iter().skip(common)).await;
        Ok(())
    }

    async fn read_all(&self, node: SocketAddr) -> Result<Anew, Outage> {
        let mut anew = Anew::default();
        loop {
            let path = format!("/api/v1/registry/log?after={}&confirm=1", anew.rows.len());
            let log = self.client.get::<LogWire>(Ask::new(node, &path)).await?;
            let log = log.good()?;
            tokio::task::block_in_place(|| anew.take(self.network, &log.records))
                .map_err(Outage::new)?;
            if log.records.is_empty() || anew.rows.len() as u64 >= log.records_in_all {
                let whole = log.confirmed && anew.rows.len() as u64 == log.records_in_all;
                return whole
                    .then_some(anew)
                    .ok_or_else(|| Outage::new("the council's log could not be read to its end"));
            }
        }
    }

    /// Brings the requests again that this spoke signed and that are in no log any more: names that it brought.
    async fn bring_again(&self, lost: impl Iterator<Item = String>) {
        let parsed = lost.filter_map(|json| {
            let wire = serde_json::from_str::<RecordWire>(&json).ok()?;
            wire.record().ok()
        });
        let ours: Vec<Record> = parsed
            .filter(|record| record.request.signed.key == self.secret.key())
            .collect();
        for record in ours {
            let wire = RequestWire::from(&record.request);
            match self.send_request(&wire).await {
                Ok(Reply::Good(..)) => {
                    tracing::info!(index = record.index, "a request was taken again");
                }
                Ok(Reply::Refused(problem)) => {
                    let why = problem.detail;
                    tracing::warn!(index = record.index, why, "a request was not taken again");
                }
                Err(outage) => {
                    tracing::warn!(index = record.index, %outage, "a request could not be brought again");
                }
            }
        }
    }
}
