//! Signatures over entries: how they come in, how they are kept, how they are shown (SPEC entry 5).

use alloc::{
    borrow::ToOwned as _,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sequoia_openpgp::{
    Packet, PacketPile,
    crypto::hash::Hash as _,
    packet::{
        Signature,
        signature::subpacket::{Subpacket, SubpacketTag, SubpacketValue},
    },
    parse::Parse as _,
    serialize::SerializeInto as _,
    types::{HashAlgorithm, SignatureType},
};

use crate::{
    entry::{ENTRY_BYTES_MAX, Entry},
    key::{self, SigningKey},
    name::{Fingerprint, Hash},
    text::Malformed,
    time::Time,
};

/// Bytes of one signature packet as it is kept (SPEC entry 5.2): RSA-8192 fits.
pub const SIGNATURE_BYTES_MAX: usize = 2_048;
/// Bytes of all signatures of one entry as a stranger sends them, armor included.
const ARMOR_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a pasted block: an entry whose every line is dash-escaped, its signatures, CRLF.
pub const BLOCK_BYTES_MAX: usize = 3 * ENTRY_BYTES_MAX + ARMOR_BYTES_MAX;

const BEGIN_MESSAGE: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END_SIGNATURE: &str = "-----END PGP SIGNATURE-----";

/// Why a signature, or a block with one, is refused before any key is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SealFault {
    /// The signed text is not canonical.
    Text(Malformed),
    /// The block does not have the form of SPEC entry 5.7; with what to do.
    Block(&'static str),
    /// What should be signatures is something else; with the library's reason.
    NotASignature(String),
    /// The signature is not over text; with the type found.
    NotOverText(String),
    /// The digest is not one of SPEC entry 5.4.
    Digest(String),
    /// The signature expires, which an archive cannot use.
    Expires,
    /// A critical subpacket or notation that this format does not know.
    Critical(String),
    /// The signature says not when it was made.
    NoTime,
    /// The signature packet is of a version that this format does not know.
    Version(u8),
    /// A kept packet is over its limit.
    TooLarge(usize),
    /// A kept packet is not in the form of SPEC entry 5.2.
    NotNormal,
    /// There are not as many signatures as authors.
    Count {
        /// Authors in the skeleton.
        authors: usize,
        /// Signatures found.
        signatures: usize,
    },
}

impl fmt::Display for SealFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(malformed) => malformed.fmt(f),
            Self::Block(todo) => f.write_str(todo),
            Self::NotASignature(why) => write!(
                f,
                "this is not an OpenPGP signature: {why}; send what \"gpg --clearsign\" wrote, \
                 unchanged"
            ),
            Self::NotOverText(found) => write!(
                f,
                "the signature is of type {found}, not over text; sign with \"gpg --clearsign\" \
                 or \"gpg --textmode --detach-sign\""
            ),
            Self::Digest(found) => write!(
                f,
                "the signature uses the digest {found}; sign with SHA-256 or SHA-512 \
                 (\"gpg --digest-algo SHA512 …\")"
            ),
            Self::Expires => {
                write!(f, "the signature expires; sign without an expiration time")
            }
            Self::Critical(found) => {
                write!(
                    f,
                    "the signature holds the critical {found}; sign without it"
                )
            }
            Self::NoTime => write!(f, "the signature does not say when it was made; sign again"),
            Self::Version(found) => write!(
                f,
                "the signature is of version {found}; versions 4 and 6 are read, sign with a \
                 newer program"
            ),
            Self::TooLarge(bytes) => {
                write!(
                    f,
                    "the signature has {bytes} bytes, the limit is {SIGNATURE_BYTES_MAX}; sign \
                     without notations, or with a smaller key"
                )
            }
            Self::NotNormal => write!(f, "the signature packet is not in its one kept form"),
            Self::Count {
                authors,
                signatures,
            } => {
                write!(
                    f,
                    "{authors} authors are named, {signatures} signatures are there; send one \
                     signature of each author"
                )
            }
        }
    }
}

