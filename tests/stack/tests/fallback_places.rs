//! Fallbacks where axum, tonic and reqwest take them, as real clients see them.
#![allow(clippy::unwrap_used, reason = "what helps a test is one")]

use axum::Router;
use axum::body::Body;
use axum::handler::Handler;
use axum::routing::{any, get};
use bartizan_client::ReqwestService;
use bartizan_core::registry;
use bartizan_deadline::DeadlineLayer;
use bartizan_fallback::{
    Degraded, Fallback, FallbackLayer, FallbackOn, Handle, HttpWay, Outcome, Reply, Value,
};
use futures_util::future::join_all;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use prost::Message;
use stack::echo::{EchoClient, EchoServer, Said, channel, read};
use stack::{Player, Reach, Unheard, ask, echo, serve, soon, until};
use std::time::Duration;
use tonic::Code;
use tonic::service::{LayerExt, Routes};
use tonic::transport::{Endpoint, Server};
use tower::util::MapErr;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt};

type ValueLayer = FallbackLayer<HttpWay<Value<Reply>>>;

fn instead() -> ValueLayer {
    FallbackLayer::new(Fallback::new()).value(Response::new("instead"))
}

async fn text<B: http_body::Body<Error: std::fmt::Debug>>(answer: Response<B>) -> (u16, String) {
    let (head, body) = answer.into_parts();
    let read = soon(body.collect()).await.unwrap().to_bytes();
    (head.status.as_u16(), String::from_utf8(read.to_vec()).unwrap())
}

/// A router with the layer in one place, and the path of the handler.
type Site = (&'static str, &'static str, fn(ValueLayer, Player) -> Router);

const SITES: [Site; 9] = [
    ("Router::layer", "/", |layer, player| Router::new().route("/", any(player)).layer(layer)),
    ("Router::layer before a fallback", "/nowhere", |layer, player| {
        Router::new().fallback(player).layer(layer)
    }),
    ("Router::route_layer", "/", |layer, player| Router::new().route("/", any(player)).route_layer(layer)),
    ("MethodRouter::layer", "/", |layer, player| Router::new().route("/", any(player).layer(layer))),
    ("MethodRouter::route_layer", "/", |layer, player| {
        Router::new().route("/", get(player.clone()).post(player).route_layer(layer))
    }),
    ("Handler::layer", "/", |layer, player| Router::new().route("/", any(player.layer(layer)))),
    ("Router::route_service", "/", |layer, player| {
        Router::new().route_service("/", ServiceBuilder::new().layer(layer).service(any(player)))
    }),
    ("inside Router::nest", "/in/", |layer, player| {
        Router::new().nest("/in/", Router::new().route("/", any(player)).layer(layer))
    }),
    ("around Router::nest", "/in/", |layer, player| {
        Router::new().nest("/in/", Router::new().route("/", any(player))).layer(layer)
    }),
];

#[tokio::test]
async fn in_every_place_of_axum_over_many_connections() {
    for (site, path, build) in SITES {
        for reach in Reach::ALL {
            println!("{site} by {reach:?}");
            let (layer, player) = (instead(), Player::new());
            let handle = layer.handle();
            let app = reach.reach(build(layer, player.clone())).await;
            for _ in 0..3 {
                assert_eq!(text(app.ask(&format!("{path}?ok")).await).await, (200, "ok".into()));
                assert_eq!(text(app.ask(&format!("{path}?fail")).await).await, (200, "instead".into()));
                let write = Request::post(format!("{path}?fail")).body(()).unwrap();
                assert_eq!(text(app.send(write).await).await, (500, String::new()));
            }
            assert_eq!(
                (handle.snapshot().used, player.calls()),
                (3, 9),
                "the layer is one, whoever connects"
            );
        }
    }
}

