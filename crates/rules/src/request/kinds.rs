//! Each kind of request: its word, and its lines.

use alloc::{boxed::Box, string::String};
use core::fmt::{self, Display as _};

use spokes_log::text::{Headers, Malformed};

use super::{BLOGS_MAX, COUNCIL_MAX, Founding, HOLDS_MAX, MEMBERS_MAX, Wish};
use crate::{caa::CAA_MAX, keyset::KeySet, receipt::filled};

impl Wish {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::Invite { .. } => "invite",
            Self::Join { .. } => "join",
            Self::Admit { .. } => "admit",
            Self::Evict { .. } => "evict",
            Self::Stand { .. } => "stand",
            Self::Seat { .. } => "seat",
            Self::Unseat { .. } => "unseat",
            Self::Refill { .. } => "refill",
            Self::Recover { .. } => "recover",
            Self::Claim { .. } => "claim",
            Self::Keys { .. } => "keys",
            Self::Close { .. } => "close",
            Self::Open { .. } => "open",
            Self::Down { .. } => "down",
            Self::Up { .. } => "up",
            Self::Load { .. } => "load",
            Self::Drain { .. } => "drain",
            Self::Leave { .. } => "leave",
            Self::Move { .. } => "move",
            Self::Home { .. } => "bring",
            Self::Replicas { .. } => "replicas",
            Self::Demand { .. } => "demand",
            Self::Holds { .. } => "holds",
            Self::Whole { .. } => "whole",
            Self::Mirror { .. } => "mirror",
            Self::Unmirror { .. } => "unmirror",
            Self::ZoneKey { .. } => "zone-key",
            Self::KeySet(_) => "key-set",
            Self::Caa { .. } => "caa",
        }
    }

    pub(super) fn parse(kind: &str, line: usize, h: &mut Headers<'_>) -> Result<Self, Malformed> {
        Ok(match kind {
            "found" => Self::Found(Founding::parse(h)?),
            "invite" => Self::Invite {
                token: h.required("Token")?,
                expires: h.required("Expires")?,
            },
            "join" => Self::Join {
                label: h.required("Label")?,
                operator: h.required("Operator")?,
                address: h.required("Address")?,
                token: h.required("Token")?,
            },
            "admit" => Self::Admit {
                label: h.required("Label")?,
            },
            "evict" => Self::Evict {
                label: h.required("Label")?,
            },
            "stand" => Self::Stand {
                node: h.required("Council")?,
                token: h.required("Token")?,
            },
            "seat" => Self::Seat {
                label: h.required("Label")?,
            },
            "unseat" => Self::Unseat {
                label: h.required("Label")?,
            },
            "refill" => Self::Refill {
                label: h.required("Label")?,
            },
            "recover" => Self::Recover {
                council: filled("Council", h, COUNCIL_MAX)?,
            },
            "claim" => Self::Claim {
                blog: h.required("Blog")?,
                entry: h.required("Entry")?,
                spoke: h.optional("Spoke")?,
            },
            "keys" => Self::Keys {
                blog: h.required("Blog")?,
                entry: h.required("Entry")?,
            },
            "close" => Self::Close {
                blogs: filled("Blog", h, BLOGS_MAX)?,
                epoch: h.required("Epoch")?,
                members: filled("Member", h, MEMBERS_MAX)?,
            },
            "open" => Self::Open {
                blog: h.required("Blog")?,
                epoch: h.required("Epoch")?,
                forced: forced(h)?,
            },
            _ => return Self::parse_life(kind, line, h),
        })
    }

    /// The kinds about the life of spokes and the places of blogs.
    fn parse_life(kind: &str, line: usize, h: &mut Headers<'_>) -> Result<Self, Malformed> {
        Ok(match kind {
            "down" => Self::Down {
                label: h.required("Label")?,
            },
            "up" => Self::Up {
                label: h.required("Label")?,
            },
            "load" => Self::Load {
                label: h.required("Label")?,
                load: h.required("Load")?,
                takes: h.required("Takes")?,
            },
            "drain" => Self::Drain {
                label: h.required("Label")?,
            },
            "leave" => Self::Leave {
                label: h.required("Label")?,
            },
            "move" => Self::Move {
                blog: h.required("Blog")?,
                to: h.required("Spoke")?,
            },
            "bring" => Self::Home {
                blog: h.required("Blog")?,
                word: h.required("Word")?,
            },
            "replicas" => Self::Replicas {
                blog: h.required("Blog")?,
                replicas: h.required("Replicas")?,
            },
            "demand" => Self::Demand {
                blog: h.required("Blog")?,
                more: h.required("More")?,
            },
            "holds" => Self::Holds {
                label: h.required("Label")?,
                blogs: filled("Blog", h, HOLDS_MAX)?,
            },
            "mirror" => Self::Mirror {
                label: h.required("Label")?,
                address: h.required("Address")?,
            },
            "zone-key" => Self::ZoneKey {
                label: h.required("Label")?,
                key: h.required("Key")?,
            },
            "key-set" => Self::KeySet(Box::new(KeySet::parse(h)?)),
            "caa" => Self::Caa {
                rules: h.repeated("Rule", CAA_MAX)?,
            },
            "unmirror" => Self::Unmirror {
                label: h.required("Label")?,
            },
            "whole" => Self::Whole {
                blog: h.required("Blog")?,
                epoch: h.required("Epoch")?,
            },
            _ => {
                let rule = "this version does not know such a request";
                return Err(Malformed::rule(line, rule));
            }
        })
    }

    /// The lines of those kinds.
    fn fmt_life(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down { label }
            | Self::Up { label }
            | Self::Drain { label }
            | Self::Leave { label }
            | Self::Unmirror { label } => write!(f, "\nLabel: {label}"),
            Self::Load { label, load, takes } => {
                write!(f, "\nLabel: {label}\nLoad: {load}\nTakes: {takes}")
            }
            Self::ZoneKey { label, key } => write!(f, "\nLabel: {label}\nKey: {key}"),
            Self::KeySet(keys) => keys.fmt(f),
            Self::Caa { rules } => rules
                .iter()
                .try_for_each(|rule| write!(f, "\nRule: {rule}")),
            Self::Mirror { label, address } => {
                write!(f, "\nLabel: {label}\nAddress: {address}")
            }
            Self::Move { blog, to } => write!(f, "\nBlog: {blog}\nSpoke: {to}"),
            Self::Home { blog, word } => write!(f, "\nBlog: {blog}\nWord: {word}"),
            Self::Replicas { blog, replicas } => {
                write!(f, "\nBlog: {blog}\nReplicas: {replicas}")
            }
            Self::Demand { blog, more } => write!(f, "\nBlog: {blog}\nMore: {more}"),
            Self::Holds { label, blogs } => {
                write!(f, "\nLabel: {label}")?;
                blogs
                    .iter()
                    .try_for_each(|blog| write!(f, "\nBlog: {blog}"))
            }
            Self::Whole { blog, epoch } => write!(f, "\nBlog: {blog}\nEpoch: {epoch}"),
            _ => Ok(()),
        }
    }

    /// The lines behind those that all kinds have.
    pub(super) fn lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found(founding) => founding.fmt(f),
            Self::Invite { token, expires } => write!(f, "\nToken: {token}\nExpires: {expires}"),
            Self::Join {
                label,
                operator,
                address,
                token,
            } => write!(
                f,
                "\nLabel: {label}\nOperator: {operator}\nAddress: {address}\nToken: {token}"
            ),
            Self::Admit { label }
            | Self::Evict { label }
            | Self::Seat { label }
            | Self::Unseat { label }
            | Self::Refill { label } => write!(f, "\nLabel: {label}"),
            Self::Stand { node, token } => write!(f, "\nCouncil: {node}\nToken: {token}"),
            Self::Recover { council } => council
                .iter()
                .try_for_each(|node| write!(f, "\nCouncil: {node}")),
            Self::Claim { blog, entry, spoke } => {
                write!(f, "\nBlog: {blog}\nEntry: {entry}")?;
                spoke
                    .iter()
                    .try_for_each(|spoke| write!(f, "\nSpoke: {spoke}"))
            }
            Self::Keys { blog, entry } => write!(f, "\nBlog: {blog}\nEntry: {entry}"),
            Self::Close {
                blogs,
                epoch,
                members,
            } => {
                blogs
                    .iter()
                    .try_for_each(|blog| write!(f, "\nBlog: {blog}"))?;
                write!(f, "\nEpoch: {epoch}")?;
                members
                    .iter()
                    .try_for_each(|member| write!(f, "\nMember: {member}"))
            }
            Self::Open {
                blog,
                epoch,
                forced,
            } => {
                write!(f, "\nBlog: {blog}\nEpoch: {epoch}")?;
                if *forced {
                    write!(f, "\nForced: yes")?;
                }
                Ok(())
            }
            life => life.fmt_life(f),
        }
    }
}

/// A line that stands where something is so, and is left out where not: a signed text has one spelling.
fn forced(headers: &mut Headers<'_>) -> Result<bool, Malformed> {
    let line = headers.line();
    match headers.optional::<String>("Forced")?.as_deref() {
        None => Ok(false),
        Some("yes") => Ok(true),
        Some(_) => Err(Malformed::rule(
            line,
            "\"Forced\" says \"yes\" or is left out",
        )),
    }
}
