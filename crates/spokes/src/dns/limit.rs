//! How many answers one network of clients gets by datagram (response rate limiting).
//!
//! Whoever sends a datagram may put another's address on it, and the answers go there. So each network gets answers at
//! a rate that hurts nobody; of what is beyond every second question gets nothing, and the other a reply without records
//! that sends an honest client on to a stream, which nobody can open in another's name.
//!
//! The table has a fixed size. A network is a number of 40 bits in it: the time until which its answers are used up
//! (the "theoretical arrival time" of ATM's leaky bucket, ITU-T I.371), which is one answer's worth later with each.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Answers a second for one network, as long as it likes. NSD has 200 for each kind of answer, Knot 1,600 for an IPv4
/// network of this size; the resolvers of a large provider stay below, and a thousand answers are a megabyte or two.
pub const ANSWERS_PER_SECOND: u32 = 1_000;

/// Answers at once, in seconds' worth: a resolver that has just started asks for everything (Knot: 4,000 of them).
const BURST_SECONDS: u64 = 4;

/// Networks that can be told apart at once, and 8 bytes for each. One takes a place for a thousandth of a second with
/// each answer: at a million questions a second from as many networks a hundredth of the places is taken.
const NETWORKS_MAX: usize = 1 << 17;

/// Places in which a network may be, side by side in memory.
const WAYS: usize = 4;

/// One IPv4 network: the same as NSD, Knot and BIND have.
const IPV4_PREFIX_BITS: u32 = 24;

/// One IPv6 network: a customer of the usual kind gets this much (RFC 6177).
pub(crate) const IPV6_PREFIX_BITS: u32 = 56;

/// A time wraps after 12 days; what seems to be further ahead than a bucket reaches is long past.
const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// Turned with each answer that is not given.
const SLIP: u64 = 1 << TIME_BITS;
/// Above it stands which network it is, by its hash.
const TAG_SHIFT: u32 = TIME_BITS + 1;

/// Loops on several cores read the clock one after the other: how far one may be behind another, in microseconds.
const SKEW: u64 = 1_000_000;

/// Tries to write down an answer while other cores write there too; after these it counts for nothing.
const TRIES: u32 = 4;

/// What a network gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// An answer.
    Whole,
    /// Too many came: it is sent on to a stream.
    Brief,
    /// Too many came, and the one before was sent on.
    Nothing,
}

/// The answers that networks have had lately.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// Microseconds of an answer; none where nothing is limited.
    pace: Option<u64>,
    places: Box<[AtomicU64]>,
    /// Seeded: strangers choose the addresses and could aim at one place.
    hasher: RandomState,
}

