//! Floods against the council's DNS: what is no question, what is in somebody else's name, and who sits and waits.
//! Everybody else is answered all the while, and the node's memory stays what it was (SPEC dns 4).

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use common::{Random, demo::Demo, wait_for};

/// How long an honest client may wait for its answer, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much larger a node may be after a flood, in KiB: buffers that were never used before.
const GROWTH_KIB: u64 = 24 * 1024;
/// Answers a second, and at once, of one network of clients (SPEC dns 4.6).
const RATE: (u64, u64) = (1_000, 4_000);

#[test]
fn floods_drown_nobody() {
    let demo = Demo::start_with(1, &["--empty"]);
    let at = SocketAddr::from(([127, 0, 1, 1], demo.dns_port));
    let before = anonymous_kib(&demo);
    datagrams_that_are_no_questions(&demo, at);
    questions_in_somebody_elses_name(&demo, at);
    streams_that_sit_and_wait(&demo, at);
    let after = anonymous_kib(&demo);
    eprintln!("anonymous memory: {before} KiB before, {after} KiB after");
    assert!(
        after < before + GROWTH_KIB,
        "from {before} KiB to {after} KiB"
    );
    demo.assert_no_panic();
}

/// The memory of the node that is flooded, without what it shares with its file.
fn anonymous_kib(demo: &Demo) -> u64 {
    let pid = demo.node("council1").pid;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.unwrap().split_whitespace().next().unwrap();
    kib.parse().unwrap()
}

