//! Callers that leave while they read, wait for others, or have others wait for them: nobody is stranded, and nothing is held.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::routing::any;
use bartizan_client::Client;
use bartizan_fallback::stale::Handle;
use bartizan_fallback::{Stale, StaleLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use stack::{Player, boxed, clients, crowd, serve, soon, until};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::task::{JoinSet, yield_now};
use tower::{Layer, Service, service_fn};

/// All that the layer does, on reads that may be repeated at will.
fn all() -> Stale {
    let second = Duration::from_secs(1);
    let moment = Duration::from_millis(1);
    Stale::new()
        .if_error(60 * second)
        .while_revalidate(moment)
        .coalesce(true)
        .lease(20 * moment)
        .refresh_backoff(moment, 5 * moment)
        .seed(1)
}

async fn is_idle(handle: &Handle) {
    until(|| {
        let seen = handle.snapshot();
        (seen.in_flight, seen.waiting, seen.refreshing, seen.recording) == (0, 0, 0, 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_server() {
    let layer = StaleLayer::new(all());
    let handle = layer.handle();
    let url = serve(Router::new().route("/", any(Player::new())).layer(layer)).await;
    crowd(&Client::new(boxed!(&tower::layer::util::Identity::new(), stack::reqwest(false))), &url).await;
    is_idle(&handle).await;
    let seen = handle.snapshot();
    assert!(seen.reads > 100 && seen.stored > 0 && seen.unanswered > 0, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn around_clients() {
    let url = serve(Router::new().route("/", any(Player::new()))).await;
    for (name, client) in clients!(StaleLayer::new(all())) {
        println!("{name}");
        crowd(&client, &url).await;
    }
    let layer = StaleLayer::new(all());
    for (_, client) in clients!(layer) {
        crowd(&client, &url).await;
    }
    is_idle(&layer.handle()).await;
    assert!(layer.handle().snapshot().reads > 400);
}

/// Yields so often, whichever thread it comes back on.
async fn linger(times: usize) {
    for _ in 0..times {
        yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let inner = service_fn(move |_: Request<Full<Bytes>>| {
        let n = count.fetch_add(1, Relaxed);
        async move {
            linger(n % 7).await;
            let answer = Response::builder();
            let answer = match n % 5 {
                0 => answer.status(503),
                1 => answer.header("cache-control", "private"),
                _ => answer,
            };
            Ok::<_, Infallible>(answer.body(Full::from(n.to_string())).unwrap())
        }
    });
    // No time-out helps: who is forgotten hangs.
    let layer = StaleLayer::new(Stale::new().coalesce(true).lease(Duration::from_secs(3600)));
    let service = layer.layer(inner);
    for round in 0..300_usize {
        let mut reads = JoinSet::new();
        for read in 0..16_usize {
            let mut service = service.clone();
            reads.spawn(async move {
                let req = Request::get("/").body(Full::default()).unwrap();
                let call = async { service.call(req).await.unwrap().into_body().collect().await.unwrap() };
                // A third leaves after a while: before the call, within it, or within its body.
                if (round + read) % 3 == 0 {
                    tokio::select! {
                        biased;
                        () = linger((round * 7 + read * 3) % 11) => {}
                        _ = call => {}
                    }
                } else {
                    call.await;
                }
            });
        }
        soon(reads.join_all()).await;
    }
    is_idle(&layer.handle()).await;
    let seen = layer.handle().snapshot();
    assert!(seen.coalesced > 0 && calls.load(Relaxed) < 300 * 16, "{seen:?}");
}
