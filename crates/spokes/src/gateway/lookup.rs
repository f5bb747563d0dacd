//! One question to a list of DNS servers, over UDP, and over TCP when the answer does not fit.
//!
//! The servers asked are the council's own, which are authoritative for every name asked here:
//! there is no recursion and no cache, and an answer outside the question is not believed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use domain::base::iana::{Opcode, Rcode, Rtype};
use domain::base::rdata::ParseRecordData;
use domain::base::{Message, MessageBuilder, Name};
use domain::rdata::{A, Ns, Txt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Longer than a round trip half around the world; with three servers of which two are dead, a
/// reader still has her answer after about a second.
const UDP_WAIT: Duration = Duration::from_millis(500);

/// Two round trips (connection, question) of the longest kind, and some for the server.
const TCP_WAIT: Duration = Duration::from_millis(1_500);

/// The most that UDP can carry to us: we send no EDNS, so 512 by RFC 1035 §4.2.1; a server that
/// sends more is read rather than misread.
const UDP_REPLY_BYTES_MAX: usize = 4_096;

/// RFC 1035 §4.1.1: a message starts with a header of this size, then comes the question.
const HEADER_BYTES: usize = 12;

/// What the servers said to a question for addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The name has addresses.
    Found {
        /// In the order answered, never empty.
        addresses: Vec<Ipv4Addr>,
        /// How long the answer may be kept; RFC 1035 §3.2.1.
        ttl: Duration,
    },
    /// There is no such name (NXDOMAIN), or it cannot be one.
    NoSuchName,
    /// The name exists, but has no address.
    NoData,
    /// No server gave a usable answer in time: silent, refusing, failing or talking nonsense.
    Silent,
}

/// What the servers said to a question for texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxtLookup {
    /// The name has texts.
    Found {
        /// One for each record, its strings joined (as in RFC 7208 §3.3), never empty; records
        /// that are not UTF-8 are left out.
        texts: Vec<String>,
        /// How long the answer may be kept; RFC 1035 §3.2.1.
        ttl: Duration,
    },
    /// There is no such name (NXDOMAIN), or it cannot be one.
    NoSuchName,
    /// The name exists, but has no text.
    NoData,
    /// No server gave a usable answer in time: silent, refusing, failing or talking nonsense.
    Silent,
}

/// Asks the servers, in turn until one answers, for the IPv4 addresses of `name`.
///
/// `name` is taken as absolute, with or without a dot at its end. A text that cannot be a DNS
/// name gives [`Lookup::NoSuchName`] without asking.
pub async fn lookup_a(servers: &[SocketAddr], name: &str) -> Lookup {
    let read = |message: &Message<Vec<u8>>| {
        records::<A>(message).map(|(found, ttl)| (found.iter().map(A::addr).collect(), ttl))
    };
    match ask(servers, name, Rtype::A, read).await {
        Answer::Found(addresses, ttl) => Lookup::Found { addresses, ttl },
        Answer::NoSuchName => Lookup::NoSuchName,
        Answer::NoData => Lookup::NoData,
        Answer::Silent => Lookup::Silent,
    }
}

/// Asks the servers, in turn until one answers, for the names of those that answer for `zone`; empty where none says.
pub(crate) async fn lookup_ns(servers: &[SocketAddr], zone: &str) -> Vec<String> {
    let read = |message: &Message<Vec<u8>>| {
        let (found, ttl) = records::<Ns<_>>(message)?;
        let names = found.iter().map(|ns| ns.nsdname().to_string()).collect();
        Some((names, ttl))
    };
    match ask(servers, zone, Rtype::NS, read).await {
        Answer::Found(names, _) => names,
        Answer::NoSuchName | Answer::NoData | Answer::Silent => Vec::new(),
    }
}

/// Asks the servers, in turn until one answers, for the texts of `name`; see [`lookup_a`].
pub async fn lookup_txt(servers: &[SocketAddr], name: &str) -> TxtLookup {
    let read = |message: &Message<Vec<u8>>| {
        let (found, ttl) = records::<Txt<_>>(message)?;
        let texts = found
            .iter()
            .filter_map(|txt| String::from_utf8(txt.text()).ok())
            .collect();
        Some((texts, ttl))
    };
    match ask(servers, name, Rtype::TXT, read).await {
        Answer::Found(texts, ttl) => TxtLookup::Found { texts, ttl },
        Answer::NoSuchName => TxtLookup::NoSuchName,
        Answer::NoData => TxtLookup::NoData,
        Answer::Silent => TxtLookup::Silent,
    }
}

