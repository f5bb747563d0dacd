//! A council that was founded anew: its log is another one than what this spoke has folded. It is read again from
//! its beginning and judged again; as long as not all of it is here, the old one counts, and blogs are read on.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError},
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
            let asked = Asked::parse(record.request.signed.text.as_bytes());
            if asked.is_ok_and(|ask| matches!(ask.what, Wish::Recover { .. })) {
                self.recovered.push(record.index);
            }
            self.rows
                .push(serde_json::to_string(wire).map_err(|e| e.to_string())?);
        }
        Ok(())
    }
}

impl Spoke {
    /// Whether a council's answer shows another log than what is here, whatever it has behind it.
    pub(super) fn is_another_log(&self, after: u64, log: &LogWire) -> bool {
        let ours = self.ask(|registry| registry.head().hash.to_string());
        let Some(ours) = ours.filter(|_| log.confirmed) else {
            return false;
        };
        let first = log.records.first().filter(|record| record.index == after);
        log.records_in_all < after
            || first.is_some_and(|record| record.previous != ours)
            || log.records_in_all == after && log.head.as_ref().is_some_and(|head| *head != ours)
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
        if anew.recovered.iter().all(|index| *index < common as u64) {
            tracing::error!(
                %node, common, here, there,
                "a council node shows a log that parts from this spoke's, and no organizer has founded the council \
                 anew; it is not followed. Names and blogs here stay as they were. Ask the organizers"
            );
            return Err(Outage::new("the council's log is not the one that it was"));
        }
        tracing::error!(
            common,
            here,
            there,
            "the council was founded anew, without some of the records that this spoke had. Its log counts from now \
             on. Blogs whose names are not in it any more stay on this disk; what this spoke brought is brought again"
        );
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
