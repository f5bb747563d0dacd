//! The first pages after a start, made from a sketch while the blog is being read.
//!
//! Each entry that a page shows is read and checked as always; only which entries these are is what the
//! sketch says. What does not fit waits for the blog.

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use spokes_log::{
    blog::Post,
    draft::{Kind, Says},
    name::{BlogId, Slug},
    seal::SealedEntry,
};
use spokes_rules::registry::BlogRecord;

use super::{
    Spoke,
    finished::{Finished, HTML, Varies},
    lists::{Asked, INDEX_POSTS},
    pages::{Address, Form, MENU_MAX, line, neighbor},
    sketch::{Said, Seen, Sketch},
};
use crate::web::page;

/// How many servers are known to hold an entry just after a start: this one.
const COPIES: u32 = 1;

impl Spoke {
    /// The page of a blog that was not read yet since the start; none where the sketch does not do.
    pub(super) async fn at_a_glance(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        path: &str,
        request: &Request<Incoming>,
    ) -> Option<Finished> {
        let sketch = self.sketch_of(blog).await?;
        let glance = Glance {
            spoke: self,
            blog,
            record,
            sketch: &sketch,
        };
        let html = match Address::parse(path)? {
            address @ Address::Index if Asked::of(request, &address).page == 1 => {
                glance.index().await
            }
            Address::Post(slug, Form::Page) => glance.post(&slug).await,
            _ => None,
        };
        // Only now: two who read at once wait for one another.
        tokio::spawn(Arc::clone(self).read_behind(blog));
        // Not kept: with the blog in memory it is made again, and is known by its stamp.
        Some(Finished::new(0, HTML, Varies::No, html?))
    }
}

/// One look at a blog.
struct Glance<'a> {
    spoke: &'a Arc<Spoke>,
    blog: BlogId,
    record: &'a BlogRecord,
    sketch: &'a Sketch,
}

impl Glance<'_> {
    /// The entry of a row, if it is what its id says, with good signatures by the keys of its place.
    fn sound(&self, said: &Said) -> Option<SealedEntry> {
        let row = self.spoke.store.entry(said.id).ok()??;
        let sealed = row.sealed()?;
        let is_ours = sealed.entry().blog() == self.blog && row.blog == self.blog.to_string();
        let signed = || said.ring.check_signed(&sealed).is_ok();
        (is_ours && signed()).then_some(sealed)
    }

    /// An article with what its entry says of it.
    fn article(&self, place: usize) -> Option<(Post, Seen, SealedEntry)> {
        let seen = self.sketch.article(place)?;
        let sealed = self.sound(&seen.current)?;
        let (skeleton, draft) = (sealed.entry().skeleton(), sealed.entry().draft()?);
        let current = (skeleton.sequence, sealed.entry().id());
        let first = seen.is_edited.then_some((0, seen.first));
        let post = Post {
            first: seen.first,
            // Those between are asked for by no page.
            versions: first.into_iter().chain([current]).collect(),
            article: Arc::new(draft.article()?.clone()),
            is_page: skeleton.kind == Kind::Page,
            signed: skeleton.signed,
            authors: skeleton.authors.as_slice().into(),
        };
        Some((post, seen, sealed))
    }

    fn neighbor(&self, place: usize, language: &str) -> Option<page::Neighbor> {
        let (post, ..) = self.article(place)?;
        Some(neighbor(&post, language))
    }

    fn view(&self) -> Option<page::Blog> {
        let said = |said: &Said| Some(self.sound(said)?.entry().draft()?.says.clone());
        let title = match said(&self.sketch.title)? {
            Says::Blog { title, .. } => title,
            Says::Settings { title, .. } => title?,
            _ => return None,
        };
        let language = match said(&self.sketch.language)? {
            Says::Blog { language, .. } => language,
            Says::Settings { language, .. } => language?,
            _ => return None,
        };
        let description = match &self.sketch.description {
            Some(by) => match said(by)? {
                Says::Settings { description, .. } => description?,
                _ => return None,
            },
            None => String::new(),
        };
        let language = language.to_string();
        let pages = self.sketch.pages().take(MENU_MAX);
        let pages: Option<_> = pages.map(|place| self.neighbor(place, &language)).collect();
        let ring = &self.sketch.first_ring;
        let certificate = ring.certificate(&self.record.author);
        let user_id = certificate.and_then(|certificate| certificate.user_ids().next());
        Some(page::Blog {
            title,
            description,
            language,
            pages: pages?,
            ..self.spoke.blog_as_named(self.record, user_id)
        })
    }

    async fn index(&self) -> Option<String> {
        let view = self.view()?;
        let mut lines = Vec::new();
        for place in 0..self.sketch.posts().min(INDEX_POSTS) {
            let (post, seen, sealed) = self.article(place)?;
            let excerpt = self.spoke.excerpt_of(seen.current.id, sealed).await?;
            lines.push(line(&post, &view.language, excerpt.to_string()));
        }
        let is_long = self.sketch.posts() > INDEX_POSTS;
        Some(page::blog_index(&page::BlogView {
            network: self.spoke.network_view(),
            blog: view,
            posts: lines,
            path: "/".to_owned(),
            newer: None,
            older: is_long.then(|| "/?page=2".to_owned()),
        }))
    }

    async fn post(&self, slug: &Slug) -> Option<String> {
        let place = self.sketch.find(slug)?;
        let (post, seen, sealed) = self.article(place)?;
        if post.article.slug != *slug {
            return None;
        }
        let view = self.view()?;
        let near = |place: Option<usize>| match place {
            Some(place) if place < self.sketch.posts() => {
                Some(Some(self.neighbor(place, &view.language)?))
            }
            _ => Some(None),
        };
        let neighbors = match post.is_page {
            true => (None, None),
            false => (near(place.checked_sub(1))?, near(Some(place + 1))?),
        };
        let sound = async { Some(sealed) };
        let rendering = self.spoke.rendered_from(self.blog, seen.current.id, sound);
        let rendering = rendering.await?;
        let spoke = self.spoke;
        Some(spoke.post_html(self.record, &post, view, &rendering, neighbors, COPIES))
    }
}