impl core::error::Error for SealFault {}

impl From<Malformed> for SealFault {
    fn from(malformed: Malformed) -> Self {
        Self::Text(malformed)
    }
}

/// One text signature as some program made it: sound in form, by whomever.
#[derive(Clone, Debug)]
pub struct RawSignature {
    signature: Signature,
    created: Time,
}

impl RawSignature {
    /// Reads signature packets, armored or not.
    ///
    /// # Errors
    /// When something else is inside, or a packet breaks SPEC entry 5.1, 5.3 or 5.4.
    pub fn parse_all(bytes: &[u8]) -> Result<Vec<Self>, SealFault> {
        if bytes.len() > ARMOR_BYTES_MAX {
            return Err(SealFault::TooLarge(bytes.len()));
        }
        let pile =
            PacketPile::from_bytes(bytes).map_err(|e| SealFault::NotASignature(e.to_string()))?;
        let mut signatures = Vec::new();
        for packet in pile.into_children() {
            let Packet::Signature(signature) = packet else {
                return Err(SealFault::NotASignature(
                    "another packet is inside".to_owned(),
                ));
            };
            signatures.push(Self::check(signature)?);
        }
        if signatures.is_empty() {
            return Err(SealFault::NotASignature("nothing is inside".to_owned()));
        }
        Ok(signatures)
    }

    pub(crate) fn check(signature: Signature) -> Result<Self, SealFault> {
        if !matches!(signature.version(), 4 | 6) {
            return Err(SealFault::Version(signature.version()));
        }
        if signature.typ() != SignatureType::Text {
            return Err(SealFault::NotOverText(signature.typ().to_string()));
        }
        if !key::HASHES.contains(&signature.hash_algo()) {
            return Err(SealFault::Digest(signature.hash_algo().to_string()));
        }
        for subpacket in signature.hashed_area().iter() {
            check_subpacket(subpacket)?;
        }
        let created = key::seconds(signature.signature_creation_time()).ok_or(SealFault::NoTime)?;
        Ok(Self { signature, created })
    }

    /// The packet in base64, as its maker wrote it.
    ///
    /// # Errors
    /// When the library cannot write it.
    pub fn to_base64(&self) -> Result<String, SealFault> {
        let packet = Packet::from(self.signature.clone()).to_vec();
        Ok(BASE64.encode(packet.map_err(|e| SealFault::NotASignature(e.to_string()))?))
    }

    /// The keys that the signature names as its makers; nobody has checked that.
    pub fn issuers(&self) -> Vec<Fingerprint> {
        let named = self.signature.issuer_fingerprints();
        named
            .filter_map(|issuer| Fingerprint::from_bytes(issuer.as_bytes()))
            .collect()
    }

    /// When the signature says it was made.
    pub fn created(&self) -> Time {
        self.created
    }

    /// Whether this is a signature over `text` by this key, which was good at that time.
    pub(crate) fn is_by(&self, key: &SigningKey, text: &str) -> bool {
        let version = self.signature.version();
        // RFC 9580 section 5.2: signatures of version 6 are made by keys of version 6 only.
        if (version == 6) != (key.key.version() == 6) {
            return false;
        }
        let born = key::seconds(Some(key.key.creation_time()));
        if born.is_none_or(|born| self.created < born) {
            return false;
        }
        digest(&self.signature, text).is_some_and(|digest| {
            // RFC 9580 section 5.2.3: the packet repeats two bytes of the digest. Nobody signed them,
            // so unless they are right, one signature would have 65,536 kept forms.
            if !digest.starts_with(self.signature.digest_prefix()) {
                return false;
            }
            // Not `Signature::verify_…`: those keep every good signature in a cache without limit.
            let algorithm = self.signature.hash_algo();
            key.has_signed(self.signature.mpis(), algorithm, &digest)
        })
    }

