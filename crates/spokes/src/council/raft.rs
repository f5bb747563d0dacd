//! Raft's side of the registry: the names of its types, its log, and what it is given to apply.
//!
//! Raft orders batches of requests and nothing else. Whether a request is taken is judged when its batch
//! is applied, by each node for itself and by the batch's own time: the same everywhere.

use std::{
    fmt::{self, Debug},
    io::Cursor,
    ops::{Bound, RangeBounds},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use openraft::{
    AnyError, AsyncRuntime, Entry, LogId, LogState, OptionalSend, RaftLogReader,
    RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageError, StorageIOError, StoredMembership,
    TokioRuntime, Vote,
    entry::EntryPayload,
    storage::{LogFlushed, RaftLogStorage, RaftStateMachine},
};
use serde::{Deserialize, Serialize, de};
use spokes_log::text::Value as _;
use spokes_rules::node::NodeKey;

use super::{
    journal::{Disk, Frame, Journal},
    sheaf::Sheaf,
};
use crate::wire::{Problem, RequestWire, TakenWire};

/// Bytes of entries that are sent to another node at once: a second on a line of 64 Mbit/s.
const SENT_BYTES: u64 = 8 * 1024 * 1024;

/// A council node by its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct NodeId([u8; 32]);

impl NodeId {
    pub(super) fn of(key: NodeKey) -> Self {
        Self(key.bytes())
    }

    pub(super) fn key(self) -> NodeKey {
        NodeKey::from_bytes(self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.key(), f)
    }
}

impl Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.key())
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        NodeKey::parse(&text)
            .map(Self::of)
            .map_err(de::Error::custom)
    }
}

/// Since which record of the registry a node counts as filled (SPEC registry 3.15).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Filled(pub(super) u64);

/// Requests that are ordered together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    /// By the leader's clock.
    pub(super) time: String,
    pub(super) requests: Vec<Arc<RequestWire>>,
    /// Before them what stands before this batch is published, with the slate of this minute: whoever proposes it
    /// knows just what that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) publish: Option<i64>,
    /// How that is signed, where the zone is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sheaf: Option<Box<Sheaf>>,
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests at {}", self.requests.len(), self.time)
    }
}

/// Tokio, but for one thing. Raft gives a message no longer than the pause between two heartbeats, and then
/// sends it again from its beginning: a long one, or one that goes around the world, would never arrive. How
/// long a message may take is for whoever carries it to say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Patient;

/// Longer than whoever carries a message gives it.
const PATIENCE: Duration = Duration::from_secs(300);

impl AsyncRuntime for Patient {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> =
        <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <TokioRuntime as AsyncRuntime>::ThreadLocalRng;
    type OneshotSender<T: OptionalSend> = <TokioRuntime as AsyncRuntime>::OneshotSender<T>;
    type OneshotReceiverError = <TokioRuntime as AsyncRuntime>::OneshotReceiverError;
    type OneshotReceiver<T: OptionalSend> = <TokioRuntime as AsyncRuntime>::OneshotReceiver<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration.max(PATIENCE), future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        TokioRuntime::thread_rng()
    }

    fn oneshot<T: OptionalSend>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        TokioRuntime::oneshot()
    }
}

/// What the registry said to each request of a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Answers(pub(super) Vec<Result<TakenWire, Problem>>);

openraft::declare_raft_types!(
    /// The types that Raft works with here.
    pub(super) Types:
        D = Batch,
        R = Answers,
        NodeId = NodeId,
        Node = Filled,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = Runtime,
);

/// What runs Raft's tasks; in tests of this crate a seed rolls their dice.
#[cfg(not(test))]
type Runtime = Patient;
#[cfg(test)]
type Runtime = super::harness::runtime::Seeded;

pub(super) type Raft = openraft::Raft<Types>;
pub(super) type Member = StoredMembership<NodeId, Filled>;
type Fault = StorageError<NodeId>;

/// Raft's log, in the journal.
#[derive(Debug)]
pub(super) struct LogStore<D: Disk>(Arc<Mutex<Journal<D>>>);

