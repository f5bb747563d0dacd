//! The hunt: seeds played on several cores at once, and what came of them.

use std::{
    num::NonZero,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// How many seeds can be played at once here.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Plays all of these seeds, so many at once; gives what came of those that came to something, by seed.
pub fn all<T: Send>(
    jobs: usize,
    seeds: Range<u64>,
    play: impl Fn(u64) -> Option<T> + Sync,
) -> Vec<(u64, T)> {
    hunt(jobs, seeds, false, play)
}

/// The first of these seeds that comes to something, and to what. It is the same one however many are played
/// at once: those before it are played to their end, and none behind it is begun.
pub fn first<T: Send>(
    jobs: usize,
    seeds: Range<u64>,
    play: impl Fn(u64) -> Option<T> + Sync,
) -> Option<(u64, T)> {
    hunt(jobs, seeds, true, play).into_iter().next()
}

fn hunt<T: Send>(
    jobs: usize,
    seeds: Range<u64>,
    only_first: bool,
    play: impl Fn(u64) -> Option<T> + Sync,
) -> Vec<(u64, T)> {
    let (next, end) = (AtomicU64::new(seeds.start), AtomicU64::new(seeds.end));
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end.load(Ordering::Relaxed) {
                        return;
                    }
                    let Some(what) = play(seed) else { continue };
                    if only_first {
                        end.fetch_min(seed, Ordering::Relaxed);
                    }
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.push((seed, what));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(seed, _)| *seed);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_the_same_however_many_play() {
        // The lower the seed, the longer it takes, so that later ones are done before.
        let play = |seed: u64| {
            thread::sleep(std::time::Duration::from_millis(40 - seed));
            (seed % 10 == 7).then_some(seed)
        };
        for jobs in [1, 2, 16] {
            assert_eq!(first(jobs, 3..40, play), Some((7, 7)), "{jobs} at once");
        }
        assert_eq!(first(2, 8..17, play), None);
        let ends: Vec<u64> = all(4, 0..40, play).into_iter().map(|(n, _)| n).collect();
        assert_eq!(ends, [7, 17, 27, 37]);
    }
}
