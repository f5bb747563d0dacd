//! The keys of a signed zone, as its apex shows them.

use spokes::dns::signer::ZoneSecret;
use spokes_rules::{
    dnssec::{Cover, Signs, wire},
    zone::{Data, Node, RrSet},
};

const DNSKEY: u16 = 48;
const CDS: u16 = 59;
const CDNSKEY: u16 = 60;
const RRSIG: u16 = 46;

/// What an apex holds of them: each of the `top` keys, which sign keys, has signed. With it go a time to live, and from
/// when until when the signatures count.
pub(crate) fn signed(
    apex: &str,
    top: &[ZoneSecret],
    nodes: &[ZoneSecret],
    (ttl, (inception, expiration)): (u32, (u32, u32)),
) -> Node {
    let apex = wire(apex);
    let of_top = || top.iter().map(|top| top.key().dnskey(Signs::Keys));
    let of_nodes = nodes.iter().map(|node| node.key().dnskey(Signs::Zone));
    let sets: [(u16, Vec<Vec<u8>>); 3] = [
        (DNSKEY, of_top().chain(of_nodes).collect()),
        (CDS, top.iter().map(|top| top.key().ds(&apex)).collect()),
        (CDNSKEY, of_top().collect()),
    ];
    let (mut node, mut signatures) = (Node::new(), Vec::new());
    for (rtype, records) in sets {
        for top in top {
            let cover = Cover {
                rtype,
                ttl,
                inception,
                expiration,
                tag: top.key().tag(Signs::Keys),
                apex: &apex,
            };
            let bytes = cover.signed(&apex, records.iter().map(Vec::as_slice));
            let mut data = cover.rrsig(&apex);
            data.extend(top.sign(&bytes).unwrap().bytes());
            signatures.push(Data::Other { rtype: RRSIG, data });
        }
        let data = records.into_iter().map(|data| Data::Other { rtype, data });
        let data = data.collect();
        node.push(RrSet { ttl, data });
    }
    let data = signatures;
    node.push(RrSet { ttl, data });
    node
}
