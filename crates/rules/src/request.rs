//! Requests: signed texts that ask the registry for a change (SPEC registry 2).

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

use spokes_log::{
    name::{BlogId, EntryId, Hash},
    seal::SealedEntry,
    text::{self, Headers, Malformed, Value, What},
    time::Time,
};

mod kinds;

pub use crate::address::{Address, Domain, Operator};
use crate::{
    caa::Caa,
    dnssec::ZoneKey,
    health::{Load, Takes},
    keyset::{KeySet, NODE_KEYS_MAX},
    node::{Label, NodeKey, Signed},
    receipt::{end, filled, version},
};

/// Council nodes of one network: more make no registry safer, only slower.
pub const COUNCIL_MAX: usize = 7;
/// In each set of the zone's keys there is room for two of each node.
const _: () = assert!(NODE_KEYS_MAX == 2 * COUNCIL_MAX);
/// Organizers of one network.
const ORGANIZERS_MAX: usize = 25;
/// Members of one replica set: the most that an author may ask for.
pub const MEMBERS_MAX: usize = 9;
/// Blogs of one change of set: what one entry of the registry may cover.
const BLOGS_MAX: usize = 1_000;
/// Blogs of which one spoke says at once that it holds them.
pub const HOLDS_MAX: usize = 1_000;
/// Entries that come with one request: a genesis, its keys and the skeletons between.
pub const PROOF_ENTRIES_MAX: usize = 20_000;

/// A request as it is sent and kept: a signed text and what proves it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The signed text.
    pub signed: Signed,
    /// Entries that prove an author's right, in the order of their chain.
    pub proof: Vec<SealedEntry>,
    /// Receipts and seals that prove that a change of set is safe, or reports of who is silent.
    pub statements: Vec<Signed>,
    /// What the author herself says, where a node only brings it.
    pub word: Option<Word>,
}

/// A text that an author signed with her own key, as `OpenPGP` has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// The text.
    pub text: String,
    /// Her signature over it: one packet of `OpenPGP`.
    pub signature: Vec<u8>,
}

impl Request {
    /// A request that needs no proof beside its signature.
    pub fn plain(signed: Signed) -> Self {
        Self {
            signed,
            proof: Vec::new(),
            statements: Vec::new(),
            word: None,
        }
    }

    /// What the request is called: a repeat gets the first answer.
    pub fn id(&self) -> Hash {
        Hash::of(self.signed.text.as_bytes())
    }
}

