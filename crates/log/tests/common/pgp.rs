//! A bench for odd keys: certificates and signatures that no honest program makes.

use sequoia_openpgp::{
    Cert, Packet,
    cert::{CertBuilder, CertRevocationBuilder, CipherSuite},
    crypto::KeyPair,
    packet::{
        Key, Signature, UserID,
        key::{Key4, PrimaryRole, SecretParts, SubordinateRole},
        signature::SignatureBuilder,
    },
    serialize::SerializeInto as _,
    types::{HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType, Timestamp},
};
use spokes_log::{
    chain::{Chain, Place},
    draft::{Draft, Says},
    entry::Entry,
    key::{Certificate, KeyFault},
    name::{Fingerprint, Language},
    ring::VerifiedEntry,
    seal::RawSignature,
    time::Time,
};

use super::{START, draft};

/// A day in seconds.
pub(crate) const DAY: i64 = 24 * 3600;
/// When the keys of these stories are made.
pub(crate) const BORN: Time = Time::from_unix(START.as_unix() - 100 * DAY);

pub(crate) fn stamp(at: Time) -> Timestamp {
    Timestamp::from(u32::try_from(at.as_unix()).expect("a time of OpenPGP"))
}

fn days(count: i64) -> core::time::Duration {
    core::time::Duration::from_secs(u64::try_from(count * DAY).expect("not negative"))
}

pub(crate) fn signing() -> KeyFlags {
    KeyFlags::empty().set_certification().set_signing()
}

/// What certificates are mostly made of: an Ed25519 key for everything.
pub(crate) fn builder() -> CertBuilder<'static> {
    CertBuilder::new()
        .set_cipher_suite(CipherSuite::Cv25519)
        .set_primary_key_flags(signing())
        .set_creation_time(Some(stamp(BORN).into()))
        .add_userid("Maria <maria@example.org>")
}

pub(crate) fn make(builder: CertBuilder<'_>) -> Cert {
    builder.generate().expect("generated").0
}

/// The self-signature of a user id, made `age` days after birth.
pub(crate) fn binding(age: i64) -> SignatureBuilder {
    SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_hash_algo(HashAlgorithm::SHA512)
        .set_signature_creation_time(stamp(BORN + age * DAY))
        .and_then(|builder| builder.set_key_flags(signing()))
        .expect("room for subpackets")
}

/// As [`binding`], and the key expires so many days after its birth.
pub(crate) fn expiring(age: i64, lifetime: i64) -> SignatureBuilder {
    binding(age)
        .set_key_validity_period(days(lifetime))
        .expect("room for subpackets")
}

/// A certificate with one user id, bound by hand.
pub(crate) fn by_hand(key: Key4<SecretParts, PrimaryRole>, bound: SignatureBuilder) -> Cert {
    let mut key = Key::from(key);
    key.set_creation_time(stamp(BORN))
        .expect("a time of OpenPGP");
    let cert = Cert::from_packets([Packet::from(key)].into_iter()).expect("a key");
    rebind(cert, bound)
}

/// Adds a self-signature to the first user id, or to a new one.
pub(crate) fn rebind(cert: Cert, bound: SignatureBuilder) -> Cert {
    let uid = cert.userids().next().map_or_else(
        || UserID::from("Maria <maria@example.org>"),
        |uid| uid.userid().clone(),
    );
    let signature = uid.bind(&mut primary(&cert), &cert, bound).expect("bound");
    insert(cert, [Packet::from(uid), Packet::from(signature)])
}

pub(crate) fn insert(cert: Cert, packets: impl IntoIterator<Item = Packet>) -> Cert {
    cert.insert_packets(packets).expect("fits").0
}

/// Adds a revocation made `age` days after birth.
pub(crate) fn revoke(cert: Cert, age: i64, reason: ReasonForRevocation) -> Cert {
    let signature = CertRevocationBuilder::new()
        .set_signature_creation_time(stamp(BORN + age * DAY).into())
        .and_then(|builder| builder.set_reason_for_revocation(reason, b""))
        .and_then(|builder| builder.build(&mut primary(&cert), &cert, None))
        .expect("revoked");
    insert(cert, [Packet::from(signature)])
}

/// Adds a subkey for signing; its consent (the back-signature) is what `consent` makes of it.
pub(crate) fn add_subkey(
    cert: Cert,
    consent: impl FnOnce(SignatureBuilder) -> Option<SignatureBuilder>,
) -> Cert {
    add_subkey_born(cert, BORN, consent)
}