    /// Whether the signature names this key, or names none.
    pub(crate) fn may_be_by(&self, key: &SigningKey) -> bool {
        let handle = key.key.key_handle();
        let issuers = self.signature.get_issuers();
        issuers.is_empty() || issuers.iter().any(|issuer| issuer.aliases(&handle))
    }

    /// Rewrites the area that nobody signed, so that everybody keeps the same bytes.
    pub(crate) fn normalize(mut self, key: &Fingerprint) -> Result<TextSignature, SealFault> {
        let issuer = sequoia_openpgp::Fingerprint::from_bytes(
            if key.is_v6() { 6 } else { 4 },
            key.as_bytes(),
        );
        let failed = |e: sequoia_openpgp::anyhow::Error| SealFault::NotASignature(e.to_string());
        let issuer = issuer.map_err(failed)?;
        let area = self.signature.unhashed_area_mut();
        area.clear();
        let subpacket = Subpacket::new(SubpacketValue::IssuerFingerprint(issuer), false);
        area.add(subpacket.map_err(failed)?).map_err(failed)?;
        let whole = Packet::from(self.signature);
        let packet = whole.to_vec().map_err(failed)?;
        let Packet::Signature(signature) = whole else {
            return Err(SealFault::NotNormal);
        };
        if packet.len() > SIGNATURE_BYTES_MAX {
            return Err(SealFault::TooLarge(packet.len()));
        }
        let created = self.created;
        Ok(TextSignature {
            packet,
            issuer: key.clone(),
            raw: Self { signature, created },
        })
    }
}

fn check_subpacket(subpacket: &Subpacket) -> Result<(), SealFault> {
    let known = [
        SubpacketTag::SignatureCreationTime,
        SubpacketTag::IssuerFingerprint,
        SubpacketTag::Issuer,
        SubpacketTag::KeyFlags,
        SubpacketTag::SignersUserID,
    ];
    if subpacket.tag() == SubpacketTag::SignatureExpirationTime {
        return Err(SealFault::Expires);
    }
    if subpacket.critical() && !known.contains(&subpacket.tag()) {
        return Err(SealFault::Critical(subpacket.tag().to_string()));
    }
    Ok(())
}

/// The digest that a text signature covers: line ends as CRLF, none at the end (SPEC entry 5.1).
fn digest(signature: &Signature, text: &str) -> Option<Vec<u8>> {
    let mut context = signature
        .hash_algo()
        .context()
        .ok()?
        .for_signature(signature.version());
    if let Signature::V6(signature) = signature {
        let salt = signature.salt();
        if salt.len() != signature.hash_algo().salt_size().ok()? {
            return None;
        }
        context.update(salt);
    }
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            context.update(b"\r\n");
        }
        context.update(line.as_bytes());
    }
    signature.hash(&mut context).ok()?;
    context.into_digest().ok()
}

/// One signature in the only form in which it is kept (SPEC entry 5.2).
#[derive(Clone, Debug)]
pub struct TextSignature {
    packet: Vec<u8>,
    issuer: Fingerprint,
    raw: RawSignature,
}

impl PartialEq for TextSignature {
    fn eq(&self, other: &Self) -> bool {
        self.packet == other.packet
    }
}

impl Eq for TextSignature {}

