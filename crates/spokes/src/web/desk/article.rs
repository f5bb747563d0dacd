//! Writing, signing, publishing, and what is published.

use maud::{Markup, PreEscaped, html};

use super::{DESK, Frame, Line, Signing, WRITING, file_name, line, of_servers, signing};
use crate::{
    desk::Fields,
    web::{
        shell::dir,
        words::{DeskWords, fill, fill_markup},
    },
};

/// Kinds of pictures that a post takes from this page; sentences name them, too.
pub(crate) const PICTURE_KINDS: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// The form in which one writes, its preview, or the text to sign.
pub(crate) struct WriteView<'a> {
    /// What the draft is called in addresses; none as long as it was never kept.
    pub(crate) id: Option<String>,
    /// What was typed.
    pub(crate) fields: &'a Fields,
    /// The blogs that can be chosen: names and titles.
    pub(crate) blogs: Vec<(String, String)>,
    /// The rendered text and its language.
    pub(crate) preview: Option<(String, String)>,
    /// What the file with the text to sign is called, where that text is shown.
    pub(crate) to_sign: Option<String>,
    /// What was pasted before.
    pub(crate) answer: String,
}

/// The form in which one writes.
pub(crate) fn write(frame: &Frame, view: &WriteView<'_>) -> String {
    if let Some(file) = &view.to_sign {
        return to_sign(frame, view, file);
    }
    let words = frame.words();
    let fields = view.fields;
    let heading = if fields.replaces.is_empty() {
        words.write
    } else {
        words.edit
    };
    let body = html! {
        @if let Some((html, language)) = &view.preview { (preview(words, fields, html, language)) }
        form.write id=(WRITING) method="post" enctype="multipart/form-data" action=(format!("{DESK}/write")) {
            (frame.form_key())
            (hidden(view))
            // The first button is what the Enter key presses: keeping is what does no harm.
            p.row.top-row { button name="do" value="save" { (words.save) } }
            (line(&Line {
                name: "title", label: html! { (words.title) }, value: &fields.title,
                hint: None, dir: "auto", required: false,
            }))
            p.field {
                label for="body" { (words.words) }
                textarea #body name="body" rows="16" dir="auto" aria-describedby="body-hint" { "\n" (fields.body) }
                span.hint #body-hint { bdi { (words.words_hint) } }
            }
            p.row {
                button name="do" value="save" { (words.save) }
                button name="do" value="preview" { (words.preview) }
                button.main name="do" value="sign" { (words.to_sign) }
            }
            (pictures(words, fields))
            (settings(words, view))
        }
        @if let Some(id) = &view.id {
            details {
                summary { (words.delete) }
                form method="post" action=(format!("{DESK}/delete")) {
                    (frame.form_key())
                    input type="hidden" name="draft" value=(id);
                    p { (words.delete_sure) }
                    p { button { (words.delete_now) } }
                }
            }
        }
    };
    frame.page_of_writing(heading, &body)
}

fn hidden(view: &WriteView<'_>) -> Markup {
    let fields = view.fields;
    html! {
        @if let Some(id) = &view.id { input type="hidden" name="draft" value=(id); }
        @if !fields.replaces.is_empty() { input type="hidden" name="replaces" value=(fields.replaces); }
    }
}

fn preview(words: &DeskWords, fields: &Fields, rendered: &str, language: &str) -> Markup {
    html! {
        section.preview aria-labelledby="preview" {
            h2 #preview { (words.preview) }
            div lang=(language) dir=[dir(language)] {
                p.title { (fields.title) }
                // From the renderer alone, as on readers' pages.
                article { (PreEscaped(rendered)) }
            }
        }
    }
}

fn pictures(words: &DeskWords, fields: &Fields) -> Markup {
    html! {
        fieldset {
            legend { (words.pictures) }
            @for (at, picture) in fields.pictures.iter().enumerate() {
                p.field {
                    label for=(format!("alt-{at}")) { (words.picture_alt) }
                    input id=(format!("alt-{at}")) name=(format!("alt-{at}")) value=(picture.alt) dir="auto";
                    input type="hidden" name=(format!("picture-{at}")) value=(picture.hash);
                    @if let Some(path) = picture.hash.strip_prefix("sha256:") {
                        img.small src=(format!("/media/sha256-{path}")) alt=(picture.alt);
                    }
                }
            }
            p.field {
                label for="picture" { (words.picture) }
                input #picture type="file" name="picture" accept=(PICTURE_KINDS.join(",")) aria-describedby="picture-hint";
            }
            p.field {
                label for="alt" { (words.picture_alt) }
                input #alt name="alt" value=(fields.alt) dir="auto" autocomplete="off";
            }
            p.hint #picture-hint { (words.picture_hint) " " (words.picture_stays) }
            p { button name="do" value="picture" { (words.add_picture) } }
        }
    }
}

