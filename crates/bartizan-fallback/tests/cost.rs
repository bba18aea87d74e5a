//! A call that ends well allocates nothing.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_fallback::{Fallback, FallbackLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::convert::Infallible;
use std::future::ready;
use std::pin::pin;
use std::task::{Context, Waker};
use tower::{Layer, Service, service_fn};

/// Calls once, and returns how many allocations that took.
fn allocations<S: Service<Req>, Req>(service: &mut S, req: Req) -> u64 {
    let measured = allocation_counter::measure(|| {
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(service.poll_ready(cx).is_ready());
        assert!(pin!(service.call(req)).poll(cx).is_ready());
    });
    measured.count_total
}

#[test]
fn a_good_call_allocates_nothing() {
    let http =
        service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))));
    let typed = service_fn(|req: u32| ready(Ok::<_, Infallible>(req)));
    let layer = || FallbackLayer::new(Fallback::new());
    let request = || Request::new(());

    assert_eq!(allocations(&mut layer().value(Response::new("")).layer(http), request()), 0);
    assert_eq!(allocations(&mut layer().with(|_| Response::new("")).layer(http), request()), 0);
    assert_eq!(allocations(&mut layer().with(|_| Response::new("")).named("cost").layer(http), request()), 0);
    let later =
        layer().key(|head| head.method.is_safe()).call(|failed| ready(Response::new(failed.key.to_string())));
    assert_eq!(allocations(&mut later.layer(http), request()), 0);

    let layer = || layer().typed(|_: &u32| true);
    assert_eq!(allocations(&mut layer().value(7).layer(typed), 1), 0);
    assert_eq!(allocations(&mut layer().with(|_| Ok(7)).layer(typed), 1), 0);
    assert_eq!(allocations(&mut layer().call(|_| ready(Ok(7))).layer(typed), 1), 0);
}
