//! What council nodes tell one another that may not know each other's keys (SPEC http 3.11).

use serde::{Deserialize, Serialize};

use super::{RecordWire, RequestWire};

/// An organizer's word that the council was founded anew, with what proves who is an organizer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AnewWire {
    /// Record 0, whose hash is the network's id.
    pub found: RecordWire,
    /// The request that founded the council anew.
    pub recover: RequestWire,
}

/// Who sits, as a node says that is known already.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeysWire {
    /// Their keys.
    pub keys: Vec<String>,
}
