//! Cookies: a few bytes that a client brings back and that only whoever reads mail to its address can have
//! (RFC 7873). Ours are made as RFC 9018 has it, with nothing kept for a client.

use std::fmt;
use std::hash::Hasher as _;
use std::net::IpAddr;

use ring::hmac;
use siphasher::sip::SipHasher24;

/// The client's part (RFC 7873 section 4).
const CLIENT_BYTES: usize = 8;

/// The server's part, as we make it: version, three zeros, time, hash (RFC 9018 section 4).
const SERVER_BYTES: usize = 16;

/// What servers' parts have that others make, at least and at most (RFC 7873 section 4).
const OTHERS_BYTES: std::ops::RangeInclusive<usize> = 8..=32;

/// A whole cookie, as it stands in a reply.
pub(crate) const WHOLE_COOKIE_BYTES: usize = CLIENT_BYTES + SERVER_BYTES;

/// RFC 9018 section 4.1.
const VERSION: u8 = 1;

/// How long a cookie is good (RFC 9018 section 4.3).
const GOOD_SECONDS: u32 = 3_600;

/// How far a clock may have gone back since (RFC 9018 section 4.3).
const AHEAD_SECONDS: u32 = 300;

/// From what age on a client gets another one (RFC 9018 section 4.3).
const RENEWED_SECONDS: u32 = 1_800;

/// What a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cookie {
    client: [u8; CLIENT_BYTES],
    /// None also where it cannot be ours: both are answered alike (RFC 7873 section 5.2.4).
    server: Option<[u8; SERVER_BYTES]>,
}

impl Cookie {
    /// Reads the data of an option; none where it has a length that no cookie has (RFC 7873 section 5.2.2).
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let (client, server) = data.split_first_chunk()?;
        let is_whole = server.is_empty() || OTHERS_BYTES.contains(&server.len());
        is_whole.then(|| Self {
            client: *client,
            server: server.try_into().ok(),
        })
    }
}

/// What a client's cookie shows, and the one that goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Whether it is one of ours: then the client reads what is sent to its address.
    pub(crate) is_good: bool,
    /// The client's part, and ours.
    pub(crate) back: [u8; WHOLE_COOKIE_BYTES],
}

/// What cookies are made with. Whoever has it can take any address for his own.
#[derive(Clone)]
pub struct CookieSecret([u8; 16]);

impl fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret")
    }
}