pub(crate) fn add_subkey_born(
    cert: Cert,
    born: Time,
    consent: impl FnOnce(SignatureBuilder) -> Option<SignatureBuilder>,
) -> Cert {
    let mut subkey: Key<SecretParts, SubordinateRole> =
        Key4::generate_ecc(true, sequoia_openpgp::types::Curve::Ed25519)
            .expect("generated")
            .into();
    subkey
        .set_creation_time(stamp(born))
        .expect("a time of OpenPGP");
    let at = |kind| {
        SignatureBuilder::new(kind)
            .set_hash_algo(HashAlgorithm::SHA512)
            .set_signature_creation_time(stamp(BORN + DAY))
            .expect("room for subpackets")
    };
    let mut bound = at(SignatureType::SubkeyBinding)
        .set_key_flags(KeyFlags::empty().set_signing())
        .expect("room for subpackets");
    if let Some(consent) = consent(at(SignatureType::PrimaryKeyBinding)) {
        let mut pair = subkey.clone().into_keypair().expect("unlocked");
        let consent = consent
            .sign_primary_key_binding(&mut pair, cert.primary_key().key(), &subkey)
            .expect("signed");
        bound = bound.set_embedded_signature(consent).expect("room");
    }
    let bound = subkey
        .bind(&mut primary(&cert), &cert, bound)
        .expect("bound");
    insert(cert, [Packet::from(subkey), Packet::from(bound)])
}

pub(crate) fn primary(cert: &Cert) -> KeyPair {
    let key = cert.primary_key().key().clone();
    key.parts_into_secret()
        .and_then(Key::into_keypair)
        .expect("a secret key, unlocked")
}

/// The last key of the certificate: a subkey where there is one.
pub(crate) fn last_pair(cert: &Cert) -> KeyPair {
    let key = cert
        .keys()
        .secret()
        .last()
        .expect("a secret key")
        .key()
        .clone();
    key.into_keypair().expect("unlocked")
}

pub(crate) fn fingerprint(cert: &Cert) -> Fingerprint {
    Fingerprint::from_bytes(cert.fingerprint().as_bytes()).expect("v4 or v6")
}

/// The public part as it stands in an entry.
pub(crate) fn armor(cert: &Cert) -> String {
    let armored = cert.armored().to_vec().expect("armored");
    String::from_utf8(armored)
        .expect("ASCII")
        .trim_end()
        .to_string()
}

pub(crate) fn certificate(cert: &Cert) -> Result<Certificate, KeyFault> {
    Certificate::parse(&armor(cert))
}

/// Entry 0 by this certificate, unsigned.
pub(crate) fn first(cert: &Cert, signed: Time) -> Entry {
    let says = Says::Blog {
        title: "Maria".into(),
        language: Language::parse("en").expect("a language"),
        certificate: fingerprint(cert),
        claim: None,
    };
    let draft: Draft = draft(0, says, &armor(cert));
    Entry::new(&draft, None, vec![fingerprint(cert)], signed).expect("sound")
}

pub(crate) fn place(entry: &Entry) -> Result<Place, spokes_log::fault::Fault> {
    Chain::new(entry.blog()).place(entry)
}

/// A text signature as a program would make it.
pub(crate) fn text_signature(at: Time) -> SignatureBuilder {
    SignatureBuilder::new(SignatureType::Text)
        .set_hash_algo(HashAlgorithm::SHA512)
        .set_signature_creation_time(stamp(at))
        .expect("room for subpackets")
}

pub(crate) fn sign(pair: &mut KeyPair, text: &str, builder: SignatureBuilder) -> Signature {
    let text = text.replace('\n', "\r\n");
    builder.sign_message(pair, text).expect("signed")
}

pub(crate) fn packet(signature: &Signature) -> Vec<u8> {
    Packet::from(signature.clone())
        .to_vec()
        .expect("serialized")
}

pub(crate) fn raw(signatures: &[Signature]) -> Vec<RawSignature> {
    let bytes: Vec<u8> = signatures.iter().flat_map(packet).collect();
    RawSignature::parse_all(&bytes).expect("sound in form")
}

/// Entry 0 signed by the last key of the certificate, `age` days after birth.
pub(crate) fn begin(cert: &Cert, age: i64) -> Result<VerifiedEntry, spokes_log::fault::Fault> {
    let at = BORN + age * DAY;
    let entry = first(cert, at);
    let signature = sign(&mut last_pair(cert), entry.text(), text_signature(at));
    place(&entry)?.seal(entry, &raw(&[signature]))
}
