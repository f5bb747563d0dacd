//! The sockets for datagrams: one for each core, all at one address.
//!
//! The system deals clients out among them (`SO_REUSEPORT`), so that cores wait for nothing that another one holds.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_recv_buffer_size, set_socket_reuseport, set_socket_send_buffer_size,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind as bind_socket, socket_with};

/// Sockets at most: each has a thread, and some hundred kilobytes. Sixteen answer some million questions a second.
const SOCKETS_MAX: usize = 16;

/// Bytes of datagrams that may wait in one socket while its thread answers others; the system gives less where its own
/// limit is lower (`net.core.rmem_max`).
const WAITING_BYTES: usize = 1 << 20;

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

fn open(addr: SocketAddr, is_shared: bool) -> io::Result<UdpSocket> {
    let family = match addr {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
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
    fn there_is_a_socket_for_each_core_and_no_more_than_that() {
        assert!((1..=SOCKETS_MAX).contains(&count()));
    }
}
