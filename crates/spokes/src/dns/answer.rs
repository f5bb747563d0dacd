//! One request in, one reply out: nothing here waits, remembers or touches a socket.
//!
//! The bytes are a stranger's: any of them gives a reply or silence, never a panic, and the work
//! is bounded by the length of one name, `RECORDS_MAX` and the size of one set.

use domain::base::iana::{Class, Opcode, OptRcode, Rtype};
use domain::base::name::ToLabelIter as _;
use domain::base::wire::ParseError;
use domain::base::{Header, HeaderSection, ParsedName, ParsedRecord, Question};
use domain::dep::octseq::Parser;

use crate::dns::cookie::WHOLE_COOKIE_BYTES;
use crate::dns::edns::Edns;
use crate::dns::encode::{NAME_BYTES_MAX, WireSet, denial_ttl};
use crate::dns::secured::{Answered, Proof, Secured, pointer};
use crate::dns::zone::{Found, Zone};

/// The largest UDP answer we send, and what we say we can receive, in bytes.
///
/// With 40 bytes of IPv6 and 8 of UDP it fits every path, 1,280 bytes, without being cut in pieces
/// (DNS flag day 2020).
pub const UDP_ANSWER_BYTES_MAX: u16 = 1232;

/// Records beside the question that a request may bring: OPT, a signature, an SOA for IXFR, and
/// one to spare. More would only make us walk them.
const RECORDS_MAX: u32 = 4;

const HEADER_BYTES: usize = 12;

/// Where the question's name stands.
const QUESTION_AT: u16 = 12;

/// The bit of the header's third byte that says so (RFC 1035 section 4.1.1).
const TRUNCATED: u8 = 0x02;

/// How a request came, which says how long the reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram of at most `limit` bytes, and less if the client takes less.
    Udp {
        /// Bytes, [`UDP_ANSWER_BYTES_MAX`] unless there is a reason.
        limit: u16,
    },
    /// A stream: a reply may have 65,535 bytes.
    Tcp,
}

/// What is to be done with the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Send it.
    Send,
    /// Send nothing: what came was no request, and an answer could start a loop.
    Silence,
    /// The request is signed, and nothing was written: whoever knows the keys answers it.
    Signed,
}

/// Answers `request` from `zone` into `out`, which is emptied first.
///
/// `rotation` turns the order of addresses. A request shorter than a header and a message that is
/// itself an answer get silence; everything else gets a reply, if only an error.
pub fn answer(
    zone: &Zone,
    request: &[u8],
    transport: Transport,
    rotation: u64,
    out: &mut Vec<u8>,
) -> Reply {
    out.clear();
    let Some(request) = Request::read(request) else {
        return Reply::Silence;
    };
    if request.is_signed() {
        return Reply::Signed;
    }
    let manner = Manner {
        transport,
        rotation,
        cookie: None,
    };
    reply(zone, &request, &manner, out);
    Reply::Send
}

/// How a reply is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    /// How the request came.
    pub(crate) transport: Transport,
    /// Turns the order of addresses.
    pub(crate) rotation: u64,
    /// The cookie that goes back; without EDNS in the request it does not.
    pub(crate) cookie: Option<&'a [u8; WHOLE_COOKIE_BYTES]>,
}

/// Writes what answers a request, signed or not, into `out`, which is emptied first.
pub(crate) fn reply(zone: &Zone, request: &Request<'_>, manner: &Manner<'_>, out: &mut Vec<u8>) {
    let verdict = judge(zone, request.header.opcode(), request);
    write(zone, request, &verdict, manner, out);
}

/// Writes nothing but this error.
pub(crate) fn reply_error(
    zone: &Zone,
    request: &Request<'_>,
    rcode: OptRcode,
    manner: &Manner<'_>,
    out: &mut Vec<u8>,
) {
    write(zone, request, &Verdict::error(rcode), manner, out);
}

