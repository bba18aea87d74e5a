//! Our retries and hedges.

use bartizan_hedge::{Hedge, HedgeLayer, HedgeService};
use bartizan_retry::{RetryLayer, RetryService};
use tower_layer::Layer;
use tower_service::Service;

pub(crate) use bartizan_core::Budget;
pub(crate) use bartizan_hedge::Hedge as HedgeSettings;
pub(crate) use bartizan_retry::{Backoff, Retry as RetrySettings};

/// Retries around `inner` of requests that can be cloned, from a purse of their own.
pub(crate) fn retry<S, Req>(
    inner: S,
    settings: RetrySettings,
) -> impl Service<Req, Response = S::Response, Error = S::Error, Future: 'static> + Clone + 'static
where
    S: Service<Req, Response: 'static, Error: 'static, Future: 'static> + Clone + 'static,
    Req: Clone + 'static,
{
    RetryLayer::new(settings).typed(|request: &Req| Some(request.clone())).layer(inner)
}

/// Hedges around `inner` of requests that can be cloned, from a purse of their own.
pub(crate) fn hedge<S, Req>(
    inner: S,
    settings: Hedge,
) -> impl Service<Req, Response = S::Response, Error = S::Error, Future: 'static> + Clone + 'static
where
    S: Service<Req, Response: 'static, Error: 'static, Future: 'static> + Clone + 'static,
    Req: Clone + 'static,
{
    HedgeLayer::new(settings).typed(|request: &Req| Some(request.clone())).layer(inner)
}

/// Retries of the HTTP flavour around `inner`.
pub(crate) fn http_retry<S>(inner: S, settings: RetrySettings) -> RetryService<S> {
    RetryLayer::new(settings).layer(inner)
}

/// Hedges of the HTTP flavour around `inner`.
pub(crate) fn http_hedge<S>(inner: S, settings: Hedge) -> HedgeService<S> {
    HedgeLayer::new(settings).layer(inner)
}
