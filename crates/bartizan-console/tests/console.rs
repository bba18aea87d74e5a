//! The routes and the streams, called without a server and on a paused clock.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, RETRY_AFTER};
use axum::http::{Request, Response, StatusCode};
use bartizan_breaker::{Breaker, BreakerLayer};
use bartizan_console::Console;
use bartizan_core::Instant;
use http_body_util::BodyExt;
use serde_json::Value;
use std::time::Duration;
use tower::ServiceExt;

fn get(path: &str) -> Request<Body> {
    Request::get(path).header(HOST, "localhost:8088").body(Body::empty()).unwrap()
}

async fn ask(console: &Console, request: Request<Body>) -> Response<Body> {
    Router::new().nest("/ops", console.router()).oneshot(request).await.unwrap()
}

async fn open(console: &Console) -> Body {
    let response = ask(console, get("/ops/stream")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
    response.into_body()
}

async fn problem(response: Response<Body>) -> Value {
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["status"], status);
    problem
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_dropped_free_their_places() {
    let console = Console::new().max_streams(2);
    let held = (open(&console).await, open(&console).await);
    assert_eq!(console.streams(), 2);
    let refused = ask(&console, get("/ops/stream")).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[RETRY_AFTER], "5");
    problem(refused).await;
    drop(held.0);
    assert_eq!(console.streams(), 1);
    let _again = open(&console).await;
}

#[tokio::test(start_paused = true)]
async fn a_history_has_a_place_until_it_is_read_or_dropped() {
    let console = Console::new().max_streams(1);
    drop(open(&console).await);
    let unread = ask(&console, get("/ops/history")).await;
    assert_eq!((unread.status(), console.streams()), (StatusCode::OK, 1));
    for path in ["/ops/history", "/ops/stream"] {
        assert_eq!(ask(&console, get(path)).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    drop(unread);
    let read = ask(&console, get("/ops/history")).await.into_body().collect().await.unwrap().to_bytes();
    assert!(serde_json::from_slice::<Value>(&read).unwrap().is_array());
    assert_eq!(console.streams(), 0);
}

#[tokio::test]
async fn the_page_is_told_how_often_the_console_looks() {
    let console = Console::new().every(Duration::from_secs(600));
    let about = ask(&console, get("/ops/console/about")).await.into_body().collect().await.unwrap();
    let about: Value = serde_json::from_slice(&about.to_bytes()).unwrap();
    assert_eq!(about["every_seconds"], 600.0);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_streams_that_wait_and_refuses_new_ones() {
    let console = Console::new().every(Duration::from_secs(600));
    let mut stream = open(&console).await;
    assert!(stream.frame().await.is_some());
    let start = Instant::now();
    let waiting = tokio::spawn(async move { stream.frame().await.is_none() });
    tokio::task::yield_now().await;
    console.clone().close();
    assert!(waiting.await.unwrap());
    assert_eq!(Instant::now(), start, "it was woken, and not by its clock");
    assert_eq!(ask(&console, get("/ops/stream")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask(&console, get("/ops/layers")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn only_those_who_ask_for_loopback_are_answered() {
    let console = Console::new();
    for path in ["/ops/layers", "/ops/stream"] {
        let foreign = || Request::get(path).header(HOST, "evil.example").body(Body::empty()).unwrap();
        let refused = ask(&console, foreign()).await;
        assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST);
        problem(refused).await;
        assert_eq!(ask(&console.clone().any_host(), foreign()).await.status(), StatusCode::OK);
        let mut embedded = get(path);
        embedded.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
        assert_eq!(ask(&console, embedded).await.status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(console.streams(), 0);
}

#[tokio::test]
async fn it_is_read_and_not_written_nor_kept() {
    let console = Console::new();
    for path in ["/ops/layers", "/ops/stream"] {
        let mut post = get(path);
        *post.method_mut() = "POST".parse().unwrap();
        let refused = ask(&console, post).await;
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers()[ALLOW], "GET,HEAD");
        problem(refused).await;
        let answer = ask(&console, get(path)).await;
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
        assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_tells_how_long_and_why() {
    let layer = BreakerLayer::new(Breaker::new()).named("told");
    let of = async || {
        let body = ask(&Console::new(), get("/ops/layers")).await.into_body().collect().await.unwrap();
        let layers: Vec<Value> = serde_json::from_slice(&body.to_bytes()).unwrap();
        layers.into_iter().find(|layer| layer["name"] == "told").unwrap()
    };
    assert_eq!(of().await["note"], Value::Null);
    layer.handle().force_open_for(Duration::from_millis(2_500));
    let open = of().await;
    assert_eq!((&open["state"], &open["note"]), (&"open".into(), &"forced".into()));
    assert_eq!(open["numbers"]["retry_after_seconds"], 2.5);
    layer.handle().shadow();
    assert_eq!(of().await["note"], "forced; in shadow, nothing is refused");
}

#[test]
fn it_is_shared_between_threads_and_shows_itself() {
    fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let console = Console::new().max_streams(3);
    is_shared(&console);
    assert_eq!(
        format!("{console:?}"),
        "Console { every: 250ms, max_streams: 3, any_host: false, writable: false, token: false, streams: 0, .. }"
    );
}
