//! Layers on a tonic channel, beside an interceptor, and inside a layer that changes the request's body.

use bartizan::breaker::Consecutive;
use bartizan::client::AnyBody;
use bartizan::{Breaker, BreakerLayer, DeadlineLayer};
use recipes::echo::{EchoClient, EchoServer};
use std::time::Duration;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Status};
use tower::{BoxError, ServiceBuilder};
use tower_http::map_request_body::MapRequestBodyLayer;

fn user(mut request: Request<()>) -> Result<Request<()>, Status> {
    request.metadata_mut().insert("user", "ada".parse().expect("it is ASCII"));
    Ok(request)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (listener, url) = recipes::listen().await?;
    let server = Server::builder().add_service(EchoServer).serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);
    let channel = Channel::from_shared(url)?.connect().await?;

    // The breaker is outside, so that a call that takes too long counts as a failure.
    let stack = ServiceBuilder::new()
        .layer(BreakerLayer::new(Breaker::new().consecutive(Consecutive::new(3))).named("echo"))
        .layer(DeadlineLayer::new(Duration::from_millis(300)).outgoing())
        .service(channel.clone());
    let mut client = EchoClient::new(InterceptedService::new(stack, user));
    assert_eq!(client.echo("hello").await?, "ada: hello");
    for text in ["fail", "fail", "hang"] {
        assert!(client.echo(text).await.is_err());
    }
    let refused = client.echo("hello").await.expect_err("it is refused");
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().starts_with("refused by breaker echo"), "{refused}");

    // A channel takes one type of body. `AnyBody` gives it that, whatever a layer outside makes of the body.
    let limited = ServiceBuilder::new()
        .layer(MapRequestBodyLayer::new(|body| http_body_util::Limited::new(body, 16)))
        .service(AnyBody::new(channel, tonic::body::Body::new));
    let mut client = EchoClient::new(limited);
    assert_eq!(client.echo("short").await?, "short");
    assert!(client.echo("much longer than it may be").await.is_err());
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
