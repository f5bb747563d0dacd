//! Mirrors, as a council node serves them: the secret it shares with each, and the word that there is news.
//!
//! The secret comes out of the node's own key and the record that let the mirror in, so it is kept nowhere, no two
//! share one, and a mirror that is let in again gets another.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use futures_util::future::join_all;
use ring::hmac;
use serde::{Deserialize, Serialize};
use spokes_log::{
    name::{BlogId, Hash},
    text::Value as _,
};
use spokes_rules::{
    health::{Report, Says, Watch},
    node::{Label, NodeKey, NodeSecret, Signed},
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
    clock, config,
    dns::{
        notify::notify,
        probe::{Lately, Saw, look},
        signed::MirrorKey,
    },
    http::{self as web, Response},
    observe::Station as _,
    outage::Outage,
    wire::{SignedWire, StatementsWire, places::NodeWire},
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

/// How often a node looks at each mirror. With the looks in a row that count, one that answers nothing is known within
/// half a minute.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// Names at which a look is: one that there is, and one that there is not.
const NAMES: usize = 2;

/// What is the same as long as a mirror need not be told by another task.
type Told = (SocketAddr, u64);

impl Council {
    /// Shares a secret with each mirror that the registry knows; all of them, each with its key.
    fn share_secrets(&self) -> Vec<(Label, Told, MirrorKey)> {
        let mirrors = self.book.ask(|registry| {
            let mirrors = registry.mirrors();
            let mirrors = mirrors.filter_map(|(label, mirror)| {
                let shared = Shared {
                    network: registry.network(),
                    domain: registry.founding().domain.as_str(),
                    node: &self.config.label,
                    mirror: label,
                    since: mirror.since,
                };
                let secret = shared.secret(&self.secret);
                // A label and a domain make a name.
                let key = MirrorKey::new(label.as_str(), &shared.name(), &secret).ok()?;
                Some((label.clone(), (mirror.address.0, mirror.since), key))
            });
            mirrors.collect::<Vec<_>>()
        });
        let mirrors = mirrors.unwrap_or_default();
        self.keys.set(mirrors.iter().map(|(.., key)| key.clone()));
        mirrors
    }

    /// Shares secrets for ever, and tells each mirror of new versions.
    pub(super) async fn look_after_mirrors(&self) {
        let mut told: BTreeMap<Label, (Told, AbortHandle)> = BTreeMap::new();
        loop {
            let mirrors = self.share_secrets();
            told.retain(|label, (what, task)| {
                let stays = mirrors.iter().any(|(l, w, _)| l == label && w == what);
                if !stays {
                    task.abort();
                }
                stays
            });
            for (label, what, key) in mirrors {
                told.entry(label).or_insert_with(|| {
                    let editions = self.book.publication().editions().clone();
                    let from = self.config.dns.ip();
                    let task = tokio::spawn(notify(from, what.0, key, editions));
                    (what, task.abort_handle())
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Looks at each mirror for ever, and reports those of which the registry says otherwise (SPEC dns 5.5).
    pub(super) async fn watch_mirrors(self: &Arc<Self>) {
        let mut watched: BTreeMap<Label, Watch> = BTreeMap::new();
        let mut lately = Lately::default();
        let editions = self.book.publication().editions().clone();
        loop {
            tokio::time::sleep(PROBE_EVERY).await;
            let serial = *editions.serial().borrow();
            let Some(serial) = serial else { continue };
            lately.note(serial);
            let Some((network, apex, names, mirrors)) = self.book.ask(|registry| {
                let mirrors = registry.mirrors();
                let mirrors = mirrors
                    .map(|(label, mirror)| (label.clone(), mirror.address.0, mirror.is_well()));
                let apex = registry.founding().domain.to_string();
                let names = names(registry, &apex);
                (registry.network(), apex, names, mirrors.collect::<Vec<_>>())
            }) else {
                continue;
            };
            watched.retain(|label, _| mirrors.iter().any(|(l, ..)| l == label));
            let looks = mirrors.iter();
            let looks = looks.map(|(_, at, _)| look(*at, &editions, &lately, &apex, &names));
            let seen = join_all(looks).await;
            let mut statements = Vec::new();
            for ((label, _, is_well), saw) in mirrors.into_iter().zip(seen) {
                let known = if is_well { Says::Answers } else { Says::Silent };
                let watch = watched
                    .entry(label.clone())
                    .or_insert_with(|| Watch::new(known));
                let Some(saw) = saw else { continue };
                let says = if saw == Saw::Well {
                    Says::Answers
                } else {
                    Says::Silent
                };
                if watch.look(says).is_some() {
                    tracing::info!(mirror = %label, ?saw, "this is seen of a mirror");
                }
                if watch.opinion() == says && says != known {
                    let observer = Label::parse(&self.config.label);
                    let Ok(observer) = observer else { continue };
                    let report = Report {
                        network,
                        observer,
                        of: label,
                        says,
                        time: clock::now(),
                    };
                    statements.push(SignedWire::from(&Signed::new(&self.secret, &report)));
                }
            }
            if !statements.is_empty() {
                let told = Arc::clone(self).report(StatementsWire { statements }).await;
                if let Err(outage) = told {
                    tracing::debug!(%outage, "what is seen of mirrors was not told; it is told again");
                }
            }
        }
    }

    /// Says this node's secret with a mirror to another node.
    pub(super) fn answer_mirror_key(&self, mirror: &str) -> Response {
        // Whoever has heard a secret may use it at once.
        self.share_secrets();
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

/// Names to ask a mirror for: of some blog, and of nobody.
fn names(registry: &Registry, apex: &str) -> Vec<String> {
    let mut names = Vec::with_capacity(NAMES);
    let Ok(random) = config::random_bytes::<32>() else {
        return names;
    };
    if let Some(blog) = registry.blog_near(BlogId::from_bytes(random)) {
        names.push(format!("{}.{apex}", blog.name));
    }
    let nobody: String = random[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    names.push(format!("{nobody}.{apex}"));
    names
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
        .post(
            at.0,
            MIRROR_KEY,
            &mirror.as_str(),
            KEY_WAIT,
            &AtomicBool::default(),
        )
        .await;
    let said = said.map_err(|silence| silence.outage)?;
    said.map_err(|problem| Outage::new(problem.detail))
}
