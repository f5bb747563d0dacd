use std::collections::{BTreeMap, BTreeSet};

use domain::base::Message;
use proptest::prelude::*;
use spokes_rules::dnssec::{Signs, canonical};
use spokes_rules::zone::{Data, RrSet};

use super::*;
use crate::dns::answer::{Reply, Transport, answer};
use crate::dns::testing::{APEX, addresses, apex_with_key, request, set, soa, told, zone};

const STAMP: Stamp = Stamp {
    inception: 1_800_000_000,
    expiration: 1_801_000_000,
    tag: 0,
};

fn secret() -> ZoneSecret {
    ZoneSecret::from_seed(&[7; 32]).unwrap()
}

fn stamp() -> Stamp {
    let tag = secret().key().tag(Signs::Zone);
    Stamp { tag, ..STAMP }
}

/// Changes a zone, and says how many sets were signed for it.
fn change(zone: &mut Zone, names: Vec<(String, Node)>, renewed: &[Box<[u8]>]) -> usize {
    let draft = zone.draft(names, renewed);
    let (due, signatures) = (draft.due(), draft.sign(&secret(), stamp()).unwrap());
    let Written(written) = draft.signed(stamp(), &signatures).unwrap();
    for (name, sets) in written {
        zone.write(&name, &sets);
    }
    due
}

/// Signs all that is there, some names at a time.
fn sign(zone: &mut Zone) {
    zone.secure();
    let mut names: Vec<Box<[u8]>> = zone.names_behind(None, 3);
    while let Some(last) = names.last().cloned() {
        change(zone, Vec::new(), &names);
        names = zone.names_behind(Some(&last), 3);
    }
}

fn signed() -> Zone {
    let mut zone = zone();
    sign(&mut zone);
    zone
}

/// What the link of a name says: the next name, and the types of this one.
fn link_of(zone: &Zone, name: &[u8]) -> (Vec<u8>, BTreeSet<u16>) {
    let mut link = Vec::new();
    assert_eq!(zone.whole(name).unwrap().append_link(&[], &mut link), 1);
    let data = link.split_off(BODY_HEAD);
    let mut at = 0;
    while data[at] != 0 {
        at += 1 + usize::from(data[at]);
    }
    let (next, mut bitmap) = data.split_at(at + 1);
    let mut rtypes = BTreeSet::new();
    while let [block, length, rest @ ..] = bitmap {
        let (bits, rest) = rest.split_at(usize::from(*length));
        for (byte, bits) in (0u16..).zip(bits) {
            let set = (0..8).filter(|bit| bits & (0x80 >> bit) != 0);
            rtypes.extend(set.map(|bit| u16::from(*block) * 256 + byte * 8 + bit));
        }
        bitmap = rest;
    }
    (next.to_vec(), rtypes)
}

/// Whether each name leads to the next one, and each set has one good signature and no more.
fn check(zone: &Zone) {
    let key = secret().key();
    let apex = zone.apex().as_slice();
    let mut names: Vec<Vec<u8>> = (0..crate::dns::zone::SHARDS)
        .flat_map(|part| zone.part(part).map(|(name, _)| name.to_vec()))
        .collect();
    names.sort_by(|one, other| canonical(one).cmp(&canonical(other)));
    for (at, name) in names.iter().enumerate() {
        let sets = WireSets::of(zone.at(name).unwrap());
        let (next, rtypes) = link_of(zone, name);
        let expected = [&names[(at + 1) % names.len()][..], apex].concat();
        assert_eq!(next, expected, "behind {name:?}");
        let there = sets.iter().map(|set| set.rtype()).chain([Rtype::NSEC]);
        let there: Vec<Rtype> = there.collect();
        let listed: BTreeSet<u16> = there
            .iter()
            .chain(&[Rtype::RRSIG])
            .map(|rtype| rtype.to_int())
            .collect();
        assert_eq!(rtypes, listed, "of {name:?}");
        let records = zone.whole(name).unwrap().records();
        let signatures: Vec<&Vec<u8>> = records
            .iter()
            .filter(|record| record[..2] == [0, 46])
            .collect();
        assert_eq!(signatures.len(), there.len());
        for rtype in there {
            let of_set =
                |record: &&&Vec<u8>| record[BODY_HEAD..][..2] == rtype.to_int().to_be_bytes();
            let record = signatures.iter().find(of_set).unwrap();
            let due = Due::new(name, sets, rtype, zone.apex(), stamp());
            let (data, bytes) = record[BODY_HEAD..].split_last_chunk::<64>().unwrap();
            let signature = ZoneSignature::from_bytes(*bytes);
            assert_eq!(data, due.cover.rrsig(&due.owner));
            assert_eq!(record[4..8], due.cover.ttl.to_be_bytes());
            assert!(key.has_signed(&due.bytes(), signature), "{name:?} {rtype}");
        }
    }
}

