//! The first blogs of a demo, so that its reader finds something.

use std::{fs, net::SocketAddr, time::Duration};

use spokes_log::{
    draft::{Article, Claim, Draft, Says},
    entry::{Entry, Skeleton},
    name::{BlogName, EntryId, Hash, Language, Salt, Slug, Tag, Tags},
    secret::SecretKey,
};

use super::Demo;
use crate::{
    client::{Ask, Reply},
    clock, config,
    outage::Outage,
    wire::EntryWire,
};

impl Demo {
    /// The sample blogs, signed by a demo author whose key is made here.
    pub(super) async fn seed(&self) -> Result<(), Outage> {
        let now = clock::now();
        let failed = |e: spokes_log::key::KeyFault| Outage::new(e.to_string());
        let user_id = format!("Demo author <demo@{}>", self.plan.domain);
        let path = self.dir.join("demo-author.key");
        // A seeding that broke off goes on with the key that it made.
        let mut key = match fs::read(&path) {
            Ok(bytes) => SecretKey::parse(&bytes, None, None, now).map_err(failed)?,
            Err(_) => {
                let key = SecretKey::generate(&user_id, now - 60).map_err(failed)?;
                config::write_file(&path, key.armored().as_bytes(), 0o600)?;
                key
            }
        };
        for (number, sample) in SAMPLES.iter().enumerate() {
            let spoke = &self.spokes()[number % self.spokes().len()];
            let path = format!("/api/v1/blogs/{}", sample.name);
            let there: Reply<serde_json::Value> =
                self.client.get(Ask::new(spoke.address, &path)).await?;
            if matches!(there, Reply::Good(..)) {
                continue;
            }
            self.seed_blog(spoke.address, &mut key, sample).await?;
        }
        config::write_file(&self.dir.join("seeded"), b"", 0o644)
    }

    async fn seed_blog(
        &self,
        spoke: SocketAddr,
        key: &mut SecretKey,
        sample: &Sample,
    ) -> Result<(), Outage> {
        let network = Hash::parse(&self.network).map_err(Outage::new)?;
        let now = clock::now();
        let claim = Claim {
            name: BlogName::parse(sample.name).map_err(Outage::new)?,
            network,
            not_after: now + 3_600,
        };
        let says = Says::Blog {
            title: sample.title.to_owned(),
            language: Language::parse(sample.language).map_err(Outage::new)?,
            certificate: key.certificate().fingerprint().clone(),
            claim: Some(claim),
        };
        let body = key.certificate().armored();
        let mut parent = self.say(spoke, key, sample.name, says, &body, None).await?;
        for post in sample.posts {
            let tags = post
                .tags
                .iter()
                .filter_map(|tag| Tag::parse(tag).ok())
                .collect();
            let article = Article {
                date: now - post.days_ago * 24 * 3_600,
                slug: Slug::parse(post.slug).map_err(Outage::new)?,
                title: Some(post.title.to_owned()),
                language: None,
                tags: Tags(tags),
                aliases: Vec::new(),
                replaces: None,
                media: Vec::new(),
            };
            let (skeleton, id) = &parent;
            let behind = Some((skeleton, *id));
            let says = Says::Post(article);
            parent = self
                .say(spoke, key, sample.name, says, post.body, behind)
                .await?;
        }
        Ok(())
    }

    async fn say(
        &self,
        spoke: SocketAddr,
        key: &mut SecretKey,
        name: &str,
        says: Says,
        body: &str,
        parent: Option<(&Skeleton, EntryId)>,
    ) -> Result<(Skeleton, EntryId), Outage> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)
            .map_err(|e| Outage::new(format!("the system gives no random numbers: {e}")))?;
        let draft = Draft {
            salt: Salt::from_bytes(salt),
            says,
            instead_of: Vec::new(),
            extensions: Vec::new(),
            body: body.trim().to_owned(),
        };
        let now = clock::now();
        let authors = vec![key.certificate().fingerprint().clone()];
        let entry = Entry::new(&draft, parent, authors, now)
            .map_err(|e| Outage::new(format!("a sample post is not canonical: {e}")))?;
        let signature = key
            .sign(entry.text(), now)
            .map_err(|e| Outage::new(e.to_string()))?;
        let wire = EntryWire {
            text: entry.text().to_owned(),
            signatures: vec![
                signature
                    .to_base64()
                    .map_err(|e| Outage::new(e.to_string()))?,
            ],
        };
        let path = format!("/api/v1/blogs/{name}/entries");
        let ask = Ask::new(spoke, &path).waiting(Duration::from_secs(10));
        let _standing: serde_json::Value = self.client.post(ask, &wire).await?.good()?;
        Ok((entry.skeleton().clone(), entry.id()))
    }
}

struct Sample {
    name: &'static str,
    title: &'static str,
    language: &'static str,
    posts: &'static [SamplePost],
}

struct SamplePost {
    slug: &'static str,
    title: &'static str,
    tags: &'static [&'static str],
    days_ago: i64,
    body: &'static str,
}

const SAMPLES: &[Sample] = &[
    Sample {
        name: "welcome",
        title: "Welcome to this network",
        language: "en",
        posts: &[
            SamplePost {
                slug: "how-this-works",
                title: "How this works",
                tags: &["network", "howto"],
                days_ago: 2,
                body: include_str!("how-this-works.md"),
            },
            SamplePost {
                slug: "check-what-you-read",
                title: "Check what you read",
                tags: &["howto", "signatures"],
                days_ago: 1,
                body: include_str!("check-what-you-read.md"),
            },
        ],
    },
    Sample {
        name: "ahlan",
        title: "أهلاً وسهلاً",
        language: "ar",
        posts: &[SamplePost {
            slug: "مرحبا",
            title: "مرحبا بكم",
            tags: &["شبكة"],
            days_ago: 0,
            body: include_str!("marhaba.md"),
        }],
    },
];
