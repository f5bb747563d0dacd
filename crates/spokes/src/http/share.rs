//! What strangers may take of a node at once: connections, bytes, and places to wait.
//!
//! One rule for all of them: an address may take as much as it leaves to all others. So one alone
//! gets half, and however many there are, as much as each of them has is free for the next one. What
//! is taken is counted while it is taken; no address is kept any longer, and none is written down.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use http::{Request, StatusCode};

use super::{Response, refuse};

/// Connections at once: readers keep theirs open, and each costs a file.
pub const CONNECTIONS_MAX: usize = 4_000;
/// Requests that wait for news at once: every spoke of a large network, and half of the connections
/// are left for readers.
const WAITING_MAX: usize = 2_000;
/// Bytes of bodies under way: one address alone can send the largest body there is, a batch of 48 MiB.
const BODY_BYTES_MAX: usize = 96 * 1024 * 1024;
/// Bytes of answers that readers have not fetched yet: a handful of the largest media for one of
/// them, while a donor's machine has a GiB.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bits of an IPv6 address by which its holder is known: whoever has one has 2^64 of them.
const V6_PREFIX_BITS: u32 = 64;

/// What can be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A connection.
    Connection,
    /// A request that waits for news.
    Waiting,
    /// Bytes of a body that is being read or worked on.
    Body,
    /// Bytes of an answer that is being sent.
    Answer,
}

/// By [`What`].
type Taken = [usize; 4];

/// What is taken of one node.
#[derive(Debug)]
pub struct House {
    connections_max: usize,
    taken: Mutex<(Taken, BTreeMap<IpAddr, Taken>)>,
}

impl Default for House {
    fn default() -> Self {
        Self::new(CONNECTIONS_MAX)
    }
}

/// Whoever is on the other end of a connection.
#[derive(Clone, Debug)]
pub struct Guest {
    house: Arc<House>,
    address: IpAddr,
}

/// A part of the house that a guest has taken; dropped, it is given back.
#[derive(Debug)]
pub struct Share {
    guest: Guest,
    what: What,
    amount: usize,
}

/// There is no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoRoom {
    /// This guest would have more than all others together.
    Yours(What),
    /// It is others who leave too little.
    Everybody(What),
}

impl Guest {
    /// A guest of this house.
    pub fn new(house: &Arc<House>, address: IpAddr) -> Self {
        Self {
            house: Arc::clone(house),
            address: Self::known_as(address),
        }
    }

    /// The address by which whoever comes from this one is known.
    pub fn known_as(address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V6(ip) => {
                let prefix = ip.to_bits() & (u128::MAX << (128 - V6_PREFIX_BITS));
                IpAddr::V6(Ipv6Addr::from_bits(prefix))
            }
            v4 => v4,
        }
    }

    /// Who sent a request; a house of its own for one that came by no connection of ours.
    pub fn of<B>(request: &Request<B>) -> Self {
        let guest = request.extensions().get::<Self>().cloned();
        guest.unwrap_or_else(|| Self::new(&Arc::default(), Ipv6Addr::UNSPECIFIED.into()))
    }

    /// The address by which a guest is known; of IPv6 its holder's.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Takes a part.
    ///
    /// # Errors
    /// When there is no room.
    pub fn take(&self, what: What, amount: usize) -> Result<Share, NoRoom> {
        self.house.take(self.address, what, amount)?;
        let guest = self.clone();
        Ok(Share {
            guest,
            what,
            amount,
        })
    }
}

impl Share {
    /// How much it is.
    pub fn amount(&self) -> usize {
        self.amount
    }

    /// Takes more.
    ///
    /// # Errors
    /// When there is no room; the share stays as it is.
    pub fn grow(&mut self, more: usize) -> Result<(), NoRoom> {
        let Self { guest, what, .. } = self;
        guest.house.take(guest.address, *what, more)?;
        self.amount += more;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Self { guest, what, .. } = self;
        guest.house.give_back(guest.address, *what, self.amount);
    }
}

impl House {
    /// A house with so many connections; half of them may wait for news.
    pub fn new(connections_max: usize) -> Self {
        Self {
            connections_max,
            taken: Mutex::default(),
        }
    }

    fn max(&self, what: What) -> usize {
        match what {
            What::Connection => self.connections_max,
            What::Waiting => WAITING_MAX.min(self.connections_max / 2),
            What::Body => BODY_BYTES_MAX,
            What::Answer => ANSWER_BYTES_MAX,
        }
    }