/// Writes what answers a request without its records: the client is to ask by a stream (RFC 1035 section 4.2.1).
pub(crate) fn reply_briefly(
    zone: &Zone,
    request: &Request<'_>,
    manner: &Manner<'_>,
    out: &mut Vec<u8>,
) {
    let rcode = judge(zone, request.header.opcode(), request).rcode;
    reply_error(zone, request, rcode, manner, out);
    // Other errors are no longer by a stream.
    if matches!(rcode, OptRcode::NOERROR | OptRcode::NXDOMAIN) {
        out[2] |= TRUNCATED;
    }
}

/// What could be read of a request.
pub(crate) struct Request<'a> {
    header: Header,
    question: Option<Asked<'a>>,
    edns: Option<Edns>,
    /// False when anything was wrong; then what was read before it still counts for the echo.
    is_whole: bool,
    /// Whether the last record is a signature (RFC 8945 section 5.1).
    is_signed: bool,
}

struct Asked<'a> {
    /// The question as sent: clients hide random bits in the case of its letters.
    sent: &'a [u8],
    name: LowerName,
    rtype: Rtype,
    class: Class,
}

/// A name in lower case, without an allocation.
struct LowerName {
    bytes: [u8; NAME_BYTES_MAX],
    length: usize,
}

impl<'a> Request<'a> {
    /// Reads a request; none where it is shorter than a header or itself an answer: that gets silence.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() < HEADER_BYTES {
            return None;
        }
        let header = *HeaderSection::for_message_slice(bytes).header();
        if header.qr() {
            return None;
        }
        let mut request = Self {
            header,
            question: None,
            edns: None,
            is_whole: false,
            is_signed: false,
        };
        request.is_whole = request.parse(bytes).is_ok();
        Some(request)
    }

    /// What it says of its client.
    pub(crate) fn edns(&self) -> Option<&Edns> {
        self.edns.as_ref()
    }

    /// Whether it bears a signature: whoever knows the keys answers it.
    pub(crate) fn is_signed(&self) -> bool {
        self.is_signed
    }

    fn parse(&mut self, bytes: &'a [u8]) -> Result<(), ParseError> {
        let counts = *HeaderSection::for_message_slice(bytes).counts();
        // RFC 9619: a query has one question. (Opcodes without one are not served.)
        if counts.qdcount() != 1 {
            return Err(ParseError::form_error("not one question"));
        }
        let mut parser = Parser::from_ref(bytes);
        parser.advance(HEADER_BYTES)?;
        self.question = Some(Asked::parse(bytes, &mut parser)?);

        let before = u32::from(counts.ancount()) + u32::from(counts.nscount());
        let records = before + u32::from(counts.arcount());
        if records > RECORDS_MAX {
            return Err(ParseError::form_error("too many records"));
        }
        let mut is_signed = false;
        for index in 0..records {
            let record = ParsedRecord::parse(&mut parser)?;
            if record.rtype() == Rtype::OPT {
                self.read_opt(&record, index >= before)?;
            }
            is_signed = record.rtype() == Rtype::TSIG && index >= before;
        }
        if parser.remaining() > 0 {
            return Err(ParseError::form_error("bytes after the last record"));
        }
        self.is_signed = is_signed;
        Ok(())
    }

    /// RFC 6891 section 6.1.1: one OPT at most, of the root, in the additional section.
    fn read_opt(
        &mut self,
        record: &ParsedRecord<'_, [u8]>,
        is_additional: bool,
    ) -> Result<(), ParseError> {
        if self.edns.is_some() || !is_additional || !record.owner().is_root() {
            return Err(ParseError::form_error("a misplaced OPT record"));
        }
        self.edns
            .insert(Edns::read_head(record))
            .read_options(record)
    }
}

impl<'a> Asked<'a> {
    fn parse(bytes: &'a [u8], parser: &mut Parser<'a, [u8]>) -> Result<Self, ParseError> {
        let start = parser.pos();
        let question: Question<ParsedName<&[u8]>> = Question::parse(parser)?;
        let sent = &bytes[start..parser.pos()];
        let length = sent.len() - 4;
        // There is nothing before the question that a pointer could mean. A name that is one alone does not count as
        // compressed for the library.
        if usize::from(question.qname().compose_len()) != length {
            return Err(ParseError::form_error("a compressed question"));
        }
        let mut name = LowerName {
            bytes: [0; NAME_BYTES_MAX],
            length,
        };
        name.bytes[..length].copy_from_slice(&sent[..length]);
        // The lengths of labels are below 64, the letters above: no length changes here.
        name.bytes[..length].make_ascii_lowercase();
        Ok(Self {
            sent,
            name,
            rtype: question.qtype(),
            class: question.qclass(),
        })
    }
}

