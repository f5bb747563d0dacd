//! Feeds `oracle::Server`, one for all inputs, as a server is one for all clients.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;

#[path = "../src/dns.rs"]
#[expect(dead_code, reason = "the tests of the server use it too")]
mod oracle;

thread_local! {
    static SERVER: RefCell<oracle::Server> = RefCell::default();
}

fuzz_target!(|bytes: &[u8]| SERVER.with_borrow_mut(|server| server.feed(bytes)));
