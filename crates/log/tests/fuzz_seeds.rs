//! Feeds the seeds of the fuzzer, and mutations of them, through the functions that it calls.
//!
//! A crash that the fuzzer found becomes a file in `fuzz/seeds/TARGET/`, and so a part of this test.

mod common;
#[path = "../../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "elsewhere it is a crate")]
mod targets;

use std::{fs, path::PathBuf};

use common::{
    Author, START, article, draft, key,
    pgp::{self, BORN, DAY, armor, binding, builder, by_hand, expiring, make, packet, revoke},
};
use proptest::test_runner::{RngAlgorithm, TestRng};
use sequoia_openpgp::{
    cert::CipherSuite, packet::key::Key4, serialize::SerializeInto as _, types::ReasonForRevocation,
};
use spokes_log::{
    draft::{Claim, Medium, Role, Says},
    name::{BlogName, Hash, MediaType},
};

/// Mutations of each target's seeds in one run.
const MUTATIONS: u32 = 2_000;

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target)
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(folder(target))
        .expect("a folder of seeds")
        .map(|file| file.expect("readable").path())
        .collect();
    paths.sort();
    let seeds: Vec<_> = paths
        .iter()
        .map(|path| fs::read(path).expect("readable"))
        .collect();
    assert!(!seeds.is_empty(), "{target} has seeds");
    seeds
}

