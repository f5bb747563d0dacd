//! Observing: whether the spokes that this node watches serve readers, and what the council should hear of it
//! (SPEC registry 3.17). Spokes do so, and nodes of the council.
//!
//! At rest nobody says anything: an observer speaks only as long as the registry thinks otherwise than it does.

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use spokes_log::name::{Hash, Salt};
use spokes_rules::{
    health::{ANSWER_SECONDS, PROBE_SECONDS, Report, Says, Served, Watch},
    node::{Label, NodeKey, NodeSecret, Signed},
    registry::Registry,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    client::{Ask, Client},
    clock, config,
    http::Guest,
    outage::Outage,
    wire::{SignedWire, StatementsWire},
};

/// How long a look may take, the connection included.
const ANSWER_WAIT: Duration = Duration::from_secs(ANSWER_SECONDS);
/// From one look to the next, give or take [`JITTER`], so that observers do not look all at once.
const PROBE_EVERY: Duration = Duration::from_secs(PROBE_SECONDS);
/// See [`PROBE_EVERY`]: a tenth.
const JITTER: Duration = Duration::from_millis(PROBE_SECONDS * 100);
/// How often an observer says what the registry does not say yet: the leader may be a new one.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Looks at one time: a node of the council may watch many, where few operators run them.
const LOOKS_AT_ONCE: usize = 64;
/// One look in so many is at a blog and not at the front page: what the front page shows is in memory.
const BLOG_EVERY: u64 = 4;
/// Blogs that are looked at to find one that the spoke holds: it is being given few at a time.
const BLOGS_TRIED: usize = 8;
/// How often the pulse beats.
const BEAT: Duration = Duration::from_millis(250);
/// A pulse that missed so much stood still: half of what a look may take, so that none is taken for a miss.
const STILL: Duration = Duration::from_millis(ANSWER_SECONDS * 500);
/// Nodes of the council that are asked whether they are there.
const COUNCIL_ASKED: usize = 3;

/// What an observer stands on: a spoke, or a node of the council.
pub(crate) trait Station: Send + Sync + 'static {
    /// Reads from the registry; none as long as nothing of it has come.
    fn ask<T>(&self, question: impl FnOnce(&Registry) -> T) -> Option<T>;

    /// Where the council's other nodes answer.
    fn council(&self) -> Vec<SocketAddr>;

    /// Spokes that must be looked at beside those that the registry gives it to watch.
    fn doubted(&self) -> BTreeSet<Label> {
        BTreeSet::new()
    }

    /// Hears from which addresses this node itself is watched, each time that may have changed.
    fn is_watched_from(&self, addresses: BTreeSet<IpAddr>);

    /// Brings reports to the council.
    fn report(
        self: Arc<Self>,
        reports: StatementsWire,
    ) -> impl Future<Output = Result<(), Outage>> + Send;
}

/// Watches for ever whom the registry says.
///
/// # Errors
/// When the HTTP client cannot start.
pub(crate) async fn observe<S: Station>(
    station: Arc<S>,
    me: Label,
    secret: Arc<NodeSecret>,
) -> Result<(), Outage> {
    let pulse = Arc::new(Pulse::default());
    let beating = Arc::clone(&pulse);
    let _beats = Ending(tokio::spawn(async move {
        loop {
            sleep(BEAT).await;
            beating.pauses();
        }
    }));
    let mut observer = Observer {
        station,
        me,
        secret,
        client: Client::without_pool()?,
        pauses: pulse.pauses(),
        pulse,
        read: None,
        duties: BTreeSet::new(),
        watched: BTreeMap::new(),
        telling: None,
    };
    // Observers that were started together do not look together.
    let mut next = Instant::now() + PROBE_EVERY.mul_f64(chance());
    loop {
        sleep_until(next).await;
        let round = PROBE_EVERY - JITTER + JITTER.mul_f64(2.0 * chance());
        next = (next + round).max(Instant::now());
        observer.round().await;
    }
}

/// A task that ends with whoever began it.
struct Ending(JoinHandle<()>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Counts how often this process stood still: then it is not the others that were silent.
#[derive(Debug)]
struct Pulse(Mutex<(Instant, u64)>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), 0)))
    }
}

impl Pulse {
    /// How often so far, this moment included.
    fn pauses(&self) -> u64 {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (beat, pauses) = &mut *last;
        if beat.elapsed() > STILL {
            *pauses += 1;
        }
        *beat = Instant::now();
        *pauses
    }
}

