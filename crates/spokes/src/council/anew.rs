//! A council that was founded anew, seen from the nodes that it does not hold in its hand: whoever holds an
//! organizer's word of it brings it to the others. An empty node hears by whom it may be filled, whatever became of
//! the keys that it knew; one that goes on with what was given up stands down (SPEC registry 3.16).

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use spokes_log::{name::Hash, text::Value as _, time::Time};
use spokes_rules::{
    node::NodeKey,
    registry::Registry,
    request::{Ask as Asked, CouncilNode, Wish},
    seat::Sits,
};

use super::{Council, Unsequenced, book::Book, raft::NodeId, rates::Asker};
use crate::{
    client::{Ask, Client},
    clock, config,
    http::{self as web, Guest, Response},
    outage::Outage,
    wire::{self, anew::AnewWire, anew::KeysWire},
};

/// The file of the word that was heard last.
const FILE: &str = "founded-anew.json";
/// Bytes of a word: two requests that name seven nodes and twenty-five organizers at most.
const BYTES_MAX: usize = 64 * 1024;
/// How often this node looks whom to tell, and whether it is to stand down.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a node that should take part and does not is told of what it may not know.
const TELL_EVERY: Duration = Duration::from_secs(3);
/// How often one that has no seat any more is: it may have been given up for good.
const TELL_GONE_EVERY: Duration = Duration::from_secs(60);
/// How long a node that is told may take.
const TELL_WAIT: Duration = Duration::from_secs(2);
/// How long after a word the record itself may take to come here before this node stands down: longer than a
/// message and an election.
const GRACE: Duration = Duration::from_secs(5);

/// An organizer's word that the council was founded anew, checked.
#[derive(Clone, Debug)]
pub(super) struct Word {
    wire: AnewWire,
    text: String,
    network: Hash,
    time: Time,
    council: Vec<CouncilNode>,
}

impl Word {
    /// Reads a word: record 0, and a recovery that one of its organizers signed.
    fn read(now: Time, wire: AnewWire) -> Result<Self, String> {
        let first = wire.found.record()?;
        let registry = Registry::found(&first).map_err(|why| why.to_string())?;
        let request = wire.recover.request()?;
        let judged = registry.judge(now, &request);
        judged.map_err(|why| why.to_string())?;
        let text = request.signed.text;
        let ask = Asked::parse(text.as_bytes()).map_err(|why| why.to_string())?;
        let Wish::Recover { council } = ask.what else {
            return Err("this is no word that founds a council anew".into());
        };
        Ok(Self {
            wire,
            text,
            network: registry.network(),
            time: ask.time,
            council,
        })
    }

