//! The steps of a story about the life of spokes, and about where blogs are.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use spokes_log::{name::Hash, text::Value as _};
use spokes_rules::{
    caa::Caa,
    health::{Load, Report, Says, Takes},
    node::Signed,
    request::{CouncilNode, Home, Request, Wish, Word},
};

use super::{Town, address, label, secret};

impl Town {
    /// The request of a step; none where there is no such step.
    pub(super) fn life(&mut self, words: &[&str]) -> Option<Request> {
        Some(match *words {
            ["mirror", mirror, "by", who] => self.plain(
                who,
                Wish::Mirror {
                    label: label(mirror),
                    address: address(mirror),
                },
            ),
            ["caa", "by", who] => self.plain(who, Wish::Caa { rules: Vec::new() }),
            // Words of a rule are joined by "_".
            ["caa", rules, "by", who] => {
                let rules = rules.split(',').map(|rule| rule.replace('_', " "));
                let rules = rules.map(|rule| Caa::parse(&rule).expect("a rule"));
                let rules = rules.collect();
                self.plain(who, Wish::Caa { rules })
            }
            ["unmirror", mirror] => {
                let label = label(mirror);
                self.plain("organizer", Wish::Unmirror { label })
            }
            ["down", spoke, "by", observers] => self.health(spoke, Says::Silent, observers, 0),
            ["down", spoke, "by", observers, "before", seconds] => {
                let before = seconds.parse().expect("seconds");
                self.health(spoke, Says::Silent, observers, before)
            }
            ["up", spoke, "by", observers] => self.health(spoke, Says::Answers, observers, 0),
            ["load", spoke, step, takes] => self.plain(
                spoke,
                Wish::Load {
                    label: label(spoke),
                    load: Load::new(step.parse().expect("a step")).expect("a step"),
                    takes: match takes {
                        "new" => Takes::New,
                        "held" => Takes::Held,
                        _ => Takes::Nothing,
                    },
                },
            ),
            ["drain", spoke] => {
                let label = label(spoke);
                self.plain("organizer", Wish::Drain { label })
            }
            ["leave", spoke] => self.plain(
                spoke,
                Wish::Leave {
                    label: label(spoke),
                },
            ),
            _ => return self.seats(words).or_else(|| self.life_of_blogs(words)),
        })
    }

    /// "council" is the node with which the network began.
    fn seats(&self, words: &[&str]) -> Option<Request> {
        let node = |name: &str| {
            let is_first = name == "council";
            CouncilNode {
                label: label(if is_first { "council-1" } else { name }),
                key: secret(name).key(),
                api: address(name),
                dns: address(name),
                peer: address(name).next_port(),
            }
        };
        Some(match *words {
            ["stand", name, "with", token] => {
                let (node, token) = (node(name), token.into());
                self.plain(name, Wish::Stand { node, token })
            }
            ["seat", name, "by", who] => {
                let label = node(name).label;
                self.plain(who, Wish::Seat { label })
            }
            ["refill", name] => {
                let label = node(name).label;
                self.plain("organizer", Wish::Refill { label })
            }
            ["recover", names] => {
                let council = names.split(',').map(node).collect();
                self.plain("organizer", Wish::Recover { council })
            }
            _ => return None,
        })
    }

    fn life_of_blogs(&mut self, words: &[&str]) -> Option<Request> {
        Some(match *words {
            ["move", author, "to", spoke] => {
                let (blog, to) = (self.blog(author), label(spoke));
                self.plain("organizer", Wish::Move { blog, to })
            }
            ["home", author, "to", spoke, "at", bringer] => {
                self.home(author, author, spoke, bringer)
            }
            [
                "home",
                author,
                "to",
                spoke,
                "at",
                bringer,
                "signed",
                "by",
                who,
            ] => self.home(author, who, spoke, bringer),
            ["replicas", author, number] => {
                let (blog, replicas) = (self.blog(author), number.parse().expect("a number"));
                self.plain("organizer", Wish::Replicas { blog, replicas })
            }
            ["demand", author, number, "by", spoke] => {
                let (blog, more) = (self.blog(author), number.parse().expect("a number"));
                self.plain(spoke, Wish::Demand { blog, more })
            }
            ["holds", author, "by", spoke] => {
                let blogs = vec![self.blog(author)];
                self.plain(
                    spoke,
                    Wish::Holds {
                        label: label(spoke),
                        blogs,
                    },
                )
            }
            ["whole", author, epoch, "by", spoke] => {
                let (blog, epoch) = (self.blog(author), epoch.parse().expect("an epoch"));
                self.plain(spoke, Wish::Whole { blog, epoch })
            }
            [
                "force",
                author,
                epoch,
                "by",
                who,
                "seals",
                seals,
                "held",
                held,
            ] => {
                let statements = self.open(author, epoch, seals, held).statements;
                let wish = Wish::Open {
                    blog: self.blog(author),
                    epoch: epoch.parse().expect("an epoch"),
                    forced: true,
                };
                Request {
                    statements,
                    ..self.plain(who, wish)
                }
            }
            _ => return None,
        })
    }

    fn blog(&mut self, author: &str) -> Hash {
        self.author(author).first.entry().id()
    }

    /// "a,council,council@c": reports of spoke `a` and of the council's node, and one of the council's node about `c`.
    fn health(&self, spoke: &str, says: Says, observers: &str, before: i64) -> Request {
        let reports = observers.split(',').filter(|name| *name != "nobody");
        let reports = reports.map(|word| {
            let (name, of) = word.split_once('@').unwrap_or((word, spoke));
            let observer = if name == "council" { "council-1" } else { name };
            let report = Report {
                network: self.registry.network(),
                observer: label(observer),
                of: label(of),
                says: if of == spoke { says } else { Says::Silent },
                time: self.now + -before,
            };
            Signed::new(&secret(name), &report)
        });
        let label = label(spoke);
        let wish = match says {
            Says::Silent => Wish::Down { label },
            Says::Answers => Wish::Up { label },
        };
        Request {
            statements: reports.collect(),
            ..self.plain("council", wish)
        }
    }

    /// `who` signs that the blog of `author` is to move.
    fn home(&mut self, author: &str, who: &str, spoke: &str, bringer: &str) -> Request {
        let home = Home {
            network: self.registry.network(),
            time: self.now,
            blog: self.blog(author),
            spoke: label(spoke),
        };
        let (text, now) = (home.to_string(), self.now);
        let signature = self
            .author(who)
            .key
            .sign(&text, now)
            .expect("a key that signs");
        let signature = signature.to_base64().expect("a signature");
        let word = Hash::of(text.as_bytes());
        let proof = vec![self.author(author).first.clone()];
        let wish = Wish::Home {
            blog: home.blog,
            word,
        };
        let signature = STANDARD.decode(signature).expect("base64");
        Request {
            proof,
            word: Some(Word { text, signature }),
            ..self.plain(bringer, wish)
        }
    }

    /// The set that a blog should have next.
    pub(crate) fn next_set(&mut self, author: &str) -> String {
        let blog = self.blog(author);
        let candidates = self.registry.candidates();
        let next = self.registry.next_set(self.now, blog, &candidates);
        let next = next.map(|next| next.iter().map(ToString::to_string).collect::<Vec<_>>());
        next.map_or("as it is".into(), |next| next.join(","))
    }

    /// The council closes a set as the registry says.
    pub(super) fn follow(&mut self, author: &str) -> Request {
        let next = self.next_set(author);
        let blog = self.blog(author);
        let epoch = self.registry.blog(blog).expect("a blog").set.epoch;
        self.close("council", author, &epoch.to_string(), &next)
    }
}
