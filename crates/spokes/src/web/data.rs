//! What pages say to programs: JSON-LD, sitemaps, and the rules for robots.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::web::{
    blog::PostView,
    page::{Blog, PostLine, first_of, path, percent_encoded, rfc3339, title_or_slug},
    shell::Network,
};

/// Addresses of one sitemap: the protocol allows 50,000 and 50 MB; a file of these has at most 8 MB,
/// since a slug has at most 200 bytes, each three in an address.
pub const SITEMAP_ADDRESSES_MAX: usize = 10_000;

/// The media type of [`sitemap`] and [`sitemap_index`].
pub const SITEMAP_TYPE: &str = "application/xml; charset=utf-8";

/// A blog, with the posts that its page lists.
pub(crate) fn of_blog(blog: &Blog, posts: &[PostLine]) -> Value {
    let post = |post: &PostLine| {
        json!({
            "@type": "BlogPosting",
            "headline": title_or_slug(&post.title, &post.slug),
            "url": format!("{}{}", blog.origin, path(&post.slug)),
            "datePublished": rfc3339(post.date),
            "inLanguage": first_of(&post.language, &blog.language),
        })
    };
    let mut data = json!({
        "@context": "https://schema.org",
        "@type": "Blog",
        "name": blog.title,
        "url": format!("{}/", blog.origin),
        "inLanguage": blog.language,
        "author": author(blog),
        "blogPost": posts.iter().map(post).collect::<Vec<_>>(),
    });
    if !blog.description.is_empty() {
        data["description"] = json!(blog.description);
    }
    data
}

/// A post, or a page of a blog.
pub(crate) fn of_post(view: &PostView, language: &str, address: &str) -> Value {
    let blog = &view.blog;
    let kind = if view.date.is_some() {
        "BlogPosting"
    } else {
        "WebPage"
    };
    let mut data = json!({
        "@context": "https://schema.org",
        "@type": kind,
        "headline": title_or_slug(&view.title, &view.slug),
        "url": address,
        "mainEntityOfPage": address,
        "inLanguage": language,
        "author": author(blog),
        "isPartOf": {
            "@type": "Blog",
            "name": blog.title,
            "url": format!("{}/", blog.origin),
        },
    });
    if let Some(date) = view.date {
        data["datePublished"] = json!(rfc3339(date));
        data["dateModified"] = json!(rfc3339(view.edited.unwrap_or(date)));
    }
    if !view.excerpt.is_empty() {
        data["description"] = json!(view.excerpt);
    }
    if let Some(image) = &view.image {
        data["image"] = json!(image.address);
    }
    if !view.tags.is_empty() {
        data["keywords"] = json!(view.tags);
    }
    data
}

/// The network's front page, and where to search it.
pub(crate) fn of_network(network: &Network) -> Value {
    json!({
        "@context": "https://schema.org",
        "@type": "WebSite",
        "name": network.domain,
        "url": format!("{}/", network.origin),
        "potentialAction": {
            "@type": "SearchAction",
            "target": format!("{}/search?q={{query}}", network.origin),
            "query-input": "required name=query",
        },
    })
}

fn author(blog: &Blog) -> Value {
    json!({
        "@type": "Person",
        "name": first_of(&blog.author, &blog.title),
        "url": format!("{}/", blog.origin),
    })
}

/// A sitemap of these addresses, each with its last change.
#[must_use]
pub fn sitemap(addresses: &[(String, Option<Timestamp>)]) -> String {
    let lines = addresses.iter().map(|(address, changed)| {
        let changed = changed.map(|time| format!("<lastmod>{}</lastmod>", rfc3339(time)));
        let changed = changed.unwrap_or_default();
        format!("<url><loc>{}</loc>{changed}</url>\n", escaped(address))
    });
    document("urlset", lines)
}

/// An index of the sitemaps at these addresses.
#[must_use]
pub fn sitemap_index(addresses: &[String]) -> String {
    let lines = addresses
        .iter()
        .map(|address| format!("<sitemap><loc>{}</loc></sitemap>\n", escaped(address)));
    document("sitemapindex", lines)
}

fn document(root: &str, lines: impl Iterator<Item = String>) -> String {
    let lines: String = lines.collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <{root} xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n{lines}</{root}>\n"
    )
}

/// Addresses are ours and percent-encoded; what comes from a configuration may still hold an `&`.
fn escaped(address: &str) -> String {
    address.replace('&', "&amp;").replace('<', "&lt;")
}

/// What robots may fetch of a host, and where its sitemaps are.
#[must_use]
pub fn robots(kept_from: &[&str], sitemaps: &[String]) -> String {
    let mut text = "User-agent: *\n".to_owned();
    for path in kept_from {
        text.push_str(&format!("Disallow: {path}\n"));
    }
    // No line at all would be as good; some readers of this file want one.
    if kept_from.is_empty() {
        text.push_str("Disallow:\n");
    }
    for address in sitemaps {
        text.push_str(&format!("\nSitemap: {address}\n"));
    }
    text
}

/// The addresses of so many sitemaps of a host.
#[must_use]
pub fn sitemaps_of(origin: &str, files: usize) -> Vec<String> {
    let address = |file: usize| match file {
        1 => format!("{origin}/sitemap.xml"),
        _ => format!(
            "{origin}/sitemap.xml?page={}",
            percent_encoded(&file.to_string())
        ),
    };
    (1..=files.max(1)).map(address).collect()
}
