//! The writing desk: the pages in which an author signs in, asks for a blog, writes and publishes.
//!
//! They work without scripts, and say plainly what they are trusted with. Each is a function of a plain
//! view; what was typed comes back with every refusal.

use maud::{Markup, html};
use spokes_log::name::Hash;

use crate::{
    desk::Fields,
    web::{
        message::Message,
        shell::{Head, Network, dir, network_bottom, network_name, shell},
        words::{DeskWords, Tongue, fill, fill_markup},
    },
};

mod article;
mod entrance;
mod naming;

pub(crate) use article::{
    ArticleLine, ArticlesView, DownloadView, EraseView, PICTURE_KINDS, PublishedView, WriteView,
    articles, download, erase, published, write,
};
pub(crate) use entrance::{
    BlogLine, DraftLine, FoundView, HomeView, SignInView, found, home, sign_in,
};
pub(crate) use naming::{AskView, AskedView, State, ask, asked};

/// Where the desk stands on every spoke's own name.
pub(crate) const DESK: &str = "/_/desk";
/// The form in which one writes: signing out on its page keeps what was typed.
const WRITING: &str = "writing";
/// An empty picture with which a browser forgets pages that it keeps to go back to. When the answer that
/// signs out comes, it does not keep the last page yet.
pub(crate) const FORGET: &str = "/_/desk/forget.svg";

/// What every page of the desk has.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// The network.
    pub(crate) network: Network,
    /// The language of the page.
    pub(crate) tongue: Tongue,
    /// Who is signed in: the fingerprint of the key, and what forms must bring.
    pub(crate) signed_in: Option<(String, String)>,
    /// What went wrong.
    pub(crate) refusal: Option<Message>,
    /// Where whoever was refused goes on: a server's label, and an address of its desk.
    pub(crate) way_on: Option<(String, String)>,
    /// What went well.
    pub(crate) done: Option<&'static str>,
    /// This page's address, so that it can be shown in the other tongue; none where it answers a form.
    pub(crate) path: Option<String>,
}

impl Frame {
    pub(crate) fn words(&self) -> &'static DeskWords {
        DeskWords::of(self.tongue)
    }

    /// A whole page with this heading.
    fn page(&self, title: &str, body: &Markup) -> String {
        let leave = |fingerprint: &str| self.signed_in_as(fingerprint);
        self.page_left_by(title, body, &leave)
    }

    /// The page in which one writes: whoever signs out there loses no word.
    fn page_of_writing(&self, title: &str, body: &Markup) -> String {
        let words = self.words();
        let leave = |fingerprint: &str| {
            html! {
                div.leave {
                    (self.whose_key(fingerprint))
                    button form=(WRITING) name="do" value="leave" aria-describedby="leave-hint" {
                        (words.sign_out)
                    }
                    span.hint #leave-hint { (words.sign_out_keeps) }
                }
            }
        };
        self.page_left_by(title, body, &leave)
    }

    fn page_left_by(&self, title: &str, body: &Markup, leave: &dyn Fn(&str) -> Markup) -> String {
        let words = self.words();
        let head = Head {
            title: format!("{title} – {}", self.network.domain),
            language: self.tongue.tag(),
            noindex: true,
            ..Head::default()
        };
        let top = html! {
            header.top {
                (network_name(&self.network, &format!("{}/", self.network.origin)))
                nav aria-label=(words.desk) {
                    a href=(DESK) { (words.menu) }
                    @if let Some(path) = &self.path {
                        @for tongue in Tongue::ALL.into_iter().filter(|t| *t != self.tongue) {
                            a href=(in_tongue(path, tongue)) lang=(tongue.tag()) dir=[dir(tongue.tag())] rel="nofollow" {
                                (tongue.own_name())
                            }
                        }
                    }
                }
            }
        };
        let main = html! {
            main.desk #content tabindex="-1" {
                h1 { (title) }
                @if let Some(message) = &self.refusal { (refusal(message)) }
                @if let Some((server, desk)) = &self.way_on {
                    p { a.button.main href=(desk) { (fill(words.way_on, &[("server", &named(self.tongue, server))])) } }
                }
                @if let Some(done) = self.done { p.done role="status" { (done) } }
                (body)
                @if let Some((fingerprint, _)) = &self.signed_in { (leave(fingerprint)) }
            }
        };
        shell(
            &head,
            &top,
            &main,
            &network_bottom(&self.network, self.tongue, None),
        )
    }

    fn signed_in_as(&self, fingerprint: &str) -> Markup {
        html! {
            form.leave method="post" action=(format!("{DESK}/sign-out")) {
                (self.whose_key(fingerprint))
                (self.form_key())
                button { (self.words().sign_out) }
            }
        }
    }

    fn whose_key(&self, fingerprint: &str) -> Markup {
        let shown = html! { code { (grouped(fingerprint)) } };
        let words = self.words();
        html! { p.quiet { (fill_markup(words.signed_in_as, &[("fingerprint", shown)])) } }
    }

    /// What shows that a form was made for this session.
    fn form_key(&self) -> Markup {
        html! {
            @if let Some((_, key)) = &self.signed_in { input type="hidden" name="form" value=(key); }
        }
    }
}

/// This page in another tongue.
fn in_tongue(path: &str, tongue: Tongue) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{path}{mark}ui={}", tongue.tag())
}

fn refusal(message: &Message) -> Markup {
    html! {
        section.refusal role="alert" aria-labelledby="refusal" {
            h2 #refusal { (message.title) }
            p { (message.happened()) }
            p { (message.safe) }
            p { (message.todo) }
        }
    }
}

