//! What the limits tell `tracing`. A refused request is no event; the counters tell of it. No key is told.

use crate::limit::Limit;
use bartizan_core::Name;

/// Tells that two layers alive have the same name; they stay two.
#[cold]
pub(crate) fn tell_twin(name: &str) {
    tracing::info!(name, "another limit has this name; the two do not share their buckets");
}

/// Tells of new settings, unless they are the old ones.
#[cold]
pub(crate) fn tell_settings(name: Option<&Name>, old: &Limit, new: &Limit) {
    if old != new {
        let name = name.map(Name::as_str).unwrap_or_default();
        tracing::info!(name, settings = %new, "limit has new settings");
    }
}

/// Tells that new keys find no room, and share one bucket from here on.
#[cold]
pub(crate) fn tell_crowded(name: Option<&Name>, keys: usize) {
    let name = name.map(Name::as_str).unwrap_or_default();
    tracing::warn!(name, keys, "new keys of a limit find no room, and share one bucket");
}

/// Tells that new keys find room again.
#[cold]
pub(crate) fn tell_roomy(name: Option<&Name>, keys: usize) {
    let name = name.map(Name::as_str).unwrap_or_default();
    tracing::info!(name, keys, "new keys of a limit find room again");
}

/// Tells that clients are not told apart where they should be.
#[cold]
pub(crate) fn tell_unknown() {
    tracing::warn!("a limit by address finds no address of the peer; such requests count as one client");
}

/// Tells that a store gives no answers: from here on the buckets of this process decide alone.
#[cold]
pub(crate) fn tell_store_gone(name: &str, error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(name, error, "the store of a limit gives no answer");
}

/// Tells that a store answers again.
#[cold]
pub(crate) fn tell_store_back(name: &str) {
    tracing::info!(name, "the store of a limit answers again");
}
