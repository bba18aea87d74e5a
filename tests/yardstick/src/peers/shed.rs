//! Peers that bound what is in flight: by a number that is given, or by one that they learn from latencies.

use tower::limit::ConcurrencyLimit;
use tower_acc::{ConcurrencyLimit as Acc, Gradient2 as AccGradient2, Vegas as AccVegas};
use tower_layer::Layer;
use tower_resilience_adaptive::{AdaptiveLimiterLayer, AdaptiveService, Aimd, Gradient2, Vegas};
use tower_resilience_bulkhead::{Bulkhead, BulkheadLayer};

pub(crate) const TOWER: &str = "tower ConcurrencyLimit";
pub(crate) const BULKHEAD: &str = "tower-resilience bulkhead";
pub(crate) const AIMD: &str = "tower-resilience AIMD";
pub(crate) const VEGAS: &str = "tower-resilience Vegas";
pub(crate) const GRADIENT2: &str = "tower-resilience Gradient2";
pub(crate) const ACC_VEGAS: &str = "tower-acc Vegas";
pub(crate) const ACC_GRADIENT2: &str = "tower-acc Gradient2";

/// tower's limit, under which who comes too many waits.
pub(crate) fn tower<S>(inner: S, limit: usize) -> ConcurrencyLimit<S> {
    ConcurrencyLimit::new(inner, limit)
}

/// tower-resilience's bulkhead, which refuses who comes too many.
pub(crate) fn bulkhead<S>(inner: S, limit: usize) -> Bulkhead<S> {
    let settings = BulkheadLayer::builder().max_concurrent_calls(limit).reject_when_full();
    settings.build().expect("a limit above 0 is valid").layer(inner)
}

/// tower-resilience's adaptive limit by additive increase and multiplicative decrease, with its defaults.
pub(crate) fn aimd<S>(inner: S) -> AdaptiveService<S, Aimd> {
    AdaptiveLimiterLayer::new(Aimd::builder().build().expect("the defaults are valid")).layer(inner)
}

/// The same by Vegas, with its defaults.
pub(crate) fn vegas<S>(inner: S) -> AdaptiveService<S, Vegas> {
    AdaptiveLimiterLayer::new(Vegas::builder().build().expect("the defaults are valid")).layer(inner)
}

/// The same by Gradient2, with its defaults.
pub(crate) fn gradient2<S>(inner: S) -> AdaptiveService<S, Gradient2> {
    AdaptiveLimiterLayer::new(Gradient2::builder().build().expect("the defaults are valid")).layer(inner)
}

/// tower-acc's adaptive limit by Vegas, with its defaults.
pub(crate) fn acc_vegas<S>(inner: S) -> Acc<S, AccVegas> {
    Acc::new(inner, AccVegas::default())
}

/// The same by Gradient2, with its defaults.
pub(crate) fn acc_gradient2<S>(inner: S) -> Acc<S, AccGradient2> {
    Acc::new(inner, AccGradient2::default())
}