/// A crowd over connections of its own, while the layer is switched off and on.
#[tokio::test]
async fn a_crowd_is_answered_while_the_layer_is_steered() {
    let layer = instead().named("steered");
    let handle = layer.handle();
    let url = serve(Router::new().route("/", get(Player::new())).layer(layer)).await + "/?fail";
    for enabled in [true, false, true] {
        handle.update(Fallback::new().enabled(enabled));
        let answers = join_all((0..32).map(|_| ask(&url))).await;
        let ought = if enabled { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
        assert!(answers.iter().all(|answer| answer.status() == ought), "{enabled}: {answers:?}");
    }
    assert_eq!((handle.snapshot().used, handle.snapshot().in_flight), (64, 0));
    let known = registry::handles().into_iter().find(|known| known.name() == "steered").unwrap();
    assert_eq!((known.layer(), known.state()), ("fallback", "degraded"));
}

/// What a client that left had asked for does not go on.
#[tokio::test]
async fn a_client_that_leaves_takes_its_fallback_along() {
    let layer = FallbackLayer::new(Fallback::new()).call(|_| std::future::pending::<Reply>());
    let handle = layer.handle();
    let url = serve(Router::new().route("/", get(Player::new())).layer(layer)).await + "/?fail";
    let client = tokio::spawn(async move { ask(&url).await });
    until(|| handle.snapshot().in_flight == 1).await;
    client.abort();
    until(|| handle.snapshot().in_flight == 0).await;
}

/// The deadline of an attempt is replaced; the one around the fallback is not.
#[tokio::test]
async fn around_and_inside_a_deadline() {
    let short = || DeadlineLayer::new(Duration::from_millis(20));
    let slow = FallbackLayer::new(Fallback::new()).call(|_| std::future::pending::<Reply>());
    let handle = slow.handle();
    let app = Router::new()
        .route("/around", get(Player::new()).layer(ServiceBuilder::new().layer(instead()).layer(short())))
        .route("/inside", get(Player::new()).layer(ServiceBuilder::new().layer(short()).layer(slow)));
    let app = Reach::Connection.reach(app).await;
    assert_eq!(text(app.ask("/around?hang").await).await, (200, "instead".into()));
    assert_eq!(app.ask("/inside?fail").await.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!((handle.snapshot().used, handle.snapshot().in_flight), (1, 0));
}

/// Another service is asked for the same path.
#[tokio::test]
async fn a_copy_of_the_service_is_asked() {
    let copy =
        serve(Router::new().fallback(|uri: http::Uri| async move { format!("copy of {}", uri.path()) }))
            .await;
    let client = ReqwestService::new(reqwest::Client::builder().no_proxy().build().unwrap());
    let layer =
        FallbackLayer::new(Fallback::new()).key(|head| head.uri.path().to_owned()).forward(move |failed| {
            let req =
                Request::get(copy.clone() + &failed.key).body(bartizan_client::Body::default()).unwrap();
            client.clone().oneshot(req)
        });
    let down = ReqwestService::new(reqwest::Client::builder().no_proxy().build().unwrap());
    let around = layer.layer(MapErr::new(down, BoxError::from));
    let req = Request::get(Unheard::new().url() + "/a/b").body(bartizan_client::Body::default()).unwrap();
    let answer = soon(around.oneshot(req)).await.unwrap();
    assert_eq!(answer.extensions().get::<Degraded>().unwrap().failure().outcome(), Outcome::Error);
    assert_eq!(text(answer).await, (200, "copy of /a/b".into()));
}

#[tokio::test]
async fn on_a_reqwest_client() {
    let url = serve(Router::new().route("/", any(Player::new()))).await;
    let client = || reqwest::Client::builder().no_proxy().build().unwrap();
    let gone = Unheard::new();
    // Over our adapter, as everywhere else.
    let on = FallbackOn::ERRORS.and(FallbackOn::code(500));
    let layer = FallbackLayer::new(Fallback::new().on(on)).value(Response::new("instead"));
    let http = layer.layer(ReqwestService::new(client()));
    // On the bare client, in the typed flavour.
    let layer = FallbackLayer::new(Fallback::new())
        .typed(|req: &reqwest::Request| req.method().is_safe())
        .key(|req: &reqwest::Request| req.url().path().to_owned())
        .with(|failed| {
            let error = failed.error::<reqwest::Error>().expect("errors fail, and nothing else");
            assert!(error.is_connect(), "unchanged");
            Ok(Response::new(format!("no {}", failed.key)).into())
        });
    let mut bare = layer.layer(client());
    for (url, over_http, on_the_bare_one) in [
        (url.clone() + "/?ok", (200, "ok"), (200, "ok")),
        (url.clone() + "/?fail", (200, "instead"), (500, "")),
        (gone.url() + "/x", (200, "instead"), (200, "no /x")),
    ] {
        let req = Request::get(&url).body(bartizan_client::Body::default()).unwrap();
        let answer = soon(http.clone().oneshot(req)).await.unwrap();
        assert_eq!(text(answer).await, (over_http.0, over_http.1.into()), "{url}");
        let req = client().get(&url).build().unwrap();
        let answer = soon(bare.ready().await.unwrap().call(req)).await.unwrap();
        let read = (answer.status().as_u16(), soon(answer.text()).await.unwrap());
        assert_eq!(read, (on_the_bare_one.0, on_the_bare_one.1.into()), "{url}");
    }
    let write = client().post(gone.url()).build().unwrap();
    assert!(soon(bare.ready().await.unwrap().call(write)).await.unwrap_err().is_connect());
}

/// Answers reads with a message, and a stream with two.
fn grpc() -> ValueLayer {
    let said = |text: &str| Said::from(text).encode_to_vec();
    let layer = FallbackLayer::new(Fallback::new()).reads(|head| !head.uri.path().ends_with("/BothStream"));
    layer.value(Reply::grpc_stream([said("instead")]))
}

fn player() -> EchoServer<echo::Player> {
    EchoServer::new(echo::Player)
}

async fn assert_replaces<S>(site: &str, mut client: EchoClient<S>, handle: &Handle)
where
    S: tonic::client::GrpcService<tonic::body::Body, Error: Into<BoxError>> + Send,
    S::ResponseBody: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError> + Send> + Send + 'static,
    S::Future: Send,
{
    println!("{site}");
    let words = |all: &'static [&str]| stream::iter(all.iter().map(|word| Said::from(*word)));
    assert_eq!(soon(client.unary("one")).await.unwrap().into_inner().text, "one");
    assert_eq!(soon(client.unary("fail")).await.unwrap().into_inner().text, "instead");
    let answer = soon(client.client_stream(words(&["fail"]))).await.unwrap();
    assert_eq!(answer.into_inner().text, "instead");
    // A stream that has begun has no way back.
    let (all, status) = read(soon(client.server_stream("one fail")).await.unwrap().into_inner()).await;
    assert_eq!((all.as_str(), status.unwrap().code()), ("one", Code::Unavailable));
    assert_eq!(handle.snapshot().used, 2);
}

#[tokio::test]
async fn between_a_tonic_server_and_its_client() {
    let layer = grpc();
    let handle = layer.handle();
    let server = channel(|incoming| {
        Server::builder().layer(layer).add_service(player()).serve_with_incoming(incoming)
    });
    assert_replaces("Server::layer", EchoClient::new(server.await), &handle).await;

    let layer = grpc();
    let handle = layer.handle();
    let around = layer.named_layer(player());
    let server = channel(|incoming| Server::builder().add_service(around).serve_with_incoming(incoming));
    assert_replaces("add_service", EchoClient::new(server.await), &handle).await;

    let layer = grpc();
    let handle = layer.handle();
    let routes = serve(Routes::new(player()).into_axum_router().layer(layer)).await;
    let routes = Endpoint::try_from(routes).unwrap().connect_lazy();
    assert_replaces("Routes behind axum::serve", EchoClient::new(routes), &handle).await;

    let layer = grpc();
    let handle = layer.handle();
    let server = channel(|incoming| Server::builder().add_service(player()).serve_with_incoming(incoming));
    let channel = ServiceBuilder::new().layer(layer).service(server.await);
    assert_replaces("Channel", EchoClient::new(channel), &handle).await;
}

/// Without a server at all, in every kind of method; what is no read gets its error.
#[tokio::test]
async fn a_tonic_client_without_a_server() {
    let words = || stream::iter([Said::from("one")]);
    let gone = Unheard::new();
    let lazy = || Endpoint::try_from(gone.url()).unwrap().connect_lazy();
    let said = |text: &str| Said::from(text).encode_to_vec();
    let layer = FallbackLayer::new(Fallback::new()).reads(|head| !head.uri.path().ends_with("/BothStream"));

    let value = layer.clone().value(Reply::grpc_stream([said("one"), said("two")]));
    let mut client = EchoClient::new(value.layer(lazy()));
    let (all, status) = read(soon(client.server_stream("x")).await.unwrap().into_inner()).await;
    assert_eq!((all.as_str(), status.is_none()), ("one two", true));
    assert_eq!(soon(client.both_stream(words())).await.unwrap_err().code(), Code::Unavailable);

    let function = layer.clone().key(|head| head.uri.path().to_owned()).with(move |failed| {
        assert_eq!(failed.outcome(), Outcome::Error);
        Reply::grpc(said(&failed.key))
    });
    let mut client = EchoClient::new(function.layer(lazy()));
    let answer = soon(client.unary("x")).await.unwrap();
    assert!(answer.into_inner().text.ends_with("/Unary"));
    assert!(soon(client.client_stream(words())).await.is_ok());

    let status = layer.clone().value(Reply::grpc_status(5, "50 % gone"));
    let mut client = EchoClient::new(status.layer(lazy()));
    let status = soon(client.unary("x")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "50 % gone"));

    // What is no gRPC answer is none of its clients'.
    let mut client = EchoClient::new(layer.value(Response::new("instead")).layer(lazy()));
    let status = soon(client.unary("x")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "the fallback is no gRPC answer"));
}

