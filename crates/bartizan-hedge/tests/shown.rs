//! What the registry shows of a hedge layer, and how it is steered from there.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_core::{Context, Instant};
use bartizan_hedge::{Budget, Hedge, HedgeLayer};
use bartizan_http::Replay;
use http::{Request, Response};
use http_body_util::BodyExt;
use seen::{dead, find, numbers, settings};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{self, Poll};
use std::time::Duration;
use tokio::time::sleep;
use tokio_test::assert_pending;
use tokio_test::task::spawn;
use tower::{Layer, Service, ServiceExt};

const MS: Duration = Duration::from_millis(1);

/// Statuses, and after how many milliseconds each.
type Script = &'static [(u16, u64)];

/// Answers each copy so; what is beyond the script hangs.
#[derive(Clone)]
struct Inner {
    script: Script,
    calls: Arc<AtomicUsize>,
    /// How often it gets ready.
    readies: Arc<AtomicUsize>,
}

/// An answer by which a server asks to be left alone.
const TOLD: u16 = 429;

impl Service<Request<Replay<String>>> for Inner {
    type Response = Response<String>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Response<String>>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        let left = self.readies.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        Poll::Ready(left.map(drop).map_err(|_| io::Error::other("closed")))
    }

    fn call(&mut self, req: Request<Replay<String>>) -> Self::Future {
        let step = self.script.get(self.calls.fetch_add(1, Relaxed)).copied();
        Box::pin(async move {
            req.into_body().collect().await.map_err(io::Error::other)?;
            let Some((status, ms)) = step else { std::future::pending().await };
            sleep(Duration::from_millis(ms)).await;
            Ok(Response::builder().status(status).body(String::new()).unwrap())
        })
    }
}

/// Sends a request through the layer to a service that gets ready so often.
async fn send(layer: HedgeLayer, script: Script, readies: usize, left: Option<Duration>) -> io::Result<u16> {
    let inner = Inner { script, calls: Arc::default(), readies: Arc::new(readies.into()) };
    let mut req = Request::get("/").body("a body".repeat(8)).unwrap();
    if let Some(left) = left {
        req.extensions_mut().insert(Context::new().with_deadline(Instant::now() + left));
    }
    Ok(layer.layer(inner).oneshot(req).await?.status().as_u16())
}

#[tokio::test(start_paused = true)]
async fn every_number_is_of_something_that_happens() {
    let most = usize::MAX;
    // Of half of the calls a copy may be sent, so that the delay is that of the fast ones.
    let value = Hedge::new().extra(1.0).max_hedges(1).budget(Budget::new().min_tokens(1000)).seed(7);
    let layer = HedgeLayer::new(value.clone()).named("every");
    let shown = find("every");
    let is_dead = |name: &str| numbers(&*shown).get(name).is_none_or(|number| *number == 0.0);
    assert!(is_dead("delay_seconds") && is_dead("median_seconds"));
    assert_eq!(shown.state(), "learning");
    for _ in 0..20 {
        send(layer.clone(), &[(200, 50)], most, None).await.unwrap();
    }
    assert!(!is_dead("delay_seconds") && !is_dead("median_seconds"));
    assert_eq!(shown.state(), "enabled");

    let whole: [(Script, usize, Option<Duration>, &str); 6] = [
        (&[(200, 1000), (200, 10)], most, None, "won"),
        (&[(200, 80), (200, 1000)], most, None, "superseded"),
        (&[(200, 80), (500, 10)], most, None, "failed"),
        (&[(200, 1000)], 1, None, "unready"),
        (&[(TOLD, 10)], most, None, "told"),
        (&[(200, 70)], most, Some(80 * MS), "hopeless"),
    ];
    for (script, readies, left, ought) in whole {
        if ought != "superseded" {
            assert!(is_dead(ought), "{ought}");
        }
        let _ = send(layer.clone(), script, readies, left).await;
        assert!(!is_dead(ought), "{ought}: {:?}", numbers(&*shown));
    }
    layer.handle().update(value.clone().max_body(8));
    send(layer.clone(), &[(200, 80)], most, None).await.unwrap();
    layer.handle().update(value.clone());
    assert!(!is_dead("too_large"));
    while is_dead("useless") {
        send(layer.clone(), &[(200, 80), (200, 1000)], most, None).await.unwrap();
        send(layer.clone(), &[(200, 50)], most, None).await.unwrap();
    }
    layer.handle().update(value.clone().delay(60 * MS).budget(Budget::new().min_tokens(1).ratio(0.0)));
    while is_dead("unpaid") {
        send(layer.clone(), &[(200, 80), (200, 1000)], most, None).await.unwrap();
    }
    layer.handle().update(value);
    while is_dead("budget_left") {
        send(layer.clone(), &[(200, 50)], most, None).await.unwrap();
    }
    let mut call = spawn(send(layer.clone(), &[], most, None));
    assert_pending!(call.poll());
    assert_eq!(dead(&*shown), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn it_is_switched_and_set_and_what_is_wrong_changes_nothing() {
    let layer = HedgeLayer::new(Hedge::new()).named("steered");
    let shown = find("steered");
    let before = [("max_hedges", 2.0), ("extra", 0.05), ("min_delay_seconds", 0.001)].into();
    assert_eq!(settings(&*shown), before);
    for (setting, value) in
        [("max_hedges", 5.0), ("extra", 0.0), ("min_delay_seconds", f64::NAN), ("delay_seconds", 0.06)]
    {
        assert!(shown.set(setting, value).is_err(), "{setting}");
    }
    assert_eq!(settings(&*shown), before);
    let after = [("max_hedges", 1.0), ("extra", 0.5), ("min_delay_seconds", 0.02)];
    for (setting, value) in after {
        shown.set(setting, value).unwrap();
    }
    assert_eq!(settings(&*shown), after.into());

    layer.handle().update(Hedge::new().delay(10 * MS));
    shown.set("delay_seconds", 0.06).unwrap();
    assert_eq!(settings(&*shown)["delay_seconds"], 0.06);
    shown.act("disable").unwrap();
    assert_eq!(shown.state(), "disabled");
    send(layer.clone(), &[(200, 80), (200, 10)], usize::MAX, None).await.unwrap();
    assert_eq!(layer.handle().snapshot().hedges, 0);
    shown.act("enable").unwrap();
    send(layer.clone(), &[(200, 80), (200, 10)], usize::MAX, None).await.unwrap();
    assert_eq!((shown.state(), layer.handle().snapshot().won), ("enabled", 1));
    assert!(shown.act("reset").is_err());
}
