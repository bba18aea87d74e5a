//! The standard stack around a client: in two lines on reqwest, over two servers of which one falls ill, and changed while it runs.

use axum::{Router, http::StatusCode, http::Uri, routing::get};
use bartizan::breaker::Consecutive;
use bartizan::client::Error;
use bartizan::{Breaker, Client, ClientLayer, ClientStack, Retry};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tower::{BoxError, Layer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    two_lines().await?;
    over_two_servers().await?;
    changed_while_it_runs().await
}

async fn two_lines() -> Result<(), BoxError> {
    let url = recipes::serve(Router::new().route("/stock", get(|| async { "3 left" }))).await?;

    let stack = ClientLayer::default().layer(recipes::reqwest_service());
    let client = Client::new(stack).base_url(url.parse()?);

    assert_eq!(client.get("stock").send().await?.text().await?, "3 left");
    Ok(())
}

/// Answers with its name, unless it is ill.
fn color(name: &'static str, ill: &Arc<AtomicBool>) -> Router {
    let ill = ill.clone();
    let answer =
        move || async move { if ill.load(Relaxed) { Err(StatusCode::BAD_GATEWAY) } else { Ok(name) } };
    Router::new().route("/color", get(answer))
}

async fn over_two_servers() -> Result<(), BoxError> {
    let [blue_is_ill, green_is_ill] = [false, false].map(|ill| Arc::new(AtomicBool::new(ill)));
    let blue = recipes::serve(color("blue", &blue_is_ill)).await?;
    let green = recipes::serve(color("green", &green_is_ill)).await?;

    // A stream of `bartizan::discover` in place of the list follows what changes.
    let layer = ClientLayer::default().named("color").members([blue.parse::<Uri>()?, green.parse()?]);
    println!("{layer}");
    let endpoints = layer.handle().balance().expect("calls are spread over the members");
    let client = Client::new(layer.layer(recipes::reqwest_service())).base_url("http://color".parse()?);

    let mut colors = BTreeSet::new();
    for _ in 0..20 {
        colors.insert(client.get("color").send().await?.text().await?);
    }
    assert_eq!(colors, ["blue", "green"].map(String::from).into());

    // Nobody sees that one of them falls ill: what fails there is made again at the other, which soon gets all.
    blue_is_ill.store(true, Relaxed);
    for _ in 0..20 {
        assert_eq!(client.get("color").send().await?.text().await?, "green");
    }
    for endpoint in endpoints.snapshot().endpoints {
        println!("{}: {}, {} calls", endpoint.key, endpoint.state(), endpoint.successes);
    }
    Ok(())
}

async fn changed_while_it_runs() -> Result<(), BoxError> {
    let sick = recipes::serve(Router::new().route("/", get(|| async { StatusCode::BAD_GATEWAY }))).await?;

    let ten = Breaker::new().consecutive(Consecutive::new(10));
    let stack =
        ClientStack::new().deadline(Duration::from_secs(2)).retry(Retry::new().enabled(false)).breaker(ten);
    let layer = ClientLayer::new(stack.clone()).named("sick");
    let handle = layer.handle();
    let client = Client::new(layer.layer(recipes::reqwest_service())).base_url(sick.parse()?);
    for _ in 0..2 {
        assert_eq!(client.get("").send().await?.status(), StatusCode::BAD_GATEWAY);
    }

    // What does not fit together is refused as a whole.
    let misfit = handle.update(stack.clone().attempt(Duration::from_secs(5))).expect_err("it is too long");
    assert_eq!(
        misfit.to_string(),
        "attempt.total (5 s) is longer than deadline.total (2 s): no attempt can take as long"
    );

    // Three failures in a row open the circuit from now on, and two of them are there already.
    handle.update(stack.breaker(ten.consecutive(Consecutive::new(3))))?;
    assert_eq!(client.get("").send().await?.status(), StatusCode::BAD_GATEWAY);
    match client.get("").send().await {
        Err(Error::Refused(refused)) => {
            assert_eq!((refused.layer(), refused.name()), ("breaker", Some("sick")));
        }
        other => panic!("{other:?}"),
    }
    for (host, breaker) in handle.breakers().all() {
        println!("{host}: {}", breaker.state().as_str());
    }
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
