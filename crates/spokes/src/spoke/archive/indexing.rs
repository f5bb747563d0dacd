//! Putting into the index what comes into the archive.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use spokes_log::{
    blog::Post,
    draft::Kind,
    name::{BlogId, EntryId, Hash},
};
use tokio::task::block_in_place;

use super::{Kept, Spoke, copies::Copy};
use crate::{
    index::{Posting, query::primary_subtag},
    outage::Outage,
    render,
    spoke::headlines::Source,
    store::Row,
};

/// How long what was put into the index gathers before it is made durable and found: each time costs some waits for the
/// disk, and nobody waits longer than two seconds for a post.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// Entries that are put in at a time.
const PAGE: usize = 500;
/// The pause after something failed, for instance a full disk.
const PAUSE: Duration = Duration::from_secs(5);
/// Articles of a blog that is put in whole at once. A larger one waits until everybody else's posts are in.
const SMALL: usize = 200;
/// How many times as long as it took the last time a large blog waits before it is put in whole again: nobody's blog
/// takes more than a small part of the work.
const REST: u32 = 10;
/// Large blogs whose last time is remembered.
const REMEMBERED_MAX: usize = 10_000;

/// How far the index is.
#[derive(Debug)]
struct Progress {
    /// Up to here the archive was put in.
    position: u64,
    /// Since when something was put in and not committed.
    since: Option<Instant>,
    /// Whether words may stand in the index's files that were erased.
    erases: bool,
    /// Large blogs that are to be put in whole, with the position from which on that is.
    whole: BTreeMap<BlogId, u64>,
    /// When a large blog may be put in whole again.
    rests: BTreeMap<BlogId, Instant>,
}

impl Progress {
    fn from(position: u64) -> Self {
        Self {
            position,
            since: None,
            // This may have been stopped before they were taken out of the files.
            erases: true,
            whole: BTreeMap::new(),
            rests: BTreeMap::new(),
        }
    }

    /// Up to where everything is in.
    fn complete(&self) -> u64 {
        let waiting = self.whole.values().map(|from| from.saturating_sub(1));
        waiting.min().unwrap_or(self.position).min(self.position)
    }

    /// A large blog whose turn it is.
    fn next_whole(&self, now: Instant) -> Option<BlogId> {
        let rests = |blog: &&BlogId| self.rests.get(*blog).is_some_and(|until| now < *until);
        self.whole.keys().find(|blog| !rests(blog)).copied()
    }
}

