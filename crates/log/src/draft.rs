//! What an author wants to say: the content of an entry, before it has a place in a log (SPEC entry 3).

use alloc::{string::String, vec::Vec};
use core::fmt;

use crate::{
    name::{BlogName, EntryId, Fingerprint, Hash, Language, MediaType, Salt, Slug, Tags},
    text::{Extension, Headers, Malformed, NUMBER_MAX, Value, What},
    time::Time,
};

/// Bytes of a content header (SPEC entry 2.4).
pub const CONTENT_HEADER_BYTES_MAX: usize = 65_536;
/// Bytes of a body (SPEC entry 2.5): a long book chapter.
pub const BODY_BYTES_MAX: usize = 1_048_576;
/// Bytes of a medium (SPEC entry 3.13): a camera's photo, a short film.
pub const MEDIUM_BYTES_MAX: u64 = 33_554_432;
/// Media of one article (SPEC entry 3.6).
const MEDIA_MAX: usize = 200;
/// Aliases of one article: every old address that a move of house leaves behind.
const ALIASES_MAX: usize = 64;
/// Entries that one `erase` names (SPEC entry 3.7).
pub const ERASES_MAX: usize = 200;
/// Texts that one entry stands instead of: every attempt of a long night with a bad line.
const INSTEAD_OF_MAX: usize = 64;
/// Certificates of a ring (SPEC entry 6.2): a large collective.
pub const CERTIFICATES_MAX: usize = 64;
/// Fingerprints of a recovery quorum (SPEC entry 3.2).
const RECOVERY_MAX: usize = 9;

/// What kind of thing an entry says (SPEC entry 3).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// The first entry: title, language, the author's certificate.
    Blog,
    /// Claims a name on a network.
    Claim,
    /// Gives a name back.
    Release,
    /// Brings and ends keys.
    Keys,
    /// Changes title, language, description.
    Settings,
    /// An article with a date.
    Post,
    /// An article outside the stream.
    Page,
    /// Takes words back.
    Erase,
    /// A kind that this version does not read.
    Other(String),
}

impl Kind {
    /// The word in the `Kind` line.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Blog => "blog",
            Self::Claim => "claim",
            Self::Release => "release",
            Self::Keys => "keys",
            Self::Settings => "settings",
            Self::Post => "post",
            Self::Page => "page",
            Self::Erase => "erase",
            Self::Other(word) => word,
        }
    }

    /// Whether entries of this kind can lose their content (SPEC entry 7.5).
    pub fn is_erasable(&self) -> bool {
        matches!(self.as_str(), "post" | "page" | "comment")
    }

    /// Whether only an `own` key may sign this kind (SPEC entry 3.14).
    pub fn needs_own(&self) -> bool {
        matches!(self, Self::Blog | Self::Keys | Self::Claim | Self::Release)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Value for Kind {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let known = [
            Self::Blog,
            Self::Claim,
            Self::Release,
            Self::Keys,
            Self::Settings,
            Self::Post,
            Self::Page,
            Self::Erase,
        ];
        if let Some(kind) = known.into_iter().find(|kind| kind.as_str() == text) {
            return Ok(kind);
        }
        let shaped = text.len() <= 32
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if shaped {
            Ok(Self::Other(text.into()))
        } else {
            Err("is not a word such as \"post\"")
        }
    }
}

/// The content of an entry: everything that can be erased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// 128 random bits.
    pub salt: Salt,
    /// What is said, by kind.
    pub says: Says,
    /// Entries that this one stands instead of.
    pub instead_of: Vec<EntryId>,
    /// Lines that this version does not read.
    pub extensions: Vec<Extension>,
    /// The words themselves; for `blog` and `keys` the armored certificates.
    pub body: String,
}

