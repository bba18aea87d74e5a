//! What the layer tells `tracing`: a change of state is one event, another try at most a trace.

use crate::retry::Retry;
use bartizan_core::Budget;
use std::time::Duration;

#[cold]
pub(crate) fn changed(name: Option<&str>, old: &Retry, new: &Retry) {
    if old.enabled != new.enabled {
        let state = if new.enabled { "enabled" } else { "disabled" };
        tracing::info!(layer = "retry", name, state, "switched by its handle");
    } else if old != new {
        tracing::info!(layer = "retry", name, settings = %new, "retry has new settings");
    }
}

#[cold]
pub(crate) fn budget(name: Option<&str>, budget: &Budget) {
    tracing::info!(layer = "retry", name, %budget, "budget has new settings");
}

#[cold]
pub(crate) fn exhausted(name: Option<&str>, exhausted: bool) {
    if exhausted {
        tracing::warn!(layer = "retry", name, state = "exhausted", "the purse pays for no retry");
    } else {
        tracing::info!(layer = "retry", name, state = "enabled", "the purse pays for retries again");
    }
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
