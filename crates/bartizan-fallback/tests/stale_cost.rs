//! What a call costs that the layer has nothing to do with, and what one costs that it has.
#![cfg(feature = "stale")]
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_fallback::{Stale, StaleLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use std::convert::Infallible;
use std::future::ready;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;
use tower::{Layer, Service, service_fn};

type Req = Request<Empty<Bytes>>;

/// Calls once, and returns how many allocations that took.
fn allocations<S: Service<Req>>(service: &mut S, req: Req) -> u64 {
    let measured = allocation_counter::measure(|| {
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(service.poll_ready(cx).is_ready());
        assert!(pin!(service.call(req)).poll(cx).is_ready());
    });
    measured.count_total
}

fn request(method: &str, content: &'static str) -> Req {
    let req = Request::builder().method(method).uri("http://stock/apples").header("content-type", content);
    req.body(Empty::new()).unwrap()
}

#[test]
fn what_is_not_looked_at_allocates_nothing() {
    let inner = service_fn(|_: Req| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))));
    let value = Stale::new().if_error(Duration::from_secs(60)).fresh(true).coalesce(true);
    let mut on = StaleLayer::new(value.clone()).layer(inner);
    // There is something that a write could outdate.
    allocations(&mut on, request("GET", "text/plain"));
    for (method, content) in [
        ("POST", "text/plain"),
        ("DELETE", "text/plain"),
        ("OPTIONS", "text/plain"),
        ("POST", "application/grpc"),
    ] {
        assert_eq!(allocations(&mut on, request(method, content)), 0, "{method} {content}");
    }
    let mut off = StaleLayer::new(value.enabled(false)).layer(inner);
    for method in ["GET", "POST"] {
        assert_eq!(allocations(&mut off, request(method, "text/plain")), 0, "{method}");
    }
}

#[test]
fn a_read_of_which_nothing_can_be_kept_allocates_little() {
    let inner = service_fn(|_: Req| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("x")))));
    let mut service = StaleLayer::new(Stale::new()).layer(inner);
    // The fields of its request, and what is known of it.
    assert!(allocations(&mut service, request("GET", "text/plain")) <= 4);
}
