//! OpenPGP certificates: which key was good at which time (SPEC entry 5.4, 5.5, 6.1).
//!
//! The judgment is Sequoia's, under a policy frozen at one date. It is taken once, when a certificate
//! is parsed: validity changes only at the times that its own signatures name, so each key gets the
//! spans in which it could sign, and checking an entry asks no policy any more.

use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use ed25519_dalek::{Verifier as _, VerifyingKey};
use sequoia_openpgp::{
    Cert, Packet, PacketPile,
    cert::amalgamation::ValidAmalgamation as _,
    crypto::mpi,
    packet::{
        Key, Signature, Tag,
        key::{PublicParts, UnspecifiedRole},
    },
    parse::Parse as _,
    policy::{AsymmetricAlgorithm, StandardPolicy},
    serialize::SerializeInto as _,
    types::{Curve, HashAlgorithm, RevocationStatus, Timestamp},
};

use crate::{name::Fingerprint, time::Time};

/// Bytes of one armored certificate in an entry (SPEC entry 6.1); flooded ones have megabytes.
pub const ARMOR_BYTES_MAX: usize = 16_384;
/// Bytes of a certificate in binary form, also after merging (SPEC entry 6.4).
const BINARY_BYTES_MAX: usize = 16_384;
/// What the author's tool reads before it strips a certificate: a photo and many certifications fit.
const FULL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Signatures times keys and names of a certificate as it is exported: twenty of these with ten thousand
/// signatures of others, which takes less than a second.
const TRIALS_MAX: usize = 200_000;
/// 2026-01-01T00:00:00Z: the policy's date, for ever, so that every node judges alike (SPEC entry 5.4).
const POLICY_UNIX: u32 = 1_767_225_600;

/// The digests that a signature may use (SPEC entry 5.4).
pub(crate) const HASHES: [HashAlgorithm; 3] = [
    HashAlgorithm::SHA256,
    HashAlgorithm::SHA384,
    HashAlgorithm::SHA512,
];

/// Why a certificate cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyFault {
    /// The bytes are no certificate; with the library's reason.
    NotACertificate(String),
    /// There is more than one certificate.
    Several,
    /// The secret key is inside.
    Secret,
    /// The certificate is over its limit in bytes.
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// There are too many signatures for so many keys and names.
    TooMany {
        /// Keys, subkeys and names.
        components: usize,
        /// Signatures.
        signatures: usize,
    },
    /// The certificate is another one than announced.
    WrongFingerprint {
        /// The fingerprint announced.
        expected: Fingerprint,
        /// The one found.
        found: Fingerprint,
    },
    /// No key of the certificate was ever fit to sign; with the reasons found.
    CannotSign(String),
    /// No user id of the certificate is the one asked for.
    NoSuchUserId(String),
    /// Several user ids, and none was chosen.
    ChooseUserId(Vec<String>),
    /// The secret key could not be read or unlocked; with the library's reason.
    Locked(String),
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany {
                components,
                signatures,
            } => write!(
                f,
                "the certificate has {components} keys and names and {signatures} signatures, too many to \
                 try one on the other; export it with \"gpg --export-options export-minimal --export\""
            ),
            Self::NotACertificate(why) => write!(
                f,
                "this is not an armored OpenPGP certificate ({why}); export it with \
                 \"gpg --armor --export-options export-minimal --export FINGERPRINT\""
            ),
            Self::Several => write!(f, "this holds more than one certificate; send exactly one"),
            Self::Secret => write!(
                f,
                "this holds a SECRET key; nothing was kept. Never send it to anybody; export the \
                 certificate with \"gpg --armor --export\""
            ),
            Self::TooLarge { bytes, max } => write!(
                f,
                "the certificate has {bytes} bytes, the limit is {max}; strip other people's \
                 signatures with \"gpg --export-options export-minimal\""
            ),
            Self::WrongFingerprint { expected, found } => {
                write!(
                    f,
                    "the certificate is {found}, announced was {expected}; put the one that is \
                     meant in both places"
                )
            }
            Self::CannotSign(why) => write!(
                f,
                "no key of the certificate can sign: {why}; send its newest form, or make a key \
                 that signs (Ed25519 is good)"
            ),
            Self::NoSuchUserId(uid) => write!(
                f,
                "the certificate has no user id \"{uid}\"; look it up with \"gpg --list-keys\" \
                 and spell it the same"
            ),
            Self::ChooseUserId(uids) => write!(
                f,
                "the certificate has several user ids; choose which one becomes public with \
                 --uid: {}",
                uids.join(", ")
            ),
            Self::Locked(why) => write!(
                f,
                "the secret key could not be unlocked: {why}; try the password again"
            ),
        }
    }
}

