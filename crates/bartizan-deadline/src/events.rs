//! What the layer tells `tracing`: a change of state is one event, a call that timed out at most a trace.

use crate::Deadline;
use crate::reason::Reason;
use crate::share::Turn;

#[cold]
pub(crate) fn enabled(name: Option<&str>, enabled: bool) {
    let state = if enabled { "enabled" } else { "disabled" };
    tracing::info!(layer = "deadline", name, state, "switched by its handle");
}

#[cold]
pub(crate) fn settings(name: Option<&str>, value: &Deadline) {
    tracing::info!(layer = "deadline", name, settings = %value, "deadline has new settings");
}

#[cold]
pub(crate) fn withholding(name: Option<&str>, turn: Turn) {
    match turn {
        Turn::Begins => tracing::warn!(
            layer = "deadline",
            name,
            "more requests arrive too late than may be refused; the others are served: is a caller's clock wrong?"
        ),
        Turn::Ends => tracing::info!(layer = "deadline", name, "no refusal was withheld for ten seconds"),
    }
}

/// No warning: while an application replaces a part of itself, both are alive for a moment.
#[cold]
pub(crate) fn twin(name: &str) {
    tracing::info!(layer = "deadline", name, "another layer of this name is alive; both are kept apart");
}

#[cold]
pub(crate) fn ended(name: Option<&str>, reason: Reason) {
    tracing::trace!(layer = "deadline", name, reason = reason.text(), "ended a call");
}
