//! Which addresses to try for a host name: what a browser's resolver does, with its memory.

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::gateway::lookup::{Lookup, lookup_a, lookup_ns};

/// A few times the thousand blogs that one network under one domain is built for, at some
/// hundred bytes each; full, the memory gives up the answer that ages first.
const NAMES_KEPT_MAX: usize = 4_096;

/// A zone of ours says 30 seconds; whatever says more than this is a mistake that would keep a
/// dead spoke in use.
const TTL_MAX: Duration = Duration::from_secs(3_600);

/// RFC 8767: old addresses are better than none. A day or more, as it allows, would outlive a
/// spoke's lease of its address; an hour outlives a restart of every council node.
const STALE_SPAN: Duration = Duration::from_secs(3_600);

/// RFC 8767 §5 ("failure recheck timer"): while the servers are silent one request in this span
/// waits for them. Shorter than its 30 seconds, for here a network is watched coming back.
const STALE_RECHECK_SPAN: Duration = Duration::from_secs(5);

/// A page's six connections ask for one name at once: the first asks, the rest find its answer.
/// More at a time only when the names differ, and never more sockets than this.
const LOOKUPS_AT_ONCE_MAX: usize = 8;

/// Where DNS answers, if nothing else is set.
const DNS_PORT: u16 = 53;

/// How often it is asked who answers for the zone: a mirror that came a moment ago is known when all others
/// are dead.
const SERVERS_EVERY: Duration = Duration::from_secs(10);

/// After a start, before any name can be known, and where nobody could be asked.
const SERVERS_AGAIN: Duration = Duration::from_secs(2);

/// More servers than a network has.
const SERVERS_MAX: usize = 32;

/// The spokes that hold a host name, in the order to try them; empty where there is no such name.
///
/// Called on a task of the runtime for every request, so it must answer from memory.
pub type Holders = Arc<dyn Fn(&str) -> Vec<SocketAddr> + Send + Sync>;

/// Who knows where a host name is served.
pub enum Resolver {
    /// The council's DNS servers, asked in turn.
    Dns {
        /// Where the servers listen, UDP and TCP.
        servers: Vec<SocketAddr>,
        /// The one port on which all spokes serve HTTP: DNS gives addresses alone.
        upstream_port: u16,
    },
    /// The registry, for a machine on which spokes differ only by their ports.
    Holders(Holders),
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns {
                servers,
                upstream_port,
            } => f
                .debug_struct("Dns")
                .field("servers", servers)
                .field("upstream_port", upstream_port)
                .finish(),
            Self::Holders(_) => f.write_str("Holders"),
        }
    }
}

/// What became of a host name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// To be tried in this order, never empty.
    Addresses(Vec<SocketAddr>),
    NoSuchName,
    NoAddress,
    Silent,
}

/// The resolver and what it remembers.
pub(crate) struct Names {
    resolver: Resolver,
    memory: Mutex<Memory>,
    lookups: Semaphore,
    /// Who answers for the zone beside those that are set.
    learned: Mutex<Vec<SocketAddr>>,
}

impl Names {
    pub(crate) fn new(resolver: Resolver) -> Self {
        Self {
            resolver,
            memory: Mutex::new(Memory::new(NAMES_KEPT_MAX)),
            lookups: Semaphore::new(LOOKUPS_AT_ONCE_MAX),
            learned: Mutex::default(),
        }
    }

