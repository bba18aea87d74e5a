//! What the layer tells `tracing`: a change of state is one event, a copy at most a trace.

use crate::hedge::Hedge;
use std::time::Duration;

#[cold]
pub(crate) fn changed(name: Option<&str>, old: &Hedge, new: &Hedge) {
    if old.enabled != new.enabled {
        let state = if new.enabled { "enabled" } else { "disabled" };
        tracing::info!(layer = "hedge", name, state, "switched by its handle");
    } else if old != new {
        tracing::info!(layer = "hedge", name, settings = %new, "hedge has new settings");
    }
}

#[cold]
pub(crate) fn learnt(name: Option<&str>, delay: Duration) {
    tracing::info!(layer = "hedge", name, state = "enabled", ?delay, "knows how long calls take");
}

/// No warning: while an application replaces a part of itself, both are alive for a moment.
#[cold]
pub(crate) fn twin(name: &str) {
    tracing::info!(layer = "hedge", name, "another layer of this name is alive; both are kept apart");
}

#[cold]
pub(crate) fn hedged(name: Option<&str>, copy: u32) {
    tracing::trace!(layer = "hedge", name, copy, "sends a copy");
}
