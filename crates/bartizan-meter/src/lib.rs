//! Counts and times calls as a tower layer.
//!
//! ```
//! use axum::{Router, routing::get};
//! use bartizan_meter::{Meter, MeterLayer};
//!
//! let meter = MeterLayer::new(Meter::new()).named("hello");
//! let handle = meter.handle();
//! let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(meter);
//! assert_eq!(handle.snapshot().in_flight, 0);
//! ```
//!
//! A call is in flight from the head of its request until its body has ended, failed or was dropped; in the [typed](MeterLayer::typed)
//! flavour, until its future is done or was dropped. Then it is counted by how it ended, and its time with it: so a slow body is seen.
//!
//! | counted as | when |
//! |---|---|
//! | `successes`, `failures`, `throttled` | the classifier says so, by default [`HttpClassifier`](bartizan_http::HttpClassifier) |
//! | `ignored` | it says nothing about the service: a layer inside refused, or the caller of a gRPC call left before the trailers |
//! | `abandoned` | the caller left before the head of the answer |
//!
//! It refuses nothing. Outermost, it shows what callers see; innermost around a client, what the server answers.
//!
//! # What it costs
//!
//! Two clock readings, and an addition to an atomic number at the beginning of a call and at its end; two where it does not end well. No lock, no
//! allocation. Switched off, one read of a flag.
//!
//! # What is shared
//!
//! Everything: a layer, its clones and all services made by it have one state, born in [`MeterLayer::new`].

mod admit;
mod handle;
mod layer;
mod meter;
mod shared;

pub use admit::{Metering, Ticket};
pub use handle::{Handle, Snapshot, State};
pub use layer::{MeterLayer, MeterService};
pub use meter::Meter;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
