//! Our fallbacks.

use bartizan_fallback::{Fallback, FallbackLayer, Handle};
use tower_layer::Layer;
use tower_service::Service;

use crate::ground::BoxError;

/// A function in place of failures of `inner`, which nobody watches.
pub(crate) fn function<S>(inner: S) -> impl Service<u64, Response = u64, Error = BoxError> + Clone
where
    S: Service<u64, Response = u64, Error = BoxError> + Clone,
{
    FallbackLayer::new(Fallback::new()).typed(|_: &u64| true).with(|_| Ok(7)).layer(inner)
}

/// A value in place of failures of `inner`.
pub(crate) fn value<S>(inner: S, value: u64) -> impl Service<u64, Response = u64, Error = BoxError> + Clone
where
    S: Service<u64, Response = u64, Error = BoxError> + Clone,
{
    FallbackLayer::new(Fallback::new()).typed(|_: &u64| true).value(value).layer(inner)
}

/// A function in place of failures of `inner`, and a handle that watches.
pub(crate) fn watched<S>(inner: S) -> (impl Service<u64, Response = u64, Error = BoxError> + Clone, Handle)
where
    S: Service<u64, Response = u64, Error = BoxError> + Clone,
{
    let layer = FallbackLayer::new(Fallback::new()).typed(|_: &u64| true).with(|_| Ok(7));
    (layer.layer(inner), layer.handle())
}
