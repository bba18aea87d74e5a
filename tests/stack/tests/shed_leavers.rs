//! Callers that leave at any moment, among answers that fail, hang, panic and break off: every place comes back.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::extract::Request;
use axum::routing::{any, get};
use bartizan_client::{Boxed, Client};
use bartizan_http::Head;
use bartizan_shed::{Backlog, Handle, Mode, Shares, Shed, ShedLayer};
use futures_util::{FutureExt, stream};
use http_body_util::{BodyExt, Collected};
use stack::echo::{self, EchoClient, EchoServer, Said, channel, read};
use stack::{Player, clients, crowd, listen, serve, soon, until};
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::{Channel, Server};
use tower::util::BoxCloneService;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const SEEDS: u64 = 12;
const CALLS: usize = 25;

fn is_idle(handle: &Handle) -> bool {
    let snapshot = handle.snapshot();
    (snapshot.in_flight, snapshot.queued) == (0, 0)
}

/// The same app behind every manner of layer, with the layer's name and handle.
fn guarded(app: &Router) -> Vec<(&'static str, Router, Handle)> {
    macro_rules! guarded {
        ($($name:literal: $layer:expr,)*) => {
            vec![$({
                let layer = $layer;
                let handle = layer.handle();
                ($name, app.clone().layer(layer), handle)
            }),*]
        };
    }
    let four = || ShedLayer::new(Shed::fixed(4));
    let class = |head: &Head<'_>| head.uri.query().map_or(0, |query| query.len() % 2);
    guarded! {
        "fixed": four(),
        "fair": four().fair_by(|head| head.uri.query().map(str::len)),
        "shares": four().class(class, Shares::new([0.5, 0.5])),
        "queue": four().backlog(Backlog::new(4)),
        "shares of a queue": four().class(class, Shares::new([0.5, 0.5])).backlog(Backlog::new(4)),
        "adaptive": ShedLayer::new(Shed::new()),
        "adaptive with a queue": ShedLayer::new(Shed::new()).backlog(Backlog::new(4)),
        "shadow": ShedLayer::new(Shed::fixed(1).mode(Mode::Shadow)),
    }
}

#[tokio::test]
async fn of_a_server_over_http() {
    for (layer, app, handle) in guarded(&Router::new().route("/", get(Player::new()))) {
        let url = serve(app).await;
        for http2 in [false, true] {
            println!("{layer}, HTTP/2: {http2}");
            crowd(&Client::new(Boxed::new(stack::reqwest(http2))), &url).await;
            until(|| is_idle(&handle)).await;
        }
        assert!(handle.snapshot().admitted.total() > 50, "{handle:?}");

        if ["fixed", "fair", "shares"].contains(&layer) {
            // All four places are there, and no fifth.
            let client = Client::new(Boxed::new(stack::reqwest(true)));
            let mut held = Vec::new();
            for _ in 0..5 {
                held.push(soon(client.get(format!("{url}/?drip")).send()).await.unwrap());
            }
            let statuses: Vec<_> = held.iter().map(|answer| answer.status().as_u16()).collect();
            assert_eq!(statuses, [200, 200, 200, 200, 503], "{layer}");
            drop(held);
            until(|| is_idle(&handle)).await;
        }
    }
}

#[tokio::test]
async fn of_a_client() {
    let url = serve(Router::new().route("/", get(Player::new()))).await;
    for shed in [Shed::fixed(4), Shed::new()] {
        let (layer, queue) = (ShedLayer::new(shed), ShedLayer::new(shed).backlog(Backlog::new(4)));
        let handles = [layer.handle(), queue.handle()];
        for (handle, clients) in handles.iter().zip([clients!(layer), clients!(queue)]) {
            for (name, client) in clients {
                println!("{name}, {shed:?}");
                crowd(&client, &url).await;
                // Not some time after the callers have left.
                assert!(is_idle(handle), "{handle:?}");
            }
            assert!(handle.snapshot().admitted.total() > 100, "{handle:?}");
        }
    }
}

#[tokio::test]
async fn of_a_server_whose_callers_break_off_in_the_request() {
    let read = |request: Request| async {
        request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default()
    };
    for (layer, app, handle) in guarded(&Router::new().route("/", any(read))) {
        println!("{layer}");
        let (listener, address) = listen().await;
        tokio::spawn(async move { axum::serve(listener, app).await });
        let whole = "POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 10000000\r\n\r\nbody";
        for said in ["", "POST / HT", &whole[..whole.len() - 6], whole] {
            for reset in [false, true] {
                let mut streams = Vec::new();
                for _ in 0..4 {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    stream.write_all(said.as_bytes()).await.unwrap();
                    streams.push(stream);
                }
                if said == whole {
                    until(|| handle.snapshot().in_flight == 4 || layer.starts_with("adaptive")).await;
                }
                for stream in streams {
                    if reset {
                        stream.set_zero_linger().unwrap();
                    }
                    drop(stream);
                }
                until(|| is_idle(&handle)).await;
            }
        }
    }
}

