//! Faults in their places: what a server that injects them puts on the wire, and what clients and the layers outside make of it.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use axum::Router;
use axum::routing::get;
use bartizan_breaker::{Breaker, BreakerLayer, Consecutive, State};
use bartizan_client::{Boxed, Client, Error, HyperService, ReqwestService};
use bartizan_deadline::DeadlineLayer;
use bartizan_fault::{Fault, FaultLayer, Faults, Handle};
use futures_util::future::join_all;
use http::StatusCode;
use stack::echo::{EchoClient, EchoServer, Player as Echo, channel, read};
use stack::{Player, Reach, Refusal, ask, serve, soon, until};
use std::num::NonZeroUsize;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Server;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
use tower_http::catch_panic::CatchPanicLayer;

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

fn on() -> FaultLayer {
    FaultLayer::new(Faults::new().enabled(true).seed(7))
}

fn breaker() -> BreakerLayer {
    BreakerLayer::new(Breaker::new().without_evidence().consecutive(Consecutive::new(3)).open_for(HOUR))
}

/// How many of 50 throws hit a share of 0.3, from seed 7.
const HITS: usize = 13;

/// A server whose handler stands behind faults alone.
async fn faulty() -> (String, Player, Handle) {
    let (layer, player) = (on(), Player::new());
    let handle = layer.handle();
    let url = serve(Router::new().route("/", get(player.clone())).layer(layer)).await;
    (url, player, handle)
}

/// All that a server says over HTTP/1 until it closes the connection.
async fn said(url: &str, query: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The connection is kept alive, so that only a break closes it.
    let request = format!("GET /{query} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    soon(stream.read_to_end(&mut said)).await.unwrap();
    String::from_utf8(said).unwrap()
}

fn http1() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn http2() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap()
}

/// Whether a client was told `RST_STREAM` by its server. Only the text of the error says so.
fn is_stream_reset(error: &reqwest::Error) -> bool {
    let text = format!("{error:?}");
    text.contains("Reset(StreamId(") && text.contains("INTERNAL_ERROR, Remote")
}

/// A chunked answer begins like this on the wire, and one of a known length.
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n";
const SIZED: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\n";

