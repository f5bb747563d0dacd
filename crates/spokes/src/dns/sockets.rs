//! The sockets: for datagrams one for each core, all at one address, and one for streams.
//!
//! The system deals datagrams out among theirs (`SO_REUSEPORT`), so that cores wait for nothing that another one holds.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_recv_buffer_size, set_socket_reuseaddr, set_socket_reuseport,
    set_socket_send_buffer_size,
};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind as bind_socket, listen as listen_at, socket_with,
};

/// Sockets at most: each has a thread, and some hundred kilobytes. Sixteen answer some million questions a second.
const SOCKETS_MAX: usize = 16;

/// Bytes of datagrams that may wait in one socket while its thread answers others; the system gives less where its own
/// limit is lower (`net.core.rmem_max`).
const WAITING_BYTES: usize = 1 << 20;

/// Bytes of requests that the system keeps for one stream, and about as many again for its own use: a few hundred
/// requests. Without a number it keeps megabytes for whoever sends them.
const STREAM_RECEIVED_BYTES: usize = 16 * 1024;

/// Bytes of replies that the system keeps until the client has them, and about as many again for its own use. With all
/// seats taken by clients that read nothing, these and the requests are some 300 MB. A transfer over a line of 100 ms
/// goes at more than a megabyte a second.
const STREAM_SENT_BYTES: usize = 128 * 1024;

/// Connections that wait to be accepted: as many as there are seats.
const BACKLOG: i32 = 1024;

/// After so long a thread looks by itself whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How many sockets this machine gets.
pub(super) fn count() -> usize {
    available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(SOCKETS_MAX)
}

/// Binds so many sockets to one address; one where the system cannot deal clients out.
///
/// Whoever else is at the address already, another process of ours among them, keeps it: the first is bound alone, and
/// only then lets the others in.
///
/// # Errors
/// That of the first socket.
pub(super) fn bind(addr: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    let first = open(addr, false)?;
    let at = first.local_addr()?;
    let mut sockets = vec![first];
    // Elsewhere than on Linux all datagrams go to one of them.
    if cfg!(target_os = "linux") && count > 1 && set_socket_reuseport(&sockets[0], true).is_ok() {
        while sockets.len() < count {
            match open(at, true) {
                Ok(socket) => sockets.push(socket),
                Err(cause) => {
                    let have = sockets.len();
                    tracing::warn!(%cause, have, "fewer sockets for DNS than cores");
                    break;
                }
            }
        }
    }
    Ok(sockets)
}

/// Listens for streams, ready for a runtime.
///
/// # Errors
/// That of the socket.
pub(super) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(family(addr), SocketType::STREAM, flags, None)?;
    // Streams that have just ended do not keep a node that starts again from its port.
    set_socket_reuseaddr(&socket, true)?;
    // Each connection gets what the socket had when it began to listen.
    set_socket_recv_buffer_size(&socket, STREAM_RECEIVED_BYTES)?;
    set_socket_send_buffer_size(&socket, STREAM_SENT_BYTES)?;
    bind_socket(&socket, &addr)?;
    listen_at(&socket, BACKLOG)?;
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn family(addr: SocketAddr) -> AddressFamily {
    match addr {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

fn open(addr: SocketAddr, is_shared: bool) -> io::Result<UdpSocket> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(family(addr), SocketType::DGRAM, flags, None)?;
    if is_shared {
        set_socket_reuseport(&socket, true)?;
    }
    set_socket_recv_buffer_size(&socket, WAITING_BYTES)?;
    set_socket_send_buffer_size(&socket, WAITING_BYTES)?;
    // Before it is bound: each datagram says where it came to, or an answer could leave from elsewhere.
    #[cfg(target_os = "linux")]
    if addr.ip().is_unspecified() {
        use nix::sys::socket::{setsockopt, sockopt};
        match addr {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
    }
    bind_socket(&socket, &addr)?;
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(LOOK_EVERY))?;
    socket.set_write_timeout(Some(LOOK_EVERY))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_taken_stays_so() {
        let home = SocketAddr::from(([127, 0, 0, 1], 0));
        let ours = bind(home, 3).unwrap();
        assert_eq!(ours.len(), 3);
        let at = ours[0].local_addr().unwrap();
        assert!(ours.iter().all(|socket| socket.local_addr().unwrap() == at));
        for count in [1, 3] {
            let taken = bind(at, count).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        }
        drop(ours);
        assert_eq!(bind(at, 1).unwrap().len(), 1);
    }

    #[test]
    fn the_system_keeps_little_for_a_stream() {
        use rustix::net::sockopt::{socket_recv_buffer_size, socket_send_buffer_size};
        use std::net::TcpStream;
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        // Linux counts its own use with it.
        let received = socket_recv_buffer_size(&stream).unwrap();
        assert!((STREAM_RECEIVED_BYTES..=2 * STREAM_RECEIVED_BYTES).contains(&received));
        let sent = socket_send_buffer_size(&stream).unwrap();
        assert!((STREAM_SENT_BYTES..=2 * STREAM_SENT_BYTES).contains(&sent));
    }

    #[test]
    fn there_is_a_socket_for_each_core_and_no_more_than_that() {
        assert!((1..=SOCKETS_MAX).contains(&count()));
    }
}
