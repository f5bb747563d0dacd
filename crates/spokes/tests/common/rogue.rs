//! A spoke that was admitted like any other, and lies: the test holds its key and answers for it.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use spokes_rules::node::{NodeSecret, Signed};

use super::{
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
        let hex = std::fs::read_to_string(dir.join("node.key")).unwrap();
        let mut seed = [0; 32];
        for (n, byte) in seed.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap();
        }
        let rogue = Self {
            secret: NodeSecret::from_seed(&seed),
            address,
            lie: Arc::new(Mutex::new(Box::new(|_| None))),
            asked: Arc::default(),
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
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (lie, asked) = (Arc::clone(&lie), Arc::clone(&asked));
                thread::spawn(move || answer(stream, &lie, &asked));
            }
        });
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

/// One request, one answer, and the connection ends.
fn answer(mut stream: TcpStream, lie: &Mutex<Lie>, asked: &Mutex<Vec<String>>) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let (mut head, mut part) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") && head.len() < 65_536 {
        let read = stream.read(&mut part).ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&part[..read]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1)?.to_owned();
    let body = lie.lock().unwrap()(&path);
    asked.lock().unwrap().push(path);
    let status = if body.is_some() {
        "200 OK"
    } else {
        "404 Not Found"
    };
    let body = body.unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nLocation: //evil.example/\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body).ok()
}
