//! What a council's name server does with a stranger's bytes, by datagram and by stream, and what must hold of its
//! replies (SPEC dns 4).
//!
//! `crates/spokes/src/dns/fuzz.rs` takes this file in as a module and feeds it the seeds, so that the ordinary tests
//! cover the same without the fuzzer.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use domain::{
    base::{
        Message,
        iana::{Opcode, OptRcode, OptionCode, Rtype},
        name::ToLabelIter as _,
        opt::UnknownOptData,
    },
    rdata::AllRecordData,
};
use spokes::dns::{
    cookie::CookieSecret,
    edition::Editions,
    signed::{Keys, MirrorKey},
    trial::Trial,
    zone::Zone,
};
use spokes_rules::zone::{Data, Node, RrSet, Soa};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The zone's name.
pub const APEX: &str = "blogs.example.org";
/// The key of the only mirror.
pub const KEY: &str = "m1.council1.blogs.example.org";
/// The longest reply to a datagram, and the longest to one without EDNS, in bytes.
const DATAGRAM: (usize, usize) = (1232, 512);
/// Answers a second: so few that the mutations of one seed reach the limit.
const RATE: u32 = 2;
/// When it is, in seconds since 1970.
pub const NOW: u64 = 1_559_731_985;
/// What the server may write before it is read: more than all replies to a stream of this length.
const PIPE_BYTES: usize = 1 << 22;

/// A server with a small zone.
pub struct Server {
    trial: Trial,
    runtime: tokio::runtime::Runtime,
    turn: u64,
}

impl Default for Server {
    fn default() -> Self {
        let editions = Editions::new(APEX).expect("a name");
        editions.replace(zone(), None);
        let keys = Keys::default();
        keys.set(MirrorKey::new("m1", KEY, b"a secret"));
        let cookies = CookieSecret::of_node(&[7; 32]);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Self {
            trial: Trial::new(editions, keys, cookies, RATE),
            runtime: runtime.enable_time().build().expect("a runtime"),
            turn: 0,
        }
    }
}

fn zone() -> Zone {
    let mut zone = Zone::new(APEX).expect("a name");
    let mut put = |owner: &str, sets: Vec<Vec<Data>>| {
        let sets = sets.into_iter().map(|data| RrSet { ttl: 30, data });
        zone.set(owner, sets.collect::<Node>()).expect("a node");
    };
    let v4 = |last| Data::A(Ipv4Addr::new(192, 0, 2, last));
    let v6 = |last| Data::Aaaa(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
    let soa = Soa {
        primary: format!("ns1.{APEX}"),
        mailbox: format!("hostmaster.{APEX}"),
        serial: 7,
        refresh: 60,
        retry: 30,
        expire: 604_800,
        minimum: 10,
    };
    let ns = vec![
        Data::Ns(format!("ns1.{APEX}")),
        Data::Ns("ns.example.net".into()),
    ];
    let apex = vec![
        vec![Data::Soa(soa)],
        ns,
        (0..8).map(v4).collect(),
        (0..8).map(v6).collect(),
    ];
    put(APEX, apex);
    put(
        &format!("ada.{APEX}"),
        vec![(1..3).map(v4).collect(), (1..3).map(v6).collect()],
    );
    put(&format!("edit.maria.{APEX}"), vec![vec![v4(4)]]);
    put(
        &format!("long.{APEX}"),
        vec![vec![Data::Txt("x".repeat(1_100))]],
    );
    put(
        &format!("longer.{APEX}"),
        vec![vec![Data::Txt("x".repeat(9_000))]],
    );
    zone
}

impl Server {
    /// The first byte says by which way the others come, and from whom.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some((way, rest)) = bytes.split_first() else {
            return;
        };
        match way % 4 {
            0 => self.stream(rest),
            1 => self.datagram(rest, Ipv4Addr::new(192, 0, 2, *way).into()),
            2 => self.datagram(rest, Ipv4Addr::new(198, 51, *way, 1).into()),
            _ => self.datagram(
                rest,
                Ipv6Addr::new(0x2001, 0xdb8, u16::from(*way), 0, 0, 0, 0, 1).into(),
            ),
        }
    }

    fn datagram(&mut self, request: &[u8], client: IpAddr) {
        self.turn += 1;
        let running = Duration::from_millis(self.turn);
        let Some(reply) = self.trial.datagram(request, client, NOW, running) else {
            return;
        };
        let reply = reply.to_vec();
        check(request, &reply);
        let has_edns = Message::from_octets(request).is_ok_and(|message| message.opt().is_some());
        let most = if has_edns { DATAGRAM.0 } else { DATAGRAM.1 };
        assert!(reply.len() <= most, "{} bytes", reply.len());
        let again = self.trial.datagram(&reply, client, NOW, running);
        assert!(again.is_none(), "a reply is answered");
    }

    fn stream(&mut self, bytes: &[u8]) {
        let (mut client, server) = tokio::io::duplex(PIPE_BYTES);
        let replies = self.runtime.block_on(async {
            let talk = async {
                // A server that has heard enough closes its end.
                let _unheard = client.write_all(bytes).await;
                let _closed = client.shutdown().await;
                let mut replies = Vec::new();
                client.read_to_end(&mut replies).await.expect("a pipe");
                replies
            };
            tokio::join!(self.trial.stream(server), talk).1
        });
        let (mut requests, mut replies) = (Messages(bytes), Messages(&replies));
        for reply in replies.by_ref() {
            let request = requests.next().expect("no more replies than requests");
            check(request, reply);
        }
        assert!(replies.0.is_empty(), "a reply is cut off");
    }
}

