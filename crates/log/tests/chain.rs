//! Stories about chains: keys that come and go, branches, erasure.

mod common;

use common::{Author, START, article, draft, key};
use spokes_log::{
    blog::{Blog, Found},
    chain::Chain,
    draft::{Role, Says},
    fault::Fault,
    name::{EntryId, Slug},
    seal::{Pasted, SealedEntry},
};

fn fold(author: &Author) -> Blog {
    let mut blog = Blog::default();
    for sealed in &author.entries {
        blog.add(&author.chain, sealed.entry());
    }
    blog
}

fn replay(blog: EntryId, entries: &[SealedEntry]) -> Result<Chain, Fault> {
    let mut chain = Chain::new(blog);
    for sealed in entries {
        chain.accept(sealed.clone())?;
    }
    Ok(chain)
}

#[test]
fn a_log_proves_itself_from_its_bytes_alone() {
    let mut maria = Author::new("Maria <maria@example.org>");
    maria.post("one");
    maria.post("two");
    let kept: Vec<SealedEntry> = maria
        .entries
        .iter()
        .map(|sealed| {
            let packets: Vec<_> = sealed.signatures().iter().map(|s| s.packet()).collect();
            SealedEntry::parse(sealed.entry().text().as_bytes(), &packets).expect("kept form")
        })
        .collect();
    let chain = replay(maria.first.entry().id(), &kept).expect("valid");
    assert_eq!(chain.heads(), maria.chain.heads());
}

#[test]
fn the_sealed_file_comes_back_as_it_went() {
    let mut maria = Author::new("Maria <maria@example.org>");
    let says = Says::Post(article("dashes"));
    let id = maria
        .say(says, "- a\n--b\n\nFrom here\n-----BEGIN PGP")
        .expect("valid");
    let sealed = maria.entries.last().expect("there").clone();
    let file = sealed.cleartext().expect("not erased");
    for block in [
        file.clone(),
        file.replace('\n', "\r\n"),
        format!("\n{file}\n\n"),
    ] {
        let pasted = Pasted::parse(block.as_bytes()).expect("a block");
        assert_eq!(pasted.text, sealed.entry().text());
        let entry = spokes_log::entry::Entry::parse(pasted.text.as_bytes()).expect("an entry");
        let parent = sealed.entry().skeleton().previous.expect("not the first");
        let mut chain = replay(maria.first.entry().id(), &maria.entries[..1]).expect("valid");
        assert_eq!(chain.heads(), vec![(0, parent)]);
        let place = chain.place(&entry).expect("fits");
        let verified = place.seal(entry, &pasted.signatures).expect("valid");
        assert_eq!(verified.sealed(), &sealed);
        chain.append(&verified).expect("appended");
        assert!(chain.is_head(id));
    }
    for (spoil, into) in [
        ("- - a", "- a"),
        (
            "-----END PGP SIGNATURE-----\n",
            "-----END PGP SIGNATURE-----\nps",
        ),
        ("Hash: SHA512", "Comment: x"),
        ("-----BEGIN PGP SIGNED", "hello\n-----BEGIN PGP SIGNED"),
    ] {
        let spoiled = file.replacen(spoil, into, 1);
        assert_ne!(spoiled, file);
        let read = Pasted::parse(spoiled.as_bytes());
        assert!(
            read.is_err() || read.expect("read").text != sealed.entry().text(),
            "{spoil}"
        );
    }
}

