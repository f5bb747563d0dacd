//! Feeds `spokes_fuzz::pasted`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| spokes_fuzz::pasted(bytes));
