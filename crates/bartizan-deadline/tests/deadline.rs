//! The wiring: what every layer proves, and what the two sides do to a request.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use bartizan_core::{Context, Instant, Kind, Priority, Refused, registry};
use bartizan_deadline::{Deadline, DeadlineLayer, DeadlineService};
use bartizan_http::wire::{GRPC_TIMEOUT, REQUEST_ATTEMPT, REQUEST_PRIORITY, REQUEST_TIMEOUT};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Pending, Ready, pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

#[derive(Debug, PartialEq)]
enum Fault {
    Refused(Refused),
    Theirs,
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Error for Fault {}

impl From<tower::BoxError> for Fault {
    fn from(_: tower::BoxError) -> Self {
        Self::Theirs
    }
}

fn request(headers: &[(HeaderName, &'static str)]) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in headers {
        request.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    request
}

/// Answers with what it can see of its context.
fn tell(_: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    let mut response = Response::new(Full::default());
    response.extensions_mut().insert(Context::current());
    ready(Ok(response))
}

fn told<B>(response: &Response<B>) -> Context {
    response
        .extensions()
        .get::<Option<Context>>()
        .copied()
        .flatten()
        .expect("the service was called in a context")
}

/// Answers with the headers that it was sent.
fn echo(req: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    let mut response = Response::new(Full::default());
    *response.headers_mut() = req.into_parts().0.headers;
    ready(Ok(response))
}

async fn sent(layer: &DeadlineLayer, req: Request<()>) -> HeaderMap {
    layer.layer(service_fn(echo)).oneshot(req).await.unwrap().headers().clone()
}

#[tokio::test(start_paused = true)]
async fn layering_again_keeps_the_state() {
    let layer = DeadlineLayer::new(S).named("again");
    for calls in 1..=3 {
        let service = layer.clone().layer(service_fn(tell));
        service.oneshot(request(&[(REQUEST_TIMEOUT, "0")])).await.unwrap();
        assert_eq!(layer.handle().snapshot().expired, calls);
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_as_ready_as_the_inner_service_and_calls_the_instance_that_is() {
    let layer = DeadlineLayer::new(S).typed();
    let (mock, mut handle) = mock::pair::<u8, u8>();
    let mut service = spawn(layer.layer(mock.map_err(Fault::from)));

    handle.allow(0);
    assert_pending!(service.enter(|cx, mut service| service.poll_ready(cx)));
    handle.allow(1);
    assert!(service.is_woken());
    assert_ready_ok!(service.enter(|cx, mut service| service.poll_ready(cx)));
    let mut call = spawn(service.call(7));
    assert_pending!(call.poll());
    let (seen, answer) = handle.next_request().await.unwrap();
    answer.send_response(seen * 2);
    assert_eq!(assert_ready_ok!(call.poll()), 14);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_does_not_spend_readiness() {
    let layer = DeadlineLayer::new(S).typed();
    let (mock, mut handle) = mock::pair::<u8, u8>();
    let mut service = spawn(layer.layer(mock.map_err(Fault::from)));

    handle.allow(1);
    assert_ready_ok!(service.enter(|cx, mut service| service.poll_ready(cx)));
    let passed = Context::new().with_deadline(Instant::now());
    let Fault::Refused(refused) = passed.enter(|| assert_ready_err!(spawn(service.call(7)).poll())) else {
        panic!("the deadline had passed");
    };
    assert_eq!((refused.kind(), refused.reached()), (Kind::DeadlineExceeded, false));

    assert_ready_ok!(service.enter(|cx, mut service| service.poll_ready(cx)));
    let mut call = spawn(service.call(8));
    assert_pending!(call.poll());
    assert_eq!(handle.next_request().await.unwrap().0, 8);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_drops_the_inner_one() {
    let held = Arc::new(());
    let inner = |held: Arc<()>| async move {
        pending::<()>().await;
        drop(held);
        Ok::<_, Fault>(())
    };
    let layer = DeadlineLayer::new(S).typed();
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(inner));
    let mut call = spawn(service.call(held.clone()));
    assert_pending!(call.poll());
    assert_eq!(Arc::strong_count(&held), 2);
    drop(call);
    assert_eq!(Arc::strong_count(&held), 1);
    assert_eq!((handle.snapshot().abandoned, handle.snapshot().timed_out), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn inner_errors_pass_through() {
    let theirs = || service_fn(|_: Request<()>| ready(Err::<Response<Full<Bytes>>, _>(Fault::Theirs)));
    let layer = DeadlineLayer::new(S);
    assert_eq!(layer.layer(theirs()).oneshot(request(&[])).await.unwrap_err(), Fault::Theirs);
    assert_eq!(layer.typed().layer(theirs()).oneshot(request(&[])).await.unwrap_err(), Fault::Theirs);
}

#[test]
fn auto_traits() {
    fn all<T: Clone + Send + Sync + Unpin + 'static>(_: &T) {}
    fn future<T: Send + 'static>(_: T) {}
    let layer = DeadlineLayer::new(S);
    let hang = |_: Request<()>| -> Pending<Result<Response<Full<Bytes>>, Fault>> { pending() };
    let mut web = layer.layer(service_fn(hang));
    let mut typed = layer.clone().typed().layer(service_fn(hang));
    all(&layer);
    all(&layer.handle());
    all(&web);
    all(&typed);
    future(web.call(request(&[])));
    future(typed.call(request(&[])));

    struct NotClone;
    fn only_debug<T: fmt::Debug>(_: &T) {}
    only_debug(&layer);
    let _: DeadlineService<NotClone> = layer.layer(NotClone);
}

#[tokio::test(start_paused = true)]
async fn inbound_reads_what_the_caller_says_and_lets_it_widen_nothing() {
    let given = Context::new().with_priority(Priority::new(100)).with_attempt(1);
    for (trusted, headers, ought) in [
        (false, &[][..], given),
        (
            false,
            &[(REQUEST_PRIORITY, "200"), (REQUEST_ATTEMPT, "2")],
            given.with_priority(Priority::new(200)).with_attempt(2),
        ),
        (false, &[(REQUEST_PRIORITY, "critical"), (REQUEST_ATTEMPT, "0")], given),
        (true, &[(REQUEST_PRIORITY, "critical")], given.with_priority(Priority::CRITICAL)),
        (true, &[(REQUEST_TIMEOUT, "3600000")], given),
    ] {
        let service = DeadlineLayer::new(Deadline::new(S).trusted(trusted)).layer(service_fn(tell));
        let response = given.scope(service.oneshot(request(headers))).await.unwrap();
        assert_eq!(told(&response), ought.with_deadline(Instant::now() + S), "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_context_in_the_extensions_wins_and_is_narrowed_there() {
    let carried = Context::new().with_deadline(Instant::now() + 500 * MS).with_attempt(3);
    let ambient = Context::new().with_deadline(Instant::now() + 100 * MS);
    let mut req = request(&[(REQUEST_TIMEOUT, "300")]);
    req.extensions_mut().insert(carried);
    let inner = service_fn(|req: Request<()>| {
        assert_eq!(req.extensions().get::<Context>().copied(), Context::current());
        tell(req)
    });
    let response = ambient.scope(DeadlineLayer::new(S).layer(inner).oneshot(req)).await.unwrap();
    assert_eq!(told(&response), carried.with_deadline(Instant::now() + 300 * MS));
}

#[tokio::test(start_paused = true)]
async fn outgoing_writes_what_is_left() {
    let client = DeadlineLayer::new(Deadline::new(S).margin(50 * MS)).outgoing();
    let headers = sent(&client, request(&[])).await;
    assert_eq!(headers[REQUEST_TIMEOUT], "950");
    assert_eq!(headers.len(), 1, "a first attempt of normal priority is not mentioned");

    let grpc = request(&[("content-type".parse().unwrap(), "application/grpc")]);
    assert_eq!(sent(&client, grpc).await[GRPC_TIMEOUT], "950000u");

    let context = Context::new()
        .with_deadline(Instant::now() + 250 * MS)
        .with_attempt(2)
        .with_priority(Priority::SHEDDABLE);
    let headers = context.scope(sent(&client, request(&[(REQUEST_TIMEOUT, "900")]))).await;
    assert_eq!(headers[REQUEST_TIMEOUT], "200");
    assert_eq!(headers[REQUEST_ATTEMPT], "2");
    assert_eq!(headers[REQUEST_PRIORITY], "255");

    let headers = sent(
        &client,
        request(&[(REQUEST_TIMEOUT, "100"), (REQUEST_PRIORITY, "odd"), (REQUEST_ATTEMPT, "0")]),
    )
    .await;
    assert_eq!(headers[REQUEST_TIMEOUT], "50");
    assert_eq!(headers[REQUEST_PRIORITY], "128");
    assert!(!headers.contains_key(REQUEST_ATTEMPT), "a first attempt carries none");
    assert_eq!(client.handle().snapshot().malformed, 1);

    let endless = DeadlineLayer::new(Duration::MAX).outgoing();
    assert!(sent(&endless, request(&[])).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn outgoing_sends_nothing_that_would_be_dead_on_arrival() {
    let client = DeadlineLayer::new(Deadline::new(S).margin(50 * MS)).outgoing();
    for (left, served) in [(51 * MS, true), (51 * MS - Duration::from_nanos(1), false), (50 * MS, false)] {
        let context = Context::new().with_deadline(Instant::now() + left);
        let service = client.layer(service_fn(echo));
        let response = context.scope(service.oneshot(request(&[]))).await.unwrap();
        assert_eq!(response.status().is_success(), served, "{left:?}");
    }
    assert_eq!(client.handle().snapshot().too_little, 2);
}

#[tokio::test(start_paused = true)]
async fn the_context_is_entered_around_the_call_and_every_poll() {
    let context = |at| Context::new().with_deadline(at);
    let inner = |_: Request<()>| {
        let called = Context::current();
        async move {
            let polled = Context::current();
            tokio::time::sleep(100 * MS).await;
            assert_eq!((called, polled), (polled, Context::current()));
            let mut response = Response::new(Full::<Bytes>::default());
            response.extensions_mut().insert(called);
            Ok::<_, Fault>(response)
        }
    };
    let at = Instant::now() + S;
    let layer = DeadlineLayer::new(S);
    let response = layer.layer(service_fn(inner)).oneshot(request(&[])).await.unwrap();
    assert_eq!(told(&response), context(at));
    assert_eq!(Context::current(), None);

    // The typed flavour hands an own total down only if it is counted from the call.
    let at = Instant::now() + S;
    let from_call = DeadlineLayer::new(Deadline::new(S).from_call(true)).typed();
    let response = from_call.layer(service_fn(inner)).oneshot(request(&[])).await.unwrap();
    assert_eq!(told(&response), context(at));
    let response = layer.typed().layer(service_fn(inner)).oneshot(request(&[])).await.unwrap();
    assert_eq!(response.extensions().get::<Option<Context>>(), Some(&None));
}

#[tokio::test(start_paused = true)]
async fn an_update_takes_effect_and_keeps_the_counts() {
    let layer = DeadlineLayer::new(S);
    let (handle, service) = (layer.handle(), layer.layer(service_fn(tell)));
    let call = async || service.clone().oneshot(request(&[(REQUEST_TIMEOUT, "20")])).await.unwrap();
    assert!(call().await.status().is_success());
    handle.update(Deadline::new(S).min_remaining(30 * MS));
    assert_eq!(call().await.status(), 504);
    handle.update(Duration::ZERO);
    assert_eq!(call().await.status(), 504);
    handle.update(Deadline::new(Duration::ZERO).enabled(false));
    let response = call().await;
    assert_eq!(
        response.extensions().get::<Option<Context>>(),
        Some(&None),
        "switched off, it touches nothing"
    );
    assert_eq!((handle.snapshot().too_little, handle.snapshot().expired), (1, 1));

    handle.update(S);
    let hangs = layer.layer(service_fn(|_: Request<()>| pending::<Result<Response<Full<Bytes>>, Fault>>()));
    assert_eq!(hangs.oneshot(request(&[])).await.unwrap().status(), 504);
    assert_eq!(handle.snapshot().timed_out, 1);
}

#[tokio::test(start_paused = true)]
async fn work_without_hope_is_refused_once_that_is_known() {
    let layer = DeadlineLayer::new(Deadline::new(S).learn(true));
    let handle = layer.handle();
    let work = service_fn(|req: Request<()>| async {
        tokio::time::sleep(100 * MS).await;
        tell(req).await
    });
    let service = layer.layer(work);
    let call = async |left| service.clone().oneshot(request(&[(REQUEST_TIMEOUT, left)])).await.unwrap();
    assert_eq!(call("80").await.extensions().get::<Refused>().map(Refused::reached), Some(true));
    for _ in 0..Deadline::LEARN_WARM_UP {
        assert_eq!(handle.learnt(), None);
        assert!(call("500").await.status().is_success());
    }
    assert_eq!(handle.learnt(), Some(100 * MS));
    assert_eq!(
        call("80").await.extensions().get::<Refused>().map(Refused::reason),
        Some("cannot finish in the time left")
    );
    assert_eq!((handle.snapshot().hopeless, handle.snapshot().timed_out), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn only_successes_teach() {
    let layer = DeadlineLayer::new(Deadline::new(S).learn(true));
    let failing = |code: u16, trailers: &'static str| {
        service_fn(move |_: Request<()>| {
            let trailers =
                async move { Some(Ok([(GRPC_STATUS, trailers.parse().unwrap())].into_iter().collect())) };
            let body = Full::<Bytes>::default().with_trailers(trailers);
            ready(Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap()))
        })
    };
    let broken = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Broken(false)))));
    let refuses = service_fn(|()| ready(Err::<(), _>(Fault::Theirs)));
    let typed = layer.clone().typed().layer(refuses);
    for _ in 0..2 * Deadline::LEARN_WARM_UP {
        let failed = layer.layer(failing(500, "0")).oneshot(request(&[])).await.unwrap();
        failed.into_body().collect().await.unwrap();
        let grpc = request(&[(CONTENT_TYPE, "application/grpc")]);
        let failed = layer.layer(failing(200, "14")).oneshot(grpc).await.unwrap();
        failed.into_body().collect().await.unwrap();
        let mut failed = Box::pin(layer.layer(broken).oneshot(request(&[])).await.unwrap().into_body());
        assert!(failed.frame().await.unwrap().is_err() && failed.frame().await.is_none());
        assert!(typed.clone().oneshot(()).await.is_err());
    }
    assert_eq!(layer.handle().learnt(), None);
    for _ in 0..Deadline::LEARN_WARM_UP {
        let grpc = request(&[(CONTENT_TYPE, "application/grpc")]);
        let good = layer.layer(failing(200, "0")).oneshot(grpc).await.unwrap();
        good.into_body().collect().await.unwrap();
    }
    assert!(layer.handle().learnt().is_some());
}

/// A body that fails, and then ends.
struct Broken(bool);

impl Body for Broken {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Poll::Ready((!std::mem::replace(&mut self.0, true)).then_some(Err(Fault::Theirs)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_named_layer_is_found_in_the_registry() {
    let find = || registry::handles().into_iter().find(|known| known.name() == "listed");
    let layer =
        DeadlineLayer::new(Deadline::new(2 * S).max_refused_share(0.0)).named("listed").named("second");
    assert_eq!(layer.handle().name(), Some("listed"));
    let service = layer.layer(service_fn(tell));
    service.oneshot(request(&[(REQUEST_TIMEOUT, "0"), (REQUEST_ATTEMPT, "x")])).await.unwrap();

    let known = find().unwrap();
    assert_eq!((known.layer(), known.state()), ("deadline", "withholding"));
    let mut numbers = std::collections::BTreeMap::new();
    known.numbers(&mut |name, number| assert_eq!(numbers.insert(name, number), None));
    assert_eq!((numbers["withheld"], numbers["malformed"], numbers["total_seconds"]), (1.0, 1.0, 2.0));

    drop((known, layer));
    assert!(find().is_none());
}

/// An inner future that is always busy must not keep the timer from being looked at.
#[tokio::test(start_paused = true)]
async fn a_greedy_inner_future_is_ended_too() {
    let clock = tokio::spawn(async {
        loop {
            tokio::time::advance(MS).await;
        }
    });
    let greedy = service_fn(|()| async {
        loop {
            tokio::task::consume_budget().await;
        }
        #[allow(unreachable_code, reason = "it names the type")]
        Ok::<(), Fault>(())
    });
    let service = DeadlineLayer::new(50 * MS).typed().layer(greedy);
    let ended = tokio::time::timeout(S, service.oneshot(())).await.expect("the deadline comes first");
    assert!(matches!(ended, Err(Fault::Refused(_))));
    clock.abort();
}

/// Waits for so long before its attempt, or after it has given it up, or forever.
#[derive(Clone)]
struct Between<S>(S, &'static str);

impl<S> Service<Request<String>> for Between<S>
where
    S: Service<Request<String>> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, req: Request<String>) -> Self::Future {
        let (mut attempt, how) = (Box::pin(self.0.call(req)), self.1);
        Box::pin(async move {
            match how {
                "polled" => return attempt.await,
                "kept" => drop(attempt.await),
                "dropped" => {
                    let polled = std::future::poll_fn(|cx| Poll::Ready(attempt.as_mut().poll(cx))).await;
                    assert!(polled.is_pending());
                    drop(attempt);
                }
                "left" => {
                    let polled = std::future::poll_fn(|cx| Poll::Ready(attempt.as_mut().poll(cx))).await;
                    assert!(polled.is_pending());
                    pending::<()>().await;
                    drop(attempt);
                }
                _ => {}
            }
            pending().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_around_attempts_ends_in_time_whatever_becomes_of_them() {
    for (how, attempt, ought) in [
        ("polled", S, S),
        ("polled", 9 * S, 3 * S),
        ("kept", S, 3 * S),
        ("dropped", S, 3 * S),
        ("left", S, 3 * S),
        ("never", S, 3 * S),
    ] {
        let attempt = DeadlineLayer::new(attempt).outgoing();
        let around = DeadlineLayer::new(3 * S).around(&attempt);
        let hangs = service_fn(|_: Request<String>| pending::<Result<Response<String>, Infallible>>());
        let service = around.layer(Between(attempt.layer(hangs), how));
        let began = Instant::now();
        let answer = service.oneshot(Request::new(String::new())).await.unwrap();
        assert_eq!((answer.status().as_u16(), Instant::now() - began), (504, ought), "{how}");
    }
}
