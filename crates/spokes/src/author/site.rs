//! A small static site beside an export: the same pages that a spoke makes, opened from disk.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use maud::{DOCTYPE, html};
use spokes_log::{blog::Post, name::BlogName, time::Time};

use crate::{
    author::{copy::BlogCopy, export::log_file, media},
    render::{self, Links, Medium},
    web::page::{self, Blog, BlogView, Neighbor, Network, PostLine, PostView, TagView},
};

/// Characters of a post's first words in a list, as on a spoke.
const EXCERPT_CHARS: usize = 200;

/// Where the pages stand, and what stands beside them, seen from the folder of the export.
const STYLE: &str = "site/style.css";
const INDEX: &str = "site/index.html";
const VERIFY: &str = "site/verify.html";

/// A file of the site: its path in the export, and what is in it.
pub(crate) type Page = (String, String);

/// What a site is made of.
pub(crate) struct Site<'a> {
    copy: &'a BlogCopy,
    blog: Blog,
    network: Network,
    /// Files by the paths that pages know them by.
    files: BTreeMap<String, String>,
    tags: Vec<String>,
}

impl<'a> Site<'a> {
    /// Plans the site: which file each address becomes.
    pub(crate) fn new(copy: &'a BlogCopy, name: &BlogName, origin: &str, domain: &str) -> Self {
        let fold = &copy.blog;
        let origin = origin.trim_end_matches('/').to_owned();
        let language = fold.language().to_string();
        let certificate = copy.chain.ring(copy.chain.blog()).and_then(|ring| {
            let (fingerprint, _, certificate) = ring.keys().next()?;
            Some((fingerprint.to_string(), certificate.user_ids().next()))
        });
        let (fingerprint, author) = certificate.unzip();
        let fingerprint = fingerprint.unwrap_or_default();
        let pages = fold.pages();
        let blog = Blog {
            name: name.to_string(),
            title: fold.title().to_owned(),
            description: fold.description().unwrap_or_default().to_owned(),
            // As on a spoke: the name, not the address behind it.
            author: author
                .flatten()
                .map(|uid| uid.split('<').next().unwrap_or_default().trim().to_owned())
                .unwrap_or_default(),
            fingerprint: fingerprint.clone(),
            primary: String::new(),
            replicas: Vec::new(),
            pages: pages.iter().map(|post| neighbor(post, &language)).collect(),
            waits: Vec::new(),
            late: false,
            may_lack_after: None,
            origin: origin.clone(),
            language,
        };
        let network = Network {
            domain: domain.to_owned(),
            origin: origin.replacen(&format!("{name}."), "", 1),
            spoke: String::new(),
            operator: String::new(),
        };
        let mut site = Self {
            copy,
            blog,
            network,
            files: BTreeMap::new(),
            tags: Vec::new(),
        };
        site.plan(&fingerprint);
        site
    }

    fn plan(&mut self, fingerprint: &str) {
        let mut tags = BTreeSet::new();
        for post in self
            .copy
            .blog
            .posts()
            .into_iter()
            .chain(self.copy.blog.pages())
        {
            if !self.copy.blog.has_slug(post) {
                continue;
            }
            tags.extend(post.article.tags.0.iter().map(ToString::to_string));
            let (slug, path) = (&post.article.slug, page::path(post.article.slug.as_str()));
            self.files
                .insert(path.clone(), format!("site/posts/{slug}.html"));
            if let Some(sealed) = self.copy.entry(post.current()) {
                self.files
                    .insert(format!("{path}.asc"), format!("log/{}", log_file(sealed).0));
            }
        }
        // Tags hold what no file's name may: they are numbered.
        for (number, tag) in tags.iter().enumerate() {
            self.files.insert(
                page::tag_path(tag),
                format!("site/tags/{}.html", number + 1),
            );
        }
        self.tags = tags.into_iter().collect();
        for hash in self.copy.blog.media() {
            let ending = self
                .copy
                .medium(hash)
                .map_or("bin", |medium| media::ending(&medium.kind));
            let path = hash.path();
            self.files
                .insert(format!("/media/{path}"), format!("media/{path}.{ending}"));
        }
        for (path, file) in [
            ("/".to_owned(), INDEX.to_owned()),
            ("/archive".to_owned(), INDEX.to_owned()),
            (page::STYLE_PATH.to_owned(), STYLE.to_owned()),
            ("/about".to_owned(), VERIFY.to_owned()),
            ("/key.asc".to_owned(), format!("keys/{fingerprint}.asc")),
        ] {
            self.files.insert(path, file);
        }
    }

