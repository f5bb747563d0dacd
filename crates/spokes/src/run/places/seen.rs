//! What is shown of spokes and of the council's nodes, in words.

use std::net::SocketAddr;

use spokes_rules::node::Label;

use crate::{
    council::Door,
    outage::Outage,
    wire::places::{CouncilStatusWire, NodeWire, SpokeWire},
};

/// What a node of the council said of how it stands.
pub(super) type StatusSaid = (SocketAddr, Result<CouncilStatusWire, Outage>);

/// What a spoke takes as it is now: what it said itself says nothing of one that is silent or out.
pub(super) fn takes(spoke: &SpokeWire) -> &'static str {
    let only_held = "takes no new blogs, and goes on with those it has";
    match (spoke.standing.as_str(), &spoke.down_since) {
        ("applied" | "evicted", _) | (_, Some(_)) => "is given no blogs",
        ("leaving", None) if spoke.takes == "new" => only_held,
        _ => match spoke.takes.as_str() {
            "new" => "takes new blogs",
            "held" => "little disk left: takes no new blogs, and goes on with those it has",
            _ => "disk full or failing: takes nothing, and shows what it has",
        },
    }
}

/// What is said where there is no blog to show.
pub(super) async fn no_blogs(door: &Door, spoke: Option<&Label>) -> String {
    let Some(label) = spoke else {
        return format!("There is no blog on {} so far.", door.domain());
    };
    match super::spoke_of(door, label.as_str(), 0).await {
        Ok(spoke) if spoke.standing == "applied" => {
            format!("{label} asked to join and is not let in so far: it holds no blog.")
        }
        Ok(spoke) if spoke.standing == "evicted" => {
            format!("{label} is barred and has no place in any blog.")
        }
        Ok(_) => format!("{label} holds no blog."),
        Err(none) => none.to_string(),
    }
}

/// How each node of the council stands, a line each; those that ask for a seat come last.
pub(super) fn status_lines(
    domain: &str,
    said: &[StatusSaid],
    leader: Option<&str>,
    most: u64,
) -> Vec<String> {
    let leads = leader.unwrap_or("nobody");
    let answers = said.iter().any(|(_, read)| read.is_ok());
    // Where nobody answers nobody knows how many there are.
    let records = if answers {
        format!(", {most} records")
    } else {
        String::new()
    };
    let mut lines = vec![format!("{domain}: {leads} leads{records}")];
    for (node, read) in said {
        let fills = match known(*node, said) {
            Some(seat) if seat.sits == "fills" => ", being filled",
            _ => "",
        };
        lines.push(match read {
            Ok(status) if status.records == most => {
                let names = names(status, *node, said);
                format!("  {}  {node}  up to date{fills}{names}", status.node)
            }
            Ok(status) => format!(
                "  {}  {node}  {} records behind{fills}{}",
                status.node,
                most - status.records,
                names(status, *node, said)
            ),
            Err(outage) => {
                let label = called(*node, said).unwrap_or("?");
                format!("  {label}  {node}  silent: {outage}")
            }
        });
    }
    let newest = said.iter().filter_map(|(_, read)| read.as_ref().ok());
    let newest = newest.max_by_key(|status| status.records);
    let rules = newest.iter().flat_map(|status| &status.caa);
    lines.extend(rules.map(|rule| format!("  CAA  {rule}")));
    lines.extend(newest.and_then(mirrors));
    let asks = newest.iter().flat_map(|status| &status.nodes);
    lines.extend(asks.filter(|node| node.sits == "asks").map(|node| {
        format!(
            "  {0}  {1}  asks for a seat: \"spokes council seat {0}\" gives it one",
            node.label, node.api
        )
    }));
    lines
}

/// What there is to say of a node's names in DNS: nothing where it publishes what the others do, or nearly.
fn names(status: &CouncilStatusWire, node: SocketAddr, said: &[StatusSaid]) -> String {
    let all = said.iter().filter_map(|(_, read)| read.as_ref().ok());
    let serials: Vec<u32> = all.filter_map(|status| status.serial).collect();
    let Some(mine) = status.serial else {
        return match serials.as_slice() {
            [] => String::new(),
            _ => format!(", answers no DNS: http://{node}/healthz says why"),
        };
    };
    // RFC 1982: what is further than half of all numbers is behind.
    let ahead = serials.iter().map(|theirs| theirs.wrapping_sub(mine));
    let behind = ahead.filter(|ahead| *ahead <= u32::MAX / 2).max();
    match behind.unwrap_or(0) {
        0..=VERSIONS_ON_THEIR_WAY => String::new(),
        behind => format!(", its names are {behind} versions behind"),
    }
}

/// Versions between nodes that are asked one after the other.
const VERSIONS_ON_THEIR_WAY: u32 = 20;

