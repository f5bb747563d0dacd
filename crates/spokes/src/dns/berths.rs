//! Whose transfers go on at once, and who gives way when others come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Transfers at once: each holds a part of the zone, and what has changed since it began.
const TRANSFERS_MAX: usize = 8;
/// Transfers of one mirror at once: one that was cut off may not be known to be over yet.
const TRANSFERS_PER_MIRROR_MAX: usize = 2;
/// From when on a transfer that does not move gives way: longer than a line loses packets, and a mirror takes to write
/// down what it has.
const STANDS_STILL: Duration = Duration::from_secs(5);
/// How long a mirror waits that was cut off because it did not read: twice as long as it takes until others may push it
/// out, so that those that never read leave berths to others for most of the time.
const PAUSE: Duration = Duration::from_secs(10);

/// The transfers that go on.
///
/// A mirror that has none finds a berth: where all are taken, the second one of another mirror is taken away, or else
/// that which has stood still longest, if for some seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Berths(Arc<Mutex<Moored>>);

#[derive(Debug, Default)]
struct Moored {
    /// By number, so in the order in which they came.
    taken: BTreeMap<u64, Transfer>,
    /// Mirrors that did not read, and until when they wait.
    waiting: BTreeMap<String, Instant>,
    count: u64,
}

#[derive(Debug)]
struct Transfer {
    mirror: String,
    /// When the mirror last took something.
    moved: Instant,
    /// Somebody else gets the berth.
    wanted: Arc<Notify>,
}

/// A transfer's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Berth {
    berths: Berths,
    number: u64,
    wanted: Arc<Notify>,
}

impl Berths {
    fn moored(&self) -> MutexGuard<'_, Moored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A berth for a mirror; none where it has to come later.
    pub(crate) fn take(&self, mirror: &str, now: Instant) -> Option<Berth> {
        let mut moored = self.moored();
        moored.waiting.retain(|_, until| *until > now);
        if moored.waiting.contains_key(mirror) {
            return None;
        }
        let of_mirror = moored.count_of(mirror);
        if moored.taken.len() >= TRANSFERS_MAX {
            // Only the first one is worth another's.
            if of_mirror > 0 {
                return None;
            }
            moored.make_room(now)?;
        } else if of_mirror >= TRANSFERS_PER_MIRROR_MAX {
            return None;
        }
        moored.count += 1;
        let (number, wanted) = (moored.count, Arc::new(Notify::new()));
        let transfer = Transfer {
            mirror: mirror.to_owned(),
            moved: now,
            wanted: Arc::clone(&wanted),
        };
        moored.taken.insert(number, transfer);
        Some(Berth {
            berths: self.clone(),
            number,
            wanted,
        })
    }
}

impl Moored {
    fn count_of(&self, mirror: &str) -> usize {
        let transfers = self.taken.values();
        transfers
            .filter(|transfer| transfer.mirror == mirror)
            .count()
    }

    fn make_room(&mut self, now: Instant) -> Option<()> {
        let stillest = |(_, transfer): &(&u64, &Transfer)| transfer.moved;
        let transfers = self.taken.iter();
        let second = transfers.filter(|(_, transfer)| self.count_of(&transfer.mirror) > 1);
        if let Some((number, _)) = second.min_by_key(stillest) {
            let number = *number;
            self.taken.remove(&number)?.wanted.notify_one();
            return Some(());
        }
        let (number, transfer) = self.taken.iter().min_by_key(stillest)?;
        if now.duration_since(transfer.moved) < STANDS_STILL {
            return None;
        }
        let number = *number;
        let transfer = self.taken.remove(&number)?;
        transfer.wanted.notify_one();
        self.waiting.insert(transfer.mirror, now + PAUSE);
        Some(())
    }
}

impl Berth {
    /// The mirror has taken something.
    pub(crate) fn moved(&self, now: Instant) {
        if let Some(transfer) = self.berths.moored().taken.get_mut(&self.number) {
            transfer.moved = now;
        }
    }

