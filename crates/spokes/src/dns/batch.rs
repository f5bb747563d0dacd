//! Many datagrams in, many out, each way by one call of the system.
//!
//! Under load a batch fills by itself while the one before is answered; alone, a question is answered at once.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use crate::dns::serve::REQUEST_BYTES_MAX;

/// Datagrams at once. More gain nothing measurable, and the zone is locked for reading as long.
pub(super) const BATCH: usize = if cfg!(target_os = "linux") { 32 } else { 1 };

/// Where a datagram came from, and for a socket of any address where it came to.
#[derive(Clone, Copy, Debug)]
struct Way {
    client: SocketAddr,
    #[cfg(target_os = "linux")]
    here: Option<linux::Here>,
}

/// Room for a batch, used again and again.
pub(super) struct Batch {
    requests: Box<[[u8; REQUEST_BYTES_MAX]]>,
    /// How long each request is, and its way, for as many as there are.
    received: Vec<(usize, Way)>,
    replies: Vec<Vec<u8>>,
    #[cfg(target_os = "linux")]
    heads: linux::Heads,
}

impl Batch {
    /// For a socket that is bound to `addr`.
    pub(super) fn new(addr: SocketAddr) -> Self {
        #[cfg(not(target_os = "linux"))]
        let _ = addr;
        Self {
            requests: vec![[0; REQUEST_BYTES_MAX]; BATCH].into(),
            received: Vec::with_capacity(BATCH),
            replies: vec![Vec::new(); BATCH],
            #[cfg(target_os = "linux")]
            heads: linux::heads(addr),
        }
    }

    /// The requests that are here, each with its client and room for a reply; where that stays empty none is sent.
    pub(super) fn each(&mut self) -> impl Iterator<Item = (&[u8], SocketAddr, &mut Vec<u8>)> {
        let requests = self.requests.iter().zip(&self.received);
        requests
            .zip(&mut self.replies)
            .map(|((request, (length, way)), reply)| (&request[..*length], way.client, reply))
    }
}