    /// All files of the site.
    pub(crate) fn pages(&self) -> Vec<Page> {
        let posts: Vec<&Post> = self.copy.blog.posts();
        let posts: Vec<&Post> = posts
            .into_iter()
            .filter(|p| self.copy.blog.has_slug(p))
            .collect();
        let mut pages = vec![
            (STYLE.to_owned(), page::STYLE.to_owned()),
            self.finished(INDEX, &page::blog_index(&self.list("/", &posts))),
            (VERIFY.to_owned(), self.verify()),
        ];
        for (index, post) in posts.iter().enumerate() {
            let newer = index.checked_sub(1).and_then(|before| posts.get(before));
            pages.push(self.post(post, newer.copied(), posts.get(index + 1).copied()));
        }
        for post in self.copy.blog.pages() {
            if self.copy.blog.has_slug(post) {
                pages.push(self.post(post, None, None));
            }
        }
        for tag in &self.tags {
            let has = |post: &&&Post| post.article.tags.0.iter().any(|t| t.to_string() == *tag);
            let of_tag: Vec<&Post> = posts.iter().filter(has).copied().collect();
            let path = page::tag_path(tag);
            let list = self.list(&path, &of_tag);
            let view = TagView {
                tag: tag.clone(),
                list,
            };
            if let Some(file) = self.files.get(&path) {
                pages.push(self.finished(file, &page::tag(&view)));
            }
        }
        pages
    }

    fn list(&self, path: &str, posts: &[&Post]) -> BlogView {
        let lines = posts.iter().map(|post| PostLine {
            slug: post.article.slug.to_string(),
            title: post.article.title.clone().unwrap_or_default(),
            language: self.language(post),
            date: timestamp(post.article.date),
            excerpt: render::summary(self.copy.body(post.current()), EXCERPT_CHARS),
            picture: page::listed_picture(&post.article),
        });
        BlogView {
            network: self.network.clone(),
            blog: self.blog.clone(),
            posts: lines.collect(),
            path: path.to_owned(),
            newer: None,
            older: None,
        }
    }

    fn language(&self, post: &Post) -> String {
        let own = post.article.language.as_ref();
        own.map_or_else(|| self.blog.language.clone(), ToString::to_string)
    }

    fn post(&self, post: &Post, newer: Option<&Post>, older: Option<&Post>) -> Page {
        let article = &post.article;
        let body = self.copy.body(post.current());
        let known = |hash| {
            let medium = self.copy.medium(hash)?;
            Some(Medium::of_kind(medium.kind.as_str()))
        };
        let beside = |post: &Post| neighbor(post, &self.blog.language);
        let view = PostView {
            network: self.network.clone(),
            blog: self.blog.clone(),
            slug: article.slug.to_string(),
            title: article.title.clone().unwrap_or_default(),
            language: self.language(post),
            date: (!post.is_page).then(|| timestamp(article.date)),
            edited: (post.versions.len() > 1).then(|| timestamp(post.signed)),
            tags: article.tags.0.iter().map(ToString::to_string).collect(),
            excerpt: render::summary(body, EXCERPT_CHARS),
            html: render::illustrated(body, &Links::here(), &known),
            image: None,
            copies: 0,
            signers: Vec::new(),
            newer: newer.map(beside),
            older: older.map(beside),
        };
        let file = format!("site/posts/{}.html", article.slug);
        self.finished(&file, &page::post(&view))
    }

    /// A page whose addresses lead to files, seen from where it lies; what has no file here leads to
    /// the blog itself.
    fn finished(&self, file: &str, html: &str) -> Page {
        let html = self.with_own_foot(file, html);
        let mut kept = String::with_capacity(html.len());
        let mut rest = html.as_str();
        while let Some(at) = next_address(rest) {
            kept.push_str(&rest[..at]);
            rest = &rest[at..];
            let end = rest.find('"').unwrap_or(rest.len());
            kept.push_str(&self.seen_from(file, &rest[..end]));
            rest = &rest[end..];
        }
        kept.push_str(rest);
        (file.to_owned(), kept)
    }

    /// What a spoke says below each page is of itself; here it is of the folder.
    fn with_own_foot(&self, file: &str, html: &str) -> String {
        let source = self.files.iter().find(|(_, to)| *to == file);
        let source = source.map(|(path, _)| format!("{path}.asc"));
        let source = source.filter(|path| self.files.contains_key(path));
        let foot = html! {
            footer class="bottom" lang="en" dir="ltr" {
                p {
                    "A copy of " a href=(format!("{}/", self.blog.origin)) { bdi { (self.blog.title) } }
                    @if let Some(source) = source {
                        "; this post's " a href=(source) { "signed source" } " is in the folder, too"
                    }
                    ". " a href="/about" { "How to check it" } "."
                }
            }
        };
        let begin = html.rfind("<footer class=\"bottom\"");
        let end = html.rfind("</footer>").map(|at| at + "</footer>".len());
        match (begin, end) {
            (Some(begin), Some(end)) if begin < end => {
                format!("{}{}{}", &html[..begin], foot.into_string(), &html[end..])
            }
            _ => html.to_owned(),
        }
    }

