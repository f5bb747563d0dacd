//! What a node shows to people and their feed readers.

pub mod blog;
pub mod data;
pub(crate) mod desk;
pub mod feed;
pub mod front;
pub mod message;
pub mod page;
pub mod search;
pub mod shell;
pub mod trust;
pub mod words;
