//! How each simulated network begins: one council node, one organizer, and spokes let in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use spokes_log::name::Hash;
use spokes_rules::{
    node::{Label, NodeSecret, Signed},
    registry::{Record, Registry},
    request::{Address, Ask, CouncilNode, Domain, Founding, Operator, Policy, Request, Wish},
};

use crate::{hub::START, message::Node, plan::Plan};

/// The names of the spokes.
const LABELS: [&str; 7] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"];

/// The key of the council's node.
pub fn council_secret() -> NodeSecret {
    NodeSecret::from_seed(&[100; 32])
}

/// The label of a spoke.
pub fn label(spoke: usize) -> Label {
    Label::parse(LABELS[spoke]).unwrap_or_else(|why| panic!("\"{}\" {why}", LABELS[spoke]))
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
    LABELS.iter().position(|l| *l == label.as_str())
}

/// The organizer's key.
pub fn organizer_secret() -> NodeSecret {
    NodeSecret::from_seed(&[101; 32])
}

/// The key of a spoke.
pub fn secret_of(label: &Label) -> NodeSecret {
    let number = spoke_of(label)
        .and_then(|n| u8::try_from(n).ok())
        .unwrap_or(u8::MAX);
    NodeSecret::from_seed(&[number + 1; 32])
}

/// Founds a network, and lets its spokes in.
///
/// # Panics
/// When the registry refuses one of these requests.
pub fn found(plan: &Plan) -> (Registry, Vec<Record>) {
    let organizer = organizer_secret();
    let council = CouncilNode {
        label: Label::parse("council-1").expect("a label"),
        key: council_secret().key(),
        api: address(200),
        dns: address(201),
        peer: address(202),
    };
    let founding = Founding {
        domain: Domain::parse("blogs.example.org").expect("a domain"),
        council: vec![council],
        organizers: vec![organizer.key()],
        policy: Policy {
            replicas: plan.replicas,
            ..Policy::default()
        },
    };
    let ask = |network, what| Ask {
        network,
        time: START,
        what,
    };
    let first = Record {
        index: 0,
        previous: Hash::of(b""),
        time: START,
        request: Request::plain(Signed::new(&organizer, &ask(None, Wish::Found(founding)))),
    };
    let mut registry = Registry::found(&first).expect("the founding request is sound");
    let mut log = vec![first];
    let network = Some(registry.network());
    for spoke in 0..plan.spokes {
        let label = label(spoke);
        let token = format!("token {spoke}");
        let invite = Wish::Invite {
            token: Hash::of(token.as_bytes()),
            expires: START + 3_600,
        };
        let join = Wish::Join {
            label: label.clone(),
            operator: Operator::parse(&format!("Group {spoke}")).expect("an operator"),
            address: address(u8::try_from(spoke).unwrap_or(u8::MAX)),
            token,
        };
        let admit = Wish::Admit {
            label: label.clone(),
        };
        let secret = secret_of(&label);
        for (secret, wish) in [(&organizer, invite), (&secret, join), (&organizer, admit)] {
            let request = Request::plain(Signed::new(secret, &ask(network, wish)));
            let record = registry.next_record(START, request);
            registry.take(&record).expect("the spokes are let in");
            log.push(record);
        }
    }
    (registry, log)
}

fn address(last: u8) -> Address {
    Address(SocketAddr::new(
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)),
        80,
    ))
}