    /// Learns for ever who answers for the zone at `domain`, as resolvers do: mirrors go on when all that are set are
    /// gone. DNS gives addresses alone: their port is that of the first that is set.
    pub(crate) async fn learn_servers(&self, domain: &str) {
        let Resolver::Dns { servers, .. } = &self.resolver else {
            return std::future::pending().await;
        };
        let port = servers.first().map_or(DNS_PORT, SocketAddr::port);
        loop {
            let known = self.servers();
            let mut learned = Vec::new();
            for name in lookup_ns(&known, domain).await.iter().take(SERVERS_MAX) {
                if let Lookup::Found { addresses, .. } = lookup_a(&known, name).await {
                    learned.extend(addresses.iter().map(|ip| SocketAddr::from((*ip, port))));
                }
            }
            let pause = if learned.is_empty() {
                SERVERS_AGAIN
            } else {
                *self.learned.lock().unwrap_or_else(PoisonError::into_inner) = learned;
                SERVERS_EVERY
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Those that are set, and then the others.
    fn servers(&self) -> Vec<SocketAddr> {
        let Resolver::Dns { servers, .. } = &self.resolver else {
            return Vec::new();
        };
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let others = learned.iter().filter(|server| !servers.contains(server));
        servers.iter().chain(others).copied().collect()
    }

    /// `name` in lower case, without a dot at its end.
    pub(crate) async fn resolve(&self, name: &str) -> Resolved {
        let port = match &self.resolver {
            Resolver::Dns { upstream_port, .. } => *upstream_port,
            Resolver::Holders(holders) => {
                let addresses = holders(name);
                return if addresses.is_empty() {
                    Resolved::NoSuchName
                } else {
                    Resolved::Addresses(addresses)
                };
            }
        };
        if let Some(addresses) = self.memory(|memory| memory.fresh(Instant::now(), name)) {
            return with_port(addresses, port);
        }
        let _turn = self.lookups.acquire().await;
        // Whoever had the turn before may have asked for the same name.
        if let Some(addresses) = self.memory(|memory| memory.fresh(Instant::now(), name)) {
            return with_port(addresses, port);
        }
        match lookup_a(&self.servers(), name).await {
            Lookup::Found { addresses, ttl } => {
                self.memory(|memory| memory.learn(Instant::now(), name, addresses.clone(), ttl));
                with_port(addresses, port)
            }
            // What is not there is not remembered: an author waits for her new blog to appear,
            // and the servers are as near as this memory.
            Lookup::NoSuchName => {
                self.memory(|memory| memory.forget(name));
                Resolved::NoSuchName
            }
            Lookup::NoData => {
                self.memory(|memory| memory.forget(name));
                Resolved::NoAddress
            }
            Lookup::Silent => match self.memory(|memory| memory.stale(Instant::now(), name)) {
                Some(addresses) => {
                    tracing::warn!(name, "no DNS server answers: going on with old addresses");
                    with_port(addresses, port)
                }
                None => Resolved::Silent,
            },
        }
    }

    fn memory<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        act(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn with_port(addresses: Vec<Ipv4Addr>, port: u16) -> Resolved {
    Resolved::Addresses(
        addresses
            .into_iter()
            .map(|address| (address, port).into())
            .collect(),
    )
}

/// Answers by name, each with its age; told the time, so that tests need not wait an hour.
struct Memory {
    names: HashMap<String, Remembered>,
    names_max: usize,
}

struct Remembered {
    addresses: Vec<Ipv4Addr>,
    fresh_until: Instant,
    stale_until: Instant,
}

impl Memory {
    fn new(names_max: usize) -> Self {
        Self {
            names: HashMap::new(),
            names_max,
        }
    }

    fn fresh(&self, now: Instant, name: &str) -> Option<Vec<Ipv4Addr>> {
        let known = self.names.get(name)?;
        (now < known.fresh_until).then(|| known.addresses.clone())
    }

    /// The last resort, after the servers were asked in vain; they are left alone for a while.
    fn stale(&mut self, now: Instant, name: &str) -> Option<Vec<Ipv4Addr>> {
        let known = self.names.get_mut(name)?;
        if now >= known.stale_until {
            self.names.remove(name);
            return None;
        }
        known.fresh_until = known.stale_until.min(now + STALE_RECHECK_SPAN);
        Some(known.addresses.clone())
    }

    fn learn(&mut self, now: Instant, name: &str, addresses: Vec<Ipv4Addr>, ttl: Duration) {
        if self.names.len() >= self.names_max && !self.names.contains_key(name) {
            let oldest = self.names.iter().min_by_key(|(_, known)| known.fresh_until);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.names.remove(&oldest);
            }
        }
        let fresh_until = now + ttl.min(TTL_MAX);
        let stale_until = fresh_until + STALE_SPAN;
        self.names.insert(
            name.to_owned(),
            Remembered {
                addresses,
                fresh_until,
                stale_until,
            },
        );
    }

    fn forget(&mut self, name: &str) {
        self.names.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::fakes::{Dns, Says};
    use domain::base::iana::Rcode;

    const NAME: &str = "maria.blogs.localhost";
    const SECOND: Duration = Duration::from_secs(1);

    fn address(last: u8) -> Vec<Ipv4Addr> {
        vec![Ipv4Addr::new(127, 0, 2, last)]
    }

    async fn names(says: Says) -> (Names, Dns) {
        let dns = Dns::start(says).await;
        let resolver = Resolver::Dns {
            servers: vec![dns.at],
            upstream_port: 80,
        };
        (Names::new(resolver), dns)
    }

    #[test]
    fn an_answer_is_fresh_for_its_ttl_and_stale_for_an_hour_more() {
        let mut memory = Memory::new(8);
        let now = Instant::now();
        memory.learn(now, NAME, address(1), 30 * SECOND);
        assert_eq!(memory.fresh(now + 29 * SECOND, NAME), Some(address(1)));
        assert_eq!(memory.fresh(now + 30 * SECOND, NAME), None);

        let silent_at = now + 60 * SECOND;
        assert_eq!(memory.stale(silent_at, NAME), Some(address(1)));
        assert_eq!(
            memory.fresh(silent_at + 4 * SECOND, NAME),
            Some(address(1)),
            "left alone"
        );
        assert_eq!(
            memory.fresh(silent_at + 5 * SECOND, NAME),
            None,
            "asked again"
        );

        let end = now + 30 * SECOND + STALE_SPAN;
        assert_eq!(memory.stale(end - SECOND, NAME), Some(address(1)));
        assert_eq!(memory.fresh(end, NAME), None);
        assert_eq!(memory.stale(end, NAME), None);
    }

    #[test]
    fn a_ttl_of_a_year_counts_as_an_hour() {
        let mut memory = Memory::new(8);
        let now = Instant::now();
        memory.learn(now, NAME, address(1), 31_536_000 * SECOND);
        assert_eq!(memory.fresh(now + TTL_MAX, NAME), None);
    }

    #[test]
    fn a_full_memory_gives_up_what_ages_first() {
        let mut memory = Memory::new(2);
        let now = Instant::now();
        memory.learn(now, "a", address(1), 30 * SECOND);
        memory.learn(now, "b", address(2), 10 * SECOND);
        memory.learn(now, "a", address(1), 20 * SECOND);
        assert_eq!(
            memory.fresh(now, "b"),
            Some(address(2)),
            "a repeat pushes nobody out"
        );
        memory.learn(now, "c", address(3), 10 * SECOND);
        assert_eq!(memory.fresh(now, "b"), None);
        assert_eq!(memory.fresh(now, "a"), Some(address(1)));
        assert_eq!(memory.names.len(), 2);
    }

    #[tokio::test]
    async fn a_fresh_answer_is_not_asked_for_again() {
        let (names, dns) = names(Says::addresses(address(1), 30)).await;
        let names = Arc::new(names);
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let names = Arc::clone(&names);
            asking.spawn(async move { names.resolve(NAME).await });
        }
        let expected = Resolved::Addresses(vec!["127.0.2.1:80".parse().unwrap()]);
        assert!(
            asking
                .join_all()
                .await
                .iter()
                .all(|answer| *answer == expected)
        );
        assert!(
            dns.asked() <= LOOKUPS_AT_ONCE_MAX,
            "asked {} times",
            dns.asked()
        );
        names.resolve(NAME).await;
        assert!(dns.asked() <= LOOKUPS_AT_ONCE_MAX);
    }

    #[tokio::test]
    async fn a_name_that_ended_is_not_kept_alive_by_silence() {
        let (names, dns) = names(Says::addresses(address(1), 0)).await;
        assert!(matches!(names.resolve(NAME).await, Resolved::Addresses(_)));
        dns.now_says(Says::rcode(Rcode::NXDOMAIN));
        assert_eq!(names.resolve(NAME).await, Resolved::NoSuchName);
        dns.now_says(Says::rcode(Rcode::SERVFAIL));
        assert_eq!(names.resolve(NAME).await, Resolved::Silent);
    }

    #[tokio::test]
    async fn holders_are_taken_as_the_registry_gives_them() {
        let here: SocketAddr = "127.0.0.1:8083".parse().unwrap();
        let holders: Holders =
            Arc::new(move |name| if name == NAME { vec![here] } else { Vec::new() });
        let names = Names::new(Resolver::Holders(holders));
        assert_eq!(names.resolve(NAME).await, Resolved::Addresses(vec![here]));
        assert_eq!(
            names.resolve("x.blogs.localhost").await,
            Resolved::NoSuchName
        );
    }
}