    fn seen_from(&self, file: &str, address: &str) -> String {
        let (path, behind) = match address.find(['#', '?']) {
            Some(at) => address.split_at(at),
            None => (address, ""),
        };
        match self.files.get(path) {
            Some(to) => format!("{}{behind}", relative(file, to)),
            None => format!("{}{address}", self.blog.origin),
        }
    }

    /// How whoever has this folder finds out whether it is what its author signed.
    fn verify(&self) -> String {
        let first = self
            .copy
            .in_order()
            .into_iter()
            .next()
            .map(|sealed| log_file(sealed).0);
        let count = self.copy.chain.len();
        let page = html! {
            (DOCTYPE)
            html lang="en" dir="ltr" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { "How to check this copy of " (self.blog.title) }
                    link rel="stylesheet" href="style.css";
                }
                body {
                    main id="content" {
                        header class="title" { h1 { "How to check this copy" } }
                        article {
                            p {
                                "These pages were made from the " (count) " signed entries in the folder "
                                code { "log" } ". Pages can be altered by whoever has them; signed entries cannot."
                            }
                            p { "One entry, with nothing but gpg, in the folder above this one:" }
                            pre tabindex="0" { code {
                                "gpg --import keys/*.asc\ngpg --verify log/" (first.unwrap_or_default())
                            } }
                            p { "All of them, and that none is missing in between, without any network:" }
                            pre tabindex="0" { code {
                                "spokes blog verify PATH/OF/THE/FOLDER"
                            } }
                            p {
                                "Compare the fingerprint with one that the author gave you in another way: "
                                code { (self.blog.fingerprint) }
                            }
                            p { a href="index.html" { (self.blog.title) } }
                        }
                    }
                }
            }
        };
        page.into_string()
    }
}

/// Where the next address of this blog begins, behind its quotation mark.
fn next_address(html: &str) -> Option<usize> {
    let found = [" href=\"/", " src=\"/"].iter().filter_map(|name| {
        let at = html.find(name)?;
        Some(at + name.len() - 1)
    });
    found.min()
}

/// The way from one file of the export to another, as a browser takes it.
fn relative(from: &str, to: &str) -> String {
    let up = "../".repeat(from.matches('/').count());
    let path = page::path(to);
    format!("{up}{}", path.trim_start_matches('/'))
}

fn neighbor(post: &Post, language: &str) -> Neighbor {
    let own = post.article.language.as_ref();
    Neighbor {
        slug: post.article.slug.to_string(),
        title: post.article.title.clone().unwrap_or_default(),
        language: own.map_or_else(|| language.to_owned(), ToString::to_string),
    }
}

fn timestamp(time: Time) -> Timestamp {
    Timestamp::from_second(time.as_unix()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use spokes_log::secret::SecretKey;

    use super::*;
    use crate::author::{chain_for_tests, now};

    fn copy() -> BlogCopy {
        let mut key = SecretKey::generate("Maria <maria@example.org>", now() - 60).expect("a key");
        let entries = chain_for_tests(&mut key, &["2015/05/one", "straße"]);
        let mut copy = BlogCopy::new(entries[0].entry().id());
        for sealed in entries {
            copy.take(sealed).expect("valid");
        }
        copy
    }

    #[test]
    fn every_address_on_a_page_leads_to_a_file_or_to_the_blog() {
        let copy = copy();
        let name = BlogName::parse("maria").expect("a name");
        let site = Site::new(&copy, &name, "http://maria.blogs.example/", "blogs.example");
        let pages = site.pages();
        let files: BTreeSet<&str> = pages.iter().map(|(file, _)| file.as_str()).collect();
        assert!(
            files.contains("site/posts/2015/05/one.html") && files.contains(INDEX),
            "{files:?}"
        );
        for (file, html) in pages.iter().filter(|(file, _)| file.ends_with(".html")) {
            for part in html.split(" href=\"").chain(html.split(" src=\"")).skip(1) {
                let address = part.split(['"', '#']).next().unwrap_or_default();
                assert!(!address.starts_with('/'), "{file}: {address}");
                if address.is_empty() || address.contains("://") || part.starts_with('<') {
                    continue;
                }
                let up = address.matches("../").count();
                let folder: Vec<&str> = file.split('/').collect();
                let rest = address.trim_start_matches("../").replace("%C3%9F", "ß");
                let at = folder.len() - 1 - up;
                let to = [&folder[..at].join("/"), "/", &rest].concat();
                let to = to.trim_start_matches('/');
                let beside = to.starts_with("log/") || to.starts_with("keys/");
                assert!(files.contains(to) || beside, "{file}: {address} is {to}");
            }
            assert!(
                !html.contains("maria@example.org") && !html.contains("from the server"),
                "{html}"
            );
        }
        let (_, post) = pages
            .iter()
            .find(|(file, _)| file.contains("one"))
            .expect("a page");
        assert!(
            post.contains("The words of 2015/05/one") && post.contains("../../../../log/00000001-")
        );
    }
}
