//! What a node takes back from its own disk: recognized by its id, recalled without its signatures.

mod common;

use common::{Author, key};
use spokes_log::{
    blog::Blog,
    chain::Chain,
    draft::{Role, Says},
    entry::Entry,
    fault::Fault,
    name::Hash,
};

/// A blog of a post, a second key, a post of hers, and an `erase` of the first.
fn blog() -> Author {
    let mut author = Author::new("Maria <maria@example.org>");
    let gone = author.post("gone");
    author
        .add_key(&key("Rosa <rosa@example.org>"), Role::Write)
        .expect("valid");
    author.post("stays");
    author
        .say(Says::Erase { erases: vec![gone] }, "")
        .expect("valid");
    author
}

#[test]
fn a_kept_text_is_recognized_by_its_id() {
    for sealed in blog().entries {
        let (entry, erased) = (sealed.entry(), sealed.erased());
        let (text, id) = (entry.text(), entry.id());
        assert_eq!(Entry::recognize(text, id), Some(1));
        assert_eq!(Entry::recognize(erased.entry().text(), id), Some(0));
        assert_eq!(Entry::recognize(text, Hash::of(b"other")), None);
        // One character anywhere, and it is another text.
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let mut altered = text.to_owned();
            let now = if text[at..].starts_with('a') {
                "b"
            } else {
                "a"
            };
            let next = text[at..].chars().next().map_or(1, char::len_utf8);
            altered.replace_range(at..at + next, now);
            assert_eq!(Entry::recognize(&altered, id), None, "byte {at}");
        }
        assert_eq!(Entry::recognize(&format!("{text}x"), id), None);
        assert_eq!(Entry::recognize("", id), None);
    }
}

#[test]
fn a_recalled_chain_is_the_one_that_was_judged() {
    let author = blog();
    let mut recalled = Chain::new(author.chain.blog());
    let (mut judged_fold, mut fold) = (Blog::default(), Blog::default());
    for sealed in &author.entries {
        let entry = sealed.entry();
        let appended = recalled.recall(entry).expect("it fits");
        fold.add(&recalled, entry);
        fold.erase(&recalled, &appended.erased);
        assert_eq!(recalled.recall(entry).map(|a| a.new), Ok(false), "twice");
        judged_fold.add(&author.chain, entry);
    }
    assert_eq!(format!("{recalled:?}"), format!("{:?}", author.chain));
    assert_eq!(fold.posts(), judged_fold.posts());
    let mut lost = Chain::new(author.chain.blog());
    let second = author.entries[1].entry();
    assert!(
        matches!(lost.recall(second), Err(Fault::MissingParent(_))),
        "what follows nothing is not taken back"
    );
}
