//! What Raft's tasks run on: a life of a node, which can be paused and ended, and whose dice a seed rolls.
//!
//! Tokio's clock stands still until every task waits, and there is one thread, so the same seed is the same
//! run. One toss is out of reach: where a pause of Raft's before it tries a silent node again ends in the
//! very millisecond in which something new is to be sent, tokio's `select!` tosses for which of the two is
//! seen first. Both are done before anything else, so the run does not show it.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::super::raft::Patient;
use openraft::{AsyncRuntime, OptionalSend, TokioInstant, TokioRuntime};
use tokio::task::{AbortHandle, JoinHandle};

tokio::task_local! {
    static LIFE: Life;
}

/// Numbers from a seed: splitmix64.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, cases: u64) -> bool {
        self.below(100) < cases
    }

    pub(super) fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.below(range.end - range.start))
    }

    /// Another generator, apart from this one from now on.
    pub(super) fn branch(&mut self) -> Self {
        Self(self.bits())
    }
}

/// One life of a node, from its start to its end: all tasks of it.
#[derive(Clone)]
pub(super) struct Life(Arc<Inner>);

struct Inner {
    chance: Mutex<Chance>,
    paused: AtomicBool,
    /// Who waits for the end of a pause.
    held: Mutex<Vec<Waker>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Life {
    pub(super) fn new(chance: Chance) -> Self {
        Self(Arc::new(Inner {
            chance: Mutex::new(chance),
            paused: AtomicBool::new(false),
            held: Mutex::default(),
            tasks: Mutex::default(),
        }))
    }

    /// Whether both are the same life.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Runs a task, and all that it spawns, as part of this life.
    pub(super) fn spawn<T>(&self, future: T) -> JoinHandle<T::Output>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        let lived = Lived {
            life: self.clone(),
            future: Box::pin(future),
        };
        let task = tokio::spawn(LIFE.scope(self.clone(), lived));
        lock(&self.0.tasks).push(task.abort_handle());
        task
    }

    /// Stands still, as a process does that was stopped.
    pub(super) fn pause(&self) {
        self.0.paused.store(true, Ordering::Relaxed);
    }

    pub(super) fn resume(&self) {
        self.0.paused.store(false, Ordering::Relaxed);
        lock(&self.0.held).drain(..).for_each(Waker::wake);
    }

    /// Ends at once.
    pub(super) fn end(&self) {
        lock(&self.0.tasks).drain(..).for_each(|task| task.abort());
    }
}

/// A task of a life.
struct Lived<T> {
    life: Life,
    future: Pin<Box<T>>,
}

impl<T: Future> Future for Lived<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T::Output> {
        if self.life.0.paused.load(Ordering::Relaxed) {
            lock(&self.life.0.held).push(context.waker().clone());
            return Poll::Pending;
        }
        self.future.as_mut().poll(context)
    }
}

/// As `raft::Patient`, with the dice of the life in which Raft rolls them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Seeded;

/// Raft's dice.
pub(in super::super) struct Dice(Chance);

impl rand::RngCore for Dice {
    fn next_u32(&mut self) -> u32 {
        (self.0.bits() >> 32) as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0.bits()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes
            .iter_mut()
            .for_each(|byte| *byte = self.0.bits() as u8);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl AsyncRuntime for Seeded {
    type JoinError = tokio::task::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = JoinHandle<T>;
    type Sleep = tokio::time::Sleep;
    type Instant = TokioInstant;
    type TimeoutError = tokio::time::error::Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = tokio::time::Timeout<T>;
    type ThreadLocalRng = Dice;
    type OneshotSender<T: OptionalSend> = <TokioRuntime as AsyncRuntime>::OneshotSender<T>;
    type OneshotReceiver<T: OptionalSend> = tokio::sync::oneshot::Receiver<T>;
    type OneshotReceiverError = tokio::sync::oneshot::error::RecvError;

    fn spawn<T>(future: T) -> JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        match LIFE.try_with(Clone::clone) {
            Ok(life) => life.spawn(future),
            Err(_) => tokio::spawn(future),
        }
    }

    fn sleep(duration: Duration) -> tokio::time::Sleep {
        tokio::time::sleep(duration)
    }

    fn sleep_until(deadline: TokioInstant) -> tokio::time::Sleep {
        tokio::time::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> tokio::time::Timeout<F> {
        Patient::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: TokioInstant,
        future: F,
    ) -> tokio::time::Timeout<F> {
        tokio::time::timeout_at(deadline, future)
    }

    fn is_panic(error: &tokio::task::JoinError) -> bool {
        error.is_panic()
    }

    fn thread_rng() -> Dice {
        let bits = LIFE.try_with(|life| lock(&life.0.chance).bits());
        // Outside of a life nobody asks for the same run again.
        Dice(Chance(bits.unwrap_or_else(|_| getrandom::u64().unwrap())))
    }

    fn oneshot<T: OptionalSend>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        TokioRuntime::oneshot()
    }
}
