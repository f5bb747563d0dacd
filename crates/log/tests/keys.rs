//! Stories about certificates: which key was good at which time (SPEC entry 5.4, 5.5, 6).

mod common;

use common::pgp::{
    BORN, DAY, add_subkey, add_subkey_born, armor, begin, binding, builder, by_hand, certificate,
    expiring, fingerprint, insert, make, primary, rebind, revoke, stamp,
};
use expect_test::{Expect, expect};
use sequoia_openpgp::{
    Cert, Packet,
    cert::{CipherSuite, SubkeyRevocationBuilder},
    packet::{
        Key, UserID,
        key::{Key4, PrimaryRole, SecretParts},
        signature::SignatureBuilder,
    },
    parse::Parse as _,
    serialize::SerializeInto as _,
    types::{Curve, HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType},
};
use spokes_log::{
    key::{Certificate, KeyFault},
    secret::SecretKey,
};

/// What a reader is told of entry 0 by this certificate, signed so many days after its birth.
fn verdict(cert: &Cert, age: i64) -> String {
    let told = match begin(cert, age) {
        Ok(_) => "good".to_string(),
        Err(fault) => fault.to_string(),
    };
    let told = match cert.keys().secret().last() {
        Some(last) => told.replace(&last.key().fingerprint().to_string(), "KEY"),
        None => told,
    };
    let told = told
        .split("; sign with a key that is valid")
        .next()
        .unwrap_or_default()
        .to_string();
    told.replace(&fingerprint(cert).to_string(), "AUTHOR")
}

#[track_caller]
fn check(cert: &Cert, ages: &[i64], expected: Expect) {
    let lines: Vec<String> = ages
        .iter()
        .map(|age| format!("day {age}: {}", verdict(cert, *age)))
        .collect();
    expected.assert_eq(&lines.join("\n"));
}

fn ed25519() -> Key4<SecretParts, PrimaryRole> {
    Key4::generate_ecc(true, Curve::Ed25519).expect("generated")
}