impl CookieSecret {
    /// The secret of a node: the first 16 bytes of HMAC-SHA256, by the 32 bytes of its secret key, of the text below
    /// (SPEC dns 4.5). So it outlives a restart and is kept nowhere.
    pub fn of_node(seed: &[u8; 32]) -> Self {
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, seed),
            b"Spokes-Cookie-Key: 1\n",
        );
        Self(*tag.as_ref().first_chunk().expect("SHA-256 has 32 bytes"))
    }

    /// Any secret: cookies made with it are good as long as this process.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret)?;
        Ok(Self(secret))
    }

    /// Judges a client's cookie; `now` is in seconds since 1970, of which cookies have the last 32 bits.
    pub(crate) fn judge(&self, cookie: &Cookie, client: IpAddr, now: u64) -> Known {
        let now = u32::try_from(now & u64::from(u32::MAX)).expect("32 bits");
        let age = cookie.server.and_then(|server| {
            let (head, hash) = server.split_at(CLIENT_BYTES);
            let (head, hash) = (head.first_chunk()?, hash.first_chunk()?);
            let is_ours = head[0] == VERSION && self.hash(&cookie.client, head, client) == *hash;
            let made = u32::from_be_bytes(*head.last_chunk()?);
            is_ours.then(|| now.wrapping_sub(made))
        });
        // Times are compared as serials are (RFC 1982): what is ahead is more than half of all behind.
        let is_ahead = |age: u32| age.wrapping_neg() <= AHEAD_SECONDS;
        let is_good = age.is_some_and(|age| age <= GOOD_SECONDS || is_ahead(age));
        let is_young = age.is_some_and(|age| age <= RENEWED_SECONDS || is_ahead(age));
        let server = cookie.server.filter(|_| is_young);
        let server = server.unwrap_or_else(|| self.make(&cookie.client, client, now));
        let mut back = [0; WHOLE_COOKIE_BYTES];
        back[..CLIENT_BYTES].copy_from_slice(&cookie.client);
        back[CLIENT_BYTES..].copy_from_slice(&server);
        Known { is_good, back }
    }

    fn make(&self, client: &[u8; CLIENT_BYTES], ip: IpAddr, now: u32) -> [u8; SERVER_BYTES] {
        let mut server = [0; SERVER_BYTES];
        server[0] = VERSION;
        server[4..CLIENT_BYTES].copy_from_slice(&now.to_be_bytes());
        let head = *server.first_chunk().expect("it is longer");
        server[CLIENT_BYTES..].copy_from_slice(&self.hash(client, &head, ip));
        server
    }

    /// SipHash-2-4 of the client's part, the head of ours, and the client's address (RFC 9018 section 4.4).
    fn hash(&self, client: &[u8; CLIENT_BYTES], head: &[u8; 8], ip: IpAddr) -> [u8; 8] {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(client);
        hasher.write(head);
        match ip.to_canonical() {
            IpAddr::V4(ip) => hasher.write(&ip.octets()),
            IpAddr::V6(ip) => hasher.write(&ip.octets()),
        }
        hasher.finish().to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.map(byte).collect()
    }

    fn judge(secret: &str, cookie: &str, ip: &str, now: u64) -> (bool, String) {
        let secret = CookieSecret(bytes(secret).try_into().unwrap());
        let cookie = Cookie::read(&bytes(cookie)).unwrap();
        let known = secret.judge(&cookie, ip.parse().unwrap(), now);
        let back = known.back.iter().map(|b| format!("{b:02x}")).collect();
        (known.is_good, back)
    }

    /// RFC 9018 appendix A: what comes back at that time.
    #[track_caller]
    fn check(secret: &str, cookie: &str, ip: &str, now: u64, is_good: bool, back: &str) {
        let expected = (is_good, back.to_owned());
        assert_eq!(judge(secret, cookie, ip, now), expected);
    }

    #[test]
    fn cookies_are_those_of_the_standard() {
        let one = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        let ip = "198.51.100.100";
        check(ONE, &one[..16], ip, 1_559_731_985, false, one);
        // The same client, 40 minutes later.
        let later = "2464c4abcf10c957010000005cf7a871d4a564a1442aca77";
        check(ONE, one, ip, 1_559_734_385, true, later);
        // One in which somebody filled the three zeros.
        let filled = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
        let renewed = "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e";
        check(ONE, filled, "203.0.113.203", 1_559_734_700, false, renewed);
        assert!(judge(ONE, filled, "203.0.113.203", 1_559_731_000).0);
        let two = "445536bcd2513298075a5d379663c962";
        let old = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
        let new = "22681ab97d52c298010000005cf7c609a6bb79d16625507a";
        let ip = "2001:db8:220:1:59de:d0f4:8769:82b8";
        check(two, old, ip, 1_559_741_961, false, new);
        let before = "dd3bdf9344b678b185a6f5cb60fca715";
        check(before, old, ip, 1_559_741_961, true, old);
    }

    #[test]
    fn a_cookie_is_good_for_an_hour_and_renewed_after_half_of_it() {
        let made = 1_559_731_985;
        let ip = "198.51.100.100";
        let (_, one) = judge(ONE, "2464c4abcf10c957", ip, made);
        let at = |now| {
            let (is_good, back) = judge(ONE, &one, ip, now);
            (is_good, back == one)
        };
        assert_eq!(at(made), (true, true));
        assert_eq!(at(made + 1_800), (true, true));
        assert_eq!(at(made + 1_801), (true, false));
        assert_eq!(at(made + 3_600), (true, false));
        assert_eq!(at(made + 3_601), (false, false));
        assert_eq!(at(made - 300), (true, true));
        assert_eq!(at(made - 301), (false, false));
        // 2^32 seconds are one turn of it.
        assert_eq!(at(made + (1 << 32)), (true, true));
        assert!(!judge(ONE, &one, "198.51.100.101", made).0);
        assert_eq!(
            judge(ONE, &one, "::ffff:198.51.100.100", made),
            (true, one.clone())
        );
        assert!(!judge(&ONE.replace('e', "f"), &one, ip, made).0);
        let other_version = one.replacen("57010000", "57020000", 1);
        assert!(!judge(ONE, &other_version, ip, made).0);
    }

    #[test]
    fn a_cookie_has_a_length() {
        for length in 0..100 {
            let is_one = length == 8 || (16..=40).contains(&length);
            assert_eq!(Cookie::read(&vec![1; length]).is_some(), is_one, "{length}");
        }
    }

    #[test]
    fn each_node_has_its_own() {
        let of = |seed| CookieSecret::of_node(&[seed; 32]).0;
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let random = || CookieSecret::random().unwrap().0;
        assert_ne!(random(), random());
    }
}
