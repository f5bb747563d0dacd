//! Receipts and seals: what a replica signs about the copy it holds (SPEC receipt).

use alloc::vec::Vec;
use core::fmt;

use spokes_log::{
    name::{BlogId, EntryId, Hash},
    text::{self, Headers, Malformed, Value, What},
    time::Time,
};

use crate::node::{Label, Signed};

/// Tips that one seal names: branches are few, and each costs a line.
const TIPS_MAX: usize = 64;

/// "This entry, all its ancestors and every blob they list are durable here" (SPEC receipt 1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// The network.
    pub network: Hash,
    /// Who says so.
    pub spoke: Label,
    /// The blog.
    pub blog: BlogId,
    /// The epoch of the blog's replica set in which it is said.
    pub epoch: u64,
    /// The entry.
    pub tip: Tip,
    /// When.
    pub time: Time,
}

/// An entry and its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Tip {
    /// Its sequence.
    pub sequence: u64,
    /// Its id.
    pub id: EntryId,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Spokes-Held: 1\nNetwork: {}\nSpoke: {}",
            self.network, self.spoke
        )?;
        write!(f, "\nBlog: {}\nEpoch: {}", self.blog, self.epoch)?;
        write!(
            f,
            "\nSequence: {}\nEntry: {}",
            self.tip.sequence, self.tip.id
        )?;
        write!(f, "\nTime: {}", self.time)
    }
}

impl Held {
    /// Reads a receipt's text.
    ///
    /// # Errors
    /// Names the first line that is not as SPEC receipt 1 says.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut headers = Headers::new(text::check(bytes)?, 1)?;
        version(&mut headers, "Spokes-Held")?;
        let held = Self {
            network: headers.required("Network")?,
            spoke: headers.required("Spoke")?,
            blog: headers.required("Blog")?,
            epoch: headers.required("Epoch")?,
            tip: Tip {
                sequence: headers.required("Sequence")?,
                id: headers.required("Entry")?,
            },
            time: headers.required("Time")?,
        };
        end(&mut headers)?;
        Ok(held)
    }
}

/// A receipt with its signature checked; that the key is the spoke's is the roster's to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// What it says.
    pub held: Held,
    /// The signed text.
    pub signed: Signed,
}

impl Receipt {
    /// Checks a signed receipt.
    ///
    /// # Errors
    /// When the text is no receipt or the signature is not good.
    pub fn check(signed: Signed) -> Result<Self, Malformed> {
        let held = Held::parse(signed.text.as_bytes())?;
        if !signed.is_good() {
            return Err(Malformed::rule(
                1,
                "the signature under the receipt is not good",
            ));
        }
        Ok(Self { held, signed })
    }
}

/// "I issue no receipt of this epoch or an older one any more; these are my tips" (SPEC receipt 2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seal {
    /// The network.
    pub network: Hash,
    /// Who says so.
    pub spoke: Label,
    /// The blog.
    pub blog: BlogId,
    /// The epoch that is sealed.
    pub epoch: u64,
    /// All entries without children that are durable here.
    pub tips: Vec<Tip>,
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Spokes-Request: 1\nKind: seal\nNetwork: {}",
            self.network
        )?;
        write!(
            f,
            "\nSpoke: {}\nBlog: {}\nEpoch: {}",
            self.spoke, self.blog, self.epoch
        )?;
        self.tips
            .iter()
            .try_for_each(|tip| write!(f, "\nTip: {} {}", tip.sequence, tip.id))
    }
}

impl Seal {
    /// Reads a seal's text.
    ///
    /// # Errors
    /// Names the first line that is not as SPEC receipt 2 says.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut headers = Headers::new(text::check(bytes)?, 1)?;
        version(&mut headers, "Spokes-Request")?;
        let line = headers.line();
        let kind: alloc::string::String = headers.required("Kind")?;
        if kind != "seal" {
            return Err(Malformed::rule(line, "this request is not a seal"));
        }
        let seal = Self {
            network: headers.required("Network")?,
            spoke: headers.required("Spoke")?,
            blog: headers.required("Blog")?,
            epoch: headers.required("Epoch")?,
            tips: headers.repeated("Tip", TIPS_MAX)?,
        };
        end(&mut headers)?;
        Ok(seal)
    }
}

impl Value for Tip {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (sequence, id) = text.split_once(' ').ok_or("is not a sequence and an id")?;
        Ok(Self {
            sequence: <u64 as Value>::parse(sequence)?,
            id: Hash::parse(id)?,
        })
    }
}

impl fmt::Display for Tip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sequence, self.id)
    }
}

/// Takes the first line; there is only version 1.
pub(crate) fn version(headers: &mut Headers<'_>, name: &'static str) -> Result<(), Malformed> {
    let line = headers.line();
    match headers.required::<u64>(name)? {
        1 => Ok(()),
        _ => Err(Malformed::rule(
            line,
            "this version reads version 1 only; update the program",
        )),
    }
}

/// A line that stands at least once.
pub(crate) fn filled<V: Value + PartialEq>(
    name: &'static str,
    headers: &mut Headers<'_>,
    max: usize,
) -> Result<Vec<V>, Malformed> {
    let line = headers.line();
    let values = headers.repeated(name, max)?;
    if values.is_empty() {
        Err(Malformed::new(line, What::Expected(name)))
    } else {
        Ok(values)
    }
}

/// Nothing may follow the known lines.
pub(crate) fn end(headers: &mut Headers<'_>) -> Result<(), Malformed> {
    let line = headers.line();
    match headers.extensions(&[])?.first() {
        None => Ok(()),
        Some(extra) => Err(Malformed::new(line, What::Misplaced(extra.name.clone()))),
    }
}

/// How many seals of a set of so many members meet each of its majorities (SPEC receipt 3).
pub fn seals_needed(members: usize) -> usize {
    members - members / 2
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec};

    use super::*;
    use crate::node::NodeSecret;

    fn held() -> Held {
        Held {
            network: Hash::of(b"network"),
            spoke: Label::parse("alpha").expect("a label"),
            blog: Hash::of(b"blog"),
            epoch: 3,
            tip: Tip {
                sequence: 7,
                id: Hash::of(b"entry"),
            },
            time: Time::from_unix(1_795_442_700),
        }
    }

    #[test]
    fn what_is_printed_is_read() {
        let held = held();
        assert_eq!(Held::parse(held.to_string().as_bytes()), Ok(held.clone()));
        let seal = Seal {
            network: held.network,
            spoke: held.spoke.clone(),
            blog: held.blog,
            epoch: 3,
            tips: vec![held.tip],
        };
        assert_eq!(Seal::parse(seal.to_string().as_bytes()), Ok(seal.clone()));
        assert!(
            Held::parse(seal.to_string().as_bytes()).is_err(),
            "a seal is no receipt"
        );
        assert!(Held::parse(alloc::format!("{held}\nMore: x").as_bytes()).is_err());
    }

    #[test]
    fn a_receipt_needs_a_good_signature() {
        let secret = NodeSecret::from_seed(&[7; 32]);
        let mut signed = Signed::new(&secret, &held());
        assert!(Receipt::check(signed.clone()).is_ok());
        signed.text = signed.text.replace("Epoch: 3", "Epoch: 4");
        assert!(Receipt::check(signed).is_err());
    }
}
