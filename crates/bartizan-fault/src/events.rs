//! What the layer tells `tracing`: that calls are harmed, and that they are no longer.

use crate::fault::Harm;

#[cold]
pub(crate) fn injected(name: Option<&str>, harm: &Harm) {
    tracing::warn!(layer = "fault", name, ?harm, "fault injected");
}

#[cold]
pub(crate) fn state(name: Option<&str>, active: bool) {
    if active {
        tracing::warn!(layer = "fault", name, state = "active", "calls are harmed from now on");
    } else {
        tracing::info!(layer = "fault", name, state = "idle", "calls are harmed no longer");
    }
}

/// No warning: while an application replaces a part of itself, both are alive for a moment.
#[cold]
pub(crate) fn twin(name: &str) {
    tracing::info!(layer = "fault", name, "another layer of this name is alive; both are kept apart");
}
