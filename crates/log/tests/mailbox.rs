//! Stories about what a certificate says of a mailbox, and what of it others get who look for that (RFC 7929).

mod common;

use std::io::Write as _;

use common::pgp::{
    self, BORN, DAY, add_subkey, binding, builder, expiring, fingerprint, insert, make, primary,
    rebind, revoke,
};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use sequoia_openpgp::{
    Cert, Packet,
    armor::{Kind, Writer},
    cert::{CertBuilder, CipherSuite},
    packet::{UserID, signature::SignatureBuilder},
    parse::Parse as _,
    serialize::SerializeInto as _,
    types::{HashAlgorithm, ReasonForRevocation, SignatureType},
};
use spokes_log::key::Certificate;

const MAILBOX: &str = "maria@blogs.example.org";
const MARIA: &str = "Maria <maria@blogs.example.org>";

/// A certificate whose only user id is this.
fn of(user_id: &str) -> Cert {
    let builder = CertBuilder::new()
        .set_cipher_suite(CipherSuite::Cv25519)
        .set_primary_key_flags(pgp::signing())
        .set_creation_time(Some(pgp::stamp(BORN).into()));
    make(builder.add_userid(user_id))
}

/// The bytes that others get `age` days after the key's birth.
fn shown(cert: &Cert, age: i64) -> Option<Vec<u8>> {
    let certificate = pgp::certificate(cert).expect("it can be read");
    certificate.for_mailbox(MAILBOX, BORN + age * DAY)
}

/// What others get: user ids, keys, signatures.
#[track_caller]
fn check(cert: &Cert, age: i64, expected: &Expect) {
    let told = match shown(cert, age) {
        None => "nothing".to_owned(),
        Some(bytes) => {
            let shown = Cert::from_bytes(&bytes).expect("a certificate");
            assert_eq!(shown.fingerprint(), cert.fingerprint());
            assert!(!shown.is_tsk() && shown.bad_signatures().next().is_none());
            let user_ids = shown.userids().map(|id| id.userid().to_string());
            let user_ids: Vec<String> = user_ids.collect();
            let packets = shown.clone().into_packets();
            let signatures = packets.filter(|packet| matches!(packet, Packet::Signature(_)));
            let (keys, signatures) = (shown.keys().count(), signatures.count());
            format!(
                "{}; keys: {keys}, signatures: {signatures}",
                user_ids.join(", ")
            )
        }
    };
    expected.assert_eq(&told);
}

/// Adds a user id bound by the signature of this key.
fn claim(cert: Cert, user_id: &str, by: &Cert, bound: SignatureBuilder) -> Cert {
    let user_id = UserID::from(user_id);
    let signature = user_id
        .bind(&mut primary(by), &cert, bound)
        .expect("signed");
    insert(cert, [Packet::from(user_id), Packet::from(signature)])
}

#[test]
fn the_owner_of_a_mailbox_is_found_with_all_her_keys() {
    let cert = of(MARIA);
    let consenting = add_subkey(cert.clone(), Some);
    check(
        &cert,
        1,
        &expect!["Maria <maria@blogs.example.org>; keys: 1, signatures: 2"],
    );
    check(
        &consenting,
        2,
        &expect!["Maria <maria@blogs.example.org>; keys: 2, signatures: 3"],
    );
    // One that encrypts is what many look for; to check posts nobody needs it.
    let encrypting =
        CertBuilder::general_purpose([MARIA]).set_creation_time(Some(pgp::stamp(BORN).into()));
    let all = make(encrypting.set_cipher_suite(CipherSuite::Cv25519));
    check(
        &all,
        1,
        &expect!["Maria <maria@blogs.example.org>; keys: 3, signatures: 4"],
    );
}

#[test]
fn what_else_she_is_called_and_what_others_say_of_her_stays_out() {
    let other = of("Rosa <rosa@example.org>");
    let with_others = make(
        builder()
            .add_userid(MARIA)
            .add_userid("Maria at home <m@example.net>"),
    );
    check(
        &with_others,
        1,
        &expect!["Maria <maria@blogs.example.org>; keys: 1, signatures: 2"],
    );
    let certified = {
        let builder = SignatureBuilder::new(SignatureType::GenericCertification);
        let builder = builder
            .set_signature_creation_time(pgp::stamp(BORN + DAY))
            .expect("room");
        let user_id = UserID::from(MARIA);
        let signature = user_id.bind(&mut primary(&other), &with_others, builder);
        insert(
            with_others,
            [
                Packet::from(user_id),
                Packet::from(signature.expect("signed")),
            ],
        )
    };
    check(
        &certified,
        2,
        &expect!["Maria <maria@blogs.example.org>; keys: 1, signatures: 2"],
    );
    check(&make(builder()), 1, &expect!["nothing"]);
}

