//! Whether a mirror answers with what was published: asked as any resolver asks, and compared with our own zone.

use std::collections::{BTreeSet, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use domain::base::iana::{Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name, ParsedRecord};
use domain::rdata::{AllRecordData, Soa};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

use crate::config::random_bytes;
use crate::dns::answer::{Transport, UDP_ANSWER_BYTES_MAX, answer};
use crate::dns::edition::Editions;

/// How long a mirror may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// How old the version may be that a mirror answers with: it asks by itself once a minute, if it heard nothing.
pub(crate) const LAG_MAX: Duration = Duration::from_secs(120);

/// What one look at a mirror saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saw {
    /// It answers, and with what was published.
    Well,
    /// It answers nothing, or not for this zone.
    Silent,
    /// It answers with a version that is too old.
    Behind,
    /// It answers something else than its version says.
    Lies,
}

/// When this node published which version, for as long as that matters.
#[derive(Debug, Default)]
pub(crate) struct Lately(VecDeque<(Instant, u32)>);

impl Lately {
    /// Notes the version that there is now.
    pub(crate) fn note(&mut self, serial: u32) {
        let now = Instant::now();
        if self.0.back().is_none_or(|(_, last)| *last != serial) {
            self.0.push_back((now, serial));
        }
        // The last one that is old enough stays: that must a mirror have.
        while self.0.get(1).is_some_and(|(at, _)| at.elapsed() > LAG_MAX) {
            self.0.pop_front();
        }
    }

    /// Whether a mirror with that version is up to date enough.
    fn is_recent(&self, serial: u32) -> bool {
        let needed = self.0.front().filter(|(at, _)| at.elapsed() > LAG_MAX);
        let Some((_, needed)) = needed else {
            return true;
        };
        // Not older than that one (RFC 1982 section 3.2).
        serial.wrapping_sub(*needed) <= u32::MAX / 2
    }
}

/// What an answer says: its code, whether it is said with authority, and its records in any order.
type Told = (Rcode, bool, BTreeSet<String>);

fn told(message: &[u8]) -> Option<Told> {
    let message = Message::from_octets(message).ok()?;
    let header = message.header();
    let mut records = BTreeSet::new();
    for record in message.answer().ok()? {
        let record: ParsedRecord<'_, _> = record.ok()?;
        let record = record.to_record::<AllRecordData<_, _>>().ok()??;
        records.insert(format!("{} {}", record.rtype(), record.data()));
    }
    Some((header.rcode(), header.aa(), records))
}

fn question(name: &str, rtype: Rtype) -> Option<Vec<u8>> {
    let mut builder = MessageBuilder::new_vec().question();
    builder
        .header_mut()
        .set_id(u16::from_be_bytes(random_bytes().ok()?));
    let name: Name<Vec<u8>> = name.parse().ok()?;
    builder.push((name, rtype)).ok()?;
    Some(builder.finish())
}

async fn ask(mirror: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let any: SocketAddr = match mirror {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let asked = async {
        let socket = UdpSocket::bind(any).await.ok()?;
        socket.connect(mirror).await.ok()?;
        socket.send(request).await.ok()?;
        let mut reply = vec![0; usize::from(UDP_ANSWER_BYTES_MAX)];
        loop {
            let length = socket.recv(&mut reply).await.ok()?;
            // Of another question, or made up: waited on.
            if length > 2 && reply[..2] == request[..2] {
                reply.truncate(length);
                return Some(reply);
            }
        }
    };
    timeout(ANSWER_WAIT, asked).await.ok()?
}

/// The version that a name server answers with; none where it does not answer with authority.
pub(crate) async fn serial(server: SocketAddr, apex: &str) -> Option<u32> {
    let reply = ask(server, &question(apex, Rtype::SOA)?).await?;
    serial_in(&reply)
}

/// Looks at a mirror once: at its version, and at what it says of `names`. None where the zone changed meanwhile.
pub(crate) async fn look(
    mirror: SocketAddr,
    editions: &Editions,
    lately: &Lately,
    apex: &str,
    names: &[String],
) -> Option<Saw> {
    let serial = (*editions.serial().borrow())?;
    let Some(theirs) = self::serial(mirror, apex).await else {
        return Some(Saw::Silent);
    };
    if !lately.is_recent(theirs) {
        return Some(Saw::Behind);
    }
    for name in names {
        let request = question(name, Rtype::A)?;
        let mut ours = Vec::new();
        {
            let zone = editions.zone();
            let zone = zone.read();
            let limit = UDP_ANSWER_BYTES_MAX;
            answer(&zone, &request, Transport::Udp { limit }, 0, &mut ours);
        }
        let Some(said) = ask(mirror, &request).await else {
            return Some(Saw::Silent);
        };
        if *editions.serial().borrow() != Some(serial) || theirs != serial {
            return (theirs != serial).then_some(Saw::Well);
        }
        if told(&said) != told(&ours) {
            return Some(Saw::Lies);
        }
    }
    Some(Saw::Well)
}

fn serial_in(reply: &[u8]) -> Option<u32> {
    let message = Message::from_octets(reply).ok()?;
    if !message.header().aa() {
        return None;
    }
    let mut soa = message.answer().ok()?.limit_to::<Soa<_>>();
    Some(soa.next()?.ok()?.data().serial().into_int())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_mirror_may_lag_for_so_long() {
        let mut lately = Lately::default();
        lately.note(7);
        assert!(lately.is_recent(1), "nothing is known of before");
        tokio::time::advance(LAG_MAX / 2).await;
        lately.note(8);
        lately.note(8);
        tokio::time::advance(LAG_MAX / 2 + Duration::from_millis(1)).await;
        lately.note(9);
        assert!(lately.is_recent(7) && lately.is_recent(9) && !lately.is_recent(6));
        tokio::time::advance(LAG_MAX + Duration::from_millis(1)).await;
        lately.note(9);
        assert!(lately.is_recent(9) && !lately.is_recent(8));
        assert_eq!(lately.0.len(), 1);
    }
}
