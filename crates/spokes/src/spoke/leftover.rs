//! Copies of blogs that other spokes hold by now: each goes when nobody can need it any more (SPEC receipt 9).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
    time::Duration,
};

use spokes_log::{
    name::{BlogId, EntryId, Hash},
    time::Time,
};
use spokes_rules::{
    leftover::{Leftover, Verdict, Why, judge},
    node::Label,
};
use tokio::{task::block_in_place, time::Instant};

use super::{Spoke, media_in};
use crate::{
    client::{Ask, Reply},
    clock,
    outage::Outage,
    store::{Left, Row, Write},
    wire::EntryWire,
};

/// How often such copies are looked for: one short question to the disk.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long one rests that the others did not show to have: to ask, the whole copy is read.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// Entries removed at a time: authors who write meanwhile wait for no more than these.
const PIECE: usize = 50;
/// The pause behind them: readers need the disk, too, and nobody waits for the room.
const PIECE_PAUSE: Duration = Duration::from_millis(200);

impl Spoke {
    /// Removes copies that others hold, for ever.
    pub(super) async fn remove_leftovers(self: Arc<Self>) {
        let mut asked: BTreeMap<BlogId, Instant> = BTreeMap::new();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            asked.retain(|_, at| at.elapsed() < ASK_EVERY);
            let blogs = match self.store.leftovers() {
                Ok(blogs) => blogs,
                Err(outage) => {
                    tracing::error!(%outage, "what was left behind here cannot be read");
                    continue;
                }
            };
            for blog in blogs {
                if !asked.contains_key(&blog)
                    && let Err(outage) = self.look_at_leftover(blog, &mut asked).await
                {
                    tracing::warn!(%blog, %outage, "a copy that others hold stays for now");
                }
            }
        }
    }

    async fn look_at_leftover(
        self: &Arc<Self>,
        blog: BlogId,
        asked: &mut BTreeMap<BlogId, Instant>,
    ) -> Result<(), Outage> {
        let Some(since) = self.store.left_since(blog)? else {
            let since = Left::Since(blog, clock::now());
            return self.store.written(Write::Leftover(since)).await;
        };
        match self.judge_leftover(blog, since, None)? {
            Verdict::Keep(Why::Ours) => {
                return self.store.written(Write::Leftover(Left::Over(blog))).await;
            }
            Verdict::Keep(why) => {
                tracing::trace!(%blog, ?why, "a copy stays that others hold");
                return Ok(());
            }
            Verdict::Ask | Verdict::Go => {}
        }
        asked.insert(blog, Instant::now());
        let shown = self.who_has_all_of_it(blog).await?;
        let verdict = self.judge_leftover(blog, since, Some(&shown))?;
        if verdict != Verdict::Go {
            tracing::info!(%blog, ?verdict, "a copy stays that others should hold");
            return Ok(());
        }
        self.remove_copy(blog, since, &shown).await
    }

    fn judge_leftover(
        &self,
        blog: BlogId,
        since: Time,
        shown: Option<&BTreeSet<Label>>,
    ) -> Result<Verdict, Outage> {
        let leftover = Leftover {
            me: &self.me,
            left: since,
            keep_seconds: self.keep_seconds,
            heard: self.heard(),
            has_settled: !self.store.was_member(blog)? && !self.owes(blog),
            waits: !self.store.offers(blog)?.is_empty() || !self.store.staged(blog)?.is_empty(),
            shown,
        };
        let now = clock::now();
        let verdict = self.ask(|registry| judge(now, registry, blog, &leftover));
        Ok(verdict.unwrap_or(Verdict::Keep(Why::Unknown)))
    }

    /// The members that give every entry here without children: the registry knows what they had once.
    async fn who_has_all_of_it(self: &Arc<Self>, blog: BlogId) -> Result<BTreeSet<Label>, Outage> {
        let chain = block_in_place(|| self.recall(blog))?.chain;
        let tips: Vec<EntryId> = chain.heads().into_iter().map(|(_, id)| id).collect();
        let members = self.ask(|registry| registry.blog(blog).map(|blog| blog.set.members.clone()));
        let mut shown = BTreeSet::new();
        for label in members.flatten().unwrap_or_default() {
            let Some(address) = self.address(&label).filter(|_| !tips.is_empty()) else {
                continue;
            };
            let mut has_all = true;
            for tip in &tips {
                let path = format!("/api/v1/entries/{}", tip.path());
                let given = self.client.get::<EntryWire>(Ask::new(address, &path)).await;
                let given = match given {
                    Ok(Reply::Good(wire, _)) => wire.sealed().ok(),
                    _ => None,
                };
                has_all &= given.is_some_and(|sealed| sealed.entry().id() == *tip);
            }
            if has_all {
                shown.insert(label);
            }
        }
        Ok(shown)
    }

    /// Removes a copy from its end on: whatever stops this, what is left is one that was not read to its end.
    async fn remove_copy(
        self: &Arc<Self>,
        blog: BlogId,
        since: Time,
        shown: &BTreeSet<Label>,
    ) -> Result<(), Outage> {
        let by: Vec<&str> = shown.iter().map(Label::as_str).collect();
        tracing::info!(%blog, by = by.join(" "), "others hold this blog; its copy here goes");
        let mut removed = 0;
        loop {
            let act = || self.remove_piece(blog, since, shown);
            let (many, media) = self.replicas.with_none_in_memory(blog, act)?;
            if many == 0 {
                break;
            }
            removed += many;
            self.remove_media(media).await;
            tokio::time::sleep(PIECE_PAUSE).await;
        }
        self.latest.touch(blog);
        tracing::info!(%blog, entries = removed, "entries and media of a blog that others hold were removed");
        Ok(())
    }

    /// Removes the newest entries of a copy, if it may still go; how many, and the media that they list.
    fn remove_piece(
        &self,
        blog: BlogId,
        since: Time,
        shown: &BTreeSet<Label>,
    ) -> Result<(usize, Vec<Hash>), Outage> {
        if self.judge_leftover(blog, since, Some(shown))? != Verdict::Go {
            return Ok((0, Vec::new()));
        }
        // A copy that comes here again is compared like any other.
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        settled.remove(&blog);
        drop(settled);
        let rows = self.store.newest_rows(blog, PIECE)?;
        let ids = rows.iter().filter_map(|row| Hash::parse(&row.id).ok());
        let ids: Vec<EntryId> = ids.collect();
        let sealed = rows.iter().filter_map(Row::sealed);
        let media = sealed.flat_map(|sealed| media_in(&sealed));
        let media = media.map(|(_, medium)| medium.hash).collect();
        let many = ids.len();
        let write = match many {
            0 => Left::Over(blog),
            _ => Left::Remove(ids),
        };
        let queued = self.store.write(Write::Leftover(write));
        queued
            .blocking_recv()
            .unwrap_or_else(|_| Err(Outage::new("the store has stopped")))?;
        Ok((many, media))
    }
}
