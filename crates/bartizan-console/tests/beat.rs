//! When a stream speaks. Alone in its process, for it speaks whenever any handle of the process has changed.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::HOST;
use bartizan_breaker::{Breaker, BreakerLayer};
use bartizan_console::Console;
use bartizan_core::Instant;
use http_body_util::BodyExt;
use serde_json::Value;
use std::time::Duration;
use tower::ServiceExt;

/// The state of the breaker, as the next event has it.
async fn next(stream: &mut Body) -> String {
    let event = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    let json = event.strip_prefix(b"data: ").and_then(|event| event.strip_suffix(b"\n\n")).unwrap();
    let layers: Value = serde_json::from_slice(json).unwrap();
    layers[0]["state"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_event_comes_at_once_then_at_changes_then_as_a_heartbeat() {
    let breaker = BreakerLayer::new(Breaker::new()).named("beat").handle();
    let app: Router = Console::new().router();
    let request = Request::get("/stream").header(HOST, "localhost").body(Body::empty()).unwrap();
    let mut stream = app.oneshot(request).await.unwrap().into_body();
    let start = Instant::now();
    assert_eq!(next(&mut stream).await, "closed");
    assert_eq!(Instant::now(), start);
    breaker.force_open();
    assert_eq!(next(&mut stream).await, "forced open");
    assert_eq!(Instant::now() - start, Duration::from_millis(250));
    assert_eq!(next(&mut stream).await, "forced open");
    assert_eq!(Instant::now() - start, Duration::from_millis(5_250));
}
