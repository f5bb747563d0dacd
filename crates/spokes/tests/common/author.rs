//! An author with her key: she reads heads, signs, and sends, as SPEC http 2 and a client do.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};
use spokes_log::{
    draft::{Article, Claim, Draft, Medium, Says},
    entry::{Entry, Skeleton},
    name::{BlogName, EntryId, Hash, Language, Salt, Slug, Tags},
    secret::SecretKey,
    time::Time,
};

use super::{
    demo::Demo,
    http::{self, Reply},
};

/// How long a client goes on sending one entry.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it waits before it sends again.
const PAUSE: Duration = Duration::from_millis(150);

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Time::from_unix(i64::try_from(since.unwrap().as_secs()).unwrap())
}

pub(crate) fn random_key(user_id: &str) -> SecretKey {
    SecretKey::generate(user_id, now() - 3_600).unwrap()
}

pub(crate) fn salt() -> Salt {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    Salt::from_bytes(bytes)
}

pub(crate) fn draft(says: Says, body: &str) -> Draft {
    Draft {
        salt: salt(),
        says,
        instead_of: vec![],
        extensions: vec![],
        body: body.to_owned(),
    }
}

pub(crate) fn article(slug: &str) -> Article {
    Article {
        date: now() - 60,
        slug: Slug::parse(slug).unwrap(),
        title: Some(format!("About {slug}")),
        language: None,
        tags: Tags::default(),
        aliases: vec![],
        replaces: None,
        media: vec![],
    }
}

/// A signed entry, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) entry: Entry,
    pub(crate) json: String,
}

impl Signed {
    pub(crate) fn id(&self) -> EntryId {
        self.entry.id()
    }

    /// The place behind which the next entry stands.
    pub(crate) fn place(&self) -> (Skeleton, EntryId) {
        (self.entry.skeleton().clone(), self.entry.id())
    }

    pub(crate) fn wire(&self) -> Value {
        serde_json::from_str(&self.json).unwrap()
    }
}

/// An author and her blog.
pub(crate) struct Author {
    pub(crate) key: SecretKey,
    pub(crate) name: String,
    /// Behind which she goes on.
    pub(crate) parent: Option<(Skeleton, EntryId)>,
}

