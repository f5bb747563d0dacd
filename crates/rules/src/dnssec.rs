//! The zone's keys and signatures, as the bytes that are signed (RFC 4034, RFC 6605).
//!
//! One algorithm: ECDSA with P-256 and SHA-256, which every validating resolver knows. Names here are as they travel,
//! in lower case: labels with their lengths, and the root's zero.

use alloc::{collections::BTreeSet, vec::Vec};

use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use spokes_log::name::Hash;

/// ECDSA with P-256 and SHA-256 (RFC 6605 section 2).
const ALGORITHM: u8 = 13;
/// The only value there is (RFC 4034 section 2.1.2).
const PROTOCOL: u8 = 3;
/// A key of the zone (RFC 4034 section 2.1.1).
const ZONE: u16 = 1 << 8;
/// The parent's zone may name it (RFC 4034 section 2.1.1).
const SECURE_ENTRY_POINT: u16 = 1;
/// SHA-256 of a key, for the parent (RFC 4509).
const DIGEST_SHA256: u8 = 2;
const CLASS_IN: u16 = 1;

/// A public key of the zone: two numbers of 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ZoneKey([u8; 64]);

/// What a key signs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Signs {
    /// All records but the keys: a node's key.
    Zone,
    /// The keys: an organizer's, which the parent's zone names.
    Keys,
}

/// A signature: two numbers of 32 bytes (RFC 6605 section 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZoneSignature([u8; 64]);

impl ZoneSignature {
    /// The signature of these bytes.
    pub fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn bytes(self) -> [u8; 64] {
        self.0
    }
}

impl ZoneKey {
    /// The key of these bytes, if they are a point of the curve.
    pub fn from_bytes(bytes: [u8; 64]) -> Option<Self> {
        let key = Self(bytes);
        key.point().map(|_| key)
    }

    /// Its bytes.
    pub fn bytes(self) -> [u8; 64] {
        self.0
    }

    fn point(self) -> Option<VerifyingKey> {
        // Uncompressed (SEC 1 section 2.3.3), a byte that DNS leaves out.
        let mut point = [4; 65];
        point[1..].copy_from_slice(&self.0);
        VerifyingKey::from_sec1_bytes(&point).ok()
    }

    /// The data of its DNSKEY record (RFC 4034 section 2.1), and of CDNSKEY (RFC 7344 section 3.2).
    pub fn dnskey(self, signs: Signs) -> Vec<u8> {
        let flags = match signs {
            Signs::Zone => ZONE,
            Signs::Keys => ZONE | SECURE_ENTRY_POINT,
        };
        let mut data = flags.to_be_bytes().to_vec();
        data.extend([PROTOCOL, ALGORITHM]);
        data.extend(self.0);
        data
    }

    /// The number by which signatures name it (RFC 4034 appendix B).
    pub fn tag(self, signs: Signs) -> u16 {
        let data = self.dnskey(signs);
        let words = data.chunks(2).map(|word| match word {
            [high, low] => u32::from(*high) << 8 | u32::from(*low),
            _ => 0,
        });
        let sum: u32 = words.sum();
        let [.., high, low] = (sum + (sum >> 16)).to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// The data of the DS record that the parent's zone has of it (RFC 4034 section 5.1), and of CDS.
    pub fn ds(self, apex: &[u8]) -> Vec<u8> {
        let key = self.dnskey(Signs::Keys);
        let digest = Hash::of(&[apex, &key].concat());
        let mut data = self.tag(Signs::Keys).to_be_bytes().to_vec();
        data.extend([ALGORITHM, DIGEST_SHA256]);
        data.extend(digest.as_bytes());
        data
    }

    /// Whether a signature is this key's over these bytes.
    pub fn has_signed(self, bytes: &[u8], signature: ZoneSignature) -> bool {
        let (point, signature) = (self.point(), Signature::from_slice(&signature.0));
        let (Some(point), Ok(signature)) = (point, signature) else {
            return false;
        };
        point.verify(bytes, &signature).is_ok()
    }
}

/// Which records a signature covers, for how long, and whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cover<'a> {
    /// The type of the records.
    pub rtype: u16,
    /// Their time to live, seconds.
    pub ttl: u32,
    /// From when on it counts, seconds since 1970 modulo 2^32.
    pub inception: u32,
    /// Until when.
    pub expiration: u32,
    /// The number of the key.
    pub tag: u16,
    /// The zone's apex.
    pub apex: &'a [u8],
}