fn settings(words: &DeskWords, view: &WriteView<'_>) -> Markup {
    let fields = view.fields;
    let used = [&fields.slug, &fields.tags, &fields.language, &fields.date];
    let field = |name, label: &'static str, value, dir, hint: Option<&'static str>| {
        line(&Line {
            name,
            label: html! { (label) },
            value,
            hint: hint.map(|hint| html! { (hint) }),
            dir,
            required: false,
        })
    };
    html! {
        @if fields.replaces.is_empty() {
            p.field {
                label for="blog" { (words.for_blog) }
                select #blog name="blog" {
                    @if view.blogs.is_empty() { option value="" { (words.no_blog) } }
                    @for (name, title) in &view.blogs {
                        option value=(name) selected[*name == fields.blog] { (title) " (" (name) ")" }
                    }
                }
            }
        } @else {
            input type="hidden" name="blog" value=(fields.blog);
        }
        details open[used.iter().any(|typed| !typed.is_empty())] {
            summary { (words.more_settings) }
            (field("tags", words.tags, &fields.tags, "auto", None))
            (field("slug", words.address, &fields.slug, "auto", None))
            (field("language", words.language, &fields.language, "ltr", Some(words.language_hint)))
            (field("date", words.date, &fields.date, "ltr", Some(words.date_hint)))
            p { label {
                input type="checkbox" name="page" value="yes" checked[fields.is_page];
                " " (words.write_page)
            } }
        }
    }
}

/// The text to sign.
fn to_sign(frame: &Frame, view: &WriteView<'_>, file: &str) -> String {
    let words = frame.words();
    let id = view.id.as_deref().unwrap_or_default();
    let ways = Signing {
        text: &view.fields.text,
        file_path: format!("{DESK}/text/{id}.txt"),
        file,
        fingerprint: frame.signed_in.as_ref().map(|(key, _)| key.as_str()),
        answer: &view.answer,
    };
    let body = html! {
        p { (words.sign_why) }
        form method="post" action=(format!("{DESK}/sign")) {
            (frame.form_key())
            input type="hidden" name="draft" value=(id);
            (signing(words, &ways, &html! {}))
            p.row {
                button.main { (words.publish) }
                a.button href=(format!("{DESK}/write?draft={id}")) { (words.change_text) }
            }
        }
        (trust(words, words.look_post))
    };
    frame.page(words.sign, &body)
}

/// What this way of signing trusts the server with, and at what to look above all.
pub(super) fn trust(words: &DeskWords, look: &str) -> Markup {
    let places = [
        ("program", html! { code { "spokes" } }),
        ("look", html! { (look) }),
    ];
    html! {
        section.trust aria-labelledby="trust" {
            h2 #trust { (words.trust) }
            p { (fill_markup(words.trust_how, &places)) }
        }
    }
}

/// What was published, and how far it has come.
pub(crate) struct PublishedView {
    /// Its address.
    pub(crate) address: String,
    /// The same as people read it.
    pub(crate) shown: String,
    /// The blog's name.
    pub(crate) blog: String,
    /// The servers that are known to hold it.
    pub(crate) held_by: Vec<String>,
    /// How many keep the blog.
    pub(crate) members: usize,
    /// Whether more than half of them hold it.
    pub(crate) is_safe: bool,
    /// The id of its first version, by which it is edited.
    pub(crate) article: Option<String>,
}

/// What was published.
pub(crate) fn published(frame: &Frame, view: &PublishedView) -> String {
    let words = frame.words();
    let servers = of_servers(frame.tongue, &view.held_by, view.members);
    let standing = match (view.is_safe, view.members) {
        (true, 1) => words.safe_alone,
        (true, _) => words.safe,
        (false, _) => words.not_safe,
    };
    let address = html! { a href=(view.address) { bdi dir="auto" { (view.shown) } } };
    let body = html! {
        p role="status" { (fill(standing, &[("servers", &servers)])) }
        p { (fill_markup(words.published_at, &[("address", address)])) }
        p.row {
            a.button.main href=(view.address) { (words.read) }
            @if let Some(article) = &view.article {
                a.button href=(format!("{DESK}/write?blog={}&edit={article}", view.blog)) { (words.edit) }
            }
            a.button href=(format!("{DESK}/write?blog={}", view.blog)) { (words.write_post) }
            @if !view.is_safe { a.button href=(frame.path.as_deref().unwrap_or_default()) { (words.look_again) } }
        }
    };
    frame.page(words.published, &body)
}

/// One post or page.
pub(crate) struct ArticleLine {
    /// The id of its first version.
    pub(crate) id: String,
    /// Its title.
    pub(crate) title: String,
    /// Its date.
    pub(crate) date: String,
    /// Its address.
    pub(crate) address: String,
}

/// Everything that a blog has published.
pub(crate) struct ArticlesView {
    /// The blog's name.
    pub(crate) blog: String,
    /// Posts and pages, newest first.
    pub(crate) articles: Vec<ArticleLine>,
    /// The number of the next page, if there is one.
    pub(crate) next: Option<usize>,
}

