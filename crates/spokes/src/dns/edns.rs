//! What a request and its reply say in an OPT record (EDNS, RFC 6891): how long a reply may be, whether signatures are
//! wanted, and cookies (RFC 7873). Other options are not for us, and ignored (RFC 6891 section 6.1.2).

use domain::base::ParsedRecord;
use domain::base::iana::{OptRcode, OptionCode};
use domain::base::opt::{Opt, OptHeader, UnknownOptData};
use domain::base::wire::ParseError;

use crate::dns::answer::UDP_ANSWER_BYTES_MAX;
use crate::dns::cookie::{Cookie, WHOLE_COOKIE_BYTES};

/// What every client takes over UDP without saying so (RFC 1035 section 4.2.1).
pub(crate) const UDP_ANSWER_BYTES_MIN: u16 = 512;

/// An OPT record without options (RFC 6891 section 6.1.2).
pub(crate) const OPT_BYTES: usize = 11;

/// The code and the length of an option.
const OPTION_HEAD: usize = 4;

/// The only version of EDNS there is.
const VERSION: u8 = 0;

/// What a request says of its client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edns {
    udp_bytes: u16,
    version: u8,
    dnssec_ok: bool,
    cookie: Option<Cookie>,
}

impl Edns {
    /// What stands in the head of an OPT record; [`Self::read_options`] reads the rest.
    pub(crate) fn read_head(record: &ParsedRecord<'_, [u8]>) -> Self {
        let ttl = record.ttl().as_secs().to_be_bytes();
        Self {
            udp_bytes: record.class().to_int(),
            version: ttl[1],
            dnssec_ok: ttl[2] & 0x80 != 0,
            cookie: None,
        }
    }

    /// Reads the options, of which only the first cookie counts (RFC 7873 section 5.2).
    ///
    /// # Errors
    /// When they are not whole, or that cookie has a length that none has: FORMERR. Options of another version may be
    /// laid out otherwise; that gets BADVERS.
    pub(crate) fn read_options(
        &mut self,
        record: &ParsedRecord<'_, [u8]>,
    ) -> Result<(), ParseError> {
        if !self.is_spoken() {
            return Ok(());
        }
        let Some(opt) = record.to_record::<Opt<_>>()? else {
            return Ok(());
        };
        let options = opt.data().iter::<UnknownOptData<_>>();
        for option in options {
            let option = option?;
            if option.code() == OptionCode::COOKIE {
                let cookie = Cookie::read(option.as_slice());
                let bad = || ParseError::form_error("a cookie of no length that there is");
                self.cookie = Some(cookie.ok_or_else(bad)?);
                break;
            }
        }
        Ok(())
    }

    /// Whether it is of the version that is spoken here; BADVERS if not.
    pub(crate) fn is_spoken(&self) -> bool {
        self.version == VERSION
    }

    /// Whether the client can do with signatures (the DO bit, RFC 3225).
    pub(crate) fn wants_dnssec(&self) -> bool {
        self.is_spoken() && self.dnssec_ok
    }

    /// The cookie that came with it.
    pub(crate) fn cookie(&self) -> Option<Cookie> {
        self.cookie
    }

    /// How long a datagram the client takes, in bytes: none takes less than 512, whatever it says (RFC 6891
    /// section 6.2.3).
    pub(crate) fn udp_bytes(edns: Option<&Self>) -> u16 {
        edns.map_or(UDP_ANSWER_BYTES_MIN, |edns| {
            edns.udp_bytes.max(UDP_ANSWER_BYTES_MIN)
        })
    }

    /// How many bytes [`Self::write`] will take.
    pub(crate) fn reply_bytes(cookie: Option<&[u8; WHOLE_COOKIE_BYTES]>) -> usize {
        OPT_BYTES + cookie.map_or(0, |cookie| OPTION_HEAD + cookie.len())
    }

