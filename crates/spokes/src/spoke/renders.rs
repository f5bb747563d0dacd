//! Renderings take turns, and who wants the same one waits for it.
//!
//! A long text takes a hundred times as much memory while it is rendered as it has letters, and a whole
//! core; strangers choose how many are asked for at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
};

use spokes_log::name::EntryId;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit, oneshot};

use super::finished::Rendering;

/// An entry, and the address from which its links lead; an empty one on its own page.
type Wanted = (EntryId, String);
type Flight = OnceCell<Option<Arc<Rendering>>>;

/// Which renderings are under way, and places for them.
#[derive(Debug)]
pub(super) struct Renders {
    turns: Semaphore,
    /// An allocator keeps for each thread what its longest page took, and a server has many threads; so
    /// these few do it. None where the system gives no more threads.
    threads: Option<rayon::ThreadPool>,
    flights: Mutex<BTreeMap<Wanted, Weak<Flight>>>,
}

impl Default for Renders {
    fn default() -> Self {
        // More than there are cores would make none of them faster.
        Self::with_turns(thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Renders {
    fn with_turns(turns: usize) -> Self {
        Self {
            turns: Semaphore::new(turns),
            threads: rayon::ThreadPoolBuilder::new()
                .num_threads(turns)
                .thread_name(|number| format!("render-{number}"))
                // The page of a text that brings it down fails, and no other.
                .panic_handler(|_| tracing::error!("a text could not be rendered"))
                .build()
                .ok(),
            flights: Mutex::default(),
        }
    }

    /// A place to render; it is given back when what this returns is dropped.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // None only from a closed semaphore, and this one is never closed.
        self.turns.acquire().await.ok()
    }

    /// What `render` makes, in its turn and on a thread for it; none where it panics.
    pub(super) async fn apart<T: Send + 'static>(
        &self,
        render: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let _turn = self.turn().await;
        let (done, made) = oneshot::channel();
        // Nobody listens when the reader has hung up.
        let job = move || drop(done.send(render()));
        match &self.threads {
            Some(threads) => threads.spawn(job),
            None => tokio::task::block_in_place(job),
        }
        made.await.ok()
    }

    /// What `make` makes, or what somebody makes of the same just now.
    pub(super) async fn once(
        &self,
        wanted: Wanted,
        make: impl Future<Output = Option<Arc<Rendering>>>,
    ) -> Option<Arc<Rendering>> {
        let flight = self.flight(wanted);
        // When the reader that makes it hangs up, the next one begins anew.
        flight.get_or_init(|| make).await.clone()
    }

    fn flight(&self, wanted: Wanted) -> Arc<Flight> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.retain(|_, flight| flight.strong_count() > 0);
        let under_way = flights.get(&wanted).and_then(Weak::upgrade);
        under_way.unwrap_or_else(|| {
            let flight = Arc::default();
            flights.insert(wanted, Arc::downgrade(&flight));
            flight
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use spokes_log::name::Hash;
    use tokio::task::yield_now;

    use super::*;

    fn wanted(name: &str) -> Wanted {
        (Hash::of(name.as_bytes()), String::new())
    }

    fn rendering() -> Option<Arc<Rendering>> {
        Some(Arc::new(Rendering {
            html: "<p>a</p>".to_owned(),
            excerpt: "a".to_owned(),
        }))
    }

    #[tokio::test]
    async fn who_wants_the_same_waits_for_it() {
        let renders = Arc::new(Renders::with_turns(2));
        let made = Arc::new(AtomicUsize::new(0));
        let read = |name: &'static str| {
            let (renders, made) = (Arc::clone(&renders), Arc::clone(&made));
            tokio::spawn(async move {
                let make = async {
                    let _turn = renders.turn().await;
                    made.fetch_add(1, Ordering::Relaxed);
                    yield_now().await;
                    rendering()
                };
                renders.once(wanted(name), make).await
            })
        };
        let readers: Vec<_> = (0..12).map(|n| read(["a", "b"][n % 2])).collect();
        let mut got = Vec::new();
        for reader in readers {
            got.push(reader.await.unwrap().unwrap());
        }
        assert_eq!(made.load(Ordering::Relaxed), 2);
        assert!(Arc::ptr_eq(&got[0], &got[2]) && !Arc::ptr_eq(&got[0], &got[1]));
        // Nothing is kept of it here: that is for the shelf, which has a budget.
        drop(renders.flight(wanted("c")));
        let _flight = renders.flight(wanted("d"));
        assert_eq!(renders.flights.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_reader_who_hangs_up_leaves_nobody_waiting() {
        let renders = Renders::with_turns(1);
        let never = renders.once(wanted("a"), std::future::pending());
        let hung_up = tokio::time::timeout(std::time::Duration::from_millis(1), never);
        let next = async {
            yield_now().await;
            renders.once(wanted("a"), async { rendering() }).await
        };
        let (hung_up, next) = tokio::join!(hung_up, next);
        assert!(hung_up.is_err() && next.is_some());
    }

    #[tokio::test]
    async fn no_more_render_at_once_than_there_are_turns() {
        let renders = Arc::new(Renders::with_turns(2));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let render = |n: usize| {
            let (renders, now, most) = (Arc::clone(&renders), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let make = async {
                    let _turn = renders.turn().await;
                    let at_once = now.fetch_add(1, Ordering::Relaxed) + 1;
                    most.fetch_max(at_once, Ordering::Relaxed);
                    yield_now().await;
                    now.fetch_sub(1, Ordering::Relaxed);
                    rendering()
                };
                renders.once(wanted(&n.to_string()), make).await
            })
        };
        let all: Vec<_> = (0..12).map(render).collect();
        for one in all {
            assert!(one.await.unwrap().is_some());
        }
        assert_eq!(most.load(Ordering::Relaxed), 2);
        let thread = || thread::current().name().map(str::to_owned);
        for _ in 0..8 {
            let name = renders.apart(thread).await.flatten();
            assert!(name.is_some_and(|name| name.starts_with("render-")));
        }
        let panics = renders.apart(|| panic!("as a test wants it"));
        assert_eq!(panics.await, None::<()>);
        assert_eq!(
            renders.apart(|| 1).await,
            Some(1),
            "the thread is still there"
        );
        assert!(Renders::default().turns.available_permits() >= 1);
    }
}