#[tokio::test]
async fn faults_are_those_of_the_app_and_not_of_a_connection() {
    for reach in Reach::ALL {
        println!("{reach:?}");
        let layer = FaultLayer::new(Faults::new().enabled(true).seed(7).with(Fault::error().share(0.3)));
        let (handle, player) = (layer.handle(), Player::new());
        let app = reach.reach(Router::new().route("/", get(player.clone())).layer(layer)).await;
        let mut hit = 0;
        for _ in 0..50 {
            hit += usize::from(app.ask("/").await.status() == StatusCode::INTERNAL_SERVER_ERROR);
        }
        assert_eq!((hit, handle.snapshot().errors, player.calls()), (HITS, HITS as u64, 50 - HITS));
        handle.clear();
        assert_eq!(app.ask("/").await.status(), StatusCode::OK);
        handle.inject(Fault::status(StatusCode::NOT_FOUND)).unwrap();
        assert_eq!(app.ask("/").await.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn connections_at_once_share_the_dice() {
    let (url, player, faults) = faulty().await;
    faults.inject(Fault::error().share(0.3)).unwrap();
    let answers = soon(join_all((0..50).map(|_| ask(&url)))).await;
    let hit = answers.iter().filter(|answer| answer.status() == StatusCode::INTERNAL_SERVER_ERROR).count();
    assert_eq!((hit, player.calls()), (HITS, 50 - HITS));
}

#[tokio::test]
async fn a_reset_closes_an_http1_connection_without_a_byte() {
    let (url, player, faults) = faulty().await;
    faults.inject(Fault::reset()).unwrap();
    assert_eq!(said(&url, "").await, "");
    let unanswered = soon(http1().get(&url).send()).await.unwrap_err();
    assert!(unanswered.is_request(), "{unanswered:?}");
    assert_eq!((player.calls(), faults.snapshot().reset), (0, 2));
}

#[tokio::test]
async fn a_reset_ends_an_http2_stream_and_no_other() {
    let (url, player, faults) = faulty().await;
    let client = http2();
    let mut other = soon(client.get(format!("{url}/?drip")).send()).await.unwrap();
    faults.inject(Fault::reset()).unwrap();
    let reset = soon(client.get(&url).send()).await.unwrap_err();
    assert!(reset.is_request() && is_stream_reset(&reset), "{reset:?}");
    faults.clear();
    assert_eq!(soon(client.get(&url).send()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(soon(other.chunk()).await.unwrap().unwrap(), "first");
    assert_eq!(player.calls(), 2);
}

#[tokio::test]
async fn a_truncated_body_breaks_off_after_what_was_sent() {
    let (url, player, faults) = faulty().await;
    for (bytes, query, head, body) in [
        (0, "", SIZED, ""),
        (1, "", SIZED, "o"),
        (0, "?tear", CHUNKED, ""),
        (2, "?tear", CHUNKED, "2\r\nfi\r\n"),
    ] {
        faults.update(Faults::new().with(Fault::truncate(bytes))).unwrap();
        let said = said(&url, query).await;
        let (told, rest) = said.split_once("\r\n\r\n").unwrap();
        assert!(told.starts_with(head.trim_end()), "{told}");
        // A chunked body lacks its last chunk.
        assert_eq!(rest, body, "{bytes} bytes of {query}");
        let answer = soon(http1().get(format!("{url}/{query}")).send()).await.unwrap();
        assert!(soon(answer.bytes()).await.is_err());

        let mut answer = soon(http2().get(format!("{url}/{query}")).send()).await.unwrap();
        let mut seen = 0;
        let broken = loop {
            match soon(answer.chunk()).await {
                Ok(chunk) => seen += chunk.expect("it does not end well").len(),
                Err(broken) => break broken,
            }
        };
        assert_eq!(seen, bytes);
        assert!(is_stream_reset(&broken), "{broken:?}");
    }
    faults.update(Faults::new().with(Fault::truncate(2))).unwrap();
    for client in [http1(), http2()] {
        let calls = player.calls();
        assert_eq!(soon(soon(client.get(&url).send()).await.unwrap().text()).await.unwrap(), "ok");
        assert_eq!(player.calls(), calls + 1);
    }
}

#[tokio::test]
async fn a_body_drips_to_its_end() {
    let (url, _, faults) = faulty().await;
    faults.inject(Fault::drip(NonZeroUsize::MIN, MS)).unwrap();
    for client in [http1(), http2()] {
        let mut answer = soon(client.get(&url).send()).await.unwrap();
        assert_eq!(answer.content_length(), Some(2));
        let mut drops = Vec::new();
        while let Some(drop) = soon(answer.chunk()).await.unwrap() {
            drops.extend(drop);
        }
        assert_eq!(drops, b"ok");
    }
    assert_eq!(faults.snapshot().dripped, 2);
}

#[tokio::test]
async fn a_panic_breaks_the_connection_or_is_caught() {
    let (url, player, faults) = faulty().await;
    faults.inject(Fault::panic()).unwrap();
    assert_eq!(said(&url, "").await, "");
    faults.clear();
    assert_eq!(ask(&url).await.status(), StatusCode::OK, "the server goes on");
    assert_eq!(player.calls(), 1);

    let layer = FaultLayer::new(Faults::new().enabled(true).with(Fault::panic()));
    let caught = ServiceBuilder::new().layer(CatchPanicLayer::new()).layer(layer);
    let url = serve(Router::new().route("/", get(Player::new())).layer(caught)).await;
    assert_eq!(ask(&url).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn grpc_clients_see_what_goes_with_each_fault() {
    let layer = on();
    let faults = layer.handle();
    let channel = channel(|incoming| {
        Server::builder().layer(layer).add_service(EchoServer::new(Echo)).serve_with_incoming(incoming)
    });
    let mut client = EchoClient::new(channel.await);
    for (fault, code, message) in [
        (Fault::error(), Code::Internal, "injected fault"),
        (Fault::grpc(14), Code::Unavailable, "injected fault"),
        (Fault::grpc(8), Code::ResourceExhausted, "injected fault"),
        (
            Fault::status(StatusCode::SERVICE_UNAVAILABLE),
            Code::Unavailable,
            "mapped from HTTP status code 503",
        ),
        (Fault::status(StatusCode::UNAUTHORIZED), Code::Unauthenticated, "mapped from HTTP status code 401"),
        (Fault::reset(), Code::Internal, "http2 error"),
        (Fault::truncate(3), Code::Internal, "error reading a body"),
        (Fault::panic(), Code::Cancelled, "http2 error"),
    ] {
        faults.update(Faults::new().with(fault.clone())).unwrap();
        let status = soon(client.unary("one")).await.unwrap_err();
        assert_eq!(status.code(), code, "{fault:?}: {status:?}");
        assert!(status.message().contains(message), "{fault:?}: {status:?}");
        let streamed = match soon(client.server_stream("one two")).await {
            Ok(words) => read(words.into_inner()).await.1.unwrap(),
            Err(status) => status,
        };
        assert_eq!(streamed.code(), code, "{fault:?}: {streamed:?}");
    }
    // The first message of two is five bytes of frame, and five of its own.
    faults.update(Faults::new().with(Fault::truncate(10))).unwrap();
    let (words, status) = read(soon(client.server_stream("one two")).await.unwrap().into_inner()).await;
    assert_eq!((words.as_str(), status.unwrap().code()), ("one", Code::Internal));
    for harmless in [Fault::drip(NonZeroUsize::MIN, MS), Fault::delay(MS)] {
        faults.update(Faults::new().with(harmless)).unwrap();
        assert_eq!(soon(client.unary("one")).await.unwrap().into_inner().text, "one");
        let words = read(soon(client.server_stream("one two")).await.unwrap().into_inner()).await;
        assert!(matches!((words.0.as_str(), words.1), ("one two", None)));
    }
}

#[tokio::test]
async fn a_breaker_outside_takes_them_for_failures_of_the_service() {
    for fault in
        [Fault::error(), Fault::status(StatusCode::SERVICE_UNAVAILABLE), Fault::reset(), Fault::truncate(1)]
    {
        println!("{fault:?}");
        let (breaker, layer, player) = (breaker(), on(), Player::new());
        let (circuit, faults) = (breaker.handle(), layer.handle());
        let layers = ServiceBuilder::new().layer(breaker).layer(layer);
        let url = serve(Router::new().route("/", get(player.clone())).layer(layers)).await;
        faults.inject(fault).unwrap();
        for failures in 1..=3 {
            assert_eq!(circuit.state(), State::Closed);
            // A reset has no answer, and a body that is truncated is judged at its end.
            if let Ok(answer) = soon(http1().get(&url).send()).await {
                drop(soon(answer.bytes()).await);
            }
            until(|| circuit.snapshot().failures == failures).await;
        }
        assert_eq!(circuit.state(), State::Open);
        faults.clear();
        let calls = player.calls();
        assert_eq!(Refusal::of(ask(&url).await).await.layer, "breaker");
        assert_eq!(player.calls(), calls);
    }

    // In the typed flavour, an injected error is a `Refused` that reached the service.
    let (breaker, layer) = (breaker(), on());
    let circuit = breaker.handle();
    layer.handle().inject(Fault::error()).unwrap();
    let inner = service_fn(|n: u8| async move { Ok::<_, BoxError>(n) });
    let service = ServiceBuilder::new().layer(breaker.typed()).layer(layer.typed()).service(inner);
    for _ in 0..3 {
        assert_eq!(circuit.state(), State::Closed);
        assert!(service.clone().oneshot(1).await.is_err());
    }
    assert_eq!(circuit.state(), State::Open);
}

#[tokio::test]
async fn a_deadline_outside_ends_what_never_answers() {
    for (fault, calls) in [(Fault::hang(), 0), (Fault::lose_reply(), 1), (Fault::delay(HOUR), 0)] {
        println!("{fault:?}");
        let (layer, player) = (on(), Player::new());
        let faults = layer.handle();
        let layers = ServiceBuilder::new().layer(DeadlineLayer::new(50 * MS)).layer(layer);
        let url = serve(Router::new().route("/", get(player.clone())).layer(layers)).await;
        faults.inject(fault).unwrap();
        let refusal = Refusal::of(ask(&url).await).await;
        assert_eq!((refusal.status, refusal.layer.as_str()), (504, "deadline"));
        assert_eq!(player.calls(), calls, "what is lost was done, and nothing else");
    }
}

#[tokio::test]
async fn a_client_is_harmed_as_by_its_server() {
    let url = serve(Router::new().route("/", get(Player::new()))).await;
    let (breaker, layer) = (breaker(), on());
    let (circuit, faults) = (breaker.handle(), layer.handle());
    let stack =
        ServiceBuilder::new().layer(breaker).layer(DeadlineLayer::new(300 * MS).outgoing()).layer(layer);
    for (name, client) in [
        ("reqwest", Client::new(Boxed::new(stack.clone().service(ReqwestService::new(http1()))))),
        ("hyper", Client::new(Boxed::new(stack.clone().service(HyperService::default())))),
    ] {
        println!("{name}");
        circuit.reset();
        let ask = || soon(client.get(&url).send());
        assert_eq!(soon(ask().await.unwrap().text()).await.unwrap(), "ok");

        faults.update(Faults::new().with(Fault::status(StatusCode::BAD_GATEWAY))).unwrap();
        assert_eq!(ask().await.unwrap().status(), StatusCode::BAD_GATEWAY);
        faults.update(Faults::new().with(Fault::reset())).unwrap();
        let broken = soon(ask().await.unwrap().bytes()).await;
        assert!(matches!(&broken, Err(Error::Body(_))), "{broken:?}");
        faults.update(Faults::new().with(Fault::lose_reply())).unwrap();
        let lost = ask().await;
        assert!(matches!(&lost, Err(Error::Refused(refused)) if refused.layer() == "deadline"), "{lost:?}");

        faults.clear();
        let refused = ask().await;
        assert!(
            matches!(&refused, Err(Error::Refused(refused)) if refused.layer() == "breaker"),
            "{refused:?}"
        );
    }
}
