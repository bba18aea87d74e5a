//! The standard stack before servers: axum over several connections and streams, and tonic.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::extract::State;
use axum::handler::Handler;
use axum::routing::get;
use bartizan_client::{Boxed, Client};
use bartizan_core::Priority;
use bartizan_limit::{Address, Limit};
use bartizan_shed::Shed;
use bartizan_stack::{ClientLayer, ServerLayer, ServerStack};
use futures_util::future::join_all;
use futures_util::stream;
use http::{Request, StatusCode};
use stack::echo::{EchoClient, EchoServer, Player as EchoPlayer, channel, left, read};
use stack::{Player, Reach, Refusal, ask, boxed, serve, soon, until};
use std::net::SocketAddr;
use std::time::Duration;
use tonic::Code;
use tonic::service::{LayerExt, Routes};
use tonic::transport::Server;
use tower::{Layer, ServiceBuilder, ServiceExt};

const HOUR: Duration = Duration::from_secs(3600);

/// Three requests an hour, and so each of them is counted.
fn three() -> ServerLayer {
    ServerLayer::new(ServerStack::new().limit(Limit::per(3, 3 * HOUR)))
}

/// Puts a layer before a handler.
type Put = fn(Player, ServerLayer) -> Router;

#[tokio::test]
async fn it_goes_where_axum_takes_a_layer_and_counts_over_all_connections() {
    for reach in Reach::ALL {
        let places: [(&str, Put); 6] = [
            ("Router::layer", |player, layer| Router::new().route("/", get(player)).layer(layer)),
            ("Router::route_layer", |player, layer| Router::new().route("/", get(player)).route_layer(layer)),
            ("MethodRouter::layer", |player, layer| Router::new().route("/", get(player).layer(layer))),
            ("MethodRouter::route_layer", |player, layer| {
                Router::new().route("/", get(player).route_layer(layer))
            }),
            ("Handler::layer", |player, layer| {
                Router::new().route("/", get(Handler::<Player, _>::layer(player, layer)))
            }),
            ("a stack", |player, layer| {
                Router::new().route("/", get(player)).layer(ServiceBuilder::new().layer(layer))
            }),
        ];
        for (place, put) in places {
            println!("{place} by {reach:?}");
            let (player, layer) = (Player::new(), three());
            let handle = layer.handle();
            let app = reach.reach(put(player.clone(), layer)).await;
            for _ in 0..3 {
                assert_eq!(app.ask("/").await.status(), StatusCode::OK);
            }
            let refusal = Refusal::of(app.ask("/").await).await;
            assert_eq!((refusal.status, &*refusal.layer), (429, "limit"));
            assert_eq!((player.calls(), handle.limit().unwrap().snapshot().refused), (3, 1));
            // What is changed is changed for all connections.
            handle.update(handle.stack().without_limit()).unwrap();
            assert_eq!(app.ask("/").await.status(), StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn many_connections_and_streams_share_what_sheds() {
    for http2 in [false, true] {
        println!("HTTP/2: {http2}");
        let layer = ServerLayer::new(ServerStack::new().shed(Shed::fixed(10)));
        let handle = layer.handle();
        let url = serve(Router::new().route("/", get(Player::new())).layer(layer)).await;
        let h1 = || reqwest::Client::builder().no_proxy().build().unwrap();
        let h2 = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
        let client = |_| if http2 { h2.clone() } else { h1() };
        let answers = soon(join_all((0..40).map(|n| client(n).get(format!("{url}/?drip")).send()))).await;
        let answers = answers.into_iter().map(Result::unwrap);
        let (held, refused) = answers.partition::<Vec<_>, _>(|answer| answer.status() == StatusCode::OK);
        assert_eq!((held.len(), refused.len(), handle.shed().snapshot().in_flight), (10, 30, 10));
        drop(held);
        until(|| handle.shed().snapshot().in_flight == 0).await;
        assert_eq!(ask(&url).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn functions_say_whose_bucket_it_is_and_what_matters() {
    let peer = Address::new(|head| head.headers.get("x-peer")?.to_str().ok()?.parse::<SocketAddr>().ok());
    let layer = ServerLayer::new(ServerStack::new().limit(Limit::per(1, HOUR)))
        .address(peer)
        .priority(|head| if head.uri.path() == "/pay" { Priority::CRITICAL } else { Priority::SHEDDABLE })
        .exempt(|head| head.uri.path() == "/status")
        .named("functions of a server");
    let (handle, limits) = (layer.handle(), layer.limits());
    let player = Player::new();
    let app = Router::new()
        .route("/pay", get(player.clone()))
        .route("/browse", get(player.clone()))
        .route("/status", get(player))
        .layer(layer);
    let app = Reach::Connection.reach(app).await;
    let from = async |peer: &str, path: &str| {
        let request = Request::get(path).header("x-peer", peer).body(()).unwrap();
        app.send(request).await.status().as_u16()
    };
    assert_eq!((from("10.0.0.1:5", "/pay").await, from("10.0.0.1:6", "/pay").await), (200, 429));
    assert_eq!((from("10.0.0.2:5", "/browse").await, from("10.0.0.2:5", "/status").await), (200, 200));
    let admitted = handle.shed().snapshot().admitted;
    assert_eq!((admitted.critical, admitted.sheddable, limits.snapshot().refused), (1, 1, 1));
}

/// Says how much time the server that it calls is told to have.
async fn ask_on(State(client): State<Client>) -> String {
    client.get("").send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn its_deadline_goes_on_to_who_is_called() {
    let inner = Router::new().route("/", get(|| async { left() })).layer(ServerLayer::default());
    let client = Client::new(boxed!(&ClientLayer::default(), stack::reqwest(false)));
    let client: Client<Boxed> = client.base_url(serve(inner).await.parse().unwrap());
    let layer = ServerLayer::new(ServerStack::new().deadline(Duration::from_millis(500)));
    let app = Router::new().route("/", get(ask_on)).with_state(client).layer(layer);
    let url = serve(app).await;
    let left: u64 = soon(reqwest::get(url)).await.unwrap().text().await.unwrap().parse().unwrap();
    assert!(left <= 500, "{left}");
}

#[tokio::test]
async fn what_takes_too_long_is_ended() {
    let layer = ServerLayer::new(ServerStack::new().deadline(Duration::from_millis(30)));
    let url = serve(Router::new().route("/", get(Player::new())).layer(layer)).await;
    let refusal = Refusal::of(ask(&format!("{url}/?hang")).await).await;
    assert_eq!((refusal.status, &*refusal.layer), (504, "deadline"));
}

#[tokio::test]
async fn it_goes_before_tonic() {
    let echo = || EchoServer::new(EchoPlayer);
    let layer = ServerLayer::new(
        ServerStack::new().deadline(Duration::from_millis(300)).limit(Limit::per(5, 5 * HOUR)),
    );
    let handle = layer.handle();
    let (on_server, around, on_routes) = (layer.clone(), layer.clone().named_layer(echo()), layer.clone());
    let channels = [
        channel(|incoming| {
            Server::builder().layer(on_server).add_service(echo()).serve_with_incoming(incoming)
        })
        .await,
        channel(|incoming| Server::builder().add_service(around).serve_with_incoming(incoming)).await,
        tonic::transport::Endpoint::try_from(
            serve(Routes::new(echo()).into_axum_router().layer(on_routes)).await,
        )
        .unwrap()
        .connect_lazy(),
    ];
    for channel in channels {
        // All three are one, until its bucket is filled.
        handle.limit().unwrap().reset();
        let mut client = EchoClient::new(channel);
        assert_eq!(client.unary("hello").await.unwrap().into_inner().text, "hello");
        let words = client.server_stream("one two three").await.unwrap().into_inner();
        assert_eq!(read(words).await.0, "one two three");
        let words = stream::iter(["one".into(), "two".into()]);
        let answer = client.both_stream(words).await.unwrap().into_inner();
        assert_eq!(read(answer).await.0, "one two");
        assert_eq!(client.unary("fail").await.unwrap_err().code(), Code::Unavailable);
        assert_eq!(soon(client.unary("hang")).await.unwrap_err().code(), Code::DeadlineExceeded);
        let refused = client.unary("hello").await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(stack::pushback(&refused).is_some());
    }
}

#[tokio::test]
async fn a_service_of_its_own_can_be_named_and_called() {
    let service: bartizan_stack::ServerService<Router> =
        three().layer(Router::new().route("/", get(Player::new())));
    for status in [200, 200, 200, 429] {
        let answer =
            service.clone().oneshot(Request::get("/").body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(answer.unwrap().status().as_u16(), status);
    }
}
