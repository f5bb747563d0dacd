//! What organizers are told of nodes and places (SPEC http 3.10).

use serde::{Deserialize, Serialize};

/// `GET registry/status` of a council node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CouncilStatusWire {
    /// Who answers.
    pub node: String,
    /// The network's domain.
    pub domain: String,
    /// The network's id.
    pub network: String,
    /// Who puts requests in order, as this node knows it.
    pub leader: Option<String>,
    /// The how manyth leader that is.
    pub term: u64,
    /// Records that this node has.
    pub records: u64,
    /// Whether a majority of the council stands behind that.
    pub confirmed: bool,
    /// Blogs of the network.
    pub blogs: u64,
    /// All seats that were ever asked for.
    pub nodes: Vec<NodeWire>,
    /// The version of the zone that this node publishes; none as long as it answers no DNS.
    #[serde(default)]
    pub serial: Option<u32>,
    /// The name servers elsewhere that copy it.
    #[serde(default)]
    pub mirrors: Vec<MirrorWire>,
    /// Who may issue certificates for its names, a rule each.
    #[serde(default)]
    pub caa: Vec<String>,
}

/// A name server elsewhere that copies the zone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MirrorWire {
    /// Its label.
    pub label: String,
    /// Where its DNS answers.
    pub address: String,
    /// Since when it does not answer with what was published.
    pub down_since: Option<String>,
}

/// A node of the council.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeWire {
    /// Its label.
    pub label: String,
    /// Its number among all that ever stood, of which its name in DNS is made.
    pub number: u64,
    /// Where its registry answers.
    pub api: String,
    /// Where its DNS answers.
    pub dns: String,
    /// Its key.
    #[serde(default)]
    pub key: String,
    /// Where the other nodes of the council reach it.
    #[serde(default)]
    pub peer: String,
    /// `asks`, `fills` (it sits and is to be filled), `sits` or `gone`.
    pub sits: String,
}

/// `GET registry/spokes`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpokesWire {
    /// Records behind which this is so.
    pub records: u64,
    /// All spokes that ever asked.
    pub spokes: Vec<SpokeWire>,
}

/// A spoke as the registry knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpokeWire {
    /// Its label.
    pub label: String,
    /// Who runs it.
    pub operator: String,
    /// Where its HTTP answers.
    pub address: String,
    /// `applied`, `admitted`, `leaving` or `evicted`.
    pub standing: String,
    /// Since when.
    pub since: String,
    /// Since when it is silent, if it is.
    pub down_since: Option<String>,
    /// How much it has to do.
    pub load: String,
    /// What it takes: `new`, `held` or `nothing`.
    pub takes: String,
    /// Blogs that it holds or is being given.
    pub blogs: usize,
    /// Of how many it is the primary.
    pub primary_of: usize,
    /// How many of them it does not hold wholly yet.
    pub behind: usize,
}

/// `GET registry/blogs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlogsWire {
    /// Records behind which this is so.
    pub records: u64,
    /// Whether others follow; ask with `after` and the last name.
    pub more: bool,
    /// The blogs by name.
    pub blogs: Vec<BlogPlaceWire>,
}

/// Where a blog is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlogPlaceWire {
    /// Its name.
    pub name: String,
    /// Its id.
    pub blog: String,
    /// The open epoch.
    pub epoch: u64,
    /// The spoke that accepts entries.
    pub primary: String,
    /// The other members of the open set.
    pub secondaries: Vec<String>,
    /// The members that hold all of it.
    pub held_by: Vec<String>,
    /// How many replicas it should have.
    pub replicas: u64,
    /// How many more its readers need.
    pub more: u64,
    /// The set that is coming, its primary first.
    pub next: Option<Vec<String>>,
    /// Where its primary is wanted.
    pub home: Option<String>,
    /// Former members whose copies nobody has seen, where its set was opened without them.
    pub missing: Vec<String>,
    /// The members that it waits for: silent ones, without whom the others are too few to go on by themselves.
    #[serde(default)]
    pub waits: Vec<String>,
}
