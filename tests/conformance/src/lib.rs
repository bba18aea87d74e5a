//! Bartizan's conformance tests: what the rows share.
//!
//! A row is one test, named by its id, and runs in every [`Mode`] over a [`Probe`]. Those about the breaker are plays of
//! scripted [`Call`]s on a [`Rig`], which [`in_every_mode`] sets up in both flavours; those about shed and limit are the doings of a
//! [`Crowd`](crowd::Crowd), whose guests are all there at once.
//!
//! Rows about threads run on real ones, for a scheduler such as shuttle's would have to stand in for the locks and atomics inside
//! the crates. The breaker's own loom models look at every order there.

pub mod again;
mod call;
pub mod crowd;
mod events;
mod mode;
mod probe;
mod reference;
mod rig;

pub use call::{Call, F, HttpAnswer, I, P, S, T, Throttle, Throttling, TypedAnswer, throttled};
pub use events::{Change, Events};
pub use mode::Mode;
pub use probe::{Probe, Probing, Tally};
pub use reference::{HALF, REFERENCE, RULELESS};
pub use rig::{Flavour, HttpProbe, Rig, Started, TypedProbe, in_every_mode, in_every_mode_of};

use std::time::Duration;

/// So many seconds, for times within a row.
#[must_use]
pub fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// What a future returns that is done at its first poll.
///
/// # Panics
///
/// If it is not.
pub fn at_once<F: Future>(future: F) -> F::Output {
    use std::task::{Context, Poll, Waker};
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(out) => out,
        Poll::Pending => panic!("not done at once"),
    }
}
