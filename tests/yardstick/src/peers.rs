//! The published crates beside which ours run, each as its documentation shows it, with its defaults.

pub(crate) mod again;
pub(crate) mod balance;
pub(crate) mod fallback;
pub(crate) mod limit;
pub(crate) mod shed;

use std::time::Duration;

use failsafe::{Config, backoff, failure_policy, futures::CircuitBreaker as _};
use recloser::{AsyncRecloser, Recloser};
use tower_layer::Layer;
use tower_resilience_circuitbreaker::{CircuitBreaker, CircuitBreakerLayer, DefaultClassifier};
use tower_resilience_timelimiter::{FixedTimeout, TimeLimiter, TimeLimiterLayer};
use tower_service::Service;

use crate::ground::{Broken, Echo, drive, finish};

pub(crate) const TOWER: &str = "tower";
pub(crate) const TOWER_HTTP: &str = "tower-http";
pub(crate) const TOWER_RESILIENCE: &str = "tower-resilience";
pub(crate) const FAILSAFE: &str = "failsafe";
pub(crate) const RECLOSER: &str = "recloser";

/// Longer than any run: what is open stays so.
const FOR_GOOD: Duration = Duration::from_secs(3600);

/// tower-resilience's breaker with its defaults, closed, around `inner`.
pub(crate) fn tower_resilience<S>(inner: S) -> CircuitBreaker<S, DefaultClassifier> {
    CircuitBreakerLayer::builder().build().expect("the defaults are valid").layer(inner)
}

/// The same with a threshold for slow calls.
pub(crate) fn tower_resilience_slow<S>(
    inner: S,
    slow_after: Duration,
) -> CircuitBreaker<S, DefaultClassifier> {
    let settings = CircuitBreakerLayer::builder().slow_call_duration_threshold(slow_after);
    settings.build().expect("the defaults are valid").layer(inner)
}

/// The same, tripped by failing calls, for good.
pub(crate) fn tower_resilience_open() -> CircuitBreaker<Broken, DefaultClassifier> {
    let settings = CircuitBreakerLayer::builder().wait_duration_in_open(FOR_GOOD);
    let mut breaker = settings.build().expect("the defaults are valid").layer(Broken);
    while !breaker.is_open() {
        let _failed = drive(&mut breaker, 0);
    }
    breaker
}

/// The same, forced open.
pub(crate) fn tower_resilience_forced() -> CircuitBreaker<Broken, DefaultClassifier> {
    let settings = CircuitBreakerLayer::builder().wait_duration_in_open(FOR_GOOD);
    let breaker = settings.build().expect("the defaults are valid").layer(Broken);
    finish(breaker.force_open());
    breaker
}

/// tower-resilience's time limit around `inner`.
pub(crate) fn tower_resilience_timeout<S>(inner: S, timeout: Duration) -> TimeLimiter<S, FixedTimeout> {
    TimeLimiterLayer::builder().timeout_duration(timeout).build().layer(inner)
}

/// tower's time-out around `inner`.
pub(crate) fn tower_timeout<S>(inner: S, timeout: Duration) -> tower::timeout::Timeout<S> {
    tower::timeout::Timeout::new(inner, timeout)
}

/// A call through failsafe's breaker with its defaults, closed.
pub(crate) fn failsafe() -> impl Fn(u64) + Clone + Send + 'static {
    let breaker = Config::new().build();
    move |request| _ = std::hint::black_box(finish(breaker.call(Echo.call(request))))
}

/// A call that failsafe's breaker refuses, for good.
pub(crate) fn failsafe_open() -> impl Fn(u64) + Send + 'static {
    let policy = failure_policy::consecutive_failures(1, backoff::constant(FOR_GOOD));
    let breaker = Config::new().failure_policy(policy).build();
    while breaker.is_call_permitted() {
        let _failed = finish(breaker.call(Broken.call(0)));
    }
    move |request| _ = std::hint::black_box(finish(breaker.call(Echo.call(request))))
}

/// A call through recloser's breaker with its defaults, closed.
pub(crate) fn recloser() -> impl Fn(u64) + Clone + Send + 'static {
    let breaker = AsyncRecloser::from(Recloser::custom().build());
    move |request| _ = std::hint::black_box(finish(breaker.call(Echo.call(request))))
}

/// A call that recloser's breaker refuses, for good.
pub(crate) fn recloser_open() -> impl Fn(u64) + Send + 'static {
    let breaker = AsyncRecloser::from(Recloser::custom().closed_len(1).open_wait(FOR_GOOD).build());
    while !matches!(finish(breaker.call(Broken.call(0))), Err(recloser::Error::Rejected)) {}
    move |request| _ = std::hint::black_box(finish(breaker.call(Echo.call(request))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_refuses() {
        let mut breaker = tower_resilience_open();
        assert!(drive(&mut breaker, 1).is_err_and(|error| error.to_string().contains("open")));
        assert!(tower_resilience_forced().is_open());
    }
}
