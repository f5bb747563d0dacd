//! Whole stories: a reader, the gateway, the council's DNS and three spokes.

use std::sync::Arc;

use domain::base::iana::Rcode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::gateway::fakes::{Conduct, Dns, Says, Spokes, addresses, answer_forever, read_head};
use Conduct::{Answers, Babbles, Fails, Refuses, Resets, Silent, Swallows, Thinks};

const DOMAIN: &str = "blogs.localhost";
const MARIA: &str = "maria.blogs.localhost";

/// Short, so that silence is a matter of a moment; long enough for a busy machine.
const LIMITS: Limits = Limits {
    connections_max: CONNECTIONS_MAX,
    quiet: QUIET_SPAN,
    patience: Patience {
        answer: Duration::from_millis(500),
        long_answer: Duration::from_millis(1_500),
    },
};

/// Longer than a page may take, shorter than a long poll.
const THINKS: Conduct = Thinks(Duration::from_millis(900));

/// A gateway that runs until dropped.
struct Running {
    at: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<()>,
}

impl Running {
    async fn start(resolver: Resolver) -> Self {
        Self::limited(resolver, LIMITS).await
    }

    async fn limited(resolver: Resolver, limits: Limits) -> Self {
        let gateway = Gateway::limited(DOMAIN, resolver, limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(gateway.run(listener, async move {
            stopped.await.ok();
        }));
        Self {
            at,
            stop: Some(stop),
            ended,
        }
    }

    /// Sends text, and reads until the gateway closes.
    async fn send(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Refused early, the rest of a request may meet a reset: what was read counts.
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8(answer).unwrap()
    }

    /// Sends a request line and says briefly what came: status, then the body or its title.
    async fn ask(&self, line: &str, more: &str) -> String {
        let answer = self
            .send(&format!(
                "{line} HTTP/1.1\r\nHost: {MARIA}:8080\r\nConnection: close\r\n{more}"
            ))
            .await;
        brief(&answer)
    }

    async fn get(&self) -> String {
        self.ask("GET /", "\r\n").await
    }
}

fn brief(answer: &str) -> String {
    let status = answer.split(' ').nth(1).unwrap_or("nothing");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let title = body
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"));
    format!("{status} {}", title.map_or(body, |(title, _)| title))
}

/// A gateway before spokes, found in the order of the letters.
async fn network(conducts: &[Conduct], order: &str) -> (Running, Spokes, Dns) {
    let spokes = Spokes::start(conducts).await;
    let dns = Dns::start(Says::addresses(addresses(order), 30)).await;
    let resolver = Resolver::Dns {
        servers: vec![dns.at],
        upstream_port: spokes.port,
    };
    (Running::start(resolver).await, spokes, dns)
}

/// One request to spokes that behave so, asked in this order; expected are the answer, and after
/// it the letters of the spokes that got the request.
async fn check(conducts: [Conduct; 3], order: &str, line: &str, more: &str, expected: &str) {
    let (gateway, spokes, _dns) = network(&conducts, order).await;
    let answer = gateway.ask(line, more).await;
    assert_eq!(format!("{answer} | {}", spokes.asked()), expected, "{line}");
}

const NO_BODY: &str = "\r\n";
const BODY: &str = "Content-Length: 5\r\n\r\nhello";

#[tokio::test]
async fn spokes_are_taken_in_the_order_answered() {
    check([Answers; 3], "abc", "GET /", NO_BODY, "200 a | a").await;
    check([Answers; 3], "cab", "GET /", NO_BODY, "200 c | c").await;
}

#[tokio::test]
async fn the_next_one_answers_for_a_bad_one() {
    check(
        [Refuses, Answers, Answers],
        "abc",
        "GET /",
        NO_BODY,
        "200 b | b",
    )
    .await;
    check(
        [Resets, Answers, Answers],
        "abc",
        "GET /",
        NO_BODY,
        "200 b | ab",
    )
    .await;
    check(
        [Silent, Answers, Answers],
        "abc",
        "GET /",
        NO_BODY,
        "200 b | ab",
    )
    .await;
    check(
        [Babbles, Answers, Answers],
        "abc",
        "GET /",
        NO_BODY,
        "200 b | ab",
    )
    .await;
    check(
        [Swallows, Answers, Answers],
        "abc",
        "GET /",
        NO_BODY,
        "200 b | b",
    )
    .await;
    check(
        [Refuses, Silent, Answers],
        "abc",
        "HEAD /",
        NO_BODY,
        "200  | bc",
    )
    .await;
    check(
        [Resets, Resets, Answers],
        "abc",
        "OPTIONS /api/v1/network",
        NO_BODY,
        "200 c | abc",
    )
    .await;
}

#[tokio::test]
async fn an_error_of_a_spoke_is_its_answer() {
    check(
        [Fails, Answers, Answers],
        "abc",
        "GET /",
        NO_BODY,
        "503 a | a",
    )
    .await;
}

#[tokio::test]
async fn when_none_answers_the_gateway_says_so() {
    check(
        [Refuses, Silent, Resets],
        "abc",
        "GET /",
        NO_BODY,
        "502 No spoke answers | bc",
    )
    .await;
}

#[tokio::test]
async fn programs_are_told_as_programs() {
    let (gateway, _spokes, _dns) = network(&[Refuses], "a").await;
    let answer = gateway.ask("GET /api/v1/network", NO_BODY).await;
    assert!(answer.starts_with("502 {\""), "{answer}");
    assert!(answer.contains(r#""title":"No spoke answers""#), "{answer}");
}

#[tokio::test]
async fn what_may_change_something_is_never_sent_twice() {
    let unknown = "502 Sent, but not answered | b";
    for line in ["POST /x", "PUT /x", "DELETE /x", "GET /"] {
        check([Refuses, Answers, Answers], "abc", line, BODY, "200 b | b").await;
        check([Swallows, Resets, Answers], "abc", line, BODY, unknown).await;
    }
    check([Refuses, Silent, Answers], "abc", "POST /x", BODY, unknown).await;
    check([Refuses, Babbles, Answers], "abc", "POST /x", BODY, unknown).await;
    check(
        [Refuses; 3],
        "abc",
        "POST /x",
        BODY,
        "502 No spoke answers | ",
    )
    .await;
    // Without a body it may change something all the same.
    check(
        [Refuses, Resets, Answers],
        "abc",
        "DELETE /x",
        NO_BODY,
        unknown,
    )
    .await;
}

#[tokio::test]
async fn host_and_path_go_through_and_nothing_of_the_reader() {
    let (gateway, spokes, _dns) = network(&[Answers; 3], "abc").await;
    gateway
        .ask("GET /a%2Fb?q=%C3%A9&x", "X-Mine: 1\r\n\r\n")
        .await;
    let heads = spokes.heads();
    let head = heads[0].to_ascii_lowercase();
    assert!(
        heads[0].starts_with("GET /a%2Fb?q=%C3%A9&x HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("\r\nhost: maria.blogs.localhost:8080\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nx-mine: 1\r\n"), "{head}");
    for unwanted in ["forwarded", "connection", "127.0.0.1"] {
        assert!(!head.contains(unwanted), "{unwanted} in {head}");
    }
}

#[tokio::test]
async fn what_a_spoke_says_for_one_hop_stays_here() {
    let (gateway, _spokes, _dns) = network(&[Answers; 3], "abc").await;
    let answer = gateway.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
    assert!(
        !answer.to_ascii_lowercase().contains("keep-alive"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_connection_to_a_spoke_serves_again() {
    let (gateway, spokes, _dns) = network(&[Answers; 3], "abc").await;
    for _ in 0..5 {
        assert_eq!(gateway.get().await, "200 a");
        // The connection is laid back a moment after the reader has her page.
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        (spokes.asked().as_str(), spokes.connections()),
        ("aaaaa", 1)
    );
    gateway.ask("POST /x", BODY).await;
    assert_eq!(
        spokes.connections(),
        2,
        "what may change something goes on a new connection"
    );
}

#[tokio::test]
async fn a_spoke_that_closed_a_kept_connection_is_asked_again() {
    let dns = Dns::start(Says::addresses(addresses("a"), 30)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream_port = listener.local_addr().unwrap().port();
    // Takes a second request on a connection, and resets instead of answering it.
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                read_head(&mut stream).await.unwrap();
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
                    .await
                    .unwrap();
                read_head(&mut stream).await.ok();
                stream.set_zero_linger().unwrap();
            });
        }
    });
    let gateway = Running::start(Resolver::Dns {
        servers: vec![dns.at],
        upstream_port,
    })
    .await;
    for _ in 0..4 {
        assert_eq!(gateway.get().await, "200 a");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_long_poll_may_last() {
    let feed = "GET /feed?after=x";
    check(
        [THINKS, Answers, Answers],
        "abc",
        feed,
        NO_BODY,
        "200 b | ab",
    )
    .await;
    let poll = "GET /feed?after=x&wait=30";
    check(
        [THINKS, Answers, Answers],
        "abc",
        poll,
        NO_BODY,
        "200 a | a",
    )
    .await;
    check(
        [THINKS, Answers, Answers],
        "abc",
        "POST /x",
        BODY,
        "200 a | a",
    )
    .await;
}

/// More than all buffers between the two sides hold.
const LARGE_BYTES: usize = 32 * 1_024 * 1_024;

#[tokio::test]
async fn a_large_answer_streams() {
    let dns = Dns::start(Says::addresses(addresses("a"), 30)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream_port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Notify::new());
    let begun = Arc::clone(&seen);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE_BYTES}\r\n\r\nx");
        stream.write_all(head.as_bytes()).await.unwrap();
        begun.notified().await;
        stream
            .write_all(&vec![b'y'; LARGE_BYTES - 1])
            .await
            .unwrap();
    });
    let gateway = Running::start(Resolver::Dns {
        servers: vec![dns.at],
        upstream_port,
    })
    .await;
    let mut reader = TcpStream::connect(gateway.at).await.unwrap();
    reader
        .write_all(b"GET / HTTP/1.1\r\nHost: blogs.localhost\r\n\r\n")
        .await
        .unwrap();
    read_head(&mut reader).await.unwrap();
    assert_eq!(
        reader.read_u8().await.unwrap(),
        b'x',
        "before the rest was sent"
    );
    seen.notify_one();
    let mut rest = vec![0; LARGE_BYTES - 1];
    reader.read_exact(&mut rest).await.unwrap();
    assert!(rest.iter().all(|byte| *byte == b'y'));
}

#[tokio::test]
async fn a_large_upload_streams_for_longer_than_the_wait() {
    let dns = Dns::start(Says::addresses(addresses("a"), 30)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream_port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Notify::new());
    let begun = Arc::clone(&seen);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        begun.notify_one();
        let mut rest = vec![0; LARGE_BYTES - 1];
        stream.read_exact(&mut rest).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
    });
    let gateway = Running::start(Resolver::Dns {
        servers: vec![dns.at],
        upstream_port,
    })
    .await;
    let mut author = TcpStream::connect(gateway.at).await.unwrap();
    let head = format!("PUT / HTTP/1.1\r\nHost: {MARIA}\r\nContent-Length: {LARGE_BYTES}\r\n\r\nx");
    author.write_all(head.as_bytes()).await.unwrap();
    seen.notified().await;
    for piece in vec![b'y'; LARGE_BYTES - 1].chunks(LARGE_BYTES / 4) {
        sleep(LIMITS.patience.long_answer / 3).await;
        author.write_all(piece).await.unwrap();
    }
    assert!(
        read_head(&mut author)
            .await
            .unwrap()
            .starts_with("HTTP/1.1 201 ")
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve_gets_a_page_of_ours() {
    let (gateway, spokes, dns) = network(&[Answers; 3], "abc").await;
    dns.now_says(Says::rcode(Rcode::NXDOMAIN));
    assert_eq!(gateway.get().await, "404 No such blog");
    dns.now_says(Says::addresses(Vec::new(), 30));
    assert_eq!(gateway.get().await, "503 No spoke at the moment");
    dns.now_says(Says::rcode(Rcode::SERVFAIL));
    assert_eq!(gateway.get().await, "502 The council does not answer");
    let foreign = gateway
        .send("GET / HTTP/1.0\r\nHost: example.org\r\n\r\n")
        .await;
    assert_eq!(brief(&foreign), "404 Not of this network");
    let twice = gateway
        .send("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")
        .await;
    assert_eq!(brief(&twice), "400 For whom?");
    assert_eq!((spokes.asked().as_str(), dns.asked()), ("", 3));

    dns.now_says(Says::addresses(addresses("b"), 30));
    assert_eq!(
        gateway.get().await,
        "200 b",
        "what was not there is not remembered"
    );
}

#[tokio::test]
async fn a_host_without_a_name_means_the_apex() {
    let (gateway, _spokes, dns) = network(&[Answers; 3], "abc").await;
    for request in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: 127.0.0.1:8080\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: Blogs.localhost\r\n\r\n",
        "GET http://blogs.localhost/ HTTP/1.0\r\nHost: x.example\r\n\r\n",
    ] {
        assert_eq!(brief(&gateway.send(request).await), "200 a", "{request}");
    }
    assert_eq!(dns.asked(), 1, "one name, one question");
}

#[tokio::test]
async fn silent_dns_leaves_the_old_addresses() {
    let (gateway, _spokes, dns) = network(&[Answers; 3], "abc").await;
    dns.now_says(Says::addresses(addresses("b"), 0));
    assert_eq!(gateway.get().await, "200 b");
    dns.now_says(Says::nothing());
    assert_eq!(gateway.get().await, "200 b");
    let asked = dns.asked();
    assert_eq!(gateway.get().await, "200 b");
    assert_eq!(
        dns.asked(),
        asked,
        "silent servers are left alone for a while"
    );
}

#[tokio::test]
async fn the_registry_may_take_the_place_of_dns() {
    let spokes = Spokes::start(&[Refuses, Answers]).await;
    let port = spokes.port;
    let holders: Holders = Arc::new(move |name| match name {
        MARIA => addresses("ab")
            .into_iter()
            .map(|address| (address, port).into())
            .collect(),
        _ => Vec::new(),
    });
    let gateway = Running::start(Resolver::Holders(holders)).await;
    assert_eq!(gateway.get().await, "200 b");
    let apex = gateway.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(brief(&apex), "404 No such blog");
}

#[tokio::test]
async fn a_head_too_large_is_refused() {
    let (gateway, spokes, _dns) = network(&[Answers; 3], "abc").await;
    let field = |bytes: usize| format!("X-Large: {}\r\n\r\n", "x".repeat(bytes));
    assert_eq!(
        gateway.ask("GET /", &field(HEAD_BYTES_MAX - 1_024)).await,
        "200 a"
    );
    assert_eq!(gateway.ask("GET /", &field(HEAD_BYTES_MAX)).await, "431 ");
    assert_eq!(
        gateway.ask("GET /", &field(2 * BUFFER_BYTES_MAX)).await,
        "431 "
    );
    let fields = |count: usize| "X-Many: 1\r\n".repeat(count) + "\r\n";
    assert_eq!(
        gateway.ask("GET /", &fields(HEADERS_MAX - 2)).await,
        "200 a"
    );
    assert_eq!(gateway.ask("GET /", &fields(HEADERS_MAX - 1)).await, "431 ");
    assert_eq!(spokes.asked(), "aa");
}

#[tokio::test]
async fn a_spoke_with_too_large_a_head_is_passed_over() {
    let large = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Large: {}\r\n\r\n",
        "x".repeat(16 * 1_024)
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bad = listener.local_addr().unwrap();
    tokio::spawn(answer_forever(listener, large.leak()));
    let spokes = Spokes::start(&[Answers]).await;
    let good = SocketAddr::from(([127, 0, 0, 1], spokes.port));
    let holders: Holders = Arc::new(move |_| vec![bad, good]);
    let gateway = Running::start(Resolver::Holders(holders)).await;
    assert_eq!(gateway.get().await, "200 a");
}

#[tokio::test]
async fn one_reader_too_many_waits_for_a_place() {
    let spokes = Spokes::start(&[Answers]).await;
    let at = SocketAddr::from(([127, 0, 0, 1], spokes.port));
    let holders: Holders = Arc::new(move |_| vec![at]);
    let gateway = Running::limited(
        Resolver::Holders(holders),
        Limits {
            connections_max: 2,
            ..LIMITS
        },
    )
    .await;
    let mut seated = Vec::new();
    for _ in 0..2 {
        let mut reader = TcpStream::connect(gateway.at).await.unwrap();
        reader
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        read_head(&mut reader).await.unwrap();
        seated.push(reader);
    }
    let waiting = gateway.get();
    tokio::pin!(waiting);
    assert!(
        timeout(Duration::from_millis(200), &mut waiting)
            .await
            .is_err()
    );
    seated.pop();
    assert_eq!(waiting.await, "200 a");
}

#[tokio::test]
async fn a_reader_who_dictates_letter_by_letter_loses_her_place() {
    let spokes = Spokes::start(&[Answers]).await;
    let at = SocketAddr::from(([127, 0, 0, 1], spokes.port));
    let holders: Holders = Arc::new(move |_| vec![at]);
    let quiet = Duration::from_millis(200);
    let gateway = Running::limited(Resolver::Holders(holders), Limits { quiet, ..LIMITS }).await;
    let said = timeout(10 * quiet, gateway.send("GET / HTTP/1.1\r\nHos")).await;
    assert_eq!(said.as_deref().map(brief).as_deref(), Ok("nothing "));
    let at_rest = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let said = timeout(10 * quiet, gateway.send(at_rest)).await;
    assert_eq!(said.as_deref().map(brief).as_deref(), Ok("200 a"));
}

#[tokio::test]
async fn not_more_spokes_are_asked_than_a_slate_holds() {
    let spokes = Spokes::start(&[Resets]).await;
    let at = SocketAddr::from(([127, 0, 0, 1], spokes.port));
    let holders: Holders = Arc::new(move |_| vec![at; 20]);
    let gateway = Running::start(Resolver::Holders(holders)).await;
    assert_eq!(gateway.get().await, "502 No spoke answers");
    assert_eq!(spokes.asked(), "aaaaaaaa");
}

#[tokio::test]
async fn a_request_that_goes_round_is_stopped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let holders: Holders = Arc::new(move |_| vec![at]);
    let gateway = Gateway::with_resolver(DOMAIN, Resolver::Holders(holders));
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(gateway.run(listener, async move {
        stopped.await.ok();
    }));
    let running = Running {
        at,
        stop: Some(stop),
        ended,
    };
    assert_eq!(running.get().await, "508 Going round in a circle");
}

#[tokio::test]
async fn an_answer_on_its_way_ends_before_the_gateway_does() {
    let slow = Thinks(Duration::from_millis(200));
    let (mut gateway, spokes, _dns) = network(&[slow; 3], "abc").await;
    let mut reader = TcpStream::connect(gateway.at).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {MARIA}\r\n\r\n");
    reader.write_all(request.as_bytes()).await.unwrap();
    while spokes.asked().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    gateway.stop.take().unwrap().send(()).unwrap();
    assert!(
        read_head(&mut reader)
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200 ")
    );
    timeout(SHUTDOWN_SPAN, gateway.ended)
        .await
        .unwrap()
        .unwrap();
    assert!(
        TcpStream::connect(gateway.at).await.is_err(),
        "refused at once"
    );
}
