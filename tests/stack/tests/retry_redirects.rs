//! A redirect that leads nowhere is no proof that the first request never arrived.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::http::header::LOCATION;
use axum::routing::post;
use bartizan_client::ReqwestService;
use bartizan_retry::{Retry, RetryLayer};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use tokio::net::TcpListener;
use tower::{Layer, ServiceBuilder, ServiceExt};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::test]
async fn a_post_that_was_sent_on_to_a_closed_port_is_done_once() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for status in [StatusCode::SEE_OTHER, StatusCode::TEMPORARY_REDIRECT] {
        for boxed in [false, true] {
            let effects = Arc::new(AtomicU32::new(0));
            let counted = effects.clone();
            let handler = move || async move {
                counted.fetch_add(1, Relaxed);
                (status, [(LOCATION, format!("http://{closed}/"))])
            };
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/orders", listener.local_addr().unwrap());
            let app = Router::new().route("/orders", post(handler));
            tokio::spawn(async { axum::serve(listener, app).await });

            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let order = Request::post(url).body(Full::new(Bytes::from_static(b"tea"))).unwrap();
            let retry = RetryLayer::new(Retry::new());
            let failed = if boxed {
                let client =
                    ServiceBuilder::new().map_err(BoxError::from).service(ReqwestService::new(client));
                retry.layer(client).oneshot(order).await.is_err()
            } else {
                retry.layer(ReqwestService::new(client)).oneshot(order).await.is_err()
            };
            assert!(failed);
            assert_eq!(effects.load(Relaxed), 1, "{status}, boxed: {boxed}");
        }
    }
}
