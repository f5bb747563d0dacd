//! Words about seats. What an organizer says is looked at by the leader, too: the registry alone cannot know who
//! answers, and a slip must not leave a council that stands still. And a node that was filled says so itself.

use std::time::Duration;

use spokes_rules::{
    dnssec::ZoneKey,
    node::{Label, NodeKey, Signed},
    registry::Registry,
    request::{Ask, Request as Wanted, Wish},
    seat::Sits,
};

use super::{
    Council,
    journal::Disk,
    part::{Part, is_voter},
    raft::NodeId,
};
use crate::{clock, wire::RequestWire};

/// How often a node looks whether the registry knows that it is filled: soon beside the time that filling takes.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Council {
    /// Says what the registry does not know of this node: that it is filled, since only then DNS names it, and it is one
    /// of those who judge (SPEC registry 3.13); and with which key it signs the zone (3.31).
    pub(super) async fn look_after_seat(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if !self.order.is_whole() {
                continue;
            }
            let (me, key) = (self.secret.key(), self.zone_key);
            let ask = self.book.ask(|registry| {
                let (what, said) = unsaid(registry, me, key)?;
                let ask = Ask {
                    network: Some(registry.network()),
                    time: clock::now(),
                    what,
                };
                Some((ask, said))
            });
            let Some((ask, said)) = ask.flatten() else {
                continue;
            };
            let request = Wanted::plain(Signed::new(&self.secret, &ask));
            match self.order.sequence(RequestWire::from(&request)).await {
                Ok(_) => tracing::info!("{said}, and the registry knows it"),
                Err(why) => {
                    tracing::warn!(
                        ?why,
                        "\"{said}\" could not be told the registry; it is tried again"
                    );
                }
            }
        }
    }
}

/// What a node has to say of itself, and how that is told.
fn unsaid(registry: &Registry, me: NodeKey, key: ZoneKey) -> Option<(Wish, &'static str)> {
    let mut seats = registry.seats().all().iter();
    let seat = seats.find(|seat| seat.node.key == me)?;
    let label = seat.node.label.clone();
    match seat.sits {
        Sits::Yes { whole: false, .. } => Some((Wish::Seat { label }, "this node is filled")),
        Sits::Yes { whole: true, .. } if registry.zone_keys().said.get(&label) != Some(&key) => {
            let said = "this node has a key to sign the zone with";
            Some((Wish::ZoneKey { label, key }, said))
        }
        _ => None,
    }
}

/// Why nothing is to be changed on this word now, in a sentence; none where nothing speaks against it.
pub(super) fn why_not_now<D: Disk>(
    part: &Part<D>,
    registry: &Registry,
    by: NodeKey,
    wish: &Wish,
) -> Option<String> {
    let (label, is_filled_again) = match wish {
        Wish::Refill { label } | Wish::Seat { label } => (label, true),
        Wish::Unseat { label } => (label, false),
        _ => return None,
    };
    let metrics = part.metrics();
    let key = sits(registry, label)?;
    let node = NodeId::of(key);
    // That it is filled by now it says itself.
    if by == key {
        return None;
    }
    // One that only asked for a seat, or is being filled, is no loss.
    if !is_voter(&metrics, node) {
        return None;
    }
    if is_filled_again && part.is_there(node) {
        return Some(format!(
            "{label} is well and holds all there is: it needs no filling. Nothing was changed. Only a node that lost \
             what it had is filled again; it says so itself at its address, in \"/healthz\", and in its log"
        ));
    }
    let stays = registry.seats().sitting().filter_map(|(other, ..)| {
        let id = NodeId::of(other.key);
        (other.key != key && is_voter(&metrics, id)).then_some((id, other.label.as_str()))
    });
    let stays: Vec<_> = stays.collect();
    if part.is_majority_of(stays.iter().map(|(id, _)| *id)) {
        return None;
    }
    let silent = stays.iter().filter(|(id, _)| !part.is_there(*id));
    let silent: Vec<&str> = silent.map(|(_, label)| *label).collect();
    Some(format!(
        "without {label} too few nodes of the council would answer, and nothing could be registered any more: {} \
         silent. Nothing was changed. Start what is silent, or take its seat away first",
        match silent.as_slice() {
            [one] => format!("{one} is"),
            many => format!("{} are", many.join(", ")),
        }
    ))
}

fn sits(registry: &Registry, label: &Label) -> Option<NodeKey> {
    let mut seats = registry.seats().sitting();
    seats
        .find(|(node, ..)| node.label == *label)
        .map(|(node, ..)| node.key)
}

/// Whether a request's text may be a word about seats: most are not, and are not read twice.
pub(super) fn is_about_seats(text: &str) -> bool {
    ["refill", "seat", "unseat"]
        .iter()
        .any(|kind| text.contains(&format!("\nKind: {kind}\n")))
}
