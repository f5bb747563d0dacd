//! Readers: each goes from page to page, by the names that its resolver knows, as browsers do.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    common::http::{Failed, within},
    names::Resolver,
    network::DOMAIN,
    writers::Safe,
};

/// How long a reader looks at a page.
const LOOK: Duration = Duration::from_millis(300);
/// A machine that is silent so long is given up for the next address; browsers differ, from a quarter of
/// a second to far more.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// After so long without a byte a reader presses "reload".
const PATIENCE: Duration = Duration::from_secs(10);
/// A page that failed is asked for again after this.
const RELOAD: Duration = Duration::from_millis(500);
/// What was safe for so long must be on every member's pages.
const SETTLED: Duration = Duration::from_secs(10);

/// One page that somebody wanted.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) began: Instant,
    pub(crate) took: Duration,
    /// Attempts that showed an error, with the last error's words.
    pub(crate) failed: usize,
    pub(crate) why: String,
    pub(crate) page: String,
}

/// What all readers saw.
#[derive(Debug, Default)]
pub(crate) struct Reads(Mutex<Vec<Read>>);

impl Reads {
    pub(crate) fn all(&self) -> Vec<Read> {
        self.0.lock().unwrap().clone()
    }

    /// One reader, until it is over.
    pub(crate) fn read(
        &self,
        resolver: &Resolver,
        blogs: &[String],
        number: usize,
        safe: &Safe,
        over: &AtomicBool,
    ) {
        for turn in number.. {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let blog = &blogs[turn % blogs.len()];
            let slug = safe.settled(blog, turn, SETTLED);
            let page = match (turn % 2, slug) {
                (0, Some(slug)) => format!("/{slug}"),
                _ => "/".to_owned(),
            };
            let read = look(resolver, blog, &page, over);
            self.0.lock().unwrap().push(read);
            thread::sleep(LOOK);
        }
    }
}

/// Asks for a page until it is there.
fn look(resolver: &Resolver, blog: &str, page: &str, over: &AtomicBool) -> Read {
    let host = format!("{blog}.{DOMAIN}");
    let began = Instant::now();
    let (mut failed, mut why) = (0, String::new());
    loop {
        match attempt(&resolver.resolve(&host), &host, page) {
            Ok(()) => break,
            Err(reason) => {
                failed += 1;
                why = reason;
            }
        }
        if over.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(RELOAD);
    }
    Read {
        began,
        took: began.elapsed(),
        failed,
        why,
        page: format!("{host}{page}"),
    }
}

/// One attempt: address after address, until one takes the connection.
fn attempt(addresses: &[Ipv4Addr], host: &str, page: &str) -> Result<(), String> {
    if addresses.is_empty() {
        return Err("the name has no address".to_owned());
    }
    let request = format!("GET {page} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut why = String::new();
    for address in addresses {
        let to = SocketAddr::new(IpAddr::V4(*address), 80);
        match within(to, request.as_bytes(), CONNECT_WAIT, PATIENCE) {
            Ok(reply) if reply.status == 200 => return Ok(()),
            Ok(reply) => return Err(format!("{address} answers {}", reply.status)),
            Err(Failed::Broken) => return Err(format!("{address} took it and gave no answer")),
            Err(failed) => why = format!("{address}: {failed:?}"),
        }
    }
    Err(format!("no address answers; {why}"))
}
