//! What a layer without faults costs: nothing that is allocated, and next to nothing that is moved.

use bartizan_fault::future::{HttpFuture, TypedFuture};
use bartizan_fault::{Fault, FaultBody, FaultLayer, FaultService, Faults};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tower::{BoxError, Layer, Service, service_fn};

/// Calls once, and returns how many allocations that took.
fn allocations<S, Req>(service: &mut S, request: Req) -> u64
where
    S: Service<Req>,
{
    let measured = allocation_counter::measure(|| {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
        assert!(matches!(pin!(service.call(request)).poll(&mut cx), Poll::Ready(Ok(_))));
    });
    measured.count_total
}

fn answer(_: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::new(Bytes::from_static(b"3 left")))))
}

#[test]
fn a_call_that_no_fault_hits_allocates_nothing() {
    let layer = FaultLayer::new(Faults::new().enabled(true)).named("free");
    let mut http = layer.clone().key(|head| Some(head.uri.path().to_owned())).layer(service_fn(answer));
    let mut typed: FaultService<_, _, _> =
        layer.clone().typed().layer(service_fn(|n: u8| ready(Ok::<_, BoxError>(n))));
    assert_eq!(allocations(&mut http, Request::new(())), 0);
    assert_eq!(allocations(&mut typed, 1), 0);

    // Nor while there are faults for others.
    let handle = layer.handle();
    assert!(handle.inject(Fault::error().share(0.0)).is_ok());
    assert_eq!(allocations(&mut http, Request::new(())), 0);
    assert_eq!(allocations(&mut typed, 1), 0);

    // It does count: keys are made while there is a fault that asks for one.
    assert!(handle.inject(Fault::error().key("/never")).is_ok());
    assert_eq!(allocations(&mut http, Request::new(())), 1);
    handle.clear();
    assert_eq!(allocations(&mut http, Request::new(())), 0);
}

#[test]
fn futures_and_bodies_are_hardly_larger_than_the_inner_ones() {
    type Inner = [u64; 16];
    const WORD: usize = size_of::<usize>();
    let inner = size_of::<Inner>();
    assert!(size_of::<HttpFuture<Inner, Full<Bytes>>>() <= inner + WORD);
    assert!(size_of::<TypedFuture<Inner>>() <= inner + WORD);
    assert!(size_of::<FaultBody<Inner>>() <= inner + 2 * WORD);
}
