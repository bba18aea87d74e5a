//! The wiring through the public API; spans and real clients and servers are in the tests of the workspace.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::registry;
use bartizan_http::bytes::Bytes;
use bartizan_http::http_body::{Body, Frame};
use bartizan_trace::{
    Job, SpanId, Trace, TraceBody, TraceContext, TraceId, TraceLayer, TraceService, future,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, block_on, task::spawn};
use tower::{Layer, ServiceExt, service_fn};
use tower_test::mock;

fn outgoing() -> TraceLayer {
    TraceLayer::new(Trace::new()).outgoing()
}

#[test]
fn everything_can_be_sent_to_other_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<(Trace, TraceLayer, TraceService<()>, TraceContext, TraceId, SpanId, Job)>();
    check::<(TraceBody<()>, future::ResponseFuture<()>, future::Scoped<()>, future::JobFuture<()>)>();
}

#[test]
fn the_instance_that_was_made_ready_is_called_and_errors_pass() {
    let (mut service, mut handle) = mock::spawn_layer::<Request<()>, Response<Full<Bytes>>, _>(outgoing());
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut call = spawn(service.call(Request::new(())));
    assert_pending!(call.poll());
    let (request, respond) = block_on(handle.next_request()).unwrap();
    assert!(request.headers().contains_key("traceparent"));
    respond.send_error("odd");
    assert_eq!(assert_ready_err!(call.poll()).to_string(), "odd");
}

/// A body of one frame, which is the context that it is polled in.
struct Telling;

impl Body for Telling {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(own().into()))))
    }
}

/// The ambient context.
fn own() -> String {
    TraceContext::current().map(|own| own.to_string()).unwrap_or_default()
}

#[test]
fn the_context_is_there_in_call_poll_and_body() {
    let inner = service_fn(|_: Request<()>| {
        let called = own();
        async move {
            tokio::task::yield_now().await;
            let headers = [("called", called), ("polled", own())];
            let told =
                headers.into_iter().fold(Response::builder(), |told, (name, own)| told.header(name, own));
            Ok::<_, Infallible>(told.body(Telling).unwrap())
        }
    });
    let caller = TraceContext::begin().with_sampled(false);
    let mut request = Request::new(());
    caller.write(request.headers_mut());
    let answer = block_on(TraceLayer::new(Trace::new()).layer(inner).oneshot(request)).unwrap();
    assert_eq!([&answer.headers()["called"], &answer.headers()["polled"]], [&*caller.to_string(); 2]);
    let first = block_on(answer.into_body().frame()).unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, caller.to_string());
    assert_eq!(own(), "");
}

#[test]
fn all_services_of_a_layer_are_steered_by_its_handle() {
    let layer = TraceLayer::new(Trace::new()).named("steered");
    let inner =
        service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(own()))) });
    let said = || {
        let answer = block_on(layer.layer(inner).oneshot(Request::new(()))).unwrap();
        block_on(answer.into_body().collect()).unwrap().to_bytes()
    };
    assert_eq!(said().len(), 55);
    let handles = registry::handles();
    let seen = handles.iter().find(|handle| (handle.layer(), handle.name()) == ("trace", "steered")).unwrap();
    let service = layer.layer(inner);
    let mut odd = Request::new(());
    odd.headers_mut().insert("traceparent", "odd".parse().unwrap());
    assert!(block_on(service.oneshot(odd)).is_ok());
    let mut numbers = Vec::new();
    seen.numbers(&mut |name, number| numbers.push((name, number)));
    assert_eq!(numbers, [("malformed", 1.0)]);
    seen.act("disable").unwrap();
    assert_eq!((seen.state(), said().len()), ("disabled", 0));
    seen.act("enable").unwrap();
    assert_eq!((seen.state(), said().len()), ("enabled", 55));
    assert!(seen.act("open").is_err());
}
