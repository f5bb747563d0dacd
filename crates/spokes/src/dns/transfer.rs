//! The whole zone, or what changed in it, for a mirror (AXFR: RFC 5936; IXFR: RFC 1995).
//!
//! A mirror may ask any node of the council, and another one in the middle: versions and records are the same
//! everywhere.

use std::time::Duration;

use domain::base::iana::{Class, Opcode, Rtype};
use domain::base::{Message, ToName as _};
use domain::rdata::Soa;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::task::{block_in_place, yield_now};
use tokio::time::{Instant, timeout};

use crate::dns::berths::{Berth, Berths};
use crate::dns::edition::{Copy, Editions};
use crate::dns::encode::WireName;
use crate::dns::history::{Since, records};
use crate::dns::sheets::Sheets;
use crate::dns::signed::Signer;

/// How long a mirror may leave a message lying without reading it.
const WRITE_TIME_OUT: Duration = Duration::from_secs(30);
/// Bytes of a name's records, about: from so many on for each name that there is, all is shorter than what changed.
const NAME_BYTES: u64 = 100;

/// What a mirror wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everything.
    All,
    /// What has changed since this version.
    Since(u32),
}

/// A request for a transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    id: u16,
    pub(crate) wanted: Wanted,
}

/// A request for what has changed that does not say since when.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads a request; none where it is another one, or of another zone.
///
/// # Errors
/// When it asks for what has changed, and no SOA record says since when (RFC 1995 section 3).
pub(crate) fn read(request: &[u8], apex: &WireName) -> Result<Option<Request>, Malformed> {
    let Ok(message) = Message::from_octets(request) else {
        return Ok(None);
    };
    let Ok(question) = message.sole_question() else {
        return Ok(None);
    };
    let mut name = question.qname().to_vec().into_octets();
    name.make_ascii_lowercase();
    let is_ours = name == apex.as_slice() && question.qclass() == Class::IN;
    if !is_ours || message.header().opcode() != Opcode::QUERY {
        return Ok(None);
    }
    let wanted = match question.qtype() {
        Rtype::AXFR => Wanted::All,
        Rtype::IXFR => {
            let known = message.authority().ok().and_then(|records| {
                let soa = records.limit_to::<Soa<_>>().next()?.ok()?;
                Some(soa.data().serial().into_int())
            });
            Wanted::Since(known.ok_or(Malformed)?)
        }
        _ => return Ok(None),
    };
    let id = message.header().id();
    Ok(Some(Request { id, wanted }))
}

/// Why a transfer did not come to its end.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It was not begun: too many are on their way, or there is no version that can be handed on.
    NotNow,
    /// The mirror is gone, or does not read.
    Gone,
    /// More has changed meanwhile than is kept.
    Lost,
}

/// Sends what a mirror wants through a stream.
///
/// # Errors
/// When it did not come to its end; if it was not begun nothing was sent.
pub(crate) async fn send<S: AsyncWrite + Unpin>(
    editions: &Editions,
    berths: &Berths,
    request: Request,
    signer: &mut Signer,
    stream: &mut S,
) -> Result<(), Failed> {
    let berth = berths.take(signer.mirror(), Instant::now());
    let berth = &berth.ok_or(Failed::NotNow)?;
    let mut out = Out {
        stream,
        signer,
        berth,
    };
    let since = match request.wanted {
        Wanted::All => None,
        Wanted::Since(serial) => block_in_place(|| since(editions, serial)),
    };
    let sending = async {
        match since {
            Some(changes) => out.changes(request.id, changes).await,
            None => out.all(request, editions).await,
        }
    };
    tokio::select! {
        sent = sending => sent,
        () = berth.lost() => Err(Failed::Gone),
    }
}

/// What a mirror gets that has some version.
enum Changes {
    /// It has all there is: the SOA record.
    None(WireName, Vec<u8>),
    /// What came since, and the SOA record now.
    Some(WireName, Vec<u8>, Since),
}

/// What changed since a version; none when the whole zone is what it needs.
fn since(editions: &Editions, serial: u32) -> Option<Changes> {
    let head = editions.head()?;
    let ahead = head.serial.wrapping_sub(serial);
    // What is not behind is the same or ahead (RFC 1982 section 3.2).
    if ahead == 0 || ahead > u32::MAX / 2 {
        return Some(Changes::None(head.apex, head.soa));
    }
    let (since, soa) = editions.since(serial)?;
    let names = u64::try_from(head.names).unwrap_or(u64::MAX);
    let is_short = since.bytes() <= names.saturating_mul(NAME_BYTES);
    is_short.then_some(Changes::Some(head.apex, soa, since))
}

