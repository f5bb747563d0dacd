//! The pages of a blog: its index, its posts, its tags, its archive.

use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};
use spokes_log::draft::{Article, Medium};

use crate::{
    render::cut,
    web::{
        data,
        message::Message,
        page::{
            Blog, ErrorView, HEADLINE_CHARS, Neighbor, PostLine, day, error, feed_links,
            fingerprint, first_of, path, rfc3339, tag_path, title_or_slug,
        },
        shell::{Head, Image, Network, Share, dir, language, served_by, shell},
        trust::proof,
        words::{Tongue, Voice, fill, fill_markup, month_of},
    },
};

/// Pages in the menu above every post. The others wait until somebody asks.
const MENU_PAGES_MAX: usize = 5;

/// Letters of their titles: with the archive they take two lines of a phone.
const MENU_CHARS_MAX: usize = 48;

/// Posts of an archive on one page with all its years: with more, each year has a page of its own, or
/// more of them, so that none has more than 40 KB with its style.
pub(crate) const ARCHIVE_POSTS: usize = 60;

/// Bytes of a picture in a list. There is no smaller copy of one, since each is what its author
/// signed; twenty that come straight from a camera would be as many minutes on a slow line.
const LISTED_PICTURE_BYTES_MAX: u64 = 256 * 1024;

/// A blog's posts, newest first.
#[derive(Clone, Debug)]
pub struct BlogView {
    /// The network.
    pub network: Network,
    /// The blog.
    pub blog: Blog,
    /// The posts of this page of the list.
    pub posts: Vec<PostLine>,
    /// The path of this page of the list: `/`, or `/?page=2`.
    pub path: String,
    /// The path of the page with newer posts.
    pub newer: Option<String>,
    /// The path of the page with older posts.
    pub older: Option<String>,
}

/// One post, or one page such as "About".
#[derive(Clone, Debug)]
pub struct PostView {
    /// The network.
    pub network: Network,
    /// The blog.
    pub blog: Blog,
    /// Its slug, as in its entry.
    pub slug: String,
    /// Its title; may be empty.
    pub title: String,
    /// BCP 47 tag; may be empty, then the blog's counts.
    pub language: String,
    /// The date that its author gave it; none for a page.
    pub date: Option<Timestamp>,
    /// When it was last edited, if it was.
    pub edited: Option<Timestamp>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its first words, for search engines; may be empty.
    pub excerpt: String,
    /// The inner HTML of the article, from [`crate::render::article`] and from nowhere else.
    pub html: String,
    /// Its first picture, if it has one.
    pub image: Option<Image>,
    /// On how many servers it is known to be.
    pub copies: u32,
    /// The fingerprints of the keys that signed it, if they are not just the blog's.
    pub signers: Vec<String>,
    /// The next post in time.
    pub newer: Option<Neighbor>,
    /// The post before.
    pub older: Option<Neighbor>,
}

/// The posts of a blog that bear one tag, newest first.
#[derive(Clone, Debug)]
pub struct TagView {
    /// The tag.
    pub tag: String,
    /// The posts of this page of the list, and the paths around it.
    pub list: BlogView,
}

/// The posts of a blog, newest first; the page groups them by year and month.
#[derive(Clone, Debug)]
pub struct ArchiveView {
    /// The network.
    pub network: Network,
    /// The blog.
    pub blog: Blog,
    /// The posts.
    pub posts: Vec<PostLine>,
    /// All years that have posts, newest first, each with the number of its posts.
    pub years: Vec<(String, u64)>,
    /// The one year whose posts these are, where all would be too many for a page.
    pub only: Option<String>,
    /// What all their addresses begin with, where it is not the archive of all.
    pub below: Option<String>,
    /// The path of the page with newer posts of that year.
    pub newer: Option<String>,
    /// The path of the page with older posts of that year.
    pub older: Option<String>,
}

impl<'a> Head<'a> {
    pub(crate) fn of(blog: &'a Blog) -> Self {
        Self {
            language: &blog.language,
            author: blog.author.clone(),
            feeds: Some("/feed".to_owned()),
            ..Self::default()
        }
    }
}

