//! What pages say to programs: JSON-LD, sitemaps, and the rules for robots.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::web::{
    blog::PostView,
    page::{Blog, first_of, percent_encoded, rfc3339, title_or_slug},
    shell::Network,
};

/// Addresses of one sitemap: the protocol allows 50,000 and 50 MB; a file of these has at most 8 MB,
/// since a slug has at most 200 bytes, each three in an address.
pub const SITEMAP_ADDRESSES_MAX: usize = 10_000;

/// The media type of `sitemap` and `sitemap_index`.
pub const SITEMAP_TYPE: &str = "application/xml; charset=utf-8";

/// A blog. Its posts speak for themselves on their own pages.
pub(crate) fn of_blog(blog: &Blog) -> Value {
    let mut data = json!({
        "@context": "https://schema.org",
        "@type": "Blog",
        "name": blog.title,
        "url": format!("{}/", blog.origin),
        "inLanguage": blog.language,
        "author": author(blog),
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

/// A blog's sitemap with its posts and pages, each with its last change. Where one file would be too
/// long, the address alone is an index of the files, which count from 1.
#[must_use]
pub fn sitemap_of(origin: &str, listed: &[(String, Timestamp)], file: Option<usize>) -> String {
    let files = listed.len().div_ceil(SITEMAP_ADDRESSES_MAX).max(1);
    if files > 1 && file.is_none() {
        let address = |file| format!("{origin}/sitemap.xml?page={file}");
        return sitemap_index(&(1..=files).map(address).collect::<Vec<_>>());
    }
    let from = (file.unwrap_or(1).max(1) - 1).saturating_mul(SITEMAP_ADDRESSES_MAX);
    let newest = listed.iter().map(|(_, changed)| *changed).max();
    let home = (format!("{origin}/"), newest);
    let part = listed.iter().skip(from).take(SITEMAP_ADDRESSES_MAX);
    let part = part.map(|(path, changed)| (format!("{origin}{path}"), Some(*changed)));
    sitemap(&[home].into_iter().chain(part).collect::<Vec<_>>())
}

/// A sitemap of these addresses, each with its last change.
fn sitemap(addresses: &[(String, Option<Timestamp>)]) -> String {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_long_blog_has_a_sitemap_in_files_that_are_short_enough() {
        let origin = "https://maria.blogs.example.org";
        // The longest slug, each of its bytes three in an address.
        let longest = "%D8%A7".repeat(100);
        let changed = Timestamp::UNIX_EPOCH;
        let listed: Vec<_> = (0..=SITEMAP_ADDRESSES_MAX)
            .map(|at| (format!("/{at}{longest}"), changed))
            .collect();
        let short = sitemap_of(origin, &listed[1..], None);
        assert_eq!(short.matches("<url>").count(), SITEMAP_ADDRESSES_MAX + 1);
        assert!(short.len() < 8_000_000, "{}", short.len());
        let index = sitemap_of(origin, &listed, None);
        assert_eq!(index.matches("<sitemap>").count(), 2);
        assert!(index.contains("<loc>https://maria.blogs.example.org/sitemap.xml?page=2</loc>"));
        let files = [1, 2].map(|file| sitemap_of(origin, &listed, Some(file)));
        let all = files.concat();
        let found = all.split("<loc>").filter_map(|rest| rest.split('<').next());
        let found: BTreeSet<&str> = found.filter_map(|at| at.strip_prefix(origin)).collect();
        assert!(listed.iter().all(|(path, _)| found.contains(path.as_str())));
        assert_eq!(all.matches("<url>").count(), listed.len() + files.len());
    }

    #[test]
    fn robots_are_told_what_and_where() {
        let text = robots(&["/api/"], &sitemaps_of("https://a.example", 2));
        let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
        let expected = [
            "User-agent: *",
            "Disallow: /api/",
            "Sitemap: https://a.example/sitemap.xml",
            "Sitemap: https://a.example/sitemap.xml?page=2",
        ];
        assert_eq!(lines, expected);
        assert!(robots(&[], &[]).contains("Disallow:\n"));
    }
}