struct Out<'a, S> {
    stream: &'a mut S,
    signer: &'a mut Signer,
    berth: &'a Berth,
}

impl<S: AsyncWrite + Unpin> Out<'_, S> {
    async fn changes(&mut self, id: u16, changes: Changes) -> Result<(), Failed> {
        match changes {
            Changes::None(apex, soa) => {
                let mut sheets = Sheets::new(id, &apex, Rtype::IXFR);
                sheets.push(&[], &soa);
                self.send(sheets.end()).await
            }
            Changes::Some(apex, soa, since) => {
                let mut sheets = Sheets::new(id, &apex, Rtype::IXFR);
                sheets.push(&[], &soa);
                for difference in since.read() {
                    let (gone, come) = difference.map_err(|_| Failed::Lost)?;
                    for (name, body) in records(&gone).chain(records(&come)) {
                        sheets.push(name, body);
                    }
                    self.send(sheets.full()).await?;
                }
                sheets.push(&[], &soa);
                self.send(sheets.end()).await
            }
        }
    }

    async fn all(&mut self, request: Request, editions: &Editions) -> Result<(), Failed> {
        let copy = block_in_place(|| editions.copy()).ok_or(Failed::NotNow)?;
        let rtype = match request.wanted {
            Wanted::All => Rtype::AXFR,
            Wanted::Since(_) => Rtype::IXFR,
        };
        let mut sheets = Sheets::new(request.id, copy.apex(), rtype);
        sheets.push(&[], copy.soa());
        for _ in 0..Copy::PARTS {
            if !block_in_place(|| copy.read_next(&mut sheets)) {
                return Err(Failed::Lost);
            }
            self.send(sheets.full()).await?;
        }
        sheets.push(&[], copy.soa());
        self.send(sheets.end()).await
    }

    async fn send(&mut self, messages: Vec<Vec<u8>>) -> Result<(), Failed> {
        for message in messages {
            let signed = self.signer.sign(&message).ok_or(Failed::Lost)?;
            let length = u16::try_from(signed.len()).map_err(|_| Failed::Lost)?;
            let framed = [&length.to_be_bytes()[..], &signed].concat();
            match timeout(WRITE_TIME_OUT, self.stream.write_all(&framed)).await {
                Ok(Ok(())) => self.berth.moved(Instant::now()),
                Ok(Err(_)) => return Err(Failed::Gone),
                Err(_) => {
                    self.berth.stood_still(Instant::now());
                    return Err(Failed::Gone);
                }
            }
            // A mirror that reads as fast as we send does not keep others waiting.
            yield_now().await;
        }
        Ok(())
    }
}

/// The SOA record of this version, as an answer to a request for what changed that came as a datagram: it says
/// whether there is something to come for by a stream (RFC 1995 section 4).
pub(crate) fn by_datagram(editions: &Editions, request: Request) -> Option<Vec<u8>> {
    let head = editions.head()?;
    let mut sheets = Sheets::new(request.id, &head.apex, Rtype::IXFR);
    sheets.push(&[], &head.soa);
    sheets.end().pop()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{APEX, request, zone};

    /// A mirror may ask as often as it likes.
    #[test]
    fn what_is_not_the_whole_zone_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let editions = Editions::new(APEX).unwrap();
        editions.replace(zone(), Some((dir.path().to_owned(), 7)));
        let wanted = Wanted::Since(7);
        for _ in 0..10_000 {
            assert!(by_datagram(&editions, Request { id: 1, wanted }).is_some());
            assert!(matches!(since(&editions, 7), Some(Changes::None(..))));
            assert!(since(&editions, 3).is_none());
        }
        assert_eq!(editions.copies(), 0);
    }

    #[test]
    fn who_wants_what_has_changed_says_since_when() {
        let apex = zone().apex().clone();
        let read = |words| read(&request(words), &apex).map(|read| read.map(|read| read.wanted));
        assert_eq!(read("AXFR blogs.example.org"), Ok(Some(Wanted::All)));
        assert_eq!(read("IXFR blogs.example.org"), Err(Malformed));
        assert_eq!(read("IXFR blogs.example.org records=2"), Err(Malformed));
        assert_eq!(read("IXFR example.org"), Ok(None));
        assert_eq!(read("A blogs.example.org"), Ok(None));
    }
}
