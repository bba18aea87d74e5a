//! Fault injection as a tower layer: delays, errors, broken connections and replies that are lost, for axum, tonic and reqwest.
//!
//! It stands where the failure would come from: before a handler, or innermost around a client. What stands outside of it, a breaker or a
//! deadline, sees a failure that nothing tells from a real one.
//!
//! ```
//! use bartizan_fault::{Fault, FaultLayer, Faults};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), bartizan_fault::NotEnabled> {
//! // Without `enabled`, it takes no faults and does nothing.
//! let layer = FaultLayer::new(Faults::new().enabled(true).seed(7)).named("stock");
//! let handle = layer.handle();
//! let slow = handle.inject(Fault::delay(Duration::from_millis(300)).share(0.2))?;
//! handle.inject(Fault::lose_reply().share(0.01).lasting(Duration::from_secs(60)))?;
//! handle.lift(slow);
//! assert_eq!(handle.faults().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What it does
//!
//! | fault | HTTP and gRPC | typed | the inner service is called |
//! |---|---|---|---|
//! | [`delay`](Fault::delay) | the call begins later | the same | yes |
//! | [`error`](Fault::error) | 500, gRPC 13 | an error | no |
//! | [`status`](Fault::status) | that status, of which gRPC clients make a code | an error | no |
//! | [`grpc`](Fault::grpc) | that code, in HTTP the status that goes with it | an error | no |
//! | [`hang`](Fault::hang) | no answer, ever | the same | no |
//! | [`reset`](Fault::reset) | the connection breaks before a byte is sent, or the HTTP/2 stream | an error | no |
//! | [`truncate`](Fault::truncate) | the body breaks off | nothing | yes |
//! | [`drip`](Fault::drip) | the body comes drip by drip | nothing | yes |
//! | [`panic`](Fault::panic) | a panic | the same | no |
//! | [`lose_reply`](Fault::lose_reply) | all is done, and no answer comes | the same | yes, to its end |
//!
//! A delayed call makes the inner future at once and polls it later: what a service does in `call` itself is not delayed. Delays,
//! drips and truncated bodies take tokio's timer.
//!
//! # What it costs
//!
//! A call through a layer without faults reads one flag, and neither lock, clock nor dice. While there is a fault, every call takes a
//! lock and reads the clock; one that is hit allocates.
//!
//! # Cancel safety
//!
//! Dropping the future or the body drops the inner one and the timer. Nothing else is held.
//!
//! # What is shared
//!
//! All clones, services and handles of one layer share its faults, its dice and its counts.

mod answer;
mod blow;
mod board;
mod body;
mod counts;
mod events;
mod fault;
mod faults;
pub mod future;
mod handle;
mod key;
mod layer;
mod service;

pub use board::FaultId;
pub use body::{FaultBody, Injected};
pub use counts::Snapshot;
pub use fault::Fault;
pub use faults::Faults;
pub use handle::{Handle, NotEnabled};
pub use key::{By, HeadKey, Keyless, RequestKey};
pub use layer::FaultLayer;
pub use service::FaultService;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
