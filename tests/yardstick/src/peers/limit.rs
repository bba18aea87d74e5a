//! Peers that limit rates.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    num::NonZeroU32,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock, QuantaClock, QuantaInstant},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed, keyed::DefaultKeyedStateStore},
};
use http::{Request, Response};
use tower_governor::{
    GovernorError, GovernorLayer,
    governor::{Governor, GovernorConfig, GovernorConfigBuilder},
    key_extractor::{GlobalKeyExtractor, KeyExtractor},
};
use tower_layer::Layer;
use tower_resilience_ratelimiter::{RateLimiter as Resilient, RateLimiterLayer};
use tower_service::Service;

use crate::ground::{Echo, drive, tenant};

pub(crate) const GOVERNOR: &str = "governor";
pub(crate) const TOWER_GOVERNOR: &str = "tower_governor";
pub(crate) const WINDOW: &str = "tower-resilience, fixed window";
pub(crate) const BUCKET: &str = "tower-resilience, token bucket";

/// A call in each nanosecond, and a second's worth of them at once: more than anybody makes.
const AMPLE: u32 = 1_000_000_000;

/// governor's limiter of one bucket, with its own clock.
pub(crate) type Direct<C = QuantaClock> =
    RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// governor's limiter of a bucket for each key, with its own clock.
pub(crate) type Keyed<C = QuantaClock> =
    RateLimiter<u64, DefaultKeyedStateStore<u64>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// A token in each `interval`, and `burst` at once.
pub(crate) fn quota(interval: Duration, burst: u32) -> Quota {
    let quota = Quota::with_period(interval).expect("an interval above 0 is valid");
    quota.allow_burst(NonZeroU32::new(burst).expect("a burst above 0 is valid"))
}

fn ample() -> Quota {
    quota(Duration::from_nanos(1), AMPLE)
}

/// A call through governor's limiter of one bucket, which admits it.
pub(crate) fn governor() -> impl Fn(u64) + Clone + Send + 'static {
    let limiter: Arc<Direct> = Arc::new(RateLimiter::direct(ample()));
    move |request| {
        if limiter.check().is_ok() {
            _ = black_box(drive(&mut Echo, request));
        }
    }
}

/// A call through governor's limiter of a bucket for each of so many keys, which admits it.
pub(crate) fn governor_keyed(keys: u64) -> impl Fn(u64) + Clone + Send + 'static {
    let limiter: Arc<Keyed> = Arc::new(RateLimiter::keyed(ample()));
    move |request| {
        if limiter.check_key(&(request % keys)).is_ok() {
            _ = black_box(drive(&mut Echo, request));
        }
    }
}

/// governor's limiter of a bucket for each key, of which no token comes back while it is looked at.
pub(crate) fn thin_keyed() -> Keyed {
    RateLimiter::keyed(quota(Duration::from_secs(3600), 10))
}

/// tokio's clock, for governor.
#[derive(Clone, Debug)]
pub(crate) struct Tokio;

impl Clock for Tokio {
    type Instant = <MonotonicClock as Clock>::Instant;

    fn now(&self) -> Self::Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// tower-resilience's limiter with the window that is its default, around `inner`.
pub(crate) fn window<S>(inner: S) -> Resilient<S> {
    let settings = RateLimiterLayer::builder().limit_for_period(AMPLE as usize);
    settings.build().expect("a limit above 0 is valid").layer(inner)
}

/// The same with a token bucket.
pub(crate) fn bucket<S>(inner: S) -> Resilient<S> {
    let settings = RateLimiterLayer::builder().limit_for_period(AMPLE as usize).burst_size(0);
    settings.build().expect("a limit above 0 is valid").layer(inner)
}

/// The same that refuses at once, with `burst` tokens that come back in `period`.
pub(crate) fn strict<S>(inner: S, burst: u32, period: Duration, window: bool) -> Resilient<S> {
    let settings = RateLimiterLayer::builder()
        .limit_for_period(burst as usize)
        .refresh_period(period)
        .timeout_duration(Duration::ZERO);
    let settings = if window { settings } else { settings.burst_size(0) };
    settings.build().expect("a limit above 0 is valid").layer(inner)
}

/// Answers at once with an empty body of axum's, of which alone tower_governor can make a refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AxumSite;

impl<B> Service<Request<B>> for AxumSite {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(Response::new(Body::empty())))
    }
}

/// tower_governor's layer around `inner` with one bucket for all.
pub(crate) fn tower_governor<S>(inner: S) -> Governor<GlobalKeyExtractor, Free, S, Body> {
    let settings = GovernorConfigBuilder::default().key_extractor(GlobalKeyExtractor).generous();
    GovernorLayer::new(settings).layer(inner)
}

/// The same with a bucket for each tenant.
pub(crate) fn tower_governor_keyed<S>(inner: S) -> Governor<ByTenant, Free, S, Body> {
    let settings = GovernorConfigBuilder::default().key_extractor(ByTenant).generous();
    GovernorLayer::new(settings).layer(inner)
}

/// The same with a bucket for each of so many keys, which are called in turn.
pub(crate) fn tower_governor_in_turn<S>(inner: S, keys: u64) -> Governor<InTurn, Free, S, Body> {
    let settings =
        GovernorConfigBuilder::default().key_extractor(InTurn { keys, next: Cell::new(0) }).generous();
    GovernorLayer::new(settings).layer(inner)
}

/// What tower_governor calls a middleware that adds nothing.
type Free = NoOpMiddleware<QuantaInstant>;

/// Finishes settings with a limit that admits all.
trait Generous {
    type Settings;

    fn generous(self) -> Self::Settings;
}

impl<K: KeyExtractor> Generous for GovernorConfigBuilder<K, Free> {
    type Settings = GovernorConfig<K, Free>;

    fn generous(mut self) -> Self::Settings {
        self.per_nanosecond(1).burst_size(AMPLE).finish().expect("a burst and a period above 0 are valid")
    }
}

/// Tells tenants apart by [`tenant`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByTenant;

impl KeyExtractor for ByTenant {
    type Key = u64;

    fn extract<B>(&self, request: &Request<B>) -> Result<u64, GovernorError> {
        Ok(tenant(request.headers()))
    }
}

/// Tells requests apart by counting them, whatever they are.
#[derive(Clone, Debug)]
pub(crate) struct InTurn {
    keys: u64,
    next: Cell<u64>,
}

impl KeyExtractor for InTurn {
    type Key = u64;

    fn extract<B>(&self, _: &Request<B>) -> Result<u64, GovernorError> {
        self.next.set(self.next.get() + 1);
        Ok(self.next.get() % self.keys)
    }
}