#[test]
fn altered_bytes_and_foreign_keys_are_refused() {
    let mut maria = Author::new("Maria <maria@example.org>");
    let mut eve = Author::new("Eve <eve@example.org>");
    let parent = maria.head();
    let entry = maria.entry(parent, &draft(9, Says::Post(article("x")), "words"));
    let at = entry.skeleton().signed;
    let place = maria.chain.place(&entry).expect("fits");
    let fingerprint = maria.key.certificate().fingerprint().clone();
    let by_eve = eve.key.sign(entry.text(), at).expect("signed");
    assert!(
        matches!(place.seal(entry.clone(), &[by_eve]), Err(Fault::BadSignature(f)) if f == fingerprint)
    );
    let over_other = maria.key.sign("other bytes", at).expect("signed");
    assert!(matches!(
        place.seal(entry.clone(), &[over_other]),
        Err(Fault::BadSignature(_))
    ));
    for late in [-301, 24 * 3600 + 1] {
        let signature = maria.key.sign(entry.text(), at + late).expect("signed");
        assert!(matches!(
            place.seal(entry.clone(), &[signature]),
            Err(Fault::SignatureTime { .. })
        ));
    }
    let kept = maria.key.sign(entry.text(), at).expect("signed");
    assert!(place.seal(entry, &[kept]).is_ok());
    let foreign = eve.post("hello");
    let foreign = eve
        .entries
        .iter()
        .find(|e| e.entry().id() == foreign)
        .expect("there")
        .clone();
    assert!(matches!(
        maria.chain.accept(foreign),
        Err(Fault::OtherBlog(_))
    ));
}

#[test]
fn gaps_and_missing_parents_are_named() {
    let mut maria = Author::new("Maria <maria@example.org>");
    let one = maria.post("one");
    maria.post("two");
    let mut chain = replay(maria.first.entry().id(), &maria.entries[..1]).expect("valid");
    let fault = chain
        .accept(maria.entries[2].clone())
        .expect_err("the parent is missing");
    assert_eq!(fault, Fault::MissingParent(one));
    let (places, fault) = chain.place_run(&maria.entries[1..]);
    assert_eq!((places.len(), fault), (2, None));
}

#[test]
fn keys_come_and_go() {
    let mut maria = Author::new("Maria <maria@example.org>");
    let first_key = maria.key.certificate().fingerprint().clone();
    let mut rosa = key("Rosa <rosa@example.org>");
    maria
        .add_key(&rosa, Role::Write)
        .expect("an own key brings keys");

    std::mem::swap(&mut maria.key, &mut rosa);
    maria.post("by-rosa");
    let third = key("Third <third@example.org>");
    assert!(matches!(
        maria.add_key(&third, Role::Write),
        Err(Fault::NotAllowed { .. })
    ));

    std::mem::swap(&mut maria.key, &mut rosa);
    let rosa_print = rosa.certificate().fingerprint().clone();
    let none_left = Says::Keys {
        certificates: vec![],
        ends: vec![first_key],
        recovery: None,
    };
    assert_eq!(
        maria.say(none_left, "").expect_err("must stay"),
        Fault::NoOwnKeyLeft
    );
    let ends = Says::Keys {
        certificates: vec![],
        ends: vec![rosa_print.clone()],
        recovery: None,
    };
    let before = maria.head();
    maria.say(ends, "").expect("valid");
    assert!(matches!(maria.add_key(&rosa, Role::Own), Err(Fault::NotInRing(f)) if f == rosa_print));

    std::mem::swap(&mut maria.key, &mut rosa);
    let late = maria.say(Says::Post(article("late")), "words");
    assert_eq!(late.expect_err("ended"), Fault::Ended(rosa_print));
    // On an older branch she is still there: the chain alone cannot know, the registry does.
    maria
        .say_at(before, Says::Post(article("older")), "words")
        .expect("valid on its branch");
}

#[test]
fn a_run_stops_behind_new_keys() {
    let mut maria = Author::new("Maria <maria@example.org>");
    let mut rosa = key("Rosa <rosa@example.org>");
    maria.add_key(&rosa, Role::Write).expect("valid");
    std::mem::swap(&mut maria.key, &mut rosa);
    maria.post("by-rosa");
    let chain = replay(maria.first.entry().id(), &maria.entries[..1]).expect("valid");
    let (places, fault) = chain.place_run(&maria.entries[1..]);
    assert_eq!((places.len(), fault), (1, None));
}

