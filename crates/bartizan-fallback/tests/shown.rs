//! What the registry shows of fallbacks and of kept answers, and how they are steered from there.
#![cfg(feature = "stale")]
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod origin;

use bartizan_fallback::stale::Snapshot;
use bartizan_fallback::{Fallback, FallbackLayer, FallbackOn, Stale, StaleLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use origin::{Origin, SECOND, Scene, drip, pass, request, say, say_body};
use seen::{dead, find, settings};
use std::future::{pending, ready};
use tokio_test::assert_pending;
use tokio_test::task::spawn;
use tower::{BoxError, Layer, ServiceExt, service_fn};

#[tokio::test]
async fn every_number_of_a_fallback_is_of_something_that_happens() {
    let fails = |status: u16| {
        service_fn(move |_: Request<()>| {
            ready(Ok::<_, BoxError>(
                Response::builder().status(status).body(Full::<Bytes>::default()).unwrap(),
            ))
        })
    };
    let on = FallbackOn::code(500).and(FallbackOn::code(503));
    let layer = FallbackLayer::new(Fallback::new().on(on).max_in_flight(1)).named("every");
    let shown = find("every");
    let declines = layer.clone().with(|failure| {
        (failure.outcome() != bartizan_fallback::Outcome::Status(503)).then(|| Response::new("instead"))
    });
    for (status, ought) in [(500, "used"), (503, "declined"), (404, ""), (502, "passed")] {
        assert!(ought.is_empty() || dead(&*shown).contains(&ought), "{ought}");
        declines.layer(fails(status)).oneshot(Request::new(())).await.unwrap();
        assert!(!dead(&*shown).contains(&ought), "{ought}");
    }
    let failing = layer.clone().call(|_| async { Err::<Response<&str>, _>("no better") });
    assert!(failing.layer(fails(500)).oneshot(Request::new(())).await.is_err());
    let hanging = layer.call(|_| pending::<Response<&str>>());
    let mut first = spawn(hanging.layer(fails(500)).oneshot(Request::new(())));
    assert_pending!(first.poll());
    assert_eq!(hanging.layer(fails(500)).oneshot(Request::new(())).await.unwrap().status(), 500);
    assert_eq!(dead(&*shown), [""; 0]);
}

#[tokio::test]
async fn a_fallback_is_switched_and_set() {
    let layer = FallbackLayer::new(Fallback::new()).named("steered");
    let shown = find("steered");
    assert_eq!(settings(&*shown), [("max_in_flight", 100.0), ("max_wait_seconds", 0.0)].into());
    for (setting, value) in [("max_in_flight", 0.5), ("max_wait_seconds", -1.0), ("on", 500.0)] {
        assert!(shown.set(setting, value).is_err(), "{setting}");
    }
    shown.set("max_in_flight", 5.0).unwrap();
    shown.set("max_wait_seconds", 0.25).unwrap();
    assert_eq!(settings(&*shown), [("max_in_flight", 5.0), ("max_wait_seconds", 0.25)].into());
    shown.act("disable").unwrap();
    assert_eq!((shown.state(), layer.handle().value().to_string().as_str()), ("disabled", "off"));
    shown.act("enable").unwrap();
    assert_eq!(shown.state(), "enabled");
    assert!(shown.act("purge").is_err());
}

#[tokio::test(start_paused = true)]
async fn every_number_of_kept_answers_is_of_something_that_happens() {
    // The first answer is good, and what becomes of the others their path says.
    let origin = Origin::new(|_, req| async move {
        let (path, has_condition) =
            (req.uri().path().to_owned(), req.headers().contains_key("if-none-match"));
        let fails = req.headers().contains_key("x-fails");
        match path.as_str() {
            _ if fails => say(503, "", "down"),
            "/slow" | "/slow/too" => {
                tokio::time::sleep(SECOND).await;
                say(200, "cache-control: max-age=60", "slow")
            }
            "/hangs" if has_condition => pending().await,
            "/drips" => say_body(200, "cache-control: max-age=60", drip(&["a", "b"])),
            _ if has_condition => say(304, "etag: \"1\"", ""),
            _ => say(200, "cache-control: max-age=10|etag: \"1\"", "good"),
        }
    });
    let value = Stale::new()
        .fresh(true)
        .coalesce(true)
        .if_error(600 * SECOND)
        .refresh_backoff(5 * SECOND, 5 * SECOND)
        .lease(10 * SECOND);
    let layer = StaleLayer::new(value.clone()).named("every kept");
    let (scene, shown) = (Scene::of(&layer, origin), find("every kept"));
    let fails = |path| request("GET", path, "x-fails: 1");

    let both = tokio::join!(scene.get("/slow", ""), scene.get("/slow", ""));
    assert_eq!((both.0.status, both.1.body.as_str()), (200, "slow"));
    scene.get("/a", "").await;
    scene.get("/a", "").await;
    assert_eq!(scene.get("/never", "cache-control: only-if-cached").await.status, 504);
    pass(20 * SECOND).await;
    assert_eq!(scene.get("/a", "").await.body, "good", "it was asked whether it holds still");
    pass(20 * SECOND).await;
    assert!(scene.send(fails("/a")).await.unwrap().degraded.is_some());
    assert!(scene.send(fails("/a")).await.unwrap().degraded.is_some(), "the service is spared");
    assert_eq!(shown.state(), "degraded");

    // A refresh fails, and another one takes too long.
    pass(20 * SECOND).await;
    scene.get("/hangs", "").await;
    scene.handle.update(value.clone().while_revalidate(600 * SECOND));
    pass(20 * SECOND).await;
    assert_eq!(scene.send(fails("/a")).await.unwrap().status, 200);
    assert_eq!(scene.get("/hangs", "").await.status, 200);
    for name in ["refreshes_failed", "refreshes_late"] {
        assert!(dead(&*shown).contains(&name), "{name}");
    }
    // The refreshes begin, and then their time goes by.
    pass(SECOND).await;
    pass(20 * SECOND).await;
    let failed = |of: Snapshot| (of.refreshes, of.refreshes_failed, of.refreshes_late);
    assert_eq!(failed(scene.handle.snapshot()), (2, 1, 1));

    // All that is under way, at once.
    pass(10 * SECOND).await;
    assert_eq!(scene.get("/hangs", "").await.status, 200);
    let answer = scene.call(request("GET", "/drips", "")).await.unwrap();
    let mut body = spawn(Box::pin(answer.into_body().collect()));
    assert_pending!(body.poll());
    pass(SECOND).await;
    assert_pending!(body.poll());
    let mut both = [(); 2].map(|()| spawn(Box::pin(scene.get("/slow/too", ""))));
    for read in &mut both {
        assert_pending!(read.poll());
    }
    assert_eq!(dead(&*shown), [""; 0]);
    let mut times = Vec::new();
    shown.times(&mut |name, times_of| times.push((name, times_of.count() > 3)));
    assert_eq!(times, [("stale_seconds", true)]);
}

#[tokio::test(start_paused = true)]
async fn kept_answers_are_switched_set_and_purged() {
    let layer = StaleLayer::new(Stale::new().if_error(SECOND)).named("steered, kept");
    let origin = Origin::new(|n, _| async move { say(200, "cache-control: max-age=60", n.to_string()) });
    let (scene, shown) = (Scene::of(&layer, origin), find("steered, kept"));
    let names: Vec<_> = settings(&*shown).into_keys().collect();
    assert_eq!(names, ["if_error_seconds", "max_bytes", "max_entries"]);
    for (setting, value) in
        [("max_entries", 0.5), ("if_error_seconds", -1.0), ("while_revalidate_seconds", 1.0)]
    {
        assert!(shown.set(setting, value).is_err(), "{setting}");
    }
    for (setting, value) in [("max_entries", 10.0), ("max_bytes", 65536.0), ("if_error_seconds", 600.0)] {
        shown.set(setting, value).unwrap();
    }
    assert_eq!(scene.handle.value(), Stale::new().if_error(600 * SECOND).max_entries(10).max_bytes(65536));

    scene.get("/", "").await;
    assert_eq!(scene.handle.snapshot().entries, 1);
    shown.act("purge").unwrap();
    assert_eq!(scene.handle.snapshot().entries, 0);
    shown.act("disable").unwrap();
    scene.get("/", "").await;
    assert_eq!((shown.state(), scene.handle.snapshot().reads), ("disabled", 1));
    shown.act("enable").unwrap();
    scene.get("/", "").await;
    assert_eq!((shown.state(), scene.handle.snapshot().reads), ("enabled", 2));
    assert!(shown.act("reset").is_err());
}
