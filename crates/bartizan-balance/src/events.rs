//! The changes of a set's state, as `tracing` events.

use crate::Balance;
use crate::book::Told;
use crate::ejection::Room;
use crate::seen::Seen;
use std::fmt::Debug;

pub(crate) fn tell<K: Debug>(name: Option<&str>, told: &[Told<K>]) {
    for told in told {
        one(name, told);
    }
}

fn one<K: Debug>(name: Option<&str>, told: &Told<K>) {
    const LAYER: &str = "balance";
    match told {
        Told::Joined(endpoint) => {
            tracing::info!(layer = LAYER, name, endpoint = ?Seen(endpoint), "endpoint joined");
        }
        Told::Left(endpoint) => {
            tracing::info!(layer = LAYER, name, endpoint = ?Seen(endpoint), "endpoint left");
        }
        Told::Ejected { key: endpoint, cause, pause, times } => {
            let cause = cause.as_str();
            tracing::warn!(layer = LAYER, name, endpoint = ?Seen(endpoint), cause, ?pause, times, "endpoint ejected");
        }
        Told::Watched { key: endpoint, cause } => {
            tracing::info!(
                layer = LAYER,
                name,
                endpoint = ?Seen(endpoint),
                cause = cause.as_str(),
                "endpoint would be ejected"
            );
        }
        Told::Withheld { key: endpoint, cause, room } => {
            let why = if *room == Room::Full { "as many are out as may be" } else { "others fail as well" };
            let cause = cause.as_str();
            tracing::warn!(layer = LAYER, name, endpoint = ?Seen(endpoint), cause, why, "endpoint not ejected");
        }
        Told::Ejects => tracing::info!(layer = LAYER, name, "ejections are withheld no longer"),
        Told::Returned(endpoint) => {
            tracing::info!(layer = LAYER, name, endpoint = ?Seen(endpoint), "endpoint back");
        }
        Told::Health(endpoint, health) => {
            tracing::info!(layer = LAYER, name, endpoint = ?Seen(endpoint), health = health.as_str(), "endpoint heard");
        }
        Told::Draining(endpoint) => {
            tracing::info!(layer = LAYER, name, endpoint = ?Seen(endpoint), "endpoint drains");
        }
        Told::Undrained(endpoint) => {
            tracing::info!(layer = LAYER, name, endpoint = ?Seen(endpoint), "endpoint drains no longer");
        }
        Told::Broken(endpoint) => {
            tracing::warn!(layer = LAYER, name, endpoint = ?Seen(endpoint), "endpoint's service is broken");
        }
        Told::Mended(endpoint) => {
            tracing::info!(layer = LAYER, name, endpoint = ?Seen(endpoint), "endpoint's service made anew");
        }
        Told::Panic(true) => {
            tracing::warn!(
                layer = LAYER,
                name,
                state = "panic",
                "too few endpoints are usable, all are used"
            );
        }
        Told::Panic(false) => tracing::info!(layer = LAYER, name, "enough endpoints are usable again"),
        Told::Empty(true) => tracing::warn!(layer = LAYER, name, state = "empty", "nobody can be called"),
        Told::Empty(false) => tracing::info!(layer = LAYER, name, "somebody can be called"),
        Told::Changed { old, new } => changed(name, old, new),
    }
}

fn changed(name: Option<&str>, old: &Balance, new: &Balance) {
    if old.enabled != new.enabled {
        let state = if new.enabled { "enabled" } else { "disabled" };
        tracing::info!(layer = "balance", name, state, "switched by its handle");
    } else {
        tracing::info!(layer = "balance", name, settings = %new, "balance has new settings");
    }
}

pub(crate) fn discovery(name: Option<&str>, error: &dyn std::fmt::Display) {
    tracing::warn!(layer = "balance", name, %error, "discovery failed, the endpoints stay as they are");
}

/// No warning: while an application replaces a part of itself, both are alive for a moment.
pub(crate) fn twin(name: &str) {
    tracing::info!(layer = "balance", name, "another balancer of this name is alive; both are kept apart");
}
