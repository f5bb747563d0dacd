//! Rings: which keys may sign what at one place of a log (SPEC entry 3.14, 5.5, 6).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::ToString,
    sync::Arc,
    vec::Vec,
};

use crate::{
    draft::{CERTIFICATES_MAX, Draft, Grant, Recovery, Role, Says},
    entry::Entry,
    fault::Fault,
    key::{Certificate, KeyFault},
    name::Fingerprint,
    seal::{RawSignature, SealFault, SealedEntry, TextSignature},
    time::Time,
};

/// How long before `Signed` a signature may say it was made: clocks differ (SPEC entry 5.5).
const EARLY_SECONDS: i64 = 5 * 60;
/// How long after: a text may wait for its signer overnight (SPEC entry 5.5).
const LATE_SECONDS: i64 = 24 * 60 * 60;

/// The keys of a blog at one place of its log.
#[derive(Clone, Debug)]
pub struct Ring {
    keys: BTreeMap<Fingerprint, Holder>,
    ended: BTreeSet<Fingerprint>,
    recovery: Option<Recovery>,
}

#[derive(Clone, Debug)]
struct Holder {
    role: Role,
    certificate: Arc<Certificate>,
}

/// An entry that is valid at its place. Only [`crate::chain::Place`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedEntry {
    sealed: SealedEntry,
    ring: Arc<Ring>,
    owned: bool,
}

impl VerifiedEntry {
    /// The entry and its signatures.
    pub fn sealed(&self) -> &SealedEntry {
        &self.sealed
    }

    /// The entry and its signatures, to be kept.
    pub fn into_sealed(self) -> SealedEntry {
        self.sealed
    }

    /// The entry.
    pub fn entry(&self) -> &Entry {
        self.sealed.entry()
    }

    /// The keys behind this entry.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// Whether one of its authors is an `own` key at this place.
    pub fn is_owned(&self) -> bool {
        self.owned
    }
}

impl Ring {
    /// The ring by which entry 0 is judged: the certificate that it carries (SPEC entry 6.3).
    ///
    /// # Errors
    /// When the certificate cannot be used or is not the author's.
    pub(crate) fn of_first(entry: &Entry) -> Result<Arc<Self>, Fault> {
        let Some(draft) = entry.draft() else {
            return Err(Fault::ErasedWithoutErase(entry.id()));
        };
        let Says::Blog {
            certificate: fingerprint,
            ..
        } = &draft.says
        else {
            return Err(Fault::MissingParent(entry.id()));
        };
        let grant = Grant {
            fingerprint: fingerprint.clone(),
            role: Role::Own,
        };
        let mut ring = Self {
            keys: BTreeMap::new(),
            ended: BTreeSet::new(),
            recovery: None,
        };
        ring.add(&grant, &draft.body)?;
        Ok(Arc::new(ring))
    }

    /// Judges an entry at this place and gives its signatures their kept form, whatever program
    /// made them.
    ///
    /// # Errors
    /// Every [`Fault`] about keys and signatures.
    pub(crate) fn seal(
        self: &Arc<Self>,
        entry: Entry,
        signatures: &[RawSignature],
    ) -> Result<VerifiedEntry, Fault> {
        let (judge, after) = self.around(&entry)?;
        let authors = &entry.skeleton().authors;
        if signatures.len() != authors.len() {
            let (authors, signatures) = (authors.len(), signatures.len());
            return Err(SealFault::Count {
                authors,
                signatures,
            }
            .into());
        }
        let mut kept = Vec::new();
        for author in authors {
            kept.push(judge.normalize(&entry, author, signatures)?);
        }
        let owned = judge.is_owned(authors);
        let sealed = SealedEntry::new(entry, kept)?;
        Ok(VerifiedEntry {
            sealed,
            ring: after,
            owned,
        })
    }

