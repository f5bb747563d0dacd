use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::dns::testing::{addresses, request, told, zone};

pub(super) const ADA: &str = "A ada.blogs.example.org";
/// Long enough for a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a port of its own; it ends when dropped.
pub(super) struct Running {
    pub(super) addr: SocketAddr,
    editions: Editions,
    pub(super) keys: Keys,
    zone: SharedZone,
    _stop: oneshot::Sender<()>,
}

pub(super) async fn start(change: impl FnOnce(&mut Limits)) -> Running {
    let home = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    start_at(home, |server| change(&mut server.desk.limits)).await
}

pub(super) async fn start_at(at: SocketAddr, change: impl FnOnce(&mut Server)) -> Running {
    let editions = Editions::new(crate::dns::testing::APEX).unwrap();
    editions.replace(zone(), None);
    let zone = editions.zone();
    let keys = Keys::default();
    let mut server = Server::bind(at, editions.clone(), keys.clone()).unwrap();
    change(&mut server);
    let addr = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.run(async move { drop(stopped.await) }));
    Running {
        addr,
        editions,
        keys,
        zone,
        _stop: stop,
    }
}

pub(super) async fn ask_udp(addr: SocketAddr, words: &str) -> String {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.send_to(&request(words), addr).await.unwrap();
    let mut reply = [0; 2000];
    let length = timeout(PATIENCE, socket.recv(&mut reply))
        .await
        .unwrap()
        .unwrap();
    told(&reply[..length])
}

pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes()[..], message].concat()
}

pub(super) async fn read_reply(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = timeout(PATIENCE, stream.read_u16())
        .await
        .expect("a reply or an end")?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

pub(super) async fn ask_tcp(stream: &mut TcpStream, words: &str) -> io::Result<String> {
    stream.write_all(&framed(&request(words))).await?;
    Ok(told(&read_reply(stream).await?))
}

pub(super) async fn connect(addr: SocketAddr, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    socket.connect(addr).await.unwrap()
}

pub(super) const HOME: [u8; 4] = [127, 0, 0, 1];
const AWAY: [u8; 4] = [127, 0, 0, 2];

#[tokio::test]
async fn answers_datagrams_and_streams_on_one_port() {
    let server = start(|_| {}).await;
    let said = ask_udp(server.addr, ADA).await;
    assert!(
        said.starts_with("NOERROR aa | ada.blogs.example.org A | "),
        "{said}"
    );
    let said = ask_udp(server.addr, "TXT longer.blogs.example.org edns=1232").await;
    assert!(said.starts_with("NOERROR aa tc | "), "{said}");

    let mut stream = connect(server.addr, HOME).await;
    let said = ask_tcp(&mut stream, "TXT longer.blogs.example.org")
        .await
        .unwrap();
    assert!(said.len() > 1300, "{said}");
    let said = ask_tcp(&mut stream, "A nobody.blogs.example.org")
        .await
        .unwrap();
    assert!(said.starts_with("NXDOMAIN aa"), "{said}");
}

#[tokio::test]
async fn a_change_is_answered_at_once_while_the_server_runs() {
    let server = start(|_| {}).await;
    let question = "A new.blogs.example.org";
    assert!(ask_udp(server.addr, question).await.starts_with("NXDOMAIN"));
    server
        .zone
        .write()
        .set("new.blogs.example.org", addresses(&[9]))
        .unwrap();
    assert!(ask_udp(server.addr, question).await.ends_with("192.0.2.9"));
}

#[tokio::test]
async fn every_address_comes_first_though_types_alternate() {
    let server = start(|_| {}).await;
    let mut firsts = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let said = ask_udp(server.addr, ADA).await;
        firsts.insert(said.split(" | ").nth(2).unwrap().to_owned());
        ask_udp(server.addr, "AAAA ada.blogs.example.org").await;
    }
    assert_eq!(firsts.len(), 2);
}

#[tokio::test]
async fn silence_for_what_is_no_request_and_the_next_is_answered() {
    let server = start(|_| {}).await;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.send_to(b"short", server.addr).await.unwrap();
    socket.send_to(&[0x80; 40], server.addr).await.unwrap();
    socket.send_to(&[0; 9000], server.addr).await.unwrap();
    socket.send_to(&request(ADA), server.addr).await.unwrap();
    let mut reply = [0; 2000];
    let mut said = Vec::new();
    for _ in 0..2 {
        let length = timeout(PATIENCE, socket.recv(&mut reply))
            .await
            .unwrap()
            .unwrap();
        said.push(told(&reply[..length]).split(' ').next().unwrap().to_owned());
    }
    assert_eq!(said, ["FORMERR", "NOERROR"]);
}