/// What is said, by kind.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(
    missing_docs,
    reason = "the fields are named as their lines in SPEC entry 3"
)]
pub enum Says {
    /// SPEC entry 3.1.
    Blog {
        title: String,
        language: Language,
        certificate: Fingerprint,
        claim: Option<Claim>,
    },
    /// SPEC entry 3.3.
    Claim {
        claim: Claim,
        releases: Option<BlogName>,
    },
    /// SPEC entry 3.4.
    Release(Claim),
    /// SPEC entry 3.2.
    Keys {
        certificates: Vec<Grant>,
        ends: Vec<Fingerprint>,
        recovery: Option<Recovery>,
    },
    /// SPEC entry 3.5.
    Settings {
        title: Option<String>,
        language: Option<Language>,
        description: Option<String>,
    },
    /// SPEC entry 3.6.
    Post(Article),
    /// SPEC entry 3.6.
    Page(Article),
    /// SPEC entry 3.7.
    Erase { erases: Vec<EntryId> },
    /// SPEC entry 3.8; the word is the kind.
    Other(String),
}

/// A blog's wish for a name, good for one network and a short time (SPEC entry 3.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The name.
    pub name: BlogName,
    /// The id of the network: the hash of its registry's entry 0.
    pub network: Hash,
    /// Judged only by that registry, when it takes the claim.
    pub not_after: Time,
}

/// What a key may sign (SPEC entry 3.14).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Everything.
    Own,
    /// Everything but `keys`, `claim` and `release`.
    Write,
}

/// A fingerprint and its role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// Whose.
    pub fingerprint: Fingerprint,
    /// What it may sign.
    pub role: Role,
}

/// Who may together bring a new key when all are lost (SPEC entry 6.6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovery {
    /// How many of them.
    pub quorum: u64,
    /// Who.
    pub fingerprints: Vec<Fingerprint>,
}

/// The header of a post or page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Article {
    /// The date shown.
    pub date: Time,
    /// Where it stands below the blog.
    pub slug: Slug,
    /// Its title, if any.
    pub title: Option<String>,
    /// Its language, if it is not the blog's.
    pub language: Option<Language>,
    /// Its tags.
    pub tags: Tags,
    /// Other slugs that lead here.
    pub aliases: Vec<Slug>,
    /// The version that this one was made from.
    pub replaces: Option<EntryId>,
    /// The blobs that belong to it.
    pub media: Vec<Medium>,
}

/// One blob that an article lists.
#[derive(Clone, Eq, Debug)]
pub struct Medium {
    /// Its hash.
    pub hash: Hash,
    /// Its size in bytes.
    pub bytes: u64,
    /// What it is.
    pub kind: MediaType,
    /// What it shows, for those who cannot see it.
    pub alt: Option<String>,
}

impl PartialEq for Medium {
    /// One blob is listed once, whatever is said about it (SPEC entry 3.6).
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

/// Every name of SPEC entry 2 and 3, so that none of them passes for an extension in either part.
pub(crate) const KNOWN: &[&str] = &[
    "Spokes-Entry",
    "Blog",
    "Sequence",
    "Previous",
    "Kind",
    "Signed",
    "Author",
    "Content",
    "Salt",
    "Title",
    "Language",
    "Certificate",
    "Name",
    "Network",
    "Not-After",
    "Ends",
    "Recovery",
    "Releases",
    "Description",
    "Date",
    "Slug",
    "Tags",
    "Alias",
    "Replaces",
    "Media",
    "Erases",
    "Instead-Of",
];
/// The names that mean the same in a kind that this version does not read (SPEC entry 3.8).
const KNOWN_EVERYWHERE: &[&str] = &["Salt", "Instead-Of"];

impl Draft {
    /// What kind of entry this becomes.
    pub fn kind(&self) -> Kind {
        match &self.says {
            Says::Blog { .. } => Kind::Blog,
            Says::Claim { .. } => Kind::Claim,
            Says::Release(_) => Kind::Release,
            Says::Keys { .. } => Kind::Keys,
            Says::Settings { .. } => Kind::Settings,
            Says::Post(_) => Kind::Post,
            Says::Page(_) => Kind::Page,
            Says::Erase { .. } => Kind::Erase,
            Says::Other(word) => Kind::Other(word.clone()),
        }
    }

    /// The header of a post or page.
    pub fn article(&self) -> Option<&Article> {
        match &self.says {
            Says::Post(article) | Says::Page(article) => Some(article),
            _ => None,
        }
    }