/// What a request's text says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// The network; none in the request that founds it.
    pub network: Option<Hash>,
    /// When the asker made it: with it, a wish repeated later is another request.
    pub time: Time,
    /// What is asked for.
    pub what: Wish,
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Founds the network (SPEC registry 3.1).
    Found(Founding),
    /// Lets one more node ask to join (SPEC registry 3.2).
    Invite {
        /// The hash of the token that the invited one shows.
        token: Hash,
        /// Until when.
        expires: Time,
    },
    /// A node asks to become a spoke (SPEC registry 3.3).
    Join {
        /// Its label.
        label: Label,
        /// The group that runs it.
        operator: Operator,
        /// Where its HTTP answers.
        address: Address,
        /// The token of its invitation.
        token: String,
    },
    /// An organizer lets a spoke in (SPEC registry 3.4).
    Admit {
        /// Which.
        label: Label,
    },
    /// An organizer bars a spoke (SPEC registry 3.5).
    Evict {
        /// Which.
        label: Label,
    },
    /// A node asks for a seat on the council (SPEC registry 3.12).
    Stand {
        /// What it will be.
        node: CouncilNode,
        /// The token of its invitation.
        token: String,
    },
    /// An organizer gives a node that stands its seat (SPEC registry 3.13).
    Seat {
        /// Which.
        label: Label,
    },
    /// An organizer takes a seat away (SPEC registry 3.14).
    Unseat {
        /// Which.
        label: Label,
    },
    /// A node lost what it had; an organizer has it filled again (SPEC registry 3.15).
    Refill {
        /// Which.
        label: Label,
    },
    /// The council is founded anew on what one node holds (SPEC registry 3.16).
    Recover {
        /// Its nodes from now on.
        council: Vec<CouncilNode>,
    },
    /// An author claims a name; brought by the spoke that she asked (SPEC registry 3.6).
    Claim {
        /// The blog.
        blog: BlogId,
        /// The entry that claims the name: entry 0 or one of kind `claim`.
        entry: EntryId,
        /// The spoke that she wants as primary.
        spoke: Option<Label>,
    },
    /// A `keys` entry takes effect on this network (SPEC registry 3.7).
    Keys {
        /// The blog.
        blog: BlogId,
        /// The `keys` entry.
        entry: EntryId,
    },
    /// The set of some blogs is to change (SPEC registry 3.8).
    Close {
        /// Which blogs; all have the same set.
        blogs: Vec<BlogId>,
        /// The last open epoch.
        epoch: u64,
        /// The new set, its primary first.
        members: Vec<Label>,
    },
    /// A closed set is replaced (SPEC registry 3.9).
    Open {
        /// The blog.
        blog: BlogId,
        /// The new epoch.
        epoch: u64,
        /// Whether fewer seals than a majority's worth must do (SPEC receipt 3.7).
        forced: bool,
    },
    /// Observers say that a spoke is silent (SPEC registry 3.17).
    Down {
        /// Which.
        label: Label,
    },
    /// Observers say that it answers again (SPEC registry 3.18).
    Up {
        /// Which.
        label: Label,
    },
    /// A spoke says how much it has to do, and what it still takes (SPEC registry 3.19).
    Load {
        /// Which it is: else two that say the same in one second would be one.
        label: Label,
        /// How much of what it can do.
        load: Load,
        /// What it takes.
        takes: Takes,
    },
    /// An organizer empties a spoke (SPEC registry 3.20).
    Drain {
        /// Which.
        label: Label,
    },
    /// A spoke hands everything over, to go then (SPEC registry 3.21).
    Leave {
        /// Which it is.
        label: Label,
    },
    /// An organizer moves a blog's primary (SPEC registry 3.22).
    Move {
        /// The blog.
        blog: BlogId,
        /// Its primary from then on.
        to: Label,
    },
    /// A node brings an author's word that moves her blog (SPEC registry 3.23).
    Home {
        /// The blog.
        blog: BlogId,
        /// The hash of her text.
        word: Hash,
    },
    /// An organizer says how many replicas a blog has (SPEC registry 3.24).
    Replicas {
        /// The blog.
        blog: BlogId,
        /// How many.
        replicas: u64,
    },
    /// The primary says how many more replicas its readers need (SPEC registry 3.25).
    Demand {
        /// The blog.
        blog: BlogId,
        /// How many more.
        more: u64,
    },
    /// A spoke has all of these blogs and keeps up with their primaries (SPEC registry 3.26).
    Holds {
        /// Which it is.
        label: Label,
        /// Which blogs.
        blogs: Vec<BlogId>,
    },
    /// An organizer lets a name server copy the zone, or has it get new secrets (SPEC registry 3.29).
    Mirror {
        /// What it is called: no node may be called so.
        label: Label,
        /// Where its DNS answers.
        address: Address,
    },
    /// An organizer ends that (SPEC registry 3.30).
    Unmirror {
        /// Which.
        label: Label,
    },
    /// A node of the council says with which key it signs the zone, or will (SPEC registry 3.31).
    ZoneKey {
        /// Which it is.
        label: Label,
        /// The key.
        key: ZoneKey,
    },
    /// An organizer signs the zone's keys (SPEC registry 3.32).
    KeySet(Box<KeySet>),
    /// An organizer says who may issue certificates for the network's names (SPEC registry 3.33).
    Caa {
        /// All rules there are from then on.
        rules: Vec<Caa>,
    },
    /// The primary has read all that were missing when a set was opened by force (SPEC registry 3.27).
    Whole {
        /// The blog.
        blog: BlogId,
        /// The epoch in which it says so.
        epoch: u64,
    },
}

