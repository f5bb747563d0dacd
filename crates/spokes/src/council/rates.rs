//! How many requests a second the registry takes, and from whom.

use std::{collections::BTreeMap, time::Instant};

use spokes_rules::node::NodeKey;

/// Requests of one node in a second: a spoke to which a whole school comes to claim names has fewer.
const PER_NODE: u32 = 50;
/// Requests of all other keys together in a second: donors join one by one.
const OF_STRANGERS: u32 = 5;
/// Seconds whose requests may come at once.
const BURST_SECONDS: u32 = 5;

/// What each may still send.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// Of known keys only, so there are as many as nodes.
    by_node: BTreeMap<NodeKey, Bucket>,
    strangers: Option<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Rates {
    /// Counts a request of a known key, or of anybody else.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(super) fn take(&mut self, node: Option<NodeKey>, now: Instant) -> Result<(), u32> {
        let limit = node.map_or(OF_STRANGERS, |_| PER_NODE);
        let most = f64::from(limit * BURST_SECONDS);
        let full = || Bucket {
            left: most,
            at: now,
        };
        let bucket = match node {
            Some(key) => self.by_node.entry(key).or_insert_with(full),
            None => self.strangers.get_or_insert_with(full),
        };
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + since * f64::from(limit)).min(most);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(limit);
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use spokes_rules::node::NodeSecret;

    use super::*;

    #[test]
    fn each_node_has_its_own_and_strangers_share() {
        let start = Instant::now();
        let mut rates = Rates::default();
        let mut taken = |node, millis| {
            let at = start + Duration::from_millis(millis);
            (0..10_000)
                .take_while(|_| rates.take(node, at).is_ok())
                .count()
        };
        let [a, b] = [[1; 32], [2; 32]].map(|seed| Some(NodeSecret::from_seed(&seed).key()));
        assert_eq!(taken(a, 0), 250);
        assert_eq!(taken(a, 0), 0);
        assert_eq!(taken(b, 0), 250, "another has its own");
        assert_eq!(taken(a, 500), 25);
        assert_eq!(taken(None, 0), 25);
        assert_eq!(taken(None, 1_000), 5);
        assert_eq!(taken(a, 60_000), 250, "and no more after a rest");
    }
}
