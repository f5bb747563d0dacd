//! An author at her desk, for tests: makes keys, signs drafts, keeps the chain.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod breach;
pub(crate) mod pgp;

use spokes_log::{
    chain::Chain,
    draft::{Article, Draft, Grant, Role, Says},
    entry::Entry,
    fault::Fault,
    name::{EntryId, Language, Salt, Slug, Tags},
    ring::VerifiedEntry,
    seal::SealedEntry,
    secret::SecretKey,
    time::Time,
};

/// When every story begins: 2026-11-23T14:05:00Z.
pub(crate) const START: Time = Time::from_unix(1_795_442_700);

/// An author with her key and her own copy of her blog.
pub(crate) struct Author {
    pub(crate) key: SecretKey,
    pub(crate) chain: Chain,
    pub(crate) first: SealedEntry,
    pub(crate) entries: Vec<SealedEntry>,
    /// Seconds from one entry to the next.
    pub(crate) pause: i64,
    salt: u8,
}

pub(crate) fn key(user_id: &str) -> SecretKey {
    SecretKey::generate(user_id, START - 3600).expect("a key can be made")
}

/// One of four keys that are the same in every run, so that ids are, and a seed tells all.
pub(crate) fn same_key(name: &str) -> SecretKey {
    let armored = match name {
        "maria" => include_str!("keys/maria.asc"),
        "rosa" => include_str!("keys/rosa.asc"),
        "wanda" => include_str!("keys/wanda.asc"),
        _ => include_str!("keys/late.asc"),
    };
    SecretKey::parse(armored.as_bytes(), None, None, START).expect("a key")
}

pub(crate) fn draft(salt: u8, says: Says, body: &str) -> Draft {
    Draft {
        salt: Salt::from_bytes([salt; 16]),
        says,
        instead_of: vec![],
        extensions: vec![],
        body: body.into(),
    }
}

pub(crate) fn article(slug: &str) -> Article {
    Article {
        date: START,
        slug: Slug::parse(slug).expect("a slug"),
        title: Some(format!("About {slug}")),
        language: None,
        tags: Tags::default(),
        aliases: vec![],
        replaces: None,
        media: vec![],
    }
}

impl Author {
    pub(crate) fn new(user_id: &str) -> Self {
        Self::with(key(user_id))
    }

    pub(crate) fn with(mut key: SecretKey) -> Self {
        let certificate = key.certificate().clone();
        let says = Says::Blog {
            title: "Maria".into(),
            language: Language::parse("en").expect("a language"),
            certificate: certificate.fingerprint().clone(),
            claim: None,
        };
        let body = certificate.armored();
        let authors = vec![certificate.fingerprint().clone()];
        let entry =
            Entry::new(&draft(0, says, &body), None, authors, START).expect("entry 0 is sound");
        let mut chain = Chain::new(entry.id());
        let signature = key.sign(entry.text(), START).expect("signed");
        let first = chain
            .place(&entry)
            .and_then(|p| p.seal(entry, &[signature]))
            .expect("valid");
        chain.append(&first).expect("appended");
        let first = first.sealed().clone();
        Self {
            key,
            chain,
            entries: vec![first.clone()],
            first,
            pause: 1,
            salt: 0,
        }
    }

    pub(crate) fn head(&self) -> EntryId {
        self.chain.heads().last().expect("a blog has a head").1
    }

    /// Signs what she says behind `parent`, without appending it.
    pub(crate) fn sign(&mut self, parent: EntryId, draft: &Draft) -> Result<VerifiedEntry, Fault> {
        let entry = self.entry(parent, draft);
        let at = entry.skeleton().signed;
        let signature = self.key.sign(entry.text(), at).expect("signed");
        self.chain.place(&entry)?.seal(entry, &[signature])
    }

    /// The unsigned entry.
    pub(crate) fn entry(&self, parent: EntryId, draft: &Draft) -> Entry {
        let parent = self
            .entries
            .iter()
            .find(|e| e.entry().id() == parent)
            .expect("known")
            .entry();
        let authors = vec![self.key.certificate().fingerprint().clone()];
        let signed = parent.skeleton().signed + self.pause;
        Entry::new(
            draft,
            Some((parent.skeleton(), parent.id())),
            authors,
            signed,
        )
        .expect("sound")
    }

    pub(crate) fn append(&mut self, verified: &VerifiedEntry) -> EntryId {
        self.chain.append(verified).expect("appended");
        self.entries.push(verified.sealed().clone());
        verified.entry().id()
    }

    pub(crate) fn say_at(
        &mut self,
        parent: EntryId,
        says: Says,
        body: &str,
    ) -> Result<EntryId, Fault> {
        self.salt += 1;
        let draft = draft(self.salt, says, body);
        let verified = self.sign(parent, &draft)?;
        Ok(self.append(&verified))
    }

    pub(crate) fn say(&mut self, says: Says, body: &str) -> Result<EntryId, Fault> {
        self.say_at(self.head(), says, body)
    }

    pub(crate) fn post(&mut self, slug: &str) -> EntryId {
        self.say(Says::Post(article(slug)), "The words themselves.")
            .expect("valid")
    }

    pub(crate) fn grant(key: &SecretKey, role: Role) -> Grant {
        Grant {
            fingerprint: key.certificate().fingerprint().clone(),
            role,
        }
    }

    pub(crate) fn add_key(&mut self, key: &SecretKey, role: Role) -> Result<EntryId, Fault> {
        let says = Says::Keys {
            certificates: vec![Self::grant(key, role)],
            ends: vec![],
            recovery: None,
        };
        self.say(says, &key.certificate().armored())
    }
}
