//! Putting into the index what comes into the archive.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
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

/// How far the index is.
#[derive(Debug)]
struct Progress {
    /// Up to here the archive was put in.
    position: u64,
    /// Since when something was put in and not committed.
    since: Option<Instant>,
    /// Whether something was erased, whose words are to go from all files.
    erases: bool,
}

impl Spoke {
    /// Puts everything that comes into the archive into the index, from where it was left on.
    pub(super) async fn index_all(self: Arc<Self>, kept: Weak<Kept>) {
        let Some((mut newest, position)) = kept
            .upgrade()
            .map(|kept| (kept.store.newest(), kept.indexed))
        else {
            return;
        };
        let mut progress = Progress {
            position,
            since: None,
            erases: false,
        };
        loop {
            newest.mark_unchanged();
            let Some(kept) = kept.upgrade() else { return };
            let indexed = kept.index_some(&mut progress).await;
            drop(kept);
            match indexed {
                Ok(true) => {}
                Ok(false) => {
                    let wait = progress
                        .since
                        .map(|since| COMMIT_EVERY.saturating_sub(since.elapsed()));
                    // A timer alone where something waits to be committed.
                    drop(
                        tokio::time::timeout(wait.unwrap_or(COMMIT_EVERY), newest.changed()).await,
                    );
                }
                Err(outage) => {
                    tracing::error!(%outage, "the index stands still, and is tried again; searches find what was there before");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Kept {
    /// Puts in a page of the archive, and commits when it is time; whether there is more at once.
    async fn index_some(&self, progress: &mut Progress) -> Result<bool, Outage> {
        let read = block_in_place(|| self.store.after(progress.position, PAGE, |_| true));
        let (rows, read_to, more) = read?;
        if !rows.is_empty() {
            progress.since.get_or_insert_with(Instant::now);
            progress.erases |= self.index_rows(&rows).await?;
            progress.position = read_to;
        }
        if progress
            .since
            .is_some_and(|since| since.elapsed() >= COMMIT_EVERY)
        {
            block_in_place(|| {
                self.index.commit(progress.position)?;
                if progress.erases {
                    self.index.purge()?;
                }
                Ok::<_, Outage>(())
            })?;
            (progress.since, progress.erases) = (None, false);
        }
        Ok(more)
    }

    /// Puts in what rows say; whether something is erased by them.
    async fn index_rows(&self, rows: &[Row]) -> Result<bool, Outage> {
        let mut by_blog: BTreeMap<BlogId, BTreeSet<EntryId>> = BTreeMap::new();
        for row in rows {
            if let (Ok(blog), Ok(id)) = (Hash::parse(&row.blog), Hash::parse(&row.id)) {
                by_blog.entry(blog).or_default().insert(id);
            }
        }
        let mut erases = false;
        for (blog, changed) in by_blog {
            let slot = self.copies.slot(blog);
            let mut place = slot.lock().await;
            erases |= block_in_place(|| {
                let copy = self.copy_in(&mut place, blog)?;
                self.index_blog(copy, &changed)
            })?;
            slot.note(&place);
            drop(place);
            self.copies.trim();
        }
        Ok(erases)
    }

    /// Puts in what these entries of a blog change; whether something is erased by them.
    fn index_blog(&self, copy: &Copy, changed: &BTreeSet<EntryId>) -> Result<bool, Outage> {
        let kinds: BTreeSet<&Kind> = changed
            .iter()
            .filter_map(|id| Some(&copy.chain.link(*id)?.kind))
            .collect();
        let is_article = |kind: &&Kind| matches!(kind, Kind::Post | Kind::Page);
        let erases = kinds.contains(&Kind::Erase);
        let mut articles: BTreeMap<EntryId, &Post> = BTreeMap::new();
        // Where keys, titles or languages change, or versions go, anything may be another now; and what stands instead
        // of something hides it.
        let whole = !kinds.iter().all(is_article)
            || changed.iter().any(|id| copy.fold.article_of(*id).is_none());
        if whole {
            self.index.remove_blog(copy.chain.blog());
            articles.extend(copy.fold.all().map(|post| (post.first, post)));
        } else {
            let changed = changed.iter().filter_map(|id| copy.fold.article_of(*id));
            articles.extend(changed.map(|post| (post.first, post)));
        }
        let posts: Vec<&Post> = articles.into_values().collect();
        for (post, source) in posts
            .iter()
            .zip(Source::of(&copy.chain, &copy.fold, &posts))
        {
            self.index_post(copy, post, &source)?;
        }
        Ok(erases)
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
            language: primary_subtag(&language.to_string()).unwrap_or_default(),
            date: article.date,
            title: article.title.as_deref().unwrap_or_default(),
            body: &render::plain(&draft.body),
            kept: source.packed(),
        })
    }
}
