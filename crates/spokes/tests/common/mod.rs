//! A whole network for one test, asked from outside: processes, HTTP, DNS, and an author.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod author;
pub(crate) mod browser;
pub(crate) mod demo;
pub(crate) mod desk;
pub(crate) mod disk;
pub(crate) mod gpg;
pub(crate) mod http;
pub(crate) mod journal;
pub(crate) mod machines;
pub(crate) mod name_server;
pub(crate) mod pens;
pub(crate) mod recorded;
pub(crate) mod relay;
pub(crate) mod rogue;
pub(crate) mod small_disk;
pub(crate) mod stock;
pub(crate) mod trace;
pub(crate) mod vectors;
pub(crate) mod zone_keys;

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// How often something that is awaited is looked for.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `done` gives something, at most so long.
pub(crate) fn wait_for<T>(what: &str, most: Duration, mut done: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + most;
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within {most:?}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Runs a program to its end; what it said on both outputs, and its exit code.
pub(crate) fn run(program: &str, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|e| panic!("{program} is needed by this test: {e}"));
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().unwrap_or(-1);
    (code, String::from_utf8_lossy(&said).into_owned())
}

/// A small generator (xorshift), so that a seed tells the whole story.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

/// A number from the environment, for longer runs.
pub(crate) fn setting(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}
