use spokes_log::secret::SecretKey;

use super::*;

const NOW: i64 = 1_795_442_700;

fn at(seconds: i64) -> Time {
    Time::from_unix(NOW + seconds)
}

fn desk() -> (tempfile::TempDir, Desk) {
    let dir = tempfile::tempdir().expect("a folder");
    let desk = Desk::open(&dir.path().join("desk.db")).expect("a desk");
    (dir, desk)
}

fn certificate(name: &str) -> Certificate {
    SecretKey::generate(name, at(-1_000))
        .expect("a key")
        .certificate()
        .clone()
}

fn key() -> Fingerprint {
    Fingerprint::parse(&"A".repeat(40)).expect("a fingerprint")
}

fn fields(bytes: usize) -> Fields {
    Fields {
        body: "x".repeat(bytes),
        ..Fields::default()
    }
}

#[test]
fn a_session_outlives_a_restart_and_ends_when_told_or_in_time() {
    let (dir, desk) = desk();
    let maria = certificate("Maria");
    let token = desk
        .begin(at(0), &maria, &maria.armored(), "maria")
        .expect("begun");
    let secret = *desk.secret();
    drop(desk);
    let desk = Desk::open(&dir.path().join("desk.db")).expect("a desk");
    assert_eq!(*desk.secret(), secret, "challenges from before are known");
    let session = desk
        .session(at(1), &token)
        .expect("read")
        .expect("signed in");
    assert_eq!(
        (&session.fingerprint, session.blog.as_str()),
        (maria.fingerprint(), "maria")
    );
    assert_eq!(desk.session(at(1), "other").expect("read"), None);
    // Used after a day it lasts on; unused it ends.
    assert!(
        desk.session(at(2 * 86_400), &token)
            .expect("read")
            .is_some()
    );
    assert!(
        desk.session(at(SESSION_SECONDS + 86_400), &token)
            .expect("read")
            .is_some()
    );
    assert!(
        desk.session(at(3 * SESSION_SECONDS), &token)
            .expect("read")
            .is_none()
    );
    let token = desk
        .begin(at(0), &maria, &maria.armored(), "")
        .expect("begun");
    let session = desk
        .session(at(1), &token)
        .expect("read")
        .expect("signed in");
    desk.end(&session).expect("ended");
    assert_eq!(desk.session(at(1), &token).expect("read"), None);
    // Her key is known by any key in it that signs.
    let signer = maria.signers().last().expect("a signer");
    assert_eq!(
        desk.certificate(signer).expect("read"),
        Some(maria.armored())
    );
}

#[test]
fn the_database_gives_no_session_away() {
    let (_dir, desk) = desk();
    let maria = certificate("Maria");
    let token = desk
        .begin(at(0), &maria, &maria.armored(), "")
        .expect("begun");
    let kept: String = desk
        .lock()
        .query_row("SELECT token FROM session", [], |row| row.get(0))
        .expect("a row");
    assert!(!kept.contains(&token));
    let path = kept.trim_start_matches("sha256:");
    assert_eq!(desk.session(at(1), path).expect("read"), None);
}

#[test]
fn a_nonce_is_used_once_also_after_a_restart() {
    let (dir, desk) = desk();
    assert!(desk.use_nonce(at(0), &key(), "a", at(600)).expect("used"));
    assert!(
        !desk
            .use_nonce(at(1), &key(), "a", at(600))
            .expect("refused")
    );
    drop(desk);
    let desk = Desk::open(&dir.path().join("desk.db")).expect("a desk");
    assert!(
        !desk
            .use_nonce(at(2), &key(), "a", at(600))
            .expect("refused")
    );
    assert!(desk.use_nonce(at(2), &key(), "b", at(600)).expect("used"));
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
                INSERT INTO nonce SELECT 'n' || i, '' , ?2 FROM n";
    desk.lock()
        .execute(fill, params![NONCES_MAX, NOW + 600])
        .expect("filled");
    assert!(
        desk.use_nonce(at(3), &key(), "c", at(600)).is_err(),
        "the limit is reached"
    );
    assert!(
        desk.use_nonce(at(700), &key(), "c", at(1_300))
            .expect("used"),
        "old ones are forgotten"
    );
}

