//! Deadlines that travel, as a tower layer, for axum, tonic and reqwest.
//!
//! A server reads how much time its caller has left, takes the smaller of that and its own total, and refuses what is expired before
//! its handler runs. The deadline is one absolute instant for head and body, and ambient: a client call made inside the handler
//! carries what is left of it without a line of user code.
//!
//! ```
//! use axum::{Router, routing::get};
//! use bartizan_deadline::DeadlineLayer;
//! use std::time::Duration;
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let hang = || std::future::pending::<()>();
//! let app: Router = Router::new().route("/", get(hang)).layer(DeadlineLayer::new(Duration::from_millis(20)));
//!
//! let answer = app.oneshot(http::Request::new(axum::body::Body::empty())).await.unwrap();
//! assert_eq!(answer.status(), 504);
//! # }
//! ```
//!
//! # Where it stands
//!
//! - **Before a handler**, the default. It bounds the call by its own total, by `grpc-timeout` or `x-request-timeout-ms` and by the
//!   [`Context`](bartizan_core::Context) it finds, and enters the context around the call, every poll and every poll of the response body. `x-request-attempt` goes into the context, `x-request-priority`
//!   only where it lowers. A header that is malformed is taken as absent, and counted.
//! - **Before a client**, [`outgoing`](DeadlineLayer::outgoing). It bounds the call likewise and writes what is left, less a
//!   [margin](Deadline::margin), into the request's headers, with attempt and priority. An HTTP server is told whole milliseconds: with less left
//!   the call is refused.
//! - **Inside a retry or a breaker**, as the time-out of one attempt: the same layer, with a shorter total. The smaller deadline fires, once.
//!
//! A task that is spawned inherits nothing: wrap it in [`Context::scope`](bartizan_core::Context::scope).
//!
//! # What it refuses, and what it ends
//!
//! A [`Refused`](bartizan_core::Refused) of kind `DeadlineExceeded`: 504 in HTTP, code 4 in gRPC. Its reason is one of these.
//!
//! | reason | when | reached |
//! |---|---|---|
//! | `expired on arrival` | the deadline had passed, or the total is zero | no |
//! | `too little time left` | less than [`min_remaining`](Deadline::min_remaining), or nothing beyond the margin | no |
//! | `cannot finish in the time left` | less than calls took lately, with [`learn`](Deadline::learn) | no |
//! | `deadline passed` | before the head, or within the body | yes |
//! | `no head in time` | [`head_timeout`](Deadline::head_timeout) | yes |
//! | `body stood still` | [`idle_timeout`](Deadline::idle_timeout), response | yes |
//! | `read too late` | the rest of the body was there, and was asked for after the deadline: no verdict on the service | yes |
//! | `upload stood still` | [`idle_timeout`](Deadline::idle_timeout), request, with [`uploads`](DeadlineLayer::uploads) | yes |
//!
//! An answer that is ready when the deadline comes wins. The timer is set only once the inner service was found pending. Within a body the end
//! is an error of the body in HTTP, and trailers with code 4 in gRPC. `text/event-stream`, upgrades and layers marked
//! [`stream`](Deadline::stream) have bodies that are exempt from the total, and from the ambient deadline, but not from the idle time-out.
//!
//! A body is ended when it is next polled after its deadline: one that nobody polls, as behind a client that has stopped reading, stays until
//! then. A reader that lets the deadline pass is cut off, and not the service's failure.
//!
//! # What it tells
//!
//! One event of `tracing` when it is switched, has new settings, and begins or ceases to withhold refusals. [`Handle::snapshot`] has the
//! numbers of each reason. A named layer is in the [registry](bartizan_core::registry), where it is steered as by its handle; there it also tells
//! how much time was left to those that it refused.
//!
//! # Cancel safety
//!
//! Dropping the future or the body drops the inner one and the timer. Nothing else is held.
//!
//! # What is shared
//!
//! All clones and services of one layer share its settings, counts and what was learnt; [`Handle`] reads and changes them.
//! A call holds that state only if the layer has a name, a handle or learns, which costs it a clone of an `Arc`.

mod alarm;
mod arrival;
mod body;
mod call;
mod counts;
mod deadline;
mod estimate;
mod events;
pub mod future;
mod handle;
mod layer;
mod limit;
mod observed;
mod reason;
mod said;
mod service;
mod settings;
mod share;
mod shared;
mod shown;
mod span;
mod timer;
mod upload;
mod watch;

pub use body::DeadlineBody;
pub use counts::Snapshot;
pub use deadline::Deadline;
pub use handle::Handle;
pub use layer::{DeadlineLayer, Uploads};
pub use service::DeadlineService;
pub use upload::Upload;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
