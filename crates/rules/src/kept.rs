//! How values are kept on this node's own disk, where nobody signs them and nobody else reads them: short,
//! in one spelling, without names. Whoever keeps them puts a version before them and a signature on them.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    string::{String, ToString as _},
    vec::Vec,
};
use core::fmt::Display;

use spokes_log::{
    name::{BlogName, Fingerprint, Hash},
    text::Value,
    time::Time,
};

use crate::node::Label;

/// Room that is set aside for the parts of a list before they are read: its length may be a lie, but most lists are
/// as short as a set of members.
const ASIDE_MAX: usize = 16;

/// A value that can be kept.
pub(crate) trait Kept: Sized {
    /// Adds it.
    fn put(&self, to: &mut Vec<u8>);

    /// Takes it from the front; none where something else is there.
    fn get(from: &mut Reader<'_>) -> Option<Self>;
}

/// What is still to be read.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Those that were read: all blogs share them.
    labels: BTreeSet<Label>,
}

impl<'a> Reader<'a> {
    /// Reads from the front.
    pub(crate) fn new(kept: &'a [u8]) -> Self {
        Self {
            rest: kept,
            labels: BTreeSet::new(),
        }
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// So many bytes from the front.
    fn some(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(front)
    }

    fn text(&mut self) -> Option<&'a str> {
        let bytes = length(self)?;
        core::str::from_utf8(self.some(bytes)?).ok()
    }

    fn label(&mut self) -> Option<Label> {
        let text = self.text()?;
        if let Some(label) = self.labels.get(text) {
            return Some(label.clone());
        }
        let label = Label::parse(text).ok()?;
        self.labels.insert(label.clone());
        Some(label)
    }
}

fn length(from: &mut Reader<'_>) -> Option<usize> {
    usize::try_from(u32::get(from)?).ok()
}

/// Puts a length; whatever this node holds has fewer parts than four billion.
fn put_length(length: usize, to: &mut Vec<u8>) {
    u32::try_from(length).unwrap_or(u32::MAX).put(to);
}

/// Keeps a value as the text that it is printed as.
pub(crate) fn put_text(value: &impl Display, to: &mut Vec<u8>) {
    value.to_string().put(to);
}

/// As [`put_text`] put it.
pub(crate) fn get_text<T: Value>(from: &mut Reader<'_>) -> Option<T> {
    T::parse(from.text()?).ok()
}