/// A body that is read as axum reads it.
#[tokio::test]
async fn a_length_is_told() {
    let app: Router = Router::new().route("/", get(Player::new())).layer(instead());
    let answer = ask(&(serve(app).await + "/?fail")).await.map(Body::new);
    assert_eq!(answer.headers()["content-length"], "7");
}

#[tokio::test]
async fn a_head_is_answered_around_the_application_as_well() {
    let app = Router::new().route("/", get(async || StatusCode::SERVICE_UNAVAILABLE));
    let service = ServiceBuilder::new().map_response(|answer: Response<_>| answer.map(Body::new));
    let service = service.layer(instead()).service(app);
    let (listener, address) = stack::listen().await;
    tokio::spawn(async move { axum::serve(listener, tower::make::Shared::new(service)).await });
    for http2 in [false, true] {
        for method in ["HEAD", "GET", "HEAD"] {
            let req = Request::builder().method(method).uri(format!("http://{address}/"));
            let req = req.body(reqwest::Body::default()).unwrap();
            let answer = soon(stack::reqwest(http2).oneshot(req)).await.unwrap();
            assert_eq!(answer.headers()["content-length"], "7", "{method}");
            let ought = if method == "HEAD" { "" } else { "instead" };
            assert_eq!(text(answer).await, (200, ought.into()), "{method} over HTTP/2: {http2}");
        }
    }
}
