//! The sockets, and one loop for datagrams.
//!
//! A datagram is answered where it is received, since an answer costs less than handing it over.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLockReadGuard};
use std::time::Duration;

use domain::base::iana::OptRcode;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::dns::answer::{Reply, Transport, UDP_ANSWER_BYTES_MAX, answer, answer_error};
use crate::dns::edition::Editions;
use crate::dns::signed::{Checked, Keys, Signer, check};
use crate::dns::streams::{Limits, accept_streams};
use crate::dns::transfer::{self, Transfers, Wanted};
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
    pub async fn bind(addr: SocketAddr, editions: Editions, keys: Keys) -> io::Result<Self> {
        let mut choices = if addr.port() == 0 { PORT_CHOICES } else { 1 };
        loop {
            choices -= 1;
            let datagrams = UdpSocket::bind(addr).await;
            let datagrams = datagrams.map_err(|cause| explain("UDP", addr, &cause))?;
            let both = datagrams.local_addr()?;
            match TcpListener::bind(both).await {
                Ok(streams) => {
                    let desk = Desk {
                        zone: editions.zone(),
                        editions,
                        keys,
                        transfers: Transfers::default(),
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
pub(super) struct Desk {
    zone: SharedZone,
    pub(super) editions: Editions,
    keys: Keys,
    pub(super) transfers: Transfers,
    pub(super) limits: Limits,
    turns: Arc<AtomicU64>,
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
    fn zone(&self) -> RwLockReadGuard<'_, Zone> {
        // A writer that panicked did so before it changed anything, or between two whole names:
        // to go on answering beats silence.
        self.zone.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn answer(&self, request: &[u8], transport: Transport, out: &mut Vec<u8>) -> Reply {
        answer(&self.zone(), request, transport, self.rotation(), out)
    }

    /// Nothing but an error.
    pub(super) fn error(&self, request: &[u8], rcode: OptRcode) -> Vec<u8> {
        let mut reply = Vec::new();
        answer_error(&self.zone(), request, rcode, &mut reply);
        reply
    }

    /// Answers a request that is signed; none where nothing is to be said.
    pub(super) fn answer_signed(&self, request: &[u8], transport: Transport) -> Option<Said> {
        let (request, mut signer) = match check(&self.keys, request)? {
            Checked::Bad(reply) => return Some(Said::Reply(reply)),
            Checked::Good(request, signer) => (request, signer),
        };
        let wanted = transfer::read(&request, self.zone().apex());
        let reply = match (wanted, transport) {
            (Some(wanted), Transport::Tcp) => {
                return Some(Said::Transfer(request, wanted, signer));
            }
            (Some(wanted), Transport::Udp { .. }) if wanted.wanted != Wanted::All => {
                transfer::by_datagram(&self.editions, wanted)
            }
            _ => None,
        };
        let reply = reply.or_else(|| {
            let mut reply = Vec::new();
            let answered = self.answer(&request, transport, &mut reply);
            (answered == Reply::Send).then_some(reply)
        })?;
        Some(Said::Reply(signer.sign(&reply)?))
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
        match desk.answer(&request[..length], transport, &mut reply) {
            Reply::Send => {}
            Reply::Silence => continue,
            Reply::Signed => match desk.answer_signed(&request[..length], transport) {
                Some(Said::Reply(signed)) => reply = signed,
                _ => continue,
            },
        }
        // A client that cannot be reached asks again or not; the next one waits.
        if let Err(cause) = socket.send_to(&reply, client).await {
            tracing::debug!(%cause, %client, "a DNS answer could not be sent");
        }
    }
}

#[cfg(test)]
mod tests;
