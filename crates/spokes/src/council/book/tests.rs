use openraft::CommittedLeaderId;
use spokes_rules::{
    node::{Label, Signed},
    request::{Address, CouncilNode, Domain, Founding, Operator, Policy},
};

use super::*;
use crate::wire::RequestWire;

/// A registry of a few records in a folder of its own.
pub(super) struct Shelf {
    dir: tempfile::TempDir,
    pub(super) secret: NodeSecret,
}

pub(super) const RECORDS: u64 = 8;
/// When all of it happens.
pub(super) const NOW: &str = "2027-01-15T08:00:00Z";

pub(super) fn said(organizer: &NodeSecret, network: Option<Hash>, what: Wish) -> RequestWire {
    let time = Time::from_unix(1_800_000_000);
    let ask = Ask {
        network,
        time,
        what,
    };
    RequestWire::from(&Request::plain(Signed::new(organizer, &ask)))
}

impl Shelf {
    pub(super) fn new() -> Self {
        let shelf = Self {
            dir: tempfile::tempdir().unwrap(),
            secret: NodeSecret::from_seed(&[1; 32]),
        };
        let organizer = NodeSecret::from_seed(&[2; 32]);
        let address = Address("127.0.0.1:1".parse().unwrap());
        let founding = Founding {
            domain: Domain::parse("blogs.example").unwrap(),
            council: vec![CouncilNode {
                label: Label::parse("council1").unwrap(),
                key: shelf.secret.key(),
                api: address,
                dns: address,
                peer: address,
            }],
            organizers: vec![organizer.key()],
            policy: Policy::default(),
        };
        let book = shelf.open().unwrap();
        book.add(0, said(&organizer, None, Wish::Found(founding)));
        let network = book.ask(Registry::network);
        for number in 1..RECORDS {
            let token = Hash::of(&number.to_le_bytes());
            let expires = Time::from_unix(1_900_000_000);
            book.add(
                number,
                said(&organizer, network, Wish::Invite { token, expires }),
            );
        }
        assert_eq!(book.shown(), (0, None));
        book.publish(RECORDS, 7);
        shelf
    }

    pub(super) fn at(&self) -> PathBuf {
        self.dir.path().join("registry.db")
    }

    pub(super) fn open(&self) -> Result<Book, Outage> {
        Book::open(&self.at(), &self.secret, false)
    }

    /// Changes a letter of what a record asked, behind the registry's back.
    fn alter(&self, place: u64) {
        let index = Connection::open(self.at()).unwrap();
        let sql = "UPDATE record SET json = replace(json, 'Expires: 2030', 'Expires: 2031') WHERE place = ?1";
        assert_eq!(index.execute(sql, [place]).unwrap(), 1);
    }
}

impl Book {
    pub(super) fn add(&self, index: u64, request: RequestWire) {
        let leader = CommittedLeaderId::new(1, NodeId::default());
        let batch = Batch {
            time: NOW.into(),
            requests: vec![request.into()],
            publish: None,
            sheaf: None,
        };
        let entry = Entry::<Types> {
            log_id: LogId::new(leader, index),
            payload: EntryPayload::Normal(batch),
        };
        let answers = self.apply(vec![entry]).unwrap();
        assert!(answers[0].0[0].is_ok(), "{answers:?}");
    }

    /// The council agrees on a version.
    pub(super) fn publish(&self, index: u64, minute: i64) {
        let leader = CommittedLeaderId::new(1, NodeId::default());
        let batch = Batch {
            time: NOW.into(),
            requests: Vec::new(),
            publish: Some(minute),
            sheaf: None,
        };
        let entry = Entry::<Types> {
            log_id: LogId::new(leader, index),
            payload: EntryPayload::Normal(batch),
        };
        self.apply(vec![entry]).unwrap();
    }

    /// How many names the zone has, and which version it is.
    pub(super) fn shown(&self) -> (usize, Option<u32>) {
        let editions = self.publication().editions();
        let names = editions.zone().read().len();
        (names, *editions.serial().borrow())
    }

    fn records(&self) -> Option<u64> {
        self.ask(|registry| registry.head().records)
    }
}

#[test]
fn what_was_kept_is_not_judged_again_and_what_came_after_is() {
    let shelf = Shelf::new();
    shelf.open().unwrap().keep(true).unwrap();
    shelf.alter(3);
    let book = shelf.open().unwrap();
    assert_eq!(book.records(), Some(RECORDS), "record 3 was not read");
    let organizer = NodeSecret::from_seed(&[2; 32]);
    let network = book.ask(Registry::network);
    let (token, expires) = (Hash::of(b"new"), Time::from_unix(1_900_000_000));
    book.add(
        RECORDS,
        said(&organizer, network, Wish::Invite { token, expires }),
    );
    drop(book);
    assert_eq!(shelf.open().unwrap().records(), Some(RECORDS + 1));
    shelf.alter(RECORDS);
    let why = shelf.open().unwrap_err().to_string();
    assert!(why.contains("does not add up"), "{why}");
}

#[test]
fn an_older_index_goes_on_and_a_newer_one_is_left_alone() {
    let shelf = Shelf::new();
    let is_schema = |schema: i64| {
        let index = Connection::open(shelf.at()).unwrap();
        index.pragma_update(None, "user_version", schema).unwrap();
    };
    is_schema(SCHEMA - 1);
    assert_eq!(shelf.open().unwrap().records(), Some(RECORDS));
    is_schema(SCHEMA + 1);
    let why = shelf.open().unwrap_err().to_string();
    assert!(why.contains("newer program"), "{why}");
    is_schema(SCHEMA);
    assert_eq!(shelf.open().unwrap().records(), Some(RECORDS));
}

