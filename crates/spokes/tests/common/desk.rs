//! Somebody at the writing desk, who sends forms as a browser does.

use super::{
    author::Author,
    demo::Demo,
    gpg::Gpg,
    http::{Reply, raw},
};

const URLENCODED: &str = "application/x-www-form-urlencoded";
/// One red pixel.
pub(crate) const PNG: &[u8] = &[
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0x0D, 0x49, 0x48, 0x44, 0x52, 0, 0, 0,
    1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xDE, 0, 0, 0, 0x0C, 0x49, 0x44, 0x41, 0x54,
    0x78, 0x9C, 0x63, 0xF8, 0xCF, 0xC0, 0, 0, 3, 1, 1, 0, 0xC9, 0xFE, 0x92, 0xEF, 0, 0, 0, 0, 0x49,
    0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
];

/// Somebody with a key at a spoke's desk.
pub(crate) struct Visitor<'a> {
    pub(crate) demo: &'a Demo,
    /// At whose desk.
    pub(crate) at: &'static str,
    pub(crate) gpg: Gpg,
    pub(crate) cookie: String,
}

impl<'a> Visitor<'a> {
    pub(crate) fn new(demo: &'a Demo) -> Self {
        Self {
            demo,
            at: "a",
            gpg: Gpg::new("Somebody <s@example.org>"),
            cookie: String::new(),
        }
    }

    pub(crate) fn host(&self) -> String {
        format!("{}.spoke.{}", self.at, self.demo.domain)
    }

    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        origin: Option<&str>,
        form: &[(&str, &str)],
    ) -> Reply {
        let mut body = ammonia::url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let body = body.finish();
        let origin = origin
            .map(|origin| format!("Origin: {origin}\r\n"))
            .unwrap_or_default();
        self.send(method, path, &origin, URLENCODED, body.as_bytes())
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        origin: &str,
        kind: &str,
        body: &[u8],
    ) -> Reply {
        let head = format!(
            "{method} /_/desk{path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n{origin}Connection: close\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.host(),
            self.cookie,
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        raw(self.demo.address(self.at), &request).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, None, &[])
    }

    pub(crate) fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        self.ask("POST", path, None, form)
    }

    pub(crate) fn answer(&self) -> String {
        self.gpg.clearsign(&self.get("/sign-in.txt").text())
    }

    pub(crate) fn sign_in(&mut self) {
        let reply = self.try_to_sign_in(&self.answer(), &self.gpg.public_key(), "");
        self.is_signed_in(&reply);
    }

    pub(crate) fn try_to_sign_in(&self, answer: &str, key: &str, blog: &str) -> Reply {
        self.post(
            "/sign-in",
            &[("answer", answer), ("key", key), ("blog", blog)],
        )
    }

    pub(crate) fn is_signed_in(&mut self, reply: &Reply) {
        assert_eq!(reply.status, 303, "{}", reply.text());
        let cookie = reply.header("set-cookie").unwrap();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
            "{cookie}"
        );
        assert!(!cookie.contains("Domain"), "{cookie}");
        cookie
            .split(';')
            .next()
            .unwrap()
            .clone_into(&mut self.cookie);
    }

    /// Signed in with the key of somebody who has a blog.
    pub(crate) fn with_blog(demo: &'a Demo, author: &mut Author) -> Self {
        let mut visitor = Self::new(demo);
        let answer = author.clearsign(&visitor.get("/sign-in.txt").text());
        let key = author.key.certificate().armored();
        let reply = visitor.try_to_sign_in(&answer, &key, "");
        visitor.is_signed_in(&reply);
        visitor
    }

    /// Presses a button of the form in which one writes; gives the name of the draft.
    pub(crate) fn write(&self, button: &str, fields: &[(&str, &str)]) -> (Reply, String) {
        let key = self.form_key();
        let mut form = vec![("form", key.as_str()), ("do", button)];
        form.extend(fields);
        let reply = self.post("/write", &form);
        let id = draft_of(&reply);
        (reply, id)
    }

    /// The same with a picture that was chosen.
    pub(crate) fn write_with(
        &self,
        button: &str,
        fields: &[(&str, &str)],
        picture: &[u8],
    ) -> Reply {
        let key = self.form_key();
        let mut form = vec![("form", key.as_str()), ("do", button)];
        form.extend(fields);
        let part = |name: &str| format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"");
        let mut body = Vec::new();
        for (name, value) in form {
            body.extend(format!("{}\r\n\r\n{value}\r\n", part(name)).bytes());
        }
        let head = format!("{}; filename=\"a.png\"\r\n\r\n", part("picture"));
        body.extend(head.bytes());
        body.extend([picture, b"\r\n--X--\r\n"].concat());
        self.send(
            "POST",
            "/write",
            "",
            "multipart/form-data; boundary=X",
            &body,
        )
    }

    pub(crate) fn publish(&self, draft: &str, answer: &str) -> Reply {
        let key = self.form_key();
        let form = [("form", key.as_str()), ("draft", draft), ("answer", answer)];
        self.post("/sign", &form)
    }

    /// What forms of this session bring.
    pub(crate) fn form_key(&self) -> String {
        let page = self.get("/write").text();
        let (_, rest) = page.split_once("name=\"form\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

/// Nobody was signed in, and a sentence says why and what to do; what was pasted stays.
#[track_caller]
pub(crate) fn assert_refused(reply: &Reply, status: u16, answer: &str, sentences: &[&str]) {
    let page = reply.text();
    assert_eq!(reply.status, status, "{page}");
    assert!(reply.header("set-cookie").is_none());
    for sentence in sentences {
        assert!(page.contains(sentence), "\"{sentence}\" is not in {page}");
    }
    let nonce = answer.lines().find(|line| line.starts_with("Nonce: "));
    assert!(page.contains(nonce.unwrap()), "what was pasted is lost");
}

/// The draft to which an answer leads.
pub(crate) fn draft_of(reply: &Reply) -> String {
    let to = reply.header("location").unwrap_or_default();
    let id = to.split("draft=").nth(1).unwrap_or_default();
    id.split('&').next().unwrap_or_default().to_owned()
}

/// The sentences stand on the page.
#[track_caller]
pub(crate) fn assert_says(page: &Reply, status: u16, sentences: &[&str]) {
    let text = page.text();
    assert_eq!(page.status, status, "{text}");
    for sentence in sentences {
        assert!(text.contains(sentence), "\"{sentence}\" is not in {text}");
    }
}
