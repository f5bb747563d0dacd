//! The council's seats: which nodes keep the registry together (SPEC registry 3.12 to 3.16).

use alloc::{collections::BTreeMap, vec::Vec};
use core::fmt;

use spokes_log::{
    name::{Hash, Salt},
    text::{self, Headers, Malformed},
    time::Time,
};

use crate::{
    node::{Label, NodeKey, Signed},
    receipt::{end, filled, version},
    refusal::Refusal,
    request::{COUNCIL_MAX, CouncilNode},
};

/// What a node of the council signs for whoever was invited by it: that it is the one, and who sits. Nobody else can
/// sign it, whatever became of the network's first nodes (SPEC registry 3.10).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Presence {
    /// The network.
    pub network: Hash,
    /// What whoever asks has made up, so that nothing old is shown to him.
    pub nonce: Salt,
    /// The nodes that sit.
    pub council: Vec<CouncilNode>,
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spokes-Council: 1\nNetwork: {}", self.network)?;
        write!(f, "\nNonce: {}", self.nonce)?;
        let mut council = self.council.iter();
        council.try_for_each(|node| write!(f, "\nCouncil: {node}"))
    }
}

impl Presence {
    /// Reads the text.
    ///
    /// # Errors
    /// Names the first line that is not as SPEC registry 3.10 says.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut headers = Headers::new(text::check(bytes)?, 1)?;
        version(&mut headers, "Spokes-Council")?;
        let presence = Self {
            network: headers.required("Network")?,
            nonce: headers.required("Nonce")?,
            council: filled("Council", &mut headers, COUNCIL_MAX)?,
        };
        end(&mut headers)?;
        Ok(presence)
    }

    /// What the node with this key says of this network to whoever has just made up this nonce; none where anybody
    /// else says it, or of another network, or it was said to somebody else.
    pub fn check(signed: &Signed, key: NodeKey, network: Hash, nonce: Salt) -> Option<Self> {
        if signed.key != key || !signed.is_good() {
            return None;
        }
        let presence = Self::parse(signed.text.as_bytes()).ok()?;
        (presence.network == network && presence.nonce == nonce).then_some(presence)
    }
}

/// A node that has, had, or asks for a seat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seat {
    /// The node.
    pub node: CouncilNode,
    /// Its number among all that ever stood, from 1: what its name in DNS is made of.
    pub number: u64,
    /// Whether it sits.
    pub sits: Sits,
}

/// Whether a node sits on the council.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sits {
    /// It asks for a seat.
    Asks {
        /// Since when.
        since: Time,
    },
    /// It has one.
    Yes {
        /// The record since which it is filled: what it held before that does not count.
        filled: u64,
        /// Whether it is filled by now, as far as the registry knows: it began so, or has said so itself.
        whole: bool,
    },
    /// It has none any more.
    NoMore {
        /// Since when.
        since: Time,
    },
}

/// All seats, in the order of their numbers.
#[derive(Clone, Debug, Default)]
pub struct Seats(Vec<Seat>);

impl Seats {
    /// The seats with which a network begins.
    pub(crate) fn found(council: &[CouncilNode]) -> Self {
        let mut seats = Self::default();
        for node in council {
            let sits = Sits::Yes {
                filled: 0,
                whole: true,
            };
            seats.add(node.clone(), sits);
        }
        seats
    }

    /// These seats, as they were.
    pub(crate) fn of(seats: Vec<Seat>) -> Self {
        Self(seats)
    }

    /// The nodes that sit, with their numbers and the records since which they are filled.
    pub fn sitting(&self) -> impl Iterator<Item = (&CouncilNode, u64, u64)> {
        self.0.iter().filter_map(|seat| match seat.sits {
            Sits::Yes { filled, .. } => Some((&seat.node, seat.number, filled)),
            _ => None,
        })
    }

    /// The nodes that sit and hold the registry, with their numbers: DNS names them, and they judge. One that is
    /// still to be filled may never come; were it counted, those that are there could be too few for ever. Where
    /// nobody is left that has said so, all that sit.
    pub fn whole(&self) -> impl Iterator<Item = (&CouncilNode, u64)> {
        let is_whole = |seat: &&Seat| matches!(seat.sits, Sits::Yes { whole: true, .. });
        let any = self.0.iter().any(|seat| is_whole(&seat));
        let seats = self.0.iter();
        seats
            .filter(move |seat| match seat.sits {
                Sits::Yes { whole, .. } => whole || !any,
                _ => false,
            })
            .map(|seat| (&seat.node, seat.number))
    }

    /// All that ever stood.
    pub fn all(&self) -> &[Seat] {
        &self.0
    }

    /// The node with this key, if it sits.
    pub fn node(&self, key: NodeKey) -> Option<&CouncilNode> {
        self.sitting()
            .find(|(node, ..)| node.key == key)
            .map(|(node, ..)| node)
    }

    /// The node with this label, whether it sits or not.
    pub fn labelled(&self, label: &Label) -> Option<&Seat> {
        self.0.iter().find(|seat| seat.node.label == *label)
    }