/// One observer and what it thinks.
struct Observer<S> {
    station: Arc<S>,
    me: Label,
    secret: Arc<NodeSecret>,
    client: Client,
    pulse: Arc<Pulse>,
    /// As the last round found it.
    pauses: u64,
    /// How far the registry was read, and what of it decides who watches whom.
    read: Option<(u64, u64)>,
    /// Whom it watches as the registry has it.
    duties: BTreeSet<Label>,
    watched: BTreeMap<Label, Watched>,
    telling: Option<JoinHandle<()>>,
}

/// A spoke that is watched.
struct Watched {
    watch: Watch,
    /// Whether the last look was at a blog and saw nothing: then the next one is at another blog.
    blog_failed: bool,
    told: Option<Instant>,
}

/// What one look is at.
struct Target {
    network: Hash,
    label: Label,
    key: NodeKey,
    at: SocketAddr,
    host: String,
    is_blog: bool,
}

impl<S: Station> Observer<S> {
    /// One look at each, and what follows from it.
    async fn round(&mut self) {
        self.read_registry();
        self.choose();
        let targets = self.targets();
        let mut seen = Vec::new();
        for some in targets.chunks(LOOKS_AT_ONCE) {
            seen.extend(join_all(some.iter().map(|target| look(&self.client, target))).await);
        }
        let all_silent = !seen.is_empty() && seen.iter().all(|saw| *saw == Says::Silent);
        let is_cut_off = all_silent && !self.hears_council().await;
        let before = std::mem::replace(&mut self.pauses, self.pulse.pauses());
        if is_cut_off || self.pauses != before {
            // It was this node that was away, as far as it can know.
            self.watched.values_mut().for_each(|w| w.watch.was_away());
            return;
        }
        let mut agree = Vec::new();
        for (target, saw) in targets.into_iter().zip(seen) {
            let Some(watched) = self.watched.get_mut(&target.label) else {
                continue;
            };
            watched.blog_failed = target.is_blog && saw == Says::Silent;
            if let Some(now) = watched.watch.look(saw) {
                tracing::info!(spoke = %target.label, "it {}", spoken(now));
                watched.told = None;
            }
            // What it thought before it was away and has not seen again is not said.
            if watched.watch.opinion() == saw {
                agree.push((target.label, saw));
            }
        }
        self.tell(agree);
    }

    /// Learns whom to watch, where that can have changed: to work it out takes milliseconds in a large network.
    fn read_registry(&mut self) {
        let (me, key) = (&self.me, self.secret.key());
        let read = self.read;
        let news = self.station.ask(|registry| {
            let records = registry.head().records;
            if read.is_some_and(|(at, _)| at == records) {
                return None;
            }
            let stamp = stamp(registry);
            let is_other = read.is_none_or(|(_, before)| before != stamp);
            let watches = is_other.then(|| (registry.watched_by(key), watched_from(registry, me)));
            Some((records, stamp, watches))
        });
        let Some(Some((records, stamp, watches))) = news else {
            return;
        };
        self.read = Some((records, stamp));
        let Some((watches, addresses)) = watches else {
            return;
        };
        self.station.is_watched_from(addresses);
        self.duties = watches.into_iter().collect();
    }

    /// Whom to look at: whoever it has watched before keeps what is thought of it.
    fn choose(&mut self) {
        let mut before = std::mem::take(&mut self.watched);
        let mut wanted = self.station.doubted();
        wanted.extend(self.duties.iter().cloned());
        for label in wanted {
            let kept = before.remove(&label).unwrap_or_else(|| {
                let says = self.station.ask(|registry| said(registry, &label));
                Watched {
                    watch: Watch::new(says.unwrap_or(Says::Answers)),
                    blog_failed: false,
                    told: None,
                }
            });
            self.watched.insert(label, kept);
        }
    }

    /// What to look at in this round.
    fn targets(&self) -> Vec<Target> {
        let target = |registry: &Registry, label: &Label, watched: &Watched| {
            let spoke = registry.spoke(label)?;
            let domain = registry.founding().domain.to_string();
            let is_its_turn = watched.blog_failed || dice(BLOG_EVERY) == 0;
            let blog = is_its_turn.then(|| some_blog(registry, label)).flatten();
            Some(Target {
                network: registry.network(),
                label: label.clone(),
                key: spoke.key,
                at: spoke.address.0,
                is_blog: blog.is_some(),
                host: blog.map_or(domain.clone(), |name| format!("{name}.{domain}")),
            })
        };
        let targets = self.station.ask(|registry| {
            let watched = self.watched.iter();
            watched
                .filter_map(|(label, watched)| target(registry, label, watched))
                .collect()
        });
        targets.unwrap_or_default()
    }

