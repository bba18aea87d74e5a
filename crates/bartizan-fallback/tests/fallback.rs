//! What the layer does, through its public face.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Context as Carried, Kind, Reason, Refused, find_cause, registry};
use bartizan_fallback::{Degraded, Fallback, FallbackError, FallbackLayer, FallbackOn, Outcome, Reply};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_test::mock::spawn_with;

const OPEN: Reason = Reason::new("breaker", Kind::Unavailable, "open");

type Body = Full<Bytes>;

fn layer() -> FallbackLayer {
    FallbackLayer::new(Fallback::new())
}

fn answer(status: u16) -> Response<Body> {
    Response::builder().status(status).body(Body::from("inner")).unwrap()
}

/// Answers with this status.
fn inner(
    status: u16,
) -> impl Service<Request<()>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone {
    service_fn(move |_| ready(Ok(answer(status))))
}

async fn text<B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>>(response: Response<B>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn replaces_what_is_asked_for() {
    for (status, ought) in [(200, "inner"), (404, "inner"), (429, "instead"), (500, "instead")] {
        let service = layer().value(Response::new("instead")).layer(inner(status));
        let response = service.oneshot(Request::new(())).await.unwrap();
        let degraded = response.extensions().get::<Degraded>().map(|degraded| degraded.failure().outcome());
        assert_eq!(degraded, (ought == "instead").then_some(Outcome::Status(status)));
        assert_eq!(text(response).await, ought);
    }
    let on = Fallback::new().on(FallbackOn::code(404));
    let service = FallbackLayer::new(on).value(Response::new("instead"));
    assert_eq!(text(service.layer(inner(404)).oneshot(Request::new(())).await.unwrap()).await, "instead");
    assert_eq!(text(service.layer(inner(500)).oneshot(Request::new(())).await.unwrap()).await, "inner");
}

#[tokio::test]
async fn writes_are_never_replaced_unless_it_is_said() {
    let post = |path| Request::post(path).body(()).unwrap();
    let value = || Response::new("instead");
    let all = FallbackLayer::new(Fallback::new().writes(true)).value(value());
    let some = layer().reads(|head| head.uri.path() == "/search").value(value());
    let none = layer().value(value());
    for (layer, path, ought) in [
        (&all, "/order", "instead"),
        (&some, "/search", "instead"),
        (&some, "/order", "inner"),
        (&none, "/search", "inner"),
    ] {
        assert_eq!(text(layer.layer(inner(503)).oneshot(post(path)).await.unwrap()).await, ought, "{path}");
    }
    for method in ["PUT", "DELETE", "PATCH", "CONNECT", "PURGE", "QUERY"] {
        let req = Request::builder().method(method).body(()).unwrap();
        assert_eq!(text(none.layer(inner(503)).oneshot(req).await.unwrap()).await, "inner");
    }
    for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
        let req = Request::builder().method(method).body(()).unwrap();
        let response = none.layer(inner(503)).oneshot(req).await.unwrap();
        assert!(response.extensions().get::<Degraded>().is_some(), "{method}");
        assert_eq!(text(response).await, if method == "HEAD" { "" } else { "instead" });
    }
}

#[tokio::test]
async fn a_function_sees_the_failure_and_what_was_kept() {
    let refused = service_fn(|_: Request<()>| {
        let refused = Refused::new(&OPEN).with_retry_after(Duration::from_secs(9));
        ready(Ok::<_, Infallible>(bartizan_http::answer(refused, bartizan_http::Form::Http).map(Body::new)))
    });
    let with = layer().key(|head| head.uri.path().to_owned()).with(|failed| {
        let refused = failed.refused().unwrap();
        Response::new(format!("{} {} {:?}", failed.key, refused.reason(), failed.retry_after()))
    });
    let get = || Request::get("/a").body(()).unwrap();
    assert_eq!(text(with.layer(refused).oneshot(get()).await.unwrap()).await, "/a open Some(9s)");
    let call = layer().key(|head| head.uri.path().to_owned()).call(|failed| async move {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Response::new(format!("{}{}", failed.key, failed.refused().unwrap().layer())))
    });
    assert_eq!(text(call.layer(refused).oneshot(get()).await.unwrap()).await, "/abreaker");
}

