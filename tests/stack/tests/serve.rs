//! The layers behind `axum::serve`, with many connections: their state is that of the app, not of a connection.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use axum::Router;
use axum::routing::get;
use bartizan_breaker::{Breaker, BreakerLayer, Consecutive, Ratio, State, Window};
use bartizan_deadline::{Deadline, DeadlineLayer};
use bartizan_limit::{Limit, LimitLayer};
use bartizan_shed::{Shed, ShedLayer};
use futures_util::future::join_all;
use http::StatusCode;
use stack::{Gauge, Player, Reach, Refusal, ask, listen, serve, soon, until};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::oneshot;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn each_rule_counts_over_fresh_connections() {
    let bare = Breaker::new().without_evidence();
    let ratio = Ratio::new(0.5).min_requests(6);
    for (rule, breaker, threshold) in [
        ("consecutive", bare.consecutive(Consecutive::new(5)), 5),
        ("ratio of the last", bare.failure_ratio(ratio.window(Window::calls(10))), 6),
        ("ratio of a time", bare.failure_ratio(ratio.window(Window::time(HOUR))), 6),
    ] {
        for reach in Reach::ALL {
            println!("{rule} by {reach:?}");
            let (layer, player) = (BreakerLayer::new(breaker), Player::new());
            let app = reach.reach(Router::new().route("/", get(player.clone())).layer(layer)).await;
            for _ in 0..threshold {
                assert_eq!(app.ask("/?fail").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
            }
            for _ in 0..3 {
                assert_eq!(Refusal::of(app.ask("/").await).await.layer, "breaker");
            }
            assert_eq!(player.calls(), threshold);
        }
    }
}

#[tokio::test]
async fn evidence_counts_over_fresh_connections() {
    // A trip asks for evidence that is 50 ms old, so that the number of failures is not known; ten are needed at least.
    for reach in Reach::ALL {
        let (layer, player) = (BreakerLayer::new(Breaker::new()), Player::new());
        let handle = layer.handle();
        let app = reach.reach(Router::new().route("/", get(player.clone())).layer(layer)).await;
        let opened = async {
            while app.ask("/?fail").await.status() == StatusCode::INTERNAL_SERVER_ERROR {
                assert!(handle.snapshot().evidence > 0.0);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon(opened).await;
        assert!(player.calls() >= 10, "{}", player.calls());
        assert_eq!(handle.snapshot().failures, player.calls() as u64);
        assert_eq!(Refusal::of(app.ask("/").await).await.reason, "open: evidence of failure");
    }
}

#[tokio::test]
async fn many_connections_at_once_share_one_limit() {
    let gauge = Gauge::new(10);
    let url = serve(Router::new().route("/", get(Player::new())).layer(gauge.layer())).await;
    let drip = format!("{url}/?drip");
    let answers = join_all((0..40).map(|_| ask(&drip))).await;
    let (held, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status() == StatusCode::OK);
    assert_eq!((held.len(), refused.len()), (10, 30));
    for answer in refused {
        assert_eq!(Refusal::of(answer).await, Refusal::new(429, "gauge", "full", Some(2)));
    }
    drop(held);
    until(|| gauge.in_flight() == 0).await;
    assert_eq!(gauge.peak(), 10);
}

#[tokio::test]
async fn many_streams_of_one_connection_share_one_limit() {
    let gauge = Gauge::new(10);
    let url = serve(Router::new().route("/", get(Player::new())).layer(gauge.layer())).await;
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let drip = format!("{url}/?drip");
    let answers = soon(join_all((0..40).map(|_| client.get(&drip).send()))).await;
    let (held, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().map(Result::unwrap).partition(|answer| answer.status() == StatusCode::OK);
    assert_eq!((held.len(), refused.len()), (10, 30));
    drop(held);
    until(|| gauge.in_flight() == 0).await;
}

#[tokio::test]
async fn a_shed_and_a_limit_count_over_many_connections_and_streams() {
    let h1 = || reqwest::Client::builder().no_proxy().build().unwrap();
    let h2 = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    for http2 in [false, true] {
        println!("HTTP/2: {http2}");
        let (shed, limit) = (ShedLayer::new(Shed::fixed(10)), LimitLayer::new(Limit::per(10, 10 * HOUR)));
        let places = shed.handle();
        let player = Player::new();
        let app = Router::new()
            .route("/shed", get(player.clone()).layer(shed))
            .route("/limit", get(player.clone()).layer(limit));
        let url = serve(app).await;
        let ask = async |path: &str| {
            let client = |_| if http2 { h2.clone() } else { h1() };
            let answers = (0..40).map(|n| client(n).get(format!("{url}{path}")).send());
            let answers = soon(join_all(answers)).await.into_iter().map(Result::unwrap);
            answers.partition::<Vec<_>, _>(|answer| answer.status() == StatusCode::OK)
        };
        let (held, refused) = ask("/shed?drip").await;
        assert_eq!((held.len(), refused.len(), places.snapshot().in_flight), (10, 30, 10));
        drop(held);
        until(|| places.snapshot().in_flight == 0).await;

        let (within, refused) = ask("/limit").await;
        assert_eq!((within.len(), refused.len(), player.calls()), (10, 30, 20));
    }
}

#[tokio::test]
async fn a_handle_steers_all_connections() {
    let layer = BreakerLayer::new(Breaker::new());
    let handle = layer.handle();
    let url = serve(Router::new().route("/", get(Player::new())).layer(layer)).await;
    assert_eq!(ask(&url).await.status(), StatusCode::OK);
    handle.force_open();
    let forced = Refusal::new(503, "breaker", "forced open", None);
    assert_eq!(Refusal::of(ask(&url).await).await, forced);
    handle.shadow();
    assert_eq!(ask(&url).await.status(), StatusCode::OK);
    handle.force_open_for(HOUR);
    handle.resume();
    let refusal = Refusal::of(ask(&url).await).await;
    // What is left of the hour is rounded up.
    assert!(refusal.retry_after.is_some_and(|wait| (3500..=3600).contains(&wait)), "{refusal:?}");
    assert_eq!(refusal.reason, "open: forced");
    handle.reset();
    assert_eq!(ask(&url).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_update_reaches_all_connections_and_keeps_what_was_seen() {
    let bare = Breaker::new().without_evidence();
    let layer = BreakerLayer::new(bare.consecutive(Consecutive::new(100)));
    let handle = layer.handle();
    let url = serve(Router::new().route("/", get(Player::new())).layer(layer)).await;
    let fail = format!("{url}/?fail");
    for _ in 0..3 {
        ask(&fail).await;
    }
    handle.update(bare.consecutive(Consecutive::new(4)));
    assert_eq!(handle.state(), State::Closed);
    assert_eq!(ask(&fail).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(Refusal::of(ask(&fail).await).await.layer, "breaker");

    let (shed, limit) = (ShedLayer::new(Shed::fixed(1)), LimitLayer::new(Limit::per(9, 9 * HOUR)));
    let (places, tokens) = (shed.handle(), limit.handle());
    let app = Router::new().route("/shed", get(Player::new()).layer(shed));
    let url = serve(app.route("/limit", get(Player::new()).layer(limit))).await;
    let held = ask(&format!("{url}/shed?drip")).await;
    places.update(Shed::fixed(2));
    let more = ask(&format!("{url}/shed?drip")).await;
    assert_eq!((more.status(), places.snapshot().in_flight), (StatusCode::OK, 2));
    assert_eq!(Refusal::of(ask(&format!("{url}/shed")).await).await.layer, "shed");
    drop((held, more));
    assert_eq!(ask(&format!("{url}/limit")).await.status(), StatusCode::OK);
    tokens.update(Limit::per(1, HOUR));
    assert_eq!(tokens.snapshot().remaining, 1);
    assert_eq!(ask(&format!("{url}/limit")).await.status(), StatusCode::OK);
    assert_eq!(Refusal::of(ask(&format!("{url}/limit")).await).await.layer, "limit");

    let layer = DeadlineLayer::new(HOUR);
    let handle = layer.handle();
    let url = serve(Router::new().route("/", get(Player::new())).layer(layer)).await;
    handle.update(Deadline::new(Duration::from_millis(20)));
    assert_eq!(Refusal::of(ask(&format!("{url}/?hang")).await).await.status, 504);
    assert_eq!(handle.snapshot().timed_out, 1);
}

#[tokio::test]
async fn one_circuit_per_route_over_fresh_connections() {
    let layer = BreakerLayer::new(Breaker::new().without_evidence().consecutive(Consecutive::new(3)))
        .key(|head| head.uri.path().to_owned());
    let player = Player::new();
    let app = Router::new().route("/bad", get(player.clone())).route("/good", get(player.clone()));
    let url = serve(app.layer(layer)).await;
    for _ in 0..3 {
        ask(&format!("{url}/bad?fail")).await;
    }
    assert_eq!(Refusal::of(ask(&format!("{url}/bad")).await).await.status, 503);
    assert_eq!(ask(&format!("{url}/good")).await.status(), StatusCode::OK);
    assert_eq!(player.calls(), 4);
}

#[tokio::test]
async fn every_way_to_serve_shares_the_state() {
    async fn check(start: impl FnOnce(tokio::net::TcpListener, Router)) {
        let gauge = Gauge::new(1);
        let (listener, address) = listen().await;
        start(listener, Router::new().route("/", get(Player::new())).layer(gauge.layer()));
        let held = ask(&format!("http://{address}/?drip")).await;
        assert_eq!(Refusal::of(ask(&format!("http://{address}/")).await).await.layer, "gauge");
        drop(held);
        until(|| gauge.in_flight() == 0).await;
        assert_eq!(ask(&format!("http://{address}/")).await.status(), StatusCode::OK);
    }
    check(|listener, app| {
        tokio::spawn(async move { axum::serve(listener, app.into_make_service()).await });
    })
    .await;
    check(|listener, app| {
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await });
    })
    .await;
    check(|listener, app| {
        tokio::spawn(async move { axum::serve(listener, app.with_state(())).await });
    })
    .await;
}

#[tokio::test]
async fn a_graceful_shutdown_waits_for_what_a_layer_lets_through() {
    let gauge = Gauge::new(1);
    let app = Router::new().route("/", get(Player::new())).layer(gauge.layer());
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let server = tokio::spawn(async move { server.await });
    let held = ask(&format!("http://{address}/?drip")).await;
    stop.send(()).unwrap();
    assert_eq!(gauge.in_flight(), 1);
    drop(held);
    soon(server).await.unwrap().unwrap();
    assert_eq!(gauge.in_flight(), 0);
}