    /// Whether anybody of the council is there; it is where nobody else is of it.
    async fn hears_council(&self) -> bool {
        let nodes = self.station.council();
        let ask = |node: &SocketAddr| {
            let ask = Ask::new(*node, "/healthz");
            timeout(ANSWER_WAIT, self.client.bytes(ask, 100))
        };
        let answers = join_all(nodes.iter().take(COUNCIL_ASKED).map(ask)).await;
        let is_there = |answer: &Result<Result<_, _>, _>| matches!(answer, Ok(Ok(_)));
        answers.is_empty() || answers.iter().any(is_there)
    }

    /// Tells the council what it has seen, where the registry says otherwise.
    fn tell(&mut self, seen: Vec<(Label, Says)>) {
        if self
            .telling
            .as_ref()
            .is_some_and(|task| !task.is_finished())
        {
            return;
        }
        let new = self.station.ask(|registry| {
            let is_new = |(label, saw): &(Label, Says)| said(registry, label) != *saw;
            let new = seen.into_iter().filter(is_new);
            (registry.network(), new.collect::<Vec<_>>())
        });
        let Some((network, new)) = new else { return };
        let mut statements = Vec::new();
        for (of, says) in new {
            let Some(watched) = self.watched.get_mut(&of) else {
                continue;
            };
            if watched
                .told
                .is_some_and(|told| told.elapsed() < REPORT_EVERY)
            {
                continue;
            }
            watched.told = Some(Instant::now());
            let report = Report {
                network,
                observer: self.me.clone(),
                of,
                says,
                time: clock::now(),
            };
            statements.push(SignedWire::from(&Signed::new(&self.secret, &report)));
        }
        if statements.is_empty() {
            return;
        }
        let told = Arc::clone(&self.station).report(StatementsWire { statements });
        self.telling = Some(tokio::spawn(async move {
            if let Err(outage) = told.await {
                tracing::debug!(%outage, "the council was not told; it will be told again");
            }
        }));
    }
}

/// What one look sees: nothing but a page with a receipt that this spoke made for it.
async fn look(client: &Client, target: &Target) -> Says {
    let nonce = Salt::from_bytes(config::random_bytes().unwrap_or_default());
    let page = client.page(target.at, &target.host, nonce, ANSWER_WAIT);
    let page = match page.await {
        Ok(page) => page,
        Err(outage) => {
            tracing::debug!(spoke = %target.label, %outage, "no page came");
            return Says::Silent;
        }
    };
    let body = Hash::of(&page.body);
    let is_fresh = page.served.as_ref().is_some_and(|signed| {
        Served::is_fresh(
            signed,
            target.key,
            target.network,
            &target.label,
            nonce,
            body,
        )
    });
    if page.status == http::StatusCode::OK && is_fresh {
        return Says::Answers;
    }
    let (status, receipt) = (page.status, page.served.is_some());
    tracing::debug!(spoke = %target.label, host = target.host, %status, receipt, "that is no page");
    Says::Silent
}

fn spoken(says: Says) -> &'static str {
    match says {
        Says::Silent => "does not answer",
        Says::Answers => "answers again",
    }
}

/// What the registry says of a spoke.
fn said(registry: &Registry, label: &Label) -> Says {
    let down = registry.spoke(label).and_then(|spoke| spoke.health.down);
    down.map_or(Says::Answers, |_| Says::Silent)
}

/// Changes whenever somebody else may watch somebody else, and with nothing that happens often.
fn stamp(registry: &Registry) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (label, spoke) in registry.spokes() {
        let is_watched = registry.is_watched(label);
        (spoke.lot, is_watched, spoke.is_well()).hash(&mut hasher);
    }
    for (node, ..) in registry.seats().sitting() {
        node.key.hash(&mut hasher);
    }
    hasher.finish()
}

/// The addresses of the nodes that watch a spoke.
fn watched_from(registry: &Registry, me: &Label) -> BTreeSet<IpAddr> {
    let address = |(label, key): (Label, NodeKey)| {
        let spoke = registry.spoke(&label).map(|spoke| spoke.address);
        let address = spoke.or_else(|| Some(registry.seats().node(key)?.api))?;
        Some(Guest::known_as(address.0.ip()))
    };
    let observers = registry.observers(me).into_iter();
    observers.filter_map(address).collect()
}