impl Cover<'_> {
    /// The data of the RRSIG record, up to the signature (RFC 4034 section 3.1).
    pub fn rrsig(&self, owner: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        self.append(labels(owner), &mut data);
        data
    }

    /// The same behind other bytes, of an owner with so many labels.
    pub fn append(&self, labels: u8, out: &mut Vec<u8>) {
        out.extend(self.rtype.to_be_bytes());
        out.extend([ALGORITHM, labels]);
        for number in [self.ttl, self.expiration, self.inception] {
            out.extend(number.to_be_bytes());
        }
        out.extend(self.tag.to_be_bytes());
        out.extend(self.apex);
    }

    /// The bytes that are signed: that data, and each record in canonical form and order (RFC 4034 section 3.1.8.1).
    /// Records are given by their data, names in it uncompressed and in lower case.
    pub fn signed<'d>(&self, owner: &[u8], records: impl Iterator<Item = &'d [u8]>) -> Vec<u8> {
        let mut bytes = self.rrsig(owner);
        // Order is that of the data, the shorter first (RFC 4034 section 6.3); none stands twice.
        for data in records.collect::<BTreeSet<_>>() {
            bytes.extend(owner);
            bytes.extend(self.rtype.to_be_bytes());
            bytes.extend(CLASS_IN.to_be_bytes());
            bytes.extend(self.ttl.to_be_bytes());
            let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
            bytes.extend(length.to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }
}

/// Types as an NSEC record lists them (RFC 4034 section 4.1.2).
pub fn rtype_bits(rtypes: &BTreeSet<u16>) -> Vec<u8> {
    let mut data = Vec::new();
    // A block for each 256 types of which there is one.
    let mut blocks: Vec<(u8, [u8; 32])> = Vec::new();
    for rtype in rtypes {
        let [block, within] = rtype.to_be_bytes();
        if blocks.last().is_none_or(|(last, _)| *last != block) {
            blocks.push((block, [0; 32]));
        }
        if let Some((_, bits)) = blocks.last_mut() {
            bits[usize::from(within / 8)] |= 0x80 >> (within % 8);
        }
    }
    for (block, bits) in blocks {
        let length = bits
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        data.push(block);
        // At most 32.
        data.push(u8::try_from(length).unwrap_or(32));
        data.extend(&bits[..length]);
    }
    data
}

/// A name as it travels (RFC 1035 section 3.1): labels of at most 63 bytes, without the last dot.
pub fn wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = label.as_bytes().get(..63).unwrap_or(label.as_bytes());
        wire.push(u8::try_from(label.len()).unwrap_or(63));
        wire.extend(label);
    }
    wire.push(0);
    wire
}

/// How many labels a name has, the root aside: 127 at most, since it has 255 bytes at most.
pub fn labels(name: &[u8]) -> u8 {
    let (mut rest, mut count) = (name, 0u8);
    while let Some((length @ 1.., behind)) = rest.split_first() {
        rest = behind.get(usize::from(*length)..).unwrap_or_default();
        count = count.saturating_add(1);
    }
    count
}

/// The order of names in a zone (RFC 4034 section 6.1): by their labels, the last first. This is the plain form; a server
/// has one that compares bytes, which is tested against this.
pub fn canonical(name: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut labels) = (name, Vec::new());
    while let Some((length, behind)) = rest.split_first() {
        let label = behind.split_at_checked(usize::from(*length));
        let Some((label, behind)) = label.filter(|(label, _)| !label.is_empty()) else {
            break;
        };
        labels.push(label);
        rest = behind;
    }
    labels.reverse();
    labels
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    fn bytes(base64: &str) -> [u8; 64] {
        STANDARD.decode(base64).unwrap().try_into().unwrap()
    }

    /// The example of RFC 6605 section 6.1.
    #[test]
    fn keys_and_signatures_are_as_the_standard_shows() {
        let key = bytes(
            "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
        );
        let key = ZoneKey::from_bytes(key).unwrap();
        assert_eq!(key.tag(Signs::Keys), 55648);
        let ds = key.ds(&wire("example.net"));
        let hex: alloc::string::String =
            ds[4..].iter().map(|b| alloc::format!("{b:02x}")).collect();
        assert_eq!(ds[..4], [0xd9, 0x60, 13, 2]);
        assert_eq!(
            hex,
            "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17"
        );

        let apex = wire("example.net");
        let cover = Cover {
            rtype: 1,
            ttl: 3600,
            inception: 1_281_607_479,
            expiration: 1_284_026_679,
            tag: 55648,
            apex: &apex,
        };
        let address = [192, 0, 2, 1];
        let owner = wire("www.example.net");
        let signed = cover.signed(&owner, [&address[..]].into_iter());
        let signature = ZoneSignature::from_bytes(bytes(
            "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
        ));
        assert!(key.has_signed(&signed, signature));
        let other = cover.signed(&owner, [&[192, 0, 2, 2][..]].into_iter());
        assert!(!key.has_signed(&other, signature));
        assert!(!key.has_signed(&signed, ZoneSignature::from_bytes([0; 64])));
    }

    #[test]
    fn a_key_is_a_point_of_the_curve() {
        assert!(ZoneKey::from_bytes([0; 64]).is_none());
        assert!(ZoneKey::from_bytes([255; 64]).is_none());
    }

    #[test]
    fn records_are_signed_in_their_order_and_once() {
        let apex = wire("a");
        let cover = Cover {
            rtype: 1,
            ttl: 30,
            inception: 1,
            expiration: 2,
            tag: 3,
            apex: &apex,
        };
        let owner = wire("b.a");
        let one = cover.signed(&owner, [&[1, 1][..], &[0], &[1, 1]].into_iter());
        let two = cover.signed(&owner, [&[0][..], &[1, 1]].into_iter());
        assert_eq!(one, two);
        assert_eq!(one[..4], [0, 1, 13, 2], "two labels");
    }

    /// The example of RFC 4034 section 4.3.
    #[test]
    fn the_types_of_a_name_are_bits() {
        let types = BTreeSet::from([1, 15, 46, 47, 1234]);
        let mut expected = vec![0, 6, 0x40, 0x01, 0, 0, 0, 0x03, 4, 27];
        expected.extend(vec![0; 26]);
        expected.push(0x20);
        assert_eq!(rtype_bits(&types), expected);
    }

    /// The example of RFC 4034 section 6.1, without its odd letters.
    #[test]
    fn names_come_by_their_last_label_first() {
        let names = [
            "example",
            "a.example",
            "yljkjljk.a.example",
            "z.a.example",
            "zabc.a.example",
            "z.example",
        ];
        let names = names.map(wire);
        assert!(names.is_sorted_by_key(|name| canonical(name)));
    }
}