#[cfg(not(target_os = "linux"))]
impl Batch {
    /// Waits for a datagram.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.received.clear();
        let (length, client) = socket.recv_from(&mut self.requests[0])?;
        self.received.push((length, Way { client }));
        Ok(())
    }

    /// Sends the reply.
    pub(super) fn send(&mut self, socket: &UdpSocket) {
        for (_, client, reply) in self.each().filter(|(.., reply)| !reply.is_empty()) {
            if let Err(cause) = socket.send_to(reply, client) {
                tracing::debug!(%cause, %client, "a DNS answer could not be sent");
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::array;
    use std::io::{IoSlice, IoSliceMut};
    use std::os::fd::AsRawFd as _;

    use nix::cmsg_space;
    use nix::libc::{in_pktinfo, in6_pktinfo};
    use nix::sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage,
        recvmmsg, sendmsg,
    };
    use rustix::net::addr::SocketAddrArg as _;
    use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

    use super::*;

    pub(super) type Heads = MultiHeaders<SockaddrStorage>;

    /// To which of this machine's addresses a datagram came.
    #[derive(Clone, Copy, Debug)]
    pub(super) enum Here {
        V4(in_pktinfo),
        V6(in6_pktinfo),
    }

    pub(super) fn heads(addr: SocketAddr) -> Heads {
        // Who listens at one address knows where a datagram came to.
        let room = match addr {
            _ if !addr.ip().is_unspecified() => None,
            SocketAddr::V4(_) => Some(cmsg_space!(in_pktinfo)),
            SocketAddr::V6(_) => Some(cmsg_space!(in6_pktinfo)),
        };
        MultiHeaders::preallocate(BATCH, room)
    }

    fn read(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<(usize, Way)> {
        let from = message.address.as_ref()?;
        let v4 = || Some(SocketAddr::V4((*from.as_sockaddr_in()?).into()));
        let v6 = || Some(SocketAddr::V6((*from.as_sockaddr_in6()?).into()));
        let client = v4().or_else(v6)?;
        let here = |said| match said {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Here::V4(info)),
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(Here::V6(info)),
            _ => None,
        };
        let here = message
            .cmsgs()
            .ok()
            .and_then(|mut said| said.find_map(here));
        Some((message.bytes, Way { client, here }))
    }

    impl Batch {
        /// Waits for a datagram, and takes those that are there by then.
        ///
        /// # Errors
        /// That of the system; also where none came for some time, or a signal did.
        pub(in crate::dns) fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
            self.received.clear();
            let mut rooms = self.requests.iter_mut();
            let mut rooms: [_; BATCH] = array::from_fn(|_| {
                let room = rooms.next().expect("there is room for a batch");
                [IoSliceMut::new(room)]
            });
            let flags = MsgFlags::MSG_WAITFORONE;
            let (fd, heads) = (socket.as_raw_fd(), &mut self.heads);
            for message in recvmmsg(fd, heads, &mut rooms, flags, None)? {
                // One whose client is unknown keeps its place, or the others would be taken for their neighbours.
                let nobody = Way {
                    client: SocketAddr::from(([0, 0, 0, 0], 0)),
                    here: None,
                };
                self.received.push(read(&message).unwrap_or((0, nobody)));
            }
            Ok(())
        }

        /// Sends the replies. What cannot be sent is lost, as datagrams are: its client asks again or not.
        pub(in crate::dns) fn send(&mut self, socket: &UdpSocket) {
            let mut picked = [0; BATCH];
            let mut count = 0;
            for (at, (_, way)) in self.received.iter().enumerate() {
                match (self.replies[at].is_empty(), &way.here) {
                    (true, _) => {}
                    (false, Some(here)) => send_from(socket, here, way.client, &self.replies[at]),
                    (false, None) => {
                        picked[count] = at;
                        count += 1;
                    }
                }
            }
            if count > 0 {
                self.send_picked(socket, &picked, count);
            }
        }

        fn send_picked(&self, socket: &UdpSocket, picked: &[usize; BATCH], count: usize) {
            let clients = picked.map(|at| self.received.get(at).map_or_else(nowhere, as_client));
            let replies = picked.map(|at| [IoSlice::new(&self.replies[at])]);
            let mut said: [SendAncillaryBuffer<'_, '_, '_>; BATCH] =
                array::from_fn(|_| SendAncillaryBuffer::default());
            let mut said = said.iter_mut();
            let mut messages: [_; BATCH] = array::from_fn(|at| {
                let said = said.next().expect("there is one for each");
                MMsgHdr::new_with_addr(&clients[at], &replies[at], said)
            });
            let mut from = 0;
            // Answers to addresses that nobody has wait in the socket for seconds: others must not wait behind them.
            while from < count {
                match sendmmsg(socket, &mut messages[from..count], SendFlags::DONTWAIT) {
                    Ok(sent) => from += sent.max(1),
                    Err(rustix::io::Errno::INTR) => {}
                    // The first of them is at fault: a client that cannot be reached, or a port 0 that is none.
                    Err(cause) => {
                        let client = self.received[picked[from]].1.client;
                        tracing::debug!(%cause, %client, "a DNS answer could not be sent");
                        from += 1;
                    }
                }
            }
        }
    }

    fn as_client(received: &(usize, Way)) -> rustix::net::SocketAddrAny {
        received.1.client.as_any()
    }

    fn nowhere() -> rustix::net::SocketAddrAny {
        SocketAddr::from(([0, 0, 0, 0], 0)).as_any()
    }

    /// Sends from the address to which the request came, by whichever way leads to the client.
    fn send_from(socket: &UdpSocket, here: &Here, client: SocketAddr, reply: &[u8]) {
        let (v4, v6);
        let from = match *here {
            Here::V4(info) => {
                v4 = in_pktinfo {
                    ipi_ifindex: 0,
                    ..info
                };
                ControlMessage::Ipv4PacketInfo(&v4)
            }
            Here::V6(info) => {
                v6 = in6_pktinfo {
                    ipi6_ifindex: 0,
                    ..info
                };
                ControlMessage::Ipv6PacketInfo(&v6)
            }
        };
        let (fd, reply, client) = (
            socket.as_raw_fd(),
            [IoSlice::new(reply)],
            SockaddrStorage::from(client),
        );
        if let Err(cause) = sendmsg(fd, &reply, &[from], MsgFlags::MSG_DONTWAIT, Some(&client)) {
            tracing::debug!(%cause, %client, "a DNS answer could not be sent");
        }
    }
}
