//! The author's command line: `spokes blog …` (SPEC http 2, SPEC entry).
//!
//! The modules stand in the order of a post's way: what the file says, what goes along with it, who
//! signs, where it waits, how it is brought to its blog; then the commands.

mod body;
mod console;
mod copy;
mod matter;
mod media;
mod network;
mod signer;
mod state;
mod stop;
mod strip;

pub use console::{Captured, Console};

use spokes_log::time::Time;

/// The clock, asked at the edge and nowhere else.
pub(crate) fn now() -> Time {
    Time::from_unix(jiff::Timestamp::now().as_second())
}