/// A text to be signed, how, and the place for what comes of it.
pub(crate) struct Signing<'a> {
    /// The text.
    pub(crate) text: &'a str,
    /// Where it can be fetched as a file.
    pub(crate) file_path: String,
    /// What that file is called.
    pub(crate) file: &'a str,
    /// The key to sign with, if it is known.
    pub(crate) fingerprint: Option<&'a str>,
    /// What was pasted before.
    pub(crate) answer: &'a str,
}

/// Letters of a title in the name of a file: people tell files apart by their beginnings.
const FILE_LETTERS_MAX: usize = 40;

/// What a text to sign is called as a file. Each has a name of its own: of two with the same name
/// browsers save the second one as "… (1)", and people sign the first. It is one word of a shell's command,
/// and nothing in it needs quoting.
pub(crate) fn file_name(words: &[&str], text: &str) -> String {
    let mut name = String::new();
    for letter in words.join("-").chars() {
        match letter.to_ascii_lowercase() {
            letter if letter.is_ascii_alphanumeric() => name.push(letter),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
        if name.len() >= FILE_LETTERS_MAX {
            break;
        }
    }
    let hash = Hash::of(text.as_bytes()).path();
    format!("{}-{}.txt", name.trim_end_matches('-'), &hash[7..13])
}

/// The three steps; `check` is said before the second.
fn signing(words: &DeskWords, signing: &Signing<'_>, check: &Markup) -> Markup {
    let file = html! { bdi dir="ltr" { (signing.file) } };
    let key = signing
        .fingerprint
        .map(|key| format!(" --local-user {key}"))
        .unwrap_or_default();
    let command = format!("gpg --clearsign{key} {}", signing.file);
    let signed = html! { bdi dir="ltr" { (signing.file) ".asc" } };
    let rows = signing.text.lines().count().clamp(4, 14);
    html! {
        ol.steps {
            li {
                p { label for="text" { (words.step_save) } }
                textarea #text readonly rows=(rows) dir="auto" spellcheck="false" { (signing.text) }
                p { a.button href=(signing.file_path) download=(signing.file) {
                    (fill_markup(words.download, &[("file", file)]))
                } }
                (check)
            }
            li {
                p { (words.step_sign) }
                pre tabindex="0" dir="ltr" { code { (command) } }
            }
            li {
                p { label for="answer" { (fill_markup(words.step_paste, &[("file", signed)])) } }
                textarea #answer name="answer" rows="6" dir="ltr" required autocomplete="off" spellcheck="false" {
                    "\n" (signing.answer)
                }
            }
        }
    }
}

/// A labelled line to type into, with a hint below it where there is one.
struct Line<'a> {
    name: &'a str,
    label: Markup,
    value: &'a str,
    hint: Option<Markup>,
    dir: &'a str,
    required: bool,
}

fn line(line: &Line<'_>) -> Markup {
    let hint = line.hint.as_ref().map(|_| format!("{}-hint", line.name));
    html! {
        p.field {
            label for=(line.name) { (line.label) }
            input id=(line.name) name=(line.name) value=(line.value) dir=(line.dir)
                required[line.required] aria-describedby=[hint.as_ref()] autocomplete="off";
            @if let (Some(text), Some(id)) = (&line.hint, &hint) { span.hint id=(id) { (text) } }
        }
    }
}

/// What was typed, to be carried along by a form of another purpose.
fn carried(fields: Option<&str>) -> Markup {
    html! {
        @if let Some(json) = fields.filter(|json| !json.is_empty()) {
            input type="hidden" name="kept" value=(json);
        }
    }
}

/// The same, to be seen and copied.
fn shown(words: &DeskWords, fields: Option<&Fields>) -> Markup {
    html! {
        @if let Some(fields) = fields.filter(|f| !f.body.is_empty() || !f.title.is_empty()) {
            section aria-labelledby="typed" {
                h2 #typed { label for="typed-text" { (words.your_text) } }
                @if !fields.title.is_empty() { p { bdi { (fields.title) } } }
                textarea #typed-text readonly rows="8" dir="auto" { "\n" (fields.body) }
            }
        }
    }
}

/// In groups of four, as people read fingerprints to each other.
fn grouped(hex: &str) -> String {
    let digits: Vec<char> = hex.chars().collect();
    let groups: Vec<String> = digits
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    groups.join(" ")
}

/// A page that only says what happened.
pub(crate) fn notice(frame: &Frame, typed: Option<&Fields>) -> String {
    let words = frame.words();
    let body = html! {
        (shown(words, typed))
        p { a.button href=(DESK) { (words.home) } }
    };
    frame.page(words.desk, &body)
}

/// A name within a sentence. It is of Latin letters: among Arabic words it stands by itself (U+2068,
/// U+2069), or what parts its words would be taken for the sentence's.
fn named(tongue: Tongue, name: &str) -> String {
    match tongue {
        Tongue::English => name.to_owned(),
        Tongue::Arabic => format!("\u{2068}{name}\u{2069}"),
    }
}

/// "oak, ash".
fn servers(tongue: Tongue, labels: &[String]) -> String {
    let comma = match tongue {
        Tongue::English => ", ",
        Tongue::Arabic => "، ",
    };
    let names = labels.iter().map(|label| named(tongue, label));
    names.collect::<Vec<_>>().join(comma)
}

/// "2 of 3: oak, ash".
pub(crate) fn of_servers(tongue: Tongue, held_by: &[String], all: usize) -> String {
    let number = |n: usize| tongue.number(n as u64);
    let places = [
        ("count", &*number(held_by.len())),
        ("all", &*number(all)),
        ("servers", &*servers(tongue, held_by)),
    ];
    fill(DeskWords::of(tongue).of_servers, &places)
}
