//! What the network decides: pure rules without clock, disk, socket, thread or randomness.
//!
//! Whoever asks says what time it is and what happened; the rules answer with what to do. The same
//! rules run on servers (`spokes`) and in the simulator (`spokes-sim`). Modules stand in the order of
//! a post's way and import only those before them.
#![no_std]

extern crate alloc;

// Each imports only those above it (tests/floors.rs). The empty lines keep rustfmt from sorting.
pub(crate) mod kept;

pub mod dnssec;

pub mod node;

pub mod receipt;

pub mod address;

pub mod caa;

pub mod health;

pub mod keyset;

pub mod request;

pub mod placement;

pub mod succession;

pub mod record;

pub mod refusal;

pub mod zone_keys;

pub mod seat;

pub mod mirror;

pub mod reserved;

pub mod openpgpkey;

pub mod registry;

pub mod leftover;

pub mod room;

pub mod demand;

pub mod primary;

pub mod replica;

pub mod circle;

pub mod sign_in;

pub mod zone;

pub mod front;
pub mod giving;
