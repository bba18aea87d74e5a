//! Our layers, as their documentation shows them, with their defaults.

pub(crate) mod again;
pub(crate) mod balance;
pub(crate) mod fallback;
pub(crate) mod limit;
pub(crate) mod scraped;
pub(crate) mod shed;
pub(crate) mod stack;

use std::time::Duration;

use bartizan_breaker::{Breaker, BreakerLayer, BreakerService, Consecutive, Evidence};
use bartizan_core::{Context, ErrorsFail};
use bartizan_deadline::{DeadlineLayer, DeadlineService};
use tokio::time::Instant;
use tower_layer::Layer;

use crate::ground::{Broken, Fault, drive};

/// The typed breaker around `S`.
type Typed<S> = BreakerService<S, bartizan_breaker::Single, ErrorsFail, bartizan_http::Typed>;

/// Longer than any run: what is open stays so.
const FOR_GOOD: Duration = Duration::from_secs(3600);

/// A breaker around `inner`, closed.
pub(crate) fn breaker<S>(inner: S) -> Typed<S> {
    BreakerLayer::new(Breaker::new()).typed().layer(inner)
}

/// The same with a threshold for slow calls.
pub(crate) fn breaker_slow<S>(inner: S, slow_after: Duration) -> Typed<S> {
    BreakerLayer::new(Breaker::new().slow_after(slow_after)).typed().layer(inner)
}

/// The same, tripped by failing calls, for good.
pub(crate) fn breaker_open() -> Typed<Broken> {
    // The evidence rule asks for 50 ms of failures; a rule that counts trips at once, and refuses in the same words.
    let value = Breaker::new().consecutive(Consecutive::new(5)).max_open_for(FOR_GOOD).open_for(FOR_GOOD);
    let layer = BreakerLayer::new(value).typed();
    let mut service = layer.layer(Broken);
    while !matches!(drive(&mut service, 0), Err(Fault::Refused(_))) {}
    service
}

/// The same, forced open.
pub(crate) fn breaker_forced() -> Typed<Broken> {
    let layer = BreakerLayer::new(Breaker::new()).typed();
    layer.handle().force_open();
    layer.layer(Broken)
}

/// The breaker of the HTTP flavour around `inner`, closed.
pub(crate) fn http_breaker<S>(inner: S) -> BreakerService<S> {
    BreakerLayer::new(Breaker::new()).layer(inner)
}

/// A deadline of so long around `inner`.
pub(crate) fn deadline<S>(inner: S, timeout: Duration) -> DeadlineService<S, bartizan_http::Typed> {
    DeadlineLayer::new(timeout).typed().layer(inner)
}

/// What a caller further out has set: its deadline, which the layer finds as an absolute instant.
pub(crate) fn context(deadline: Instant) -> Context {
    Context::new().with_deadline(deadline)
}

/// A server's deadline in the HTTP flavour.
pub(crate) fn http_deadline<S>(inner: S, timeout: Duration) -> DeadlineService<S> {
    DeadlineLayer::new(timeout).layer(inner)
}

/// A client's deadline in the HTTP flavour, which writes what is left into a header.
pub(crate) fn http_client_deadline<S>(inner: S, timeout: Duration) -> DeadlineService<S> {
    DeadlineLayer::new(timeout).outgoing().layer(inner)
}

/// Which of our breakers a simulation looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// The default, for a whole service.
    ServiceWide,
    /// The rule around one endpoint of a balanced set.
    Endpoint,
    /// The default without its ramp: what it would be if it closed at once.
    AtOnce,
}

/// A breaker around `inner`, and what tells how often it has tripped.
pub(crate) fn simulated<S>(inner: S, variant: Variant, seed: u64) -> (Typed<S>, impl Fn() -> u64 + use<S>) {
    let value = Breaker::new().seed(seed);
    let value = match variant {
        Variant::ServiceWide => value,
        Variant::Endpoint => value.evidence(Evidence::new().endpoint()),
        Variant::AtOnce => value.ramp(Duration::ZERO),
    };
    let layer = BreakerLayer::new(value).typed();
    let handle = layer.handle();
    (layer.layer(inner), move || handle.snapshot().trips)
}