fn owner(name: u8) -> String {
    // Below one another, so that names come and go between others.
    ["a", "b", "c.b", "d.c.b", "e", "_f.e", "g.g.g"][usize::from(name % 7)].to_owned() + "." + APEX
}

fn apex(serial: u32) -> (String, Node) {
    let mut soa = soa();
    soa.serial = serial;
    let soa = RrSet {
        ttl: 3600,
        data: vec![Data::Soa(soa)],
    };
    (APEX.to_owned(), vec![soa])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever changes, the chain is whole and all is signed; what did not change is not signed again; and who gets
    /// the signatures makes the same of them.
    #[test]
    fn a_zone_that_changes_stays_signed(
        batches in proptest::collection::vec(
            proptest::collection::vec((0u8..7, 0u8..3), 0..6),
            1..6,
        ),
    ) {
        let mut zone = Zone::new(APEX).unwrap();
        let (owner_of_apex, node) = apex(1);
        zone.set(&owner_of_apex, node).unwrap();
        sign(&mut zone);
        let mut other = Zone::new(APEX).unwrap();
        let (owner_of_apex, node) = apex(1);
        other.set(&owner_of_apex, node).unwrap();
        other.secure();
        for part in 0..crate::dns::zone::SHARDS {
            let copied: Vec<_> = zone.part(part).map(|(name, _)| name.to_vec()).collect();
            for name in copied {
                other.write(&name, zone.at(&name).unwrap());
            }
        }
        for (serial, batch) in (2..).zip(&batches) {
            let names = batch.iter().map(|(name, addrs)| {
                let list: Vec<u8> = (1..=*addrs).collect();
                (owner(*name), if list.is_empty() { vec![] } else { addresses(&list) })
            });
            let names: Vec<_> = names.chain([apex(serial)]).collect();
            let (draft, followed) = (zone.draft(names.clone(), &[]), other.draft(names.clone(), &[]));
            let signatures = draft.sign(&secret(), stamp()).unwrap();
            let bytes = |draft: &Draft| draft.all_due(stamp()).map(|due| due.bytes()).collect::<Vec<_>>();
            prop_assert_eq!(bytes(&draft), bytes(&followed));
            let (one, two) = (
                draft.signed(stamp(), &signatures).unwrap().0,
                followed.signed(stamp(), &signatures).unwrap().0,
            );
            prop_assert_eq!(&one, &two);
            prop_assert_eq!(one.last().map(|(name, _)| name.len()), Some(0), "the apex comes last");
            for (name, sets) in &one {
                zone.write(name, sets);
                other.write(name, sets);
            }
            check(&zone);
            // Said once more, nothing but nothing is due.
            prop_assert_eq!(zone.draft(names, &[]).due(), 0);
        }
    }
}

#[test]
fn only_what_changes_is_signed() {
    let mut zone = signed();
    check(&zone);
    let names = |serial, node| vec![(format!("ada.{APEX}"), node), apex_of(&zone, serial)];
    // Addresses of one family, and the serial.
    let mut node = addresses(&[1, 2]);
    node[0] = addresses(&[9]).remove(0);
    let changed = names(8, node.clone());
    assert_eq!(change(&mut zone, changed, &[]), 2);
    // A type less: the link, too, and nothing else.
    node.truncate(1);
    let names = |serial, node| vec![(format!("ada.{APEX}"), node), apex_of(&zone, serial)];
    let changed = names(9, node);
    assert_eq!(change(&mut zone, changed, &[]), 2);
    // A new name: its two sets and its link, the link before it, the serial.
    let changed = vec![(format!("new.{APEX}"), addresses(&[3])), apex_of(&zone, 10)];
    assert_eq!(change(&mut zone, changed, &[]), 5);
    // One that goes: the link before it, and the serial.
    let changed = vec![(format!("new.{APEX}"), vec![]), apex_of(&zone, 11)];
    assert_eq!(change(&mut zone, changed, &[]), 2);
    // Signed again because somebody wants it.
    assert_eq!(change(&mut zone, vec![], &[(*b"\x03ada").into()]), 2);
    assert_eq!(change(&mut zone, vec![], &[(*b"\x05nobody").into()]), 0);
    check(&zone);
}

