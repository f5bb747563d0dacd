//! What each fuzz target does with a stranger's bytes, and what must hold afterwards.
//!
//! `crates/log/tests/fuzz_seeds.rs` takes this file in as a module and feeds it the seeds, so that the
//! ordinary tests cover the same functions without the fuzzer.

use spokes_log::{
    blog::Blog,
    chain::Chain,
    entry::Entry,
    key::Certificate,
    name::Hash,
    seal::{Pasted, RawSignature, SealedEntry},
};

/// The text of an entry: what is read prints itself, and erasing keeps the id.
///
/// A mutated text has another hash than its skeleton says, so it is tried with the right one too.
pub fn entry(bytes: &[u8]) {
    read(bytes);
    if let Some(announced) = announce(bytes) {
        read(announced.as_bytes());
    }
}

fn read(bytes: &[u8]) {
    let Ok(entry) = Entry::parse(bytes) else {
        return;
    };
    assert_eq!(entry.text().as_bytes(), bytes, "read with another spelling");
    let erased = entry.erased();
    assert_eq!(erased.id(), entry.id());
    let again = Entry::parse(erased.text().as_bytes());
    assert_eq!(again.as_ref(), Ok(&erased), "what is left is an entry");
    if let Some(draft) = entry.draft() {
        assert_eq!(format!("{}\n\n{draft}", entry.skeleton()), entry.text());
    }
}

/// The text with a `Content` line that is true.
fn announce(bytes: &[u8]) -> Option<String> {
    let (head, content) = core::str::from_utf8(bytes).ok()?.split_once("\n\n")?;
    let (before, line) = head.split_once("\nContent: ")?;
    let behind = line.split_once('\n').map_or("", |(_, rest)| rest);
    let (hash, length) = (Hash::of(content.as_bytes()), content.len());
    let gap = if behind.is_empty() { "" } else { "\n" };
    Some(format!(
        "{before}\nContent: {hash} {length}{gap}{behind}\n\n{content}"
    ))
}

/// A certificate, armored as in an entry or any export: what is read survives its own armor.
pub fn certificate(bytes: &[u8]) {
    let armored = core::str::from_utf8(bytes).map(Certificate::parse);
    for certificate in [
        armored.ok().and_then(Result::ok),
        Certificate::minimal(bytes, None).ok(),
    ]
    .into_iter()
    .flatten()
    {
        // Packets that hold no armor line stay below the limit of the armored form, or are refused.
        if let Ok(again) = Certificate::parse(&certificate.armored()) {
            assert_eq!(again.fingerprint(), certificate.fingerprint());
            assert_eq!(again.to_bytes(), certificate.to_bytes());
        }
        let merged = certificate.merge(&certificate).expect("the same, twice");
        assert_eq!(merged.to_bytes(), certificate.to_bytes());
    }
}

/// A cleartext-signed block, or signatures alone, as somebody pastes them.
pub fn pasted(bytes: &[u8]) {
    let _refused = RawSignature::parse_all(bytes);
    if let Ok(pasted) = Pasted::parse(bytes) {
        entry(pasted.text.as_bytes());
    }
}

/// A pool of entries and the order in which a node is told of them ([`read_stream`]): the chain holds
/// what was valid, and its fold is the same in whatever order it was told.
pub fn chain(bytes: &[u8]) {
    let (pool, told) = read_stream(bytes);
    let Some(first) = pool.first() else { return };
    let blog = first.entry().blog();
    let (places, _fault) = Chain::new(blog).place_run(&told);
    let mut chain = Chain::new(blog);
    let (mut as_told, mut kept) = (Blog::default(), Vec::new());
    for (index, sealed) in told.into_iter().enumerate() {
        let accepted = chain.accept(sealed.clone());
        if let (Some(place), Ok(_)) = (places.get(index).filter(|_| kept.len() == index), &accepted)
        {
            assert!(place.verify(sealed).is_ok(), "a run judges as one by one");
        }
        let Ok((verified, appended)) = accepted else {
            continue;
        };
        as_told.add(&chain, verified.entry());
        as_told.erase(&chain, &appended.erased);
        kept.push(verified.sealed().clone());
    }
    check_heads(&chain);
    kept.sort_by_key(|sealed| (sealed.entry().skeleton().sequence, sealed.entry().id()));
    let mut sorted = Blog::default();
    for sealed in &kept {
        sorted.add(&chain, sealed.entry());
    }
    assert_eq!(as_told.posts(), sorted.posts());
    assert_eq!(as_told.pages(), sorted.pages());
    assert_eq!(as_told.clashes(), sorted.clashes());
    assert_eq!(as_told.media(), sorted.media());
}

fn check_heads(chain: &Chain) {
    let heads = chain.heads();
    assert_eq!(heads.is_empty(), chain.is_empty());
    let childless = chain.links().filter(|(_, link)| link.children == 0);
    assert_eq!(heads.len(), childless.count());
}

/// Reads a pool, then what is told of it. A pool's record is `P`, the length of a text (u32,
/// big-endian), the text, the number of packets (u8), and for each its length (u16) and bytes. `W N`
/// tells the pool's entry N as it is, `X N` without its words. Stops where this form is broken.
pub fn read_stream(mut bytes: &[u8]) -> (Vec<SealedEntry>, Vec<SealedEntry>) {
    let (mut pool, mut told): (Vec<SealedEntry>, Vec<_>) = (Vec::new(), Vec::new());
    while let Some(kind) = take(&mut bytes, 1) {
        if kind == b"P" {
            let Some((text, packets)) = read_record(&mut bytes) else {
                break;
            };
            let Ok(sealed) = SealedEntry::parse(text, &packets) else {
                break;
            };
            pool.push(sealed);
            continue;
        }
        let Some(number) = take(&mut bytes, 1) else {
            break;
        };
        let Some(sealed) = pool.get(usize::from(number[0])) else {
            continue;
        };
        let whole = kind == b"W";
        told.push(if whole {
            sealed.clone()
        } else {
            sealed.erased()
        });
    }
    (pool, told)
}

/// The inverse of [`read_stream`].
pub fn write_stream(pool: &[SealedEntry], told: &[(u8, u8)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for sealed in pool {
        let text = sealed.entry().text().as_bytes();
        bytes.push(b'P');
        bytes.extend(
            u32::try_from(text.len())
                .expect("about 1 MiB")
                .to_be_bytes(),
        );
        bytes.extend(text);
        bytes.push(u8::try_from(sealed.signatures().len()).expect("at most 8"));
        for signature in sealed.signatures() {
            let packet = signature.packet();
            bytes.extend(u16::try_from(packet.len()).expect("2 KiB").to_be_bytes());
            bytes.extend(packet);
        }
    }
    bytes.extend(told.iter().flat_map(|(kind, number)| [*kind, *number]));
    bytes
}

fn read_record<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], Vec<&'a [u8]>)> {
    let length = u32::from_be_bytes(take(bytes, 4)?.try_into().ok()?);
    let text = take(bytes, usize::try_from(length).ok()?)?;
    let count = *take(bytes, 1)?.first()?;
    let mut packets = Vec::new();
    for _ in 0..count {
        let length = u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?);
        packets.push(take(bytes, usize::from(length))?);
    }
    Some((text, packets))
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}
