//! What an author sends while it cannot become safe waits for a moment.

use spokes_log::time::Time;

use super::Replica;

impl Replica {
    /// Whether nothing can become safe here before another set is open.
    pub(super) fn is_sealed(&self) -> bool {
        let open = self.set.as_ref();
        self.closing.is_some() && open.is_some_and(|set| self.sealed >= set.epoch)
    }

    /// Takes in what had to wait.
    pub(super) fn go_on(&mut self, now: Time) {
        while self.storing.is_empty()
            && !self.is_sealed()
            && let Some((ticket, entry, refused_elsewhere)) = self.behind.pop_front()
        {
            self.submitted(now, ticket, entry, refused_elsewhere);
        }
    }
}