impl core::error::Error for KeyFault {}

/// A public OpenPGP certificate of bounded size, with its verdicts.
#[derive(Clone)]
pub struct Certificate {
    /// As the library writes it. The library's own form takes ten times the memory, and a node keeps one
    /// for each blog; it is read again for the few questions that verdicts do not answer.
    packets: Vec<u8>,
    user_ids: Vec<String>,
    fingerprint: Fingerprint,
    keys: Vec<SigningKey>,
}

/// A primary key or subkey, and when it was good for signing.
#[derive(Clone)]
pub(crate) struct SigningKey {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) key: Key<PublicParts, UnspecifiedRole>,
    /// Its point, where it is an Ed25519 key: the library would decode it for every signature.
    point: Option<VerifyingKey>,
    /// Ascending spans `[from, until)`.
    good: Vec<(Time, Time)>,
}

impl Certificate {
    /// Reads one armored certificate as it stands in an entry.
    ///
    /// # Errors
    /// Each [`KeyFault`] of SPEC entry 6.1.
    pub fn parse(armored: &str) -> Result<Self, KeyFault> {
        if armored.contains("BEGIN PGP PRIVATE KEY BLOCK") {
            return Err(KeyFault::Secret);
        }
        if armored.len() > ARMOR_BYTES_MAX {
            return Err(KeyFault::TooLarge {
                bytes: armored.len(),
                max: ARMOR_BYTES_MAX,
            });
        }
        let framed = armored.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
            && armored.ends_with("\n-----END PGP PUBLIC KEY BLOCK-----")
            && armored.matches("-----BEGIN").count() == 1
            && armored.matches("-----END").count() == 1;
        if !framed {
            return Err(KeyFault::NotACertificate(
                "no single PUBLIC KEY BLOCK".to_string(),
            ));
        }
        Self::from_cert(read(armored.as_bytes(), ARMOR_BYTES_MAX)?)
    }

    /// Reads any export of a certificate, armored or not, and keeps what others need to check
    /// signatures: the chosen user id, self-signatures, self-revocations and subkeys that sign.
    ///
    /// # Errors
    /// As [`Self::parse`]; and when there are several user ids and none was chosen.
    pub fn minimal(export: &[u8], user_id: Option<&str>) -> Result<Self, KeyFault> {
        let minimal = Self::news(export, user_id)?;
        minimal.ever_signs()?;
        Ok(minimal)
    }

    /// As [`Self::minimal`], also of a certificate that is revoked for all times: that is news of it.
    ///
    /// # Errors
    /// As [`Self::minimal`], but for keys that cannot sign.
    pub fn news(export: &[u8], user_id: Option<&str>) -> Result<Self, KeyFault> {
        check_trials(export)?;
        let cert = read(export, FULL_BYTES_MAX)?;
        let uids: Vec<String> = cert
            .userids()
            .filter(|uid| uid.self_revocations().next().is_none())
            .map(|uid| String::from_utf8_lossy(uid.userid().value()).into_owned())
            .collect();
        let chosen = match (user_id, uids.as_slice()) {
            (Some(asked), _) => {
                let found = uids
                    .iter()
                    .find(|uid| *uid == asked || is_address_of(asked, uid));
                Some(
                    found
                        .ok_or_else(|| KeyFault::NoSuchUserId(asked.to_string()))?
                        .clone(),
                )
            }
            (None, []) => None,
            (None, [only]) => Some(only.clone()),
            (None, _) => return Err(KeyFault::ChooseUserId(uids)),
        };
        let is_chosen = |text: &str| Some(text) == chosen.as_deref();
        let cert = Cert::from_packets(minimal_packets(&cert, is_chosen, false).into_iter())
            .map_err(|e| KeyFault::NotACertificate(e.to_string()))?;
        Self::from_cert(cert)
    }