/// A small mutation of one seed, now and then spliced with another.
fn mutated(seeds: &[Vec<u8>], mut random: impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut bytes = seeds[random(seeds.len())].clone();
    for _ in 0..=random(3) {
        let length = bytes.len().max(1);
        let at = random(length).min(bytes.len());
        match random(6) {
            0 if at < bytes.len() => bytes[at] = u8::try_from(random(256)).expect("a byte"),
            1 if at < bytes.len() => bytes[at] ^= 1 << random(8),
            2 => bytes.insert(at, b"\n -:\x00\xff0A"[random(8)]),
            3 => bytes.truncate(at),
            4 => {
                let until = (at + random(40)).min(bytes.len());
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

fn feed(target: &str, take: fn(&[u8])) {
    use proptest::prelude::Rng as _;
    let seeds = seeds(target);
    seeds.iter().for_each(|seed| take(seed));
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    for _ in 0..MUTATIONS {
        take(&mutated(&seeds, |below| {
            usize::try_from(rng.next_u32()).expect("64 bits") % below
        }));
    }
}

#[test]
fn entries() {
    feed("entry", targets::entry);
}

#[test]
fn certificates() {
    feed("certificate", targets::certificate);
}

#[test]
fn pasted_blocks() {
    feed("pasted", targets::pasted);
}

#[test]
fn chains() {
    feed("chain", targets::chain);
}

/// Every seed is there for what happens behind the first checks.
#[test]
fn seeds_reach_far() {
    for seed in seeds("entry") {
        assert!(spokes_log::entry::Entry::parse(&seed).is_ok());
    }
    for seed in seeds("pasted") {
        let pasted = spokes_log::seal::Pasted::parse(&seed).is_ok();
        assert!(pasted || spokes_log::seal::RawSignature::parse_all(&seed).is_ok());
    }
    for seed in seeds("chain") {
        let (pool, told) = targets::read_stream(&seed);
        assert!(pool.len() > 3 && told.len() > 3);
    }
}

/// Says something of every kind.
fn talkative() -> Author {
    let mut maria = Author::new("Maria <maria@example.org>");
    let one = maria.post("one");
    let mut second = article("日本語/uno");
    second.replaces = Some(one);
    second.aliases = vec![article("alias").slug];
    second.media = vec![Medium {
        hash: Hash::of(b"photo"),
        bytes: 5,
        kind: MediaType::parse("image/jpeg").expect("a type"),
        alt: Some("Rosa laughs".into()),
    }];
    let two = maria
        .say(Says::Post(second), "- a\n\n-----BEGIN PGP")
        .expect("valid");
    maria
        .say_at(one, Says::Page(article("one")), "branch")
        .expect("valid");
    let rosa = key("Rosa <rosa@example.org>");
    maria.add_key(&rosa, Role::Write).expect("valid");
    let claim = Claim {
        name: BlogName::parse("maria").expect("a name"),
        network: Hash::of(b"network"),
        not_after: START + DAY,
    };
    maria
        .say(
            Says::Claim {
                claim: claim.clone(),
                releases: None,
            },
            "",
        )
        .expect("valid");
    maria.say(Says::Release(claim), "").expect("valid");
    let settings = Says::Settings {
        title: Some("Maria's".into()),
        language: None,
        description: Some("Words".into()),
    };
    maria.say(settings, "").expect("valid");
    maria
        .say(Says::Erase { erases: vec![two] }, "")
        .expect("valid");
    maria
        .say(Says::Other("comment".into()), "Nice!")
        .expect("valid");
    let mut instead = draft(99, Says::Post(article("instead")), "words");
    instead.instead_of = maria.entries[2..4].iter().map(|e| e.entry().id()).collect();
    instead
        .instead_of
        .retain(|id| !maria.chain.reaches(maria.head(), *id));
    let verified = maria.sign(maria.head(), &instead).expect("valid");
    maria.append(&verified);
    maria
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = folder(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("written");
}

/// Writes the seeds anew, with new keys: `cargo test -p spokes-log --test fuzz_seeds -- --ignored`.
#[test]
#[ignore = "writes into fuzz/seeds"]
fn plant() {
    let maria = talkative();
    for sealed in &maria.entries {
        let entry = sealed.entry();
        let name = format!("{}-{}", entry.skeleton().sequence, entry.skeleton().kind);
        write("entry", &name, entry.text().as_bytes());
        write("entry", "erased", entry.erased().text().as_bytes());
        if let Some(block) = sealed.cleartext().filter(|_| entry.skeleton().sequence < 3) {
            write("pasted", &name, block.as_bytes());
        }
    }
    let later = maria.entries[1].erased().entry().text().to_string();
    write("entry", "later", later.replacen(": 1", ": 2", 1).as_bytes());
    let count = u8::try_from(maria.entries.len()).expect("few");
    let orders: [(&str, Vec<(u8, u8)>); 3] = [
        ("whole", (0..count).map(|n| (b'W', n)).collect()),
        (
            "erased",
            (0..count)
                .map(|n| (if n == 2 { b'X' } else { b'W' }, n))
                .collect(),
        ),
        (
            "again",
            (0..count).chain(0..count).map(|n| (b'W', n)).collect(),
        ),
    ];
    for (name, told) in orders {
        write("chain", name, &targets::write_stream(&maria.entries, &told));
    }
    plant_certificates();
}

fn plant_certificates() {
    let v6 = builder()
        .set_profile(sequoia_openpgp::Profile::RFC9580)
        .expect("supported");
    let ed25519 =
        || Key4::generate_ecc(true, sequoia_openpgp::types::Curve::Ed25519).expect("made");
    for (name, cert) in [
        ("ed25519", make(builder())),
        ("p256", make(builder().set_cipher_suite(CipherSuite::P256))),
        ("rsa", make(builder().set_cipher_suite(CipherSuite::RSA2k))),
        ("v6", make(v6)),
        ("expired", by_hand(ed25519(), expiring(0, 9))),
        (
            "revoked",
            revoke(make(builder()), 50, ReasonForRevocation::KeyRetired),
        ),
        (
            "subkey",
            pgp::add_subkey(by_hand(ed25519(), binding(0)), Some),
        ),
        (
            "encrypts",
            make(builder().add_transport_encryption_subkey()),
        ),
    ] {
        write("certificate", name, armor(&cert).as_bytes());
        write(
            "certificate",
            &format!("{name}.bin"),
            &cert.to_vec().expect("serialized"),
        );
        if name != "encrypts" {
            let text = "words";
            let made = pgp::text_signature(BORN + 5 * DAY);
            let signature = pgp::sign(&mut pgp::last_pair(&cert), text, made);
            write("pasted", &format!("{name}.sig"), &packet(&signature));
        }
    }
}