/// A blog's posts, newest first.
#[must_use]
pub fn blog_index(view: &BlogView) -> String {
    let blog = &view.blog;
    let voice = Voice::around(&blog.language);
    let head = Head {
        title: blog.title.clone(),
        description: blog.description.clone(),
        canonical: Some(format!("{}{}", blog.origin, view.path)),
        older: view.older.clone(),
        newer: view.newer.clone(),
        share: Some(Share {
            title: blog.title.clone(),
            site: blog.title.clone(),
            ..Share::default()
        }),
        data: Some(data::of_blog(blog)),
        class: Some("h-feed"),
        ..Head::of(blog)
    };
    let main = html! {
        main #content tabindex="-1" {
            (notices(blog, voice))
            @if view.posts.is_empty() {
                p lang=[voice.lang] dir=[voice.dir] { (voice.words.no_posts) }
            }
            (list(view, voice))
        }
    };
    let bottom = blog_bottom(&view.network, blog, &blog.language, &html! {});
    shell(&head, &blog_top(blog, true), &main, &bottom)
}

/// Posts, and the ways to those before and after them.
fn list(view: &BlogView, voice: Voice) -> Markup {
    html! {
        @if !view.posts.is_empty() {
            ol.posts { @for post in &view.posts { (post_item(&view.blog, post, voice)) } }
        }
        (pager(view.newer.as_ref(), view.older.as_ref(), voice))
    }
}

/// The ways to the pages of a list before and after this one.
fn pager(newer: Option<&String>, older: Option<&String>, voice: Voice) -> Markup {
    html! {
        @if newer.is_some() || older.is_some() {
            nav.pager aria-label=(voice.words.more_posts) lang=[voice.lang] dir=[voice.dir] {
                @if let Some(newer) = newer { a href=(newer) rel="prev" { (voice.words.newer_posts) } }
                @if let Some(older) = older { a href=(older) rel="next" { (voice.words.older_posts) } }
            }
        }
    }
}

/// One post.
#[must_use]
pub fn post(view: &PostView) -> String {
    let blog = &view.blog;
    let language = first_of(&view.language, &blog.language);
    let address = format!("{}{}", blog.origin, path(&view.slug));
    let voice = Voice::around(language);
    let title = title_or_slug(&view.title, &view.slug);
    let head = Head {
        title: format!("{title} – {}", blog.title),
        description: view.excerpt.clone(),
        language,
        canonical: Some(address.clone()),
        older: view.older.as_ref().map(|post| path(&post.slug)),
        newer: view.newer.as_ref().map(|post| path(&post.slug)),
        share: Some(Share {
            title: title.to_owned(),
            site: blog.title.clone(),
            image: view.image.clone(),
            article: view.date.map(|date| (date, view.edited)),
            tags: view.tags.clone(),
        }),
        data: Some(data::of_post(view, language, &address)),
        ..Head::of(blog)
    };
    let main = html! {
        main.h-entry #content tabindex="-1" {
            (notices(blog, voice))
            header.title {
                h1.p-name { (title) }
                (byline(view, &address, voice))
            }
            article.e-content { (PreEscaped(&view.html)) }
            @if !view.tags.is_empty() {
                ul.tags aria-label=(voice.words.tags) {
                    @for tag in &view.tags {
                        li { a.p-category href=(tag_path(tag)) rel="tag" { bdi { (tag) } } }
                    }
                }
            }
        }
        @if view.newer.is_some() || view.older.is_some() {
            nav.pager aria-label=(voice.words.neighbors) {
                @if let Some(post) = &view.newer { (neighbor(blog, post, voice, voice.words.newer, "prev")) }
                @if let Some(post) = &view.older { (neighbor(blog, post, voice, voice.words.older, "next")) }
            }
        }
    };
    let proof = proof(view, &address, voice);
    let bottom = blog_bottom(&view.network, blog, language, &proof);
    shell(&head, &blog_top(blog, false), &main, &bottom)
}

/// Who wrote a post, and when. A page says it to programs only.
fn byline(view: &PostView, address: &str, voice: Voice) -> Markup {
    let blog = &view.blog;
    let author = html! {
        a.p-author.h-card href=(format!("{}/", blog.origin)) {
            bdi { (first_of(&blog.author, &blog.title)) }
        }
    };
    html! {
        p.facts lang=[voice.lang] dir=[voice.dir] {
            @if let Some(date) = view.date {
                a.u-url href=(address) { (day(date, voice, "dt-published")) }
                " " span { (fill_markup(voice.words.by, &[("author", author)])) }
            } @else {
                data.u-url value=(address) {}
            }
            @if let Some(edited) = view.edited {
                " " span {
                    (fill_markup(voice.words.edited, &[("day", day(edited, voice, "dt-updated"))]))
                }
            }
        }
    }
}

