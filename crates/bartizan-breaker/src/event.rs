//! What the breaker tells `tracing`, outside its lock: one event for each change of state, mode or settings. A circuit with a key is told by
//! its number, its place in [`KeyedHandle::all`](crate::KeyedHandle::all), as a key may be a secret.

use crate::breaker::{Breaker, Mode};
use crate::circuit::Label;
use crate::state::{Change, State};
use bartizan_core::Name;

fn name_of(label: Option<&Label>) -> &str {
    label.and_then(|label| label.name.as_ref()).map(Name::as_str).unwrap_or_default()
}

/// Tells of a change. Events of two threads may arrive out of order; `generation` gives the order.
#[cold]
pub(crate) fn tell(label: Option<&Label>, change: Change) {
    let (name, circuit) = (name_of(label), label.and_then(|label| label.number));
    let (from, to, generation) = (change.from.as_str(), change.to.as_str(), change.generation);
    match (change.to, change.cause) {
        (State::Open | State::ForcedOpen, Some(cause)) => {
            let cause = cause.as_str();
            let pause = tracing::field::debug(change.pause);
            tracing::warn!(name, circuit, from, to, cause, pause, generation, "circuit changed");
        }
        _ => tracing::info!(name, circuit, from, to, generation, "circuit changed"),
    }
}

/// Tells of a change of the mode that is none of the state.
#[cold]
pub(crate) fn tell_mode(label: Option<&Label>, mode: Mode) {
    let (name, circuit) = (name_of(label), label.and_then(|label| label.number));
    tracing::info!(name, circuit, mode = %mode, "breaker changed its mode");
}

/// Tells of new settings, unless they are the old ones. The mode is none of them.
#[cold]
pub(crate) fn tell_settings(label: Option<&Label>, old: &Breaker, new: &Breaker) {
    let new = Breaker { mode: old.mode, ..*new };
    if *old != new {
        let (name, circuit) = (name_of(label), label.and_then(|label| label.number));
        tracing::info!(name, circuit, settings = %new, "breaker has new settings");
    }
}

/// Tells that two layers alive have the same name; they stay two. No warning: while an application replaces a part of itself, both are
/// alive for a moment.
#[cold]
pub(crate) fn tell_twin(name: &str) {
    tracing::info!(name, "another breaker has this name; the two do not share their state");
}
