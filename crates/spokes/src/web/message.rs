//! What we say to a person when something did not go as hoped.
//!
//! Every such text of the web lives in `Sentences`, so that all of them keep one promise: they say
//! what happened, what is safe, and what to do, calmly and in that order.

use maud::{Markup, html};

use super::words::{Counted, Sentences, Tongue, counted, fill};

/// Three sentences to a person, and the status for her browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The language of the sentences.
    pub tongue: Tongue,
    /// The HTTP status (RFC 9110 section 15).
    pub status: u16,
    /// A few words to stand above the rest.
    pub title: String,
    /// What happened.
    pub happened: String,
    /// What is safe.
    pub safe: String,
    /// What to do.
    pub todo: String,
    /// The part of `happened` that is English in every tongue: a reason that a format gave.
    pub reason: Option<Box<str>>,
    /// When to try again, for the `Retry-After` header (RFC 9110 section 10.2.3).
    pub retry_after_seconds: Option<u16>,
}

/// The places of sentences that a format's reason fills.
const REASONS: [&str; 2] = ["why", "reason"];

/// How long whoever meets a silent server should wait: longer than a restart takes.
const SILENCE_SECONDS: u16 = 60;

impl Message {
    /// A message of one of the tables; `texts` fill its places.
    pub(crate) fn new(
        tongue: Tongue,
        status: u16,
        sentences: &[&'static str; 4],
        texts: &[(&str, &str)],
    ) -> Self {
        let [title, happened, safe, todo] = sentences.map(|sentence| fill(sentence, texts));
        let reason = texts.iter().find(|(place, _)| REASONS.contains(place));
        Self {
            tongue,
            status,
            title,
            happened,
            safe,
            todo,
            reason: reason.map(|(_, reason)| (*reason).into()),
            retry_after_seconds: None,
        }
    }

    /// What happened, for a page: within words of another tongue an English reason says what it is, so
    /// that it is set and read out as English.
    pub(crate) fn happened(&self) -> Markup {
        let foreign = self
            .reason
            .as_deref()
            .filter(|reason| self.tongue != Tongue::English && !reason.is_empty());
        match foreign.and_then(|reason| Some((reason, self.happened.split_once(reason)?))) {
            Some((reason, (before, after))) => html! {
                (before) span lang="en" dir="ltr" { (reason) } (after)
            },
            None => html! { (self.happened) },
        }
    }

    /// The same, with the time after which to try again.
    pub(crate) fn after(mut self, seconds: u16) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Nobody on this network has a blog of that name.
    #[must_use]
    pub fn no_such_blog(tongue: Tongue, name: &str, domain: &str) -> Self {
        let texts = [("name", name), ("domain", domain)];
        Self::new(tongue, 404, &Sentences::of(tongue).no_such_blog, &texts)
    }

    /// We know of no such blog, and the council cannot be asked.
    #[must_use]
    pub fn no_such_blog_known(tongue: Tongue, name: &str, domain: &str) -> Self {
        let sentences = &Sentences::of(tongue).no_such_blog_known;
        let texts = [("name", name), ("domain", domain)];
        Self::new(tongue, 503, sentences, &texts).after(SILENCE_SECONDS)
    }

    /// The network's own host has nothing at that address.
    #[must_use]
    pub fn no_such_page(tongue: Tongue, domain: &str) -> Self {
        let sentences = &Sentences::of(tongue).no_such_page;
        Self::new(tongue, 404, sentences, &[("domain", domain)])
    }

    /// The blog is here and up to date, and has nothing at that address.
    #[must_use]
    pub fn no_such_post(tongue: Tongue) -> Self {
        Self::new(tongue, 404, &Sentences::of(tongue).no_such_post, &[])
    }

    /// We have nothing at that address, and could not ask the primary whether it has.
    #[must_use]
    pub fn no_such_post_yet(tongue: Tongue) -> Self {
        Self::new(tongue, 404, &Sentences::of(tongue).no_such_post_yet, &[])
    }

    /// The author took the post back.
    #[must_use]
    pub fn erased_post(tongue: Tongue) -> Self {
        Self::new(tongue, 410, &Sentences::of(tongue).erased_post, &[])
    }

    /// The blog exists, but neither this spoke nor one that holds it could show it.
    #[must_use]
    pub fn no_holder_answers(tongue: Tongue, name: &str) -> Self {
        let sentences = &Sentences::of(tongue).no_holder_answers;
        Self::new(tongue, 504, sentences, &[("name", name)]).after(SILENCE_SECONDS)
    }

    /// The same, where nothing changes before they are back or an organizer has spoken.
    #[must_use]
    pub fn holders_are_gone(tongue: Tongue, name: &str, domain: &str) -> Self {
        let sentences = &Sentences::of(tongue).holders_are_gone;
        let texts = [("name", name), ("domain", domain)];
        Self::new(tongue, 504, sentences, &texts).after(SILENCE_SECONDS)
    }

    /// Somebody else has the name that an author asked for.
    #[must_use]
    pub fn name_taken(tongue: Tongue, name: &str) -> Self {
        let sentences = &Sentences::of(tongue).name_taken;
        Self::new(tongue, 409, sentences, &[("name", name)])
    }

    /// This spoke takes no new blogs; others do.
    #[must_use]
    pub fn spoke_full(tongue: Tongue, spoke: &str, domain: &str) -> Self {
        let texts = [("spoke", spoke), ("domain", domain)];
        Self::new(tongue, 507, &Sentences::of(tongue).spoke_full, &texts)
    }

    /// The copy of a post here is not what its author signed, and nobody could give a good one just now.
    #[must_use]
    pub fn damaged_copy(tongue: Tongue) -> Self {
        let sentences = &Sentences::of(tongue).damaged_copy;
        Self::new(tongue, 503, sentences, &[]).after(SILENCE_SECONDS)
    }

    /// More was asked of this node than it can do just now.
    #[must_use]
    pub fn busy(tongue: Tongue, retry_after_seconds: u16) -> Self {
        let seconds = Counted::of(tongue).seconds;
        let seconds = counted(tongue, seconds, u64::from(retry_after_seconds));
        let texts = [("seconds", seconds.as_str())];
        Self::new(tongue, 503, &Sentences::of(tongue).busy, &texts).after(retry_after_seconds)
    }

    /// The request makes no sense to us; `reason` is a whole sentence that names the place.
    #[must_use]
    pub fn bad_request(tongue: Tongue, reason: &str) -> Self {
        let sentences = &Sentences::of(tongue).bad_request;
        Self::new(tongue, 400, sentences, &[("reason", reason)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(tongue: Tongue) -> Vec<Message> {
        vec![
            Message::no_such_blog(tongue, "maria", "blogs.example.org"),
            Message::no_such_blog_known(tongue, "maria", "blogs.example.org"),
            Message::no_such_page(tongue, "blogs.example.org"),
            Message::no_such_post(tongue),
            Message::no_such_post_yet(tongue),
            Message::erased_post(tongue),
            Message::no_holder_answers(tongue, "maria"),
            Message::holders_are_gone(tongue, "maria", "blogs.example.org"),
            Message::name_taken(tongue, "maria"),
            Message::spoke_full(tongue, "oak", "blogs.example.org"),
            Message::damaged_copy(tongue),
            Message::busy(tongue, 1),
            Message::bad_request(tongue, "The name has 40 letters."),
        ]
    }

    #[test]
    fn a_reason_in_another_language_says_so() {
        let said = |tongue| Message::bad_request(tongue, "The name has <40> letters.").happened();
        let plain = "The name has &lt;40&gt; letters.";
        assert_eq!(said(Tongue::English).into_string(), plain);
        let marked = format!("<span lang=\"en\" dir=\"ltr\">{plain}</span>");
        assert_eq!(said(Tongue::Arabic).into_string(), marked);
        let none = Message::no_such_post(Tongue::Arabic);
        assert_eq!(none.happened().into_string(), none.happened);
    }

    #[test]
    fn every_message_says_three_things_in_whole_sentences() {
        for message in Tongue::ALL.into_iter().flat_map(all) {
            assert!((400..600).contains(&message.status), "{message:?}");
            for sentence in [&message.happened, &message.safe, &message.todo] {
                assert!(
                    sentence.ends_with('.') && sentence.len() > 10,
                    "{message:?}"
                );
                assert!(
                    !sentence.contains("  ") && !sentence.contains(['!', '{', '}']),
                    "{message:?}"
                );
            }
        }
    }
}