    /// The label of whoever has this key.
    pub(crate) fn with_key(&self, key: NodeKey) -> Option<&Label> {
        let seat = self.0.iter().find(|seat| seat.node.key == key)?;
        Some(&seat.node.label)
    }

    /// What becomes of a seat when an organizer gives it, takes it, or has it filled again.
    ///
    /// # Errors
    /// When there is no such seat, or it is not as it would have to be.
    pub(crate) fn judge(&self, label: &Label, to: Sits) -> Result<(), Refusal> {
        let seat = self.labelled(label);
        let seat = seat.ok_or_else(|| Refusal::NoSuchSeat(label.clone()))?;
        let sitting = self.sitting().count();
        match (seat.sits, to) {
            (Sits::Asks { .. }, Sits::Yes { .. }) if sitting == COUNCIL_MAX => {
                Err(Refusal::CouncilFull(COUNCIL_MAX))
            }
            (Sits::Yes { .. }, Sits::NoMore { .. }) if sitting == 1 => Err(Refusal::LastSeat),
            (Sits::Asks { .. } | Sits::Yes { .. }, Sits::Yes { .. })
            | (Sits::Yes { .. } | Sits::Asks { .. }, Sits::NoMore { .. }) => Ok(()),
            _ => Err(Refusal::NoSuchSeat(label.clone())),
        }
    }

    /// What becomes of a seat whose node says itself that it is filled.
    ///
    /// # Errors
    /// When the registry knows it already, or this is not that node.
    pub(crate) fn filled(&self, label: &Label, key: NodeKey) -> Result<Sits, Refusal> {
        let seat = self.labelled(label).filter(|seat| seat.node.key == key);
        match seat.map(|seat| seat.sits) {
            Some(Sits::Yes {
                filled,
                whole: false,
            }) => Ok(Sits::Yes {
                filled,
                whole: true,
            }),
            Some(Sits::Yes { .. }) => Err(Refusal::NothingNew),
            _ => Err(Refusal::NotAnOrganizer(key)),
        }
    }

    /// Sets what was judged.
    pub(crate) fn set(&mut self, label: &Label, to: Sits) {
        if let Some(seat) = self.0.iter_mut().find(|seat| seat.node.label == *label) {
            seat.sits = to;
        }
    }

    /// A node asks for a seat, or gets one without asking.
    pub(crate) fn add(&mut self, node: CouncilNode, sits: Sits) {
        let number = self.0.len() as u64 + 1;
        self.0.push(Seat { node, number, sits });
    }

    /// The council is founded anew: these sit, and nobody else. The first of them holds what there is; the others
    /// are to be filled.
    pub(crate) fn recover(&mut self, council: Vec<CouncilNode>, filled: u64, now: Time) {
        let first = council.first().map(|node| node.label.clone());
        let sits = |label: &Label| Sits::Yes {
            filled,
            whole: first.as_ref() == Some(label),
        };
        let mut next: BTreeMap<Label, CouncilNode> = council
            .into_iter()
            .map(|node| (node.label.clone(), node))
            .collect();
        for seat in &mut self.0 {
            match next.remove(&seat.node.label) {
                Some(node) => {
                    seat.sits = sits(&node.label);
                    seat.node = node;
                }
                None => seat.sits = Sits::NoMore { since: now },
            }
        }
        for node in next.into_values() {
            let sits = sits(&node.label);
            self.add(node, sits);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString as _, vec};

    use spokes_log::text::Value as _;

    use super::*;
    use crate::{node::NodeSecret, request::Address};

    #[test]
    fn a_node_shows_who_it_is_to_whoever_asks_now() {
        let [node, stranger] = [[1; 32], [2; 32]].map(|seed| NodeSecret::from_seed(&seed));
        let address = Address::parse("192.0.2.1:80").unwrap();
        let presence = Presence {
            network: Hash::of(b"network"),
            nonce: Salt::from_bytes([1; 16]),
            council: vec![CouncilNode {
                label: Label::parse("council2").unwrap(),
                key: node.key(),
                api: address,
                dns: address,
                peer: address.next_port(),
            }],
        };
        let text = presence.to_string();
        assert_eq!(Presence::parse(text.as_bytes()), Ok(presence.clone()));
        let (network, nonce) = (presence.network, presence.nonce);
        let check = |signed: &Signed, network, nonce| {
            Presence::check(signed, node.key(), network, nonce).is_some()
        };
        let signed = Signed::new(&node, &presence);
        assert!(check(&signed, network, nonce));
        assert!(!check(&signed, Hash::of(b"another"), nonce));
        assert!(!check(&signed, network, Salt::from_bytes([2; 16])), "old");
        let by_stranger = Signed::new(&stranger, &presence);
        assert!(!check(&by_stranger, network, nonce));
        let posing = Signed {
            key: node.key(),
            ..by_stranger
        };
        assert!(!check(&posing, network, nonce));
    }
}