#[tokio::test]
async fn many_requests_in_one_go_are_answered_in_order() {
    let server = start(|_| {}).await;
    let (mut read, mut write) = connect(server.addr, HOME).await.into_split();
    // Over two megabytes of replies: far more than is ever held.
    let count = 2000u16;
    let sending = tokio::spawn(async move {
        for id in 0..count {
            let mut message = request("TXT longer.blogs.example.org");
            message[..2].copy_from_slice(&id.to_be_bytes());
            write.write_all(&framed(&message)).await.unwrap();
        }
        write
    });
    for id in 0..count {
        let length = timeout(PATIENCE, read.read_u16()).await.unwrap().unwrap();
        let mut reply = vec![0; usize::from(length)];
        read.read_exact(&mut reply).await.unwrap();
        assert_eq!(reply[..2], id.to_be_bytes());
    }
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let server = start(|_| {}).await;
    let mut stream = connect(server.addr, HOME).await;
    stream.set_nodelay(true).unwrap();
    for byte in framed(&request(ADA)) {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(told(&read_reply(&mut stream).await.unwrap()).starts_with("NOERROR aa"));
}

/// Whether a server has closed a connection; it does so without being asked.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let end = timeout(PATIENCE, stream.read(&mut [0; 10])).await;
    matches!(end.expect("the connection ends"), Ok(0) | Err(_))
}

#[tokio::test]
async fn one_client_gets_so_many_connections_and_the_next_takes_the_one_that_stood_still() {
    let server = start(|limits| limits.connections_per_client = 2).await;
    let mut first = connect(server.addr, HOME).await;
    assert!(ask_tcp(&mut first, ADA).await.is_ok());
    let mut second = connect(server.addr, HOME).await;
    let mut other = connect(server.addr, AWAY).await;
    assert!(ask_tcp(&mut other, ADA).await.is_ok());
    assert!(ask_tcp(&mut second, ADA).await.is_ok());
    assert!(ask_tcp(&mut first, ADA).await.is_ok());
    let mut third = connect(server.addr, HOME).await;
    assert!(ask_tcp(&mut third, ADA).await.is_ok());
    assert!(is_closed(&mut second).await, "it stood still longest");
    for stays in [&mut first, &mut other, &mut third] {
        assert!(ask_tcp(stays, ADA).await.is_ok());
    }
}

#[tokio::test]
async fn a_full_house_has_a_seat_for_whoever_comes_and_datagrams_do_not_need_one() {
    let server = start(|limits| limits.connections = 2).await;
    let mut first = connect(server.addr, HOME).await;
    let mut second = connect(server.addr, AWAY).await;
    assert!(ask_tcp(&mut first, ADA).await.is_ok());
    assert!(ask_tcp(&mut second, ADA).await.is_ok());
    assert!(ask_udp(server.addr, ADA).await.starts_with("NOERROR"));
    let mut third = connect(server.addr, [127, 0, 0, 3]).await;
    assert!(ask_tcp(&mut third, ADA).await.is_ok());
    assert!(is_closed(&mut first).await);
    assert!(ask_tcp(&mut second, ADA).await.is_ok());
}

#[tokio::test]
async fn what_comes_before_nonsense_is_answered() {
    let server = start(|_| {}).await;
    let mut stream = connect(server.addr, HOME).await;
    let mut answered = request(ADA);
    answered[2] |= 0x80;
    let all = [
        framed(&request(ADA)),
        framed(&request(ADA)),
        framed(&answered),
    ];
    stream.write_all(&all.concat()).await.unwrap();
    for _ in 0..2 {
        assert!(told(&read_reply(&mut stream).await.unwrap()).starts_with("NOERROR aa"));
    }
    assert!(is_closed(&mut stream).await);
}

#[tokio::test]
async fn a_silent_connection_ends() {
    let server = start(|limits| limits.idle = Duration::from_millis(300)).await;
    let mut stream = connect(server.addr, HOME).await;
    let begun = Instant::now();
    for _ in 0..4 {
        assert!(ask_tcp(&mut stream, ADA).await.is_ok());
        sleep(Duration::from_millis(100)).await;
    }
    assert!(read_reply(&mut stream).await.is_err());
    assert!(
        begun.elapsed() >= Duration::from_millis(600),
        "each request gives new time"
    );
}