/// The posts of a blog that bear one tag.
#[must_use]
pub fn tag(view: &TagView) -> String {
    let (blog, list_view) = (&view.list.blog, &view.list);
    let voice = Voice::around(&blog.language);
    let address = tag_path(&view.tag);
    let head = Head {
        title: format!("{} – {}", view.tag, blog.title),
        canonical: Some(format!("{}{}", blog.origin, list_view.path)),
        feeds: Some(format!("{address}/feed")),
        older: list_view.older.clone(),
        newer: list_view.newer.clone(),
        class: Some("h-feed"),
        // A tag that nobody uses is nobody's destination.
        noindex: list_view.posts.is_empty(),
        ..Head::of(blog)
    };
    let main = html! {
        main #content tabindex="-1" {
            (notices(blog, voice))
            header.title {
                p.quiet lang=[voice.lang] dir=[voice.dir] { (voice.words.posts_tagged) }
                h1.p-name { bdi { (view.tag) } }
            }
            @if list_view.posts.is_empty() {
                p lang=[voice.lang] dir=[voice.dir] { (voice.words.nothing_tagged) }
            }
            (list(list_view, voice))
            p.quiet lang=[voice.lang] dir=[voice.dir] { (feed_links(&format!("{address}/feed"), voice)) }
        }
    };
    let bottom = blog_bottom(&list_view.network, blog, &blog.language, &html! {});
    shell(&head, &blog_top(blog, false), &main, &bottom)
}

/// The posts of a blog by year and month.
#[must_use]
pub fn archive(view: &ArchiveView) -> String {
    let blog = &view.blog;
    let voice = Voice::around(&blog.language);
    let path = match (&view.below, &view.only) {
        (Some(below), _) => path(below.trim_end_matches('/')),
        (None, Some(year)) => format!("/archive?year={year}"),
        (None, None) => "/archive".to_owned(),
    };
    let heading = view.below.as_deref().unwrap_or(voice.words.archive);
    let head = Head {
        title: format!("{heading} – {}", blog.title),
        canonical: Some(format!("{}{path}", blog.origin)),
        older: view.older.clone(),
        newer: view.newer.clone(),
        class: Some("h-feed"),
        ..Head::of(blog)
    };
    let years = view.posts.chunk_by(|one, next| year(one) == year(next));
    let main = html! {
        main #content tabindex="-1" {
            (notices(blog, voice))
            @match &view.below {
                Some(below) => h1.p-name dir="ltr" { (below) },
                None => h1.p-name lang=[voice.lang] dir=[voice.dir] { (voice.words.archive) },
            }
            @if view.years.len() > 1 { (year_links(view, voice)) }
            @for posts in years { (archive_year(blog, posts, voice)) }
            (pager(view.newer.as_ref(), view.older.as_ref(), voice))
            @if view.posts.is_empty() {
                p lang=[voice.lang] dir=[voice.dir] { (voice.words.no_posts) }
            }
        }
    };
    let bottom = blog_bottom(&view.network, blog, &blog.language, &html! {});
    shell(&head, &blog_top(blog, false), &main, &bottom)
}

/// To the years of the archive: further down, or on pages of their own.
fn year_links(view: &ArchiveView, voice: Voice) -> Markup {
    html! {
        nav.chips aria-label=(voice.words.years) lang=[voice.lang] dir=[voice.dir] {
            @for (year, posts) in &view.years {
                @let address = match view.only {
                    Some(_) => format!("/archive?year={year}"),
                    None => format!("#y{year}"),
                };
                @let current = view.only.as_ref() == Some(year);
                a href=(address) aria-current=[current.then_some("page")]
                    title=(voice.count(|noun| noun.posts, *posts)) { (voice.tongue.digits(year)) }
            }
        }
    }
}

