//! What the registry adds up to, as a node keeps it for its own next start.

use alloc::vec::Vec;

use super::{
    BlogRecord, Closing, Demand, Forced, Head, Holders, Invite, Registry, Set, Spoke, Standing,
};
use crate::{
    address::{Address, Domain, Operator},
    caa::Caa,
    dnssec::ZoneKey,
    health::{Health, Load, Takes},
    kept::{Kept, Reader, kept_as_text, kept_cases, kept_fields},
    keyset::{KeySet, NodeZoneKey, TopKey, Window},
    mirror::Mirror,
    node::NodeKey,
    placement::Shortfall,
    receipt::Tip,
    record::Wanted,
    request::{CouncilNode, Founding, Policy},
    seat::{Seat, Seats, Sits},
    zone_keys::{Step, ZoneKeys},
};

/// The form of what [`Registry::keep`] gives; another program may keep other things.
///
/// Whoever changes what a registry holds, or how a record changes it, counts this up: then nodes fold their
/// whole log once.
pub const SNAPSHOT_FORM: u32 = 12;

impl Registry {
    /// All of it, for this node's own disk.
    pub fn keep(&self) -> Vec<u8> {
        let mut kept = Vec::new();
        self.put(&mut kept);
        kept
    }

    /// Takes back what [`Self::keep`] gave; none when it is anything else. Nothing is judged: whoever calls
    /// this knows that the bytes are its own.
    pub fn recall(kept: &[u8]) -> Option<Self> {
        let mut kept = Reader::new(kept);
        let registry = Self::get(&mut kept)?;
        kept.is_empty().then_some(registry)
    }
}

kept_as_text!(
    Address,
    Domain,
    Operator,
    NodeKey,
    Takes,
    Load,
    Caa,
    ZoneKey,
    TopKey,
    NodeZoneKey,
    Window
);

kept_fields! {
    Registry {
        network, founding, founded, head, invites, spokes, ring, placed, seats, mirrors, zone_keys, caa, names, blogs,
        by_author, ended, openpgpkeys, answered, keyed, brought
    }
    Invite { expires, used }
    Head { records, hash, time }
    Founding { domain, council, organizers, policy }
    CouncilNode { label, key, api, dns, peer }
    Policy { replicas, blogs_per_spoke_day, names_per_blog, blog_bytes, entries_per_day, readers_per_second, demand_seconds, circle }
    Spoke { key, operator, address, standing, lot, health, fell, load, takes, told }
    Health { down, changed, falls }
    BlogRecord {
        name, author, set, closing, covered, shortfall, keys_at, ended, since, holders, replicas, demand, home, homed,
        forced
    }
    Mirror { address, since, health }
    ZoneKeys { said, signed, steps }
    Step { known, over }
    KeySet { ttl, top, nodes, windows }
    Demand { more, since }
    Wanted { to, since }
    Forced { since, after, missing, enough }
    Set { epoch, members }
    Closing { next, since, lost }
    Tip { sequence, id }
    Shortfall { wanted, operators }
    Seat { node, number, sits }
}

kept_cases!(Standing {
    0 => Applied { since },
    1 => Admitted { since },
    2 => Leaving { since },
    3 => Evicted { since }
});

kept_cases!(Sits {
    0 => Asks { since },
    1 => Yes { filled, whole },
    2 => NoMore { since }
});

impl Kept for Holders {
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Vec::get(from).map(Self)
    }
}

impl Kept for Seats {
    fn put(&self, to: &mut Vec<u8>) {
        self.all().to_vec().put(to);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self::of(Vec::get(from)?))
    }
}
