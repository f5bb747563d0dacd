//! A spoke that was admitted like any other, and lies: the test holds its key and answers for it.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use spokes::{
    client::{NONCE, SERVED},
    wire::signed_in_a_header,
};
use spokes_log::{
    name::{Hash, Salt},
    text::Value as _,
};
use spokes_rules::{
    health::Served,
    node::{Label, NodeSecret, Signed},
};

use super::{
    author::now,
    demo::{Demo, program},
    run, wait_for,
};

/// Answers a path with a body; none is a 404.
type Lie = Box<dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync>;

/// The rogue, known as `r`.
pub(crate) struct Rogue {
    pub(crate) secret: NodeSecret,
    pub(crate) address: SocketAddr,
    lie: Arc<Mutex<Lie>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// The network whose observers get good pages, if they do.
    serves: Arc<Mutex<Option<Hash>>>,
    over: Arc<AtomicBool>,
    _home: tempfile::TempDir,
}

impl Rogue {
    /// Joins, is admitted, and answers nothing yet.
    pub(crate) fn join(demo: &Demo) -> Self {
        let address = SocketAddr::from(([127, 0, 2, 18], demo.port));
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("rogue");
        let council = demo.node("council1").data;
        let council = council.to_str().unwrap();
        let spokes = |arguments: &[&str]| {
            let (code, said) = run(&program(), arguments);
            assert_eq!(code, 0, "{said}");
            said
        };
        let invite = spokes(&["council", "invite", "--dir", council]);
        let (path, listen) = (dir.to_str().unwrap(), address.to_string());
        let join = [
            "join",
            invite.trim(),
            "--dir",
            path,
            "--label",
            "r",
            "--operator",
            "Group R",
        ];
        spokes(&[&join[..], &["--listen", &listen]].concat());
        let rogue = Self {
            secret: secret_in(&dir),
            address,
            lie: Arc::new(Mutex::new(Box::new(|_| None))),
            asked: Arc::default(),
            serves: Arc::default(),
            over: Arc::default(),
            _home: home,
        };
        rogue.listen();
        spokes(&["council", "admit", "r", "--dir", council]);
        wait_for(
            "the rogue is in the roster",
            Duration::from_secs(10),
            || {
                let apex = demo.dig(&["+short", "r.spoke.blogs.localhost", "A"]);
                apex.contains("127.0.2.18").then_some(())
            },
        );
        rogue
    }

    /// What it says from now on.
    pub(crate) fn says(&self, lie: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) {
        *self.lie.lock().unwrap() = Box::new(lie);
        self.asked.lock().unwrap().clear();
    }

    /// Whoever observes it finds that all is well, from now on.
    pub(crate) fn pleases_observers(&self, demo: &Demo) {
        *self.serves.lock().unwrap() = Some(Hash::parse(&demo.network).unwrap());
    }

    /// The paths that it was asked for since it last changed its story.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn sign(&self, text: &impl std::fmt::Display) -> serde_json::Value {
        let signed = Signed::new(&self.secret, text);
        serde_json::to_value(spokes::wire::SignedWire::from(&signed)).unwrap()
    }

    fn listen(&self) {
        let listener = TcpListener::bind(self.address).unwrap();
        let (lie, asked) = (Arc::clone(&self.lie), Arc::clone(&self.asked));
        let over = Arc::clone(&self.over);
        let (serves, seed) = (Arc::clone(&self.serves), self.secret.seed());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (lie, asked) = (Arc::clone(&lie), Arc::clone(&asked));
                let serves = *serves.lock().unwrap();
                thread::spawn(move || {
                    let page = |nonce| receipt("r", &NodeSecret::from_seed(&seed), serves?, nonce);
                    answer(stream, &lie, &asked, page)
                });
            }
        });
    }
}

/// Answers at the address of a node that was killed, until it is dropped.
pub(crate) struct StandIn {
    address: SocketAddr,
    over: Arc<AtomicBool>,
}

/// The key of a node.
fn secret_in(dir: &Path) -> NodeSecret {
    let hex = std::fs::read_to_string(dir.join("node.key")).unwrap();
    let mut seed = [0; 32];
    for (n, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap();
    }
    NodeSecret::from_seed(&seed)
}

impl StandIn {
    pub(crate) fn at(
        address: SocketAddr,
        lie: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self::that_shows(address, lie, |_| None)
    }

    /// Kills a node, and answers with its key in its place: whoever observes it finds that all is well.
    pub(crate) fn in_place_of(
        demo: &Demo,
        label: &str,
        lie: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let node = demo.node(label);
        let seed = secret_in(&node.data).seed();
        let network = Hash::parse(&demo.network).unwrap();
        demo.kill(label);
        let label = label.to_owned();
        let page = move |nonce| receipt(&label, &NodeSecret::from_seed(&seed), network, nonce);
        Self::that_shows(node.address, lie, page)
    }

    fn that_shows(
        address: SocketAddr,
        lie: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
        page: impl Fn(Salt) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let lie: Arc<Mutex<Lie>> = Arc::new(Mutex::new(Box::new(lie)));
        let (ends, page) = (Arc::clone(&over), Arc::new(page));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let (lie, asked) = (Arc::clone(&lie), Mutex::default());
                let page = Arc::clone(&page);
                thread::spawn(move || answer(stream, &lie, &asked, |nonce| page(nonce)));
            }
        });
        Self { address, over }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

/// What observers are shown.
const PAGE: &[u8] = b"<p>All is well.</p>";

/// The header under which an observer takes [`PAGE`] for a good one.
fn receipt(label: &str, secret: &NodeSecret, network: Hash, nonce: Salt) -> Option<String> {
    let served = Served {
        network,
        spoke: Label::parse(label).ok()?,
        nonce,
        body: Hash::of(PAGE),
        time: now(),
    };
    let line = signed_in_a_header(&Signed::new(secret, &served));
    Some(format!("{SERVED}: {line}\r\n"))
}

/// One request, one answer, and the connection ends.
fn answer(
    mut stream: TcpStream,
    lie: &Mutex<Lie>,
    asked: &Mutex<Vec<String>>,
    page: impl FnOnce(Salt) -> Option<String>,
) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let (mut head, mut part) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") && head.len() < 65_536 {
        let read = stream.read(&mut part).ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&part[..read]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1)?.to_owned();
    let nonce = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_nonce = name.eq_ignore_ascii_case(NONCE);
        is_nonce.then(|| Salt::parse(value).ok())?
    });
    let receipt = nonce.and_then(page);
    let body = match receipt {
        Some(_) => Some(PAGE.to_vec()),
        None => lie.lock().unwrap()(&path),
    };
    asked.lock().unwrap().push(path);
    let status = if body.is_some() {
        "200 OK"
    } else {
        "404 Not Found"
    };
    let body = body.unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nLocation: //evil.example/\r\n\
         {}Content-Length: {}\r\nConnection: close\r\n\r\n",
        receipt.unwrap_or_default(),
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body).ok()
}
