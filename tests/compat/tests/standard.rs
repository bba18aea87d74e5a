//! The standard stacks on axum 0.7 and tonic 0.12.

use axum::Router;
use axum::handler::Handler;
use axum::routing::get;
use bartizan_client::{AnyBody, Client, ReqwestService};
use bartizan_limit::Limit;
use bartizan_stack::{ClientLayer, ServerLayer, ServerStack};
use http::{StatusCode, Uri};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::Layer;

const HOUR: Duration = Duration::from_secs(3600);

async fn listen() -> (TcpListener, Uri) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    (listener, url.parse().expect("a uri"))
}

async fn serve(app: Router) -> Uri {
    let (listener, url) = listen().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

fn http() -> ReqwestService {
    ReqwestService::new(reqwest::Client::builder().no_proxy().build().expect("no TLS to set up"))
}

async fn ok() -> &'static str {
    "ok"
}

#[tokio::test]
async fn on_axum_in_every_place_with_a_stack_around_the_client() {
    let two = || ServerLayer::new(ServerStack::new().limit(Limit::per(2, 2 * HOUR)));
    let apps = [
        ("Router::layer", Router::new().route("/", get(ok)).layer(two())),
        ("Router::route_layer", Router::new().route("/", get(ok)).route_layer(two())),
        ("MethodRouter::layer", Router::new().route("/", get(ok).layer(two()))),
        ("Handler::layer", Router::new().route("/", get(ok.layer(two())))),
    ];
    for (place, app) in apps {
        println!("{place}");
        let url = serve(app).await;
        // Each time over a connection of its own.
        for status in [StatusCode::OK, StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
            let client = Client::new(http()).base_url(url.clone());
            assert_eq!(client.get("").send().await.expect("the server answers").status(), status);
        }
    }
    let urls =
        [serve(Router::new().route("/", get(ok))).await, serve(Router::new().route("/", get(ok))).await];
    let clients = [
        Client::new(ClientLayer::default().layer(http())).base_url(urls[0].clone()).boxed(),
        Client::new(ClientLayer::default().members(urls.clone()).layer(http()))
            .base_url(urls[0].clone())
            .boxed(),
    ];
    for client in clients {
        let answer = client.get("").send().await.expect("the server answers");
        assert_eq!(answer.text().await.expect("a body"), "ok");
    }
}

#[tokio::test]
async fn on_tonic_before_a_server_and_around_a_channel() {
    let (listener, url) = listen().await;
    let (_reporter, health) = tonic_health::server::health_reporter();
    let layer = ServerLayer::new(ServerStack::new().limit(Limit::per(3, 3 * HOUR)));
    let server = Server::builder().layer(layer).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

    let channel = |url: &Uri| AnyBody::new(Endpoint::from(url.clone()).connect_lazy(), tonic::body::boxed);
    let layer = ClientLayer::default().repeat(|_| false);
    let mut one = HealthClient::new(layer.layer(channel(&url)));
    let several = layer.balance(channel).members([url]);
    let mut several = HealthClient::new(layer.outer().layer(several));
    one.check(HealthCheckRequest::default()).await.expect("the server is well");
    several.check(HealthCheckRequest::default()).await.expect("the server is well");
    one.check(HealthCheckRequest::default()).await.expect("the server is well");
    let refused = several.check(HealthCheckRequest::default()).await.expect_err("there is no token");
    assert_eq!(refused.message(), "refused by limit: over the limit");
}
