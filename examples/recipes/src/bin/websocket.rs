//! Layers on a route of WebSockets. They bound the handshake and leave the socket alone.

use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::{Router, response::Response, routing::any};
use bartizan::{Breaker, BreakerLayer, DeadlineLayer};
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tower::BoxError;

const TOTAL: Duration = Duration::from_millis(300);

async fn talk(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket: WebSocket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let breaker = BreakerLayer::new(Breaker::new()).named("talk");
    let circuit = breaker.handle();
    let app = Router::new().route("/talk", any(talk)).layer(breaker).layer(DeadlineLayer::new(TOTAL));
    let url = recipes::serve(app).await?;
    let host = url.trim_start_matches("http://");

    let (mut socket, answer) =
        client_async(format!("ws://{host}/talk"), TcpStream::connect(host).await?).await?;
    assert_eq!(answer.status(), 101);
    socket.send("hello".into()).await?;
    assert_eq!(socket.next().await.expect("an echo")?.into_text()?, "hello");

    // The socket outlives the total, as the call was over with the handshake.
    tokio::time::sleep(2 * TOTAL).await;
    socket.send("still here".into()).await?;
    assert_eq!(socket.next().await.expect("an echo")?.into_text()?, "still here");

    // While the circuit is open, the handshake is refused.
    circuit.force_open();
    let refused = client_async(format!("ws://{host}/talk"), TcpStream::connect(host).await?).await;
    assert!(refused.expect_err("it is refused").to_string().contains("503"));
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
