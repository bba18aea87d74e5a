//! The standard stack around clients: reqwest, hyper and a tonic channel.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::routing::any;
use bartizan_breaker::{Breaker, Consecutive, State};
use bartizan_client::{AnyBody, Error};
use bartizan_fallback::Stale;
use bartizan_hedge::Hedge;
use bartizan_stack::{ClientLayer, ClientService, ClientStack, Host};
use futures_util::stream;
use http::{StatusCode, Uri};
use stack::echo::{EchoClient, EchoServer, Player as EchoPlayer, channel, read};
use stack::{Ledger, Player, ample, boxed, clients, hedge, retry, serve, soon, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tonic::Code;
use tonic::transport::Server;
use tower::Layer;

/// What is retried at once, always paid for, and never refused.
fn eager() -> ClientStack {
    ClientStack::new().retry(retry()).budget(ample()).breaker(Breaker::new().enabled(false))
}

/// What fails three times is not called again.
fn wary() -> Breaker {
    Breaker::new().without_evidence().consecutive(Consecutive::new(3))
}

#[tokio::test]
async fn what_fails_is_made_again_and_what_writes_is_not() {
    let (player, ledger) = (Player::new(), Ledger::new());
    let url = serve(Router::new().route("/", any(player.clone()))).await;
    let written = serve(ledger.app()).await;
    for (name, client) in clients!(ClientLayer::new(eager())) {
        println!("{name}");
        player.forget();
        let answer = soon(client.get(format!("{url}/?moody")).send()).await.unwrap();
        assert_eq!((answer.status(), &*answer.text().await.unwrap()), (StatusCode::OK, "ok"));
        assert_eq!(player.calls(), 3);

        player.forget();
        let answer = soon(client.post(format!("{url}/?moody")).body("once").send()).await.unwrap();
        assert_eq!((answer.status(), player.calls()), (StatusCode::SERVICE_UNAVAILABLE, 1));

        // The number of the attempt travels, through both deadlines.
        let get = client.get(format!("{written}/?503")).header("x-request-id", name);
        assert_eq!(soon(get.send()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ledger.attempts(name), "- 1 2");
    }
}

#[tokio::test]
async fn what_takes_long_is_sent_again() {
    let player = Player::new();
    let url = serve(Router::new().route("/", any(player.clone()))).await;
    let stack = eager().hedge(Hedge::new().enabled(false)).attempt(Duration::from_millis(50));
    for (name, client) in clients!(ClientLayer::new(stack.hedge(hedge()))) {
        println!("{name}");
        player.forget();
        let answer = soon(client.get(format!("{url}/?shy")).send()).await.unwrap();
        assert_eq!((answer.status(), player.calls()), (StatusCode::OK, 2));
    }
}

#[tokio::test]
async fn each_host_has_a_breaker() {
    let (ill, well) = (Player::new(), Player::new());
    let to = async |player: &Player| serve(Router::new().route("/", any(player.clone()))).await;
    let (ill_url, well_url) = (to(&ill).await, to(&well).await);
    let stack = ClientStack::new().retry(retry().enabled(false)).breaker(wary());
    for http2 in [false, true] {
        let layer = ClientLayer::new(stack.clone());
        let client = bartizan_client::Client::new(boxed!(&layer, stack::reqwest(http2)));
        ill.forget();
        for _ in 0..3 {
            let answer = soon(client.get(format!("{ill_url}/?fail")).send()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        }
        let refused = soon(client.get(&ill_url).send()).await;
        assert!(matches!(refused, Err(Error::Refused(refused)) if refused.layer() == "breaker"));
        assert_eq!(soon(client.get(&well_url).send()).await.unwrap().status(), StatusCode::OK);
        assert_eq!(ill.calls(), 3);
        let host = Host::of(&ill_url.parse().unwrap());
        assert_eq!(layer.handle().breakers().get(&host).unwrap().state(), State::Open);
    }
}

#[tokio::test]
async fn a_time_out_of_an_attempt_is_a_failure_to_the_breaker() {
    let url = serve(Router::new().route("/", any(Player::new()))).await;
    let stack = ClientStack::new().retry(retry().enabled(false)).breaker(wary());
    let layer = ClientLayer::new(stack.attempt(Duration::from_millis(20)));
    let client = bartizan_client::Client::new(boxed!(&layer, stack::hyper(false)));
    for layer in ["deadline", "deadline", "deadline", "breaker"] {
        let refused = soon(client.get(format!("{url}/?hang")).send()).await;
        assert!(matches!(refused, Err(Error::Refused(refused)) if refused.layer() == layer), "{layer}");
    }
}

#[tokio::test]
async fn the_last_good_answer_takes_the_place_of_a_failure() {
    let is_ill = Arc::new(AtomicBool::new(false));
    let answer = {
        let is_ill = is_ill.clone();
        move || async move {
            let keep = [("cache-control", "max-age=0, stale-if-error=60")];
            if is_ill.load(Relaxed) { Err(StatusCode::BAD_GATEWAY) } else { Ok((keep, "3 left")) }
        }
    };
    let url = serve(Router::new().route("/", any(answer))).await;
    let layer = ClientLayer::new(eager().stale(Stale::new())).named("last good answers");
    let client = bartizan_client::Client::new(boxed!(&layer, stack::reqwest(false)));
    let get = async || soon(client.get(&url).send()).await.unwrap();
    assert_eq!(get().await.text().await.unwrap(), "3 left");

    is_ill.store(true, Relaxed);
    let stale = get().await;
    assert_eq!((stale.status(), stale.headers().contains_key("age")), (StatusCode::OK, true));
    assert_eq!(stale.text().await.unwrap(), "3 left");
    // One that writes gets what the server says.
    let write = soon(client.post(&url).send()).await.unwrap();
    assert_eq!(write.status(), StatusCode::BAD_GATEWAY);

    // Off it is as if it were not there, and on again it has what it had.
    let handle = layer.handle();
    let kept = handle.stale().snapshot().entries;
    handle.update(handle.stack().stale(Stale::new().enabled(false))).unwrap();
    assert_eq!(get().await.status(), StatusCode::BAD_GATEWAY);
    handle.update(handle.stack().stale(Stale::new())).unwrap();
    assert_eq!((handle.stale().snapshot().entries, get().await.status()), (kept, StatusCode::OK));
}

#[tokio::test]
async fn nobody_listens() {
    let (listener, address) = stack::listen().await;
    drop(listener);
    for (name, client) in clients!(ClientLayer::new(eager())) {
        println!("{name}");
        let error = soon(client.get(format!("http://{address}/")).send()).await.unwrap_err();
        // It is the client's own error, as it would be without a stack.
        assert!(matches!(error, Error::Unanswered(_)), "{error:?}");
    }
}

#[tokio::test]
async fn around_a_channel() {
    let server =
        |incoming| Server::builder().add_service(EchoServer::new(EchoPlayer)).serve_with_incoming(incoming);
    let layer =
        ClientLayer::new(eager().attempt(Duration::from_millis(300)).breaker(wary())).repeat(|_| true);
    let channel =
        AnyBody::new(channel(server).await, tonic::body::Body::new as fn(bartizan_client::Body) -> _);
    let service: ClientService<_> = layer.layer(channel);
    let mut client = EchoClient::new(service);

    assert_eq!(client.unary("hello").await.unwrap().into_inner().text, "hello");
    assert_eq!(client.unary("moody").await.unwrap().into_inner().text, "moody");
    let words = client.server_stream("one two three").await.unwrap().into_inner();
    assert_eq!(read(words).await.0, "one two three");
    let words = stream::iter(["one".into(), "two".into()]);
    assert_eq!(client.client_stream(words).await.unwrap().into_inner().text, "one two");
    let words = stream::iter(["one".into(), "two".into()]);
    assert_eq!(read(client.both_stream(words).await.unwrap().into_inner()).await.0, "one two");

    // It goes to one place, whichever that is.
    let breaker = layer.handle().breakers().get(&Host::of(&Uri::from_static("/"))).unwrap();
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(soon(client.unary("never")).await.unwrap_err().code(), Code::Unavailable);
    until(|| breaker.snapshot().failures > 0).await;
}
