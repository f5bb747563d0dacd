//! Stories about the zone's keys: what nodes say, what organizers sign, and what the apex shows (SPEC registry 3.31,
//! 3.32).

mod common;

use common::{Town, label};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use spokes_log::time::Time;
use spokes_rules::{
    dnssec::{self, Signs, ZoneKey, ZoneSignature},
    keyset::{CDNSKEY, CDS, DNSKEY, KEYS_TTL, KEYS_TTL_MIN, KeySet, NodeZoneKey, TopKey, Window},
    node::Label,
    request::Wish,
    zone::{self, Data, Version},
};

const WEEK: i64 = 7 * 24 * 60 * 60;

fn key(seed: u8) -> (SigningKey, ZoneKey) {
    let secret = SigningKey::from_slice(&[seed; 32]).expect("a key");
    let point = secret.verifying_key().to_encoded_point(false);
    let bytes = point.as_bytes()[1..].try_into().expect("64 bytes");
    (secret, ZoneKey::from_bytes(bytes).expect("a point"))
}

/// Organizers' keys, each with whether it stays; nodes' keys; two weeks from each of so many weeks on, signed by
/// all of the former.
fn set(from: Time, tops: &[(u8, bool)], nodes: &[u8], weeks: i64) -> Box<KeySet> {
    resting(from, tops, nodes, &[], weeks)
}

/// With other nodes' keys that rest.
fn resting(from: Time, tops: &[(u8, bool)], nodes: &[u8], rest: &[u8], weeks: i64) -> Box<KeySet> {
    remembered(KEYS_TTL, from, tops, nodes, rest, weeks)
}

/// Which may be remembered for so long.
fn remembered(
    ttl: u32,
    from: Time,
    tops: &[(u8, bool)],
    nodes: &[u8],
    rest: &[u8],
    weeks: i64,
) -> Box<KeySet> {
    let apex = dnssec::wire("blogs.example.org");
    let top = |(seed, stays): &(u8, bool)| TopKey {
        key: key(*seed).1,
        stays: *stays,
    };
    let node = |seed: u8, signs| NodeZoneKey {
        node: label("council-1"),
        key: key(seed).1,
        signs,
    };
    let resting = rest.iter().map(|seed| node(*seed, false));
    let mut set = KeySet {
        ttl,
        top: tops.iter().map(top).collect(),
        nodes: nodes
            .iter()
            .map(|seed| node(*seed, true))
            .chain(resting)
            .collect(),
        windows: Vec::new(),
    };
    for week in 0..weeks {
        let times = (from + week * WEEK, from + (week + 2) * WEEK);
        for (secret, top) in tops.iter().map(|(seed, _)| key(*seed)) {
            let tag = top.tag(Signs::Keys);
            let sign = |rtype| {
                let signature: Signature = secret.sign(&set.to_sign(rtype, times, tag, &apex));
                ZoneSignature::from_bytes(signature.to_bytes().into())
            };
            let signatures = [DNSKEY, CDS, CDNSKEY].map(sign);
            set.windows.push(Window {
                from: times.0,
                until: times.1,
                tag,
                signatures,
            });
        }
    }
    set.windows.sort_by_key(|window| (window.from, window.tag));
    Box::new(set)
}

impl Town {
    fn says(&mut self, signer: &str, seed: u8) -> String {
        // What is said twice in one second is one request.
        self.now = self.now + 1;
        let (label, key) = (label("council-1"), key(seed).1);
        let said = self.plain(signer, Wish::ZoneKey { label, key });
        self.ask(said)
    }

    fn signs(&mut self, set: Box<KeySet>) -> String {
        self.now = self.now + 1;
        let signed = self.plain("organizer", Wish::KeySet(set));
        self.ask(signed)
    }

