//! What the limits tell `tracing`. A refused request is no event; the counters tell of it.

/// Tells that two layers alive have the same name; they stay two.
#[cold]
pub(crate) fn tell_twin(name: &str) {
    tracing::info!(name, "another limit has this name; the two do not share their buckets");
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
