//! Datagrams: one thread for each socket, which receives, answers and sends.
//!
//! A datagram is answered where it is received, since an answer costs less than handing it over. Nothing here is
//! allocated for a question, waits for another one or for another core; only requests that are signed do more.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use domain::base::iana::OptRcode;
use rustix::net::{Shutdown, shutdown};
use tokio::sync::mpsc;

use crate::dns::answer::{
    Manner, Reply, Request, Transport, UDP_ANSWER_BYTES_MAX, reply, reply_briefly, reply_error,
};
use crate::dns::batch::{BATCH, Batch};
use crate::dns::door::{Door, Moment, Welcome};
use crate::dns::serve::{Asker, Desk, PAUSE_AFTER_ERROR, Said, Turns};
use crate::dns::zone::Zone;

const UDP: Transport = Transport::Udp {
    limit: UDP_ANSWER_BYTES_MAX,
};

/// The threads; they end when this is dropped.
pub(super) struct Loops {
    stop: Arc<AtomicBool>,
    sockets: Vec<Arc<UdpSocket>>,
    threads: Vec<JoinHandle<()>>,
    ended: mpsc::Receiver<()>,
}

/// Says that a thread has ended, however it did.
struct Tell(mpsc::Sender<()>);

impl Drop for Tell {
    fn drop(&mut self) {
        // Full, or nobody there any more: then it is known.
        let _known = self.0.try_send(());
    }
}

impl Loops {
    /// Starts a thread for each socket. A socket for which there is none is closed, so that the system deals its
    /// clients out among the others.
    pub(super) fn start(sockets: Vec<UdpSocket>, desk: &Desk) -> Self {
        let (tell, ended) = mpsc::channel(1);
        let mut loops = Self {
            stop: Arc::default(),
            sockets: Vec::new(),
            threads: Vec::new(),
            ended,
        };
        for (number, socket) in sockets.into_iter().enumerate() {
            let (socket, desk, stop) = (Arc::new(socket), desk.clone(), Arc::clone(&loops.stop));
            let (ours, tell) = (Arc::clone(&socket), Tell(tell.clone()));
            let thread = thread::Builder::new().name(format!("dns-{number}"));
            let started = thread.spawn(move || {
                let _tell = tell;
                answer_datagrams(&ours, &desk, &stop);
            });
            match started {
                Ok(thread) => {
                    loops.sockets.push(socket);
                    loops.threads.push(thread);
                }
                Err(cause) => tracing::warn!(%cause, "a thread for DNS could not be started"),
            }
        }
        loops
    }

    /// Waits until one has ended, which only a panic in it can cause, or until there is none.
    pub(super) async fn ended(&mut self) {
        if !self.threads.is_empty() {
            self.ended.recv().await;
        }
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for socket in &self.sockets {
            // Linux says that nobody is connected, and wakes whoever waits; elsewhere they wake by themselves.
            let _unconnected = shutdown(socket, Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            drop(thread.join());
        }
    }
}

fn answer_datagrams(socket: &UdpSocket, desk: &Desk, stop: &AtomicBool) {
    let Ok(here) = socket.local_addr() else {
        return;
    };
    let mut batch = Batch::new(here);
    let mut turns = Turns::new();
    while !stop.load(Ordering::Relaxed) {
        match batch.receive(socket) {
            Ok(()) => {
                answer_batch(&mut batch, desk, &mut turns);
                batch.send(socket);
            }
            // Nothing came.
            Err(cause) if is_nothing(&cause) => {}
            Err(cause) => {
                tracing::warn!(%cause, "no DNS datagram could be received");
                thread::sleep(PAUSE_AFTER_ERROR);
            }
        }
    }
}

fn is_nothing(cause: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(cause.kind(), Interrupted | TimedOut | WouldBlock)
}

fn answer_batch(batch: &mut Batch, desk: &Desk, turns: &mut Turns) {
    let now = desk.door.moment();
    let mut is_signed = [false; BATCH];
    {
        let zone = desk.zone();
        for (is_signed, (request, client, out)) in is_signed.iter_mut().zip(batch.each()) {
            let asker = Asker {
                ip: client.ip(),
                transport: UDP,
            };
            let said = answer_one(&zone, &desk.door, request, asker, now, turns, out);
            *is_signed = said == Reply::Signed;
        }
    }
    // These look at the zone again: nobody may hold it meanwhile.
    let signed = is_signed.into_iter().zip(batch.each());
    for (_, (request, client, out)) in signed.filter(|(is_signed, _)| *is_signed) {
        let asker = Asker {
            ip: client.ip(),
            transport: UDP,
        };
        if let Some(Said::Reply(reply)) = desk.answer_signed(request, asker) {
            *out = reply;
        }
    }
}

/// Answers one datagram into `out`, which stays empty where nothing is to be said, or by others.
pub(super) fn answer_one(
    zone: &Zone,
    door: &Door,
    request: &[u8],
    asker: Asker,
    now: Moment,
    turns: &mut Turns,
    out: &mut Vec<u8>,
) -> Reply {
    out.clear();
    let Some(request) = Request::read(request) else {
        return Reply::Silence;
    };
    let welcome = door.welcome(asker.ip, request.edns(), now);
    // A mirror that shares a network with a flood gets through with every second try.
    if request.is_signed() && welcome != Welcome::Silence {
        return Reply::Signed;
    }
    let mut manner = Manner {
        transport: asker.transport,
        rotation: turns.next(),
        cookie: None,
    };
    match &welcome {
        Welcome::Silence => return Reply::Silence,
        Welcome::Answer(cookie) => {
            manner.cookie = cookie.as_ref();
            reply(zone, &request, &manner, out);
        }
        Welcome::Return(cookie) => {
            manner.cookie = Some(cookie);
            reply_error(zone, &request, OptRcode::BADCOOKIE, &manner, out);
        }
        Welcome::Briefly => reply_briefly(zone, &request, &manner, out),
    }
    Reply::Send
}