macro_rules! numbers {
    ($($number:ident),*) => {$(
        impl Kept for $number {
            fn put(&self, to: &mut Vec<u8>) {
                to.extend(self.to_le_bytes());
            }

            fn get(from: &mut Reader<'_>) -> Option<Self> {
                let bytes = from.some(size_of::<Self>())?;
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}
numbers!(u8, u32, u64, i64);

/// Keeps values of these types as their text.
macro_rules! kept_as_text {
    ($($name:ty),*) => {$(
        impl $crate::kept::Kept for $name {
            fn put(&self, to: &mut alloc::vec::Vec<u8>) {
                $crate::kept::put_text(self, to);
            }

            fn get(from: &mut $crate::kept::Reader<'_>) -> Option<Self> {
                $crate::kept::get_text(from)
            }
        }
    )*};
}

/// Keeps the fields of a struct one behind the other. A field that is not named here does not compile.
macro_rules! kept_fields {
    ($($name:ident { $($field:ident),* })*) => {$(
        impl $crate::kept::Kept for $name {
            fn put(&self, to: &mut alloc::vec::Vec<u8>) {
                let Self { $($field),* } = self;
                $($crate::kept::Kept::put($field, to);)*
            }

            fn get(from: &mut $crate::kept::Reader<'_>) -> Option<Self> {
                $(let $field = $crate::kept::Kept::get(from)?;)*
                Some(Self { $($field),* })
            }
        }
    )*};
}

/// Keeps an enum: a number for each of its cases, and the case's fields.
macro_rules! kept_cases {
    ($name:ident { $($number:literal => $case:ident { $($field:ident),* }),* }) => {
        impl $crate::kept::Kept for $name {
            fn put(&self, to: &mut alloc::vec::Vec<u8>) {
                match self {
                    $(Self::$case { $($field),* } => {
                        to.push($number);
                        $($crate::kept::Kept::put($field, to);)*
                    })*
                }
            }

            fn get(from: &mut $crate::kept::Reader<'_>) -> Option<Self> {
                match <u8 as $crate::kept::Kept>::get(from)? {
                    $($number => {
                        $(let $field = $crate::kept::Kept::get(from)?;)*
                        Some(Self::$case { $($field),* })
                    })*
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use {kept_as_text, kept_cases, kept_fields};

impl Kept for usize {
    fn put(&self, to: &mut Vec<u8>) {
        (*self as u64).put(to);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Self::try_from(u64::get(from)?).ok()
    }
}

impl Kept for bool {
    fn put(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        match u8::get(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Kept for String {
    fn put(&self, to: &mut Vec<u8>) {
        put_length(self.len(), to);
        to.extend(self.as_bytes());
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        from.text().map(Into::into)
    }
}

impl Kept for Hash {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend(self.as_bytes());
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self::from_bytes(from.some(32)?.try_into().ok()?))
    }
}

impl Kept for Fingerprint {
    fn put(&self, to: &mut Vec<u8>) {
        put_length(self.as_bytes().len(), to);
        to.extend(self.as_bytes());
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let bytes = length(from)?;
        Self::from_bytes(from.some(bytes)?)
    }
}

impl Kept for Time {
    fn put(&self, to: &mut Vec<u8>) {
        self.as_unix().put(to);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self::from_unix(i64::get(from)?))
    }
}

kept_as_text!(BlogName);

impl Kept for Label {
    fn put(&self, to: &mut Vec<u8>) {
        put_text(self, to);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        from.label()
    }
}

impl<T: Kept> Kept for Box<T> {
    fn put(&self, to: &mut Vec<u8>) {
        (**self).put(to);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        T::get(from).map(Self::new)
    }
}

impl Kept for Box<[u8]> {
    fn put(&self, to: &mut Vec<u8>) {
        put_length(self.len(), to);
        to.extend(&**self);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let bytes = length(from)?;
        from.some(bytes).map(Into::into)
    }
}

impl<T: Kept> Kept for Option<T> {
    fn put(&self, to: &mut Vec<u8>) {
        self.is_some().put(to);
        if let Some(value) = self {
            value.put(to);
        }
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        if bool::get(from)? {
            T::get(from).map(Some)
        } else {
            Some(None)
        }
    }
}

impl<T: Kept> Kept for Vec<T> {
    fn put(&self, to: &mut Vec<u8>) {
        put_length(self.len(), to);
        self.iter().for_each(|value| value.put(to));
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let length = length(from)?;
        let mut all = Self::with_capacity(length.min(ASIDE_MAX));
        for _ in 0..length {
            all.push(T::get(from)?);
        }
        Some(all)
    }
}

impl<T: Kept + Ord> Kept for BTreeSet<T> {
    fn put(&self, to: &mut Vec<u8>) {
        put_length(self.len(), to);
        self.iter().for_each(|value| value.put(to));
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Some(Vec::get(from)?.into_iter().collect())
    }
}

impl<K: Kept + Ord, V: Kept> Kept for BTreeMap<K, V> {
    fn put(&self, to: &mut Vec<u8>) {
        put_length(self.len(), to);
        for (key, value) in self {
            key.put(to);
            value.put(to);
        }
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Some(Vec::<(K, V)>::get(from)?.into_iter().collect())
    }
}

impl<A: Kept, B: Kept> Kept for (A, B) {
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
        self.1.put(to);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Some((A::get(from)?, B::get(from)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_anywhere_is_nothing() {
        let value: (Vec<Option<u64>>, BTreeMap<String, bool>) = (
            [Some(7), None].into(),
            BTreeMap::from([("a".into(), true), ("b".into(), false)]),
        );
        let mut bytes = Vec::new();
        value.put(&mut bytes);
        assert_eq!(Kept::get(&mut Reader::new(&bytes)), Some(value));
        for end in 0..bytes.len() {
            let mut cut = Reader::new(&bytes[..end]);
            let numbers: Option<Vec<Option<u64>>> = Kept::get(&mut cut);
            let rest: Option<BTreeMap<String, bool>> = numbers.and_then(|_| Kept::get(&mut cut));
            assert_eq!(rest, None, "{end}");
        }
    }
}
