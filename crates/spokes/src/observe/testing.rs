//! A registry for tests: one node of the council and some spokes, each of another operator.

use std::net::SocketAddr;

use spokes_log::{name::Hash, time::Time};
use spokes_rules::{
    node::{Label, NodeSecret, Signed},
    registry::{Record, Registry},
    request::{Address, Ask, CouncilNode, Domain, Founding, Operator, Policy, Request, Wish},
};

use super::{Report, Says};

/// The key of a node in these tests.
pub(crate) fn secret(label: &str) -> NodeSecret {
    NodeSecret::from_seed(Hash::of(label.as_bytes()).as_bytes())
}

pub(crate) fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

/// Takes a request, signed by this node.
pub(crate) fn take(registry: &mut Registry, now: Time, by: &str, what: Wish, more: Vec<Signed>) {
    let network = Some(registry.network());
    let time = now;
    let signed = Signed::new(
        &secret(by),
        &Ask {
            network,
            time,
            what,
        },
    );
    let request = Request {
        statements: more,
        ..Request::plain(signed)
    };
    let record = registry.next_record(now, request);
    registry.take(&record).unwrap();
}

/// A network whose spokes were let in then.
pub(crate) fn registry(now: Time, spokes: &[(&str, SocketAddr)]) -> Registry {
    let here = Address(SocketAddr::from(([127, 0, 0, 1], 80)));
    let council = CouncilNode {
        label: label("council1"),
        key: secret("council1").key(),
        api: here,
        dns: here,
        peer: here,
    };
    let founding = Founding {
        domain: Domain::parse("blogs.example.org").unwrap(),
        council: vec![council],
        organizers: vec![secret("organizer").key()],
        policy: Policy::default(),
    };
    let ask = Ask {
        network: None,
        time: now,
        what: Wish::Found(founding),
    };
    let first = Record {
        index: 0,
        previous: Hash::of(b""),
        time: now,
        request: Request::plain(Signed::new(&secret("organizer"), &ask)),
    };
    let mut registry = Registry::found(&first).unwrap();
    for (name, address) in spokes {
        let_in(&mut registry, now, name, *address);
    }
    registry
}

/// One more spoke, of an operator of its own.
pub(crate) fn let_in(registry: &mut Registry, now: Time, name: &str, address: SocketAddr) {
    let token = format!("token of {name}");
    let invite = Wish::Invite {
        token: Hash::of(token.as_bytes()),
        expires: now + 60,
    };
    let join = Wish::Join {
        label: label(name),
        operator: Operator::parse(&format!("Group {name}")).unwrap(),
        address: Address(address),
        token,
    };
    let admit = Wish::Admit { label: label(name) };
    take(registry, now, "organizer", invite, vec![]);
    take(registry, now, name, join, vec![]);
    take(registry, now, "organizer", admit, vec![]);
}

/// What one node says of a spoke.
pub(crate) fn report(registry: &Registry, by: &str, of: &str, says: Says, time: Time) -> Signed {
    let report = Report {
        network: registry.network(),
        observer: label(by),
        of: label(of),
        says,
        time,
    };
    Signed::new(&secret(by), &report)
}
