//! What the recipes run against: ports of the system's choice, and a gRPC service. The recipes are in `src/bin`.

pub mod echo;

use axum::Router;
use bartizan::client::ReqwestService;
use std::io;
use tokio::net::TcpListener;

/// Listens on a loopback port that the system chose, and tells its url.
///
/// # Errors
///
/// Those of the system.
pub async fn listen() -> io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

/// Serves a router on such a port, and tells its url.
///
/// # Errors
///
/// Those of the system.
pub async fn serve(app: Router) -> io::Result<String> {
    let (listener, url) = listen().await?;
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(url)
}

/// reqwest's client, which no proxy of the environment leads astray.
///
/// # Panics
///
/// Where reqwest finds no way to start.
#[must_use]
pub fn reqwest_service() -> ReqwestService {
    ReqwestService::new(reqwest::Client::builder().no_proxy().build().expect("a client without TLS starts"))
}
