//! Which failure a hedged call ends with, when all of its copies have failed, and when.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Kind, Reason, Refused};
use bartizan_hedge::{Budget, FailedCopies, Hedge, HedgeLayer, Outcome};
use bartizan_http::Replay;
use bytes::Bytes;
use http::{Request, Response};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const MS: Duration = Duration::from_millis(1);
const OPEN: Reason = Reason::new("breaker", Kind::Unavailable, "open");

fn hedge() -> Hedge {
    Hedge::new().delay(100 * MS).budget(Budget::new().min_tokens(100))
}

fn answer(status: u16, refused: bool, pause: Option<&'static str>) -> Response<String> {
    let mut answer = Response::builder().status(status).body(String::new()).unwrap();
    if refused {
        answer.extensions_mut().insert(Refused::new(&OPEN));
    }
    if let Some(pause) = pause {
        answer.headers_mut().insert("retry-after", pause.parse().unwrap());
    }
    answer
}

#[tokio::test(start_paused = true)]
async fn a_refusal_on_this_side_does_not_hide_what_a_server_said() {
    let calls = Arc::new(AtomicU32::new(0));
    let inner = service_fn(move |_: Request<Replay<String>>| {
        let n = calls.fetch_add(1, Relaxed);
        async move { Ok::<_, BoxError>(answer(if n == 0 { 500 } else { 503 }, n > 0, None)) }
    });
    let last = HedgeLayer::new(hedge()).layer(inner).oneshot(Request::new(String::new())).await.unwrap();
    assert_eq!(last.status(), 500, "who looks at the refusal alone thinks that nothing was sent");
    assert_eq!(last.extensions().get(), Some(&FailedCopies(vec![Outcome::Status(503)])));
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_never_arrived_does_not_hide_that_another_may_have() {
    let calls = Arc::new(AtomicU32::new(0));
    let inner = service_fn(move |_: u32| {
        let kind = [io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionRefused];
        let kind = kind[calls.fetch_add(1, Relaxed).min(1) as usize];
        async move { Err::<u32, BoxError>(io::Error::from(kind).into()) }
    });
    let layer = HedgeLayer::new(hedge()).typed(|req: &u32| Some(*req));
    let error = layer.layer(inner).oneshot(7).await.unwrap_err();
    assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_hours_because_a_server_says_so() {
    for (pause, calls, took) in [("30", 3, 60), ("3600", 1, 0), ("18446744073709551615", 1, 0)] {
        let (seen, began) = (Arc::new(AtomicU32::new(0)), Instant::now());
        let inner = service_fn({
            let seen = seen.clone();
            move |_: Request<Replay<String>>| {
                seen.fetch_add(1, Relaxed);
                async move { Ok::<_, BoxError>(answer(503, false, Some(pause))) }
            }
        });
        let last = HedgeLayer::new(hedge()).layer(inner).oneshot(Request::new(String::new())).await.unwrap();
        assert_eq!((last.status().as_u16(), seen.load(Relaxed)), (503, calls), "{pause}");
        assert_eq!((Instant::now() - began).as_secs(), took, "{pause}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_at_once_that_ask_to_slow_down_do_not_teach() {
    let layer = HedgeLayer::new(Hedge::new().warm_up(4));
    let handle = layer.handle();
    let inner =
        service_fn(|_: Request<Replay<String>>| async { Ok::<_, BoxError>(answer(429, false, None)) });
    for _ in 0..16 {
        let _ = layer.layer(inner).oneshot(Request::new(String::new())).await.unwrap();
    }
    assert_eq!(handle.snapshot().delay, None);
}

#[tokio::test(start_paused = true)]
async fn a_failure_does_not_hold_what_the_next_copy_waits_for() {
    use std::task::{Context, Poll};
    use tokio::sync::{OwnedSemaphorePermit, Semaphore};
    use tower::Service;

    /// Serves one at a time, to the end of its answer's body.
    struct One(Arc<Semaphore>, Option<OwnedSemaphorePermit>);

    impl Clone for One {
        fn clone(&self) -> Self {
            Self(self.0.clone(), None)
        }
    }

    struct Held(#[allow(dead_code, reason = "it is held")] OwnedSemaphorePermit);

    impl http_body::Body for Held {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
            Poll::Ready(None)
        }
    }

    impl<Req> Service<Req> for One {
        type Response = Response<Held>;
        type Error = BoxError;
        type Future = std::future::Ready<Result<Response<Held>, BoxError>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            if self.1.is_none() {
                match self.0.clone().try_acquire_owned() {
                    Ok(permit) => self.1 = Some(permit),
                    Err(_) => return Poll::Pending,
                }
            }
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: Req) -> Self::Future {
            let body = Held(self.1.take().unwrap());
            std::future::ready(Ok(Response::builder().status(503).body(body).unwrap()))
        }
    }

    let one = One(Arc::new(Semaphore::new(1)), None);
    let hedge = HedgeLayer::new(Hedge::new().delay(Duration::from_millis(10)));
    let call = hedge.layer(one).oneshot(Request::new(String::new()));
    let answer = tokio::time::timeout(Duration::from_secs(3600), call).await;
    assert_eq!(answer.expect("nobody waits for ever").unwrap().status(), 503);
}
