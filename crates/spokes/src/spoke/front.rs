//! The network's own pages: its front, and what this server knows of it.

use std::{
    collections::{BTreeSet, hash_map::DefaultHasher},
    hash::Hasher as _,
    sync::{Arc, atomic::Ordering},
};

use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use spokes_rules::{node::Label, registry::Standing};

use super::{
    Spoke,
    finished::{Finished, HTML, PLAIN, Varies, found, send},
    headlines::Told,
    latest::{Notice, What},
    pages::timestamp,
};
use crate::{
    http::{self as web, Response},
    index::query::primary_subtag,
    web::{
        data,
        front::{CircleLines, NoticeLine, Noticed, SpokeState},
        message::Message,
        page::{self, PostLine, SpokeLine},
        words::Tongue,
    },
};

/// Characters of a post without a title that stand for one.
const TITLE_CHARS: usize = 60;

/// How long browsers keep the style: a page of a newer program may be read with the older one meanwhile.
const FIXTURES_KEPT: &str = "public, max-age=600";

/// What a reader of the network's own pages would like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wish {
    /// The language of the words.
    pub(super) tongue: Tongue,
    /// Whether the address says so, and not only the browser.
    pub(super) says_tongue: bool,
}

impl Wish {
    pub(super) fn of(request: &Request<Incoming>) -> Self {
        let asked = web::query(request);
        let asked = asked.get("ui").and_then(|tag| Tongue::spoken(tag));
        let accepted = request.headers().get(header::ACCEPT_LANGUAGE);
        let accepted = accepted.and_then(|a| a.to_str().ok()).unwrap_or_default();
        Self {
            tongue: asked.unwrap_or_else(|| Tongue::accepted(accepted)),
            says_tongue: asked.is_some(),
        }
    }
}

/// A number that changes with what is hashed.
pub(super) fn stamp_of(what: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

impl Spoke {
    /// Answers for the network's own host.
    pub(super) async fn network_page(
        self: &Arc<Self>,
        path: &str,
        request: &Request<Incoming>,
    ) -> Response {
        match path {
            "/" => self.front(request),
            "/search" => self.search(request).await,
            "/search.atom" => self.search_feed("atom", request).await,
            "/search.rss" => self.search_feed("rss", request).await,
            "/search.json" => self.search_feed("json", request).await,
            "/status" => self.status_page(request),
            // The network tells about itself where it shows its servers.
            "/about" => found("/status"),
            "/sitemap.xml" => self.network_sitemap(request),
            "/robots.txt" => {
                let sitemaps = data::sitemaps_of(&self.config.base_url, self.network_sitemaps());
                let kept_from = ["/api/", "/search", "/_/desk"];
                web::answer(StatusCode::OK, PLAIN, data::robots(&kept_from, &sitemaps))
            }
            _ if path.starts_with("/feed.") => self.network_feed(path, request).await,
            _ => {
                let message = Message::no_such_page(Wish::of(request).tongue, &self.domain());
                self.message(None, &message)
            }
        }
    }

    /// The network's front page.
    fn front(self: &Arc<Self>, request: &Request<Incoming>) -> Response {
        let wish = Wish::of(request);
        let known = self.latest.known();
        let age_seconds = self.latest.age_seconds();
        let is_gathering = self.latest.is_gathering();
        let languages = languages(&known.all);
        let only = web::query(request)
            .get("lang")
            .and_then(|tag| primary_subtag(tag));
        let records = *self.followed.borrow();
        let stamp = stamp_of(&(known.version, records, age_seconds, is_gathering));
        let key = format!("/ {only:?} {wish:?}");
        if let Some(finished) = self.rendered.finished(&key, stamp) {
            return send(request, &finished);
        }
        let latest = known.latest(|told| only.as_ref().is_none_or(|only| language(told) == only));
        let facts = self.ask(|registry| {
            let groups: BTreeSet<&str> = registry
                .admitted()
                .map(|(_, spoke)| spoke.operator.as_str())
                .collect();
            let spokes = registry.admitted().count() as u64;
            (registry.blogs().count() as u64, spokes, groups.len() as u64)
        });
        let (blogs, spokes, groups) = facts.unwrap_or_default();
        let view = page::FrontView {
            network: self.network_view(),
            latest: latest.iter().map(|told| self.headline(told)).collect(),
            languages,
            only,
            blogs,
            spokes,
            groups,
            age_seconds,
            is_gathering,
            start_command: format!(
                "spokes blog create NAME --network {} --key FINGERPRINT",
                self.config.base_url
            ),
            tongue: wish.tongue,
            says_tongue: wish.says_tongue,
        };
        let is_listed = view.only.is_none() || !view.latest.is_empty();
        let made = Finished::new(stamp, HTML, Varies::ByLanguage, page::front(&view));
        // Strangers choose what they ask for: a language that nobody writes in leaves nothing behind.
        if !is_listed {
            return send(request, &made);
        }
        send(request, &self.rendered.finish(key, made))
    }

    /// A headline for a page.
    pub(super) fn headline(&self, told: &Told) -> page::Headline {
        let headline = &told.headline;
        let title = headline.title.clone();
        page::Headline {
            blog_origin: self.origin(headline.name.as_str()),
            blog_title: headline.blog_title.clone(),
            blog_language: headline.language.to_string(),
            post: PostLine {
                slug: headline.slug.to_string(),
                title: title
                    .unwrap_or_else(|| headline.excerpt.chars().take(TITLE_CHARS).collect()),
                language: headline.language.to_string(),
                date: timestamp(headline.date),
                excerpt: headline.excerpt.clone(),
                // It lies on another host than the page.
                picture: None,
            },
        }
    }

    /// The style sheet and the icon, which every host has.
    pub(super) fn fixture(&self, path: &str, request: &Request<Incoming>) -> Option<Response> {
        let (kind, body): (_, fn() -> String) = match path {
            page::STYLE_PATH => ("text/css; charset=utf-8", page::compact_style),
            page::ICON_PATH | "/favicon.ico" => ("image/svg+xml", || page::ICON.to_owned()),
            _ => return None,
        };
        let finished = self.rendered.finished(path, 0).unwrap_or_else(|| {
            let made = Finished::new(0, kind, Varies::No, body());
            self.rendered.finish(path.to_owned(), made)
        });
        let mut response = send(request, &finished);
        let headers = response.headers_mut();
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static(FIXTURES_KEPT),
        );
        Some(response)
    }

    /// What this server knows of the network, for people.
    fn status_page(self: &Arc<Self>, request: &Request<Incoming>) -> Response {
        let wish = Wish::of(request);
        let entries = self.store.entries().unwrap_or(0);
        let mended = self.mended.load(Ordering::Relaxed);
        let age_seconds = self.latest.age_seconds();
        let records = *self.followed.borrow();
        let noticed = self.noticed();
        let seen: Vec<_> = noticed.iter().map(|n| (&n.about, n.times)).collect();
        let stamp = stamp_of(&(entries, mended, age_seconds, records, seen));
        let key = format!("/status {wish:?}");
        if let Some(finished) = self.rendered.finished(&key, stamp) {
            return send(request, &finished);
        }
        let facts = self.ask(|registry| {
            let line = |(label, spoke): (&Label, &spokes_rules::registry::Spoke)| SpokeLine {
                label: ToString::to_string(label),
                operator: spoke.operator.to_string(),
                state: state_of(spoke),
                blogs: registry.blogs_on(label) as u64,
            };
            let spokes: Vec<SpokeLine> = registry.spokes().map(line).collect();
            let blogs = registry.blogs().count() as u64;
            (spokes, blogs, registry.head().records)
        });
        let (spokes, blogs, records) = facts.unwrap_or_default();
        let view = page::StatusView {
            network: self.network_view(),
            id: self.network.to_string(),
            spokes,
            blogs,
            records,
            entries,
            mended,
            started: timestamp(self.started),
            age_seconds,
            circles: self.circle_lines(),
            noticed: noticed.iter().map(notice_line).collect(),
            tongue: wish.tongue,
            says_tongue: wish.says_tongue,
        };
        let made = Finished::new(stamp, HTML, Varies::ByLanguage, page::status(&view));
        send(request, &self.rendered.finish(key, made))
    }

    /// Where this spoke stands among the circles.
    pub(super) fn circle_lines(&self) -> CircleLines {
        let circled = self.latest.circled();
        let circles = &circled.circles;
        let labels = |labels: &[Label]| labels.iter().map(Label::to_string).collect();
        let around = circles.around(&self.me).first().copied();
        CircleLines {
            levels: circles.depth() as u64,
            circle: around.map_or_else(Vec::new, |circle| labels(circles.spokes(circle))),
            aggregators: around.map_or_else(Vec::new, |circle| labels(&circle.aggregators)),
            inner: labels(&circles.inner),
        }
    }
}