/// The messages of a stream, each behind its length (RFC 1035 section 4.2.2); what is left is no whole one.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (message, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        self.0 = rest;
        Some(message)
    }
}

/// What holds of every reply.
fn check(request: &[u8], reply: &[u8]) {
    assert!(request.len() >= 12 && request[2] & 0x80 == 0, "no request");
    let message = Message::from_octets(reply).expect("a message");
    let header = message.header();
    assert_eq!(reply[..2], request[..2], "the id comes back");
    assert!(header.qr() && !header.ra() && !header.z() && !header.ad());
    assert_eq!(
        reply[2] & 0x79,
        request[2] & 0x79,
        "opcode and RD come back"
    );
    let counts = message.header_counts();
    assert!(counts.qdcount() <= 1);
    if let Some(question) = message.first_question() {
        assert!(!question.qname().is_compressed(), "as it was asked");
        let end = 12 + usize::from(question.qname().compose_len()) + 4;
        assert_eq!(reply[12..end], request[12..end], "the question comes back");
    }
    let opt = message.opt();
    let rcode = opt
        .as_ref()
        .map_or(header.rcode().into(), |opt| opt.rcode(header));
    let (_, answer, authority, additional) = message.sections().expect("whole sections");
    let mut records = 0;
    for section in [answer, authority] {
        for record in section.limit_to::<AllRecordData<_, _>>() {
            record.expect("a record");
            records += 1;
        }
    }
    let is_query = header.opcode() == Opcode::QUERY;
    assert!(records == 0 || is_query && header.aa() && !header.tc());
    let is_good = matches!(rcode, OptRcode::NOERROR | OptRcode::NXDOMAIN);
    assert!(!is_good || is_query, "{rcode} for {}", header.opcode());
    for record in additional {
        let record = record.expect("a record");
        assert!(
            matches!(record.rtype(), Rtype::OPT | Rtype::TSIG),
            "replies are minimal"
        );
    }
    if let Some(opt) = opt {
        assert_eq!((opt.version(), opt.udp_payload_size()), (0, 1232));
        let options: Vec<_> = opt.opt().iter::<UnknownOptData<_>>().collect();
        assert!(options.len() <= 1);
        for option in options {
            let option = option.expect("an option");
            assert_eq!(option.code(), OptionCode::COOKIE);
            assert_eq!(option.as_slice().len(), 24);
        }
    }
}
