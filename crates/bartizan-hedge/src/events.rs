//! What the layer tells `tracing`: a change of state is one event, a copy at most a trace.

#[cold]
pub(crate) fn enabled(name: Option<&str>, enabled: bool) {
    let state = if enabled { "enabled" } else { "disabled" };
    tracing::info!(layer = "hedge", name, state, "switched by its handle");
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