#[tokio::test]
async fn a_function_can_leave_the_failure_as_it_is() {
    let layer = layer().with(|_| None::<Reply>);
    let handle = layer.handle();
    let response = layer.layer(inner(503)).oneshot(Request::new(())).await.unwrap();
    assert!(response.extensions().get::<Degraded>().is_none());
    assert_eq!(
        (response.status(), text(response).await.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "inner")
    );
    let failing =
        service_fn(|_: Request<()>| ready(Err::<Response<Body>, BoxError>(Refused::new(&OPEN).into())));
    let error = layer.layer(failing).oneshot(Request::new(())).await.unwrap_err();
    assert!(error.is::<Refused>(), "unchanged");
    assert_eq!(handle.snapshot().declined, 2);
}

#[tokio::test]
async fn a_fallback_that_fails_has_the_failure_behind_it() {
    let failing =
        service_fn(|_: Request<()>| ready(Err::<Response<Body>, BoxError>(Refused::new(&OPEN).into())));
    let later = layer().call(|_| async { Err::<Reply, BoxError>("no luck".into()) });
    let error = later.layer(failing).oneshot(Request::new(())).await.unwrap_err();
    assert_eq!(error.to_string(), "no luck");
    assert_eq!(find_cause::<Refused>(&*error).map(Refused::reason), Some("open"));
    let error = error.downcast::<FallbackError>().unwrap();
    assert!(error.failure().error::<BoxError>().unwrap().is::<Refused>());

    let now = layer().with(|_| Err::<Reply, BoxError>("no luck".into()));
    let handle = now.handle();
    let error = now.layer(failing).oneshot(Request::new(())).await.unwrap_err();
    assert!(error.is::<FallbackError>());
    assert_eq!((handle.snapshot().used, handle.snapshot().failed), (1, 1));

    let status = layer().value(Response::builder().status(500).body("no luck").unwrap());
    let response = status.layer(inner(503)).oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), 500);
    let first = response.extensions().get::<Degraded>().unwrap().failure();
    assert_eq!(first.to_string(), "the call was answered with status 503");
}

#[tokio::test]
async fn the_answer_of_another_service_passes_untouched() {
    let trailers = http::HeaderMap::from_iter([("x-end".parse().unwrap(), "1".parse().unwrap())]);
    let other = move |path: String| {
        let body = Full::<Bytes>::from(path).with_trailers(ready(Some(Ok(trailers.clone()))));
        ready(Ok::<_, Infallible>(Response::builder().status(203).body(body).unwrap()))
    };
    let down = {
        let other = other.clone();
        service_fn(move |_: Request<()>| {
            let mut response = other(String::new()).into_inner();
            *response.as_mut().unwrap().status_mut() = StatusCode::BAD_GATEWAY;
            ready(response)
        })
    };
    let layer = layer().key(|head| head.uri.path().to_owned()).forward(move |failed| other(failed.key));
    let handle = layer.handle();
    let response = layer.layer(down).oneshot(Request::get("/a").body(()).unwrap()).await.unwrap();
    let degraded = response.extensions().get::<Degraded>().unwrap();
    assert_eq!((degraded.failure().outcome(), response.status().as_u16()), (Outcome::Status(502), 203));
    let read = response.into_body().collect().await.unwrap();
    assert_eq!(read.trailers().unwrap()["x-end"], "1");
    assert_eq!(read.to_bytes(), "/a");
    assert_eq!((handle.snapshot().used, handle.snapshot().in_flight), (1, 0));

    let failing =
        FallbackLayer::new(Fallback::new()).forward(|_| ready(Err::<_, BoxError>("no luck".into())));
    let inner = inner(503).map_err(BoxError::from);
    let error = failing.layer(inner).oneshot(Request::new(())).await.unwrap_err();
    assert_eq!(error.downcast::<FallbackError>().unwrap().failure().outcome(), Outcome::Status(503));
}

#[tokio::test]
async fn a_grpc_call_is_answered_over_grpc() {
    let call =
        || Request::post("/shop.Stock/Get").header("content-type", "application/grpc").body(()).unwrap();
    let unavailable = service_fn(|_: Request<()>| {
        let refused = Refused::new(&OPEN);
        ready(Ok::<_, Infallible>(bartizan_http::answer(refused, bartizan_http::Form::Grpc).map(Body::new)))
    });
    let bare = layer().value(Reply::grpc(b"ab"));
    let response = bare.layer(unavailable).oneshot(call()).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "14", "no rule, no fallback");
    let reading = bare.reads(|head| head.uri.path().ends_with("/Get"));
    let response = reading.layer(unavailable).oneshot(call()).await.unwrap();
    let degraded = response.extensions().get::<Degraded>().unwrap();
    assert_eq!(degraded.failure().outcome(), Outcome::Grpc(14));
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), "\0\0\0\0\x02ab");

    let text = reading.value(Response::new("text"));
    let response = text.layer(unavailable).oneshot(call()).await.unwrap();
    assert_eq!(
        (&response.headers()["grpc-status"], response.status().as_u16()),
        (&"14".parse().unwrap(), 200)
    );
}

