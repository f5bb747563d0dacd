//! A zone that is signed, version by version.

use openraft::CommittedLeaderId;
use spokes_rules::{
    dnssec::Signs,
    keyset::{CDNSKEY, CDS, DNSKEY, KeySet, NodeZoneKey, TopKey, Window},
    node::Label,
    request::Address,
};

use super::{
    tests::{NOW, RECORDS, Shelf, said},
    *,
};
use crate::{
    council::sheaf::{Sheaf, Terms},
    dns::{signer::ZoneSecret, signing::Stamp},
};

/// A council's only node that has said its key, and an organizer's set of keys.
struct Signing {
    shelf: Shelf,
    zone_secret: ZoneSecret,
    at: std::cell::Cell<u64>,
}

impl Signing {
    /// The keys are in the log, and the version behind them is out.
    fn begin() -> (Self, Book) {
        let signing = Self {
            shelf: Shelf::new(),
            zone_secret: ZoneSecret::from_seed(&[7; 32]).unwrap(),
            at: std::cell::Cell::new(RECORDS + 1),
        };
        let book = signing.shelf.open().unwrap();
        let key = signing.zone_secret.key();
        let label = Label::parse("council1").unwrap();
        signing.add(&book, &signing.shelf.secret, Wish::ZoneKey { label, key });
        let top = ZoneSecret::from_seed(&[8; 32]).unwrap();
        let apex = spokes_rules::dnssec::wire("blogs.example");
        let mut set = KeySet {
            ttl: 30,
            top: vec![TopKey {
                key: top.key(),
                stays: true,
            }],
            nodes: vec![NodeZoneKey {
                node: Label::parse("council1").unwrap(),
                key,
                signs: true,
            }],
            windows: Vec::new(),
        };
        let now = Time::parse(NOW).unwrap();
        let (from, until) = (now + -3_600, now + 3_600 * 24 * 14);
        let tag = top.key().tag(Signs::Keys);
        let sign = |rtype| {
            top.sign(&set.to_sign(rtype, (from, until), tag, &apex))
                .unwrap()
        };
        let signatures = [DNSKEY, CDS, CDNSKEY].map(sign);
        set.windows.push(Window {
            from,
            until,
            tag,
            signatures,
        });
        let organizer = NodeSecret::from_seed(&[2; 32]);
        signing.add(&book, &organizer, Wish::KeySet(Box::new(set)));
        assert!(!book.publication().is_signed());
        book.publish(signing.next(), 7);
        assert!(book.publication().is_signed());
        (signing, book)
    }

    fn next(&self) -> u64 {
        self.at.replace(self.at.get() + 1)
    }

    fn add(&self, book: &Book, by: &NodeSecret, wish: Wish) {
        let network = book.ask(Registry::network);
        book.add(self.next(), said(by, network, wish));
    }

    fn mirror(&self, book: &Book, label: &str) {
        let address = Address("192.0.2.53:53".parse().unwrap());
        let label = Label::parse(label).unwrap();
        let organizer = NodeSecret::from_seed(&[2; 32]);
        self.add(book, &organizer, Wish::Mirror { label, address });
    }

    /// The next version, signed as a leader does.
    fn sheaf(&self, book: &Book) -> Sheaf {
        let tag = self.zone_secret.key().tag(Signs::Zone);
        let stamp = Stamp {
            inception: 1_800_000_000,
            expiration: 1_801_000_000,
            tag,
        };
        let publication = book.publication();
        let renewed = publication.worn(&[tag].into(), (stamp.inception, stamp.expiration));
        let drafted = book.ask(|registry| publication.draft(registry, 7, &renewed));
        let (published, draft) = drafted.flatten().unwrap();
        let signatures = draft.sign(&self.zone_secret, stamp).unwrap();
        let Published { version, records } = published;
        Sheaf::new(Terms::new(version, records, &renewed, stamp), &signatures)
    }

    fn publish(&self, book: &Book, sheaf: &Sheaf) {
        let leader = CommittedLeaderId::new(1, NodeId::default());
        let batch = Batch {
            time: NOW.into(),
            requests: Vec::new(),
            publish: Some(7),
            sheaf: Some(Box::new(sheaf.clone())),
        };
        let entry = Entry::<Types> {
            log_id: LogId::new(leader, self.next()),
            payload: EntryPayload::Normal(batch),
        };
        book.apply(vec![entry]).unwrap();
    }

    /// Nothing is left to be signed.
    fn is_whole(&self, book: &Book) -> bool {
        let tag = self.zone_secret.key().tag(Signs::Zone);
        // Once to the end, and once from the beginning.
        let worn = |_| {
            book.publication()
                .worn(&[tag].into(), (1_800_000_000, 1_801_000_000))
        };
        [(), ()].map(worn).iter().all(Vec::is_empty)
    }
}

/// All that the zone has of each name.
fn all_of(book: &Book) -> Vec<(Vec<u8>, Vec<u8>)> {
    let zone = book.publication().editions().zone();
    let zone = zone.read();
    let names = zone.names_behind(None, usize::MAX);
    names
        .iter()
        .map(|name| (name.to_vec(), zone.at(name).unwrap().to_vec()))
        .collect()
}

