//! The sockets: one loop for datagrams, one task for each TCP connection.
//!
//! A datagram is answered where it is received, since an answer costs less than handing it over.
//! A connection may be slow or greedy: it has a task of its own, and `Limits` bound what it holds.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::dns::answer::{Reply, Transport, UDP_ANSWER_BYTES_MAX, answer};
use crate::dns::zone::SharedZone;

/// TCP connections in all. Each holds about 30 KB at most in ordinary use: together a few tens of
/// megabytes, and far from the usual limit of open files.
const CONNECTIONS_MAX: usize = 1000;

/// TCP connections of one client. A resolver needs one or two (RFC 7766 section 6.2.2); behind one
/// address there may be several resolvers.
const CONNECTIONS_PER_CLIENT_MAX: usize = 20;

/// One IPv6 customer holds at least this prefix, and with it as many addresses as she likes.
const CLIENT_IPV6_PREFIX_BITS: u32 = 64;

/// How long a connection may say nothing. RFC 7766 section 6.2.3 wants seconds.
const IDLE_TIME_OUT: Duration = Duration::from_secs(10);

/// From a message's first byte to its last: a request is a packet or two.
const READ_TIME_OUT: Duration = Duration::from_secs(5);

/// How long a client may leave replies lying without reading them.
const WRITE_TIME_OUT: Duration = Duration::from_secs(5);

/// The longest request: a name, four records and some padding. Longer ones were updates or attacks.
const REQUEST_BYTES_MAX: usize = 4096;

/// Replies wait until there are this many bytes, or until all requests received are answered.
/// Bounds what a client can make us hold by asking a lot and reading nothing.
const REPLIES_HELD_BYTES: usize = 16 * 1024;

/// The two bytes before each message of a stream (RFC 7766 section 8).
const LENGTH_BYTES: usize = 2;

/// After an error of a socket, mostly too many open files: trying at once would only spin.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// A port that the system chose for UDP may be taken for TCP. Sixteen times in a row it is not.
const PORT_CHOICES: u32 = 16;

/// The constants above, so that tests need not wait as long.
#[derive(Clone, Copy, Debug)]
struct Limits {
    connections: usize,
    connections_per_client: usize,
    idle: Duration,
    read: Duration,
    write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS_MAX,
            connections_per_client: CONNECTIONS_PER_CLIENT_MAX,
            idle: IDLE_TIME_OUT,
            read: READ_TIME_OUT,
            write: WRITE_TIME_OUT,
        }
    }
}

/// A name server with its sockets bound, ready to run.
#[derive(Debug)]
pub struct Server {
    datagrams: UdpSocket,
    streams: TcpListener,
    desk: Desk,
}

impl Server {
    /// Binds UDP and TCP at `addr`; with port 0 the system chooses one port for both.
    ///
    /// On a machine with several addresses bind each of them: from a socket of "any address" the
    /// system may answer a datagram with another address than was asked.
    ///
    /// # Errors
    /// That of the socket, in a sentence that names the port and what to do.
    pub async fn bind(addr: SocketAddr, zone: SharedZone) -> io::Result<Self> {
        let mut choices = if addr.port() == 0 { PORT_CHOICES } else { 1 };
        loop {
            choices -= 1;
            let datagrams = UdpSocket::bind(addr).await;
            let datagrams = datagrams.map_err(|cause| explain("UDP", addr, &cause))?;
            let both = datagrams.local_addr()?;
            match TcpListener::bind(both).await {
                Ok(streams) => {
                    let desk = Desk {
                        zone,
                        limits: Limits::default(),
                        turns: Arc::default(),
                    };
                    return Ok(Self {
                        datagrams,
                        streams,
                        desk,
                    });
                }
                Err(cause) if choices == 0 => return Err(explain("TCP", both, &cause)),
                Err(_) => {}
            }
        }
    }

    /// Where the server listens.
    ///
    /// # Errors
    /// That of the system; none is known for a bound socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.streams.local_addr()
    }

    /// Answers until `shutdown` is over; then connections are cut, which clients are used to.
    ///
    /// # Panics
    /// When one of its two loops ends, which only a panic in it can cause.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut loops = JoinSet::new();
        loops.spawn(answer_datagrams(self.datagrams, self.desk.clone()));
        loops.spawn(accept_streams(self.streams, self.desk));
        tokio::select! {
            () = shutdown => {}
            ended = loops.join_next() => panic!("a loop without an end ended: {ended:?}"),
        }
    }
}