    pub(crate) fn from_cert(cert: Cert) -> Result<Self, KeyFault> {
        if cert.is_tsk() {
            return Err(KeyFault::Secret);
        }
        let binary = cert
            .to_vec()
            .map_err(|e| KeyFault::NotACertificate(e.to_string()))?;
        if binary.len() > BINARY_BYTES_MAX {
            return Err(KeyFault::TooLarge {
                bytes: binary.len(),
                max: BINARY_BYTES_MAX,
            });
        }
        let fingerprint = Fingerprint::from_bytes(cert.fingerprint().as_bytes())
            .ok_or_else(|| KeyFault::NotACertificate("unknown key version".to_string()))?;
        let keys = signing_keys(&cert);
        let user_ids = cert.userids();
        let user_ids =
            user_ids.map(|uid| String::from_utf8_lossy(uid.userid().value()).into_owned());
        Ok(Self {
            user_ids: user_ids.collect(),
            packets: binary,
            fingerprint,
            keys,
        })
    }

    /// The fingerprint of the primary key.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The user ids, as their owner wrote them.
    pub fn user_ids(&self) -> impl Iterator<Item = String> {
        self.user_ids.clone().into_iter()
    }

    /// An error only where the library does not read what it wrote: its bytes are a stranger's.
    pub(crate) fn cert(&self) -> Result<Cert, KeyFault> {
        Cert::from_bytes(&self.packets).map_err(|e| KeyFault::NotACertificate(e.to_string()))
    }

    /// The armored form, lines separated by LF, without one at the end.
    pub fn armored(&self) -> String {
        let armored = self
            .cert()
            .ok()
            .and_then(|cert| cert.armored().to_vec().ok());
        let armored = armored.unwrap_or_default();
        // The library writes the user ids as comments, which a canonical text need not repeat.
        String::from_utf8_lossy(&armored)
            .lines()
            .filter(|line| !line.starts_with("Comment: "))
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The binary form.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.packets.clone()
    }

    /// This certificate and a newer form of it in one; nothing known is forgotten (SPEC entry 6.4).
    ///
    /// # Errors
    /// When the fingerprints differ or the sum is over its limit.
    pub fn merge(&self, newer: &Self) -> Result<Self, KeyFault> {
        let merged =
            self.cert()?
                .merge_public(newer.cert()?)
                .map_err(|_| KeyFault::WrongFingerprint {
                    expected: self.fingerprint.clone(),
                    found: newer.fingerprint.clone(),
                })?;
        Self::from_cert(merged)
    }

    /// Why no key could sign at `at`, or why the given one could not, as a sentence's end.
    pub(crate) fn trouble(&self, key: &Fingerprint, at: Time) -> String {
        match self.cert() {
            Ok(cert) => trouble(&cert, key, at),
            Err(why) => why.to_string(),
        }
    }

    /// The fingerprints of the keys in it that may sign.
    pub fn signers(&self) -> impl Iterator<Item = &Fingerprint> {
        self.keys.iter().map(|key| &key.fingerprint)
    }

    /// Those that were ever good: anybody can name a key that never agreed to stand in a certificate.
    pub fn good_signers(&self) -> impl Iterator<Item = &Fingerprint> {
        let good = self.keys.iter().filter(|key| !key.good.is_empty());
        good.map(|key| &key.fingerprint)
    }

