//! Rows B01 to B49: the circuit breaker.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod judging;
mod open;
mod probes;
mod settings;
mod sharing;
mod steering;
mod trips;

use bartizan_breaker::{Cause, State};
use conformance::{F, Rig, secs};

async fn trip(rig: &mut Rig) {
    rig.play(&[F; 5]).await;
    assert_eq!(rig.state(), State::Open);
}

/// Trips the reference at 0 s and waits for its pause to end.
async fn half_open(rig: &mut Rig) {
    trip(rig).await;
    rig.at(secs(5.0)).await;
    assert_eq!(rig.state(), State::HalfOpen);
}

/// How long the circuit is still open, and why.
fn pause(rig: &Rig) -> (f64, Option<Cause>) {
    let snapshot = rig.snapshot();
    (snapshot.retry_after.expect("it is open").as_secs_f64(), snapshot.cause)
}
