//! How each simulated network begins: one council node, one organizer, and spokes let in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use spokes_log::{name::Hash, time::Time};
use spokes_rules::{
    node::{Label, NodeSecret, Signed},
    registry::{Record, Registry},
    request::{Address, Ask, CouncilNode, Domain, Founding, Operator, Policy, Request, Wish},
};

use crate::{hub::START, message::Node, plan::Plan};

/// The names of the first spokes; the others have numbers.
const LABELS: [&str; 7] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"];

/// Nodes of the council, which is one sequencer here; each watches spokes with eyes of its own.
pub const COUNCIL: [&str; 3] = ["council-1", "council-2", "council-3"];

/// The key of a node of the council.
pub fn council_secret(node: usize) -> NodeSecret {
    let number = u8::try_from(node).unwrap_or(u8::MAX);
    NodeSecret::from_seed(&[number.saturating_add(200); 32])
}

/// The label of a spoke.
pub fn label(spoke: usize) -> Label {
    let text = match LABELS.get(spoke) {
        Some(name) => (*name).into(),
        None => format!("spoke-{spoke}"),
    };
    Label::parse(&text).unwrap_or_else(|why| panic!("\"{text}\" {why}"))
}

/// The label of a node, if it is a spoke.
pub fn label_of(node: Node) -> Option<Label> {
    match node {
        Node::Spoke(spoke) => Some(label(spoke)),
        _ => None,
    }
}

/// Which spoke has this label.
pub fn spoke_of(label: &Label) -> Option<usize> {
    match label.as_str().strip_prefix("spoke-") {
        Some(number) => number.parse().ok(),
        None => LABELS.iter().position(|l| *l == label.as_str()),
    }
}

/// The key of a spoke.
pub fn secret_of(label: &Label) -> NodeSecret {
    let number = spoke_of(label).map_or(u64::MAX, |n| n as u64 + 1);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    NodeSecret::from_seed(&seed)
}

/// The key of the organizer.
pub fn organizer_secret() -> NodeSecret {
    NodeSecret::from_seed(&[101; 32])
}

/// What lets a spoke in: an invitation, its own request, and the organizer's word.
pub fn requests_to_join(network: Hash, now: Time, spoke: usize, operator: usize) -> [Request; 3] {
    let label = label(spoke);
    let token = format!("token {spoke}");
    let invite = Wish::Invite {
        token: Hash::of(token.as_bytes()),
        expires: now + 3_600,
    };
    let join = Wish::Join {
        label: label.clone(),
        operator: Operator::parse(&format!("Group {operator}")).expect("an operator"),
        address: address_of(spoke),
        token,
    };
    let secret = secret_of(&label);
    let organizer = organizer_secret();
    let admit = Wish::Admit { label };
    [(&organizer, invite), (&secret, join), (&organizer, admit)].map(|(secret, what)| {
        let ask = Ask {
            network: Some(network),
            time: now,
            what,
        };
        Request::plain(Signed::new(secret, &ask))
    })
}

/// Founds a network, and lets its spokes in.
///
/// # Panics
/// When the registry refuses one of these requests.
pub fn found(plan: &Plan) -> (Registry, Vec<Record>) {
    let organizer = organizer_secret();
    let council = COUNCIL.iter().enumerate().map(|(node, label)| {
        let first = u8::try_from(3 * node).unwrap_or(u8::MAX);
        CouncilNode {
            label: Label::parse(label).expect("a label"),
            key: council_secret(node).key(),
            api: address(first),
            dns: address(first + 1),
            peer: address(first + 2),
        }
    });
    let founding = Founding {
        domain: Domain::parse("blogs.example.org").expect("a domain"),
        council: council.collect(),
        organizers: vec![organizer.key()],
        policy: Policy {
            replicas: plan.replicas,
            ..Policy::default()
        },
    };
    let ask = Ask {
        network: None,
        time: START,
        what: Wish::Found(founding),
    };
    let first = Record {
        index: 0,
        previous: Hash::of(b""),
        time: START,
        request: Request::plain(Signed::new(&organizer, &ask)),
    };
    let mut registry = Registry::found(&first).expect("the founding request is sound");
    let mut log = vec![first];
    for (spoke, operator) in plan.operators.iter().take(plan.founders).enumerate() {
        for request in requests_to_join(registry.network(), START, spoke, *operator) {
            let record = registry.next_record(START, request);
            registry.take(&record).expect("the spokes are let in");
            log.push(record);
        }
    }
    (registry, log)
}

fn address(last: u8) -> Address {
    on_port_80(Ipv4Addr::new(192, 0, 2, last))
}

fn address_of(spoke: usize) -> Address {
    let [.., third, last] = spoke.to_be_bytes();
    on_port_80(Ipv4Addr::new(198, 18, third, last))
}

fn on_port_80(ip: Ipv4Addr) -> Address {
    Address(SocketAddr::new(IpAddr::V4(ip), 80))
}