/// The apex as it is in the zone of all tests here, with another serial.
fn apex_of(_: &Zone, serial: u32) -> (String, Node) {
    let mut whole = crate::dns::testing::apex();
    let mut soa = soa();
    soa.serial = serial;
    whole[0].data = vec![Data::Soa(soa)];
    (APEX.to_owned(), whole)
}

#[test]
fn signatures_that_do_not_fit_are_refused() {
    let zone = signed();
    let draft = || zone.draft(vec![(format!("new.{APEX}"), addresses(&[3]))], &[]);
    let signatures = draft().sign(&secret(), stamp()).unwrap();
    assert_eq!(signatures.len(), 4);
    let said = draft().signed(stamp(), &signatures[1..]).unwrap_err();
    assert_eq!(said, Unfit { given: 3, due: 4 });
    let more = [&signatures[..], &signatures[..1]].concat();
    assert!(draft().signed(stamp(), &more).is_err());
}

#[test]
fn links_and_signatures_are_no_difference_in_what_a_name_answers() {
    let zone = signed();
    let ada = format!("ada.{APEX}");
    assert!(!zone.would_change(&ada, &addresses(&[1, 2])));
    assert!(zone.would_change(&ada, &addresses(&[1])));
    assert!(zone.would_change(&ada, &vec![]));
    assert!(zone.would_change(&format!("new.{APEX}"), &addresses(&[1])));
    // Organizers' signatures are.
    let mut apex = crate::dns::testing::apex();
    assert!(!zone.would_change(APEX, &apex));
    apex.push(set(vec![Data::Other {
        rtype: Rtype::RRSIG.to_int(),
        data: [&Rtype::DNSKEY.to_int().to_be_bytes()[..], &[0; 90]].concat(),
    }]));
    assert!(zone.would_change(APEX, &apex));
}

/// The words of an answer, without signatures' bytes.
fn said(zone: &Zone, words: &str) -> String {
    let (request, mut reply) = (request(words), Vec::new());
    let sent = answer(zone, &request, Transport::Tcp, 0, &mut reply);
    assert_eq!(sent, Reply::Send);
    Message::from_octets(&reply).unwrap();
    let told = told(&reply)
        .replace(&format!(".{APEX}"), ".@")
        .replace(APEX, "@");
    let records = told.split(" | ").map(|record| {
        let words: Vec<&str> = record.split(' ').collect();
        let is_signature = words.iter().position(|word| *word == "RRSIG");
        match is_signature {
            Some(at) if words.len() > at + 2 => words[..at + 2].join(" "),
            _ => record.to_owned(),
        }
    });
    records.collect::<Vec<_>>().join(" | ")
}

