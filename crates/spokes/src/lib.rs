//! The hands of spokescouncil: everything that touches a clock, a disk, a socket or a screen.

// What the fuzzer calls is a test here too, and names this crate.
#[cfg(test)]
extern crate self as spokes;

pub mod author;
pub mod blobs;
pub mod client;
pub mod clock;
pub mod config;
pub mod council;
pub mod demo;
pub mod desk;
pub mod dns;
pub mod gateway;
pub mod http;
pub mod index;
pub mod join;
mod kept;
mod observe;
pub mod outage;
pub mod render;
pub mod run;
mod shown;
pub mod spoke;
pub mod store;
mod turns;
pub mod web;
pub mod wire;
