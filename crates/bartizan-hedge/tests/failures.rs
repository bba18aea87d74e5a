//! Which failure a hedged call ends with, when all of its copies have failed, and when.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Kind, Reason, Refused};
use bartizan_hedge::{Budget, FailedCopies, Hedge, HedgeLayer, Outcome};
use bartizan_http::Replay;
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