#[test]
fn who_validates_gets_signatures_and_proofs() {
    let zone = signed();
    let answers = BTreeMap::from([
        (
            "A ada.@ do",
            "NOERROR aa | ada.@ A | ada.@ 30 A 192.0.2.1 | ada.@ 30 A 192.0.2.2 | ada.@ 30 RRSIG A",
        ),
        (
            "MX ada.@ do",
            "NOERROR aa | ada.@ MX | authority: @ 10 SOA SERIAL | authority: @ 10 RRSIG SOA \
             | authority: ada.@ 10 NSEC _blog.ada.@ A AAAA RRSIG NSEC | authority: ada.@ 10 RRSIG NSEC",
        ),
        // There only for the name below it.
        (
            "A maria.@ do",
            "NOERROR aa | maria.@ A | authority: @ 10 SOA SERIAL | authority: @ 10 RRSIG SOA \
             | authority: longer.@ 10 NSEC edit.maria.@ TXT RRSIG NSEC | authority: longer.@ 10 RRSIG NSEC",
        ),
        // Neither the name nor a wildcard; that below the apex lies under the apex's own link. (Whoever prints the link
        // here leaves out the types from 256 on.)
        (
            "A nobody.@ do",
            "NXDOMAIN aa | nobody.@ A | authority: @ 10 SOA SERIAL | authority: @ 10 RRSIG SOA \
             | authority: edit.maria.@ 10 NSEC @ A AAAA RRSIG NSEC | authority: edit.maria.@ 10 RRSIG NSEC \
             | authority: @ 10 NSEC ada.@ A NS SOA AAAA RRSIG NSEC | authority: @ 10 RRSIG NSEC",
        ),
        // One link proves both.
        (
            "A x.edit.maria.@ do",
            "NXDOMAIN aa | x.edit.maria.@ A | authority: @ 10 SOA SERIAL | authority: @ 10 RRSIG SOA \
             | authority: edit.maria.@ 10 NSEC @ A AAAA RRSIG NSEC | authority: edit.maria.@ 10 RRSIG NSEC",
        ),
        (
            "NSEC ada.@",
            "NOERROR aa | ada.@ NSEC | ada.@ 10 NSEC _blog.ada.@ A AAAA RRSIG NSEC",
        ),
        (
            "A nobody.@",
            "NXDOMAIN aa | nobody.@ A | authority: @ 10 SOA SERIAL",
        ),
    ]);
    for (words, expected) in answers {
        let is_edns = if words.ends_with(" do") {
            " edns=1232"
        } else {
            ""
        };
        let asked = words.replace(".@", &format!(".{APEX}")) + is_edns;
        let said = said(&zone, &asked);
        let said = said.replace(
            "SOA ns1.@ council.example.org 7 60 30 604800 10",
            "SOA SERIAL",
        );
        let said = said.trim_end_matches(" | edns 0 1232 do");
        assert_eq!(said, expected, "{words}");
    }
}

#[test]
fn who_does_not_validate_gets_what_a_zone_without_signatures_says() {
    let (plain, signed) = (zone(), signed());
    for words in [
        "A ada.@",
        "MX ada.@",
        "A maria.@",
        "A x.y.maria.@",
        "SOA @",
        "ANY ada.@",
        "TXT _blog.ada.@",
    ] {
        let asked = words.replace('@', APEX) + " edns=1232";
        assert_eq!(said(&plain, &asked), said(&signed, &asked), "{words}");
    }
}

#[test]
fn what_is_worn_is_signed_again() {
    let zone = signed();
    let (tag, other) = (stamp().tag, stamp().tag ^ 1);
    let until = STAMP.expiration;
    let worn_from = |zone: &Zone, name: &[u8], tags: &[u16], times: (u32, u32)| {
        let tags = tags.iter().copied().collect();
        is_worn(WireSets::of(zone.at(name).unwrap()), &tags, times)
    };
    let is_worn = |zone: &Zone, name: &[u8], tags: &[u16], until: u32| {
        worn_from(zone, name, tags, (STAMP.inception, until))
    };
    let early = (STAMP.inception - 1, until);
    assert!(
        worn_from(&zone, b"", &[tag], early),
        "it does not count yet"
    );
    for name in [&b""[..], b"\x03ada"] {
        assert!(!is_worn(&zone, name, &[tag, other], until));
        assert!(
            is_worn(&zone, name, &[other], until),
            "by a key that is none"
        );
        assert!(
            is_worn(&zone, name, &[tag], until.wrapping_add(1)),
            "it counts no longer"
        );
        assert!(
            is_worn(&crate::dns::testing::zone(), name, &[tag], until),
            "not signed"
        );
    }
    // Numbers of seconds come round.
    assert!(!worn_from(&zone, b"", &[tag], (STAMP.expiration, u32::MAX)));
}

