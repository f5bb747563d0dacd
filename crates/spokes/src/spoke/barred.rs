//! That an organizer has barred this spoke: its operator reads it here, and would look for another cause else.

use std::sync::Arc;

use spokes_rules::registry::Standing;

use super::Spoke;

impl Spoke {
    /// Says in the log that this spoke is barred: when it learns of it, which is soon after its start where it
    /// happened before. It is for good, so it is said once.
    pub(super) async fn look_whether_barred(self: Arc<Self>) {
        let mut followed = self.followed.subscribe();
        loop {
            let standing = self.ask(|registry| {
                let me = registry.spoke(&self.me)?;
                Some((me.standing, registry.blogs_on(&self.me)))
            });
            if let Some((Standing::Evicted { since }, blogs)) = standing.flatten() {
                tracing::error!(
                    %since,
                    blogs,
                    "an organizer has barred this spoke, for good: it is out of DNS and gets nothing new. What it holds \
                     stays on its disk; other spokes take the places of its blogs. Stop it once \"spokes council blogs \
                     --spoke {0}\" names none. To take part again, ask an organizer for a new invitation and join with \
                     an empty directory, under another label",
                    self.me
                );
                return;
            }
            if followed.changed().await.is_err() {
                return;
            }
        }
    }
}
