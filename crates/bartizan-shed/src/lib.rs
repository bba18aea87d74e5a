//! Load shedding as a tower layer, for axum, tonic and reqwest: adaptive with priorities, or a fixed limit.

mod mode;
mod sync;
pub mod throttle;

pub use mode::Mode;
pub use throttle::{Throttle, ThrottleLayer};

use std::time::Duration;

/// A duration in nanoseconds; what is longer than 584 years is that.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