#[tokio::test]
async fn a_head_is_answered_without_a_body() {
    let some = layer().value(Response::new("instead")).layer(inner(503));
    let said =
        layer().value(Response::builder().header("content-length", "9").body("").unwrap()).layer(inner(503));
    let none = layer().value(Response::new("")).layer(inner(503));
    let head = || Request::head("/").body(()).unwrap();
    let response = some.oneshot(head()).await.unwrap();
    assert_eq!(response.headers()["content-length"], "7");
    assert!(response.extensions().get::<Degraded>().is_some());
    assert_eq!(text(response).await, "");
    let response = said.oneshot(head()).await.unwrap();
    assert_eq!(response.headers()["content-length"], "9");
    let wrong = Response::builder().header("content-length", "99").body("instead").unwrap();
    let response = layer().value(wrong).layer(inner(503)).oneshot(head()).await.unwrap();
    assert_eq!(response.headers()["content-length"], "7", "as a GET would say");
    assert!(none.oneshot(head()).await.unwrap().headers().is_empty());
}

#[tokio::test]
async fn a_length_is_that_of_the_body() {
    // A server would break the connection off.
    let reply = Response::builder().header("content-length", "99").body("instead").unwrap();
    let response = layer().value(reply).layer(inner(503)).oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.headers()["content-length"], "7");
}

#[tokio::test]
async fn no_more_than_so_many_functions_at_once() {
    let layer = FallbackLayer::new(Fallback::new().max_in_flight(1)).call(|_| pending::<Reply>());
    let handle = layer.handle();
    let service = layer.layer(inner(503));
    let mut first = task::spawn(service.clone().oneshot(Request::new(())));
    assert_pending!(first.poll());
    assert_eq!(handle.snapshot().in_flight, 1);
    let mut second = task::spawn(service.clone().oneshot(Request::new(())));
    assert_eq!(assert_ready_ok!(second.poll()).status(), 503, "it goes out as it is");
    drop(first);
    assert_eq!((handle.snapshot().in_flight, handle.snapshot().full), (0, 1));
}

#[tokio::test]
async fn a_function_that_panics_hurts_its_request_alone() {
    let layer = layer().key(|head| head.uri.path() == "/panic").call(|failed| async move {
        assert!(!failed.key, "asked for");
        Response::new("instead")
    });
    let handle = layer.handle();
    let service = layer.layer(inner(503));
    let mut call = task::spawn(service.clone().oneshot(Request::get("/panic").body(()).unwrap()));
    assert!(catch_unwind(AssertUnwindSafe(|| call.poll())).is_err());
    drop(call);
    assert_eq!(handle.snapshot().in_flight, 0);
    assert_eq!(text(service.oneshot(Request::new(())).await.unwrap()).await, "instead");
}

#[tokio::test]
async fn a_function_runs_in_the_context_of_the_request() {
    let layer =
        layer().call(|_| async { Response::new(Carried::current().map_or(0, |c| c.attempt()).to_string()) });
    let req = Request::builder().extension(Carried::new().with_attempt(3)).body(()).unwrap();
    assert_eq!(text(layer.layer(inner(503)).oneshot(req).await.unwrap()).await, "3");
    let req = layer.layer(inner(503)).oneshot(Request::new(()));
    assert_eq!(text(Carried::new().with_attempt(2).scope(req).await.unwrap()).await, "2");
}

#[tokio::test]
async fn the_instance_that_was_made_ready_is_called_and_errors_of_readiness_pass() {
    let layer = layer().typed(|_: &u32| true).value(7);
    let (mut service, mut handle) = spawn_with::<u32, u32, _, _>(|mock| layer.layer(mock));
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call(1));
    assert_pending!(call.poll());
    let (_, respond) = handle.next_request().await.unwrap();
    respond.send_error("broken");
    assert_eq!(assert_ready_ok!(call.poll()), 7);
    handle.send_error("closed");
    assert_eq!(assert_ready_err!(service.poll_ready()).to_string(), "closed");
}

