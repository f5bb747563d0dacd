//! Signing in, and what one finds then.

use maud::html;

use super::{
    DESK, FORGET, Frame, Line, Signing, carried, file_name, line, named, servers, shown, signing,
};
use crate::{
    desk::Fields,
    web::{
        shell::name,
        words::{DeskWords, fill, fill_markup},
    },
};

/// The place of the author's own address in a command.
const YOU: &str = "you@example.org";

/// The page on which one signs in.
pub(crate) struct SignInView<'a> {
    /// What to sign.
    pub(crate) challenge: String,
    /// What must stand in the browser's address line.
    pub(crate) address: String,
    /// Whether somebody signed out just now: then the browser forgets the pages that it keeps.
    pub(crate) has_left: bool,
    /// What was pasted before.
    pub(crate) answer: String,
    /// The blog's name as typed.
    pub(crate) blog: String,
    /// The public key as pasted.
    pub(crate) key: String,
    /// The name that she came to ask for, and the address of the form that has all that she typed.
    pub(crate) wants: Option<(String, String)>,
    /// What was typed on another page before the session ended: as JSON, and to be seen.
    pub(crate) kept: Option<(String, &'a Fields)>,
}

/// The page on which one signs in.
pub(crate) fn sign_in(frame: &Frame, view: &SignInView<'_>) -> String {
    let words = frame.words();
    let file = file_name(&["sign-in"], &view.challenge);
    let ways = Signing {
        text: &view.challenge,
        // A file of its own, as good as what is shown: each is signed once.
        file_path: format!("{DESK}/{file}"),
        file: &file,
        fingerprint: None,
        answer: &view.answer,
    };
    let address = html! { strong dir="ltr" { (name(&view.address)) } };
    let check = html! {
        p { (fill_markup(words.check_address, &[("address", address)])) }
    };
    // Without a name it would write the whole ring, and two keys are nobody's.
    let export = html! { code { "gpg --armor --export-options export-minimal --export " (YOU) } };
    let you = html! { bdi dir="ltr" { (YOU) } };
    let body = html! {
        @if view.has_left { img src=(FORGET) alt="" width="0" height="0"; }
        (shown(words, view.kept.as_ref().map(|(_, fields)| *fields)))
        @if let Some((name, _)) = view.wants.as_ref().filter(|(name, _)| !name.is_empty()) {
            p { (fill(words.goes_along, &[("name", &named(frame.tongue, name))])) }
        }
        p { (words.no_password) }
        form method="post" action=(format!("{DESK}/sign-in")) {
            (signing(words, &ways, &check))
            p.hint { (words.soon) }
            (line(&Line {
                name: "blog", label: html! { (words.blog_if) }, value: &view.blog,
                hint: Some(html! { (words.blog_if_hint) }), dir: "ltr", required: false,
            }))
            details open[!view.key.is_empty() || view.blog.is_empty()] {
                summary { (words.key_if_short) }
                p.field {
                    label for="key" { (fill_markup(words.key_if, &[("command", export), ("you", you)])) }
                    textarea #key name="key" rows="4" dir="ltr" autocomplete="off" spellcheck="false" { "\n" (view.key) }
                }
            }
            (carried(view.kept.as_ref().map(|(json, _)| json.as_str())))
            @if let Some((_, wants)) = &view.wants { input type="hidden" name="wants" value=(wants); }
            p { button.main { (words.sign_in) } }
        }
        details {
            summary { (words.no_key) }
            p { (words.no_key_how) }
            pre tabindex="0" dir="ltr" { code { "gpg --quick-generate-key \"Your Name <" (YOU) ">\" ed25519 sign never" } }
            p { (words.no_key_keep) }
        }
        form method="get" action=(format!("{DESK}/find")) {
            (line(&Line {
                name: "name", label: html! { (words.other_desk_go) }, value: "",
                hint: None, dir: "ltr", required: true,
            }))
            p { button { (words.go) } }
        }
    };
    frame.page(words.sign_in, &body)
}

/// Where the desk of a blog is. A form must not lead to another host (`form-action 'self'`), a link may.
pub(crate) struct FoundView {
    /// The blog's name.
    pub(crate) name: String,
    /// The servers that keep it, the primary first, with their desks.
    pub(crate) desks: Vec<(String, String)>,
}

