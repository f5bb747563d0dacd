//! Mirrors: standard name servers elsewhere that copy the zone, and answer when every node of the council is gone
//! (SPEC registry 3.29, 3.30).

use crate::{address::Address, health::Health};

/// Mirrors of one network: with seven nodes of the council their names still fit an answer of 512 bytes.
pub const MIRRORS_MAX: usize = 13;

/// A name server that copies the zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mirror {
    /// Where its DNS answers.
    pub address: Address,
    /// The record that let it in last: each makes other secrets.
    pub since: u64,
    /// Whether it answers with what was published, as the council's nodes find.
    pub health: Health,
}

impl Mirror {
    /// Whether resolvers are sent to it.
    pub fn is_well(&self) -> bool {
        self.health.down.is_none()
    }
}
