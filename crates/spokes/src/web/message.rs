//! What we say to a person when something did not go as hoped.
//!
//! Every such text of the web lives here, so that all of them keep one promise: they say what
//! happened, what is safe, and what to do, calmly and in that order.

/// Three sentences to a person, and the status for her browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
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
    /// When to try again, for the `Retry-After` header (RFC 9110 section 10.2.3).
    pub retry_after_seconds: Option<u32>,
}

impl Message {
    fn new(status: u16, title: &str, happened: String, safe: &str, todo: String) -> Self {
        Self {
            status,
            title: title.to_owned(),
            happened,
            safe: safe.to_owned(),
            todo,
            retry_after_seconds: None,
        }
    }

    /// Nobody on this network has a blog of that name.
    #[must_use]
    pub fn no_such_blog(name: &str, domain: &str) -> Self {
        Self::new(
            404,
            "No such blog",
            format!("There is no blog named “{name}” on {domain}."),
            "Nothing was lost: this name is not in use.",
            format!("Check the spelling, or look for the blog from the front page of {domain}."),
        )
    }

    /// We know of no such blog, and the council cannot be asked.
    #[must_use]
    pub fn no_such_blog_known(name: &str, domain: &str) -> Self {
        let mut message = Self::new(
            503,
            "No such blog known here",
            format!(
                "This server knows no blog named “{name}” on {domain}. The network’s council, which \
                 may know a newer one, does not answer."
            ),
            "Nothing was lost: where the blog exists, its own servers hold it.",
            "Try again in a minute.".to_owned(),
        );
        message.retry_after_seconds = Some(60);
        message
    }

    /// The network's own host has nothing at that address.
    #[must_use]
    pub fn no_such_page(domain: &str) -> Self {
        Self::new(
            404,
            "No such page",
            format!("{domain} has nothing at this address."),
            "Nothing was lost: every blog has an address of its own.",
            format!("Check the address, or start from the front page of {domain}."),
        )
    }

    /// The blog is here and up to date, and has nothing at that address.
    #[must_use]
    pub fn no_such_post() -> Self {
        Self::new(
            404,
            "No such post",
            "This blog has nothing at this address.".to_owned(),
            "Everything that the archive of this blog lists is held and can be read.",
            "Check the address, or look through the archive of this blog.".to_owned(),
        )
    }

    /// We have nothing at that address, and could not ask the primary whether it has.
    #[must_use]
    pub fn no_such_post_yet() -> Self {
        Self::new(
            404,
            "No such post here yet",
            "This server has nothing at this address, but it may be late: the blog’s primary \
             did not answer."
                .to_owned(),
            "Everything listed on this blog is held here and can be read.",
            "If somebody has just sent you this address, try again in a minute.".to_owned(),
        )
    }

    /// The author took the post back.
    #[must_use]
    pub fn erased_post() -> Self {
        Self::new(
            410,
            "This post was erased",
            "Its author has erased this post.".to_owned(),
            "The rest of the blog is untouched, and its chain of signatures still holds.",
            "There is nothing that you need to do. Other posts are in the archive.".to_owned(),
        )
    }

    /// The blog exists, but neither this spoke nor one that holds it could show it.
    #[must_use]
    pub fn no_holder_answers(name: &str) -> Self {
        let mut message = Self::new(
            504,
            "This blog cannot be reached right now",
            format!(
                "This server does not hold the blog “{name}”, and none of the servers that hold \
                 it has answered."
            ),
            "The blog has not gone: its servers keep their copies on disk.",
            "Try again in a minute. The network is already looking for a way round.".to_owned(),
        );
        message.retry_after_seconds = Some(60);
        message
    }

    /// Somebody else has the name that an author asked for.
    #[must_use]
    pub fn name_taken(name: &str) -> Self {
        Self::new(
            409,
            "This name is taken",
            format!("“{name}” is taken."),
            "Your draft and your key are with you, unchanged.",
            "Choose another name and send it again.".to_owned(),
        )
    }

    /// This spoke takes no new blogs; others do.
    #[must_use]
    pub fn spoke_full(spoke: &str, domain: &str) -> Self {
        Self::new(
            507,
            "This server is full",
            format!("The server “{spoke}” has no room for another blog."),
            "The blogs that it holds are safe, and your draft is with you.",
            format!("Start again from https://{domain}/: it leads to servers with room."),
        )
    }

    /// The copy of a post here is not what its author signed, and nobody could give a good one just now.
    #[must_use]
    pub fn damaged_copy() -> Self {
        let mut message = Self::new(
            503,
            "This copy is damaged",
            "This server’s copy of the post was altered or lost, and no other server of the blog \
             could give a good one just now."
                .to_owned(),
            "Nothing altered is ever shown. The other posts here are as their author signed them.",
            "Try again in a minute, or read the post on another server of this blog.".to_owned(),
        );
        message.retry_after_seconds = Some(60);
        message
    }

    /// More was asked of this node than it can do just now.
    #[must_use]
    pub fn busy(retry_after_seconds: u32) -> Self {
        let mut message = Self::new(
            503,
            "This server is busy",
            "This server has more to do than it can manage just now.".to_owned(),
            "Nothing that was published is in danger. What you just sent may not have arrived.",
            format!("Try again in {}.", seconds(retry_after_seconds)),
        );
        message.retry_after_seconds = Some(retry_after_seconds);
        message
    }

    /// The request makes no sense to us; `reason` is a whole sentence that names the place.
    #[must_use]
    pub fn bad_request(reason: &str) -> Self {
        Self::new(
            400,
            "This request was not understood",
            reason.to_owned(),
            "Nothing was changed.",
            "Go back, correct it, and send it again.".to_owned(),
        )
    }
}

fn seconds(count: u32) -> String {
    if count == 1 {
        "one second".to_owned()
    } else {
        format!("{count} seconds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_says_three_things_in_whole_sentences() {
        let all = [
            Message::no_such_blog("maria", "blogs.example.org"),
            Message::no_such_blog_known("maria", "blogs.example.org"),
            Message::no_such_page("blogs.example.org"),
            Message::no_such_post(),
            Message::no_such_post_yet(),
            Message::erased_post(),
            Message::no_holder_answers("maria"),
            Message::name_taken("maria"),
            Message::spoke_full("oak", "blogs.example.org"),
            Message::busy(1),
            Message::bad_request("The name has 40 letters."),
        ];
        for message in all {
            assert!((400..600).contains(&message.status), "{message:?}");
            for sentence in [&message.happened, &message.safe, &message.todo] {
                assert!(
                    sentence.ends_with('.') && sentence.len() > 10,
                    "{message:?}"
                );
                assert!(
                    !sentence.contains("  ") && !sentence.contains('!'),
                    "{message:?}"
                );
            }
        }
    }
}
