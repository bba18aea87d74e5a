//! Calls of gRPC that go out more than once: of each kind, up to the first message of the answer and not beyond.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_client::AnyBody;
use bartizan_core::Verdict;
use bartizan_hedge::{Hedge, HedgeLayer};
use bartizan_retry::{Handle, Repeatable, RetryLayer};
use futures_util::stream;
use http::{Request, Response};
use stack::echo::{EchoClient, EchoServer, Player, Said, channel, read};
use stack::{Gauge, ample, retry, soon, until};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::transport::{Channel, Server};
use tonic::{Code, IntoStreamingRequest};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service, ServiceBuilder, layer::util::Identity};

type Client = EchoClient<BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>>;

/// A server that counts, and a channel to it.
async fn server() -> (Gauge, AnyBody<Channel, fn(bartizan_client::Body) -> Body>) {
    let gauge = Gauge::new(usize::MAX);
    let layer = gauge.layer();
    let channel = channel(|incoming| {
        Server::builder().layer(layer).add_service(EchoServer::new(Player)).serve_with_incoming(incoming)
    });
    bartizan_core::recognise::<tonic::transport::Error>();
    (gauge, AnyBody::new(channel.await, Body::new))
}

/// Makes one type of a stack.
fn client<S, B>(stack: S) -> Client
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let stack = ServiceBuilder::new()
        .map_response(|answer: Response<B>| answer.map(Body::new))
        .map_err(Into::into)
        .service(stack);
    EchoClient::new(BoxCloneSyncService::new(stack))
}

async fn retrying() -> (Gauge, Handle, Client) {
    let (gauge, channel) = server().await;
    let layer = RetryLayer::new(retry());
    (gauge, layer.handle(), client(layer.layer(channel)))
}

/// A call that may be repeated.
fn marked(text: &str) -> tonic::Request<Said> {
    mark(tonic::Request::new(text.into()))
}

fn mark<T>(mut request: tonic::Request<T>) -> tonic::Request<T> {
    request.extensions_mut().insert(Repeatable(true));
    request
}

