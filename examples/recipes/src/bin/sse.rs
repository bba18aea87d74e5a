//! Layers on a route of server-sent events. The total ends with the head; events may come as long as they keep coming.

use axum::response::sse::{Event, Sse};
use axum::{Router, routing::get};
use bartizan::client::Error;
use bartizan::{Breaker, BreakerLayer, Client, Deadline, DeadlineLayer};
use futures_util::stream::{self, Stream};
use std::convert::Infallible;
use std::time::Duration;
use tower::{BoxError, ServiceBuilder};

const TOTAL: Duration = Duration::from_millis(300);

/// Four events, half a total apart, and then silence.
fn prices() -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(1, |price| async move {
        let wait = if price <= 4 { TOTAL / 2 } else { Duration::MAX };
        tokio::time::sleep(wait).await;
        Some((Ok(Event::default().data(price.to_string())), price + 1))
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let app = Router::new()
        .route("/prices", get(|| async { Sse::new(prices()) }))
        .layer(BreakerLayer::new(Breaker::new()).named("prices"))
        .layer(DeadlineLayer::new(TOTAL));
    let url = recipes::serve(app).await?;

    // The client says when silence means that nobody is there any more.
    let deadline = Deadline::new(TOTAL).idle_timeout(3 * TOTAL);
    let stack = ServiceBuilder::new()
        .layer(DeadlineLayer::new(deadline).outgoing())
        .service(recipes::reqwest_service());
    let mut events = Client::new(stack).get(format!("{url}/prices")).send().await?;
    for price in 1..=4 {
        assert_eq!(events.chunk().await?.as_deref(), Some(format!("data: {price}\n\n").as_bytes()));
    }
    match events.chunk().await {
        Err(Error::Refused(refused)) => assert_eq!(refused.reason(), "body stood still"),
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
