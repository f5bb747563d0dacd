//! The keys of the simulated authors: fixed, so that a seed decides every id.

use spokes_log::{
    key::KeyFault, name::Fingerprint, seal::RawSignature, secret::SecretKey, time::Time,
};

/// The secret keys of the simulator's authors. They protect nothing: everybody can read them.
const ARMORED: [&str; 3] = [
    include_str!("../keys/author-1.asc"),
    include_str!("../keys/author-2.asc"),
    include_str!("../keys/author-3.asc"),
];

/// The authors' keys, unlocked.
#[derive(Debug)]
pub struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    secret: SecretKey,
    armored: String,
}

impl Keys {
    /// Reads the keys.
    ///
    /// # Panics
    /// When the files beside this one were spoiled.
    pub fn new(at: Time) -> Self {
        let read = |armored: &&str| {
            let secret = SecretKey::parse(armored.as_bytes(), None, None, at)
                .expect("the simulator's keys are whole");
            let armored = secret.certificate().armored();
            Key { secret, armored }
        };
        Self(ARMORED.iter().map(read).collect())
    }

    /// Whose key the author with this number uses.
    pub fn fingerprint(&self, author: usize) -> &Fingerprint {
        self.0[author % ARMORED.len()]
            .secret
            .certificate()
            .fingerprint()
    }

    /// The armored certificate.
    pub fn armored(&self, author: usize) -> &str {
        &self.0[author % ARMORED.len()].armored
    }

    /// Signs a text.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn sign(&mut self, author: usize, text: &str, at: Time) -> Result<RawSignature, KeyFault> {
        self.0[author % ARMORED.len()].secret.sign(text, at)
    }
}
