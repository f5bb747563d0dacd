//! The one place that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use spokes_log::time::Time;

/// Now, by the machine's clock.
pub fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
