use bartizan_client::{Body, HyperService, ReqwestService};
use bartizan_hedge::Hedge;
use bartizan_retry::{Backoff, Budget, Retry};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

/// A budget that pays for everything, so that a test is about something else.
#[must_use]
pub fn ample() -> Budget {
    Budget::new().persistence(1.0).min_tokens(1000)
}

/// Retries twice without any wait, on an ample budget.
#[must_use]
pub fn retry() -> Retry {
    let at_once = Backoff::constant(Duration::ZERO);
    Retry::new().backoff(at_once.clone()).throttled_backoff(at_once).budget(ample())
}

/// Sends one copy more after a moment, on an ample budget.
#[must_use]
pub fn hedge() -> Hedge {
    Hedge::new().delay(Duration::from_millis(30)).max_hedges(1).budget(ample())
}

/// reqwest's client, by HTTP/2 or HTTP/1.
#[must_use]
pub fn reqwest(http2: bool) -> ReqwestService {
    let builder = reqwest::Client::builder().no_proxy();
    let builder = if http2 { builder.http2_prior_knowledge() } else { builder };
    ReqwestService::new(builder.build().unwrap())
}

/// hyper's client, by HTTP/2 or HTTP/1.
#[must_use]
pub fn hyper(http2: bool) -> HyperService {
    let client: Client<HttpConnector, Body> =
        Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    HyperService::new(client)
}

/// Clients within a layer: reqwest's and hyper's, each by HTTP/1 and HTTP/2.
#[macro_export]
macro_rules! clients {
    ($layer:expr) => {{
        let layer = &$layer;
        let boxed = |name, stack| (name, ::bartizan_client::Client::new(stack));
        [
            boxed("reqwest by HTTP/1", $crate::boxed!(layer, $crate::reqwest(false))),
            boxed("reqwest by HTTP/2", $crate::boxed!(layer, $crate::reqwest(true))),
            boxed("hyper by HTTP/1", $crate::boxed!(layer, $crate::hyper(false))),
            boxed("hyper by HTTP/2", $crate::boxed!(layer, $crate::hyper(true))),
        ]
    }};
}

/// A service within a layer, whatever its type.
#[macro_export]
macro_rules! boxed {
    ($layer:expr, $service:expr) => {
        ::bartizan_client::Boxed::new(::tower::Layer::layer($layer, $service))
    };
}