    /// The armored certificates of a `blog` or `keys` entry.
    pub fn armors(&self) -> Vec<&str> {
        const SEAM: &str = "-----END PGP PUBLIC KEY BLOCK-----\n\n";
        let mut armors = Vec::new();
        let mut rest = self.body.as_str();
        while let Some(at) = rest.find(SEAM) {
            let (armor, behind) = rest.split_at(at + SEAM.len());
            armors.push(armor.trim_end_matches('\n'));
            rest = behind;
        }
        armors.extend((!rest.is_empty()).then_some(rest));
        armors
    }

    /// Reads the content of an entry; its first line has the number `first_line` in the text.
    ///
    /// # Errors
    /// Names the first line that breaks a rule of SPEC entry 2 or 3.
    pub fn parse(kind: &Kind, content: &str, first_line: usize) -> Result<Self, Malformed> {
        let (header, body) = match content.split_once("\n\n") {
            Some((header, body)) => (header, Some(body)),
            None => (content, None),
        };
        if header.len() > CONTENT_HEADER_BYTES_MAX {
            let what = What::TooLarge {
                part: "content header",
                max: CONTENT_HEADER_BYTES_MAX,
            };
            return Err(Malformed::new(first_line, what));
        }
        let mut headers = Headers::new(header, first_line)?;
        let salt = headers.required("Salt")?;
        let says = Says::parse(kind, &mut headers)?;
        let instead_of = match says {
            Says::Blog { .. } => Vec::new(),
            _ => headers.repeated("Instead-Of", INSTEAD_OF_MAX)?,
        };
        let known = if matches!(says, Says::Other(_)) {
            KNOWN_EVERYWHERE
        } else {
            KNOWN
        };
        let extensions = headers.extensions(known)?;
        let body_line = headers.line() + 1;
        if let Some(body) = body {
            check_body(body, body_line)?;
        }
        let draft = Self {
            salt,
            says,
            instead_of,
            extensions,
            body: body.unwrap_or_default().into(),
        };
        draft.check_body_of_kind(body_line)?;
        Ok(draft)
    }

    fn check_body_of_kind(&self, line: usize) -> Result<(), Malformed> {
        let armors = match &self.says {
            Says::Blog { .. } => 1,
            Says::Keys { certificates, .. } => certificates.len(),
            Says::Post(_) | Says::Page(_) | Says::Other(_) => return Ok(()),
            _ => 0,
        };
        if armors == 0 && !self.body.is_empty() {
            return Err(Malformed::rule(
                line,
                "an entry of this kind has no body; remove it and sign again",
            ));
        }
        if self.armors().len() != armors {
            let rule = "the body must hold one armored certificate for each \"Certificate\" line, \
                        with an empty line between two; mend it and sign again";
            return Err(Malformed::rule(line, rule));
        }
        Ok(())
    }
}

fn check_body(body: &str, line: usize) -> Result<(), Malformed> {
    if body.len() > BODY_BYTES_MAX {
        return Err(Malformed::new(
            line,
            What::TooLarge {
                part: "body",
                max: BODY_BYTES_MAX,
            },
        ));
    }
    if body.starts_with('\n') || body.ends_with('\n') || body.is_empty() {
        let rule = "the body begins or ends with an empty line; remove it and sign again";
        return Err(Malformed::rule(line, rule));
    }
    Ok(())
}

impl Says {
    fn parse(kind: &Kind, headers: &mut Headers<'_>) -> Result<Self, Malformed> {
        Ok(match kind {
            Kind::Blog => {
                let (title, language) = (headers.required("Title")?, headers.required("Language")?);
                let line = headers.line();
                let grant: Grant = headers.required("Certificate")?;
                if grant.role != Role::Own {
                    return Err(Malformed::rule(
                        line,
                        "the first certificate must be \"own\"; write \"own\" behind it and sign \
                         again",
                    ));
                }
                let claim = match headers.optional("Name")? {
                    Some(name) => Some(Claim::rest(name, headers)?),
                    None => None,
                };
                Self::Blog {
                    title,
                    language,
                    certificate: grant.fingerprint,
                    claim,
                }
            }
            Kind::Claim => Self::Claim {
                claim: Claim::parse(headers)?,
                releases: headers.optional("Releases")?,
            },
            Kind::Release => Self::Release(Claim::parse(headers)?),
            Kind::Keys => Self::parse_keys(headers)?,
            Kind::Settings => {
                let line = headers.line();
                let (title, language, description) = (
                    headers.optional("Title")?,
                    headers.optional("Language")?,
                    headers.optional("Description")?,
                );
                if title.is_none() && language.is_none() && description.is_none() {
                    return Err(Malformed::rule(
                        line,
                        "the settings set nothing; name a title, a language or a description and \
                         sign again",
                    ));
                }
                Self::Settings {
                    title,
                    language,
                    description,
                }
            }
            Kind::Post => Self::Post(Article::parse(headers)?),
            Kind::Page => Self::Page(Article::parse(headers)?),
            Kind::Erase => {
                let line = headers.line();
                let erases = headers.repeated("Erases", ERASES_MAX)?;
                if erases.is_empty() {
                    return Err(Malformed::new(line, What::Expected("Erases")));
                }
                Self::Erase { erases }
            }
            Kind::Other(word) => Self::Other(word.clone()),
        })
    }

