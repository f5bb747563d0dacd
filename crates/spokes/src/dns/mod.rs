//! The network's own name server: authoritative DNS over UDP and TCP.
//!
//! The registry decides which names exist; whoever projects it fills a [`zone::Zone`] with plain
//! [`spokes_rules::zone`] records. [`answer::answer`] turns one request into one reply and touches nothing else;
//! [`serve::Server`] owns the sockets and their limits.
//!
//! Sources: RFC 1034 and 1035, with 2181 (clarifications), 2308 (negative answers), 6891 (EDNS),
//! 7766 (TCP), 8020 (what NXDOMAIN means), 8482 (ANY) and 9619 (one question).

pub mod encode;

pub mod zone;

pub mod answer;

pub mod serve;

#[cfg(test)]
mod testing;
