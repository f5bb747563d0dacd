//! What a name answers, in plain types without a wire format.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The data of one record. Names in it are absolute, lower case and without the last dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// An IPv4 address (RFC 1035 section 3.4.1).
    A(Ipv4Addr),
    /// An IPv6 address (RFC 3596 section 2.2).
    Aaaa(Ipv6Addr),
    /// The name of a server of the zone (RFC 1035 section 3.3.11). Only at the apex.
    Ns(String),
    /// Text of any length; split into strings of 255 bytes when encoded (RFC 1035 section 3.3.14).
    Txt(String),
    /// The start of authority (RFC 1035 section 3.3.13). Only at the apex, and only one.
    Soa(Soa),
    /// Who may issue certificates (RFC 8659 section 4.1).
    Caa {
        /// 128 when an issuer that does not know the tag must refuse, else 0.
        flags: u8,
        /// `issue`, `issuewild`, `iodef` …: letters and digits.
        tag: String,
        /// What the tag says, for example the issuer's domain.
        value: String,
    },
}

/// The start of authority: whose zone this is, which version, and how long copies live.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Soa {
    /// The name of the primary server.
    pub primary: String,
    /// The mailbox of whoever is responsible, with a dot in place of the `@`.
    pub mailbox: String,
    /// The version of the zone, compared in the arithmetic of RFC 1982.
    pub serial: u32,
    /// Seconds until a secondary looks for a new version.
    pub refresh: u32,
    /// Seconds until a secondary tries again when that failed.
    pub retry: u32,
    /// Seconds after which a secondary that reached nobody stops answering.
    pub expire: u32,
    /// Seconds for which "there is no such name" may be remembered (RFC 2308 section 4).
    pub minimum: u32,
}

/// The records of one name and one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrSet {
    /// Seconds for which the set may be remembered.
    pub ttl: u32,
    /// The records, all of one type.
    pub data: Vec<Data>,
}

/// Everything one name answers: at most one set of each type.
pub type Node = Vec<RrSet>;