fn notice_line(notice: &Notice) -> NoticeLine {
    NoticeLine {
        spoke: notice.about.to_string(),
        what: match notice.what {
            What::Invents => Noticed::Invents,
            What::LeavesOut => Noticed::LeavesOut,
            What::BringsBack => Noticed::BringsBack,
        },
        blog: notice
            .blog
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        last: timestamp(notice.last),
    }
}

fn state_of(spoke: &spokes_rules::registry::Spoke) -> SpokeState {
    match (spoke.standing, spoke.health.down) {
        (Standing::Applied { since }, _) => SpokeState::Applied(timestamp(since)),
        (Standing::Evicted { since }, _) => SpokeState::Evicted(timestamp(since)),
        (_, Some(since)) => SpokeState::Silent(timestamp(since)),
        (Standing::Admitted { since }, None) => SpokeState::Admitted(timestamp(since)),
        (Standing::Leaving { since }, None) => SpokeState::Leaving(timestamp(since)),
    }
}

/// The language of a post without its regions and scripts.
fn language(told: &Told) -> &str {
    let tag = told.headline.language.as_str();
    tag.split('-').next().unwrap_or(tag)
}

/// The languages of these posts.
fn languages(all: &[Arc<Told>]) -> Vec<String> {
    let all: BTreeSet<&str> = all.iter().map(|told| language(told)).collect();
    all.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_asks_for_a_language_whatever_its_region() {
        for (asked, language) in [
            ("hi", Some("hi")),
            ("HI-Deva-IN", Some("hi")),
            ("zh_TW", Some("zh")),
            ("", None),
            ("h", None),
            ("<script>", None),
            ("abcdefghi", None),
        ] {
            assert_eq!(primary_subtag(asked).as_deref(), language, "{asked}");
        }
    }
}
