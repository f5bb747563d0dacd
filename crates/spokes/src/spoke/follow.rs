//! Following the registry: each record judged again, kept, and told to the replicas that it touches.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use spokes_log::name::BlogId;
use spokes_rules::{
    registry::{Record, Registry, Touched},
    replica::Event,
};

use super::Spoke;
use crate::{
    client::{Ask, Reply},
    clock,
    outage::Outage,
    store::Write,
    wire::{LogWire, RecordWire},
};

/// How long the council may wait before it answers that nothing is new.
const WAIT: Duration = Duration::from_secs(20);
/// How long to wait after a council node was silent: short, since names are asked for here.
const PAUSE: Duration = Duration::from_millis(300);

impl Spoke {
    /// Folds the part of the log that the disk holds.
    pub(super) fn remember(self: &Arc<Self>) -> Result<(), Outage> {
        for json in self.store.records()? {
            let record = serde_json::from_str::<RecordWire>(&json)
                .map_err(|e| e.to_string())
                .and_then(|wire| wire.record());
            let taken = record.and_then(|record| {
                self.fold(&record)?;
                self.followed.send_replace(record.index + 1);
                Ok(())
            });
            if let Err(why) = taken {
                tracing::warn!(
                    why,
                    "the registry's log on disk does not add up; it is read anew"
                );
                break;
            }
        }
        Ok(())
    }

    /// Follows the council's log for ever.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut turn = 0;
        // Folded, but not kept so far: the disk was full, perhaps.
        let mut unkept = Vec::new();
        loop {
            let nodes = &self.config.council;
            let node = nodes[turn % nodes.len()];
            if let Err(outage) = self.follow_once(node, &mut unkept).await {
                tracing::debug!(%node, %outage, "the council was not heard");
                turn += 1;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn follow_once(
        self: &Arc<Self>,
        node: SocketAddr,
        unkept: &mut Vec<(u64, String)>,
    ) -> Result<(), Outage> {
        if !unkept.is_empty() {
            self.store.written(Write::Records(unkept.clone())).await?;
            unkept.clear();
        }
        let after = *self.followed.borrow();
        // After a start nothing is signed until the council was heard: then it is not made to wait.
        let heard = *self.heard.read().unwrap_or_else(PoisonError::into_inner);
        let wait = heard.map_or(Duration::ZERO, |_| WAIT);
        let path = format!("/api/v1/registry/log?after={after}&wait={}", wait.as_secs());
        let log: LogWire = match self.client.get(Ask::new(node, &path).waiting(wait)).await? {
            Reply::Good(log, _) => log,
            Reply::Refused(problem) => return Err(Outage::new(problem.detail)),
        };
        let mut durable = Vec::new();
        for wire in &log.records {
            let record = wire.record().map_err(Outage::new)?;
            let touched = self.fold(&record).map_err(Outage::new)?;
            let json = serde_json::to_string(wire).map_err(|e| Outage::new(e.to_string()))?;
            unkept.push((record.index, json.clone()));
            // Before the entries that come with it: who holds them knows whose they are.
            durable.push(self.store.write(Write::Records(vec![(record.index, json)])));
            self.touched(&record, &touched);
            // Only now: whoever waits for a name must find its first entry, too.
            self.followed.send_replace(record.index + 1);
        }
        for kept in durable {
            kept.await
                .unwrap_or_else(|_| Err(Outage::new("the store has stopped")))?;
        }
        unkept.clear();
        let mut heard = self.heard.write().unwrap_or_else(PoisonError::into_inner);
        *heard = Some(clock::now());
        Ok(())
    }

    fn fold(self: &Arc<Self>, record: &Record) -> Result<Touched, String> {
        let mut registry = self
            .registry
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let touched = match registry.as_mut() {
            Some(registry) => registry.take(record).map_err(|e| e.to_string())?,
            None => {
                let founded = Registry::found(record).map_err(|e| e.to_string())?;
                let ours = founded.network() == self.network
                    && self
                        .council_keys
                        .iter()
                        .all(|key| founded.council_node(*key).is_some());
                if !ours {
                    return Err("this is another network's registry".to_owned());
                }
                *registry = Some(founded);
                Touched::Nothing
            }
        };
        Ok(touched)
    }

    /// Tells the replica of a blog what the registry says of it, and gives it the entries that came
    /// with its claim: so a new blog is on all its replicas as soon as they hear of it.
    fn touched(self: &Arc<Self>, record: &Record, touched: &Touched) {
        *self.heard.write().unwrap_or_else(PoisonError::into_inner) = Some(clock::now());
        let blog = match touched {
            Touched::Blog(blog) => blog,
            Touched::Blogs(blogs) => return blogs.iter().for_each(|blog| self.tell(*blog)),
            Touched::Spokes | Touched::Nothing => return,
        };
        self.tell(*blog);
        for sealed in &record.request.proof {
            let taken = self.with(*blog, |replica| {
                if replica.chain().contains(sealed.entry().id()) || sealed.entry().is_erased() {
                    return;
                }
                let place = replica.chain().place(sealed.entry());
                if let Ok(entry) = place.and_then(|place| place.verify(sealed.clone())) {
                    replica.handle(clock::now(), Event::Pulled(entry));
                }
            });
            if taken.is_none() {
                return;
            }
        }
    }

    /// Tells a replica its set as the registry has it now.
    fn tell(self: &Arc<Self>, blog: BlogId) {
        let Some(Some(record)) = self.ask(|registry| registry.blog(blog).cloned()) else {
            return;
        };
        self.with(blog, |replica| {
            let (set, closing) = (record.set, record.closing);
            let (ended, keys_at) = (record.ended, record.keys_at);
            replica.handle(
                clock::now(),
                Event::Set {
                    set,
                    closing,
                    ended,
                    keys_at,
                },
            );
        });
    }
}