    /// Judges a kept entry at this place.
    ///
    /// An erased entry has no signature left, but its authors must have been fit to sign here. Beyond
    /// that its place and what follows vouch for it (SPEC entry 7.6), which is the chain's to see.
    ///
    /// # Errors
    /// Every [`Fault`] about keys and signatures.
    pub(crate) fn verify(self: &Arc<Self>, sealed: SealedEntry) -> Result<VerifiedEntry, Fault> {
        if sealed.entry().is_erased() {
            let skeleton = sealed.entry().skeleton();
            for author in &skeleton.authors {
                let certificate = self.signer(sealed.entry(), author)?;
                if !certificate.can_sign(skeleton.signed) {
                    return Err(bad_key(certificate, author, skeleton.signed));
                }
            }
            let (ring, owned) = self.recall(sealed.entry())?;
            return Ok(VerifiedEntry {
                sealed,
                ring,
                owned,
            });
        }
        let (judge, after) = self.around(sealed.entry())?;
        let authors = &sealed.entry().skeleton().authors;
        for (author, signature) in authors.iter().zip(sealed.signatures()) {
            judge.check(sealed.entry(), author, signature)?;
        }
        let owned = judge.is_owned(authors);
        Ok(VerifiedEntry {
            sealed,
            ring: after,
            owned,
        })
    }

    /// The keys behind an entry that was judged before, and whether an `own` key signed it.
    pub(crate) fn recall(self: &Arc<Self>, entry: &Entry) -> Result<(Arc<Self>, bool), Fault> {
        let (_, after) = self.around(entry)?;
        Ok((after, self.is_owned(&entry.skeleton().authors)))
    }

    /// The keys of a place as a node has kept them, each with its role, and what has ended there.
    ///
    /// # Errors
    /// When a certificate cannot be used.
    pub fn kept<'c>(
        certificates: impl IntoIterator<Item = (Role, &'c str)>,
        ended: BTreeSet<Fingerprint>,
    ) -> Result<Self, Fault> {
        let mut keys = BTreeMap::new();
        for (role, armor) in certificates {
            let certificate = Arc::new(Certificate::parse(armor)?);
            let fingerprint = certificate.fingerprint().clone();
            keys.insert(fingerprint, Holder { role, certificate });
        }
        Ok(Self {
            keys,
            ended,
            recovery: None,
        })
    }

    /// Whether these keys signed this entry. It says nothing of the entry's place, and makes no
    /// [`VerifiedEntry`]: for a reader of what is known to be in the chain.
    ///
    /// # Errors
    /// Every [`Fault`] about keys and signatures; and for entries that bring keys of their own, and
    /// those without words.
    pub fn check_signed(&self, sealed: &SealedEntry) -> Result<(), Fault> {
        let entry = sealed.entry();
        let Some(draft) = entry.draft() else {
            return Err(Fault::ErasedWithoutErase(entry.id()));
        };
        if let (Says::Keys { .. }, Some(author)) = (&draft.says, entry.skeleton().authors.first()) {
            return Err(Fault::BadSignature(author.clone()));
        }
        let authors = entry.skeleton().authors.iter();
        let mut signed = authors.zip(sealed.signatures());
        signed.try_for_each(|(author, signature)| self.check(entry, author, signature))
    }

    /// Whether this fingerprint has ended.
    pub fn has_ended(&self, fingerprint: &Fingerprint) -> bool {
        self.ended.contains(fingerprint)
    }

    /// The fingerprints that have ended.
    pub fn ended(&self) -> &BTreeSet<Fingerprint> {
        &self.ended
    }

    /// The keys with their roles.
    pub fn keys(&self) -> impl Iterator<Item = (&Fingerprint, Role, &Certificate)> {
        self.keys
            .iter()
            .map(|(fingerprint, h)| (fingerprint, h.role, h.certificate.as_ref()))
    }

    /// The certificate with this fingerprint.
    pub fn certificate(&self, fingerprint: &Fingerprint) -> Option<&Certificate> {
        self.keys
            .get(fingerprint)
            .map(|holder| holder.certificate.as_ref())
    }

