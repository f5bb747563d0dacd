//! Who is connected, and whose place somebody gets who comes when all are taken.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::dns::limit::IPV6_PREFIX_BITS;
use crate::dns::streams::Limits;

/// How long a client that has just connected is spared before it asks: its first request is a way there and back
/// behind, over the worst of lines and with one packet lost.
const GRACE: Duration = Duration::from_secs(2);

/// Who is connected.
///
/// Whoever comes finds a seat. Where none is free, the client that holds most seats gives one: that which stood still
/// longest, be it that it says nothing, sends half a request, or does not read. So strangers keep nobody out, whether
/// they sit and wait or ask all the time: whoever holds one seat loses it only where nobody holds two. A transfer is
/// never unseated, and there are few at once.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<Sitting>);

#[derive(Debug, Default)]
struct Sitting {
    /// The seats of each client, by their numbers.
    taken: HashMap<IpAddr, BTreeMap<u64, Place>>,
    /// How many that are.
    count: usize,
    /// Counts connections and what they get done, so that each has another number.
    turn: u64,
}

#[derive(Debug)]
struct Place {
    standing: Standing,
    /// The turn in which something went on here last.
    turn: u64,
    /// Somebody else gets the seat.
    wanted: Arc<Notify>,
}

#[derive(Debug)]
enum Standing {
    /// It has asked nothing yet.
    New { since: Instant },
    /// It has been answered.
    Known,
    /// It must not be disturbed.
    Held,
}

/// A connection's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    client: IpAddr,
    number: u64,
    wanted: Arc<Notify>,
}

impl Seats {
    fn sitting(&self) -> MutexGuard<'_, Sitting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat for whoever has come; none where all must not be disturbed.
    pub(super) fn take(
        seats: &Arc<Self>,
        client: IpAddr,
        limits: &Limits,
        now: Instant,
    ) -> Option<Seat> {
        let client = as_client(client);
        let mut sitting = seats.sitting();
        let of_client = sitting.taken.get(&client).map_or(0, BTreeMap::len);
        if of_client >= limits.connections_per_client {
            sitting.unseat(client, now, |who| who == client)?;
        } else if sitting.count >= limits.connections {
            sitting.unseat(client, now, |_| true)?;
        }
        let number = sitting.next();
        let wanted = Arc::new(Notify::new());
        let place = Place {
            standing: Standing::New { since: now },
            turn: number,
            wanted: Arc::clone(&wanted),
        };
        let places = sitting.taken.entry(client).or_default();
        places.insert(number, place);
        sitting.count += 1;
        let seats = Arc::clone(seats);
        Some(Seat {
            seats,
            client,
            number,
            wanted,
        })
    }
}

impl Sitting {
    fn next(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    /// Frees a seat among these for a client; none where all must not be disturbed.
    fn unseat(
        &mut self,
        newcomer: IpAddr,
        now: Instant,
        among: impl Fn(IpAddr) -> bool,
    ) -> Option<()> {
        let clients = self.taken.iter().filter(|(client, _)| among(**client));
        let seats = clients.flat_map(|(client, places)| {
            // Who holds as many as anybody gives one of his own. What he cannot give is not held against him.
            let is_free = |place: &&Place| place.stillness(now).is_some();
            let rank = (
                Reverse(places.values().filter(is_free).count()),
                *client != newcomer,
            );
            places.iter().filter_map(move |(number, place)| {
                Some((rank, place.stillness(now)?, *client, *number))
            })
        });
        let (.., client, number) = seats.min()?;
        self.remove(client, number)?.wanted.notify_one();
        Some(())
    }

    fn remove(&mut self, client: IpAddr, number: u64) -> Option<Place> {
        let places = self.taken.get_mut(&client)?;
        let place = places.remove(&number)?;
        if places.is_empty() {
            self.taken.remove(&client);
        }
        self.count -= 1;
        Some(place)
    }
}

impl Place {
    /// Whether it is to be spared, and since when it has stood still: the least goes first. None while it must not be
    /// disturbed.
    fn stillness(&self, now: Instant) -> Option<(bool, u64)> {
        match self.standing {
            Standing::New { since } => Some((now.duration_since(since) < GRACE, self.turn)),
            Standing::Known => Some((false, self.turn)),
            Standing::Held => None,
        }
    }
}

impl Seat {
    /// Something went on: a request came whole, or replies were sent.
    pub(super) fn moved(&self) {
        self.stands(Standing::Known);
    }

    /// From now on nobody else gets this seat, until something has gone on again.
    pub(super) fn hold(&self) {
        self.stands(Standing::Held);
    }

    fn stands(&self, standing: Standing) {
        let mut sitting = self.seats.sitting();
        let turn = sitting.next();
        let places = sitting.taken.get_mut(&self.client);
        if let Some(place) = places.and_then(|places| places.get_mut(&self.number)) {
            (place.standing, place.turn) = (standing, turn);
        }
    }

