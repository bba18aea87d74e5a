//! Row C02: what the layers, services, futures and bodies are, and what they do not ask of the inner service.

use crate::policy::Limit;
use bartizan_breaker::BreakerLayer;
use bartizan_core::Refused;
use bartizan_deadline::DeadlineLayer;
use bartizan_fallback::stale::{Stale, StaleLayer};
use bartizan_fallback::{Fallback, FallbackLayer};
use bartizan_guard::GuardLayer;
use bartizan_hedge::{Hedge, HedgeLayer};
use bartizan_http::Replay;
use bartizan_limit::LimitLayer;
use bartizan_retry::{Retry, RetryLayer};
use bartizan_shed::{Backlog, Shares, Shed, ShedLayer, Throttle, ThrottleLayer};
use bytes::Bytes;
use conformance::{Call, Probe, REFERENCE, S, at_once, secs};
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Ready, poll_fn, ready};
use std::rc::Rc;
use tower::{Layer, Service, service_fn};

const RATE: bartizan_limit::Limit = bartizan_limit::Limit::per_second(5);

fn shared<T: Clone + Debug + Send + Sync + 'static>(_: &T) {}
fn sent<T: Debug + Send + 'static>(_: &T) {}

/// Asks of a layer what axum, tonic and hyper ask of it, of its services, their futures and their bodies.
fn over_http<L, B>(layer: L)
where
    L: Layer<Probe<fn(Request<Call>) -> Ready<Answer>>> + Clone + Debug + Send + Sync + 'static,
    L::Service: Service<Request<Call>, Response = Response<B>, Error = Infallible, Future: Debug + Send + 'static>
        + Clone
        + Debug
        + Send
        + Sync
        + 'static,
    B: Body<Data = Bytes> + Debug + Default + Send + 'static,
{
    over_http_with(layer, S);
}

/// Asks it of a layer whose inner service takes another request body.
fn over_http_with<L, Q, I, B>(layer: L, body: Q)
where
    L: Layer<Probe<fn(Request<I>) -> Ready<Answer>>> + Clone + Debug + Send + Sync + 'static,
    L::Service: Service<Request<Q>, Response = Response<B>, Error = Infallible, Future: Debug + Send + 'static>
        + Clone
        + Debug
        + Send
        + Sync
        + 'static,
    B: Body<Data = Bytes> + Debug + Default + Send + 'static,
{
    let answer: fn(_) -> _ = |_| ready(Ok(Response::new(http_body_util::Full::default())));
    let mut service = layer.layer(Probe::new(answer));
    shared(&layer);
    shared(&service);
    at_once(poll_fn(|cx| service.poll_ready(cx))).unwrap();
    let future = service.call(Request::new(body));
    sent(&future);
    sent(at_once(future).unwrap().body());
}

type Answer = Result<Response<http_body_util::Full<Bytes>>, Infallible>;

fn typed<L>(layer: L)
where
    L: Layer<Probe<fn(u8) -> Ready<Result<u8, Refused>>>> + Clone + Debug + Send + Sync + 'static,
    L::Service: Service<u8, Response = u8, Error = Refused, Future: Debug + Send + 'static>
        + Clone
        + Debug
        + Send
        + Sync
        + 'static,
{
    let answer: fn(_) -> _ = |n| ready(Ok(n));
    let mut service = layer.layer(Probe::new(answer));
    shared(&layer);
    shared(&service);
    at_once(poll_fn(|cx| service.poll_ready(cx))).unwrap();
    let future = service.call(7);
    sent(&future);
    assert_eq!(at_once(future), Ok(7));
}