    /// How many records of each of these types the apex has, and from which week on its signatures count.
    fn shown(&self, begun: Time) -> (Vec<(u16, usize)>, Vec<i64>) {
        let version = Version::first(&self.registry, zone::minute(self.now));
        let (_, apex) = zone::apex(&self.registry, version);
        let (mut counts, mut weeks) = (Vec::new(), Vec::new());
        for set in &apex {
            let Some(Data::Other { rtype, .. }) = set.data.first() else {
                continue;
            };
            counts.push((*rtype, set.data.len()));
            for data in &set.data {
                let Data::Other { rtype: 46, data } = data else {
                    continue;
                };
                let inception = u32::from_be_bytes(data[12..16].try_into().expect("four bytes"));
                weeks.push((i64::from(inception) - begun.as_unix()) / WEEK);
            }
        }
        weeks.dedup();
        (counts, weeks)
    }
}

#[test]
fn the_apex_shows_what_was_signed_ahead() {
    let mut town = Town::with_spokes();
    // Signatures count from an hour before: clocks differ.
    let begun = town.now + -3_600;
    assert_eq!(town.says("a", 3).rsplit(' ').next(), Some("council"));
    assert!(town.says("council", 3).ends_with("Nothing"));
    assert_eq!(
        town.says("council", 3),
        "that is so already; nothing was changed"
    );
    assert_eq!(town.shown(begun), (vec![], vec![]));

    let unsaid = town.signs(set(begun, &[(1, true)], &[4], 3));
    assert!(
        unsaid.contains("names a key that its node has not said"),
        "{unsaid}"
    );
    let late = town.signs(set(begun + WEEK, &[(1, true)], &[3], 3));
    assert!(late.contains("no signature that counts now"), "{late}");
    let mut wrong = set(begun, &[(1, true)], &[3], 3);
    wrong.windows[0].signatures.swap(0, 1);
    assert!(town.signs(wrong).contains("not good"));
    assert!(
        town.signs(set(begun, &[(1, true)], &[3], 3))
            .ends_with("Council")
    );

    let all = vec![(DNSKEY, 2), (CDS, 1), (CDNSKEY, 1), (46, 3)];
    for week in 0..3 {
        assert_eq!(town.shown(begun), (all.clone(), vec![week]), "the newest");
        town.now = town.now + WEEK;
    }
    assert_eq!(town.shown(begun), (all.clone(), vec![2]), "the last");
    town.now = town.now + WEEK;
    assert_eq!(
        town.shown(begun),
        (all[..3].to_vec(), vec![]),
        "nobody signed so far"
    );
}

/// Each step is compared with the zone made anew, as one makes it that was not there when the older names came.
#[test]
fn a_set_touches_no_name_but_the_apex() {
    let mut town = Town::with_spokes();
    let said = town.tell("claim maria for maria@blogs.example.org at a");
    assert!(said.contains("NewBlog"), "{said}");
    let begun = town.now + -3_600;
    town.says("council", 3);
    let brief = remembered(KEYS_TTL_MIN, begun, &[(1, true)], &[3], &[], 2);
    assert!(town.signs(brief).ends_with("Council"));
    let longer = remembered(KEYS_TTL, begun, &[(1, true)], &[3], &[], 2);
    assert!(town.signs(longer).ends_with("Council"));
}

