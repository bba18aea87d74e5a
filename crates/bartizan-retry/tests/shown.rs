//! What the registry shows of a retry layer, and how it is steered from there.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Context, Instant, Kind, Reason, Refused};
use bartizan_http::Replay;
use bartizan_retry::{Backoff, Budget, Jitter, Retry, RetryLayer, RetryOn};
use http::{Request, Response};
use http_body_util::BodyExt;
use seen::{dead, find, settings};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio_test::assert_pending;
use tokio_test::task::spawn;
use tower::{Layer, ServiceExt, service_fn};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const SECOND: Duration = Duration::from_secs(1);
const OPEN: Reason = Reason::new("breaker", Kind::Unavailable, "open");

/// What comes of an attempt.
#[derive(Clone, Copy)]
enum Step {
    Status(u16),
    Told,
    NeverArrives,
    Refused(Option<Duration>),
    Hangs,
}

use Step::{Hangs, NeverArrives, Refused as Refuses, Status, Told};

/// Sends a request through the layer to a service that does this, and then answers.
async fn send(
    layer: RetryLayer,
    script: &'static [Step],
    req: http::request::Builder,
) -> Result<u16, BoxError> {
    let calls = Arc::new(AtomicUsize::new(0));
    let inner = service_fn(move |req: Request<Replay<String>>| {
        let step = script.get(calls.fetch_add(1, Relaxed)).copied().unwrap_or(Status(200));
        async move {
            let mut answer = Response::new(String::new());
            match step {
                Status(status) => *answer.status_mut() = status.try_into()?,
                Told => {
                    *answer.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                    answer.headers_mut().insert("retry-after", "3600".parse()?);
                }
                NeverArrives => return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into()),
                Refuses(wait) => {
                    *answer.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                    let refused = Refused::new(&OPEN);
                    let refused = wait.map_or(refused.clone(), |wait| refused.with_retry_after(wait));
                    answer.extensions_mut().insert(refused);
                }
                Hangs => {
                    req.into_body().collect().await?;
                    std::future::pending::<()>().await;
                }
            }
            Ok::<_, BoxError>(answer)
        }
    });
    Ok(layer.layer(inner).oneshot(req.body("a body".repeat(8))?).await?.status().as_u16())
}

fn retry() -> Retry {
    Retry::new()
        .max_retries(1)
        .backoff(Backoff::constant(SECOND).jitter(Jitter::None))
        .on(RetryOn::code(503))
        .budget(Budget::new().persistence(1.0).min_tokens(3).ratio(0.1))
        .max_body(64)
}

#[tokio::test(start_paused = true)]
async fn every_number_is_of_something_that_happens() {
    let layer = RetryLayer::new(retry()).named("every");
    let (shown, get) = (find("every"), || Request::get("/"));
    let late = Context::new().with_deadline(Instant::now() + SECOND / 2);
    let whole: Vec<(&'static [Step], http::request::Builder, &str)> = vec![
        (&[Status(503)], get(), "retries"),
        (&[NeverArrives], get(), "resent"),
        (&[Refuses(Some(SECOND))], get(), "waited"),
        (&[Status(500)], get(), "not_asked"),
        (&[Status(503)], Request::post("/"), "not_repeatable"),
        (&[Told], get(), "told"),
        (&[Refuses(None)], get(), "refused"),
        (&[Status(503), Status(503)], get(), "out_of_tries"),
        (&[Status(503)], get().extension(late), "out_of_time"),
    ];
    for (script, req, ought) in whole {
        assert!(dead(&*shown).contains(&ought), "{ought}");
        let _ = send(layer.clone(), script, req).await;
        assert!(!dead(&*shown).contains(&ought), "{ought}");
    }
    layer.handle().update(retry().max_body(8));
    send(layer.clone(), &[Status(503)], get()).await.unwrap();
    layer.handle().update(retry());
    assert!(!dead(&*shown).contains(&"too_large"));
    while dead(&*shown).contains(&"out_of_budget") {
        send(layer.clone(), &[Status(503), Status(503)], get()).await.unwrap();
    }
    assert_eq!(shown.state(), "exhausted");
    for _ in 0..10 {
        send(layer.clone(), &[], get()).await.unwrap();
    }
    assert_eq!(shown.state(), "enabled");
    let mut call = spawn(send(layer.clone(), &[Hangs], get()));
    assert_pending!(call.poll());
    assert!(dead(&*shown).is_empty(), "{:?}", dead(&*shown));
    let seen = layer.handle().snapshot();
    assert_eq!(seen.attempts(), seen.calls + seen.retries + seen.resent + seen.waited);
    assert!(seen.failed() > seen.out_of_budget && seen.failed() < seen.calls);
}

#[tokio::test(start_paused = true)]
async fn it_is_switched_and_set_and_what_is_wrong_changes_nothing() {
    let layer = RetryLayer::new(retry().max_retries(2)).named("steered");
    let shown = find("steered");
    let before = [("max_retries", 2.0), ("max_hint_seconds", 60.0), ("budget_ratio", 0.1)].into();
    assert_eq!(settings(&*shown), before);
    for (setting, value) in
        [("max_retries", 0.5), ("max_hint_seconds", -1.0), ("budget_ratio", 1.5), ("backoff", 1.0)]
    {
        assert!(shown.set(setting, value).is_err(), "{setting}");
    }
    assert_eq!(settings(&*shown), before);
    let after = [("max_retries", 1.0), ("max_hint_seconds", 0.5), ("budget_ratio", 0.25)];
    for (setting, value) in after {
        shown.set(setting, value).unwrap();
    }
    assert_eq!(settings(&*shown), after.into());
    assert_eq!(layer.handle().purse().budget().share(), 0.25);

    assert_eq!(shown.verbs(), ["enable", "disable"]);
    assert!(shown.act("reset").is_err());
    shown.act("disable").unwrap();
    assert_eq!(send(layer.clone(), &[Status(503)], Request::get("/")).await.unwrap(), 503);
    assert_eq!(shown.state(), "disabled");
    shown.act("enable").unwrap();
    assert_eq!(send(layer, &[Status(503)], Request::get("/")).await.unwrap(), 200);
    assert_eq!(shown.state(), "enabled");
}