#[test]
fn drafts_are_their_authors_alone() {
    let (_dir, desk) = desk();
    let (maria, eve) = (certificate("Maria"), certificate("Eve"));
    let (maria, eve) = (maria.fingerprint(), eve.fingerprint());
    let id = desk
        .keep(at(0), maria, false, None, &fields(10))
        .expect("kept");
    assert_eq!(desk.draft(eve, &id).expect("read"), None);
    // Whoever knows the id writes over nothing.
    let theirs = desk.keep(at(1), eve, false, Some(&id), &fields(20));
    assert!(theirs.is_ok());
    assert_eq!(
        desk.draft(maria, &id).expect("read").map(|d| d.fields),
        Some(fields(10))
    );
    desk.forget(eve, &id).expect("nothing");
    assert_eq!(desk.drafts(maria).expect("read").len(), 1);
    let picture = desk
        .keep_picture(at(0), maria, false, b"picture")
        .expect("kept");
    assert_eq!(desk.picture(eve, picture).expect("read"), None);
    assert!(desk.picture(maria, picture).expect("read").is_some());
    let with = Fields {
        pictures: vec![Picture {
            hash: picture.to_string(),
            ..Picture::default()
        }],
        ..fields(1)
    };
    let other = desk.keep(at(2), maria, false, None, &with).expect("kept");
    desk.forget(maria, &id).expect("forgotten");
    assert!(
        desk.picture(maria, picture).expect("read").is_some(),
        "another draft has it"
    );
    desk.forget(maria, &other).expect("forgotten");
    assert_eq!(desk.picture(maria, picture).expect("read"), None);
}

#[test]
fn each_limit_is_reached_and_what_is_kept_stays() {
    let (_dir, mut desk) = desk();
    let maria = certificate("Maria");
    let maria = maria.fingerprint();
    let mut ids = Vec::new();
    for _ in 0..DRAFTS_OF_GUEST_MAX {
        ids.push(
            desk.keep(at(0), maria, true, None, &fields(10))
                .expect("kept"),
        );
    }
    assert!(matches!(
        desk.keep(at(0), maria, true, None, &fields(10)),
        Err(NotKept::TooMuch)
    ));
    // One that is there may still change, as far as there is room.
    assert!(
        desk.keep(at(1), maria, true, Some(&ids[0]), &fields(1_000))
            .is_ok()
    );
    let huge = fields(GUEST_BYTES_MAX as usize);
    assert!(matches!(
        desk.keep(at(1), maria, true, Some(&ids[0]), &huge),
        Err(NotKept::TooMuch)
    ));
    assert_eq!(
        desk.draft(maria, &ids[0]).expect("read").map(|d| d.fields),
        Some(fields(1_000))
    );
    for _ in DRAFTS_OF_GUEST_MAX..DRAFTS_MAX {
        desk.keep(at(0), maria, false, None, &fields(10))
            .expect("kept");
    }
    assert!(matches!(
        desk.keep(at(0), maria, false, None, &fields(10)),
        Err(NotKept::TooMuch)
    ));
    desk.limits = Limits {
        author: 120_000,
        all: 150_000,
        ..desk.limits
    };
    let photo = |number: u8| vec![number; 30_000];
    for number in 0..3 {
        desk.keep_picture(at(0), maria, false, &photo(number))
            .expect("kept");
    }
    assert!(matches!(
        desk.keep_picture(at(0), maria, false, &photo(3)),
        Err(NotKept::TooMuch)
    ));
    let eve = certificate("Eve");
    let eve = eve.fingerprint();
    desk.keep_picture(at(0), eve, false, &photo(0))
        .expect("kept");
    let kept = desk.keep_picture(at(0), eve, false, &photo(1));
    assert!(matches!(kept, Err(NotKept::Full)), "{kept:?}");
}

#[test]
fn whoever_has_no_blog_makes_room_for_others_like_her() {
    let (_dir, mut desk) = desk();
    desk.limits.guests = 10_000;
    let (maria, eve) = (certificate("Maria"), certificate("Eve"));
    let old = desk
        .keep(at(0), eve.fingerprint(), true, None, &fields(6_000))
        .expect("kept");
    let author = desk
        .keep(at(0), eve.fingerprint(), false, None, &fields(6_000))
        .expect("kept");
    desk.keep(at(1), maria.fingerprint(), true, None, &fields(6_000))
        .expect("kept");
    assert_eq!(desk.draft(eve.fingerprint(), &old).expect("read"), None);
    assert!(
        desk.draft(eve.fingerprint(), &author)
            .expect("read")
            .is_some()
    );
    let more = desk.keep(at(2), maria.fingerprint(), true, None, &fields(6_000));
    assert!(matches!(more, Err(NotKept::Full)), "not her own");
}