#[test]
fn a_zone_is_signed_version_by_version_and_is_the_same_after_a_start() {
    let (signing, book) = Signing::begin();
    assert!(!signing.is_whole(&book), "nobody signed so far");
    let before = book.shown();
    signing.publish(&book, &signing.sheaf(&book));
    assert!(signing.is_whole(&book));
    assert_eq!(book.shown(), (before.0, before.1.map(|serial| serial + 1)));
    signing.mirror(&book, "m1");
    signing.publish(&book, &signing.sheaf(&book));
    assert!(signing.is_whole(&book));
    assert_eq!(book.shown().0, before.0 + 1);
    let (shown, all) = (book.shown(), all_of(&book));
    drop(book);
    let book = signing.shelf.open().unwrap();
    assert_eq!((book.shown(), all_of(&book)), (shown, all));
    assert!(signing.is_whole(&book));
    signing.mirror(&book, "m2");
    signing.publish(&book, &signing.sheaf(&book));
    assert!(signing.is_whole(&book) && book.shown().0 == shown.0 + 1);
}

#[test]
fn a_version_that_was_signed_for_another_state_is_none() {
    let (signing, book) = Signing::begin();
    signing.publish(&book, &signing.sheaf(&book));
    let shown = book.shown();
    // A request came before it.
    let early = signing.sheaf(&book);
    signing.mirror(&book, "m1");
    signing.publish(&book, &early);
    assert_eq!(book.shown(), shown);
    // Two leaders signed for one number.
    let (one, other) = (signing.sheaf(&book), signing.sheaf(&book));
    signing.publish(&book, &one);
    let after = book.shown();
    assert_eq!(after, (shown.0 + 1, shown.1.map(|serial| serial + 1)));
    signing.publish(&book, &other);
    assert_eq!(book.shown(), after);
    // Nobody signed, or not all.
    signing.mirror(&book, "m2");
    book.publish(signing.next(), 7);
    let terms = signing.sheaf(&book).terms;
    signing.publish(&book, &Sheaf::new(terms, &[]));
    assert_eq!(book.shown(), after);
    assert!(signing.is_whole(&book));
    signing.publish(&book, &signing.sheaf(&book));
    assert_eq!(book.shown().0, after.0 + 1);
    assert!(signing.is_whole(&book));
}

#[test]
fn a_signed_zone_goes_on_while_it_is_hidden() {
    let (signing, book) = Signing::begin();
    signing.publish(&book, &signing.sheaf(&book));
    book.publication().hide().unwrap();
    assert_eq!(book.shown(), (0, None));
    for label in ["m1", "m2"] {
        signing.mirror(&book, label);
        signing.publish(&book, &signing.sheaf(&book));
        assert_eq!(book.shown(), (0, None));
    }
    // A start in between.
    drop(book);
    let book = Book::open(&signing.shelf.at(), &signing.shelf.secret, true).unwrap();
    signing.mirror(&book, "m3");
    signing.publish(&book, &signing.sheaf(&book));
    book.reveal().unwrap();
    assert_eq!(book.shown().0, 5, "the apex, the one server, three mirrors");
    assert!(signing.is_whole(&book));
    let all = all_of(&book);
    drop(book);
    assert_eq!(all_of(&signing.shelf.open().unwrap()), all);
}

/// A council that was founded anew may have no key that signs.
#[test]
fn a_hidden_zone_is_shown_as_of_its_last_version_where_nobody_signs() {
    let (signing, book) = Signing::begin();
    signing.publish(&book, &signing.sheaf(&book));
    let (shown, all) = (book.shown(), all_of(&book));
    book.publication().hide().unwrap();
    signing.mirror(&book, "m1");
    assert!(book.reveal().unwrap());
    assert_eq!((book.shown(), all_of(&book)), (shown, all));
    signing.publish(&book, &signing.sheaf(&book));
    assert_eq!(book.shown().0, shown.0 + 1);
    assert!(signing.is_whole(&book));
}

#[test]
fn each_recovery_skips_numbers_and_the_last_version_keeps_its_own() {
    let (signing, book) = Signing::begin();
    signing.publish(&book, &signing.sheaf(&book));
    let (shown, all) = (book.shown(), all_of(&book));
    let recover = |book: &Book| {
        let index = book.index();
        book.publication().skip(&index).unwrap();
    };
    recover(&book);
    drop(book);
    let book = signing.shelf.open().unwrap();
    assert_eq!(
        (book.shown(), all_of(&book)),
        (shown, all),
        "its signature fits no other number"
    );
    recover(&book);
    signing.publish(&book, &signing.sheaf(&book));
    let serial = |shown: (usize, Option<u32>)| shown.1.unwrap();
    assert_eq!(serial(book.shown()), serial(shown) + (1 << 27) + 1);
    signing.publish(&book, &signing.sheaf(&book));
    assert_eq!(serial(book.shown()), serial(shown) + (1 << 27) + 2);
    assert!(signing.is_whole(&book));
}
