//! Stories about rings and rights: keys that change, what each may sign, hide and erase.

mod common;

use common::pgp::{self, BORN, DAY, builder, expiring, fingerprint, make, rebind, revoke};
use common::{Author, START, article, draft, key, same_key};
use expect_test::{Expect, expect};
use sequoia_openpgp::{Cert, serialize::SerializeInto as _, types::ReasonForRevocation};
use spokes_log::{
    blog::{Blog, Found},
    chain::Chain,
    draft::{Grant, Recovery, Role, Says},
    entry::{Entry, Skeleton},
    fault::Fault,
    name::{EntryId, Fingerprint, Hash, Slug},
    ring::check_author,
    seal::SealedEntry,
    secret::SecretKey,
};

fn secret(cert: &Cert) -> SecretKey {
    let bytes = cert.as_tsk().to_vec().expect("serialized");
    SecretKey::parse(&bytes, None, None, BORN + DAY).expect("a key")
}

/// A keys entry that brings this certificate and ends those fingerprints.
fn bring(cert: &Cert, role: Role, ends: Vec<Fingerprint>) -> (Says, String) {
    let grant = Grant {
        fingerprint: fingerprint(cert),
        role,
    };
    let says = Says::Keys {
        certificates: vec![grant],
        ends,
        recovery: None,
    };
    (says, pgp::armor(cert))
}

fn ends(ends: Vec<Fingerprint>) -> Says {
    Says::Keys {
        certificates: vec![],
        ends,
        recovery: None,
    }
}

fn print_of(key: &SecretKey) -> Fingerprint {
    key.certificate().fingerprint().clone()
}

/// The sentence, with the long names of things shortened.
#[track_caller]
fn told<T: std::fmt::Debug>(result: Result<T, Fault>, expected: Expect) {
    let told = result.expect_err("a fault").to_string();
    let short: Vec<String> = told
        .split(' ')
        .map(|word| {
            let name = word.trim_matches([',', ';', '(', ')', ':']);
            if name.starts_with("sha256:") {
                word.replace(name, "HASH")
            } else if Fingerprint::parse(name).is_ok() {
                word.replace(name, "KEY")
            } else {
                word.to_string()
            }
        })
        .collect();
    expected.assert_eq(&short.join(" "));
}

fn fold(author: &Author) -> Blog {
    let mut blog = Blog::default();
    for sealed in &author.entries {
        blog.add(&author.chain, sealed.entry());
    }
    blog
}

fn swap(author: &mut Author, other: &mut SecretKey) {
    std::mem::swap(&mut author.key, other);
}

#[test]
fn an_expired_key_brings_its_own_newer_form() {
    let cert = rebind(make(builder()), expiring(1, 110));
    let mut maria = Author::with(secret(&cert));
    maria.post("in-time");
    maria.pause = 20 * DAY;
    let late = maria.say(Says::Post(article("too-late")), "words");
    assert!(
        matches!(late, Err(Fault::BadKey { .. })),
        "expired on day 110"
    );
    // SPEC entry 6.4: the entry that brings the newer form is itself judged by it.
    let longer = rebind(cert.clone(), expiring(115, 400));
    let (says, body) = bring(&longer, Role::Own, vec![]);
    maria.say(says, &body).expect("judged by the merged form");
    maria.post("again");
    // The older form again: what is known is not forgotten.
    let (says, body) = bring(&cert, Role::Own, vec![]);
    maria.say(says, &body).expect("merged");
    maria.post("still");
}

#[test]
fn a_revocation_stays_whatever_older_form_comes_after() {
    let cert = make(builder());
    let mut maria = Author::with(same_key("maria"));
    let (says, body) = bring(&cert, Role::Own, vec![]);
    maria.say(says, &body).expect("valid");
    let revoked = revoke(cert.clone(), 100, ReasonForRevocation::KeyRetired);
    let (says, body) = bring(&revoked, Role::Own, vec![]);
    maria.say(says, &body).expect("valid");
    let (says, body) = bring(&cert, Role::Own, vec![]);
    maria.say(says, &body).expect("valid");
    let mut other = secret(&cert);
    swap(&mut maria, &mut other);
    let result = maria.say(Says::Post(article("revoked")), "words");
    assert!(matches!(result, Err(Fault::BadKey { .. })));
}

