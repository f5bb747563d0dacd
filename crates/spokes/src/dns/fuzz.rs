//! Feeds the seeds of the fuzzer, and mutations of them, through what it calls (`fuzz/README.md`).
//!
//! What the fuzzer found becomes a file in `fuzz/seeds/dns/`, and so a part of this test.

#[path = "../../../../fuzz/src/dns.rs"]
#[expect(unreachable_pub, reason = "elsewhere it is a crate")]
mod oracle;

use std::fs;
use std::path::PathBuf;

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::dns::cookie::{Cookie, CookieSecret};
use crate::dns::testing::{request, with_option};

/// Mutations in one run: about a second.
const MUTATIONS: u32 = 20_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/dns")
}

fn seeds() -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder()).expect("a folder of seeds");
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A small mutation of one seed, now and then spliced with another.
fn mutated(seeds: &[Vec<u8>], mut random: impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut bytes = seeds[random(seeds.len())].clone();
    for _ in 0..=random(3) {
        let at = random(bytes.len().max(1)).min(bytes.len());
        match random(6) {
            0 if at < bytes.len() => bytes[at] = u8::try_from(random(256)).unwrap(),
            1 if at < bytes.len() => bytes[at] ^= 1 << random(8),
            2 => bytes.insert(at, b"\x00\xff\xc0\x0c\x0a\x01\x29\x3f"[random(8)]),
            3 => bytes.truncate(at),
            4 => {
                let until = (at + random(20)).min(bytes.len());
                bytes.drain(at..until);
            }
            _ => {
                let other = &seeds[random(seeds.len())];
                bytes.truncate(at);
                bytes.extend(&other[random(other.len())..]);
            }
        }
    }
    bytes
}

#[test]
fn no_bytes_do_harm_and_every_reply_is_one() {
    let mut server = oracle::Server::default();
    let seeds = seeds();
    seeds.iter().for_each(|seed| server.feed(seed));
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    for _ in 0..MUTATIONS {
        let bytes = mutated(&seeds, |below| {
            usize::try_from(rng.next_u32()).unwrap() % below
        });
        server.feed(&bytes);
    }
}

const WORDS: &[(&str, &str)] = &[
    ("apex", "A blogs.example.org edns=1232 do"),
    ("ada", "AAAA ada.blogs.example.org"),
    ("nobody", "A nobody.blogs.example.org edns=4096"),
    ("between", "TXT maria.blogs.example.org"),
    ("long", "TXT long.blogs.example.org edns=1232"),
    ("longer", "TXT longer.blogs.example.org edns=4096"),
    ("any", "ANY blogs.example.org edns=512"),
    ("transfer", "AXFR blogs.example.org"),
    ("version", "A blogs.example.org edns=1232 version=1"),
    ("update", "SOA blogs.example.org opcode=5 records=2"),
    ("records", "A ada.blogs.example.org records=3 edns=600"),
    ("chaos", "TXT version.bind class=CH"),
    ("root", "NS . edns=1232"),
];

fn put(name: &str, way: u8, bytes: &[u8]) {
    fs::write(folder().join(name), [&[way], bytes].concat()).unwrap();
}

/// A request with a signature (RFC 8945 section 4.2) that nobody made.
fn signed() -> Vec<u8> {
    let mut signed = request("SOA blogs.example.org");
    signed[11] += 1;
    let key: domain::base::Name<Vec<u8>> = oracle::KEY.parse().unwrap();
    signed.extend(key.as_slice());
    // Its type and class, no time to live.
    signed.extend([0, 250, 0, 255, 0, 0, 0, 0]);
    let time_and_size = [0, 0, 0x5C, 0xF7, 0x9F, 0x11, 1, 44, 0, 32];
    let id_and_end = [0x5A, 0xFE, 0, 0, 0, 0];
    let data = [
        &b"\x0bhmac-sha256\0"[..],
        &time_and_size,
        &[5; 32],
        &id_and_end,
    ]
    .concat();
    signed.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    signed.extend(data);
    signed
}

fn framed(messages: &[&[u8]]) -> Vec<u8> {
    let length = |message: &[u8]| u16::try_from(message.len()).unwrap().to_be_bytes();
    let messages = messages.iter();
    messages
        .flat_map(|message| [&length(message), *message].concat())
        .collect()
}

/// `cargo test -p spokes --lib dns::fuzz -- --ignored` makes the first seeds anew.
#[test]
#[ignore = "writes files"]
fn the_first_seeds() {
    fs::create_dir_all(folder()).unwrap();
    for (way, (name, words)) in (1..).zip(WORDS) {
        put(name, way, &request(words));
    }
    let edns = request("A ada.blogs.example.org edns=1232");
    let with_cookie = |cookie: &[u8]| with_option(edns.clone(), 10, cookie);
    put("cookie", 1, &with_cookie(b"client.."));
    put("cookie-short", 2, &with_cookie(b"client"));
    put("cookie-of-others", 3, &with_cookie(&[9; 40]));
    let cookie = Cookie::read(b"client..").unwrap();
    let known = CookieSecret::of_node(&[7; 32]).judge(&cookie, [192, 0, 2, 1].into(), oracle::NOW);
    put("cookie-good", 1, &with_cookie(&known.back));
    put("padding", 2, &with_option(edns.clone(), 12, &[0; 60]));
    let pointing = |at| [&edns[..11], &[0, 0xC0, at, 0, 1, 0, 1]].concat();
    put("loop", 1, &pointing(12));
    put("pointer-to-the-header", 1, &pointing(10));
    put("signed", 1, &signed());
    let all: Vec<_> = WORDS.iter().map(|(_, words)| request(words)).collect();
    let all: Vec<_> = all.iter().map(Vec::as_slice).collect();
    put("stream", 0, &framed(&all));
    put("stream-signed", 4, &framed(&[&edns, &signed(), &edns]));
    let mut answered = edns.clone();
    answered[2] |= 0x80;
    put("stream-senseless", 8, &framed(&[&edns, &answered, &edns]));
}