    /// Whether one of these is an `own` key.
    pub fn is_owned(&self, authors: &[Fingerprint]) -> bool {
        authors.iter().any(|a| {
            self.keys
                .get(a)
                .is_some_and(|holder| holder.role == Role::Own)
        })
    }

    /// The ring that judges this entry, and the one behind it (SPEC entry 6.3, 6.4).
    fn around(self: &Arc<Self>, entry: &Entry) -> Result<(Arc<Self>, Arc<Self>), Fault> {
        let keys = entry
            .draft()
            .filter(|draft| matches!(draft.says, Says::Keys { .. }));
        let Some(draft) = keys else {
            return Ok((Arc::clone(self), Arc::clone(self)));
        };
        let after = self.after(draft)?;
        let mut judge = Self::clone(self);
        for (fingerprint, holder) in &mut judge.keys {
            if let Some(merged) = after.keys.get(fingerprint) {
                holder.certificate = Arc::clone(&merged.certificate);
            }
        }
        if let Some(author) = entry
            .skeleton()
            .authors
            .iter()
            .find(|a| !judge.keys.contains_key(a))
            && self
                .recovery
                .as_ref()
                .is_some_and(|r| r.fingerprints.contains(author))
        {
            return Err(Fault::RecoveryUnsupported);
        }
        Ok((Arc::new(judge), Arc::new(after)))
    }

    fn after(&self, draft: &Draft) -> Result<Self, Fault> {
        let Says::Keys {
            certificates,
            ends,
            recovery,
        } = &draft.says
        else {
            return Ok(self.clone());
        };
        let mut after = self.clone();
        for (grant, armor) in certificates.iter().zip(draft.armors()) {
            after.add(grant, armor)?;
        }
        for fingerprint in ends {
            if after.keys.remove(fingerprint).is_none() {
                return Err(Fault::NotInRing(fingerprint.clone()));
            }
            after.ended.insert(fingerprint.clone());
        }
        if after.keys.len() > CERTIFICATES_MAX {
            return Err(Fault::TooManyKeys);
        }
        if !after.keys.values().any(|holder| holder.role == Role::Own) {
            return Err(Fault::NoOwnKeyLeft);
        }
        if recovery.is_some() {
            after.recovery.clone_from(recovery);
        }
        Ok(after)
    }

    fn add(&mut self, grant: &Grant, armor: &str) -> Result<(), Fault> {
        let Grant { fingerprint, role } = grant;
        if self.ended.contains(fingerprint) {
            return Err(Fault::NotInRing(fingerprint.clone()));
        }
        let newer = Certificate::parse(armor)?;
        if newer.fingerprint() != fingerprint {
            let (expected, found) = (fingerprint.clone(), newer.fingerprint().clone());
            return Err(KeyFault::WrongFingerprint { expected, found }.into());
        }
        let certificate = match self.keys.get(fingerprint) {
            Some(holder) => holder.certificate.merge(&newer)?,
            None => {
                newer.ever_signs()?;
                newer
            }
        };
        let holder = Holder {
            role: *role,
            certificate: Arc::new(certificate),
        };
        self.keys.insert(fingerprint.clone(), holder);
        Ok(())
    }

    /// The author's certificate, if it may sign this entry.
    fn signer(&self, entry: &Entry, author: &Fingerprint) -> Result<&Certificate, Fault> {
        if self.ended.contains(author) {
            return Err(Fault::Ended(author.clone()));
        }
        let Some(holder) = self.keys.get(author) else {
            return Err(Fault::UnknownAuthor(author.clone()));
        };
        let kind = &entry.skeleton().kind;
        if kind.needs_own() && holder.role != Role::Own {
            return Err(Fault::NotAllowed {
                author: author.clone(),
                kind: kind.clone(),
            });
        }
        Ok(&holder.certificate)
    }

