//! Callers that leave while they wait for tokens, or while a store is asked: nobody waits for them, and nothing of theirs is left.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::routing::get;
use bartizan_client::{Boxed, Client};
use bartizan_limit::{Limit, LimitLayer};
use stack::{Fickle, Player, clients, crowd, serve, soon, until};
use std::time::Duration;
use tokio::time::timeout;

const HOUR: Duration = Duration::from_secs(3600);
/// Few enough that there is a line.
const FEW: Limit = Limit::per_second(400).burst(2);

#[tokio::test]
async fn of_a_server() {
    let layer = LimitLayer::new(FEW).waiting(HOUR, 1000);
    let handle = layer.handle();
    let keyed = LimitLayer::new(FEW).key(|head| head.uri.query().map(str::len)).waiting(HOUR, 1000);
    let keys = keyed.handle();
    let app = Router::new().route("/", get(Player::new()));
    let urls = [serve(app.clone().layer(layer)).await, serve(app.layer(keyed)).await];
    for url in urls {
        for http2 in [false, true] {
            println!("HTTP/2: {http2}");
            let client = Client::new(Boxed::new(stack::reqwest(http2)));
            crowd(&client, &url).await;
            until(|| (handle.snapshot().waiting, keys.snapshot().waiting) == (0, 0)).await;
            // Those who stay are served.
            assert_eq!(soon(client.get(&url).send()).await.unwrap().status(), 200);
        }
    }
}

#[tokio::test]
async fn of_a_client() {
    let url = serve(Router::new().route("/", get(Player::new()))).await;
    let layer = LimitLayer::new(FEW).waiting(HOUR, 1000);
    let handle = layer.handle();
    for (name, client) in clients!(layer) {
        println!("{name}");
        crowd(&client, &url).await;
        assert_eq!(handle.snapshot().waiting, 0);
        assert_eq!(soon(client.get(&url).send()).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn who_leaves_the_line_takes_nothing_along() {
    let layer = LimitLayer::new(Limit::per(1, HOUR)).waiting(10 * HOUR, 3);
    let handle = layer.handle();
    let url = serve(Router::new().route("/", get(Player::new())).layer(layer)).await;
    let client = Client::new(Boxed::new(stack::reqwest(true)));
    let ask = || client.get(&url).send();
    assert_eq!(soon(ask()).await.unwrap().status(), 200);
    for _ in 0..5 {
        let waits = [(); 3].map(|()| tokio::spawn(ask()));
        until(|| handle.snapshot().waiting == 3).await;
        assert_eq!(soon(ask()).await.unwrap().status(), 429);
        waits.iter().for_each(tokio::task::JoinHandle::abort);
        until(|| handle.snapshot().waiting == 0).await;
    }
    let stays = tokio::spawn(ask());
    until(|| handle.snapshot().waiting == 1).await;
    handle.reset();
    assert_eq!(soon(stays).await.unwrap().unwrap().status(), 200);
    assert_eq!(handle.snapshot().remaining, 0);
}

#[tokio::test]
async fn while_the_store_is_asked() {
    let store = Fickle::new();
    let layer = LimitLayer::new(Limit::per_second(1_000_000)).store(store.clone());
    let url = serve(Router::new().route("/", get(Player::new())).layer(layer)).await;
    for http2 in [false, true] {
        let client = Client::new(Boxed::new(stack::reqwest(http2)));
        crowd(&client, &url).await;
        assert_eq!(soon(client.get(&url).send()).await.unwrap().status(), 200);
    }
    let (before, client) = (store.asked(), Client::new(Boxed::new(stack::reqwest(true))));
    for _ in 0..100 {
        let _ = timeout(Duration::from_micros(50), client.get(&url).send()).await;
    }
    assert_eq!(soon(client.get(&url).send()).await.unwrap().status(), 200);
    assert!(store.asked() > before);
}
