//! Lists of a blog's posts: its index, its tags, its archive.

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use spokes_log::{
    blog::Post,
    name::{BlogId, Slug, Tag},
};
use spokes_rules::registry::BlogRecord;

use super::{
    Spoke,
    pages::{Address, line, timestamp},
};
use crate::{
    http as web,
    web::{
        blog::ARCHIVE_POSTS,
        page::{self, PostLine},
    },
};

/// Posts of one page of a blog's index.
pub(super) const INDEX_POSTS: usize = 20;

/// What of a list is asked for. What a page does not depend on makes no other page: strangers choose it.
#[derive(Debug)]
pub(super) struct Asked {
    /// Which page of it, from 1.
    pub(super) page: usize,
    /// Which file of a sitemap.
    pub(super) file: Option<usize>,
    /// Which year of an archive.
    pub(super) year: Option<String>,
}

impl Asked {
    pub(super) fn of(request: &Request<Incoming>, address: &Address) -> Self {
        let query = web::query(request);
        let number = query.get("page").and_then(|number| number.parse().ok());
        let file = number.filter(|number| *number > 0);
        let is_year = |year: &&String| year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit());
        let year = query.get("year").filter(is_year).cloned();
        let is_list = matches!(address, Address::Index | Address::Archive | Address::Tag(_));
        Self {
            page: if is_list { page_number(request) } else { 1 },
            file: file.filter(|_| matches!(address, Address::Sitemap)),
            year: year.filter(|_| matches!(address, Address::Archive)),
        }
    }
}

impl Spoke {
    pub(super) async fn index(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        number: usize,
    ) -> String {
        let posts = self.posts_where(blog, |_| true);
        let view = self.list(blog, record, &posts, "/", number).await;
        page::blog_index(&view)
    }

    /// A page of a list of posts, and the ways to those before and after it.
    async fn list(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        posts: &[Post],
        path: &str,
        number: usize,
    ) -> page::BlogView {
        let (part, number, pages) = part(posts, number, INDEX_POSTS);
        let address = |number: usize| match number {
            1 => path.to_owned(),
            _ => format!("{path}?page={number}"),
        };
        page::BlogView {
            network: self.network_view(),
            blog: self.blog_view(blog, record),
            posts: self.lines(blog, part).await,
            path: address(number),
            newer: (number > 1).then(|| address(number - 1)),
            older: (number < pages).then(|| address(number + 1)),
        }
    }

    pub(super) fn archive(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        asked: &Asked,
    ) -> String {
        let posts = self.posts_where(blog, |_| true);
        let language = self.language(blog);
        let mut years: Vec<(String, u64)> = Vec::new();
        for post in &posts {
            let year = year_of(post);
            match years.last_mut() {
                Some((last, posts)) if *last == year => *posts += 1,
                _ => years.push((year, 1)),
            }
        }
        let newest = years.first().map(|(year, _)| year.clone());
        let is_long = posts.len() > ARCHIVE_POSTS;
        let only = asked.year.clone().or(newest).filter(|_| is_long);
        let shown = posts.iter();
        let shown: Vec<&Post> = match &only {
            Some(only) => shown.filter(|post| year_of(post) == *only).collect(),
            None => shown.collect(),
        };
        let (part, number, pages) = part(&shown, asked.page, ARCHIVE_POSTS);
        let path = only.as_ref().map(|year| format!("/archive?year={year}"));
        let address = |number: usize| {
            let path = path.as_deref().unwrap_or("/archive");
            match number {
                1 => path.to_owned(),
                _ => format!("{path}&page={number}"),
            }
        };
        let lines = part.iter().map(|post| line(post, &language, String::new()));
        page::archive(&page::ArchiveView {
            network: self.network_view(),
            blog: self.blog_view(blog, record),
            posts: lines.collect(),
            years,
            newer: (number > 1).then(|| address(number - 1)),
            older: (number < pages).then(|| address(number + 1)),
            only,
            below: None,
        })
    }

    /// The articles whose addresses begin with this one.
    pub(super) fn below(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        slug: &Slug,
    ) -> String {
        let below = format!("{}/", slug.as_str());
        let is_below = |slug: &Slug| slug.as_str().starts_with(&below);
        let posts = self.posts_where(blog, |a| {
            is_below(&a.slug) || a.aliases.iter().any(is_below)
        });
        let language = self.language(blog);
        let (part, _, pages) = part(&posts, 1, ARCHIVE_POSTS);
        let lines = part.iter().map(|post| line(post, &language, String::new()));
        page::archive(&page::ArchiveView {
            network: self.network_view(),
            blog: self.blog_view(blog, record),
            posts: lines.collect(),
            years: Vec::new(),
            only: None,
            below: Some(below),
            newer: None,
            older: (pages > 1).then(|| "/archive".to_owned()),
        })
    }

    pub(super) async fn tag(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        tag: &Tag,
        number: usize,
    ) -> String {
        let posts = self.posts_where(blog, |article| article.tags.0.contains(tag));
        let path = page::tag_path(tag.as_str());
        let list = self.list(blog, record, &posts, &path, number).await;
        page::tag(&page::TagView {
            tag: tag.to_string(),
            list,
        })
    }

    async fn lines(self: &Arc<Self>, blog: BlogId, posts: &[Post]) -> Vec<PostLine> {
        let language = self.language(blog);
        let mut lines = Vec::new();
        for post in posts {
            let excerpt = self.excerpt(blog, post.current()).await;
            let excerpt = excerpt.as_deref().unwrap_or_default().to_owned();
            lines.push(line(post, &language, excerpt));
        }
        lines
    }
}

/// A part of a list, its number, and how many there are: behind the last there is none.
fn part<T>(all: &[T], number: usize, size: usize) -> (&[T], usize, usize) {
    let parts = all.len().div_ceil(size).max(1);
    let number = number.min(parts);
    let from = (number - 1) * size;
    (&all[from..(from + size).min(all.len())], number, parts)
}

fn year_of(post: &Post) -> String {
    timestamp(post.article.date).strftime("%Y").to_string()
}

/// Which page of an index is asked for: the first one where nothing sensible is said.
pub(super) fn page_number(request: &Request<Incoming>) -> usize {
    let number = web::query(request).get("page").and_then(|n| n.parse().ok());
    number.unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_parts_and_none_behind_the_last() {
        let all: Vec<usize> = (0..INDEX_POSTS * 2 + 1).collect();
        assert_eq!(part(&all, 1, INDEX_POSTS), (&all[..INDEX_POSTS], 1, 3));
        assert_eq!(part(&all, 3, INDEX_POSTS), (&all[INDEX_POSTS * 2..], 3, 3));
        assert_eq!(part(&all, usize::MAX, INDEX_POSTS).1, 3);
        let one: &[usize] = &[];
        assert_eq!(part(one, 7, INDEX_POSTS), (one, 1, 1));
    }
}