impl Limiter {
    /// One that gives a network so many answers a second; with 0 as many as it likes.
    pub(crate) fn new(answers_per_second: u32) -> Self {
        let pace = Duration::from_secs(1).checked_div(answers_per_second);
        let pace = pace.map(|pace| micros(pace).max(1));
        let places = if pace.is_some() { NETWORKS_MAX } else { WAYS };
        Self {
            pace,
            places: (0..places).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Takes one answer of the client's network. `now` is the time since any beginning, by a clock that nobody sets;
    /// if it goes back for all that, a network gets too much and never too little.
    pub(crate) fn take(&self, client: IpAddr, now: Duration) -> Share {
        let Some(pace) = self.pace else {
            return Share::Whole;
        };
        let (now, most) = (micros(now) & TIME_MASK, BURST_SECONDS * 1_000_000);
        let hash = self.hasher.hash_one(network(client));
        let (tag, sets) = (hash >> TAG_SHIFT, (self.places.len() / WAYS) as u64);
        let first = usize::try_from(hash % sets).expect("the table is in memory") * WAYS;
        let places = &self.places[first..first + WAYS];
        for _ in 0..TRIES {
            let found = find(places, tag, now, most + SKEW);
            let (place, old, ahead) = found.expect("a set has places");
            let slip = old & SLIP;
            let (share, ahead, slip) = match (ahead + pace <= most, slip) {
                (true, _) => (Share::Whole, ahead + pace, slip),
                (false, 0) => (Share::Brief, ahead, SLIP),
                (false, _) => (Share::Nothing, ahead, 0),
            };
            let new = tag << TAG_SHIFT | slip | (now + ahead) & TIME_MASK;
            let order = Ordering::Relaxed;
            if place.compare_exchange_weak(old, new, order, order).is_ok() {
                return share;
            }
        }
        Share::Whole
    }
}

/// The place of a network: its own, else that which is soonest free. With it what is there, and how far ahead the
/// network is.
fn find(places: &[AtomicU64], tag: u64, now: u64, most: u64) -> Option<(&AtomicU64, u64, u64)> {
    let mut best: Option<(&AtomicU64, u64, u64)> = None;
    for place in places {
        let old = place.load(Ordering::Relaxed);
        let ahead = old.wrapping_sub(now) & TIME_MASK;
        let ahead = if ahead > most { 0 } else { ahead };
        if old >> TAG_SHIFT == tag {
            return Some((place, old, ahead));
        }
        if best.is_none_or(|(.., least)| ahead < least) {
            best = Some((place, old, ahead));
        }
    }
    // Another network's place is taken over empty.
    best.map(|(place, old, _)| (place, old, 0))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The network of a client, as one number.
fn network(client: IpAddr) -> u64 {
    match client.to_canonical() {
        // No IPv6 network has its highest bit here.
        IpAddr::V4(ip) => 1 << 63 | u64::from(ip.to_bits() >> (u32::BITS - IPV4_PREFIX_BITS)),
        IpAddr::V6(ip) => (ip.to_bits() >> (u128::BITS - IPV6_PREFIX_BITS)) as u64,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// How many of so many questions at one time get whole, brief and no answers.
    fn ask(
        limiter: &Limiter,
        client: IpAddr,
        now: Duration,
        count: usize,
    ) -> (usize, usize, usize) {
        let mut shares = (0, 0, 0);
        for _ in 0..count {
            match limiter.take(client, now) {
                Share::Whole => shares.0 += 1,
                Share::Brief => shares.1 += 1,
                Share::Nothing => shares.2 += 1,
            }
        }
        shares
    }

    #[test]
    fn a_network_gets_its_rate_and_beyond_it_every_second_one_is_sent_on() {
        let limiter = Limiter::new(1_000);
        assert_eq!(ask(&limiter, HOME, at(0), 5_000), (4_000, 500, 500));
        assert_eq!(ask(&limiter, HOME, at(0), 3), (0, 2, 1));
        assert_eq!(ask(&limiter, HOME, at(1_000), 3_000).0, 1_000);
        assert_eq!(ask(&limiter, HOME, at(1_500), 3_000).0, 500);
        // Who was quiet has all of it again, and no more.
        assert_eq!(ask(&limiter, HOME, at(600_000), 9_000).0, 4_000);
    }

    #[test]
    fn neighbours_share_and_others_do_not() {
        let limiter = Limiter::new(10);
        let take = |ip: &str| ask(&limiter, ip.parse().unwrap(), at(0), 100).0;
        assert_eq!(take("192.0.2.1"), 40);
        assert_eq!(take("192.0.2.255"), 0);
        assert_eq!(take("::ffff:192.0.2.7"), 0);
        assert_eq!(take("192.0.3.1"), 40);
        assert_eq!(take("2001:db8:0:100::1"), 40);
        assert_eq!(take("2001:db8:0:1ff:ffff::1"), 0);
        assert_eq!(take("2001:db8:0:200::1"), 40);
    }

    #[test]
    fn without_a_rate_everybody_gets_all() {
        let limiter = Limiter::new(0);
        assert_eq!(ask(&limiter, HOME, at(0), 100_000).0, 100_000);
        assert!(limiter.places.len() <= WAYS);
    }

    /// The rate beyond which a second has no microseconds.
    #[test]
    fn the_highest_rate_is_one_answer_a_microsecond() {
        let limiter = Limiter::new(u32::MAX);
        assert_eq!(ask(&limiter, HOME, at(0), 4_000_100).0, 4_000_000);
    }

    #[test]
    fn a_clock_that_goes_back_takes_answers_from_nobody() {
        let limiter = Limiter::new(100);
        let hour = at(3_600_000);
        assert_eq!(ask(&limiter, HOME, hour, 1_000).0, 400);
        assert_eq!(ask(&limiter, HOME, at(0), 1_000).0, 400);
        assert_eq!(ask(&limiter, HOME, at(1_000), 1_000).0, 100);
        // Another core's clock is a little behind: that is no new bucket.
        assert_eq!(ask(&limiter, HOME, at(900), 1_000).0, 0);
        // A time of 40 bits comes again after twelve days.
        let turn = Duration::from_micros(1 << TIME_BITS);
        assert_eq!(ask(&limiter, HOME, turn + hour, 1_000).0, 400);
        assert_eq!(ask(&limiter, HOME, Duration::MAX, 1_000).0, 400);
    }

    #[test]
    fn a_flood_from_everywhere_neither_grows_nor_frees_who_floods() {
        let limiter = Limiter::new(1_000);
        assert_eq!(ask(&limiter, HOME, at(0), 9_000).0, 4_000);
        let places = limiter.places.len();
        // Half a million networks in one second, each with one question.
        for n in 0..500_000u32 {
            let now = Duration::from_micros(u64::from(n) * 2);
            let ip = Ipv6Addr::from_bits(0x2001_0db8u128 << 96 | u128::from(n) << 72);
            assert_eq!(limiter.take(ip.into(), now), Share::Whole);
        }
        assert_eq!(limiter.places.len(), places);
        assert_eq!(ask(&limiter, HOME, at(1_000), 9_000).0, 1_000);
    }

    /// More than there is room for at one time: those that use most keep their places.
    #[test]
    fn a_full_table_forgets_those_that_asked_least() {
        let limiter = Limiter::new(1_000);
        assert_eq!(ask(&limiter, HOME, at(0), 9_000).0, 4_000);
        for n in 0..4 * u32::try_from(NETWORKS_MAX).unwrap() {
            let ip = Ipv4Addr::from_bits(n << 8);
            if ip.octets()[..3] != [192, 0, 2] {
                assert_eq!(limiter.take(ip.into(), at(0)), Share::Whole);
            }
        }
        assert_eq!(ask(&limiter, HOME, at(0), 9_000).0, 0);
    }

    proptest! {
        /// In no stretch of time does a network get more than the burst and its rate.
        #[test]
        fn nobody_gets_more_than_the_rate(
            rate in 1u32..5_000,
            steps in proptest::collection::vec((0u64..200_000, 1usize..200), 1..60),
        ) {
            let limiter = Limiter::new(rate);
            let (mut now, mut given) = (Duration::from_secs(5), 0);
            let began = now;
            for (wait, count) in steps {
                now += Duration::from_micros(wait);
                given += ask(&limiter, HOME, now, count).0;
                // A pace of whole microseconds is at most a little faster.
                let pace = 1_000_000 / u64::from(rate);
                let most = (micros(now - began) + BURST_SECONDS * 1_000_000) / pace;
                prop_assert!(given as u64 <= most, "{given} of {most}");
            }
        }
    }
}