fn explain(protocol: &str, addr: SocketAddr, cause: &io::Error) -> io::Error {
    let port = addr.port();
    let advice = match cause.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has it. Stop that program, or choose another address or port."
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE."
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address.",
        _ => "see the cause.",
    };
    let ip = addr.ip();
    let text = format!("Cannot answer DNS on port {port} ({protocol}) of {ip}: {advice} ({cause})");
    io::Error::new(cause.kind(), text)
}

/// What every task needs to answer.
#[derive(Clone, Debug)]
struct Desk {
    zone: SharedZone,
    limits: Limits,
    turns: Arc<AtomicU64>,
}

impl Desk {
    fn answer(&self, request: &[u8], transport: Transport, out: &mut Vec<u8>) -> Reply {
        // A writer that panicked did so before it changed anything, or between two whole names:
        // to go on answering beats silence.
        let zone = self.zone.read().unwrap_or_else(PoisonError::into_inner);
        answer(&zone, request, transport, self.rotation(), out)
    }

    /// A number with which addresses take turns.
    ///
    /// Not a bare counter: resolvers ask for A and AAAA in turn, so that with two addresses all A
    /// questions would be even and get the same order. This is the mixer of splitmix64 (Steele,
    /// Lea, Flood 2014).
    fn rotation(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let turn = self.turns.fetch_add(STEP, Ordering::Relaxed);
        let turn = (turn ^ (turn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let turn = (turn ^ (turn >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        turn ^ (turn >> 31)
    }
}

async fn answer_datagrams(socket: UdpSocket, desk: Desk) {
    let transport = Transport::Udp {
        limit: UDP_ANSWER_BYTES_MAX,
    };
    let mut request = [0; REQUEST_BYTES_MAX];
    let mut reply = Vec::with_capacity(usize::from(UDP_ANSWER_BYTES_MAX));
    loop {
        let (length, client) = match socket.recv_from(&mut request).await {
            Ok(received) => received,
            Err(cause) => {
                tracing::warn!(%cause, "no DNS datagram could be received");
                sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        if desk.answer(&request[..length], transport, &mut reply) == Reply::Silence {
            continue;
        }
        // A client that cannot be reached asks again or not; the next one waits.
        if let Err(cause) = socket.send_to(&reply, client).await {
            tracing::debug!(%cause, %client, "a DNS answer could not be sent");
        }
    }
}

async fn accept_streams(listener: TcpListener, desk: Desk) {
    let seats = Arc::new(Seats::default());
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // Without a seat the stream is closed at once, and the client may try another
                // server: better than to let it wait.
                Ok((stream, client)) => {
                    let Some(seat) = Seats::take(&seats, client.ip(), &desk.limits) else {
                        continue;
                    };
                    let desk = desk.clone();
                    conversations.spawn(async move {
                        let ended = converse(stream, &desk).await;
                        tracing::trace!(%client, ?ended, "a DNS connection ended");
                        drop(seat);
                    });
                }
                Err(cause) => {
                    tracing::warn!(%cause, "no DNS connection could be accepted");
                    sleep(PAUSE_AFTER_ERROR).await;
                }
            },
            // Only to forget those that have ended.
            Some(_) = conversations.join_next() => {}
        }
    }
}

/// Who is connected: one count for each client.
#[derive(Debug, Default)]
struct Seats(Mutex<HashMap<IpAddr, usize>>);

/// A connection's place, given back when dropped.
struct Seat {
    seats: Arc<Seats>,
    client: IpAddr,
}

impl Seats {
    fn take(seats: &Arc<Self>, client: IpAddr, limits: &Limits) -> Option<Seat> {
        let client = as_client(client);
        let mut taken = seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_all: usize = taken.values().sum();
        let of_client = taken.get(&client).copied().unwrap_or(0);
        if of_all >= limits.connections || of_client >= limits.connections_per_client {
            return None;
        }
        taken.insert(client, of_client + 1);
        Some(Seat {
            seats: Arc::clone(seats),
            client,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.client)),
        }
    }
}

/// The address that stands for a client: IPv4 also where it comes in through an IPv6 socket.
fn as_client(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => {
            let mask = u128::MAX << (u128::BITS - CLIENT_IPV6_PREFIX_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask))
        }
    }
}

/// Why a connection is over.
#[derive(Debug)]
enum Ended {
    /// The client closed it, or it broke.
    Closed,
    /// The client said nothing for too long, or sent or read too slowly.
    Slow,
    /// What came is no request we would ever answer.
    Senseless,
}