    /// All keys that were ever good.
    pub(crate) fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// Checks that some key could sign at some time. The newer form of a certificate that is revoked
    /// for all times cannot, and is news all the same.
    ///
    /// # Errors
    /// When none ever could; with the reasons found.
    pub fn ever_signs(&self) -> Result<(), KeyFault> {
        if self.keys.iter().any(|key| !key.good.is_empty()) {
            return Ok(());
        }
        let cert = self.cert()?;
        let why = trouble(&cert, &self.fingerprint, last_turn(&cert));
        Err(KeyFault::CannotSign(why))
    }

    /// Whether some key could sign at `at`.
    pub fn can_sign(&self, at: Time) -> bool {
        self.keys.iter().any(|key| key.is_good(at))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.fingerprint)
    }
}

impl SigningKey {
    /// Whether a signature with this digest is this key's, as the library judges; whether the key
    /// was good is not asked.
    pub(crate) fn has_signed(
        &self,
        signature: &mpi::Signature,
        algorithm: HashAlgorithm,
        digest: &[u8],
    ) -> bool {
        let bytes = match (self.key.mpis(), signature) {
            (mpi::PublicKey::Ed25519 { .. }, mpi::Signature::Ed25519 { s }) => Some(**s),
            (mpi::PublicKey::EdDSA { .. }, mpi::Signature::EdDSA { r, s }) => joined(r, s),
            _ => None,
        };
        let Some((point, bytes)) = self.point.as_ref().zip(bytes) else {
            return self.key.verify(signature, algorithm, digest).is_ok();
        };
        let signature = ed25519_dalek::Signature::from_bytes(&bytes);
        point.verify(digest, &signature).is_ok()
    }

    /// Whether this key could sign at `at`.
    pub(crate) fn is_good(&self, at: Time) -> bool {
        self.good
            .iter()
            .any(|(from, until)| *from <= at && at < *until)
    }
}

/// The point of an Ed25519 key in either of its forms (RFC 9580 sections 5.5.5.5 and 5.5.5.9).
fn point(key: &mpi::PublicKey) -> Option<VerifyingKey> {
    let bytes = match key {
        mpi::PublicKey::Ed25519 { a } => *a,
        mpi::PublicKey::EdDSA { curve, q } if *curve == Curve::Ed25519 => {
            q.decode_point(curve).ok()?.0.try_into().ok()?
        }
        _ => return None,
    };
    VerifyingKey::from_bytes(&bytes).ok()
}

/// The two halves of a signature, whose leading zeros the packet does not hold.
fn joined(r: &mpi::MPI, s: &mpi::MPI) -> Option<[u8; 64]> {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&r.value_padded(32).ok()?);
    bytes[32..].copy_from_slice(&s.value_padded(32).ok()?);
    Some(bytes)
}

fn read(bytes: &[u8], max: usize) -> Result<Cert, KeyFault> {
    if bytes.len() > max {
        return Err(KeyFault::TooLarge {
            bytes: bytes.len(),
            max,
        });
    }
    let mut certs = sequoia_openpgp::cert::CertParser::from_bytes(bytes)
        .map_err(|e| KeyFault::NotACertificate(e.to_string()))?;
    let cert = certs
        .next()
        .ok_or_else(|| KeyFault::NotACertificate("nothing inside".to_string()))?
        .map_err(|e| KeyFault::NotACertificate(e.to_string()))?;
    if certs.next().is_some() {
        return Err(KeyFault::Several);
    }
    if cert.is_tsk() {
        return Err(KeyFault::Secret);
    }
    Ok(cert)
}

/// The library tries each signature that fits nowhere on each key and name, which costs the square of a
/// hostile certificate's length.
fn check_trials(bytes: &[u8]) -> Result<(), KeyFault> {
    if bytes.len() > FULL_BYTES_MAX {
        return Err(KeyFault::TooLarge {
            bytes: bytes.len(),
            max: FULL_BYTES_MAX,
        });
    }
    let pile =
        PacketPile::from_bytes(bytes).map_err(|e| KeyFault::NotACertificate(e.to_string()))?;
    let (mut components, mut signatures) = (0_usize, 0_usize);
    for packet in pile.children() {
        match packet.tag() {
            Tag::Signature => signatures += 1,
            _ => components += 1,
        }
    }
    if components.saturating_mul(signatures) > TRIALS_MAX {
        return Err(KeyFault::TooMany {
            components,
            signatures,
        });
    }
    Ok(())
}

