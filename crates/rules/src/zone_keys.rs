//! The zone's keys as a registry has them (SPEC registry 3.31, 3.32; SPEC dns 6.4).
//!
//! A resolver that remembers keys must find among them those of all signatures that it comes by. So a key signs only when
//! everybody has heard of it, and stays in the zone until nobody remembers what it has signed.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use spokes_log::time::Time;

use crate::{
    dnssec::ZoneKey,
    keyset::{KeySet, NodeZoneKey},
    node::Label,
    refusal::Refusal,
};

/// How many times to live lie between a change of keys and the next step: a set may be remembered for one, and a mirror
/// may hand it on a little later.
const WAITED: i64 = 2;

/// The keys that a registry has.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ZoneKeys {
    /// What nodes of the council have said, each the key that it uses or will use.
    pub said: BTreeMap<Label, ZoneKey>,
    /// What an organizer signed last.
    pub signed: Option<Box<KeySet>>,
    /// What is known of the nodes' keys of that set.
    pub steps: BTreeMap<ZoneKey, Step>,
}

/// How far a node's key has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// From when on every resolver knows it.
    pub known: Time,
    /// From when on nobody remembers what it has signed; none as long as it may sign.
    pub over: Option<Time>,
}

impl ZoneKeys {
    /// The nodes' keys that may sign the zone at a time.
    pub fn signers(&self, now: Time) -> impl Iterator<Item = &NodeZoneKey> {
        let nodes = self.signed.iter().flat_map(|set| &set.nodes);
        nodes.filter(move |node| {
            let step = self.steps.get(&node.key);
            node.signs && step.is_some_and(|step| step.known <= now)
        })
    }

    /// The nodes' keys of the next set, one step further than the last one: each node that sits and has said a key is
    /// in it. A key that is not to sign any more goes on until another one may, then rests, and is left out when nobody
    /// remembers what it has signed; one that rests does not sign again. Also when there is more to do, if that is known.
    pub fn next(
        &self,
        now: Time,
        sitting: &[Label],
        rests: &[Label],
    ) -> (Vec<NodeZoneKey>, Option<Time>) {
        let said = self
            .said
            .iter()
            .filter(|(label, _)| sitting.contains(label));
        let last = self.signed.iter().flat_map(|set| &set.nodes);
        let mut all: Vec<(NodeZoneKey, bool)> = last
            .map(|node| {
                let wanted =
                    sitting.contains(&node.node) && self.said.get(&node.node) == Some(&node.key);
                // What rests may have been stolen: it does not sign again by itself.
                let wanted = wanted && node.signs && !rests.contains(&node.node);
                (node.clone(), wanted)
            })
            .collect();
        for (label, key) in said {
            if !all.iter().any(|(node, _)| node.key == *key) {
                let (node, key, signs) = (label.clone(), *key, true);
                all.push((NodeZoneKey { node, key, signs }, !rests.contains(label)));
            }
        }
        // In the first set nobody has to be known before.
        let is_known = |key: ZoneKey| {
            let step = self.steps.get(&key);
            self.signed.is_none() || step.is_some_and(|step| step.known <= now)
        };
        // Of what begins with this set.
        let ttl = self.signed.as_ref().map_or(0, |last| last.ttl);
        let begun = now + WAITED * i64::from(ttl);
        let other_signs = all
            .iter()
            .any(|(node, wanted)| *wanted && is_known(node.key));
        let (mut nodes, mut later) = (Vec::new(), Vec::new());
        for (mut node, wanted) in all {
            let over = self.steps.get(&node.key).and_then(|step| step.over);
            let was_used = is_known(node.key) && self.signed.is_some();
            match (wanted, over) {
                (false, Some(over)) if over <= now && other_signs => continue,
                (false, None) if !was_used && other_signs => continue,
                _ => {}
            }
            node.signs = wanted || !other_signs;
            let step = self.steps.get(&node.key);
            let waits = match step {
                None if self.signed.is_none() => None,
                None => Some(begun),
                Some(step) if step.known > now => Some(step.known),
                Some(_) if node.signs => None,
                Some(step) => Some(step.over.unwrap_or(begun)),
            };
            later.extend(waits.filter(|waits| *waits > now));
            nodes.push(node);
        }
        (nodes, later.into_iter().max())
    }

    /// Whether an organizer's set may be the next one.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn judge(&self, now: Time, apex: &[u8], next: &KeySet) -> Result<(), Refusal> {
        for node in &next.nodes {
            let has_said = self.said.get(&node.node) == Some(&node.key);
            let is_known = || {
                let known = self.signed.iter().flat_map(|set| &set.nodes);
                known
                    .into_iter()
                    .any(|known| (&known.node, known.key) == (&node.node, node.key))
            };
            if !has_said && !is_known() {
                return Err(Refusal::KeySet("names a key that its node has not said"));
            }
        }
        self.may_follow(now, next).map_err(Refusal::KeySet)?;
        if next.covered_from(now).is_none() {
            return Err(Refusal::KeySet("has no signature that counts now"));
        }
        next.check(apex).map_err(Refusal::KeySet)
    }

    /// Whether resolvers that know the last set can go on with this one.
    fn may_follow(&self, now: Time, next: &KeySet) -> Result<(), &'static str> {
        let Some(last) = &self.signed else {
            let signs = next.nodes.iter().any(|node| node.signs);
            return if signs {
                Ok(())
            } else {
                Err("has no key that signs")
            };
        };
        if !next.top.iter().any(|top| top.stays) {
            return Err("has no organizer's key that stays, so none could follow it");
        }
        // What is remembered was shown with the longer time.
        if next.ttl < last.ttl {
            return Err("is to be remembered for a shorter time than the last one");
        }
        if !last.leads_to(next) {
            return Err("is signed by no organizer's key that the last one was to stay with");
        }
        let stays = |key: ZoneKey| next.nodes.iter().any(|node| node.key == key);
        let gone = self.steps.iter().filter(|(key, _)| !stays(**key));
        for (_, step) in gone {
            // One that not everybody knew so far has signed nothing.
            if step.known <= now && step.over.is_none_or(|over| over > now) {
                return Err(
                    "leaves out a key whose signatures are still remembered: it has to rest \
                            first, for twice the time for which the keys may be remembered",
                );
            }
        }
        let may_sign = |node: &&NodeZoneKey| {
            let step = self.steps.get(&node.key);
            node.signs && step.is_some_and(|step| step.known <= now)
        };
        if next.nodes.iter().find(may_sign).is_none() {
            return Err("has no key that signs and that all resolvers know by now");
        }
        Ok(())
    }

    /// An organizer's set is the one that counts from now on.
    pub(crate) fn take(&mut self, now: Time, next: Box<KeySet>) {
        let ttl = self.signed.as_ref().map(|last| last.ttl.max(next.ttl));
        // Of the first set nobody has to know before: the parent does not name the zone's keys yet.
        let later = now + WAITED * i64::from(ttl.unwrap_or(0));
        let steps = next.nodes.iter().map(|node| {
            let step = self.steps.get(&node.key);
            let rested = step.and_then(|step| step.over);
            // One that has never been used has nothing to wait for.
            let has_signed = step.is_some_and(|step| step.known <= now);
            let over = if has_signed { later } else { now };
            let step = Step {
                known: step.map_or(later, |step| step.known),
                over: if node.signs {
                    None
                } else {
                    Some(rested.unwrap_or(over))
                },
            };
            (node.key, step)
        });
        self.steps = steps.collect();
        self.signed = Some(next);
    }
}
