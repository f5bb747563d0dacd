//! HTTP by hand: tests send what a well-behaved client never would.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longer than a node may wait for *safe*, shorter than a hanging test.
const ANSWER_WAIT: Duration = Duration::from_secs(15);
/// Nodes of a test are on its own machine.
const CONNECT_WAIT: Duration = Duration::from_secs(2);

/// An answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e} in {} {}", self.status, self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The word by which programs know a refusal.
    pub(crate) fn kind(&self) -> String {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["type"].as_str().unwrap_or_default().to_owned()
    }

    /// The sentence that a refusal says.
    pub(crate) fn detail(&self) -> String {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["detail"].as_str().unwrap_or_default().to_owned()
    }
}

/// A request of the ordinary form.
pub(crate) fn request(
    to: SocketAddr,
    method: &str,
    host: &str,
    path: &str,
    more: &[(&str, &str)],
    body: &[u8],
) -> Option<Reply> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in more {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method != "GET" {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    raw(to, &[head.as_bytes(), b"\r\n", body].concat())
}

pub(crate) fn get(to: SocketAddr, host: &str, path: &str) -> Reply {
    request(to, "GET", host, path, &[], b"")
        .unwrap_or_else(|| panic!("{to} does not answer for {host}{path}"))
}

pub(crate) fn post(to: SocketAddr, path: &str, body: &str) -> Option<Reply> {
    let json = [("Content-Type", "application/json")];
    request(to, "POST", &to.to_string(), path, &json, body.as_bytes())
}

/// Sends bytes as they are; none when no whole answer came.
pub(crate) fn raw(to: SocketAddr, bytes: &[u8]) -> Option<Reply> {
    within(to, bytes, CONNECT_WAIT, ANSWER_WAIT).ok()
}

/// Why no whole answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Somebody said at once that nobody listens.
    Refused,
    /// Nobody took the connection in time.
    Silent,
    /// It was taken, and the answer did not come, or not whole.
    Broken,
}

/// Sends bytes as they are, and waits so long for a connection and for each part of the answer.
pub(crate) fn within(
    to: SocketAddr,
    bytes: &[u8],
    connect: Duration,
    answer: Duration,
) -> Result<Reply, Failed> {
    let mut stream = TcpStream::connect_timeout(&to, connect).map_err(|error| {
        let refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
        if refused {
            Failed::Refused
        } else {
            Failed::Silent
        }
    })?;
    let limits = [
        stream.set_read_timeout(Some(answer)),
        stream.set_write_timeout(Some(answer)),
    ];
    if limits.iter().any(Result::is_err) {
        return Err(Failed::Broken);
    }
    // A server that refuses early closes while we still write; its answer may be there already.
    let _written = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _end = stream.read_to_end(&mut answer);
    parse(&answer).ok_or(Failed::Broken)
}

fn parse(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = answer[end + 4..].to_vec();
    let chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    if chunked {
        body = unchunk(&body)?;
    } else if let Some((_, length)) = headers.iter().find(|(name, _)| name == "content-length") {
        let length: usize = length.parse().ok()?;
        if body.len() < length && status != 304 {
            return None;
        }
    }
    Some(Reply {
        status,
        headers,
        body,
    })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 4 + size..)?;
    }
}