fn is_address_of(asked: &str, user_id: &str) -> bool {
    user_id
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map(|(a, _)| a)
        == Some(asked)
}

/// The primary key, these user ids, and the subkeys that sign, or all; each with its owner's own signatures.
pub(crate) fn minimal_packets(
    cert: &Cert,
    stays: impl Fn(&str) -> bool,
    all_subkeys: bool,
) -> Vec<Packet> {
    let mut packets = Vec::new();
    let primary = cert.primary_key();
    packets.push(Packet::from(primary.key().clone()));
    packets.extend(
        primary
            .self_revocations()
            .chain(primary.self_signatures())
            .map(own),
    );
    for uid in cert.userids() {
        let text = String::from_utf8_lossy(uid.userid().value());
        if stays(&text) {
            packets.push(Packet::from(uid.userid().clone()));
            packets.extend(uid.self_revocations().chain(uid.self_signatures()).map(own));
        }
    }
    for subkey in cert.keys().subkeys() {
        let signs = subkey
            .self_signatures()
            .any(|s| s.key_flags().is_some_and(|flags| flags.for_signing()));
        if signs || all_subkeys {
            packets.push(Packet::from(subkey.key().clone()));
            packets.extend(
                subkey
                    .self_revocations()
                    .chain(subkey.self_signatures())
                    .map(own),
            );
        }
    }
    packets
}

fn own(signature: &Signature) -> Packet {
    Packet::from(signature.clone())
}

/// The policy that judges keys: Sequoia's of [`POLICY_UNIX`], with our own lists of algorithms.
pub(crate) fn policy() -> StandardPolicy<'static> {
    use AsymmetricAlgorithm as A;
    let mut policy = StandardPolicy::at(Timestamp::from(POLICY_UNIX));
    policy.reject_all_hashes();
    HASHES.into_iter().for_each(|hash| policy.accept_hash(hash));
    policy.reject_all_asymmetric_algos();
    let accepted = [
        A::RSA2048,
        A::RSA3072,
        A::RSA4096,
        A::NistP256,
        A::NistP384,
        A::NistP521,
        A::EdDSA,
        A::Ed25519,
        A::Ed448,
        // For subkeys that encrypt: they are of no use here, but must not spoil the certificate.
        A::Cv25519,
        A::X25519,
        A::X448,
    ];
    accepted
        .into_iter()
        .for_each(|algorithm| policy.accept_asymmetric_algo(algorithm));
    policy
}

fn signing_keys(cert: &Cert) -> Vec<SigningKey> {
    let policy = policy();
    let mut keys: Vec<SigningKey> = cert
        .keys()
        .filter_map(|ka| {
            let key = ka.key().clone();
            let fingerprint = Fingerprint::from_bytes(key.fingerprint().as_bytes())?;
            Some(SigningKey {
                fingerprint,
                point: point(key.mpis()),
                key,
                good: Vec::new(),
            })
        })
        .collect();
    let turns: Vec<Time> = turns(cert).into_iter().collect();
    for (index, from) in turns.iter().enumerate() {
        let until = turns
            .get(index + 1)
            .copied()
            .unwrap_or(Time::from_unix(i64::MAX));
        let good = good_at(cert, &policy, *from);
        for key in keys
            .iter_mut()
            .filter(|key| good.contains(&key.fingerprint))
        {
            match key.good.last_mut() {
                Some(span) if span.1 == *from => span.1 = until,
                _ => key.good.push((*from, until)),
            }
        }
    }
    keys
}

