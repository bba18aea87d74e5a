//! A peer that falls back: tower-resilience's.

use tower_layer::Layer;
use tower_resilience_fallback::{Fallback, FallbackLayer};

use crate::ground::BoxError;

/// A function in place of failures of `inner`.
pub(crate) fn tower_resilience_function<S>(inner: S) -> Fallback<S, u64, u64, BoxError> {
    FallbackLayer::from_error(|_: &BoxError| 7).layer(inner)
}

/// A value in place of failures of `inner`.
pub(crate) fn tower_resilience_value<S>(inner: S, value: u64) -> Fallback<S, u64, u64, BoxError> {
    FallbackLayer::value(value).layer(inner)
}