/// Where the desk of a blog is.
pub(crate) fn found(frame: &Frame, view: &FoundView) -> String {
    let words = frame.words();
    let body = html! {
        p { (words.found) }
        (desks(words, &view.desks))
    };
    let name = named(frame.tongue, &view.name);
    frame.page(&fill(words.found_title, &[("name", &name)]), &body)
}

/// The primary's desk first: there new posts are taken. The others in case it does not answer.
fn desks(words: &DeskWords, desks: &[(String, String)]) -> maud::Markup {
    html! {
        @if let Some(((label, desk), others)) = desks.split_first() {
            p { a.button.main href=(desk) { (fill(words.write_there, &[("server", label)])) } }
            @if !others.is_empty() {
                p.hint {
                    (words.other_desks) " "
                    @for (label, desk) in others { a href=(desk) { bdi { (label) } } " " }
                }
            }
        }
    }
}

/// One of the author's blogs.
pub(crate) struct BlogLine {
    /// Its name.
    pub(crate) name: String,
    /// Its title; may be empty.
    pub(crate) title: String,
    /// Its address.
    pub(crate) origin: String,
    /// Who keeps it, the primary first.
    pub(crate) servers: Vec<String>,
    /// Desks of these servers with their labels; empty when this server is one of them.
    pub(crate) desks: Vec<(String, String)>,
    /// What this server keeps that was accepted and is not in the blog, by what it is called.
    pub(crate) offers: Vec<String>,
}

/// One of the author's drafts.
pub(crate) struct DraftLine {
    /// What it is called in addresses.
    pub(crate) id: String,
    /// Its title; may be empty.
    pub(crate) title: String,
    /// When it was changed.
    pub(crate) changed: String,
}

/// What an author finds who is signed in.
pub(crate) struct HomeView {
    /// Her blogs.
    pub(crate) blogs: Vec<BlogLine>,
    /// Her drafts.
    pub(crate) drafts: Vec<DraftLine>,
}

/// What an author finds who is signed in.
pub(crate) fn home(frame: &Frame, view: &HomeView) -> String {
    let words = frame.words();
    let body = html! {
        section aria-labelledby="blogs" {
            h2 #blogs { (words.your_blogs) }
            @if view.blogs.is_empty() { p { (words.no_blog) } }
            @for blog in &view.blogs { (blog_item(frame, blog)) }
            p { a.button.main[view.blogs.is_empty()] href=(format!("{DESK}/blog")) { (words.start_blog) } }
        }
        section aria-labelledby="drafts" {
            h2 #drafts { (words.drafts) }
            @if view.drafts.is_empty() { p { (words.no_drafts) } }
            ul.drafts {
                @for draft in &view.drafts {
                    li {
                        a href=(format!("{DESK}/write?draft={}", draft.id)) {
                            @if draft.title.is_empty() { (words.untitled) } @else { bdi { (draft.title) } }
                        }
                        " " span.quiet { bdi { (draft.changed) } }
                    }
                }
            }
            p { a.button href=(format!("{DESK}/write")) { (words.write_post) } }
            p.hint { (words.drafts_whose) }
        }
    };
    frame.page(words.home, &body)
}

fn blog_item(frame: &Frame, blog: &BlogLine) -> maud::Markup {
    let words = frame.words();
    let servers = servers(frame.tongue, &blog.servers);
    html! {
        div.blog {
            h3 { a href=(format!("{}/", blog.origin)) { bdi { @if blog.title.is_empty() { (blog.name) } @else { (blog.title) } } } }
            p.quiet { bdi dir="ltr" { (blog.origin) } br; (fill(words.kept_by, &[("servers", &servers)])) }
            @if !blog.offers.is_empty() {
                div.refusal {
                    p { (words.offers) }
                    ul { @for offer in &blog.offers { li { bdi { (offer) } } } }
                    p { (words.offers_todo) }
                    pre tabindex="0" dir="ltr" { code { "spokes blog offers " (blog.name) } }
                }
            }
            @if blog.desks.is_empty() {
                p.row {
                    a.button.main href=(format!("{DESK}/write?blog={}", blog.name)) { (words.write_post) }
                    a.button href=(format!("{DESK}/articles?blog={}", blog.name)) { (words.articles) }
                    a.button href=(format!("{DESK}/download?blog={}", blog.name)) { (words.download_all) }
                }
            } @else {
                (desks(words, &blog.desks))
            }
        }
    }
}