fn good_at(cert: &Cert, policy: &StandardPolicy<'_>, at: Time) -> Vec<Fingerprint> {
    let Some(stamp) = stamp(at) else {
        return Vec::new();
    };
    let Ok(valid) = cert.with_policy(policy, Some(stamp.into())) else {
        return Vec::new();
    };
    if valid.alive().is_err() || is_revoked(&valid.revocation_status()) {
        return Vec::new();
    }
    valid
        .keys()
        .supported()
        .alive()
        .revoked(false)
        .for_signing()
        .filter_map(|ka| Fingerprint::from_bytes(ka.key().fingerprint().as_bytes()))
        .collect()
}

pub(crate) fn is_revoked(status: &RevocationStatus<'_>) -> bool {
    matches!(status, RevocationStatus::Revoked(_))
}

/// The times at which a verdict about this certificate may change.
fn turns(cert: &Cert) -> BTreeSet<Time> {
    let mut turns = BTreeSet::new();
    let primary = cert.primary_key();
    for ka in cert.keys() {
        turns.extend(seconds(Some(ka.key().creation_time())));
        for signature in ka.self_signatures().chain(ka.self_revocations()) {
            turns.extend(seconds(signature.signature_creation_time()));
            turns.extend(seconds(signature.signature_expiration_time()));
            turns.extend(seconds(signature.key_expiration_time(ka.key())));
            // A subkey that signs carries its own consent, with times of its own.
            for consent in signature.embedded_signatures() {
                turns.extend(seconds(consent.signature_creation_time()));
                turns.extend(seconds(consent.signature_expiration_time()));
            }
        }
    }
    for uid in cert.userids() {
        for signature in uid.self_signatures().chain(uid.self_revocations()) {
            turns.extend(seconds(signature.signature_creation_time()));
            turns.extend(seconds(signature.signature_expiration_time()));
            turns.extend(seconds(signature.key_expiration_time(primary.key())));
        }
    }
    turns
}

/// A time of the library's as ours; generic, so that no clock needs to be named here.
pub(crate) fn seconds<T>(time: Option<T>) -> Option<Time>
where
    Timestamp: TryFrom<T>,
{
    let stamp = Timestamp::try_from(time?).ok()?;
    Some(Time::from_unix(i64::from(u32::from(stamp))))
}

fn last_turn(cert: &Cert) -> Time {
    turns(cert).last().copied().unwrap_or(Time::from_unix(0))
}

pub(crate) fn stamp(at: Time) -> Option<Timestamp> {
    u32::try_from(at.as_unix()).ok().map(Timestamp::from)
}

/// Says why a key was not good, for a person; the verdict itself is in the spans.
fn trouble(cert: &Cert, key: &Fingerprint, at: Time) -> String {
    let Some(stamp) = stamp(at) else {
        return format!("{at} is no time of OpenPGP");
    };
    let policy = policy();
    let valid = match cert.with_policy(&policy, Some(stamp.into())) {
        Ok(valid) => valid,
        Err(why) => return format!("its self-signature does not hold at {at} ({})", chain(&why)),
    };
    if let RevocationStatus::Revoked(_) = valid.revocation_status() {
        return format!("it is revoked at {at}");
    }
    if valid.alive().is_err() {
        return format!("it is expired, or not yet valid, at {at}");
    }
    let same = |k: &sequoia_openpgp::Fingerprint| k.as_bytes() == key.as_bytes();
    let Some(ka) = valid.keys().find(|ka| same(&ka.key().fingerprint())) else {
        let bound = cert.keys().any(|ka| same(&ka.key().fingerprint()));
        let why = if bound {
            "its binding does not hold"
        } else {
            "it is not part of it"
        };
        return format!("the key {key}: {why} at {at}");
    };
    if is_revoked(&ka.revocation_status()) {
        return format!("the key {key} is revoked at {at}");
    }
    if ka.alive().is_err() {
        return format!("the key {key} is expired, or not yet valid, at {at}");
    }
    if !ka.for_signing() {
        return format!("the key {key} is not meant for signing");
    }
    format!("the key {key} cannot be used")
}

