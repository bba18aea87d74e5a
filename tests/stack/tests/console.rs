//! The console behind `axum::serve`: what its readers see, and that they neither outstay a shutdown nor keep places of those
//! who left.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use bartizan_breaker::{Breaker, BreakerLayer};
use bartizan_console::Console;
use bartizan_deadline::DeadlineLayer;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HOST};
use serde_json::Value;
use stack::{ask, listen, serve, soon, until};
use std::time::Duration;
use tokio::sync::oneshot;

/// Looks often, so that no test waits long.
fn console() -> Console {
    Console::new().every(Console::MIN_EVERY)
}

fn app(console: &Console) -> Router {
    Router::new().nest("/ops", console.router())
}

fn find(layers: Value, name: &str) -> Value {
    let Value::Array(layers) = layers else { panic!("{layers}") };
    layers.into_iter().find(|layer| layer["name"] == name).unwrap()
}

/// A stream that is read event by event.
struct Reader {
    answer: reqwest::Response,
    read: Vec<u8>,
}

impl Reader {
    async fn open(url: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = soon(client.get(format!("{url}/ops/stream")).send()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/event-stream");
        Self { answer, read: Vec::new() }
    }

    /// The next event; `None` when the stream has ended as it should.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.windows(2).position(|bytes| bytes == b"\n\n") {
                let event: Vec<u8> = self.read.drain(..end + 2).collect();
                return Some(serde_json::from_slice(event.strip_prefix(b"data: ").unwrap()).unwrap());
            }
            self.read.extend(soon(self.answer.chunk()).await.unwrap()?);
        }
    }

    /// Reads on until an event shows this state.
    async fn until(&mut self, name: &str, state: &str) -> Value {
        loop {
            let layer = find(self.next().await.unwrap(), name);
            if layer["state"] == state {
                return layer;
            }
        }
    }
}

#[tokio::test]
async fn a_forced_breaker_is_shown_with_its_pause() {
    let layer = BreakerLayer::new(Breaker::new()).named("shown");
    let url = serve(app(&console())).await;
    let shown = async || {
        let answer = ask(&format!("{url}/ops/layers")).await;
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/json");
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        find(serde_json::from_slice(&body).unwrap(), "shown")
    };
    let closed = shown().await;
    assert_eq!((&closed["layer"], &closed["state"]), (&"breaker".into(), &"closed".into()));
    assert_eq!(closed["numbers"]["retry_after_seconds"], Value::Null);
    layer.handle().force_open_for(Duration::from_secs(3600));
    let open = shown().await;
    assert_eq!((&open["state"], &open["note"]), (&"open".into(), &"forced".into()));
    let left = open["numbers"]["retry_after_seconds"].as_f64().unwrap();
    assert!((3000.0..=3600.0).contains(&left), "{left}");
}

#[tokio::test]
async fn all_readers_hear_of_a_change() {
    let layer = BreakerLayer::new(Breaker::new()).named("heard");
    let url = serve(app(&console())).await;
    let mut readers = [Reader::open(&url).await, Reader::open(&url).await];
    for reader in &mut readers {
        assert_eq!(find(reader.next().await.unwrap(), "heard")["state"], "closed");
    }
    layer.handle().force_open();
    for reader in &mut readers {
        reader.until("heard", "forced open").await;
    }
    layer.handle().reset();
    for reader in &mut readers {
        reader.until("heard", "closed").await;
    }
}

#[tokio::test]
async fn a_stream_outlives_the_deadline_of_its_server() {
    let layer = BreakerLayer::new(Breaker::new()).named("outlived");
    let deadline = DeadlineLayer::new(Duration::from_millis(20));
    let watch = deadline.handle();
    let url = serve(app(&console()).layer(deadline)).await;
    let mut reader = Reader::open(&url).await;
    reader.until("outlived", "closed").await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    layer.handle().force_open();
    reader.until("outlived", "forced open").await;
    assert_eq!(watch.snapshot().timed_out, 0);
}

#[tokio::test]
async fn readers_that_leave_free_their_places() {
    let console = console().max_streams(2);
    let url = serve(app(&console)).await;
    let readers = (Reader::open(&url).await, Reader::open(&url).await);
    let refused = ask(&format!("{url}/ops/stream")).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[CONTENT_TYPE], "application/problem+json");
    drop(readers);
    until(|| console.streams() == 0).await;
    Reader::open(&url).await;
}

#[tokio::test]
async fn a_graceful_shutdown_waits_for_readers_until_the_console_is_closed() {
    let console = console();
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let app = app(&console);
    let served = tokio::spawn(async move {
        let stopped = async { stopped.await.unwrap() };
        axum::serve(listener, app).with_graceful_shutdown(stopped).await
    });
    let mut reader = Reader::open(&format!("http://{address}")).await;
    reader.next().await.unwrap();
    stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!served.is_finished());
    console.close();
    soon(served).await.unwrap().unwrap();
    let rest = async { while reader.next().await.is_some() {} };
    soon(rest).await;
    assert_eq!(console.streams(), 0);
}

#[tokio::test]
async fn a_foreign_host_is_refused() {
    let url = serve(app(&console())).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (host, status) in
        [("rebound.example", StatusCode::MISDIRECTED_REQUEST), ("localhost", StatusCode::OK)]
    {
        let asked = client.get(format!("{url}/ops/layers")).header(HOST, host).send();
        assert_eq!(soon(asked).await.unwrap().status(), status, "{host}");
    }
}