    fn parse_keys(headers: &mut Headers<'_>) -> Result<Self, Malformed> {
        let line = headers.line();
        let certificates: Vec<Grant> = headers.repeated("Certificate", CERTIFICATES_MAX)?;
        let ends: Vec<Fingerprint> = headers.repeated("Ends", CERTIFICATES_MAX)?;
        let recovery: Option<Recovery> = headers.optional("Recovery")?;
        if certificates.is_empty() && ends.is_empty() && recovery.is_none() {
            return Err(Malformed::rule(
                line,
                "the keys entry changes nothing; name a certificate, an end or a recovery and \
                 sign again",
            ));
        }
        let mut named: Vec<&Fingerprint> = certificates
            .iter()
            .map(|grant| &grant.fingerprint)
            .chain(&ends)
            .collect();
        named.sort();
        if named.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Malformed::rule(
                line,
                "a fingerprint stands twice; name it once and sign again",
            ));
        }
        Ok(Self::Keys {
            certificates,
            ends,
            recovery,
        })
    }
}

impl Claim {
    fn parse(headers: &mut Headers<'_>) -> Result<Self, Malformed> {
        let name = headers.required("Name")?;
        Self::rest(name, headers)
    }

    fn rest(name: BlogName, headers: &mut Headers<'_>) -> Result<Self, Malformed> {
        let network = headers.required("Network")?;
        Ok(Self {
            name,
            network,
            not_after: headers.required("Not-After")?,
        })
    }
}

impl Article {
    fn parse(headers: &mut Headers<'_>) -> Result<Self, Malformed> {
        let date = headers.required("Date")?;
        let slug = headers.required("Slug")?;
        let (title, language) = (headers.optional("Title")?, headers.optional("Language")?);
        let tags = headers.optional("Tags")?.unwrap_or_default();
        let line = headers.line();
        let aliases = headers.repeated("Alias", ALIASES_MAX)?;
        if aliases.contains(&slug) {
            return Err(Malformed::rule(
                line,
                "an alias equals the slug; remove it and sign again",
            ));
        }
        let replaces = headers.optional("Replaces")?;
        let media = headers.repeated("Media", MEDIA_MAX)?;
        Ok(Self {
            date,
            slug,
            title,
            language,
            tags,
            aliases,
            replaces,
            media,
        })
    }
}

impl Value for Grant {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "is not a fingerprint and \"own\" or \"write\"";
        let (fingerprint, role) = text.split_once(' ').ok_or(SHAPE)?;
        let role = match role {
            "own" => Role::Own,
            "write" => Role::Write,
            _ => return Err(SHAPE),
        };
        Ok(Self {
            fingerprint: Fingerprint::parse(fingerprint)?,
            role,
        })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.role == Role::Own {
            "own"
        } else {
            "write"
        };
        write!(f, "{} {role}", self.fingerprint)
    }
}

impl Value for Recovery {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "is not a number and up to 9 different fingerprints";
        let (quorum, rest) = text.split_once(' ').ok_or(SHAPE)?;
        let quorum = <u64 as Value>::parse(quorum)?;
        let mut fingerprints = Vec::new();
        for fingerprint in rest.split(' ') {
            let fingerprint = Fingerprint::parse(fingerprint)?;
            if fingerprints.len() == RECOVERY_MAX || fingerprints.contains(&fingerprint) {
                return Err(SHAPE);
            }
            fingerprints.push(fingerprint);
        }
        if !(1..=fingerprints.len() as u64).contains(&quorum) {
            return Err("asks for none or for more than it names");
        }
        Ok(Self {
            quorum,
            fingerprints,
        })
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.quorum)?;
        self.fingerprints
            .iter()
            .try_for_each(|fingerprint| write!(f, " {fingerprint}"))
    }
}

