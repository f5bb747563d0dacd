//! What should stand about a network at the registrar of the domain above it: who answers for its names. Nobody can
//! write it there but its organizers, so they read it whenever it changes.

use std::{net::IpAddr, time::Duration};

use spokes_rules::node::Label;

use crate::{
    council::Door,
    wire::places::{CouncilStatusWire, NodeWire},
};

/// A name server: its number among all that ever stood, and its address.
pub(super) type Server = (u64, IpAddr);

/// How often a node is asked again that has not heard of a record so far.
const ASKS: u32 = 20;
/// The pause before that.
const AGAIN: Duration = Duration::from_millis(250);

/// The lines of a delegation.
pub(super) fn lines(domain: &str, servers: &[Server]) -> Vec<String> {
    let ns = servers
        .iter()
        .map(|(number, _)| format!("  {domain}.      NS    ns{number}.{domain}."));
    let addresses = servers.iter().map(|(number, ip)| {
        let kind = if ip.is_ipv4() { "A   " } else { "AAAA" };
        format!("  ns{number}.{domain}.  {kind}  {ip}")
    });
    ns.chain(addresses).collect()
}

/// The name servers of a council, as one of its nodes sees it behind so many records: those that sit, one that is
/// still to be filled included. None where no node tells.
pub(super) async fn servers(door: &Door, records: u64) -> Option<Vec<Server>> {
    for _ in 0..ASKS {
        let status = door.get::<CouncilStatusWire>("/api/v1/registry/status");
        match status.await {
            Ok(status) if status.records >= records => return Some(sitting(&status.nodes)),
            _ => tokio::time::sleep(AGAIN).await,
        }
    }
    None
}

fn sitting(nodes: &[NodeWire]) -> Vec<Server> {
    let sits = |node: &&NodeWire| matches!(node.sits.as_str(), "sits" | "fills");
    let nodes = nodes.iter().filter(sits);
    nodes
        .filter_map(|node| {
            let dns: std::net::SocketAddr = node.dns.parse().ok()?;
            Some((node.number, dns.ip()))
        })
        .collect()
}

/// What an organizer reads who has just given or taken a seat.
pub(super) fn said(domain: &str, label: &Label, is_given: bool, servers: &[Server]) -> Vec<String> {
    let first = if is_given {
        format!(
            "Once \"spokes council status\" says that {label} is up to date, this should stand at the registrar, and \
             nothing else of {domain}:"
        )
    } else {
        format!(
            "This should stand at the registrar now, and nothing else of {domain}; as long as {label} stands there, some \
             readers ask a server that does not answer, and wait:"
        )
    };
    let mut said = vec![first];
    said.extend(lines(domain, servers));
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delegation_names_each_server_with_its_address() {
        let servers = [
            (1, "192.0.2.1".parse().unwrap()),
            (4, "2001:db8::4".parse().unwrap()),
        ];
        assert_eq!(
            lines("blogs.example", &servers),
            [
                "  blogs.example.      NS    ns1.blogs.example.",
                "  blogs.example.      NS    ns4.blogs.example.",
                "  ns1.blogs.example.  A     192.0.2.1",
                "  ns4.blogs.example.  AAAA  2001:db8::4",
            ]
        );
        let node = |number, sits: &str| NodeWire {
            label: format!("council{number}"),
            number,
            api: "192.0.2.1:80".into(),
            dns: format!("192.0.2.{number}:53"),
            key: String::new(),
            peer: String::new(),
            sits: sits.into(),
        };
        let nodes = [
            node(1, "gone"),
            node(2, "sits"),
            node(3, "fills"),
            node(4, "asks"),
        ];
        let numbers: Vec<u64> = sitting(&nodes).iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [2, 3]);
    }
}