#[tokio::test]
async fn a_request_that_drips_ends_though_it_never_pauses_long() {
    let server = start(|limits| {
        (limits.read, limits.idle) = (Duration::from_millis(300), 2 * PATIENCE);
    })
    .await;
    let (mut read, mut write) = connect(server.addr, HOME).await.into_split();
    let dripping = tokio::spawn(async move {
        while write.write_all(&[3]).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    let end = timeout(PATIENCE, read.read(&mut [0; 10]))
        .await
        .expect("the connection ends");
    assert!(matches!(end, Ok(0) | Err(_)));
    timeout(PATIENCE, dripping).await.unwrap().unwrap();
}

#[tokio::test]
async fn who_asks_and_does_not_read_is_cut_off_and_delays_nobody() {
    let server = start(|limits| limits.write = Duration::from_millis(500)).await;
    let mut greedy = connect(server.addr, HOME).await;
    let question = framed(&request("TXT longer.blogs.example.org")).repeat(100);
    let flooding = tokio::spawn(async move { while greedy.write_all(&question).await.is_ok() {} });
    for _ in 0..50 {
        assert!(ask_udp(server.addr, ADA).await.starts_with("NOERROR"));
        assert!(
            ask_tcp(&mut connect(server.addr, HOME).await, ADA)
                .await
                .is_ok()
        );
    }
    timeout(PATIENCE, flooding)
        .await
        .expect("the flood is cut off")
        .unwrap();
}

#[tokio::test]
async fn a_request_has_a_longest_length() {
    let server = start(|_| {}).await;
    let mut stream = connect(server.addr, HOME).await;
    stream
        .write_all(&framed(&[0; REQUEST_BYTES_MAX]))
        .await
        .unwrap();
    assert_eq!(told(&read_reply(&mut stream).await.unwrap()), "FORMERR");
    stream
        .write_all(&framed(&[0; REQUEST_BYTES_MAX + 1]))
        .await
        .unwrap();
    assert!(read_reply(&mut stream).await.is_err());
    // And what is no request at all ends the connection too.
    let mut stream = connect(server.addr, HOME).await;
    stream.write_all(&[0, 0]).await.unwrap();
    assert!(read_reply(&mut stream).await.is_err());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let server = start(|_| {}).await;
    let said = Server::bind(server.addr, server.editions.clone(), Keys::default()).unwrap_err();
    let port = server.addr.port();
    assert_eq!(said.kind(), io::ErrorKind::AddrInUse);
    let text = format!("Cannot answer DNS on port {port} (UDP) of 127.0.0.1: another program");
    assert!(said.to_string().starts_with(&text), "{said}");
}

#[tokio::test]
async fn shutting_down_frees_the_port() {
    let Running {
        addr,
        editions,
        _stop: stop,
        ..
    } = start(|_| {}).await;
    drop(stop);
    let again = async {
        while Server::bind(addr, editions.clone(), Keys::default()).is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, again).await.unwrap();
}

pub(super) mod transfers {
    use domain::base::iana::{Rcode, Rtype, TsigRcode};
    use domain::base::{Message, MessageBuilder, Name, Serial, Ttl};
    use domain::rdata::tsig::Time48;
    use domain::rdata::{AllRecordData, Soa};
    use domain::tsig::{Algorithm, ClientSequence, Key};

    use super::*;
    use crate::clock;
    use crate::dns::signed::MirrorKey;
    use crate::dns::testing::{APEX, soa};
    use spokes_rules::zone::{Data, Node, RrSet};

    const KEY: &str = "m1.council1.blogs.example.org";

    fn now() -> Time48 {
        Time48::from_u64(u64::try_from(clock::now().as_unix()).unwrap())
    }

    fn key(name: &str, secret: &[u8]) -> Key {
        Key::new(Algorithm::Sha256, secret, name.parse().unwrap(), None, None).unwrap()
    }

    fn serial(serial: u32) -> (String, Node) {
        let mut soa = soa();
        soa.serial = serial;
        let data = vec![Data::Soa(soa)];
        (APEX.to_owned(), vec![RrSet { ttl: 3600, data }])
    }

    /// A server that shares a secret with one mirror, at version 1 with these names.
    pub(in crate::dns::serve) async fn mirrored(
        dir: &std::path::Path,
        names: usize,
        change: impl FnOnce(&mut Limits),
    ) -> Running {
        let server = start(change).await;
        let mut zone = Zone::new(APEX).unwrap();
        let (owner, node) = serial(1);
        zone.set(&owner, node).unwrap();
        for n in 0..names {
            zone.set(&format!("n{n}.{APEX}"), addresses(&[1, 2]))
                .unwrap();
        }
        server.editions.replace(zone, Some((dir.to_owned(), 1)));
        server
            .keys
            .set([MirrorKey::new("m1", KEY, b"secret").unwrap()]);
        server
    }

    /// Asks as a mirror does, by a key; what came, each message's signature checked, or the refusal.
    async fn transfer(
        addr: SocketAddr,
        rtype: Rtype,
        known: Option<u32>,
        key: Key,
    ) -> Result<Vec<String>, (Rcode, TsigRcode)> {
        let apex: Name<Vec<u8>> = APEX.parse().unwrap();
        let mut builder = MessageBuilder::new_vec().question();
        builder.header_mut().set_id(7);
        builder.push((&apex, rtype)).unwrap();
        let mut builder = builder.authority();
        if let Some(known) = known {
            let ttl = Ttl::ZERO;
            let soa = Soa::new(&apex, &apex, Serial(known), ttl, ttl, ttl, ttl);
            builder.push((&apex, 0, soa)).unwrap();
        }
        let mut builder = builder.additional();
        let mut sequence = ClientSequence::request(key, &mut builder, now()).unwrap();
        let mut stream = connect(addr, HOME).await;
        stream.write_all(&framed(&builder.finish())).await.unwrap();
        let mut records = Vec::new();
        loop {
            let reply = read_reply(&mut stream).await.unwrap();
            let mut message = Message::from_octets(reply).unwrap();
            if message.header().rcode() != Rcode::NOERROR {
                let tsig = message.additional().unwrap();
                let mut tsig = tsig.limit_to::<domain::rdata::Tsig<_, _>>();
                let error = tsig
                    .next()
                    .map_or(TsigRcode::NOERROR, |tsig| tsig.unwrap().data().error());
                return Err((message.header().rcode(), error));
            }
            sequence.answer(&mut message, now()).unwrap();
            assert_eq!((message.header().id(), message.header().aa()), (7, true));
            for record in message.answer().unwrap().limit_to::<AllRecordData<_, _>>() {
                records.push(record.unwrap().to_string());
            }
            let soas = records
                .iter()
                .filter(|record| record.contains(" SOA "))
                .count();
            let is_over = match known {
                None => soas == 2,
                Some(_) => {
                    soas == 1 && records.len() == 1 || soas > 1 && records.first() == records.last()
                }
            };
            if is_over {
                sequence.done().unwrap();
                return Ok(records);
            }
        }
    }

    /// How many records there are in the whole zone, as the mirror gets it.
    pub(in crate::dns::serve) async fn all(addr: SocketAddr) -> usize {
        let all = transfer(addr, Rtype::AXFR, None, key(KEY, b"secret")).await;
        all.unwrap().len()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_mirror_gets_all_and_then_what_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let server = mirrored(dir.path(), 3_000, |_| {}).await;
        let ask = |rtype, known| transfer(server.addr, rtype, known, key(KEY, b"secret"));
        let all = ask(Rtype::AXFR, None).await.unwrap();
        assert_eq!(all.len(), 3_000 * 4 + 2);
        assert_eq!(all.first(), all.last());
        assert_eq!(
            ask(Rtype::IXFR, Some(1)).await.unwrap().len(),
            1,
            "it has all there is"
        );
        assert_eq!(
            ask(Rtype::IXFR, Some(9)).await.unwrap().len(),
            1,
            "it is ahead"
        );
        for version in 2..4u32 {
            let n1 = (format!("n1.{APEX}"), addresses(&[version as u8]));
            server.editions.publish(version, vec![n1, serial(version)]);
        }
        let changes = ask(Rtype::IXFR, Some(1)).await.unwrap();
        // The version now, and twice: the old one, what went, the new one, what came; the version now.
        assert_eq!(
            changes.len(),
            1 + (1 + 2 + 1) + (1 + 2 + 1 + 2) + 1,
            "{changes:#?}"
        );
        let senseless = ask(Rtype::IXFR, None).await.unwrap_err();
        assert_eq!(senseless.0, Rcode::FORMERR, "it does not say since when");
        let unknown = ask(Rtype::IXFR, Some(u32::MAX - 5)).await.unwrap();
        assert_eq!(unknown.len(), 3_000 * 4 + 2 - 2, "all of it");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_is_no_mirror_gets_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let server = mirrored(dir.path(), 1, |_| {}).await;
        let ask = |name, secret| transfer(server.addr, Rtype::AXFR, None, key(name, secret));
        let bad = ask(KEY, b"another").await.unwrap_err();
        assert_eq!(bad, (Rcode::NOTAUTH, TsigRcode::BADSIG));
        let unknown = ask("m2.council1.blogs.example.org", b"secret")
            .await
            .unwrap_err();
        assert_eq!(unknown, (Rcode::NOTAUTH, TsigRcode::BADKEY));
        let mut stream = connect(server.addr, HOME).await;
        let said = ask_tcp(&mut stream, "AXFR blogs.example.org")
            .await
            .unwrap();
        assert!(said.starts_with("REFUSED"), "{said}");
        server.keys.set([]);
        let gone = ask(KEY, b"secret").await.unwrap_err();
        assert_eq!(
            gone,
            (Rcode::NOTAUTH, TsigRcode::BADKEY),
            "its secret has ended"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_a_version_a_mirror_is_asked_to_come_later() {
        let server = start(|_| {}).await;
        server
            .keys
            .set([MirrorKey::new("m1", KEY, b"secret").unwrap()]);
        let said = transfer(server.addr, Rtype::AXFR, None, key(KEY, b"secret")).await;
        assert_eq!(said.unwrap_err().0, Rcode::SERVFAIL);
    }
}
