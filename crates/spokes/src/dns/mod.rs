//! The network's own name server: authoritative DNS over UDP and TCP.
//!
//! The registry decides which names exist; whoever projects it fills a [`zone::Zone`] with plain
//! [`spokes_rules::zone`] records. [`answer::answer`] turns one request into one reply and touches nothing else;
//! [`serve::Server`] owns the sockets and their limits. [`edition::Editions`] publishes one version after the other,
//! and hands them on to mirrors: standard name servers elsewhere that go on when all of ours are gone.
//!
//! Sources: RFC 1034 and 1035, with 2181 (clarifications), 2308 (negative answers), 6891 (EDNS),
//! 7766 (TCP), 8020 (what NXDOMAIN means), 8482 (ANY), 9619 (one question), 5936 (AXFR), 1995 (IXFR),
//! 1996 (NOTIFY), 8945 (TSIG), 7873 and 9018 (cookies).

pub mod encode;

pub mod zone;

pub mod answer;

mod batch;

pub mod cookie;

mod datagrams;

mod door;

mod edns;

pub mod edition;

mod berths;

mod history;

pub mod notify;

pub(crate) mod probe;

mod sheets;

pub mod signed;

pub mod signer;

mod order;

pub mod filling;

pub mod seals;

mod seal;

pub mod signing;

mod secured;

mod transfer;

pub mod limit;

pub mod serve;

mod sockets;

mod seats;

mod streams;

pub mod trial;

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod testing;
