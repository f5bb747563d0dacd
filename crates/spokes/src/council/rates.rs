//! How many requests a second the registry takes, and from whom.

use std::{collections::BTreeMap, net::IpAddr, time::Instant};

use spokes_rules::node::NodeKey;

/// Requests of one node in a second: a spoke to which a whole school comes to claim names has fewer.
const PER_NODE: u32 = 50;
/// Requests of unknown keys from one address in a second: donors join one by one.
const PER_STRANGER: u32 = 5;
/// Those of all unknown keys together: checking them takes a fiftieth of a core.
const OF_STRANGERS: u32 = 50;
/// Addresses of strangers that are remembered; one that has sent nothing for a while is forgotten.
const STRANGERS_MAX: usize = 4_096;
/// Seconds whose requests may come at once.
const BURST_SECONDS: u32 = 5;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// A known key.
    Node(NodeKey),
    /// Another one, from this address.
    Stranger(IpAddr),
}

/// What each may still send.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// Of known keys only, so there are as many as nodes.
    by_node: BTreeMap<NodeKey, Bucket>,
    by_stranger: BTreeMap<IpAddr, Bucket>,
    strangers: Option<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn new(limit: u32, now: Instant) -> Self {
        Self {
            left: f64::from(limit * BURST_SECONDS),
            at: now,
        }
    }

    fn fill(&mut self, limit: u32, now: Instant) {
        let most = f64::from(limit * BURST_SECONDS);
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + since * f64::from(limit)).min(most);
        self.at = now;
    }

    fn is_full(&self, limit: u32, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left + since * f64::from(limit) >= f64::from(limit * BURST_SECONDS)
    }

    /// Takes one; the limit where there is none.
    fn take(&mut self, limit: u32, now: Instant) -> Result<(), u32> {
        self.fill(limit, now);
        if self.left < 1.0 {
            return Err(limit);
        }
        self.left -= 1.0;
        Ok(())
    }
}

impl Rates {
    /// Counts a request.
    ///
    /// # Errors
    /// The limit that is reached, and whose it is.
    pub(super) fn take(&mut self, asker: Asker, now: Instant) -> Result<(), (u32, &'static str)> {
        let address = match asker {
            Asker::Node(key) => {
                let bucket = self.by_node.entry(key);
                let bucket = bucket.or_insert_with(|| Bucket::new(PER_NODE, now));
                return bucket
                    .take(PER_NODE, now)
                    .map_err(|limit| (limit, "one node"));
            }
            Asker::Stranger(address) => address,
        };
        if self.by_stranger.len() >= STRANGERS_MAX {
            self.by_stranger
                .retain(|_, bucket| !bucket.is_full(PER_STRANGER, now));
        }
        let all = "all unknown keys";
        if self.by_stranger.len() >= STRANGERS_MAX && !self.by_stranger.contains_key(&address) {
            return Err((OF_STRANGERS, all));
        }
        // Its own share first: whoever has used that up takes nothing from others.
        let own = self.by_stranger.entry(address);
        let own = own.or_insert_with(|| Bucket::new(PER_STRANGER, now));
        own.take(PER_STRANGER, now)
            .map_err(|limit| (limit, "the unknown keys of one address"))?;
        let strangers = &mut self.strangers;
        let strangers = strangers.get_or_insert_with(|| Bucket::new(OF_STRANGERS, now));
        strangers
            .take(OF_STRANGERS, now)
            .map_err(|limit| (limit, all))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use spokes_rules::node::NodeSecret;

    use super::*;

    #[test]
    fn each_node_and_each_address_has_its_own_and_strangers_share_besides() {
        let start = Instant::now();
        let mut rates = Rates::default();
        let mut taken = |asker, millis| {
            let at = start + Duration::from_millis(millis);
            (0..10_000)
                .take_while(|_| rates.take(asker, at).is_ok())
                .count()
        };
        let [a, b] = [[1; 32], [2; 32]];
        let [a, b] = [a, b].map(|seed| Asker::Node(NodeSecret::from_seed(&seed).key()));
        assert_eq!(taken(a, 0), 250);
        assert_eq!(taken(a, 0), 0);
        assert_eq!(taken(b, 0), 250, "another has its own");
        assert_eq!(taken(a, 500), 25);
        let stranger = |last| Asker::Stranger(IpAddr::from([192, 0, 2, last]));
        assert_eq!(taken(stranger(1), 0), 25);
        assert_eq!(taken(stranger(1), 1_000), 5);
        assert_eq!(taken(stranger(2), 1_000), 25, "another address has its own");
        let all: usize = (3..=100).map(|last| taken(stranger(last), 1_000)).sum();
        assert_eq!(all, 250 - 30, "and all together no more than that");
        assert_eq!(taken(a, 60_000), 250, "and no more after a rest");
    }

    #[test]
    fn addresses_are_remembered_up_to_a_limit_and_forgotten_again() {
        let start = Instant::now();
        let mut rates = Rates::default();
        for n in 0..10_000_u32 {
            let address = IpAddr::from(std::net::Ipv4Addr::from_bits(n));
            let _either_way = rates.take(Asker::Stranger(address), start);
        }
        assert_eq!(rates.by_stranger.len(), STRANGERS_MAX);
        let later = start + Duration::from_secs(60);
        let new = Asker::Stranger(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(rates.take(new, later), Ok(()));
        assert_eq!(rates.by_stranger.len(), 1);
    }
}
