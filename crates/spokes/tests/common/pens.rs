//! Authors at work on a recorded network: everything that an author does, until it is safe.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use spokes_log::{
    draft::{Article, Claim, Says},
    name::{BlogName, EntryId, Hash},
};

use super::{
    Random,
    author::{Author, Signed, article, draft, now, picture, put},
    http,
    recorded::{Recorded, SPOKES},
    wait_for,
};

const AUTHORS: [&str; 3] = ["maria", "nadia", "olga"];
/// How long an author goes on sending one entry.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// What the authors know of an entry that was called safe.
pub(crate) struct Known {
    pub(crate) signed: Signed,
    pub(crate) blog: String,
    /// The spoke that takes her entries.
    pub(crate) primary: String,
    pub(crate) media: Vec<(Hash, Vec<u8>)>,
    pub(crate) erases: Vec<EntryId>,
}

/// What all authors know, by the ids.
pub(crate) type Story = BTreeMap<String, Known>;

/// An author at work, through whichever spoke answers.
struct Pen {
    author: Author,
    spokes: Vec<SocketAddr>,
    random: Random,
    network: String,
    primary: String,
    known: Vec<Known>,
}

impl Pen {
    fn any(&mut self) -> SocketAddr {
        self.spokes[self.random.below(self.spokes.len())]
    }

    /// Sends until it is safe; brings the media when they are asked for.
    fn deliver(&mut self, signed: Signed, media: Vec<(Hash, Vec<u8>)>, erases: Vec<EntryId>) {
        let until = Instant::now() + PATIENCE;
        loop {
            let to = self.any();
            let reply = self.author.send(to, &signed).unwrap_or_default();
            match reply.status {
                201 => break,
                202 if !reply.json()["missing_media"].is_null() => {
                    for (hash, bytes) in &media {
                        put(to, &self.author.name, *hash, bytes);
                    }
                }
                0 | 202 | 502 | 503 | 504 => thread::sleep(PAUSE),
                status => panic!("{status} {}", reply.text()),
            }
            assert!(Instant::now() < until, "not safe in time: {}", reply.text());
        }
        self.author.parent = Some(signed.place());
        let blog = self.author.name.clone();
        let primary = self.primary.clone();
        self.known.push(Known {
            signed,
            blog,
            primary,
            media,
            erases,
        });
    }

    fn say(&mut self, says: Says, body: &str, media: Vec<(Hash, Vec<u8>)>) -> EntryId {
        let erases = match &says {
            Says::Erase { erases } => erases.clone(),
            _ => Vec::new(),
        };
        let signed = self.author.sign(&draft(says, body));
        let id = signed.id();
        self.deliver(signed, media, erases);
        id
    }

    /// A name of her own, then everything that an author does.
    fn write(mut self) -> Vec<Known> {
        let name = self.author.name.clone();
        let first = self.author.first(&self.network, &name, now() + 3_600);
        self.deliver(first, Vec::new(), Vec::new());
        let (to, path) = (self.any(), format!("/api/v1/blogs/{name}"));
        self.primary = wait_for("a spoke knows the blog", PATIENCE, || {
            let blog = http::request(to, "GET", &to.to_string(), &path, &[], b"")?;
            let blog = (blog.status == 200).then(|| blog.json())?;
            blog["primary"].as_str().map(str::to_owned)
        });
        let short = self.say(Says::Post(article("short")), "A few words.", Vec::new());
        let long = "Many words.\n".repeat(1_500);
        self.say(Says::Post(article("long")), long.trim_end(), Vec::new());
        let secret = self.with_picture("secret", 1);
        for n in 0..4 {
            self.with_picture(&format!("album-{n}"), 1 + n % 3);
            self.say(
                Says::Page(article(&format!("page-{n}"))),
                "A page.",
                Vec::new(),
            );
        }
        let edit = Article {
            replaces: Some(short),
            ..article("short")
        };
        self.say(Says::Post(edit), "Other words.", Vec::new());
        self.say(
            Says::Erase {
                erases: vec![secret],
            },
            "",
            Vec::new(),
        );
        for n in 0..6 {
            self.say(
                Says::Post(article(&format!("post-{n}"))),
                "Words.\n".repeat(n * 90 + 1).trim_end(),
                Vec::new(),
            );
        }
        let claim = Claim {
            name: BlogName::parse(&format!("{name}2")).unwrap(),
            network: Hash::parse(&self.network).unwrap(),
            not_after: now() + 3_600,
        };
        self.say(
            Says::Claim {
                claim,
                releases: None,
            },
            "",
            Vec::new(),
        );
        self.say(Says::Post(article("last")), "The last words.", Vec::new());
        self.known
    }

    fn with_picture(&mut self, slug: &str, pictures: usize) -> EntryId {
        let mut post = article(slug);
        let mut media = Vec::new();
        for n in 0..pictures {
            let word = format!("{slug} {n} of {} ", self.author.name).repeat(300 * (n + 1));
            let (bytes, medium) = picture(&word);
            media.push((medium.hash, bytes));
            post.media.push(medium);
        }
        self.say(Says::Post(post), "With pictures.", media)
    }
}

/// Authors write, also through a spoke that dies meanwhile and comes back.
pub(crate) fn play(network: &mut Recorded, dies: &str, seed: usize) -> Story {
    let spokes: Vec<SocketAddr> = SPOKES.map(|label| network.nodes[label].address).into();
    let id = network.network.clone();
    let pens = AUTHORS.iter().enumerate().map(|(n, name)| Pen {
        author: Author::new(name),
        spokes: spokes.clone(),
        random: Random::new((seed + n) as u64 * 7_919),
        network: id.clone(),
        primary: String::new(),
        known: Vec::new(),
    });
    let pens: Vec<Pen> = pens.collect();
    let known = thread::scope(|scope| {
        let writing: Vec<_> = pens
            .into_iter()
            .map(|pen| scope.spawn(|| pen.write()))
            .collect();
        network.ended(dies);
        network.serve(dies, None);
        let written = writing
            .into_iter()
            .flat_map(|author| author.join().unwrap());
        written.collect::<Vec<Known>>()
    });
    known
        .into_iter()
        .map(|known| (known.signed.id().to_string(), known))
        .collect()
}
