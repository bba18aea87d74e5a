//! What the layer tells `tracing`: a change of state is one event, another try at most a trace.

use std::time::Duration;

#[cold]
pub(crate) fn enabled(name: Option<&str>, enabled: bool) {
    let state = if enabled { "enabled" } else { "disabled" };
    tracing::info!(layer = "retry", name, state, "switched by its handle");
}

/// No warning: while an application replaces a part of itself, both are alive for a moment.
#[cold]
pub(crate) fn twin(name: &str) {
    tracing::info!(layer = "retry", name, "another layer of this name is alive; both are kept apart");
}

#[cold]
pub(crate) fn again(name: Option<&str>, attempt: u32, wait: Duration) {
    tracing::trace!(layer = "retry", name, attempt, ?wait, "tries again");
}