enum Answer<T> {
    Found(Vec<T>, Duration),
    NoSuchName,
    NoData,
    Silent,
}

async fn ask<T>(
    servers: &[SocketAddr],
    name: &str,
    rtype: Rtype,
    read: impl Fn(&Message<Vec<u8>>) -> Option<(Vec<T>, Duration)>,
) -> Answer<T> {
    let Ok(asked) = Name::<Vec<u8>>::from_str(name) else {
        return Answer::NoSuchName;
    };
    for &server in servers {
        let message = match exchange(server, &asked, rtype).await {
            Ok(message) => message,
            Err(error) => {
                tracing::debug!(%server, name, %error, "DNS server passed over");
                continue;
            }
        };
        match message.header().rcode() {
            Rcode::NXDOMAIN => return Answer::NoSuchName,
            Rcode::NOERROR => {}
            rcode => {
                tracing::debug!(%server, name, %rcode, "DNS server passed over");
                continue;
            }
        }
        match read(&message) {
            Some((found, _)) if found.is_empty() => return Answer::NoData,
            Some((found, ttl)) => return Answer::Found(found, ttl),
            None => tracing::debug!(%server, name, "DNS server passed over: broken answer"),
        }
    }
    Answer::Silent
}

async fn exchange(
    server: SocketAddr,
    name: &Name<Vec<u8>>,
    rtype: Rtype,
) -> io::Result<Message<Vec<u8>>> {
    let query = query(name, rtype)?;
    let message = timeout(UDP_WAIT, over_udp(server, &query)).await??;
    if !message.header().tc() {
        return Ok(message);
    }
    timeout(TCP_WAIT, over_tcp(server, &query)).await?
}

fn query(name: &Name<Vec<u8>>, rtype: Rtype) -> io::Result<Vec<u8>> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|error| io::Error::other(format!("no id: {error}")))?;
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(u16::from_be_bytes(id));
    let mut question = builder.question();
    question.push((name, rtype)).map_err(io::Error::other)?;
    Ok(question.finish())
}