#[tokio::test(start_paused = true)]
async fn c02_auto_traits() {
    over_http(BreakerLayer::new(REFERENCE));
    over_http(BreakerLayer::new(REFERENCE).key(|head| head.uri.host().map(String::from)));
    over_http(DeadlineLayer::new(secs(1.0)));
    over_http(DeadlineLayer::new(secs(1.0)).outgoing());
    over_http(GuardLayer::new(Limit::new(1)));
    over_http(ShedLayer::new(Shed::new()));
    over_http(ShedLayer::new(Shed::new()).class(|head| head.headers.len(), Shares::new([1.0])));
    over_http(ShedLayer::new(Shed::fixed(1)).backlog(Backlog::new(1)));
    over_http(ThrottleLayer::new(Throttle::new()));
    over_http(LimitLayer::new(RATE));
    over_http(LimitLayer::new(RATE).key(|head| head.uri.host().map(String::from)));
    over_http(LimitLayer::new(RATE).waiting(secs(1.0), 1));
    let fallback = || FallbackLayer::new(Fallback::new());
    over_http(fallback());
    over_http(fallback().value(Response::new("instead")));
    over_http(fallback().key(|head| head.uri.clone()).with(|failed| Response::new(failed.key.to_string())));
    over_http(fallback().reads(|_| true).call(|_| async { Response::new("instead") }));
    // Bodies that are no `Clone`, and not even `Sync`.
    let body = || http_body_util::Full::new(Bytes::new()).boxed_unsync();
    over_http_with::<_, _, Replay<_>, _>(RetryLayer::new(Retry::new()), body());
    over_http_with::<_, _, Replay<_>, _>(HedgeLayer::new(Hedge::new()), body());
    over_http_with::<_, _, _, _>(FallbackLayer::new(Fallback::new()), body());
    over_http_with::<_, _, _, _>(StaleLayer::new(Stale::new()), body());

    typed(BreakerLayer::new(REFERENCE).typed());
    typed(BreakerLayer::new(REFERENCE).typed().key(|n: &u8| *n));
    typed(DeadlineLayer::new(secs(1.0)).typed());
    typed(GuardLayer::new(Limit::new(1)).typed());
    typed(ShedLayer::new(Shed::new()).typed());
    typed(ShedLayer::new(Shed::fixed(1)).typed().backlog(Backlog::new(1)));
    typed(ThrottleLayer::new(Throttle::new()).typed());
    typed(LimitLayer::new(RATE).typed());
    typed(LimitLayer::new(RATE).typed().key(|n: &u8| *n));
    typed(LimitLayer::new(RATE).typed().waiting(secs(1.0), 1));
    typed(RetryLayer::new(Retry::new()).typed(|n: &u8| Some(*n)));
    typed(HedgeLayer::new(Hedge::new()).typed(|n: &u8| Some(*n)));
    let fallback = || FallbackLayer::new(Fallback::new()).typed(|_: &u8| true);
    typed(fallback().value(1));
    typed(fallback().key(|n: &u8| *n).with(|failed| Ok::<_, Refused>(failed.key)));
    typed(fallback().call(|_| async { Ok::<u8, Refused>(1) }));

    shared(&BreakerLayer::new(REFERENCE).handle());
    shared(&fallback().handle());
    shared(&StaleLayer::new(Stale::new()).handle());
    shared(&BreakerLayer::new(REFERENCE).key(|head| head.uri.host().map(String::from)).handle());
    shared(&DeadlineLayer::new(secs(1.0)).handle());
    shared(&RetryLayer::new(Retry::new()).handle());
    shared(&HedgeLayer::new(Hedge::new()).handle());
    shared(&ShedLayer::new(Shed::new()).handle());
    shared(&ThrottleLayer::new(Throttle::new()).handle());
    shared(&LimitLayer::new(RATE).handle());
    shared(&LimitLayer::new(RATE).key(|head| head.uri.host().map(String::from)).handle());
}

/// An inner service that is not `Clone`, `Send`, `Sync` or `'static` will do.
#[tokio::test(start_paused = true)]
async fn c02_nothing_is_asked_of_the_inner_service() {
    async fn calls<S: Service<u8, Error = Refused>>(mut service: S) -> Result<S::Response, Refused> {
        poll_fn(|cx| service.poll_ready(cx)).await?;
        service.call(7).await
    }
    let (called, rented) = (Rc::new(Cell::new(0)), Cell::new(0));
    let inner = || {
        let (called, rented) = (called.clone(), &rented);
        service_fn(move |n: u8| {
            called.set(called.get() + 1);
            rented.set(n);
            let called = called.clone();
            async move { Ok::<_, Refused>(called) }
        })
    };
    calls(BreakerLayer::new(REFERENCE).typed().layer(inner())).await.unwrap();
    calls(DeadlineLayer::new(secs(1.0)).typed().layer(inner())).await.unwrap();
    calls(GuardLayer::new(Limit::new(1)).typed().layer(inner())).await.unwrap();
    calls(ShedLayer::new(Shed::new()).typed().layer(inner())).await.unwrap();
    calls(ThrottleLayer::new(Throttle::new()).typed().layer(inner())).await.unwrap();
    calls(LimitLayer::new(RATE).typed().layer(inner())).await.unwrap();
    assert_eq!((called.get(), rented.get()), (6, 7));
}
