//! Whether this spoke stood still: suspended, stopped, or starved for longer than it takes to lose its
//! place (SPEC receipt 4.7). Then it hears the council before it accepts anything.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use spokes_rules::replica::has_stood_still;

use super::Spoke;
use crate::clock;

/// How often the spoke looks at the clock by itself: a few times within what counts as a sleep.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When the spoke was seen running last.
#[derive(Debug)]
pub(super) struct Awake {
    /// In milliseconds since the machine was switched on.
    seen: AtomicU64,
    sleeps: AtomicU64,
}

impl Awake {
    pub(super) fn new() -> Self {
        Self {
            seen: AtomicU64::new(millis(clock::since_boot())),
            sleeps: AtomicU64::new(0),
        }
    }

    /// Looks at the clock; whether the spoke stood still since it was looked at last.
    fn look(&self, now: Duration) -> bool {
        let now = millis(now);
        let before = self.seen.fetch_max(now, Ordering::AcqRel);
        let still = now.saturating_sub(before) / 1_000;
        let slept = has_stood_still(i64::try_from(still).unwrap_or(i64::MAX));
        if slept {
            self.sleeps.fetch_add(1, Ordering::AcqRel);
        }
        slept
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Spoke {
    /// Looks at the clock again and again, so that only what stands still leaves a gap.
    pub(super) async fn stay_awake(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look_awake();
        }
    }

    /// Forgets that the council was heard, where this spoke has stood still since. Asked before each
    /// use of a replica: the first request after a sleep may come before anything else runs.
    pub(super) fn look_awake(&self) {
        if self.awake.look(clock::since_boot()) {
            tracing::warn!("this spoke stood still; it accepts nothing until the council is heard");
            *self.heard.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// How often this spoke has slept: who asks the council compares it before and after, since an
    /// answer may have waited here for as long as the sleep was.
    pub(super) fn sleeps(&self) -> u64 {
        self.look_awake();
        self.awake.sleeps.load(Ordering::Acquire)
    }

    /// Hears the council now, if it was not heard since the start or the last sleep.
    pub(super) async fn wake_up(self: &Arc<Self>) {
        self.look_awake();
        if self.heard().is_none() {
            // Where it is silent, the rules say what may be done without it.
            if self.hears_news().await {
                self.tell_heard();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_run_is_seen_once() {
        let awake = Awake::new();
        let start = Duration::from_millis(awake.seen.load(Ordering::Relaxed));
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(!awake.look(at(1)));
        assert!(!awake.look(at(6)), "as long as it may take");
        assert!(awake.look(at(12)));
        assert!(!awake.look(at(13)));
        assert_eq!(awake.sleeps.load(Ordering::Relaxed), 1);
        // Who looks late at an old time sees no gap.
        assert!(!awake.look(at(11)));
    }
}
