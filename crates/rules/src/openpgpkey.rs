//! Keys by name: the certificate that DNS has for a blog's mailbox, `BLOG@DOMAIN` (SPEC dns 7, RFC 7929).

use alloc::{boxed::Box, collections::BTreeSet, format, string::String, vec::Vec};

use spokes_log::{
    draft::Role,
    name::{BlogName, Fingerprint, Hash},
    ring::Ring,
    time::Time,
};

use crate::address::Domain;

/// The type of these records (RFC 7929 section 2).
pub const OPENPGPKEY: u16 = 61;
/// Bytes of a certificate in DNS. One of Ed25519 has some hundred, one of RSA with 4,096 bits and two subkeys below five
/// thousand. Each node of the council and each mirror holds all of them in memory, and 50 in a row are still sent over
/// TCP in one go; a larger one is what its owner makes smaller.
pub const OPENPGPKEY_BYTES_MAX: usize = 8 * 1024;
/// Octets of the hash in the name of such a record (RFC 7929 section 3).
const HASH_BYTES: usize = 28;
/// A domain of this length leaves no room for such a name, which has at most 253 bytes: the hash in hex, a dot,
/// `_openpgpkey`, a dot, and the domain.
const DOMAIN_BYTES_MAX: usize = 253 - 2 * HASH_BYTES - 2 - "_openpgpkey".len();

/// What a blog's mailbox is called.
pub fn mailbox(name: &BlogName, domain: &Domain) -> String {
    format!("{name}@{domain}")
}

/// The name below which its record stands; none where the domain is too long for one.
pub fn owner(name: &BlogName, domain: &Domain) -> Option<String> {
    if domain.as_str().len() > DOMAIN_BYTES_MAX {
        return None;
    }
    // RFC 7929 takes the local part as it is written: names of blogs are lower case.
    let hash = Hash::of(name.as_str().as_bytes());
    let hash = hash.as_bytes()[..HASH_BYTES].iter();
    let hash: String = hash.map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{hash}._openpgpkey.{domain}"))
}

/// The certificate that DNS has for a blog, in binary form: that of its author, or once that has ended of another own key,
/// the lowest fingerprint first, as long as it says the blog's mailbox at `at` and has not ended on any branch.
///
/// One, since programs take the first of several; none of those that are too large.
pub fn certificate(
    ring: &Ring,
    author: &Fingerprint,
    ended: &BTreeSet<Fingerprint>,
    mailbox: &str,
    at: Time,
) -> Option<Box<[u8]>> {
    let own = ring.keys().filter(|(key, role, _)| {
        *role == Role::Own && !ring.has_ended(key) && !ended.contains(key)
    });
    let (hers, others): (Vec<_>, Vec<_>) = own.partition(|(key, ..)| *key == author);
    let mut said = hers
        .into_iter()
        .chain(others)
        .filter_map(|(_, _, certificate)| certificate.for_mailbox(mailbox, at));
    said.find(|bytes| bytes.len() <= OPENPGPKEY_BYTES_MAX)
        .map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> BlogName {
        BlogName::parse(text).expect("a name")
    }

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    /// RFC 7929 section 3 has it for `hugh`, gpg's `--export-options export-dane` for `maria`.
    #[test]
    fn owners_are_those_of_the_standard() {
        let of = |blog: &str| owner(&name(blog), &domain("example.com")).expect("short");
        assert_eq!(
            of("hugh"),
            "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6._openpgpkey.example.com"
        );
        assert_eq!(
            of("maria"),
            "94aec9fbed989ece189a7e172c9cf41669050495152bc4c1dbf2a38d._openpgpkey.example.com"
        );
    }

    #[test]
    fn a_long_domain_has_no_keys() {
        let long = |bytes: usize| {
            let labels = format!(
                "{}.{}.{}",
                "a".repeat(62),
                "b".repeat(62),
                "c".repeat(bytes - 126)
            );
            owner(&name("maria"), &domain(&labels))
        };
        assert_eq!(long(DOMAIN_BYTES_MAX).map(|owner| owner.len()), Some(253));
        assert_eq!(long(DOMAIN_BYTES_MAX + 1), None);
    }
}
