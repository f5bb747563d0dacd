//! TCP: one task for each connection.
//!
//! A connection may be slow or greedy: it has a task of its own, and `Limits` bound what it holds.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use domain::base::iana::OptRcode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::dns::answer::{Reply, Transport};
use crate::dns::serve::{Asker, Desk, PAUSE_AFTER_ERROR, REQUEST_BYTES_MAX, Said};
use crate::dns::signed::Signer;
use crate::dns::transfer::{self, Failed};

/// TCP connections in all. Each holds about 30 KB at most in ordinary use: together a few tens of
/// megabytes, and far from the usual limit of open files.
pub(super) const CONNECTIONS_MAX: usize = 1000;

/// TCP connections of one client. A resolver needs one or two (RFC 7766 section 6.2.2); behind one
/// address there may be several resolvers.
pub(super) const CONNECTIONS_PER_CLIENT_MAX: usize = 20;

/// One IPv6 customer holds at least this prefix, and with it as many addresses as she likes.
const CLIENT_IPV6_PREFIX_BITS: u32 = 64;

/// How long a connection may say nothing. RFC 7766 section 6.2.3 wants seconds.
const IDLE_TIME_OUT: Duration = Duration::from_secs(10);

/// From a message's first byte to its last: a request is a packet or two.
const READ_TIME_OUT: Duration = Duration::from_secs(5);

/// How long a client may leave replies lying without reading them.
const WRITE_TIME_OUT: Duration = Duration::from_secs(5);

/// Replies wait until there are this many bytes, or until all requests received are answered.
/// Bounds what a client can make us hold by asking a lot and reading nothing.
const REPLIES_HELD_BYTES: usize = 16 * 1024;

/// The two bytes before each message of a stream (RFC 7766 section 8).
const LENGTH_BYTES: usize = 2;

/// The constants above, so that tests need not wait as long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) connections_per_client: usize,
    pub(super) idle: Duration,
    pub(super) read: Duration,
    pub(super) write: Duration,
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

