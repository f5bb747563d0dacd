//! The hands of spokescouncil: everything that touches a clock, a disk, a socket or a screen.

pub mod author;
pub mod dns;
pub mod gateway;
pub mod render;
pub mod web;
pub mod wire;