#[test]
fn keys_come_with_their_signatures_before_the_rest_is_signed_and_then() {
    let mut zone = zone();
    zone.set(APEX, apex_with_key()).unwrap();
    let keys = |zone: &Zone| {
        let said = said(zone, &format!("DNSKEY {APEX} edns=1232 do"));
        said.matches("RRSIG DNSKEY").count()
    };
    zone.secure();
    assert_eq!(keys(&zone), 1);
    let records = |zone: &Zone| zone.whole(&[]).unwrap().records().len();
    let before = records(&zone);
    let due = change(&mut zone, vec![(APEX.to_owned(), apex_with_key())], &[]);
    assert_eq!(keys(&zone), 1);
    // A link, and a signature over all but the keys, which have theirs: SOA, NS, CAA, A, AAAA and the link.
    assert_eq!((due, records(&zone)), (6, before + 1 + 6));
    // Said again, and signed again, it is the same.
    assert_eq!(
        change(&mut zone, vec![(APEX.to_owned(), apex_with_key())], &[]),
        0
    );
    assert_eq!(change(&mut zone, vec![], &[Box::default()]), 6);
    assert_eq!((keys(&zone), records(&zone)), (1, before + 1 + 6));
    let said = said(&zone, &format!("RRSIG {APEX}"));
    assert_eq!(said.matches("RRSIG").count(), 1 + 7, "{said}");
    // As a node that starts makes it.
    let seal = seal_of(zone.at(&[]).unwrap()).to_vec();
    let mut plain = crate::dns::testing::zone();
    plain.set(APEX, apex_with_key()).unwrap();
    let plain = plain.at(&[]).unwrap();
    assert_eq!(sealed(plain, &seal, zone.apex()), zone.at(&[]).unwrap());
    // Where it is damaged the keys keep what signs them.
    for length in 0..5 {
        assert_eq!(sealed(plain, &seal[..length], zone.apex()), plain);
    }
}

#[test]
fn a_seal_is_all_but_what_is_to_be_answered() {
    let (plain, signed) = (zone(), signed());
    for name in [&b""[..], b"\x03ada", b"\x05_blog\x03ada"] {
        let apex = signed.apex();
        let (plain, sets) = (plain.at(name).unwrap(), signed.at(name).unwrap());
        let seal = seal_of(sets);
        assert_eq!([plain, seal].concat(), sets);
        assert_eq!(sealed(plain, seal, apex), sets);
        assert_eq!(sealed(sets, seal, apex), sets);
        assert_eq!(seal_of(plain), b"");
        // Older programs kept records as they travel.
        let records = signed.whole(name).unwrap().records();
        let of = |rtype: Rtype| {
            let of_type = |record: &&Vec<u8>| record[..2] == rtype.to_int().to_be_bytes();
            let bodies: Vec<Vec<u8>> = records.iter().filter(of_type).cloned().collect();
            let (count, length) = (bodies.len(), bodies.iter().map(|body| 2 + body.len()).sum());
            let head = [rtype.to_int().into(), count, 0, length];
            let head = head.map(|number| u16::try_from(number).unwrap().to_be_bytes());
            let bodies = bodies.iter().map(|body| [&[0xC0, 12], &body[..]].concat());
            [head.concat(), bodies.collect::<Vec<_>>().concat()].concat()
        };
        let older = [of(Rtype::NSEC), of(Rtype::RRSIG)].concat();
        assert_eq!(sealed(plain, &older, apex), sets);
        // A set of no records before a mark is neither the one nor the other.
        let neither = [&[0, 47][..], &[0; 100]].concat();
        assert_eq!(sealed(plain, &neither, apex), plain);
        // What is damaged is none, and harms nothing else: the name is signed again.
        for length in 0..older.len() {
            let torn = sealed(plain, &older[..length], apex);
            assert!(torn.starts_with(plain));
        }
    }
}

#[test]
fn what_is_kept_of_many_is_small() {
    let signed = signed();
    let bytes = seal_of(signed.at(b"\x05_blog\x03ada").unwrap()).len();
    // The mark; time to live, "edit.maria", three bytes for types in seven; two types with their signatures, one stamp.
    assert_eq!(bytes, 2 + 4 + (1 + 5) + (1 + 8) + (3 + 10 + 64) + (3 + 64));
}

#[test]
fn signatures_of_others_are_looked_at() {
    let zone = signed();
    let draft = zone.draft(vec![(format!("new.{APEX}"), addresses(&[3]))], &[]);
    let mut signatures = draft.sign(&secret(), stamp()).unwrap();
    let key = secret().key();
    assert!(draft.is_signed_by(key, stamp(), &signatures));
    assert!(!draft.is_signed_by(key, stamp(), &signatures[1..]));
    let other = ZoneSecret::from_seed(&[8; 32]).unwrap();
    assert!(!draft.is_signed_by(other.key(), stamp(), &signatures));
    signatures.swap(0, 1);
    assert!(!draft.is_signed_by(key, stamp(), &signatures));
}
