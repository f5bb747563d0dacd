//! The messages of a transfer: as many records in each as it should hold (RFC 5936 section 2.2).
//!
//! Each message repeats the question, so the apex stands at byte 12 of all of them. An owner is its own labels and a
//! pointer there, or a pointer to the same owner before: as small as a search for more would make it, within a
//! few bytes.

use domain::base::HeaderSection;
use domain::base::iana::{Class, Rcode, Rtype};

use crate::dns::encode::WireName;

/// Bytes from which on a message is full: pointers reach the first 16 KiB (RFC 1035 section 4.1.4), and a signature
/// for each costs little.
const SHEET_BYTES: usize = 16 * 1024;
/// How far a pointer reaches. What lies farther has its owner in full.
pub(crate) const POINTER_REACH: usize = 1 << 14;
/// A pointer to the apex, with which the question begins.
const APEX_POINTER: u16 = 0xC000 | 12;

/// A record without its owner: type, class, time to live, length, data.
pub(crate) type Body = [u8];

/// Packs records into messages.
#[derive(Debug)]
pub(crate) struct Sheets {
    /// Header and question, with which each message begins.
    head: Vec<u8>,
    message: Vec<u8>,
    count: u16,
    /// Whose record came last, and where its name stands in this message.
    last: Option<(Box<[u8]>, u16)>,
    full: Vec<Vec<u8>>,
}

impl Sheets {
    /// Begins the answer to a request for a transfer of the zone at `apex`.
    pub(crate) fn new(id: u16, apex: &WireName, rtype: Rtype) -> Self {
        let mut section = HeaderSection::new();
        section.counts_mut().set_qdcount(1);
        let header = section.header_mut();
        header.set_id(id);
        header.set_qr(true);
        header.set_aa(true);
        header.set_rcode(Rcode::NOERROR);
        let mut head = section.as_slice().to_vec();
        head.extend_from_slice(apex.as_slice());
        head.extend_from_slice(&rtype.to_int().to_be_bytes());
        head.extend_from_slice(&Class::IN.to_int().to_be_bytes());
        Self {
            message: head.clone(),
            head,
            count: 0,
            last: None,
            full: Vec::new(),
        }
    }

    /// Adds a record; `name` is its owner without the apex.
    pub(crate) fn push(&mut self, name: &[u8], body: &Body) {
        if self.count > 0 && self.message.len() + name.len() + 2 + body.len() > SHEET_BYTES {
            self.turn();
        }
        match &self.last {
            Some((last, at)) if **last == *name => {
                let pointer = 0xC000 | *at;
                self.message.extend_from_slice(&pointer.to_be_bytes());
            }
            _ => {
                let at = self.message.len();
                self.message.extend_from_slice(name);
                self.message.extend_from_slice(&APEX_POINTER.to_be_bytes());
                let at = u16::try_from(at)
                    .ok()
                    .filter(|at| usize::from(*at) < POINTER_REACH);
                self.last = at.map(|at| (name.into(), at));
            }
        }
        self.message.extend_from_slice(body);
        self.count += 1;
    }

    /// The messages that are full by now.
    pub(crate) fn full(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.full)
    }

    /// All that are left.
    pub(crate) fn end(mut self) -> Vec<Vec<u8>> {
        if self.count > 0 {
            self.turn();
        }
        self.full
    }

    fn turn(&mut self) {
        let mut message = std::mem::replace(&mut self.message, self.head.clone());
        HeaderSection::for_message_slice_mut(&mut message)
            .counts_mut()
            .set_ancount(self.count);
        self.full.push(message);
        self.count = 0;
        self.last = None;
    }
}