impl TextSignature {
    /// Reads a kept packet.
    ///
    /// # Errors
    /// When it breaks SPEC entry 5.1 to 5.4 or is not in its one form.
    pub fn parse(packet: &[u8]) -> Result<Self, SealFault> {
        if packet.len() > SIGNATURE_BYTES_MAX {
            return Err(SealFault::TooLarge(packet.len()));
        }
        let parsed =
            Packet::from_bytes(packet).map_err(|e| SealFault::NotASignature(e.to_string()))?;
        let Packet::Signature(signature) = parsed else {
            return Err(SealFault::NotASignature(
                "another packet is inside".to_owned(),
            ));
        };
        let issuer = {
            let mut area = signature.unhashed_area().iter().map(Subpacket::value);
            match (area.next(), area.next()) {
                (Some(SubpacketValue::IssuerFingerprint(issuer)), None) => {
                    Fingerprint::from_bytes(issuer.as_bytes()).ok_or(SealFault::NotNormal)?
                }
                _ => return Err(SealFault::NotNormal),
            }
        };
        let kept = RawSignature::check(signature)?.normalize(&issuer)?;
        if kept.packet != packet {
            return Err(SealFault::NotNormal);
        }
        Ok(kept)
    }

    /// The packet.
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// The primary key or subkey that the packet names as its maker.
    pub fn issuer(&self) -> &Fingerprint {
        &self.issuer
    }

    /// The signature inside.
    pub fn raw(&self) -> &RawSignature {
        &self.raw
    }

    /// Whether this one is kept where two nodes hold different packets (SPEC entry 5.6).
    pub fn is_kept_over(&self, other: &Self) -> bool {
        Hash::of(&self.packet) < Hash::of(&other.packet)
    }

    fn digest_name(&self) -> &'static str {
        match self.raw.signature.hash_algo() {
            HashAlgorithm::SHA256 => "SHA256",
            HashAlgorithm::SHA384 => "SHA384",
            _ => "SHA512",
        }
    }
}

/// An entry with its signatures in their kept form. Whether they are good is not known yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedEntry {
    entry: Entry,
    signatures: Vec<TextSignature>,
}

impl SealedEntry {
    /// Reads an entry as nodes keep and pass it: its text and one packet for each author, none when
    /// it is erased.
    ///
    /// # Errors
    /// When text or packets are not in their one form.
    pub fn parse<P: AsRef<[u8]>>(text: &[u8], packets: &[P]) -> Result<Self, SealFault> {
        let entry = Entry::parse(text)?;
        let signatures = packets
            .iter()
            .map(|packet| TextSignature::parse(packet.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(entry, signatures)
    }

    pub(crate) fn new(entry: Entry, signatures: Vec<TextSignature>) -> Result<Self, SealFault> {
        let authors = if entry.is_erased() {
            0
        } else {
            entry.skeleton().authors.len()
        };
        if signatures.len() != authors {
            return Err(SealFault::Count {
                authors,
                signatures: signatures.len(),
            });
        }
        Ok(Self { entry, signatures })
    }

    /// The entry.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// One signature for each author, in their order.
    pub fn signatures(&self) -> &[TextSignature] {
        &self.signatures
    }

    /// What is left of it when its words are erased.
    #[must_use]
    pub fn erased(&self) -> Self {
        Self {
            entry: self.entry.erased(),
            signatures: Vec::new(),
        }
    }

    /// The sealed file that any OpenPGP program checks (SPEC entry 5.7); none when it is erased.
    pub fn cleartext(&self) -> Option<String> {
        if self.entry.is_erased() {
            return None;
        }
        let mut digests: Vec<&str> = Vec::new();
        for name in self.signatures.iter().map(TextSignature::digest_name) {
            if !digests.contains(&name) {
                digests.push(name);
            }
        }
        let mut file = format!("{BEGIN_MESSAGE}\nHash: {}\n\n", digests.join(","));
        for line in self.entry.text().split('\n') {
            if line.starts_with('-') {
                file.push_str("- ");
            }
            file.push_str(line);
            file.push('\n');
        }
        file.push_str(&self.armored_signatures());
        Some(file)
    }

    /// The signatures in one armored block, LF at the end.
    pub fn armored_signatures(&self) -> String {
        let packets: Vec<u8> = self
            .signatures
            .iter()
            .flat_map(|s| s.packet.iter().copied())
            .collect();
        let mut armor = format!("{BEGIN_SIGNATURE}\n\n");
        for line in BASE64.encode(&packets).as_bytes().chunks(64) {
            armor.extend(line.iter().map(|b| char::from(*b)));
            armor.push('\n');
        }
        // RFC 9580 section 6.1 lets the checksum go; gpg 2.2 warns without one.
        armor.push('=');
        armor.push_str(&BASE64.encode(&crc24(&packets).to_be_bytes()[1..]));
        armor.push('\n');
        armor.push_str(END_SIGNATURE);
        armor.push('\n');
        armor
    }
}

/// The checksum of an armored block (RFC 4880 section 6.1).
fn crc24(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x00B7_04CE, |mut crc: u32, byte| {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4CFB;
            }
        }
        crc & 0x00FF_FFFF
    })
}

