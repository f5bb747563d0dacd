//! Who is answered, and how: by its cookie, and by how much its network has asked.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::clock;
use crate::dns::cookie::{CookieSecret, WHOLE_COOKIE_BYTES};
use crate::dns::edns::Edns;
use crate::dns::limit::{Limiter, Share};

/// A cookie that goes back.
type Back = Option<[u8; WHOLE_COOKIE_BYTES]>;

/// What is done with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Welcome {
    /// It is answered.
    Answer(Back),
    /// It gets a reply without records: the client is to come by a stream.
    Briefly,
    /// It gets a cookie and is to come again with it (BADCOOKIE, RFC 7873 section 5.2.3).
    Return([u8; WHOLE_COOKIE_BYTES]),
    /// It gets nothing.
    Silence,
}

/// A time, as cookies and limits need it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Seconds since 1970, by a clock that somebody may set.
    pub(crate) unix: u64,
    /// Since the door was opened, by a clock that nobody sets.
    pub(crate) running: Duration,
}

/// Knows cookies, and how much each network has asked.
#[derive(Debug)]
pub(crate) struct Door {
    cookies: CookieSecret,
    limiter: Limiter,
    opened: Instant,
}

impl Door {
    pub(crate) fn new(cookies: CookieSecret, answers_per_second: u32) -> Self {
        Self {
            cookies,
            limiter: Limiter::new(answers_per_second),
            opened: Instant::now(),
        }
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment {
            unix: clock::now().as_unix().try_into().unwrap_or(0),
            running: self.opened.elapsed(),
        }
    }

    /// The cookie for whoever came by a stream, and so reads what is sent to its address.
    pub(crate) fn cookie(&self, client: IpAddr, edns: Option<&Edns>, now: Moment) -> Back {
        let cookie = edns?.cookie()?;
        Some(self.cookies.judge(&cookie, client, now.unix).back)
    }

    /// Judges a request that came as a datagram.
    pub(crate) fn welcome(&self, client: IpAddr, edns: Option<&Edns>, now: Moment) -> Welcome {
        let cookie = edns.and_then(Edns::cookie);
        let known = cookie.map(|cookie| self.cookies.judge(&cookie, client, now.unix));
        let back = known.map(|known| known.back);
        // Whoever shows one of our cookies reads what is sent to it, and asked for it.
        if known.is_some_and(|known| known.is_good) {
            return Welcome::Answer(back);
        }
        match (self.limiter.take(client, now.running), back) {
            (Share::Whole, back) => Welcome::Answer(back),
            (Share::Brief, Some(back)) => Welcome::Return(back),
            (Share::Brief, None) => Welcome::Briefly,
            (Share::Nothing, _) => Welcome::Silence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::answer::Request;
    use crate::dns::testing::{request, with_option};

    const CLIENT: [u8; 4] = [192, 0, 2, 1];
    const NOW: Moment = Moment {
        unix: 1_559_731_985,
        running: Duration::ZERO,
    };

    /// A door at which two answers a second, eight at once, are given.
    fn door() -> Door {
        Door::new(CookieSecret::of_node(&[7; 32]), 2)
    }

    fn ask(door: &Door, cookie: Option<&[u8]>) -> Welcome {
        let mut bytes = request("A ada.blogs.example.org edns=1232");
        if let Some(cookie) = cookie {
            bytes = with_option(bytes, 10, cookie);
        }
        let request = Request::read(&bytes).unwrap();
        door.welcome(CLIENT.into(), request.edns(), NOW)
    }

    #[test]
    fn who_shows_a_good_cookie_is_answered_whatever_its_network_asked() {
        let door = door();
        let Welcome::Answer(Some(cookie)) = ask(&door, Some(b"a client")) else {
            panic!("the first question gets an answer and a cookie");
        };
        assert_eq!(cookie[..8], *b"a client");
        for _ in 0..7 {
            assert_eq!(ask(&door, None), Welcome::Answer(None));
        }
        for _ in 0..3 {
            assert_eq!(ask(&door, None), Welcome::Briefly);
            assert_eq!(ask(&door, None), Welcome::Silence);
            assert_eq!(ask(&door, Some(b"a client")), Welcome::Return(cookie));
            assert_eq!(ask(&door, Some(b"a client")), Welcome::Silence);
            assert_eq!(ask(&door, Some(&cookie)), Welcome::Answer(Some(cookie)));
        }
        let mut forged = cookie;
        forged[20] ^= 1;
        assert_eq!(ask(&door, Some(&forged)), Welcome::Return(cookie));
        assert_eq!(ask(&door, Some(&[1; 40])), Welcome::Silence);
    }

    #[test]
    fn by_a_stream_a_cookie_comes_back_without_a_limit() {
        let door = door();
        let bytes = with_option(request("A x edns=1232"), 10, b"a client");
        let request = Request::read(&bytes).unwrap();
        for _ in 0..100 {
            let back = door.cookie(CLIENT.into(), request.edns(), NOW);
            assert_eq!(back.unwrap()[..8], *b"a client");
        }
        assert_eq!(door.cookie(CLIENT.into(), None, NOW), None);
    }
}
