//! Reading one spoke's news into the archive, as secondaries do (SPEC feed).

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use spokes_log::{
    name::{BlogId, EntryId, Fingerprint, Hash},
    seal::SealedEntry,
};
use spokes_rules::{node::Label, receipt::Tip};
use tokio::task::block_in_place;

use super::{Kept, Spoke, copies::Copy};
use crate::{
    client::Ask,
    outage::Outage,
    spoke::pull::{Holder, PAGE, by_blog, does_not_fit, judge, without_erase},
    store::Write,
    wire::{FeedWire, HeadsWire, TipWire},
};

/// Blogs about which a spoke is asked at once: their ids fit an address line.
const ASKED_AT_ONCE: usize = 50;

/// From whom entries come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum From {
    /// What it has is the blog's log.
    Primary,
    /// It has what the primary may hide, and may have what members must not take: nothing by ended keys is taken from
    /// it (SPEC entry 8).
    Member,
}

/// How far a spoke was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Where in its feed to go on; none where its heads are to be compared first.
    pub(super) cursor: Option<String>,
    /// Blogs that are to be read apart from the feed, and so far could not.
    pub(super) pending: BTreeSet<BlogId>,
    /// Whether all its heads were compared.
    pub(super) has_compared: bool,
}

impl Spoke {
    /// Reads what a spoke has of the blogs whose primary it is.
    pub(super) async fn read_news(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        label: &Label,
        address: SocketAddr,
        read: &mut Read,
    ) -> Result<(), Outage> {
        let Some(mut after) = read.cursor.clone() else {
            // First the end of the feed, then the heads: what comes between is read twice, not never.
            let end = self
                .feed(address, "/api/v1/feed?limit=0", Duration::ZERO)
                .await?;
            let end = end.ok_or_else(|| began_anew(address))?;
            // Of all blogs that it has: what a primary hides from archives its secondaries have.
            let path = format!("/api/v1/heads?replica={label}");
            let heads = self.client.get(Ask::new(address, &path)).await?.good()?;
            self.compare_archive(kept, label, address, &heads, read)
                .await?;
            (read.cursor, read.has_compared) = (Some(end.cursor), true);
            return Ok(());
        };
        self.read_pending(kept, label, address, read).await?;
        loop {
            // As the index does: whoever ends meanwhile ends here.
            tokio::task::yield_now().await;
            let path = format!("/api/v1/feed?after={after}&limit={PAGE}&primary={label}");
            let Some(page) = self.feed(address, &path, Duration::ZERO).await? else {
                read.cursor = None;
                return Err(began_anew(address));
            };
            self.archive_page(kept, label, address, &page, read).await?;
            if page.more && (page.entries.is_empty() || page.cursor == after) {
                return Err(Outage::new(format!("{address} leads in circles")));
            }
            after.clone_from(&page.cursor);
            read.cursor = Some(page.cursor);
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Reads blogs of which the feed may not tell: they had another primary until now, or could not be read.
    async fn read_pending(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        label: &Label,
        address: SocketAddr,
        read: &mut Read,
    ) -> Result<(), Outage> {
        // Of one that has moved on its new primary is asked.
        read.pending.retain(|blog| self.is_primary(label, *blog));
        let pending: Vec<BlogId> = read.pending.iter().copied().collect();
        for some in pending.chunks(ASKED_AT_ONCE) {
            let ids: Vec<String> = some.iter().map(Hash::to_string).collect();
            let path = format!("/api/v1/heads?blogs={}", ids.join(","));
            let heads = self.client.get(Ask::new(address, &path)).await?.good()?;
            self.compare_archive(kept, label, address, &heads, read)
                .await?;
        }
        Ok(())
    }

    /// What this spoke is for a blog; none where it is not to be heard about it.
    fn brings(&self, label: &Label, blog: BlogId) -> Option<From> {
        let from = self.ask(|registry| {
            let set = &registry.blog(blog)?.set;
            let from = match set.primary() == label {
                true => From::Primary,
                false => From::Member,
            };
            set.has(label).then_some(from)
        });
        from.flatten()
    }

    fn is_primary(&self, label: &Label, blog: BlogId) -> bool {
        self.brings(label, blog) == Some(From::Primary)
    }

    /// Keys of a blog that have ended, and the entry behind which they sign nothing more.
    fn ended_keys(&self, blog: BlogId) -> Option<(BTreeSet<Fingerprint>, EntryId)> {
        let ended = self.ask(|r| r.blog(blog).map(|blog| (blog.ended.clone(), blog.keys_at)));
        ended.flatten()
    }

    /// Whether what a primary has of a blog belongs to the open epoch: before it has settled there, it may hold what
    /// others must not take (SPEC receipt 6.5).
    fn is_settled(&self, blog: BlogId, epoch: Option<u64>) -> bool {
        let open = self
            .ask(|r| r.blog(blog).map(|blog| blog.set.epoch))
            .flatten();
        epoch.is_none() || open.is_none() || epoch == open
    }

    /// Hears what the council knows, where blogs are named that are not known here: a spoke may be ahead.
    async fn knows(self: &Arc<Self>, blogs: &[BlogId]) {
        let unknown = self.ask(|r| blogs.iter().any(|blog| r.blog(*blog).is_none()));
        if unknown == Some(true) {
            self.hears_news().await;
        }
    }

    /// Compares a spoke's heads with what is here, and reads what is not.
    async fn compare_archive(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        label: &Label,
        address: SocketAddr,
        heads: &HeadsWire,
        read: &mut Read,
    ) -> Result<(), Outage> {
        let named = heads.blogs.keys().filter_map(|id| Hash::parse(id).ok());
        let named: Vec<BlogId> = named.collect();
        self.knows(&named).await;
        for blog in named {
            let Some(from) = self.brings(label, blog) else {
                continue;
            };
            let id = blog.to_string();
            if !self.is_settled(blog, heads.epochs.get(&id).copied()) {
                if from == From::Primary {
                    read.pending.insert(blog);
                }
                continue;
            }
            let tips = heads.blogs.get(&id).into_iter().flatten();
            let tips: Vec<Tip> = tips.filter_map(|tip: &TipWire| tip.tip().ok()).collect();
            let holder = Holder::Archive(Arc::clone(kept), from);
            let brought = match kept.begin_anew(blog).await {
                true => self.read_through(address, blog, &holder).await,
                false => self.bring_tips(address, blog, &tips, &holder).await,
            };
            // One blog that cannot be had must not hold up the others.
            match brought {
                Ok(()) => {
                    kept.is_sound(blog);
                    read.pending.remove(&blog);
                }
                Err(outage) => {
                    tracing::debug!(%label, %blog, %outage, "a blog was not read into the archive");
                    if from == From::Primary {
                        read.pending.insert(blog);
                    }
                }
            }
        }
        Ok(())
    }

    async fn archive_page(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        label: &Label,
        address: SocketAddr,
        page: &FeedWire,
        read: &mut Read,
    ) -> Result<(), Outage> {
        let by_blog = by_blog(address, page)?;
        let named: Vec<BlogId> = by_blog.keys().copied().collect();
        self.knows(&named).await;
        for (blog, run) in by_blog {
            if !self.is_primary(label, blog) {
                continue;
            }
            let epoch = page.epochs.get(&blog.to_string()).copied();
            if !self.is_settled(blog, epoch) {
                read.pending.insert(blog);
                continue;
            }
            let from = From::Primary;
            let taken = self.archive_run(kept, from, address, blog, run).await;
            let taken = taken.and_then(|held| match held.is_empty() {
                true => Ok(()),
                false => Err(without_erase(address)),
            });
            if let Err(outage) = taken {
                tracing::debug!(%label, %blog, %outage, "a blog is read apart from the feed");
                read.pending.insert(blog);
            }
        }
        Ok(())
    }

    /// Judges a run of one blog's entries on all cores, and keeps what is valid; gives back what stands behind the first
    /// whose words are gone and for which nothing vouches yet.
    pub(in super::super) async fn archive_run(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        from: From,
        address: SocketAddr,
        blog: BlogId,
        mut run: Vec<SealedEntry>,
    ) -> Result<Vec<SealedEntry>, Outage> {
        let ended = match from {
            From::Primary => None,
            From::Member => self.ended_keys(blog),
        };
        let slot = kept.copies.slot(blog);
        let mut place = slot.lock().await;
        // Whoever is cut off in the middle leaves nothing that was appended and not written.
        let mut copy = place.take();
        if let Some((ended, keys_at)) = ended {
            let copy = block_in_place(|| kept.copy_in(&mut copy, blog))?;
            let is_ended = |sealed: &SealedEntry| {
                let authors = &sealed.entry().skeleton().authors;
                authors.iter().any(|author| ended.contains(author))
            };
            let comes_behind =
                |sealed: &SealedEntry| is_ended(sealed) && copy.chain.contains(keys_at);
            // What goes on behind such an entry has no parent here then, and is not taken either.
            run.retain(|sealed| copy.has(sealed) || !comes_behind(sealed));
        }
        let outcome = kept.take_in(&mut copy, address, blog, run).await;
        let is_whole = copy.as_ref().is_some_and(|copy| !copy.is_damaged());
        *place = copy.filter(|_| is_whole && outcome.is_ok());
        slot.note(&place);
        drop(place);
        kept.copies.trim();
        outcome
    }
}

impl Kept {
    async fn take_in(
        &self,
        place: &mut Option<Copy>,
        address: SocketAddr,
        blog: BlogId,
        mut run: Vec<SealedEntry>,
    ) -> Result<Vec<SealedEntry>, Outage> {
        let copy = block_in_place(|| self.copy_in(place, blog))?;
        run.retain(|sealed| !copy.has(sealed));
        let held = run.split_off(block_in_place(|| copy.first_unvouched(&run)));
        while !run.is_empty() {
            let (places, fault) = copy.chain.place_run(&run);
            if places.is_empty() {
                return Err(does_not_fit(address, fault.as_ref()));
            }
            let rest = run.split_off(places.len());
            let judged = judge(address, places, run)?;
            let (mut entries, mut erased) = (Vec::new(), Vec::new());
            for verified in judged {
                erased.extend(copy.append(&verified)?);
                entries.push(verified.into_sealed());
            }
            // Words that are erased by what comes with them are not written at all.
            self.store.written(Write::Erasing(entries, erased)).await?;
            run = rest;
        }
        Ok(held)
    }
}

fn began_anew(address: SocketAddr) -> Outage {
    Outage::new(format!("{address} began anew"))
}
