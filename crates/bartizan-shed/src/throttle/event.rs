//! What a throttle tells `tracing`: one event for each change of state.

use super::class::Class;
use super::state::State;
use bartizan_core::Name;

/// Tells of a change. Events of two threads may arrive out of order; `generation` gives the order.
#[cold]
pub(super) fn tell(
    name: Option<&Name>,
    from: State,
    to: State,
    cause: Option<(Class, f64)>,
    generation: u64,
) {
    let (name, from, to) = (name.map(Name::as_str).unwrap_or_default(), from.as_str(), to.as_str());
    match cause {
        Some((class, share)) => {
            let priority = class.as_str();
            tracing::warn!(name, from, to, priority, share, generation, "throttle changed");
        }
        None => tracing::info!(name, from, to, generation, "throttle changed"),
    }
}

/// Tells that two layers alive have the same name; they stay two.
#[cold]
pub(super) fn tell_twin(name: &str) {
    tracing::info!(name, "another throttle has this name; the two do not share their state");
}