impl Author {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            key: random_key(&format!("{name} <{name}@example.org>")),
            name: name.to_owned(),
            parent: None,
        }
    }

    /// One who has created her blog through a spoke.
    pub(crate) fn with_blog(demo: &Demo, name: &str, through: &str) -> Self {
        let mut author = Self::new(name);
        let reply = author.create(demo, through);
        assert_eq!(reply.status, 201, "{}", reply.text());
        author
    }

    /// Signs a draft behind `parent`.
    pub(crate) fn sign_behind(
        &mut self,
        draft: &Draft,
        parent: Option<&(Skeleton, EntryId)>,
    ) -> Signed {
        let at = parent.map_or(now(), |(skeleton, _)| now().max(skeleton.signed));
        self.sign_at(draft, parent, at)
    }

    pub(crate) fn sign_at(
        &mut self,
        draft: &Draft,
        parent: Option<&(Skeleton, EntryId)>,
        at: Time,
    ) -> Signed {
        let authors = vec![self.key.certificate().fingerprint().clone()];
        let parent = parent.map(|(skeleton, id)| (skeleton, *id));
        let entry = Entry::new(draft, parent, authors, at).unwrap();
        let json = self.wire_of(entry.text(), at);
        Signed { entry, json }
    }

    /// Any text, signed by this author, as it is sent.
    pub(crate) fn wire_of(&mut self, text: &str, at: Time) -> String {
        let packet = self.key.sign(text, at).unwrap().to_base64().unwrap();
        json!({ "text": text, "signatures": [packet] }).to_string()
    }

    /// A text as people paste it, signed in the clear.
    pub(crate) fn clearsign(&mut self, text: &str) -> String {
        let text = text.trim_end();
        let packet = self.key.sign(text, now()).unwrap().to_base64().unwrap();
        let lines: Vec<&str> = packet
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{text}\n\
             -----BEGIN PGP SIGNATURE-----\n\n{}\n-----END PGP SIGNATURE-----\n",
            lines.join("\n")
        )
    }

    /// Signs behind what this author knows as the head.
    pub(crate) fn sign(&mut self, draft: &Draft) -> Signed {
        let parent = self.parent.clone();
        self.sign_behind(draft, parent.as_ref())
    }

    /// Entry 0 with a claim to a name.
    pub(crate) fn first(&mut self, network: &str, name: &str, not_after: Time) -> Signed {
        let claim = Claim {
            name: BlogName::parse(name).unwrap(),
            network: Hash::parse(network).unwrap(),
            not_after,
        };
        let says = Says::Blog {
            title: format!("The blog of {name}"),
            language: Language::parse("en").unwrap(),
            certificate: self.key.certificate().fingerprint().clone(),
            claim: Some(claim),
        };
        let body = self.key.certificate().armored().trim().to_owned();
        self.sign_behind(&draft(says, &body), None)
    }

    /// Creates the blog; the answer.
    pub(crate) fn create(&mut self, demo: &Demo, through: &str) -> Reply {
        let name = self.name.clone();
        let first = self.first(&demo.network, &name, now() + 3_600);
        let reply = self.send(demo.address(through), &first);
        self.parent = Some(first.place());
        reply.unwrap_or_default()
    }

    pub(crate) fn send(&self, to: SocketAddr, signed: &Signed) -> Option<Reply> {
        let path = format!("/api/v1/blogs/{}/entries", self.name);
        http::post(to, &path, &signed.json)
    }

    /// Sends and expects *safe*; the next entry goes behind it.
    pub(crate) fn say(&mut self, demo: &Demo, through: &str, draft: &Draft) -> Signed {
        let signed = self.sign(draft);
        let until = Instant::now() + PATIENCE;
        loop {
            let reply = self
                .send(demo.address(through), &signed)
                .unwrap_or_default();
            if reply.status == 201 {
                break;
            }
            let soon = matches!(reply.status, 0 | 202 | 503) && Instant::now() < until;
            assert!(soon, "{} {}", reply.status, reply.text());
            std::thread::sleep(PAUSE);
        }
        self.parent = Some(signed.place());
        signed
    }

    pub(crate) fn post(&mut self, demo: &Demo, through: &str, slug: &str, body: &str) -> Signed {
        self.say(demo, through, &draft(Says::Post(article(slug)), body))
    }

    /// Goes on sending until the entry is safe, through whichever spoke answers: first the same
    /// bytes; after "stale" signed again, instead of all that some server may have seen.
    pub(crate) fn publish(&mut self, demo: &Demo, through: &[String], mut draft: Draft) -> Signed {
        let until = Instant::now() + PATIENCE;
        let mut signed = self.sign(&draft);
        for turn in 0.. {
            let label = &through[turn % through.len()];
            let reply = self.send(demo.address(label), &signed).unwrap_or_default();
            match (reply.status, reply.kind().as_str()) {
                (201, _) => break,
                (409, "stale") => {
                    self.parent = Some(self.head(demo, label, &reply.json()["head"]));
                    draft.instead_of.push(signed.id());
                    signed = self.sign(&draft);
                }
                (0 | 202 | 502 | 503 | 504, _) => std::thread::sleep(PAUSE),
                _ => panic!("{label} answered {} {}", reply.status, reply.text()),
            }
            assert!(Instant::now() < until, "not safe in time: {}", reply.text());
        }
        self.parent = Some(signed.place());
        signed
    }

    /// The place of the head that an answer names.
    pub(crate) fn head(&self, demo: &Demo, label: &str, head: &Value) -> (Skeleton, EntryId) {
        let id = Hash::parse(head["id"].as_str().unwrap()).unwrap();
        let entry = demo.api(label, &format!("entries/{}", id.path())).json();
        let entry = Entry::parse(entry["text"].as_str().unwrap().as_bytes()).unwrap();
        (entry.skeleton().clone(), id)
    }
}

/// A picture that is one, small and different for each word.
pub(crate) fn picture(word: &str) -> (Vec<u8>, Medium) {
    let bytes = [b"\x89PNG\r\n\x1a\n".as_slice(), word.as_bytes()].concat();
    let medium = Medium {
        hash: Hash::of(&bytes),
        bytes: bytes.len() as u64,
        kind: spokes_log::name::MediaType::parse("image/png").unwrap(),
        alt: Some("A picture".to_owned()),
    };
    (bytes, medium)
}

/// `PUT` of a medium.
pub(crate) fn put(to: SocketAddr, name: &str, hash: Hash, bytes: &[u8]) -> Reply {
    let path = format!("/api/v1/blogs/{name}/media/{}", hash.path());
    http::request(to, "PUT", &to.to_string(), &path, &[], bytes).unwrap_or_default()
}
