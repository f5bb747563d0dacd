//! Pages leave room for their pictures, also those that were lost for a while.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::fs;

use common::{
    author::{Author, article, draft, put},
    demo::Demo,
    http::get,
};
use spokes_log::{
    draft::{Medium, Says},
    name::{Hash, MediaType},
};

/// As much of a GIF as says how large it is.
const GIF: &[u8] = b"GIF89a\x25\0\x15\0\0\0\0;";

#[test]
fn a_picture_that_was_altered_has_its_size_again_when_it_is_mended() {
    let demo = Demo::start_with(2, &["--empty", "--replicas", "2"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    let hash = Hash::of(GIF);
    let mut post = article("crowd");
    post.media = vec![Medium {
        hash,
        bytes: GIF.len() as u64,
        kind: MediaType::parse("image/gif").unwrap(),
        alt: None,
    }];
    let path = format!("/media/{}", hash.path());
    let draft = draft(Says::Post(post), &format!("![A crowd]({path})"));
    let signed = maria.sign(&draft);
    maria.send(demo.address("a"), &signed).unwrap();
    put(demo.address("a"), "maria", hash, GIF);
    maria.publish(&demo, &["a".to_owned()], draft);
    for label in ["a", "b"] {
        let blob = demo.node(label).data.join(&path[1..]);
        fs::write(&blob, b"GIF89a\xFF\xFF\xFF\xFF forged").unwrap();
    }
    // On b it is mended: a has it again first.
    fs::write(demo.node("a").data.join(&path[1..]), GIF).unwrap();
    let page = |label: &str| demo.http(label, "maria", "/crowd").text();
    let sized = format!("<img src=\"{path}\" alt=\"A crowd\" width=\"37\" height=\"21\"");
    assert!(page("a").contains(&sized), "{}", page("a"));
    let lacks = page("b");
    assert!(
        lacks.contains(&format!("<img src=\"{path}\" alt=\"A crowd\" decoding")),
        "{lacks}"
    );
    let host = demo.host("maria");
    assert_eq!(get(demo.address("b"), &host, &path).body, GIF);
    assert!(page("b").contains(&sized), "{}", page("b"));
    let feed = demo.http("b", "maria", "/feed.json").text();
    assert!(feed.contains("width=\\\"37\\\""), "{feed}");
    demo.assert_no_panic();
}
