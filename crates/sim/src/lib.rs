//! The weather: a network that is pretended, seed by seed, to prove the rules.
//!
//! Virtual time, a model of the council, spokes with model disks around the very [`Replica`] state
//! machines that servers run, and authors' tools as clients; over them loss, delay, one-way walls,
//! crashes, pauses, wrong clocks, old disks, and spokes that come, leave and die. The council's leader
//! does what follows from the registry and chooses nothing. Then the weather clears, and everything
//! must come right.
//!
//! The promises that are checked stand in [`truth`], the planted bugs that must be found in
//! [`plant`]. Not modeled: media, erasure, `keys` and `home` entries, demand, offers, the DNS.
//!
//! [`Replica`]: spokes_rules::replica::Replica

pub mod chance;
pub mod council;
pub mod crowd;
pub mod device;
pub mod disk;
mod duties;
pub mod founding;
pub mod hub;
pub mod hunt;
pub mod keys;
mod leader;
pub mod message;
mod order;
mod organizer;
pub mod plan;
pub mod plant;
mod pull;
pub mod spoke;
pub mod truth;
pub mod watch;
mod weather;
pub mod world;