#[test]
fn a_keys_entry_says_what_it_brings() {
    let (rosa, wanda) = (make(builder()), make(builder()));
    let mut maria = Author::with(same_key("maria"));
    let (says, _) = bring(&rosa, Role::Own, vec![]);
    let result = maria.say(says, &pgp::armor(&wanda));
    told(
        result,
        expect![
            "the certificate is KEY, announced was KEY; put the one that is meant in both places"
        ],
    );
    let result = maria.say(ends(vec![fingerprint(&rosa)]), "");
    told(
        result,
        expect!["KEY has ended or never was a key of this blog; leave it out and sign again"],
    );
    let (says, body) = bring(&rosa, Role::Own, vec![print_of(&maria.key)]);
    let demoted = maria.head();
    let mut maria_key = same_key("maria");
    maria.say(says, &body).expect("rosa stays");
    let result = maria.say(Says::Post(article("ended")), "words");
    told(
        result,
        expect!["KEY was ended as a key of this blog; sign with one that is left"],
    );
    // On a branch beside, she makes herself one that only writes, once another owns.
    let (says, body) = bring(&rosa, Role::Own, vec![]);
    let two = maria.say_at(demoted, says, &body).expect("valid");
    let says = Says::Keys {
        certificates: vec![Author::grant(&maria_key, Role::Write)],
        ends: vec![],
        recovery: None,
    };
    let less = maria
        .say_at(two, says, &maria_key.certificate().armored())
        .expect("valid");
    swap(&mut maria, &mut maria_key);
    maria
        .say_at(less, Says::Post(article("fewer")), "words")
        .expect("may write");
    told(
        maria.say_at(less, ends(vec![fingerprint(&rosa)]), ""),
        expect!["no own key would be left to this blog; keep one"],
    );
    let (says, body) = bring(&wanda, Role::Own, vec![]);
    told(
        maria.say_at(less, says, &body),
        expect![[r#"KEY may write here, but only an own key signs "keys"; sign with that one"#]],
    );
}

#[test]
fn a_recovery_is_refused_with_its_name() {
    let mut maria = Author::with(same_key("maria"));
    let mut friend = same_key("rosa");
    let says = Says::Keys {
        certificates: vec![],
        ends: vec![],
        recovery: Some(Recovery {
            quorum: 1,
            fingerprints: vec![print_of(&friend)],
        }),
    };
    maria.say(says, "").expect("valid");
    swap(&mut maria, &mut friend);
    let new = make(builder());
    let (says, body) = bring(&new, Role::Own, vec![]);
    told(
        maria.say(says, &body),
        expect!["recovery is not supported yet"],
    );
    told(
        maria.say(Says::Post(article("friend")), "words"),
        expect![
            "KEY is not a key of this blog, or was none yet when this was signed; sign with one that is, or let an own key bring this one first"
        ],
    );
}

#[test]
fn a_ring_holds_64_keys() {
    let mut maria = Author::with(same_key("maria"));
    let certs: Vec<Cert> = (0..64).map(|_| make(builder())).collect();
    let says = |certs: &[Cert]| Says::Keys {
        certificates: certs
            .iter()
            .map(|cert| bring(cert, Role::Write, vec![]).0)
            .map(|says| match says {
                Says::Keys { certificates, .. } => certificates[0].clone(),
                _ => unreachable!("a keys entry"),
            })
            .collect(),
        ends: vec![],
        recovery: None,
    };
    let body = |certs: &[Cert]| {
        certs
            .iter()
            .map(pgp::armor)
            .collect::<Vec<_>>()
            .join("\n\n")
    };
    told(
        maria.say(says(&certs), &body(&certs)),
        expect!["a blog has at most 64 keys; end some first"],
    );
    maria
        .say(says(&certs[1..]), &body(&certs[1..]))
        .expect("64 with her own");
    assert_eq!(
        maria
            .chain
            .ring(maria.head())
            .map(|ring| ring.keys().count()),
        Some(64)
    );
}

#[test]
fn an_entry_fits_its_place() {
    let mut maria = Author::with(same_key("maria"));
    let one = maria.post("one");
    let parent = maria.entries[1].entry().clone();
    let place = |change: fn(&mut Skeleton, EntryId), id, seconds| {
        let mut skeleton = parent.skeleton().clone();
        change(&mut skeleton, one);
        let said = draft(9, Says::Post(article("two")), "words");
        let authors = skeleton.authors.clone();
        let entry = Entry::new(
            &said,
            Some((&skeleton, id)),
            authors,
            skeleton.signed + seconds,
        );
        maria.chain.place(&entry.expect("sound"))
    };
    assert!(place(|_, _| (), one, 0).is_ok(), "at the same second");
    told(
        place(|_, _| (), one, -1),
        expect![
            "the entry says it was signed at 2026-11-23T14:05:00Z, before its parent at 2026-11-23T14:05:01Z; set the clock and sign again"
        ],
    );
    told(
        place(|s, _| s.sequence += 1, one, 1),
        expect![
            "sequence 2 is due here, not 3; make the text anew behind the last entry and sign again"
        ],
    );
    told(
        place(|s, _| s.sequence -= 1, one, 1),
        expect![
            "sequence 2 is due here, not 1; make the text anew behind the last entry and sign again"
        ],
    );
    told(
        place(|_, _| (), Hash::of(b"nobody"), 1),
        expect!["the entry before this one, HASH, is not here; send that one first"],
    );
    told(
        place(|s, _| s.blog = Some(Hash::of(b"other")), one, 1),
        expect!["the entry belongs to another blog, HASH; send it there"],
    );
    let mut named = draft(9, Says::Post(article("two")), "words");
    named.instead_of = vec![one];
    told(
        maria.sign(one, &named),
        expect![
            "Instead-Of names HASH, which this entry builds on; remove that line and sign again"
        ],
    );
    let erases = vec![maria.first.entry().id()];
    told(
        maria.say(Says::Erase { erases }, ""),
        expect![
            "HASH cannot be erased by this key: only posts and pages can, by an own key or by the one that signed them"
        ],
    );
}

#[test]
fn a_run_knows_the_ancestors_inside_it() {
    let mut maria = Author::with(same_key("maria"));
    let one = maria.post("one");
    maria.say(Says::Other("vote".into()), "").expect("valid");
    let vote = maria.head();
    let mut instead = draft(9, Says::Post(article("two")), "words");
    instead.instead_of = vec![one];
    let erase = draft(9, Says::Erase { erases: vec![vote] }, "");
    for (said, fault) in [
        (instead, Fault::InsteadOfAncestor(one)),
        (erase, Fault::MayNotErase(vote)),
    ] {
        // Nobody gets so far as to ask its signature, so any will do.
        let entry = maria.entry(vote, &said);
        let packet = maria.entries[1].signatures()[0].packet();
        let sealed = SealedEntry::parse(entry.text().as_bytes(), &[packet]).expect("sound");
        let run: Vec<_> = maria.entries.iter().cloned().chain([sealed]).collect();
        let (places, told) = Chain::new(maria.chain.blog()).place_run(&run);
        assert_eq!((places.len(), told), (3, Some(fault)));
    }
}

/// Maria's blog, in which Wanda writes.
fn two_writers() -> (Author, SecretKey) {
    let mut maria = Author::with(same_key("maria"));
    let wanda = same_key("wanda");
    maria.add_key(&wanda, Role::Write).expect("valid");
    (maria, wanda)
}

#[test]
fn who_writes_erases_only_her_own_words() {
    let (mut maria, mut wanda) = two_writers();
    let hers = maria.post("maria");
    swap(&mut maria, &mut wanda);
    let own = maria.post("wanda");
    let head = maria.head();
    told(
        maria.say(Says::Erase { erases: vec![hers] }, ""),
        expect![
            "HASH cannot be erased by this key: only posts and pages can, by an own key or by the one that signed them"
        ],
    );
    let erase = maria
        .say(Says::Erase { erases: vec![own] }, "")
        .expect("her own");
    assert_eq!(maria.chain.eraser(own), Some(erase));
    // Beside, where the words are no ancestor, it is valid but has no force.
    let before = maria.entries[1].entry().id();
    let beside = maria
        .say_at(before, Says::Erase { erases: vec![hers] }, "")
        .expect("valid");
    assert!(maria.chain.contains(beside) && maria.chain.eraser(hers).is_none());
    swap(&mut maria, &mut wanda);
    let beside = maria
        .say_at(before, Says::Erase { erases: vec![hers] }, "")
        .expect("valid");
    assert_eq!(maria.chain.eraser(hers), Some(beside), "an own key may");
    maria
        .say_at(head, Says::Erase { erases: vec![own] }, "")
        .expect("an own key may");
}

#[test]
fn only_words_can_be_taken_back() {
    let mut maria = Author::with(same_key("maria"));
    let page = maria
        .say(Says::Page(article("page")), "words")
        .expect("valid");
    let comment = maria
        .say(Says::Other("comment".into()), "words")
        .expect("valid");
    let other = maria
        .say(Says::Other("vote".into()), "words")
        .expect("valid");
    let settings = Says::Settings {
        title: Some("T".into()),
        language: None,
        description: None,
    };
    let settings = maria.say(settings, "").expect("valid");
    let erase = maria
        .say(
            Says::Erase {
                erases: vec![page, comment],
            },
            "",
        )
        .expect("valid");
    for named in [other, settings, erase] {
        let refused = maria.say(
            Says::Erase {
                erases: vec![named],
            },
            "",
        );
        assert_eq!(refused, Err(Fault::MayNotErase(named)));
        let sealed = maria
            .entries
            .iter()
            .find(|e| e.entry().id() == named)
            .expect("there");
        let chain = maria.chain.clone();
        let erased = sealed.erased();
        assert!(matches!(
            chain.place(erased.entry()),
            Err(Fault::ErasedWithoutErase(_))
        ));
    }
}

#[test]
fn words_that_are_missing_without_erase_are_named() {
    let mut maria = Author::with(same_key("maria"));
    let one = maria.post("one");
    maria.post("two");
    let mut chain = Chain::new(maria.chain.blog());
    chain.accept(maria.entries[0].clone()).expect("valid");
    chain.accept(maria.entries[1].erased()).expect("a skeleton");
    assert!(chain.unvouched().contains(&one));
    let (_, appended) = chain.accept(maria.entries[1].clone()).expect("valid");
    assert!(
        !appended.new && chain.unvouched().is_empty(),
        "its words came"
    );
}

#[test]
fn a_skeleton_by_a_stranger_is_not_taken_in() {
    let (mut maria, mut wanda) = two_writers();
    let (first, head) = (maria.first.entry().clone(), maria.head());
    let mut eve = key("Eve <eve@example.org>");
    // A skeleton that only says it is by Eve, by Wanda before she came, or by a key not yet born.
    let says = |by: &SecretKey, parent: &Entry, signed| {
        let said = draft(9, Says::Post(article("forged")), "words");
        let behind = Some((parent.skeleton(), parent.id()));
        let entry = Entry::new(&said, behind, vec![print_of(by)], signed).expect("sound");
        let text = entry.erased().text().to_string();
        SealedEntry::parse::<&[u8]>(text.as_bytes(), &[]).expect("sound")
    };
    let at = START + 10;
    told(
        maria.chain.clone().accept(says(&eve, &first, at)),
        expect![
            "KEY is not a key of this blog, or was none yet when this was signed; sign with one that is, or let an own key bring this one first"
        ],
    );
    told(
        maria.chain.clone().accept(says(&wanda, &first, at)),
        expect![
            "KEY is not a key of this blog, or was none yet when this was signed; sign with one that is, or let an own key bring this one first"
        ],
    );
    let behind = maria.entries[1].entry().clone();
    assert!(
        maria
            .chain
            .clone()
            .accept(says(&wanda, &behind, at))
            .is_ok()
    );
    swap(&mut maria, &mut eve);
    told(
        maria.say_at(head, Says::Post(article("eve")), "words"),
        expect![
            "KEY is not a key of this blog, or was none yet when this was signed; sign with one that is, or let an own key bring this one first"
        ],
    );
    swap(&mut maria, &mut wanda);
    maria.post("wanda");
}

#[test]
fn a_skeleton_by_an_expired_key_is_not_taken_in() {
    let cert = rebind(make(builder()), expiring(1, 110));
    let mut maria = Author::with(secret(&cert));
    for (pause, taken) in [(DAY, true), (20 * DAY, false)] {
        maria.pause = pause;
        let parent = maria.first.entry().id();
        let entry = maria.entry(parent, &draft(9, Says::Post(article("x")), "words"));
        let text = entry.erased().text().to_string();
        let erased = SealedEntry::parse::<&[u8]>(text.as_bytes(), &[]).expect("sound");
        assert_eq!(maria.chain.clone().accept(erased).is_ok(), taken);
    }
}

#[test]
fn who_writes_hides_only_her_own_words() {
    let (mut maria, mut wanda) = two_writers();
    let root = maria.head();
    let hers = maria
        .say_at(root, Says::Post(article("maria")), "words")
        .expect("valid");
    let hide = |maria: &mut Author, salt: u8, named: EntryId| {
        let mut said = draft(salt, Says::Post(article("instead")), "words");
        said.instead_of = vec![named];
        let verified = maria.sign(root, &said).expect("valid");
        maria.append(&verified)
    };
    swap(&mut maria, &mut wanda);
    let own = maria
        .say_at(root, Says::Post(article("wanda")), "words")
        .expect("valid");
    hide(&mut maria, 101, hers);
    assert!(!fold(&maria).is_hidden(hers), "Wanda only writes");
    hide(&mut maria, 102, own);
    assert!(fold(&maria).is_hidden(own), "her own words");
    swap(&mut maria, &mut wanda);
    hide(&mut maria, 103, hers);
    assert!(fold(&maria).is_hidden(hers), "an own key hides");
    assert!(maria.chain.reaches(own, root) && !maria.chain.reaches(root, own));
}

#[test]
fn a_foreign_entry_is_not_hidden_by_coming_late() {
    let (mut maria, mut wanda) = two_writers();
    let root = maria.head();
    let one = maria.post("one");
    let two = maria.post("two");
    swap(&mut maria, &mut wanda);
    let mut said = draft(101, Says::Post(article("instead")), "words");
    said.instead_of = vec![two];
    let verified = maria.sign(root, &said).expect("valid");
    let hider = maria.append(&verified);
    let mut blog = Blog::default();
    for id in [maria.first.entry().id(), root, hider, one, two] {
        let sealed = maria.entries.iter().find(|e| e.entry().id() == id);
        blog.add(&maria.chain, sealed.expect("there").entry());
    }
    assert!(!blog.is_hidden(two) && blog.article_of(two).is_some());
}

fn moved(blog: &Blog, slug: &str) -> Option<(bool, EntryId)> {
    match blog.find(&Slug::parse(slug).expect("a slug"))? {
        Found::Post(post) => Some((true, post.first)),
        Found::Moved(post) => Some((false, post.first)),
    }
}

#[test]
fn a_live_slug_beats_a_former_one_which_beats_an_alias() {
    let mut maria = Author::with(same_key("maria"));
    let rename = |maria: &mut Author, from: EntryId, slug: &str, aliases: &[&str]| {
        let mut said = article(slug);
        said.replaces = Some(from);
        said.aliases = aliases
            .iter()
            .map(|a| Slug::parse(a).expect("a slug"))
            .collect();
        maria.say(Says::Post(said), "words").expect("valid")
    };
    let one = maria.post("one");
    let two = maria.post("two");
    rename(&mut maria, two, "two", &["one", "free"]);
    let blog = fold(&maria);
    assert_eq!(moved(&blog, "one"), Some((true, one)), "live");
    assert_eq!(moved(&blog, "free"), Some((false, two)), "alias");
    rename(&mut maria, one, "uno", &[]);
    assert_eq!(
        moved(&fold(&maria), "one"),
        Some((false, one)),
        "former beats alias"
    );
    rename(&mut maria, two, "two", &["one"]);
    assert_eq!(
        moved(&fold(&maria), "one"),
        Some((false, one)),
        "also a later alias"
    );
    let three = maria.post("one");
    assert_eq!(
        moved(&fold(&maria), "one"),
        Some((true, three)),
        "live again"
    );
}

#[test]
fn what_lies_below_an_address_is_found() {
    let mut maria = Author::with(same_key("maria"));
    let walk = maria.post("2015/05/walk");
    maria.post("2015-late");
    maria.post("inside.out");
    let mut moved = article("2015/06/-");
    moved.replaces = Some(walk);
    moved.aliases = vec![Slug::parse("old/house/walk").expect("a slug")];
    maria.say(Says::Post(moved), "words").expect("valid");
    let blog = fold(&maria);
    let has = |path: &str| blog.has_below(&Slug::parse(path).expect("a slug"));
    // A former address and an alias count, too.
    for path in ["2015", "2015/05", "2015/06", "old", "old/house"] {
        assert!(has(path), "{path}");
    }
    for path in ["2015/05/walk", "20", "2015-late", "inside", "zzz"] {
        assert!(!has(path), "{path}");
    }
}

#[test]
fn of_three_that_want_a_slug_the_latest_left_has_it() {
    let mut maria = Author::with(same_key("maria"));
    let (a, b, c) = (
        maria.post("clash"),
        maria.post("clash"),
        maria.post("clash"),
    );
    for (first, slug) in [(b, "b"), (c, "c")] {
        let mut said = article(slug);
        said.replaces = Some(first);
        maria.say(Says::Post(said), "words").expect("valid");
    }
    let blog = fold(&maria);
    assert_eq!(moved(&blog, "clash"), Some((true, a)));
    assert!(blog.clashes().is_empty());
}

#[test]
fn a_registry_needs_no_words_between_keys() {
    let (mut maria, _) = two_writers();
    maria.post("one");
    maria.add_key(&same_key("rosa"), Role::Own).expect("valid");
    let skeletons = |entries: &[SealedEntry]| -> Vec<SealedEntry> {
        let bare = |e: &SealedEntry| !e.entry().skeleton().kind.needs_own();
        entries
            .iter()
            .map(|e| if bare(e) { e.erased() } else { e.clone() })
            .collect()
    };
    let mut chain = Chain::skeletal(maria.chain.blog());
    for sealed in skeletons(&maria.entries) {
        chain.accept(sealed).expect("valid");
    }
    assert_eq!(chain.heads(), maria.chain.heads());
    assert_eq!(
        chain.ring(maria.head()).map(|ring| ring.keys().count()),
        Some(3)
    );
    let mut without = Chain::skeletal(maria.chain.blog());
    without.accept(maria.entries[0].clone()).expect("valid");
    assert!(
        without.accept(maria.entries[1].erased()).is_err(),
        "keys are read"
    );
}

#[test]
fn an_author_is_known_without_the_log_between() {
    let mut maria = Author::new("Maria <maria@example.org>");
    let mut joan = key("Joan <joan@example.org>");
    let one = maria.post("one");
    let keys = maria.add_key(&joan, Role::Write).expect("added");
    maria.post("between");
    swap(&mut maria, &mut joan);
    let two = maria.post("two");
    let at = |id: EntryId| {
        let found = maria
            .entries
            .iter()
            .find(|sealed| sealed.entry().id() == id);
        found.expect("written").clone()
    };
    let (first, one, keys, two) = (maria.first.clone(), at(one), [at(keys)], at(two));
    check_author(&first, &[], &one).expect("hers from the beginning");
    check_author(&first, &keys, &one).expect("and later");
    check_author(&first, &keys, &two).expect("joan may write by then");
    let fault = check_author(&first, &[], &two).expect_err("joan could not write then");
    assert!(matches!(fault, Fault::UnknownAuthor(_)), "{fault}");
    let erased =
        SealedEntry::parse::<Vec<u8>>(one.entry().erased().text().as_bytes(), &[]).expect("erased");
    let fault = check_author(&first, &keys, &erased).expect_err("nobody signed it");
    assert!(matches!(fault, Fault::ErasedWithoutErase(_)), "{fault}");
    let eve = Author::new("Eve <eve@example.org>");
    let fault = check_author(&first, &keys, &eve.first).expect_err("another blog");
    assert!(matches!(fault, Fault::OtherBlog(_)), "{fault}");
}
