//! The standard stack around a tonic channel, and over several of them.

use bartizan::client::AnyBody;
use bartizan::{ClientLayer, ClientStack};
use http::Uri;
use recipes::echo::{EchoClient, EchoServer};
use std::time::Duration;
use tonic::Code;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tower::{BoxError, Layer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    around_one_channel().await?;
    over_several_channels().await
}

/// A server, and its address.
async fn echo() -> Result<Uri, BoxError> {
    let (listener, url) = recipes::listen().await?;
    tokio::spawn(Server::builder().add_service(EchoServer).serve_with_incoming(TcpIncoming::from(listener)));
    Ok(url.parse()?)
}

async fn around_one_channel() -> Result<(), BoxError> {
    let channel = Endpoint::from(echo().await?).connect_lazy();

    // A channel takes one type of body, and what is kept for a retry is another: `AnyBody` is between them.
    let layer = ClientLayer::new(ClientStack::new().deadline(Duration::from_millis(200))).named("echo");
    let mut client = EchoClient::new(layer.layer(AnyBody::new(channel, tonic::body::Body::new)));

    assert_eq!(client.echo("hello").await?, "hello");
    let late = client.echo("hang").await.expect_err("nobody answers");
    // tonic's channel knows the deadline as well, and says `Cancelled` where it is the first to see that it has passed.
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late}");
    Ok(())
}

async fn over_several_channels() -> Result<(), BoxError> {
    let servers = [echo().await?, echo().await?];

    // Only the service knows which of its methods may be repeated. Here all do.
    let layer = ClientLayer::default().repeat(|_| true).named("echoes");
    // Each endpoint has a channel of its own, with a breaker and the deadline of an attempt around it.
    let channels = layer.balance(|server: &Uri| {
        AnyBody::new(Endpoint::from(server.clone()).connect_lazy(), tonic::body::Body::new)
    });
    let mut client = EchoClient::new(layer.outer().layer(channels.members(servers.clone())));

    for _ in 0..20 {
        assert_eq!(client.echo("hello").await?, "hello");
    }
    let endpoints = layer.handle().balance().expect("calls are spread over the channels");
    let calls = || endpoints.snapshot().endpoints.iter().map(|it| it.successes).collect::<Vec<_>>();
    assert_eq!(calls().iter().sum::<u32>(), 20);

    // Before a server goes, it gets no new calls.
    let before = calls();
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
