//! The changes of a set's state, as `tracing` events.

use crate::book::Told;
use std::fmt::Debug;

pub(crate) fn tell<K: Debug>(name: Option<&str>, told: &[Told<K>]) {
    for told in told {
        one(name, told);
    }
}

fn one<K: Debug>(name: Option<&str>, told: &Told<K>) {
    match told {
        Told::Joined(endpoint) => tracing::info!(name, ?endpoint, "endpoint joined"),
        Told::Left(endpoint) => tracing::info!(name, ?endpoint, "endpoint left"),
        Told::Ejected { key: endpoint, cause, pause, times } => {
            tracing::warn!(name, ?endpoint, cause = cause.as_str(), ?pause, times, "endpoint ejected");
        }
        Told::Watched { key: endpoint, cause } => {
            tracing::info!(name, ?endpoint, cause = cause.as_str(), "endpoint would be ejected");
        }
        Told::Returned(endpoint) => tracing::info!(name, ?endpoint, "endpoint back"),
        Told::Health(endpoint, health) => {
            tracing::info!(name, ?endpoint, health = health.as_str(), "endpoint heard");
        }
        Told::Draining(endpoint) => tracing::info!(name, ?endpoint, "endpoint drains"),
        Told::Broken(endpoint) => tracing::warn!(name, ?endpoint, "endpoint's service is broken"),
        Told::Panic(true) => tracing::warn!(name, "too few endpoints are usable, all are used"),
        Told::Panic(false) => tracing::info!(name, "enough endpoints are usable again"),
    }
}

pub(crate) fn discovery(name: Option<&str>, error: &dyn std::fmt::Display) {
    tracing::warn!(name, %error, "discovery failed, the endpoints stay as they are");
}

pub(crate) fn twin(name: &str) {
    tracing::info!(name, "another balancer of this name is alive");
}
