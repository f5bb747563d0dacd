//! Why an entry is not valid: always the sender's to mend, never ours.

use alloc::string::String;
use core::fmt;

use crate::{
    draft::Kind,
    key::KeyFault,
    name::{BlogId, EntryId, Fingerprint},
    seal::SealFault,
    text::Malformed,
    time::Time,
};

/// Why an entry is not valid at its place (SPEC entry 5 to 7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The text breaks the grammar.
    Text(Malformed),
    /// A signature is not in its form.
    Seal(SealFault),
    /// A certificate that the entry brings cannot be used.
    Key(KeyFault),
    /// The author is not among the keys of the blog at this place.
    UnknownAuthor(Fingerprint),
    /// The author's key has been ended by a `keys` entry before.
    Ended(Fingerprint),
    /// The author's role does not allow this kind.
    NotAllowed {
        /// Who signed.
        author: Fingerprint,
        /// What only an `own` key may sign.
        kind: Kind,
    },
    /// No key of the author was good when the entry was signed; with the reason.
    BadKey {
        /// Whose key.
        author: Fingerprint,
        /// Why, as the end of a sentence.
        why: String,
    },
    /// The signature is over other bytes, or by another key.
    BadSignature(Fingerprint),
    /// The signature's own time is too far from `Signed`.
    SignatureTime {
        /// What the entry says.
        signed: Time,
        /// What the signature says.
        created: Time,
    },
    /// The entry belongs to another blog.
    OtherBlog(BlogId),
    /// The parent is not here.
    MissingParent(EntryId),
    /// The number does not follow the parent's.
    SequenceGap {
        /// The number due.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// The entry says it was signed before its parent.
    SignedBeforeParent {
        /// When the parent was.
        parent: Time,
        /// When the entry was.
        signed: Time,
    },
    /// `Instead-Of` names an ancestor.
    InsteadOfAncestor(EntryId),
    /// `Erases` names an ancestor that this author may not erase, or that cannot be erased.
    MayNotErase(EntryId),
    /// No `own` key would be left.
    NoOwnKeyLeft,
    /// A fingerprint that has ended would return, or one would end that is not there.
    NotInRing(Fingerprint),
    /// Too many certificates would be in the ring.
    TooManyKeys,
    /// The entry is a recovery, which this version cannot judge.
    RecoveryUnsupported,
    /// The words are gone and no `erase` for them is here.
    ErasedWithoutErase(EntryId),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(malformed) => malformed.fmt(f),
            Self::Seal(fault) => fault.fmt(f),
            Self::Key(fault) => fault.fmt(f),
            Self::UnknownAuthor(author) => {
                write!(
                    f,
                    "{author} is not a key of this blog, or was none yet when this was signed; sign \
                     with one that is, or let an own key bring this one first"
                )
            }
            Self::Ended(author) => {
                write!(
                    f,
                    "{author} was ended as a key of this blog; sign with one that is left"
                )
            }
            Self::NotAllowed { author, kind } => {
                write!(
                    f,
                    "{author} may write here, but only an own key signs \"{kind}\"; sign with \
                     that one"
                )
            }
            Self::BadKey { author, why } => write!(
                f,
                "the key of {author} does not count: {why}; sign with a key that is valid, or \
                 bring its newer form in a keys entry"
            ),
            Self::BadSignature(author) => write!(
                f,
                "no signature here is by {author} over exactly these bytes; sign the text again, \
                 unchanged"
            ),
            Self::SignatureTime { signed, created } => write!(
                f,
                "the text says it was signed at {signed}, the signature says {created}; set the \
                 clock, make the text anew and sign again"
            ),
            Self::NoOwnKeyLeft => write!(f, "no own key would be left to this blog; keep one"),
            Self::NotInRing(key) => {
                write!(
                    f,
                    "{key} has ended or never was a key of this blog; leave it out and sign again"
                )
            }
            Self::TooManyKeys => write!(f, "a blog has at most 64 keys; end some first"),
            Self::RecoveryUnsupported => write!(f, "recovery is not supported yet"),
            place => place.fmt_place(f),
        }
    }
}

impl Fault {
    /// The sentences about an entry's place; the others are about keys and forms.
    fn fmt_place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherBlog(blog) => write!(
                f,
                "the entry belongs to another blog, {blog}; send it there"
            ),
            Self::MissingParent(id) => {
                write!(
                    f,
                    "the entry before this one, {id}, is not here; send that one first"
                )
            }
            Self::SequenceGap { expected, found } => {
                write!(
                    f,
                    "sequence {expected} is due here, not {found}; make the text anew behind the \
                     last entry and sign again"
                )
            }
            Self::SignedBeforeParent { parent, signed } => write!(
                f,
                "the entry says it was signed at {signed}, before its parent at {parent}; set the \
                 clock and sign again"
            ),
            Self::InsteadOfAncestor(id) => {
                write!(
                    f,
                    "Instead-Of names {id}, which this entry builds on; remove that line and sign \
                     again"
                )
            }
            Self::MayNotErase(id) => write!(
                f,
                "{id} cannot be erased by this key: only posts and pages can, by an own key or by \
                 the one that signed them"
            ),
            Self::ErasedWithoutErase(id) => {
                write!(
                    f,
                    "the words of {id} are missing, and no erase entry took them back; send the \
                     entry whole, or the erase entry too"
                )
            }
            _ => Ok(()),
        }
    }
}

impl core::error::Error for Fault {}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::Text(malformed)
    }
}

impl From<SealFault> for Fault {
    fn from(fault: SealFault) -> Self {
        Self::Seal(fault)
    }
}

impl From<KeyFault> for Fault {
    fn from(fault: KeyFault) -> Self {
        Self::Key(fault)
    }
}
