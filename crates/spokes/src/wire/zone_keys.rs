//! What organizers are told of the zone's keys (SPEC http 3.12).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spokes_log::{text::Value as _, time::Time};
use spokes_rules::{
    dnssec::ZoneKey,
    keyset::KeySet,
    node::Label,
    registry::Registry,
    zone_keys::{Step, ZoneKeys},
};

/// `GET registry/zone-keys` of a council node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ZoneKeysWire {
    /// Records behind which this is so.
    pub records: u64,
    /// The nodes that sit.
    pub sitting: Vec<String>,
    /// Which key each node has said.
    pub said: BTreeMap<String, String>,
    /// What an organizer signed last, as the request has it; none as long as nobody did.
    pub set: Option<String>,
    /// How far each key of it is.
    pub steps: Vec<StepWire>,
    /// Names of which something is not signed, or by no key that may sign, when this node looked last; none as long as
    /// it has not looked at all.
    pub unsigned: Option<u64>,
}

/// How far a node's key is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepWire {
    /// The key.
    pub key: String,
    /// From when on every resolver knows it.
    pub known: String,
    /// From when on nobody remembers what it has signed; none as long as it signs.
    pub over: Option<String>,
}

impl ZoneKeysWire {
    pub(crate) fn new(registry: &Registry, unsigned: Option<u64>) -> Self {
        let keys = registry.zone_keys();
        let said = keys.said.iter();
        let steps = keys.steps.iter().map(|(key, step)| StepWire {
            key: key.to_string(),
            known: step.known.to_string(),
            over: step.over.map(|over| over.to_string()),
        });
        Self {
            records: registry.head().records,
            sitting: registry
                .seats()
                .sitting()
                .map(|(node, ..)| node.label.to_string())
                .collect(),
            said: said
                .map(|(label, key)| (label.to_string(), key.to_string()))
                .collect(),
            set: keys.signed.as_ref().map(|set| set.to_string()),
            steps: steps.collect(),
            unsigned,
        }
    }

    /// The nodes that sit.
    ///
    /// # Errors
    /// What does not add up.
    pub fn sitting(&self) -> Result<Vec<Label>, String> {
        let labels = self.sitting.iter();
        labels.map(|label| Ok(Label::parse(label)?)).collect()
    }

    /// As the registry has them.
    ///
    /// # Errors
    /// What does not add up.
    pub fn keys(&self) -> Result<ZoneKeys, String> {
        let said = self.said.iter();
        let said = said.map(|(label, key)| Ok((Label::parse(label)?, ZoneKey::parse(key)?)));
        let set = self.set.as_deref().map(KeySet::read).transpose();
        let steps = self.steps.iter().map(|step| {
            let over = step.over.as_deref().map(Time::parse).transpose()?;
            let known = Time::parse(&step.known)?;
            Ok((ZoneKey::parse(&step.key)?, Step { known, over }))
        });
        let steps: Result<BTreeMap<_, _>, &str> = steps.collect();
        let said: Result<BTreeMap<_, _>, &str> = said.collect();
        Ok(ZoneKeys {
            said: said?,
            signed: set.map_err(|why| why.to_string())?.map(Box::new),
            steps: steps?,
        })
    }
}
