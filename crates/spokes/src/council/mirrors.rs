//! Mirrors, as a council node serves them: the secret it shares with each, and the word that there is news.
//!
//! The secret comes out of the node's own key and the record that let the mirror in, so it is kept nowhere, no two
//! share one, and a mirror that is let in again gets another.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::hmac;
use serde::{Deserialize, Serialize};
use spokes_log::{name::Hash, text::Value as _};
use spokes_rules::{
    node::{Label, NodeKey, NodeSecret},
    registry::Registry,
    request::Address,
};
use tokio::task::AbortHandle;

use super::{
    Council,
    peers::Line,
    places::{FILLS, SITS},
};
use crate::{
    config,
    dns::{notify::notify, signed::MirrorKey},
    http::{self as web, Response},
    outage::Outage,
    wire::places::NodeWire,
};

/// The path by which one node asks another for its secret with a mirror.
pub(super) const MIRROR_KEY: &str = "/mirror-key";
/// How often a node looks which mirrors there are.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long another node may take to say its secret.
const KEY_WAIT: Duration = Duration::from_secs(3);

/// What a secret is made of beside the node's key.
struct Shared<'a> {
    network: Hash,
    domain: &'a str,
    node: &'a str,
    mirror: &'a Label,
    since: u64,
}

impl Shared<'_> {
    /// The key's name: of the mirror, of the node.
    fn name(&self) -> String {
        format!("{}.{}.{}", self.mirror, self.node, self.domain)
    }

    /// HMAC-SHA256 of all that names the pair, by the node's own key (RFC 5869 section 2.3, of one block).
    fn secret(&self, secret: &NodeSecret) -> [u8; 32] {
        let text = format!(
            "Spokes-Mirror-Key: 1\nNetwork: {}\nNode: {}\nMirror: {}\nSince: {}\n",
            self.network, self.node, self.mirror, self.since
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.seed());
        let tag = hmac::sign(&key, text.as_bytes());
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

/// A secret, for whoever runs the mirror.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SharedKey {
    /// Where the node's DNS answers.
    pub dns: SocketAddr,
    /// The node's label.
    pub node: String,
    /// The key's name.
    pub name: String,
    /// Its secret, in base64; for HMAC-SHA256.
    pub secret: String,
}

fn shared_key(
    registry: &Registry,
    secret: &NodeSecret,
    dns: SocketAddr,
    node: &str,
    mirror: &Label,
) -> Option<SharedKey> {
    let shared = Shared {
        network: registry.network(),
        domain: registry.founding().domain.as_str(),
        node,
        mirror,
        since: registry.mirror(mirror)?.since,
    };
    Some(SharedKey {
        dns,
        node: node.to_owned(),
        name: shared.name(),
        secret: BASE64.encode(shared.secret(secret)),
    })
}

/// What is the same as long as a mirror need not be told by another task.
type Told = (SocketAddr, u64);

impl Council {
    /// Shares a secret with each mirror that the registry knows, and tells each of new versions.
    pub(super) async fn look_after_mirrors(&self) {
        let mut told: BTreeMap<Label, (Told, AbortHandle)> = BTreeMap::new();
        loop {
            let mirrors = self.book.ask(|registry| {
                let mirrors = registry.mirrors();
                let mirrors = mirrors.map(|(label, mirror)| {
                    let shared = Shared {
                        network: registry.network(),
                        domain: registry.founding().domain.as_str(),
                        node: &self.config.label,
                        mirror: label,
                        since: mirror.since,
                    };
                    let secret = shared.secret(&self.secret);
                    let key = MirrorKey::new(label.as_str(), &shared.name(), &secret);
                    ((label.clone(), (mirror.address.0, mirror.since)), key)
                });
                mirrors.collect::<Vec<_>>()
            });
            let mirrors = mirrors.unwrap_or_default();
            let good = mirrors.iter().filter_map(|(_, key)| key.as_ref().ok());
            self.keys.set(good.cloned());
            told.retain(|label, (what, task)| {
                let stays = mirrors.iter().any(|((l, w), _)| l == label && w == what);
                if !stays {
                    task.abort();
                }
                stays
            });
            for ((label, what), key) in mirrors {
                let Ok(key) = key else { continue };
                told.entry(label).or_insert_with(|| {
                    let editions = self.book.publication().editions().clone();
                    let task = tokio::spawn(notify(what.0, key, editions));
                    (what, task.abort_handle())
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Says this node's secret with a mirror to another node.
    pub(super) fn answer_mirror_key(&self, mirror: &str) -> Response {
        let shared = Label::parse(mirror).ok().and_then(|mirror| {
            let (config, secret) = (&self.config, &self.secret);
            let key = |registry: &Registry| {
                shared_key(registry, secret, config.dns, &config.label, &mirror)
            };
            self.book.ask(key).flatten()
        });
        match shared {
            Some(shared) => web::json(http::StatusCode::OK, &shared),
            None => web::refuse(
                http::StatusCode::NOT_FOUND,
                "no-such-mirror",
                "No mirror of that name copies the zone, as this node knows it.",
            ),
        }
    }
}

/// The secrets of all council nodes with a mirror, and the nodes that did not say theirs. They are asked with the key
/// of the node whose directory this is.
///
/// # Errors
/// When this is no council node's directory, or the node does not run.
pub async fn mirror_keys(
    dir: &Path,
    nodes: &[NodeWire],
    mirror: &Label,
) -> Result<(Vec<SharedKey>, Vec<String>), Outage> {
    let secret = config::secret_key(&dir.join("node.key"))?;
    let (mut keys, mut silent) = (Vec::new(), Vec::new());
    for node in nodes
        .iter()
        .filter(|node| node.sits == SITS || node.sits == FILLS)
    {
        match ask(&secret, node, mirror).await {
            Ok(key) => keys.push(key),
            Err(outage) => silent.push(format!("{} ({outage})", node.label)),
        }
    }
    Ok((keys, silent))
}

async fn ask(secret: &NodeSecret, node: &NodeWire, mirror: &Label) -> Result<SharedKey, Outage> {
    let key = NodeKey::parse(&node.key).map_err(Outage::new)?;
    let at = Address::parse(&node.peer).map_err(Outage::new)?;
    let line = Line::new(secret, key)?;
    let said = line
        .post(at.0, MIRROR_KEY, &mirror.as_str(), KEY_WAIT)
        .await;
    let said = said.map_err(|silence| silence.outage)?;
    said.map_err(|problem| Outage::new(problem.detail))
}