    /// The mirror takes nothing, and is cut off.
    pub(crate) fn stood_still(&self, now: Instant) {
        let mut moored = self.berths.moored();
        if let Some(transfer) = moored.taken.remove(&self.number) {
            moored.waiting.insert(transfer.mirror, now + PAUSE);
        }
    }

    /// Waits until somebody else gets this berth.
    pub(crate) async fn lost(&self) {
        self.wanted.notified().await;
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        self.berths.moored().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Berths at a time that passes when it is told to.
    struct Port {
        berths: Berths,
        now: Instant,
    }

    impl Port {
        fn new() -> Self {
            Self {
                berths: Berths::default(),
                now: Instant::now(),
            }
        }

        fn take(&self, mirror: &str) -> Option<Berth> {
            self.berths.take(mirror, self.now)
        }

        /// Berths of mirrors that take nothing, as many as they get.
        fn full_of(&self, mirrors: u32) -> Vec<Berth> {
            let names = (0..mirrors).map(|n| format!("bad{n}"));
            let names = names.flat_map(|name| [name.clone(), name]);
            names.filter_map(|name| self.take(&name)).collect()
        }
    }

    impl Berth {
        fn is_there(&self) -> bool {
            self.berths.moored().taken.contains_key(&self.number)
        }
    }

    #[test]
    fn a_mirror_has_a_second_berth_while_there_is_one() {
        let port = Port::new();
        let first = port.take("m1").unwrap();
        let second = port.take("m1").unwrap();
        assert!(port.take("m1").is_none(), "no third");
        drop(first);
        let third = port.take("m1").unwrap();
        drop((second, third));
        assert!(port.berths.moored().taken.is_empty());
        let taken = port.full_of(4);
        assert_eq!(taken.len(), TRANSFERS_MAX);
    }

    #[test]
    fn a_mirror_without_a_berth_gets_anothers_second_at_once() {
        let mut port = Port::new();
        let taken = port.full_of(4);
        port.now += Duration::from_secs(1);
        taken[0].moved(port.now);
        let mut honest = Vec::new();
        for name in ["m1", "m2", "m3", "m4"] {
            honest.push(port.take(name).unwrap());
            assert!(port.take(name).is_none(), "a second one is worth nobody's");
            assert!(port.take("bad0").is_none() && port.take("bad3").is_none());
        }
        assert!(taken[0].is_there() && !taken[1].is_there(), "it moved");
        let left = taken.iter().filter(|berth| berth.is_there()).count();
        assert_eq!(left, 4, "each keeps one");
        assert!(port.take("m5").is_none());
    }

    #[test]
    fn who_stands_still_gives_way_and_waits() {
        let mut port = Port::new();
        // Each of eight mirrors has one.
        let taken: Vec<_> = (0..8)
            .map(|n| port.take(&format!("bad{n}")).unwrap())
            .collect();
        assert!(port.take("m1").is_none(), "nobody has stood still for long");
        port.now += STANDS_STILL;
        taken[0].moved(port.now);
        let honest = port.take("m1").unwrap();
        assert!(taken[0].is_there() && !taken[1].is_there());
        drop(honest);
        assert!(port.take("bad1").is_none(), "it waits");
        let other = port.take("m2").unwrap();
        port.now += PAUSE;
        drop(other);
        assert!(port.take("bad1").is_some());
    }

    #[test]
    fn who_was_cut_off_waits_and_is_forgotten() {
        let mut port = Port::new();
        let bad = port.take("bad").unwrap();
        bad.stood_still(port.now);
        assert!(port.take("bad").is_none() && port.take("m1").is_some());
        drop(bad);
        port.now += PAUSE;
        assert!(port.take("bad").is_some());
        assert!(port.berths.moored().waiting.is_empty());
    }

    #[tokio::test]
    async fn who_gives_way_is_told() {
        let port = Port::new();
        let taken = port.full_of(4);
        let _honest = port.take("m1").unwrap();
        taken[0].lost().await;
        assert!(!taken[0].is_there());
    }
}
