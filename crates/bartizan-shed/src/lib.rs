//! Load shedding as a tower layer, for axum, tonic and reqwest: adaptive with priorities, or a fixed limit.

mod admit;
pub mod asks;
mod backlog;
mod ceiling;
mod cpu;
mod denial;
mod event;
mod fairness;
mod gate;
mod handle;
mod layer;
mod line;
#[cfg(all(test, bartizan_loom))]
mod loom_models;
mod mode;
mod permit;
mod predict;
mod pressure;
mod settings;
mod shared;
mod shares;
mod shed;
mod sync;
pub mod throttle;
mod trunk;
mod waiting;

pub use admit::Policy;
pub use backlog::Backlog;
pub use handle::{ByPriority, Handle, Snapshot};
pub use layer::{BacklogLayer, BacklogService, ShedLayer, ShedService};
pub use mode::Mode;
pub use permit::Ticket;
pub use shares::Shares;
pub use shed::Shed;
pub use throttle::{Throttle, ThrottleLayer};
pub use waiting::Place;

use std::time::Duration;

/// A duration in nanoseconds; what is longer than 584 years is that.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