/// Answers what comes through one connection, in the order in which it comes.
async fn converse(mut stream: TcpStream, desk: &Desk) -> Ended {
    // A reply is whole when we write it: waiting for more would only delay it.
    if stream.set_nodelay(true).is_err() {
        return Ended::Closed;
    }
    let mut inbox = BytesMut::new();
    let mut replies = Vec::new();
    let mut since = Instant::now();
    loop {
        match answer_whole(&mut inbox, &mut replies, &mut stream, desk).await {
            Ok(true) => since = Instant::now(),
            Ok(false) => {}
            Err(ended) => return ended,
        }
        // A message begun has its own time-out, counted from its first byte and not from its
        // last: or else one byte now and then would hold the connection for ever.
        let was_empty = inbox.is_empty();
        let patience = if was_empty {
            desk.limits.idle
        } else {
            desk.limits.read
        };
        inbox.reserve(LENGTH_BYTES + REQUEST_BYTES_MAX - inbox.len());
        match timeout_at(since + patience, stream.read_buf(&mut inbox)).await {
            Ok(Ok(0) | Err(_)) => return Ended::Closed,
            Ok(Ok(_)) if was_empty => since = Instant::now(),
            Ok(Ok(_)) => {}
            Err(_) => return Ended::Slow,
        }
    }
}

/// Takes every whole request from `inbox` and sends the replies; says whether there was one.
async fn answer_whole(
    inbox: &mut BytesMut,
    replies: &mut Vec<u8>,
    stream: &mut TcpStream,
    desk: &Desk,
) -> Result<bool, Ended> {
    let mut reply = Vec::new();
    let mut was_one = false;
    while let Some((head, rest)) = inbox.split_first_chunk::<LENGTH_BYTES>() {
        let length = usize::from(u16::from_be_bytes(*head));
        if length > REQUEST_BYTES_MAX {
            return Err(Ended::Senseless);
        }
        let Some(request) = rest.get(..length) else {
            break;
        };
        if desk.answer(request, Transport::Tcp, &mut reply) == Reply::Silence {
            return Err(Ended::Senseless);
        }
        inbox.advance(LENGTH_BYTES + length);
        was_one = true;
        let length = u16::try_from(reply.len()).expect("answer keeps to what TCP carries");
        replies.extend_from_slice(&length.to_be_bytes());
        replies.extend_from_slice(&reply);
        if replies.len() >= REPLIES_HELD_BYTES {
            send(replies, stream, desk.limits.write).await?;
        }
    }
    if !replies.is_empty() {
        send(replies, stream, desk.limits.write).await?;
    }
    Ok(was_one)
}

