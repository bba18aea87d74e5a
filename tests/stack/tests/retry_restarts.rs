//! A server that restarts again and again under load: nothing is done twice, and what has a key is done.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_client::Client;
use bartizan_retry::RetryLayer;
use futures_util::{StreamExt, stream};
use stack::{Ledger, clients, retry, soon, until};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const RESTARTS: usize = 5;
/// Requests between two restarts.
const APART: usize = 60;
const ORDERS: usize = APART * (RESTARTS + 1);

/// Serves on a port that is never closed, by one server after the other. Each lets those that it has begun with come to their end.
fn restarting(ledger: Ledger) -> String {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    tokio::spawn(async move {
        for generation in 1.. {
            let listener = TcpListener::from_std(socket.try_clone().unwrap()).unwrap();
            let (stop, stopped) = oneshot::channel::<()>();
            let stopped = async {
                let _ = stopped.await;
            };
            let server = axum::serve(listener, ledger.app()).with_graceful_shutdown(stopped);
            tokio::spawn(async move { server.await });
            if generation > RESTARTS {
                std::mem::forget(stop);
                return;
            }
            until(|| ledger.requests() >= generation * APART).await;
            stop.send(()).unwrap();
        }
    });
    url
}

/// Posts all orders, some at a time. Returns which were answered well.
async fn post_all(client: &Client, url: &str, keyed: bool) -> Vec<(String, bool)> {
    let orders = stream::iter(0..ORDERS).map(|order| {
        let id = format!("order {order}");
        let post = client.post(url).header("x-request-id", &*id).body("apples");
        let post = if keyed { post.header("idempotency-key", &*id) } else { post };
        async move { (id, soon(post.send()).await.is_ok_and(|answer| answer.status() == 200)) }
    });
    orders.buffer_unordered(16).collect().await
}

#[tokio::test]
async fn no_order_without_a_key_is_done_twice() {
    let layer = RetryLayer::new(retry());
    for (name, client) in clients!(layer) {
        let ledger = Ledger::new();
        let url = restarting(ledger.clone());
        let answers = post_all(&client, &url, false).await;
        println!("{name}: {} answered", answers.iter().filter(|(_, well)| *well).count());
        for (id, well) in answers {
            let effects = ledger.effects(&id);
            assert!(effects == 1 || effects == 0 && !well, "{id}: {effects} effects, answered: {well}");
            assert!(ledger.received(&id).len() <= 1, "{id}: {:?}", ledger.received(&id));
        }
    }
    println!("{:?}", layer.handle().snapshot());
}

#[tokio::test]
async fn every_order_with_a_key_is_done_once() {
    let layer = RetryLayer::new(retry());
    for (name, client) in clients!(layer) {
        println!("{name}");
        let ledger = Ledger::new();
        let url = restarting(ledger.clone());
        for (id, well) in post_all(&client, &url, true).await {
            assert!(well, "{id}: {:?}", ledger.received(&id));
            assert_eq!(ledger.effects(&id), 1, "{id}");
        }
    }
    println!("{:?}", layer.handle().snapshot());
}
