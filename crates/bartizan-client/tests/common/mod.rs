//! A server on a port of its own, and clients that reach it.

use axum::Router;
use bartizan_client::ReqwestService;
use std::time::Duration;

/// Serves on a loopback port that the system chose, and returns the server's url, without a slash at its end.
pub(crate) async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    format!("http://{address}")
}

/// reqwest's client, which no proxy of the environment leads astray.
pub(crate) fn reqwest_service() -> ReqwestService {
    ReqwestService::new(reqwest::Client::builder().no_proxy().build().unwrap())
}

/// Fails instead of hanging.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it hangs")
}