async fn over_udp(server: SocketAddr, query: &[u8]) -> io::Result<Message<Vec<u8>>> {
    let here = match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((here, 0)).await?;
    // Connected, so that the kernel drops what others send, and tells us of a closed port at once.
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; UDP_REPLY_BYTES_MAX];
    loop {
        let received = socket.recv(&mut buffer).await?;
        // RFC 5452 §9.1: what does not match the question is as if it had not come, so that a
        // forger's first try cannot end our waiting for the true answer.
        if let Some(message) = answer_to(query, &buffer[..received]) {
            return Ok(message);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Message<Vec<u8>>> {
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(server).await?;
    // RFC 7766 §8: length and message in one write.
    stream
        .write_all(&[&length.to_be_bytes(), query].concat())
        .await?;
    let mut reply = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut reply).await?;
    answer_to(query, &reply).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The reply as a message, if it answers this very question: same id, same bytes asked.
fn answer_to(query: &[u8], reply: &[u8]) -> Option<Message<Vec<u8>>> {
    if reply.get(HEADER_BYTES..query.len())? != &query[HEADER_BYTES..] {
        return None;
    }
    let message = Message::from_octets(reply.to_vec()).ok()?;
    let header = message.header();
    let ours = query[..2] == header.id().to_be_bytes()
        && header.qr()
        && header.opcode() == Opcode::QUERY
        && message.header_counts().qdcount() == 1;
    ours.then_some(message)
}

/// The records that answer the question, an alias followed within the message; `None` where the
/// message cannot be read.
fn records<'a, Data>(message: &'a Message<Vec<u8>>) -> Option<(Vec<Data>, Duration)>
where
    Data: ParseRecordData<'a, Vec<u8>>,
{
    let owner = message.canonical_name()?;
    let mut found = Vec::new();
    for record in message.answer().ok()?.limit_to_in::<Data>() {
        let record = record.ok()?;
        if *record.owner() == owner {
            found.push(record.into_data());
        }
    }
    // The shortest of all, so that an alias is not outlived by what it leads to.
    let mut ttl_seconds = u32::MAX;
    for record in message.answer().ok()? {
        ttl_seconds = ttl_seconds.min(record.ok()?.ttl().as_secs());
    }
    // RFC 2181 §8: with the highest bit set it counts as zero.
    let ttl_seconds = if ttl_seconds > i32::MAX.unsigned_abs() {
        0
    } else {
        ttl_seconds
    };
    Some((found, Duration::from_secs(ttl_seconds.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::fakes::{Dns, Says};

    const NAME: &str = "maria.blogs.localhost";

    fn addresses(last: impl IntoIterator<Item = u8>) -> Vec<Ipv4Addr> {
        last.into_iter()
            .map(|last| Ipv4Addr::new(127, 0, 2, last))
            .collect()
    }

    fn found(last: impl IntoIterator<Item = u8>, ttl: u64) -> Lookup {
        Lookup::Found {
            addresses: addresses(last),
            ttl: Duration::from_secs(ttl),
        }
    }

    /// Asks servers that say these things, in this order.
    async fn check(says: Vec<Says>, expected: Lookup) {
        let mut servers = Vec::new();
        let mut running = Vec::new();
        for says in says {
            let dns = Dns::start(says).await;
            servers.push(dns.at);
            running.push(dns);
        }
        assert_eq!(lookup_a(&servers, NAME).await, expected);
    }

    #[tokio::test]
    async fn addresses_keep_the_order_answered() {
        check(
            vec![Says::addresses(addresses([3, 1, 2]), 30)],
            found([3, 1, 2], 30),
        )
        .await;
    }

    #[tokio::test]
    async fn a_name_may_be_missing_or_bare() {
        check(vec![Says::rcode(Rcode::NXDOMAIN)], Lookup::NoSuchName).await;
        check(vec![Says::addresses(vec![], 30)], Lookup::NoData).await;
        let no_server_is_needed = lookup_a(&[], "a..b").await;
        assert_eq!(no_server_is_needed, Lookup::NoSuchName);
    }

    #[tokio::test]
    async fn the_next_server_answers_for_a_silent_refusing_or_failing_one() {
        let good = || Says::addresses(addresses([1]), 5);
        check(vec![Says::nothing(), good()], found([1], 5)).await;
        check(vec![Says::rcode(Rcode::REFUSED), good()], found([1], 5)).await;
        check(vec![Says::rcode(Rcode::SERVFAIL), good()], found([1], 5)).await;
        check(vec![Says::garbage(), good()], found([1], 5)).await;
        check(
            vec![Says::nothing(), Says::rcode(Rcode::REFUSED)],
            Lookup::Silent,
        )
        .await;
        check(vec![], Lookup::Silent).await;
    }

    #[tokio::test]
    async fn a_closed_port_costs_no_waiting() {
        let closed = {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.local_addr().unwrap()
        };
        let asked = timeout(UDP_WAIT / 2, lookup_a(&[closed], NAME)).await;
        assert_eq!(asked, Ok(Lookup::Silent));
    }

    #[tokio::test]
    async fn a_forged_answer_is_passed_over_for_the_true_one() {
        for forge in [Says::forged_id, Says::forged_question] {
            check(vec![forge(addresses([66]), addresses([1]))], found([1], 30)).await;
        }
    }

    #[tokio::test]
    async fn a_truncated_answer_is_fetched_over_tcp() {
        check(
            vec![Says::truncated(addresses(0..100), 30)],
            found(0..100, 30),
        )
        .await;
    }

    #[tokio::test]
    async fn an_alias_is_followed_and_its_ttl_counts() {
        check(
            vec![Says::alias("carlos.blogs.localhost", 7, addresses([4]), 30)],
            found([4], 7),
        )
        .await;
    }

    #[tokio::test]
    async fn a_ttl_with_the_highest_bit_is_zero() {
        check(
            vec![Says::addresses(addresses([1]), 1 << 31)],
            found([1], 0),
        )
        .await;
    }

    #[tokio::test]
    async fn texts_come_one_for_each_record() {
        let long = format!("v=1 blog=sha256:{}", "a".repeat(300));
        let dns = Dns::start(Says::texts(&["v=1", &long], 30)).await;
        assert_eq!(
            lookup_txt(&[dns.at], "_blog.maria.blogs.localhost").await,
            TxtLookup::Found {
                texts: vec!["v=1".to_owned(), long],
                ttl: Duration::from_secs(30)
            },
        );
    }

    proptest::proptest! {
        #[test]
        fn a_strangers_bytes_never_panic(tail: Vec<u8>, flags: [u8; 10]) {
            let name = Name::<Vec<u8>>::from_str(NAME).unwrap();
            let query = query(&name, Rtype::A).unwrap();
            let reply = [&query[..2], &flags, &query[HEADER_BYTES..], &tail].concat();
            if let Some(message) = answer_to(&query, &reply) {
                records::<A>(&message);
                records::<Txt<_>>(&message);
            }
        }
    }
}
