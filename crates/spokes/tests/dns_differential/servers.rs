//! Our name server, Knot and NSD with one zone, and a line to each.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    path::Path,
    time::{Duration, Instant},
};

use spokes::dns::{
    cookie::CookieSecret,
    edition::Editions,
    serve::Server,
    signed::{Keys, MirrorKey},
};

use crate::{
    common::{
        demo::free_ports,
        name_server::{NameServer, Way},
        wait_for,
    },
    made_up::{APEX, MadeUp, SERIAL},
    question::{Question, Transport},
};

const START_WAIT: Duration = Duration::from_secs(30);
/// How long an answer may take on a machine with other work; then the question is sent again.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// How often a question is sent that gets no answer.
const TRIES: u32 = 3;
const KEY_NAME: &str = "knot.council1.blogs.example.org";
const SECRET: &[u8; 32] = b"a secret that everybody may know";
const SECRET_IN_BASE64: &str = "YSBzZWNyZXQgdGhhdCBldmVyeWJvZHkgbWF5IGtub3c=";

/// All three, in the order of [`LABELS`].
pub(crate) struct Servers {
    pub(crate) lines: [Line; 3],
    _others: [NameServer; 2],
    _runtime: tokio::runtime::Runtime,
}

pub(crate) const LABELS: [&str; 3] = ["ours", "knot", "nsd"];

impl Servers {
    /// NSD reads the zone from a file, Knot gets it from us: so that both the answers and the transfer are compared with
    /// what nobody but [`MadeUp`] has written. Where it is signed both get it from us, since nobody else has signed it.
    pub(crate) fn begin(zone: &MadeUp, is_signed: bool, home: &Path) -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let port = free_ports().1;
        let at = |ip: [u8; 4]| SocketAddr::from((Ipv4Addr::from(ip), port));
        let ours = at([127, 0, 1, 9]);
        let editions = Editions::new(APEX).unwrap();
        let served = if is_signed {
            zone.signed()
        } else {
            zone.zone()
        };
        editions.replace(served, Some((home.to_owned(), SERIAL)));
        let keys = Keys::default();
        keys.set([MirrorKey::new("knot", KEY_NAME, SECRET).unwrap()]);
        let server = Server::bind(ours, editions, keys).unwrap();
        let cookies = CookieSecret::random().unwrap();
        let server = server.with_door(cookies, 0);
        runtime.spawn(server.run(std::future::pending()));

        let knot = format!(
            "key:\n  - id: {KEY_NAME}\n    algorithm: hmac-sha256\n    secret: {SECRET_IN_BASE64}\nremote:\n  - id: \
             council1\n    address: {}@{port}\n    key: {KEY_NAME}\nzone:\n  - domain: {APEX}\n    master: [council1]",
            ours.ip()
        );
        let begin = |label, ip, zone: &str| {
            let way = Way {
                at: at(ip),
                zone,
                workers: 1,
                under: &[],
                hands_on: false,
            };
            NameServer::begin(label, &way, home)
        };
        let file = home.join("made-up.zone");
        fs::write(&file, zone.file()).unwrap();
        let mut nsd = format!(
            "zone:\n    name: \"{APEX}\"\n    zonefile: \"{}\"",
            file.display()
        );
        if is_signed {
            nsd = format!(
                "key:\n    name: \"{KEY_NAME}\"\n    algorithm: hmac-sha256\n    secret: \"{SECRET_IN_BASE64}\"\n\
                 zone:\n    name: \"{APEX}\"\n    zonefile: \"got\"\n    request-xfr: AXFR {}@{port} {KEY_NAME}",
                ours.ip()
            );
        }
        let others = [
            begin("knot", [127, 0, 1, 52], &knot),
            begin("nsd", [127, 0, 1, 53], &nsd),
        ];
        for server in &others {
            wait_for(
                &format!("{} has the zone", server.label),
                START_WAIT,
                || (server.serial(APEX) == Some(SERIAL)).then_some(()),
            );
        }
        Self {
            lines: [
                Line::to(ours),
                Line::to(others[0].at),
                Line::to(others[1].at),
            ],
            _others: others,
            _runtime: runtime,
        }
    }

    /// What each of the three says to each of these; none where it said nothing.
    pub(crate) fn ask(&mut self, questions: &[Question]) -> [Vec<Option<Vec<u8>>>; 3] {
        self.lines.iter_mut().for_each(|line| line.send(questions));
        self.lines.each_mut().map(|line| line.receive(questions))
    }
}

