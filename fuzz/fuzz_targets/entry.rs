//! Feeds `spokes_fuzz::entry`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| spokes_fuzz::entry(bytes));