    /// Waits until somebody else gets this seat.
    pub(super) async fn lost(&self) {
        self.wanted.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.sitting().remove(self.client, self.number);
    }
}

/// The address that stands for a client: IPv4 also where it comes in through an IPv6 socket, and of IPv6 what one
/// customer gets.
fn as_client(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => {
            let mask = u128::MAX << (u128::BITS - IPV6_PREFIX_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::streams::{CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX};

    /// A house with so many seats, at a time that passes when it is told to.
    struct House {
        seats: Arc<Seats>,
        limits: Limits,
        now: Instant,
    }

    impl House {
        fn new(connections: usize, connections_per_client: usize) -> Self {
            Self {
                seats: Arc::default(),
                limits: Limits {
                    connections,
                    connections_per_client,
                    ..Limits::default()
                },
                now: Instant::now(),
            }
        }

        fn take(&self, client: &str) -> Option<Seat> {
            Seats::take(&self.seats, client.parse().unwrap(), &self.limits, self.now)
        }

        /// A seat whose client has been answered.
        fn known(&self, client: &str) -> Seat {
            let seat = self.take(client).unwrap();
            seat.moved();
            seat
        }

        /// A seat that nobody else may have.
        fn held(&self, client: &str) -> Option<Seat> {
            let seat = self.take(client)?;
            seat.hold();
            Some(seat)
        }
    }

    impl Seat {
        fn is_there(&self) -> bool {
            let sitting = self.seats.sitting();
            let places = sitting.taken.get(&self.client);
            places.is_some_and(|places| places.contains_key(&self.number))
        }
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_prefix() {
        let house = House::new(CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX);
        let held: Vec<_> = (0..CONNECTIONS_PER_CLIENT_MAX)
            .map(|n| house.held(&format!("2001:db8:0:1{n:02x}::1")).unwrap())
            .collect();
        assert!(house.held("2001:db8:0:1ff:ffff::").is_none());
        assert!(house.held("2001:db8:0:200::").is_some());
        drop(held);
        assert!(house.held("2001:db8:0:1ff:ffff::").is_some());
        assert!(house.seats.sitting().taken.is_empty());

        let held: Vec<_> = (0..CONNECTIONS_PER_CLIENT_MAX)
            .map(|n| {
                house
                    .held(["192.0.2.1", "::ffff:192.0.2.1"][n % 2])
                    .unwrap()
            })
            .collect();
        assert!(house.held("192.0.2.1").is_none());
        assert!(house.held("192.0.2.2").is_some());

        let all: Vec<_> = (0..CONNECTIONS_MAX - held.len())
            .map(|n| house.held(&format!("2001:db8:{n:x}::")).unwrap())
            .collect();
        assert!(house.held("198.51.100.1").is_none());
        drop(all);
        assert!(house.held("198.51.100.1").is_some());
        assert_eq!(house.seats.sitting().count, held.len());
    }

    #[test]
    fn who_holds_most_gives_a_seat_however_often_it_moves() {
        let house = House::new(12, 5);
        let honest = house.known("192.0.2.1");
        let many =
            |client: &str, count| (0..count).map(|_| house.known(client)).collect::<Vec<_>>();
        let crowd = many("192.0.2.66", 5);
        let others = many("192.0.2.67", 4);
        let pair = many("192.0.2.68", 2);
        // All of them ask, and the honest one never again.
        for seat in crowd.iter().rev().chain(&others).chain(&pair) {
            seat.moved();
        }
        let newcomer = house.take("192.0.2.2").unwrap();
        assert!(!crowd[4].is_there(), "the stillest of the five");
        // Now two clients hold four; one that comes back takes its own.
        let again = house.take("192.0.2.67").unwrap();
        assert!(!others[0].is_there());
        let mut flood = vec![again];
        for client in ["192.0.2.66", "192.0.2.67"].repeat(50) {
            flood.iter().for_each(Seat::moved);
            flood.push(house.known(client));
        }
        let stay = [&honest, &newcomer, &pair[0], &pair[1]];
        assert!(stay.iter().all(|seat| seat.is_there()));
    }

    #[test]
    fn who_has_just_come_is_spared_while_others_have_been_answered() {
        let mut house = House::new(4, 4);
        let crowd: Vec<_> = (66..69)
            .map(|n| house.known(&format!("192.0.2.{n}")))
            .collect();
        let honest = house.take("192.0.2.1").unwrap();
        crowd.iter().for_each(Seat::moved);
        house.now += GRACE / 2;
        // A crowd that comes from everywhere and asks at once.
        let more: Vec<_> = (70..90)
            .map(|n| house.known(&format!("192.0.2.{n}")))
            .collect();
        assert!(honest.is_there());
        assert_eq!(more.iter().filter(|seat| seat.is_there()).count(), 3);
        house.now += GRACE;
        let _next = house.known("192.0.2.90");
        assert!(!honest.is_there(), "it has said nothing for too long");
    }

    #[test]
    fn a_crowd_that_says_nothing_keeps_nobody_out() {
        let house = House::new(4, 4);
        let silent: Vec<_> = (66..70)
            .map(|n| house.take(&format!("192.0.2.{n}")).unwrap())
            .collect();
        assert!(house.take("192.0.2.1").is_some());
        assert!(!silent[0].is_there(), "the first that came");
    }

    #[test]
    fn a_seat_that_is_held_is_nobody_elses() {
        let house = House::new(3, 3);
        let held = house.held("192.0.2.1").unwrap();
        let _second = house.held("192.0.2.1").unwrap();
        let other = house.known("192.0.2.2");
        // Who holds most gives none of these, and the next one does.
        assert!(house.take("192.0.2.3").is_some());
        assert!(held.is_there() && !other.is_there());
        let third = house.held("192.0.2.4").unwrap();
        assert!(house.take("192.0.2.3").is_none());
        third.moved();
        assert!(house.take("192.0.2.3").is_some());
    }
}