fn words(all: &'static [&str]) -> tonic::Request<impl stream::Stream<Item = Said> + Send + 'static> {
    mark(stream::iter(all.iter().map(|word| Said::from(*word))).into_streaming_request())
}

/// How many calls the server has had since it was asked last, once they are over.
async fn calls(gauge: &Gauge) -> usize {
    until(|| gauge.in_flight() == 0).await;
    gauge.verdicts().len()
}

#[tokio::test]
async fn trailers_only_are_retried() {
    let (gauge, handle, mut client) = retrying().await;
    let failed = soon(client.unary(marked("fail"))).await.unwrap_err();
    assert_eq!((failed.code(), failed.message()), (Code::Unavailable, "played"));
    assert_eq!(calls(&gauge).await, 3);
    assert_eq!(soon(client.unary(marked("moody"))).await.unwrap().into_inner().text, "moody");
    assert_eq!(calls(&gauge).await, 3);
    let answer = soon(client.client_stream(words(&["moody", "one"]))).await.unwrap();
    assert_eq!(answer.into_inner().text, "moody one");
    assert_eq!(calls(&gauge).await, 3);
    let seen = handle.snapshot();
    assert_eq!((seen.calls, seen.retries, seen.recovered, seen.out_of_tries), (3, 6, 2, 1));

    // Over gRPC every call is a POST.
    assert_eq!(soon(client.unary("moody")).await.unwrap_err().message(), "played");
    assert_eq!(calls(&gauge).await, 1);
    assert_eq!(handle.snapshot().not_repeatable, 1);
    let mut keyed = tonic::Request::new(Said::from("moody"));
    keyed.metadata_mut().insert("idempotency-key", "order".parse().unwrap());
    assert_eq!(soon(client.unary(keyed)).await.unwrap().into_inner().text, "moody");
    assert_eq!(calls(&gauge).await, 3);
}

#[tokio::test]
async fn trailers_before_the_first_message_are_retried() {
    let (gauge, handle, mut client) = retrying().await;
    let answers = soon(client.server_stream(marked("moody one two"))).await.unwrap().into_inner();
    assert!(matches!(read(answers).await, (all, None) if all == "moody one two"));
    assert_eq!(calls(&gauge).await, 3);
    let answers = soon(client.server_stream(marked("fail"))).await.unwrap().into_inner();
    assert!(
        matches!(read(answers).await, (all, Some(status)) if all.is_empty() && status.message() == "played")
    );
    assert_eq!(calls(&gauge).await, 3);
    // Of a call that must not be repeated the head is passed on at once.
    let answers = soon(client.server_stream("moody one")).await.unwrap().into_inner();
    assert_eq!(read(answers).await.1.unwrap().code(), Code::Unavailable);
    assert_eq!(calls(&gauge).await, 1);
    assert_eq!(handle.snapshot().retries, 4);
}

#[tokio::test]
async fn a_conversation_is_retried_if_the_client_has_said_all() {
    let (gauge, handle, mut client) = retrying().await;
    for _ in 0..20 {
        let answers = soon(client.both_stream(words(&["moody", "one"]))).await.unwrap().into_inner();
        assert!(matches!(read(answers).await, (all, None) if all == "moody one"));
        assert_eq!(calls(&gauge).await, 3);
    }
    assert_eq!(handle.snapshot().recovered, 20);
    // One that may have more to say has the head at once, and the failure where it comes.
    let (say, said) = mpsc::channel::<Said>(1);
    let request = mark(ReceiverStream::new(said).into_streaming_request());
    let answers = soon(client.both_stream(request)).await.unwrap().into_inner();
    say.send("moody".into()).await.unwrap();
    assert_eq!(read(answers).await.1.unwrap().message(), "played");
    assert_eq!(calls(&gauge).await, 1);
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_first_message_leaves_nothing() {
    let (gauge, channel) = server().await;
    let layers = ServiceBuilder::new().layer(RetryLayer::new(retry())).layer(HedgeLayer::new(stack::hedge()));
    let mut client = client(layers.service(channel));
    for text in ["hang", "hang one"] {
        let request = marked(text);
        tokio::select! {
            // The head is here, and the first message is waited for.
            answer = client.server_stream(request) => panic!("{answer:?}"),
            () = until(|| gauge.in_flight() == 2) => {}
        }
        until(|| gauge.in_flight() == 0).await;
    }
    assert_eq!(soon(client.unary(marked("one"))).await.unwrap().into_inner().text, "one");
}

#[tokio::test]
async fn after_the_first_message_there_is_no_way_back() {
    let (gauge, handle, mut client) = retrying().await;
    let answers = soon(client.server_stream(marked("one fail"))).await.unwrap().into_inner();
    let (all, status) = read(answers).await;
    assert_eq!((all.as_str(), status.unwrap().message()), ("one", "played"));
    let answers = soon(client.both_stream(words(&["one", "fail"]))).await.unwrap().into_inner();
    let (all, status) = read(answers).await;
    assert_eq!((all.as_str(), status.unwrap().message()), ("one", "played"));
    until(|| gauge.in_flight() == 0).await;
    assert_eq!(gauge.verdicts(), [Verdict::Failure; 2]);
    assert_eq!(handle.snapshot().attempts(), 2);
}

#[tokio::test]
async fn a_stream_that_breaks_is_retried_before_its_first_message() {
    let (gauge, handle, mut client) = retrying().await;
    // Nobody is there to be asked once the panic has broken the stream, and no status says so.
    soon(client.unary(marked("panic"))).await.unwrap_err();
    let answers = soon(client.server_stream(marked("panic"))).await;
    assert!(answers.is_err() || read(answers.unwrap().into_inner()).await.1.is_some());
    until(|| gauge.in_flight() == 0).await;
    assert_eq!(handle.snapshot().retries, 4);
}

#[tokio::test]
async fn pushback_is_kept_to() {
    let (gauge, handle, mut client) = retrying().await;
    assert_eq!(soon(client.unary(marked("later"))).await.unwrap().into_inner().text, "later");
    assert_eq!(calls(&gauge).await, 3);
    for told in [1, 2] {
        let never = soon(client.unary(marked("never"))).await.unwrap_err();
        assert_eq!(never.metadata().get("grpc-retry-pushback-ms").unwrap(), "-1");
        assert_eq!(calls(&gauge).await, 1);
        assert_eq!(handle.snapshot().told, told);
    }
    // In the trailers of a stream it says the same.
    let answers = soon(client.server_stream(marked("never"))).await.unwrap().into_inner();
    assert!(read(answers).await.1.is_some());
    assert_eq!(calls(&gauge).await, 1);
    assert_eq!(handle.snapshot().told, 3);
}

#[tokio::test]
async fn a_hedge_of_each_kind() {
    let (gauge, channel) = server().await;
    let layer = HedgeLayer::new(stack::hedge());
    let (handle, mut client) = (layer.handle(), client(layer.layer(channel)));
    assert_eq!(soon(client.unary(marked("shy"))).await.unwrap().into_inner().text, "shy");
    assert_eq!(handle.snapshot().won, 1);
    // Its head is here at once, and its first message is what counts.
    let answers = soon(client.server_stream(marked("shy one"))).await.unwrap().into_inner();
    assert!(matches!(read(answers).await, (all, None) if all == "shy one"));
    assert_eq!(handle.snapshot().won, 2);
    let answer = soon(client.client_stream(words(&["shy", "one"]))).await.unwrap();
    assert_eq!(answer.into_inner().text, "shy one");
    let seen = handle.snapshot();
    assert_eq!((seen.calls, seen.hedges, seen.won, seen.superseded), (3, 3, 3, 3));
    // Of the copies that did not win nothing is left at the server.
    until(|| gauge.in_flight() == 0).await;
}

/// A conversation in which each side says its next word after the other's; the first is the client's, before or after it has the head.
async fn talk(client: &mut Client, head_first: bool) {
    let (say, said) = mpsc::channel::<Said>(1);
    let request = mark(ReceiverStream::new(said).into_streaming_request());
    if !head_first {
        say.send("turn".into()).await.unwrap();
    }
    let mut answers = soon(client.both_stream(request)).await.unwrap().into_inner();
    for turn in 0..100 {
        if head_first || turn > 0 {
            soon(say.send("turn".into())).await.unwrap();
        }
        assert_eq!(soon(answers.message()).await.unwrap().unwrap().text, "turn");
    }
    drop(say);
    assert_eq!(soon(answers.message()).await.unwrap(), None);
}

#[tokio::test]
async fn both_sides_wait_for_each_other_without_deadlock() {
    let retry = || RetryLayer::new(retry());
    // All copies at once, after a moment, and never.
    for delay in [Duration::ZERO, Duration::from_millis(1), Duration::MAX] {
        let hedge = || HedgeLayer::new(Hedge::new().delay(delay).budget(ample()));
        for head_first in [false, true] {
            println!("{delay:?}, the head first: {head_first}");
            let (gauge, channel) = server().await;
            let both = ServiceBuilder::new().layer(retry()).layer(hedge());
            for mut client in [
                client(Identity::new().layer(channel.clone())),
                client(retry().layer(channel.clone())),
                client(hedge().layer(channel.clone())),
                client(both.service(channel)),
            ] {
                for _ in 0..5 {
                    talk(&mut client, head_first).await;
                }
                until(|| gauge.in_flight() == 0).await;
            }
        }
    }
}
