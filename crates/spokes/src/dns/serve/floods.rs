//! Who asks too much, and who holds seats.

use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::io::AsyncWriteExt as _;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::tests::{ADA, HOME, PATIENCE, ask_tcp, connect, framed, start, start_at};
use super::*;
use crate::dns::testing::{request, told, with_option};

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
