//! Layers on a tonic server, for all of its services and for one. A client sees codes and messages, as gRPC means it.

use bartizan::breaker::Consecutive;
use bartizan::{Breaker, BreakerLayer, DeadlineLayer};
use recipes::echo::{EchoClient, EchoServer};
use std::time::Duration;
use tonic::Code;
use tonic::service::LayerExt;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tower::BoxError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (listener, url) = recipes::listen().await?;
    let breaker = BreakerLayer::new(Breaker::new().consecutive(Consecutive::new(3))).named("echo");
    let server = Server::builder()
        .layer(DeadlineLayer::new(Duration::from_millis(300)))
        .add_service(breaker.named_layer(EchoServer))
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);

    let mut client = EchoClient::new(Channel::from_shared(url)?.connect().await?);
    assert_eq!(client.echo("hello").await?, "hello");

    let late = client.echo("hang").await.expect_err("nobody answers");
    assert_eq!(
        (late.code(), late.message()),
        (Code::DeadlineExceeded, "refused by deadline: deadline passed")
    );

    for _ in 0..3 {
        assert_eq!(client.echo("fail").await.expect_err("it fails").code(), Code::Internal);
    }
    let refused = client.echo("hello").await.expect_err("it is refused");
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().starts_with("refused by breaker echo"), "{refused}");
    assert!(refused.metadata().contains_key("grpc-retry-pushback-ms"));
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
