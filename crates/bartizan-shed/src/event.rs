//! What the layer tells `tracing`: one event when shedding begins and one when it ends.

use bartizan_core::Name;

#[cold]
pub(crate) fn tell(name: Option<&Name>, sheds: bool, in_flight: u64, why: &'static str) {
    let name = name.map(Name::as_str).unwrap_or_default();
    if sheds {
        tracing::warn!(name, in_flight, why, "shedding begins");
    } else {
        tracing::info!(name, in_flight, "shedding ends");
    }
}

/// Tells that two layers alive have the same name; they stay two. No warning: while an application replaces a part of itself, both are
/// alive for a moment.
#[cold]
pub(crate) fn tell_twin(name: &str) {
    tracing::info!(name, "another shed has this name; the two do not share their state");
}
