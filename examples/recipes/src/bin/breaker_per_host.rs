//! A breaker for each host that a reqwest client talks to.

use axum::{Router, http::StatusCode, routing::get};
use bartizan::breaker::Consecutive;
use bartizan::client::Error;
use bartizan::{Breaker, BreakerLayer, Client, DeadlineLayer, Kind};
use std::time::Duration;
use tower::{BoxError, ServiceBuilder};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let well = recipes::serve(Router::new().route("/", get(|| async { "well" }))).await?;
    let sick = recipes::serve(Router::new().route("/", get(|| async { StatusCode::BAD_GATEWAY }))).await?;

    // The key is a function of the head of the request; whatever it returns has a circuit of its own.
    let breaker = BreakerLayer::new(Breaker::new().consecutive(Consecutive::new(3)))
        .key(|head| head.uri.authority().cloned())
        .named("hosts");
    let circuits = breaker.handle();
    let stack = ServiceBuilder::new()
        .layer(breaker)
        .layer(DeadlineLayer::new(Duration::from_secs(2)).outgoing())
        .service(recipes::reqwest_service());
    let client = Client::new(stack);

    // What the server says is an answer, also where it is a 502.
    for _ in 0..3 {
        assert_eq!(client.get(&sick).send().await?.status(), StatusCode::BAD_GATEWAY);
    }
    // What the breaker says is an error, and tells when another try makes sense.
    match client.get(&sick).send().await {
        Err(Error::Refused(refused)) => {
            assert_eq!((refused.layer(), refused.kind()), ("breaker", Kind::Unavailable));
            assert!(refused.retry_after().is_some());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(client.get(&well).send().await?.text().await?, "well");

    for (host, circuit) in circuits.all() {
        println!("{}: {}", host.expect("a client's url has a host"), circuit.state().as_str());
    }
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
