//! A secret key in the author's hand: for tools that sign without `gpg`.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use sequoia_openpgp::{
    Cert, Profile,
    cert::{CertBuilder, CipherSuite},
    crypto::{KeyPair, Password},
    packet::signature::SignatureBuilder,
    parse::Parse as _,
    serialize::SerializeInto as _,
    types::{HashAlgorithm, KeyFlags, SignatureType, Timestamp},
};

use crate::{
    key::{Certificate, KeyFault},
    seal::RawSignature,
    time::Time,
};

/// Bytes of a file with a secret key.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A secret key that can sign.
pub struct SecretKey {
    cert: Cert,
    pair: KeyPair,
    certificate: Certificate,
}

impl SecretKey {
    /// Makes an Ed25519 key (v4, algorithm 22: what stock gpg 2.2 reads) that never expires.
    ///
    /// # Errors
    /// When the library refuses, for instance for lack of randomness.
    pub fn generate(user_id: &str, at: Time) -> Result<Self, KeyFault> {
        let stamp = Timestamp::from(u32::try_from(at.as_unix()).unwrap_or(u32::MAX));
        let (cert, _revocation) = CertBuilder::new()
            .set_profile(Profile::RFC4880)
            .and_then(|builder| {
                builder
                    .set_cipher_suite(CipherSuite::Cv25519)
                    .set_primary_key_flags(KeyFlags::empty().set_certification().set_signing())
                    .set_creation_time(Some(stamp.into()))
                    .add_userid(user_id)
                    .generate()
            })
            .map_err(|e| KeyFault::Locked(e.to_string()))?;
        Self::from_cert(cert, None, None, at)
    }

    /// Reads a secret key, armored or not, and unlocks the part of it that signs at `at`.
    ///
    /// The certificate that goes with it is stripped as by [`Certificate::minimal`].
    ///
    /// # Errors
    /// When there is no key that signs, or the password does not unlock it.
    pub fn parse(
        bytes: &[u8],
        password: Option<&str>,
        user_id: Option<&str>,
        at: Time,
    ) -> Result<Self, KeyFault> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(KeyFault::TooLarge {
                bytes: bytes.len(),
                max: FILE_BYTES_MAX,
            });
        }
        let cert = Cert::from_bytes(bytes).map_err(|e| KeyFault::NotACertificate(e.to_string()))?;
        Self::from_cert(cert, password, user_id, at)
    }

    fn from_cert(
        cert: Cert,
        password: Option<&str>,
        user_id: Option<&str>,
        at: Time,
    ) -> Result<Self, KeyFault> {
        let public = cert.clone().strip_secret_key_material();
        let export = public
            .to_vec()
            .map_err(|e| KeyFault::NotACertificate(e.to_string()))?;
        let certificate = Certificate::minimal(&export, user_id)?;
        let good: Vec<_> = certificate
            .keys()
            .iter()
            .filter(|key| key.is_good(at))
            .map(|k| &k.fingerprint)
            .collect();
        let secret = cert
            .keys()
            .secret()
            .map(|ka| ka.key().clone())
            // The newest that is good: a subkey where there is one, as gpg chooses.
            .filter(|key| {
                good.iter()
                    .any(|f| f.as_bytes() == key.fingerprint().as_bytes())
            })
            .max_by_key(|key| (key.fingerprint() != cert.fingerprint(), key.creation_time()))
            .ok_or_else(|| KeyFault::CannotSign("no secret part that signs is inside".into()))?;
        let secret = match password {
            Some(password) if !secret.has_unencrypted_secret() => secret
                .decrypt_secret(&Password::from(password))
                .map_err(|e| KeyFault::Locked(e.to_string()))?,
            _ => secret,
        };
        let pair = secret
            .into_keypair()
            .map_err(|e| KeyFault::Locked(e.to_string()))?;
        Ok(Self {
            cert,
            pair,
            certificate,
        })
    }

    /// What others need to check its signatures.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The armored secret key, to be kept by its owner alone.
    pub fn armored(&self) -> String {
        let armored = self.cert.as_tsk().armored().to_vec().unwrap_or_default();
        String::from_utf8_lossy(&armored).into_owned()
    }

    /// Signs a canonical text (SPEC entry 5.1).
    ///
    /// # Errors
    /// When the library refuses.
    pub fn sign(&mut self, text: &str, at: Time) -> Result<RawSignature, KeyFault> {
        let locked = |why: String| KeyFault::Locked(why);
        let stamp = Timestamp::from(u32::try_from(at.as_unix()).unwrap_or(u32::MAX));
        let signature = SignatureBuilder::new(SignatureType::Text)
            .set_hash_algo(HashAlgorithm::SHA512)
            .set_signature_creation_time(stamp)
            .and_then(|builder| builder.sign_message(&mut self.pair, text.replace('\n', "\r\n")))
            .map_err(|e| locked(e.to_string()))?;
        RawSignature::check(signature).map_err(|e| locked(e.to_string()))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.certificate.fingerprint())
    }
}