#[test]
fn branches_fold_in_one_order_everywhere() {
    let mut maria = Author::new("Maria <maria@example.org>");
    let root = maria.post("root");
    let a = maria
        .say_at(root, Says::Post(article("clash")), "a")
        .expect("valid");
    let b = maria
        .say_at(root, Says::Post(article("clash")), "b")
        .expect("valid");
    assert_eq!(maria.chain.heads().len(), 2);
    let (loser, winner) = if a < b { (a, b) } else { (b, a) };
    let blog = fold(&maria);
    let mut reversed = Blog::default();
    for sealed in maria.entries.iter().rev() {
        reversed.add(&maria.chain, sealed.entry());
    }
    for blog in [&blog, &reversed] {
        assert_eq!(blog.clashes().len(), 1);
        assert_eq!(
            (blog.clashes()[0].winner, blog.clashes()[0].loser),
            (winner, loser)
        );
        let slug = Slug::parse("clash").expect("slug");
        assert!(matches!(blog.find(&slug), Some(Found::Post(post)) if post.current() == winner));
    }
    // She keeps the winner's words and takes the other back with one entry.
    let mut keep = draft(77, Says::Post(article("other")), "merged");
    keep.instead_of = vec![loser];
    let verified = maria.sign(winner, &keep).expect("valid");
    maria.append(&verified);
    let blog = fold(&maria);
    assert!(blog.clashes().is_empty() && blog.is_hidden(loser));
    let mut ancestor = draft(78, Says::Post(article("no")), "x");
    ancestor.instead_of = vec![winner];
    let head = verified.entry().id();
    let refused = maria.sign(head, &ancestor).expect_err("it builds on it");
    assert_eq!(refused, Fault::InsteadOfAncestor(winner));
}

#[test]
fn edits_move_and_redirect() {
    let mut maria = Author::new("Maria <maria@example.org>");
    let one = maria.post("one");
    let mut second = article("uno");
    second.replaces = Some(one);
    let two = maria.say(Says::Post(second), "new words").expect("valid");
    let blog = fold(&maria);
    let [post] = blog.posts()[..] else {
        panic!("one article")
    };
    assert_eq!((post.first, post.current()), (one, two));
    let old = Slug::parse("one").expect("slug");
    assert!(matches!(blog.find(&old), Some(Found::Moved(p)) if p.first == one));
    assert_eq!(blog.article_of(one).map(|p| p.first), Some(one));
}

#[test]
fn erased_words_leave_a_chain_that_verifies() {
    let mut maria = Author::new("Maria <maria@example.org>");
    let secret = maria.post("secret");
    maria.post("kept");
    let first = maria.first.entry().id();
    let wrong = maria.say(
        Says::Erase {
            erases: vec![first],
        },
        "",
    );
    assert_eq!(wrong.expect_err("not erasable"), Fault::MayNotErase(first));
    let erase = maria
        .say(
            Says::Erase {
                erases: vec![secret],
            },
            "",
        )
        .expect("valid");
    assert_eq!(maria.chain.eraser(secret), Some(erase));
    assert_eq!(fold(&maria).posts().len(), 1);

    let erased: Vec<_> = maria
        .entries
        .iter()
        .map(|e| {
            if e.entry().id() == secret {
                e.erased()
            } else {
                e.clone()
            }
        })
        .collect();
    assert_eq!(erased[1].entry().id(), secret);
    let whole = replay(first, &erased).expect("valid");
    assert!(whole.unvouched().is_empty());
    let without = replay(first, &erased[..3]).expect("valid so far");
    assert!(
        without.unvouched().contains(&secret),
        "words are missing and nobody took them back"
    );
    let mut gone = erased[0].erased();
    assert!(
        Chain::new(first).accept(gone.clone()).is_err(),
        "entry 0 cannot be erased"
    );
    gone = erased[3].erased();
    let mut chain = replay(first, &erased[..3]).expect("valid");
    assert!(matches!(
        chain.accept(gone),
        Err(Fault::ErasedWithoutErase(_))
    ));
}

#[test]
fn a_key_expires_and_comes_back_in_a_newer_form() {
    // The vectors made by gpg tell this with real expiry; here: a key is not good before it is made.
    let maria = Author::new("Maria <maria@example.org>");
    assert!(maria.key.certificate().can_sign(START));
    assert!(!maria.key.certificate().can_sign(START - 7200));
}