impl Value for Medium {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "is not a hash, a size and a type";
        let mut words = text.splitn(4, ' ');
        let mut word = || words.next().ok_or(SHAPE);
        let (hash, bytes, kind) = (word()?, word()?, word()?);
        let medium = Self {
            hash: Hash::parse(hash)?,
            bytes: <u64 as Value>::parse(bytes)?,
            kind: MediaType::parse(kind)?,
            alt: words.next().map(Into::into),
        };
        if medium.bytes == 0 || medium.bytes > MEDIUM_BYTES_MAX {
            return Err("is empty or larger than 32 MiB");
        }
        if medium
            .alt
            .as_ref()
            .is_some_and(|alt| alt.is_empty() || alt.starts_with(' '))
        {
            return Err("has an empty description, or one that begins with a space");
        }
        Ok(medium)
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_assert!(self.bytes <= NUMBER_MAX, "media are below 32 MiB");
        write!(f, "{} {} {}", self.hash, self.bytes, self.kind)?;
        self.alt.iter().try_for_each(|alt| write!(f, " {alt}"))
    }
}

/// Writes one line of `Name: value`.
fn line(f: &mut fmt::Formatter<'_>, name: &str, value: &dyn fmt::Display) -> fmt::Result {
    write!(f, "\n{name}: {value}")
}

fn lines<V: fmt::Display>(f: &mut fmt::Formatter<'_>, name: &str, values: &[V]) -> fmt::Result {
    values.iter().try_for_each(|value| line(f, name, value))
}

fn maybe<V: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    value: Option<&V>,
) -> fmt::Result {
    value.into_iter().try_for_each(|value| line(f, name, value))
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Salt: {}", self.salt)?;
        self.says.fmt(f)?;
        lines(f, "Instead-Of", &self.instead_of)?;
        self.extensions
            .iter()
            .try_for_each(|e| line(f, &e.name, &e.value))?;
        if !self.body.is_empty() {
            write!(f, "\n\n{}", self.body)?;
        }
        Ok(())
    }
}

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blog {
                title,
                language,
                certificate,
                claim,
            } => {
                line(f, "Title", title)?;
                line(f, "Language", language)?;
                line(f, "Certificate", &format_args!("{certificate} own"))?;
                claim.iter().try_for_each(|claim| claim.fmt(f))
            }
            Self::Claim { claim, releases } => {
                claim.fmt(f)?;
                maybe(f, "Releases", releases.as_ref())
            }
            Self::Release(claim) => claim.fmt(f),
            Self::Keys {
                certificates,
                ends,
                recovery,
            } => {
                lines(f, "Certificate", certificates)?;
                lines(f, "Ends", ends)?;
                maybe(f, "Recovery", recovery.as_ref())
            }
            Self::Settings {
                title,
                language,
                description,
            } => {
                maybe(f, "Title", title.as_ref())?;
                maybe(f, "Language", language.as_ref())?;
                maybe(f, "Description", description.as_ref())
            }
            Self::Post(article) | Self::Page(article) => article.fmt(f),
            Self::Erase { erases } => lines(f, "Erases", erases),
            Self::Other(_) => Ok(()),
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "Name", &self.name)?;
        line(f, "Network", &self.network)?;
        line(f, "Not-After", &self.not_after)
    }
}

impl fmt::Display for Article {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "Date", &self.date)?;
        line(f, "Slug", &self.slug)?;
        maybe(f, "Title", self.title.as_ref())?;
        maybe(f, "Language", self.language.as_ref())?;
        maybe(f, "Tags", (!self.tags.0.is_empty()).then_some(&self.tags))?;
        lines(f, "Alias", &self.aliases)?;
        maybe(f, "Replaces", self.replaces.as_ref())?;
        lines(f, "Media", &self.media)
    }
}