    /// Where the council is now, for people.
    fn places(&self) -> String {
        let place = |node: &CouncilNode| format!("{} at {}", node.label, node.api);
        self.council
            .iter()
            .map(place)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// What this node has heard.
#[derive(Debug)]
pub(super) struct Anew {
    dir: PathBuf,
    /// This node.
    me: NodeKey,
    heard: Mutex<Option<(Word, Instant)>>,
    /// That is not in the registry yet, and is in the journal, or comes with what fills this node.
    is_coming: AtomicBool,
    stands_down: AtomicBool,
}

/// What this node does about what it has heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Now {
    /// It takes part as always.
    TakesPart,
    /// From now on it takes part no more.
    StandsDown,
    /// It did not, and does again.
    TakesPartAgain,
}

impl Anew {
    /// Opens what a node has heard. Where its log does not have it, it stands down at once, before others have told it
    /// again; one that is to be filled has no log.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn open(
        dir: &Path,
        me: NodeKey,
        is_empty: bool,
        has: impl FnOnce(&str) -> bool,
    ) -> Result<Arc<Self>, Outage> {
        let path = dir.join(FILE);
        let read = match std::fs::read(&path) {
            Ok(bytes) => {
                wire::read(&bytes).and_then(|wire| Word::read(Time::from_unix(i64::MAX), wire))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Arc::new(Self::of(dir, me, None, true)));
            }
            Err(error) => return Err(Outage::file("reading", &path, &error)),
        };
        let word = read.map_err(|why| {
            Outage::new(format!(
                "{} is damaged ({why}). Nothing was touched; remove that file and start again",
                path.display()
            ))
        })?;
        let is_coming = is_empty || has(&word.text);
        Ok(Arc::new(Self::of(dir, me, Some(word), is_coming)))
    }

    fn of(dir: &Path, me: NodeKey, word: Option<Word>, is_coming: bool) -> Self {
        Self {
            dir: dir.to_owned(),
            me,
            heard: Mutex::new(word.map(|word| (word, Instant::now()))),
            is_coming: AtomicBool::new(is_coming),
            stands_down: AtomicBool::new(!is_coming),
        }
    }

    /// What to do now that the registry has what was heard, or not.
    fn look(&self, has: impl FnOnce(&str) -> bool, is_empty: bool, is_whole: bool) -> Now {
        let Some((text, since)) = self.heard(|heard| {
            let (word, since) = heard.as_ref()?;
            Some((word.text.clone(), *since))
        }) else {
            return Now::TakesPart;
        };
        let stood_down = self.stands_down();
        if has(&text) {
            // All that it says is in the registry, and who sits may change there.
            if let Err(outage) = forget(&self.dir) {
                tracing::warn!(%outage, "what is known from the registry is kept beside it");
            }
            self.heard(|heard| *heard = None);
        } else if is_empty {
            self.is_coming.store(true, Ordering::Release);
        } else {
            if is_whole {
                self.is_coming.store(false, Ordering::Release);
            }
            let is_coming = self.is_coming.load(Ordering::Acquire);
            if is_coming || stood_down || since.elapsed() < GRACE {
                return Now::TakesPart;
            }
            self.stands_down.store(true, Ordering::Release);
            return Now::StandsDown;
        }
        self.stands_down.store(false, Ordering::Release);
        match stood_down {
            true => Now::TakesPartAgain,
            false => Now::TakesPart,
        }
    }

    fn heard<T>(&self, read: impl FnOnce(&mut Option<(Word, Instant)>) -> T) -> T {
        read(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn word(&self) -> Option<Word> {
        self.heard(|heard| heard.as_ref().map(|(word, _)| word.clone()))
    }

    /// Whether an organizer has named this key as one of a council founded anew.
    pub(super) fn names(&self, key: NodeKey) -> bool {
        self.heard(|heard| {
            let mut council = heard.iter().flat_map(|(word, _)| &word.council);
            council.any(|node| node.key == key)
        })
    }

    /// Whether this is the key of the node whose log the council was founded on.
    pub(super) fn is_founder(&self, key: NodeKey) -> bool {
        self.heard(|heard| {
            let word = heard.as_ref().map(|(word, _)| word);
            let founder = word.and_then(|word| word.council.first());
            founder.is_some_and(|node| node.key == key)
        })
    }

    /// Whether this node holds what was given up, and so takes no part.
    pub(super) fn stands_down(&self) -> bool {
        self.stands_down.load(Ordering::Acquire)
    }

    /// What happened, for people, if this node stands down.
    pub(super) fn why(&self) -> Option<String> {
        if !self.stands_down() {
            return None;
        }
        let word = self.word()?;
        let goes_on = if word.council.iter().any(|node| node.key == self.me) {
            "Stop it, put registry.journal and registry.db of its directory aside, and start it empty: the council fills it"
        } else {
            "Its key has no seat there, whatever it is called: nobody would fill it. Stop it, and keep its directory for \
             what it alone may hold; a server here joins under a label that was never used, with \"spokes council join\""
        };
        Some(format!(
            "This council node stands down: an organizer has said on {} that the council was founded anew, without \
             what this one holds. It is at {} now. Nothing here was touched; this node votes for nobody and answers no \
             DNS. {goes_on}",
            word.time,
            word.places()
        ))
    }

    /// Keeps a word.
    fn keep(&self, word: Word) -> Result<(), Outage> {
        let bytes = serde_json::to_vec(&word.wire).map_err(|e| Outage::new(e.to_string()))?;
        config::write_file(&self.dir.join(FILE), &bytes, 0o644)?;
        self.is_coming.store(false, Ordering::Release);
        self.heard(|heard| *heard = Some((word, Instant::now())));
        Ok(())
    }
}

pub(super) fn has(book: &Book, text: &str) -> bool {
    let answered = book.ask(|registry| registry.answered(text));
    answered.flatten().is_some()
}

/// When an organizer said last that the council was founded anew, as the registry has it.
fn founded(book: &Book) -> Option<(AnewWire, Time)> {
    let founded = book.founded_anew().unwrap_or_else(|outage| {
        tracing::warn!(%outage, "the index cannot be read");
        None
    });
    let (found, recover) = founded?;
    let recover = recover.request;
    let ask = Asked::parse(recover.signed.text.as_bytes()).ok()?;
    Some((AnewWire { found, recover }, ask.time))
}

impl Council {
    /// `POST registry/founded-anew` (SPEC http 3.11): an organizer's word that anybody may bring.
    pub(super) async fn hear(self: Arc<Self>, request: Request<Incoming>) -> Response {
        let asker = Asker::Stranger(Guest::of(&request).address());
        let taken = {
            let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
            rates.take(asker, Instant::now())
        };
        if let Err((limit, whose)) = taken {
            return Unsequenced::TooMany(limit, whose).answer();
        }
        let body = match web::body(request, BYTES_MAX).await {
            Ok(body) => body,
            Err(response) => return response,
        };
        let read = wire::read(&body).and_then(|wire| Word::read(clock::now(), wire));
        match read.map(|word| self.take_word(word)) {
            Ok(Ok(())) => web::json(StatusCode::OK, &json!({})),
            Ok(Err(why)) => web::refuse(StatusCode::CONFLICT, "refused", why.to_string()),
            Err(why) => {
                let why = format!("This founds no council anew: {why}. Nothing was changed.");
                web::refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why)
            }
        }
    }

    fn take_word(&self, word: Word) -> Result<(), Outage> {
        let network = self.book.ask(Registry::network);
        let network = network.or(self.config.network()?);
        if network != Some(word.network) {
            return Err(Outage::new(match network {
                Some(_) => "This is of another network. Nothing was changed.",
                None => "This node does not know which network it is of. Nothing was changed.",
            }));
        }
        if has(&self.book, &word.text) {
            return Ok(());
        }
        let anew = self.order.anew();
        let heard = anew.word();
        if heard.as_ref().is_some_and(|heard| heard.text == word.text) {
            return Ok(());
        }
        let last = founded(&self.book).map(|(_, time)| time);
        let last = last.max(heard.map(|heard| heard.time));
        // Of two the newer one counts, whatever each has of the other.
        if last.is_some_and(|last| last >= word.time) {
            return Err(Outage::new(
                "The council was founded anew later than that. Nothing was changed.",
            ));
        }
        tracing::info!(
            at = word.places(),
            "an organizer has said that the council was founded anew"
        );
        anew.keep(word)
    }

    /// Takes the keys of the council from a node that is known, as long as there is no registry to ask.
    pub(super) fn hear_keys(&self, wire: &KeysWire) -> Response {
        let keys = wire.keys.iter().map(|key| NodeKey::parse(key));
        let Ok(keys) = keys.collect::<Result<Vec<_>, _>>() else {
            let why = "A key is not in its form. Nothing was changed.";
            return web::refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why);
        };
        if self.order.has_no_vote() && self.order.pin(&keys) {
            tracing::info!("a node of the council that is known here has said who sits");
            if let Err(outage) = super::keys::add_keys(&self.dir, &keys) {
                tracing::warn!(%outage, "the council's keys cannot be kept");
            }
        }
        web::json(StatusCode::OK, &json!({}))
    }

    /// What to say to anybody, where this node stands down.
    pub(super) fn stood_down(&self) -> Option<Response> {
        let why = format!("{}.", self.order.anew().why()?);
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Some(web::refuse(status, "founded-anew", why))
    }

    /// Looks whether this node is to stand down, and tells others what they may not know.
    pub(super) async fn look_after_founding(&self) -> Result<(), Outage> {
        let client = Client::new()?;
        let (mut told, mut told_gone) = (None, None);
        let is_due = |told: Option<Instant>, every| told.is_none_or(|at| at.elapsed() >= every);
        if self.order.anew().stands_down() {
            self.stand_down()?;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let has = |text: &str| has(&self.book, text);
            let is_empty = self.order.has_no_vote() || self.book.ask(|_| ()).is_none();
            match self.order.anew().look(has, is_empty, self.order.is_whole()) {
                Now::TakesPart => {}
                Now::StandsDown => self.stand_down()?,
                Now::TakesPartAgain => {
                    self.order.take_part(true);
                    tracing::info!(
                        "this node holds what the council founded anew holds, and takes part"
                    );
                }
            }
            if !is_due(told, TELL_EVERY) {
                continue;
            }
            told = Some(Instant::now());
            let tells_gone = is_due(told_gone, TELL_GONE_EVERY);
            if tells_gone {
                told_gone = told;
            }
            let word = self.tell_word(&client, tells_gone);
            tokio::join!(word, self.tell_keys());
        }
    }

    fn stand_down(&self) -> Result<(), Outage> {
        self.order.take_part(false);
        self.book.publication().hide()?;
        tracing::error!("{}", self.order.anew().why().unwrap_or_default());
        Ok(())
    }

    /// Brings an organizer's word to those that take no part: empty ones, and those that hold what was given up.
    async fn tell_word(&self, client: &Client, tells_gone: bool) {
        let anew = self.order.anew();
        let stands_down = anew.stands_down();
        let word = match stands_down {
            true => anew.word().map(|word| word.wire),
            false if self.order.leads() => founded(&self.book).map(|(wire, _)| wire),
            false => None,
        };
        let Some(word) = word else { return };
        let seats = self.book.ask(|registry| registry.seats().all().to_vec());
        let mut telling = tokio::task::JoinSet::new();
        for seat in seats.unwrap_or_default() {
            let is_told = match seat.sits {
                Sits::Asks { .. } => false,
                Sits::Yes { .. } => stands_down || self.order.is_silent(seat.node.key),
                Sits::NoMore { .. } => tells_gone,
            };
            if !is_told || seat.node.key == self.secret.key() {
                continue;
            }
            let (client, word) = (client.clone(), word.clone());
            telling.spawn(async move {
                let to = Ask::new(seat.node.api.0, "/api/v1/registry/founded-anew");
                let told = client.post::<_, serde_json::Value>(to, &word);
                // Whoever is silent, or refuses, is told again.
                drop(tokio::time::timeout(TELL_WAIT, told).await);
            });
        }
        telling.join_all().await;
    }

    /// Says who sits to nodes that should take part and have no vote: the leader may be one that they do not know.
    async fn tell_keys(&self) {
        if self.book.publication().is_hidden() || self.order.has_no_vote() {
            return;
        }
        let sitting = self.book.ask(|registry| {
            let sitting = registry.seats().sitting();
            sitting.map(|(node, ..)| node.key).collect::<Vec<_>>()
        });
        let sitting = sitting.unwrap_or_default();
        let wire = KeysWire {
            keys: sitting.iter().map(NodeKey::to_string).collect(),
        };
        let metrics = self.order.metrics();
        let members = metrics.membership_config.membership();
        let voters: BTreeSet<NodeId> = members.voter_ids().collect();
        for key in sitting {
            let node = NodeId::of(key);
            if !voters.contains(&node) && key != self.secret.key() {
                self.order.tell_keys(node, &wire, TELL_WAIT).await;
            }
        }
    }
}

