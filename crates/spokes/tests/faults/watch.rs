//! Who looks on: at every name on every server, and at what the registry takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    common::http::within,
    names::ask,
    network::{DOMAIN, Network},
};

/// How often every name is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A server that is silent is asked again with the next look.
const SERVER_WAIT: Duration = Duration::from_millis(150);
/// How long the registry's news is waited for.
const NEWS_WAIT: u64 = 2;

/// What one server said of one name, from when on.
type Said = (Instant, BTreeSet<Ipv4Addr>);

/// What the servers said.
#[derive(Debug, Default)]
pub(crate) struct Zone(Mutex<BTreeMap<(SocketAddr, String), Vec<Said>>>);

impl Zone {
    /// Asks one server for all names until it is over.
    pub(crate) fn watch(&self, server: SocketAddr, names: &[String], over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            let next = Instant::now() + LOOK_EVERY;
            for name in names {
                let Some(answer) = ask(server, name, SERVER_WAIT) else {
                    break;
                };
                let addresses: BTreeSet<_> = answer.addresses.into_iter().collect();
                let mut all = self.0.lock().unwrap();
                let said = all.entry((server, name.clone())).or_default();
                if said.last().is_none_or(|(_, last)| *last != addresses) {
                    said.push((Instant::now(), addresses));
                }
            }
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    /// How long after a moment the last server stopped naming an address under the last of these
    /// names; none when some still did at `until`.
    pub(crate) fn left(
        &self,
        ip: Ipv4Addr,
        names: &[String],
        since: Instant,
        until: Instant,
    ) -> Option<Duration> {
        let mut last = Duration::ZERO;
        for ((_, name), said) in self.0.lock().unwrap().iter() {
            if !names.contains(name) {
                continue;
            }
            let mut there = false;
            for (at, addresses) in said.iter().filter(|(at, _)| *at < until) {
                let is = addresses.contains(&ip);
                if there && !is && *at > since {
                    last = last.max(*at - since);
                }
                there = is;
            }
            if there {
                return None;
            }
        }
        Some(last)
    }

    /// All changes, for whoever looks for a cause.
    pub(crate) fn told(&self, since: impl Fn(Instant) -> String) -> BTreeMap<String, Vec<String>> {
        let all = self.0.lock().unwrap();
        let lines = |said: &Vec<Said>| {
            let line = |(at, is): &Said| format!("{} {is:?}", since(*at));
            said.iter().map(line).collect()
        };
        all.iter()
            .map(|((server, name), said)| (format!("{name} at {}", server.ip()), lines(said)))
            .collect()
    }

    /// How long after a moment each server named an address again under the first of these names.
    pub(crate) fn back(&self, ip: Ipv4Addr, names: &[String], since: Instant) -> Option<Duration> {
        let all = self.0.lock().unwrap();
        let of_names = all.iter().filter(|((_, name), _)| names.contains(name));
        let seen = of_names.filter_map(|(_, said)| {
            let last = said.last().filter(|(_, is)| is.contains(&ip))?;
            Some(last.0.saturating_duration_since(since))
        });
        seen.min()
    }
}

/// A record of the registry, when it was seen.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) at: Instant,
    pub(crate) text: String,
}

impl News {
    /// The values of the lines of one name.
    pub(crate) fn lines(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.text.lines();
        lines.filter_map(move |line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The value of the first of them.
    pub(crate) fn line(&self, name: &str) -> Option<&str> {
        self.lines(name).next()
    }

    pub(crate) fn kind(&self) -> &str {
        self.line("Kind").unwrap_or_default()
    }
}

/// What the registry took.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Vec<News>>);

impl Registry {
    pub(crate) fn all(&self) -> Vec<News> {
        self.0.lock().unwrap().clone()
    }

    /// Reads the log from whichever node of the council answers.
    pub(crate) fn watch(&self, network: &Network, over: &AtomicBool) {
        let council: Vec<SocketAddr> = network.council().map(|node| node.address()).collect();
        let mut turn = 0;
        while !over.load(Ordering::Relaxed) {
            let to = council[turn % council.len()];
            let after = self.0.lock().unwrap().len();
            let request = format!(
                "GET /api/v1/registry/log?after={after}&wait={NEWS_WAIT} HTTP/1.1\r\nHost: {to}\r\n\
                 Connection: close\r\n\r\n"
            );
            let wait = Duration::from_secs(NEWS_WAIT + 1);
            let Ok(reply) = within(to, request.as_bytes(), Duration::from_secs(1), wait) else {
                turn += 1;
                thread::sleep(LOOK_EVERY);
                continue;
            };
            if reply.status != 200 {
                turn += 1;
                continue;
            }
            let page = reply.json();
            let texts = page["records"].as_array().unwrap().iter();
            let texts = texts.filter_map(|record| record["request"]["signed"]["text"].as_str());
            let news = texts.map(|text| News {
                at: Instant::now(),
                text: text.to_owned(),
            });
            self.0.lock().unwrap().extend(news);
        }
    }
}

/// The names under which readers find the network and its blogs.
pub(crate) fn reading(blogs: &[String]) -> Vec<String> {
    let of_blogs = blogs.iter().map(|blog| format!("{blog}.{DOMAIN}"));
    std::iter::once(DOMAIN.to_owned()).chain(of_blogs).collect()
}

/// The names under which authors find the primaries.
pub(crate) fn editing(blogs: &[String]) -> Vec<String> {
    let names = blogs.iter().map(|blog| format!("edit.{blog}.{DOMAIN}"));
    names.collect()
}