    fn check(
        &self,
        entry: &Entry,
        author: &Fingerprint,
        signature: &TextSignature,
    ) -> Result<(), Fault> {
        let certificate = self.signer(entry, author)?;
        let signed = entry.skeleton().signed;
        check_time(signed, signature.raw().created())?;
        let found = certificate
            .keys()
            .iter()
            .find(|key| key.fingerprint == *signature.issuer());
        let Some(key) = found else {
            return Err(Fault::BadSignature(author.clone()));
        };
        if !key.is_good(signed) {
            return Err(bad_key(certificate, &key.fingerprint, signed));
        }
        if !signature.raw().is_by(key, entry.text()) {
            return Err(Fault::BadSignature(author.clone()));
        }
        Ok(())
    }

    /// Finds the signature of this author among what was sent.
    fn normalize(
        &self,
        entry: &Entry,
        author: &Fingerprint,
        signatures: &[RawSignature],
    ) -> Result<TextSignature, Fault> {
        let certificate = self.signer(entry, author)?;
        let signed = entry.skeleton().signed;
        for signature in signatures {
            for key in certificate
                .keys()
                .iter()
                .filter(|key| signature.may_be_by(key))
            {
                if !signature.is_by(key, entry.text()) {
                    continue;
                }
                if !key.is_good(signed) {
                    return Err(bad_key(certificate, &key.fingerprint, signed));
                }
                check_time(signed, signature.created())?;
                return Ok(signature.clone().normalize(&key.fingerprint)?);
            }
        }
        if !certificate.can_sign(signed) {
            return Err(bad_key(certificate, author, signed));
        }
        Err(Fault::BadSignature(author.clone()))
    }
}

/// Judges whether an entry was signed by one who may write in its blog at some place of its log, for
/// a reader who has entry 0 and the `keys` entries, and not the log between. It tells whose words
/// these are; where they stand, and whether they still count, only the log tells.
///
/// # Errors
/// When one of them is of another blog or without its words; and every [`Fault`] about keys and
/// signatures.
pub fn check_author(
    first: &SealedEntry,
    keys: &[SealedEntry],
    entry: &SealedEntry,
) -> Result<(), Fault> {
    let blog = first.entry().id();
    for sealed in [first, entry].into_iter().chain(keys) {
        if sealed.entry().blog() != blog {
            return Err(Fault::OtherBlog(sealed.entry().blog()));
        }
        // Without words there is no signature that could be good.
        if sealed.entry().is_erased() {
            return Err(Fault::ErasedWithoutErase(sealed.entry().id()));
        }
    }
    let mut ring = Ring::of_first(first.entry())?;
    ring.verify(first.clone())?;
    let mut judged = ring.verify(entry.clone());
    for sealed in keys {
        if judged.is_ok() {
            break;
        }
        ring = Arc::clone(ring.verify(sealed.clone())?.ring());
        judged = ring.verify(entry.clone());
    }
    judged.map(drop)
}

/// Judges a signature over a text that is no entry, such as an answer to a challenge. When the signature
/// says that it was made is the caller's to judge.
///
/// # Errors
/// When no key of the certificate made it, or one that was not good at that time.
pub fn check_text(
    certificate: &Certificate,
    text: &str,
    signature: &RawSignature,
    at: Time,
) -> Result<(), Fault> {
    let author = certificate.fingerprint();
    let mut keys = certificate.keys().iter();
    let made = keys.find(|key| signature.may_be_by(key) && signature.is_by(key, text));
    match made {
        Some(key) if key.is_good(at) => Ok(()),
        Some(key) => Err(bad_key(certificate, &key.fingerprint, at)),
        None => Err(Fault::BadSignature(author.clone())),
    }
}

fn bad_key(certificate: &Certificate, key: &Fingerprint, at: Time) -> Fault {
    let author = certificate.fingerprint().clone();
    Fault::BadKey {
        author,
        why: certificate.trouble(key, at).to_string(),
    }
}

fn check_time(signed: Time, created: Time) -> Result<(), Fault> {
    if (-EARLY_SECONDS..=LATE_SECONDS).contains(&created.since(signed)) {
        Ok(())
    } else {
        Err(Fault::SignatureTime { signed, created })
    }
}