/// The library's errors, cause by cause.
fn chain(error: &sequoia_openpgp::anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;

    use proptest::prelude::*;
    use sequoia_openpgp::{
        Profile,
        cert::{CertBuilder, CipherSuite},
        crypto::{Signer as _, mpi::MPI},
    };

    use super::*;

    const DIGEST: [u8; 64] = [7; 64];

    /// A key in one of the two forms, and its signature over the digest as 64 bytes.
    fn signed(profile: Profile) -> (SigningKey, Vec<u8>) {
        let builder = CertBuilder::new().set_profile(profile).expect("a profile");
        let builder = builder.set_cipher_suite(CipherSuite::Cv25519);
        let (cert, _) = builder.generate().expect("a key");
        let secret = cert.primary_key().key().clone().parts_into_secret();
        let mut pair = secret.and_then(|s| s.into_keypair()).expect("a secret");
        let bytes = match pair.sign(HashAlgorithm::SHA512, &DIGEST).expect("signed") {
            mpi::Signature::Ed25519 { s } => s.to_vec(),
            mpi::Signature::EdDSA { r, s } => joined(&r, &s).expect("64 bytes").to_vec(),
            other => panic!("{other:?}"),
        };
        let cert = Certificate::from_cert(cert.strip_secret_key_material()).expect("public");
        (cert.keys()[0].clone(), bytes)
    }

    /// Whether these bytes, split at `at`, are the key's signature, as the library judges and as we do.
    #[track_caller]
    fn check(key: &SigningKey, bytes: &[u8], at: usize) -> bool {
        let signature = match key.key.mpis() {
            mpi::PublicKey::EdDSA { .. } => mpi::Signature::EdDSA {
                r: MPI::new(&bytes[..at]),
                s: MPI::new(&bytes[at..]),
            },
            _ => mpi::Signature::Ed25519 {
                s: Box::new(bytes.try_into().expect("64 bytes")),
            },
        };
        assert!(key.point.is_some(), "the point is at hand");
        let ours = key.has_signed(&signature, HashAlgorithm::SHA512, &DIGEST);
        let judged = key.key.verify(&signature, HashAlgorithm::SHA512, &DIGEST);
        assert_eq!(ours, judged.is_ok(), "{bytes:?} at {at}");
        ours
    }

    /// The order of the group, little end first: S and S + L are the same number to a careless judge.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];

    #[test]
    fn a_point_at_hand_judges_as_the_library() {
        for profile in [Profile::RFC4880, Profile::RFC9580] {
            let (key, bytes) = signed(profile);
            assert!(check(&key, &bytes, 32));
            let mut larger = bytes.clone();
            let mut carry = 0;
            for (byte, order) in larger[32..].iter_mut().zip(ORDER) {
                carry += u16::from(*byte) + u16::from(order);
                *byte = carry as u8;
                carry >>= 8;
            }
            assert!(!check(&key, &larger, 32));
            assert!(!check(&key, &[0; 64], 32));
            assert!(!check(&key, &[0xff; 64], 32));
        }
        // One in 256 begins with a zero, which numbers do without: then a half of 31 bytes is the whole of it.
        let mut made = core::iter::repeat_with(|| signed(Profile::RFC4880));
        let full = made.find(|(_, bytes)| bytes[0] != 0);
        let (key, bytes) = full.expect("one of many");
        assert!(!check(&key, &bytes, 33), "too long a half is no signature");
        assert!(!check(&key, &bytes[1..], 31));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_changed_signature_is_judged_as_the_library_judges_it(
            old: bool,
            changes in proptest::collection::vec((0_usize..64, any::<u8>()), 1..3),
        ) {
            let (key, mut bytes) = signed(if old { Profile::RFC4880 } else { Profile::RFC9580 });
            for (at, bits) in changes {
                bytes[at] ^= bits;
            }
            check(&key, &bytes, 32);
        }
    }
}
