//! A set that was opened by force: its primary reads the copies that nobody had seen, as their spokes come
//! back, and says when it knows all that was safe (SPEC receipt 6.9).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::name::{BlogId, EntryId, Hash};
use spokes_rules::{node::Label, registry::BlogRecord, request::Wish};

use super::{
    Spoke,
    submit::{invalid, sealed},
};
use crate::{
    client::{Ask, Reply},
    clock,
    council::unavailable,
    http::{self as web, Response},
    outage::Outage,
    wire::{EntryWire, LeftWire},
};

/// How often those are asked whose copies are missing: readers are told meanwhile that entries may be
/// missing, and most come back after hours.
const ASK_EVERY: Duration = Duration::from_secs(5);

impl Spoke {
    /// Reads missing copies, for ever.
    pub(super) async fn read_missing(self: Arc<Self>) {
        // By blog and epoch, whose copies were read since the start.
        let mut read: BTreeSet<(BlogId, u64, Label)> = BTreeSet::new();
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            let forced =
                |record: &BlogRecord| record.forced.is_some() && *record.set.primary() == self.me;
            let blogs: Option<Vec<(BlogId, BlogRecord)>> = self.ask(|registry| {
                let blogs = registry.blogs().filter(|(_, record)| forced(record));
                blogs.map(|(blog, record)| (blog, record.clone())).collect()
            });
            for (blog, record) in blogs.unwrap_or_default() {
                let (epoch, Some(forced)) = (record.set.epoch, &record.forced) else {
                    continue;
                };
                for label in &forced.missing {
                    let of = (blog, epoch, label.clone());
                    if !read.contains(&of) && self.read_copy(blog, &record, label).await {
                        read.insert(of);
                    }
                }
                let is_read = |label: &&Label| read.contains(&(blog, epoch, (*label).clone()));
                // Who is read later gives what it has all the same, as offers.
                if forced.missing.iter().filter(is_read).count() as u64 >= forced.enough {
                    self.say_whole(blog, epoch).await;
                }
            }
        }
    }

    /// Reads what one of them has; true when all of it is here, in the log or as offers.
    async fn read_copy(self: &Arc<Self>, blog: BlogId, record: &BlogRecord, label: &Label) -> bool {
        self.ready(blog).await;
        if *label == self.me {
            return self.with(blog, |replica| replica.is_settled()) == Some(true);
        }
        match self.ask_copy(blog, record, label).await {
            Ok(all_here) => all_here,
            Err(outage) => {
                tracing::debug!(%blog, %label, %outage, "a missing copy was not read");
                false
            }
        }
    }

    async fn ask_copy(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        label: &Label,
    ) -> Result<bool, Outage> {
        let known = self.ask(|registry| registry.spoke(label).map(|spoke| spoke.address.0));
        let address = known.flatten();
        let address = address.ok_or_else(|| Outage::new("it is no spoke of this network"))?;
        let path = format!("/api/v1/offers?blog={blog}&epoch={}", record.set.epoch);
        let left: LeftWire = self.client.get(Ask::new(address, &path)).await?.good()?;
        if !left.settled || !left.holds {
            return Ok(false);
        }
        if record.set.has(label) {
            self.catch_up_with(address, blog).await;
        }
        let given = sealed(&left.entries).map_err(Outage::new)?;
        let ids: Vec<EntryId> = given.iter().map(|sealed| sealed.entry().id()).collect();
        let done = self.keep_offers(blog, label, given).await?;
        let kept = self.store.offers(blog)?;
        let is_kept = |id: &EntryId| kept.iter().any(|o| o.sealed.entry().id() == *id);
        Ok(ids.iter().all(|id| done.contains(id) || is_kept(id)))
    }

    async fn say_whole(&self, blog: BlogId, epoch: u64) {
        let wish = Wish::Whole { blog, epoch };
        match self.ask_council(wish, clock::now(), Vec::new()).await {
            Ok(Reply::Good(..)) => {
                tracing::info!(%blog, "enough of the missing copies were read: all that was safe is known")
            }
            Ok(Reply::Refused(problem)) => {
                tracing::warn!(%blog, why = problem.detail, "the registry keeps its mark");
            }
            Err(outage) => tracing::debug!(%blog, %outage, "the registry was not told yet"),
        }
    }

    /// `GET offers?blog=ID&epoch=N` (SPEC http 3.9).
    pub(super) fn left_answer(&self, request: &Request<Incoming>) -> Response {
        let query = web::query(request);
        let blog = query.get("blog").and_then(|id| Hash::parse(id).ok());
        let epoch = query.get("epoch").and_then(|epoch| epoch.parse().ok());
        let (Some(blog), Some(epoch)) = (blog, epoch) else {
            return invalid("the query names no blog and no epoch");
        };
        match self.left_here(blog, epoch) {
            Ok(left) => web::json(StatusCode::OK, &left),
            Err(outage) => unavailable(&outage),
        }
    }

    fn left_here(&self, blog: BlogId, epoch: u64) -> Result<LeftWire, Outage> {
        // Who was no member at the last settling has taken in nothing since.
        let settled = self.store.settled(blog)? >= epoch || !self.store.was_member(blog)?;
        let offers = self.store.offers(blog)?;
        Ok(LeftWire {
            settled,
            holds: self.store.newest_of(blog)? > 0,
            entries: offers.iter().map(|o| EntryWire::from(&o.sealed)).collect(),
        })
    }
}
