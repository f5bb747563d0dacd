//! Asking for a blog.

use maud::html;

use super::{DESK, Frame, Line, Signing, file_name, grouped, line, named, signing};
use crate::web::words::{fill, fill_markup};

/// The form in which a blog is asked for, and then the text to sign.
pub(crate) struct AskView {
    /// As typed.
    pub(crate) name: String,
    /// As typed.
    pub(crate) title: String,
    /// As typed.
    pub(crate) language: String,
    /// The names in the author's key; the first is chosen.
    pub(crate) user_ids: Vec<String>,
    /// The one chosen.
    pub(crate) user_id: String,
    /// What the text is called in addresses, once it is made.
    pub(crate) id: String,
    /// The text to sign, and where it can be fetched, once it is made.
    pub(crate) text: Option<(String, String)>,
    /// What was pasted before.
    pub(crate) answer: String,
}

/// The form in which a blog is asked for.
pub(crate) fn ask(frame: &Frame, view: &AskView) -> String {
    let words = frame.words();
    if let Some((text, path)) = &view.text {
        return to_sign(frame, view, text, path);
    }
    let address = html! { bdi dir="ltr" { "NAME." (frame.network.domain) } };
    let body = html! {
        form method="post" action=(format!("{DESK}/blog")) {
            (frame.form_key())
            (line(&Line {
                name: "name", label: html! { (words.name) }, value: &view.name,
                hint: Some(fill_markup(words.name_hint, &[("address", address)])),
                dir: "ltr", required: true,
            }))
            (line(&Line {
                name: "title", label: html! { (words.title) }, value: &view.title,
                hint: None, dir: "auto", required: false,
            }))
            (line(&Line {
                name: "language", label: html! { (words.blog_language) }, value: &view.language,
                hint: Some(html! { (words.language_hint) }), dir: "ltr", required: true,
            }))
            @if view.user_ids.len() > 1 {
                fieldset {
                    legend { (words.user_id) }
                    @for (at, user_id) in view.user_ids.iter().enumerate() {
                        p { label {
                            input type="radio" name="uid" value=(user_id) checked[*user_id == view.user_id || view.user_id.is_empty() && at == 0];
                            " " bdi { (user_id) }
                        } }
                    }
                }
            }
            p { button.main { (words.go_on) } }
        }
    };
    frame.page(words.ask, &body)
}

fn to_sign(frame: &Frame, view: &AskView, text: &str, path: &str) -> String {
    let words = frame.words();
    let fingerprint = frame.signed_in.as_ref().map(|(key, _)| key.as_str());
    let file = file_name(&[&view.name, "blog"], text);
    let ways = Signing {
        text,
        file_path: path.to_owned(),
        file: &file,
        fingerprint,
        answer: &view.answer,
    };
    let nothing = html! {};
    let body = html! {
        p { (words.public_for_ever) }
        dl {
            dt { (words.name) } dd dir="ltr" { bdi { (view.name) "." (frame.network.domain) } }
            dt { (words.fingerprint) } dd dir="ltr" { code { (grouped(fingerprint.unwrap_or_default())) } }
            dt { (words.user_id_short) } dd { bdi { (view.user_id) } }
        }
        form method="post" action=(format!("{DESK}/blog/sign")) {
            (frame.form_key())
            @for (name, value) in [("name", &view.name), ("title", &view.title), ("language", &view.language), ("uid", &view.user_id)] {
                input type="hidden" name=(name) value=(value);
            }
            input type="hidden" name="id" value=(view.id);
            (signing(words, &ways, &nothing))
            p.row {
                button.main { (words.send) }
                button name="do" value="change" formnovalidate { (words.choose_other) }
            }
        }
        (super::article::trust(words, words.look_blog))
    };
    let name = named(frame.tongue, &view.name);
    frame.page(&fill(words.sign_name, &[("name", &name)]), &body)
}

/// What has come of a name that was asked for.
pub(crate) enum State {
    /// The council was asked.
    Pending,
    /// The council does not answer.
    Silent,
    /// It is hers.
    Live,
}

/// A name that was asked for.
pub(crate) struct AskedView {
    /// The name.
    pub(crate) name: String,
    /// What has come of it.
    pub(crate) state: State,
    /// The blog's address.
    pub(crate) origin: String,
    /// The address of its primary.
    pub(crate) edit: String,
}

/// A name that was asked for: pending, or live. Where it is taken the form comes back.
pub(crate) fn asked(frame: &Frame, view: &AskedView) -> String {
    let words = frame.words();
    let name = named(frame.tongue, &view.name);
    let name = [("name", name.as_str())];
    match view.state {
        State::Pending | State::Silent => {
            let silent = matches!(view.state, State::Silent);
            let body = html! {
                p role="status" { (if silent { words.pending_silent } else { words.pending_now }) }
                p { a.button href=(frame.path.as_deref().unwrap_or_default()) { (words.look_again) } }
            };
            frame.page(&fill(words.pending, &name), &body)
        }
        State::Live => {
            let places = [
                (
                    "address",
                    html! { a href=(format!("{}/", view.origin)) { bdi dir="ltr" { (view.origin) } } },
                ),
                ("edit", html! { bdi dir="ltr" { (view.edit) } }),
            ];
            let body = html! {
                p role="status" { (fill_markup(words.live_now, &places)) }
                p.row {
                    a.button.main href=(format!("{DESK}/write?blog={}", view.name)) { (words.write_post) }
                    a.button href=(DESK) { (words.home) }
                }
            };
            frame.page(&fill(words.live, &name), &body)
        }
    }
}
