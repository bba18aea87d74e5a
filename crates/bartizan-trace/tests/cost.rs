//! What the layer takes of a call that nobody listens to. Alone in its process, as a subscriber elsewhere would be heard of here.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use allocation_counter::measure;
use bartizan_trace::{Trace, TraceContext, TraceLayer};
use http::{HeaderMap, HeaderValue, Request, Response};
use std::convert::Infallible;
use std::future::{Ready, ready};
use tokio_test::{block_on, task::spawn};
use tower::{Layer, Service, service_fn};

const CALLER: HeaderValue =
    HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");

fn request(caller: bool) -> Request<String> {
    let mut request = Request::new(String::new());
    // So that there is room for more.
    *request.headers_mut() = HeaderMap::with_capacity(8);
    if caller {
        request.headers_mut().insert("traceparent", CALLER);
    }
    request
}

/// The allocations of a call, to its head.
fn taken<S>(service: &mut S, request: Request<String>) -> u64
where
    S: Service<Request<String>, Error = Infallible>,
{
    measure(|| {
        assert!(spawn(service.call(request)).poll().is_ready());
    })
    .count_total
}

fn inner(_: Request<String>) -> Ready<Result<Response<String>, Infallible>> {
    ready(Ok(Response::new(String::new())))
}

#[test]
fn nothing_but_the_outgoing_header() {
    let bare = taken(&mut service_fn(inner), request(true));
    let layer = TraceLayer::new(Trace::new()).named("cost");
    let (mut server, mut client) =
        (layer.clone().layer(service_fn(inner)), layer.clone().outgoing().layer(service_fn(inner)));
    for caller in [true, false] {
        // The keys of a thread are made once.
        taken(&mut server, request(caller));
        assert_eq!(taken(&mut server, request(caller)), bare, "caller: {caller}");
        taken(&mut client, request(caller));
        assert!(taken(&mut client, request(caller)) <= bare + 1, "caller: {caller}");
    }
    block_on(TraceContext::begin().scope(async {
        assert!(taken(&mut client, request(false)) <= bare + 1);
    }));
}