#[test]
fn what_is_off_is_not_used_and_the_whole_log_is_judged() {
    let shelf = Shelf::new();
    shelf.open().unwrap().keep(true).unwrap();
    let path = kept_at(&shelf.at());
    let kept = std::fs::read(&path).unwrap();
    for at in [0, 20, 60, kept.len() / 2, kept.len() - 1] {
        let mut other = kept.clone();
        other[at] ^= 1;
        std::fs::write(&path, other).unwrap();
        assert_eq!(shelf.open().unwrap().records(), Some(RECORDS));
        assert!(
            kept::recall(&path, shelf.secret.key()).is_err(),
            "byte {at}"
        );
    }
    std::fs::write(&path, &kept).unwrap();
    assert!(kept::recall(&path, shelf.secret.key()).unwrap().is_some());
    let stranger = NodeSecret::from_seed(&[3; 32]);
    assert!(kept::recall(&path, stranger.key()).is_err());
    // The index lost its end: what was kept knows more than the log does.
    let index = Connection::open(shelf.at()).unwrap();
    let sql = "DELETE FROM record WHERE place = ?1";
    index.execute(sql, [RECORDS - 1]).unwrap();
    assert_eq!(shelf.open().unwrap().records(), Some(RECORDS - 1));
    shelf.alter(3);
    assert!(shelf.open().is_err(), "record 3 was judged");
}

#[test]
fn a_spoke_has_a_name_as_long_as_it_is_let_in() {
    let shelf = Shelf::new();
    let book = shelf.open().unwrap();
    let organizer = NodeSecret::from_seed(&[2; 32]);
    let spoke = NodeSecret::from_seed(&[4; 32]);
    let label = Label::parse("oak").unwrap();
    let network = book.ask(Registry::network);
    let invite = Wish::Invite {
        token: Hash::of(b"token"),
        expires: Time::from_unix(1_900_000_000),
    };
    let join = Wish::Join {
        label: label.clone(),
        operator: Operator::parse("group").unwrap(),
        address: Address("192.0.2.1:80".parse().unwrap()),
        token: "token".into(),
    };
    let steps = [
        (&organizer, invite, false),
        (&spoke, join, false),
        (
            &organizer,
            Wish::Admit {
                label: label.clone(),
            },
            true,
        ),
        (&organizer, Wish::Evict { label }, false),
    ];
    for (number, (key, wish, named)) in (RECORDS..).zip(steps) {
        book.add(number, said(key, network, wish));
        book.publish(2 * number + RECORDS, 7);
        let names = book.shown().0;
        // Beside the apex and the one server.
        assert_eq!(names == 3, named, "record {number}");
    }
}

/// Until a version is published nothing is shown; after a start it is the same, and what came behind it waits.
#[test]
fn a_version_is_the_same_after_a_start_and_what_came_later_waits() {
    let shelf = Shelf::new();
    let book = shelf.open().unwrap();
    let (names, first) = book.shown();
    // The apex and the one server.
    assert_eq!(names, 2);
    let organizer = NodeSecret::from_seed(&[2; 32]);
    let network = book.ask(Registry::network);
    let mirror = |label: &str| Wish::Mirror {
        label: Label::parse(label).unwrap(),
        address: Address("192.0.2.53:53".parse().unwrap()),
    };
    book.add(RECORDS + 1, said(&organizer, network, mirror("m1")));
    assert_eq!(book.shown(), (2, first), "it waits");
    assert!(!book.publication().is_settled());
    book.publish(RECORDS + 2, 7);
    let second = first.map(|serial| serial + 1);
    assert_eq!(book.shown(), (3, second));
    book.add(RECORDS + 3, said(&organizer, network, mirror("m2")));
    // What waits must be found again behind the last version: nothing is kept now.
    book.keep(true).unwrap();
    assert!(!kept_at(&shelf.at()).exists());
    drop(book);

    let book = shelf.open().unwrap();
    assert_eq!(book.records(), Some(RECORDS + 2));
    assert_eq!(book.shown(), (3, second), "as it was");
    let since = |serial: Option<u32>| {
        let editions = book.publication().editions();
        editions.since(serial.unwrap()).is_some()
    };
    assert!(since(first), "what led to it is known");
    book.publish(RECORDS + 4, 7);
    assert_eq!(book.shown().0, 4);
    book.keep(true).unwrap();
    let third = book.shown();
    drop(book);
    assert_eq!(shelf.open().unwrap().shown(), third);
}

#[test]
fn what_is_hidden_is_shown_with_the_next_version_or_at_once_where_nothing_waits() {
    let shelf = Shelf::new();
    let book = shelf.open().unwrap();
    let shown = book.shown();
    book.publication().hide().unwrap();
    assert_eq!(book.shown(), (0, None));
    book.reveal().unwrap();
    assert_eq!(book.shown(), shown);
    book.publication().hide().unwrap();
    let organizer = NodeSecret::from_seed(&[2; 32]);
    let network = book.ask(Registry::network);
    let label = Label::parse("m1").unwrap();
    let address = Address("192.0.2.53:53".parse().unwrap());
    book.add(
        RECORDS + 1,
        said(&organizer, network, Wish::Mirror { label, address }),
    );
    book.publish(RECORDS + 2, 7);
    assert_eq!(book.shown(), (0, None), "nobody said so");
    let label = Label::parse("m2").unwrap();
    book.add(
        RECORDS + 3,
        said(&organizer, network, Wish::Mirror { label, address }),
    );
    book.reveal().unwrap();
    assert_eq!(book.shown(), (0, None), "something waits");
    book.publish(RECORDS + 4, 7);
    assert_eq!(book.shown().0, 4);
}