/// A cleartext-signed text as somebody pasted it.
#[derive(Clone, Debug)]
pub struct Pasted {
    /// The text that was signed, not yet known to be canonical.
    pub text: String,
    /// The signatures under it.
    pub signatures: Vec<RawSignature>,
}

impl Pasted {
    /// Reads a block in the cleartext signature framework, strictly (SPEC entry 5.7).
    ///
    /// # Errors
    /// Says what to remove when there is anything else, and what is wrong with a signature.
    pub fn parse(block: &[u8]) -> Result<Self, SealFault> {
        if block.len() > BLOCK_BYTES_MAX {
            return Err(SealFault::Block(
                "the block is larger than any entry can be",
            ));
        }
        let block = core::str::from_utf8(block)
            .map_err(|_| SealFault::Block("the block is not UTF-8; paste it as UTF-8"))?
            .replace("\r\n", "\n");
        let block = block.trim_matches('\n');
        let rest = block
            .strip_prefix(BEGIN_MESSAGE)
            .and_then(|rest| rest.strip_prefix('\n'));
        let Some(rest) = rest else {
            return Err(SealFault::Block(
                "the block does not begin with \"-----BEGIN PGP SIGNED MESSAGE-----\"; paste all \
                 that \"gpg --clearsign\" wrote and nothing before it",
            ));
        };
        let (text, armor) =
            rest.split_once(&format!("\n{BEGIN_SIGNATURE}\n"))
                .ok_or(SealFault::Block(
                    "the block has no signature; paste it to its end",
                ))?;
        let text = unescape(skip_armor_headers(text)?)?;
        let ended = armor
            .strip_suffix(END_SIGNATURE)
            .is_some_and(|a| !a.contains("-----"));
        if !ended {
            return Err(SealFault::Block(
                "something stands behind \"-----END PGP SIGNATURE-----\", or it is missing; paste \
                 the block and nothing else",
            ));
        }
        let signatures = RawSignature::parse_all(format!("{BEGIN_SIGNATURE}\n{armor}").as_bytes())?;
        Ok(Self { text, signatures })
    }
}

/// The signed lines behind the `Hash:` lines and the empty one.
fn skip_armor_headers(text: &str) -> Result<&str, SealFault> {
    const ADVICE: SealFault = SealFault::Block(
        "only \"Hash:\" lines and an empty line may stand above the signed text; sign again",
    );
    let mut rest = text;
    loop {
        let (line, behind) = rest.split_once('\n').ok_or(ADVICE)?;
        rest = behind;
        if line.is_empty() {
            return Ok(rest);
        }
        if !line.starts_with("Hash: ") {
            return Err(ADVICE);
        }
    }
}

fn unescape(text: &str) -> Result<String, SealFault> {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        match line.strip_prefix("- ") {
            Some(escaped) => lines.push(escaped),
            None if line.starts_with('-') => {
                return Err(SealFault::Block(
                    "a line begins with an unescaped \"-\"; paste what \"gpg --clearsign\" wrote, \
                     unchanged",
                ));
            }
            None => lines.push(line),
        }
    }
    Ok(lines.join("\n"))
}