impl Spoke {
    /// Puts everything that comes into the archive into the index, from where it was left on.
    pub(super) async fn index_all(self: Arc<Self>, kept: Weak<Kept>) {
        let opened = kept.upgrade();
        let Some(opened) = opened.map(|k| (k.store.newest(), k.indexed.load(Ordering::Relaxed)))
        else {
            return;
        };
        let (mut newest, position) = opened;
        let mut progress = Progress::from(position);
        loop {
            newest.mark_unchanged();
            let Some(kept) = kept.upgrade() else { return };
            let indexed = kept.index_some(&mut progress).await;
            // Where this spoke ends meanwhile, here is where this ends: behind it clocks are asked that are gone by then.
            tokio::task::yield_now().await;
            match indexed {
                Ok(true) => {}
                Ok(false) => {
                    drop(kept);
                    let since = progress.since;
                    let wait = since.map_or(COMMIT_EVERY, |since| {
                        COMMIT_EVERY.saturating_sub(since.elapsed())
                    });
                    // Either way it is looked at again.
                    drop(tokio::time::timeout(wait, newest.changed()).await);
                }
                Err(outage) => {
                    tracing::error!(%outage, "the index stands still, and is tried again; searches find what was there before");
                    // What was put in and not committed may be lost: it is put in again.
                    if let Err(outage) = block_in_place(|| kept.index.give_up()) {
                        tracing::error!(%outage, "the index cannot go back to what is durable");
                    }
                    progress = Progress::from(kept.indexed.load(Ordering::Relaxed));
                    drop(kept);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Kept {
    /// Puts in a page of the archive, or a large blog, and commits when it is time; whether there is more at once.
    async fn index_some(&self, progress: &mut Progress) -> Result<bool, Outage> {
        let read = block_in_place(|| self.store.after(progress.position, PAGE, |_| true));
        let (rows, read_to, more) = read?;
        if !rows.is_empty() {
            progress.since.get_or_insert_with(Instant::now);
            self.index_rows(&rows, progress).await?;
            progress.position = read_to;
        }
        if progress
            .since
            .is_some_and(|since| since.elapsed() >= COMMIT_EVERY)
        {
            self.commit(progress)?;
        }
        if more {
            return Ok(true);
        }
        let Some(blog) = progress.next_whole(Instant::now()) else {
            if progress.erases && progress.since.is_none() {
                progress.erases = !block_in_place(|| self.index.purge())?;
            }
            return Ok(false);
        };
        self.commit(progress)?;
        self.index_large(blog, progress).await?;
        Ok(true)
    }

    fn commit(&self, progress: &mut Progress) -> Result<(), Outage> {
        let complete = progress.complete();
        block_in_place(|| self.index.commit(complete))?;
        self.indexed.store(complete, Ordering::Relaxed);
        progress.since = None;
        Ok(())
    }

    /// Puts a large blog in whole.
    async fn index_large(&self, blog: BlogId, progress: &mut Progress) -> Result<(), Outage> {
        let began = Instant::now();
        let slot = self.copies.slot(blog);
        let mut place = slot.lock().await;
        block_in_place(|| {
            let copy = self.copy_in(&mut place, blog)?;
            self.index_whole(copy)
        })?;
        slot.note(&place);
        drop(place);
        self.copies.trim();
        progress.whole.remove(&blog);
        progress.erases = true;
        progress.since.get_or_insert(began);
        let now = Instant::now();
        if progress.rests.len() >= REMEMBERED_MAX {
            progress.rests.retain(|_, until| now < *until);
        }
        progress.rests.insert(blog, now + began.elapsed() * REST);
        Ok(())
    }

    /// Puts in what rows say.
    async fn index_rows(&self, rows: &[Row], progress: &mut Progress) -> Result<(), Outage> {
        let mut by_blog: BTreeMap<BlogId, (u64, BTreeSet<EntryId>)> = BTreeMap::new();
        for row in rows {
            if let (Ok(blog), Ok(id)) = (Hash::parse(&row.blog), Hash::parse(&row.id)) {
                let (_, changed) = by_blog
                    .entry(blog)
                    .or_insert_with(|| (row.position, BTreeSet::new()));
                changed.insert(id);
            }
        }
        for (blog, (from, changed)) in by_blog {
            let slot = self.copies.slot(blog);
            let mut place = slot.lock().await;
            block_in_place(|| {
                let copy = self.copy_in(&mut place, blog)?;
                let whole = self.index_blog(copy, &changed, progress)?;
                if whole {
                    progress.whole.entry(blog).or_insert(from);
                }
                Ok::<_, Outage>(())
            })?;
            slot.note(&place);
            drop(place);
            self.copies.trim();
        }
        Ok(())
    }

    /// Puts in what these entries of a blog change; true where that is all of it, and it is large.
    fn index_blog(
        &self,
        copy: &Copy,
        changed: &BTreeSet<EntryId>,
        progress: &mut Progress,
    ) -> Result<bool, Outage> {
        // Where keys, titles or languages change, or versions go, anything may be another now; and what stands instead
        // of something hides it. Before entry 0 there is nothing.
        let mut whole = false;
        let mut articles: BTreeMap<EntryId, &Post> = BTreeMap::new();
        for id in changed {
            match copy.chain.link(*id).map(|link| &link.kind) {
                // Its `erase` does what there is to do.
                Some(Kind::Post | Kind::Page) if copy.chain.eraser(*id).is_some() => {}
                Some(Kind::Post | Kind::Page) => match copy.fold.article_of(*id) {
                    Some(post) => drop(articles.insert(post.first, post)),
                    None => whole = true,
                },
                Some(Kind::Erase) => (whole, progress.erases) = (true, true),
                Some(Kind::Keys | Kind::Settings) => whole = true,
                _ => {}
            }
        }
        if !whole {
            self.index_posts(copy, &articles.into_values().collect::<Vec<_>>())?;
            return Ok(false);
        }
        let is_large = copy.fold.all().nth(SMALL).is_some();
        if !is_large {
            self.index_whole(copy)?;
        }
        Ok(is_large)
    }

    fn index_whole(&self, copy: &Copy) -> Result<(), Outage> {
        self.index.remove_blog(copy.chain.blog());
        self.index_posts(copy, &copy.fold.all().collect::<Vec<_>>())
    }

    fn index_posts(&self, copy: &Copy, posts: &[&Post]) -> Result<(), Outage> {
        for (post, source) in posts.iter().zip(Source::of(&copy.chain, &copy.fold, posts)) {
            self.index_post(copy, post, &source)?;
        }
        Ok(())
    }

    fn index_post(&self, copy: &Copy, post: &Post, source: &Source) -> Result<(), Outage> {
        let row = self.store.entry(post.current())?;
        let Some(entry) = row.and_then(|row| row.entry()) else {
            return Ok(());
        };
        let Some(draft) = entry.draft() else {
            return Ok(());
        };
        let article = &post.article;
        let language = article
            .language
            .clone()
            .unwrap_or_else(|| copy.fold.language());
        self.index.put(&Posting {
            blog: copy.chain.blog(),
            article: post.first,
            authors: post.authors.iter().map(ToString::to_string).collect(),
            tags: article.tags.0.iter().map(ToString::to_string).collect(),
            language: primary_subtag(language.as_str()).unwrap_or_default(),
            date: article.date,
            title: article.title.as_deref().unwrap_or_default(),
            body: &render::plain(&draft.body),
            kept: source.packed(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_blog_that_waits_holds_back_what_is_said_to_be_in() {
        let blog = Hash::of(b"blog");
        let mut progress = Progress::from(10);
        progress.position = 500;
        assert_eq!(progress.complete(), 500);
        progress.whole.insert(blog, 42);
        assert_eq!(progress.complete(), 41);
        let now = Instant::now();
        assert_eq!(progress.next_whole(now), Some(blog));
        progress.rests.insert(blog, now + PAUSE);
        assert_eq!(progress.next_whole(now), None);
        assert_eq!(progress.next_whole(now + PAUSE), Some(blog));
    }
}