    /// Appends the OPT record that answers this one.
    pub(crate) fn write(
        &self,
        rcode: OptRcode,
        cookie: Option<&[u8; WHOLE_COOKIE_BYTES]>,
        out: &mut Vec<u8>,
    ) {
        let mut opt = OptHeader::default();
        opt.set_udp_payload_size(UDP_ANSWER_BYTES_MAX);
        opt.set_rcode(rcode);
        opt.set_version(VERSION);
        // RFC 3225 section 3: the bit is copied, signed zone or not.
        opt.set_dnssec_ok(self.dnssec_ok);
        let Ok(()) = opt.compose(out);
        let options = cookie.map_or(0, |cookie| OPTION_HEAD + cookie.len());
        let short = |bytes: usize| u16::try_from(bytes).expect("a cookie is short");
        out.extend_from_slice(&short(options).to_be_bytes());
        if let Some(cookie) = cookie {
            out.extend_from_slice(&OptionCode::COOKIE.to_int().to_be_bytes());
            out.extend_from_slice(&short(cookie.len()).to_be_bytes());
            out.extend_from_slice(cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::base::iana::OptRcode;

    use crate::dns::answer::{
        Manner, Request, Transport, UDP_ANSWER_BYTES_MAX, reply, reply_briefly, reply_error,
    };
    use crate::dns::testing::{request, told, with_option, zone};

    const BACK: [u8; 24] = [7; 24];

    fn manner(limit: u16) -> Manner<'static> {
        Manner {
            transport: Transport::Udp { limit },
            rotation: 0,
            cookie: Some(&BACK),
        }
    }

    /// What answers a request to which options were added.
    #[track_caller]
    fn check(words: &str, options: &[(u8, &[u8])], expected: &str) {
        let mut bytes = request(words);
        // The length of the options before is that of the first one here, so there is one at most beside it.
        for (code, data) in options {
            bytes = with_option(bytes, *code, data);
        }
        let mut out = Vec::new();
        let request = Request::read(&bytes).unwrap();
        reply(&zone(), &request, &manner(UDP_ANSWER_BYTES_MAX), &mut out);
        let said = told(&out);
        let (head, tail) = (
            said.split(' ').next().unwrap(),
            said.rsplit(" | ").next().unwrap(),
        );
        assert_eq!(format!("{head} {tail}"), expected);
    }

    #[test]
    fn a_cookie_has_a_length_and_other_options_are_ignored() {
        let ada = "A ada.blogs.example.org edns=1232";
        check(ada, &[(10, &[1; 8])], "NOERROR edns 0 1232 cookie");
        check(ada, &[(10, &[1; 24])], "NOERROR edns 0 1232 cookie");
        check(ada, &[(10, &[1; 40])], "NOERROR edns 0 1232 cookie");
        for length in [0, 7, 9, 15, 41] {
            check(ada, &[(10, &vec![1; length])], "FORMERR edns 0 1232 cookie");
        }
        check(ada, &[(3, b"")], "NOERROR edns 0 1232 cookie");
        check(ada, &[(12, &[0; 200])], "NOERROR edns 0 1232 cookie");
        // Options of a version that nobody speaks are not looked at.
        let other = "A ada.blogs.example.org edns=1232 version=1";
        check(other, &[(10, &[1; 3])], "BADVERS edns 0 1232 cookie");
    }

    #[test]
    fn a_reply_with_a_cookie_keeps_to_the_limit() {
        let bytes = request("TXT longer.blogs.example.org edns=4096");
        let request = Request::read(&bytes).unwrap();
        let mut out = Vec::new();
        reply(&zone(), &request, &manner(u16::MAX), &mut out);
        let whole = u16::try_from(out.len()).unwrap();
        assert!(told(&out).ends_with(" | edns 0 1232 cookie"));
        for (limit, is_cut) in [(whole, false), (whole - 1, true)] {
            reply(&zone(), &request, &manner(limit), &mut out);
            assert_eq!(told(&out).contains(" tc "), is_cut);
            assert!(told(&out).ends_with(" | edns 0 1232 cookie"));
        }
    }

    #[test]
    fn who_is_sent_on_hears_how() {
        let check = |words: &str, expected: &str| {
            let bytes = request(words);
            let mut out = b"what was here".to_vec();
            let request = Request::read(&bytes).unwrap();
            reply_briefly(&zone(), &request, &manner(512), &mut out);
            assert_eq!(told(&out), expected);
        };
        check(
            "A ada.blogs.example.org",
            "NOERROR tc | ada.blogs.example.org A",
        );
        check(
            "A no.blogs.example.org",
            "NXDOMAIN tc | no.blogs.example.org A",
        );
        check("A example.org", "REFUSED | example.org A");
        check(
            "A ada.blogs.example.org opcode=9",
            "NOTIMP | ada.blogs.example.org A",
        );
        check("A ada.blogs.example.org questions=0", "FORMERR");
        let bytes = request("A ada.blogs.example.org edns=1232");
        let mut out = Vec::new();
        let asked = Request::read(&bytes).unwrap();
        reply_error(&zone(), &asked, OptRcode::BADCOOKIE, &manner(512), &mut out);
        let expected = "BADCOOKIE | ada.blogs.example.org A | edns 0 1232 cookie";
        assert_eq!(told(&out), expected);
    }
}
