//! What the breaker tells `tracing`: one event for each change of state, outside its lock.

use crate::circuit::Label;
use crate::state::{Change, State};
use bartizan_core::Name;

/// Tells of a change. Events of two threads may arrive out of order; `generation` gives the order.
#[cold]
pub(crate) fn tell(label: Option<&Label>, change: Change) {
    let name = label.and_then(|label| label.name.as_ref()).map(Name::as_str).unwrap_or_default();
    let key = label.and_then(|label| label.key.as_deref()).unwrap_or_default();
    let (from, to, generation) = (change.from.as_str(), change.to.as_str(), change.generation);
    match (change.to, change.cause) {
        (State::Open | State::ForcedOpen, Some(cause)) => {
            let cause = cause.as_str();
            let pause = tracing::field::debug(change.pause);
            tracing::warn!(name, key, from, to, cause, pause, generation, "circuit changed");
        }
        _ => tracing::info!(name, key, from, to, generation, "circuit changed"),
    }
}

/// Tells that two layers alive have the same name; they stay two. No warning: while an application replaces a part of itself, both are
/// alive for a moment.
#[cold]
pub(crate) fn tell_twin(name: &str) {
    tracing::info!(name, "another breaker has this name; the two do not share their state");
}
