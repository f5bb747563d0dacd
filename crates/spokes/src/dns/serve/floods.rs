//! Who asks too much, and who holds seats.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::UdpSocket;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use super::tests::{ADA, HOME, PATIENCE, ask_tcp, connect, framed, start, start_at};
use super::*;
use crate::dns::seats::Seats;
use crate::dns::streams::converse;
use crate::dns::testing::{APEX, request, told, with_option, zone};

async fn ask(socket: &UdpSocket, server: SocketAddr, request: &[u8]) -> Vec<u8> {
    socket.send_to(request, server).await.unwrap();
    let mut reply = vec![0; 2_000];
    let received = timeout(PATIENCE, socket.recv_from(&mut reply)).await;
    let (length, from) = received.unwrap().unwrap();
    assert_eq!(from, server, "it leaves from where the question came to");
    reply.truncate(length);
    reply
}

/// A server at any address that gives each network so many answers.
async fn limited(rate: u32) -> SocketAddr {
    let home = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = start_at(home, |server| {
        let door = Door::new(CookieSecret::of_node(&[7; 32]), rate);
        server.desk.door = Arc::new(door);
    });
    let server = server.await;
    let addr = server.addr;
    // It ends with the test's runtime.
    std::mem::forget(server);
    addr
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_the_way_leads_to_a_stream_or_by_a_cookie() {
    // Four at once, and then one a second.
    let server = limited(1).await;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let question = request("A ada.blogs.example.org edns=1232");
    let with_cookie = |cookie: &[u8]| with_option(question.clone(), 10, cookie);
    let first = ask(&socket, server, &with_cookie(b"a client")).await;
    assert!(told(&first).ends_with(" cookie"), "{}", told(&first));
    let good = with_cookie(&first[first.len() - 24..]);

    let (mut whole, mut brief, mut back) = (0, 0, 0);
    for turn in 0..40 {
        let stranger = with_cookie(b"stranger");
        let asked = [&question, &stranger][turn / 2 % 2];
        socket.send_to(asked, server).await.unwrap();
        // Whoever has been here is answered all the while.
        let said = loop {
            let said = told(&ask(&socket, server, &good).await);
            match said.split(" | ").next().unwrap() {
                "NOERROR aa" if said.ends_with(" cookie") => break said,
                "NOERROR aa" => whole += 1,
                "NOERROR tc" => brief += 1,
                "BADCOOKIE" => back += 1,
                _ => panic!("{said}"),
            }
        };
        assert!(said.contains("192.0.2.1"), "{said}");
    }
    assert!((1..10).contains(&whole), "{whole}");
    assert!(brief > 2 && back > 2, "{brief} brief, {back} back");
    let mut stream = connect(server, HOME).await;
    let said = ask_tcp(&mut stream, ADA).await.unwrap();
    assert!(said.starts_with("NOERROR aa | "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_leaves_from_the_address_to_which_its_question_came() {
    let check = async |at: IpAddr, asked: &[IpAddr]| {
        let server = start_at(SocketAddr::new(at, 0), |_| {}).await;
        for ip in asked {
            let home = match ip {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            };
            let socket = UdpSocket::bind((home, 0)).await.unwrap();
            let to = SocketAddr::new(*ip, server.addr.port());
            // Several, so that what was used before is used again.
            for _ in 0..3 {
                let said = told(&ask(&socket, to, &request(ADA)).await);
                assert!(said.starts_with("NOERROR aa"), "{said}");
            }
        }
    };
    let v4 = [[127, 0, 0, 1], [127, 0, 0, 9], [127, 1, 2, 3]].map(IpAddr::from);
    check(Ipv4Addr::UNSPECIFIED.into(), &v4).await;
    check([127, 0, 0, 9].into(), &v4[1..2]).await;
    // Not every machine has IPv6.
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
        let both = [v4[1], Ipv6Addr::LOCALHOST.into()];
        check(Ipv6Addr::UNSPECIFIED.into(), &both).await;
    }
}

/// More than a batch at once: each gets its own answer.
#[tokio::test(flavor = "multi_thread")]
async fn many_datagrams_at_once_each_get_theirs() {
    let server = start(|_| {}).await;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    for turn in 0..10u16 {
        let names = ["ada", "nobody", "edit.maria", "long"];
        for n in 0..100 {
            let name = names[usize::from(n) % 4];
            let mut bytes = request(&format!("A {name}.blogs.example.org"));
            bytes[..2].copy_from_slice(&(turn * 100 + n).to_be_bytes());
            socket.send_to(&bytes, server.addr).await.unwrap();
        }
        for _ in 0..100 {
            let mut reply = [0; 2_000];
            let received = timeout(PATIENCE, socket.recv(&mut reply)).await;
            let reply = &reply[..received.unwrap().unwrap()];
            let n = u16::from_be_bytes([reply[0], reply[1]]) - turn * 100;
            let name = names[usize::from(n) % 4];
            let asked = format!(" | {name}.blogs.example.org A | ");
            assert!(told(reply).contains(&asked), "{}", told(reply));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_sit_and_wait_keep_no_mirror_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = tests::transfers::mirrored(dir.path(), 2_000, |limits| {
        (limits.connections, limits.connections_per_client) = (12, 12);
    });
    let server = server.await;
    let mut strangers = Vec::new();
    for n in 0..12 {
        let mut stream = connect(server.addr, [127, 0, 0, 20 + n]).await;
        match n % 3 {
            // Says nothing.
            0 => {}
            // Half a request.
            1 => stream.write_all(&framed(&request(ADA))[..9]).await.unwrap(),
            // Asks much and reads nothing.
            _ => {
                let all = framed(&request("ANY n1.blogs.example.org")).repeat(40_000);
                drop(timeout(Duration::from_millis(200), stream.write_all(&all)).await);
            }
        }
        strangers.push(stream);
    }
    let all = tests::transfers::all(server.addr).await;
    assert_eq!(all, 2_000 * 4 + 2);
    let mut stream = connect(server.addr, HOME).await;
    let said = ask_tcp(&mut stream, "A n1.blogs.example.org").await;
    assert!(said.unwrap().starts_with("NOERROR aa"));
}

/// A client that always has something to ask, and takes whatever it is sent.
struct Endless {
    asked: Vec<u8>,
    at: usize,
    answered: Arc<AtomicU64>,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let end = self.asked.len().min(self.at + buffer.remaining());
        buffer.put_slice(&self.asked[self.at..end]);
        self.at = end % self.asked.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answered
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// On one thread, so that whoever never waits would be the only one.
#[tokio::test]
async fn who_asks_without_end_lets_others_have_their_turn() {
    let editions = Editions::new(APEX).unwrap();
    editions.replace(zone(), None);
    let secret = CookieSecret::of_node(&[7; 32]);
    let desk = Desk::new(editions, Keys::default(), secret, 0);
    let answered = Arc::new(AtomicU64::new(0));
    // Short requests, so that very many fit what is read at once.
    let stream = Endless {
        asked: framed(&request("A .")).repeat(1_000),
        at: 0,
        answered: Arc::clone(&answered),
    };
    let asking = tokio::spawn(async move {
        let client = IpAddr::from([192, 0, 2, 66]);
        let seat = Seats::take(&Arc::default(), client, &desk.limits, Instant::now()).unwrap();
        converse(stream, client, &seat, &desk).await
    });
    let mut before = 0;
    for _ in 0..100 {
        yield_now().await;
        let now = answered.load(Ordering::Relaxed);
        // Refusals of a short question, with their lengths; at most two turns between ours.
        let (most, turn) = (2 * 64 * 20, now - before);
        assert!(turn <= most, "{turn} bytes in one turn");
        before = now;
    }
    assert!(before > 0);
    asking.abort();
}

/// The test has but one thread, and keeps it.
#[tokio::test]
async fn streams_are_answered_while_all_else_stands_still() {
    let server = start(|_| {}).await;
    // It has begun.
    let said = ask_tcp(&mut connect(server.addr, HOME).await, ADA).await;
    assert!(said.unwrap().starts_with("NOERROR"));
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&framed(&request(ADA))).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    assert!(told(&reply).starts_with("NOERROR"));
}