impl<D: Disk> Clone for LogStore<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D: Disk> LogStore<D> {
    pub(super) fn new(journal: Journal<D>) -> Self {
        Self(Arc::new(Mutex::new(journal)))
    }

    /// Does something with the journal on a thread that may wait for the disk.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Journal<D>) -> std::io::Result<T> + Send + 'static,
    ) -> std::io::Result<T> {
        let pretends = self.journal().disk().pretends();
        let journal = Arc::clone(&self.0);
        waited(pretends, move || {
            act(&mut journal.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
    }

    /// Up to how many entries this node is being filled, if it is.
    pub(super) fn filling(&self) -> Option<u64> {
        self.journal().filling()
    }

    /// Whether nothing was ever here.
    pub(super) fn is_empty(&self) -> bool {
        self.journal().len() == 0
    }

    /// The id of the entry at an index, if there is one.
    pub(super) async fn id_at(&self, index: u64) -> std::io::Result<Option<LogId<NodeId>>> {
        let read = self.with(move |journal| journal.read(index..index + 1, u64::MAX));
        let found = read.await?.pop();
        let id = found.map(|bytes| serde_json::from_slice::<Numbered>(&bytes));
        Ok(id.transpose()?.map(|numbered| numbered.log_id))
    }

    fn journal(&self) -> std::sync::MutexGuard<'_, Journal<D>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does what waits for a disk: on a thread of its own, or after as long as a disk in memory pretends.
async fn waited<T: Send + 'static>(
    pretends: Option<Duration>,
    act: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    if let Some(takes) = pretends {
        tokio::time::sleep(takes).await;
        return act();
    }
    let task = tokio::task::spawn_blocking(act);
    task.await.unwrap_or_else(|e| Err(std::io::Error::other(e)))
}

/// Bytes of a request, nearly.
pub(super) fn size_of_request(request: &RequestWire) -> usize {
    let entries = request.proof.iter().map(|entry| entry.text.len());
    let statements = request.statements.iter().map(|signed| signed.text.len());
    request.signed.text.len() + entries.chain(statements).sum::<usize>()
}

/// Bytes of an entry, nearly.
pub(super) fn size_of(entry: &Entry<Types>) -> u64 {
    match &entry.payload {
        EntryPayload::Normal(batch) => {
            let requests = batch.requests.iter();
            let requests = requests.map(|request| size_of_request(request) as u64);
            let sheaf = batch.sheaf.as_ref().map_or(0, |sheaf| sheaf.size() as u64);
            requests.sum::<u64>() + sheaf
        }
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    }
}

pub(super) fn pack(entry: &Entry<Types>) -> std::io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(entry)?)
}

pub(super) fn unpack(bytes: &[u8]) -> std::io::Result<Entry<Types>> {
    Ok(serde_json::from_slice(bytes)?)
}

/// Log ids and nothing else: what comes with them may be long.
#[derive(Deserialize)]
struct Numbered {
    log_id: LogId<NodeId>,
}

fn unread(error: &std::io::Error) -> Fault {
    StorageIOError::read_logs(AnyError::new(error)).into()
}

fn unwritten(error: &std::io::Error) -> Fault {
    StorageIOError::write_logs(AnyError::new(error)).into()
}

