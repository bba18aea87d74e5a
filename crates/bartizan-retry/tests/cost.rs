//! A call that ends well allocates nothing of its own.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_retry::{Retry, RetryLayer};
use http::{HeaderValue, Request, Response};
use std::convert::Infallible;
use std::future::ready;
use std::pin::pin;
use std::task::{Context, Waker};
use tower::{Layer, Service, service_fn};

/// Calls once, and returns how many allocations that took.
fn allocations<S: Service<Req> + Clone, Req>(service: &mut S, req: Req) -> u64 {
    // What all calls share is made with the first of them, or with the first clone.
    drop(service.clone());
    let measured = allocation_counter::measure(|| {
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(service.poll_ready(cx).is_ready());
        assert!(pin!(service.call(req)).poll(cx).is_ready());
    });
    measured.count_total
}

#[tokio::test]
async fn a_good_call_allocates_nothing_but_what_keeps_its_body() {
    let mut typed = RetryLayer::new(Retry::new())
        .typed(|req: &u32| Some(*req))
        .layer(service_fn(|req: u32| ready(Ok::<_, Infallible>(req))));
    assert_eq!(allocations(&mut typed, 1), 0);

    let mut http = RetryLayer::new(Retry::new())
        .named("cost")
        .layer(service_fn(|_| ready(Ok::<_, Infallible>(Response::new(String::new())))));
    assert_eq!(allocations(&mut http, Request::new(String::new())), 0, "no headers, no body");
    let body = http_body_util::Full::new(bytes::Bytes::from_static(b"body"));
    let mut http = RetryLayer::new(Retry::new())
        .layer(service_fn(|_| ready(Ok::<_, Infallible>(Response::new(String::new())))));
    let mut req = Request::new(body);
    assert_eq!(allocations(&mut http, req.clone()), 2, "the body, and what its readers share");
    req.headers_mut().insert("accept", HeaderValue::from_static("text/plain"));
    req.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
    assert_eq!(allocations(&mut http, req), 3, "and the fields of its head");
}