/// A blog, by its name, that the registry says this spoke holds.
fn some_blog(registry: &Registry, label: &Label) -> Option<String> {
    let from = dice(registry.blogs_on(label).try_into().ok()?);
    let mut some = registry.placed_on(label).skip(usize::try_from(from).ok()?);
    let some = some.by_ref().take(BLOGS_TRIED);
    let mut blogs = some.filter_map(|id| registry.blog(id));
    let holds = blogs.find(|blog| blog.set.has(label) && registry.holds_blog(blog, label));
    holds.map(|blog| blog.name.to_string())
}

/// A number below this one; 0 where the system gives no random numbers.
fn dice(end: u64) -> u64 {
    let bytes: [u8; 8] = config::random_bytes().unwrap_or_default();
    u64::from_le_bytes(bytes).checked_rem(end).unwrap_or(0)
}

/// From 0 to 1.
fn chance() -> f64 {
    let thousands: u32 = dice(1_000).try_into().unwrap_or(0);
    f64::from(thousands) / 1_000.0
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{
        testing::{label, registry, secret},
        *,
    };

    /// Where an observer stands in these tests, and what it said there.
    struct Place {
        registry: Registry,
        council: Vec<SocketAddr>,
        said: Mutex<Vec<Report>>,
    }

    impl Station for Place {
        fn ask<T>(&self, question: impl FnOnce(&Registry) -> T) -> Option<T> {
            Some(question(&self.registry))
        }

        fn council(&self) -> Vec<SocketAddr> {
            self.council.clone()
        }

        fn is_watched_from(&self, _: BTreeSet<IpAddr>) {}

        async fn report(self: Arc<Self>, reports: StatementsWire) -> Result<(), Outage> {
            let mut said = self.said.lock().unwrap();
            said.extend(reports.statements.iter().map(|wire| {
                let signed = wire.signed().unwrap();
                assert!(signed.is_good());
                Report::parse(signed.text.as_bytes()).unwrap()
            }));
            Ok(())
        }
    }

    /// An address where nobody listens.
    fn nobody() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    }

    /// Oak, which watches ash; nobody listens at ash's address.
    fn oak(council: Vec<SocketAddr>) -> (Observer<Place>, Arc<Place>) {
        let spokes = [("oak", nobody()), ("ash", nobody())];
        let place = Arc::new(Place {
            registry: registry(clock::now() - 60, &spokes),
            council,
            said: Mutex::default(),
        });
        let observer = Observer {
            station: Arc::clone(&place),
            me: label("oak"),
            secret: Arc::new(secret("oak")),
            client: Client::without_pool().unwrap(),
            pulse: Arc::default(),
            pauses: 0,
            read: None,
            duties: BTreeSet::new(),
            watched: BTreeMap::new(),
            telling: None,
        };
        (observer, place)
    }

    async fn rounds(observer: &mut Observer<Place>, count: usize) -> Says {
        for _ in 0..count {
            observer.round().await;
            if let Some(telling) = observer.telling.take() {
                telling.await.unwrap();
            }
        }
        observer.watched[&label("ash")].watch.opinion()
    }

    #[tokio::test]
    async fn what_it_missed_while_it_stood_still_itself_does_not_count() {
        let (mut observer, place) = oak(vec![]);
        assert_eq!(rounds(&mut observer, 2).await, Says::Answers);
        // As a process that was stopped finds its clock.
        observer.pulse.0.lock().unwrap().0 -= STILL + BEAT;
        assert_eq!(rounds(&mut observer, 1).await, Says::Answers);
        assert_eq!(rounds(&mut observer, 2).await, Says::Answers);
        assert!(place.said.lock().unwrap().is_empty());
        assert_eq!(rounds(&mut observer, 1).await, Says::Silent);
        // It is said once in five seconds, not in each round.
        rounds(&mut observer, 2).await;
        {
            let said = place.said.lock().unwrap();
            let [report] = said.as_slice() else {
                panic!("{said:?}");
            };
            assert_eq!((&report.of, report.says), (&label("ash"), Says::Silent));
        }
        // What it thought before a pause is not said unless it is seen again.
        observer.watched.get_mut(&label("ash")).unwrap().told = None;
        observer.pulse.0.lock().unwrap().0 -= STILL + BEAT;
        rounds(&mut observer, 1).await;
        assert_eq!(place.said.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn who_reaches_nobody_at_all_says_nothing_of_others() {
        let (mut observer, place) = oak(vec![nobody()]);
        assert_eq!(rounds(&mut observer, 10).await, Says::Answers);
        assert!(place.said.lock().unwrap().is_empty());
    }
}
