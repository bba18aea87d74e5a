//! Retries through the public API, on a paused clock.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_retry::{Backoff, Budget, Jitter, Purse, Repeatable, Retry, RetryLayer};
use http::{Request, Response};
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const MS: Duration = Duration::from_millis(1);

/// Retries three times, after 100, 200 and 400 ms, whatever failed before.
fn retry() -> Retry {
    let backoff = Backoff::exponential(100 * MS, 1000 * MS).jitter(Jitter::None);
    Retry::new().max_retries(3).backoff(backoff).budget(Budget::new().persistence(1.0).min_tokens(100))
}

fn copy(req: &u32) -> Option<u32> {
    Some(*req)
}

/// Fails so many times, then answers. Notes when it was called.
#[derive(Clone, Default)]
struct Moody {
    failures: u32,
    calls: Arc<Mutex<Vec<Instant>>>,
}

impl Moody {
    fn failing(failures: u32) -> Self {
        Self { failures, ..Self::default() }
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    fn waits(&self) -> Vec<Duration> {
        self.calls.lock().unwrap().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

impl<Req> Service<Req> for Moody {
    type Response = &'static str;
    type Error = io::Error;
    type Future = std::future::Ready<Result<&'static str, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Req) -> Self::Future {
        let mut calls = self.calls.lock().unwrap();
        calls.push(Instant::now());
        let fails = calls.len() <= self.failures as usize;
        std::future::ready(if fails { Err(io::Error::other("moody")) } else { Ok("here") })
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_sent_again_after_its_wait() {
    let (moody, layer) = (Moody::failing(3), RetryLayer::new(retry()).typed(copy));
    let handle = layer.handle();
    assert_eq!(layer.layer(moody.clone()).oneshot(7).await.unwrap(), "here");
    assert_eq!(moody.waits(), [100 * MS, 200 * MS, 400 * MS]);
    let seen = handle.snapshot();
    assert_eq!((seen.calls, seen.retries, seen.recovered, seen.attempts()), (1, 3, 1, 4));
}

#[tokio::test(start_paused = true)]
async fn the_last_error_comes_out_unchanged() {
    let (moody, layer) = (Moody::failing(u32::MAX), RetryLayer::new(retry()).typed(copy));
    let error = layer.layer(moody.clone()).oneshot(7).await.unwrap_err();
    assert_eq!((error.to_string(), moody.calls()), ("moody".to_owned(), 4));
    assert_eq!(layer.handle().snapshot().out_of_tries, 1);
}

#[tokio::test(start_paused = true)]
async fn services_of_a_layer_share_its_purse() {
    let budget = Budget::new().persistence(1.0).min_tokens(2).ratio(0.0);
    let layer = RetryLayer::new(retry().budget(budget)).typed(copy);
    let moody = Moody::failing(u32::MAX);
    for _ in 0..3 {
        let _ = layer.layer(moody.clone()).oneshot(7).await;
    }
    assert_eq!(moody.calls(), 3 + 2, "there were two tokens for all three services");
    assert_eq!(layer.handle().purse().snapshot().tokens, 0.0);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_made_by_a_service_that_was_made_ready() {
    let (service, mut inner) = mock::pair::<u32, &'static str>();
    let layer = RetryLayer::new(retry()).typed(copy);
    inner.allow(1);
    let mut service = layer.layer(service);
    assert_ready_ok!(service.poll_ready(&mut Context::from_waker(Waker::noop())));
    let mut call = spawn(service.call(7));
    let (_, first) = assert_ready!(spawn(inner.next_request()).poll()).unwrap();
    first.send_error("once");
    assert_pending!(call.poll());
    tokio::time::advance(100 * MS).await;
    assert!(call.is_woken());
    assert_pending!(call.poll(), "the wait is over, and nobody is ready");
    assert_pending!(spawn(inner.next_request()).poll());
    inner.allow(1);
    assert!(call.is_woken());
    assert_pending!(call.poll());
    let (again, second) = assert_ready!(spawn(inner.next_request()).poll()).unwrap();
    assert_eq!(again, 7);
    second.send_response("here");
    assert_eq!(assert_ready_ok!(call.poll()), "here");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_ends_the_call() {
    let (service, mut inner) = mock::pair::<u32, &'static str>();
    let layer = RetryLayer::new(retry()).typed(copy);
    let handle = layer.handle();
    inner.allow(1);
    let mut service = layer.layer(service);
    assert_ready_ok!(service.poll_ready(&mut Context::from_waker(Waker::noop())));
    let mut call = spawn(service.call(7));
    assert_ready!(spawn(inner.next_request()).poll()).unwrap().1.send_error("once");
    assert_pending!(call.poll());
    inner.send_error("closed");
    tokio::time::advance(100 * MS).await;
    assert_eq!(assert_ready_err!(call.poll()).to_string(), "closed");
    let purse = handle.purse().snapshot();
    assert_eq!((purse.tokens, purse.returned), (100.0, 1), "no attempt began");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_takes_its_token_back() {
    let layer = RetryLayer::new(retry()).typed(copy);
    let (handle, moody) = (layer.handle(), Moody::failing(1));
    let mut call = spawn(layer.layer(moody.clone()).oneshot(7));
    assert_pending!(call.poll());
    assert_eq!(handle.purse().snapshot().tokens, 99.0);
    drop(call);
    assert_eq!(handle.purse().snapshot().tokens, 100.0);
    tokio::time::advance(1000 * MS).await;
    assert_eq!((moody.calls(), handle.snapshot().retries), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn no_wait_makes_no_timer_and_gives_way() {
    let layer = RetryLayer::new(retry().backoff(Backoff::constant(Duration::ZERO))).typed(copy);
    let moody = Moody::failing(1);
    let mut call = spawn(layer.layer(moody.clone()).oneshot(7));
    assert_pending!(call.poll(), "others have their turn");
    assert!(call.is_woken());
    assert_eq!(assert_ready_ok!(call.poll()), "here");
}

#[tokio::test(start_paused = true)]
async fn a_purse_is_shared_by_layers() {
    let purse = Purse::new(Budget::new().persistence(1.0).min_tokens(1).ratio(1.0));
    let one = RetryLayer::new(retry()).purse(purse.clone()).typed(copy);
    let other = RetryLayer::new(retry()).purse(purse.clone()).typed(copy);
    let moody = Moody::failing(u32::MAX);
    let _ = one.layer(moody.clone()).oneshot(7).await;
    let _ = other.layer(moody.clone()).oneshot(7).await;
    assert_eq!(moody.calls(), 3, "one token for both");
    other.layer(Moody::default()).oneshot(7).await.unwrap();
    assert_eq!(purse.snapshot().tokens, 1.0);
}

#[tokio::test(start_paused = true)]
async fn an_update_is_for_the_calls_that_come() {
    let layer = RetryLayer::new(retry()).typed(copy);
    let (handle, moody) = (layer.handle(), Moody::failing(u32::MAX));
    handle.update(retry().max_retries(1));
    let _ = layer.layer(moody.clone()).oneshot(7).await;
    assert_eq!(moody.calls(), 2);
    handle.update(retry().enabled(false));
    let _ = layer.layer(moody.clone()).oneshot(7).await;
    assert_eq!(moody.calls(), 3);
}

type Attempts = Arc<Mutex<Vec<Option<String>>>>;

/// Answers with these statuses, one after another, and then with 200. Notes which attempt it was told that it is.
fn scripted<B>(
    script: &'static [u16],
) -> (Attempts, impl Service<Request<B>, Response = Response<String>, Error = BoxError, Future: Send> + Clone)
where
    B: Send + 'static,
{
    let (seen, calls) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU32::new(0)));
    let attempts = seen.clone();
    let service = service_fn(move |req: Request<B>| {
        let attempt = req.headers().get("x-request-attempt").map(|value| value.to_str().unwrap().to_owned());
        attempts.lock().unwrap().push(attempt);
        let status = script.get(calls.fetch_add(1, Relaxed) as usize).copied().unwrap_or(200);
        async move { Ok::<_, BoxError>(Response::builder().status(status).body(String::new()).unwrap()) }
    });
    (seen, service)
}

async fn status<S, F>(layer: &RetryLayer, inner: S, req: Request<String>) -> u16
where
    S: Service<
            Request<bartizan_http::Replay<String>>,
            Response = Response<String>,
            Error = BoxError,
            Future = F,
        > + Clone,
    F: Future<Output = Result<Response<String>, BoxError>>,
{
    layer.layer(inner).oneshot(req).await.unwrap().status().as_u16()
}

#[tokio::test(start_paused = true)]
async fn only_what_may_be_repeated_is() {
    let layer = RetryLayer::new(retry());
    for (method, mark, key, ought) in [
        ("GET", None, false, 200),
        ("PUT", None, false, 200),
        ("POST", None, false, 503),
        ("PATCH", None, false, 503),
        ("POST", None, true, 200),
        ("POST", Some(true), false, 200),
        ("GET", Some(false), false, 503),
    ] {
        let mut req = Request::builder().method(method).body(String::from("body")).unwrap();
        if key {
            req.headers_mut().insert(bartizan_retry::IDEMPOTENCY_KEY, 7.into());
        }
        if let Some(mark) = mark {
            req.extensions_mut().insert(Repeatable(mark));
        }
        let (attempts, inner) = scripted(&[503]);
        assert_eq!(status(&layer, inner, req).await, ought, "{method} {mark:?} {key}");
        let again = (ought == 200).then(|| Some("1".to_owned()));
        assert_eq!(*attempts.lock().unwrap(), [None].into_iter().chain(again).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_as_another_attempt_goes_out_once_and_says_so() {
    let layer = RetryLayer::new(retry());
    let told = Request::builder().header("x-request-attempt", "2").body(String::new()).unwrap();
    let (attempts, inner) = scripted(&[503]);
    assert_eq!(status(&layer, inner, told).await, 503);
    assert_eq!(*attempts.lock().unwrap(), [Some("2".to_owned())]);

    let (attempts, inner) = scripted(&[503]);
    let context = bartizan_core::Context::new().with_attempt(1);
    let call = status(&layer, inner, Request::new(String::new()));
    assert_eq!(context.scope(call).await, 503);
    assert_eq!(*attempts.lock().unwrap(), [Some("1".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_failure_is_dropped_before_the_next_try() {
    struct Body(Arc<AtomicU32>);
    impl http_body::Body for Body {
        type Data = bytes::Bytes;
        type Error = BoxError;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, BoxError>>> {
            Poll::Pending
        }
    }
    impl Drop for Body {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Relaxed);
        }
    }
    let (alive, calls) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let inner = service_fn({
        let alive = alive.clone();
        move |_| {
            assert_eq!(alive.fetch_add(1, Relaxed), 0, "the body before is still there");
            let body = Body(alive.clone());
            let status = if calls.fetch_add(1, Relaxed) < 2 { 503 } else { 200 };
            async move { Ok::<_, BoxError>(Response::builder().status(status).body(body).unwrap()) }
        }
    });
    let answer = RetryLayer::new(retry()).layer(inner).oneshot(Request::new(String::new())).await.unwrap();
    assert_eq!((answer.status(), alive.load(Relaxed)), (http::StatusCode::OK, 1));
}

#[test]
fn layers_services_and_futures_go_anywhere() {
    fn anywhere<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn sent<T: Send + 'static>(_: &T) {}
    let layer = RetryLayer::new(retry()).typed(copy);
    let mut service = layer.layer(Moody::default());
    anywhere(&layer);
    anywhere(&service);
    anywhere(&layer.handle());
    sent(&service.call(7));
}
