//! What the layer tells `tracing` of itself: a change of state is one event.

#[cold]
pub(crate) fn enabled(name: Option<&str>, enabled: bool) {
    let state = if enabled { "enabled" } else { "disabled" };
    tracing::info!(layer = "trace", name, state, "switched by its handle");
}

/// No warning: while an application replaces a part of itself, both are alive for a moment.
#[cold]
pub(crate) fn twin(name: &str) {
    tracing::info!(layer = "trace", name, "another layer of this name is alive; both are kept apart");
}