#[test]
fn keys_change_hands_one_step_after_the_other() {
    let mut town = Town::with_spokes();
    let now = town.now + -3_600;
    town.says("council", 3);
    assert!(
        town.signs(set(now, &[(1, true)], &[3], 2))
            .ends_with("Council")
    );
    let stranger = town.signs(set(now, &[(2, true)], &[3], 2));
    assert!(
        stranger.contains("no organizer's key that the last one was to stay with"),
        "{stranger}"
    );
    // The next key of the node is shown beside the present one. It signs when all know it, and then the other rests,
    // until nobody remembers what it has signed.
    town.says("council", 4);
    let all = set(now, &[(1, true)], &[3, 4], 2);
    assert!(town.signs(all.clone()).ends_with("Council"));
    let signers = |town: &Town| -> Vec<ZoneKey> {
        let keys = town.registry.zone_keys();
        keys.signers(town.now).map(|node| node.key).collect()
    };
    assert_eq!(signers(&town), [key(3).1], "nobody knows the other");
    let alone = set(now, &[(1, true)], &[4], 2);
    assert!(town.signs(alone.clone()).contains("has to rest first"));
    let rests = resting(now, &[(1, true)], &[4], &[3], 2);
    let said = town.signs(rests.clone());
    assert!(
        said.contains("no key that signs and that all resolvers know"),
        "{said}"
    );
    // What was shown and never known can go at once.
    assert!(
        town.signs(set(now, &[(1, true)], &[3], 2))
            .ends_with("Council")
    );
    assert!(town.signs(all).ends_with("Council"));
    let wait = 2 * i64::from(KEYS_TTL);
    town.now = town.now + (wait - 1);
    assert_eq!(signers(&town).len(), 1);
    town.now = town.now + 1;
    assert_eq!(signers(&town).len(), 2);
    assert!(town.signs(alone.clone()).contains("has to rest first"));
    assert!(town.signs(rests.clone()).ends_with("Council"));
    assert_eq!(signers(&town), [key(4).1]);
    town.now = town.now + (wait - 2);
    assert!(town.signs(alone.clone()).contains("has to rest first"));
    // To say it again is no new rest.
    town.signs(rests);
    assert!(town.signs(alone).ends_with("Council"));
    assert!(
        town.signs(set(now, &[(1, true)], &[4, 3], 2))
            .contains("has not said"),
        "it is forgotten"
    );
    // So is the organizer's: the parent first hears of the new one.
    assert!(
        town.signs(set(now, &[(1, false), (2, true)], &[4], 2))
            .ends_with("Council")
    );
    assert!(
        town.signs(set(now, &[(1, true)], &[4], 2))
            .contains("stay with")
    );
    assert!(
        town.signs(set(now, &[(2, true)], &[4], 2))
            .ends_with("Council")
    );
}

/// What the next set would be, and after how long there is more to do.
fn next(town: &Town, rests: &[&str]) -> (Vec<(u8, bool)>, Option<i64>) {
    let sitting: Vec<Label> = ["council-1"].map(label).into();
    let rests: Vec<Label> = rests.iter().map(|text| label(text)).collect();
    let (nodes, later) = town.registry.zone_keys().next(town.now, &sitting, &rests);
    let seed = |wanted: ZoneKey| {
        (3..9)
            .find(|seed| key(*seed).1 == wanted)
            .expect("a key of these tests")
    };
    let nodes = nodes.into_iter().map(|node| (seed(node.key), node.signs));
    let mut nodes: Vec<_> = nodes.collect();
    nodes.sort_unstable();
    (
        nodes,
        later.map(|later| later.as_unix() - town.now.as_unix()),
    )
}

#[test]
fn one_step_after_the_other_leads_to_another_key() {
    let mut town = Town::with_spokes();
    let now = town.now + -3_600;
    assert_eq!(next(&town, &[]), (vec![], None), "no node said a key");
    town.says("council", 3);
    assert_eq!(next(&town, &[]), (vec![(3, true)], None));
    assert!(
        town.signs(set(now, &[(1, true)], &[3], 2))
            .ends_with("Council")
    );
    assert_eq!(next(&town, &[]), (vec![(3, true)], None));
    // Nobody else signs: it goes on.
    assert_eq!(next(&town, &["council-1"]).0, [(3, true)]);
    town.says("council", 4);
    let wait = 2 * i64::from(KEYS_TTL);
    assert_eq!(next(&town, &[]), (vec![(3, true), (4, true)], Some(wait)));
    assert!(
        town.signs(set(now, &[(1, true)], &[3, 4], 2))
            .ends_with("Council")
    );
    town.now = town.now + (wait - 10);
    assert_eq!(next(&town, &[]), (vec![(3, true), (4, true)], Some(10)));
    town.now = town.now + 10;
    assert_eq!(next(&town, &[]), (vec![(3, false), (4, true)], Some(wait)));
    assert!(
        town.signs(resting(now, &[(1, true)], &[4], &[3], 2))
            .ends_with("Council")
    );
    assert_eq!(next(&town, &[]), (vec![(3, false), (4, true)], Some(wait)));
    town.now = town.now + wait;
    assert_eq!(next(&town, &[]), (vec![(4, true)], None));
    assert!(
        town.signs(set(now, &[(1, true)], &[4], 2))
            .ends_with("Council")
    );
}
