//! Our rate limits.

use std::{num::NonZeroUsize, time::Duration};

use bartizan_core::Refused;
use bartizan_limit::{KeyedHandle, Limit, LimitLayer, LimitService};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::ground::tenant;

/// A call in each nanosecond, and a second's worth of them at once: more than anybody makes.
const AMPLE: Limit = Limit::per_second(1_000_000_000);

/// A limit around `S`, in the typed flavour.
pub(crate) trait Limited<S: Service<u64>>:
    Service<u64, Response = S::Response, Error = S::Error, Future: 'static> + Clone + Send + 'static
{
}

impl<S, L> Limited<S> for L
where
    S: Service<u64>,
    L: Service<u64, Response = S::Response, Error = S::Error, Future: 'static> + Clone + Send + 'static,
{
}

/// One bucket that admits all.
pub(crate) fn one<S>(inner: S) -> impl Limited<S>
where
    S: Service<u64, Response: 'static, Error: From<Refused> + 'static, Future: 'static>
        + Clone
        + Send
        + 'static,
{
    LimitLayer::new(AMPLE).typed().layer(inner)
}

/// A bucket for each of so many keys, which admits all.
pub(crate) fn by_number<S>(inner: S, keys: u64) -> impl Limited<S>
where
    S: Service<u64, Response: 'static, Error: From<Refused> + 'static, Future: 'static>
        + Clone
        + Send
        + 'static,
{
    LimitLayer::new(AMPLE).typed().key(move |number: &u64| number % keys).layer(inner)
}

/// One bucket, of which a call takes as many tokens as its number says.
pub(crate) fn costly<S>(inner: S, per_second: u32, burst: u32) -> impl Limited<S>
where
    S: Service<u64, Response: 'static, Error: From<Refused> + 'static, Future: 'static>
        + Clone
        + Send
        + 'static,
{
    let limit = Limit::per_second(per_second).burst(burst);
    LimitLayer::new(limit).typed().cost(|cost: &u64| u32::try_from(*cost).unwrap_or(u32::MAX)).layer(inner)
}

/// A bucket for each number, for so many numbers.
pub(crate) fn keyed<S>(inner: S, per_second: u32, burst: u32, cap: usize) -> impl Limited<S>
where
    S: Service<u64, Response: 'static, Error: From<Refused> + 'static, Future: 'static>
        + Clone
        + Send
        + 'static,
{
    let layer = LimitLayer::new(Limit::per_second(per_second).burst(burst)).typed();
    layer.key(|number: &u64| *number).max_keys(at_least_one(cap)).layer(inner)
}

/// The same, of which no token comes back while it is looked at, and its handle.
pub(crate) fn thin_keyed<S>(inner: S, cap: usize) -> (impl Limited<S>, KeyedHandle<u64>)
where
    S: Service<u64, Response: 'static, Error: From<Refused> + 'static, Future: 'static>
        + Clone
        + Send
        + 'static,
{
    let layer = LimitLayer::new(Limit::per(1, Duration::from_secs(3600)).burst(10)).typed();
    let layer = layer.key(|number: &u64| *number).max_keys(at_least_one(cap));
    (layer.layer(inner), layer.handle())
}

fn at_least_one(cap: usize) -> NonZeroUsize {
    NonZeroUsize::new(cap).expect("a cap is above 0")
}

/// One bucket that admits all, in the HTTP flavour.
pub(crate) fn http_one<S>(inner: S) -> LimitService<S> {
    LimitLayer::new(AMPLE).layer(inner)
}

/// A bucket for each tenant that admits all, in the HTTP flavour.
pub(crate) fn http_by_tenant<S, B, RB>(
    inner: S,
) -> impl Service<Request<B>, Response = Response<impl Body>, Error = S::Error>
where
    S: Service<Request<B>, Response = Response<RB>, Error: 'static>,
    B: 'static,
    RB: Body<Data = Bytes, Error: 'static>,
{
    LimitLayer::new(AMPLE).key(|head| tenant(head.headers)).layer(inner)
}