/// What to say.
struct Verdict<'z> {
    rcode: OptRcode,
    is_authoritative: bool,
    answer: Option<Answered<'z>>,
    authority: Option<WireSet<'z>>,
    /// For who validates, where the zone is signed.
    secured: Option<Secured<'z>>,
}

impl Verdict<'_> {
    fn error(rcode: OptRcode) -> Self {
        Verdict {
            rcode,
            is_authoritative: false,
            answer: None,
            authority: None,
            secured: None,
        }
    }
}

fn judge<'z>(zone: &'z Zone, opcode: Opcode, request: &Request<'_>) -> Verdict<'z> {
    match opcode {
        Opcode::QUERY => {}
        // An UPDATE answered with NOERROR would be believed (RFC 2136 section 3.8).
        Opcode::UPDATE | Opcode::NOTIFY => return Verdict::error(OptRcode::REFUSED),
        _ => return Verdict::error(OptRcode::NOTIMP),
    }
    let (Some(asked), true) = (&request.question, request.is_whole) else {
        return Verdict::error(OptRcode::FORMERR);
    };
    if request.edns.is_some_and(|edns| !edns.is_spoken()) {
        return Verdict::error(OptRcode::BADVERS);
    }
    match asked.rtype {
        // OPT is never asked for; the types beside ANY are transfers and other wholesale.
        Rtype::OPT => return Verdict::error(OptRcode::FORMERR),
        Rtype::TKEY | Rtype::TSIG | Rtype::IXFR | Rtype::AXFR | Rtype::MAILB | Rtype::MAILA => {
            return Verdict::error(OptRcode::REFUSED);
        }
        _ => {}
    }
    if asked.class != Class::IN {
        return Verdict::error(OptRcode::REFUSED);
    }
    let name = &asked.name.bytes[..asked.name.length];
    let (rcode, whole) = match zone.find(name) {
        Found::Outside => return Verdict::error(OptRcode::REFUSED),
        Found::Missing => (OptRcode::NXDOMAIN, None),
        Found::Name(whole) => (OptRcode::NOERROR, Some(whole)),
    };
    let answer = whole.and_then(|whole| Answered::of(whole, asked.rtype));
    let Some(denial) = zone.denial() else {
        return Verdict::error(OptRcode::SERVFAIL);
    };
    let validates = request.edns().is_some_and(Edns::wants_dnssec) && zone.order().is_some();
    let secured = validates.then(|| {
        let before = &name[..name.len() - zone.apex_bytes()];
        match (&answer, rcode) {
            (Some(_), _) => Secured::new(whole, Proof::default()),
            (None, OptRcode::NXDOMAIN) => {
                Secured::new(zone.whole(&[]), Proof::no_name(zone, before))
            }
            (None, _) => Secured::new(zone.whole(&[]), Proof::no_data(zone, before)),
        }
    });
    let authority = if answer.is_none() { Some(denial) } else { None };
    Verdict {
        rcode,
        is_authoritative: true,
        answer,
        authority,
        secured,
    }
}

