//! Layers on single routes of an axum router, one of them exchanged while the server runs.

use axum::{Router, http::StatusCode, routing::get};
use bartizan::breaker::Consecutive;
use bartizan::{Breaker, BreakerLayer, Client, DeadlineLayer};
use std::time::Duration;
use tower::BoxError;

async fn stock() -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn report() -> &'static str {
    tokio::time::sleep(Duration::from_millis(50)).await;
    "a long report"
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // Each route has layers of its own. A handle is taken before the layer goes.
    let breaker = BreakerLayer::new(Breaker::new().consecutive(Consecutive::new(3))).named("stock");
    let deadline = DeadlineLayer::new(Duration::from_millis(5)).named("report");
    let (circuit, report_time) = (breaker.handle(), deadline.handle());

    let app = Router::new()
        .route("/", get(|| async { "home" }))
        .route("/stock", get(stock).layer(breaker))
        .route("/report", get(report).layer(deadline))
        .layer(DeadlineLayer::new(Duration::from_secs(30)));
    let client = Client::new(recipes::reqwest_service()).base_url(recipes::serve(app).await?.parse()?);

    // The circuit counts over all connections, and concerns one route.
    for _ in 0..3 {
        assert_eq!(client.get("stock").send().await?.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    let refused = client.get("stock").send().await?;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(client.get("").send().await?.text().await?, "home");

    // The report needs longer than it may. Its deadline is exchanged under it; what was counted stays.
    assert_eq!(client.get("report").send().await?.status(), StatusCode::GATEWAY_TIMEOUT);
    report_time.update(Duration::from_secs(5));
    assert_eq!(client.get("report").send().await?.text().await?, "a long report");
    assert_eq!(report_time.snapshot().timed_out, 1);

    // So is the breaker, and it is closed by hand.
    circuit.update(Breaker::new().consecutive(Consecutive::new(100)));
    circuit.reset();
    assert_eq!(client.get("stock").send().await?.status(), StatusCode::INTERNAL_SERVER_ERROR);
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