#[test]
fn a_key_is_good_from_its_birth_to_its_expiry() {
    let cert = by_hand(ed25519(), expiring(0, 10));
    check(
        &cert,
        &[-1, 0, 9, 10, 11],
        expect![[r#"
        day -1: the key of KEY does not count: its self-signature does not hold at 2026-08-14T14:05:00Z (No binding signature at time 2026-08-14T14:05:00Z: No binding signature at time 2026-08-14T14:05:00Z)
        day 0: good
        day 9: good
        day 10: the key of KEY does not count: it is expired, or not yet valid, at 2026-08-25T14:05:00Z
        day 11: the key of KEY does not count: it is expired, or not yet valid, at 2026-08-26T14:05:00Z"#]],
    );
}

#[test]
fn a_hard_revocation_counts_for_all_times() {
    let cert = revoke(make(builder()), 50, ReasonForRevocation::KeyCompromised);
    check(
        &cert,
        &[1, 60],
        expect![[r#"
        day 1: no key of the certificate can sign: it is revoked at 2026-10-04T14:05:00Z; send its newest form, or make a key that signs (Ed25519 is good)
        day 60: no key of the certificate can sign: it is revoked at 2026-10-04T14:05:00Z; send its newest form, or make a key that signs (Ed25519 is good)"#]],
    );
    let cert = revoke(make(builder()), 50, ReasonForRevocation::Unspecified);
    check(
        &cert,
        &[1, 60],
        expect![[r#"
        day 1: no key of the certificate can sign: it is revoked at 2026-10-04T14:05:00Z; send its newest form, or make a key that signs (Ed25519 is good)
        day 60: no key of the certificate can sign: it is revoked at 2026-10-04T14:05:00Z; send its newest form, or make a key that signs (Ed25519 is good)"#]],
    );
}

#[test]
fn a_soft_revocation_counts_from_its_day_on() {
    for reason in [
        ReasonForRevocation::KeyRetired,
        ReasonForRevocation::KeySuperseded,
    ] {
        let cert = revoke(make(builder()), 50, reason);
        check(
            &cert,
            &[1, 49, 50, 60],
            expect![[r#"
            day 1: good
            day 49: good
            day 50: the key of KEY does not count: it is revoked at 2026-10-04T14:05:00Z
            day 60: the key of KEY does not count: it is revoked at 2026-10-14T14:05:00Z"#]],
        );
    }
    let cert = revoke(make(builder()), 50, ReasonForRevocation::KeyRetired);
    check(
        &rebind(cert, binding(70)),
        &[49, 60, 71],
        expect![[r#"
        day 49: good
        day 60: the key of KEY does not count: it is revoked at 2026-10-14T14:05:00Z
        day 71: good"#]],
    );
}

#[test]
fn weak_algorithms_bind_nothing() {
    let sha1 = by_hand(ed25519(), binding(0).set_hash_algo(HashAlgorithm::SHA1));
    check(
        &sha1,
        &[1],
        expect![
            "day 1: no key of the certificate can sign: its self-signature does not hold at 2026-08-15T14:05:00Z (No binding signature at time 2026-08-15T14:05:00Z: Policy rejected non-revocation signature (PositiveCertification) requiring second pre-image resistance: SHA1 is not considered secure); send its newest form, or make a key that signs (Ed25519 is good)"
        ],
    );
    let sha224 = by_hand(ed25519(), binding(0).set_hash_algo(HashAlgorithm::SHA224));
    check(
        &sha224,
        &[1],
        expect![
            "day 1: no key of the certificate can sign: its self-signature does not hold at 2026-08-15T14:05:00Z (No binding signature at time 2026-08-15T14:05:00Z: Policy rejected non-revocation signature (PositiveCertification) requiring second pre-image resistance: SHA224 is not considered secure); send its newest form, or make a key that signs (Ed25519 is good)"
        ],
    );
    let short = by_hand(Key4::generate_rsa(1024).expect("generated"), binding(0));
    check(
        &short,
        &[1],
        expect![
            "day 1: no key of the certificate can sign: its self-signature does not hold at 2026-08-15T14:05:00Z (Policy rejected asymmetric algorithm: RSA1024 is not considered secure); send its newest form, or make a key that signs (Ed25519 is good)"
        ],
    );
    let dsa = by_hand(Key4::generate_dsa(1024).expect("generated"), binding(0));
    check(
        &dsa,
        &[1],
        expect![
            "day 1: no key of the certificate can sign: its self-signature does not hold at 2026-08-15T14:05:00Z (Policy rejected asymmetric algorithm: DSA1024 is not considered secure); send its newest form, or make a key that signs (Ed25519 is good)"
        ],
    );
}

#[test]
fn the_algorithms_of_the_spec_sign() {
    for suite in [
        CipherSuite::Cv25519,
        CipherSuite::Cv448,
        CipherSuite::P256,
        CipherSuite::P384,
        CipherSuite::P521,
        CipherSuite::RSA2k,
    ] {
        for profile in [
            sequoia_openpgp::Profile::RFC4880,
            sequoia_openpgp::Profile::RFC9580,
        ] {
            let builder = builder().set_profile(profile).expect("supported");
            let cert = make(builder.set_cipher_suite(suite));
            assert_eq!(verdict(&cert, 1), "good", "{suite:?} {profile:?}");
        }
    }
    let cert = by_hand(
        Key4::generate_ecc(true, Curve::NistP256).expect("generated"),
        binding(0),
    );
    assert_eq!(verdict(&cert, 1), "good");
    for hash in [HashAlgorithm::SHA256, HashAlgorithm::SHA384] {
        let cert = by_hand(ed25519(), binding(0).set_hash_algo(hash));
        assert_eq!(verdict(&cert, 1), "good", "{hash}");
    }
}

#[test]
fn a_subkey_signs_only_with_its_own_consent() {
    check(
        &add_subkey(make(builder()), Some),
        &[0, 1, 2],
        expect![[r#"
            day 0: the key of AUTHOR does not count: the key KEY: its binding does not hold at 2026-08-15T14:05:00Z
            day 1: good
            day 2: good"#]],
    );
    check(
        &add_subkey(make(builder()), |_| None),
        &[2],
        expect![
            "day 2: the key of AUTHOR does not count: the key KEY: its binding does not hold at 2026-08-17T14:05:00Z"
        ],
    );
    let weak = |consent: SignatureBuilder| Some(consent.set_hash_algo(HashAlgorithm::SHA1));
    check(
        &add_subkey(make(builder()), weak),
        &[2],
        expect![
            "day 2: the key of AUTHOR does not count: the key KEY: its binding does not hold at 2026-08-17T14:05:00Z"
        ],
    );
    let brief = |consent: SignatureBuilder| {
        let period = core::time::Duration::from_secs(5 * DAY as u64);
        Some(consent.set_signature_validity_period(period).expect("room"))
    };
    check(
        &add_subkey(make(builder()), brief),
        &[5, 7],
        expect![[r#"
        day 5: good
        day 7: the key of AUTHOR does not count: the key KEY: its binding does not hold at 2026-08-22T14:05:00Z"#]],
    );
}

#[test]
fn a_subkey_expires_with_its_primary() {
    let cert = add_subkey(by_hand(ed25519(), expiring(0, 10)), Some);
    check(
        &cert,
        &[9, 10],
        expect![[r#"
        day 9: good
        day 10: the key of AUTHOR does not count: it is expired, or not yet valid, at 2026-08-25T14:05:00Z"#]],
    );
}

#[test]
fn a_subkey_falls_alone_or_with_its_primary() {
    let cert = add_subkey(make(builder()), Some);
    let subkey = cert.keys().subkeys().next().expect("one").key().clone();
    let signature = SubkeyRevocationBuilder::new()
        .set_signature_creation_time(stamp(BORN + 50 * DAY).into())
        .and_then(|b| b.set_reason_for_revocation(ReasonForRevocation::KeyRetired, b""))
        .and_then(|b| b.build(&mut primary(&cert), &cert, &subkey, None))
        .expect("revoked");
    let retired = insert(cert.clone(), [Packet::from(signature)]);
    check(
        &retired,
        &[49, 50],
        expect![[r#"
        day 49: good
        day 50: the key of AUTHOR does not count: the key KEY is revoked at 2026-10-04T14:05:00Z"#]],
    );
    let whole = revoke(cert, 60, ReasonForRevocation::KeyRetired);
    check(
        &whole,
        &[49, 61],
        expect![[r#"
        day 49: good
        day 61: the key of AUTHOR does not count: it is revoked at 2026-10-15T14:05:00Z"#]],
    );
    let encrypts = make(
        builder()
            .set_primary_key_flags(KeyFlags::empty().set_certification())
            .add_transport_encryption_subkey(),
    );
    let told = certificate(&encrypts)
        .expect("it is read")
        .ever_signs()
        .expect_err("nothing signs")
        .to_string();
    expect!["no key of the certificate can sign: the key AUTHOR is not meant for signing; send its newest form, or make a key that signs (Ed25519 is good)"].assert_eq(&told.replace(&fingerprint(&encrypts).to_string(), "AUTHOR"));
}

#[test]
fn an_export_is_exactly_one_public_certificate() {
    let cert = make(builder());
    let armored = armor(&cert);
    let secret =
        String::from_utf8(cert.as_tsk().armored().to_vec().expect("armored")).expect("ASCII");
    let renamed = secret.replace("PRIVATE", "PUBLIC");
    let two: Vec<u8> = [&cert, &make(builder())]
        .iter()
        .flat_map(|cert| cert.to_vec().expect("serialized"))
        .collect();
    let flood: String =
        armored.replacen("\n\n", &format!("\nComment: {}\n\n", "x".repeat(16_384)), 1);
    let inside = armored.replacen("\n-----END", "\nwords\n-----END", 1);
    let end = "-----END PGP PUBLIC KEY BLOCK-----";
    let told: Vec<String> = [
        ("as it should be", armored.clone()),
        ("secret", secret.trim_end().to_string()),
        ("secret, renamed", renamed.trim_end().to_string()),
        ("two blocks", format!("{armored}\n\n{armored}")),
        ("two in one block", wrap(&two)),
        ("flooded", flood),
        ("words before", format!("hello\n{armored}")),
        ("words behind", format!("{armored}\nhello")),
        ("words between two ends", format!("{armored}\nhello\n{end}")),
        ("words inside", inside),
        ("nothing", String::new()),
        ("cut", armored[..armored.len() / 2].to_string()),
    ]
    .iter()
    .map(|(name, text)| match Certificate::parse(text) {
        Ok(_) => format!("{name}: read"),
        Err(fault) => format!("{name}: {fault}"),
    })
    .collect();
    expect![[r#"
        as it should be: read
        secret: this holds a SECRET key; nothing was kept. Never send it to anybody; export the certificate with "gpg --armor --export"
        secret, renamed: this holds a SECRET key; nothing was kept. Never send it to anybody; export the certificate with "gpg --armor --export"
        two blocks: this is not an armored OpenPGP certificate (no single PUBLIC KEY BLOCK); export it with "gpg --armor --export-options export-minimal --export FINGERPRINT"
        two in one block: this holds more than one certificate; send exactly one
        flooded: the certificate has 17238 bytes, the limit is 16384; strip other people's signatures with "gpg --export-options export-minimal"
        words before: this is not an armored OpenPGP certificate (no single PUBLIC KEY BLOCK); export it with "gpg --armor --export-options export-minimal --export FINGERPRINT"
        words behind: this is not an armored OpenPGP certificate (no single PUBLIC KEY BLOCK); export it with "gpg --armor --export-options export-minimal --export FINGERPRINT"
        words between two ends: this is not an armored OpenPGP certificate (no single PUBLIC KEY BLOCK); export it with "gpg --armor --export-options export-minimal --export FINGERPRINT"
        words inside: this holds more than one certificate; send exactly one
        nothing: this is not an armored OpenPGP certificate (no single PUBLIC KEY BLOCK); export it with "gpg --armor --export-options export-minimal --export FINGERPRINT"
        cut: this is not an armored OpenPGP certificate (no single PUBLIC KEY BLOCK); export it with "gpg --armor --export-options export-minimal --export FINGERPRINT""#]].assert_eq(&told.join("\n"));
}

/// Any bytes in the armor of a certificate.
fn wrap(bytes: &[u8]) -> String {
    use sequoia_openpgp::armor::{Kind, Writer};
    use std::io::Write as _;
    let mut writer = Writer::new(Vec::new(), Kind::PublicKey).expect("written");
    writer.write_all(bytes).expect("written");
    let armored = writer.finalize().expect("written");
    String::from_utf8(armored)
        .expect("ASCII")
        .trim_end()
        .to_string()
}

#[test]
fn forms_of_one_certificate_add_up() {
    let cert = make(builder());
    let old = certificate(&cert).expect("read");
    let revoked =
        certificate(&revoke(cert.clone(), 50, ReasonForRevocation::KeyRetired)).expect("read");
    let now = BORN + 60 * DAY;
    assert!(old.can_sign(now) && !revoked.can_sign(now));
    for merged in [old.merge(&revoked), revoked.merge(&old)] {
        let merged = merged.expect("one certificate");
        assert!(!merged.can_sign(now), "a revocation is not forgotten");
        assert!(merged.can_sign(BORN + 49 * DAY));
    }
    let other = certificate(&make(builder())).expect("read");
    assert!(old.merge(&other).is_err(), "two certificates");
}

#[test]
fn a_minimal_certificate_keeps_what_signatures_need() {
    let third = make(builder());
    let cert = make(
        builder()
            .add_userid("Private <private@example.org>")
            .add_transport_encryption_subkey()
            .add_signing_subkey(),
    );
    let uid = cert.userids().next().expect("one").userid().clone();
    let foreign = uid
        .certify(&mut primary(&third), &cert, None, None, None)
        .expect("certified");
    let cert = insert(cert, [Packet::from(foreign)]);
    let export = cert.to_vec().expect("serialized");
    let told = Certificate::minimal(&export, None).expect_err("a choice");
    expect!["the certificate has several user ids; choose which one becomes public with --uid: Maria <maria@example.org>, Private <private@example.org>"].assert_eq(&told.to_string());
    let told = Certificate::minimal(&export, Some("eve@example.org")).expect_err("another");
    expect![[r#"the certificate has no user id "eve@example.org"; look it up with "gpg --list-keys" and spell it the same"#]].assert_eq(&told.to_string());
    for chosen in ["maria@example.org", "Maria <maria@example.org>"] {
        let minimal = Certificate::minimal(&export, Some(chosen)).expect("minimal");
        let kept: Cert = Cert::from_bytes(&minimal.to_bytes()).expect("read");
        let uids: Vec<String> = minimal.user_ids().collect();
        assert_eq!(uids, ["Maria <maria@example.org>"]);
        assert_eq!(
            kept.userids()
                .map(|uid| uid.certifications().count())
                .sum::<usize>(),
            0
        );
        assert_eq!(kept.keys().subkeys().count(), 1, "the one that signs");
        let signs = |cert: &Cert| -> Vec<_> {
            let flagged = |s: &sequoia_openpgp::packet::Signature| {
                s.key_flags().is_some_and(|flags| flags.for_signing())
            };
            cert.keys()
                .subkeys()
                .filter(|ka| ka.self_signatures().any(flagged))
                .map(|ka| ka.key().fingerprint())
                .collect()
        };
        assert_eq!(signs(&kept), signs(&cert));
        assert!(minimal.can_sign(BORN + DAY));
        let again = Certificate::parse(&minimal.armored()).expect("what it prints");
        assert_eq!(again.to_bytes(), minimal.to_bytes());
    }
}

#[test]
fn foreign_signatures_change_no_verdict() {
    let eve = make(builder());
    let cert = make(builder());
    // Eve revokes Maria's key, and binds a user id to it.
    let revocation = SignatureBuilder::new(SignatureType::KeyRevocation)
        .set_signature_creation_time(stamp(BORN + DAY))
        .and_then(|b| b.set_reason_for_revocation(ReasonForRevocation::KeyCompromised, b""))
        .and_then(|b| b.sign_direct_key(&mut primary(&eve), cert.primary_key().key()))
        .expect("signed");
    let uid = UserID::from("Eve <eve@example.org>");
    let bound = uid
        .bind(&mut primary(&eve), &cert, expiring(2, 1))
        .expect("bound");
    let cert = insert(
        cert,
        [
            Packet::from(revocation),
            Packet::from(uid),
            Packet::from(bound),
        ],
    );
    check(
        &cert,
        &[1, 60],
        expect![[r#"
        day 1: good
        day 60: good"#]],
    );
}

#[test]
fn a_key_of_version_6_has_a_fingerprint_of_64_digits() {
    let cert = make(
        builder()
            .set_profile(sequoia_openpgp::Profile::RFC9580)
            .expect("supported"),
    );
    assert!(fingerprint(&cert).is_v6());
    let key: &Key<_, PrimaryRole> = cert.primary_key().key();
    assert_eq!(key.version(), 6);
}

#[test]
fn the_newest_of_several_keys_signs() {
    // Several times: the library lists subkeys in an order of its own.
    for _ in 0..6 {
        let old = add_subkey(make(builder()), Some);
        let older: Vec<_> = old.keys().map(|ka| ka.key().fingerprint()).collect();
        let cert = add_subkey_born(old, BORN + 3600, Some);
        let bytes = cert.as_tsk().to_vec().expect("serialized");
        let at = BORN + 2 * DAY;
        let mut key = SecretKey::parse(&bytes, None, None, at).expect("a key");
        let entry = common::pgp::first(&cert, at);
        let signature = key.sign(entry.text(), at).expect("signed");
        let sealed = common::pgp::place(&entry).and_then(|p| p.seal(entry, &[signature]));
        let sealed = sealed.expect("good").sealed().clone();
        let by = sealed.signatures()[0].issuer().as_bytes();
        assert!(older.iter().all(|old| old.as_bytes() != by), "the newest");
    }
}

/// An export of twenty keys and names, and so many signatures that fit none of them.
fn flooded(signatures: usize) -> Vec<u8> {
    let cert = make(builder());
    let mut packets: Vec<Packet> = cert.strip_secret_key_material().into_packets().collect();
    let bound = |packet: &&Packet| matches!(packet, Packet::Signature(_));
    let stray = packets.iter().find(bound).expect("a binding").clone();
    let is_part = |packet: &&Packet| !matches!(packet, Packet::Signature(_));
    let parts = packets.iter().filter(is_part).count();
    let own = packets.len() - parts;
    let names = (parts..20).map(|n| Packet::from(UserID::from(format!("Name {n}"))));
    packets.extend(names);
    packets.extend(std::iter::repeat_n(stray, signatures - own));
    let bytes = packets.iter().map(|packet| packet.to_vec().expect("bytes"));
    bytes.collect::<Vec<_>>().concat()
}

#[test]
fn a_certificate_with_too_many_signatures_is_refused_before_they_are_tried() {
    let fault = Certificate::minimal(&flooded(10_001), None).expect_err("a flood");
    let (components, signatures) = (20, 10_001);
    assert_eq!(
        fault,
        KeyFault::TooMany {
            components,
            signatures
        }
    );
    assert!(
        fault
            .to_string()
            .contains("gpg --export-options export-minimal")
    );
    // What is at the limit is judged.
    let fault = Certificate::minimal(&flooded(10_000), None).err();
    assert!(
        !matches!(fault, Some(KeyFault::TooMany { .. })),
        "{fault:?}"
    );
}

#[test]
fn a_key_that_never_agreed_is_no_signer() {
    let count = |cert: &Cert| {
        let read = certificate(&cert.clone().strip_secret_key_material()).expect("read");
        (read.signers().count(), read.good_signers().count())
    };
    assert_eq!(count(&add_subkey(make(builder()), Some)), (2, 2));
    assert_eq!(count(&add_subkey(make(builder()), |_| None)), (2, 1));
}