#[tokio::test]
async fn ready_at_once_and_the_inner_service_is_called_again_when_it_is_ready() {
    let layer = layer().typed(|reads: &bool| *reads).value("instead");
    let (mut service, mut handle) = spawn_with::<bool, &str, _, _>(|mock| layer.layer(mock));
    handle.allow(0);
    assert_ready_ok!(service.poll_ready());
    assert_eq!(assert_ready_ok!(task::spawn(service.call(true)).poll()), "instead");

    // What gets no fallback waits within its call.
    assert_ready_ok!(service.poll_ready());
    let mut write = task::spawn(service.call(false));
    assert_pending!(write.poll());
    handle.allow(2);
    assert!(write.is_woken());
    assert_pending!(write.poll());
    let (req, respond) = handle.next_request().await.unwrap();
    assert!(!req);
    respond.send_response("done");
    assert_eq!(assert_ready_ok!(write.poll()), "done");

    assert_ready_ok!(service.poll_ready());
    let mut read = task::spawn(service.call(true));
    assert_pending!(read.poll());
    handle.next_request().await.unwrap().1.send_response("inner");
    assert_eq!(assert_ready_ok!(read.poll()), "inner");
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_as_long_as_it_may_for_the_inner_service() {
    let value = Fallback::new().max_wait(Duration::from_millis(50));
    let layer = FallbackLayer::new(value).typed(|_: &bool| true).with(|failed| Ok(failed.to_string()));
    let (mut service, mut handle) = spawn_with::<bool, String, _, _>(|mock| layer.layer(mock));
    handle.allow(0);
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call(true));
    assert_pending!(call.poll());
    tokio::time::advance(Duration::from_millis(50)).await;
    assert_eq!(assert_ready_ok!(call.poll()), "the inner service was not ready");

    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call(true));
    assert_pending!(call.poll());
    handle.allow(1);
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response("inner".into());
    assert_eq!(assert_ready_ok!(call.poll()), "inner");
}

#[test]
fn as_ready_as_the_inner_service_where_that_is_not_asked_for() {
    let cx = &mut Context::from_waker(Waker::noop());
    for value in [Fallback::new().enabled(false), Fallback::new().on(FallbackOn::ERRORS)] {
        let layer = FallbackLayer::new(value).value(Response::new("instead"));
        assert!(layer.layer(Never).poll_ready(cx).is_pending(), "{value}");
    }
    assert!(layer().layer(Never).poll_ready(cx).is_pending(), "it has nothing to give");
    assert!(layer().value(Response::new("instead")).layer(Never).poll_ready(cx).is_ready());
}

/// Is never ready.
#[derive(Clone, Copy)]
struct Never;

impl Service<Request<()>> for Never {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        unreachable!("it is never ready")
    }
}

#[tokio::test]
async fn layered_again_it_is_the_same() {
    let layer = layer().value(Response::new("instead")).named("twice over");
    let handle = layer.handle();
    for _ in 0..3 {
        layer.clone().layer(inner(503)).oneshot(Request::new(())).await.unwrap();
    }
    layer.layer(inner(503)).oneshot(Request::post("/").body(()).unwrap()).await.unwrap();
    let seen = handle.snapshot();
    assert_eq!((seen.used, seen.passed, seen.degraded), (3, 0, true));
    handle.update(Fallback::new().enabled(false));
    assert_eq!(layer.layer(inner(503)).oneshot(Request::new(())).await.unwrap().status(), 503);
    handle.update(Fallback::new().on(FallbackOn::code(500)));
    assert_eq!(layer.layer(inner(503)).oneshot(Request::new(())).await.unwrap().status(), 503);
    assert_eq!(layer.layer(inner(500)).oneshot(Request::new(())).await.unwrap().status(), 200);
    assert_eq!(handle.value().to_string(), "on 500; reads alone, at most 100 at once");
    let known = registry::handles();
    let known = known.iter().find(|known| known.name() == "twice over").unwrap();
    assert_eq!((known.layer(), known.state()), ("fallback", "degraded"));
}

#[tokio::test]
async fn a_call_that_is_dropped_runs_nothing() {
    let called = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = called.clone();
    let layer = layer().with(move |_| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Response::new("instead")
    });
    let hang = service_fn(|_: Request<()>| pending::<Result<Response<Body>, Infallible>>());
    let mut call = task::spawn(layer.layer(hang).oneshot(Request::new(())));
    assert_pending!(call.poll());
    drop(call);
    assert_eq!(called.load(std::sync::atomic::Ordering::Relaxed), 0);
    let mut call = task::spawn(layer.layer(inner(503)).oneshot(Request::new(())));
    assert_ready!(call.poll()).unwrap();
    assert_eq!(called.load(std::sync::atomic::Ordering::Relaxed), 1);
}
