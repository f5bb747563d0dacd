//! Keys and places of the council that a node must know without its registry: by whom it may be filled, and what its
//! journal says that its index has not applied.

use std::{fs::File, path::Path, sync::Arc};

use openraft::entry::EntryPayload;
use spokes_log::{name::Hash, text::Value as _};
use spokes_rules::{
    node::NodeKey,
    request::{Ask, CouncilNode, Wish},
};

use super::{
    book::Book,
    journal::Journal,
    raft::{Ledger as _, unpack},
};
use crate::{
    config::{self, CouncilConfig},
    dns::signer::ZoneSecret,
    outage::Outage,
};

/// The file of the council's keys, one a line, as this node knew them last.
const KEYS_FILE: &str = "council.keys";

/// The key with which this node signs the zone; it is made if there is none.
///
/// # Errors
/// When the file holds no such key, or the disk fails.
pub(super) fn zone_secret(dir: &Path) -> Result<Arc<ZoneSecret>, Outage> {
    let seed = config::secret_key(&dir.join("zone.key"))?.seed();
    let no_key = || Outage::new("zone.key is no key; remove it, and another one is made");
    ZoneSecret::from_seed(&seed)
        .map(Arc::new)
        .ok_or_else(no_key)
}

/// Keys of the council for a node that holds no registry: those that it knew last, and those of its config.
///
/// # Errors
/// When one of them is none.
pub(super) fn known_keys(dir: &Path, config: &CouncilConfig) -> Result<Vec<NodeKey>, Outage> {
    let mut keys = config.council_keys()?;
    let known = std::fs::read_to_string(dir.join(KEYS_FILE)).unwrap_or_default();
    for line in known.lines() {
        let bad = |why| Outage::new(format!("{KEYS_FILE}: \"{line}\" {why}; remove that line"));
        keys.push(NodeKey::parse(line).map_err(bad)?);
    }
    Ok(keys)
}

/// Keeps the council's keys apart from the registry: a node that lost that one must know by whom it may be
/// filled.
///
/// # Errors
/// When the disk fails.
pub(super) fn keep_keys(dir: &Path, network: Hash, keys: &[NodeKey]) -> Result<(), Outage> {
    CouncilConfig::keep_known(dir, network, keys)?;
    add_keys(dir, keys)
}

/// Keeps keys that this node was told while it holds no registry.
///
/// # Errors
/// When the disk fails.
pub(super) fn add_keys(dir: &Path, keys: &[NodeKey]) -> Result<(), Outage> {
    let lines: String = keys.iter().map(|key| format!("{key}\n")).collect();
    config::write_file(&dir.join(KEYS_FILE), lines.as_bytes(), 0o644)
}

/// What entries say that the index has not applied yet.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Nodes of the council that they speak of.
    pub(super) nodes: Vec<CouncilNode>,
    /// The texts of requests by which the council was founded anew.
    pub(super) recoveries: Vec<String>,
}

/// Reads what the index has not applied yet. After a loss of power it may be far behind, and without their addresses
/// nobody could be asked what is agreed on.
///
/// # Errors
/// When the journal cannot be read.
pub(super) fn read_ahead(journal: &Journal<File>, book: &Book) -> Result<Ahead, Outage> {
    let failed = |e: std::io::Error| Outage::new(e.to_string());
    let applied = book.applied().map_err(failed)?.0;
    let mut ahead = Ahead::default();
    for at in applied.map_or(0, |id| id.index + 1)..journal.len() {
        let bytes = journal.read(at..at + 1, u64::MAX).map_err(failed)?;
        let entry = bytes.first().map(|bytes| unpack(bytes)).transpose();
        let Some(EntryPayload::Normal(batch)) = entry.map_err(failed)?.map(|entry| entry.payload)
        else {
            continue;
        };
        for request in &batch.requests {
            let text = &request.signed.text;
            match Ask::parse(text.as_bytes()).map(|ask| ask.what) {
                Ok(Wish::Found(founding)) => ahead.nodes.extend(founding.council),
                Ok(Wish::Stand { node, .. }) => ahead.nodes.push(node),
                Ok(Wish::Recover { council }) => {
                    ahead.nodes.extend(council);
                    ahead.recoveries.push(text.clone());
                }
                _ => {}
            }
        }
    }
    Ok(ahead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_keeps_what_its_operator_wrote_beside_the_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let network = Hash::of(b"network");
        let keys = [[1; 32], [2; 32]].map(NodeKey::from_bytes);
        let old = "# mine\nlayout = 1\nlabel = \"council2\"\napi = \"192.0.2.1:80\"\ndns = \"192.0.2.1:53\"\n\
                   council_keys = []\n# below\nbase_url = \"http://blogs.example\"\n";
        std::fs::write(&path, old).unwrap();
        keep_keys(dir.path(), network, &keys).unwrap();
        let config = CouncilConfig::load(dir.path()).unwrap();
        assert_eq!(config.council_keys().unwrap(), keys);
        assert_eq!(config.network().unwrap(), Some(network));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("# mine\n") && text.contains("# below\n"),
            "{text}"
        );
        keep_keys(dir.path(), network, &keys).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        // Spelled otherwise: what cannot be followed is left alone.
        let odd = old.replace("council_keys = []", "council_keys = [\n]");
        std::fs::write(&path, &odd).unwrap();
        keep_keys(dir.path(), network, &keys).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), odd);
        assert!(known_keys(dir.path(), &config).unwrap().contains(&keys[0]));
    }
}