impl<D: Disk> RaftLogReader<Types> for LogStore<D> {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry<Types>>, Fault> {
        let start = match range.start_bound() {
            Bound::Included(at) => *at,
            Bound::Excluded(at) => at + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(at) => at + 1,
            Bound::Excluded(at) => *at,
            Bound::Unbounded => u64::MAX,
        };
        let read = self.with(move |journal| {
            let read = journal.read(start..end, u64::MAX)?;
            read.iter().map(|bytes| unpack(bytes)).collect()
        });
        read.await.map_err(|e| unread(&e))
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry<Types>>, Fault> {
        let read = self.with(move |journal| {
            let read = journal.read(start..end, SENT_BYTES)?;
            read.iter().map(|bytes| unpack(bytes)).collect()
        });
        read.await.map_err(|e| unread(&e))
    }
}

impl<D: Disk> RaftLogStorage<Types> for LogStore<D> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, Fault> {
        let last = self.with(|journal| {
            let end = journal.len();
            let last = journal.read(end.saturating_sub(1)..end, u64::MAX)?.pop();
            let last = last.map(|bytes| serde_json::from_slice::<Numbered>(&bytes));
            Ok(last.transpose()?.map(|numbered| numbered.log_id))
        });
        Ok(LogState {
            last_purged_log_id: None,
            last_log_id: last.await.map_err(|e| unread(&e))?,
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<NodeId>) -> Result<(), Fault> {
        let vote = serde_json::to_vec(vote).map_err(std::io::Error::from);
        let written = match vote {
            Ok(vote) => {
                self.with(move |journal| journal.write(&[Frame::Vote(vote)]))
                    .await
            }
            Err(error) => Err(error),
        };
        written.map_err(|e| StorageIOError::write_vote(AnyError::new(&e)).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<NodeId>>, Fault> {
        let read = self.with(|journal| {
            let vote = journal.vote().map(serde_json::from_slice::<Vote<NodeId>>);
            Ok(vote.transpose()?)
        });
        read.await
            .map_err(|e| StorageIOError::read_vote(AnyError::new(&e)).into())
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), Fault>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<_> = entries.into_iter().collect();
        let written = self.with(move |journal| {
            let frames: Result<Vec<_>, _> = entries
                .iter()
                .map(|entry| pack(entry).map(Frame::Entry))
                .collect();
            journal.write(&frames?)
        });
        match written.await {
            Ok(()) => {
                callback.log_io_completed(Ok(()));
                Ok(())
            }
            Err(error) => Err(unwritten(&error)),
        }
    }

    async fn truncate(&mut self, log_id: LogId<NodeId>) -> Result<(), Fault> {
        let from = log_id.index;
        let written = self.with(move |journal| journal.write(&[Frame::TakeBack(from)]));
        written.await.map_err(|e| unwritten(&e))
    }

    /// The log is kept for ever (WHY.md).
    async fn purge(&mut self, _log_id: LogId<NodeId>) -> Result<(), Fault> {
        Ok(())
    }
}

/// Who keeps what Raft has agreed on.
pub(super) trait Ledger: Send + Sync + 'static {
    /// How far it has come, and with which members.
    fn applied(&self) -> std::io::Result<(Option<LogId<NodeId>>, Member)>;

    /// Applies batches in their order; one answer for each entry that holds one.
    fn apply(&self, entries: Vec<Entry<Types>>) -> std::io::Result<Vec<Answers>>;

    /// As of a disk: how long it pretends to take, if it is in memory.
    fn pretends(&self) -> Option<Duration> {
        None
    }
}

/// Raft's state machine: it hands on what was agreed.
#[derive(Debug)]
pub(super) struct Machine<L>(pub(super) Arc<L>);

impl<L> Clone for Machine<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The log is never cut, so nobody ever needs one.
fn no_snapshots() -> Fault {
    let why = AnyError::error("this council keeps its whole log and makes no snapshots");
    StorageIOError::read_snapshot(None, why).into()
}

impl<L: Ledger> RaftSnapshotBuilder<Types> for Machine<L> {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, Fault> {
        Err(no_snapshots())
    }
}

impl<L: Ledger> RaftStateMachine<Types> for Machine<L> {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId<NodeId>>, Member), Fault> {
        let applied = self.0.applied();
        applied.map_err(|e| StorageIOError::read_state_machine(AnyError::new(&e)).into())
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Answers>, Fault>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<_> = entries.into_iter().collect();
        let ledger = Arc::clone(&self.0);
        let applied = waited(self.0.pretends(), move || ledger.apply(entries)).await;
        applied.map_err(|e| StorageIOError::write_state_machine(AnyError::new(&e)).into())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, Fault> {
        Err(no_snapshots())
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta<NodeId, Filled>,
        _snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), Fault> {
        Err(no_snapshots())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, Fault> {
        Ok(None)
    }
}

/// Whether an entry changes the council's members.
pub(super) fn members(entry: &Entry<Types>) -> Option<Member> {
    match &entry.payload {
        EntryPayload::Membership(members) => Some(Member::new(Some(entry.log_id), members.clone())),
        _ => None,
    }
}
