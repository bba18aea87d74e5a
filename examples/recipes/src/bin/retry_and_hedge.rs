//! All that goes around a reqwest client: the deadline of a call, retry, hedge, breaker, and the deadline of an attempt.

use axum::http::{HeaderMap, StatusCode};
use axum::{Router, routing::get};
use bartizan::retry::{IDEMPOTENCY_KEY, Repeatable};
use bartizan::{Breaker, BreakerLayer, Client, DeadlineLayer, Hedge, HedgeLayer, Retry, RetryLayer};
use std::time::Duration;
use tower::{BoxError, ServiceBuilder};

async fn fails_at_first(headers: HeaderMap) -> StatusCode {
    let again = headers.contains_key("x-request-attempt");
    if again { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn hangs_at_first(headers: HeaderMap) {
    if !headers.contains_key("x-request-attempt") {
        std::future::pending::<()>().await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let app = Router::new().route("/fails", get(fails_at_first).post(fails_at_first));
    let url = recipes::serve(app.route("/hangs", get(hangs_at_first))).await?;

    let retry = RetryLayer::new(Retry::new()).named("stock");
    let retries = retry.handle();
    // One purse bounds what both add, and copies leave its first half to retries. A delay that is not set is learnt.
    let hedge = Hedge::new().delay(Duration::from_millis(100));
    let hedge = HedgeLayer::new(hedge).purse(retries.purse().clone()).named("stock");
    let hedges = hedge.handle();
    let stack = ServiceBuilder::new()
        .layer(DeadlineLayer::new(Duration::from_secs(10)).outgoing())
        .layer(retry)
        .layer(hedge)
        .layer(BreakerLayer::new(Breaker::new()).named("stock"))
        .layer(DeadlineLayer::new(Duration::from_secs(4)).outgoing())
        .service(recipes::reqwest_service());
    let client = Client::new(stack).base_url(url.parse()?);

    // What takes too long has a copy sent beside it, and a failure one at once.
    assert_eq!(client.get("hangs").send().await?.status(), 200);
    assert_eq!(client.get("fails").send().await?.status(), 200);
    // Without copies it is the retry that sends what failed again, after a wait.
    hedges.update(Hedge::new().enabled(false));
    assert_eq!(client.get("fails").send().await?.status(), 200);
    assert_eq!((hedges.snapshot().won, retries.snapshot().retries), (2, 1));

    // A POST may have had its effect: its failure comes back, unless a key or a mark says that once more does no harm.
    assert_eq!(client.post("fails").send().await?.status(), 503);
    assert_eq!(client.post("fails").header(IDEMPOTENCY_KEY, "b1f7").send().await?.status(), 200);
    assert_eq!(client.post("fails").extension(Repeatable(true)).send().await?.status(), 200);
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