/// "2 mirrors, 1 not well"; none where there are none.
fn mirrors(status: &CouncilStatusWire) -> Option<String> {
    let all = status.mirrors.len();
    let mirrors = if all == 1 { "mirror" } else { "mirrors" };
    let well = status
        .mirrors
        .iter()
        .filter(|mirror| mirror.down_since.is_none());
    let unwell = match all - well.count() {
        0 if all == 1 => "well".to_owned(),
        0 => "all well".to_owned(),
        unwell => format!("{unwell} not well"),
    };
    (all > 0).then(|| format!("  {all} {mirrors}, {unwell}"))
}

/// Why nothing can be changed where nobody leads, and what to do.
pub(super) fn nobody_leads(said: &[StatusSaid]) -> Outage {
    let answer = said.iter().filter(|(_, read)| read.is_ok()).count();
    let safe = "What was registered is safe, and blogs go on";
    if answer > said.len() / 2 {
        return Outage::new(format!(
            "{answer} of {} nodes answer and nobody leads them so far: they are choosing, which takes some seconds. \
             Nothing can be registered or changed until then. {safe}. Ask again; if it stays so, the nodes do not reach \
             one another: their logs say who does not answer whom",
            said.len()
        ));
    }
    Outage::new(format!(
        "{answer} of {} nodes answer, and a majority is needed: nothing can be registered or changed now. {safe}. Start \
         the nodes that are silent; if most of them are gone for good, \"spokes council recover\" founds the council anew \
         on one that holds the registry",
        said.len()
    ))
}

/// What the others know of a node.
fn known(node: SocketAddr, said: &[StatusSaid]) -> Option<&NodeWire> {
    let nodes = said.iter().filter_map(|(_, read)| read.as_ref().ok());
    let node = node.to_string();
    let mut seated = nodes.flat_map(|status| &status.nodes);
    seated.find(|known| matches!(known.sits.as_str(), "sits" | "fills") && known.api == node)
}

/// What a silent node is called: the others know.
pub(super) fn called(node: SocketAddr, said: &[StatusSaid]) -> Option<&str> {
    known(node, said).map(|known| known.label.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::places::MirrorWire;

    /// How three nodes stand of which the first `answer` do, and a fourth that asks or is filled.
    fn shown(answer: usize, fourth: &str) -> String {
        let api = |n: usize| format!("192.0.2.{n}:80");
        let node = |n: usize, sits: &str| NodeWire {
            label: format!("council{n}"),
            number: n as u64,
            api: api(n),
            dns: api(n),
            key: String::new(),
            peer: String::new(),
            sits: sits.into(),
        };
        let nodes: Vec<_> = (1..=4)
            .map(|n| node(n, if n == 4 { fourth } else { "sits" }))
            .collect();
        let seats = if fourth == "asks" { 3 } else { 4 };
        let said = (1..=seats).map(|n| {
            let status = CouncilStatusWire {
                node: format!("council{n}"),
                domain: "blogs.example".into(),
                network: String::new(),
                leader: None,
                term: 1,
                records: if n == 4 { 2 } else { 7 },
                confirmed: false,
                blogs: 0,
                nodes: nodes.clone(),
                serial: [Some(100), None, Some(70), Some(99)][n - 1],
                mirrors: ["oak", "ash"]
                    .map(|label| MirrorWire {
                        label: label.into(),
                        address: "192.0.2.53:53".into(),
                        down_since: (label == "ash").then(|| "since".into()),
                    })
                    .to_vec(),
                caa: vec!["issue letsencrypt.org".into()],
            };
            let silent = || Outage::new(format!("{} does not answer", api(n)));
            let read = if n <= answer || n == 4 {
                Ok(status)
            } else {
                Err(silent())
            };
            (api(n).parse().unwrap(), read)
        });
        let said: Vec<_> = said.collect();
        let mut lines = status_lines("blogs.example", &said, None, 7);
        lines.push(nobody_leads(&said).to_string());
        lines.join("\n")
    }

    #[test]
    fn who_looks_at_the_council_reads_what_to_do() {
        let all = shown(3, "asks");
        for part in [
            "council1  192.0.2.1:80  up to date\n",
            "council2  192.0.2.2:80  up to date, answers no DNS: http://192.0.2.2:80/healthz says why\n",
            "council3  192.0.2.3:80  up to date, its names are 30 versions behind\n",
            "  CAA  issue letsencrypt.org\n",
            "  2 mirrors, 1 not well\n",
            "council4  192.0.2.4:80  asks for a seat: \"spokes council seat council4\" gives it one\n",
            "3 of 3 nodes answer and nobody leads them so far",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert!(!all.contains("recover"), "nothing is lost: {all}");
        let nobody = status_lines("blogs.example", &[], None, 0);
        assert_eq!(nobody, ["blogs.example: nobody leads"]);
        let one = shown(1, "asks");
        for part in [
            "council3  192.0.2.3:80  silent: 192.0.2.3:80 does not answer\n",
            "1 of 3 nodes answer, and a majority is needed",
            "\"spokes council recover\"",
        ] {
            assert!(one.contains(part), "{part}: {one}");
        }
        let filled = shown(2, "fills");
        assert!(
            filled.contains("council4  192.0.2.4:80  5 records behind, being filled\n"),
            "{filled}"
        );
    }
}