#[test]
fn signing_in_often_signs_nobody_else_out_and_ends() {
    let (_dir, desk) = desk();
    let (maria, eve) = (certificate("Maria"), certificate("Eve"));
    let hers = desk.begin(at(0), &maria, "", "").expect("begun");
    let first = desk.begin(at(0), &eve, "", "").expect("begun");
    for second in 1..=SESSIONS_OF_KEY_MAX {
        desk.begin(at(second as i64), &eve, "", "").expect("begun");
    }
    assert!(desk.session(at(60), &hers).expect("read").is_some());
    assert!(desk.session(at(60), &first).expect("read").is_none());
    for number in 0..SIGN_INS_MAX {
        let nonce = number.to_string();
        assert!(
            desk.use_nonce(at(0), &key(), &nonce, at(600))
                .expect("used")
        );
    }
    assert!(desk.use_nonce(at(0), &key(), "more", at(600)).is_err());
    assert!(
        desk.use_nonce(at(0), maria.fingerprint(), "more", at(600))
            .expect("used")
    );
}

#[test]
fn deleted_words_are_gone_from_the_disk() {
    let (dir, desk) = desk();
    let maria = certificate("Maria");
    let words = Fields {
        body: "the letter under the third flowerpot".into(),
        ..Fields::default()
    };
    let id = desk
        .keep(at(0), maria.fingerprint(), false, None, &words)
        .expect("kept");
    let found = || {
        let files = std::fs::read_dir(dir.path()).expect("a folder").flatten();
        let bytes: Vec<u8> = files
            .flat_map(|file| std::fs::read(file.path()).expect("read"))
            .collect();
        bytes
            .windows(words.body.len())
            .any(|window| window == words.body.as_bytes())
    };
    assert!(found());
    desk.forget(maria.fingerprint(), &id).expect("forgotten");
    assert!(!found());
}

#[test]
fn of_a_large_certificate_only_what_is_needed_is_kept() {
    let (_dir, desk) = desk();
    let maria = certificate("Maria");
    let shown = maria
        .armored()
        .replacen('\n', &format!("\nComment: {}\n", "x".repeat(20_000)), 1);
    desk.remember(at(0), &maria, &shown).expect("kept");
    assert_eq!(
        desk.certificate(maria.fingerprint()).expect("read"),
        Some(maria.armored())
    );
}

#[test]
fn what_nobody_comes_back_for_goes() {
    let (_dir, desk) = desk();
    let maria = certificate("Maria");
    let id = desk
        .keep(at(0), maria.fingerprint(), true, None, &fields(10))
        .expect("kept");
    desk.begin(at(KEPT_DAYS * 86_400), &maria, "", "")
        .expect("begun");
    assert!(
        desk.draft(maria.fingerprint(), &id)
            .expect("read")
            .is_some()
    );
    desk.begin(at(KEPT_DAYS * 86_400 + 1), &maria, "", "")
        .expect("begun");
    assert!(
        desk.draft(maria.fingerprint(), &id)
            .expect("read")
            .is_none()
    );
}

#[test]
fn a_newer_desk_is_refused_untouched() {
    let (dir, desk) = desk();
    drop(desk);
    let path = dir.path().join("desk.db");
    let newer = Connection::open(&path).expect("opened");
    newer
        .pragma_update(None, "user_version", SCHEMA + 1)
        .expect("changed");
    drop(newer);
    let why = Desk::open(&path).expect_err("refused").to_string();
    assert!(why.contains("newer program"), "{why}");
}

#[test]
fn names_are_asked_for_within_a_limit() {
    let (_dir, desk) = desk();
    let maria = certificate("Maria");
    let maria = maria.fingerprint();
    for number in 0..CLAIMS_MAX {
        desk.ask(at(0), maria, &number.to_string(), "name", "block")
            .expect("kept");
    }
    assert!(matches!(
        desk.ask(at(0), maria, "more", "name", "block"),
        Err(NotKept::TooMuch)
    ));
    desk.decide("0", "taken").expect("kept");
    let asked = desk.asked(maria, "0").expect("read").expect("there");
    assert_eq!(
        (asked.block.as_str(), asked.outcome.as_str()),
        ("block", "taken")
    );
    desk.ask(at(1), maria, "0", "name", "again").expect("kept");
    let asked = desk.asked(maria, "0").expect("read").expect("there");
    assert_eq!(
        (asked.block.as_str(), asked.outcome.as_str()),
        ("again", "")
    );
}

#[test]
fn a_draft_goes_only_with_the_text_that_was_published() {
    let (_dir, desk) = desk();
    let maria = certificate("Maria");
    let maria = maria.fingerprint();
    let with = Fields {
        text: "the text".into(),
        ..fields(1)
    };
    let id = desk.keep(at(0), maria, false, None, &with).expect("kept");
    for other in ["", "the text of another", "the tex"] {
        desk.forget_published(maria, &id, other).expect("nothing");
        assert!(desk.draft(maria, &id).expect("read").is_some(), "{other}");
    }
    desk.forget_published(maria, &id, "the text").expect("gone");
    assert_eq!(desk.draft(maria, &id).expect("read"), None);
}
