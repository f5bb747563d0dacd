//! What should stand about a network at the registrar of the domain above it: who answers for its names, and by which
//! key they are signed. Nobody can write it there but its organizers, so they read it whenever it changes. All commands
//! print the same list: two that differ would have one of them taken for the whole.

use std::{net::IpAddr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use spokes_log::time::Time;
use spokes_rules::{
    dnssec::{Signs, ZoneKey, wire},
    keyset::KeySet,
};

use crate::{
    clock,
    council::Door,
    wire::{
        places::{CouncilStatusWire, MirrorWire, NodeWire},
        zone_keys::ZoneKeysWire,
    },
};

/// How often a node is asked again that has not heard of a record so far.
const ASKS: u32 = 20;
/// The pause before that.
const AGAIN: Duration = Duration::from_millis(250);
/// Signatures count from so long before they are made on: clocks of resolvers differ.
pub(super) const COUNTED_BEFORE: i64 = 60 * 60;

/// A name server: its name and its address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) ip: IpAddr,
}

impl Server {
    /// A node of the council, by its number among all that ever stood.
    pub(super) fn of_council(domain: &str, number: u64, ip: IpAddr) -> Self {
        let name = format!("ns{number}.{domain}");
        Self { name, ip }
    }

    pub(super) fn of_mirror(domain: &str, label: &str, ip: IpAddr) -> Self {
        let name = format!("{label}.ns.{domain}");
        Self { name, ip }
    }
}

/// Whether an organizer's key may be named at the registrar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// It may.
    Due,
    /// Not before every name is signed: else who validates finds some of them no more.
    NamesFirst,
    /// Not before all resolvers know it.
    From(Time),
}

/// All that belongs at the registrar.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) domain: String,
    pub(super) servers: Vec<Server>,
    pub(super) mirrors: Vec<Server>,
    /// Mirrors that do not answer with what was published.
    pub(super) unwell: Vec<Server>,
    /// Organizers' keys; none where the zone is not signed, or where that is not known.
    pub(super) keys: Vec<(ZoneKey, Phase)>,
}