/// A question for A.
fn question(id: u16, name: &str) -> Vec<u8> {
    let mut bytes = [&id.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// A socket at one of this machine's many addresses of its own.
fn socket(from: [u8; 4]) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::from(from), 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// What has come by now.
fn replies(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut reply = [0; 2_000];
    loop {
        match socket.recv(&mut reply) {
            Ok(length) => all.push(reply[..length].to_vec()),
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => return all,
            Err(cause) => panic!("{cause}"),
        }
    }
}

/// An honest client that asks again until it is answered, as clients do; how long that took.
fn honest(at: SocketAddr, from: [u8; 4]) -> Duration {
    let socket = UdpSocket::bind((Ipv4Addr::from(from), 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let (began, asked) = (Instant::now(), question(0xBEEF, "blogs.localhost"));
    while began.elapsed() < PATIENCE {
        socket.send_to(&asked, at).unwrap();
        let mut reply = [0; 2_000];
        let Ok(length) = socket.recv(&mut reply) else {
            continue;
        };
        let answers = u16::from_be_bytes([reply[6], reply[7]]);
        assert_eq!((&reply[..2], reply[3] & 15), (&[0xBE, 0xEF][..], 0));
        assert!(
            length > asked.len() && answers > 0,
            "an answer with records"
        );
        return began.elapsed();
    }
    panic!("{from:?} got no answer within {PATIENCE:?}");
}

/// Asks by a stream; the reply.
fn by_stream(at: SocketAddr, asked: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect_timeout(&at, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = u16::try_from(asked.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], asked].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    reply
}

/// One datagram that nobody should send, and the codes that it may get; none where it gets silence.
fn odd(turn: u16, random: &mut Random) -> (&'static str, Vec<u8>, &'static [u8]) {
    let mut bytes = question(turn, "blogs.localhost");
    match turn % 8 {
        0 => {
            bytes.truncate(random.below(12));
            ("shorter than a header", bytes, &[])
        }
        1 => {
            let end = 12 + random.below(bytes.len() - 12);
            bytes.truncate(end);
            ("truncated", bytes, &[1])
        }
        2 => {
            bytes.truncate(12);
            let at = u8::try_from(12 + random.below(4)).unwrap();
            bytes.extend([1, b'a', 0xC0, at, 0, 1, 0, 1]);
            ("a loop", bytes, &[1])
        }
        3 => {
            bytes.resize(600 + random.below(8_000), 0xAA);
            ("oversized", bytes, &[1])
        }
        4 => {
            let opcode = [1, 2, 3, 6, 9, 15][random.below(6)];
            bytes[2] = opcode << 3;
            ("an unknown opcode", bytes, &[4])
        }
        5 => {
            bytes[2] |= 0x80;
            ("an answer", bytes, &[])
        }
        6 => {
            // More records than there are.
            bytes[7] = u8::try_from(1 + random.below(255)).unwrap();
            ("records that are not there", bytes, &[1])
        }
        _ => {
            for byte in &mut bytes[12..] {
                *byte = u8::try_from(random.below(256)).unwrap();
            }
            bytes[5] = u8::try_from(2 + random.below(200)).unwrap();
            ("noise with many questions", bytes, &[1])
        }
    }
}

fn datagrams_that_are_no_questions(demo: &Demo, at: SocketAddr) {
    let mut random = Random::new(5);
    let flood: Vec<_> = (0..200).map(|n| socket([127, 40, n, 1])).collect();
    let mut sent = BTreeMap::new();
    let mut answered = BTreeMap::new();
    let mut hear = |flood: &[UdpSocket], sent: &BTreeMap<u16, (&'static str, &'static [u8])>| {
        for reply in flood.iter().flat_map(replies) {
            let id = u16::from_be_bytes([reply[0], reply[1]]);
            let (kind, codes) = sent[&id];
            assert!(
                reply[2] & 0x80 != 0 && codes.contains(&(reply[3] & 15)),
                "{kind}: {reply:?}"
            );
            assert!(reply.len() <= 512, "{kind}");
            *answered.entry(kind).or_insert(0) += 1;
        }
    };
    for turn in 0..24_000u16 {
        let (kind, bytes, codes) = odd(turn, &mut random);
        let from = &flood[usize::from(turn) % flood.len()];
        // What this machine cannot send at once is not sent.
        let _full = from.send_to(&bytes, at);
        sent.insert(turn, (kind, codes));
        if turn % 2_000 == 1_999 {
            hear(&flood, &sent);
            let _took = honest(at, [127, 41, 0, 1]);
        }
    }
    thread::sleep(Duration::from_millis(300));
    hear(&flood, &sent);
    let silent = ["shorter than a header", "an answer"];
    for (kind, _) in sent.values() {
        assert_eq!(
            answered.contains_key(kind),
            !silent.contains(kind),
            "{kind}"
        );
    }
    let said = demo.dig(&["+short", "+tries=3", "blogs.localhost", "SOA"]);
    assert!(said.starts_with("ns1.blogs.localhost."), "{said}");
}

fn questions_in_somebody_elses_name(demo: &Demo, at: SocketAddr) {
    // The network in whose name it comes, and many others that ask once.
    let victim: Vec<_> = (1..21).map(|n| socket([127, 66, 6, n])).collect();
    let others: Vec<_> = (0..200).map(|n| socket([127, 67, n, 1])).collect();
    let asked = question(1, "blogs.localhost");
    let began = Instant::now();
    let (mut sent, mut got) = (0u64, 0u64);
    let (mut whole, mut brief) = (0u64, 0u64);
    let mut hear = |victim: &[UdpSocket]| {
        for reply in victim.iter().flat_map(replies) {
            got += reply.len() as u64;
            match (reply[2] & 2, u16::from_be_bytes([reply[6], reply[7]])) {
                (0, 1..) => whole += 1,
                (2, 0) => brief += 1,
                _ => panic!("{reply:?}"),
            }
        }
    };
    for turn in 0..30_000usize {
        if victim[turn % victim.len()].send_to(&asked, at).is_ok() {
            sent += asked.len() as u64;
        }
        if turn % 100 == 0 {
            hear(&victim);
            let _full = others[turn / 100 % others.len()].send_to(&asked, at);
        }
        if turn % 5_000 == 4_999 {
            let _took = honest(at, [127, 68, 0, 1]);
        }
    }
    thread::sleep(Duration::from_millis(300));
    hear(&victim);
    let most = RATE.1 + RATE.0 * (began.elapsed().as_secs() + 1);
    assert!(
        whole > 100 && whole <= most,
        "{whole} whole answers of {most}"
    );
    assert!(brief > 100, "{brief} of {whole} were sent on");
    eprintln!("{sent} bytes sent, {got} came back: {whole} whole, {brief} brief");
    // Who lives there is answered by a stream, and by datagram with a cookie.
    let reply = by_stream(at, &asked);
    assert!(reply[2] & 2 == 0 && reply[7] > 0, "{reply:?}");
    let said = demo.dig(&[
        "-b",
        "127.66.6.99",
        "+cookie",
        "+tries=8",
        "+time=1",
        "blogs.localhost",
        "A",
    ]);
    assert!(
        said.contains("status: NOERROR") && said.contains("(good)"),
        "{said}"
    );
    assert!(
        others
            .iter()
            .flat_map(replies)
            .all(|reply| reply[7] > 0 && reply[2] & 2 == 0)
    );
}

fn streams_that_sit_and_wait(demo: &Demo, at: SocketAddr) {
    let asked = question(7, "blogs.localhost");
    let framed = [
        &u16::try_from(asked.len()).unwrap().to_be_bytes()[..],
        &asked,
    ]
    .concat();
    let much = framed.repeat(400);
    let mut seats = Vec::new();
    for n in 0..600 {
        let Ok(mut stream) = TcpStream::connect_timeout(&at, PATIENCE) else {
            continue;
        };
        stream.set_nonblocking(true).unwrap();
        let _cut_off = match n % 3 {
            0 => Ok(0),
            1 => stream.write(&framed[..n % framed.len()]),
            _ => stream.write(&much),
        };
        seats.push(stream);
        if n % 100 == 99 {
            let reply = by_stream(at, &asked);
            assert!(reply[7] > 0, "{reply:?}");
            let _took = honest(at, [127, 69, 0, 1]);
        }
    }
    // Those that say nothing are let go.
    wait_for("a silent connection ends", Duration::from_secs(30), || {
        matches!(seats[0].read(&mut [0; 10]), Ok(0)).then_some(())
    });
    let said = demo.dig(&["+tcp", "+short", "blogs.localhost", "A"]);
    assert_eq!(said.trim(), "127.0.2.1");
}
