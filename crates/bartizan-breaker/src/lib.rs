//! A circuit breaker as a tower layer.
//!
//! ```
//! use axum::{Router, routing::get};
//! use bartizan_breaker::{Breaker, BreakerLayer};
//!
//! let breaker = BreakerLayer::new(Breaker::new()).named("hello");
//! let handle = breaker.handle();
//! let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(breaker);
//! assert_eq!(handle.state().as_str(), "closed");
//! ```
//!
//! While the service behind it fails, requests are refused at once: over HTTP with 503, `application/problem+json` and
//! `Retry-After`, over gRPC with `UNAVAILABLE` and a pushback, in the [typed](BreakerLayer::typed) flavour with an error. [`Breaker`]
//! says when that begins and how it ends. How a call is judged is said by the classifier, by default
//! [`HttpClassifier`](bartizan_http::HttpClassifier), which reads gRPC's trailers too.
//!
//! # What it promises
//!
//! - A good call on a closed circuit takes no lock, reads no clock and allocates nothing, unless a rule is asked for that needs it (a
//!   window and a row of failures take a lock, a slow-call threshold two clock readings). While there is evidence of failure, and while
//!   traffic comes back after an outage, a call takes the lock and reads the clock; it still allocates nothing.
//! - A verdict counts only in the generation that admitted the call; a late one changes nothing.
//! - A probe that is dropped gives its place back at once, one that hangs when its lease is over. A panic of the service is a
//!   failure, and goes on.
//! - A call whose caller left, and a refusal by another layer that did not reach the service, count as nothing.
//! - Every recorded outcome evaluates the rules, also a success: the state depends on what was seen alone.
//! - An open circuit is ready at once and never polls the service behind it.
//!
//! # What it refuses
//!
//! A [`Refused`](bartizan_core::Refused) of kind `Unavailable`: 503 in HTTP, code 14 in gRPC. It never reached the service, and its reason is
//! one of these.
//!
//! | reason | when | `retry_after` |
//! |---|---|---|
//! | `open: evidence of failure`, `open: failure ratio`, `open: slow ratio`, `open: failures in a row` | that rule has tripped | what is left of the pause |
//! | `open: probe failed` | the probes have failed | what is left of the pause |
//! | `open from the start`, `open: forced` | [`start_open`](Breaker::start_open), [`force_open_for`](Handle::force_open_for) | what is left of the pause |
//! | `forced open` | [`Mode::ForcedOpen`] | unknown |
//! | `half-open: probing` | all probes are under way | unknown |
//! | `recovering` | not in the share that the ramp admits | 1 s |
//!
//! # What it tells
//!
//! One event of `tracing` for each change of state, of the mode and of the settings; never a key, but the number of its circuit.
//! [`Handle::snapshot`] has the numbers, with refusals by reason, trips by rule, and probes. A named layer is in the
//! [registry](bartizan_core::registry), where it is steered as by its handle; circuits with keys are told of there as one, in sums to which
//! those that were evicted belong.
//!
//! # What is shared
//!
//! Everything: a layer, its clones and all services made by it have one circuit, born in [`BreakerLayer::new`].

mod admit;
mod breaker;
mod circuit;
mod denial;
mod event;
mod evidence;
mod extra;
mod handle;
mod keyed;
mod layer;
#[cfg(all(test, bartizan_loom))]
mod loom_models;
mod machine;
mod observed;
mod pause;
mod permit;
mod probes;
mod ramp;
mod rule;
mod settings;
mod shown;
mod state;
mod sync;
mod tally;
mod totals;
mod window;
mod word;

pub use admit::{Keyed, Single};
pub use breaker::{Breaker, Mode};
pub use handle::{Handle, ImpossibleChange, Snapshot};
pub use keyed::KeyedHandle;
pub use layer::{BreakerLayer, BreakerService, DEFAULT_MAX_KEYS};
pub use pause::Pause;
pub use permit::Ticket;
pub use rule::{Consecutive, Evidence, Ratio, Window};
pub use state::{Cause, State};
pub use tally::{Refusals, Trips};
pub use window::Counts;

use std::time::Duration;

/// A duration in nanoseconds; what is longer than 584 years is that.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
