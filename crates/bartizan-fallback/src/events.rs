//! What the layer tells `tracing`: a change of state is one event, a single call at most a trace.

use crate::failure::Failure;
use crate::fallback::Fallback;
use std::error::Error;

#[cold]
pub(crate) fn changed(name: Option<&str>, old: &Fallback, new: &Fallback) {
    if old.enabled != new.enabled {
        let state = if new.enabled { "enabled" } else { "disabled" };
        tracing::info!(layer = "fallback", name, state, "switched by its handle");
    } else if old != new {
        tracing::info!(layer = "fallback", name, settings = %new, "fallback has new settings");
    }
}

/// No warning: while an application replaces a part of itself, both are alive for a moment.
#[cold]
pub(crate) fn twin(name: &str) {
    tracing::info!(layer = "fallback", name, "another layer of this name is alive; both are kept apart");
}

#[cold]
pub(crate) fn degraded(name: Option<&str>, failure: &Failure) {
    let cause = failure.source();
    tracing::warn!(layer = "fallback", name, failure = %failure, cause, "answers by fallback");
}

#[cold]
pub(crate) fn recovered(name: Option<&str>) {
    tracing::info!(layer = "fallback", name, "answers without fallback again");
}

#[cold]
pub(crate) fn used(name: Option<&str>, failure: &Failure) {
    tracing::trace!(layer = "fallback", name, failure = %failure, "replaces a failure");
}

#[cold]
pub(crate) fn failed(name: Option<&str>, failure: &Failure) {
    let cause = failure.source();
    tracing::debug!(layer = "fallback", name, failure = %failure, cause, "the fallback has failed as well");
}
