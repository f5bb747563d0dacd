//! An entry: one item of a log, its place in the chain and its words (SPEC entry 2).

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use crate::{
    draft::{BODY_BYTES_MAX, CONTENT_HEADER_BYTES_MAX, Draft, KNOWN, Kind},
    name::{BlogId, EntryId, Fingerprint, Hash},
    text::{self, Extension, Headers, Malformed, Value, What},
    time::Time,
};

/// Bytes of a skeleton, an LF after each line (SPEC entry 2.1).
pub const SKELETON_BYTES_MAX: usize = 4_096;
/// Signers of one entry (SPEC entry 2.6): a collective that speaks with one voice.
pub const AUTHORS_MAX: usize = 8;
/// Bytes of a whole text: the sum of its parts and their seams.
pub const ENTRY_BYTES_MAX: usize =
    SKELETON_BYTES_MAX + CONTENT_HEADER_BYTES_MAX + BODY_BYTES_MAX + 4;
/// The version of the format that this crate writes and fully reads.
const VERSION: u64 = 1;

/// Where an entry stands: what stays when its words are erased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skeleton {
    /// Of the format; above 1 the content is not read (SPEC entry 4).
    pub version: u64,
    /// The blog; none in entry 0, whose own id it is.
    pub blog: Option<BlogId>,
    /// Entries between this one and entry 0.
    pub sequence: u64,
    /// The parent; none in entry 0.
    pub previous: Option<EntryId>,
    /// What kind of thing is said.
    pub kind: Kind,
    /// When the author says it was signed: what keys are judged by.
    pub signed: Time,
    /// Who signs: 1 to 8 primary fingerprints, ascending.
    pub authors: Vec<Fingerprint>,
    /// The hash of the content.
    pub content_hash: Hash,
    /// Its length in bytes.
    pub content_bytes: u64,
    /// Lines that this version does not read.
    pub extensions: Vec<Extension>,
}

/// A canonical text that obeys the grammar. Nothing is known yet about who signed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    text: String,
    id: EntryId,
    skeleton: Skeleton,
    said: Said,
}

/// What an entry holds behind its skeleton.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every entry has a draft, and few are held at once"
)]
pub enum Said {
    /// Words of a kind and version that this crate reads.
    Draft(Draft),
    /// Words of a later version (SPEC entry 4).
    Later,
    /// Nothing any more.
    Erased,
}

impl Entry {
    /// Gives a draft its place; the result is what the author signs.
    ///
    /// `parent` is the skeleton and id of the head it follows, or none for entry 0.
    ///
    /// # Errors
    /// When the draft breaks a rule that its types cannot hold, such as a limit.
    pub fn new(
        draft: &Draft,
        parent: Option<(&Skeleton, EntryId)>,
        mut authors: Vec<Fingerprint>,
        signed: Time,
    ) -> Result<Self, Malformed> {
        authors.sort();
        let content = draft.to_string();
        let skeleton = Skeleton {
            version: VERSION,
            blog: parent.map(|(skeleton, id)| skeleton.blog.unwrap_or(id)),
            sequence: parent.map_or(0, |(skeleton, _)| skeleton.sequence + 1),
            previous: parent.map(|(_, id)| id),
            kind: draft.kind(),
            signed,
            authors,
            content_hash: Hash::of(content.as_bytes()),
            content_bytes: content.len() as u64,
            extensions: Vec::new(),
        };
        let entry = Self::parse(alloc::format!("{skeleton}\n\n{content}").as_bytes())?;
        // A value that holds a line end would be read as lines that the author never wrote.
        if entry.draft() != Some(draft) {
            let rule = "a value holds a line end, or an extension has a known name; write each \
                        value on one line";
            return Err(Malformed::rule(skeleton_lines(&entry) + 2, rule));
        }
        Ok(entry)
    }