impl Parent {
    /// As the council has it behind so many records: a node that is still to be filled included. None where no node
    /// tells.
    pub(super) async fn behind(door: &Door, records: u64) -> Option<(Self, CouncilStatusWire)> {
        for _ in 0..ASKS {
            let status = door.get::<CouncilStatusWire>("/api/v1/registry/status");
            match status.await {
                Ok(status) if status.records >= records => {
                    let keys = door.get::<ZoneKeysWire>("/api/v1/registry/zone-keys");
                    let parent = Self::new(door.domain(), &status, &keys.await.ok()?);
                    return Some((parent, status));
                }
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
        None
    }

    pub(super) fn new(domain: &str, status: &CouncilStatusWire, keys: &ZoneKeysWire) -> Self {
        let (well, unwell) = mirrors(domain, &status.mirrors);
        let set = keys.set.as_deref().and_then(|set| KeySet::read(set).ok());
        Self {
            domain: domain.to_owned(),
            servers: sitting(domain, &status.nodes),
            mirrors: well,
            unwell,
            keys: set.map_or(Vec::new(), |set| phases(&set, keys.unsigned, clock::now())),
        }
    }

    /// The list, and below it what belongs there later.
    pub(super) fn lines(&self) -> Vec<String> {
        let domain = &self.domain;
        let all: Vec<Server> = self.servers.iter().chain(&self.mirrors).cloned().collect();
        let mut lines = lines(domain, &all);
        let of = |due: fn(Phase) -> bool| self.keys.iter().filter(move |(_, phase)| due(*phase));
        let due: Vec<_> = of(|phase| phase == Phase::Due).collect();
        lines.extend(due.iter().flat_map(|(key, _)| ds_lines(domain, *key)));
        if self.keys.is_empty() {
            lines.push("No DS record: the zone is not signed.".to_owned());
        }
        let mut waiting = of(|phase| phase == Phase::NamesFirst).peekable();
        if waiting.peek().is_some() {
            lines.push(
                "Some names are still to be signed, which goes on by itself. Once \"spokes council dnssec status\" says \
                 that every name is signed, this belongs there as well, and no other DS record; one that stands there \
                 already stays:"
                    .to_owned(),
            );
            lines.extend(waiting.flat_map(|(key, _)| ds_lines(domain, *key)));
        }
        for (key, phase) in &self.keys {
            let Phase::From(from) = phase else { continue };
            lines.push(format!(
                "Not before {from}, when all resolvers know the key, this may be added beside it:"
            ));
            lines.extend(ds_lines(domain, *key));
        }
        if self.keys.len() > 1 {
            lines.push(
                "Each of several DS records may stay, one for each organizer. One whose key is to go may be taken away \
                 there as soon as the other one stands there, and not before; a day later \"spokes council dnssec finish\" \
                 takes its key out of the zone."
                    .to_owned(),
            );
        }
        if !self.unwell.is_empty() {
            lines.push(
                "These mirrors do not answer with what was published. They belong there once \"spokes council mirror \
                 list\" says that they have the last version, and may stay where they stand there already:"
                    .to_owned(),
            );
            lines.extend(self::lines(domain, &self.unwell));
        }
        lines
    }
}

/// The lines of name servers.
pub(super) fn lines(domain: &str, servers: &[Server]) -> Vec<String> {
    let ns = servers
        .iter()
        .map(|server| format!("  {domain}.      NS    {}.", server.name));
    let addresses = servers.iter().map(|Server { name, ip }| {
        let kind = if ip.is_ipv4() { "A   " } else { "AAAA" };
        format!("  {name}.  {kind}  {ip}")
    });
    ns.chain(addresses).collect()
}

/// The DS record of a key, as registrars want it (RFC 4034 section 5.3).
pub(super) fn ds(domain: &str, key: ZoneKey) -> String {
    let tag = key.tag(Signs::Keys);
    format!("{domain}. IN DS {tag} 13 2 {}", digest(domain, key))
}

/// The same in all the forms in which registrars ask for it.
pub(super) fn ds_lines(domain: &str, key: ZoneKey) -> Vec<String> {
    vec![
        format!("  {}", ds(domain, key)),
        format!(
            "    in a web form: key tag {}, algorithm 13 (ECDSAP256SHA256), digest type 2 (SHA-256), digest {}",
            key.tag(Signs::Keys),
            digest(domain, key)
        ),
        format!(
            "    or, where the key is asked for: {}",
            dnskey(domain, key)
        ),
    ]
}

/// An organizer's key itself (RFC 4034 section 2.2), from which some registrars make the DS record.
pub(super) fn dnskey(domain: &str, key: ZoneKey) -> String {
    format!(
        "{domain}. IN DNSKEY 257 3 13 {}",
        BASE64.encode(key.bytes())
    )
}

fn digest(domain: &str, key: ZoneKey) -> String {
    let data = key.ds(&wire(domain));
    let digest = data.iter().skip(4);
    digest.map(|byte| format!("{byte:02X}")).collect()
}

/// When the set was signed by this key; none where it was not. Later than the key was shown first, if organizers have
/// signed again since: the set does not tell that.
pub(super) fn signed_at(set: &KeySet, key: ZoneKey) -> Option<Time> {
    let tag = key.tag(Signs::Keys);
    let windows = set.windows.iter().filter(|window| window.tag == tag);
    let first = windows.map(|window| window.from).min()?;
    Some(first + COUNTED_BEFORE)
}

/// From when on all resolvers know what was shown at a time.
pub(super) fn known(set: &KeySet, shown: Time) -> Time {
    shown + 2 * i64::from(set.ttl)
}

/// Organizers' keys that are to be named at the registrar, and how far each is. The first one was there before the
/// others, so it is what the registrar knows.
fn phases(set: &KeySet, unsigned: Option<u64>, now: Time) -> Vec<(ZoneKey, Phase)> {
    let stay = set.top.iter().filter(|top| top.stays).map(|top| top.key);
    let phase = |(at, key): (usize, ZoneKey)| {
        let known = signed_at(set, key).map(|shown| known(set, shown));
        let phase = match known {
            Some(known) if at > 0 && known > now => Phase::From(known),
            _ if unsigned != Some(0) => Phase::NamesFirst,
            _ => Phase::Due,
        };
        (key, phase)
    };
    stay.enumerate().map(phase).collect()
}

fn sitting(domain: &str, nodes: &[NodeWire]) -> Vec<Server> {
    let sits = |node: &&NodeWire| matches!(node.sits.as_str(), "sits" | "fills");
    let nodes = nodes.iter().filter(sits);
    nodes
        .filter_map(|node| {
            let dns: std::net::SocketAddr = node.dns.parse().ok()?;
            Some(Server::of_council(domain, node.number, dns.ip()))
        })
        .collect()
}

/// Those that are well, and the others.
pub(super) fn mirrors(domain: &str, mirrors: &[MirrorWire]) -> (Vec<Server>, Vec<Server>) {
    let server = |mirror: &MirrorWire| {
        let at: std::net::SocketAddr = mirror.address.parse().ok()?;
        Some(Server::of_mirror(domain, &mirror.label, at.ip()))
    };
    let (well, unwell): (Vec<_>, Vec<_>) = mirrors
        .iter()
        .partition(|mirror| mirror.down_since.is_none());
    let servers = |mirrors: Vec<&MirrorWire>| mirrors.into_iter().filter_map(server).collect();
    (servers(well), servers(unwell))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::signer::ZoneSecret;
    use spokes_rules::keyset::{NodeZoneKey, TopKey, Window};

    fn key(seed: u8) -> ZoneKey {
        ZoneSecret::from_seed(&[seed; 32]).unwrap().key()
    }

    fn node(number: u64, sits: &str) -> NodeWire {
        NodeWire {
            label: format!("council{number}"),
            number,
            api: "192.0.2.1:80".into(),
            dns: format!("192.0.2.{number}:53"),
            key: String::new(),
            peer: String::new(),
            sits: sits.into(),
        }
    }

    fn parent(keys: Vec<(ZoneKey, Phase)>) -> Parent {
        let mirror = |label: &str, down: Option<&str>| MirrorWire {
            label: label.into(),
            address: "[2001:db8::4]:53".into(),
            down_since: down.map(str::to_owned),
        };
        let (well, unwell) = mirrors(
            "blogs.example",
            &[mirror("oak", None), mirror("ash", Some("since"))],
        );
        Parent {
            domain: "blogs.example".into(),
            servers: vec![Server::of_council(
                "blogs.example",
                1,
                "192.0.2.1".parse().unwrap(),
            )],
            mirrors: well,
            unwell,
            keys,
        }
    }

    #[test]
    fn the_list_names_servers_mirrors_and_keys() {
        let said = parent(vec![(key(1), Phase::Due)]).lines();
        assert_eq!(
            said[..4],
            [
                "  blogs.example.      NS    ns1.blogs.example.",
                "  blogs.example.      NS    oak.ns.blogs.example.",
                "  ns1.blogs.example.  A     192.0.2.1",
                "  oak.ns.blogs.example.  AAAA  2001:db8::4",
            ]
        );
        let tag = key(1).tag(Signs::Keys);
        assert!(said[4].starts_with(&format!("  blogs.example. IN DS {tag} 13 2 ")));
        assert!(said[5].contains(&format!("key tag {tag}, algorithm 13 (ECDSAP256SHA256)")));
        assert!(said[6].contains("blogs.example. IN DNSKEY 257 3 13 "));
        assert!(said[7].contains("do not answer with what was published"));
        assert!(said[8].ends_with("ash.ns.blogs.example."));
        let unsigned = parent(Vec::new()).lines();
        assert!(unsigned[4].contains("No DS record"), "{unsigned:?}");
        let nodes = [
            node(1, "gone"),
            node(2, "sits"),
            node(3, "fills"),
            node(4, "asks"),
        ];
        let named = sitting("a.example", &nodes);
        let names: Vec<&str> = named.iter().map(|server| server.name.as_str()).collect();
        assert_eq!(names, ["ns2.a.example", "ns3.a.example"]);
    }

    #[test]
    fn a_key_is_named_above_when_all_know_it() {
        let now = Time::from_unix(1_800_000_000);
        let top = |seed| TopKey {
            key: key(seed),
            stays: true,
        };
        let window = |seed| Window {
            from: now - COUNTED_BEFORE,
            until: now + 60,
            tag: key(seed).tag(Signs::Keys),
            signatures: [spokes_rules::dnssec::ZoneSignature::from_bytes([0; 64]); 3],
        };
        let set = KeySet {
            ttl: 30,
            top: vec![top(1), top(2)],
            nodes: vec![NodeZoneKey {
                node: spokes_rules::node::Label::parse("council1").unwrap(),
                key: key(3),
                signs: true,
            }],
            windows: vec![window(1), window(2)],
        };
        let of = |unsigned, now| {
            phases(&set, unsigned, now)
                .into_iter()
                .map(|(_, phase)| phase)
        };
        let all: Vec<_> = of(Some(0), now).collect();
        assert_eq!(all, [Phase::Due, Phase::From(now + 60)]);
        let all: Vec<_> = of(Some(0), now + 60).collect();
        assert_eq!(all, [Phase::Due, Phase::Due]);
        let all: Vec<_> = of(None, now + 60).collect();
        assert_eq!(all, [Phase::NamesFirst, Phase::NamesFirst]);
        let lines = parent(phases(&set, Some(0), now)).lines().join("\n");
        for part in [
            &format!("Not before {}", now + 60),
            "may be taken away there as soon as the other one stands there",
        ] {
            assert!(lines.contains(part), "{part}: {lines}");
        }
    }
}
