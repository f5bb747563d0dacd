//! TCP: one task for each connection, on threads of their own.
//!
//! A connection may be slow or greedy: it has a task of its own that lets others go on after a little work, and `Limits`
//! bound what it holds. What else the node does, its consensus above all, runs on other threads: whoever floods these
//! delays other streams and nothing else.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::{self, JoinHandle, available_parallelism};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use domain::base::iana::OptRcode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::dns::answer::{Reply, Transport};
use crate::dns::seats::{Seat, Seats};
use crate::dns::serve::{Asker, Desk, PAUSE_AFTER_ERROR, REQUEST_BYTES_MAX, Said};
use crate::dns::signed::Signer;
use crate::dns::transfer::{self, Failed};

/// Threads that answer streams, at most: nearly all questions come by datagram, and have threads of their own.
const THREADS_MAX: usize = 4;

/// TCP connections in all. Each holds about 30 KB at most in ordinary use: together a few tens of
/// megabytes, and far from the usual limit of open files.
pub(super) const CONNECTIONS_MAX: usize = 1000;

/// TCP connections of one client. A resolver needs one or two (RFC 7766 section 6.2.2); behind one
/// address there may be several resolvers.
pub(super) const CONNECTIONS_PER_CLIENT_MAX: usize = 20;

/// How long a connection may say nothing. RFC 7766 section 6.2.3 wants seconds.
const IDLE_TIME_OUT: Duration = Duration::from_secs(10);

/// From a message's first byte to its last: a request is a packet or two.
const READ_TIME_OUT: Duration = Duration::from_secs(5);

/// How long a client may leave replies lying without reading them.
const WRITE_TIME_OUT: Duration = Duration::from_secs(5);

/// Replies wait until there are this many bytes, or until all requests received are answered.
/// Bounds what a client can make us hold by asking a lot and reading nothing.
const REPLIES_HELD_BYTES: usize = 16 * 1024;

/// Requests of one connection that are answered before others get their turn: some tens of microseconds, so that with
/// all seats taken by those who ask without end each waits for a fraction of a second.
const REQUESTS_PER_TURN: u32 = 64;

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

/// The threads; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Streams {
    stop: Option<oneshot::Sender<()>>,
    /// That which accepts; it owns those that answer.
    thread: Option<JoinHandle<()>>,
    ended: oneshot::Receiver<()>,
}

impl Streams {
    /// Answers whoever connects, on threads of their own.
    pub(super) fn start(listener: TcpListener, desk: Desk) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("dns-streams".to_owned());
        let started = thread.spawn(move || {
            // Dropped however this ends, which says so.
            let _tell = tell;
            if let Err(cause) = run(listener, desk, stopped) {
                tracing::error!(%cause, "DNS connections cannot be accepted");
            }
        });
        Self {
            stop: Some(stop),
            thread: started
                .inspect_err(
                    |cause| tracing::error!(%cause, "a thread for DNS could not be started"),
                )
                .ok(),
            ended,
        }
    }

    /// Waits until they have ended, which only a panic or a want of threads can cause.
    pub(super) async fn ended(&mut self) {
        // An error: nobody will say so any more.
        drop((&mut self.ended).await);
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            drop(thread.join());
        }
    }
}

/// Answers until whoever may stop it does so or is gone. It is not run by another runtime: there this one could not be
/// dropped.
fn run(listener: TcpListener, desk: Desk, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::select! {
            () = accept_streams(listener, desk) => {}
            _ = stopped => {}
        }
        Ok::<_, io::Error>(())
    })
}

/// Half of the cores at most: what else the node does finds one that no stream keeps busy.
fn runtime() -> io::Result<Runtime> {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    Builder::new_multi_thread()
        .worker_threads(cores.div_ceil(2).min(THREADS_MAX))
        .thread_name("dns-stream")
        .enable_all()
        .build()
}

/// Answers whoever connects, for ever.
async fn accept_streams(listener: tokio::net::TcpListener, desk: Desk) {
    let seats = Arc::new(Seats::default());
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // Without a seat the stream is closed at once, and the client may try another
                // server: better than to let it wait.
                Ok((stream, client)) => {
                    let now = Instant::now();
                    let Some(seat) = Seats::take(&seats, client.ip(), &desk.limits, now) else {
                        continue;
                    };
                    // A reply is whole when we write it: waiting for more would only delay it. Who is gone
                    // is found to be so later.
                    drop(stream.set_nodelay(true));
                    let desk = desk.clone();
                    conversations.spawn(async move {
                        let ended = tokio::select! {
                            ended = converse(stream, client.ip(), &seat, &desk) => ended,
                            () = seat.lost() => Ended::Unseated,
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

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum Ended {
    /// The client closed it, or it broke.
    Closed,
    /// The client said nothing for too long, or sent or read too slowly.
    Slow,
    /// What came is no request we would ever answer.
    Senseless,
    /// Somebody else came, and gets the seat.
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

/// Takes every whole request from `inbox`, and sends replies where there are many, turn by turn; says whether there was
/// one.
async fn answer_whole<S: AsyncRead + AsyncWrite + Unpin>(
    inbox: &mut BytesMut,
    replies: &mut Vec<u8>,
    stream: &mut S,
    asker: Asker,
    seat: &Seat,
    desk: &Desk,
) -> Result<bool, Ended> {
    let mut reply = Vec::new();
    let (mut was_one, mut in_turn) = (false, 0);
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
        in_turn += 1;
        if replies.len() >= REPLIES_HELD_BYTES || in_turn >= REQUESTS_PER_TURN {
            send(replies, stream, desk.limits.write).await?;
            seat.moved();
            in_turn = 0;
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
    let sent = transfer::send(&desk.editions, &desk.berths, wanted, &mut signer, stream).await;
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

/// Sends what there is, and lets others have their turn.
async fn send<S: AsyncWrite + Unpin>(
    replies: &mut Vec<u8>,
    stream: &mut S,
    patience: Duration,
) -> Result<(), Ended> {
    match timeout(patience, stream.write_all(replies)).await {
        Ok(Ok(())) => {
            replies.clear();
            yield_now().await;
            Ok(())
        }
        Ok(Err(_)) => Err(Ended::Closed),
        Err(_) => Err(Ended::Slow),
    }
}