/// Where an author wants her blog's primary: what she signs (SPEC registry 3.23).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Home {
    /// The network.
    pub network: Hash,
    /// When she says so.
    pub time: Time,
    /// The blog.
    pub blog: BlogId,
    /// The spoke that is to be its primary.
    pub spoke: Label,
}

impl Home {
    /// Reads the text.
    ///
    /// # Errors
    /// Names the first line that is not as SPEC registry 3.23 says.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut headers = Headers::new(text::check(bytes)?, 1)?;
        version(&mut headers, "Spokes-Request")?;
        let line = headers.line();
        if headers.required::<String>("Kind")? != "home" {
            return Err(Malformed::rule(line, "this request does not move a blog"));
        }
        let home = Self {
            network: headers.required("Network")?,
            time: headers.required("Time")?,
            blog: headers.required("Blog")?,
            spoke: headers.required("Spoke")?,
        };
        end(&mut headers)?;
        Ok(home)
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Spokes-Request: 1\nKind: home\nNetwork: {}",
            self.network
        )?;
        write!(f, "\nTime: {}", self.time)?;
        write!(f, "\nBlog: {}\nSpoke: {}", self.blog, self.spoke)
    }
}

/// What a network begins with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Founding {
    /// Its domain, lower case.
    pub domain: Domain,
    /// The council's nodes.
    pub council: Vec<CouncilNode>,
    /// The organizers' keys.
    pub organizers: Vec<NodeKey>,
    /// Its limits.
    pub policy: Policy,
}

/// One node of the council.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CouncilNode {
    /// Its label.
    pub label: Label,
    /// Its key.
    pub key: NodeKey,
    /// Where its registry answers over HTTP.
    pub api: Address,
    /// Where its DNS answers.
    pub dns: Address,
    /// Where the other nodes of the council reach it.
    pub peer: Address,
}

/// The limits of a network; each refusal names its limit (SPEC registry 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Replicas of a blog, if there are as many operators.
    pub replicas: u64,
    /// New blogs that one spoke may bring in a day.
    pub blogs_per_spoke_day: u64,
    /// Names of one blog.
    pub names_per_blog: u64,
    /// Bytes of one new blog, media included.
    pub blog_bytes: u64,
    /// Entries of one blog in a day.
    pub entries_per_day: u64,
    /// Readers' requests a second that one replica of a blog should have to answer.
    pub readers_per_second: u64,
    /// Seconds between two changes for a blog's readers.
    pub demand_seconds: u64,
    /// Members of a circle at most (SPEC circle 2.1).
    pub circle: u64,
}

/// What one replica answers before readers need another: a small server that also does other things.
const READERS_PER_SECOND: u64 = 50;
/// How often demand may change: a copy that comes and goes costs more than it carries.
const DEMAND_SECONDS: u64 = 600;
/// The essay's number: few enough to be asked one by one, and four levels hold 5,000 spokes.
const CIRCLE: u64 = 10;

impl Default for Policy {
    fn default() -> Self {
        Self {
            replicas: 3,
            blogs_per_spoke_day: 50,
            names_per_blog: 3,
            blog_bytes: 1 << 30,
            entries_per_day: 200,
            readers_per_second: READERS_PER_SECOND,
            demand_seconds: DEMAND_SECONDS,
            circle: CIRCLE,
        }
    }
}

impl Value for CouncilNode {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "is not a label, a key, an HTTP, a DNS and perhaps a peer address";
        let words: Vec<&str> = text.split(' ').collect();
        let (label, key, api, dns, peer) = match words[..] {
            [label, key, api, dns] => (label, key, api, dns, None),
            [label, key, api, dns, peer] => (label, key, api, dns, Some(peer)),
            _ => return Err(SHAPE),
        };
        let api = Address::parse(api)?;
        let peer = match peer {
            Some(peer) => Address::parse(peer)?,
            None => api.next_port(),
        };
        // What may be left out is left out: a signed text has one spelling.
        if words.len() == 5 && peer == api.next_port() {
            return Err(SHAPE);
        }
        Ok(Self {
            label: Label::parse(label)?,
            key: NodeKey::parse(key)?,
            api,
            dns: Address::parse(dns)?,
            peer,
        })
    }
}