fn write(
    zone: &Zone,
    request: &Request<'_>,
    verdict: &Verdict<'_>,
    manner: &Manner<'_>,
    out: &mut Vec<u8>,
) {
    out.clear();
    let mut head = HeaderSection::new();
    out.extend_from_slice(head.as_slice());
    if let Some(question) = &request.question {
        out.extend_from_slice(question.sent);
        head.counts_mut().set_qdcount(1);
    }
    let records_at = out.len();

    // Only a question of this zone has records: then its name ends in the apex, 4 bytes of type
    // and class before here.
    let apex = || u16::try_from(records_at - 4 - zone.apex_bytes()).expect("names are short");
    let signatures = |rtype, owner: [u8; 2], ttl, out: &mut Vec<u8>| {
        let secured = verdict.secured.as_ref();
        secured.map_or(0, |secured| secured.append(rtype, &owner, ttl, out))
    };
    if let Some(held) = verdict.answer {
        let count = held.append(out, (QUESTION_AT, apex()), manner.rotation);
        let count = count + signatures(held.rtype(), pointer(QUESTION_AT), None, out);
        head.counts_mut().set_ancount(count);
    }
    if let Some(set) = verdict.authority {
        set.append(out, apex(), manner.rotation);
        let (owner, ttl) = (pointer(apex()), denial_ttl(set));
        let mut count = set.count() + signatures(Rtype::SOA, owner, ttl, out);
        if let Some(secured) = &verdict.secured {
            count += secured.append_proof(apex(), out);
        }
        head.counts_mut().set_nscount(count);
    }
    let opt_bytes = request.edns.map_or(0, |_| Edns::reply_bytes(manner.cookie));
    let is_truncated = out.len() + opt_bytes > reply_bytes_max(manner.transport, request.edns());
    if is_truncated {
        // RFC 2181 section 9: half a set is worth nothing, the client has to ask again over TCP.
        out.truncate(records_at);
        head.counts_mut().set_ancount(0);
        head.counts_mut().set_nscount(0);
    }
    if let Some(edns) = request.edns {
        edns.write(verdict.rcode, manner.cookie, out);
        head.counts_mut().set_arcount(1);
    }

    let (header, asked) = (head.header_mut(), request.header);
    header.set_id(asked.id());
    header.set_qr(true);
    header.set_opcode(asked.opcode());
    header.set_aa(verdict.is_authoritative);
    header.set_tc(is_truncated);
    header.set_rd(asked.rd());
    header.set_rcode(verdict.rcode.rcode());
    out[..HEADER_BYTES].copy_from_slice(head.as_slice());
}