    /// Reads a canonical text.
    ///
    /// # Errors
    /// Names the first line that breaks a rule of SPEC entry 1 to 4.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > ENTRY_BYTES_MAX {
            let what = What::TooLarge {
                part: "entry",
                max: ENTRY_BYTES_MAX,
            };
            return Err(Malformed::new(1, what));
        }
        let text = text::check(bytes)?;
        let (head, content) = match text.split_once("\n\n") {
            Some((head, content)) => (head, Some(content)),
            None => (text, None),
        };
        let skeleton = Skeleton::parse(head)?;
        let content_line = head.split('\n').count() + 2;
        let said = match content {
            None => Said::Erased,
            Some(content) => skeleton.parse_content(content, content_line)?,
        };
        if let Said::Draft(draft) = &said {
            skeleton.check_first(draft)?;
        }
        let id = id_of(head);
        Ok(Self {
            text: text.to_string(),
            id,
            skeleton,
            said,
        })
    }

    /// Whether this text has this id and the content that its skeleton names: so a node recognizes
    /// what it read and judged before it kept it. Gives how many signatures are kept with it.
    pub fn recognize(text: &str, id: EntryId) -> Option<usize> {
        let (head, content) = match text.split_once("\n\n") {
            Some((head, content)) => (head, Some(content)),
            None => (text, None),
        };
        if id_of(head) != id {
            return None;
        }
        let Some(content) = content else {
            return Some(0);
        };
        let mut named = head.split('\n').filter_map(|l| l.strip_prefix("Content: "));
        let ContentLine(hash, bytes) = ContentLine::parse(named.next()?).ok()?;
        let whole = bytes == content.len() as u64 && hash == Hash::of(content.as_bytes());
        let authors = head.split('\n').filter(|l| l.starts_with("Author: "));
        whole.then(|| authors.count())
    }

    /// The canonical text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The id (SPEC entry 2.2).
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// The blog that this entry belongs to.
    pub fn blog(&self) -> BlogId {
        self.skeleton.blog.unwrap_or(self.id)
    }

    /// The skeleton.
    pub fn skeleton(&self) -> &Skeleton {
        &self.skeleton
    }

    /// What it says.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// The words, when they are there and of a version that this crate reads.
    pub fn draft(&self) -> Option<&Draft> {
        match &self.said {
            Said::Draft(draft) => Some(draft),
            Said::Later | Said::Erased => None,
        }
    }

    /// Whether the content is gone.
    pub fn is_erased(&self) -> bool {
        matches!(self.said, Said::Erased)
    }

    /// The same entry without its words (SPEC entry 2.3).
    #[must_use]
    pub fn erased(&self) -> Self {
        let head = self
            .text
            .split_once("\n\n")
            .map_or(self.text.as_str(), |(head, _)| head);
        Self {
            text: head.to_string(),
            id: self.id,
            skeleton: self.skeleton.clone(),
            said: Said::Erased,
        }
    }
}

fn skeleton_lines(entry: &Entry) -> usize {
    entry.erased().text().split('\n').count()
}

fn id_of(head: &str) -> EntryId {
    Hash::of_parts([head.as_bytes(), b"\n"])
}

/// `Content: sha256:… 1301`.
struct ContentLine(Hash, u64);

impl Value for ContentLine {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (hash, bytes) = text.split_once(' ').ok_or("is not a hash and a length")?;
        Ok(Self(Hash::parse(hash)?, u64::parse(bytes)?))
    }
}

/// A hash, or the word that stands for none.
struct HashOr<const NEW: bool>(Option<Hash>);

impl<const NEW: bool> Value for HashOr<NEW> {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let none = if NEW { "new" } else { "none" };
        if text == none {
            Ok(Self(None))
        } else {
            Hash::parse(text).map(Some).map(Self)
        }
    }
}

impl Skeleton {
    /// Reads the lines up to the first empty one (SPEC entry 2.6).
    fn parse(head: &str) -> Result<Self, Malformed> {
        if head.len() + 1 > SKELETON_BYTES_MAX {
            let what = What::TooLarge {
                part: "skeleton",
                max: SKELETON_BYTES_MAX,
            };
            return Err(Malformed::new(1, what));
        }
        let mut headers = Headers::new(head, 1)?;
        let version = headers.required::<u64>("Spokes-Entry")?;
        let HashOr::<true>(blog) = headers.required("Blog")?;
        let sequence = headers.required::<u64>("Sequence")?;
        let HashOr::<false>(previous) = headers.required("Previous")?;
        let skeleton = match version {
            0 => {
                return Err(Malformed::rule(
                    1,
                    "there is no version 0; write \"Spokes-Entry: 1\" and sign again",
                ));
            }
            VERSION => Self::parse_rest(blog, sequence, previous, &mut headers)?,
            _ => Self::parse_later(version, blog, sequence, previous, head)?,
        };
        skeleton.check_place()?;
        Ok(skeleton)
    }

    fn parse_rest(
        blog: Option<BlogId>,
        sequence: u64,
        previous: Option<EntryId>,
        headers: &mut Headers<'_>,
    ) -> Result<Self, Malformed> {
        let kind = headers.required("Kind")?;
        let signed = headers.required("Signed")?;
        let line = headers.line();
        let authors: Vec<Fingerprint> = headers.repeated("Author", AUTHORS_MAX)?;
        check_authors(&authors, line)?;
        let ContentLine(content_hash, content_bytes) = headers.required("Content")?;
        let extensions = headers.extensions(KNOWN)?;
        Ok(Self {
            version: VERSION,
            blog,
            sequence,
            previous,
            kind,
            signed,
            authors,
            content_hash,
            content_bytes,
            extensions,
        })
    }

