//! A way to a name server that can be shut, and that stops in the middle of what a stream carries.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Bytes that a stream carries before it is held: more than one answer, and so few that the server's system has not
/// begun to keep more for a client that reads that well.
pub(crate) const HELD_AFTER: usize = 2_000;
/// The longest that a stream is held.
const HELD_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What the relay's system takes from the server before it is read (it makes more of it), and the size of a packet: the
/// server's system keeps twenty packets for us, which on loopback would be megabytes. Together some 40 KB.
const RECEIVED_BYTES: usize = 1;
const PACKET_BYTES: u32 = 536;

/// A stream that came through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    /// From the server.
    pub(crate) bytes: usize,
    /// It has stopped for now.
    pub(crate) is_held: bool,
    /// The server has ended it, or is gone.
    pub(crate) is_over: bool,
}

#[derive(Debug, Default)]
struct Inner {
    is_shut: AtomicBool,
    holds: AtomicBool,
    carried: Mutex<Vec<Carried>>,
}

/// It carries datagrams, and streams, as long as the test goes on.
#[derive(Clone, Debug)]
pub(crate) struct Relay(Arc<Inner>);

impl Relay {
    /// From `here` to `there`; shut, nobody gets through.
    pub(crate) fn begin(here: SocketAddr, there: SocketAddr, is_shut: bool) -> Self {
        let relay = Self(Arc::default());
        relay.0.is_shut.store(is_shut, Ordering::Relaxed);
        let (streams, datagrams) = (TcpListener::bind(here), UdpSocket::bind(here));
        let (streams, datagrams) = (streams.unwrap(), datagrams.unwrap());
        let by_stream = relay.clone();
        thread::spawn(move || {
            for stream in streams.incoming().flatten() {
                let relay = by_stream.clone();
                thread::spawn(move || relay.carry(stream, there));
            }
        });
        let by_datagram = relay.clone();
        thread::spawn(move || by_datagram.pass(&datagrams, there));
        relay
    }

    pub(crate) fn open(&self) {
        self.0.is_shut.store(false, Ordering::Relaxed);
    }

    /// From now on, whether streams are held after [`HELD_AFTER`] bytes; those that are held go on.
    pub(crate) fn hold(&self, holds: bool) {
        self.0.holds.store(holds, Ordering::Relaxed);
    }

    /// Streams that have carried so much that they could be held.
    pub(crate) fn long_ones(&self) -> Vec<Carried> {
        let mut long = self.0.carried.lock().unwrap().clone();
        long.retain(|carried| carried.bytes >= HELD_AFTER);
        long
    }

    fn pass(&self, datagrams: &UdpSocket, there: SocketAddr) {
        let mut bytes = [0; 65_535];
        while let Ok((length, from)) = datagrams.recv_from(&mut bytes) {
            if self.0.is_shut.load(Ordering::Relaxed) {
                continue;
            }
            let answered = UdpSocket::bind((there.ip(), 0)).and_then(|line| {
                line.set_read_timeout(Some(Duration::from_secs(1)))?;
                line.send_to(&bytes[..length], there)?;
                line.recv(&mut bytes)
            });
            if let Ok(length) = answered {
                drop(datagrams.send_to(&bytes[..length], from));
            }
        }
    }

    fn carry(&self, mut near: TcpStream, there: SocketAddr) {
        if self.0.is_shut.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut far) = small(there) else { return };
        let (mut near_in, mut far_out) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        thread::spawn(move || drop(std::io::copy(&mut near_in, &mut far_out)));
        let place = {
            let mut carried = self.0.carried.lock().unwrap();
            carried.push(Carried::default());
            carried.len() - 1
        };
        let note =
            |change: &dyn Fn(&mut Carried)| change(&mut self.0.carried.lock().unwrap()[place]);
        let (mut bytes, mut count) = ([0; 1_024], 0);
        while let Ok(length @ 1..) = far.read(&mut bytes) {
            count += length;
            note(&|carried| carried.bytes = count);
            if count >= HELD_AFTER && self.0.holds.load(Ordering::Relaxed) {
                note(&|carried| carried.is_held = true);
                let began = Instant::now();
                while self.0.holds.load(Ordering::Relaxed) && began.elapsed() < HELD_MAX {
                    thread::sleep(LOOK_EVERY);
                }
                note(&|carried| carried.is_held = false);
            }
            // Who has gone away still has what was sent to him counted.
            drop(near.write_all(&bytes[..length]));
        }
        note(&|carried| carried.is_over = true);
        drop(near.shutdown(std::net::Shutdown::Both));
    }
}

/// A stream of which the systems on both sides keep little.
fn small(there: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).ok()?;
    socket.set_recv_buffer_size(RECEIVED_BYTES).ok()?;
    socket.set_tcp_mss(PACKET_BYTES).ok()?;
    socket.connect(&there.into()).ok()?;
    Some(socket.into())
}
