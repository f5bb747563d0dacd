//! How a reader can know what she reads: the page about a blog, and the proof below a post.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::web::{
    blog::{PostView, blog_bottom, blog_top, notices},
    page::{Blog, day, fingerprint, first_of, path},
    shell::{Head, Network, shell},
    words::{Voice, Words, fill, fill_markup},
};

/// The page about a blog: who keeps it, how safe it is, whose words these are.
#[derive(Clone, Debug)]
pub struct AboutView {
    /// The network.
    pub network: Network,
    /// The blog.
    pub blog: Blog,
    /// The servers of its set, the primary first.
    pub members: Vec<Member>,
    /// When the network took it in.
    pub since: Timestamp,
    /// The number of its set of servers.
    pub epoch: u64,
    /// The sequence number of its newest entry, if it has one here.
    pub newest: Option<u64>,
    /// Whether a majority of the set has signed receipts for that.
    pub is_safe: bool,
    /// The author's key as it names her, with her address; may be empty.
    pub user_id: String,
    /// The path of a post to check; none where there are no posts yet.
    pub example: Option<String>,
}

/// A server that holds a blog.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its label.
    pub label: String,
    /// The group that runs it; may be empty.
    pub operator: String,
    /// Whether it has signed that it holds the newest entry and all before it.
    pub has_newest: bool,
}

/// The page about a blog.
#[must_use]
pub fn about(view: &AboutView) -> String {
    let blog = &view.blog;
    let voice = Voice::around(&blog.language);
    let words = voice.words;
    let head = Head {
        title: format!("{} – {}", words.about, blog.title),
        description: blog.description.clone(),
        canonical: Some(format!("{}/about", blog.origin)),
        ..Head::of(blog)
    };
    let main = html! {
        main #content tabindex="-1" {
            (notices(blog, voice))
            h1 lang=[voice.lang] dir=[voice.dir] { (words.about) }
            @if !blog.description.is_empty() { p { (blog.description) } }
            div lang=[voice.lang] dir=[voice.dir] {
                (keepers(view, voice))
                (safety(view, voice))
                (author(view, voice))
                (programs(blog, voice))
            }
        }
    };
    let bottom = blog_bottom(&view.network, blog, &blog.language, &html! {});
    shell(&head, &blog_top(blog, false), &main, &bottom)
}

