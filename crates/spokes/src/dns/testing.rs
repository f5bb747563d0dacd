//! A small zone, questions written as words, and replies told as words.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use domain::base::iana::{Class, Opcode, OptionCode, Rtype};
use domain::base::opt::UnknownOptData;
use domain::base::{Message, MessageBuilder, Name, Record, Ttl};
use domain::rdata::{A, AllRecordData};

use crate::dns::zone::Zone;
use spokes_rules::dnssec::{Cover, wire};
use spokes_rules::zone::{Data, Node, RrSet, Soa};

pub(crate) const APEX: &str = "blogs.example.org";

/// The id of every request made here.
pub(crate) const ID: u16 = 0x5AFE;

/// One set of TTL 30.
pub(crate) fn set(data: Vec<Data>) -> RrSet {
    RrSet { ttl: 30, data }
}

/// Addresses `192.0.2.x`, and `2001:db8::x` for as many as asked.
pub(crate) fn addresses(last: &[u8]) -> Node {
    let v4 = last
        .iter()
        .map(|n| Data::A(Ipv4Addr::new(192, 0, 2, *n)))
        .collect();
    let v6 = |n: &u8| Data::Aaaa(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(*n)));
    vec![set(v4), set(last.iter().map(v6).collect())]
}

pub(crate) fn soa() -> Soa {
    Soa {
        primary: "ns1.blogs.example.org".to_owned(),
        mailbox: "council.example.org".to_owned(),
        serial: 7,
        refresh: 60,
        retry: 30,
        expire: 604_800,
        minimum: 10,
    }
}

/// What the apex answers.
pub(crate) fn apex() -> Node {
    let ns = [
        "ns1.blogs.example.org",
        "blogs.example.org",
        "ns.example.net",
    ];
    let mut apex = vec![
        RrSet {
            ttl: 3600,
            data: vec![Data::Soa(soa())],
        },
        RrSet {
            ttl: 3600,
            data: ns.map(|name| Data::Ns(name.to_owned())).to_vec(),
        },
        set(vec![Data::Caa {
            flags: 0,
            tag: "issue".to_owned(),
            value: "letsencrypt.org".to_owned(),
        }]),
    ];
    apex.extend(addresses(&[1, 2, 3]));
    apex
}

/// The same with a key, and with what an organizer signed of it.
pub(crate) fn apex_with_key() -> Node {
    let (dnskey, rrsig) = (Rtype::DNSKEY.to_int(), Rtype::RRSIG.to_int());
    let (mut node, owner) = (apex(), wire(APEX));
    let cover = Cover {
        rtype: dnskey,
        ttl: 7200,
        inception: 1,
        expiration: 2,
        tag: 3,
        apex: &owner,
    };
    let signature = [cover.rrsig(&owner), vec![9; 64]].concat();
    let records = [(dnskey, vec![1, 0, 3, 13, 5]), (rrsig, signature)];
    node.extend(records.map(|(rtype, data)| RrSet {
        ttl: 7200,
        data: vec![Data::Other { rtype, data }],
    }));
    node
}

pub(crate) fn zone() -> Zone {
    let mut zone = Zone::new(APEX).unwrap();
    let mut put = |owner: &str, node: Node| zone.set(owner, node).unwrap();
    put(APEX, apex());
    put("ada.blogs.example.org", addresses(&[1, 2]));
    put("edit.maria.blogs.example.org", addresses(&[4]));
    put(
        "_blog.ada.blogs.example.org",
        vec![set(vec![Data::Txt("v=1 blog=sha256:00".to_owned())])],
    );
    put(
        "long.blogs.example.org",
        vec![set(vec![Data::Txt("x".repeat(1100))])],
    );
    put(
        "longer.blogs.example.org",
        vec![set(vec![Data::Txt("x".repeat(1300))])],
    );
    zone
}

