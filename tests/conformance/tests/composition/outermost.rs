//! Row C07: a fallback around retries around a breaker, through a total outage.

use bartizan_breaker::{BreakerLayer, State};
use bartizan_fallback::{Degraded, Fallback, FallbackLayer};
use bartizan_http::Replay;
use bartizan_retry::{Budget, Retry, RetryLayer};
use bytes::Bytes;
use conformance::{Call, F, HttpAnswer, Mode, Probe, REFERENCE, S, secs};
use http::{Request, Response};
use http_body_util::Full;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

/// Plays an outage of half an hour, of a call every 100 ms, and what comes after. `call` says whether it was answered by the fallback.
async fn outage(
    mode: Mode,
    breaker: &bartizan_breaker::Handle,
    calls: impl Fn() -> u64,
    mut call: impl AsyncFnMut(bool) -> bool,
) {
    while breaker.state() == State::Closed {
        assert!(call(false).await);
        advance(Duration::from_millis(100)).await;
    }
    let (tripped, mut probes) = (calls(), 0);
    assert!(tripped <= 10 * mode.calls() * 3, "{tripped} calls until it trips");
    for _ in 0..18_000 {
        let before = calls();
        let closed = breaker.state() == State::Closed;
        assert!(call(false).await, "every call gets the fallback");
        probes += calls() - before;
        assert!(!closed);
        advance(Duration::from_millis(100)).await;
    }
    // Pauses of 5 s to a minute, and four probes after each: they see that it is still down.
    assert!((80..=240 * mode.calls()).contains(&probes), "{probes} calls of the inner service");

    advance(secs(61.0)).await;
    for _ in 0..10 * 60 {
        call(true).await;
        advance(Duration::from_millis(100)).await;
    }
    assert_eq!(breaker.state(), State::Closed);
    assert!(!call(true).await, "and then none does");
}

/// Retries at once where somebody fails, and waits for no breaker.
fn retry() -> Retry {
    Retry::new().max_hint(Duration::ZERO).seed(7).budget(Budget::new().seed(7))
}

#[tokio::test(start_paused = true)]
async fn c07_fallback_outermost() {
    for mode in Mode::ALL {
        let (breaker, fallback) = (BreakerLayer::new(REFERENCE), FallbackLayer::new(Fallback::new()));
        let up = Arc::new(AtomicBool::new(false));
        let answers = up.clone();
        let probe = Probe::new(move |_: Request<Replay<Full<Bytes>>>| -> HttpAnswer {
            Call::answer_http(Request::new(if answers.load(SeqCst) { S } else { F }))
        });
        let (tally, handle) = (probe.tally(), breaker.handle());
        let layer = fallback.value(Response::new("instead"));
        let mut service = layer.layer(RetryLayer::new(retry()).layer(breaker.layer(probe)));
        outage(
            mode,
            &handle,
            || tally.calls(),
            async |good| {
                up.store(good, SeqCst);
                let response = mode.call(&mut service, || Request::new(Full::default())).await.unwrap();
                assert_eq!(response.status(), 200);
                response.extensions().get::<Degraded>().is_some()
            },
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn c07_fallback_outermost_typed() {
    for mode in Mode::ALL {
        let breaker = BreakerLayer::new(REFERENCE);
        let probe = Probe::new(Call::answer_typed);
        let (tally, handle) = (probe.tally(), breaker.handle());
        let layer = FallbackLayer::new(Fallback::new()).typed(|_: &Call| true).value("instead");
        let retry = RetryLayer::new(retry()).typed(|call: &Call| Some(*call));
        let mut service = layer.layer(retry.layer(breaker.typed().layer(probe)));
        outage(
            mode,
            &handle,
            || tally.calls(),
            async |good| {
                let call = if good { S } else { F };
                mode.call(&mut service, || call).await.unwrap() == "instead"
            },
        )
        .await;
    }
}
