//! The way of a question without a socket, for those who try it with bytes of all kinds.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::dns::answer::{Reply, Transport, UDP_ANSWER_BYTES_MAX};
use crate::dns::cookie::CookieSecret;
use crate::dns::datagrams::answer_one;
use crate::dns::door::Moment;
use crate::dns::edition::Editions;
use crate::dns::seats::Seats;
use crate::dns::serve::{Asker, Desk, Said, Turns};
use crate::dns::signed::Keys;
use crate::dns::streams::{Limits, converse};

/// A server without sockets.
#[derive(Debug)]
pub struct Trial {
    desk: Desk,
    turns: Turns,
    out: Vec<u8>,
}

impl Trial {
    /// One that answers from these editions, as [`crate::dns::serve::Server`] does.
    pub fn new(
        editions: Editions,
        keys: Keys,
        cookies: CookieSecret,
        answers_per_second: u32,
    ) -> Self {
        Self {
            desk: Desk::new(editions, keys, cookies, answers_per_second),
            turns: Turns::new(),
            out: Vec::new(),
        }
    }

    /// What answers one datagram, if anything; at a time in seconds since 1970, and since the server began.
    pub fn datagram(
        &mut self,
        request: &[u8],
        client: IpAddr,
        unix: u64,
        running: Duration,
    ) -> Option<&[u8]> {
        let limit = UDP_ANSWER_BYTES_MAX;
        let asker = Asker {
            ip: client,
            transport: Transport::Udp { limit },
        };
        let (now, turns, out) = (Moment { unix, running }, &mut self.turns, &mut self.out);
        let zone = self.desk.zone();
        let said = answer_one(&zone, &self.desk.door, request, asker, now, turns, out);
        drop(zone);
        match said {
            Reply::Silence => return None,
            Reply::Send => {}
            Reply::Signed => match self.desk.answer_signed(request, asker)? {
                Said::Reply(reply) => self.out = reply,
                Said::Transfer(..) => return None,
            },
        }
        Some(&self.out)
    }

    /// Talks with one client until it has said all, or the server is done with it.
    ///
    /// # Panics
    /// When the only seat cannot be had.
    pub async fn stream<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) {
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let limits = Limits::default();
        let seat = Seats::take(&Arc::default(), client, &limits, Instant::now());
        let seat = seat.expect("nobody else sits here");
        converse(stream, client, &seat, &self.desk).await;
    }
}
