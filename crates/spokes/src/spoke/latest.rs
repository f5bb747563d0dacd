//! The latest posts of the whole network, as this spoke knows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::StatusCode;
use spokes_log::name::BlogId;
use spokes_rules::{
    front::{self, Headline},
    node::Label,
};

use super::{
    Spoke,
    headlines::{Checked, Source, Told, headline_wire},
};
use crate::{
    clock,
    http::{self as web, Response},
    wire::LatestWire,
};

/// How often the latest posts of the other spokes are asked for.
const LATEST_EVERY: Duration = Duration::from_secs(1);
/// Beyond this many seconds a spoke that says nothing new is silent, not slow.
const SILENT_SECONDS: u64 = 20;
/// The age of the list is said in steps of so many seconds, so that a page stays as it is meanwhile.
const AGE_STEP_SECONDS: u64 = 5;

/// A headline of a blog whose primary this spoke is, and where others can read it.
type Own = (Source, Arc<Told>);

/// The latest posts: ours, and what the other spokes say of theirs.
#[derive(Debug, Default)]
pub(super) struct Latest {
    own: Mutex<BTreeMap<BlogId, Vec<Own>>>,
    touched: Mutex<BTreeSet<BlogId>>,
    /// Whether every other spoke was asked since the council was heard.
    gathered: AtomicBool,
    /// Of each other spoke when it answered last, and what it names.
    pub(super) peers: Mutex<BTreeMap<Label, (Instant, Checked)>>,
    /// When the primary of a blog was last asked whether it has something newer.
    pub(super) asked: Mutex<BTreeMap<BlogId, Instant>>,
    known: Mutex<Known>,
}

/// All headlines whose date has come, in one state.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Grows with every change of what follows.
    pub(super) version: u64,
    pub(super) all: Arc<Vec<Arc<Told>>>,
}

impl Known {
    /// The posts that a front page shows, of those that are wanted.
    pub(super) fn latest(&self, wanted: impl Fn(&Told) -> bool) -> Vec<Arc<Told>> {
        let all = self.all.iter().filter(|told| wanted(told)).cloned();
        front::latest(clock::now(), all, |told| &told.headline)
    }
}

impl Latest {
    /// Notes that a blog has changed.
    pub(super) fn touch(&self, blog: BlogId) {
        self.touched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(blog);
    }

    /// The headlines known now.
    pub(super) fn known(&self) -> Known {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// How old the oldest part of the list is, in rough steps.
    pub(super) fn age_seconds(&self) -> u64 {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        // What a spoke said last still counts when it is silent; it does not make the page old.
        let ages = peers.values().map(|(at, _)| at.elapsed().as_secs());
        let age = ages.filter(|age| *age < SILENT_SECONDS).max();
        age.unwrap_or(0).next_multiple_of(AGE_STEP_SECONDS)
    }

    /// Whether some other spoke has not been asked yet.
    pub(super) fn is_gathering(&self) -> bool {
        !self.gathered.load(Ordering::Relaxed)
    }

    /// Puts ours and theirs together, and counts a version where something is new.
    fn put_together(&self) {
        let mut all: Vec<Arc<Told>> = Vec::new();
        {
            let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(own.values().flatten().map(|(_, told)| Arc::clone(told)));
            let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
            let theirs = peers.values().flat_map(|(_, checked)| checked.values());
            all.extend(theirs.flatten().cloned());
        }
        let now = clock::now();
        all.retain(|told| told.headline.date <= now);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if *known.all != all {
            known.version += 1;
            known.all = Arc::new(all);
        }
    }
}

impl Spoke {
    pub(super) fn latest_answer(&self) -> Response {
        let own = self.latest.own.lock();
        let own = own.unwrap_or_else(PoisonError::into_inner);
        let all = own.values().flatten();
        let shown = front::latest(clock::now(), all, |(_, told)| &told.headline);
        let wire = |(source, told): &Own| headline_wire(source, &told.headline);
        let headlines = shown.into_iter().map(wire).collect();
        web::json(StatusCode::OK, &LatestWire { headlines })
    }

    /// Keeps the latest posts: ours as they change, the others' by asking.
    pub(super) async fn watch_latest(self: Arc<Self>) {
        let mut known: BTreeSet<BlogId> = BTreeSet::new();
        loop {
            let mine: Vec<BlogId> = self
                .ask(|r| {
                    let mine = r.blogs().filter(|(_, b)| *b.set.primary() == self.me);
                    mine.map(|(id, _)| id).collect()
                })
                .unwrap_or_default();
            for blog in &mine {
                if known.insert(*blog) {
                    self.latest.touch(*blog);
                }
            }
            let touched = std::mem::take(
                &mut *self
                    .latest
                    .touched
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            );
            for blog in touched.into_iter().filter(|blog| mine.contains(blog)) {
                self.refresh_own(blog).await;
            }
            self.latest.put_together();
            let heard = self.heard().is_some();
            self.ask_peers().await;
            if heard {
                self.latest.gathered.store(true, Ordering::Relaxed);
            }
            tokio::time::sleep(LATEST_EVERY).await;
        }
    }

    async fn refresh_own(self: &Arc<Self>, blog: BlogId) {
        let Some(Some(record)) = self.ask(|registry| registry.blog(blog).cloned()) else {
            return;
        };
        let facts = self.with(blog, |replica| {
            let fold = replica.fold();
            let mut posts = fold.posts();
            posts.truncate(front::LATEST_PER_BLOG_MAX);
            let sources = Source::of(replica, &posts);
            let posts = posts.into_iter().cloned();
            (
                sources.into_iter().zip(posts).collect::<Vec<_>>(),
                fold.title().to_owned(),
                fold.language(),
            )
        });
        let Some((posts, blog_title, language)) = facts else {
            return;
        };
        let mut headlines = Vec::new();
        for (source, post) in posts {
            let excerpt = self.excerpt(blog, post.current()).await;
            let article = &post.article;
            let headline = Headline {
                blog,
                name: record.name.clone(),
                blog_title: blog_title.clone(),
                article: post.first,
                place: post.order(),
                date: article.date,
                title: article.title.clone(),
                slug: article.slug.clone(),
                language: article.language.clone().unwrap_or_else(|| language.clone()),
                excerpt: excerpt.as_deref().unwrap_or_default().to_owned(),
            };
            let told = Told {
                headline,
                signed: post.signed,
                is_edited: post.versions.len() > 1,
                tags: article.tags.0.iter().map(ToString::to_string).collect(),
                // On our disk.
                html: None,
            };
            headlines.push((source, Arc::new(told)));
        }
        self.latest
            .own
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(blog, headlines);
    }

    async fn ask_peers(self: &Arc<Self>) {
        let peers: Vec<(Label, std::net::SocketAddr)> = self
            .ask(|r| {
                let others = r.admitted().filter(|(label, _)| **label != self.me);
                others
                    .map(|(label, spoke)| (label.clone(), spoke.address.0))
                    .collect()
            })
            .unwrap_or_default();
        self.latest
            .peers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|label, _| peers.iter().any(|(peer, _)| peer == label));
        for (label, address) in peers {
            self.ask_peer(&label, address).await;
            self.latest.put_together();
        }
    }
}
