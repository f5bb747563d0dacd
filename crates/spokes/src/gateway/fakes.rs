//! DNS servers and spokes that behave as a test wants, good and bad.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::message_builder::AnswerBuilder;
use domain::base::{Message, MessageBuilder, Name, Ttl};
use domain::rdata::{A, Cname, Txt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinSet;

type Question = Message<Vec<u8>>;
type Builder = AnswerBuilder<Vec<u8>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    Udp,
    Tcp,
}

/// What a DNS server says to any question: some messages, one after another.
#[derive(Clone)]
pub(super) struct Says(Arc<Say>);

type Say = dyn Fn(&Question, Over) -> Vec<Vec<u8>> + Send + Sync;

impl Says {
    fn with(say: impl Fn(&Question, Over) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(say))
    }

    pub(super) fn nothing() -> Self {
        Self::with(|_, _| Vec::new())
    }

    pub(super) fn garbage() -> Self {
        Self::with(|_, _| vec![b"hello".to_vec(), vec![0xFF; 64]])
    }

    pub(super) fn rcode(rcode: Rcode) -> Self {
        Self::with(move |question, _| vec![reply(question, rcode, |_| {})])
    }

    pub(super) fn addresses(addresses: Vec<Ipv4Addr>, ttl: u32) -> Self {
        Self::with(move |question, _| {
            vec![reply(question, Rcode::NOERROR, |answer| {
                push(answer, question, &addresses, ttl)
            })]
        })
    }

    /// Nothing but the mark of truncation over UDP, all of it over TCP.
    pub(super) fn truncated(addresses: Vec<Ipv4Addr>, ttl: u32) -> Self {
        let all = Self::addresses(addresses, ttl);
        Self::with(move |question, over| match over {
            Over::Udp => vec![reply(question, Rcode::NOERROR, |answer| {
                answer.header_mut().set_tc(true);
            })],
            Over::Tcp => (all.0)(question, over),
        })
    }

    /// First somebody's guess with a wrong id, then the truth.
    pub(super) fn forged_id(forged: Vec<Ipv4Addr>, honest: Vec<Ipv4Addr>) -> Self {
        Self::forged(forged, honest, |message| message[0] ^= 1)
    }

    /// First an answer to another question, then the truth.
    pub(super) fn forged_question(forged: Vec<Ipv4Addr>, honest: Vec<Ipv4Addr>) -> Self {
        Self::forged(forged, honest, |message| message[13] ^= 1)
    }

    fn forged(forged: Vec<Ipv4Addr>, honest: Vec<Ipv4Addr>, forge: fn(&mut Vec<u8>)) -> Self {
        let (forged, honest) = (Self::addresses(forged, 30), Self::addresses(honest, 30));
        Self::with(move |question, over| {
            let mut messages = (forged.0)(question, over);
            forge(&mut messages[0]);
            messages.extend((honest.0)(question, over));
            messages
        })
    }

    pub(super) fn alias(of: &str, alias_ttl: u32, addresses: Vec<Ipv4Addr>, ttl: u32) -> Self {
        let of = Name::<Vec<u8>>::from_str(of).unwrap();
        Self::with(move |question, _| {
            let asked = question.first_question().unwrap();
            vec![reply(question, Rcode::NOERROR, |answer| {
                let alias = Cname::new(of.clone());
                answer
                    .push((asked.qname(), Class::IN, Ttl::from_secs(alias_ttl), alias))
                    .unwrap();
                for address in &addresses {
                    answer
                        .push((&of, Class::IN, Ttl::from_secs(ttl), A::new(*address)))
                        .unwrap();
                }
            })]
        })
    }

    pub(super) fn texts(texts: &[&str], ttl: u32) -> Self {
        let texts: Vec<Txt<Vec<u8>>> = texts
            .iter()
            .map(|text| Txt::build_from_slice(text.as_bytes()).unwrap())
            .collect();
        Self::with(move |question, _| {
            let asked = question.first_question().unwrap();
            vec![reply(question, Rcode::NOERROR, |answer| {
                for text in &texts {
                    answer
                        .push((asked.qname(), Class::IN, Ttl::from_secs(ttl), text))
                        .unwrap();
                }
            })]
        })
    }
}