/// A request as words: `TYPE NAME` and then perhaps `class=CH`, `opcode=5`, `edns=BYTES`,
/// `version=1`, `do`, `records=N` (others than OPT), `questions=N`, `opts=N`.
pub(crate) fn request(words: &str) -> Vec<u8> {
    let mut words = words.split_whitespace();
    let rtype: Rtype = words.next().unwrap().parse().unwrap();
    let name: Name<Vec<u8>> = words.next().unwrap().parse().unwrap();
    let (mut class, mut opcode, mut edns, mut version) = (Class::IN, 0, None, 0);
    let (mut dnssec_ok, mut records, mut questions, mut opts) = (false, 0, 1, 1);
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "class" => class = value.parse().unwrap(),
            "opcode" => opcode = value.parse().unwrap(),
            "edns" => edns = Some(value.parse().unwrap()),
            "version" => version = value.parse().unwrap(),
            "do" => dnssec_ok = true,
            "records" => records = value.parse().unwrap(),
            "questions" => questions = value.parse().unwrap(),
            "opts" => opts = value.parse().unwrap(),
            other => panic!("no such word: {other}"),
        }
    }
    let mut builder = MessageBuilder::new_vec().question();
    builder.header_mut().set_id(ID);
    builder.header_mut().set_rd(true);
    builder.header_mut().set_opcode(Opcode::from_int(opcode));
    for _ in 0..questions {
        builder.push((&name, rtype, class)).unwrap();
    }
    let mut builder = builder.additional();
    for _ in 0..records {
        builder
            .push(Record::new(
                &name,
                Class::IN,
                Ttl::ZERO,
                A::from_octets(1, 2, 3, 4),
            ))
            .unwrap();
    }
    for _ in 0..edns.map_or(0, |_| opts) {
        builder
            .opt(|opt| {
                opt.set_udp_payload_size(edns.unwrap());
                opt.set_version(version);
                opt.set_dnssec_ok(dnssec_ok);
                Ok(())
            })
            .unwrap();
    }
    builder.finish()
}

/// A request with an option of this code and data in its OPT record, which is the last one.
pub(crate) fn with_option(mut request: Vec<u8>, code: u8, data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len()).unwrap();
    let end = request.len() - 2;
    let options = u16::from_be_bytes([request[end], request[end + 1]]) + 4 + u16::from(length);
    request[end..].copy_from_slice(&options.to_be_bytes());
    request.extend([0, code, 0, length]);
    request.extend(data);
    request
}

/// A reply as words: code, flags, and the records with their sections. Panics when it is not whole.
pub(crate) fn told(reply: &[u8]) -> String {
    let message = Message::from_octets(reply).unwrap();
    let header = message.header();
    assert!(header.qr() && !header.ra() && !header.z() && !header.ad() && !header.cd());
    let opt = message.opt();
    let rcode = opt
        .as_ref()
        .map_or(header.rcode().into(), |opt| opt.rcode(header));
    let mut told = rcode.to_string();
    for (flag, name) in [(header.aa(), " aa"), (header.tc(), " tc")] {
        told += if flag { name } else { "" };
    }
    if let Ok(question) = message.first_question().ok_or(()) {
        write!(told, " | {} {}", question.qname(), question.qtype()).unwrap();
    }
    let (_, answer, authority, additional) = message.sections().unwrap();
    for (section, name) in [(answer, ""), (authority, "authority: ")] {
        for record in section.limit_to::<AllRecordData<_, _>>() {
            let record = record.unwrap();
            let (owner, ttl) = (record.owner(), record.ttl().as_secs());
            write!(told, " | {name}{owner} {ttl} {}", record.rtype()).unwrap();
            for word in record.data().to_string().split(' ') {
                write!(told, " {}", word.trim_end_matches('.')).unwrap();
            }
        }
    }
    let mut end = additional;
    for record in end.by_ref() {
        assert_eq!(record.unwrap().rtype(), Rtype::OPT, "replies are minimal");
    }
    if let Some(opt) = opt {
        let (size, version) = (opt.udp_payload_size(), opt.version());
        let dnssec_ok = if opt.dnssec_ok() { " do" } else { "" };
        write!(told, " | edns {version} {size}{dnssec_ok}").unwrap();
        for option in opt.opt().iter::<UnknownOptData<_>>() {
            assert_eq!(option.unwrap().code(), OptionCode::COOKIE);
            told += " cookie";
        }
    }
    told
}
