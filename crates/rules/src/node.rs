//! Nodes: spokes and council nodes, their labels and keys, and what they sign.

use alloc::{
    string::{String, ToString},
    sync::Arc,
};
use core::{borrow::Borrow, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use spokes_log::text::Value;

/// What a node is called: one DNS label (SPEC registry 1.2).
///
/// Copies share the text: each blog names its members, and those that hold it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Label(Arc<str>);

impl Label {
    /// Reads a label: 1 to 32 of a-z, 0-9 and hyphens, none at an end.
    ///
    /// # Errors
    /// Says what a label looks like.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let shaped = (1..=32).contains(&text.len())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !text.starts_with('-')
            && !text.ends_with('-');
        if shaped {
            Ok(Self(text.into()))
        } else {
            Err("is not a label of 1 to 32 characters a-z, 0-9 and hyphens, none at an end")
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Label {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for Label {
    fn parse(text: &str) -> Result<Self, &'static str> {
        Self::parse(text)
    }
}

/// A node's or organizer's public Ed25519 key, spelled `ed25519:` and base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey([u8; 32]);

impl NodeKey {
    /// The key of these bytes (RFC 8032 section 5.1.5).
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn bytes(self) -> [u8; 32] {
        self.0
    }

    /// Whether `signature` is this key's over exactly this text (RFC 8032, strict).
    pub fn has_signed(&self, text: &str, signature: &NodeSignature) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else {
            return false;
        };
        key.verify_strict(text.as_bytes(), &Signature::from_bytes(&signature.0))
            .is_ok()
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", BASE64.encode(self.0))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Value for NodeKey {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let bytes = text
            .strip_prefix("ed25519:")
            .and_then(|t| BASE64.decode(t).ok());
        bytes
            .and_then(|b| b.try_into().ok())
            .map(Self)
            .ok_or("is not \"ed25519:\" and 32 bytes in base64")
    }
}

/// A node's signature, spelled in base64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeSignature([u8; 64]);

impl fmt::Display for NodeSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl Value for NodeSignature {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let bytes = BASE64.decode(text).ok().and_then(|b| b.try_into().ok());
        bytes.map(Self).ok_or("is not 64 bytes in base64")
    }
}

/// A node's or organizer's secret key.
#[derive(Clone)]
pub struct NodeSecret(SigningKey);

impl NodeSecret {
    /// Makes the key that belongs to 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The 32 bytes, to be written to a file that only its owner reads.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key.
    pub fn key(&self) -> NodeKey {
        NodeKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a canonical text.
    pub fn sign(&self, text: &str) -> NodeSignature {
        NodeSignature(self.0.sign(text.as_bytes()).to_bytes())
    }
}

impl fmt::Debug for NodeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeSecret({})", self.key())
    }
}

/// A text and one node's signature under it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The canonical text.
    pub text: String,
    /// Whose signature.
    pub key: NodeKey,
    /// The signature.
    pub signature: NodeSignature,
}

impl Signed {
    /// Signs a text.
    pub fn new(secret: &NodeSecret, text: &dyn fmt::Display) -> Self {
        let text = text.to_string();
        let signature = secret.sign(&text);
        Self {
            text,
            key: secret.key(),
            signature,
        }
    }

    /// Whether the signature is good. Whether the key counts is another question.
    pub fn is_good(&self) -> bool {
        self.key.has_signed(&self.text, &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_bind_text_and_key() {
        let (a, b) = (
            NodeSecret::from_seed(&[1; 32]),
            NodeSecret::from_seed(&[2; 32]),
        );
        let signed = Signed::new(&a, &"text");
        assert!(signed.is_good());
        assert!(
            !Signed {
                key: b.key(),
                ..signed.clone()
            }
            .is_good()
        );
        assert!(
            !Signed {
                text: "texts".into(),
                ..signed.clone()
            }
            .is_good()
        );
        let printed = (signed.key.to_string(), signed.signature.to_string());
        assert_eq!(NodeKey::parse(&printed.0), Ok(signed.key));
        assert_eq!(NodeSignature::parse(&printed.1), Ok(signed.signature));
    }
}