    fn take(&self, address: IpAddr, what: What, amount: usize) -> Result<(), NoRoom> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_address) = &mut *taken;
        let own = by_address.entry(address).or_default();
        let (all, kind) = (&mut all[what as usize], what as usize);
        let mine = own[kind].saturating_add(amount);
        let max = self.max(what);
        let left = max.saturating_sub(all.saturating_add(amount));
        if mine > left {
            let others = *all - own[kind];
            let full = match mine > others {
                true => NoRoom::Yours(what),
                false => NoRoom::Everybody(what),
            };
            forget_gone(by_address, address);
            return Err(full);
        }
        own[kind] = mine;
        *all += amount;
        Ok(())
    }

    fn give_back(&self, address: IpAddr, what: What, amount: usize) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_address) = &mut *taken;
        all[what as usize] -= amount;
        if let Some(own) = by_address.get_mut(&address) {
            own[what as usize] -= amount;
        }
        forget_gone(by_address, address);
    }
}

fn forget_gone(by_address: &mut BTreeMap<IpAddr, Taken>, address: IpAddr) {
    if by_address.get(&address) == Some(&Taken::default()) {
        by_address.remove(&address);
    }
}

impl NoRoom {
    /// What the guest is told.
    pub fn answer(self) -> Response {
        let (status, kind) = match self {
            Self::Yours(_) => (StatusCode::TOO_MANY_REQUESTS, "too-many"),
            Self::Everybody(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        };
        refuse(status, kind, self.sentence())
    }

    pub(super) fn sentence(self) -> String {
        const MIB: usize = 1024 * 1024;
        let (Self::Yours(what) | Self::Everybody(what)) = self;
        let limit = match what {
            What::Connection => format!("{CONNECTIONS_MAX} connections"),
            What::Waiting => format!("{WAITING_MAX} requests that wait for news"),
            What::Body => format!("{} MiB of requests under way", BODY_BYTES_MAX / MIB),
            What::Answer => format!("{} MiB of answers under way", ANSWER_BYTES_MAX / MIB),
        };
        let who = match self {
            Self::Yours(_) => "your address has its part of them",
            Self::Everybody(_) => "others have most of them now",
        };
        format!(
            "This server has room for {limit} at most, and {who}. Nothing was changed; try again in a \
             moment."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(house: &Arc<House>, address: &str) -> Guest {
        Guest::new(house, address.parse().expect("an address"))
    }

    #[test]
    fn one_gets_half_and_many_leave_as_much_as_each_has() {
        let house = Arc::default();
        let greedy = guest(&house, "192.0.2.1");
        let mut hers = greedy.take(What::Body, BODY_BYTES_MAX / 2).expect("half");
        assert_eq!(hers.grow(1), Err(NoRoom::Yours(What::Body)));
        // A second one gets half of what is left, and so on: never all.
        let mut shares = Vec::new();
        for n in 2..=100_u8 {
            let next = guest(&house, &format!("192.0.2.{n}"));
            let mut share = next.take(What::Body, 0).expect("nothing");
            let most = BODY_BYTES_MAX / 1024;
            let grown = (0..most).take_while(|_| share.grow(1024).is_ok());
            assert!(grown.count() < most / 2, "{n}");
            shares.push(share);
        }
        assert_eq!(
            shares[0].grow(1024),
            Err(NoRoom::Everybody(What::Body)),
            "the others left too little"
        );
        drop(hers);
        assert!(shares[98].grow(64 * 1024).is_ok(), "what goes is free");
        drop(shares);
        let taken = house.taken.lock().expect("nobody panicked");
        assert_eq!(*taken, Default::default(), "nobody is remembered");
    }

    #[test]
    fn the_largest_batch_fits_and_kinds_are_counted_apart() {
        let house = Arc::default();
        let one = guest(&house, "2001:db8::1");
        let _batch = one.take(What::Body, 48 * 1024 * 1024).expect("a batch");
        let seats = WAITING_MAX / 2;
        let _seats = one.take(What::Waiting, seats).expect("other seats");
        // The same holder by another of its addresses.
        let same = guest(&house, "2001:db8::ffff:2");
        assert_eq!(
            same.take(What::Waiting, 1).err(),
            Some(NoRoom::Yours(What::Waiting))
        );
        let other = guest(&house, "2001:db8:0:1::1");
        assert!(other.take(What::Waiting, seats / 2).is_ok());
    }
}
