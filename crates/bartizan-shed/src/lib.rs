//! Load shedding as a tower layer, for axum, tonic and reqwest: adaptive with priorities, or a fixed limit.
//!
//! ```
//! use axum::{Router, routing::get};
//! use bartizan_shed::{Shed, ShedLayer};
//!
//! let shed = ShedLayer::new(Shed::new()).named("hello");
//! let handle = shed.handle();
//! let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(shed);
//! assert_eq!(handle.snapshot().in_flight, 0);
//! ```
//!
//! When more is asked of a service than it can do, every request that it takes beyond that makes all others later, until all are too late. The
//! layer refuses what would wait too long, at once and before its body is read. [`Shed`] says what is too long, and who is refused first;
//! functions of the user's say how important a request is, whose it is and of which class:
//!
//! ```
//! use bartizan_core::Priority;
//! use bartizan_shed::{Shares, Shed, ShedLayer};
//!
//! let gateway = ShedLayer::new(Shed::new())
//!     .priority(|head| if head.uri.path() == "/orders" { Priority::CRITICAL } else { Priority::NORMAL })
//!     .fair_by(|head| head.headers.get("authorization").cloned());
//! let reports = ShedLayer::new(Shed::fixed(10))
//!     .class(|head| usize::from(head.uri.path().starts_with("/reports")), Shares::new([0.7, 0.3]));
//! ```
//!
//! Around a client it is a bulkhead: at most so many calls at a time to what is called, and with a [`Backlog`] a short queue for bursts.
//!
//! ```
//! use bartizan_shed::{Backlog, Shed, ShedLayer};
//!
//! let payment = ShedLayer::new(Shed::fixed(32)).typed().backlog(Backlog::new(64)).named("payment");
//! ```
//!
//! A caller that is being refused should stop asking: that is what the [`throttle`] is for.
//!
//! # How an adaptive limit decides
//!
//! By Little's law, a request that comes waits for what is in flight to be done: in flight / throughput, less the time that it takes itself. It is
//! refused when that is more than a share of the time to its deadline, which is that of the ambient
//! [`Context`](bartizan_core::Context), set by a deadline layer outside.
//!
//! As many as the service works on at a time, its *knee*, are never refused: throughput times the shortest mean time of an answer in a
//! minute of the last ten. No limit follows a response time from better days: while requests are refused, the knee is found again by *dips*, in
//! which a few less are admitted for a moment, critical ones apart. So a dependency that slows down does not make the limit collapse.
//!
//! Successes teach it how fast answers leave. A failure teaches it only if it took as long as work does, for what fails at
//! once says nothing; a caller that left teaches nothing. Before the first answers nothing is known, and all are admitted: in front of a service
//! that may never answer, set [`max_in_flight`](Shed::max_in_flight).
//!
//! # What it promises
//!
//! - Under a fixed limit a good call takes no lock, reads no clock and allocates nothing: it is two read-modify-writes of one word. Under an
//!   adaptive one it reads the clock twice. With classes, keys, priorities under pressure, or a queue, it costs more, as much as they need.
//! - A place is given back when the body of the answer has ended, failed or was dropped; also when the call was dropped or panicked. There is none
//!   to be given back by a service that was only made ready.
//! - A change of settings ends nobody. Who is in flight stays, and counts.
//! - Critical requests are refused last, and no level starves.
//! - A request from outside can only lower its own priority, unless the edge is [trusted](Shed::trusted_edge).
//! - Memory depends on the configuration alone: keys are counted in buckets, and the queue is bounded.
//! - While the service behind it is not ready, the layer is ready and refuses, whoever it is; with a queue, who has its turn waits.
//! - In the HTTP flavour, who asks how the server is always passes: `/healthz`, `/readyz`, `/livez`, `/metrics`, `/grpc.health.v1.Health/…`.
//!
//! # What it refuses
//!
//! A [`Refused`](bartizan_core::Refused) of kind `Unavailable`: 503 in HTTP, code 14 in gRPC. It never reached the service, and its reason is
//! one of these. `retry_after` is spread at random over [what is set](Shed::retry_after) and twice that.
//!
//! | reason | when |
//! |---|---|
//! | `over the limit` | as many as the fixed limit admits of this priority are in flight |
//! | `predicted wait` | it would wait for more than its share of the time to its deadline |
//! | `over the ceiling` | as many are in flight as the [ceiling](Shed::ceiling) admits |
//! | `over its share` | its [class](ShedLayer::class) or its [key](ShedLayer::fair_by) has more than its share of a limit that is reached |
//! | `cpu` | this process uses [more of the CPUs](Shed::cpu) than it should |
//! | `not ready` | the service behind the layer is not ready |
//! | `queue full` | it found no place in the [queue](Backlog), or lost it to one more important |
//! | `waited too long` | it waited for as long as it may, or the queue stood for too long |
//! | `would miss its deadline` | it could not be done in time once it had its turn |
//!
//! # What it tells
//!
//! One event of `tracing` when shedding begins, one when it ends and one for new settings; [`Handle::snapshot`] has the numbers, and a named layer is in the
//! [registry](bartizan_core::registry), with its state in one word: `admitting`, `shedding`, `shadow` or `disabled`. There it is steered as by its handle.
//!
//! # What is shared
//!
//! Everything: a layer, its clones and all services made by it have one limit, born in [`ShedLayer::new`].

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
mod observed;
mod permit;
mod predict;
mod pressure;
mod refusals;
mod settings;
mod shared;
mod shares;
mod shed;
mod shown;
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
pub use refusals::Refusals;
pub use shares::Shares;
pub use shed::Shed;
pub use throttle::{Throttle, ThrottleLayer};
pub use waiting::Place;

use std::time::Duration;

/// A duration in nanoseconds; what is longer than 584 years is that.
#[inline]
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
