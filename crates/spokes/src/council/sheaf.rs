//! The signatures of a version, as they travel in the council's log (SPEC dns 6.5).
//!
//! Every node drafts the same version from what it holds, so what is signed need not travel, and where each signature
//! belongs follows from its place.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use spokes_rules::{dnssec::ZoneSignature, zone::Version};

use crate::dns::signing::Stamp;

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 64;

/// Which version is to be signed, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Terms {
    /// The number of the version. It is made of the last one, and of no other.
    pub(super) serial: u32,
    /// Of which minute its slate is.
    pub(super) minute: i64,
    /// How many records it covers.
    pub(super) records: u64,
    /// Names that are signed again in any case, without the apex, as they travel, in base64.
    pub(super) renewed: Vec<String>,
    /// When the signatures count, seconds since 1970 modulo 2^32, and whose they are.
    pub(super) inception: u32,
    pub(super) expiration: u32,
    pub(super) tag: u16,
}

impl Terms {
    pub(super) fn new(version: Version, records: u64, renewed: &[Box<[u8]>], stamp: Stamp) -> Self {
        Self {
            serial: version.serial,
            minute: version.minute,
            records,
            renewed: renewed.iter().map(|name| BASE64.encode(name)).collect(),
            inception: stamp.inception,
            expiration: stamp.expiration,
            tag: stamp.tag,
        }
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            inception: self.inception,
            expiration: self.expiration,
            tag: self.tag,
        }
    }

    /// What is no name stands for none.
    pub(super) fn renewed(&self) -> Vec<Box<[u8]>> {
        let names = self.renewed.iter();
        let names = names.filter_map(|name| BASE64.decode(name).ok());
        names.map(Vec::into_boxed_slice).collect()
    }
}

/// A version's signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sheaf {
    pub(super) terms: Terms,
    /// One behind the other, in base64.
    signatures: String,
}

impl Sheaf {
    pub(super) fn new(terms: Terms, signatures: &[ZoneSignature]) -> Self {
        let bytes: Vec<u8> = signatures.iter().flat_map(|one| one.bytes()).collect();
        let signatures = BASE64.encode(bytes);
        Self { terms, signatures }
    }

    /// The signatures; none where they are not whole.
    pub(super) fn signatures(&self) -> Option<Vec<ZoneSignature>> {
        let bytes = BASE64.decode(&self.signatures).ok()?;
        let (signatures, rest) = bytes.as_chunks::<SIGNATURE_BYTES>();
        let signatures = signatures.iter().copied().map(ZoneSignature::from_bytes);
        rest.is_empty().then(|| signatures.collect())
    }

    /// About how long it is in the journal.
    pub(super) fn size(&self) -> usize {
        let renewed: usize = self.terms.renewed.iter().map(|name| name.len() + 3).sum();
        self.signatures.len() + renewed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let stamp = Stamp {
            inception: 1,
            expiration: u32::MAX,
            tag: 7,
        };
        let version = Version {
            serial: 3,
            minute: 5,
        };
        let names: [Box<[u8]>; 2] = [(*b"").into(), (*b"\x01a").into()];
        let terms = Terms::new(version, 9, &names, stamp);
        assert_eq!((terms.stamp(), terms.renewed()), (stamp, names.to_vec()));
        let signatures = [1, 2].map(|byte| ZoneSignature::from_bytes([byte; 64]));
        let sheaf = Sheaf::new(terms, &signatures);
        let text = serde_json::to_string(&sheaf).unwrap();
        let read: Sheaf = serde_json::from_str(&text).unwrap();
        assert_eq!(read.signatures(), Some(signatures.to_vec()));
        assert_eq!(read, sheaf);
        let mut torn = sheaf;
        torn.signatures = BASE64.encode([1; 65]);
        assert_eq!(torn.signatures(), None);
        torn.signatures = "?".to_owned();
        assert_eq!(torn.signatures(), None);
    }
}