fn reply(question: &Question, rcode: Rcode, fill: impl FnOnce(&mut Builder)) -> Vec<u8> {
    let mut answer = MessageBuilder::new_vec()
        .start_answer(question, rcode)
        .unwrap();
    fill(&mut answer);
    answer.finish()
}

fn push(answer: &mut Builder, question: &Question, addresses: &[Ipv4Addr], ttl: u32) {
    let asked = question.first_question().unwrap();
    for address in addresses {
        let record = (
            asked.qname(),
            Class::IN,
            Ttl::from_secs(ttl),
            A::new(*address),
        );
        answer.push(record).unwrap();
    }
}

/// A DNS server on loopback, gone when dropped.
pub(super) struct Dns {
    pub(super) at: SocketAddr,
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Dns {
    pub(super) async fn start(says: Says) -> Self {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (tcp, udp);
            }
        };
        let at = tcp.local_addr().unwrap();
        let says = Arc::new(Mutex::new(says));
        let asked = Arc::new(AtomicUsize::new(0));
        let mut serving = JoinSet::new();
        serving.spawn(over_udp(udp, Arc::clone(&says), Arc::clone(&asked)));
        serving.spawn(over_tcp(tcp, Arc::clone(&says)));
        Self {
            at,
            says,
            asked,
            _serving: serving,
        }
    }

    pub(super) fn now_says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// Questions for addresses so far, over UDP: who else answers for the zone is asked by the way.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn over_udp(socket: UdpSocket, says: Arc<Mutex<Says>>, asked: Arc<AtomicUsize>) {
    let mut buffer = [0; 512];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let question = Message::from_octets(buffer[..length].to_vec()).unwrap();
        let asks = question.first_question().map(|asked| asked.qtype());
        if asks != Some(Rtype::NS) {
            asked.fetch_add(1, Ordering::SeqCst);
        }
        let says = says.lock().unwrap().clone();
        for message in (says.0)(&question, Over::Udp) {
            socket.send_to(&message, from).await.unwrap();
        }
    }
}

async fn over_tcp(listener: TcpListener, says: Arc<Mutex<Says>>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut question = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut question).await.unwrap();
        let question = Message::from_octets(question).unwrap();
        let says = says.lock().unwrap().clone();
        for message in (says.0)(&question, Over::Tcp) {
            stream
                .write_u16(message.len().try_into().unwrap())
                .await
                .unwrap();
            stream.write_all(&message).await.unwrap();
        }
    }
}

/// How a spoke behaves.
#[derive(Clone, Copy)]
pub(super) enum Conduct {
    /// Nobody listens.
    Refuses,
    /// Packets that would open a connection vanish.
    Swallows,
    /// Takes the request, then ends the connection with a reset.
    Resets,
    /// Takes the request and says nothing.
    Silent,
    /// Says something that is not HTTP.
    Babbles,
    /// Answers 200 with its letter.
    Answers,
    /// Answers 503 with its letter.
    Fails,
    /// Answers 200 with its letter after a while.
    Thinks(Duration),
}

/// Spokes a, b, c on 127.0.0.1, 127.0.0.2, 127.0.0.3, with one common port; gone when dropped.
pub(super) struct Spokes {
    pub(super) port: u16,
    heads: Arc<Mutex<Vec<(char, String)>>>,
    connections: Arc<AtomicUsize>,
    /// Ports that are taken, but served by nobody.
    _held: Vec<TcpSocket>,
    _queue: Vec<TcpStream>,
    _serving: JoinSet<()>,
}