/// Forgets what a node has heard: it is itself what the council is founded on.
///
/// # Errors
/// When the disk fails.
pub(super) fn forget(dir: &Path) -> Result<(), Outage> {
    let path = dir.join(FILE);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Outage::file("removing", &path, &e))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use spokes_rules::{
        node::{Label, NodeSecret, Signed},
        registry::Record,
        request::{Address, Domain, Founding, Policy, Request as Wanted},
    };

    use super::*;
    use crate::wire::{RecordWire, RequestWire};

    fn secret(number: u8) -> NodeSecret {
        NodeSecret::from_seed(&[number; 32])
    }

    fn node(number: u8) -> CouncilNode {
        let address = Address(([192, 0, 2, number], 80).into());
        CouncilNode {
            label: Label::parse(&format!("council{number}")).unwrap(),
            key: secret(number).key(),
            api: address,
            dns: address,
            peer: address.next_port(),
        }
    }

    fn said(by: &NodeSecret, network: Option<Hash>, time: Time, what: Wish) -> Wanted {
        Wanted::plain(Signed::new(
            by,
            &Asked {
                network,
                time,
                what,
            },
        ))
    }

    /// Record 0 of a network whose only organizer this is.
    fn founding(organizer: &NodeSecret) -> Record {
        let time = Time::from_unix(1_800_000_000);
        let founding = Founding {
            domain: Domain::parse("blogs.example").unwrap(),
            council: vec![node(1)],
            organizers: vec![organizer.key()],
            policy: Policy::default(),
        };
        Record {
            index: 0,
            previous: Hash::of(b""),
            time,
            request: said(organizer, None, time, Wish::Found(founding)),
        }
    }

    fn recovery(by: &NodeSecret, network: Hash, what: Wish) -> Wanted {
        said(by, Some(network), Time::from_unix(1_800_000_100), what)
    }

    fn read(first: &Record, request: &Wanted) -> Result<Word, String> {
        let wire = AnewWire {
            found: RecordWire::from(first),
            recover: RequestWire::from(request),
        };
        Word::read(Time::from_unix(1_800_000_200), wire)
    }

    fn word() -> Word {
        let organizer = secret(9);
        let first = founding(&organizer);
        let council = vec![node(2)];
        let request = recovery(&organizer, first.hash(), Wish::Recover { council });
        read(&first, &request).unwrap()
    }

    #[test]
    fn only_an_organizer_of_the_network_founds_its_council_anew() {
        let [organizer, stranger] = [secret(9), secret(8)];
        let first = founding(&organizer);
        let network = first.hash();
        let anew = || Wish::Recover {
            council: vec![node(2)],
        };
        let good = read(&first, &recovery(&organizer, network, anew())).unwrap();
        assert_eq!((good.network, good.council), (network, vec![node(2)]));
        // Of a network that a stranger founded he is an organizer: that is another network.
        let other = founding(&stranger);
        let his = read(&other, &recovery(&stranger, other.hash(), anew())).unwrap();
        assert_ne!(his.network, network);
        let posing = recovery(&stranger, network, anew());
        let mut altered = recovery(&organizer, network, anew());
        altered.signed.text = altered.signed.text.replace("192.0.2.2", "192.0.2.3");
        let label = node(1).label;
        let admits = recovery(&organizer, network, Wish::Admit { label });
        let ahead = Time::from_unix(1_800_000_900);
        let ahead = said(&organizer, Some(network), ahead, anew());
        let elsewhere = recovery(&organizer, other.hash(), anew());
        for bad in [posing, altered, admits, ahead, elsewhere] {
            assert!(read(&first, &bad).is_err(), "{}", bad.signed.text);
        }
    }

    #[test]
    fn a_node_that_holds_what_was_given_up_stands_down_and_an_empty_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let open_as = |me: u8| Anew::open(dir.path(), secret(me).key(), false, |_| false).unwrap();
        let none = open_as(2);
        let [has, lacks] = [|_: &str| true, |_: &str| false];
        assert_eq!(none.look(lacks, false, true), Now::TakesPart);
        // An empty one knows by whom it is filled, and is filled with the record.
        none.keep(word()).unwrap();
        assert!(none.names(secret(2).key()) && !none.names(secret(1).key()));
        let late = |anew: &Anew| {
            anew.heard(|heard| heard.as_mut().unwrap().1 -= GRACE);
        };
        late(&none);
        assert_eq!(none.look(lacks, true, false), Now::TakesPart, "empty");
        assert_eq!(
            none.look(lacks, false, false),
            Now::TakesPart,
            "not yet read"
        );
        assert_eq!(none.look(has, false, true), Now::TakesPart);
        assert!(!none.names(secret(2).key()), "the registry says who sits");
        // One that has all that it ever gets, and not that.
        none.keep(word()).unwrap();
        assert_eq!(none.look(lacks, false, true), Now::TakesPart, "it may come");
        late(&none);
        assert_eq!(none.look(lacks, false, true), Now::StandsDown);
        let why = none.why().unwrap();
        assert!(why.contains("council2 at 192.0.2.2:80") && why.contains("the council fills it"));
        assert!(open_as(1).why().unwrap().contains("has no seat there"));
        // So it stays over a start, unless its journal has the record or it was emptied.
        let open = |is_empty, has: fn(&str) -> bool| {
            let opened = Anew::open(dir.path(), secret(2).key(), is_empty, has).unwrap();
            opened.stands_down()
        };
        assert!(open(false, lacks) && !open(false, has) && !open(true, lacks));
        assert_eq!(none.look(has, false, false), Now::TakesPartAgain);
        assert!(!open(false, lacks), "it is forgotten");
    }
}
