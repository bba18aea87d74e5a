//! What the layer tells `tracing`: one event when shedding begins, one when it ends, and one for new settings.

use crate::shed::Shed;
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

/// Tells of new settings, unless they are the old ones.
#[cold]
pub(crate) fn tell_settings(name: Option<&Name>, old: &Shed, new: &Shed) {
    if old != new {
        let name = name.map(Name::as_str).unwrap_or_default();
        tracing::info!(name, mode = %new.mode, settings = %new, "shed has new settings");
    }
}

/// Tells that two layers alive have the same name; they stay two. No warning: while an application replaces a part of itself, both are
/// alive for a moment.
#[cold]
pub(crate) fn tell_twin(name: &str) {
    tracing::info!(name, "another shed has this name; the two do not share their state");
}