fn keepers(view: &AboutView, voice: Voice) -> Markup {
    let words = voice.words;
    let home = html! {
        a href=(format!("{}/", view.network.origin)) { bdi { (view.network.domain) } }
    };
    let since = [("network", home), ("day", day(view.since, voice, "since"))];
    let epoch = voice.tongue.number(view.epoch);
    html! {
        section {
            h2 { (words.about_where) }
            p {
                (fill_markup(words.about_since, &since)) " "
                (fill(words.about_epoch, &[("number", &epoch)])) " " (words.about_roles)
            }
            div.wide tabindex="0" role="region" aria-label=(words.about_where) {
                table {
                    thead {
                        tr {
                            th scope="col" { (words.about_server) }
                            th scope="col" { (words.about_operator) }
                            th scope="col" { (words.about_role) }
                            th scope="col" { (words.about_newest) }
                        }
                    }
                    tbody {
                        @for (at, member) in view.members.iter().enumerate() {
                            tr {
                                th scope="row" { bdi { (member.label) } }
                                td { bdi { (member.operator) } }
                                td { (if at == 0 { words.role_primary } else { words.role_secondary }) }
                                td { (has_all(member, &view.blog, words)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn safety(view: &AboutView, voice: Voice) -> Markup {
    let (words, tongue) = (voice.words, voice.tongue);
    let have = view
        .members
        .iter()
        .filter(|member| member.has_newest)
        .count() as u64;
    let (have, all) = (
        tongue.number(have),
        tongue.number(view.members.len() as u64),
    );
    let held = fill(words.about_held, &[("have", &have), ("all", &all)]);
    let is_alone = view.members.len() == 1;
    let (text, means) = match (view.is_safe, is_alone) {
        // It is no majority that would outlive a disk.
        (true, true) => (words.about_safe_one, words.about_safe_one_means),
        (true, false) => (words.about_safe, words.about_safe_means),
        (false, true) => (words.about_not_safe, words.about_safe_one_means),
        (false, false) => (words.about_not_safe, words.about_safe_means),
    };
    let number = tongue.number(view.newest.unwrap_or_default());
    let labels = view.blog.waits.iter();
    let silent: Vec<Markup> = labels.map(|label| html! { bdi { (label) } }).collect();
    let waits = [
        ("silent", voice.list(&silent)),
        ("network", html! { bdi { (view.network.domain) } }),
        ("number", html! { (number) }),
    ];
    html! {
        section {
            h2 { (words.about_safe_heading) }
            @if !silent.is_empty() {
                // Whose receipts are missing cannot give any now: that says nothing of what was safe before.
                p { (fill_markup(words.about_waits, &waits)) }
            } @else if view.newest.is_some() {
                p { (fill(text, &[("number", &number), ("held", &held)])) }
            }
            p { (means) }
        }
    }
}

fn has_all(member: &Member, blog: &Blog, words: &Words) -> &'static str {
    match member.has_newest {
        _ if blog.waits.contains(&member.label) => words.about_silent,
        true => words.yes,
        false => words.not_said,
    }
}

fn author(view: &AboutView, voice: Voice) -> Markup {
    let (words, blog) = (voice.words, &view.blog);
    let user_id = html! { bdi { (first_of(&view.user_id, &blog.author)) } };
    html! {
        section {
            h2 { (words.about_author) }
            p { (fill_markup(words.about_author_is, &[("user_id", user_id)])) }
            p { (words.about_fingerprint) }
            p.key { (fingerprint(&blog.fingerprint)) }
            p { a href="/key.asc" { (words.about_key) } }
            @if let Some(example) = &view.example {
                p { (words.about_check) }
                (commands(&blog.origin, &format!("{}{example}", blog.origin)))
                p { (words.about_check_any) " " (words.check_compare) }
            }
        }
    }
}

fn programs(blog: &Blog, voice: Voice) -> Markup {
    let words = voice.words;
    let facts = format!("/api/v1/blogs/{}", blog.name);
    let places = [
        ("facts", html! { a href=(facts) { (words.facts) } }),
        (
            "receipts",
            html! { a href=(format!("{facts}/receipts")) { (words.receipts) } },
        ),
        (
            "entries",
            html! { a href=(format!("{facts}/entries")) { (words.entries) } },
        ),
    ];
    html! { p.quiet { (fill_markup(words.about_programs, &places)) } }
}

/// How a reader can check a post without trusting us.
pub(crate) fn proof(view: &PostView, address: &str, voice: Voice) -> Markup {
    let source = path(&view.slug);
    let words = voice.words;
    let sources = [
        (
            "text",
            html! { a href=(format!("{source}.txt")) { (words.source_text) } },
        ),
        (
            "sealed",
            html! { a href=(format!("{source}.asc")) { (words.source_sealed) } },
        ),
    ];
    html! {
        p {
            (voice.count(|noun| noun.copies, u64::from(view.copies))) " "
            (fill_markup(words.source, &sources))
            @for signer in &view.signers {
                " " (fill_markup(words.signed_by, &[("fingerprint", fingerprint(signer))]))
            }
        }
        details {
            summary { (words.check) }
            p { (words.check_how) }
            (commands(&view.blog.origin, address))
            p { (words.check_compare) }
        }
    }
}

fn commands(origin: &str, address: &str) -> Markup {
    let check = format!("curl {origin}/key.asc | gpg --import\ncurl {address}.asc | gpg --verify");
    html! { pre tabindex="0" dir="ltr" { code { (check) } } }
}
