//! A meter in its places: before servers over many connections, and around their real clients.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use axum::Router;
use axum::routing::get;
use bartizan_breaker::{Breaker, BreakerLayer};
use bartizan_client::Client;
use bartizan_meter::{Handle, Meter, MeterLayer};
use bartizan_shed::{Shed, ShedLayer};
use futures_util::future::join_all;
use http::StatusCode;
use http_body_util::BodyExt;
use stack::echo::{self, EchoClient, EchoServer, channel, read};
use stack::{Player, Reach, ask, serve, soon, until};
use tonic::transport::Server;
use tower::{Layer, ServiceBuilder};

fn meter() -> (MeterLayer, Handle) {
    let layer = MeterLayer::new(Meter::new());
    let handle = layer.handle();
    (layer, handle)
}

/// Successes, failures, throttled, ignored and abandoned, once nothing is in flight any more.
async fn outcomes(handle: &Handle) -> [u64; 5] {
    until(|| handle.snapshot().in_flight == 0).await;
    let seen = handle.snapshot();
    let outcomes = [seen.successes, seen.failures, seen.throttled, seen.ignored, seen.abandoned];
    assert_eq!(seen.durations.count(), outcomes.iter().sum::<u64>());
    outcomes
}

#[tokio::test]
async fn an_app_counts_over_fresh_connections() {
    for reach in Reach::ALL {
        println!("{reach:?}");
        let (layer, handle) = meter();
        let app = reach.reach(Router::new().route("/", get(Player::new())).layer(layer)).await;
        for _ in 0..3 {
            assert_eq!(app.ask("/").await.into_body().collect().await.unwrap().to_bytes(), "ok");
        }
        assert_eq!(app.ask("/?fail").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let torn = app.ask("/?tear").await;
        assert!(torn.into_body().collect().await.is_err());
        assert_eq!(outcomes(&handle).await, [3, 2, 0, 0, 0]);

        let dripping = app.ask("/?drip").await;
        assert_eq!(handle.snapshot().in_flight, 1);
        drop(dripping);
        assert_eq!(outcomes(&handle).await, [4, 2, 0, 0, 0]);
    }
}

#[tokio::test]
async fn what_a_layer_inside_refuses_is_ignored() {
    let (layer, handle) = meter();
    let one = ShedLayer::new(Shed::fixed(1));
    let route = get(Player::new()).layer(ServiceBuilder::new().layer(layer).layer(one));
    let url = serve(Router::new().route("/", route)).await;
    let drip = format!("{url}/?drip");
    let answers = join_all((0..5).map(|_| ask(&drip))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status() == StatusCode::OK).count(), 1);
    drop(answers);
    assert_eq!(outcomes(&handle).await, [1, 0, 0, 4, 0]);
}

#[tokio::test]
async fn a_caller_that_leaves_is_counted() {
    let (layer, handle) = meter();
    let url = serve(Router::new().route("/", get(Player::new())).layer(layer)).await;
    let hung = tokio::spawn(async move { ask(&format!("{url}/?hang")).await });
    until(|| handle.snapshot().in_flight == 1).await;
    hung.abort();
    assert_eq!(outcomes(&handle).await, [0, 0, 0, 0, 1]);
}

#[tokio::test]
async fn a_grpc_call_is_judged_by_its_trailers_on_both_sides() {
    let (inside, served) = meter();
    let (around, called) = meter();
    let channel = channel(|incoming| {
        Server::builder()
            .layer(inside)
            .add_service(EchoServer::new(echo::Player))
            .serve_with_incoming(incoming)
    });
    let mut client = EchoClient::new(around.layer(channel.await));
    soon(client.unary("well")).await.unwrap();
    soon(client.unary("fail")).await.unwrap_err();
    let words = soon(client.server_stream("one two")).await.unwrap().into_inner();
    assert_eq!(read(words).await.0, "one two");
    // The second word fails when the head of the answer was good.
    let words = soon(client.server_stream("one fail")).await.unwrap().into_inner();
    assert!(read(words).await.1.is_some());
    for handle in [&served, &called] {
        assert_eq!(outcomes(handle).await, [2, 2, 0, 0, 0]);
    }
}

#[tokio::test]
async fn a_client_counts_calls_outside_and_attempts_inside() {
    let player = Player::new();
    let url = serve(Router::new().route("/", get(player.clone()))).await;
    let (outside, calls) = meter();
    let (inside, attempts) = meter();
    let stack = ServiceBuilder::new()
        .layer(outside)
        .layer(bartizan_retry::RetryLayer::new(stack::retry()))
        .layer(inside)
        .service(stack::reqwest(false));
    let client = Client::new(stack);
    let answer = soon(client.get(format!("{url}/?moody")).send()).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
    assert_eq!((outcomes(&calls).await, outcomes(&attempts).await), ([1, 0, 0, 0, 0], [1, 2, 0, 0, 0]));

    let breaker = BreakerLayer::new(Breaker::new());
    breaker.handle().force_open();
    let (outside, calls) = meter();
    let stack = ServiceBuilder::new().layer(outside).layer(breaker).service(stack::reqwest(false));
    soon(Client::new(stack).get(url).send()).await.unwrap_err();
    assert_eq!(outcomes(&calls).await, [0, 0, 0, 1, 0]);
}
