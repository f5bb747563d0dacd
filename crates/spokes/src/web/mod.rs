//! What a node shows to people and their feed readers.

pub(crate) mod desk;
pub mod feed;
pub mod message;
pub mod page;
pub mod shell;
pub mod words;
