//! Names as a reader's machine looks them up: it asks the network's servers in turn, and keeps what they
//! said as long as they allow.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// How long one server may think before the next one is asked.
const SERVER_WAIT: Duration = Duration::from_millis(800);
/// How long it is remembered that there is no such name (SPEC dns 1.3).
const NONE_FOR: Duration = Duration::from_secs(10);
/// What a resolver takes at once.
const ANSWER_BYTES: usize = 1_232;

/// The addresses of a name, and for how long they are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) addresses: Vec<Ipv4Addr>,
    pub(crate) good_for: Duration,
}

/// Asks one server.
pub(crate) fn ask(server: SocketAddr, name: &str, wait: Duration) -> Option<Answer> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(server).ok()?;
    socket.set_read_timeout(Some(wait)).ok()?;
    let question = question(name);
    socket.send(&question).ok()?;
    let mut bytes = [0; ANSWER_BYTES];
    let length = socket.recv(&mut bytes).ok()?;
    read(&bytes[..length], &question)
}

/// A question for A, without EDNS.
fn question(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x51, 0x0c, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// None for what is no answer of use: another resolver would ask the next server.
fn read(bytes: &[u8], question: &[u8]) -> Option<Answer> {
    let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let code = bytes.get(3)? & 15;
    if !matches!(code, 0 | 3) {
        return None;
    }
    let mut answer = Answer {
        addresses: vec![],
        good_for: NONE_FOR,
    };
    // All our answers repeat the question, and name it by a pointer.
    let mut at = question.len();
    for _ in 0..word(6)? {
        while *bytes.get(at)? != 0 && *bytes.get(at)? < 0xc0 {
            at += 1 + usize::from(*bytes.get(at)?);
        }
        at += if *bytes.get(at)? == 0 { 1 } else { 2 };
        let (kind, seconds, length) = (word(at)?, word(at + 6)?, usize::from(word(at + 8)?));
        if kind == 1 {
            let four: [u8; 4] = bytes.get(at + 10..at + 14)?.try_into().ok()?;
            answer.addresses.push(Ipv4Addr::from(four));
            answer.good_for = Duration::from_secs(u64::from(seconds));
        }
        at += 10 + length;
    }
    Some(answer)
}

/// A resolver between readers and the network's servers.
pub(crate) struct Resolver {
    servers: Vec<SocketAddr>,
    /// What is known, and until when.
    kept: Mutex<BTreeMap<String, (Instant, Vec<Ipv4Addr>)>>,
    /// What is left of the time of the first answers, in percent: some were asked for long ago.
    left: u32,
    born: Instant,
    asked: AtomicUsize,
}

impl Resolver {
    pub(crate) fn new(servers: &[SocketAddr], turn: usize, left: u32) -> Self {
        let mut servers = servers.to_vec();
        let turn = turn % servers.len();
        servers.rotate_left(turn);
        Self {
            servers,
            kept: Mutex::default(),
            left,
            born: Instant::now(),
            asked: AtomicUsize::new(turn),
        }
    }

    /// The addresses of a name, each time another one first, as the usual resolvers do; none too when
    /// no server answers.
    pub(crate) fn resolve(&self, name: &str) -> Vec<Ipv4Addr> {
        let mut addresses = self.known(name);
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        if !addresses.is_empty() {
            let first = turn % addresses.len();
            addresses.rotate_left(first);
        }
        addresses
    }

    fn known(&self, name: &str) -> Vec<Ipv4Addr> {
        if let Some((until, addresses)) = self.kept.lock().unwrap().get(name)
            && Instant::now() < *until
        {
            return addresses.clone();
        }
        let mut asked = self.servers.iter();
        let Some(answer) = asked.find_map(|server| ask(*server, name, SERVER_WAIT)) else {
            return vec![];
        };
        let first = !self.kept.lock().unwrap().contains_key(name);
        let percent = if first && self.born.elapsed() < answer.good_for {
            self.left
        } else {
            100
        };
        let until = Instant::now() + answer.good_for * percent / 100;
        let mut kept = self.kept.lock().unwrap();
        kept.insert(name.to_owned(), (until, answer.addresses.clone()));
        answer.addresses
    }
}
