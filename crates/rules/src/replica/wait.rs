//! What an author sends while it cannot become safe waits for a moment.

use spokes_log::time::Time;

use super::Replica;

/// How long an entry waits for the next set: one that can open does so within a second. Where members are missing
/// it is accepted meanwhile (SPEC receipt 3.6).
const NEXT_SET_SECONDS: i64 = 2;

impl Replica {
    /// Whether nothing can become safe here before another set is open, which should be soon.
    pub(super) fn is_sealed(&self, now: Time) -> bool {
        let Some(closing) = &self.closing else {
            return false;
        };
        let sealed = self
            .set
            .as_ref()
            .is_some_and(|set| self.sealed >= set.epoch);
        sealed && now.since(closing.since) <= NEXT_SET_SECONDS
    }
}
