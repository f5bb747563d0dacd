//! The server: its sockets, and what everybody needs who answers.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::base::iana::OptRcode;
use parking_lot::RwLockReadGuard;

use crate::dns::answer::{Manner, Reply, Request, Transport, reply, reply_error};
use crate::dns::berths::Berths;
use crate::dns::cookie::CookieSecret;
use crate::dns::datagrams::Loops;
use crate::dns::door::Door;
use crate::dns::edition::Editions;
use crate::dns::limit::ANSWERS_PER_SECOND;
use crate::dns::signed::{Checked, Keys, Signer, check};
use crate::dns::sockets;
use crate::dns::streams::{Limits, Streams};
use crate::dns::transfer::{self, Wanted};
use crate::dns::zone::{SharedZone, Zone};

/// The longest request: a name, four records and some padding. Longer ones were updates or attacks.
pub(super) const REQUEST_BYTES_MAX: usize = 4096;

/// After an error of a socket, mostly too many open files: trying at once would only spin.
pub(super) const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// A port that the system chose for UDP may be taken for TCP. Sixteen times in a row it is not.
const PORT_CHOICES: u32 = 16;

/// A name server with its sockets bound, ready to run.
#[derive(Debug)]
pub struct Server {
    datagrams: Vec<UdpSocket>,
    streams: TcpListener,
    desk: Desk,
}

impl Server {
    /// Binds UDP and TCP at `addr`; with port 0 the system chooses one port for both.
    ///
    /// An answer leaves from the address to which its question came; at "any address" that takes a call of the system
    /// for each datagram. Its cookies are good as long as this process, and a network gets [`ANSWERS_PER_SECOND`], where
    /// [`Self::with_door`] says nothing else.
    ///
    /// # Errors
    /// That of the socket, in a sentence that names the port and what to do.
    pub fn bind(addr: SocketAddr, editions: Editions, keys: Keys) -> io::Result<Self> {
        let secret = CookieSecret::random();
        let secret = secret.map_err(|cause| io::Error::other(cause.to_string()))?;
        let mut choices = if addr.port() == 0 { PORT_CHOICES } else { 1 };
        loop {
            choices -= 1;
            let datagrams = sockets::bind(addr, sockets::count());
            let datagrams = datagrams.map_err(|cause| explain("UDP", addr, &cause))?;
            let both = datagrams[0].local_addr()?;
            match sockets::listen(both) {
                Ok(streams) => {
                    let desk = Desk::new(editions, keys, secret, ANSWERS_PER_SECOND);
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

    /// Makes cookies by this secret, and gives a network of clients so many answers a second by datagram; with 0 as many
    /// as it likes (SPEC dns 4.5, 4.6).
    #[must_use]
    pub fn with_door(mut self, cookies: CookieSecret, answers_per_second: u32) -> Self {
        self.desk.door = Arc::new(Door::new(cookies, answers_per_second));
        self
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
    /// When one of its loops ends, which only a panic in it can cause, or no threads can be had.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut datagrams = Loops::start(self.datagrams, &self.desk);
        let mut streams = Streams::start(self.streams, self.desk);
        tokio::select! {
            () = shutdown => {}
            () = datagrams.ended() => panic!("a loop without an end ended"),
            () = streams.ended() => panic!("a loop without an end ended"),
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

/// What everybody needs who answers.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    zone: SharedZone,
    pub(super) editions: Editions,
    keys: Keys,
    pub(super) berths: Berths,
    pub(super) limits: Limits,
    turns: Arc<AtomicU64>,
    pub(super) door: Arc<Door>,
}

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) ip: IpAddr,
    pub(super) transport: Transport,
}

/// What is said to a signed request.
#[derive(Debug)]
pub(super) enum Said {
    /// This.
    Reply(Vec<u8>),
    /// Many messages: the request without its signature, what it wants, and who signs.
    Transfer(Vec<u8>, transfer::Request, Signer),
}

impl Desk {
    pub(super) fn new(
        editions: Editions,
        keys: Keys,
        cookies: CookieSecret,
        answers_per_second: u32,
    ) -> Self {
        Self {
            zone: editions.zone(),
            editions,
            keys,
            berths: Berths::default(),
            limits: Limits::default(),
            turns: Arc::default(),
            door: Arc::new(Door::new(cookies, answers_per_second)),
        }
    }

    pub(super) fn zone(&self) -> RwLockReadGuard<'_, Zone> {
        self.zone.read()
    }

    /// Answers whoever is not to be limited.
    pub(super) fn answer(&self, request: &[u8], asker: Asker, out: &mut Vec<u8>) -> Reply {
        out.clear();
        let Some(request) = Request::read(request) else {
            return Reply::Silence;
        };
        if request.is_signed() {
            return Reply::Signed;
        }
        let now = self.door.moment();
        let cookie = self.door.cookie(asker.ip, request.edns(), now);
        let manner = Manner {
            transport: asker.transport,
            rotation: mix(self.turns.fetch_add(STEP, Ordering::Relaxed)),
            cookie: cookie.as_ref(),
        };
        reply(&self.zone(), &request, &manner, out);
        Reply::Send
    }

    /// Nothing but an error.
    pub(super) fn error(&self, request: &[u8], rcode: OptRcode) -> Vec<u8> {
        let mut reply = Vec::new();
        if let Some(request) = Request::read(request) {
            let manner = Manner {
                transport: Transport::Tcp,
                rotation: 0,
                cookie: None,
            };
            reply_error(&self.zone(), &request, rcode, &manner, &mut reply);
        }
        reply
    }

    /// Answers a request that is signed; none where nothing is to be said.
    pub(super) fn answer_signed(&self, request: &[u8], asker: Asker) -> Option<Said> {
        let (request, mut signer) = match check(&self.keys, request)? {
            Checked::Bad(reply) => return Some(Said::Reply(reply)),
            Checked::Good(request, signer) => (request, signer),
        };
        let wanted = transfer::read(&request, self.zone().apex());
        let reply = match (wanted, asker.transport) {
            (Ok(Some(wanted)), Transport::Tcp) => {
                return Some(Said::Transfer(request, wanted, signer));
            }
            (Ok(Some(wanted)), Transport::Udp { .. }) if wanted.wanted != Wanted::All => {
                transfer::by_datagram(&self.editions, wanted)
            }
            (Err(transfer::Malformed), _) => Some(self.error(&request, OptRcode::FORMERR)),
            (Ok(_), _) => None,
        };
        let reply = reply.or_else(|| {
            let mut reply = Vec::new();
            let answered = self.answer(&request, asker, &mut reply);
            (answered == Reply::Send).then_some(reply)
        })?;
        Some(Said::Reply(signer.sign(&reply)?))
    }
}

/// The step of splitmix64.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Numbers with which addresses take turns; each thread that answers datagrams has its own.
///
/// Not a bare counter: resolvers ask for A and AAAA in turn, so that with two addresses all A questions would be even
/// and get the same order.
#[derive(Debug)]
pub(super) struct Turns(u64);

impl Turns {
    pub(super) fn new() -> Self {
        Self(0)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }
}

/// The mixer of splitmix64 (Steele, Lea, Flood 2014).
fn mix(turn: u64) -> u64 {
    let turn = (turn ^ (turn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let turn = (turn ^ (turn >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    turn ^ (turn >> 31)
}

#[cfg(test)]
mod floods;

#[cfg(test)]
mod tests;