/// Answers whoever connects, for ever.
pub(super) async fn accept_streams(listener: TcpListener, desk: Desk) {
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
                    // A reply is whole when we write it: waiting for more would only delay it. Who is gone
                    // is found to be so later.
                    drop(stream.set_nodelay(true));
                    let desk = desk.clone();
                    conversations.spawn(async move {
                        let ended = tokio::select! {
                            ended = converse(stream, client.ip(), &seat, &desk) => ended,
                            () = seat.place.wanted.notified() => Ended::Unseated,
                        };
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

/// Who is connected.
///
/// Whoever comes finds a seat: where there is none, that is free which has stood still longest, be it that its client
/// says nothing, sends half a request, or does not read. So strangers who sit and wait keep nobody out, mirrors least of
/// all: a transfer is never unseated, and there are few at once.
#[derive(Debug, Default)]
pub(super) struct Seats(pub(super) Mutex<Sitting>);

#[derive(Debug, Default)]
pub(super) struct Sitting {
    pub(super) taken: HashMap<u64, (IpAddr, Arc<Place>)>,
    /// Counts connections and what they get done, so that each has another number.
    turn: u64,
}

#[derive(Debug)]
pub(super) struct Place {
    /// The turn in which something went on here last; the highest of all while it must not be disturbed.
    moved: AtomicU64,
    /// Somebody else gets the seat.
    pub(super) wanted: Notify,
}

const UNDISTURBED: u64 = u64::MAX;

/// A connection's place, given back when dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    pub(super) place: Arc<Place>,
}

impl Seats {
    fn sitting(&self) -> MutexGuard<'_, Sitting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(seats: &Arc<Self>, client: IpAddr, limits: &Limits) -> Option<Seat> {
        let client = as_client(client);
        let mut sitting = seats.sitting();
        let of_client = sitting.taken.values().filter(|(who, _)| *who == client);
        if of_client.count() >= limits.connections_per_client {
            sitting.unseat(|who| who == client)?;
        } else if sitting.taken.len() >= limits.connections {
            sitting.unseat(|_| true)?;
        }
        let number = sitting.next();
        let place = Arc::new(Place {
            moved: AtomicU64::new(number),
            wanted: Notify::new(),
        });
        sitting.taken.insert(number, (client, Arc::clone(&place)));
        let seats = Arc::clone(seats);
        Some(Seat {
            seats,
            number,
            place,
        })
    }
}

impl Sitting {
    fn next(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    /// Frees the seat that stood still longest among these; none where all must not be disturbed.
    fn unseat(&mut self, among: impl Fn(IpAddr) -> bool) -> Option<()> {
        let seats = self.taken.iter().filter(|(_, (client, _))| among(*client));
        let moved =
            seats.map(|(number, (_, place))| (place.moved.load(Ordering::Relaxed), *number));
        let (_, number) = moved.filter(|(moved, _)| *moved != UNDISTURBED).min()?;
        let (_, place) = self.taken.remove(&number)?;
        place.wanted.notify_one();
        Some(())
    }
}

impl Seat {
    /// Something went on: a request came whole, or replies were sent.
    fn moved(&self) {
        let turn = self.seats.sitting().next();
        self.place.moved.store(turn, Ordering::Relaxed);
    }

    /// From now on nobody else gets this seat, until something has gone on again.
    pub(super) fn hold(&self) {
        self.place.moved.store(UNDISTURBED, Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.sitting().taken.remove(&self.number);
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
pub(super) enum Ended {
    /// The client closed it, or it broke.
    Closed,
    /// The client said nothing for too long, or sent or read too slowly.
    Slow,
    /// What came is no request we would ever answer.
    Senseless,
    /// Somebody else came while this one had stood still longest.
    Unseated,
}

/// Answers what comes through one connection, in the order in which it comes.
pub(super) async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    client: IpAddr,
    seat: &Seat,
    desk: &Desk,
) -> Ended {
    let asker = Asker {
        ip: client,
        transport: Transport::Tcp,
    };
    let mut inbox = BytesMut::new();
    let mut replies = Vec::new();
    let mut since = Instant::now();
    loop {
        let answered = answer_whole(&mut inbox, &mut replies, &mut stream, asker, seat, desk).await;
        if matches!(answered, Ok(_) | Err(Ended::Senseless)) && !replies.is_empty() {
            // What came before a senseless request is answered all the same.
            if let Err(ended) = send(&mut replies, &mut stream, desk.limits.write).await {
                return ended;
            }
        }
        match answered {
            Ok(true) => {
                since = Instant::now();
                seat.moved();
            }
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

/// Takes every whole request from `inbox`, and sends replies where there are many; says whether there was one.
async fn answer_whole<S: AsyncRead + AsyncWrite + Unpin>(
    inbox: &mut BytesMut,
    replies: &mut Vec<u8>,
    stream: &mut S,
    asker: Asker,
    seat: &Seat,
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
        match desk.answer(request, asker, &mut reply) {
            Reply::Send => {}
            Reply::Silence => return Err(Ended::Senseless),
            Reply::Signed => match desk.answer_signed(request, asker) {
                None => return Err(Ended::Senseless),
                Some(Said::Reply(signed)) => reply = signed,
                Some(Said::Transfer(request, wanted, signer)) => {
                    if !replies.is_empty() {
                        send(replies, stream, desk.limits.write).await?;
                    }
                    seat.hold();
                    reply = transferred(&request, wanted, signer, stream, desk).await?;
                    seat.moved();
                }
            },
        }
        inbox.advance(LENGTH_BYTES + length);
        was_one = true;
        if reply.is_empty() {
            continue;
        }
        let length = u16::try_from(reply.len()).expect("answer keeps to what TCP carries");
        replies.extend_from_slice(&length.to_be_bytes());
        replies.extend_from_slice(&reply);
        if replies.len() >= REPLIES_HELD_BYTES {
            send(replies, stream, desk.limits.write).await?;
            seat.moved();
        }
    }
    Ok(was_one)
}

/// Sends a transfer; what is left to be said where it could not begin.
async fn transferred<S: AsyncWrite + Unpin>(
    request: &[u8],
    wanted: transfer::Request,
    mut signer: Signer,
    stream: &mut S,
    desk: &Desk,
) -> Result<Vec<u8>, Ended> {
    let began = Instant::now();
    let mirror = signer.mirror().to_owned();
    let sent = transfer::send(&desk.editions, &desk.transfers, wanted, &mut signer, stream).await;
    tracing::debug!(mirror, ?wanted, ?sent, took = ?began.elapsed(), "a transfer of the zone");
    match sent {
        Ok(()) => Ok(Vec::new()),
        // It asks again later, or somebody else.
        Err(Failed::NotNow) => {
            let reply = desk.error(request, OptRcode::SERVFAIL);
            signer.sign(&reply).ok_or(Ended::Senseless)
        }
        Err(Failed::Gone | Failed::Lost) => Err(Ended::Closed),
    }
}

async fn send<S: AsyncWrite + Unpin>(
    replies: &mut Vec<u8>,
    stream: &mut S,
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
