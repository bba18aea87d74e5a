//! What a throttle tells `tracing`: one event for each change of state or settings.

use super::class::Class;
use super::state::State;
use super::value::Throttle;
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

/// Tells of new settings, unless they are the old ones.
#[cold]
pub(super) fn tell_settings(name: Option<&Name>, old: &Throttle, new: &Throttle) {
    if old != new {
        let name = name.map(Name::as_str).unwrap_or_default();
        tracing::info!(name, mode = %new.mode, settings = %new, "throttle has new settings");
    }
}

/// Tells that two layers alive have the same name; they stay two.
#[cold]
pub(super) fn tell_twin(name: &str) {
    tracing::info!(name, "another throttle has this name; the two do not share their state");
}