/// Everything that a blog has published.
pub(crate) fn articles(frame: &Frame, view: &ArticlesView) -> String {
    let words = frame.words();
    let blog = &view.blog;
    let body = html! {
        @if view.articles.is_empty() { p { (words.no_articles) } }
        ul.articles {
            @for article in &view.articles {
                li {
                    a href=(article.address) { bdi { (article.title) } } " "
                    span.quiet { bdi { (article.date) } }
                    p.row {
                        a.button href=(format!("{DESK}/write?blog={blog}&edit={}", article.id))
                            aria-label=(format!("{}: {}", words.edit, article.title)) { (words.edit) }
                        a.button href=(format!("{DESK}/erase?blog={blog}&article={}", article.id))
                            aria-label=(format!("{}: {}", words.erase, article.title)) { (words.erase) }
                    }
                }
            }
        }
        p.row {
            @if let Some(next) = view.next {
                a.button href=(format!("{DESK}/articles?blog={blog}&page={next}")) { (words.go_on) }
            }
            a.button href=(format!("{DESK}/write?blog={blog}")) { (words.write_post) }
            a.button href=(format!("{DESK}/download?blog={blog}")) { (words.download_all) }
        }
    };
    frame.page(&format!("{}: {blog}", words.articles), &body)
}

/// The files in which a blog can be taken along.
pub(crate) struct DownloadView {
    /// The blog's name.
    pub(crate) blog: String,
    /// Their names, and what they hold in bytes.
    pub(crate) files: Vec<(String, u64)>,
}

/// The files in which a blog can be taken along.
pub(crate) fn download(frame: &Frame, view: &DownloadView) -> String {
    let words = frame.words();
    let program = html! { code { "spokes blog restore" } };
    let body = html! {
        p { (fill_markup(words.download_why, &[("program", program)])) }
        ul.articles {
            @for (name, bytes) in &view.files {
                li {
                    a.button href=(format!("{DESK}/download/{name}")) download=(name) {
                        bdi dir="ltr" { (name) }
                    }
                    " " span.quiet { bdi dir="ltr" { (mebibytes(*bytes)) } }
                }
            }
        }
        @if view.files.len() > 1 { p { (words.download_many) } }
        p { a.button href=(format!("{DESK}/articles?blog={}", view.blog)) { (words.back) } }
    };
    frame.page(words.download_all, &body)
}

/// "1.4 MB".
fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

/// How a post is erased.
pub(crate) struct EraseView {
    /// The blog's name.
    pub(crate) blog: String,
    /// Its title.
    pub(crate) title: String,
    /// Its slug.
    pub(crate) slug: String,
    /// The ids of all its versions.
    pub(crate) ids: Vec<String>,
    /// The id of its first version, as in addresses.
    pub(crate) id: String,
    /// The author's fingerprint.
    pub(crate) fingerprint: String,
    /// The network's address, for commands.
    pub(crate) origin: String,
    /// The blog's edit address, for commands.
    pub(crate) edit: String,
}

/// How a post is erased.
pub(crate) fn erase(frame: &Frame, view: &EraseView) -> String {
    let words = frame.words();
    let program = format!(
        "spokes blog erase {} {} --network {} --key {}",
        view.blog,
        quoted(&view.slug),
        view.origin,
        view.fingerprint
    );
    let name = file_name(&[&view.blog, "erase", &view.slug], &view.id);
    let by_hand = format!(
        "gpg --clearsign --local-user {} {name}\ncurl --data-binary @{name}.asc {}/api/v1/blogs/{}/entries",
        view.fingerprint, view.edit, view.blog
    );
    let file = html! {
        a href=(format!("{DESK}/erase.txt?blog={}&article={}", view.blog, view.id)) download=(name) {
            bdi dir="ltr" { (name) }
        }
    };
    let ids = html! { @for id in &view.ids { " " code.long { (id) } } };
    let body = html! {
        p { (fill_markup(words.erase_why, &[("program", html! { code { "spokes" } })])) }
        pre tabindex="0" dir="ltr" { code { (program) } }
        p { (fill_markup(words.erase_gpg, &[("file", file), ("id", ids)])) }
        pre tabindex="0" dir="ltr" { code { (by_hand) } }
        p { (words.erase_edit) }
        p.row {
            a.button href=(format!("{DESK}/write?blog={}&edit={}", view.blog, view.id)) { (words.edit) }
            a.button href=(format!("{DESK}/articles?blog={}", view.blog)) { (words.back) }
        }
    };
    frame.page(&fill(words.erase_title, &[("title", &view.title)]), &body)
}

/// A slug as one word of a shell's command: it holds letters, digits, `-._/` of any script, no quote.
fn quoted(slug: &str) -> String {
    if slug.is_ascii() {
        slug.to_owned()
    } else {
        format!("'{slug}'")
    }
}
