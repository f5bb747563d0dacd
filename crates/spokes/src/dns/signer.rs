//! A key with which a node signs the zone (ECDSA P-256, RFC 6605).

use std::fmt;

use p256::ecdsa::SigningKey;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};
use spokes_rules::dnssec::{ZoneKey, ZoneSignature};

/// A secret key of the zone.
pub struct ZoneSecret {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    key: ZoneKey,
}

impl fmt::Debug for ZoneSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZoneSecret({})", self.key)
    }
}

impl ZoneSecret {
    /// The key of 32 random bytes; none for one in four thousand million, which are no key.
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        let secret = SigningKey::from_slice(seed).ok()?;
        let point = secret.verifying_key().to_encoded_point(false);
        let random = SystemRandom::new();
        // The library that is fastest at signing does not work out the public half.
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let (secret, public) = (seed.as_slice(), point.as_bytes());
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(algorithm, secret, public, &random);
        let key = ZoneKey::from_bytes(public.get(1..)?.try_into().ok()?)?;
        Some(Self {
            pair: pair.ok()?,
            random,
            key,
        })
    }

    /// Its public half.
    pub fn key(&self) -> ZoneKey {
        self.key
    }

    /// Signs; none where the system gives no random numbers.
    pub fn sign(&self, bytes: &[u8]) -> Option<ZoneSignature> {
        let signature = self.pair.sign(&self.random, bytes).ok()?;
        let bytes = signature.as_ref().try_into().ok()?;
        Some(ZoneSignature::from_bytes(bytes))
    }
}

/// Whether a signature is this key's over these bytes: as [`ZoneKey::has_signed`], several times as fast.
pub(crate) fn is_by(key: ZoneKey, bytes: &[u8], signature: ZoneSignature) -> bool {
    // Uncompressed (SEC 1 section 2.3.3), a byte that DNS leaves out.
    let mut point = [4; 65];
    point[1..].copy_from_slice(&key.bytes());
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(bytes, &signature.bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_signs_is_good_and_only_that() {
        let secret = ZoneSecret::from_seed(&[7; 32]).unwrap();
        let signature = secret.sign(b"records").unwrap();
        assert!(secret.key().has_signed(b"records", signature));
        assert!(is_by(secret.key(), b"records", signature));
        assert!(!is_by(secret.key(), b"others", signature));
        assert!(!secret.key().has_signed(b"others", signature));
        let other = ZoneSecret::from_seed(&[8; 32]).unwrap();
        assert!(!other.key().has_signed(b"records", signature));
        assert!(ZoneSecret::from_seed(&[0; 32]).is_none());
        assert!(ZoneSecret::from_seed(&[255; 32]).is_none());
    }
}
