//! The standard stack before a server: in one line on an axum router, with values of its own on a route, changed while it runs, and
//! before a tonic server.

use axum::{Router, http::StatusCode, routing::get};
use bartizan::{Client, Limit, Priority, ServerLayer, ServerStack};
use recipes::echo::{EchoClient, EchoServer};
use std::time::Duration;
use tonic::Code;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tower::BoxError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    one_line().await?;
    values_of_its_own().await?;
    before_tonic().await
}

async fn one_line() -> Result<(), BoxError> {
    let app = Router::new().route("/", get(|| async { "home" })).layer(ServerLayer::default());

    let client = Client::new(recipes::reqwest_service()).base_url(recipes::serve(app).await?.parse()?);
    assert_eq!(client.get("").send().await?.text().await?, "home");
    Ok(())
}

async fn values_of_its_own() -> Result<(), BoxError> {
    let report = || async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        "a long report"
    };
    // Three reports an hour for each who asks, in little time, and the first to go when there is too much to do.
    let stack =
        ServerStack::new().deadline(Duration::from_millis(5)).limit(Limit::per(3, Duration::from_secs(3600)));
    let reports = ServerLayer::new(stack)
        .limit_by(|head| head.headers.get("x-user").cloned())
        .priority(|_| Priority::SHEDDABLE)
        .named("reports");
    let handle = reports.handle();
    println!("{reports}");

    let app = Router::new()
        .route("/", get(|| async { "home" }))
        .route("/report", get(report).layer(reports))
        .layer(ServerLayer::default().named("all"));
    let client = Client::new(recipes::reqwest_service()).base_url(recipes::serve(app).await?.parse()?);
    let ask = |user: &'static str| client.get("report").header("x-user", user).send();

    assert_eq!(ask("ada").await?.status(), StatusCode::GATEWAY_TIMEOUT);
    // It needs more time. What was asked for until now is not forgotten.
    let stack = handle.stack();
    handle.update(stack.clone().deadline(Duration::from_secs(5)))?;
    assert_eq!(ask("ada").await?.text().await?, "a long report");
    assert_eq!(ask("ada").await?.text().await?, "a long report");
    assert_eq!(ask("ada").await?.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask("bob").await?.text().await?, "a long report");
    for difference in stack.diff(&handle.stack()) {
        assert_eq!(difference.to_string(), "deadline: 5 ms -> 5 s");
    }
    Ok(())
}

async fn before_tonic() -> Result<(), BoxError> {
    let (listener, url) = recipes::listen().await?;
    let layer = ServerLayer::new(ServerStack::new().deadline(Duration::from_millis(200)));
    let server = Server::builder().layer(layer).add_service(EchoServer);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let mut client = EchoClient::new(Channel::from_shared(url)?.connect().await?);
    assert_eq!(client.echo("hello").await?, "hello");
    let late = client.echo("hang").await.expect_err("nobody answers");
    assert_eq!(late.code(), Code::DeadlineExceeded);
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
