//! What the registry added up to, kept by a node for its own next start, so that it need not judge a million
//! records again.
//!
//! It is a file beside the log that this node has judged once. The node's own signature says that it wrote
//! it; whatever is off (another node's, another form, a byte that changed, a log that does not go with
//! it) and the whole log is folded and judged again.

use std::{fs, path::Path};

use spokes_log::{name::Hash, text::Value as _};
use spokes_rules::{
    node::{NodeKey, NodeSecret, NodeSignature},
    registry::{Head, Registry, SNAPSHOT_FORM},
};

use crate::{config, outage::Outage};

/// Records between two times that it is kept, at least: judging them again takes less than a second.
const EVERY: u64 = 1_000;
/// And one for so many that there are, so that a large registry is not written all the time.
const SHARE: u64 = 32;
/// The words before the registry: a few lines.
const HEAD_BYTES_MAX: usize = 1_000;

/// Whether it is time to keep it again.
pub(crate) fn is_due(kept: u64, records: u64) -> bool {
    records >= kept + EVERY.max(kept / SHARE)
}

/// What this node signs.
fn says(head: &Head, body: &[u8]) -> String {
    format!(
        "Spokes-Kept: 1\nForm: {SNAPSHOT_FORM}\nRecords: {}\nHead: {}\nBody: {}\n",
        head.records,
        head.hash,
        Hash::of(body)
    )
}

/// Keeps what a registry with this head gave to be kept.
///
/// # Errors
/// When the disk fails.
pub(crate) fn keep(
    path: &Path,
    secret: &NodeSecret,
    head: &Head,
    body: &[u8],
) -> Result<(), Outage> {
    let says = says(head, body);
    let signature = secret.sign(&says);
    let begin = format!("{says}Signature: {signature}\n\n");
    config::write_parts(path, &[begin.as_bytes(), body], 0o600)
}

/// What this node kept, if it did.
///
/// # Errors
/// Says what is off.
pub(crate) fn recall(path: &Path, key: NodeKey) -> Result<Option<Registry>, String> {
    if !path.exists() {
        return Ok(None);
    }
    let file = fs::read(path).map_err(|e| e.to_string())?;
    let begin = &file[..file.len().min(HEAD_BYTES_MAX)];
    let end = begin.windows(2).position(|two| two == b"\n\n");
    let (head, body) = file.split_at(end.ok_or("it has no head")? + 2);
    let head = std::str::from_utf8(head).map_err(|e| e.to_string())?;
    let (signed, signature) = head.split_once("Signature: ").ok_or("it is not signed")?;
    let signature = NodeSignature::parse(signature.trim_end())?;
    if !key.has_signed(signed, &signature) {
        return Err("this node has not signed it".into());
    }
    if !signed.contains(&format!("\nForm: {SNAPSHOT_FORM}\n")) {
        return Err("another program wrote it".into());
    }
    if !signed.ends_with(&format!("\nBody: {}\n", Hash::of(body))) {
        return Err("it is damaged".into());
    }
    let registry = Registry::recall(body).ok_or("it cannot be read")?;
    if says(&registry.head(), body) != signed {
        return Err("it is not what its head says".into());
    }
    Ok(Some(registry))
}