fn words(all: &'static str) -> impl stream::Stream<Item = Said> + Send + 'static {
    stream::iter(all.split(' ').map(Said::from))
}

/// One that makes calls of all kinds over gRPC, and leaves when its patience is over.
async fn call_and_leave<S>(mut client: EchoClient<S>, mut dice: fastrand::Rng)
where
    S: Service<http::Request<tonic::body::Body>, Error: Into<BoxError>, Future: Send> + Send,
    S: tonic::client::GrpcService<tonic::body::Body, ResponseBody: Send>,
    <S as tonic::client::GrpcService<tonic::body::Body>>::ResponseBody:
        http_body::Body<Data = bytes::Bytes, Error: Into<BoxError> + Send> + Send + 'static,
    <S as tonic::client::GrpcService<tonic::body::Body>>::Future: Send,
{
    const SAID: [&str; 7] = ["one", "fail", "hang", "panic", "one hang", "one two fail", "one panic"];
    for _ in 0..CALLS {
        let said = SAID[dice.usize(..SAID.len())];
        let kind = dice.usize(..4);
        let called = async {
            match kind {
                0 => drop(client.unary(said).await),
                1 => drop(client.client_stream(words(said)).await),
                2 => {
                    if let Ok(answers) = client.server_stream(said).await {
                        read(answers.into_inner()).await;
                    }
                }
                _ => {
                    if let Ok(answers) = client.both_stream(words(said)).await {
                        read(answers.into_inner()).await;
                    }
                }
            }
        };
        let _ = timeout(Duration::from_micros(dice.u64(..6_000)), called).await;
    }
}

#[tokio::test]
async fn over_grpc() {
    let echo = || EchoServer::new(echo::Player);
    let bare: Channel =
        channel(|incoming| Server::builder().add_service(echo()).serve_with_incoming(incoming)).await;
    for shed in [Shed::fixed(4), Shed::new()] {
        let (inside, outside) = (ShedLayer::new(shed), ShedLayer::new(shed));
        let handles = [inside.handle(), outside.handle()];
        let guarded = channel(|incoming| {
            Server::builder().layer(inside).add_service(echo()).serve_with_incoming(incoming)
        });
        let (guarded, around) = (guarded.await, outside.layer(bare.clone()));
        let mut callers = JoinSet::new();
        for seed in 0..SEEDS {
            callers.spawn(call_and_leave(EchoClient::new(guarded.clone()), fastrand::Rng::with_seed(seed)));
            callers.spawn(call_and_leave(EchoClient::new(around.clone()), fastrand::Rng::with_seed(seed)));
        }
        soon(callers.join_all()).await;
        for handle in handles {
            until(|| is_idle(&handle)).await;
            assert!(handle.snapshot().admitted.total() > 50, "{handle:?}");
        }
    }
}

#[tokio::test]
async fn of_the_typed_flavour() {
    let play = |part: u64| async move {
        match part % 5 {
            0 => Ok(()),
            1 => Err(BoxError::from("failed")),
            2 => panic!("played"),
            3 => std::future::pending().await,
            _ => {
                tokio::task::yield_now().await;
                Ok(())
            }
        }
    };
    for shed in [Shed::fixed(4), Shed::new()] {
        let layer = ShedLayer::new(shed).typed();
        let queue = ShedLayer::new(shed).typed().backlog(Backlog::new(2));
        let handles = [layer.handle(), queue.handle()];
        let services = [
            BoxCloneService::new(layer.layer(service_fn(play))),
            BoxCloneService::new(queue.layer(service_fn(play))),
        ];
        let mut dice = fastrand::Rng::with_seed(7);
        for n in 0..400 {
            let (service, handle) = (&services[n % 2], &handles[n % 2]);
            // Of up to six at once some are never polled, some once, some to the end.
            let calls: Vec<_> =
                (0..dice.usize(1..7)).map(|_| service.clone().oneshot(dice.u64(..))).collect();
            for call in calls {
                match dice.u8(..3) {
                    0 => drop(call),
                    1 => drop(AssertUnwindSafe(call).catch_unwind().now_or_never()),
                    _ => {
                        drop(timeout(Duration::from_micros(10), AssertUnwindSafe(call).catch_unwind()).await);
                    }
                }
            }
            assert!(is_idle(handle), "{handle:?}");
        }
    }
}