fn reply_bytes_max(transport: Transport, edns: Option<&Edns>) -> usize {
    match transport {
        Transport::Tcp => usize::from(u16::MAX),
        Transport::Udp { limit } => Edns::udp_bytes(edns).min(limit).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::base::Message;
    use proptest::prelude::*;

    use super::*;
    use crate::dns::testing::{APEX, ID, addresses, request, set, soa, told, zone};
    use spokes_rules::zone::{Data, RrSet};

    const UDP: Transport = Transport::Udp {
        limit: UDP_ANSWER_BYTES_MAX,
    };

    fn reply(zone: &Zone, request: &[u8], transport: Transport, rotation: u64) -> Vec<u8> {
        let mut out = b"what was here before".to_vec();
        assert_eq!(
            answer(zone, request, transport, rotation, &mut out),
            Reply::Send
        );
        out
    }

    #[track_caller]
    fn check(words: &str, expected: &str) {
        let (words, transport) = match words.strip_suffix(" tcp") {
            Some(words) => (words, Transport::Tcp),
            None => (words, UDP),
        };
        let reply = reply(&zone(), &request(words), transport, 0);
        assert_eq!(
            told(&reply)
                .replace(".blogs.example.org", ".@")
                .replace(APEX, "@"),
            expected
        );
        assert_eq!(reply[..2], ID.to_be_bytes());
        assert_eq!(reply[2] & 1, 1, "RD is copied");
    }

    const SOA: &str = "ns1.@ council.example.org 7 60 30 604800 10";

    #[test]
    fn answers_what_the_zone_holds() {
        check(
            "A ada.blogs.example.org",
            "NOERROR aa | ada.@ A | ada.@ 30 A 192.0.2.1 | ada.@ 30 A 192.0.2.2",
        );
        check(
            "AAAA edit.maria.blogs.example.org",
            "NOERROR aa | edit.maria.@ AAAA | edit.maria.@ 30 AAAA 2001:db8::4",
        );
        check(
            "TXT _blog.ada.blogs.example.org",
            "NOERROR aa | _blog.ada.@ TXT | _blog.ada.@ 30 TXT \"v=1 blog=sha256:00\"",
        );
        check(
            "CAA blogs.example.org",
            "NOERROR aa | @ CAA | @ 30 CAA 0 issue \"letsencrypt.org\"",
        );
        check(
            "NS blogs.example.org",
            "NOERROR aa | @ NS | @ 3600 NS ns1.@ | @ 3600 NS @ | @ 3600 NS ns.example.net",
        );
        check(
            "SOA blogs.example.org",
            &format!("NOERROR aa | @ SOA | @ 3600 SOA {SOA}"),
        );
    }

    #[test]
    fn says_no_with_the_time_for_which_no_holds() {
        let no = format!("authority: @ 10 SOA {SOA}");
        check(
            "TXT ada.blogs.example.org",
            &format!("NOERROR aa | ada.@ TXT | {no}"),
        );
        // Nobody put anything at maria itself, but edit.maria is there.
        check(
            "A maria.blogs.example.org",
            &format!("NOERROR aa | maria.@ A | {no}"),
        );
        check(
            "ANY maria.blogs.example.org",
            &format!("NOERROR aa | maria.@ ANY | {no}"),
        );
        check(
            "A nobody.blogs.example.org",
            &format!("NXDOMAIN aa | nobody.@ A | {no}"),
        );
        check(
            "A x.ada.blogs.example.org",
            &format!("NXDOMAIN aa | x.ada.@ A | {no}"),
        );
    }

    #[test]
    fn any_gets_one_set() {
        check(
            "ANY ada.blogs.example.org",
            "NOERROR aa | ada.@ ANY | ada.@ 30 A 192.0.2.1 | ada.@ 30 A 192.0.2.2",
        );
    }

    #[test]
    fn refuses_what_is_not_its_business() {
        check("A example.org", "REFUSED | example.org A");
        check("A .", "REFUSED |  A");
        check("A xblogs.example.org", "REFUSED | x@ A");
        check("A ada.blogs.example.org class=CH", "REFUSED | ada.@ A");
        check(
            "A ada.blogs.example.org class=CLASS255",
            "REFUSED | ada.@ A",
        );
        check("AXFR blogs.example.org tcp", "REFUSED | @ AXFR");
        check("IXFR blogs.example.org", "REFUSED | @ IXFR");
        check("SOA blogs.example.org opcode=5", "REFUSED | @ SOA");
        check("SOA blogs.example.org opcode=4", "REFUSED | @ SOA");
        check("A ada.blogs.example.org opcode=15", "NOTIMP | ada.@ A");
        check("A ada.blogs.example.org opcode=2", "NOTIMP | ada.@ A");
    }

    #[test]
    fn faults_of_form_are_named() {
        check("A ada.blogs.example.org questions=0", "FORMERR");
        check("A ada.blogs.example.org questions=2", "FORMERR");
        check(
            "A ada.blogs.example.org records=4",
            "NOERROR aa | ada.@ A | ada.@ 30 A 192.0.2.1 | ada.@ 30 A 192.0.2.2",
        );
        check("A ada.blogs.example.org records=5", "FORMERR | ada.@ A");
        check("OPT ada.blogs.example.org", "FORMERR | ada.@ OPT");
        check(
            "A ada.blogs.example.org edns=1232 opts=2",
            "FORMERR | ada.@ A | edns 0 1232",
        );
        // An UPDATE with many records is still refused, and never believed.
        check(
            "SOA blogs.example.org opcode=5 records=9",
            "REFUSED | @ SOA",
        );
    }

    #[test]
    fn bytes_that_are_no_query_get_an_error_or_silence() {
        let zone = zone();
        let good = request("A ada.blogs.example.org");
        for length in 0..12 {
            let mut out = vec![1];
            assert_eq!(
                answer(&zone, &good[..length], UDP, 0, &mut out),
                Reply::Silence
            );
            assert!(out.is_empty());
        }
        let mut answered = good.clone();
        answered[2] |= 0x80;
        assert_eq!(
            answer(&zone, &answered, UDP, 0, &mut Vec::new()),
            Reply::Silence
        );

        for length in 12..good.len() {
            assert_eq!(told(&reply(&zone, &good[..length], UDP, 0)), "FORMERR");
        }
        let longer = [&good[..], &[0]].concat();
        assert!(told(&reply(&zone, &longer, UDP, 0)).starts_with("FORMERR"));
        // A question that points at itself, and at a zero in the header.
        for at in [12, 10, 8] {
            let pointing = [&good[..12], &[0xC0, at, 0, 1, 0, 1]].concat();
            assert_eq!(told(&reply(&zone, &pointing, UDP, 0)), "FORMERR");
        }
    }

    #[test]
    fn edns_is_spoken_when_asked() {
        let ada = "ada.@ A | ada.@ 30 A 192.0.2.1 | ada.@ 30 A 192.0.2.2";
        check(
            "A ada.blogs.example.org edns=4096",
            &format!("NOERROR aa | {ada} | edns 0 1232"),
        );
        check(
            "A ada.blogs.example.org edns=0 do",
            &format!("NOERROR aa | {ada} | edns 0 1232 do"),
        );
        check(
            "A ada.blogs.example.org edns=512 version=1",
            "BADVERS | ada.@ A | edns 0 1232",
        );
        check(
            "A example.org edns=512",
            "REFUSED | example.org A | edns 0 1232",
        );
    }

    #[test]
    fn truncates_whole_sets_to_the_lowest_of_the_limits() {
        let cut = "NOERROR aa tc | long.@ TXT";
        let zone = zone();
        check("TXT long.blogs.example.org", cut);
        check(
            "TXT long.blogs.example.org edns=1000",
            &format!("{cut} | edns 0 1232"),
        );
        let whole = reply(
            &zone,
            &request("TXT long.blogs.example.org edns=1232"),
            UDP,
            0,
        );
        assert!(told(&whole).starts_with("NOERROR aa | ") && whole.len() > 1100);
        check(
            "TXT longer.blogs.example.org edns=4096",
            "NOERROR aa tc | longer.@ TXT | edns 0 1232",
        );
        let whole = reply(
            &zone,
            &request("TXT longer.blogs.example.org"),
            Transport::Tcp,
            0,
        );
        assert!(told(&whole).starts_with("NOERROR aa | ") && whole.len() > 1300);

        // To the byte: a reply that is as long as the limit goes out whole.
        let fits = u16::try_from(whole.len()).unwrap();
        let question = request("TXT longer.blogs.example.org edns=4096");
        for (limit, is_cut) in [(fits + 10, true), (fits + 11, false)] {
            let reply = reply(&zone, &question, Transport::Udp { limit }, 0);
            assert_eq!(Message::from_octets(&reply).unwrap().header().tc(), is_cut);
        }
    }

    #[test]
    fn the_largest_set_fits_a_stream_with_the_longest_question() {
        let owner = format!("{0}.{0}.{0}.{1}.{APEX}", "a".repeat(63), "b".repeat(43));
        assert_eq!(owner.len(), 253);
        let mut zone = zone();
        // 254 strings of 256 bytes, 12 bytes before them: 65,036 is too much, 64,780 is not.
        let text = |strings: usize| vec![set(vec![Data::Txt("x".repeat(255 * strings))])];
        assert!(zone.set(&owner, text(254)).is_err());
        zone.set(&owner, text(253)).unwrap();
        let reply = reply(
            &zone,
            &request(&format!("TXT {owner} edns=512")),
            Transport::Tcp,
            0,
        );
        assert!(told(&reply).starts_with("NOERROR aa | ") && reply.len() > 65_000);
        let top =
            12 + 255 + 4 + crate::dns::encode::RRSET_BYTES_MAX + Edns::reply_bytes(Some(&[0; 24]));
        assert!(top <= usize::from(u16::MAX));
    }

    #[test]
    fn the_case_of_the_question_comes_back() {
        let zone = zone();
        let asked = request("NS BloGs.exAMPLE.org");
        let reply = reply(&zone, &asked, UDP, 0);
        assert_eq!(reply[12..asked.len()], asked[12..]);
        assert!(
            told(&reply).contains("NS ns1.BloGs.exAMPLE.org"),
            "{}",
            told(&reply)
        );
    }

    #[test]
    fn addresses_take_turns_and_other_records_do_not() {
        let zone = zone();
        let firsts = |words: &str| -> BTreeSet<String> {
            let request = request(words);
            let nth = |n| {
                told(&reply(&zone, &request, UDP, n))
                    .split(" | ")
                    .nth(2)
                    .unwrap()
                    .into()
            };
            (0..3).chain([u64::MAX]).map(nth).collect()
        };
        assert_eq!(firsts("A blogs.example.org").len(), 3);
        assert_eq!(firsts("AAAA blogs.example.org").len(), 3);
        assert_eq!(firsts("NS blogs.example.org").len(), 1);
        let turned = told(&reply(&zone, &request("A blogs.example.org"), UDP, 4));
        let order: Vec<_> = turned
            .split("192.0.2.")
            .skip(1)
            .map(|rest| &rest[..1])
            .collect();
        assert_eq!(order, ["2", "3", "1"]);
    }

    #[test]
    fn a_zone_without_soa_is_not_ready() {
        let mut zone = Zone::new(APEX).unwrap();
        zone.set("ada.blogs.example.org", addresses(&[1])).unwrap();
        let ask = |zone: &Zone| told(&reply(zone, &request("A ada.blogs.example.org"), UDP, 0));
        assert!(ask(&zone).starts_with("SERVFAIL | "));
        zone.set(
            APEX,
            vec![RrSet {
                ttl: 5,
                data: vec![Data::Soa(soa())],
            }],
        )
        .unwrap();
        assert!(ask(&zone).starts_with("NOERROR aa | "));
        // Its own time to live is below its minimum here.
        let no = told(&reply(
            &zone,
            &request("A nobody.blogs.example.org"),
            UDP,
            0,
        ));
        assert!(no.contains("authority: blogs.example.org 5 SOA"), "{no}");
        zone.set(APEX, vec![]).unwrap();
        assert!(ask(&zone).starts_with("SERVFAIL | "));
    }

    /// Any bytes: no panic, silence only where promised, and every reply can be read.
    fn survive(bytes: &[u8], rotation: u64) {
        let zone = zone();
        for transport in [UDP, Transport::Udp { limit: 0 }, Transport::Tcp] {
            let mut out = Vec::new();
            let is_request = bytes.len() >= 12 && bytes[2] & 0x80 == 0;
            match answer(&zone, bytes, transport, rotation, &mut out) {
                Reply::Silence => assert!(!is_request && out.is_empty()),
                Reply::Signed => assert!(is_request && out.is_empty()),
                Reply::Send => {
                    assert!(is_request);
                    told(&out);
                    assert_eq!(out[..2], bytes[..2]);
                    assert_eq!(out[2] & 0x79, bytes[2] & 0x79, "opcode and RD are copied");
                    assert!(transport != UDP || out.len() <= 1232);
                    if let [b, ..] = bytes[2..] {
                        let is_query = b & 0x78 == 0;
                        assert!(is_query || out[3] & 0x0F != 0, "only a query may succeed");
                    }
                }
            }
        }
    }

    const WORDS: &[&str] = &[
        "A ada.blogs.example.org edns=1232 do",
        "ANY blogs.example.org",
        "TXT longer.blogs.example.org edns=4096",
        "A nobody.blogs.example.org records=2 edns=600",
        "SOA blogs.example.org opcode=5 records=3",
    ];

    proptest! {
        #[test]
        fn random_bytes_do_no_harm(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            rotation: u64,
        ) {
            survive(&bytes, rotation);
        }

        #[test]
        fn bytes_behind_a_good_header_do_no_harm(
            counts in proptest::array::uniform4(0u8..3),
            rest in proptest::collection::vec(prop_oneof![any::<u8>(), 0u8..4, 0xC0u8..=0xC0], 0..80),
        ) {
            let [q, a, b, c] = counts;
            let mut bytes = vec![1, 2, 0, 0, 0, q, 0, a, 0, b, 0, c];
            bytes.extend(rest);
            survive(&bytes, 1);
        }

        #[test]
        fn mutated_requests_do_no_harm(
            words in proptest::sample::select(WORDS),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in proptest::option::of(any::<prop::sample::Index>()),
            rotation: u64,
        ) {
            let mut bytes = request(words);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            survive(&bytes, rotation);
        }
    }
}
