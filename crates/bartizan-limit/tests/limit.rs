//! Behaviour through the public API, in both flavours.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::routing::get;
use bartizan_core::{Refused, registry};
use bartizan_limit::{Limit, LimitLayer};
use http::{Request, StatusCode};
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::time::Duration;
use tokio::time::advance;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const FIVE: Limit = Limit::per_second(5);
const INTERVAL: Duration = Duration::from_millis(200);

async fn echo(n: u32) -> Result<u32, BoxError> {
    Ok(n)
}

/// What an error is, if it is a refusal.
fn refused<T: std::fmt::Debug>(out: Result<T, BoxError>) -> Refused {
    *out.unwrap_err().downcast::<Refused>().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_burst_then_the_told_wait_to_the_nanosecond() {
    let layer = LimitLayer::new(FIVE).named("burst").typed();
    let service = layer.layer(service_fn(echo));
    // Layered anew for every call, as routers do it.
    for n in 0..5 {
        assert_eq!(layer.layer(service_fn(echo)).oneshot(n).await.unwrap(), n);
    }
    let refused = refused(service.clone().oneshot(5).await);
    assert_eq!(refused.to_string(), "refused by limit burst: over the limit");
    assert_eq!(refused.retry_after(), Some(INTERVAL));
    advance(INTERVAL - Duration::from_nanos(1)).await;
    assert!(service.clone().oneshot(6).await.is_err());
    advance(Duration::from_nanos(1)).await;
    assert_eq!(service.clone().oneshot(7).await.unwrap(), 7);
    assert!(service.oneshot(8).await.is_err());
    assert_eq!(layer.handle().snapshot().refused, 3);
}

#[tokio::test(start_paused = true)]
async fn costs_and_exemptions() {
    let layer = LimitLayer::new(FIVE).typed().cost(|n: &u32| *n).exempt(|n: &u32| *n == 99);
    let service = layer.layer(service_fn(echo));
    let call = |n| service.clone().oneshot(n);
    let forever = refused(call(6).await);
    assert_eq!((forever.reason(), forever.retry_after()), ("costs more than the burst", None));
    assert!(call(3).await.is_ok());
    assert_eq!(refused(call(3).await).retry_after(), Some(INTERVAL));
    assert!(call(2).await.is_ok());
    assert!(call(1).await.is_err());
    for free in [0, 99, 99, 0] {
        assert!(call(free).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn http_answers_tell_when_and_how_much() {
    let layer = LimitLayer::new(FIVE).named("api");
    let quiet = layer.clone().layer(service_fn(hello));
    let loud = layer.announce(true).layer(service_fn(hello));
    let out = loud.clone().oneshot(request()).await.unwrap();
    assert_eq!(out.headers()["ratelimit-policy"], r#""api";q=5;w=1"#);
    assert_eq!(out.headers()["ratelimit"], r#""api";r=4;t=1"#);
    for _ in 0..4 {
        let out = quiet.clone().oneshot(request()).await.unwrap();
        assert!(!out.headers().contains_key("ratelimit"));
    }
    for service in [quiet, loud] {
        let out = service.oneshot(request()).await.unwrap();
        assert_eq!(out.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(out.headers()["retry-after"], "1");
        assert_eq!(out.headers()["ratelimit-policy"], r#""api";q=5;w=1"#);
        assert_eq!(out.headers()["ratelimit"], r#""api";r=0;t=1"#);
        assert_eq!(out.extensions().get::<Refused>().unwrap().reason(), "over the limit");
    }
}

async fn hello(_: Request<()>) -> Result<http::Response<http_body_util::Empty<bytes::Bytes>>, Infallible> {
    Ok(http::Response::default())
}

fn request() -> Request<()> {
    Request::new(())
}

#[tokio::test]
async fn one_limit_over_all_connections_of_a_server() {
    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(LimitLayer::new(Limit::per(3, Duration::from_secs(3600))));
    let ask = || {
        let mut app = app.clone();
        async move {
            let request = Request::get("/").body(axum::body::Body::empty()).unwrap();
            Service::call(&mut app, request).await.unwrap().status()
        }
    };
    for _ in 0..3 {
        assert_eq!(ask().await, StatusCode::OK);
    }
    assert_eq!(ask().await, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_bucket_of_its_own() {
    let layer = LimitLayer::new(FIVE).typed().key(|n: &u32| n % 10).named("keyed");
    let service = layer.layer(service_fn(echo));
    let call = |n| service.clone().oneshot(n);
    for n in 0..5 {
        assert!(call(10 * n + 1).await.is_ok());
    }
    assert_eq!(refused(call(1).await).to_string(), "refused by limit keyed: over the limit");
    assert!(call(2).await.is_ok());
    let handle = layer.handle();
    assert_eq!((handle.remaining(&1), handle.remaining(&2), handle.remaining(&3)), (0, 4, 5));
    assert_eq!((handle.keys(), handle.snapshot().refused), (2, 1));
    advance(INTERVAL).await;
    assert_eq!(handle.keys(), 1, "the second is full again");
    assert!(call(1).await.is_ok());
    advance(Duration::from_secs(1)).await;
    assert_eq!(handle.keys(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_keys_forgives_nobody() {
    let cap = NonZeroUsize::new(1000).unwrap();
    let layer =
        LimitLayer::new(Limit::per(2, Duration::from_secs(10))).typed().key(|n: &u32| *n).max_keys(cap);
    let handle = layer.handle();
    for _ in 0..2 {
        handle.check(&0, 1).unwrap();
    }
    for n in 1..100_000 {
        let _ = handle.check(&n, 1);
    }
    assert_eq!(handle.keys(), 1000);
    assert!(handle.check(&0, 1).is_err());
    let snapshot = handle.snapshot();
    assert_eq!(snapshot.overflowed, 99_000);
    // Two of those without a bucket were served.
    assert_eq!(snapshot.refused, 99_000 - 2 + 1);
    // Five seconds later those with one token taken are full, and leave one by one for new ones.
    advance(Duration::from_secs(5)).await;
    assert!(handle.check(&0, 1).is_ok());
    assert!(handle.check(&0, 1).is_err());
    advance(Duration::from_secs(5)).await;
    for n in 200_000..200_500 {
        handle.check(&n, 1).unwrap();
    }
    assert!(handle.check(&0, 2).is_err(), "it is not full, and stays");
}

#[tokio::test(start_paused = true)]
async fn peek_takes_nothing_and_charge_what_is_there() {
    let layer = LimitLayer::new(FIVE).typed().key(|name: &String| name.clone());
    let handle = layer.handle();
    for _ in 0..10 {
        handle.peek("ada", 5).unwrap();
    }
    handle.charge("ada", 3);
    assert!(handle.peek("ada", 3).is_err());
    handle.charge("ada", 100);
    assert_eq!(handle.peek("ada", 1).unwrap_err().retry_after(), Some(INTERVAL));
    assert_eq!(handle.remaining("bob"), 5);
    handle.drain("bob");
    assert_eq!(handle.check("bob", 1).unwrap_err().retry_after(), Some(INTERVAL));
    handle.reset();
    assert!(handle.check("bob", 5).is_ok());
    assert_eq!(handle.snapshot().refused, 1, "a peek is not counted");
}

#[tokio::test(start_paused = true)]
async fn a_limit_changes_while_it_runs() {
    let handle = LimitLayer::new(FIVE).handle();
    handle.check(3).unwrap();
    handle.update(Limit::per_second(10));
    assert_eq!(handle.snapshot().remaining, 2, "nothing is given");
    handle.check(2).unwrap();
    assert_eq!(handle.check(1).unwrap_err().retry_after(), Some(INTERVAL / 2));
    advance(Duration::from_secs(5)).await;
    assert_eq!(handle.snapshot().remaining, 10);
    handle.drain();
    handle.drain();
    assert_eq!(handle.check(1).unwrap_err().retry_after(), Some(INTERVAL / 2));
    handle.reset();
    assert!(handle.check(10).is_ok());
    handle.update(FIVE.enabled(false));
    for _ in 0..100 {
        assert!(handle.check(1000).is_ok());
    }
    assert_eq!(handle.snapshot().remaining, 5);
}

#[tokio::test(start_paused = true)]
async fn a_change_reaches_every_key() {
    let layer = LimitLayer::new(FIVE).typed().key(|n: &u32| *n);
    let handle = layer.handle();
    for n in 0..100 {
        handle.check(&n, 3).unwrap();
    }
    handle.update(Limit::per_second(10));
    for n in 0..100 {
        assert_eq!(handle.remaining(&n), 2);
    }
    assert_eq!(handle.remaining(&100), 10, "one that was never seen has nothing to keep");
}

#[tokio::test(start_paused = true)]
async fn a_share_of_refusals_is_only_counted() {
    let shadow = |share| {
        let handle = LimitLayer::new(FIVE.shadow(share).seed(7)).handle();
        let passed = (0..1005).filter(|_| handle.check(1).is_ok()).count() as u64;
        let snapshot = handle.snapshot();
        assert_eq!((snapshot.shadowed, snapshot.refused), (passed - 5, 1005 - passed));
        passed - 5
    };
    assert_eq!((shadow(0.0), shadow(1.0)), (0, 1000));
    let half = shadow(0.5);
    assert!((437..=563).contains(&half), "within four standard deviations of 500: {half}");
    assert_eq!(half, shadow(0.5));
}

#[test]
fn names_are_in_the_registry_once() {
    let count = || {
        registry::handles()
            .iter()
            .filter(|known| known.layer() == "limit" && known.name() == "registered")
            .count()
    };
    let single = LimitLayer::new(FIVE).named("registered");
    assert_eq!(count(), 1);
    let keyed = single.key(|head| head.method.clone());
    assert_eq!(count(), 1);
    let keyed = keyed.max_keys(NonZeroUsize::MIN);
    assert_eq!((count(), keyed.handle().name()), (1, Some("registered")));
    drop(keyed);
    assert_eq!(count(), 0);
}

#[test]
fn its_types_go_where_they_are_needed() {
    fn check<T: Clone + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}
    let layer = LimitLayer::new(FIVE).cost(|head| if head.method == "GET" { 1 } else { 5 }).exempt(|_| false);
    check(&layer);
    check(&layer.handle());
    let layer = layer.key(|head| head.uri.path().to_owned()).announce(true);
    check(&layer);
    check(&layer.handle());
    check(&layer.layer(Router::<()>::new()));
}