#[test]
fn a_name_that_nobody_or_somebody_else_has_signed_says_nothing() {
    let (maria, mallory) = (
        of("Maria <maria@example.org>"),
        of("Mallory <m@example.org>"),
    );
    let bare = insert(maria.clone(), [Packet::from(UserID::from(MARIA))]);
    check(&bare, 1, &expect!["nothing"]);
    let by_mallory = claim(maria.clone(), MARIA, &mallory, binding(1));
    check(&by_mallory, 2, &expect!["nothing"]);
    let weak = binding(1).set_hash_algo(HashAlgorithm::SHA1);
    let weak = claim(maria.clone(), MARIA, &maria, weak);
    check(&weak, 2, &expect!["nothing"]);
    let hers = claim(maria.clone(), MARIA, &maria, binding(1));
    check(
        &hers,
        2,
        &expect!["Maria <maria@blogs.example.org>; keys: 1, signatures: 2"],
    );
    check(&hers, 0, &expect!["nothing"]);
}

#[test]
fn what_is_revoked_or_expired_says_nothing_any_more() {
    let cert = of(MARIA);
    let compromised = ReasonForRevocation::KeyCompromised;
    check(
        &revoke(cert.clone(), 5, compromised),
        3,
        &expect!["nothing"],
    );
    let retired = revoke(cert.clone(), 5, ReasonForRevocation::KeyRetired);
    check(
        &retired,
        4,
        &expect!["Maria <maria@blogs.example.org>; keys: 1, signatures: 3"],
    );
    check(&retired, 6, &expect!["nothing"]);

    let expires = rebind(cert.clone(), expiring(1, 10));
    check(
        &expires,
        9,
        &expect!["Maria <maria@blogs.example.org>; keys: 1, signatures: 3"],
    );
    check(&expires, 11, &expect!["nothing"]);
    check(&cert, -1, &expect!["nothing"]);

    let gone = SignatureBuilder::new(SignatureType::CertificationRevocation)
        .set_hash_algo(HashAlgorithm::SHA512)
        .set_signature_creation_time(pgp::stamp(BORN + 5 * DAY))
        .and_then(|b| b.set_reason_for_revocation(ReasonForRevocation::UIDRetired, b""))
        .expect("room");
    let gone = claim(cert.clone(), MARIA, &cert, gone);
    check(
        &gone,
        4,
        &expect!["Maria <maria@blogs.example.org>; keys: 1, signatures: 3"],
    );
    check(&gone, 6, &expect!["nothing"]);
    assert_eq!(fingerprint(&gone), fingerprint(&cert));
}

#[test]
fn the_same_comes_out_of_what_came_out() {
    let cert = add_subkey(make(builder().add_userid(MARIA)), Some);
    let once = shown(&cert, 2).expect("hers");
    let again = Cert::from_bytes(&once).expect("a certificate");
    assert_eq!(shown(&again, 2), Some(once));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever bytes of a certificate are others: nothing comes out that is not hers, or no certificate.
    #[test]
    fn a_damaged_certificate_shows_nothing_that_is_not_hers(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let cert = make(builder().add_userid(MARIA));
        let mut bytes = cert.strip_secret_key_material().to_vec().expect("serialized");
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        let Ok(damaged) = Cert::from_bytes(&bytes) else { return Ok(()) };
        let mut armored = Writer::new(Vec::new(), Kind::PublicKey).expect("begun");
        armored.write_all(&bytes).expect("written");
        let armored = String::from_utf8(armored.finalize().expect("ended")).expect("ASCII");
        let Ok(certificate) = Certificate::parse(armored.trim_end()) else { return Ok(()) };
        if let Some(shown) = certificate.for_mailbox(MAILBOX, BORN + DAY) {
            let shown = Cert::from_bytes(&shown).expect("a certificate");
            prop_assert_eq!(shown.fingerprint(), damaged.fingerprint());
            prop_assert!(shown.userids().all(|id| id.userid().to_string() == MARIA));
        }
    }
}