fn archive_year(blog: &Blog, posts: &[PostLine], voice: Voice) -> Markup {
    let of_year = posts.first().map(year).unwrap_or_default();
    let months = posts.chunk_by(|one, next| month(one) == month(next));
    html! {
        section aria-labelledby=(format!("y{of_year}")) {
            h2 id=(format!("y{of_year}")) lang=[voice.lang] dir=[voice.dir] { (voice.tongue.digits(&of_year)) }
            @for posts in months {
                @if let Some(first) = posts.first() {
                    h3 { (month_of(voice.page_language, first.date)) }
                }
                ol.archive {
                    @for post in posts {
                        @let language_of = first_of(&post.language, &blog.language);
                        li.h-entry {
                            time.dt-published datetime=(rfc3339(post.date)) {
                                (voice.tongue.digits(&post.date.strftime("%-d").to_string()))
                            }
                            " "
                            a.u-url.p-name href=(path(&post.slug)) lang=[language(language_of)] dir=[dir(language_of)] {
                                (title_or_slug(&post.title, &post.slug))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Nothing is at this address; with `late`, perhaps nothing yet.
#[must_use]
pub fn not_found(network: &Network, blog: Option<&Blog>, late: bool, tongue: Tongue) -> String {
    let message = match (blog, late) {
        (None, _) => Message::no_such_page(tongue, &network.domain),
        (Some(_), false) => Message::no_such_post(tongue),
        (Some(_), true) => Message::no_such_post_yet(tongue),
    };
    error(&ErrorView {
        network: network.clone(),
        blog: blog.cloned(),
        message,
    })
}

/// A blog's name and menu. Its title is the page's heading only where no post's is.
pub(crate) fn blog_top(blog: &Blog, is_heading: bool) -> Markup {
    let voice = Voice::around(&blog.language);
    let (first, others) = blog.pages.split_at(menu_pages(&blog.pages));
    html! {
        header.top.masthead[is_heading] lang=[language(&blog.language)] dir=[dir(&blog.language)] {
            @if is_heading {
                h1.name.p-name { a.u-url href="/" { (blog.title) } }
                @if !blog.description.is_empty() { p.p-summary { (blog.description) } }
            } @else {
                p.name { a href="/" { (blog.title) } }
            }
            nav aria-label=(voice.words.menu) {
                @for page in first { (page_link(page)) }
                a href="/archive" lang=[voice.lang] dir=[voice.dir] { (voice.words.archive) }
                @if !others.is_empty() {
                    details {
                        summary lang=[voice.lang] dir=[voice.dir] { (voice.words.more_pages) }
                        @for page in others { (page_link(page)) }
                    }
                }
            }
        }
    }
}

/// How many pages have room in the menu.
fn menu_pages(pages: &[Neighbor]) -> usize {
    let mut chars = 0;
    let fits = |page: &&Neighbor| {
        chars += title_or_slug(&page.title, &page.slug).chars().count();
        chars <= MENU_CHARS_MAX
    };
    pages.iter().take(MENU_PAGES_MAX).take_while(fits).count()
}

fn page_link(page: &Neighbor) -> Markup {
    html! {
        a href=(path(&page.slug)) lang=[language(&page.language)] {
            bdi { (title_or_slug(&page.title, &page.slug)) }
        }
        " "
    }
}

/// Where the blog lives and how to check it; `proof` says more where the page shows a post.
pub(crate) fn blog_bottom(
    network: &Network,
    blog: &Blog,
    page_language: &str,
    proof: &Markup,
) -> Markup {
    let voice = Voice::around(page_language);
    let words = voice.words;
    let author = match blog.author.as_str() {
        "" => html! { (words.its_author) },
        author => html! { bdi { (author) } },
    };
    let servers: Vec<Markup> = (blog.replicas.iter())
        .map(|label| html! { bdi { (label) } })
        .collect();
    let silent: Vec<Markup> = (blog.waits.iter())
        .map(|label| html! { bdi { (label) } })
        .collect();
    let held = [
        ("servers", voice.list(&servers)),
        ("primary", html! { bdi { (blog.primary) } }),
        ("silent", voice.list(&silent)),
    ];
    let held_by = match servers.len() {
        _ if !silent.is_empty() => words.held_by_waits,
        1 => words.held_by_one,
        _ => words.held_by,
    };
    let signed = [
        ("author", author),
        (
            "fingerprint",
            html! { a href="/key.asc" { (fingerprint(&blog.fingerprint)) } },
        ),
    ];
    html! {
        footer.bottom lang=[voice.lang] dir=[voice.dir] {
            (proof)
            p { (fill_markup(held_by, &held)) " " (fill_markup(words.signed_with, &signed)) }
            (served_by(network, voice))
            p.links {
                a href="/about" { (words.how_kept) } " "
                span { (feed_links("/feed", voice)) } " "
                // To the desk of the blog's primary (SPEC http 5).
                a href="/_/desk" rel="nofollow" { (words.write) }
            }
        }
    }
}

pub(crate) fn notices(blog: &Blog, voice: Voice) -> Markup {
    html! {
        @if blog.late {
            p.notice lang=[voice.lang] dir=[voice.dir] { (voice.words.late) }
        }
        @if let Some(sequence) = blog.may_lack_after {
            p.notice lang=[voice.lang] dir=[voice.dir] {
                (fill(voice.words.may_lack, &[("number", &voice.tongue.number(sequence))]))
            }
        }
    }
}

/// The path of an article's first picture, if that is light enough for a list.
#[must_use]
pub fn listed_picture(article: &Article) -> Option<String> {
    let is_picture = |medium: &&Medium| {
        // A drawing (SVG) is mostly a sign or a diagram, of which a corner says nothing.
        let kind = medium.kind.as_str();
        kind.starts_with("image/") && kind != "image/svg+xml"
    };
    let first = article.media.iter().find(is_picture)?;
    let is_light = first.bytes <= LISTED_PICTURE_BYTES_MAX;
    is_light.then(|| format!("/media/{}", first.hash.path()))
}

fn post_item(blog: &Blog, post: &PostLine, voice: Voice) -> Markup {
    let language_of = first_of(&post.language, &blog.language);
    html! {
        li.h-entry {
            div lang=[language(language_of)] dir=[dir(language_of)] {
                h2 {
                    a.u-url.p-name href=(path(&post.slug)) {
                        @if let Some(picture) = &post.picture {
                            // Beside its title it needs no words. The style gives it this size.
                            img src=(picture) alt="" width="144" height="96" loading="lazy";
                        }
                        (title_or_slug(&post.title, &post.slug))
                    }
                }
                p.facts { (day(post.date, voice, "dt-published")) }
                @if !post.excerpt.is_empty() { p.p-summary { (cut(&post.excerpt, excerpt_chars(&post.excerpt))) } }
            }
        }
    }
}

/// Characters of an excerpt: letters that take three bytes say more each, and twenty excerpts of any
/// script stay with the style near 40 KB.
fn excerpt_chars(excerpt: &str) -> usize {
    let chars = excerpt.chars().count();
    if excerpt.len() > chars * 5 / 2 {
        HEADLINE_CHARS
    } else {
        chars
    }
}

fn neighbor(blog: &Blog, post: &Neighbor, voice: Voice, word: &str, rel: &str) -> Markup {
    let language_of = first_of(&post.language, &blog.language);
    html! {
        a href=(path(&post.slug)) rel=(rel) {
            span.quiet lang=[voice.lang] dir=[voice.dir] { (word) } " "
            span lang=[language(language_of)] dir=[dir(language_of)] {
                (title_or_slug(&post.title, &post.slug))
            }
        }
    }
}

fn year(post: &PostLine) -> String {
    post.date.strftime("%Y").to_string()
}

fn month(post: &PostLine) -> String {
    post.date.strftime("%Y-%m").to_string()
}

#[cfg(test)]
mod tests {
    use spokes_log::{
        name::{Hash, MediaType, Slug, Tags},
        time::Time,
    };

    use super::*;

    fn article(media: &[(u64, &str)]) -> Article {
        let medium = |(at, (bytes, kind)): (usize, &(u64, &str))| Medium {
            hash: Hash::of(&[at as u8]),
            bytes: *bytes,
            kind: MediaType::parse(kind).expect("a media type"),
            alt: None,
        };
        Article {
            date: Time::from_unix(0),
            slug: Slug::parse("walk").expect("a slug"),
            title: None,
            language: None,
            tags: Tags(Vec::new()),
            aliases: Vec::new(),
            replaces: None,
            media: media.iter().enumerate().map(medium).collect(),
        }
    }

    #[test]
    fn lists_show_the_first_picture_if_it_is_light() {
        let shown = |media: &[(u64, &str)]| listed_picture(&article(media));
        let path = |at: u8| Some(format!("/media/{}", Hash::of(&[at]).path()));
        let most = LISTED_PICTURE_BYTES_MAX;
        assert_eq!(shown(&[]), None);
        assert_eq!(
            shown(&[(1, "application/pdf"), (most, "image/jpeg")]),
            path(1)
        );
        assert_eq!(shown(&[(most + 1, "image/jpeg")]), None);
        // Another picture than the first would say something else.
        assert_eq!(shown(&[(most + 1, "image/jpeg"), (1, "image/png")]), None);
        assert_eq!(shown(&[(1, "image/svg+xml"), (1, "image/png")]), path(1));
    }
}
