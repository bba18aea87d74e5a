//! What the layer tells `tracing`: a change of state is one event, a stale answer at most a trace.

use super::value::Stale;
use crate::Failure;

#[cold]
pub(crate) fn changed(name: Option<&str>, old: &Stale, new: &Stale) {
    if old.enabled != new.enabled {
        let state = if new.enabled { "enabled" } else { "disabled" };
        tracing::info!(layer = "stale", name, state, "switched by its handle");
    } else if old != new {
        tracing::info!(layer = "stale", name, settings = %new, "stale has new settings");
    }
}

#[cold]
pub(crate) fn purged(name: Option<&str>) {
    tracing::info!(layer = "stale", name, "forgot all answers, by its handle");
}

/// No warning: while an application replaces a part of itself, both are alive for a moment.
#[cold]
pub(crate) fn twin(name: &str) {
    tracing::info!(layer = "stale", name, "another layer of this name is alive; both are kept apart");
}

#[cold]
pub(crate) fn begins(name: Option<&str>, failure: &Failure) {
    tracing::warn!(layer = "stale", name, %failure, "serves stale answers in place of failures");
}

#[cold]
pub(crate) fn ends(name: Option<&str>) {
    tracing::info!(layer = "stale", name, "calls are answered again");
}

#[cold]
pub(crate) fn served(name: Option<&str>, failure: &Failure) {
    tracing::trace!(layer = "stale", name, %failure, "served a stale answer");
}
