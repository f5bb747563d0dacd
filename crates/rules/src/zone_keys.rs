//! The zone's keys as a registry has them (SPEC registry 3.31, 3.32).

use alloc::{boxed::Box, collections::BTreeMap};

use spokes_log::time::Time;

use crate::{dnssec::ZoneKey, keyset::KeySet, node::Label, refusal::Refusal};

/// The keys that a registry has.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ZoneKeys {
    /// What nodes of the council have said, each the key that it uses or will use.
    pub said: BTreeMap<Label, ZoneKey>,
    /// What an organizer signed last.
    pub signed: Option<Box<KeySet>>,
    /// Since when that is known.
    pub since: Option<Time>,
}

impl ZoneKeys {
    /// Whether an organizer's set may be the next one.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn judge(&self, now: Time, apex: &[u8], next: &KeySet) -> Result<(), Refusal> {
        for node in &next.nodes {
            let has_said = self.said.get(&node.node) == Some(&node.key);
            let is_known = || {
                self.signed
                    .as_ref()
                    .is_some_and(|signed| signed.nodes.contains(node))
            };
            if !has_said && !is_known() {
                return Err(Refusal::KeySet("names a key that its node has not said"));
            }
        }
        if self
            .signed
            .as_ref()
            .is_some_and(|signed| !signed.leads_to(next))
        {
            return Err(Refusal::KeySet(
                "is signed by no organizer's key that the last one was to stay with",
            ));
        }
        if next.covered_from(now).is_none() {
            return Err(Refusal::KeySet("has no signature that counts now"));
        }
        next.check(apex).map_err(Refusal::KeySet)
    }
}