impl fmt::Display for CouncilNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.label, self.key, self.api, self.dns)?;
        if self.peer != self.api.next_port() {
            write!(f, " {}", self.peer)?;
        }
        Ok(())
    }
}

impl Founding {
    fn parse(h: &mut Headers<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            domain: h.required("Domain")?,
            council: filled("Council", h, COUNCIL_MAX)?,
            organizers: filled("Organizer", h, ORGANIZERS_MAX)?,
            policy: Policy {
                replicas: h.required("Replicas")?,
                blogs_per_spoke_day: h.required("Blogs-Per-Spoke-Day")?,
                names_per_blog: h.required("Names-Per-Blog")?,
                blog_bytes: h.required("Blog-Bytes")?,
                entries_per_day: h.required("Entries-Per-Day")?,
                readers_per_second: other("Readers-Per-Second", READERS_PER_SECOND, h)?,
                demand_seconds: other("Demand-Seconds", DEMAND_SECONDS, h)?,
                circle: other("Circle", CIRCLE, h)?,
            },
        })
    }
}

/// A limit that is named where it is another than the usual one: a signed text has one spelling.
fn other(name: &'static str, usual: u64, headers: &mut Headers<'_>) -> Result<u64, Malformed> {
    let line = headers.line();
    match headers.optional(name)? {
        Some(0) => Err(Malformed::rule(line, "a limit of 0 leaves nothing")),
        Some(named) if named == usual => Err(Malformed::rule(line, "the usual limit is left out")),
        named => Ok(named.unwrap_or(usual)),
    }
}

impl Ask {
    /// Reads a request's text.
    ///
    /// # Errors
    /// Names the first line that is not as SPEC registry 2 says.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut headers = Headers::new(text::check(bytes)?, 1)?;
        version(&mut headers, "Spokes-Request")?;
        let line = headers.line();
        let kind: String = headers.required("Kind")?;
        let network_line = headers.line();
        let network: String = headers.required("Network")?;
        let founds = network == "new";
        let network = match network.as_str() {
            "new" => None,
            hash => Some(Hash::parse(hash).map_err(|problem| {
                let what = What::Value {
                    name: "Network".into(),
                    problem,
                };
                Malformed::new(network_line, what)
            })?),
        };
        let time = headers.required("Time")?;
        let what = Wish::parse(&kind, line, &mut headers)?;
        end(&mut headers)?;
        if founds != matches!(what, Wish::Found(_)) {
            let rule = "only the request that founds a network says \"Network: new\"";
            return Err(Malformed::rule(network_line, rule));
        }
        Ok(Self {
            network,
            time,
            what,
        })
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spokes-Request: 1\nKind: {}", self.what.kind())?;
        match &self.network {
            Some(network) => write!(f, "\nNetwork: {network}")?,
            None => write!(f, "\nNetwork: new")?,
        }
        write!(f, "\nTime: {}", self.time)?;
        self.what.lines(f)
    }
}

impl fmt::Display for Founding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\nDomain: {}", self.domain)?;
        self.council
            .iter()
            .try_for_each(|node| write!(f, "\nCouncil: {node}"))?;
        self.organizers
            .iter()
            .try_for_each(|key| write!(f, "\nOrganizer: {key}"))?;
        let p = &self.policy;
        write!(f, "\nReplicas: {}", p.replicas)?;
        write!(f, "\nBlogs-Per-Spoke-Day: {}", p.blogs_per_spoke_day)?;
        write!(f, "\nNames-Per-Blog: {}", p.names_per_blog)?;
        write!(
            f,
            "\nBlog-Bytes: {}\nEntries-Per-Day: {}",
            p.blog_bytes, p.entries_per_day
        )?;
        if p.readers_per_second != READERS_PER_SECOND {
            write!(f, "\nReaders-Per-Second: {}", p.readers_per_second)?;
        }
        if p.demand_seconds != DEMAND_SECONDS {
            write!(f, "\nDemand-Seconds: {}", p.demand_seconds)?;
        }
        if p.circle != CIRCLE {
            write!(f, "\nCircle: {}", p.circle)?;
        }
        Ok(())
    }
}