async fn send(
    replies: &mut Vec<u8>,
    stream: &mut TcpStream,
    patience: Duration,
) -> Result<(), Ended> {
    match timeout(patience, stream.write_all(replies)).await {
        Ok(Ok(())) => {
            replies.clear();
            Ok(())
        }
        Ok(Err(_)) => Err(Ended::Closed),
        Err(_) => Err(Ended::Slow),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::RwLock;

    use tokio::net::TcpSocket;
    use tokio::sync::oneshot;

    use super::*;
    use crate::dns::testing::{addresses, request, told, zone};

    const ADA: &str = "A ada.blogs.example.org";
    /// Long enough for a busy machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A server on a port of its own; it ends when dropped.
    struct Running {
        addr: SocketAddr,
        zone: SharedZone,
        _stop: oneshot::Sender<()>,
    }

    async fn start(change: impl FnOnce(&mut Limits)) -> Running {
        let zone: SharedZone = Arc::new(RwLock::new(zone()));
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut server = Server::bind(any, Arc::clone(&zone)).await.unwrap();
        change(&mut server.desk.limits);
        let addr = server.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.run(async move { drop(stopped.await) }));
        Running {
            addr,
            zone,
            _stop: stop,
        }
    }

    async fn ask_udp(addr: SocketAddr, words: &str) -> String {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.send_to(&request(words), addr).await.unwrap();
        let mut reply = [0; 2000];
        let length = timeout(PATIENCE, socket.recv(&mut reply))
            .await
            .unwrap()
            .unwrap();
        told(&reply[..length])
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u16::try_from(message.len()).unwrap();
        [&length.to_be_bytes()[..], message].concat()
    }

    async fn read_reply(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
        let length = timeout(PATIENCE, stream.read_u16())
            .await
            .expect("a reply or an end")?;
        let mut reply = vec![0; usize::from(length)];
        stream.read_exact(&mut reply).await?;
        Ok(reply)
    }

    async fn ask_tcp(stream: &mut TcpStream, words: &str) -> io::Result<String> {
        stream.write_all(&framed(&request(words))).await?;
        Ok(told(&read_reply(stream).await?))
    }

    async fn connect(addr: SocketAddr, from: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        socket.connect(addr).await.unwrap()
    }

    const HOME: [u8; 4] = [127, 0, 0, 1];
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
            .unwrap()
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

    #[tokio::test]
    async fn one_client_gets_so_many_connections_and_another_still_gets_one() {
        let server = start(|limits| limits.connections_per_client = 2).await;
        let mut first = connect(server.addr, HOME).await;
        let mut second = connect(server.addr, HOME).await;
        assert!(ask_tcp(&mut first, ADA).await.is_ok());
        assert!(ask_tcp(&mut second, ADA).await.is_ok());
        assert!(
            ask_tcp(&mut connect(server.addr, HOME).await, ADA)
                .await
                .is_err()
        );
        assert!(
            ask_tcp(&mut connect(server.addr, AWAY).await, ADA)
                .await
                .is_ok()
        );
        assert!(ask_tcp(&mut second, ADA).await.is_ok());

        // A connection that ends leaves its seat to the next.
        drop(first);
        let again = async {
            while ask_tcp(&mut connect(server.addr, HOME).await, ADA)
                .await
                .is_err()
            {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, again).await.unwrap();
    }

    #[tokio::test]
    async fn there_are_so_many_connections_in_all_and_datagrams_do_not_need_one() {
        let server = start(|limits| limits.connections = 2).await;
        let mut first = connect(server.addr, HOME).await;
        let mut second = connect(server.addr, AWAY).await;
        assert!(ask_tcp(&mut first, ADA).await.is_ok());
        assert!(ask_tcp(&mut second, ADA).await.is_ok());
        assert!(
            ask_tcp(&mut connect(server.addr, [127, 0, 0, 3]).await, ADA)
                .await
                .is_err()
        );
        assert!(ask_udp(server.addr, ADA).await.starts_with("NOERROR"));
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_prefix() {
        let limits = Limits::default();
        let seats = Arc::new(Seats::default());
        let take = |ip: String| Seats::take(&seats, ip.parse().unwrap(), &limits);
        let held: Vec<_> = (0..CONNECTIONS_PER_CLIENT_MAX)
            .map(|n| take(format!("2001:db8:0:1::{n:x}")).unwrap())
            .collect();
        assert!(take("2001:db8:0:1:ffff::".into()).is_none());
        assert!(take("2001:db8:0:2::".into()).is_some());
        drop(held);
        assert!(take("2001:db8:0:1:ffff::".into()).is_some());
        assert!(seats.0.lock().unwrap().is_empty());

        let held: Vec<_> = (0..CONNECTIONS_PER_CLIENT_MAX)
            .map(|n| {
                take(
                    if n % 2 == 0 {
                        "192.0.2.1"
                    } else {
                        "::ffff:192.0.2.1"
                    }
                    .into(),
                )
                .unwrap()
            })
            .collect();
        assert!(take("192.0.2.1".into()).is_none());
        assert!(take("192.0.2.2".into()).is_some());

        let all: Vec<_> = (0..CONNECTIONS_MAX - held.len())
            .map(|n| take(format!("2001:db8:1:{n:x}::")).unwrap())
            .collect();
        assert!(take("198.51.100.1".into()).is_none());
        drop(all);
        assert!(take("198.51.100.1".into()).is_some());
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
        let flooding =
            tokio::spawn(async move { while greedy.write_all(&question).await.is_ok() {} });
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
        let said = Server::bind(server.addr, Arc::clone(&server.zone))
            .await
            .unwrap_err();
        let port = server.addr.port();
        assert_eq!(said.kind(), io::ErrorKind::AddrInUse);
        let text = format!("Cannot answer DNS on port {port} (UDP) of 127.0.0.1: another program");
        assert!(said.to_string().starts_with(&text), "{said}");
    }

    #[tokio::test]
    async fn shutting_down_frees_the_port() {
        let Running {
            addr,
            zone,
            _stop: stop,
        } = start(|_| {}).await;
        drop(stop);
        let again = async {
            while Server::bind(addr, Arc::clone(&zone)).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, again).await.unwrap();
    }
}