impl Spokes {
    pub(super) async fn start(conducts: &[Conduct]) -> Self {
        let sockets = sockets_with_common_port(conducts.len());
        let port = sockets[0].local_addr().unwrap().port();
        let mut spokes = Self {
            port,
            heads: Arc::default(),
            connections: Arc::default(),
            _held: Vec::new(),
            _queue: Vec::new(),
            _serving: JoinSet::new(),
        };
        for ((socket, conduct), letter) in sockets.into_iter().zip(conducts).zip('a'..) {
            match conduct {
                Conduct::Refuses => spokes._held.push(socket),
                Conduct::Swallows => {
                    let at = socket.local_addr().unwrap();
                    let listener = socket.listen(1).unwrap();
                    // Linux takes one more than the queue's length, and drops what comes then.
                    for _ in 0..2 {
                        spokes._queue.push(TcpStream::connect(at).await.unwrap());
                    }
                    spokes._serving.spawn(async move {
                        std::future::pending::<()>().await;
                        drop(listener);
                    });
                }
                conduct => {
                    let serving = Serving {
                        letter,
                        conduct: *conduct,
                        heads: Arc::clone(&spokes.heads),
                        connections: Arc::clone(&spokes.connections),
                    };
                    spokes
                        ._serving
                        .spawn(serving.run(socket.listen(64).unwrap()));
                }
            }
        }
        spokes
    }

    /// The letters of the spokes that got a request, in order.
    pub(super) fn asked(&self) -> String {
        self.heads
            .lock()
            .unwrap()
            .iter()
            .map(|(letter, _)| letter)
            .collect()
    }

    /// The heads of the requests that came, in order.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads
            .lock()
            .unwrap()
            .iter()
            .map(|(_, head)| head.clone())
            .collect()
    }

    /// Connections that were made so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The addresses of spokes, by letter.
pub(super) fn addresses(letters: &str) -> Vec<Ipv4Addr> {
    letters
        .bytes()
        .map(|letter| Ipv4Addr::new(127, 0, 0, letter - b'a' + 1))
        .collect()
}

fn sockets_with_common_port(count: usize) -> Vec<TcpSocket> {
    'ports: loop {
        let mut sockets: Vec<TcpSocket> = Vec::new();
        for address in addresses(&"abc"[..count]) {
            let port = sockets
                .first()
                .map_or(0, |first| first.local_addr().unwrap().port());
            let socket = TcpSocket::new_v4().unwrap();
            if socket.bind((address, port).into()).is_err() {
                continue 'ports;
            }
            sockets.push(socket);
        }
        return sockets;
    }
}

struct Serving {
    letter: char,
    conduct: Conduct,
    heads: Arc<Mutex<Vec<(char, String)>>>,
    connections: Arc<AtomicUsize>,
}

impl Serving {
    async fn run(self, listener: TcpListener) {
        let serving = Arc::new(self);
        let mut readers = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            serving.connections.fetch_add(1, Ordering::SeqCst);
            let serving = Arc::clone(&serving);
            readers.spawn(async move { serving.talk(stream).await.ok() });
        }
    }

    async fn talk(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let head = read_head(&mut stream).await?;
            self.heads.lock().unwrap().push((self.letter, head.clone()));
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            stream.read_exact(&mut body).await?;
            let status = match self.conduct {
                Conduct::Resets => return stream.set_zero_linger(),
                Conduct::Silent => std::future::pending().await,
                Conduct::Babbles => return stream.write_all(b"220 ready\r\n\r\n").await,
                Conduct::Fails => "503 Service Unavailable",
                Conduct::Thinks(time) => {
                    tokio::time::sleep(time).await;
                    "200 OK"
                }
                Conduct::Answers => "200 OK",
                Conduct::Refuses | Conduct::Swallows => unreachable!("takes no connection"),
            };
            let letter = if head.starts_with("HEAD") {
                ""
            } else {
                &self.letter.to_string()
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: 1\r\nKeep-Alive: timeout=5\r\n\r\n{letter}"
            );
            stream.write_all(answer.as_bytes()).await?;
        }
    }
}

/// Reads up to the empty line; an error when the other side leaves before it.
pub(super) async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// Gives the same answer to every request on every connection.
pub(super) async fn answer_forever(listener: TcpListener, answer: &'static str) {
    let mut readers = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        readers.spawn(async move {
            while read_head(&mut stream).await.is_ok() {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }
}
