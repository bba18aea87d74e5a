//! Wall time, for what is written down and read again after a restart.

/// Milliseconds since 1970.
#[allow(clippy::disallowed_types, reason = "a row outlives the process, and with it every monotonic clock")]
pub fn now_ms() -> i64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
