//! What an author sends while it cannot become safe waits for a moment.

use super::Replica;

impl Replica {
    /// Whether nothing can become safe here before another set is open.
    pub(super) fn is_sealed(&self) -> bool {
        let open = self.set.as_ref();
        self.closing.is_some() && open.is_some_and(|set| self.sealed >= set.epoch)
    }
}
