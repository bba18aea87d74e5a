//! Calls over several servers: reqwest over two with heartbeats, of which one dies; tonic over two channels, of which one drains.

use axum::{Router, http::Uri, routing::get};
use bartizan::client::AnyBody;
use bartizan::discover::{Fixed, Heartbeats, Tcp};
use bartizan::{
    Balance, BalanceLayer, BalanceService, Breaker, BreakerLayer, Client, DeadlineLayer, Retry, RetryLayer,
};
use recipes::echo::{EchoClient, EchoServer};
use std::collections::BTreeSet;
use std::time::Duration;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tower::{BoxError, Layer, ServiceBuilder};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    over_reqwest().await?;
    over_tonic().await
}

fn color(name: &'static str) -> Router {
    Router::new().route("/color", get(move || async move { name }))
}

/// What of an address may be shown: one can have a user and a password in it.
fn place(server: &Uri) -> String {
    format!("{}:{}", server.host().unwrap_or_default(), server.port_u16().unwrap_or(80))
}

async fn over_reqwest() -> Result<(), BoxError> {
    let (listener, blue) = recipes::listen().await?;
    let serves = tokio::spawn(async { axum::serve(listener, color("blue")).await });
    let green = recipes::serve(color("green")).await?;

    // Here the servers are a list. `Dns`, `File` and `Consul` are streams like this one, and follow what changes.
    let servers = Fixed::new([blue.parse::<Uri>()?, green.parse()?]);
    let servers = Heartbeats::new(Tcp::new()).every(Duration::from_millis(20)).watch(servers);
    // Each has a breaker of its own, which hands what it refuses to another, and within that a time-out.
    let balance = BalanceLayer::new(Balance::new().wait_for_endpoints(Duration::from_secs(1)))
        .each(|server| {
            let breaker = BreakerLayer::new(Breaker::new()).named(format!("color/{}", place(server)));
            (breaker, DeadlineLayer::new(Duration::from_secs(2)).outgoing())
        })
        .named("color")
        .discover(servers);
    let endpoints = balance.handle();
    // A retry is outside: it goes where the call has not been.
    let stack = ServiceBuilder::new()
        .layer(DeadlineLayer::new(Duration::from_secs(5)).outgoing())
        .layer(RetryLayer::new(Retry::new()))
        .layer(balance)
        .service(recipes::reqwest_service());
    // Which host stands here does not matter: the balancer puts in another.
    let client = Client::new(stack).base_url("http://color".parse()?);

    let mut colors = BTreeSet::new();
    for _ in 0..10 {
        colors.insert(client.get("color").send().await?.text().await?);
    }
    assert_eq!(colors, ["blue", "green"].map(String::from).into());

    serves.abort();
    while endpoints.snapshot().usable > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..10 {
        assert_eq!(client.get("color").send().await?.text().await?, "green");
    }
    for endpoint in endpoints.snapshot().endpoints {
        println!("{}: {}, {} calls", endpoint.key, endpoint.state(), endpoint.successes);
    }
    Ok(())
}

async fn over_tonic() -> Result<(), BoxError> {
    let mut servers = Vec::new();
    for _ in 0..2 {
        let (listener, url) = recipes::listen().await?;
        tokio::spawn(
            Server::builder().add_service(EchoServer).serve_with_incoming(TcpIncoming::from(listener)),
        );
        servers.push(url.parse::<Uri>()?);
    }
    // A service for each, which ends in a channel of its own. It connects when it is needed.
    let balance = BalanceService::new(Balance::new(), |server: &Uri| {
        let channel = Endpoint::from(server.clone()).connect_lazy();
        let breaker = BreakerLayer::new(Breaker::new()).named(format!("echo/{}", place(server)));
        breaker.layer(AnyBody::new(channel, tonic::body::Body::new))
    });
    let balance = balance.named("echo").members(servers.clone());
    let endpoints = balance.handle();
    let mut client = EchoClient::new(balance);

    let calls = || endpoints.snapshot().endpoints.iter().map(|it| it.successes).collect::<Vec<_>>();
    for _ in 0..10 {
        assert_eq!(client.echo("hello").await?, "hello");
    }
    let before = calls();
    assert!(before.iter().all(|calls| *calls > 0), "{before:?}");

    // Before a server goes, it gets no new calls.
    endpoints.drain(&servers[0]);
    for _ in 0..10 {
        assert_eq!(client.echo("hello").await?, "hello");
    }
    assert_eq!(calls(), [before[0], before[1] + 10]);
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