/// A way to one server, by datagrams and through a stream.
pub(crate) struct Line {
    to: SocketAddr,
    datagrams: UdpSocket,
    stream: Option<TcpStream>,
}

fn framed(question: &Question) -> Vec<u8> {
    let bytes = question.bytes();
    [
        &u16::try_from(bytes.len()).unwrap().to_be_bytes()[..],
        &bytes,
    ]
    .concat()
}

fn id_of(answer: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(answer.get(..2)?.try_into().ok()?))
}

impl Line {
    fn to(to: SocketAddr) -> Self {
        let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        datagrams.connect(to).unwrap();
        datagrams.set_read_timeout(Some(ANSWER_WAIT)).unwrap();
        Self {
            to,
            datagrams,
            stream: None,
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.to, ANSWER_WAIT)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// What it says to this one; none is silence.
    pub(crate) fn ask(&mut self, question: &Question) -> Option<Vec<u8>> {
        let questions = std::slice::from_ref(question);
        self.send(questions);
        self.receive(questions).pop().flatten()
    }

    fn send(&mut self, questions: &[Question]) {
        let by_datagram = questions.iter().filter(|q| q.transport == Transport::Udp);
        by_datagram.for_each(|question| drop(self.datagrams.send(&question.bytes())));
        let by_stream = questions.iter().filter(|q| q.transport == Transport::Tcp);
        let by_stream: Vec<u8> = by_stream.flat_map(framed).collect();
        if by_stream.is_empty() {
            return;
        }
        let mut stream = self.stream.take().or_else(|| self.connect().ok());
        // A stream that was closed meanwhile is opened again below.
        if let Some(open) = &mut stream
            && open.write_all(&by_stream).is_ok()
        {
            self.stream = stream;
        }
    }

    fn receive(&mut self, questions: &[Question]) -> Vec<Option<Vec<u8>>> {
        let mut answers = BTreeMap::new();
        let by = |transport| questions.iter().filter(move |q| q.transport == transport);
        for attempt in 1..=TRIES {
            self.read_datagrams(by(Transport::Udp).count(), &mut answers);
            let missing = by(Transport::Udp).filter(|q| !answers.contains_key(&q.id()));
            let missing: Vec<_> = missing.collect();
            if missing.is_empty() {
                break;
            }
            if attempt < TRIES {
                missing
                    .iter()
                    .for_each(|question| drop(self.datagrams.send(&question.bytes())));
            }
        }
        let wanted = answers.len() + by(Transport::Tcp).count();
        while answers.len() < wanted
            && let Some(stream) = &mut self.stream
        {
            match read_framed(stream) {
                Ok(answer) => drop(id_of(&answer).map(|id| answers.insert(id, answer))),
                Err(_) => self.stream = None,
            }
        }
        // Who closes a stream at one question has left out those behind it: each gets a stream of its own.
        for question in by(Transport::Tcp) {
            if answers.contains_key(&question.id()) {
                continue;
            }
            let alone = self.connect().and_then(|mut stream| {
                stream.write_all(&framed(question))?;
                read_framed(&mut stream)
            });
            if let Ok(answer) = alone {
                answers.insert(question.id(), answer);
            }
        }
        questions
            .iter()
            .map(|question| answers.remove(&question.id()))
            .collect()
    }

    /// Until there are so many, or nothing comes any more.
    fn read_datagrams(&self, wanted: usize, answers: &mut BTreeMap<u16, Vec<u8>>) {
        let until = Instant::now() + ANSWER_WAIT;
        let mut answer = [0; 65_535];
        while answers.len() < wanted && Instant::now() < until {
            let Ok(length) = self.datagrams.recv(&mut answer) else {
                return;
            };
            if let Some(id) = id_of(&answer[..length]) {
                answers.insert(id, answer[..length].to_vec());
            }
        }
    }
}

fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
