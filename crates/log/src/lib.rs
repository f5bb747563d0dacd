//! What an author said: a third party can verify a whole blog with this crate alone.
//!
//! The modules stand in the order in which an entry comes about, and import only those before them.
//! A [`draft::Draft`] becomes an [`entry::Entry`], is signed into a [`seal::SealedEntry`], is checked
//! into a [`ring::VerifiedEntry`], and many of these fold into a [`blog::Blog`].
//!
//! The crate has no clock, disk or socket; what judges validity is told the time. The formats stand in
//! `spec/entry.md`, whose sections the code cites.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

// Each imports only those above it (tests/floors.rs). The empty lines keep rustfmt from sorting.
pub mod time;

pub mod text;

pub mod name;

pub mod key;

pub mod mailbox;

pub mod draft;

pub mod entry;

pub mod seal;

pub mod fault;

pub mod ring;

pub mod chain;

pub mod blog;

pub mod secret;