    /// Finds in a later version what every version has (SPEC entry 4).
    fn parse_later(
        version: u64,
        blog: Option<BlogId>,
        sequence: u64,
        previous: Option<EntryId>,
        head: &str,
    ) -> Result<Self, Malformed> {
        let named = |name: &str| -> Vec<(usize, &str)> {
            let numbered = head.split('\n').enumerate().skip(4);
            numbered
                .filter_map(|(index, line)| Some((index + 1, line.split_once(": ")?)))
                .filter(|(_, (n, _))| *n == name)
                .map(|(number, (_, value))| (number, value))
                .collect()
        };
        let value = |name: &'static str| match named(name).as_slice() {
            [only] => Ok(*only),
            _ => Err(Malformed::new(1, What::Expected(name))),
        };
        let read = |name: &'static str, problem, line| {
            Malformed::new(
                line,
                What::Value {
                    name: name.to_string(),
                    problem,
                },
            )
        };
        let (line, signed) = value("Signed")?;
        let signed = Time::parse(signed).map_err(|problem| read("Signed", problem, line))?;
        let (line, content) = value("Content")?;
        let ContentLine(content_hash, content_bytes) =
            ContentLine::parse(content).map_err(|problem| read("Content", problem, line))?;
        let mut authors = Vec::new();
        for (line, author) in named("Author") {
            authors
                .push(Fingerprint::parse(author).map_err(|problem| read("Author", problem, line))?);
        }
        check_authors(&authors, 5)?;
        let kind = match named("Kind").as_slice() {
            [(line, kind)] => Kind::parse(kind).map_err(|problem| read("Kind", problem, *line))?,
            _ => Kind::Other("later".to_string()),
        };
        Ok(Self {
            version,
            blog,
            sequence,
            previous,
            kind,
            signed,
            authors,
            content_hash,
            content_bytes,
            extensions: Vec::new(),
        })
    }

    fn check_place(&self) -> Result<(), Malformed> {
        let first = self.sequence == 0;
        if first != self.previous.is_none() || first != self.blog.is_none() {
            let rule = "sequence 0, \"Blog: new\" and \"Previous: none\" belong together; write \
                        all of them or none and sign again";
            return Err(Malformed::rule(3, rule));
        }
        if self.version == VERSION && first != (self.kind == Kind::Blog) {
            return Err(Malformed::rule(
                5,
                "entry 0, and only entry 0, is of kind \"blog\"; write another kind and sign again",
            ));
        }
        Ok(())
    }

    fn parse_content(&self, content: &str, line: usize) -> Result<Said, Malformed> {
        let fits = self.content_bytes == content.len() as u64;
        if !fits || self.content_hash != Hash::of(content.as_bytes()) {
            let rule = "the content is not what the \"Content\" line says, it was changed; make \
                        the text anew and sign it unchanged";
            return Err(Malformed::rule(line, rule));
        }
        if self.version > VERSION {
            return Ok(Said::Later);
        }
        Draft::parse(&self.kind, content, line).map(Said::Draft)
    }

    fn check_first(&self, draft: &Draft) -> Result<(), Malformed> {
        let crate::draft::Says::Blog { certificate, .. } = &draft.says else {
            return Ok(());
        };
        if self.authors.as_slice() != [certificate.clone()] {
            let rule = "entry 0 has one author, whose certificate it carries; name the same \
                        fingerprint in both lines and sign again";
            return Err(Malformed::rule(7, rule));
        }
        Ok(())
    }
}

fn check_authors(authors: &[Fingerprint], line: usize) -> Result<(), Malformed> {
    if authors.is_empty() || authors.len() > AUTHORS_MAX {
        return Err(Malformed::new(line, What::Expected("Author")));
    }
    if authors.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(Malformed::rule(
            line,
            "the authors do not stand in ascending order; sort their lines and sign again",
        ));
    }
    Ok(())
}

impl fmt::Display for Skeleton {
    /// Prints version 1; later versions are only ever copied.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spokes-Entry: {}", self.version)?;
        match &self.blog {
            Some(blog) => write!(f, "\nBlog: {blog}")?,
            None => write!(f, "\nBlog: new")?,
        }
        write!(f, "\nSequence: {}", self.sequence)?;
        match &self.previous {
            Some(previous) => write!(f, "\nPrevious: {previous}")?,
            None => write!(f, "\nPrevious: none")?,
        }
        write!(f, "\nKind: {}\nSigned: {}", self.kind, self.signed)?;
        self.authors
            .iter()
            .try_for_each(|author| write!(f, "\nAuthor: {author}"))?;
        write!(f, "\nContent: {} {}", self.content_hash, self.content_bytes)?;
        self.extensions
            .iter()
            .try_for_each(|e| write!(f, "\n{}: {}", e.name, e.value))
    }
}
